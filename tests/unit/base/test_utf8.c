#include "support/test.h"

#include "base/utf8.h"

static void utf8_decode__round_trips_every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char enc[4];
        uint32_t back = 0;
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        int n = utf8_encode(c, enc);
        if (utf8_decode((struct span){ enc, (size_t)n }, &back) != n || back != c)
            fail_msg("U+%04X", c);
        if (n > 1 && utf8_decode((struct span){ enc, (size_t)n - 1 }, &back) != 0)
            fail_msg("U+%04X cut", c);
    }
}

static void utf8_decode__refuses_what_rfc_3629_forbids(void **state)
{
    static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                                       "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(" };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t c;
        if (utf8_decode(span_of(bad[i]), &c) != -1)
            fail_msg("row %zu was accepted", i);
        assert_false(utf8_valid(span_of(bad[i])));
    }
}

static void utf8_cut__stays_on_a_boundary(void **state)
{
    struct span s = SPAN("a\xe6\xbc\xa2z");
    (void)state;
    assert_int_equal(utf8_cut(s, 0), 0);
    assert_int_equal(utf8_cut(s, 1), 1);
    assert_int_equal(utf8_cut(s, 2), 1);
    assert_int_equal(utf8_cut(s, 3), 1);
    assert_int_equal(utf8_cut(s, 4), 4);
    assert_int_equal(utf8_cut(s, 99), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_decode__round_trips_every_character),
        cmocka_unit_test(utf8_decode__refuses_what_rfc_3629_forbids),
        cmocka_unit_test(utf8_cut__stays_on_a_boundary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
