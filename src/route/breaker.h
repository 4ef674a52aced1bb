/*
 * breaker - stops asking an endpoint that keeps failing, and lets one request through to see whether it is back.
 *
 *     closed ──(BREAKER_FAILURES in a row, or Retry-After)──▶ open ──(cool-down over)──▶ half open
 *        ▲                                                     ▲                          │ one probe
 *        └──────────────────(it succeeded)─────────────────────┼──────(it failed)─────────┘
 *                                                               cool-down doubles, up to BREAKER_MOST_MS
 *
 * A value: zero is closed and healthy. Time is given (wall clock ms), so that it can be kept in the journal
 * between processes (breaker_write, breaker_read) and tested without waiting.
 */
#ifndef STEAD_ROUTE_BREAKER_H
#define STEAD_ROUTE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define BREAKER_FAILURES 3
#define BREAKER_COOL_MS 15000
#define BREAKER_MOST_MS (10 * 60 * 1000)
#define BREAKER_RETRY_MOST_MS (60 * 60 * 1000)
#define BREAKER_PROBE_MS 60000 /* a probe that says nothing for so long counts as lost */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    enum breaker_state state;
    int failures;          /* in a row */
    int64_t cool_ms;       /* the next cool-down; 0: BREAKER_COOL_MS */
    int64_t until_ms;      /* open until */
    int64_t probe_ms;      /* when the probe was let through; 0: none is out */
};

/* May a request go there now? In half open only the first caller hears yes. Changes the state, hence not const. */
bool breaker_allow(struct breaker *b, int64_t now_ms);
/* Would it be allowed? Changes nothing: for route_decide and for showing. */
bool breaker_would_allow(const struct breaker *b, int64_t now_ms);
void breaker_success(struct breaker *b);
/* retry_after_ms: what the server asked for, or 0. It opens at once and for at least so long. */
void breaker_failure(struct breaker *b, int64_t retry_after_ms, int64_t now_ms);
const char *breaker_state_name(enum breaker_state s);

bool breaker_write(const struct breaker *b, struct buf *out); /* one line of numbers */
int breaker_read(struct span text, struct breaker *out, struct err *e) WARN_UNUSED;

#endif
