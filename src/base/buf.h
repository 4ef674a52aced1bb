/*
 * buf - the one growing byte string; span - a borrowed slice of bytes.
 *
 *     AUTO(buf) struct buf b = BUF_INIT(LIMIT_BYTES);
 *     buf_addf(&b, "%s=%zu\n", name, n);
 *     buf_add(&b, data, len);
 *     if (buf_check(&b, e) < 0) return err_wrap(e, "building the request");
 *
 * Always NUL-terminated (b.p is never NULL once something was added; use buf_str), may contain
 * NULs. Has a limit because every buffer has a largest sensible size. Appends are sticky: after one
 * fails the rest do nothing, what was there stays, and one buf_check at the end reports it.
 */
#ifndef STEAD_BASE_BUF_H
#define STEAD_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct span {
    const char *p;
    size_t n;
};

struct buf {
    char *p;      /* owned; NUL-terminated; NULL while empty and never grown */
    size_t n;     /* bytes in use, without the NUL */
    size_t cap;   /* bytes allocated */
    size_t limit; /* most bytes it may hold */
    int failed;   /* 0, or the err_kind of the first failed append */
};

#define BUF_INIT(limit_bytes) { NULL, 0, 0, (limit_bytes), 0 }

/* literal or C string to span */
#define SPAN(lit) ((struct span){ (lit), sizeof(lit) - 1 })
static inline struct span span_of(const char *s)
{
    return (struct span){ s ? s : "", s ? strlen(s) : 0 };
}
static inline struct span buf_span(const struct buf *b)
{
    return (struct span){ b->p ? b->p : "", b->n };
}

void buf_init(struct buf *b, size_t limit_bytes);
void buf_finish(struct buf *b); /* frees; the limit stays, the buffer is empty and usable */
void buf_reset(struct buf *b);  /* empties, keeps memory, clears a failure */
static inline void buf_auto(struct buf *b)
{
    buf_finish(b);
}

bool buf_add(struct buf *b, const void *data, size_t n);
bool buf_addc(struct buf *b, char c);
bool buf_adds(struct buf *b, const char *s);
bool buf_add_span(struct buf *b, struct span s);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_addv(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
bool buf_insert(struct buf *b, size_t at, const void *data, size_t n);
void buf_erase(struct buf *b, size_t at, size_t n); /* clamps to what is there */
void buf_truncate(struct buf *b, size_t n);

/* Room for n more bytes at the returned pointer (then buf_commit what was written), or NULL. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* JSON string with quotes, RFC 8259; bytes that are not UTF-8 become U+FFFD. */
bool buf_add_json(struct buf *b, struct span s);

const char *buf_str(const struct buf *b); /* never NULL; "" when empty */
char *buf_take(struct buf *b);            /* the malloc'd string (yours, never NULL unless out of memory); b is empty */
int buf_check(const struct buf *b, struct err *e) WARN_UNUSED;

/* spans */
bool span_eq(struct span a, struct span b);
bool span_eqs(struct span a, const char *s);
bool span_starts(struct span s, const char *prefix);
bool span_ends(struct span s, const char *suffix);
struct span span_trim(struct span s);               /* ASCII white space off both ends */
struct span span_sub(struct span s, size_t from, size_t n); /* clamped */
ptrdiff_t span_find(struct span hay, struct span needle);   /* offset or -1 */
ptrdiff_t span_findc(struct span hay, char c);
/* Cut the next line off *rest (without its \n or \r\n): false when *rest is empty. */
bool span_line(struct span *rest, struct span *line);
/* Cut the next field at `sep`: false when nothing is left (rest->p NULL). An empty input has one empty field. */
bool span_split(struct span *rest, char sep, struct span *field);
char *span_dup(struct span s); /* malloc'd C string, or NULL out of memory */

#endif
