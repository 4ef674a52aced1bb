/*
 * worker-internal - what worker.c (the thread, its queue, what it tells the loop) and evaluate.c (sequences, batches,
 * tokens) share. The worker's thread only, but for what is marked as being under the lock.
 */
#ifndef STEAD_INFERENCE_ENGINE_WORKER_INTERNAL_H
#define STEAD_INFERENCE_ENGINE_WORKER_INTERNAL_H

#include <ggml-cpu.h>
#include <llama.h>
#include <pthread.h>
#include <stdatomic.h>

#include "inference/engine/pace.h"
#include "inference/engine/sequences.h"
#include "inference/spare.h"
#include "inference/engine/worker.h"

#define CHECKPOINTS 4          /* kept a sequence, where the cache cannot be cut anywhere */
#define TEXT_LIMIT (16u << 20) /* bytes waiting for the loop's thread */

struct checkpoint { /* state at a position, for caches that cannot be cut back to it */
    size_t n;
    uint8_t *data;
    size_t size;
};

struct job_private {
    struct job *job;
    struct worker *w;
    struct job_private *next;
    atomic_bool cancelled;
    int32_t *tokens; /* of the prompt; NULL before the worker saw it */
    int32_t ntokens;
    /* what the loop's thread has not seen yet: under w->lock */
    struct buf text;
    int32_t predicted_n;
    int64_t told_us; /* when text was last on its way to the loop's thread */
    struct job_progress progress;
    bool has_progress, done, posted;
    struct job_result result;
};

struct run { /* one sequence at work; the worker's thread only */
    struct job_private *p; /* NULL: idle */
    struct chat_sampler *sampler;
    int32_t limit;     /* tokens it may predict */
    int32_t evaluated; /* tokens of the prompt that are in the cache */
    int32_t cached;
    int32_t next;      /* sampled and not evaluated yet, or -1 */
    int32_t predicted;
    int32_t row;       /* in the batch, whose logits choose the next token; or -1 */
    int32_t in_batch;  /* tokens of this run in the batch */
    int64_t started_us, first_us, last_us;
    struct buf tail;   /* text held back: half a character, or perhaps the beginning of a stop */
    struct checkpoint checkpoints[CHECKPOINTS];
    size_t ncheckpoints;
};

struct worker {
    struct loop *loop;
    struct worker_options options;
    struct worker_events events;
    struct worker_info info;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stopping; /* stopping: under lock */
    atomic_bool stop;       /* the same, for llama.cpp's callbacks */
    atomic_llong beat_us;   /* when evaluation last went on: any operation of a graph counts */
    struct job_private *queue;
    size_t active;
    int32_t threads; /* wanted: under lock */
    /* loading, under lock */
    double loaded;
    bool loading_posted;
    struct err failure;
    /* the worker's thread */
    struct llama_model *model;
    struct llama_context *ctx;
    struct chat_templates *templates;
    ggml_threadpool_t pools[WORKER_THREADS_MAX + 1]; /* by number of threads; the ones not in use sleep */
    void (*pool_free)(ggml_threadpool_t);
    unsigned asked;           /* calls of evaluate_abort */
    int32_t threads_now;
    int32_t threads_paced;    /* the wanted number that `writing` and `reading` were made for */
    struct pace writing;      /* one token a sequence */
    struct pace reading;      /* prompts */
    struct spare spare;
    struct llama_batch batch;
    struct sequences seqs;
    struct run *runs;
    bool rolls_back; /* the cache can be cut at any position */
    int32_t window;  /* of sliding-window attention, 0: none */
};

/* worker.c: to the loop's thread, by way of the job's outbox. */
void job_send_text(struct job_private *p, const char *text, size_t n, int32_t predicted_n);
void job_flush(struct job_private *p); /* what job_send_text holds back */
void job_send_progress(struct job_private *p, const struct job_progress *progress);
void job_send_done(struct job_private *p, const struct job_result *r); /* the last */

/* evaluate.c */
bool run_begin(struct worker *w, struct job_private *p); /* true: at work, or refused; false: every sequence is busy */
void run_end(struct worker *w, int seq, enum job_finish finish, const struct err *why);
void run_refuse(struct job_private *p, enum job_finish finish, const struct err *why);
void evaluate_step(struct worker *w, int32_t threads); /* one batch for all that are at work */
void evaluate_threads(struct worker *w, int32_t n);
bool evaluate_abort(void *worker); /* llama.cpp asks between two operations */

#endif
