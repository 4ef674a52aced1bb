/*
 * gitlib - libgit2, loaded when first needed, and the few things we ask of a repository. Private to workspace/.
 *
 * Nothing here runs a program: no hooks, no filters, no fsmonitor; repository configuration is only read.
 */
#ifndef STEAD_WORKSPACE_GITLIB_INTERNAL_H
#define STEAD_WORKSPACE_GITLIB_INTERNAL_H

#include <git2.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/lazy.h"

#define GIT_API(X)                                                                                       \
    X(git_libgit2_init) X(git_libgit2_opts) X(git_error_last)                                            \
    X(git_patch_from_buffers) X(git_patch_free) X(git_patch_num_hunks) X(git_patch_get_hunk)             \
    X(git_patch_num_lines_in_hunk) X(git_patch_get_line_in_hunk) X(git_patch_line_stats)                 \
    X(git_merge_file) X(git_merge_file_result_free)                                                      \
    X(git_repository_open_ext) X(git_repository_free) X(git_repository_workdir) X(git_repository_head)   \
    X(git_repository_is_bare) X(git_repository_index) X(git_reference_peel) X(git_reference_free)        \
    X(git_object_free) X(git_commit_tree) X(git_commit_create) X(git_commit_lookup) X(git_commit_free)   \
    X(git_tree_free) X(git_tree_lookup) X(git_tree_entry_bypath) X(git_tree_entry_free)                  \
    X(git_tree_entry_id) X(git_tree_entry_filemode) X(git_tree_entry_type)                               \
    X(git_blob_lookup) X(git_blob_free) X(git_blob_rawcontent) X(git_blob_rawsize)                       \
    X(git_blob_create_from_buffer)                                                                       \
    X(git_index_new) X(git_index_free) X(git_index_read_tree) X(git_index_add) X(git_index_remove)       \
    X(git_index_write_tree_to) X(git_index_find_prefix) X(git_index_get_bypath)                          \
    X(git_reference_create) X(git_reference_lookup) X(git_reference_is_valid_name)                       \
    X(git_config_open_default) X(git_config_new) X(git_config_add_file_ondisk) X(git_config_free)        \
    X(git_config_iterator_new) X(git_config_next) X(git_config_iterator_free)                            \
    X(git_reference_symbolic_target)                                                                     \
    X(git_filter_list_load) X(git_filter_list_apply_to_buffer) X(git_filter_list_free) X(git_buf_dispose) \
    X(git_attr_get) X(git_attr_value)                                                                    \
    X(git_signature_default) X(git_signature_free) X(git_oid_tostr)

LAZY_DEFINE(git, GIT_API)

/* The loaded and initialised library, or NULL. */
const struct git_api *gitlib(struct err *e);
/* Fail with libgit2's own words behind ours. */
int gitlib_fail(const struct git_api *g, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

struct gitrepo {
    const struct git_api *g;
    git_repository *repo;
    git_index *index; /* opened by gitrepo_tracked */
    git_tree *head;   /* opened by gitrepo_head_blob */
    bool head_none;
    char *prefix;     /* from the repository's top to the workspace: "" or "a/b/" */
};
/* The repository that the workspace lies in: 1, 0 when there is none. */
int gitrepo_open(const char *workspace, struct gitrepo **out, struct err *e) WARN_UNUSED;
void gitrepo_close(struct gitrepo *r);
static inline void gitrepo_auto(struct gitrepo **r)
{
    gitrepo_close(*r);
}
/* Whether a path, or for a directory anything below it, is in the index. */
bool gitrepo_tracked(struct gitrepo *r, const char *path, bool is_dir);
/* The file's content in HEAD's tree: 1 (appended to out), 0 absent. */
int gitrepo_head_blob(struct gitrepo *r, const char *path, struct buf *out, unsigned *mode, struct err *e) WARN_UNUSED;

enum gitrepo_form { GITREPO_STORED = GIT_FILTER_TO_ODB, GITREPO_CHECKED_OUT = GIT_FILTER_TO_WORKTREE };
/* The content in the other form, appended to out: ends of lines and $Id$, by libgit2's own filters. */
int gitrepo_filtered(struct gitrepo *r, const char *path, enum gitrepo_form to, struct span data, struct buf *out, struct err *e) WARN_UNUSED;
/* The filter that attributes name for a path: a program, which git would run and we do not. NULL: none. */
const char *gitrepo_filter(struct gitrepo *r, const char *path);
/* HEAD names this reference, whether or not there is a commit on it yet. */
bool gitrepo_is_current(struct gitrepo *r, const char *refname);

#endif
