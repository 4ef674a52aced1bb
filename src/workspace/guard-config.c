#include "workspace/guard-config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "workspace/gitlib-internal.h"

#define NAMES_MAX 1000
#define WORD_ENDS " \t\n\"'`;|&()<>=!,$"

/* Keys whose values are places elsewhere, words, or files that are only looked at. A key, or a section with its dot. */
static const char *const harmless[] = {
    "advice.", "blame.ignorerevsfile", "branch.", "color.", "commit.template", "core.excludesfile", "i18n.",
    "init.", "mailmap.", "remote.", "safe.", "submodule.", "url.", "user.",
};

/* Keys whose value is one path as a whole. */
static const struct {
    const char *key, *last; /* the key, or its section and its last part */
    bool dir, beside;       /* beside: relative to the configuration file, else to the top */
} paths[] = {
    { "core.hookspath", NULL, true, false },
    { "include.path", NULL, false, true },
    { "includeif.", ".path", false, true },
};

struct reading {
    struct arena *a;
    struct config_names *out;
    size_t cap;
    const char *top;    /* the directory with .git in it */
    const char *common; /* where the configuration lies */
    bool failed;
};

/* An absolute path without "." and "..", by letters alone. */
static void straighten(char *path)
{
    char *to = path;
    struct span rest = span_of(path), part;
    while (span_split(&rest, '/', &part)) {
        if (!part.n || span_eqs(part, "."))
            continue;
        if (span_eqs(part, "..")) {
            while (to > path && *--to != '/') {}
            continue;
        }
        *to++ = '/';
        memmove(to, part.p, part.n);
        to += part.n;
    }
    *to = '\0';
}

static void add(struct reading *r, const char *from, struct span value, const char *key, bool dir)
{
    struct config_names *o = r->out;
    size_t top = strlen(r->top);
    if (!value.n || value.n > PATH_MAX || value.p[0] == '~' || o->n >= NAMES_MAX)
        return;
    char *path = value.p[0] == '/' ? arena_span(r->a, value) : arena_printf(r->a, "%s/%.*s", from, (int)value.n, value.p);
    if (!path) {
        r->failed = true;
        return;
    }
    straighten(path);
    if (strncmp(path, r->top, top) != 0 || path[top] != '/' || strncmp(path + top, "/.git/", 6) == 0)
        return; /* outside, or where no change goes */
    if (o->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        struct config_name *grown = arena_array(r->a, cap, sizeof *grown);
        if (!grown) {
            r->failed = true;
            return;
        }
        if (o->n)
            memcpy(grown, o->items, o->n * sizeof *grown);
        o->items = grown;
        r->cap = cap;
    }
    char *kept = arena_strdup(r->a, key);
    r->failed |= !kept;
    if (kept)
        o->items[o->n++] = (struct config_name){ path + top + 1, kept, dir };
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static void entry(struct reading *r, const char *key, const char *value)
{
    for (size_t i = 0; i < COUNT_OF(harmless); i++)
        if (ends_with(harmless[i], ".") ? strncmp(key, harmless[i], strlen(harmless[i])) == 0 : strcmp(key, harmless[i]) == 0)
            return;
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (paths[i].last ? strncmp(key, paths[i].key, strlen(paths[i].key)) == 0 && ends_with(key, paths[i].last) : strcmp(key, paths[i].key) == 0) {
            add(r, paths[i].beside ? r->common : r->top, span_of(value), key, paths[i].dir);
            return;
        }
    for (const char *at = value; *at;) { /* a command: any of its words may be a file */
        size_t n = strcspn(at, WORD_ENDS);
        add(r, r->top, (struct span){ at, n }, key, false);
        at += n;
        at += strspn(at, WORD_ENDS);
    }
}

/* First line of a small file, without `prefix`; absolute (relative ones start at `from`). NULL: not such a file. */
static char *line_path(struct arena *a, const char *file, const char *prefix, const char *from)
{
    struct err ignored = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(PATH_MAX + 64);
    if (file_read(file, PATH_MAX + 32, &b, &ignored) < 0)
        return NULL;
    struct span rest = buf_span(&b), line;
    if (!span_line(&rest, &line) || !span_starts(line, prefix))
        return NULL;
    line = span_trim(span_sub(line, strlen(prefix), line.n));
    char *path = line.n && line.p[0] == '/' ? arena_span(a, line) : arena_printf(a, "%s/%.*s", from, (int)line.n, line.p);
    if (path)
        straighten(path);
    return path;
}

/* The repository above (or at) the workspace, as git finds it: *gitdir and where its configuration lies. false: none. */
static bool discover(struct reading *r, const char *workspace, char **gitdir)
{
    struct stat st;
    char *top = arena_strdup(r->a, workspace);
    while (top) {
        char *git = arena_printf(r->a, "%s/.git", top);
        if (git && lstat(git, &st) == 0) {
            *gitdir = S_ISREG(st.st_mode) ? line_path(r->a, git, "gitdir: ", top) : git;
            char *file = *gitdir ? arena_printf(r->a, "%s/commondir", *gitdir) : NULL;
            char *common = file ? line_path(r->a, file, "", *gitdir) : NULL;
            r->top = top;
            r->common = common ? common : *gitdir;
            const char *rest = workspace + strlen(top);
            r->out->prefix = *rest ? arena_printf(r->a, "%s/", rest + 1) : "";
            r->failed |= !r->out->prefix;
            return *gitdir != NULL;
        }
        char *slash = strrchr(top, '/');
        if (!slash || slash == top)
            return false;
        *slash = '\0';
    }
    r->failed = true;
    return false;
}

static void add_file(const struct git_api *g, git_config *cfg, struct arena *a, const char *dir, const char *name, git_config_level_t level)
{
    const char *path = arena_printf(a, "%s/%s", dir, name);
    if (path)
        (void)g->git_config_add_file_ondisk(cfg, path, level, NULL, 1);
}

int guard_config_read(const char *workspace, struct arena *a, struct config_names *out, struct err *e)
{
    AUTO(ptr) char *real = realpath(workspace, NULL);
    char *gitdir = NULL;
    *out = (struct config_names){ .prefix = "" };
    struct reading r = { .a = a, .out = out };
    if (!real || !discover(&r, real, &gitdir))
        return r.failed ? err_set(e, ERR_NOMEM, "cannot read git's configuration: out of memory") : 0;
    const struct git_api *g = gitlib(e);
    git_config *cfg = NULL;
    git_config_iterator *it = NULL;
    git_config_entry *one;
    if (!g)
        return -(int)e->kind;
    if (g->git_config_open_default(&cfg) < 0 && g->git_config_new(&cfg) < 0)
        return gitlib_fail(g, e, "cannot read git's configuration");
    /* not through the repository: one that libgit2 cannot open has a configuration all the same */
    add_file(g, cfg, a, r.common, "config", GIT_CONFIG_LEVEL_LOCAL);
    add_file(g, cfg, a, gitdir, "config.worktree", GIT_CONFIG_LEVEL_APP);
    int rc = g->git_config_iterator_new(&it, cfg);
    while (rc == 0 && g->git_config_next(&one, it) == 0)
        if (one->value)
            entry(&r, one->name, one->value);
    g->git_config_iterator_free(it);
    g->git_config_free(cfg);
    if (rc < 0)
        return gitlib_fail(g, e, "cannot read git's configuration");
    return r.failed ? err_set(e, ERR_NOMEM, "cannot read git's configuration: out of memory") : 0;
}

const char *guard_config_key(const struct config_names *names, const char *path)
{
    size_t skip = strlen(names->prefix), n = skip + strlen(path);
    for (size_t i = 0; i < names->n; i++) {
        const struct config_name *o = &names->items[i];
        size_t k = strlen(o->path);
        if (k < skip || strncasecmp(o->path, names->prefix, skip) != 0)
            continue;
        size_t least = k < n ? k : n;
        if (strncasecmp(o->path + skip, path, least - skip) != 0)
            continue;
        if (k == n || (k > n ? o->path[n] == '/' : o->dir && path[k - skip] == '/'))
            return o->key;
    }
    return NULL;
}
