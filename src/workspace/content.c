#include "workspace/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"

#define BINARY_LOOK_BYTES 8000 /* as git does */
#define CHUNK_BYTES 65536
#define MEMORY_BYTES ((int64_t)32 << 20) /* most changes are small: no file is made for them before they are saved */

struct change_content {
    int fd;
    char *dir;      /* where the file goes when it outgrows memory; NULL once it is one */
    int64_t size;
    bool named;     /* content_save gave it a name, or content_open found one */
    void *map;      /* of map_size bytes; made by the first content_get */
    size_t map_size;
};

bool content_is_binary(struct span data)
{
    return data.n > CHANGE_DIFF_BYTES ||
           memchr(data.p, '\0', data.n < BINARY_LOOK_BYTES ? data.n : BINARY_LOOK_BYTES) != NULL;
}

int content_create(const char *dir, struct change_content **out, struct err *e)
{
    AUTO(content) struct change_content *c = calloc(1, sizeof *c);
    if (!c || !(c->dir = strdup(dir))) {
        if (c)
            c->fd = -1;
        return err_set(e, ERR_NOMEM, "cannot keep a change in '%s': out of memory", dir);
    }
    c->fd = memfd_create("stead-change", MFD_CLOEXEC);
    if (c->fd < 0)
        return err_sys(e, "cannot keep a change in memory");
    *out = TAKE(c);
    return 0;
}

int content_open(int dirfd, const char *name, struct change_content **out, struct err *e)
{
    AUTO(content) struct change_content *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "cannot open '%s': out of memory", name);
    struct stat st;
    c->fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (c->fd < 0 || fstat(c->fd, &st) < 0)
        return err_sys(e, "cannot open '%s'", name);
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "cannot open '%s': not a regular file", name);
    c->size = st.st_size;
    c->named = true;
    *out = TAKE(c);
    return 0;
}

void content_destroy(struct change_content *c)
{
    if (!c)
        return;
    if (c->map)
        (void)munmap(c->map, c->map_size);
    fd_close(&c->fd);
    free(c->dir);
    free(c);
}

int64_t content_bytes(const struct change_content *c)
{
    return c->size;
}

static int copy_to(const struct change_content *c, int to, struct err *e)
{
    char chunk[CHUNK_BYTES];
    for (int64_t at = 0; at < c->size;) {
        ssize_t n = pread(c->fd, chunk, sizeof chunk, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_sys(e, "cannot read the content of a change");
        if (write_all(to, chunk, (size_t)n) < 0)
            return err_sys(e, "cannot write the content of a change");
        at += n;
    }
    return 0;
}

/* A file without a name in the directory; content_save gives it one. */
static int make_file(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        /* file systems without O_TMPFILE: a name that is taken away at once; content_save then copies */
        AUTO(ptr) char *name = path_join(dir, ".content.XXXXXX");
        fd = name ? mkostemp(name, O_CLOEXEC) : -1;
        if (fd >= 0)
            (void)unlink(name);
    }
    return fd;
}

/* Out of memory and onto the disk. */
static int spill(struct change_content *c)
{
    struct err ignored = ERR_INIT;
    int fd = make_file(c->dir);
    if (fd < 0 || copy_to(c, fd, &ignored) < 0) {
        errno = ignored.sys ? ignored.sys : errno;
        fd_close(&fd);
        return -1;
    }
    (void)close(c->fd);
    c->fd = fd;
    free(c->dir);
    c->dir = NULL;
    return 0;
}

static int append(struct change_content *c, const void *data, size_t n)
{
    const char *p = data;
    if (c->dir && c->size + (int64_t)n > MEMORY_BYTES && spill(c) < 0)
        return -1;
    while (n) {
        ssize_t w = pwrite(c->fd, p, n, c->size);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
        c->size += w;
    }
    return 0;
}

void content_rewind(struct change_content *c, int64_t size)
{
    c->size = size;
    (void)!ftruncate(c->fd, size);
}

/* Read to the end of fd, hash it, keep it when c is not NULL. */
static int take(struct change_content *c, int fd, int64_t limit, struct change_side *side, struct err *e)
{
    struct hash_state st;
    char chunk[CHUNK_BYTES];
    int64_t start = c ? c->size : 0, total = 0;
    bool binary = false;
    hash_begin(&st);
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        int failed = 0;
        if (n < 0)
            failed = err_sys(e, "cannot read");
        else if (total + n > limit || (c && c->size + n > CHANGE_TOTAL_BYTES))
            failed = err_set(e, ERR_LIMIT, "larger than %lld bytes", (long long)limit);
        else if (c && append(c, chunk, (size_t)n) < 0)
            failed = err_sys(e, "cannot keep a copy");
        if (failed) {
            if (c)
                content_rewind(c, start);
            return failed;
        }
        if (n == 0)
            break;
        if (total == 0)
            binary = content_is_binary((struct span){ chunk, (size_t)n });
        hash_add(&st, chunk, (size_t)n);
        total += n;
    }
    side->size = total;
    side->hash = hash_end(&st);
    side->binary = binary || total > CHANGE_DIFF_BYTES;
    side->stored = c != NULL;
    side->offset = (uint64_t)start;
    return 0;
}

int content_add_fd(struct change_content *c, int fd, int64_t limit, struct change_side *side, struct err *e)
{
    return take(c, fd, limit, side, e);
}

int content_hash_fd(int fd, struct change_side *side, struct err *e)
{
    return take(NULL, fd, INT64_MAX - CHUNK_BYTES, side, e);
}

int content_add(struct change_content *c, struct span data, struct change_side *side, struct err *e)
{
    int64_t start = c->size;
    if (append(c, data.p, data.n) < 0) {
        int failed = err_sys(e, "cannot keep a copy");
        content_rewind(c, start);
        return failed;
    }
    side->size = (int64_t)data.n;
    side->hash = hash_bytes(data.p, data.n);
    side->binary = content_is_binary(data);
    side->stored = true;
    side->offset = (uint64_t)start;
    return 0;
}

static int map(struct change_content *c, struct err *e)
{
    struct stat st;
    if (c->map && c->map_size == (size_t)c->size)
        return 0;
    if (c->size == 0)
        return 0;
    /* a file cut short behind our back would be SIGBUS later: its length is checked here, once */
    if (fstat(c->fd, &st) < 0 || st.st_size < c->size)
        return err_set(e, ERR_IO, "the content of a change is cut short");
    void *p = mmap(NULL, (size_t)c->size, PROT_READ, MAP_SHARED, c->fd, 0);
    if (p == MAP_FAILED)
        return err_sys(e, "cannot read the content of a change");
    if (c->map)
        (void)munmap(c->map, c->map_size);
    c->map = p;
    c->map_size = (size_t)c->size;
    return 0;
}

int content_get(const struct change_content *cc, const struct change_side *side, struct span *out, struct err *e)
{
    struct change_content *c = (struct change_content *)(uintptr_t)cc; /* the map is a cache */
    uint64_t end;
    if (!side->exists || !side->stored)
        return err_set(e, ERR_NOT_FOUND, "the content is not part of the change");
    if (side->size < 0 || __builtin_add_overflow(side->offset, (uint64_t)side->size, &end) || end > (uint64_t)c->size)
        return err_set(e, ERR_IO, "the content of a change is cut short");
    if (map(c, e) < 0)
        return -(int)e->kind;
    *out = (struct span){ c->size ? (const char *)c->map + side->offset : "", (size_t)side->size };
    return 0;
}

int content_save(struct change_content *c, int dirfd, const char *name, struct err *e)
{
    if (c->named)
        return 0;
    char self[40];
    (void)snprintf(self, sizeof self, "/proc/self/fd/%d", c->fd);
    if (linkat(AT_FDCWD, self, dirfd, name, AT_SYMLINK_FOLLOW) < 0) {
        AUTO(fd) int to = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (to < 0)
            return err_sys(e, "cannot write the content of a change");
        if (copy_to(c, to, e) < 0)
            return -(int)e->kind;
        if (fsync(to) < 0)
            return err_sys(e, "cannot write the content of a change");
    } else if (fsync(c->fd) < 0) {
        return err_sys(e, "cannot write the content of a change");
    }
    c->named = true;
    return 0;
}
