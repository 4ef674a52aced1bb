/* change-internal - the parts of a change that its own files share. Private to workspace/. */
#ifndef STEAD_WORKSPACE_CHANGE_INTERNAL_H
#define STEAD_WORKSPACE_CHANGE_INTERNAL_H

#include "workspace/change.h"

#define CHANGE_ARENA_BYTES ((size_t)256 << 20)

/* An empty change with a fresh id. */
int change_create(const char *workspace, struct change **out, struct err *e) WARN_UNUSED;
/* Sort the files and compute the hash: after this the change is fixed. */
void change_seal(struct change *c);
/* Join deleted and added files into renames (rename.c). */
int change_find_renames(struct change *c, struct err *e) WARN_UNUSED;
/* The paths that one upper directory touches, sorted; cheap, nothing is read. */
int change_paths(const char *workspace, int upper, struct arena *a, size_t max, struct strings *out,
                 struct err *e) WARN_UNUSED;

/* A path as JSON: a string, or {"hex": "..."} where it is not UTF-8; and back (malloc'd, NULL when it is neither). */
json_t *json_path_value(const char *path);
char *json_path_get(const json_t *value);
/* One side as JSON (null when it does not exist), and back. */
json_t *change_side_json(const struct change_side *s);
int change_side_load(const json_t *json, struct change_side *out, struct arena *a, struct err *e) WARN_UNUSED;

#endif
