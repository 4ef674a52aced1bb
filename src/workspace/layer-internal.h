/* layer-internal - what change.c may know of a layer. Private to workspace/. */
#ifndef STEAD_WORKSPACE_LAYER_INTERNAL_H
#define STEAD_WORKSPACE_LAYER_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "workspace/layer.h"

/* The upper directories, lowest first; the descriptors belong to the layer, until the next checkpoint or undo. */
int layer_upper_fds(struct layer *l, const int **fds, size_t *n, struct err *e) WARN_UNUSED;
/* LAYER_COPY: its directory, opened; the layer owns it. */
int layer_copy_fd(struct layer *l, int *fd, struct err *e) WARN_UNUSED;
const char *layer_state_dir(const struct layer *l);
const char *layer_dir(const struct layer *l); /* STATE/layers/ID */
int64_t layer_created_unix_ns(const struct layer *l);

#endif
