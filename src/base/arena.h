/*
 * arena - many small allocations that live and die together (one reply, one request, one parse).
 *
 *     AUTO(arena) struct arena a = ARENA_INIT(16 << 20);
 *     char *s = arena_strdup(&a, x);      // NULL when the limit or memory is exhausted
 *
 * Memory is zeroed, aligned to 16 bytes. Nothing is freed singly. Not thread-safe.
 */
#ifndef STEAD_BASE_ARENA_H
#define STEAD_BASE_ARENA_H

#include <stddef.h>

#include "base/buf.h"

struct arena_block;
struct arena {
    struct arena_block *head;
    size_t used;  /* bytes handed out */
    size_t limit; /* most bytes to hand out */
};

#define ARENA_INIT(limit_bytes) { NULL, 0, (limit_bytes) }

void arena_init(struct arena *a, size_t limit_bytes);
void arena_finish(struct arena *a);
void arena_reset(struct arena *a);
static inline void arena_auto(struct arena *a)
{
    arena_finish(a);
}

void *arena_alloc(struct arena *a, size_t n);
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_span(struct arena *a, struct span s); /* as a C string */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
