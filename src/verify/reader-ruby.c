/*
 * rspec: "rspec ./spec/a_spec.rb:3 # Calc bad" for each failure at the end; "5 examples, 2 failures, 2 pending".
 * minitest: "TestA#test_bad = 0.00 s = F" with -v, failures in full in every mode: "  2) Failure:" and then
 * "TestA#test_bad [test/a.rb:4]:"; "4 runs, 2 assertions, 1 failures, 1 errors, 1 skips". Passing tests are a number
 * where they have no names.
 */
#include "verify/reader-internal.h"

static void rspec_line(struct span s, struct results *out)
{
    struct span place;
    if (take_prefix(&s, "rspec ") && take_until(&s, '#', &place) && span_trim(s).n) {
        struct span file = span_trim(place);
        take_prefix(&file, "./");
        ptrdiff_t at = span_rfind(file, ".rb");
        results_add_test(out, SPAN(""), s, TEST_FAIL, at > 0 ? span_sub(file, 0, (size_t)at + 3) : file, 0, SPAN(""));
    }
}

/* "TestA#test_bad = 0.00 s = F" */
static void minitest_case(struct span s, struct results *out)
{
    ptrdiff_t time = span_rfind(s, " s = "), eq = time > 0 ? span_rfind(span_sub(s, 0, (size_t)time), " = ") : -1;
    if (eq <= 0 || span_findc(span_sub(s, 0, (size_t)eq), '#') <= 0)
        return;
    struct span v = span_trim(span_sub(s, (size_t)time + 5, s.n));
    if (v.n == 1 && strchr(".FES", v.p[0]))
        results_add_test(out, SPAN(""), span_sub(s, 0, (size_t)eq), v.p[0] == '.' ? TEST_PASS : v.p[0] == 'S' ? TEST_SKIP : TEST_FAIL, SPAN(""), 0, SPAN(""));
}

static bool heads_failure(struct span s)
{
    return take_number(&s) > 0 && (span_eqs(s, ") Failure:") || span_eqs(s, ") Error:"));
}

static int ruby_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    bool head = false; /* the line before was "  1) Failure:" */
    while (span_line(&text, &line)) {
        struct span s = span_trim(line);
        if (head && span_findc(s, '#') > 0) {
            ptrdiff_t place = span_find(s, SPAN(" ["));
            take_suffix(&s, ":");
            results_add_test(out, SPAN(""), place > 0 ? span_sub(s, 0, (size_t)place) : s, TEST_FAIL, SPAN(""), 0, SPAN(""));
        }
        head = heads_failure(s);
        rspec_line(line, out);
        minitest_case(s, out);
        size_t examples = count_before(s, " examples, "), runs = count_before(s, " runs, ");
        size_t other = count_before(s, " failure") + count_before(s, " pending") + count_before(s, " errors,") + count_before(s, " skips");
        if (examples + runs > other)
            out->said_passed += examples + runs - other;
    }
    return 0;
}

static int ruby_sniff(struct span text)
{
    return (span_has(text, " examples, ") && span_has(text, " failure") && span_has(text, "\nFinished in ")) ||
                   (span_has(text, " runs, ") && span_has(text, " assertions, ") && span_has(text, " skips"))
               ? 88
               : 0;
}

const struct reader reader_ruby = {
    .name = "ruby",
    .summary = "rspec and minitest",
    .lines = true,
    .sniff = ruby_sniff,
    .read = ruby_read,
};
