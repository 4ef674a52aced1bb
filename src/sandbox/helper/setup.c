/*
 * setup - the walls, as steps in the order that stead gave. Each failure names its step and its object.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/helper/helper.h"

#define STEPS_MAX 256

static struct step {
    struct wire_step w;
    const char *src, *dst, *data;
    int source; /* detached mount, or -1 */
} steps[STEPS_MAX];
static size_t nsteps;
static int send_fd = -1;

static const char *const op_names[WIRE_OPS] = {
    [WIRE_OP_BIND] = "mounting", [WIRE_OP_INNER] = "mounting inside", [WIRE_OP_DIR] = "making directory",
    [WIRE_OP_LINK] = "making link", [WIRE_OP_FILE] = "making file", [WIRE_OP_TMPFS] = "mounting tmpfs on",
    [WIRE_OP_PROC] = "mounting proc on", [WIRE_OP_DEVPTS] = "mounting devpts on", [WIRE_OP_MASK] = "masking",
    [WIRE_OP_READONLY] = "making read-only", [WIRE_OP_OVERLAY] = "mounting overlay on", [WIRE_OP_COVER] = "covering",
    [WIRE_OP_LOOPBACK] = "starting loopback", [WIRE_OP_HOSTNAME] = "naming the host", [WIRE_OP_RLIMIT] = "setting a limit",
    [WIRE_OP_ALLOW] = "Landlock rule for", [WIRE_OP_WATCH] = "watching",
    [WIRE_OP_MEMORY] = "watching memory", [WIRE_OP_SYSCTL] = "setting",
};

static int fs_mount(const char *type, const char *key, const char *value, unsigned attr)
{
    int ctx = fsopen(type, FSOPEN_CLOEXEC);
    if (ctx < 0)
        return -1;
    int fd = -1;
    if ((!key || fsconfig(ctx, FSCONFIG_SET_STRING, key, value, 0) == 0) &&
        fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = fsmount(ctx, FSMOUNT_CLOEXEC, attr);
    int sys = errno;
    (void)close(ctx);
    errno = sys;
    return fd;
}

static int set_attr(int fd, unsigned flags)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID };
    if (!(flags & WIRE_STEP_DEV))
        attr.attr_set |= MOUNT_ATTR_NODEV;
    if (flags & WIRE_STEP_RO)
        attr.attr_set |= MOUNT_ATTR_RDONLY;
    if (flags & WIRE_STEP_NOEXEC)
        attr.attr_set |= MOUNT_ATTR_NOEXEC;
    return mount_setattr(fd, "", AT_EMPTY_PATH | (flags & WIRE_STEP_FLAT ? 0 : AT_RECURSIVE), &attr, sizeof attr);
}

static void open_source(struct step *s, int *fds, size_t nfds)
{
    s->source = -1;
    if (s->w.op == WIRE_OP_PROC) {
        /* Needs a fully visible proc in this namespace, so before the host's tree goes. hidepid hides process 1, which
         * is not dumpable, and nothing else: all others are ours to see. */
        s->source = fs_mount("proc", "hidepid", "invisible", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (s->source < 0)
            die("mounting proc", NULL);
        return;
    }
    if (s->w.op != WIRE_OP_BIND)
        return;
    if (s->w.fd >= 0 && (size_t)s->w.fd < nfds)
        s->source = fds[s->w.fd];
    else
        s->source = open_tree(AT_FDCWD, s->src,
                              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (s->w.flags & WIRE_STEP_FLAT ? 0 : AT_RECURSIVE));
    if (s->source < 0) {
        if (s->w.flags & WIRE_STEP_OPTIONAL)
            return;
        die("opening", s->src);
    }
    if (set_attr(s->source, s->w.flags) < 0)
        die("restricting the mount of", s->src);
}

void setup_steps(const char *p, size_t n, int *fds, size_t nfds)
{
    size_t at = 0;
    while (at + sizeof(struct wire_step) <= n) {
        struct step *s = &steps[nsteps];
        memcpy(&s->w, p + at, sizeof s->w);
        at += sizeof s->w;
        if (nsteps >= STEPS_MAX || s->w.len > n - at || s->w.op >= WIRE_OPS) {
            errno = EPROTO;
            die("reading the steps", NULL);
        }
        s->src = p + at;
        s->dst = s->src + strlen(s->src) + 1;
        s->data = s->dst + strlen(s->dst) + 1;
        at += s->w.len;
        nsteps++;
        open_source(s, fds, nfds);
    }
}

/* Directories on the way to `path` (and itself with `all`), made where they are missing: most are there, and asked for once. */
static int make_parents(const char *path, bool all)
{
    char part[4096];
    size_t n = strlen(path);
    if (n >= sizeof part) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const char *slash = strrchr(path, '/');
    if (!all)
        n = (size_t)(slash - path);
    memcpy(part, path, n);
    part[n] = '\0';
    if (n == 0 || mkdir(part, 0755) == 0 || errno == EEXIST)
        return 0;
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS)
            return -1;
        part[i] = path[i];
    }
    return 0;
}

static int write_file(const char *path, const char *data, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return -1;
    size_t n = strlen(data), at = 0;
    while (at < n) {
        ssize_t w = write(fd, data + at, n - at);
        if (w < 0)
            break;
        at += (size_t)w;
    }
    return close(fd) < 0 || at < n ? -1 : 0;
}

static int attach(struct step *s)
{
    struct stat st;
    if (s->source < 0)
        return 0; /* optional and absent */
    if (fstat(s->source, &st) < 0)
        return -1;
    if (make_parents(s->dst, S_ISDIR(st.st_mode)) < 0)
        return -1;
    if (!S_ISDIR(st.st_mode)) {
        int fd = open(s->dst, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
        if (fd >= 0)
            (void)close(fd);
    }
    int r = move_mount(s->source, "", AT_FDCWD, s->dst, MOVE_MOUNT_F_EMPTY_PATH);
    int sys = errno;
    (void)close(s->source);
    errno = sys;
    return r;
}

static int inner(struct step *s)
{
    s->source = open_tree(AT_FDCWD, s->src, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (s->source < 0 || (s->w.flags && set_attr(s->source, s->w.flags | WIRE_STEP_FLAT) < 0))
        return -1;
    return attach(s);
}

/* With /dev/null or one directory that is empty and stays so: a mount of its own for each would cost ten times as much. */
static int mask(struct step *s)
{
    static const char nothing[] = WIRE_PRIVATE "/nothing";
    static bool made;
    struct stat st;
    if (lstat(s->dst, &st) < 0)
        return errno == ENOENT ? 0 : -1;
    if (!S_ISDIR(st.st_mode))
        return mount("/dev/null", s->dst, NULL, MS_BIND, NULL);
    if (!made && (mkdir(nothing, 0755) < 0 ||
                  mount("none", nothing, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=755") < 0))
        return -1;
    made = true;
    return mount(nothing, s->dst, NULL, MS_BIND, NULL);
}

static int readonly(struct step *s)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID };
    struct stat st;
    if (s->w.flags & WIRE_STEP_OPTIONAL && lstat(s->dst, &st) < 0)
        return 0;
    if (strcmp(s->dst, "/") != 0 && mount(s->dst, s->dst, NULL, MS_BIND, NULL) < 0)
        return -1;
    return mount_setattr(AT_FDCWD, s->dst, 0, &attr, sizeof attr);
}

int overlay_mount(const char *target, const char *options)
{
    /* Names in the options are relative to the private directory, which no path leads to any more. */
    if (fchdir(H.private_fd) < 0)
        return -1;
    int r = mount("overlay", target, "overlay", MS_NOSUID | MS_NODEV, options);
    int sys = errno;
    (void)!chdir("/");
    errno = sys;
    return r;
}

static int loopback(void)
{
    struct ifreq r = { .ifr_name = "lo" };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    int rc = ioctl(fd, SIOCSIFFLAGS, &r);
    (void)close(fd);
    return rc;
}

static int limit(const struct step *s)
{
    struct rlimit now, want = { (rlim_t)s->w.a, (rlim_t)s->w.a };
    if (getrlimit((__rlimit_resource_t)s->w.fd, &now) < 0)
        return -1;
    if (want.rlim_max > now.rlim_max)
        want.rlim_max = want.rlim_cur = now.rlim_max;
    return setrlimit((__rlimit_resource_t)s->w.fd, &want);
}

static int sysctl(const struct step *s)
{
    int fd = open(s->dst, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, s->data, strlen(s->data));
    return close(fd) < 0 || n < 0 ? -1 : 0;
}

static int tmpfs(struct step *s)
{
    if (make_parents(s->dst, true) < 0)
        return -1;
    if (mount("none", s->dst, "tmpfs", MS_NOSUID | MS_NODEV, s->data) < 0)
        return -1;
    if (s->w.flags & WIRE_STEP_SEND)
        send_fd = open(s->dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

static int run(struct step *s)
{
    switch (s->w.op) {
    case WIRE_OP_BIND:
    case WIRE_OP_PROC: return attach(s);
    case WIRE_OP_INNER: return inner(s);
    case WIRE_OP_DIR:
        if (make_parents(s->dst, false) < 0 || (mkdir(s->dst, (mode_t)s->w.a) < 0 && errno != EEXIST))
            return -1;
        return chmod(s->dst, (mode_t)s->w.a);
    case WIRE_OP_LINK: return make_parents(s->dst, false) < 0 ? -1 : symlink(s->src, s->dst);
    case WIRE_OP_FILE: return make_parents(s->dst, false) < 0 ? -1 : write_file(s->dst, s->data, (unsigned)s->w.a);
    case WIRE_OP_TMPFS: return tmpfs(s);
    case WIRE_OP_DEVPTS:
        if (make_parents(s->dst, true) < 0)
            return -1;
        return mount("devpts", s->dst, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,max=64");
    case WIRE_OP_MASK: return mask(s);
    case WIRE_OP_READONLY: return readonly(s);
    case WIRE_OP_OVERLAY: return make_parents(s->dst, true) < 0 ? -1 : overlay_mount(s->dst, s->data);
    case WIRE_OP_COVER: return mount("none", WIRE_PRIVATE, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k,nr_inodes=2,mode=755");
    case WIRE_OP_LOOPBACK: return loopback();
    case WIRE_OP_HOSTNAME: return sethostname(s->src, strlen(s->src));
    case WIRE_OP_RLIMIT: return limit(s);
    case WIRE_OP_SYSCTL: return sysctl(s);
    case WIRE_OP_WATCH: watch_layer(s->dst, s->w.a, s->w.fd); return 0;
    case WIRE_OP_MEMORY: watch_memory(s->w.a); return 0;
    default: return 0; /* ALLOW comes later */
    }
}

/* The host's tree goes, an empty one comes. Its sources are held open as detached mounts. */
static void enter_new_root(void)
{
    static const char *const places[] = { "/tmp", "/mnt", "/proc", "/usr" };
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        die("making mounts private", NULL);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (mount("none", places[i], "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=755") < 0)
            continue;
        if (chdir(places[i]) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
            die("entering the new root", NULL);
        return;
    }
    die("mounting the new root", NULL);
}

/* What an overlay's owner needs: overlayfs works on its layers with the rights of whoever mounted it. And to see what processes hold. */
#define CAP_BIT(c) (1u << (c))
#define CAPS_KEPT                                                                                   \
    (CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) | \
     CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_SYS_PTRACE))

int cap_admin(bool on)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2] = { { 0 } };
    d[0].permitted = CAPS_KEPT;
    d[0].effective = on ? d[0].permitted : 0;
    return (int)syscall(SYS_capset, &h, d);
}

void drop_capabilities(void)
{
    struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct d[2] = { { 0 } };
    if (syscall(SYS_capset, &h, d) < 0)
        _exit(126);
}

static void drop_what_nobody_needs(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        die("no_new_privs", NULL);
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            die("dropping the capability bounding set", NULL);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                     SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
              0, 0, 0) < 0 ||
        cap_admin(false) < 0)
        die("dropping capabilities", NULL);
    struct sock_fprog prog = { (unsigned short)H.filter_len[0], H.filter[0] };
    if (prog.len && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
        die("installing the system call filter", NULL);
}

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define ACCESS_READ (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

/*
 * The second wall: read and run everything that is mounted, write only what the steps allow. It repeats what the
 * read-only mounts say, by another mechanism: a hole in one is not a hole in both.
 */
void setup_landlock(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 2 || H.no_landlock)
        return; /* without the REFER right every rename between directories would fail */
    uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    all |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        all |= LANDLOCK_ACCESS_FS_TRUNCATE;
    uint64_t handled = all;
    struct landlock_ruleset_attr attr = { .handled_access_fs = handled };
    int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr.handled_access_fs, 0);
    if (fd < 0)
        die("Landlock", NULL);
    int root = open("/", O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = { .allowed_access = ACCESS_READ, .parent_fd = root };
    if (root < 0 || syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        die("Landlock rule for", "/");
    (void)close(root);
    for (size_t i = 0; i < nsteps; i++) {
        if (steps[i].w.op != WIRE_OP_ALLOW)
            continue;
        struct stat st;
        int at = open(steps[i].dst, O_PATH | O_CLOEXEC);
        if (at < 0 || fstat(at, &st) < 0) {
            if (at >= 0)
                (void)close(at);
            if (steps[i].w.flags & WIRE_STEP_OPTIONAL)
                continue;
            die("Landlock rule for", steps[i].dst);
        }
        rule.parent_fd = at;
        rule.allowed_access = all & ~(uint64_t)(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK);
        if (!S_ISDIR(st.st_mode))
            rule.allowed_access &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                   LANDLOCK_ACCESS_FS_TRUNCATE;
        if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
            die("Landlock rule for", steps[i].dst);
        (void)close(at);
    }
    if (H.landlock >= 0)
        (void)close(H.landlock);
    H.landlock = fd;
}

void setup_run(int64_t go)
{
    H.notify = go & WIRE_GO_NOTIFY;
    H.no_landlock = go & WIRE_GO_NO_LANDLOCK;
    enter_new_root();
    if (mkdir(WIRE_PRIVATE, 0700) < 0 || (H.private_fd = open(WIRE_PRIVATE, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        die("making the private directory", NULL);
    for (size_t i = 0; i < nsteps; i++)
        if (run(&steps[i]) < 0 && !(steps[i].w.flags & WIRE_STEP_OPTIONAL))
            die(op_names[steps[i].w.op], steps[i].dst);
    struct stat st;
    if (stat("/proc", &st) == 0)
        H.proc_dev = st.st_dev;
    setup_landlock();
    drop_what_nobody_needs();
    reply(0, WIRE_READY, H.landlock >= 0, 0, 0, NULL, 0, send_fd);
    if (send_fd >= 0)
        (void)close(send_fd);
}
