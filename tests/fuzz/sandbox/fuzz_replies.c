/* What a helper that was taken over may answer: records of any type, size and content, to a read, a list, a command. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sandbox/sandbox-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;

static const uint16_t types[] = { WIRE_OK, WIRE_DATA, WIRE_EXIT, WIRE_FAIL, WIRE_TAIL, WIRE_TAKEN, WIRE_ACCEPT, WIRE_READY, 0, 999 };

static int64_t number(const uint8_t *p)
{
    static const int64_t odd[] = { INT64_MAX, INT64_MIN, -1, 0, 1, 2, 3, 4096 };
    return p[0] & 0x80 ? odd[p[0] & 7] : (int64_t)p[0] << (p[1] & 31);
}

/* Records for the first request (id 1): type, five bytes of numbers, length, content. */
static void queue(int fd, const uint8_t *p, size_t n)
{
    for (int records = 0; n >= 8 && records < 64; records++) {
        size_t len = p[6] < n - 8 ? p[6] : n - 8;
        struct wire w = { .type = types[p[0] % COUNT_OF(types)], .id = p[7] == 255 ? 2 : 1, .size = (uint64_t)p[7],
                          .a = number(p + 1), .b = number(p + 2), .c = number(p + 3) };
        struct iovec io[2] = { { &w, sizeof w }, { (void *)(uintptr_t)(p + 8), len } };
        struct msghdr m = { .msg_iov = io, .msg_iovlen = 2 };
        if (sendmsg(fd, &m, MSG_DONTWAIT) < 0)
            break;
        p += 8 + len;
        n -= 8 + len;
    }
    (void)!send(fd, p, n < 100 ? n : 100, MSG_DONTWAIT); /* and something too short to be one */
    (void)shutdown(fd, SHUT_WR);
}

static void ask(struct sandbox *sb, int what)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct sandbox_result r;
    struct sandbox_stat st;
    struct sandbox_entry *rows;
    size_t n;
    bool more;
    const char *const argv[] = { "x", NULL };
    struct sandbox_exec x = { .argv = argv, .out_cap_bytes = 512, .background = what == 3, .stdin_data = { "input", 5 } };
    switch (what) {
    case 0: (void)!sandbox_read(sb, "f", 0, 1 << 16, &out, &st, &e); break;
    case 1:
        if (sandbox_list(sb, "", 0, 0, &a, &rows, &n, &more, NULL, &e) >= 0)
            for (size_t i = 0; i < n; i++)
                if (strlen(rows[i].path) > 1 << 16)
                    abort();
        break;
    default:
        if (sandbox_exec(sb, &x, &out, &r, NULL, &e) >= 0 && memchr(r.spill_path, 0, sizeof r.spill_path) == NULL)
            abort();
    }
    if (strlen(e.text) >= sizeof e.text)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const env[] = { "A=b", NULL };
    struct err e = ERR_INIT;
    int pair[2];
    if (size < 9 || (!loop && loop_create(&loop, &e) < 0) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return 0;
    struct sandbox *sb = calloc(1, sizeof *sb);
    if (!sb)
        abort();
    sb->loop = loop;
    sb->p = (struct started){ 0, -1, pair[0] };
    sb->tmpfs_fd = -1;
    sb->env = env;
    sb->target = strdup("/w");
    buf_init(&sb->note, 100);
    arena_init(&sb->arena, 1000);
    queue(pair[1], data + 1, size - 1);
    if (client_attach(sb, &e) >= 0)
        ask(sb, data[0] & 3);
    sandbox_destroy(sb);
    (void)close(pair[1]);
    return 0;
}
