/*
 * change - what a layer would do to the workspace: files, contents, notes; fixed from the moment it is read.
 *
 *     struct change *c;
 *     change_read(layer, NULL, &c, e);                  // sandbox frozen or gone: see below
 *     for (size_t i = 0; i < c->nfiles; i++) { const struct change_file *f = &c->files[i]; ... }
 *     change_diff(c, NULL, &text, e);                   // unified diff (diff.h has hunks as structs)
 *     change_save(c, state_dir, e);                     // STATE/changes/ID, for review and apply later
 *     change_select(c, &approved, &part, e);            // partial approval: a new change
 *     change_destroy(c);
 *
 * A change is values: every content that it names (new contents, and the base contents that they were made
 * from) was copied when the layer was read, into one content file, and is addressed by SHA-256. Nothing is
 * read from the layer again, so what was shown, verified and approved is what apply writes. `hash` names all of it:
 * paths, kinds, modes, base and new content; approvals are bound to it.
 *
 * The layer is input written by an attacker. Callers stop or freeze the sandbox first; the reader opens with
 * RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS and O_NONBLOCK, includes regular files and symbolic links only, and says
 * in `notes` what it left out and why. Paths are arbitrary bytes without NUL: print them through base/clean.h.
 *
 * Never part of a change: anything named .git at any depth; empty directories; owners, times, xattrs, setuid bits.
 * Left out by default, counted: what the *workspace's* .gitignore files ignore (the layer's are not asked) and
 * well-known caches (ignore.h).
 */
#ifndef STEAD_WORKSPACE_CHANGE_H
#define STEAD_WORKSPACE_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/err.h"
#include "base/hash.h"

struct layer;

enum change_kind { CHANGE_ADDED, CHANGE_MODIFIED, CHANGE_DELETED, CHANGE_RENAMED, CHANGE_MODE, CHANGE_KINDS };
const char *change_kind_name(enum change_kind kind); /* "added", "modified", "deleted", "renamed", "mode" */

/* One side of a file: as it was (base) or as the layer has it (now). */
struct change_side {
    bool exists;
    bool symlink;          /* the content is the link's target */
    bool stored;           /* the content is in the change (false: a deleted or unreadable large base, hash only) */
    bool binary;           /* NUL in the first 8000 bytes, or too large to diff (CHANGE_DIFF_BYTES) */
    unsigned mode;         /* permission bits, & 0777 */
    int64_t size;
    int64_t mtime_ns;      /* base only: for quick detection of edits */
    struct hash_hex hash;  /* of the content; "" when !exists */
    uint64_t offset;       /* in the content file */
};

/* Reasons why a file needs its own explicit approval (bits of `guard`); guard.h has the list. */
enum change_guard {
    GUARD_HOOK = 1 << 0,     /* git hooks and hook managers */
    GUARD_EDITOR = 1 << 1,   /* editor, IDE and debugger configuration that runs commands */
    GUARD_AGENT = 1 << 2,    /* instructions and configuration of coding agents, stead's own included */
    GUARD_CI = 1 << 3,       /* CI pipelines */
    GUARD_ENV = 1 << 4,      /* loaded when a shell or tool enters the directory */
    GUARD_REPO = 1 << 5,     /* would make git see a repository, or changes how it treats this one */
    GUARD_LINK = 1 << 6,     /* a symbolic link that leads out of the workspace */
    GUARD_INSTALL = 1 << 7,  /* package scripts that run at install */
    GUARD_POLICY = 1 << 8,   /* protected by the user's or site's configuration */
};

struct change_file {
    const char *path;      /* relative to the workspace, '/'-separated, safe (path_is_safe_relative) */
    const char *old_path;  /* CHANGE_RENAMED: where it was; else equal to path */
    enum change_kind kind;
    unsigned guard;        /* enum change_guard */
    const char *guard_why; /* for people; "" when guard is 0 */
    bool base_moved;       /* the user changed the base after the task began: the task may not have seen this base */
    int similarity;        /* CHANGE_RENAMED: percent */
    int64_t added, removed; /* lines; -1: not counted yet (change_count), or binary */
    struct change_side base, now;
};

enum change_note_kind {
    NOTE_REFUSED,  /* fifo, socket, device, unreadable, too large, bad name: not part of the change */
    NOTE_GIT,      /* something in .git was written inside; never part of the change */
    NOTE_EXCLUDED, /* ignored: path is a file or a directory (with '/' at the end) */
    NOTE_KINDS
};
const char *change_note_name(enum change_note_kind kind); /* "refused", "git", "excluded" */
struct change_note {
    enum change_note_kind kind;
    const char *path;
    const char *text; /* plain sentence, without the path */
};

enum change_status { CHANGE_DRAFT, CHANGE_VERIFIED, CHANGE_RED, CHANGE_PENDING, CHANGE_APPLIED, CHANGE_REVERTED, CHANGE_STATUSES };
const char *change_status_name(enum change_status s); /* "draft", "verified", "red", "pending", "applied", "reverted" */

struct change {
    char id[ID_SIZE];        /* "c..." */
    char session[ID_SIZE];   /* "" when none */
    char layer[ID_SIZE];     /* "" when it was not read from a layer */
    char parent[ID_SIZE];    /* change_select: the change that it was taken from; else "" */
    const char *workspace;
    const char *task;        /* what was asked for, for lists; may be "" (change_set_task) */
    int64_t created_unix_ms;
    struct hash_hex hash;
    struct change_file *files; /* sorted by path */
    size_t nfiles;
    struct change_note *notes; /* at most CHANGE_NOTES_MAX; sorted by kind, path */
    size_t nnotes;
    int64_t nexcluded;         /* files and whole directories left out as ignored */
    /* change_load only: */
    enum change_status status;
    const char *results_json;  /* {"gates":[...],"findings":[...],...} as given to change_set_results; "{}" */
    const char *apply_id;      /* the apply that carried it in; "" */
    struct arena arena;        /* everything above lives here */
    struct change_content *content;
};

enum {
    CHANGE_NOTES_MAX = 200,
    CHANGE_FILES_MAX = 50000,
    CHANGE_FILE_BYTES = 256 << 20,  /* larger files are refused with a note */
    CHANGE_DIFF_BYTES = 4 << 20,    /* larger files count as binary: nobody reads such a diff, and making it takes seconds */
};
#define CHANGE_TOTAL_BYTES ((int64_t)4 << 30)

struct change_options {
    bool include_ignored;          /* take ignored files in too */
    struct strings protected_paths; /* policy: gitignore patterns that get GUARD_POLICY */
};

/* Read the layer's change. Caller owns *out. An untouched layer gives nfiles 0. */
int change_read(struct layer *l, const struct change_options *opt, struct change **out, struct err *e) WARN_UNUSED;
void change_destroy(struct change *c);
static inline void change_auto(struct change **c)
{
    change_destroy(*c);
}

/* The content of one side; valid as long as the change. ERR_NOT_FOUND when !exists or !stored. */
int change_data(const struct change *c, const struct change_side *side, struct span *out, struct err *e) WARN_UNUSED;
/* The file that has this path (or, for a rename, this old path), or NULL. */
const struct change_file *change_find(const struct change *c, const char *path);
/* Set `task` (cut to a line of 200 bytes). */
int change_set_task(struct change *c, const char *text, struct err *e);

/* STATE/changes/ID: durable when it returns. Saving again replaces the description, not the content. */
int change_save(struct change *c, const char *state_dir, struct err *e) WARN_UNUSED;
/* `id` may be an unambiguous prefix of at least 4 characters. The content is checked against its hashes when used. */
int change_load(const char *state_dir, const char *id, struct change **out, struct err *e) WARN_UNUSED;
int change_discard(const char *state_dir, const char *id, struct err *e) WARN_UNUSED;
int change_set_status(const char *state_dir, const char *id, enum change_status status, const char *apply_id,
                      struct err *e) WARN_UNUSED;
/* Keep gate and finding results beside the change; `json` is an object. */
int change_set_results(const char *state_dir, const char *id, struct span json, struct err *e) WARN_UNUSED;

struct change_info {
    char id[ID_SIZE], session[ID_SIZE], layer[ID_SIZE];
    const char *workspace, *task;
    int64_t created_unix_ms;
    enum change_status status;
    size_t nfiles;
};
/* Saved changes, newest first; workspace NULL: of all. */
int change_list(const char *state_dir, const char *workspace, struct arena *a, struct change_info **out, size_t *n,
                struct err *e) WARN_UNUSED;

/* CONTRACT `change list|show`: id, session, status, files (path, kind, added, removed, ...), gates, findings. */
bool change_json(const struct change *c, struct buf *out);

#endif
