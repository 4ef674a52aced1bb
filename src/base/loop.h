/*
 * loop - the event loop (libevent): descriptors, timers, signals, children, posted functions, cancel.
 *
 *     struct loop *loop;
 *     if (loop_create(&loop, e) < 0) ...
 *     struct loop_source *s = loop_fd(loop, fd, LOOP_READ, on_readable, ctx);
 *     loop_wait(loop, &done, deadline_ms, cancel, e);     // run callbacks until *done
 *     loop_remove(s);                                     // legal inside any callback, its own too
 *
 * One loop a process, one thread touches it (loop_post alone is for any thread). Callbacks are short
 * and never block and never call loop_wait. Code above is written as straight lines: a blocking
 * operation ("send the request, wait for its reply") starts its sources, calls loop_wait with its own
 * done flag, and returns; while it waits, every other source (the terminal, a child, a helper's
 * output) is served. loop_wait may be called from code that was not itself called by a callback.
 */
#ifndef STEAD_BASE_LOOP_H
#define STEAD_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct loop;
struct loop_source;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

typedef void (*loop_fd_fn)(void *ctx, int fd, unsigned events);
typedef void (*loop_fn)(void *ctx);
typedef void (*loop_signal_fn)(void *ctx, int signo);
typedef void (*loop_child_fn)(void *ctx, pid_t pid, int wait_status);

int loop_create(struct loop **out, struct err *e) WARN_UNUSED;
void loop_destroy(struct loop *loop); /* removes what is left */
static inline void loop_auto(struct loop **l)
{
    loop_destroy(*l);
}

/* Sources; NULL only when out of memory. Timers fire once unless `every`. */
struct loop_source *loop_fd(struct loop *loop, int fd, unsigned events, loop_fd_fn fn, void *ctx);
void loop_fd_events(struct loop_source *s, unsigned events); /* 0 pauses it */
struct loop_source *loop_timer(struct loop *loop, int64_t after_ms, bool every, loop_fn fn, void *ctx);
struct loop_source *loop_signal(struct loop *loop, int signo, loop_signal_fn fn, void *ctx);
/* Called once when the child has been reaped (pidfd where the kernel has it). */
struct loop_source *loop_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *ctx);
void loop_remove(struct loop_source *s); /* NULL is allowed */

/* Run fn in the loop's thread soon. Any thread. 0, or -ERR_NOMEM. */
int loop_post(struct loop *loop, loop_fn fn, void *ctx);

/*
 * A request to stop, raised by a person or by a caller. Waits return -ERR_CANCELLED when it is
 * raised. Zero-initialised; owned by whoever can raise it.
 */
struct cancel {
    volatile int raised; /* 0, or how many times asked */
    const char *why;     /* static text, e.g. "interrupted" */
};
void cancel_raise(struct cancel *c, const char *why);

/*
 * Serve callbacks until *done is true: 0; -ERR_TIMEOUT after deadline_ms (monotonic clock_ms time,
 * 0: none); -ERR_CANCELLED when cancel (may be NULL) is raised. The text names neither object: wrap it.
 */
int loop_wait(struct loop *loop, const bool *done, int64_t deadline_ms, struct cancel *cancel, struct err *e) WARN_UNUSED;
/* Serve what is ready now, without waiting. */
void loop_poll(struct loop *loop);
/* Make a running loop_wait look at its conditions again (from a callback). */
void loop_wake(struct loop *loop);

struct event_base;
struct event_base *loop_event_base(struct loop *loop); /* for libraries that speak libevent */

#endif
