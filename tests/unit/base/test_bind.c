#include "support/test.h"

#include "base/bind.h"
#include "base/mem.h"

struct inner {
    int64_t x;
};
struct outer {
    const char *name;
    bool on;
    int64_t n;
    double f;
    int color;
    struct strings list;
    struct inner one;
    struct bind_array many;
    const char *secret;
};
static const char *const colors[] = { "red", "green", NULL };
static const struct field inner_fields[] = {
    { "x", FIELD_I64, FIELD(inner, x), FIELD_REQUIRED, 0, 0, "a number" },
    { 0 },
};
static const struct field outer_fields[] = {
    { "name", FIELD_STRING, FIELD(outer, name), FIELD_REQUIRED, 1, 8, "a name" },
    { "on", FIELD_BOOL, FIELD(outer, on), 0, 0, 0, "a switch" },
    { "n", FIELD_I64, FIELD(outer, n), 0, 1, 10, "a count" },
    { "f", FIELD_F64, FIELD(outer, f), 0, 0, 0, "" },
    { "color", FIELD_ENUM, FIELD(outer, color), FIELD_OMIT, 0, 0, "a color", .names = colors },
    { "list", FIELD_STRINGS, FIELD(outer, list), FIELD_OMIT, 0, 3, "" },
    { "one", FIELD_OBJECT, FIELD(outer, one), FIELD_OMIT, 0, 0, "", .fields = inner_fields },
    { "many", FIELD_OBJECTS, FIELD(outer, many), FIELD_OMIT, 0, 0, "", .fields = inner_fields, .elem_size = sizeof(struct inner) },
    { "secret", FIELD_STRING, FIELD(outer, secret), FIELD_OMIT | FIELD_SECRET, 0, 0, "" },
    { 0 },
};

static int load(const char *text, enum bind_mode mode, struct outer *o, struct arena *a, struct err *e)
{
    json_t *j = NULL;
    int r = json_parse(span_of(text), mode, &j, e);
    if (r == 0)
        r = bind_load(j, outer_fields, o, mode, a, e);
    json_decref(j);
    return r;
}

static void bind_load__fills_the_struct(void **state)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct err e = ERR_INIT;
    struct outer o = { .n = 5 };
    (void)state;
    assert_ok(load("{\"name\":\"ada\",\"on\":true,\"f\":1.5,\"color\":\"green\",\"list\":[\"a\",\"b\"],\"one\":{\"x\":-3},"
                   "\"many\":[{\"x\":1},{\"x\":2}],\"n\":null}",
                   BIND_STRICT, &o, &a, &e),
              &e);
    assert_string_equal(o.name, "ada");
    assert_true(o.on);
    assert_int_equal(o.n, 5); /* absent keeps the default */
    assert_int_equal(o.color, 1);
    assert_int_equal(o.list.len, 2);
    assert_string_equal(o.list.items[1], "b");
    assert_int_equal(o.one.x, -3);
    assert_int_equal(((struct inner *)o.many.items)[1].x, 2);
    arena_finish(&a);
}

static void bind_load__errors_carry_the_path(void **state)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        { "{}", "name: is missing" },
        { "{\"name\":3}", "name: expected a string, got 3" },
        { "{\"name\":\"\"}", "name: is empty" },
        { "{\"name\":\"123456789\"}", "name: expected 1..8 bytes, got 9" },
        { "{\"name\":\"a\",\"n\":\"soon\"}", "n: expected 1..10, got \"soon\"" },
        { "{\"name\":\"a\",\"n\":11}", "n: expected 1..10, got 11" },
        { "{\"name\":\"a\",\"on\":1}", "on: expected true or false, got 1" },
        { "{\"name\":\"a\",\"color\":\"blue\"}", "color: expected one of red, green, got \"blue\"" },
        { "{\"name\":\"a\",\"list\":[1]}", "list[0]: expected a string, got 1" },
        { "{\"name\":\"a\",\"list\":[\"\",\"\",\"\",\"\"]}", "list: expected 0..3 items, got 4" },
        { "{\"name\":\"a\",\"many\":[{\"x\":1},{}]}", "many[1].x: is missing" },
        { "{\"name\":\"a\",\"extra\":1}", "extra: is not known here; known: name, on, n" },
        { "[]", "expected an object, got an array" },
        { "{\"name\":\"a\\u001b[31m\",\"n\":\"\\u001b]0;x\\u0007y\"}", "n: expected 1..10, got \"y\"" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena a = ARENA_INIT(1 << 16);
        struct err e = ERR_INIT;
        struct outer o = { 0 };
        if (load(rows[i].json, BIND_STRICT, &o, &a, &e) != -ERR_INPUT || strncmp(e.text, rows[i].text, strlen(rows[i].text)) != 0)
            fail_msg("%s: \"%s\"", rows[i].json, e.text);
        arena_finish(&a);
    }
}

static void bind_load__tolerant_ignores_unknown_and_reads_numbers_from_text(void **state)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct err e = ERR_INIT;
    struct outer o = { 0 };
    (void)state;
    assert_ok(load("{\"name\":\"a\",\"extra\":{},\"n\":\"7\"}", BIND_TOLERANT, &o, &a, &e), &e);
    assert_int_equal(o.n, 7);
    assert_ok(load("{\"name\":\"a\",\"n\":4.0}", BIND_TOLERANT, &o, &a, &e), &e);
    assert_int_equal(o.n, 4);
    assert_true(load("{\"name\":\"a\",\"n\":4.5}", BIND_TOLERANT, &o, &a, &e) < 0);
    arena_finish(&a);
}

static void bind_dump__round_trips_in_table_order(void **state)
{
    struct arena a = ARENA_INIT(1 << 16);
    struct err e = ERR_INIT;
    struct outer o = { 0 };
    struct buf b = BUF_INIT(1000);
    (void)state;
    assert_ok(load("{\"many\":[{\"x\":1}],\"name\":\"a\",\"n\":2,\"secret\":\"hunter2\"}", BIND_STRICT, &o, &a, &e), &e);
    json_t *j = bind_dump(outer_fields, &o);
    assert_true(buf_add_json_value(&b, j));
    json_decref(j);
    assert_string_equal(buf_str(&b), "{\"name\":\"a\",\"on\":false,\"n\":2,\"f\":0.0,\"color\":\"red\",\"one\":{\"x\":0},\"many\":[{\"x\":1}],"
                                     "\"secret\":\"***\"}");
    buf_finish(&b);
    arena_finish(&a);
}

static void bind_schema__is_json_and_stable(void **state)
{
    struct buf b = BUF_INIT(10000);
    struct err e = ERR_INIT;
    json_t *j = NULL;
    (void)state;
    assert_true(bind_schema(outer_fields, &b));
    assert_ok(json_parse(buf_span(&b), BIND_STRICT, &j, &e), &e);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(j, "properties"), "n"), "maximum")), 10);
    assert_string_equal(json_string_value(json_array_get(json_object_get(j, "required"), 0)), "name");
    json_decref(j);
    buf_finish(&b);
}

static void json_parse__names_line_and_column(void **state)
{
    struct err e = ERR_INIT;
    json_t *j = NULL;
    (void)state;
    assert_int_equal(json_parse(SPAN("{\n \"a\": }"), BIND_STRICT, &j, &e), -ERR_INPUT);
    assert_contains(e.text, "line 2");
    assert_int_equal(json_parse(SPAN("{\"a\":1,\"a\":2}"), BIND_STRICT, &j, &e), -ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bind_load__fills_the_struct),
        cmocka_unit_test(bind_load__errors_carry_the_path),
        cmocka_unit_test(bind_load__tolerant_ignores_unknown_and_reads_numbers_from_text),
        cmocka_unit_test(bind_dump__round_trips_in_table_order),
        cmocka_unit_test(bind_schema__is_json_and_stable),
        cmocka_unit_test(json_parse__names_line_and_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
