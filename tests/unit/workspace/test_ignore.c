#include "world.h"

#include "workspace/ignore.h"

static void patterns__match_as_gitignore_says(void **state)
{
    (void)state;
    static const struct {
        const char *patterns[4];
        const char *path;
        bool is_dir, ignored;
    } rows[] = {
        { { "*.o" }, "a/b/c.o", false, true },
        { { "*.o", "!keep.o" }, "keep.o", false, false },
        { { "/root.txt" }, "root.txt", false, true },
        { { "/root.txt" }, "a/root.txt", false, false },
        { { "build/" }, "build", false, false },
        { { "build/" }, "build", true, true },
        { { "build/" }, "a/build/x.c", false, true },
        { { "a/b" }, "a/b/c", false, true },
        { { "a/b" }, "x/a/b", false, false },
        { { "**/foo" }, "foo", false, true },
        { { "**/foo" }, "a/b/foo", false, true },
        { { "abc/**" }, "abc/x/y", false, true },
        { { "abc/**" }, "abc", false, false },
        { { "a/**/b" }, "a/b", false, true },
        { { "a/**/b" }, "a/x/y/b", false, true },
        { { "a/**/b" }, "a/x/y/c", false, false },
        { { "foo*bar" }, "fooxxbar", false, true },
        { { "a*/c" }, "ab/x/c", false, false },
        { { "[a-c]x" }, "bx", false, true },
        { { "[!a-c]x" }, "bx", false, false },
        { { "[[:digit:]]" }, "7", false, true },
        { { "[" }, "[", false, false },
        { { "\\!x" }, "!x", false, true },
        { { "\\#x" }, "#x", false, true },
        { { "#x" }, "#x", false, false },
        { { "x   " }, "x", false, true },
        { { "x\\ " }, "x ", false, true },
        { { "?" }, "ab", false, false },
        { { "*" }, "anything/at/all", false, true },
        { { "a?c/d" }, "a/c/d", false, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t n = 0;
        while (n < 4 && rows[i].patterns[n])
            n++;
        if (ignore_match_patterns(rows[i].patterns, n, rows[i].path, rows[i].is_dir) != rows[i].ignored)
            fail_msg("row %zu: pattern '%s', path '%s'", i, rows[i].patterns[0], rows[i].path);
    }
}

static void hostile_patterns__cost_little(void **state)
{
    (void)state;
    const char *stars[] = { "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", "**/a/**/a/**/a/**/a/**/a/**/a/**/b" };
    char name[400] = "", path[900] = "";
    memset(name, 'a', sizeof name - 1);
    for (size_t i = 0; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "a/", 3);
    path[strlen(path) - 1] = '\0';
    assert_false(ignore_match_patterns(stars, 1, name, false));
    assert_false(ignore_match_patterns(stars + 1, 1, path, false));
}

static void rules__come_from_every_directory_on_the_way(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    AUTO(ignore) struct ignore *ig = NULL;
    put(w.dir, ".git/info/exclude", "*.tmp\n");
    put(w.dir, ".gitignore", "*.log\nws/secret\n");
    put(w.ws, ".gitignore", "build/\n!keep.log\n\xef\xbb\xbf");
    put(w.ws, "sub/.gitignore", "*.c\n!main.c\n");
    AUTO(fd) int fd = open(w.ws, O_PATH | O_DIRECTORY);
    assert_ok(ignore_create(fd, w.ws, &ig, &w.e), &w.e);
    assert_true(ignore_match(ig, "a.log", false));
    assert_false(ignore_match(ig, "keep.log", false));
    assert_true(ignore_match(ig, "secret", false));
    assert_true(ignore_match(ig, "x/build/y/z", false));
    assert_true(ignore_match(ig, "x/build", true));
    assert_true(ignore_match(ig, "sub/a.c", false));
    assert_false(ignore_match(ig, "sub/main.c", false));
    assert_false(ignore_match(ig, "a.c", false));
    assert_true(ignore_match(ig, "sub/deep/a.tmp", false));
    world_finish(&w);
}

static void a_home_that_ignores_everything__does_not_hide_projects(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    AUTO(ignore) struct ignore *ig = NULL;
    put(w.dir, ".git/HEAD", "ref: refs/heads/main\n");
    put(w.dir, ".gitignore", "*\n");
    put(w.ws, ".gitignore", "*.o\n");
    AUTO(fd) int fd = open(w.ws, O_PATH | O_DIRECTORY);
    assert_ok(ignore_create(fd, w.ws, &ig, &w.e), &w.e);
    assert_false(ignore_match(ig, "a.c", false));
    assert_false(ignore_match(ig, "x/y/a.c", false));
    assert_true(ignore_match(ig, "x/y/a.o", false));
    world_finish(&w);
}

static void a_gitignore_that_is_a_fifo_or_a_link__is_not_read(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    AUTO(ignore) struct ignore *ig = NULL;
    put(w.ws, "real", "*.c\n");
    put_dir(w.ws, "a");
    put_link(w.ws, "a/.gitignore", "../real");
    AUTO(ptr) char *fifo = in(w.ws, ".gitignore");
    assert_int_equal(mkfifo(fifo, 0644), 0);
    AUTO(fd) int fd = open(w.ws, O_PATH | O_DIRECTORY);
    assert_ok(ignore_create(fd, w.ws, &ig, &w.e), &w.e);
    assert_false(ignore_match(ig, "a/x.c", false));
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns__match_as_gitignore_says),
        cmocka_unit_test(hostile_patterns__cost_little),
        cmocka_unit_test(rules__come_from_every_directory_on_the_way),
        cmocka_unit_test(a_home_that_ignores_everything__does_not_hide_projects),
        cmocka_unit_test(a_gitignore_that_is_a_fifo_or_a_link__is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
