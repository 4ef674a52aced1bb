#include "term/edit.h"

#include <stdlib.h>

#include "base/clean.h"
#include "base/utf8.h"
#include "term/width.h"

struct edit {
    struct buf text;
    size_t at;      /* cursor, byte offset on a character boundary */
    struct buf killed;
    char *history[EDIT_HISTORY];
    size_t nhistory;
    size_t browsing; /* index in history; nhistory: the line being written */
    struct buf draft; /* the line being written, while browsing */
};

int edit_create(struct edit **out, struct err *e)
{
    struct edit *ed = calloc(1, sizeof *ed);
    if (!ed)
        return err_set(e, ERR_NOMEM, "out of memory");
    buf_init(&ed->text, EDIT_TEXT_BYTES);
    buf_init(&ed->killed, EDIT_TEXT_BYTES);
    buf_init(&ed->draft, EDIT_TEXT_BYTES);
    *out = ed;
    return 0;
}

void edit_destroy(struct edit *ed)
{
    if (!ed)
        return;
    for (size_t i = 0; i < ed->nhistory; i++)
        free(ed->history[i]);
    buf_finish(&ed->text);
    buf_finish(&ed->killed);
    buf_finish(&ed->draft);
    free(ed);
}

struct span edit_text(const struct edit *ed)
{
    return buf_span(&ed->text);
}

size_t edit_cursor(const struct edit *ed)
{
    return ed->at;
}

void edit_set(struct edit *ed, struct span text)
{
    buf_reset(&ed->text);
    buf_add_span(&ed->text, text);
    ed->at = ed->text.n;
}

void edit_reset(struct edit *ed)
{
    edit_set(ed, SPAN(""));
    ed->browsing = ed->nhistory;
}

void edit_remember(struct edit *ed, struct span line)
{
    if (!span_trim(line).n || (ed->nhistory && span_eqs(line, ed->history[ed->nhistory - 1])))
        return;
    char *copy = span_dup(line);
    if (!copy)
        return;
    if (ed->nhistory == EDIT_HISTORY) {
        free(ed->history[0]);
        memmove(ed->history, ed->history + 1, (EDIT_HISTORY - 1) * sizeof ed->history[0]);
        ed->nhistory--;
    }
    ed->history[ed->nhistory++] = copy;
    ed->browsing = ed->nhistory;
}

size_t edit_history(const struct edit *ed, const char *const **items)
{
    *items = (const char *const *)ed->history;
    return ed->nhistory;
}

static size_t before(const struct edit *ed, size_t at)
{
    if (!at)
        return 0;
    do
        at--;
    while (at && ((unsigned char)ed->text.p[at] & 0xc0) == 0x80);
    return at;
}

static size_t after(const struct edit *ed, size_t at)
{
    if (at >= ed->text.n)
        return ed->text.n;
    do
        at++;
    while (at < ed->text.n && ((unsigned char)ed->text.p[at] & 0xc0) == 0x80);
    return at;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

static size_t word_left(const struct edit *ed)
{
    size_t at = ed->at;
    while (at && !is_word(ed->text.p[at - 1]))
        at--;
    while (at && is_word(ed->text.p[at - 1]))
        at--;
    return at;
}

static size_t word_right(const struct edit *ed)
{
    size_t at = ed->at;
    while (at < ed->text.n && !is_word(ed->text.p[at]))
        at++;
    while (at < ed->text.n && is_word(ed->text.p[at]))
        at++;
    return at;
}

static size_t line_start(const struct edit *ed, size_t at)
{
    while (at && ed->text.p[at - 1] != '\n')
        at--;
    return at;
}

static size_t line_end(const struct edit *ed, size_t at)
{
    while (at < ed->text.n && ed->text.p[at] != '\n')
        at++;
    return at;
}

static void insert(struct edit *ed, const char *p, size_t n)
{
    if (buf_insert(&ed->text, ed->at, p, n))
        ed->at += n;
    else
        ed->text.failed = 0; /* the text is full: the key does nothing */
}

static void kill_range(struct edit *ed, size_t from, size_t to)
{
    buf_reset(&ed->killed);
    buf_add_span(&ed->killed, span_sub(buf_span(&ed->text), from, to - from));
    buf_erase(&ed->text, from, to - from);
    ed->at = from;
}

static void browse(struct edit *ed, size_t to)
{
    if (ed->browsing == ed->nhistory) {
        buf_reset(&ed->draft);
        buf_add_span(&ed->draft, buf_span(&ed->text));
    }
    ed->browsing = to;
    edit_set(ed, to == ed->nhistory ? buf_span(&ed->draft) : span_of(ed->history[to]));
}

static enum edit_result up(struct edit *ed)
{
    size_t start = line_start(ed, ed->at);
    if (!start) {
        if (ed->browsing)
            browse(ed, ed->browsing - 1);
        return EDIT_CHANGED;
    }
    size_t column = width_of(span_sub(buf_span(&ed->text), start, ed->at - start)), above = line_start(ed, start - 1);
    ed->at = above + width_cut(span_sub(buf_span(&ed->text), above, start - 1 - above), column);
    return EDIT_CHANGED;
}

static enum edit_result down(struct edit *ed)
{
    size_t end = line_end(ed, ed->at);
    if (end == ed->text.n) {
        if (ed->browsing < ed->nhistory)
            browse(ed, ed->browsing + 1);
        return EDIT_CHANGED;
    }
    size_t start = line_start(ed, ed->at), column = width_of(span_sub(buf_span(&ed->text), start, ed->at - start));
    ed->at = end + 1 + width_cut(span_sub(buf_span(&ed->text), end + 1, line_end(ed, end + 1) - end - 1), column);
    return EDIT_CHANGED;
}

static enum edit_result control_key(struct edit *ed, uint32_t c)
{
    switch (c) {
    case 'a':
        ed->at = line_start(ed, ed->at);
        return EDIT_CHANGED;
    case 'b':
        ed->at = before(ed, ed->at);
        return EDIT_CHANGED;
    case 'c':
        return EDIT_INTERRUPT;
    case 'd':
        if (!ed->text.n)
            return EDIT_EOF;
        buf_erase(&ed->text, ed->at, after(ed, ed->at) - ed->at);
        return EDIT_CHANGED;
    case 'e':
        ed->at = line_end(ed, ed->at);
        return EDIT_CHANGED;
    case 'f':
        ed->at = after(ed, ed->at);
        return EDIT_CHANGED;
    case 'k': {
        size_t end = line_end(ed, ed->at);
        kill_range(ed, ed->at, end == ed->at && end < ed->text.n ? end + 1 : end);
        return EDIT_CHANGED;
    }
    case 'l':
        return EDIT_REDRAW;
    case 'n':
        return down(ed);
    case 'p':
        return up(ed);
    case 'u':
        kill_range(ed, line_start(ed, ed->at), ed->at);
        return EDIT_CHANGED;
    case 'w':
        kill_range(ed, word_left(ed), ed->at);
        return EDIT_CHANGED;
    case 'y':
        insert(ed, buf_str(&ed->killed), ed->killed.n);
        return EDIT_CHANGED;
    default:
        return EDIT_OTHER;
    }
}

static enum edit_result enter(struct edit *ed)
{
    if (ed->at && ed->at == ed->text.n && ed->text.p[ed->at - 1] == '\\') {
        buf_truncate(&ed->text, ed->text.n - 1);
        ed->at--;
        insert(ed, "\n", 1);
        return EDIT_CHANGED;
    }
    return EDIT_SUBMIT;
}

enum edit_result edit_key(struct edit *ed, const struct key *k)
{
    char enc[4];
    switch (k->code) {
    case KEY_CHAR:
        insert(ed, enc, (size_t)utf8_encode(k->c, enc));
        return EDIT_CHANGED;
    case KEY_ENTER:
        return enter(ed);
    case KEY_NEWLINE:
        insert(ed, "\n", 1);
        return EDIT_CHANGED;
    case KEY_PASTE: {
        struct buf clean = BUF_INIT(EDIT_TEXT_BYTES);
        clean_add(&clean, k->text, CLEAN_TEXT);
        insert(ed, buf_str(&clean), clean.n);
        buf_finish(&clean);
        return EDIT_CHANGED;
    }
    case KEY_TAB:
        return EDIT_COMPLETE;
    case KEY_BACKSPACE: {
        size_t from = before(ed, ed->at);
        buf_erase(&ed->text, from, ed->at - from);
        ed->at = from;
        return EDIT_CHANGED;
    }
    case KEY_DELETE:
        buf_erase(&ed->text, ed->at, after(ed, ed->at) - ed->at);
        return EDIT_CHANGED;
    case KEY_LEFT:
        ed->at = before(ed, ed->at);
        return EDIT_CHANGED;
    case KEY_RIGHT:
        ed->at = after(ed, ed->at);
        return EDIT_CHANGED;
    case KEY_UP:
        return up(ed);
    case KEY_DOWN:
        return down(ed);
    case KEY_HOME:
        ed->at = line_start(ed, ed->at);
        return EDIT_CHANGED;
    case KEY_END:
        ed->at = line_end(ed, ed->at);
        return EDIT_CHANGED;
    case KEY_WORD_LEFT:
        ed->at = word_left(ed);
        return EDIT_CHANGED;
    case KEY_WORD_RIGHT:
        ed->at = word_right(ed);
        return EDIT_CHANGED;
    case KEY_CTRL:
        return control_key(ed, k->c);
    case KEY_ALT:
    case KEY_BACKTAB:
    case KEY_PAGE_UP:
    case KEY_PAGE_DOWN:
    case KEY_ESCAPE:
        break;
    }
    return EDIT_OTHER;
}

struct span edit_word(const struct edit *ed)
{
    size_t from = ed->at;
    while (from && ed->text.p[from - 1] != ' ' && ed->text.p[from - 1] != '\n' && ed->text.p[from - 1] != '\t')
        from--;
    return span_sub(buf_span(&ed->text), from, ed->at - from);
}

void edit_replace_word(struct edit *ed, struct span word)
{
    struct span old = edit_word(ed);
    size_t from = ed->at - old.n;
    buf_erase(&ed->text, from, old.n);
    ed->at = from;
    insert(ed, word.p, word.n);
}

bool edit_layout(const struct edit *ed, size_t columns, size_t prefix, struct edit_layout *out)
{
    size_t width = columns > prefix + 1 ? columns - prefix : 2, column = 0;
    struct span s = buf_span(&ed->text);
    buf_reset(&out->text);
    out->rows = 1;
    out->cursor_row = out->cursor_column = 0;
    for (size_t i = 0; i <= s.n;) {
        if (i == ed->at) {
            out->cursor_row = out->rows - 1;
            out->cursor_column = column;
        }
        if (i == s.n)
            break;
        uint32_t c;
        int n = utf8_decode(span_sub(s, i, s.n), &c);
        if (n <= 0) {
            n = 1;
            c = 0xfffd;
        }
        if (c == '\n') {
            buf_addc(&out->text, '\n');
            out->rows++;
            column = 0;
        } else {
            size_t w = c == '\t' ? 4 : (size_t)width_char(c);
            if (column + w > width - 1) { /* the last column stays free for the cursor */
                buf_addc(&out->text, '\n');
                out->rows++;
                column = 0;
                if (i == ed->at) {
                    out->cursor_row = out->rows - 1;
                    out->cursor_column = 0;
                }
            }
            if (c == '\t')
                buf_adds(&out->text, "    ");
            else
                buf_add(&out->text, s.p + i, (size_t)n);
            column += w;
        }
        i += (size_t)n;
    }
    return !out->text.failed;
}
