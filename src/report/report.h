/*
 * report - the operator metrics and step metrics, read from the journal.
 *
 *     struct report_options o = { .since_ms = t0, .until_ms = 0 };
 *     struct report *r;
 *     report_create(j, &o, &r, e);              // one scan of the facts
 *     report_text(r, &style, &out);             // or report_json, report_csv, report_html
 *     report_destroy(r);
 *
 * Five metrics, each with its n and an interval (docs/design/metrics.md has the rules):
 *   task completion     changes that passed their gates and were carried in, and questions answered, of the tasks started
 *   recovery cost       active minutes from the first wrong result to green (Kaplan-Meier: who gave up is censored)
 *   latency tolerance   how often a person interrupted, by how long they had waited
 *   escalation rate     tasks with a hosted attempt, or handed to a person, of those started; by cause
 *   review burden       active review seconds per changed line, review rounds per change
 * Content is never read. Figures by person are off: only with report.person do tasks say whose they are, and groups show it.
 */
#ifndef STEAD_REPORT_REPORT_H
#define STEAD_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "journal/journal.h"
#include "report/stats.h"

struct report_options {
    int64_t since_ms, until_ms; /* wall clock; 0: open */
    int64_t now_ms;             /* tells what is still running from what was left */
    bool person;                /* groups by person too, where the journal names any */
};

enum report_by { REPORT_ALL, REPORT_CLASS, REPORT_MODEL, REPORT_WEEK, REPORT_PERSON, REPORT_BYS };
const char *report_by_name(enum report_by by); /* "all", "class", "model", "week", "person" */

enum { REPORT_WAITS = 5, REPORT_CAUSES = 6 };
extern const char *const report_wait_names[REPORT_WAITS];   /* "< 10 s", ... "> 2 min" */
extern const char *const report_cause_names[REPORT_CAUSES]; /* quality, latency, context, policy, outage, other */

struct report_group { /* one line of figures over some tasks */
    enum report_by by;
    const char *name;
    int64_t started, running;
    struct rate completion;          /* completed of started */
    struct rate escalation;          /* escalated of started */
    struct rate hosted;              /* with a hosted attempt of started */
    int64_t causes[REPORT_CAUSES];   /* of the escalated tasks */
    struct survival recovery_ms;     /* active time from first wrong result to green */
    struct estimate prompts;         /* median corrective prompts of tasks that went wrong */
    struct rate waits[REPORT_WAITS]; /* interrupted, of the waits that reached the bucket */
    struct estimate interrupted_ms;  /* median wait at an interruption */
    int64_t said_wrong, said_slow;   /* answers to "wrong or slow?" */
    struct estimate review_per_line; /* active seconds a changed line, over the changes reviewed */
    struct estimate review_rounds;   /* rounds a change */
    int64_t review_ms;
};

struct report_steps { /* by model */
    const char *model;
    int64_t n, prompt_new, prompt_reused, completion, reuse_known;
    double ttft_p50_ms, ttft_p95_ms, tokens_per_s, harness_p50_ms, harness_p95_ms;
    int64_t tool_calls, tool_errors, tool_ms, edits, edit_misses;
};

struct report {
    struct report_options options;
    int64_t first_ms, last_ms, facts;
    struct report_group *groups; /* REPORT_ALL first, then by class, model, week, person, each in order of name */
    size_t ngroups;
    struct report_steps *steps;
    size_t nsteps;
    struct arena *arena;
};

int report_create(struct journal *j, const struct report_options *o, struct report **out, struct err *e) WARN_UNUSED;
void report_destroy(struct report *r);
static inline void report_auto(struct report **r)
{
    report_destroy(*r);
}

struct report_style { /* escape sequences, "" without colour */
    const char *bold, *dim, *colour, *reset;
    size_t width;             /* columns of the terminal; 0: as long as it takes */
    bool ascii;               /* no block characters: not a UTF-8 terminal */
};
bool report_text(const struct report *r, const struct report_style *style, struct buf *out);
bool report_json(const struct report *r, struct buf *out); /* one object, one line */
bool report_csv(const struct report *r, struct buf *out);  /* by,name,metric,value,low,high,n */
bool report_html(const struct report *r, struct buf *out); /* one page, nothing loaded from anywhere */

#endif
