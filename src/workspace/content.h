/*
 * content - the one file that holds all bytes of a change (or of an apply's plan), appended, then read by offset.
 *
 *     struct content *c;
 *     content_create(dir, &c, e);                        // in memory; a nameless file in `dir` when it grows
 *     content_add_fd(c, fd, limit, &side, e);            // copies, hashes, fills size, hash, offset, binary
 *     content_get(c, &side, &span, e);                   // the caller checks side.hash where it matters
 *     content_save(c, dirfd, "content", e);              // gives it a name, synced
 *     content_destroy(c);
 *
 * Spans stay valid as long as the content. Not for writing after the first content_get.
 */
#ifndef STEAD_WORKSPACE_CONTENT_H
#define STEAD_WORKSPACE_CONTENT_H

#include "workspace/change.h"

struct change_content;

int content_create(const char *dir, struct change_content **out, struct err *e) WARN_UNUSED;
int content_open(int dirfd, const char *name, struct change_content **out, struct err *e) WARN_UNUSED;
void content_destroy(struct change_content *c);
static inline void content_auto(struct change_content **c)
{
    content_destroy(*c);
}
/* The rest of an open file. -ERR_LIMIT above limit bytes: nothing is added. Sets size, hash, offset, binary, stored. */
int content_add_fd(struct change_content *c, int fd, int64_t limit, struct change_side *side, struct err *e) WARN_UNUSED;
int content_add(struct change_content *c, struct span data, struct change_side *side, struct err *e) WARN_UNUSED;
/* Only the hash and size of a file, nothing kept. */
int content_hash_fd(int fd, struct change_side *side, struct err *e) WARN_UNUSED;
int content_get(const struct change_content *c, const struct change_side *side, struct span *out, struct err *e) WARN_UNUSED;
int content_save(struct change_content *c, int dirfd, const char *name, struct err *e) WARN_UNUSED;
int64_t content_bytes(const struct change_content *c);
/* Forget what was added since content_bytes was `size`. */
void content_rewind(struct change_content *c, int64_t size);
/* NUL in the first 8000 bytes, or larger than CHANGE_DIFF_BYTES. */
bool content_is_binary(struct span data);

#endif
