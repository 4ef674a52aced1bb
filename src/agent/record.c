#include "agent/record.h"

#include "base/utf8.h"
#include "journal/journal.h"
#include "model/chat.h"

static struct buf *begin(struct recorder *r)
{
    if (!r->line.limit)
        buf_init(&r->line, RECORD_LIMIT);
    buf_reset(&r->line);
    buf_addc(&r->line, '{');
    return &r->line;
}

static void key(struct buf *b, const char *name)
{
    if (b->n > 1)
        buf_addc(b, ',');
    buf_addf(b, "\"%s\":", name);
}

static void add_str(struct buf *b, const char *name, const char *value)
{
    key(b, name);
    buf_add_json(b, span_of(value));
}

static void add_span(struct buf *b, const char *name, struct span value)
{
    key(b, name);
    buf_add_json(b, value);
}

static void add_int(struct buf *b, const char *name, int64_t value)
{
    key(b, name);
    buf_addf(b, "%lld", (long long)value);
}

/* A count that the server did not give is null. */
static void add_count(struct buf *b, const char *name, int64_t value)
{
    if (value >= 0) {
        add_int(b, name, value);
        return;
    }
    key(b, name);
    buf_adds(b, "null");
}

static void add_bool(struct buf *b, const char *name, bool value)
{
    key(b, name);
    buf_adds(b, value ? "true" : "false");
}

static int end(struct recorder *r, const char *type, struct err *e)
{
    buf_addc(&r->line, '}');
    if (buf_check(&r->line, e) < 0)
        return err_wrap(e, "recording '%s'", type);
    return journal_append(r->journal, r->session, type, buf_span(&r->line), NULL, e);
}

int record_attempt(struct recorder *r, const struct record_attempt *a, struct err *e)
{
    struct buf *b = begin(r);
    add_str(b, "attempt", r->attempt);
    add_str(b, "maker", a->maker);
    add_str(b, "endpoint", a->endpoint);
    add_str(b, "url", a->url);
    add_str(b, "model", a->model);
    add_str(b, "dialect", a->dialect);
    add_bool(b, "local", a->local);
    add_str(b, "goal", a->goal);
    add_str(b, "layer", a->layer);
    add_str(b, "prompt", a->prompt_blob);
    add_str(b, "tools", a->tools);
    return end(r, "attempt", e);
}

int record_user(struct recorder *r, const char *kind, struct span text, struct err *e)
{
    struct buf *b = begin(r);
    add_str(b, "kind", kind);
    add_span(b, "text", text);
    return end(r, "user", e);
}

int record_prompt(struct recorder *r, const char *kind, int64_t step, size_t at, struct span bytes, struct err *e)
{
    struct buf *b = begin(r);
    add_str(b, "attempt", r->attempt);
    add_str(b, "kind", kind);
    add_int(b, "step", step);
    add_int(b, "at", (int64_t)at);
    /* Bytes that JSON text could not give back as they are, and very many, go to a blob. */
    if (bytes.n > RECORD_LIMIT / 4 || !utf8_valid(bytes)) {
        struct hash_hex h;
        int rc = journal_blob_put(r->journal, bytes, &h, e);
        if (rc < 0)
            return rc;
        add_str(b, "blob", h.s);
    } else
        add_span(b, "text", bytes);
    return end(r, "prompt", e);
}

int record_step(struct recorder *r, int64_t n, const struct reply *reply, struct err *e)
{
    struct buf *b = begin(r);
    add_int(b, "n", n);
    add_count(b, "prompt_tokens", reply->usage.prompt_tokens);
    add_count(b, "cached_tokens", reply->usage.cached_tokens);
    add_count(b, "completion_tokens", reply->usage.completion_tokens);
    add_count(b, "ttft_ms", reply->ttft_ms);
    add_int(b, "duration_ms", reply->duration_ms);
    add_str(b, "endpoint", r->endpoint);
    add_str(b, "attempt", r->attempt);
    add_int(b, "calls", (int64_t)reply->ncalls);
    if (reply->repairs)
        add_int(b, "repairs", reply->repairs);
    if (reply->retries)
        add_int(b, "retries", reply->retries);
    if (reply->reasoning.n)
        add_int(b, "reasoning_bytes", (int64_t)reply->reasoning.n);
    if (reply->finish == FINISH_LENGTH)
        add_bool(b, "cut", true);
    return end(r, "step", e);
}

int record_text(struct recorder *r, struct span text, struct err *e)
{
    struct buf *b = begin(r);
    add_span(b, "text", text);
    return end(r, "text", e);
}

int record_call(struct recorder *r, int64_t n, const struct tool_call *call, struct err *e)
{
    static const char *const sources[] = { [CALL_NATIVE] = "native", [CALL_LEAKED] = "leaked", [CALL_CONSTRAINED] = "constrained" };
    struct buf *b = begin(r);
    add_str(b, "id", call->id);
    add_str(b, "tool", call->name);
    key(b, "args");
    buf_add_span(b, call->args);
    add_int(b, "step", n);
    if (call->source != CALL_NATIVE)
        add_str(b, "source", sources[call->source]);
    return end(r, "tool_call", e);
}

int record_result(struct recorder *r, const char *id, const char *tool, bool ok, struct span output, int64_t duration_ms, bool truncated,
                  struct err *e)
{
    struct buf *b = begin(r);
    add_str(b, "id", id);
    add_bool(b, "ok", ok);
    add_span(b, "output", output);
    add_int(b, "duration_ms", duration_ms);
    add_bool(b, "truncated", truncated);
    add_str(b, "tool", tool);
    return end(r, "tool_result", e);
}

int record_checkpoint(struct recorder *r, int64_t step, const struct strings *files, struct err *e)
{
    struct buf *b = begin(r);
    add_int(b, "step", step);
    key(b, "files");
    buf_addc(b, '[');
    for (size_t i = 0; i < files->len; i++) {
        if (i)
            buf_addc(b, ',');
        buf_add_json(b, span_of(files->items[i]));
    }
    buf_addc(b, ']');
    return end(r, "checkpoint", e);
}

int record_compact(struct recorder *r, const char *how, int64_t before, int64_t after, struct err *e)
{
    struct buf *b = begin(r);
    add_str(b, "how", how);
    add_int(b, "before_tokens", before);
    add_int(b, "after_tokens", after);
    return end(r, "compact", e);
}

int record_stop(struct recorder *r, const char *status, const char *reason, struct err *e)
{
    struct buf *b = begin(r);
    add_str(b, "attempt", r->attempt);
    add_str(b, "status", status);
    add_str(b, "reason", reason);
    return end(r, "stop", e);
}
