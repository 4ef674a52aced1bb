/*
 * task - the way from intent to checked change; the only place that knows all of it.
 *
 *     struct task_spec spec = { .loop = loop, .config = cfg, .journal = j, .workspace = dir, .approve = TASK_NEVER };
 *     struct task *t;
 *     if (task_open(&spec, &t, e) < 0) return cli_fail(...);      // ERR_DENIED: no sandbox (exit 7)
 *     task_turn(t, text, &result, cancel, e);                     // route, attempt, change, gates, decision, apply
 *     ... another task_turn goes on in the same conversation ...
 *     task_close(t);                                              // the session stays in the journal
 *
 *   task -> route -> attempt -> change -> gates -> decision -> apply
 *             ^        |  ^                 |
 *             |        v  +---- findings ---+        every arrow is an event in the journal
 *             +---- escalate <--------------+
 *
 * What a turn leads to is its result: a status of the contract and its exit code. Red gates go back to the
 * agent, at most `policy.max_rounds` times; what still fails then, a loop, an exhausted budget or an endpoint that
 * failed goes to the next stop of the route, at most `policy.max_escalations` times; the last stop is a person,
 * with the draft kept. Nothing is written to the workspace but by an apply of what was approved.
 *
 * Printing is the caller's: it reads the journal's events (journal_subscribe) and, for a terminal, `live` and
 * `events`. The loop's thread; task_turn waits.
 */
#ifndef STEAD_TASK_TASK_H
#define STEAD_TASK_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/permit.h"
#include "base/bind.h"
#include "base/hash.h"
#include "base/loop.h"

struct attempt;
struct attempt_events;
struct change;
struct config;
struct endpoint;
struct gate;
struct gate_result;
struct journal;
struct layer;
struct sandbox;
struct verdict;

enum task_status {
    TASK_VERIFIED,  /* gates passed (and applied, where that was asked for) */
    TASK_UNCHANGED, /* nothing needed changing, or a question was answered */
    TASK_RED,       /* gates fail; the draft is kept */
    TASK_STOPPED,   /* the agent stopped without finishing */
    TASK_UNSERVED,  /* no endpoint could serve it */
    TASK_PENDING,   /* a person must decide */
    TASK_FAILED,    /* stead itself failed, or it was interrupted */
    TASK_STATUSES
};
const char *task_status_name(enum task_status s); /* "verified", ...: CONTRACT `result` */

enum task_approve { TASK_ASK, TASK_AUTO, TASK_NEVER };

/* What a person (or a policy that a person wrote) said of a change. */
struct task_decision {
    enum { DECISION_LATER, DECISION_APPROVE, DECISION_REJECT } verdict;
    bool apply;                /* carry it in now */
    struct strings hunks;      /* approved hunks, when not all; owned by the caller's arena */
    struct strings guard_ok;   /* guarded paths that were approved as such; "*": all */
    const char *comment;       /* for the agent when hunks were rejected; NULL */
};

struct task_events { /* all optional; never wait, but for `decide` */
    void *ctx;
    void (*on_stage)(void *ctx, const char *text); /* "starting the engine", one line, clean */
    void (*on_gate_start)(void *ctx, const struct gate *g);
    void (*on_gate)(void *ctx, const struct gate_result *r);
    void (*on_change)(void *ctx, const struct change *c, const struct verdict *v); /* v NULL: no gate has looked */
    /* Something would leave the sandbox or the machine; may wait. NULL: nobody is there, the answer is no. */
    enum permit_answer (*permit)(void *ctx, const struct permit_request *r, const char *rule);
    /* With TASK_ASK: a person decides; may wait. 0, or negative when nobody could be asked. */
    int (*decide)(void *ctx, const struct change *c, const struct verdict *v, struct arena *a, struct task_decision *out,
                  struct err *e);
};

/* Borrowed until task_close. */
struct task_spec {
    struct loop *loop;
    struct config *config;
    struct journal *journal;
    const char *workspace;     /* absolute */
    const char *kind;          /* of the session: "run", "chat" */
    const char *resume;        /* go on with this session; NULL: a new one */
    const char *endpoint;      /* --endpoint, NULL: by route */
    const char *model;
    const char *task_class;    /* --class */
    const char *harness;       /* --harness */
    bool local_only;
    struct strings gates;      /* --gate: replace detection */
    bool no_gates;
    enum task_approve approve;
    const char *approver;      /* who stands behind TASK_AUTO: "--approve auto", "policy" */
    bool apply;
    const char *backend;
    int64_t max_steps, max_tokens, timeout_ms; /* 0: configuration's */
    const struct attempt_events *live;
    const struct task_events *events;
};

struct task_result {
    enum task_status status;
    int exit;                  /* CONTRACT */
    char session[ID_SIZE];
    char change[ID_SIZE];      /* "" when there is none */
    bool applied;
    bool recorded;             /* as events; not where the session is in use by another stead, or nothing can be written */
    size_t files, conflicts;
    int64_t steps, prompt_tokens, completion_tokens, duration_ms, escalations;
    const char *endpoint;      /* name; "" none. Valid until task_close */
    char reason[480];          /* why, for a person; "" when verified */
    char hint[240];
    struct span text;          /* the agent's last words; valid until the next turn */
};

struct task;

/*
 * Reading the task classes and compiling their patterns takes 8 ms: begun on a thread before there is a task, they are there
 * when it needs them. Optional; not after task_open. task_warm_end waits for the thread and drops what no task has taken.
 */
void task_warm(void);
void task_warm_end(void);

int task_open(const struct task_spec *spec, struct task **out, struct err *e) WARN_UNUSED;
/* `text` may be empty where a session is resumed: it goes on where it was. Always fills *result and records it (`recorded`), also
 * when it returns negative (stead itself failed). */
int task_turn(struct task *t, struct span text, struct task_result *result, struct cancel *cancel, struct err *e) WARN_UNUSED;
/* The last two events of a stream, error and result, as lines, where they could not be recorded. */
void task_unrecorded(const struct task *t, const struct err *failed, const struct task_result *r, int64_t last_seq, struct buf *out);
void task_close(struct task *t);
static inline void task_auto(struct task **t)
{
    task_close(*t);
}

/*
 * Gates and rules over a change by itself, in a layer made for it: what a partial approval would be. Events go
 * to the change's session; `*out` lives in `a`.
 */
int task_check(const struct task_spec *spec, struct change *c, struct arena *a, struct verdict *out, struct cancel *cancel,
               struct err *e) WARN_UNUSED;

/* Estimated context that a task needs, from its text and the files that it names. */
struct config_policy;
int64_t task_need_tokens(const char *workspace, struct span text);

/* What was spent today, by this session's task, by all, and by this person (task_user): as budgets are kept. */
struct journal;
struct route_spent;
struct config_values;
const char *task_user(struct arena *a);
int task_spent_of(struct journal *j, const struct config_values *v, const char *session, const char *person, struct route_spent *out,
                  struct err *e) WARN_UNUSED;

/* Why nothing of this directory may leave this machine (a mark in it or above, policy.local_only_paths), or NULL. */
const char *task_stays_local(const struct config_policy *p, const char *workspace);
/* Is this path of it kept by a mark or an entry below it? `real`: where it leads, relative where that is inside; "" where unknown. */
#define TASK_PATH 4096
bool task_path_stays_local(const struct config_policy *p, const char *workspace, const char *path, char real[TASK_PATH]);

/* The change of the last turn, NULL when there was none; carrying it in; taking the layer back to a step. */
const struct change *task_change(const struct task *t);
int task_apply(struct task *t, struct task_result *r, struct err *e) WARN_UNUSED;
/* Back to *step; negative: to the one before the last that wrote, which is then in *step. */
int task_undo(struct task *t, int *step, struct err *e) WARN_UNUSED;

const char *task_session(const struct task *t);
struct attempt *task_attempt(struct task *t);   /* NULL before the first turn; for attempt_tell while a turn runs */
const struct endpoint *task_endpoint(const struct task *t); /* NULL before the first turn */

#endif
