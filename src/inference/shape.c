/* shape.c - see shape.h. Rules by architecture: src/models/ of the pinned llama.cpp (v0.5.0). */
#include "inference/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "inference/isa.h"

/* --- sliding windows ---------------------------------------------------------------------------- */

/*
 * Architectures whose layers alternate between full and sliding-window attention. The file may give the pattern
 * (a number, or a list by layer); else this one holds: of `period` layers all but one have a window, the full one
 * last (or first). period 0: the file must give the list. Others ignore attention.sliding_window.
 */
static const struct window_rule {
    const char *arch;
    int period;
    bool full_first;
    int64_t absent;      /* size where the file says nothing; 0: then there is no window */
    int64_t fixed;       /* size whatever the file says, unless it says 0 */
} windows[] = {
    { "afmoe", 4, false, 0, 0 },
    { "cohere2", 4, false, 0, 0 },
    { "cohere2moe", 4, true, 0, 0 },
    { "dots3note", 0, false, 0, 0 },
    { "exaone-moe", 4, false, 128, 0 },
    { "exaone4", 4, false, 0, 0 },
    { "gemma-embedding", 6, false, 0, 0 },
    { "gemma2", 2, false, 4096, 0 },
    { "gemma3", 6, false, 0, 0 },
    { "gemma3n", 5, false, 0, 0 },
    { "gemma4", 0, false, 0, 0 },
    { "gpt-oss", 2, false, 0, 0 },
    { "granite_swa", 0, false, 0, 0 },
    { "laguna", 4, true, 0, 0 },
    { "llama4", 4, false, 8192, 8192 },
    { "maple", 0, false, 0, 0 },
    { "mellum", 4, false, 0, 0 },
    { "mimo2", 0, false, 0, 0 },
    { "modern-bert", 3, true, 0, 0 },
    { "muse-glimmer", 4, false, 0, 0 },
    { "olmo2", 4, false, 0, 0 },
    { "plamo3", 8, false, 0, 0 },
    { "smallthinker", 4, true, 0, 4096 },
    { "spark2_5", 0, false, 0, 0 },
    { "step35", 0, false, 0, 0 },
};

static void set_windows(const struct gguf *g, struct shape *s)
{
    const struct window_rule *rule = NULL;
    for (size_t i = 0; i < COUNT_OF(windows); i++)
        if (strcmp(windows[i].arch, s->arch) == 0)
            rule = &windows[i];
    if (!rule || (strcmp(s->arch, "exaone4") == 0 && s->layers != 64))
        return;
    int64_t size = gguf_arch_i64(g, "attention.sliding_window", rule->absent);
    if (rule->fixed && size > 0)
        size = rule->fixed;
    if (strcmp(s->arch, "exaone4") == 0 && size == 0)
        size = 4096;
    if (size <= 0 || size > INT32_MAX)
        return;
    const struct gguf_value *pattern = gguf_find_arch(g, "attention.sliding_window_pattern");
    int64_t period = pattern && pattern->kind == GGUF_INT ? pattern->i : rule->period;
    bool list = pattern && pattern->kind == GGUF_LIST && pattern->items;
    if (!list && !pattern && rule->period == 0)
        return;
    s->window = (int32_t)size;
    for (int32_t i = 0; i < s->layers; i++) {
        if (list)
            s->layer[i].window = (uint64_t)i < pattern->n && pattern->items[i];
        else if (period <= 0)
            s->layer[i].window = true;
        else
            s->layer[i].window = rule->full_first ? i % period != 0 : i % period < period - 1;
    }
}

/* --- recurrent layers ----------------------------------------------------------------------------- */

/* Which layers are recurrent (enum recurrent_rule), and what they keep (enum state_rule). */
enum recurrent_rule { RECURRENT_NONE, RECURRENT_ALL, RECURRENT_INTERVAL, RECURRENT_NO_KV, RECURRENT_NO_KV_NO_FF, RECURRENT_BESIDE };

enum state_rule { STATE_SSM, STATE_SSM_ALONE, STATE_WKV, STATE_CONV, STATE_KDA, STATE_SQUARE };

static const struct recurrent_row {
    const char *arch;
    enum recurrent_rule rule;
    enum state_rule state;
    int64_t interval; /* RECURRENT_INTERVAL: where the file says nothing */
} recurrents[] = {
    { "arwkv7", RECURRENT_ALL, STATE_WKV, 0 },
    { "bailingmoe3", RECURRENT_NO_KV, STATE_KDA, 0 },
    { "falcon-h1", RECURRENT_BESIDE, STATE_SSM, 0 },
    { "granitehybrid", RECURRENT_NO_KV, STATE_SSM, 0 },
    { "jamba", RECURRENT_NO_KV, STATE_SSM_ALONE, 0 },
    { "kimi-k3", RECURRENT_NO_KV, STATE_KDA, 0 },
    { "kimi-linear", RECURRENT_NO_KV, STATE_KDA, 0 },
    { "lfm2", RECURRENT_NO_KV, STATE_CONV, 0 },
    { "lfm2moe", RECURRENT_NO_KV, STATE_CONV, 0 },
    { "mamba", RECURRENT_ALL, STATE_SSM_ALONE, 0 },
    { "mamba2", RECURRENT_ALL, STATE_SSM, 0 },
    { "minimax-01", RECURRENT_INTERVAL, STATE_SQUARE, 8 },
    { "nemotron_h", RECURRENT_NO_KV_NO_FF, STATE_SSM, 0 },
    { "nemotron_h_moe", RECURRENT_NO_KV_NO_FF, STATE_SSM, 0 },
    { "plamo2", RECURRENT_NO_KV, STATE_SSM, 0 },
    { "qwen35", RECURRENT_INTERVAL, STATE_SSM, 4 },
    { "qwen35moe", RECURRENT_INTERVAL, STATE_SSM, 4 },
    { "qwen3next", RECURRENT_INTERVAL, STATE_SSM, 4 },
    { "rwkv6", RECURRENT_ALL, STATE_WKV, 0 },
    { "rwkv6qwen2", RECURRENT_ALL, STATE_WKV, 0 },
    { "rwkv7", RECURRENT_ALL, STATE_WKV, 0 },
};

/* No cache at all: they read a text at once (embeddings), or write all of it at once (diffusion). */
static const char *const cacheless[] = { "bert", "dream", "eurobert", "gemma-embedding", "jina-bert-v2", "jina-bert-v3",
                                         "llada", "llada-moe", "modern-bert", "neo-bert", "nomic-bert", "nomic-bert-moe",
                                         "rnd1", "wavtokenizer-dec" };

/* Caches of their own kind (indexers, compressed states): these formulas would be too small. */
static const char *const unsure[] = { "deepseek32", "deepseek4", "glm-dsa", "qwen4exp", "dots3note", "minimax-m3",
                                      "hy_v4", "t5", "gemma4" };

/* A number of a hostile file, within what products of a few of them can hold. */
static int64_t bounded(const struct gguf *g, const char *key)
{
    int64_t v = gguf_arch_i64(g, key, 0);
    return v < 0 || v > 1 << 20 ? 0 : v;
}

/* llama_hparams::n_embd_r and n_embd_s. Keys of another family may lie in the file too: llama.cpp does not read them. */
static void set_state(const struct gguf *g, enum state_rule rule, struct shape *s)
{
    int64_t wkv = bounded(g, "wkv.head_size"), cache = bounded(g, "shortconv.l_cache"), kda = bounded(g, "kda.head_dim");
    int64_t conv = bounded(g, "ssm.conv_kernel"), inner = bounded(g, "ssm.inner_size"), state = bounded(g, "ssm.state_size");
    int64_t groups = bounded(g, "ssm.group_count"), shift = bounded(g, "token_shift_count");
    int64_t past = conv > 0 ? conv - 1 : 0, head = s->layers > 0 ? s->layer[0].head_k : 0;
    switch (rule) {
    case STATE_WKV:
        s->state_r = (shift ? shift : 2) * s->embd;
        s->state_s = (int64_t)s->embd * wkv;
        break;
    case STATE_CONV:
        s->state_r = cache > 0 ? (int64_t)s->embd * (cache - 1) : 0;
        break;
    case STATE_KDA:
        s->state_r = 3 * (conv > 0 ? past : 3) * s->heads * kda;
        s->state_s = kda * kda * s->heads;
        break;
    case STATE_SQUARE:
        s->state_s = head * head * s->heads;
        s->pairwise = true;
        break;
    case STATE_SSM_ALONE:
    case STATE_SSM:
    default:
        s->state_r = past * (inner + (rule == STATE_SSM ? 2 * groups * state : 0));
        s->state_s = state * inner;
    }
}

static void set_recurrent(const struct gguf *g, struct shape *s)
{
    const struct recurrent_row *row = NULL;
    for (size_t i = 0; i < COUNT_OF(recurrents); i++)
        if (strcmp(recurrents[i].arch, s->arch) == 0)
            row = &recurrents[i];
    if (!row)
        return;
    int64_t interval = gguf_arch_i64(g, "full_attention_interval", row->interval);
    const struct gguf_value *list = row->rule == RECURRENT_INTERVAL ? gguf_find_arch(g, "attention.recurrent_layers") : NULL;
    for (int32_t i = 0; i < s->layers; i++) {
        struct shape_layer *l = &s->layer[i];
        int64_t ff = gguf_arch_at(g, "feed_forward_length", (size_t)i, 0);
        switch (row->rule) {
        case RECURRENT_INTERVAL: l->recurrent = interval > 0 && (i + 1) % interval != 0; break;
        case RECURRENT_NO_KV: l->recurrent = l->kv_heads == 0; break;
        case RECURRENT_NO_KV_NO_FF: l->recurrent = l->kv_heads == 0 && ff == 0; break;
        case RECURRENT_ALL:
        case RECURRENT_BESIDE:
        default: l->recurrent = true; break;
        }
        if (list && list->kind == GGUF_LIST)
            l->recurrent = list->items && (uint64_t)i < list->n && list->items[i] != 0;
        else if (list)
            l->recurrent = list->i != 0;
        l->attention = row->rule == RECURRENT_BESIDE || !l->recurrent;
        if (row->rule == RECURRENT_NO_KV_NO_FF)
            l->attention = l->kv_heads > 0 && ff == 0;
    }
    set_state(g, row->state, s);
}

/* Of hybrid models with a window, all attention layers have it (lfm2.cpp). */
static void set_hybrid_window(const struct gguf *g, struct shape *s)
{
    int64_t size = strcmp(s->arch, "lfm2") == 0 ? gguf_arch_i64(g, "attention.sliding_window", 0) : 0;
    if (size <= 0 || size > INT32_MAX)
        return;
    s->window = (int32_t)size;
    for (int32_t i = 0; i < s->layers; i++)
        s->layer[i].window = s->layer[i].attention;
}

/* --- weights --------------------------------------------------------------------------------------- */

static bool ends(const char *name, const char *suffix)
{
    return span_ends(span_of(name), suffix);
}

/* ggml_repack_get_optimal_repack_type of the pinned ggml: which matrices get a second layout. */
static bool is_repacked(const struct gguf_tensor *t, unsigned isa)
{
    if (t->ndims < 2 || !ends(t->name, ".weight") || strcmp(t->name, "token_embd.weight") == 0)
        return false;
    uint64_t rows = t->dims[1];
    switch (t->type) {
    case 2:  /* Q4_0 */
    case 20: /* IQ4_NL */
    case 39: /* MXFP4 */
        return ((isa & ISA_AVX2) && rows % 8 == 0) || ((isa & ISA_NEON_DOTPROD) && rows % 4 == 0);
    case 12: /* Q4_K */
        return (isa & (ISA_AVX2 | ISA_NEON_DOTPROD)) && rows % 8 == 0;
    case 10: /* Q2_K */
        return (isa & ISA_AVX512) && rows % 8 == 0;
    case 13: /* Q5_K */
    case 14: /* Q6_K */
        return (isa & ISA_NEON_DOTPROD) && rows % 8 == 0;
    case 8:  /* Q8_0 */
    case 41: /* Q1_0 */
        return (isa & ISA_NEON_DOTPROD) && rows % 4 == 0;
    default: return false;
    }
}

static int64_t elements(const struct gguf_tensor *t)
{
    return (int64_t)(t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]);
}

static void add_weights(const struct gguf *g, unsigned isa, struct shape *s)
{
    bool tied = true;
    for (size_t i = 0; i < g->ntensors; i++)
        if (strcmp(g->tensors[i].name, "output.weight") == 0)
            tied = false;
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < g->ntensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        bool embedding = strcmp(t->name, "token_embd.weight") == 0;
        bool expert = strstr(t->name, "_exps.") != NULL;
        int64_t bytes = (int64_t)t->bytes, active = bytes, n = elements(t);
        if (embedding && !tied)
            active = 0; /* one row of it */
        if (expert && s->experts > 0 && s->experts_used > 0)
            active = s->experts_used < s->experts ? bytes / s->experts * s->experts_used : bytes;
        s->params += n;
        s->active_params += bytes > 0 ? (int64_t)((double)n * (double)active / (double)bytes) : 0;
        s->weight_bytes += bytes;
        s->active_bytes += active;
        if (is_repacked(t, isa)) {
            s->repack_bytes += bytes;
            continue;
        }
        if (t->offset < first)
            first = t->offset;
        if (t->offset + t->bytes > last)
            last = t->offset + t->bytes;
    }
    if (last > first)
        s->mapped_bytes += (int64_t)(last - first);
    s->file_bytes += (int64_t)g->file_bytes;
}

/* --- all of it --------------------------------------------------------------------------------------- */

static int read_i32(const struct gguf *g, const char *key, int64_t absent, int64_t min, int64_t max, int32_t *out, struct err *e)
{
    const struct gguf_value *there = gguf_find_arch(g, key);
    int64_t v = gguf_arch_at(g, key, 0, absent);
    if (!there && min > 0)
        return err_set(e, ERR_INPUT, "%s is missing", key);
    if (there && (there->kind == GGUF_TEXT || there->kind == GGUF_FLOAT || (there->kind == GGUF_LIST && !there->items)))
        return err_set(e, ERR_INPUT, "%s is not a whole number", key);
    if (v < min || v > max)
        return err_set(e, ERR_INPUT, "%s is %lld, expected %lld to %lld", key, (long long)v, (long long)min, (long long)max);
    *out = (int32_t)v;
    return 0;
}

static void read_names(const struct gguf *g, struct shape *s)
{
    struct span name = gguf_text(g, "general.name"), arch = gguf_text(g, "general.architecture");
    clean_into(s->name, sizeof s->name, name, CLEAN_LINE);
    clean_into(s->arch, sizeof s->arch, arch, CLEAN_LINE);
    (void)snprintf(s->quant, sizeof s->quant, "%s", gguf_file_type(g));
    s->has_template = gguf_find(g, "tokenizer.chat_template") != NULL;
}

#define GEMMA3N_OWN 20 /* gemma3n.cpp: n_layer_kv_from_start, the same in every file */

static int read_layers(const struct gguf *g, struct shape *s, struct err *e)
{
    int32_t all = 0, extra = 0;
    if (read_i32(g, "block_count", 0, 1, SHAPE_LAYERS_MAX, &all, e) < 0 ||
        read_i32(g, "nextn_predict_layers", 0, 0, all - 1, &extra, e) < 0)
        return -e->kind;
    s->layers = all - extra; /* layers for multi-token prediction keep nothing in a plain context */
    s->layer = calloc((size_t)s->layers, sizeof *s->layer);
    if (!s->layer)
        return err_set(e, ERR_NOMEM, "out of memory");
    int64_t head = s->heads > 0 ? s->embd / s->heads : 0;
    int64_t k = gguf_arch_i64(g, "attention.key_length", head), v = gguf_arch_i64(g, "attention.value_length", head);
    int64_t shared = gguf_arch_i64(g, "attention.shared_kv_layers", 0); /* the last ones use those of an earlier layer */
    if (strcmp(s->arch, "gemma3n") == 0)
        shared = s->layers > GEMMA3N_OWN ? s->layers - GEMMA3N_OWN : 0;
    if (k < 0 || k > 1 << 20 || v < 0 || v > 1 << 20)
        return err_set(e, ERR_INPUT, "attention heads of %lld and %lld numbers", (long long)k, (long long)v);
    for (int32_t i = 0; i < s->layers; i++) {
        struct shape_layer *l = &s->layer[i];
        int64_t kv = gguf_arch_at(g, "attention.head_count_kv", (size_t)i,
                                  gguf_arch_at(g, "attention.head_count", (size_t)i, s->heads));
        if (kv < 0 || kv > 1 << 16 || kv * (k > v ? k : v) > SHAPE_ROW_MAX)
            return err_set(e, ERR_INPUT, "layer %d: %lld heads of %lld numbers", i, (long long)kv, (long long)k);
        l->kv_heads = (int32_t)kv;
        l->attention = i < s->layers - shared;
        l->head_k = (int32_t)k;
        l->head_v = (int32_t)v;
    }
    set_windows(g, s);
    int64_t k_window = gguf_arch_i64(g, "attention.key_length_swa", k), v_window = gguf_arch_i64(g, "attention.value_length_swa", v);
    for (int32_t i = 0; i < s->layers && k_window >= 0 && k_window <= 1 << 20 && v_window >= 0 && v_window <= 1 << 20; i++)
        if (s->layer[i].window && s->layer[i].kv_heads * (k_window > v_window ? k_window : v_window) <= SHAPE_ROW_MAX) {
            s->layer[i].head_k = (int32_t)k_window;
            s->layer[i].head_v = (int32_t)v_window;
        }
    set_recurrent(g, s);
    set_hybrid_window(g, s);
    for (size_t c = 0; c < COUNT_OF(cacheless); c++)
        for (int32_t i = 0; i < s->layers && strcmp(cacheless[c], s->arch) == 0; i++)
            s->layer[i].attention = false;
    s->latent = gguf_arch_i64(g, "attention.key_length_mla", 0) > 0 && gguf_arch_i64(g, "attention.value_length_mla", 0) > 0;
    return 0;
}

int shape_of(const struct gguf *g, unsigned isa, struct shape *out, struct err *e)
{
    AUTO(shape) struct shape s = { .layers = 0 };
    read_names(g, &s);
    if (!s.arch[0])
        return err_set(e, ERR_INPUT, "general.architecture is missing");
    const struct gguf_value *tokens = gguf_find(g, "tokenizer.ggml.tokens");
    int64_t vocab = tokens && tokens->kind == GGUF_LIST && tokens->n <= INT32_MAX ? (int64_t)tokens->n : 0;
    if (read_i32(g, "embedding_length", 0, 1, 1 << 24, &s.embd, e) < 0 ||
        read_i32(g, "attention.head_count", 0, 0, 1 << 16, &s.heads, e) < 0 ||
        read_i32(g, "feed_forward_length", 0, 0, 1 << 24, &s.ff, e) < 0 ||
        read_i32(g, "vocab_size", vocab, 0, 1 << 26, &s.vocab, e) < 0 ||
        read_i32(g, "expert_count", 0, 0, 1 << 16, &s.experts, e) < 0 ||
        read_i32(g, "expert_used_count", 0, 0, 1 << 16, &s.experts_used, e) < 0)
        return err_wrap(e, "%s", s.arch);
    if (vocab > 0)
        s.vocab = (int32_t)vocab;
    s.ctx_train = gguf_arch_i64(g, "context_length", 0);
    if (s.ctx_train < 0 || s.ctx_train > SHAPE_CTX_MAX)
        s.ctx_train = 0;
    if (read_layers(g, &s, e) < 0)
        return err_wrap(e, "%s", s.arch);
    for (size_t i = 0; i < COUNT_OF(unsure); i++)
        if (strcmp(unsure[i], s.arch) == 0)
            s.unsure_kv = true;
    add_weights(g, isa, &s);
    *out = s;
    s.layer = NULL;
    return 0;
}

/* The parts of a split file, "NAME-00001-of-00003.gguf": the weights of the others. */
static int add_parts(const char *path, int64_t parts, unsigned isa, struct shape *s, struct err *e)
{
    size_t n = strlen(path);
    static const size_t tail = sizeof "-00001-of-00003.gguf" - 1;
    if (n <= tail || strncmp(path + n - tail, "-00001-of-", 10) != 0)
        return err_set(e, ERR_INPUT, "'%s' is a part of a split model: name its first part (…-00001-of-%05lld.gguf)", path,
                       (long long)parts);
    for (int64_t i = 2; i <= parts; i++) {
        AUTO(buf) struct buf name = BUF_INIT(8192);
        AUTO(gguf) struct gguf *g = NULL;
        buf_addf(&name, "%.*s-%05lld-of-%05lld.gguf", (int)(n - tail), path, (long long)i, (long long)parts);
        if (buf_check(&name, e) < 0 || gguf_open(buf_str(&name), &g, e) < 0)
            return err_wrap(e, "part %lld of %lld", (long long)i, (long long)parts);
        add_weights(g, isa, s);
    }
    return 0;
}

int shape_read(const char *path, unsigned isa, struct shape *out, struct err *e)
{
    AUTO(gguf) struct gguf *g = NULL;
    AUTO(shape) struct shape s = { .layers = 0 };
    if (gguf_open(path, &g, e) < 0)
        return -e->kind;
    if (shape_of(g, isa, &s, e) < 0)
        return err_wrap(e, "'%s'", path);
    int64_t parts = gguf_i64(g, "split.count", 0);
    if (parts > 999)
        return err_set(e, ERR_LIMIT, "'%s': %lld parts", path, (long long)parts);
    if (parts > 1 && add_parts(path, parts, isa, &s, e) < 0)
        return -e->kind;
    if (!s.name[0]) {
        const char *slash = strrchr(path, '/');
        clean_into(s.name, sizeof s.name, span_of(slash ? slash + 1 : path), CLEAN_LINE);
    }
    *out = s;
    s.layer = NULL;
    return 0;
}

int shape_copy(const struct shape *s, struct shape *out, struct err *e)
{
    struct shape_layer *layer = calloc((size_t)s->layers + 1, sizeof *layer);
    if (!layer)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (s->layers)
        memcpy(layer, s->layer, (size_t)s->layers * sizeof *layer);
    *out = *s;
    out->layer = layer;
    return 0;
}

void shape_finish(struct shape *s)
{
    free(s->layer);
    s->layer = NULL;
}
