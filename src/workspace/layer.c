#include "workspace/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <time.h>

#include "base/clock.h"
#define LOG_MODULE "workspace"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "sandbox/sandbox.h"
#include "workspace/change-internal.h"
#include "workspace/copy-internal.h"
#include "workspace/layer-internal.h"
#include "workspace/upper.h"

#define LAYER_JSON_BYTES ((size_t)1 << 20)
#define CHECKPOINT_FILES_MAX 1000 /* paths named by one checkpoint event */
#define TMPFS_PREFIX "tmpfs:"

struct upper {
    int number; /* of its directory: uN, wN */
    int step;   /* the checkpoint that closed it; the top one: 0 */
};

struct layer {
    char id[ID_SIZE];
    char session[ID_SIZE];
    char *workspace, *state_dir, *dir; /* dir: STATE/layers/ID */
    char *root;                        /* holds u0, w0, ...: dir, or a directory elsewhere */
    char *base;                        /* ROOT/base: the copy that stands for the workspace; NULL: none */
    enum layer_kind kind;
    char note[200];
    int64_t created_ns;
    int lock_fd, dir_fd, root_fd, copy_fd; /* root_fd of LAYER_TMPFS: -1 until layer_adopt */
    struct upper *uppers;
    size_t n, cap;
    int next_number;
    int *steps; /* n - 1 of them */
    int *fds;   /* opened by layer_upper_fds, closed when the stack changes */
    size_t nfds;
    /* what layer_overlay hands out */
    char **names;
    size_t nnames;
    int *dropped; /* numbers of upper directories that undo left behind: removed when the layer is closed */
    size_t ndropped;
    bool discarded;
};

static const char *const kind_names[] = { "auto", "disk", "tmpfs", "copy" };

/* --- where upper directories can lie --- */

int layer_disk_supported(const char *dir, char why[160])
{
    static const struct {
        long magic;
        const char *name;
    } refused[] = {
        { OVERLAYFS_SUPER_MAGIC, "overlay (a container)" }, { NFS_SUPER_MAGIC, "NFS" }, { CIFS_SUPER_MAGIC, "SMB" },
        { SMB2_SUPER_MAGIC, "SMB" }, { V9FS_MAGIC, "9p (a Windows drive)" }, { FUSE_SUPER_MAGIC, "FUSE" },
        { CEPH_SUPER_MAGIC, "Ceph" }, { 0x2fc12fc1 /* ZFS */, "ZFS" }, { ECRYPTFS_SUPER_MAGIC, "eCryptfs" },
        { MSDOS_SUPER_MAGIC, "FAT" }, { 0x2011BAB0 /* exFAT */, "exFAT" }, { 0x786f4256 /* vboxsf */, "a shared folder" },
    };
    struct statfs fs;
    if (statfs(dir, &fs) < 0) {
        (void)snprintf(why, 160, "cannot look at it: errno %d", errno);
        return 0;
    }
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        if ((unsigned long)fs.f_type == (unsigned long)refused[i].magic) {
            (void)snprintf(why, 160, "its file system is %s, which cannot carry overlay upper directories", refused[i].name);
            return 0;
        }
    /* opaque directories are extended attributes: tmpfs before Linux 6.6 has none for users */
    AUTO(ptr) char *probe = path_join(dir, ".xattr.XXXXXX");
    AUTO(fd) int fd = probe ? mkostemp(probe, O_CLOEXEC) : -1;
    bool ok = fd >= 0 && fsetxattr(fd, "user.overlay.opaque", "n", 1, 0) == 0;
    int saved = errno;
    if (fd >= 0)
        (void)unlink(probe);
    if (!ok)
        (void)snprintf(why, 160, fd < 0 ? "it cannot be written (errno %d)"
                                        : "its file system has no user extended attributes (errno %d)", saved);
    else
        why[0] = '\0';
    return ok;
}

/* --- the object --- */

static int nomem(struct err *e, const char *id)
{
    return err_set(e, ERR_NOMEM, "cannot open layer '%s': out of memory", id);
}

static void forget_fds(struct layer *l)
{
    for (size_t i = 0; i < l->nfds; i++)
        fd_close(&l->fds[i]);
    free(l->fds);
    l->fds = NULL;
    l->nfds = 0;
}

static void forget_names(struct layer *l)
{
    for (size_t i = 0; i < l->nnames; i++)
        free(l->names[i]);
    free(l->names);
    l->names = NULL;
    l->nnames = 0;
}

static void remove_upper(struct layer *l, int number)
{
    char name[24];
    struct err ignored = ERR_INIT; /* what stays goes with the layer */
    for (const char *what = "uw"; *what; what++) {
        (void)snprintf(name, sizeof name, "%c%d", *what, number);
        (void)path_remove_tree(l->root_fd, name, &ignored);
    }
}

/* What undo, a killed undo or a killed view left behind: directories that the stack does not name. */
static void sweep_uppers(struct layer *l)
{
    DIR *d = l->root_fd < 0 ? NULL : opendir(l->root);
    struct dirent *de;
    while (d && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        const char *digits = de->d_name + (de->d_name[0] == 'v');
        int64_t number;
        struct err ignored = ERR_INIT; /* what stays goes with the layer */
        bool known = false;
        if ((*digits != 'u' && *digits != 'w') || parse_i64(span_of(digits + 1), 0, INT32_MAX, &number, &ignored) < 0)
            continue;
        for (size_t i = 0; i < l->n && digits == de->d_name; i++)
            known |= l->uppers[i].number == number;
        if (!known)
            (void)path_remove_tree(l->root_fd, de->d_name, &ignored);
    }
    if (d)
        (void)closedir(d);
}

void layer_destroy(struct layer *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->ndropped && !l->discarded; i++)
        remove_upper(l, l->dropped[i]);
    free(l->dropped);
    forget_fds(l);
    forget_names(l);
    fd_close(&l->copy_fd);
    fd_close(&l->root_fd);
    fd_close(&l->dir_fd);
    fd_close(&l->lock_fd);
    free(l->workspace);
    free(l->state_dir);
    free(l->dir);
    free(l->root);
    free(l->base);
    free(l->uppers);
    free(l->steps);
    free(l);
}

static struct layer *layer_new(const char *workspace, const char *state_dir, const char *id)
{
    AUTO(layer) struct layer *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->lock_fd = l->dir_fd = l->root_fd = l->copy_fd = -1;
    (void)snprintf(l->id, sizeof l->id, "%s", id);
    l->state_dir = strdup(state_dir);
    l->workspace = workspace ? strdup(workspace) : NULL;
    if (asprintf(&l->dir, "%s/layers/%s", state_dir, id) < 0)
        l->dir = NULL;
    return l->state_dir && l->dir && (l->workspace || !workspace) ? TAKE(l) : NULL;
}

const char *layer_id(const struct layer *l)
{
    return l->id;
}

const char *layer_session(const struct layer *l)
{
    return l->session;
}

const char *layer_workspace(const struct layer *l)
{
    return l->workspace;
}

enum layer_kind layer_kind(const struct layer *l)
{
    return l->kind;
}

const char *layer_note(const struct layer *l)
{
    return l->note;
}

int64_t layer_created_unix_ms(const struct layer *l)
{
    return l->created_ns / 1000000;
}

int64_t layer_created_unix_ns(const struct layer *l)
{
    return l->created_ns;
}

const char *layer_state_dir(const struct layer *l)
{
    return l->state_dir;
}

const char *layer_dir(const struct layer *l)
{
    return l->dir;
}

int layer_step(const struct layer *l)
{
    return l->n > 1 ? l->uppers[l->n - 2].step : 0;
}

size_t layer_steps(const struct layer *l, const int **steps)
{
    for (size_t i = 0; i + 1 < l->n; i++)
        l->steps[i] = l->uppers[i].step;
    *steps = l->steps;
    return l->n ? l->n - 1 : 0;
}

/* --- layer.json --- */

static int save(const struct layer *l, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(LAYER_JSON_BYTES);
    AUTO(ptr) char *path = path_join(l->dir, "layer.json");
    if (!path)
        return nomem(e, l->id);
    AUTO(json) json_t *doc = json_pack("{s:i,s:s,s:s,s:s,s:s,s:s,s:I,s:i}", "v", 1, "id", l->id, "session", l->session,
                                       "kind", kind_names[l->kind], "root", l->root, "note", l->note, "created_ns",
                                       (json_int_t)l->created_ns, "next", l->next_number);
    json_t *uppers = json_array();
    if (doc && l->base)
        (void)json_object_set_new(doc, "base", json_true());
    for (size_t i = 0; i < l->n; i++)
        (void)json_array_append_new(uppers, json_pack("[ii]", l->uppers[i].number, l->uppers[i].step));
    /* paths are bytes: kept as hexadecimal where they are not UTF-8 */
    if (!doc || json_object_set_new(doc, "uppers", uppers) < 0 ||
        json_object_set_new(doc, "workspace", json_path_value(l->workspace)) < 0 || !buf_add_json_value(&b, doc) ||
        !buf_addc(&b, '\n'))
        return nomem(e, l->id);
    return file_write_atomic(path, buf_span(&b), 0600, false, e);
}

struct layer_json {
    const char *id, *session, *root, *note;
    int kind;
    json_t *workspace, *uppers;
    int64_t created_ns, next, v;
    bool base;
};

static const char *const kind_values[] = { "auto", "disk", "tmpfs", "copy", NULL };
static const struct field layer_fields[] = {
    { "v", FIELD_I64, FIELD(layer_json, v), FIELD_REQUIRED, 1, 1, "format" },
    { "id", FIELD_STRING, FIELD(layer_json, id), FIELD_REQUIRED, 2, ID_SIZE - 1, "identifier" },
    { "session", FIELD_STRING, FIELD(layer_json, session), 0, 0, ID_SIZE - 1, "session" },
    { "kind", FIELD_ENUM, FIELD(layer_json, kind), FIELD_REQUIRED, 0, 0, "kind", .names = kind_values },
    { "root", FIELD_STRING, FIELD(layer_json, root), FIELD_REQUIRED, 1, 4096, "directory of the uppers" },
    { "note", FIELD_STRING, FIELD(layer_json, note), 0, 0, 199, "why it is not on disk" },
    { "workspace", FIELD_JSON, FIELD(layer_json, workspace), FIELD_REQUIRED, 0, 0, "path" },
    { "uppers", FIELD_JSON, FIELD(layer_json, uppers), FIELD_REQUIRED, 0, 0, "number and step of each" },
    { "base", FIELD_BOOL, FIELD(layer_json, base), 0, 0, 0, "a copy stands for the workspace" },
    { "created_ns", FIELD_I64, FIELD(layer_json, created_ns), FIELD_REQUIRED, 0, 0, "wall clock" },
    { "next", FIELD_I64, FIELD(layer_json, next), FIELD_REQUIRED, 0, 100000000, "next upper's number" },
    { 0 },
};

static int load(const char *dir, struct arena *a, json_t **doc, struct layer_json *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(LAYER_JSON_BYTES + 65536);
    AUTO(ptr) char *path = path_join(dir, "layer.json");
    if (!path)
        return err_set(e, ERR_NOMEM, "cannot read '%s': out of memory", dir);
    if (file_read(path, LAYER_JSON_BYTES, &text, e) < 0)
        return err_code(e);
    *out = (struct layer_json){ .session = "", .note = "" };
    if (json_parse(buf_span(&text), BIND_TOLERANT, doc, e) < 0 ||
        bind_load(*doc, layer_fields, out, BIND_TOLERANT, a, e) < 0)
        return err_wrap(e, "'%s'", path);
    return 0;
}

static bool push(struct layer *l, int number, int step)
{
    if (!array_grow(&l->uppers, &l->cap, l->n, 1, sizeof *l->uppers))
        return false;
    int *steps = realloc(l->steps, (l->n + 1) * sizeof *steps);
    if (!steps)
        return false;
    l->steps = steps;
    l->uppers[l->n++] = (struct upper){ number, step };
    return true;
}

/* --- making and opening --- */

static int lock(struct layer *l, struct err *e)
{
    l->dir_fd = open(l->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->dir_fd < 0)
        return err_sys(e, "cannot open layer '%s'", l->id);
    l->lock_fd = openat(l->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->lock_fd < 0)
        return err_sys(e, "cannot open layer '%s'", l->id);
    if (flock(l->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return err_sys(e, "cannot lock layer '%s'", l->id);
        err_set(e, ERR_UNAVAILABLE, "layer '%s' is in use by another stead", l->id);
        err_hint(e, "wait for it to end, or end it");
        return -ERR_UNAVAILABLE;
    }
    return 0;
}

static int make_upper(struct layer *l, int number, struct err *e)
{
    char u[24], w[24];
    (void)snprintf(u, sizeof u, "u%d", number);
    (void)snprintf(w, sizeof w, "w%d", number);
    if (l->kind == LAYER_TMPFS)
        return 0; /* the sandbox makes them: its tmpfs knows no other owners than its own */
    if ((mkdirat(l->root_fd, u, 0755) < 0 || mkdirat(l->root_fd, w, 0755) < 0) && errno != EEXIST)
        return err_sys(e, "cannot make a checkpoint of layer '%s'", l->id);
    return 0;
}

/* Find a place for the upper directories; sets kind, root, note. */
static int choose_root(struct layer *l, enum layer_kind wanted, struct err *e)
{
    char why[160] = "";
    l->kind = wanted;
    if (wanted == LAYER_AUTO || wanted == LAYER_DISK) {
        const char *const places[] = { l->dir, getenv("XDG_RUNTIME_DIR"), "/var/tmp", "/dev/shm" }; /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
        for (size_t i = 0; i < COUNT_OF(places); i++) {
            char reason[160];
            if (!places[i] || places[i][0] != '/' || !layer_disk_supported(places[i], reason)) {
                if (i == 0)
                    memcpy(why, reason, sizeof why);
                continue;
            }
            l->kind = LAYER_DISK;
            if (i == 0) {
                l->root = strdup(l->dir);
                return l->root ? 0 : nomem(e, l->id);
            }
            if (asprintf(&l->root, "%s/stead-%s-XXXXXX", places[i], l->id) < 0)
                l->root = NULL;
            if (!l->root || !mkdtemp(l->root)) {
                free(l->root);
                l->root = NULL;
                continue;
            }
            (void)snprintf(l->note, sizeof l->note, "writes go to %.100s: the state directory cannot hold them", places[i]);
            return 0;
        }
        if (wanted == LAYER_DISK)
            return err_set(e, ERR_UNSUPPORTED, "cannot keep layers in '%s': %s", l->state_dir, why);
        l->kind = LAYER_TMPFS;
    }
    (void)snprintf(l->note, sizeof l->note, l->kind == LAYER_TMPFS
                       ? "writes go to memory and are lost when stead ends: no directory here can hold overlay layers"
                       : "the workspace was copied: overlay mounts are not possible here; no undo by step");
    l->root = strdup(l->dir);
    return l->root ? 0 : nomem(e, l->id);
}

/* Copy directory `source` to the new directory `name` of `dir`: a descriptor of it. */
static int copy_into(const char *source, int dir, const char *name, struct err *e)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    struct stat st;
    if (uid == 0 && sandbox_identity(source, &uid, &gid, e) < 0)
        return err_code(e);
    AUTO(fd) int from = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || (mkdirat(dir, name, 0700) < 0 && errno != EEXIST))
        return err_sys(e, "cannot copy '%s'", source);
    AUTO(fd) int to = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0 || fstat(from, &st) < 0 || fchmod(to, st.st_mode & 0777) < 0)
        return err_sys(e, "cannot copy '%s'", source);
    return copy_tree(from, to, uid, gid, e) < 0 ? err_code(e) : take_fd(&to);
}

static int fill_copy(struct layer *l, struct err *e)
{
    fd_close(&l->copy_fd);
    l->copy_fd = copy_into(l->workspace, l->dir_fd, "copy", e);
    return l->copy_fd < 0 ? err_code(e) : 0;
}

static int name_base(struct layer *l, struct err *e)
{
    l->base = path_join(l->root, "base");
    return l->base ? 0 : nomem(e, l->id);
}

static int copy_base(struct layer *l, const char *source, struct err *e)
{
    if (path_remove_tree(l->root_fd, "base", e) < 0) /* half of one, from a run that was killed */
        return err_code(e);
    AUTO(fd) int fd = copy_into(source, l->root_fd, "base", e);
    return fd < 0 || name_base(l, e) < 0 ? err_code(e) : 0;
}

int layer_copy_base(struct layer *l, struct err *e)
{
    if (l->kind != LAYER_DISK || l->base)
        return err_set(e, ERR_UNSUPPORTED, "layer '%s' cannot lie on a copy of the workspace: %s", l->id, l->base ? "it does already" : l->note);
    if (copy_base(l, l->workspace, e) < 0)
        return err_code(e);
    size_t n = strlen(l->note);
    (void)snprintf(l->note + n, sizeof l->note - n, "%sthe workspace was copied: its file system cannot be the lower layer of an overlay", n ? "; " : "");
    return save(l, e);
}

const char *layer_base(const struct layer *l)
{
    return l->base;
}

static int open_root(struct layer *l, struct err *e)
{
    if (l->kind == LAYER_DISK) {
        l->root_fd = open(l->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (l->root_fd < 0)
            return err_sys(e, "cannot open '%s' of layer '%s'", l->root, l->id);
    }
    return 0;
}

int layer_create(const char *workspace, const char *state_dir, const struct layer_options *opt, struct layer **out,
                 struct err *e)
{
    char id[ID_SIZE];
    struct stat st;
    struct timespec now;
    id_make("l", id);
    if (workspace[0] != '/')
        return err_set(e, ERR_INPUT, "cannot make a layer on '%s': not an absolute path", workspace);
    if (stat(workspace, &st) < 0)
        return err_sys(e, "cannot open the workspace '%s'", workspace);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT, "cannot make a layer on '%s': not a directory", workspace);
    AUTO(layer) struct layer *l = layer_new(workspace, state_dir, id);
    if (!l)
        return nomem(e, id);
    if (opt && opt->session)
        (void)snprintf(l->session, sizeof l->session, "%s", opt->session);
    if (path_mkdirs(l->dir, 0700, e) < 0 || lock(l, e) < 0)
        return err_wrap(e, "cannot make a layer");
    (void)clock_gettime(CLOCK_REALTIME, &now);
    l->created_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (choose_root(l, opt ? opt->kind : LAYER_AUTO, e) < 0 || open_root(l, e) < 0 ||
        (l->kind == LAYER_COPY ? fill_copy(l, e) : make_upper(l, 0, e)) < 0) {
        struct err second = ERR_INIT; /* the first failure is the one to report */
        if (layer_discard(l, &second) < 0)
            log_debug("%s", second.text);
        return err_code(e);
    }
    l->next_number = 1;
    if (!push(l, 0, 0))
        return nomem(e, id);
    if (save(l, e) < 0)
        return err_code(e);
    *out = TAKE(l);
    return 0;
}

int layer_open(const char *state_dir, const char *id, struct layer **out, struct err *e)
{
    if (!path_is_safe_relative(id) || strchr(id, '/') || strlen(id) >= ID_SIZE)
        return err_set(e, ERR_INPUT, "'%s' is not a layer's identifier", id);
    AUTO(layer) struct layer *l = layer_new(NULL, state_dir, id);
    AUTO(arena) struct arena a = ARENA_INIT(LAYER_JSON_BYTES * 4);
    AUTO(json) json_t *doc = NULL;
    struct layer_json j;
    if (!l)
        return nomem(e, id);
    if (lock(l, e) < 0 || load(l->dir, &a, &doc, &j, e) < 0)
        return err_code(e);
    (void)snprintf(l->session, sizeof l->session, "%s", j.session);
    (void)snprintf(l->note, sizeof l->note, "%s", j.note);
    l->kind = (enum layer_kind)j.kind;
    l->root = strdup(j.root);
    l->workspace = json_path_get(j.workspace);
    l->created_ns = j.created_ns;
    l->next_number = (int)j.next;
    if (!l->root || !l->workspace)
        return err_set(e, ERR_INPUT, "layer '%s' has no readable description", id);
    if (j.base && name_base(l, e) < 0)
        return err_code(e);
    for (size_t i = 0; i < json_array_size(j.uppers); i++) {
        const json_t *u = json_array_get(j.uppers, i);
        if (!push(l, (int)json_integer_value(json_array_get(u, 0)), (int)json_integer_value(json_array_get(u, 1))))
            return nomem(e, id);
    }
    if (!l->n)
        return err_set(e, ERR_INPUT, "layer '%s' has no readable description", id);
    if (l->kind == LAYER_TMPFS)
        return err_set(e, ERR_NOT_FOUND, "layer '%s' was in memory and ended with its stead", id);
    if (open_root(l, e) < 0)
        return err_code(e);
    if (l->kind == LAYER_DISK)
        sweep_uppers(l);
    *out = TAKE(l);
    return 0;
}

int layer_discard(struct layer *l, struct err *e)
{
    forget_fds(l);
    fd_close(&l->copy_fd);
    fd_close(&l->root_fd);
    l->discarded = true;
    if (l->root && strcmp(l->root, l->dir) != 0 && path_remove_tree(AT_FDCWD, l->root, e) < 0)
        return err_wrap(e, "discarding layer '%s'", l->id);
    if (path_remove_tree(AT_FDCWD, l->dir, e) < 0)
        return err_wrap(e, "discarding layer '%s'", l->id);
    return 0;
}

/* --- what to mount --- */

/* Name of a directory of the root, kept by the layer. NULL: out of memory. */
static char *name_of(struct layer *l, char what, int number)
{
    char *name = NULL;
    int n = l->kind == LAYER_TMPFS ? asprintf(&name, TMPFS_PREFIX "%c%d", what, number)
                                   : asprintf(&name, "%s/%c%d", l->root, what, number);
    return n < 0 ? NULL : name;
}

void layer_overlay(const struct layer *cl, struct sandbox_overlay *out)
{
    struct layer *l = (struct layer *)(uintptr_t)cl; /* the names are a cache */
    *out = (struct sandbox_overlay){ 0 };
    forget_names(l);
    if (l->kind == LAYER_COPY) {
        l->names = calloc(1, sizeof *l->names);
        if (l->names && (l->names[0] = path_join(l->dir, "copy"))) {
            l->nnames = 1;
            out->bind = l->names[0];
            out->bind_rw = true;
        }
        return;
    }
    /* upper, work, lowers top first, the workspace */
    size_t want = l->n + 2;
    l->names = calloc(want, sizeof *l->names);
    if (!l->names)
        return;
    l->nnames = want;
    l->names[0] = name_of(l, 'u', l->uppers[l->n - 1].number);
    l->names[1] = name_of(l, 'w', l->uppers[l->n - 1].number);
    for (size_t i = 0; i + 1 < l->n; i++)
        l->names[2 + i] = name_of(l, 'u', l->uppers[l->n - 2 - i].number);
    l->names[want - 1] = strdup(l->workspace);
    for (size_t i = 0; i < want; i++)
        if (!l->names[i])
            return; /* out of memory: an overlay without lowers, refused by sandbox_start's caller as read-only */
    out->upper = l->names[0];
    out->work = l->names[1];
    out->lowers = (const char *const *)&l->names[2];
    out->nlowers = l->n;
}

int layer_adopt(struct layer *l, int tmpfs_root_fd, struct err *e)
{
    if (l->kind != LAYER_TMPFS || tmpfs_root_fd < 0) {
        fd_close(&tmpfs_root_fd);
        return err_set(e, ERR_INTERNAL, "layer '%s' has no tmpfs to take over", l->id);
    }
    forget_fds(l);
    fd_close(&l->root_fd);
    l->root_fd = tmpfs_root_fd;
    return 0;
}

int layer_view(struct layer *l, bool base_only, struct arena *a, struct sandbox_overlay *out, struct err *e)
{
    char u[24], w[24];
    if (l->kind != LAYER_DISK) {
        err_set(e, ERR_UNSUPPORTED, "a second view of layer '%s' is not possible: %s", l->id, l->note);
        return -ERR_UNSUPPORTED;
    }
    int number = l->next_number++;
    (void)snprintf(u, sizeof u, "vu%d", number);
    (void)snprintf(w, sizeof w, "vw%d", number);
    if (mkdirat(l->root_fd, u, 0755) < 0 || mkdirat(l->root_fd, w, 0755) < 0)
        return err_sys(e, "cannot make a view of layer '%s'", l->id);
    size_t n = base_only ? 1 : l->n + 1;
    const char **lowers = arena_array(a, n, sizeof *lowers);
    *out = (struct sandbox_overlay){ .lowers = lowers, .nlowers = n };
    out->upper = arena_printf(a, "%s/%s", l->root, u);
    out->work = arena_printf(a, "%s/%s", l->root, w);
    bool ok = lowers && out->upper && out->work;
    for (size_t i = 0; ok && i + 1 < n; i++)
        ok = (lowers[i] = arena_printf(a, "%s/u%d", l->root, l->uppers[l->n - 1 - i].number)) != NULL;
    if (!ok || !(lowers[n - 1] = arena_strdup(a, l->workspace)))
        return nomem(e, l->id);
    return 0;
}

void layer_view_end(struct layer *l, const struct sandbox_overlay *view)
{
    struct err ignored = ERR_INIT; /* what stays goes with the layer */
    if (view->upper)
        (void)path_remove_tree(l->root_fd, path_base(view->upper), &ignored);
    if (view->work)
        (void)path_remove_tree(l->root_fd, path_base(view->work), &ignored);
}

int layer_upper_fds(struct layer *l, const int **fds, size_t *n, struct err *e)
{
    if (l->discarded)
        return err_set(e, ERR_NOT_FOUND, "layer '%s' was discarded", l->id);
    if (l->root_fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "layer '%s' was never mounted", l->id);
    if (!l->fds) {
        l->fds = calloc(l->n, sizeof *l->fds);
        if (!l->fds)
            return nomem(e, l->id);
        for (; l->nfds < l->n; l->nfds++) {
            char u[24];
            (void)snprintf(u, sizeof u, "u%d", l->uppers[l->nfds].number);
            int fd = openat(l->root_fd, u, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (fd < 0) {
                int failed = err_sys(e, "cannot open '%s' of layer '%s'", u, l->id);
                forget_fds(l);
                return failed;
            }
            l->fds[l->nfds] = fd;
        }
    }
    *fds = l->fds;
    *n = l->n;
    return 0;
}

int layer_copy_fd(struct layer *l, int *fd, struct err *e)
{
    if (l->copy_fd < 0)
        l->copy_fd = openat(l->dir_fd, "copy", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (l->copy_fd < 0)
        return err_sys(e, "cannot open the copy of layer '%s'", l->id);
    *fd = l->copy_fd;
    return 0;
}

static int copy_checkpoint(struct layer *from, struct layer *to, int number, struct err *e)
{
    char u[24];
    (void)snprintf(u, sizeof u, "u%d", number);
    AUTO(fd) int in = openat(from->root_fd, u, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    (void)snprintf(u, sizeof u, "u%d", to->uppers[to->n - 1].number);
    AUTO(fd) int out = in < 0 ? -1 : openat(to->root_fd, u, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out < 0)
        return err_sys(e, "cannot open '%s' of layer '%s'", u, from->id);
    return copy_upper(in, out, e);
}

int layer_fork(const char *state_dir, const char *id, int to_step, const char *session, struct layer **out, struct err *e)
{
    AUTO(layer) struct layer *from = NULL;
    AUTO(layer) struct layer *to = NULL;
    struct layer_options opt = { .kind = LAYER_DISK, .session = session };
    if (layer_open(state_dir, id, &from, e) < 0)
        return err_code(e);
    if (from->kind != LAYER_DISK)
        return err_set(e, ERR_UNSUPPORTED, "layer '%s' has no checkpoints to copy: %s", id, from->note);
    if (layer_create(from->workspace, state_dir, &opt, &to, e) < 0)
        return err_code(e);
    to->created_ns = from->created_ns; /* the base that it was made on */
    int r = from->base ? copy_base(to, from->base, e) : 0;
    for (size_t i = 0; i < from->n && r == 0; i++) {
        int step = from->uppers[i].step, number = to->next_number;
        if (step == 0 || step > to_step)
            break;
        r = copy_checkpoint(from, to, from->uppers[i].number, e);
        if (r == 0)
            r = make_upper(to, number, e);
        if (r == 0 && !push(to, number, 0))
            r = nomem(e, to->id);
        if (r == 0) {
            to->next_number++;
            to->uppers[to->n - 2].step = step;
        }
    }
    if (r == 0)
        r = save(to, e);
    if (r < 0) {
        struct err second = ERR_INIT; /* the first failure is the one to report */
        if (layer_discard(to, &second) < 0)
            log_debug("%s", second.text);
        return err_wrap(e, "copying layer '%s'", id);
    }
    *out = TAKE(to);
    return 0;
}

/* --- checkpoints --- */

static int swap(struct layer *l, struct sandbox *sandbox, struct err *e)
{
    struct sandbox_overlay next;
    if (!sandbox)
        return 0;
    layer_overlay(l, &next);
    if (!next.nlowers)
        return nomem(e, l->id);
    return sandbox_checkpoint(sandbox, &next, e);
}

int layer_checkpoint(struct layer *l, struct sandbox *sandbox, int step, struct arena *a, struct strings *files,
                     struct err *e)
{
    const int *fds;
    size_t n;
    *files = (struct strings){ 0 };
    if (l->kind == LAYER_COPY)
        return 0;
    if (step <= layer_step(l))
        return err_set(e, ERR_INPUT, "layer '%s' has a checkpoint of step %d already", l->id, layer_step(l));
    if (layer_upper_fds(l, &fds, &n, e) < 0)
        return err_code(e);
    if (upper_is_empty(fds[n - 1]))
        return 0;
    if (change_paths(l->workspace, fds[n - 1], a, CHECKPOINT_FILES_MAX, files, e) < 0)
        return err_code(e);
    if (l->n >= LAYER_MAX_UPPERS)
        return 1;
    int number = l->next_number;
    if (make_upper(l, number, e) < 0)
        return err_code(e);
    if (!push(l, number, 0))
        return nomem(e, l->id);
    l->next_number++;
    l->uppers[l->n - 2].step = step;
    forget_fds(l);
    if (swap(l, sandbox, e) < 0 || save(l, e) < 0) {
        l->n--;
        l->uppers[l->n - 1].step = 0;
        forget_fds(l);
        return err_wrap(e, "checkpoint of step %d", step);
    }
    return 1;
}

/* LAYER_COPY knows only its beginning. */
static int undo_copy(struct layer *l, int to_step, struct err *e)
{
    if (to_step != 0)
        return err_set(e, ERR_UNSUPPORTED, "layer '%s' is a copy and has no steps to go back to", l->id);
    if (path_remove_tree(l->dir_fd, "copy", e) < 0)
        return err_wrap(e, "undo in layer '%s'", l->id);
    return fill_copy(l, e);
}

int layer_undo(struct layer *l, struct sandbox *sandbox, int to_step, struct err *e)
{
    if (to_step < 0 || (to_step > layer_step(l) && l->kind != LAYER_COPY))
        return err_set(e, ERR_INPUT, "layer '%s' has no step %d to go back to: the last checkpoint is step %d", l->id,
                       to_step, layer_step(l));
    if (l->kind == LAYER_COPY)
        return undo_copy(l, to_step, e);
    size_t keep = 0;
    while (keep + 1 < l->n && l->uppers[keep].step <= to_step)
        keep++;
    int number = l->next_number;
    if (make_upper(l, number, e) < 0)
        return err_code(e);
    AUTO(ptr) struct upper *old = malloc(l->n * sizeof *old);
    size_t n = l->n;
    int *dropped = realloc(l->dropped, (l->ndropped + n) * sizeof *dropped);
    if (dropped)
        l->dropped = dropped;
    if (!old || !dropped || !push(l, 0, 0)) /* room for one more, whatever is kept */
        return nomem(e, l->id);
    memcpy(old, l->uppers, n * sizeof *old);
    l->next_number++;
    l->uppers[keep] = (struct upper){ number, 0 };
    l->n = keep + 1;
    forget_fds(l);
    if (swap(l, sandbox, e) < 0 || save(l, e) < 0) {
        memcpy(l->uppers, old, n * sizeof *old);
        l->n = n;
        remove_upper(l, number);
        return err_wrap(e, "undo to step %d", to_step);
    }
    for (size_t i = keep; i < n; i++)
        l->dropped[l->ndropped++] = old[i].number;
    return 0;
}

int layer_usage(const struct layer *cl, int64_t *bytes, int64_t *inodes, struct err *e)
{
    struct layer *l = (struct layer *)(uintptr_t)cl; /* descriptors are opened when needed */
    const int *fds;
    size_t n;
    int copy;
    *bytes = *inodes = 0;
    if (l->kind == LAYER_COPY) {
        if (layer_copy_fd(l, &copy, e) < 0)
            return err_code(e);
        upper_usage(copy, bytes, inodes);
        return 0;
    }
    if (layer_upper_fds(l, &fds, &n, e) < 0)
        return err_code(e);
    for (size_t i = 0; i < n; i++)
        upper_usage(fds[i], bytes, inodes);
    return 0;
}

/* --- listing --- */

static bool in_use(const char *dir)
{
    AUTO(ptr) char *path = path_join(dir, "lock");
    AUTO(fd) int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct layer_info *)a)->id, ((const struct layer_info *)b)->id);
}

int layer_list(const char *state_dir, struct arena *a, struct layer_info **out, size_t *n, struct err *e)
{
    AUTO(ptr) char *dir = path_join(state_dir, "layers");
    AUTO(ptr) struct layer_info *found = NULL;
    size_t len = 0, cap = 0;
    DIR *d = dir ? opendir(dir) : NULL;
    *out = NULL;
    *n = 0;
    if (!d)
        return errno == ENOENT ? 0 : err_sys(e, "cannot list layers in '%s'", state_dir);
    struct dirent *de;
    int rc = 0;
    while (rc == 0 && (de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (de->d_name[0] != 'l' || strlen(de->d_name) >= ID_SIZE)
            continue;
        AUTO(ptr) char *sub = path_join(dir, de->d_name);
        AUTO(json) json_t *doc = NULL;
        struct layer_json j;
        struct err ignored = ERR_INIT;
        if (!sub || load(sub, a, &doc, &j, &ignored) < 0)
            continue;
        AUTO(ptr) char *workspace = json_path_get(j.workspace);
        if (!array_grow(&found, &cap, len, 1, sizeof *found)) {
            rc = err_set(e, ERR_NOMEM, "cannot list layers: out of memory");
            break;
        }
        struct layer_info *info = &found[len++];
        *info = (struct layer_info){ .created_unix_ms = j.created_ns / 1000000, .in_use = in_use(sub) };
        (void)snprintf(info->id, sizeof info->id, "%s", de->d_name);
        (void)snprintf(info->session, sizeof info->session, "%s", j.session);
        info->workspace = arena_strdup(a, workspace ? workspace : "");
        size_t uppers = json_array_size(j.uppers);
        if (uppers > 1)
            info->step = (int)json_integer_value(json_array_get(json_array_get(j.uppers, uppers - 2), 1));
    }
    (void)closedir(d);
    if (rc < 0 || !len)
        return rc;
    qsort(found, len, sizeof *found, by_id);
    *out = arena_array(a, len, sizeof **out);
    if (!*out)
        return err_set(e, ERR_NOMEM, "cannot list layers: out of memory");
    memcpy(*out, found, len * sizeof **out);
    *n = len;
    return 0;
}

#define HALF_MADE_MS 1000 /* one that is being made is locked a moment after its directory is there */

/* Lock it, so that no other stead takes it up meanwhile, and remove it with what lies elsewhere. */
static void sweep_layer(const char *dir, const char *root)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *path = path_join(dir, "lock");
    AUTO(fd) int fd = path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    /* a root elsewhere is named by its layer: nothing else is ever removed there */
    if (root && strcmp(root, dir) != 0 && strstr(root, "/stead-l") && path_remove_tree(AT_FDCWD, root, &e) < 0)
        log_debug("%s", e.text);
    if (path_remove_tree(AT_FDCWD, dir, &e) < 0)
        log_debug("%s", e.text);
}

int layer_sweep(const char *state_dir, struct err *e)
{
    AUTO(ptr) char *dir = path_join(state_dir, "layers");
    DIR *d = dir ? opendir(dir) : NULL;
    if (!d)
        return !dir || errno != ENOENT ? err_sys(e, "cannot list layers in '%s'", state_dir) : 0;
    struct dirent *de;
    while ((de = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        AUTO(ptr) char *sub = de->d_name[0] == 'l' ? path_join(dir, de->d_name) : NULL;
        AUTO(arena) struct arena a = ARENA_INIT(LAYER_JSON_BYTES * 4);
        AUTO(json) json_t *doc = NULL;
        struct layer_json j;
        struct err unreadable = ERR_INIT;
        struct stat st;
        if (!sub || in_use(sub) || stat(sub, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        bool known = load(sub, &a, &doc, &j, &unreadable) == 0;
        if (known ? (!*j.session || j.kind == LAYER_TMPFS) : clock_unix_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > HALF_MADE_MS)
            sweep_layer(sub, known ? j.root : NULL);
    }
    (void)closedir(d);
    return 0;
}
