/*
 * utf8 - decode and encode, strict (RFC 3629: no surrogates, no overlong forms, <= U+10FFFF).
 */
#ifndef STEAD_BASE_UTF8_H
#define STEAD_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Decode one character at s.p: its length (1..4), or 0 when cut at the end of s, or -1 invalid. */
int utf8_decode(struct span s, uint32_t *out);
int utf8_encode(uint32_t c, char out[4]); /* bytes written */
bool utf8_valid(struct span s);
/* Append, with each invalid byte replaced by U+FFFD. */
bool utf8_add_valid(struct buf *out, struct span s);
/* Largest n' <= n so that s[0..n') does not end inside a character. */
size_t utf8_cut(struct span s, size_t n);

#endif
