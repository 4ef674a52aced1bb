/* pace.c - see pace.h. */
#include "inference/engine/pace.h"

#include <string.h>

#define MILLI 1000LL
#define SECOND 1000000LL
#define UP_FIRST_US (SECOND / 2)
#define UP_MOST_US (8 * SECOND)
#define UP_HINTED_US (2 * SECOND) /* the most where cores look idle: they may be a neighbour's whom one does not see */
#define DOWN_US (30 * SECOND)    /* a trial of fewer threads though nothing looks wrong: it costs some slower tokens, */
#define DOWN_SHARE 100           /* and where batches are long, no more than one part in this many of the time */
#define DOWN_FIRST_US (8 * SECOND)
#define SLOW 1.5                 /* times the best: something is in the way */
#define SLOW_FIRST_US (SECOND / 4)
#define SPIKE 3.0                /* times the average is the most that one batch counts: the scheduler's doing */
#define GAIN 0.9                 /* keep the other number when it costs less than this share */
#define TRIAL_LEAST 3            /* batches of a trial, */
#define TRIAL_MOST 16
#define TRIAL_US (20 * MILLI)    /* and time, between these: short batches differ by what the scheduler does to one; */
#define TRIAL_LONG_UP 2          /* of batches longer than that so many are enough, and of fewer threads, */
#define TRIAL_LONG_DOWN 1        /* which need no waking, one */
#define HOPELESS 3.0             /* times the cost before: not worth another batch */
#define ASK_US (20 * MILLI)
#define IDLE_TIMES 3

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
    p->slow_wait_us = SLOW_FIRST_US;
    if (small)
        p->level = p->levels - 1;
}

static void begin_trial(struct pace *p, int level)
{
    p->from = p->level;
    p->level = level;
    p->tried = 0;
    p->trial_us = 0;
    p->trial_units = 0;
}

static void end_trial(struct pace *p, int64_t now_us)
{
    double cost = (double)p->trial_us / p->trial_units;
    bool pays = cost < GAIN * p->cost[p->from];
    bool up = p->level < p->from;
    /* one trial in a bad moment must not vouch for long that this number is no use */
    p->cost[p->level] = pays || p->cost[p->level] <= 0 || cost < SLOW * p->cost[p->level] ? cost : SLOW * p->cost[p->level];
    if (p->best <= 0 || cost < p->best)
        p->best = cost;
    if (up)
        p->up_wait_us = pays ? UP_FIRST_US : p->up_wait_us * 2 < UP_MOST_US ? p->up_wait_us * 2 : UP_MOST_US;
    if (!pays)
        p->level = p->from;
    else if (!up)
        p->up_wait_us = UP_FIRST_US;
    p->from = -1;
    p->idle_seen = 0;
    p->next_up_us = now_us + p->up_wait_us;
    p->next_hinted_us = now_us + (pays ? 0 : p->up_wait_us < UP_HINTED_US ? p->up_wait_us / 2 : UP_HINTED_US);
    int64_t rest_us = DOWN_SHARE * p->trial_us;
    p->next_down_us = p->worked_us + (pays && !up ? 0 : rest_us > DOWN_US ? rest_us : DOWN_US); /* fewer paid: perhaps still fewer do */
    p->slow_wait_us = pays ? SLOW_FIRST_US : up ? p->slow_wait_us : p->slow_wait_us * 2 < DOWN_US ? p->slow_wait_us * 2 : DOWN_US;
    p->next_slow_us = now_us + p->slow_wait_us;
}

bool pace_asks(const struct pace *p, int64_t now_us)
{
    return p->from < 0 && p->level > 0 && p->cost[p->level] > 0 && now_us >= p->next_ask_us && now_us >= p->next_hinted_us;
}

int pace_wants(const struct pace *p)
{
    return p->threads[p->level > 0 ? p->level - 1 : 0];
}

void pace_hint(struct pace *p, bool idle, int64_t now_us)
{
    p->next_ask_us = now_us + ASK_US;
    p->idle_seen = idle ? p->idle_seen + 1 : 0;
    if (p->idle_seen >= IDLE_TIMES && p->next_up_us > now_us)
        p->next_up_us = now_us;
}

/* Something is in the way, and it costs more than the threads it would free are worth by what is known of fewer. */
static bool is_slow(const struct pace *p)
{
    double cost = p->cost[p->level];
    return cost > SLOW * p->best && cost > p->cost[p->level + 1];
}

int pace_threads(struct pace *p, int64_t now_us)
{
    if (!p->started) {
        p->started = true;
        p->next_up_us = now_us + p->up_wait_us;
        p->next_down_us = p->early > 0 ? INT64_MAX : DOWN_FIRST_US;
        p->next_slow_us = now_us + p->slow_wait_us;
    }
    if (p->from < 0 && p->cost[p->level] > 0) {
        if (p->level > 0 && now_us >= p->next_up_us)
            begin_trial(p, p->level - 1);
        else if (p->level + 1 < p->levels && (p->worked_us >= p->next_down_us || (is_slow(p) && now_us >= p->next_slow_us)))
            begin_trial(p, p->level + 1);
    }
    return p->threads[p->level];
}

static void note_trial(struct pace *p, double units, int64_t spent_us, int64_t now_us)
{
    bool is_long = spent_us >= TRIAL_US, up = p->level < p->from;
    int least = !is_long ? TRIAL_LEAST : up ? TRIAL_LONG_UP : TRIAL_LONG_DOWN;
    if (p->tried++ == 0 && !is_long)
        return;
    p->trial_us += spent_us;
    p->trial_units += units;
    bool hopeless = (double)spent_us / units > HOPELESS * p->cost[p->from];
    if (hopeless || p->tried >= TRIAL_MOST || (p->tried >= least && p->trial_us >= TRIAL_US))
        end_trial(p, now_us);
}

void pace_note(struct pace *p, int threads, double units, int64_t spent_us, int64_t now_us)
{
    p->worked_us += spent_us;
    if (threads != p->threads[p->level] || units <= 0)
        return; /* somebody set another number meanwhile */
    if (p->from >= 0) {
        note_trial(p, units, spent_us, now_us);
        return;
    }
    double cost = (double)spent_us / units;
    double *have = &p->cost[p->level];
    if (*have > 0 && cost > SPIKE * *have)
        cost = SPIKE * *have;
    *have = *have > 0 ? *have * 0.7 + cost * 0.3 : cost;
    if (p->best <= 0 || *have < p->best)
        p->best = *have;
    if (p->next_down_us == INT64_MAX && ++p->tried >= p->early)
        p->next_down_us = p->worked_us;
}
