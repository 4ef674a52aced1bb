/*
 * guard-config - which files of the workspace git's configuration makes it run or read.
 *
 *     struct config_names names;
 *     guard_config_read(workspace, &arena, &names, e);
 *     const char *key = guard_config_key(&names, "tools/hooks/pre-commit");   // "core.hookspath", or NULL
 *
 * No list of names can know them: a hooks directory, an included file, a filter, a file system monitor may lie anywhere. Only read,
 * from the configuration on the host, which no change can touch. Everything belongs to the arena.
 */
#ifndef STEAD_WORKSPACE_GUARD_CONFIG_H
#define STEAD_WORKSPACE_GUARD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"

struct config_name {
    const char *path; /* from the repository's top */
    const char *key;
    bool dir; /* everything below it too */
};

struct config_names {
    const char *prefix; /* from the repository's top to the workspace: "" or "a/b/" */
    struct config_name *items;
    size_t n;
};

/* Without a repository: none. */
int guard_config_read(const char *workspace, struct arena *a, struct config_names *out, struct err *e) WARN_UNUSED;
/* The key that names a path of the workspace, something below it or a directory above it; NULL: none does. */
const char *guard_config_key(const struct config_names *names, const char *path);

#endif
