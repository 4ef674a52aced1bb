#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
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

static void models__of_a_link_take_what_it_points_to(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(models) struct models *m = NULL;
    char link[64];
    (void)snprintf(link, sizeof link, "%s/link.gguf", dir);
    assert_int_equal(symlink("one.gguf", link), 0); /* relative: nothing of that name is in the store */
    assert_int_equal(models_open(store_dir, &m, &e), 0);
    assert_int_equal(models_import(m, link, "linked", NULL, &e), 0);
    AUTO(ptr) char *path = models_path(m, "linked", &e);
    struct stat st;
    assert_non_null(path);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(models_remove(m, "linked", &e), 0);
}

static void models__are_files_and_nothing_else(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(models) struct models *m = NULL;
    char fifo[64], gone[64];
    (void)snprintf(fifo, sizeof fifo, "%s/fifo.gguf", dir);
    (void)snprintf(gone, sizeof gone, "%s/gone.gguf", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(symlink("nowhere", gone), 0);
    assert_int_equal(models_open(store_dir, &m, &e), 0);
    const char *const rows[] = { "/dev/zero", dir, fifo }; /* the first would fill the disk */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(models_import(m, rows[i], "x", NULL, &e), -ERR_INPUT);
        assert_non_null(strstr(e.text, "it is not a file"));
    }
    assert_int_equal(models_import(m, gone, NULL, NULL, &e), -ERR_NOT_FOUND);
    assert_null(strstr(e.text, ".part"));
    assert_int_equal(models_import(m, file, "pilot", NULL, &e), -ERR_EXISTS); /* the bundled one's name */
    assert_int_equal(models_remove(m, "pilot", &e), -ERR_INPUT);
}

static void models__leave_nothing_of_an_interrupted_import(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(models) struct models *m = NULL;
    char part[96], lock[96];
    (void)snprintf(part, sizeof part, "%s/of-another.part", store_dir);
    (void)snprintf(lock, sizeof lock, "%s/.lock", store_dir);
    assert_int_equal(models_open(store_dir, &m, &e), 0);
    assert_int_equal(file_write_atomic(part, SPAN("half"), 0644, false, &e), 0);
    assert_int_equal(models_import(m, file, "next", NULL, &e), 0);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(models_remove(m, "next", &e), 0);

    assert_int_equal(file_write_atomic(part, SPAN("half"), 0644, false, &e), 0);
    AUTO(fd) int other = open(lock, O_RDWR | O_CLOEXEC); /* unless it is not interrupted at all */
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(models_import(m, file, "next", NULL, &e), -ERR_UNAVAILABLE);
    assert_int_equal(access(part, F_OK), 0);
}

/* One file of a model in parts: a header with nothing but its number. */
static void write_part(const char *path, uint16_t no, uint16_t count)
{
    AUTO(buf) struct buf b = BUF_INIT(4096);
    struct err e = ERR_INIT;
    static const char *const keys[] = { "split.no", "split.count" };
    const uint16_t values[] = { no, count };
    const uint32_t version = 3, u16 = 2;
    const uint64_t none = 0, two = 2;
    buf_adds(&b, "GGUF");
    buf_add(&b, &version, 4), buf_add(&b, &none, 8), buf_add(&b, &two, 8);
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = strlen(keys[i]);
        buf_add(&b, &n, 8), buf_adds(&b, keys[i]), buf_add(&b, &u16, 4), buf_add(&b, &values[i], 2);
    }
    while (b.n % 32)
        buf_addc(&b, 0);
    assert_int_equal(file_write_atomic(path, buf_span(&b), 0644, false, &e), 0);
}

static void models__in_parts_are_one(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(models) struct models *m = NULL;
    AUTO(ptr) char *name = NULL;
    char paths[3][96];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%s/big-%05d-of-00003.gguf", dir, i + 1);
        if (i < 2)
            write_part(paths[i], (uint16_t)i, 3);
    }
    (void)snprintf(store_dir, sizeof store_dir, "%s/parts", dir);
    assert_int_equal(models_open(store_dir, &m, &e), 0);
    assert_int_equal(models_import(m, paths[1], NULL, NULL, &e), -ERR_INPUT);
    assert_non_null(strstr(e.hint, "big-00001-of-00003.gguf"));
    assert_int_equal(models_import(m, paths[0], NULL, NULL, &e), -ERR_NOT_FOUND);
    assert_non_null(strstr(e.text, "part 3 of 3"));
    write_part(paths[2], 1, 3); /* another's */
    assert_int_equal(models_import(m, paths[0], NULL, NULL, &e), -ERR_INPUT);
    assert_non_null(strstr(e.text, "it says that it is part 2 of 3"));
    struct seen none = { "", "", 0 };
    assert_int_equal(models_each(m, on_model, &none, &e), 0);
    assert_string_equal(none.names, "");

    write_part(paths[2], 2, 3);
    assert_int_equal(models_import(m, paths[0], NULL, &name, &e), 0);
    assert_string_equal(name, "big");
    assert_int_equal(models_import(m, paths[0], "other", NULL, &e), 0);
    assert_int_equal(models_import(m, paths[0], NULL, NULL, &e), -ERR_EXISTS);
    struct seen seen = { "", "", 0 };
    assert_int_equal(models_each(m, on_model, &seen, &e), 0);
    assert_string_equal(seen.names, "big other ");
    assert_int_equal(seen.bytes, 3 * 96);
    AUTO(ptr) char *path = models_path(m, "other", &e);
    assert_non_null(path);
    assert_string_equal(path_base(path), "other-00001-of-00003.gguf");
    assert_int_equal(models_remove(m, "other", &e), 0);
    assert_int_equal(models_remove(m, "big", &e), 0);
    assert_int_equal(rmdir(store_dir), -1); /* its lock is all that is left */
    (void)snprintf(paths[0], sizeof paths[0], "%s/.lock", store_dir);
    assert_int_equal(unlink(paths[0]), 0);
    assert_int_equal(rmdir(store_dir), 0);
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
        cmocka_unit_test(models__of_a_link_take_what_it_points_to),
        cmocka_unit_test(models__are_files_and_nothing_else),
        cmocka_unit_test(models__leave_nothing_of_an_interrupted_import),
        cmocka_unit_test(models__in_parts_are_one),
        cmocka_unit_test(speeds__are_remembered_by_file),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
