/*
 * supervisor - an inference server on this machine that is simply there when it is needed.
 *
 *     struct engine_address a;
 *     if (engine_ensure(loop, cfg, NULL, on_progress, ctx, cancel, &a, e) < 0) ...   // NULL: the bundled pilot
 *     ... talk to a.url ("unix:///...sock", OpenAI chat as llama-server speaks it) ...
 *     on a lost connection: engine_ensure again and repeat the request; the prompt is evaluated anew
 *
 * What already runs for the same model and settings is adopted; else the embedded engine (stead-engine,
 * its own process) is started on a private unix socket in a directory that only this user enters. It
 * outlives us, so that the next run finds it warm, and stops by itself when idle. Where configuration
 * names a llama-server program, that is started in its place, and ends with us.
 *
 * A crash costs the reply in progress and nothing else: the stale socket is removed and the engine
 * started again, also when it is killed while it loads; from the third start within a minute on it waits longer each time. When two models do
 * not fit into memory side by side, the second waits until the first has nothing to do, then takes its place.
 *
 * The loop's thread; engine_ensure waits. Logs: engine.log beside the sockets, at most twice LOG_MAX.
 */
#ifndef STEAD_INFERENCE_SUPERVISOR_H
#define STEAD_INFERENCE_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/loop.h"

struct config;

#define SUPERVISOR_CTX 32768 /* an agent's conversation; more costs memory that builds want */

struct engine_address {
    char url[128];    /* unix:///path */
    char socket[108];
    char model[4096]; /* the GGUF file */
    bool adopted;     /* it was running */
    int64_t waited_ms;
};

/* What is going on, in words, and how far (0..1; negative: cannot be told). */
typedef void (*engine_progress_fn)(void *ctx, const char *what, double done);

/*
 * model: path of a GGUF file, or a model's name in the store (models.h); NULL: inference.model of the configuration,
 * else the pilot. Context, conversations and the cache's type are chosen to fit the memory that is free, unless
 * inference.context_tokens says otherwise.
 */
int engine_ensure(struct loop *loop, const struct config *cfg, const char *model, engine_progress_fn progress, void *ctx,
                  struct cancel *cancel, struct engine_address *out, struct err *e) WARN_UNUSED;

/* The same without a configuration. */
struct engine_options {
    const char *dir;       /* for sockets and logs: made, 0700; kept for the call */
    const char *model;
    const char *program;   /* stead-engine, or llama-server with `server`; NULL: found */
    bool server;           /* program is a llama-server */
    int64_t ctx_tokens;    /* 0: the model's own, at most SUPERVISOR_CTX, as far as memory goes */
    int slots;             /* 0: 2, or 1 where memory is short */
    int threads;           /* 0: by the hardware */
    int64_t idle_ms;       /* 0: 10 minutes */
    int64_t start_ms;      /* longest time to wait for the model; 0: 10 minutes */
    int64_t memory_bytes;  /* what models may take; 0: what is free now, less a reserve for builds and tests */
};
int engine_ensure_with(struct loop *loop, const struct engine_options *o, engine_progress_fn progress, void *ctx,
                       struct cancel *cancel, struct engine_address *out, struct err *e) WARN_UNUSED;

/* Compute with this many threads from the next batch on (while gates run); 0: the default again. */
int engine_set_threads(struct loop *loop, const struct engine_address *a, int threads, struct err *e) WARN_UNUSED;
/* Stop it when it has nothing to do: 1 stopped, 0 it is busy (or was gone already). */
int engine_stop(struct loop *loop, const struct engine_address *a, struct err *e) WARN_UNUSED;

#endif
