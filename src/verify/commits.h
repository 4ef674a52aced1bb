/*
 * commits - the change between a commit and the working tree, the index, or another commit, without checking anything out.
 *
 *     struct commits c;
 *     int r = commits_open(dir, "HEAD", NULL, &c, e);     // 1: a repository, 0: none
 *     // c.top: its working tree; c.files: for the rules; c.base: what the base commit has in place
 *     // of what is on disk; c.after: the same for a second commit (none for the working tree)
 *     commits_close(&c);
 *
 * Read by libgit2: no git command, no hooks, no filters but line endings run. Untracked files that are not ignored
 * belong to the working tree's change. Contents over COMMITS_FILE_BYTES are binary: named, not read.
 */
#ifndef STEAD_VERIFY_COMMITS_H
#define STEAD_VERIFY_COMMITS_H

#include "verify/rules.h"
#include "verify/tree.h"

#define COMMITS_FILE_BYTES (8u << 20)
#define COMMITS_TOTAL_BYTES ((size_t)512 << 20)
#define COMMITS_FILES 20000u

struct commits {
    char *top;               /* absolute, no slash at the end */
    struct rule_file *files; /* sorted by path */
    size_t nfiles;
    struct tree_file *base;  /* sorted by path: lay these over the working tree to get the base */
    size_t nbase;
    struct tree_file *after; /* sorted by path; empty for the working tree */
    size_t nafter;
    char base_id[65], after_id[65]; /* full object names; after_id "" for the working tree and the index */
    struct arena arena;
};

#define COMMITS_STAGED ":staged" /* `to`: what the index holds, in a hook the one that git names there */

/* `to` NULL: the working tree. ERR_NOT_FOUND: no such commit. 0 (and *c empty) outside a repository or without commits. */
int commits_open(const char *dir, const char *from, const char *to, struct commits *c, struct err *e) WARN_UNUSED;
void commits_close(struct commits *c);

#endif
