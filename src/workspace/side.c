#include "workspace/side.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "workspace/content.h"

static int read_link(int fd, unsigned flags, struct change_content *keep, struct change_side *side, struct err *e)
{
    char target[PATH_MAX + 1];
    ssize_t n = readlinkat(fd, "", target, sizeof target);
    if (n < 0)
        return err_sys(e, "cannot read the link");
    side->exists = side->symlink = true;
    side->mode = 0777;
    if (flags & SIDE_KEEP)
        return content_add(keep, (struct span){ target, (size_t)n }, side, e) < 0 ? -(int)e->kind : 1;
    side->size = n;
    side->hash = hash_bytes(target, (size_t)n);
    return 1;
}

static int open_file(int dirfd, const char *path, int seen, const struct stat *st, unsigned flags)
{
    int fd = path_open_beneath(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0, PATH_NO_SYMLINKS);
    if (fd >= 0 || errno != EACCES || !(flags & SIDE_FORCE))
        return fd;
    char self[40];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", seen);
    if (chmod(self, 0600) < 0) {
        errno = EACCES;
        return -1;
    }
    fd = path_open_beneath(dirfd, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY, 0, PATH_NO_SYMLINKS);
    (void)chmod(self, st->st_mode & 07777);
    return fd;
}

int side_read(int dirfd, const char *path, unsigned flags, struct change_content *keep, int64_t limit,
              struct change_side *side, struct stat *st_out, enum side_what *what, struct err *e)
{
    *side = (struct change_side){ 0 };
    *what = SIDE_NOTHING;
    AUTO(fd) int seen = path_open_beneath(dirfd, path, O_PATH | O_NOFOLLOW, 0, PATH_NO_SYMLINKS);
    if (seen < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    struct stat st;
    if (seen < 0 || fstat(seen, &st) < 0)
        return err_sys(e, "cannot look at it");
    if (st_out)
        *st_out = st;
    side->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if (S_ISLNK(st.st_mode)) {
        *what = SIDE_LINK;
        return read_link(seen, flags, keep, side, e);
    }
    if (!S_ISREG(st.st_mode)) {
        *what = S_ISDIR(st.st_mode) ? SIDE_DIR : SIDE_OTHER;
        return 0;
    }
    *what = SIDE_FILE;
    if (st.st_size > limit)
        return err_set(e, ERR_LIMIT, "larger than %lld bytes", (long long)limit);
    AUTO(fd) int fd = open_file(dirfd, path, seen, &st, flags);
    if (fd < 0)
        return err_sys(e, "cannot open it");
    struct stat again;
    if (fstat(fd, &again) < 0 || again.st_ino != st.st_ino || again.st_dev != st.st_dev)
        return err_set(e, ERR_CONFLICT, "replaced while it was read");
    if (flags & SIDE_FORCE && (fgetxattr(fd, "user.overlay.metacopy", NULL, 0) >= 0 ||
                               fgetxattr(fd, "trusted.overlay.metacopy", NULL, 0) >= 0))
        return err_set(e, ERR_INPUT, "metadata-only copy of overlayfs, which no layer of stead makes");
    int rc = flags & SIDE_KEEP ? content_add_fd(keep, fd, limit, side, e) : content_hash_fd(fd, side, e);
    if (rc < 0)
        return rc;
    side->exists = true;
    side->mode = st.st_mode & 0777;
    return 1;
}
