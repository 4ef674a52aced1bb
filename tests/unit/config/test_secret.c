#include "config/secret.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/mem.h"

static char path[] = "/tmp/stead-secret-XXXXXX";

static int setup(void **state)
{
    (void)state;
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    return fd < 0 || write(fd, "file-key\n", 9) != 9 || close(fd) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void load__takes_the_key_from_where_the_endpoint_says(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct loop *loop = NULL;
    assert_int_equal(loop_create(&loop, &e), 0);
    (void)setenv("STEAD_TEST_KEY", "env-key", 1);
    (void)unsetenv("STEAD_API_KEY");
    const struct {
        struct config_endpoint ep;
        const char *value;
    } rows[] = {
        { { .name = "a", .key_env = "STEAD_TEST_KEY" }, "env-key" },
        { { .name = "b", .key_file = path }, "file-key" },
        { { .name = "c", .key_command = "echo command-key; echo more" }, "command-key" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(secret) struct secret s = SECRET_INIT;
        if (secret_load(loop, &rows[i].ep, &s, NULL, &e) != 1)
            fail_msg("row %zu: %s", i, e.text);
        assert_true(span_eqs(secret_span(&s), rows[i].value));
    }
    AUTO(secret) struct secret s = SECRET_INIT;
    struct config_endpoint none = { .name = "d" };
    assert_int_equal(secret_load(loop, &none, &s, NULL, &e), 0);
    (void)setenv("STEAD_API_KEY", "fallback", 1);
    assert_int_equal(secret_load(loop, &none, &s, NULL, &e), 1);
    assert_true(span_eqs(secret_span(&s), "fallback"));
    (void)unsetenv("STEAD_API_KEY");
    loop_destroy(loop);
}

static void load__names_the_source_and_never_the_value(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct loop *loop = NULL;
    AUTO(secret) struct secret s = SECRET_INIT;
    assert_int_equal(loop_create(&loop, &e), 0);
    struct config_endpoint unset = { .name = "a", .key_env = "STEAD_NOT_SET" };
    assert_true(secret_load(loop, &unset, &s, NULL, &e) < 0);
    assert_string_equal(e.text, "endpoint 'a': the environment variable 'STEAD_NOT_SET' is not set");
    struct config_endpoint failing = { .name = "a", .key_command = "echo s3cret; exit 3" };
    assert_true(secret_load(loop, &failing, &s, NULL, &e) < 0);
    assert_string_equal(e.text, "endpoint 'a': the key command: it ended with exit code 3");
    assert_int_equal(chmod(path, 0644), 0);
    struct config_endpoint open = { .name = "a", .key_file = path };
    assert_true(secret_load(loop, &open, &s, NULL, &e) < 0);
    assert_non_null(strstr(e.text, "may be read by others"));
    assert_non_null(strstr(e.hint, "chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(secret_set(&s, SPAN("a\r\nX-Evil: 1"), &e), -ERR_INPUT);
    assert_null(strstr(e.text, "Evil"));
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(load__takes_the_key_from_where_the_endpoint_says, setup, teardown),
        cmocka_unit_test_setup_teardown(load__names_the_source_and_never_the_value, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
