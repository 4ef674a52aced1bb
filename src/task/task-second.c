#include "task/task-internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "route/candidate.h"
#include "verify/second.h"

#define LOG_MODULE "task"
#include "base/log.h"

/*
 * policy.second_model: another endpoint reads the change when the gates have nothing against it. The same checks stand
 * before it as before any attempt (local only, hosted classes, hours, budgets), and a hosted one gets its bytes through
 * the privacy guard, with the paths of the change among those that may not leave. What it says is recorded like any
 * finding; it weighs at most what the policy's row says.
 */

#define LOOK_MS 10000

static enum failure_cost cost_of(const char *name)
{
    for (int c = COST_LOW; name && c <= COST_HIGH; c++)
        if (strcmp(name, failure_cost_name((enum failure_cost)c)) == 0)
            return (enum failure_cost)c;
    return COST_LOW;
}

static enum finding_severity weight_of(const char *name)
{
    for (int s = FINDING_NOTE; name && s <= FINDING_BLOCK; s++)
        if (strcmp(name, finding_severity_name((enum finding_severity)s)) == 0)
            return (enum finding_severity)s;
    return FINDING_NOTE;
}

/* The first row for this class (or `default`) whose failure cost is reached. */
static const struct config_second *row_of(const struct task *t)
{
    const struct config_policy *p = &t->values->policy;
    for (size_t i = 0; t->task_class && i < p->nsecond_model; i++) {
        const struct config_second *s = &p->second_model[i];
        if ((strcmp(s->task_class, t->task_class) == 0 || strcmp(s->task_class, "default") == 0) && t->class.cost >= cost_of(s->cost))
            return s;
    }
    return NULL;
}

static const struct config_endpoint *configured(const struct task *t, const char *name)
{
    for (size_t i = 0; i < t->values->nendpoints; i++)
        if (strcmp(t->values->endpoints[i].name, name) == 0)
            return &t->values->endpoints[i];
    return NULL;
}

/* May this endpoint serve the task at all? The route's own checks, asked about this one alone. */
static int may_serve(struct task *t, const struct config_endpoint *c, struct err *e)
{
    struct route_candidate only;
    struct route r = { .choice = -1 };
    struct route_input in = t->route_input;
    candidate_of_config(c, &only);
    in.candidates = &only;
    in.ncandidates = 1;
    in.wanted = only.name;
    in.need_tokens = 0;
    int rc = task_spent(t, &in.spent, e);
    if (rc == 0)
        rc = route_decide(&in, &t->turn, &r, e);
    if (rc < 0 || r.choice >= 0)
        return rc;
    const char *why = "the policy does not allow it";
    for (size_t i = 0; i < r.nstops; i++)
        why = r.stops[i].candidate == 0 && r.stops[i].reason ? r.stops[i].reason : why;
    return err_set(e, ERR_DENIED, "%s", why);
}

static int open_second(struct task *t, const struct config_endpoint *c, struct cancel *cancel, struct err *e)
{
    struct endpoint_spec spec;
    if (t->second)
        return 0;
    endpoint_spec_of(c, &spec);
    int r = endpoint_create(&spec, &t->second, e);
    if (r == 0)
        r = endpoint_look(t->spec.loop, t->second, LOOK_MS, cancel, e);
    if (r == 0 && t->second->state != ENDPOINT_READY)
        r = err_set(e, ERR_UNAVAILABLE, "%s", t->second->problem);
    if (r == 0 && !t->second->local)
        r = task_guard(t, t->second, e);
    if (r == 0)
        r = task_turns(t, &t->second_turn, t->second, e);
    if (r < 0) {
        endpoint_destroy(t->second);
        t->second = NULL;
    }
    return r;
}

static int review(struct task *t, const struct config_second *row, struct span text, struct findings *found, struct second_use *use,
                  struct cancel *cancel, struct err *e)
{
    const struct config_endpoint *c = configured(t, row->endpoint);
    AUTO(buf) struct buf diff = BUF_INIT(16u << 20);
    if (!c)
        return err_set(e, ERR_NOT_FOUND, "there is no endpoint '%s'", row->endpoint);
    for (size_t i = 0; i < t->change->nfiles; i++) /* the guard judges by path too */
        task_see(t, t->change->files[i].path);
    int r = may_serve(t, c, e);
    if (r == 0)
        r = open_second(t, c, cancel, e);
    if (r == 0)
        r = change_diff(t->change, NULL, &diff, e);
    if (r == 0)
        r = buf_check(&diff, e);
    if (r < 0)
        return r;
    task_stage(t, "%s reads the change", row->endpoint);
    const struct second_spec s = { .loop = t->spec.loop, .endpoint = t->second, .task = text, .diff = buf_span(&diff),
                                   .verdict = &t->verdict, .weight = weight_of(row->weight) };
    return second_review(&s, &t->turn, found, use, cancel, e);
}

int task_second(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    const struct config_second *row = row_of(t);
    if (!row || t->verdict.state == VERIFY_RED || !t->change->nfiles)
        return 0; /* what is red goes back to the agent: another opinion would cost and change nothing */
    struct findings found = { 0 };
    struct second_use use = { -1, -1 };
    struct err why = ERR_INIT;
    int64_t began = clock_ms();
    int r = review(t, row, text, &found, &use, cancel, &why);
    if (r == -ERR_CANCELLED || r == -ERR_NOMEM) {
        free(found.items);
        *e = why;
        return r;
    }
    if (r < 0) { /* nobody looked: said, and where its word would count, a person looks in its place */
        struct finding f = { "second/unavailable", weight_of(row->weight) == FINDING_NOTE ? FINDING_NOTE : FINDING_PERSON, "", 0,
                             arena_printf(&t->turn, "%s was to read this change and did not: %s", row->endpoint, why.text) };
        if (f.message && array_grow((void **)&found.items, &found.cap, 0, 1, sizeof f))
            found.items[found.len++] = f;
    }
    r = event_second(t, row, &use, clock_ms() - began, r < 0 ? why.text : NULL, found.len, e);
    for (size_t i = 0; r == 0 && i < found.len; i++)
        r = event_finding(t, &found.items[i], e);
    if (r == 0)
        r = verdict_add(&t->verdict, &found, &t->turn, e);
    free(found.items);
    return r;
}
