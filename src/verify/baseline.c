#include "verify/baseline.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "sandbox/sandbox.h"
#include "verify/verify.h"
#include "workspace/ignore.h"

#define FORMAT 2 /* of a stored baseline; part of its key */
#define STORE_BYTES (32u << 20)
#define DEPTH 60

/* --- the tree --- */

struct walk {
    struct hash_state hash;
    size_t files;
    struct ignore *ignore; /* NULL: the well-known names alone */
    struct buf path;       /* of the entry looked at, relative */
};

static int walk_dir(struct walk *w, int dirfd, int depth);

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int entry(struct walk *w, int dirfd, const char *name, int depth)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 1;
    if (w->path.failed)
        return 0;
    const char *path = buf_str(&w->path);
    if (S_ISDIR(st.st_mode)) {
        if (ignore_is_cache(path, true) || (w->ignore && ignore_match(w->ignore, path, true)))
            return 1;
        AUTO(fd) int sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return sub < 0 ? 1 : walk_dir(w, sub, depth + 1);
    }
    if (++w->files > BASELINE_FILES)
        return 0;
    int64_t facts[] = { (int64_t)st.st_mode, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
    hash_add(&w->hash, path, w->path.n + 1);
    hash_add(&w->hash, facts, sizeof facts);
    return 1;
}

/* 1 going on, 0 give up. */
static int walk_dir(struct walk *w, int dirfd, int depth)
{
    size_t stem = w->path.n;
    if (depth > DEPTH)
        return 0;
    struct dirent **list = NULL;
    int n = scandirat(dirfd, ".", &list, NULL, by_name);
    int going = n >= 0 || depth > 0;
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        if (going == 1 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, ".git") != 0) {
            if (stem)
                buf_addc(&w->path, '/');
            buf_adds(&w->path, name);
            going = entry(w, dirfd, name, depth);
            buf_truncate(&w->path, stem);
        }
        free(list[i]);
    }
    free(list);
    return going;
}

int baseline_tree_key(const char *workspace, const struct tree_file *files, size_t nfiles, struct hash_hex *out, struct err *e)
{
    AUTO(fd) int fd = open(workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot open workspace '%s'", workspace);
    struct walk w = { .path = BUF_INIT(PATH_MAX * 2) };
    struct err ignored = ERR_INIT;
    hash_begin(&w.hash);
    if (ignore_create(fd, workspace, &w.ignore, &ignored) < 0)
        w.ignore = NULL; /* then more files count: safe */
    int r = walk_dir(&w, fd, 0);
    buf_finish(&w.path);
    ignore_destroy(w.ignore);
    AUTO(buf) struct buf head = BUF_INIT(4096);
    AUTO(fd) int h = path_open_beneath(fd, ".git/HEAD", O_RDONLY, 0, 0);
    if (h >= 0 && file_read_fd(h, "HEAD", 4096, &head, &ignored) < 0)
        buf_reset(&head);
    hash_add(&w.hash, buf_str(&head), head.n);
    for (size_t i = 0; i < nfiles; i++) {
        int64_t facts[] = { files[i].deleted, files[i].symlink, files[i].mode, (int64_t)files[i].content.n };
        hash_add(&w.hash, files[i].path, strlen(files[i].path) + 1);
        hash_add(&w.hash, facts, sizeof facts);
        hash_add(&w.hash, files[i].content.p, files[i].content.n);
    }
    *out = hash_end(&w.hash);
    return r;
}

static void add_time(struct buf *b, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0)
        buf_addf(b, "%s %lld.%ld\n", path, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* What lies in directories that the tree's key leaves out, and decides how a gate ends: installed dependencies. */
static void add_dependencies(struct buf *b, const char *dir)
{
    static const char *const places[] = {
        "node_modules", "node_modules/.package-lock.json", "node_modules/.modules.yaml", "node_modules/.yarn-state.yml",
        "vendor", "vendor/bundle", ".venv/lib/python*/site-packages", "venv/lib/python*/site-packages",
    };
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        AUTO(ptr) char *pattern = path_join(dir, places[i]);
        glob_t found = { 0 };
        if (pattern && glob(pattern, 0, NULL, &found) == 0) /* NOLINT(concurrency-mt-unsafe): one thread verifies */
            for (size_t k = 0; k < found.gl_pathc; k++)
                add_time(b, found.gl_pathv[k]);
        globfree(&found);
    }
}

struct hash_hex baseline_key(const char *tree_key, const struct gate *g, const char *const *env, const struct sandbox_spec *in)
{
    AUTO(buf) struct buf b = BUF_INIT(1u << 20);
    buf_addf(&b, "%d %s\n%s\n%s\n%s\n%s\n%s\n", FORMAT, STEAD_VERSION, tree_key, g->command, g->cwd, g->reader ? g->reader : "", g->report ? g->report : "");
    for (size_t i = 0; env && env[i]; i++)
        buf_addf(&b, "%s\n", env[i]);
    for (size_t i = 0; in->env && in->env[i]; i++)
        buf_addf(&b, "%s\n", in->env[i]);
    for (size_t i = 0; in->env_keep && in->env_keep[i]; i++) {
        const char *value = getenv(in->env_keep[i]); /* NOLINT(concurrency-mt-unsafe): nothing here sets the environment */
        buf_addf(&b, "%s=%s\n", in->env_keep[i], value ? value : "");
    }
    for (size_t i = 0; i < in->nmounts; i++) {
        buf_addf(&b, "%s on %s\n", in->mounts[i].src, in->mounts[i].dst ? in->mounts[i].dst : in->mounts[i].src);
        add_time(&b, in->mounts[i].src);
    }
    buf_addf(&b, "%s %lld %lld %d %u\n", in->backend ? in->backend : "", (long long)in->limits.memory_bytes, (long long)in->limits.disk_bytes,
             in->limits.pids, in->exceptions);
    add_dependencies(&b, in->workspace);
    if (*g->cwd) {
        AUTO(ptr) char *dir = path_join(in->workspace, g->cwd);
        if (dir)
            add_dependencies(&b, dir);
    }
    /* what is installed: the package database's time stands for it */
    static const char *const marks[] = { "/var/lib/dpkg/status", "/var/lib/rpm", "/var/lib/pacman/local", "/lib/apk/db/installed", "/etc/os-release", "/usr/local/bin" };
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        add_time(&b, marks[i]);
    return hash_bytes(b.p, b.n);
}

/* --- the cache --- */

static char *cache_path(const char *cache_dir, const struct hash_hex *key)
{
    AUTO(buf) struct buf b = BUF_INIT(PATH_MAX);
    buf_addf(&b, "%s/baseline/%s.json", cache_dir, key->s);
    return b.failed ? NULL : buf_take(&b);
}

static json_t *texts(const struct strings *s)
{
    json_t *a = json_array();
    for (size_t i = 0; i < s->len; i++)
        json_array_append_new(a, json_string(s->items[i]));
    return a;
}

int baseline_store(const char *cache_dir, const struct hash_hex *key, const struct outcome *o, struct err *e)
{
    AUTO(ptr) char *path = cache_path(cache_dir, key);
    AUTO(ptr) char *dir = path_join(cache_dir, "baseline");
    if (!path || !dir)
        return err_set(e, ERR_NOMEM, "storing a baseline: out of memory");
    if (path_mkdirs(dir, 0700, e) < 0)
        return err_wrap(e, "storing a baseline");
    AUTO(json) json_t *tests = json_array();
    for (size_t i = 0; i < o->results.ntests; i++)
        json_array_append_new(tests, json_pack("[si]", o->results.tests[i].id, (int)o->results.tests[i].status));
    AUTO(json) json_t *findings = json_array();
    for (size_t i = 0; i < o->results.nfindings; i++) {
        const struct result_finding *f = &o->results.findings[i];
        json_array_append_new(findings, json_pack("[sssisI]", f->key, f->rule, f->file, (int)f->severity, f->message, (json_int_t)f->line));
    }
    AUTO(buf) struct buf text = BUF_INIT(EVIDENCE_BYTES * 2);
    for (size_t i = 0; i < o->output.n; i++)
        buf_addc(&text, o->output.p[i] ? o->output.p[i] : ' ');
    AUTO(buf) struct buf out = BUF_INIT(STORE_BYTES);
    AUTO(json) json_t *doc = json_pack("{sisisisbsIsssOsOsoso}", "v", FORMAT, "runs", o->runs, "status", o->status, "timed_out", o->timed_out, "duration_ms",
                                       (json_int_t)o->duration_ms, "reader", o->results.reader, "tests", tests, "findings", findings,
                                       "lines", texts(&o->lines), "shown", texts(&o->shown));
    AUTO(buf) struct buf valid = BUF_INIT(EVIDENCE_BYTES * 4);
    utf8_add_valid(&valid, buf_span(&text));
    if (!doc || json_object_set_new(doc, "output", json_stringn(buf_str(&valid), valid.n)) < 0 || !buf_add_json_value(&out, doc))
        return err_set(e, ERR_LIMIT, "storing a baseline: it is too large or out of memory");
    return file_write_atomic(path, buf_span(&out), 0600, false, e);
}

static void load_texts(const json_t *a, struct arena *arena, struct strings *out)
{
    size_t n = json_array_size(a);
    out->items = arena_array(arena, n + 1, sizeof(char *));
    out->len = 0;
    for (size_t i = 0; out->items && i < n; i++) {
        const char *s = json_string_value(json_array_get(a, i));
        const char *copy = s ? arena_strdup(arena, s) : NULL;
        if (copy)
            out->items[out->len++] = copy;
    }
}

int baseline_load(const char *cache_dir, const struct hash_hex *key, struct arena *arena, struct outcome *out)
{
    AUTO(ptr) char *path = cache_path(cache_dir, key);
    AUTO(buf) struct buf text = BUF_INIT(STORE_BYTES + 1);
    struct err e = ERR_INIT;
    AUTO(json) json_t *doc = NULL;
    if (!path || file_read(path, STORE_BYTES, &text, &e) < 0 || json_parse(buf_span(&text), BIND_TOLERANT, &doc, &e) < 0)
        return 0;
    if (json_integer_value(json_object_get(doc, "v")) != FORMAT)
        return 0;
    *out = (struct outcome){ .status = (int)json_integer_value(json_object_get(doc, "status")),
                             .timed_out = json_is_true(json_object_get(doc, "timed_out")),
                             .duration_ms = json_integer_value(json_object_get(doc, "duration_ms")),
                             .cached = true,
                             .runs = (int)json_integer_value(json_object_get(doc, "runs")) };
    results_init(&out->results, arena);
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(doc, "tests"), i, row)
    {
        const json_t *id = json_array_get(row, 0);
        int64_t st = json_integer_value(json_array_get(row, 1));
        if (json_is_string(id) && st >= TEST_PASS && st <= TEST_FAIL)
            results_add_test(&out->results, SPAN(""), span_of(json_string_value(id)), (enum test_status)st, SPAN(""), 0, SPAN(""));
    }
    json_array_foreach(json_object_get(doc, "findings"), i, row)
    {
        const char *k = json_string_value(json_array_get(row, 0)), *rule = json_string_value(json_array_get(row, 1)),
                   *file = json_string_value(json_array_get(row, 2)), *msg = json_string_value(json_array_get(row, 4));
        int64_t sev = json_integer_value(json_array_get(row, 3));
        if (!k || !rule || !file || !msg || sev < RESULT_NOTE || sev > RESULT_ERROR)
            continue;
        size_t n = out->results.nfindings;
        results_add_finding(&out->results, SPAN(""), span_of(rule), (enum result_severity)sev, span_of(file),
                            json_integer_value(json_array_get(row, 5)), 0, span_of(msg));
        if (out->results.nfindings > n)
            out->results.findings[n].key = arena_strdup(arena, k);
    }
    const char *reader = json_string_value(json_object_get(doc, "reader"));
    results_close(&out->results);
    out->results.reader = reader ? arena_strdup(arena, reader) : "";
    load_texts(json_object_get(doc, "lines"), arena, &out->lines);
    load_texts(json_object_get(doc, "shown"), arena, &out->shown);
    const char *o = json_string_value(json_object_get(doc, "output"));
    out->output = span_of(o ? arena_strdup(arena, o) : "");
    for (i = 0; i < out->results.nfindings; i++)
        if (!out->results.findings[i].key)
            return 0;
    return out->lines.len == out->shown.len && !out->results.nomem;
}

void baseline_prune(const char *cache_dir)
{
    AUTO(ptr) char *dir = path_join(cache_dir, "baseline");
    AUTO(fd) int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    struct dirent **list = NULL;
    int n = fd < 0 ? -1 : scandirat(fd, ".", &list, NULL, by_name);
    struct stat st;
    time_t oldest_kept = time(NULL) - 14 * 24 * 3600; /* two weeks: a tree that nobody came back to */
    for (int i = 0; i < n; i++) {
        if (n > (int)BASELINE_KEEP && fstatat(fd, list[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            (st.st_mtime < oldest_kept || n > 4 * (int)BASELINE_KEEP))
            (void)unlinkat(fd, list[i]->d_name, 0);
        free(list[i]);
    }
    free(list);
}
