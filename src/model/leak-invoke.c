/* <invoke name="read"><parameter name="path">a</parameter></invoke>, with or without marks around it (Claude's form; also MiniMax, DeepSeek). */
#include "model/leak.h"

#include "base/mem.h"

/* name="..." up to the closing '>' */
static bool attribute(struct span *s, struct span *value, bool *cut)
{
    ptrdiff_t close = span_findc(*s, '>');
    if (close < 0 || close > 256) {
        *cut = close < 0;
        return false;
    }
    struct span head = span_sub(*s, 0, (size_t)close);
    *s = span_sub(*s, (size_t)close + 1, s->n);
    ptrdiff_t at = span_find(head, SPAN("name=\""));
    if (at < 0)
        return false;
    head = span_sub(head, (size_t)at + 6, head.n);
    ptrdiff_t quote = span_findc(head, '"');
    if (quote <= 0)
        return false;
    *value = span_sub(head, 0, (size_t)quote);
    return true;
}

static ptrdiff_t value_end(struct span s)
{
    for (size_t from = 0;;) {
        ptrdiff_t at = span_find(span_sub(s, from, s.n), SPAN("</parameter>"));
        if (at < 0)
            return -1;
        struct span after = span_trim(span_sub(s, from + (size_t)at + 12, s.n));
        if (!after.n || span_starts(after, "<parameter ") || span_starts(after, "</invoke>"))
            return (ptrdiff_t)from + at;
        from += (size_t)at + 12;
    }
}

static bool parameters(struct span *rest, struct buf *json, bool *cut)
{
    struct span s = span_trim(*rest);
    while (span_starts(s, "<parameter ")) {
        struct span key, value;
        s = span_sub(s, 11, s.n);
        if (!attribute(&s, &key, cut))
            return false;
        ptrdiff_t end = value_end(s);
        if (end < 0) {
            *cut = true;
            return false;
        }
        value = span_sub(s, 0, (size_t)end);
        leak_add_member(json, key, value, false);
        s = span_trim(span_sub(s, (size_t)end + 12, s.n));
    }
    if (!json->n)
        buf_addc(json, '{');
    buf_addc(json, '}');
    *rest = s;
    return !json->failed;
}

static int parse(const struct leak_in *in, struct leak_found *f)
{
    ptrdiff_t at = span_find(in->text, SPAN("<invoke "));
    if (at < 0)
        return 0;
    struct span before = span_trim(span_sub(in->text, 0, (size_t)at)), rest = span_sub(in->text, (size_t)at, in->text.n);
    static const char *const outer[] = { "<function_calls>", "<tool_calls>", "<minimax:tool_call>", "<tool_call>" };
    for (size_t i = 0; i < COUNT_OF(outer); i++)
        if (span_ends(before, outer[i]))
            before.n -= strlen(outer[i]);
    while (span_starts(rest, "<invoke ")) {
        AUTO(buf) struct buf json = BUF_INIT(16u << 20);
        struct span name;
        rest = span_sub(rest, 8, rest.n);
        if (!attribute(&rest, &name, &f->cut) || !parameters(&rest, &json, &f->cut)) {
            f->unreadable = !f->cut;
            break;
        }
        if (!span_starts(rest, "</invoke>")) {
            f->cut = true;
            break;
        }
        rest = span_trim(span_sub(rest, 9, rest.n));
        const char *args = arena_span(in->arena, buf_span(&json));
        if (args)
            leak_add(f, name, (struct span){ args, json.n });
    }
    if (span_starts(rest, "</")) { /* the outer mark's end */
        ptrdiff_t close = span_findc(rest, '>');
        rest = close < 0 ? rest : span_sub(rest, (size_t)close + 1, rest.n);
    }
    f->text = leak_rest(in->arena, before, f->cut || f->unreadable ? (struct span){ "", 0 } : rest);
    return 1;
}

const struct leak leak_invoke = { "invoke", parse };
