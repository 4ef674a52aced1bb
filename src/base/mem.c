#include "base/mem.h"

#include <errno.h>
#include <string.h>

void fd_close(int *fd)
{
    int saved = errno;
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
    errno = saved;
}

bool array_grow(void *items_ptr, size_t *cap, size_t len, size_t need, size_t size)
{
    size_t want;
    if (!size_add(len, need, &want))
        return false;
    if (want <= *cap)
        return true;
    size_t next = *cap ? *cap : 8;
    while (next < want)
        if (!size_mul(next, 2, &next))
            return false;
    size_t bytes;
    if (!size_mul(next, size, &bytes))
        return false;
    void **items = items_ptr;
    void *p = realloc(*items, bytes);
    if (!p)
        return false;
    *items = p;
    *cap = next;
    return true;
}

void mem_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}
