#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "workspace/apply-internal.h"
#include "workspace/content.h"
#include "workspace/diff.h"
#include "workspace/gitlib-internal.h"

#define MESSAGE_BYTES ((size_t)64 << 10)

struct brancher {
    const struct apply_options *opt;
    const struct git_api *g;
    struct gitrepo *repo;
    git_index *index; /* in memory: HEAD's tree with the change in it */
    struct arena *a;
    struct apply_result *r;
    struct err *e;
};

/*
 * Objects that root writes into a user's repository would lock the user out of it: as root, everything here is done
 * with the effective ids of the workspace's owner, and with the owner's git configuration (name, address).
 */
struct identity {
    const struct git_api *g;
    uid_t uid;
    gid_t gid;
    bool changed;
};

static void identity_auto(struct identity *id)
{
    if (!id->changed)
        return;
    if (seteuid(id->uid) < 0 || setegid(id->gid) < 0)
        abort(); /* going on as somebody else is worse */
    (void)id->g->git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, NULL);
    (void)id->g->git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, NULL);
}

static int become_owner(const char *workspace, struct identity *id, struct err *e)
{
    struct stat st;
    struct passwd pw, *found = NULL;
    char text[4096], xdg[PATH_MAX];
    *id = (struct identity){ gitlib(e), geteuid(), getegid(), false };
    if (!id->g)
        return -(int)e->kind;
    if (stat(workspace, &st) < 0)
        return err_sys(e, "cannot look at '%s'", workspace);
    if (id->uid != 0 || st.st_uid == 0)
        return 0;
    const char *home = getpwuid_r(st.st_uid, &pw, text, sizeof text, &found) == 0 && found ? pw.pw_dir : "/nonexistent";
    (void)snprintf(xdg, sizeof xdg, "%s/.config/git", home);
    (void)id->g->git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_GLOBAL, home);
    (void)id->g->git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, xdg);
    id->changed = true;
    if (setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0)
        return err_sys(e, "cannot write to the repository as its owner");
    return 0;
}

static void outcome(struct brancher *b, const char *path, enum apply_outcome o, const char *why)
{
    b->r->files[b->r->nfiles++] = (struct apply_file){ path, o, why };
    b->r->nconflicts += o == APPLY_CONFLICT;
}

static int put(struct brancher *b, const char *path, struct span data, const struct change_side *side, unsigned old_mode)
{
    git_index_entry entry = { 0 };
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s", b->repo->prefix, path) < 0) {
        full = NULL;
        return err_set(b->e, ERR_NOMEM, "cannot write '%s': out of memory", path);
    }
    entry.mode = side->symlink             ? GIT_FILEMODE_LINK
                 : old_mode                ? old_mode
                 : side->mode & 0100       ? GIT_FILEMODE_BLOB_EXECUTABLE
                                           : GIT_FILEMODE_BLOB;
    entry.path = full;
    if (b->g->git_blob_create_from_buffer(&entry.id, b->repo->repo, data.p, data.n) < 0 ||
        b->g->git_index_add(b->index, &entry) < 0)
        return gitlib_fail(b->g, b->e, "cannot write '%s' to the repository", path);
    return 0;
}

static int drop(struct brancher *b, const char *path)
{
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s", b->repo->prefix, path) < 0) {
        full = NULL;
        return err_set(b->e, ERR_NOMEM, "cannot delete '%s': out of memory", path);
    }
    return b->g->git_index_remove(b->index, full, 0) < 0 ? gitlib_fail(b->g, b->e, "cannot delete '%s'", path) : 0;
}

/* Why a path is none of this repository's business, or is stored in a form that we do not make: NULL, it is and can be. */
static const char *not_ours(struct brancher *b, const char *path, bool link)
{
    const char *filter = link ? NULL : gitrepo_filter(b->repo, path);
    if (filter)
        return arena_printf(b->a, "its attributes name the filter '%.60s', a program that git would run and stead does not", filter);
    AUTO(ptr) char *full = NULL;
    if (asprintf(&full, "%s%s", b->repo->prefix, path) < 0) {
        full = NULL;
        return "out of memory";
    }
    const char *within = full + strlen(b->repo->prefix);
    for (char *slash = strchr(full, '/'); slash; slash = strchr(slash + 1, '/')) {
        AUTO(ptr) char *git = NULL;
        struct stat st;
        *slash = '\0';
        const git_index_entry *entry = b->g->git_index_get_bypath(b->index, full, 0);
        bool other = entry && entry->mode == GIT_FILEMODE_COMMIT;
        if (!other && slash > within)
            other = asprintf(&git, "%s/%s/.git", b->opt->change->workspace, within) < 0 || lstat(git, &st) == 0;
        if (other)
            return arena_printf(b->a, "it lies in '%.200s', which is a repository of its own", full);
        *slash = '/';
    }
    return NULL;
}

/* Content of a side in the form that the repository stores; a link's as it is. */
static int stored(struct brancher *b, const struct change_file *f, const struct change_side *side, struct buf *out)
{
    struct span data;
    if (change_data(b->opt->change, side, &data, b->e) < 0)
        return err_wrap(b->e, "'%s'", f->path);
    if (strcmp(hash_bytes(data.p, data.n).s, side->hash.s) != 0)
        return err_set(b->e, ERR_IO, "'%s': the kept content does not match its hash", f->path);
    if (!side->symlink)
        return gitrepo_filtered(b->repo, side == &f->base ? f->old_path : f->path, GITREPO_STORED, data, out, b->e);
    (void)buf_add_span(out, data);
    return buf_check(out, b->e);
}

/* The file as HEAD has it, with the change laid over it. All contents are compared as the repository stores them. */
static int lay(struct brancher *b, const struct change_file *f)
{
    AUTO(buf) struct buf head = BUF_INIT((size_t)CHANGE_FILE_BYTES), merged = BUF_INIT((size_t)CHANGE_DIFF_BYTES * 4);
    AUTO(buf) struct buf base = BUF_INIT((size_t)CHANGE_FILE_BYTES), now = BUF_INIT((size_t)CHANGE_FILE_BYTES);
    unsigned head_mode = 0;
    const char *source = f->base.exists ? f->old_path : f->path;
    bool link = (!f->base.exists || f->base.symlink) && (!f->now.exists || f->now.symlink);
    const char *why = not_ours(b, f->path, link);
    if (!why && f->kind == CHANGE_RENAMED)
        why = not_ours(b, f->old_path, link);
    if (why) {
        outcome(b, f->path, APPLY_CONFLICT, why);
        return 0;
    }
    int there = gitrepo_head_blob(b->repo, source, &head, &head_mode, b->e);
    if (there < 0)
        return there;
    if (f->base.exists && !there) {
        outcome(b, f->path, APPLY_CONFLICT, "HEAD does not have the file that the task changed: it is not committed");
        return 0;
    }
    if (f->base_moved) {
        outcome(b, f->path, APPLY_CONFLICT, "it was changed after the task began, and the version that the task started from is not known");
        return 0;
    }
    bool same = f->base.exists && strcmp(hash_bytes(buf_str(&head), head.n).s, f->base.hash.s) == 0;
    if (f->base.exists && f->base.stored) {
        if (stored(b, f, &f->base, &base) < 0)
            return -(int)b->e->kind;
        same |= span_eq(buf_span(&base), buf_span(&head));
    }
    if (!f->now.exists) {
        if (!same) {
            outcome(b, f->path, APPLY_CONFLICT, "HEAD has another version than the one that the task deleted");
            return 0;
        }
        outcome(b, f->path, APPLY_DONE, "");
        return drop(b, f->path);
    }
    if (stored(b, f, &f->now, &now) < 0)
        return -(int)b->e->kind;
    struct span content = buf_span(&now);
    enum apply_outcome done = APPLY_DONE;
    if (!f->base.exists && there) {
        if (!span_eq(buf_span(&head), content)) {
            outcome(b, f->path, APPLY_CONFLICT, "HEAD has a file of this name already");
            return 0;
        }
        done = APPLY_ALREADY;
    } else if (f->base.exists && !same && strcmp(f->base.hash.s, f->now.hash.s) == 0) {
        content = buf_span(&head); /* name or mode alone changes */
        done = APPLY_MERGED;
    } else if (f->base.exists && !same) {
        bool text = f->base.stored && !f->base.binary && !f->now.binary && !f->now.symlink && !f->base.symlink &&
                    !content_is_binary(buf_span(&head));
        int rc = text ? merge_text(buf_span(&base), buf_span(&head), content, "HEAD", "the task", &merged, b->e) : 0;
        if (rc < 0)
            return err_wrap(b->e, "'%s'", f->path);
        if (rc == 0) {
            outcome(b, f->path, APPLY_CONFLICT, "HEAD and the task have different versions of the same lines");
            return 0;
        }
        content = buf_span(&merged);
        done = APPLY_MERGED;
    }
    outcome(b, f->path, done, "");
    if (f->kind == CHANGE_RENAMED && drop(b, f->old_path) < 0)
        return -(int)b->e->kind;
    bool keep_mode = f->base.exists && !f->base.symlink && !f->now.symlink && (f->base.mode & 0100) == (f->now.mode & 0100);
    return put(b, f->path, content, &f->now, keep_mode ? head_mode : 0);
}

static void add_line(struct buf *out, const char *text)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p >= 0x20 && *p != 0x7f)
            buf_addc(out, *p);
    buf_addc(out, '\n');
}

static int make_message(const struct apply_options *opt, struct buf *out, struct err *e)
{
    const struct change *c = opt->change;
    if (opt->message && *opt->message) {
        struct span text = span_trim(span_of(opt->message));
        buf_add_span(out, text);
        buf_addc(out, '\n');
    } else if (*c->task) {
        add_line(out, c->task);
    } else {
        buf_addf(out, "Change %s\n", c->id);
    }
    for (size_t i = 0; i < opt->trailers.len; i++) {
        if (i == 0)
            buf_addc(out, '\n');
        add_line(out, opt->trailers.items[i]);
    }
    return buf_check(out, e);
}

/* HEAD's commit, or none on a branch without commits. */
static int read_head(struct brancher *b, git_commit **commit)
{
    git_reference *ref = NULL;
    git_object *object = NULL;
    git_tree *tree = NULL;
    *commit = NULL;
    int rc = b->g->git_repository_head(&ref, b->repo->repo);
    if (rc == GIT_EUNBORNBRANCH || rc == GIT_ENOTFOUND)
        return 0;
    if (rc == 0)
        rc = b->g->git_reference_peel(&object, ref, GIT_OBJECT_COMMIT);
    if (ref)
        b->g->git_reference_free(ref);
    *commit = (git_commit *)object;
    if (rc == 0)
        rc = b->g->git_commit_tree(&tree, *commit);
    if (rc == 0)
        rc = b->g->git_index_read_tree(b->index, tree);
    if (tree)
        b->g->git_tree_free(tree);
    return rc < 0 ? gitlib_fail(b->g, b->e, "cannot read HEAD") : 0;
}

static int write_commit(struct brancher *b, git_commit *parent, const char *refname)
{
    const struct git_api *g = b->g;
    AUTO(buf) struct buf message = BUF_INIT(MESSAGE_BYTES);
    git_oid tree_id, id;
    git_tree *tree = NULL;
    git_signature *who = NULL;
    git_reference *ref = NULL;
    if (make_message(b->opt, &message, b->e) < 0)
        return -(int)b->e->kind;
    if (g->git_signature_default(&who, b->repo->repo) < 0) {
        gitlib_fail(g, b->e, "cannot make a commit");
        err_hint(b->e, "set your name with git config user.name and user.email");
        return -(int)b->e->kind;
    }
    const git_commit *parents[] = { parent };
    int rc = g->git_index_write_tree_to(&tree_id, b->index, b->repo->repo);
    if (rc == 0)
        rc = g->git_tree_lookup(&tree, b->repo->repo, &tree_id);
    if (rc == 0)
        rc = g->git_commit_create(&id, b->repo->repo, NULL, who, who, NULL, buf_str(&message), tree, parent ? 1 : 0,
                                  parents);
    if (rc == 0) /* the last step: until here nothing refers to what was written */
        rc = g->git_reference_create(&ref, b->repo->repo, refname, &id, 0, "stead: apply a change");
    if (rc < 0)
        gitlib_fail(g, b->e, "cannot make the branch '%s'", b->opt->branch);
    else
        (void)g->git_oid_tostr(b->r->commit, sizeof b->r->commit, &id);
    if (ref)
        g->git_reference_free(ref);
    if (tree)
        g->git_tree_free(tree);
    g->git_signature_free(who);
    return rc < 0 ? -(int)b->e->kind : 0;
}

static int run(struct brancher *b, const char *refname)
{
    const struct change *c = b->opt->change;
    git_commit *head = NULL;
    int rc = read_head(b, &head);
    /* deletions first: a file may become a directory */
    for (int puts = 0; puts < 2; puts++)
        for (size_t i = 0; rc == 0 && i < c->nfiles; i++)
            if (c->files[i].now.exists == (puts == 1))
                rc = lay(b, &c->files[i]);
    if (rc == 0 && b->r->nconflicts) {
        const struct apply_file *first = b->r->files;
        while (first->outcome != APPLY_CONFLICT)
            first++;
        rc = err_set(b->e, ERR_CONFLICT, "no branch was made: %zu conflict%s, the first in '%s': %s", b->r->nconflicts,
                     b->r->nconflicts == 1 ? "" : "s", first->path, first->why);
    }
    if (rc == 0 && !b->opt->dry_run)
        rc = write_commit(b, head, refname);
    if (head)
        b->g->git_commit_free(head);
    return rc;
}

int apply_branch(const struct apply_options *opt, struct arena *a, struct apply_result *r, struct err *e)
{
    AUTO(identity) struct identity id = { 0 };
    AUTO(gitrepo) struct gitrepo *repo = NULL;
    AUTO(ptr) char *refname = NULL;
    git_reference *ref = NULL;
    if (become_owner(opt->change->workspace, &id, e) < 0)
        return -(int)e->kind;
    int found = gitrepo_open(opt->change->workspace, &repo, e);
    if (found < 0) {
        err_hint(e, "libgit2 cannot read this repository (SHA-256 repositories are such): apply to the working tree instead");
        return found;
    }
    if (!found) {
        err_set(e, ERR_INPUT, "cannot make a branch: '%s' is not in a git repository", opt->change->workspace);
        err_hint(e, "apply to the working tree instead");
        return -ERR_INPUT;
    }
    if (!opt->branch || asprintf(&refname, "refs/heads/%s", opt->branch) < 0) {
        refname = NULL;
        return err_set(e, ERR_INPUT, "cannot make a branch: it has no name");
    }
    if (opt->branch[0] == '-' || !repo->g->git_reference_is_valid_name(refname))
        return err_set(e, ERR_INPUT, "'%s' is not a name for a branch", opt->branch);
    if (repo->g->git_reference_lookup(&ref, repo->repo, refname) == 0) {
        repo->g->git_reference_free(ref);
        return err_set(e, ERR_EXISTS, "the branch '%s' exists already", opt->branch);
    }
    if (gitrepo_is_current(repo, refname)) { /* without a commit so far: its index would seem to delete everything */
        err_set(e, ERR_EXISTS, "'%s' is the branch that you are on, although it has no commit yet", opt->branch);
        err_hint(e, "name another one, or apply to the working tree");
        return -ERR_EXISTS;
    }
    struct brancher b = { .opt = opt, .g = repo->g, .repo = repo, .a = a, .r = r, .e = e };
    *r = (struct apply_result){ .files = arena_array(a, opt->change->nfiles + 1, sizeof *r->files) };
    if (!r->files)
        return err_set(e, ERR_NOMEM, "cannot make a branch: out of memory");
    if (repo->g->git_index_new(&b.index) < 0)
        return gitlib_fail(repo->g, e, "cannot make a branch");
    int rc = run(&b, refname);
    repo->g->git_index_free(b.index);
    return rc;
}
