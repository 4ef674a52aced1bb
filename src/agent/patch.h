/*
 * patch - the `apply_patch` envelope that some models were trained on.
 *
 *     *** Begin Patch
 *     *** Update File: src/a.c
 *     *** Move to: src/b.c              (optional)
 *     @@ int main(void)                 (optional: where to look)
 *      context
 *     -old line
 *     +new line
 *     *** Add File: notes.txt
 *     +first line
 *     *** Delete File: old.c
 *     *** End Patch
 *
 *     struct patch p;
 *     patch_parse(text, &arena, &p, e);                       // "line 7: ..."
 *     patch_update(&p.files[0], old_text, &new_text, &m, e);  // pure: caller reads and writes
 *
 * Context and removed lines must be in the file as they are; `m` has the nearest text when not. Hunks
 * apply in order, each behind the one before. Where a hunk could stand in several places its @@ line
 * decides; without one it is refused.
 */
#ifndef STEAD_AGENT_PATCH_H
#define STEAD_AGENT_PATCH_H

#include "agent/match.h"
#include "base/arena.h"
#include "base/buf.h"

enum patch_op { PATCH_ADD, PATCH_UPDATE, PATCH_DELETE };

struct patch_hunk {
    struct span where; /* text of the @@ line; may be empty */
    struct span old;   /* context and removed lines, each with \n */
    struct span new;   /* context and added lines */
    bool at_end;       /* *** End of File */
};

struct patch_file {
    enum patch_op op;
    const char *path;
    const char *move_to; /* NULL: stays */
    struct span content; /* PATCH_ADD */
    struct patch_hunk *hunks;
    size_t nhunks;
    size_t line, to;     /* out of patch_update: lines changed, in the new text */
};

enum { PATCH_FILES_MAX = 200, PATCH_HUNKS_MAX = 500 };

struct patch {
    struct patch_file *files;
    size_t nfiles;
};

int patch_parse(struct span text, struct arena *a, struct patch *out, struct err *e) WARN_UNUSED;
/* -ERR_NOT_FOUND or -ERR_CONFLICT with *miss filled when a hunk has no, or no single, place. */
int patch_update(struct patch_file *f, struct span text, struct buf *out, struct match *miss, struct err *e) WARN_UNUSED;

#endif
