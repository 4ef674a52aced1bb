/*
 * models.c - see models.h. Beside NAME.gguf lies NAME.json: {"sha256","origin","added_unix_ms"}. A model in parts has files
 * NAME-00001-of-00003.gguf and so on, as llama.cpp wants them, and one NAME.json with the hash of the first part.
 */
#include "inference/models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/bind.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "inference/gguf.h"
#include "inference/locate.h"

#define MODELS_MAX 4096
#define PARTS_MAX 999
#define PART_TAIL "-00001-of-00003"
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

static int copy_all(int from, int fd)
{
    ssize_t n;
    while ((n = copy_file_range(from, NULL, fd, NULL, COPY_PIECE, 0)) > 0)
        continue;
    if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
        while ((n = sendfile(fd, from, NULL, COPY_PIECE)) > 0)
            continue;
    return n < 0 || fsync(fd) < 0 ? -1 : 0;
}

/* A link where both are on one file system, else a copy. Of a symbolic link, what it points to. */
static int file_fetch(const char *reference, const char *to, struct err *e)
{
    struct stat st;
    struct statvfs there;
    char need[24], have[24];
    AUTO(fd) int from = open(reference, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (from < 0 || fstat(from, &st) < 0)
        return err_sys(e, "cannot open it");
    if (!S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "it is not a file");
    if (linkat(AT_FDCWD, reference, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    AUTO(fd) int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(e, "cannot create '%s'", to);
    if (fstatvfs(fd, &there) == 0 && (uint64_t)there.f_bavail * there.f_frsize < (uint64_t)st.st_size)
        (void)err_set(e, ERR_LIMIT, "there is no room for it: it has %s, and %s are free where models are kept",
                      format_size(st.st_size, need), format_size((int64_t)(there.f_bavail * there.f_frsize), have));
    else if (copy_all(from, fd) < 0)
        (void)err_sys(e, "cannot copy it to '%s'", to);
    else
        return 0;
    (void)unlink(to);
    return -e->kind;
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

/* Of "NAME-00002-of-00003" (with n bytes in all): which part, and of how many; the name's length. 0: no part of anything. */
static size_t split_name(const char *text, size_t n, int64_t *part, int64_t *parts)
{
    static const size_t tail = sizeof PART_TAIL - 1;
    struct err ignored = ERR_INIT;
    if (n <= tail)
        return 0;
    struct span end = { text + n - tail, tail };
    if (end.p[0] != '-' || memcmp(end.p + 6, "-of-", 4) != 0 || parse_i64(span_sub(end, 1, 5), 1, PARTS_MAX, part, &ignored) < 0 ||
        parse_i64(span_sub(end, 10, 5), 1, PARTS_MAX, parts, &ignored) < 0 || *part > *parts)
        return 0;
    return n - tail;
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

/* Call fn with the stem of each file "STEM" + suffix in the store; stops at the first non-zero result. Negative: no such directory. */
static int each_file(const struct models *s, const char *suffix, int (*fn)(void *ctx, struct span stem), void *ctx)
{
    DIR *d = opendir(s->dir);
    int rc = d ? 0 : -1;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        struct span name = span_of(entry->d_name);
        if (span_ends(name, suffix) && name.p[0] != '.')
            rc = fn(ctx, span_sub(name, 0, name.n - strlen(suffix)));
    }
    if (d)
        (void)closedir(d);
    return rc;
}

/* --- whole ones and ones in parts -------------------------------------------------------------------------- */

/* "NAME", or, with several parts, "NAME-00002-of-00003". */
static char *stem_of(const char *name, int64_t part, int64_t parts)
{
    AUTO(buf) struct buf b = BUF_INIT(8192);
    if (parts > 1)
        buf_addf(&b, "%s-%05lld-of-%05lld", name, (long long)part, (long long)parts);
    else
        buf_adds(&b, name);
    return b.failed ? NULL : buf_take(&b);
}

static char *part_path(const struct models *s, const char *name, int64_t part, int64_t parts, const char *suffix)
{
    AUTO(ptr) char *stem = stem_of(name, part, parts);
    return stem ? path_of(s, stem, suffix) : NULL;
}

struct search {
    const char *name;
    int64_t parts;
};

static int is_first_part(void *ctx, struct span stem)
{
    struct search *w = ctx;
    int64_t part, parts;
    size_t n = split_name(stem.p, stem.n, &part, &parts);
    if (!n || part != 1 || n != strlen(w->name) || memcmp(stem.p, w->name, n) != 0)
        return 0;
    w->parts = parts;
    return 1;
}

/* How many files it has here; 0: it is not here. */
static int64_t parts_here(const struct models *s, const char *name)
{
    struct search w = { name, 0 };
    AUTO(ptr) char *whole = path_of(s, name, ".gguf");
    if (whole && access(whole, F_OK) == 0)
        return 1;
    (void)each_file(s, ".gguf", is_first_part, &w);
    return w.parts;
}

/* --- import --------------------------------------------------------------------------------------------------- */

static int drop_leftover(void *ctx, struct span stem)
{
    AUTO(ptr) char *name = span_dup(stem);
    AUTO(ptr) char *path = name ? path_of(ctx, name, ".part") : NULL;
    if (path)
        (void)unlink(path);
    return 0;
}

/* One import at a time; what an interrupted one left goes. */
static int lock_store(struct models *s, int *out, struct err *e)
{
    AUTO(ptr) char *path = path_join(s->dir, ".lock");
    AUTO(fd) int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd < 0)
        return err_sys(e, "cannot write to '%s'", s->dir);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        (void)err_set(e, ERR_UNAVAILABLE, "another import is under way");
        err_hint(e, "wait until it has ended");
        return -e->kind;
    }
    (void)each_file(s, ".part", drop_leftover, s);
    *out = take_fd(&fd);
    return 0;
}

struct import {
    const struct models_source *source;
    const char *reference, *name;
    int64_t parts;
    struct span prefix; /* of the reference, when it has parts: all before "-00001-of-..." */
};

/* Its name says whether it has parts. */
static int look_for_parts(struct import *m, struct err *e)
{
    struct span stem = span_of(m->reference);
    int64_t part = 1;
    if (stem.n > 5 && strcasecmp(stem.p + stem.n - 5, ".gguf") == 0)
        stem.n -= 5;
    m->parts = 1;
    m->prefix = span_sub(stem, 0, split_name(stem.p, stem.n, &part, &m->parts));
    if (!m->prefix.n)
        m->parts = 1;
    if (part == 1)
        return 0;
    (void)err_set(e, ERR_INPUT, "it is part %lld of %lld", (long long)part, (long long)m->parts);
    err_hint(e, "name the first one: %.*s-00001-of-%05lld.gguf", (int)m->prefix.n, m->prefix.p, (long long)m->parts);
    return -e->kind;
}

/* Fetch one file of it to `to`, and see that it is what it should be. */
static int fetch_part(const struct import *m, int64_t part, const char *to, struct err *e)
{
    AUTO(gguf) struct gguf *g = NULL;
    AUTO(ptr) char *prefix = m->prefix.n ? span_dup(m->prefix) : NULL;
    AUTO(ptr) char *stem = prefix ? stem_of(prefix, part, m->parts) : NULL;
    AUTO(buf) struct buf from = BUF_INIT(8192);
    if (m->prefix.n && !stem)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (m->parts > 1)
        buf_addf(&from, "%s.gguf", stem);
    else
        buf_adds(&from, m->reference);
    if (buf_check(&from, e) < 0 || m->source->fetch(buf_str(&from), to, e) < 0 || gguf_open(to, &g, e) < 0)
        return m->parts > 1 ? err_wrap(e, "part %lld of %lld", (long long)part, (long long)m->parts) : err_code(e);
    int64_t count = gguf_i64(g, "split.count", 1), no = gguf_i64(g, "split.no", 0);
    if ((count > 1 ? count : 1) == m->parts && (m->parts == 1 || no == part - 1))
        return 0;
    (void)err_set(e, ERR_INPUT, "it says that it is part %lld of %lld", (long long)no + 1, (long long)count);
    err_hint(e, "llama.cpp finds the parts of a model by their names: NAME-00001-of-%05lld.gguf and so on", (long long)count);
    return -e->kind;
}

static int fetch_all(struct models *s, const struct import *m, struct hash_hex *hash, struct err *e)
{
    for (int64_t i = 1; i <= m->parts; i++) {
        AUTO(ptr) char *to = part_path(s, m->name, i, m->parts, ".part");
        if (!to)
            return err_set(e, ERR_NOMEM, "out of memory");
        if (fetch_part(m, i, to, e) < 0 || (i == 1 && hash_file(to, hash, e) < 0))
            return -e->kind;
    }
    return 0;
}

static int import_from(struct models *s, struct import *m, struct err *e)
{
    AUTO(fd) int lock = -1;
    struct hash_hex hash;
    if (look_for_parts(m, e) < 0 || lock_store(s, &lock, e) < 0)
        return -e->kind;
    if (parts_here(s, m->name)) {
        (void)err_set(e, ERR_EXISTS, "a model '%s' is here already", m->name);
        err_hint(e, "`stead model remove %s` first, or give it another name", m->name);
        return -e->kind;
    }
    int rc = fetch_all(s, m, &hash, e);
    if (rc == 0) {
        struct note n = { hash.s, m->reference, clock_unix_ms() };
        rc = write_note(s, m->name, &n, e);
    }
    for (int64_t i = m->parts; rc == 0 && i > 0; i--) { /* the first part last: with it the model is there */
        AUTO(ptr) char *part = part_path(s, m->name, i, m->parts, ".part");
        AUTO(ptr) char *to = part_path(s, m->name, i, m->parts, ".gguf");
        if (!part || !to || rename(part, to) < 0)
            rc = err_sys(e, "cannot name '%s'", to ? to : m->name);
    }
    if (rc < 0)
        (void)each_file(s, ".part", drop_leftover, s);
    return rc;
}

/* The name that the file's own gives it: without .gguf, and without the number of its part. */
static char *own_name(const char *reference)
{
    struct span base = span_of(path_base(reference));
    int64_t part, parts;
    if (base.n > 5 && strcasecmp(base.p + base.n - 5, ".gguf") == 0)
        base.n -= 5;
    size_t n = split_name(base.p, base.n, &part, &parts);
    return span_dup(n ? span_sub(base, 0, n) : base);
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
    AUTO(ptr) char *own = name ? NULL : own_name(reference);
    struct import m = { .source = source, .reference = reference, .name = name ? name : own };
    if (!m.name)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (!name_is_fine(m.name))
        return bad_name(e, m.name);
    if (strcmp(m.name, MODELS_PILOT) == 0) {
        (void)err_set(e, ERR_EXISTS, "'%s' is the name of the bundled model", MODELS_PILOT);
        err_hint(e, "give it another one with --name");
        return -e->kind;
    }
    if (import_from(s, &m, e) < 0)
        return err_wrap(e, "importing '%.200s'", reference);
    if (out && !(*out = strdup(m.name)))
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
        int64_t parts = i && strcmp(names[i], names[i - 1]) == 0 ? 0 : parts_here(s, names[i]), bytes = 0;
        AUTO(ptr) char *path = part_path(s, names[i], 1, parts, ".gguf");
        struct stat st;
        struct note note;
        if (parts == 0 || !path || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        for (int64_t k = 1; k <= parts; k++) {
            AUTO(ptr) char *one = part_path(s, names[i], k, parts, ".gguf");
            bytes += one && stat(one, &st) == 0 ? st.st_size : 0;
        }
        read_note(s, names[i], &mem, &note);
        struct models_item m = { names[i], path, bytes, note.sha256, note.origin, note.added_unix_ms };
        int rc = fn(ctx, &m);
        if (rc)
            return rc;
    }
    return 0;
}

struct names {
    char *all[MODELS_MAX];
    size_t n;
};

static int add_name(void *ctx, struct span stem)
{
    struct names *l = ctx;
    int64_t part = 1, parts;
    size_t n = split_name(stem.p, stem.n, &part, &parts);
    if (part == 1 && l->n < MODELS_MAX && (l->all[l->n] = span_dup(n ? span_sub(stem, 0, n) : stem)))
        l->n++;
    return 0;
}

int models_each(struct models *s, int (*fn)(void *ctx, const struct models_item *m), void *ctx, struct err *e)
{
    AUTO(ptr) struct names *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (each_file(s, ".gguf", add_name, l) < 0)
        return err_sys(e, "cannot read '%s'", s->dir);
    if (l->n)
        qsort(l->all, l->n, sizeof *l->all, by_text);
    int rc = call_each(s, l->all, l->n, fn, ctx);
    for (size_t i = 0; i < l->n; i++)
        free(l->all[i]);
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
    if (strcmp(name, MODELS_PILOT) == 0)
        return engine_pilot(e);
    if (!name_is_fine(name)) {
        (void)bad_name(e, name);
        return NULL;
    }
    int64_t parts = parts_here(s, name);
    char *path = parts ? part_path(s, name, 1, parts, ".gguf") : NULL;
    if (path && access(path, R_OK) == 0)
        return path;
    free(path);
    (void)not_here(e, name);
    return NULL;
}

int models_remove(struct models *s, const char *name, struct err *e)
{
    if (strcmp(name, MODELS_PILOT) == 0)
        return err_set(e, ERR_INPUT, "'%s' is the bundled model: it stays", MODELS_PILOT);
    if (!name_is_fine(name))
        return bad_name(e, name);
    AUTO(ptr) char *note = path_of(s, name, ".json");
    int64_t parts = parts_here(s, name);
    if (!note)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (!parts)
        return not_here(e, name);
    for (int64_t i = 1; i <= parts; i++) {
        AUTO(ptr) char *path = part_path(s, name, i, parts, ".gguf");
        if (!path || (unlink(path) < 0 && errno != ENOENT))
            return err_sys(e, "cannot remove '%s'", path ? path : name);
    }
    (void)unlink(note);
    return 0;
}
