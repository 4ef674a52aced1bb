#include "workspace/apply.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#define LOG_MODULE "workspace"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "workspace/apply-internal.h"
#include "workspace/change-internal.h"
#include "workspace/content.h"
#include "workspace/diff.h"
#include "workspace/guard.h"
#include "workspace/side.h"

#define KEEP_DONE_MS ((int64_t)30 * 24 * 3600 * 1000) /* finished applies can be reverted this long */

static const char *const outcome_names[] = { "applied", "merged", "already", "conflict", "guarded" };

const char *apply_outcome_name(enum apply_outcome o)
{
    return (unsigned)o < COUNT_OF(outcome_names) ? outcome_names[o] : "?";
}

/* --- planning --- */

/* One file as it should change, whichever way: apply goes from base to now, revert from what was written back to what was. */
struct wish {
    const char *path;
    const struct change_side *base, *now; /* now's content lies in `from` */
    const struct change_content *from;
    const struct change_side *elsewhere;  /* a rename: what the user has at the old path, merged in; else NULL */
    bool base_moved;
    const struct op *was; /* a revert: whose file it was; else NULL */
};

struct planner {
    struct plan *p;
    const struct change *c; /* NULL for a revert */
    struct arena *a;
    struct op *dels, *puts;
    size_t ndels, nputs, cap;
    struct apply_result *r;
    mode_t umask;
    const char *ours, *theirs; /* names of the two sides, for conflicts */
    struct err *e;
};

static int nomem(struct planner *pl)
{
    return err_set(pl->e, ERR_NOMEM, "cannot apply to '%s': out of memory", pl->p->workspace);
}

static struct apply_file *outcome(struct planner *pl, const char *path, enum apply_outcome o, const char *why)
{
    struct apply_file *f = &pl->r->files[pl->r->nfiles++];
    *f = (struct apply_file){ arena_strdup(pl->a, path), o, why ? arena_strdup(pl->a, why) : "" };
    pl->r->nconflicts += o == APPLY_CONFLICT;
    pl->r->nguarded += o == APPLY_GUARDED;
    return f;
}

static int refuse(struct planner *pl, const char *path, const char *why)
{
    outcome(pl, path, APPLY_CONFLICT, why);
    return 0;
}

static unsigned final_mode(const struct planner *pl, const struct change_side *cur, const struct change_side *base,
                           const struct change_side *now)
{
    bool exec = now->mode & 0100;
    if (now->symlink)
        return 0777;
    if (!cur->exists || cur->symlink)
        return now->mode & 0777 & ~(unsigned)pl->umask;
    /* a mode that the user set meanwhile stays, but for the bit that the change sets */
    if (!base->exists || exec == !!(base->mode & 0100) || exec == !!(cur->mode & 0100))
        return cur->mode;
    return exec ? cur->mode | ((cur->mode & 0444) >> 2) : cur->mode & ~0111u;
}

/* Copy the content of a side into the plan. */
static int keep(struct planner *pl, const struct change_content *from, const struct change_side *side,
                struct change_side *out)
{
    struct span data;
    *out = *side;
    if (!side->exists)
        return 0;
    if (content_get(from, side, &data, pl->e) < 0)
        return -(int)pl->e->kind;
    if (strcmp(hash_bytes(data.p, data.n).s, side->hash.s) != 0)
        return err_set(pl->e, ERR_IO, "the kept content does not match its hash: it was damaged or edited");
    return content_add(pl->p->content, data, out, pl->e);
}

static int add_op(struct planner *pl, const struct wish *w, const struct change_side *old, const struct change_side *now,
                  const struct stat *st)
{
    struct op *list = now->exists ? pl->puts : pl->dels; /* NOLINT(clang-analyzer-core.uninitialized.Branch): callers give a whole side */
    size_t *n = now->exists ? &pl->nputs : &pl->ndels;
    struct op *op = &list[(*n)++];
    *op = (struct op){ .path = arena_strdup(pl->a, w->path), .old = *old, .now = *now, .uid = -1, .gid = -1 };
    if (old->exists) {
        op->uid = st->st_uid;
        op->gid = st->st_gid;
    } else if (w->was) {
        op->uid = w->was->uid;
        op->gid = w->was->gid;
    }
    return op->path ? 0 : nomem(pl);
}

/* Whether the path, or with `below` something in it, is removed: by a deletion that is planned, or as the old name of a rename. */
static bool leaves(const struct planner *pl, const char *path, bool below)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < pl->ndels; i++) {
        const char *gone = pl->dels[i].path;
        if (below ? strncmp(gone, path, n) == 0 && gone[n] == '/' : strcmp(gone, path) == 0)
            return true;
    }
    for (size_t i = 0; pl->c && i < pl->c->nfiles; i++) {
        const char *gone = pl->c->files[i].old_path;
        if (pl->c->files[i].kind == CHANGE_RENAMED && (below ? strncmp(gone, path, n) == 0 && gone[n] == '/' : strcmp(gone, path) == 0))
            return true;
    }
    return false;
}

/* A directory above the path that is not one, unless this plan removes it: "" none. */
static const char *bad_parent(struct planner *pl, const char *path)
{
    AUTO(ptr) char *up = strdup(path);
    for (char *slash = up ? strchr(up, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
        struct stat st;
        *slash = '\0';
        AUTO(fd) int fd = path_open_beneath(pl->p->ws_fd, up, O_PATH | O_NOFOLLOW, 0, PATH_NO_SYMLINKS);
        if (fd < 0)
            return "";
        if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
            return leaves(pl, up, false) ? "" : arena_printf(pl->a, "its directory '%s' is %s in the workspace", up,
                                S_ISLNK(st.st_mode) ? "a symbolic link" : "a file");
        *slash = '/';
    }
    return "";
}

/* Both sides changed it: their merge becomes the new content. 1 merged, 0 refused (outcome recorded). */
static int merge(struct planner *pl, const struct wish *w, const struct change_side *mine, struct change_side *now)
{
    AUTO(buf) struct buf out = BUF_INIT((size_t)CHANGE_DIFF_BYTES * 4);
    struct span base, ours, theirs;
    const char *why = NULL;
    if (mine->binary || w->now->binary || w->base->binary || mine->symlink || w->now->symlink || w->base->symlink)
        why = "and it is not text";
    else if (!w->base->exists)
        why = "and both made it anew";
    else if (!w->base->stored || mine->size > CHANGE_DIFF_BYTES)
        why = "and it is too large to merge";
    if (why)
        return refuse(pl, w->path, arena_printf(pl->a, "%s and %s changed it, %s", pl->ours, pl->theirs, why));
    const struct change_content *base_at = w->from;
    if (content_get(base_at, w->base, &base, pl->e) < 0 || content_get(w->from, w->now, &theirs, pl->e) < 0 ||
        content_get(pl->p->content, mine, &ours, pl->e) < 0)
        return -(int)pl->e->kind;
    int rc = merge_text(base, ours, theirs, pl->ours, pl->theirs, &out, pl->e);
    if (rc < 0)
        return rc;
    if (rc == 0) {
        /* the first lines where they meet, for the message */
        ptrdiff_t at = span_find(buf_span(&out), SPAN("<<<<<<< "));
        int line = 1;
        for (ptrdiff_t i = 0; i < at; i++)
            line += out.p[i] == '\n';
        return refuse(pl, w->path, arena_printf(pl->a, "%s and %s changed the same lines, the first at line %d", pl->ours,
                                                pl->theirs, line));
    }
    unsigned mode = w->now->mode;
    *now = (struct change_side){ .exists = true, .mode = mode };
    return content_add(pl->p->content, buf_span(&out), now, pl->e) < 0 ? -(int)pl->e->kind : 1;
}

static int plan_delete(struct planner *pl, const struct wish *w, const struct change_side *cur, const struct stat *st)
{
    static const struct change_side none;
    if (!cur->exists) {
        outcome(pl, w->path, APPLY_ALREADY, NULL);
        return 0;
    }
    if (!side_same(cur, w->base) || w->base_moved)
        return refuse(pl, w->path, arena_printf(pl->a, "%s changed it, %s deleted it", pl->ours, pl->theirs));
    outcome(pl, w->path, APPLY_DONE, NULL);
    return add_op(pl, w, cur, &none, st);
}

static int plan_put(struct planner *pl, const struct wish *w, const struct change_side *cur, enum side_what what,
                    const struct stat *st)
{
    struct change_side now;
    const char *bad = bad_parent(pl, w->path);
    if (!bad || *bad)
        return refuse(pl, w->path, bad ? bad : "its directory cannot be looked at");
    if (what == SIDE_OTHER || (what == SIDE_DIR && !leaves(pl, w->path, true) && !dir_is_hollow(pl->p->ws_fd, w->path)))
        return refuse(pl, w->path, what == SIDE_DIR ? "it is a directory in the workspace"
                                                    : "it is a pipe, socket or device in the workspace");
    if (!cur->exists && w->base->exists && !w->elsewhere)
        return refuse(pl, w->path, arena_printf(pl->a, "%s deleted it, %s changed it", pl->ours, pl->theirs));
    unsigned mode = final_mode(pl, w->elsewhere ? w->elsewhere : cur, w->base, w->now);
    if (cur->exists && side_same(cur, w->now)) {
        if (cur->mode == mode || cur->symlink) {
            outcome(pl, w->path, APPLY_ALREADY, NULL);
            return 0;
        }
        now = *cur;
        now.mode = mode;
        outcome(pl, w->path, APPLY_DONE, NULL);
        return add_op(pl, w, cur, &now, st);
    }
    const struct change_side *mine = w->elsewhere ? w->elsewhere : cur;
    if (w->elsewhere && cur->exists)
        return refuse(pl, w->path, arena_printf(pl->a, "%s made it, %s renamed another file to it", pl->ours, pl->theirs));
    if (mine->exists && !w->base->exists && !side_same(mine, w->now))
        return merge(pl, w, mine, &now); /* always refused: both made it */
    if (mine->exists && side_same(w->base, w->now) && !w->elsewhere) {
        now = *mine; /* the mode alone changes, on whatever content the user has */
        now.mode = mode;
        outcome(pl, w->path, now.mode == cur->mode ? APPLY_ALREADY : APPLY_MERGED, NULL);
        return now.mode == cur->mode ? 0 : add_op(pl, w, cur, &now, st);
    }
    if (mine->exists && (!side_same(mine, w->base) || w->base_moved)) {
        if (w->base_moved)
            return refuse(pl, w->path, arena_printf(pl->a, "%s changed it after the task began, and the version that %s started from is not known", pl->ours, pl->theirs));
        int rc = merge(pl, w, mine, &now);
        if (rc <= 0)
            return rc;
        outcome(pl, w->path, APPLY_MERGED, NULL);
    } else {
        if (keep(pl, w->from, w->now, &now) < 0)
            return err_wrap(pl->e, "'%s'", w->path);
        outcome(pl, w->path, APPLY_DONE, NULL);
    }
    now.mode = mode;
    now.mtime_ns = 0;
    return add_op(pl, w, cur, &now, st);
}

static int plan_wish(struct planner *pl, const struct wish *w)
{
    struct change_side cur;
    struct stat st = { 0 };
    enum side_what what;
    if (side_read(pl->p->ws_fd, w->path, SIDE_KEEP, pl->p->content, CHANGE_FILE_BYTES, &cur, &st, &what, pl->e) < 0)
        return err_wrap(pl->e, "'%s'", w->path);
    return w->now->exists ? plan_put(pl, w, &cur, what, &st) : plan_delete(pl, w, &cur, &st);
}

/* The old path goes (as in a deletion, the user's edit going with it), the new one comes with that edit merged in. */
static int plan_rename(struct planner *pl, const struct change_file *f)
{
    static const struct change_side none;
    struct change_side mine;
    struct stat st;
    enum side_what what;
    const struct change_content *from = pl->c->content;
    if (side_read(pl->p->ws_fd, f->old_path, SIDE_KEEP, pl->p->content, CHANGE_FILE_BYTES, &mine, &st, &what, pl->e) < 0)
        return err_wrap(pl->e, "'%s'", f->old_path);
    struct wish put = { f->path, &f->base, &f->now, from, &mine, f->base_moved, NULL };
    struct wish gone = { f->old_path, &mine, &none, from, NULL, false, NULL };
    if (!mine.exists) {
        /* done before, or removed by the user */
        struct change_side cur;
        if (side_read(pl->p->ws_fd, f->path, SIDE_HASH, NULL, INT64_MAX / 2, &cur, NULL, &what, pl->e) < 0)
            return err_wrap(pl->e, "'%s'", f->path);
        if (cur.exists && side_same(&cur, &f->now)) {
            outcome(pl, f->path, APPLY_ALREADY, NULL);
            return 0;
        }
        return refuse(pl, f->path, arena_printf(pl->a, "%s deleted '%s', %s renamed it", pl->ours, f->old_path, pl->theirs));
    }
    size_t had = pl->r->nfiles, conflicts = pl->r->nconflicts;
    if (plan_wish(pl, &put) < 0)
        return -(int)pl->e->kind;
    if (pl->r->nconflicts != conflicts)
        return 0;
    size_t after = pl->r->nfiles;
    int rc = plan_wish(pl, &gone);
    pl->r->nfiles = after; /* one line for both */
    (void)had;
    return rc;
}

static int note_made(struct planner *pl)
{
    struct plan *p = pl->p;
    size_t cap = 0, n = 0;
    AUTO(ptr) char **found = NULL;
    for (size_t i = 0; i < pl->nputs; i++) {
        AUTO(ptr) char *up = strdup(pl->puts[i].path);
        for (char *slash = up ? strchr(up, '/') : NULL; slash; slash = strchr(slash + 1, '/')) {
            *slash = '\0';
            AUTO(fd) int fd = path_open_beneath(p->ws_fd, up, O_PATH | O_NOFOLLOW, 0, PATH_NO_SYMLINKS);
            bool known = n && strcmp(found[n - 1], up) == 0;
            for (size_t k = 0; fd < 0 && k < n && !known; k++)
                known = strcmp(found[k], up) == 0;
            if (fd < 0 && !known) {
                if (!array_grow(&found, &cap, n, 1, sizeof *found) || !(found[n++] = arena_strdup(pl->a, up)))
                    return nomem(pl);
            }
            *slash = '/';
        }
    }
    p->made.items = n ? arena_array(pl->a, n, sizeof *p->made.items) : NULL;
    if (n && !p->made.items)
        return nomem(pl);
    for (size_t i = 0; i < n; i++)
        p->made.items[p->made.len++] = found[i];
    return 0;
}

static int close_plan(struct planner *pl)
{
    struct plan *p = pl->p;
    p->n = pl->ndels + pl->nputs;
    p->ops = p->n ? arena_array(pl->a, p->n, sizeof *p->ops) : NULL;
    if (p->n && !p->ops)
        return nomem(pl);
    if (p->ops && pl->ndels)
        memcpy(p->ops, pl->dels, pl->ndels * sizeof *p->ops);
    if (p->ops && pl->nputs)
        memcpy(p->ops + pl->ndels, pl->puts, pl->nputs * sizeof *p->ops);
    return note_made(pl);
}

static int planner_init(struct planner *pl, struct plan *p, struct arena *a, struct apply_result *r, size_t nfiles,
                        struct err *e)
{
    *pl = (struct planner){ .p = p, .a = a, .r = r, .e = e, .cap = nfiles * 2 + 2 };
    pl->dels = arena_array(a, pl->cap, sizeof *pl->dels);
    pl->puts = arena_array(a, pl->cap, sizeof *pl->puts);
    r->files = arena_array(a, pl->cap, sizeof *r->files);
    pl->umask = umask(022);
    (void)umask(pl->umask);
    return pl->dels && pl->puts && r->files ? 0 : err_set(e, ERR_NOMEM, "cannot apply: out of memory");
}

static bool is_allowed(const struct strings *ok, const char *path)
{
    for (size_t i = 0; i < ok->len; i++)
        if (strcmp(ok->items[i], "*") == 0 || strcmp(ok->items[i], path) == 0)
            return true;
    return false;
}

/* Guarded files without their approval, and what no approval lets through. */
static int check_guard(const struct apply_options *opt, struct arena *a, struct apply_result *r, struct err *e)
{
    const struct change *c = opt->change;
    r->files = arena_array(a, c->nfiles + 1, sizeof *r->files);
    if (!r->files)
        return err_set(e, ERR_NOMEM, "cannot apply: out of memory");
    for (size_t i = 0; i < c->nfiles; i++) {
        const struct change_file *f = &c->files[i];
        struct span rest = span_of(f->path), part;
        while (span_split(&rest, '/', &part)) {
            AUTO(ptr) char *name = span_dup(part);
            if (!name || guard_is_git_name(name))
                return err_set(e, ERR_DENIED, "'%s' lies in a .git, which no change may write", f->path);
        }
        if (!f->guard || is_allowed(&opt->guard_ok, f->path))
            continue;
        r->files[r->nfiles++] = (struct apply_file){ f->path, APPLY_GUARDED, f->guard_why };
        r->nguarded++;
    }
    if (!r->nguarded)
        return 0;
    err_set(e, ERR_DENIED, "%zu file%s of change %s need%s explicit approval, the first is '%s': %s", r->nguarded,
            r->nguarded == 1 ? "" : "s", c->id, r->nguarded == 1 ? "s" : "", r->files[0].path, r->files[0].why);
    err_hint(e, "look at it, then add --guard-ok PATH");
    return -ERR_DENIED;
}

static int check_approval(const struct apply_options *opt, struct err *e)
{
    const struct change *c = opt->change;
    if (!opt->approved)
        return err_set(e, ERR_DENIED, "change %s is not approved", c->id);
    if (strcmp(opt->approved, c->hash.s) != 0) {
        err_set(e, ERR_DENIED, "change %s is not what was approved: its content differs", c->id);
        err_hint(e, "review it again");
        return -ERR_DENIED;
    }
    return 0;
}

static int conflict_error(const struct apply_result *r, struct err *e)
{
    const struct apply_file *first = NULL;
    for (size_t i = 0; i < r->nfiles && !first; i++)
        if (r->files[i].outcome == APPLY_CONFLICT)
            first = &r->files[i];
    err_set(e, ERR_CONFLICT, "nothing was written: %zu conflict%s, the first in '%s': %s", r->nconflicts,
            r->nconflicts == 1 ? "" : "s", first ? first->path : "?", first ? first->why : "?");
    err_hint(e, "settle the file in the workspace, or apply to a branch with --branch NAME");
    return -ERR_CONFLICT;
}

static void mark_change(const char *state_dir, const char *change, enum change_status status, const char *apply_id)
{
    struct err gone = ERR_INIT; /* it may never have been saved, or have been discarded */
    if (*change && change_set_status(state_dir, change, status, apply_id, &gone) < 0)
        log_debug("%s", gone.text);
}

/* Carried out: the change and, for a revert, the apply that was taken back learn of it before the plan is closed. */
static int close_done(const struct plan *p, const char *state_dir, struct err *e)
{
    if (*p->reverts) {
        AUTO(arena) struct arena a = ARENA_INIT((size_t)512 << 20);
        AUTO(plan) struct plan was = PLAN_INIT;
        struct err gone = ERR_INIT;
        if (plan_load(&was, state_dir, p->reverts, &a, &gone) == 0)
            mark_change(state_dir, was.change, CHANGE_REVERTED, "");
        if (plan_set_status(state_dir, p->reverts, "reverted", e) < 0)
            return -(int)e->kind;
    } else {
        mark_change(state_dir, p->change, CHANGE_APPLIED, p->id);
    }
    return plan_set_status(state_dir, p->id, "done", e);
}

/* The plan is complete: write it down, carry it out, say so. */
static int commit_and_run(struct plan *p, const char *state_dir, struct apply_result *r, struct err *e)
{
    if (plan_commit(p, state_dir, e) < 0) {
        plan_drop(p, state_dir);
        return -(int)e->kind;
    }
    int rc = plan_complete(p, false, e);
    if (rc == 1) {
        if (close_done(p, state_dir, e) < 0)
            return err_wrap(e, "applied, but");
        memcpy(r->id, p->id, sizeof r->id);
        return 0;
    }
    if (rc == 0) {
        plan_drop(p, state_dir); /* everything is as it was */
        return err_wrap(e, "nothing was written");
    }
    memcpy(r->id, p->id, sizeof r->id);
    err_hint(e, "what was there before is kept in the state directory, apply %s", p->id);
    return -(int)e->kind;
}

static int make_plan(struct planner *pl, const struct change *c)
{
    static const struct change_side none;
    /* deletions first: a file may become a directory */
    for (int puts = 0; puts < 2; puts++)
        for (size_t i = 0; i < c->nfiles; i++) {
            const struct change_file *f = &c->files[i];
            if (f->now.exists != (puts == 1))
                continue;
            struct wish w = { f->path, &f->base, f->now.exists ? &f->now : &none, c->content, NULL, f->base_moved, NULL };
            int rc = f->kind == CHANGE_RENAMED ? plan_rename(pl, f) : plan_wish(pl, &w);
            if (rc < 0)
                return rc;
        }
    return close_plan(pl);
}

/* Nothing was written: what was planned for the others is not told as if it had happened. */
static int only_refused(struct apply_result *r, int rc)
{
    size_t n = 0;
    for (size_t i = 0; rc < 0 && i < r->nfiles; i++)
        if (r->files[i].outcome == APPLY_CONFLICT || r->files[i].outcome == APPLY_GUARDED)
            r->files[n++] = r->files[i];
    if (rc < 0)
        r->nfiles = n;
    return rc;
}

static int change_in(const struct apply_options *opt, struct arena *a, struct apply_result *r, struct err *e)
{
    const struct change *c = opt->change;
    AUTO(plan) struct plan p = PLAN_INIT;
    struct planner pl;
    *r = (struct apply_result){ 0 };
    if (check_approval(opt, e) < 0 || check_guard(opt, a, r, e) < 0)
        return -(int)e->kind;
    if (opt->mode == APPLY_BRANCH)
        return apply_branch(opt, a, r, e);
    struct apply_resumed earlier;
    if (apply_resume(opt->state_dir, c->workspace, &earlier, e) < 0)
        return -(int)e->kind;
    AUTO(fd) int lock = plan_lock(opt->state_dir, c->workspace, true, e);
    if (lock < 0)
        return -(int)e->kind;
    if (plan_begin(&p, opt->state_dir, c->workspace, a, e) < 0 || plan_open_workspace(&p, e) < 0 ||
        planner_init(&pl, &p, a, r, c->nfiles, e) < 0) {
        plan_drop(&p, opt->state_dir);
        return -(int)e->kind;
    }
    pl.c = c;
    pl.ours = "you";
    pl.theirs = "the task";
    memcpy(p.change, c->id, sizeof p.change);
    int rc = make_plan(&pl, c);
    if (rc == 0 && r->nconflicts)
        rc = conflict_error(r, e);
    if (rc < 0 || opt->dry_run || !p.n) {
        plan_drop(&p, opt->state_dir);
        return rc;
    }
    return commit_and_run(&p, opt->state_dir, r, e);
}

int apply_change(const struct apply_options *opt, struct arena *a, struct apply_result *r, struct err *e)
{
    return only_refused(r, change_in(opt, a, r, e));
}

/* --- taking back --- */

static int take_back(const char *state_dir, const char *id, struct arena *a, struct apply_result *r, struct err *e)
{
    char status[16], apply_id[ID_SIZE]; /* a copy: callers pass r->id */
    (void)snprintf(apply_id, sizeof apply_id, "%s", id);
    AUTO(plan) struct plan done = PLAN_INIT;
    AUTO(plan) struct plan p = PLAN_INIT;
    struct planner pl;
    *r = (struct apply_result){ 0 };
    if (plan_load(&done, state_dir, apply_id, a, e) < 0) {
        if (e->sys == ENOENT) {
            err_set(e, ERR_NOT_FOUND, "there is no apply '%s' to take back", apply_id);
            err_hint(e, "applies are kept for 30 days");
        }
        return -(int)e->kind;
    }
    AUTO(fd) int lock = plan_lock(state_dir, done.workspace, true, e);
    if (lock < 0 || plan_status(state_dir, apply_id, status, e) < 0)
        return -(int)e->kind;
    if (strcmp(status, "done") != 0)
        return err_set(e, ERR_INPUT, "apply %s cannot be taken back: it is %s", apply_id,
                       strcmp(status, "running") == 0 ? "not finished" : "taken back already");
    if (plan_begin(&p, state_dir, done.workspace, a, e) < 0 || plan_open_workspace(&p, e) < 0 ||
        planner_init(&pl, &p, a, r, done.n, e) < 0) {
        plan_drop(&p, state_dir);
        return -(int)e->kind;
    }
    pl.ours = "you";
    pl.theirs = "taking back";
    pl.umask = 0; /* what was there comes back as it was */
    memcpy(p.reverts, done.id, sizeof p.reverts);
    int rc = 0;
    for (int puts = 0; puts < 2 && rc == 0; puts++)
        for (size_t i = 0; i < done.n && rc == 0; i++) {
            const struct op *op = &done.ops[i];
            struct wish w = { op->path, &op->now, &op->old, done.content, NULL, false, op };
            if (op->old.exists == (puts == 1))
                rc = plan_wish(&pl, &w);
        }
    if (rc == 0)
        rc = close_plan(&pl);
    if (rc == 0 && r->nconflicts)
        rc = conflict_error(r, e);
    if (rc < 0) {
        plan_drop(&p, state_dir);
        return rc;
    }
    if (p.n) {
        rc = commit_and_run(&p, state_dir, r, e);
        if (rc < 0)
            return rc;
    } else {
        plan_drop(&p, state_dir);
    }
    /* directories that the apply made and that are empty again */
    for (size_t i = done.made.len; i-- > 0;) {
        AUTO(ptr) char *up = span_dup(path_dir(done.made.items[i]));
        AUTO(fd) int fd = up ? path_open_beneath(p.ws_fd, up, O_RDONLY | O_DIRECTORY, 0, PATH_NO_SYMLINKS) : -1;
        if (fd >= 0)
            (void)unlinkat(fd, path_base(done.made.items[i]), AT_REMOVEDIR);
    }
    if (p.n)
        return 0; /* close_done has said so */
    mark_change(state_dir, done.change, CHANGE_REVERTED, "");
    return plan_set_status(state_dir, done.id, "reverted", e);
}

int apply_revert(const char *state_dir, const char *id, struct arena *a, struct apply_result *r, struct err *e)
{
    return only_refused(r, take_back(state_dir, id, a, r, e));
}

/* --- after a kill, and at every start --- */

static void say(struct apply_resumed *out, const char *id, const struct err *e)
{
    size_t n = strlen(out->note), room = sizeof out->note - n;
    if (room > 2 && snprintf(out->note + n, room, "%s%s: %s", n ? "; " : "", id, e->text) >= (int)room)
        out->note[sizeof out->note - 1] = '\0'; /* cut: the first ones tell enough */
}

static int resume_one(const char *state_dir, const char *id, const char *workspace, struct apply_resumed *out,
                      struct err *e)
{
    char status[16];
    AUTO(arena) struct arena a = ARENA_INIT((size_t)512 << 20);
    AUTO(plan) struct plan p = PLAN_INIT;
    struct err why = ERR_INIT;
    if (plan_status(state_dir, id, status, e) < 0)
        return -(int)e->kind;
    if (strcmp(status, "running") != 0) {
        /* old enough to be forgotten? its plan tells when it was made */
        AUTO(ptr) char *dir = NULL;
        struct stat st;
        if (asprintf(&dir, "%s/applies/%s", state_dir, id) < 0)
            dir = NULL;
        if (dir && stat(dir, &st) == 0 && clock_unix_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > KEEP_DONE_MS)
            (void)path_remove_tree(AT_FDCWD, dir, &why);
        return 0;
    }
    if (plan_load(&p, state_dir, id, &a, &why) < 0) {
        if (why.sys != ENOENT) {
            out->unresolved++;
            say(out, id, &why);
            return 0;
        }
        /* no plan yet: being planned by a living stead, or by a killed one */
        AUTO(ptr) char *dir = NULL;
        struct stat st;
        if (asprintf(&dir, "%s/applies/%s", state_dir, id) < 0)
            dir = NULL;
        if (dir && stat(dir, &st) == 0 && clock_unix_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > 600000)
            plan_drop(&p, state_dir);
        return 0;
    }
    if (workspace && strcmp(workspace, p.workspace) != 0)
        return 0;
    AUTO(fd) int lock = plan_lock(state_dir, p.workspace, false, &why);
    if (lock < 0)
        return why.kind == ERR_UNAVAILABLE ? 0 : (*e = why, -(int)e->kind); /* a living stead is at it */
    if (plan_status(state_dir, id, status, e) < 0)
        return -(int)e->kind;
    if (strcmp(status, "running") != 0)
        return 0;
    int rc = plan_open_workspace(&p, &why);
    if (rc < 0 && why.sys == ENOENT)
        return plan_set_status(state_dir, id, "reverted", e); /* the workspace itself is gone */
    if (rc == 0)
        rc = plan_complete(&p, false, &why);
    if (rc == 1) {
        out->completed++;
        return close_done(&p, state_dir, e);
    }
    say(out, id, &why);
    if (rc == 0) {
        out->reverted++;
        return plan_set_status(state_dir, id, "reverted", e);
    }
    out->unresolved++;
    return 0;
}

static int each_apply(const char *state_dir, int (*fn)(void *ctx, const char *id, struct err *e), void *ctx, struct err *e)
{
    AUTO(ptr) char *dir = path_join(state_dir, "applies");
    DIR *d = dir ? opendir(dir) : NULL;
    if (!d)
        return errno == ENOENT ? 0 : err_sys(e, "cannot list applies in '%s'", state_dir);
    struct dirent **names = NULL;
    int n = scandir(dir, &names, NULL, alphasort), rc = 0;
    (void)closedir(d);
    if (n < 0)
        return err_sys(e, "cannot list applies in '%s'", state_dir);
    for (int i = 0; i < n; i++) {
        if (rc == 0 && names[i]->d_name[0] == 'p' && strlen(names[i]->d_name) < ID_SIZE)
            rc = fn(ctx, names[i]->d_name, e);
        free(names[i]);
    }
    free(names);
    return rc;
}

struct resume_ctx {
    const char *state_dir, *workspace;
    struct apply_resumed *out;
};

static int resume_fn(void *ctx, const char *id, struct err *e)
{
    struct resume_ctx *r = ctx;
    return resume_one(r->state_dir, id, r->workspace, r->out, e);
}

int apply_resume(const char *state_dir, const char *workspace, struct apply_resumed *out, struct err *e)
{
    struct resume_ctx ctx = { state_dir, workspace, out };
    *out = (struct apply_resumed){ 0 };
    return each_apply(state_dir, resume_fn, &ctx, e);
}

struct list_ctx {
    const char *state_dir;
    struct arena *a;
    struct apply_info *items;
    size_t n, cap;
};

static int list_fn(void *ctx, const char *id, struct err *e)
{
    struct list_ctx *l = ctx;
    AUTO(arena) struct arena scratch = ARENA_INIT((size_t)512 << 20);
    AUTO(plan) struct plan p = PLAN_INIT;
    struct err ignored = ERR_INIT;
    char status[16];
    if (plan_load(&p, l->state_dir, id, &scratch, &ignored) < 0 || plan_status(l->state_dir, id, status, &ignored) < 0)
        return 0;
    if (!array_grow(&l->items, &l->cap, l->n, 1, sizeof *l->items))
        return err_set(e, ERR_NOMEM, "cannot list applies: out of memory");
    struct apply_info *info = &l->items[l->n++];
    *info = (struct apply_info){ .workspace = arena_strdup(l->a, p.workspace), .status = arena_strdup(l->a, status),
                                 .created_unix_ms = p.created_unix_ms, .nfiles = p.n };
    memcpy(info->id, p.id, sizeof info->id);
    memcpy(info->change, p.change, sizeof info->change);
    return 0;
}

int apply_list(const char *state_dir, struct arena *a, struct apply_info **out, size_t *n, struct err *e)
{
    struct list_ctx l = { .state_dir = state_dir, .a = a };
    *out = NULL;
    *n = 0;
    int rc = each_apply(state_dir, list_fn, &l, e);
    if (rc == 0 && l.n) {
        *out = arena_array(a, l.n, sizeof **out);
        if (*out)
            memcpy(*out, l.items, l.n * sizeof **out);
        else
            rc = err_set(e, ERR_NOMEM, "cannot list applies: out of memory");
        *n = l.n;
    }
    free(l.items);
    return rc;
}
