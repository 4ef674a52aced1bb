#include "support/test.h"

#include "agent/repeat.h"
#include "base/mem.h"

static void repeat__warns_then_stops_on_equal_pairs(void **state)
{
    (void)state;
    struct repeat r = { 0 };
    static const enum repeat_verdict want[] = { REPEAT_OK, REPEAT_OK, REPEAT_OK, REPEAT_OK, REPEAT_WARN, REPEAT_OK, REPEAT_OK, REPEAT_STOP };
    for (size_t i = 0; i < COUNT_OF(want); i++)
        assert_int_equal(repeat_add(&r, "shell", SPAN("{\"command\":\"true\"}"), SPAN("[exit 0]"), true), want[i]);
    assert_int_equal(r.count, 8);
}

static void repeat__a_failure_counts_double(void **state)
{
    (void)state;
    struct repeat r = { 0 };
    static const enum repeat_verdict want[] = { REPEAT_OK, REPEAT_OK, REPEAT_WARN, REPEAT_STOP };
    for (size_t i = 0; i < COUNT_OF(want); i++)
        assert_int_equal(repeat_add(&r, "edit", SPAN("{}"), SPAN("error: no"), false), want[i]);
}

static void repeat__the_same_call_with_new_results_is_work(void **state)
{
    (void)state;
    struct repeat r = { 0 };
    for (int i = 0; i < 100; i++) {
        char out[32];
        (void)snprintf(out, sizeof out, "%d tests failed", 100 - i);
        assert_int_equal(repeat_add(&r, "shell", SPAN("make test"), span_of(out), true), REPEAT_OK);
    }
}

static void repeat__a_circle_of_several_calls_is_seen(void **state)
{
    (void)state;
    struct repeat r = { 0 };
    enum repeat_verdict v = REPEAT_OK;
    int n = 0;
    for (; v != REPEAT_STOP && n < 100; n++)
        v = repeat_add(&r, n % 2 ? "read" : "list", SPAN("{}"), SPAN("same"), true);
    assert_int_equal(n, 15);
    repeat_reset(&r);
    assert_int_equal(repeat_add(&r, "list", SPAN("{}"), SPAN("same"), true), REPEAT_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeat__warns_then_stops_on_equal_pairs),
        cmocka_unit_test(repeat__a_failure_counts_double),
        cmocka_unit_test(repeat__the_same_call_with_new_results_is_work),
        cmocka_unit_test(repeat__a_circle_of_several_calls_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
