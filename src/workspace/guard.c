#include "workspace/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/path.h"
#include "workspace/content.h"
#include "workspace/guard-config.h"
#include "workspace/ignore.h"

#define GUARD_FILE "guard/guard.txt"
#define PACKAGE_JSON_BYTES ((size_t)1 << 20)

static const char *const bit_names[] = { "hook", "editor", "agent", "ci", "env", "repo", "link", "install", "policy" };

struct group {
    unsigned bit;
    const char *why;
    const char **patterns;
    size_t n, cap;
};

static struct {
    struct arena arena;
    struct group groups[COUNT_OF(bit_names)];
    size_t n;
    bool loaded, broken;
} list;

const char *guard_name(unsigned bit)
{
    for (size_t i = 0; i < COUNT_OF(bit_names); i++)
        if (bit == 1u << i)
            return bit_names[i];
    return "";
}

static bool header_parse(struct span line, struct group *g)
{
    ptrdiff_t end = span_findc(line, ']');
    if (end < 2)
        return false;
    struct span kind = span_sub(line, 1, (size_t)end - 1);
    for (size_t i = 0; i < COUNT_OF(bit_names); i++)
        if (span_eqs(kind, bit_names[i])) {
            *g = (struct group){ .bit = 1u << i };
            g->why = arena_span(&list.arena, span_trim(span_sub(line, (size_t)end + 1, line.n)));
            return g->why && *g->why;
        }
    return false;
}

static bool load(void)
{
    struct span text = data_find(GUARD_FILE), line;
    arena_init(&list.arena, (size_t)4 << 20);
    if (!text.p)
        return false;
    struct group *g = NULL;
    while (span_line(&text, &line)) {
        line = span_trim(line);
        if (!line.n || line.p[0] == '#')
            continue;
        if (line.p[0] == '[') {
            g = list.n < COUNT_OF(list.groups) ? &list.groups[list.n++] : NULL;
            if (!g || !header_parse(line, g))
                return false;
            continue;
        }
        if (!g || !array_grow(&g->patterns, &g->cap, g->n, 1, sizeof *g->patterns) ||
            !(g->patterns[g->n++] = arena_span(&list.arena, line)))
            return false;
    }
    return list.n > 0;
}

unsigned guard_path(const char *path, struct arena *a, const char **why)
{
    if (!list.loaded) {
        list.broken = !load();
        list.loaded = true;
    }
    if (list.broken) {
        *why = "the guard list (" GUARD_FILE ") cannot be read, so everything is guarded";
        return GUARD_POLICY;
    }
    char *low = arena_strdup(a, path);
    if (!low) {
        *why = "out of memory";
        return GUARD_POLICY;
    }
    for (char *p = low; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    unsigned bits = 0;
    for (size_t i = 0; i < list.n; i++)
        if (ignore_match_patterns(list.groups[i].patterns, list.groups[i].n, low, false)) {
            if (!bits)
                *why = list.groups[i].why;
            bits |= list.groups[i].bit;
        }
    return bits;
}

bool guard_is_git_name(const char *name)
{
    /* HFS+ ignores some characters, NTFS has git~1 and trailing dots and spaces: trees travel */
    if (strncasecmp(name, ".git", 4) == 0) {
        const char *p = name + 4;
        while (*p == ' ' || *p == '.')
            p++;
        if (!*p || *p == ':')
            return true;
    }
    if (strcasecmp(name, "git~1") == 0)
        return true;
    char plain[8];
    size_t n = 0;
    bool odd = false;
    for (const unsigned char *p = (const unsigned char *)name; *p && n < sizeof plain - 1;) {
        bool zero_width = (p[0] == 0xe2 && ((p[1] == 0x80 && ((p[2] >= 0x8c && p[2] <= 0x8f) || (p[2] >= 0xaa && p[2] <= 0xae))) ||
                                            (p[1] == 0x81 && p[2] >= 0xaa && p[2] <= 0xaf))) ||
                          (p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf);
        if (zero_width) {
            odd = true;
            p += 3;
        } else {
            plain[n++] = (char)*p++;
        }
    }
    plain[n] = '\0';
    return odd && strcasecmp(plain, ".git") == 0;
}

/* --- shapes --- */

/* Whether the workspace would have `dir`/`name` (a file, or a directory with something in it) with the change in it. */
static bool would_have(const struct change *c, int fd, struct span dir, const char *name)
{
    AUTO(ptr) char *path = NULL;
    if (asprintf(&path, "%.*s%s%s", (int)dir.n, dir.p, dir.n ? "/" : "", name) < 0) {
        path = NULL;
        return true;
    }
    size_t n = strlen(path);
    for (size_t i = 0; i < c->nfiles; i++) {
        const char *p = c->files[i].path;
        if (c->files[i].now.exists && strncasecmp(p, path, n) == 0 && (!p[n] || p[n] == '/'))
            return true;
    }
    AUTO(fd) int found = path_open_beneath(fd, path, O_PATH | O_NOFOLLOW, 0, 0);
    return found >= 0;
}

static bool is_bare_repository(const struct change *c, int fd, struct span dir)
{
    return would_have(c, fd, dir, "HEAD") &&
           (would_have(c, fd, dir, "objects") || would_have(c, fd, dir, "refs") || would_have(c, fd, dir, "commondir"));
}

/* Files that decide what git does in a directory of a repository's shape: HEAD, config, hooks/... */
static bool makes_repository(const struct change *c, int fd, const char *path)
{
    static const char *const names[] = { "HEAD", "config", "config.worktree", "commondir", "gitdir" };
    struct span dir = path_dir(path);
    if (span_eqs(dir, "."))
        dir = SPAN("");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcasecmp(path_base(path), names[i]) == 0)
            return is_bare_repository(c, fd, dir);
    static const char *const inside[] = { "hooks/", "objects/", "refs/", "info/" };
    for (size_t i = 0; i < COUNT_OF(inside); i++)
        for (const char *p = strcasestr(path, inside[i]); p; p = strcasestr(p + 1, inside[i]))
            if ((p == path || p[-1] == '/') &&
                is_bare_repository(c, fd, (struct span){ path, p == path ? 0 : (size_t)(p - path) - 1 }))
                return true;
    return false;
}

/* Lexically, and strict: a ".." behind a name may climb out through another link. */
static const char *link_leads_out(const char *path, struct span target)
{
    if (!target.n || target.p[0] == '/')
        return "a symbolic link to an absolute path";
    int depth = 0;
    for (const char *p = path; *p; p++)
        depth += *p == '/';
    struct span part;
    bool named = false;
    while (span_split(&target, '/', &part)) {
        if (!part.n || span_eqs(part, "."))
            continue;
        char name[16];
        (void)snprintf(name, sizeof name, "%.*s", (int)(part.n < 15 ? part.n : 15), part.p);
        if (guard_is_git_name(name))
            return "a symbolic link into .git";
        if (!span_eqs(part, "..")) {
            named = true;
            continue;
        }
        if (named || --depth < 0)
            return "a symbolic link that leads out of the workspace";
    }
    return NULL;
}

/* The scripts that npm and its kin run at install time, as one text to compare. */
static void install_scripts(const struct change *c, const struct change_side *side, struct buf *out)
{
    static const char *const names[] = { "preinstall", "install", "postinstall", "prepare", "preprepare",
                                         "postprepare", "prepublish", "dependencies" };
    struct err e = ERR_INIT;
    struct span text;
    AUTO(json) json_t *json = NULL;
    if (!side->exists || !side->stored || side->size > (int64_t)PACKAGE_JSON_BYTES || change_data(c, side, &text, &e) < 0)
        return;
    if (json_parse(text, BIND_TOLERANT, &json, &e) < 0) {
        buf_add_span(out, text); /* not readable: any change counts */
        return;
    }
    const json_t *scripts = json_object_get(json, "scripts");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *s = json_string_value(json_object_get(scripts, names[i]));
        if (s)
            buf_addf(out, "%s=%s\n", names[i], s);
    }
}

static bool changes_install(const struct change *c, const struct change_file *f)
{
    AUTO(buf) struct buf before = BUF_INIT(4 << 20), after = BUF_INIT(4 << 20);
    install_scripts(c, &f->base, &before);
    install_scripts(c, &f->now, &after);
    return after.n && !span_eq(buf_span(&before), buf_span(&after));
}

static void add(struct change_file *f, unsigned bit, const char *why)
{
    if (!f->guard)
        f->guard_why = why;
    f->guard |= bit;
}

int guard_mark(struct change *c, int workspace_fd, const struct strings *protected_paths, struct err *e)
{
    struct config_names names = { .prefix = "" };
    if (c->nfiles && guard_config_read(c->workspace, &c->arena, &names, e) < 0)
        return -(int)e->kind;
    for (size_t i = 0; i < c->nfiles; i++) {
        struct change_file *f = &c->files[i];
        const char *why = "";
        f->guard = 0;
        f->guard_why = "";
        unsigned bits = guard_path(f->path, &c->arena, &why);
        if (!bits && f->kind == CHANGE_RENAMED)
            bits = guard_path(f->old_path, &c->arena, &why);
        if (bits)
            add(f, bits, why);
        const char *key = guard_config_key(&names, f->path);
        if (!key && f->kind == CHANGE_RENAMED)
            key = guard_config_key(&names, f->old_path);
        if (key) {
            const char *text = arena_printf(&c->arena, "git's configuration names it (%s), and git runs or reads it", key);
            add(f, GUARD_HOOK, text ? text : "git's configuration names it");
        }
        if (f->now.exists && makes_repository(c, workspace_fd, f->path))
            add(f, GUARD_REPO, "git would take this directory for a repository and run what its configuration says");
        if (f->now.exists && f->now.symlink) {
            struct span target;
            if (change_data(c, &f->now, &target, e) < 0)
                return err_wrap(e, "'%s'", f->path);
            const char *out = link_leads_out(f->path, target);
            if (out)
                add(f, GUARD_LINK, out);
        }
        if (strcasecmp(path_base(f->path), "package.json") == 0 && !f->now.symlink && changes_install(c, f))
            add(f, GUARD_INSTALL, "package managers run these scripts at install");
        if (protected_paths && protected_paths->len &&
            (ignore_match_patterns(protected_paths->items, protected_paths->len, f->path, false) ||
             ignore_match_patterns(protected_paths->items, protected_paths->len, f->old_path, false)))
            add(f, GUARD_POLICY, "protected by configuration (policy.protected_paths)");
    }
    return 0;
}
