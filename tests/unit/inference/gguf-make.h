/*
 * gguf-make - small GGUF files with random weights, for tests: real to llama.cpp, and quick to write.
 *
 *     struct gguf_make m = GGUF_MAKE_LLAMA;      // or change members: layers, kv_heads, type ...
 *     gguf_make(&m, path, e);
 *
 * Families: llama and qwen3 (grouped-query attention), gemma3 (sliding window, one full layer in six),
 * qwen35 (hybrid: one attention layer in four, the rest gated delta net), deepseek2 (MLA, dense), minimax-01 (hybrid with
 * lightning attention, four experts).
 * The vocabulary is byte-level BPE: 256 bytes, a few merges, ChatML and Hermes tool tokens.
 */
#ifndef STEAD_TESTS_GGUF_MAKE_H
#define STEAD_TESTS_GGUF_MAKE_H

#include <stdint.h>

#include "base/err.h"

struct gguf_make {
    const char *arch;
    int layers, embd, heads, kv_heads, head_dim, ff, vocab, ctx;
    int window;             /* gemma3 */
    int lora_kv, rope_dim;  /* deepseek2 */
    int state, groups, dt_rank, conv; /* qwen35 */
    const char *type;       /* f32, f16, q8_0, q4_0, q4_k: of the matrices; norms are f32 */
    uint64_t seed;
    const char *chat_template; /* NULL: Hermes-style ChatML with tool calls */
    /*
     * A model that says what it is told to: after a newline it says chain[0], then chain[1], ... then ends
     * its turn. Each is one token of its own; layers contribute nothing. Needs embd >= vocab, type f32.
     */
    const char *const *chain;
    int nchain;
    int after; /* the byte that begins it in place of a newline; 0: newline */
};

#define GGUF_MAKE_LLAMA                                                                                   \
    { .arch = "llama", .layers = 2, .embd = 64, .heads = 4, .kv_heads = 2, .head_dim = 16, .ff = 128,      \
      .vocab = 320, .ctx = 4096, .window = 512, .lora_kv = 64, .rope_dim = 16, .state = 32, .groups = 2,    \
      .dt_rank = 4, .conv = 4, .type = "f32", .seed = 1 }

int gguf_make(const struct gguf_make *m, const char *path, struct err *e);

/* The Hermes-style template that the files carry by default. */
extern const char gguf_make_template[];

#endif
