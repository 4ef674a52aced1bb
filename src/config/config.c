#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "config/config-internal.h"

#define SITE_FILE "/etc/stead/config.yaml"
#define PROJECT_FILE "stead.yaml"
#define PARENTS_MOST 64 /* directories looked at above the workspace */

extern char **environ;

struct config {
    struct arena arena;
    struct yaml_node *root;       /* all sources merged, defaults filled in */
    struct config_values *values; /* libcyaml's, bound from root */
    struct config_file files[3];
    size_t nfiles;
    const char *home, *state_dir, *cache_dir, *journal_path, *project_dir;
};

static int nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "cannot load the configuration: out of memory");
}

/* --- the environment --- */

static const char *env_get(const struct config_options *o, const char *name)
{
    size_t n = strlen(name);
    for (char *const *p = o->env ? o->env : environ; *p; p++)
        if (strncmp(*p, name, n) == 0 && (*p)[n] == '=' && (*p)[n + 1])
            return *p + n + 1;
    return NULL;
}

static const char *find_home(struct config *c, const struct config_options *o)
{
    const char *home = env_get(o, "HOME");
    if (home && *home == '/')
        return home;
    struct passwd pw, *found = NULL;
    char text[2048];
    if (getpwuid_r(getuid(), &pw, text, sizeof text, &found) == 0 && found && found->pw_dir[0] == '/')
        return arena_strdup(&c->arena, found->pw_dir);
    return "/";
}

/* An XDG base directory (absolute, else ignored, as its specification says) or its default below home. */
static const char *xdg(struct config *c, const struct config_options *o, const char *name, const char *below_home)
{
    const char *dir = env_get(o, name);
    if (dir && *dir == '/')
        return arena_printf(&c->arena, "%s/stead", dir);
    return arena_printf(&c->arena, "%s/%s/stead", c->home, below_home);
}

/* "~/x" and relative paths made absolute. */
static const char *absolute(struct config *c, const char *path)
{
    if (!path || *path == '/')
        return path;
    if (path[0] == '~' && (path[1] == '/' || !path[1]))
        return arena_printf(&c->arena, "%s%s", c->home, path + 1);
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    return cwd ? arena_printf(&c->arena, "%s/%s", cwd, path) : path;
}

/* --- the tree --- */

static struct yaml_node *node_create(struct config *c, enum yaml_kind kind, const char *key, const char *file)
{
    struct yaml_node *n = arena_alloc(&c->arena, sizeof *n);
    if (n) {
        n->kind = kind;
        n->key = key;
        n->file = file;
        n->quoted = true; /* "null" on a command line is a word */
    }
    return n;
}

static struct yaml_node *child(const struct yaml_node *mapping, const char *key, size_t n)
{
    for (struct yaml_node *m = mapping->child; m; m = m->next)
        if (m->key && strlen(m->key) == n && memcmp(m->key, key, n) == 0)
            return m;
    return NULL;
}

static void add_child(struct yaml_node *parent, struct yaml_node *n)
{
    struct yaml_node **tail = &parent->child;
    while (*tail)
        tail = &(*tail)->next;
    n->next = NULL;
    *tail = n;
}

/* The mapping in which the last name of "a.b.c" belongs, made where missing; *last is "c". */
static struct yaml_node *section_of(struct config *c, struct yaml_node *root, const char *path, const char *file,
                                    const char **last)
{
    struct yaml_node *at = root;
    const char *dot;
    while (at && (dot = strchr(path, '.'))) {
        struct yaml_node *next = child(at, path, (size_t)(dot - path));
        if (!next) {
            const char *key = arena_span(&c->arena, (struct span){ path, (size_t)(dot - path) });
            next = key ? node_create(c, YAML_MAPPING, key, file) : NULL;
            if (next)
                add_child(at, next);
        }
        at = next;
        path = dot + 1;
    }
    *last = path;
    return at;
}

/* Follows "policy.chains[0].class"; NULL when nothing stands there. */
static const struct yaml_node *find(const struct yaml_node *root, const char *path)
{
    const struct yaml_node *at = root;
    while (at && *path) {
        size_t n = strcspn(path, ".[");
        if (n) {
            at = child(at, path, n);
        } else if (*path == '[') {
            size_t i = 0;
            for (path++; *path >= '0' && *path <= '9'; path++)
                i = i * 10 + (size_t)(*path - '0');
            at = at->child;
            while (at && i--)
                at = at->next;
            n = *path == ']';
        }
        path += n;
        path += *path == '.';
    }
    return at && !yaml_is_null(at) ? at : NULL;
}

static void tag_all(struct yaml_node *n, enum config_level level)
{
    n->tag = (int)level;
    for (struct yaml_node *m = n->child; m; m = m->next)
        tag_all(m, level);
}

/* --- merging one source into what weaker ones said --- */

struct merge {
    struct config *c;
    const struct yaml_node *locked; /* the site's list, or NULL */
    enum config_level level;
    struct buf path;
    struct err *e;
};

static const struct yaml_node *lock_of(const struct yaml_node *locked, const char *path)
{
    for (const struct yaml_node *n = locked ? locked->child : NULL; n; n = n->next) {
        size_t len = strlen(n->text);
        if (strncmp(n->text, path, len) == 0 && strchr(".[", path[len]))
            return n;
    }
    return NULL;
}

static int may_set(struct merge *m, const struct config_key *k, const struct yaml_node *n, const struct yaml_node *now)
{
    const char *path = buf_str(&m->path);
    const struct yaml_node *lock = m->level > CONFIG_SITE ? lock_of(m->locked, path) : NULL;
    if (lock) {
        yaml_fail(m->e, n, path, "locked by %s:%d", lock->file, lock->line);
        err_hint(m->e, "remove it here, or ask whoever looks after this site");
        return -(int)m->e->kind;
    }
    if (k->trust == TRUST_SITE && m->level != CONFIG_SITE) {
        yaml_fail(m->e, n, path, "only the site's file (%s) may set this", SITE_FILE);
        return -(int)m->e->kind;
    }
    if (m->level == CONFIG_PROJECT)
        return config_project_may(k, n, now, path, m->e);
    return 0;
}

/* Append the items of `from` to those of `to`; of the mappings with a name, a later one replaces an earlier. */
static void add_items(struct yaml_node *to, struct yaml_node *from)
{
    for (struct yaml_node *n = from->child, *next; n; n = next) {
        next = n->next;
        const struct yaml_node *name = yaml_get(n, "name");
        struct yaml_node **at = &to->child;
        while (*at) {
            const struct yaml_node *other = name ? yaml_get(*at, "name") : NULL;
            if (other && name->text && other->text && strcmp(other->text, name->text) == 0)
                *at = (*at)->next;
            else
                at = &(*at)->next;
        }
        add_child(to, n);
    }
}

static int merge_mapping(struct merge *m, struct yaml_node *to, struct yaml_node *from);

static int merge_one(struct merge *m, struct yaml_node *to, struct yaml_node *n)
{
    struct yaml_node *now = child(to, n->key, strlen(n->key));
    const struct config_key *k = config_key_find(buf_str(&m->path));
    if (!k) { /* a section */
        if (!now) {
            now = node_create(m->c, YAML_MAPPING, n->key, n->file);
            if (!now)
                return nomem(m->e);
            add_child(to, now);
        }
        return merge_mapping(m, now, n);
    }
    if (may_set(m, k, n, now) < 0)
        return -(int)m->e->kind;
    if (now && k->adds && strcmp(k->path, "classes") != 0) {
        add_items(now, n);
        return 0;
    }
    if (now && k->adds) { /* classes: the same name may come from several sources, all words count */
        while (n->child) {
            struct yaml_node *item = n->child;
            n->child = item->next;
            add_child(now, item);
        }
        return 0;
    }
    if (now) {
        struct yaml_node *next = now->next;
        *now = *n;
        now->next = next;
        return 0;
    }
    add_child(to, n);
    return 0;
}

static int merge_mapping(struct merge *m, struct yaml_node *to, struct yaml_node *from)
{
    size_t before = m->path.n;
    for (struct yaml_node *n = from->child, *next; n; n = next) {
        next = n->next;
        if (yaml_is_null(n))
            continue;
        buf_addf(&m->path, "%s%s", before ? "." : "", n->key);
        if (merge_one(m, to, n) < 0)
            return -(int)m->e->kind;
        buf_truncate(&m->path, before);
    }
    return 0;
}

/* A source's tree: units converted, shape checked, allowed, merged. */
static int take_source(struct config *c, struct yaml_node *tree, enum config_level level, struct err *e)
{
    tag_all(tree, level);
    if (config_convert(tree, &c->arena, e) < 0 || yaml_check(tree, &config_schema, e) < 0)
        return -(int)e->kind;
    struct merge m = { .c = c, .locked = yaml_get(c->root, "locked"), .level = level, .path = BUF_INIT(CONFIG_PATH_LIMIT), .e = e };
    int ret = merge_mapping(&m, c->root, tree);
    buf_finish(&m.path);
    return ret;
}

/* --- files --- */

/* Opened and looked at before it is read: no pipe that never ends, none that others could have written. */
static int open_file(const char *path, enum config_level level, struct err *e)
{
    int how = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (level == CONFIG_PROJECT ? O_NOFOLLOW : 0);
    AUTO(fd) int fd = open(path, how);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        err_sys(e, "cannot read the configuration '%s'", path);
        if (errno == ELOOP)
            err_hint(e, "a project's file must not be a symbolic link");
        return e->sys == ENOENT || e->sys == ENOTDIR ? -ERR_NOT_FOUND : -ERR_USAGE;
    }
    if (!S_ISREG(st.st_mode) && strcmp(path, "/dev/null") != 0)
        return err_set(e, ERR_USAGE, "cannot read the configuration '%s': not a file", path);
    if (level != CONFIG_PROJECT && S_ISREG(st.st_mode) && (st.st_mode & S_IWOTH)) {
        err_set(e, ERR_USAGE, "the configuration '%s' may be written by everybody", path);
        err_hint(e, "chmod o-w %s", path);
        return -ERR_USAGE;
    }
    return take_fd(&fd);
}

static int read_file(struct config *c, enum config_level level, const char *path, bool must_exist, struct err *e)
{
    struct config_file *f = &c->files[c->nfiles++];
    *f = (struct config_file){ level, path, false };
    AUTO(fd) int fd = open_file(path, level, e);
    if (fd < 0) {
        if (fd == -ERR_NOT_FOUND && !must_exist) {
            err_reset(e);
            return 0;
        }
        e->kind = ERR_USAGE;
        return -ERR_USAGE;
    }
    f->exists = true;
    AUTO(buf) struct buf text = BUF_INIT(YAML_LIMIT + 1);
    struct yaml_node *tree;
    if (file_read_fd(fd, path, YAML_LIMIT, &text, e) < 0) {
        e->kind = ERR_USAGE;
        return -ERR_USAGE;
    }
    if (yaml_parse(path, buf_span(&text), &c->arena, &tree, e) < 0)
        return -(int)e->kind;
    return take_source(c, tree, level, e);
}

/* stead.yaml at or above the workspace, not above the repository's top, nor the home directory. */
static int read_project(struct config *c, const char *workspace, struct err *e)
{
    AUTO(buf) struct buf dir = BUF_INIT(8192), file = BUF_INIT(8192);
    buf_adds(&dir, workspace);
    c->project_dir = arena_strdup(&c->arena, workspace);
    for (int i = 0; i < PARENTS_MOST && c->project_dir; i++) {
        struct stat st;
        buf_reset(&file);
        buf_addf(&file, "%s/" PROJECT_FILE, dir.n > 1 ? buf_str(&dir) : "");
        bool here = lstat(buf_str(&file), &st) == 0;
        const char *path = arena_strdup(&c->arena, buf_str(&file));
        buf_reset(&file);
        buf_addf(&file, "%s/.git", buf_str(&dir));
        bool top = lstat(buf_str(&file), &st) == 0;
        if (here || top)
            c->project_dir = arena_strdup(&c->arena, buf_str(&dir));
        if (here && path)
            return read_file(c, CONFIG_PROJECT, path, false, e);
        struct span up = path_dir(buf_str(&dir));
        if (top || dir.n <= 1 || up.n >= dir.n || strcmp(buf_str(&dir), c->home) == 0)
            break;
        buf_truncate(&dir, up.n ? up.n : 1);
    }
    const char *none = arena_printf(&c->arena, "%s/" PROJECT_FILE, c->project_dir ? c->project_dir : workspace);
    if (!none || !c->project_dir)
        return nomem(e);
    c->files[c->nfiles++] = (struct config_file){ CONFIG_PROJECT, none, false };
    return 0;
}

/* --- environment and options --- */

static int set_one(struct config *c, enum config_level level, const char *path, const char *value, const char *source,
                   struct err *e)
{
    const struct config_key *k = config_key_find(path);
    struct yaml_node *root = node_create(c, YAML_MAPPING, NULL, source);
    const char *last = path;
    struct yaml_node *section = root ? section_of(c, root, path, source, &last) : NULL;
    if (!section)
        return nomem(e);
    if (!k || k->kind == KEY_ITEMS || strchr(path, '[')) {
        err_set(e, ERR_USAGE, "%s: there is no key '%s' that takes one value", source, path);
        err_hint(e, "`stead config show` lists the keys");
        return -(int)e->kind;
    }
    struct yaml_node *n = node_create(c, k->kind == KEY_LIST ? YAML_SEQUENCE : YAML_SCALAR, arena_strdup(&c->arena, last), source);
    if (!n)
        return nomem(e);
    add_child(section, n);
    struct span rest = span_of(value), item;
    if (k->kind != KEY_LIST)
        n->text = arena_strdup(&c->arena, value);
    while (k->kind == KEY_LIST && span_split(&rest, ',', &item)) {
        struct yaml_node *one = node_create(c, YAML_SCALAR, NULL, source);
        if (!one || !(one->text = arena_span(&c->arena, span_trim(item))))
            return nomem(e);
        add_child(n, one);
    }
    if (k->kind != KEY_LIST && !n->text)
        return nomem(e);
    return take_source(c, root, level, e);
}

static int read_environment(struct config *c, const struct config_options *o, struct err *e)
{
    static const struct {
        const char *name, *key;
    } rows[] = {
        { "STEAD_ENDPOINT", "endpoint" },
        { "STEAD_MODEL", "model" },
        { "STEAD_STATE_DIR", "paths.state" },
        { "STEAD_CACHE_DIR", "paths.cache" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *value = env_get(o, rows[i].name);
        const char *source = value ? arena_printf(&c->arena, "environment %s", rows[i].name) : NULL;
        if (value && !source)
            return nomem(e);
        if (value && set_one(c, CONFIG_ENV, rows[i].key, value, source, e) < 0)
            return -(int)e->kind;
    }
    return 0;
}

static int fill_defaults(struct config *c, struct err *e)
{
    for (const struct config_key *k = config_keys; k->path; k++)
        if (k->fallback && !find(c->root, k->path) && set_one(c, CONFIG_DEFAULT, k->path, k->fallback, "default", e) < 0)
            return -(int)e->kind;
    return 0;
}

static int read_sources(struct config *c, const struct config_options *o, struct err *e)
{
    const char *user = o->file, *named = env_get(o, "STEAD_CONFIG");
    bool must = user || named;
    if (!user)
        user = named ? named : arena_printf(&c->arena, "%s/config.yaml", xdg(c, o, "XDG_CONFIG_HOME", ".config"));
    user = absolute(c, user);
    if (!user)
        return nomem(e);
    if (read_file(c, CONFIG_SITE, o->site_file ? o->site_file : SITE_FILE, false, e) < 0 ||
        read_file(c, CONFIG_USER, user, must, e) < 0)
        return -(int)e->kind;
    if (o->workspace && read_project(c, o->workspace, e) < 0)
        return -(int)e->kind;
    if (read_environment(c, o, e) < 0)
        return -(int)e->kind;
    for (size_t i = 0; i < o->nset; i++)
        if (set_one(c, CONFIG_OPTION, o->set[i].key, o->set[i].value, o->set[i].source, e) < 0)
            return -(int)e->kind;
    return fill_defaults(c, e);
}

static int find_directories(struct config *c, const struct config_options *o, struct err *e)
{
    const struct config_values *v = c->values;
    c->state_dir = v->paths.state ? absolute(c, v->paths.state) : xdg(c, o, "XDG_STATE_HOME", ".local/state");
    c->cache_dir = v->paths.cache ? absolute(c, v->paths.cache) : xdg(c, o, "XDG_CACHE_HOME", ".cache");
    c->journal_path = c->state_dir ? arena_printf(&c->arena, "%s/journal.db", c->state_dir) : NULL;
    return c->journal_path && c->cache_dir ? 0 : nomem(e);
}

int config_load(const struct config_options *o, struct config **out, struct err *e)
{
    AUTO(config) struct config *c = calloc(1, sizeof *c);
    if (!c)
        return nomem(e);
    arena_init(&c->arena, (size_t)256 << 20); /* three files of a megabyte as trees */
    c->home = find_home(c, o);
    c->root = node_create(c, YAML_MAPPING, NULL, "default");
    if (!c->root || !c->home)
        return nomem(e);
    void *values = NULL;
    if (read_sources(c, o, e) < 0 || config_check_whole(c->root, e) < 0 || yaml_check(c->root, &config_schema, e) < 0 ||
        yaml_bind(c->root, &config_schema, &values, e) < 0)
        return -(int)e->kind;
    c->values = values;
    if (find_directories(c, o, e) < 0)
        return -(int)e->kind;
    *out = TAKE(c);
    return 0;
}

void config_destroy(struct config *c)
{
    if (!c)
        return;
    yaml_destroy(&config_schema, c->values);
    arena_finish(&c->arena);
    free(c);
}

/* --- reading it --- */

const struct config_values *config_values(const struct config *c)
{
    return c->values;
}

const char *config_state_dir(const struct config *c)
{
    return c->state_dir;
}

const char *config_cache_dir(const struct config *c)
{
    return c->cache_dir;
}

const char *config_journal_path(const struct config *c)
{
    return c->journal_path;
}

const char *config_project_dir(const struct config *c)
{
    return c->project_dir;
}

size_t config_files(const struct config *c, const struct config_file **out)
{
    *out = c->files;
    return c->nfiles;
}

const char *config_level_name(enum config_level level)
{
    static const char *const names[] = {
        [CONFIG_DEFAULT] = "default", [CONFIG_SITE] = "site", [CONFIG_USER] = "user",
        [CONFIG_PROJECT] = "project", [CONFIG_ENV] = "environment", [CONFIG_OPTION] = "option",
    };
    return (size_t)level < COUNT_OF(names) ? names[level] : "?";
}

const char *config_source(const struct config *c, const char *key)
{
    const struct yaml_node *n = find(c->root, key);
    if (!n)
        return "default";
    if (n->line <= 0)
        return n->file;
    /* the arena only grows: a cast to add a string to it changes nothing that was promised */
    struct arena *a = (struct arena *)(uintptr_t)&c->arena;
    const char *s = arena_printf(a, "%s:%d", n->file, n->line);
    return s ? s : n->file;
}

struct each {
    const struct config *c;
    int (*fn)(void *ctx, const struct config_value *v);
    void *ctx;
    struct buf path;
};

static int each_node(struct each *x, const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR) {
        const char *key = buf_str(&x->path);
        struct config_value v = {
            .key = key, .text = n->text, .source = config_source(x->c, key), .level = (enum config_level)n->tag,
            .locked = lock_of(yaml_get(x->c->root, "locked"), key) != NULL,
        };
        return x->fn(x->ctx, &v);
    }
    size_t before = x->path.n, i = 0;
    for (const struct yaml_node *m = n->child; m; m = m->next) {
        if (n->kind == YAML_MAPPING)
            buf_addf(&x->path, ".%s", m->key);
        else
            buf_addf(&x->path, "[%zu]", i++);
        int ret = yaml_is_null(m) ? 0 : each_node(x, m);
        buf_truncate(&x->path, before);
        if (ret != 0)
            return ret;
    }
    return 0;
}

int config_each(const struct config *c, int (*fn)(void *ctx, const struct config_value *v), void *ctx)
{
    struct each x = { c, fn, ctx, BUF_INIT(CONFIG_PATH_LIMIT) };
    int ret = 0;
    for (const struct config_key *k = config_keys; k->path && ret == 0; k++) {
        const struct yaml_node *n = strchr(k->path, '[') ? NULL : find(c->root, k->path);
        buf_reset(&x.path);
        buf_adds(&x.path, k->path);
        if (n)
            ret = each_node(&x, n);
    }
    buf_finish(&x.path);
    return ret;
}
