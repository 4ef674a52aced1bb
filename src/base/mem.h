/*
 * mem - scoped release, visible hand-over, overflow-checked sizes.
 *
 *     AUTO(fd) int fd = open(...);             // closed when the scope ends
 *     AUTO(buf) struct buf b = BUF_INIT(4096);
 *     AUTO(ptr) char *name = strdup(x);
 *     s->fd = take_fd(&fd);                    // ownership moves; fd is now -1
 *     *out = TAKE(s);                          // ownership moves; s is now NULL
 *
 * Each module supplies `static inline void x_auto(type *p)` next to its x_destroy or x_finish.
 */
#ifndef STEAD_BASE_MEM_H
#define STEAD_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AUTO(name) __attribute__((cleanup(name##_auto)))
#define TAKE(p) ((__typeof__(p))take_ptr(&(p)))

static inline void *take_ptr(void *pp)
{
    void **p = pp;
    void *v = *p;
    *p = NULL;
    return v;
}

static inline int take_fd(int *fd)
{
    int v = *fd;
    *fd = -1;
    return v;
}

static inline void fd_auto(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* For malloc'd memory of any pointer type. */
static inline void ptr_auto(void *pp)
{
    free(*(void **)pp);
}

static inline void file_auto(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

/* Close *fd if open and set it to -1. errno is kept. */
void fd_close(int *fd);

static inline bool size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/*
 * Grow an array: make room for `need` more elements of `size` bytes behind `len`.
 *     if (!array_grow((void **)&a->items, &a->cap, a->len, 1, sizeof *a->items)) return nomem;
 * Doubles; false on overflow or out of memory, the array untouched.
 */
bool array_grow(void *items_ptr, size_t *cap, size_t len, size_t need, size_t size);

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Overwrite secrets so that the compiler cannot drop it. */
void mem_wipe(void *p, size_t n);

#endif
