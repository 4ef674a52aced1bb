/*
 * worker - the thread that owns the model: loads it, evaluates prompts, samples replies.
 *
 *     struct worker *w;
 *     worker_create(loop, &options, &events, &w, e);   // loading begins
 *     ... events.on_ready ...
 *     worker_submit(w, job);                           // job_events arrive in the loop's thread
 *     worker_cancel(w, job);                           // on_done still comes, soon
 *     worker_destroy(w);                               // stops within one graph node, joins
 *
 * Everything here is called from the loop's thread; every event arrives there. Requests run side by side,
 * one per sequence of the KV cache, their tokens in one batch; more than there are sequences wait in order.
 * A cancelled request stops between two batches, and inside one where nobody else is in it.
 */
#ifndef STEAD_INFERENCE_ENGINE_WORKER_H
#define STEAD_INFERENCE_ENGINE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"
#include "inference/engine/chat-shim.h"

struct worker;

enum worker_kv {
    WORKER_KV_F16, WORKER_KV_Q8_0, WORKER_KV_Q5_1, WORKER_KV_Q4_0, WORKER_KV_IQ4_NL, WORKER_KV_F32, WORKER_KV_BF16,
    WORKER_KV_TYPES
};
/* "f16", "q8_0", ...; or -1 when there is none of that name. */
int worker_kv_parse(struct span name);
const char *worker_kv_name(enum worker_kv type);

struct worker_options {
    const char *model;  /* GGUF file; kept */
    const char *template_file; /* Jinja, in place of the model's own chat template; kept, or NULL */
    int32_t ctx_tokens; /* per sequence; 0: what the model was trained for, at most WORKER_CTX_DEFAULT */
    int32_t slots;      /* sequences */
    int32_t threads;
    int32_t batch;      /* tokens a batch, at most */
    int32_t gpu_layers; /* 0: all on the CPU, negative: all on the GPU */
    enum worker_kv type_k, type_v;
    bool repack;        /* llama.cpp may keep a copy of the weights in a layout that suits the CPU */
    bool mlock;
    bool unified;       /* one cache that all sequences share; else one each, so that none slows another down */
    bool all_outputs;   /* room for the logits of a whole batch: only to measure what others reserve */
};

#define WORKER_CTX_DEFAULT 16384
#define WORKER_SLOTS_MAX 16
#define WORKER_THREADS_MAX 256 /* the largest machines' physical cores; one pool a number is kept */

struct worker_info { /* of the loaded model; valid from on_ready */
    char description[128]; /* "llama 1B Q4_K - Medium" */
    int32_t ctx_tokens;    /* per sequence */
    int32_t ctx_train;
    int32_t slots, vocab, layers, embd;
    uint64_t params, weight_bytes;
    int64_t load_ms;
};

struct worker_events {
    void (*on_loading)(void *ctx, double done); /* 0..1 */
    void (*on_ready)(void *ctx);
    void (*on_failed)(void *ctx, const struct err *why); /* the model cannot be loaded: final */
    void *ctx;
};

int worker_create(struct loop *loop, const struct worker_options *options, const struct worker_events *events,
                  struct worker **out, struct err *e) WARN_UNUSED;
void worker_destroy(struct worker *w);

const struct worker_info *worker_info(const struct worker *w);
struct llama_model *worker_model(const struct worker *w);
struct chat_templates *worker_templates(const struct worker *w);

void worker_set_threads(struct worker *w, int32_t threads); /* from the next batch on */
int32_t worker_threads(const struct worker *w);
size_t worker_active(const struct worker *w); /* submitted and not done */

/* How long evaluation has stood still although there is something to evaluate; 0: it goes on, or there is nothing. */
int64_t worker_stalled_ms(const struct worker *w);

/* One chat request. */
struct job_progress {
    int32_t total, cached, processed; /* tokens of the prompt; processed counts the cached ones too */
    int64_t time_ms;
};

enum job_finish { JOB_STOP, JOB_LENGTH, JOB_CANCELLED, JOB_FAILED, JOB_CONTEXT };

struct job_result {
    enum job_finish finish;
    int32_t slot;
    int32_t prompt_n;    /* tokens of the prompt */
    int32_t cached_n;    /* of them, taken from the cache */
    int32_t evaluated_n; /* of them, evaluated now */
    int32_t predicted_n;
    double prompt_ms, predicted_ms;
    struct err why; /* JOB_FAILED */
};

struct job {
    /* set by the caller before worker_submit, kept until on_done */
    struct chat_prompt *prompt;      /* owned by the caller */
    struct chat_sampling sampling;
    int32_t max_tokens;              /* 0: none, the prompt is evaluated into the cache; negative: until the context is full */
    int32_t wanted_slot;             /* or -1 */
    bool no_cache;                   /* evaluate the whole prompt */
    bool want_progress;
    bool whole;                      /* nobody reads along: all text comes in one piece, before on_done */
    const char *const *stops;        /* the reply ends before the first of these; borrowed */
    size_t nstops;
    void (*on_progress)(void *ctx, const struct job_progress *);
    void (*on_text)(void *ctx, struct span text, int32_t predicted_n);
    void (*on_done)(void *ctx, const struct job_result *); /* the last call for this job */
    void *ctx;
    struct job_private *private; /* the worker's */
};

int worker_submit(struct worker *w, struct job *job, struct err *e) WARN_UNUSED;
void worker_cancel(struct worker *w, struct job *job);

#endif
