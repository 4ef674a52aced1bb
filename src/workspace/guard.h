/*
 * guard - which files of a change need their own explicit approval, and why.
 *
 *     guard_mark(change, workspace_fd, protected_patterns, n, e);   // fills guard and guard_why of every file
 *
 * The list is data/guard/guard.txt: what a host tool, an editor, a shell or an agent executes unasked. Beside it
 * this code looks at shapes that no name tells: directories that git would take for a bare repository, symbolic links
 * that lead out of the workspace, install scripts in package.json. It guards at apply, not at write: refusing a
 * write inside breaks package managers and proves nothing. A list that cannot be read guards every file.
 */
#ifndef STEAD_WORKSPACE_GUARD_H
#define STEAD_WORKSPACE_GUARD_H

#include "workspace/change.h"

int guard_mark(struct change *c, int workspace_fd, const struct strings *protected_paths, struct err *e) WARN_UNUSED;
/* By name alone: bits of enum change_guard, *why (static or from the arena) set when not 0. */
unsigned guard_path(const char *path, struct arena *a, const char **why);
const char *guard_name(unsigned bit); /* "hook", "editor", ... */
/* Whether a path component is .git or what some file system takes for it. */
bool guard_is_git_name(const char *name);

#endif
