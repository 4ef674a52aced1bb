/*
 * layout - what the inside looks like, as steps for the helper. Policy lives here; the helper only carries it out.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/num.h"
#include "base/path.h"
#include "sandbox/sandbox-internal.h"

#define MIB (1ll << 20)
#define OPTION_MARKS ",:\\" /* what a name in overlayfs's options may not hold */
#define FIRST_PERSON 1000 /* user numbers below are the system's */

/* System directories: read-only, or the same link as on the host. */
static const char *const system_dirs[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/snap" };

/* What of /etc programs need to run. Nothing that names secrets, hosts or users of this machine. */
static const char *const etc_names[] = {
    "alternatives", "ca-certificates", "ca-certificates.conf", "chromium.d", "crypto-policies", "debian_version", "fonts", "gai.conf",
    "inputrc", "java", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "localtime", "lsb-release", "magic", "maven", "mime.types", "os-release", "perl", "pki", "protocols", "python3",
    "python3.11", "redhat-release", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone", "xml",
};

/* Toolchains that live below the home directory: the code, never the credentials beside it. */
static const char *const home_tools[] = {
    ".asdf/installs", ".asdf/shims", ".bun/bin", ".cargo/bin", ".deno/bin", ".ghcup/bin", ".ghcup/ghc", ".local/bin",
    ".local/lib", ".local/share/mise/installs", ".local/share/uv/python", ".nvm/versions", ".opam/default", ".pyenv",
    ".rbenv", ".rustup", ".sdkman/candidates", ".volta/bin", ".volta/tools", "go/bin", "sdk",
};

static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };

/* What of /proc tells about the host or acts on it. Most is unreachable for an unprivileged identity anyway. */
static const char *const proc_masked[] = {
    "/proc/acpi", "/proc/asound", "/proc/buddyinfo", "/proc/bus", "/proc/cmdline", "/proc/config.gz", "/proc/diskstats", "/proc/driver",
    "/proc/fs", "/proc/interrupts", "/proc/iomem", "/proc/ioports", "/proc/irq", "/proc/kallsyms", "/proc/kcore", "/proc/key-users",
    "/proc/keys", "/proc/kmsg", "/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/latency_stats", "/proc/locks",
    "/proc/modules", "/proc/mtrr", "/proc/pagetypeinfo", "/proc/partitions", "/proc/pressure", "/proc/sched_debug", "/proc/schedstat",
    "/proc/scsi", "/proc/slabinfo", "/proc/softirqs", "/proc/swaps", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/vmallocinfo",
    "/proc/zoneinfo",
};

/* Of the new user namespace. What is counted here is counted for our user outside as well, whose own programs need some of it. */
static const struct {
    const char *path, *value;
    unsigned unless;
} sysctls[] = {
    { "/proc/sys/user/max_user_namespaces", "0", SANDBOX_ALLOW_USERNS }, /* a second wall behind the filter's */
    { "/proc/sys/user/max_inotify_instances", "64", 0 },
    { "/proc/sys/user/max_inotify_watches", "65536", 0 },
    { "/proc/sys/user/max_fanotify_groups", "0", 0 },
};

static const struct {
    const char *name, *path;
} scratch_dirs[] = { { "tmp", "/tmp" }, { "vartmp", "/var/tmp" }, { "run", "/run" }, { "shm", "/dev/shm" } };

/* Names taken over from the host's environment. */
static const char *const env_names[] = {
    "LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "NO_COLOR", "CARGO_HOME", "RUSTUP_HOME", "PYENV_ROOT", "NVM_DIR",
    "JAVA_HOME", "GOROOT", "CI", "SOURCE_DATE_EPOCH", "MAKEFLAGS",
    "LC_ADDRESS", "LC_ALL", "LC_COLLATE", "LC_CTYPE", "LC_IDENTIFICATION", "LC_MEASUREMENT", "LC_MESSAGES", "LC_MONETARY", "LC_NAME",
    "LC_NUMERIC", "LC_PAPER", "LC_TELEPHONE", "LC_TIME", /* and no other: servers let any LC_* in, and some keep tokens in them */
};

void layout_finish(struct layout *p)
{
    for (size_t i = 0; i < p->nfds; i++)
        fd_close(&p->fds[i]);
    p->nfds = 0;
    buf_finish(&p->steps);
    buf_finish(&p->note);
    free(p->target);
    free(p->home);
    p->target = p->home = NULL;
}

int sandbox_parse_mount(const char *text, struct arena *a, struct sandbox_mount *out, struct err *e)
{
    struct span rest = span_of(text), part, parts[3];
    size_t n = 0;
    while (span_split(&rest, ':', &part)) {
        if (n == COUNT_OF(parts))
            return err_set(e, ERR_USAGE, "mount '%s': expected SRC[:DST][:ro|rw]", text);
        parts[n++] = part;
    }
    *out = (struct sandbox_mount){ 0 };
    if (n > 1 && (span_eqs(parts[n - 1], "rw") || span_eqs(parts[n - 1], "ro")))
        out->rw = span_eqs(parts[--n], "rw");
    if (!n || n > 2 || !parts[0].n || (n == 2 && (!parts[1].n || parts[1].p[0] != '/')))
        return err_set(e, ERR_USAGE, "mount '%s': expected SRC[:DST][:ro|rw] with an absolute DST", text);
    const char *src = arena_span(a, parts[0]);
    AUTO(ptr) char *real = src ? realpath(src, NULL) : NULL;
    if (!real)
        return err_sys(e, "mount '%s'", text);
    out->src = arena_strdup(a, real);
    /* A name inside is what the user wrote: a link on the host does not change where it appears. */
    out->dst = n == 2 ? arena_span(a, parts[1]) : src[0] == '/' ? src : arena_strdup(a, real);
    return out->src && out->dst ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static const struct {
    const char *name;
    enum sandbox_exception bit;
} exception_names[] = { { "userns", SANDBOX_ALLOW_USERNS }, { "ptrace", SANDBOX_ALLOW_PTRACE } };

int sandbox_parse_exception(const char *name, unsigned *exceptions, struct err *e)
{
    for (size_t i = 0; i < COUNT_OF(exception_names); i++)
        if (strcmp(name, exception_names[i].name) == 0) {
            *exceptions |= exception_names[i].bit;
            return 0;
        }
    return err_set(e, ERR_USAGE, "'%s' is no sandbox exception: there are userns and ptrace", name);
}

/* How programs say that they were refused. */
static const struct {
    const char *says;
    enum sandbox_exception bit;
} refusals[] = {
    { "ptrace: Operation not permitted", SANDBOX_ALLOW_PTRACE },                  /* gdb */
    { "PTRACE_TRACEME: Operation not permitted", SANDBOX_ALLOW_PTRACE },          /* strace */
    { "ptrace(PTRACE_TRACEME, ...): Operation not permitted", SANDBOX_ALLOW_PTRACE },
    { "ptrace(PTRACE_SEIZE", SANDBOX_ALLOW_PTRACE },
    { "LeakSanitizer does not work under ptrace", SANDBOX_ALLOW_PTRACE },
    { "No usable sandbox!", SANDBOX_ALLOW_USERNS },                               /* Chromium */
    { "Failed to move to new namespace", SANDBOX_ALLOW_USERNS },
    { "unshare failed: Operation not permitted", SANDBOX_ALLOW_USERNS },
    { "No permissions to create new namespace", SANDBOX_ALLOW_USERNS },           /* bubblewrap */
    { "cannot clone: Operation not permitted", SANDBOX_ALLOW_USERNS },            /* podman */
};

const char *sandbox_hint(const struct sandbox *sb, struct span output)
{
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        if (sb->exceptions & refusals[i].bit || span_find(output, span_of(refusals[i].says)) < 0)
            continue;
        return refusals[i].bit == SANDBOX_ALLOW_PTRACE
                   ? "debuggers are refused in the sandbox; --allow ptrace, or sandbox.allow: [ptrace] in the user's configuration, allows them"
                   : "nested user namespaces are refused in the sandbox; --allow userns, or sandbox.allow: [userns] in the user's configuration, allows them";
    }
    return NULL;
}

struct row {
    enum wire_op op;
    unsigned flags;
    const char *src, *dst, *data;
    int fd; /* to attach, owned by the layout; 0: none */
    int64_t a;
    int number; /* goes into the fd member where there is no descriptor (RLIMIT, WATCH) */
};

static void step(struct layout *p, struct row r)
{
    const char *src = r.src ? r.src : "", *dst = r.dst ? r.dst : "", *data = r.data ? r.data : "";
    struct wire_step w = { .op = (uint16_t)r.op, .flags = (uint16_t)r.flags, .fd = r.number ? r.number : -1, .a = r.a,
                           .len = (uint32_t)(strlen(src) + strlen(dst) + strlen(data) + 3) };
    if (r.op == WIRE_OP_RLIMIT || r.op == WIRE_OP_WATCH)
        w.fd = r.number;
    if (r.fd > 0) {
        if (p->nfds == WIRE_FDS) {
            (void)close(r.fd);
            p->steps.failed = ERR_LIMIT;
            return;
        }
        w.fd = (int)p->nfds;
        p->fds[p->nfds++] = r.fd;
    }
    buf_add(&p->steps, &w, sizeof w);
    buf_add(&p->steps, src, strlen(src) + 1);
    buf_add(&p->steps, dst, strlen(dst) + 1);
    buf_add(&p->steps, data, strlen(data) + 1);
}

/* Lines of /proc/self/uid_map or gid_map: does our namespace know `first` and the `count` after it; and what is 0 outside it? */
static bool map_covers(const char *path, int64_t first, int64_t count, int64_t *zero)
{
    struct err ignored;
    AUTO(buf) struct buf b = BUF_INIT(1 << 16);
    bool covers = false;
    if (file_read(path, 1 << 16, &b, &ignored) < 0)
        return false;
    struct span rest = buf_span(&b), line, word;
    while (span_line(&rest, &line)) {
        int64_t v[3] = { 0 };
        for (size_t n = 0; n < 3 && (line = span_trim(line)).n;) {
            ptrdiff_t space = span_findc(line, ' ');
            word = span_sub(line, 0, space < 0 ? line.n : (size_t)space);
            line = span_sub(line, word.n, line.n);
            if (parse_i64(word, 0, UINT32_MAX, &v[n++], &ignored) < 0)
                return false;
        }
        covers |= v[0] <= first && first + count <= v[0] + v[2];
        if (v[0] == 0 && v[2])
            *zero = v[1];
    }
    return covers;
}

/* Root of the machine has the block of identities to map to; root of a container of somebody's may not have it. */
static int root_maps(bool *mapped, struct err *e)
{
    int64_t uid = 0, gid = 0;
    if (access("/proc/self/uid_map", R_OK) < 0) {
        err_sys(e, "cannot read /proc/self/uid_map");
        err_hint(e, "mount /proc: mount -t proc proc /proc");
        e->kind = ERR_DENIED;
        return -ERR_DENIED;
    }
    bool uids = map_covers("/proc/self/uid_map", IDENTITY_BASE, IDENTITY_COUNT, &uid);
    bool gids = map_covers("/proc/self/gid_map", IDENTITY_BASE, IDENTITY_COUNT, &gid);
    *mapped = uids && gids;
    if (*mapped || (uid && gid))
        return 0; /* what is root here is nobody's root outside: as good as an ordinary user */
    err_set(e, ERR_DENIED, "as root of this container, the sandbox would act as root of the machine: there is no other identity to map to");
    err_hint(e, "run stead as an ordinary user of the container, or give it the identities from %u on", IDENTITY_BASE);
    return -ERR_DENIED;
}

/* Name and home directory by account; false: the number has none here. */
static bool account(uid_t uid, char name[64], char home[256])
{
    struct passwd pw, *found = NULL;
    char space[4096];
    if (getpwuid_r(uid, &pw, space, sizeof space, &found) != 0 || !found)
        return false;
    (void)snprintf(name, 64, "%s", found->pw_name);
    (void)snprintf(home, 256, "%s", found->pw_dir);
    return true;
}

int identity_of(const char *workspace, struct identity *out, struct err *e)
{
    struct stat st;
    *out = (struct identity){ .inside_uid = geteuid(), .inside_gid = getegid() };
    out->disk_uid = out->inside_uid;
    out->disk_gid = out->inside_gid;
    out->uid = out->inside_uid;
    out->gid = out->inside_gid;
    if (geteuid() == 0 && root_maps(&out->mapped, e) < 0)
        return -(int)e->kind;
    if (!out->mapped && geteuid() == 0) {
        out->inside_uid = IDENTITY_FOR_ROOT;
        out->inside_gid = IDENTITY_FOR_ROOT;
    }
    if (out->mapped) {
        if (workspace && stat(workspace, &st) < 0)
            return err_sys(e, "cannot open the workspace '%s'", workspace);
        out->disk_uid = workspace && st.st_uid < IDENTITY_COUNT ? st.st_uid : 0;
        out->disk_gid = workspace && st.st_gid < IDENTITY_COUNT ? st.st_gid : 0;
        out->inside_uid = out->disk_uid ? out->disk_uid : IDENTITY_FOR_ROOT;
        out->inside_gid = out->disk_gid ? out->disk_gid : IDENTITY_FOR_ROOT;
    }
    if (out->mapped) {
        out->uid = IDENTITY_BASE + out->inside_uid;
        out->gid = IDENTITY_BASE + out->inside_gid;
    }
    char ours[64];
    (void)account(geteuid(), ours, out->account[0]);
    /* whose number it is on this machine; root's has no name inside */
    bool known = out->disk_uid && account(out->disk_uid, out->name, out->account[1]);
    const char *home = getenv("HOME"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    if (!home || home[0] != '/' || !home[1])
        home = known ? out->account[1] : "/home/user";
    (void)snprintf(out->home, sizeof out->home, "%s", home);
    if (!known)
        (void)snprintf(out->name, sizeof out->name, "user");
    if (out->disk_uid < FIRST_PERSON)
        out->account[1][0] = '\0'; /* a service's home is what it serves */
    for (const char *s = out->name; *s; s++)
        if (*s == ':' || *s == '\n')
            return err_set(e, ERR_INPUT, "the user name of %u is malformed", (unsigned)out->inside_uid);
    return 0;
}

int sandbox_identity(const char *workspace, uid_t *uid, gid_t *gid, struct err *e)
{
    struct identity id;
    int r = identity_of(workspace, &id, e);
    if (r < 0)
        return r;
    /* Layers on disk are mounted with identities mapped back: what is made inside belongs to the workspace's owner. */
    *uid = id.disk_uid;
    *gid = id.disk_gid;
    return 0;
}

/*
 * A host directory or file, opened by us where the mapped identity could not reach it (a root-only parent): a
 * detached mount, with identities mapped where that is asked for.
 */
static int open_detached(const char *path, int userns, bool idmap, bool recursive, struct err *e)
{
    AUTO(fd) int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));
    if (fd < 0)
        return err_sys(e, "cannot mount '%s'", path);
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };
    if (idmap && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0) {
        int sys = errno;
        err_sys(e, "cannot map the owners of '%s'", path);
        if (sys == EINVAL || sys == EPERM || sys == EOPNOTSUPP)
            e->kind = ERR_UNSUPPORTED;
        err_hint(e, "its file system has no idmapped mounts: run stead as an ordinary user");
        return -(int)e->kind;
    }
    return take_fd(&fd);
}

static int bind_row(struct layout *p, int userns, const char *src, const char *dst, unsigned flags, bool idmap, struct err *e)
{
    struct row r = { .op = WIRE_OP_BIND, .flags = flags, .src = src, .dst = dst };
    if (userns >= 0) {
        int fd = open_detached(src, userns, idmap, !(flags & WIRE_STEP_FLAT) && !idmap, e);
        if (fd < 0)
            return fd;
        r.fd = fd;
        if (idmap)
            r.flags |= WIRE_STEP_FLAT;
    }
    step(p, r);
    return 0;
}

static void layout_system(struct layout *p)
{
    char target[PATH_MAX];
    struct stat st;
    for (size_t i = 0; i < COUNT_OF(system_dirs); i++) {
        const char *dir = system_dirs[i];
        if (lstat(dir, &st) < 0)
            continue;
        if (S_ISLNK(st.st_mode)) {
            ssize_t n = readlink(dir, target, sizeof target - 1);
            if (n > 0) {
                target[n] = '\0';
                step(p, (struct row){ .op = WIRE_OP_LINK, .src = target, .dst = dir });
            }
        } else {
            step(p, (struct row){ .op = WIRE_OP_BIND, .src = dir, .dst = dir, .flags = WIRE_STEP_RO | WIRE_STEP_OPTIONAL });
        }
    }
}

static void layout_file(struct layout *p, const char *path, const char *content)
{
    step(p, (struct row){ .op = WIRE_OP_FILE, .dst = path, .data = content, .a = 0644 });
}

static void layout_etc(struct layout *p, const struct identity *id)
{
    char src[256];
    struct stat st;
    char target[PATH_MAX];
    for (size_t i = 0; i < COUNT_OF(etc_names); i++) {
        (void)snprintf(src, sizeof src, "/etc/%s", etc_names[i]);
        if (lstat(src, &st) < 0)
            continue;
        ssize_t n = S_ISLNK(st.st_mode) ? readlink(src, target, sizeof target - 1) : -1;
        if (n > 0 && (strncmp(target, "/usr/", 5) == 0 || strncmp(target, "../usr/", 7) == 0)) {
            target[n] = '\0'; /* into what is mounted already: the link will do, and costs no mount */
            step(p, (struct row){ .op = WIRE_OP_LINK, .src = target, .dst = src });
        } else {
            step(p, (struct row){ .op = WIRE_OP_BIND, .src = src, .dst = src, .flags = WIRE_STEP_RO | WIRE_STEP_OPTIONAL | WIRE_STEP_NOEXEC });
        }
    }
    AUTO(buf) struct buf b = BUF_INIT(4096);
    unsigned uid = id->inside_uid, gid = id->inside_gid;
    if (uid)
        buf_addf(&b, "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n");
    buf_addf(&b, "%s:x:%u:%u::%s:/bin/sh\n", id->name, uid, gid, id->home);
    if (uid != 65534)
        buf_addf(&b, "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    layout_file(p, "/etc/passwd", buf_str(&b));
    buf_reset(&b);
    if (gid)
        buf_addf(&b, "root:x:0:\n");
    buf_addf(&b, "%s:x:%u:\n", id->name, gid);
    if (gid != 65534)
        buf_addf(&b, "nogroup:x:65534:\n");
    layout_file(p, "/etc/group", buf_str(&b));
    layout_file(p, "/etc/hosts", "127.0.0.1 localhost stead\n::1 localhost\n");
    layout_file(p, "/etc/hostname", "stead\n");
    layout_file(p, "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n");
    layout_file(p, "/etc/resolv.conf", "# no network\n");
    layout_file(p, "/etc/shells", "/bin/sh\n/bin/bash\n");
    layout_file(p, "/etc/gitconfig", "[user]\n\tname = stead\n\temail = stead@localhost\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n");
}

static void layout_dev(struct layout *p)
{
    char path[64];
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        (void)snprintf(path, sizeof path, "/dev/%s", devices[i]);
        step(p, (struct row){ .op = WIRE_OP_BIND, .src = path, .dst = path, .flags = WIRE_STEP_DEV | WIRE_STEP_NOEXEC });
    }
    step(p, (struct row){ .op = WIRE_OP_DEVPTS, .dst = "/dev/pts" });
    step(p, (struct row){ .op = WIRE_OP_LINK, .src = "pts/ptmx", .dst = "/dev/ptmx" });
    step(p, (struct row){ .op = WIRE_OP_LINK, .src = "/proc/self/fd", .dst = "/dev/fd" });
    step(p, (struct row){ .op = WIRE_OP_LINK, .src = "/proc/self/fd/0", .dst = "/dev/stdin" });
    step(p, (struct row){ .op = WIRE_OP_LINK, .src = "/proc/self/fd/1", .dst = "/dev/stdout" });
    step(p, (struct row){ .op = WIRE_OP_LINK, .src = "/proc/self/fd/2", .dst = "/dev/stderr" });
}

static void layout_proc(struct layout *p, unsigned exceptions)
{
    step(p, (struct row){ .op = WIRE_OP_PROC, .dst = "/proc", .flags = WIRE_STEP_NOEXEC });
    for (size_t i = 0; i < COUNT_OF(sysctls); i++)
        if (!(exceptions & sysctls[i].unless))
            step(p, (struct row){ .op = WIRE_OP_SYSCTL, .dst = sysctls[i].path, .data = sysctls[i].value, .flags = WIRE_STEP_OPTIONAL });
    step(p, (struct row){ .op = WIRE_OP_READONLY, .dst = "/proc/sys" });
    for (size_t i = 0; i < COUNT_OF(proc_masked); i++)
        if (access(proc_masked[i], F_OK) == 0) /* the host's proc has the same names: saves a failing step each */
            step(p, (struct row){ .op = WIRE_OP_MASK, .dst = proc_masked[i], .flags = WIRE_STEP_OPTIONAL });
}

/* One tmpfs with one limit behind everything that is private and gone at the end. */
static void layout_scratch(struct layout *p, const struct identity *id, const struct sandbox_limits *l)
{
    char options[128], src[64];
    long long bytes = l->scratch_bytes ? l->scratch_bytes : 1024 * MIB, inodes = l->inodes ? l->inodes : 1000000;
    (void)snprintf(options, sizeof options, "mode=755,size=%lld,nr_inodes=%lld", bytes < 0 ? 0 : bytes, inodes < 0 ? 0 : inodes);
    step(p, (struct row){ .op = WIRE_OP_TMPFS, .dst = WIRE_PRIVATE "/s", .data = options });
    for (size_t i = 0; i < COUNT_OF(scratch_dirs); i++) {
        (void)snprintf(src, sizeof src, WIRE_PRIVATE "/s/%s", scratch_dirs[i].name);
        step(p, (struct row){ .op = WIRE_OP_DIR, .dst = src, .a = i == 2 ? 0755 : 01777 });
        step(p, (struct row){ .op = WIRE_OP_INNER, .src = src, .dst = scratch_dirs[i].path });
        step(p, (struct row){ .op = WIRE_OP_ALLOW, .dst = scratch_dirs[i].path });
    }
    step(p, (struct row){ .op = WIRE_OP_DIR, .dst = WIRE_PRIVATE "/s/home", .a = 0755 });
    step(p, (struct row){ .op = WIRE_OP_INNER, .src = WIRE_PRIVATE "/s/home", .dst = id->home });
    step(p, (struct row){ .op = WIRE_OP_ALLOW, .dst = id->home });
}

static int layout_tools(struct layout *p, const struct identity *id, int userns, struct err *e)
{
    char path[PATH_MAX];
    struct stat st;
    for (size_t i = 0; i < COUNT_OF(home_tools); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", id->home, home_tools[i]);
        if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        int r = bind_row(p, userns, path, path, WIRE_STEP_RO | WIRE_STEP_OPTIONAL, false, e);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The longest directory that holds all of them, grown one path at a time. */
static void common_add(char **common, const char *path)
{
    if (!*common) {
        *common = strdup(path);
        if (*common && strrchr(*common, '/') > *common)
            *strrchr(*common, '/') = '\0';
        return;
    }
    for (;;) {
        size_t n = strlen(*common);
        if (strncmp(*common, path, n) == 0 && path[n] == '/')
            return;
        char *slash = strrchr(*common, '/');
        if (!slash || slash == *common)
            return;
        *slash = '\0';
    }
}

static bool on_tmpfs(const char *path)
{
    return strncmp(path, "tmpfs", 5) == 0 && (!path[5] || path[5] == ':');
}

/* The name of a layer as the helper sees it from its private directory. */
static int layer_name(const char *path, bool work, const char *home, struct buf *out, struct buf *dirs, struct err *e)
{
    if (on_tmpfs(path)) {
        const char *name = path[5] ? path + 6 : work ? "w0" : "u0";
        if (!path_is_safe_relative(name) || strpbrk(name, OPTION_MARKS))
            return err_set(e, ERR_INPUT, "layer name '%s' is not a name on a tmpfs", path);
        buf_addf(out, "t/%s", name);
        if (dirs) {
            buf_addf(dirs, "t/%s", name);
            buf_addc(dirs, '\0');
        }
        return 0;
    }
    size_t n = home ? strlen(home) : 0;
    if (!n || strncmp(path, home, n) != 0 || path[n] != '/')
        return err_set(e, ERR_UNSUPPORTED, "layer directory '%s' does not lie below '%s'", path, home ? home : "(none)");
    if (strpbrk(path + n + 1, OPTION_MARKS)) /* of the way to it only the end is an option of the mount */
        return err_set(e, ERR_UNSUPPORTED, "layer directory '%s' has a comma, colon or backslash in its name", path);
    buf_addf(out, "l/%s", path + n + 1);
    return 0;
}

int layout_overlay_options(const struct sandbox_overlay *o, const char *home, struct buf *options, struct buf *dirs, struct err *e)
{
    int r = 0;
    buf_adds(options, "lowerdir=");
    for (size_t i = 0; i + 1 < o->nlowers && r >= 0; i++) {
        r = layer_name(o->lowers[i], false, home, options, NULL, e);
        buf_addc(options, ':');
    }
    buf_adds(options, "w");
    if (r >= 0 && o->upper) {
        buf_adds(options, ",upperdir=");
        r = layer_name(o->upper, false, home, options, dirs, e);
        if (r >= 0) {
            const char *work = o->work && on_tmpfs(o->work) == on_tmpfs(o->upper) ? o->work : "tmpfs";
            buf_adds(options, ",workdir=");
            r = layer_name(work, true, home, options, dirs, e);
        }
    }
    if (r < 0)
        return r;
    buf_adds(options, ",userxattr");
    if (options->n > 4000) /* one page of mount options */
        return err_set(e, ERR_LIMIT, "too many layers: their names fill more than a page of mount options");
    return buf_check(options, e);
}

/* The directory behind the lower layer that is named as the workspace. */
static const char *source_of(const struct sandbox_spec *spec, const char *lower)
{
    return spec->base && strcmp(lower, spec->workspace) == 0 ? spec->base : lower;
}

/* The root of an upper directory becomes the workspace's root inside: its owner and mode count. */
int layout_prepare_upper(const struct sandbox_overlay *o, const char *workspace, const struct identity *id, struct err *e)
{
    struct stat st;
    if (!o->upper || on_tmpfs(o->upper))
        return 0;
    if (stat(workspace, &st) < 0)
        return err_sys(e, "cannot open the workspace '%s'", workspace);
    if (chmod(o->upper, st.st_mode & 0777) < 0)
        return err_sys(e, "cannot prepare the layer '%s'", o->upper);
    if (id->mapped && (chown(o->upper, id->disk_uid, id->disk_gid) < 0 || chown(o->work, id->disk_uid, id->disk_gid) < 0))
        return err_sys(e, "cannot prepare the layer '%s'", o->upper);
    return 0;
}

static int layout_layers(const struct sandbox_spec *spec, const struct identity *id, int userns, struct layout *p, struct err *e)
{
    const struct sandbox_overlay *o = &spec->overlay;
    char data[160];
    for (size_t i = 0; i + 1 < o->nlowers; i++)
        if (!on_tmpfs(o->lowers[i]))
            common_add(&p->home, o->lowers[i]);
    p->tmpfs = o->upper && on_tmpfs(o->upper);
    if (o->upper && !p->tmpfs) {
        if (!o->work)
            return err_set(e, ERR_INTERNAL, "an upper layer needs a work directory");
        common_add(&p->home, o->upper);
        common_add(&p->home, o->work);
    }
    int r = layout_prepare_upper(o, spec->workspace, id, e);
    if (r >= 0)
        r = bind_row(p, userns, source_of(spec, o->lowers[o->nlowers - 1]), WIRE_PRIVATE "/w", WIRE_STEP_RO | WIRE_STEP_FLAT, true, e);
    if (r >= 0 && p->home)
        r = bind_row(p, userns, p->home, WIRE_PRIVATE "/l", WIRE_STEP_FLAT, true, e);
    if (r < 0)
        return r;
    long long bytes = spec->limits.disk_bytes ? spec->limits.disk_bytes : 8192 * MIB;
    long long inodes = spec->limits.inodes ? spec->limits.inodes : 1000000;
    if (p->tmpfs) {
        (void)snprintf(data, sizeof data, "mode=755,size=%lld,nr_inodes=%lld", bytes < 0 ? 0 : bytes, inodes < 0 ? 0 : inodes);
        step(p, (struct row){ .op = WIRE_OP_TMPFS, .dst = WIRE_PRIVATE "/t", .data = data, .flags = WIRE_STEP_SEND });
    } else if (o->upper && (bytes > 0 || inodes > 0)) {
        step(p, (struct row){ .op = WIRE_OP_WATCH, .dst = "l", .a = bytes, .number = inodes > INT_MAX ? INT_MAX : (int)inodes });
    }
    AUTO(buf) struct buf options = BUF_INIT(1 << 20);
    AUTO(buf) struct buf dirs = BUF_INIT(4096);
    r = layout_overlay_options(o, p->home, &options, &dirs, e);
    if (r < 0)
        return r;
    struct stat st;
    if (stat(spec->workspace, &st) < 0)
        return err_sys(e, "cannot open the workspace '%s'", spec->workspace);
    for (size_t at = 0; at < dirs.n; at += strlen(dirs.p + at) + 1) {
        (void)snprintf(data, sizeof data, WIRE_PRIVATE "/%s", dirs.p + at);
        step(p, (struct row){ .op = WIRE_OP_DIR, .dst = data, .a = at ? 0755 : (int64_t)(st.st_mode & 0777) });
    }
    p->overlay = o->upper;
    step(p, (struct row){ .op = WIRE_OP_OVERLAY, .dst = p->target, .data = buf_str(&options) });
    if (o->upper)
        step(p, (struct row){ .op = WIRE_OP_ALLOW, .dst = p->target });
    return 0;
}

static int layout_workspace(const struct sandbox_spec *spec, const struct identity *id, int userns, struct layout *p, struct err *e)
{
    const struct sandbox_overlay *o = &spec->overlay;
    if (o->nlowers > 1 || o->upper)
        return layout_layers(spec, id, userns, p, e);
    if (o->bind) {
        int r = bind_row(p, userns, o->bind, p->target, (o->bind_rw ? 0 : WIRE_STEP_RO) | WIRE_STEP_FLAT, true, e);
        if (r >= 0 && o->bind_rw)
            step(p, (struct row){ .op = WIRE_OP_ALLOW, .dst = p->target });
        return r;
    }
    /* Read-only, and yet an overlay (over an empty directory): a bind mount, however read-only, would let programs
     * connect to sockets and write to named pipes that processes of the host have in the workspace. */
    int r = bind_row(p, userns, source_of(spec, o->nlowers ? o->lowers[0] : spec->workspace), WIRE_PRIVATE "/w", WIRE_STEP_RO | WIRE_STEP_FLAT, true, e);
    step(p, (struct row){ .op = WIRE_OP_DIR, .dst = WIRE_PRIVATE "/empty", .a = 0755 });
    step(p, (struct row){ .op = WIRE_OP_OVERLAY, .dst = p->target, .data = "lowerdir=w:empty,userxattr" });
    return r;
}

static int layout_mounts(const struct sandbox_spec *spec, int userns, struct layout *p, struct err *e)
{
    size_t n = strlen(p->target);
    for (size_t i = 0; i < spec->nmounts; i++) {
        const struct sandbox_mount *m = &spec->mounts[i];
        const char *dst = m->dst ? m->dst : m->src;
        struct stat st;
        if (m->src[0] != '/' || dst[0] != '/' || strstr(dst, "/../"))
            return err_set(e, ERR_USAGE, "mount '%s': both sides must be absolute paths", m->src);
        if (strncmp(dst, p->target, n) == 0 && (!dst[n] || dst[n] == '/'))
            return err_set(e, ERR_USAGE, "mount '%s': '%s' lies in the workspace; mount it beside", m->src, dst);
        if (stat(m->src, &st) < 0)
            return err_sys(e, "mount '%s'", m->src);
        int r = bind_row(p, userns, m->src, dst, m->rw ? 0 : WIRE_STEP_RO, true, e);
        if (r < 0)
            return r;
        if (m->rw)
            step(p, (struct row){ .op = WIRE_OP_ALLOW, .dst = dst });
    }
    return 0;
}

/* `path` is `dir` or lies in it, whichever links lead there; a path that does not exist lies where its parent does. */
static bool lies_in(const char *path, const char *dir)
{
    AUTO(ptr) char *top = realpath(dir, NULL), *at = strdup(path), *real = NULL;
    while (at && !(real = realpath(at, NULL))) {
        char *slash = strrchr(at, '/');
        if (!slash || slash == at)
            break;
        *slash = '\0';
    }
    size_t n = top ? strlen(top) : 0;
    return real && top && strncmp(real, top, n) == 0 && (!real[n] || real[n] == '/');
}

/* Inside, layers and approvals of all workspaces could be read, and a change could carry others of them out. */
static int refuse_state(const struct sandbox_spec *spec, struct err *e)
{
    if (!spec->state_dir)
        return 0;
    const char *holds = lies_in(spec->state_dir, spec->workspace) ? spec->workspace : NULL;
    for (size_t i = 0; i < spec->nmounts && !holds; i++)
        if (lies_in(spec->state_dir, spec->mounts[i].src))
            holds = spec->mounts[i].src;
    if (!holds)
        return 0;
    err_set(e, ERR_DENIED, "'%s' holds stead's own state (%s), which would be seen inside", holds, spec->state_dir);
    err_hint(e, "set STEAD_STATE_DIR to a directory elsewhere");
    return -ERR_DENIED;
}

/* Whose home directory the workspace is or holds: $HOME, which can be set to anything, and what the accounts say. */
static const char *holds_home(const char *workspace, const struct identity *id)
{
    const char *homes[] = { id->home, id->account[0], id->account[1] };
    size_t n = strlen(workspace);
    for (size_t i = 0; i < COUNT_OF(homes); i++) {
        AUTO(ptr) char *real = homes[i][0] == '/' ? realpath(homes[i], NULL) : NULL;
        const char *at[] = { homes[i], real };
        for (size_t k = 0; k < COUNT_OF(at); k++)
            if (at[k] && strlen(at[k]) > 1 && strncmp(at[k], workspace, n) == 0 && (!at[k][n] || at[k][n] == '/'))
                return homes[i];
    }
    return NULL;
}

/* A workspace that is or holds the home directory would carry every credential inside. */
static int refuse_dangerous(const char *workspace, const struct identity *id, struct err *e)
{
    static const char *const never[] = { "/", "/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/root/.ssh", "/run", "/sbin", "/sys", "/usr", "/var" };
    for (size_t i = 0; i < COUNT_OF(never); i++)
        if (strcmp(workspace, never[i]) == 0) {
            err_set(e, ERR_DENIED, "'%s' cannot be a workspace", workspace);
            err_hint(e, "start in the directory of a project, or name it with -C");
            return -ERR_DENIED;
        }
    const char *home = holds_home(workspace, id);
    if (home) {
        err_set(e, ERR_DENIED, "the workspace '%s' holds the home directory '%s': keys and tokens in it would be readable inside", workspace, home);
        err_hint(e, "start in the directory of a project, or name it with -C");
        return -ERR_DENIED;
    }
    return 0;
}

/* `no_cgroup`: the helper measures what all take together. Not by RLIMIT_DATA: sanitizers reserve terabytes that they never touch. */
static void layout_limits(const struct sandbox_limits *l, bool no_cgroup, struct layout *p)
{
    const struct {
        int resource;
        int64_t value;
    } rows[] = {
        { RLIMIT_CORE, 1 }, /* and not 0: with that, the host's handler (core_pattern with a pipe) is still started, as root */
        { RLIMIT_NPROC, l->pids < 0 ? -1 : l->pids ? l->pids : 1024 },
        { RLIMIT_NOFILE, 65536 },
        { RLIMIT_MEMLOCK, 8 * MIB },
        { RLIMIT_MSGQUEUE, 819200 },
        { RLIMIT_SIGPENDING, 8192 },
        { RLIMIT_RTPRIO, 0 },
        { RLIMIT_FSIZE, l->disk_bytes < 0 ? -1 : l->disk_bytes ? l->disk_bytes : 8192 * MIB },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].value >= 0)
            step(p, (struct row){ .op = WIRE_OP_RLIMIT, .number = rows[i].resource, .a = rows[i].value, .flags = WIRE_STEP_OPTIONAL });
    if (no_cgroup && l->memory_bytes > 0)
        step(p, (struct row){ .op = WIRE_OP_MEMORY, .a = l->memory_bytes });
}

int layout_make(const struct sandbox_spec *spec, const struct identity *id, int userns, bool no_cgroup, struct layout *p, struct err *e)
{
    *p = (struct layout){ .steps = BUF_INIT(WIRE_INLINE), .note = BUF_INIT(4096) };
    p->target = strdup(spec->overlay.target ? spec->overlay.target : spec->workspace);
    if (!p->target)
        return err_set(e, ERR_NOMEM, "out of memory");
    int r = refuse_dangerous(p->target, id, e);
    if (r >= 0)
        r = refuse_state(spec, e);
    if (r < 0)
        return r;
    layout_system(p);
    layout_etc(p, id);
    layout_dev(p);
    layout_proc(p, spec->exceptions);
    layout_scratch(p, id, &spec->limits);
    r = layout_workspace(spec, id, userns, p, e);
    if (r >= 0)
        r = layout_tools(p, id, userns, e);
    if (r >= 0)
        r = layout_mounts(spec, userns, p, e);
    if (r < 0)
        return r;
    step(p, (struct row){ .op = WIRE_OP_ALLOW, .dst = "/dev" });
    step(p, (struct row){ .op = WIRE_OP_ALLOW, .dst = "/proc" });
    step(p, (struct row){ .op = WIRE_OP_COVER });
    step(p, (struct row){ .op = WIRE_OP_READONLY, .dst = "/" });
    step(p, (struct row){ .op = WIRE_OP_LOOPBACK });
    step(p, (struct row){ .op = WIRE_OP_HOSTNAME, .src = "stead" });
    layout_limits(&spec->limits, no_cgroup, p);
    return buf_check(&p->steps, e);
}

static void env_set(struct arena *a, const char **rows, size_t *n, size_t max, const char *row)
{
    const char *eq = row ? strchr(row, '=') : NULL;
    if (!eq)
        return;
    for (size_t i = 0; i < *n; i++)
        if (strncmp(rows[i], row, (size_t)(eq - row) + 1) == 0) {
            rows[i] = row;
            return;
        }
    if (*n < max)
        rows[(*n)++] = row;
    (void)a;
}

int layout_environment(const struct sandbox_spec *spec, const struct identity *id, struct arena *a, const char *const **out, struct err *e)
{
    enum { MAX = 256 };
    const char **rows = arena_array(a, MAX + 1, sizeof *rows);
    size_t n = 0;
    if (!rows)
        return err_set(e, ERR_NOMEM, "out of memory");
    const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    env_set(a, rows, &n, MAX, arena_printf(a, "PATH=%s", path && *path ? path : "/usr/local/bin:/usr/bin:/bin"));
    env_set(a, rows, &n, MAX, arena_printf(a, "HOME=%s", id->home));
    env_set(a, rows, &n, MAX, arena_printf(a, "USER=%s", id->name));
    env_set(a, rows, &n, MAX, arena_printf(a, "LOGNAME=%s", id->name));
    env_set(a, rows, &n, MAX, "SHELL=/bin/sh");
    env_set(a, rows, &n, MAX, "TMPDIR=/tmp");
    env_set(a, rows, &n, MAX, "STEAD_SANDBOX=1");
    if (!(spec->exceptions & SANDBOX_ALLOW_PTRACE)) { /* the leak check attaches as a debugger does, and its failure is the program's */
        env_set(a, rows, &n, MAX, "ASAN_OPTIONS=detect_leaks=0");
        env_set(a, rows, &n, MAX, "LSAN_OPTIONS=detect_leaks=0");
    }
    for (size_t i = 0; i < COUNT_OF(env_names); i++) {
        const char *value = getenv(env_names[i]); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
        if (value)
            env_set(a, rows, &n, MAX, arena_printf(a, "%s=%s", env_names[i], value));
    }
    for (const char *const *s = spec->env_keep; s && *s; s++) {
        const char *value = getenv(*s); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
        if (value)
            env_set(a, rows, &n, MAX, arena_printf(a, "%s=%s", *s, value));
    }
    for (const char *const *s = spec->env; s && *s; s++)
        env_set(a, rows, &n, MAX, arena_strdup(a, *s));
    *out = rows;
    return 0;
}
