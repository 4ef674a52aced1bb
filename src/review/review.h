/*
 * review - a person's verdict on a change, hunk by hunk.
 *
 *     struct review *r;
 *     review_create(change, verdict, &r, e);            // hunks ordered by risk
 *     review_decide(r, i, REVIEW_APPROVE, NULL, e);     // one hunk; review_undo takes the last decision back
 *     review_screen(r, loop, cancel, &outcome, e);      // or: let a person do it at the terminal (screen.c)
 *     review_approved(r, &arena, &ids);                 // for change_select
 *     review_comments(r, &buf);                         // for the agent: what was refused, and why
 *     review_destroy(r);
 *
 * Order: what a host tool would execute (guard list) first, then hunks with findings, then changes of checks and
 * code over which no test has run, then tests, then other code, then the rest; within one rank the order of the files. A decision is bound to the hunk's id, which
 * is bound to its content.
 *
 * Time: `active_ms` counts the time between a person's keys, each gap at most REVIEW_IDLE_MS: an open window is no work.
 */
#ifndef STEAD_REVIEW_REVIEW_H
#define STEAD_REVIEW_REVIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/loop.h"
#include "workspace/change.h"
#include "workspace/diff.h"

struct finding;
struct verdict;

#define REVIEW_IDLE_MS 60000

enum review_state { REVIEW_OPEN, REVIEW_APPROVE, REVIEW_REJECT };
const char *review_state_name(enum review_state s); /* "open", "approved", "rejected" */

struct review_item {
    const struct change_file *file;
    const struct hunk *hunk;
    int rank;               /* 0 first: see risk_of in review.c */
    const char *why;        /* why it stands where it stands; "" for ordinary code */
    enum review_state state;
    const char *comment;    /* of a rejection, or said of it without; or NULL */
    size_t nfindings;       /* that concern its lines */
};

struct review;

/* `verdict` may be NULL (no gate has looked). Both are borrowed for the review's life. */
int review_create(const struct change *c, const struct verdict *v, struct review **out, struct err *e) WARN_UNUSED;
void review_destroy(struct review *r);
static inline void review_auto(struct review **r)
{
    review_destroy(*r);
}

size_t review_items(const struct review *r, const struct review_item **items);
const struct verdict *review_verdict(const struct review *r);
const struct change *review_change(const struct review *r);
int review_decide(struct review *r, size_t i, enum review_state state, const char *comment, struct err *e) WARN_UNUSED;
bool review_undo(struct review *r); /* false: nothing to undo */
/* By hunk id, by path (all its hunks), or "all"; how many were meant, 0 when none. */
size_t review_decide_named(struct review *r, const char *name, enum review_state state, const char *comment, struct err *e);
/* Does the finding concern this hunk? */
bool review_finding_at(const struct finding *x, const struct change_file *f, const struct hunk *h);
size_t review_count(const struct review *r, enum review_state state);
void review_active(struct review *r, int64_t now_ms); /* a person did something */
int64_t review_active_ms(const struct review *r);

/* Decisions, comments and active time as JSON, for a review that goes on later. */
void review_save(const struct review *r, struct buf *out);
/* What review_save wrote of this change; hunks that are no longer in it are left out. ERR_INPUT: it is something else. */
int review_restore(struct review *r, struct span saved, struct err *e) WARN_UNUSED;

/* Ids of the approved hunks, from the arena. */
int review_approved(const struct review *r, struct arena *a, struct strings *out, struct err *e) WARN_UNUSED;
/* Guarded files with an approved hunk: approving their hunks is their explicit approval. */
int review_guard_ok(const struct review *r, struct arena *a, struct strings *out, struct err *e) WARN_UNUSED;
/*
 * "Rejected in review:\nsrc/a.c:12: too clever\n...", then what was said of hunks that were not rejected; nothing when
 * nothing was rejected.
 */
bool review_comments(const struct review *r, struct buf *out);

enum review_outcome {
    REVIEW_LATER, /* left without finishing: decisions so far are in the review */
    REVIEW_DONE,  /* finish: carry in what is approved, send back what is not */
};

/* At the terminal, full screen. ERR_UNSUPPORTED when there is none. Waits. */
int review_screen(struct review *r, struct loop *loop, struct cancel *cancel, enum review_outcome *out, struct err *e) WARN_UNUSED;

#endif
