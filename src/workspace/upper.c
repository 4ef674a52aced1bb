#include "workspace/upper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/mem.h"

struct entry {
    const char *name;
    struct stat st;
};

struct listing {
    struct entry *items;
    size_t n, cap;
};

static void listing_auto(struct listing *l)
{
    free(l->items);
}

static void dir_auto(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool is_dots(const char *n)
{
    return n[0] == '.' && (!n[1] || (n[1] == '.' && !n[2]));
}

/* Value of overlay.NAME in either namespace; 0 when absent. */
static ssize_t overlay_xattr(int fd, const char *name, char *value, size_t size)
{
    static const char *const spaces[] = { "user", "trusted" };
    for (size_t i = 0; i < COUNT_OF(spaces); i++) {
        char full[64];
        (void)snprintf(full, sizeof full, "%s.overlay.%s", spaces[i], name);
        ssize_t n = fgetxattr(fd, full, value, size);
        if (n > 0 || (n == 0 && size == 0))
            return n;
        if (n == 0 || (n < 0 && errno == ERANGE)) {
            value[0] = '\0';
            return 1;
        }
    }
    return 0;
}

static bool has_overlay_xattr(int fd, const char *name)
{
    char value[256];
    return overlay_xattr(fd, name, value, sizeof value) > 0;
}

/* A directory that the sandbox made unreadable is still read: the upper directory is ours. */
static int open_dir(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 || errno != EACCES)
        return fd;
    AUTO(fd) int path = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char self[40];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", path);
    if (path < 0 || chmod(self, 0700) < 0) {
        errno = EACCES;
        return -1;
    }
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

static int list(struct upper_scan *scan, int fd, struct listing *out, struct err *e)
{
    AUTO(dir) DIR *d = NULL;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0 || !(d = fdopendir(copy))) {
        int failed = err_sys(e, "cannot list a layer's directory");
        fd_close(&copy);
        return failed;
    }
    rewinddir(d);
    struct dirent *de;
    while ((de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (is_dots(de->d_name))
            continue;
        if (++scan->nodes > UPPER_NODES_MAX)
            return err_set(e, ERR_LIMIT, "the layer holds more than %d entries", UPPER_NODES_MAX);
        if (!array_grow(&out->items, &out->cap, out->n, 1, sizeof *out->items))
            return err_set(e, ERR_NOMEM, "cannot list a layer's directory: out of memory");
        struct entry *en = &out->items[out->n];
        if (fstatat(fd, de->d_name, &en->st, AT_SYMLINK_NOFOLLOW) < 0)
            continue; /* went away: the sandbox was not stopped, or the entry is broken */
        if (!(en->name = arena_strdup(scan->arena, de->d_name)))
            return err_set(e, ERR_NOMEM, "cannot list a layer's directory: out of memory");
        out->n++;
    }
    if (out->n)
        qsort(out->items, out->n, sizeof *out->items, by_name);
    return 0;
}

static void drop_children(struct upper_node *node)
{
    for (size_t i = 0; i < node->nchildren; i++)
        drop_children(node->children[i]);
    free(node->children);
    node->children = NULL;
    node->nchildren = 0;
}

static void note(struct upper_scan *scan, const char *path, const char *why)
{
    if (scan->note)
        scan->note(scan->ctx, path, why);
}

/* Directories that are marked in a way that we do not make, and cannot read rightly. */
static bool refuse_dir(struct upper_scan *scan, int fd, const char *path)
{
    if (!has_overlay_xattr(fd, "redirect"))
        return false;
    note(scan, path, "a directory redirect of overlayfs, which no layer of stead makes");
    return true;
}

static int merge_dir(struct upper_scan *scan, struct upper_node *node, int fd, int index, char *path, size_t len,
                     int depth, struct err *e);

/* Decide what one entry does to `old` (what lower directories had there, or NULL). *out NULL: nothing. */
static int merge_entry(struct upper_scan *scan, struct upper_node *old, const struct entry *en, int fd, int index,
                       bool xwhiteouts, char *path, size_t len, int depth, struct upper_node **out, struct err *e)
{
    bool is_dir = S_ISDIR(en->st.st_mode);
    *out = old;
    struct upper_node *node = old;
    if (!node) {
        node = arena_alloc(scan->arena, sizeof *node);
        if (!node)
            return err_set(e, ERR_NOMEM, "cannot read a layer: out of memory");
        node->name = en->name;
    }
    enum upper_type before = old ? old->type : UPPER_SKIPPED;
    node->index = index;
    node->mode = en->st.st_mode;
    bool whiteout = S_ISCHR(en->st.st_mode) && en->st.st_rdev == 0;
    if (!whiteout && xwhiteouts && S_ISREG(en->st.st_mode) && en->st.st_size == 0) {
        AUTO(fd) int f = openat(fd, en->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        char v[8];
        whiteout = f >= 0 && (fgetxattr(f, "user.overlay.whiteout", v, sizeof v) >= 0 ||
                              fgetxattr(f, "trusted.overlay.whiteout", v, sizeof v) >= 0);
    }
    if (scan->skip && scan->skip(scan->ctx, path, is_dir)) {
        drop_children(node);
        node->type = UPPER_SKIPPED;
        node->was_dir = is_dir;
        *out = node;
        return 0;
    }
    if (is_dir) {
        AUTO(fd) int sub = depth < UPPER_DEPTH_MAX ? open_dir(fd, en->name) : -1;
        if (sub < 0) {
            note(scan, path, depth < UPPER_DEPTH_MAX ? "a directory that cannot be read" : "nested too deeply");
            return 0;
        }
        if (refuse_dir(scan, sub, path))
            return 0;
        /* over a file or whiteout of a lower upper directory the workspace stays hidden */
        bool hides = old && before != UPPER_DIR && before != UPPER_SKIPPED;
        if (before != UPPER_DIR) {
            node->opaque = hides;
            node->nchildren = 0;
        }
        node->type = UPPER_DIR;
        *out = node;
        return merge_dir(scan, node, sub, index, path, len, depth + 1, e);
    }
    drop_children(node);
    *out = node;
    if (whiteout)
        node->type = UPPER_WHITEOUT;
    else if (S_ISREG(en->st.st_mode))
        node->type = UPPER_FILE;
    else if (S_ISLNK(en->st.st_mode))
        node->type = UPPER_LINK;
    else {
        note(scan, path, S_ISFIFO(en->st.st_mode)   ? "a named pipe"
                         : S_ISSOCK(en->st.st_mode) ? "a socket"
                                                    : "a device");
        node->type = UPPER_SKIPPED;
        node->was_dir = false;
    }
    return 0;
}

/* Lay the entries of one directory of upper `index` over the node. `path` holds len bytes and has room for PATH_MAX. */
static int merge_dir(struct upper_scan *scan, struct upper_node *node, int fd, int index, char *path, size_t len,
                     int depth, struct err *e)
{
    AUTO(listing) struct listing l = { 0 };
    if (list(scan, fd, &l, e) < 0)
        return -(int)e->kind;
    char value[16] = "";
    bool xwhiteouts = false;
    if (overlay_xattr(fd, "opaque", value, sizeof value) > 0) {
        xwhiteouts = value[0] == 'x';
        if (value[0] == 'y') {
            drop_children(node);
            node->opaque = true;
        }
    }
    if (!l.n)
        return 0;
    struct upper_node **merged = calloc(node->nchildren + l.n, sizeof(struct upper_node *));
    if (!merged)
        return err_set(e, ERR_NOMEM, "cannot read a layer: out of memory");
    size_t n = 0, k = 0, i = 0;
    int rc = 0;
    while (i < l.n && rc == 0) {
        while (k < node->nchildren && strcmp(node->children[k]->name, l.items[i].name) < 0)
            merged[n++] = node->children[k++];
        struct upper_node *old =
            k < node->nchildren && strcmp(node->children[k]->name, l.items[i].name) == 0 ? node->children[k++] : NULL;
        size_t name = strlen(l.items[i].name);
        struct upper_node *fresh = old;
        if (len + name + 2 > PATH_MAX) {
            note(scan, path, "holds a path longer than 4096 bytes");
        } else {
            if (len)
                path[len] = '/';
            memcpy(path + len + (len > 0), l.items[i].name, name + 1);
            rc = merge_entry(scan, old, &l.items[i], fd, index, xwhiteouts, path, len + (len > 0) + name, depth,
                             &fresh, e);
            path[len] = '\0';
        }
        if (fresh)
            merged[n++] = fresh;
        i++;
    }
    while (k < node->nchildren)
        merged[n++] = node->children[k++];
    free(node->children);
    node->children = merged;
    node->nchildren = n;
    return rc;
}

int upper_read(struct upper_scan *scan, struct err *e)
{
    AUTO(ptr) char *path = calloc(1, PATH_MAX + 1);
    if (!path)
        return err_set(e, ERR_NOMEM, "cannot read a layer: out of memory");
    scan->root = (struct upper_node){ .name = "", .type = UPPER_DIR };
    for (size_t i = 0; i < scan->n; i++) {
        path[0] = '\0';
        if (merge_dir(scan, &scan->root, scan->fds[i], (int)i, path, 0, 0, e) < 0)
            return -(int)e->kind;
    }
    return 0;
}

void upper_finish(struct upper_scan *scan)
{
    drop_children(&scan->root);
}

bool upper_is_empty(int fd)
{
    AUTO(dir) DIR *d = NULL;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0 || !(d = fdopendir(copy))) {
        fd_close(&copy);
        return false;
    }
    struct dirent *de;
    while ((de = readdir(d))) /* NOLINT(concurrency-mt-unsafe): own stream */
        if (!is_dots(de->d_name))
            return false;
    return true;
}

static void usage(int fd, int depth, int64_t *bytes, int64_t *inodes)
{
    AUTO(dir) DIR *d = fdopendir(fd); /* takes fd */
    if (!d) {
        (void)close(fd);
        return;
    }
    struct dirent *de;
    while ((de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        struct stat st;
        if (is_dots(de->d_name) || fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        *bytes += (int64_t)st.st_blocks * 512;
        *inodes += 1;
        int sub = S_ISDIR(st.st_mode) && depth < UPPER_DEPTH_MAX ? open_dir(dirfd(d), de->d_name) : -1;
        if (sub >= 0)
            usage(sub, depth + 1, bytes, inodes);
    }
}

void upper_usage(int fd, int64_t *bytes, int64_t *inodes)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy >= 0)
        usage(copy, 0, bytes, inodes);
}
