#include "verify/commits.h"

#include <fcntl.h>
#include <git2.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/lazy.h"
#include "base/mem.h"
#include "base/path.h"

#define COMMITS_API(X)                                                                                     \
    X(git_libgit2_init) X(git_libgit2_opts) X(git_error_last) X(git_repository_open_ext)                   \
    X(git_repository_free) X(git_repository_workdir) X(git_revparse_single) X(git_object_peel)             \
    X(git_object_free) X(git_object_id) X(git_commit_tree) X(git_tree_free) X(git_diff_tree_to_workdir_with_index) \
    X(git_diff_tree_to_tree) X(git_diff_find_similar) X(git_diff_num_deltas) X(git_diff_get_delta)         \
    X(git_diff_free) X(git_diff_options_init) X(git_diff_find_options_init) X(git_blob_lookup)             \
    X(git_blob_free) X(git_blob_rawcontent) X(git_blob_rawsize) X(git_oid_tostr) X(git_oid_is_zero)          \
    X(git_index_open) X(git_repository_index) X(git_index_free) X(git_diff_tree_to_index) X(git_diff_index_to_workdir)
LAZY_DEFINE(git2, COMMITS_API)

struct reading {
    const struct git2_api *g;
    git_repository *repo;
    git_tree *from, *to;
    git_index *index; /* of what is staged */
    git_diff *diff;
    struct commits *c;
    int top; /* descriptor of the working tree */
    size_t bytes;
};

static const struct git2_api *library(struct err *e)
{
    static bool ready;
    const struct git2_api *g = git2_lazy("libgit2.so.1.5", "install libgit2-1.5", e);
    static const char *const others[] = { "libgit2.so.1.9", "libgit2.so.1.8", "libgit2.so.1.7", "libgit2.so.1.6", "libgit2.so.1.4", "libgit2.so.1.1", "libgit2.so" };
    for (size_t i = 0; !g && i < COUNT_OF(others); i++)
        g = git2_lazy(others[i], "install libgit2", e);
    if (g && !ready) {
        g->git_libgit2_init();
        /* We only read objects: whose directory it is does not matter (CI runs as another user). */
        g->git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
        ready = true;
    }
    return g;
}

static int fail(const struct reading *r, struct err *e, enum err_kind kind, const char *what)
{
    const git_error *ge = r->g->git_error_last();
    return err_set(e, kind, "%s: %s", what, ge && ge->message ? ge->message : "unknown error");
}

static int open_tree(struct reading *r, const char *rev, git_tree **out, char id[65], struct err *e)
{
    git_object *any = NULL, *commit = NULL;
    if (r->g->git_revparse_single(&any, r->repo, rev) < 0 || r->g->git_object_peel(&commit, any, GIT_OBJECT_COMMIT) < 0) {
        r->g->git_object_free(any);
        err_set(e, ERR_NOT_FOUND, "'%s' names no commit here", rev);
        err_hint(e, "give a branch, a tag or a commit: `git log --oneline` lists them");
        return -ERR_NOT_FOUND;
    }
    r->g->git_oid_tostr(id, 65, r->g->git_object_id(commit));
    int rc = r->g->git_commit_tree(out, (git_commit *)commit);
    r->g->git_object_free(any);
    r->g->git_object_free(commit);
    return rc < 0 ? fail(r, e, ERR_IO, "reading a commit's tree") : 0;
}

/* A blob's content in the arena; false: too large or absent. */
static bool blob_text(struct reading *r, const git_oid *id, struct span *out, bool *binary)
{
    git_blob *b = NULL;
    if (r->g->git_oid_is_zero(id) || r->g->git_blob_lookup(&b, r->repo, id) < 0)
        return false;
    size_t n = (size_t)r->g->git_blob_rawsize(b);
    bool ok = n <= COMMITS_FILE_BYTES && r->bytes + n <= COMMITS_TOTAL_BYTES;
    char *copy = ok ? arena_alloc(&r->c->arena, n + 1) : NULL;
    if (copy) {
        memcpy(copy, r->g->git_blob_rawcontent(b), n);
        r->bytes += n;
        *out = (struct span){ copy, n };
        *binary |= memchr(copy, 0, n < 8000 ? n : 8000) != NULL;
    } else {
        *binary = true;
    }
    r->g->git_blob_free(b);
    return copy != NULL;
}

static bool disk_text(struct reading *r, const char *path, struct span *out, bool *binary, uint64_t *size)
{
    AUTO(fd) int fd = path_open_beneath(r->top, path, O_PATH | O_NOFOLLOW, 0, 0);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return false;
    AUTO(buf) struct buf b = BUF_INIT(COMMITS_FILE_BYTES);
    struct err ignored = ERR_INIT;
    *size = (uint64_t)st.st_size;
    if (S_ISLNK(st.st_mode)) {
        char target[4096];
        ssize_t n = readlinkat(fd, "", target, sizeof target);
        buf_add(&b, target, n > 0 ? (size_t)n : 0);
    } else if (S_ISREG(st.st_mode) && (size_t)st.st_size <= COMMITS_FILE_BYTES && r->bytes + (size_t)st.st_size <= COMMITS_TOTAL_BYTES) {
        AUTO(fd) int rd = path_open_beneath(r->top, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, 0);
        if (rd < 0 || file_read_fd(rd, path, COMMITS_FILE_BYTES, &b, &ignored) < 0)
            return false;
    } else {
        *binary = true;
        return false;
    }
    char *copy = arena_alloc(&r->c->arena, b.n + 1);
    if (!copy)
        return false;
    if (b.n)
        memcpy(copy, b.p, b.n);
    r->bytes += b.n;
    *out = (struct span){ copy, b.n };
    *binary |= memchr(copy, 0, b.n < 8000 ? b.n : 8000) != NULL;
    return true;
}

static int by_rule_path(const void *a, const void *b)
{
    return strcmp(((const struct rule_file *)a)->path, ((const struct rule_file *)b)->path);
}

static int by_tree_path(const void *a, const void *b)
{
    return strcmp(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

static void one(struct reading *r, const git_diff_delta *d, bool to_disk)
{
    struct commits *c = r->c;
    struct rule_file f = { .kind = RULE_FILE_MODIFIED };
    const char *old = arena_strdup(&c->arena, d->old_file.path), *new = arena_strdup(&c->arena, d->new_file.path);
    bool had = d->status != GIT_DELTA_ADDED && d->status != GIT_DELTA_UNTRACKED && d->status != GIT_DELTA_UNREADABLE;
    bool has = d->status != GIT_DELTA_DELETED;
    if (!old || !new || !path_is_safe_relative(old) || !path_is_safe_relative(new) || (had && d->old_file.mode == GIT_FILEMODE_COMMIT) ||
        (has && d->new_file.mode == GIT_FILEMODE_COMMIT) || d->status == GIT_DELTA_UNREADABLE)
        return; /* submodules are other repositories */
    f.path = has ? new : old;
    if (d->status == GIT_DELTA_RENAMED)
        f.kind = RULE_FILE_RENAMED, f.old_path = old;
    else if (!had)
        f.kind = RULE_FILE_ADDED;
    else if (!has)
        f.kind = RULE_FILE_DELETED;
    f.symlink = has && d->new_file.mode == GIT_FILEMODE_LINK;
    f.executable = has && d->new_file.mode == GIT_FILEMODE_BLOB_EXECUTABLE;
    bool got_old = had && blob_text(r, &d->old_file.id, &f.old_text, &f.binary);
    bool got_new = false;
    if (has && to_disk)
        got_new = disk_text(r, new, &f.new_text, &f.binary, &f.new_size);
    else if (has)
        got_new = blob_text(r, &d->new_file.id, &f.new_text, &f.binary);
    if (f.new_text.n)
        f.new_size = f.new_text.n;
    c->files[c->nfiles++] = f;
    /* what the base has where this is: old content, or nothing */
    bool moved = d->status == GIT_DELTA_RENAMED;
    if (got_old)
        c->base[c->nbase++] = (struct tree_file){ .path = old, .content = f.old_text, .symlink = d->old_file.mode == GIT_FILEMODE_LINK,
                                                  .mode = d->old_file.mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644 };
    if (!had || moved)
        c->base[c->nbase++] = (struct tree_file){ .path = new, .deleted = true };
    if (!to_disk) {
        if (got_new)
            c->after[c->nafter++] = (struct tree_file){ .path = new, .content = f.new_text, .symlink = f.symlink, .mode = f.executable ? 0755 : 0644 };
        if (!has || moved)
            c->after[c->nafter++] = (struct tree_file){ .path = old, .deleted = true };
    }
}

/* Differences of a commit's tree (NULL: of the index) to what is on disk, as files to lay over the disk. Adds to `out`. */
static int over_disk(struct reading *r, git_tree *tree, struct tree_file **out, size_t *n, struct err *e)
{
    git_diff_options o;
    git_diff *diff = NULL;
    r->g->git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION);
    if ((tree ? r->g->git_diff_tree_to_workdir_with_index(&diff, r->repo, tree, &o)
              : r->g->git_diff_index_to_workdir(&diff, r->repo, r->index, &o)) < 0)
        return fail(r, e, ERR_IO, "comparing a commit with the working tree");
    size_t count = r->g->git_diff_num_deltas(diff);
    *out = arena_array(&r->c->arena, count + 1, sizeof **out);
    *n = 0;
    for (size_t i = 0; *out && i < count && i < COMMITS_FILES; i++) {
        const git_diff_delta *d = r->g->git_diff_get_delta(diff, i);
        struct span text = { "", 0 };
        bool binary = false, had = d->status != GIT_DELTA_ADDED && d->status != GIT_DELTA_UNTRACKED;
        const char *p = arena_strdup(&r->c->arena, had ? d->old_file.path : d->new_file.path);
        if (!p || !path_is_safe_relative(p) || d->old_file.mode == GIT_FILEMODE_COMMIT || d->new_file.mode == GIT_FILEMODE_COMMIT)
            continue;
        if (!had)
            (*out)[(*n)++] = (struct tree_file){ .path = p, .deleted = true };
        else if (blob_text(r, &d->old_file.id, &text, &binary))
            (*out)[(*n)++] = (struct tree_file){ .path = p, .content = text, .symlink = d->old_file.mode == GIT_FILEMODE_LINK,
                                                 .mode = d->old_file.mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644 };
    }
    r->g->git_diff_free(diff);
    if (!*out)
        return err_set(e, ERR_NOMEM, "comparing commits: out of memory");
    if (*n)
        qsort(*out, *n, sizeof **out, by_tree_path);
    return 0;
}

/* The index that git itself would commit: in a hook it names it. */
static int open_index(struct reading *r, struct err *e)
{
    const char *named = getenv("GIT_INDEX_FILE"); /* NOLINT(concurrency-mt-unsafe): nothing here sets the environment */
    if ((named && *named ? r->g->git_index_open(&r->index, named) : r->g->git_repository_index(&r->index, r->repo)) < 0)
        return fail(r, e, ERR_IO, "reading the index");
    return 0;
}

static int read_change(struct reading *r, const char *from, const char *to, struct err *e)
{
    struct commits *c = r->c;
    bool staged = to && !strcmp(to, COMMITS_STAGED);
    git_diff_options o;
    git_diff_find_options find;
    if (open_tree(r, from, &r->from, c->base_id, e) < 0 || (staged && open_index(r, e) < 0) || (to && !staged && open_tree(r, to, &r->to, c->after_id, e) < 0))
        return -(int)e->kind;
    r->g->git_diff_options_init(&o, GIT_DIFF_OPTIONS_VERSION);
    r->g->git_diff_find_options_init(&find, GIT_DIFF_FIND_OPTIONS_VERSION);
    find.flags = GIT_DIFF_FIND_RENAMES | GIT_DIFF_FIND_FOR_UNTRACKED;
    o.flags = GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_RECURSE_UNTRACKED_DIRS | GIT_DIFF_SHOW_UNTRACKED_CONTENT;
    int rc = staged ? r->g->git_diff_tree_to_index(&r->diff, r->repo, r->from, r->index, &o)
             : to   ? r->g->git_diff_tree_to_tree(&r->diff, r->repo, r->from, r->to, &o)
                    : r->g->git_diff_tree_to_workdir_with_index(&r->diff, r->repo, r->from, &o);
    if (rc < 0 || r->g->git_diff_find_similar(r->diff, &find) < 0)
        return fail(r, e, ERR_IO, "comparing with the base commit");
    size_t n = r->g->git_diff_num_deltas(r->diff);
    if (n > COMMITS_FILES)
        return err_set(e, ERR_LIMIT, "the change has %zu files, more than %u", n, COMMITS_FILES);
    c->files = arena_array(&c->arena, n + 1, sizeof *c->files);
    c->base = arena_array(&c->arena, 2 * n + 1, sizeof *c->base);
    c->after = arena_array(&c->arena, 2 * n + 1, sizeof *c->after);
    if (!c->files || !c->base || !c->after)
        return err_set(e, ERR_NOMEM, "comparing commits: out of memory");
    for (size_t i = 0; i < n; i++)
        one(r, r->g->git_diff_get_delta(r->diff, i), to == NULL);
    if (n) {
        qsort(c->files, c->nfiles, sizeof *c->files, by_rule_path);
        qsort(c->base, c->nbase, sizeof *c->base, by_tree_path);
    }
    /* Two commits, or a commit and the index: each lies over a working tree that may be at neither. */
    if (to)
        return over_disk(r, r->from, &c->base, &c->nbase, e) < 0 || over_disk(r, r->to, &c->after, &c->nafter, e) < 0 ? -(int)e->kind : 0;
    c->nafter = 0;
    return 0;
}

int commits_open(const char *dir, const char *from, const char *to, struct commits *c, struct err *e)
{
    struct reading r = { .g = library(e), .c = c, .top = -1 };
    if (!r.g)
        return -(int)e->kind;
    *c = (struct commits){ 0 };
    arena_init(&c->arena, COMMITS_TOTAL_BYTES + (256u << 20));
    if (r.g->git_repository_open_ext(&r.repo, dir, 0, NULL) < 0 || !r.g->git_repository_workdir(r.repo)) {
        r.g->git_repository_free(r.repo);
        return 0;
    }
    const char *w = r.g->git_repository_workdir(r.repo);
    size_t n = strlen(w);
    c->top = span_dup((struct span){ w, n > 1 && w[n - 1] == '/' ? n - 1 : n });
    r.top = c->top ? open(c->top, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = !c->top ? err_set(e, ERR_NOMEM, "opening the repository: out of memory")
             : r.top < 0 ? err_sys(e, "cannot open '%s'", c->top)
                         : read_change(&r, from, to, e);
    r.g->git_diff_free(r.diff);
    r.g->git_tree_free(r.from);
    r.g->git_tree_free(r.to);
    r.g->git_index_free(r.index);
    r.g->git_repository_free(r.repo);
    fd_close(&r.top);
    if (rc < 0) {
        commits_close(c);
        return rc;
    }
    return 1;
}

void commits_close(struct commits *c)
{
    free(c->top);
    arena_finish(&c->arena);
    *c = (struct commits){ 0 };
}
