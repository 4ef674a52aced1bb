/*
 * `go test -json` (go doc test2json): one object a line {Action, Package, Test, Output}. Plain `go test` output
 * ("--- FAIL: TestX (0.00s)", then "FAIL pkg 0.01s" or "ok pkg 0.01s" of their package) is read too. A package that
 * fails without a failing test (it does not build, it exits) is the test "PACKAGE".
 */
#include "verify/reader-internal.h"

#define PACKAGES_MAX 4096u /* that fail; of those beyond, their tests alone are told */

struct go_package {
    struct span name;
    bool failed, told; /* told: by a test of it that failed */
};

struct go {
    struct results *out;
    struct go_package *packages;
    size_t n, cap;
};

static struct go_package *package_of(struct go *g, struct span name)
{
    for (size_t i = g->n; i-- > 0;) /* the last is the likeliest */
        if (span_eq(g->packages[i].name, name))
            return &g->packages[i];
    if (g->n >= PACKAGES_MAX)
        return NULL;
    const char *copy = arena_span(g->out->arena, name);
    if (!copy || !array_grow((void **)&g->packages, &g->cap, g->n, 1, sizeof *g->packages)) {
        g->out->nomem = true;
        return NULL;
    }
    g->packages[g->n] = (struct go_package){ .name = span_of(copy) };
    return &g->packages[g->n++];
}

static int on_line(void *ctx, const json_t *v)
{
    struct go *g = ctx;
    struct span action = json_text(v, "Action"), pkg = json_text(v, "Package"), test = json_text(v, "Test");
    enum test_status s;
    if (span_eqs(action, "pass"))
        s = TEST_PASS;
    else if (span_eqs(action, "fail"))
        s = TEST_FAIL;
    else if (span_eqs(action, "skip"))
        s = TEST_SKIP;
    else
        return 0;
    struct go_package *p = s == TEST_FAIL ? package_of(g, pkg) : NULL;
    if (p && test.n)
        p->told = true;
    else if (p)
        p->failed = true;
    if (test.n)
        results_add_test(g->out, pkg, test, s, SPAN(""), 0, SPAN(""));
    return 0;
}

/* "FAIL\tpkg [build failed]", "ok  \tpkg\t0.01s": 1 failed, 0 passed, -1 no such line. */
static int package_line(struct span s, struct span *pkg)
{
    bool bad = take_prefix(&s, "FAIL\t");
    if (!bad && !take_prefix(&s, "ok  \t"))
        return -1;
    *pkg = s;
    (void)take_until(&s, '\t', pkg);
    s = *pkg;
    (void)take_until(&s, ' ', pkg);
    return bad;
}

static bool case_line(struct span s, struct span *name, enum test_status *st)
{
    if (take_prefix(&s, "--- PASS: "))
        *st = TEST_PASS;
    else if (take_prefix(&s, "--- FAIL: "))
        *st = TEST_FAIL;
    else if (take_prefix(&s, "--- SKIP: "))
        *st = TEST_SKIP;
    else
        return false;
    *name = s;
    (void)take_until(&s, ' ', name);
    return name->n > 0;
}

/* Tests before their package's line are its own; without such a line (cut) they have no suite. */
static void plain(struct span text, struct go *g)
{
    struct span line, pkg, name, ahead = text;
    enum test_status st;
    while (span_line(&ahead, &line)) {
        int verdict = package_line(line, &pkg);
        bool last = !ahead.n;
        if (verdict < 0 && !last)
            continue;
        bool told = false;
        struct span suite = verdict < 0 ? SPAN("") : pkg, part = { text.p, (size_t)(line.p - text.p) + (verdict < 0 ? line.n : 0) }, l;
        while (span_line(&part, &l))
            if (case_line(span_trim(l), &name, &st)) {
                told |= st == TEST_FAIL;
                results_add_test(g->out, suite, name, st, SPAN(""), 0, SPAN(""));
            }
        text = ahead;
        if (verdict == 0)
            g->out->said_passed++; /* its tests have no names without -v */
        else if (verdict > 0 && !told)
            results_add_broken(g->out, pkg, SPAN(""));
    }
}

static int go_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct go g = { .out = out };
    size_t before = out->ntests;
    json_lines(text, on_line, &g);
    if (out->ntests == before && !g.n) {
        plain(text, &g);
    } else { /* before 1.24 "FAIL\tpkg [build failed]" stands as text among the JSON */
        struct span line, pkg;
        struct go_package *p;
        while (span_line(&text, &line))
            if (package_line(line, &pkg) > 0 && (p = package_of(&g, pkg)) != NULL)
                p->failed = true;
    }
    for (size_t i = 0; i < g.n; i++)
        if (g.packages[i].failed && !g.packages[i].told)
            results_add_broken(out, g.packages[i].name, SPAN(""));
    free(g.packages);
    return 0;
}

static int go_sniff(struct span text)
{
    if (span_has(text, "\"Action\":") && span_has(text, "\"Package\":"))
        return 95;
    return (span_has(text, "--- FAIL: ") || span_has(text, "--- PASS: ")) && (span_has(text, "\nFAIL\t") || span_has(text, "\nok  \t")) ? 80 : 0;
}

const struct reader reader_go = {
    .name = "go",
    .summary = "go test -json, and plain go test",
    .sniff = go_sniff,
    .read = go_read,
};
