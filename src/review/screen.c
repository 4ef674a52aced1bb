/*
 * The review at a terminal. One frame is drawn into one buffer and written at once: no flicker. Layout:
 *
 *   change c1jd..., 3 files, 5 hunks: 2 approved, 1 rejected          gates: make test pass
 *   src/clamp.c  hunk 2 of 3   has findings
 *   ------------------------------------------------------------------
 *     11   11   int clamp(int x, int lo, int hi)
 *     12      - if (x > lo)
 *          12 + if (x < lo)
 *   ------------------------------------------------------------------
 *   finding: ...
 *   a approve  r reject  c comment  A file  u undo  n/p next/previous  e gates  s side by side  / search  f finish  q later
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "review/highlight.h"
#include "review/review.h"
#include "term/edit.h"
#include "term/style.h"
#include "term/tty.h"
#include "term/width.h"
#include "verify/rules.h"
#include "verify/verify.h"

#define FRAME_BYTES (4u << 20)

enum prompt { PROMPT_NONE, PROMPT_REJECT, PROMPT_COMMENT, PROMPT_SEARCH };

struct screen {
    struct review *review;
    const struct review_item *items;
    size_t nitems, at, scroll;
    struct tty *tty;
    struct loop *loop;
    bool done, side, evidence; /* evidence: what the gates said, in the hunk's place */
    enum review_outcome outcome;
    enum prompt prompt;
    struct edit *edit;
    char search[80];
    char message[160];
    struct err *e;
};

static void add_cell(struct buf *out, struct span text, size_t columns)
{
    size_t n = width_cut(text, columns);
    buf_add(out, text.p, n);
    buf_adds(out, style(STYLE_RESET));
    for (size_t w = width_of(span_sub(text, 0, n)); w < columns; w++)
        buf_addc(out, ' ');
}

/* A row of the frame: cut to the width, the rest of the line cleared. */
static void row(struct buf *frame, struct span text, size_t columns)
{
    buf_add(frame, text.p, width_cut(text, columns));
    buf_adds(frame, style(STYLE_RESET));
    buf_adds(frame, "\033[K\r\n");
}

__attribute__((format(printf, 3, 4))) static void rowf(struct buf *frame, size_t columns, const char *fmt, ...)
{
    struct buf b = BUF_INIT(8192);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    row(frame, buf_span(&b), columns);
    buf_finish(&b);
}

static void rule_line(struct buf *frame, size_t columns)
{
    buf_adds(frame, style(STYLE_DIM));
    for (size_t i = 0; i < columns; i++)
        buf_addc(frame, '-');
    buf_adds(frame, style(STYLE_RESET));
    buf_adds(frame, "\033[K\r\n");
}

/* The rows of a hunk of which a window is shown: those above and below are counted, not made. */
struct page {
    struct buf *out;
    size_t columns, from, room, total;
};

static bool shown(const struct page *p)
{
    return p->out && p->total >= p->from && p->total < p->from + p->room;
}

static void page_row(struct page *p, struct span text)
{
    if (shown(p))
        row(p->out, text, p->columns);
    p->total++;
}

/* What the file's line holds, nothing left out: escape sequences, carriage returns and invisible characters are seen. */
static void plain_line(const struct hunk_line *l, struct buf *out)
{
    struct span s = l->text, part;
    if (s.n && s.p[s.n - 1] == '\n')
        s.n--;
    if (l->origin == ' ' && s.n && s.p[s.n - 1] == '\r')
        s.n--; /* the file's line ends; where a change makes them they are shown */
    for (bool first = true; span_split(&s, '\t', &part); first = false) {
        if (!first)
            buf_adds(out, "    ");
        clean_add(out, part, CLEAN_SHOW);
    }
}

#define GUTTER 14u       /* two line numbers, the mark */
#define NARROW 40u       /* columns below which there is room for the mark alone */
#define LINE_BYTES (1u << 20) /* of one line that is shown; of what is longer the end is named */

static void plain_text(const struct hunk_line *l, struct buf *out)
{
    struct hunk_line cut = *l;
    if (cut.text.n > LINE_BYTES)
        cut.text.n = LINE_BYTES;
    plain_line(&cut, out);
    if (cut.text.n < l->text.n)
        buf_addf(out, " [... %zu bytes more in this line]", l->text.n - cut.text.n);
}

/* The next part of a line that fits; at least one character. */
static struct span piece_of(struct span *rest, size_t columns)
{
    size_t n = width_cut(*rest, columns ? columns : 1);
    if (!n)
        n = rest->n ? width_cut(*rest, 2) : 0;
    if (!n)
        n = rest->n;
    struct span part = span_sub(*rest, 0, n);
    *rest = span_sub(*rest, n, rest->n);
    return part;
}

static const char *base_style(const struct hunk_line *l)
{
    return style(l->origin == '+' ? STYLE_GOOD : l->origin == '-' ? STYLE_BAD : STYLE_RESET);
}

static void number(struct buf *out, int n)
{
    if (n > 0)
        buf_addf(out, "%s%5d ", style(STYLE_DIM), n);
    else
        buf_adds(out, "      ");
}

static void unified(const struct review_item *it, struct page *p)
{
    const struct hunk *h = it->hunk;
    size_t gutter = p->columns < NARROW ? 2 : GUTTER, width = p->columns > gutter ? p->columns - gutter : 1;
    for (size_t i = 0; i < h->nlines; i++) {
        const struct hunk_line *l = &h->lines[i];
        AUTO(buf) struct buf text = BUF_INIT(16u << 20);
        plain_text(l, &text);
        struct span rest = buf_span(&text);
        bool first = true;
        do {
            struct span part = piece_of(&rest, width);
            AUTO(buf) struct buf line = BUF_INIT(1 << 20);
            if (shown(p)) {
                if (gutter == GUTTER) {
                    number(&line, first ? l->old_no : 0);
                    number(&line, first ? l->new_no : 0);
                }
                buf_addf(&line, "%s%s%c ", style(STYLE_RESET), base_style(l), l->origin);
                highlight_line(it->file->path, part, base_style(l), &line);
            }
            page_row(p, buf_span(&line));
            first = false;
        } while (rest.n);
    }
}

/* One side of a row: the next part of its line. */
static void half(const struct review_item *it, const struct hunk_line *l, struct span *rest, bool first, size_t columns, struct buf *out)
{
    AUTO(buf) struct buf line = BUF_INIT(1 << 20);
    if (l && (first || rest->n)) {
        buf_addf(&line, "%s", "");
        number(&line, first ? (l->origin == '+' ? l->new_no : l->old_no) : 0);
        buf_addf(&line, "%s%s", style(STYLE_RESET), base_style(l));
        highlight_line(it->file->path, piece_of(rest, columns > 6 ? columns - 6 : 1), base_style(l), &line);
    }
    add_cell(out, buf_span(&line), columns);
}

static void pair(const struct review_item *it, const struct hunk_line *left, const struct hunk_line *right, struct page *p)
{
    size_t width = (p->columns - 3) / 2;
    AUTO(buf) struct buf old = BUF_INIT(16u << 20), new = BUF_INIT(16u << 20);
    if (left)
        plain_text(left, &old);
    if (right)
        plain_text(right, &new);
    struct span a = buf_span(&old), b = buf_span(&new);
    bool first = true;
    do {
        AUTO(buf) struct buf line = BUF_INIT(1 << 20);
        half(it, left, &a, first, width, &line);
        buf_addf(&line, "%s | %s", style(STYLE_DIM), style(STYLE_RESET));
        half(it, right, &b, first, width, &line);
        page_row(p, buf_span(&line));
        first = false;
    } while (a.n || b.n);
}

static void side_by_side(const struct review_item *it, struct page *p)
{
    const struct hunk *h = it->hunk;
    for (size_t i = 0; i < h->nlines;) {
        size_t olds = 0, news = 0;
        while (i + olds < h->nlines && h->lines[i + olds].origin == '-')
            olds++;
        while (i + olds + news < h->nlines && h->lines[i + olds + news].origin == '+')
            news++;
        size_t rows = olds > news ? olds : news;
        for (size_t k = 0; k < (rows ? rows : 1); k++)
            pair(it, rows ? (k < olds ? &h->lines[i + k] : NULL) : &h->lines[i], rows ? (k < news ? &h->lines[i + olds + k] : NULL) : &h->lines[i], p);
        i += rows ? olds + news : 1;
    }
}

static void whole(const struct change *change, const struct review_item *it, struct page *p)
{
    const struct change_file *f = it->file;
    struct err unread = ERR_INIT;
    struct span target;
    AUTO(buf) struct buf line = BUF_INIT(8192);
    char size[24], name[512];
    switch (it->hunk->kind) {
    case HUNK_MODE:
        buf_addf(&line, "permissions %03o -> %03o", f->base.mode, f->now.mode);
        break;
    case HUNK_RENAME:
        buf_addf(&line, "renamed from %s, %d %% alike", clean_into(name, sizeof name, span_of(f->old_path), CLEAN_QUOTE), f->similarity);
        break;
    default:
        buf_addf(&line, "%s, %s%s", change_kind_name(f->kind), f->now.symlink ? "symbolic link, " : f->now.binary ? "binary, " : "",
                 format_size(f->now.exists ? f->now.size : f->base.size, size));
        if (f->now.symlink && change_data(change, &f->now, &target, &unread) == 0)
            buf_addf(&line, " -> %s", clean_into(name, sizeof name, target, CLEAN_QUOTE));
    }
    page_row(p, buf_span(&line));
}

/* What the gates said, for the reader of a hunk: commands, counts, failures by name, the end of what a red one printed. */
static void evidence(const struct verdict *v, struct page *p)
{
    char text[512];
    for (size_t i = 0; v && i < v->ngates; i++) {
        const struct gate_result *g = &v->gates[i];
        AUTO(buf) struct buf line = BUF_INIT(8192), output = BUF_INIT(4u << 20);
        const struct {
            const char *label;
            const struct strings *names;
        } lists[] = { { "new", &g->new_failures }, { "before too", &g->old_failures }, { "flaky", &g->flaky } };
        buf_addf(&line, "%s%s%s  ", style(STYLE_BOLD), clean_into(text, sizeof text, span_of(g->gate->name), CLEAN_LINE), style(STYLE_RESET));
        buf_addf(&line, "%s  $ %s", gate_verdict_name(g->verdict), clean_into(text, sizeof text, span_of(g->gate->command), CLEAN_LINE));
        page_row(p, buf_span(&line));
        buf_reset(&line);
        if (g->tests_passed + g->tests_failed + g->tests_skipped)
            buf_addf(&line, "  %zu tests pass, %zu fail, %zu are skipped  ", g->tests_passed, g->tests_failed, g->tests_skipped);
        if (g->reason && *g->reason)
            buf_addf(&line, "  %s", clean_into(text, sizeof text, span_of(g->reason), CLEAN_LINE));
        if (line.n)
            page_row(p, buf_span(&line));
        for (size_t k = 0; k < COUNT_OF(lists); k++)
            for (size_t n = 0; n < lists[k].names->len; n++) {
                buf_reset(&line);
                buf_addf(&line, "  %s%s%s: %s", style(k == 0 ? STYLE_BAD : STYLE_WARN), lists[k].label, style(STYLE_RESET),
                         clean_into(text, sizeof text, span_of(lists[k].names->items[n]), CLEAN_LINE));
                page_row(p, buf_span(&line));
            }
        clean_add(&output, g->evidence, CLEAN_TEXT);
        struct span rest = buf_span(&output), one;
        while (span_line(&rest, &one)) {
            buf_reset(&line);
            buf_addf(&line, "  %s", style(STYLE_DIM));
            buf_add_span(&line, one);
            page_row(p, buf_span(&line));
        }
    }
}

static void gates_line(const struct screen *s, struct buf *out)
{
    const struct verdict *v = review_verdict(s->review);
    char name[60];
    if (!v || !v->ngates) {
        buf_addf(out, "%sno gate has looked at this change%s", style(STYLE_WARN), style(STYLE_RESET));
        return;
    }
    for (size_t i = 0; i < v->ngates; i++) {
        enum gate_verdict g = v->gates[i].verdict;
        buf_addf(out, "%s%s %s%s%s", i ? ", " : "", clean_into(name, sizeof name, span_of(v->gates[i].gate->name), CLEAN_LINE),
                 style(g == VERDICT_PASS ? STYLE_GOOD : g == VERDICT_FAIL ? STYLE_BAD : STYLE_WARN), gate_verdict_name(g), style(STYLE_RESET));
        if (v->gates[i].new_failures.len)
            buf_addf(out, " (new: %s%s)", clean_into(name, sizeof name, span_of(v->gates[i].new_failures.items[0]), CLEAN_LINE),
                     v->gates[i].new_failures.len > 1 ? ", ..." : "");
    }
}

static size_t finding_rows(const struct screen *s, const struct review_item *it, size_t columns, struct buf *out)
{
    const struct verdict *v = review_verdict(s->review);
    size_t n = 0;
    char text[512];
    for (size_t i = 0; v && i < v->findings.len && n < 4; i++) {
        const struct finding *f = &v->findings.items[i];
        if (!review_finding_at(f, it->file, it->hunk))
            continue;
        rowf(out, columns, "%s%s%s line %lld: %s", style(f->severity == FINDING_BLOCK ? STYLE_BAD : STYLE_WARN), finding_severity_name(f->severity),
             style(STYLE_RESET), (long long)f->line, clean_into(text, sizeof text, span_of(f->message), CLEAN_LINE));
        n++;
    }
    return n;
}

static void body(const struct screen *s, const struct review_item *it, struct page *p)
{
    if (s->evidence && !(review_verdict(s->review) && review_verdict(s->review)->ngates))
        page_row(p, SPAN("no gate has looked at this change"));
    else if (s->evidence)
        evidence(review_verdict(s->review), p);
    else if (it->hunk->kind != HUNK_TEXT && !it->hunk->nlines)
        whole(review_change(s->review), it, p);
    else if (s->side && p->columns >= 60)
        side_by_side(it, p);
    else
        unified(it, p);
}

/* The keys, in as many rows as the width asks for; how many those are. `frame` NULL: only that. */
static size_t keys_rows(struct buf *frame, size_t columns)
{
    static const struct {
        const char *key, *does;
    } keys[] = {
        { "a", "approve" }, { "r", "reject" }, { "c", "comment" }, { "A", "approve file" }, { "u", "undo" }, { "n", "next" }, { "p", "back" },
        { "e", "gates" }, { "s", "side by side" }, { "/", "search" }, { "N", "again" }, { "f", "finish, carry in what is approved" }, { "q", "later" },
    };
    size_t rows = 1, at = 0;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        size_t n = strlen(keys[i].key) + 1 + strlen(keys[i].does);
        if (at && at + 2 + n > columns) {
            if (frame)
                buf_adds(frame, "\033[K\r\n");
            rows++;
            at = 0;
        }
        if (frame) {
            AUTO(buf) struct buf one = BUF_INIT(256);
            buf_addf(&one, "%s%s%s%s %s", at ? "  " : "", style(STYLE_ACCENT), keys[i].key, style(STYLE_RESET), keys[i].does);
            buf_add(frame, one.p, width_cut(buf_span(&one), columns - at));
            buf_adds(frame, style(STYLE_RESET));
        }
        at += n + (at ? 2 : 0);
    }
    if (frame)
        buf_adds(frame, "\033[K\033[J");
    return rows;
}

static void draw(struct screen *s)
{
    static const char *const states[] = { "", "approved", "rejected" };
    struct buf frame = BUF_INIT(FRAME_BYTES), text = BUF_INIT(FRAME_BYTES), head = BUF_INIT(65536), notes = BUF_INIT(65536);
    size_t rows, columns;
    tty_size(s->tty, &rows, &columns);
    const struct review_item *it = &s->items[s->at];
    char path[512], why[256];
    buf_adds(&frame, "\033[?25l\033[H");
    rowf(&frame, columns, "%schange %s%s  hunk %zu of %zu: %zu approved, %zu rejected", style(STYLE_BOLD), review_change(s->review)->id,
         style(STYLE_RESET), s->at + 1, s->nitems, review_count(s->review, REVIEW_APPROVE), review_count(s->review, REVIEW_REJECT));
    gates_line(s, &head);
    row(&frame, buf_span(&head), columns);
    rowf(&frame, columns, "%s%s%s  %s%s%s  %s%s%s%s", style(STYLE_BOLD), clean_into(path, sizeof path, span_of(it->file->path), CLEAN_QUOTE),
         style(STYLE_RESET), style(it->state == REVIEW_APPROVE ? STYLE_GOOD : STYLE_BAD), states[it->state], style(STYLE_RESET),
         style(STYLE_WARN), clean_into(why, sizeof why, span_of(it->why), CLEAN_LINE), it->comment ? ": " : "", style(STYLE_RESET));
    rule_line(&frame, columns);
    size_t nnotes = finding_rows(s, it, columns, &notes);
    if (it->comment) {
        rowf(&notes, columns, "comment: %s", clean_into(why, sizeof why, span_of(it->comment), CLEAN_LINE));
        nnotes++;
    }
    size_t other = nnotes + 6 + keys_rows(NULL, columns), room = rows > other ? rows - other : 1;
    struct page page = { .out = &text, .columns = columns, .from = s->scroll, .room = room };
    body(s, it, &page);
    if (s->scroll && s->scroll + room > page.total) { /* beyond the end: the last window */
        s->scroll = page.total > room ? page.total - room : 0;
        buf_reset(&text);
        page = (struct page){ .out = &text, .columns = columns, .from = s->scroll, .room = room };
        body(s, it, &page);
    }
    buf_add_span(&frame, buf_span(&text));
    for (size_t k = page.total - s->scroll; k < room; k++)
        buf_adds(&frame, "\033[K\r\n");
    rule_line(&frame, columns);
    buf_add_span(&frame, buf_span(&notes));
    if (s->prompt != PROMPT_NONE) {
        static const char *const asks[] = { "", "why (for the agent; Enter alone: no comment): ", "comment (for the agent): ", "search: " };
        rowf(&frame, columns, "%s%.*s_", asks[s->prompt], (int)edit_text(s->edit).n, edit_text(s->edit).p);
    } else if (s->message[0]) {
        rowf(&frame, columns, "%s%s%s", style(STYLE_WARN), s->message, style(STYLE_RESET));
    } else {
        char part[80] = "";
        if (page.total > room)
            (void)snprintf(part, sizeof part, "rows %zu to %zu of %zu: space and b scroll", s->scroll + 1,
                           s->scroll + room < page.total ? s->scroll + room : page.total, page.total);
        rowf(&frame, columns, "%s%s%s", style(STYLE_DIM), part, style(STYLE_RESET));
    }
    (void)keys_rows(&frame, columns);
    tty_write(s->tty, buf_span(&frame));
    buf_finish(&frame);
    buf_finish(&text);
    buf_finish(&head);
    buf_finish(&notes);
}

static void go(struct screen *s, size_t to)
{
    s->evidence = false;
    s->at = to < s->nitems ? to : s->nitems - 1;
    s->scroll = 0;
}

static void next_open(struct screen *s)
{
    for (size_t k = 1; k <= s->nitems; k++)
        if (s->items[(s->at + k) % s->nitems].state == REVIEW_OPEN) {
            go(s, (s->at + k) % s->nitems);
            return;
        }
    (void)snprintf(s->message, sizeof s->message, "every hunk is decided: f finishes");
}

static void decide(struct screen *s, enum review_state state, const char *comment)
{
    if (review_decide(s->review, s->at, state, comment, s->e) < 0)
        (void)snprintf(s->message, sizeof s->message, "%.150s", s->e->text);
    next_open(s);
}

static bool hunk_holds(const struct review_item *it, const char *needle)
{
    if (strstr(it->file->path, needle))
        return true;
    for (size_t i = 0; i < it->hunk->nlines; i++)
        if (span_find(it->hunk->lines[i].text, span_of(needle)) >= 0)
            return true;
    return false;
}

static void search(struct screen *s)
{
    for (size_t k = 1; s->search[0] && k <= s->nitems; k++)
        if (hunk_holds(&s->items[(s->at + k) % s->nitems], s->search)) {
            go(s, (s->at + k) % s->nitems);
            return;
        }
    (void)snprintf(s->message, sizeof s->message, "not found");
}

static void prompt_key(struct screen *s, const struct key *k)
{
    enum edit_result r = edit_key(s->edit, k);
    if (r == EDIT_INTERRUPT || (r == EDIT_OTHER && k->code == KEY_ESCAPE)) {
        s->prompt = PROMPT_NONE;
        return;
    }
    if (r != EDIT_SUBMIT)
        return;
    char text[1024];
    struct span t = edit_text(s->edit);
    (void)snprintf(text, sizeof text, "%.*s", (int)(t.n < 1000 ? t.n : 1000), t.p);
    enum prompt was = s->prompt;
    s->prompt = PROMPT_NONE;
    if (was == PROMPT_REJECT) {
        decide(s, REVIEW_REJECT, text[0] ? text : s->items[s->at].comment);
        return;
    }
    if (was == PROMPT_COMMENT) { /* says something of the hunk, decides nothing */
        if (review_decide(s->review, s->at, s->items[s->at].state, text, s->e) < 0)
            (void)snprintf(s->message, sizeof s->message, "%.150s", s->e->text);
        return;
    }
    (void)snprintf(s->search, sizeof s->search, "%.79s", text);
    search(s);
}

static void char_key(struct screen *s, uint32_t c)
{
    switch (c) {
    case 'a':
    case 'y':
        decide(s, REVIEW_APPROVE, s->items[s->at].comment); /* what was said of it stays */
        return;
    case 'A': {
        const struct change_file *f = s->items[s->at].file;
        for (size_t i = 0; i < s->nitems; i++)
            if (s->items[i].file == f && review_decide(s->review, i, REVIEW_APPROVE, s->items[i].comment, s->e) < 0)
                (void)snprintf(s->message, sizeof s->message, "%.150s", s->e->text);
        next_open(s);
        return;
    }
    case 'r':
        edit_reset(s->edit);
        s->prompt = PROMPT_REJECT;
        return;
    case 'c':
        edit_reset(s->edit);
        s->prompt = PROMPT_COMMENT;
        return;
    case 'e':
        s->evidence = !s->evidence;
        s->scroll = 0;
        return;
    case 'u':
        if (!review_undo(s->review))
            (void)snprintf(s->message, sizeof s->message, "nothing to undo");
        return;
    case 'n':
    case 'j':
        go(s, s->at + 1);
        return;
    case 'p':
    case 'k':
        go(s, s->at ? s->at - 1 : 0);
        return;
    case ' ':
        s->scroll += 10;
        return;
    case 'b':
        s->scroll = s->scroll > 10 ? s->scroll - 10 : 0;
        return;
    case 's':
        s->side = !s->side;
        return;
    case '/':
        edit_reset(s->edit);
        s->prompt = PROMPT_SEARCH;
        return;
    case 'N':
        search(s);
        return;
    case 'f':
        s->outcome = REVIEW_DONE;
        s->done = true;
        return;
    case 'q':
        s->outcome = REVIEW_LATER;
        s->done = true;
        return;
    default:
        (void)snprintf(s->message, sizeof s->message, "keys: a r c A u n p e s / N f q, space and b scroll");
    }
}

static void on_key(void *ctx, const struct key *k)
{
    struct screen *s = ctx;
    review_active(s->review, clock_ms());
    s->message[0] = '\0';
    if (s->prompt != PROMPT_NONE) {
        prompt_key(s, k);
    } else if (k->code == KEY_CHAR) {
        char_key(s, k->c);
    } else if (k->code == KEY_DOWN || k->code == KEY_RIGHT) {
        go(s, s->at + 1);
    } else if (k->code == KEY_UP || k->code == KEY_LEFT) {
        go(s, s->at ? s->at - 1 : 0);
    } else if (k->code == KEY_PAGE_DOWN) {
        s->scroll += 10;
    } else if (k->code == KEY_PAGE_UP) {
        s->scroll = s->scroll > 10 ? s->scroll - 10 : 0;
    } else if (k->code == KEY_ESCAPE || (k->code == KEY_CTRL && (k->c == 'c' || k->c == 'd'))) {
        s->outcome = REVIEW_LATER;
        s->done = true;
    }
    if (!s->done)
        draw(s);
    else
        loop_wake(s->loop);
}

static void on_resize(void *ctx)
{
    draw(ctx);
}

int review_screen(struct review *r, struct loop *loop, struct cancel *cancel, enum review_outcome *out, struct err *e)
{
    struct screen s = { .review = r, .loop = loop, .e = e };
    s.nitems = review_items(r, &s.items);
    if (!s.nitems)
        return err_set(e, ERR_NOT_FOUND, "the change has nothing to review");
    int rc = edit_create(&s.edit, e);
    if (rc == 0)
        rc = tty_open(loop, on_key, on_resize, &s, &s.tty, e);
    if (rc < 0) {
        edit_destroy(s.edit);
        return rc;
    }
    tty_write(s.tty, SPAN("\033[?1049h"));
    review_active(r, clock_ms());
    draw(&s);
    rc = loop_wait(loop, &s.done, 0, cancel, e);
    tty_write(s.tty, SPAN("\033[?1049l"));
    tty_close(s.tty);
    edit_destroy(s.edit);
    *out = rc < 0 ? REVIEW_LATER : s.outcome;
    return rc;
}
