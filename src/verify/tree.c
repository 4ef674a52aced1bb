#include "verify/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "base/path.h"

#define TREE_NAMES 20000u /* in one directory; more is a data directory */

/* An open descriptor of the topmost file, -1 when it is absent or hidden. */
static int open_top(const struct tree *t, const char *path, int flags)
{
    for (size_t i = 0; i < t->ndirs; i++) {
        AUTO(fd) int dir = open(t->dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            continue;
        int fd = path_open_beneath(dir, *path ? path : ".", flags & O_PATH ? flags : flags | O_NONBLOCK, 0, 0);
        if (fd < 0) {
            /* a whiteout device cannot be opened for reading: look at it by name */
            AUTO(fd) int at = path_open_beneath(dir, *path ? path : ".", O_PATH | O_NOFOLLOW, 0, 0);
            struct stat st;
            if (at >= 0 && fstat(at, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
                return -1;
            continue;
        }
        struct stat st;
        if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode)) {
            close(fd);
            return -1;
        }
        return fd;
    }
    return -1;
}

static int path_order(const void *key, const void *f)
{
    return strcmp(key, ((const struct tree_file *)f)->path);
}

static const struct tree_file *on_top(const struct tree *t, const char *path)
{
    return t->nfiles ? bsearch(path, t->files, t->nfiles, sizeof *t->files, path_order) : NULL;
}

int tree_read(const struct tree *t, const char *path, size_t limit, struct buf *out)
{
    const struct tree_file *over = on_top(t, path);
    if (over)
        return !over->deleted && !over->symlink && over->content.n <= limit && buf_add_span(out, over->content);
    AUTO(fd) int fd = open_top(t, path, O_RDONLY);
    struct stat st;
    struct err e = ERR_INIT;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (size_t)st.st_size > limit)
        return 0;
    return file_read_fd(fd, path, limit, out, &e) < 0 ? 0 : 1;
}

bool tree_exists(const struct tree *t, const char *path)
{
    const struct tree_file *over = on_top(t, path);
    if (over)
        return !over->deleted;
    AUTO(fd) int fd = open_top(t, path, O_PATH);
    return fd >= 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct strings tree_list(const struct tree *t, const char *dir, struct arena *arena)
{
    AUTO(ptr) char **names = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < t->ndirs; i++) {
        AUTO(fd) int top = open(t->dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fd = top < 0 ? -1 : path_open_beneath(top, *dir ? dir : ".", O_RDONLY | O_DIRECTORY, 0, 0);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
            if (fd >= 0)
                close(fd);
            continue;
        }
        for (struct dirent *f; n < TREE_NAMES && (f = readdir(d));) { /* NOLINT(concurrency-mt-unsafe): own stream */
            if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, ".."))
                continue;
            if (!array_grow((void **)&names, &cap, n, 1, sizeof *names))
                break;
            char *copy = arena_strdup(arena, f->d_name);
            if (!copy)
                break;
            names[n++] = copy;
        }
        closedir(d);
    }
    size_t prefix = strlen(dir) + (*dir != 0);
    for (size_t i = 0; i < t->nfiles; i++) {
        const char *p = t->files[i].path;
        if (*dir && (strncmp(p, dir, prefix - 1) != 0 || p[prefix - 1] != '/'))
            continue;
        char *copy = t->files[i].deleted ? NULL : arena_span(arena, span_sub(span_of(p), prefix, strcspn(p + prefix, "/")));
        if (copy && array_grow((void **)&names, &cap, n, 1, sizeof *names))
            names[n++] = copy;
    }
    if (n)
        qsort(names, n, sizeof *names, by_name);
    struct strings out = { arena_array(arena, n ? n : 1, sizeof(char *)), 0 };
    for (size_t i = 0; i < n && out.items; i++) {
        if (out.len && !strcmp(out.items[out.len - 1], names[i]))
            continue;
        AUTO(buf) struct buf p = BUF_INIT(8192);
        buf_addf(&p, "%s%s%s", dir, *dir ? "/" : "", names[i]);
        if ((t->ndirs == 1 && !t->nfiles) || tree_exists(t, buf_str(&p))) /* whiteouts hide */
            out.items[out.len++] = names[i];
    }
    return out;
}
