#include "term/width.h"

#include <locale.h>
#include <wchar.h>

#include "base/utf8.h"

int width_char(uint32_t c)
{
    static locale_t utf8;
    if (c < 0x20 || c == 0x7f)
        return 0;
    if (c < 0x7f)
        return 1;
    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
    if (!utf8)
        return 1;
    locale_t old = uselocale(utf8);
    int n = wcwidth((wchar_t)c);
    (void)uselocale(old);
    return n < 0 ? 1 : n;
}

/* Bytes of one of our own style sequences (ESC [ ... m) at p, or 0. */
static size_t style_bytes(struct span s)
{
    if (s.n < 3 || s.p[0] != '\033' || s.p[1] != '[')
        return 0;
    for (size_t i = 2; i < s.n && i < 24; i++)
        if (s.p[i] >= 0x40 && s.p[i] <= 0x7e)
            return i + 1;
    return 0;
}

/* One unit: a character or a style sequence; its bytes, and its columns in *w. */
static size_t unit(struct span s, size_t *w)
{
    uint32_t c;
    size_t n = style_bytes(s);
    *w = 0;
    if (n)
        return n;
    int len = utf8_decode(s, &c);
    if (len <= 0) {
        *w = 1;
        return 1;
    }
    *w = (size_t)width_char(c);
    return (size_t)len;
}

size_t width_of(struct span s)
{
    size_t total = 0, w;
    while (s.n) {
        size_t n = unit(s, &w);
        total += w;
        s.p += n;
        s.n -= n;
    }
    return total;
}

size_t width_cut(struct span s, size_t columns)
{
    size_t bytes = 0, used = 0, w;
    while (bytes < s.n) {
        size_t n = unit(span_sub(s, bytes, s.n), &w);
        if (used + w > columns)
            break;
        used += w;
        bytes += n;
    }
    return bytes;
}

bool width_wrap(struct span *rest, size_t columns, struct span *line)
{
    if (!rest->n)
        return false;
    size_t fit = width_cut(*rest, columns ? columns : 1);
    if (fit >= rest->n) {
        *line = *rest;
        *rest = (struct span){ rest->p + rest->n, 0 };
        return true;
    }
    if (!fit)
        fit = 1; /* a wide character in one column: print it anyway */
    size_t cut = fit;
    if (rest->p[fit] != ' ')
        while (cut > 0 && rest->p[cut - 1] != ' ')
            cut--;
    if (!cut)
        cut = fit;
    *line = (struct span){ rest->p, cut };
    while (line->n && line->p[line->n - 1] == ' ')
        line->n--;
    while (cut < rest->n && rest->p[cut] == ' ')
        cut++;
    rest->p += cut;
    rest->n -= cut;
    return true;
}
