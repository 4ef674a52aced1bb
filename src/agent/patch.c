#include "agent/patch.h"

#include "base/mem.h"

static bool take(struct span line, const char *prefix, struct span *rest)
{
    if (!span_starts(line, prefix))
        return false;
    *rest = span_trim(span_sub(line, strlen(prefix), line.n));
    return true;
}

/* Lines collected for a hunk, with room for all of the text: sizes are known, so the arena serves. */
struct lines_out {
    char *p;
    size_t n;
};

static void put_line(struct lines_out *o, struct span line)
{
    if (line.n > 0)
        memcpy(o->p + o->n, line.p, line.n);
    o->n += line.n;
    o->p[o->n++] = '\n';
}

struct parser {
    struct span rest;
    size_t line_no;
    struct span line;
    bool have;
    struct arena *arena;
};

static bool next(struct parser *p)
{
    p->have = span_line(&p->rest, &p->line);
    p->line_no++;
    return p->have;
}

static int parse_add(struct parser *p, struct patch_file *f, struct err *e)
{
    struct lines_out o = { arena_alloc(p->arena, p->rest.n + 2), 0 };
    if (!o.p)
        return err_set(e, ERR_LIMIT, "patch: too large");
    while (next(p) && !span_starts(p->line, "*** ")) {
        if (p->line.n == 0)
            continue;
        if (p->line.p[0] != '+')
            return err_set(e, ERR_INPUT, "patch line %zu: in *** Add File each line begins with '+'", p->line_no);
        put_line(&o, span_sub(p->line, 1, p->line.n));
    }
    f->content = (struct span){ o.p, o.n };
    return 0;
}

static int parse_hunk(struct parser *p, struct patch_hunk *h, struct err *e)
{
    struct lines_out was = { arena_alloc(p->arena, p->rest.n + p->line.n + 2), 0 };
    struct lines_out now = { arena_alloc(p->arena, p->rest.n + p->line.n + 2), 0 };
    if (!was.p || !now.p)
        return err_set(e, ERR_LIMIT, "patch: too large");
    if (take(p->line, "@@", &h->where))
        next(p);
    while (p->have && !span_starts(p->line, "@@")) {
        if (span_starts(p->line, "*** End of File")) {
            h->at_end = true;
            next(p);
            break;
        }
        if (span_starts(p->line, "*** "))
            break;
        char c = p->line.n ? p->line.p[0] : ' ';
        struct span body = span_sub(p->line, p->line.n ? 1 : 0, p->line.n);
        if (c != ' ' && c != '-' && c != '+')
            return err_set(e, ERR_INPUT, "patch line %zu: a line begins with ' ', '-', '+' or '@@'", p->line_no);
        if (c != '+')
            put_line(&was, body);
        if (c != '-')
            put_line(&now, body);
        next(p);
    }
    h->old = (struct span){ was.p, was.n };
    h->new = (struct span){ now.p, now.n };
    if (was.n == 0 && now.n == 0)
        return err_set(e, ERR_INPUT, "patch line %zu: an empty hunk", p->line_no);
    return 0;
}

static int parse_update(struct parser *p, struct patch_file *f, struct err *e)
{
    struct span rest;
    f->hunks = arena_array(p->arena, PATCH_HUNKS_MAX, sizeof *f->hunks);
    if (!f->hunks)
        return err_set(e, ERR_LIMIT, "patch: too large");
    next(p);
    if (p->have && take(p->line, "*** Move to:", &rest)) {
        f->move_to = arena_span(p->arena, rest);
        next(p);
    }
    while (p->have && !(span_starts(p->line, "*** ") && !span_starts(p->line, "*** End of File"))) {
        if (f->nhunks == PATCH_HUNKS_MAX)
            return err_set(e, ERR_LIMIT, "patch: more than %d hunks in '%s'", PATCH_HUNKS_MAX, f->path);
        int r = parse_hunk(p, &f->hunks[f->nhunks], e);
        if (r < 0)
            return r;
        f->nhunks++;
    }
    if (f->nhunks == 0 && !f->move_to)
        return err_set(e, ERR_INPUT, "patch line %zu: *** Update File: %s has no hunk", p->line_no, f->path);
    return 0;
}

int patch_parse(struct span text, struct arena *a, struct patch *out, struct err *e)
{
    struct parser p = { text, 0, { 0 }, false, a };
    struct patch_file *files = arena_array(a, PATCH_FILES_MAX, sizeof *files);
    size_t n = 0;
    if (!files)
        return err_set(e, ERR_LIMIT, "patch: too large");
    do
        next(&p);
    while (p.have && span_trim(p.line).n == 0);
    if (!p.have || !span_eqs(span_trim(p.line), "*** Begin Patch"))
        return err_set(e, ERR_INPUT, "patch line %zu: expected '*** Begin Patch'", p.line_no);
    next(&p);
    while (p.have && !span_eqs(span_trim(p.line), "*** End Patch")) {
        struct span path;
        struct patch_file f = { 0 };
        if (take(p.line, "*** Add File:", &path))
            f.op = PATCH_ADD;
        else if (take(p.line, "*** Delete File:", &path))
            f.op = PATCH_DELETE;
        else if (take(p.line, "*** Update File:", &path))
            f.op = PATCH_UPDATE;
        else if (span_trim(p.line).n == 0) {
            next(&p);
            continue;
        } else
            return err_set(e, ERR_INPUT, "patch line %zu: expected '*** Add File:', '*** Update File:', '*** Delete File:' or '*** End Patch'",
                           p.line_no);
        if (path.n == 0)
            return err_set(e, ERR_INPUT, "patch line %zu: a path is missing", p.line_no);
        if (n == PATCH_FILES_MAX)
            return err_set(e, ERR_LIMIT, "patch: more than %d files", PATCH_FILES_MAX);
        f.path = arena_span(a, path);
        if (!f.path)
            return err_set(e, ERR_LIMIT, "patch: too large");
        int r = 0;
        if (f.op == PATCH_ADD)
            r = parse_add(&p, &f, e);
        else if (f.op == PATCH_UPDATE)
            r = parse_update(&p, &f, e);
        else
            next(&p);
        if (r < 0)
            return r;
        files[n++] = f;
    }
    if (!p.have)
        return err_set(e, ERR_INPUT, "patch: '*** End Patch' is missing: it was cut, nothing was changed");
    if (n == 0)
        return err_set(e, ERR_INPUT, "patch: it names no file");
    *out = (struct patch){ files, n };
    return 0;
}

/* Offset of `block` in text at or behind `from`, at the start of a line; -1 none, -2 several. */
static ptrdiff_t find_block(struct span text, size_t from, struct span block, bool first_will_do)
{
    ptrdiff_t found = -1;
    for (size_t at = from; at <= text.n;) {
        struct span rest = span_sub(text, at, text.n);
        /* The file's last line may lack its newline. */
        bool whole = rest.n >= block.n && memcmp(rest.p, block.p, block.n) == 0;
        bool last = rest.n + 1 == block.n && memcmp(rest.p, block.p, rest.n) == 0;
        if (whole || last) {
            if (found >= 0)
                return -2;
            found = (ptrdiff_t)at;
            if (first_will_do)
                return found;
        }
        const char *nl = memchr(rest.p, '\n', rest.n);
        if (!nl)
            break;
        at = (size_t)(nl - text.p) + 1;
    }
    return found;
}

/* Offset behind the first line at or after `from` that, trimmed, is `where`, or holds it. */
static ptrdiff_t find_where(struct span text, size_t from, struct span where)
{
    for (int loose = 0; loose < 2; loose++) {
        struct span rest = span_sub(text, from, text.n), line;
        size_t at = from;
        while (span_line(&rest, &line)) {
            if (loose ? span_find(line, where) >= 0 : span_eq(span_trim(line), where))
                return (ptrdiff_t)at;
            at = text.n - rest.n;
        }
    }
    return -1;
}

int patch_update(struct patch_file *f, struct span text, struct buf *out, struct match *miss, struct err *e)
{
    size_t done = 0; /* of text, copied to out */
    *miss = (struct match){ .kind = MATCH_NONE };
    for (size_t i = 0; i < f->nhunks; i++) {
        struct patch_hunk *h = &f->hunks[i];
        size_t from = done;
        if (h->where.n > 0) {
            ptrdiff_t w = find_where(text, done, h->where);
            if (w < 0)
                return err_set(e, ERR_NOT_FOUND, "'%s': no line '@@ %.*s'", f->path, (int)(h->where.n > 80 ? 80 : h->where.n), h->where.p);
            from = (size_t)w;
        }
        ptrdiff_t at;
        if (h->old.n == 0) /* only additions: at the end, or behind the @@ line */
            at = h->where.n > 0 ? (ptrdiff_t)(from + lines_slice(span_sub(text, from, text.n), 1, 1).n) : (ptrdiff_t)text.n;
        else
            at = find_block(text, from, h->old, h->where.n > 0 || h->at_end);
        if (at < 0) {
            int r = match_find(text, h->old, miss, e);
            if (r < 0)
                return r;
            if (at == -2)
                return err_set(e, ERR_CONFLICT, "'%s': hunk %zu fits in several places", f->path, i + 1);
            if (miss->kind == MATCH_ONE || miss->kind == MATCH_MANY)
                return err_set(e, ERR_CONFLICT, "'%s': hunk %zu is out of order, or does not begin at the start of a line", f->path, i + 1);
            return err_set(e, ERR_NOT_FOUND, "'%s': the context of hunk %zu is not there", f->path, i + 1);
        }
        buf_add(out, text.p + done, (size_t)at - done);
        if (out->n > 0 && out->p[out->n - 1] != '\n')
            buf_addc(out, '\n');
        size_t first = lines_count(buf_span(out)) + 1;
        buf_add_span(out, h->new);
        if (f->line == 0)
            f->line = first;
        f->to = lines_count(buf_span(out));
        done = (size_t)at + h->old.n;
        if (done > text.n)
            done = text.n;
    }
    buf_add(out, text.p + done, text.n - done);
    return buf_check(out, e);
}
