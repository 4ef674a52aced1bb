#include "support/test.h"

#include "term/keys.h"

static char seen[4096];

static void on_key(void *ctx, const struct key *k)
{
    static const char *const names[] = {
        [KEY_CHAR] = "char", [KEY_ENTER] = "enter", [KEY_NEWLINE] = "newline", [KEY_TAB] = "tab", [KEY_BACKTAB] = "backtab",
        [KEY_BACKSPACE] = "backspace", [KEY_DELETE] = "delete", [KEY_LEFT] = "left", [KEY_RIGHT] = "right", [KEY_UP] = "up",
        [KEY_DOWN] = "down", [KEY_HOME] = "home", [KEY_END] = "end", [KEY_PAGE_UP] = "pgup", [KEY_PAGE_DOWN] = "pgdn",
        [KEY_WORD_LEFT] = "wleft", [KEY_WORD_RIGHT] = "wright", [KEY_ESCAPE] = "esc", [KEY_PASTE] = "paste", [KEY_CTRL] = "ctrl", [KEY_ALT] = "alt",
    };
    size_t n = strlen(seen);
    (void)ctx;
    if (k->code == KEY_CHAR || k->code == KEY_CTRL || k->code == KEY_ALT)
        (void)snprintf(seen + n, sizeof seen - n, "%s:%x ", names[k->code], k->c);
    else if (k->code == KEY_PASTE)
        (void)snprintf(seen + n, sizeof seen - n, "paste:%.*s ", (int)k->text.n, k->text.p);
    else
        (void)snprintf(seen + n, sizeof seen - n, "%s ", names[k->code]);
}

static const struct {
    const char *in, *out;
} rows[] = {
    { "aZ\xc3\xa9", "char:61 char:5a char:e9 " },
    { "\r\n\t\x7f", "enter newline tab backspace " },
    { "\x03\x04", "ctrl:63 ctrl:64 " },
    { "\033[A\033[B\033[C\033[D", "up down right left " },
    { "\033OA\033OH\033OF", "up home end " },
    { "\033[1~\033[3~\033[4~\033[5~\033[6~", "home delete end pgup pgdn " },
    { "\033[1;5C\033[1;3D\033b\033f", "wright wleft wleft wright " },
    { "\033\r", "newline " },
    { "\033x", "alt:78 " },
    { "\033[200~two\nlines\033[31m\033[201~z", "paste:two\nlines\033[31m char:7a " },
    { "\033[999;999;9X\033[?1;2cq", "char:71 " },
    { "\xff" "a", "char:61 " },
};

static void keys_feed__decodes_for_any_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int split = 0; split < 2; split++) {
            struct keys ks = KEYS_INIT;
            seen[0] = '\0';
            if (!split)
                keys_feed(&ks, span_of(rows[i].in), on_key, NULL);
            else
                for (const char *p = rows[i].in; *p; p++)
                    keys_feed(&ks, (struct span){ p, 1 }, on_key, NULL);
            if (strcmp(seen, rows[i].out) != 0)
                fail_msg("row %zu, split %d: %s", i, split, seen);
            keys_finish(&ks);
        }
}

static size_t pastes, pasted_bytes, others;

static void count_key(void *ctx, const struct key *k)
{
    (void)ctx;
    pastes += k->code == KEY_PASTE;
    others += k->code != KEY_PASTE;
    pasted_bytes += k->text.n;
}

static void keys_feed__never_types_what_was_pasted(void **state)
{
    (void)state;
    struct keys ks = KEYS_INIT;
    pastes = pasted_bytes = others = 0;
    keys_feed(&ks, span_of("\033[200~"), count_key, NULL);
    for (size_t n = 0; n < KEYS_PASTE_BYTES + 100000; n += 9)
        keys_feed(&ks, span_of("line\033[2\r\n"), count_key, NULL);
    assert_int_equal(pastes + others, 0);
    keys_feed(&ks, span_of("\033\033[201~x"), count_key, NULL);
    assert_int_equal(pastes, 1);
    assert_int_equal(others, 1);
    assert_true(pasted_bytes > KEYS_PASTE_BYTES - 16 && pasted_bytes <= KEYS_PASTE_BYTES);
    keys_feed(&ks, span_of("\033[200~again\033[201~"), count_key, NULL);
    assert_int_equal(pastes, 2);
    keys_finish(&ks);
}

static void keys_flush__makes_a_lone_escape_a_key(void **state)
{
    struct keys ks = KEYS_INIT;
    (void)state;
    seen[0] = '\0';
    keys_feed(&ks, SPAN("\033"), on_key, NULL);
    assert_true(keys_pending(&ks));
    assert_string_equal(seen, "");
    keys_flush(&ks, on_key, NULL);
    assert_string_equal(seen, "esc ");
    keys_finish(&ks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_feed__decodes_for_any_split), cmocka_unit_test(keys_feed__never_types_what_was_pasted),
        cmocka_unit_test(keys_flush__makes_a_lone_escape_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
