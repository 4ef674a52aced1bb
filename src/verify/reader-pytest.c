/*
 * pytest's console: with -v "tests/test_a.py::test_x PASSED  [ 50%]", with -rA or on failure the short
 * summary "FAILED tests/test_a.py::test_x - assert 1 == 2", "ERROR path - message". The plain dots say
 * no names; then only the failures are known by name, and passing tests not at all.
 */
#include "verify/reader-internal.h"

static const struct {
    const char *word;
    enum test_status status;
} words[] = {
    { "PASSED", TEST_PASS }, { "FAILED", TEST_FAIL },  { "ERROR", TEST_FAIL },
    { "SKIPPED", TEST_SKIP }, { "XFAIL", TEST_SKIP }, { "XPASS", TEST_PASS },
};

static bool verdict_of(struct span word, enum test_status *st)
{
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_eqs(word, words[i].word)) {
            *st = words[i].status;
            return true;
        }
    return false;
}

static bool is_node_id(struct span s)
{
    return span_has(s, "::") || span_ends(s, ".py");
}

static int pytest_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    while (span_line(&text, &line)) {
        struct span first = line, rest = line, message = SPAN("");
        enum test_status st;
        if (!take_until(&rest, ' ', &first))
            continue;
        rest = span_trim(rest);
        if (verdict_of(first, &st) && !span_starts(rest, "[")) { /* the summary; "SKIPPED [1] ..." counts places */
            ptrdiff_t dash = span_find(rest, SPAN(" - "));
            if (dash > 0) {
                message = span_sub(rest, (size_t)dash + 3, rest.n);
                rest = span_sub(rest, 0, (size_t)dash);
            }
            if (is_node_id(rest))
                results_add_test(out, SPAN(""), rest, st, SPAN(""), 0, message);
            continue;
        }
        /* "a.py::test[x y] PASSED [ 5%]": the id may hold blanks, so look from the right. */
        struct span body = span_trim(line);
        if (span_ends(body, "%]")) {
            ptrdiff_t open = span_rfind(body, "[");
            body = span_trim(span_sub(body, 0, open > 0 ? (size_t)open : body.n));
        }
        if (span_ends(body, ")")) { /* "SKIPPED (why)" */
            ptrdiff_t open = span_find(body, SPAN(" ("));
            if (open > 0)
                body = span_sub(body, 0, (size_t)open);
        }
        ptrdiff_t sp = span_rfind(body, " ");
        if (sp > 0 && verdict_of(span_sub(body, (size_t)sp + 1, body.n), &st)) {
            struct span id = span_trim(span_sub(body, 0, (size_t)sp));
            if (span_has(id, "::"))
                results_add_test(out, SPAN(""), id, st, SPAN(""), 0, SPAN(""));
        }
    }
    return 0;
}

static int pytest_sniff(struct span text)
{
    if (span_has(text, " test session starts =") || span_has(text, "= short test summary info ="))
        return 95;
    struct span line;
    while (span_line(&text, &line)) /* -q: "3 passed, 1 failed in 0.01s" */
        if (span_has(line, " passed") && span_has(line, " in ") && span_ends(line, "s"))
            return 55;
    return 0;
}

const struct reader reader_pytest = {
    .name = "pytest",
    .summary = "pytest's console output (-v or -rA names the passing tests too)",
    .lines = true,
    .sniff = pytest_sniff,
    .read = pytest_read,
};
