#include "support/test.h"

#include "term/markdown.h"
#include "term/style.h"

#define B "\033[1m"
#define I "\033[3m"
#define C "\033[35m"
#define R "\033[0m"

static const struct {
    const char *name, *in, *out;
} rows[] = {
    { "plain", "hello world\n", "hello world\n" },
    { "heading", "## Title\n", B "Title" R "\n" },
    { "inline", "a **b** `c*d` *e*\n", "a " B "b" R " " C "c*d" R " " I "e" R "\n" },
    { "unclosed", "2 * 3 ** 4 `x\n", "2 * 3 ** 4 `x\n" },
    { "list", "- one two three four five\n", "\xe2\x80\xa2 one two three\n  four five\n" },
    { "numbered", "12. x\n", "12. x\n" },
    { "fence", "```c\nint *x; **y**\n```\nafter\n", "  " C "int *x; **y**" R "\nafter\n" },
    { "fence of four", "````\n```\n````\n", "  " C "```" R "\n" },
    { "escape", "a\033[31mb\033]0;t\007c\n", "abc\n" },
    { "no newline", "tail", "tail\n" },
};

static void render(const char *text, bool bytes, struct buf *out)
{
    struct markdown md = MARKDOWN_INIT;
    if (bytes)
        for (const char *p = text; *p; p++)
            markdown_feed(&md, (struct span){ p, 1 }, 18, out);
    else
        markdown_feed(&md, span_of(text), 18, out);
    markdown_end(&md, 18, out);
    markdown_finish(&md);
}

static void markdown__renders_the_same_for_any_split(void **state)
{
    (void)state;
    style_set(true);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int bytes = 0; bytes < 2; bytes++) {
            struct buf out = BUF_INIT(10000);
            render(rows[i].in, bytes, &out);
            if (strcmp(buf_str(&out), rows[i].out) != 0)
                fail_msg("%s (%d): \"%s\"", rows[i].name, bytes, buf_str(&out));
            buf_finish(&out);
        }
}

static void markdown__is_the_source_without_styles(void **state)
{
    struct buf out = BUF_INIT(10000);
    (void)state;
    style_set(false);
    render("# T\n**b** `c`\n```\nx\n```\n", false, &out);
    assert_string_equal(buf_str(&out), "# T\n**b** `c`\n```\nx\n```\n");
    buf_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markdown__renders_the_same_for_any_split),
        cmocka_unit_test(markdown__is_the_source_without_styles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
