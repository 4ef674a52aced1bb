/*
 * trailers - what a commit says of where it came from: what helped, which gates said what, the change, the session.
 */
#ifndef STEAD_CLI_TRAILERS_H
#define STEAD_CLI_TRAILERS_H

#include "verify/verify.h"
#include "workspace/change.h"

/* `v` NULL: no gate has looked. Lines are the arena's. */
int trailers_make(const struct change *c, const struct verdict *v, struct arena *a, struct strings *out, struct err *e) WARN_UNUSED;

#endif
