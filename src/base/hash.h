/*
 * hash - SHA-256 (FIPS 180-4, by nettle) for content addressing, and random identifiers.
 */
#ifndef STEAD_BASE_HASH_H
#define STEAD_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define HASH_HEX_SIZE 65 /* 64 hexadecimal digits and the NUL */

struct hash_hex {
    char s[HASH_HEX_SIZE];
};

struct hash_state {
    _Alignas(16) unsigned char opaque[128]; /* struct sha256_ctx, static_assert in hash.c */
};

struct hash_hex hash_bytes(const void *data, size_t n);
/* The rest of an open file from its current position; negative with errno set on a read error. */
int hash_fd(int fd, struct hash_hex *out);

void hash_begin(struct hash_state *st);
void hash_add(struct hash_state *st, const void *data, size_t n);
struct hash_hex hash_end(struct hash_state *st);

/*
 * An identifier: prefix, 8 characters of time, 6 of randomness from the kernel, in base 32
 * (Crockford, lower case), so that identifiers sort by creation: "s" -> "s1jd5k2v0a7x9qm".
 */
#define ID_SIZE 24
void id_make(const char *prefix, char out[ID_SIZE]);

#endif
