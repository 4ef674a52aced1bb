#include "support/test.h"

#include <jansson.h>

#include "base/bind.h"
#include "base/mem.h"
#include "model/schema.h"

static const char schema[] = "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":8,\"pattern\":\"\\\\d\"},\"n\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9},"
                             "\"deep\":{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"boolean\"}},\"required\":[\"b\"]},\"list\":{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"maxItems\":2},"
                             "\"mode\":{\"enum\":[\"a\",\"b\"]},\"any\":{\"type\":[\"string\",\"null\"]},\"default\":{\"type\":\"string\"}},\"required\":[\"path\"],\"additionalProperties\":false}";

static void check__says_what_is_wrong(void **state)
{
    static const struct {
        const char *value, *error; /* NULL: fits */
    } rows[] = {
        { "{\"path\":\"a\"}", NULL },
        { "{\"path\":\"a\",\"n\":9,\"deep\":{\"b\":true},\"list\":[1,2.5],\"mode\":\"b\",\"any\":null}", NULL },
        { "{\"path\":\"a\",\"n\":2.0}", NULL },
        { "{}", "'path' is missing" },
        { "[]", "expected an object, got array" },
        { "{\"path\":1}", "path: expected a string, got integer 1" },
        { "{\"path\":\"\"}", "path: expected a length of at least 1" },
        { "{\"path\":\"123456789\"}", "path: expected a length of at most 8" },
        { "{\"path\":\"\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\"}", NULL },
        { "{\"path\":\"a\",\"n\":0}", "n: expected a value of at least 1, got integer 0" },
        { "{\"path\":\"a\",\"n\":1.5}", "n: expected an integer, got number" },
        { "{\"path\":\"a\",\"deep\":{}}", "deep: 'b' is missing" },
        { "{\"path\":\"a\",\"deep\":{\"b\":\"x\"}}", "deep.b: expected a boolean" },
        { "{\"path\":\"a\",\"list\":[1,\"x\"]}", "list[1]: expected a number" },
        { "{\"path\":\"a\",\"list\":[1,2,3]}", "list: expected a count of at most 2" },
        { "{\"path\":\"a\",\"mode\":\"c\"}", "mode: expected one of \"a\", \"b\"" },
        { "{\"path\":\"a\",\"file\":\"x\"}", "there is no 'file'; known: path, n, deep" },
    };
    (void)state;
    AUTO(json) json_t *s = json_loads(schema, 0, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err e = ERR_INIT;
        AUTO(json) json_t *v = json_loads(rows[i].value, 0, NULL);
        int rc = schema_check(s, v, &e);
        if ((rc < 0) != (rows[i].error != NULL))
            fail_msg("%s: %s", rows[i].value, e.text);
        if (rows[i].error)
            assert_contains(e.text, rows[i].error);
    }
}

static void coerce__repairs_only_what_cannot_be_meant_otherwise(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "{\"path\":\"5\",\"n\":\"5\"}", "{\"path\":\"5\",\"n\":5}" },
        { "{\"path\":\"a\",\"n\":\"five\"}", "{\"path\":\"a\",\"n\":\"five\"}" },
        { "{\"path\":\"a\",\"n\":null}", "{\"path\":\"a\"}" },
        { "{\"path\":null}", "{\"path\":null}" },
        { "{\"path\":\"a\",\"any\":null}", "{\"path\":\"a\",\"any\":null}" },
        { "{\"path\":5}", "{\"path\":5}" },
        { "{\"path\":\"a\",\"n\":3.0}", "{\"path\":\"a\",\"n\":3}" },
    };
    (void)state;
    AUTO(json) json_t *s = json_loads(schema, 0, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(json) json_t *v = json_loads(rows[i].in, 0, NULL);
        AUTO(json) json_t *want = json_loads(rows[i].out, 0, NULL);
        schema_coerce(s, v);
        if (!json_equal(v, want))
            fail_msg("row %zu: %s", i, rows[i].in);
    }
}

static void plain__drops_what_breaks_grammars_and_nothing_else(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(4096);
    assert_true(schema_plain(span_of(schema), &b));
    assert_null(strstr(buf_str(&b), "pattern"));
    assert_null(strstr(buf_str(&b), "minLength"));
    assert_contains(buf_str(&b), "\"default\":{\"type\":\"string\"}"); /* a property that is called so stays */
    assert_contains(buf_str(&b), "\"required\":[\"path\"]");
    assert_contains(buf_str(&b), "\"enum\":[\"a\",\"b\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check__says_what_is_wrong),
        cmocka_unit_test(coerce__repairs_only_what_cannot_be_meant_otherwise),
        cmocka_unit_test(plain__drops_what_breaks_grammars_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
