/*
 * cargo test (libtest):  "     Running unittests src/lib.rs (target/debug/deps/x-0123)"
 *                        "   Doc-tests name"
 *                        "test module::case ... ok" (FAILED, ignored, "ignored, why")
 *                        "---- module::case stdout ----" of a failed one (all that --quiet says of it)
 * and cargo nextest:     "        PASS [   0.005s] crate module::case" (FAIL, SKIP, SIGABRT ...).
 * The suite is the target, with its program's name where a workspace has several of that target ("src/lib.rs (one)").
 * A crate that does not build prints "error: could not compile `name`": the test "build", and what rustc says
 *     error[E0425]: cannot find value `c` in this scope
 *      --> two/src/lib.rs:1:32
 * is a finding, warnings as well: without them an old error would hide a new one. A target that dies on the way
 * (abort, exit) has no "test result:": a failure in its own name.
 */
#include "verify/reader-internal.h"

#define TARGETS_MAX 2048u /* of a run; beyond, targets of one name are one */

struct target {
    struct span name, program;
};

struct cargo {
    struct results *out;
    struct target *targets; /* of the whole run */
    size_t ntargets, cap;
    struct buf target;
    bool begun, ended; /* "running 3 tests", "test result: ..." */
    struct span message, rule; /* of rustc, until its place comes */
    enum result_severity severity;
};

/* "unittests src/lib.rs (target/debug/deps/one-83d69e65)": the target and its program without the hash. */
static void split_target(struct span s, struct span *target, struct span *program)
{
    ptrdiff_t paren = span_find(s, SPAN(" ("));
    *program = SPAN("");
    *target = paren > 0 ? span_sub(s, 0, (size_t)paren) : s;
    take_prefix(target, "unittests ");
    if (paren <= 0)
        return;
    struct span path = span_sub(s, (size_t)paren + 2, s.n);
    take_suffix(&path, ")");
    ptrdiff_t slash = span_rfind(path, "/");
    path = span_sub(path, slash >= 0 ? (size_t)slash + 1 : 0, path.n);
    ptrdiff_t dash = span_rfind(path, "-");
    *program = dash > 0 ? span_sub(path, 0, (size_t)dash) : path;
}

static void find_targets(struct cargo *c, struct span text)
{
    struct span line;
    while (span_line(&text, &line) && c->ntargets < TARGETS_MAX) {
        struct span s = span_trim(line);
        if (!take_prefix(&s, "Running "))
            continue;
        if (!array_grow((void **)&c->targets, &c->cap, c->ntargets, 1, sizeof *c->targets)) {
            c->out->nomem = true;
            return;
        }
        split_target(s, &c->targets[c->ntargets].name, &c->targets[c->ntargets].program);
        c->ntargets++;
    }
}

/* Does another program of this run have a target of that name? */
static bool is_shared(const struct cargo *c, struct span target, struct span program)
{
    for (size_t i = 0; i < c->ntargets; i++)
        if (span_eq(c->targets[i].name, target) && !span_eq(c->targets[i].program, program))
            return true;
    return false;
}

static void end_target(struct cargo *c)
{
    if (c->begun && !c->ended)
        results_add_broken(c->out, c->target.n ? buf_span(&c->target) : SPAN("tests"), SPAN("ended before its tests did"));
    c->begun = c->ended = false;
}

static void set_target(struct cargo *c, struct span s)
{
    struct span target, program;
    end_target(c);
    split_target(s, &target, &program);
    bool shared = is_shared(c, target, program);
    buf_reset(&c->target);
    buf_add_span(&c->target, target);
    if (shared)
        buf_addf(&c->target, " (%.*s)", (int)program.n, program.p);
}

static bool libtest_line(struct cargo *c, struct span s)
{
    struct span target = buf_span(&c->target);
    if (take_prefix(&s, "---- ") && take_suffix(&s, " stdout ----")) {
        results_add_test(c->out, target, s, TEST_FAIL, SPAN(""), 0, SPAN(""));
        return true;
    }
    if (!take_prefix(&s, "test "))
        return false;
    ptrdiff_t dots = span_rfind(s, " ... ");
    if (dots <= 0)
        return false;
    struct span name = span_sub(s, 0, (size_t)dots), v = span_trim(span_sub(s, (size_t)dots + 5, s.n));
    take_suffix(&name, " - should panic"); /* the list of failures leaves it out */
    if (span_eqs(v, "ok"))
        results_add_test(c->out, target, name, TEST_PASS, SPAN(""), 0, SPAN(""));
    else if (span_eqs(v, "FAILED"))
        results_add_test(c->out, target, name, TEST_FAIL, SPAN(""), 0, SPAN(""));
    else if (span_starts(v, "ignored"))
        results_add_test(c->out, target, name, TEST_SKIP, SPAN(""), 0, v);
    return true;
}

static bool nextest_line(struct cargo *c, struct span s)
{
    enum test_status st;
    struct span time;
    if (take_prefix(&s, "PASS ["))
        st = TEST_PASS;
    else if (take_prefix(&s, "FAIL [") || take_prefix(&s, "TIMEOUT [") || take_prefix(&s, "SIGABRT [") || take_prefix(&s, "SIGSEGV ["))
        st = TEST_FAIL;
    else if (take_prefix(&s, "SKIP ["))
        st = TEST_SKIP;
    else
        return false;
    if (take_until(&s, ']', &time))
        results_add_test(c->out, SPAN(""), s, st, SPAN(""), 0, SPAN(""));
    return true;
}

/* "error[E0425]: text", "warning: text", and then " --> file:line:column". */
static void rustc_line(struct cargo *c, struct span line)
{
    struct span s = line, rule = SPAN("");
    bool error = take_prefix(&s, "error"), warning = !error && take_prefix(&s, "warning");
    if (error || warning) {
        if (take_prefix(&s, "[") && !take_until(&s, ']', &rule))
            return;
        if (!take_prefix(&s, ": "))
            return;
        c->message = s;
        c->rule = rule;
        c->severity = error ? RESULT_ERROR : RESULT_WARNING;
        return;
    }
    s = span_trim(line);
    if (!c->message.n || !take_prefix(&s, "--> "))
        return;
    ptrdiff_t col = span_rfind(s, ":"), row = col > 0 ? span_rfind(span_sub(s, 0, (size_t)col), ":") : -1;
    if (row > 0) {
        struct span r = span_sub(s, (size_t)row + 1, s.n), k = span_sub(s, (size_t)col + 1, s.n);
        results_add_finding(c->out, SPAN("rustc"), c->rule, c->severity, span_sub(s, 0, (size_t)row), take_number(&r), take_number(&k), c->message);
    }
    c->message = SPAN("");
}

static int cargo_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct cargo c = { .out = out, .target = BUF_INIT(1u << 16), .message = SPAN(""), .rule = SPAN("") };
    struct span line;
    find_targets(&c, text);
    while (span_line(&text, &line)) {
        struct span s = span_trim(line);
        if (take_prefix(&s, "Running ") || span_starts(s, "Doc-tests ")) {
            set_target(&c, s);
        } else if (span_starts(s, "running ") && (span_ends(s, " tests") || span_ends(s, " test"))) {
            end_target(&c);
            c.begun = true;
        } else if (span_starts(s, "test result: ")) {
            c.ended = true;
            out->said_passed += count_before(s, " passed");
        } else if (span_starts(s, "error: could not compile `")) {
            results_add_broken(out, SPAN("build"), s);
        } else if (!libtest_line(&c, s) && !nextest_line(&c, s)) {
            rustc_line(&c, line);
        }
    }
    end_target(&c);
    buf_finish(&c.target);
    free(c.targets);
    return 0;
}

static int cargo_sniff(struct span text)
{
    if (span_has(text, "test result: ") && (span_has(text, "\nrunning ") || span_starts(text, "running ")))
        return 92;
    if (span_has(text, "Nextest run ID"))
        return 92;
    if (span_has(text, "error: could not compile `"))
        return 60;
    return (span_starts(text, "warning: ") || span_has(text, "\nwarning: ") || span_has(text, "\nerror[E")) && span_has(text, "\n --> ") ? 55 : 0;
}

const struct reader reader_cargo = {
    .name = "cargo",
    .summary = "cargo test (libtest), cargo nextest, what rustc and clippy say as text",
    .lines = true,
    .sniff = cargo_sniff,
    .read = cargo_read,
};
