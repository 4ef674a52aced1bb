/*
 * models - the models that are kept on this machine: GGUF files in one directory, with where they came from.
 *
 *     struct models *s;
 *     models_open(dir, &s, e);
 *     models_import(s, "/downloads/x.gguf", NULL, &name, e);   // checked, linked or copied, hashed
 *     models_each(s, on_model, ctx);
 *     models_path(s, "x", e);                                   // what engine_ensure takes; malloc'd
 *     models_remove(s, "x", e);
 *     models_close(s);
 *
 * A model comes from a source: one row of models_sources[] a kind (a file today; registries later), picked by what
 * the reference looks like. A source fetches into a temporary file of the store; checking, hashing and naming are the
 * store's. An interrupted import leaves nothing but a temporary file, which the next one removes. A model in several files is one
 * model here: its first part is imported, the others come along, and removing it removes them all.
 */
#ifndef STEAD_INFERENCE_MODELS_H
#define STEAD_INFERENCE_MODELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define MODELS_NAME_MAX 128
#define MODELS_PILOT "pilot" /* names the bundled model: none in the store is called so */

struct models;

struct models_item {
    const char *name;     /* the file's name without .gguf */
    const char *path;
    int64_t bytes;
    const char *sha256;   /* "" unknown: a file that somebody put there */
    const char *origin;   /* where it came from; "" unknown */
    int64_t added_unix_ms;
};

struct models_source {
    const char *name;
    bool (*takes)(const char *reference);
    /* Put the model's bytes into the new file `to`. */
    int (*fetch)(const char *reference, const char *to, struct err *e);
};
extern const struct models_source *const models_sources[]; /* NULL-terminated */

int models_open(const char *dir, struct models **out, struct err *e) WARN_UNUSED;
void models_close(struct models *s);
static inline void models_auto(struct models **s)
{
    models_close(*s);
}

/* `name` NULL: by the file's name. *out: the name it got, malloc'd; NULL allowed. */
int models_import(struct models *s, const char *reference, const char *name, char **out, struct err *e) WARN_UNUSED;
/* In order of name; stops at the first non-zero result. */
int models_each(struct models *s, int (*fn)(void *ctx, const struct models_item *m), void *ctx, struct err *e);
char *models_path(struct models *s, const char *name, struct err *e);
int models_remove(struct models *s, const char *name, struct err *e) WARN_UNUSED;

#endif
