/* Writers that are killed at random moments: what was acknowledged is there, nothing is torn, numbers have no gaps. */
#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"

#define KILLS 120
#define WRITERS 3

static char dir[64], path[128];

#define OK(call)                               \
    do {                                       \
        if ((call) < 0)                        \
            fail_msg("%s: %s", #call, e.text); \
    } while (0)

struct ack { /* what a writer tells after each append, over a pipe */
    int64_t seq;
    char session[ID_SIZE];
    struct hash_hex blob;
};

/* Appends of every kind until killed: single, in a transaction, with blobs small and large. */
static void write_forever(int out, unsigned seed)
{
    struct err e = ERR_INIT;
    struct journal *j;
    struct journal_session s = { .workspace = "/w" };
    struct ack ack = { 0 };
    AUTO(buf) struct buf data = BUF_INIT(1 << 20);
    if (journal_open(path, JOURNAL_CREATE, &j, &e) < 0 || journal_session_start(j, &s, &e) < 0) {
        print_error("%s\n", e.text);
        _exit(1);
    }
    memcpy(ack.session, s.id, sizeof s.id);
    for (unsigned i = seed;; i++) {
        size_t n = i % 50 == 0 ? 300000 : i % 7 * 1000;
        buf_reset(&data);
        buf_addf(&data, "%u %s ", i, s.id);
        while (data.n < n)
            buf_addf(&data, "%u filler ", i);
        if (journal_blob_put(j, buf_span(&data), &ack.blob, &e) < 0)
            break;
        AUTO(buf) struct buf m = BUF_INIT(1000);
        buf_addf(&m, "{\"n\":%u,\"blob\":\"%s\"}", i, ack.blob.s);
        bool together = i % 5 == 0;
        if (together && (journal_begin(j, &e) < 0 || journal_append(j, s.id, "text", buf_span(&m), NULL, &e) < 0))
            break;
        if (journal_append(j, s.id, i % 3 ? "step" : "text", buf_span(&m), &ack.seq, &e) < 0)
            break;
        if (together && journal_commit(j, &e) < 0)
            break;
        if (write_all(out, &ack, sizeof ack) < 0)
            break;
    }
    print_error("writer: %s\n", e.text);
    _exit(1);
}

struct writer {
    pid_t pid;
    int in;
    unsigned seed;
    int64_t kill_at;
};

static void writer_start(struct writer *w, int n)
{
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    w->seed = (unsigned)n * 1000003u;
    w->kill_at = clock_us() + 1000 + (int64_t)((unsigned)rand_r(&w->seed) % 40000); // NOLINT: a test's dice
    w->pid = fork();
    assert_true(w->pid >= 0);
    if (w->pid == 0) {
        (void)close(p[0]);
        write_forever(p[1], (unsigned)n * 1000);
    }
    (void)close(p[1]);
    w->in = p[0];
}

struct reading {
    int64_t last;
    bool gap;
};

static int check_order(void *ctx, const struct journal_event *ev)
{
    struct reading *r = ctx;
    if (ev->seq != r->last + 1)
        r->gap = true;
    r->last = ev->seq;
    return 0;
}

/* What the killed writer had acknowledged, against what a fresh reader finds. */
static int64_t writer_check(struct writer *w)
{
    struct err e = ERR_INIT;
    struct ack ack, last = { 0 };
    while (read(w->in, &ack, sizeof ack) == (ssize_t)sizeof ack)
        last = ack;
    (void)close(w->in);
    if (!last.seq)
        return 0; /* killed before its first append */
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_READ, &j, &e));
    struct reading r = { 0, false };
    OK(journal_read(j, last.session, 0, check_order, &r, &e));
    assert_false(r.gap);
    assert_true(r.last >= last.seq);
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    OK(journal_blob_get(j, last.blob.s, 1 << 20, &b, &e));
    return last.seq;
}

static void kill__loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct writer w[WRITERS];
    int started = 0, killed = 0;
    int64_t acknowledged = 0;
    for (int i = 0; i < WRITERS; i++)
        writer_start(&w[i], started++);
    while (killed < KILLS) {
        for (int i = 0; i < WRITERS; i++) {
            if (clock_us() < w[i].kill_at)
                continue;
            assert_int_equal(kill(w[i].pid, SIGKILL), 0);
            int status;
            assert_int_equal(waitpid(w[i].pid, &status, 0), w[i].pid);
            assert_true(WIFSIGNALED(status)); /* it was still writing, not failed */
            killed++;
            acknowledged += writer_check(&w[i]);
            writer_start(&w[i], started++);
        }
        (void)usleep(200);
    }
    for (int i = 0; i < WRITERS; i++) {
        (void)kill(w[i].pid, SIGKILL);
        (void)waitpid(w[i].pid, NULL, 0);
        (void)close(w[i].in);
    }
    AUTO(journal) struct journal *j = NULL;
    OK(journal_open(path, JOURNAL_WRITE, &j, &e));
    struct journal_check c;
    OK(journal_check(j, &c, &e));
    assert_string_equal(c.problem, "");
    assert_true(acknowledged > KILLS);
    assert_true(c.events >= acknowledged);
    print_message("%d writers killed, %lld appends acknowledged, %lld events sound\n", killed, (long long)acknowledged,
                  (long long)c.events);
}

/* The first programs to use a directory make its journal together: each finds one that is its own. */
static void a_new_journal__is_made_by_several_at_once(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    for (int round = 0; round < 60; round++) {
        char fresh[128];
        pid_t pids[4];
        (void)snprintf(fresh, sizeof fresh, "%s/new-%d.db", dir, round);
        for (size_t i = 0; i < COUNT_OF(pids); i++) {
            pids[i] = fork();
            assert_true(pids[i] >= 0);
            if (pids[i] == 0) {
                struct journal *j;
                struct journal_session s = { .workspace = "/w" };
                int r = journal_open(fresh, JOURNAL_CREATE, &j, &e);
                if (r == 0)
                    r = journal_session_start(j, &s, &e);
                if (r < 0)
                    print_error("%s\n", e.text);
                _exit(r < 0);
            }
        }
        int failed = 0;
        for (size_t i = 0; i < COUNT_OF(pids); i++) {
            int status = 0;
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            failed += status != 0;
        }
        assert_int_equal(failed, 0);
    }
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/stead-kill-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof path, "%s/journal.db", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    return path_remove_tree(AT_FDCWD, dir, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_journal__is_made_by_several_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(kill__loses_nothing_that_was_acknowledged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
