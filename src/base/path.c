#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

char *path_join(const char *a, const char *b)
{
    if (b[0] == '/')
        return strdup(b);
    size_t na = strlen(a);
    while (na > 1 && a[na - 1] == '/')
        na--;
    const char *sep = na && a[na - 1] != '/' ? "/" : "";
    char *out = NULL;
    return asprintf(&out, "%.*s%s%s", (int)na, a, sep, b) < 0 ? NULL : out;
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

struct span path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return SPAN(".");
    return (struct span){ path, slash == path ? 1 : (size_t)(slash - path) };
}

const char *path_ext(const char *path)
{
    const char *base = path_base(path), *dot = strrchr(base, '.');
    return dot && dot != base ? dot : "";
}

bool path_is_safe_relative(const char *path)
{
    struct span rest = span_of(path), part;
    if (!rest.n || rest.p[0] == '/')
        return false;
    while (span_split(&rest, '/', &part))
        if (!part.n || span_eqs(part, ".") || span_eqs(part, ".."))
            return false;
    return true;
}

int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode, unsigned how)
{
    struct open_how oh = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (how & PATH_NO_SYMLINKS ? RESOLVE_NO_SYMLINKS : 0),
    };
    long fd;
    int tries = 0;
    do /* EAGAIN: a component was renamed during the walk, openat2(2) */
        fd = syscall(SYS_openat2, dirfd, path, &oh, sizeof oh);
    while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 32)));
    return (int)fd;
}

int path_mkdirs(const char *path, mode_t mode, struct err *e)
{
    AUTO(ptr) char *p = strdup(path);
    if (!p)
        return err_set(e, ERR_NOMEM, "cannot create directory '%s': out of memory", path);
    for (char *s = p + 1; *s; s++)
        if (*s == '/') {
            *s = '\0';
            if (mkdir(p, mode) < 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
                return err_sys(e, "cannot create directory '%s'", p);
            *s = '/';
        }
    struct stat st;
    if (mkdir(p, mode) < 0 && (errno != EEXIST || stat(p, &st) < 0 || !S_ISDIR(st.st_mode)))
        return err_sys(e, "cannot create directory '%s'", path);
    return 0;
}

static int remove_dir(int fd, dev_t dev, int depth, struct err *e)
{
    DIR *d = fdopendir(fd); /* takes fd */
    if (!d) {
        (void)close(fd);
        return err_sys(e, "cannot list a directory for removal");
    }
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        const char *n = entry->d_name;
        if (n[0] == '.' && (!n[1] || (n[1] == '.' && !n[2])))
            continue;
        if (unlinkat(dirfd(d), n, 0) == 0 || errno == ENOENT)
            continue;
        /* a directory without write permission, as package caches make them */
        if (errno == EACCES && fchmod(dirfd(d), 0700) == 0 && unlinkat(dirfd(d), n, 0) == 0)
            continue;
        struct stat st;
        int sub = openat(dirfd(d), n, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0 && errno == EACCES && fchmodat(dirfd(d), n, 0700, 0) == 0)
            sub = openat(dirfd(d), n, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0) {
            result = err_sys(e, "cannot remove '%s'", n);
        } else if (fstat(sub, &st) < 0 || st.st_dev != dev || depth > 4096) {
            (void)close(sub);
            result = err_set(e, ERR_DENIED, "cannot remove '%s': it is on another file system or too deep", n);
        } else {
            result = remove_dir(sub, dev, depth + 1, e);
            if (result == 0 && unlinkat(dirfd(d), n, AT_REMOVEDIR) < 0 && errno != ENOENT)
                result = err_sys(e, "cannot remove '%s'", n);
        }
    }
    (void)closedir(d);
    return result;
}

int path_remove_tree(int dirfd, const char *name, struct err *e)
{
    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return 0;
    struct stat st;
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int failed = err_sys(e, "cannot remove '%s'", name);
        fd_close(&fd);
        return failed;
    }
    int result = remove_dir(fd, st.st_dev, 0, e);
    if (result == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        result = err_sys(e, "cannot remove '%s'", name);
    return result;
}

int file_read_fd(int fd, const char *name, size_t limit, struct buf *out, struct err *e)
{
    size_t total = 0;
    for (;;) {
        char beyond; /* at the limit one byte more is asked for, which must not need room in the buffer */
        size_t want = limit - total < 65536 ? limit - total : 65536;
        char *p = want ? buf_reserve(out, want) : &beyond;
        if (!want)
            want = 1;
        if (!p)
            return buf_check(out, e) < 0 ? err_wrap(e, "cannot read '%s'", name) : -ERR_INTERNAL;
        ssize_t n = read(fd, p, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "cannot read '%s'", name);
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > limit)
            return err_set(e, ERR_LIMIT, "cannot read '%s': larger than %zu bytes", name, limit);
        buf_commit(out, (size_t)n);
    }
}

int file_read(const char *path, size_t limit, struct buf *out, struct err *e)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_sys(e, "cannot open '%s'", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "cannot read '%s'", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT, "cannot read '%s': it is a directory", path);
    return file_read_fd(fd, path, limit, out, e);
}

int write_all(int fd, const void *data, size_t n)
{
    const char *p = data;
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

int file_write_atomic(const char *path, struct span data, mode_t mode, bool sync, struct err *e)
{
    char id[ID_SIZE];
    id_make("", id);
    AUTO(ptr) char *tmp = NULL;
    if (asprintf(&tmp, "%s.%s.tmp", path, id) < 0) {
        tmp = NULL;
        return err_set(e, ERR_NOMEM, "cannot write '%s': out of memory", path);
    }
    AUTO(fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_sys(e, "cannot write '%s'", path);
    if (write_all(fd, data.p, data.n) < 0 || (sync && fsync(fd) < 0) || rename(tmp, path) < 0) {
        int failed = err_sys(e, "cannot write '%s'", path);
        (void)unlink(tmp);
        return failed;
    }
    if (sync) {
        AUTO(ptr) char *dir = span_dup(path_dir(path));
        AUTO(fd) int dfd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        if (dfd >= 0)
            (void)fsync(dfd); /* some file systems refuse it for directories */
    }
    return 0;
}
