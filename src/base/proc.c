#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define DEFAULT_CAP (1u << 20)

struct stream {
    int fd; /* our end, -1 when closed */
    struct loop_source *source;
    struct buf kept;
    uint64_t total;
};

struct proc {
    struct loop *loop;
    pid_t pid;
    bool exited, finished; /* finished: exited and both streams at end */
    int status;
    int stdin_fd;
    struct loop_source *child;
    struct stream streams[2]; /* stdout, stderr */
    void (*on_output)(void *, int, struct span);
    void *ctx;
};

/* Read ends in [0], write ends in [1]. */
struct plumbing {
    int in[2], out[2], err[2], report[2];
};

static void plumbing_close(struct plumbing *p)
{
    int *all[] = { p->in, p->out, p->err, p->report };
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        fd_close(&all[i][0]);
        fd_close(&all[i][1]);
    }
}

__attribute__((noreturn)) static void child_fail(int report, const char *what, const char *object)
{
    struct err e = ERR_INIT;
    err_sys(&e, "%s '%s'", what, object);
    if (write(report, &e, sizeof e) < 0)
        _exit(126);
    _exit(126);
}

/* Give the child descriptor `want`; `fd` is moved there. Targets are set in ascending order, sources were
 * lifted above all targets before, so nothing is overwritten. */
static void child_install(int report, int fd, int want)
{
    if (dup2(fd, want) < 0)
        child_fail(report, "cannot pass descriptor to", "child");
}

static int child_lift(int report, int fd, int floor)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, floor);
    if (up < 0)
        child_fail(report, "cannot duplicate a descriptor for", "child");
    return up;
}

static int child_stdio(int report, enum proc_stdio how, int pipe_end, int given, int own, int floor)
{
    int fd = -1;
    switch (how) {
    case PROC_NULL:
        fd = open("/dev/null", (own == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
        break;
    case PROC_INHERIT:
        fd = own;
        break;
    case PROC_PIPE:
        fd = pipe_end;
        break;
    case PROC_FD:
        fd = given;
        break;
    }
    if (fd < 0)
        child_fail(report, "cannot open", "/dev/null");
    return child_lift(report, fd, floor);
}

static void child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

/* Runs in the child: async-signal-safe calls only, leaves by exec or _exit. */
__attribute__((noreturn)) static void child_run(const struct proc_spec *spec, const struct plumbing *p, pid_t parent)
{
    int floor = 64;
    for (size_t i = 0; i < spec->nfds; i++)
        if (spec->fds[i].child >= floor)
            floor = spec->fds[i].child + 1;
    int report = child_lift(p->report[1], p->report[1], floor);
    if (spec->session)
        (void)setsid();
    else
        (void)setpgid(0, 0);
    if (spec->die_with_parent) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(126);
    }
    int in = child_stdio(report, spec->in, p->in[0], spec->in_fd, 0, floor);
    int out = child_stdio(report, spec->out, p->out[1], spec->out_fd, 1, floor);
    int err = child_stdio(report, spec->err, p->err[1], spec->err_fd, 2, floor);
    int lifted[64];
    size_t nfds = spec->nfds < COUNT_OF(lifted) ? spec->nfds : COUNT_OF(lifted);
    for (size_t i = 0; i < nfds; i++)
        lifted[i] = child_lift(report, spec->fds[i].fd, floor);
    child_install(report, in, 0);
    child_install(report, out, 1);
    child_install(report, err, 2);
    int last = 2;
    for (size_t i = 0; i < nfds; i++) {
        child_install(report, lifted[i], spec->fds[i].child);
        if (spec->fds[i].child > last)
            last = spec->fds[i].child;
    }
    /* everything else is close-on-exec or closed here; the gaps between passed numbers are rare */
    for (int fd = 3; fd <= last; fd++) {
        bool wanted = false;
        for (size_t i = 0; i < nfds; i++)
            wanted |= spec->fds[i].child == fd;
        if (!wanted)
            (void)close(fd);
    }
    (void)syscall(SYS_close_range, (unsigned)(last + 1), ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */);
    child_signals();
    errno = 0;
    if (spec->nice && nice(spec->nice) == -1 && errno) {
        /* niceness is a courtesy: failing to be nice is no reason not to run */
    }
    if (spec->cwd && chdir(spec->cwd) < 0)
        child_fail(report, "cannot enter directory", spec->cwd);
    static char *const no_env[] = { NULL };
    char *const *env = spec->env ? (char *const *)(uintptr_t)spec->env : no_env;
    (void)execvpe(spec->argv[0], (char *const *)(uintptr_t)spec->argv, env);
    child_fail(report, "cannot start", spec->argv[0]);
}

static void check_finished(struct proc *p)
{
    if (p->exited && p->streams[0].fd < 0 && p->streams[1].fd < 0)
        p->finished = true;
}

static void stream_close(struct stream *s)
{
    loop_remove(s->source);
    s->source = NULL;
    fd_close(&s->fd);
}

static void on_stream(void *ctx, int fd, unsigned events)
{
    struct proc *p = ctx;
    struct stream *s = p->streams[0].fd == fd ? &p->streams[0] : &p->streams[1];
    int index = s == &p->streams[0] ? 1 : 2;
    char chunk[16384];
    (void)events;
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        stream_close(s);
        check_finished(p);
        return;
    }
    s->total += (uint64_t)n;
    if (p->on_output) {
        p->on_output(p->ctx, index, (struct span){ chunk, (size_t)n });
        return;
    }
    size_t room = s->kept.limit - s->kept.n;
    buf_add(&s->kept, chunk, (size_t)n < room ? (size_t)n : room);
}

static void on_exit_child(void *ctx, pid_t pid, int wait_status)
{
    struct proc *p = ctx;
    (void)pid;
    loop_remove(p->child);
    p->child = NULL;
    p->exited = true;
    p->status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    check_finished(p);
}

static bool pipe_for(enum proc_stdio how, int ends[2])
{
    return how != PROC_PIPE || pipe2(ends, O_CLOEXEC) == 0;
}

static bool stream_watch(struct proc *p, struct stream *s, int *fd)
{
    if (*fd < 0)
        return true;
    s->fd = take_fd(fd);
    (void)fcntl(s->fd, F_SETFL, O_NONBLOCK);
    s->source = loop_fd(p->loop, s->fd, LOOP_READ, on_stream, p);
    return s->source != NULL;
}

/* The child's own word about why it did not start; true when there was one. */
static bool child_reported(int fd, struct err *e)
{
    struct err theirs;
    ssize_t n;
    do
        n = read(fd, &theirs, sizeof theirs);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof theirs)
        return false;
    *e = theirs;
    return true;
}

int proc_start(struct loop *loop, const struct proc_spec *spec, struct proc **out, struct err *e)
{
    struct plumbing pl = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
    struct proc *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "cannot start '%s': out of memory", spec->argv[0]);
    p->loop = loop;
    p->stdin_fd = -1;
    for (int i = 0; i < 2; i++) {
        p->streams[i].fd = -1;
        buf_init(&p->streams[i].kept, spec->out_cap_bytes ? spec->out_cap_bytes : DEFAULT_CAP);
    }
    p->on_output = spec->on_output;
    p->ctx = spec->ctx;
    if (!pipe_for(spec->in, pl.in) || !pipe_for(spec->out, pl.out) || !pipe_for(spec->err, pl.err) ||
        pipe2(pl.report, O_CLOEXEC) < 0) {
        err_sys(e, "cannot start '%s': pipe", spec->argv[0]);
        goto fail;
    }
    pid_t self = getpid();
    sigset_t all, old;
    sigfillset(&all); /* no handler of ours may run in the child before its signals are reset */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    p->pid = fork();
    if (p->pid == 0)
        child_run(spec, &pl, self);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (p->pid < 0) {
        err_sys(e, "cannot start '%s'", spec->argv[0]);
        p->pid = 0;
        goto fail;
    }
    (void)setpgid(p->pid, p->pid); /* also here: a kill may come before the child did it */
    fd_close(&pl.report[1]);
    if (child_reported(pl.report[0], e)) {
        (void)waitpid(p->pid, NULL, 0);
        p->pid = 0;
        goto fail;
    }
    p->stdin_fd = take_fd(&pl.in[1]);
    p->child = loop_child(loop, p->pid, on_exit_child, p);
    if (!p->child || !stream_watch(p, &p->streams[0], &pl.out[0]) || !stream_watch(p, &p->streams[1], &pl.err[0])) {
        err_set(e, ERR_NOMEM, "cannot watch '%s': out of memory", spec->argv[0]);
        goto fail;
    }
    plumbing_close(&pl);
    *out = p;
    return 0;
fail:
    plumbing_close(&pl);
    proc_destroy(p);
    return err_code(e);
}

bool proc_running(const struct proc *p)
{
    return !p->exited;
}

pid_t proc_pid(const struct proc *p)
{
    return p->pid;
}

int proc_stdin(const struct proc *p)
{
    return p->stdin_fd;
}

void proc_close_stdin(struct proc *p)
{
    fd_close(&p->stdin_fd);
}

struct span proc_output(const struct proc *p, int stream)
{
    return buf_span(&p->streams[stream - 1].kept);
}

uint64_t proc_output_total(const struct proc *p, int stream)
{
    return p->streams[stream - 1].total;
}

void proc_kill(struct proc *p, int signo)
{
    if (p->pid > 0)
        (void)kill(-p->pid, signo);
}

int proc_wait(struct proc *p, int64_t deadline_ms, struct cancel *cancel, int *status, struct err *e)
{
    int r = loop_wait(p->loop, &p->finished, deadline_ms, cancel, e);
    if (r < 0) {
        struct err ignored;
        proc_kill(p, SIGKILL);
        /* a descendant that left the group may hold the pipes: do not wait for those */
        if (loop_wait(p->loop, &p->exited, clock_ms() + 2000, NULL, &ignored) < 0)
            return err_wrap(e, "process %d does not end", (int)p->pid);
    }
    *status = p->status;
    return r;
}

void proc_destroy(struct proc *p)
{
    if (!p)
        return;
    if (p->pid > 0) {
        (void)kill(-p->pid, SIGKILL);
        if (!p->exited) {
            (void)kill(p->pid, SIGKILL);
            (void)waitpid(p->pid, NULL, 0);
        }
    }
    loop_remove(p->child);
    fd_close(&p->stdin_fd);
    for (int i = 0; i < 2; i++) {
        stream_close(&p->streams[i]);
        buf_finish(&p->streams[i].kept);
    }
    free(p);
}

int proc_capture(struct loop *loop, const char *const *argv, const char *const *env, size_t cap_bytes, int64_t timeout_ms,
                 struct buf *out, struct err *e)
{
    struct proc_spec spec = { .argv = argv, .env = env, .in = PROC_NULL, .out = PROC_PIPE, .err = PROC_PIPE,
                              .out_cap_bytes = cap_bytes, .die_with_parent = true };
    AUTO(proc) struct proc *p = NULL;
    int r = proc_start(loop, &spec, &p, e), status = 0;
    if (r < 0)
        return r;
    r = proc_wait(p, timeout_ms ? clock_ms() + timeout_ms : 0, NULL, &status, e);
    if (r < 0)
        return err_wrap(e, "'%s'", argv[0]);
    if (status != 0) {
        struct span rest = span_trim(proc_output(p, 2)), line = { "", 0 };
        while (span_line(&rest, &line))
            ;
        return err_set(e, ERR_IO, "'%s' failed with status %d: %.*s", argv[0], status, (int)(line.n > 200 ? 200 : line.n),
                       line.p);
    }
    if (proc_output_total(p, 1) > proc_output(p, 1).n)
        return err_set(e, ERR_LIMIT, "'%s' printed more than %zu bytes", argv[0], cap_bytes);
    buf_add_span(out, proc_output(p, 1));
    return buf_check(out, e);
}
