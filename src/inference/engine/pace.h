/*
 * pace - how many threads to compute with, found by trying.
 *
 * Evaluation meets at a barrier after every operation: when something else wants one of the cores, all threads wait
 * for the one that lost it. On two cores with builds beside it a small model wrote 14 to 45 tokens a second with two
 * threads and 200 to 250 with one (2026-11); alone, two are nearly twice as fast as one. Which holds cannot be
 * known from outside (containers, quotas, neighbours), so it is measured: from time to time a few batches are computed
 * with the next smaller or larger number, and the quicker one is kept. What can be seen from outside, cores that
 * nobody uses (inference/spare.h), only says when trying more is worth it sooner. Pure; the caller has the clock.
 *
 *     pace_init(&p, 8, 6, false);
 *     if (pace_asks(&p, now_us)) pace_hint(&p, there_are_idle_cores, now_us);
 *     n = pace_threads(&p, now_us);               // before a batch
 *     pace_note(&p, n, units, spent_us, now_us);  // after it
 */
#ifndef STEAD_INFERENCE_ENGINE_PACE_H
#define STEAD_INFERENCE_ENGINE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_LEVELS 8         /* N, N/2, N/4 ... 1 */

struct pace {
    int threads[PACE_LEVELS];
    int levels;
    int level;                /* in use: 0 is all threads */
    double cost[PACE_LEVELS]; /* microseconds a unit: moving average of the level in use, last trial of others; 0: unknown */
    double best;              /* smallest average ever */
    int from;                 /* level before the trial, -1: no trial */
    int tried;                /* batches of it; outside of one: batches before the first */
    int64_t trial_us;         /* spent in it, */
    double trial_units;       /* and what for: without a short first batch, which is mostly waking threads */
    int64_t next_up_us, next_slow_us;
    int64_t up_wait_us;       /* grows while trying more threads does not pay, */
    int64_t slow_wait_us;     /* and while trying fewer because batches became slow does not */
    int64_t worked_us, next_down_us; /* time spent in batches: pauses between requests are no reason to try fewer */
    int64_t next_ask_us, next_hinted_us;
    int idle_seen;            /* how many times in a row */
    int early;
    bool started;
};

/*
 * `early`: batches before fewer threads are tried for the first time; 0: there seem to be cores for all threads, some
 * seconds are soon enough. `small`: begin with one thread and see whether more pay, as a small model's operations are
 * over before other threads have woken up.
 */
void pace_init(struct pace *p, int threads, int early, bool small);
bool pace_asks(const struct pace *p, int64_t now_us);       /* whether idle cores would make a difference now */
int pace_wants(const struct pace *p);                       /* threads that would be tried then */
void pace_hint(struct pace *p, bool idle, int64_t now_us);
int pace_threads(struct pace *p, int64_t now_us);
/* `units`: of work done, so that batches compare (tokens). */
void pace_note(struct pace *p, int threads, double units, int64_t spent_us, int64_t now_us);

#endif
