/*
 * sequences - which stretch of the KV cache a prompt continues, and which one it may take.
 *
 * The engine keeps several conversations in the KV cache at once, one sequence each. A new prompt goes
 * where most of it is already evaluated; where it only shares a beginning with a conversation that it
 * does not continue (two agents with one system prompt), it takes the sequence unused for longest and
 * copies the shared beginning, so that neither evicts the other. Pure: no llama.cpp, no clock.
 *
 *     struct sequence_choice c;
 *     if (sequences_choose(&all, prompt, n, wanted, &c))   // false: all are busy, wait
 *         ...
 */
#ifndef STEAD_INFERENCE_ENGINE_SEQUENCES_H
#define STEAD_INFERENCE_ENGINE_SEQUENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct sequence {
    int32_t *tokens;  /* what the KV cache holds, in order; owned */
    size_t n, cap;
    size_t prompt_n;  /* how many of them the last request sent; the rest is the reply to it */
    int64_t used_ms;  /* when a request last touched it */
    bool busy;        /* a request is running in it */
};

struct sequences {
    struct sequence *items;
    size_t len;
    bool can_copy; /* a sequence can be copied and cut anywhere (not so with recurrent or sliding-window caches) */
};

struct sequence_choice {
    int seq;       /* the sequence to run in */
    int copy_from; /* copy this sequence there first, or -1 */
    size_t keep;   /* tokens of the prompt that need no evaluation: always less than the prompt */
};

/* A copied beginning is worth it from here: below, evaluating is about as quick as copying. */
#define SEQUENCES_COPY_MIN 32

bool sequences_choose(const struct sequences *all, const int32_t *prompt, size_t n, int wanted,
                      struct sequence_choice *out);

/* Length of the longest common prefix. */
size_t sequence_common(const struct sequence *s, const int32_t *prompt, size_t n);

int sequence_push(struct sequence *s, const int32_t *tokens, size_t n, struct err *e) WARN_UNUSED;

#endif
