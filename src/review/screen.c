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
 *   a approve  r reject  A file  u undo  n/p next/previous  s side by side  / search  f finish  q later
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

enum prompt { PROMPT_NONE, PROMPT_REJECT, PROMPT_SEARCH };

struct screen {
    struct review *review;
    const struct review_item *items;
    size_t nitems, at, scroll;
    struct tty *tty;
    struct loop *loop;
    bool done, help, side;
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

static const char *clean_line(struct span s, char out[1024])
{
    AUTO(buf) struct buf b = BUF_INIT(s.n * 12 + 64);
    AUTO(buf) struct buf tabs = BUF_INIT(s.n * 20 + 64);
    clean_add(&b, s, CLEAN_TEXT);
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] == '\t')
            buf_adds(&tabs, "    ");
        else if (b.p[i] != '\n')
            buf_addc(&tabs, b.p[i]);
    (void)snprintf(out, 1024, "%s", buf_str(&tabs));
    return out;
}

static void unified(const struct screen *s, const struct review_item *it, size_t columns, struct buf *out)
{
    const struct hunk *h = it->hunk;
    char text[1024];
    for (size_t i = 0; i < h->nlines; i++) {
        const struct hunk_line *l = &h->lines[i];
        struct buf line = BUF_INIT(1 << 20);
        const char *base = style(l->origin == '+' ? STYLE_GOOD : l->origin == '-' ? STYLE_BAD : STYLE_RESET);
        (void)s;
        if (l->old_no > 0)
            buf_addf(&line, "%s%5d ", style(STYLE_DIM), l->old_no);
        else
            buf_adds(&line, "      ");
        if (l->new_no > 0)
            buf_addf(&line, "%s%5d ", style(STYLE_DIM), l->new_no);
        else
            buf_adds(&line, "      ");
        buf_addf(&line, "%s%s%c ", style(STYLE_RESET), base, l->origin);
        highlight_line(it->file->path, span_of(clean_line(l->text, text)), base, &line);
        row(out, buf_span(&line), columns);
        buf_finish(&line);
    }
}

static void half(const struct review_item *it, const struct hunk_line *l, size_t columns, struct buf *out)
{
    char text[1024];
    struct buf line = BUF_INIT(1 << 20);
    if (l) {
        const char *base = style(l->origin == '+' ? STYLE_GOOD : l->origin == '-' ? STYLE_BAD : STYLE_RESET);
        buf_addf(&line, "%s%5d %s%s", style(STYLE_DIM), l->origin == '+' ? l->new_no : l->old_no, style(STYLE_RESET), base);
        highlight_line(it->file->path, span_of(clean_line(l->text, text)), base, &line);
    }
    add_cell(out, buf_span(&line), columns);
    buf_finish(&line);
}

static void side_by_side(const struct review_item *it, size_t columns, struct buf *out)
{
    const struct hunk *h = it->hunk;
    size_t width = (columns - 3) / 2;
    for (size_t i = 0; i < h->nlines;) {
        size_t olds = 0, news = 0;
        while (i + olds < h->nlines && h->lines[i + olds].origin == '-')
            olds++;
        while (i + olds + news < h->nlines && h->lines[i + olds + news].origin == '+')
            news++;
        size_t rows = olds > news ? olds : news;
        for (size_t k = 0; k < (rows ? rows : 1); k++) {
            struct buf line = BUF_INIT(1 << 20);
            const struct hunk_line *left = rows ? (k < olds ? &h->lines[i + k] : NULL) : &h->lines[i];
            const struct hunk_line *right = rows ? (k < news ? &h->lines[i + olds + k] : NULL) : &h->lines[i];
            half(it, left, width, &line);
            buf_addf(&line, "%s | %s", style(STYLE_DIM), style(STYLE_RESET));
            half(it, right, width, &line);
            row(out, buf_span(&line), columns);
            buf_finish(&line);
        }
        i += rows ? rows : 1;
    }
}

static void whole(const struct review_item *it, size_t columns, struct buf *out)
{
    const struct change_file *f = it->file;
    char size[24];
    switch (it->hunk->kind) {
    case HUNK_MODE:
        rowf(out, columns, "permissions %03o -> %03o", f->base.mode, f->now.mode);
        return;
    case HUNK_RENAME: {
        char from[512];
        rowf(out, columns, "renamed from %s, %d %% alike", clean_into(from, sizeof from, span_of(f->old_path), CLEAN_QUOTE), f->similarity);
        return;
    }
    default:
        rowf(out, columns, "%s, %s%s", change_kind_name(f->kind), f->now.symlink ? "symbolic link, " : f->now.binary ? "binary, " : "",
             format_size(f->now.exists ? f->now.size : f->base.size, size));
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
    }
}

static size_t finding_rows(const struct screen *s, const struct review_item *it, size_t columns, struct buf *out)
{
    const struct verdict *v = review_verdict(s->review);
    size_t n = 0;
    char text[512];
    for (size_t i = 0; v && i < v->findings.len && n < 4; i++) {
        const struct finding *f = &v->findings.items[i];
        if (!f->file || strcmp(f->file, it->file->path) != 0)
            continue;
        rowf(out, columns, "%s%s%s line %lld: %s", style(f->severity == FINDING_BLOCK ? STYLE_BAD : STYLE_WARN), finding_severity_name(f->severity),
             style(STYLE_RESET), (long long)f->line, clean_into(text, sizeof text, span_of(f->message), CLEAN_LINE));
        n++;
    }
    return n;
}

/* The hunk's rows as one text; the frame shows a window of it. */
static void body(const struct screen *s, const struct review_item *it, size_t columns, struct buf *out)
{
    if (it->hunk->kind != HUNK_TEXT && !it->hunk->nlines)
        whole(it, columns, out);
    else if (s->side && columns >= 60)
        side_by_side(it, columns, out);
    else
        unified(s, it, columns, out);
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
    body(s, it, columns, &text);
    size_t room = rows > nnotes + 8 ? rows - nnotes - 8 : 1, shown = 0, skipped = 0, total = 0;
    struct span rest = buf_span(&text), line;
    while (span_line(&rest, &line)) {
        total++;
        if (skipped < s->scroll) {
            skipped++;
            continue;
        }
        if (shown < room) {
            buf_add_span(&frame, line);
            buf_adds(&frame, "\r\n");
            shown++;
        }
    }
    for (; shown < room; shown++)
        buf_adds(&frame, "\033[K\r\n");
    rule_line(&frame, columns);
    buf_add_span(&frame, buf_span(&notes));
    if (s->prompt != PROMPT_NONE) {
        rowf(&frame, columns, "%s%.*s_", s->prompt == PROMPT_REJECT ? "why (for the agent; Enter alone: no comment): " : "search: ",
             (int)edit_text(s->edit).n, edit_text(s->edit).p);
    } else if (s->message[0]) {
        rowf(&frame, columns, "%s%s%s", style(STYLE_WARN), s->message, style(STYLE_RESET));
    } else {
        rowf(&frame, columns, "%s%s%s", style(STYLE_DIM), total > room ? "space: more" : "", style(STYLE_RESET));
    }
    rowf(&frame, columns, "%sa%s approve %sr%s reject %sA%s file %su%s undo %sn%s next %sp%s back %ss%s side %s/%s search", style(STYLE_ACCENT),
         style(STYLE_RESET), style(STYLE_ACCENT), style(STYLE_RESET), style(STYLE_ACCENT), style(STYLE_RESET), style(STYLE_ACCENT),
         style(STYLE_RESET), style(STYLE_ACCENT), style(STYLE_RESET), style(STYLE_ACCENT), style(STYLE_RESET), style(STYLE_ACCENT),
         style(STYLE_RESET), style(STYLE_ACCENT), style(STYLE_RESET));
    buf_addf(&frame, "%sf%s finish and carry in what is approved   %sq%s later\033[K\033[J", style(STYLE_ACCENT), style(STYLE_RESET),
             style(STYLE_ACCENT), style(STYLE_RESET));
    tty_write(s->tty, buf_span(&frame));
    buf_finish(&frame);
    buf_finish(&text);
    buf_finish(&head);
    buf_finish(&notes);
}

static void go(struct screen *s, size_t to)
{
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
        decide(s, REVIEW_REJECT, text);
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
        decide(s, REVIEW_APPROVE, NULL);
        return;
    case 'A': {
        const struct change_file *f = s->items[s->at].file;
        for (size_t i = 0; i < s->nitems; i++)
            if (s->items[i].file == f && review_decide(s->review, i, REVIEW_APPROVE, NULL, s->e) < 0)
                (void)snprintf(s->message, sizeof s->message, "%.150s", s->e->text);
        next_open(s);
        return;
    }
    case 'r':
        edit_reset(s->edit);
        s->prompt = PROMPT_REJECT;
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
        (void)snprintf(s->message, sizeof s->message, "keys: a r A u n p s / f q, space and b scroll");
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
