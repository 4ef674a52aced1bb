/*
 * vitest: " FAIL  path > group > name" tells each failure, in every mode, " FAIL  path [ path ]" a file that could not be
 * loaded. With --reporter verbose " ✓ path > group > name 3ms" names what passes (× what fails, ↓ what is skipped);
 * without, passing tests are a number: "Tests  1 failed | 3 passed (4)".
 */
#include "verify/reader-internal.h"

static int vitest_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, name;
    enum test_status st;
    while (span_line(&text, &line)) {
        struct span s = span_trim(line);
        if (take_prefix(&s, "FAIL  ")) {
            if (take_prefix(&s, "|")) { /* of a project */
                struct span project;
                (void)take_until(&s, '|', &project);
                s = span_trim(s);
            }
            ptrdiff_t again = span_find(s, SPAN(" [ "));
            if (span_has(s, " > "))
                results_add_test(out, SPAN(""), s, TEST_FAIL, SPAN(""), 0, SPAN(""));
            else
                results_add_broken(out, again > 0 ? span_sub(s, 0, (size_t)again) : s, SPAN("could not be loaded"));
        } else if (take_prefix(&s, "Tests  ")) {
            out->said_passed += count_before(s, " passed");
        } else if (line.n && line.p[0] == ' ' && outline_line(s, false, &name, &st) && span_has(name, " > ")) {
            results_add_test(out, SPAN(""), name, st, SPAN(""), 0, SPAN(""));
        }
    }
    return 0;
}

static int vitest_sniff(struct span text)
{
    return span_has(text, " Test Files  ") && span_has(text, " Tests  ") ? 93 : 0;
}

const struct reader reader_vitest = {
    .name = "vitest",
    .summary = "vitest's console output, any of its text reporters",
    .lines = true,
    .sniff = vitest_sniff,
    .read = vitest_read,
};
