/* Hermes and Qwen: <tool_call>{"name": ..., "arguments": {...}}</tool_call>, one after another. */
#include "model/leak.h"

#include "base/mem.h"

static const struct {
    const char *begin, *end;
} marks[] = {
    { "<tool_call>", "</tool_call>" },
    { "<function_call>", "</function_call>" },
    { "<functioncall>", "</functioncall>" },
    { "<tool_use>", "</tool_use>" },
    { "<|tool_call|>", "<|/tool_call|>" },
    { "<|tool_call_start|>", "<|tool_call_end|>" },
};

static int parse_with(const struct leak_in *in, const char *begin, const char *end, struct leak_found *f)
{
    ptrdiff_t at = span_find(in->text, span_of(begin));
    if (at < 0)
        return 0;
    struct span before = span_sub(in->text, 0, (size_t)at), rest = span_sub(in->text, (size_t)at, in->text.n);
    while (span_starts(rest, begin)) {
        struct span inner = span_sub(rest, strlen(begin), rest.n);
        inner = (struct span){ inner.p, inner.n };
        while (inner.n && ((unsigned char)inner.p[0] <= ' ' || inner.p[0] == '`'))
            inner = span_sub(inner, 1, inner.n);
        if (span_starts(inner, "json"))
            inner = span_trim(span_sub(inner, 4, inner.n));
        if (!inner.n || (inner.p[0] != '{' && inner.p[0] != '[')) {
            f->unreadable = true;
            f->cut = span_find(inner, span_of(end)) < 0;
            break;
        }
        size_t n = leak_json_end(inner);
        if (!n) {
            f->cut = true;
            break;
        }
        struct span value = span_sub(inner, 0, n);
        if (value.p[0] == '[') { /* a list of calls in one mark */
            struct span items = span_sub(value, 1, n - 2);
            while ((items = span_trim(items)).n && items.p[0] == '{') {
                size_t m = leak_json_end(items);
                if (!m || !leak_from_object(in, span_sub(items, 0, m), f)) {
                    f->unreadable = true;
                    break;
                }
                items = span_trim(span_sub(items, m, items.n));
                if (items.n && items.p[0] == ',')
                    items = span_sub(items, 1, items.n);
            }
        } else if (!leak_from_object(in, value, f)) {
            f->unreadable = true;
        }
        rest = span_trim(span_sub(inner, n, inner.n));
        while (rest.n && rest.p[0] == '`')
            rest = span_sub(rest, 1, rest.n);
        rest = span_trim(rest);
        if (span_starts(rest, end))
            rest = span_trim(span_sub(rest, strlen(end), rest.n));
        /* The end mark is a stop token with some servers: whole JSON is enough. */
    }
    if (span_starts(rest, "<tool_response>")) /* the model went on to invent the result: nothing of that is true */
        rest = (struct span){ "", 0 };
    f->text = leak_rest(in->arena, before, f->cut || f->unreadable ? (struct span){ "", 0 } : rest);
    return 1;
}

static int parse(const struct leak_in *in, struct leak_found *f)
{
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (parse_with(in, marks[i].begin, marks[i].end, f))
            return 1;
    return 0;
}

const struct leak leak_hermes = { "hermes", parse };
