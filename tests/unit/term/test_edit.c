#include "support/test.h"

#include "term/edit.h"

static struct edit *ed;
static enum edit_result last;

static void on_key(void *ctx, const struct key *k)
{
    (void)ctx;
    last = edit_key(ed, k);
}

static void type(const char *bytes)
{
    struct keys ks = KEYS_INIT;
    keys_feed(&ks, span_of(bytes), on_key, NULL);
    keys_finish(&ks);
}

static int setup(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    return edit_create(&ed, &e);
}

static int teardown(void **state)
{
    (void)state;
    edit_destroy(ed);
    return 0;
}

static void editing__inserts_deletes_and_moves_by_character(void **state)
{
    (void)state;
    type("h\xc3\xa9llo\033[D\033[D\x7f!");
    assert_true(span_eqs(edit_text(ed), "h\xc3\xa9!lo"));
    type("\x01\033[3~\x05?");
    assert_true(span_eqs(edit_text(ed), "\xc3\xa9!lo?"));
    type("\x01\x0b");
    assert_int_equal(edit_text(ed).n, 0);
    type("\x19");
    assert_true(span_eqs(edit_text(ed), "\xc3\xa9!lo?"));
}

static void enter__submits_and_backslash_continues(void **state)
{
    (void)state;
    type("one\\\r");
    assert_int_equal(last, EDIT_CHANGED);
    type("two\033\rthree\r");
    assert_int_equal(last, EDIT_SUBMIT);
    assert_true(span_eqs(edit_text(ed), "one\ntwo\nthree"));
    edit_remember(ed, edit_text(ed));
    edit_reset(ed);
    assert_int_equal(edit_text(ed).n, 0);
}

static void history__comes_back_and_keeps_the_draft(void **state)
{
    (void)state;
    edit_remember(ed, SPAN("first"));
    edit_remember(ed, SPAN("second"));
    edit_remember(ed, SPAN("second"));
    type("draft\033[A");
    assert_true(span_eqs(edit_text(ed), "second"));
    type("\033[A\033[A");
    assert_true(span_eqs(edit_text(ed), "first"));
    type("\033[B\033[B");
    assert_true(span_eqs(edit_text(ed), "draft"));
}

static void up_and_down__move_between_lines_by_column(void **state)
{
    (void)state;
    type("abcdef\nxy\nlong line\033[A");
    assert_int_equal(edit_cursor(ed), 9); /* end of "xy" */
    type("\033[A");
    assert_int_equal(edit_cursor(ed), 2);
    type("\033[B\033[B");
    assert_int_equal(edit_cursor(ed), 12);
}

static void control_keys__interrupt_eof_words(void **state)
{
    (void)state;
    type("\x04");
    assert_int_equal(last, EDIT_EOF);
    type("a b-c");
    type("\x17");
    assert_true(span_eqs(edit_text(ed), "a b-"));
    type("\x03");
    assert_int_equal(last, EDIT_INTERRUPT);
    type("\x15\t");
    assert_int_equal(last, EDIT_COMPLETE);
}

static void completion__replaces_the_word_before_the_cursor(void **state)
{
    (void)state;
    type("look at @sr");
    assert_true(span_eqs(edit_word(ed), "@sr"));
    edit_replace_word(ed, SPAN("@src/main.c"));
    assert_true(span_eqs(edit_text(ed), "look at @src/main.c"));
}

static void paste__keeps_lines_and_drops_escapes(void **state)
{
    (void)state;
    type("\033[200~a\r\nb\033[31mc\033[201~");
    assert_true(span_eqs(edit_text(ed), "a\nbc"));
}

static void edit_layout__wraps_and_places_the_cursor(void **state)
{
    struct edit_layout l = { .text = BUF_INIT(10000) };
    (void)state;
    type("abcdefgh\nij");
    assert_true(edit_layout(ed, 7, 2, &l)); /* 5 columns, 4 of them for text */
    assert_string_equal(buf_str(&l.text), "abcd\nefgh\nij");
    assert_int_equal(l.rows, 3);
    assert_int_equal(l.cursor_row, 2);
    assert_int_equal(l.cursor_column, 2);
    buf_finish(&l.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(editing__inserts_deletes_and_moves_by_character, setup, teardown),
        cmocka_unit_test_setup_teardown(enter__submits_and_backslash_continues, setup, teardown),
        cmocka_unit_test_setup_teardown(history__comes_back_and_keeps_the_draft, setup, teardown),
        cmocka_unit_test_setup_teardown(up_and_down__move_between_lines_by_column, setup, teardown),
        cmocka_unit_test_setup_teardown(control_keys__interrupt_eof_words, setup, teardown),
        cmocka_unit_test_setup_teardown(completion__replaces_the_word_before_the_cursor, setup, teardown),
        cmocka_unit_test_setup_teardown(paste__keeps_lines_and_drops_escapes, setup, teardown),
        cmocka_unit_test_setup_teardown(edit_layout__wraps_and_places_the_cursor, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
