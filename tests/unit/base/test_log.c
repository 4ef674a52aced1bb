/* Where lines go when the file is opened again, as a server does whose log was renamed. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define LOG_MODULE "test"
#include "base/log.h"

static atomic_bool over;

static void *write_lines(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100 || (i < 20000 && !atomic_load(&over)); i++)
        log_error("line %d", i);
    return NULL;
}

/* No line of another thread is lost between two files, and none goes to a descriptor that has become something else. */
static void log_open_file__moves_writers_at_once(void **state)
{
    char *dir = scratch_make(), *first = path_join(dir, "a"), *second = path_join(dir, "b"), *other = path_join(dir, "c");
    struct err e = ERR_INIT;
    pthread_t t;
    (void)state;
    assert_int_equal(log_open_file(first), 0);
    assert_int_equal(pthread_create(&t, NULL, write_lines, NULL), 0);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(log_open_file(i % 2 ? first : second), 0);
        struct buf seen = BUF_INIT(1 << 20);
        assert_ok(file_write_atomic(other, SPAN("not a log"), 0600, false, &e), &e); /* takes the lowest free number */
        assert_ok(file_read(other, 1 << 20, &seen, &e), &e);
        assert_string_equal(buf_str(&seen), "not a log");
        buf_finish(&seen);
    }
    atomic_store(&over, true);
    assert_int_equal(pthread_join(t, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct buf text = BUF_INIT(64u << 20);
        assert_ok(file_read(i ? second : first, 64u << 20, &text, &e), &e);
        struct span rest = buf_span(&text), line;
        while (span_line(&rest, &line))
            assert_true(span_find(line, SPAN(" error test line ")) > 0);
        buf_finish(&text);
    }
    assert_int_equal(log_open_file("/no/such/directory/log"), -ENOENT);
    assert_int_equal(log_open_file("/dev/null"), 0);
    free(first);
    free(second);
    free(other);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(log_open_file__moves_writers_at_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
