#include "workspace/gitlib-internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#ifndef LIBGIT2_SONAME
#error "LIBGIT2_SONAME comes from the build"
#endif

const struct git_api *gitlib(struct err *e)
{
    static const struct git_api *ready;
    if (ready)
        return ready;
    const struct git_api *g = git_lazy(LIBGIT2_SONAME, "install libgit2", e);
    if (!g)
        return NULL;
    if (g->git_libgit2_init() < 0) {
        err_set(e, ERR_UNAVAILABLE, "cannot start libgit2");
        return NULL;
    }
    /* Owner checks guard git's running of configured programs; libgit2 runs none, and stead may be root. */
    (void)g->git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    return ready = g;
}

int gitlib_fail(const struct git_api *g, struct err *e, const char *fmt, ...)
{
    char what[200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    const git_error *ge = g->git_error_last();
    return err_set(e, ERR_IO, "%s: %s", what, ge && ge->message ? ge->message : "unknown reason");
}

int gitrepo_open(const char *workspace, struct gitrepo **out, struct err *e)
{
    const struct git_api *g = gitlib(e);
    if (!g)
        return -(int)e->kind;
    AUTO(gitrepo) struct gitrepo *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, ERR_NOMEM, "cannot open the repository of '%s': out of memory", workspace);
    r->g = g;
    int rc = g->git_repository_open_ext(&r->repo, workspace, 0, NULL);
    if (rc == GIT_ENOTFOUND)
        return 0;
    if (rc < 0)
        return gitlib_fail(g, e, "cannot open the repository of '%s'", workspace);
    const char *top = g->git_repository_is_bare(r->repo) ? NULL : g->git_repository_workdir(r->repo);
    if (!top)
        return 0;
    AUTO(ptr) char *real = realpath(workspace, NULL);
    AUTO(ptr) char *real_top = realpath(top, NULL); /* without the slash at its end */
    size_t n = real_top ? strlen(real_top) : 0;
    if (!real || !real_top || strncmp(real, real_top, n) != 0 || (real[n] && real[n] != '/' && n > 1))
        return 0;
    const char *rest = real + n + (real[n] == '/');
    if (asprintf(&r->prefix, "%s%s", rest, *rest ? "/" : "") < 0) {
        r->prefix = NULL;
        return err_set(e, ERR_NOMEM, "cannot open the repository of '%s': out of memory", workspace);
    }
    *out = TAKE(r);
    return 1;
}

void gitrepo_close(struct gitrepo *r)
{
    if (!r)
        return;
    if (r->index)
        r->g->git_index_free(r->index);
    if (r->head)
        r->g->git_tree_free(r->head);
    if (r->repo)
        r->g->git_repository_free(r->repo);
    free(r->prefix);
    free(r);
}

bool gitrepo_tracked(struct gitrepo *r, const char *path, bool is_dir)
{
    if (!r->index && r->g->git_repository_index(&r->index, r->repo) < 0)
        return false;
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s%s", r->prefix, path, is_dir ? "/" : "") < 0) {
        full = NULL;
        return false;
    }
    size_t at;
    return is_dir ? r->g->git_index_find_prefix(&at, r->index, full) == 0
                  : r->g->git_index_get_bypath(r->index, full, 0) != NULL;
}

static int head_open(struct gitrepo *r)
{
    const struct git_api *g = r->g;
    git_reference *ref = NULL;
    git_object *tree = NULL;
    if (g->git_repository_head(&ref, r->repo) < 0)
        return -1;
    int rc = g->git_reference_peel(&tree, ref, GIT_OBJECT_TREE);
    g->git_reference_free(ref);
    r->head = (git_tree *)tree;
    return rc;
}

int gitrepo_head_blob(struct gitrepo *r, const char *path, struct buf *out, unsigned *mode, struct err *e)
{
    const struct git_api *g = r->g;
    if (r->head_none)
        return 0;
    if (!r->head && head_open(r) < 0) {
        r->head_none = true;
        return 0;
    }
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s", r->prefix, path) < 0) {
        full = NULL;
        return err_set(e, ERR_NOMEM, "cannot read '%s' in HEAD: out of memory", path);
    }
    git_tree_entry *entry = NULL;
    if (g->git_tree_entry_bypath(&entry, r->head, full) < 0)
        return 0;
    git_blob *blob = NULL;
    *mode = (unsigned)g->git_tree_entry_filemode(entry);
    int rc = g->git_tree_entry_type(entry) == GIT_OBJECT_BLOB
                 ? g->git_blob_lookup(&blob, r->repo, g->git_tree_entry_id(entry))
                 : 1;
    g->git_tree_entry_free(entry);
    if (rc > 0)
        return 0;
    if (rc < 0)
        return gitlib_fail(g, e, "cannot read '%s' in HEAD", path);
    (void)buf_add(out, g->git_blob_rawcontent(blob), (size_t)g->git_blob_rawsize(blob));
    g->git_blob_free(blob);
    return buf_check(out, e) < 0 ? err_wrap(e, "cannot read '%s' in HEAD", path) : 1;
}

int gitrepo_filtered(struct gitrepo *r, const char *path, enum gitrepo_form to, struct span data, struct buf *out, struct err *e)
{
    const struct git_api *g = r->g;
    git_filter_list *filters = NULL;
    git_buf filtered = { 0 };
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s", r->prefix, path) < 0) {
        full = NULL;
        return err_set(e, ERR_NOMEM, "cannot convert the ends of lines of '%s': out of memory", path);
    }
    int rc = g->git_filter_list_load(&filters, r->repo, NULL, full, (git_filter_mode_t)to, GIT_FILTER_ALLOW_UNSAFE);
    if (rc == 0 && filters)
        rc = g->git_filter_list_apply_to_buffer(&filtered, filters, data.p, data.n);
    if (rc < 0)
        gitlib_fail(g, e, "cannot convert the ends of lines of '%s'", path);
    else if (filters)
        (void)buf_add(out, filtered.ptr, filtered.size);
    else
        (void)buf_add_span(out, data);
    g->git_buf_dispose(&filtered);
    g->git_filter_list_free(filters);
    return rc < 0 ? -(int)e->kind : buf_check(out, e);
}

const char *gitrepo_filter(struct gitrepo *r, const char *path)
{
    const char *value = NULL;
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s", r->prefix, path) < 0) {
        full = NULL;
        return "(unknown)";
    }
    if (r->g->git_attr_get(&value, r->repo, 0, full, "filter") < 0)
        return "(unknown)";
    return r->g->git_attr_value(value) == GIT_ATTR_VALUE_STRING ? value : NULL;
}

bool gitrepo_is_current(struct gitrepo *r, const char *refname)
{
    git_reference *head = NULL;
    if (r->g->git_reference_lookup(&head, r->repo, "HEAD") < 0)
        return false;
    const char *target = r->g->git_reference_symbolic_target(head);
    bool same = target && strcmp(target, refname) == 0;
    r->g->git_reference_free(head);
    return same;
}
