/*
 * Python's unittest: -v prints "test_x (mod.Class.test_x) ... ok" (3.11; before: "test_x (mod.Class) ... ok"),
 * where a doc string moves the verdict to a second line; failures are repeated as
 * "FAIL: test_x (mod.Class.test_x)" under a double rule. Without -v only these are named.
 */
#include "verify/reader-internal.h"

/* "test_x (mod.Class.test_x)" -> "mod.Class.test_x"; the old form gets its method appended. */
static bool case_id(struct span s, struct buf *id)
{
    s = span_trim(s);
    ptrdiff_t open = span_find(s, SPAN(" ("));
    ptrdiff_t close = span_findc(s, ')');
    if (open <= 0 || close < open)
        return false;
    struct span method = span_sub(s, 0, (size_t)open);
    struct span where = span_sub(s, (size_t)open + 2, (size_t)(close - open - 2));
    if (!where.n || span_findc(method, ' ') >= 0)
        return false;
    buf_reset(id);
    buf_add_span(id, where);
    if (!span_ends(where, "") || where.n <= method.n || memcmp(where.p + where.n - method.n, method.p, method.n) != 0 ||
        where.p[where.n - method.n - 1] != '.') {
        buf_addc(id, '.');
        buf_add_span(id, method);
    }
    /* subTest: " [message] (i=1)" after the parenthesis belongs to the name */
    struct span sub = span_trim(span_sub(s, (size_t)close + 1, s.n));
    if (sub.n && (sub.p[0] == '[' || sub.p[0] == '(')) {
        buf_addc(id, ' ');
        buf_add_span(id, sub);
    }
    return !id->failed;
}

/* A module that could not be imported stands as a case of its own. */
static void add(struct results *out, struct span id, enum test_status st, struct span why)
{
    if (st == TEST_FAIL && span_starts(id, "unittest.loader._FailedTest."))
        results_add_broken(out, id, why);
    else
        results_add_test(out, SPAN(""), id, st, SPAN(""), 0, why);
}

/* "Ran 7 tests in 0.1s", then "OK (skipped=1)" or "FAILED (failures=1, errors=2, expected failures=1)": what passed. */
static size_t passed_of(struct span text)
{
    struct span line;
    int64_t ran = 0, other = 0;
    while (span_line(&text, &line)) {
        struct span s = line, one;
        if (take_prefix(&s, "Ran ") && span_has(s, " test")) {
            ran = take_number(&s);
            other = 0;
        } else if (ran > 0 && (take_prefix(&s, "OK (") || take_prefix(&s, "FAILED ("))) {
            while (span_split(&s, ',', &one)) {
                ptrdiff_t at = span_findc(one, '=');
                struct span n = span_sub(one, (size_t)at + 1, one.n);
                int64_t v = at > 0 ? take_number(&n) : 0;
                other += v > 0 ? v : 0;
            }
        }
    }
    return ran > other ? (size_t)(ran - other) : 0;
}

static bool verdict_of(struct span v, enum test_status *st, struct span *why)
{
    v = span_trim(v);
    *why = (struct span){ "", 0 };
    if (span_eqs(v, "ok"))
        *st = TEST_PASS;
    else if (span_eqs(v, "FAIL") || span_eqs(v, "ERROR") || span_eqs(v, "unexpected success"))
        *st = TEST_FAIL;
    else if (take_prefix(&v, "skipped"))
        *st = TEST_SKIP, *why = span_trim(v);
    else if (span_eqs(v, "expected failure"))
        *st = TEST_SKIP;
    else
        return false;
    return true;
}

static int unittest_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, why;
    enum test_status st;
    out->said_passed += passed_of(text);
    AUTO(buf) struct buf id = BUF_INIT(1u << 16);
    AUTO(buf) struct buf waiting = BUF_INIT(1u << 16); /* an id whose verdict comes later */
    while (span_line(&text, &line)) {
        struct span s = line;
        if (take_prefix(&s, "FAIL: ") || take_prefix(&s, "ERROR: ")) {
            if (case_id(s, &id))
                add(out, buf_span(&id), TEST_FAIL, SPAN(""));
            continue;
        }
        ptrdiff_t dots = span_rfind(s, " ... ");
        struct span name = dots > 0 ? span_sub(s, 0, (size_t)dots) : s;
        struct span verdict = dots > 0 ? span_sub(s, (size_t)dots + 5, s.n) : s;
        if (dots > 0 && verdict_of(verdict, &st, &why)) {
            if (case_id(name, &id)) {
                add(out, buf_span(&id), st, why);
            } else if (waiting.n) { /* the line of a doc string */
                add(out, buf_span(&waiting), st, why);
            }
            buf_reset(&waiting);
        } else if (dots > 0 || (span_ends(s, ")") && span_starts(s, "test"))) {
            /* "test_x (m.C.test_x) ... some print" or the id before its doc string */
            if (case_id(name, &id)) {
                buf_reset(&waiting);
                if (dots > 0 && span_ends(verdict, "ok"))
                    add(out, buf_span(&id), TEST_PASS, SPAN(""));
                else
                    buf_add_span(&waiting, buf_span(&id));
            }
        } else if (waiting.n && verdict_of(s, &st, &why)) {
            add(out, buf_span(&waiting), st, why);
            buf_reset(&waiting);
        } else if (waiting.n && span_ends(s, "ok")) {
            /* output without a newline before the verdict; had it failed, the list of failures would say so */
            add(out, buf_span(&waiting), TEST_PASS, SPAN(""));
            buf_reset(&waiting);
        }
    }
    return 0;
}

static int unittest_sniff(struct span text)
{
    struct span line;
    while (span_line(&text, &line))
        if (span_starts(line, "Ran ") && (span_has(line, " tests in ") || span_has(line, " test in ")))
            return 90;
    return 0;
}

const struct reader reader_unittest = {
    .name = "unittest",
    .summary = "Python unittest (-v names the passing tests too)",
    .lines = true,
    .sniff = unittest_sniff,
    .read = unittest_read,
};
