#include "base/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL, SOURCE_CHILD };

struct loop_source {
    struct loop *loop;
    struct loop_source *prev, *next; /* in loop->sources, or in loop->dead after removal */
    enum source_kind kind;
    bool removed, every;
    struct event *ev;
    int fd;      /* watched, or the pidfd that we own */
    pid_t pid;
    struct timeval period;
    union {
        loop_fd_fn fd;
        loop_fn timer;
        loop_signal_fn signal;
        loop_child_fn child;
    } fn;
    void *ctx;
};

struct posted {
    struct posted *next;
    loop_fn fn;
    void *ctx;
};

struct loop {
    struct event_base *base;
    struct loop_source *sources;
    struct loop_source *dead; /* removed inside a callback; freed when no callback runs */
    int depth;
    int wake_fd;
    struct event *wake_ev;
    pthread_mutex_t lock; /* posted list only */
    struct posted *posted, **posted_tail;
};

static void sweep(struct loop *loop)
{
    while (loop->dead) {
        struct loop_source *s = loop->dead;
        loop->dead = s->next;
        if (s->ev)
            event_free(s->ev);
        if (s->kind == SOURCE_CHILD)
            fd_close(&s->fd);
        free(s);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
    struct loop *loop = ctx;
    uint64_t count;
    (void)what;
    if (read(fd, &count, sizeof count) < 0) {
        /* another wake-up took it: nothing to do */
    }
    pthread_mutex_lock(&loop->lock);
    struct posted *list = loop->posted;
    loop->posted = NULL;
    loop->posted_tail = &loop->posted;
    pthread_mutex_unlock(&loop->lock);
    while (list) {
        struct posted *p = list;
        list = p->next;
        p->fn(p->ctx);
        free(p);
    }
}

int loop_create(struct loop **out, struct err *e)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return err_set(e, ERR_NOMEM, "cannot create the event loop: out of memory");
    struct event_config *cfg = event_config_new();
    if (cfg) {
        (void)event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
        loop->base = event_base_new_with_config(cfg);
        event_config_free(cfg);
    }
    loop->posted_tail = &loop->posted;
    pthread_mutex_init(&loop->lock, NULL);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->base && loop->wake_fd >= 0)
        loop->wake_ev = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    if (!loop->wake_ev || event_add(loop->wake_ev, NULL) < 0) {
        loop_destroy(loop);
        return err_set(e, ERR_IO, "cannot create the event loop");
    }
    *out = loop;
    return 0;
}

void loop_destroy(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->sources)
        loop_remove(loop->sources);
    sweep(loop);
    if (loop->wake_ev)
        event_free(loop->wake_ev);
    if (loop->base)
        event_base_free(loop->base);
    fd_close(&loop->wake_fd);
    while (loop->posted) {
        struct posted *p = loop->posted;
        loop->posted = p->next;
        free(p);
    }
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

struct event_base *loop_event_base(struct loop *loop)
{
    return loop->base;
}

static struct loop_source *source_create(struct loop *loop, enum source_kind kind, void *ctx)
{
    struct loop_source *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->loop = loop;
    s->kind = kind;
    s->ctx = ctx;
    s->fd = -1;
    s->next = loop->sources;
    if (s->next)
        s->next->prev = s;
    loop->sources = s;
    return s;
}

void loop_remove(struct loop_source *s)
{
    if (!s || s->removed)
        return;
    struct loop *loop = s->loop;
    s->removed = true;
    if (s->ev)
        (void)event_del(s->ev);
    if (s->prev)
        s->prev->next = s->next;
    else
        loop->sources = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->prev = NULL;
    s->next = loop->dead;
    loop->dead = s;
    if (loop->depth == 0)
        sweep(loop);
}

static void on_fd(evutil_socket_t fd, short what, void *ctx)
{
    struct loop_source *s = ctx;
    unsigned events = (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u);
    if (!s->removed)
        s->fn.fd(s->ctx, fd, events);
}

static short event_flags(unsigned events)
{
    return (short)((events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0) | EV_PERSIST);
}

struct loop_source *loop_fd(struct loop *loop, int fd, unsigned events, loop_fd_fn fn, void *ctx)
{
    struct loop_source *s = source_create(loop, SOURCE_FD, ctx);
    if (!s)
        return NULL;
    s->fd = fd;
    s->fn.fd = fn;
    s->ev = event_new(loop->base, fd, event_flags(events), on_fd, s);
    if (!s->ev || (events && event_add(s->ev, NULL) < 0)) {
        loop_remove(s);
        return NULL;
    }
    return s;
}

void loop_fd_events(struct loop_source *s, unsigned events)
{
    if (s->removed)
        return;
    (void)event_del(s->ev);
    if (events && event_assign(s->ev, s->loop->base, s->fd, event_flags(events), on_fd, s) == 0)
        (void)event_add(s->ev, NULL);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct loop_source *s = ctx;
    (void)fd;
    (void)what;
    if (s->removed)
        return;
    if (s->every) {
        s->fn.timer(s->ctx);
        return;
    }
    loop_fn fn = s->fn.timer;
    void *arg = s->ctx;
    fn(arg); /* s stays valid: a fired timer is the caller's to remove */
}

struct loop_source *loop_timer(struct loop *loop, int64_t after_ms, bool every, loop_fn fn, void *ctx)
{
    struct loop_source *s = source_create(loop, SOURCE_TIMER, ctx);
    if (!s)
        return NULL;
    if (after_ms < 0)
        after_ms = 0;
    s->every = every;
    s->fn.timer = fn;
    s->period = (struct timeval){ .tv_sec = after_ms / 1000, .tv_usec = after_ms % 1000 * 1000 };
    s->ev = event_new(loop->base, -1, every ? EV_PERSIST : 0, on_timer, s);
    if (!s->ev || event_add(s->ev, &s->period) < 0) {
        loop_remove(s);
        return NULL;
    }
    return s;
}

static void on_signal(evutil_socket_t signo, short what, void *ctx)
{
    struct loop_source *s = ctx;
    (void)what;
    if (!s->removed)
        s->fn.signal(s->ctx, signo);
}

struct loop_source *loop_signal(struct loop *loop, int signo, loop_signal_fn fn, void *ctx)
{
    struct loop_source *s = source_create(loop, SOURCE_SIGNAL, ctx);
    if (!s)
        return NULL;
    s->fn.signal = fn;
    s->ev = evsignal_new(loop->base, signo, on_signal, s);
    if (!s->ev || event_add(s->ev, NULL) < 0) {
        loop_remove(s);
        return NULL;
    }
    return s;
}

static void on_child(evutil_socket_t fd, short what, void *ctx)
{
    struct loop_source *s = ctx;
    int status = 0;
    (void)fd;
    (void)what;
    if (s->removed)
        return;
    pid_t got = waitpid(s->pid, &status, WNOHANG);
    if (got == 0)
        return;
    loop_child_fn fn = s->fn.child;
    void *arg = s->ctx;
    pid_t pid = s->pid;
    (void)event_del(s->ev);
    fn(arg, pid, got == pid ? status : 0);
}

struct loop_source *loop_child(struct loop *loop, pid_t pid, loop_child_fn fn, void *ctx)
{
    struct loop_source *s = source_create(loop, SOURCE_CHILD, ctx);
    if (!s)
        return NULL;
    s->pid = pid;
    s->fn.child = fn;
    s->fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (s->fd >= 0)
        (void)fcntl(s->fd, F_SETFD, FD_CLOEXEC);
    s->ev = s->fd >= 0 ? event_new(loop->base, s->fd, EV_READ | EV_PERSIST, on_child, s) : NULL;
    if (!s->ev || event_add(s->ev, NULL) < 0) {
        loop_remove(s);
        return NULL;
    }
    return s;
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;
    if (write(loop->wake_fd, &one, sizeof one) < 0) {
        /* EAGAIN: the counter is full, so a wake-up is pending anyway */
    }
}

int loop_post(struct loop *loop, loop_fn fn, void *ctx)
{
    struct posted *p = malloc(sizeof *p);
    if (!p)
        return -ERR_NOMEM;
    *p = (struct posted){ NULL, fn, ctx };
    pthread_mutex_lock(&loop->lock);
    *loop->posted_tail = p;
    loop->posted_tail = &p->next;
    pthread_mutex_unlock(&loop->lock);
    wake(loop);
    return 0;
}

void loop_wake(struct loop *loop)
{
    wake(loop);
}

void cancel_raise(struct cancel *c, const char *why)
{
    c->why = why;
    c->raised = c->raised + 1;
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    (void)ctx; /* only ends the blocking poll */
}

int loop_wait(struct loop *loop, const bool *done, int64_t deadline_ms, struct cancel *cancel, struct err *e)
{
    struct event deadline;
    int result = 0;
    if (deadline_ms) {
        int64_t left = deadline_ms - clock_ms();
        struct timeval tv = { .tv_sec = left > 0 ? left / 1000 : 0, .tv_usec = left > 0 ? left % 1000 * 1000 + 999 : 0 };
        (void)evtimer_assign(&deadline, loop->base, on_deadline, NULL);
        (void)evtimer_add(&deadline, &tv);
    }
    loop->depth++;
    while (!*done) {
        if (cancel && cancel->raised) {
            result = err_set(e, ERR_CANCELLED, "%s", cancel->why ? cancel->why : "interrupted");
            break;
        }
        if (deadline_ms && clock_ms() >= deadline_ms) {
            result = err_set(e, ERR_TIMEOUT, "time limit passed");
            break;
        }
        if (event_base_loop(loop->base, EVLOOP_ONCE) < 0) {
            result = err_set(e, ERR_INTERNAL, "the event loop failed");
            break;
        }
        if (loop->depth == 1)
            sweep(loop);
    }
    loop->depth--;
    if (deadline_ms)
        (void)event_del(&deadline);
    if (loop->depth == 0)
        sweep(loop);
    return result;
}

void loop_poll(struct loop *loop)
{
    loop->depth++;
    (void)event_base_loop(loop->base, EVLOOP_NONBLOCK);
    loop->depth--;
    if (loop->depth == 0)
        sweep(loop);
}
