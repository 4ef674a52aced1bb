/* The tables in data/: every row loads, is named as its file, and applies to what it is meant for. */
#include "support/test.h"

#include "base/data.h"
#include "base/mem.h"
#include "model/quirk.h"
#include "model/row.h"
#include "model/leak.h"

static int count(void *ctx, const char *path, struct span text)
{
    (void)text;
    if (span_ends(span_of(path), ".json"))
        (*(size_t *)ctx)++;
    return 0;
}

static void quirks__all_load(void **state)
{
    (void)state;
    size_t files = 0, n;
    (void)data_each("quirks/", count, &files);
    const struct quirk *q = quirks_all(&n);
    assert_true(n > 5);
    assert_int_equal(n, files);
    for (size_t i = 0; i < n; i++) {
        char path[128];
        snprintf(path, sizeof path, "quirks/%s.json", q[i].name);
        assert_non_null(data_find(path).p);
        assert_true(q[i].evidence.len > 0 && q[i].row > 0);
        assert_true(q[i].when.server.len || q[i].when.model.len || q[i].when.template.len || q[i].when.template_lacks.len);
    }
}

static void models__each_has_its_row(void **state)
{
    static const struct {
        const char *model, *row;
    } rows[] = {
        { "Mistral-7B-Instruct-v0.3.Q4_K_M.gguf", "mistral-7b" },
        { "mistral:7b", "mistral-7b" },
        { "gemma-3-12b-it-Q4_K_M.gguf", "gemma-3" },
        { "gemma3:27b", "gemma-3" },
        { "gpt-oss-20b-mxfp4.gguf", "gpt-oss" },
        { "openai/gpt-oss-20b", "gpt-oss" },
        { "Qwen3-30B-A3B-Instruct-2507-Q4_K_M.gguf", "qwen3-moe" },
        { "qwen3-coder:30b", "qwen3-coder" },
        { "Qwen/Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder" },
        { "qwen2.5-coder:7b-instruct", "qwen2.5-coder" },
        { "gemma-4-12b-it", "gemma-4" },
        { "gemma-4-26B-A4B-it-Q4_K_M.gguf", "gemma-4" },
        { "something-else", "default" },
        { "", "default" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(model_row_for(rows[i].model)->name, rows[i].row) != 0)
            fail_msg("%s: row %s", rows[i].model, model_row_for(rows[i].model)->name);
    size_t files = 0;
    (void)data_each("models/", count, &files);
    assert_true(files >= 10);
}

static int check_row(void *ctx, const char *path, struct span text)
{
    (void)ctx;
    struct err e = ERR_INIT;
    json_t *j = NULL;
    if (!span_ends(span_of(path), ".json"))
        return 0;
    assert_ok(json_parse(text, BIND_STRICT, &j, &e), &e);
    const char *name = json_string_value(json_object_get(j, "name"));
    const struct model_row *row = model_row_for(json_string_value(json_array_get(json_object_get(j, "match"), 0)));
    assert_string_equal(row->name, name); /* loaded, and its first match is its own */
    assert_true(row->sampling.temperature >= 0 && row->sampling.temperature <= 1.5);
    for (size_t i = 0; i < row->leaks.len; i++) {
        bool known = false;
        for (size_t k = 0; leaks[k]; k++)
            known |= !strcmp(leaks[k]->name, row->leaks.items[i]);
        if (!known)
            fail_msg("%s: there is no leak parser '%s'", path, row->leaks.items[i]);
    }
    json_decref(j);
    return 0;
}

static void models__name_parsers_that_exist(void **state)
{
    (void)state;
    (void)data_each("models/", check_row, NULL);
}

static void quirk_holds__only_where_all_conditions_do(void **state)
{
    (void)state;
    size_t n;
    struct endpoint ep = { .server = SERVER_LLAMA, .model = "m", .version = "b1", .chat_template = "... conversation roles must alternate user/assistant ... with length 9!" };
    const struct quirk *q = quirks_all(&n);
    struct behaviour b = { 0 };
    struct err e = ERR_INIT;
    for (size_t i = 0; i < n; i++)
        if (quirk_holds(&q[i], &ep))
            assert_ok(quirk_apply(&q[i], &b, &e), &e);
    assert_true(b.merge_user_after_tool && b.nine_char_ids && b.plain_schemas);
    assert_true(b.escape_control);
    assert_false(b.count_prompt);
    ep = (struct endpoint){ .server = SERVER_OLLAMA, .model = "qwen3", .version = "0.2", .chat_template = "" };
    memset(&b, 0, sizeof b);
    for (size_t i = 0; i < n; i++)
        if (quirk_holds(&q[i], &ep))
            assert_ok(quirk_apply(&q[i], &b, &e), &e);
    assert_true(b.count_prompt);
    assert_false(b.nine_char_ids);
    ep = (struct endpoint){ .server = SERVER_LLAMA, .model = "gemma-3-12b-it", .version = "b1", .chat_template = "{% for message in messages %}{{ message.content }}" };
    memset(&b, 0, sizeof b);
    b.tools = true;
    for (size_t i = 0; i < n; i++)
        if (quirk_holds(&q[i], &ep))
            assert_ok(quirk_apply(&q[i], &b, &e), &e);
    assert_false(b.tools);
}

static void version_compare__goes_by_numbers(void **state)
{
    (void)state;
    assert_int_equal(version_compare("0.10.2", "0.9"), 1);
    assert_int_equal(version_compare("b4500-abc", "b999"), 1);
    assert_int_equal(version_compare("0.9", "0.9.0"), 0);
    assert_int_equal(version_compare("0.9", "0.9.1"), -1);
    assert_int_equal(version_compare("", ""), 0);
    assert_int_equal(version_compare("99999999999999999999", "1"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quirks__all_load),
        cmocka_unit_test(models__each_has_its_row),
        cmocka_unit_test(models__name_parsers_that_exist),
        cmocka_unit_test(quirk_holds__only_where_all_conditions_do),
        cmocka_unit_test(version_compare__goes_by_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
