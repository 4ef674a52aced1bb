/* apply_patch: several files at once, for models that were trained on this envelope. */
#include "agent/match.h"
#include "agent/patch.h"
#include "agent/tool.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

struct patch_args {
    const char *patch;
};

static const struct field fields[] = {
    { "patch", FIELD_STRING, FIELD(patch_args, patch), FIELD_REQUIRED, 1, 8 << 20, "*** Begin Patch ... *** End Patch" },
    { 0 },
};

/* What a file of the patch will be; computed for all before the first is written: all or nothing. */
struct planned {
    struct buf before, text;
    bool remove;
};

static int plan_file(struct tool_run *run, struct patch_file *f, struct planned *p, struct buf *out, struct err *e)
{
    struct sandbox_stat st;
    struct err ignored = ERR_INIT;
    bool exists = sandbox_stat(run->env->sandbox, f->path, &st, &ignored) >= 0;
    if (f->op == PATCH_ADD) {
        if (exists)
            return err_set(e, ERR_EXISTS, "%s exists already: use *** Update File", f->path);
        buf_add_span(&p->text, f->content);
        f->line = 1;
        f->to = lines_count(f->content);
        return buf_check(&p->text, e);
    }
    if (!exists)
        return tool_missing(run, f->path, e);
    if (f->op == PATCH_DELETE) {
        p->remove = true;
        return 0;
    }
    int r = tool_read_text(run, f->path, &p->before, NULL, e);
    if (r < 0)
        return r;
    struct match miss;
    r = patch_update(f, buf_span(&p->before), &p->text, &miss, e);
    if (r < 0 && (miss.kind == MATCH_NEAR || miss.kind == MATCH_INDENT)) {
        run->ok = false;
        buf_addf(out, "error: %s; nothing was changed; the nearest text:\n", e->text);
        lines_number(out, buf_span(&p->before), miss.line, miss.to, 24, 240);
    }
    return r;
}

static int write_file(struct tool_run *run, const struct patch_file *f, const struct planned *p, struct err *e)
{
    struct sandbox *sb = run->env->sandbox;
    if (p->remove)
        return sandbox_remove(sb, f->path, e);
    int r = tool_store(run, f->move_to ? f->move_to : f->path, buf_span(&p->before), buf_span(&p->text), e);
    if (r >= 0 && f->move_to && strcmp(f->move_to, f->path) != 0)
        r = sandbox_remove(sb, f->path, e);
    return r;
}

static int run_patch(struct tool_run *run, const void *data, struct buf *out, struct err *e)
{
    const struct patch_args *a = data;
    struct patch patch;
    int r = patch_parse(span_of(a->patch), run->arena, &patch, e);
    if (r < 0)
        return r;
    struct planned *plan = arena_array(run->arena, patch.nfiles, sizeof *plan);
    if (!plan)
        return err_set(e, ERR_LIMIT, "patch: too large");
    for (size_t i = 0; i < patch.nfiles; i++)
        plan[i] = (struct planned){ BUF_INIT(TOOL_FILE_BYTES + 1), BUF_INIT(2 * TOOL_FILE_BYTES), false };
    for (size_t i = 0; i < patch.nfiles && r >= 0; i++)
        r = plan_file(run, &patch.files[i], &plan[i], out, e);
    size_t done = 0;
    for (; done < patch.nfiles && r >= 0; done++)
        r = write_file(run, &patch.files[done], &plan[done], e);
    for (size_t i = 0; i < patch.nfiles && r >= 0; i++) {
        const struct patch_file *f = &patch.files[i];
        const char *to = f->move_to ? f->move_to : f->path;
        buf_adds(out, i ? "\n" : "");
        if (f->op == PATCH_DELETE)
            buf_addf(out, "removed %s", f->path);
        else if (f->op == PATCH_ADD)
            buf_addf(out, "wrote %s: %zu line%s", to, f->to, f->to == 1 ? "" : "s");
        else {
            buf_addf(out, f->line == f->to ? "edited %s: line %zu" : "edited %s: lines %zu-%zu", to, f->line, f->to);
            buf_addc(out, '\n');
            lines_number(out, buf_span(&plan[i].text), f->line, f->to, 40, 400);
        }
    }
    for (size_t i = 0; i < patch.nfiles; i++) {
        buf_finish(&plan[i].before);
        buf_finish(&plan[i].text);
    }
    return r < 0 && !run->ok ? 0 : r; /* the miss is explained in out already */
}

const struct tool tool_patch = {
    .name = "apply_patch",
    .summary = "Add, update, move or delete files.",
    .args = fields,
    .args_size = sizeof(struct patch_args),
    .needs = TOOL_READS | TOOL_WRITES,
    .by_profile = true,
    .run = run_patch,
};
