#include "base/utf8.h"

int utf8_decode(struct span s, uint32_t *out)
{
    if (!s.n)
        return 0;
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80) {
        *out = c;
        return 1;
    }
    int len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4)
        return -1;
    uint32_t v = c & (0xffu >> (len + 1));
    for (int i = 1; i < len; i++) {
        if ((size_t)i >= s.n)
            return 0;
        unsigned char d = (unsigned char)s.p[i];
        /* the second byte decides overlong forms, surrogates and the upper bound: RFC 3629 section 4 */
        if ((d & 0xc0) != 0x80)
            return -1;
        if (i == 1 && ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) ||
                       (c == 0xf4 && d > 0x8f)))
            return -1;
        v = v << 6 | (d & 0x3f);
    }
    *out = v;
    return len;
}

int utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool utf8_valid(struct span s)
{
    while (s.n) {
        uint32_t c;
        int n = utf8_decode(s, &c);
        if (n <= 0)
            return false;
        s.p += n;
        s.n -= (size_t)n;
    }
    return true;
}

bool utf8_add_valid(struct buf *out, struct span s)
{
    size_t start = 0, i = 0;
    while (i < s.n) {
        uint32_t c;
        int n = utf8_decode((struct span){ s.p + i, s.n - i }, &c);
        if (n > 0) {
            i += (size_t)n;
            continue;
        }
        buf_add(out, s.p + start, i - start);
        buf_adds(out, "\xef\xbf\xbd");
        start = ++i;
    }
    return s.n > start ? buf_add(out, s.p + start, s.n - start) : !out->failed;
}

size_t utf8_cut(struct span s, size_t n)
{
    if (n >= s.n)
        return s.n;
    size_t cut = n;
    while (cut > 0 && n - cut < 4 && ((unsigned char)s.p[cut] & 0xc0) == 0x80)
        cut--;
    return ((unsigned char)s.p[cut] & 0xc0) == 0x80 ? n : cut;
}
