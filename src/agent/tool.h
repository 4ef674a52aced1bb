/*
 * tool - what a model can do: one row and one file each, executed in the sandbox.
 *
 *     const struct tool *t = tool_find("read");
 *     struct tool_run run = { .env = &env, .tool = t, .id = call->id };
 *     tool_call(&run, call->args, &arena, &out);      // always leaves a text for the model in `out`
 *     ... run.ok, run.truncated, run.image ...
 *
 * A row says all there is to know of a tool: its schema, the help text and the check of the arguments
 * come from it. The names, arguments and forms of results are fixed: models are trained on them.
 *
 *   read    the text; with `numbers` each line as "N<TAB>line"
 *   list    paths, one a line, sorted, recursive, without what .gitignore names
 *   search  "path:line:text" lines
 *   edit    "edited PATH: line 7", or "lines 7-9", then the new lines numbered
 *   write   "wrote PATH: 12 lines"
 *   shell   what the command printed, then "[exit N]"
 *
 * A failure is "error: " and one sentence that a model can act on. To add a tool: a file tool-NAME.c with
 * its `const struct tool`, and its line in tool.c.
 */
#ifndef STEAD_AGENT_TOOL_H
#define STEAD_AGENT_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"
#include "base/loop.h"

struct sandbox;
struct sandbox_job;

enum tool_needs {
    TOOL_READS = 1 << 0,
    TOOL_WRITES = 1 << 1,
    TOOL_SPAWNS = 1 << 2,
};

#define TOOL_JOBS_MAX 16               /* background jobs of one attempt */
#define TOOL_FILE_BYTES (16u << 20)    /* largest text file that read and edit take */
#define TOOL_LIST_MAX 50000            /* entries listed inside before summing up */

/* Shared by the calls of one attempt. */
struct tool_env {
    struct loop *loop;
    struct sandbox *sandbox;
    const char *workspace;
    struct cancel *cancel;
    size_t output_bytes;      /* of one result */
    int64_t command_ms;       /* a command without timeout_s */
    bool vision;              /* the endpoint takes images */
    int64_t jobs[TOOL_JOBS_MAX];
    size_t njobs;
    void (*on_output)(void *ctx, const char *id, struct span piece);
    void (*on_written)(void *ctx, const char *path, struct span before, struct span after); /* NULL: nobody looks */
    void *ctx;
};

struct tool_run;

struct tool {
    const char *name;          /* as the model calls it */
    const char *summary;       /* for the model: one or two sentences */
    const struct field *args;
    size_t args_size;
    unsigned needs;            /* enum tool_needs */
    bool by_profile;           /* offered only where the model's row asks for it */
    /* Text for the model into out, or a failure in e. */
    int (*run)(struct tool_run *run, const void *args, struct buf *out, struct err *e);
    /* May be NULL. Begin work that `run` will collect, so that several calls work at once; 0 begun, 1 cannot (run does it all). */
    int (*begin)(struct tool_run *run, const void *args, struct err *e);
};

struct tool_run {
    struct tool_env *env;
    const struct tool *tool;
    const char *id;
    struct arena *arena;      /* of the step */
    const void *args;         /* bound; NULL: they do not fit the table, `out` says why */
    struct sandbox_job *job;  /* begun work */
    struct buf *out;
    bool ok;
    bool truncated;           /* the result was cut */
    const char *image_mime;   /* the call yielded a picture; NULL: none */
    struct span image;
    int64_t started_ms;
};

extern const struct tool tool_read, tool_list, tool_search, tool_edit, tool_write, tool_shell, tool_patch;
extern const struct tool *const tools[]; /* NULL-terminated, in the order in which the model sees them */
const struct tool *tool_find(const char *name);

/* Bind the arguments; a failure is written to run->out as the result. Then begin, where the tool can. */
void tool_begin(struct tool_run *run, struct span args_json);
/* Run (or collect) it. Only -ERR_CANCELLED and -ERR_UNAVAILABLE (the sandbox is gone) fail; others are results. */
int tool_finish(struct tool_run *run, struct err *e) WARN_UNUSED;

/* --- for tools --- */

/* Where a path that does not exist might be meant to be: replaces e with a message that names candidates. */
int tool_missing(struct tool_run *run, const char *path, struct err *e);
/* A path as shown in results: relative to the workspace when below it. Borrowed from path. */
const char *tool_shown_path(const struct tool_env *env, const char *path);
/* A text file, whole: ERR_NOT_FOUND with candidates, ERR_INPUT for binary files and directories, ERR_LIMIT. */
int tool_read_text(struct tool_run *run, const char *path, struct buf *out, unsigned *mode, struct err *e) WARN_UNUSED;
/* The whole content, with the file's mode kept; whoever looks is told what it was and is. */
int tool_store(struct tool_run *run, const char *path, struct span before, struct span after, struct err *e) WARN_UNUSED;
/* Cut `text` to at most `limit` bytes: head and tail at line ends, and in the middle how much is missing. */
bool tool_cut(struct span text, size_t limit, const char *whole_at, struct buf *out, bool *cut);

#endif
