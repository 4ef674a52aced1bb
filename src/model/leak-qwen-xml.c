/* Qwen3-Coder: <tool_call><function=read><parameter=path>src/a.c</parameter></function></tool_call>; the outer mark is often missing. */
#include "model/leak.h"

#include "base/mem.h"

/* The value ends at the mark that is followed by another parameter or the end: code may contain the mark itself. */
static ptrdiff_t value_end(struct span s)
{
    static const char mark[] = "</parameter>";
    for (size_t from = 0;;) {
        ptrdiff_t at = span_find(span_sub(s, from, s.n), SPAN("</parameter>"));
        if (at < 0)
            return -1;
        struct span after = span_trim(span_sub(s, from + (size_t)at + sizeof mark - 1, s.n));
        if (!after.n || span_starts(after, "<parameter=") || span_starts(after, "</function>"))
            return (ptrdiff_t)from + at;
        from += (size_t)at + sizeof mark - 1;
    }
}

static bool parse_parameters(struct span *rest, struct buf *json, bool *cut)
{
    struct span s = span_trim(*rest);
    while (span_starts(s, "<parameter=")) {
        s = span_sub(s, 11, s.n);
        ptrdiff_t close = span_findc(s, '>');
        if (close <= 0 || close > 128) {
            *cut = close < 0;
            return false;
        }
        struct span key = span_sub(s, 0, (size_t)close), value;
        s = span_sub(s, (size_t)close + 1, s.n);
        ptrdiff_t end = value_end(s);
        if (end < 0) {
            *cut = true;
            return false;
        }
        value = span_sub(s, 0, (size_t)end);
        s = span_trim(span_sub(s, (size_t)end + 12, s.n));
        if (value.n && value.p[0] == '\n')
            value = span_sub(value, 1, value.n);
        if (value.n && value.p[value.n - 1] == '\n')
            value.n--;
        leak_add_member(json, key, value, false);
    }
    if (!json->n)
        buf_addc(json, '{');
    buf_addc(json, '}');
    *rest = s;
    return !json->failed;
}

static int parse(const struct leak_in *in, struct leak_found *f)
{
    ptrdiff_t at = span_find(in->text, SPAN("<function="));
    if (at < 0)
        return 0;
    struct span before = span_trim(span_sub(in->text, 0, (size_t)at)), rest = span_sub(in->text, (size_t)at, in->text.n);
    if (span_ends(before, "<tool_call>"))
        before.n -= 11;
    while (span_starts(rest, "<function=")) {
        AUTO(buf) struct buf json = BUF_INIT(16u << 20);
        rest = span_sub(rest, 10, rest.n);
        ptrdiff_t close = span_findc(rest, '>');
        if (close <= 0 || close > 128) {
            f->cut = close < 0;
            f->unreadable = close >= 0;
            break;
        }
        struct span name = span_trim(span_sub(rest, 0, (size_t)close));
        rest = span_sub(rest, (size_t)close + 1, rest.n);
        struct span body = span_trim(rest);
        if (body.n && body.p[0] == '{') /* Llama writes JSON inside the same mark */
            return 0;
        if (!parse_parameters(&rest, &json, &f->cut)) {
            f->unreadable = !f->cut;
            break;
        }
        if (!span_starts(rest, "</function>")) {
            f->cut = true; /* more parameters could have followed */
            break;
        }
        rest = span_trim(span_sub(rest, 11, rest.n));
        const char *args = arena_span(in->arena, buf_span(&json));
        if (!args || !leak_add(f, name, (struct span){ args, json.n }))
            break;
        if (span_starts(rest, "</tool_call>"))
            rest = span_trim(span_sub(rest, 12, rest.n));
        if (span_starts(rest, "<tool_call>"))
            rest = span_trim(span_sub(rest, 11, rest.n));
    }
    f->text = leak_rest(in->arena, before, f->cut || f->unreadable ? (struct span){ "", 0 } : rest);
    return 1;
}

const struct leak leak_qwen_xml = { "qwen-xml", parse };
