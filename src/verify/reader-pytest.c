/*
 * pytest's console: with -v "tests/test_a.py::test_x PASSED  [ 50%]" (xdist: "[gw0] [ 50%] PASSED tests/..."), with -rA
 * or on failure, after "short test summary info", "FAILED tests/test_a.py::test_x - assert 1 == 2", "ERROR path -
 * message". The plain dots say no names; then only the failures are known by name, and of the passing tests the number
 * in the last line. An ERROR of a file, not of a test, is one that could not be collected.
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

/* Where the id of "a.py::test[x - y] - message" ends: at the first " - " that stands in no bracket. */
static size_t id_end(struct span s)
{
    int depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '[')
            depth++;
        else if (s.p[i] == ']')
            depth--;
        else if (depth <= 0 && span_starts(span_sub(s, i, s.n), " - "))
            return i;
    }
    ptrdiff_t dash = depth > 0 ? span_find(s, SPAN(" - ")) : -1; /* an id with a bracket of its own */
    return dash > 0 ? (size_t)dash : s.n;
}

static void summary_line(enum test_status st, struct span rest, struct results *out)
{
    size_t end = id_end(rest);
    struct span id = span_sub(rest, 0, end), message = span_sub(rest, end < rest.n ? end + 3 : rest.n, rest.n);
    if (span_has(id, "::"))
        results_add_test(out, SPAN(""), id, st, SPAN(""), 0, message);
    else if (span_ends(id, ".py") && st == TEST_FAIL)
        results_add_broken(out, id, message);
}

/* "a.py::test[x y] PASSED [ 5%]", "... SKIPPED (why)": the id may hold blanks, so look from the right. */
static void verbose_line(struct span line, struct results *out)
{
    enum test_status st;
    struct span body = span_trim(line);
    if (span_ends(body, "%]")) {
        ptrdiff_t open = span_rfind(body, "[");
        body = span_trim(span_sub(body, 0, open > 0 ? (size_t)open : body.n));
    }
    for (size_t i = 0; span_ends(body, ")") && i < COUNT_OF(words); i++) {
        char reason[16];
        (void)snprintf(reason, sizeof reason, " %s (", words[i].word);
        ptrdiff_t at = span_find(body, span_of(reason));
        if (at > 0) {
            body = span_sub(body, 0, (size_t)at + strlen(reason) - 2);
            break;
        }
    }
    ptrdiff_t sp = span_rfind(body, " ");
    if (sp <= 0 || !verdict_of(span_sub(body, (size_t)sp + 1, body.n), &st))
        return;
    struct span id = span_trim(span_sub(body, 0, (size_t)sp));
    if (span_has(id, "::"))
        results_add_test(out, SPAN(""), id, st, SPAN(""), 0, SPAN(""));
}

/* "[gw0] [ 50%] PASSED tests/a.py::test" of pytest-xdist. */
static bool worker_line(struct span s, struct results *out)
{
    struct span word, percent;
    enum test_status st;
    if (!take_prefix(&s, "[gw") || !take_until(&s, ']', &word) || !take_prefix(&s, " [") || !take_until(&s, ']', &percent))
        return false;
    s = span_trim(s);
    if (!take_until(&s, ' ', &word) || !verdict_of(word, &st) || !span_has(s, "::"))
        return false;
    results_add_test(out, SPAN(""), span_trim(s), st, SPAN(""), 0, SPAN(""));
    return true;
}

static int pytest_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    bool summary = false;
    while (span_line(&text, &line)) {
        struct span first = line, rest = line;
        enum test_status st;
        if (span_has(line, "= short test summary info =")) {
            summary = true;
            continue;
        }
        if (span_has(line, " in ") && (span_ends(line, "s") || span_ends(line, "=") || span_ends(line, ")")))
            out->said_passed += count_before(line, " passed");
        if (worker_line(line, out) || !take_until(&rest, ' ', &first))
            continue;
        rest = span_trim(rest);
        if (verdict_of(first, &st)) { /* a test may print such a line as well: the summary's count */
            if (summary && !span_starts(rest, "[")) /* "SKIPPED [1] ..." counts places */
                summary_line(st, rest, out);
            continue;
        }
        if (!summary)
            verbose_line(line, out);
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
