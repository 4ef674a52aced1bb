/* measure.c - see measure.h. */
#include "inference/engine/measure.h"

#include <llama.h>
#include <stdio.h>

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

static int measure_one(struct llama_model *model, const struct worker_options *o, int64_t ctx_tokens, struct err *e)
{
    struct worker_options one = *o;
    struct chat_memory m, all;
    one.ctx_tokens = (int32_t)ctx_tokens;
    if (plan(model, &one, &m, e) < 0)
        return err_code(e);
    one.all_outputs = true;
    if (plan(model, &one, &all, e) < 0)
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
