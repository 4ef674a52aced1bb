/*
 * fit - how much memory a model takes at a context, the largest context that fits, and how fast it answers.
 *
 *     struct fit_how how = FIT_HOW;                 // one conversation, F16 cache
 *     struct fit_memory m;
 *     fit_memory(&shape, ctx_tokens, &how, &m);     // closed formulas: KV exact, compute estimated
 *     fit_measure(loop, path, ..., &m, e);          // compute as llama.cpp plans it, where the engine is there
 *     int64_t most = fit_context(&shape, &how, budget_bytes, 0);
 *     struct fit_speed v;
 *     fit_speed(&shape, ctx_tokens, &how, &machine, &v);
 *
 * KV cache: cells x layers x heads x (key + value) bytes, cells rounded up to 256 a sequence as llama.cpp does;
 * sliding-window layers keep min(context, window + batch) cells; MLA keeps one compressed key; recurrent layers
 * keep a state per conversation. Speed: bytes read for one token over the memory's bandwidth, times an efficiency
 * with an interval. Pure, but for fit_measure.
 */
#ifndef STEAD_INFERENCE_FIT_H
#define STEAD_INFERENCE_FIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "inference/shape.h"

enum fit_kv { FIT_F16, FIT_Q8_0, FIT_Q5_1, FIT_Q4_0, FIT_IQ4_NL, FIT_F32, FIT_BF16, FIT_KV_TYPES };
const char *fit_kv_name(enum fit_kv t);
int fit_kv_parse(const char *name);          /* -1: no such type */
int64_t fit_kv_bytes(enum fit_kv t, int64_t numbers);

struct fit_how {
    int32_t slots;      /* conversations side by side, each with the whole context */
    int32_t ubatch;     /* tokens evaluated at once */
    bool unified;       /* one cache for all slots (llama-server --kv-unified) */
    bool window_full;   /* window layers keep everything (--swa-full) */
    bool repack;        /* the CPU copies */
    bool all_outputs;   /* room for the logits of a whole batch (llama-bench; not llama-server, not the engine) */
    enum fit_kv type_k, type_v;
    int64_t projector_bytes; /* of an image projector loaded beside it */
};
#define FIT_HOW { 1, 512, false, false, true, false, FIT_F16, FIT_F16, 0 }

struct fit_memory { /* bytes */
    int64_t weights;   /* mapped from the file */
    int64_t repack;    /* copies in another layout */
    int64_t kv;        /* keys and values, all slots */
    int64_t kv_window; /* of them, in sliding-window layers: does not grow */
    int64_t recurrent; /* states */
    int64_t compute;   /* intermediate results */
    int64_t output;    /* logits */
    int64_t projector;
    int64_t total;
    bool measured;     /* compute as llama.cpp plans it; else estimated, about 15 % off */
};

void fit_memory(const struct shape *s, int64_t ctx_tokens, const struct fit_how *how, struct fit_memory *out);

/* The largest context (multiple of 256, at most the trained one, or `most` when > 0) whose total fits; 0: not even 256. */
int64_t fit_context(const struct shape *s, const struct fit_how *how, int64_t budget_bytes, int64_t most);

/*
 * Replace estimates by what llama.cpp would allocate on this machine. ERR_NOT_FOUND: no engine; ERR_UNSUPPORTED: llama.cpp
 * does not load this file, and why. Waits.
 */
int fit_measure(struct loop *loop, const char *path, int64_t ctx_tokens, const struct fit_how *how, struct cancel *cancel,
                struct fit_memory *m, struct err *e) WARN_UNUSED;

struct fit_machine {
    double bandwidth;    /* bytes a second that weights can be read at */
    double compute;      /* multiply-adds a second that evaluation reaches; 0: unknown */
    bool gpu;
};

struct fit_speed {
    double low, expected, high; /* tokens a second, one conversation, at this context half full */
    double prompt_low, prompt_expected, prompt_high; /* prompt tokens a second */
    bool measured;              /* both: all three figures are the one measured */
};

void fit_speed(const struct shape *s, int64_t ctx_tokens, const struct fit_how *how, const struct fit_machine *machine,
               struct fit_speed *out);

#endif
