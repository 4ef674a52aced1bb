#include "workspace/change.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "workspace/change-internal.h"
#include "workspace/content.h"
#include "workspace/gitlib-internal.h"
#include "workspace/guard.h"
#include "workspace/ignore.h"
#include "workspace/layer-internal.h"
#include "workspace/side.h"
#include "workspace/upper.h"

#define DELETED_KEEP_BYTES ((int64_t)1 << 20) /* a larger deleted file is known by its hash */

static const char *const kind_names[] = { "added", "modified", "deleted", "renamed", "mode" };
static const char *const note_names[] = { "refused", "git", "excluded" };
static const char *const status_names[] = { "draft", "verified", "red", "pending", "applied", "reverted" };
_Static_assert(COUNT_OF(kind_names) == CHANGE_KINDS, "every kind has a name");
_Static_assert(COUNT_OF(note_names) == NOTE_KINDS, "every note has a name");
_Static_assert(COUNT_OF(status_names) == CHANGE_STATUSES, "every status has a name");

const char *change_kind_name(enum change_kind kind)
{
    return (unsigned)kind < CHANGE_KINDS ? kind_names[kind] : "?";
}

const char *change_note_name(enum change_note_kind kind)
{
    return (unsigned)kind < NOTE_KINDS ? note_names[kind] : "?";
}

const char *change_status_name(enum change_status s)
{
    return (unsigned)s < CHANGE_STATUSES ? status_names[s] : "?";
}

/* --- the object --- */

int change_create(const char *workspace, struct change **out, struct err *e)
{
    AUTO(change) struct change *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "cannot read a change: out of memory");
    arena_init(&c->arena, CHANGE_ARENA_BYTES);
    c->workspace = arena_strdup(&c->arena, workspace);
    c->task = c->apply_id = "";
    c->results_json = "{}";
    c->created_unix_ms = clock_unix_ms();
    if (!c->workspace)
        return err_set(e, ERR_NOMEM, "cannot read a change: out of memory");
    id_make("c", c->id);
    *out = TAKE(c);
    return 0;
}

void change_destroy(struct change *c)
{
    if (!c)
        return;
    content_destroy(c->content);
    arena_finish(&c->arena);
    free(c);
}

int change_data(const struct change *c, const struct change_side *side, struct span *out, struct err *e)
{
    if (!c->content)
        return err_set(e, ERR_NOT_FOUND, "the content is not part of the change");
    return content_get(c->content, side, out, e);
}

const struct change_file *change_find(const struct change *c, const char *path)
{
    for (size_t i = 0; i < c->nfiles; i++)
        if (strcmp(c->files[i].path, path) == 0)
            return &c->files[i];
    for (size_t i = 0; i < c->nfiles; i++)
        if (strcmp(c->files[i].old_path, path) == 0)
            return &c->files[i];
    return NULL;
}

int change_set_task(struct change *c, const char *text, struct err *e)
{
    struct span line, rest = span_trim(span_of(text));
    if (!span_line(&rest, &line))
        line = SPAN("");
    char *copy = arena_span(&c->arena, span_sub(line, 0, utf8_cut(line, line.n < 200 ? line.n : 200)));
    if (!copy)
        return err_set(e, ERR_NOMEM, "cannot describe a change: out of memory");
    c->task = copy;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct change_file *x = a, *y = b;
    int c = strcmp(x->path, y->path);
    return c ? c : (int)x->kind - (int)y->kind;
}

static void hash_side(struct hash_state *st, const struct change_side *s)
{
    char line[128];
    int n = s->exists ? snprintf(line, sizeof line, "%s %o %s\n", s->symlink ? "link" : "file", s->mode, s->hash.s)
                      : snprintf(line, sizeof line, "none\n");
    hash_add(st, line, (size_t)n);
}

void change_seal(struct change *c)
{
    struct hash_state st;
    if (c->nfiles)
        qsort(c->files, c->nfiles, sizeof *c->files, by_path);
    hash_begin(&st);
    hash_add(&st, "stead change 1\n", 15);
    hash_add(&st, c->workspace, strlen(c->workspace) + 1);
    for (size_t i = 0; i < c->nfiles; i++) {
        const struct change_file *f = &c->files[i];
        const char *kind = change_kind_name(f->kind);
        hash_add(&st, kind, strlen(kind) + 1);
        hash_add(&st, f->path, strlen(f->path) + 1);
        hash_add(&st, f->old_path, strlen(f->old_path) + 1);
        hash_side(&st, &f->base);
        hash_side(&st, &f->now);
    }
    c->hash = hash_end(&st);
}

/* --- reading a layer --- */

struct reader {
    struct change *c;
    const struct change_options *opt;
    struct ignore *ignore;
    struct gitrepo *repo;
    bool repo_tried;
    int base;           /* the workspace, or the copy that stands for it */
    bool copied;        /* that: what the task saw is known exactly */
    const int *uppers;
    int64_t began_ns;
    bool scan_only;     /* names, not contents: change_paths */
    struct change_file *files;
    size_t nfiles, cap;
    struct change_note *notes;
    size_t nnotes, notes_cap;
    struct err *e;
};

static void reader_auto(struct reader *r)
{
    ignore_destroy(r->ignore);
    gitrepo_close(r->repo);
    fd_close(&r->base);
    free(r->files);
    free(r->notes);
}

static int nomem(struct reader *r)
{
    return err_set(r->e, ERR_NOMEM, "cannot read the change of '%s': out of memory", r->c->workspace);
}

static void add_note(struct reader *r, enum change_note_kind kind, const char *path, bool is_dir, const char *text)
{
    if (r->nnotes >= CHANGE_NOTES_MAX || !array_grow(&r->notes, &r->notes_cap, r->nnotes, 1, sizeof *r->notes))
        return;
    char *p = arena_printf(&r->c->arena, "%s%s", path, is_dir ? "/" : ""), *t = arena_strdup(&r->c->arena, text);
    if (p && t)
        r->notes[r->nnotes++] = (struct change_note){ kind, p, t };
}

static struct gitrepo *repo_of(struct reader *r)
{
    if (!r->repo_tried) {
        struct err e = ERR_INIT; /* no repository, or none that can be read: nothing is tracked */
        r->repo_tried = true;
        if (gitrepo_open(r->c->workspace, &r->repo, &e) <= 0)
            r->repo = NULL;
    }
    return r->repo;
}

static bool in_base(struct reader *r, const char *path)
{
    AUTO(fd) int fd = path_open_beneath(r->base, path, O_PATH | O_NOFOLLOW, 0, PATH_NO_SYMLINKS);
    return fd >= 0;
}

static bool left_out(struct reader *r, const char *path, bool is_dir)
{
    if (guard_is_git_name(path_base(path))) {
        add_note(r, NOTE_GIT, path, is_dir, "written inside the sandbox; never part of a change");
        return true;
    }
    if (r->opt->include_ignored)
        return false;
    if (!ignore_match(r->ignore, path, is_dir) && !(ignore_is_cache(path, is_dir) && !in_base(r, path)))
        return false;
    /* what git tracks is part of the project, whatever the rules say */
    if (!r->scan_only && in_base(r, path) && repo_of(r) && gitrepo_tracked(r->repo, path, is_dir))
        return false;
    r->c->nexcluded++;
    add_note(r, NOTE_EXCLUDED, path, is_dir, "ignored, so left out");
    return true;
}

static bool skip_entry(void *ctx, const char *path, bool is_dir)
{
    return left_out(ctx, path, is_dir);
}

static void refuse_entry(void *ctx, const char *path, const char *why)
{
    add_note(ctx, NOTE_REFUSED, path, false, why);
}

static struct change_file *new_file(struct reader *r, const char *path, enum change_kind kind)
{
    if (r->nfiles >= CHANGE_FILES_MAX) {
        err_set(r->e, ERR_LIMIT, "the change of '%s' has more than %d files", r->c->workspace, CHANGE_FILES_MAX);
        err_hint(r->e, "add generated directories to .gitignore");
        return NULL;
    }
    char *p = arena_strdup(&r->c->arena, path);
    if (!p || !array_grow(&r->files, &r->cap, r->nfiles, 1, sizeof *r->files)) {
        nomem(r);
        return NULL;
    }
    struct change_file *f = &r->files[r->nfiles++];
    *f = (struct change_file){ .path = p, .old_path = p, .kind = kind, .guard_why = "", .added = -1, .removed = -1 };
    return f;
}

static int64_t stat_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * Whether the workspace's file was touched after the layer began, and not before the layer copied it: then what the
 * task saw may be older than what is there. ctime cannot be set by hand; the time of a copy-up is its birth time.
 */
static bool base_moved(struct reader *r, const struct stat *base, int upper, const char *path)
{
    int64_t ctime_ns = stat_ns(base->st_ctim);
    if (r->copied || ctime_ns <= r->began_ns)
        return false;
    AUTO(fd) int fd = upper < 0 ? -1
                                : path_open_beneath(r->uppers[upper], path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY,
                                                    0, PATH_NO_SYMLINKS);
    struct statx sx;
    if (fd < 0 || (fgetxattr(fd, "user.overlay.origin", NULL, 0) < 0 && fgetxattr(fd, "trusted.overlay.origin", NULL, 0) < 0))
        return true;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx) < 0 || !(sx.stx_mask & STATX_BTIME))
        return true;
    return ctime_ns >= (int64_t)sx.stx_btime.tv_sec * 1000000000 + sx.stx_btime.tv_nsec;
}

/* The user moved on: what HEAD has is an older version that both sides come from, so the merge at apply decides. */
static int base_from_head(struct reader *r, struct change_file *f)
{
    AUTO(buf) struct buf blob = BUF_INIT(CHANGE_DIFF_BYTES), old = BUF_INIT(CHANGE_DIFF_BYTES);
    struct err ignored = ERR_INIT;
    unsigned git_mode = 0;
    f->base_moved = true;
    if (f->base.binary || f->base.symlink || !repo_of(r) || gitrepo_filter(r->repo, f->path) ||
        gitrepo_head_blob(r->repo, f->path, &blob, &git_mode, &ignored) != 1 ||
        gitrepo_filtered(r->repo, f->path, GITREPO_CHECKED_OUT, buf_span(&blob), &old, &ignored) < 0)
        return 0;
    struct hash_hex hash = hash_bytes(buf_str(&old), old.n);
    if (strcmp(hash.s, f->base.hash.s) == 0 || content_is_binary(buf_span(&old)))
        return 0;
    int64_t mtime = f->base.mtime_ns;
    unsigned mode = f->base.mode;
    f->base = (struct change_side){ .exists = true, .mode = mode, .mtime_ns = mtime };
    if (content_add(r->c->content, buf_span(&old), &f->base, r->e) < 0)
        return -(int)r->e->kind;
    f->base_moved = false;
    return 0;
}

/* Only the executable bit travels, as in git: an agent's umask is not the user's. */
static unsigned carried_mode(const struct change_side *now, const struct change_side *base)
{
    if (now->symlink)
        return 0777;
    bool exec = now->mode & 0100;
    if (base->exists && !base->symlink) {
        if (exec == !!(base->mode & 0100))
            return base->mode;
        return exec ? base->mode | ((base->mode & 0444) >> 2) : base->mode & ~0111u;
    }
    return exec ? 0755 : 0644;
}

static int side_error(struct reader *r, const char *path)
{
    char shown[200];
    (void)snprintf(shown, sizeof shown, "%.190s", path);
    return err_wrap(r->e, "'%s' in '%s'", shown, r->c->workspace);
}

/* The workspace's side, kept when it is not too large to be compared line by line. */
static int read_base(struct reader *r, const char *path, struct change_side *base, struct stat *st, enum side_what *what)
{
    int64_t mark = content_bytes(r->c->content);
    int rc = side_read(r->base, path, SIDE_KEEP, r->c->content, CHANGE_DIFF_BYTES, base, st, what, r->e);
    if (rc < 0 && r->e->kind == ERR_LIMIT && r->e->sys == 0) {
        content_rewind(r->c->content, mark);
        rc = side_read(r->base, path, SIDE_HASH, NULL, INT64_MAX / 2, base, st, what, r->e);
    }
    return rc < 0 ? side_error(r, path) : rc;
}

/* A file or link that the layer holds at `path`; `at` is where its bytes are. */
static int take_file(struct reader *r, int at, int upper, const char *path, enum side_what *base_what)
{
    struct change_side base, now;
    struct stat base_st = { 0 };
    enum side_what what;
    struct err e = ERR_INIT;
    int64_t mark = content_bytes(r->c->content);
    if (read_base(r, path, &base, &base_st, base_what) < 0)
        return -(int)r->e->kind;
    int rc = side_read(at, path, SIDE_KEEP | SIDE_FORCE, r->c->content, CHANGE_FILE_BYTES, &now, NULL, &what, &e);
    if (rc < 0 && (e.sys == ENOSPC || e.sys == EDQUOT)) {
        *r->e = e;
        return side_error(r, path);
    }
    if (rc <= 0) {
        content_rewind(r->c->content, mark);
        add_note(r, NOTE_REFUSED, path, false, rc < 0 ? e.text : "changed while the layer was read");
        return 0;
    }
    now.mode = carried_mode(&now, &base);
    now.mtime_ns = 0;
    bool same = base.exists && base.symlink == now.symlink && strcmp(base.hash.s, now.hash.s) == 0;
    if (same && base.mode == now.mode) {
        content_rewind(r->c->content, mark);
        return 0;
    }
    struct change_file *f = new_file(r, path, !base.exists ? CHANGE_ADDED : same ? CHANGE_MODE : CHANGE_MODIFIED);
    if (!f)
        return -(int)r->e->kind;
    f->now = now;
    f->base = base;
    return base.exists && base_moved(r, &base_st, upper, path) ? base_from_head(r, f) : 0;
}

static int take_deleted(struct reader *r, const char *path);

/* Everything below a directory of the workspace that the layer removed or replaced, except names in `kept`. */
static int take_deleted_dir(struct reader *r, const char *path, const struct upper_node *kept, int depth)
{
    int fd = path_open_beneath(r->base, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0, PATH_NO_SYMLINKS);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_close(&fd);
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : (err_sys(r->e, "cannot list it"), side_error(r, path));
    }
    int rc = 0;
    struct dirent *de;
    while (rc == 0 && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        const char *n = de->d_name;
        if (n[0] == '.' && (!n[1] || (n[1] == '.' && !n[2])))
            continue;
        size_t low = 0, high = kept ? kept->nchildren : 0;
        bool there = false;
        while (low < high && !there) {
            size_t mid = (low + high) / 2;
            int c = strcmp(kept->children[mid]->name, n);
            there = c == 0;
            if (c < 0)
                low = mid + 1;
            else
                high = mid;
        }
        if (there)
            continue;
        struct stat st;
        AUTO(ptr) char *sub = *path ? path_join(path, n) : strdup(n);
        if (!sub)
            rc = nomem(r);
        else if (fstatat(dirfd(d), n, &st, AT_SYMLINK_NOFOLLOW) == 0 && !left_out(r, sub, S_ISDIR(st.st_mode)))
            rc = S_ISDIR(st.st_mode) && depth < UPPER_DEPTH_MAX ? take_deleted_dir(r, sub, NULL, depth + 1)
                                                                : take_deleted(r, sub);
    }
    (void)closedir(d);
    return rc;
}

static int take_deleted(struct reader *r, const char *path)
{
    struct change_side base;
    struct stat st;
    enum side_what what;
    if (r->scan_only)
        return new_file(r, path, CHANGE_DELETED) ? 0 : -(int)r->e->kind;
    int64_t mark = content_bytes(r->c->content);
    int rc = read_base(r, path, &base, &st, &what);
    if (rc < 0)
        return rc;
    if (what == SIDE_DIR)
        return take_deleted_dir(r, path, NULL, 0);
    if (what == SIDE_OTHER)
        add_note(r, NOTE_REFUSED, path, false, "deleted, but not a regular file in the workspace: left as it is");
    if (rc == 0)
        return 0;
    if (base.stored && base.size > DELETED_KEEP_BYTES) {
        content_rewind(r->c->content, mark);
        base.stored = false;
    }
    struct change_file *f = new_file(r, path, CHANGE_DELETED);
    if (!f)
        return -(int)r->e->kind;
    f->base = base;
    f->base_moved = !r->copied && stat_ns(st.st_ctim) > r->began_ns;
    return 0;
}

/* `hidden`: a directory above is opaque, so that nothing of the workspace shows through here either. */
static int take_node(struct reader *r, const struct upper_node *node, const char *path, int depth, bool hidden)
{
    enum side_what what = SIDE_NOTHING;
    struct change_side base;
    int rc = 0;
    switch (node->type) {
    case UPPER_SKIPPED:
        return 0;
    case UPPER_WHITEOUT:
        if (r->scan_only)
            return in_base(r, path) && !new_file(r, path, CHANGE_DELETED) ? -(int)r->e->kind : 0;
        if (side_read(r->base, path, SIDE_HASH, NULL, 0, &base, NULL, &what, &(struct err)ERR_INIT) >= 0 &&
            what == SIDE_DIR && left_out(r, path, true))
            return 0;
        return take_deleted(r, path);
    case UPPER_FILE:
    case UPPER_LINK:
        if (r->scan_only)
            return new_file(r, path, CHANGE_MODIFIED) ? 0 : -(int)r->e->kind;
        rc = take_file(r, r->uppers[node->index], node->index, path, &what);
        return rc == 0 && what == SIDE_DIR ? take_deleted_dir(r, path, NULL, 0) : rc;
    case UPPER_DIR:
        break;
    }
    for (size_t i = 0; i < node->nchildren && rc == 0; i++) {
        AUTO(ptr) char *sub = *path ? path_join(path, node->children[i]->name) : strdup(node->children[i]->name);
        rc = sub ? take_node(r, node->children[i], sub, depth + 1, hidden || node->opaque) : nomem(r);
    }
    if (rc < 0 || r->scan_only || !*path)
        return rc;
    /* what the workspace has there: a file that is now a directory, or a directory that hides its old content */
    if (side_read(r->base, path, SIDE_HASH, NULL, INT64_MAX / 2, &base, NULL, &what, r->e) < 0)
        return side_error(r, path);
    if (what == SIDE_FILE || what == SIDE_LINK)
        return take_deleted(r, path);
    return what == SIDE_DIR && (hidden || node->opaque) ? take_deleted_dir(r, path, node, 0) : 0;
}

/* --- LAYER_COPY: two trees compared; what has the same size and time is taken for the same --- */

static int list_tree(struct reader *r, int fd, const char *path, int depth, struct arena *a, struct upper_node *node)
{
    AUTO(fd) int dir = path_open_beneath(fd, *path ? path : ".", O_RDONLY | O_DIRECTORY, 0, PATH_NO_SYMLINKS);
    DIR *d = dir < 0 ? NULL : fdopendir(dir);
    if (!d)
        return err_sys(r->e, "cannot list '%s'", path), -(int)r->e->kind;
    (void)take_fd(&dir);
    size_t cap = 0;
    int rc = 0;
    struct dirent *de;
    while (rc == 0 && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        const char *n = de->d_name;
        struct stat st, base;
        if ((n[0] == '.' && (!n[1] || (n[1] == '.' && !n[2]))) || fstatat(dirfd(d), n, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        AUTO(ptr) char *sub = *path ? path_join(path, n) : strdup(n);
        struct upper_node *child = arena_alloc(a, sizeof *child);
        if (!sub || !child || !(child->name = arena_strdup(a, n)) ||
            !array_grow(&node->children, &cap, node->nchildren, 1, sizeof(struct upper_node *))) {
            rc = nomem(r);
            break;
        }
        node->children[node->nchildren++] = child;
        child->type = UPPER_SKIPPED;
        AUTO(fd) int seen = path_open_beneath(r->base, sub, O_PATH | O_NOFOLLOW, 0, PATH_NO_SYMLINKS);
        bool known = seen >= 0 && fstat(seen, &base) == 0 && (base.st_mode & S_IFMT) == (st.st_mode & S_IFMT);
        if (S_ISDIR(st.st_mode)) {
            if (depth >= UPPER_DEPTH_MAX || left_out(r, sub, true))
                continue;
            child->type = UPPER_DIR;
            child->opaque = true;
            rc = list_tree(r, fd, sub, depth + 1, a, child);
        } else if (known && base.st_size == st.st_size && stat_ns(base.st_mtim) == stat_ns(st.st_mtim) &&
                   base.st_mode == st.st_mode) {
            continue;
        } else if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
            add_note(r, NOTE_REFUSED, sub, false, "a pipe, socket or device");
        } else if (!left_out(r, sub, false)) {
            child->type = S_ISLNK(st.st_mode) ? UPPER_LINK : UPPER_FILE;
        }
    }
    (void)closedir(d);
    return rc;
}

static int node_by_name(const void *a, const void *b)
{
    return strcmp((*(struct upper_node *const *)a)->name, (*(struct upper_node *const *)b)->name);
}

static void sort_tree(struct upper_node *node)
{
    if (node->nchildren)
        qsort(node->children, node->nchildren, sizeof(struct upper_node *), node_by_name);
    for (size_t i = 0; i < node->nchildren; i++)
        sort_tree(node->children[i]);
}

/* --- the whole --- */

static int note_order(const void *a, const void *b)
{
    const struct change_note *x = a, *y = b;
    return x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->path, y->path);
}

static int hand_over(struct reader *r)
{
    struct change *c = r->c;
    c->files = r->nfiles ? arena_array(&c->arena, r->nfiles, sizeof *c->files) : NULL;
    c->notes = r->nnotes ? arena_array(&c->arena, r->nnotes, sizeof *c->notes) : NULL;
    if ((r->nfiles && !c->files) || (r->nnotes && !c->notes))
        return nomem(r);
    if (r->nfiles)
        memcpy(c->files, r->files, r->nfiles * sizeof *c->files);
    if (r->nnotes) {
        qsort(r->notes, r->nnotes, sizeof *r->notes, note_order);
        memcpy(c->notes, r->notes, r->nnotes * sizeof *c->notes);
    }
    c->nfiles = r->nfiles;
    c->nnotes = r->nnotes;
    return 0;
}

static int scan(struct reader *r, struct layer *l)
{
    struct upper_scan s = { .ctx = r, .skip = skip_entry, .note = refuse_entry };
    AUTO(arena) struct arena names = ARENA_INIT(CHANGE_ARENA_BYTES);
    int rc, copy = -1;
    s.arena = &names;
    if (layer_kind(l) == LAYER_COPY) {
        if (layer_copy_fd(l, &copy, r->e) < 0)
            return -(int)r->e->kind;
        s.root = (struct upper_node){ .name = "", .type = UPPER_DIR, .opaque = true };
        r->uppers = &copy;
        rc = list_tree(r, copy, "", 0, &names, &s.root);
        sort_tree(&s.root);
    } else {
        if (layer_upper_fds(l, &r->uppers, &s.n, r->e) < 0)
            return -(int)r->e->kind;
        s.fds = r->uppers;
        rc = upper_read(&s, r->e);
    }
    if (rc == 0)
        rc = take_node(r, &s.root, "", 0, false);
    if (rc == 0 && s.root.opaque)
        rc = take_deleted_dir(r, "", &s.root, 0);
    upper_finish(&s);
    return rc;
}

int change_read(struct layer *l, const struct change_options *opt, struct change **out, struct err *e)
{
    static const struct change_options defaults;
    AUTO(change) struct change *c = NULL;
    if (change_create(layer_workspace(l), &c, e) < 0)
        return -(int)e->kind;
    (void)snprintf(c->session, sizeof c->session, "%s", layer_session(l));
    (void)snprintf(c->layer, sizeof c->layer, "%s", layer_id(l));
    AUTO(reader) struct reader r = { .c = c, .opt = opt ? opt : &defaults, .base = -1, .e = e };
    r.began_ns = layer_created_unix_ns(l);
    r.copied = layer_base(l);
    r.base = open(r.copied ? layer_base(l) : c->workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (r.base < 0)
        return err_sys(e, "cannot open the workspace '%s'", c->workspace);
    if (ignore_create(r.base, c->workspace, &r.ignore, e) < 0 ||
        content_create(layer_dir(l), &c->content, e) < 0 || scan(&r, l) < 0 || hand_over(&r) < 0 ||
        change_find_renames(c, e) < 0 || guard_mark(c, r.base, &r.opt->protected_paths, e) < 0)
        return -(int)e->kind;
    change_seal(c);
    *out = TAKE(c);
    return 0;
}

int change_paths(const char *workspace, int upper, struct arena *a, size_t max, struct strings *out, struct err *e)
{
    static const struct change_options defaults;
    AUTO(change) struct change *c = NULL;
    if (change_create(workspace, &c, e) < 0)
        return -(int)e->kind;
    AUTO(reader) struct reader r = { .c = c, .opt = &defaults, .base = -1, .scan_only = true, .e = e };
    r.base = open(workspace, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (r.base < 0)
        return err_sys(e, "cannot open the workspace '%s'", workspace);
    if (ignore_create(r.base, workspace, &r.ignore, e) < 0)
        return -(int)e->kind;
    AUTO(arena) struct arena names = ARENA_INIT(CHANGE_ARENA_BYTES);
    struct upper_scan s = { .fds = &upper, .n = 1, .arena = &names, .ctx = &r, .skip = skip_entry };
    r.uppers = &upper;
    int rc = upper_read(&s, e);
    if (rc == 0)
        rc = take_node(&r, &s.root, "", 0, false);
    upper_finish(&s);
    if (rc < 0)
        return rc;
    if (r.nfiles)
        qsort(r.files, r.nfiles, sizeof *r.files, by_path);
    size_t n = r.nfiles < max ? r.nfiles : max;
    out->len = 0;
    out->items = n ? arena_array(a, n, sizeof *out->items) : NULL;
    for (size_t i = 0; i < n && out->items; i++)
        if (!(out->items[out->len++] = arena_strdup(a, r.files[i].path)))
            out->items = NULL;
    return n && !out->items ? nomem(&r) : 0;
}
