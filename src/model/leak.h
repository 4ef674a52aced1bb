/*
 * leak - tool calls that a server left in the text: one row and one file for each markup.
 *
 *     struct leak_found f;
 *     if (leak_find(text, row->leaks, known, ctx, &arena, &f) > 0)
 *         ... f.calls, f.text (the words without the markup)
 *
 * These only read. Whether a call may run (known tool, schema) is decided by the caller. A parser takes
 * whole markup only: what is cut is reported as `cut`, never completed.
 */
#ifndef STEAD_MODEL_LEAK_H
#define STEAD_MODEL_LEAK_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/bind.h"

#define LEAK_MAX_CALLS 32

struct leak_call {
    struct span name;
    struct span args; /* as written; "" when the markup was not readable */
};

struct leak_found {
    const char *format;   /* row's name */
    struct leak_call calls[LEAK_MAX_CALLS];
    size_t ncalls;
    struct span text;     /* what is left */
    bool cut;             /* markup began and did not end */
    bool unreadable;      /* markup is there, its inside makes no sense */
    bool weak;            /* plain JSON, which may be meant as text: only an exact fit counts */
};

/* Is this the name of a tool that was offered? Parsers of weak formats ask. */
typedef bool (*leak_known_fn)(void *ctx, struct span name);

struct leak_in {
    struct span text;
    leak_known_fn known;
    void *ctx;
    struct arena *arena;
};

struct leak {
    const char *name;
    /* 1 markup was found and f filled, 0 none of this format. */
    int (*parse)(const struct leak_in *in, struct leak_found *f);
};

extern const struct leak leak_hermes, leak_qwen_xml, leak_mistral, leak_harmony, leak_llama, leak_gemma, leak_invoke, leak_json;
extern const struct leak *const leaks[]; /* NULL-terminated, strong ones first */

/* Try the rows named first, then the others; 1 found, 0 none. */
int leak_find(const struct leak_in *in, const struct strings *first, struct leak_found *f);

/* For the parsers. */
bool leak_add(struct leak_found *f, struct span name, struct span args);
/* The end of the JSON value that begins at s.p[0] ('{', '[' or '"'): its length, 0 when it does not end. */
size_t leak_json_end(struct span s);
/* {"name"|"tool"|"function": ..., "arguments"|"parameters"|"args"|"input": {...}} -> a call; false when it is not of that shape. */
bool leak_from_object(const struct leak_in *in, struct span json, struct leak_found *f);
/* Text before and after, joined and trimmed at the seam. */
struct span leak_rest(struct arena *a, struct span before, struct span after);
/* One member "key": value, value a JSON string. */
bool leak_add_member(struct buf *json, struct span key, struct span value, bool verbatim_json);

/*
 * A JSON object from text that a model wrote: strict, or with raw control characters inside strings
 * (which JSON forbids and models write). Nothing is closed, completed or guessed. NULL: not an object.
 */
json_t *leak_object(struct span text);

#endif
