/*
 * native - a helper in fresh namespaces. The clone is made here, the walls by the helper itself.
 *
 * stead may have threads, so the child between clone and exec makes system calls only. It carries its capabilities
 * over the exec as ambient ones: they reach only what the new user namespace owns.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/path.h"
#include "sandbox/sandbox-internal.h"

#ifndef STEAD_LIBEXECDIR
#define STEAD_LIBEXECDIR "/usr/libexec"
#endif

static int helper_try(const char *path)
{
    struct stat st;
    AUTO(fd) int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & S_IXOTH))
        return -1;
    /* It runs with capabilities over the sandbox: whoever can change it could change stead as well. */
    struct stat self; /* in a container, the owner of both may have no number of its own here */
    bool ours = st.st_uid == 0 || st.st_uid == geteuid() || (stat("/proc/self/exe", &self) == 0 && self.st_uid == st.st_uid);
    if (!ours || st.st_mode & S_IWOTH)
        return -1;
    return take_fd(&fd);
}

int helper_find(char **path, struct err *e)
{
    static const char *const beside[] = { "stead-helper", "../libexec/stead/stead-helper", "../sandbox/helper/stead-helper" };
    char exe[PATH_MAX], try[PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(exe, '/');
    if (slash) {
        *slash = '\0';
        for (size_t i = 0; i < COUNT_OF(beside); i++) {
            (void)snprintf(try, sizeof try, "%s/%s", exe, beside[i]);
            int fd = helper_try(try);
            if (fd >= 0) {
                if (path)
                    *path = strdup(try);
                return fd;
            }
        }
        /* A build directory: its programs lie at several depths. */
        for (int up = 0; up < 6 && (slash = strrchr(exe, '/')) && slash != exe; up++) {
            (void)snprintf(try, sizeof try, "%s/build.ninja", exe);
            if (access(try, F_OK) < 0) {
                *slash = '\0';
                continue;
            }
            (void)snprintf(try, sizeof try, "%s/src/sandbox/helper/stead-helper", exe);
            int fd = helper_try(try);
            if (fd >= 0) {
                if (path)
                    *path = strdup(try);
                return fd;
            }
            break;
        }
    }
    int fd = helper_try(STEAD_LIBEXECDIR "/stead/stead-helper");
    if (fd >= 0) {
        if (path)
            *path = strdup(STEAD_LIBEXECDIR "/stead/stead-helper");
        return fd;
    }
    err_set(e, ERR_DENIED, "the sandbox helper 'stead-helper' is not installed beside stead or in %s/stead", STEAD_LIBEXECDIR);
    err_hint(e, "reinstall stead; it must be executable by everyone and writable by its owner only");
    return -ERR_DENIED;
}

static bool file_says(const char *path, char c)
{
    char byte = 0;
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, &byte, 1) == 1 && byte == c;
}

void native_hint(struct err *e)
{
    if (file_says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", '1'))
        err_hint(e, "AppArmor denies user namespaces to unknown programs: install stead's profile (packaging/apparmor/stead), or "
                    "sysctl kernel.apparmor_restrict_unprivileged_userns=0; see stead sandbox check");
    else if (file_says("/proc/sys/kernel/unprivileged_userns_clone", '0'))
        err_hint(e, "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1; see stead sandbox check");
    else if (file_says("/proc/sys/user/max_user_namespaces", '0'))
        err_hint(e, "allow user namespaces: sysctl user.max_user_namespaces=10000; see stead sandbox check");
    else
        err_hint(e, "in a container, allow nested namespaces (docker run --security-opt seccomp=unconfined --security-opt "
                    "systempaths=unconfined); see stead sandbox check");
}

struct child_args {
    int go, sock, helper, null;
    uid_t uid;
    gid_t gid;
    bool mapped;
    const struct cgroup *cgroup;
};

static void __attribute__((noreturn)) child_fail(const struct child_args *c, const char *what)
{
    struct {
        struct wire w;
        char text[64];
    } m = { .w = { .type = WIRE_FAIL, .a = errno } };
    while (m.w.size < sizeof m.text && what[m.w.size]) {
        m.text[m.w.size] = what[m.w.size];
        m.w.size++;
    }
    (void)!send(c->sock, &m, sizeof m.w + m.w.size, MSG_NOSIGNAL);
    _exit(125);
}

/* In the clone: become the mapped identity, keep the namespace's capabilities over exec, run the helper. */
static void __attribute__((noreturn)) child_run(const struct child_args *c)
{
    static char name[] = "stead-helper";
    char *argv[] = { name, NULL }, *env[] = { NULL };
    char byte;
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2];
    if (read(c->go, &byte, 1) != 1)
        _exit(125); /* stead is gone, or could not map us */
    if (cgroup_enter(c->cgroup) < 0)
        child_fail(c, "entering the cgroup");
    if (c->mapped && syscall(SYS_setgroups, 0, NULL) < 0)
        child_fail(c, "setgroups");
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        child_fail(c, "keeping capabilities");
    if (syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 || syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0)
        child_fail(c, "setresuid");
    if (syscall(SYS_capget, &h, d) < 0)
        child_fail(c, "capget");
    for (int i = 0; i < 2; i++) {
        d[i].effective = d[i].permitted;
        d[i].inheritable = d[i].permitted;
    }
    if (syscall(SYS_capset, &h, d) < 0)
        child_fail(c, "capset");
    for (int cap = 0; cap < 64; cap++)
        if (d[cap / 32].permitted & 1u << cap % 32 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            child_fail(c, "ambient capabilities");
    /* Descriptors: 0-2 nothing, 3 the socket, and the helper's until it is executed. Up first, then down. */
    int sock = fcntl(c->sock, F_DUPFD_CLOEXEC, 100), helper = fcntl(c->helper, F_DUPFD_CLOEXEC, 100);
    int null = fcntl(c->null, F_DUPFD_CLOEXEC, 100);
    if (sock < 0 || helper < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(sock, 3) < 0 ||
        dup3(helper, 4, O_CLOEXEC) < 0 || close_range(5, ~0u, 0) < 0)
        _exit(125);
    (void)syscall(SYS_execveat, 4, "", argv, env, AT_EMPTY_PATH);
    struct child_args after = *c;
    after.sock = 3;
    child_fail(&after, "executing the helper");
}

static int write_map(pid_t pid, const char *name, const char *text, struct err *e)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        err_sys(e, "user namespace: writing %s", name);
        e->kind = ERR_DENIED;
        native_hint(e);
        return -ERR_DENIED;
    }
    return 0;
}

static int map_identities(pid_t pid, const struct identity *id, struct err *e)
{
    char uids[64], gids[64];
    if (id->mapped) {
        (void)snprintf(uids, sizeof uids, "0 %u %u\n", IDENTITY_BASE, IDENTITY_COUNT);
        (void)snprintf(gids, sizeof gids, "%s", uids);
    } else {
        (void)snprintf(uids, sizeof uids, "%u %u 1\n", (unsigned)id->inside_uid, (unsigned)id->uid);
        (void)snprintf(gids, sizeof gids, "%u %u 1\n", (unsigned)id->inside_gid, (unsigned)id->gid);
    }
    int r = id->mapped ? 0 : write_map(pid, "setgroups", "deny", e);
    if (r >= 0)
        r = write_map(pid, "uid_map", uids, e);
    return r >= 0 ? write_map(pid, "gid_map", gids, e) : r;
}

/* Numbers on disk to host identities: one to one, but that 0 and IDENTITY_FOR_ROOT have changed places. */
static void disk_map(char *out, size_t size, bool swap)
{
    const unsigned b = IDENTITY_BASE, r = IDENTITY_FOR_ROOT;
    if (swap)
        (void)snprintf(out, size, "0 %u 1\n1 %u %u\n%u %u 1\n%u %u %u\n", b + r, b + 1, r - 1, r, b, r + 1, b + r + 1, IDENTITY_COUNT - r - 1);
    else
        (void)snprintf(out, size, "0 %u %u\n", b, IDENTITY_COUNT);
}

/*
 * A user namespace that nothing runs in: the kernel takes the mapping of identity-mapped mounts from one. It depends on the owner
 * of the workspace alone, so the next sandbox of this program finds it made.
 */
static int disk_userns(const struct identity *id, struct err *e)
{
    static int made[2][2] = { { -1, -1 }, { -1, -1 } };
    int *out = &made[id->disk_uid == 0][id->disk_gid == 0];
    char text[160], path[64];
    if (*out >= 0)
        return *out;
    int hold[2];
    if (pipe2(hold, O_CLOEXEC) < 0)
        return err_sys(e, "cannot make a pipe");
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0) {
        char byte;
        (void)close(hold[1]);
        (void)!read(hold[0], &byte, 1);
        _exit(0);
    }
    fd_close(&hold[0]);
    int r = pid < 0 ? err_sys(e, "cannot make a user namespace") : 0;
    if (r >= 0) {
        disk_map(text, sizeof text, id->disk_uid == 0);
        r = write_map(pid, "uid_map", text, e);
    }
    if (r >= 0) {
        disk_map(text, sizeof text, id->disk_gid == 0);
        r = write_map(pid, "gid_map", text, e);
    }
    if (r >= 0) {
        (void)snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
        r = *out = open(path, O_RDONLY | O_CLOEXEC);
        if (r < 0)
            r = err_sys(e, "cannot open a user namespace");
    }
    fd_close(&hold[1]);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
    return r;
}

/* The clone, which version 2 makes inside the cgroup: no waiting for the kernel, and never a moment outside. */
static pid_t clone_into(const struct cgroup *cgroup, unsigned long flags, int *pidfd)
{
    if (cgroup->version != 2)
        return (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, pidfd, NULL, 0);
    struct clone_args args = { .flags = flags | CLONE_INTO_CGROUP, .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD,
                               .cgroup = (uint64_t)cgroup->fds[0] };
    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

int native_spawn(const struct identity *id, const struct cgroup *cgroup, struct started *out, int *userns, struct err *e)
{
    AUTO(fd) int helper = helper_find(NULL, e);
    if (helper < 0)
        return helper;
    int pair[2], go[2], pidfd = -1;
    AUTO(fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, "cannot make the sandbox's socket");
    AUTO(fd) int ours = pair[0];
    AUTO(fd) int theirs = pair[1];
    if (pipe2(go, O_CLOEXEC) < 0)
        return err_sys(e, "cannot make a pipe");
    AUTO(fd) int go_read = go[0];
    AUTO(fd) int go_write = go[1];
    struct child_args c = { go_read, theirs, helper, null, id->inside_uid, id->inside_gid, id->mapped, cgroup };
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* no handler of ours may run in the clone */
    unsigned long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                          CLONE_PIDFD;
    pid_t pid = clone_into(cgroup, flags, &pidfd);
    if (pid == 0) {
        (void)close(go_write);
        (void)close(ours);
        child_run(&c);
    }
    int sys = errno;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pid < 0) {
        errno = sys;
        err_sys(e, "no isolation here: the kernel refuses new namespaces");
        e->kind = ERR_DENIED;
        native_hint(e);
        return -ERR_DENIED;
    }
    int r = map_identities(pid, id, e);
    if (id->mapped) /* the layout's limit of 1 cannot be had from inside where ours is 0 */
        (void)prlimit(pid, RLIMIT_CORE, &(struct rlimit){ 1, 1 }, NULL);
    if (r >= 0 && write(go_write, "g", 1) != 1)
        r = err_sys(e, "cannot start the helper");
    if (r < 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        fd_close(&pidfd);
        return r;
    }
    if (id->mapped && (*userns = disk_userns(id, e)) < 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        fd_close(&pidfd);
        return -(int)e->kind;
    }
    *out = (struct started){ pid, pidfd, take_fd(&ours) };
    return 0;
}
