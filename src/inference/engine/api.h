/*
 * api - the HTTP side of the engine: OpenAI's chat dialect as llama-server speaks it, over a unix socket.
 *
 *     POST /v1/chat/completions   stream or not; tools, tool_choice, response_format, grammar, stop, seed, ...
 *     GET  /health                503 with the share loaded, then 200 {"status":"ok"}
 *     GET  /props, /v1/models     the model, its context, its template, the defaults
 *     POST /tokenize, /apply-template
 *     GET  /stead/status          pid, threads, requests in progress
 *     POST /stead/threads         {"threads": N}: compute with N from the next batch on; 0: the default again
 *
 *     POST /stead/stop            end the process; 409 while requests are in progress
 *
 * Extensions of llama-server that are honoured: return_progress, id_slot, cache_prompt, timings,
 * chat_template_kwargs, reasoning_format. A member that is not known is ignored, as there; what is not
 * supported and would change the reply (logprobs, n > 1) is refused with 400.
 * Sampling uses exactly what the request says; without a word: temperature 0, everything else off.
 *
 * A client that goes away cancels its request. The loop's thread only.
 */
#ifndef STEAD_INFERENCE_ENGINE_API_H
#define STEAD_INFERENCE_ENGINE_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "inference/engine/worker.h"

struct api;

struct api_options {
    const char *model;  /* path, as shown in /props */
    const char *alias;  /* the model's name in replies */
    int32_t threads;    /* the default */
    void (*stop)(void *ctx); /* POST /stead/stop was granted */
    void *ctx;
};

/* Answers on the listening socket `fd` (kept, closed by api_destroy). Loading until api_ready. */
int api_create(struct loop *loop, int fd, const struct api_options *options, struct api **out, struct err *e) WARN_UNUSED;
void api_destroy(struct api *a); /* after worker_destroy: no job may be left */

void api_close(struct api *a); /* no new connections: whoever looks for an engine must not find one that is ending */
void api_loading(struct api *a, double done);
void api_ready(struct api *a, struct worker *w);

size_t api_active(const struct api *a);       /* requests in progress */
int64_t api_last_used_ms(const struct api *a); /* clock_ms() of the last request's beginning or end */

#endif
