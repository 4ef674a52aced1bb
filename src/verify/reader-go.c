/*
 * `go test -json` (go doc test2json): one object a line {Action, Package, Test, Output}. A package
 * that fails without a failing test (it does not build) is the test "PACKAGE". Plain `go test` output
 * ("--- FAIL: TestX (0.00s)", "FAIL pkg 0.01s", "ok pkg 0.01s") is read too.
 */
#include "verify/reader-internal.h"

static int on_line(void *ctx, const json_t *v)
{
    struct results *out = ctx;
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
    if (!test.n && s != TEST_FAIL)
        return 0; /* a package that passed or has no tests */
    results_add_test(out, test.n ? pkg : SPAN(""), test.n ? test : pkg, s, SPAN(""), 0, SPAN(""));
    return 0;
}

/* `packages`: only the "FAIL\tpkg [build failed]" lines, which go before 1.24 writes as text among the JSON. */
static void plain(struct span text, struct results *out, bool packages)
{
    struct span line;
    while (span_line(&text, &line)) {
        struct span s = span_trim(line);
        enum test_status st;
        if (packages && !span_starts(s, "FAIL\t"))
            continue;
        if (take_prefix(&s, "--- PASS: "))
            st = TEST_PASS;
        else if (take_prefix(&s, "--- FAIL: "))
            st = TEST_FAIL;
        else if (take_prefix(&s, "--- SKIP: "))
            st = TEST_SKIP;
        else if (take_prefix(&s, "FAIL\t") || take_prefix(&s, "ok  \t")) {
            struct span pkg = s;
            (void)take_until(&s, '\t', &pkg);
            s = pkg;
            (void)take_until(&s, ' ', &pkg);
            results_add_test(out, SPAN(""), pkg, span_starts(line, "FAIL") ? TEST_FAIL : TEST_PASS, SPAN(""), 0, SPAN(""));
            continue;
        } else
            continue;
        struct span name = s;
        (void)take_until(&s, ' ', &name);
        results_add_test(out, SPAN(""), name, st, SPAN(""), 0, SPAN(""));
    }
}

static int go_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    size_t before = out->ntests;
    json_lines(text, on_line, out);
    plain(text, out, out->ntests > before);
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
