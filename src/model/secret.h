/*
 * secret - a key that is not printed, not logged, and wiped when it is dropped.
 *
 *     if (secret_from_file(path, &s, e) < 0) ...
 *     buf_add_span(&header, secret_show(s));      // the one way to its bytes: grep for it
 *
 * White space around the key is taken off; a key with control characters in it is refused (it would
 * split a header line).
 */
#ifndef STEAD_MODEL_SECRET_H
#define STEAD_MODEL_SECRET_H

#include "base/buf.h"

struct loop;
struct secret;

int secret_from_text(struct span text, const char *where, struct secret **out, struct err *e) WARN_UNUSED;
int secret_from_file(const char *path, struct secret **out, struct err *e) WARN_UNUSED;
/* The first line that the command (a shell line of the user's own configuration) prints; at most 30 s. */
int secret_from_command(struct loop *loop, const char *command, struct secret **out, struct err *e) WARN_UNUSED;
struct span secret_show(const struct secret *s);
void secret_destroy(struct secret *s);

#endif
