/* search: a regular expression over the workspace's files. */
#include "agent/match.h"
#include "agent/tool.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sandbox/sandbox.h"

enum {
    SHOWN_MATCHES = 150,
    LINE_BYTES = 240, /* of one matching line: minified files */
};

struct search_args {
    const char *pattern, *path;
};

static const struct field fields[] = {
    { "pattern", FIELD_STRING, FIELD(search_args, pattern), FIELD_REQUIRED, 1, 4096, NULL },
    { "path", FIELD_STRING, FIELD(search_args, path), 0, 0, 4096, "file or directory; default: all" },
    { 0 },
};

static void show(struct tool_run *run, struct span text, bool truncated, struct buf *out)
{
    struct span line;
    size_t shown = 0, total = lines_count(text);
    while (shown < SHOWN_MATCHES && out->n < run->env->output_bytes && span_line(&text, &line)) {
        const char *prefix = run->env->workspace;
        size_t n = strlen(prefix);
        if (line.n > n && memcmp(line.p, prefix, n) == 0 && line.p[n] == '/')
            line = span_sub(line, n + 1, line.n);
        if (span_starts(line, "./"))
            line = span_sub(line, 2, line.n);
        if (shown++)
            buf_addc(out, '\n');
        if (line.n > LINE_BYTES) {
            buf_add(out, line.p, utf8_cut(line, LINE_BYTES));
            buf_adds(out, "...");
        } else
            buf_add_span(out, line);
    }
    if (shown < total || truncated) {
        run->truncated = true;
        buf_addf(out, "\n[%zu of %s%zu matches: narrow it]", shown, truncated ? "more than " : "", total);
    }
}

static struct sandbox_search spec_of(const struct search_args *a)
{
    return (struct sandbox_search){ .pattern = a->pattern, .path = a->path && a->path[0] ? a->path : NULL };
}

static int begin_search(struct tool_run *run, const void *data, struct err *e)
{
    struct sandbox_search s = spec_of(data);
    return sandbox_search_begin(run->env->sandbox, &s, run->env->cancel, &run->job, e);
}

static int run_search(struct tool_run *run, const void *data, struct buf *out, struct err *e)
{
    struct sandbox_search s = spec_of(data);
    AUTO(buf) struct buf found = BUF_INIT(8u << 20);
    bool truncated = false;
    int r = run->job ? sandbox_search_end(run->env->sandbox, &s, run->job, &found, &truncated, run->env->cancel, e)
                     : sandbox_search(run->env->sandbox, &s, &found, &truncated, run->env->cancel, e);
    const char *how = "";
    if (r < 0 && e->kind == ERR_INPUT) {
        /* Models search for code: `foo(` is meant as it stands. */
        struct err first = *e;
        s.fixed = true;
        buf_reset(&found);
        r = sandbox_search(run->env->sandbox, &s, &found, &truncated, run->env->cancel, e);
        if (r < 0)
            *e = first;
        how = " (not a valid pattern: searched as plain text)";
    }
    if (r < 0) {
        struct sandbox_stat st;
        struct err gone = ERR_INIT;
        bool missing = s.path && e->kind != ERR_CANCELLED && sandbox_stat(run->env->sandbox, s.path, &st, &gone) < 0 && gone.kind == ERR_NOT_FOUND;
        return missing ? tool_missing(run, s.path, e) : r;
    }
    if (found.n == 0) {
        buf_addf(out, "no matches%s", how);
        return 0;
    }
    show(run, buf_span(&found), truncated, out);
    return 0;
}

const struct tool tool_search = {
    .name = "search",
    .summary = "Search file contents for a regular expression.",
    .args = fields,
    .args_size = sizeof(struct search_args),
    .needs = TOOL_READS,
    .run = run_search,
    .begin = begin_search,
};
