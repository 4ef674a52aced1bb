/* The tool calls of one reply: run, recorded, answered, and a checkpoint after those that wrote. */
#include "agent/stead-internal.h"

#define LOG_MODULE "agent"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "journal/journal.h"
#include "sandbox/sandbox.h"
#include "workspace/layer.h"

enum { RESULT_BYTES = 8 << 20 };

/* Path arguments lead to notes of the directories that they enter. */
static void add_directory_notes(struct stead *s, struct tool_run *run, struct span args_json)
{
    if (!run->ok || !(run->tool->needs & TOOL_READS) || (run->tool->needs & TOOL_SPAWNS))
        return;
    AUTO(json) json_t *args = NULL;
    struct err ignored = ERR_INIT;
    if (json_parse(args_json, BIND_TOLERANT, &args, &ignored) < 0)
        return;
    const char *path = json_string_value(json_object_get(args, "path"));
    if (path)
        context_notes_for(&s->notes, &s->context, path, run->out);
}

static int answer(struct stead *s, struct tool_run *run, const struct tool_call *call, struct err *e)
{
    int64_t took = clock_ms() - run->started_ms;
    s->tool_calls++;
    s->tool_errors += !run->ok;
    if (!utf8_valid(buf_span(run->out))) {
        AUTO(buf) struct buf valid = BUF_INIT(3 * RESULT_BYTES);
        utf8_add_valid(&valid, buf_span(run->out));
        buf_reset(run->out);
        buf_add_span(run->out, buf_span(&valid));
    }
    struct span text = buf_span(run->out);
    int r = record_result(&s->record, call->id, call->name, run->ok, text, took, run->truncated, e);
    if (r >= 0)
        r = chat_add_tool_result(s->chat, call->id, text, run->ok, e);
    stead_note(&s->last, text);
    if (s->events.on_tool_done)
        s->events.on_tool_done(s->events.ctx, call->id, run->ok, text, took);
    return r;
}

static int give_up_call(struct stead *s, struct tool_run *run, const struct tool_call *call, const char *why, struct err *e)
{
    if (run->job) {
        sandbox_job_destroy(run->job);
        run->job = NULL;
    }
    run->ok = false;
    buf_reset(run->out);
    buf_adds(run->out, why);
    return answer(s, run, call, e);
}

static int checkpoint(struct stead *s, struct arena *arena, struct err *e)
{
    if (!s->spec.layer)
        return 0;
    struct strings files = { 0 };
    int r = layer_checkpoint(s->spec.layer, s->spec.sandbox, (int)s->step, arena, &files, e);
    if (r < 0 && e->kind == ERR_UNAVAILABLE && sandbox_alive(s->spec.sandbox)) {
        /* A background job holds the tree: what was written goes into the next checkpoint. */
        log_info("no checkpoint after step %lld: %s", (long long)s->step, e->text);
        s->unsaved = true;
        return 0;
    }
    if (r < 0)
        return err_wrap(e, "checkpoint after step %lld", (long long)s->step);
    if (r == 0)
        return 0;
    s->unsaved = false;
    s->files_written += (int64_t)files.len;
    for (size_t i = 0; i < files.len; i++) {
        AUTO(buf) struct buf line = BUF_INIT(8192);
        buf_addf(&line, "%s\n", files.items[i]);
        if (span_find(buf_span(&s->files), buf_span(&line)) < 0)
            stead_note(&s->files, buf_span(&line));
    }
    if (files.len == 0) /* caches and build output only: nothing to tell */
        return 0;
    return record_checkpoint(&s->record, s->step, &files, e);
}

static int add_images(struct stead *s, struct tool_run *runs, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (!runs[i].image_mime)
            continue;
        struct err why = ERR_INIT;
        if (chat_add_image(s->chat, runs[i].image_mime, runs[i].image, &why) < 0) {
            char text[700];
            (void)snprintf(text, sizeof text, "The picture could not be shown: %s", why.text);
            int r = chat_add_user(s->chat, span_of(text), e);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

int stead_calls(struct stead *s, const struct reply *reply, struct arena *arena, struct attempt_result *result, struct err *e)
{
    size_t n = reply->ncalls;
    struct tool_run *runs = arena_array(arena, n, sizeof *runs);
    struct buf *outs = arena_array(arena, n, sizeof *outs);
    if (!runs || !outs)
        return err_set(e, ERR_NOMEM, "running tools: out of memory");
    int r = 0;
    bool stopped = false, cancelled = false, gone = false;
    unsigned needs = 0;
    unsigned times = 0;
    const char *looping = "";
    for (size_t i = 0; i < n; i++) {
        buf_init(&outs[i], RESULT_BYTES);
        runs[i] = (struct tool_run){ .env = &s->env, .tool = tool_find(reply->calls[i].name), .id = reply->calls[i].id,
                                     .arena = arena, .out = &outs[i], .started_ms = clock_ms() };
    }
    /* What only reads may run at once, up to the first call that may write. */
    size_t ahead = 0;
    while (ahead < n && runs[ahead].tool && runs[ahead].tool->needs == TOOL_READS)
        ahead++;
    if (ahead < 2)
        ahead = 0;
    for (size_t i = 0; i < ahead; i++)
        tool_begin(&runs[i], reply->calls[i].args);
    for (size_t i = 0; i < n && r >= 0; i++) {
        const struct tool_call *call = &reply->calls[i];
        struct tool_run *run = &runs[i];
        r = record_call(&s->record, s->step, call, e);
        if (r < 0)
            break;
        if (s->events.on_tool)
            s->events.on_tool(s->events.ctx, call->id, call->name, call->args);
        if (stopped || cancelled || gone || !run->tool) {
            r = give_up_call(s, run, call,
                             cancelled     ? "error: not run: interrupted"
                             : gone        ? "error: not run: the sandbox has ended"
                             : !run->tool  ? "error: no such tool"
                                           : "error: not run",
                             e);
            continue;
        }
        if (i >= ahead)
            tool_begin(run, call->args);
        struct err why = ERR_INIT;
        needs |= run->args ? run->tool->needs : 0;
        int done = tool_finish(run, &why);
        if (done < 0) {
            cancelled = why.kind == ERR_CANCELLED;
            gone = !cancelled;
            r = give_up_call(s, run, call, cancelled ? "error: interrupted" : "error: the sandbox has ended", e);
            continue;
        }
        add_directory_notes(s, run, call->args);
        enum repeat_verdict v = repeat_add(&s->repeat, call->name, call->args, buf_span(run->out), run->ok);
        if (v == REPEAT_WARN)
            buf_addf(run->out,
                     "\n[this call has given this result %u times: try something else, or end your turn and say what stands in the way]",
                     s->repeat.count);
        if (v == REPEAT_STOP) {
            stopped = true;
            times = s->repeat.count;
            looping = call->name;
        }
        r = answer(s, run, call, e);
    }
    if (r >= 0)
        r = add_images(s, runs, n, e);
    for (size_t i = 0; i < n; i++) {
        sandbox_job_destroy(runs[i].job);
        buf_finish(&outs[i]);
    }
    if (r >= 0 && !gone && ((needs & (TOOL_WRITES | TOOL_SPAWNS)) || s->unsaved))
        r = checkpoint(s, arena, e);
    if (r >= 0)
        r = stead_record_prompt(s, "step", e);
    if (r < 0)
        return r;
    s->owed = true;
    if (gone)
        return stead_end(result, ATTEMPT_FAILED, "the sandbox ended while a tool was running");
    if (cancelled)
        return stead_cancelled(s, result);
    if (stopped)
        return stead_end(result, ATTEMPT_LOOP, "`%s` was called with the same arguments %u times and gave the same result each time", looping,
                         times);
    return 1;
}
