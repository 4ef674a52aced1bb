#include "task/task-internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LOG_MODULE "task"
#include "base/log.h"

/*
 * Formatters repair by themselves what they find: a gate's `fix` runs in the agent's sandbox, over the layer, and the
 * gates then look at the result anew. It saves a round of the model and cannot make anything pass that is wrong. What a fix
 * does to files that the change had not touched is taken back: a repository that was never formatted stays as it is.
 */

#define FIX_LIMIT_MS (2 * 60 * 1000)

static bool may_fix(const struct task *t, const struct gate *g)
{
    if (!g->fix || !*g->fix)
        return false;
    return g->named_fix || (g->kind == GATE_FORMAT && t->values->policy.fix_formatting);
}

struct known {
    const char **paths; /* sorted */
    size_t n;
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int remember(struct task *t, struct known *k, struct err *e)
{
    k->paths = arena_array(&t->turn, t->change->nfiles + 1, sizeof *k->paths); /* NOLINT(bugprone-sizeof-expression): an array of pointers */
    k->n = 0;
    for (size_t i = 0; k->paths && i < t->change->nfiles; i++)
        k->paths[k->n++] = arena_strdup(&t->turn, t->change->files[i].path);
    for (size_t i = 0; i < k->n; i++)
        if (!k->paths[i])
            return err_set(e, ERR_NOMEM, "repairing the format: out of memory");
    if (!k->paths)
        return err_set(e, ERR_NOMEM, "repairing the format: out of memory");
    qsort(k->paths, k->n, sizeof *k->paths, compare); /* NOLINT(bugprone-sizeof-expression): an array of pointers */
    return 0;
}

static bool knew(const struct known *k, const char *path)
{
    return bsearch(&path, k->paths, k->n, sizeof *k->paths, compare) != NULL; /* NOLINT(bugprone-sizeof-expression): an array of pointers */
}

/* One file that only the fix touched, as it was. */
static int put_back(struct task *t, const struct change_file *f, struct err *e)
{
    struct span data = { "", 0 };
    int r = 0;
    if (!f->base.exists || f->kind == CHANGE_RENAMED)
        r = sandbox_remove(t->sandbox, f->path, e);
    if (r < 0 || !f->base.exists)
        return r;
    r = change_data(t->change, &f->base, &data, e);
    return r < 0 ? r : sandbox_write(t->sandbox, f->kind == CHANGE_RENAMED ? f->old_path : f->path, data, f->base.mode, SANDBOX_WRITE_PARENTS, e);
}

static int put_back_others(struct task *t, const struct known *k, size_t *others, struct err *e)
{
    *others = 0;
    for (size_t i = 0; i < t->change->nfiles; i++) {
        if (knew(k, t->change->files[i].path))
            continue;
        int r = put_back(t, &t->change->files[i], e);
        if (r < 0)
            return err_wrap(e, "taking back what '%s' was not asked for", t->change->files[i].path);
        ++*others;
    }
    return *others ? task_read_change(t, e) : 0;
}

static int run_fix(struct task *t, const struct gate *g, struct sandbox_result *out, struct cancel *cancel, struct err *e)
{
    AUTO(buf) struct buf output = BUF_INIT(64u << 10);
    const char *const argv[] = { "sh", "-c", g->fix, NULL };
    const struct sandbox_exec x = { .argv = argv, .cwd = *g->cwd ? g->cwd : NULL, .timeout_ms = FIX_LIMIT_MS, .out_cap_bytes = 32u << 10, .merge = true };
    task_stage(t, "%s: repairing with `%s`", g->name, g->fix);
    return sandbox_exec(t->sandbox, &x, &output, out, cancel, e);
}

int task_fix(struct task *t, struct cancel *cancel, struct err *e)
{
    struct known k;
    char before[HASH_HEX_SIZE];
    bool any = false, changed = false;
    for (size_t i = 0; i < t->verdict.ngates; i++)
        any |= t->verdict.gates[i].verdict == VERDICT_FAIL && may_fix(t, t->verdict.gates[i].gate);
    if (!any || !t->change->nfiles)
        return 0;
    const struct verdict v = t->verdict; /* reading the change anew forgets it */
    int r = remember(t, &k, e);
    if (r == 0)
        r = task_sandbox_start(t, e);
    for (size_t i = 0; r == 0 && i < v.ngates; i++) {
        const struct gate *g = v.gates[i].gate;
        struct sandbox_result result = { 0 };
        size_t others = 0;
        if (v.gates[i].verdict != VERDICT_FAIL || !may_fix(t, g))
            continue;
        (void)snprintf(before, sizeof before, "%s", t->change->hash.s);
        r = run_fix(t, g, &result, cancel, e);
        if (r >= 0)
            r = task_read_change(t, e);
        if (r == 0)
            r = put_back_others(t, &k, &others, e);
        if (r == 0)
            r = event_fix(t, g, result.timed_out ? 124 : result.status, strcmp(before, t->change->hash.s) != 0, others, result.duration_ms, e);
        changed |= r == 0 && strcmp(before, t->change->hash.s) != 0;
    }
    if (r == 0 && !changed) { /* nothing came of it: the verdict still is of this change */
        t->verdict = v;
        t->verified_once = true;
    }
    return r < 0 ? err_wrap(e, "repairing the format") : changed;
}
