/*
 * verify - evidence on a finished change: gates against their baseline, rules over the change.
 *
 *     struct verify_spec spec = {
 *         .loop = loop, .sandbox = &sandbox_template, .after = { .dirs = lowers, .ndirs = n },
 *         .gates = gates.items, .ngates = gates.len, .change = files, .nchange = nfiles,
 *         .cache_dir = cache,
 *     };
 *     struct verdict v;
 *     if (verify_run(&spec, &arena, &v, cancel, e) < 0) ...   // verification itself could not be done
 *     if (v.state == VERIFY_RED) verdict_brief(&v, 0, &buf);  // for the agent
 *
 * Each gate runs in a fresh throw-away sandbox over `after` (its directories top first, the
 * workspace last: the lowers of layer_view), with an upper that is dropped: nothing that an agent left running or cached vouches for it, and nothing a
 * gate writes reaches the change. A gate that fails is compared with its baseline: the same gate over
 * `base` (no directories: the workspace alone), cached by tree, gate and environment (baseline.h). Only
 * what is new blocks. What is new is run again, three times; mixed results are `flaky`. `error` and
 * `skipped` never count as passed.
 *
 *   state         when
 *   VERIFIED      at least one gate passed, none failed anew, no finding of severity `block` or
 *                 `person`, no error, nothing flaky among the new failures
 *   RED           a gate fails anew, or a finding blocks
 *   UNVERIFIED    anything else: no gate, all skipped, an error, or a person must look: `reason` says
 *   CLEAN         only the rules were asked (`rules_only`), and they have nothing that blocks or needs a person
 *
 * Runs in the loop's thread and waits with loop_wait; `cancel` and the gates' time limits end it.
 */
#ifndef STEAD_VERIFY_VERIFY_H
#define STEAD_VERIFY_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "verify/gate.h"
#include "verify/rules.h"

struct sandbox_spec;

enum verify_state { VERIFY_VERIFIED, VERIFY_RED, VERIFY_UNVERIFIED, VERIFY_CLEAN };
const char *verify_state_name(enum verify_state s); /* "verified", "red", "unverified", "clean" */

#define EVIDENCE_BYTES (64u << 10) /* of a gate's output kept with its result: head and tail */
#define BRIEF_LINES 30             /* of output shown to an agent for a failing command */

struct gate_result {
    const struct gate *gate;
    enum gate_verdict verdict;
    const char *reason;           /* why error or skipped; "" else */
    int status;                   /* exit code, 128 + signal; -1 not run */
    bool timed_out;
    struct strings new_failures;  /* names: test ids, or "file:line: rule: message", or "exit N" */
    struct strings old_failures;
    struct strings flaky;
    size_t tests_passed, tests_failed, tests_skipped;
    bool structured;              /* new_failures are names, not just the exit code */
    int64_t duration_ms;          /* all runs of it on the change */
    int64_t overhead_ms;          /* ours: without the commands' own time */
    bool baseline_cached;
    struct span evidence;         /* output of the deciding run, at most EVIDENCE_BYTES */
    struct strings messages;      /* parallel to new_failures: what the check said, may be "" */
};

struct verdict {
    enum verify_state state;
    const char *reason;           /* one line, for a person; "" when verified */
    struct gate_result *gates;
    size_t ngates;
    struct findings findings;     /* rules', new lint findings', second model's */
    int64_t duration_ms;
    bool rules_only;              /* no gate was to be asked */
};

enum verify_depth {
    VERIFY_FULL,     /* everything: before approval */
    VERIFY_AFFECTED, /* quick gates, and of tests only what the change concerns, where a selector is known */
};

struct verify_spec {
    struct loop *loop;
    const struct sandbox_spec *sandbox; /* template: workspace, mounts, env, limits, backend; its overlay is replaced */
    struct tree after;                  /* with the change; its last directory is the workspace */
    struct tree base;                   /* without it; ndirs 0: the workspace */
    const struct gate *gates;
    size_t ngates;
    const struct rule_file *change;     /* for rules, affected tests, original tests */
    size_t nchange;
    struct span task;
    const char *cache_dir;              /* baselines live in cache_dir/baseline; NULL: not cached */
    const char *scratch_dir;            /* for throw-away uppers, below the directory that holds after.dirs; NULL: in memory */
    const char *base_key;               /* the base tree's fingerprint if the caller has it (baseline_tree_key), or NULL */
    enum verify_depth depth;
    bool no_rules;
    bool rules_only;                    /* no gate was asked for: without findings it is CLEAN, not UNVERIFIED */
    bool no_baseline;                   /* every failure counts as new */
    bool no_original_tests;
    bool must_pass;                     /* gates that a person named have to pass: what failed before blocks too. For a task
                                           whose aim is to make them pass (the agent was shown them as "Failing now") */
    int reruns;                         /* 0: three */
    void (*on_gate_start)(void *ctx, const struct gate *g);
    void (*on_gate)(void *ctx, const struct gate_result *r);
    void (*on_finding)(void *ctx, const struct finding *f);
    void *ctx;
};

int verify_run(const struct verify_spec *spec, struct arena *arena, struct verdict *out, struct cancel *cancel,
               struct err *e) WARN_UNUSED;

/*
 * What fails now, before any change: runs the gates on the base (or takes the cached baseline) and
 * writes "$ CMD\n<tail, at most 30 lines>\n[exit N]" for each failing one, nothing for the passing.
 * 1 something fails, 0 nothing does, negative failed.
 */
int verify_evidence(const struct verify_spec *spec, struct buf *out, struct cancel *cancel, struct err *e) WARN_UNUSED;

/*
 * For the agent: "Still failing:\n$ CMD\n<tail>\n[exit N]" for a gate that only has an exit code; named
 * new failures first where a reader knows them; blocking findings as "file:line: rule: message".
 * `cap_bytes` 0: 6000. Writes nothing when nothing is red.
 */
bool verdict_brief(const struct verdict *v, size_t cap_bytes, struct buf *out);
/* The same shape for one command, as used for baselines: "$ CMD\n<tail>\n[exit N]". */
bool brief_command(struct buf *out, const char *command, struct span output, int status);

/* Findings that came later (a second model's): they join the verdict, and its state follows. */
int verdict_add(struct verdict *v, const struct findings *more, struct arena *arena, struct err *e) WARN_UNUSED;

/* Exit code by the contract: 0 verified or clean, 3 red, 6 unverified. */
int verdict_exit(const struct verdict *v);
/* Members of the contract's `gate` and `finding` events. New references. */
json_t *gate_result_json(const struct gate_result *r, bool names); /* names: arrays in place of counts */
json_t *finding_json(const struct finding *f);
json_t *verdict_json(const struct verdict *v); /* verdict, exit, reason, gates, findings */
/* Back from what verdict_json wrote, for a stored change; gates' evidence is not in it. */
int verdict_load(const json_t *json, struct arena *arena, struct verdict *out, struct err *e) WARN_UNUSED;

/* SARIF 2.1.0 of findings and failed gates; JUnit XML with one suite a gate. */
bool export_sarif(const struct verdict *v, struct buf *out);
bool export_junit(const struct verdict *v, struct buf *out);

#endif
