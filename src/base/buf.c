#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

void buf_init(struct buf *b, size_t limit_bytes)
{
    *b = (struct buf)BUF_INIT(limit_bytes);
}

void buf_finish(struct buf *b)
{
    free(b->p);
    *b = (struct buf)BUF_INIT(b->limit);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = 0;
    if (b->p)
        b->p[0] = '\0';
}

static bool fail(struct buf *b, enum err_kind kind)
{
    if (!b->failed)
        b->failed = (int)kind;
    return false;
}

/* Room for n more bytes and the NUL. */
static bool room(struct buf *b, size_t n)
{
    size_t want;
    if (b->failed)
        return false;
    if (!size_add(b->n, n, &want) || want > b->limit)
        return fail(b, ERR_LIMIT);
    if (want + 1 <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < want + 1)
        cap = cap > SIZE_MAX / 2 ? want + 1 : cap * 2;
    char *p = realloc(b->p, cap);
    if (!p)
        return fail(b, ERR_NOMEM);
    b->p = p;
    b->cap = cap;
    return true;
}

bool buf_add(struct buf *b, const void *data, size_t n)
{
    if (!room(b, n))
        return false;
    if (n)
        memcpy(b->p + b->n, data, n);
    b->n += n;
    b->p[b->n] = '\0';
    return true;
}

bool buf_addc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_adds(struct buf *b, const char *s)
{
    return buf_add(b, s, strlen(s));
}

bool buf_add_span(struct buf *b, struct span s)
{
    return buf_add(b, s.p, s.n);
}

bool buf_addv(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    bool ok = n >= 0 ? room(b, (size_t)n) : fail(b, ERR_INPUT);
    if (ok) {
        (void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return ok;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_addv(b, fmt, ap);
    va_end(ap);
    return ok;
}

bool buf_insert(struct buf *b, size_t at, const void *data, size_t n)
{
    if (at > b->n)
        return fail(b, ERR_INTERNAL);
    if (!room(b, n))
        return false;
    memmove(b->p + at + n, b->p + at, b->n - at);
    if (n)
        memcpy(b->p + at, data, n);
    b->n += n;
    b->p[b->n] = '\0';
    return true;
}

void buf_erase(struct buf *b, size_t at, size_t n)
{
    if (at >= b->n)
        return;
    if (n > b->n - at)
        n = b->n - at;
    memmove(b->p + at, b->p + at + n, b->n - at - n);
    b->n -= n;
    b->p[b->n] = '\0';
}

void buf_truncate(struct buf *b, size_t n)
{
    if (n < b->n) {
        b->n = n;
        b->p[n] = '\0';
    }
}

char *buf_reserve(struct buf *b, size_t n)
{
    return room(b, n) ? b->p + b->n : NULL;
}

void buf_commit(struct buf *b, size_t n)
{
    b->n += n;
    b->p[b->n] = '\0';
}

bool buf_add_json(struct buf *b, struct span s)
{
    static const char hex[] = "0123456789abcdef";
    buf_addc(b, '"');
    size_t start = 0, i = 0;
    while (i < s.n) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            i++;
            continue;
        }
        uint32_t cp;
        int len = c < 0x80 ? 1 : utf8_decode((struct span){ s.p + i, s.n - i }, &cp);
        if (c >= 0x80 && len > 0) {
            i += (size_t)len;
            continue;
        }
        buf_add(b, s.p + start, i - start);
        switch (c) {
        case '"':
            buf_adds(b, "\\\"");
            break;
        case '\\':
            buf_adds(b, "\\\\");
            break;
        case '\n':
            buf_adds(b, "\\n");
            break;
        case '\t':
            buf_adds(b, "\\t");
            break;
        case '\r':
            buf_adds(b, "\\r");
            break;
        default:
            if (c >= 0x80) {
                buf_adds(b, "\xef\xbf\xbd");
            } else {
                char u[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };
                buf_add(b, u, sizeof u);
            }
        }
        start = ++i;
    }
    if (s.n > start)
        buf_add(b, s.p + start, s.n - start);
    return buf_addc(b, '"');
}

const char *buf_str(const struct buf *b)
{
    return b->p ? b->p : "";
}

char *buf_take(struct buf *b)
{
    char *p = b->p ? b->p : calloc(1, 1);
    size_t limit = b->limit;
    *b = (struct buf)BUF_INIT(limit);
    return p;
}

int buf_check(const struct buf *b, struct err *e)
{
    if (!b->failed)
        return 0;
    if (b->failed == ERR_LIMIT)
        return err_set(e, ERR_LIMIT, "text exceeds %zu bytes", b->limit);
    if (b->failed == ERR_NOMEM)
        return err_set(e, ERR_NOMEM, "out of memory at %zu bytes", b->n);
    return err_set(e, (enum err_kind)b->failed, "text cannot be built");
}

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_eqs(struct span a, const char *s)
{
    return span_eq(a, span_of(s));
}

bool span_starts(struct span s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n >= n && memcmp(s.p, prefix, n) == 0;
}

bool span_ends(struct span s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

struct span span_trim(struct span s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct span span_sub(struct span s, size_t from, size_t n)
{
    if (from > s.n)
        from = s.n;
    if (n > s.n - from)
        n = s.n - from;
    return (struct span){ from ? s.p + from : s.p, n }; /* an empty span may have no bytes at all: NULL + 0 is undefined */
}

ptrdiff_t span_find(struct span hay, struct span needle)
{
    const char *p = memmem(hay.p, hay.n, needle.p, needle.n);
    return p ? p - hay.p : -1;
}

ptrdiff_t span_findc(struct span hay, char c)
{
    const char *p = hay.n ? memchr(hay.p, c, hay.n) : NULL;
    return p ? p - hay.p : -1;
}

bool span_line(struct span *rest, struct span *line)
{
    if (!rest->n)
        return false;
    ptrdiff_t at = span_findc(*rest, '\n');
    size_t used = at < 0 ? rest->n : (size_t)at + 1;
    *line = (struct span){ rest->p, at < 0 ? rest->n : (size_t)at };
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    rest->p += used;
    rest->n -= used;
    return true;
}

bool span_split(struct span *rest, char sep, struct span *field)
{
    if (!rest->p)
        return false;
    ptrdiff_t at = span_findc(*rest, sep);
    if (at < 0) {
        *field = *rest;
        *rest = (struct span){ NULL, 0 };
        return true;
    }
    *field = (struct span){ rest->p, (size_t)at };
    rest->p += at + 1;
    rest->n -= (size_t)at + 1;
    return true;
}

char *span_dup(struct span s)
{
    char *p = malloc(s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}
