#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "report/collect.h"

const char *const report_wait_names[REPORT_WAITS] = { "< 10 s", "10-30 s", "30-60 s", "1-2 min", "> 2 min" };
static const int64_t wait_from_ms[REPORT_WAITS + 1] = { 0, 10000, 30000, 60000, 120000, INT64_MAX };
const char *const report_cause_names[REPORT_CAUSES] = { "quality", "latency", "context", "policy", "outage", "other" };

const char *report_by_name(enum report_by by)
{
    static const char *const names[REPORT_BYS] = { "all", "class", "model", "week", "person" };
    return names[by];
}

/* ISO 8601 week of a time, UTC: "2026-W47". Days are counted from 1970-01-01, a Thursday. */
static const char *week_of(int64_t unix_ms, char out[16])
{
    int64_t day = unix_ms / 86400000 - (unix_ms % 86400000 < 0);
    int64_t thursday = day - (((day + 3) % 7 + 7) % 7) + 3; /* of its week: decides the year */
    char date[24];
    clock_format(thursday * 86400000, date);
    int64_t year = (date[0] - '0') * 1000 + (date[1] - '0') * 100 + (date[2] - '0') * 10 + (date[3] - '0');
    int64_t y = year - 1, first = y * 365 + y / 4 - y / 100 + y / 400 - 719162; /* day of January 1st */
    (void)snprintf(out, 16, "%04d-W%02d", (int)(year % 10000), (int)(((thursday - first) / 7 + 1) % 100));
    return out;
}

static bool is_answer(const char *class)
{
    return strcmp(class, "explain") == 0 || strcmp(class, "qa") == 0;
}

static bool is_completed(const struct seen_task *t)
{
    if (t->edited || t->reverted)
        return false;
    if (is_answer(t->class))
        return t->unchanged || t->verified;
    return t->verified && t->applied;
}

/* --- the tasks of one dimension, put together by group --- */

struct dimension {
    const struct collection *c;
    const struct report_options *o;
    enum report_by by;
    const char *weeks;         /* 16 bytes a task */
    const char **names;        /* of its groups, in order */
    size_t n;
    int *group;                /* of each task */
    size_t *task_from, *tasks; /* group g has tasks[task_from[g]] to tasks[task_from[g + 1] - 1] */
    size_t *wait_from, *waits;
    double *scratch;           /* room for a figure a task or wait */
    struct pair *lines, *rounds; /* of reviewed changes: room for one a task */
    struct survival_point *points;
};

static const char *key_of(const struct dimension *d, size_t task)
{
    const struct seen_task *t = &d->c->tasks[task];
    switch (d->by) {
    case REPORT_CLASS: return t->class;
    case REPORT_MODEL: return t->model;
    case REPORT_WEEK: return d->weeks + task * 16;
    case REPORT_PERSON: return t->person;
    default: return "";
    }
}

static bool is_running(const struct dimension *d, const struct seen_task *t)
{
    return !t->ended && d->o->now_ms - t->last_ms < RUNNING_MS;
}

static void measure_waits(const struct dimension *d, size_t at, struct report_group *g)
{
    int64_t reached[REPORT_WAITS] = { 0 }, stopped[REPORT_WAITS] = { 0 };
    size_t n = 0;
    for (size_t i = d->wait_from[at]; i < d->wait_from[at + 1]; i++) {
        const struct seen_wait *w = &d->c->waits[d->waits[i]];
        if (is_running(d, &d->c->tasks[w->task]))
            continue;
        for (int b = 0; b < REPORT_WAITS && w->ms >= wait_from_ms[b]; b++) {
            reached[b]++;
            stopped[b] += w->interrupted && w->ms < wait_from_ms[b + 1];
        }
        if (w->interrupted)
            d->scratch[n++] = (double)w->ms;
    }
    for (int b = 0; b < REPORT_WAITS; b++)
        g->waits[b] = rate_of(stopped[b], reached[b]);
    g->interrupted_ms = median_of(d->scratch, n);
}

static void measure(const struct dimension *d, size_t at, struct report_group *g)
{
    int64_t completed = 0, escalated = 0, hosted = 0;
    size_t wrong = 0, reviewed = 0;
    for (size_t i = d->task_from[at]; i < d->task_from[at + 1]; i++) {
        const struct seen_task *t = &d->c->tasks[d->tasks[i]];
        if (is_running(d, t)) {
            g->running++;
            continue;
        }
        g->started++;
        completed += is_completed(t);
        hosted += t->hosted;
        g->said_wrong += t->said_wrong;
        g->said_slow += t->said_slow;
        if (t->cause >= 0 || t->hosted) {
            escalated++;
            g->causes[t->cause >= 0 ? t->cause : 3]++; /* hosted from the start: policy sent it there */
        }
        if (t->wrong_active_ms >= 0) {
            bool green = t->green_active_ms >= 0;
            d->points[wrong] = (struct survival_point){ (double)((green ? t->green_active_ms : t->active_ms) - t->wrong_active_ms), green };
            d->scratch[wrong++] = t->prompts;
        }
        if (t->reviews) {
            g->review_ms += t->review_ms;
            d->lines[reviewed] = (struct pair){ (double)t->review_ms / 1000, (double)t->lines };
            d->rounds[reviewed++] = (struct pair){ t->reviews, 1 };
        }
    }
    g->completion = rate_of(completed, g->started);
    g->escalation = rate_of(escalated, g->started);
    g->hosted = rate_of(hosted, g->started);
    g->prompts = median_of(d->scratch, wrong);
    g->review_per_line = ratio_of(d->lines, reviewed);
    g->review_rounds = ratio_of(d->rounds, reviewed);
    g->recovery_ms = survival_of(d->points, wrong);
    measure_waits(d, at, g);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

#define GROUPS_MOST 4000

/* The names that the dimension has, each once, in order; then the group of each task. */
static void name_groups(struct dimension *d)
{
    d->n = 0;
    for (size_t i = 0; i < d->c->ntasks && d->n < GROUPS_MOST; i++) {
        const char *key = key_of(d, i);
        bool known = false;
        for (size_t k = d->n; k-- > 0 && !known;)
            known = strcmp(d->names[k], key) == 0;
        if (!known)
            d->names[d->n++] = key;
    }
    if (d->n == 0)
        d->names[d->n++] = "";
    qsort(d->names, d->n, sizeof *d->names, by_text);
    for (size_t i = 0; i < d->c->ntasks; i++) {
        const char *key = key_of(d, i);
        const char **found = bsearch(&key, d->names, d->n, sizeof *d->names, by_text);
        d->group[i] = found ? (int)(found - d->names) : 0;
    }
}

/* Counting sort: from[g] and the indices in order of their group. */
static void sort_groups(const struct dimension *d, bool waits, size_t *from, size_t *order)
{
    size_t n = waits ? d->c->nwaits : d->c->ntasks;
    memset(from, 0, (d->n + 2) * sizeof *from);
    for (size_t i = 0; i < n; i++)
        from[d->group[waits ? (size_t)d->c->waits[i].task : i] + 2]++;
    for (size_t g = 2; g <= d->n + 1; g++)
        from[g] += from[g - 1];
    for (size_t i = 0; i < n; i++)
        order[from[d->group[waits ? (size_t)d->c->waits[i].task : i] + 1]++] = i;
}

static int add_groups(struct report *r, struct dimension *d, size_t *cap, struct err *e)
{
    name_groups(d);
    sort_groups(d, false, d->task_from, d->tasks);
    sort_groups(d, true, d->wait_from, d->waits);
    if (d->by != REPORT_ALL && d->c->ntasks == 0)
        return 0;
    for (size_t i = 0; i < d->n; i++) {
        if (!array_grow((void **)&r->groups, cap, r->ngroups, 1, sizeof *r->groups))
            return err_set(e, ERR_NOMEM, "making a report: out of memory");
        const char *name = d->by == REPORT_ALL ? "all" : *d->names[i] ? d->names[i] : "unknown";
        struct report_group *g = &r->groups[r->ngroups];
        *g = (struct report_group){ .by = d->by, .name = arena_strdup(r->arena, name) };
        if (!g->name)
            return err_set(e, ERR_NOMEM, "making a report: out of memory");
        measure(d, i, g);
        r->ngroups++;
    }
    return 0;
}

static int build_groups(struct report *r, const struct collection *c, struct err *e)
{
    size_t most = (c->ntasks > c->nwaits ? c->ntasks : c->nwaits) + 1, cap = 0;
    AUTO(ptr) double *scratch = calloc(most, sizeof *scratch);
    AUTO(ptr) struct survival_point *points = calloc(most, sizeof *points);
    AUTO(ptr) struct pair *pairs = calloc(2 * most, sizeof *pairs);
    AUTO(ptr) char *weeks = calloc(c->ntasks + 1, 16);
    AUTO(ptr) const char **names = calloc(GROUPS_MOST + 1, sizeof *names);
    AUTO(ptr) int *group = calloc(c->ntasks + 1, sizeof *group);
    AUTO(ptr) size_t *index = calloc(2 * most + 2 * (GROUPS_MOST + 3), sizeof *index);
    if (!scratch || !points || !pairs || !weeks || !names || !group || !index)
        return err_set(e, ERR_NOMEM, "making a report: out of memory");
    for (size_t i = 0; i < c->ntasks; i++)
        week_of(c->tasks[i].started_ms, weeks + i * 16);
    for (int by = 0; by < REPORT_BYS; by++) {
        if (by == REPORT_PERSON && !r->options.person)
            continue;
        struct dimension d = { .c = c, .o = &r->options, .by = (enum report_by)by, .weeks = weeks, .names = names, .group = group,
                               .tasks = index, .waits = index + most, .task_from = index + 2 * most,
                               .wait_from = index + 2 * most + GROUPS_MOST + 3, .scratch = scratch, .points = points,
                               .lines = pairs, .rounds = pairs + most };
        if (add_groups(r, &d, &cap, e) < 0)
            return -(int)e->kind;
    }
    return 0;
}

static int by_model(const void *a, const void *b)
{
    return strcmp(((const struct report_steps *)a)->model, ((const struct report_steps *)b)->model);
}

static int build_steps(struct report *r, const struct collection *c, struct err *e)
{
    r->steps = arena_array(r->arena, c->nmodels + 1, sizeof *r->steps);
    if (!r->steps)
        return err_set(e, ERR_NOMEM, "making a report: out of memory");
    for (size_t i = 0; i < c->nmodels; i++) {
        struct seen_model *m = &c->models[i];
        struct report_steps *s = &r->steps[r->nsteps];
        if (m->sums.n == 0)
            continue;
        *s = m->sums;
        s->model = *m->name ? m->name : "unknown";
        s->ttft_p50_ms = quantile(m->ttft.v, m->ttft.n, 0.5);
        s->ttft_p95_ms = quantile(m->ttft.v, m->ttft.n, 0.95);
        s->harness_p50_ms = quantile(m->harness.v, m->harness.n, 0.5);
        s->harness_p95_ms = quantile(m->harness.v, m->harness.n, 0.95);
        s->tokens_per_s = m->decode_ms > 0 ? m->decode_tokens * 1000 / m->decode_ms : NAN;
        r->nsteps++;
    }
    qsort(r->steps, r->nsteps, sizeof *r->steps, by_model);
    return 0;
}

int report_create(struct journal *j, const struct report_options *o, struct report **out, struct err *e)
{
    AUTO(report) struct report *r = calloc(1, sizeof *r);
    struct collection c;
    if (!r || !(r->arena = calloc(1, sizeof *r->arena)))
        return err_set(e, ERR_NOMEM, "making a report: out of memory");
    arena_init(r->arena, (size_t)64 << 20);
    r->options = *o;
    if (!r->options.now_ms)
        r->options.now_ms = clock_unix_ms();
    int ret = collect(j, o, r->arena, &c, e);
    if (ret == 0) {
        r->facts = c.facts;
        r->first_ms = c.first_ms;
        r->last_ms = c.last_ms;
        ret = build_groups(r, &c, e) < 0 || build_steps(r, &c, e) < 0 ? -(int)e->kind : 0;
    }
    collection_finish(&c);
    if (ret < 0)
        return ret;
    *out = TAKE(r);
    return 0;
}

void report_destroy(struct report *r)
{
    if (!r)
        return;
    if (r->arena)
        arena_finish(r->arena);
    free(r->arena);
    free(r->groups);
    free(r);
}
