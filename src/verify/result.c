#include "verify/result.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

/* Valid UTF-8, no NUL, at most `limit` bytes, in the arena. NULL out of memory. */
static char *text_in(struct results *r, struct span s, size_t limit)
{
    if (s.n > limit)
        s.n = utf8_cut(s, limit);
    if (utf8_valid(s) && !memchr(s.p ? s.p : "", 0, s.n))
        return arena_span(r->arena, s);
    AUTO(buf) struct buf b = BUF_INIT(limit * 3 + 16);
    utf8_add_valid(&b, s);
    for (size_t i = 0; i < b.n; i++)
        if (!b.p[i])
            b.p[i] = ' ';
    return b.failed ? NULL : arena_span(r->arena, buf_span(&b));
}

/* The workspace's own prefix goes. */
static struct span inside(const struct results *r, struct span f)
{
    if (r->strip && *r->strip && span_starts(f, r->strip)) {
        size_t n = strlen(r->strip);
        if (f.n > n && (f.p[n] == '/' || r->strip[n - 1] == '/'))
            f = span_sub(f, f.p[n] == '/' ? n + 1 : n, f.n);
    }
    return f;
}

/* A file name as seen from the workspace: its prefix, "./" and "file://" go. */
static struct span file_name(const struct results *r, struct span f)
{
    f = span_trim(f);
    if (span_starts(f, "file://"))
        f = span_sub(f, 7, f.n);
    f = inside(r, f);
    while (span_starts(f, "./"))
        f = span_sub(f, 2, f.n);
    return f;
}

void results_init(struct results *r, struct arena *arena)
{
    *r = (struct results){ .arena = arena, .reader = "" };
}

/* "SUITE::NAME", cut with a hash where it is too long, so that two long names stay two. */
static char *test_id(struct results *r, struct span suite, struct span name)
{
    AUTO(buf) struct buf b = BUF_INIT(1u << 20);
    suite = span_sub(inside(r, span_trim(suite)), 0, 1u << 16);
    name = span_sub(inside(r, span_trim(name)), 0, 1u << 16);
    utf8_add_valid(&b, suite);
    if (suite.n)
        buf_adds(&b, "::");
    utf8_add_valid(&b, name);
    for (size_t i = 0; i < b.n; i++)
        if ((unsigned char)b.p[i] < 0x20)
            b.p[i] = ' ';
    if (b.failed)
        return NULL;
    if (b.n > RESULTS_ID_BYTES) {
        struct hash_hex h = hash_bytes(b.p, b.n);
        buf_truncate(&b, utf8_cut(buf_span(&b), RESULTS_ID_BYTES - 18));
        buf_addf(&b, "..%.16s", h.s);
    }
    return arena_span(r->arena, buf_span(&b));
}

void results_add_test(struct results *r, struct span suite, struct span name, enum test_status status,
                      struct span file, int64_t line, struct span message)
{
    if (r->ntests >= RESULTS_MAX_TESTS) {
        r->dropped++;
        return;
    }
    if (span_trim(suite).n + span_trim(name).n == 0)
        return;
    if (!array_grow((void **)&r->tests, &r->cap_tests, r->ntests, 1, sizeof *r->tests)) {
        r->nomem = true;
        return;
    }
    struct result_test t = {
        .id = test_id(r, suite, name),
        .status = status,
        .file = text_in(r, file_name(r, file), RESULTS_ID_BYTES),
        .line = line > 0 ? line : 0,
        .message = text_in(r, span_trim(message), RESULTS_MESSAGE_BYTES),
    };
    if (!t.id || !t.file || !t.message) {
        r->nomem = true;
        return;
    }
    r->tests[r->ntests++] = t;
}

void results_add_broken(struct results *r, struct span name, struct span message)
{
    size_t n = r->ntests;
    results_add_test(r, SPAN(""), name, TEST_FAIL, SPAN(""), 0, message);
    if (r->ntests > n)
        r->tests[n].broken = true;
}

void results_add_finding(struct results *r, struct span tool, struct span rule, enum result_severity severity,
                         struct span file, int64_t line, int64_t column, struct span message)
{
    if (r->nfindings >= RESULTS_MAX_FINDINGS) {
        r->dropped++;
        return;
    }
    if (!array_grow((void **)&r->findings, &r->cap_findings, r->nfindings, 1, sizeof *r->findings)) {
        r->nomem = true;
        return;
    }
    struct result_finding f = {
        .tool = text_in(r, span_trim(tool), 128),
        .rule = text_in(r, span_trim(rule), 256),
        .severity = severity,
        .file = text_in(r, file_name(r, file), RESULTS_ID_BYTES),
        .line = line > 0 ? line : 0,
        .column = column > 0 ? column : 0,
        .message = text_in(r, span_trim(message), RESULTS_MESSAGE_BYTES),
    };
    if (!f.tool || !f.rule || !f.file || !f.message) {
        r->nomem = true;
        return;
    }
    r->findings[r->nfindings++] = f;
}

void results_finish(struct results *r)
{
    free(r->tests);
    free(r->findings);
    *r = (struct results){ .arena = r->arena, .reader = "" };
}

static int test_order(const void *a, const void *b)
{
    const struct result_test *x = a, *y = b;
    int c = strcmp(x->id, y->id);
    return c ? c : (int)y->status - (int)x->status; /* the worse first: merging keeps it */
}

static int finding_order(const void *a, const void *b)
{
    const struct result_finding *x = a, *y = b;
    int c = strcmp(x->file, y->file);
    if (!c && x->line != y->line)
        c = x->line < y->line ? -1 : 1;
    if (!c && x->column != y->column)
        c = x->column < y->column ? -1 : 1;
    if (!c)
        c = strcmp(x->tool, y->tool);
    if (!c)
        c = strcmp(x->rule, y->rule);
    return c ? c : strcmp(x->message, y->message);
}

/* Of sorted tests, those named like the one before become "ID #2", "ID #3" ...; whether there were any. */
static bool number_repeats(struct results *r)
{
    bool any = false;
    for (size_t i = 1, nth = 1; i < r->ntests; i++) {
        const char *first = r->tests[i - nth].id;
        if (strcmp(first, r->tests[i].id) != 0) {
            nth = 1;
            continue;
        }
        const char *id = arena_printf(r->arena, "%s #%zu", first, ++nth);
        if (!id) {
            r->nomem = true;
            return any;
        }
        r->tests[i].id = id;
        any = true;
    }
    return any;
}

void results_close(struct results *r)
{
    if (r->ntests)
        qsort(r->tests, r->ntests, sizeof *r->tests, test_order);
    if (r->repeats && number_repeats(r))
        qsort(r->tests, r->ntests, sizeof *r->tests, test_order);
    size_t n = 0;
    for (size_t i = 0; i < r->ntests; i++)
        if (!n || strcmp(r->tests[n - 1].id, r->tests[i].id) != 0)
            r->tests[n++] = r->tests[i];
    r->ntests = n;
    if (r->nfindings)
        qsort(r->findings, r->nfindings, sizeof *r->findings, finding_order);
    n = 0;
    for (size_t i = 0; i < r->nfindings; i++)
        if (!n || finding_order(&r->findings[n - 1], &r->findings[i]) != 0)
            r->findings[n++] = r->findings[i];
    r->nfindings = n;
    r->passed = r->failed = r->skipped = 0;
    for (size_t i = 0; i < r->ntests; i++)
        *(r->tests[i].status == TEST_PASS   ? &r->passed
          : r->tests[i].status == TEST_SKIP ? &r->skipped
                                            : &r->failed) += 1;
    if (r->said_passed > r->passed)
        r->passed = r->said_passed;
}

static int id_order(const void *key, const void *t)
{
    return strcmp(key, ((const struct result_test *)t)->id);
}

const struct result_test *results_test(const struct results *r, const char *id)
{
    return r->ntests ? bsearch(id, r->tests, r->ntests, sizeof *r->tests, id_order) : NULL;
}

struct result_test *results_test_of(struct results *r, const char *id)
{
    return r->ntests ? bsearch(id, r->tests, r->ntests, sizeof *r->tests, id_order) : NULL;
}

const char *test_status_name(enum test_status s)
{
    static const char *const names[] = { [TEST_PASS] = "pass", [TEST_SKIP] = "skip", [TEST_FAIL] = "fail" };
    return names[s];
}
