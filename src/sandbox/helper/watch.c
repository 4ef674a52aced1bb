/*
 * watch - limits that no kernel object holds here: what an upper layer on disk takes, and, where there is no cgroup, memory.
 *
 * Measured while something runs, with pauses twenty times as long as measuring takes. In process 1 and not in a process of
 * its own, which commands could stop or kill; with capabilities, so that neither a directory without permissions nor a process
 * that made itself unreadable hides anything. What cannot be measured counts as too much.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "sandbox/helper/helper.h"

#define DEPTH_MAX 1000
#define TOO_MUCH (INT64_MAX / 4)
#define PAUSE_MS 100
#define PAUSE_MEMORY_MS 25 /* it is taken faster than disk */
#define SOCKET_BYTES 212992 /* net.core.wmem_default */
#define PIPE_BYTES 65536

struct usage {
    int64_t bytes, inodes;
};

static struct {
    const char *dir; /* relative to WIRE_PRIVATE; NULL: no layer on disk */
    struct usage most, first;
    int64_t free_bytes; /* of its file system, before anything ran */
    int64_t memory;     /* 0: a cgroup's business */
    int64_t shmem;      /* of the machine but for our own, before anything ran */
    int64_t available;  /* memory of the machine, likewise */
    bool measured;
} W;

/* Adds what directory fd holds, and closes it. */
static void tree_usage(int fd, int depth, struct usage *u)
{
    DIR *d = fd < 0 || depth > DEPTH_MAX ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            (void)close(fd);
        u->bytes = TOO_MUCH;
        return;
    }
    struct dirent *de;
    while (u->bytes < TOO_MUCH && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        struct stat st;
        if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, "..") || fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        u->bytes += (int64_t)st.st_blocks * 512;
        u->inodes++;
        if (!S_ISDIR(st.st_mode))
            continue;
        int sub = openat(fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0 || (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)) /* it may just have gone */
            tree_usage(sub, depth + 1, u);
    }
    (void)closedir(d);
}

/* A file of /proc, from its directory `dir`, as text: its length, or -1. */
static ssize_t proc_text(int dir, const char *name, char *out, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t n = 0;
    ssize_t k;
    while (n + 1 < size && (k = read(fd, out + n, size - 1 - n)) > 0)
        n += (size_t)k;
    out[n] = '\0';
    (void)close(fd);
    return (ssize_t)n;
}

/* The number behind `key` in text, or 0. */
static int64_t number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : 0;
}

/* Calls fn with the directory of each process inside but ourselves, until it says true. */
static bool any_process(bool (*fn)(int dir, void *ctx), void *ctx)
{
    DIR *d = opendir("/proc");
    struct dirent *de;
    bool found = false;
    while (d && !found && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (de->d_name[0] < '0' || de->d_name[0] > '9' || !strcmp(de->d_name, "1"))
            continue;
        int dir = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            continue;
        found = fn(dir, ctx);
        (void)close(dir);
    }
    if (d)
        (void)closedir(d);
    return found;
}

static bool line_says_deleted(int dir)
{
    char text[8192];
    size_t kept = 0;
    bool found = false;
    int fd = openat(dir, "maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n;
    while (!found && (n = read(fd, text + kept, sizeof text - 1 - kept)) > 0) {
        n += (ssize_t)kept;
        text[n] = '\0';
        found = strstr(text, " (deleted)\n");
        kept = n < 16 ? (size_t)n : 16; /* the words may be cut */
        memmove(text, text + n - kept, kept);
    }
    (void)close(fd);
    return found;
}

/* Whether a process holds what no directory names any more: a removed file (in memory: also a memfd), open, mapped or on its way through a socket. */
static bool holds_hidden(int dir, void *ctx)
{
    char name[64], text[512];
    (void)ctx;
    int fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fds < 0)
        return errno != ENOENT && errno != ESRCH;
    DIR *d = fdopendir(fds);
    struct dirent *de;
    bool found = !d;
    while (!found && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        ssize_t n = readlinkat(fds, de->d_name, text, sizeof text - 1);
        if (n < 0)
            continue;
        text[n] = '\0';
        if (!strncmp(text, "socket:", 7)) {
            (void)text_join(name, sizeof name, (const char *const[]){ "fdinfo/", de->d_name, NULL });
            found = proc_text(dir, name, text, sizeof text) > 0 && number_after(text, "scm_fds:") > 0;
        } else {
            found = strstr(text, " (deleted)");
        }
    }
    if (d)
        (void)closedir(d);
    else
        (void)close(fds);
    return found || line_says_deleted(dir);
}

static int64_t free_below(int fd)
{
    struct statfs fs;
    return fd < 0 || fstatfs(fd, &fs) < 0 ? 0 : (int64_t)fs.f_bfree * (int64_t)fs.f_bsize;
}

/*
 * Too much by names; or the file system has lost more than names explain, and something inside holds what has none. Others use
 * the file system too: the loss alone would not do.
 */
static bool layer_full(void)
{
    struct usage u = { 0 };
    int fd = openat(H.private_fd, W.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t free_bytes = free_below(fd);
    tree_usage(fd, 0, &u);
    if (!W.measured)
        W.first = u;
    W.measured = true;
    if ((W.most.bytes > 0 && u.bytes > W.most.bytes) || (W.most.inodes > 0 && u.inodes > W.most.inodes))
        return true;
    int64_t unexplained = (W.free_bytes - free_bytes) - (u.bytes - W.first.bytes);
    return W.most.bytes > 0 && unexplained > W.most.bytes && any_process(holds_hidden, NULL);
}

/* What the tmpfs at `path` holds, relative to WIRE_PRIVATE; 0 where there is none. */
static int64_t tmpfs_bytes(const char *path)
{
    struct statfs fs;
    int fd = openat(H.private_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int64_t n = fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC ? 0 : (int64_t)(fs.f_blocks - fs.f_bfree) * (int64_t)fs.f_bsize;
    if (fd >= 0)
        (void)close(fd);
    return n;
}

struct machine {
    int64_t available;
    int64_t shmem; /* memory in files without a place on disk, but for ours */
    bool short_of; /* less than a twentieth is left: too much at once */
};

static struct machine look_at_machine(int64_t our_shmem)
{
    char info[4096];
    if (proc_text(AT_FDCWD, "/proc/meminfo", info, sizeof info) <= 0)
        return (struct machine){ .short_of = true };
    int64_t available = number_after(info, "\nMemAvailable:") * 1024;
    return (struct machine){ available, number_after(info, "\nShmem:") * 1024 - our_shmem, available < number_after(info, "MemTotal:") * 1024 / 20 };
}

struct memory {
    int64_t resident, proportional; /* sums over processes: shared pages counted for each, or divided among them */
    int64_t tables;                 /* of pages */
    int64_t buffers;                /* at most, of their sockets and pipes */
};

static bool add_resident(int dir, void *ctx)
{
    struct memory *m = ctx;
    char text[1024];
    if (proc_text(dir, "statm", text, sizeof text) > 0) {
        char *second = strchr(text, ' ');
        m->resident += second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
    }
    return false;
}

static bool add_proportional(int dir, void *ctx)
{
    struct memory *m = ctx;
    char text[1024];
    if (proc_text(dir, "smaps_rollup", text, sizeof text) > 0)
        m->proportional += number_after(text, "\nPss:") * 1024;
    return false;
}

/* What the kernel holds for a process and counts for nobody. */
static bool add_kernels(int dir, void *ctx)
{
    struct memory *m = ctx;
    char text[4096];
    if (proc_text(dir, "status", text, sizeof text) > 0)
        m->tables += number_after(text, "\nVmPTE:") * 1024;
    int fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fds < 0 ? NULL : fdopendir(fds);
    struct dirent *de;
    while (d && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        ssize_t n = readlinkat(fds, de->d_name, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        m->buffers += !strncmp(text, "socket:", 7) ? SOCKET_BYTES : !strncmp(text, "pipe:", 5) ? PIPE_BYTES : 0;
    }
    if (d)
        (void)closedir(d);
    else if (fds >= 0)
        (void)close(fds);
    return false;
}

/*
 * Counting exactly takes milliseconds for each process: only where the cheap sum, which is never too small, exceeds the limit. What the
 * kernel holds is looked at only when the machine has lost more than the limit: others take memory too, so the loss alone would not do.
 */
static bool memory_full(void)
{
    struct memory m = { 0 };
    int64_t shared, kernel, files = tmpfs_bytes("s") + tmpfs_bytes("t");
    ipc_bytes(&shared, &kernel);
    files += shared;
    struct machine now = look_at_machine(files);
    (void)any_process(add_resident, &m);
    if (W.available - now.available > W.memory)
        (void)any_process(add_kernels, &m);
    kernel += m.tables;
    if (now.short_of || kernel > W.memory || m.buffers > W.memory)
        return true;
    if (m.resident + files + kernel > W.memory) {
        (void)any_process(add_proportional, &m);
        if (m.proportional + files + kernel > W.memory)
            return true;
    }
    return now.shmem - W.shmem > W.memory && any_process(holds_hidden, NULL);
}

void watch_layer(const char *dir, int64_t bytes, int64_t inodes)
{
    int fd = openat(H.private_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    W.dir = dir;
    W.most = (struct usage){ bytes, inodes };
    W.free_bytes = free_below(fd);
    if (fd >= 0)
        (void)close(fd);
    H.watch_ms = 1;
}

void watch_memory(int64_t bytes)
{
    W.memory = bytes;
    struct machine now = look_at_machine(tmpfs_bytes("s") + tmpfs_bytes("t"));
    W.shmem = now.shmem;
    W.available = now.available;
    H.watch_ms = 1;
}

void watch_now(int64_t now)
{
    (void)cap_admin(true);
    bool disk = W.dir && layer_full();
    bool memory = W.memory > 0 && memory_full();
    (void)cap_admin(false);
    int64_t pause = (now_ms() - now) * 20, least = W.memory > 0 ? PAUSE_MEMORY_MS : PAUSE_MS;
    H.watch_ms = now_ms() + (pause < least ? least : pause);
    if (disk || memory)
        jobs_end_all(disk ? WIRE_EXIT_DISK : WIRE_EXIT_MEMORY);
    H.others = kill(-1, 0) == 0;
}
