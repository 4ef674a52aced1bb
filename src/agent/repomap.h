/*
 * repomap - the repository in a page: its most used definitions, by file, within a token budget.
 *
 *     struct repomap_options o = { .sandbox = sb, .workspace = dir, .cache_dir = cache, .tokens = 1500 };
 *     repomap_make(&o, &text, cancel, e);     // ERR_UNAVAILABLE without universal-ctags inside
 *
 *     src/list.c
 *       12 list_append(struct list *l, void *item)
 *
 * Definitions come from universal-ctags, run inside. A definition ranks by how many other files use its
 * name; a file by its definitions. The result is kept in cache_dir under a hash of the names, sizes and
 * times of the files that it was made of.
 */
#ifndef STEAD_AGENT_REPOMAP_H
#define STEAD_AGENT_REPOMAP_H

#include <stdint.h>

#include "base/buf.h"
#include "base/loop.h"

struct sandbox;

struct repomap_options {
    struct sandbox *sandbox;
    const char *workspace;
    const char *cache_dir; /* NULL: not kept */
    int64_t tokens;        /* of the map; about four bytes each */
};

int repomap_make(const struct repomap_options *o, struct buf *out, struct cancel *cancel, struct err *e) WARN_UNUSED;

/*
 * Pure part. `tags`: lines of `ctags --fields=+nSK --excmd=number -f -`; `uses`: lines "NAME FILES", how
 * many files hold the name (rg -o counted). Appends the map of at most `bytes`.
 */
int repomap_rank(struct span tags, struct span uses, size_t bytes, struct buf *out, struct err *e) WARN_UNUSED;

#endif
