/*
 * phpunit's console: after "There was 1 failure:" (errors, risky tests ...) the list "1) Class::test with data set #0",
 * then "Tests: 7, Assertions: 4, Errors: 1, Failures: 2, Skipped: 1." or "OK (7 tests, 9 assertions)".
 */
#include "verify/reader-internal.h"

static size_t value_of(struct span line, const char *name)
{
    ptrdiff_t at = span_find(line, span_of(name));
    if (at < 0)
        return 0;
    struct span n = span_sub(line, (size_t)at + strlen(name), line.n);
    int64_t v = take_number(&n);
    return v > 0 ? (size_t)v : 0;
}

static int phpunit_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    enum { NO_LIST, FAILURES, SKIPS } list = NO_LIST;
    while (span_line(&text, &line)) {
        struct span s = line;
        if (span_starts(s, "There was ") || span_starts(s, "There were ")) {
            bool skips = span_has(s, " skipped ") || span_has(s, " incomplete ");
            list = skips ? SKIPS : span_has(s, " failure") || span_has(s, " error") ? FAILURES : NO_LIST;
        } else if (list != NO_LIST && take_number(&s) > 0 && take_prefix(&s, ") ") && span_has(s, "::")) {
            ptrdiff_t data = span_find(s, SPAN(" with data set ")), values = data > 0 ? span_rfind(s, " (") : -1;
            if (values > data)
                s = span_sub(s, 0, (size_t)values); /* the values stand after the set's name */
            results_add_test(out, SPAN(""), s, list == SKIPS ? TEST_SKIP : TEST_FAIL, SPAN(""), 0, SPAN(""));
        } else if (take_prefix(&s, "OK (")) {
            out->said_passed += count_before(s, " test");
        } else if (span_starts(line, "Tests: ")) {
            size_t all = value_of(line, "Tests: "), bad = value_of(line, "Errors: ") + value_of(line, "Failures: ") + value_of(line, "Skipped: ") +
                                                          value_of(line, "Incomplete: ") + value_of(line, "Risky: ");
            out->said_passed += all > bad ? all - bad : 0;
        }
    }
    return 0;
}

static int phpunit_sniff(struct span text)
{
    return span_has(text, "PHPUnit ") && (span_has(text, "\nTests: ") || span_has(text, "\nOK (")) ? 90 : 0;
}

const struct reader reader_phpunit = {
    .name = "phpunit",
    .summary = "phpunit's console output",
    .lines = true,
    .sniff = phpunit_sniff,
    .read = phpunit_read,
};
