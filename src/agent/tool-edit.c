/* edit: replace a piece of text that is there exactly once, or a range of lines. */
#include "agent/match.h"
#include "agent/tool.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

enum { SHOWN_LINES = 40, SHOWN_LINE_BYTES = 400 };

struct edit_args {
    const char *path, *old, *new;
    int64_t line, to;
};

/*
 * `new` is needed, but not marked so: servers that hold calls to their schema (llama-server does, for every call) let a model write
 * what is required first and the rest behind. It could not say old before new, or line before new, as every model does.
 */
static const struct field fields[] = {
    { "path", FIELD_STRING, FIELD(edit_args, path), FIELD_REQUIRED, 1, 4096, NULL },
    { "old", FIELD_STRING, FIELD(edit_args, old), 0, 0, 1 << 20, "exact text, once in the file" },
    { "line", FIELD_I64, FIELD(edit_args, line), 0, 1, 100000000, "or: first line to replace" },
    { "to", FIELD_I64, FIELD(edit_args, to), 0, 1, 100000000, "last line; default: line" },
    { "new", FIELD_STRING, FIELD(edit_args, new), 0, 0, 1 << 20, "always: what takes its place" },
    { 0 },
};

/* "edited PATH: line 7" and the lines from..to of the new text, numbered. */
static void report(const char *path, struct span text, size_t from, size_t to, struct buf *out)
{
    buf_addf(out, from == to ? "edited %s: line %zu" : "edited %s: lines %zu-%zu", path, from, to);
    buf_addc(out, '\n');
    lines_number(out, text, from, to, SHOWN_LINES, SHOWN_LINE_BYTES);
}

static void report_removed(const char *path, size_t from, size_t to, struct buf *out)
{
    buf_addf(out, from == to ? "edited %s: line %zu removed" : "edited %s: lines %zu-%zu removed", path, from, to);
}

static int store(struct tool_run *run, const char *path, struct span before, struct buf *after, struct err *e)
{
    if (buf_check(after, e) < 0)
        return err_wrap(e, "editing %s", path);
    if (span_eq(before, buf_span(after)))
        return err_set(e, ERR_INPUT, "%s: `new` is what is there already, nothing was changed", tool_shown_path(run->env, path));
    return tool_store(run, path, before, buf_span(after), e);
}

static int edit_lines(struct tool_run *run, const struct edit_args *a, struct span text, struct buf *out, struct err *e)
{
    const char *shown = tool_shown_path(run->env, a->path);
    size_t total = lines_count(text);
    size_t from = (size_t)a->line, to = a->to ? (size_t)a->to : from;
    /* One behind the last line appends. */
    if (from > total + 1)
        return err_set(e, ERR_INPUT, "%s has %zu lines, `line` is %zu", shown, total, from);
    if (to < from)
        return err_set(e, ERR_INPUT, "`to` (%zu) is before `line` (%zu)", to, from);
    if (to > total && from <= total)
        return err_set(e, ERR_INPUT, "%s has %zu lines, `to` is %zu", shown, total, to);
    struct span was = lines_slice(text, from, to);
    size_t at = (size_t)(was.p - text.p);
    AUTO(buf) struct buf after = BUF_INIT(2 * TOOL_FILE_BYTES);
    buf_add(&after, text.p, at);
    if (at > 0 && text.p[at - 1] != '\n')
        buf_addc(&after, '\n');
    struct span new = span_of(a->new);
    bool crlf = match_is_crlf(text);
    if (crlf)
        match_crlf(&after, new);
    else
        buf_add_span(&after, new);
    /* `new` may or may not end in a newline: the lines behind stay lines of their own. */
    bool open_end = new.n > 0 && new.p[new.n - 1] != '\n';
    bool at_end = at + was.n == text.n;
    if (open_end && (!at_end || (was.n > 0 && was.p[was.n - 1] == '\n') || from > total))
        buf_adds(&after, crlf ? "\r\n" : "\n");
    buf_add(&after, text.p + at + was.n, text.n - at - was.n);
    int r = store(run, a->path, text, &after, e);
    if (r < 0)
        return r;
    size_t added = lines_count(new);
    if (added == 0)
        report_removed(shown, from, to, out);
    else
        report(shown, buf_span(&after), from, from + added - 1, out);
    return 0;
}

static int edit_text(struct tool_run *run, const struct edit_args *a, struct span text, struct buf *out, struct err *e)
{
    const char *shown = tool_shown_path(run->env, a->path);
    AUTO(buf) struct buf old = BUF_INIT(4u << 20);
    AUTO(buf) struct buf new = BUF_INIT(4u << 20);
    if (match_is_crlf(text)) {
        match_crlf(&old, span_of(a->old));
        match_crlf(&new, span_of(a->new));
    } else {
        buf_adds(&old, a->old);
        buf_adds(&new, a->new);
    }
    if (buf_check(&old, e) < 0 || buf_check(&new, e) < 0)
        return err_wrap(e, "editing %s", shown);
    struct match m;
    int r = match_find(text, buf_span(&old), &m, e);
    if (r < 0)
        return r;
    if (m.kind != MATCH_ONE) {
        run->ok = false;
        match_explain(&m, shown, text, out);
        return 0;
    }
    AUTO(buf) struct buf after = BUF_INIT(2 * TOOL_FILE_BYTES);
    buf_add(&after, text.p, m.at);
    buf_add_span(&after, buf_span(&new));
    buf_add(&after, text.p + m.at + m.len, text.n - m.at - m.len);
    r = store(run, a->path, text, &after, e);
    if (r < 0)
        return r;
    size_t from = lines_of_offset(buf_span(&after), m.at);
    bool whole_lines = (m.at == 0 || text.p[m.at - 1] == '\n') && m.len > 0 && text.p[m.at + m.len - 1] == '\n';
    if (new.n == 0 && whole_lines) {
        report_removed(shown, m.line, m.to, out);
        return 0;
    }
    size_t last = m.at + (new.n > 0 ? new.n - 1 : 0);
    size_t to = lines_of_offset(buf_span(&after), last);
    report(shown, buf_span(&after), from, to < from ? from : to, out);
    return 0;
}

static int run_edit(struct tool_run *run, const void *data, struct buf *out, struct err *e)
{
    const struct edit_args *a = data;
    bool by_text = a->old && a->old[0];
    if (by_text && a->line)
        return err_set(e, ERR_INPUT, "give either `old` or `line`, not both");
    if (!a->new)
        return err_set(e, ERR_INPUT, "give `new`: what takes the place of that text or those lines; \"\" removes them");
    if (!by_text && !a->line)
        return err_set(e, ERR_INPUT, "give `old` (exact text of the file) or `line`; to make a file use write");
    AUTO(buf) struct buf file = BUF_INIT(TOOL_FILE_BYTES + 1);
    int r = tool_read_text(run, a->path, &file, NULL, e);
    if (r < 0)
        return r;
    struct span text = buf_span(&file);
    return by_text ? edit_text(run, a, text, out, e) : edit_lines(run, a, text, out, e);
}

const struct tool tool_edit = {
    .name = "edit",
    .summary = "Replace `old` by `new` in a file, or the lines line..to.",
    .args = fields,
    .args_size = sizeof(struct edit_args),
    .needs = TOOL_READS | TOOL_WRITES,
    .run = run_edit,
};
