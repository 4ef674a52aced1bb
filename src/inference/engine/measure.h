/*
 * measure - what llama.cpp would allocate for a model and a context, without allocating it.
 *
 * Compute buffers have no closed form: llama.cpp plans its graphs and adds up. This asks it to plan with
 * no_alloc, which reads the header of the file and no weights, and prints one JSON object a context:
 *
 *     stead-engine --measure 4096,32768 --model FILE --slots 2
 *     {"ctx_tokens":4096,"weights":...,"repacked":...,"context":...,"compute":...,"output":...}
 */
#ifndef STEAD_INFERENCE_ENGINE_MEASURE_H
#define STEAD_INFERENCE_ENGINE_MEASURE_H

#include "inference/engine/worker.h"

#define MEASURE_MAX 64 /* contexts at once */

/* `contexts`: tokens a sequence, separated by commas. Prints to standard output. */
int measure(const struct worker_options *o, const char *contexts, struct err *e) WARN_UNUSED;

#endif
