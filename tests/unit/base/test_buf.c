#include "support/test.h"

#include "base/buf.h"

static void buf_append__keeps_content_when_limit_is_hit(void **state)
{
    struct buf b = BUF_INIT(8);
    struct err e = ERR_INIT;
    (void)state;
    assert_true(buf_adds(&b, "12345678"));
    assert_false(buf_addc(&b, '9'));
    assert_false(buf_adds(&b, ""));
    assert_string_equal(buf_str(&b), "12345678");
    assert_int_equal(buf_check(&b, &e), -ERR_LIMIT);
    assert_string_equal(e.text, "text exceeds 8 bytes");
    buf_reset(&b);
    assert_true(buf_adds(&b, "x"));
    buf_finish(&b);
    assert_string_equal(buf_str(&b), "");
}

static void buf_insert_and_erase__move_the_rest(void **state)
{
    struct buf b = BUF_INIT(100);
    (void)state;
    buf_adds(&b, "hello world");
    buf_insert(&b, 5, ",", 1);
    assert_string_equal(buf_str(&b), "hello, world");
    buf_erase(&b, 5, 100);
    assert_string_equal(buf_str(&b), "hello");
    buf_erase(&b, 50, 1);
    assert_int_equal(b.n, 5);
    assert_false(buf_insert(&b, 6, "x", 1));
    buf_finish(&b);
}

static void buf_add_json__escapes_and_repairs(void **state)
{
    static const struct {
        const char *in, *out;
        size_t n;
    } rows[] = {
        { "a\"b\\c", "\"a\\\"b\\\\c\"", 5 },
        { "\n\t\r\x01\x00z", "\"\\n\\t\\r\\u0001\\u0000z\"", 6 },
        { "\xc3\xa9", "\"\xc3\xa9\"", 2 },
        { "\xc3", "\"\xef\xbf\xbd\"", 1 },
        { "\xff\x80ok", "\"\xef\xbf\xbd\xef\xbf\xbdok\"", 4 },
        { "\x7f", "\"\\u007f\"", 1 },
        { "", "\"\"", 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = BUF_INIT(100);
        buf_add_json(&b, (struct span){ rows[i].in, rows[i].n });
        assert_string_equal(buf_str(&b), rows[i].out);
        buf_finish(&b);
    }
}

static void span_line__takes_both_endings_and_a_last_line_without(void **state)
{
    struct span rest = SPAN("a\r\n\nlast"), line;
    (void)state;
    assert_true(span_line(&rest, &line) && span_eqs(line, "a"));
    assert_true(span_line(&rest, &line) && line.n == 0);
    assert_true(span_line(&rest, &line) && span_eqs(line, "last"));
    assert_false(span_line(&rest, &line));
}

static void span_split__has_a_field_behind_the_last_separator(void **state)
{
    struct span rest = SPAN("a,,b,"), f;
    const char *want[] = { "a", "", "b", "" };
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(span_split(&rest, ',', &f) && span_eqs(f, want[i]));
    assert_false(span_split(&rest, ',', &f));
}

static void buf_take__gives_a_string_even_when_empty(void **state)
{
    struct buf b = BUF_INIT(10);
    (void)state;
    char *s = buf_take(&b);
    assert_string_equal(s, "");
    free(s);
}

static void span_sub__clamps(void **state)
{
    (void)state;
    assert_true(span_eqs(span_sub(SPAN("abc"), 1, 99), "bc"));
    assert_int_equal(span_sub(SPAN("abc"), 7, 1).n, 0);
    assert_true(span_eqs(span_trim(SPAN(" \t x y \n")), "x y"));
    assert_int_equal(span_find(SPAN("needle in hay"), SPAN("in")), 7);
    assert_int_equal(span_find(SPAN("a"), SPAN("ab")), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_append__keeps_content_when_limit_is_hit),
        cmocka_unit_test(buf_insert_and_erase__move_the_rest),
        cmocka_unit_test(buf_add_json__escapes_and_repairs),
        cmocka_unit_test(span_line__takes_both_endings_and_a_last_line_without),
        cmocka_unit_test(span_split__has_a_field_behind_the_last_separator),
        cmocka_unit_test(buf_take__gives_a_string_even_when_empty),
        cmocka_unit_test(span_sub__clamps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
