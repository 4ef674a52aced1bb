/*
 * context - what a model is told besides the conversation: the system prompt with the repository's
 * notes and skills, mentioned files, and notes of directories as they are entered.
 *
 *     context_system(&src, window_tokens, &prompt, e);          // once a session: it never changes after
 *     context_expand(&src, &notes, text, limit, &message, e);   // "fix @src/a.c" and the file behind it
 *     context_notes_for(&notes, &src, path, &extra, e);         // AGENTS.md of a directory, when first entered
 *
 * AGENTS.md: of the workspace and, up to the top of the repository, of the directories above it; nearest
 * first. Those of directories below come when a tool first touches a file there, or a mention brings one along. Skills: SKILL.md with
 * `name` and `description`; the prompt lists them, the model reads one when it needs it.
 * All of it is repository content, and hostile: it can instruct the model to any nonsense, which the
 * sandbox and the gates are there for; it is marked as coming from a file.
 */
#ifndef STEAD_AGENT_CONTEXT_H
#define STEAD_AGENT_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

struct sandbox;
struct cancel;

struct context_source {
    struct sandbox *sandbox;
    const char *workspace;
    const char *const *files; /* further files to read as context, relative; NULL-terminated, may be NULL */
    const char *map;          /* repository map (repomap.h), or NULL */
    struct cancel *cancel;
};

enum {
    CONTEXT_FILE_BYTES = 16 << 10,   /* of one AGENTS.md; the rest is left out, and said to be */
    CONTEXT_SKILLS_MAX = 40,
    CONTEXT_MENTION_BYTES = 24 << 10, /* of one mentioned file */
};

/* Append the system prompt. At most an eighth of the window is given to notes (0: window unknown, 8192 taken). */
int context_system(const struct context_source *src, int64_t window_tokens, struct buf *out, struct err *e) WARN_UNUSED;

/* Directories whose notes the model has seen. */
struct context_notes {
    char **dirs;
    size_t len, cap;
};

/*
 * Append text, and behind it each file that it mentions as @path or @"a path" (once, if it exists) with the notes of its
 * directories; of a directory the names in it.
 */
int context_expand(const struct context_source *src, struct context_notes *notes, struct span text, size_t limit_bytes, struct buf *out,
                   struct err *e) WARN_UNUSED;
void context_notes_finish(struct context_notes *n);
/* Append notes for the directories of `path` that were not yet entered; usually nothing. Failing to read is nothing. */
void context_notes_for(struct context_notes *n, const struct context_source *src, const char *path, struct buf *out);

/* Cut the next @mention off *rest: false when there is none. "@a.c", "@src/a.c:10", "@\"a b.c\""; not "a@b.c". */
bool context_mention(struct span *rest, struct span *path);
/* `name` and `description` of a SKILL.md's front matter; false without a description. */
bool context_skill(struct span text, struct span *name, struct span *description);

#endif
