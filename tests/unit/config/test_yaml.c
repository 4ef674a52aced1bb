#include "config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"

struct thing {
    char *name;
    int64_t count;
    bool on;
    double share;
    int kind;
    char **words;
    size_t nwords;
};
struct top {
    struct thing *things;
    size_t nthings;
    char *title;
};

static const cyaml_strval_t kinds[] = { { "red", 0 }, { "blue", 1 } };
static const cyaml_schema_value_t word = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 10) };
static const cyaml_schema_field_t thing_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct thing, name, 1, 20),
    CYAML_FIELD_INT("count", CYAML_FLAG_OPTIONAL, struct thing, count),
    CYAML_FIELD_BOOL("on", CYAML_FLAG_OPTIONAL, struct thing, on),
    CYAML_FIELD_FLOAT("share", CYAML_FLAG_OPTIONAL, struct thing, share),
    CYAML_FIELD_ENUM("kind", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct thing, kind, kinds, 2),
    CYAML_FIELD_SEQUENCE_COUNT("words", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct thing, words, nwords, &word, 0, 3),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t thing_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct thing, thing_fields) };
static const cyaml_schema_field_t top_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("things", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct top, things, nthings, &thing_value, 0, 100),
    CYAML_FIELD_STRING_PTR("title", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct top, title, 1, 20),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct top, top_fields) };

static void load__binds_every_type(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct top *t = NULL;
    static const char text[] = "# a comment\nthings:\n- name: one\n  count: 012\n  on: Yes\n  share: 0.25\n  kind: blue\n"
                               "  words: [\"a\\n\\\"\", '1', true]\n- {name: \"null\", count: -3}\ntitle:\n";
    if (yaml_load("t.yaml", span_of(text), &schema, (void **)&t, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(t->nthings, 2);
    assert_string_equal(t->things[0].name, "one");
    assert_int_equal(t->things[0].count, 12); /* not octal */
    assert_true(t->things[0].on);
    assert_true(t->things[0].share == 0.25);
    assert_int_equal(t->things[0].kind, 1);
    assert_int_equal(t->things[0].nwords, 3);
    assert_string_equal(t->things[0].words[0], "a\n\"");
    assert_string_equal(t->things[0].words[2], "true");
    assert_string_equal(t->things[1].name, "null");
    assert_int_equal(t->things[1].count, -3);
    assert_null(t->title);
    yaml_destroy(&schema, t);
}

static void load__takes_nothing_as_an_empty_mapping(void **state)
{
    (void)state;
    static const char *const empty[] = { "", "# only this\n", "---\n", "~\n" };
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        struct err e = ERR_INIT;
        struct top *t = NULL;
        if (yaml_load("t.yaml", span_of(empty[i]), &schema, (void **)&t, &e) < 0)
            fail_msg("'%s': %s", empty[i], e.text);
        assert_int_equal(t->nthings, 0);
        yaml_destroy(&schema, t);
    }
}

static const struct {
    const char *text;
    const char *message; /* whole */
    const char *hint;    /* part of it, or NULL */
} wrong[] = {
    { "title: a\ntitel: b\n", "t.yaml:2: titel: there is no such key", "did you mean 'title'?" },
    { "zzzzzzzz: b\n", "t.yaml:1: zzzzzzzz: there is no such key", "known here: things, title" },
    { "title: a\n\ntitle: b\n", "t.yaml:3: 'title' stands here twice (first in line 1)", "remove" },
    { "things:\n- count: 3\n", "t.yaml:2: things[0]: 'name' is missing", "add a line `name: ...`" },
    { "things:\n- name: a\n  count: many\n", "t.yaml:3: things[0].count: expected a whole number, got 'many'", NULL },
    { "things:\n- name: a\n  count: 99999999999999999999\n", "t.yaml:3: things[0].count: expected a whole number, got '99999999999999999999'", NULL },
    { "things:\n- name: a\n  on: 1\n", "t.yaml:3: things[0].on: expected true or false, got '1'", NULL },
    { "things:\n- name: a\n  kind: green\n", "t.yaml:3: things[0].kind: expected one of red, blue, got 'green'", NULL },
    { "things:\n- name: ''\n", "t.yaml:2: things[0].name: must not be empty", NULL },
    { "things:\n- name: aaaaaaaaaaaaaaaaaaaaaaaaa\n", "t.yaml:2: things[0].name: expected 1 to 20 characters, got 25", NULL },
    { "things:\n- name: a\n  words: b\n", "t.yaml:3: things[0].words: expected a list", "- item" },
    { "things:\n- name: a\n  words: [a,b,c,d]\n", "t.yaml:3: things[0].words: expected 0 to 3 items, got 4", NULL },
    { "things: {a: b}\n", "t.yaml:1: things: expected a list", NULL },
    { "title: [a]\n", "t.yaml:1: title: expected one value, got a list", NULL },
    { "- a\n", "t.yaml:1: expected `key: value` lines below it", NULL },
    { "a: &x b\n", "t.yaml:1: anchors and aliases (& and *) are not used here", "quotes" },
    { "title: *x\n", "t.yaml:1: anchors and aliases (& and *) are not used here", NULL },
    { "title: !!binary aGk=\n", "t.yaml:1: tags (!) are not used here", NULL },
    { "title: a\n---\ntitle: b\n", "t.yaml:2: a second document begins here", "---" },
    { "things:\n\t- name: a\n", "t.yaml:2: found character that cannot start any token", "not tabs" },
    { "title: \"a\n", "t.yaml:2: found unexpected end of stream", NULL },
    { "title: \"\\x1b[31m\"\n", "t.yaml:1: a value holds a control character", NULL },
    { "[a]: b\n", "t.yaml:1: a key must be a word", NULL },
    { "title: \xff\n", "t.yaml: the file is not UTF-8 text", NULL },
    { "\"e\\u202e\\nvil\": x\n", "t.yaml:1: e<U+202E> vil: there is no such key", NULL },
};

static void load__says_where_and_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct err e = ERR_INIT;
        void *t = NULL;
        int ret = yaml_load("t.yaml", span_of(wrong[i].text), &schema, &t, &e);
        if (ret != -ERR_USAGE || strcmp(e.text, wrong[i].message) != 0 || (wrong[i].hint && !strstr(e.hint, wrong[i].hint)))
            fail_msg("row %zu: %d '%s' (hint: %s), expected '%s'", i, ret, e.text, e.hint, wrong[i].message);
        assert_null(t);
    }
}

static void load__refuses_bombs_quickly(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(4 << 20);
    struct err e = ERR_INIT;
    void *t = NULL;
    for (int i = 0; i < 100000; i++)
        buf_addc(&b, '[');
    assert_int_equal(yaml_load("t.yaml", buf_span(&b), &schema, &t, &e), -ERR_USAGE);
    assert_non_null(strstr(e.text, "too deep"));

    buf_reset(&b);
    buf_adds(&b, "title: [");
    for (int i = 0; i < 100000; i++)
        buf_adds(&b, "a,");
    buf_adds(&b, "]\n");
    assert_int_equal(yaml_load("t.yaml", buf_span(&b), &schema, &t, &e), -ERR_USAGE);
    assert_non_null(strstr(e.text, "too many values"));

    buf_reset(&b);
    for (int i = 0; i < 40000; i++)
        buf_addf(&b, "k%d: a\n", i);
    assert_int_equal(yaml_load("t.yaml", buf_span(&b), &schema, &t, &e), -ERR_USAGE);
    assert_non_null(strstr(e.text, "too many keys"));

    buf_reset(&b);
    for (int i = 0; i < 2 << 20; i++)
        buf_addc(&b, '#');
    assert_int_equal(yaml_load("t.yaml", buf_span(&b), &schema, &t, &e), -ERR_LIMIT);

    static const char laughs[] = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n";
    assert_int_equal(yaml_load("t.yaml", span_of(laughs), &schema, &t, &e), -ERR_USAGE);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__binds_every_type),
        cmocka_unit_test(load__takes_nothing_as_an_empty_mapping),
        cmocka_unit_test(load__says_where_and_what_is_wrong),
        cmocka_unit_test(load__refuses_bombs_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
