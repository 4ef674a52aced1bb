/*
 * route - the decision which endpoint makes the next attempt, with its reasons. Decides; does no I/O.
 *
 *     struct route_input in = { .class = &c, .candidates = list, .ncandidates = n, .values = values, .now = now };
 *     struct route r;
 *     if (route_decide(&in, &arena, &r, e) < 0) ...
 *     r.choice            index in list, or -1: no endpoint may serve it
 *     r.person            a person must decide about what comes of it, or do it
 *     r.stops[i]          each candidate, in the order of the chain, taken or with the reason why not
 *
 * The chain of the task's class says where a task goes and where next: endpoint names, local-small,
 * local-large, local, hosted, person. With nothing configured everything stays on this machine: hosted
 * endpoints are candidates only for classes that policy.hosted_classes names. Every candidate is checked
 * against the same list (checks[] in route.c), fallbacks too; the first without an objection is the choice.
 * All inputs are given: endpoints, their health, the time, what was spent. Strings in the result live in the arena.
 */
#ifndef STEAD_ROUTE_ROUTE_H
#define STEAD_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/config.h"
#include "route/breaker.h"
#include "route/class.h"

struct route_candidate {          /* one endpoint, as discovery and configuration know it */
    const char *name, *url, *model;
    bool local;
    bool large;                   /* serves local-large; configuration or parameter count */
    bool ready;                   /* answered when it was looked at */
    const char *problem;          /* why not, or NULL */
    int64_t context_tokens;       /* 0: unknown */
    int64_t expected_ttft_ms;     /* for this task's prompt; 0: unknown */
    int64_t slots, busy;          /* 0: unknown */
    int64_t price_in_micro_usd, price_out_micro_usd; /* per million tokens */
    const struct breaker *breaker; /* or NULL */
    bool tried;                   /* made an attempt at this task that was not enough */
};

struct route_now {                /* the clocks, given so that decisions can be repeated */
    int64_t unix_ms;
    int weekday;                  /* 0 Sunday ... 6 Saturday, local time */
    int minute;                   /* of the day, local time */
};

struct route_spent {              /* from the journal */
    struct config_budget task, day, user;
};

struct route_input {
    const struct classification *class;
    const struct route_candidate *candidates;
    size_t ncandidates;
    const struct config_values *values;
    struct route_now now;
    struct route_spent spent;
    const char *wanted;           /* --endpoint NAME|URL: this one and no other; NULL */
    bool local_only;              /* --local-only, or the repository is marked */
    const char *local_only_why;   /* "marked by .stead-local", for the reason; NULL */
    int64_t need_tokens;          /* estimated context of the task; 0: unknown */
    bool quick;                   /* an attempt is cheap to redo: prefer the small model */
};

struct route_stop {
    int candidate;                /* index, or -1: the stop matched no endpoint */
    const char *stop;             /* the chain's word for it */
    bool accepted;
    const char *reason;           /* why, or why not */
};

struct route {
    int choice;                   /* index of the first accepted candidate, or -1 */
    bool person;
    const char *person_reason;    /* NULL when person is false */
    struct route_stop *stops;
    size_t nstops;
    struct strings reasons;       /* of the whole decision, for the event and the terminal */
};

int route_decide(const struct route_input *in, struct arena *a, struct route *out, struct err *e) WARN_UNUSED;

/* What so many tokens cost there, in micro-dollars, rounded up. */
int64_t route_cost(const struct route_candidate *c, int64_t prompt_tokens, int64_t completion_tokens);

/* The budget that a request of in->need_tokens there would exceed, given in->spent; NULL: none. */
const char *route_over_budget(const struct route_input *in, const struct route_candidate *c, struct arena *a);

/* Is this moment within policy.hours? True where none are set. */
bool route_hours(const struct config_policy *p, const struct route_now *now);

/* The absolute entry of policy.local_only_paths (~ is `home`) at or above the workspace, or NULL. Relative entries: privacy.h. */
const char *route_local_only(const struct config_policy *p, const char *workspace, const char *home);

/* The stops of a class's chain: configured for it, configured as default, or built in. */
struct strings route_chain(const struct config_policy *p, const struct classification *c);

#endif
