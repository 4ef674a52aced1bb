/*
 * compact - make room in a conversation, once, deliberately, keeping what the work rests on.
 *
 *     r = compact_chat(chat, &notes, room_tokens, &how, e);     // tokens in use afterwards
 *
 * First old tool results go: their place in the conversation stays, with a line that says what was there
 * (files can be read again). When that leaves more than COMPACT_TARGET of the room in use, the
 * conversation is begun anew with one message: the task, what the user said since, which files were
 * changed, what the model said last, and the last results. No model is asked to summarise: it would cost a
 * second prefill, and what must not be lost is known without.
 */
#ifndef STEAD_AGENT_COMPACT_H
#define STEAD_AGENT_COMPACT_H

#include <stdint.h>

#include "base/buf.h"

struct chat;

enum {
    COMPACT_TARGET_PERCENT = 50, /* of the room in use afterwards, at most */
    COMPACT_KEEP_AGE = 2,        /* results of so many last replies stay */
    COMPACT_SMALL_BYTES = 240,   /* results that are not worth replacing */
};

/* What is kept when a conversation begins anew. All borrowed. */
struct compact_notes {
    struct span task;      /* first message, whole */
    struct span told;      /* later messages of the user, one after another */
    struct span files;     /* paths changed, one a line */
    struct span said;      /* the model's last words, newest last */
    struct span last;      /* the last results, newest last */
};

/* 0 done, 1 it freed too little to be of use; *after: tokens in use; *how: "results", "anew". */
int compact_chat(struct chat *c, const struct compact_notes *notes, int64_t room_tokens, int64_t *after, const char **how, struct err *e)
    WARN_UNUSED;

/* The message of a new beginning, at most limit bytes. */
bool compact_summary(const struct compact_notes *notes, size_t limit, struct buf *out);

#endif
