/*
 * layer - the private overlay that one task writes to, with a checkpoint per step.
 *
 *     struct layer *l;
 *     struct layer_options opt = { .session = session_id };
 *     if (layer_create(workspace, state_dir, &opt, &l, e) < 0) return err_wrap(e, "preparing the workspace");
 *     layer_overlay(l, &spec.overlay);              // hand it to sandbox_start
 *     ... a step runs in the sandbox ...
 *     layer_checkpoint(l, sandbox, step, &arena, &files, e);   // files written since the last one
 *     layer_undo(l, sandbox, step - 3, e);          // drop what came after that step
 *     change_read(l, NULL, &change, e);             // what the layer would do to the workspace
 *     layer_discard(l, e);                          // from disk too; layer_destroy only closes
 *
 * On disk, STATE/layers/ID/ holds layer.json and numbered upper directories u0, u1, ... with their
 * overlay work directories w0, w1, ... The highest one is written, those below are read-only lowers:
 * a checkpoint starts a new upper, undo removes upper directories. Nothing here walks the workspace
 * (except LAYER_COPY): every operation costs what was changed, not what is there.
 *
 * Where upper directories lie: below the state directory when its file system can carry them (inside containers it
 * often cannot), else below $XDG_RUNTIME_DIR, /var/tmp or /dev/shm; else on a tmpfs that the sandbox mounts (its root
 * comes back as a descriptor: layer_adopt(l, sandbox_tmpfs(sb), e)); else, as an announced fallback, the layer is a
 * copy of the workspace (reflinked where possible), without checkpoints. layer_note says so.
 * The content of an upper directory is written by an attacker: only change.c reads it, as hostile input.
 *
 * One process at a time has a layer open for writing (a lock in its directory); not thread-safe.
 * Overlay formats: kernel Documentation/filesystems/overlayfs.rst, docs/design/workspace.md.
 */
#ifndef STEAD_WORKSPACE_LAYER_H
#define STEAD_WORKSPACE_LAYER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/err.h"
#include "base/hash.h"

struct layer;
struct sandbox;
struct sandbox_overlay;

enum layer_kind {
    LAYER_AUTO,  /* the first of the following that works here */
    LAYER_DISK,  /* upper directories under the state directory */
    LAYER_TMPFS, /* upper directories on a tmpfs inside the sandbox; gone when stead ends */
    LAYER_COPY,  /* no overlay: a copy of the workspace, bound read-write; no checkpoints */
};

struct layer_options {
    enum layer_kind kind;
    const char *session; /* recorded, may be NULL */
};

#define LAYER_MAX_UPPERS 400 /* overlayfs takes 500 lowers; later steps share the last checkpoint */

int layer_create(const char *workspace, const char *state_dir, const struct layer_options *opt, struct layer **out,
                 struct err *e) WARN_UNUSED;
/* Reopen after a crash or in another command. ERR_NOT_FOUND; ERR_UNAVAILABLE when another process has it open. */
int layer_open(const char *state_dir, const char *id, struct layer **out, struct err *e) WARN_UNUSED;
/*
 * A new layer with the files that layer `id` had after `to_step` (checkpoints up to it; what was written since the
 * last one is left out). The layer it was made from must not be in use. ERR_UNSUPPORTED for kinds other than LAYER_DISK.
 */
int layer_fork(const char *state_dir, const char *id, int to_step, const char *session, struct layer **out,
               struct err *e) WARN_UNUSED;
/* Close; what is on disk stays for layer_open. */
void layer_destroy(struct layer *l);
static inline void layer_auto(struct layer **l)
{
    layer_destroy(*l);
}
/* Remove it from disk with everything in it. The object stays to be destroyed and can do nothing else. */
int layer_discard(struct layer *l, struct err *e) WARN_UNUSED;

const char *layer_id(const struct layer *l); /* "l..." */
const char *layer_session(const struct layer *l); /* "" when none */
const char *layer_workspace(const struct layer *l);
enum layer_kind layer_kind(const struct layer *l);
const char *layer_note(const struct layer *l); /* what is not as it usually is, for people; "" when all is */
int64_t layer_created_unix_ms(const struct layer *l);
int layer_step(const struct layer *l); /* the last checkpoint's step, 0 before any */

/*
 * The workspace's file system cannot be a lower layer (sandbox_start: ERR_UNSUPPORTED): copy it (by reflink where possible) beside the
 * upper directories, once. The overlay then lies on the copy (sandbox_spec.base), and the copy is what changes are compared with.
 */
int layer_copy_base(struct layer *l, struct err *e) WARN_UNUSED;
const char *layer_base(const struct layer *l); /* that copy, or NULL */

/* What to mount. Strings and arrays belong to the layer, until the next checkpoint or undo. */
void layer_overlay(const struct layer *l, struct sandbox_overlay *out);
/* LAYER_TMPFS: the root of the sandbox's tmpfs, in which it made u0; the layer owns the descriptor. */
int layer_adopt(struct layer *l, int tmpfs_root_fd, struct err *e) WARN_UNUSED;

/*
 * End the current upper directory as the state after `step` and start the next one; `sandbox` (NULL: none
 * runs) swaps to it. When nothing was written no checkpoint is made and files is empty: returns 0.
 * Otherwise 1, with the paths touched since the last checkpoint, from the arena, sorted; ignored paths and .git are
 * left out, long lists are cut at 1000.
 */
int layer_checkpoint(struct layer *l, struct sandbox *sandbox, int step, struct arena *a, struct strings *files,
                     struct err *e) WARN_UNUSED;
/* Back to the state after `to_step` (0: the untouched workspace). ERR_INPUT for a step that is still to come. */
int layer_undo(struct layer *l, struct sandbox *sandbox, int to_step, struct err *e) WARN_UNUSED;
/* The steps that have a checkpoint, ascending. */
size_t layer_steps(const struct layer *l, const int **steps);

/* Bytes and files that the upper directories hold: for a disk-limit watcher. Costs a walk of them. */
int layer_usage(const struct layer *l, int64_t *bytes, int64_t *inodes, struct err *e) WARN_UNUSED;

/*
 * A view for gates: what the layer holds now (base_only: the untouched workspace), as read-only lowers under a fresh,
 * throw-away upper of its own in the layer's directory; for a second sandbox while the first is paused, idle or gone.
 * Strings come from the arena. layer_view_end removes what was written to it (after its sandbox's end).
 * ERR_UNSUPPORTED for LAYER_TMPFS and LAYER_COPY.
 */
int layer_view(struct layer *l, bool base_only, struct arena *a, struct sandbox_overlay *out, struct err *e) WARN_UNUSED;
void layer_view_end(struct layer *l, const struct sandbox_overlay *view);

/* Layers on disk, oldest first. */
struct layer_info {
    char id[ID_SIZE];
    char session[ID_SIZE];
    const char *workspace;
    int64_t created_unix_ms;
    int step;
    bool in_use; /* another process has it open */
};
int layer_list(const char *state_dir, struct arena *a, struct layer_info **out, size_t *n, struct err *e) WARN_UNUSED;

/*
 * Remove what killed runs left and nobody can go on with: layers without a session, in memory, or half made. Those of
 * sessions stay for resume. Called at start; cheap when there is nothing.
 */
int layer_sweep(const char *state_dir, struct err *e);

/* Whether upper directories can lie below `dir`: 1 yes, 0 no with the reason in `why`. */
int layer_disk_supported(const char *dir, char why[160]);

#endif
