/* Every rule against its own examples, and properties of the table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "verify/rules-internal.h"

static struct rule_file file_of(const char *path, const char *old_path, const char *old, const char *new)
{
    return (struct rule_file){
        .path = path,
        .old_path = old_path,
        .kind = old_path ? RULE_FILE_RENAMED : !old ? RULE_FILE_ADDED : !new ? RULE_FILE_DELETED : RULE_FILE_MODIFIED,
        .old_text = span_of(old),
        .new_text = span_of(new),
    };
}

static bool fires(const struct rule *r, const struct rule_example *x, struct findings *f, struct arena *a)
{
    struct rule_file files[] = { file_of(x->path, x->old_path, x->old, x->new), file_of(x->also, NULL, x->also_old, x->also_new) };
    files[0].binary = x->binary;
    struct span tests = span_of(x->tests);
    struct rule_input in = { .files = files, .nfiles = x->also ? 2 : 1, .tests = &tests, .ntests = x->tests != NULL, .task = span_of(x->task) };
    struct err e = ERR_INIT;
    if (rules_run(&in, a, f, &e) < 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < f->len; i++) {
        assert_true(f->items[i].message[0] != 0);
        if (!strcmp(f->items[i].rule, r->name) && (!x->severity || !strcmp(x->severity, finding_severity_name(f->items[i].severity))))
            return true;
    }
    return false;
}

static void rules__fire_on_their_examples_and_only_there(void **state)
{
    (void)state;
    const struct rule *rows;
    size_t n;
    int bad = 0;
    struct err e = ERR_INIT;
    if (rules_table(&rows, &n, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(n >= 30);
    for (size_t i = 0; i < n; i++) {
        bool yes = false, no = false;
        for (unsigned k = 0; k < rows[i].nexamples; k++) {
            AUTO(arena) struct arena a = ARENA_INIT(8u << 20);
            struct findings f = { 0 };
            const struct rule_example *x = &rows[i].examples[k];
            (x->fires ? (yes = true) : (no = true));
            bool got = fires(&rows[i], x, &f, &a);
            if (got != x->fires) {
                print_message("%s: example %u (%s) should%s fire\n", rows[i].name, k + 1, x->path, x->fires ? "" : " not");
                for (size_t j = 0; j < f.len; j++)
                    print_message("   %s %s:%lld %s\n", f.items[j].rule, f.items[j].file, (long long)f.items[j].line, f.items[j].message);
                bad++;
            }
            free(f.items);
        }
        if (!yes || !no)
            fail_msg("%s: needs an example that fires and one that does not", rows[i].name);
    }
    assert_int_equal(bad, 0);
}

static void languages__have_patterns_that_compile(void **state)
{
    (void)state;
    static const char *const paths[] = { "a.py", "a.ts", "a.c", "a.rs", "a.go", "a.java", "a.cs", "a.rb", "a.php", "a.sh", "a.pl", "a.ex", "a.swift", "a.lua" };
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        const struct lang *l = lang_of(paths[i]);
        assert_non_null(l);
        const char *all[] = { l->test, l->marker, l->assertion, l->trivial, l->strong, l->weak };
        for (size_t k = 0; k < COUNT_OF(all); k++)
            if (all[k] && !lang_regex(all[k]))
                fail_msg("%s: pattern %zu does not compile", l->name, k);
    }
    assert_null(lang_of("Makefile"));
    assert_null(lang_of("a.unknown"));
}

static void path_classify__goes_by_names(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum path_class class;
    } cases[] = {
        { "src/main.c", PATH_SOURCE },        { "tests/a.c", PATH_TEST },           { "pkg/x_test.go", PATH_TEST },
        { "src/a.test.ts", PATH_TEST },       { "test_a.py", PATH_TEST },           { "Cargo.lock", PATH_LOCK },
        { "a/package-lock.json", PATH_LOCK }, { ".github/workflows/ci.yml", PATH_CI }, { "conftest.py", PATH_CONFTEST },
        { "tests/conftest.py", PATH_CONFTEST }, { "README.md", PATH_DOC },          { "src/__snapshots__/a.snap", PATH_SNAPSHOT },
        { "testdata/x.golden", PATH_SNAPSHOT }, { ".eslintrc.json", PATH_CONFIG },  { "src/testing_tools.py", PATH_SOURCE },
        { "test.js", PATH_TEST },            { "vendor/x/x_test.go", PATH_GENERATED }, { "dist/a.js", PATH_GENERATED },
        { "latest.py", PATH_SOURCE },         { "contest/a.py", PATH_SOURCE },      { "stead.yaml", PATH_CONFIG },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (path_classify(cases[i].path) != cases[i].class)
            fail_msg("%s is %s", cases[i].path, path_class_name(path_classify(cases[i].path)));
}

static void rules_run__survives_hostile_text(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(64u << 20);
    struct findings f = { 0 };
    struct err e = ERR_INIT;
    size_t n = 300000;
    char *big = malloc(n);
    assert_non_null(big);
    unsigned seed = 7;
    static const char some[] = "\"'(){}[]=#/ \n\tassertdefif01\xff\0";
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        big[i] = some[(seed >> 12) % sizeof some];
    }
    const char *const paths[] = { "tests/test_a.py", "a.test.ts", "src/a.c", "conftest.py", ".github/workflows/x.yml", "Makefile", "package.json" };
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct rule_file file = { .path = paths[i], .kind = RULE_FILE_MODIFIED, .old_text = { big, n / 2 }, .new_text = { big + n / 2, n / 2 } };
        struct rule_input in = { .files = &file, .nfiles = 1 };
        assert_int_equal(rules_run(&in, &a, &f, &e), 0);
    }
    free(f.items);
    free(big);
}

static void rules_run__softens_what_the_task_asked_for(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(8u << 20);
    struct err e = ERR_INIT;
    struct rule_file file = { .path = "tests/test_a.py", .kind = RULE_FILE_DELETED, .old_text = SPAN("def test_a():\n    assert 1 == f()\n") };
    struct rule_input in = { .files = &file, .nfiles = 1 };
    struct findings f = { 0 };
    assert_int_equal(rules_run(&in, &a, &f, &e), 0);
    assert_int_equal(f.len, 1);
    assert_int_equal(f.items[0].severity, FINDING_PERSON);
    f.len = 0;
    in.task = SPAN("Remove the obsolete tests of module a");
    assert_int_equal(rules_run(&in, &a, &f, &e), 0);
    assert_int_equal(f.items[0].severity, FINDING_NOTE);
    free(f.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(languages__have_patterns_that_compile),
        cmocka_unit_test(path_classify__goes_by_names),
        cmocka_unit_test(rules__fire_on_their_examples_and_only_there),
        cmocka_unit_test(rules_run__survives_hostile_text),
        cmocka_unit_test(rules_run__softens_what_the_task_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
