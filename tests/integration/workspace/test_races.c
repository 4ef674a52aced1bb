/*
 * Others act while we read or write: links swapped into the way, files replaced under our eyes, a user's editor that
 * saves at the wrong moment, a disk that is full.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "host.h"

#include "base/clock.h"
#include "workspace/apply.h"

#define ROUNDS 150

/* A child that calls step(ctx, n) until it is stopped. */
static pid_t meanwhile(void (*step)(void *ctx, unsigned n), void *ctx)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned n = 1;; n++)
            step(ctx, n);
    }
    return pid;
}

static void stop(pid_t pid)
{
    int status;
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int apply(struct world *w, const struct change *c, struct apply_result *r)
{
    static const char *all[] = { "*" };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    struct apply_options opt = { .state_dir = w->state, .change = c, .approved = c->hash.s, .guard_ok = { all, 1 } };
    int rc = apply_change(&opt, &a, r, &w->e);
    r->files = NULL;
    return rc;
}

struct paths {
    char *dir, *link;
};

/* dir <-> a link out, again and again */
static void swap_dir(void *ctx, unsigned n)
{
    const struct paths *p = ctx;
    struct timespec t = { 0, (long)(n * 7919 % 9) * 500000 };
    (void)renameat2(AT_FDCWD, p->dir, AT_FDCWD, p->link, RENAME_EXCHANGE);
    (void)nanosleep(&t, NULL);
    (void)renameat2(AT_FDCWD, p->dir, AT_FDCWD, p->link, RENAME_EXCHANGE);
    (void)nanosleep(&t, NULL);
}

static void a_directory_swapped_for_a_link__leads_nowhere(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "dir/a", "base\n");
    put(w.ws, "dir/gone", "to be deleted\n");
    put(w.dir, "outside/a", "base\n");
    put(w.dir, "outside/gone", "to be deleted\n");
    world_layer(&w);
    put(w.upper, "dir/a", "changed\n");
    put(w.upper, "dir/fresh", "new\n");
    whiteout(w.upper, "dir/gone");
    AUTO(change) struct change *c = world_change(&w);
    put_link(w.ws, "link", "../outside");
    struct paths p = { in(w.ws, "dir"), in(w.ws, "link") };
    pid_t pid = meanwhile(swap_dir, &p);
    unsigned applied = 0, refused = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct apply_result r = { 0 };
        struct apply_resumed resumed;
        AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
        if (apply(&w, c, &r) == 0) {
            applied++;
            if (*r.id && apply_revert(w.state, r.id, &a, &r, &w.e) < 0)
                refused++;
        } else {
            refused++;
        }
        assert_ok(apply_resume(w.state, NULL, &resumed, &w.e), &w.e);
    }
    stop(pid);
    print_message("%u applied, %u refused\n", applied, refused);
    assert_true(applied > 0 && refused > 0);
    assert_file(w.dir, "outside/a", "base\n");
    assert_file(w.dir, "outside/gone", "to be deleted\n");
    AUTO(buf) struct buf left = BUF_INIT(4096);
    assert_int_equal(host_sh(w.dir, "ls -A outside", &left), 0);
    assert_string_equal(buf_str(&left), "a\ngone\n");
    free(p.dir);
    free(p.link);
    world_finish(&w);
}

/* One name in the upper directory is a file, a link to a secret, a pipe, a directory, in turn. */
static void shift_shape(void *ctx, unsigned n)
{
    const char *path = ctx;
    (void)unlink(path);
    (void)rmdir(path);
    if (n % 4 == 0)
        (void)!symlink("/etc/hostname", path);
    else if (n % 4 == 1)
        (void)mkfifo(path, 0644);
    else if (n % 4 == 2)
        (void)mkdir(path, 0755);
    else {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (fd >= 0) {
            (void)!write(fd, "innocent\n", 9);
            (void)close(fd);
        }
    }
}

static void a_layer_that_changes_while_it_is_read__shows_nothing_from_outside(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "x", "base\n");
    world_layer(&w);
    AUTO(ptr) char *x = in(w.upper, "x");
    pid_t pid = meanwhile(shift_shape, x);
    int64_t began = clock_ms();
    for (int i = 0; i < ROUNDS * 4; i++) {
        struct change *c = NULL;
        if (change_read(w.layer, NULL, &c, &w.e) < 0)
            continue;
        const struct change_file *f = change_find(c, "x");
        struct span s;
        if (f && f->now.exists) {
            assert_ok(change_data(c, &f->now, &s, &w.e), &w.e);
            assert_true(span_eqs(s, f->now.symlink ? "/etc/hostname" : "innocent\n") || (!f->now.symlink && s.n == 0));
        }
        change_destroy(c);
    }
    assert_true(clock_ms() - began < 60000); /* no pipe held it up */
    stop(pid);
    world_finish(&w);
}

struct editor {
    char *path, *tmp;
    volatile unsigned *last; /* shared with the parent: 0: the base, else the edit's number */
};

/* Saves as editors do, by rename; every other time what was there at first. */
static void save(void *ctx, unsigned n)
{
    struct editor *ed = ctx;
    char text[64];
    unsigned version = n % 2 ? 0 : n;
    (void)snprintf(text, sizeof text, version ? "user %u\n" : "base\n", version);
    int fd = open(ed->tmp, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        return;
    (void)close(fd);
    *ed->last = version + 1000000; /* under way */
    (void)rename(ed->tmp, ed->path);
    *ed->last = version;
    struct timespec t = { 0, 200000 + (n % 17) * 100000 };
    (void)nanosleep(&t, NULL);
}

static void an_edit_saved_during_the_apply__is_never_lost(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "f", "base\n");
    world_layer(&w);
    put(w.upper, "f", "task\n");
    AUTO(change) struct change *c = world_change(&w);
    volatile unsigned *last = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(last != MAP_FAILED);
    struct editor ed = { in(w.ws, "f"), in(w.dir, "tmp"), last };
    unsigned applied = 0, refused = 0;
    for (int i = 0; i < ROUNDS; i++) {
        put(w.ws, "f", "base\n");
        *last = 0;
        pid_t pid = meanwhile(save, &ed);
        struct apply_result r = { 0 };
        struct timespec t = { 0, (long)(i % 13) * 150000 };
        (void)nanosleep(&t, NULL);
        int rc = apply(&w, c, &r);
        stop(pid);
        applied += rc == 0;
        refused += rc < 0;
        AUTO(ptr) char *now = get(w.ws, "f");
        unsigned version = *last;
        /* our content may stand only where the user's last save was the version that the change was made from */
        if (strcmp(now, "task\n") == 0 && version != 0 && version < 1000000)
            fail_msg("round %d: the user's version %u was overwritten", i, version);
        if (rc < 0 && strcmp(now, "task\n") == 0 && version < 1000000)
            fail_msg("round %d: refused (%s), yet written", i, w.e.text);
        AUTO(buf) struct buf left = BUF_INIT(4096);
        assert_int_equal(host_sh(w.ws, "ls -A", &left), 0);
        assert_string_equal(buf_str(&left), "f\n");
    }
    print_message("%u applied, %u refused\n", applied, refused);
    assert_true(applied > 0 && refused > 0);
    free(ed.path);
    free(ed.tmp);
    world_finish(&w);
}

static void a_full_disk__leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    if (geteuid() != 0 || mount("tmpfs", w.ws, "tmpfs", 0, "size=256k") < 0) {
        print_message("no small file system can be mounted here: needs root\n");
        world_finish(&w);
        skip();
    }
    put(w.ws, "a", "1\n");
    put(w.ws, "gone", "still here\n");
    world_layer(&w);
    AUTO(ptr) char *big = calloc(1, 1 << 20);
    memset(big, 'x', 1 << 20);
    put(w.upper, "a", "2\n");
    put_bytes(w.upper, "big", big, 1 << 20, 0644);
    put(w.upper, "zz/small", "s\n");
    whiteout(w.upper, "gone");
    {
        AUTO(change) struct change *c = world_change(&w);
        struct apply_result r;
        assert_true(apply(&w, c, &r) < 0);
        assert_contains(w.e.text, "No space left on device");
        AUTO(buf) struct buf left = BUF_INIT(4096);
        assert_int_equal(host_sh(w.ws, "find . | sort; cat a gone", &left), 0);
        assert_string_equal(buf_str(&left), ".\n./a\n./gone\n1\nstill here\n");
    }
    assert_int_equal(umount(w.ws), 0);
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_swapped_for_a_link__leads_nowhere),
        cmocka_unit_test(a_layer_that_changes_while_it_is_read__shows_nothing_from_outside),
        cmocka_unit_test(an_edit_saved_during_the_apply__is_never_lost),
        cmocka_unit_test(a_full_disk__leaves_everything_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
