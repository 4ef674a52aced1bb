/* Llama 3: <|python_tag|>{"name": ..., "parameters": {...}}, several with `;` between; <function=read>{...}</function>. */
#include "model/leak.h"

static int parse_tag(const struct leak_in *in, size_t at, struct leak_found *f)
{
    struct span rest = span_trim(span_sub(in->text, at + 14, in->text.n));
    f->text = span_sub(in->text, 0, at);
    while (rest.n && rest.p[0] == '{') {
        size_t n = leak_json_end(rest);
        if (!n) {
            f->cut = true;
            return 1;
        }
        if (!leak_from_object(in, span_sub(rest, 0, n), f))
            f->unreadable = true;
        rest = span_trim(span_sub(rest, n, rest.n));
        if (rest.n && (rest.p[0] == ';' || rest.p[0] == ','))
            rest = span_trim(span_sub(rest, 1, rest.n));
    }
    f->unreadable |= !f->ncalls;
    return 1;
}

static int parse(const struct leak_in *in, struct leak_found *f)
{
    ptrdiff_t at = span_find(in->text, SPAN("<|python_tag|>"));
    if (at >= 0)
        return parse_tag(in, (size_t)at, f);
    at = span_find(in->text, SPAN("<function="));
    if (at < 0)
        return 0;
    struct span rest = span_sub(in->text, (size_t)at, in->text.n), before = span_sub(in->text, 0, (size_t)at);
    while (span_starts(rest, "<function=")) {
        rest = span_sub(rest, 10, rest.n);
        ptrdiff_t close = span_findc(rest, '>');
        if (close <= 0 || close > 128) {
            f->cut = close < 0;
            f->unreadable = close >= 0;
            break;
        }
        struct span name = span_sub(rest, 0, (size_t)close);
        rest = span_trim(span_sub(rest, (size_t)close + 1, rest.n));
        if (!rest.n || rest.p[0] != '{')
            return 0;
        size_t n = leak_json_end(rest);
        if (!n) {
            f->cut = true;
            break;
        }
        leak_add(f, name, span_sub(rest, 0, n));
        rest = span_trim(span_sub(rest, n, rest.n));
        if (span_starts(rest, "</function>"))
            rest = span_trim(span_sub(rest, 11, rest.n));
    }
    f->text = leak_rest(in->arena, before, f->cut || f->unreadable ? (struct span){ "", 0 } : rest);
    return 1;
}

const struct leak leak_llama = { "llama", parse };
