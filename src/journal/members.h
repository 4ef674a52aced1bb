/*
 * members - the top-level members of one JSON object, walked in place: no tree, no allocation.
 *
 *     if (members_check(text, e) < 0) ...                   // a whole, valid object on one line
 *     struct members it = members_of(text);
 *     struct member m;
 *     while (members_next(&it, &m))
 *         if (span_eqs(m.name, "ttft_ms")) member_i64(&m, &v);
 *
 * For events, which are many and flat; documents with shape are bound with base/bind.h. Names are
 * compared as written (the names that we use need no escapes). Walk only what members_check has passed.
 */
#ifndef STEAD_JOURNAL_MEMBERS_H
#define STEAD_JOURNAL_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define MEMBERS_DEPTH 64

enum member_kind { MEMBER_NULL, MEMBER_BOOL, MEMBER_NUMBER, MEMBER_STRING, MEMBER_ARRAY, MEMBER_OBJECT };

struct member {
    struct span name; /* without quotes */
    enum member_kind kind;
    struct span raw;  /* the value as written; of a string with its quotes */
};

struct members {
    const char *p, *end;
};

/* One JSON object (RFC 8259), UTF-8, without line breaks, at most MEMBERS_DEPTH deep. */
int members_check(struct span object, struct err *e) WARN_UNUSED;

struct members members_of(struct span object);
bool members_next(struct members *it, struct member *out);
/* The items of an array: as members without a name. */
bool members_next_item(struct members *it, struct member *out);

/* False when the member has another kind. A number with a fraction is rounded towards zero. */
bool member_i64(const struct member *m, int64_t *out);
bool member_bool(const struct member *m, bool *out);
/* Unescaped, appended to out; false for another kind. */
bool member_text(const struct member *m, struct buf *out);
/* A string without escapes, in place (no quotes); false for others. */
bool member_span(const struct member *m, struct span *out);

#endif
