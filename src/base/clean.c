#include "base/clean.h"

#include <stdio.h>

#include "base/utf8.h"

/*
 * States of the ECMA-48 scanner (section 5.4 control sequences, 5.6 control strings):
 *   TEXT --ESC--> ESC --[--> CSI --final byte--> TEXT
 *                     --] P X ^ _--> STRING --BEL or ST--> TEXT
 *                     --intermediate--> INTER --final--> TEXT
 * C1 controls arrive as U+0080..U+009F in UTF-8.
 */
enum state { TEXT, ESC, INTER, CSI, STRING, STRING_ESC };

static bool hides_text(uint32_t c)
{
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || (c >= 0x200b && c <= 0x200f) ||
           c == 0xfeff || c == 0x061c || c == 0x2028 || c == 0x2029 || (c >= 0xe0000 && c <= 0xe007f);
}

static void add_char(struct cleaner *c, struct buf *out, uint32_t ch, unsigned flags)
{
    if (c->cr) {
        c->cr = 0;
        if (ch == '\n')
            return; /* \r\n was written as \n already */
    }
    char enc[4];
    if (ch == '\r' && (flags & CLEAN_SHOW)) {
        buf_adds(out, "^M");
    } else if (ch == '\n' || ch == '\t' || ch == '\r') {
        if (flags & CLEAN_QUOTE) {
            buf_adds(out, ch == '\n' ? "\\n" : ch == '\t' ? "\\t" : "\\r");
            return;
        }
        c->cr = ch == '\r';
        if (!(flags & CLEAN_TEXT))
            buf_addc(out, ' ');
        else
            buf_addc(out, ch == '\t' ? '\t' : '\n');
    } else if ((flags & CLEAN_QUOTE) && (ch == '\'' || ch == '\\')) {
        buf_addc(out, '\\');
        buf_addc(out, (char)ch);
    } else if (ch < 0x20 || ch == 0x7f) {
        if (flags & CLEAN_QUOTE) {
            buf_addf(out, "\\x%02x", ch);
        } else {
            buf_addc(out, '^');
            buf_addc(out, (char)(ch ^ 0x40));
        }
    } else if ((ch >= 0x80 && ch < 0xa0) || hides_text(ch)) {
        buf_addf(out, "<U+%04X>", ch);
    } else {
        buf_add(out, enc, (size_t)utf8_encode(ch, enc));
    }
}

static void step(struct cleaner *c, struct buf *out, uint32_t ch, unsigned flags)
{
    bool show = flags & CLEAN_SHOW;
    switch ((enum state)c->state) {
    case TEXT:
        if (ch == 0x1b && !show)
            c->state = ESC;
        else if (ch == 0x9b && !show)
            c->state = CSI;
        else if (!show && (ch == 0x90 || ch == 0x98 || ch == 0x9d || ch == 0x9e || ch == 0x9f))
            c->state = STRING;
        else
            add_char(c, out, ch, flags);
        return;
    case ESC:
        if (ch == '[')
            c->state = CSI;
        else if (ch == ']' || ch == 'P' || ch == 'X' || ch == '^' || ch == '_')
            c->state = STRING;
        else if (ch >= 0x20 && ch <= 0x2f)
            c->state = INTER;
        else if (ch != 0x1b)
            c->state = TEXT; /* a two-character sequence, dropped; a control ends it too */
        return;
    case INTER:
        if (ch == 0x1b)
            c->state = ESC;
        else if (ch < 0x20 || ch > 0x2f)
            c->state = TEXT;
        return;
    case CSI:
        if (ch == 0x1b) {
            c->state = ESC;
        } else if (ch >= 0x40 && ch <= 0x7e) {
            c->state = TEXT;
        } else if (ch < 0x20 || ch > 0x7e) {
            c->state = TEXT; /* broken sequence: terminals execute the control */
            add_char(c, out, ch, flags);
        }
        return;
    case STRING:
        if (ch == 0x07 || ch == 0x9c || ch == 0x18 || ch == 0x1a)
            c->state = TEXT;
        else if (ch == 0x1b)
            c->state = STRING_ESC;
        return;
    case STRING_ESC:
        c->state = TEXT; /* ST is ESC \; any other ESC ends the string and begins anew */
        if (ch != '\\') {
            c->state = ESC;
            step(c, out, ch, flags);
        }
        return;
    }
}

bool cleaner_add(struct cleaner *c, struct buf *out, struct span s, unsigned flags)
{
    char joined[8];
    while (s.n || c->npend) {
        uint32_t ch;
        int n;
        if (c->npend) {
            size_t have = (size_t)c->npend;
            size_t more = s.n < 4 - have ? s.n : 4 - have;
            memcpy(joined, c->pend, have);
            if (more)
                memcpy(joined + have, s.p, more);
            n = utf8_decode((struct span){ joined, have + more }, &ch);
            if (n == 0) {
                memcpy(c->pend + have, s.p, more);
                c->npend += (int)more;
                return !out->failed;
            }
            c->npend = 0;
            if (n < 0) {
                step(c, out, 0xfffd, flags);
                continue; /* the pending bytes were the bad ones; s is looked at afresh */
            }
            s.p += (size_t)n - have;
            s.n -= (size_t)n - have;
            step(c, out, ch, flags);
            continue;
        }
        n = utf8_decode(s, &ch);
        if (n == 0) {
            memcpy(c->pend, s.p, s.n);
            c->npend = (int)s.n;
            return !out->failed;
        }
        if (n < 0) {
            ch = 0xfffd;
            n = 1;
        }
        s.p += n;
        s.n -= (size_t)n;
        step(c, out, ch, flags);
    }
    return !out->failed;
}

/* A name is shown whole: two that differ must not look alike, so nothing is dropped. */
static bool quote_add(struct buf *out, struct span s, unsigned flags)
{
    struct cleaner c = CLEANER_INIT;
    while (s.n) {
        uint32_t ch;
        int n = utf8_decode(s, &ch);
        if (n > 0)
            add_char(&c, out, ch, flags);
        else
            buf_addf(out, "\\x%02x", (unsigned)(unsigned char)*s.p);
        s = span_sub(s, n > 0 ? (size_t)n : 1, s.n);
    }
    return !out->failed;
}

bool clean_add(struct buf *out, struct span s, unsigned flags)
{
    if (flags & CLEAN_QUOTE)
        return quote_add(out, s, flags);
    struct cleaner c = CLEANER_INIT;
    cleaner_add(&c, out, s, flags);
    if (c.npend)
        step(&c, out, 0xfffd, flags);
    return !out->failed;
}

const char *clean_into(char *out, size_t size, struct span s, unsigned flags)
{
    struct buf b = BUF_INIT(s.n * 12 + 64);
    clean_add(&b, s, flags);
    size_t n = utf8_cut(buf_span(&b), size - 1);
    memcpy(out, buf_str(&b), n);
    out[n] = '\0';
    buf_finish(&b);
    return out;
}
