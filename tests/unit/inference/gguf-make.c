/* gguf-make.c - see gguf-make.h. */
#include "gguf-make.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

const char gguf_make_template[] =
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}"
    "{%- endif %}{{- \"# Tools\\n\\nYou may call one or more functions to assist with the user query.\\n\\nYou are provided with "
    "function signatures within <tools></tools> XML tags:\\n<tools>\" }}{%- for tool in tools %}{{- \"\\n\" }}{{- tool | tojson }}"
    "{%- endfor %}{{- \"\\n</tools>\\n\\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\\n<tool_call>\\n{\\\"name\\\": <function-name>, \\\"arguments\\\": <args-json-object>}\\n"
    "</tool_call><|im_end|>\\n\" }}{%- else %}{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + "
    "messages[0].content + '<|im_end|>\\n' }}{%- endif %}{%- endif %}{%- for message in messages %}"
    "{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}{{- '<|im_start|>' + message.role + '\\n' + "
    "message.content + '<|im_end|>\\n' }}{%- elif message.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}"
    "{%- if message.content %}{{- message.content }}{%- endif %}{%- if message.tool_calls %}{%- for call in message.tool_calls %}"
    "{%- if (loop.first and message.content) or not loop.first %}{{- '\\n' }}{%- endif %}{{- '<tool_call>\\n{\"name\": \"' + "
    "call.function.name + '\", \"arguments\": ' }}{{- call.function.arguments | tojson }}{{- '}\\n</tool_call>' }}{%- endfor %}"
    "{%- endif %}{{- '<|im_end|>\\n' }}{%- elif message.role == 'tool' %}{%- if loop.first or (messages[loop.index0 - 1].role != "
    "'tool') %}{{- '<|im_start|>user' }}{%- endif %}{{- '\\n<tool_response>\\n' + message.content + '\\n</tool_response>' }}"
    "{%- if loop.last or (messages[loop.index0 + 1].role != 'tool') %}{{- '<|im_end|>\\n' }}{%- endif %}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

enum { GGUF_U32 = 4, GGUF_F32 = 6, GGUF_STRING = 8, GGUF_ARRAY = 9, GGUF_I32 = 5 };
#define TENSORS_MAX 4096
#define ALIGNMENT 32
#define CHAIN_FIRST 300 /* token of chain[0] */
#define NEWLINE 10
#define END_OF_TURN 258
#define EXPERTS 4

static const struct type {
    const char *name;
    uint32_t id, ftype;
    size_t block, bytes;
} types[] = {
    { "f32", 0, 0, 1, 4 }, { "f16", 1, 1, 1, 2 }, { "q4_0", 2, 2, 32, 18 }, { "q8_0", 8, 7, 32, 34 }, { "q4_k", 12, 15, 256, 144 },
};

struct tensor {
    char name[64];
    uint64_t dims[4];
    uint32_t ndims;
    const struct type *type;
    bool ones;
    uint64_t offset, bytes;
};

struct maker {
    const struct gguf_make *m;
    struct buf meta;
    uint64_t nkv;
    struct tensor tensors[TENSORS_MAX];
    size_t ntensors;
    uint64_t data_bytes;
    const struct type *type;
    uint64_t random;
};

static uint64_t next_random(struct maker *k)
{
    uint64_t z = (k->random += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void put32(struct buf *b, uint32_t v) { buf_add(b, &v, 4); }
static void put64(struct buf *b, uint64_t v) { buf_add(b, &v, 8); }
static void put_text(struct buf *b, const char *s)
{
    put64(b, strlen(s));
    buf_adds(b, s);
}

static void key(struct maker *k, const char *name, uint32_t type)
{
    char full[128];
    if (strncmp(name, "general.", 8) == 0 || strncmp(name, "tokenizer.", 10) == 0)
        (void)snprintf(full, sizeof full, "%s", name);
    else
        (void)snprintf(full, sizeof full, "%s.%s", k->m->arch, name);
    put_text(&k->meta, full);
    put32(&k->meta, type);
    k->nkv++;
}

static void kv_u32(struct maker *k, const char *name, int v)
{
    key(k, name, GGUF_U32);
    put32(&k->meta, (uint32_t)v);
}

static void kv_f32(struct maker *k, const char *name, float v)
{
    key(k, name, GGUF_F32);
    buf_add(&k->meta, &v, 4);
}

static void kv_text(struct maker *k, const char *name, const char *v)
{
    key(k, name, GGUF_STRING);
    put_text(&k->meta, v);
}

/* GPT-2's printable stand-in for a byte. */
static void byte_token(unsigned byte, char out[8])
{
    unsigned code = byte;
    if (!((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255))) {
        code = 256;
        for (unsigned b = 0; b < byte; b++)
            if (!((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255)))
                code++;
    }
    if (code < 0x80)
        (void)snprintf(out, 8, "%c", (int)code);
    else
        (void)snprintf(out, 8, "%c%c", (int)(0xC0 | (code >> 6)), (int)(0x80 | (code & 0x3F)));
}

static const char *const specials[] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>",
                                        "<tool_response>", "</tool_response>" };

static void vocabulary(struct maker *k)
{
    int n = k->m->vocab;
    kv_text(k, "tokenizer.ggml.model", "gpt2");
    kv_text(k, "tokenizer.ggml.pre", "default");
    key(k, "tokenizer.ggml.tokens", GGUF_ARRAY);
    put32(&k->meta, GGUF_STRING);
    put64(&k->meta, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        char text[40];
        if (i < 256)
            byte_token((unsigned)i, text);
        else if ((size_t)(i - 256) < COUNT_OF(specials))
            (void)snprintf(text, sizeof text, "%s", specials[i - 256]);
        else
            (void)snprintf(text, sizeof text, "<unused%d>", i);
        if (i >= CHAIN_FIRST && i < CHAIN_FIRST + k->m->nchain)
            put_text(&k->meta, k->m->chain[i - CHAIN_FIRST]);
        else
            put_text(&k->meta, text);
    }
    key(k, "tokenizer.ggml.token_type", GGUF_ARRAY);
    put32(&k->meta, GGUF_I32);
    put64(&k->meta, (uint64_t)n);
    for (int i = 0; i < n; i++)
        put32(&k->meta, i < 256 ? 1 : i < 259 ? 3 : (size_t)(i - 256) < COUNT_OF(specials) || i < CHAIN_FIRST + k->m->nchain ? 4 : 5);
    key(k, "tokenizer.ggml.merges", GGUF_ARRAY);
    put32(&k->meta, GGUF_STRING);
    put64(&k->meta, 1);
    put_text(&k->meta, "a a"); /* its result is in no vocabulary: it never applies */
    kv_u32(k, "tokenizer.ggml.eos_token_id", 258);
    kv_u32(k, "tokenizer.ggml.bos_token_id", 256);
    kv_u32(k, "tokenizer.ggml.padding_token_id", 256);
    kv_text(k, "tokenizer.chat_template", k->m->chat_template ? k->m->chat_template : gguf_make_template);
}

static void tensor(struct maker *k, const char *name, int layer, bool matrix, int d0, int d1, int d2)
{
    if (k->ntensors == TENSORS_MAX)
        return;
    struct tensor *t = &k->tensors[k->ntensors++];
    if (layer >= 0)
        (void)snprintf(t->name, sizeof t->name, "blk.%d.%s", layer, name);
    else
        (void)snprintf(t->name, sizeof t->name, "%s", name);
    t->dims[0] = (uint64_t)d0;
    t->dims[1] = d1 > 0 ? (uint64_t)d1 : 1;
    t->dims[2] = d2 > 0 ? (uint64_t)d2 : 1;
    t->ndims = d2 > 0 ? 3 : d1 > 0 ? 2 : 1;
    t->type = matrix && t->dims[0] % k->type->block == 0 ? k->type : &types[0];
    t->ones = !matrix;
    uint64_t n = t->dims[0] * t->dims[1] * t->dims[2];
    t->bytes = n / t->type->block * t->type->bytes;
    t->offset = k->data_bytes;
    k->data_bytes += (t->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void mat(struct maker *k, const char *name, int layer, int d0, int d1) { tensor(k, name, layer, true, d0, d1, 0); }
static void vec(struct maker *k, const char *name, int layer, int d0) { tensor(k, name, layer, false, d0, 0, 0); }

static void attention(struct maker *k, int i)
{
    const struct gguf_make *m = k->m;
    bool gated = strcmp(m->arch, "qwen35") == 0;
    mat(k, "attn_q.weight", i, m->embd, m->heads * m->head_dim * (gated ? 2 : 1));
    mat(k, "attn_k.weight", i, m->embd, m->kv_heads * m->head_dim);
    mat(k, "attn_v.weight", i, m->embd, m->kv_heads * m->head_dim);
    mat(k, "attn_output.weight", i, m->heads * m->head_dim, m->embd);
    if (strcmp(m->arch, "llama") != 0 && strcmp(m->arch, "minimax-01") != 0) {
        vec(k, "attn_q_norm.weight", i, m->head_dim);
        vec(k, "attn_k_norm.weight", i, m->head_dim);
    }
}

static void delta_net(struct maker *k, int i)
{
    const struct gguf_make *m = k->m;
    int keys = m->state * m->groups, values = m->state * m->dt_rank;
    mat(k, "attn_qkv.weight", i, m->embd, keys * 2 + values);
    mat(k, "attn_gate.weight", i, m->embd, values);
    tensor(k, "ssm_conv1d.weight", i, false, m->conv, keys * 2 + values, 0);
    vec(k, "ssm_dt.bias", i, m->dt_rank);
    vec(k, "ssm_a", i, m->dt_rank);
    mat(k, "ssm_beta.weight", i, m->embd, m->dt_rank);
    mat(k, "ssm_alpha.weight", i, m->embd, m->dt_rank);
    vec(k, "ssm_norm.weight", i, m->state);
    mat(k, "ssm_out.weight", i, values, m->embd);
}

static void lightning_attention(struct maker *k, int i)
{
    const struct gguf_make *m = k->m;
    int all = m->heads * m->head_dim;
    vec(k, "attn_norm_2.weight", i, all);
    mat(k, "attn_qkv.weight", i, m->embd, 3 * all);
    mat(k, "attn_gate.weight", i, m->embd, all);
    mat(k, "attn_output.weight", i, all, m->embd);
}

static void experts(struct maker *k, int i)
{
    const struct gguf_make *m = k->m;
    tensor(k, "ffn_gate_inp.weight", i, false, m->embd, EXPERTS, 0);
    tensor(k, "ffn_gate_exps.weight", i, true, m->embd, m->ff, EXPERTS);
    tensor(k, "ffn_down_exps.weight", i, true, m->ff, m->embd, EXPERTS);
    tensor(k, "ffn_up_exps.weight", i, true, m->embd, m->ff, EXPERTS);
}

static void latent_attention(struct maker *k, int i)
{
    const struct gguf_make *m = k->m;
    int nope = m->head_dim - m->rope_dim;
    mat(k, "attn_q_a.weight", i, m->embd, m->embd);
    vec(k, "attn_q_a_norm.weight", i, m->embd);
    mat(k, "attn_q_b.weight", i, m->embd, m->heads * m->head_dim);
    vec(k, "attn_kv_a_norm.weight", i, m->lora_kv);
    mat(k, "attn_kv_a_mqa.weight", i, m->embd, m->lora_kv + m->rope_dim);
    tensor(k, "attn_k_b.weight", i, true, nope, m->lora_kv, m->heads);
    tensor(k, "attn_v_b.weight", i, true, m->lora_kv, m->head_dim, m->heads);
    mat(k, "attn_output.weight", i, m->heads * m->head_dim, m->embd);
}

static void tensors(struct maker *k)
{
    const struct gguf_make *m = k->m;
    mat(k, "token_embd.weight", -1, m->embd, m->vocab);
    vec(k, "output_norm.weight", -1, m->embd);
    mat(k, "output.weight", -1, m->embd, m->vocab);
    for (int i = 0; i < m->layers; i++) {
        vec(k, "attn_norm.weight", i, m->embd);
        if (strcmp(m->arch, "deepseek2") == 0)
            latent_attention(k, i);
        else if (strcmp(m->arch, "qwen35") == 0 && (i + 1) % 4 != 0)
            delta_net(k, i);
        else if (strcmp(m->arch, "minimax-01") == 0 && (i + 1) % 4 != 0)
            lightning_attention(k, i);
        else
            attention(k, i);
        if (strcmp(m->arch, "qwen35") != 0)
            vec(k, "ffn_norm.weight", i, m->embd);
        if (strcmp(m->arch, "gemma3") == 0 || strcmp(m->arch, "qwen35") == 0)
            vec(k, "post_attention_norm.weight", i, m->embd);
        if (strcmp(m->arch, "gemma3") == 0)
            vec(k, "post_ffw_norm.weight", i, m->embd);
        if (strcmp(m->arch, "minimax-01") == 0) {
            experts(k, i);
            continue;
        }
        mat(k, "ffn_gate.weight", i, m->embd, m->ff);
        mat(k, "ffn_up.weight", i, m->embd, m->ff);
        mat(k, "ffn_down.weight", i, m->ff, m->embd);
    }
}

static void metadata(struct maker *k)
{
    const struct gguf_make *m = k->m;
    kv_text(k, "general.architecture", m->arch);
    kv_text(k, "general.name", "random");
    kv_u32(k, "general.file_type", (int)k->type->ftype);
    kv_u32(k, "vocab_size", m->vocab);
    kv_u32(k, "context_length", m->ctx);
    kv_u32(k, "embedding_length", m->embd);
    kv_u32(k, "block_count", m->layers);
    kv_u32(k, "feed_forward_length", m->ff);
    kv_u32(k, "attention.head_count", m->heads);
    kv_f32(k, "attention.layer_norm_rms_epsilon", 1e-6f);
    kv_f32(k, "rope.freq_base", 10000.0f);
    if (strcmp(m->arch, "deepseek2") == 0) {
        kv_u32(k, "attention.head_count_kv", 1);
        kv_u32(k, "attention.key_length", m->lora_kv + m->rope_dim);
        kv_u32(k, "attention.value_length", m->lora_kv);
        kv_u32(k, "attention.key_length_mla", m->head_dim);
        kv_u32(k, "attention.value_length_mla", m->head_dim);
        kv_u32(k, "attention.kv_lora_rank", m->lora_kv);
        kv_u32(k, "attention.q_lora_rank", m->embd);
        kv_u32(k, "rope.dimension_count", m->rope_dim);
        kv_u32(k, "leading_dense_block_count", m->layers);
        kv_u32(k, "expert_feed_forward_length", m->ff);
        kv_u32(k, "expert_shared_count", 1);
        kv_u32(k, "expert_gating_func", 2);
        return;
    }
    kv_u32(k, "attention.head_count_kv", m->kv_heads);
    kv_u32(k, "attention.key_length", m->head_dim);
    kv_u32(k, "attention.value_length", m->head_dim);
    kv_u32(k, "rope.dimension_count", m->head_dim);
    if (strcmp(m->arch, "gemma3") == 0)
        kv_u32(k, "attention.sliding_window", m->window);
    if (strcmp(m->arch, "minimax-01") == 0) {
        kv_f32(k, "residual_scale", 3.5f);
        kv_u32(k, "expert_count", EXPERTS);
        kv_u32(k, "expert_used_count", 2);
        kv_u32(k, "full_attention_interval", 4);
    }
    if (strcmp(m->arch, "qwen35") == 0) {
        key(k, "rope.dimension_sections", GGUF_ARRAY);
        put32(&k->meta, GGUF_I32);
        put64(&k->meta, 4);
        for (int i = 0; i < 4; i++)
            put32(&k->meta, i < 3 ? (uint32_t)m->head_dim / 8 : 0);
        kv_u32(k, "ssm.conv_kernel", m->conv);
        kv_u32(k, "ssm.inner_size", m->state * m->dt_rank);
        kv_u32(k, "ssm.state_size", m->state);
        kv_u32(k, "ssm.time_step_rank", m->dt_rank);
        kv_u32(k, "ssm.group_count", m->groups);
        kv_u32(k, "full_attention_interval", 4);
    }
}

/* An f16 near 0.02 with random low bits: a sane scale for a block. */
static uint16_t small_half(uint64_t r)
{
    return (uint16_t)(0x2400u | (r & 0x3FFu));
}

/* Row r of the embedding is the r-th unit vector; row r of the output asks for the token before r in the chain. */
static void fill_chain(const struct maker *k, const struct tensor *t, uint64_t from, unsigned char *out, size_t n)
{
    bool embedding = strcmp(t->name, "token_embd.weight") == 0, output = strcmp(t->name, "output.weight") == 0;
    for (size_t i = 0; i + 4 <= n; i += 4) {
        uint64_t at = (from + i) / 4, row = at / t->dims[0], col = at % t->dims[0];
        float v = 0;
        if (embedding)
            v = row == col ? 1.0f : 0.0f;
        if (output) {
            uint64_t last = CHAIN_FIRST + (uint64_t)k->m->nchain - 1;
            uint64_t before = row == CHAIN_FIRST ? (uint64_t)(k->m->after ? k->m->after : NEWLINE) : row == END_OF_TURN ? last : row - 1;
            if ((row == END_OF_TURN || (row >= CHAIN_FIRST && row <= last)) && col == before)
                v = 10.0f;
        }
        memcpy(out + i, &v, 4);
    }
}

static void fill(struct maker *k, const struct tensor *t, uint64_t from, unsigned char *out, size_t n)
{
    if (k->m->nchain && !t->ones) {
        fill_chain(k, t, from, out, n);
        return;
    }
    if (t->ones) {
        for (size_t i = 0; i + 4 <= n; i += 4)
            memcpy(out + i, &(float){ 1.0f }, 4);
        return;
    }
    switch (t->type->id) {
    case 0:
        for (size_t i = 0; i + 4 <= n; i += 4) {
            float v = ((float)(next_random(k) & 0xFFFF) - 32768.0f) / 32768.0f * 0.08f;
            memcpy(out + i, &v, 4);
        }
        return;
    case 1:
        for (size_t i = 0; i + 2 <= n; i += 2) {
            uint64_t r = next_random(k);
            uint16_t h = (uint16_t)(small_half(r) | ((r >> 20) & 1 ? 0x8000u : 0));
            memcpy(out + i, &h, 2);
        }
        return;
    default: /* random quants under small scales */
        for (size_t i = 0; i + 8 <= n; i += 8)
            memcpy(out + i, &(uint64_t){ next_random(k) }, 8);
        for (size_t i = 0; i + t->type->bytes <= n; i += t->type->bytes) {
            uint16_t h = (uint16_t)(0x0C00u | (next_random(k) & 0x3FFu)); /* about 0.0003 */
            memcpy(out + i, &h, 2);
            if (t->type->id == 12)
                memcpy(out + i + 2, &h, 2);
        }
    }
}

static int write_data(struct maker *k, FILE *f, const char *path, struct err *e)
{
    for (size_t i = 0; i < k->ntensors; i++) {
        const struct tensor *t = &k->tensors[i];
        size_t chunk = t->type->bytes * 8192;
        AUTO(ptr) unsigned char *data = malloc(chunk + 64);
        if (!data)
            return err_set(e, ERR_NOMEM, "out of memory");
        for (uint64_t done = 0; done < t->bytes; done += chunk) {
            size_t n = t->bytes - done < chunk ? (size_t)(t->bytes - done) : chunk;
            fill(k, t, done, data, n);
            if (fwrite(data, 1, n, f) != n)
                return err_sys(e, "cannot write '%s'", path);
        }
        static const char zeros[ALIGNMENT];
        size_t pad = (size_t)((ALIGNMENT - t->bytes % ALIGNMENT) % ALIGNMENT);
        if (fwrite(zeros, 1, pad, f) != pad)
            return err_sys(e, "cannot write '%s'", path);
    }
    return 0;
}

static int write_file(struct maker *k, const char *path, struct err *e)
{
    AUTO(file) FILE *f = fopen(path, "wbe");
    if (!f)
        return err_sys(e, "cannot write '%s'", path);
    AUTO(buf) struct buf head = BUF_INIT(64u << 20);
    buf_adds(&head, "GGUF");
    put32(&head, 3);
    put64(&head, k->ntensors);
    put64(&head, k->nkv);
    buf_add_span(&head, buf_span(&k->meta));
    for (size_t i = 0; i < k->ntensors; i++) {
        const struct tensor *t = &k->tensors[i];
        put_text(&head, t->name);
        put32(&head, t->ndims);
        for (uint32_t d = 0; d < t->ndims; d++)
            put64(&head, t->dims[d]);
        put32(&head, t->type->id);
        put64(&head, t->offset);
    }
    while (head.n % ALIGNMENT)
        buf_addc(&head, 0);
    if (buf_check(&head, e) < 0)
        return -e->kind;
    if (fwrite(head.p, 1, head.n, f) != head.n)
        return err_sys(e, "cannot write '%s'", path);
    if (write_data(k, f, path, e) < 0)
        return -e->kind;
    return fflush(f) == 0 ? 0 : err_sys(e, "cannot write '%s'", path);
}

int gguf_make(const struct gguf_make *m, const char *path, struct err *e)
{
    AUTO(ptr) struct maker *k = calloc(1, sizeof *k);
    if (!k)
        return err_set(e, ERR_NOMEM, "out of memory");
    k->m = m;
    k->random = m->seed;
    buf_init(&k->meta, 64u << 20);
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strcmp(types[i].name, m->type) == 0)
            k->type = &types[i];
    if (!k->type)
        return err_set(e, ERR_INPUT, "no tensor type '%s'", m->type);
    metadata(k);
    vocabulary(k);
    tensors(k);
    int rc = buf_check(&k->meta, e);
    if (rc == 0)
        rc = write_file(k, path, e);
    buf_finish(&k->meta);
    return rc;
}
