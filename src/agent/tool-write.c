/* write: a whole file. */
#include "agent/match.h"
#include "agent/tool.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

struct write_args {
    const char *path, *content;
};

static const struct field fields[] = {
    { "path", FIELD_STRING, FIELD(write_args, path), FIELD_REQUIRED, 1, 4096, NULL },
    { "content", FIELD_STRING, FIELD(write_args, content), FIELD_REQUIRED, 0, 8 << 20, NULL },
    { 0 },
};

static int run_write(struct tool_run *run, const void *data, struct buf *out, struct err *e)
{
    const struct write_args *a = data;
    const char *shown = tool_shown_path(run->env, a->path);
    struct sandbox_stat st;
    struct err ignored = ERR_INIT;
    if (sandbox_stat(run->env->sandbox, a->path, &st, &ignored) >= 0 && st.type == SANDBOX_DIR)
        return err_set(e, ERR_INPUT, "%s is a directory", shown);
    AUTO(buf) struct buf before = BUF_INIT(TOOL_FILE_BYTES + 1);
    if (run->env->on_written && tool_read_text(run, a->path, &before, NULL, &ignored) < 0)
        buf_reset(&before);
    int r = tool_store(run, a->path, buf_span(&before), span_of(a->content), e);
    if (r < 0)
        return r;
    size_t n = lines_count(span_of(a->content));
    buf_addf(out, "wrote %s: %zu line%s", shown, n, n == 1 ? "" : "s");
    return 0;
}

const struct tool tool_write = {
    .name = "write",
    .summary = "Make a file, or replace all of it.",
    .args = fields,
    .args_size = sizeof(struct write_args),
    .needs = TOOL_WRITES,
    .run = run_write,
};
