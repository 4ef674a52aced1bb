/*
 * sandbox-internal - what the files of this folder share. Reading order: sandbox.h, layout.c (what is mounted),
 * native.c (how it starts), client.c (requests), files.c, cgroup.c, check.c.
 */
#ifndef STEAD_SANDBOX_SANDBOX_INTERNAL_H
#define STEAD_SANDBOX_SANDBOX_INTERNAL_H

#include "base/bind.h"
#include "base/loop.h"
#include "base/mem.h"
#include "sandbox/helper/wire.h"
#include "sandbox/sandbox.h"

/*
 * Who the inside is. Ourselves, and nobody else; or, started as root, a block of 65536 host identities that nobody
 * else uses. The inside is never number 0, not even by name: programs that find themselves root try what root may
 * (tar restores owners, servers refuse to run). A workspace of root's is seen there as number 1000's, by identity-mapped
 * mounts; what is written there belongs, on disk, to the workspace's owner.
 */
#define IDENTITY_BASE 0x70000000u /* 1879048192: above what distributions and systemd hand out */
#define IDENTITY_COUNT 65536u
#define IDENTITY_FOR_ROOT 1000u /* number 0 on disk is this one inside, and the reverse */
struct identity {
    bool mapped;      /* started as root: inside id N is host id IDENTITY_BASE + N */
    uid_t uid, inside_uid, disk_uid; /* as the host sees it, as the inside does, and on disk */
    gid_t gid, inside_gid, disk_gid;
    char name[64];
    char home[256];
    char account[2][256]; /* home directories by account: ours, the workspace owner's; "" where none is a person's */
};
int identity_of(const char *workspace, struct identity *out, struct err *e) WARN_UNUSED;

/* What the helper is told to do, and the descriptors that go with it. */
struct layout {
    struct buf steps;
    int fds[WIRE_FDS];
    size_t nfds;
    char *target;      /* the workspace inside */
    char *home;        /* common directory of the layers on the host, or NULL */
    bool tmpfs;        /* a private tmpfs carries the upper layer */
    bool overlay;      /* writable overlay: renames need the remedy */
    struct buf note;
};
void layout_finish(struct layout *p);
static inline void layout_auto(struct layout *p)
{
    layout_finish(p);
}
/* userns: the sandbox's user namespace, for idmapped mounts; -1 when not started as root. `no_cgroup`: the helper bounds memory. */
int layout_make(const struct sandbox_spec *spec, const struct identity *id, int userns, bool no_cgroup, struct layout *p,
                struct err *e) WARN_UNUSED;
/* Options of the overlay mount, with names as the helper sees them; `dirs`: NUL-terminated names to make on the tmpfs. */
int layout_overlay_options(const struct sandbox_overlay *o, const char *home, struct buf *options, struct buf *dirs,
                         struct err *e) WARN_UNUSED;
/* Give upper and work directories to the inside. */
int layout_prepare_upper(const struct sandbox_overlay *o, const char *workspace, const struct identity *id, struct err *e) WARN_UNUSED;
/* Environment for commands: the allow-list, then the spec's. */
int layout_environment(const struct sandbox_spec *spec, const struct identity *id, struct arena *a, const char *const **out,
                     struct err *e) WARN_UNUSED;

/* cgroup.c: limits over the whole sandbox. */
struct cgroup {
    char paths[4][256]; /* directories that we made */
    int fds[4];         /* version 1: their `tasks`; version 2: themselves */
    size_t n;
    int version;        /* 0: none */
    int64_t oom_kills;  /* as last seen */
};
void cgroup_create(struct cgroup *c, const struct sandbox_limits *l, struct buf *note);
/* In the clone, system calls only: the calling thread moves itself. With version 2 the clone is made inside. */
int cgroup_enter(const struct cgroup *c);
void cgroup_destroy(struct cgroup *c);
void cgroup_renice(const struct cgroup *c, int nice);
bool cgroup_oom_news(struct cgroup *c); /* something was killed for its memory since the last time */
void cgroup_describe(struct sandbox_wall *w);
void cgroup_sweep(void);

/* native.c */
int helper_find(char **path, struct err *e); /* an O_PATH descriptor of the helper */
struct started {
    pid_t pid;
    int pidfd, sock;
};
/*
 * Clone into fresh namespaces (and the cgroup), map identities; on success the helper runs and waits for its steps.
 * *userns: with mapped identities, the user namespace of identity-mapped mounts, kept for the life of the program; else -1.
 */
int native_spawn(const struct identity *id, const struct cgroup *cgroup, struct started *out, int *userns, struct err *e) WARN_UNUSED;
void native_hint(struct err *e);

/* client.c */
#define PATHS_INSIDE_MAX 4096
typedef void (*reply_fn)(void *ctx, const struct wire *w, const char *payload, size_t n, int fd);
struct waiter {
    uint32_t id;
    reply_fn fn;
    void *ctx;
    struct waiter *next;
};
struct sandbox {
    struct loop *loop;
    struct loop_source *source, *child;
    struct started p;
    struct identity id;
    struct cgroup cgroup;
    int nice;
    struct waiter *waiters;
    struct sandbox_job *jobs;
    struct arena arena;
    struct buf note;
    const char *const *env;
    char *workspace, *target, *layers;
    unsigned exceptions;
    bool dead, has_rg, searched_rg;
    int tmpfs_fd;
    uint32_t next_id;
    int64_t ended_background;
};
int client_send(struct sandbox *sb, const struct wire *w, const void *a, size_t an, const void *b, size_t bn, struct err *e) WARN_UNUSED;
void client_add(struct sandbox *sb, struct waiter *w, reply_fn fn, void *ctx);
void client_remove(struct sandbox *sb, struct waiter *w);
void client_receive(struct sandbox *sb, bool wait_ms);
int client_attach(struct sandbox *sb, struct err *e) WARN_UNUSED;

/* A request that has one answer: DATA goes to `data` (may be NULL), then OK or FAIL. */
struct answer {
    struct waiter w;
    bool done;
    struct wire ok;
    struct buf *data;
    struct err err;
};
int client_ask(struct sandbox *sb, struct wire *w, const void *a, size_t an, const void *b, size_t bn, struct answer *r,
               struct cancel *cancel, struct err *e) WARN_UNUSED;
/* `path` as an absolute path inside, in out. */
int client_path(struct sandbox *sb, const char *path, char out[PATHS_INSIDE_MAX], struct err *e) WARN_UNUSED;
int client_fail(const struct wire *w, const char *payload, size_t n, struct err *e);

/* job.c: for loop_wait. */
const bool *job_done(const struct sandbox_job *job);

#endif
