/*
 * attempt - one run of an agent against one endpoint, in one sandbox.
 *
 *     struct attempt_spec spec = {
 *         .loop = loop, .journal = j, .session = id, .endpoint = ep, .sandbox = sb, .layer = layer,
 *         .workspace = dir, .task = text, .goal = ATTEMPT_CHANGE, .limits = { .max_steps = 50 },
 *     };
 *     struct attempt *a;
 *     if (attempt_start(&spec, &a, e) < 0) return err_wrap(e, "starting the attempt");
 *     if (attempt_run(a, &cancel, &result, e) < 0) ...     // stead's own failure: journal, memory
 *     ... gates over the layer; red? ...
 *     attempt_tell(a, findings, e);                        // "Still failing:\n$ make test\n..."
 *     attempt_run(a, &cancel, &result, e);                 // goes on in the same conversation
 *     attempt_destroy(a);                                  // background jobs end with it
 *
 * An attempt reports and never judges: ATTEMPT_FINISHED means that the model ended its turn, not that
 * the task is done; gates decide that. Nothing here writes the workspace: tools run in the sandbox, and
 * what they write lands in the layer, with a checkpoint after each step that wrote.
 *
 * Everything is in the journal as it happens, in this order: `attempt`, then per step `prompt` (the bytes
 * that the request adds to those before), `step`, `text`, `tool_call`..., `tool_result`..., `checkpoint`. A
 * process killed at any point loses at most the running step; session.h goes on from there.
 *
 * attempt_run waits (loop_wait). attempt_tell may be called from callbacks while it runs: a message is
 * given to the model with the next request. Raising `cancel` ends the run at once, wherever it
 * is; the conversation stays whole and another attempt_run goes on.
 *
 * Who makes attempts: a row of attempt_makers[]. "stead" is the loop of this folder; other harnesses
 * (Pi, Codex, ...) become further rows, so nothing in here assumes that it is our loop.
 */
#ifndef STEAD_AGENT_ATTEMPT_H
#define STEAD_AGENT_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"

struct journal;
struct endpoint;
struct sandbox;
struct layer;
struct permit;
struct chat_progress;
struct attempt_maker;

/* What a run should lead to: decides whether a run that wrote nothing is asked about it. */
enum attempt_goal {
    ATTEMPT_EITHER, /* interactive: an answer or a change */
    ATTEMPT_CHANGE, /* files should change; a run that wrote nothing is asked once, then ATTEMPT_NO_EFFECT */
    ATTEMPT_ANSWER, /* explain, question: tools that write are offered but not expected */
};

enum attempt_status {
    ATTEMPT_FINISHED,    /* the model ended its turn */
    ATTEMPT_NO_EFFECT,   /* it ended its turn, a change was asked for, and nothing was written in the whole attempt */
    ATTEMPT_BUDGET,      /* steps, tokens or time are used up: `reason` says which */
    ATTEMPT_LOOP,        /* the same call with the same result again and again, after a warning */
    ATTEMPT_GAVE_UP,     /* nothing usable came: empty or unusable replies after bounded re-asks */
    ATTEMPT_CONTEXT,     /* does not fit the window, compaction freed too little */
    ATTEMPT_ENDPOINT,    /* the endpoint failed: `model_error` says how (enum model_error) */
    ATTEMPT_INTERRUPTED, /* cancel was raised */
    ATTEMPT_FAILED,      /* the sandbox is gone, or the harness broke */
    ATTEMPT_STATUSES
};
const char *attempt_status_name(enum attempt_status s); /* "finished", "no-effect", ... */

struct attempt_limits { /* 0: the default */
    int64_t max_steps;      /* model replies; 100 */
    int64_t max_tokens;     /* completion tokens, and prompt tokens that the server had to compute; no limit */
    int64_t timeout_ms;     /* wall time of all runs together; no limit */
    int64_t command_ms;     /* one shell command without a limit of its own; 120 s */
    size_t output_bytes;    /* of one tool result shown to the model; 16 KiB, less in small windows */
};

/* Live, for a terminal; the journal has the record. All optional, never wait. Text is hostile: clean it. */
struct attempt_events {
    void *ctx;
    void (*on_request)(void *ctx, int64_t step, int64_t prompt_tokens, int64_t window_tokens); /* estimate; window 0 unknown */
    void (*on_progress)(void *ctx, const struct chat_progress *p);    /* prefill */
    void (*on_reasoning)(void *ctx, struct span piece);
    void (*on_text)(void *ctx, struct span piece);
    void (*on_call)(void *ctx, const char *tool);                     /* a call begins to arrive */
    void (*on_tool)(void *ctx, const char *id, const char *tool, struct span args_json); /* it starts to run */
    void (*on_tool_output)(void *ctx, const char *id, struct span piece); /* of a command, as it comes */
    void (*on_written)(void *ctx, const char *path, struct span before, struct span after); /* by a tool, before it is done */
    void (*on_tool_done)(void *ctx, const char *id, bool ok, struct span output, int64_t duration_ms);
    void (*on_retry)(void *ctx, const char *why);
};

/* Strings are borrowed until attempt_start returns; objects until attempt_destroy. */
struct attempt_spec {
    struct loop *loop;
    struct journal *journal;
    const char *session;         /* an open session's ID */
    struct endpoint *endpoint;
    struct sandbox *sandbox;
    struct layer *layer;         /* NULL: a read-only view, no checkpoints */
    struct permit *permit;       /* NULL: nothing may leave the sandbox */
    const char *workspace;       /* absolute; the same path inside */
    const char *cache_dir;       /* repository maps; NULL: none kept */

    struct span task;            /* what the user asked for; empty: attempt_tell brings the first message */
    struct span evidence;        /* "Failing now:\n$ make test\n...[exit 2]", given after the task; may be empty */
    const char *task_class;      /* "fix", "explain", ...; may be NULL */
    enum attempt_goal goal;
    bool repo_map;               /* give a map of the repository with the task where the window has room */
    const char *const *context_files; /* relative paths read as context beside AGENTS.md; NULL-terminated, may be NULL */
    const char *resume_from;     /* session whose conversation is taken over (session.h); NULL: a fresh one */
    int64_t resume_step;         /* up to and with this step; 0: all */

    struct attempt_limits limits;
    const struct attempt_events *events; /* may be NULL */
    const struct attempt_maker *maker;   /* NULL: stead's own loop */
    const char *harness_command;         /* for makers that run a program */
};

struct attempt_result {
    enum attempt_status status;
    int model_error;        /* ATTEMPT_ENDPOINT, ATTEMPT_GAVE_UP, ATTEMPT_CONTEXT: enum model_error */
    int64_t retry_after_ms; /* ATTEMPT_ENDPOINT: what the server asked for; 0 nothing */
    bool wrote;             /* a step of this attempt wrote files that are still in the layer */
    struct span text;       /* the model's last words; valid until the next run or destroy */
    char reason[240];       /* why it stopped, for a person; "" when finished */
    char hint[240];         /* what to do next; "" */
    int64_t steps;          /* of the attempt so far */
    int64_t last_step;      /* number of its last step within the session */
    int64_t prompt_tokens, cached_tokens, completion_tokens; /* sums so far; what the server does not count is estimated */
    int64_t tool_calls, tool_errors;
    int64_t duration_ms;    /* of this run */
};

struct attempt;

int attempt_start(const struct attempt_spec *spec, struct attempt **out, struct err *e) WARN_UNUSED;
/* Negative only when stead itself failed; everything else is a status. *result is always filled. */
int attempt_run(struct attempt *a, struct cancel *cancel, struct attempt_result *result, struct err *e) WARN_UNUSED;
/* A message for the model: findings of gates, or a person's words (with @path mentions). Copied. From callbacks too. */
int attempt_tell(struct attempt *a, struct span text, struct err *e) WARN_UNUSED;
/* Messages told that the model has not seen yet. */
size_t attempt_queued(const struct attempt *a);
/* Free context now (a person asked for it): tokens freed, estimated. */
int64_t attempt_compact(struct attempt *a, struct err *e);
/* The context in use and the window (0 unknown), in tokens. */
void attempt_context(const struct attempt *a, int64_t *used, int64_t *window);
/* The layer was taken back to the state after `step` by somebody else: the model is told with the next request. */
int attempt_undone(struct attempt *a, int64_t step, struct err *e) WARN_UNUSED;
/* Ends its background jobs; neither sandbox nor layer are touched. */
void attempt_destroy(struct attempt *a);
static inline void attempt_auto(struct attempt **a)
{
    attempt_destroy(*a);
}

/* --- makers --- */

struct attempt_maker {
    const char *name;
    const char *summary;
    int (*start)(const struct attempt_spec *spec, void **state, struct err *e);
    int (*run)(void *state, struct cancel *cancel, struct attempt_result *result, struct err *e);
    int (*tell)(void *state, struct span text, struct err *e);
    size_t (*queued)(const void *state);                             /* NULL: 0 */
    int64_t (*compact)(void *state, struct err *e);                  /* NULL: cannot */
    void (*context)(const void *state, int64_t *used, int64_t *window); /* NULL: unknown */
    int (*undone)(void *state, int64_t step, struct err *e);         /* NULL: told as a message */
    void (*destroy)(void *state);
};

extern const struct attempt_maker attempt_maker_stead;
extern const struct attempt_maker *const attempt_makers[]; /* NULL-terminated */
const struct attempt_maker *attempt_maker_find(const char *name); /* NULL: none of that name */

#endif
