/*
 * diff - hunks of a change as structs, unified diff text, partial approval, three-way merge (libgit2's xdiff).
 *
 *     struct diff_file d;
 *     diff_file(change, &change->files[i], &arena, &d, e);
 *     for each d.hunks[k]: id, kind, lines
 *     const char *ids[] = { d.hunks[0].id };
 *     change_select(change, &(struct strings){ ids, 1 }, &part, e);
 *
 * Everything that can be approved on its own is a hunk: a run of changed text lines, a whole file (added or deleted
 * binary, symbolic link, ...), a change of mode, a rename. Every changed file has at least one. A hunk's id is
 * bound to its content (path, base hash, position, lines): the same id never means other bytes.
 *
 * libgit2 is loaded when first needed (ERR_UNAVAILABLE names the package when it is missing).
 */
#ifndef STEAD_WORKSPACE_DIFF_H
#define STEAD_WORKSPACE_DIFF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "workspace/change.h"

#define HUNK_ID_SIZE 17 /* 16 hexadecimal digits and the NUL */

enum hunk_kind {
    HUNK_TEXT,   /* lines */
    HUNK_WHOLE,  /* the file as a whole: binary, symbolic link, empty, or its type changes */
    HUNK_MODE,   /* permission bits only */
    HUNK_RENAME, /* old_path -> path; text hunks of the same file are relative to the old content */
};

struct hunk_line {
    char origin;       /* ' ', '+', '-' */
    bool no_newline;   /* last line of its file, without a newline at the end */
    int old_no, new_no; /* 1-based; -1 where the line is not on that side */
    struct span text;  /* without the newline; bytes of the file: hostile */
};

struct hunk {
    char id[HUNK_ID_SIZE];
    enum hunk_kind kind;
    int old_start, old_lines, new_start, new_lines; /* HUNK_TEXT */
    struct span section;                            /* after the second @@; may be empty */
    struct hunk_line *lines;
    size_t nlines;
};

struct diff_file {
    const struct change_file *file;
    struct hunk *hunks; /* RENAME and MODE first, then text by position */
    size_t nhunks;
    int64_t added, removed;
};

/* Hunks of one file, from the arena; lines borrow the change's content. */
int diff_file(const struct change *c, const struct change_file *f, struct arena *a, struct diff_file *out,
              struct err *e) WARN_UNUSED;
/* Fill added/removed of every file. */
int change_count(struct change *c, struct err *e) WARN_UNUSED;

/*
 * Unified diff in git's format (git apply takes it; binary files are named, not carried). path NULL: all files.
 * Text is as it is in the files: clean it before printing to a terminal.
 */
int change_diff(const struct change *c, const char *path, struct buf *out, struct err *e) WARN_UNUSED;

/* A new change with only these hunks (ids of any files); an id that is not in the change is ERR_INPUT. */
int change_select(const struct change *c, const struct strings *hunk_ids, struct change **out, struct err *e) WARN_UNUSED;

/* Three-way merge of text: 1 clean, 0 conflict (out then has conflict markers with these names), negative failed. */
int merge_text(struct span base, struct span ours, struct span theirs, const char *our_name, const char *their_name,
               struct buf *out, struct err *e) WARN_UNUSED;

/* Unified diff of two buffers, for anyone. */
int diff_text(struct span old_text, struct span new_text, const char *old_name, const char *new_name, struct buf *out,
              struct err *e) WARN_UNUSED;

#endif
