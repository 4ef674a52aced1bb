#include "report/collect.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "journal/members.h"
#include "route/escalate.h"

struct session_slot {
    char id[ID_SIZE];     /* "" : free */
    int task;             /* its current one in collection.tasks; -1 */
    int model;            /* index of the model of its last route; -1 */
    int64_t last_ms;      /* of its last event */
    int64_t before_error_ms; /* of its last event that was not an error */
    bool wrong_not_slow;  /* the person said so of an interruption */
};

/* --- lookups --- */

static uint64_t hash_of(const char *s)
{
    uint64_t h = 1469598103934665603u;
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h;
}

static bool grow_slots(struct collection *c)
{
    size_t n = c->nslots ? c->nslots * 2 : 1024;
    struct session_slot *fresh = calloc(n, sizeof *fresh);
    if (!fresh)
        return false;
    for (size_t i = 0; i < c->nslots; i++) {
        if (!c->slots[i].id[0])
            continue;
        size_t at = hash_of(c->slots[i].id) & (n - 1);
        while (fresh[at].id[0])
            at = (at + 1) & (n - 1);
        fresh[at] = c->slots[i];
    }
    free(c->slots);
    c->slots = fresh;
    c->nslots = n;
    return true;
}

static struct session_slot *slot_of(struct collection *c, const char *id)
{
    if (c->used * 2 >= c->nslots && !grow_slots(c))
        return NULL;
    size_t at = hash_of(id) & (c->nslots - 1);
    while (c->slots[at].id[0] && strcmp(c->slots[at].id, id) != 0)
        at = (at + 1) & (c->nslots - 1);
    struct session_slot *s = &c->slots[at];
    if (!s->id[0]) {
        size_t n = strlen(id);
        memcpy(s->id, id, n < ID_SIZE ? n + 1 : ID_SIZE - 1);
        s->task = s->model = -1;
        c->used++;
    }
    return s;
}

static int model_of(struct collection *c, struct span name)
{
    for (size_t i = 0; i < c->nmodels; i++)
        if (span_eqs(name, c->models[i].name))
            return (int)i;
    char *copy = arena_span(c->arena, name);
    if (!copy || !array_grow((void **)&c->models, &c->models_cap, c->nmodels, 1, sizeof *c->models)) {
        c->failed = true;
        return -1;
    }
    c->models[c->nmodels] = (struct seen_model){ .name = copy, .sums = { .model = copy } };
    return (int)c->nmodels++;
}

/* A name that tasks have at `member`. */
static const char *intern(struct collection *c, struct span name, size_t member)
{
    for (size_t i = c->ntasks; i-- > 0 && c->ntasks - i < 64;) { /* the same few come again and again */
        const char *known = *(const char *const *)((const char *)&c->tasks[i] + member);
        if (span_eqs(name, known))
            return known;
    }
    char *copy = arena_span(c->arena, name);
    if (!copy)
        c->failed = true;
    return copy ? copy : "";
}

static bool add_sample(struct samples *s, double v)
{
    if (!array_grow((void **)&s->v, &s->cap, s->n, 1, sizeof *s->v))
        return false;
    s->v[s->n++] = v;
    return true;
}

/* --- members wanted by one event, read in one walk --- */

struct wanted {
    const char *name;
    int64_t *number;
    bool *flag;
    struct span *text; /* a string without escapes, or the raw value of others */
};

static void pick(struct span members, const struct wanted *w, size_t n)
{
    struct members it = members_of(members);
    struct member m;
    while (members_next(&it, &m))
        for (size_t i = 0; i < n; i++) {
            if (!span_eqs(m.name, w[i].name))
                continue;
            if (w[i].number)
                (void)member_i64(&m, w[i].number);
            else if (w[i].flag)
                (void)member_bool(&m, w[i].flag);
            else if (!member_span(&m, w[i].text))
                *w[i].text = m.raw;
            break;
        }
}
#define PICK(ev, ...)                                                     \
    do {                                                                  \
        const struct wanted wanted_[] = { __VA_ARGS__ };                  \
        pick((ev)->members, wanted_, sizeof wanted_ / sizeof wanted_[0]); \
    } while (0)

/* --- one function an event type --- */

struct context {
    struct collection *c;
    struct session_slot *s;
    struct seen_task *t; /* the session's current task, or NULL */
};

static void on_task(struct context *x, const struct journal_event *ev)
{
    struct span class = SPAN(""), person = SPAN("");
    PICK(ev, { "class", .text = &class }, { "person", .text = &person });
    struct collection *c = x->c;
    if (!array_grow((void **)&c->tasks, &c->tasks_cap, c->ntasks, 1, sizeof *c->tasks)) {
        c->failed = true;
        return;
    }
    const char *name = intern(c, class, offsetof(struct seen_task, class)), *who = intern(c, person, offsetof(struct seen_task, person));
    c->tasks[c->ntasks] = (struct seen_task){ .class = name, .person = who, .model = "", .started_ms = ev->time_ms, .last_ms = ev->time_ms,
                                              .wrong_active_ms = -1, .green_active_ms = -1,
                                              .wrong_before_ms = -1, .green_before_ms = -1, .cause = -1 };
    x->s->task = (int)c->ntasks++;
    x->s->last_ms = ev->time_ms;
}

static void went_wrong(struct seen_task *t)
{
    if (t->wrong_active_ms < 0)
        t->wrong_active_ms = t->active_ms;
    t->green_active_ms = -1;
}

static void on_route(struct context *x, const struct journal_event *ev)
{
    struct span model = SPAN("");
    bool local = true;
    PICK(ev, { "model", .text = &model }, { "local", .flag = &local });
    x->s->model = model_of(x->c, model);
    if (!x->t || x->s->model < 0)
        return;
    if (!*x->t->model) /* it is who got the task; later ones are its escalations */
        x->t->model = x->c->models[x->s->model].name;
    x->t->hosted |= !local;
}

static void on_step(struct context *x, const struct journal_event *ev)
{
    int64_t prompt = -1, cached = -1, completion = -1, ttft = -1, duration = 0;
    PICK(ev, { "prompt_tokens", .number = &prompt }, { "cached_tokens", .number = &cached },
         { "completion_tokens", .number = &completion }, { "ttft_ms", .number = &ttft }, { "duration_ms", .number = &duration });
    if (x->t)
        x->t->stepped = true;
    struct collection *c = x->c;
    if (x->s->task >= 0) {
        if (!array_grow((void **)&c->waits, &c->waits_cap, c->nwaits, 1, sizeof *c->waits)) {
            c->failed = true;
            return;
        }
        c->waits[c->nwaits++] = (struct seen_wait){ duration, false, x->s->task };
    }
    if (x->s->model < 0)
        x->s->model = model_of(c, SPAN("")); /* no route was recorded: unknown */
    if (x->s->model < 0)
        return;
    struct seen_model *m = &c->models[x->s->model];
    m->sums.n++;
    if (prompt >= 0 && cached >= 0) {
        m->sums.reuse_known++;
        m->sums.prompt_new += prompt > cached ? prompt - cached : 0;
        m->sums.prompt_reused += cached;
    } else if (prompt >= 0) {
        m->sums.prompt_new += prompt;
    }
    if (completion > 0) {
        m->sums.completion += completion;
        if (ttft >= 0 && duration > ttft) {
            m->decode_tokens += (double)completion;
            m->decode_ms += (double)(duration - ttft);
        }
    }
    if (ttft >= 0)
        c->failed |= !add_sample(&m->ttft, (double)ttft);
    int64_t own = ev->time_ms - duration - x->s->last_ms; /* between the last event and the request: ours */
    if (x->s->last_ms && own >= 0 && own < 60000)
        c->failed |= !add_sample(&m->harness, (double)own);
}

static void on_tool_result(struct context *x, const struct journal_event *ev)
{
    bool ok = true;
    int64_t duration = 0;
    struct span tool = SPAN("");
    PICK(ev, { "ok", .flag = &ok }, { "duration_ms", .number = &duration }, { "tool", .text = &tool });
    if (x->s->model < 0)
        return;
    struct report_steps *m = &x->c->models[x->s->model].sums;
    bool edit = span_eqs(tool, "edit") || span_eqs(tool, "patch");
    m->tool_calls++;
    m->tool_errors += !ok;
    m->tool_ms += duration;
    m->edits += edit;
    m->edit_misses += edit && !ok;
}

static void on_gate(struct context *x, const struct journal_event *ev)
{
    struct span verdict = SPAN(""), fresh = SPAN("?");
    PICK(ev, { "verdict", .text = &verdict }, { "new_failures", .text = &fresh });
    bool none = span_eqs(fresh, "[]") || span_eqs(fresh, "0"); /* long lists are left out of facts: then some */
    if (x->t && x->t->stepped && span_eqs(verdict, "fail") && !none)
        went_wrong(x->t);
}

static int cause_index(const char *kind)
{
    for (int i = 0; i < REPORT_CAUSES; i++)
        if (strcmp(report_cause_names[i], kind) == 0)
            return i;
    return REPORT_CAUSES - 1;
}

static void on_escalate(struct context *x, const struct journal_event *ev)
{
    struct span cause = SPAN("");
    PICK(ev, { "cause", .text = &cause });
    if (!x->t || x->t->cause >= 0)
        return; /* the first cause is the task's */
    const char *kind = "other";
    for (int i = 0; i < ESCALATE_CAUSES; i++)
        if (span_eqs(cause, escalate_cause_name((enum escalate_cause)i)))
            kind = escalate_cause_kind((enum escalate_cause)i);
    x->t->cause = cause_index(kind);
}

static void on_approval(struct context *x, const struct journal_event *ev)
{
    struct span decision = SPAN("");
    int64_t active = -1;
    PICK(ev, { "decision", .text = &decision }, { "active_ms", .number = &active });
    if (!x->t)
        return;
    if (active >= 0) {
        x->t->reviews++;
        x->t->review_ms += active;
    }
    if (span_starts(decision, "reject")) {
        x->t->wrong_before_ms = x->t->wrong_active_ms;
        x->t->green_before_ms = x->t->green_active_ms;
        went_wrong(x->t);
    }
}

static void on_apply(struct context *x, const struct journal_event *ev)
{
    struct span files = SPAN("?");
    PICK(ev, { "files", .text = &files });
    if (x->t && !span_eqs(files, "[]"))
        x->t->applied = true;
}

static void on_change(struct context *x, const struct journal_event *ev)
{
    struct span status = SPAN("");
    PICK(ev, { "status", .text = &status });
    if (!x->t)
        return;
    if (span_eqs(status, "applied"))
        x->t->applied = true;
    if (span_eqs(status, "reverted"))
        x->t->reverted = true;
}

static void on_user(struct context *x, const struct journal_event *ev)
{
    struct span kind = SPAN(""), text = SPAN("");
    PICK(ev, { "kind", .text = &kind }, { "text", .text = &text });
    if (span_starts(text, "\"")) /* raw, because it has escapes */
        text = span_sub(text, 1, text.n);
    if (x->t && x->t->wrong_active_ms >= 0 && !x->t->ended && span_eqs(kind, "told") && !span_starts(text, "Still failing:"))
        x->t->prompts++;
}

/* What a person answered to "wrong or slow?": an interruption because it was wrong is no lost patience, but a wrong result; a
 * change turned down because it came too late was not wrong. */
static void on_decision(struct context *x, const struct journal_event *ev)
{
    struct span what = SPAN(""), choice = SPAN("");
    PICK(ev, { "what", .text = &what }, { "choice", .text = &choice });
    bool wrong = span_eqs(choice, "wrong"), slow = span_eqs(choice, "slow"), stopped = span_eqs(what, "interrupted");
    if (!x->t || !(wrong || slow) || !(stopped || span_eqs(what, "review")))
        return;
    x->t->said_wrong += wrong;
    x->t->said_slow += slow;
    if (stopped && wrong) {
        for (size_t i = x->c->nwaits; i-- > 0;) /* the interruption that it speaks of */
            if (x->c->waits[i].task == x->s->task) {
                x->c->waits[i].interrupted = false;
                break;
            }
        went_wrong(x->t);
    }
    if (!stopped && slow) {
        x->t->wrong_active_ms = x->t->wrong_before_ms;
        x->t->green_active_ms = x->t->green_before_ms;
    }
}

static void on_result(struct context *x, const struct journal_event *ev)
{
    struct span status = SPAN("");
    int64_t code = 0, lines = 0;
    bool applied = false;
    PICK(ev, { "status", .text = &status }, { "exit", .number = &code }, { "lines", .number = &lines }, { "applied", .flag = &applied });
    struct seen_task *t = x->t;
    if (!t)
        return;
    t->ended = true;
    t->verified = span_eqs(status, "verified");
    t->unchanged = span_eqs(status, "unchanged");
    t->applied |= applied;
    t->lines = lines;
    if (t->verified && t->wrong_active_ms >= 0)
        t->green_active_ms = t->active_ms;
    if (span_eqs(status, "red") || span_eqs(status, "stopped"))
        went_wrong(t);
    if (t->cause < 0 && code >= 3 && code <= 5) /* handed to a person without an event of its own */
        t->cause = cause_index(code == 5 ? "outage" : "quality");
    if (code != 130)
        return;
    struct collection *c = x->c;
    if (!array_grow((void **)&c->waits, &c->waits_cap, c->nwaits, 1, sizeof *c->waits)) {
        c->failed = true;
        return;
    }
    int64_t waited = ev->time_ms - x->s->before_error_ms;
    c->waits[c->nwaits++] = (struct seen_wait){ waited > 0 ? waited : 0, true, x->s->task };
}

static void on_edited(struct context *x, const struct journal_event *ev)
{
    (void)ev;
    if (x->t)
        x->t->edited = true;
}

static const struct {
    const char *type;
    void (*fn)(struct context *x, const struct journal_event *ev);
} handlers[] = {
    { "step", on_step },         { "tool_result", on_tool_result }, { "gate", on_gate },         { "task", on_task },
    { "route", on_route },       { "result", on_result },           { "escalate", on_escalate }, { "approval", on_approval },
    { "apply", on_apply },       { "change", on_change },           { "user", on_user },         { "decision", on_decision },
    { "edited", on_edited },
};

static int on_fact(void *ctx, const struct journal_event *ev)
{
    struct collection *c = ctx;
    struct session_slot *s = slot_of(c, ev->session);
    if (!s) {
        c->failed = true;
        return 1;
    }
    c->facts++;
    if (!c->first_ms)
        c->first_ms = ev->time_ms;
    c->last_ms = ev->time_ms;
    struct context x = { c, s, s->task >= 0 ? &c->tasks[s->task] : NULL };
    if (x.t) {
        int64_t gap = ev->time_ms - x.t->last_ms;
        x.t->active_ms += gap < 0 ? 0 : gap > IDLE_MS ? IDLE_MS : gap;
        x.t->last_ms = ev->time_ms;
    }
    for (size_t i = 0; i < COUNT_OF(handlers); i++)
        if (strcmp(handlers[i].type, ev->type) == 0) {
            handlers[i].fn(&x, ev);
            break;
        }
    s->last_ms = ev->time_ms;
    if (strcmp(ev->type, "error") != 0)
        s->before_error_ms = ev->time_ms;
    return c->failed;
}

int collect(struct journal *j, const struct report_options *o, struct arena *a, struct collection *c, struct err *e)
{
    *c = (struct collection){ .arena = a };
    if (!grow_slots(c))
        return err_set(e, ERR_NOMEM, "reading the journal for a report: out of memory");
    if (journal_facts(j, o->since_ms, o->until_ms, 0, on_fact, c, e) < 0)
        return -(int)e->kind;
    return c->failed ? err_set(e, ERR_NOMEM, "reading the journal for a report: out of memory") : 0;
}

void collection_finish(struct collection *c)
{
    for (size_t i = 0; i < c->nmodels; i++) {
        free(c->models[i].ttft.v);
        free(c->models[i].harness.v);
    }
    free(c->models);
    free(c->tasks);
    free(c->waits);
    free(c->slots);
}
