/*
 * chat-shim - the C face of llama.cpp's chat templates, tool-call parsers and samplers.
 *
 * These exist in C++ only (libllama-common). This is the one C++ file of the tree: it translates, and
 * decides nothing. No exception leaves it; every failure is an ERR_INPUT with llama.cpp's words.
 *
 *     struct chat_templates *t;
 *     chat_templates_create(model, NULL, &t, e);
 *     struct chat_prompt *p;
 *     chat_prompt_create(t, &(struct chat_request){ .messages = "[...]", .tools = "[...]" }, &p, e);
 *     chat_prompt_text(p, &n);                        // what to tokenize and evaluate
 *     struct chat_sampler *s;
 *     chat_sampler_create(model, p, &sampling, &s, e);
 *     int32_t token = chat_sampler_next(s, ctx, row); // samples and accepts
 *     struct chat_parse *r;
 *     chat_parse_create(p, &r, e);
 *     chat_parse_add(r, text, n, final, on_delta, ctx, e);   // OpenAI deltas of what is new
 *
 * chat_templates and chat_prompt may be used from any thread as long as one call at a time touches one
 * object; sampler and parse belong to whoever created them. A prompt must outlive neither: both copy.
 */
#ifndef STEAD_INFERENCE_ENGINE_CHAT_SHIM_H
#define STEAD_INFERENCE_ENGINE_CHAT_SHIM_H

#ifdef __cplusplus
extern "C" {
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct llama_context;
struct llama_model;
struct chat_templates;
struct chat_prompt;
struct chat_sampler;
struct chat_parse;

/* The templates in the model, or `override` (Jinja text) in their place. */
int chat_templates_create(const struct llama_model *model, const char *override, struct chat_templates **out,
                          struct err *e);
void chat_templates_destroy(struct chat_templates *t);
const char *chat_templates_source(const struct chat_templates *t); /* Jinja text; belongs to t */

enum chat_tool_choice { CHAT_TOOL_AUTO, CHAT_TOOL_REQUIRED, CHAT_TOOL_NONE };
enum chat_thinking { CHAT_THINKING_DEFAULT, CHAT_THINKING_ON, CHAT_THINKING_OFF };

struct chat_request {
    const char *messages;  /* JSON array, OpenAI chat messages */
    const char *tools;     /* JSON array, or NULL */
    enum chat_tool_choice tool_choice;
    int parallel_calls;    /* 1, 0, or -1: as the template can */
    const char *json_schema; /* the reply must fit it; or NULL */
    const char *grammar;     /* GBNF the reply must fit; or NULL */
    const char *template_args; /* JSON object, handed to the template; or NULL */
    const char *reasoning;     /* "none", "auto", "deepseek" ...; NULL: auto */
    enum chat_thinking thinking;
};

int chat_prompt_create(struct chat_templates *t, const struct chat_request *r, struct chat_prompt **out,
                       struct err *e);
void chat_prompt_destroy(struct chat_prompt *p);
const char *chat_prompt_text(const struct chat_prompt *p, size_t *n);
const char *chat_prompt_format(const struct chat_prompt *p); /* llama.cpp's name of the parser */
size_t chat_prompt_stops(const struct chat_prompt *p);
const char *chat_prompt_stop(const struct chat_prompt *p, size_t i);

/* Every number is used as it stands: nothing is taken from the model file or from llama.cpp's defaults. */
struct chat_sampling {
    float temperature; /* 0: greedy */
    int32_t top_k;     /* 0: off */
    float top_p, min_p;
    float repeat_penalty, presence_penalty, frequency_penalty;
    int32_t repeat_last_n;
    uint32_t seed;
    bool ignore_eos;
};

int chat_sampler_create(const struct llama_model *model, const struct chat_prompt *p,
                        const struct chat_sampling *how, struct chat_sampler **out, struct err *e);
void chat_sampler_destroy(struct chat_sampler *s);
/* Sample from row `row` of the last decode, accept it; -1 and e on failure (a grammar that cannot go on). */
int32_t chat_sampler_next(struct chat_sampler *s, struct llama_context *ctx, int32_t row, struct err *e);
/* The token's bytes into out (cap bytes): their number, or the negated number needed. */
int chat_sampler_piece(const struct chat_sampler *s, int32_t token, char *out, int cap);

/* One delta: a JSON object as in `choices[0].delta`. */
typedef void (*chat_delta_fn)(void *ctx, const char *json, size_t n);

int chat_parse_create(const struct chat_prompt *p, struct chat_parse **out, struct err *e);
void chat_parse_destroy(struct chat_parse *r);
/* More text of the reply; `final`: it is complete. fn is called for what is new. */
int chat_parse_add(struct chat_parse *r, const char *text, size_t n, bool final, chat_delta_fn fn, void *ctx,
                   struct err *e);
/* After a failure: what is in the text behind all that became deltas, which is what was held back and what could not be read. */
const char *chat_parse_rest(const struct chat_parse *r, size_t *n);
bool chat_parse_has_calls(const struct chat_parse *r);
/* The whole message as a JSON object (`choices[0].message`), malloc'd: yours. NULL: out of memory. */
char *chat_parse_message(const struct chat_parse *r);

/* llama.cpp's tokenizer with special tokens parsed: malloc'd array in *out (yours), its length or negative. */
int chat_tokenize(const struct llama_model *model, const char *text, size_t n, bool add_special, int32_t **out,
                  struct err *e);

/* What llama.cpp allocated, or with no_alloc would allocate, for a context. */
struct chat_memory {
    uint64_t weights, repacked, device_weights; /* bytes: as in the file; the copies for the CPU; on GPUs */
    uint64_t context, device_context;           /* KV cache and recurrent state */
    uint64_t compute, device_compute;
};
int chat_memory_read(const struct llama_context *ctx, struct chat_memory *out, struct err *e);

#ifdef __cplusplus
}
#endif

#endif
