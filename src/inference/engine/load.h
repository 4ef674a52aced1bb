/*
 * load - a model file and its context through llama.cpp, with reasons where it has none.
 *
 * llama.cpp returns NULL and logs: the first complaint is kept and becomes the error. One load at a time
 * in a process. Its other messages go to our log: warnings as info, the rest as debug.
 */
#ifndef STEAD_INFERENCE_ENGINE_LOAD_H
#define STEAD_INFERENCE_ENGINE_LOAD_H

#include <stdbool.h>

#include "inference/engine/worker.h"

struct load_params {
    bool no_alloc;                             /* plan only: no weights are read */
    bool (*progress)(float done, void *ctx);   /* false stops; NULL: none */
    void *ctx;
};

int load_model(const struct worker_options *o, const struct load_params *p, struct llama_model **out, struct err *e) WARN_UNUSED;

/* abort may be NULL: asked between graph nodes, true stops the evaluation. */
int load_context(struct llama_model *model, const struct worker_options *o, bool (*abort)(void *ctx), void *ctx,
                 struct llama_context **out, struct err *e) WARN_UNUSED;

/* An evaluation is being stopped on purpose: what llama.cpp says of it is no complaint. Any thread. */
void load_expect_abort(bool expected);

#endif
