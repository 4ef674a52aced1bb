#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "gguf-make.h"
#include "inference/gguf.h"
#include "inference/shape.h"

static char dir[] = "/tmp/stead-gguf-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    return path_remove_tree(AT_FDCWD, dir, &e);
}

static const char *made(const struct gguf_make *m)
{
    static char path[64];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/m.gguf", dir);
    assert_int_equal(gguf_make(m, path, &e), 0);
    return path;
}

static void gguf_open__reads_keys_and_tensors(void **state)
{
    (void)state;
    struct gguf_make m = GGUF_MAKE_LLAMA;
    struct err e = ERR_INIT;
    AUTO(gguf) struct gguf *g = NULL;
    assert_int_equal(gguf_open(made(&m), &g, &e), 0);
    assert_true(span_eqs(gguf_text(g, "general.architecture"), "llama"));
    assert_int_equal(gguf_arch_i64(g, "block_count", 0), 2);
    assert_int_equal(gguf_arch_i64(g, "no_such_key", -5), -5);
    const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    assert_non_null(tokens);
    assert_int_equal(tokens->n, 320);
    assert_int_equal(tokens->of, GGUF_TEXT);
    assert_null(tokens->items);
    assert_int_equal(g->ntensors, 3 + 2 * 9);
    assert_string_equal(g->tensors[0].name, "token_embd.weight");
    assert_int_equal(g->tensors[0].bytes, 64 * 320 * 4);
    assert_string_equal(gguf_file_type(g), "F32");
}

static void gguf_open__says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t n;
        const char *says;
    } rows[] = {
        { "empty", "", 0, "not a GGUF file" },
        { "other", "<html>nothing", 13, "not a GGUF file" },
        { "cut", "GGUF\3\0\0\0\1", 9, "it ends inside its header" },
        { "version", "GGUF\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24, "GGUF version 1" },
        { "counts", "GGUF\3\0\0\0\377\377\377\377\377\377\377\377\0\0\0\0\0\0\0\0", 24, "18446744073709551615 tensors" },
        { "more than the file holds", "GGUF\3\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0", 24, "it ends inside its header" },
        { "string", "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\377\377\377\377\377\377\377\177pppppppp", 40, "a string of" },
        { "list in list", "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0k\11\0\0\0\11\0\0\0\1\0\0\0\0\0\0\0", 49, "a list of type 9" },
        { "type", "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0k\77\0\0\0", 37, "type 63" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err e = ERR_INIT;
        struct gguf *g = NULL;
        int rc = gguf_parse((struct span){ rows[i].bytes, rows[i].n }, 0, &g, &e);
        if (rc >= 0 || !strstr(e.text, rows[i].says))
            fail_msg("%s: %d '%s', expected '%s'", rows[i].name, rc, e.text, rows[i].says);
        assert_null(g);
    }
}

/* A file of one key and two tensors of 8 numbers, the second at `offset`. */
static void two_tensors(struct buf *b, const char *first, const char *second, uint64_t offset, int keys)
{
    const char *const names[] = { first, second };
    const uint64_t one = 1, two = 2, eight = 8, nkeys = (uint64_t)keys;
    const uint32_t version = 3, u8 = 0, dims = 1, f32 = 0;
    buf_adds(b, "GGUF");
    buf_add(b, &version, 4), buf_add(b, &two, 8), buf_add(b, &nkeys, 8);
    for (int i = 0; i < keys; i++)
        buf_add(b, &one, 8), buf_addc(b, 'k'), buf_add(b, &u8, 4), buf_addc(b, 7);
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = strlen(names[i]), at = i ? offset : 0;
        buf_add(b, &n, 8), buf_adds(b, names[i]), buf_add(b, &dims, 4), buf_add(b, &eight, 8), buf_add(b, &f32, 4), buf_add(b, &at, 8);
    }
    while (b->n % 32)
        buf_addc(b, 0);
    for (int i = 0; i < 128; i++)
        buf_addc(b, 1);
}

static void gguf_parse__wants_tensors_one_behind_the_other(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        uint64_t offset;
        int keys;
        const char *says; /* NULL: it is fine */
    } rows[] = {
        { "a", "b", 32, 1, NULL },
        { "a", "b", 0, 1, "tensor 'b' lies at byte 0 of the data, expected 32" },
        { "a", "b", 16, 1, "tensor 'b' lies at byte 16" },
        { "a", "b", 64, 1, "tensor 'b' lies at byte 64" },
        { "a", "b", UINT64_MAX - 31, 1, "tensor 'b' lies at byte 18446744073709551584" },
        { "a", "a", 32, 1, "tensor 'a' is there twice" },
        { "a", "b", 32, 2, "key 'k' is there twice" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err e = ERR_INIT;
        AUTO(gguf) struct gguf *g = NULL;
        AUTO(buf) struct buf b = BUF_INIT(4096);
        two_tensors(&b, rows[i].first, rows[i].second, rows[i].offset, rows[i].keys);
        int rc = gguf_parse(buf_span(&b), 0, &g, &e);
        if (rows[i].says ? rc >= 0 || !strstr(e.text, rows[i].says) : rc < 0)
            fail_msg("row %zu: %d '%s'", i, rc, e.text);
    }
}

/* Every file that is cut off, and every single changed byte of a header, is refused or read: never worse. */
static void gguf_parse__survives_cuts_and_flips(void **state)
{
    (void)state;
    struct gguf_make m = GGUF_MAKE_LLAMA;
    struct err e = ERR_INIT;
    m.vocab = 270, m.layers = 1, m.embd = 32, m.ff = 32, m.head_dim = 8;
    AUTO(buf) struct buf whole = BUF_INIT(8u << 20);
    assert_int_equal(file_read(made(&m), 4u << 20, &whole, &e), 0);
    struct gguf *g;
    assert_int_equal(gguf_parse(buf_span(&whole), 0, &g, &e), 0);
    size_t header = (size_t)g->data_offset;
    gguf_destroy(g);
    for (size_t n = 0; n < header; n += 7) {
        g = NULL;
        assert_true(gguf_parse(span_sub(buf_span(&whole), 0, n), 0, &g, &e) < 0);
    }
    for (size_t i = 0; i < header; i += 3) {
        struct shape s = { .layers = 0 };
        char was = whole.p[i];
        whole.p[i] = (char)~was;
        g = NULL;
        if (gguf_parse(buf_span(&whole), 0, &g, &e) == 0)
            (void)!shape_of(g, 0xffff, &s, &e);
        shape_finish(&s);
        gguf_destroy(g);
        whole.p[i] = was;
    }
}

static void shape__knows_each_family(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct gguf_make m = GGUF_MAKE_LLAMA;
    m.layers = 12, m.arch = "gemma3", m.window = 512;
    struct shape s;
    assert_int_equal(shape_read(made(&m), 0, &s, &e), 0);
    assert_int_equal(s.window, 512);
    for (int i = 0; i < 12; i++)
        assert_int_equal(s.layer[i].window, i % 6 != 5);
    shape_finish(&s);

    m.arch = "qwen35", m.layers = 8;
    assert_int_equal(shape_read(made(&m), 0, &s, &e), 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(s.layer[i].recurrent, i % 4 != 3);
        assert_int_equal(s.layer[i].attention, i % 4 == 3);
    }
    assert_int_equal(s.state_r, 3 * (32 * 4 + 2 * 2 * 32));
    assert_int_equal(s.state_s, 32 * 32 * 4);
    shape_finish(&s);

    m.arch = "deepseek2", m.layers = 2, m.head_dim = 48;
    assert_int_equal(shape_read(made(&m), 0, &s, &e), 0);
    assert_true(s.latent);
    assert_int_equal(s.layer[0].head_k, 64 + 16);
    shape_finish(&s);
}

static void shape__refuses_impossible_geometry(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct gguf_make m = GGUF_MAKE_LLAMA;
    struct shape s = { .layers = 0 };
    AUTO(buf) struct buf file = BUF_INIT(8u << 20);
    assert_int_equal(file_read(made(&m), 4u << 20, &file, &e), 0);
    ptrdiff_t at = span_find(buf_span(&file), SPAN("llama.block_count"));
    assert_true(at > 0);
    memset(file.p + at + 17 + 4, 0xff, 4); /* behind the key and its type */
    AUTO(gguf) struct gguf *g = NULL;
    assert_int_equal(gguf_parse(buf_span(&file), 0, &g, &e), 0);
    assert_int_equal(shape_of(g, 0, &s, &e), -ERR_INPUT);
    assert_non_null(strstr(e.text, "block_count is 4294967295"));
}

/* The seeds of the fuzzer, and what it once found. */
static void gguf_parse__replays_the_corpus(void **state)
{
    (void)state;
    DIR *d = opendir(GGUF_CORPUS);
    assert_non_null(d);
    const struct dirent *entry;
    int n = 0;
    while ((entry = readdir(d))) {
        if (entry->d_name[0] == '.')
            continue;
        char path[512];
        struct err e = ERR_INIT;
        AUTO(buf) struct buf file = BUF_INIT(8u << 20);
        AUTO(gguf) struct gguf *g = NULL;
        struct shape s = { .layers = 0 };
        (void)snprintf(path, sizeof path, "%s/%s", GGUF_CORPUS, entry->d_name);
        assert_int_equal(file_read(path, 4u << 20, &file, &e), 0);
        if (gguf_parse(buf_span(&file), 1ull << 40, &g, &e) == 0 && shape_of(g, 0xffff, &s, &e) == 0)
            shape_finish(&s);
        n++;
    }
    (void)closedir(d);
    assert_true(n >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf_open__reads_keys_and_tensors),
        cmocka_unit_test(gguf_open__says_what_is_wrong),
        cmocka_unit_test(gguf_parse__wants_tensors_one_behind_the_other),
        cmocka_unit_test(gguf_parse__survives_cuts_and_flips),
        cmocka_unit_test(shape__knows_each_family),
        cmocka_unit_test(shape__refuses_impossible_geometry),
        cmocka_unit_test(gguf_parse__replays_the_corpus),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
