/*
 * record - the events of an attempt, written to the journal as they happen; one function an event.
 *
 * Public ones (step, text, tool_call, tool_result, checkpoint) have the members that scripts rely on, and
 * some of ours. Internal ones, which session.c reads back:
 *
 *   attempt  attempt, maker, endpoint, url, model, dialect, local, goal, layer, prompt (blob of the system prompt), tools
 *   user     text, kind (task, told, findings, nudge, undone, summary), sent to the model as `text`
 *   prompt   attempt, step, kind (ask: a request is about to be sent; step: its reply and results are in;
 *            whole: starts anew after compaction or take-over), at, text: bytes appended at offset `at`
 *   compact  before_tokens, after_tokens, how
 *   stop     attempt, status, reason: how a run ended
 */
#ifndef STEAD_AGENT_RECORD_H
#define STEAD_AGENT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bind.h"
#include "base/buf.h"

struct journal;
struct reply;
struct tool_call;

struct recorder {
    struct journal *journal;
    const char *session;
    const char *attempt;
    const char *endpoint;
    struct buf line; /* reused */
};

#define RECORD_LIMIT ((size_t)15 << 20) /* below JOURNAL_EVENT_LIMIT */

struct record_attempt {
    const char *maker, *endpoint, *url, *model, *dialect, *goal, *layer, *tools;
    bool local;
    const char *prompt_blob;
};
int record_attempt(struct recorder *r, const struct record_attempt *a, struct err *e) WARN_UNUSED;
int record_user(struct recorder *r, const char *kind, struct span text, struct err *e) WARN_UNUSED;
int record_prompt(struct recorder *r, const char *kind, int64_t step, size_t at, struct span bytes, struct err *e) WARN_UNUSED;
int record_step(struct recorder *r, int64_t n, const struct reply *reply, struct err *e) WARN_UNUSED;
int record_text(struct recorder *r, struct span text, struct err *e) WARN_UNUSED;
int record_call(struct recorder *r, int64_t n, const struct tool_call *call, struct err *e) WARN_UNUSED;
int record_result(struct recorder *r, const char *id, const char *tool, bool ok, struct span output, int64_t duration_ms, bool truncated,
                  struct err *e) WARN_UNUSED;
int record_checkpoint(struct recorder *r, int64_t step, const struct strings *files, struct err *e) WARN_UNUSED;
int record_compact(struct recorder *r, const char *how, int64_t before, int64_t after, struct err *e) WARN_UNUSED;
int record_stop(struct recorder *r, const char *status, const char *reason, struct err *e) WARN_UNUSED;

#endif
