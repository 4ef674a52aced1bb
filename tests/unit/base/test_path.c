#include "support/test.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/mem.h"

static void path_join__has_one_slash(void **state)
{
    static const char *const rows[][3] = {
        { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "/", "b", "/b" }, { "", "b", "b" }, { "a", "/b", "/b" }, { "a//", "b", "a/b" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(ptr) char *p = path_join(rows[i][0], rows[i][1]);
        assert_string_equal(p, rows[i][2]);
    }
}

static void path_is_safe_relative__refuses_ways_out(void **state)
{
    static const char *const bad[] = { "", "/a", "..", "a/../b", "a//b", "./a", "a/", "a/." };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(path_is_safe_relative(bad[i]));
    assert_true(path_is_safe_relative("a/b.c"));
    assert_true(path_is_safe_relative("..a"));
}

static void path_open_beneath__never_leaves(void **state)
{
    char *dir = scratch_make();
    AUTO(fd) int dfd = open(dir, O_RDONLY | O_DIRECTORY);
    (void)state;
    assert_int_equal(symlinkat("/etc/passwd", dfd, "out"), 0);
    assert_int_equal(symlinkat("..", dfd, "up"), 0);
    assert_int_equal(path_open_beneath(dfd, "out", O_RDONLY, 0, 0), -1);
    assert_int_equal(errno, EXDEV);
    assert_int_equal(path_open_beneath(dfd, "up/x", O_RDONLY, 0, 0), -1);
    assert_int_equal(path_open_beneath(dfd, "../x", O_RDONLY, 0, 0), -1);
    assert_int_equal(path_open_beneath(dfd, "/etc/passwd", O_RDONLY, 0, 0), -1);
    AUTO(fd) int ok = path_open_beneath(dfd, "file", O_WRONLY | O_CREAT, 0600, PATH_NO_SYMLINKS);
    assert_true(ok >= 0);
    assert_int_equal(symlinkat("file", dfd, "in"), 0);
    AUTO(fd) int through = path_open_beneath(dfd, "in", O_RDONLY, 0, 0);
    assert_true(through >= 0);
    assert_int_equal(path_open_beneath(dfd, "in", O_RDONLY, 0, PATH_NO_SYMLINKS), -1);
    scratch_remove(dir);
}

static void path_remove_tree__does_not_follow_links(void **state)
{
    char *dir = scratch_make(), *keep = scratch_make();
    AUTO(ptr) char *kept = path_join(keep, "kept"), *deep = path_join(dir, "a/b/c"), *link = path_join(dir, "a/link");
    struct err e = ERR_INIT;
    (void)state;
    assert_ok(file_write_atomic(kept, SPAN("x"), 0600, false, &e), &e);
    assert_ok(path_mkdirs(deep, 0700, &e), &e);
    assert_int_equal(symlink(keep, link), 0);
    assert_ok(path_remove_tree(AT_FDCWD, dir, &e), &e);
    assert_int_equal(access(dir, F_OK), -1);
    assert_int_equal(access(kept, F_OK), 0);
    assert_ok(path_remove_tree(AT_FDCWD, dir, &e), &e);
    free(dir);
    scratch_remove(keep);
}

static void file_read__names_object_cause_and_limit(void **state)
{
    char *dir = scratch_make();
    AUTO(ptr) char *file = path_join(dir, "f"), *none = path_join(dir, "none");
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(100);
    (void)state;
    assert_ok(file_write_atomic(file, SPAN("0123456789"), 0640, true, &e), &e);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, 10);
    assert_int_equal(file_read(file, 9, &b, &e), -ERR_LIMIT);
    assert_contains(e.text, "larger than 9 bytes");
    buf_reset(&b);
    assert_ok(file_read(file, 10, &b, &e), &e);
    assert_string_equal(buf_str(&b), "0123456789");
    assert_int_equal(file_read(none, 10, &b, &e), -ERR_NOT_FOUND);
    assert_contains(e.text, none);
    assert_int_equal(file_read(dir, 10, &b, &e), -ERR_INPUT);
    assert_contains(e.text, "is a directory");
    scratch_remove(dir);
}

static void file_write_atomic__leaves_nothing_on_failure(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    assert_int_equal(file_write_atomic("/proc/nope/x", SPAN("x"), 0600, false, &e), -ERR_NOT_FOUND);
    assert_contains(e.text, "/proc/nope/x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_join__has_one_slash),
        cmocka_unit_test(path_is_safe_relative__refuses_ways_out),
        cmocka_unit_test(path_open_beneath__never_leaves),
        cmocka_unit_test(path_remove_tree__does_not_follow_links),
        cmocka_unit_test(file_read__names_object_cause_and_limit),
        cmocka_unit_test(file_write_atomic__leaves_nothing_on_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
