/*
 * tree - files as an overlay would show them, read on the host: directories, top first.
 *
 *     const char *dirs[] = { "/state/x/base", "/home/ada/app" };
 *     struct tree t = { dirs, 2 };
 *     if (tree_read(&t, "Cargo.toml", limit, &text) == 1) ...
 *
 * A file of an upper directory hides those below it; a whiteout (character device 0/0) hides it
 * altogether. `files` lie on top of all directories: contents that are on no disk, e.g. those of a commit.
 * Paths are relative and opened beneath each directory, without following links out of it.
 */
#ifndef STEAD_VERIFY_TREE_H
#define STEAD_VERIFY_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"

struct tree_file {
    const char *path;
    bool deleted;
    bool symlink;        /* content is the target */
    unsigned mode;       /* permission bits; 0: 0644 */
    struct span content;
};

struct tree {
    const char *const *dirs; /* absolute host paths, top first */
    size_t ndirs;
    const struct tree_file *files; /* on top of dirs; sorted by path */
    size_t nfiles;
};

/* 1 read (at most limit bytes), 0 absent, unreadable, too large or not a regular file. */
int tree_read(const struct tree *t, const char *path, size_t limit, struct buf *out);
bool tree_exists(const struct tree *t, const char *path);
/* Names in a directory ("" is the root), sorted, at most 20000; empty when it is absent. */
struct strings tree_list(const struct tree *t, const char *dir, struct arena *arena);

#endif
