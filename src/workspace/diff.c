#include "workspace/diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "workspace/gitlib-internal.h"

#define CONTEXT_LINES 3

/* --- hunks --- */

/* The id of a hunk: everything that it stands for. */
static void hunk_id(const struct change_file *f, struct hunk *h)
{
    char head[64];
    struct hash_state st;
    hash_begin(&st);
    hash_add(&st, f->path, strlen(f->path) + 1);
    hash_add(&st, f->old_path, strlen(f->old_path) + 1);
    hash_add(&st, f->base.hash.s, sizeof f->base.hash.s);
    int n = snprintf(head, sizeof head, "%d %d %d %u %u\n", (int)h->kind, h->old_start, h->old_lines,
                     h->kind == HUNK_TEXT ? 0 : f->base.mode, h->kind == HUNK_TEXT ? 0 : f->now.mode);
    hash_add(&st, head, (size_t)n);
    if (h->kind == HUNK_WHOLE)
        hash_add(&st, f->now.hash.s, sizeof f->now.hash.s);
    for (size_t i = 0; i < h->nlines; i++) {
        char mark[2] = { h->lines[i].origin, (char)('0' + h->lines[i].no_newline) };
        hash_add(&st, mark, 2);
        hash_add(&st, h->lines[i].text.p, h->lines[i].text.n);
        hash_add(&st, "\n", 1);
    }
    struct hash_hex hex = hash_end(&st);
    memcpy(h->id, hex.s, HUNK_ID_SIZE - 1);
    h->id[HUNK_ID_SIZE - 1] = '\0';
}

static git_patch *make_patch(const struct git_api *g, struct span a, struct span b, struct err *e)
{
    git_diff_options opt = GIT_DIFF_OPTIONS_INIT;
    git_patch *patch = NULL;
    opt.flags = GIT_DIFF_FORCE_TEXT | GIT_DIFF_INDENT_HEURISTIC;
    opt.context_lines = CONTEXT_LINES;
    if (g->git_patch_from_buffers(&patch, a.p, a.n, NULL, b.p, b.n, NULL, &opt) < 0) {
        gitlib_fail(g, e, "cannot compare two versions");
        return NULL;
    }
    return patch;
}

/* libgit2 hands out pieces of the buffers that it was given; anything else is copied, for the patch goes away. */
static struct span keep_line(struct span line, struct span before, struct span after, struct arena *a)
{
    uintptr_t p = (uintptr_t)line.p;
    if ((p >= (uintptr_t)before.p && p + line.n <= (uintptr_t)before.p + before.n) ||
        (p >= (uintptr_t)after.p && p + line.n <= (uintptr_t)after.p + after.n))
        return line;
    return (struct span){ arena_span(a, line), line.n };
}

static int text_lines(const struct git_api *g, git_patch *patch, size_t at, struct span before, struct span after,
                      struct hunk *h, struct arena *a, struct err *e)
{
    int n = g->git_patch_num_lines_in_hunk(patch, at);
    h->lines = n > 0 ? arena_array(a, (size_t)n, sizeof *h->lines) : NULL;
    if (n < 0 || (n > 0 && !h->lines))
        return err_set(e, ERR_LIMIT, "cannot compare two versions: too many lines");
    for (int i = 0; i < n; i++) {
        const git_diff_line *gl;
        if (g->git_patch_get_line_in_hunk(&gl, patch, at, (size_t)i) < 0)
            return gitlib_fail(g, e, "cannot compare two versions");
        bool eof_note = gl->origin == GIT_DIFF_LINE_CONTEXT_EOFNL || gl->origin == GIT_DIFF_LINE_ADD_EOFNL ||
                        gl->origin == GIT_DIFF_LINE_DEL_EOFNL;
        if (eof_note) { /* "\ No newline at end of file" belongs to the line before */
            if (h->nlines)
                h->lines[h->nlines - 1].no_newline = true;
            continue;
        }
        struct span text = { gl->content, gl->content_len };
        if (text.n && text.p[text.n - 1] == '\n')
            text.n--;
        struct span copy = keep_line(text, before, after, a);
        if (!copy.p)
            return err_set(e, ERR_LIMIT, "cannot compare two versions: too much text");
        h->lines[h->nlines++] = (struct hunk_line){ .origin = gl->origin, .old_no = gl->old_lineno,
                                                    .new_no = gl->new_lineno, .text = copy };
    }
    return 0;
}

static int text_hunks(struct span before, struct span after, struct arena *a, struct diff_file *out, struct err *e)
{
    const struct git_api *g = gitlib(e);
    git_patch *patch = g ? make_patch(g, before, after, e) : NULL;
    if (!patch)
        return -(int)e->kind;
    size_t n = g->git_patch_num_hunks(patch), context;
    int rc = 0;
    size_t had = out->nhunks;
    struct hunk *all = arena_array(a, had + n, sizeof *all);
    if (!all)
        rc = err_set(e, ERR_LIMIT, "cannot compare two versions: too many hunks");
    else if (had)
        memcpy(all, out->hunks, had * sizeof *all);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const git_diff_hunk *gh;
        struct hunk *h = &all[had + i];
        if (g->git_patch_get_hunk(&gh, NULL, patch, i) < 0) {
            rc = gitlib_fail(g, e, "cannot compare two versions");
            break;
        }
        *h = (struct hunk){ .kind = HUNK_TEXT, .old_start = gh->old_start, .old_lines = gh->old_lines,
                            .new_start = gh->new_start, .new_lines = gh->new_lines };
        struct span head = { gh->header, gh->header_len };
        ptrdiff_t at = span_find(span_sub(head, 2, head.n), SPAN("@@ "));
        if (at >= 0) {
            struct span section = span_trim(span_sub(head, (size_t)at + 5, head.n));
            h->section = (struct span){ arena_span(a, section), section.n };
        }
        rc = text_lines(g, patch, i, before, after, h, a, e);
    }
    if (rc == 0) {
        size_t added, removed;
        out->hunks = all;
        out->nhunks = had + n;
        if (g->git_patch_line_stats(&context, &added, &removed, patch) == 0) {
            out->added = (int64_t)added;
            out->removed = (int64_t)removed;
        }
    }
    g->git_patch_free(patch);
    return rc;
}

/* Text that can be shown and taken line by line. */
static bool has_text(const struct change_side *s)
{
    return !s->exists || (s->stored && !s->binary && !s->symlink);
}

static bool same_content(const struct change_file *f)
{
    return f->base.exists && f->now.exists && f->base.symlink == f->now.symlink &&
           strcmp(f->base.hash.s, f->now.hash.s) == 0;
}

static int side_text(const struct change *c, const struct change_side *s, struct span *out, struct err *e)
{
    *out = SPAN("");
    return s->exists ? change_data(c, s, out, e) : 0;
}

int diff_file(const struct change *c, const struct change_file *f, struct arena *a, struct diff_file *out, struct err *e)
{
    *out = (struct diff_file){ .file = f };
    out->hunks = arena_array(a, 2, sizeof *out->hunks);
    if (!out->hunks)
        return err_set(e, ERR_NOMEM, "cannot compare '%s': out of memory", f->path);
    if (f->kind == CHANGE_RENAMED)
        out->hunks[out->nhunks++] = (struct hunk){ .kind = HUNK_RENAME };
    bool both = f->base.exists && f->now.exists;
    if (both && !f->base.symlink && !f->now.symlink && f->base.mode != f->now.mode)
        out->hunks[out->nhunks++] = (struct hunk){ .kind = HUNK_MODE };
    if (!same_content(f)) {
        struct span before, after;
        size_t had = out->nhunks;
        if (has_text(&f->base) && has_text(&f->now) && (f->base.size || f->now.size)) {
            if (side_text(c, &f->base, &before, e) < 0 || side_text(c, &f->now, &after, e) < 0)
                return err_wrap(e, "'%s'", f->path);
            /* millions of one-byte lines: taken as a whole, as a binary file is */
            if (text_hunks(before, after, a, out, e) < 0 && e->kind != ERR_LIMIT)
                return err_wrap(e, "'%s'", f->path);
        }
        if (out->nhunks == had) {
            struct hunk *all = arena_array(a, had + 1, sizeof *all);
            if (!all)
                return err_set(e, ERR_NOMEM, "cannot compare '%s': out of memory", f->path);
            memcpy(all, out->hunks, had * sizeof *all);
            all[had] = (struct hunk){ .kind = HUNK_WHOLE };
            out->hunks = all;
            out->nhunks++;
        }
    }
    for (size_t i = 0; i < out->nhunks; i++)
        hunk_id(f, &out->hunks[i]);
    return 0;
}

int change_count(struct change *c, struct err *e)
{
    for (size_t i = 0; i < c->nfiles; i++) {
        struct change_file *f = &c->files[i];
        AUTO(arena) struct arena a = ARENA_INIT(CHANGE_DIFF_BYTES * (size_t)16);
        struct diff_file d;
        if (f->added >= 0 || !has_text(&f->base) || !has_text(&f->now))
            continue;
        if (diff_file(c, f, &a, &d, e) < 0)
            return -(int)e->kind;
        f->added = d.added;
        f->removed = d.removed;
    }
    return 0;
}

/* --- unified diff --- */

/* A path as git writes it: quoted as a C string where it has anything odd. */
static void add_path(struct buf *out, const char *prefix, const char *path)
{
    bool odd = false;
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        odd |= *p < 0x20 || *p >= 0x7f || *p == '"' || *p == '\\';
    if (!odd) {
        buf_addf(out, "%s%s", prefix, path);
        return;
    }
    buf_addf(out, "\"%s", prefix);
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        static const char escapes[] = "\aa\bb\tt\nn\vv\ff\rr\"\"\\\\";
        const char *known = NULL;
        for (const char *x = escapes; *x && !known; x += 2)
            if ((unsigned char)*x == *p)
                known = x + 1;
        if (known)
            buf_addf(out, "\\%c", *known);
        else if (*p < 0x20 || *p >= 0x7f)
            buf_addf(out, "\\%03o", *p);
        else
            buf_addc(out, (char)*p);
    }
    buf_addc(out, '"');
}

static unsigned git_mode(const struct change_side *s)
{
    return s->symlink ? 0120000 : s->mode & 0100 ? 0100755 : 0100644;
}

static void add_range(struct buf *out, char sign, int start, int lines)
{
    buf_addf(out, lines == 1 ? "%c%d" : "%c%d,%d", sign, start, lines);
}

static void add_hunk(struct buf *out, const struct hunk *h)
{
    buf_adds(out, "@@ ");
    add_range(out, '-', h->old_start, h->old_lines);
    buf_addc(out, ' ');
    add_range(out, '+', h->new_start, h->new_lines);
    buf_adds(out, " @@");
    if (h->section.n) {
        buf_addc(out, ' ');
        buf_add_span(out, h->section);
    }
    buf_addc(out, '\n');
    for (size_t i = 0; i < h->nlines; i++) {
        buf_addc(out, h->lines[i].origin);
        buf_add_span(out, h->lines[i].text);
        buf_addc(out, '\n');
        if (h->lines[i].no_newline)
            buf_adds(out, "\\ No newline at end of file\n");
    }
}

static void add_names(struct buf *out, const struct change_file *f)
{
    buf_adds(out, "--- ");
    if (f->base.exists)
        add_path(out, "a/", f->old_path);
    else
        buf_adds(out, "/dev/null");
    buf_adds(out, "\n+++ ");
    if (f->now.exists)
        add_path(out, "b/", f->path);
    else
        buf_adds(out, "/dev/null");
    buf_addc(out, '\n');
}

/* One side gone or new: the other alone. Used too where a type changes (git shows a deletion and an addition). */
static int add_file_diff(const struct change *c, const struct change_file *f, struct buf *out, struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT(CHANGE_DIFF_BYTES * (size_t)16);
    struct diff_file d;
    if (f->base.exists && f->now.exists && f->base.symlink != f->now.symlink) {
        struct change_file gone = *f, fresh = *f;
        gone.kind = CHANGE_DELETED;
        gone.now = (struct change_side){ 0 };
        gone.path = gone.old_path;
        fresh.kind = CHANGE_ADDED;
        fresh.base = (struct change_side){ 0 };
        fresh.old_path = fresh.path;
        return add_file_diff(c, &gone, out, e) < 0 ? -(int)e->kind : add_file_diff(c, &fresh, out, e);
    }
    buf_adds(out, "diff --git ");
    add_path(out, "a/", f->old_path);
    buf_addc(out, ' ');
    add_path(out, "b/", f->path);
    buf_addc(out, '\n');
    if (!f->base.exists)
        buf_addf(out, "new file mode %06o\n", git_mode(&f->now));
    else if (!f->now.exists)
        buf_addf(out, "deleted file mode %06o\n", git_mode(&f->base));
    else if (git_mode(&f->base) != git_mode(&f->now))
        buf_addf(out, "old mode %06o\nnew mode %06o\n", git_mode(&f->base), git_mode(&f->now));
    if (f->kind == CHANGE_RENAMED) {
        buf_addf(out, "similarity index %d%%\nrename from ", f->similarity);
        add_path(out, "", f->old_path);
        buf_adds(out, "\nrename to ");
        add_path(out, "", f->path);
        buf_addc(out, '\n');
    }
    if (same_content(f))
        return 0;
    struct span before, after;
    bool link = f->base.symlink || f->now.symlink;
    if (!link && (!has_text(&f->base) || !has_text(&f->now))) {
        buf_adds(out, "Binary files ");
        f->base.exists ? add_path(out, "a/", f->old_path) : (void)buf_adds(out, "/dev/null");
        buf_adds(out, " and ");
        f->now.exists ? add_path(out, "b/", f->path) : (void)buf_adds(out, "/dev/null");
        buf_adds(out, " differ\n");
        return 0;
    }
    if ((f->base.exists && !f->base.stored) || (f->now.exists && !f->now.stored)) {
        buf_adds(out, "Binary files differ\n");
        return 0;
    }
    d = (struct diff_file){ .file = f };
    if (side_text(c, &f->base, &before, e) < 0 || side_text(c, &f->now, &after, e) < 0)
        return err_wrap(e, "'%s'", f->path);
    if (!before.n && !after.n)
        return 0;
    if (text_hunks(before, after, &a, &d, e) < 0) {
        if (e->kind != ERR_LIMIT)
            return err_wrap(e, "'%s'", f->path);
        buf_adds(out, "Binary files differ\n");
        return 0;
    }
    add_names(out, f);
    for (size_t i = 0; i < d.nhunks; i++)
        add_hunk(out, &d.hunks[i]);
    return 0;
}

int change_diff(const struct change *c, const char *path, struct buf *out, struct err *e)
{
    const struct change_file *only = path ? change_find(c, path) : NULL;
    if (path && !only)
        return err_set(e, ERR_NOT_FOUND, "change %s does not touch '%s'", c->id, path);
    for (size_t i = 0; i < c->nfiles; i++)
        if ((!only || only == &c->files[i]) && add_file_diff(c, &c->files[i], out, e) < 0)
            return -(int)e->kind;
    return buf_check(out, e);
}

int diff_text(struct span old_text, struct span new_text, const char *old_name, const char *new_name, struct buf *out,
              struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT((size_t)256 << 20);
    struct diff_file d = { 0 };
    if (text_hunks(old_text, new_text, &a, &d, e) < 0)
        return -(int)e->kind;
    if (d.nhunks) {
        buf_adds(out, "--- ");
        add_path(out, "", old_name);
        buf_adds(out, "\n+++ ");
        add_path(out, "", new_name);
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < d.nhunks; i++)
        add_hunk(out, &d.hunks[i]);
    return buf_check(out, e);
}

int merge_text(struct span base, struct span ours, struct span theirs, const char *our_name, const char *their_name,
               struct buf *out, struct err *e)
{
    const struct git_api *g = gitlib(e);
    if (!g)
        return -(int)e->kind;
    git_merge_file_input in_base = GIT_MERGE_FILE_INPUT_INIT, in_ours = GIT_MERGE_FILE_INPUT_INIT,
                         in_theirs = GIT_MERGE_FILE_INPUT_INIT;
    git_merge_file_options opt = GIT_MERGE_FILE_OPTIONS_INIT;
    git_merge_file_result result = { 0 };
    in_base.ptr = base.p;
    in_base.size = base.n;
    in_ours.ptr = ours.p;
    in_ours.size = ours.n;
    in_theirs.ptr = theirs.p;
    in_theirs.size = theirs.n;
    opt.our_label = our_name;
    opt.their_label = their_name;
    opt.flags = GIT_MERGE_FILE_STYLE_MERGE;
    if (g->git_merge_file(&result, &in_base, &in_ours, &in_theirs, &opt) < 0)
        return gitlib_fail(g, e, "cannot merge two versions");
    (void)buf_add(out, result.ptr, result.len);
    int clean = result.automergeable ? 1 : 0;
    g->git_merge_file_result_free(&result);
    return buf_check(out, e) < 0 ? -(int)e->kind : clean;
}
