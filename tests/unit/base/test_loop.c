#include "support/test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/loop.h"

struct state {
    struct loop *loop;
    struct loop_source *source;
    bool done;
    int count;
    struct cancel cancel;
};

static void set_done(void *ctx)
{
    struct state *s = ctx;
    s->done = true;
}

static void loop_wait__ends_on_done_deadline_and_cancel(void **unused)
{
    struct state s = { 0 };
    struct err e = ERR_INIT;
    (void)unused;
    assert_ok(loop_create(&s.loop, &e), &e);
    assert_non_null(loop_timer(s.loop, 5, false, set_done, &s));
    assert_int_equal(loop_wait(s.loop, &s.done, 0, NULL, &e), 0);
    s.done = false;
    assert_int_equal(loop_wait(s.loop, &s.done, clock_ms() + 10, NULL, &e), -ERR_TIMEOUT);
    assert_string_equal(e.text, "time limit passed");
    cancel_raise(&s.cancel, "interrupted");
    assert_int_equal(loop_wait(s.loop, &s.done, 0, &s.cancel, &e), -ERR_CANCELLED);
    assert_string_equal(e.text, "interrupted");
    loop_destroy(s.loop);
}

static void remove_self(void *ctx, int fd, unsigned events)
{
    struct state *s = ctx;
    (void)fd;
    assert_int_equal(events, LOOP_READ);
    s->count++;
    loop_remove(s->source);
    loop_remove(s->source); /* twice is quiet */
    s->done = true;
}

static void loop_remove__is_legal_in_its_own_callback(void **unused)
{
    struct state s = { 0 };
    struct err e = ERR_INIT;
    int p[2];
    (void)unused;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_ok(loop_create(&s.loop, &e), &e);
    s.source = loop_fd(s.loop, p[0], LOOP_READ, remove_self, &s);
    assert_ok(loop_wait(s.loop, &s.done, clock_ms() + 1000, NULL, &e), &e);
    loop_poll(s.loop); /* the byte is still there, the source is not */
    assert_int_equal(s.count, 1);
    loop_destroy(s.loop);
    close(p[0]);
    close(p[1]);
}

struct pair {
    struct loop_source *a, *b;
    int fired;
};

static void remove_both(void *ctx, int fd, unsigned events)
{
    struct pair *p = ctx;
    (void)fd;
    (void)events;
    p->fired++;
    loop_remove(p->a);
    loop_remove(p->b);
}

static void loop_remove__of_another_ready_source_stops_it(void **unused)
{
    struct loop *loop = NULL;
    struct err e = ERR_INIT;
    struct pair p = { 0 };
    int x[2], y[2];
    (void)unused;
    assert_int_equal(pipe(x), 0);
    assert_int_equal(pipe(y), 0);
    assert_int_equal(write(x[1], "x", 1) + write(y[1], "y", 1), 2);
    assert_ok(loop_create(&loop, &e), &e);
    p.a = loop_fd(loop, x[0], LOOP_READ, remove_both, &p);
    p.b = loop_fd(loop, y[0], LOOP_READ, remove_both, &p);
    loop_poll(loop);
    loop_poll(loop);
    assert_int_equal(p.fired, 1);
    loop_destroy(loop);
    close(x[0]), close(x[1]), close(y[0]), close(y[1]);
}

#define THREADS 4
#define POSTS 1000

static void add_one(void *ctx)
{
    struct state *s = ctx;
    if (++s->count == THREADS * POSTS)
        s->done = true;
}

static void *poster(void *ctx)
{
    struct state *s = ctx;
    for (int i = 0; i < POSTS; i++)
        if (loop_post(s->loop, add_one, s) < 0)
            return ctx;
    return NULL;
}

static void loop_post__works_from_many_threads(void **unused)
{
    struct state s = { 0 };
    struct err e = ERR_INIT;
    pthread_t t[THREADS];
    (void)unused;
    assert_ok(loop_create(&s.loop, &e), &e);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, poster, &s), 0);
    assert_ok(loop_wait(s.loop, &s.done, clock_ms() + 20000, NULL, &e), &e);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(s.count, THREADS * POSTS);
    loop_destroy(s.loop);
}

static void on_child(void *ctx, pid_t pid, int status)
{
    struct state *s = ctx;
    (void)pid;
    s->count = WEXITSTATUS(status);
    s->done = true;
}

static void loop_child__reports_the_exit_status_once(void **unused)
{
    struct state s = { 0 };
    struct err e = ERR_INIT;
    (void)unused;
    assert_ok(loop_create(&s.loop, &e), &e);
    pid_t pid = fork();
    if (pid == 0)
        _exit(7);
    assert_non_null(loop_child(s.loop, pid, on_child, &s));
    assert_ok(loop_wait(s.loop, &s.done, clock_ms() + 5000, NULL, &e), &e);
    assert_int_equal(s.count, 7);
    loop_destroy(s.loop);
}

static void on_signal(void *ctx, int signo)
{
    struct state *s = ctx;
    s->count = signo;
    s->done = true;
}

static void loop_signal__arrives_as_an_event(void **unused)
{
    struct state s = { 0 };
    struct err e = ERR_INIT;
    (void)unused;
    assert_ok(loop_create(&s.loop, &e), &e);
    assert_non_null(loop_signal(s.loop, SIGUSR1, on_signal, &s));
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_ok(loop_wait(s.loop, &s.done, clock_ms() + 5000, NULL, &e), &e);
    assert_int_equal(s.count, SIGUSR1);
    loop_destroy(s.loop);
}

static void tick(void *ctx)
{
    struct state *s = ctx;
    if (++s->count == 3)
        s->done = true;
}

static void loop_timer__repeats_when_asked(void **unused)
{
    struct state s = { 0 };
    struct err e = ERR_INIT;
    (void)unused;
    assert_ok(loop_create(&s.loop, &e), &e);
    assert_non_null(loop_timer(s.loop, 2, true, tick, &s));
    assert_ok(loop_wait(s.loop, &s.done, clock_ms() + 5000, NULL, &e), &e);
    assert_int_equal(s.count, 3);
    loop_destroy(s.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_wait__ends_on_done_deadline_and_cancel),
        cmocka_unit_test(loop_remove__is_legal_in_its_own_callback),
        cmocka_unit_test(loop_remove__of_another_ready_source_stops_it),
        cmocka_unit_test(loop_post__works_from_many_threads),
        cmocka_unit_test(loop_child__reports_the_exit_status_once),
        cmocka_unit_test(loop_signal__arrives_as_an_event),
        cmocka_unit_test(loop_timer__repeats_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
