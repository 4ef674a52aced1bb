/*
 * task-internal - what the files of task/ share: the state of one task and its stages.
 */
#ifndef STEAD_TASK_TASK_INTERNAL_H
#define STEAD_TASK_TASK_INTERNAL_H

#include "agent/attempt.h"
#include "agent/permit.h"
#include "config/config.h"
#include "inference/supervisor.h"
#include "inference/turns.h"
#include "journal/journal.h"
#include "model/chat.h"
#include "model/endpoint.h"
#include "route/class.h"
#include "route/escalate.h"
#include "route/privacy.h"
#include "route/route.h"
#include "sandbox/sandbox.h"
#include "task/task.h"
#include "verify/second.h"
#include "verify/verify.h"
#include "workspace/apply.h"
#include "workspace/change.h"
#include "workspace/diff.h"
#include "workspace/layer.h"

/* Turns with other runs at one endpoint. */
struct task_turn {
    struct task *task;
    struct turns *turns;         /* NULL: hosted */
    bool computed_here;          /* the model runs on this machine's CPU */
};

struct task {
    struct task_spec spec;
    const struct config_values *values;
    const char *state_dir, *cache_dir;
    char session[ID_SIZE];
    struct endpoints *endpoints; /* local ones, as discovered */
    struct endpoints *engine;    /* the embedded one, once it runs */
    struct endpoint *hosted;     /* made when the route chose it */
    struct endpoint *second;     /* policy.second_model's, once it was asked */
    struct route_candidate *candidates;
    struct endpoint **candidate_endpoints; /* parallel; NULL: configured or embedded, opened when chosen */
    struct breaker *breakers;    /* parallel */
    size_t ncandidates;
    struct classes *classes;
    struct classification class;
    struct route_input route_input;
    struct route route;
    int choice;                  /* index in candidates; -1 none yet */
    bool person;                 /* the route says that a person must decide */
    struct endpoint *endpoint;   /* of the running attempt */
    struct permit *permit;
    struct privacy *privacy;     /* made when the first hosted endpoint is opened */
    const char **seen;           /* paths that tools named */
    size_t nseen, seen_cap;
    struct layer *layer;
    struct sandbox_spec sandbox_spec;
    struct sandbox *sandbox;
    bool sandbox_ready;
    struct attempt *attempt;
    char resume_from[ID_SIZE];   /* the next attempt takes over this session's conversation; "" */
    int64_t resume_step;
    struct arena arena;          /* lives as long as the task */
    const char *task_class;
    const char *person_name;     /* task_person; NULL until asked */
    enum attempt_goal goal;
    struct engine_address engine_address; /* of `engine` */
    struct task_turn turn_here, second_turn; /* at the attempt's endpoint; at that of the second model */
    bool over_budget;            /* the last request was refused for a budget */
    bool slowed;                 /* the engine computes with fewer threads while gates run */

    /* one turn */
    struct arena turn;
    struct buf evidence;         /* "$ make test\n...\n[exit 2]": what failed before anything was done */
    struct gates gates;
    bool gates_known;
    struct change *change;
    struct verdict verdict;
    bool verified_once;          /* verdict is of `change` */
    struct attempt_result last;  /* of the last attempt_run */
    int64_t steps_before, prompt_before, completion_before; /* of attempts that ended in this turn */
    struct handoff_attempt *tried; /* these attempts, for whoever goes on; strings in the turn's arena */
    size_t ntried, tried_cap;
};

/* task-events.c: the journal's members, one function an event type. */
int event_asked(struct task *t, struct span text, struct err *e) WARN_UNUSED;
int event_task(struct task *t, struct span text, struct err *e) WARN_UNUSED;
int event_route(struct task *t, struct err *e) WARN_UNUSED;
int event_gate(struct task *t, const struct gate_result *r, struct err *e) WARN_UNUSED;
int event_finding(struct task *t, const struct finding *f, struct err *e) WARN_UNUSED;
int event_second(struct task *t, const struct config_second *row, const struct second_use *use, int64_t duration_ms, const char *problem,
                 size_t findings, struct err *e) WARN_UNUSED;
int event_fix(struct task *t, const struct gate *g, int status, bool changed, size_t others, int64_t duration_ms, struct err *e) WARN_UNUSED;
int event_escalate(struct task *t, const char *from, const char *to, const char *cause, const char *reason, struct err *e) WARN_UNUSED;
int event_approval(struct task *t, const char *what, const char *decision, const char *by, struct err *e) WARN_UNUSED;
int event_apply(struct task *t, const struct apply_result *r, struct err *e) WARN_UNUSED;
int event_error(struct task *t, const struct err *failed, struct err *e) WARN_UNUSED;
int event_result(struct task *t, const struct task_result *r, struct err *e) WARN_UNUSED;

#define TASK_ARENA_BYTES ((size_t)64 << 20)

/* task.c: the layer and the sandbox over it; `reopen`: a layer's ID, or NULL for a new one. Begun, its walls are built
 * while the task is classified and routed; nothing may be asked of it before task_sandbox_ready. */
int task_sandbox_begin(struct task *t, const char *reopen, struct err *e) WARN_UNUSED;
int task_sandbox_ready(struct task *t, struct err *e) WARN_UNUSED;
/* Both, over a new layer or the one that is there, where nothing is to be done meanwhile. */
int task_sandbox_start(struct task *t, struct err *e) WARN_UNUSED;

/* task-route.c: what kind of task it is; candidates and the choice (-ERR_UNAVAILABLE when nothing can serve). */
int task_classify(struct task *t, struct span text, struct err *e) WARN_UNUSED;
int task_route(struct task *t, struct span text, struct cancel *cancel, struct err *e) WARN_UNUSED;
/* task-edited.c: changes of this workspace that were touched up by hand get an `edited` event in their session. */
void task_look_for_edits(struct task *t);
/* Fill t->candidates, once. */
int task_candidates(struct task *t, struct cancel *cancel, struct err *e) WARN_UNUSED;
/* task-class.c: fill t->classes, with what task_warm has read where it was called. */
int task_classes(struct task *t, struct err *e) WARN_UNUSED;
/* Where the rules are unsure and policy.classify_by_model allows, a local model's word for the class. */
int task_ask_class(struct task *t, struct span text, struct cancel *cancel, struct err *e) WARN_UNUSED;
/* task-spent.c: whose task it is, by the name that the system knows them by. What this task, this day and this user have used, from the journal; for the budgets of a route. */
const char *task_person(struct task *t);
int task_spent(struct task *t, struct route_spent *out, struct err *e) WARN_UNUSED;
/* What follows an attempt that was not enough; opens the next endpoint when there is one (ESCALATE_TO). */
int task_escalate(struct task *t, enum escalate_cause cause, int escalations, struct escalation *out, struct cancel *cancel,
                  struct err *e) WARN_UNUSED;
/* Remember how the endpoint did, for this run and later ones; retry_after_ms: what it asked for, or 0. */
void task_health(struct task *t, bool good, int64_t retry_after_ms);

/* task-guard.c: what may leave for a hosted endpoint, and who is asked. task_seen is a journal_event_fn. */
int task_guard(struct task *t, struct endpoint *ep, struct err *e) WARN_UNUSED;
int task_permit(struct task *t, struct err *e) WARN_UNUSED;
int task_seen(void *ctx, const struct journal_event *ev);
/* Content of this path may be among what is sent from now on. */
void task_see(struct task *t, const char *path);

/* task-turns.c: turns with other runs at this endpoint; around gates (which may wait); what the sandbox may take now. */
int task_turns(struct task *t, struct task_turn *turn, struct endpoint *ep, struct err *e) WARN_UNUSED;
int task_work_begin(struct task *t, struct cancel *cancel, struct err *e) WARN_UNUSED;
void task_work_end(struct task *t);
void task_give_way(struct task *t);

/* task-verify.c */
int task_gates(struct task *t, struct err *e) WARN_UNUSED;
void task_forget_gates(struct task *t);
/* What fails before anything was done, for the first message; empty when the class does not ask for it. */
int task_evidence(struct task *t, struct buf *out, struct cancel *cancel, struct err *e) WARN_UNUSED;
/* Read the change into t->change. */
int task_read_change(struct task *t, struct err *e) WARN_UNUSED;
/* Gates and rules over it, into t->verdict. */
int task_verify(struct task *t, struct span text, struct cancel *cancel, struct err *e) WARN_UNUSED;
void task_drop_change(struct task *t);

/* task-fix.c: failing gates that can repair by themselves do. 1: the change is another now and no longer verified. */
int task_fix(struct task *t, struct cancel *cancel, struct err *e) WARN_UNUSED;

/* task-second.c: another model reads the verified change, where policy asks for one; its findings join t->verdict. */
int task_second(struct task *t, struct span text, struct cancel *cancel, struct err *e) WARN_UNUSED;

/* task-apply.c: who approves, and what is carried in. Fills status, exit, applied, conflicts. */
int task_apply_now(struct task *t, struct task_result *r, struct err *e) WARN_UNUSED;
int task_decide(struct task *t, struct task_result *r, struct err *e) WARN_UNUSED;

void task_stage(struct task *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
