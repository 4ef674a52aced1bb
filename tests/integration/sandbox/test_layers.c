/* Layers: checkpoint, undo, tmpfs, renames of lower directories, ownership, limits, refusals. */
#include "place.h"

#include <fcntl.h>
#include <pwd.h>

static struct place P;

static int setup(void **state)
{
    (void)state;
    place_make(&P);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    place_remove(&P);
    return 0;
}

static void layer_paths(int n, char u[300], char w[300])
{
    (void)snprintf(u, 300, "%s/layers/u%d", P.dir, n);
    (void)snprintf(w, 300, "%s/layers/w%d", P.dir, n);
    assert_ok(path_mkdirs(u, 0755, &P.e), &P.e);
    assert_ok(path_mkdirs(w, 0755, &P.e), &P.e);
}

static void checkpoint__starts_a_layer_and_undo_drops_it(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    char u1[300], w1[300], u2[300], w2[300];
    (void)state;
    place_start(&P);
    layer_paths(1, u1, w1);
    layer_paths(2, u2, w2);
    assert_int_equal(shell(&P, "echo one > one; echo changed > a.txt; rm lower/inner.txt", NULL), 0);
    const char *lowers[] = { P.u0, P.ws };
    struct sandbox_overlay next = { .lowers = lowers, .nlowers = 2, .upper = u1, .work = w1 };
    assert_ok(sandbox_checkpoint(P.sb, &next, &P.e), &P.e);
    assert_int_equal(shell(&P, "cat one a.txt; ls lower; echo two > two; rm one", &out), 0);
    assert_string_equal(buf_str(&out), "one\nchanged\ndeep\n");
    assert_true(has_file(P.u0, "one"));
    assert_true(has_file(u1, "two"));
    /* undo to the checkpoint: a fresh upper over the same lowers */
    next = (struct sandbox_overlay){ .lowers = lowers, .nlowers = 2, .upper = u2, .work = w2 };
    assert_ok(sandbox_checkpoint(P.sb, &next, &P.e), &P.e);
    buf_reset(&out);
    assert_int_equal(shell(&P, "ls", &out), 0);
    assert_string_equal(buf_str(&out), "a.txt\nlower\none\n");
    /* and to the beginning */
    next = (struct sandbox_overlay){ .lowers = lowers + 1, .nlowers = 1, .upper = u2, .work = w2 };
    assert_ok(sandbox_checkpoint(P.sb, &next, &P.e), &P.e);
    buf_reset(&out);
    assert_int_equal(shell(&P, "ls; cat a.txt", &out), 0);
    assert_string_equal(buf_str(&out), "a.txt\nlower\nalpha\n");
    assert_int_equal(shell(&P, "echo still-writable > w", NULL), 0);
}

static void checkpoint__is_refused_while_a_background_job_runs(void **state)
{
    struct sandbox_result r;
    char u1[300], w1[300];
    (void)state;
    place_start(&P);
    layer_paths(1, u1, w1);
    struct sandbox_exec x = { .argv = (const char *const[]){ "sleep", "60", NULL }, .background = true };
    assert_ok(sandbox_exec(P.sb, &x, NULL, &r, NULL, &P.e), &P.e);
    const char *lowers[] = { P.u0, P.ws };
    struct sandbox_overlay next = { .lowers = lowers, .nlowers = 2, .upper = u1, .work = w1 };
    assert_int_equal(sandbox_checkpoint(P.sb, &next, &P.e), -ERR_UNAVAILABLE);
    assert_ok(sandbox_kill(P.sb, r.job, &P.e), &P.e);
    struct sandbox_result now;
    while (sandbox_background(P.sb, r.job, &now, &P.e) == 0) {}
    assert_ok(sandbox_checkpoint(P.sb, &next, &P.e), &P.e);
}

static void checkpoint__ends_what_commands_left_behind(void **state)
{
    char u1[300], w1[300];
    (void)state;
    place_start(&P);
    layer_paths(1, u1, w1);
    assert_int_equal(shell(&P, "setsid sleep 60 >/dev/null 2>&1 & sleep 0.1; pgrep sleep", NULL), 0);
    const char *lowers[] = { P.u0, P.ws };
    struct sandbox_overlay next = { .lowers = lowers, .nlowers = 2, .upper = u1, .work = w1 };
    assert_ok(sandbox_checkpoint(P.sb, &next, &P.e), &P.e);
    assert_int_equal(shell(&P, "! pgrep sleep", NULL), 0);
}

static void checkpoint__two_hundred_levels(void **state)
{
    static char paths[201][2][300];
    const char *lowers[202];
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    place_start(&P);
    (void)snprintf(paths[0][0], 300, "%s", P.u0);
    for (int i = 1; i <= 200; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "f%d", i);
        assert_ok(sandbox_write(P.sb, name, SPAN("x"), 0, 0, &P.e), &P.e);
        layer_paths(i, paths[i][0], paths[i][1]);
        for (int k = 0; k < i; k++)
            lowers[k] = paths[i - 1 - k][0];
        lowers[i] = P.ws;
        struct sandbox_overlay next = { .lowers = lowers, .nlowers = (size_t)i + 1, .upper = paths[i][0], .work = paths[i][1] };
        assert_ok(sandbox_checkpoint(P.sb, &next, &P.e), &P.e);
    }
    assert_int_equal(shell(&P, "ls | grep -c '^f'", &out), 0);
    assert_string_equal(buf_str(&out), "200\n");
}

static void tmpfs__carries_layers_and_hands_them_out(void **state)
{
    (void)state;
    P.spec.overlay.upper = "tmpfs";
    P.spec.overlay.work = NULL;
    place_start(&P);
    assert_int_equal(shell(&P, "echo new > new; rm a.txt", NULL), 0);
    const char *lowers[] = { "tmpfs:u0", P.ws };
    struct sandbox_overlay next = { .lowers = lowers, .nlowers = 2, .upper = "tmpfs:u1", .work = "tmpfs:w1" };
    assert_ok(sandbox_checkpoint(P.sb, &next, &P.e), &P.e);
    assert_int_equal(shell(&P, "[ -f new ] && ! [ -e a.txt ] && echo second > second", NULL), 0);
    AUTO(fd) int root = sandbox_tmpfs(P.sb);
    assert_true(root >= 0);
    sandbox_destroy(P.sb); /* what was written can be read after the end */
    P.sb = NULL;
    struct stat st;
    assert_int_equal(fstatat(root, "u0/new", &st, 0), 0);
    assert_int_equal(fstatat(root, "u1/second", &st, 0), 0);
    assert_int_equal(fstatat(root, "u0/a.txt", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
}

static void tmpfs__has_a_limit(void **state)
{
    (void)state;
    P.spec.overlay.upper = "tmpfs";
    P.spec.limits.disk_bytes = 4 << 20;
    place_start(&P);
    assert_int_not_equal(shell(&P, "head -c 3000000 /dev/zero > a && head -c 3000000 /dev/zero > b", NULL), 0);
}

static void disk__has_a_limit_too(void **state)
{
    struct sandbox_result r;
    (void)state;
    P.spec.limits.disk_bytes = 8 << 20;
    place_start(&P);
    const char *const argv[] = { "sh", "-c", "i=0; while :; do head -c 1000000 /dev/zero > f$i || exit 1; i=$((i+1)); sleep 0.02; done", NULL };
    struct sandbox_exec x = { .argv = argv, .timeout_ms = 20000 };
    assert_ok(sandbox_exec(P.sb, &x, NULL, &r, NULL, &P.e), &P.e);
    assert_true(r.out_of_disk);
    assert_false(r.timed_out);
}

static void ended_by_the_disk_limit(const char *script)
{
    struct sandbox_result r;
    const char *const argv[] = { "python3", "-c", script, NULL };
    struct sandbox_exec x = { .argv = argv, .timeout_ms = 30000 };
    place_start(&P);
    assert_ok(sandbox_exec(P.sb, &x, NULL, &r, NULL, &P.e), &P.e);
    assert_true(r.out_of_disk);
}

static void disk__counts_files_as_well(void **state)
{
    (void)state;
    P.spec.limits.inodes = 500;
    ended_by_the_disk_limit("import time\n"
                            "for i in range(100000):\n"
                            "    open('f%d' % i, 'w').close()\n"
                            "    if i % 100 == 99: time.sleep(0.02)\n");
}

static void disk__sees_what_no_name_leads_to(void **state)
{
    (void)state;
    P.spec.limits.disk_bytes = 16 << 20;
    ended_by_the_disk_limit("import os, time\n"
                            "keep = []\n"
                            "for i in range(1000):\n"
                            "    keep.append(os.open('f', os.O_CREAT | os.O_RDWR))\n"
                            "    os.unlink('f')\n"
                            "    os.write(keep[-1], b'x' * 1000000)\n"
                            "    time.sleep(0.01)\n");
}

static void disk__sees_files_on_their_way_through_a_socket(void **state)
{
    (void)state;
    P.spec.limits.disk_bytes = 16 << 20;
    ended_by_the_disk_limit("import array, os, socket, time\n"
                            "a, b = socket.socketpair()\n"
                            "for i in range(1000):\n"
                            "    fd = os.open('f', os.O_CREAT | os.O_RDWR)\n"
                            "    os.unlink('f')\n"
                            "    os.write(fd, b'x' * 1000000)\n"
                            "    if i % 100 == 99: a, b = socket.socketpair(); keep = globals().setdefault('keep', []); keep += [a, b]\n"
                            "    a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])\n"
                            "    os.close(fd)\n"
                            "    time.sleep(0.01)\n");
}

static void lower_directories_can_be_renamed(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    place_start(&P);
    assert_int_equal(shell(&P, "chmod 750 lower; ln -s inner.txt lower/link; python3 -c 'import os; os.rename(\"lower\", \"moved\")' && "
                               "ls -R moved && cat moved/deep/x.txt moved/link && stat -c %a moved && ! [ -e lower ]", &out), 0);
    assert_string_equal(buf_str(&out), "moved:\ndeep\ninner.txt\nlink\n\nmoved/deep:\nx.txt\nx\ninner\n750\n");
    buf_reset(&out);
    /* onto an empty directory, not onto a full one, not into itself; files as ever */
    assert_int_equal(shell(&P, "mkdir empty full && touch full/x && python3 -c '\n"
                               "import os, errno\n"
                               "os.rename(\"moved\", \"empty\")\n"
                               "for a, b, want in ((\"empty\", \"full\", (errno.ENOTEMPTY, errno.EEXIST)), (\"empty\", \"empty/deep/in\", (errno.EINVAL,)),\n"
                               "                   (\"none\", \"x\", (errno.ENOENT,)), (\"empty\", \"a.txt\", (errno.ENOTDIR,))):\n"
                               "    try:\n"
                               "        os.rename(a, b); print(\"renamed\", a, b)\n"
                               "    except OSError as e:\n"
                               "        if e.errno not in want: print(a, b, e)\n"
                               "os.rename(\"a.txt\", \"b.txt\")\n"
                               "d = os.open(\"empty\", os.O_RDONLY)\n"
                               "os.rename(\"deep\", \"deeper\", src_dir_fd=d, dst_dir_fd=d)\n"
                               "' && ls empty", &out), 0);
    assert_string_equal(buf_str(&out), "deeper\ninner.txt\nlink\n");
    assert_true(has_file(P.ws, "lower/deep/x.txt"));
}

static void what_is_written_belongs_to_the_owner_of_the_workspace(void **state)
{
    struct stat ws, st;
    char path[600];
    (void)state;
    if (geteuid() == 0) {
        assert_int_equal(chown(P.ws, 1234, 1235), 0);
        (void)snprintf(path, sizeof path, "%s/a.txt", P.ws);
        assert_int_equal(chown(path, 1234, 1235), 0);
        assert_int_equal(chmod(path, 0600), 0);
    }
    place_start(&P);
    assert_int_equal(shell(&P, "cat a.txt && echo new > new && echo more >> a.txt && mkdir d", NULL), 0);
    assert_int_equal(stat(P.ws, &ws), 0);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", P.u0, ((const char *const[]){ "new", "a.txt", "d" })[i]);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_uid, ws.st_uid);
        assert_int_equal(st.st_gid, ws.st_gid);
    }
    if (geteuid() == 0) { /* and its processes are nobody's on the host */
        (void)snprintf(path, sizeof path, "/proc/%d", (int)sandbox_pid(P.sb));
        AUTO(buf) struct buf status = BUF_INIT(65536);
        (void)snprintf(path, sizeof path, "/proc/%d/status", (int)sandbox_pid(P.sb));
        assert_ok(file_read(path, 65536, &status, &P.e), &P.e);
        assert_contains(buf_str(&status), "Uid:\t18790");
    }
}

static void read_only__is(void **state)
{
    (void)state;
    P.spec.overlay = (struct sandbox_overlay){ .nlowers = 0 };
    place_start(&P);
    assert_int_equal(shell(&P, "cat a.txt && ! touch x 2>/dev/null && ! rm a.txt 2>/dev/null && touch /tmp/x \"$HOME/x\"", NULL), 0);
}

static void mounts__read_only_unless_said(void **state)
{
    char extra[300];
    (void)state;
    (void)snprintf(extra, sizeof extra, "%s/extra", P.dir);
    assert_ok(path_mkdirs(extra, 0755, &P.e), &P.e);
    put_file(extra, "f", "extra\n");
    const struct sandbox_mount mounts[] = { { .src = extra, .dst = "/mnt/ro" }, { .src = extra, .dst = "/mnt/rw", .rw = true } };
    P.spec.mounts = mounts;
    P.spec.nmounts = 2;
    place_start(&P);
    assert_int_equal(shell(&P, "cat /mnt/ro/f && ! touch /mnt/ro/x 2>/dev/null && echo y > /mnt/rw/y", NULL), 0);
    assert_true(has_file(extra, "y"));
    assert_false(has_file(extra, "x"));
}

static void refuses_what_would_carry_the_home_directory_inside(void **state)
{
    static const char *const bad[] = { "/", "/etc", "/usr" };
    char home[300];
    (void)state;
    (void)snprintf(home, sizeof home, "%s/ws/home", P.dir);
    const char *old = getenv("HOME");
    AUTO(ptr) char *saved = strdup(old ? old : "/");
    assert_ok(path_mkdirs(home, 0755, &P.e), &P.e);
    assert_int_equal(setenv("HOME", home, 1), 0);
    P.spec.overlay = (struct sandbox_overlay){ .nlowers = 0 };
    assert_int_equal(sandbox_start(P.loop, &P.spec, &P.sb, &P.e), -ERR_DENIED);
    assert_contains(P.e.text, "home directory");
    const struct passwd *pw = getpwuid(geteuid()); /* $HOME names another place: the account's home directory is one all the same */
    if (pw && pw->pw_dir[0] == '/' && pw->pw_dir[1] && access(pw->pw_dir, F_OK) == 0) {
        P.spec.workspace = pw->pw_dir;
        assert_int_equal(sandbox_start(P.loop, &P.spec, &P.sb, &P.e), -ERR_DENIED);
        assert_contains(P.e.text, "home directory");
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        P.spec.workspace = bad[i];
        assert_int_equal(sandbox_start(P.loop, &P.spec, &P.sb, &P.e), -ERR_DENIED);
    }
    assert_int_equal(setenv("HOME", saved, 1), 0);
    P.sb = NULL;
}

static void refuses_what_holds_its_own_state(void **state)
{
    char path[500], link[500];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/state", P.dir);
    assert_ok(path_mkdirs(path, 0755, &P.e), &P.e);
    P.spec.state_dir = path; /* beside: as it should be */
    place_start(&P);
    sandbox_destroy(TAKE(P.sb));
    const struct sandbox_mount mount = { .src = P.dir, .dst = "/mnt/all" };
    P.spec.mounts = &mount;
    P.spec.nmounts = 1;
    assert_int_equal(sandbox_start(P.loop, &P.spec, &P.sb, &P.e), -ERR_DENIED);
    P.spec.nmounts = 0;
    (void)snprintf(path, sizeof path, "%s/not/there/yet", P.ws);
    assert_int_equal(sandbox_start(P.loop, &P.spec, &P.sb, &P.e), -ERR_DENIED);
    assert_contains(P.e.text, "state");
    assert_contains(P.e.hint, "STEAD_STATE_DIR");
    (void)snprintf(link, sizeof link, "%s/link", P.dir); /* whichever way leads there */
    assert_int_equal(symlink(P.ws, link), 0);
    (void)snprintf(path, sizeof path, "%s/link/state", P.dir);
    assert_int_equal(sandbox_start(P.loop, &P.spec, &P.sb, &P.e), -ERR_DENIED);
    P.sb = NULL;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(checkpoint__starts_a_layer_and_undo_drops_it), T(checkpoint__is_refused_while_a_background_job_runs),
        T(checkpoint__ends_what_commands_left_behind), T(checkpoint__two_hundred_levels), T(tmpfs__carries_layers_and_hands_them_out),
        T(tmpfs__has_a_limit), T(disk__has_a_limit_too), T(disk__counts_files_as_well),
        T(disk__sees_what_no_name_leads_to), T(disk__sees_files_on_their_way_through_a_socket), T(lower_directories_can_be_renamed),
        T(what_is_written_belongs_to_the_owner_of_the_workspace), T(read_only__is), T(mounts__read_only_unless_said),
        T(refuses_what_would_carry_the_home_directory_inside), T(refuses_what_holds_its_own_state),
    };
    return cmocka_run_group_tests_name("sandbox/layers", tests, NULL, NULL);
}
