/* The system call filters: the table's shape, and what the compiled programs decide. */
#include "support/test.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "sandbox/filter.h"
#include "sandbox/sandbox.h"

static void rows__have_a_reason_and_are_unique(void **state)
{
    (void)state;
    assert_true(seccomp_row_count > 80);
    for (unsigned i = 0; i < seccomp_row_count; i++) {
        const struct seccomp_row *a = &seccomp_rows[i];
        if (!a->reason || strlen(a->reason) < 4)
            fail_msg("row %u (%s) has no reason", i, a->name);
        if (seccomp_call_number(a->name) == -1) /* the row would be left out in silence */
            fail_msg("'%s' is a name that neither libseccomp nor the table of later calls knows", a->name);
        for (unsigned k = i + 1; k < seccomp_row_count; k++) {
            const struct seccomp_row *b = &seccomp_rows[k];
            if (strcmp(a->name, b->name) == 0 && a->arg == b->arg && a->mask == b->mask && a->value == b->value &&
                a->also == b->also && a->also_mask == b->also_mask && a->also_value == b->also_value)
                fail_msg("%s stands twice", a->name);
        }
    }
}

/* Enough of classic BPF to run what libseccomp writes. */
static uint32_t decide3(const struct buf *program, long nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
    struct seccomp_data d = { .nr = (int)nr, .args = { a0, a1, a2 } };
    const struct sock_filter *f = (const void *)program->p;
    size_t n = program->n / sizeof *f;
    uint32_t acc = 0;
#if defined(__x86_64__)
    d.arch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    d.arch = AUDIT_ARCH_AARCH64;
#endif
    for (size_t pc = 0; pc < n; pc++) {
        const struct sock_filter *i = &f[pc];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS: memcpy(&acc, (const char *)&d + i->k, 4); break;
        case BPF_ALU | BPF_AND | BPF_K: acc &= i->k; break;
        case BPF_JMP | BPF_JA: pc += i->k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: pc += acc == i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JGT | BPF_K: pc += acc > i->k ? i->jt : i->jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: pc += acc >= i->k ? i->jt : i->jf; break;
        case BPF_RET | BPF_K: return i->k;
        default: fail_msg("instruction %x is not known to this test", i->code);
        }
    }
    fail_msg("the program has no end");
    return 0;
}

static uint32_t decide(const struct buf *program, long nr, uint64_t a0, uint64_t a1)
{
    return decide3(program, nr, a0, a1, 0);
}

#define REFUSED(e) (SECCOMP_RET_ERRNO | (e))

static void programs__decide(void **state)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf all = BUF_INIT(1 << 20), commands = BUF_INIT(1 << 20), open = BUF_INIT(1 << 20);
    (void)state;
    assert_ok(seccomp_compile(SECCOMP_EVERYONE, 0, false, &all, &e), &e);
    assert_ok(seccomp_compile(SECCOMP_COMMANDS, 0, true, &commands, &e), &e);
    assert_ok(seccomp_compile(SECCOMP_COMMANDS, SANDBOX_ALLOW_USERNS | SANDBOX_ALLOW_PTRACE, false, &open, &e), &e);
    assert_true(all.n / 8 < 1000 && commands.n / 8 < 1000);
    assert_int_equal(decide(&all, SYS_read, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&all, SYS_bpf, 0, 0), REFUSED(EPERM));
    assert_int_equal(decide(&all, 425, 0, 0), REFUSED(ENOSYS)); /* io_uring_setup */
    assert_int_equal(decide(&all, 470, 0, 0), REFUSED(ENOSYS)); /* newer than the table */
    assert_int_equal(decide(&all, 100000, 0, 0), REFUSED(ENOSYS));
    assert_int_equal(decide(&all, 0x40000000 + SYS_bpf, 0, 0), REFUSED(ENOSYS)); /* x32 */
    assert_int_equal(decide(&all, SYS_socket, AF_INET, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&all, SYS_socket, AF_UNIX, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&all, SYS_socket, AF_NETLINK, 0), SECCOMP_RET_ALLOW);
    for (int family = 3; family < 60; family++)
        if (family != AF_INET6 && family != AF_NETLINK)
            assert_int_equal(decide(&all, SYS_socket, (uint64_t)family, 0), REFUSED(EAFNOSUPPORT));
    assert_int_equal(decide(&all, SYS_socket, 0x100000000u + AF_INET, 0), REFUSED(EAFNOSUPPORT));
    assert_int_equal(decide(&all, SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&all, SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&all, SYS_socket, AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC), REFUSED(ESOCKTNOSUPPORT));
    assert_int_equal(decide(&all, SYS_socket, AF_INET6, SOCK_DCCP), REFUSED(ESOCKTNOSUPPORT));
    assert_int_equal(decide3(&all, SYS_socket, AF_INET, SOCK_STREAM, 6), SECCOMP_RET_ALLOW);
    assert_int_equal(decide3(&all, SYS_socket, AF_INET, SOCK_STREAM, 132), REFUSED(EPROTONOSUPPORT));
    for (unsigned protocol = 0; protocol < 40; protocol++) {
        bool allowed = protocol < 5 || protocol == 13 || protocol == 15;
        assert_int_equal(decide3(&all, SYS_socket, AF_NETLINK, SOCK_RAW, protocol), allowed ? SECCOMP_RET_ALLOW : REFUSED(EPROTONOSUPPORT));
    }
    assert_int_equal(decide(&commands, SYS_prlimit64, 0, 7), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&commands, SYS_prlimit64, 1, 7), REFUSED(EPERM));
    assert_int_equal(decide(&commands, SYS_prlimit64, 0xffffffff00000001u, 7), REFUSED(EPERM));
    assert_int_equal(decide3(&commands, SYS_prlimit64, 0, 4, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide3(&commands, SYS_prlimit64, 0, 4, 0x7000), REFUSED(0));
    assert_int_equal(decide3(&commands, SYS_prlimit64, 0, 7, 0x7000), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&commands, SYS_setrlimit, 4, 0x7000), REFUSED(0));
    assert_int_equal(decide(&commands, SYS_setpriority, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&commands, SYS_setpriority, 0, 1), REFUSED(EPERM));
    assert_int_equal(decide(&commands, SYS_setpriority, 2, 0), REFUSED(EPERM));
    assert_int_equal(decide(&commands, SYS_clone, 17, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&commands, SYS_clone, 17 | CLONE_NEWUSER, 0), REFUSED(EPERM));
    assert_int_equal(decide(&commands, SYS_clone, 17 | CLONE_NEWNS | CLONE_NEWNET, 0), REFUSED(EPERM));
    assert_int_equal(decide(&commands, 435, 0, 0), REFUSED(ENOSYS)); /* clone3 */
    assert_int_equal(decide(&commands, SYS_ioctl, 0, 0x5412), REFUSED(EPERM));
    assert_int_equal(decide(&commands, SYS_ioctl, 0, 0xffffffff00005412u), REFUSED(EPERM)); /* the kernel looks at 32 bits */
    assert_int_equal(decide(&commands, SYS_ioctl, 0, 0x5401), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&commands, SYS_fchmod, 0, 0755), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&commands, SYS_fchmod, 0, 04755), REFUSED(EPERM));
    assert_int_equal(decide3(&commands, 452, 0, 0, 04755), REFUSED(EPERM)); /* fchmodat2 */
    assert_int_equal(decide(&commands, 437, 0, 0), REFUSED(ENOSYS));        /* openat2 */
    assert_int_equal(decide(&commands, 467, 0, 0), REFUSED(EPERM));         /* open_tree_attr */
    assert_int_equal(decide(&open, 467, 0, 0), REFUSED(EPERM));
    assert_int_equal(decide(&commands, SYS_fcntl, 0, 1024), REFUSED(EPERM)); /* F_SETLEASE */
    assert_int_equal(decide(&commands, SYS_fcntl, 0, 1025), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&commands, SYS_renameat2, 0, 0) & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_USER_NOTIF);
    assert_int_equal(decide(&commands, SYS_ptrace, 0, 0), REFUSED(EPERM));
    assert_int_equal(decide(&open, SYS_ptrace, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&open, SYS_unshare, CLONE_NEWUSER, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(decide(&open, SYS_renameat2, 0, 0), SECCOMP_RET_ALLOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(rows__have_a_reason_and_are_unique), cmocka_unit_test(programs__decide) };
    return cmocka_run_group_tests_name("sandbox/filter", tests, NULL, NULL);
}
