#include "term/keys.h"

#include "base/num.h"
#include "base/utf8.h"

static void emit(key_fn fn, void *ctx, enum key_code code, uint32_t c)
{
    const struct key k = { code, c, { "", 0 } };
    fn(ctx, &k);
}

/* ESC [ parameters final: the named keys of xterm and of the linux console. */
static void csi(struct keys *ks, struct span params, char final, key_fn fn, void *ctx)
{
    bool word = span_find(params, SPAN(";5")) >= 0 || span_find(params, SPAN(";3")) >= 0;
    switch (final) {
    case 'A':
        emit(fn, ctx, KEY_UP, 0);
        return;
    case 'B':
        emit(fn, ctx, KEY_DOWN, 0);
        return;
    case 'C':
        emit(fn, ctx, word ? KEY_WORD_RIGHT : KEY_RIGHT, 0);
        return;
    case 'D':
        emit(fn, ctx, word ? KEY_WORD_LEFT : KEY_LEFT, 0);
        return;
    case 'H':
        emit(fn, ctx, KEY_HOME, 0);
        return;
    case 'F':
        emit(fn, ctx, KEY_END, 0);
        return;
    case 'Z':
        emit(fn, ctx, KEY_BACKTAB, 0);
        return;
    case '~':
        break;
    default:
        return; /* not one of ours: dropped whole */
    }
    static const struct {
        const char *param;
        enum key_code code;
    } tildes[] = { { "1", KEY_HOME }, { "3", KEY_DELETE }, { "4", KEY_END }, { "5", KEY_PAGE_UP },
                   { "6", KEY_PAGE_DOWN }, { "7", KEY_HOME }, { "8", KEY_END } };
    if (span_eqs(params, "200")) {
        ks->pasting = true;
        ks->ending = 0;
        buf_reset(&ks->paste);
        return;
    }
    for (size_t i = 0; i < sizeof tildes / sizeof tildes[0]; i++)
        if (span_eqs(params, tildes[i].param))
            emit(fn, ctx, tildes[i].code, 0);
}

static void control(unsigned char c, key_fn fn, void *ctx)
{
    switch (c) {
    case '\r':
        emit(fn, ctx, KEY_ENTER, 0);
        return;
    case '\n':
        emit(fn, ctx, KEY_NEWLINE, 0);
        return;
    case '\t':
        emit(fn, ctx, KEY_TAB, 0);
        return;
    case 0x7f:
    case 0x08:
        emit(fn, ctx, KEY_BACKSPACE, 0);
        return;
    case 0:
        return;
    default:
        emit(fn, ctx, KEY_CTRL, c + 0x60u);
    }
}

/* Consume one unit at the head of s: its bytes, or 0 when it is incomplete. */
static size_t take(struct keys *ks, struct span s, key_fn fn, void *ctx)
{
    unsigned char c = (unsigned char)s.p[0];
    uint32_t ch;
    if (c != 0x1b) {
        if (c < 0x20 || c == 0x7f) {
            control(c, fn, ctx);
            return 1;
        }
        int n = utf8_decode(s, &ch);
        if (n == 0)
            return 0;
        if (n > 0)
            emit(fn, ctx, KEY_CHAR, ch);
        return n > 0 ? (size_t)n : 1;
    }
    if (s.n < 2)
        return 0;
    if (s.p[1] == '[' || s.p[1] == 'O') {
        for (size_t i = 2; i < s.n; i++) {
            char f = s.p[i];
            if (f >= 0x40 && f <= 0x7e) {
                csi(ks, span_sub(s, 2, i - 2), f, fn, ctx);
                return i + 1;
            }
            if (i > 32 || f < 0x20)
                return i; /* not a sequence: drop what looked like one */
        }
        return 0;
    }
    if (s.p[1] == '\r' || s.p[1] == '\n') {
        emit(fn, ctx, KEY_NEWLINE, 0);
        return 2;
    }
    if (s.p[1] == 0x1b) {
        emit(fn, ctx, KEY_ESCAPE, 0);
        return 1;
    }
    int n = utf8_decode(span_sub(s, 1, s.n), &ch);
    if (n == 0)
        return 0;
    if (n > 0 && ch == 'b')
        emit(fn, ctx, KEY_WORD_LEFT, 0);
    else if (n > 0 && ch == 'f')
        emit(fn, ctx, KEY_WORD_RIGHT, 0);
    else if (n > 0 && ch >= 0x20)
        emit(fn, ctx, KEY_ALT, ch);
    return 1 + (n > 0 ? (size_t)n : 1);
}

/* A byte of pasted text, or of its end. Text beyond the limit is dropped, never taken for keys. */
static void pasted(struct keys *ks, char c, key_fn fn, void *ctx)
{
    static const char end[] = "\033[201~";
    if (c != end[ks->ending]) {
        buf_add(&ks->paste, end, ks->ending);
        ks->ending = 0;
    }
    if (c != end[ks->ending]) {
        buf_addc(&ks->paste, c);
        return;
    }
    if (++ks->ending < sizeof end - 1)
        return;
    const struct key k = { KEY_PASTE, 0, buf_span(&ks->paste) };
    ks->pasting = false;
    fn(ctx, &k);
    buf_reset(&ks->paste);
}

void keys_feed(struct keys *ks, struct span bytes, key_fn fn, void *ctx)
{
    while (bytes.n) {
        if (ks->pasting) {
            char c = bytes.p[0];
            bytes.p++;
            bytes.n--;
            pasted(ks, c, fn, ctx);
            continue;
        }
        buf_add(&ks->pending, bytes.p, 1);
        bytes.p++;
        bytes.n--;
        if (ks->pending.failed) {
            buf_reset(&ks->pending);
            continue;
        }
        size_t n = take(ks, buf_span(&ks->pending), fn, ctx);
        buf_erase(&ks->pending, 0, n);
    }
}

bool keys_pending(const struct keys *ks)
{
    return ks->pending.n > 0;
}

void keys_flush(struct keys *ks, key_fn fn, void *ctx)
{
    if (ks->pending.n == 1 && ks->pending.p[0] == 0x1b)
        emit(fn, ctx, KEY_ESCAPE, 0);
    buf_reset(&ks->pending);
}

void keys_finish(struct keys *ks)
{
    buf_finish(&ks->pending);
    buf_finish(&ks->paste);
}
