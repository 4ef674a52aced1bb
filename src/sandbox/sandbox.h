/*
 * sandbox - the isolated place in which every tool, command and gate runs.
 *
 *     struct sandbox_spec spec = { .workspace = "/home/ada/app" };
 *     layer_overlay(layer, &spec.overlay);                 // or leave it zero: a read-only view
 *     struct sandbox *sb;
 *     if (sandbox_start(loop, &spec, &sb, e) < 0) return err_wrap(e, "starting the sandbox");
 *     struct sandbox_exec x = { .argv = (const char *const[]){ "make", "test", NULL }, .timeout_ms = 60000,
 *                               .out_cap_bytes = 64 << 10, .merge = true };
 *     struct sandbox_result r;
 *     sandbox_exec(sb, &x, &output, &r, cancel, e);        // serves the loop while it waits
 *     sandbox_destroy(sb);                                 // everything inside is dead when it returns
 *
 * Inside: the workspace at its own absolute path (the current directory), the host's programs read-only,
 * an empty private home, /tmp and /run, no network but an own loopback, an environment from an allow-list.
 * One small static process (the helper, process 1 inside) serves all requests over one socket pair; when
 * stead ends, however it ends, the helper ends and everything inside with it.
 *
 * Where a wall that the spec asks for cannot be built, sandbox_start fails with ERR_DENIED and a hint (exit 7);
 * nothing is ever run without isolation. What is weaker than it could be is said by sandbox_note.
 *
 * Paths given to requests are paths inside; relative ones start at the workspace. They are resolved by the
 * kernel inside, so a link or ".." leads to something inside, or to an error.
 *
 * Everything that comes out (output, names, file content) is hostile. The loop's thread only.
 * Design, walls and what each rests on: docs/design/sandbox.md, stead-sandbox(7).
 */
#ifndef STEAD_SANDBOX_SANDBOX_H
#define STEAD_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/loop.h"

struct sandbox;

struct sandbox_mount {
    const char *src; /* host path, a file or a directory */
    const char *dst; /* path inside; NULL: the same */
    bool rw;
};

/*
 * What stands at the workspace's path. Three shapes:
 *   nlowers > 0, upper set    writable overlay: lowers top first, the last is the workspace
 *   nlowers > 0, upper NULL   read-only view of the lowers
 *   nlowers == 0              read-only view of the workspace (or of `bind`, read-write with bind_rw)
 * upper and work are host directories on one file system (made by the caller, empty or reopened), or "tmpfs" for
 * a private tmpfs of limits.disk_bytes. In a tmpfs overlay, upper, work and lowers may be named "tmpfs:NAME"
 * ("tmpfs" is "tmpfs:u0" with the work directory "tmpfs:w0"); the sandbox creates them.
 * Started as root, upper and work are given to the identity that the sandbox maps to (sandbox_identity).
 * Apart from the last lower, everything lies below one directory of the caller's (a layer's directory).
 */
struct sandbox_overlay {
    const char *target;        /* where it appears inside; NULL: the workspace's own absolute path */
    const char *const *lowers; /* top first, absolute host paths */
    size_t nlowers;
    const char *upper;
    const char *work;
    const char *bind; /* a copy of the workspace to bind at the target instead of an overlay (LAYER_COPY) */
    bool bind_rw;
};

struct sandbox_limits { /* 0: the default below; -1: none */
    int64_t memory_bytes; /* 4 GiB; by cgroup where there is one, else measured by process 1 */
    int64_t disk_bytes;   /* 8 GiB; what the upper layer may hold */
    int64_t scratch_bytes; /* 1 GiB; /tmp, /run, home, /dev/shm together */
    int64_t inodes;       /* 1,000,000 on a tmpfs upper and on scratch */
    int pids;             /* 1024 */
    double cpus;          /* no limit */
};

enum sandbox_exception { /* named holes that policy may open; each is shown by `stead sandbox check` */
    SANDBOX_ALLOW_USERNS = 1 << 0, /* nested user namespaces: browsers, rootless containers */
    SANDBOX_ALLOW_PTRACE = 1 << 1, /* gdb, strace */
};

struct sandbox_spec {
    const char *workspace; /* absolute host path of a directory */
    const char *state_dir; /* stead's own: refused where the workspace or a mount holds it, since what stead believes lies there; NULL: none */
    struct sandbox_overlay overlay;
    const char *base; /* a copy that stands for the workspace as a lower layer, where its own file system cannot be one; NULL: none */
    const struct sandbox_mount *mounts; /* further binds, by policy */
    size_t nmounts;
    const char *const *env;      /* NULL-terminated NAME=VALUE added to (or replacing) the allow-list's */
    const char *const *env_keep; /* NULL-terminated names taken over from the host's environment */
    struct sandbox_limits limits;
    unsigned exceptions;
    const char *backend; /* NULL or "native" */
    int nice;            /* of commands that say nothing of it: 0 to 19 */
};

/* "SRC[:DST][:ro|rw]" (read-only unless said; SRC relative to the current directory; ~ is not expanded). Strings from the arena. */
int sandbox_parse_mount(const char *text, struct arena *a, struct sandbox_mount *out, struct err *e) WARN_UNUSED;
/* "userns", "ptrace": adds its bit to *exceptions. */
int sandbox_parse_exception(const char *name, unsigned *exceptions, struct err *e) WARN_UNUSED;
/* What a program said as it failed names a wall that an exception would open: a sentence about it, or NULL. */
const char *sandbox_hint(const struct sandbox *sb, struct span output);

/* ERR_DENIED with a hint when isolation is impossible here; ERR_UNSUPPORTED when this overlay is (use another layer kind). */
int sandbox_start(struct loop *loop, const struct sandbox_spec *spec, struct sandbox **out, struct err *e) WARN_UNUSED;
/*
 * The same in two parts, so that other work goes on while the walls are built: nothing may be asked of a sandbox that was
 * begun before sandbox_ready has returned 0, and each may fail as sandbox_start does. sandbox_ready again is allowed.
 */
int sandbox_begin(struct loop *loop, const struct sandbox_spec *spec, struct sandbox **out, struct err *e) WARN_UNUSED;
int sandbox_ready(struct sandbox *sb, struct err *e) WARN_UNUSED;
/* Kills everything inside and waits until it is gone. */
void sandbox_destroy(struct sandbox *sb);
static inline void sandbox_auto(struct sandbox **sb)
{
    sandbox_destroy(*sb);
}

/* From now on: the niceness of new commands, and, where the sandbox has a cgroup (version 2), the weight of all that run. */
void sandbox_renice(struct sandbox *sb, int nice);
pid_t sandbox_pid(const struct sandbox *sb);          /* the helper, as the host sees it */
bool sandbox_alive(const struct sandbox *sb);         /* false after the helper ended; requests then fail with ERR_UNAVAILABLE */
const char *sandbox_workspace(const struct sandbox *sb);
const char *sandbox_note(const struct sandbox *sb);   /* what is weaker here than it could be, one per line; "" */
int sandbox_tmpfs(const struct sandbox *sb);          /* a new descriptor of the private tmpfs's root, yours; -1 when there is none */
/* Host identity that owns what programs inside create; ourselves unless started as root. */
int sandbox_identity(const char *workspace, uid_t *uid, gid_t *gid, struct err *e) WARN_UNUSED;

/* --- running --- */

struct sandbox_exec {
    const char *const *argv; /* argv[0] without a slash is searched in the sandbox's PATH */
    const char *cwd;         /* NULL: the workspace */
    const char *const *env;  /* NAME=VALUE, added to the sandbox's; NULL: none */
    int64_t timeout_ms;      /* 0: none; when it passes the process group is killed */
    size_t out_cap_bytes;    /* most bytes kept; 0: no cap (stream only, or the buf's own limit). Above it
                                head and tail are kept and everything goes to result.spill_path */
    bool merge;              /* standard error into standard output, in true order */
    bool tty;                /* an own pseudo-terminal; implies merge */
    unsigned short rows, cols;
    struct span stdin_data;  /* then end of file; kept until the command has ended */
    bool stdin_open;         /* standard input stays open for sandbox_job_input */
    bool background;         /* returns at once; output goes to result.spill_path */
    int nice;
    void (*on_output)(void *ctx, int stream, struct span data); /* as it comes; may be NULL */
    void *ctx;
};

struct sandbox_result {
    int status;          /* exit code, or 128 + signal */
    bool timed_out;
    bool truncated;      /* `output` has a cut in its middle */
    bool out_of_disk;    /* ended because the layer exceeded limits.disk_bytes */
    bool out_of_memory;  /* the memory limit killed something meanwhile */
    uint64_t out_bytes;  /* written by the command, both streams */
    char spill_path[64]; /* file inside with the whole output (capped at 64 MiB), or "" */
    int64_t duration_ms;
    int64_t job;         /* background: for sandbox_kill and sandbox_job */
};

/*
 * Run and wait. `output` (may be NULL) gets standard output and error as they come. A program that cannot be
 * started is ERR_NOT_FOUND (no such program), ERR_DENIED (not executable) or ERR_IO; a program that ran is 0, whatever its status.
 * On cancel the process group is killed and -ERR_CANCELLED returned.
 */
int sandbox_exec(struct sandbox *sb, const struct sandbox_exec *x, struct buf *output, struct sandbox_result *r,
                 struct cancel *cancel, struct err *e) WARN_UNUSED;

/* The same without waiting: several can run at once. `done` is called once, from the loop. */
struct sandbox_job;
typedef void (*sandbox_done_fn)(void *ctx, struct sandbox_job *job);
int sandbox_job_start(struct sandbox *sb, const struct sandbox_exec *x, sandbox_done_fn done, void *ctx,
                      struct sandbox_job **out, struct err *e) WARN_UNUSED;
bool sandbox_job_done(const struct sandbox_job *job);
/* After done: 0 and *r, or the error that stopped it. */
int sandbox_job_result(const struct sandbox_job *job, struct sandbox_result *r, struct err *e) WARN_UNUSED;
struct span sandbox_job_output(const struct sandbox_job *job);
int sandbox_job_input(struct sandbox_job *job, struct span data, struct err *e) WARN_UNUSED; /* empty: end of file */
/* Called whenever what was given has been taken inside: time for more. */
void sandbox_job_on_taken(struct sandbox_job *job, void (*fn)(void *ctx), void *ctx);
bool sandbox_job_input_ready(const struct sandbox_job *job); /* false: what was given is not yet taken inside */
int sandbox_job_resize(struct sandbox_job *job, unsigned short rows, unsigned short cols, struct err *e);
int sandbox_job_signal(struct sandbox_job *job, int signo, struct err *e);
void sandbox_job_destroy(struct sandbox_job *job); /* kills it if it still runs */
static inline void sandbox_job_auto(struct sandbox_job **j)
{
    sandbox_job_destroy(*j);
}

/* Background jobs: state of one (0 running, 1 ended with *r filled), and ending one with everything in its group. */
int sandbox_background(struct sandbox *sb, int64_t job, struct sandbox_result *out, struct err *e) WARN_UNUSED;
int sandbox_kill(struct sandbox *sb, int64_t job, struct err *e) WARN_UNUSED;
/* Stop and continue every process inside, to read what it wrote (change_read). */
int sandbox_pause(struct sandbox *sb, struct err *e) WARN_UNUSED;
int sandbox_resume(struct sandbox *sb, struct err *e) WARN_UNUSED;

/* --- files --- */

enum sandbox_file_type { SANDBOX_FILE = 'f', SANDBOX_DIR = 'd', SANDBOX_LINK = 'l', SANDBOX_OTHER = 'o' };

struct sandbox_stat {
    enum sandbox_file_type type;
    unsigned mode; /* permission bits */
    int64_t size;
    int64_t mtime_ns;
};

/* Up to `limit` bytes from `offset`, appended to out; st (may be NULL) tells the whole size. Regular files only. */
int sandbox_read(struct sandbox *sb, const char *path, int64_t offset, size_t limit, struct buf *out,
                 struct sandbox_stat *st, struct err *e) WARN_UNUSED;
enum sandbox_write_flags {
    SANDBOX_WRITE_PARENTS = 1 << 0, /* make missing directories */
    SANDBOX_WRITE_NEW = 1 << 1,     /* ERR_EXISTS when it is there */
};
/* The whole content, by temporary file and rename; mode 0: keep the file's, 0644 for a new one. Through links as open(2). */
int sandbox_write(struct sandbox *sb, const char *path, struct span data, unsigned mode, unsigned flags,
                  struct err *e) WARN_UNUSED;
int sandbox_stat(struct sandbox *sb, const char *path, struct sandbox_stat *out, struct err *e) WARN_UNUSED; /* lstat */
int sandbox_remove(struct sandbox *sb, const char *path, struct err *e) WARN_UNUSED; /* a file, a link or an empty directory */

enum sandbox_list_flags {
    SANDBOX_LIST_RECURSIVE = 1 << 0,
    SANDBOX_LIST_IGNORE = 1 << 1, /* leave out .git and what .gitignore files (and .git/info/exclude) name */
    SANDBOX_LIST_DIRS = 1 << 2,   /* directories too, in a recursive list */
};
struct sandbox_entry {
    const char *path; /* relative to the listed directory; any bytes but NUL */
    enum sandbox_file_type type;
    int64_t size;
};
/* Sorted by path, from the arena. At most `max` entries (0: 100,000); *truncated when there were more. */
int sandbox_list(struct sandbox *sb, const char *path, unsigned flags, size_t max, struct arena *a,
                 struct sandbox_entry **out, size_t *n, bool *truncated, struct cancel *cancel, struct err *e) WARN_UNUSED;

struct sandbox_search {
    const char *pattern; /* regular expression (ripgrep's, or POSIX extended where ripgrep is not installed) */
    const char *path;    /* NULL: the workspace */
    bool fixed;          /* pattern is plain text */
    bool ignore_case;
    size_t max_matches;  /* in all; 0: 1000 */
    int64_t timeout_ms;  /* 0: 30 s */
};
/* `path:line:text` lines into out, sorted by path; 0 when nothing matches. ERR_INPUT: bad pattern, with the tool's message. */
int sandbox_search(struct sandbox *sb, const struct sandbox_search *s, struct buf *out, bool *truncated,
                   struct cancel *cancel, struct err *e) WARN_UNUSED;

/* The same in two parts, so that several run at once; `s` is the same in both. The job is the caller's to destroy. */
int sandbox_search_begin(struct sandbox *sb, const struct sandbox_search *s, struct cancel *cancel, struct sandbox_job **out,
                         struct err *e) WARN_UNUSED;
int sandbox_search_end(struct sandbox *sb, const struct sandbox_search *s, struct sandbox_job *job, struct buf *out, bool *truncated,
                       struct cancel *cancel, struct err *e) WARN_UNUSED;

/* --- layers --- */

/*
 * Swap the overlay at the target to `next` (a fresh upper over the previous ones, or fewer of them: undo). Processes
 * that finished commands left behind are ended first; while a background job runs: ERR_UNAVAILABLE, nothing changed.
 */
int sandbox_checkpoint(struct sandbox *sb, const struct sandbox_overlay *next, struct err *e) WARN_UNUSED;

/* --- network seam --- */

/*
 * Listen on 127.0.0.1:port inside; each accepted connection is handed out as a descriptor (yours). The seam for
 * forwarding one model endpoint and for an egress proxy: the host end decides what the bytes may reach.
 */
typedef void (*sandbox_accept_fn)(void *ctx, int fd, uint16_t port);
int sandbox_forward(struct sandbox *sb, uint16_t port, sandbox_accept_fn fn, void *ctx, struct err *e) WARN_UNUSED;

/* --- what is available here --- */

struct sandbox_wall {
    const char *name;    /* "user namespace" */
    const char *rests_on;
    bool available;
    bool required;       /* without it sandbox_start refuses */
    char detail[160];    /* what was found */
    char remedy[200];    /* how to get it, or "" */
};
#define SANDBOX_WALLS_MAX 24
struct sandbox_report {
    bool usable;
    const char *backend; /* "native" */
    struct sandbox_wall walls[SANDBOX_WALLS_MAX];
    size_t nwalls;
    uid_t maps_to; /* host identity of the inside */
};
int sandbox_check(struct loop *loop, struct sandbox_report *out, struct err *e) WARN_UNUSED;

/* Remove what killed runs left (cgroups, scratch directories below state_dir). Called at start; cheap when there is nothing. */
int sandbox_sweep(const char *state_dir, struct err *e);

#endif
