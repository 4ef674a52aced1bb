#include "support/test.h"

#include "base/num.h"

static void parse_i64__takes_whole_strings_in_range(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
        int ok;
    } rows[] = {
        { "0", 0, 1 }, { "-5", -5, 1 }, { "9223372036854775807", INT64_MAX, 1 }, { "-9223372036854775808", INT64_MIN, 1 },
        { "9223372036854775808", 0, 0 }, { "", 0, 0 }, { "-", 0, 0 }, { " 1", 0, 0 }, { "1 ", 0, 0 }, { "1x", 0, 0 }, { "+1", 0, 0 },
        { "0x10", 0, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err e = ERR_INIT;
        int64_t v = 0;
        int r = parse_i64(span_of(rows[i].text), INT64_MIN, INT64_MAX, &v, &e);
        if ((r == 0) != rows[i].ok || v != rows[i].want)
            fail_msg("row \"%s\": %d, %lld", rows[i].text, r, (long long)v);
    }
}

static void parse_i64__says_what_was_expected(void **state)
{
    struct err e = ERR_INIT;
    int64_t v;
    (void)state;
    assert_int_equal(parse_i64(SPAN("70000"), 1, 65535, &v, &e), -ERR_INPUT);
    assert_string_equal(e.text, "expected 1..65535, got \"70000\"");
}

static void durations_and_sizes(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
    } durations[] = { { "500ms", 500 }, { "15s", 15000 }, { "10m", 600000 }, { "2h", 7200000 }, { "1d", 86400000 },
                      { "10", -1 }, { "s", -1 }, { "-1s", -1 }, { "1.5s", -1 }, { "99999999999999999h", -1 } },
      sizes[] = { { "64M", 64 << 20 }, { "2G", 2LL << 30 }, { "512", 512 }, { "1K", 1024 }, { "2X", -1 }, { "M", -1 } };
    struct err e = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        int64_t v = -1;
        (void)!parse_duration_ms(span_of(durations[i].text), &v, &e);
        if (v != durations[i].want)
            fail_msg("%s: %lld", durations[i].text, (long long)v);
    }
    assert_contains(e.text, "500ms, 15s, 10m, 2h");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int64_t v = -1;
        (void)!parse_size_bytes(span_of(sizes[i].text), &v, &e);
        if (v != sizes[i].want)
            fail_msg("%s: %lld", sizes[i].text, (long long)v);
    }
}

static void formats__are_short_and_readable(void **state)
{
    char t[24];
    (void)state;
    assert_string_equal(format_duration(350, t), "350 ms");
    assert_string_equal(format_duration(1250, t), "1.2 s");
    assert_string_equal(format_duration(250000, t), "4 m 10 s");
    assert_string_equal(format_duration(7260000, t), "2 h 1 m");
    assert_string_equal(format_size(512, t), "512 B");
    assert_string_equal(format_size(1536, t), "1.5 KiB");
    assert_string_equal(format_size(123LL << 20, t), "123 MiB");
}

static void parse_f64__has_no_locale_and_no_infinity(void **state)
{
    struct err e = ERR_INIT;
    double v = 0;
    (void)state;
    assert_int_equal(parse_f64(SPAN("0.5"), 0, 1, &v, &e), 0);
    assert_true(v > 0.49 && v < 0.51);
    assert_true(parse_f64(SPAN("0,5"), 0, 1, &v, &e) < 0);
    assert_true(parse_f64(SPAN("inf"), 0, 1e308, &v, &e) < 0);
    assert_true(parse_f64(SPAN("nan"), 0, 1, &v, &e) < 0);
    assert_true(parse_f64(SPAN("1e999"), 0, 1e308, &v, &e) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_i64__takes_whole_strings_in_range),
        cmocka_unit_test(parse_i64__says_what_was_expected),
        cmocka_unit_test(durations_and_sizes),
        cmocka_unit_test(formats__are_short_and_readable),
        cmocka_unit_test(parse_f64__has_no_locale_and_no_infinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
