#include "task/task-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "inference/supervisor.h"
#include "route/candidate.h"

#define MOST_CANDIDATES 64 /* beside the configured ones: what can be found on one machine */

int task_classify(struct task *t, struct span text, struct err *e)
{
    if (task_classes(t, e) < 0)
        return err_wrap(e, "reading the task classes");
    const struct class_input in = {
        .text = text,
        .chosen = t->spec.task_class,
        .extra = t->values->classes,
        .nextra = t->values->nclasses,
        .protected_paths = { t->values->policy.protected_paths, t->values->policy.nprotected_paths },
    };
    int r = class_decide(t->classes, &in, &t->arena, &t->class, e);
    if (r < 0)
        return r;
    t->task_class = t->class.row->name;
    if (!t->spec.kind || strcmp(t->spec.kind, "chat") != 0)
        t->goal = t->class.row->answer ? ATTEMPT_ANSWER : ATTEMPT_CHANGE;
    return 0;
}

static const struct config_endpoint *configured(const struct task *t, const char *name)
{
    for (size_t i = 0; i < t->values->nendpoints; i++)
        if (strcmp(t->values->endpoints[i].name, name) == 0)
            return &t->values->endpoints[i];
    return NULL;
}

static bool is_embedded(const struct route_candidate *c)
{
    return strcmp(c->url, "embedded") == 0;
}

static void add_candidate(struct task *t, const struct route_candidate *c, struct endpoint *ep)
{
    t->candidates[t->ncandidates] = *c;
    t->candidate_endpoints[t->ncandidates++] = ep;
}

#define LOADING_MS (10 * 60 * 1000) /* a large model from a slow disk */

static void on_loading(void *ctx, const struct endpoint *ep)
{
    task_stage(ctx, "waiting until %s has loaded its model", ep->url);
}

/* Local endpoints are asked who they are; hosted ones are taken as configured until one is chosen. */
static int find_candidates(struct task *t, struct cancel *cancel, struct err *e)
{
    const struct config_values *v = t->values;
    size_t most = v->nendpoints + MOST_CANDIDATES + 1;
    const char *wanted = t->spec.endpoint ? t->spec.endpoint : v->endpoint;
    bool embedded = wanted && strcmp(wanted, "embedded") == 0;
    struct endpoint_spec *specs = arena_array(&t->arena, v->nendpoints + 1, sizeof *specs);
    t->candidates = arena_array(&t->arena, most, sizeof *t->candidates);
    t->candidate_endpoints = arena_array(&t->arena, most, sizeof *t->candidate_endpoints); /* NOLINT(bugprone-sizeof-expression): an array of pointers */
    t->breakers = arena_array(&t->arena, most, sizeof *t->breakers);
    if (!specs || !t->candidates || !t->candidate_endpoints || !t->breakers)
        return err_set(e, ERR_NOMEM, "looking for endpoints: out of memory");
    AUTO(ptr) char *profiles = path_join(t->state_dir, "profiles");
    size_t nlocal = 0;
    int64_t limit = t->spec.timeout_ms ? t->spec.timeout_ms : v->limits.timeout_ms;
    for (size_t i = 0; i < v->nendpoints; i++) {
        struct route_candidate c;
        candidate_of_config(&v->endpoints[i], &c);
        if (c.local || (wanted && strcmp(wanted, v->endpoints[i].name) == 0))
            endpoint_spec_of(&v->endpoints[i], &specs[nlocal++]);
    }
    const struct discover_options o = {
        .chosen = wanted,
        .model = t->spec.model ? t->spec.model : v->model,
        .configured = specs,
        .nconfigured = nlocal,
        .profile_dir = profiles, /* what probes have found */
        .all = !wanted && v->nendpoints > 0,
        .local_only = t->spec.local_only || v->policy.local_only,
        .loading_ms = limit > 0 && limit < LOADING_MS ? limit : LOADING_MS,
        .on_loading = on_loading,
        .ctx = t,
    };
    int r = embedded ? -ERR_NOT_FOUND : endpoints_discover(t->spec.loop, &o, cancel, &t->endpoints, e);
    if (r == -ERR_CANCELLED || (r < 0 && wanted && !embedded && !t->endpoints))
        return r;
    err_reset(e);
    for (size_t i = 0; t->endpoints && i < t->endpoints->len && t->ncandidates < MOST_CANDIDATES; i++) {
        struct route_candidate c;
        candidate_of_endpoint(t->endpoints->items[i], configured(t, t->endpoints->items[i]->name), t->route_input.need_tokens, &c);
        add_candidate(t, &c, t->endpoints->items[i]);
    }
    for (size_t i = 0; !wanted && i < v->nendpoints; i++) {
        struct route_candidate c;
        candidate_of_config(&v->endpoints[i], &c);
        if (!c.local)
            add_candidate(t, &c, NULL);
    }
    if (embedded || (!wanted && v->inference.embedded)) {
        const struct route_candidate c = { .name = "embedded", .url = "embedded", .local = true, .ready = true,
                                           .model = v->inference.model ? v->inference.model : "pilot" };
        add_candidate(t, &c, NULL);
    }
    return 0;
}

static void read_health(struct task *t)
{
    for (size_t i = 0; i < t->ncandidates; i++) {
        AUTO(buf) struct buf key = BUF_INIT(4096), text = BUF_INIT(1024);
        struct err ignored = ERR_INIT;
        buf_addf(&key, "breaker/%s", t->candidates[i].url);
        if (journal_state_get(t->spec.journal, buf_str(&key), &text, &ignored) == 1)
            (void)!breaker_read(buf_span(&text), &t->breakers[i], &ignored);
        t->candidates[i].breaker = &t->breakers[i];
    }
}

static void write_health(struct task *t, int candidate)
{
    AUTO(buf) struct buf key = BUF_INIT(4096), text = BUF_INIT(1024);
    struct err ignored = ERR_INIT;
    buf_addf(&key, "breaker/%s", t->candidates[candidate].url);
    if (breaker_write(&t->breakers[candidate], &text) && journal_state_put(t->spec.journal, buf_str(&key), buf_span(&text), &ignored) < 0) {
        /* health is a hint: the next run finds out by itself */
    }
}

/* May this endpoint be asked? The probe that half open lets through is ours then, and other runs see that it is out. */
static int let_through(struct task *t, int candidate, struct err *e)
{
    struct breaker *b = &t->breakers[candidate];
    const enum breaker_state before = b->state;
    if (!breaker_allow(b, clock_unix_ms()))
        return err_set(e, ERR_UNAVAILABLE, "it failed before; a probe is under way");
    if (before != BREAKER_CLOSED)
        write_health(t, candidate);
    return 0;
}

void task_health(struct task *t, bool good, int64_t retry_after_ms)
{
    if (t->choice < 0)
        return;
    struct breaker *b = &t->breakers[t->choice];
    const struct breaker before = *b;
    if (good)
        breaker_success(b);
    else
        breaker_failure(b, retry_after_ms, clock_unix_ms());
    if (memcmp(&before, b, sizeof before) != 0)
        write_health(t, t->choice);
}

static void now_of(struct route_now *now)
{
    now->unix_ms = clock_unix_ms();
    time_t s = (time_t)(now->unix_ms / 1000);
    struct tm tm;
    if (localtime_r(&s, &tm)) {
        now->weekday = tm.tm_wday;
        now->minute = tm.tm_hour * 60 + tm.tm_min;
    }
}

static void on_engine(void *ctx, const char *what, double done)
{
    (void)done;
    task_stage(ctx, "%s", what);
}

/* The engine ended in the middle of a conversation (a crash, no memory, idleness): the same one again. */
static int revive_engine(void *ctx, struct cancel *cancel, struct err *e)
{
    struct task *t = ctx;
    struct engine_address a;
    return engine_ensure(t->spec.loop, t->spec.config, NULL, on_engine, t, cancel, &a, e);
}

static int open_engine(struct task *t, struct cancel *cancel, struct err *e)
{
    AUTO(endpoints) struct endpoints *found = NULL;
    struct endpoint *ready = NULL;
    struct engine_address a;
    for (int i = 0; !ready && i < 3; i++) { /* it may end between its start and our first question */
        endpoints_destroy(found);
        found = NULL;
        err_reset(e);
        int r = engine_ensure(t->spec.loop, t->spec.config, NULL, on_engine, t, cancel, &a, e);
        if (r < 0)
            return r;
        t->engine_address = a;
        t->endpoint = t->engine ? endpoints_find(t->engine, a.url) : NULL;
        if (t->endpoint) /* the one that conversations know already */
            return 0;
        const struct discover_options o = { .engine_url = a.url, .no_ports = true, .env = (const char *const[]){ NULL } };
        r = endpoints_discover(t->spec.loop, &o, cancel, &found, e);
        if (r == -ERR_CANCELLED)
            return r;
        ready = found ? endpoints_first(found) : NULL;
    }
    if (!ready)
        return err_set(e, ERR_UNAVAILABLE, "it is not ready: %s", found && found->len ? found->items[0]->problem : "it keeps ending");
    ready->revive = revive_engine;
    ready->revive_ctx = t;
    t->engine = TAKE(found);
    t->endpoint = ready;
    return 0;
}

static int open_hosted(struct task *t, const struct config_endpoint *c, struct cancel *cancel, struct err *e)
{
    struct endpoint_spec spec;
    endpoint_spec_of(c, &spec);
    endpoint_destroy(t->hosted);
    t->hosted = NULL;
    int r = endpoint_create(&spec, &t->hosted, e);
    if (r == 0)
        r = endpoint_look(t->spec.loop, t->hosted, 10000, cancel, e);
    if (r == 0 && t->hosted->state != ENDPOINT_READY) {
        err_set(e, ERR_UNAVAILABLE, "%s", t->hosted->problem);
        err_hint(e, "%s", t->hosted->remedy);
        r = -ERR_UNAVAILABLE;
    }
    t->endpoint = r == 0 ? t->hosted : t->endpoint;
    return r;
}

/* Turn a choice into an endpoint that can be talked to. */
static int open_candidate(struct task *t, int i, struct cancel *cancel, struct err *e)
{
    const struct route_candidate *c = &t->candidates[i];
    int r = let_through(t, i, e);
    t->choice = i;
    if (r < 0)
        return err_wrap(e, "endpoint '%s'", c->name);
    if (t->candidate_endpoints[i])
        t->endpoint = t->candidate_endpoints[i];
    else if (is_embedded(c))
        r = open_engine(t, cancel, e);
    else
        r = open_hosted(t, configured(t, c->name), cancel, e);
    if (r == 0 && !t->endpoint->local)
        r = task_guard(t, t->endpoint, e);
    if (r == 0)
        r = task_turns(t, &t->turn_here, t->endpoint, e);
    if (r < 0 && r != -ERR_CANCELLED)
        task_health(t, false, 0);
    return r < 0 ? err_wrap(e, "endpoint '%s'", c->name) : 0;
}

static int nothing_serves(const struct task *t, struct err *e)
{
    const struct route_stop *last = NULL;
    for (size_t i = 0; i < t->route.nstops; i++)
        if (t->route.stops[i].candidate >= 0)
            last = &t->route.stops[i];
    if (last)
        err_set(e, ERR_UNAVAILABLE, "no endpoint may serve this task; '%s': %s", t->candidates[last->candidate].name, last->reason);
    else
        err_set(e, ERR_UNAVAILABLE, "no endpoint was found");
    err_hint(e, "`stead route explain \"TASK\"` shows every candidate and why not; `stead doctor` what is here");
    return -ERR_UNAVAILABLE;
}

int task_candidates(struct task *t, struct cancel *cancel, struct err *e)
{
    return t->candidates ? 0 : find_candidates(t, cancel, e);
}

int task_route(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    t->route_input.need_tokens = task_need_tokens(t->spec.workspace, text);
    int r = task_candidates(t, cancel, e);
    if (r < 0)
        return r;
    read_health(t);
    const char *kept = task_stays_local(&t->values->policy, t->spec.workspace);
    t->route_input = (struct route_input){
        .class = &t->class,
        .candidates = t->candidates,
        .ncandidates = t->ncandidates,
        .values = t->values,
        .need_tokens = t->route_input.need_tokens,
        .local_only = t->spec.local_only || kept,
        .local_only_why = kept,
    };
    if (t->spec.endpoint || t->values->endpoint)
        t->route_input.wanted = t->ncandidates ? t->candidates[0].name : t->spec.endpoint;
    now_of(&t->route_input.now);
    r = task_spent(t, &t->route_input.spent, e);
    if (r < 0)
        return err_wrap(e, "adding up what was spent");
    r = route_decide(&t->route_input, &t->arena, &t->route, e);
    if (r < 0)
        return err_wrap(e, "choosing an endpoint");
    t->person = t->route.person;
    while (t->route.choice >= 0) {
        r = open_candidate(t, t->route.choice, cancel, e);
        if (r == 0)
            return 0;
        if (r == -ERR_CANCELLED)
            return r;
        struct route_candidate *c = &t->candidates[t->route.choice]; /* it is not what it seemed: decide anew without it */
        char *problem = arena_strdup(&t->arena, e->text);
        c->ready = false;
        c->problem = problem ? problem : "not ready";
        struct err first = *e;
        r = route_decide(&t->route_input, &t->arena, &t->route, e);
        if (r < 0)
            return r;
        if (t->route.choice < 0) {
            *e = first;
            return -ERR_UNAVAILABLE;
        }
    }
    return nothing_serves(t, e);
}

int task_escalate(struct task *t, enum escalate_cause cause, int escalations, struct escalation *out, struct cancel *cancel,
                  struct err *e)
{
    for (;;) {
        now_of(&t->route_input.now);
        int spent = task_spent(t, &t->route_input.spent, e);
        if (spent < 0)
            return spent;
        const struct escalate_input in = {
            .cause = cause,
            .from = t->choice,
            .escalations = escalations,
            .token_seen = true, /* the conversation's own retries are over */
            .has_draft = t->change && t->change->nfiles,
            .route = &t->route_input,
        };
        int r = escalate_decide(&in, &t->arena, out, e);
        if (r < 0 || out->action != ESCALATE_TO)
            return r;
        t->candidates[t->choice].tried = true;
        r = open_candidate(t, out->to, cancel, e);
        if (r == 0 || r == -ERR_CANCELLED)
            return r;
        cause = ESCALATE_DOWN;
        escalations++;
        err_reset(e);
    }
}
