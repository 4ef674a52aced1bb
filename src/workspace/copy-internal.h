/* copy-internal - a tree copied for LAYER_COPY. Private to workspace/. */
#ifndef STEAD_WORKSPACE_COPY_INTERNAL_H
#define STEAD_WORKSPACE_COPY_INTERNAL_H

#include <sys/types.h>

#include "base/err.h"

/* Files, links and directories with mode and times, by reflink where possible; pipes, sockets and devices are left out. */
int copy_tree(int from, int to, uid_t uid, gid_t gid, struct err *e) WARN_UNUSED;

/*
 * An upper directory of a layer, as overlayfs left it: owners kept, whiteouts (character device 0:0) and the marks
 * of opaque and renamed directories too. Not the mark of origin: the copy of a file came from its own layer.
 */
int copy_upper(int from, int to, struct err *e) WARN_UNUSED;

#endif
