#include "task/task-internal.h"

#include "base/clock.h"

/* Members are written by hand, in the order of the contract: readers may rely on nothing, people on sight. */
static void add_name(struct buf *b, const char *name)
{
    buf_adds(b, b->n ? "," : "{");
    buf_add_json(b, span_of(name));
    buf_addc(b, ':');
}

static void add_text(struct buf *b, const char *name, const char *text)
{
    add_name(b, name);
    if (text)
        buf_add_json(b, span_of(text));
    else
        buf_adds(b, "null");
}

static void add_int(struct buf *b, const char *name, int64_t value)
{
    add_name(b, name);
    buf_addf(b, "%lld", (long long)value);
}

static void add_bool(struct buf *b, const char *name, bool value)
{
    add_name(b, name);
    buf_adds(b, value ? "true" : "false");
}

static int append(struct task *t, const char *type, struct buf *b, struct err *e)
{
    buf_addc(b, '}');
    int r = buf_check(b, e);
    if (r == 0)
        r = journal_append(t->spec.journal, t->session, type, buf_span(b), NULL, e);
    buf_finish(b);
    return r < 0 ? err_wrap(e, "recording the %s", type) : 0;
}

int event_asked(struct task *t, struct span text, struct err *e)
{
    struct buf b = BUF_INIT(JOURNAL_EVENT_LIMIT);
    add_name(&b, "text");
    buf_add_json(&b, text);
    return append(t, "asked", &b, e);
}

int event_task(struct task *t, struct span text, struct err *e)
{
    struct buf b = BUF_INIT(JOURNAL_EVENT_LIMIT);
    add_name(&b, "text");
    buf_add_json(&b, text);
    add_text(&b, "class", t->task_class);
    add_text(&b, "workspace", t->spec.workspace);
    if (t->values->report.person)
        add_text(&b, "person", task_person(t));
    add_text(&b, "layer", t->layer ? layer_id(t->layer) : NULL);
    return append(t, "task", &b, e);
}

int event_route(struct task *t, struct err *e)
{
    const struct route *r = &t->route;
    bool chosen = r->choice >= 0;
    const struct route_candidate *c = chosen ? &t->candidates[r->choice] : NULL;
    struct buf b = BUF_INIT(1 << 20);
    add_text(&b, "endpoint", chosen ? c->name : NULL);
    add_text(&b, "model", t->endpoint ? t->endpoint->model : chosen ? c->model : NULL);
    add_bool(&b, "local", chosen && c->local);
    add_name(&b, "reasons");
    buf_addc(&b, '[');
    for (size_t i = 0; i < r->reasons.len; i++) {
        buf_adds(&b, i ? "," : "");
        buf_add_json(&b, span_of(r->reasons.items[i]));
    }
    buf_addc(&b, ']');
    add_name(&b, "rejected");
    buf_addc(&b, '[');
    bool first = true;
    for (size_t i = 0; i < r->nstops; i++) {
        if (r->stops[i].candidate < 0 || r->stops[i].accepted)
            continue;
        buf_adds(&b, first ? "{\"endpoint\":" : ",{\"endpoint\":");
        first = false;
        buf_add_json(&b, span_of(t->candidates[r->stops[i].candidate].name));
        buf_adds(&b, ",\"reason\":");
        buf_add_json(&b, span_of(r->stops[i].reason));
        buf_addc(&b, '}');
    }
    buf_addc(&b, ']');
    add_text(&b, "class", t->class.row->name);
    add_text(&b, "failure_cost", failure_cost_name(t->class.cost));
    add_bool(&b, "person", r->person);
    if (t->endpoint)
        add_text(&b, "url", t->endpoint->url);
    return append(t, "route", &b, e);
}

int event_gate(struct task *t, const struct gate_result *r, struct err *e)
{
    json_t *j = gate_result_json(r, false);
    struct buf b = BUF_INIT(1 << 20);
    buf_add_json_value(&b, j);
    json_decref(j);
    int rc = buf_check(&b, e);
    if (rc == 0)
        rc = journal_append(t->spec.journal, t->session, "gate", buf_span(&b), NULL, e);
    buf_finish(&b);
    return rc;
}

int event_finding(struct task *t, const struct finding *f, struct err *e)
{
    json_t *j = finding_json(f);
    struct buf b = BUF_INIT(1 << 20);
    buf_add_json_value(&b, j);
    json_decref(j);
    int rc = buf_check(&b, e);
    if (rc == 0)
        rc = journal_append(t->spec.journal, t->session, "finding", buf_span(&b), NULL, e);
    buf_finish(&b);
    return rc;
}

int event_second(struct task *t, const struct config_second *row, const struct second_use *use, int64_t duration_ms, const char *problem,
                 size_t findings, struct err *e)
{
    struct buf b = BUF_INIT(1 << 16);
    add_text(&b, "endpoint", row->endpoint);
    add_text(&b, "model", t->second ? t->second->model : NULL);
    add_text(&b, "class", t->task_class);
    add_text(&b, "failure_cost", failure_cost_name(t->class.cost));
    add_text(&b, "weight", row->weight ? row->weight : "note");
    add_int(&b, "findings", problem ? 0 : (int64_t)findings);
    add_int(&b, "prompt_tokens", use->prompt_tokens > 0 ? use->prompt_tokens : 0);
    add_int(&b, "completion_tokens", use->completion_tokens > 0 ? use->completion_tokens : 0);
    add_int(&b, "duration_ms", duration_ms);
    if (problem)
        add_text(&b, "problem", problem);
    return append(t, "second", &b, e);
}

int event_fix(struct task *t, const struct gate *g, int status, bool changed, size_t others, int64_t duration_ms, struct err *e)
{
    struct buf b = BUF_INIT(1 << 16);
    add_text(&b, "gate", g->name);
    add_text(&b, "command", g->fix);
    add_int(&b, "status", status);
    add_bool(&b, "changed", changed);
    add_int(&b, "others_put_back", (int64_t)others);
    add_int(&b, "duration_ms", duration_ms);
    return append(t, "fix", &b, e);
}

int event_escalate(struct task *t, const char *from, const char *to, const char *cause, const char *reason, struct err *e)
{
    struct buf b = BUF_INIT(1 << 20);
    add_text(&b, "from", from);
    add_text(&b, "to", to);
    add_text(&b, "cause", cause);
    add_text(&b, "reason", reason);
    return append(t, "escalate", &b, e);
}

int event_approval(struct task *t, const char *what, const char *decision, const char *by, struct err *e)
{
    struct buf b = BUF_INIT(1 << 20);
    add_text(&b, "what", what);
    add_text(&b, "decision", decision);
    add_text(&b, "by", by);
    return append(t, "approval", &b, e);
}

int event_apply(struct task *t, const struct apply_result *r, struct err *e)
{
    struct buf b = BUF_INIT(16 << 20);
    add_text(&b, "change", t->change->id);
    add_name(&b, "files");
    buf_addc(&b, '[');
    bool first = true;
    for (size_t i = 0; i < r->nfiles; i++) {
        if (r->files[i].outcome == APPLY_CONFLICT || r->files[i].outcome == APPLY_GUARDED)
            continue;
        if (!first)
            buf_addc(&b, ',');
        first = false;
        buf_add_json(&b, span_of(r->files[i].path));
    }
    buf_addc(&b, ']');
    add_name(&b, "conflicts");
    buf_addc(&b, '[');
    first = true;
    for (size_t i = 0; i < r->nfiles; i++) {
        if (r->files[i].outcome != APPLY_CONFLICT && r->files[i].outcome != APPLY_GUARDED)
            continue;
        buf_adds(&b, first ? "{\"file\":" : ",{\"file\":");
        first = false;
        buf_add_json(&b, span_of(r->files[i].path));
        buf_adds(&b, ",\"why\":");
        buf_add_json(&b, span_of(r->files[i].why));
        buf_addc(&b, '}');
    }
    buf_addc(&b, ']');
    add_text(&b, "apply", r->id[0] ? r->id : NULL);
    if (r->commit[0])
        add_text(&b, "commit", r->commit);
    return append(t, "apply", &b, e);
}

static void add_error(struct buf *b, const struct err *failed)
{
    add_text(b, "code", err_kind_name(failed->kind));
    add_text(b, "message", failed->text);
    add_text(b, "hint", failed->hint);
}

int event_error(struct task *t, const struct err *failed, struct err *e)
{
    struct buf b = BUF_INIT(1 << 16);
    add_error(&b, failed);
    return append(t, "error", &b, e);
}

/* Lines added and removed: what a reviewer has to read. */
static int64_t changed_lines(const struct change *c)
{
    int64_t n = 0;
    for (size_t i = 0; c && i < c->nfiles; i++)
        n += (c->files[i].added > 0 ? c->files[i].added : 0) + (c->files[i].removed > 0 ? c->files[i].removed : 0);
    return n;
}

static void add_result(struct buf *out, const struct task *t, const struct task_result *r)
{
    struct buf b = BUF_INIT(1 << 16);
    add_text(&b, "status", task_status_name(r->status));
    add_int(&b, "exit", r->exit);
    add_text(&b, "change", r->change[0] ? r->change : NULL);
    add_int(&b, "files", (int64_t)r->files);
    add_int(&b, "lines", changed_lines(t->change));
    add_int(&b, "steps", r->steps);
    add_int(&b, "prompt_tokens", r->prompt_tokens);
    add_int(&b, "completion_tokens", r->completion_tokens);
    add_int(&b, "duration_ms", r->duration_ms);
    add_text(&b, "endpoint", r->endpoint && r->endpoint[0] ? r->endpoint : NULL);
    add_int(&b, "escalations", r->escalations);
    add_bool(&b, "applied", r->applied);
    if (r->reason[0])
        add_text(&b, "reason", r->reason);
    buf_add_span(out, buf_span(&b));
    buf_finish(&b);
}

int event_result(struct task *t, const struct task_result *r, struct err *e)
{
    struct buf b = BUF_INIT(1 << 16);
    add_result(&b, t, r);
    return append(t, "result", &b, e);
}

void task_unrecorded(const struct task *t, const struct err *failed, const struct task_result *r, int64_t last_seq, struct buf *out)
{
    struct buf b[2] = { BUF_INIT(1 << 16), BUF_INIT(1 << 16) };
    add_error(&b[0], failed);
    add_result(&b[1], t, r);
    for (size_t i = 0; i < 2; i++) {
        buf_addc(&b[i], '}');
        const struct journal_event ev = { .seq = last_seq + 1 + (int64_t)i, .time_ms = clock_unix_ms(), .session = t->session,
                                          .type = i ? "result" : "error", .members = buf_span(&b[i]) };
        journal_event_line(out, &ev);
        buf_addc(out, '\n');
        buf_finish(&b[i]);
    }
}
