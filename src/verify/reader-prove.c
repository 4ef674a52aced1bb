/*
 * prove without -v: "t/a.t .. ok" (skipped: why, or "Failed 2/3 subtests" below), and in the summary
 *     t/a.t (Wstat: 512 (exited 2) Tests: 3 Failed: 2)
 *       Failed tests:  2-3
 * A failed test is "t/a.t::2"; a file that failed without one (it died, its plan is wrong) is a failure in its own name.
 */
#include "verify/reader-internal.h"

#define PROVE_RANGE 1000 /* of one "2-3": more of them say no more */

static void failed_tests(struct span file, struct span list, struct results *out)
{
    struct span one;
    char name[24];
    while (span_split(&list, ',', &one)) {
        one = span_trim(one);
        int64_t from = take_number(&one), to = take_prefix(&one, "-") ? take_number(&one) : from;
        for (int64_t i = from; from > 0 && i <= to && i < from + PROVE_RANGE; i++) {
            (void)snprintf(name, sizeof name, "%lld", (long long)i);
            results_add_test(out, file, span_of(name), TEST_FAIL, SPAN(""), 0, SPAN(""));
        }
    }
}

static int prove_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, file = SPAN("");
    bool told = true;
    while (span_line(&text, &line)) {
        struct span s = line;
        ptrdiff_t dots = span_find(line, SPAN(" .")), wstat = span_find(line, SPAN(" (Wstat: "));
        if (dots > 0 && span_ends(line, ". ok")) {
            results_add_test(out, SPAN(""), span_sub(line, 0, (size_t)dots), TEST_PASS, SPAN(""), 0, SPAN(""));
        } else if (dots > 0 && span_has(line, ". skipped")) {
            results_add_test(out, SPAN(""), span_sub(line, 0, (size_t)dots), TEST_SKIP, SPAN(""), 0, SPAN(""));
        } else if (wstat > 0 || span_starts(line, "Files=")) {
            if (!told)
                results_add_broken(out, file, SPAN("ended early"));
            file = span_trim(span_sub(line, 0, wstat > 0 ? (size_t)wstat : 0));
            told = wstat <= 0 || span_has(line, "Wstat: 0 ");
            out->said_passed += wstat > 0 ? 0 : count_before(line, ",  ");
        } else if (take_prefix(&s, "  Failed test:  ") || take_prefix(&s, "  Failed tests:  ")) {
            failed_tests(file, s, out);
            told = true;
        }
    }
    return 0;
}

static int prove_sniff(struct span text)
{
    return span_has(text, "\nFiles=") && span_has(text, ", Tests=") && span_has(text, "\nResult: ") && !span_has(text, "\nok 1") &&
                   !span_has(text, "\nnot ok 1")
               ? 90
               : 0;
}

const struct reader reader_prove = {
    .name = "prove",
    .summary = "prove and Perl's make test, without -v",
    .lines = true,
    .sniff = prove_sniff,
    .read = prove_read,
};
