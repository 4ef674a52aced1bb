#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <unistd.h>

#include "inference/spare.h"

static void spare__reads_the_number_of_runnable_threads(void **state)
{
    (void)state;
    assert_int_equal(spare_runnable(SPAN("0.20 0.18 0.12 1/80 11206\n")), 1);
    assert_int_equal(spare_runnable(SPAN("10.20 0.18 0.12 37/2080 11206\n")), 37);
    assert_int_equal(spare_runnable(SPAN("0.20 0.18 0.12 0/80 11206\n")), -1); /* we run, so it is made up */
    assert_int_equal(spare_runnable(SPAN("0.20 0.18 0.12 x/80 11206\n")), -1);
    assert_int_equal(spare_runnable(SPAN("0.20 0.18")), -1);
    assert_int_equal(spare_runnable(SPAN("")), -1);
}

static void spare__counts_no_more_cores_than_there_are(void **state)
{
    (void)state;
    struct spare s = SPARE_INIT;
    int n = spare_cores(&s);
    assert_true(n >= -1 && n < (int)sysconf(_SC_NPROCESSORS_ONLN));
    spare_finish(&s);
    assert_int_equal(s.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spare__reads_the_number_of_runnable_threads),
        cmocka_unit_test(spare__counts_no_more_cores_than_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
