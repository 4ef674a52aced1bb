#include "support/test.h"

#include "base/clean.h"

static const struct {
    const char *name, *in;
    size_t n;
    unsigned flags;
    const char *out;
} rows[] = {
    { "plain", "caf\xc3\xa9 \xe6\xbc\xa2", 9, CLEAN_LINE, "caf\xc3\xa9 \xe6\xbc\xa2" },
    { "colour", "\x1b[31mred\x1b[0m", 12, CLEAN_LINE, "red" },
    { "title ended by BEL", "a\x1b]0;evil\x07" "b", 11, CLEAN_LINE, "ab" },
    { "title ended by ST", "a\x1b]0;evil\x1b\\b", 12, CLEAN_LINE, "ab" },
    { "clipboard, never ended", "a\x1b]52;c;ZXZpbA==", 16, CLEAN_LINE, "a" },
    { "device control", "a\x1bP1$r\x1b\\b", 9, CLEAN_LINE, "ab" },
    { "C1 CSI", "a\xc2\x9b" "31mb", 7, CLEAN_LINE, "ab" },
    { "C1 OSC", "a\xc2\x9d" "0;x\x07" "b", 8, CLEAN_LINE, "ab" },
    { "reset", "a\x1b" "cb", 4, CLEAN_LINE, "ab" },
    { "charset", "a\x1b(0b", 5, CLEAN_LINE, "ab" },
    { "nested escape", "\x1b\x1b[31mx", 7, CLEAN_LINE, "x" },
    { "newline in a line", "a\nb\tc\r\nd", 8, CLEAN_LINE, "a b c d" },
    { "newlines in text", "a\nb\tc\r\nd\re", 10, CLEAN_TEXT, "a\nb\tc\nd\ne" },
    { "backspace and bell", "a\b\a", 3, CLEAN_LINE, "a^H^G" },
    { "NUL and DEL", "a\0b\x7f", 4, CLEAN_LINE, "a^@b^?" },
    { "bad UTF-8", "a\xff\xc3(", 4, CLEAN_LINE, "a\xef\xbf\xbd\xef\xbf\xbd(" },
    { "cut UTF-8", "a\xe6\xbc", 3, CLEAN_LINE, "a\xef\xbf\xbd" },
    { "direction override", "a\xe2\x80\xae" "b", 5, CLEAN_LINE, "a<U+202E>b" },
    { "zero width", "a\xe2\x80\x8b" "b", 5, CLEAN_LINE, "a<U+200B>b" },
    { "tag character", "\xf3\xa0\x81\x81", 4, CLEAN_LINE, "<U+E0041>" },
    { "file name", "a\n'\\\x1b[31m\x01", 10, CLEAN_QUOTE, "a\\n\\'\\\\\\x1b[31m\\x01" },
    { "a name is whole", "\x1b]0;x\x07" "README\xff\xfe\xe6", 15, CLEAN_QUOTE, "\\x1b]0;x\\x07README\\xff\\xfe\\xe6" },
    { "content is shown", "a\x1b]0;evil\x07" "b\x1b[8mc", 16, CLEAN_TEXT | CLEAN_SHOW, "a^[]0;evil^Gb^[[8mc" },
    { "C1 and returns of content", "a\xc2\x9b" "8m\rb\n", 8, CLEAN_TEXT | CLEAN_SHOW, "a<U+009B>8m^Mb\n" },
    { "C1 in a name", "a\xc2\x9b" "31mb\r\n", 9, CLEAN_QUOTE, "a<U+009B>31mb\\r\\n" },
};

static void clean_add__makes_text_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b = BUF_INIT(1000);
        clean_add(&b, (struct span){ rows[i].in, rows[i].n }, rows[i].flags);
        if (strcmp(buf_str(&b), rows[i].out) != 0)
            fail_msg("%s: got \"%s\"", rows[i].name, buf_str(&b));
        buf_finish(&b);
    }
}

static void cleaner_add__gives_the_same_for_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cleaner c = CLEANER_INIT;
        struct buf b = BUF_INIT(1000);
        if (rows[i].flags & CLEAN_QUOTE)
            continue; /* names come whole */
        for (size_t k = 0; k < rows[i].n; k++)
            cleaner_add(&c, &b, (struct span){ rows[i].in + k, 1 }, rows[i].flags);
        if (strcmp(rows[i].name, "cut UTF-8") == 0)
            assert_int_equal(c.npend, 2); /* still waiting for the rest */
        else if (strcmp(buf_str(&b), rows[i].out) != 0)
            fail_msg("%s: got \"%s\"", rows[i].name, buf_str(&b));
        buf_finish(&b);
    }
}

static void clean__never_lets_an_escape_through(void **state)
{
    uint32_t x = 12345;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        static const char alphabet[] = "\x1b\x9b\xc2\x9d[]P;m\x07\\ab\n\x18\xff\xe2\x80";
        char in[24];
        for (size_t i = 0; i < sizeof in; i++) {
            x = x * 1664525 + 1013904223;
            in[i] = alphabet[(x >> 16) % (sizeof alphabet - 1)];
        }
        struct buf b = BUF_INIT(1000);
        clean_add(&b, (struct span){ in, sizeof in }, round % 2 ? CLEAN_TEXT : CLEAN_TEXT | CLEAN_SHOW);
        for (size_t i = 0; i < b.n; i++) {
            unsigned char c = (unsigned char)b.p[i];
            if (c == 0x1b || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ||
                (c == 0xc2 && (unsigned char)b.p[i + 1] < 0xa0))
                fail_msg("control character %02x came through", c);
        }
        buf_finish(&b);
    }
}

static void clean_into__cuts_at_a_character(void **state)
{
    char out[6];
    (void)state;
    assert_string_equal(clean_into(out, sizeof out, SPAN("abcd\xc3\xa9"), CLEAN_LINE), "abcd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_add__makes_text_harmless),
        cmocka_unit_test(cleaner_add__gives_the_same_for_any_split),
        cmocka_unit_test(clean__never_lets_an_escape_through),
        cmocka_unit_test(clean_into__cuts_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
