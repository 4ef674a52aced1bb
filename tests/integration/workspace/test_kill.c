/*
 * An apply of many files is killed (SIGKILL) at random moments, and one of a few files at every system call. Each time,
 * the next start must leave the workspace either wholly as it was or wholly as approved, with no temporary file; and a
 * revert must bring all of it back. Then every system call that writes is made to fail once, as on a full or broken disk.
 */
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/unit/workspace/world.h"

#include "base/hash.h"
#include "workspace/apply.h"

#define FILES 60
#define FEW 6
#define KILLS_DEFAULT 200

static const char *all[] = { "*" };
static bool with_dirs = true; /* empty directories count too: not where a failing rmdir may leave one */

static void path_of(char out[64], int i)
{
    (void)snprintf(out, 64, "d%d/s%d/file%d.txt", i % 7, i % 3, i);
}

static void base_text(struct buf *b, int i)
{
    buf_reset(b);
    for (int k = 0; k < 50 + i; k++)
        buf_addf(b, "file %d line %d\n", i, k);
}

/* A third is modified, a third deleted, a third added, in directories of which some are new and some go. */
static void fill(struct world *w, int files)
{
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    char path[64];
    world_init(w);
    for (int i = 0; i < files; i++) {
        path_of(path, i);
        base_text(&b, i);
        if (i % 3 != 2)
            put(w->ws, path, buf_str(&b));
    }
    put(w->ws, "f2d", "a file that becomes a directory\n");
    put_bytes(w->ws, "mode", "#!/bin/sh\n", 10, 0644);
    world_layer(w);
    for (int i = 0; i < files; i++) {
        path_of(path, i);
        base_text(&b, i);
        buf_addf(&b, "and what the task wrote\n");
        if (i % 3 == 1)
            whiteout(w->upper, path);
        else
            put(w->upper, path, buf_str(&b));
    }
    put(w->upper, "f2d/below", "below\n");
    put_bytes(w->upper, "mode", "#!/bin/sh\n", 10, 0755);
}

/* A hash of every name, mode and content below a directory; temporaries of ours make the test fail. */
static void tree_hash(const char *dir, const char *prefix, struct hash_state *st)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        AUTO(ptr) char *p = in(dir, name), *sub = NULL;
        struct stat s;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || lstat(p, &s) < 0)
            goto next;
        if (strncmp(name, ".stead-", 7) == 0)
            fail_msg("left behind: %s/%s", dir, name);
        assert_true(asprintf(&sub, "%s/%s %o", prefix, name, s.st_mode) > 0);
        if (with_dirs || !S_ISDIR(s.st_mode))
            hash_add(st, sub, strlen(sub));
        if (S_ISDIR(s.st_mode)) {
            tree_hash(p, sub, st);
        } else {
            AUTO(ptr) char *text = get(dir, name);
            hash_add(st, text, strlen(text));
        }
    next:
        free(names[i]);
    }
    free(names);
}

/* Names and modes, for a failure's message. */
static void show(const char *dir, const char *prefix)
{
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        AUTO(ptr) char *p = in(dir, names[i]->d_name), *sub = NULL;
        struct stat s;
        if (names[i]->d_name[0] != '.' && lstat(p, &s) == 0 && asprintf(&sub, "%s/%s", prefix, names[i]->d_name) > 0) {
            print_message("  %s %o %lld\n", sub, s.st_mode, (long long)s.st_size);
            if (S_ISDIR(s.st_mode))
                show(p, sub);
        }
        free(names[i]);
    }
    free(names);
}

static struct hash_hex tree_of(const char *dir)
{
    struct hash_state st;
    hash_begin(&st);
    tree_hash(dir, "", &st);
    return hash_end(&st);
}

static int apply_once(struct world *w, const struct change *c, struct apply_result *r)
{
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s, .guard_ok = { all, 1 } };
    int rc = apply_change(&opt, &a, r, &w->e);
    r->files = NULL;
    return rc;
}

static int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Run it in a child and kill that after delay_us; true when it was killed before its end. */
static bool killed(struct world *w, const struct change *c, int64_t delay_us, const char *revert)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct apply_result r;
        AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        int rc = revert ? apply_revert(w->state, revert, &a, &r, &w->e) : apply_once(w, c, &r);
        _exit(rc == 0 ? 0 : 1);
    }
    struct timespec t = { delay_us / 1000000, (delay_us % 1000000) * 1000 };
    int status;
    (void)nanosleep(&t, NULL);
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        fail_msg("the apply failed by itself");
    return WIFSIGNALED(status);
}

static void killed_at_any_moment__it_is_all_or_nothing(void **state)
{
    (void)state;
    struct world w;
    fill(&w, FILES);
    with_dirs = true;
    AUTO(change) struct change *c = world_change(&w);
    const char *env = getenv("STEAD_TEST_KILLS");
    int kills = env ? (int)strtol(env, NULL, 10) : KILLS_DEFAULT, hits = 0, done = 0, untouched = 0, tries = 0;
    struct hash_hex before = tree_of(w.ws);
    struct apply_result r;
    /* how long it takes undisturbed, and what the end looks like */
    int64_t began = now_us();
    assert_ok(apply_once(&w, c, &r), &w.e);
    int64_t takes = now_us() - began;
    struct hash_hex after = tree_of(w.ws);
    assert_string_not_equal(before.s, after.s);
    {
        AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
        assert_ok(apply_revert(w.state, r.id, &a, &r, &w.e), &w.e);
    }
    assert_string_equal(tree_of(w.ws).s, before.s);
    unsigned seed = (unsigned)now_us();
    bool applied = false;
    char last[ID_SIZE] = "";
    while (hits < kills && tries++ < kills * 6) {
        seed = seed * 1103515245u + 12345u;
        hits += killed(&w, c, (int64_t)((seed >> 8) % (unsigned)(takes * 5 / 4 + 1)), applied ? last : NULL);
        struct apply_resumed resumed;
        assert_ok(apply_resume(w.state, NULL, &resumed, &w.e), &w.e);
        if (resumed.unresolved)
            fail_msg("unresolved: %s", resumed.note);
        struct hash_hex now = tree_of(w.ws);
        bool is_before = strcmp(now.s, before.s) == 0, is_after = strcmp(now.s, after.s) == 0;
        if (!is_before && !is_after)
            fail_msg("kill %d: neither before nor after", hits);
        done += is_after;
        untouched += is_before;
        /* from applied the next one takes back, from untouched it applies */
        applied = is_after;
        if (applied) {
            AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
            struct apply_info *infos;
            size_t n;
            assert_ok(apply_list(w.state, &a, &infos, &n, &w.e), &w.e);
            last[0] = '\0';
            for (size_t i = 0; i < n; i++)
                if (*infos[i].change && strcmp(infos[i].status, "done") == 0)
                    memcpy(last, infos[i].id, sizeof last);
            assert_true(*last != '\0');
        }
    }
    print_message("%d kills in %d tries: %d ended applied, %d untouched; undisturbed %lld us\n", hits, tries, done,
                  untouched, (long long)takes);
    assert_true(hits >= kills);
    assert_true(kills < 50 || (done > 0 && untouched > 0));
    world_finish(&w);
}

/* --- at every system call --- */

enum trace_mode { TRACE_COUNT, TRACE_KILL, TRACE_FAIL };

#ifdef __x86_64__
static bool is_write(unsigned long long nr)
{
    static const long calls[] = { SYS_write, SYS_pwrite64, SYS_fsync, SYS_renameat2, SYS_renameat, SYS_rename, SYS_linkat,
                                  SYS_symlinkat, SYS_mkdirat, SYS_mkdir, SYS_fchmod, SYS_unlinkat, SYS_ftruncate };
    for (size_t i = 0; i < COUNT_OF(calls); i++)
        if ((long)nr == calls[i])
            return true;
    return false;
}

/*
 * Run the apply under ptrace. KILL: end it at the `at`th stop (calls have two). FAIL: the `at`th call that writes
 * fails with ENOSPC. Returns the stops (calls that write) seen; *status as of waitpid.
 */
static long traced(struct world *w, const struct change *c, enum trace_mode mode, long at, int *status)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct apply_result r;
        (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        (void)raise(SIGSTOP);
        _exit(apply_once(w, c, &r) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, status, 0), pid);
    assert_true(WIFSTOPPED(*status));
    long seen = 0;
    bool inside = false, failing = false;
    while (true) {
        if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0 || waitpid(pid, status, 0) != pid || !WIFSTOPPED(*status))
            return seen;
        struct user_regs_struct regs;
        inside = !inside;
        if (mode == TRACE_FAIL && ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0) {
            if (inside && is_write(regs.orig_rax) && ++seen == at) {
                regs.orig_rax = (unsigned long long)-1;
                failing = true;
                (void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
            } else if (!inside && failing) {
                regs.rax = (unsigned long long)-ENOSPC;
                failing = false;
                (void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
            }
        } else if (mode != TRACE_FAIL && ++seen == at) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, status, 0);
            return seen;
        }
    }
}

static void take_back(struct world *w)
{
    AUTO(arena) struct arena a = ARENA_INIT(64 << 20);
    struct apply_info *infos;
    struct apply_result r;
    size_t n;
    assert_ok(apply_list(w->state, &a, &infos, &n, &w->e), &w->e);
    for (size_t i = 0; i < n; i++)
        if (strcmp(infos[i].status, "done") == 0 && *infos[i].change)
            assert_ok(apply_revert(w->state, infos[i].id, &a, &r, &w->e), &w->e);
    /* the record of this round is of no further use */
    AUTO(ptr) char *applies = in(w->state, "applies");
    assert_ok(path_remove_tree(AT_FDCWD, applies, &w->e), &w->e);
}

static void at_every_call(enum trace_mode mode)
{
    struct world w;
    fill(&w, FEW);
    with_dirs = mode == TRACE_KILL;
    AUTO(change) struct change *c = world_change(&w);
    struct hash_hex before = tree_of(w.ws);
    struct apply_result r;
    assert_ok(apply_once(&w, c, &r), &w.e);
    struct hash_hex after = tree_of(w.ws);
    take_back(&w);
    assert_string_equal(tree_of(w.ws).s, before.s);
    int status, done = 0, untouched = 0;
    long n = traced(&w, c, mode == TRACE_KILL ? TRACE_COUNT : mode, 0, &status);
    assert_true(n > 50 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    take_back(&w);
    for (long at = 1; at <= n; at++) {
        (void)traced(&w, c, mode, at, &status);
        struct apply_resumed resumed;
        if (mode == TRACE_FAIL)
            assert_true(WIFEXITED(status));
        bool said_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        assert_ok(apply_resume(w.state, NULL, &resumed, &w.e), &w.e);
        if (resumed.unresolved)
            fail_msg("call %ld: unresolved: %s", at, resumed.note);
        struct hash_hex now = tree_of(w.ws);
        bool is_before = strcmp(now.s, before.s) == 0, is_after = strcmp(now.s, after.s) == 0;
        if (!is_before && !is_after) {
            show(w.ws, "");
            fail_msg("call %ld of %ld: neither before nor after; %zu completed, %zu reverted, %s", at, n,
                     resumed.completed, resumed.reverted, resumed.note);
        }
        if (said_done && !is_after)
            fail_msg("call %ld of %ld: said to be done, but is not", at, n);
        done += is_after;
        untouched += is_before;
        take_back(&w);
        if (strcmp(tree_of(w.ws).s, before.s) != 0) {
            show(w.ws, "");
            fail_msg("call %ld of %ld: not taken back", at, n);
        }
    }
    print_message("%ld calls: %d ended applied, %d untouched\n", n, done, untouched);
    assert_true(done > 0 && untouched > 0);
    world_finish(&w);
}
#endif

static void killed_at_every_system_call__it_is_all_or_nothing(void **state)
{
    (void)state;
#ifdef __x86_64__
    at_every_call(TRACE_KILL);
#else
    skip();
#endif
}

static void every_failing_write__leaves_all_or_nothing(void **state)
{
    (void)state;
#ifdef __x86_64__
    at_every_call(TRACE_FAIL);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_system_call__it_is_all_or_nothing),
        cmocka_unit_test(every_failing_write__leaves_all_or_nothing),
        cmocka_unit_test(killed_at_any_moment__it_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
