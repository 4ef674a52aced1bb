/*
 * world - a workspace, a state directory and a layer in a scratch directory; files by short calls.
 * The layer's upper directory is written by hand, as overlayfs would: the integration tests mount real ones.
 */
#ifndef STEAD_TESTS_WORKSPACE_WORLD_H
#define STEAD_TESTS_WORKSPACE_WORLD_H

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "tests/support/test.h"

#include "base/mem.h"
#include "workspace/change.h"
#include "workspace/diff.h"
#include "workspace/layer.h"
#include "workspace/layer-internal.h"

struct world {
    char *dir, *ws, *state, *upper;
    struct layer *layer;
    struct err e;
};

static inline char *in(const char *dir, const char *path)
{
    char *p = path_join(dir, path);
    assert_non_null(p);
    return p;
}

static inline void put_bytes(const char *dir, const char *path, const void *data, size_t n, mode_t mode)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *p = in(dir, path);
    AUTO(ptr) char *up = span_dup(path_dir(p));
    assert_ok(path_mkdirs(up, 0755, &e), &e);
    (void)unlink(p);
    AUTO(fd) int fd = open(p, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || write_all(fd, data, n) < 0 || fchmod(fd, mode) < 0)
        fail_msg("cannot write %s: %s", p, strerror(errno));
}

static inline void put(const char *dir, const char *path, const char *text)
{
    put_bytes(dir, path, text, strlen(text), 0644);
}

static inline void put_link(const char *dir, const char *path, const char *target)
{
    AUTO(ptr) char *p = in(dir, path);
    (void)unlink(p);
    if (symlink(target, p) < 0)
        fail_msg("cannot link %s: %s", p, strerror(errno));
}

static inline void put_dir(const char *dir, const char *path)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *p = in(dir, path);
    assert_ok(path_mkdirs(p, 0755, &e), &e);
}

static inline void whiteout(const char *dir, const char *path)
{
    AUTO(ptr) char *p = in(dir, path);
    AUTO(ptr) char *up = span_dup(path_dir(p));
    struct err e = ERR_INIT;
    assert_ok(path_mkdirs(up, 0755, &e), &e);
    if (mknod(p, S_IFCHR, makedev(0, 0)) < 0)
        fail_msg("cannot make a whiteout at %s: %s", p, strerror(errno));
}

static inline void opaque(const char *dir, const char *path)
{
    put_dir(dir, path);
    AUTO(ptr) char *p = in(dir, path);
    if (setxattr(p, "user.overlay.opaque", "y", 1, 0) < 0)
        fail_msg("cannot mark %s: %s", p, strerror(errno));
}

static inline char *get(const char *dir, const char *path)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *p = in(dir, path);
    AUTO(buf) struct buf b = BUF_INIT(64 << 20);
    assert_ok(file_read(p, 32 << 20, &b, &e), &e);
    return buf_take(&b);
}

static inline bool exists(const char *dir, const char *path)
{
    struct stat st;
    AUTO(ptr) char *p = in(dir, path);
    return lstat(p, &st) == 0;
}

#define assert_file(dir, path, text)            \
    do {                                        \
        char *got_ = get(dir, path);            \
        assert_string_equal(got_ ? got_ : "", text); \
        free(got_);                             \
    } while (0)

/* The workspace is made by the test after this, then world_layer. */
static inline void world_init(struct world *w)
{
    *w = (struct world){ .dir = scratch_make() };
    w->ws = in(w->dir, "ws");
    w->state = in(w->dir, "state");
    assert_int_equal(mkdir(w->ws, 0755), 0);
    assert_int_equal(mkdir(w->state, 0700), 0);
}

static inline void world_layer(struct world *w)
{
    struct layer_options opt = { .kind = LAYER_DISK, .session = "s1" };
    /* ctimes are by the tick: what was written before must not look as if it came after */
    usleep(12000);
    assert_ok(layer_create(w->ws, w->state, &opt, &w->layer, &w->e), &w->e);
    w->upper = in(layer_dir(w->layer), "u0");
}

static inline void world_finish(struct world *w)
{
    layer_destroy(w->layer);
    free(w->ws);
    free(w->state);
    free(w->upper);
    scratch_remove(w->dir);
}

static inline struct change *world_change(struct world *w)
{
    struct change *c = NULL;
    assert_ok(change_read(w->layer, NULL, &c, &w->e), &w->e);
    return c;
}

/* "kind path" of every file, one a line. */
static inline char *listing(const struct change *c)
{
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    for (size_t i = 0; i < c->nfiles; i++) {
        const struct change_file *f = &c->files[i];
        buf_addf(&b, "%s %s", change_kind_name(f->kind), f->path);
        if (f->kind == CHANGE_RENAMED)
            buf_addf(&b, " <- %s %d%%", f->old_path, f->similarity);
        buf_addc(&b, '\n');
    }
    buf_addc(&b, '\0');
    return buf_take(&b);
}

#define assert_listing(c, text)           \
    do {                                  \
        char *got_ = listing(c);          \
        assert_string_equal(got_, text);  \
        free(got_);                       \
    } while (0)

#endif
