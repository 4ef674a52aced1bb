/*
 * collect - one reply as it comes in: text, reasoning, calls, usage, how it ended.
 *
 *     struct collect c;
 *     collect_init(&c, &sink);
 *     dialect->event(&c, name, data, e);      // for each event of the stream: fills c by the functions below
 *     if (c.failed) ...                        // the server said that it failed, inside a 200
 *     if (!c.ended) ...                        // the stream was cut
 *     collect_finish(&c);
 *
 * Pieces of calls are put together by id, then by index, then by order of arrival, because servers
 * give every call index 0, or none (quirks 4 and 5). Arguments come as text or as an object.
 */
#ifndef STEAD_MODEL_COLLECT_H
#define STEAD_MODEL_COLLECT_H

#include <jansson.h>

#include "model/chat.h"

struct collect_call {
    char id[128];   /* "" when the server gives none */
    char name[128];
    int64_t index;  /* -1: none was given */
    struct buf args;
    bool whole;     /* the server said that it is complete */
    bool odd;       /* name or id longer than any real one */
};

struct collect_sink {
    void *ctx;
    void (*text)(void *ctx, struct span piece);
    void (*reasoning)(void *ctx, struct span piece);
    void (*call)(void *ctx, const char *name);
    void (*progress)(void *ctx, int64_t total, int64_t cached, int64_t processed);
};

struct collect {
    const struct collect_sink *sink;
    struct buf text, reasoning, signature; /* signature: of the reasoning, where the dialect signs it */
    struct collect_call *calls;
    size_t ncalls, cap;
    enum finish finish;
    bool finished;   /* a reason to stop was given */
    bool ended;      /* the end of the stream was announced */
    bool any;        /* something of a reply came */
    struct reply_usage usage;
    int64_t first_ms; /* clock_ms of the first token; 0 none yet */
    double prefill_tokens_per_s, decode_tokens_per_s; /* as the server measured; 0 unknown */
    bool failed;     /* an error object came; its text and type: */
    struct buf error;
    char error_type[96];
    int error_status; /* a status given inside; 0 none */
    int64_t error_n_prompt, error_n_ctx; /* -1 */
};

void collect_init(struct collect *c, const struct collect_sink *sink);
void collect_finish(struct collect *c);

bool collect_text(struct collect *c, struct span piece);
bool collect_reasoning(struct collect *c, struct span piece);
/* A piece of a call: any of id, name, args may be empty; index -1 where none is given. NULL: too many, or memory. */
struct collect_call *collect_call(struct collect *c, struct span id, int64_t index, struct span name, struct span args);
/* The error object or string of a server, in any of the known shapes. */
void collect_error(struct collect *c, const json_t *error);
int collect_check(const struct collect *c, struct err *e) WARN_UNUSED; /* limits and memory */

/*
 * JSON as servers send it: also with bytes that are no UTF-8 and with halves of surrogate pairs (a character cut
 * between two tokens), which become U+FFFD, and with NUL characters. NULL: not JSON.
 */
json_t *collect_parse(struct span text);
size_t collect_bytes(const struct collect *c); /* of text, reasoning and arguments so far */

/* Small readers of JSON that came from a server. */
struct span json_span(const json_t *v);                                 /* "" unless a string */
int64_t json_count(const json_t *object, const char *name, int64_t or); /* a non-negative number */

#endif
