/*
 * main - the helper's life: receive the set-up, build the walls, serve requests until the socket closes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>

#include "sandbox/helper/helper.h"

struct helper H;

static _Alignas(16) char inbox[sizeof(struct wire) + WIRE_INLINE + 1];

int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void text_i64(char out[24], int64_t v)
{
    char tmp[24];
    size_t n = 0, at = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        tmp[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        out[at++] = '-';
    while (n)
        out[at++] = tmp[--n];
    out[at] = '\0';
}

size_t text_join(char *out, size_t size, const char *const *parts)
{
    size_t at = 0;
    for (; *parts; parts++)
        for (const char *s = *parts; *s && at + 1 < size; s++)
            out[at++] = *s;
    out[at] = '\0';
    return at;
}

/* One record to stead. Its end is always being read (or gone, and then so are we): sending may wait. */
void reply(uint32_t id, uint16_t type, int64_t a, int64_t b, int64_t c, const void *data, size_t n, int fd)
{
    struct wire w = { .type = type, .id = id, .size = n, .a = a, .b = b, .c = c };
    struct iovec io[2] = { { &w, sizeof w }, { (void *)(uintptr_t)data, n } };
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = { .msg_iov = io, .msg_iovlen = n ? 2 : 1 };
    if (fd >= 0) {
        memset(&control, 0, sizeof control);
        m.msg_control = &control;
        m.msg_controllen = sizeof control;
        control.h.cmsg_level = SOL_SOCKET;
        control.h.cmsg_type = SCM_RIGHTS;
        control.h.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.h), &fd, sizeof fd);
    }
    while (sendmsg(H.sock, &m, MSG_NOSIGNAL) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN) {
            struct pollfd p = { H.sock, POLLOUT, 0 };
            (void)poll(&p, 1, -1);
            continue;
        }
        _exit(0); /* stead is gone */
    }
}

void reply_fail(uint32_t id, int sys, int64_t b, const char *what, const char *object)
{
    char text[512];
    size_t n = text_join(text, sizeof text,
                         (const char *const[]){ what, object ? " '" : "", object ? object : "", object ? "'" : "", NULL });
    reply(id, WIRE_FAIL, sys, b, 0, text, n, -1);
}

void die(const char *what, const char *object)
{
    reply_fail(0, errno, 0, what, object);
    _exit(1);
}

int read_payload_path(const char *payload, size_t n, const char **path)
{
    if (!n || payload[0] != '/' || !memchr(payload, 0, n < 4096 ? n : 4096)) {
        errno = EINVAL;
        return -1;
    }
    *path = payload;
    return 0;
}

/* Next record: bytes of payload at *payload, descriptors in fds. -1 at end of file. */
static ssize_t receive(struct wire *w, char **payload, int *fds, size_t *nfds, int flags)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(WIRE_FDS * sizeof(int))];
    } control;
    struct iovec io = { inbox, sizeof inbox - 1 };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    *nfds = 0;
    ssize_t n;
    while ((n = recvmsg(H.sock, &m, MSG_CMSG_CLOEXEC | flags)) < 0 && errno == EINTR) {}
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n < (ssize_t)sizeof *w)
        return -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
        *nfds = count;
    }
    memcpy(w, inbox, sizeof *w);
    *payload = inbox + sizeof *w;
    (*payload)[(size_t)n - sizeof *w] = '\0';
    return n;
}

/* Whether every process inside is in one of these states. */
static bool all_in(const char *states)
{
    DIR *d = opendir("/proc");
    struct dirent *de;
    bool all = d;
    while (all && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        char path[300], text[400];
        if (de->d_name[0] < '0' || de->d_name[0] > '9' || !strcmp(de->d_name, "1"))
            continue;
        (void)text_join(path, sizeof path, (const char *const[]){ "/proc/", de->d_name, "/stat", NULL });
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        ssize_t n = read(fd, text, sizeof text - 1);
        (void)close(fd);
        text[n > 0 ? n : 0] = '\0';
        const char *state = strrchr(text, ')');
        all = !state || strchr(states, state[1] ? state[2] : 'Z');
    }
    if (d)
        (void)closedir(d);
    return all;
}

/*
 * A process that is about to stop can still continue another, and so on for ever. Seen three times in a row with nobody
 * running counts as stopped; a group that goes on is ended, since what it writes meanwhile would be read half written.
 * One that waits for a rename that we carry out (D) stops when that is done, and that is stopped as well.
 */
static void stop_all(void)
{
    enum { TRIES = 500, PATIENT = 50 };
    int quiet = 0;
    for (int tries = 0; quiet < 3 && kill(-1, SIGSTOP) == 0; tries++) {
        if (tries == TRIES) {
            (void)kill(-1, SIGKILL);
            break;
        }
        bool all = all_in(tries < PATIENT ? "TtZX" : "TtZXD");
        quiet = all ? quiet + 1 : 0;
        if (!all)
            (void)poll(NULL, 0, 1);
    }
}

static void pause_all(const struct wire *w)
{
    (void)cap_admin(true); /* else those that made themselves unreadable are hidden from us */
    if (w->a)
        stop_all();
    else
        (void)kill(-1, SIGCONT);
    (void)cap_admin(false);
    reply(w->id, WIRE_OK, 0, 0, 0, NULL, 0, -1);
}

static const char *after(const char *s, const char *end)
{
    s += strlen(s) + 1;
    return s < end ? s : NULL;
}

static void checkpoint(const struct wire *w, const char *payload, size_t n)
{
    static char current[4096]; /* options of the mounted overlay, to go back to */
    const char *end = payload + n, *target = payload, *options = after(target, end);
    if (!options)
        return reply_fail(w->id, EINVAL, 0, "checkpoint", NULL);
    if (jobs_running())
        return reply_fail(w->id, EBUSY, 0, "a background command is running", NULL);
    for (const char *dir = after(options, end); dir; dir = after(dir, end))
        if (mkdirat(H.private_fd, dir, 0755) < 0 && errno != EEXIST)
            return reply_fail(w->id, errno, 0, "cannot make", dir);
    kill_strays();
    if (cap_admin(true) < 0 || umount2(target, UMOUNT_NOFOLLOW) < 0) {
        if (errno != EBUSY || umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) < 0) {
            int sys = errno;
            (void)cap_admin(false);
            return reply_fail(w->id, sys, 0, "cannot unmount the workspace at", target);
        }
    }
    if (overlay_mount(target, options) < 0) {
        int sys = errno;
        if (current[0])
            (void)overlay_mount(target, current);
        (void)cap_admin(false);
        return reply_fail(w->id, sys, 0, "cannot mount the next layer at", target);
    }
    (void)cap_admin(false);
    (void)text_join(current, sizeof current, (const char *const[]){ options, NULL });
    setup_landlock(); /* rules name inodes: the new root needs its own */
    reply(w->id, WIRE_OK, 0, 0, 0, NULL, 0, -1);
}

static void listen_inside(const struct wire *w)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)w->a),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    for (size_t i = 0; i < LISTENERS_MAX; i++) {
        if (H.listeners[i].fd >= 0)
            continue;
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
            bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 64) < 0) {
            int sys = errno;
            if (fd >= 0)
                (void)close(fd);
            return reply_fail(w->id, sys, 0, "cannot listen inside", NULL);
        }
        H.listeners[i].fd = fd;
        H.listeners[i].id = w->id;
        return reply(w->id, WIRE_OK, 0, 0, 0, NULL, 0, -1);
    }
    reply_fail(w->id, EMFILE, 0, "too many listeners", NULL);
}

static void serve(const struct wire *w, char *payload, size_t n)
{
    const char *path = NULL;
    switch (w->type) {
    case WIRE_EXEC: job_exec(w, payload); return;
    case WIRE_INPUT: job_input(w, payload); return;
    case WIRE_SIGNAL: job_signal(w); return;
    case WIRE_RESIZE: job_resize(w); return;
    case WIRE_BACKGROUND: job_background(w); return;
    case WIRE_PAUSE: pause_all(w); return;
    case WIRE_CHECKPOINT: checkpoint(w, payload, n); return;
    case WIRE_LISTEN: listen_inside(w); return;
    default: break;
    }
    if (read_payload_path(payload, n, &path) < 0)
        return reply_fail(w->id, EINVAL, 0, "bad path", NULL);
    switch (w->type) {
    case WIRE_READ: file_read(w, path); return;
    case WIRE_WRITE: file_write(w, payload, n); return;
    case WIRE_STAT: file_stat(w, path); return;
    case WIRE_REMOVE: file_remove(w, path); return;
    case WIRE_LIST: job_list(w, path); return;
    default: reply_fail(w->id, ENOSYS, 0, "unknown request", NULL);
    }
}

/* A request: its payload inline, or in a memfd for the large ones. */
static bool serve_next(void)
{
    struct wire w;
    char *payload;
    int fds[WIRE_FDS];
    size_t nfds;
    ssize_t got = receive(&w, &payload, fds, &nfds, MSG_DONTWAIT);
    if (got < 0)
        return false;
    if (got == 0)
        return true;
    size_t n = (size_t)got - sizeof w;
    if (!(w.flags & WIRE_MEMFD)) {
        serve(&w, payload, n);
    } else if (nfds == 1 && w.size) {
        char *map = mmap(NULL, w.size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[0], 0);
        if (map == MAP_FAILED) {
            reply_fail(w.id, errno, 0, "cannot map a request", NULL);
        } else {
            serve(&w, map, w.size);
            (void)munmap(map, w.size + 1);
        }
    }
    for (size_t i = 0; i < nfds; i++)
        (void)close(fds[i]);
    return true;
}

static void accept_outside(size_t i)
{
    int fd = accept4(H.listeners[i].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    reply(H.listeners[i].id, WIRE_ACCEPT, 0, 0, 0, NULL, 0, fd);
    (void)close(fd);
}

/* What a poll entry stands for. */
enum watch { WATCH_SOCKET, WATCH_SIGNALS, WATCH_LISTENER, WATCH_PASS, WATCH_NOTIFY, WATCH_OUT, WATCH_ERR, WATCH_IN, WATCH_FAIL };

struct watched {
    struct pollfd *p;
    uint8_t *what;
    uint8_t *index;
    size_t n;
};

static void watch(struct watched *s, int fd, short events, enum watch what, size_t index)
{
    if (fd < 0)
        return;
    s->p[s->n] = (struct pollfd){ fd, events, 0 };
    s->what[s->n] = (uint8_t)what;
    s->index[s->n++] = (uint8_t)index;
}

static int64_t earliest(int64_t a, int64_t b)
{
    return !a ? b : !b ? a : a < b ? a : b;
}

static int loop(void)
{
    static struct pollfd p[3 + LISTENERS_MAX + NOTIFY_MAX + JOBS_MAX * 4];
    static uint8_t what[sizeof p / sizeof *p], index[sizeof p / sizeof *p];
    for (;;) {
        struct watched s = { p, what, index, 0 };
        int64_t wake = 0;
        watch(&s, H.sock, POLLIN, WATCH_SOCKET, 0);
        watch(&s, H.signals, POLLIN, WATCH_SIGNALS, 0);
        for (size_t i = 0; i < LISTENERS_MAX; i++)
            watch(&s, H.listeners[i].fd, POLLIN, WATCH_LISTENER, i);
        watch(&s, H.pass[0], POLLIN, WATCH_PASS, 0);
        for (size_t i = 0; i < NOTIFY_MAX; i++)
            watch(&s, H.notify_fd[i], POLLIN, WATCH_NOTIFY, i);
        for (size_t i = 0; i < JOBS_MAX; i++) {
            const struct job *j = &H.jobs[i];
            if (!j->used)
                continue;
            watch(&s, j->fail, POLLIN, WATCH_FAIL, i);
            watch(&s, j->out[0], POLLIN, WATCH_OUT, i);
            watch(&s, j->out[1], POLLIN, WATCH_ERR, i);
            if (j->in_at < j->in_len)
                watch(&s, j->in, POLLOUT, WATCH_IN, i);
            wake = earliest(wake, earliest(j->timed_out ? 0 : j->deadline_ms, j->drain_ms));
        }
        bool measure = H.watch_ms && (H.others || jobs_running());
        if (measure)
            wake = earliest(wake, H.watch_ms);
        int64_t wait = wake ? wake - now_ms() : -1;
        if (wake && wait < 0)
            wait = 0;
        if (poll(p, s.n, wait > 60000 ? 60000 : (int)wait) < 0 && errno != EINTR)
            return 1;
        for (size_t k = 0; k < s.n; k++) {
            if (!p[k].revents)
                continue;
            struct job *j = what[k] >= WATCH_OUT ? &H.jobs[index[k]] : NULL;
            if (j && !j->used)
                continue;
            switch ((enum watch)what[k]) {
            case WATCH_SOCKET:
                if (!serve_next())
                    return 0;
                break;
            case WATCH_SIGNALS: jobs_reap(); break;
            case WATCH_LISTENER: accept_outside(index[k]); break;
            case WATCH_OUT: job_output(j, 0); break;
            case WATCH_ERR: job_output(j, 1); break;
            case WATCH_IN: job_flush_input(j); break;
            case WATCH_FAIL: job_failed_start(j); break;
            case WATCH_PASS: rename_take(); break;
            case WATCH_NOTIFY: rename_notified(index[k], p[k].revents); break;
            }
        }
        int64_t now = now_ms();
        if (measure && now >= H.watch_ms)
            watch_now(now);
        jobs_tick(now);
    }
}

/* Should the machine run out of memory, the kernel ends what is inside first. While we still may write there. */
static void spare_the_host(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "500", 3);
        (void)close(fd);
    }
}

static void init(void)
{
    static const int ignored[] = { SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGTTOU, SIGTTIN, SIGTSTP, SIGQUIT };
    H.sock = SOCKET_FD;
    H.landlock = H.private_fd = -1;
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        H.listeners[i].fd = -1;
    for (size_t i = 0; i < NOTIFY_MAX; i++)
        H.notify_fd[i] = -1;
    /* Set here, after every change of identity, which would clear it; the closing socket covers the time before. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    spare_the_host();
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)prctl(PR_SET_NAME, "stead-helper");
    (void)setsid();
    (void)umask(0022);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void)signal(ignored[i], SIG_IGN);
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)pthread_sigmask(SIG_SETMASK, &set, NULL);
    H.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    H.null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (H.signals < 0 || H.null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, H.pass) < 0)
        die("helper start", NULL);
}

int main(void)
{
    static char steps[WIRE_INLINE + 1], filters[2][WIRE_INLINE / 2];
    struct wire w;
    char *payload;
    int fds[WIRE_FDS];
    size_t nfds;

    if (getpid() != 1)
        return 125; /* only ever started by stead */
    init();
    for (;;) {
        ssize_t n = receive(&w, &payload, fds, &nfds, 0);
        if (n <= 0)
            return 0;
        size_t size = (size_t)n - sizeof w;
        if (w.type == WIRE_STEPS) {
            memcpy(steps, payload, size);
            setup_steps(steps, size, fds, nfds);
        } else if (w.type == WIRE_FILTER && (w.a == 0 || w.a == 1) && size <= sizeof filters[0]) {
            memcpy(filters[w.a], payload, size);
            H.filter[w.a] = filters[w.a];
            H.filter_len[w.a] = (unsigned)(size / 8);
        } else if (w.type == WIRE_GO) {
            break;
        }
    }
    setup_run(w.a);
    return loop();
}
