#include "model/leak.h"

#include <stdio.h>

#include "base/mem.h"

const struct leak *const leaks[] = { &leak_hermes, &leak_qwen_xml, &leak_mistral, &leak_harmony, &leak_llama, &leak_gemma, &leak_invoke, &leak_json, NULL };

bool leak_add(struct leak_found *f, struct span name, struct span args)
{
    if (f->ncalls >= LEAK_MAX_CALLS)
        return false;
    f->calls[f->ncalls++] = (struct leak_call){ name, args };
    return true;
}

size_t leak_json_end(struct span s)
{
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            if (!quoted && depth == 0)
                return i + 1;
            continue;
        }
        if (c == '"')
            quoted = true;
        else if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth > 0 && --depth == 0)
            return i + 1;
    }
    return 0;
}

json_t *leak_object(struct span text)
{
    text = span_trim(text);
    json_t *j = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    if (!j && text.n && text.p[0] == '{') {
        AUTO(buf) struct buf b = BUF_INIT(2 * text.n + 64);
        bool quoted = false;
        for (size_t i = 0; i < text.n; i++) {
            unsigned char c = (unsigned char)text.p[i];
            if (quoted && c == '\\' && i + 1 < text.n) {
                buf_add(&b, text.p + i, 2);
                i++;
                continue;
            }
            if (c == '"')
                quoted = !quoted;
            if (quoted && c < ' ')
                buf_addf(&b, "\\u%04x", c);
            else
                buf_addc(&b, (char)c);
        }
        if (!b.failed)
            j = json_loadb(buf_str(&b), b.n, JSON_REJECT_DUPLICATES, NULL);
    }
    if (j && !json_is_object(j)) {
        json_decref(j);
        j = NULL;
    }
    return j;
}

static struct span text_of(const json_t *v)
{
    return json_is_string(v) ? (struct span){ json_string_value(v), json_string_length(v) } : (struct span){ "", 0 };
}

static struct span keep(struct arena *a, struct span s)
{
    const char *p = arena_span(a, s);
    return (struct span){ p ? p : "", p ? s.n : 0 };
}

bool leak_from_object(const struct leak_in *in, struct span json, struct leak_found *f)
{
    static const char *const names[] = { "name", "tool", "tool_name", "function", "function_name", "action" };
    static const char *const args[] = { "arguments", "parameters", "args", "input", "params", "tool_input", "action_input" };
    static const char *const others[] = { "id", "type", "call_id", "tool_call_id" };
    AUTO(json) json_t *j = leak_object(json);
    const json_t *o = j;
    if (json_is_object(json_object_get(o, "function")))
        o = json_object_get(o, "function");
    if (json_is_object(json_object_get(o, "function_call")))
        o = json_object_get(o, "function_call");
    struct span name = { "", 0 };
    const json_t *value = NULL;
    size_t used = 0;
    for (size_t i = 0; i < COUNT_OF(names) && !name.n; i++)
        name = text_of(json_object_get(o, names[i]));
    for (size_t i = 0; i < COUNT_OF(args) && !value; i++)
        value = json_object_get(o, args[i]);
    used = (size_t)(name.n > 0) + (size_t)(value != NULL);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        used += json_object_get(o, others[i]) != NULL;
    if (!name.n || !value || json_object_size(o) != used) /* something else that has a name */
        return false;
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT);
    struct span a = json_is_string(value) ? text_of(value) : span_of(text);
    bool ok = (json_is_object(value) || json_is_string(value)) && leak_add(f, keep(in->arena, name), keep(in->arena, a));
    free(text);
    return ok;
}

struct span leak_rest(struct arena *a, struct span before, struct span after)
{
    while (before.n && (unsigned char)before.p[before.n - 1] <= ' ')
        before.n--;
    after = span_trim(after);
    if (!after.n)
        return before;
    if (!before.n)
        return after;
    const char *p = arena_printf(a, "%.*s\n\n%.*s", (int)before.n, before.p, (int)after.n, after.p);
    return p ? span_of(p) : before;
}

bool leak_add_member(struct buf *json, struct span key, struct span value, bool verbatim_json)
{
    buf_adds(json, json->n ? "," : "{");
    buf_add_json(json, key);
    buf_addc(json, ':');
    return verbatim_json ? buf_add_span(json, value) : buf_add_json(json, value);
}

static int try_one(const struct leak *l, const struct leak_in *in, struct leak_found *f)
{
    memset(f, 0, sizeof *f);
    f->format = l->name;
    f->text = in->text;
    return l->parse(in, f);
}

int leak_find(const struct leak_in *in, const struct strings *first, struct leak_found *f)
{
    bool odd = false;
    struct leak_found worst = { 0 };
    for (size_t pass = 0; pass < 2; pass++)
        for (size_t i = 0; leaks[i]; i++) {
            bool named = false;
            for (size_t k = 0; first && k < first->len; k++)
                named |= !strcmp(first->items[k], leaks[i]->name);
            if (named != (pass == 0) || !try_one(leaks[i], in, f))
                continue;
            if (f->ncalls && !f->unreadable)
                return 1;
            if (!odd) /* another format may read what this one could not */
                worst = *f;
            odd = true;
        }
    if (odd)
        *f = worst;
    return odd;
}
