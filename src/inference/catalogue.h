/*
 * catalogue - models one could run, from data/catalogue/ and the user's own rows beside it.
 *
 *     catalogue_each(on_model, ctx, e);       // one call for each model and quantisation
 *
 * A row has what decides memory, with the source of each number; shapes made from it lack what only a file
 * knows (embedding and vocabulary sizes are guessed, states of hybrid models are not counted).
 */
#ifndef STEAD_INFERENCE_CATALOGUE_H
#define STEAD_INFERENCE_CATALOGUE_H

#include "base/buf.h"
#include "base/err.h"
#include "inference/shape.h"

#define CATALOGUE_MODELS_MAX 4096

struct catalogue_model {
    const char *name, *arch, *kind, *licence, *sources, *notes, *basis; /* basis: of the size */
    bool kv_known;       /* the row has the geometry of the cache */
    struct shape shape;  /* borrowed for the call */
};

/* Stops at the first non-zero result. A row that cannot be read is an error that names file and line. */
int catalogue_each(int (*fn)(void *ctx, const struct catalogue_model *m), void *ctx, struct err *e) WARN_UNUSED;

/* One file's text; for tests. `name` is for messages. */
int catalogue_parse(const char *name, struct span text, int (*fn)(void *ctx, const struct catalogue_model *m), void *ctx,
                    struct err *e) WARN_UNUSED;

#endif
