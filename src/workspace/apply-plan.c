#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "workspace/apply-internal.h"
#include "workspace/change-internal.h"
#include "workspace/content.h"
#include "workspace/guard.h"

#define PLAN_JSON_BYTES ((size_t)256 << 20)

bool side_same(const struct change_side *a, const struct change_side *b)
{
    if (!a->exists || !b->exists)
        return a->exists == b->exists;
    return a->symlink == b->symlink && a->size == b->size && strcmp(a->hash.s, b->hash.s) == 0;
}

void plan_finish(struct plan *p)
{
    content_destroy(p->content);
    p->content = NULL;
    fd_close(&p->dir_fd);
    fd_close(&p->ws_fd);
}

static int plan_path(const char *state_dir, const char *id, const char *name, char **out, struct err *e)
{
    if (id[0] != 'p' || strchr(id, '/') || strlen(id) >= ID_SIZE)
        return err_set(e, ERR_INPUT, "'%.40s' is not an apply's identifier", id);
    if (asprintf(out, "%s/applies/%s%s%s", state_dir, id, *name ? "/" : "", name) < 0) {
        *out = NULL;
        return err_set(e, ERR_NOMEM, "cannot apply: out of memory");
    }
    return 0;
}

static int open_dir(struct plan *p, const char *state_dir, struct err *e)
{
    AUTO(ptr) char *dir = NULL;
    if (plan_path(state_dir, p->id, "", &dir, e) < 0)
        return -(int)e->kind;
    p->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return p->dir_fd < 0 ? err_sys(e, "cannot open '%s'", dir) : 0;
}

int plan_begin(struct plan *p, const char *state_dir, const char *workspace, struct arena *a, struct err *e)
{
    AUTO(ptr) char *dir = NULL;
    id_make("p", p->id);
    p->created_unix_ms = clock_unix_ms();
    p->workspace = arena_strdup(a, workspace);
    if (!p->workspace)
        return err_set(e, ERR_NOMEM, "cannot apply: out of memory");
    if (plan_path(state_dir, p->id, "", &dir, e) < 0 || path_mkdirs(dir, 0700, e) < 0 || open_dir(p, state_dir, e) < 0)
        return -(int)e->kind;
    return content_create(dir, &p->content, e);
}

int plan_open_workspace(struct plan *p, struct err *e)
{
    p->ws_fd = open(p->workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return p->ws_fd < 0 ? err_sys(e, "cannot open the workspace '%s'", p->workspace) : 0;
}

static json_t *plan_json(const struct plan *p)
{
    json_t *ops = json_array(), *made = json_array();
    for (size_t i = 0; i < p->n; i++)
        (void)json_array_append_new(ops, json_pack("{s:o,s:o,s:o,s:I,s:I}", "path", json_path_value(p->ops[i].path),
                                                   "old", change_side_json(&p->ops[i].old), "now",
                                                   change_side_json(&p->ops[i].now), "uid",
                                                   (json_int_t)p->ops[i].uid, "gid", (json_int_t)p->ops[i].gid));
    for (size_t i = 0; i < p->made.len; i++)
        (void)json_array_append_new(made, json_path_value(p->made.items[i]));
    return json_pack("{s:i,s:s,s:s,s:s,s:o,s:I,s:o,s:o}", "v", 1, "id", p->id, "change", p->change, "reverts",
                     p->reverts, "workspace", json_path_value(p->workspace), "created_ms",
                     (json_int_t)p->created_unix_ms, "made", made, "ops", ops);
}

static int write_json(const char *state_dir, const char *id, const char *name, const json_t *doc, struct err *e)
{
    AUTO(ptr) char *path = NULL;
    AUTO(buf) struct buf b = BUF_INIT(PLAN_JSON_BYTES);
    if (plan_path(state_dir, id, name, &path, e) < 0)
        return -(int)e->kind;
    if (!doc || !buf_add_json_value(&b, doc) || !buf_addc(&b, '\n'))
        return err_set(e, ERR_NOMEM, "cannot write '%s': out of memory", path);
    return file_write_atomic(path, buf_span(&b), 0600, true, e);
}

int plan_commit(struct plan *p, const char *state_dir, struct err *e)
{
    AUTO(ptr) char *applies = path_join(state_dir, "applies");
    AUTO(json) json_t *doc = plan_json(p);
    if (content_save(p->content, p->dir_fd, "content", e) < 0)
        return err_wrap(e, "cannot write down what will be applied");
    if (fsync(p->dir_fd) < 0)
        return err_sys(e, "cannot write down what will be applied");
    if (write_json(state_dir, p->id, "plan.json", doc, e) < 0)
        return err_wrap(e, "cannot write down what will be applied");
    /* the directory's own name */
    AUTO(fd) int fd = applies ? open(applies, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0)
        (void)fsync(fd);
    return 0;
}

void plan_drop(struct plan *p, const char *state_dir)
{
    AUTO(ptr) char *dir = NULL;
    struct err ignored = ERR_INIT; /* what stays is swept by apply_resume */
    if (*p->id && plan_path(state_dir, p->id, "", &dir, &ignored) == 0)
        (void)path_remove_tree(AT_FDCWD, dir, &ignored);
    p->id[0] = '\0';
}

int plan_status(const char *state_dir, const char *id, char out[16], struct err *e)
{
    AUTO(ptr) char *path = NULL;
    AUTO(buf) struct buf text = BUF_INIT(8192);
    AUTO(json) json_t *doc = NULL;
    (void)snprintf(out, 16, "running");
    if (plan_path(state_dir, id, "status.json", &path, e) < 0)
        return -(int)e->kind;
    struct err missing = ERR_INIT;
    if (file_read(path, 4096, &text, &missing) < 0) {
        if (missing.sys == ENOENT)
            return 0;
        *e = missing;
        return -(int)e->kind;
    }
    if (json_parse(buf_span(&text), BIND_TOLERANT, &doc, e) < 0)
        return err_wrap(e, "'%s'", path);
    const char *status = json_string_value(json_object_get(doc, "status"));
    if (status)
        (void)snprintf(out, 16, "%s", status);
    return 0;
}

int plan_set_status(const char *state_dir, const char *id, const char *status, struct err *e)
{
    AUTO(json) json_t *doc = json_pack("{s:s}", "status", status);
    return write_json(state_dir, id, "status.json", doc, e);
}

/* A path that apply may open: relative, and nowhere in a .git. */
static bool path_allowed(const char *path)
{
    struct span rest = span_of(path), part;
    if (!path_is_safe_relative(path))
        return false;
    while (span_split(&rest, '/', &part)) {
        AUTO(ptr) char *name = span_dup(part);
        if (!name || guard_is_git_name(name))
            return false;
    }
    return true;
}

static int load_op(const json_t *j, struct op *op, struct arena *a, struct err *e)
{
    AUTO(ptr) char *path = json_path_get(json_object_get(j, "path"));
    const json_t *uid = json_object_get(j, "uid"), *gid = json_object_get(j, "gid");
    if (!path || !path_allowed(path) || !(op->path = arena_strdup(a, path)))
        return err_set(e, ERR_INPUT, "a path is not one of the workspace");
    op->uid = json_is_integer(uid) ? json_integer_value(uid) : -1;
    op->gid = json_is_integer(gid) ? json_integer_value(gid) : -1;
    return change_side_load(json_object_get(j, "old"), &op->old, a, e) < 0 ||
                   change_side_load(json_object_get(j, "now"), &op->now, a, e) < 0
               ? -(int)e->kind
               : 0;
}

static int load_made(struct plan *p, const json_t *made, struct arena *a, struct err *e)
{
    size_t n = json_array_size(made);
    p->made.items = n ? arena_array(a, n, sizeof *p->made.items) : NULL;
    for (size_t i = 0; i < n; i++) {
        AUTO(ptr) char *path = json_path_get(json_array_get(made, i));
        if (!p->made.items || !path || !path_allowed(path) || !(p->made.items[p->made.len++] = arena_strdup(a, path)))
            return err_set(e, ERR_INPUT, "a path is not one of the workspace");
    }
    return 0;
}

static void copy_id(char out[ID_SIZE], const json_t *value)
{
    const char *s = json_string_value(value);
    (void)snprintf(out, ID_SIZE, "%s", s ? s : "");
}

int plan_load(struct plan *p, const char *state_dir, const char *id, struct arena *a, struct err *e)
{
    AUTO(ptr) char *path = NULL, *workspace = NULL;
    AUTO(buf) struct buf text = BUF_INIT(PLAN_JSON_BYTES + 65536);
    AUTO(json) json_t *doc = NULL;
    (void)snprintf(p->id, sizeof p->id, "%s", id);
    if (plan_path(state_dir, id, "plan.json", &path, e) < 0 || file_read(path, PLAN_JSON_BYTES, &text, e) < 0 ||
        json_parse(buf_span(&text), BIND_TOLERANT, &doc, e) < 0)
        return err_wrap(e, "apply '%.40s'", id);
    copy_id(p->change, json_object_get(doc, "change"));
    copy_id(p->reverts, json_object_get(doc, "reverts"));
    workspace = json_path_get(json_object_get(doc, "workspace"));
    p->workspace = workspace ? arena_strdup(a, workspace) : NULL;
    p->created_unix_ms = json_integer_value(json_object_get(doc, "created_ms"));
    const json_t *ops = json_object_get(doc, "ops");
    size_t n = json_array_size(ops);
    p->ops = n ? arena_array(a, n, sizeof *p->ops) : NULL;
    if (!p->workspace || (n && !p->ops))
        return err_set(e, ERR_INPUT, "apply '%s': the plan is not readable", id);
    for (; p->n < n; p->n++)
        if (load_op(json_array_get(ops, p->n), &p->ops[p->n], a, e) < 0)
            return err_wrap(e, "apply '%s': file %zu", id, p->n);
    if (load_made(p, json_object_get(doc, "made"), a, e) < 0 || open_dir(p, state_dir, e) < 0 ||
        content_open(p->dir_fd, "content", &p->content, e) < 0)
        return err_wrap(e, "apply '%s'", id);
    return 0;
}

int plan_lock(const char *state_dir, const char *workspace, bool wait, struct err *e)
{
    AUTO(ptr) char *dir = path_join(state_dir, "applies"), *path = NULL;
    struct hash_hex h = hash_bytes(workspace, strlen(workspace));
    if (!dir || asprintf(&path, "%s/lock-%.16s", dir, h.s) < 0) {
        path = NULL;
        return err_set(e, ERR_NOMEM, "cannot lock '%s': out of memory", workspace);
    }
    if (path_mkdirs(dir, 0700, e) < 0)
        return -(int)e->kind;
    AUTO(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, "cannot lock '%s'", workspace);
    if (flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(e, ERR_UNAVAILABLE, "another stead applies a change to '%s'", workspace)
                                    : err_sys(e, "cannot lock '%s'", workspace);
    return take_fd(&fd);
}
