/* The end of the harness, however it comes: nothing inside lives on. */
#include "place.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

static struct place P;

/* Processes whose environment carries the mark. */
static int marked(const char *mark)
{
    int n = 0;
    DIR *d = opendir("/proc");
    struct dirent *de;
    while (d && (de = readdir(d))) {
        char path[300];
        struct err ignored;
        AUTO(buf) struct buf b = BUF_INIT(1 << 20);
        if (de->d_name[0] < '0' || de->d_name[0] > '9')
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", de->d_name);
        if (file_read(path, 1 << 20, &b, &ignored) >= 0 && span_find(buf_span(&b), span_of(mark)) >= 0)
            n++;
    }
    if (d)
        (void)closedir(d);
    return n;
}

/* A process that holds a sandbox with busy, daemonized and stopped processes in it, killed `after_ms` later. */
static void killed_after(int after_ms)
{
    char mark[40], script[400];
    (void)snprintf(mark, sizeof mark, "7%d%04d", (int)getpid(), after_ms);
    (void)snprintf(script, sizeof script,
                   "trap '' HUP TERM INT; sleep %s & setsid sleep %s & (setsid sh -c 'trap \"\" HUP; sleep %s; sleep %s' &) ; "
                   "sleep %s & kill -STOP $!; while :; do :; done",
                   mark, mark, mark, mark, mark);
    pid_t pid = fork();
    if (pid == 0) {
        struct sandbox_result r;
        struct sandbox_exec x = { .argv = (const char *const[]){ "sh", "-c", script, NULL } };
        place_start(&P);
        (void)!sandbox_exec(P.sb, &x, NULL, &r, NULL, &P.e);
        _exit(0);
    }
    (void)usleep((useconds_t)after_ms * 1000);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    int64_t until = clock_ms() + 500;
    int left;
    while ((left = marked(mark)) && clock_ms() < until)
        (void)usleep(5000);
    assert_int_equal(left, 0);
}

static void sigkill__leaves_no_process_after_half_a_second(void **state)
{
    static const int moments[] = { 1, 3, 5, 8, 12, 20, 50, 100, 200, 400 };
    (void)state;
    place_make(&P);
    place_start(&P); /* skips here where it cannot work */
    sandbox_destroy(P.sb);
    P.sb = NULL;
    for (size_t i = 0; i < COUNT_OF(moments); i++)
        killed_after(moments[i]);
    assert_ok(sandbox_sweep(P.dir, &P.e), &P.e);
    place_remove(&P);
}

static void destroy__leaves_no_process_at_all(void **state)
{
    char script[200];
    struct sandbox_job *job;
    (void)state;
    place_make(&P);
    place_start(&P);
    (void)snprintf(script, sizeof script, "setsid sleep 8%d & sleep 8%d", (int)getpid(), (int)getpid());
    assert_ok(sandbox_job_start(P.sb, &(struct sandbox_exec){ .argv = (const char *const[]){ "sh", "-c", script, NULL } }, NULL, NULL, &job, &P.e), &P.e);
    (void)snprintf(script, sizeof script, "8%d", (int)getpid());
    for (int i = 0; i < 200 && marked(script) < 2; i++)
        (void)usleep(10000);
    assert_true(marked(script) >= 2);
    sandbox_destroy(P.sb);
    P.sb = NULL;
    assert_int_equal(marked(script), 0);
    struct sandbox_result r;
    assert_true(sandbox_job_done(job));
    assert_int_equal(sandbox_job_result(job, &r, &P.e), -ERR_UNAVAILABLE);
    sandbox_job_destroy(job);
    place_remove(&P);
}

static void helper_killed__is_an_error_not_a_hang(void **state)
{
    struct sandbox_result r;
    (void)state;
    place_make(&P);
    place_start(&P);
    (void)kill(sandbox_pid(P.sb), SIGKILL);
    struct sandbox_exec x = { .argv = (const char *const[]){ "sleep", "60", NULL } };
    assert_int_equal(sandbox_exec(P.sb, &x, NULL, &r, NULL, &P.e), -ERR_UNAVAILABLE);
    assert_false(sandbox_alive(P.sb));
    AUTO(buf) struct buf out = BUF_INIT(100);
    assert_int_equal(sandbox_read(P.sb, "a.txt", 0, 10, &out, NULL, &P.e), -ERR_UNAVAILABLE);
    place_remove(&P);
}

static void check__says_what_there_is(void **state)
{
    struct sandbox_report report;
    (void)state;
    place_make(&P);
    assert_ok(sandbox_check(P.loop, &report, &P.e), &P.e);
    assert_true(report.nwalls >= 8);
    for (size_t i = 0; i < report.nwalls; i++) {
        assert_true(report.walls[i].name[0] && report.walls[i].rests_on[0]);
        if (!report.walls[i].available && report.walls[i].required)
            assert_true(report.walls[i].remedy[0]);
    }
    place_remove(&P);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigkill__leaves_no_process_after_half_a_second),
        cmocka_unit_test(destroy__leaves_no_process_at_all),
        cmocka_unit_test(helper_killed__is_an_error_not_a_hang),
        cmocka_unit_test(check__says_what_there_is),
    };
    return cmocka_run_group_tests_name("sandbox/survive", tests, NULL, NULL);
}
