/* spare.c - see spare.h. */
#include "inference/spare.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"

int spare_runnable(struct span line)
{
    struct span field, running;
    struct err ignored = ERR_INIT;
    int64_t n;
    for (int i = 0; i < 4; i++) /* "0.20 0.18 0.12 1/80 11206" */
        if (!span_split(&line, ' ', &field))
            return -1;
    if (!span_split(&field, '/', &running) || parse_i64(running, 1, 1 << 30, &n, &ignored) < 0)
        return -1;
    return (int)n;
}

int spare_cores(struct spare *s)
{
    char text[128];
    if (s->fd == -1) {
        s->fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
        s->online = (int)sysconf(_SC_NPROCESSORS_ONLN);
        if (s->fd < 0 || s->online < 1)
            s->fd = s->fd < 0 ? -2 : s->fd;
    }
    if (s->fd < 0 || s->online < 1)
        return -1;
    ssize_t n = pread(s->fd, text, sizeof text, 0);
    int running = n > 0 ? spare_runnable((struct span){ text, (size_t)n }) : -1;
    if (running < 0)
        return -1;
    return running < s->online ? s->online - running : 0;
}

void spare_finish(struct spare *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
}
