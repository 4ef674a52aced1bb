#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
    [ERR_NONE] = "none",
    [ERR_INPUT] = "input",
    [ERR_NOT_FOUND] = "not-found",
    [ERR_EXISTS] = "exists",
    [ERR_DENIED] = "denied",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CANCELLED] = "cancelled",
    [ERR_LIMIT] = "limit",
    [ERR_NOMEM] = "no-memory",
    [ERR_IO] = "io",
    [ERR_PROTOCOL] = "protocol",
    [ERR_UNAVAILABLE] = "unavailable",
    [ERR_CONFLICT] = "conflict",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_USAGE] = "usage",
    [ERR_INTERNAL] = "internal",
};
_Static_assert(sizeof kind_names / sizeof kind_names[0] == ERR_KINDS, "one name per kind");

const char *err_kind_name(enum err_kind kind)
{
    return (unsigned)kind < ERR_KINDS ? kind_names[kind] : "unknown";
}

enum err_kind err_kind_of_errno(int sys)
{
    switch (sys) {
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECANCELED:
        return ERR_CANCELLED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case E2BIG:
    case EMFILE:
    case ENFILE:
    case ENAMETOOLONG:
        return ERR_LIMIT;
    case ENOMEM:
        return ERR_NOMEM;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EAGAIN:
    case EBUSY:
        return ERR_UNAVAILABLE;
    case ENOSYS:
    case EOPNOTSUPP:
        return ERR_UNSUPPORTED;
    default:
        return ERR_IO;
    }
}

/* vsnprintf that leaves a cut text ending in "..." so that a reader sees that something is missing. */
__attribute__((format(printf, 3, 0))) static void format_cut(char *out, size_t size, const char *fmt, va_list ap)
{
    int n = vsnprintf(out, size, fmt, ap);
    if (n >= 0 && (size_t)n >= size && size > 4)
        memcpy(out + size - 4, "...", 4);
}

#ifdef __clang_analyzer__ /* err.h wraps them */
#undef err_set_at
#undef err_sys_at
#undef err_wrap
#endif

static void set_at(struct err *e, const char *file, int line)
{
    const char *slash = strrchr(file, '/');
    (void)snprintf(e->at, sizeof e->at, "%s:%d", slash ? slash + 1 : file, line);
}

int err_set_at(struct err *e, enum err_kind kind, const char *file, int line, const char *fmt, ...)
{
    char text[sizeof e->text]; /* arguments may point into e->text */
    va_list ap;
    va_start(ap, fmt);
    format_cut(text, sizeof text, fmt, ap);
    va_end(ap);
    memcpy(e->text, text, sizeof text);
    e->kind = kind;
    e->sys = 0;
    e->hint[0] = '\0';
    set_at(e, file, line);
    return -(int)kind;
}

int err_sys_at(struct err *e, const char *file, int line, const char *fmt, ...)
{
    int sys = errno;
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    format_cut(text, sizeof text, fmt, ap);
    va_end(ap);
    char reason[96];
    const char *why = strerror_r(sys, reason, sizeof reason);
    size_t n = strnlen(text, sizeof text);
    (void)snprintf(text + n, sizeof text - n, ": %s", why);
    memcpy(e->text, text, sizeof text);
    e->kind = err_kind_of_errno(sys);
    e->sys = sys;
    e->hint[0] = '\0';
    set_at(e, file, line);
    return -(int)e->kind;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    format_cut(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t n = strnlen(text, sizeof text);
    int more = snprintf(text + n, sizeof text - n, ": %s", e->text);
    if (more >= 0 && (size_t)more >= sizeof text - n)
        memcpy(text + sizeof text - 4, "...", 4);
    memcpy(e->text, text, sizeof text);
    return -(int)e->kind;
}

void err_hint(struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    format_cut(e->hint, sizeof e->hint, fmt, ap);
    va_end(ap);
}

void err_reset(struct err *e)
{
    *e = (struct err)ERR_INIT;
}
