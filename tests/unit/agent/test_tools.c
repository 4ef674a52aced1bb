/* The table of tools, the prompt's size, and the pure parts of context and compaction. */
#include "support/test.h"

#include "agent/compact.h"
#include "agent/context.h"
#include "agent/tool.h"
#include "base/data.h"
#include "base/mem.h"

static void tools__each_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; tools[i]; i++) {
        const struct tool *t = tools[i];
        if (!t->name || !t->summary || !t->summary[0] || !t->args || !t->run || !t->args_size || !t->needs)
            fail_msg("tool %zu (%s) lacks something", i, t->name ? t->name : "?");
        for (const char *p = t->name; *p; p++)
            assert_true((*p >= 'a' && *p <= 'z') || *p == '_');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(tools[k]->name, t->name);
        assert_ptr_equal(tool_find(t->name), t);
        /* llama-server lets a call be written in one order: what is required, then the rest. That must be the order of the table, which is
         * the one that models know: old before new, line before new. */
        bool optional = false;
        for (const struct field *f = t->args; f->name; f++) {
            if ((f->flags & FIELD_REQUIRED) && optional)
                fail_msg("%s: '%s' is required and stands behind what is not", t->name, f->name);
            optional |= !(f->flags & FIELD_REQUIRED);
        }
    }
    assert_null(tool_find("bash"));
}

static void tools__the_prompt_and_the_schemas_are_small(void **state)
{
    (void)state;
    size_t n = data_find("prompts/system.md").n;
    assert_true(n > 0);
    for (size_t i = 0; tools[i]; i++) {
        AUTO(buf) struct buf b = BUF_INIT(1 << 16);
        bind_schema(tools[i]->args, &b);
        if (!tools[i]->by_profile)
            n += b.n + strlen(tools[i]->name) + strlen(tools[i]->summary) + 80; /* what a dialect puts around it */
    }
    /* 3,500 bytes of a first request, less the sampling parameters and the task. */
    if (n > 3100)
        fail_msg("prompt and tools take %zu bytes", n);
}

static void tool_cut__keeps_head_and_tail(void **state)
{
    (void)state;
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    for (int i = 0; i < 1000; i++)
        buf_addf(&text, "line %d\n", i);
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    bool cut = false;
    tool_cut(buf_span(&text), 600, "/run/x", &out, &cut);
    assert_true(cut);
    assert_true(out.n < 700);
    assert_true(span_starts(buf_span(&out), "line 0\n"));
    assert_non_null(strstr(buf_str(&out), "bytes left out; whole output: /run/x"));
    assert_true(span_ends(buf_span(&out), "line 999\n"));
    buf_reset(&out);
    tool_cut(SPAN("short"), 600, NULL, &out, &cut);
    assert_false(cut);
    assert_string_equal(buf_str(&out), "short");
}

static void mention__paths_and_nothing_else(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "fix @src/a.c please", "src/a.c" }, { "see @a.c.", "a.c" },   { "mail me@home.org", NULL }, { "@ alone", NULL },
        { "(@x/y-z_1.py)", "x/y-z_1.py" },    { "@a.c:12 fails", "a.c" }, { "", NULL },                { "@@a", "@a" },
        { "see @\"a b/c d.txt\", ok", "a b/c d.txt" }, { "@\"open", NULL }, { "@\"\" x", NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span rest = span_of(rows[i].text), path = { 0 };
        bool found = context_mention(&rest, &path);
        if (found != (rows[i].want != NULL) || (found && !span_eqs(path, rows[i].want)))
            fail_msg("'%s': '%.*s'", rows[i].text, (int)path.n, path.n ? path.p : "");
    }
}

static void skill__front_matter_with_name_and_description(void **state)
{
    (void)state;
    struct span name, description;
    assert_true(context_skill(SPAN("---\nname: rel\ndescription: \"how to\"\nother: 1\n---\nbody"), &name, &description));
    assert_true(span_eqs(name, "rel"));
    assert_true(span_eqs(description, "how to"));
    assert_false(context_skill(SPAN("---\nname: rel\n---\n"), &name, &description));
    assert_false(context_skill(SPAN("name: rel\ndescription: x\n"), &name, &description));
    assert_false(context_skill(SPAN("---\nname: rel\ndescription: x\n"), &name, &description));
}

static void compact_summary__keeps_task_files_and_words_within_the_limit(void **state)
{
    (void)state;
    AUTO(buf) struct buf last = BUF_INIT(1 << 20);
    for (int i = 0; i < 5000; i++)
        buf_addf(&last, "result %d\n", i);
    struct compact_notes n = { SPAN("Fix add."), SPAN("and b"), SPAN("src/a.c\n"), SPAN("I chose the second way."), buf_span(&last) };
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    assert_true(compact_summary(&n, 4000, &out));
    assert_true(out.n < 4000);
    assert_true(span_starts(buf_span(&out), "Fix add."));
    assert_non_null(strstr(buf_str(&out), "and b"));
    assert_non_null(strstr(buf_str(&out), "src/a.c"));
    assert_non_null(strstr(buf_str(&out), "I chose the second way."));
    assert_true(span_ends(buf_span(&out), "result 4999"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tools__each_row_is_whole),
        cmocka_unit_test(tools__the_prompt_and_the_schemas_are_small),
        cmocka_unit_test(tool_cut__keeps_head_and_tail),
        cmocka_unit_test(mention__paths_and_nothing_else),
        cmocka_unit_test(skill__front_matter_with_name_and_description),
        cmocka_unit_test(compact_summary__keeps_task_files_and_words_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
