/*
 * outcome - one run of one gate, and what is new between two of them.
 *
 *     struct outcome before, after;
 *     ... gate_run(...) fills them ...
 *     struct difference d;
 *     outcome_compare(&gate, &before, &after, &arena, &d, e);
 *     // d.fresh: failures that only `after` has; d.old: those of both; d.lost: tests that passed and are gone
 *
 * A failure is named: a test's id, a finding's "file:line: rule: message", a failing line of output
 * that no reader understood, or, when nothing else is known, "exit N". Findings are compared without their line
 * numbers, by the text of their line, so that code that moved brings nothing new. Tests are compared by id, and what
 * has no counterpart by what its id looks like without addresses, temporary names, times and line numbers.
 */
#ifndef STEAD_VERIFY_OUTCOME_H
#define STEAD_VERIFY_OUTCOME_H

#include "verify/gate.h"
#include "verify/result.h"

struct outcome {
    int status; /* exit code, 128 + signal */
    bool timed_out, out_of_memory, out_of_disk;
    int64_t duration_ms;
    struct results results; /* closed; finding keys set */
    struct strings lines;   /* failing lines, normalised, sorted, when no reader understood; as printed in `shown` */
    struct strings shown;   /* parallel to lines */
    struct span output;     /* evidence: at most EVIDENCE_BYTES, head and tail */
    bool cached;            /* came from the cache of baselines */
    int runs;               /* of a baseline: how often it was run to see what fails at times */
};

struct difference {
    struct strings fresh, messages; /* parallel */
    struct strings old;
    struct strings lost;            /* tests: passed before, absent now though the run succeeded */
    bool structured;                /* names come from a reader */
};

/* Set the keys of findings (reads their lines from `tree`, where dir is the gate's cwd) and, without results, the failing lines. */
int outcome_name(struct outcome *o, const struct tree *tree, const char *cwd, struct arena *arena, struct err *e) WARN_UNUSED;
/* before NULL: everything that fails is new. */
int outcome_compare(const struct outcome *before, const struct outcome *after, struct arena *arena, struct difference *out,
                    struct err *e) WARN_UNUSED;
/* Is this named failure among those of `o`, or could it not be told? For re-runs. */
bool outcome_has_failure(const struct outcome *o, const char *name);
/* Does `o` say by name that this test, or line, fails? */
bool outcome_names_failure(const struct outcome *o, const char *name);
/* Failed without one test that passed, or before any test: when it was so before too, it says nothing of a change. */
bool outcome_says_nothing(const struct outcome *o, enum gate_kind kind);

static inline void outcome_finish(struct outcome *o)
{
    results_finish(&o->results);
}
static inline void outcome_auto(struct outcome *o)
{
    outcome_finish(o);
}

#endif
