/*
 * ignore - gitignore(5) rules of a directory tree, read as they are needed.
 *
 *     struct ignore *ig = ignore_create(workspace_dirfd, e);
 *     if (ignore_match(ig, "build/a.o", false)) ...      // a path below the workspace
 *     ignore_destroy(ig);
 *
 * Rules come from the .gitignore of each directory on the way, .git/info/exclude, and (when the workspace lies inside a
 * repository) the .gitignore files of the directories above, up to the one with .git. As in git, nothing
 * below an ignored directory can be taken in again. A file's being tracked is the caller's affair.
 * Semantics: gitignore(5); matching is a port of the rules, not of git's code, and is compared with git by a test.
 */
#ifndef STEAD_WORKSPACE_IGNORE_H
#define STEAD_WORKSPACE_IGNORE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct ignore;

/* `dirfd` is borrowed until ignore_destroy. */
int ignore_create(int dirfd, const char *workspace, struct ignore **out, struct err *e) WARN_UNUSED;
void ignore_destroy(struct ignore *ig);
static inline void ignore_auto(struct ignore **ig)
{
    ignore_destroy(*ig);
}

/* Whether a file or directory is ignored, itself or by a directory above it. */
bool ignore_match(struct ignore *ig, const char *path, bool is_dir);
/* Well-known caches that tools write (__pycache__, node_modules, ...): applied where no rule says otherwise. */
bool ignore_is_cache(const char *path, bool is_dir);

/* One pattern list without files: for policy ("protected paths"). Last match wins. */
bool ignore_match_patterns(const char *const *patterns, size_t n, const char *path, bool is_dir);

#endif
