/*
 * ctest's own output:  "1/3 Test #1: name .............   Passed    0.01 sec"
 *                      "2/3 Test  #2: name ............***Failed    0.00 sec"
 * (also ***Timeout, ***Exception: SegFault, ***Not Run, ***Skipped). CTestTestfile, cmake 3.25.
 */
#include "verify/reader-internal.h"

static bool ctest_line(struct span line, struct span *name, struct span *verdict)
{
    struct span s = span_trim(line);
    if (take_number(&s) < 0 || !take_prefix(&s, "/") || take_number(&s) < 0 || !take_prefix(&s, " Test"))
        return false;
    s = span_trim(s);
    if (!take_prefix(&s, "#") || take_number(&s) < 0 || !take_prefix(&s, ": "))
        return false;
    /* The name may hold dots and spaces: its end is the run of dots (at least 3, ctest pads to a column). */
    ptrdiff_t dots = span_rfind(s, " ..");
    if (dots < 0)
        dots = span_rfind(s, " .");
    if (dots < 0)
        return false;
    *name = span_trim(span_sub(s, 0, (size_t)dots));
    s = span_trim(span_sub(s, (size_t)dots, s.n));
    while (s.n && s.p[0] == '.')
        s = span_sub(s, 1, s.n);
    *verdict = span_trim(s);
    return name->n > 0;
}

static int ctest_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, name, verdict;
    while (span_line(&text, &line)) {
        if (!ctest_line(line, &name, &verdict))
            continue;
        enum test_status s = span_starts(verdict, "Passed")       ? TEST_PASS
                             : span_starts(verdict, "***Skipped") ? TEST_SKIP
                             : span_has(verdict, "(Disabled)") || span_starts(verdict, "***Not Run (Dis") ? TEST_SKIP
                                                                                                          : TEST_FAIL;
        results_add_test(out, SPAN(""), name, s, SPAN(""), 0, s == TEST_PASS ? SPAN("") : verdict);
    }
    return 0;
}

static int ctest_sniff(struct span text)
{
    if (!span_has(text, " Test") || !span_has(text, "% tests passed, "))
        return 0;
    return 90;
}

const struct reader reader_ctest = {
    .name = "ctest",
    .summary = "ctest's console output",
    .lines = true,
    .sniff = ctest_sniff,
    .read = ctest_read,
};
