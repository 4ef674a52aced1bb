/*
 * Plain JSON: the whole reply is a call (or a list of calls), or a fenced block is. Weak: JSON may be
 * the answer itself, so only objects of exactly a call's shape that name a known tool are taken.
 */
#include "model/leak.h"

#include "base/mem.h"

static bool take(const struct leak_in *in, struct span value, bool whole, struct leak_found *f)
{
    size_t before = f->ncalls;
    if (!leak_from_object(in, value, f))
        return false;
    if (whole || in->known(in->ctx, f->calls[before].name))
        return true;
    f->ncalls = before;
    return false;
}

/* One object, several in a row, or a list of objects: all must be calls. A reply that is nothing else
 * is taken even when the tool is unknown: the caller explains which there are. */
static bool take_all(const struct leak_in *in, struct span s, bool whole, struct leak_found *f)
{
    size_t start = f->ncalls;
    s = span_trim(s);
    if (s.n > 1 && s.p[0] == '[' && leak_json_end(s) == s.n)
        s = span_trim(span_sub(s, 1, s.n - 2));
    while (s.n) {
        size_t n = s.p[0] == '{' ? leak_json_end(s) : 0;
        if (!n || !take(in, span_sub(s, 0, n), whole, f)) {
            f->ncalls = start;
            return false;
        }
        s = span_trim(span_sub(s, n, s.n));
        if (s.n && (s.p[0] == ',' || s.p[0] == ';'))
            s = span_trim(span_sub(s, 1, s.n));
    }
    return f->ncalls > start;
}

/* {"name": "write", "arguments": {"pa... : a call that was not ended must not pass as an answer. */
static bool begins_call(const struct leak_in *in, struct span s)
{
    s = span_trim(s);
    if (!s.n || s.p[0] != '{' || leak_json_end(s))
        return false;
    ptrdiff_t key = span_find(span_sub(s, 0, 64), SPAN("\"name\""));
    if (key < 0)
        key = span_find(span_sub(s, 0, 64), SPAN("\"tool\""));
    if (key < 0)
        return false;
    struct span v = span_sub(s, (size_t)key + 6, s.n);
    ptrdiff_t q = span_findc(v, '"');
    if (q < 0)
        return true;
    v = span_sub(v, (size_t)q + 1, v.n);
    q = span_findc(v, '"');
    return q < 0 || in->known(in->ctx, span_sub(v, 0, (size_t)q));
}

static int parse(const struct leak_in *in, struct leak_found *f)
{
    struct span s = span_trim(in->text);
    f->weak = true;
    if (s.n && (s.p[0] == '{' || s.p[0] == '[') && take_all(in, s, true, f)) {
        f->text = (struct span){ "", 0 };
        return 1;
    }
    if (begins_call(in, s)) {
        f->cut = true;
        f->text = (struct span){ "", 0 };
        return 1;
    }
    struct span before = in->text, rest = in->text;
    bool found = false;
    for (;;) {
        ptrdiff_t open = span_find(rest, SPAN("```"));
        if (open < 0)
            break;
        struct span block = span_sub(rest, (size_t)open + 3, rest.n), tag = { "", 0 };
        ptrdiff_t line = span_findc(block, '\n');
        if (line < 0)
            break;
        tag = span_trim(span_sub(block, 0, (size_t)line));
        block = span_sub(block, (size_t)line + 1, block.n);
        bool json = !tag.n || span_eqs(tag, "json") || span_eqs(tag, "tool_call") || span_eqs(tag, "tool") || span_eqs(tag, "xml");
        /* The fence may be part of a string inside: where JSON ends is what counts. */
        struct span body = span_trim(block);
        size_t n = json && body.n && body.p[0] == '{' ? leak_json_end(body) : 0;
        if (json && begins_call(in, block)) {
            f->cut = true;
            f->text = span_sub(in->text, 0, (size_t)(rest.p + open - in->text.p));
            return 1;
        }
        struct span tail = n ? span_sub(body, n, body.n) : block;
        ptrdiff_t close = span_find(tail, SPAN("```"));
        struct span inside = n ? (struct span){ body.p, n + (close < 0 ? tail.n : (size_t)close) } : span_sub(block, 0, close < 0 ? block.n : (size_t)close);
        if (json && take_all(in, inside, false, f)) {
            if (!found)
                before = span_sub(in->text, 0, (size_t)(rest.p + open - in->text.p));
            found = true;
        }
        if (close < 0) {
            rest = (struct span){ "", 0 };
            break;
        }
        rest = span_sub(tail, (size_t)close + 3, tail.n);
    }
    if (!found)
        return 0;
    f->text = leak_rest(in->arena, before, rest);
    return 1;
}

const struct leak leak_json = { "json", parse };
