/*
 * apply - carries an approved change into the workspace: all of it or nothing, whatever is killed when.
 *
 *     struct apply_options opt = { .state_dir = s, .change = c, .approved = shown_hash, .guard_ok = ok };
 *     struct apply_result r;
 *     rc = apply_change(&opt, &arena, &r, e);
 *     // 0: done, r.id names it for apply_revert.  -ERR_CONFLICT: nothing was written, r.files says which and why.
 *     // -ERR_DENIED: guarded files need their own approval (r.files), or the hash is not the approved one.
 *     apply_resume(state_dir, &n, e);      // at every start: finish or take back what was killed half way
 *     apply_revert(state_dir, id, &arena, &r, e);
 *
 * Each file is compared with the base that the change was made from. Where the user changed it meanwhile a clean
 * three-way merge is taken, else it is a conflict. Before the first write, the plan with all old and new contents is
 * on disk in STATE/applies/ID (synced); each write is a temporary file in the same directory, reached through
 * descriptors that never follow a symbolic link, synced and exchanged with the old one, which is compared once
 * more before it goes. A user's edit that slips into that moment stops the apply and takes back what was done.
 *
 * The change's status (change_set_status) becomes applied or reverted as part of it, where the change was saved.
 *
 * New files get the owner of their directory, mode & 0777 & ~umask; existing files keep owner and group, and take
 * the change's mode. With APPLY_BRANCH the working tree is not touched: the change, merged onto HEAD, becomes a commit on a
 * new branch, written by libgit2 (no program runs).
 */
#ifndef STEAD_WORKSPACE_APPLY_H
#define STEAD_WORKSPACE_APPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/err.h"
#include "base/hash.h"
#include "workspace/change.h"

enum apply_mode { APPLY_TREE, APPLY_BRANCH };

struct apply_options {
    const char *state_dir;
    const struct change *change;
    const char *approved;      /* the change's hash as it was approved; NULL is refused */
    struct strings guard_ok;   /* paths of guarded files that were approved as such; "*": all */
    enum apply_mode mode;
    const char *branch;        /* APPLY_BRANCH: name of the new branch */
    const char *message;       /* APPLY_BRANCH: commit message; NULL: made from the task */
    struct strings trailers;   /* "Key: value" lines for the commit message */
    bool dry_run;              /* plan only: r says what would happen */
};

enum apply_outcome {
    APPLY_DONE,     /* written as approved */
    APPLY_MERGED,   /* merged with the user's own edit */
    APPLY_ALREADY,  /* the workspace has it already */
    APPLY_CONFLICT, /* `why` names both sides */
    APPLY_GUARDED,  /* needs its path in guard_ok */
};
const char *apply_outcome_name(enum apply_outcome o); /* "applied", "merged", "already", "conflict", "guarded" */

struct apply_file {
    const char *path;
    enum apply_outcome outcome;
    const char *why; /* "" unless conflict or guarded */
};

struct apply_result {
    char id[ID_SIZE];     /* "p..."; "" when nothing was written */
    char commit[65];      /* APPLY_BRANCH */
    struct apply_file *files; /* where it failed: only those that conflict or are guarded */
    size_t nfiles, nconflicts, nguarded;
};

int apply_change(const struct apply_options *opt, struct arena *a, struct apply_result *r, struct err *e) WARN_UNUSED;

/* Take an applied change back (APPLY_TREE): the same promises, later edits of the user are merged or conflict. */
int apply_revert(const char *state_dir, const char *apply_id, struct arena *a, struct apply_result *r,
                 struct err *e) WARN_UNUSED;

struct apply_resumed {
    size_t completed;  /* applies that were finished now */
    size_t reverted;   /* applies that could not be finished and were taken back */
    size_t unresolved; /* neither: files were changed in between; named in `note` */
    char note[400];
};
/* Finish what was interrupted, for all workspaces or (workspace != NULL) one. Cheap when there is nothing. */
int apply_resume(const char *state_dir, const char *workspace, struct apply_resumed *out, struct err *e) WARN_UNUSED;

struct apply_info {
    char id[ID_SIZE], change[ID_SIZE];
    const char *workspace;
    const char *status; /* "running", "done", "reverted" */
    int64_t created_unix_ms;
    size_t nfiles;
};
int apply_list(const char *state_dir, struct arena *a, struct apply_info **out, size_t *n, struct err *e) WARN_UNUSED;

#endif
