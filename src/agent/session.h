/*
 * session - a conversation read back from the journal: where it can go on, and its export.
 *
 *     struct session_state s;
 *     session_load(j, "s1jd5", NULL, &arena, &s, e);      // ID, prefix, or NULL: the workspace's latest
 *     session_fork(j, &s, 7, new_id, e);                  // a new session whose past is steps 1..7
 *     session_export(j, s.id, SESSION_MARKDOWN, write, ctx, e);
 *
 * Going on is an attempt whose spec names the session in resume_from: its first request begins with the
 * very bytes of the last one (the `prompt` events), so a local server reuses its cache. A step that was
 * running when the program died is made again; its writes are dropped with layer_undo(state.step).
 *
 * Steps are numbered through a session, over all its attempts. A fork's events are its own; its past
 * is read from its parents. Nothing here writes but session_fork and session_undo.
 */
#ifndef STEAD_AGENT_SESSION_H
#define STEAD_AGENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

struct journal;

struct session_state {
    char id[ID_SIZE];
    char parent[ID_SIZE];     /* "" when it was not forked */
    const char *workspace;
    const char *task;         /* whole text of the first task */
    const char *status;       /* of its last `result`, "open" without one */
    const char *endpoint;     /* name, URL and model of the last attempt; "" none */
    const char *endpoint_url;
    const char *model;
    const char *dialect;
    const char *tools;        /* names offered, comma-separated */
    const char *prompt_blob;  /* blob of the system prompt */
    const char *layer;        /* ID of its layer; "" none */
    const char *change;       /* ID of its last change; "" none */
    int64_t step;             /* last step that is complete: reply and all results are there */
    int64_t checkpoint;       /* last checkpoint's step at or before it; 0 none */
    bool torn;                /* events of an incomplete step follow */
    struct span prefix;       /* conversation bytes up to and with `step` (chat_restore) */
    const char *goal;         /* "change", "answer", "either" */
    int64_t last_n;           /* the highest step number given, complete or not */
    bool owed;                /* prefix ends with something that the model has not answered */
    const char **pending;     /* user messages told, not yet part of prefix */
    size_t npending;
    const char *unsaid;       /* what a person asked last, where it did not become a message any more; "" */
    int64_t prompt_tokens, completion_tokens;
    int64_t created_ms, updated_ms;
};

/* `id`: an ID or an unambiguous prefix; NULL: the latest of `workspace`. Past of parents included. */
int session_load(struct journal *j, const char *id, const char *workspace, struct arena *a, struct session_state *out,
                 struct err *e) WARN_UNUSED;
/* As it was after `step` (1..out->step); ERR_INPUT names the range. */
int session_load_at(struct journal *j, const char *id, const char *workspace, int64_t step, struct arena *a,
                    struct session_state *out, struct err *e) WARN_UNUSED;

/* Take the conversation back to what it was after `step` (0: its beginning); the files are layer_undo's part. */
int session_undo(struct journal *j, const struct session_state *s, int64_t step, struct err *e) WARN_UNUSED;

/* A new session that shares the past of `s` up to `step` (0: all). */
/* What rebuilds a conversation: of use to stead alone, and in no stream of events that others read. */
bool session_internal(const char *type);

int session_fork(struct journal *j, const struct session_state *s, int64_t step, char out[ID_SIZE],
                 struct err *e) WARN_UNUSED;

enum session_format { SESSION_JSONL, SESSION_MARKDOWN };
typedef int (*session_write_fn)(void *ctx, struct span piece);
/* JSON lines: the events of CONTRACT, whole. Markdown: for people; control characters made visible. */
int session_export(struct journal *j, const char *id, enum session_format format, session_write_fn write, void *ctx,
                   struct err *e) WARN_UNUSED;

#endif
