#include "journal/members.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/mem.h"

struct row {
    const char *name;
    const char *text;
    const char *problem; /* NULL: valid; else a part of the message */
};

static const struct row rows[] = {
    { "empty object", "{}", NULL },
    { "all kinds", "{\"a\":null,\"b\":true,\"c\":false,\"d\":-1.5e+3,\"e\":\"x\\u00e9\\n\",\"f\":[1,[2]],\"g\":{\"h\":{}}}", NULL },
    { "space between", "{ \"a\" : 1 , \"b\" : [ ] }", NULL },
    { "not an object", "[1]", "not a JSON object" },
    { "nothing", "", "not a JSON object" },
    { "trailing", "{} {}", "something follows" },
    { "cut", "{\"a\":", "ends too early" },
    { "cut string", "{\"a\":\"x", "no end" },
    { "line break", "{\"a\":1,\n\"b\":2}", "a string is expected" },
    { "raw control", "{\"a\":\"\x01\"}", "control character" },
    { "bad escape", "{\"a\":\"\\x\"}", "escape" },
    { "bad \\u", "{\"a\":\"\\u12g4\"}", "\\u" },
    { "leading zero", "{\"a\":012}", "starts with 0" },
    { "bare word", "{\"a\":yes}", "value is expected" },
    { "no colon", "{\"a\" 1}", "':'" },
    { "no comma", "{\"a\":1 \"b\":2}", "','" },
    { "comma at the end", "{\"a\":1,}", "string is expected" },
    { "not UTF-8", "{\"a\":\"\xff\"}", "UTF-8" },
};

static void members_check__accepts_objects_and_names_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err e = ERR_INIT;
        int ret = members_check(span_of(rows[i].text), &e);
        if ((ret == 0) != (rows[i].problem == NULL) || (rows[i].problem && !strstr(e.text, rows[i].problem)))
            fail_msg("%s: %s", rows[i].name, e.text);
    }
}

static void members_check__refuses_depth(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    buf_adds(&b, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        buf_addc(&b, '[');
    struct err e = ERR_INIT;
    assert_int_equal(members_check(buf_span(&b), &e), -ERR_INPUT);
    assert_non_null(strstr(e.text, "too deep"));
}

static void members_next__walks_values_of_every_kind(void **state)
{
    (void)state;
    struct members it = members_of(SPAN("{\"n\":42,\"s\":\"a\\\"b\\ud83d\\ude00\\u00e9\\n\",\"t\":true,\"l\":[1,\"x\"],\"z\":-7.9}"));
    struct member m;
    int64_t v;
    bool yes;
    struct span raw;
    AUTO(buf) struct buf b = BUF_INIT(100);
    assert_true(members_next(&it, &m) && span_eqs(m.name, "n") && member_i64(&m, &v) && v == 42);
    assert_true(members_next(&it, &m) && !member_i64(&m, &v) && !member_span(&m, &raw) && member_text(&m, &b));
    assert_string_equal(buf_str(&b), "a\"b\xf0\x9f\x98\x80\xc3\xa9\n");
    assert_true(members_next(&it, &m) && member_bool(&m, &yes) && yes);
    assert_true(members_next(&it, &m) && m.kind == MEMBER_ARRAY);
    struct members items = members_of(m.raw);
    struct member item;
    assert_true(members_next_item(&items, &item) && member_i64(&item, &v) && v == 1);
    assert_true(members_next_item(&items, &item) && member_span(&item, &raw) && span_eqs(raw, "x"));
    assert_false(members_next_item(&items, &item));
    assert_true(members_next(&it, &m) && member_i64(&m, &v) && v == -7);
    assert_false(members_next(&it, &m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_check__accepts_objects_and_names_what_is_wrong),
        cmocka_unit_test(members_check__refuses_depth),
        cmocka_unit_test(members_next__walks_values_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
