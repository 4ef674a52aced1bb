#include "sandbox/filter.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "sandbox/sandbox.h"

#define NO(call, err, why) { call, SECCOMP_EVERYONE, err, 0, -1, 0, 0, 0, 0, 0, why }
#define NO_COMMAND(call, err, unless_, why) { call, SECCOMP_COMMANDS, err, unless_, -1, 0, 0, 0, 0, 0, why }
#define IF(call, scope_, err, unless_, arg_, mask_, value_, why) { call, scope_, err, unless_, arg_, mask_, value_, 0, 0, 0, why }
/* Sockets of one family, by their type (without its flags) or protocol. */
#define TYPE(family, type, why) { "socket", SECCOMP_EVERYONE, ESOCKTNOSUPPORT, 0, 0, ~0u, family, 1, 0xf, type, why }
#define PROTOCOL(family, n, why) { "socket", SECCOMP_EVERYONE, EPROTONOSUPPORT, 0, 0, ~0u, family, 2, ~0u, n, why }
#define PROTOCOL_ABOVE(family, n, why) { "socket", SECCOMP_EVERYONE, EPROTONOSUPPORT, 0, 0, ~0u, family, 2, 0, n, why }
/* A new limit for core files is answered as if it had been set: 0 is what scripts ask for, and 1 is what keeps the host's handler away. */
#define CORE_LIMIT(call, arg_, new_) { call, SECCOMP_COMMANDS, 0, 0, arg_, ~0u, 4, new_, 0, 0, "a crash must not start the host's core_pattern" }
/* Process 1 has the commands' identity, so that the kernel lets them change its limits and its turn. */
#define HELPER(call, arg_, why) { call, SECCOMP_COMMANDS, EPERM, 0, arg_, ~0u, 1, 0, 0, 0, why }

const struct seccomp_row seccomp_rows[] = {
    /* the kernel itself */
    NO("bpf", EPERM, "programs in the kernel: the richest source of local root"),
    NO("perf_event_open", EPERM, "large attack surface, and watches others"),
    NO("userfaultfd", EPERM, "lets an exploit stop the kernel at a chosen instant"),
    NO("io_uring_setup", ENOSYS, "its operations pass no system call filter"),
    NO("io_uring_enter", ENOSYS, "its operations pass no system call filter"),
    NO("io_uring_register", ENOSYS, "its operations pass no system call filter"),
    NO("kexec_load", EPERM, "replaces the kernel"),
    NO("kexec_file_load", EPERM, "replaces the kernel"),
    NO("init_module", EPERM, "kernel modules"),
    NO("finit_module", EPERM, "kernel modules"),
    NO("delete_module", EPERM, "kernel modules"),
    NO("create_module", ENOSYS, "kernel modules"),
    NO("reboot", EPERM, "the machine is not ours"),
    NO("swapon", EPERM, "the machine is not ours"),
    NO("swapoff", EPERM, "the machine is not ours"),
    NO("acct", EPERM, "the machine is not ours"),
    NO("syslog", EPERM, "the kernel's log shows addresses and other users' events"),
    NO("quotactl", EPERM, "file system administration"),
    NO("quotactl_fd", EPERM, "file system administration"),
    NO("nfsservctl", ENOSYS, "obsolete"),
    NO("uselib", ENOSYS, "obsolete"),
    NO("ustat", ENOSYS, "obsolete"),
    NO("sysfs", ENOSYS, "obsolete"),
    NO("_sysctl", ENOSYS, "obsolete"),
    NO("lookup_dcookie", EPERM, "kernel profiling"),
    NO("vm86", ENOSYS, "16-bit code"),
    NO("vm86old", ENOSYS, "16-bit code"),
    NO("modify_ldt", ENOSYS, "16-bit segments: has been root more than once"),
    NO("iopl", EPERM, "hardware ports"),
    NO("ioperm", EPERM, "hardware ports"),
    NO("settimeofday", EPERM, "the clock is not ours"),
    NO("stime", EPERM, "the clock is not ours"),
    NO("clock_settime", EPERM, "the clock is not ours"),
    NO("vhangup", EPERM, "the terminal is not ours"),
    NO("memfd_secret", ENOSYS, "memory that no limit and no debugger sees"),
    IF("personality", SECCOMP_EVERYONE, EPERM, 0, 0, 0x00400000ul, 0x00400000ul, "READ_IMPLIES_EXEC turns data into code"),
    /* keys and identities */
    NO("add_key", EPERM, "the kernel's key rings are not in a namespace"),
    NO("request_key", EPERM, "the kernel's key rings are not in a namespace"),
    NO("keyctl", EPERM, "the kernel's key rings are not in a namespace"),
    /* other processes */
    NO_COMMAND("ptrace", EPERM, SANDBOX_ALLOW_PTRACE, "debuggers: policy may allow them (sandbox: allow: [ptrace])"),
    NO_COMMAND("process_vm_readv", EPERM, SANDBOX_ALLOW_PTRACE, "debuggers"),
    NO_COMMAND("process_vm_writev", EPERM, SANDBOX_ALLOW_PTRACE, "debuggers"),
    NO_COMMAND("pidfd_getfd", EPERM, SANDBOX_ALLOW_PTRACE, "takes descriptors out of other processes"),
    NO_COMMAND("kcmp", EPERM, SANDBOX_ALLOW_PTRACE, "compares other processes' objects"),
    CORE_LIMIT("prlimit64", 1, 2),
    CORE_LIMIT("setrlimit", 0, 1),
    HELPER("prlimit64", 0, "the helper without descriptors could not measure"),
    HELPER("sched_setscheduler", 0, "the helper must get its turn: it keeps the time and the limits"),
    HELPER("sched_setparam", 0, "the helper must get its turn"),
    HELPER("sched_setattr", 0, "the helper must get its turn"),
    HELPER("sched_setaffinity", 0, "the helper must get its turn"),
    HELPER("setpriority", 1, "the helper must get its turn"),
    HELPER("ioprio_set", 1, "the helper must get its turn"),
    IF("setpriority", SECCOMP_COMMANDS, EPERM, 0, 0, ~0u, 2, "by user: that is the helper too, and for an ordinary user what runs outside"),
    IF("ioprio_set", SECCOMP_COMMANDS, EPERM, 0, 0, ~0u, 3, "by user: that is the helper too, and for an ordinary user what runs outside"),
    NO("process_madvise", EPERM, "changes other processes' memory"),
    NO("move_pages", EPERM, "changes other processes' memory"),
    NO("migrate_pages", EPERM, "changes other processes' memory"),
    /* mounts and namespaces */
    NO_COMMAND("mount", EPERM, SANDBOX_ALLOW_USERNS, "the tree is fixed"),
    NO_COMMAND("umount2", EPERM, SANDBOX_ALLOW_USERNS, "the tree is fixed"),
    NO_COMMAND("umount", EPERM, SANDBOX_ALLOW_USERNS, "the tree is fixed"),
    NO_COMMAND("pivot_root", EPERM, SANDBOX_ALLOW_USERNS, "the tree is fixed"),
    NO_COMMAND("chroot", EPERM, SANDBOX_ALLOW_USERNS, "the tree is fixed"),
    NO_COMMAND("open_tree", EPERM, 0, "the tree is fixed"),
    NO_COMMAND("open_tree_attr", EPERM, 0, "the tree is fixed"),
    NO_COMMAND("move_mount", EPERM, 0, "the tree is fixed"),
    NO_COMMAND("fsopen", EPERM, 0, "file system code reads what an attacker wrote"),
    NO_COMMAND("fsconfig", EPERM, 0, "file system code reads what an attacker wrote"),
    NO_COMMAND("fsmount", EPERM, 0, "the tree is fixed"),
    NO_COMMAND("fspick", EPERM, 0, "the tree is fixed"),
    NO_COMMAND("mount_setattr", EPERM, 0, "the tree is fixed"),
    NO_COMMAND("setns", EPERM, 0, "no other namespace is ours"),
    NO_COMMAND("unshare", EPERM, SANDBOX_ALLOW_USERNS, "nested user namespaces open the kernel's privileged paths (sandbox: allow: [userns])"),
    NO_COMMAND("clone3", ENOSYS, 0, "its flags lie in memory, where no filter sees them: callers fall back to clone"),
    IF("clone", SECCOMP_COMMANDS, EPERM, SANDBOX_ALLOW_USERNS, 0, 0x10000000ul, 0x10000000ul, "nested user namespaces"),
    IF("clone", SECCOMP_COMMANDS, EPERM, SANDBOX_ALLOW_USERNS, 0, 0x00020000ul, 0x00020000ul, "nested mount namespaces"),
    IF("clone", SECCOMP_COMMANDS, EPERM, SANDBOX_ALLOW_USERNS, 0, 0x20000000ul, 0x20000000ul, "nested PID namespaces"),
    IF("clone", SECCOMP_COMMANDS, EPERM, SANDBOX_ALLOW_USERNS, 0, 0x40000000ul, 0x40000000ul, "nested network namespaces"),
    IF("clone", SECCOMP_COMMANDS, EPERM, SANDBOX_ALLOW_USERNS, 0, 0x08000000ul, 0x08000000ul, "nested IPC namespaces"),
    IF("clone", SECCOMP_COMMANDS, EPERM, SANDBOX_ALLOW_USERNS, 0, 0x04000000ul, 0x04000000ul, "nested UTS namespaces"),
    IF("clone", SECCOMP_COMMANDS, EPERM, SANDBOX_ALLOW_USERNS, 0, 0x02000000ul, 0x02000000ul, "nested cgroup namespaces"),
    /* files */
    NO("open_by_handle_at", EPERM, "opens by inode number, past every directory"),
    NO("fanotify_init", EPERM, "watches whole file systems"),
    IF("chmod", SECCOMP_COMMANDS, EPERM, 0, 1, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("fchmod", SECCOMP_COMMANDS, EPERM, 0, 1, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("fchmodat", SECCOMP_COMMANDS, EPERM, 0, 2, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("fchmodat2", SECCOMP_COMMANDS, EPERM, 0, 2, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("mknod", SECCOMP_COMMANDS, EPERM, 0, 1, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("mknodat", SECCOMP_COMMANDS, EPERM, 0, 2, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("open", SECCOMP_COMMANDS, EPERM, 0, 2, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("openat", SECCOMP_COMMANDS, EPERM, 0, 3, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    IF("creat", SECCOMP_COMMANDS, EPERM, 0, 1, S_ISUID, S_ISUID, "a set-user-ID file would lie in the layer, on the host's disk"),
    NO_COMMAND("openat2", ENOSYS, 0, "its mode (set-user-ID) lies in memory, where no filter sees it: callers fall back to openat"),
    IF("fcntl", SECCOMP_COMMANDS, EPERM, 0, 1, 0xffffffffu, 1024, "a lease on a file that is shared with the host makes the host's writers wait"),
    NO_COMMAND("io_setup", ENOSYS, 0, "its contexts are counted for the whole machine (fs.aio-max-nr)"),
    /* sockets: only unix (1), inet (2), inet6 (10), netlink (16) */
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, 0, 16, "AF_VSOCK, AF_ALG, ...: not covered by a network namespace, or needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 3, "AX.25: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 4, "IPX: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 5, "AppleTalk: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 6, "NET/ROM: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 7, "bridges: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 8, "ATM: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 9, "X.25: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 11, "ROSE: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 12, "DECnet: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 13, "LLC: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 14, "security: needless surface"),
    IF("socket", SECCOMP_EVERYONE, EAFNOSUPPORT, 0, 0, ~0ul, 15, "PF_KEY: needless surface"),
    /* what a socket's type or protocol would load: modules that few have looked at */
    TYPE(2, 5, "SCTP: needless surface"),
    TYPE(10, 5, "SCTP: needless surface"),
    TYPE(2, 6, "DCCP: needless surface"),
    TYPE(10, 6, "DCCP: needless surface"),
    PROTOCOL(2, 132, "SCTP: needless surface"),
    PROTOCOL(10, 132, "SCTP: needless surface"),
    PROTOCOL(2, 136, "UDP-Lite: needless surface"),
    PROTOCOL(10, 136, "UDP-Lite: needless surface"),
    /* netlink: only routes (0), sockets (4) and device events (15) */
    PROTOCOL(16, 5, "the packet filter's log"),
    PROTOCOL(16, 6, "IPsec: needless surface"),
    PROTOCOL(16, 7, "SELinux's events"),
    PROTOCOL(16, 8, "iSCSI"),
    PROTOCOL(16, 9, "the audit log is not in a namespace"),
    PROTOCOL(16, 10, "needless surface"),
    PROTOCOL(16, 11, "events of all processes of the machine"),
    PROTOCOL(16, 12, "packet filters: has been root more than once"),
    PROTOCOL(16, 14, "DECnet"),
    PROTOCOL_ABOVE(16, 15, "generic netlink, RDMA, ciphers: needless surface"),
    /* terminals */
    IF("ioctl", SECCOMP_COMMANDS, EPERM, 0, 1, 0xffffffffu, 0x5412, "TIOCSTI types into a terminal"),
    IF("ioctl", SECCOMP_COMMANDS, EPERM, 0, 1, 0xffffffffu, 0x541c, "TIOCLINUX pastes into a console"),
    IF("ioctl", SECCOMP_COMMANDS, EPERM, 0, 1, 0xffffffffu, 0x541d, "TIOCCONS takes the console"),
    IF("ioctl", SECCOMP_COMMANDS, EPERM, 0, 1, 0xffffffffu, 0x5423, "TIOCSETD loads line disciplines"),
};
const unsigned seccomp_row_count = COUNT_OF(seccomp_rows);

/* Calls newer than these were not looked at: they are answered as an older kernel would. */
#define NEWEST_KNOWN 469 /* file_setattr, Linux 6.17 */

/* Names that the libseccomp of a current distribution does not know yet; later numbers are the same on every architecture. */
static const struct {
    const char *name;
    int nr;
} later_calls[] = { { "fchmodat2", 452 }, { "open_tree_attr", 467 } };

int seccomp_call_number(const char *name)
{
    int nr = seccomp_syscall_resolve_name(name);
    for (size_t i = 0; nr == __NR_SCMP_ERROR && i < COUNT_OF(later_calls); i++)
        if (strcmp(later_calls[i].name, name) == 0)
            nr = later_calls[i].nr;
    return nr;
}

static const char *const renames[] = { "rename", "renameat", "renameat2" };

static struct scmp_arg_cmp condition(int arg, unsigned long mask, unsigned long value)
{
    if (mask)
        return (struct scmp_arg_cmp){ .arg = (unsigned)arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value };
    return (struct scmp_arg_cmp){ .arg = (unsigned)arg, .op = SCMP_CMP_GT, .datum_a = value };
}

static int add_row(scmp_filter_ctx ctx, const struct seccomp_row *row)
{
    int nr = seccomp_call_number(row->name);
    uint32_t action = SCMP_ACT_ERRNO((uint32_t)row->error);
    if (nr < 0)
        return 0;
    if (row->arg < 0)
        return seccomp_rule_add(ctx, action, nr, 0);
    const struct scmp_arg_cmp cmp[] = { condition(row->arg, row->mask, row->value), condition(row->also, row->also_mask, row->also_value) };
    return seccomp_rule_add_array(ctx, action, nr, row->also ? 2 : 1, cmp);
}

static int fill(scmp_filter_ctx ctx, enum seccomp_scope scope, unsigned exceptions, bool notify)
{
    for (unsigned i = 0; i < seccomp_row_count; i++) {
        const struct seccomp_row *row = &seccomp_rows[i];
        if (row->scope == scope && !(row->unless & exceptions)) {
            int r = add_row(ctx, row);
            if (r < 0)
                return r;
        }
    }
    for (size_t i = 0; notify && i < COUNT_OF(renames); i++) {
        int nr = seccomp_syscall_resolve_name(renames[i]);
        int r = nr < 0 ? 0 : seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, nr, 0);
        if (r < 0)
            return r;
    }
    return 0;
}

static int export(scmp_filter_ctx ctx, struct buf *out, struct err *e)
{
    AUTO(fd) int fd = memfd_create("seccomp", MFD_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot make the system call filter");
    int r = seccomp_export_bpf(ctx, fd);
    if (r < 0) {
        errno = -r;
        return err_sys(e, "cannot make the system call filter");
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, "cannot make the system call filter");
    return file_read_fd(fd, "system call filter", 16 << 10, out, e);
}

int seccomp_compile(enum seccomp_scope scope, unsigned exceptions, bool notify, struct buf *out, struct err *e)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    if (!ctx)
        return err_set(e, ERR_NOMEM, "cannot make the system call filter: out of memory");
    (void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    int r = fill(ctx, scope, exceptions, notify);
    if (r < 0)
        r = err_set(e, ERR_INTERNAL, "cannot make the system call filter: libseccomp error %d", -r);
    if (r >= 0 && scope == SECCOMP_EVERYONE) {
        /* In front of libseccomp's program: what is newer than this table does not exist. On x86-64 that
         * covers the x32 calls too, whose numbers have bit 30 set. Only for our own architecture's numbers. */
        const struct sock_filter head[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
            BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_KNOWN, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        };
        buf_add(out, head, sizeof head);
    }
    if (r >= 0)
        r = export(ctx, out, e);
    seccomp_release(ctx);
    return r < 0 ? r : buf_check(out, e);
}
