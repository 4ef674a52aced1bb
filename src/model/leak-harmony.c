/*
 * gpt-oss, "harmony": <|channel|>commentary to=functions.read <|constrain|>json<|message|>{...}<|call|>,
 * with analysis (thinking) and final (the answer) channels around it.
 */
#include "model/leak.h"

#include <string.h>

#include "base/mem.h"

static const char *const ends[] = { "<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>" };

static size_t content_end(struct span s, bool *call)
{
    size_t best = s.n;
    *call = false;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        ptrdiff_t at = span_find(s, span_of(ends[i]));
        if (at >= 0 && (size_t)at < best) {
            best = (size_t)at;
            *call = i == 1;
        }
    }
    return best;
}

/* "to=functions.read" in a channel's head. */
static struct span recipient(struct span head)
{
    ptrdiff_t at = span_find(head, SPAN("to="));
    if (at < 0)
        return (struct span){ "", 0 };
    struct span s = span_sub(head, (size_t)at + 3, head.n);
    size_t n = 0;
    while (n < s.n && (unsigned char)s.p[n] > ' ' && s.p[n] != '<' && s.p[n] != '{')
        n++;
    return span_sub(s, 0, n);
}

static int parse(const struct leak_in *in, struct leak_found *f)
{
    ptrdiff_t at = span_find(in->text, SPAN("<|channel|>"));
    bool bare = false;
    if (at < 0) { /* the special tokens were dropped: "commentary to=functions.read json{...}" */
        at = span_find(in->text, SPAN("to=functions."));
        if (at < 0)
            return 0;
        bare = true;
    }
    struct span rest = span_sub(in->text, (size_t)at, in->text.n), answer = { "", 0 };
    struct span before = span_sub(in->text, 0, (size_t)at);
    ptrdiff_t start = span_find(before, SPAN("<|start|>"));
    if (start >= 0)
        before.n = (size_t)start;
    if (bare) {
        struct span name = recipient(rest);
        ptrdiff_t brace = span_findc(rest, '{');
        size_t n = brace < 0 ? 0 : leak_json_end(span_sub(rest, (size_t)brace, rest.n));
        f->text = (struct span){ "", 0 };
        f->cut = !n;
        if (n)
            leak_add(f, name, span_sub(rest, (size_t)brace, n));
        return 1;
    }
    while (rest.n) {
        ptrdiff_t channel = span_find(rest, SPAN("<|channel|>"));
        if (channel < 0)
            break;
        rest = span_sub(rest, (size_t)channel + 11, rest.n);
        ptrdiff_t message = span_find(rest, SPAN("<|message|>"));
        if (message < 0) {
            f->cut = true;
            break;
        }
        struct span head = span_trim(span_sub(rest, 0, (size_t)message)), content, name = recipient(head);
        rest = span_sub(rest, (size_t)message + 11, rest.n);
        bool call;
        size_t n = content_end(rest, &call);
        content = span_trim(span_sub(rest, 0, n));
        rest = span_sub(rest, n, rest.n);
        if (name.n) {
            size_t whole = content.n && content.p[0] == '{' ? leak_json_end(content) : 0;
            if (whole == content.n && whole)
                leak_add(f, name, content);
            else if (!call)
                f->cut = true;
            else
                f->unreadable = true;
        } else if (span_starts(head, "final") || span_starts(head, "commentary")) {
            answer = leak_rest(in->arena, answer, content);
        }
    }
    f->text = leak_rest(in->arena, before, answer);
    return 1;
}

const struct leak leak_harmony = { "harmony", parse };
