/*
 * path - joins and splits; opening beneath a directory without leaving it; whole-file helpers.
 *
 * Names from a model or a repository are opened with path_open_beneath (openat2 with
 * RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), never by checking a string prefix.
 */
#ifndef STEAD_BASE_PATH_H
#define STEAD_BASE_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* "a" + "b" -> "a/b" (one slash); malloc'd, NULL out of memory. An absolute b replaces a. */
char *path_join(const char *a, const char *b);
const char *path_base(const char *path); /* after the last slash; borrowed */
struct span path_dir(const char *path);  /* before it; "." when there is none */
const char *path_ext(const char *path);  /* ".c" or "" */

/* Lexically normal relative path without ".." or empty or "." parts, not absolute, no NUL? */
bool path_is_safe_relative(const char *path);

enum { PATH_NO_SYMLINKS = 1 << 0 /* also refuse symbolic links in any component */ };
/* openat2() beneath dirfd; -1 with errno. O_CLOEXEC is added. */
int path_open_beneath(int dirfd, const char *path, int flags, mode_t mode, unsigned how);

/* mkdir -p; 0 or negative. */
int path_mkdirs(const char *path, mode_t mode, struct err *e) WARN_UNUSED;
/* rm -rf beneath dirfd/name, never following links, not crossing mounts; ENOENT is success. */
int path_remove_tree(int dirfd, const char *name, struct err *e);

/* Read a whole file, at most limit bytes, appended to out. */
int file_read(const char *path, size_t limit, struct buf *out, struct err *e) WARN_UNUSED;
int file_read_fd(int fd, const char *name, size_t limit, struct buf *out, struct err *e) WARN_UNUSED;
/* Temporary name, write, fsync if `sync`, rename: readers see the old or the new content. */
int file_write_atomic(const char *path, struct span data, mode_t mode, bool sync, struct err *e) WARN_UNUSED;
/* All bytes; retries EINTR and short writes; 0 or -1 with errno. */
int write_all(int fd, const void *data, size_t n);

#endif
