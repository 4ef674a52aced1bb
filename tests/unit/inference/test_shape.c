/*
 * What each architecture keeps of a context, against llama.cpp's own log: v0.5.0 loaded files with exactly these keys (and
 * random weights) with two conversations of 4096 tokens, a batch of 512 and an F16 cache. All files carry the keys of all
 * families, as converters sometimes leave some that llama.cpp does not read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "inference/fit.h"

enum { T_U32 = 4, T_STRING = 8, T_ARRAY = 9 };

struct maker {
    const char *arch;
    struct buf keys;
    uint64_t nkeys;
};

static void put32(struct buf *b, uint32_t v)
{
    buf_add(b, &v, 4);
}

static void put64(struct buf *b, uint64_t v)
{
    buf_add(b, &v, 8);
}

static void put_text(struct buf *b, const char *s)
{
    put64(b, strlen(s));
    buf_adds(b, s);
}

static void key(struct maker *m, const char *name, uint32_t type)
{
    char full[128];
    (void)snprintf(full, sizeof full, strncmp(name, "general.", 8) == 0 ? "%.0s%s" : "%s.%s", m->arch, name);
    put_text(&m->keys, full);
    put32(&m->keys, type);
    m->nkeys++;
}

static void number(struct maker *m, const char *name, uint32_t v)
{
    key(m, name, T_U32);
    put32(&m->keys, v);
}

static void list(struct maker *m, const char *name, const uint32_t *v, uint32_t n)
{
    key(m, name, T_ARRAY);
    put32(&m->keys, T_U32);
    put64(&m->keys, n);
    for (uint32_t i = 0; i < n; i++)
        put32(&m->keys, v[i]);
}

/* Heads: the same everywhere; none in the second layer; or so, and a feed-forward part in the third only (nemotron_h). */
enum heads { EVERYWHERE, NOT_SECOND, NOT_SECOND_FF_THIRD };
enum window { BY_NUMBER, BY_LIST };

static const struct row {
    const char *arch;
    uint32_t layers, embd, heads, kv_heads;
    enum heads where;
    enum window window;
    bool latent;
    uint32_t inner, groups;
    double kv_mib, state_mib; /* as logged */
} rows[] = {
    { "llama", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 16, 0 },
    { "qwen2", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 16, 0 },
    { "phi3", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 16, 0 },
    { "dream", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 0, 0 },
    { "gemma2", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 11, 0 },
    { "gemma3", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 11, 0 },
    { "gemma3n", 22, 64, 1, 1, EVERYWHERE, BY_NUMBER, false, 128, 2, 27.5, 0 },
    { "cohere2", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 11, 0 },
    { "gpt-oss", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 11, 0 },
    { "afmoe", 2, 256, 4, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 5.5, 0 },
    { "llama4", 4, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 32, 0 },
    { "smallthinker", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 16, 0 },
    { "granite_swa", 2, 256, 2, 2, EVERYWHERE, BY_LIST, false, 512, 2, 11, 0 },
    { "spark2_5", 2, 256, 2, 2, EVERYWHERE, BY_LIST, false, 512, 2, 11, 0 },
    { "deepseek2", 2, 128, 1, 1, EVERYWHERE, BY_NUMBER, true, 256, 2, 18, 0 },
    { "mamba", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 0, 1.02 },
    { "mamba2", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 0, 1.05 },
    { "jamba", 2, 256, 2, 2, NOT_SECOND, BY_NUMBER, false, 512, 2, 8, 0.51 },
    { "plamo2", 2, 256, 2, 2, NOT_SECOND, BY_NUMBER, false, 512, 0, 8, 0.51 },
    { "granitehybrid", 2, 256, 2, 2, NOT_SECOND, BY_NUMBER, false, 512, 2, 8, 0.52 },
    { "falcon-h1", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 16, 1.05 },
    { "nemotron_h", 3, 256, 2, 2, NOT_SECOND_FF_THIRD, BY_NUMBER, false, 512, 2, 8, 0.52 },
    { "lfm2", 2, 256, 2, 2, NOT_SECOND, BY_NUMBER, false, 512, 2, 3, 0 },
    { "lfm2moe", 2, 256, 2, 2, NOT_SECOND, BY_NUMBER, false, 512, 2, 8, 0 },
    { "kimi-linear", 2, 128, 1, 1, NOT_SECOND, BY_NUMBER, true, 256, 2, 9, 0.13 },
    { "bailingmoe3", 2, 128, 1, 1, NOT_SECOND, BY_NUMBER, true, 256, 2, 9, 0.13 },
    { "minimax-01", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 512, 2, 8, 0.25 },
    { "qwen3next", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 256, 2, 8, 0.27 },
    { "qwen35", 2, 256, 2, 2, EVERYWHERE, BY_NUMBER, false, 256, 2, 8, 0.27 },
};

static void make(const struct row *r, struct buf *out)
{
    static const uint32_t alternate[] = { 0, 1 };
    struct maker m = { r->arch, BUF_INIT(64 << 10), 0 };
    const uint32_t heads[] = { r->heads, 0, r->heads }, kv[] = { r->kv_heads, 0, r->kv_heads }, ff[] = { 0, 0, 384 };
    key(&m, "general.architecture", T_STRING);
    put_text(&m.keys, r->arch);
    number(&m, "vocab_size", 128);
    number(&m, "context_length", 8192);
    number(&m, "embedding_length", r->embd);
    number(&m, "block_count", r->layers);
    number(&m, "full_attention_interval", 2);
    if (r->where == NOT_SECOND_FF_THIRD)
        list(&m, "feed_forward_length", ff, r->layers);
    else
        number(&m, "feed_forward_length", 384);
    if (r->where == EVERYWHERE) {
        number(&m, "attention.head_count", r->heads);
        number(&m, "attention.head_count_kv", r->kv_heads);
    } else {
        list(&m, "attention.head_count", heads, r->layers);
        list(&m, "attention.head_count_kv", kv, r->layers);
    }
    if (r->latent) {
        number(&m, "attention.key_length", 576);
        number(&m, "attention.value_length", 512);
        number(&m, "attention.key_length_mla", 192);
        number(&m, "attention.value_length_mla", 128);
    }
    number(&m, "attention.sliding_window", 1024);
    if (r->window == BY_LIST)
        list(&m, "attention.sliding_window_pattern", alternate, r->layers);
    else
        number(&m, "attention.sliding_window_pattern", 2);
    number(&m, "ssm.inner_size", r->inner);
    number(&m, "ssm.conv_kernel", 4);
    number(&m, "ssm.state_size", 128);
    number(&m, "ssm.time_step_rank", r->heads);
    number(&m, "ssm.group_count", r->groups);
    number(&m, "kda.head_dim", 128);
    number(&m, "wkv.head_size", 128);
    number(&m, "shortconv.l_cache", 3);
    buf_adds(out, "GGUF");
    put32(out, 3);
    put64(out, 0);
    put64(out, m.nkeys);
    buf_add_span(out, buf_span(&m.keys));
    buf_finish(&m.keys);
}

static void shape__keeps_what_llama_cpp_keeps(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct row *r = &rows[i];
        struct err e = ERR_INIT;
        AUTO(buf) struct buf file = BUF_INIT(64 << 10);
        AUTO(gguf) struct gguf *g = NULL;
        AUTO(shape) struct shape s = { .layers = 0 };
        struct fit_how how = FIT_HOW;
        struct fit_memory m;
        make(r, &file);
        if (gguf_parse(buf_span(&file), 0, &g, &e) < 0 || shape_of(g, 0, &s, &e) < 0)
            fail_msg("%s: %s", r->arch, e.text);
        how.slots = 2;
        fit_memory(&s, 4096, &how, &m);
        double kv = (double)m.kv / 1048576, state_mib = (double)m.recurrent / 1048576;
        if (fabs(kv - r->kv_mib) > 0.005 || fabs(state_mib - r->state_mib) > 0.006) {
            print_message("%s: cache %.3f MiB, llama.cpp %.2f; states %.3f, llama.cpp %.2f\n", r->arch, kv, r->kv_mib, state_mib, r->state_mib);
            failed++;
        }
        assert_false(s.unsure_kv);
    }
    assert_int_equal(failed, 0);
}

/* One cache for all: the sum is rounded, not each conversation's part (llama-context.cpp). */
static void shape__rounds_a_shared_cache_once(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf file = BUF_INIT(64 << 10);
    AUTO(gguf) struct gguf *g = NULL;
    AUTO(shape) struct shape s = { .layers = 0 };
    struct fit_how how = FIT_HOW;
    struct fit_memory m;
    make(&rows[0], &file);
    assert_int_equal(gguf_parse(buf_span(&file), 0, &g, &e), 0);
    assert_int_equal(shape_of(g, 0, &s, &e), 0);
    how.slots = 7;
    fit_memory(&s, 5000, &how, &m);
    assert_int_equal(m.kv, (int64_t)5120 * 7 * 2 * 256 * 2 * 2);
    how.unified = true;
    fit_memory(&s, 5000, &how, &m);
    assert_int_equal(m.kv, (int64_t)35072 * 2 * 256 * 2 * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape__keeps_what_llama_cpp_keeps),
        cmocka_unit_test(shape__rounds_a_shared_cache_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
