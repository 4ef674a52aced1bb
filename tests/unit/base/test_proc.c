#include "support/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"

static struct loop *loop;

static int setup(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    return loop_create(&loop, &e);
}

static int teardown(void **state)
{
    (void)state;
    loop_destroy(loop);
    return 0;
}

static const char *const env[] = { "PATH=/usr/bin:/bin", "X=1", NULL };

static int run(const char *script, struct proc **p, struct err *e)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    struct proc_spec spec = { .argv = argv, .env = env, .in = PROC_NULL, .out = PROC_PIPE, .err = PROC_PIPE, .out_cap_bytes = 1000 };
    return proc_start(loop, &spec, p, e);
}

static void proc_wait__gives_status_and_both_streams(void **state)
{
    struct err e = ERR_INIT;
    AUTO(proc) struct proc *p = NULL;
    int status = -1;
    (void)state;
    assert_ok(run("echo out; echo err >&2; echo $X; exit 3", &p, &e), &e);
    assert_ok(proc_wait(p, clock_ms() + 5000, NULL, &status, &e), &e);
    assert_int_equal(status, 3);
    assert_true(span_eqs(proc_output(p, 1), "out\n1\n"));
    assert_true(span_eqs(proc_output(p, 2), "err\n"));
}

static void proc_start__reports_a_missing_program_as_an_error(void **state)
{
    struct err e = ERR_INIT;
    struct proc *p = NULL;
    const char *const argv[] = { "/no/such/program", NULL };
    const struct proc_spec spec = { .argv = argv, .out = PROC_NULL, .err = PROC_NULL };
    (void)state;
    assert_int_equal(proc_start(loop, &spec, &p, &e), -ERR_NOT_FOUND);
    assert_contains(e.text, "cannot start '/no/such/program': No such file");
    assert_null(p);
    const struct proc_spec lost = { .argv = (const char *const[]){ "true", NULL }, .env = env, .cwd = "/no/dir", .out = PROC_NULL, .err = PROC_NULL };
    assert_int_equal(proc_start(loop, &lost, &p, &e), -ERR_NOT_FOUND);
    assert_contains(e.text, "/no/dir");
}

static void proc_wait__kills_the_whole_group_at_the_deadline(void **state)
{
    struct err e = ERR_INIT;
    AUTO(proc) struct proc *p = NULL;
    int status = 0;
    int64_t began = clock_ms();
    (void)state;
    assert_ok(run("sleep 30 & echo $!; wait", &p, &e), &e);
    assert_int_equal(proc_wait(p, clock_ms() + 200, NULL, &status, &e), -ERR_TIMEOUT);
    assert_int_equal(status, 128 + SIGKILL);
    assert_true(clock_ms() - began < 5000);
    char pid[16] = { 0 };
    struct span out = span_trim(proc_output(p, 1));
    memcpy(pid, out.p, out.n < 15 ? out.n : 15);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%s/stat", pid);
    for (int i = 0; i < 100; i++) { /* a zombie of init for a moment at most */
        AUTO(buf) struct buf b = BUF_INIT(4096);
        struct err ignored = ERR_INIT;
        if (file_read(path, 4096, &b, &ignored) < 0 || strstr(buf_str(&b), ") Z"))
            return;
        usleep(10000);
    }
    fail_msg("the grandchild %s is alive", pid);
}

static void proc__keeps_no_more_than_its_cap_and_counts_the_rest(void **state)
{
    struct err e = ERR_INIT;
    AUTO(proc) struct proc *p = NULL;
    int status = -1;
    (void)state;
    assert_ok(run("head -c 100000 /dev/zero", &p, &e), &e);
    assert_ok(proc_wait(p, clock_ms() + 5000, NULL, &status, &e), &e);
    assert_int_equal(proc_output(p, 1).n, 1000);
    assert_int_equal(proc_output_total(p, 1), 100000);
}

static void proc__passes_only_what_the_spec_names(void **state)
{
    struct err e = ERR_INIT;
    AUTO(proc) struct proc *p = NULL;
    int status = -1, leak = open("/dev/null", O_RDONLY); /* not close-on-exec, on purpose */
    (void)state;
    assert_true(leak > 2);
    AUTO(fd) int given = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const char *const argv[] = { "/bin/ls", "/proc/self/fd", NULL };
    const struct proc_fd fds[] = { { 9, given } };
    const struct proc_spec spec = { .argv = argv, .env = env, .out = PROC_PIPE, .err = PROC_PIPE, .fds = fds, .nfds = 1 };
    assert_ok(proc_start(loop, &spec, &p, &e), &e);
    assert_ok(proc_wait(p, clock_ms() + 5000, NULL, &status, &e), &e);
    assert_true(span_eqs(proc_output(p, 1), "0\n1\n2\n3\n9\n")); /* 3 is ls's own view of the directory */
    close(leak);
}

static void proc_capture__fails_with_the_last_line_of_stderr(void **state)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(1000);
    const char *const good[] = { "echo", "hi", NULL }, *const bad[] = { "sh", "-c", "echo a >&2; echo broken >&2; exit 4", NULL };
    (void)state;
    assert_ok(proc_capture(loop, good, env, 100, 5000, &b, &e), &e);
    assert_string_equal(buf_str(&b), "hi\n");
    assert_int_equal(proc_capture(loop, bad, env, 100, 5000, &b, &e), -ERR_IO);
    assert_string_equal(e.text, "'sh' failed with status 4: broken");
}

static void proc_wait__is_ended_by_cancel(void **state)
{
    struct err e = ERR_INIT;
    AUTO(proc) struct proc *p = NULL;
    struct cancel cancel = { 0 };
    int status = 0;
    (void)state;
    assert_ok(run("sleep 30", &p, &e), &e);
    cancel_raise(&cancel, "interrupted");
    assert_int_equal(proc_wait(p, 0, &cancel, &status, &e), -ERR_CANCELLED);
    assert_false(proc_running(p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proc_wait__gives_status_and_both_streams),
        cmocka_unit_test(proc_start__reports_a_missing_program_as_an_error),
        cmocka_unit_test(proc_wait__kills_the_whole_group_at_the_deadline),
        cmocka_unit_test(proc__keeps_no_more_than_its_cap_and_counts_the_rest),
        cmocka_unit_test(proc__passes_only_what_the_spec_names),
        cmocka_unit_test(proc_capture__fails_with_the_last_line_of_stderr),
        cmocka_unit_test(proc_wait__is_ended_by_cancel),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
