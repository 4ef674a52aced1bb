#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "gguf-make.h"
#include "inference/models.h"
#include "inference/speeds.h"

static char dir[] = "/tmp/stead-models-XXXXXX";
static char file[64], store_dir[64];

static int set_up(void **state)
{
    struct gguf_make m = GGUF_MAKE_LLAMA;
    struct err e = ERR_INIT;
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(file, sizeof file, "%s/one.gguf", dir);
    (void)snprintf(store_dir, sizeof store_dir, "%s/store", dir);
    return gguf_make(&m, file, &e);
}

static int tear_down(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    return path_remove_tree(AT_FDCWD, dir, &e);
}

struct seen {
    char names[256];
    char sha256[65];
    int64_t bytes;
};

static int on_model(void *ctx, const struct models_item *m)
{
    struct seen *s = ctx;
    size_t n = strlen(s->names);
    (void)snprintf(s->names + n, sizeof s->names - n, "%s ", m->name);
    (void)snprintf(s->sha256, sizeof s->sha256, "%s", m->sha256);
    s->bytes = m->bytes;
    return 0;
}

static void models__import_list_find_remove(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(models) struct models *m = NULL;
    AUTO(ptr) char *name = NULL;
    assert_int_equal(models_open(store_dir, &m, &e), 0);
    assert_int_equal(models_import(m, file, NULL, &name, &e), 0);
    assert_string_equal(name, "one");
    assert_int_equal(models_import(m, file, "another", NULL, &e), 0);
    struct seen seen = { "", "", 0 };
    assert_int_equal(models_each(m, on_model, &seen, &e), 0);
    assert_string_equal(seen.names, "another one ");
    assert_int_equal(strlen(seen.sha256), 64);
    assert_true(seen.bytes > 1000);
    AUTO(ptr) char *path = models_path(m, "one", &e);
    assert_non_null(path);
    assert_int_equal(models_import(m, file, NULL, NULL, &e), -ERR_EXISTS);
    assert_non_null(strstr(e.hint, "model remove one"));
    assert_int_equal(models_remove(m, "one", &e), 0);
    assert_int_equal(models_remove(m, "one", &e), -ERR_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(access(file, F_OK), 0); /* what was imported from stays */
}

static void models__refuse_what_is_no_model_or_no_name(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(models) struct models *m = NULL;
    char other[64];
    (void)snprintf(other, sizeof other, "%s/page.gguf", dir);
    assert_int_equal(file_write_atomic(other, SPAN("<html>"), 0644, false, &e), 0);
    assert_int_equal(models_open(store_dir, &m, &e), 0);
    assert_true(models_import(m, other, NULL, NULL, &e) < 0);
    assert_non_null(strstr(e.text, "not a GGUF file"));
    assert_int_equal(models_import(m, file, "../escape", NULL, &e), -ERR_INPUT);
    assert_int_equal(models_import(m, file, ".hidden", NULL, &e), -ERR_INPUT);
    assert_int_equal(models_remove(m, "../store/another", &e), -ERR_INPUT);
    assert_int_equal(models_import(m, "https://example.org/x.gguf", NULL, NULL, &e), -ERR_UNSUPPORTED);
    assert_true(models_import(m, "/no/such/file.gguf", NULL, NULL, &e) < 0);
    struct seen seen = { "", "", 0 };
    assert_int_equal(models_each(m, on_model, &seen, &e), 0);
    assert_null(strstr(seen.names, "page")); /* nothing is left of the attempt */
}

static void speeds__are_remembered_by_file(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct speed s = { 0 };
    assert_int_equal(speeds_find(dir, file, &s), 0);
    assert_int_equal(speeds_note(dir, file, &(struct speed){ .decode = 10, .prompt = 100 }, &e), 0);
    assert_int_equal(speeds_find(dir, file, &s), 1);
    assert_true(s.decode > 9.99 && s.decode < 10.01 && s.prompt > 99);
    assert_int_equal(speeds_note(dir, file, &(struct speed){ .decode = 2 }, &e), 0); /* one run beside a build */
    assert_int_equal(speeds_find(dir, file, &s), 1);
    assert_true(s.decode > 7.9 && s.decode < 8.1 && s.prompt > 99);
    assert_int_equal(speeds_note(dir, file, &(struct speed){ .decode = 0 }, &e), -ERR_INPUT);
    assert_true(speeds_note(dir, "/no/such/file", &(struct speed){ .decode = 1 }, &e) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models__import_list_find_remove),
        cmocka_unit_test(models__refuse_what_is_no_model_or_no_name),
        cmocka_unit_test(speeds__are_remembered_by_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
