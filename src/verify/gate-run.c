#include "verify/gate-run.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hash.h"
#define LOG_MODULE "verify"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "sandbox/sandbox.h"
#include "verify/reader.h"
#include "verify/verify.h"
#include "workspace/layer.h"

#define CAPTURE_BYTES (32u << 20) /* of standard output kept for a reader; a flood beyond it is counted, not kept */
#define REPORTS_MAX 500           /* files of one report pattern */
#define HOUSEKEEPING_MS 20000     /* for our own small commands inside */

/* No colours, no watching, no prompts; the same language everywhere. */
const char *const gate_env[] = { "CI=true", "NO_COLOR=1", "TERM=dumb", "LC_ALL=C.UTF-8", "PAGER=cat", "GIT_PAGER=cat", "FORCE_COLOR=0", NULL };

struct bench {
    struct bench_setup setup;
    const struct tree *tree;
    const char *lower; /* the workspace, when the tree names no directory */
    struct sandbox *sandbox;
    char *upper, *work;   /* on disk, or NULL */
    struct layer *copy;   /* has one of the workspace, where its file system cannot be a lower layer; or NULL */
    bool used;
    const struct gate *checked; /* whose needs are known to be there */
};

int bench_create(const struct bench_setup *setup, const struct tree *tree, struct bench **out, struct err *e)
{
    struct bench *b = calloc(1, sizeof *b);
    if (!b)
        return err_set(e, ERR_NOMEM, "preparing to run gates: out of memory");
    b->setup = *setup;
    b->tree = tree;
    b->lower = setup->template->workspace;
    *out = b;
    return 0;
}

void bench_destroy(struct bench *b)
{
    if (!b)
        return;
    sandbox_destroy(b->sandbox);
    struct err ignored = ERR_INIT;
    if (b->upper)
        (void)path_remove_tree(AT_FDCWD, b->upper, &ignored);
    if (b->work)
        (void)path_remove_tree(AT_FDCWD, b->work, &ignored);
    if (b->copy && layer_discard(b->copy, &ignored) < 0)
        log_debug("%s", ignored.text);
    layer_destroy(b->copy);
    free(b->upper);
    free(b->work);
    free(b);
}

/* A small command of our own; its status, negative when it could not run. */
static int inside(struct bench *b, const char *script, const char *cwd, struct buf *output, struct cancel *cancel, struct err *e)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    struct sandbox_exec x = { .argv = argv, .cwd = cwd, .timeout_ms = HOUSEKEEPING_MS, .out_cap_bytes = 256u << 10 };
    struct sandbox_result r;
    int rc = sandbox_exec(b->sandbox, &x, output, &r, cancel, e);
    return rc < 0 ? rc : r.timed_out ? 124 : r.status;
}

static void quote(struct buf *b, const char *s)
{
    buf_addc(b, '\'');
    for (; *s; s++)
        *s == '\'' ? buf_adds(b, "'\\''") : buf_addc(b, *s);
    buf_addc(b, '\'');
}

/* Contents that lie on top of the tree's directories. */
static int lay_files(struct bench *b, struct cancel *cancel, struct err *e)
{
    AUTO(buf) struct buf script = BUF_INIT(8u << 20);
    for (size_t i = 0; i < b->tree->nfiles; i++) {
        const struct tree_file *f = &b->tree->files[i];
        if (!path_is_safe_relative(f->path))
            return err_set(e, ERR_INPUT, "'%s' is not a path inside the workspace", f->path);
        if (f->deleted) {
            buf_adds(&script, "rm -rf -- ");
            quote(&script, f->path);
            buf_adds(&script, "\n");
        } else if (f->symlink) {
            AUTO(ptr) char *target = span_dup(f->content);
            buf_adds(&script, "mkdir -p -- \"$(dirname -- ");
            quote(&script, f->path);
            buf_adds(&script, ")\" && ln -sfn -- ");
            quote(&script, target ? target : "");
            buf_adds(&script, " ");
            quote(&script, f->path);
            buf_adds(&script, "\n");
        } else if (sandbox_write(b->sandbox, f->path, f->content, f->mode ? f->mode : 0644, SANDBOX_WRITE_PARENTS, e) < 0) {
            return err_wrap(e, "laying out '%s'", f->path);
        }
    }
    if (!script.n)
        return 0;
    if (buf_check(&script, e) < 0)
        return err_wrap(e, "laying out files");
    int rc = inside(b, buf_str(&script), NULL, NULL, cancel, e);
    if (rc < 0)
        return rc;
    return rc ? err_set(e, ERR_IO, "laying out files in the sandbox failed with status %d", rc) : 0;
}

static int own_dirs(struct bench *b, struct err *e)
{
    char id[ID_SIZE];
    id_make("v", id);
    AUTO(buf) struct buf u = BUF_INIT(PATH_MAX), w = BUF_INIT(PATH_MAX);
    buf_addf(&u, "%s/%s.u", b->setup.scratch_dir, id);
    buf_addf(&w, "%s/%s.w", b->setup.scratch_dir, id);
    if (path_mkdirs(buf_str(&u), 0700, e) < 0 || path_mkdirs(buf_str(&w), 0700, e) < 0)
        return err_wrap(e, "preparing a throw-away layer");
    b->upper = buf_take(&u);
    b->work = buf_take(&w);
    return b->upper && b->work ? 0 : err_set(e, ERR_NOMEM, "preparing a throw-away layer: out of memory");
}

/* Where a task runs, it has made this copy already (sandbox_spec.base of the template). */
static int copy_base(struct bench *b, struct err *e)
{
    const struct sandbox_spec *t = b->setup.template;
    struct layer_options opt = { .kind = LAYER_AUTO };
    struct err why = *e;
    if (b->copy || !t->state_dir)
        return -(int)e->kind;
    int r = layer_create(t->workspace, t->state_dir, &opt, &b->copy, e);
    if (r == 0)
        r = layer_copy_base(b->copy, e);
    if (r == -ERR_UNSUPPORTED)
        *e = why;
    return r;
}

static int start(struct bench *b, struct cancel *cancel, struct err *e)
{
    if (b->sandbox)
        return 0;
    struct sandbox_spec spec = *b->setup.template;
    if (b->setup.scratch_dir && !b->upper && own_dirs(b, e) < 0)
        return -(int)e->kind;
    spec.overlay = (struct sandbox_overlay){
        .lowers = b->tree->ndirs ? b->tree->dirs : &b->lower,
        .nlowers = b->tree->ndirs ? b->tree->ndirs : 1,
        .upper = b->upper ? b->upper : "tmpfs",
        .work = b->upper ? b->work : NULL,
    };
    if (b->copy)
        spec.base = layer_base(b->copy);
    int r = sandbox_start(b->setup.loop, &spec, &b->sandbox, e);
    if (r == -ERR_UNSUPPORTED && !spec.base && (!spec.backend || strcmp(spec.backend, "native") == 0) && copy_base(b, e) == 0) {
        spec.base = layer_base(b->copy);
        r = sandbox_start(b->setup.loop, &spec, &b->sandbox, e);
    }
    if (r < 0)
        return err_wrap(e, "starting the sandbox for gates");
    return lay_files(b, cancel, e);
}

/* --- what must be there --- */

/* "[ -e FILE ] || ": in the gate's directory, or, as node looks for its packages, in one above it. */
static void need_file(struct buf *script, const char *file, const char *cwd)
{
    bool upwards = !strncmp(file, "./node_modules", 14);
    int above = *cwd && upwards ? 1 : 0;
    for (const char *c = cwd; upwards && *c; c++)
        above += *c == '/';
    for (int i = 0; i <= above; i++) {
        AUTO(buf) struct buf path = BUF_INIT(8192);
        for (int k = 0; k < i; k++)
            buf_adds(&path, "../");
        buf_adds(&path, file);
        buf_adds(script, "[ -e ");
        quote(script, buf_str(&path));
        buf_adds(script, " ] || ");
    }
}

/* 0 all there, 1 something is missing (named in e). */
static int check_needs(struct bench *b, const struct gate *g, struct cancel *cancel, struct err *e)
{
    if (!g->needs || !*g->needs)
        return 0;
    AUTO(buf) struct buf script = BUF_INIT(16384), out = BUF_INIT(8192);
    struct span list = span_of(g->needs), one;
    while (span_split(&list, ' ', &one)) {
        AUTO(ptr) char *p = span_dup(span_trim(one));
        if (!p || !*p)
            continue;
        if (strchr(p, '/')) {
            need_file(&script, p, g->cwd);
        } else {
            buf_adds(&script, "command -v ");
            quote(&script, p);
            buf_adds(&script, " >/dev/null 2>&1 || ");
        }
        buf_adds(&script, "echo ");
        quote(&script, p);
        buf_adds(&script, "\n");
    }
    int rc = inside(b, buf_str(&script), *g->cwd ? g->cwd : NULL, &out, cancel, e);
    if (rc < 0)
        return rc;
    struct span missing = span_trim(buf_span(&out)), first;
    if (!missing.n)
        return 0;
    (void)span_line(&missing, &first);
    if (span_findc(first, '/') >= 0)
        err_set(e, ERR_NOT_FOUND, "'%.*s' is missing (dependencies are not installed)", (int)first.n, first.p);
    else
        err_set(e, ERR_NOT_FOUND, "'%.*s' is not installed", (int)first.n, first.p);
    return 1;
}

/* --- reading --- */

struct capture {
    struct buf out, all; /* standard output; both streams as they came */
};

static void on_output(void *ctx, int stream, struct span data)
{
    struct capture *c = ctx;
    if (stream == 1 && !c->out.failed && c->out.n + data.n <= c->out.limit)
        buf_add_span(&c->out, data);
    if (!c->all.failed && c->all.n + data.n <= c->all.limit)
        buf_add_span(&c->all, data);
}

/* What was well-formed of a report counts; that the rest was not is for the log. */
static void take(const struct reader *rd, struct span text, struct results *r)
{
    struct err e = ERR_INIT;
    if (reader_read(rd, text, r, &e) < 0)
        log_info("%s", e.text);
}

static int read_reports(struct bench *b, const struct gate *g, struct results *r, struct cancel *cancel, struct err *e)
{
    const struct reader *rd = reader_find(g->reader ? g->reader : "junit");
    AUTO(buf) struct buf script = BUF_INIT(4096), names = BUF_INIT(256u << 10), text = BUF_INIT(READER_MAX_BYTES);
    buf_addf(&script, "ls -1d %s 2>/dev/null", g->report); /* the pattern is ours or a person's: unquoted on purpose */
    int rc = inside(b, buf_str(&script), *g->cwd ? g->cwd : NULL, &names, cancel, e);
    if (rc < 0)
        return rc;
    struct span rest = buf_span(&names), name;
    for (int i = 0; i < REPORTS_MAX && span_line(&rest, &name); i++) {
        AUTO(ptr) char *n = span_dup(name);
        AUTO(buf) struct buf path = BUF_INIT(PATH_MAX);
        if (!n)
            return err_set(e, ERR_NOMEM, "reading reports: out of memory");
        buf_addf(&path, "%s%s%s", *n == '/' ? "" : g->cwd, *n != '/' && *g->cwd ? "/" : "", n);
        struct err ignored = ERR_INIT;
        buf_reset(&text);
        if (sandbox_read(b->sandbox, buf_str(&path), 0, READER_MAX_BYTES - 1, &text, NULL, &ignored) == 0)
            take(rd, buf_span(&text), r);
    }
    return 0;
}

static void understand(const struct gate *g, const struct capture *c, struct results *r)
{
    const struct reader *rd = g->reader ? reader_find(g->reader) : NULL;
    if (rd && !rd->lines) {
        take(rd, buf_span(&c->out), r);
        if (r->ntests + r->nfindings)
            return;
        rd = NULL; /* "error: no such option" in place of the report: look at it */
    }
    if (!rd)
        rd = reader_sniff(buf_span(&c->all));
    if (rd)
        take(rd, buf_span(&c->all), r);
}

/* Head and tail of the output, EVIDENCE_BYTES in all. */
static struct span evidence_of(const struct buf *all, uint64_t total, struct arena *arena)
{
    AUTO(buf) struct buf b = BUF_INIT(EVIDENCE_BYTES + 256);
    struct span s = buf_span(all);
    if (s.n <= EVIDENCE_BYTES) {
        buf_add_span(&b, s);
    } else {
        size_t head = EVIDENCE_BYTES / 4, tail = EVIDENCE_BYTES - head;
        buf_add_span(&b, span_sub(s, 0, head));
        buf_addf(&b, "\n[... %llu bytes left out ...]\n", (unsigned long long)(total - head - tail));
        buf_add_span(&b, span_sub(s, s.n - tail, tail));
    }
    char *copy = arena_alloc(arena, b.n + 1);
    if (!copy)
        return (struct span){ "", 0 };
    if (b.n)
        memcpy(copy, b.p, b.n);
    return (struct span){ copy, b.n };
}

int gate_run(struct bench *b, const struct gate *g, const char *command, struct arena *arena, struct outcome *out,
             struct cancel *cancel, struct err *e)
{
    if (start(b, cancel, e) < 0)
        return -(int)e->kind;
    int missing = g->explicit_gate || b->checked == g ? 0 : check_needs(b, g, cancel, e);
    if (missing)
        return missing;
    b->checked = g;
    if (b->used) { /* nothing that an earlier gate left running */
        struct err ignored = ERR_INIT;
        (void)inside(b, "kill -9 -1 2>/dev/null; :", NULL, NULL, cancel, &ignored);
    }
    b->used = true;
    if (g->report) {
        AUTO(buf) struct buf rm = BUF_INIT(4096);
        struct err ignored = ERR_INIT;
        buf_addf(&rm, "rm -f %s", g->report); /* an old report vouches for nothing */
        (void)inside(b, buf_str(&rm), *g->cwd ? g->cwd : NULL, NULL, cancel, &ignored);
    }

    AUTO(buf) struct buf output = BUF_INIT(4u << 20);
    struct capture c = { BUF_INIT(CAPTURE_BYTES), BUF_INIT(CAPTURE_BYTES) };
    const struct reader *rd = g->reader ? reader_find(g->reader) : NULL;
    const char *const argv[] = { "sh", "-c", command, NULL };
    struct sandbox_exec x = {
        .argv = argv,
        .cwd = *g->cwd ? g->cwd : NULL,
        .env = gate_env,
        .timeout_ms = g->timeout_ms,
        .out_cap_bytes = 1u << 20,
        .merge = !rd || rd->lines, /* true order for people; apart where a document is read */
        .on_output = on_output,
        .ctx = &c,
    };
    struct sandbox_result r = { 0 };
    int rc = sandbox_exec(b->sandbox, &x, &output, &r, cancel, e);
    if (rc >= 0) {
        *out = (struct outcome){ .status = r.status, .timed_out = r.timed_out, .out_of_memory = r.out_of_memory,
                                 .out_of_disk = r.out_of_disk, .duration_ms = r.duration_ms };
        results_init(&out->results, arena);
        out->results.strip = sandbox_workspace(b->sandbox);
        if (*g->cwd && (out->results.strip = arena_printf(arena, "%s/%s", sandbox_workspace(b->sandbox), g->cwd)) == NULL)
            out->results.strip = "";
        out->output = evidence_of(r.out_bytes > c.all.n ? &output : &c.all, r.out_bytes, arena);
        if (g->report)
            rc = read_reports(b, g, &out->results, cancel, e);
        if (rc >= 0 && !(out->results.ntests + out->results.nfindings))
            understand(g, &c, &out->results);
        results_close(&out->results);
        out->results.strip = NULL;
    }
    buf_finish(&c.out);
    buf_finish(&c.all);
    if (rc < 0)
        return err_wrap(e, "gate '%s'", g->name);
    if (outcome_name(out, b->tree, g->cwd, arena, e) < 0) {
        outcome_finish(out);
        return err_wrap(e, "gate '%s'", g->name);
    }
    return 0;
}
