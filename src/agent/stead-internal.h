/* What attempt-stead.c (life of an attempt), step.c (one step) and calls.c (its tool calls) share. */
#ifndef STEAD_AGENT_STEAD_INTERNAL_H
#define STEAD_AGENT_STEAD_INTERNAL_H

#include "agent/attempt.h"
#include "agent/context.h"
#include "agent/record.h"
#include "agent/repeat.h"
#include "agent/tool.h"
#include "base/arena.h"
#include "model/chat.h"

enum {
    STEP_ARENA_BYTES = 64 << 20,  /* all that one step parses */
    MESSAGE_BYTES = 4 << 20,      /* of one user message with the files it mentions */
    NUDGES_MAX = 2,               /* in a row, for replies that were cut or empty */
    NOTES_BYTES = 256 << 10,      /* of each text kept for a compaction */
};

struct told {
    char *text;
    size_t n;
    const char *kind; /* of record_user */
    bool expand;      /* look for @paths */
};

struct stead {
    struct arena arena;      /* copies of the spec's strings */
    struct attempt_spec spec;
    struct attempt_events events;
    char id[ID_SIZE];
    struct recorder record;
    struct chat *chat;
    struct tool_env env;
    struct context_source context;
    struct context_notes notes;
    struct repeat repeat;
    struct cancel own_cancel;
    struct cancel *cancel;   /* of the run in progress */

    struct told *queue;
    size_t nqueue, queue_cap;
    bool owed;               /* something was added that the model has not answered */

    int64_t step;            /* number of the last step, in the session */
    int64_t steps;           /* made by this attempt */
    size_t recorded;         /* bytes of the conversation that the journal has */
    int64_t prompt_tokens, cached_tokens, completion_tokens, computed_tokens;
    int64_t last_prompt;     /* tokens of the last request */
    int64_t tool_calls, tool_errors;
    int64_t spent_ms;        /* of earlier runs */
    int64_t run_started_ms;
    bool time_up;
    int64_t files_written;   /* by checkpoints of this attempt that were not undone */
    bool unsaved;            /* writes that no checkpoint could take yet */
    bool has_past;           /* goes on with a session whose layer holds a change already */
    bool asked_for_effect;
    int nudges;              /* in a row */
    bool compacted_now;      /* for this request: a second time would not help */

    struct buf task, told_text, files, said, last; /* compact_notes */
    struct buf text;         /* the model's last words */
};

/* step.c: 1 go on, 0 the run ended with *result's status, negative: stead failed. */
int stead_step(struct stead *s, struct attempt_result *result, struct err *e);
int stead_end(struct attempt_result *result, enum attempt_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Queue a message of ours or the user's. */
int stead_tell(struct stead *s, const char *kind, struct span text, bool expand, struct err *e);
/* Record what the conversation has gained. */
int stead_record_prompt(struct stead *s, const char *kind, struct err *e);
/* Free context: 0 freed, 1 it could not. */
int stead_compact(struct stead *s, int64_t *freed, struct err *e);
/* Why a wait ended early. */
int stead_cancelled(struct stead *s, struct attempt_result *result);
void stead_note(struct buf *b, struct span text); /* append, dropping the oldest half when full */

/* calls.c: run the calls of a reply and give their results to the chat. As stead_step. */
int stead_calls(struct stead *s, const struct reply *reply, struct arena *arena, struct attempt_result *result, struct err *e);

#endif
