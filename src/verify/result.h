/*
 * result - what a gate's output says, whatever wrote it: tests by name, findings by place.
 *
 *     AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
 *     AUTO(results) struct results r;
 *     results_init(&r, &a);
 *     results_add_test(&r, span_of("suite"), SPAN("case"), TEST_FAIL, file, line, message);
 *     results_close(&r);                    // sorts, merges the repeated; now results_test() finds
 *
 * All text lives in the arena. A test id is "SUITE::CASE", or the case alone where there is no suite;
 * the same id twice is one test whose status is the worse of the two, or, where the format names two tests alike
 * (`repeats`: the same name in two files), "ID" and "ID #2", the worse first. Limits: RESULTS_MAX_TESTS and
 * RESULTS_MAX_FINDINGS; what lies beyond is counted in `dropped`, never silently complete. Text comes
 * from outside: print it through base/clean.h.
 */
#ifndef STEAD_VERIFY_RESULT_H
#define STEAD_VERIFY_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

#define RESULTS_MEMORY (64u << 20)      /* one run's names and messages */
#define RESULTS_MAX_TESTS 200000u       /* the largest suites known have about that many */
#define RESULTS_MAX_FINDINGS 20000u     /* more than that nobody reads */
#define RESULTS_ID_BYTES 512u           /* of a test id; longer ones are cut and end in a hash */
#define RESULTS_MESSAGE_BYTES 2000u     /* of a message; longer ones are cut */

/* In order of worse: merging takes the larger. */
enum test_status { TEST_PASS, TEST_SKIP, TEST_FAIL };

struct result_test {
    const char *id;
    enum test_status status;
    const char *file;    /* relative, or "" */
    int64_t line;        /* 1.., or 0 unknown */
    const char *message; /* why it failed or was skipped, or "" */
    bool broken;         /* no case: a file, package or build none of whose cases could run */
};

enum result_severity { RESULT_NOTE, RESULT_WARNING, RESULT_ERROR };

struct result_finding {
    const char *tool, *rule; /* "ruff", "E501"; "" where unknown */
    enum result_severity severity;
    const char *file; /* as the tool wrote it, "./" and the workspace's own prefix taken off; or "" */
    int64_t line, column;
    const char *message;
    const char *key; /* identity that survives moved lines; set by compare, NULL before */
};

struct results {
    struct arena *arena;
    struct result_test *tests;
    size_t ntests, cap_tests;
    struct result_finding *findings;
    size_t nfindings, cap_findings;
    size_t dropped;       /* tests and findings beyond the limits */
    size_t said_passed;   /* passing tests by a summary's count; more than are named where only failures are */
    bool repeats;         /* the same id twice is two tests */
    bool nomem;           /* results are incomplete for want of memory */
    const char *strip;    /* absolute prefix taken off file names (the workspace), or NULL */
    const char *reader;   /* name of the reader that understood, "" none */
    size_t passed, failed, skipped; /* set by results_close */
};

void results_init(struct results *r, struct arena *arena);
void results_finish(struct results *r); /* frees the arrays; the text is the arena's */
static inline void results_auto(struct results *r)
{
    results_finish(r);
}
void results_add_test(struct results *r, struct span suite, struct span name, enum test_status status,
                      struct span file, int64_t line, struct span message);
void results_add_finding(struct results *r, struct span tool, struct span rule, enum result_severity severity,
                         struct span file, int64_t line, int64_t column, struct span message);
/* A file, package or build that could not be run at all: a failed test of that name, marked `broken`. */
void results_add_broken(struct results *r, struct span name, struct span message);
/* Sort tests by id and findings by place, merge the repeated, count. Safe to call again. */
void results_close(struct results *r);
/* After results_close: the test, or NULL. */
const struct result_test *results_test(const struct results *r, const char *id);
struct result_test *results_test_of(struct results *r, const char *id); /* the same, to be changed */

const char *test_status_name(enum test_status s);

#endif
