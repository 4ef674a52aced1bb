/*
 * cargo test (libtest):  "     Running unittests src/lib.rs (target/debug/deps/x-0123)"
 *                        "   Doc-tests name"
 *                        "test module::case ... ok" (FAILED, ignored, "ignored, why")
 * and cargo nextest:     "        PASS [   0.005s] crate module::case" (FAIL, SKIP, SIGABRT ...).
 * A crate that does not build prints "error: could not compile `name`": the test "build".
 */
#include "verify/reader-internal.h"

static int cargo_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, target = SPAN("");
    while (span_line(&text, &line)) {
        struct span s = span_trim(line);
        if (take_prefix(&s, "Running ")) {
            ptrdiff_t paren = span_find(s, SPAN(" ("));
            target = paren > 0 ? span_sub(s, 0, (size_t)paren) : s;
            take_prefix(&target, "unittests ");
            continue;
        }
        if (span_starts(s, "Doc-tests ")) {
            target = s;
            continue;
        }
        if (span_starts(s, "error: could not compile `")) {
            results_add_test(out, SPAN(""), SPAN("build"), TEST_FAIL, SPAN(""), 0, s);
            continue;
        }
        if (take_prefix(&s, "test ")) {
            ptrdiff_t dots = span_rfind(s, " ... ");
            if (dots <= 0)
                continue;
            struct span name = span_sub(s, 0, (size_t)dots), v = span_trim(span_sub(s, (size_t)dots + 5, s.n));
            if (span_eqs(v, "ok"))
                results_add_test(out, target, name, TEST_PASS, SPAN(""), 0, SPAN(""));
            else if (span_eqs(v, "FAILED"))
                results_add_test(out, target, name, TEST_FAIL, SPAN(""), 0, SPAN(""));
            else if (span_starts(v, "ignored"))
                results_add_test(out, target, name, TEST_SKIP, SPAN(""), 0, v);
            continue;
        }
        enum test_status st;
        if (take_prefix(&s, "PASS ["))
            st = TEST_PASS;
        else if (take_prefix(&s, "FAIL [") || take_prefix(&s, "TIMEOUT [") || take_prefix(&s, "SIGABRT [") ||
                 take_prefix(&s, "SIGSEGV ["))
            st = TEST_FAIL;
        else if (take_prefix(&s, "SKIP ["))
            st = TEST_SKIP;
        else
            continue;
        struct span time;
        if (take_until(&s, ']', &time))
            results_add_test(out, SPAN(""), s, st, SPAN(""), 0, SPAN(""));
    }
    return 0;
}

static int cargo_sniff(struct span text)
{
    if (span_has(text, "test result: ") && (span_has(text, "\nrunning ") || span_starts(text, "running ")))
        return 92;
    if (span_has(text, "Nextest run ID"))
        return 92;
    return span_has(text, "error: could not compile `") ? 60 : 0;
}

const struct reader reader_cargo = {
    .name = "cargo",
    .summary = "cargo test (libtest) and cargo nextest",
    .lines = true,
    .sniff = cargo_sniff,
    .read = cargo_read,
};
