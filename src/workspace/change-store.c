#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "base/utf8.h"
#include "workspace/change-internal.h"
#include "workspace/content.h"
#include "workspace/guard.h"

/*
 * STATE/changes/ID/
 *   change.json    what struct change holds, written once
 *   content        the bytes (content.h)
 *   status.json    {"status":..., "apply":...}, replaced
 *   results.json   gates and findings, replaced
 * A directory without change.json is one whose saving was interrupted: it does not exist for readers.
 */
#define CHANGE_JSON_BYTES ((size_t)256 << 20)
#define RESULTS_BYTES ((size_t)64 << 20)
#define PREFIX_MIN 4 /* of an abbreviated identifier */

json_t *json_path_value(const char *path)
{
    struct span s = span_of(path);
    if (utf8_valid(s))
        return json_stringn(s.p, s.n);
    AUTO(buf) struct buf hex = BUF_INIT(2 * PATH_MAX + 16);
    for (size_t i = 0; i < s.n; i++)
        buf_addf(&hex, "%02x", (unsigned char)s.p[i]);
    return hex.failed ? NULL : json_pack("{s:s}", "hex", buf_str(&hex));
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *json_path_get(const json_t *value)
{
    if (json_is_string(value))
        return strlen(json_string_value(value)) == json_string_length(value) ? strdup(json_string_value(value)) : NULL;
    const char *hex = json_string_value(json_object_get(value, "hex"));
    size_t n = hex ? strlen(hex) : 1;
    if (n % 2)
        return NULL;
    AUTO(ptr) char *out = calloc(1, n / 2 + 1);
    for (size_t i = 0; out && i < n; i += 2) {
        int high = digit(hex[i]), low = digit(hex[i + 1]);
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return NULL;
        out[i / 2] = (char)(high * 16 + low);
    }
    return TAKE(out);
}

/* --- writing --- */

json_t *change_side_json(const struct change_side *s)
{
    if (!s->exists)
        return json_null();
    return json_pack("{s:b,s:b,s:b,s:i,s:I,s:I,s:s,s:I}", "link", s->symlink, "stored", s->stored, "binary", s->binary,
                     "mode", (int)s->mode, "size", (json_int_t)s->size, "mtime_ns", (json_int_t)s->mtime_ns, "hash",
                     s->hash.s, "offset", (json_int_t)s->offset);
}

static json_t *change_to_json(const struct change *c)
{
    json_t *files = json_array(), *notes = json_array();
    for (size_t i = 0; i < c->nfiles; i++) {
        const struct change_file *f = &c->files[i];
        (void)json_array_append_new(
            files, json_pack("{s:o,s:o,s:s,s:i,s:s,s:b,s:i,s:I,s:I,s:o,s:o}", "path", json_path_value(f->path), "old_path",
                             json_path_value(f->old_path), "kind", change_kind_name(f->kind), "guard", (int)f->guard,
                             "why", f->guard_why, "moved", f->base_moved, "similarity", f->similarity, "added",
                             (json_int_t)f->added, "removed", (json_int_t)f->removed, "base", change_side_json(&f->base), "now",
                             change_side_json(&f->now)));
    }
    for (size_t i = 0; i < c->nnotes; i++)
        (void)json_array_append_new(notes, json_pack("{s:s,s:o,s:s}", "kind", change_note_name(c->notes[i].kind), "path",
                                                     json_path_value(c->notes[i].path), "text", c->notes[i].text));
    return json_pack("{s:i,s:s,s:s,s:s,s:s,s:o,s:s,s:I,s:s,s:I,s:o,s:o}", "v", 1, "id", c->id, "session", c->session,
                     "layer", c->layer, "parent", c->parent, "workspace", json_path_value(c->workspace), "task", c->task,
                     "created_ms", (json_int_t)c->created_unix_ms, "hash", c->hash.s, "excluded",
                     (json_int_t)c->nexcluded, "files", files, "notes", notes);
}

static int change_path(const char *state_dir, const char *id, const char *name, char **out, struct err *e)
{
    if (id[0] != 'c' || strchr(id, '/') || strlen(id) >= ID_SIZE)
        return err_set(e, ERR_INPUT, "'%s' is not a change's identifier", id);
    if (asprintf(out, "%s/changes/%s%s%s", state_dir, id, *name ? "/" : "", name) < 0) {
        *out = NULL;
        return err_set(e, ERR_NOMEM, "cannot find change '%s': out of memory", id);
    }
    return 0;
}

static int write_json(const char *state_dir, const char *id, const char *name, const json_t *doc, size_t limit,
                      struct err *e)
{
    AUTO(ptr) char *path = NULL;
    AUTO(buf) struct buf b = BUF_INIT(limit);
    if (change_path(state_dir, id, name, &path, e) < 0)
        return -(int)e->kind;
    if (!doc || !buf_add_json_value(&b, doc) || !buf_addc(&b, '\n'))
        return err_set(e, ERR_NOMEM, "cannot write '%s': out of memory", path);
    return file_write_atomic(path, buf_span(&b), 0600, true, e);
}

int change_save(struct change *c, const char *state_dir, struct err *e)
{
    AUTO(ptr) char *dir = NULL;
    if (change_path(state_dir, c->id, "", &dir, e) < 0)
        return -(int)e->kind;
    if (path_mkdirs(dir, 0700, e) < 0)
        return err_wrap(e, "cannot save change '%s'", c->id);
    AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot save change '%s'", c->id);
    if (c->content && content_save(c->content, fd, "content", e) < 0)
        return err_wrap(e, "cannot save change '%s'", c->id);
    AUTO(json) json_t *doc = change_to_json(c);
    if (write_json(state_dir, c->id, "change.json", doc, CHANGE_JSON_BYTES, e) < 0)
        return err_wrap(e, "cannot save change '%s'", c->id);
    return 0;
}

int change_set_status(const char *state_dir, const char *id, enum change_status status, const char *apply_id,
                      struct err *e)
{
    AUTO(json) json_t *doc =
        json_pack("{s:s,s:s}", "status", change_status_name(status), "apply", apply_id ? apply_id : "");
    return write_json(state_dir, id, "status.json", doc, 4096, e);
}

int change_set_results(const char *state_dir, const char *id, struct span json, struct err *e)
{
    AUTO(json) json_t *doc = NULL;
    if (json_parse(json, BIND_TOLERANT, &doc, e) < 0)
        return err_wrap(e, "results of change '%s'", id);
    if (!json_is_object(doc))
        return err_set(e, ERR_INPUT, "results of change '%s': expected an object", id);
    return write_json(state_dir, id, "results.json", doc, RESULTS_BYTES, e);
}

/* --- reading --- */

struct side_row {
    bool link, stored, binary;
    int64_t mode, size, mtime_ns, offset;
    const char *hash;
};
static const struct field side_fields[] = {
    { "link", FIELD_BOOL, FIELD(side_row, link), FIELD_REQUIRED, 0, 0, "symbolic link" },
    { "stored", FIELD_BOOL, FIELD(side_row, stored), FIELD_REQUIRED, 0, 0, "content kept" },
    { "binary", FIELD_BOOL, FIELD(side_row, binary), FIELD_REQUIRED, 0, 0, "not text" },
    { "mode", FIELD_I64, FIELD(side_row, mode), FIELD_REQUIRED, 0, 0777, "permission bits" },
    { "size", FIELD_I64, FIELD(side_row, size), FIELD_REQUIRED, 0, INT64_MAX, "bytes" },
    { "mtime_ns", FIELD_I64, FIELD(side_row, mtime_ns), 0, 0, 0, "modification time" },
    { "hash", FIELD_STRING, FIELD(side_row, hash), FIELD_REQUIRED, 64, 64, "SHA-256" },
    { "offset", FIELD_I64, FIELD(side_row, offset), FIELD_REQUIRED, 0, INT64_MAX, "in the content" },
    { 0 },
};

struct file_row {
    const json_t *path, *old_path, *base, *now;
    int kind;
    int64_t guard, similarity, added, removed;
    const char *why;
    bool moved;
};
static const char *const kind_values[] = { "added", "modified", "deleted", "renamed", "mode", NULL };
static const struct field file_fields[] = {
    { "path", FIELD_JSON, FIELD(file_row, path), FIELD_REQUIRED, 0, 0, "path" },
    { "old_path", FIELD_JSON, FIELD(file_row, old_path), FIELD_REQUIRED, 0, 0, "path before" },
    { "kind", FIELD_ENUM, FIELD(file_row, kind), FIELD_REQUIRED, 0, 0, "what happens", .names = kind_values },
    { "guard", FIELD_I64, FIELD(file_row, guard), 0, 0, 0xffff, "bits of enum change_guard" },
    { "why", FIELD_STRING, FIELD(file_row, why), 0, 0, 1000, "why guarded" },
    { "moved", FIELD_BOOL, FIELD(file_row, moved), 0, 0, 0, "base changed meanwhile" },
    { "similarity", FIELD_I64, FIELD(file_row, similarity), 0, 0, 100, "percent" },
    { "added", FIELD_I64, FIELD(file_row, added), 0, -1, INT64_MAX, "lines" },
    { "removed", FIELD_I64, FIELD(file_row, removed), 0, -1, INT64_MAX, "lines" },
    { "base", FIELD_JSON, FIELD(file_row, base), 0, 0, 0, "before" },
    { "now", FIELD_JSON, FIELD(file_row, now), 0, 0, 0, "after" },
    { 0 },
};

struct change_row {
    int64_t v, created_ms, excluded;
    const char *id, *session, *layer, *parent, *task, *hash;
    const json_t *workspace, *files, *notes;
};
static const struct field change_fields[] = {
    { "v", FIELD_I64, FIELD(change_row, v), FIELD_REQUIRED, 1, 1, "format" },
    { "id", FIELD_STRING, FIELD(change_row, id), FIELD_REQUIRED, 2, ID_SIZE - 1, "identifier" },
    { "session", FIELD_STRING, FIELD(change_row, session), 0, 0, ID_SIZE - 1, "session" },
    { "layer", FIELD_STRING, FIELD(change_row, layer), 0, 0, ID_SIZE - 1, "layer" },
    { "parent", FIELD_STRING, FIELD(change_row, parent), 0, 0, ID_SIZE - 1, "change that it was taken from" },
    { "task", FIELD_STRING, FIELD(change_row, task), 0, 0, 400, "what was asked for" },
    { "hash", FIELD_STRING, FIELD(change_row, hash), FIELD_REQUIRED, 64, 64, "of everything" },
    { "workspace", FIELD_JSON, FIELD(change_row, workspace), FIELD_REQUIRED, 0, 0, "path" },
    { "created_ms", FIELD_I64, FIELD(change_row, created_ms), 0, 0, INT64_MAX, "wall clock" },
    { "excluded", FIELD_I64, FIELD(change_row, excluded), 0, 0, INT64_MAX, "ignored entries" },
    { "files", FIELD_JSON, FIELD(change_row, files), FIELD_REQUIRED, 0, 0, "files" },
    { "notes", FIELD_JSON, FIELD(change_row, notes), 0, 0, 0, "notes" },
    { 0 },
};

int change_side_load(const json_t *json, struct change_side *out, struct arena *a, struct err *e)
{
    struct side_row row = { .hash = "" };
    *out = (struct change_side){ 0 };
    if (!json || json_is_null(json))
        return 0;
    if (bind_load(json, side_fields, &row, BIND_TOLERANT, a, e) < 0)
        return -(int)e->kind;
    *out = (struct change_side){ .exists = true, .symlink = row.link, .stored = row.stored, .binary = row.binary,
                                 .mode = (unsigned)row.mode, .size = row.size, .mtime_ns = row.mtime_ns,
                                 .offset = (uint64_t)row.offset };
    memcpy(out->hash.s, row.hash, HASH_HEX_SIZE - 1);
    return 0;
}

static const char *load_path(const json_t *json, struct arena *a)
{
    AUTO(ptr) char *p = json_path_get(json);
    return p ? arena_strdup(a, p) : NULL;
}

static int load_file(const json_t *json, struct change_file *f, struct arena *a, struct err *e)
{
    struct file_row row = { .added = -1, .removed = -1, .why = "" };
    if (bind_load(json, file_fields, &row, BIND_TOLERANT, a, e) < 0 || change_side_load(row.base, &f->base, a, e) < 0 ||
        change_side_load(row.now, &f->now, a, e) < 0)
        return -(int)e->kind;
    f->path = load_path(row.path, a);
    f->old_path = load_path(row.old_path, a);
    /* written by us, but the paths are what apply opens: checked again */
    if (!f->path || !f->old_path || !path_is_safe_relative(f->path) || !path_is_safe_relative(f->old_path))
        return err_set(e, ERR_INPUT, "a path is not relative to the workspace");
    f->kind = (enum change_kind)row.kind;
    f->guard = (unsigned)row.guard;
    f->guard_why = row.why;
    f->base_moved = row.moved;
    f->similarity = (int)row.similarity;
    f->added = row.added;
    f->removed = row.removed;
    return 0;
}

static int load_notes(struct change *c, const json_t *notes, struct err *e)
{
    size_t n = json_array_size(notes);
    c->notes = n ? arena_array(&c->arena, n, sizeof *c->notes) : NULL;
    for (size_t i = 0; i < n; i++) {
        const json_t *j = json_array_get(notes, i);
        const char *kind = json_string_value(json_object_get(j, "kind"));
        const char *text = json_string_value(json_object_get(j, "text"));
        struct change_note *note = c->notes ? &c->notes[c->nnotes++] : NULL;
        if (!note || !(note->path = load_path(json_object_get(j, "path"), &c->arena)) ||
            !(note->text = arena_strdup(&c->arena, text ? text : "")))
            return err_set(e, ERR_INPUT, "notes: not readable");
        for (unsigned k = 0; kind && k < NOTE_KINDS; k++)
            if (strcmp(kind, change_note_name((enum change_note_kind)k)) == 0)
                note->kind = (enum change_note_kind)k;
    }
    return 0;
}

/* The identifier that an abbreviation stands for. */
static int resolve(const char *state_dir, const char *id, char out[ID_SIZE], struct err *e)
{
    AUTO(ptr) char *dir = path_join(state_dir, "changes");
    size_t n = strlen(id), found = 0;
    if (id[0] != 'c' || n >= ID_SIZE || strchr(id, '/'))
        return err_set(e, ERR_INPUT, "'%.40s' is not a change's identifier", id);
    DIR *d = dir ? opendir(dir) : NULL;
    struct dirent *de;
    while (d && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (strcmp(de->d_name, id) == 0) {
            found = 1;
            (void)snprintf(out, ID_SIZE, "%s", id);
            break;
        }
        if (n >= PREFIX_MIN && strncmp(de->d_name, id, n) == 0 && strlen(de->d_name) < ID_SIZE) {
            found++;
            (void)snprintf(out, ID_SIZE, "%.*s", ID_SIZE - 1, de->d_name);
        }
    }
    if (d)
        (void)closedir(d);
    if (found == 1)
        return 0;
    if (found)
        return err_set(e, ERR_INPUT, "'%s' stands for %zu changes: give more of it", id, found);
    err_set(e, ERR_NOT_FOUND, "there is no change '%s'", id);
    err_hint(e, "`stead change list` shows what there is");
    return -ERR_NOT_FOUND;
}

static int read_json(const char *state_dir, const char *id, const char *name, size_t limit, json_t **out, struct err *e)
{
    AUTO(ptr) char *path = NULL;
    AUTO(buf) struct buf text = BUF_INIT(limit + 65536);
    if (change_path(state_dir, id, name, &path, e) < 0 || file_read(path, limit, &text, e) < 0)
        return -(int)e->kind;
    return json_parse(buf_span(&text), BIND_TOLERANT, out, e) < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static void load_status(struct change *c, const char *state_dir)
{
    struct err ignored = ERR_INIT;
    AUTO(json) json_t *status = NULL, *results = NULL;
    if (read_json(state_dir, c->id, "status.json", 4096, &status, &ignored) == 0) {
        const char *name = json_string_value(json_object_get(status, "status"));
        const char *apply = json_string_value(json_object_get(status, "apply"));
        for (unsigned i = 0; name && i < CHANGE_STATUSES; i++)
            if (strcmp(name, change_status_name((enum change_status)i)) == 0)
                c->status = (enum change_status)i;
        c->apply_id = apply ? arena_strdup(&c->arena, apply) : "";
    }
    AUTO(buf) struct buf text = BUF_INIT(RESULTS_BYTES);
    if (read_json(state_dir, c->id, "results.json", RESULTS_BYTES, &results, &ignored) == 0 &&
        buf_add_json_value(&text, results))
        c->results_json = arena_strdup(&c->arena, buf_str(&text));
    if (!c->apply_id)
        c->apply_id = "";
    if (!c->results_json)
        c->results_json = "{}";
}

static int change_from_json(struct change *c, const json_t *doc, struct err *e)
{
    struct change_row row = { .session = "", .layer = "", .parent = "", .task = "" };
    if (bind_load(doc, change_fields, &row, BIND_TOLERANT, &c->arena, e) < 0)
        return -(int)e->kind;
    (void)snprintf(c->id, sizeof c->id, "%s", row.id);
    (void)snprintf(c->session, sizeof c->session, "%s", row.session);
    (void)snprintf(c->layer, sizeof c->layer, "%s", row.layer);
    (void)snprintf(c->parent, sizeof c->parent, "%s", row.parent);
    c->task = row.task;
    c->created_unix_ms = row.created_ms;
    c->nexcluded = row.excluded;
    c->workspace = load_path(row.workspace, &c->arena);
    size_t n = json_array_size(row.files);
    c->files = n ? arena_array(&c->arena, n, sizeof *c->files) : NULL;
    if (!c->workspace || (n && !c->files))
        return err_set(e, ERR_INPUT, "the description is not readable");
    for (size_t i = 0; i < n; i++)
        if (load_file(json_array_get(row.files, i), &c->files[c->nfiles++], &c->arena, e) < 0)
            return err_wrap(e, "file %zu", i);
    if (load_notes(c, row.notes, e) < 0)
        return -(int)e->kind;
    change_seal(c);
    if (strcmp(c->hash.s, row.hash) != 0)
        return err_set(e, ERR_IO, "the description does not match its hash: it was damaged or edited");
    return 0;
}

int change_load(const char *state_dir, const char *id, struct change **out, struct err *e)
{
    char full[ID_SIZE];
    AUTO(change) struct change *c = NULL;
    AUTO(json) json_t *doc = NULL;
    AUTO(ptr) char *dir = NULL;
    if (resolve(state_dir, id, full, e) < 0 || change_create("", &c, e) < 0 ||
        read_json(state_dir, full, "change.json", CHANGE_JSON_BYTES, &doc, e) < 0 || change_from_json(c, doc, e) < 0 ||
        change_path(state_dir, full, "", &dir, e) < 0)
        return err_wrap(e, "cannot open change '%.40s'", id);
    AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err missing = ERR_INIT;
    if (fd >= 0 && content_open(fd, "content", &c->content, &missing) < 0 && missing.sys != ENOENT) {
        *e = missing;
        return err_wrap(e, "cannot open change '%s'", full);
    }
    load_status(c, state_dir);
    *out = TAKE(c);
    return 0;
}

int change_discard(const char *state_dir, const char *id, struct err *e)
{
    char full[ID_SIZE];
    AUTO(ptr) char *path = NULL, *json = NULL;
    if (resolve(state_dir, id, full, e) < 0 || change_path(state_dir, full, "", &path, e) < 0 ||
        change_path(state_dir, full, "change.json", &json, e) < 0)
        return -(int)e->kind;
    (void)unlink(json); /* first: from here on it does not exist for readers */
    return path_remove_tree(AT_FDCWD, path, e) < 0 ? err_wrap(e, "cannot discard change '%s'", full) : 0;
}

static int newest_first(const void *a, const void *b)
{
    return strcmp(((const struct change_info *)b)->id, ((const struct change_info *)a)->id);
}

int change_list(const char *state_dir, const char *workspace, struct arena *a, struct change_info **out, size_t *n,
                struct err *e)
{
    AUTO(ptr) char *dir = path_join(state_dir, "changes");
    AUTO(ptr) struct change_info *found = NULL;
    size_t len = 0, cap = 0;
    DIR *d = dir ? opendir(dir) : NULL;
    *out = NULL;
    *n = 0;
    if (!d)
        return errno == ENOENT ? 0 : err_sys(e, "cannot list changes in '%s'", state_dir);
    struct dirent *de;
    int rc = 0;
    while (rc == 0 && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        struct err ignored = ERR_INIT;
        AUTO(change) struct change *c = NULL;
        if (de->d_name[0] != 'c' || change_load(state_dir, de->d_name, &c, &ignored) < 0 ||
            (workspace && strcmp(workspace, c->workspace) != 0))
            continue;
        if (!array_grow(&found, &cap, len, 1, sizeof *found)) {
            rc = err_set(e, ERR_NOMEM, "cannot list changes: out of memory");
            break;
        }
        struct change_info *info = &found[len++];
        *info = (struct change_info){ .workspace = arena_strdup(a, c->workspace), .task = arena_strdup(a, c->task),
                                      .created_unix_ms = c->created_unix_ms, .status = c->status, .nfiles = c->nfiles };
        memcpy(info->id, c->id, sizeof info->id);
        memcpy(info->session, c->session, sizeof info->session);
        memcpy(info->layer, c->layer, sizeof info->layer);
    }
    (void)closedir(d);
    if (rc < 0 || !len)
        return rc;
    qsort(found, len, sizeof *found, newest_first);
    *out = arena_array(a, len, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NOMEM, "cannot list changes: out of memory");
    memcpy(*out, found, len * sizeof **out);
    *n = len;
    return 0;
}

/* --- the contract's JSON --- */

static void add_member(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "\"%s\":", name);
    buf_add_json(out, span_of(value));
    buf_addc(out, ',');
}

bool change_json(const struct change *c, struct buf *out)
{
    struct err ignored = ERR_INIT;
    AUTO(json) json_t *results = NULL;
    buf_adds(out, "{\"v\":1,");
    add_member(out, "id", c->id);
    add_member(out, "session", c->session);
    add_member(out, "status", change_status_name(c->status));
    add_member(out, "workspace", c->workspace);
    add_member(out, "task", c->task);
    add_member(out, "hash", c->hash.s);
    add_member(out, "apply", c->apply_id);
    buf_addf(out, "\"created_ms\":%lld,\"excluded\":%lld,\"files\":[", (long long)c->created_unix_ms,
             (long long)c->nexcluded);
    for (size_t i = 0; i < c->nfiles; i++) {
        const struct change_file *f = &c->files[i];
        buf_adds(out, i ? ",{" : "{");
        add_member(out, "path", f->path);
        if (f->kind == CHANGE_RENAMED)
            add_member(out, "old_path", f->old_path);
        add_member(out, "kind", change_kind_name(f->kind));
        buf_addf(out, "\"added\":%lld,\"removed\":%lld,\"binary\":%s,\"symlink\":%s,\"mode\":%u,\"guard\":[",
                 (long long)(f->added < 0 ? 0 : f->added), (long long)(f->removed < 0 ? 0 : f->removed),
                 f->now.binary || f->base.binary ? "true" : "false", f->now.symlink ? "true" : "false",
                 f->now.exists ? f->now.mode : 0);
        for (unsigned bit = 1, first = 1; bit <= f->guard; bit <<= 1)
            if (f->guard & bit) {
                buf_addf(out, "%s\"%s\"", first ? "" : ",", guard_name(bit));
                first = 0;
            }
        buf_adds(out, "],");
        add_member(out, "guard_why", f->guard_why);
        out->n ? buf_truncate(out, out->n - 1) : (void)0;
        buf_addc(out, '}');
    }
    buf_adds(out, "],\"notes\":[");
    for (size_t i = 0; i < c->nnotes; i++) {
        buf_adds(out, i ? ",{" : "{");
        add_member(out, "kind", change_note_name(c->notes[i].kind));
        add_member(out, "path", c->notes[i].path);
        buf_adds(out, "\"text\":");
        buf_add_json(out, span_of(c->notes[i].text));
        buf_addc(out, '}');
    }
    buf_addc(out, ']');
    if (json_parse(span_of(c->results_json), BIND_TOLERANT, &results, &ignored) < 0)
        results = NULL;
    static const char *const lists[] = { "gates", "findings" };
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        const json_t *list = json_object_get(results, lists[i]);
        buf_addf(out, ",\"%s\":", lists[i]);
        if (json_is_array(list))
            buf_add_json_value(out, list);
        else
            buf_adds(out, "[]");
    }
    return buf_addc(out, '}');
}
