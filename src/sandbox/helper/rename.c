/*
 * rename - directories of a lower layer can be renamed.
 *
 * In a user namespace overlayfs refuses (EXDEV) to rename a directory that lives in a lower layer, which breaks
 * Python's os.rename, Node's fs.renameSync and `git mv`. The commands' filter asks us before each rename
 * (seccomp user notification, some 6 us). Anything but a directory is told to go on: the kernel then does it with
 * the command's own rights. For a directory we try the rename, and on EXDEV a child of ours moves its content piece by piece.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sandbox/helper/helper.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

int rename_install_and_send(void)
{
    struct sock_fprog prog = { (unsigned short)H.filter_len[1], H.filter[1] };
    if (!prog.len)
        return 0;
    if (!H.notify)
        return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
    if (fd < 0 && errno == EINVAL) /* Linux < 5.19 */
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
    if (fd < 0)
        return -1;
    char byte = 0;
    int one = (int)fd;
    struct iovec io = { &byte, 1 };
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { .h = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    memcpy(CMSG_DATA(&control.h), &one, sizeof one);
    int r = sendmsg(H.pass[1], &m, 0) == 1 ? 0 : -1;
    (void)close(one);
    return r;
}

void rename_take(void)
{
    char byte;
    struct iovec io = { &byte, 1 };
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
    int fd = -1;
    if (recvmsg(H.pass[0], &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
        return;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (!h || h->cmsg_type != SCM_RIGHTS)
        return;
    memcpy(&fd, CMSG_DATA(h), sizeof fd);
    for (size_t i = 0; i < NOTIFY_MAX; i++)
        if (H.notify_fd[i] < 0) {
            H.notify_fd[i] = fd;
            return;
        }
    (void)close(fd); /* more trees of processes than we follow: their renames fail with ENOSYS */
}

struct place {
    int dir;            /* O_PATH descriptor of the parent directory */
    char name[NAME_MAX + 1];
};

/* A path argument of process `pid`, resolved to its parent directory. Magic links are refused: they would be ours. */
static int locate(pid_t pid, uint64_t dirfd, uint64_t address, struct place *out)
{
    char path[PATH_MAX], link[64], number[24], number2[24];
    struct iovec here = { path, 0 }, there = { (void *)(uintptr_t)address, 0 };
    size_t got = 0;
    out->dir = -1;
    /* Page by page: the string may end right before unmapped memory. */
    while (got < sizeof path) {
        size_t page = 4096 - ((address + got) & 4095);
        here.iov_base = path + got;
        there.iov_base = (void *)(uintptr_t)(address + got);
        here.iov_len = there.iov_len = page < sizeof path - got ? page : sizeof path - got;
        ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (n <= 0)
            return -1;
        got += (size_t)n;
        if (memchr(path, 0, got))
            break;
    }
    char *end = memchr(path, 0, got);
    if (!end)
        return -1;
    while (end > path + 1 && end[-1] == '/')
        *--end = '\0';
    char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    if (!n || n > NAME_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
        return -1;
    memcpy(out->name, name, n + 1);
    *name = '\0';
    int base = AT_FDCWD;
    if (path[0] != '/') {
        text_i64(number, pid);
        text_i64(number2, (int)dirfd);
        if ((int)dirfd == AT_FDCWD)
            (void)text_join(link, sizeof link, (const char *const[]){ "/proc/", number, "/cwd", NULL });
        else
            (void)text_join(link, sizeof link, (const char *const[]){ "/proc/", number, "/fd/", number2, NULL });
        base = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (base < 0)
            return -1;
        if (!path[0]) {
            out->dir = base;
            return 0;
        }
    }
    out->dir = open_inside(base, path, O_PATH | O_DIRECTORY);
    if (base >= 0)
        (void)close(base);
    return out->dir < 0 ? -1 : 0;
}

/* What ioctl writes back and forth; the kernel's sizes may exceed ours by a little in later versions. */
union notification {
    struct seccomp_notif n;
    char room[256];
};

static void answer(int fd, uint64_t id, int error, uint32_t flags)
{
    union {
        struct seccomp_notif_resp r;
        char room[256];
    } u;
    memset(&u, 0, sizeof u);
    u.r.id = id;
    u.r.error = -error;
    u.r.flags = flags;
    (void)ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &u.r);
}

static int move_tree(int from, const char *name, int to, const char *new_name, int depth);

static int move_content(int from, int to, int depth)
{
    DIR *d = fdopendir(from);
    if (!d) {
        (void)close(from);
        return -1;
    }
    struct dirent *de;
    int r = 0;
    while (r == 0 && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (!strcmp(de->d_name, ".") || !strcmp(de->d_name, ".."))
            continue;
        r = renameat(dirfd(d), de->d_name, to, de->d_name);
        if (r < 0 && errno == EXDEV)
            r = move_tree(dirfd(d), de->d_name, to, de->d_name, depth + 1);
    }
    int sys = errno;
    (void)closedir(d);
    errno = sys;
    return r;
}

static int move_tree(int from, const char *name, int to, const char *new_name, int depth)
{
    struct stat st;
    if (depth > 500) {
        errno = EXDEV;
        return -1;
    }
    int source = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (source < 0)
        return -1;
    if (fstat(source, &st) < 0 || mkdirat(to, new_name, 0700) < 0) {
        int sys = errno;
        (void)close(source);
        errno = sys;
        return -1;
    }
    int target = openat(to, new_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0) {
        (void)close(source);
        return -1;
    }
    int r = move_content(source, target, depth);
    if (r == 0) {
        struct timespec times[2] = { st.st_atim, st.st_mtim };
        (void)fchmod(target, st.st_mode & 07777);
        (void)futimens(target, times);
        r = unlinkat(from, name, AT_REMOVEDIR);
    }
    int sys = errno;
    (void)close(target);
    errno = sys;
    return r;
}

/* 0 when it is done; -1 with errno. Runs in a child: the tree may be large. */
static int rename_by_hand(const struct place *a, const struct place *b, unsigned flags)
{
    struct stat st;
    if (fstatat(b->dir, b->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (flags & RENAME_NOREPLACE) {
            errno = EEXIST;
            return -1;
        }
        if (!S_ISDIR(st.st_mode)) {
            errno = ENOTDIR;
            return -1;
        }
        if (unlinkat(b->dir, b->name, AT_REMOVEDIR) < 0) /* an empty directory may be replaced */
            return -1;
    }
    /* Into itself is EINVAL for the kernel, and endless for us. */
    struct stat source, at;
    if (fstatat(a->dir, a->name, &source, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    int up = openat(b->dir, ".", O_PATH | O_CLOEXEC);
    for (int i = 0; up >= 0 && i < 1000; i++) {
        if (fstat(up, &at) < 0)
            break;
        if (at.st_ino == source.st_ino && at.st_dev == source.st_dev) {
            (void)close(up);
            errno = EINVAL;
            return -1;
        }
        int next = openat(up, "..", O_PATH | O_CLOEXEC);
        struct stat above;
        bool top = next < 0 || fstat(next, &above) < 0 || (above.st_ino == at.st_ino && above.st_dev == at.st_dev);
        (void)close(up);
        up = next;
        if (top)
            break;
    }
    if (up >= 0)
        (void)close(up);
    return move_tree(a->dir, a->name, b->dir, b->name, 0);
}

/* With nested namespaces allowed, a process may have another tree before it: names mean something else there. */
static bool sees_our_tree(pid_t pid)
{
    struct stat a, b, root, ours;
    char ns[64], path[64], number[24];
    text_i64(number, pid);
    (void)text_join(ns, sizeof ns, (const char *const[]){ "/proc/", number, "/ns/mnt", NULL });
    (void)text_join(path, sizeof path, (const char *const[]){ "/proc/", number, "/root", NULL });
    return stat(ns, &a) == 0 && stat("/proc/self/ns/mnt", &b) == 0 && a.st_ino == b.st_ino && stat(path, &root) == 0 &&
           stat("/", &ours) == 0 && root.st_ino == ours.st_ino && root.st_dev == ours.st_dev;
}

static void decide(int fd, const struct seccomp_notif *n)
{
    struct place a = { .dir = -1 }, b = { .dir = -1 };
    const struct seccomp_data *d = &n->data;
    bool at = true;
    uint64_t flags = 0;
#ifdef SYS_rename
    at = d->nr != SYS_rename;
#endif
    if (d->nr == SYS_renameat2)
        flags = d->args[4];
    struct stat st, other;
    int r = -1;
    bool ours = (flags & ~(uint64_t)RENAME_NOREPLACE) == 0 && (!H.no_landlock || sees_our_tree((pid_t)n->pid)) &&
                locate((pid_t)n->pid, at ? d->args[0] : (uint64_t)AT_FDCWD, d->args[at ? 1 : 0], &a) == 0 &&
                locate((pid_t)n->pid, at ? d->args[2] : (uint64_t)AT_FDCWD, d->args[at ? 3 : 1], &b) == 0 &&
                fstatat(a.dir, a.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
                fstat(b.dir, &other) == 0 && fstat(a.dir, &st) == 0 && st.st_dev == other.st_dev &&
                ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n->id) == 0;
    if (ours) {
        r = (int)syscall(SYS_renameat2, a.dir, a.name, b.dir, b.name, (unsigned)flags);
        if (r == 0) {
            answer(fd, n->id, 0, 0);
        } else if (errno != EXDEV) {
            answer(fd, n->id, errno, 0);
        } else {
            pid_t pid = fork();
            if (pid == 0) {
                child_confine(true);
                answer(fd, n->id, rename_by_hand(&a, &b, (unsigned)flags) < 0 ? errno : 0, 0);
                _exit(0);
            }
            if (pid < 0) /* they are at their limit of processes, and wait for us */
                answer(fd, n->id, EXDEV, 0);
        }
    } else {
        answer(fd, n->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
    }
    if (a.dir >= 0)
        (void)close(a.dir);
    if (b.dir >= 0)
        (void)close(b.dir);
}

void rename_notified(size_t i, int revents)
{
    union notification u;
    if (revents & POLLIN) {
        memset(&u, 0, sizeof u);
        if (ioctl(H.notify_fd[i], SECCOMP_IOCTL_NOTIF_RECV, &u.n) == 0)
            decide(H.notify_fd[i], &u.n);
    } else if (revents & (POLLHUP | POLLERR)) { /* the last process under this filter has gone */
        (void)close(H.notify_fd[i]);
        H.notify_fd[i] = -1;
    }
}
