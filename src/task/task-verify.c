#include "task/task-internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"

void task_drop_change(struct task *t)
{
    change_destroy(t->change);
    t->change = NULL;
    t->verdict = (struct verdict){ 0 };
    t->verified_once = false;
}

static const struct gate *explicit_gates(struct task *t, size_t *count, struct err *e)
{
    size_t n = t->spec.gates.len ? t->spec.gates.len : t->values->ngates;
    struct gate *g = arena_array(&t->arena, n ? n : 1, sizeof *g);
    if (!g) {
        err_set(e, ERR_NOMEM, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (t->spec.gates.len) {
            g[i] = (struct gate){ .command = t->spec.gates.items[i], .kind = GATE_CUSTOM, .from = "--gate" };
        } else {
            const struct config_gate *c = &t->values->gates[i];
            enum gate_kind kind = GATE_CUSTOM;
            if (c->kind && !gate_kind_parse(span_of(c->kind), &kind))
                kind = GATE_CUSTOM;
            g[i] = (struct gate){ .name = c->name, .command = c->command, .kind = kind, .cwd = c->cwd,
                                  .timeout_ms = c->timeout_ms, .fix = c->fix, .from = "stead.yaml" };
        }
        g[i].explicit_gate = true;
    }
    *count = n;
    return g;
}

void task_forget_gates(struct task *t)
{
    free(t->gates.items);
    t->gates = (struct gates){ 0 };
    t->gates_known = false;
}

int task_gates(struct task *t, struct err *e)
{
    if (t->gates_known || t->spec.no_gates)
        return 0;
    size_t n = 0;
    const struct gate *given = explicit_gates(t, &n, e);
    if (!given)
        return -(int)e->kind;
    struct detect_input in = { .base = { .dirs = &t->spec.workspace, .ndirs = 1 }, .explicit_gates = given, .nexplicit = n };
    if (t->change) {
        const char **paths = arena_array(&t->turn, t->change->nfiles + 1, sizeof *paths);
        if (!paths)
            return err_set(e, ERR_NOMEM, "out of memory");
        for (size_t i = 0; i < t->change->nfiles; i++)
            paths[i] = t->change->files[i].path;
        in.changed = (struct strings){ paths, t->change->nfiles };
    }
    int r = gate_detect(&in, &t->turn, &t->gates, e);
    if (r < 0)
        return err_wrap(e, "looking for gates");
    t->gates_known = true;
    return 0;
}

static int scratch_dir(struct task *t, char **out, struct err *e)
{
    *out = path_join(t->state_dir, "scratch");
    if (!*out)
        return err_set(e, ERR_NOMEM, "out of memory");
    return path_mkdirs(*out, 0700, e);
}

static void on_gate_start(void *ctx, const struct gate *g)
{
    const struct task *t = ctx;
    if (t->spec.events && t->spec.events->on_gate_start)
        t->spec.events->on_gate_start(t->spec.events->ctx, g);
}

static void on_gate(void *ctx, const struct gate_result *r)
{
    struct task *t = ctx;
    struct err ignored = ERR_INIT;
    if (event_gate(t, r, &ignored) < 0) {
        /* the verdict is recorded again with the result; a full disk is reported there */
    }
    if (t->spec.events && t->spec.events->on_gate)
        t->spec.events->on_gate(t->spec.events->ctx, r);
}

static void on_finding(void *ctx, const struct finding *f)
{
    struct err ignored = ERR_INIT;
    if (event_finding(ctx, f, &ignored) < 0) {
        /* as above */
    }
}

static void fill_spec(struct task *t, struct verify_spec *spec, const char *scratch)
{
    *spec = (struct verify_spec){
        .loop = t->spec.loop,
        .sandbox = &t->sandbox_spec,
        .gates = t->gates.items,
        .ngates = t->gates.len,
        .cache_dir = t->cache_dir,
        .must_pass = t->spec.gates.len > 0, /* the user said that these have to pass */
        .scratch_dir = scratch,
        .on_gate_start = on_gate_start,
        .ctx = t,
    };
}

int task_evidence(struct task *t, struct buf *out, struct cancel *cancel, struct err *e)
{
    AUTO(ptr) char *scratch = NULL;
    struct verify_spec spec;
    if (t->spec.no_gates)
        return 0;
    int r = task_gates(t, e);
    if (r < 0 || !t->gates.len)
        return r;
    r = scratch_dir(t, &scratch, e);
    if (r < 0)
        return r;
    fill_spec(t, &spec, scratch);
    r = task_work_begin(t, cancel, e);
    if (r < 0)
        return r;
    r = verify_evidence(&spec, out, cancel, e);
    task_work_end(t);
    return r > 0 ? buf_check(out, e) : r;
}

int task_read_change(struct task *t, struct err *e)
{
    struct change_options opt = { .protected_paths = { t->values->policy.protected_paths, t->values->policy.nprotected_paths } };
    task_drop_change(t);
    if (t->sandbox && sandbox_alive(t->sandbox)) {
        int r = sandbox_pause(t->sandbox, e);
        if (r < 0)
            return err_wrap(e, "stopping the sandbox");
    }
    int r = change_read(t->layer, &opt, &t->change, e);
    if (t->sandbox && sandbox_alive(t->sandbox)) {
        struct err ignored;
        (void)!sandbox_resume(t->sandbox, r < 0 ? &ignored : e);
    }
    if (r < 0)
        return err_wrap(e, "reading the change");
    return change_count(t->change, e);
}

static int side_text(const struct change *c, const struct change_side *side, struct span *out)
{
    struct err ignored;
    *out = (struct span){ "", 0 };
    if (!side->exists || !side->stored || side->binary)
        return 0;
    return change_data(c, side, out, &ignored);
}

static struct rule_file *rule_files(struct task *t, size_t *n)
{
    static const enum rule_file_kind kinds[CHANGE_KINDS] = {
        [CHANGE_ADDED] = RULE_FILE_ADDED,     [CHANGE_MODIFIED] = RULE_FILE_MODIFIED, [CHANGE_DELETED] = RULE_FILE_DELETED,
        [CHANGE_RENAMED] = RULE_FILE_RENAMED, [CHANGE_MODE] = RULE_FILE_MODIFIED,
    };
    const struct change *c = t->change;
    struct rule_file *files = arena_array(&t->turn, c->nfiles + 1, sizeof *files);
    for (size_t i = 0; files && i < c->nfiles; i++) {
        const struct change_file *f = &c->files[i];
        files[i] = (struct rule_file){
            .path = f->path,
            .old_path = f->kind == CHANGE_RENAMED ? f->old_path : NULL,
            .kind = kinds[f->kind],
            .new_size = f->now.exists ? (uint64_t)f->now.size : 0,
            .binary = f->now.exists ? f->now.binary : f->base.binary,
            .executable = f->now.exists && (f->now.mode & 0111) != 0,
            .symlink = f->now.exists && f->now.symlink,
        };
        (void)side_text(c, &f->base, &files[i].old_text);
        (void)side_text(c, &f->now, &files[i].new_text);
    }
    *n = c->nfiles;
    return files;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct tree_file *)a)->path, ((const struct tree_file *)b)->path);
}

/* The change's own contents over the workspace: where the layer cannot be seen a second time (in memory, or a copy). */
static int change_tree(struct task *t, struct tree *out, struct err *e)
{
    const struct change *c = t->change;
    struct tree_file *files = arena_array(&t->turn, 2 * c->nfiles + 1, sizeof *files);
    size_t n = 0;
    if (!files)
        return err_set(e, ERR_NOMEM, "preparing the gates: out of memory");
    for (size_t i = 0; i < c->nfiles; i++) {
        const struct change_file *f = &c->files[i];
        if (f->now.exists) {
            files[n] = (struct tree_file){ .path = f->path, .symlink = f->now.symlink, .mode = f->now.mode };
            if (change_data(c, &f->now, &files[n++].content, e) < 0)
                return err_wrap(e, "preparing the gates");
        }
        if (!f->now.exists || f->kind == CHANGE_RENAMED)
            files[n++] = (struct tree_file){ .path = f->now.exists ? f->old_path : f->path, .deleted = true };
    }
    qsort(files, n, sizeof *files, by_path);
    *out = (struct tree){ .dirs = &t->spec.workspace, .ndirs = 1, .files = files, .nfiles = n };
    return 0;
}

int task_verify(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    AUTO(ptr) char *scratch = NULL;
    struct verify_spec spec;
    struct sandbox_overlay view;
    int r = task_gates(t, e);
    if (r == 0)
        r = scratch_dir(t, &scratch, e);
    if (r < 0)
        return r;
    fill_spec(t, &spec, scratch);
    r = layer_view(t->layer, false, &t->turn, &view, e);
    if (r == -ERR_UNSUPPORTED) {
        err_reset(e);
        r = change_tree(t, &spec.after, e);
    } else if (r == 0) {
        spec.after = (struct tree){ .dirs = view.lowers, .ndirs = view.nlowers };
        layer_view_end(t->layer, &view); /* verify makes uppers of its own */
    }
    if (r < 0)
        return err_wrap(e, "preparing the gates");
    spec.change = rule_files(t, &spec.nchange);
    spec.task = text;
    spec.on_gate = on_gate;
    spec.on_finding = on_finding;
    if (!spec.change)
        return err_set(e, ERR_NOMEM, "preparing the gates: out of memory");
    t->verdict = (struct verdict){ 0 };
    r = task_work_begin(t, cancel, e);
    if (r < 0)
        return r;
    r = verify_run(&spec, &t->turn, &t->verdict, cancel, e);
    task_work_end(t);
    if (r < 0)
        return err_wrap(e, "running the gates");
    t->verified_once = true;
    return 0;
}
