/* Commands: status, streams, input, caps, time, background, terminal, environment. */
#include "place.h"

static struct place P;

static int setup(void **state)
{
    (void)state;
    place_make(&P);
    place_start(&P);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    place_remove(&P);
    return 0;
}

static int run(const struct sandbox_exec *x, struct buf *out, struct sandbox_result *r)
{
    return sandbox_exec(P.sb, x, out, r, NULL, &P.e);
}
#define ARGV(...) (const char *const[]){ __VA_ARGS__, NULL }

static void exec__passes_status_and_signal(void **state)
{
    struct sandbox_result r;
    (void)state;
    assert_ok(run(&(struct sandbox_exec){ .argv = ARGV("sh", "-c", "exit 42") }, NULL, &r), &P.e);
    assert_int_equal(r.status, 42);
    assert_ok(run(&(struct sandbox_exec){ .argv = ARGV("sh", "-c", "kill -TERM $$") }, NULL, &r), &P.e);
    assert_int_equal(r.status, 128 + 15);
}

static void exec__tells_a_missing_program_from_one_that_fails(void **state)
{
    struct sandbox_result r;
    (void)state;
    assert_int_equal(run(&(struct sandbox_exec){ .argv = ARGV("no-such-program") }, NULL, &r), -ERR_NOT_FOUND);
    assert_contains(P.e.text, "no-such-program");
    assert_int_equal(run(&(struct sandbox_exec){ .argv = ARGV("/etc/passwd") }, NULL, &r), -ERR_DENIED);
    assert_int_equal(run(&(struct sandbox_exec){ .argv = ARGV("true"), .cwd = "no/such/dir" }, NULL, &r), -ERR_NOT_FOUND);
    assert_int_equal(shell(&P, "exit 127", NULL), 127);
}

static void exec__starts_in_the_workspace_at_its_own_path(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    assert_int_equal(shell(&P, "pwd; cat a.txt", &out), 0);
    assert_contains(buf_str(&out), P.ws);
    assert_contains(buf_str(&out), "alpha");
}

struct streams {
    struct buf s[3];
};

static void on_output(void *ctx, int stream, struct span data)
{
    struct streams *s = ctx;
    buf_add_span(&s->s[stream], data);
}

static void exec__keeps_streams_apart_and_streams_them(void **state)
{
    struct streams s = { { BUF_INIT(0), BUF_INIT(4096), BUF_INIT(4096) } };
    struct sandbox_result r;
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("sh", "-c", "echo out; echo err >&2"), .on_output = on_output, .ctx = &s };
    assert_ok(run(&x, NULL, &r), &P.e);
    assert_string_equal(buf_str(&s.s[1]), "out\n");
    assert_string_equal(buf_str(&s.s[2]), "err\n");
    buf_finish(&s.s[1]);
    buf_finish(&s.s[2]);
}

static void exec__merges_in_true_order(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    assert_int_equal(shell(&P, "for i in 1 2 3; do echo o$i; echo e$i >&2; done", &out), 0);
    assert_string_equal(buf_str(&out), "o1\ne1\no2\ne2\no3\ne3\n");
}

static void exec__feeds_input_of_any_size(void **state)
{
    AUTO(buf) struct buf in = BUF_INIT(8 << 20), out = BUF_INIT(4096);
    struct sandbox_result r;
    (void)state;
    for (int i = 0; i < 300000; i++)
        buf_addf(&in, "line %d\n", i);
    struct sandbox_exec x = { .argv = ARGV("wc", "-lc"), .stdin_data = buf_span(&in), .timeout_ms = 30000 };
    assert_ok(run(&x, &out, &r), &P.e);
    char want[64];
    (void)snprintf(want, sizeof want, " 300000 %zu", in.n);
    assert_contains(buf_str(&out), want);
}

static void exec__without_input_reads_end_of_file(void **state)
{
    (void)state;
    assert_int_equal(shell(&P, "cat; read x; [ $? = 1 ]", NULL), 0);
}

static void exec__ignores_input_that_nobody_reads(void **state)
{
    AUTO(buf) struct buf in = BUF_INIT(2 << 20);
    struct sandbox_result r;
    (void)state;
    while (in.n < 1 << 20)
        buf_adds(&in, "0123456789abcdef");
    assert_ok(run(&(struct sandbox_exec){ .argv = ARGV("true"), .stdin_data = buf_span(&in) }, NULL, &r), &P.e);
    assert_int_equal(r.status, 0);
}

static void exec__caps_output_keeps_head_and_tail_and_spills_the_whole(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(1 << 20), spilled = BUF_INIT(16 << 20);
    struct sandbox_result r;
    struct sandbox_stat st;
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("seq", "1", "200000"), .out_cap_bytes = 4096, .merge = true };
    assert_ok(run(&x, &out, &r), &P.e);
    assert_true(r.truncated);
    assert_true(out.n < 4096 + 300);
    assert_memory_equal(out.p, "1\n2\n3\n", 6);
    assert_contains(buf_str(&out), "\n199999\n200000\n");
    assert_contains(buf_str(&out), "left out");
    assert_ok(sandbox_read(P.sb, r.spill_path, 0, 16 << 20, &spilled, &st, &P.e), &P.e);
    assert_int_equal(spilled.n, r.out_bytes);
    assert_int_equal(st.size, r.out_bytes);
}

static void exec__exactly_at_the_cap_is_whole(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    struct sandbox_result r;
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("sh", "-c", "head -c 1000 /dev/zero | tr '\\0' x"), .out_cap_bytes = 1000, .merge = true };
    assert_ok(run(&x, &out, &r), &P.e);
    assert_false(r.truncated);
    assert_int_equal(out.n, 1000);
}

static void exec__kills_at_the_deadline(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    struct sandbox_result r;
    int64_t start = clock_ms();
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("sh", "-c", "trap '' TERM INT HUP; echo begun; sleep 30 & while :; do :; done"), .timeout_ms = 300 };
    assert_ok(run(&x, &out, &r), &P.e);
    assert_true(r.timed_out);
    assert_int_equal(r.status, 137);
    assert_string_equal(buf_str(&out), "begun\n");
    assert_true(clock_ms() - start < 5000);
}

static void exec__ends_with_what_it_left_in_its_group(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    int64_t start = clock_ms();
    (void)state;
    assert_int_equal(shell(&P, "sleep 60 & echo done", &out), 0);
    assert_true(clock_ms() - start < 5000);
    assert_int_equal(shell(&P, "! pgrep sleep", NULL), 0);
}

static void on_stop(void *ctx)
{
    cancel_raise(ctx, "test");
}

static void exec__is_cancelled(void **state)
{
    struct cancel cancel = { 0 };
    struct sandbox_result r;
    (void)state;
    struct loop_source *t = loop_timer(P.loop, 100, false, on_stop, &cancel);
    assert_int_equal(sandbox_exec(P.sb, &(struct sandbox_exec){ .argv = ARGV("sleep", "60") }, NULL, &r, &cancel, &P.e), -ERR_CANCELLED);
    loop_remove(t);
    assert_int_equal(shell(&P, "sleep 0.1; ! pgrep sleep", NULL), 0);
}

static void jobs__run_at_once(void **state)
{
    struct sandbox_job *jobs[5];
    int64_t start = clock_ms();
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_ok(sandbox_job_start(P.sb, &(struct sandbox_exec){ .argv = ARGV("sh", "-c", "sleep 0.5; echo ok") }, NULL, NULL, &jobs[i], &P.e), &P.e);
    for (int i = 0; i < 5; i++) {
        bool done = false;
        while (!sandbox_job_done(jobs[i])) {
            int r = loop_wait(P.loop, &done, clock_ms() + 10, NULL, &P.e);
            assert_true(r == -ERR_TIMEOUT || r >= 0);
        }
        assert_string_equal(sandbox_job_output(jobs[i]).p, "ok\n");
        sandbox_job_destroy(jobs[i]);
    }
    assert_true(clock_ms() - start < 2400);
}

static void background__runs_on_and_ends_by_kill(void **state)
{
    struct sandbox_result r, now;
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("sh", "-c", "echo up; exec sleep 60"), .background = true, .merge = true };
    assert_ok(run(&x, NULL, &r), &P.e);
    assert_true(r.job > 0);
    assert_int_equal(sandbox_background(P.sb, r.job, &now, &P.e), 0);
    for (int i = 0; i < 100 && !out.n; i++) {
        assert_int_equal(shell(&P, "sleep 0.02", NULL), 0);
        assert_ok(sandbox_read(P.sb, r.spill_path, 0, 100, &out, NULL, &P.e), &P.e);
    }
    assert_string_equal(buf_str(&out), "up\n");
    assert_ok(sandbox_kill(P.sb, r.job, &P.e), &P.e);
    int ended = 0;
    for (int i = 0; i < 1000 && ended == 0; i++) {
        (void)usleep(5000);
        ended = sandbox_background(P.sb, r.job, &now, &P.e);
    }
    assert_int_equal(ended, 1);
    assert_int_equal(now.status, 137);
    assert_int_equal(sandbox_kill(P.sb, 12345, &P.e), -ERR_NOT_FOUND);
}

static void tty__is_its_own(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    struct sandbox_result r;
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("sh", "-c", "tty; stty size; test -t 0 && test -t 1 && echo yes"), .tty = true, .rows = 33, .cols = 99 };
    assert_ok(run(&x, &out, &r), &P.e);
    assert_contains(buf_str(&out), "/dev/pts/0");
    assert_contains(buf_str(&out), "33 99");
    assert_contains(buf_str(&out), "yes");
}

static void environment__is_an_allow_list(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(16384);
    struct sandbox_result r;
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("env"), .env = ARGV("ADDED=1", "TMPDIR=/tmp/x") };
    assert_ok(run(&x, &out, &r), &P.e);
    assert_contains(buf_str(&out), "ADDED=1\n");
    assert_contains(buf_str(&out), "TMPDIR=/tmp/x\n");
    assert_contains(buf_str(&out), "KEPT=kept\n");
    assert_contains(buf_str(&out), "GIVEN=given\n");
    assert_null(strstr(buf_str(&out), "SECRET")); /* nor LC_SECRET */
    assert_contains(buf_str(&out), "LC_TIME=C\n");
    assert_null(strstr(buf_str(&out), "TMPDIR=/tmp\n"));
}

static int setup_environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("SECRET", "hidden", 1) | setenv("KEPT", "kept", 1), 0);
    assert_int_equal(setenv("LC_SECRET", "hidden", 1) | setenv("LC_TIME", "C", 1), 0);
    place_make(&P);
    P.spec.env = ARGV("GIVEN=given");
    P.spec.env_keep = ARGV("KEPT", "NOT_SET_AT_ALL");
    place_start(&P);
    return 0;
}

static void arguments__may_be_large(void **state)
{
    AUTO(buf) struct buf arg = BUF_INIT(1 << 20), out = BUF_INIT(4096);
    struct sandbox_result r;
    (void)state;
    while (arg.n < 100000)
        buf_adds(&arg, "0123456789");
    struct sandbox_exec x = { .argv = ARGV("sh", "-c", "printf %s \"$1\" | wc -c", "sh", buf_str(&arg)) };
    assert_ok(run(&x, &out, &r), &P.e);
    assert_string_equal(buf_str(&out), "100000\n");
}

static void on_accept(void *ctx, int fd, uint16_t port)
{
    int *count = ctx;
    (void)!write(fd, port == 8123 ? "hello from outside" : "?", 18);
    (void)close(fd);
    ++*count;
}

static void forward__hands_connections_out(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    int count = 0;
    (void)state;
    assert_ok(sandbox_forward(P.sb, 8123, on_accept, &count, &P.e), &P.e);
    assert_int_equal(shell(&P, "python3 -c 'import socket; s = socket.create_connection((\"127.0.0.1\", 8123)); print(s.recv(100))'", &out), 0);
    assert_contains(buf_str(&out), "hello from outside");
    assert_int_equal(count, 1);
}

static void pause__stops_and_resume_continues(void **state)
{
    struct sandbox_result r;
    struct sandbox_stat a, b;
    (void)state;
    struct sandbox_exec x = { .argv = ARGV("sh", "-c", "while :; do echo x; sleep 0.01; done >> grows"), .background = true };
    assert_ok(run(&x, NULL, &r), &P.e);
    assert_int_equal(shell(&P, "while ! [ -s grows ]; do sleep 0.01; done", NULL), 0);
    assert_ok(sandbox_pause(P.sb, &P.e), &P.e);
    assert_ok(sandbox_stat(P.sb, "grows", &a, &P.e), &P.e);
    (void)usleep(100000);
    assert_ok(sandbox_stat(P.sb, "grows", &b, &P.e), &P.e);
    assert_int_equal(a.size, b.size);
    assert_ok(sandbox_resume(P.sb, &P.e), &P.e);
    for (int i = 0; i < 200 && b.size == a.size; i++) {
        (void)usleep(10000);
        assert_ok(sandbox_stat(P.sb, "grows", &b, &P.e), &P.e);
    }
    assert_true(b.size > a.size);
}

static void pause__holds_those_who_continue_each_other(void **state)
{
    struct sandbox_result r;
    struct sandbox_stat a, b;
    static const char script[] = "import os, signal\n"
                                 "out = os.open('pings', os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
                                 "for i in range(3): os.fork()\n"
                                 "while True:\n"
                                 "    try: os.kill(-1, signal.SIGCONT)\n"
                                 "    except OSError: pass\n"
                                 "    os.write(out, b'x')\n";
    (void)state;
    assert_ok(run(&(struct sandbox_exec){ .argv = ARGV("python3", "-c", script), .background = true }, NULL, &r), &P.e);
    assert_int_equal(shell(&P, "while ! [ -s pings ]; do sleep 0.01; done", NULL), 0);
    for (int i = 0; i < 5; i++) {
        assert_ok(sandbox_pause(P.sb, &P.e), &P.e);
        assert_ok(sandbox_stat(P.sb, "pings", &a, &P.e), &P.e);
        (void)usleep(50000);
        assert_ok(sandbox_stat(P.sb, "pings", &b, &P.e), &P.e);
        assert_int_equal(a.size, b.size);
        assert_ok(sandbox_resume(P.sb, &P.e), &P.e);
    }
}

static void exceptions__are_named_holes(void **state)
{
    (void)state;
    assert_contains(sandbox_hint(P.sb, SPAN("warning: ptrace: Operation not permitted\n")), "--allow ptrace");
    assert_contains(sandbox_hint(P.sb, SPAN("x: No usable sandbox! If")), "--allow userns");
    assert_null(sandbox_hint(P.sb, SPAN("Operation not permitted")));
    assert_int_not_equal(shell(&P, "unshare -Ur true 2>/dev/null", NULL), 0);
    sandbox_destroy(P.sb);
    P.sb = NULL;
    P.spec.exceptions = SANDBOX_ALLOW_USERNS | SANDBOX_ALLOW_PTRACE;
    place_start(&P);
    assert_int_equal(shell(&P, "unshare -Ur true", NULL), 0);
    assert_null(sandbox_hint(P.sb, SPAN("warning: ptrace: Operation not permitted\n")));
}

static void objects_of_system_v__go_with_the_last_process(void **state)
{
    static const char make[] = "perl -e 'defined shmget(7, 4096, 01600) && defined semget(8, 10, 01600) && defined msgget(9, 01600) or die'";
    static const char count[] = "cat /proc/sysvipc/* | wc -l"; /* three headings */
    struct sandbox_result r;
    AUTO(buf) struct buf before = BUF_INIT(4096), after = BUF_INIT(4096);
    (void)state;
    assert_ok(run(&(struct sandbox_exec){ .argv = ARGV("sleep", "100"), .background = true }, NULL, &r), &P.e);
    int64_t job = r.job;
    assert_int_equal(shell(&P, make, NULL), 0);
    assert_int_equal(shell(&P, count, &before), 0); /* somebody runs who may want them */
    assert_string_equal(buf_str(&before), "6\n");
    assert_ok(sandbox_kill(P.sb, job, &P.e), &P.e);
    while (sandbox_background(P.sb, job, &r, &P.e) == 0)
        usleep(1000);
    assert_int_equal(shell(&P, count, &after), 0);
    assert_string_equal(buf_str(&after), "3\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(exec__passes_status_and_signal), T(exec__tells_a_missing_program_from_one_that_fails),
        T(exec__starts_in_the_workspace_at_its_own_path), T(exec__keeps_streams_apart_and_streams_them), T(exec__merges_in_true_order),
        T(exec__feeds_input_of_any_size), T(exec__without_input_reads_end_of_file), T(exec__ignores_input_that_nobody_reads),
        T(exec__caps_output_keeps_head_and_tail_and_spills_the_whole), T(exec__exactly_at_the_cap_is_whole), T(exec__kills_at_the_deadline),
        T(exec__ends_with_what_it_left_in_its_group), T(exec__is_cancelled), T(jobs__run_at_once), T(background__runs_on_and_ends_by_kill),
        T(objects_of_system_v__go_with_the_last_process),
        T(tty__is_its_own), cmocka_unit_test_setup_teardown(environment__is_an_allow_list, setup_environment, teardown),
        T(arguments__may_be_large), T(forward__hands_connections_out), T(pause__stops_and_resume_continues), T(pause__holds_those_who_continue_each_other), T(exceptions__are_named_holes),
    };
    return cmocka_run_group_tests_name("sandbox/run", tests, NULL, NULL);
}
