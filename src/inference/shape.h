/*
 * shape - what of a model decides how much memory it takes and how fast it answers.
 *
 *     struct shape s;
 *     shape_read(path, isa_read(), &s, e);          // from a GGUF file (all parts of a split one)
 *     shape_finish(&s);
 *
 * A value; per-layer arrays are its own. From a catalogue row the same struct is filled by catalogue.h.
 */
#ifndef STEAD_INFERENCE_SHAPE_H
#define STEAD_INFERENCE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "inference/gguf.h"

#define SHAPE_LAYERS_MAX 1024
#define SHAPE_CTX_MAX (1 << 28)  /* tokens; larger ones in a file are not believed */
#define SHAPE_ROW_MAX (1 << 22)  /* numbers of one key; the largest known have 32768 */

struct shape_layer {
    int32_t kv_heads;   /* of attention; 0: it has none */
    bool attention;     /* it keeps keys and values */
    bool window;        /* only those of the sliding window */
    bool recurrent;     /* it keeps a state per conversation */
    int32_t head_k, head_v;
};

struct shape {
    char name[96];
    char arch[48];
    char quant[16];
    int64_t file_bytes;      /* all parts */
    int64_t weight_bytes;    /* tensors */
    int64_t active_bytes;    /* of them, read for one token: without the experts that are not chosen */
    int64_t repack_bytes;    /* of them, copied into another layout for this processor */
    int64_t mapped_bytes;    /* of the file, kept mapped beside those copies: from the first to the last other tensor */
    int64_t params, active_params;
    int32_t layers, embd, heads, ff, vocab;
    int32_t experts, experts_used;
    int64_t ctx_train;
    int32_t window;          /* tokens; 0: none */
    bool latent;             /* MLA: one compressed key per token and layer, no values */
    int64_t state_r, state_s; /* recurrent layers: numbers of each part of the state, F32 */
    bool pairwise;           /* recurrent layers weigh each token of a batch against each other one (lightning attention) */
    bool unsure_kv;          /* the architecture keeps something that these formulas do not know */
    bool has_template;
    struct shape_layer *layer;
};

/* isa: of the processor that will run it (isa.h); 0: nothing is repacked. */
int shape_read(const char *path, unsigned isa, struct shape *out, struct err *e) WARN_UNUSED;
int shape_of(const struct gguf *g, unsigned isa, struct shape *out, struct err *e) WARN_UNUSED;
int shape_copy(const struct shape *s, struct shape *out, struct err *e) WARN_UNUSED;
void shape_finish(struct shape *s);
static inline void shape_auto(struct shape *s)
{
    shape_finish(s);
}

#endif
