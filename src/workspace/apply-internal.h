/*
 * apply-internal - the plan of an apply and its execution. Private to workspace/.
 *
 * STATE/applies/ID/
 *   content      old and new bytes of every file (content.h), synced before plan.json
 *   plan.json    what to do: its appearance is the point from which the apply will be completed or taken back
 *   status.json  {"status": "done" | "reverted"}: its appearance is the end
 * STATE/applies/lock-HASH is locked while an apply or resume of one workspace runs.
 *
 * An op carries one path from one side to another. It can be run again from any point at which it was killed, in
 * either direction: what is there decides, by content. apply-run.c has the states.
 */
#ifndef STEAD_WORKSPACE_APPLY_INTERNAL_H
#define STEAD_WORKSPACE_APPLY_INTERNAL_H

#include "workspace/apply.h"

struct change_content;

struct op {
    const char *path;
    struct change_side old, now; /* .mode: as in the workspace, final */
    int64_t uid, gid;            /* owner that the path has after either direction; -1: its directory's */
    bool staged;                 /* its temporary file is complete (this process only) */
};

struct plan {
    char id[ID_SIZE];
    char change[ID_SIZE];  /* "" for a revert */
    char reverts[ID_SIZE]; /* the apply that it takes back, or "" */
    const char *workspace;
    int64_t created_unix_ms;
    struct op *ops;        /* deletions first */
    size_t n;
    struct strings made;   /* directories that did not exist before, outermost first */
    struct change_content *content;
    int dir_fd;            /* STATE/applies/ID */
    int ws_fd;             /* the workspace, once opened */
};

#define PLAN_INIT { .dir_fd = -1, .ws_fd = -1 }
void plan_finish(struct plan *p);
static inline void plan_auto(struct plan *p)
{
    plan_finish(p);
}

/* Make the directory and an empty content; plan_commit writes the plan, synced. plan_drop removes all of it. */
int plan_begin(struct plan *p, const char *state_dir, const char *workspace, struct arena *a, struct err *e) WARN_UNUSED;
int plan_commit(struct plan *p, const char *state_dir, struct err *e) WARN_UNUSED;
void plan_drop(struct plan *p, const char *state_dir);
int plan_load(struct plan *p, const char *state_dir, const char *id, struct arena *a, struct err *e) WARN_UNUSED;
/* "running", "done", "reverted". */
int plan_status(const char *state_dir, const char *id, char out[16], struct err *e) WARN_UNUSED;
int plan_set_status(const char *state_dir, const char *id, const char *status, struct err *e) WARN_UNUSED;
int plan_open_workspace(struct plan *p, struct err *e) WARN_UNUSED;
/* Lock one workspace's applies: descriptor, or negative (ERR_UNAVAILABLE when it is locked and !wait). */
int plan_lock(const char *state_dir, const char *workspace, bool wait, struct err *e) WARN_UNUSED;

/* Carry all ops out (backward: take them back). -ERR_CONFLICT: *at is the op; ops before it (behind it) are done. */
int plan_run(struct plan *p, bool backward, size_t *at, struct err *e) WARN_UNUSED;
/* Run; when that cannot be done, the other way. 1 done as asked, 0 the other way (e: why), negative: neither. */
int plan_complete(struct plan *p, bool backward, struct err *e) WARN_UNUSED;

/* Whether a directory of the workspace holds no file at any depth: a file may take its place. */
bool dir_is_hollow(int ws_fd, const char *path);

/* Same content and type; modes are not compared. */
bool side_same(const struct change_side *a, const struct change_side *b);

/* apply-branch.c */
int apply_branch(const struct apply_options *opt, struct arena *a, struct apply_result *r, struct err *e) WARN_UNUSED;

#endif
