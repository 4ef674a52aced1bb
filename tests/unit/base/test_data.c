#include "support/test.h"

#include "base/data.h"

static int count(void *ctx, const char *path, struct span text)
{
    const char **last = ctx;
    assert_true(strcmp(*last, path) < 0);
    assert_int_equal(text.p[text.n], 0);
    assert_true(span_eq(data_find(path), text));
    *last = path;
    return 0;
}

static void data_each__is_sorted_and_agrees_with_find(void **state)
{
    const char *last = "";
    (void)state;
    assert_int_equal(data_each("", count, &last), 0);
    assert_null(data_find("no/such.yaml").p);
    assert_null(data_find("").p);
}

static int stop(void *ctx, const char *path, struct span text)
{
    (void)path;
    (void)text;
    return ++*(int *)ctx;
}

static void data_override__replaces_and_adds(void **state)
{
    char *dir = scratch_make(), *sub = path_join(dir, "zz"), *file = path_join(sub, "own.txt");
    struct err e = ERR_INIT;
    int seen = 0;
    (void)state;
    assert_ok(path_mkdirs(sub, 0700, &e), &e);
    assert_ok(file_write_atomic(file, SPAN("mine"), 0600, false, &e), &e);
    data_set_override(dir);
    assert_true(span_eqs(data_find("zz/own.txt"), "mine"));
    assert_int_equal(data_each("zz/", stop, &seen), 1);
    data_set_override(NULL);
    assert_null(data_find("zz/own.txt").p);
    free(file);
    free(sub);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_each__is_sorted_and_agrees_with_find),
        cmocka_unit_test(data_override__replaces_and_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
