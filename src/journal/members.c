#include "journal/members.h"

#include <limits.h>

#include "base/utf8.h"

struct scan {
    const char *p, *end;
    const char *why;
};

static bool fail(struct scan *s, const char *why)
{
    if (!s->why)
        s->why = why;
    return false;
}

static void space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
        s->p++;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool scan_string(struct scan *s)
{
    if (s->p >= s->end || *s->p != '"')
        return fail(s, "a string is expected");
    for (s->p++; s->p < s->end; s->p++) {
        unsigned char c = (unsigned char)*s->p;
        if (c == '"') {
            s->p++;
            return true;
        }
        if (c < 0x20)
            return fail(s, "a control character stands in a string");
        if (c != '\\')
            continue;
        if (++s->p >= s->end)
            break;
        if (*s->p == 'u') {
            if (s->end - s->p < 5 || !is_hex(s->p[1]) || !is_hex(s->p[2]) || !is_hex(s->p[3]) || !is_hex(s->p[4]))
                return fail(s, "a \\u escape is malformed");
            s->p += 4;
        } else if (!memchr("\"\\/bfnrt", *s->p, 8)) { /* NOLINT(bugprone-not-null-terminated-result): eight letters, not the end */
            return fail(s, "an escape is unknown");
        }
    }
    return fail(s, "a string has no end");
}

static bool scan_digits(struct scan *s)
{
    if (s->p >= s->end || !is_digit(*s->p))
        return fail(s, "a number is malformed");
    while (s->p < s->end && is_digit(*s->p))
        s->p++;
    return true;
}

static bool scan_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p + 1 < s->end && *s->p == '0' && is_digit(s->p[1]))
        return fail(s, "a number starts with 0");
    if (!scan_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return fail(s, "a value is expected");
    s->p += n;
    return true;
}

static bool scan_value(struct scan *s, int depth);

/* After '{' or '[': the items up to and with the closing bracket. */
static bool scan_items(struct scan *s, char close, int depth)
{
    space(s);
    if (s->p < s->end && *s->p == close) {
        s->p++;
        return true;
    }
    for (;;) {
        space(s);
        if (close == '}') {
            if (!scan_string(s))
                return false;
            space(s);
            if (s->p >= s->end || *s->p != ':')
                return fail(s, "':' is missing after a name");
            s->p++;
            space(s);
        }
        if (!scan_value(s, depth))
            return false;
        space(s);
        if (s->p >= s->end)
            return fail(s, "it ends too early");
        if (*s->p == close) {
            s->p++;
            return true;
        }
        if (*s->p != ',')
            return fail(s, "',' is missing between members");
        s->p++;
    }
}

static bool scan_value(struct scan *s, int depth)
{
    if (s->p >= s->end)
        return fail(s, "it ends too early");
    switch (*s->p) {
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    case '{':
    case '[':
        if (depth >= MEMBERS_DEPTH)
            return fail(s, "it is nested too deep");
        s->p++;
        return scan_items(s, s->p[-1] == '{' ? '}' : ']', depth + 1);
    default:
        if (*s->p == '-' || is_digit(*s->p))
            return scan_number(s);
        return fail(s, "a value is expected");
    }
}

int members_check(struct span object, struct err *e)
{
    struct scan s = { object.p, object.p + object.n, NULL };
    if (!object.n || *s.p != '{')
        return err_set(e, ERR_INPUT, "not a JSON object");
    if (!scan_value(&s, 0))
        return err_set(e, ERR_INPUT, "not valid JSON: %s, at byte %td", s.why, s.p - object.p);
    if (s.p != s.end)
        return err_set(e, ERR_INPUT, "not valid JSON: something follows the object, at byte %td", s.p - object.p);
    if (!utf8_valid(object))
        return err_set(e, ERR_INPUT, "not valid JSON: bytes that are not UTF-8");
    return 0;
}

struct members members_of(struct span object)
{
    struct members it = { object.p, object.p + object.n };
    if (object.n && (*it.p == '{' || *it.p == '['))
        it.p++;
    else
        it.p = it.end;
    return it;
}

static enum member_kind kind_of(char c)
{
    switch (c) {
    case '"': return MEMBER_STRING;
    case '{': return MEMBER_OBJECT;
    case '[': return MEMBER_ARRAY;
    case 't':
    case 'f': return MEMBER_BOOL;
    case 'n': return MEMBER_NULL;
    default: return MEMBER_NUMBER;
    }
}

static bool next(struct members *it, struct member *out, bool named)
{
    struct scan s = { it->p, it->end, NULL };
    space(&s);
    if (s.p < s.end && *s.p == ',')
        s.p++;
    space(&s);
    it->p = it->end; /* unless this succeeds */
    out->name = (struct span){ "", 0 };
    if (named) {
        const char *from = s.p;
        if (!scan_string(&s))
            return false;
        out->name = (struct span){ from + 1, (size_t)(s.p - from) - 2 };
        space(&s);
        if (s.p >= s.end || *s.p != ':')
            return false;
        s.p++;
        space(&s);
    }
    const char *from = s.p;
    if (!scan_value(&s, 0))
        return false;
    out->kind = kind_of(*from);
    out->raw = (struct span){ from, (size_t)(s.p - from) };
    it->p = s.p;
    return true;
}

bool members_next(struct members *it, struct member *out)
{
    return next(it, out, true);
}

bool members_next_item(struct members *it, struct member *out)
{
    return next(it, out, false);
}

bool member_i64(const struct member *m, int64_t *out)
{
    if (m->kind != MEMBER_NUMBER)
        return false;
    const char *p = m->raw.p, *end = p + m->raw.n;
    bool negative = *p == '-';
    if (negative)
        p++;
    int64_t v = 0;
    for (; p < end && is_digit(*p); p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            return false;
    for (; p < end; p++)
        if (*p == 'e' || *p == 'E')
            return false; /* no event of ours has one */
    *out = negative ? -v : v;
    return true;
}

bool member_bool(const struct member *m, bool *out)
{
    if (m->kind != MEMBER_BOOL)
        return false;
    *out = m->raw.p[0] == 't';
    return true;
}

static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        v = v * 16 + (uint32_t)(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return v;
}

/* One \uXXXX at p (after the backslash), with its low surrogate where it has one. Returns bytes read. */
static size_t unescape_u(const char *p, const char *end, struct buf *out)
{
    uint32_t c = hex4(p + 1);
    size_t n = 5;
    if (c >= 0xd800 && c < 0xdc00 && end - p >= 11 && p[5] == '\\' && p[6] == 'u') {
        uint32_t low = hex4(p + 7);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            n = 11;
        }
    }
    char u[4];
    int len = c >= 0xd800 && c < 0xe000 ? utf8_encode(0xfffd, u) : utf8_encode(c, u);
    buf_add(out, u, (size_t)len);
    return n;
}

bool member_text(const struct member *m, struct buf *out)
{
    if (m->kind != MEMBER_STRING)
        return false;
    const char *p = m->raw.p + 1, *end = m->raw.p + m->raw.n - 1;
    while (p < end) {
        const char *esc = memchr(p, '\\', (size_t)(end - p));
        if (!esc) {
            buf_add(out, p, (size_t)(end - p));
            break;
        }
        buf_add(out, p, (size_t)(esc - p));
        p = esc + 1;
        if (*p == 'u') {
            p += unescape_u(p, end, out);
            continue;
        }
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *at = memchr(from, *p, sizeof from - 1);
        buf_addc(out, at ? to[at - from] : *p);
        p++;
    }
    return true;
}

bool member_span(const struct member *m, struct span *out)
{
    if (m->kind != MEMBER_STRING || memchr(m->raw.p, '\\', m->raw.n))
        return false;
    *out = (struct span){ m->raw.p + 1, m->raw.n - 2 };
    return true;
}
