#include "support/test.h"

#include <errno.h>

static void err_sys__names_object_cause_and_kind(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    errno = ENOENT;
    assert_int_equal(err_sys(&e, "cannot open '%s'", "/x"), -ERR_NOT_FOUND);
    assert_string_equal(e.text, "cannot open '/x': No such file or directory");
    assert_int_equal(e.sys, ENOENT);
    assert_contains(e.at, "test_err.c:");
}

static void err_wrap__puts_context_in_front_and_keeps_kind_and_hint(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    err_set(&e, ERR_LIMIT, "too long");
    err_hint(&e, "shorten it");
    assert_int_equal(err_wrap(&e, "line %d", 7), -ERR_LIMIT);
    assert_string_equal(e.text, "line 7: too long");
    assert_string_equal(e.hint, "shorten it");
}

static void err_set__may_use_its_own_text(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    err_set(&e, ERR_IO, "inner");
    err_set(&e, ERR_INPUT, "outer (%s)", e.text);
    assert_string_equal(e.text, "outer (inner)");
}

static void err_text__is_cut_visibly(void **state)
{
    struct err e = ERR_INIT;
    char big[2000];
    (void)state;
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    err_set(&e, ERR_IO, "%s", big);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_string_equal(e.text + sizeof e.text - 4, "...");
    for (int i = 0; i < 50; i++)
        err_wrap(&e, "level %d", i);
    assert_contains(e.text, "level 49: level 48");
}

static void err_kind_name__is_unique_for_every_kind(void **state)
{
    (void)state;
    for (int a = 0; a < ERR_KINDS; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(err_kind_name((enum err_kind)a), err_kind_name((enum err_kind)b));
    assert_string_equal(err_kind_name((enum err_kind)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_sys__names_object_cause_and_kind),
        cmocka_unit_test(err_wrap__puts_context_in_front_and_keeps_kind_and_hint),
        cmocka_unit_test(err_set__may_use_its_own_text),
        cmocka_unit_test(err_text__is_cut_visibly),
        cmocka_unit_test(err_kind_name__is_unique_for_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
