#include "task/task-internal.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "journal/members.h"
#include "route/candidate.h"

/* One step of the journal, or what a second model used. Hosted ones cost money and count against the day; the task's own count wherever they ran. */
struct used {
    struct span endpoint;
    int64_t prompt, completion, duration_ms;
};

struct adding {
    const struct config_values *values;
    const char *session, *person;
    int64_t midnight; /* local: a day's and a person's budgets begin anew */
    struct route_spent *out;
    char (*others)[ID_SIZE]; /* sessions of other people today; where nobody is named they are all mine */
    size_t nothers, cap;
};

const char *task_user(struct arena *a)
{
    char room[4096];
    struct passwd p, *found = NULL;
    const char *name = getpwuid_r(geteuid(), &p, room, sizeof room, &found) == 0 && found ? arena_strdup(a, found->pw_name) : NULL;
    return name ? name : "unknown";
}

const char *task_person(struct task *t)
{
    if (!t->person_name)
        t->person_name = task_user(&t->arena);
    return t->person_name;
}

static bool is_others(const struct adding *x, const char *session)
{
    for (size_t i = 0; i < x->nothers; i++)
        if (strcmp(x->others[i], session) == 0)
            return true;
    return false;
}

/* A task that says whose it is. */
static void note_person(struct adding *x, const struct journal_event *ev)
{
    struct members it = members_of(ev->members);
    struct member m;
    struct span name;
    while (members_next(&it, &m))
        if (span_eqs(m.name, "person") && member_span(&m, &name) && !span_eqs(name, x->person) && !is_others(x, ev->session) &&
            array_grow((void **)&x->others, &x->cap, x->nothers, 1, sizeof *x->others))
            (void)snprintf(x->others[x->nothers++], ID_SIZE, "%s", ev->session);
}

static const struct config_endpoint *hosted_of(const struct config_values *v, struct span name)
{
    for (size_t i = 0; i < v->nendpoints; i++) {
        struct route_candidate c;
        candidate_of_config(&v->endpoints[i], &c);
        if (!c.local && span_eqs(name, v->endpoints[i].name))
            return &v->endpoints[i];
    }
    return NULL;
}

static struct used used_by(struct span members)
{
    struct used u = { { "", 0 }, 0, 0, 0 };
    struct members it = members_of(members);
    struct member m;
    while (members_next(&it, &m)) {
        if (span_eqs(m.name, "prompt_tokens"))
            (void)member_i64(&m, &u.prompt);
        else if (span_eqs(m.name, "completion_tokens"))
            (void)member_i64(&m, &u.completion);
        else if (span_eqs(m.name, "duration_ms"))
            (void)member_i64(&m, &u.duration_ms);
        else if (span_eqs(m.name, "endpoint"))
            (void)member_span(&m, &u.endpoint);
    }
    return u;
}

static void add(struct config_budget *b, const struct used *u, int64_t micro_usd)
{
    b->tokens += u->prompt + u->completion;
    b->time_ms += u->duration_ms;
    b->micro_usd += micro_usd;
}

static int on_fact(void *ctx, const struct journal_event *ev)
{
    struct adding *x = ctx;
    bool own = strcmp(ev->session, x->session) == 0, today = ev->time_ms >= x->midnight;
    if (own && strcmp(ev->type, "task") == 0)
        x->out->task = (struct config_budget){ 0 }; /* the next task of a conversation begins anew */
    if (strcmp(ev->type, "task") == 0)
        note_person(x, ev);
    if (strcmp(ev->type, "step") != 0 && strcmp(ev->type, "second") != 0)
        return 0;
    struct used u = used_by(ev->members);
    const struct config_endpoint *hosted = hosted_of(x->values, u.endpoint);
    struct route_candidate c;
    int64_t cost = 0;
    if (hosted) {
        candidate_of_config(hosted, &c);
        cost = route_cost(&c, u.prompt, u.completion);
        if (today)
            add(&x->out->day, &u, cost);
        if (today && !is_others(x, ev->session))
            add(&x->out->user, &u, cost);
    }
    if (own)
        add(&x->out->task, &u, cost);
    return 0;
}

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

int task_spent_of(struct journal *j, const struct config_values *v, const char *session, const char *person, struct route_spent *out, struct err *e)
{
    time_t now = (time_t)(clock_unix_ms() / 1000);
    struct tm tm = { 0 };
    *out = (struct route_spent){ 0 };
    if (!localtime_r(&now, &tm))
        return 0;
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    struct adding x = { .values = v, .session = session, .person = person, .midnight = (int64_t)mktime(&tm) * 1000, .out = out };
    int r = journal_facts(j, x.midnight - DAY_MS, 0, 0, on_fact, &x, e); /* a task may have begun before midnight */
    free(x.others);
    return r < 0 ? r : 0;
}

int task_spent(struct task *t, struct route_spent *out, struct err *e)
{
    return task_spent_of(t->spec.journal, t->values, t->session, task_person(t), out, e);
}
