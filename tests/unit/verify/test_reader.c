/*
 * Each reader against the reports of real tools (reports/READER/CASE.txt, what it must say in CASE.expect;
 * STEAD_REGENERATE=1 rewrites the latter), then the same bytes cut, damaged and handed to every reader.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/path.h"
#include "verify/reader.h"

static const char *source_dir;

static void dump(const struct results *r, int rc, const struct err *e, struct buf *out)
{
    static const char *const sev[] = { "note", "warning", "error" };
    for (size_t i = 0; i < r->ntests; i++) {
        const struct result_test *t = &r->tests[i];
        buf_addf(out, "test %s %s", test_status_name(t->status), t->id);
        if (*t->file)
            buf_addf(out, " (%s:%lld)", t->file, (long long)t->line);
        if (*t->message)
            buf_addf(out, " | %.60s", t->message);
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < r->nfindings; i++) {
        const struct result_finding *f = &r->findings[i];
        buf_addf(out, "finding %s %s/%s %s:%lld:%lld %s\n", sev[f->severity], f->tool, f->rule, f->file,
                 (long long)f->line, (long long)f->column, f->message);
    }
    if (rc < 0)
        buf_addf(out, "error %s\n", e->text);
}

typedef void (*case_fn)(const char *reader, const char *path, struct span text);

static void each_case(case_fn fn)
{
    AUTO(ptr) char *dir = path_join(source_dir, "reports");
    for (const struct reader *const *r = readers; *r; r++) {
        AUTO(ptr) char *sub = path_join(dir, (*r)->name);
        DIR *d = opendir(sub);
        if (!d)
            fail_msg("%s: a reader without a report to read", sub);
        int n = 0;
        for (struct dirent *f; (f = readdir(d));) {
            if (strcmp(path_ext(f->d_name), ".txt") != 0)
                continue;
            AUTO(ptr) char *path = path_join(sub, f->d_name);
            AUTO(buf) struct buf text = BUF_INIT(1u << 20);
            struct err e = ERR_INIT;
            assert_int_equal(file_read(path, 1u << 20, &text, &e), 0);
            fn((*r)->name, path, buf_span(&text));
            n++;
        }
        closedir(d);
        if (!n)
            fail_msg("%s: no report", sub);
    }
}

static void one_expected(const char *reader, const char *path, struct span text)
{
    AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
    AUTO(results) struct results r;
    struct err e = ERR_INIT;
    results_init(&r, &a);
    r.strip = "/src/demo";
    int rc = reader_read(reader_find(reader), text, &r, &e);
    results_close(&r);
    AUTO(buf) struct buf out = BUF_INIT(1u << 20), want = BUF_INIT(1u << 20);
    dump(&r, rc, &e, &out);
    AUTO(ptr) char *expect = span_dup((struct span){ path, strlen(path) - 4 });
    buf_adds(&want, expect);
    buf_adds(&want, ".expect");
    AUTO(ptr) char *file = buf_take(&want);
    if (getenv("STEAD_REGENERATE"))
        assert_int_equal(file_write_atomic(file, buf_span(&out), 0644, false, &e), 0);
    assert_int_equal(file_read(file, 1u << 20, &want, &e), 0);
    if (!span_eq(buf_span(&out), buf_span(&want)))
        fail_msg("%s says\n%s\nexpected\n%s", path, buf_str(&out), buf_str(&want));
}

static void readers__say_what_real_tools_reported(void **state)
{
    (void)state;
    each_case(one_expected);
}

static void one_sniffed(const char *reader, const char *path, struct span text)
{
    const struct reader *want = reader_find(reader), *got = reader_sniff(text);
    if (!want->sniff || strstr(path, "go-vet") || strstr(path, "/gcc/clang-format"))
        return;
    if (strstr(path, "/tap/truncated") || strstr(path, "/rdjson/lines") || got == want)
        assert_non_null(got);
    else
        fail_msg("%s: taken for %s", path, got ? got->name : "nothing");
}

static void reader_sniff__knows_each_format_by_looking(void **state)
{
    (void)state;
    each_case(one_sniffed);
    assert_null(reader_sniff(SPAN("")));
    assert_null(reader_sniff(SPAN("all good\nbye\n")));
    assert_null(reader_sniff(SPAN("make: *** [Makefile:3: all] Error 1\n")));
}

/* No crash, no hang, valid results, whatever the bytes. */
static void read_quietly(const struct reader *rd, struct span text)
{
    AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
    AUTO(results) struct results r;
    struct err e = ERR_INIT;
    results_init(&r, &a);
    (void)reader_sniff(text);
    if (reader_read(rd, text, &r, &e) < 0)
        assert_true(e.text[0] != 0);
    results_close(&r);
    for (size_t i = 0; i < r.ntests; i++)
        assert_ptr_equal(results_test(&r, r.tests[i].id), &r.tests[i]);
}

static void one_damaged(const char *reader, const char *path, struct span text)
{
    (void)path;
    AUTO(ptr) char *copy = malloc(text.n + 1);
    assert_non_null(copy);
    unsigned seed = 12345;
    for (size_t cut = 0; cut < text.n; cut += 1 + text.n / 40)
        read_quietly(reader_find(reader), span_sub(text, 0, cut));
    for (int i = 0; i < 40; i++) {
        memcpy(copy, text.p, text.n);
        for (int k = 0; k < 4 && text.n; k++) {
            seed = seed * 1103515245u + 12345u;
            copy[(seed >> 8) % text.n] = (char)(seed >> 3);
        }
        read_quietly(reader_find(reader), (struct span){ copy, text.n });
    }
    for (const struct reader *const *r = readers; *r; r++)
        read_quietly(*r, text);
}

static void readers__survive_damaged_and_foreign_reports(void **state)
{
    (void)state;
    each_case(one_damaged);
}

static void readers__are_sorted_and_described(void **state)
{
    (void)state;
    for (const struct reader *const *r = readers; *r; r++) {
        assert_true((*r)->name[0] && (*r)->summary[0] && (*r)->read);
        if (r != readers)
            assert_true(strcmp(r[-1]->name, (*r)->name) < 0);
        assert_ptr_equal(reader_find((*r)->name), *r);
    }
    assert_null(reader_find("fortune"));
}

/* A hostile output makes many of what a reader compares with each other. */
static void readers__take_no_square_of_time_for_many_names(void **state)
{
    (void)state;
    static const struct {
        const char *reader, *before, *between, *after;
    } rows[] = {
        { "cargo", "     Running unittests src/", ".rs (target/debug/deps/x", "-0123)\n" },
        { "go", "FAIL\texample.org/", "/", "\t0.1s\n" },
        { "jest", "FAIL src/", ".", ".test.js\n" },
        { "tap", "not ok ", " - case ", " {\n" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
        AUTO(results) struct results r;
        AUTO(buf) struct buf text = BUF_INIT(32u << 20);
        struct err e = ERR_INIT;
        results_init(&r, &a);
        for (int k = 0; k < 60000; k++)
            buf_addf(&text, "%s%d%s%d%s", rows[i].before, k, rows[i].between, k, rows[i].after);
        assert_int_equal(reader_read(reader_find(rows[i].reader), buf_span(&text), &r, &e), 0);
        results_close(&r);
    }
}

static void results__merge_a_repeated_test_to_the_worse_verdict(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
    AUTO(results) struct results r;
    results_init(&r, &a);
    results_add_test(&r, SPAN("s"), SPAN("x"), TEST_PASS, SPAN(""), 0, SPAN(""));
    results_add_test(&r, SPAN("s"), SPAN("x"), TEST_FAIL, SPAN(""), 0, SPAN("why"));
    results_add_test(&r, SPAN("s"), SPAN("x"), TEST_SKIP, SPAN(""), 0, SPAN(""));
    results_close(&r);
    assert_int_equal(r.ntests, 1);
    assert_int_equal(r.tests[0].status, TEST_FAIL);
    assert_string_equal(r.tests[0].message, "why");
}

static void results__keep_two_long_names_apart(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
    AUTO(results) struct results r;
    char name[2000];
    memset(name, 'x', sizeof name);
    results_init(&r, &a);
    results_add_test(&r, SPAN(""), (struct span){ name, 1999 }, TEST_PASS, SPAN(""), 0, SPAN(""));
    results_add_test(&r, SPAN(""), (struct span){ name, 2000 }, TEST_FAIL, SPAN(""), 0, SPAN(""));
    results_close(&r);
    assert_int_equal(r.ntests, 2);
    assert_true(strlen(r.tests[0].id) <= RESULTS_ID_BYTES);
}

static void results__are_valid_utf8_without_nul(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
    AUTO(results) struct results r;
    results_init(&r, &a);
    results_add_test(&r, SPAN(""), (struct span){ "a\0b\xff", 4 }, TEST_PASS, SPAN(""), 0, (struct span){ "\xc3", 1 });
    assert_string_equal(r.tests[0].id, "a b\xef\xbf\xbd");
    assert_string_equal(r.tests[0].message, "\xef\xbf\xbd");
}

int main(int argc, char **argv)
{
    source_dir = argc > 1 ? argv[1] : "tests/unit/verify";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers__are_sorted_and_described),
        cmocka_unit_test(readers__say_what_real_tools_reported),
        cmocka_unit_test(reader_sniff__knows_each_format_by_looking),
        cmocka_unit_test(readers__survive_damaged_and_foreign_reports),
        cmocka_unit_test(readers__take_no_square_of_time_for_many_names),
        cmocka_unit_test(results__merge_a_repeated_test_to_the_worse_verdict),
        cmocka_unit_test(results__keep_two_long_names_apart),
        cmocka_unit_test(results__are_valid_utf8_without_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
