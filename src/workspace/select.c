#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "workspace/change-internal.h"
#include "workspace/content.h"
#include "workspace/diff.h"

struct picker {
    const struct strings *ids;
    bool *used;
};

static bool picked(const struct picker *p, const char *id)
{
    bool hit = false;
    for (size_t i = 0; i < p->ids->len; i++)
        if (strcmp(p->ids->items[i], id) == 0)
            p->used[i] = hit = true;
    return hit;
}

/* Cut `lines` lines off the front of *rest, newlines included. */
static struct span cut_lines(struct span *rest, int lines)
{
    struct span taken = { rest->p, 0 };
    for (; lines > 0 && rest->n; lines--) {
        const char *nl = memchr(rest->p, '\n', rest->n);
        size_t n = nl ? (size_t)(nl - rest->p) + 1 : rest->n;
        taken.n += n;
        *rest = span_sub(*rest, n, rest->n);
    }
    return taken;
}

/* The base with only the picked hunks in it. */
static void compose(struct span base, const struct diff_file *d, const bool *take, struct buf *out)
{
    struct span rest = base;
    int at = 1; /* line number of rest's first line */
    for (size_t i = 0; i < d->nhunks; i++) {
        const struct hunk *h = &d->hunks[i];
        if (h->kind != HUNK_TEXT || !take[i])
            continue;
        int first = h->old_lines ? h->old_start : h->old_start + 1; /* an insertion stands behind its line */
        buf_add_span(out, cut_lines(&rest, first - at));
        (void)cut_lines(&rest, h->old_lines);
        at = first + h->old_lines;
        for (size_t k = 0; k < h->nlines; k++)
            if (h->lines[k].origin != '-') {
                buf_add_span(out, h->lines[k].text);
                if (!h->lines[k].no_newline)
                    buf_addc(out, '\n');
            }
    }
    buf_add_span(out, rest);
}

static int copy_side(const struct change *from, const struct change_side *side, struct change *to,
                     struct change_side *out, struct err *e)
{
    *out = *side;
    if (!side->exists || !side->stored)
        return 0;
    struct span data;
    bool binary = side->binary;
    if (change_data(from, side, &data, e) < 0 || content_add(to->content, data, out, e) < 0)
        return -(int)e->kind;
    out->binary = binary;
    return 0;
}

/* What remains of one file: 1 something, 0 nothing. */
static int select_file(const struct change *c, const struct change_file *f, const struct picker *p, struct change *to,
                       struct change_file *out, struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT(CHANGE_DIFF_BYTES * (size_t)16);
    struct diff_file d;
    if (diff_file(c, f, &a, &d, e) < 0)
        return -(int)e->kind;
    bool *take = arena_array(&a, d.nhunks, sizeof *take);
    bool any = false, all = true, renamed = f->kind == CHANGE_RENAMED, mode = false, whole = false, content = false;
    if (!take)
        return err_set(e, ERR_NOMEM, "cannot select hunks of '%s': out of memory", f->path);
    bool rename_taken = false;
    for (size_t i = 0; i < d.nhunks; i++) {
        take[i] = picked(p, d.hunks[i].id);
        any |= take[i];
        all &= take[i];
        if (!take[i])
            continue;
        rename_taken |= d.hunks[i].kind == HUNK_RENAME;
        mode |= d.hunks[i].kind == HUNK_MODE;
        whole |= d.hunks[i].kind == HUNK_WHOLE;
        content |= d.hunks[i].kind == HUNK_TEXT;
    }
    if (!any)
        return 0;
    *out = *f;
    if (copy_side(c, &f->base, to, &out->base, e) < 0)
        return -(int)e->kind;
    if (all)
        return copy_side(c, &f->now, to, &out->now, e) < 0 ? -(int)e->kind : 1;
    /* a part: one of several text hunks, or content without mode or name, or the other way round */
    out->added = out->removed = -1;
    if (renamed && !rename_taken)
        out->path = f->old_path;
    if (whole) {
        if (copy_side(c, &f->now, to, &out->now, e) < 0)
            return -(int)e->kind;
    } else {
        struct span base = SPAN("");
        AUTO(buf) struct buf text = BUF_INIT((size_t)CHANGE_DIFF_BYTES * 4);
        if (f->base.exists && (content || f->base.stored) && change_data(c, &f->base, &base, e) < 0)
            return err_wrap(e, "'%s'", f->path);
        compose(base, &d, take, &text);
        if (buf_check(&text, e) < 0)
            return err_wrap(e, "'%s'", f->path);
        if (!content && !f->base.stored)
            return err_set(e, ERR_UNSUPPORTED, "'%s': its old content is too large to be kept alone", f->path);
        out->now = (struct change_side){ .exists = true, .symlink = f->base.symlink };
        if (content_add(to->content, buf_span(&text), &out->now, e) < 0)
            return -(int)e->kind;
    }
    out->now.mode = mode || !f->base.exists ? f->now.mode : f->base.mode;
    bool same = out->base.exists && strcmp(out->base.hash.s, out->now.hash.s) == 0;
    out->kind = renamed && rename_taken ? CHANGE_RENAMED
                : !out->base.exists     ? CHANGE_ADDED
                : !same                 ? CHANGE_MODIFIED
                                        : CHANGE_MODE;
    return 1;
}

static int keep_strings(struct change *c, struct change_file *f, struct err *e)
{
    f->path = arena_strdup(&c->arena, f->path);
    f->old_path = f->kind == CHANGE_RENAMED ? arena_strdup(&c->arena, f->old_path) : f->path;
    f->guard_why = arena_strdup(&c->arena, f->guard_why);
    return f->path && f->old_path && f->guard_why ? 0 : err_set(e, ERR_NOMEM, "cannot select hunks: out of memory");
}

int change_select(const struct change *c, const struct strings *hunk_ids, struct change **out, struct err *e)
{
    AUTO(change) struct change *to = NULL;
    AUTO(ptr) bool *used = calloc(hunk_ids->len + 1, sizeof *used);
    if (!used || change_create(c->workspace, &to, e) < 0)
        return err_set(e, ERR_NOMEM, "cannot select hunks: out of memory");
    struct picker p = { hunk_ids, used };
    memcpy(to->session, c->session, sizeof to->session);
    memcpy(to->layer, c->layer, sizeof to->layer);
    memcpy(to->parent, c->id, sizeof to->parent);
    to->nexcluded = c->nexcluded;
    if (change_set_task(to, c->task, e) < 0 || content_create("/tmp", &to->content, e) < 0)
        return -(int)e->kind;
    to->files = c->nfiles ? arena_array(&to->arena, c->nfiles, sizeof *to->files) : NULL;
    if (c->nfiles && !to->files)
        return err_set(e, ERR_NOMEM, "cannot select hunks: out of memory");
    for (size_t i = 0; i < c->nfiles; i++) {
        int rc = select_file(c, &c->files[i], &p, to, &to->files[to->nfiles], e);
        if (rc < 0 || (rc > 0 && keep_strings(to, &to->files[to->nfiles++], e) < 0))
            return -(int)e->kind;
    }
    for (size_t i = 0; i < hunk_ids->len; i++)
        if (!used[i])
            return err_set(e, ERR_INPUT, "change %s has no hunk '%s'", c->id, hunk_ids->items[i]);
    change_seal(to);
    *out = TAKE(to);
    return 0;
}
