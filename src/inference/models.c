/* models.c - see models.h. Beside NAME.gguf lies NAME.json: {"sha256","origin","added_unix_ms"}. */
#include "inference/models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bind.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/path.h"
#include "inference/gguf.h"

#define MODELS_MAX 4096
#define COPY_PIECE (64u << 20)

struct models {
    char *dir;
};

struct note {
    const char *sha256, *origin;
    int64_t added_unix_ms;
};
static const struct field note_fields[] = {
    { "sha256", FIELD_STRING, FIELD(note, sha256), 0, 0, 64, "of the file" },
    { "origin", FIELD_STRING, FIELD(note, origin), 0, 0, 4096, "where it came from" },
    { "added_unix_ms", FIELD_I64, FIELD(note, added_unix_ms), 0, 0, INT64_MAX, "when" },
    { 0 },
};

/* --- sources ------------------------------------------------------------------------------------- */

static bool file_takes(const char *reference)
{
    return !strstr(reference, "://");
}

/* A link where both are on one file system, else a copy. */
static int file_fetch(const char *reference, const char *to, struct err *e)
{
    if (link(reference, to) == 0)
        return 0;
    AUTO(fd) int from = open(reference, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (from < 0)
        return err_sys(e, "cannot open '%s'", reference);
    AUTO(fd) int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(e, "cannot create '%s'", to);
    ssize_t n;
    while ((n = copy_file_range(from, NULL, fd, NULL, COPY_PIECE, 0)) > 0)
        continue;
    if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
        while ((n = sendfile(fd, from, NULL, COPY_PIECE)) > 0)
            continue;
    if (n < 0 || fsync(fd) < 0) {
        int rc = err_sys(e, "cannot copy '%s' to '%s'", reference, to);
        (void)unlink(to);
        return rc;
    }
    return 0;
}

static const struct models_source source_file = { "file", file_takes, file_fetch };
const struct models_source *const models_sources[] = { &source_file, NULL };

/* --- names and notes -------------------------------------------------------------------------------- */

static bool name_is_fine(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > MODELS_NAME_MAX || name[0] == '.')
        return false;
    for (const char *p = name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("._-+", *p)))
            return false;
    return true;
}

static char *path_of(const struct models *s, const char *name, const char *suffix)
{
    AUTO(buf) struct buf b = BUF_INIT(8192);
    buf_addf(&b, "%s/%s%s", s->dir, name, suffix);
    return b.failed ? NULL : buf_take(&b);
}

static int bad_name(struct err *e, const char *name)
{
    (void)err_set(e, ERR_INPUT, "'%.*s' is not a name for a model", MODELS_NAME_MAX, name);
    err_hint(e, "use letters, digits and . _ - + , at most %d of them", MODELS_NAME_MAX);
    return -e->kind;
}

static void read_note(const struct models *s, const char *name, struct arena *mem, struct note *out)
{
    struct err ignored = ERR_INIT;
    AUTO(ptr) char *path = path_of(s, name, ".json");
    AUTO(buf) struct buf text = BUF_INIT(64 << 10);
    AUTO(json) json_t *json = NULL;
    *out = (struct note){ "", "", 0 };
    if (path && file_read(path, text.limit, &text, &ignored) == 0 &&
        json_parse(buf_span(&text), BIND_TOLERANT, &json, &ignored) == 0 &&
        bind_load(json, note_fields, out, BIND_TOLERANT, mem, &ignored) < 0)
        *out = (struct note){ "", "", 0 };
}

static int write_note(const struct models *s, const char *name, const struct note *n, struct err *e)
{
    AUTO(ptr) char *path = path_of(s, name, ".json");
    AUTO(buf) struct buf text = BUF_INIT(64 << 10);
    AUTO(json) json_t *json = bind_dump(note_fields, n);
    if (!path || !json || !buf_add_json_value(&text, json))
        return err_set(e, ERR_NOMEM, "out of memory");
    return file_write_atomic(path, buf_span(&text), 0644, true, e);
}

/* --- the store ----------------------------------------------------------------------------------------- */

int models_open(const char *dir, struct models **out, struct err *e)
{
    if (path_mkdirs(dir, 0755, e) < 0)
        return err_wrap(e, "models");
    struct models *s = calloc(1, sizeof *s);
    if (!s || !(s->dir = strdup(dir))) {
        free(s);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    *out = s;
    return 0;
}

void models_close(struct models *s)
{
    if (!s)
        return;
    free(s->dir);
    free(s);
}

static int hash_file(const char *path, struct hash_hex *out, struct err *e)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || hash_fd(fd, out) < 0)
        return err_sys(e, "cannot read '%s'", path);
    return 0;
}

static int import_from(struct models *s, const struct models_source *source, const char *reference, const char *name,
                       struct err *e)
{
    AUTO(ptr) char *to = path_of(s, name, ".gguf");
    AUTO(ptr) char *part = path_of(s, name, ".part");
    if (!to || !part)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (access(to, F_OK) == 0) {
        (void)err_set(e, ERR_EXISTS, "a model '%s' is here already", name);
        err_hint(e, "`stead model remove %s` first, or give it another name", name);
        return -e->kind;
    }
    (void)unlink(part);
    if (source->fetch(reference, part, e) < 0)
        return -e->kind;
    AUTO(gguf) struct gguf *g = NULL;
    struct hash_hex hash;
    int rc = gguf_open(part, &g, e);
    if (rc == 0)
        rc = hash_file(part, &hash, e);
    if (rc == 0) {
        struct note n = { hash.s, reference, clock_unix_ms() };
        rc = write_note(s, name, &n, e);
    }
    if (rc == 0 && rename(part, to) < 0)
        rc = err_sys(e, "cannot name '%s'", to);
    if (rc < 0)
        (void)unlink(part);
    return rc;
}

int models_import(struct models *s, const char *reference, const char *name, char **out, struct err *e)
{
    const struct models_source *source = NULL;
    for (size_t i = 0; models_sources[i] && !source; i++)
        if (models_sources[i]->takes(reference))
            source = models_sources[i];
    if (!source) {
        (void)err_set(e, ERR_UNSUPPORTED, "cannot import from '%.200s'", reference);
        err_hint(e, "download the file, then `stead model import FILE.gguf`");
        return -e->kind;
    }
    AUTO(ptr) char *own = NULL;
    if (!name) {
        struct span base = span_of(path_base(reference));
        if (span_ends(base, ".gguf"))
            base.n -= 5;
        own = span_dup(base);
        name = own;
        if (!name)
            return err_set(e, ERR_NOMEM, "out of memory");
    }
    if (!name_is_fine(name))
        return bad_name(e, name);
    if (import_from(s, source, reference, name, e) < 0)
        return err_wrap(e, "importing '%.200s'", reference);
    if (out && !(*out = strdup(name)))
        return err_set(e, ERR_NOMEM, "out of memory");
    return 0;
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

static int call_each(struct models *s, char *const *names, size_t n, int (*fn)(void *, const struct models_item *), void *ctx)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(arena) struct arena mem = ARENA_INIT(64 << 10);
        AUTO(ptr) char *path = path_of(s, names[i], ".gguf");
        struct stat st;
        struct note note;
        if (!path || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        read_note(s, names[i], &mem, &note);
        struct models_item m = { names[i], path, st.st_size, note.sha256, note.origin, note.added_unix_ms };
        int rc = fn(ctx, &m);
        if (rc)
            return rc;
    }
    return 0;
}

int models_each(struct models *s, int (*fn)(void *ctx, const struct models_item *m), void *ctx, struct err *e)
{
    char *names[MODELS_MAX];
    size_t n = 0;
    DIR *d = opendir(s->dir);
    if (!d)
        return err_sys(e, "cannot read '%s'", s->dir);
    const struct dirent *entry;
    while (n < MODELS_MAX && (entry = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        struct span name = span_of(entry->d_name);
        if (!span_ends(name, ".gguf") || name.p[0] == '.')
            continue;
        name.n -= 5;
        if ((names[n] = span_dup(name)))
            n++;
    }
    (void)closedir(d);
    if (n)
        qsort(names, n, sizeof *names, by_text);
    int rc = call_each(s, names, n, fn, ctx);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    return rc;
}

static int not_here(struct err *e, const char *name)
{
    (void)err_set(e, ERR_NOT_FOUND, "no model '%.*s' is here", MODELS_NAME_MAX, name);
    err_hint(e, "`stead model list` shows what is here, `stead model import FILE.gguf` adds one");
    return -e->kind;
}

char *models_path(struct models *s, const char *name, struct err *e)
{
    if (!name_is_fine(name)) {
        (void)bad_name(e, name);
        return NULL;
    }
    char *path = path_of(s, name, ".gguf");
    if (path && access(path, R_OK) == 0)
        return path;
    free(path);
    (void)not_here(e, name);
    return NULL;
}

int models_remove(struct models *s, const char *name, struct err *e)
{
    if (!name_is_fine(name))
        return bad_name(e, name);
    AUTO(ptr) char *path = path_of(s, name, ".gguf");
    AUTO(ptr) char *note = path_of(s, name, ".json");
    if (!path || !note)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (unlink(path) < 0)
        return errno == ENOENT ? not_here(e, name) : err_sys(e, "cannot remove '%s'", path);
    (void)unlink(note);
    return 0;
}
