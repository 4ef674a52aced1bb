#include "support/test.h"

#include "agent/match.h"
#include "base/mem.h"

static const char source[] = "int a(void)\n{\n    return 1;\n}\n\nint b(void)\n{\n    if (x)\n        return 2;\n    return 3;\n}\n";

static struct match find(const char *text, const char *old)
{
    struct match m;
    struct err e = ERR_INIT;
    assert_int_equal(match_find(span_of(text), span_of(old), &m, &e), 0);
    return m;
}

static void match_find__one_place_with_its_lines(void **state)
{
    (void)state;
    struct match m = find(source, "    if (x)\n        return 2;\n");
    assert_int_equal(m.kind, MATCH_ONE);
    assert_int_equal(m.line, 8);
    assert_int_equal(m.to, 9);
    assert_memory_equal(source + m.at, "    if (x)", 10);
    m = find(source, "return 3");
    assert_int_equal(m.kind, MATCH_ONE);
    assert_int_equal(m.line, 10);
    assert_int_equal(m.to, 10);
}

static void match_find__several_places_are_named(void **state)
{
    (void)state;
    struct match m = find(source, "return ");
    assert_int_equal(m.kind, MATCH_MANY);
    assert_int_equal(m.count, 3);
    AUTO(buf) struct buf b = BUF_INIT(4096);
    match_explain(&m, "a.c", span_of(source), &b);
    assert_string_equal(buf_str(&b), "error: `old` is in a.c 3 times, at lines 3, 9, 10: add lines around it, or use `line` and `to`");
    /* Overlapping occurrences count. */
    m = find("aaa", "aa");
    assert_int_equal(m.kind, MATCH_MANY);
}

static void match_find__wrong_indentation_is_no_match_but_is_shown(void **state)
{
    (void)state;
    struct match m = find(source, "if (x)\n    return 2;\n");
    assert_int_equal(m.kind, MATCH_INDENT);
    assert_int_equal(m.line, 8);
    assert_int_equal(m.to, 9);
    AUTO(buf) struct buf b = BUF_INIT(4096);
    match_explain(&m, "a.c", span_of(source), &b);
    assert_non_null(strstr(buf_str(&b), "nothing was changed"));
    assert_non_null(strstr(buf_str(&b), "8\t    if (x)\n9\t        return 2;"));
    /* The same text, found behind some of the indentation: `new` would have too little. */
    m = find(source, "  return 2;");
    assert_int_equal(m.kind, MATCH_INDENT);
    assert_int_equal(m.line, 9);
    m = find(source, "return 2;");
    assert_int_equal(m.kind, MATCH_ONE);
}

static void match_find__a_miss_gives_the_nearest_text(void **state)
{
    (void)state;
    struct match m = find(source, "    if (y)\n        return 22;\n");
    assert_int_equal(m.kind, MATCH_NEAR);
    assert_int_equal(m.line, 8);
    assert_int_equal(m.to, 9);
    AUTO(buf) struct buf b = BUF_INIT(4096);
    match_explain(&m, "a.c", span_of(source), &b);
    assert_non_null(strstr(buf_str(&b), "nearest text:\n8\t    if (x)"));
}

static void match_find__nothing_alike_is_said(void **state)
{
    (void)state;
    struct match m = find(source, "SELECT name FROM users WHERE id = 7");
    assert_int_equal(m.kind, MATCH_NONE);
    m = find("", "x");
    assert_int_equal(m.kind, MATCH_NONE);
    m = find(source, "");
    assert_int_equal(m.kind, MATCH_NONE);
    m = find(source, "\n\n\n\n");
    assert_int_equal(m.kind, MATCH_NONE);
}

static void match_find__huge_input_is_bounded(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(16 << 20);
    for (int i = 0; i < 30000; i++)
        buf_addf(&b, "    value_%d = compute(%d, %d);\n", i, i * 7, i * 13);
    AUTO(buf) struct buf old = BUF_INIT(1 << 20);
    for (int i = 0; i < 500; i++)
        buf_addf(&old, "    value_%d = compute(%d, %d)\n", i + 100, (i + 100) * 7, i);
    struct match m;
    struct err e = ERR_INIT;
    assert_int_equal(match_find(buf_span(&b), buf_span(&old), &m, &e), 0);
    assert_int_equal(m.kind, MATCH_NEAR);
    assert_int_equal(m.line, 101);
}

static void lines__slices_and_numbers(void **state)
{
    static const struct {
        const char *text;
        size_t from, to;
        const char *want;
    } rows[] = {
        { "a\nb\nc\n", 1, 3, "1\ta\n2\tb\n3\tc" }, { "a\nb\nc", 3, 3, "3\tc" }, { "a\nb\n", 2, 9, "2\tb" },
        { "a\n", 2, 2, "" },                       { "", 1, 1, "" },           { "\n\n", 1, 2, "1\t\n2\t" },
        { "a\r\nb\r\n", 1, 2, "1\ta\n2\tb" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(buf) struct buf b = BUF_INIT(4096);
        lines_number(&b, span_of(rows[i].text), rows[i].from, rows[i].to, 0, 0);
        if (strcmp(buf_str(&b), rows[i].want) != 0)
            fail_msg("row %zu: \"%s\", expected \"%s\"", i, buf_str(&b), rows[i].want);
    }
    AUTO(buf) struct buf b = BUF_INIT(4096);
    lines_number(&b, SPAN("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), 1, 9, 6, 0);
    assert_string_equal(buf_str(&b), "1\t1\n2\t2\n3\t3\n4\t4\n... 3 lines ...\n8\t8\n9\t9");
    assert_int_equal(lines_count(SPAN("a\nb")), 2);
    assert_int_equal(lines_count(SPAN("a\nb\n")), 2);
    assert_int_equal(lines_count(SPAN("")), 0);
}

static void crlf__is_seen_and_made(void **state)
{
    (void)state;
    assert_true(match_is_crlf(SPAN("a\r\nb\r\n")));
    assert_false(match_is_crlf(SPAN("a\nb\r\nc\n")));
    assert_false(match_is_crlf(SPAN("")));
    AUTO(buf) struct buf b = BUF_INIT(100);
    match_crlf(&b, SPAN("a\nb\r\nc"));
    assert_string_equal(buf_str(&b), "a\r\nb\r\nc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_find__one_place_with_its_lines),
        cmocka_unit_test(match_find__several_places_are_named),
        cmocka_unit_test(match_find__wrong_indentation_is_no_match_but_is_shown),
        cmocka_unit_test(match_find__a_miss_gives_the_nearest_text),
        cmocka_unit_test(match_find__nothing_alike_is_said),
        cmocka_unit_test(match_find__huge_input_is_bounded),
        cmocka_unit_test(lines__slices_and_numbers),
        cmocka_unit_test(crlf__is_seen_and_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
