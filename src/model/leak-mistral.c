/* Mistral: [TOOL_CALLS][{"name": ..., "arguments": {...}}], newer [TOOL_CALLS]read[CALL_ID]x[ARGS]{...}. */
#include "model/leak.h"

static int parse(const struct leak_in *in, struct leak_found *f)
{
    ptrdiff_t at = span_find(in->text, SPAN("[TOOL_CALLS]"));
    if (at < 0)
        return 0;
    struct span rest = span_sub(in->text, (size_t)at, in->text.n);
    f->text = span_sub(in->text, 0, (size_t)at);
    while (span_starts(rest, "[TOOL_CALLS]")) {
        rest = span_trim(span_sub(rest, 12, rest.n));
        if (rest.n && (rest.p[0] == '[' || rest.p[0] == '{')) {
            bool list = rest.p[0] == '[';
            size_t n = leak_json_end(rest);
            if (!n) {
                f->cut = true;
                return 1;
            }
            struct span items = list ? span_sub(rest, 1, n - 2) : span_sub(rest, 0, n);
            rest = span_trim(span_sub(rest, n, rest.n));
            while ((items = span_trim(items)).n) {
                size_t m = items.p[0] == '{' ? leak_json_end(items) : 0;
                if (!m || !leak_from_object(in, span_sub(items, 0, m), f)) {
                    f->unreadable = true;
                    return 1;
                }
                items = span_trim(span_sub(items, m, items.n));
                if (items.n && items.p[0] == ',')
                    items = span_sub(items, 1, items.n);
            }
            continue;
        }
        ptrdiff_t brace = span_findc(rest, '{');
        if (brace < 0) {
            f->cut = true;
            return 1;
        }
        struct span head = span_trim(span_sub(rest, 0, (size_t)brace));
        rest = span_sub(rest, (size_t)brace, rest.n);
        ptrdiff_t bracket = span_findc(head, '[');
        struct span name = bracket < 0 ? head : span_trim(span_sub(head, 0, (size_t)bracket));
        size_t n = leak_json_end(rest);
        if (!n || !name.n || name.n > 128) {
            f->cut = !n;
            f->unreadable = n > 0;
            return 1;
        }
        leak_add(f, name, span_sub(rest, 0, n));
        rest = span_trim(span_sub(rest, n, rest.n));
        if (span_starts(rest, "</s>"))
            rest = span_trim(span_sub(rest, 4, rest.n));
    }
    f->text = leak_rest(in->arena, f->text, rest);
    return 1;
}

const struct leak leak_mistral = { "mistral", parse };
