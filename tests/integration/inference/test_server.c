/*
 * A llama-server of the user's under supervision: ready late, never, or not at all, killed, flooding its log, of another version.
 * tests/servers/llama-server.py plays it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "gguf-make.h"
#include "inference/server-log.h"
#include "inference/server.h"
#include "inference/supervisor.h"

#define WAIT_MS 60000

static char dir[] = "/tmp/stead-srv-XXXXXX", run[64], model[64];
static struct loop *loop;

static int set_up(void **state)
{
    struct err e = ERR_INIT;
    struct gguf_make m = GGUF_MAKE_LLAMA;
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(run, sizeof run, "%s/run", dir);
    (void)snprintf(model, sizeof model, "%s/m.gguf", dir);
    return gguf_make(&m, model, &e) < 0 ? -1 : loop_create(&loop, &e);
}

static int tear_down(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    loop_destroy(loop);
    return path_remove_tree(AT_FDCWD, dir, &e);
}

/* A program that plays this mode, as one file: its path belongs to the caller until the next call. */
static const char *program(const char *mode)
{
    static char path[128];
    static int n;
    char text[1024];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/server-%d", dir, n++);
    (void)snprintf(text, sizeof text, "#!/bin/sh\nexec python3 '%s' '%s' '%s.notes' \"$@\"\n", FAKE_SERVER, mode, path);
    assert_int_equal(file_write_atomic(path, span_of(text), 0755, false, &e), 0);
    return path;
}

static struct engine_options options(const char *mode)
{
    return (struct engine_options){ .dir = run, .model = model, .program = program(mode), .server = true, .start_ms = WAIT_MS };
}

/* What each start was told, a line each. */
static void read_notes(const char *path, struct buf *out)
{
    char notes[160];
    struct err e = ERR_INIT;
    (void)snprintf(notes, sizeof notes, "%s.notes", path);
    buf_reset(out);
    assert_int_equal(file_read(notes, out->limit, out, &e), 0);
}

static int count_lines(const struct buf *b)
{
    int n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += b->p[i] == '\n';
    return n;
}

static void on_pause(void *ctx)
{
    *(bool *)ctx = true;
}

static void pause_ms(int64_t ms)
{
    struct err e = ERR_INIT;
    bool over = false;
    assert_non_null(loop_timer(loop, ms, false, on_pause, &over));
    assert_int_equal(loop_wait(loop, &over, 0, NULL, &e), 0);
}

static void server__is_started_with_flags_and_adopted(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct engine_options o = options("slow");
    struct engine_address a;
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e) < 0)
        fail_msg("%s", e.text);
    assert_false(a.adopted);
    assert_int_equal(engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e), 0);
    assert_true(a.adopted);
    AUTO(buf) struct buf notes = BUF_INIT(64 << 10);
    read_notes(o.program, &notes);
    assert_int_equal(count_lines(&notes), 1);
    static const char *const wanted[] = { "\"-np\", \"2\"", "\"-c\", \"8192\"" /* 2 slots of the model's 4096 */, "\"-ctk\", \"f16\"", "\"--jinja\"", "\"-sps\"" };
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (!strstr(buf_str(&notes), wanted[i]))
            fail_msg("no %s in %s", wanted[i], buf_str(&notes));
    assert_true(server_stop(a.socket));
    assert_int_equal(access(a.socket, F_OK), -1);
}

static void server__that_dies_says_why(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct engine_options o = options("dies");
    struct engine_address a;
    assert_int_equal(engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e), -ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "ended with code 1"));
    assert_non_null(strstr(e.text, "unknown model architecture: 'xyz'"));
    assert_non_null(strstr(e.hint, "engine.log"));
    AUTO(buf) struct buf notes = BUF_INIT(64 << 10);
    read_notes(o.program, &notes);
    assert_int_equal(count_lines(&notes), 1); /* what ends by itself does so again */

    /* that one has ended says nothing of another, which listens late */
    o = options("late");
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(server_stop(a.socket));
}

static void server__killed_while_it_loads_is_started_again(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct engine_options o = options("killed");
    struct engine_address a;
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e) < 0)
        fail_msg("%s", e.text);
    AUTO(buf) struct buf notes = BUF_INIT(64 << 10);
    read_notes(o.program, &notes);
    assert_int_equal(count_lines(&notes), 3);
    assert_true(server_stop(a.socket));
}

static void server__does_without_flags_that_it_refuses(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct engine_options o = options("refuse=--sleep-idle-seconds+refuse=--no-webui");
    struct engine_address a;
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e) < 0)
        fail_msg("%s", e.text);
    AUTO(buf) struct buf notes = BUF_INIT(64 << 10);
    read_notes(o.program, &notes);
    assert_int_equal(count_lines(&notes), 3);
    const char *last = strrchr(buf_str(&notes), '[');
    assert_non_null(last);
    assert_null(strstr(last, "--no-webui"));
    assert_null(strstr(last, "--sleep-idle-seconds"));
    assert_non_null(strstr(last, "--jinja"));
    assert_true(server_stop(a.socket));

    o = options("refuse=--host"); /* nothing can be done without */
    assert_int_equal(engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e), -ERR_UNAVAILABLE);
    assert_non_null(strstr(e.text, "invalid argument: --host"));
    read_notes(o.program, &notes);
    assert_int_equal(count_lines(&notes), 1);
}

static void server__that_is_never_ready_is_ended(void **state)
{
    (void)state;
    static const char *const modes[] = { "never", "hang" };
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct err e = ERR_INIT;
        struct engine_options o = options(modes[i]);
        struct engine_address a;
        o.start_ms = 1500;
        assert_int_equal(engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e), -ERR_TIMEOUT);
        assert_non_null(strstr(e.text, "in time"));
        DIR *d = opendir(run);
        const struct dirent *entry;
        assert_non_null(d);
        while ((entry = readdir(d))) /* its socket went with it */
            assert_false(span_ends(span_of(entry->d_name), ".sock"));
        (void)closedir(d);
    }
}

static void server__that_is_something_else_is_told_apart(void **state)
{
    (void)state;
    static const char *const modes[] = { "garbage", "other" };
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct err e = ERR_INIT;
        struct engine_options o = options(modes[i]);
        struct engine_address a;
        assert_int_equal(engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e), -ERR_UNAVAILABLE);
        if (!strstr(e.text, "is not an inference server's"))
            fail_msg("%s: %s", modes[i], e.text);
    }
}

static void server__of_no_file_has_a_remedy(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct engine_options o = { .dir = run, .model = model, .program = "/no/such/llama-server", .server = true };
    struct engine_address a;
    assert_int_equal(engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e), -ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "/no/such/llama-server"));
    assert_non_null(strstr(e.hint, "inference.server"));
}

static int64_t size_of(const char *name)
{
    char path[160];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", run, name);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static void server__that_floods_its_log_keeps_it_bounded(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct engine_options o = options("flood");
    struct engine_address a;
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e) < 0)
        fail_msg("%s", e.text);
    int64_t end = clock_ms() + 2500;
    while (clock_ms() < end)
        pause_ms(50);
    assert_true(server_running(server_at(a.socket))); /* its output is read, not blocked */
    assert_true(size_of("engine.log") > 0);
    assert_true(size_of("engine.log") <= SERVER_LOG_MAX + (SERVER_LOG_MAX >> 3));
    assert_true(size_of("engine.log.1") <= SERVER_LOG_MAX + (SERVER_LOG_MAX >> 3));
    assert_true(server_stop(a.socket));
}

/* Two at once: the second waits for the first's server, though that listens late, and both use it. */
static void server__is_started_by_one_of_two(void **state)
{
    (void)state;
    struct engine_options o = options("late+slow");
    int up[2], go[2];
    pid_t pids[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(go), 0);
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            struct err e = ERR_INIT;
            struct loop *own = NULL;
            struct engine_address a;
            char word = 'x';
            (void)close(go[1]);
            if (loop_create(&own, &e) == 0 && engine_ensure_with(own, &o, NULL, NULL, NULL, &a, &e) == 0)
                word = a.adopted ? 'a' : 's';
            (void)!write(up[1], &word, 1);
            (void)!read(go[0], &word, 1); /* until both are there: a server ends with who started it */
            _exit(0);
        }
    }
    char words[3] = "";
    for (int i = 0; i < 2; i++)
        assert_int_equal(read(up[0], words + i, 1), 1);
    for (int i = 0; i < 2; i++)
        (void)close(up[i]), (void)close(go[i]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    if (!(strchr(words, 'a') && strchr(words, 's')))
        fail_msg("'%s'", words);
    AUTO(buf) struct buf notes = BUF_INIT(64 << 10);
    read_notes(o.program, &notes);
    assert_int_equal(count_lines(&notes), 1);
}

static void on_progress(void *ctx, const char *what, double done)
{
    (void)done;
    if (strstr(what, "keeps ending"))
        *(bool *)ctx = true;
}

/* It ends with who started it, which is no reason to make the next one wait. */
static void server__of_one_run_after_the_other_does_not_wait(void **state)
{
    (void)state;
    struct engine_options o = options("ready");
    for (int i = 0; i < 4; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct err e = ERR_INIT;
            struct loop *own = NULL;
            struct engine_address a;
            bool waited = false;
            int rc = loop_create(&own, &e) < 0 ? -1 : engine_ensure_with(own, &o, on_progress, &waited, NULL, &a, &e);
            _exit(rc == 0 && !waited && !a.adopted ? 0 : 1);
        }
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

static void log__survives_two_writers_and_strange_files(void **state)
{
    (void)state;
    char path[160], old[170];
    (void)snprintf(path, sizeof path, "%s/two.log", dir);
    (void)snprintf(old, sizeof old, "%s.1", path);
    AUTO(server_log) struct server_log *a = server_log_create(path);
    AUTO(server_log) struct server_log *b = server_log_create(path);
    AUTO(buf) struct buf much = BUF_INIT(1 << 20);
    struct stat st;
    for (int i = 0; i < 200 << 10; i++)
        buf_addc(&much, i % 80 ? 'y' : '\n');
    for (int i = 0; i < 3; i++) { /* more than a second's share each: the rest is left out */
        server_log_add(a, buf_span(&much));
        server_log_add(b, buf_span(&much));
    }
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size <= 2 * SERVER_LOG_SECOND);

    (void)snprintf(path, sizeof path, "%s/link.log", dir); /* not written through a link, and no reason to stop */
    assert_int_equal(symlink("/dev/null", path), 0);
    AUTO(server_log) struct server_log *c = server_log_create(path);
    server_log_add(c, SPAN("a line\nerror: invalid argument: --n"));
    server_log_add(c, SPAN("o-webui\nerror: later\n"));
    char flag[64];
    assert_true(server_log_refused(c, flag, sizeof flag));
    assert_string_equal(flag, "--no-webui");
    assert_string_equal(server_log_words(c), "error: invalid argument: --no-webui");
    server_log_forget(c);
    assert_false(server_log_refused(c, flag, sizeof flag));
    server_log_add(c, SPAN("error while handling argument \"-ctk\": Unsupported cache type: iq4_nl\n"));
    assert_true(server_log_refused(c, flag, sizeof flag));
    assert_string_equal(flag, "-ctk");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server__is_started_with_flags_and_adopted),
        cmocka_unit_test(server__that_dies_says_why),
        cmocka_unit_test(server__killed_while_it_loads_is_started_again),
        cmocka_unit_test(server__does_without_flags_that_it_refuses),
        cmocka_unit_test(server__that_is_never_ready_is_ended),
        cmocka_unit_test(server__that_is_something_else_is_told_apart),
        cmocka_unit_test(server__of_no_file_has_a_remedy),
        cmocka_unit_test(server__that_floods_its_log_keeps_it_bounded),
        cmocka_unit_test(server__is_started_by_one_of_two),
        cmocka_unit_test(server__of_one_run_after_the_other_does_not_wait),
        cmocka_unit_test(log__survives_two_writers_and_strange_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
