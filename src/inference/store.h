/*
 * store - the models that are kept on this machine: GGUF files in one directory, with where they came from.
 *
 *     struct store *s;
 *     store_open(dir, &s, e);
 *     store_import(s, "/downloads/x.gguf", NULL, &name, e);   // checked, linked or copied, hashed
 *     store_each(s, on_model, ctx);
 *     store_path(s, "x", e);                                   // what engine_ensure takes; malloc'd
 *     store_remove(s, "x", e);
 *     store_close(s);
 *
 * A model comes from a source: one row of store_sources[] a kind (a file today; registries later), picked by what
 * the reference looks like. A source fetches into a temporary file of the store; checking, hashing and naming are the
 * store's. An interrupted import leaves nothing but a temporary file, which the next one removes.
 */
#ifndef STEAD_INFERENCE_STORE_H
#define STEAD_INFERENCE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define STORE_NAME_MAX 128

struct store;

struct store_model {
    const char *name;     /* the file's name without .gguf */
    const char *path;
    int64_t bytes;
    const char *sha256;   /* "" unknown: a file that somebody put there */
    const char *origin;   /* where it came from; "" unknown */
    int64_t added_unix_ms;
};

struct store_source {
    const char *name;
    bool (*takes)(const char *reference);
    /* Put the model's bytes into the new file `to`. */
    int (*fetch)(const char *reference, const char *to, struct err *e);
};
extern const struct store_source *const store_sources[]; /* NULL-terminated */

int store_open(const char *dir, struct store **out, struct err *e) WARN_UNUSED;
void store_close(struct store *s);
static inline void store_auto(struct store **s)
{
    store_close(*s);
}

/* `name` NULL: by the file's name. *out: the name it got, malloc'd; NULL allowed. */
int store_import(struct store *s, const char *reference, const char *name, char **out, struct err *e) WARN_UNUSED;
/* In order of name; stops at the first non-zero result. */
int store_each(struct store *s, int (*fn)(void *ctx, const struct store_model *m), void *ctx, struct err *e);
char *store_path(struct store *s, const char *name, struct err *e);
int store_remove(struct store *s, const char *name, struct err *e) WARN_UNUSED;

#endif
