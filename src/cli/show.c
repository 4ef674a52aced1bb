#include "cli/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bind.h"
#include "base/mem.h"
#include "base/num.h"
#include "model/chat.h"
#include "term/style.h"
#include "verify/verify.h"
#include "workspace/change.h"
#include "workspace/diff.h"

#define LINE_BYTES 200 /* of a tool's arguments or a reason shown on one line */

static void end_line(struct show *s)
{
    if (s->live_line)
        cli_outf(s->cli, "\r\033[K");
    if (s->in_text)
        cli_outf(s->cli, "\n");
    s->live_line = s->in_text = false;
}

static void live_line(struct show *s, const char *text)
{
    if (!s->cli->tty || s->quiet)
        return;
    if (s->in_text)
        return;
    char safe[100];
    (void)clean_into(safe, sizeof safe, span_of(text), CLEAN_LINE);
    cli_outf(s->cli, "\r\033[K%s%s%s", cli_style(s->cli, "dim"), safe, cli_style(s->cli, "reset"));
    s->live_line = true;
}

static const char *one_line(const char *text, char out[LINE_BYTES])
{
    return clean_into(out, LINE_BYTES, span_of(text ? text : ""), CLEAN_LINE);
}

static void on_request(void *ctx, int64_t step, int64_t prompt, int64_t window)
{
    char text[100];
    if (window)
        (void)snprintf(text, sizeof text, "step %" PRId64 ": waiting for the model (%" PRId64 " of %" PRId64 " tokens)", step, prompt, window);
    else
        (void)snprintf(text, sizeof text, "step %" PRId64 ": waiting for the model (%" PRId64 " tokens)", step, prompt);
    live_line(ctx, text);
}

static void on_progress(void *ctx, const struct chat_progress *p)
{
    char text[100], left[24];
    if (p->total_tokens <= 0)
        return;
    int n = snprintf(text, sizeof text, "reading the prompt: %" PRId64 " of %" PRId64 " tokens", p->processed_tokens + p->cached_tokens, p->total_tokens);
    if (p->left_ms > 0 && n > 0)
        (void)snprintf(text + n, sizeof text - (size_t)n, ", about %s left", format_duration(p->left_ms, left));
    live_line(ctx, text);
}

static void on_text(void *ctx, struct span piece)
{
    struct show *s = ctx;
    if (s->quiet || !piece.n)
        return;
    if (!s->in_text) {
        end_line(s);
        s->cleaner = (struct cleaner)CLEANER_INIT;
    }
    s->in_text = true;
    struct buf b = BUF_INIT(1 << 20);
    cleaner_add(&s->cleaner, &b, piece, CLEAN_TEXT);
    cli_out(s->cli, buf_span(&b));
    buf_finish(&b);
}

void show_call(const char *tool, struct span args_json, char *out, size_t size)
{
    json_t *args = NULL;
    struct err ignored = ERR_INIT;
    char text[LINE_BYTES], where[64] = "";
    (void)snprintf(out, size, "%s", tool);
    if (json_parse(args_json, BIND_TOLERANT, &args, &ignored) < 0)
        return;
    const char *command = json_string_value(json_object_get(args, "command")),
               *path = json_string_value(json_object_get(args, "path")),
               *pattern = json_string_value(json_object_get(args, "pattern"));
    json_t *line = json_object_get(args, "line"), *to = json_object_get(args, "to");
    if (json_is_integer(line) && json_is_integer(to))
        (void)snprintf(where, sizeof where, ":%" PRId64 "-%" PRId64, (int64_t)json_integer_value(line), (int64_t)json_integer_value(to));
    else if (json_is_integer(line))
        (void)snprintf(where, sizeof where, ":%" PRId64, (int64_t)json_integer_value(line));
    if (command)
        (void)snprintf(out, size, "$ %s", one_line(command, text));
    else
        (void)snprintf(out, size, "%s %s%s", tool, one_line(pattern ? pattern : path ? path : "", text), where);
    json_decref(args);
}

void show_outcome(struct span output, char *out, size_t size)
{
    struct span rest = span_trim(output), last = { "", 0 }, line;
    while (span_line(&rest, &line))
        if (line.n)
            last = line;
    out[0] = '\0';
    if (span_starts(last, "[exit ") || span_starts(output, "error: "))
        (void)clean_into(out, size, span_starts(last, "[exit ") ? last : span_sub(output, 0, LINE_BYTES / 2), CLEAN_LINE);
}

static void on_tool(void *ctx, const char *id, const char *tool, struct span args_json)
{
    struct show *s = ctx;
    (void)id;
    if (s->quiet)
        return;
    char text[LINE_BYTES + 80];
    end_line(s);
    show_call(tool, args_json, text, sizeof text);
    cli_outf(s->cli, "  %s%s%s", cli_style(s->cli, "cyan"), text, cli_style(s->cli, "reset"));
}

static void on_tool_done(void *ctx, const char *id, bool ok, struct span output, int64_t duration_ms)
{
    struct show *s = ctx;
    char t[24], text[LINE_BYTES];
    (void)id;
    if (s->quiet)
        return;
    show_outcome(output, text, sizeof text);
    bool bad = !ok || (text[0] && strcmp(text, "[exit 0]") != 0);
    cli_outf(s->cli, "  %s%s%s", cli_style(s->cli, "dim"), format_duration(duration_ms, t), cli_style(s->cli, "reset"));
    if (text[0])
        cli_outf(s->cli, "  %s%s%s", cli_style(s->cli, bad ? "yellow" : "green"), text, cli_style(s->cli, "reset"));
    cli_outf(s->cli, "\n");
}

static void on_retry(void *ctx, const char *why)
{
    struct show *s = ctx;
    char text[LINE_BYTES];
    if (s->quiet)
        return;
    end_line(s);
    cli_outf(s->cli, "  %s%s%s\n", cli_style(s->cli, "yellow"), one_line(why, text), cli_style(s->cli, "reset"));
}

static void on_stage(void *ctx, const char *stage)
{
    struct show *s = ctx;
    char text[LINE_BYTES];
    one_line(stage, text);
    if (s->quiet || strcmp(text, s->stage) == 0)
        return;
    (void)snprintf(s->stage, sizeof s->stage, "%s", text);
    end_line(s);
    cli_outf(s->cli, "%s%s%s\n", cli_style(s->cli, "dim"), text, cli_style(s->cli, "reset"));
}

static void on_gate_start(void *ctx, const struct gate *g)
{
    char text[100];
    (void)snprintf(text, sizeof text, "gate %s", g->name);
    live_line(ctx, text);
}

static void print_names(struct show *s, const char *title, const struct strings *names)
{
    char text[LINE_BYTES];
    for (size_t i = 0; i < names->len && i < 5; i++)
        cli_outf(s->cli, "      %s: %s\n", title, one_line(names->items[i], text));
    if (names->len > 5)
        cli_outf(s->cli, "      and %zu more\n", names->len - 5);
}

static void on_gate(void *ctx, const struct gate_result *r)
{
    static const struct {
        const char *mark, *color;
    } marks[] = {
        [VERDICT_PASS] = { "pass", "green" },     [VERDICT_FAIL] = { "FAIL", "red" },       [VERDICT_FLAKY] = { "flaky", "yellow" },
        [VERDICT_ERROR] = { "error", "yellow" }, [VERDICT_SKIPPED] = { "skipped", "dim" },
    };
    struct show *s = ctx;
    char t[24], name[LINE_BYTES], why[LINE_BYTES];
    end_line(s);
    if (s->quiet && r->verdict == VERDICT_PASS)
        return;
    cli_outf(s->cli, "  gate %-40s %s%s%s  %s%s%s%s%s\n", one_line(r->gate->name, name), cli_style(s->cli, marks[r->verdict].color),
             marks[r->verdict].mark, cli_style(s->cli, "reset"), cli_style(s->cli, "dim"), format_duration(r->duration_ms, t),
             r->reason && r->reason[0] ? ": " : "", one_line(r->reason, why), cli_style(s->cli, "reset"));
    print_names(s, "new", &r->new_failures);
    if (r->old_failures.len)
        cli_outf(s->cli, "      %zu failed before too\n", r->old_failures.len);
}

int show_event(void *ctx, const struct journal_event *ev)
{
    struct show *s = ctx;
    json_t *m = NULL;
    struct err ignored = ERR_INIT;
    char a[LINE_BYTES], b[LINE_BYTES];
    bool route = strcmp(ev->type, "route") == 0, escalate = strcmp(ev->type, "escalate") == 0, finding = strcmp(ev->type, "finding") == 0;
    if (s->quiet || (!route && !escalate && !finding))
        return 0;
    if (json_parse(ev->members, BIND_TOLERANT, &m, &ignored) < 0)
        return 0;
    end_line(s);
    if (route) {
        cli_outf(s->cli, "route %s%s%s", cli_style(s->cli, "bold"), one_line(json_string_value(json_object_get(m, "endpoint")), a),
                 cli_style(s->cli, "reset"));
        cli_outf(s->cli, ", model %s, %s\n", one_line(json_string_value(json_object_get(m, "model")), a),
                 json_is_true(json_object_get(m, "local")) ? "on this machine or network" : "hosted");
        size_t i;
        json_t *reason;
        json_array_foreach(json_object_get(m, "reasons"), i, reason)
            cli_outf(s->cli, "  %s%s%s\n", cli_style(s->cli, "dim"), one_line(json_string_value(reason), a), cli_style(s->cli, "reset"));
    } else if (escalate) {
        cli_outf(s->cli, "%sescalate%s to %s: %s\n", cli_style(s->cli, "yellow"), cli_style(s->cli, "reset"),
                 one_line(json_string_value(json_object_get(m, "to")), a), one_line(json_string_value(json_object_get(m, "reason")), b));
    } else {
        cli_outf(s->cli, "  %sfinding%s %s: %s\n", cli_style(s->cli, "yellow"), cli_style(s->cli, "reset"),
                 one_line(json_string_value(json_object_get(m, "file")), a), one_line(json_string_value(json_object_get(m, "message")), b));
    }
    json_decref(m);
    return 0;
}

static enum style line_style(struct span line)
{
    if (span_starts(line, "+++") || span_starts(line, "---") || span_starts(line, "diff "))
        return STYLE_BOLD;
    if (span_starts(line, "@@"))
        return STYLE_ACCENT;
    return span_starts(line, "+") ? STYLE_GOOD : span_starts(line, "-") ? STYLE_BAD : STYLE_RESET;
}

void show_diff_text(struct span diff, struct buf *out)
{
    struct span line;
    while (span_line(&diff, &line)) {
        buf_adds(out, style(line_style(line)));
        clean_add(out, line, CLEAN_TEXT | CLEAN_SHOW);
        buf_addf(out, "%s\n", style(STYLE_RESET));
    }
}

void show_diff(struct cli *cli, struct span diff)
{
    struct buf out = BUF_INIT(256u << 20);
    style_set(cli->color);
    show_diff_text(diff, &out);
    cli_out(cli, buf_span(&out));
    buf_finish(&out);
}

static void on_change(void *ctx, const struct change *c, const struct verdict *v)
{
    struct show *s = ctx;
    struct buf diff = BUF_INIT(64 << 20);
    struct err e = ERR_INIT;
    (void)v;
    if (s->quiet)
        return;
    end_line(s);
    if (change_diff(c, NULL, &diff, &e) < 0)
        cli_outf(s->cli, "the diff cannot be shown: %s\n", e.text);
    else
        show_diff(s->cli, buf_span(&diff));
    buf_finish(&diff);
}

static int decide(void *ctx, const struct change *c, const struct verdict *v, struct arena *a, struct task_decision *out, struct err *e)
{
    struct show *s = ctx;
    char answer[16] = "";
    (void)a;
    on_change(s, c, v);
    for (size_t i = 0; i < c->nfiles; i++)
        if (c->files[i].guard) {
            cli_outf(s->cli, "%sguarded%s ", cli_style(s->cli, "yellow"), cli_style(s->cli, "reset"));
            cli_out_clean(s->cli, span_of(c->files[i].path), CLEAN_LINE);
            cli_outf(s->cli, ": %s; `stead review %s` approves it\n", c->files[i].guard_why, c->id);
            out->verdict = DECISION_LATER;
            return 0;
        }
    if (!v || v->state != VERIFY_VERIFIED)
        cli_outf(s->cli, "%s%s%s\n", cli_style(s->cli, "yellow"), v ? v->reason : "no gate has looked at this change", cli_style(s->cli, "reset"));
    cli_outf(s->cli, "apply this change? [y]es, [n]o, [l]ater: ");
    if (!fgets(answer, sizeof answer, stdin))
        return 0;
    if (answer[0] == 'y' || answer[0] == 'Y') {
        out->verdict = DECISION_APPROVE;
        out->apply = true;
    } else if (answer[0] == 'n' || answer[0] == 'N') {
        out->verdict = DECISION_REJECT;
        s->rejected = true;
    }
    (void)e;
    return 0;
}

/* Asked of a person at the terminal only. */
static enum permit_answer permit(void *ctx, const struct permit_request *r, const char *rule)
{
    struct show *s = ctx;
    char text[LINE_BYTES], why[LINE_BYTES], answer[16] = "";
    if (!s->cli->tty || !isatty(STDIN_FILENO))
        return PERMIT_NO;
    end_line(s);
    cli_outf(s->cli, "%sleaving the sandbox%s: %s %s\n  %s\n  would be remembered as: ", cli_style(s->cli, "yellow"), cli_style(s->cli, "reset"),
             permit_kind_name(r->kind), one_line(r->what, text), one_line(r->why, why));
    cli_outf(s->cli, "%s\nallow? [y]es, [a]lways, [n]o, ne[v]er: ", one_line(rule, text));
    if (!fgets(answer, sizeof answer, stdin))
        return PERMIT_NO;
    return answer[0] == 'y' ? PERMIT_ONCE : answer[0] == 'a' ? PERMIT_ALWAYS : answer[0] == 'v' ? PERMIT_NEVER : PERMIT_NO;
}

void show_init(struct show *s, struct cli *cli)
{
    *s = (struct show){ .cli = cli, .quiet = cli->quiet };
    s->live = (struct attempt_events){ .ctx = s, .on_request = on_request, .on_progress = on_progress, .on_text = on_text,
                                       .on_tool = on_tool, .on_tool_done = on_tool_done, .on_retry = on_retry };
    s->events = (struct task_events){ .ctx = s, .on_stage = on_stage, .on_gate_start = on_gate_start, .on_gate = on_gate,
                                      .on_change = on_change, .decide = decide, .permit = permit };
}

const struct attempt_events *show_live(struct show *s)
{
    return &s->live;
}

const struct task_events *show_events(struct show *s)
{
    return &s->events;
}

void show_result(struct show *s, const struct task_result *r)
{
    static const char *const colors[TASK_STATUSES] = {
        [TASK_VERIFIED] = "green", [TASK_UNCHANGED] = "green", [TASK_RED] = "red",       [TASK_STOPPED] = "yellow",
        [TASK_UNSERVED] = "red",   [TASK_PENDING] = "yellow",  [TASK_FAILED] = "red",
    };
    char t[24], reason[480];
    end_line(s);
    cli_outf(s->cli, "%s%s%s", cli_style(s->cli, colors[r->status]), task_status_name(r->status), cli_style(s->cli, "reset"));
    if (r->change[0])
        cli_outf(s->cli, ", %zu file%s, %s %s", r->files, r->files == 1 ? "" : "s", r->applied ? "applied, change" : "draft", r->change);
    cli_outf(s->cli, "  %s%" PRId64 " steps, %s%s\n", cli_style(s->cli, "dim"), r->steps, format_duration(r->duration_ms, t),
             cli_style(s->cli, "reset"));
    if (r->reason[0])
        cli_outf(s->cli, "  %s\n", clean_into(reason, sizeof reason, span_of(r->reason), CLEAN_LINE));
    if (r->hint[0])
        cli_outf(s->cli, "  %s\n", clean_into(reason, sizeof reason, span_of(r->hint), CLEAN_LINE));
    else if (r->status == TASK_VERIFIED && !r->applied && r->change[0])
        cli_outf(s->cli, "  to apply it: stead change apply %s\n", r->change);
}
