#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "inference/engine/pace.h"

/* A machine whose time for one batch depends on the number of threads: run it for a while. */
struct machine {
    int64_t us[17]; /* by threads */
    int64_t now_us;
    int64_t batches[17];
    bool idle; /* what /proc says of the other cores */
};

static void run(struct machine *m, struct pace *p, int64_t for_us)
{
    int64_t end = m->now_us + for_us;
    while (m->now_us < end) {
        if (pace_asks(p, m->now_us))
            pace_hint(p, m->idle, m->now_us);
        int n = pace_threads(p, m->now_us);
        m->now_us += m->us[n];
        m->batches[n]++;
        pace_note(p, n, 1, m->us[n], m->now_us);
    }
}

static void pace__stays_with_all_threads_when_they_pay(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 8000, [2] = 4200, [4] = 2300 } };
    struct pace p;
    pace_init(&p, 4, 6, false);
    run(&m, &p, 60000000);
    assert_int_equal(pace_threads(&p, m.now_us), 4);
    /* trying costs less than one part in a hundred of the time */
    int64_t lost = m.batches[2] * (m.us[2] - m.us[4]) + m.batches[1] * (m.us[1] - m.us[4]);
    assert_true(lost < 600000);
    assert_true(m.batches[4] > 20000);
}

static void pace__goes_down_when_the_cores_are_wanted_elsewhere(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 5000, [2] = 70000 } };
    struct pace p;
    pace_init(&p, 2, 6, false);
    run(&m, &p, 10000000);
    assert_int_equal(p.threads[p.level], 1);
    assert_true(m.batches[1] > 50 * m.batches[2]);
}

static void pace__notices_contention_that_begins_and_that_ends(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 8000, [2] = 4200 } };
    struct pace p;
    pace_init(&p, 2, 6, false);
    run(&m, &p, 5000000);
    assert_int_equal(p.threads[p.level], 2);
    m.us[1] = 9000, m.us[2] = 60000; /* a build begins */
    run(&m, &p, 3000000);
    assert_int_equal(p.threads[p.level], 1);
    m.us[1] = 8000, m.us[2] = 4200; /* and ends */
    run(&m, &p, 12000000);
    assert_int_equal(p.threads[p.level], 2);
}

static void pace__goes_down_more_than_one_step(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 4000, [2] = 9000, [4] = 20000, [8] = 50000 } };
    struct pace p;
    pace_init(&p, 8, 1, false);
    run(&m, &p, 10000000);
    assert_int_equal(p.threads[p.level], 1);
}

static void pace__begins_small_and_grows_where_it_pays(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 400, [2] = 230, [4] = 150 } };
    struct pace p;
    pace_init(&p, 4, 6, true);
    assert_int_equal(pace_threads(&p, 0), 1);
    run(&m, &p, 6000000);
    assert_int_equal(p.threads[p.level], 4);
    m = (struct machine){ .us = { [1] = 400, [2] = 420, [4] = 500 } };
    pace_init(&p, 4, 6, true);
    run(&m, &p, 20000000);
    assert_int_equal(p.threads[p.level], 1);
    assert_true(m.batches[2] + m.batches[4] < m.batches[1] / 100);
}

static void pace__goes_up_at_once_when_cores_are_idle(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 8000, [2] = 60000 }, .idle = false };
    struct pace p;
    pace_init(&p, 2, 6, false);
    run(&m, &p, 30000000);
    assert_int_equal(p.threads[p.level], 1);
    assert_true(p.up_wait_us >= 8000000); /* it would wait long by itself */
    m.us[2] = 4200, m.idle = true; /* the build has ended */
    run(&m, &p, 2300000);
    assert_int_equal(p.threads[p.level], 2);
}

static void pace__loses_little_where_idle_cores_are_not_ours(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 8000, [2] = 40000 }, .idle = true };
    struct pace p;
    pace_init(&p, 2, 6, false);
    run(&m, &p, 60000000);
    assert_int_equal(p.threads[p.level], 1);
    assert_true(m.batches[2] * m.us[2] < 6000000); /* a tenth of the time */
}

static void pace__is_not_misled_by_one_slow_batch(void **state)
{
    (void)state;
    struct pace p;
    int64_t now = 0;
    pace_init(&p, 2, 6, true);
    for (int i = 0; i < 4000 && p.threads[p.level] == 1; i++) {
        int n = pace_threads(&p, now);
        int64_t us = n == 1 ? 1000 : p.tried == 3 ? 2500 : 550; /* the scheduler took a core away for one batch */
        now += us;
        pace_note(&p, n, 1, us, now);
    }
    for (int i = 0; i < 30; i++) {
        int n = pace_threads(&p, now);
        now += n == 1 ? 1000 : 550;
        pace_note(&p, n, 1, n == 1 ? 1000 : 550, now);
    }
    assert_int_equal(p.threads[p.level], 2);
    assert_true(now < 1000000);
}

/* Batches of one reply, now and then one that the scheduler held up: how many were computed with fewer threads. */
static int64_t fewer_in_noise(struct pace *p, int64_t us_two, int64_t us_one, int batches)
{
    int64_t now = 0, fewer = 0;
    for (int i = 0; i < batches; i++) {
        int n = pace_threads(p, now);
        int64_t us = n == 1 ? us_one : us_two;
        if (i % 17 == 16)
            us *= 10;
        else if (i % 5 == 4)
            us = us * 3 / 2;
        now += us;
        fewer += n == 1;
        pace_note(p, n, 1, us, now);
    }
    return fewer;
}

/* Every trial computes some tokens at half the speed: a noisy machine must not make one after the other. */
static void pace__is_not_driven_to_trials_by_noise(void **state)
{
    (void)state;
    struct pace p;
    pace_init(&p, 2, 0, false);
    assert_true(fewer_in_noise(&p, 2500, 5000, 4000) <= 40);
    pace_init(&p, 2, 6, false);
    assert_true(fewer_in_noise(&p, 2500, 5000, 4000) <= 40);
}

static void pace__tries_nothing_in_the_first_replies_where_cores_are_idle(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 40000, [2] = 21000 } };
    struct pace p;
    pace_init(&p, 2, 0, false);
    for (int reply = 0; reply < 3; reply++) {
        run(&m, &p, 2000000);
        m.now_us += 40000000; /* the tools' time: no reason to doubt what was found */
    }
    assert_int_equal(m.batches[1], 0);
}

/* A context that fills makes every batch slower, with any number of threads. */
static void pace__does_not_take_a_long_context_for_contention(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 8000, [2] = 4200 } };
    struct pace p;
    pace_init(&p, 2, 0, false);
    for (int i = 0; i < 120; i++) {
        run(&m, &p, 1000000);
        m.us[1] += 80, m.us[2] += 42;
    }
    assert_int_equal(p.threads[p.level], 2);
    assert_true(m.batches[1] * m.us[1] < 1500000); /* of two minutes */
}

static void pace__tries_long_batches_rarely(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 2000000, [2] = 1050000 } };
    struct pace p;
    pace_init(&p, 2, 0, false);
    run(&m, &p, 600000000);
    assert_true(m.batches[1] > 0 && m.batches[1] <= 4);
    assert_int_equal(p.threads[p.level], 2);
}

static void pace__has_nothing_to_try_with_one_thread(void **state)
{
    (void)state;
    struct machine m = { .us = { [1] = 4000 } };
    struct pace p;
    pace_init(&p, 1, 1, false);
    run(&m, &p, 2000000);
    assert_int_equal(pace_threads(&p, m.now_us), 1);
    pace_init(&p, 0, 1, false);
    assert_int_equal(pace_threads(&p, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pace__stays_with_all_threads_when_they_pay),
        cmocka_unit_test(pace__goes_down_when_the_cores_are_wanted_elsewhere),
        cmocka_unit_test(pace__notices_contention_that_begins_and_that_ends),
        cmocka_unit_test(pace__goes_down_more_than_one_step),
        cmocka_unit_test(pace__begins_small_and_grows_where_it_pays),
        cmocka_unit_test(pace__goes_up_at_once_when_cores_are_idle),
        cmocka_unit_test(pace__loses_little_where_idle_cores_are_not_ours),
        cmocka_unit_test(pace__is_not_misled_by_one_slow_batch),
        cmocka_unit_test(pace__is_not_driven_to_trials_by_noise),
        cmocka_unit_test(pace__tries_nothing_in_the_first_replies_where_cores_are_idle),
        cmocka_unit_test(pace__does_not_take_a_long_context_for_contention),
        cmocka_unit_test(pace__tries_long_batches_rarely),
        cmocka_unit_test(pace__has_nothing_to_try_with_one_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
