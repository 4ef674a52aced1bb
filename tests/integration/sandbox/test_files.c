/* Files: read, write, stat, list with ignore rules, search; hostile names and links. */
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

static void read__whole_part_and_missing(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    struct sandbox_stat st;
    (void)state;
    assert_ok(sandbox_read(P.sb, "a.txt", 0, 4096, &out, &st, &P.e), &P.e);
    assert_string_equal(buf_str(&out), "alpha\n");
    assert_int_equal(st.type, SANDBOX_FILE);
    assert_int_equal(st.size, 6);
    buf_reset(&out);
    assert_ok(sandbox_read(P.sb, "a.txt", 2, 3, &out, NULL, &P.e), &P.e);
    assert_string_equal(buf_str(&out), "pha");
    assert_int_equal(sandbox_read(P.sb, "none", 0, 10, &out, NULL, &P.e), -ERR_NOT_FOUND);
    assert_contains(P.e.text, "none");
    assert_int_equal(sandbox_read(P.sb, "lower", 0, 10, &out, NULL, &P.e), -ERR_INPUT);
}

static void read__large_file_arrives_whole(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(32 << 20);
    (void)state;
    assert_int_equal(shell(&P, "seq 1 1000000 > big", NULL), 0);
    assert_ok(sandbox_read(P.sb, "big", 0, 32 << 20, &out, NULL, &P.e), &P.e);
    assert_int_equal(out.n, 6888896);
    assert_true(span_ends(buf_span(&out), "999999\n1000000\n"));
}

static void read__does_not_hang_on_or_leave_by_what_is_no_file(void **state)
{
    static const char *const paths[] = { "fifo", "/proc/self/mem", "/proc/self/fd/3", "/proc/1/environ", "/dev/zero", "toproc", "loop", "/proc/self/environ" };
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    assert_int_equal(shell(&P, "mkfifo fifo; ln -s /proc/self/fd/4 toproc; ln -s loop loop", NULL), 0);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (sandbox_read(P.sb, paths[i], 0, 100, &out, NULL, &P.e) >= 0)
            fail_msg("'%s' was read: %s", paths[i], buf_str(&out));
    assert_ok(sandbox_read(P.sb, "a.txt", 0, 10, &out, NULL, &P.e), &P.e);
}

static void write__lands_in_the_layer_only(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    assert_ok(sandbox_write(P.sb, "a.txt", SPAN("changed\n"), 0, 0, &P.e), &P.e);
    assert_int_equal(sandbox_write(P.sb, "new/dir/f", SPAN("x"), 0, 0, &P.e), -ERR_NOT_FOUND);
    assert_ok(sandbox_write(P.sb, "new/dir/f", SPAN("x"), 0755, SANDBOX_WRITE_PARENTS, &P.e), &P.e);
    assert_int_equal(shell(&P, "cat a.txt; stat -c %a new/dir/f", &out), 0);
    assert_string_equal(buf_str(&out), "changed\n755\n");
    assert_true(has_file(P.u0, "new/dir/f"));
    assert_false(has_file(P.ws, "new"));
    buf_reset(&out);
    char path[400];
    (void)snprintf(path, sizeof path, "%s/a.txt", P.ws);
    assert_ok(file_read(path, 100, &out, &P.e), &P.e);
    assert_string_equal(buf_str(&out), "alpha\n");
}

static void write__keeps_the_mode_and_follows_links(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(4096);
    (void)state;
    assert_int_equal(shell(&P, "echo '#!/bin/sh' > s; chmod 755 s; ln -s lower/inner.txt l", NULL), 0);
    assert_ok(sandbox_write(P.sb, "s", SPAN("#!/bin/sh\necho hi\n"), 0, 0, &P.e), &P.e);
    assert_ok(sandbox_write(P.sb, "l", SPAN("through\n"), 0, 0, &P.e), &P.e);
    assert_int_equal(shell(&P, "./s; readlink l; cat lower/inner.txt", &out), 0);
    assert_string_equal(buf_str(&out), "hi\nlower/inner.txt\nthrough\n");
    assert_int_equal(sandbox_write(P.sb, "s", SPAN(""), 0, SANDBOX_WRITE_NEW, &P.e), -ERR_EXISTS);
}

static void write__cannot_leave_the_writable_places(void **state)
{
    static const char *const paths[] = { "/etc/x", "/usr/bin/x", "/x", "/proc/self/comm", "/proc/self/fd/3/x", "/.stead/x", "../../../../etc/x", "tousr/x" };
    (void)state;
    assert_int_equal(shell(&P, "ln -s /usr/bin tousr", NULL), 0);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (sandbox_write(P.sb, paths[i], SPAN("x"), 0, 0, &P.e) >= 0)
            fail_msg("'%s' was written", paths[i]);
}

/* The helper has a directory open from which every layer can be reached. */
static void magic_links__lead_nowhere(void **state)
{
    char path[200], layers[400], script[200];
    struct sandbox_result r;
    (void)state;
    (void)snprintf(layers, sizeof layers, "%s/layers", P.dir);
    for (int fd = 3; fd < 24; fd++) {
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d/l/evil/x", fd);
        assert_true(sandbox_write(P.sb, path, SPAN("x"), 0, SANDBOX_WRITE_PARENTS, &P.e) < 0);
        (void)snprintf(script, sizeof script, "ln -s /proc/self/fd/%d/l to%d; rm -rf /run/stead; ln -s /proc/self/fd/%d/l /run/stead", fd, fd, fd);
        assert_int_equal(shell(&P, script, NULL), 0);
        (void)snprintf(path, sizeof path, "to%d/evil/x", fd);
        assert_true(sandbox_write(P.sb, path, SPAN("x"), 0, SANDBOX_WRITE_PARENTS, &P.e) < 0);
        struct sandbox_exec x = { .argv = (const char *const[]){ "seq", "1", "5000", NULL }, .out_cap_bytes = 100 };
        assert_ok(sandbox_exec(P.sb, &x, NULL, &r, NULL, &P.e), &P.e);
        assert_true(r.truncated);
    }
    assert_false(has_file(layers, "evil"));
    for (int id = 0; id < 400; id++) {
        (void)snprintf(path, sizeof path, "%d.out", id);
        assert_false(has_file(layers, path));
    }
    assert_ok(sandbox_write(P.sb, "made//a/b/c.txt", SPAN("x"), 0, SANDBOX_WRITE_PARENTS, &P.e), &P.e);
}

static void write__large_content(void **state)
{
    AUTO(buf) struct buf in = BUF_INIT(16 << 20), out = BUF_INIT(4096);
    (void)state;
    for (int i = 0; in.n < 9 << 20; i++)
        buf_addf(&in, "%d\n", i);
    assert_ok(sandbox_write(P.sb, "big", buf_span(&in), 0, 0, &P.e), &P.e);
    assert_int_equal(shell(&P, "stat -c %s big; tail -c 20 big | wc -c", &out), 0);
    char want[40];
    (void)snprintf(want, sizeof want, "%zu\n20\n", in.n);
    assert_string_equal(buf_str(&out), want);
}

static void stat_and_remove(void **state)
{
    struct sandbox_stat st;
    (void)state;
    assert_int_equal(shell(&P, "ln -s a.txt link; mkdir full; touch full/x", NULL), 0);
    assert_ok(sandbox_stat(P.sb, "link", &st, &P.e), &P.e);
    assert_int_equal(st.type, SANDBOX_LINK);
    assert_ok(sandbox_stat(P.sb, "lower", &st, &P.e), &P.e);
    assert_int_equal(st.type, SANDBOX_DIR);
    assert_ok(sandbox_remove(P.sb, "link", &P.e), &P.e);
    assert_ok(sandbox_remove(P.sb, "a.txt", &P.e), &P.e);
    assert_true(sandbox_remove(P.sb, "full", &P.e) < 0);
    assert_int_equal(sandbox_stat(P.sb, "a.txt", &st, &P.e), -ERR_NOT_FOUND);
    assert_true(has_file(P.ws, "a.txt"));
}

static void names(const char *path, unsigned flags, struct buf *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
    struct sandbox_entry *rows;
    size_t n;
    bool more;
    assert_ok(sandbox_list(P.sb, path, flags, 0, &a, &rows, &n, &more, NULL, &P.e), &P.e);
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s%s ", rows[i].path, rows[i].type == SANDBOX_DIR ? "/" : "");
}

static void list__plain_and_recursive(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(65536);
    (void)state;
    names(".", 0, &out);
    assert_string_equal(buf_str(&out), "a.txt lower/ ");
    buf_reset(&out);
    names("", SANDBOX_LIST_RECURSIVE | SANDBOX_LIST_IGNORE, &out);
    assert_string_equal(buf_str(&out), "a.txt lower/deep/x.txt lower/inner.txt ");
    buf_reset(&out);
    names("lower", SANDBOX_LIST_RECURSIVE | SANDBOX_LIST_DIRS, &out);
    assert_string_equal(buf_str(&out), "deep/ deep/x.txt inner.txt ");
}

static void list__follows_ignore_files_as_git_does(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(65536), want = BUF_INIT(65536);
    (void)state;
    assert_int_equal(shell(&P, "git init -q . && mkdir -p node_modules/x build sub/build docs/a/b keep 'sp ace' deep/x/y && "
                               "touch node_modules/x/i.js build/o sub/build/o sub/k.o sub/k.c docs/a/b/t.pdf docs/t.pdf keep/a.log keep/important.log "
                               "'sp ace/f' excl deep/x/y/z.tmp .hidden a#b '#c' '!d' e1 e2 f9 foo.bar foo.baz && "
                               "printf '%s\\n' 'node_modules/' '/build' '*.o' 'docs/**/*.pdf' '*.log' '!important.log' '# comment' '\\#c' '\\!d' "
                               "'e[1-9]' 'f[!a-z]' '**/y/*.tmp' 'foo.ba?' > .gitignore && "
                               "echo excl > .git/info/exclude && echo '!k.o' > sub/.gitignore", NULL), 0);
    names("", SANDBOX_LIST_RECURSIVE | SANDBOX_LIST_IGNORE, &out);
    assert_int_equal(shell(&P, "git -c core.quotepath=off ls-files -co --exclude-standard | LC_ALL=C sort | tr '\\n' ' '", &want), 0);
    assert_string_equal(buf_str(&out), buf_str(&want));
    buf_reset(&out);
    names("sub", SANDBOX_LIST_RECURSIVE | SANDBOX_LIST_IGNORE, &out);
    assert_string_equal(buf_str(&out), ".gitignore build/o k.c k.o ");
}

static void list__survives_names_with_anything_in_them(void **state)
{
    AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
    struct sandbox_entry *rows;
    size_t n;
    (void)state;
    assert_int_equal(shell(&P, "mkdir odd && cd odd && touch \"$(printf 'new\\nline')\" \"$(printf 'esc\\033[31m')\" ' ' '!'", NULL), 0);
    assert_ok(sandbox_list(P.sb, "odd", 0, 0, &a, &rows, &n, NULL, NULL, &P.e), &P.e);
    assert_int_equal(n, 4);
    assert_string_equal(rows[3].path, "new\nline");
}

static void list__is_cut_and_says_so(void **state)
{
    AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
    struct sandbox_entry *rows;
    size_t n;
    bool more = false;
    (void)state;
    assert_int_equal(shell(&P, "mkdir many && cd many && seq 1 500 | xargs touch", NULL), 0);
    assert_ok(sandbox_list(P.sb, "many", 0, 100, &a, &rows, &n, &more, NULL, &P.e), &P.e);
    assert_int_equal(n, 100);
    assert_true(more);
    assert_int_equal(sandbox_list(P.sb, "none", 0, 100, &a, &rows, &n, &more, NULL, &P.e), -ERR_NOT_FOUND);
}

static void search__finds_and_reports_bad_patterns(void **state)
{
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    bool more = false;
    (void)state;
    assert_ok(sandbox_search(P.sb, &(struct sandbox_search){ .pattern = "^inn.r" }, &out, &more, NULL, &P.e), &P.e);
    assert_string_equal(buf_str(&out), "lower/inner.txt:1:inner\n");
    buf_reset(&out);
    assert_ok(sandbox_search(P.sb, &(struct sandbox_search){ .pattern = "nowhere at all" }, &out, &more, NULL, &P.e), &P.e);
    assert_int_equal(out.n, 0);
    assert_int_equal(sandbox_search(P.sb, &(struct sandbox_search){ .pattern = "(" }, &out, &more, NULL, &P.e), -ERR_INPUT);
    assert_ok(sandbox_search(P.sb, &(struct sandbox_search){ .pattern = "a.t(", .fixed = true }, &out, &more, NULL, &P.e), &P.e);
    assert_int_equal(shell(&P, "seq 1 5000 > numbers", NULL), 0);
    assert_ok(sandbox_search(P.sb, &(struct sandbox_search){ .pattern = "[0-9]", .max_matches = 10 }, &out, &more, NULL, &P.e), &P.e);
    assert_true(more);
    assert_int_equal(sandbox_search(P.sb, &(struct sandbox_search){ .pattern = "x", .path = "no/such" }, &out, &more, NULL, &P.e), -ERR_INPUT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(read__whole_part_and_missing), T(read__large_file_arrives_whole), T(read__does_not_hang_on_or_leave_by_what_is_no_file),
        T(write__lands_in_the_layer_only), T(write__keeps_the_mode_and_follows_links), T(write__cannot_leave_the_writable_places),
        T(magic_links__lead_nowhere), T(write__large_content), T(stat_and_remove), T(list__plain_and_recursive), T(list__follows_ignore_files_as_git_does),
        T(list__survives_names_with_anything_in_them), T(list__is_cut_and_says_so), T(search__finds_and_reports_bad_patterns),
    };
    return cmocka_run_group_tests_name("sandbox/files", tests, NULL, NULL);
}
