/*
 * upper - what a stack of overlay upper directories holds, as one tree; the names and types, not the contents.
 *
 *     struct upper_scan scan = { .fds = fds, .n = n, .arena = &arena, .skip = skip, .ctx = ctx, .note = note };
 *     upper_read(&scan, e);
 *     for (size_t i = 0; i < scan.root.nchildren; i++) ...
 *
 * Directories are walked from the lowest to the topmost, each once; cost is what they hold. Hostile input:
 * nothing is followed, opened for data or trusted here. Whiteouts: 0/0 character devices, and in directories marked "x" empty files
 * with the xattr overlay.whiteout; opaque directories by overlay.opaque "y"; both in the user. and trusted. namespaces.
 * Formats: kernel Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories".
 */
#ifndef STEAD_WORKSPACE_UPPER_H
#define STEAD_WORKSPACE_UPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/err.h"

enum upper_type { UPPER_DIR, UPPER_FILE, UPPER_LINK, UPPER_WHITEOUT, UPPER_SKIPPED /* dir or file, not looked into */ };

#define UPPER_DEPTH_MAX 200
#define UPPER_NODES_MAX 400000

struct upper_node {
    const char *name;
    enum upper_type type;
    bool opaque;   /* UPPER_DIR: hides what the workspace has there */
    bool was_dir;  /* UPPER_SKIPPED: a directory */
    int index;     /* which upper directory has it */
    mode_t mode;
    struct upper_node **children; /* sorted by name; malloc'd, freed by upper_finish */
    size_t nchildren;
};

struct upper_scan {
    const int *fds; /* lowest first; borrowed */
    size_t n;
    struct arena *arena;
    void *ctx;
    /* Whether to leave out this entry (and all below it). NULL: never. */
    bool (*skip)(void *ctx, const char *path, bool is_dir);
    /* Something that cannot be part of a change. NULL: ignored. */
    void (*note)(void *ctx, const char *path, const char *why);
    /* out */
    struct upper_node root;
    size_t nodes;
};

int upper_read(struct upper_scan *scan, struct err *e) WARN_UNUSED;
void upper_finish(struct upper_scan *scan);

/* Bytes and inodes below a directory descriptor, hard links once or more; for limits. Stops quietly at what it cannot read. */
void upper_usage(int fd, int64_t *bytes, int64_t *inodes);
/* Whether a directory has any entry. */
bool upper_is_empty(int fd);

#endif
