/*
 * job - commands: start, output, input, end.
 *
 * A command's child becomes harmless in child_confine: no capabilities, Landlock, the commands' filter. Its output
 * streams to stead until it exceeds its cap; then everything goes to a file inside and only the tail is sent at the
 * end. At the end of a command its whole process group ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "sandbox/helper/helper.h"

#define ARGS_MAX 16384
#define DRAIN_MS 200
#define CAP_MAX (4 << 20)

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

struct job *job_find(uint32_t id)
{
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (H.jobs[i].used && H.jobs[i].id == id)
            return &H.jobs[i];
    return NULL;
}

static void job_end(struct job *j)
{
    close_fd(&j->out[0]);
    close_fd(&j->out[1]);
    close_fd(&j->in);
    close_fd(&j->fail);
    close_fd(&j->spill);
    free(j->keep);
    free(j->in_data);
    j->keep = j->in_data = NULL;
    j->used = false;
}

/* A free slot, or that of the background command which ended with the lowest id. */
static struct job *job_new(uint32_t id)
{
    struct job *best = NULL;
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *j = &H.jobs[i];
        if (j->used && !(j->background && j->exited))
            continue;
        if (!best || !j->used || (best->used && j->id < best->id))
            best = j;
        if (!j->used)
            break;
    }
    if (!best)
        return NULL;
    if (best->used)
        job_end(best);
    memset(best, 0, sizeof *best);
    best->used = true;
    best->id = id;
    best->out[0] = best->out[1] = best->in = best->fail = best->spill = -1;
    return best;
}

bool jobs_running(void)
{
    for (size_t i = 0; i < JOBS_MAX; i++)
        if (H.jobs[i].used && !H.jobs[i].exited)
            return true;
    return false;
}

/* Whatever finished commands left behind (daemons in sessions of their own). */
void kill_strays(void)
{
    if (kill(-1, SIGKILL) == 0 || errno != ESRCH)
        while (waitpid(-1, NULL, 0) > 0) {}
}

void child_confine(bool list)
{
    drop_capabilities();
    if (H.landlock >= 0 && syscall(SYS_landlock_restrict_self, H.landlock, 0) < 0)
        _exit(126);
    if (!list && rename_install_and_send() < 0)
        _exit(126);
}

static void spill_name(char out[64], uint32_t id)
{
    char n[24];
    text_i64(n, id);
    (void)text_join(out, 64, (const char *const[]){ WIRE_SPILL_DIR "/", n, ".out", NULL });
}

static int spill_open(uint32_t id)
{
    char path[64];
    spill_name(path, id);
    const char *name = path + sizeof WIRE_SPILL_DIR;
    /* The directory is anybody's inside: it may be a link by now, and a magic one would lead to our own descriptors. */
    (void)unlink(WIRE_SPILL_DIR);
    (void)mkdir(WIRE_SPILL_DIR, 0755);
    int dir = open_inside(AT_FDCWD, WIRE_SPILL_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (dir < 0)
        return -1;
    (void)unlinkat(dir, name, 0);
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_APPEND, 0644);
    int sys = errno;
    (void)close(dir);
    errno = sys;
    return fd;
}

struct command {
    const char *cwd;
    char **argv, **env;
    int64_t flags;
    int nice;
    unsigned short rows, cols;
};

static void fail_child(int fd, int sys, char what)
{
    char m[5];
    memcpy(m, &sys, sizeof sys);
    m[4] = what;
    (void)!write(fd, m, sizeof m);
    _exit(127);
}

static void child(const struct command *c, int in, int out, int err, int fail, int pts)
{
    sigset_t none;
    (void)setsid();
    if (pts >= 0) {
        (void)ioctl(pts, TIOCSCTTY, 0);
        in = out = err = pts;
    }
    if (c->nice)
        (void)setpriority(PRIO_PROCESS, 0, c->nice);
    for (int s = 1; s < NSIG; s++)
        (void)signal(s, SIG_DFL);
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    /* Order: dup2 closes what may be a source of the next, so all go above 9 first. */
    in = fcntl(in, F_DUPFD, 10);
    out = fcntl(out, F_DUPFD, 10);
    err = fcntl(err, F_DUPFD, 10);
    if (chdir(c->cwd) < 0)
        fail_child(fail, errno, 'd');
    child_confine(false);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        fail_child(fail, errno, 'x');
    int keep = dup3(fail, 3, O_CLOEXEC);
    if (keep < 0)
        keep = fail; /* it is 3 already */
    if (close_range(4, ~0u, 0) < 0)
        fail_child(keep, errno, 'x');
    environ = c->env;
    (void)execvp(c->argv[0], c->argv);
    fail_child(keep, errno, 'e');
}

static int open_pty(const struct command *c, int *master, int *slave)
{
    char name[32], n[24];
    int index = 0, unlock = 0;
    *slave = -1;
    *master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*master < 0 || ioctl(*master, TIOCSPTLCK, &unlock) < 0 || ioctl(*master, TIOCGPTN, &index) < 0)
        return -1;
    text_i64(n, index);
    (void)text_join(name, sizeof name, (const char *const[]){ "/dev/pts/", n, NULL });
    *slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct winsize ws = { .ws_row = c->rows ? c->rows : 24, .ws_col = c->cols ? c->cols : 80 };
    return *slave < 0 || ioctl(*master, TIOCSWINSZ, &ws) < 0 ? -1 : 0;
}

static bool unpack(const struct wire *w, const char *payload, struct command *c)
{
    static char *vector[ARGS_MAX + 2];
    uint32_t argc, envc;
    if (w->size < 8)
        return false;
    memcpy(&argc, payload, 4);
    memcpy(&envc, payload + 4, 4);
    if (!argc || argc > ARGS_MAX || envc > ARGS_MAX || argc + envc > ARGS_MAX)
        return false;
    const char *at = payload + 8, *end = payload + w->size;
    size_t slot = 0;
    for (uint32_t i = 0; i < 1 + argc + envc; i++) {
        const char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
        if (!nul)
            return false;
        if (i == 0)
            c->cwd = at;
        else
            vector[slot++] = (char *)(uintptr_t)at;
        if (i == argc)
            vector[slot++] = NULL;
        at = nul + 1;
    }
    vector[slot] = NULL;
    c->argv = vector;
    c->env = vector + argc + 1;
    c->flags = w->c & 0xff;
    c->nice = (int)(w->c >> 8 & 0xff);
    c->rows = (unsigned short)(w->c >> 16);
    c->cols = (unsigned short)(w->c >> 32);
    return true;
}

static void job_arm(struct job *j, const struct wire *w)
{
    j->deadline_ms = w->a > 0 ? now_ms() + w->a : 0;
    j->cap = w->b > CAP_MAX ? CAP_MAX : w->b > 0 ? (size_t)w->b : 0;
    if (j->cap && !(j->keep = malloc(j->cap)))
        j->cap = 0;
}

void job_exec(const struct wire *w, const char *payload)
{
    struct command c = { 0 };
    int in[2] = { -1, -1 }, out[2] = { -1, -1 }, err[2] = { -1, -1 }, fail[2] = { -1, -1 }, pts = -1;
    if (!unpack(w, payload, &c))
        return reply_fail(w->id, E2BIG, 1, "cannot start the command: too many arguments", NULL);
    struct job *j = job_new(w->id);
    if (!j)
        return reply_fail(w->id, EAGAIN, 1, "too many commands run at once", NULL);
    j->tty = c.flags & WIRE_EXEC_TTY;
    j->background = c.flags & WIRE_EXEC_BACKGROUND;
    int r = pipe2(fail, O_CLOEXEC);
    if (r == 0 && j->tty) {
        r = open_pty(&c, &j->out[0], &pts);
        if (r == 0 && c.flags & WIRE_EXEC_STDIN)
            j->in = fcntl(j->out[0], F_DUPFD_CLOEXEC, 3);
    } else if (r == 0) {
        if (c.flags & WIRE_EXEC_STDIN)
            r = pipe2(in, O_CLOEXEC);
        if (j->background) {
            j->spill = spill_open(w->id);
            r = r < 0 ? r : j->spill < 0 ? -1 : 0;
        } else {
            r = r < 0 ? r : pipe2(out, O_CLOEXEC);
            if (!(c.flags & WIRE_EXEC_MERGE))
                r = r < 0 ? r : pipe2(err, O_CLOEXEC);
        }
    }
    pid_t pid = -1;
    if (r == 0) {
        int o = j->background ? j->spill : out[1];
        pid = fork();
        if (pid == 0)
            child(&c, in[0] >= 0 ? in[0] : H.null, o, err[1] >= 0 ? err[1] : o, fail[1], pts);
    }
    int sys = errno;
    close_fd(&fail[1]);
    close_fd(&in[0]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    close_fd(&pts);
    if (pid < 0) {
        close_fd(&fail[0]);
        close_fd(&in[1]);
        close_fd(&out[0]);
        close_fd(&err[0]);
        job_end(j);
        return reply_fail(w->id, sys, 1, "cannot start a process", NULL);
    }
    j->pid = pid;
    j->fail = fail[0];
    if (!j->tty) {
        j->out[0] = out[0];
        j->out[1] = err[0];
        j->in = in[1];
    }
    if (j->in >= 0)
        (void)fcntl(j->in, F_SETFL, O_NONBLOCK);
    job_arm(j, w);
}

/* The start pipe closed (the program runs) or says why not. */
void job_failed_start(struct job *j)
{
    char m[5];
    ssize_t n = read(j->fail, m, sizeof m);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    close_fd(&j->fail);
    if (n <= 0) {
        j->started = true;
        if (j->background)
            reply(j->id, WIRE_OK, j->id, 0, 0, NULL, 0, -1);
        return;
    }
    int sys;
    memcpy(&sys, m, sizeof sys);
    reply_fail(j->id, sys, 1, m[4] == 'd' ? "cannot enter the directory" : m[4] == 'e' ? "cannot run" : "cannot prepare the command",
               NULL);
    if (j->pid > 0)
        (void)waitpid(j->pid, NULL, 0);
    job_end(j);
}

static void job_kill(struct job *j, int signo)
{
    if (j->pid > 0)
        (void)kill(-j->pid, signo);
}

static void spill_begin(struct job *j)
{
    j->spill = spill_open(j->id);
    if (j->spill >= 0 && write(j->spill, j->keep, j->kept) == (ssize_t)j->kept)
        j->spilled = j->kept;
    j->truncated = true;
}

/* Output of a command that is kept within cap bytes; returns how many of these n are still streamed. */
static size_t keep(struct job *j, const char *p, size_t n)
{
    size_t streamed = 0;
    if (!j->truncated) {
        streamed = j->cap - j->kept < n ? j->cap - j->kept : n;
        memcpy(j->keep + j->kept, p, streamed);
        j->kept += streamed;
        if (streamed == n)
            return n;
        spill_begin(j);
        p += streamed;
        n -= streamed;
    }
    if (j->spill >= 0 && j->spilled + n <= WIRE_SPILL_MAX && write(j->spill, p, n) == (ssize_t)n)
        j->spilled += n;
    for (size_t at = 0; at < n;) { /* from here on a ring of the last cap bytes */
        size_t part = j->cap - j->ring < n - at ? j->cap - j->ring : n - at;
        memcpy(j->keep + j->ring, p + at, part);
        j->ring = (j->ring + part) % j->cap;
        at += part;
    }
    return streamed;
}

void job_output(struct job *j, int stream)
{
    static char chunk[32768];
    ssize_t n = read(j->out[stream], chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        if (j->tty && j->in >= 0)
            close_fd(&j->in);
        close_fd(&j->out[stream]);
        return;
    }
    j->total += (uint64_t)n;
    size_t streamed = j->cap ? keep(j, chunk, (size_t)n) : (size_t)n;
    if (streamed)
        reply(j->id, WIRE_DATA, stream + 1, 0, 0, chunk, streamed, -1);
}

static void send_tail(struct job *j)
{
    size_t want = j->cap / 2, start = (j->ring + j->cap - (want < j->kept ? want : j->kept)) % j->cap;
    size_t n = want < j->kept ? want : j->kept;
    while (n) {
        size_t part = j->cap - start < n ? j->cap - start : n;
        if (part > WIRE_INLINE)
            part = WIRE_INLINE;
        reply(j->id, WIRE_TAIL, 0, 0, 0, j->keep + start, part, -1);
        start = (start + part) % j->cap;
        n -= part;
    }
}

static void job_finish(struct job *j)
{
    char name[64] = "";
    if (j->spill >= 0)
        spill_name(name, j->id);
    if (j->truncated && !j->list)
        send_tail(j);
    int64_t flags = (j->timed_out ? WIRE_EXIT_TIMEOUT : 0) | (j->truncated ? WIRE_EXIT_TRUNCATED : 0) |
                    j->ended_by;
    reply(j->id, WIRE_EXIT, j->status, flags, (int64_t)j->total, name, strlen(name), -1);
    job_end(j);
}

void jobs_reap(void)
{
    char drop[512];
    while (read(H.signals, drop, sizeof drop) > 0) {}
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < JOBS_MAX; i++) {
            struct job *j = &H.jobs[i];
            if (!j->used || j->pid != pid)
                continue;
            j->exited = true;
            j->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
            (void)kill(-pid, SIGKILL); /* what it left in its group; the number is still held by them, if any */
            j->pid = 0;
            j->deadline_ms = 0;
            j->drain_ms = now_ms() + DRAIN_MS;
        }
    }
    H.others = H.watch_ms && kill(-1, 0) == 0;
    if (!jobs_running() && ipc_any() && kill(-1, 0) < 0)
        ipc_remove_all(); /* nobody is left who could use them, and their memory would count against the next command */
}

void jobs_tick(int64_t now)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *j = &H.jobs[i];
        if (!j->used)
            continue;
        if (j->deadline_ms && now >= j->deadline_ms && !j->timed_out) {
            j->timed_out = true;
            job_kill(j, SIGKILL);
        }
        if (!j->exited || j->fail >= 0)
            continue;
        bool drained = j->out[0] < 0 && j->out[1] < 0;
        if (j->background) {
            if (j->drain_ms) { /* kept, for whoever asks how it ended */
                j->drain_ms = 0;
                close_fd(&j->in);
            }
        } else if (drained || now >= j->drain_ms) {
            job_finish(j);
        }
    }
}

void jobs_end_all(enum wire_exit why)
{
    for (size_t i = 0; i < JOBS_MAX; i++) {
        struct job *j = &H.jobs[i];
        if (j->used && !j->exited)
            j->ended_by = why;
    }
    (void)kill(-1, SIGKILL); /* daemons take as well as commands */
    ipc_remove_all();
}

void job_flush_input(struct job *j)
{
    while (j->in >= 0 && j->in_at < j->in_len) {
        ssize_t n = write(j->in, j->in_data + j->in_at, j->in_len - j->in_at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            close_fd(&j->in); /* nobody reads it any more */
        else
            j->in_at += (size_t)n;
    }
    if (j->in_len)
        reply(j->id, WIRE_TAKEN, 0, 0, 0, NULL, 0, -1);
    free(j->in_data);
    j->in_data = NULL;
    j->in_len = j->in_at = 0;
    if (j->in_eof) {
        if (j->tty && j->in >= 0)
            (void)!write(j->in, "\4", 1);
        close_fd(&j->in);
    }
}

void job_input(const struct wire *w, const char *payload)
{
    struct job *j = job_find(w->id);
    if (!j)
        return;
    if (!w->size) {
        j->in_eof = true;
    } else {
        char *grown = realloc(j->in_data, j->in_len + w->size);
        if (!grown)
            return;
        memcpy(grown + j->in_len, payload, w->size);
        j->in_data = grown;
        j->in_len += w->size;
    }
    job_flush_input(j);
}

void job_signal(const struct wire *w)
{
    struct job *j = job_find((uint32_t)w->b);
    if (!j)
        return reply_fail(w->id, ESRCH, 0, "no such command", NULL);
    if (!j->exited)
        job_kill(j, (int)w->a);
    reply(w->id, WIRE_OK, 0, 0, 0, NULL, 0, -1);
}

void job_resize(const struct wire *w)
{
    const struct job *j = job_find(w->id);
    struct winsize ws = { .ws_row = (unsigned short)w->a, .ws_col = (unsigned short)w->b };
    if (j && j->tty && j->out[0] >= 0)
        (void)ioctl(j->out[0], TIOCSWINSZ, &ws);
}

void job_background(const struct wire *w)
{
    struct job *j = job_find((uint32_t)w->a);
    struct stat st = { 0 };
    if (!j || !j->background)
        return reply_fail(w->id, ESRCH, 0, "no such background command", NULL);
    if (j->spill >= 0)
        (void)fstat(j->spill, &st);
    int64_t flags = (j->timed_out ? WIRE_EXIT_TIMEOUT : 0) | j->ended_by;
    reply(w->id, WIRE_OK, j->exited ? 1 : 0, j->status | flags << 32, st.st_size, NULL, 0, -1);
}

/* Listing a large tree takes long enough to be a command: a child of its own that walks and writes to a pipe. */
void job_list(const struct wire *w, const char *path)
{
    int out[2];
    struct job *j = job_new(w->id);
    if (!j || pipe2(out, O_CLOEXEC) < 0) {
        if (j)
            job_end(j);
        return reply_fail(w->id, EMFILE, 0, "cannot list", path);
    }
    pid_t pid = fork();
    if (pid == 0) {
        (void)setsid();
        child_confine(true);
        list_run(path, w->a, w->b, out[1]);
    }
    (void)close(out[1]);
    j->out[0] = out[0];
    j->pid = pid;
    j->list = j->started = true;
    if (pid < 0) {
        int sys = errno;
        job_end(j);
        reply_fail(w->id, sys, 0, "cannot start a process", NULL);
    }
}
