/*
 * side - looking at one file beneath a directory, without following anything, into a change_side.
 *
 *     side_read(dirfd, "a/b.c", SIDE_KEEP, content, limit, &side, e);   // 1 read, 0 nothing there or a directory
 *
 * Only regular files and symbolic links have a side; *what says what else was there.
 */
#ifndef STEAD_WORKSPACE_SIDE_H
#define STEAD_WORKSPACE_SIDE_H

#include <sys/stat.h>

#include "workspace/change.h"

struct change_content;

enum side_flags {
    SIDE_HASH = 0,       /* hash only */
    SIDE_KEEP = 1 << 0,  /* copy the content */
    SIDE_FORCE = 1 << 1, /* our own directory, written by the sandbox: unreadable files are made readable */
};

enum side_what { SIDE_NOTHING, SIDE_FILE, SIDE_LINK, SIDE_DIR, SIDE_OTHER };

/*
 * What is at `path`: 1 a file or link (side filled), 0 otherwise (side->exists false). A path through a symbolic link is
 * "nothing there". st (may be NULL) is what was found. -ERR_LIMIT above limit bytes.
 */
int side_read(int dirfd, const char *path, unsigned flags, struct change_content *keep, int64_t limit,
              struct change_side *side, struct stat *st, enum side_what *what, struct err *e) WARN_UNUSED;

#endif
