/* measure.c - see measure.h. */
#include "inference/engine/measure.h"

#include <llama.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "inference/engine/load.h"

static int plan(struct llama_model *model, const struct worker_options *o, struct chat_memory *out, struct err *e)
{
    struct llama_context *ctx;
    if (load_context(model, o, NULL, NULL, &ctx, e) < 0)
        return err_code(e);
    int rc = chat_memory_read(ctx, out, e);
    llama_free(ctx);
    return rc;
}

/*
 * For these llama.cpp reserves a graph for one sequence too, which takes more than that for all of them (llama-context.cpp,
 * TAG_RESERVE_DIAG_DECAY); a plan has only the latter.
 */
static bool reserves_alone(const struct llama_model *model)
{
    static const char *const archs[] = { "minimax-01", "kimi-linear" };
    char arch[64] = "";
    (void)llama_model_meta_val_str(model, "general.architecture", arch, sizeof arch);
    for (size_t i = 0; i < COUNT_OF(archs); i++)
        if (strcmp(arch, archs[i]) == 0)
            return true;
    return false;
}

static int plan_whole(struct llama_model *model, const struct worker_options *o, struct chat_memory *out, struct err *e)
{
    struct worker_options alone = *o;
    struct chat_memory m;
    if (plan(model, o, out, e) < 0)
        return err_code(e);
    if (o->slots == 1 || !reserves_alone(model))
        return 0;
    alone.slots = 1;
    if (o->unified)
        alone.ctx_tokens *= o->slots;
    if (plan(model, &alone, &m, e) < 0)
        return err_code(e);
    if (m.compute > out->compute)
        out->compute = m.compute;
    if (m.device_compute > out->device_compute)
        out->device_compute = m.device_compute;
    return 0;
}

static int measure_one(struct llama_model *model, const struct worker_options *o, int64_t ctx_tokens, struct err *e)
{
    struct worker_options one = *o;
    struct chat_memory m, all;
    one.ctx_tokens = (int32_t)ctx_tokens;
    if (plan_whole(model, &one, &m, e) < 0)
        return err_code(e);
    one.all_outputs = true;
    if (plan_whole(model, &one, &all, e) < 0)
        return err_code(e);
    /* a row of logits a sequence is reserved at first (llama-context.cpp, output_reserve) */
    long long output = (long long)o->slots * llama_vocab_n_tokens(llama_model_get_vocab(model)) * (long long)sizeof(float);
    (void)printf("{\"ctx_tokens\":%lld,\"slots\":%d,\"weights\":%llu,\"repacked\":%llu,\"context\":%llu,\"compute\":%llu,"
                 "\"compute_all\":%llu,\"output\":%lld,\"device_weights\":%llu,\"device_context\":%llu,\"device_compute\":%llu}\n",
                 (long long)ctx_tokens, o->slots, (unsigned long long)m.weights, (unsigned long long)m.repacked,
                 (unsigned long long)m.context, (unsigned long long)m.compute, (unsigned long long)all.compute, output,
                 (unsigned long long)m.device_weights, (unsigned long long)m.device_context,
                 (unsigned long long)m.device_compute);
    return 0;
}

int measure(const struct worker_options *o, const char *contexts, struct err *e)
{
    struct llama_model *model;
    struct load_params p = { .no_alloc = true };
    if (load_model(o, &p, &model, e) < 0)
        return err_code(e);
    struct span rest = span_of(contexts), one;
    int rc = 0;
    for (int n = 0; rc == 0 && n < MEASURE_MAX && span_split(&rest, ',', &one); n++) {
        int64_t tokens;
        rc = parse_i64(one, 1, 1 << 24, &tokens, e);
        if (rc == 0)
            rc = measure_one(model, o, tokens, e);
    }
    llama_model_free(model);
    return rc;
}
