#include "model/control.h"

#include "base/mem.h"

#define MARK "\u200b"
#define MARK_IN_JSON "\\u200b"
#define NAME_MOST_BYTES 48

/* Tokens without a bar. */
static const char *const plain[] = {
    "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
};

static size_t bar(struct span s)
{
    return span_starts(s, "|") ? 1 : span_starts(s, "\uff5c") ? 3 : 0; /* DeepSeek's are full-width */
}

static bool is_name(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == 0xe2 || c == 0x96 || c == 0x81; /* U+2581 */
}

/* "<|name|>", "<|name>", "<name|>": behind the "<". An operator such as `<|` with something else behind it is none. */
static bool is_barred(struct span s)
{
    size_t open = bar(s), n = open;
    while (n < s.n && n < NAME_MOST_BYTES && is_name((unsigned char)s.p[n]))
        n++;
    if (n == open)
        return false;
    size_t close = bar(span_sub(s, n, s.n));
    return (open || close) && n + close < s.n && s.p[n + close] == '>';
}

/* A control token whose first character is `first`, the rest in `s`. */
static bool is_token(char first, struct span s)
{
    if (first == '<' && is_barred(s))
        return true;
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (plain[i][0] == first && span_starts(s, plain[i] + 1))
            return true;
    return false;
}

bool control_break(struct buf *out, struct span s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] == '<' || s.p[i] == '[') && is_token(s.p[i], span_sub(s, i + 1, s.n))) {
            buf_add_span(out, span_sub(s, from, i + 1 - from));
            buf_adds(out, MARK);
            from = i + 1;
        }
    if (from > 0) /* the usual text has none: it is not copied */
        buf_add_span(out, span_sub(s, from, s.n));
    return from > 0;
}

bool control_join(struct buf *out, struct span s)
{
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '<' && s.p[i] != '[')
            continue;
        struct span rest = span_sub(s, i + 1, s.n);
        size_t mark = span_starts(rest, MARK) ? strlen(MARK) : span_starts(rest, MARK_IN_JSON) ? strlen(MARK_IN_JSON) : 0;
        if (!mark || !is_token(s.p[i], span_sub(rest, mark, rest.n)))
            continue;
        buf_add_span(out, span_sub(s, from, i + 1 - from));
        from = i + 1 + mark;
    }
    if (from > 0) /* the usual text has none: it is not copied */
        buf_add_span(out, span_sub(s, from, s.n));
    return from > 0;
}
