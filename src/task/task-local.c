#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "route/route.h"
#include "task/task.h"

/*
 * What must stay on this machine: a workspace with a mark (.stead-local) in it or in a directory above it, or at or below an
 * entry of policy.local_only_paths; and of a workspace that may be sent the files below such a mark or entry (a submodule, a
 * package). Symbolic links are followed on both sides: /srv/app is kept where ~/clients, which is kept, leads to it.
 */

#define MARK ".stead-local"

static bool is_marked(const char *dir)
{
    AUTO(ptr) char *mark = path_join(dir, MARK);
    return mark && access(mark, F_OK) == 0;
}

/* The directory above, in place; false at the root. */
static bool go_up(char *dir)
{
    char *slash = strrchr(dir, '/');
    if (!slash || !dir[1])
        return false;
    *(slash == dir ? slash + 1 : slash) = '\0';
    return true;
}

static bool is_at_or_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0' || n == 1);
}

/* An absolute or ~ entry with its links followed, as far as it is there; false for a relative one. */
static bool entry_path(const char *entry, char out[PATH_MAX])
{
    const char *home = getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
    bool in_home = entry[0] == '~' && (entry[1] == '/' || !entry[1]);
    int n = in_home && home ? snprintf(out, PATH_MAX, "%s%s", home, entry + 1) : snprintf(out, PATH_MAX, "%s", entry);
    if (n < 0 || n >= PATH_MAX || out[0] != '/')
        return false;
    char *real = realpath(out, NULL);
    if (real)
        (void)snprintf(out, PATH_MAX, "%s", real);
    free(real);
    return true;
}

static bool is_kept_by_policy(const struct config_policy *p, const char *path)
{
    char entry[PATH_MAX];
    for (size_t i = 0; i < p->nlocal_only_paths; i++)
        if (entry_path(p->local_only_paths[i], entry) && is_at_or_below(path, entry))
            return true;
    return false;
}

const char *task_stays_local(const struct config_policy *p, const char *workspace)
{
    AUTO(ptr) char *real = realpath(workspace, NULL);
    AUTO(ptr) char *dir = strdup(real ? real : workspace);
    const char *home = getenv("HOME"); // NOLINT(concurrency-mt-unsafe)
    if (!dir)
        return "no memory to look for marks";
    if (route_local_only(p, workspace, home) || is_kept_by_policy(p, dir))
        return "nothing may leave this directory (policy.local_only_paths)";
    do
        if (is_marked(dir))
            return "marked by " MARK;
    while (go_up(dir));
    return NULL;
}

bool task_path_stays_local(const struct config_policy *p, const char *workspace, const char *path, char real[TASK_PATH])
{
    AUTO(ptr) char *whole = path[0] == '/' ? strdup(path) : path_join(workspace, path);
    AUTO(ptr) char *found = whole ? realpath(whole, NULL) : NULL;
    AUTO(ptr) char *root = realpath(workspace, NULL);
    AUTO(ptr) char *dir = strdup(found ? found : whole ? whole : "");
    real[0] = '\0';
    if (!dir || !root || !whole)
        return true;
    bool inside = is_at_or_below(dir, root);
    (void)snprintf(real, TASK_PATH, "%s", inside && dir[strlen(root)] ? dir + strlen(root) + 1 : dir);
    if (is_kept_by_policy(p, dir))
        return true;
    while (inside && go_up(dir) && strlen(dir) > strlen(root))
        if (is_marked(dir))
            return true;
    return false;
}
