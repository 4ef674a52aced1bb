/*
 * `stead fit` and `stead model` as a script sees them: the program is run, its JSON has the members of the contract.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bind.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "gguf-make.h"

static char dir[] = "/tmp/stead-fitcli-XXXXXX";
static char model[64];
static struct loop *loop;

static int set_up(void **state)
{
    struct gguf_make m = GGUF_MAKE_LLAMA;
    struct err e = ERR_INIT;
    (void)state;
    if (!mkdtemp(dir) || loop_create(&loop, &e) < 0)
        return -1;
    (void)snprintf(model, sizeof model, "%s/tiny.gguf", dir);
    return gguf_make(&m, model, &e);
}

static int tear_down(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    loop_destroy(loop);
    return path_remove_tree(AT_FDCWD, dir, &e);
}

static const char *library_path; /* LD_LIBRARY_PATH=..., or NULL */

static int stead(struct buf *out, const char *const *args)
{
    const char *argv[16] = { STEAD_PROGRAM };
    char cache[96], state[96], home[96];
    struct err e = ERR_INIT;
    size_t n = 1;
    for (size_t i = 0; args[i]; i++)
        argv[n++] = args[i];
    (void)snprintf(cache, sizeof cache, "STEAD_CACHE_DIR=%s/cache", dir);
    (void)snprintf(state, sizeof state, "STEAD_STATE_DIR=%s/state", dir);
    (void)snprintf(home, sizeof home, "HOME=%s", dir);
    const char *env[] = { cache, state, home, "LC_ALL=C.UTF-8", library_path, NULL };
    struct proc_spec spec = { .argv = argv, .env = env, .cwd = dir, .out = PROC_PIPE, .err = PROC_INHERIT, .die_with_parent = true,
                              .out_cap_bytes = 8u << 20 };
    struct proc *p;
    int status = -1;
    assert_int_equal(proc_start(loop, &spec, &p, &e), 0);
    assert_int_equal(proc_wait(p, clock_ms() + 60000, NULL, &status, &e), 0);
    buf_reset(out);
    buf_add_span(out, proc_output(p, 1));
    proc_destroy(p);
    return status;
}
#define STEAD(out, ...) stead((out), (const char *const[]){ __VA_ARGS__, NULL })

static json_t *json_of(const struct buf *b)
{
    struct err e = ERR_INIT;
    json_t *j = NULL;
    if (json_parse(buf_span(b), BIND_TOLERANT, &j, &e) < 0)
        fail_msg("%s in: %s", e.text, buf_str(b));
    return j;
}

static void check_model(const json_t *m)
{
    static const char *const parts[] = { "weights", "repack", "kv", "recurrent", "compute", "output", "projector" };
    const json_t *memory = json_object_get(m, "memory_bytes");
    json_int_t sum = 0;
    assert_true(json_is_string(json_object_get(m, "name")) && json_is_string(json_object_get(m, "quant")));
    assert_true(json_is_integer(json_object_get(m, "context_tokens")) && json_is_string(json_object_get(m, "kv_type")));
    assert_true(json_is_boolean(json_object_get(m, "fits")));
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        sum += json_integer_value(json_object_get(memory, parts[i]));
    assert_int_equal(sum, json_integer_value(json_object_get(memory, "total")));
    const json_t *speed = json_object_get(m, "tokens_per_second");
    assert_true(json_is_null(speed) || json_is_number(json_object_get(speed, "measured")) ||
                (json_is_number(json_object_get(speed, "low")) && json_is_number(json_object_get(speed, "expected")) &&
                 json_is_number(json_object_get(speed, "high"))));
}

static void fit__json_has_the_members_of_the_contract(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(16u << 20);
    assert_int_equal(STEAD(&out, "fit", "--json"), 0);
    AUTO(json) json_t *all = json_of(&out);
    assert_int_equal(json_integer_value(json_object_get(all, "v")), 1);
    assert_true(json_integer_value(json_object_get(json_object_get(all, "hardware"), "memory_bytes")) > 0);
    const json_t *models = json_object_get(all, "models"), *m;
    size_t i;
    bool fits = true, demo = false;
    assert_true(json_array_size(models) > 50);
    json_array_foreach(models, i, m) {
        check_model(m);
        bool now = json_is_true(json_object_get(m, "fits"));
        assert_true(fits || !now); /* what fits comes first */
        fits = now;
        assert_false(now && demo); /* and of that the pilot last */
        demo |= strcmp(json_string_value(json_object_get(m, "name")), "pilot (bundled)") == 0;
    }
}

static void fit__of_a_file(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(16u << 20);
    assert_int_equal(STEAD(&out, "fit", model, "--json", "--ctx", "2048", "--slots", "2", "--kv-type", "q8_0,f16"), 0);
    AUTO(json) json_t *j = json_of(&out);
    const json_t *m = json_array_get(json_object_get(j, "models"), 0);
    check_model(m);
    assert_int_equal(json_integer_value(json_object_get(m, "context_tokens")), 2048);
    /* 2 slots, 2048 cells, 2 layers, 32 numbers of each: keys 34 bytes, values 64 */
    assert_int_equal(json_integer_value(json_object_get(json_object_get(m, "memory_bytes"), "kv")), 2 * 2048 * 2 * (34 + 64));
    /* more than the 4096 it was made for: as asked */
    assert_int_equal(STEAD(&out, "fit", model, "--json", "--ctx", "16384"), 0);
    AUTO(json) json_t *beyond = json_of(&out);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(beyond, "models"), 0), "context_tokens")), 16384);
    assert_int_equal(STEAD(&out, "fit", model, "--kv-type", "q9"), 2);
    assert_int_equal(STEAD(&out, "fit", model, "--kv-type", "f16,f16,f16"), 2);
    assert_int_equal(STEAD(&out, "fit", "/no/such/file.gguf"), 1);
    assert_int_equal(STEAD(&out, "fit", "--need", "no such model"), 1);
}

/* The header is whole, but llama.cpp does not know the architecture: figures, and no word that it fits. */
static void fit__says_what_llama_cpp_refuses(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(16u << 20);
    AUTO(buf) struct buf file = BUF_INIT(64u << 20);
    char path[96];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/other.gguf", dir);
    assert_int_equal(file_read(model, 32u << 20, &file, &e), 0);
    for (ptrdiff_t at; (at = span_find(buf_span(&file), SPAN("llama"))) >= 0;)
        memcpy(file.p + at, "quoka", 5);
    assert_int_equal(file_write_atomic(path, buf_span(&file), 0600, false, &e), 0);
    assert_int_equal(STEAD(&out, "fit", path, "--json"), 0);
    AUTO(json) json_t *j = json_of(&out);
    const json_t *m = json_array_get(json_object_get(j, "models"), 0);
    check_model(m);
    if (json_is_null(json_object_get(m, "loads")))
        skip(); /* no engine here: nobody can say */
    assert_true(json_is_false(json_object_get(m, "loads")) && json_is_false(json_object_get(m, "fits")));
    assert_non_null(strstr(json_string_value(json_object_get(m, "note")), "llama.cpp cannot load this file: "));
    assert_non_null(strstr(json_string_value(json_object_get(m, "note")), "quoka"));
    assert_int_equal(STEAD(&out, "fit", path), 0);
    assert_non_null(strstr(buf_str(&out), "llama.cpp cannot load this file"));
}

static void fit__writes_a_page(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(16u << 20);
    AUTO(buf) struct buf page = BUF_INIT(16u << 20);
    char path[96];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/fit.html", dir);
    assert_int_equal(STEAD(&out, "fit", model, "--html", path), 0);
    assert_non_null(strstr(buf_str(&out), "How the cache grows"));
    assert_int_equal(file_read(path, 8u << 20, &page, &e), 0);
    assert_non_null(strstr(buf_str(&page), "<svg"));
    assert_null(strstr(buf_str(&page), "http")); /* nothing from outside */
    assert_non_null(strstr(buf_str(&page), "far above this picture")); /* a model of half a megabyte is no line at its bottom */
    assert_non_null(strstr(buf_str(&page), "text-anchor=\"end\">")); /* the figure at the right edge stays inside */

    /* the pilot is not what one is to work with */
    assert_int_equal(STEAD(&out, "fit", "--html", path), 0);
    assert_int_equal(file_read(path, 8u << 20, (buf_reset(&page), &page), &e), 0);
    const char *row = strstr(buf_str(&page), "pilot (bundled)");
    if (row)
        assert_true(strstr(row, "for demonstrations only") < strstr(row, "</tr>"));
}

/* GPUs by a library that is loaded when it is there; whatever it says stays within bounds, and nobody takes the engine for a GPU's. */
static void fit__asks_nvml_and_does_not_trust_it(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(16u << 20);
    library_path = "LD_LIBRARY_PATH=" FAKE_NVML_DIR;
    assert_int_equal(STEAD(&out, "fit", "--json"), 0);
    AUTO(json) json_t *j = json_of(&out);
    const json_t *gpus = json_object_get(json_object_get(j, "hardware"), "gpus");
    assert_int_equal(json_array_size(gpus), 3);
    static const struct {
        const char *name;
        int64_t memory;
        bool unified;
    } rows[] = { { "AAAA", 0, false }, { "NVIDIA RTX 4090", (int64_t)24 << 30, false }, { "GB10", 0, true } };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const json_t *g = json_array_get(gpus, i);
        assert_true(strncmp(json_string_value(json_object_get(g, "name")), rows[i].name, strlen(rows[i].name)) == 0);
        assert_int_equal(json_integer_value(json_object_get(g, "memory_bytes")), rows[i].memory);
        assert_int_equal(json_is_true(json_object_get(g, "unified")), rows[i].unified);
    }
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(j, "models"), 0), "on")), "gpu1");
    assert_int_equal(STEAD(&out, "fit"), 0);
    assert_non_null(strstr(buf_str(&out), "That is on NVIDIA RTX 4090, by a llama-server"));
    (void)STEAD(&out, "doctor"); /* how it ends depends on the rest of this machine */
    assert_non_null(strstr(buf_str(&out), "NVIDIA RTX 4090: 23 GiB free of 24 GiB"));
    library_path = NULL;
}

/* Rows of a user's own, beside the built-in ones and in their place; a bad one is named. */
static void catalogue__takes_rows_of_ones_own(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(16u << 20);
    struct err e = ERR_INIT;
    char own[128], path[160], text[1024];
    static const char head[] = "name,arch,kind,params_b,active_b,layers,full_layers,kv_heads,head_dim,window,window_layers,window_kv_heads,"
                               "window_head_dim,context,licence,q4_name,q4_gb,q4_basis,q8_gb,q8_basis,sources,notes\n";
    (void)snprintf(own, sizeof own, "%s/.config/stead/data/catalogue", dir);
    (void)snprintf(path, sizeof path, "%s/mine.csv", own);
    assert_int_equal(path_mkdirs(own, 0755, &e), 0);
    (void)snprintf(text, sizeof text, "%sMine-7B,llama,full,7,,32,32,8,128,,,,,32768,MIT,,4.1,me,,,me,\nQwen3-14B,qwen3,full,14,,40,40,8,128,,,,,32768,MIT,,9.9,me,,,me,\n", head);
    assert_int_equal(file_write_atomic(path, span_of(text), 0644, false, &e), 0);
    assert_int_equal(STEAD(&out, "model", "catalogue", "--json"), 0);
    AUTO(json) json_t *j = json_of(&out);
    const json_t *m;
    size_t i, mine = 0, same = 0;
    json_array_foreach(json_object_get(j, "models"), i, m) {
        mine += strcmp(json_string_value(json_object_get(m, "name")), "Mine-7B") == 0;
        if (strcmp(json_string_value(json_object_get(m, "name")), "Qwen3-14B") != 0)
            continue;
        same++;
        assert_int_equal(json_integer_value(json_object_get(m, "bytes")), 9900000000);
    }
    assert_int_equal(mine, 1);
    assert_int_equal(same, 1);
    assert_int_equal(STEAD(&out, "fit", "--need", "mine-7b"), 0);
    assert_int_equal(file_write_atomic(path, SPAN("Mine-7B,llama\n"), 0644, false, &e), 0);
    assert_int_equal(STEAD(&out, "model", "catalogue"), 1);
    assert_int_equal(unlink(path), 0);
}

static void model__import_list_use_remove(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(16u << 20);
    assert_int_equal(STEAD(&out, "model", "import", model, "--name", "mine"), 0);
    assert_int_equal(STEAD(&out, "model", "list", "--json"), 0);
    AUTO(json) json_t *j = json_of(&out);
    const json_t *m;
    size_t i;
    bool found = false;
    json_array_foreach(json_object_get(j, "models"), i, m)
        found |= strcmp(json_string_value(json_object_get(m, "name")), "mine") == 0;
    assert_true(found);
    assert_int_equal(STEAD(&out, "fit", "mine", "--json"), 0); /* by its name */
    assert_non_null(strstr(buf_str(&out), "cache/models/mine.gguf"));
    assert_int_equal(STEAD(&out, "model", "catalogue", "qwen"), 0);
    assert_non_null(strstr(buf_str(&out), "Qwen3-Coder"));
    assert_int_equal(STEAD(&out, "model", "remove", "mine"), 0);
    assert_int_not_equal(STEAD(&out, "model", "remove", "mine"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit__json_has_the_members_of_the_contract),
        cmocka_unit_test(fit__of_a_file),
        cmocka_unit_test(fit__says_what_llama_cpp_refuses),
        cmocka_unit_test(fit__writes_a_page),
        cmocka_unit_test(fit__asks_nvml_and_does_not_trust_it),
        cmocka_unit_test(catalogue__takes_rows_of_ones_own),
        cmocka_unit_test(model__import_list_use_remove),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
