/*
 * client - requests to the helper and what comes back. Nothing that comes back is believed: ids, sizes and types
 * are checked, text is cleaned before it enters a message.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/path.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/filter.h"

#define START_TIMEOUT_MS 10000
#define DIRECT_MS 30 /* a request is answered in microseconds: look there first, serve the loop after this long */

/* Seen to be gone: tell everyone who waits. */
static void lost(struct sandbox *sb)
{
    if (sb->dead)
        return;
    sb->dead = true;
    loop_remove(sb->source);
    sb->source = NULL;
    static const char why[] = "the sandbox has ended";
    struct wire w = { .type = WIRE_FAIL, .a = ESHUTDOWN, .b = 2, .size = sizeof why - 1 };
    while (sb->waiters) {
        struct waiter *waiter = sb->waiters;
        sb->waiters = waiter->next;
        w.id = waiter->id;
        waiter->fn(waiter->ctx, &w, why, sizeof why - 1, -1);
    }
    loop_wake(sb->loop);
}

void client_add(struct sandbox *sb, struct waiter *w, reply_fn fn, void *ctx)
{
    w->id = ++sb->next_id;
    w->fn = fn;
    w->ctx = ctx;
    w->next = sb->waiters;
    sb->waiters = w;
}

void client_remove(struct sandbox *sb, struct waiter *w)
{
    for (struct waiter **at = &sb->waiters; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            return;
        }
}

/* One record, if there is one (or comes within DIRECT_MS, with `wait`): 1, 0 when there is none, -1 when the helper is gone. */
static int receive_one(struct sandbox *sb, bool wait)
{
    static _Alignas(16) char in[sizeof(struct wire) + WIRE_INLINE + 1];
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec io = { in, sizeof in - 1 };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    ssize_t n = recvmsg(sb->p.sock, &m, (wait ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        lost(sb);
        return -1;
    }
    int fd = -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(h), sizeof fd);
    struct wire w;
    if ((size_t)n >= sizeof w) {
        memcpy(&w, in, sizeof w);
        size_t size = (size_t)n - sizeof w;
        in[n] = '\0';
        w.size = size;
        for (struct waiter *at = sb->waiters; at; at = at->next)
            if (at->id == w.id) {
                at->fn(at->ctx, &w, in + sizeof w, size, fd);
                fd = -1;
                break;
            }
    }
    if (fd >= 0)
        (void)close(fd);
    return 1;
}

static void on_readable(void *ctx, int fd, unsigned events)
{
    struct sandbox *sb = ctx;
    (void)fd;
    (void)events;
    /* Not for ever: a flood must not starve the other sources. */
    for (int i = 0; i < 64 && receive_one(sb, false) > 0; i++) {}
    loop_wake(sb->loop);
}

int client_attach(struct sandbox *sb, struct err *e)
{
    const struct timeval direct = { 0, DIRECT_MS * 1000 };
    if (setsockopt(sb->p.sock, SOL_SOCKET, SO_RCVTIMEO, &direct, sizeof direct) < 0)
        return err_sys(e, "cannot prepare the sandbox's socket");
    sb->source = loop_fd(sb->loop, sb->p.sock, LOOP_READ, on_readable, sb);
    return sb->source ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int gone(struct err *e)
{
    err_set(e, ERR_UNAVAILABLE, "the sandbox has ended");
    err_hint(e, "it was killed, or ran out of memory: see sandbox limits");
    return -ERR_UNAVAILABLE;
}

static int memfd_of(const void *a, size_t an, const void *b, size_t bn)
{
    AUTO(fd) int fd = memfd_create("request", MFD_CLOEXEC);
    if (fd < 0 || write_all(fd, a, an) < 0 || (bn && write_all(fd, b, bn) < 0) || ftruncate(fd, (off_t)(an + bn + 1)) < 0)
        return -1;
    return take_fd(&fd);
}

static int send_record(struct sandbox *sb, const struct wire *w, const void *a, size_t an, const void *b, size_t bn,
                       const int *fds, size_t nfds, struct err *e)
{
    struct iovec io[3] = { { (void *)(uintptr_t)w, sizeof *w }, { (void *)(uintptr_t)a, an }, { (void *)(uintptr_t)b, bn } };
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(WIRE_FDS * sizeof(int))];
    } control;
    struct msghdr m = { .msg_iov = io, .msg_iovlen = 3 };
    if (nfds) {
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        control.h.cmsg_level = SOL_SOCKET;
        control.h.cmsg_type = SCM_RIGHTS;
        control.h.cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(&control.h), fds, nfds * sizeof(int));
    }
    while (!sb->dead && sendmsg(sb->p.sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN) {
            lost(sb);
            break;
        }
        /* The helper may be waiting for us to read: do, and then go on. */
        struct pollfd p = { sb->p.sock, POLLIN | POLLOUT, 0 };
        (void)poll(&p, 1, 100);
        if (sb->source && p.revents & (POLLIN | POLLHUP))
            (void)receive_one(sb, false);
    }
    return sb->dead ? gone(e) : 0;
}

int client_send(struct sandbox *sb, const struct wire *w, const void *a, size_t an, const void *b, size_t bn, struct err *e)
{
    struct wire out = *w;
    out.size = an + bn;
    if (sb->dead)
        return gone(e);
    if (an + bn <= WIRE_INLINE)
        return send_record(sb, &out, a, an, b, bn, NULL, 0, e);
    AUTO(fd) int fd = memfd_of(a, an, b, bn);
    if (fd < 0)
        return err_sys(e, "cannot send %zu bytes to the sandbox", an + bn);
    out.flags |= WIRE_MEMFD;
    return send_record(sb, &out, NULL, 0, NULL, 0, &fd, 1, e);
}

/* A FAIL record as an error: `what 'object'` from the helper, the cause by errno. */
int client_fail(const struct wire *w, const char *payload, size_t n, struct err *e)
{
    char text[300];
    clean_into(text, sizeof text, (struct span){ payload, n }, CLEAN_LINE);
    if (w->b == 2)
        return gone(e);
    errno = w->a > 0 && w->a < 4096 ? (int)w->a : EPROTO;
    int r = err_sys(e, "%s", text);
    if (w->a == ENOTDIR || w->a == EISDIR || w->a == EINVAL || w->a == ELOOP || w->a == ENAMETOOLONG) {
        e->kind = ERR_INPUT;
        r = -ERR_INPUT;
    } else if (w->a == EBUSY || w->a == EAGAIN) {
        e->kind = ERR_UNAVAILABLE;
        r = -ERR_UNAVAILABLE;
    }
    return r;
}

static void on_answer(void *ctx, const struct wire *w, const char *payload, size_t n, int fd)
{
    struct answer *r = ctx;
    if (fd >= 0)
        (void)close(fd);
    if (w->type == WIRE_DATA && r->data) {
        buf_add(r->data, payload, n);
    } else if (w->type == WIRE_OK) {
        if (r->data && n)
            buf_add(r->data, payload, n);
        r->ok = *w;
        r->done = true;
    } else if (w->type == WIRE_FAIL) {
        (void)client_fail(w, payload, n, &r->err);
        r->done = true;
    }
}

int client_ask(struct sandbox *sb, struct wire *w, const void *a, size_t an, const void *b, size_t bn, struct answer *r,
               struct cancel *cancel, struct err *e)
{
    r->done = false;
    err_reset(&r->err);
    client_add(sb, &r->w, on_answer, r);
    w->id = r->w.id;
    int rc = client_send(sb, w, a, an, b, bn, e);
    int64_t until = clock_ms() + DIRECT_MS;
    while (rc >= 0 && !r->done && !sb->dead && clock_ms() < until)
        (void)receive_one(sb, true);
    if (rc >= 0 && !r->done)
        rc = loop_wait(sb->loop, &r->done, 0, cancel, e);
    client_remove(sb, &r->w);
    if (rc < 0)
        return rc;
    if (r->err.kind) {
        *e = r->err;
        return -(int)e->kind;
    }
    return 0;
}

int client_path(struct sandbox *sb, const char *path, char out[PATHS_INSIDE_MAX], struct err *e)
{
    int n = path[0] == '/' ? snprintf(out, PATHS_INSIDE_MAX, "%s", path)
                           : snprintf(out, PATHS_INSIDE_MAX, "%s/%s", sb->target, path);
    if (!path[0] || n >= PATHS_INSIDE_MAX)
        return err_set(e, ERR_INPUT, path[0] ? "path too long" : "empty path");
    return 0;
}

/* --- start and end --- */

static int wait_ready(struct sandbox *sb, struct err *e)
{
    struct {
        struct wire w;
        char text[1024];
    } m;
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec io = { &m, sizeof m - 1 };
    struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    struct pollfd p = { sb->p.sock, POLLIN, 0 };
    int r;
    while ((r = poll(&p, 1, START_TIMEOUT_MS)) < 0 && errno == EINTR) {}
    if (r == 0)
        return err_set(e, ERR_TIMEOUT, "the helper was not ready within %d s", START_TIMEOUT_MS / 1000);
    ssize_t n = recvmsg(sb->p.sock, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < (ssize_t)sizeof m.w)
        return err_set(e, ERR_DENIED, "the helper ended before it was ready");
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&sb->tmpfs_fd, CMSG_DATA(c), sizeof(int));
    if (m.w.type != WIRE_READY) {
        (void)client_fail(&m.w, m.text, (size_t)n - sizeof m.w, e);
        bool layer = strncmp(e->text, "mounting overlay", 16) == 0 || strncmp(e->text, "restricting", 11) == 0;
        e->kind = layer ? ERR_UNSUPPORTED : ERR_DENIED;
        if (!layer)
            native_hint(e);
        else
            err_hint(e, "overlay is refused here: a layer on a tmpfs or a copy works everywhere");
        return -(int)e->kind;
    }
    if (!m.w.a)
        buf_adds(&sb->note, "no Landlock: the second wall around files is missing (not in this kernel, or nested user namespaces are allowed)\n");
    return 0;
}

static int send_filters(struct sandbox *sb, unsigned exceptions, bool notify, struct err *e)
{
    for (int scope = 0; scope < 2; scope++) {
        AUTO(buf) struct buf b = BUF_INIT(WIRE_INLINE / 2);
        int r = seccomp_compile((enum seccomp_scope)scope, exceptions, notify && scope, &b, e);
        if (r >= 0)
            r = client_send(sb, &(struct wire){ .type = WIRE_FILTER, .a = scope }, b.p, b.n, NULL, 0, e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int start(struct sandbox *sb, const struct sandbox_spec *spec, struct err *e)
{
    struct sandbox_spec s = *spec;
    if (!s.limits.memory_bytes)
        s.limits.memory_bytes = 4ll << 30;
    if (!s.limits.pids)
        s.limits.pids = 1024;
    int r = identity_of(spec->workspace, &sb->id, e);
    if (r < 0)
        return r;
    cgroup_create(&sb->cgroup, &s.limits, &sb->note);
    sandbox_renice(sb, s.nice);
    int userns = -1;
    r = native_spawn(&sb->id, &sb->cgroup, &sb->p, &userns, e);
    if (r < 0)
        return r;
    AUTO(layout) struct layout layout = { .steps = BUF_INIT(0) };
    r = layout_make(&s, &sb->id, userns, !sb->cgroup.version, &layout, e);
    if (r < 0)
        return r;
    sb->target = TAKE(layout.target);
    sb->layers = TAKE(layout.home);
    r = layout_environment(spec, &sb->id, &sb->arena, &sb->env, e);
    if (r >= 0)
        r = send_record(sb, &(struct wire){ .type = WIRE_STEPS }, layout.steps.p, layout.steps.n, NULL, 0, layout.fds, layout.nfds, e);
    if (r >= 0)
        r = send_filters(sb, spec->exceptions, layout.overlay, e);
    int64_t go = (layout.overlay ? WIRE_GO_NOTIFY : 0) | (spec->exceptions & SANDBOX_ALLOW_USERNS ? WIRE_GO_NO_LANDLOCK : 0);
    if (r >= 0)
        r = client_send(sb, &(struct wire){ .type = WIRE_GO, .a = go }, NULL, 0, NULL, 0, e);
    /* A helper that failed at an early step has said so, whatever became of what we sent after it. */
    return r < 0 && e->kind == ERR_UNAVAILABLE ? wait_ready(sb, e) : r;
}

int sandbox_ready(struct sandbox *sb, struct err *e)
{
    if (sb->source || sb->dead)
        return 0;
    int r = wait_ready(sb, e);
    return r < 0 ? r : client_attach(sb, e);
}

int sandbox_start(struct loop *loop, const struct sandbox_spec *spec, struct sandbox **out, struct err *e)
{
    struct sandbox *sb;
    int r = sandbox_begin(loop, spec, &sb, e);
    if (r < 0)
        return r;
    r = sandbox_ready(sb, e);
    if (r < 0) {
        sandbox_destroy(sb);
        return r;
    }
    *out = sb;
    return 0;
}

int sandbox_begin(struct loop *loop, const struct sandbox_spec *spec, struct sandbox **out, struct err *e)
{
    if (spec->backend && strcmp(spec->backend, "native") != 0) {
        err_set(e, ERR_UNSUPPORTED, "sandbox backend '%s' is not part of this release", spec->backend);
        err_hint(e, "use --backend native");
        return -ERR_UNSUPPORTED;
    }
    if (!spec->workspace || spec->workspace[0] != '/')
        return err_set(e, ERR_INTERNAL, "the workspace must be an absolute path");
    struct sandbox *sb = calloc(1, sizeof *sb);
    if (!sb)
        return err_set(e, ERR_NOMEM, "out of memory");
    sb->loop = loop;
    sb->exceptions = spec->exceptions;
    sb->p = (struct started){ 0, -1, -1 };
    sb->tmpfs_fd = -1;
    buf_init(&sb->note, 4096);
    arena_init(&sb->arena, 1 << 20);
    sb->workspace = strdup(spec->workspace);
    int r = sb->workspace ? start(sb, spec, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (r < 0) {
        sandbox_destroy(sb);
        return r;
    }
    *out = sb;
    return 0;
}

void sandbox_destroy(struct sandbox *sb)
{
    if (!sb)
        return;
    if (sb->p.pid > 0) {
        lost(sb);
        (void)syscall(SYS_pidfd_send_signal, sb->p.pidfd, SIGKILL, NULL, 0);
        /* Process 1 is reaped only after all others in its namespace are dead. */
        while (waitpid(sb->p.pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    loop_remove(sb->source);
    fd_close(&sb->p.pidfd);
    fd_close(&sb->p.sock);
    fd_close(&sb->tmpfs_fd);
    cgroup_destroy(&sb->cgroup);
    arena_finish(&sb->arena);
    buf_finish(&sb->note);
    free(sb->workspace);
    free(sb->target);
    free(sb->layers);
    free(sb);
}

void sandbox_renice(struct sandbox *sb, int nice)
{
    if (nice != sb->nice)
        cgroup_renice(&sb->cgroup, nice);
    sb->nice = nice;
}

pid_t sandbox_pid(const struct sandbox *sb)
{
    return sb->p.pid;
}

bool sandbox_alive(const struct sandbox *sb)
{
    return !sb->dead;
}

const char *sandbox_workspace(const struct sandbox *sb)
{
    return sb->target;
}

const char *sandbox_note(const struct sandbox *sb)
{
    return buf_str(&sb->note);
}

int sandbox_tmpfs(const struct sandbox *sb)
{
    return sb->tmpfs_fd < 0 ? -1 : fcntl(sb->tmpfs_fd, F_DUPFD_CLOEXEC, 3);
}

static int pause_request(struct sandbox *sb, bool on, struct err *e)
{
    struct answer r = { 0 };
    return client_ask(sb, &(struct wire){ .type = WIRE_PAUSE, .a = on }, NULL, 0, NULL, 0, &r, NULL, e);
}

int sandbox_pause(struct sandbox *sb, struct err *e)
{
    return pause_request(sb, true, e);
}

int sandbox_resume(struct sandbox *sb, struct err *e)
{
    return pause_request(sb, false, e);
}

int sandbox_checkpoint(struct sandbox *sb, const struct sandbox_overlay *next, struct err *e)
{
    AUTO(buf) struct buf options = BUF_INIT(1 << 20);
    AUTO(buf) struct buf dirs = BUF_INIT(8192);
    AUTO(buf) struct buf request = BUF_INIT(1 << 20);
    if (!next->upper || !next->nlowers)
        return err_set(e, ERR_INTERNAL, "a checkpoint needs lower layers and an upper one");
    int r = layout_prepare_upper(next, sb->workspace, &sb->id, e);
    if (r >= 0)
        r = layout_overlay_options(next, sb->layers, &options, &dirs, e);
    if (r < 0)
        return err_wrap(e, "checkpoint");
    buf_add(&request, sb->target, strlen(sb->target) + 1);
    buf_add(&request, buf_str(&options), options.n + 1);
    buf_add_span(&request, buf_span(&dirs));
    r = buf_check(&request, e);
    struct answer a = { 0 };
    if (r >= 0)
        r = client_ask(sb, &(struct wire){ .type = WIRE_CHECKPOINT }, request.p, request.n, NULL, 0, &a, NULL, e);
    return r < 0 ? err_wrap(e, "checkpoint") : 0;
}

struct forward {
    struct waiter w;
    sandbox_accept_fn fn;
    void *ctx;
    uint16_t port;
    bool done;
    struct err err;
};

static void on_forward(void *ctx, const struct wire *w, const char *payload, size_t n, int fd)
{
    struct forward *f = ctx;
    if (w->type == WIRE_ACCEPT && fd >= 0 && f->done && !f->err.kind) {
        f->fn(f->ctx, fd, f->port);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (w->type == WIRE_FAIL && !f->done)
        (void)client_fail(w, payload, n, &f->err);
    f->done = true;
}

int sandbox_forward(struct sandbox *sb, uint16_t port, sandbox_accept_fn fn, void *ctx, struct err *e)
{
    struct forward *f = arena_alloc(&sb->arena, sizeof *f);
    if (!f)
        return err_set(e, ERR_NOMEM, "out of memory");
    f->fn = fn;
    f->ctx = ctx;
    f->port = port;
    client_add(sb, &f->w, on_forward, f);
    int r = client_send(sb, &(struct wire){ .type = WIRE_LISTEN, .id = f->w.id, .a = port }, NULL, 0, NULL, 0, e);
    if (r >= 0)
        r = loop_wait(sb->loop, &f->done, clock_ms() + 5000, NULL, e);
    if (r >= 0 && f->err.kind) {
        *e = f->err;
        r = -(int)e->kind;
    }
    if (r < 0) {
        client_remove(sb, &f->w);
        return err_wrap(e, "port %u inside", (unsigned)port);
    }
    return 0;
}
