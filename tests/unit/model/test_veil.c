#include "support/test.h"

#include "base/mem.h"
#include "model/veil.h"

struct seen {
    struct buf text, thinking;
};

static void text(void *ctx, struct span s)
{
    buf_add_span(&((struct seen *)ctx)->text, s);
}

static void thinking(void *ctx, struct span s)
{
    buf_add_span(&((struct seen *)ctx)->thinking, s);
}

static void shows__the_same_whatever_the_split(void **state)
{
    static const struct {
        const char *in, *text, *thinking;
    } rows[] = {
        { "Hello <world>", "Hello <world>", "" },
        { "<think>hm</think>Hello", "Hello", "hm" },
        { "I call:\n<tool_call>{\"name\"", "I call:\n", "" },
        { "a < b and b <too", "a < b and b <too", "" },
        { "x [TOOL_CALLS][{", "x ", "" },
        { "{\"name\":\"read\"}", "", "" },
        { "See ```json\n{}\n```", "See ", "" },
        { "See ```c\nint x;\n``` done", "See ```c\nint x;\n``` done", "" },
        { "<think>a <b> </thi", "", "a <b> </thi" },
        { "<|channel|>analysis<|message|>hm<|end|><|start|>assistant", "", "hm" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t step = 1; step < 20; step++) {
            struct seen s = { BUF_INIT(4096), BUF_INIT(4096) };
            struct veil v;
            struct span in = span_of(rows[i].in);
            veil_init(&v, true, text, thinking, &s);
            for (size_t at = 0; at < in.n; at += step)
                veil_feed(&v, span_sub(in, at, step));
            veil_end(&v);
            if (strcmp(buf_str(&s.text), rows[i].text) != 0 || strcmp(buf_str(&s.thinking), rows[i].thinking) != 0)
                fail_msg("%s, step %zu: text '%s' thinking '%s'", rows[i].in, step, buf_str(&s.text), buf_str(&s.thinking));
            veil_finish(&v);
            buf_finish(&s.text);
            buf_finish(&s.thinking);
        }
}

static void without_tools__markup_is_text(void **state)
{
    (void)state;
    struct seen s = { BUF_INIT(4096), BUF_INIT(4096) };
    struct veil v;
    veil_init(&v, false, text, thinking, &s);
    veil_feed(&v, SPAN("Use <tool_call> marks."));
    veil_end(&v);
    assert_string_equal(buf_str(&s.text), "Use <tool_call> marks.");
    veil_finish(&v);
    buf_finish(&s.text);
    buf_finish(&s.thinking);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shows__the_same_whatever_the_split), cmocka_unit_test(without_tools__markup_is_text) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
