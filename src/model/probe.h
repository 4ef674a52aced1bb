/*
 * probe - find out how an endpoint really behaves, cheaply, and say it in words.
 *
 *     struct probe_events ev = { .on_check = show };
 *     if (probe_run(loop, ep, &ev, &o, cancel, e) < 0) ...      // could not be reached at all
 *     profile_save(ep, ep->profile, dir, e);
 *
 * Each check is a row in a table (probe.c): a few small requests, a verdict, what was seen, and what
 * the user can change. Checks that cannot be told (no model, not supported) say so. At most
 * budget_ms; checks left over are marked unknown.
 */
#ifndef STEAD_MODEL_PROBE_H
#define STEAD_MODEL_PROBE_H

#include "model/profile.h"

struct probe_options {
    int64_t budget_ms;    /* 0: 60 s */
    bool quick;           /* only the checks that decide whether tools work */
};

struct probe_events {
    void *ctx;
    void (*on_start)(void *ctx, const char *name, const char *title, int n, int of);
    void (*on_check)(void *ctx, const struct profile_check *check);
};

/* Replaces ep->profile's checks and adapts its behaviour. */
int probe_run(struct loop *loop, struct endpoint *ep, const struct probe_options *o, const struct probe_events *ev,
              struct cancel *cancel, struct err *e) WARN_UNUSED;

/* The report for a person: what will work, what will not, what to change. */
bool probe_report(const struct endpoint *ep, struct buf *out);

#endif
