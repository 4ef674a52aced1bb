#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "workspace/copy-internal.h"

#include "base/mem.h"
#include "base/path.h"

#define COPY_DEPTH_MAX 400

static int copy_bytes(int in, int out)
{
    if (ioctl(out, FICLONE, in) == 0)
        return 0;
    for (;;) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            break;
    }
    if (lseek(in, 0, SEEK_SET) < 0 || lseek(out, 0, SEEK_SET) < 0 || ftruncate(out, 0) < 0)
        return -1;
    char chunk[65536];
    for (;;) {
        ssize_t n = read(in, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        if (write_all(out, chunk, (size_t)n) < 0)
            return -1;
    }
}

/* Who owns the copies, and what is copied beside files, links and directories. */
struct how {
    uid_t uid;
    gid_t gid;
    bool upper; /* overlayfs's upper directory: owners, whiteouts and marks as they are */
};

static int give(int fd, const struct stat *st, const struct how *how)
{
    return how->upper ? fchown(fd, st->st_uid, st->st_gid) : fchown(fd, how->uid, how->gid);
}

static int copy_marks(int in, int out)
{
    static const char *const marks[] = { "user.overlay.opaque", "user.overlay.redirect", "trusted.overlay.opaque", "trusted.overlay.redirect" };
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        char value[PATH_MAX];
        ssize_t n = fgetxattr(in, marks[i], value, sizeof value);
        if (n >= 0 && fsetxattr(out, marks[i], value, (size_t)n, 0) < 0)
            return -1;
    }
    return 0;
}

static int copy_whiteout(int to, const char *name, const struct stat *st)
{
    if (mknodat(to, name, S_IFCHR, 0) < 0)
        return -1;
    return fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW);
}

static int copy_one(int from, int to, const char *name, const struct stat *st, const struct how *how)
{
    uid_t uid = how->upper ? st->st_uid : how->uid;
    gid_t gid = how->upper ? st->st_gid : how->gid;
    const struct timespec times[2] = { st->st_atim, st->st_mtim };
    if (S_ISLNK(st->st_mode)) {
        char target[PATH_MAX + 1];
        ssize_t n = readlinkat(from, name, target, sizeof target - 1);
        if (n < 0)
            return -1;
        target[n] = '\0';
        if (symlinkat(target, to, name) < 0 || fchownat(to, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
            return -1;
        return utimensat(to, name, times, AT_SYMLINK_NOFOLLOW);
    }
    AUTO(fd) int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    AUTO(fd) int out = in < 0 ? -1 : openat(to, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0 || copy_bytes(in, out) < 0 || give(out, st, how) < 0 || fchmod(out, st->st_mode & 0777) < 0)
        return -1;
    return futimens(out, times);
}

static int copy_dir(int from, int to, int depth, const struct how *how, struct err *e)
{
    DIR *d = fdopendir(from); /* takes from */
    if (!d || depth > COPY_DEPTH_MAX) {
        if (d)
            (void)closedir(d);
        else
            (void)close(from);
        return err_set(e, ERR_LIMIT, "cannot copy the workspace: nested too deeply");
    }
    int rc = 0;
    struct dirent *de;
    while (rc == 0 && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        const char *n = de->d_name;
        struct stat st;
        if ((n[0] == '.' && (!n[1] || (n[1] == '.' && !n[2]))) || fstatat(dirfd(d), n, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            int in = openat(dirfd(d), n, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            AUTO(fd) int out = in >= 0 && mkdirat(to, n, 0700) == 0
                                   ? openat(to, n, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                                   : -1;
            if (out < 0) {
                rc = err_sys(e, "cannot copy directory '%s' of the workspace", n);
                fd_close(&in);
                break;
            }
            if (how->upper && copy_marks(in, out) < 0)
                rc = err_sys(e, "cannot copy the marks of directory '%s'", n);
            rc = rc == 0 ? copy_dir(in, out, depth + 1, how, e) : rc;
            const struct timespec times[2] = { st.st_atim, st.st_mtim };
            if (rc == 0 && (give(out, &st, how) < 0 || fchmod(out, st.st_mode & 0777) < 0 || futimens(out, times) < 0))
                rc = err_sys(e, "cannot copy directory '%s' of the workspace", n);
        } else if ((S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) && copy_one(dirfd(d), to, n, &st, how) < 0) {
            rc = err_sys(e, "cannot copy '%s' of the workspace", n);
        } else if (how->upper && S_ISCHR(st.st_mode) && st.st_rdev == 0 && copy_whiteout(to, n, &st) < 0) {
            rc = err_sys(e, "cannot copy the deletion of '%s'", n);
        }
    }
    (void)closedir(d);
    return rc;
}

int copy_tree(int from, int to, uid_t uid, gid_t gid, struct err *e)
{
    int in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in < 0)
        return err_sys(e, "cannot copy the workspace");
    const struct how how = { uid, gid, false };
    int rc = copy_dir(in, to, 0, &how, e);
    if (rc == 0 && fchown(to, uid, gid) < 0)
        return err_sys(e, "cannot copy the workspace");
    return rc;
}

int copy_upper(int from, int to, struct err *e)
{
    const struct how how = { .upper = true };
    struct stat st;
    int in = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) < 0) {
        fd_close(&in);
        return err_sys(e, "cannot copy a layer");
    }
    if (copy_marks(in, to) < 0 || give(to, &st, &how) < 0 || fchmod(to, st.st_mode & 0777) < 0) {
        fd_close(&in);
        return err_sys(e, "cannot copy a layer");
    }
    return copy_dir(in, to, 0, &how, e);
}
