#include "task/task-internal.h"

#include "inference/hardware.h"
#include "inference/turns.h"
#include "route/candidate.h"

#define LOG_MODULE "task"
#include "base/log.h"

/*
 * Several runs on one machine, and this run's own tools and gates, beside a model that is computed here: who waits for whom
 * (inference/turns.h), and who gives way where nobody waits. While a request is under way what runs in the sandbox has less
 * weight; commands that are started while another run's request is under way have it for good.
 */

#define GIVE_WAY 10 /* niceness: a tenth of the weight */

static bool computed_here(const struct endpoint *ep)
{
    struct hardware h;
    if (!ep->local || !candidate_is_local_url(ep->url))
        return false;
    hardware_read(&h);
    return hardware_best_gpu(&h) < 0;
}

static void on_wait(void *ctx, const char *why)
{
    task_stage(ctx, "%s", why);
}

static int turn_begin(void *ctx, struct cancel *cancel, struct err *e)
{
    const struct task_turn *turn = ctx;
    int r = turns_request_begin(turn->turns, cancel, e);
    if (r == 0 && turn->computed_here && turn->task->sandbox)
        sandbox_renice(turn->task->sandbox, GIVE_WAY);
    return r;
}

static void turn_end(void *ctx)
{
    const struct task_turn *turn = ctx;
    turns_request_end(turn->turns);
    task_give_way(turn->task);
}

void task_give_way(struct task *t)
{
    if (t->sandbox)
        sandbox_renice(t->sandbox, turns_busy(t->turn_here.turns) ? GIVE_WAY : 0);
}

int task_turns(struct task *t, struct task_turn *turn, struct endpoint *ep, struct err *e)
{
    turns_destroy(turn->turns);
    *turn = (struct task_turn){ .task = t, .computed_here = computed_here(ep) };
    if (!ep->local)
        return 0;
    const struct turns_options o = { .loop = t->spec.loop, .dir = t->state_dir, .url = ep->url, .slots = ep->slots, .cpu = turn->computed_here,
                                     .on_wait = on_wait, .ctx = t };
    if (turns_create(&o, &turn->turns, e) < 0)
        return -(int)e->kind;
    ep->turn_begin = turn_begin;
    ep->turn_end = turn_end;
    ep->turn_ctx = turn;
    ep->place = ep->slots > 1 ? turns_home(turn->turns) + 1 : 0; /* with one place there is nothing to choose */
    return 0;
}

int task_work_begin(struct task *t, struct cancel *cancel, struct err *e)
{
    int beside = turns_work_begin(t->turn_here.turns, cancel, e);
    if (beside < 0)
        return beside;
    t->sandbox_spec.nice = beside ? GIVE_WAY : 0;
    t->slowed = beside && t->engine && t->turn_here.computed_here;
    struct err ignored = ERR_INIT; /* an older engine, or one that is just going: it is only slower then */
    if (t->slowed && engine_set_threads(t->spec.loop, &t->engine_address, 1, &ignored) < 0)
        log_debug("the engine's threads stay as they are: %s", ignored.text);
    return 0;
}

void task_work_end(struct task *t)
{
    struct err ignored = ERR_INIT;
    turns_work_end(t->turn_here.turns);
    if (t->slowed && engine_set_threads(t->spec.loop, &t->engine_address, 0, &ignored) < 0)
        log_debug("the engine's threads stay as they are: %s", ignored.text);
    t->slowed = false;
}
