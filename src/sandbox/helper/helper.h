/*
 * helper - process 1 inside the sandbox. Reading order: wire.h, main.c, setup.c, job.c, file.c, rename.c, watch.c, ipc.c.
 *
 * One thread, one poll loop, no heap but a job's buffers. Started by stead in fresh namespaces with full
 * capabilities over them only; keeps the few that mounting an overlay and measuring take (raised for as long as that takes), and
 * gives commands none.
 */
#ifndef STEAD_SANDBOX_HELPER_HELPER_H
#define STEAD_SANDBOX_HELPER_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/helper/wire.h"

#define JOBS_MAX 64
#define LISTENERS_MAX 8
#define NOTIFY_MAX 128
#define SOCKET_FD 3

struct job {
    bool used;
    uint32_t id;
    pid_t pid;          /* 0 once reaped */
    int out[2];         /* its standard output and error, or the pty master and -1 */
    int in;             /* its standard input (may be out[0] for a pty), or -1 */
    int fail;           /* close-on-exec pipe: a start that failed writes errno */
    int spill;          /* file with the whole output, or -1 */
    bool tty, background, list, started, exited, timed_out, truncated, in_eof;
    unsigned ended_by;  /* enum wire_exit: a limit of the whole sandbox */
    int status;
    int64_t deadline_ms; /* 0: none */
    int64_t drain_ms;    /* after exit: until when to wait for the end of output */
    uint64_t total, spilled;
    size_t cap;
    char *keep;          /* the first cap bytes, later a ring of the last */
    size_t kept, ring;
    char *in_data;       /* input not yet written */
    size_t in_len, in_at;
};

struct helper {
    int sock;
    int signals;
    int private_fd;      /* WIRE_PRIVATE, uncovered */
    int landlock;        /* ruleset, or -1 */
    int null;
    int pass[2];         /* a starting command hands its notification descriptor over here */
    bool notify, no_landlock;
    int notify_fd[NOTIFY_MAX]; /* seccomp notifications: one for each command and all that it starts */
    struct job jobs[JOBS_MAX];
    struct { int fd; uint32_t id; } listeners[LISTENERS_MAX];
    void *filter[2];
    unsigned filter_len[2];
    uint64_t proc_dev;
    bool others;         /* something runs besides commands that we know of */
    int64_t watch_ms;    /* when to measure again; 0: never */
};

extern struct helper H;

/* main.c */
int64_t now_ms(void);
void reply(uint32_t id, uint16_t type, int64_t a, int64_t b, int64_t c, const void *data, size_t n, int fd);
void reply_fail(uint32_t id, int sys, int64_t b, const char *what, const char *object);
_Noreturn void die(const char *what, const char *object); /* before READY: report and end */
size_t text_join(char *out, size_t size, const char *const *parts); /* cut to size, NUL-terminated */
void text_i64(char out[24], int64_t v);
int read_payload_path(const char *payload, size_t n, const char **path);

/* setup.c */
void setup_steps(const char *p, size_t n, int *fds, size_t nfds); /* opens the sources */
void setup_run(int64_t go);
void setup_landlock(void);
int overlay_mount(const char *target, const char *options);
int cap_admin(bool on);
void drop_capabilities(void);

/* watch.c */
void watch_layer(const char *dir, int64_t bytes, int64_t inodes);
void watch_memory(int64_t bytes);
void watch_now(int64_t now); /* measure; what runs ends when it takes too much */

/* ipc.c */
void ipc_bytes(int64_t *shared, int64_t *kernel); /* of detached segments; of semaphores and messages */
bool ipc_any(void);
void ipc_remove_all(void);

/* job.c */
void job_exec(const struct wire *w, const char *payload);
void job_input(const struct wire *w, const char *payload);
void job_signal(const struct wire *w);
void job_resize(const struct wire *w);
void job_background(const struct wire *w);
void job_list(const struct wire *w, const char *path);
void jobs_reap(void);
void job_output(struct job *j, int stream);
void job_flush_input(struct job *j);
void job_failed_start(struct job *j);
void jobs_tick(int64_t now);
void jobs_end_all(enum wire_exit why);
bool jobs_running(void);
void kill_strays(void);
struct job *job_find(uint32_t id);
void child_confine(bool list); /* in a new child: everything that makes it harmless */

/* file.c */
int open_inside(int dir, const char *path, int flags); /* without magic links, which would lead to our own descriptors */
void file_read(const struct wire *w, const char *path);
void file_write(const struct wire *w, const char *payload, size_t n);
void file_stat(const struct wire *w, const char *path);
void file_remove(const struct wire *w, const char *path);
void list_run(const char *path, int64_t flags, int64_t max, int out); /* in a child of its own; does not return */

/* rename.c */
int rename_install_and_send(void); /* in a new child: the commands' filter, with its notifications sent to the helper */
void rename_take(void);                   /* that descriptor, on our side */
void rename_notified(size_t i, int revents);

#endif
