#include "support/test.h"

#include "term/width.h"

static void width_of__counts_columns(void **state)
{
    (void)state;
    assert_int_equal(width_of(SPAN("abc")), 3);
    assert_int_equal(width_of(SPAN("\xe6\xbc\xa2\xe5\xad\x97")), 4);
    assert_int_equal(width_of(SPAN("e\xcc\x81")), 1);
    assert_int_equal(width_of(SPAN("\033[31mred\033[0m")), 3);
}

static void width_cut__keeps_characters_and_sequences_whole(void **state)
{
    (void)state;
    assert_int_equal(width_cut(SPAN("\xe6\xbc\xa2x"), 1), 0);
    assert_int_equal(width_cut(SPAN("\xe6\xbc\xa2x"), 2), 3);
    assert_int_equal(width_cut(SPAN("\033[31mred"), 1), 6);
}

static void width_wrap__breaks_at_spaces_and_long_words(void **state)
{
    struct span rest = SPAN("the quick brown supercalifragilistic fox"), line;
    const char *want[] = { "the quick", "brown", "supercalif", "ragilistic", "fox" };
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_true(width_wrap(&rest, 10, &line));
        if (!span_eqs(line, want[i]))
            fail_msg("line %zu: \"%.*s\"", i, (int)line.n, line.p);
    }
    assert_false(width_wrap(&rest, 10, &line));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(width_of__counts_columns),
        cmocka_unit_test(width_cut__keeps_characters_and_sequences_whole),
        cmocka_unit_test(width_wrap__breaks_at_spaces_and_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
