/*
 * files - read, write, stat, remove, list, search.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "sandbox/sandbox-internal.h"

static bool known_type(int c)
{
    return c == SANDBOX_FILE || c == SANDBOX_DIR || c == SANDBOX_LINK || c == SANDBOX_OTHER;
}

static void fill_stat(const struct wire *ok, struct sandbox_stat *st)
{
    int type = (int)(ok->c & 0xff);
    *st = (struct sandbox_stat){ .type = known_type(type) ? (enum sandbox_file_type)type : SANDBOX_OTHER,
                                 .mode = (unsigned)(ok->c >> 8) & 07777, .size = ok->a, .mtime_ns = ok->b };
}

static int ask_path(struct sandbox *sb, struct wire *w, const char *path, struct answer *r, struct err *e)
{
    char full[PATHS_INSIDE_MAX];
    int rc = client_path(sb, path, full, e);
    return rc < 0 ? rc : client_ask(sb, w, full, strlen(full) + 1, NULL, 0, r, NULL, e);
}

int sandbox_read(struct sandbox *sb, const char *path, int64_t offset, size_t limit, struct buf *out, struct sandbox_stat *st,
                 struct err *e)
{
    struct answer r = { .data = out };
    struct wire w = { .type = WIRE_READ, .a = offset < 0 ? 0 : offset, .b = limit > INT64_MAX ? INT64_MAX : (int64_t)limit };
    int rc = ask_path(sb, &w, path, &r, e);
    if (rc < 0)
        return rc;
    if (st)
        fill_stat(&r.ok, st);
    return buf_check(out, e);
}

int sandbox_stat(struct sandbox *sb, const char *path, struct sandbox_stat *out, struct err *e)
{
    struct answer r = { 0 };
    int rc = ask_path(sb, &(struct wire){ .type = WIRE_STAT }, path, &r, e);
    if (rc >= 0)
        fill_stat(&r.ok, out);
    return rc;
}

int sandbox_remove(struct sandbox *sb, const char *path, struct err *e)
{
    struct answer r = { 0 };
    return ask_path(sb, &(struct wire){ .type = WIRE_REMOVE }, path, &r, e);
}

int sandbox_write(struct sandbox *sb, const char *path, struct span data, unsigned mode, unsigned flags, struct err *e)
{
    char full[PATHS_INSIDE_MAX];
    struct answer r = { 0 };
    int rc = client_path(sb, path, full, e);
    if (rc < 0)
        return rc;
    struct wire w = { .type = WIRE_WRITE, .a = mode & 0777, .b = flags };
    return client_ask(sb, &w, full, strlen(full) + 1, data.p, data.n, &r, NULL, e);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct sandbox_entry *)a)->path, ((const struct sandbox_entry *)b)->path);
}

/* Records of the helper's list: type, size, space, path, NUL; "!" alone: there is more. */
static int parse_list(struct span data, struct arena *a, struct sandbox_entry **out, size_t *n, bool *truncated, struct err *e)
{
    size_t cap = 0, len = 0;
    for (size_t i = 0; i < data.n; i++)
        cap += data.p[i] == '\0';
    struct sandbox_entry *rows = arena_array(a, cap + 1, sizeof *rows);
    if (!rows)
        return err_set(e, ERR_NOMEM, "out of memory");
    while (data.n) {
        ptrdiff_t end = span_findc(data, '\0');
        if (end < 0)
            break;
        struct span row = span_sub(data, 0, (size_t)end);
        data = span_sub(data, (size_t)end + 1, data.n);
        if (span_eqs(row, "!")) {
            *truncated = true;
            continue;
        }
        ptrdiff_t space = span_findc(row, ' ');
        int64_t size;
        if (space < 2 || !known_type(row.p[0]) || parse_i64(span_sub(row, 1, (size_t)space - 1), 0, INT64_MAX, &size, e) < 0)
            return err_set(e, ERR_PROTOCOL, "the sandbox sent a malformed list");
        char *path = arena_span(a, span_sub(row, (size_t)space + 1, row.n));
        if (!path)
            return err_set(e, ERR_NOMEM, "out of memory");
        rows[len++] = (struct sandbox_entry){ path, (enum sandbox_file_type)row.p[0], size };
    }
    qsort(rows, len, sizeof *rows, by_path);
    *out = rows;
    *n = len;
    return 0;
}

struct listing {
    struct waiter w;
    struct buf data;
    bool done;
    int64_t status;
    struct err err;
};

static void on_list(void *ctx, const struct wire *w, const char *payload, size_t n, int fd)
{
    struct listing *l = ctx;
    if (fd >= 0)
        (void)close(fd);
    if (w->type == WIRE_DATA) {
        buf_add(&l->data, payload, n);
    } else if (w->type == WIRE_EXIT || w->type == WIRE_FAIL) {
        if (w->type == WIRE_FAIL)
            (void)client_fail(w, payload, n, &l->err);
        l->status = w->a;
        l->done = true;
    }
}

int sandbox_list(struct sandbox *sb, const char *path, unsigned flags, size_t max, struct arena *a, struct sandbox_entry **out, size_t *n,
                 bool *truncated, struct cancel *cancel, struct err *e)
{
    char full[PATHS_INSIDE_MAX];
    struct listing l = { .data = BUF_INIT(256 << 20) };
    int rc = client_path(sb, path && *path ? path : sb->target, full, e);
    if (rc < 0)
        return rc;
    client_add(sb, &l.w, on_list, &l);
    struct wire w = { .type = WIRE_LIST, .id = l.w.id, .a = flags, .b = (int64_t)(max ? max : 100000) };
    rc = client_send(sb, &w, full, strlen(full) + 1, NULL, 0, e);
    if (rc >= 0)
        rc = loop_wait(sb->loop, &l.done, 0, cancel, e);
    if (rc == -ERR_CANCELLED) {
        struct err ignored;
        (void)!client_send(sb, &(struct wire){ .type = WIRE_SIGNAL, .a = 9, .b = l.w.id }, NULL, 0, NULL, 0, &ignored);
    }
    client_remove(sb, &l.w);
    bool more = false;
    if (rc >= 0 && l.err.kind) {
        *e = l.err;
        rc = -(int)e->kind;
    } else if (rc >= 0 && l.status) {
        errno = l.status == 2 ? ENOENT : l.status == 3 ? ENOTDIR : EACCES;
        rc = err_sys(e, "cannot list '%s'", full);
    }
    if (rc >= 0)
        rc = buf_check(&l.data, e);
    if (rc >= 0)
        rc = parse_list(buf_span(&l.data), a, out, n, &more, e);
    buf_finish(&l.data);
    if (rc >= 0 && truncated)
        *truncated = more;
    return rc;
}

/* "./a.c:1:x" and "a.c:1:x" mean the same; models and people expect the second. */
static void strip_dot(struct buf *out, size_t from)
{
    size_t to = from;
    for (size_t at = from; at < out->n;) {
        const char *nl = memchr(out->p + at, '\n', out->n - at);
        size_t end = nl ? (size_t)(nl - out->p) + 1 : out->n, start = at;
        if (end - at > 2 && out->p[at] == '.' && out->p[at + 1] == '/')
            start += 2;
        memmove(out->p + to, out->p + start, end - start);
        to += end - start;
        at = end;
    }
    buf_truncate(out, to);
}

/* Keep the first `max` lines. */
static void cut_lines(struct buf *out, size_t from, size_t max, bool *truncated)
{
    size_t at = from;
    while (at < out->n && max) {
        const char *nl = memchr(out->p + at, '\n', out->n - at);
        at = nl ? (size_t)(nl - out->p) + 1 : out->n;
        max--;
    }
    if (at < out->n) {
        buf_truncate(out, at);
        *truncated = true;
    }
}

static int64_t search_ms(const struct sandbox_search *s)
{
    return s->timeout_ms ? s->timeout_ms : 30000;
}

int sandbox_search_begin(struct sandbox *sb, const struct sandbox_search *s, struct cancel *cancel, struct sandbox_job **out, struct err *e)
{
    const char *argv[24];
    size_t n = 0, max = s->max_matches ? s->max_matches : 1000;
    char per_file[32];
    struct sandbox_result r;
    if (!sb->searched_rg) {
        sb->searched_rg = true;
        const char *const probe[] = { "rg", "--version", NULL };
        struct sandbox_exec x = { .argv = probe, .timeout_ms = 5000, .out_cap_bytes = 4096 };
        sb->has_rg = sandbox_exec(sb, &x, NULL, &r, cancel, e) >= 0 && r.status == 0;
        err_reset(e);
    }
    (void)snprintf(per_file, sizeof per_file, "%zu", max + 1);
    const char *const rg[] = { "rg", "--no-config", "--color=never", "--no-heading", "--with-filename", "--line-number", "--sort=path",
                               "--max-columns=400", "--max-columns-preview", "--hidden", "--glob=!.git", "-m", per_file };
    const char *const grep[] = { "grep", "-rnIHE", "--color=never", "--exclude-dir=.git", "-m", per_file };
    if (sb->has_rg) {
        memcpy(argv, rg, sizeof rg);
        n = COUNT_OF(rg);
    } else {
        memcpy(argv, grep, sizeof grep);
        n = COUNT_OF(grep);
    }
    if (s->ignore_case)
        argv[n++] = "-i";
    if (s->fixed)
        argv[n++] = sb->has_rg ? "-F" : "--fixed-strings";
    argv[n++] = "-e";
    argv[n++] = s->pattern;
    argv[n++] = "--";
    argv[n++] = s->path && *s->path ? s->path : ".";
    argv[n] = NULL;
    if (!sb->has_rg && s->fixed)
        argv[1] = "-rnIH";
    struct sandbox_exec x = { .argv = argv, .timeout_ms = search_ms(s), .out_cap_bytes = 1 << 20, .merge = true };
    int rc = sandbox_job_start(sb, &x, NULL, NULL, out, e);
    return rc < 0 ? err_wrap(e, "search") : rc;
}

int sandbox_search_end(struct sandbox *sb, const struct sandbox_search *s, struct sandbox_job *job, struct buf *out, bool *truncated,
                       struct cancel *cancel, struct err *e)
{
    size_t from = out->n, max = s->max_matches ? s->max_matches : 1000;
    struct sandbox_result r;
    bool more = false;
    int rc = loop_wait(sb->loop, job_done(job), 0, cancel, e);
    if (rc >= 0)
        rc = sandbox_job_result(job, &r, e);
    if (rc < 0)
        return err_wrap(e, "search");
    buf_add_span(out, sandbox_job_output(job));
    if (r.timed_out)
        return err_set(e, ERR_TIMEOUT, "search: not finished within %lld ms", (long long)search_ms(s));
    if (r.status >= 2 && out->n > from) {
        struct span text = { out->p + from, out->n - from }, line;
        (void)span_line(&text, &line);
        err_set(e, ERR_INPUT, "search: %.*s", (int)(line.n > 300 ? 300 : line.n), line.p);
        buf_truncate(out, from);
        return -ERR_INPUT;
    }
    more = r.truncated;
    if (r.truncated) {
        /* the kept head only: lines in order */
        struct span text = { out->p + from, out->n - from };
        ptrdiff_t cut = span_find(text, SPAN("bytes left out; the whole output is in"));
        if (cut >= 0)
            buf_truncate(out, from + (size_t)cut);
        while (out->n > from && out->p[out->n - 1] != '\n')
            buf_truncate(out, out->n - 1);
    }
    cut_lines(out, from, max, &more);
    if (out->n > from)
        strip_dot(out, from);
    if (truncated)
        *truncated = more;
    return 0;
}

int sandbox_search(struct sandbox *sb, const struct sandbox_search *s, struct buf *out, bool *truncated, struct cancel *cancel,
                   struct err *e)
{
    AUTO(sandbox_job) struct sandbox_job *job = NULL;
    int rc = sandbox_search_begin(sb, s, cancel, &job, e);
    return rc < 0 ? rc : sandbox_search_end(sb, s, job, out, truncated, cancel, e);
}
