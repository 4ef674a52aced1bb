#include "base/hash.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct hash_state), "hash_state holds nettle's context");

static struct sha256_ctx *ctx_of(struct hash_state *st)
{
    return (struct sha256_ctx *)(void *)st->opaque;
}

void hash_begin(struct hash_state *st)
{
    sha256_init(ctx_of(st));
}

void hash_add(struct hash_state *st, const void *data, size_t n)
{
    sha256_update(ctx_of(st), n, data);
}

struct hash_hex hash_end(struct hash_state *st)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct hash_hex out;
    sha256_digest(ctx_of(st), sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        out.s[2 * i] = hex[digest[i] >> 4];
        out.s[2 * i + 1] = hex[digest[i] & 15];
    }
    out.s[2 * sizeof digest] = '\0';
    return out;
}

struct hash_hex hash_bytes(const void *data, size_t n)
{
    struct hash_state st;
    hash_begin(&st);
    hash_add(&st, data, n);
    return hash_end(&st);
}

int hash_fd(int fd, struct hash_hex *out)
{
    struct hash_state st;
    char chunk[65536];
    hash_begin(&st);
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        hash_add(&st, chunk, (size_t)n);
    }
    *out = hash_end(&st);
    return 0;
}

void id_make(const char *prefix, char out[ID_SIZE])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint64_t t = (uint64_t)clock_unix_ms();
    uint64_t r = 0;
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r)
        r = (uint64_t)clock_us() * 0x9e3779b97f4a7c15u ^ (uint64_t)getpid() << 32;
    char tail[15];
    /* 8 digits hold 2^40 units of 4 ms: until the year 2109 */
    for (int i = 7, shift = 2; i >= 0; i--, shift += 5)
        tail[i] = digits[t >> shift & 31];
    for (int i = 8; i < 14; i++, r >>= 5)
        tail[i] = digits[r & 31];
    tail[14] = '\0';
    (void)snprintf(out, ID_SIZE, "%.8s%s", prefix, tail);
}
