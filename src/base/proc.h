/*
 * proc - start a process on the host, watch it, end it with everything it started.
 *
 *     struct proc_spec spec = { .argv = argv, .out = PROC_PIPE, .err = PROC_NULL };
 *     struct proc *p;
 *     if (proc_start(loop, &spec, &p, e) < 0) return ...;    // "no such program" is an error here
 *     proc_wait(p, deadline, cancel, &status, e);
 *     proc_destroy(p);                                       // kills the group if it still runs
 *
 * No shell is involved unless argv names one. The child has its own process group (or session), only
 * the descriptors named in the spec, default signal dispositions, an environment exactly as given.
 * A failure in the child before exec comes back as a struct err over a close-on-exec pipe.
 * This is for stead's own programs (sandbox helper, engine, llama-server, an editor): programs of
 * the workspace run in the sandbox only.
 */
#ifndef STEAD_BASE_PROC_H
#define STEAD_BASE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/loop.h"

enum proc_stdio { PROC_NULL, PROC_INHERIT, PROC_PIPE, PROC_FD };

struct proc_fd {
    int child; /* number in the child, >= 3 */
    int fd;    /* ours; borrowed, stays open here */
};

struct proc_spec {
    const char *const *argv; /* NULL-terminated; argv[0] with a slash is a path, else searched in PATH */
    const char *const *env;  /* NULL-terminated "NAME=VALUE"; NULL: an empty environment */
    const char *cwd;         /* NULL: ours */
    enum proc_stdio in, out, err;
    int in_fd, out_fd, err_fd;  /* with PROC_FD; borrowed */
    const struct proc_fd *fds;  /* further descriptors to pass */
    size_t nfds;
    bool session;           /* setsid: own session, no controlling terminal */
    bool die_with_parent;   /* PR_SET_PDEATHSIG SIGKILL */
    int nice;               /* added to our niceness */
    size_t out_cap_bytes;   /* captured bytes kept per stream; 0: 1 MiB; more is counted, not kept */
    void (*on_output)(void *ctx, int stream, struct span data); /* stream 1 or 2; NULL: captured */
    void *ctx;
};

struct proc;

int proc_start(struct loop *loop, const struct proc_spec *spec, struct proc **out, struct err *e) WARN_UNUSED;
/* Wait for exit and for end of output. status: exit code, or 128 + signal. On timeout or cancel the group is killed and reaped first. */
int proc_wait(struct proc *p, int64_t deadline_ms, struct cancel *cancel, int *status, struct err *e) WARN_UNUSED;
bool proc_running(const struct proc *p);
pid_t proc_pid(const struct proc *p);
int proc_stdin(const struct proc *p);                 /* our end of PROC_PIPE, or -1 */
void proc_close_stdin(struct proc *p);
struct span proc_output(const struct proc *p, int stream); /* captured so far */
uint64_t proc_output_total(const struct proc *p, int stream);
void proc_kill(struct proc *p, int signo);            /* the whole group */
void proc_destroy(struct proc *p);
static inline void proc_auto(struct proc **p)
{
    proc_destroy(*p);
}

/* Convenience: start, capture stdout (at most cap bytes) into out, wait; a non-zero exit is an error with the last line of stderr. */
int proc_capture(struct loop *loop, const char *const *argv, const char *const *env, size_t cap_bytes, int64_t timeout_ms,
                 struct buf *out, struct err *e) WARN_UNUSED;

#endif
