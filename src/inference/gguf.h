/*
 * gguf - the header of a GGUF file: what is in it, without loading it.
 *
 *     struct gguf *g;
 *     if (gguf_open(path, &g, e) < 0) ...          // hostile input: every count, length and offset is checked
 *     gguf_text(g, "general.architecture");         // spans belong to g
 *     gguf_i64(g, "llama.block_count", 0);
 *     gguf_destroy(g);
 *
 * Versions 2 and 3, little endian. Large arrays (the vocabulary) are counted and skipped; number arrays of up to
 * GGUF_ARRAY_KEPT entries are kept. Format: ggml docs/gguf.md.
 */
#ifndef STEAD_INFERENCE_GGUF_H
#define STEAD_INFERENCE_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define GGUF_ARRAY_KEPT 4096        /* one number a layer; the largest models have a few hundred */
#define GGUF_KEYS_MAX 65536
#define GGUF_TENSORS_MAX 65536
#define GGUF_STRING_MAX (64u << 20) /* of one string; templates are below 100 kB */
#define GGUF_TEXT_KEPT (1u << 20)   /* longer ones are skipped */
#define GGUF_HEADER_MAX (1ull << 30)

enum gguf_kind { GGUF_INT, GGUF_FLOAT, GGUF_BOOL, GGUF_TEXT, GGUF_LIST };

struct gguf_value {
    const char *key;
    enum gguf_kind kind;
    int64_t i;          /* INT, BOOL */
    double f;           /* FLOAT */
    struct span text;   /* TEXT */
    enum gguf_kind of;  /* LIST: kind of its entries */
    uint64_t n;         /* LIST: how many there are */
    int64_t *items;     /* LIST of INT or BOOL of at most GGUF_ARRAY_KEPT entries; else NULL */
};

struct gguf_tensor {
    const char *name;
    uint32_t type;      /* ggml's number; gguf_type() knows it */
    uint32_t ndims;
    uint64_t dims[4];   /* the fastest first; 1 beyond ndims */
    uint64_t offset;    /* from the beginning of the data */
    uint64_t bytes;
};

struct gguf {
    struct arena arena;
    uint32_t version;
    uint64_t file_bytes;
    uint64_t data_offset;
    struct gguf_value *values;
    size_t nvalues;
    struct gguf_tensor *tensors;
    size_t ntensors;
    uint64_t tensor_bytes; /* of all tensors in this file */
};

int gguf_open(const char *path, struct gguf **out, struct err *e) WARN_UNUSED;
/* From memory; `file_bytes`: how long the whole file is, 0: as long as data. */
int gguf_parse(struct span data, uint64_t file_bytes, struct gguf **out, struct err *e) WARN_UNUSED;
void gguf_destroy(struct gguf *g);
static inline void gguf_auto(struct gguf **g)
{
    gguf_destroy(*g);
}

const struct gguf_value *gguf_find(const struct gguf *g, const char *key);
struct span gguf_text(const struct gguf *g, const char *key); /* p NULL: absent or not text */
int64_t gguf_i64(const struct gguf *g, const char *key, int64_t absent);
/* The same below the architecture: "block_count" is looked up as "llama.block_count". */
const struct gguf_value *gguf_find_arch(const struct gguf *g, const char *key);
int64_t gguf_arch_i64(const struct gguf *g, const char *key, int64_t absent);
/* Entry i of a list, or the one number that stands for all. */
int64_t gguf_arch_at(const struct gguf *g, const char *key, size_t i, int64_t absent);

/* ggml's tensor types. */
struct gguf_type {
    const char *name;
    uint32_t block, bytes; /* elements a block, bytes a block; 0: no longer in use */
};
const struct gguf_type *gguf_type(uint32_t type); /* NULL: unknown */
/* "Q4_K_M" of general.file_type; "?" when the file does not say. */
const char *gguf_file_type(const struct gguf *g);

#endif
