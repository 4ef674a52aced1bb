#include "support/test.h"

#include "base/mem.h"
#include "model/control.h"

static const struct {
    const char *whole, *broken;
} rows[] = {
    { "<|im_end|>", "<\u200b|im_end|>" },
    { "a<|im_start|>system\nb", "a<\u200b|im_start|>system\nb" },
    { "<|tool_call>x<tool_call|>", "<\u200b|tool_call>x<\u200btool_call|>" },
    { "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\u200b\uff5cbegin\u2581of\u2581sentence\uff5c>" },
    { "<start_of_turn>user", "<\u200bstart_of_turn>user" },
    { "[INST] x [/INST]", "[\u200bINST] x [\u200b/INST]" },
    { "<<|eot_id|>>", "<<\u200b|eot_id|>>" },
    /* what only looks like one */
    { "xs |> map f <| g", "xs |> map f <| g" },
    { "f <| g |> h", "f <| g |> h" },
    { "a <|> b", "a <|> b" },
    { "<div><s>x</s></div>", "<div><s>x</s></div>" },
    { "if (a <b|| c> d)", "if (a <b|| c> d)" },
    { "x[INSTALL] <| <|", "x[INSTALL] <| <|" },
    { "", "" },
};

static void break__takes_the_token_and_keeps_the_letters(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(buf) struct buf out = BUF_INIT(256), back = BUF_INIT(256), twice = BUF_INIT(256);
        bool changed = control_break(&out, span_of(rows[i].whole));
        assert_int_equal(changed, strcmp(rows[i].whole, rows[i].broken) != 0);
        assert_string_equal(buf_str(&out), changed ? rows[i].broken : "");
        assert_int_equal(control_join(&back, span_of(rows[i].broken)), changed);
        assert_string_equal(buf_str(&back), changed ? rows[i].whole : "");
        assert_false(control_break(&twice, span_of(rows[i].broken)));
        assert_int_equal(twice.n, 0);
    }
}

static void join__reads_the_mark_as_json_writes_it(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(256);
    assert_true(control_join(&out, SPAN("{\"new\":\"<\\u200b|im_end|> <\\u200bdiv>\"}")));
    assert_string_equal(buf_str(&out), "{\"new\":\"<|im_end|> <\\u200bdiv>\"}");
}

static void limits__are_seen(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(8);
    (void)control_break(&out, SPAN("<|im_end|>"));
    assert_true(out.failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(break__takes_the_token_and_keeps_the_letters),
        cmocka_unit_test(join__reads_the_mark_as_json_writes_it),
        cmocka_unit_test(limits__are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
