/*
 * Commands of the CI: `run:` steps in .github/workflows and `script:` items of .gitlab-ci.yml, at the root.
 * Read line by line, not as YAML: matrices and anchors do not matter, only which checks the project trusts.
 * A step in another working-directory is left out; so are release and deployment workflows.
 */
#include <fnmatch.h>

#include "verify/detect-internal.h"

static void take(struct detection *d, const char *file, int line_no, struct span cmd)
{
    enum gate_kind kind;
    const char *needs;
    struct span run;
    cmd = span_trim(cmd);
    if (cmd.n > 1 && (cmd.p[0] == '"' || cmd.p[0] == '\'') && cmd.p[cmd.n - 1] == cmd.p[0])
        cmd = span_sub(cmd, 1, cmd.n - 2);
    if (!command_is_check(cmd, &kind, &needs, &run) || (d->given & (1u << kind)))
        return;
    const char *text = arena_span(d->arena, run);
    detect_offer(d, (struct gate){ .name = text, .kind = kind, .command = text, .needs = needs,
                                   .from = arena_printf(d->arena, "%s:%d", file, line_no) });
}

static size_t indent_of(struct span line)
{
    size_t n = 0;
    while (n < line.n && (line.p[n] == ' ' || line.p[n] == '-'))
        n++;
    return n;
}

/* Is there a `working-directory:` within this step (until the next "- " at a smaller or equal indent)? */
static bool elsewhere(struct span rest, size_t indent)
{
    struct span line;
    for (int i = 0; i < 30 && span_line(&rest, &line); i++) {
        struct span s = span_trim(line);
        if (span_starts(s, "working-directory:"))
            return true;
        if (s.n && (indent_of(line) < indent || span_starts(s, "- ")))
            return false;
    }
    return false;
}

static void read_one(struct detection *d, const char *file, struct span text)
{
    struct span line;
    size_t block = 0; /* indent of a `run: |` whose lines follow; 0 none */
    bool script = false, moved = false;
    size_t script_indent = 0;
    bool step_moved = false;
    for (int n = 1; span_line(&text, &line); n++) {
        struct span s = span_trim(line);
        if (!s.n || s.p[0] == '#')
            continue;
        size_t indent = indent_of(line);
        if (block && indent > block) {
            if (span_starts(s, "cd "))
                moved = true;
            if (!moved && !step_moved)
                take(d, file, n, s);
            continue;
        }
        block = 0;
        if (script && indent >= script_indent && span_starts(s, "- ")) {
            if (span_starts(span_sub(s, 2, s.n), "cd "))
                moved = true;
            if (!moved)
                take(d, file, n, span_sub(s, 2, s.n));
            continue;
        }
        script = false;
        if (span_starts(s, "- working-directory:"))
            step_moved = true;
        else if (span_starts(s, "- "))
            step_moved = false;
        if (span_starts(s, "working-directory:"))
            step_moved = true;
        if (span_starts(s, "- "))
            s = span_trim(span_sub(s, 2, s.n));
        if (span_starts(s, "run:")) {
            s = span_trim(span_sub(s, 4, s.n));
            moved = false;
            if (elsewhere(text, indent))
                step_moved = true;
            if (s.n && (s.p[0] == '|' || s.p[0] == '>'))
                block = indent ? indent - 1 : 1;
            else if (!step_moved)
                take(d, file, n, s);
        } else if (span_eqs(s, "script:")) {
            script = true;
            moved = false;
            script_indent = indent;
        }
    }
}

static int look(struct detection *d, struct err *e)
{
    (void)e;
    if (*d->dir)
        return 0;
    AUTO(buf) struct buf text = BUF_INIT(DETECT_FILE_BYTES + 1);
    struct strings names = tree_list(&d->in->base, ".github/workflows", d->arena);
    for (int pass = 0; pass < 2; pass++) /* what is called ci or test speaks first */
        for (size_t i = 0; i < names.len && i < 50; i++) {
            const char *n = names.items[i];
            bool main_one = !fnmatch("ci*", n, FNM_CASEFOLD) || !fnmatch("*test*", n, FNM_CASEFOLD) || !fnmatch("build*", n, FNM_CASEFOLD);
            if (main_one == (pass == 1) || (fnmatch("*.yml", n, 0) && fnmatch("*.yaml", n, 0)) ||
                !fnmatch("*release*", n, FNM_CASEFOLD) || !fnmatch("*deploy*", n, FNM_CASEFOLD) || !fnmatch("*publish*", n, FNM_CASEFOLD))
                continue;
            const char *file = arena_printf(d->arena, ".github/workflows/%s", n);
            buf_reset(&text);
            if (file && tree_read(&d->in->base, file, DETECT_FILE_BYTES, &text))
                read_one(d, file, buf_span(&text));
        }
    if (detect_read(d, ".gitlab-ci.yml", &text))
        read_one(d, ".gitlab-ci.yml", buf_span(&text));
    return 0;
}

const struct detect_source detect_ci = { "CI workflows", look };
