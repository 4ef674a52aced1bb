/*
 * Commands in AGENTS.md: lines of fenced blocks, and `code` in prose, that are checks by their words.
 * What a section calls a single or a specific test is left out. The first of a kind counts.
 */
#include "verify/detect-internal.h"

static bool about_one(struct span line)
{
    static const char *const words[] = { "single", "specific", "individual", "one file", "one test", "subset", "e.g.", "for example" };
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_find(line, span_of(words[i])) >= 0)
            return true;
    return false;
}

static void take(struct detection *d, const char *file, int line_no, struct span cmd)
{
    enum gate_kind kind;
    const char *needs;
    struct span run;
    cmd = span_trim(cmd);
    if (span_starts(cmd, "$ "))
        cmd = span_sub(cmd, 2, cmd.n);
    ptrdiff_t hash = span_find(cmd, SPAN(" #")); /* a comment says what it is for */
    if (hash > 0) {
        if (about_one(span_sub(cmd, (size_t)hash, cmd.n)))
            return;
        cmd = span_trim(span_sub(cmd, 0, (size_t)hash));
    }
    if (!command_is_check(cmd, &kind, &needs, &run) || (d->given & (1u << kind)))
        return;
    const char *text = arena_span(d->arena, run);
    detect_offer(d, (struct gate){ .name = text, .kind = kind, .command = text, .needs = needs,
                                   .from = arena_printf(d->arena, "%s:%d", file, line_no) });
}

static int look(struct detection *d, struct err *e)
{
    (void)e;
    AUTO(buf) struct buf text = BUF_INIT(DETECT_FILE_BYTES + 1);
    if (!detect_read(d, "AGENTS.md", &text))
        return 0;
    const char *file = detect_path(d, "AGENTS.md");
    struct span rest = buf_span(&text), line;
    bool fenced = false, one = false;
    for (int n = 1; span_line(&rest, &line); n++) {
        struct span s = span_trim(line);
        if (span_starts(s, "```")) {
            fenced = !fenced;
            continue;
        }
        if (fenced) {
            if (span_starts(s, "#"))
                one = about_one(s);
            else if (!s.n)
                one = false;
            else if (!one)
                take(d, file, n, s);
            continue;
        }
        if (s.n)
            one = about_one(s); /* also of a block that follows */
        ptrdiff_t open;
        while ((open = span_findc(s, '`')) >= 0) {
            bool single = about_one(span_sub(s, 0, (size_t)open));
            struct span after = span_sub(s, (size_t)open + 1, s.n);
            ptrdiff_t close = span_findc(after, '`');
            if (close < 0)
                break;
            if (!single)
                take(d, file, n, span_sub(after, 0, (size_t)close));
            s = span_sub(after, (size_t)close + 1, after.n);
        }
    }
    return 0;
}

const struct detect_source detect_agents = { "AGENTS.md", look };
