#include "task/task-internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* Make the temporary layer hold what the change says, through the sandbox: paths are resolved inside. */
static int write_file(struct task *t, const struct change *c, const struct change_file *f, struct err *e)
{
    struct span data = { "", 0 };
    if (!f->now.exists || f->kind == CHANGE_RENAMED) {
        int r = sandbox_remove(t->sandbox, f->kind == CHANGE_RENAMED ? f->old_path : f->path, e);
        if (r < 0 && r != -ERR_NOT_FOUND)
            return r;
    }
    if (!f->now.exists)
        return 0;
    int r = change_data(c, &f->now, &data, e);
    if (r < 0)
        return r;
    if (!f->now.symlink)
        return sandbox_write(t->sandbox, f->path, data, f->now.mode, SANDBOX_WRITE_PARENTS, e);
    AUTO(ptr) char *target = span_dup(data);
    if (!target)
        return err_set(e, ERR_NOMEM, "out of memory");
    struct sandbox_exec x = { .argv = (const char *const[]){ "ln", "-sfn", "--", target, f->path, NULL }, .timeout_ms = 10000 };
    struct sandbox_result result;
    r = sandbox_exec(t->sandbox, &x, NULL, &result, NULL, e);
    if (r == 0 && result.status != 0)
        r = err_set(e, ERR_IO, "cannot make the link '%s'", f->path);
    return r;
}

int task_check(const struct task_spec *spec, struct change *c, struct arena *a, struct verdict *out, struct cancel *cancel,
               struct err *e)
{
    struct task *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "cannot check the change: out of memory");
    t->spec = *spec;
    t->values = config_values(spec->config);
    t->state_dir = config_state_dir(spec->config);
    t->cache_dir = config_cache_dir(spec->config);
    (void)snprintf(t->session, sizeof t->session, "%s", c->session);
    arena_init(&t->arena, TASK_ARENA_BYTES);
    t->turn = *a;
    int r = task_sandbox_start(t, e);
    for (size_t i = 0; r >= 0 && i < c->nfiles; i++)
        r = write_file(t, c, &c->files[i], e);
    if (r >= 0) {
        t->change = c;
        r = task_verify(t, span_of(c->task), cancel, e);
        t->change = NULL;
    }
    if (r >= 0) { /* its gates are the task's, which ends here */
        AUTO(json) json_t *said = verdict_json(&t->verdict);
        r = verdict_load(said, &t->turn, out, e);
    }
    *a = t->turn;
    arena_init(&t->turn, 0);
    sandbox_destroy(t->sandbox);
    t->sandbox = NULL;
    struct err ignored;
    if (t->layer && layer_discard(t->layer, &ignored) < 0 && r >= 0)
        r = err_wrap(&ignored, "removing the temporary layer");
    task_close(t);
    return r < 0 ? err_wrap(e, "checking the change") : 0;
}
