#include "inference/turns.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"

struct world {
    char dir[64];
    struct loop *loop;
    struct err e;
    char said[200];
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct err e = ERR_INIT;
    assert_non_null(w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/stead-turns-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(loop_create(&w->loop, &e), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    struct err e = ERR_INIT;
    assert_int_equal(path_remove_tree(AT_FDCWD, w->dir, &e), 0);
    loop_destroy(w->loop);
    free(w);
    return 0;
}

static void on_wait(void *ctx, const char *why)
{
    struct world *w = ctx;
    (void)snprintf(w->said, sizeof w->said, "%s", why);
}

static struct turns *join(struct world *w, int64_t slots, bool cpu, int64_t patience_ms)
{
    const struct turns_options o = { .loop = w->loop, .dir = w->dir, .url = "http://127.0.0.1:8080/v1", .slots = slots, .cpu = cpu,
                                     .patience_ms = patience_ms, .on_wait = on_wait, .ctx = w };
    struct turns *t = NULL;
    assert_int_equal(turns_create(&o, &t, &w->e), 0);
    return t;
}

static void end_request(void *ctx)
{
    turns_request_end(ctx);
}

static void end_work(void *ctx)
{
    turns_work_end(ctx);
}

static void home__is_nobody_elses_while_there_are_enough(void **state)
{
    struct world *w = *state;
    AUTO(turns) struct turns *b = NULL, *c = NULL, *d = NULL;
    struct turns *a = join(w, 2, false, 0);
    b = join(w, 2, false, 0);
    assert_int_equal(turns_home(a), 0);
    assert_int_equal(turns_home(b), 1);
    c = join(w, 2, false, 0); /* shares one */
    assert_in_range(turns_home(c), 0, 1);
    turns_destroy(a);
    d = join(w, 2, false, 0);
    assert_int_equal(turns_home(d), 0);
    AUTO(turns) struct turns *unknown = join(w, 0, false, 0);
    assert_int_equal(turns_home(unknown), -1);
    assert_int_equal(turns_home(NULL), -1);
}

static void request__waits_for_the_only_place(void **state)
{
    struct world *w = *state;
    AUTO(turns) struct turns *a = join(w, 1, false, 0), *b = join(w, 1, false, 0);
    assert_int_equal(turns_request_begin(a, NULL, &w->e), 0);
    int64_t from = clock_ms();
    (void)loop_timer(w->loop, 400, false, end_request, a);
    assert_int_equal(turns_request_begin(b, NULL, &w->e), 0);
    assert_true(clock_ms() - from >= 390);
    assert_string_equal(w->said, "waiting for another run's reply");
    struct cancel cancel = { 0 };
    cancel_raise(&cancel, "enough");
    assert_int_equal(turns_request_begin(a, &cancel, &w->e), -ERR_CANCELLED);
    turns_request_end(b);
    assert_int_equal(turns_request_begin(a, NULL, &w->e), 0);
    turns_request_end(a);
}

static void place__is_free_when_its_holder_is_killed(void **state)
{
    struct world *w = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct turns *a = join(w, 1, true, 0);
        bool held = turns_request_begin(a, NULL, &w->e) == 0 && write(ready[1], "x", 1) == 1;
        while (held)
            (void)pause();
        _exit(1);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    AUTO(turns) struct turns *b = join(w, 1, true, 0);
    assert_true(turns_busy(b));
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(turns_busy(b));
    assert_int_equal(turns_request_begin(b, NULL, &w->e), 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

static void gates_and_requests__wait_for_each_other_on_a_cpu(void **state)
{
    struct world *w = *state;
    AUTO(turns) struct turns *a = join(w, 2, true, 5000), *b = join(w, 2, true, 5000);
    assert_int_equal(turns_request_begin(a, NULL, &w->e), 0);
    int64_t from = clock_ms();
    (void)loop_timer(w->loop, 100, false, end_request, a);
    assert_int_equal(turns_work_begin(b, NULL, &w->e), 0); /* alone now */
    assert_true(clock_ms() - from >= 90);
    from = clock_ms();
    (void)loop_timer(w->loop, 100, false, end_work, b);
    assert_int_equal(turns_request_begin(a, NULL, &w->e), 0);
    assert_true(clock_ms() - from >= 90);
    turns_request_end(a);
    AUTO(turns) struct turns *gpu = join(w, 2, false, 5000); /* its requests do not touch this CPU */
    assert_int_equal(turns_request_begin(gpu, NULL, &w->e), 0);
    assert_int_equal(turns_work_begin(b, NULL, &w->e), 0);
    turns_work_end(b);
}

static void patience__ends_and_is_not_spent_twice(void **state)
{
    struct world *w = *state;
    AUTO(turns) struct turns *a = join(w, 2, true, 150), *b = join(w, 2, true, 150);
    assert_int_equal(turns_request_begin(a, NULL, &w->e), 0);
    int64_t from = clock_ms();
    assert_int_equal(turns_work_begin(b, NULL, &w->e), 1); /* beside it */
    assert_true(clock_ms() - from >= 150);
    turns_work_end(b);
    from = clock_us();
    assert_int_equal(turns_work_begin(b, NULL, &w->e), 1);
    assert_true(clock_us() - from < 140000);
}

static void nobody_waits__where_no_file_can_be_made(void **state)
{
    struct world *w = *state;
    struct turns *list[2];
    for (int i = 0; i < 2; i++) {
        const struct turns_options o = { .loop = w->loop, .dir = "/proc/none", .url = "unix:///x", .slots = 1, .cpu = true };
        assert_int_equal(turns_create(&o, &list[i], &w->e), 0);
        assert_int_equal(turns_request_begin(list[i], NULL, &w->e), 0);
    }
    assert_int_equal(turns_work_begin(list[0], NULL, &w->e), 0);
    turns_destroy(list[0]);
    turns_destroy(list[1]);
    assert_int_equal(turns_request_begin(NULL, NULL, &w->e), 0);
    turns_request_end(NULL);
    turns_work_end(NULL);
    turns_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(home__is_nobody_elses_while_there_are_enough, setup, teardown),
        cmocka_unit_test_setup_teardown(request__waits_for_the_only_place, setup, teardown),
        cmocka_unit_test_setup_teardown(place__is_free_when_its_holder_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(gates_and_requests__wait_for_each_other_on_a_cpu, setup, teardown),
        cmocka_unit_test_setup_teardown(patience__ends_and_is_not_spent_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_waits__where_no_file_can_be_made, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
