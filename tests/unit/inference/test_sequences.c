#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "inference/engine/sequences.h"

static struct sequence made(const int32_t *tokens, size_t n, size_t prompt_n, int64_t used_ms)
{
    struct sequence s = { .prompt_n = prompt_n, .used_ms = used_ms };
    struct err e = ERR_INIT;
    assert_int_equal(sequence_push(&s, tokens, n, &e), 0);
    return s;
}

static void finish(struct sequences *all)
{
    for (size_t i = 0; i < all->len; i++)
        free(all->items[i].tokens);
}

static int32_t line[200];

static void fill_line(void)
{
    for (int i = 0; i < 200; i++)
        line[i] = i;
}

static void choose__takes_an_empty_sequence_first(void **state)
{
    (void)state;
    struct sequence items[2] = { made(line + 50, 20, 10, 1), { .used_ms = 9 } };
    struct sequences all = { items, 2, true };
    struct sequence_choice c;
    assert_true(sequences_choose(&all, line, 40, -1, &c));
    assert_int_equal(c.seq, 1);
    assert_int_equal(c.keep, 0);
    assert_int_equal(c.copy_from, -1);
    finish(&all);
}

static void choose__continues_the_conversation_it_grew_from(void **state)
{
    (void)state;
    struct sequence items[2] = { made(line, 60, 50, 9), { .used_ms = 0 } };
    struct sequences all = { items, 2, true };
    struct sequence_choice c;
    assert_true(sequences_choose(&all, line, 100, -1, &c)); /* prompt, reply, and what was appended */
    assert_int_equal(c.seq, 0);
    assert_int_equal(c.keep, 60);
    finish(&all);
}

static void choose__continues_where_only_the_reply_differs(void **state)
{
    (void)state;
    int32_t prompt[80];
    for (int i = 0; i < 80; i++)
        prompt[i] = i < 55 ? i : 1000 + i; /* the template drops the model's thoughts */
    struct sequence items[2] = { made(line, 60, 50, 9), { .used_ms = 0 } };
    struct sequences all = { items, 2, true };
    struct sequence_choice c;
    assert_true(sequences_choose(&all, prompt, 80, -1, &c));
    assert_int_equal(c.seq, 0);
    assert_int_equal(c.keep, 55);
    finish(&all);
}

static void choose__copies_a_shared_beginning_and_leaves_its_owner_alone(void **state)
{
    (void)state;
    int32_t prompt[120];
    for (int i = 0; i < 120; i++)
        prompt[i] = i < 64 ? i : 5000 + i; /* same system prompt, another task */
    struct sequence items[2] = { made(line, 150, 140, 9), { .used_ms = 0 } };
    struct sequences all = { items, 2, true };
    struct sequence_choice c;
    assert_true(sequences_choose(&all, prompt, 120, -1, &c));
    assert_int_equal(c.seq, 1);
    assert_int_equal(c.copy_from, 0);
    assert_int_equal(c.keep, 64);
    all.can_copy = false;
    assert_true(sequences_choose(&all, prompt, 120, -1, &c));
    assert_int_equal(c.seq, 1);
    assert_int_equal(c.copy_from, -1);
    assert_int_equal(c.keep, 0);
    finish(&all);
}

static void choose__copies_from_a_busy_sequence(void **state)
{
    (void)state;
    struct sequence items[2] = { made(line, 150, 140, 9), { .used_ms = 0 } };
    items[0].busy = true;
    struct sequences all = { items, 2, true };
    struct sequence_choice c;
    assert_true(sequences_choose(&all, line, 100, -1, &c));
    assert_int_equal(c.seq, 1);
    assert_int_equal(c.copy_from, 0);
    assert_int_equal(c.keep, 99);
    finish(&all);
}

static void choose__evicts_the_one_unused_for_longest(void **state)
{
    (void)state;
    struct sequence items[3] = { made(line + 10, 20, 10, 30), made(line + 40, 20, 10, 10), made(line + 70, 20, 10, 20) };
    struct sequences all = { items, 3, true };
    struct sequence_choice c;
    assert_true(sequences_choose(&all, line + 100, 50, -1, &c));
    assert_int_equal(c.seq, 1);
    items[1].busy = true;
    assert_true(sequences_choose(&all, line + 100, 50, -1, &c));
    assert_int_equal(c.seq, 2);
    finish(&all);
}

static void choose__waits_when_all_are_busy_or_the_wanted_one_is(void **state)
{
    (void)state;
    struct sequence items[2] = { { .busy = true }, { .busy = false } };
    struct sequences all = { items, 2, true };
    struct sequence_choice c;
    assert_false(sequences_choose(&all, line, 10, 0, &c));
    assert_true(sequences_choose(&all, line, 10, 1, &c));
    assert_int_equal(c.seq, 1);
    items[1].busy = true;
    assert_false(sequences_choose(&all, line, 10, -1, &c));
}

static void choose__always_leaves_a_token_to_evaluate(void **state)
{
    (void)state;
    struct sequence items[1] = { made(line, 50, 50, 1) };
    struct sequences all = { items, 1, true };
    struct sequence_choice c;
    assert_true(sequences_choose(&all, line, 50, -1, &c));
    assert_int_equal(c.keep, 49);
    assert_true(sequences_choose(&all, line, 20, -1, &c));
    assert_int_equal(c.keep, 19);
    finish(&all);
}

int main(void)
{
    fill_line();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choose__takes_an_empty_sequence_first),
        cmocka_unit_test(choose__continues_the_conversation_it_grew_from),
        cmocka_unit_test(choose__continues_where_only_the_reply_differs),
        cmocka_unit_test(choose__copies_a_shared_beginning_and_leaves_its_owner_alone),
        cmocka_unit_test(choose__copies_from_a_busy_sequence),
        cmocka_unit_test(choose__evicts_the_one_unused_for_longest),
        cmocka_unit_test(choose__waits_when_all_are_busy_or_the_wanted_one_is),
        cmocka_unit_test(choose__always_leaves_a_token_to_evaluate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
