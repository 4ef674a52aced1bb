/*
 * The interactive session: `stead` without a command.
 *
 * What happened scrolls up and stays in the terminal's own history; the last rows are the prompt area, drawn anew under
 * it: a live line (what the model or a gate is doing), the input, a status line. Every output erases the area, writes,
 * and draws it again in one write. Keys are served while the agent works: Enter then queues a message. With
 * --plain (or without a terminal that can move its cursor) nothing is drawn twice: lines in, lines out.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/attempt.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "cli/line-help.h"
#include "cli/run-task.h"
#include "cli/show.h"
#include "config/config.h"
#include "journal/journal.h"
#include "model/chat.h"
#include "model/endpoint.h"
#include "review/review.h"
#include "task/task.h"
#include "term/edit.h"
#include "term/markdown.h"
#include "term/style.h"
#include "term/tty.h"
#include "term/width.h"
#include "verify/verify.h"
#include "workspace/change.h"
#include "workspace/diff.h"

#define OUT_BYTES (16u << 20)
#define SPIN_MS 120
#define TASK_TEXT_BYTES (1u << 16)
#define OUTPUT_BYTES (1u << 16)
#define DIFF_LINES 40 /* of one edit, unless unfolded */

struct ui {
    struct cli *cli;
    struct loop *loop;
    struct tty *tty; /* NULL: plain */
    struct edit *edit;
    struct task *task;
    struct cancel cancel;
    struct markdown md;
    struct buf edits;     /* diffs of what the running tool wrote */
    struct buf pending;   /* messages typed while nobody listened: the next turn */
    bool working, quit, line_ready, unfold;
    bool listening;       /* the agent works: a message reaches it with its next request */
    bool asking, answered; /* a question is put to the person */
    char answer;
    bool asked_to_leave;  /* Ctrl-C was pressed on an empty line: once more leaves */
    size_t area_rows, area_cursor; /* rows of the prompt area as drawn, and the row the cursor is in */
    char live[160];
    char context[48], speed[32];
    int64_t began_ms;
    int64_t step_ms, step_tokens;
    int spin;
    struct loop_source *ticker;
    char line[TASK_TEXT_BYTES];
    char last_output[OUTPUT_BYTES];
    char history[4096];
};

static size_t columns_of(const struct ui *ui)
{
    size_t rows, columns;
    if (!ui->tty)
        return term_columns();
    tty_size(ui->tty, &rows, &columns);
    return columns;
}

/* --- the prompt area --- */

static void move_up(struct buf *b, size_t rows)
{
    if (rows) /* zero would mean one */
        buf_addf(b, "\033[%zuA", rows);
}

/* Row by row: clearing to the end of the screen makes tmux and others push what was there into their history. */
static void erase_area(const struct ui *ui, struct buf *b)
{
    if (!ui->area_rows)
        return;
    move_up(b, ui->area_cursor);
    buf_addc(b, '\r');
    for (size_t i = 0; i < ui->area_rows; i++)
        buf_adds(b, i + 1 < ui->area_rows ? "\033[2K\033[B" : "\033[2K");
    move_up(b, ui->area_rows - 1);
}

static void add_cut(struct buf *b, const char *text, size_t columns)
{
    struct span s = span_of(text);
    buf_add(b, s.p, width_cut(s, columns));
}

static size_t live_rows(struct ui *ui, size_t columns, struct buf *b)
{
    static const char *const frames[] = { "|", "/", "-", "\\" };
    char t[24], text[240];
    if (!ui->working)
        return 0;
    (void)snprintf(text, sizeof text, "%s %s (%s; Ctrl-C stops, Enter queues)", frames[ui->spin & 3], ui->live[0] ? ui->live : "working",
                   format_duration(clock_ms() - ui->began_ms, t));
    buf_adds(b, style(STYLE_DIM));
    add_cut(b, text, columns - 1);
    buf_addf(b, "%s\r\n", style(STYLE_RESET));
    return 1;
}

static void status_row(struct ui *ui, size_t columns, struct buf *b)
{
    const struct endpoint *ep = ui->task ? task_endpoint(ui->task) : NULL;
    char text[300], name[80], model[80];
    (void)snprintf(text, sizeof text, "%s%s%s%s%s%s%s  /help", ep ? clean_into(name, sizeof name, span_of(ep->name), CLEAN_LINE) : "no endpoint yet",
                   ep ? " " : "", ep ? clean_into(model, sizeof model, span_of(ep->model), CLEAN_LINE) : "", ui->context[0] ? "  context " : "",
                   ui->context, ui->speed[0] ? "  " : "", ui->speed);
    buf_adds(b, style(STYLE_DIM));
    add_cut(b, text, columns - 1);
    buf_adds(b, style(STYLE_RESET));
}

static void draw_area(struct ui *ui, struct buf *b)
{
    struct edit_layout l = { .text = BUF_INIT(EDIT_TEXT_BYTES * 2) };
    size_t columns = columns_of(ui), live = live_rows(ui, columns, b), shown = 0;
    (void)edit_layout(ui->edit, columns, 2, &l);
    struct span rest = buf_span(&l.text), line;
    for (size_t i = 0; i < l.rows; i++) {
        if (!span_split(&rest, '\n', &line))
            line = SPAN("");
        buf_addf(b, "%s%s%s", style(STYLE_ACCENT), i ? ". " : "> ", style(STYLE_RESET));
        buf_add_span(b, line);
        buf_adds(b, "\r\n");
        shown++;
    }
    status_row(ui, columns, b);
    size_t total = live + shown + 1, at = live + l.cursor_row;
    move_up(b, total - 1 - at);
    buf_addf(b, "\r\033[%zuC", l.cursor_column + 2);
    ui->area_rows = total;
    ui->area_cursor = at;
    buf_finish(&l.text);
}

static void redraw(struct ui *ui)
{
    struct buf b = BUF_INIT(OUT_BYTES);
    if (!ui->tty)
        return;
    buf_adds(&b, "\033[?25l");
    erase_area(ui, &b);
    draw_area(ui, &b);
    buf_adds(&b, "\033[?25h");
    tty_write(ui->tty, buf_span(&b));
    buf_finish(&b);
}

/* Text that stays: complete lines, each ends with \n. */
static void say(struct ui *ui, struct span text)
{
    if (!ui->tty) {
        cli_out(ui->cli, text);
        cli_out_now();
        return;
    }
    struct buf b = BUF_INIT(OUT_BYTES);
    buf_adds(&b, "\033[?25l");
    erase_area(ui, &b);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n')
            buf_addc(&b, '\r');
        buf_addc(&b, text.p[i]);
    }
    draw_area(ui, &b);
    buf_adds(&b, "\033[?25h");
    tty_write(ui->tty, buf_span(&b));
    buf_finish(&b);
}

__attribute__((format(printf, 2, 3))) static void sayf(struct ui *ui, const char *fmt, ...)
{
    struct buf b = BUF_INIT(1 << 20);
    va_list ap;
    va_start(ap, fmt);
    buf_addv(&b, fmt, ap);
    va_end(ap);
    say(ui, buf_span(&b));
    buf_finish(&b);
}

static void say_error(struct ui *ui, const struct err *e)
{
    char text[sizeof e->text * 2], hint[sizeof e->hint * 2];
    sayf(ui, "%s%s%s\n", style(STYLE_BAD), clean_into(text, sizeof text, span_of(e->text), CLEAN_LINE), style(STYLE_RESET));
    if (e->hint[0])
        sayf(ui, "  try: %s\n", clean_into(hint, sizeof hint, span_of(e->hint), CLEAN_LINE));
}

static void end_text(struct ui *ui)
{
    struct buf b = BUF_INIT(1 << 20);
    markdown_end(&ui->md, columns_of(ui), &b);
    if (b.n)
        say(ui, buf_span(&b));
    buf_finish(&b);
}

/* --- what the agent does --- */

static void set_live(struct ui *ui, const char *text)
{
    (void)clean_into(ui->live, sizeof ui->live, span_of(text), CLEAN_LINE);
    redraw(ui);
}

static void deliver_pending(struct ui *ui)
{
    struct attempt *a = ui->pending.n ? task_attempt(ui->task) : NULL;
    struct err ignored = ERR_INIT;
    if (a && attempt_tell(a, buf_span(&ui->pending), &ignored) == 0)
        buf_reset(&ui->pending);
}

static void on_request(void *ctx, int64_t step, int64_t prompt, int64_t window)
{
    struct ui *ui = ctx;
    char text[100];
    ui->listening = true;
    deliver_pending(ui);
    if (window > 0)
        (void)snprintf(ui->context, sizeof ui->context, "%d %% of %" PRId64 "k", (int)(prompt * 100 / window), (window + 512) / 1024);
    else
        (void)snprintf(ui->context, sizeof ui->context, "%" PRId64 " tokens", prompt);
    (void)snprintf(text, sizeof text, "step %" PRId64 ": waiting for the model", step);
    ui->step_ms = 0;
    ui->step_tokens = 0;
    set_live(ui, text);
}

static void on_progress(void *ctx, const struct chat_progress *p)
{
    char text[140], left[24];
    if (p->total_tokens <= 0)
        return;
    int n = snprintf(text, sizeof text, "reading the prompt: %d %%", (int)((p->processed_tokens + p->cached_tokens) * 100 / p->total_tokens));
    if (p->left_ms > 0 && n > 0)
        (void)snprintf(text + n, sizeof text - (size_t)n, ", about %s left", format_duration(p->left_ms, left));
    set_live(ctx, text);
}

static void count_tokens(struct ui *ui, struct span piece)
{
    if (!ui->step_ms)
        ui->step_ms = clock_ms();
    ui->step_tokens += piece.n ? 1 : 0; /* servers stream a token a piece */
    int64_t ms = clock_ms() - ui->step_ms;
    if (ms > 500)
        (void)snprintf(ui->speed, sizeof ui->speed, "%.0f tokens/s", (double)ui->step_tokens * 1000 / (double)ms);
}

static void on_text(void *ctx, struct span piece)
{
    struct ui *ui = ctx;
    struct buf b = BUF_INIT(1 << 20);
    count_tokens(ui, piece);
    markdown_feed(&ui->md, piece, columns_of(ui), &b);
    if (b.n)
        say(ui, buf_span(&b));
    buf_finish(&b);
}

static void on_reasoning(void *ctx, struct span piece)
{
    struct ui *ui = ctx;
    count_tokens(ui, piece);
    if (strcmp(ui->live, "thinking") != 0)
        set_live(ui, "thinking");
}

static void on_tool(void *ctx, const char *id, const char *tool, struct span args)
{
    struct ui *ui = ctx;
    char text[200];
    (void)id;
    end_text(ui);
    show_call(tool, args, text, sizeof text);
    set_live(ui, text);
}

static void on_written(void *ctx, const char *path, struct span before, struct span after)
{
    struct ui *ui = ctx;
    struct buf diff = BUF_INIT(64 << 20);
    struct err ignored = ERR_INIT;
    if (diff_text(before, after, path, path, &diff, &ignored) == 0) {
        struct span rest = buf_span(&diff);
        ptrdiff_t hunk = span_find(rest, SPAN("\n@@ "));
        if (hunk >= 0)
            buf_add_span(&ui->edits, span_sub(rest, (size_t)hunk + 1, rest.n));
    }
    buf_finish(&diff);
}

static void say_edits(struct ui *ui)
{
    struct buf colored = BUF_INIT(64 << 20), out = BUF_INIT(64 << 20);
    show_diff_text(buf_span(&ui->edits), &colored);
    struct span rest = buf_span(&colored), line;
    size_t n = 0, left = 0;
    while (span_line(&rest, &line)) {
        if (n++ >= DIFF_LINES && !ui->unfold)
            left++;
        else
            buf_addf(&out, "    %.*s\n", (int)line.n, line.p);
    }
    if (left)
        buf_addf(&out, "    %s... %zu more lines; /diff shows all%s\n", style(STYLE_DIM), left, style(STYLE_RESET));
    say(ui, buf_span(&out));
    buf_finish(&colored);
    buf_finish(&out);
    buf_reset(&ui->edits);
}

/* An edit is shown as its diff; other results fold to one line. */
static void on_tool_done(void *ctx, const char *id, bool ok, struct span output, int64_t duration_ms)
{
    struct ui *ui = ctx;
    char t[24], last[160];
    (void)id;
    show_outcome(output, last, sizeof last);
    sayf(ui, "  %s%s%s  %s%s%s%s%s\n", style(STYLE_ACCENT), ui->live, style(STYLE_RESET), style(STYLE_DIM), format_duration(duration_ms, t),
         style(ok ? STYLE_DIM : STYLE_WARN), last[0] ? "  " : "", last);
    (void)snprintf(ui->last_output, sizeof ui->last_output, "%.*s", (int)(output.n < sizeof ui->last_output ? output.n : sizeof ui->last_output - 1), output.p);
    if (ui->edits.n) {
        say_edits(ui);
    } else if (ui->unfold) {
        struct buf b = BUF_INIT(1 << 20);
        struct span rest = output, line;
        size_t n = 0;
        while (span_line(&rest, &line) && n++ < 200) {
            buf_addf(&b, "    %s", style(STYLE_DIM));
            clean_add(&b, line, CLEAN_TEXT);
            buf_addf(&b, "%s\n", style(STYLE_RESET));
        }
        say(ui, buf_span(&b));
        buf_finish(&b);
    }
}

static void on_retry(void *ctx, const char *why)
{
    char text[200];
    sayf(ctx, "  %s%s%s\n", style(STYLE_WARN), clean_into(text, sizeof text, span_of(why), CLEAN_LINE), style(STYLE_RESET));
}

static void on_stage(void *ctx, const char *text)
{
    struct ui *ui = ctx;
    ui->listening = false;
    end_text(ctx);
    set_live(ctx, text);
}

static void on_gate_start(void *ctx, const struct gate *g)
{
    char text[140];
    (void)snprintf(text, sizeof text, "gate %s", g->name);
    set_live(ctx, text);
}

static void on_gate(void *ctx, const struct gate_result *r)
{
    struct ui *ui = ctx;
    char t[24], name[120], why[160];
    enum style st = r->verdict == VERDICT_PASS ? STYLE_GOOD : r->verdict == VERDICT_FAIL ? STYLE_BAD : STYLE_WARN;
    sayf(ui, "  gate %s  %s%s%s  %s%s%s\n", clean_into(name, sizeof name, span_of(r->gate->name), CLEAN_LINE), style(st), gate_verdict_name(r->verdict),
         style(STYLE_RESET), format_duration(r->duration_ms, t), r->reason && r->reason[0] ? ": " : "",
         clean_into(why, sizeof why, span_of(r->reason ? r->reason : ""), CLEAN_LINE));
    for (size_t i = 0; i < r->new_failures.len && i < 5; i++)
        sayf(ui, "      %s\n", clean_into(why, sizeof why, span_of(r->new_failures.items[i]), CLEAN_LINE));
}

/* Leaving the sandbox: the one thing that asks while the agent works. */
static enum permit_answer permit(void *ctx, const struct permit_request *r, const char *rule)
{
    struct ui *ui = ctx;
    char what[200], why[400], remembered[200], line[16] = "";
    struct err ignored = ERR_INIT;
    end_text(ui);
    sayf(ui, "%sleaving the sandbox%s: %s %s\n  %s\n  would be remembered as: %s\n", style(STYLE_WARN), style(STYLE_RESET), permit_kind_name(r->kind),
         clean_into(what, sizeof what, span_of(r->what ? r->what : ""), CLEAN_LINE), clean_into(why, sizeof why, span_of(r->why ? r->why : ""), CLEAN_LINE),
         clean_into(remembered, sizeof remembered, span_of(rule), CLEAN_LINE));
    sayf(ui, "allow? [y]es, [a]lways, [n]o, ne[v]er\n");
    if (!ui->tty) {
        ui->answer = fgets(line, sizeof line, stdin) ? line[0] : 'n';
    } else {
        ui->asking = true;
        ui->answered = false;
        ui->answer = 'n';
        set_live(ui, "allow? y, a, n or v");
        if (loop_wait(ui->loop, &ui->answered, 0, &ui->cancel, &ignored) < 0)
            ui->answer = 'n';
        ui->asking = false;
    }
    enum permit_answer a = ui->answer == 'y' ? PERMIT_ONCE : ui->answer == 'a' ? PERMIT_ALWAYS : ui->answer == 'v' ? PERMIT_NEVER : PERMIT_NO;
    if (ui->tty)
        sayf(ui, "  %s\n", a == PERMIT_ONCE ? "yes, this once" : a == PERMIT_ALWAYS ? "yes, always here" : a == PERMIT_NEVER ? "never here" : "no");
    return a;
}

static void on_tick(void *ctx)
{
    struct ui *ui = ctx;
    ui->spin++;
    redraw(ui);
}

/* --- commands --- */

struct slash {
    const char *name, *summary;
    void (*run)(struct ui *ui, struct span arg);
    bool anytime; /* also while the agent works */
};
static const struct slash slashes[9];

static void slash_help(struct ui *ui, struct span arg)
{
    (void)arg;
    for (const struct slash *s = slashes; s->name; s++)
        sayf(ui, "  %s%-10s%s %s\n", style(STYLE_ACCENT), s->name, style(STYLE_RESET), s->summary);
    sayf(ui, "  @path names a file, Tab completes; Alt-Enter or \\ and Enter: a new line; Ctrl-C stops the agent, twice leaves\n");
}

static void slash_diff(struct ui *ui, struct span arg)
{
    struct buf diff = BUF_INIT(64 << 20), colored = BUF_INIT(64 << 20);
    struct err e = ERR_INIT;
    const struct change *c = ui->task ? task_change(ui->task) : NULL;
    (void)arg;
    if (!c || !c->nfiles) {
        sayf(ui, "nothing was changed\n");
        return;
    }
    if (change_diff(c, NULL, &diff, &e) < 0) {
        say_error(ui, &e);
    } else {
        show_diff_text(buf_span(&diff), &colored);
        say(ui, buf_span(&colored));
    }
    buf_finish(&diff);
    buf_finish(&colored);
}

static void slash_apply(struct ui *ui, struct span arg)
{
    struct task_result r = { 0 };
    struct err e = ERR_INIT;
    (void)arg;
    if (!ui->task || task_apply(ui->task, &r, &e) < 0) {
        if (ui->task)
            say_error(ui, &e);
        else
            sayf(ui, "nothing was changed\n");
        return;
    }
    sayf(ui, "%s%s%s%s%s\n", r.applied ? "applied, change " : "", r.applied ? r.change : r.reason, r.hint[0] ? "; " : "", r.hint, "");
}

static void slash_undo(struct ui *ui, struct span arg)
{
    struct err e = ERR_INIT;
    int64_t wanted = -1;
    int step;
    if (span_trim(arg).n && parse_i64(span_trim(arg), 0, 1000000, &wanted, &e) < 0) {
        err_wrap(&e, "/undo STEP");
        say_error(ui, &e);
        return;
    }
    step = (int)wanted;
    if (task_undo(ui->task, &step, &e) < 0)
        say_error(ui, &e);
    else if (step > 0)
        sayf(ui, "the files are as they were after step %d\n", step);
    else
        sayf(ui, "the files are as they were before the first step\n");
}

static void slash_compact(struct ui *ui, struct span arg)
{
    struct err e = ERR_INIT;
    (void)arg;
    struct attempt *a = ui->task ? task_attempt(ui->task) : NULL;
    int64_t freed = a ? attempt_compact(a, &e) : 0;
    if (freed < 0)
        say_error(ui, &e);
    else
        sayf(ui, "about %" PRId64 " tokens freed\n", freed);
}

static void slash_output(struct ui *ui, struct span arg)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)arg;
    clean_add(&b, span_of(ui->last_output), CLEAN_TEXT);
    buf_addc(&b, '\n');
    say(ui, buf_span(&b));
    buf_finish(&b);
}

static void slash_unfold(struct ui *ui, struct span arg)
{
    (void)arg;
    ui->unfold = !ui->unfold;
    sayf(ui, ui->unfold ? "results of tools are shown whole\n" : "results of tools are folded\n");
}

static void slash_quit(struct ui *ui, struct span arg)
{
    (void)arg;
    ui->quit = true;
    if (ui->working) {
        cancel_raise(&ui->cancel, "the person left");
        loop_wake(ui->loop);
    }
}

static const struct slash slashes[9] = {
    { "/apply", "carry the change into the workspace", slash_apply },
    { "/compact", "free context now", slash_compact },
    { "/diff", "the change so far", slash_diff },
    { "/help", "this list", slash_help, .anytime = true },
    { "/output", "the last tool's whole result", slash_output, .anytime = true },
    { "/quit", "leave; the session and the draft are kept", slash_quit, .anytime = true },
    { "/undo", "[STEP]: files back to the state after that step (0: untouched), else to before the last that wrote", slash_undo },
    { "/unfold", "show results of tools whole, or folded again", slash_unfold, .anytime = true },
    { NULL, NULL, NULL },
};

static void complete(struct ui *ui)
{
    const char *names[COUNT_OF(slashes)];
    struct buf several = BUF_INIT(OUT_BYTES);
    for (size_t i = 0; i < COUNT_OF(slashes); i++)
        names[i] = slashes[i].name;
    complete_word(ui->edit, names, &several);
    if (several.n)
        sayf(ui, "%s%s%s\n", style(STYLE_DIM), buf_str(&several), style(STYLE_RESET));
    buf_finish(&several);
}

/* --- what is typed --- */

/* The command that a line begins with: 1 and its row, 0 for a line that is a message ("/etc/hosts is wrong"), -1 unknown. */
static int find_slash(struct span line, const struct slash **out, struct span *arg)
{
    struct span rest = line, word;
    if (!line.n || line.p[0] != '/' || !span_split(&rest, ' ', &word) || span_findc(span_sub(word, 1, word.n), '/') >= 0)
        return 0;
    *arg = rest;
    for (const struct slash *s = slashes; s->name; s++)
        if (span_eqs(word, s->name)) {
            *out = s;
            return 1;
        }
    return -1;
}

/* Enter while the agent works: a command that may run now, else a message for it. */
static void typed_meanwhile(struct ui *ui)
{
    const struct slash *s = NULL;
    struct span line = span_trim(span_of(ui->line)), arg;
    int is = find_slash(line, &s, &arg);
    if (is > 0 && s->anytime) {
        s->run(ui, arg);
        return;
    }
    if (is != 0) {
        sayf(ui, "%s%s%s\n", style(STYLE_WARN), is > 0 ? "that waits until the agent has ended; Ctrl-C stops it" : "no such command; /help lists them",
             style(STYLE_RESET));
        return;
    }
    buf_adds(&ui->pending, ui->pending.n ? "\n\n" : "");
    buf_add_span(&ui->pending, line);
    if (ui->listening)
        deliver_pending(ui);
    struct buf b = BUF_INIT(OUT_BYTES);
    buf_addf(&b, "%squeued: ", style(STYLE_DIM));
    clean_add(&b, line, CLEAN_TEXT);
    buf_addf(&b, "%s\n", style(STYLE_RESET));
    say(ui, buf_span(&b));
    buf_finish(&b);
}

static void interrupt(struct ui *ui, bool leaving)
{
    if (ui->working) {
        if (ui->cancel.raised) /* the second time does not wait for a clean end */
            ui->quit = true;
        cancel_raise(&ui->cancel, "interrupted");
    } else if (edit_text(ui->edit).n) {
        edit_reset(ui->edit);
    } else if (leaving) {
        ui->quit = ui->line_ready = true;
    } else {
        ui->asked_to_leave = true;
        sayf(ui, "%sCtrl-C once more leaves%s\n", style(STYLE_DIM), style(STYLE_RESET));
    }
    loop_wake(ui->loop);
}

/* A key while a question is open: the answer, or nothing. */
static void answer_key(struct ui *ui, const struct key *k)
{
    bool no = k->code == KEY_ESCAPE || (k->code == KEY_CTRL && (k->c == 'c' || k->c == 'd'));
    if (!no && (k->code != KEY_CHAR || !strchr("yanvYANV", (int)(k->c < 128 ? k->c : '?'))))
        return;
    ui->answer = no ? 'n' : (char)(k->c | 32);
    ui->answered = true;
    if (no && k->code == KEY_CTRL)
        interrupt(ui, false);
    loop_wake(ui->loop);
}

static void on_key(void *ctx, const struct key *k)
{
    struct ui *ui = ctx;
    bool leaving = ui->asked_to_leave;
    ui->asked_to_leave = false;
    if (ui->asking) {
        answer_key(ui, k);
        return;
    }
    switch (edit_key(ui->edit, k)) {
    case EDIT_SUBMIT: {
        struct span t = edit_text(ui->edit);
        (void)snprintf(ui->line, sizeof ui->line, "%.*s", (int)utf8_cut(t, t.n < sizeof ui->line ? t.n : sizeof ui->line - 1), t.p);
        edit_remember(ui->edit, t);
        edit_reset(ui->edit);
        if (!span_trim(span_of(ui->line)).n)
            break;
        if (ui->working) {
            typed_meanwhile(ui);
            break;
        }
        ui->line_ready = true;
        loop_wake(ui->loop);
        break;
    }
    case EDIT_COMPLETE:
        complete(ui);
        break;
    case EDIT_INTERRUPT:
        interrupt(ui, leaving);
        break;
    case EDIT_EOF:
        if (ui->working)
            cancel_raise(&ui->cancel, "the terminal is gone");
        ui->quit = ui->line_ready = true;
        loop_wake(ui->loop);
        break;
    case EDIT_REDRAW:
        tty_write(ui->tty, SPAN("\033[H\033[2J"));
        ui->area_rows = ui->area_cursor = 0;
        break;
    default:
        break;
    }
    redraw(ui);
}

/* SIGTERM and SIGHUP leave; SIGINT (no key without a screen) is Ctrl-C. The loop's thread. */
static void on_signal(void *ctx, int signo)
{
    struct ui *ui = ctx;
    if (signo == SIGINT && !ui->working)
        return; /* plain_session has seen it */
    if (signo != SIGINT || ui->cancel.raised)
        ui->quit = ui->line_ready = true;
    if (ui->working)
        cancel_raise(&ui->cancel, signo == SIGINT ? "interrupted" : "asked to stop");
    loop_wake(ui->loop);
}

static void on_resize(void *ctx)
{
    struct ui *ui = ctx;
    /* the terminal has wrapped what was drawn: the old area cannot be found again, so it stays above */
    ui->area_rows = ui->area_cursor = 0;
    tty_write(ui->tty, SPAN("\r\n"));
    redraw(ui);
}

/* --- the session --- */

static void turn(struct ui *ui)
{
    struct task_result r = { 0 };
    struct err e = ERR_INIT;
    char reason[600];
    if (ui->tty)
        sayf(ui, "\n%s> %s%s\n", style(STYLE_BOLD), ui->line, style(STYLE_RESET));
    ui->cancel = (struct cancel){ 0 };
    ui->working = true;
    ui->listening = false;
    ui->live[0] = '\0';
    ui->began_ms = clock_ms();
    ui->ticker = ui->tty ? loop_timer(ui->loop, SPIN_MS, true, on_tick, ui) : NULL;
    int rc = task_turn(ui->task, span_of(ui->line), &r, &ui->cancel, &e);
    loop_remove(ui->ticker);
    ui->ticker = NULL;
    ui->working = ui->listening = false;
    end_text(ui);
    if (rc < 0) {
        say_error(ui, &e);
        return;
    }
    if (r.status == TASK_UNCHANGED)
        return;
    enum style st = r.status == TASK_VERIFIED ? STYLE_GOOD : r.status == TASK_RED || r.status == TASK_UNSERVED ? STYLE_BAD : STYLE_WARN;
    sayf(ui, "%s%s%s%s%s%s\n", style(st), task_status_name(r.status), style(STYLE_RESET), r.reason[0] ? ": " : "",
         clean_into(reason, sizeof reason, span_of(r.reason), CLEAN_LINE), r.change[0] ? "; /diff shows the change, /apply carries it in" : "");
}

static void handle_line(struct ui *ui)
{
    struct span line = span_trim(span_of(ui->line)), arg;
    const struct slash *s = NULL;
    if (!line.n)
        return;
    int is = find_slash(line, &s, &arg);
    if (is > 0)
        s->run(ui, arg);
    else if (is < 0)
        sayf(ui, "no such command; /help lists them\n");
    else
        turn(ui);
    while (ui->pending.n && !ui->quit && !ui->cancel.raised) { /* typed when the agent had ended already */
        (void)snprintf(ui->line, sizeof ui->line, "%s", buf_str(&ui->pending));
        buf_reset(&ui->pending);
        turn(ui);
    }
    if (ui->pending.n && ui->tty && !edit_text(ui->edit).n) /* interrupted: back to the person */
        edit_set(ui->edit, buf_span(&ui->pending));
    buf_reset(&ui->pending);
}

static int plain_session(struct ui *ui)
{
    bool asked = false;
    while (!ui->quit) {
        cli_outf(ui->cli, "> ");
        cli_out_now();
        errno = 0;
        if (fgets(ui->line, sizeof ui->line, stdin)) {
            asked = false;
            handle_line(ui);
            continue;
        }
        bool interrupted = ferror(stdin) && errno == EINTR;
        loop_poll(ui->loop); /* which signal it was */
        if (!interrupted || asked || ui->quit)
            break;
        clearerr(stdin);
        asked = true;
        cli_outf(ui->cli, "\nCtrl-C once more leaves\n");
    }
    return EXIT_DONE;
}

static int screen_session(struct ui *ui, struct err *e)
{
    redraw(ui);
    while (!ui->quit) {
        ui->line_ready = false;
        int r = loop_wait(ui->loop, &ui->line_ready, 0, cli_cancel(ui->cli), e);
        if (r < 0)
            break;
        if (ui->line_ready && !ui->quit)
            handle_line(ui);
        redraw(ui);
    }
    struct buf b = BUF_INIT(4096);
    erase_area(ui, &b);
    tty_write(ui->tty, buf_span(&b));
    buf_finish(&b);
    return EXIT_DONE;
}

static int interactive_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct ui *ui = calloc(1, sizeof *ui);
    AUTO(ptr) char *workspace = getcwd(NULL, 0);
    AUTO(journal) struct journal *j = NULL;
    struct config *cfg = cli_config(cli, &e);
    int code = EXIT_FAILED;
    if (!cfg) {
        free(ui);
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    const struct attempt_events live = { .ctx = ui, .on_request = on_request, .on_progress = on_progress, .on_text = on_text,
                                         .on_reasoning = on_reasoning, .on_tool = on_tool, .on_written = on_written, .on_tool_done = on_tool_done,
                                         .on_retry = on_retry };
    const struct task_events events = { .ctx = ui, .on_stage = on_stage, .on_gate_start = on_gate_start, .on_gate = on_gate,
                                        .permit = permit };
    if (!ui || !workspace || edit_create(&ui->edit, &e) < 0) {
        free(ui);
        return cli_fail(cli, EXIT_FAILED, &e);
    }
    ui->cli = cli;
    ui->md = (struct markdown)MARKDOWN_INIT;
    buf_init(&ui->edits, 64 << 20);
    buf_init(&ui->pending, TASK_TEXT_BYTES);
    ui->loop = cli_loop(cli, &e);
    style_set(cli->color);
    struct task_spec spec = { .loop = ui->loop, .config = cfg, .workspace = workspace, .kind = "chat", .approve = TASK_NEVER,
                              .resume = cli_string(cli, "resume"), .endpoint = cli_string(cli, "endpoint"), .model = cli_string(cli, "model"),
                              .live = &live, .events = &events };
    (void)snprintf(ui->history, sizeof ui->history, "%s/history", config_state_dir(cfg));
    const char *term = getenv("TERM"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    bool plain = cli_flag(cli, "plain") || !cli->tty || !isatty(STDIN_FILENO) || !term || strcmp(term, "dumb") == 0;
    cli_on_stop(on_signal, ui);
    if (!ui->loop || journal_open(config_journal_path(cfg), JOURNAL_CREATE, &j, &e) < 0) {
        code = cli_fail(cli, cli_exit_of(&e), &e);
    } else {
        spec.journal = j;
        history_load(ui->edit, ui->history);
        if (task_open(&spec, &ui->task, &e) < 0 || (!plain && tty_open(ui->loop, on_key, on_resize, ui, &ui->tty, &e) < 0)) {
            code = cli_fail(cli, cli_exit_of(&e), &e);
        } else {
            code = plain ? plain_session(ui) : screen_session(ui, &e);
            history_save(ui->edit, ui->history);
        }
    }
    cli_on_stop(NULL, NULL);
    tty_close(ui->tty);
    task_close(ui->task);
    edit_destroy(ui->edit);
    markdown_finish(&ui->md);
    buf_finish(&ui->edits);
    buf_finish(&ui->pending);
    free(ui);
    return code;
}

static const struct option interactive_options[] = {
    { "endpoint", 0, OPT_STRING, "NAME|URL", "use this endpoint" },
    { "model", 0, OPT_STRING, "NAME", "ask for this model" },
    { "resume", 0, OPT_STRING, "SESSION", "go on with this session" },
    { "plain", 0, OPT_FLAG, NULL, "lines in, lines out: for screen readers and simple terminals" },
    { 0 },
};

const struct command cmd_interactive = {
    "interactive", "interactive session in this directory", "[options]", interactive_options, 0, 0, interactive_main,
    .about = "Type a task or a question. The agent works in a sandbox over a private layer of this directory; gates run over what it\n"
             "changed; /apply carries it in. While it works, Enter queues a message and Ctrl-C stops it.",
};
