#include "report/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void near(double a, double b)
{
    if (!(fabs(a - b) < 5e-4))
        fail_msg("%f is not %f", a, b);
}

/* Reference values: Wilson's interval as in Brown, Cai, DasGupta 2001; computed with scipy's proportion_ci(method='wilson'). */
static void rate_of__has_wilsons_interval(void **state)
{
    (void)state;
    struct rate r = rate_of(30, 60);
    near(r.value, 0.5);
    near(r.low, 0.3774);
    near(r.high, 0.6226);
    r = rate_of(0, 10);
    near(r.low, 0);
    near(r.high, 0.2775);
    r = rate_of(10, 10);
    near(r.low, 0.7225);
    near(r.high, 1);
    r = rate_of(0, 0);
    assert_true(isnan(r.value) && isnan(r.low) && isnan(r.high));
}

static void quantile__is_linear_between_neighbours(void **state)
{
    (void)state;
    double v[] = { 4, 1, 3, 2 };
    near(quantile(v, 4, 0.5), 2.5);
    near(quantile(v, 4, 0), 1);
    near(quantile(v, 4, 1), 4);
    near(quantile(v, 1, 0.95), 1);
    assert_true(isnan(quantile(v, 0, 0.5)));
}

/* Freireich's remission times under 6-MP (weeks; Cox 1972, Kaplan-Meier's textbook case): median 23. */
static void survival_of__agrees_with_the_textbook(void **state)
{
    (void)state;
    struct survival_point p[] = { { 6, 1 }, { 6, 1 }, { 6, 1 }, { 6, 0 }, { 7, 1 }, { 9, 0 }, { 10, 1 }, { 10, 0 }, { 11, 0 }, { 13, 1 }, { 16, 1 },
                                  { 17, 0 }, { 19, 0 }, { 20, 0 }, { 22, 1 }, { 23, 1 }, { 25, 0 }, { 32, 0 }, { 32, 0 }, { 34, 0 }, { 35, 0 } };
    struct survival s = survival_of(p, sizeof p / sizeof p[0]);
    assert_int_equal(s.n, 21);
    assert_int_equal(s.events, 9);
    near(s.median, 23);
    near(s.low, 13);
    assert_true(isnan(s.high));
    near(s.open_share, 0.4482);
}

static void survival_of__does_not_invent_a_median(void **state)
{
    (void)state;
    struct survival_point censored[] = { { 1, 0 }, { 2, 0 } };
    struct survival s = survival_of(censored, 2);
    assert_true(isnan(s.median));
    assert_int_equal(s.events, 0);
    s = survival_of(NULL, 0);
    assert_int_equal(s.n, 0);
    struct survival_point one[] = { { 5, 1 } };
    near(survival_of(one, 1).median, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rate_of__has_wilsons_interval),
        cmocka_unit_test(quantile__is_linear_between_neighbours),
        cmocka_unit_test(survival_of__agrees_with_the_textbook),
        cmocka_unit_test(survival_of__does_not_invent_a_median),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
