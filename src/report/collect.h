/*
 * collect - the journal's facts gathered into tasks, waits and steps: what report.c computes with. Private to this folder.
 *
 * A task begins with its `task` event and ends with its `result`; what comes later in the session (review, apply,
 * revert) still belongs to it, until the next `task`.
 */
#ifndef STEAD_REPORT_COLLECT_H
#define STEAD_REPORT_COLLECT_H

#include "report/report.h"

#define IDLE_MS (5 * 60 * 1000)     /* a longer gap between events counts as so much activity */
#define RUNNING_MS (60 * 60 * 1000) /* without a result and silent for longer: abandoned */

struct seen_task {
    const char *class, *model;
    const char *person;        /* "": not recorded */
    int64_t started_ms, last_ms;
    int64_t active_ms;         /* so far, gaps capped */
    int64_t wrong_active_ms;   /* active_ms at the first wrong result; -1: none */
    int64_t green_active_ms;   /* active_ms when it became green after that; -1: not */
    int64_t wrong_before_ms, green_before_ms; /* the same before the last review that rejected */
    int said_wrong, said_slow; /* a person's answers to "wrong or slow?" */
    int prompts;               /* of a person, after the first wrong result */
    int cause;                 /* index in report_cause_names; -1: not escalated */
    bool ended, verified, unchanged, applied, edited, reverted, hosted, stepped;
    int64_t lines, review_ms;
    int reviews;
};

struct seen_wait {
    int64_t ms;
    bool interrupted; /* by a person, and not because it was wrong */
    int task;
};

struct samples {
    double *v;
    size_t n, cap;
};

struct seen_model {
    const char *name;
    struct report_steps sums;
    struct samples ttft, harness;
    double decode_tokens, decode_ms;
};

struct collection {
    struct arena *arena;
    struct seen_task *tasks;
    size_t ntasks, tasks_cap;
    struct seen_wait *waits;
    size_t nwaits, waits_cap;
    struct seen_model *models;
    size_t nmodels, models_cap;
    struct session_slot *slots; /* by session, open addressing */
    size_t nslots, used;
    int64_t facts, first_ms, last_ms;
    bool failed;
};

int collect(struct journal *j, const struct report_options *o, struct arena *a, struct collection *c, struct err *e) WARN_UNUSED;
void collection_finish(struct collection *c);

#endif
