/*
 * turns - who computes when, where several runs of stead share a model server, or one CPU with their own tests.
 *
 *     struct turns_options o = { .loop = loop, .dir = state_dir, .url = ep->url, .slots = ep->slots, .cpu = true };
 *     struct turns *t;
 *     turns_create(&o, &t, e);
 *     turns_home(t)                       // the conversation's place in the server's cache: nobody else's, while there are enough
 *     turns_request_begin(t, cancel, e);  // a request: waits until a place is free
 *     ... send it, read the reply ...
 *     turns_request_end(t);
 *     turns_work_begin(t, cancel, e);     // gates: waits a while for the replies of other runs
 *     ... run them ...
 *     turns_work_end(t);
 *     turns_destroy(t);
 *
 * Two things are kept apart. Requests at one server: at most as many at once as it has places, and each run keeps to its own
 * place, so that no run's request evicts another's conversation from the cache. And, on a machine that computes models
 * on its CPU (`cpu`), requests and gates: beside a build an evaluation runs at a third of its speed and less (docs/design/
 * decisions.md), so each waits for the other, TURNS_PATIENCE_MS at most; who has waited in vain does not wait again for
 * TURNS_IMPATIENT_MS.
 *
 * Files in `dir`/turns, locked with flock: what a killed run held is free at once. Where they cannot be made nobody waits.
 * The loop's thread; the begin functions wait. NULL as struct turns is allowed and never waits.
 */
#ifndef STEAD_INFERENCE_TURNS_H
#define STEAD_INFERENCE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"

#define TURNS_PATIENCE_MS 30000
#define TURNS_IMPATIENT_MS 120000
#define TURNS_REPLY_MS (10 * 60 * 1000) /* a reply that takes longer is not waited for: the server queues */
#define TURNS_PLACES_MOST 64

struct turns;

struct turns_options {
    struct loop *loop;
    const char *dir;
    const char *url;      /* tells servers apart */
    int64_t slots;        /* places of the server; 0: unknown, it queues by itself */
    bool cpu;             /* it computes on this machine's CPU */
    int64_t patience_ms;  /* 0: TURNS_PATIENCE_MS */
    void (*on_wait)(void *ctx, const char *why); /* once per wait that is noticeable; may be NULL */
    void *ctx;
};

/* Strings are copied. Never fails for want of files, only of memory. */
int turns_create(const struct turns_options *o, struct turns **out, struct err *e) WARN_UNUSED;
void turns_destroy(struct turns *t);
static inline void turns_auto(struct turns **t)
{
    turns_destroy(*t);
}

/* From 0; -1: places are unknown. With more runs than places some share one. */
int turns_home(const struct turns *t);
/* 0: it is our turn; negative: cancelled. */
int turns_request_begin(struct turns *t, struct cancel *cancel, struct err *e) WARN_UNUSED;
void turns_request_end(struct turns *t);
/* 0: alone, 1: beside somebody's request, after waiting in vain; negative: cancelled. */
int turns_work_begin(struct turns *t, struct cancel *cancel, struct err *e) WARN_UNUSED;
void turns_work_end(struct turns *t);
/* Does any run's request, ours included, use this machine's CPU now? */
bool turns_busy(const struct turns *t);

#endif
