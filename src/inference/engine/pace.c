/* pace.c - see pace.h. */
#include "inference/engine/pace.h"

#include <string.h>

#define SECOND 1000000LL
#define UP_FIRST_US (SECOND / 2)
#define UP_MOST_US (8 * SECOND)
#define DOWN_US (30 * SECOND)    /* a trial of fewer threads though nothing looks wrong: it costs three slower tokens */
#define SLOW 1.5                 /* times the best: something is in the way */
#define GAIN 0.9                 /* keep the other number when it costs less than this share */

void pace_init(struct pace *p, int threads, int early, bool small)
{
    memset(p, 0, sizeof *p);
    p->from = -1;
    p->early = early;
    for (int n = threads > 0 ? threads : 1; p->levels < PACE_LEVELS; n /= 2) {
        p->threads[p->levels++] = n;
        if (n == 1)
            break;
    }
    p->up_wait_us = UP_FIRST_US;
    if (small)
        p->level = p->levels - 1;
}

static void begin_trial(struct pace *p, int level)
{
    p->from = p->level;
    p->level = level;
    p->cost[level] = 0;
    p->tried = 0;
}

static void end_trial(struct pace *p, int64_t now_us)
{
    bool pays = p->cost[p->level] < GAIN * p->cost[p->from];
    bool up = p->level < p->from;
    if (up)
        p->up_wait_us = pays ? UP_FIRST_US : p->up_wait_us * 2 < UP_MOST_US ? p->up_wait_us * 2 : UP_MOST_US;
    if (!pays)
        p->level = p->from;
    else if (!up)
        p->up_wait_us = UP_FIRST_US;
    p->from = -1;
    p->next_up_us = now_us + p->up_wait_us;
    p->next_down_us = now_us + (pays && !up ? 0 : DOWN_US); /* fewer paid: perhaps still fewer do */
}

int pace_threads(struct pace *p, int64_t now_us)
{
    if (!p->started) {
        p->started = true;
        p->next_up_us = now_us + p->up_wait_us;
        p->next_down_us = INT64_MAX;
    }
    if (p->from < 0 && p->cost[p->level] > 0) {
        bool slow = p->best > 0 && p->cost[p->level] > SLOW * p->best;
        if (p->level > 0 && now_us >= p->next_up_us)
            begin_trial(p, p->level - 1);
        else if (p->level + 1 < p->levels && (now_us >= p->next_down_us || (slow && now_us + DOWN_US - SECOND / 4 >= p->next_down_us)))
            begin_trial(p, p->level + 1);
    }
    return p->threads[p->level];
}

void pace_note(struct pace *p, int threads, double units, int64_t spent_us, int64_t now_us)
{
    if (threads != p->threads[p->level] || units <= 0)
        return; /* somebody set another number meanwhile */
    bool trial = p->from >= 0;
    if (trial && p->tried++ == 0)
        return;
    double cost = (double)spent_us / units;
    double *have = &p->cost[p->level];
    *have = *have > 0 ? *have * 0.7 + cost * 0.3 : cost;
    if (p->best <= 0 || *have < p->best)
        p->best = *have;
    if (trial) {
        if (p->tried >= PACE_TRIAL)
            end_trial(p, now_us);
    } else if (p->next_down_us == INT64_MAX && ++p->tried >= p->early) {
        p->next_down_us = now_us;
    }
}
