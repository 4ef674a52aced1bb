/*
 * escalate - what follows when an attempt was not enough: a decided event, bounded, that always ends at a person.
 *
 *     struct escalate_input in = { .cause = ESCALATE_GATES_RED, .from = i, .escalations = n, .route = &route_input };
 *     struct escalation x;
 *     escalate_decide(&in, &arena, &x, e);
 *     x.action: ESCALATE_AGAIN (same endpoint, after x.wait_ms), ESCALATE_TO (x.to), ESCALATE_PERSON (exit x.exit)
 *
 * The same endpoint is asked again only for a transient failure before its first token, at most RETRY_MOST times.
 * The handoff is the next attempt's first message: the task, what was tried, the draft, what still fails.
 */
#ifndef STEAD_ROUTE_ESCALATE_H
#define STEAD_ROUTE_ESCALATE_H

#include "route/route.h"

enum escalate_cause {
    ESCALATE_GATES_RED,  /* still red after policy.max_rounds */
    ESCALATE_LOOP,       /* the same call again and again */
    ESCALATE_NO_EFFECT,  /* a change was asked for, nothing was written */
    ESCALATE_GAVE_UP,    /* nothing usable came */
    ESCALATE_CONTEXT,    /* does not fit */
    ESCALATE_DOWN,       /* the endpoint failed or is not there */
    ESCALATE_OVERLOAD,   /* 429, 503, loading: may work later */
    ESCALATE_SLOW,       /* first token or tokens come too slowly */
    ESCALATE_BUDGET,     /* steps, tokens, money or time are used up */
    ESCALATE_PRIVACY,    /* the guard let nothing leave */
    ESCALATE_CAUSES
};
const char *escalate_cause_name(enum escalate_cause c); /* "gates-red", ...: in events and reports */
const char *escalate_cause_kind(enum escalate_cause c); /* quality, latency, context, policy, outage: for metrics */

#define RETRY_MOST 2
#define RETRY_WAIT_MS 1000        /* doubles with each retry */
#define RETRY_WAIT_MOST_MS 20000  /* a longer Retry-After goes to the next stop instead */

enum escalate_action { ESCALATE_AGAIN, ESCALATE_TO, ESCALATE_PERSON };

struct escalate_input {
    enum escalate_cause cause;
    int from;                     /* index of the candidate that made the attempt */
    int escalations;              /* so far in this task */
    int retries;                  /* of this request at this endpoint */
    bool token_seen;              /* something of the reply had arrived */
    int64_t retry_after_ms;       /* what the server asked for; 0 */
    bool has_draft;               /* the layer holds a change */
    const struct route_input *route; /* as for route_decide, with .tried set for all so far but `from` */
};

struct escalation {
    enum escalate_action action;
    int to;                       /* ESCALATE_TO: index */
    int64_t wait_ms;              /* ESCALATE_AGAIN */
    bool clean_layer;             /* ESCALATE_TO: start from a clean layer */
    int exit;                     /* ESCALATE_PERSON: 3, 4, 5 or 6 */
    const char *reason;           /* one sentence, for the event and the person */
};

int escalate_decide(const struct escalate_input *in, struct arena *a, struct escalation *out, struct err *e) WARN_UNUSED;

struct handoff_attempt {
    const char *endpoint, *model, *status, *reason;
    int64_t steps;
};

struct handoff {
    struct span task;
    const struct handoff_attempt *attempts;
    size_t nattempts;
    struct span diff;             /* of the draft; empty when there is none, or the layer was cleaned */
    struct span evidence;         /* what still fails */
    bool clean_layer;
    size_t limit_bytes;           /* of the whole; diff and evidence are shortened to fit */
};

/* Appended to out. The same text, with a person as its reader, is the package of the last stop. */
bool handoff_write(const struct handoff *h, struct buf *out);

#endif
