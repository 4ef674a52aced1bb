/*
 * Automake's test drivers: "PASS: name", "FAIL: name", "XFAIL:", "XPASS:", "SKIP:", "ERROR:", and the
 * summary "# PASS:  3". With TAP tests the name is followed by " 1 - description", kept as part of it.
 */
#include "verify/reader-internal.h"

static const struct {
    const char *prefix;
    enum test_status status;
} marks[] = {
    { "PASS: ", TEST_PASS },  { "FAIL: ", TEST_FAIL }, { "XFAIL: ", TEST_SKIP },
    { "XPASS: ", TEST_FAIL }, { "SKIP: ", TEST_SKIP }, { "ERROR: ", TEST_FAIL },
};

static int automake_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    bool any = false, log = false; /* in the log that VERBOSE=1 prints: the tests' own words */
    while (span_line(&text, &line)) {
        if (any && span_ends(line, "test-suite.log") && !span_starts(line, "See "))
            log = true;
        else if (span_starts(line, "make[") || span_starts(line, "Making check in "))
            log = false;
        for (size_t i = 0; !log && i < COUNT_OF(marks); i++) {
            struct span s = line;
            if (!take_prefix(&s, marks[i].prefix) || !span_trim(s).n)
                continue;
            results_add_test(out, SPAN(""), s, marks[i].status, SPAN(""), 0, SPAN(""));
            any = true;
        }
    }
    return 0;
}

static int automake_sniff(struct span text)
{
    if (span_has(text, "Testsuite summary") && span_has(text, "\n# PASS: "))
        return 95;
    /* Hand-written runners use the same words: only when several lines say so. */
    struct span line;
    int n = 0;
    while (span_line(&text, &line))
        for (size_t i = 0; i < COUNT_OF(marks); i++)
            n += span_starts(line, marks[i].prefix);
    return n >= 2 ? 60 : 0;
}

const struct reader reader_automake = {
    .name = "automake",
    .summary = "PASS: / FAIL: lines of automake's test drivers and of runners that imitate them",
    .lines = true,
    .sniff = automake_sniff,
    .read = automake_read,
};
