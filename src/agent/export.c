/* session_export: a session as JSON lines, or as a Markdown page. */
#include "agent/session.h"

#include "base/bind.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "journal/journal.h"

struct exporter {
    struct journal *journal;
    enum session_format format;
    session_write_fn write;
    void *ctx;
    struct buf out;
    struct err err;
    int64_t until; /* seq */
};

static int flush(struct exporter *x)
{
    int r = buf_check(&x->out, &x->err);
    if (r >= 0 && x->out.n > 0)
        r = x->write(x->ctx, buf_span(&x->out));
    buf_reset(&x->out);
    return r;
}

static struct span str(const json_t *json, const char *key)
{
    const json_t *v = json_object_get(json, key);
    const char *s = json_string_value(v);
    return (struct span){ s ? s : "", s ? json_string_length(v) : 0 };
}

static void prose(struct buf *out, struct span text)
{
    clean_add(out, span_trim(text), CLEAN_TEXT);
    buf_adds(out, "\n\n");
}

/* A fence longer than any run of backticks inside, so that content cannot end it. */
static void fenced(struct buf *out, const char *language, struct span text)
{
    size_t longest = 2, run = 0;
    for (size_t i = 0; i < text.n; i++) {
        run = text.p[i] == '`' ? run + 1 : 0;
        if (run > longest)
            longest = run;
    }
    for (size_t i = 0; i <= longest; i++)
        buf_addc(out, '`');
    buf_addf(out, "%s\n", language);
    clean_add(out, text, CLEAN_TEXT);
    if (out->n > 0 && out->p[out->n - 1] != '\n')
        buf_addc(out, '\n');
    for (size_t i = 0; i <= longest; i++)
        buf_addc(out, '`');
    buf_adds(out, "\n\n");
}

static void line_of(struct buf *out, const char *label, struct span text)
{
    buf_addf(out, "%s", label);
    clean_add(out, text, CLEAN_LINE);
    buf_adds(out, "\n\n");
}

static void md_task(struct buf *out, const json_t *j)
{
    buf_adds(out, "## Task\n\n");
    prose(out, str(j, "text"));
}

static void md_user(struct buf *out, const json_t *j)
{
    struct span kind = str(j, "kind");
    if (span_eqs(kind, "task"))
        return; /* the `task` event has it in the user's own words */
    buf_adds(out, span_eqs(kind, "told") ? "## You\n\n" : "## stead, to the model\n\n");
    prose(out, str(j, "text"));
}

static void md_route(struct buf *out, const json_t *j)
{
    buf_adds(out, "*Endpoint ");
    clean_add(out, str(j, "endpoint"), CLEAN_LINE);
    buf_adds(out, ", model ");
    clean_add(out, str(j, "model"), CLEAN_LINE);
    buf_adds(out, "*\n\n");
}

static void md_step(struct buf *out, const json_t *j)
{
    buf_addf(out, "### Step %lld\n\n", (long long)json_integer_value(json_object_get(j, "n")));
}

static void md_text(struct buf *out, const json_t *j)
{
    prose(out, str(j, "text"));
}

static void md_call(struct buf *out, const json_t *j)
{
    json_t *v;
    const char *key;
    buf_adds(out, "**");
    clean_add(out, str(j, "tool"), CLEAN_LINE);
    buf_adds(out, "**");
    AUTO(buf) struct buf long_ones = BUF_INIT(32 << 20);
    json_t *members = json_incref(json_object_get(j, "args"));
    json_object_foreach(members, key, v) {
        AUTO(buf) struct buf text = BUF_INIT(16 << 20);
        if (json_is_string(v))
            buf_add(&text, json_string_value(v), json_string_length(v));
        else
            buf_add_json_value(&text, v);
        if (text.n > 80 || memchr(buf_str(&text), '\n', text.n)) {
            clean_add(&long_ones, span_of(key), CLEAN_LINE);
            buf_adds(&long_ones, ":\n\n");
            fenced(&long_ones, "", buf_span(&text));
        } else {
            buf_addc(out, ' ');
            clean_add(out, span_of(key), CLEAN_LINE);
            buf_adds(out, " `");
            clean_add(out, buf_span(&text), CLEAN_LINE);
            buf_addc(out, '`');
        }
    }
    json_decref(members);
    buf_adds(out, "\n\n");
    buf_add_span(out, buf_span(&long_ones));
}

static void md_result(struct buf *out, const json_t *j)
{
    fenced(out, "", str(j, "output"));
}

static void md_checkpoint(struct buf *out, const json_t *j)
{
    const json_t *files = json_object_get(j, "files"), *v;
    size_t i;
    buf_addf(out, "*Checkpoint after step %lld:", (long long)json_integer_value(json_object_get(j, "step")));
    json_array_foreach(files, i, v) {
        buf_addc(out, ' ');
        clean_add(out, span_of(json_string_value(v)), CLEAN_QUOTE);
    }
    buf_adds(out, "*\n\n");
}

static void md_gate(struct buf *out, const json_t *j)
{
    buf_adds(out, "*Gate ");
    clean_add(out, str(j, "name"), CLEAN_LINE);
    buf_adds(out, ": ");
    clean_add(out, str(j, "verdict"), CLEAN_LINE);
    buf_adds(out, "*\n\n");
}

static void md_finding(struct buf *out, const json_t *j)
{
    buf_adds(out, "*Finding ");
    clean_add(out, str(j, "file"), CLEAN_LINE);
    buf_addf(out, ":%lld: ", (long long)json_integer_value(json_object_get(j, "line")));
    clean_add(out, str(j, "message"), CLEAN_LINE);
    buf_adds(out, "*\n\n");
}

static void md_escalate(struct buf *out, const json_t *j)
{
    line_of(out, "*Escalated:* ", str(j, "reason"));
}

static void md_approval(struct buf *out, const json_t *j)
{
    buf_adds(out, "*Approval: ");
    clean_add(out, str(j, "what"), CLEAN_LINE);
    buf_adds(out, ": ");
    clean_add(out, str(j, "decision"), CLEAN_LINE);
    buf_adds(out, " by ");
    clean_add(out, str(j, "by"), CLEAN_LINE);
    buf_adds(out, "*\n\n");
}

static void md_undo(struct buf *out, const json_t *j)
{
    buf_addf(out, "*Taken back to step %lld*\n\n", (long long)json_integer_value(json_object_get(j, "step")));
}

static void md_error(struct buf *out, const json_t *j)
{
    line_of(out, "**Error:** ", str(j, "message"));
}

static void md_stop(struct buf *out, const json_t *j)
{
    if (str(j, "reason").n > 0)
        line_of(out, "*Stopped:* ", str(j, "reason"));
}

static void md_end(struct buf *out, const json_t *j)
{
    char t[24];
    buf_adds(out, "## Result\n\n");
    clean_add(out, str(j, "status"), CLEAN_LINE);
    buf_addf(out, ", %lld steps, %s\n\n", (long long)json_integer_value(json_object_get(j, "steps")),
             format_duration(json_integer_value(json_object_get(j, "duration_ms")), t));
}

static const struct {
    const char *type;
    void (*write)(struct buf *out, const json_t *members);
} rows[] = {
    { "task", md_task },         { "user", md_user },     { "route", md_route },     { "step", md_step },   { "text", md_text },
    { "tool_call", md_call },    { "tool_result", md_result }, { "checkpoint", md_checkpoint }, { "gate", md_gate },   { "finding", md_finding },
    { "escalate", md_escalate }, { "approval", md_approval },  { "undo", md_undo },  { "error", md_error }, { "stop", md_stop },
    { "result", md_end },
};

static int export_event(void *ctx, const struct journal_event *ev)
{
    struct exporter *x = ctx;
    if (ev->seq > x->until)
        return 1;
    if (session_internal(ev->type))
        return 0;
    if (x->format == SESSION_JSONL) {
        journal_event_line(&x->out, ev);
        buf_addc(&x->out, '\n');
        return flush(x);
    }
    AUTO(json) json_t *json = NULL;
    if (json_parse(ev->members, BIND_TOLERANT, &json, &x->err) < 0)
        return -(int)x->err.kind;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].type, ev->type) == 0)
            rows[i].write(&x->out, json);
    return flush(x);
}

struct one {
    char id[ID_SIZE], parent[ID_SIZE], when[24];
    int64_t fork_seq;
};

static int keep_one(void *ctx, const struct journal_session *s)
{
    struct one *o = ctx;
    memcpy(o->id, s->id, sizeof o->id);
    (void)snprintf(o->parent, sizeof o->parent, "%s", s->parent ? s->parent : "");
    o->fork_seq = s->fork_seq;
    clock_format(s->created_ms, o->when);
    return 0;
}

int session_export(struct journal *j, const char *id, enum session_format format, session_write_fn write, void *ctx, struct err *e)
{
    struct one chain[64];
    size_t n = 0;
    do {
        if (n == COUNT_OF(chain))
            return err_set(e, ERR_LIMIT, "session '%s' was forked too often", id);
        int r = journal_session_find(j, n ? chain[n - 1].parent : id, NULL, keep_one, &chain[n], e);
        if (r < 0)
            return r;
        n++;
    } while (chain[n - 1].parent[0]);
    struct exporter x = { .journal = j, .format = format, .write = write, .ctx = ctx, .out = BUF_INIT(64 << 20), .err = ERR_INIT };
    int r = 0;
    if (format == SESSION_MARKDOWN) {
        buf_addf(&x.out, "# Session %s\n\n%s\n\n", chain[0].id, chain[0].when);
        r = flush(&x);
    }
    for (size_t i = n; i-- > 0 && r >= 0;) {
        x.until = i > 0 ? chain[i - 1].fork_seq : INT64_MAX;
        r = journal_read(j, chain[i].id, 0, export_event, &x, e);
        if (r > 0)
            r = 0;
    }
    buf_finish(&x.out);
    if (r < 0 && x.err.kind && !e->kind)
        *e = x.err;
    return r;
}
