/*
 * JUnit XML as pytest, ctest, meson, phpunit, bats, gradle, jest-junit and others write it. There is
 * no standard; what they share: <testsuite> of <testcase name classname file line> that holds
 * <failure>, <error>, <skipped> or nothing. The id is classname (else the suite's name) and name.
 */
#include "verify/reader-internal.h"
#include "verify/xml.h"

struct junit {
    struct results *out;
    struct buf suite[XML_MAX_DEPTH]; /* suite name by depth */
    int case_depth;                  /* -1: outside a test case */
    struct buf class, name, file, message;
    int64_t line;
    enum test_status status;
    bool notrun; /* ctest's word for "skipped", and for "could not be started" */
};

static bool is_bad(const char *n)
{
    return !strcmp(n, "failure") || !strcmp(n, "error") || !strcmp(n, "flakyFailure") || !strcmp(n, "rerunFailure");
}

static void set(struct buf *b, const char *s)
{
    buf_reset(b);
    buf_adds(b, s);
}

static void on_open(void *ctx, int depth, const char *name, const char *const *attrs)
{
    struct junit *j = ctx;
    if (j->case_depth >= 0) {
        if (is_bad(name) || !strcmp(name, "skipped")) {
            enum test_status s = is_bad(name) ? TEST_FAIL : TEST_SKIP;
            if (s > j->status)
                j->status = s;
            if (!j->message.n)
                set(&j->message, xml_attr(attrs, "message"));
            if (s == TEST_SKIP && j->notrun && j->message.n && !span_starts(buf_span(&j->message), "SKIP_"))
                j->status = TEST_FAIL; /* "Unable to find executable": ctest itself fails on it */
        }
        return;
    }
    buf_reset(&j->suite[depth]);
    if (!strcmp(name, "testsuite")) {
        set(&j->suite[depth], xml_attr(attrs, "name"));
    } else if (!strcmp(name, "testcase")) {
        j->case_depth = depth;
        j->status = TEST_PASS;
        buf_reset(&j->message);
        set(&j->name, xml_attr(attrs, "name"));
        set(&j->class, xml_attr(attrs, "classname"));
        set(&j->file, xml_attr(attrs, "file"));
        struct span l = span_of(xml_attr(attrs, "line"));
        j->line = take_number(&l);
        const char *st = xml_attr(attrs, "status"); /* ctest: run, fail, notrun, disabled */
        j->notrun = !strcmp(st, "notrun");
        if (!strcmp(st, "fail") || !strcmp(st, "failed"))
            j->status = TEST_FAIL;
        else if (!strcmp(st, "notrun") || !strcmp(st, "disabled") || !strcmp(st, "skipped"))
            j->status = TEST_SKIP;
    }
}

static void on_close(void *ctx, int depth, const char *name, struct span text)
{
    struct junit *j = ctx;
    if (j->case_depth < 0)
        return;
    if (depth > j->case_depth) {
        /* The body says more than the attribute when that is empty, e.g. a traceback. */
        if ((is_bad(name) || !strcmp(name, "skipped")) && !j->message.n)
            buf_add_span(&j->message, span_trim(text));
        return;
    }
    struct span suite = buf_span(&j->class);
    for (int d = depth; d-- > 0 && !suite.n;)
        suite = buf_span(&j->suite[d]);
    if (span_eq(suite, buf_span(&j->name))) /* ctest repeats the name as the class */
        suite = (struct span){ "", 0 };
    results_add_test(j->out, suite, buf_span(&j->name), j->status, buf_span(&j->file), j->line, buf_span(&j->message));
    j->case_depth = -1;
}

static int junit_read(struct span text, struct results *out, struct err *e)
{
    struct junit *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "out of memory");
    j->out = out;
    j->case_depth = -1;
    struct buf *own[] = { &j->class, &j->name, &j->file, &j->message };
    for (size_t i = 0; i < COUNT_OF(own); i++)
        buf_init(own[i], 1u << 20);
    for (int i = 0; i < XML_MAX_DEPTH; i++)
        buf_init(&j->suite[i], 1u << 20);
    struct xml_handler h = { .open = on_open, .close = on_close, .ctx = j };
    struct span doc = xml_within(text, "<testsuite");
    int r = xml_read(doc.n ? doc : text, &h, e);
    for (size_t i = 0; i < COUNT_OF(own); i++)
        buf_finish(own[i]);
    for (int i = 0; i < XML_MAX_DEPTH; i++)
        buf_finish(&j->suite[i]);
    free(j);
    return r;
}

static int junit_sniff(struct span text)
{
    return span_has(xml_within(text, "<testsuite"), "<testsuite") ? 98 : 0;
}

const struct reader reader_junit = {
    .name = "junit",
    .summary = "JUnit XML: pytest, ctest, meson, phpunit, bats, gradle and most others",
    .repeats = true,
    .sniff = junit_sniff,
    .read = junit_read,
};
