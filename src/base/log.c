#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"

enum log_level log_level_now = LOG_WARN;
static int log_fd = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    log_level_now = level;
}

int log_open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (log_fd == STDERR_FILENO) {
        log_fd = fd;
        return 0;
    }
    /* in place, at once: another thread may be writing to that number */
    int rc = dup3(fd, log_fd, O_CLOEXEC) < 0 ? -errno : 0;
    (void)close(fd);
    return rc;
}

void log_write(enum log_level level, const char *module, const char *fmt, ...)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };
    char text[1024], line[1400], safe[1100], when[24];
    va_list ap;
    int saved = errno;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)clean_into(safe, sizeof safe, span_of(text), CLEAN_LINE);
    int64_t now = clock_unix_ms();
    int n = snprintf(line, sizeof line, "%.19s.%03d %s %s %s\n", clock_format(now, when), (int)(now % 1000),
                     names[level], module, safe);
    /* one write: lines of several threads do not mix */
    if (n > 0 && write(log_fd, line, (size_t)n) < 0) {
        /* nobody left to tell */
    }
    errno = saved;
}
