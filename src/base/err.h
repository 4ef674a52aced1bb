/*
 * err - an error as a value: a kind for the program, a sentence and a remedy for the person.
 *
 *     if (fd < 0)
 *         return err_sys(e, "cannot open journal '%s'", path);
 *     ...
 *     if (journal_open(path, &j, e) < 0)
 *         return err_wrap(e, "session %s", id);        // puts "session ID: " in front
 *     err_hint(e, "free some space, or set STEAD_STATE_DIR");
 *
 * A fallible function returns 0 or more on success and the negated kind on failure. It never
 * allocates, needs no freeing, and is small enough (< PIPE_BUF) to cross a pipe in one write.
 * `struct err *e` may not be NULL. Any thread.
 */
#ifndef STEAD_BASE_ERR_H
#define STEAD_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

enum err_kind {
    ERR_NONE = 0,
    ERR_INPUT,       /* what came from outside is malformed or out of range */
    ERR_NOT_FOUND,   /* the named thing does not exist */
    ERR_EXISTS,      /* the named thing exists already */
    ERR_DENIED,      /* permission, policy or sandbox refuses */
    ERR_TIMEOUT,     /* a deadline passed */
    ERR_CANCELLED,   /* a person or a caller asked to stop */
    ERR_LIMIT,       /* larger, deeper or more than the stated limit */
    ERR_NOMEM,       /* out of memory */
    ERR_IO,          /* the system refused a read, write, or system call */
    ERR_PROTOCOL,    /* a peer broke its protocol */
    ERR_UNAVAILABLE, /* a service is not there, loading, or overloaded: may work later */
    ERR_CONFLICT,    /* two sides changed the same thing */
    ERR_UNSUPPORTED, /* this system, server or format cannot do it */
    ERR_USAGE,       /* the command line or a configuration is wrong (exit 2) */
    ERR_INTERNAL,    /* our own promise broke */
    ERR_KINDS
};

struct err {
    enum err_kind kind; /* what code may branch on */
    int sys;            /* errno when it failed, or 0 */
    char at[48];        /* source file and line: for the log, never for the user */
    char text[480];     /* what failed, naming the object, then the cause */
    char hint[240];     /* what to do next, or "" */
};

#define ERR_INIT { ERR_NONE, 0, "", "", "" }

/* Set kind and text; returns -kind. A later set replaces an earlier one (and clears its hint). */
#define err_set(e, kind, ...) err_set_at((e), (kind), __FILE__, __LINE__, __VA_ARGS__)
/* As err_set with the kind that fits errno, and ": <strerror>" appended; keeps errno in e->sys. */
#define err_sys(e, ...) err_sys_at((e), __FILE__, __LINE__, __VA_ARGS__)

int err_set_at(struct err *e, enum err_kind kind, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
int err_sys_at(struct err *e, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Put "<formatted>: " in front of the text; returns -kind so that it can be the return value. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Say what to do next. Replaces an earlier hint. */
void err_hint(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Back to ERR_INIT. */
void err_reset(struct err *e);

/* "not-found", "timeout", ...: stable names, used in the log and in JSON. */
const char *err_kind_name(enum err_kind kind);

/* The kind that fits an errno value. */
enum err_kind err_kind_of_errno(int sys);

/* What a function returns that failed: e is set. */
static inline int err_code(const struct err *e)
{
    int r = -(int)e->kind;
#ifdef __clang_analyzer__ /* it sees one file at a time, and is told that errors are below 0 */
    if (r >= 0)
        __builtin_unreachable();
#endif
    return r;
}
#ifdef __clang_analyzer__
#define err_set_at(e, ...) (err_set_at((e), __VA_ARGS__), err_code(e))
#define err_sys_at(e, ...) (err_sys_at((e), __VA_ARGS__), err_code(e))
#define err_wrap(e, ...) (err_wrap((e), __VA_ARGS__), err_code(e))
#endif

#define WARN_UNUSED __attribute__((warn_unused_result))

#endif
