#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define ALIGN 16
#define BLOCK_BYTES 4096 /* first block; later ones double up to 64 KiB */

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ALIGN) char data[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena)ARENA_INIT(limit_bytes);
}

void arena_finish(struct arena *a)
{
    struct arena_block *b = a->head;
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->head = NULL;
    a->used = 0;
}

void arena_reset(struct arena *a)
{
    arena_finish(a);
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t rounded, total;
    if (!size_add(n ? n : 1, ALIGN - 1, &rounded))
        return NULL;
    rounded &= ~(size_t)(ALIGN - 1);
    if (!size_add(a->used, rounded, &total) || total > a->limit)
        return NULL;
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < rounded) {
        size_t size = b ? b->size * 2 : BLOCK_BYTES;
        if (size > 65536)
            size = 65536;
        if (size < rounded)
            size = rounded;
        struct arena_block *fresh = calloc(1, sizeof *fresh + size);
        if (!fresh)
            return NULL;
        fresh->size = size;
        fresh->next = b;
        a->head = b = fresh;
    }
    void *p = b->data + b->used;
    b->used += rounded;
    a->used = total;
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t n;
    return size_mul(count, size, &n) ? arena_alloc(a, n) : NULL;
}

char *arena_span(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (p && s.n)
        memcpy(p, s.p, s.n);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_span(a, span_of(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (!p)
        return NULL;
    va_start(ap, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}
