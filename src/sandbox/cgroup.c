/*
 * cgroup - memory, processes and CPU for the sandbox as a whole, where we may make a cgroup: version 1 as root,
 * version 2 in a directory that is delegated to us. Elsewhere process 1 measures, and that is said.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/path.h"
#include "sandbox/sandbox-internal.h"

#define ROOT "/sys/fs/cgroup"
#define PREFIX "stead-"

static int put(const char *dir, const char *name, const char *text)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

static int put_i64(const char *dir, const char *name, int64_t v)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lld", (long long)v);
    return put(dir, name, text);
}

/* Our own cgroup in hierarchy `controller` ("" is version 2), as a path below its mount. */
static bool own_path(const char *controller, char *out, size_t size)
{
    struct err ignored;
    AUTO(buf) struct buf b = BUF_INIT(64 << 10);
    if (file_read("/proc/self/cgroup", 64 << 10, &b, &ignored) < 0)
        return false;
    struct span rest = buf_span(&b), line, id, names;
    while (span_line(&rest, &line)) {
        struct span tail = line, name;
        if (!span_split(&tail, ':', &id) || !span_split(&tail, ':', &names))
            continue;
        if (!*controller && !names.n) {
            (void)snprintf(out, size, "%.*s", (int)tail.n, tail.p);
            return true;
        }
        while (*controller && span_split(&names, ',', &name))
            if (span_eqs(name, controller)) {
                (void)snprintf(out, size, "%.*s", (int)tail.n, tail.p);
                return true;
            }
    }
    return false;
}

static bool make(struct cgroup *c, const char *parent)
{
    static unsigned counter;
    if (c->n == COUNT_OF(c->paths))
        return false;
    char *path = c->paths[c->n];
    size_t size = sizeof c->paths[0];
    if (snprintf(path, size, "%s/" PREFIX "%d-%u", parent, (int)getpid(), ++counter) >= (int)size || mkdir(path, 0755) < 0)
        return false;
    c->fds[c->n++] = -1;
    return true;
}

/* The last directory, open for the clone to enter it. */
static bool opened(struct cgroup *c, const char *name, int flags)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s%s", c->paths[c->n - 1], name);
    c->fds[c->n - 1] = open(path, flags | O_CLOEXEC);
    return c->fds[c->n - 1] >= 0;
}

/* Version 2: beside our own cgroup, because one that holds processes cannot have children with controllers. */
static bool create_v2(struct cgroup *c, const struct sandbox_limits *l)
{
    char own[200], parent[PATH_MAX], probe[PATH_MAX];
    if (access(ROOT "/cgroup.controllers", F_OK) < 0 || !own_path("", own, sizeof own))
        return false;
    char *slash = strrchr(own, '/');
    if (slash)
        *slash = '\0';
    (void)snprintf(parent, sizeof parent, ROOT "%s", own);
    (void)snprintf(probe, sizeof probe, ROOT "%s/cgroup.procs", own); /* of the nearest one above both: needed to go from one to the other */
    if (access(probe, W_OK) < 0 || !make(c, parent))
        return false;
    const char *dir = c->paths[c->n - 1];
    (void)snprintf(probe, sizeof probe, "%s/memory.max", dir);
    if (access(probe, W_OK) < 0 || !opened(c, "", O_RDONLY | O_DIRECTORY)) {
        (void)rmdir(dir);
        c->n--;
        return false;
    }
    c->version = 2;
    if (l->memory_bytes > 0) {
        (void)put_i64(dir, "memory.max", l->memory_bytes);
        (void)put(dir, "memory.swap.max", "0");
    }
    if (l->pids > 0)
        (void)put_i64(dir, "pids.max", l->pids);
    if (l->cpus > 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "%lld 100000", (long long)(l->cpus * 100000));
        (void)put(dir, "cpu.max", text);
    }
    return true;
}

static bool make_v1(struct cgroup *c, const char *controller)
{
    char own[200], parent[PATH_MAX];
    if (!own_path(controller, own, sizeof own))
        return false;
    (void)snprintf(parent, sizeof parent, ROOT "/%s%s", controller, strcmp(own, "/") == 0 ? "" : own);
    if (access(parent, W_OK) < 0) /* seen from a cgroup namespace the path may differ */
        (void)snprintf(parent, sizeof parent, ROOT "/%s", controller);
    /* A thread that moves itself, and alone, does not wait for the grace period of the kernel's, several milliseconds,
     * that moving another process takes. */
    return make(c, parent) && opened(c, "/tasks", O_WRONLY);
}

static bool create_v1(struct cgroup *c, const struct sandbox_limits *l)
{
    bool memory = l->memory_bytes <= 0;
    if (l->memory_bytes > 0 && make_v1(c, "memory")) {
        const char *dir = c->paths[c->n - 1];
        memory = put_i64(dir, "memory.limit_in_bytes", l->memory_bytes) == 0;
        (void)put_i64(dir, "memory.memsw.limit_in_bytes", l->memory_bytes);
    }
    /* Processes need no hierarchy of their own here, whose entering would cost milliseconds: RLIMIT_NPROC counts, in a user
     * namespace, the one identity that there is inside. */
    if (l->cpus > 0 && make_v1(c, "cpu")) {
        (void)put_i64(c->paths[c->n - 1], "cpu.cfs_period_us", 100000);
        (void)put_i64(c->paths[c->n - 1], "cpu.cfs_quota_us", (int64_t)(l->cpus * 100000));
    }
    if (c->n)
        c->version = 1;
    return memory;
}

void cgroup_create(struct cgroup *c, const struct sandbox_limits *l, struct buf *note)
{
    if (!create_v2(c, l) && !create_v1(c, l))
        buf_adds(note, "no cgroup of our own here: memory is measured by process 1, up to forty times a second\n");
}

void cgroup_renice(const struct cgroup *c, int nice)
{
    if (c->version == 2 && c->n)
        (void)put_i64(c->paths[0], "cpu.weight.nice", nice);
}

int cgroup_enter(const struct cgroup *c)
{
    for (size_t i = 0; c->version == 1 && i < c->n; i++)
        if (c->fds[i] >= 0 && write(c->fds[i], "0", 1) < 0)
            return -1;
    return 0;
}

void cgroup_destroy(struct cgroup *c)
{
    for (size_t i = 0; i < c->n; i++)
        fd_close(&c->fds[i]);
    for (size_t i = 0; i < c->n; i++)
        /* The last process may be leaving still, although it has been waited for: milliseconds. */
        for (int tries = 0; rmdir(c->paths[i]) < 0 && errno == EBUSY && tries < 50; tries++)
            (void)usleep(1000);
    c->n = 0;
}

static int64_t oom_kills(const struct cgroup *c)
{
    struct err ignored;
    char path[PATH_MAX];
    for (size_t i = 0; i < c->n; i++) {
        AUTO(buf) struct buf b = BUF_INIT(4096);
        (void)snprintf(path, sizeof path, "%s/%s", c->paths[i], c->version == 2 ? "memory.events" : "memory.oom_control");
        if (file_read(path, 4096, &b, &ignored) < 0)
            continue;
        struct span rest = buf_span(&b), line;
        while (span_line(&rest, &line)) {
            int64_t v;
            if (span_starts(line, "oom_kill ") && parse_i64(span_sub(line, 9, line.n), 0, INT64_MAX, &v, &ignored) >= 0)
                return v;
        }
    }
    return 0;
}

bool cgroup_oom_news(struct cgroup *c)
{
    int64_t before = c->oom_kills;
    c->oom_kills = oom_kills(c);
    return c->oom_kills > before;
}

void cgroup_describe(struct sandbox_wall *w)
{
    struct sandbox_limits l = { .memory_bytes = 64 << 20, .pids = 16 };
    struct cgroup c = { .n = 0 };
    AUTO(buf) struct buf note = BUF_INIT(1024);
    cgroup_create(&c, &l, &note);
    w->available = !note.n;
    (void)snprintf(w->detail, sizeof w->detail, w->available ? "version %d, own directories" : "no cgroup may be made here: memory is measured by process 1", c.version);
    if (!w->available)
        (void)snprintf(w->remedy, sizeof w->remedy, "run in a delegated cgroup: systemd-run --user --scope -p Delegate=yes stead ...");
    cgroup_destroy(&c);
}

/*
 * Directories of runs that were killed: named after a process that is no more; or older than a minute, since that number
 * may be another process's by now. One that is in use has a process in it, and then it cannot be removed.
 */
static void sweep_dir(const char *parent, bool deeper)
{
    DIR *d = opendir(parent);
    struct dirent *de;
    struct err ignored;
    while (d && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        struct span rest = span_of(de->d_name), pid;
        struct stat st;
        int64_t n;
        if (deeper && de->d_type == DT_DIR && de->d_name[0] != '.' && !span_starts(rest, PREFIX)) {
            char sub[PATH_MAX];
            if (snprintf(sub, sizeof sub, "%s/%s", parent, de->d_name) < (int)sizeof sub)
                sweep_dir(sub, false);
        }
        if (!span_starts(rest, PREFIX) || fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        rest = span_sub(rest, sizeof PREFIX - 1, rest.n);
        if (!span_split(&rest, '-', &pid) || parse_i64(pid, 1, INT_MAX, &n, &ignored) < 0)
            continue;
        bool dead = kill((pid_t)n, 0) < 0 && errno == ESRCH;
        if (dead || clock_unix_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > 60000)
            (void)unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR);
    }
    if (d)
        (void)closedir(d);
}

void cgroup_sweep(void)
{
    static const char *const controllers[] = { "memory", "cpu" };
    char own[200], path[PATH_MAX];
    if (own_path("", own, sizeof own)) {
        char *slash = strrchr(own, '/');
        if (slash)
            *slash = '\0';
        (void)snprintf(path, sizeof path, ROOT "%s", own);
        sweep_dir(path, false);
    }
    for (size_t i = 0; i < COUNT_OF(controllers); i++) {
        if (!own_path(controllers[i], own, sizeof own))
            continue;
        /* our own, those beside it (the killed run may have been another terminal's), and the top */
        char *slash = strrchr(own, '/');
        (void)snprintf(path, sizeof path, ROOT "/%s%s", controllers[i], own);
        sweep_dir(path, false);
        if (slash && slash != own) {
            *slash = '\0';
            (void)snprintf(path, sizeof path, ROOT "/%s%s", controllers[i], own);
            sweep_dir(path, true);
        }
        (void)snprintf(path, sizeof path, ROOT "/%s", controllers[i]);
        sweep_dir(path, false);
    }
}

int sandbox_sweep(const char *state_dir, struct err *e)
{
    (void)state_dir;
    (void)e;
    cgroup_sweep();
    return 0;
}
