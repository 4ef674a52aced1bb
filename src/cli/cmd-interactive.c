/*
 * The interactive session: `stead` without a command. What it looks like is ui.h's; here is what keys, commands and the
 * events of a task do. Keys are served while the agent works: Enter then queues a message. With --plain (or without a
 * terminal that can move its cursor) lines go in and lines come out.
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
#include "cli/ask-why.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "cli/line-help.h"
#include "cli/run-task.h"
#include "cli/show.h"
#include "cli/ui.h"
#include "config/config.h"
#include "journal/journal.h"
#include "model/chat.h"
#include "model/endpoint.h"
#include "review/review.h"
#include "task/task.h"
#include "term/style.h"
#include "verify/verify.h"
#include "workspace/change.h"
#include "workspace/diff.h"

#define SPIN_MS 120
#define DIFF_LINES 40 /* of one edit, unless unfolded */

static void end_text(struct ui *ui)
{
    struct buf b = BUF_INIT(1 << 20);
    markdown_end(&ui->md, ui_columns(ui), &b);
    if (b.n)
        ui_say(ui, buf_span(&b));
    buf_finish(&b);
}

/* --- what the agent does --- */

static void set_live(struct ui *ui, const char *text)
{
    (void)clean_into(ui->live, sizeof ui->live, span_of(text), CLEAN_LINE);
    ui_redraw(ui);
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
    end_text(ui); /* the words of the reply before, whole or broken off */
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

static const char writing[] = "writing";

static void on_call(void *ctx, const char *tool)
{
    char text[120];
    (void)snprintf(text, sizeof text, "writing a call of %s", tool);
    set_live(ctx, text);
}

static void on_text(void *ctx, struct span piece)
{
    struct ui *ui = ctx;
    struct buf b = BUF_INIT(1 << 20);
    count_tokens(ui, piece);
    if (strcmp(ui->live, writing) != 0)
        set_live(ui, writing);
    markdown_feed(&ui->md, piece, ui_columns(ui), &b);
    if (b.n)
        ui_say(ui, buf_span(&b));
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
    ui_say(ui, buf_span(&out));
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
    ui_sayf(ui, "  %s%s%s  %s%s%s%s%s\n", style(STYLE_ACCENT), ui->live, style(STYLE_RESET), style(STYLE_DIM), format_duration(duration_ms, t),
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
        ui_say(ui, buf_span(&b));
        buf_finish(&b);
    }
}

static void on_retry(void *ctx, const char *why)
{
    char text[200];
    end_text(ctx);
    ui_sayf(ctx, "  %s%s%s\n", style(STYLE_WARN), clean_into(text, sizeof text, span_of(why), CLEAN_LINE), style(STYLE_RESET));
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
    ui_sayf(ui, "  gate %s  %s%s%s  %s%s%s\n", clean_into(name, sizeof name, span_of(r->gate->name), CLEAN_LINE), style(st), gate_verdict_name(r->verdict),
         style(STYLE_RESET), format_duration(r->duration_ms, t), r->reason && r->reason[0] ? ": " : "",
         clean_into(why, sizeof why, span_of(r->reason ? r->reason : ""), CLEAN_LINE));
    for (size_t i = 0; i < r->new_failures.len && i < 5; i++)
        ui_sayf(ui, "      %s\n", clean_into(why, sizeof why, span_of(r->new_failures.items[i]), CLEAN_LINE));
}

/* Leaving the sandbox: the one thing that asks while the agent works. */
static enum permit_answer permit(void *ctx, const struct permit_request *r, const char *rule)
{
    struct ui *ui = ctx;
    char what[200], why[400], remembered[200], line[16] = "";
    struct err ignored = ERR_INIT;
    end_text(ui);
    ui_sayf(ui, "%sleaving the sandbox%s: %s %s\n  %s\n  would be remembered as: %s\n", style(STYLE_WARN), style(STYLE_RESET), permit_kind_name(r->kind),
         clean_into(what, sizeof what, span_of(r->what ? r->what : ""), CLEAN_LINE), clean_into(why, sizeof why, span_of(r->why ? r->why : ""), CLEAN_LINE),
         clean_into(remembered, sizeof remembered, span_of(rule), CLEAN_LINE));
    ui_sayf(ui, "allow? [y]es, [a]lways, [n]o, ne[v]er\n");
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
        ui_sayf(ui, "  %s\n", a == PERMIT_ONCE ? "yes, this once" : a == PERMIT_ALWAYS ? "yes, always here" : a == PERMIT_NEVER ? "never here" : "no");
    return a;
}

static void on_tick(void *ctx)
{
    struct ui *ui = ctx;
    ui->spin++;
    ui_redraw(ui);
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
        ui_sayf(ui, "  %s%-10s%s %s\n", style(STYLE_ACCENT), s->name, style(STYLE_RESET), s->summary);
    ui_sayf(ui, "  @path names a file, Tab completes; Alt-Enter or \\ and Enter: a new line; Ctrl-C stops the agent, twice leaves\n");
}

static void slash_diff(struct ui *ui, struct span arg)
{
    struct buf diff = BUF_INIT(64 << 20), colored = BUF_INIT(64 << 20);
    struct err e = ERR_INIT;
    const struct change *c = ui->task ? task_change(ui->task) : NULL;
    (void)arg;
    if (!c || !c->nfiles) {
        ui_sayf(ui, "nothing was changed\n");
        return;
    }
    if (change_diff(c, NULL, &diff, &e) < 0) {
        ui_say_error(ui, &e);
    } else {
        show_diff_text(buf_span(&diff), &colored);
        ui_say(ui, buf_span(&colored));
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
            ui_say_error(ui, &e);
        else
            ui_sayf(ui, "nothing was changed\n");
        return;
    }
    ui_sayf(ui, "%s%s%s%s%s\n", r.applied ? "applied, change " : "", r.applied ? r.change : r.reason, r.hint[0] ? "; " : "", r.hint, "");
}

static void slash_undo(struct ui *ui, struct span arg)
{
    struct err e = ERR_INIT;
    int64_t wanted = -1;
    int step;
    if (span_trim(arg).n && parse_i64(span_trim(arg), 0, 1000000, &wanted, &e) < 0) {
        err_wrap(&e, "/undo STEP");
        ui_say_error(ui, &e);
        return;
    }
    step = (int)wanted;
    if (task_undo(ui->task, &step, &e) < 0)
        ui_say_error(ui, &e);
    else if (step > 0)
        ui_sayf(ui, "the files are as they were after step %d\n", step);
    else
        ui_sayf(ui, "the files are as they were before the first step\n");
}

static void slash_compact(struct ui *ui, struct span arg)
{
    struct err e = ERR_INIT;
    (void)arg;
    struct attempt *a = ui->task ? task_attempt(ui->task) : NULL;
    int64_t freed = a ? attempt_compact(a, &e) : 0;
    if (freed < 0)
        ui_say_error(ui, &e);
    else
        ui_sayf(ui, "about %" PRId64 " tokens freed\n", freed);
}

static void slash_output(struct ui *ui, struct span arg)
{
    struct buf b = BUF_INIT(1 << 20);
    (void)arg;
    clean_add(&b, span_of(ui->last_output), CLEAN_TEXT);
    buf_addc(&b, '\n');
    ui_say(ui, buf_span(&b));
    buf_finish(&b);
}

static void slash_unfold(struct ui *ui, struct span arg)
{
    (void)arg;
    ui->unfold = !ui->unfold;
    ui_sayf(ui, ui->unfold ? "results of tools are shown whole\n" : "results of tools are folded\n");
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
        ui_sayf(ui, "%s%s%s\n", style(STYLE_DIM), buf_str(&several), style(STYLE_RESET));
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
        ui_sayf(ui, "%s%s%s\n", style(STYLE_WARN), is > 0 ? "that waits until the agent has ended; Ctrl-C stops it" : "no such command; /help lists them",
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
    ui_say(ui, buf_span(&b));
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
        ui_sayf(ui, "%sCtrl-C once more leaves%s\n", style(STYLE_DIM), style(STYLE_RESET));
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

/* w or s as an answer to the question after an interruption; any other key is what it always is. */
static bool answers_why(struct ui *ui, const struct key *k)
{
    enum why w = ui->asked_why ? why_of_key(k) : WHY_NONE;
    struct err e = ERR_INIT;
    ui->asked_why = false;
    if (w == WHY_NONE || edit_text(ui->edit).n)
        return false;
    if (why_record(ui->journal, task_session(ui->task), "interrupted", w, &e) < 0)
        ui_say_error(ui, &e);
    else
        ui_sayf(ui, "%snoted: %s%s\n", style(STYLE_DIM), why_name(w), style(STYLE_RESET));
    return true;
}

static void on_key(void *ctx, const struct key *k)
{
    struct ui *ui = ctx;
    if (answers_why(ui, k)) {
        ui_redraw(ui);
        return;
    }
    bool leaving = ui->asked_to_leave;
    ui->asked_to_leave = false;
    if (ui->asking) {
        answer_key(ui, k);
        return;
    }
    switch (edit_key(ui->edit, k)) {
    case EDIT_SUBMIT: {
        struct span t = edit_text(ui->edit);
        if (t.n >= sizeof ui->line) {
            ui_sayf(ui, "%sa message holds at most %zu KiB, this one has %zu: put it into a file and name it with @%s\n", style(STYLE_WARN),
                    sizeof ui->line / 1024, t.n / 1024, style(STYLE_RESET));
            break;
        }
        (void)snprintf(ui->line, sizeof ui->line, "%.*s", (int)t.n, t.p);
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
    ui_redraw(ui);
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
    ui_redraw(ctx);
}

/* --- the session --- */

static void turn(struct ui *ui)
{
    struct task_result r = { 0 };
    struct err e = ERR_INIT;
    char reason[600];
    if (ui->tty)
        ui_sayf(ui, "\n%s> %s%s\n", style(STYLE_BOLD), ui->line, style(STYLE_RESET));
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
        ui_say_error(ui, &e);
        return;
    }
    if (r.status == TASK_UNCHANGED)
        return;
    enum style st = r.status == TASK_VERIFIED ? STYLE_GOOD : r.status == TASK_RED || r.status == TASK_UNSERVED ? STYLE_BAD : STYLE_WARN;
    ui_sayf(ui, "%s%s%s%s%s%s\n", style(st), task_status_name(r.status), style(STYLE_RESET), r.reason[0] ? ": " : "",
         clean_into(reason, sizeof reason, span_of(r.reason), CLEAN_LINE), r.change[0] ? "; /diff shows the change, /apply carries it in" : "");
    if (r.exit == EXIT_INTERRUPTED && ui->tty) {
        ui->asked_why = true;
        ui_sayf(ui, "%s" ASK_WHY_TEXT "%s\n", style(STYLE_DIM), style(STYLE_RESET));
    }
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
        ui_sayf(ui, "no such command; /help lists them\n");
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
    ui_redraw(ui);
    while (!ui->quit) {
        ui->line_ready = false;
        int r = loop_wait(ui->loop, &ui->line_ready, 0, cli_cancel(ui->cli), e);
        if (r < 0)
            break;
        if (ui->line_ready && !ui->quit)
            handle_line(ui);
        ui_redraw(ui);
    }
    struct buf b = BUF_INIT(4096);
    ui_erase(ui, &b);
    tty_write(ui->tty, buf_span(&b));
    buf_finish(&b);
    return EXIT_DONE;
}

static int interactive_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    if (cli->json) {
        err_set(&e, ERR_USAGE, "the interactive session has no form in JSON");
        err_hint(&e, "stead run --json \"TASK\"");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
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
                                         .on_reasoning = on_reasoning, .on_call = on_call, .on_tool = on_tool, .on_written = on_written, .on_tool_done = on_tool_done,
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
        spec.journal = ui->journal = j;
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
