/* list: the files below a directory; where there are too many, directories with their counts. */
#include "agent/tool.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

enum { SHOWN_FILES = 400 /* about 4,000 tokens of paths */ };

struct list_args {
    const char *path;
};

static const struct field fields[] = {
    { "path", FIELD_STRING, FIELD(list_args, path), 0, 0, 4096, "directory; default: all" },
    { 0 },
};

static size_t depth_of(const char *path)
{
    size_t n = 0;
    for (; *path; path++)
        n += *path == '/';
    return n;
}

/* Bytes of path up to and with its `depth`th slash, or 0 when it has fewer. */
static size_t dir_at(const char *path, size_t depth)
{
    size_t n = 0;
    for (size_t i = 0; path[i]; i++)
        if (path[i] == '/' && ++n == depth)
            return i + 1;
    return 0;
}

/* Lines when everything deeper than `depth` directories is summed up. */
static size_t rows_at(const struct sandbox_entry *f, size_t n, size_t depth)
{
    size_t rows = 0;
    for (size_t i = 0; i < n; i++) {
        size_t d = dir_at(f[i].path, depth);
        if (d == 0 || i == 0 || strncmp(f[i].path, f[i - 1].path, d) != 0)
            rows++;
    }
    return rows;
}

static void add_path(struct buf *out, const char *prefix, const char *path, size_t n)
{
    if (out->n > 0)
        buf_addc(out, '\n');
    buf_adds(out, prefix);
    buf_add(out, path, n);
}

static void list_summed(const struct sandbox_entry *f, size_t n, const char *prefix, size_t depth, struct buf *out)
{
    for (size_t i = 0; i < n;) {
        size_t d = dir_at(f[i].path, depth), end = i + 1;
        if (d == 0) {
            add_path(out, prefix, f[i].path, strlen(f[i].path));
            i++;
            continue;
        }
        while (end < n && strncmp(f[end].path, f[i].path, d) == 0)
            end++;
        add_path(out, prefix, f[i].path, d);
        buf_addf(out, " (%zu files)", end - i);
        i = end;
    }
}

static int run_list(struct tool_run *run, const void *data, struct buf *out, struct err *e)
{
    const struct list_args *a = data;
    const char *path = a->path && a->path[0] ? a->path : ".";
    struct sandbox_entry *f = NULL;
    size_t n = 0;
    bool truncated = false;
    int r = sandbox_list(run->env->sandbox, path, SANDBOX_LIST_RECURSIVE | SANDBOX_LIST_IGNORE, TOOL_LIST_MAX, run->arena, &f, &n,
                         &truncated, run->env->cancel, e);
    if (r < 0) {
        struct sandbox_stat st;
        struct err ignored = ERR_INIT;
        if (e->kind != ERR_CANCELLED && sandbox_stat(run->env->sandbox, path, &st, &ignored) >= 0 && st.type != SANDBOX_DIR)
            return err_set(e, ERR_INPUT, "%s is not a directory: use read", tool_shown_path(run->env, path));
        return e->kind == ERR_NOT_FOUND ? tool_missing(run, path, e) : r;
    }
    /* Paths in results can be given to the other tools as they are: relative to the workspace. */
    const char *shown = tool_shown_path(run->env, path);
    const char *prefix = "";
    if (strcmp(shown, ".") != 0 && strcmp(shown, "./") != 0 && strcmp(shown, run->env->workspace) != 0) {
        size_t len = strlen(shown);
        prefix = arena_printf(run->arena, "%s%s", shown, len && shown[len - 1] == '/' ? "" : "/");
        if (!prefix)
            return err_set(e, ERR_NOMEM, "listing '%s': out of memory", path);
    }
    if (n == 0) {
        buf_addf(out, "[%s has no files]", shown);
        return 0;
    }
    if (n <= SHOWN_FILES && !truncated) {
        for (size_t i = 0; i < n; i++)
            add_path(out, prefix, f[i].path, strlen(f[i].path));
        return 0;
    }
    size_t depth = 1, deepest = 1;
    for (size_t i = 0; i < n; i++) {
        size_t d = depth_of(f[i].path);
        if (d > deepest)
            deepest = d;
    }
    while (depth < deepest && rows_at(f, n, depth + 1) <= SHOWN_FILES)
        depth++;
    AUTO(buf) struct buf all = BUF_INIT(64u << 20);
    list_summed(f, n, prefix, depth, &all);
    if (buf_check(&all, e) < 0)
        return err_wrap(e, "listing '%s'", path);
    bool cut;
    tool_cut(buf_span(&all), run->env->output_bytes, NULL, out, &cut);
    buf_addf(out, "\n[%s%zu files; list a directory for more]", truncated ? "more than " : "", n);
    run->truncated = true;
    return 0;
}

const struct tool tool_list = {
    .name = "list",
    .summary = "List the files of the repository, or of a directory.",
    .args = fields,
    .args_size = sizeof(struct list_args),
    .needs = TOOL_READS,
    .run = run_list,
};
