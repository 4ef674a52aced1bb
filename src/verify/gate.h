/*
 * gate - a check whose verdict decides whether a change may go on: what to run, and how it ended.
 *
 *     struct detect_input in = { .base = { .dirs = dirs, .ndirs = 1 }, .changed = paths, .explicit_gates = ... };
 *     struct gates gates = { 0 };
 *     if (gate_detect(&in, &arena, &gates, e) < 0) ...
 *     for (size_t i = 0; i < gates.len; i++) ... gates.items[i].command, .kind, .from
 *
 * Detection reads the workspace *without* the change, so that a change cannot choose what checks it.
 * In this order, and the first source that gives a gate of a kind for a directory wins it:
 *   --gate options and `gates:` of the configuration (they replace all detection)
 *   > commands in AGENTS.md > CI workflow > Makefile and justfile targets, package.json scripts
 *   > the table data/ecosystems.
 */
#ifndef STEAD_VERIFY_GATE_H
#define STEAD_VERIFY_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/err.h"
#include "verify/tree.h"

/* In the order in which they run: what is quick and explains later failures comes first. */
enum gate_kind { GATE_FORMAT, GATE_LINT, GATE_TYPES, GATE_BUILD, GATE_TEST, GATE_CUSTOM, GATE_KINDS };
const char *gate_kind_name(enum gate_kind k); /* "format", "lint", ... */
bool gate_kind_parse(struct span name, enum gate_kind *out);

struct gate {
    const char *name;    /* unique in its run: "cargo test", "packages/api: npm test" */
    enum gate_kind kind;
    const char *command; /* for sh -c inside the sandbox */
    const char *cwd;     /* relative to the workspace, "" is its root */
    int64_t timeout_ms;
    const char *reader;  /* name, or NULL: by looking at the output */
    const char *report;  /* file(s) that the command writes, relative to cwd, may hold '*' in the last component; NULL: the output */
    const char *needs;   /* programs that must exist, space-separated; absent ones make it `skipped`; NULL: unknown */
    const char *prepare; /* command run before it, once per sandbox, whose failure is an `error`; NULL */
    const char *affected; /* command that runs only what the files concern: {files} {dirs}; NULL */
    const char *fix;     /* command that repairs by itself (formatters); NULL */
    const char *from;    /* where it was found: "--gate", "stead.yaml", "AGENTS.md:12", "table: cargo" */
    bool explicit_gate;  /* a person named it */
    bool named_fix;      /* and its fix, too */
};

struct gates {
    struct gate *items;
    size_t len, cap;
};

#define GATE_TIMEOUT_MS (10 * 60 * 1000) /* default for tests and builds */
#define GATE_QUICK_TIMEOUT_MS (2 * 60 * 1000) /* default for format, lint, types */
#define GATE_MAX 64u                     /* gates of one run; a monorepo's further packages are named in a note */

struct detect_input {
    struct tree base;             /* the workspace without the change */
    struct strings changed;       /* paths that the change touches: picks packages; empty: all at the root */
    const struct gate *explicit_gates; /* from options and configuration, cwd and name may be NULL */
    size_t nexplicit;
    bool table_only;              /* tests: skip AGENTS.md, CI, Make */
};

/* Appends to `out`, sorted in running order. Finding none is not an error: out->len stays 0. */
int gate_detect(const struct detect_input *in, struct arena *arena, struct gates *out, struct err *e) WARN_UNUSED;

enum gate_verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_FLAKY, VERDICT_ERROR, VERDICT_SKIPPED };
const char *gate_verdict_name(enum gate_verdict v); /* "pass", "fail", "flaky", "error", "skipped" */

#endif
