#include "agent/tool.h"

#include <string.h>

#include "agent/candidate.h"
#include "agent/match.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "sandbox/sandbox.h"

const struct tool *const tools[] = {
    &tool_read, &tool_list, &tool_search, &tool_edit, &tool_write, &tool_shell, &tool_patch, NULL,
};

const struct tool *tool_find(const char *name)
{
    for (size_t i = 0; tools[i]; i++)
        if (strcmp(tools[i]->name, name) == 0)
            return tools[i];
    return NULL;
}

static void write_error(struct tool_run *run, const struct err *e)
{
    run->ok = false;
    buf_reset(run->out);
    buf_adds(run->out, "error: ");
    utf8_add_valid(run->out, span_of(e->text));
    if (e->hint[0]) {
        buf_adds(run->out, "; ");
        utf8_add_valid(run->out, span_of(e->hint));
    }
}

void tool_begin(struct tool_run *run, struct span args_json)
{
    struct err e = ERR_INIT;
    run->ok = true;
    run->started_ms = clock_ms();
    AUTO(json) json_t *json = NULL;
    void *args = arena_alloc(run->arena, run->tool->args_size);
    if (!args) {
        err_set(&e, ERR_LIMIT, "the arguments of this step are too large");
        write_error(run, &e);
        return;
    }
    if (json_parse(args_json, BIND_TOLERANT, &json, &e) < 0 ||
        bind_load(json, run->tool->args, args, BIND_TOLERANT, run->arena, &e) < 0) {
        write_error(run, &e);
        return;
    }
    run->args = args;
    if (!run->tool->begin)
        return;
    if (run->tool->begin(run, args, &e) < 0)
        run->job = NULL; /* run() does it all, and reports */
}

int tool_finish(struct tool_run *run, struct err *e)
{
    if (!run->args)
        return 0;
    struct err why = ERR_INIT;
    int r = run->tool->run(run, run->args, run->out, &why);
    if (r >= 0 && run->out->failed) {
        r = -ERR_LIMIT;
        err_set(&why, ERR_LIMIT, "the result is too large: ask for less");
    }
    if (run->job) {
        sandbox_job_destroy(run->job);
        run->job = NULL;
    }
    if (r >= 0)
        return 0;
    if (why.kind == ERR_CANCELLED || (why.kind == ERR_UNAVAILABLE && !sandbox_alive(run->env->sandbox))) {
        *e = why;
        return r;
    }
    write_error(run, &why);
    return 0;
}

const char *tool_shown_path(const struct tool_env *env, const char *path)
{
    size_t n = strlen(env->workspace);
    if (strncmp(path, env->workspace, n) == 0 && path[n] == '/' && path[n + 1])
        return path + n + 1;
    while (path[0] == '.' && path[1] == '/' && path[2])
        path += 2;
    return path;
}

int tool_missing(struct tool_run *run, const char *path, struct err *e)
{
    const char *shown = tool_shown_path(run->env, path);
    struct sandbox_entry *entries = NULL;
    size_t n = 0;
    bool truncated = false;
    struct err ignored = ERR_INIT;
    const char *best[CANDIDATES_MAX];
    size_t nbest = 0;
    if (sandbox_list(run->env->sandbox, run->env->workspace, SANDBOX_LIST_RECURSIVE | SANDBOX_LIST_IGNORE | SANDBOX_LIST_DIRS, TOOL_LIST_MAX,
                     run->arena, &entries, &n, &truncated, run->env->cancel, &ignored) >= 0) {
        const char **paths = arena_array(run->arena, n + 1, sizeof *paths);
        for (size_t i = 0; paths && i < n; i++)
            paths[i] = entries[i].path;
        if (paths)
            nbest = candidates_find(paths, n, shown, best);
    }
    char list[300] = "";
    size_t used = 0;
    for (size_t i = 0; i < nbest; i++) {
        int w = snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "; similar: ", best[i]);
        if (w < 0 || (size_t)w >= sizeof list - used) {
            list[used] = '\0';
            break;
        }
        used += (size_t)w;
    }
    if (shown[0] == '/')
        return err_set(e, ERR_NOT_FOUND, "no such file: %s; the working directory is %s%s", shown, run->env->workspace, list);
    return err_set(e, ERR_NOT_FOUND, "no such file: %s%s", shown, list);
}

/* NUL bytes, or mostly not UTF-8: not for a model's eyes. */
static bool looks_binary(struct span s)
{
    return memchr(s.p, '\0', s.n > 8000 ? 8000 : s.n) != NULL;
}

int tool_read_text(struct tool_run *run, const char *path, struct buf *out, unsigned *mode, struct err *e)
{
    struct sandbox_stat st = { 0 };
    int r = sandbox_read(run->env->sandbox, path, 0, TOOL_FILE_BYTES, out, &st, e);
    if (r < 0) {
        if (e->kind == ERR_NOT_FOUND)
            return tool_missing(run, path, e);
        struct sandbox_stat what = { 0 };
        struct err ignored = ERR_INIT;
        if (sandbox_stat(run->env->sandbox, path, &what, &ignored) >= 0 && what.type == SANDBOX_DIR)
            return err_set(e, ERR_INPUT, "%s is a directory: use list", tool_shown_path(run->env, path));
        return r;
    }
    if (mode)
        *mode = st.mode;
    if (st.size > (int64_t)TOOL_FILE_BYTES)
        return err_set(e, ERR_LIMIT, "%s is too large (%lld bytes): use search, or shell with sed -n", tool_shown_path(run->env, path),
                       (long long)st.size);
    if (looks_binary(buf_span(out)))
        return err_set(e, ERR_INPUT, "%s is a binary file (%lld bytes)", tool_shown_path(run->env, path), (long long)st.size);
    return 0;
}

int tool_store(struct tool_run *run, const char *path, struct span before, struct span after, struct err *e)
{
    int r = sandbox_write(run->env->sandbox, path, after, 0, SANDBOX_WRITE_PARENTS, e);
    if (r >= 0 && run->env->on_written)
        run->env->on_written(run->env->ctx, tool_shown_path(run->env, path), before, after);
    return r;
}

bool tool_cut(struct span text, size_t limit, const char *whole_at, struct buf *out, bool *cut)
{
    if (text.n <= limit) {
        *cut = false;
        return buf_add_span(out, text);
    }
    *cut = true;
    /* Two thirds of the room for the end: that is where a build or a test says what failed. */
    size_t head = utf8_cut(text, limit / 3), tail = limit - head;
    const char *nl = head ? memrchr(text.p, '\n', head) : NULL;
    if (nl && (size_t)(nl - text.p) > head / 2)
        head = (size_t)(nl - text.p);
    size_t from = text.n - tail;
    nl = memchr(text.p + from, '\n', tail);
    if (nl && (size_t)(nl - text.p) < from + tail / 2)
        from = (size_t)(nl - text.p) + 1;
    while (from < text.n && ((unsigned char)text.p[from] & 0xc0) == 0x80)
        from++;
    buf_add(out, text.p, head);
    buf_addf(out, "\n[... %zu bytes left out%s%s ...]\n", from - head, whole_at && whole_at[0] ? "; whole output: " : "",
             whole_at ? whole_at : "");
    return buf_add(out, text.p + from, text.n - from);
}
