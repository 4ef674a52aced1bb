/* read: a file, whole or some of its lines; pictures where the model can see. */
#include <stdlib.h>
#include <strings.h>

#include "agent/match.h"
#include "agent/tool.h"
#include "base/mem.h"
#include "base/path.h"
#include "sandbox/sandbox.h"

enum { IMAGE_BYTES = 5 << 20 /* what hosted endpoints take at most */ };

struct read_args {
    const char *path;
    int64_t from, to;
    bool numbers;
};

static const struct field fields[] = {
    { "path", FIELD_STRING, FIELD(read_args, path), FIELD_REQUIRED, 1, 4096, NULL },
    { "from", FIELD_I64, FIELD(read_args, from), 0, 1, 100000000, "first line" },
    { "to", FIELD_I64, FIELD(read_args, to), 0, 1, 100000000, "last line" },
    { "numbers", FIELD_BOOL, FIELD(read_args, numbers), 0, 0, 0, "number the lines" },
    { 0 },
};

static const struct {
    const char *ext, *mime;
} pictures[] = {
    { ".png", "image/png" }, { ".jpg", "image/jpeg" }, { ".jpeg", "image/jpeg" }, { ".gif", "image/gif" }, { ".webp", "image/webp" },
};

static const char *picture_mime(const char *path)
{
    for (size_t i = 0; i < COUNT_OF(pictures); i++)
        if (strcasecmp(path_ext(path), pictures[i].ext) == 0)
            return pictures[i].mime;
    return NULL;
}

static int read_picture(struct tool_run *run, const char *path, const char *mime, struct buf *out, struct err *e)
{
    AUTO(buf) struct buf data = BUF_INIT(IMAGE_BYTES + 1);
    struct sandbox_stat st = { 0 };
    int r = sandbox_read(run->env->sandbox, path, 0, IMAGE_BYTES, &data, &st, e);
    if (r < 0)
        return e->kind == ERR_NOT_FOUND ? tool_missing(run, path, e) : r;
    const char *shown = tool_shown_path(run->env, path);
    if (!run->env->vision)
        return err_set(e, ERR_UNSUPPORTED, "%s is a picture (%s, %lld bytes) and this model cannot see", shown, mime, (long long)st.size);
    if (st.size > IMAGE_BYTES)
        return err_set(e, ERR_LIMIT, "%s: a picture of %lld bytes is too large, at most %d", shown, (long long)st.size, IMAGE_BYTES);
    char *copy = arena_alloc(run->arena, data.n + 1);
    if (!copy)
        return err_set(e, ERR_LIMIT, "%s: too large for this step", shown);
    memcpy(copy, buf_str(&data), data.n);
    run->image = (struct span){ copy, data.n };
    run->image_mime = mime;
    buf_addf(out, "%s follows as a picture", shown);
    return 0;
}

/* The largest number of lines from `from` whose text fits in the limit; at least one. */
static size_t lines_that_fit(struct span text, size_t from, size_t to, size_t limit, bool numbers)
{
    struct span rest = lines_slice(text, from, to), line;
    size_t used = 0, n = 0;
    while (span_line(&rest, &line)) {
        used += line.n + 1 + (numbers ? 7 : 0);
        if (used > limit && n > 0)
            break;
        n++;
    }
    return n;
}

static int run_read(struct tool_run *run, const void *data, struct buf *out, struct err *e)
{
    const struct read_args *a = data;
    const char *mime = picture_mime(a->path);
    if (mime)
        return read_picture(run, a->path, mime, out, e);
    AUTO(buf) struct buf file = BUF_INIT(TOOL_FILE_BYTES + 1);
    int r = tool_read_text(run, a->path, &file, NULL, e);
    if (r < 0)
        return r;
    struct span text = buf_span(&file);
    const char *shown = tool_shown_path(run->env, a->path);
    size_t total = lines_count(text);
    size_t from = a->from ? (size_t)a->from : 1, to = a->to ? (size_t)a->to : total;
    if (total == 0) {
        buf_addf(out, "[%s is empty]", shown);
        return 0;
    }
    if (from > total)
        return err_set(e, ERR_INPUT, "%s has %zu line%s, `from` is %zu", shown, total, total == 1 ? "" : "s", from);
    if (to < from)
        return err_set(e, ERR_INPUT, "`to` (%zu) is before `from` (%zu)", to, from);
    if (to > total)
        to = total;
    size_t last = from + lines_that_fit(text, from, to, run->env->output_bytes, a->numbers) - 1;
    if (last > to)
        last = to;
    if (a->numbers)
        lines_number(out, text, from, last, 0, run->env->output_bytes);
    else {
        struct span part = lines_slice(text, from, last);
        if (part.n > 0 && part.p[part.n - 1] == '\n')
            part.n--;
        bool cut = false;
        tool_cut(part, run->env->output_bytes, NULL, out, &cut);
        run->truncated = cut;
    }
    if (last < to) {
        buf_addf(out, "\n[lines %zu-%zu of %zu; go on with from=%zu]", from, last, total, last + 1);
        run->truncated = true;
    }
    return 0;
}

const struct tool tool_read = {
    .name = "read",
    .summary = "Read a file, or its lines from..to.",
    .args = fields,
    .args_size = sizeof(struct read_args),
    .needs = TOOL_READS,
    .run = run_read,
};
