/*
 * Gemma: ```tool_code with a Python call (Gemma 3), <|tool_call>call:read{path:<|"|>a<|"|>}<tool_call|> (Gemma 4),
 * <start_function_call>call:read{path:<escape>a<escape>}<end_function_call> (FunctionGemma).
 */
#include "model/leak.h"

#include "base/mem.h"

struct cursor {
    struct span s;
    bool cut; /* ended where more was needed */
};

static void skip(struct cursor *c)
{
    while (c->s.n && (unsigned char)c->s.p[0] <= ' ')
        c->s = span_sub(c->s, 1, c->s.n);
}

static bool eat(struct cursor *c, const char *word)
{
    skip(c);
    if (!span_starts(c->s, word)) {
        c->cut |= !c->s.n;
        return false;
    }
    c->s = span_sub(c->s, strlen(word), c->s.n);
    return true;
}

static struct span name(struct cursor *c)
{
    skip(c);
    size_t n = 0;
    while (n < c->s.n && ((c->s.p[n] >= 'a' && c->s.p[n] <= 'z') || (c->s.p[n] >= 'A' && c->s.p[n] <= 'Z') || (c->s.p[n] >= '0' && c->s.p[n] <= '9') ||
                          c->s.p[n] == '_' || c->s.p[n] == '.' || c->s.p[n] == '-'))
        n++;
    struct span out = span_sub(c->s, 0, n);
    c->s = span_sub(c->s, n, c->s.n);
    return out;
}

/* A Python string literal: '...', "...", '''...''', """...""", r-prefix; decoded into out. */
static bool python_string(struct cursor *c, struct buf *out)
{
    bool raw = c->s.n && (c->s.p[0] == 'r' || c->s.p[0] == 'R');
    if (raw)
        c->s = span_sub(c->s, 1, c->s.n);
    if (!c->s.n || (c->s.p[0] != '"' && c->s.p[0] != '\''))
        return false;
    char q = c->s.p[0];
    size_t width = c->s.n >= 3 && c->s.p[1] == q && c->s.p[2] == q ? 3 : 1;
    for (size_t i = width; i < c->s.n; i++) {
        char ch = c->s.p[i];
        if (ch == q && (width == 1 || (i + 2 < c->s.n && c->s.p[i + 1] == q && c->s.p[i + 2] == q))) {
            c->s = span_sub(c->s, i + width, c->s.n);
            return true;
        }
        if (ch != '\\' || raw || i + 1 >= c->s.n) {
            buf_addc(out, ch);
            continue;
        }
        static const char from[] = "ntr\\'\"", to[] = "\n\t\r\\'\"";
        char e = c->s.p[++i];
        const char *at = strchr(from, e);
        if (e == '\n')
            continue;
        if (at && e) {
            buf_addc(out, to[at - from]);
        } else { /* Python keeps what it does not know */
            buf_addc(out, '\\');
            buf_addc(out, e);
        }
    }
    c->cut = true;
    return false;
}

static bool literal(struct cursor *c, struct buf *json, struct span key)
{
    skip(c);
    if (!c->s.n) {
        c->cut = true;
        return false;
    }
    if (strchr("\"'rR", c->s.p[0])) {
        AUTO(buf) struct buf text = BUF_INIT(16u << 20);
        return python_string(c, &text) && leak_add_member(json, key, buf_span(&text), false);
    }
    if (c->s.p[0] == '[' || c->s.p[0] == '{') {
        size_t n = leak_json_end(c->s);
        if (!n) {
            c->cut = true;
            return false;
        }
        struct span value = span_sub(c->s, 0, n);
        c->s = span_sub(c->s, n, c->s.n);
        return leak_add_member(json, key, value, true);
    }
    struct span word = name(c);
    if (!word.n)
        return false;
    if (span_eqs(word, "True") || span_eqs(word, "true"))
        return leak_add_member(json, key, SPAN("true"), true);
    if (span_eqs(word, "False") || span_eqs(word, "false"))
        return leak_add_member(json, key, SPAN("false"), true);
    if (span_eqs(word, "None") || span_eqs(word, "null"))
        return leak_add_member(json, key, SPAN("null"), true);
    for (size_t i = 0; i < word.n; i++)
        if (!((word.p[i] >= '0' && word.p[i] <= '9') || word.p[i] == '.' || (i == 0 && word.p[i] == '-')))
            return false;
    return leak_add_member(json, key, word, true);
}

/* read(path="a", from=3) with a known name */
static bool python_call(const struct leak_in *in, struct cursor *c, struct leak_found *f)
{
    AUTO(buf) struct buf json = BUF_INIT(16u << 20);
    if (span_starts(c->s, "print("))
        c->s = span_sub(c->s, 6, c->s.n);
    struct span tool = name(c);
    if (!tool.n || !in->known(in->ctx, tool) || !eat(c, "("))
        return false;
    while (!eat(c, ")")) {
        struct span key = name(c);
        if (!key.n || !eat(c, "=") || !literal(c, &json, key))
            return false;
        if (!eat(c, ",")) {
            if (!eat(c, ")"))
                return false;
            break;
        }
    }
    if (!json.n)
        buf_addc(&json, '{');
    buf_addc(&json, '}');
    const char *args = json.failed ? NULL : arena_span(in->arena, buf_span(&json));
    return args && leak_add(f, tool, (struct span){ args, json.n });
}

static int parse_code(const struct leak_in *in, size_t at, struct leak_found *f)
{
    struct cursor c = { span_sub(in->text, at + 12, in->text.n), false };
    struct span before = span_sub(in->text, 0, at), after = { "", 0 };
    if (span_starts(c.s, "s")) /* ```tool_calls */
        c.s = span_sub(c.s, 1, c.s.n);
    skip(&c);
    bool list = span_starts(c.s, "[");
    if (list)
        c.s = span_sub(c.s, 1, c.s.n);
    for (;;) {
        skip(&c);
        while (c.s.n && (c.s.p[0] == ',' || c.s.p[0] == ')' || (list && c.s.p[0] == ']'))) {
            c.s = span_sub(c.s, 1, c.s.n);
            skip(&c);
        }
        if (span_starts(c.s, "```")) {
            after = span_sub(c.s, 3, c.s.n);
            break;
        }
        if (!c.s.n)
            break;
        if (c.s.p[0] == '{') {
            size_t n = leak_json_end(c.s);
            if (!n || !leak_from_object(in, span_sub(c.s, 0, n), f)) {
                f->cut = !n;
                f->unreadable = n > 0;
                break;
            }
            c.s = span_sub(c.s, n, c.s.n);
        } else if (!python_call(in, &c, f)) {
            f->cut = c.cut;
            f->unreadable = !c.cut;
            break;
        }
    }
    f->text = leak_rest(in->arena, before, after);
    return 1;
}

/* A value of Gemma 4's own notation: <|"|>text<|"|>, numbers, true, [..], {key:value}. */
static bool gemma_value(struct cursor *c, const char *quote, struct buf *json, int depth)
{
    skip(c);
    if (depth > 8)
        return false;
    if (span_starts(c->s, quote)) {
        c->s = span_sub(c->s, strlen(quote), c->s.n);
        ptrdiff_t end = span_find(c->s, span_of(quote));
        if (end < 0) {
            c->cut = true;
            return false;
        }
        buf_add_json(json, span_sub(c->s, 0, (size_t)end));
        c->s = span_sub(c->s, (size_t)end + strlen(quote), c->s.n);
        return true;
    }
    if (eat(c, "{") || eat(c, "[")) {
        bool object = c->s.p[-1] == '{';
        buf_addc(json, object ? '{' : '[');
        for (int n = 0; !eat(c, object ? "}" : "]"); n++) {
            if (n && !eat(c, ","))
                return false;
            if (n)
                buf_addc(json, ',');
            if (object) {
                bool quoted = eat(c, quote);
                struct span key = name(c);
                if (!key.n || (quoted && !eat(c, quote)) || !eat(c, ":"))
                    return false;
                buf_add_json(json, key);
                buf_addc(json, ':');
            }
            if (!gemma_value(c, quote, json, depth + 1))
                return false;
        }
        buf_addc(json, object ? '}' : ']');
        return true;
    }
    if (c->s.n && c->s.p[0] == '"') { /* plain quotes instead of its own */
        size_t n = leak_json_end(c->s);
        c->cut |= !n;
        buf_add_span(json, span_sub(c->s, 0, n));
        c->s = span_sub(c->s, n, c->s.n);
        return n > 0;
    }
    struct span word = name(c);
    c->cut |= !c->s.n;
    return word.n && buf_add_span(json, word);
}

static int parse_own(const struct leak_in *in, const char *begin, const char *end, const char *quote, struct leak_found *f)
{
    ptrdiff_t at = span_find(in->text, span_of(begin));
    if (at < 0)
        return 0;
    struct span before = span_sub(in->text, 0, (size_t)at);
    struct cursor c = { span_sub(in->text, (size_t)at, in->text.n), false };
    while (eat(&c, begin)) {
        AUTO(buf) struct buf json = BUF_INIT(16u << 20);
        if (!eat(&c, "call:")) {
            f->cut = !c.s.n;
            f->unreadable = c.s.n > 0;
            break;
        }
        struct span tool = name(&c);
        c.cut = false;
        if (!tool.n || !c.s.n || c.s.p[0] != '{' || !gemma_value(&c, quote, &json, 0) || json.failed) {
            f->cut = c.cut || !c.s.n;
            f->unreadable = !f->cut;
            break;
        }
        const char *args = arena_span(in->arena, buf_span(&json));
        if (args)
            leak_add(f, tool, (struct span){ args, json.n });
        (void)eat(&c, end);
    }
    f->text = leak_rest(in->arena, before, f->cut || f->unreadable ? (struct span){ "", 0 } : c.s);
    return 1;
}

static int parse(const struct leak_in *in, struct leak_found *f)
{
    if (parse_own(in, "<|tool_call>", "<tool_call|>", "<|\"|>", f) || parse_own(in, "<start_function_call>", "<end_function_call>", "<escape>", f))
        return 1;
    ptrdiff_t at = span_find(in->text, SPAN("```tool_code"));
    if (at < 0)
        at = span_find(in->text, SPAN("```tool_call"));
    return at < 0 ? 0 : parse_code(in, (size_t)at, f);
}

const struct leak leak_gemma = { "gemma", parse };
