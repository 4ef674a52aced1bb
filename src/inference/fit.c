/* fit.c - see fit.h. Formulas: llama-kv-cache.cpp, llama-kv-cache-iswa.cpp, llama-hparams.cpp of the pinned llama.cpp. */
#include "inference/fit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bind.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"
#include "inference/locate.h"

#define CELLS 256 /* a sequence's cells are a multiple of this */
#define MEASURE_MS 30000   /* a fraction of a second; a header of tens of thousands of keys or tensors takes llama.cpp longer */

static const struct kv_type {
    const char *name;
    int64_t block, bytes;
} kv_types[] = {
    [FIT_F16] = { "f16", 1, 2 },      [FIT_Q8_0] = { "q8_0", 32, 34 },      [FIT_Q5_1] = { "q5_1", 32, 24 },
    [FIT_Q4_0] = { "q4_0", 32, 18 },  [FIT_IQ4_NL] = { "iq4_nl", 32, 18 },  [FIT_F32] = { "f32", 1, 4 },
    [FIT_BF16] = { "bf16", 1, 2 },
};
_Static_assert(COUNT_OF(kv_types) == FIT_KV_TYPES, "one row a type");

const char *fit_kv_name(enum fit_kv t)
{
    return kv_types[t].name;
}

int fit_kv_parse(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(kv_types); i++)
        if (strcmp(kv_types[i].name, name) == 0)
            return (int)i;
    return -1;
}

int64_t fit_kv_bytes(enum fit_kv t, int64_t numbers)
{
    return (numbers + kv_types[t].block - 1) / kv_types[t].block * kv_types[t].bytes;
}

static int64_t round_cells(int64_t n)
{
    return (n + CELLS - 1) / CELLS * CELLS;
}

/* Cells of one stream for full and for window layers, and how many streams there are. */
static void count_cells(const struct shape *s, int64_t ctx_tokens, const struct fit_how *how, int64_t *full, int64_t *window,
                        int64_t *streams)
{
    int64_t cells = round_cells(how->unified ? ctx_tokens * how->slots : ctx_tokens);
    *streams = how->unified ? 1 : how->slots;
    int64_t kept = (int64_t)s->window * (how->unified ? how->slots : 1) + how->ubatch;
    *full = cells;
    *window = how->window_full || kept > cells ? cells : kept;
    *window = round_cells(*window);
}

/* Sums and products of a hostile file's numbers end here. */
#define TOO_MUCH ((int64_t)1 << 58)

static int64_t times(int64_t a, int64_t b)
{
    int64_t r;
    return __builtin_mul_overflow(a, b, &r) || r > TOO_MUCH ? TOO_MUCH : r;
}

static int64_t plus(int64_t a, int64_t b)
{
    return a > TOO_MUCH - b ? TOO_MUCH : a + b;
}

static void add_kv(const struct shape *s, int64_t ctx_tokens, const struct fit_how *how, struct fit_memory *m)
{
    int64_t full, window, streams;
    count_cells(s, ctx_tokens, how, &full, &window, &streams);
    for (int32_t i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        if (l->recurrent)
            m->recurrent = plus(m->recurrent, times(4 * (s->state_r + s->state_s), how->slots));
        if (!l->attention)
            continue;
        int64_t row = fit_kv_bytes(how->type_k, (int64_t)l->kv_heads * l->head_k);
        if (!s->latent)
            row += fit_kv_bytes(how->type_v, (int64_t)l->kv_heads * l->head_v);
        int64_t bytes = times(times(row, l->window ? window : full), streams);
        m->kv = plus(m->kv, bytes);
        if (l->window)
            m->kv_window = plus(m->kv_window, bytes);
    }
}

/*
 * The largest moment of the graph, as measured on llama, gemma3, qwen35 and deepseek2 shapes (2026-11): the mask of
 * attention, two bytes a cell and token of the batch, and beside it either the feed-forward part's or attention's
 * rows, or, with lightning attention, three matrices of token by token for each head; or, with logits for a whole batch, these.
 */
static int64_t estimate_compute(const struct shape *s, int64_t ctx_tokens, const struct fit_how *how)
{
    int64_t full, window, streams;
    count_cells(s, ctx_tokens, how, &full, &window, &streams);
    bool has_full = false, has_window = false;
    int64_t attention = 0;
    for (int32_t i = 0; i < s->layers; i++) {
        const struct shape_layer *l = &s->layer[i];
        has_full |= l->attention && !l->window;
        has_window |= l->attention && l->window;
        int64_t heads = (int64_t)s->heads * (l->head_k + l->head_v) + (int64_t)l->kv_heads * (l->head_k + l->head_v);
        if (l->attention && heads > attention)
            attention = heads;
    }
    int64_t ff = (int64_t)s->ff * (s->experts_used > 0 ? s->experts_used : 1);
    int64_t rows = 3 * ff + 4 * (int64_t)s->embd;
    if (attention + 4 * (int64_t)s->embd > rows)
        rows = attention + 4 * (int64_t)s->embd;
    int64_t batch = how->ubatch < ctx_tokens * how->slots ? how->ubatch : ctx_tokens * how->slots;
    int64_t graph = times(batch, 4 * rows + 2 * (has_full ? full : 0) + 2 * (has_window ? window : 0));
    if (s->pairwise) {
        int64_t pairs = times(batch, 32 * (int64_t)s->heads * s->layer[0].head_k + 2 * full + 12 * batch * s->heads);
        graph = pairs > graph ? pairs : graph;
    }
    int64_t outputs = how->all_outputs ? batch : how->slots;
    int64_t logits = outputs * 4 * (int64_t)s->vocab + batch * 8 * (int64_t)s->embd;
    return graph > logits ? graph : logits;
}

static void add_up(struct fit_memory *m)
{
    const int64_t parts[] = { m->weights, m->repack, m->kv, m->recurrent, m->compute, m->output, m->projector };
    m->total = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        m->total = plus(m->total, parts[i]);
}

void fit_memory(const struct shape *s, int64_t ctx_tokens, const struct fit_how *how, struct fit_memory *out)
{
    *out = (struct fit_memory){ .weights = how->repack && s->repack_bytes ? s->mapped_bytes : s->weight_bytes,
                                .repack = how->repack ? s->repack_bytes : 0,
                                .projector = how->projector_bytes };
    add_kv(s, ctx_tokens, how, out);
    out->compute = estimate_compute(s, ctx_tokens, how);
    out->output = (int64_t)how->slots * 4 * s->vocab;
    add_up(out);
}

int64_t fit_context(const struct shape *s, const struct fit_how *how, int64_t budget_bytes, int64_t most)
{
    int64_t high = (most > 0 ? most : s->ctx_train > 0 ? s->ctx_train : 131072) / CELLS, low = 0;
    while (low < high) { /* the total grows with the context */
        int64_t mid = low + (high - low + 1) / 2;
        struct fit_memory m;
        fit_memory(s, mid * CELLS, how, &m);
        if (m.total <= budget_bytes)
            low = mid;
        else
            high = mid - 1;
    }
    return low * CELLS;
}

/* --- measuring ----------------------------------------------------------------------------------- */

struct plan {
    int64_t repacked, context, compute, compute_all, output;
};
#define ROW(name) { #name, FIELD_I64, FIELD(plan, name), FIELD_REQUIRED, 0, INT64_MAX, "bytes" }
static const struct field plan_fields[] = {
    ROW(repacked), ROW(context), ROW(compute), ROW(compute_all), ROW(output), { 0 },
};
#undef ROW

/* Ask the engine: its answer in *out. */
static int ask_engine(struct loop *loop, const char *const *argv, struct buf *out, struct err *e)
{
    char lib[4096];
    const char *libs = getenv("LD_LIBRARY_PATH"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    bool given = libs && (size_t)snprintf(lib, sizeof lib, "LD_LIBRARY_PATH=%s", libs) < sizeof lib;
    const char *const env[] = { "LC_ALL=C.UTF-8", given ? lib : NULL, NULL }; /* llama.cpp may lie where only the user knows */
    struct proc_spec spec = { .argv = argv, .env = env, .in = PROC_NULL, .out = PROC_PIPE, .err = PROC_PIPE,
                              .out_cap_bytes = out->limit, .die_with_parent = true };
    AUTO(proc) struct proc *p = NULL;
    int status = 0;
    if (proc_start(loop, &spec, &p, e) < 0 || proc_wait(p, clock_ms() + MEASURE_MS, NULL, &status, e) < 0)
        return -e->kind;
    if (status >= 128)
        return err_set(e, ERR_UNSUPPORTED, "llama.cpp crashes while it reads this file");
    if (status != 0) { /* "stead-engine: cannot load the model 'FILE': why" */
        struct span rest = proc_output(p, 2), line = { "", 0 };
        while (span_line(&rest, &line) && !span_starts(line, "stead-engine: "))
            ; /* what it logged before */
        ptrdiff_t at = span_find(line, SPAN("': "));
        struct span why = at >= 0 ? span_sub(line, (size_t)at + 3, line.n) : line;
        char text[200];
        return err_set(e, status == ENGINE_REFUSED ? ERR_UNSUPPORTED : ERR_UNAVAILABLE, "%s",
                       clean_into(text, sizeof text, why, CLEAN_LINE));
    }
    buf_add_span(out, proc_output(p, 1));
    return buf_check(out, e);
}

int fit_measure(struct loop *loop, const char *path, int64_t ctx_tokens, const struct fit_how *how, struct cancel *cancel,
                struct fit_memory *m, struct err *e)
{
    (void)cancel; /* a fraction of a second: it reads no weights */
    AUTO(ptr) char *program = engine_program(e);
    if (!program)
        return -e->kind;
    char ctx[24], slots[24], batch[24];
    (void)snprintf(ctx, sizeof ctx, "%lld", (long long)ctx_tokens);
    (void)snprintf(slots, sizeof slots, "%d", how->slots);
    (void)snprintf(batch, sizeof batch, "%d", how->ubatch);
    const char *argv[] = { program, "--measure", ctx, "--model", path, "--slots", slots, "--batch", batch,
                           "--kv-k", fit_kv_name(how->type_k), "--kv-v", fit_kv_name(how->type_v),
                           how->unified ? "--unified" : "--split", how->repack ? NULL : "--no-repack", NULL };
    AUTO(buf) struct buf out = BUF_INIT(64 << 10);
    AUTO(json) json_t *json = NULL;
    AUTO(arena) struct arena mem = ARENA_INIT(64 << 10);
    struct plan p = { 0 };
    if (ask_engine(loop, argv, &out, e) < 0)
        return -e->kind;
    if (json_parse(span_trim(buf_span(&out)), BIND_TOLERANT, &json, e) < 0 ||
        bind_load(json, plan_fields, &p, BIND_TOLERANT, &mem, e) < 0)
        return err_wrap(e, "the engine's measurement");
    m->compute = how->all_outputs ? p.compute_all : p.compute;
    m->output = p.output;
    if (how->repack)
        m->repack = p.repacked;
    if (p.context != m->kv + m->recurrent) { /* an architecture that the formulas do not know */
        m->kv = p.context;
        m->recurrent = 0;
        m->kv_window = 0;
    }
    m->measured = true;
    add_up(m);
    return 0;
}

/* --- speed ------------------------------------------------------------------------------------------ */

/* Share of the memory's bandwidth that decoding reaches: community measurements on single GPUs, dense and MoE (median,
 * 10th and 90th percentile); on CPUs few cores are bound by computing long before. */
struct interval {
    double low, expected, high;
};
static const struct interval gpu_dense = { 0.29, 0.59, 0.90 }, gpu_moe = { 0.15, 0.34, 0.60 };
static const struct interval cpu_dense = { 0.35, 0.65, 0.90 }, cpu_moe = { 0.20, 0.45, 0.75 };
/* A prompt is evaluated many tokens at a time: how many times quicker than decoding. A 1B model on two CPU cores: 3. */
static const struct interval cpu_prompt = { 2, 4, 12 }, gpu_prompt = { 10, 40, 100 };

static double at_most(double bytes_rate, double limit)
{
    return limit > 0 && bytes_rate > limit ? limit : bytes_rate;
}

void fit_speed(const struct shape *s, int64_t ctx_tokens, const struct fit_how *how, const struct fit_machine *machine,
               struct fit_speed *out)
{
    bool moe = s->experts > 1;
    const struct interval *f = machine->gpu ? (moe ? &gpu_moe : &gpu_dense) : (moe ? &cpu_moe : &cpu_dense);
    struct fit_how one = *how;
    struct fit_memory m = { 0 };
    one.slots = 1;
    add_kv(s, ctx_tokens / 2 > CELLS ? ctx_tokens / 2 : CELLS, &one, &m);
    double bytes = (double)s->active_bytes + (double)(m.kv + m.recurrent);
    double rate = bytes > 0 ? machine->bandwidth / bytes : 0;
    double limit = machine->compute > 0 && s->active_params > 0 ? machine->compute / (double)s->active_params : 0;
    const struct interval *p = machine->gpu ? &gpu_prompt : &cpu_prompt;
    *out = (struct fit_speed){
        .low = at_most(rate * f->low, limit * 0.4),
        .expected = at_most(rate * f->expected, limit * 0.8),
        .high = at_most(rate * f->high, limit * 1.2),
    };
    out->prompt_low = out->low * p->low;
    out->prompt_expected = out->expected * p->expected;
    out->prompt_high = out->high * p->high;
}
