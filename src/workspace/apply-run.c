/*
 * Carrying one path from side `from` to side `to`, by exchange with a temporary name T in the same directory:
 *
 *   path    T            means                                   next
 *   from    -            nothing done yet                        write T (staged)
 *   from    partial, to  killed while or after staging           write T again
 *   to      from         exchanged, not yet cleaned up           remove T
 *   to      other        exchanged with the user's edit          exchange back: conflict
 *   to      -            done                                    nothing
 *   other   any          the user wrote meanwhile                conflict
 *
 * A deletion renames the path to T, looks at T, and removes it. Where the file system has no exchange, the path is
 * looked at once more and replaced by rename.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/mem.h"
#include "base/path.h"
#include "workspace/apply-internal.h"
#include "workspace/content.h"
#include "workspace/side.h"

struct place {
    int dir;          /* the path's directory; -1: it does not exist */
    const char *name; /* in it */
    char temp[64];
};

static void place_auto(struct place *pl)
{
    fd_close(&pl->dir);
}

static int conflict(struct err *e, const char *path, const char *what)
{
    return err_set(e, ERR_CONFLICT, "'%.300s' %s", path, what);
}

/* Open the directory of a path, beneath the workspace, through no link; missing ones are made when `make`. */
static int open_place(const struct plan *p, const char *path, bool make, struct place *out, struct err *e)
{
    AUTO(fd) int dir = fcntl(p->ws_fd, F_DUPFD_CLOEXEC, 0);
    struct span rest = span_of(path), part;
    if (dir < 0)
        return err_sys(e, "cannot open the workspace");
    while (span_split(&rest, '/', &part) && rest.p) {
        AUTO(ptr) char *name = span_dup(part);
        if (!name)
            return err_set(e, ERR_NOMEM, "cannot open '%s': out of memory", path);
        int next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && errno == ENOENT && make) {
            struct stat up;
            if (mkdirat(dir, name, 0777) < 0 && errno != EEXIST)
                return err_sys(e, "cannot make a directory for '%s'", path);
            next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (next >= 0 && geteuid() == 0 && (fstat(dir, &up) < 0 || fchown(next, up.st_uid, up.st_gid) < 0)) {
                fd_close(&next);
                return err_sys(e, "cannot give a directory of '%s' to its owner", path);
            }
        }
        if (next < 0 && errno == ENOENT)
            return 0;
        if (next < 0 && (errno == ENOTDIR || errno == ELOOP))
            return make ? conflict(e, path, "lies below something that is not a directory now") : 0;
        if (next < 0)
            return err_sys(e, "cannot open the directory of '%s'", path);
        fd_close(&dir);
        dir = next;
    }
    out->dir = take_fd(&dir);
    out->name = path_base(path);
    return 0;
}

static int look(int dir, const char *name, struct change_side *out, enum side_what *what, struct err *e)
{
    return side_read(dir, name, SIDE_HASH, NULL, INT64_MAX / 2, out, NULL, what, e) < 0 ? err_wrap(e, "'%s'", name) : 0;
}

/*
 * Access lists, labels and the user's own attributes stay with the file that is replaced, as far as we may set them. Not what vouches
 * for a content, which is another now: capabilities, measurements.
 */
static void keep_attributes(const struct place *pl, int to)
{
    static const char *const stays_behind[] = { "security.capability", "security.ima", "security.evm" };
    char names[4096], value[XATTR_SIZE_MAX];
    AUTO(fd) int from = openat(pl->dir, pl->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t n = from < 0 ? -1 : flistxattr(from, names, sizeof names);
    for (const char *name = names; n > 0 && name < names + n; name += strlen(name) + 1) {
        bool carried = true;
        for (size_t i = 0; i < COUNT_OF(stays_behind); i++)
            carried &= strcmp(name, stays_behind[i]) != 0;
        ssize_t size = carried ? fgetxattr(from, name, value, sizeof value) : -1;
        if (size >= 0)
            (void)fsetxattr(to, name, value, (size_t)size, 0);
    }
}

/* Write the temporary file of an op with the content of `to`. */
static int stage(const struct plan *p, const struct op *op, const struct change_side *to, const struct place *pl,
                 struct err *e)
{
    struct span data;
    struct stat up;
    if (content_get(p->content, to, &data, e) < 0)
        return err_wrap(e, "'%s'", op->path);
    if (strcmp(hash_bytes(data.p, data.n).s, to->hash.s) != 0)
        return err_set(e, ERR_IO, "'%s': the kept content does not match its hash", op->path);
    if (unlinkat(pl->dir, pl->temp, 0) < 0 && errno != ENOENT)
        return err_sys(e, "cannot write '%s'", op->path);
    bool own = geteuid() == 0;
    if (!own && op->uid >= 0 && op->uid != geteuid())
        return err_set(e, ERR_DENIED, "'%s' belongs to another user", op->path);
    if (own && fstat(pl->dir, &up) < 0)
        return err_sys(e, "cannot write '%s'", op->path);
    uid_t uid = own ? (op->uid < 0 ? up.st_uid : (uid_t)op->uid) : (uid_t)-1;
    gid_t gid = own ? (op->gid < 0 ? up.st_gid : (gid_t)op->gid) : (gid_t)-1;
    if (to->symlink) {
        AUTO(ptr) char *target = span_dup(data);
        if (!target || symlinkat(target, pl->dir, pl->temp) < 0)
            return err_sys(e, "cannot write the link '%s'", op->path);
        return own && fchownat(pl->dir, pl->temp, uid, gid, AT_SYMLINK_NOFOLLOW) < 0
                   ? err_sys(e, "cannot keep the owner of '%s'", op->path)
                   : 0;
    }
    AUTO(fd) int fd = openat(pl->dir, pl->temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write_all(fd, data.p, data.n) < 0)
        return err_sys(e, "cannot write '%s'", op->path);
    if (own ? fchown(fd, uid, gid) < 0 : op->gid >= 0 && op->gid != getegid() && fchown(fd, (uid_t)-1, (gid_t)op->gid) < 0)
        return err_sys(e, "cannot keep the owner of '%s'", op->path);
    if (op->uid >= 0) /* something is there */
        keep_attributes(pl, fd);
    if (fchmod(fd, to->mode & 0777) < 0)
        return err_sys(e, "cannot set the mode of '%s'", op->path);
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* so that the fsyncs that follow find little to do */
    return 0;
}

static int sync_temp(const struct place *pl, const char *path, struct err *e)
{
    AUTO(fd) int fd = openat(pl->dir, pl->temp, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ELOOP ? 0 : err_sys(e, "cannot write '%s'", path); /* a link is part of its directory */
    return fsync(fd) < 0 ? err_sys(e, "cannot write '%s' to disk", path) : 0;
}

static int place_of(const struct plan *p, size_t i, bool make, struct place *pl, struct err *e)
{
    *pl = (struct place){ .dir = -1 };
    (void)snprintf(pl->temp, sizeof pl->temp, ".stead-%s-%zu", p->id, i);
    return open_place(p, p->ops[i].path, make, pl, e);
}

/* The temporary is ours when it is one of the op's contents, or the beginning of one; else it is a user's edit. */
static bool is_ours(const struct plan *p, const struct op *op, const struct change_side *temp)
{
    const struct change_side *sides[] = { &op->old, &op->now };
    for (size_t i = 0; i < COUNT_OF(sides); i++) {
        struct err ignored = ERR_INIT;
        struct span data;
        if (side_same(temp, sides[i]))
            return true;
        if (sides[i]->exists && !temp->symlink && !sides[i]->symlink && temp->size < sides[i]->size &&
            content_get(p->content, sides[i], &data, &ignored) == 0 &&
            strcmp(hash_bytes(data.p, (size_t)temp->size).s, temp->hash.s) == 0)
            return true;
    }
    return false;
}

/* Put the temporary in the place of what is there, or back again. 1: without exchange, the old one is gone. */
static int exchange(const struct place *pl, const struct change_side *from, const char *path, struct err *e)
{
    if (renameat2(pl->dir, pl->temp, pl->dir, pl->name, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno == ENOENT)
        return conflict(e, path, "was removed while the change was applied");
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return err_sys(e, "cannot replace '%s'", path);
    struct change_side cur;
    enum side_what what;
    if (look(pl->dir, pl->name, &cur, &what, e) < 0)
        return -(int)e->kind;
    if (!side_same(&cur, from))
        return conflict(e, path, "was edited while the change was applied");
    return renameat(pl->dir, pl->temp, pl->dir, pl->name) < 0 ? err_sys(e, "cannot replace '%s'", path) : 1;
}

/* What was exchanged out must be what was expected; else the user's edit goes back to its place. */
static int settle(const struct place *pl, const struct change_side *from, const char *path, bool deletion, struct err *e)
{
    struct change_side out;
    enum side_what what;
    if (look(pl->dir, pl->temp, &out, &what, e) < 0)
        return -(int)e->kind;
    if (side_same(&out, from) && what != SIDE_DIR && what != SIDE_OTHER)
        return unlinkat(pl->dir, pl->temp, 0) < 0 && errno != ENOENT ? err_sys(e, "cannot clean up after '%s'", path) : 0;
    if (what == SIDE_NOTHING)
        return 0;
    if (renameat2(pl->dir, pl->temp, pl->dir, pl->name, deletion ? RENAME_NOREPLACE : RENAME_EXCHANGE) < 0)
        return err_set(e, ERR_CONFLICT, "'%.200s' was edited while the change was applied; that version is kept as '%s' beside it",
                       path, pl->temp);
    (void)(deletion ? 0 : unlinkat(pl->dir, pl->temp, 0));
    return conflict(e, path, "was edited while the change was applied");
}

/* Directories above a deleted file that are empty now go, as in git. */
static void prune(const struct plan *p, const char *path)
{
    AUTO(ptr) char *up = strdup(path);
    for (char *slash = up ? strrchr(up, '/') : NULL; slash; slash = strrchr(up, '/')) {
        *slash = '\0';
        const char *name = path_base(up);
        AUTO(ptr) char *dir = span_dup(path_dir(up));
        AUTO(fd) int fd = dir ? path_open_beneath(p->ws_fd, dir, O_RDONLY | O_DIRECTORY, 0, PATH_NO_SYMLINKS) : -1;
        if (fd >= 0 ? unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT : errno != ENOENT)
            return;
    }
}

#define HOLLOW_DEPTH_MAX 200

/* Whether directory `fd` (closed here) holds nothing but directories; with `remove`, those go. */
static bool hollow(int fd, int depth, bool remove)
{
    DIR *d = fd < 0 || depth > HOLLOW_DEPTH_MAX ? NULL : fdopendir(fd);
    struct dirent *de;
    bool empty = d;
    if (!d)
        fd_close(&fd);
    while (empty && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
            continue;
        int sub = openat(dirfd(d), de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        empty = sub >= 0 && hollow(sub, depth + 1, remove) && (!remove || unlinkat(dirfd(d), de->d_name, AT_REMOVEDIR) == 0);
    }
    if (d)
        (void)closedir(d);
    return empty;
}

bool dir_is_hollow(int ws_fd, const char *path)
{
    return hollow(path_open_beneath(ws_fd, path, O_RDONLY | O_DIRECTORY, 0, PATH_NO_SYMLINKS), 0, false);
}

/* A directory where a file is to be: only one without files gives way. Looked at as a whole before anything of it goes. */
static int make_way(const struct place *pl, const char *path, struct err *e)
{
    static const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (unlinkat(pl->dir, pl->name, AT_REMOVEDIR) == 0 ||
        (hollow(openat(pl->dir, pl->name, flags), 0, false) && hollow(openat(pl->dir, pl->name, flags), 0, true) &&
         unlinkat(pl->dir, pl->name, AT_REMOVEDIR) == 0))
        return 0;
    return conflict(e, path, "is a directory with other files in it");
}

static int put_new(const struct place *pl, const char *path, struct err *e)
{
    if (renameat2(pl->dir, pl->temp, pl->dir, pl->name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        if (linkat(pl->dir, pl->temp, pl->dir, pl->name, 0) == 0)
            return unlinkat(pl->dir, pl->temp, 0) < 0 ? err_sys(e, "cannot clean up after '%s'", path) : 0;
    }
    return errno == EEXIST ? conflict(e, path, "appeared while the change was applied") : err_sys(e, "cannot write '%s'", path);
}

static int remove_old(const struct place *pl, const struct change_side *from, const char *path, struct err *e)
{
    if (renameat2(pl->dir, pl->name, pl->dir, pl->temp, RENAME_NOREPLACE) < 0) {
        if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            return err_sys(e, "cannot delete '%s'", path);
        if (renameat(pl->dir, pl->name, pl->dir, pl->temp) < 0)
            return err_sys(e, "cannot delete '%s'", path);
    }
    return settle(pl, from, path, true, e);
}

/* A mode alone is set in place: nothing is lost by a kill. */
static int set_mode(const struct place *pl, const struct op *op, const struct change_side *to, struct err *e)
{
    AUTO(fd) int fd = openat(pl->dir, pl->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fchmod(fd, to->mode & 0777) < 0 || fsync(fd) < 0)
        return err_sys(e, "cannot set the mode of '%s'", op->path);
    return 0;
}

static int run_op(struct plan *p, size_t i, bool backward, struct err *e)
{
    struct op *op = &p->ops[i];
    const struct change_side *from = backward ? &op->now : &op->old, *to = backward ? &op->old : &op->now;
    AUTO(place) struct place pl = { .dir = -1 };
    struct change_side cur, temp;
    enum side_what what, temp_what;
    if (place_of(p, i, to->exists, &pl, e) < 0)
        return -(int)e->kind;
    if (pl.dir < 0) { /* a deletion whose directory is gone already; those above it may not be */
        prune(p, op->path);
        return 0;
    }
    if (look(pl.dir, pl.name, &cur, &what, e) < 0 || look(pl.dir, pl.temp, &temp, &temp_what, e) < 0)
        return -(int)e->kind;
    if (what == SIDE_DIR && to->exists && !from->exists) {
        if (make_way(&pl, op->path, e) < 0)
            return -(int)e->kind;
        what = SIDE_NOTHING;
    }
    /* a directory in the place of a deleted file is as good as nothing: it holds what comes in its place */
    bool there = what == SIDE_NOTHING || what == SIDE_DIR ? !to->exists : to->exists && side_same(&cur, to);
    if (temp_what != SIDE_NOTHING && !is_ours(p, op, &temp)) {
        /* an edit of the user's that was exchanged out just before a kill */
        if (there)
            return settle(&pl, from, op->path, !to->exists, e);
        return err_set(e, ERR_CONFLICT, "'%.200s' was edited while the change was applied; one version is kept as '%s' beside it",
                       op->path, pl.temp);
    }
    if (there || what == SIDE_DIR || what == SIDE_OTHER || !side_same(&cur, from)) {
        op->staged = false;
        if (temp_what != SIDE_NOTHING && unlinkat(pl.dir, pl.temp, 0) < 0)
            return err_sys(e, "cannot clean up after '%s'", op->path);
        if (!there)
            return conflict(e, op->path, what == SIDE_NOTHING ? "was removed while the change was applied"
                                                              : "was edited while the change was applied");
        if (to->exists && !to->symlink && cur.mode != to->mode && set_mode(&pl, op, to, e) < 0)
            return -(int)e->kind;
        if (!to->exists)
            prune(p, op->path);
        return 0;
    }
    if (!op->staged && temp_what != SIDE_NOTHING && unlinkat(pl.dir, pl.temp, 0) < 0)
        return err_sys(e, "cannot clean up after '%s'", op->path);
    if (to->exists && !op->staged && (stage(p, op, to, &pl, e) < 0 || sync_temp(&pl, op->path, e) < 0)) {
        (void)unlinkat(pl.dir, pl.temp, 0);
        return -(int)e->kind;
    }
    op->staged = false;
    int rc;
    if (!to->exists) {
        rc = remove_old(&pl, from, op->path, e);
        if (rc == 0)
            prune(p, op->path);
    } else if (!from->exists) {
        rc = put_new(&pl, op->path, e);
    } else {
        rc = exchange(&pl, from, op->path, e);
        if (rc == 0)
            rc = settle(&pl, from, op->path, false, e);
    }
    if (rc < 0 && to->exists && e->kind == ERR_CONFLICT && !from->exists)
        (void)unlinkat(pl.dir, pl.temp, 0);
    return rc < 0 ? rc : 0;
}

/* Write all temporaries, then sync them: one journal commit of the file system serves many files. */
static int stage_all(struct plan *p, struct err *e)
{
    for (int sync = 0; sync < 2; sync++)
        for (size_t i = 0; i < p->n; i++) {
            struct op *op = &p->ops[i];
            AUTO(place) struct place pl = { .dir = -1 };
            if (!op->now.exists || side_same(&op->old, &op->now) || (sync && !op->staged))
                continue;
            if (!sync) {
                /* below a file that a deletion of this plan removes first: staged when its turn comes */
                struct err later = ERR_INIT;
                if (place_of(p, i, true, &pl, &later) < 0 || pl.dir < 0)
                    continue;
                if (stage(p, op, &op->now, &pl, e) < 0)
                    return -(int)e->kind;
                op->staged = true;
            } else if (place_of(p, i, false, &pl, e) < 0 || pl.dir < 0 || sync_temp(&pl, op->path, e) < 0) {
                return pl.dir < 0 ? conflict(e, op->path, "lost its directory") : -(int)e->kind;
            }
        }
    return 0;
}

static void unstage(struct plan *p)
{
    for (size_t i = 0; i < p->n; i++) {
        AUTO(place) struct place pl = { .dir = -1 };
        struct err ignored = ERR_INIT;
        if (p->ops[i].staged && place_of(p, i, false, &pl, &ignored) == 0 && pl.dir >= 0)
            (void)unlinkat(pl.dir, pl.temp, 0);
        p->ops[i].staged = false;
    }
}

/* Directories that this plan made and that are empty again. */
static void remove_made(const struct plan *p)
{
    for (size_t i = p->made.len; i-- > 0;) {
        AUTO(ptr) char *dir = span_dup(path_dir(p->made.items[i]));
        AUTO(fd) int fd = dir ? path_open_beneath(p->ws_fd, dir, O_RDONLY | O_DIRECTORY, 0, PATH_NO_SYMLINKS) : -1;
        if (fd >= 0)
            (void)unlinkat(fd, path_base(p->made.items[i]), AT_REMOVEDIR);
    }
}

static int sync_dirs(const struct plan *p, struct err *e)
{
    struct span last = { NULL, 0 };
    for (size_t i = 0; i < p->n; i++) {
        struct span dir = path_dir(p->ops[i].path);
        if (last.p && span_eq(last, dir))
            continue;
        last = dir;
        AUTO(ptr) char *name = span_dup(dir);
        AUTO(fd) int fd = name ? path_open_beneath(p->ws_fd, name, O_RDONLY | O_DIRECTORY, 0, PATH_NO_SYMLINKS) : -1;
        if (fd >= 0 && fsync(fd) < 0 && errno != EINVAL)
            return err_sys(e, "cannot write the directory of '%s' to disk", p->ops[i].path);
    }
    return 0;
}

int plan_run(struct plan *p, bool backward, size_t *at, struct err *e)
{
    *at = backward ? p->n : 0;
    if (!backward && stage_all(p, e) < 0) {
        unstage(p);
        return -(int)e->kind;
    }
    for (size_t k = 0; k < p->n; k++) {
        *at = backward ? p->n - 1 - k : k;
        if (run_op(p, *at, backward, e) < 0) {
            unstage(p);
            return -(int)e->kind;
        }
    }
    if (backward)
        remove_made(p);
    return sync_dirs(p, e);
}

int plan_complete(struct plan *p, bool backward, struct err *e)
{
    size_t at;
    if (plan_run(p, backward, &at, e) == 0)
        return 1;
    struct err why = *e;
    /* every op of the other direction: those that were never done are found done already */
    int unresolved = 0;
    struct err first = ERR_INIT;
    for (size_t k = 0; k < p->n; k++) {
        struct err one = ERR_INIT;
        if (run_op(p, backward ? k : p->n - 1 - k, !backward, &one) < 0 && !unresolved++)
            first = one;
    }
    if (!backward)
        remove_made(p);
    /* the file that stopped it has the user's own content: it is as it should be */
    if (unresolved > 1 || (unresolved == 1 && why.kind != ERR_CONFLICT)) {
        *e = first;
        return err_wrap(e, "%s; taking back what was done also failed", why.text);
    }
    *e = why;
    return sync_dirs(p, &first) < 0 ? -(int)first.kind : 0;
}
