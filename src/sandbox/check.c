/*
 * check - which walls stand here, what each rests on, how to get the rest.
 */
#include <errno.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/path.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/filter.h"

static struct sandbox_wall *wall(struct sandbox_report *r, const char *name, const char *rests_on, bool required)
{
    struct sandbox_wall *w = &r->walls[r->nwalls++];
    *w = (struct sandbox_wall){ .name = name, .rests_on = rests_on, .required = required, .available = true };
    return w;
}

#define DETAIL(w, ...) (void)snprintf((w)->detail, sizeof(w)->detail, __VA_ARGS__)
#define REMEDY(w, ...) (void)snprintf((w)->remedy, sizeof(w)->remedy, __VA_ARGS__)

static void check_kernel(struct sandbox_report *r)
{
    struct utsname u;
    struct sandbox_wall *w = wall(r, "kernel", "Linux 5.12 or later: mount and identity calls", true);
    if (uname(&u) == 0)
        DETAIL(w, "%.60s", u.release);
    long abi = syscall(SYS_mount_setattr, -1, "", 0, NULL, (size_t)0);
    w->available = !(abi < 0 && errno == ENOSYS);
    if (!w->available)
        REMEDY(w, "use a newer kernel");
}

static void check_landlock(struct sandbox_report *r)
{
    struct sandbox_wall *w = wall(r, "Landlock", "second wall around files, kernel 5.19 or later", false);
    long abi = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    w->available = abi >= 2;
    if (abi > 0)
        DETAIL(w, "version %ld", abi);
    else
        DETAIL(w, "not in this kernel, or not enabled");
    if (!w->available)
        REMEDY(w, "boot with landlock in the lsm= list, or use a kernel that has version 2");
}

static void check_seccomp(struct sandbox_report *r)
{
    struct sandbox_wall *w = wall(r, "system call filter", "seccomp", true);
    uint32_t action = SECCOMP_RET_ERRNO;
    w->available = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
    DETAIL(w, "%u rows", seccomp_row_count);
    w = wall(r, "directory renames", "seccomp user notification, kernel 5.0 or later", true);
    action = SECCOMP_RET_USER_NOTIF;
    w->available = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
    DETAIL(w, "directories of the workspace can be renamed inside");
}

/* The real thing: a sandbox over an empty directory, with an overlay on a tmpfs, that runs one command. */
static void check_start(struct loop *loop, struct sandbox_report *r)
{
    struct err e = ERR_INIT;
    char dir[] = "/tmp/stead-check-XXXXXX";
    struct sandbox_wall *w = wall(r, "namespaces", "user, mount, pid, net, ipc, uts and cgroup namespaces; no capability, no new privileges", true);
    if (!mkdtemp(dir)) {
        w->available = false;
        DETAIL(w, "cannot make a directory in /tmp");
        return;
    }
    const char *lowers[] = { dir };
    struct sandbox_spec spec = { .workspace = dir, .overlay = { .lowers = lowers, .nlowers = 1, .upper = "tmpfs" } };
    struct sandbox *sb = NULL;
    w->available = sandbox_start(loop, &spec, &sb, &e) >= 0;
    bool overlay = w->available;
    if (!w->available && e.kind == ERR_UNSUPPORTED) {
        spec.overlay = (struct sandbox_overlay){ .nlowers = 0 };
        err_reset(&e);
        w->available = sandbox_start(loop, &spec, &sb, &e) >= 0;
    }
    if (w->available)
        DETAIL(w, "a sandbox starts");
    else {
        DETAIL(w, "%.150s", e.text);
        REMEDY(w, "%.190s", e.hint);
    }
    struct sandbox_wall *o = wall(r, "overlay", "overlayfs in a user namespace, kernel 5.11 or later", false);
    o->available = overlay;
    DETAIL(o, overlay ? "changes go to a layer" : "refused: the workspace would be copied");
    struct sandbox_wall *i = wall(r, "identity", "never the host's root", true);
    uid_t inside = 0;
    if (sb) {
        struct identity id;
        if (identity_of(dir, &id, &e) >= 0)
            inside = id.uid;
        DETAIL(i, inside >= IDENTITY_BASE ? "mapped to the unprivileged identity %u"
                  : inside           ? "our own identity %u, and no other"
                                     : "our own identity, which is root in this container only (%u)",
               (unsigned)inside);
    }
    i->available = sb; /* it starts only where this holds */
    if (!i->available) {
        DETAIL(i, "no sandbox starts here");
        REMEDY(i, "see namespaces, above");
    }
    r->maps_to = inside;
    sandbox_destroy(sb);
    (void)rmdir(dir);
}

int sandbox_check(struct loop *loop, struct sandbox_report *out, struct err *e)
{
    *out = (struct sandbox_report){ .backend = "native" };
    check_kernel(out);
    AUTO(ptr) char *path = NULL;
    struct err why = ERR_INIT;
    struct sandbox_wall *w = wall(out, "helper", "the program 'stead-helper', installed with stead", true);
    AUTO(fd) int fd = helper_find(&path, &why);
    w->available = fd >= 0;
    if (fd >= 0)
        DETAIL(w, "%.150s", path ? path : "");
    else {
        DETAIL(w, "%.150s", why.text);
        REMEDY(w, "%.190s", why.hint);
    }
    check_start(loop, out);
    check_seccomp(out);
    check_landlock(out);
    cgroup_describe(wall(out, "cgroup", "limits for memory, processes and CPU of the sandbox as a whole", false));
    out->usable = true;
    for (size_t i = 0; i < out->nwalls; i++)
        if (out->walls[i].required && !out->walls[i].available)
            out->usable = false;
    (void)e;
    return 0;
}
