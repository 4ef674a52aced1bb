#include "model/collect.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#define ARGS_LIMIT_BYTES (8u << 20) /* of one call: a file that no model writes whole */

void collect_init(struct collect *c, const struct collect_sink *sink)
{
    static const struct collect_sink none;
    memset(c, 0, sizeof *c);
    c->sink = sink ? sink : &none;
    buf_init(&c->text, CHAT_MAX_REPLY_BYTES);
    buf_init(&c->reasoning, CHAT_MAX_REPLY_BYTES);
    buf_init(&c->signature, 1 << 20);
    buf_init(&c->error, 64 << 10);
    c->usage = (struct reply_usage){ -1, -1, -1 };
    c->error_n_prompt = c->error_n_ctx = -1;
}

void collect_finish(struct collect *c)
{
    buf_finish(&c->text);
    buf_finish(&c->reasoning);
    buf_finish(&c->signature);
    buf_finish(&c->error);
    for (size_t i = 0; i < c->ncalls; i++)
        buf_finish(&c->calls[i].args);
    free(c->calls);
    memset(c, 0, sizeof *c);
}

static void first(struct collect *c)
{
    c->any = true;
    if (!c->first_ms)
        c->first_ms = clock_ms();
}

bool collect_text(struct collect *c, struct span piece)
{
    if (!piece.n)
        return true;
    first(c);
    if (c->sink->text)
        c->sink->text(c->sink->ctx, piece);
    return buf_add_span(&c->text, piece);
}

bool collect_reasoning(struct collect *c, struct span piece)
{
    if (!piece.n)
        return true;
    first(c);
    if (c->sink->reasoning)
        c->sink->reasoning(c->sink->ctx, piece);
    return buf_add_span(&c->reasoning, piece);
}

/* The value of four hexadecimal digits, or -1. */
static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static bool is_surrogate(struct span s, size_t at, int from)
{
    if (at + 6 > s.n || s.p[at] != '\\' || s.p[at + 1] != 'u')
        return false;
    int v = hex4(s.p + at + 2);
    return v >= from && v < from + 0x400;
}

json_t *collect_parse(struct span text)
{
    json_t *j = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
    if (j)
        return j;
    AUTO(buf) struct buf valid = BUF_INIT(4 * text.n + 64), fixed = BUF_INIT(4 * text.n + 64);
    if (!utf8_add_valid(&valid, text))
        return NULL;
    struct span s = buf_span(&valid);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\\' || i + 1 >= s.n) {
            buf_addc(&fixed, s.p[i]);
        } else if (is_surrogate(s, i, 0xd800) && is_surrogate(s, i + 6, 0xdc00)) {
            buf_add(&fixed, s.p + i, 12);
            i += 11;
        } else if (is_surrogate(s, i, 0xd800) || is_surrogate(s, i, 0xdc00)) {
            buf_adds(&fixed, "\\ufffd");
            i += 5;
        } else {
            buf_add(&fixed, s.p + i, 2);
            i++;
        }
    }
    return fixed.failed ? NULL : json_loadb(buf_str(&fixed), fixed.n, JSON_ALLOW_NUL, NULL);
}

size_t collect_bytes(const struct collect *c)
{
    size_t n = c->text.n + c->reasoning.n;
    for (size_t i = 0; i < c->ncalls; i++)
        n += c->calls[i].args.n + strlen(c->calls[i].name);
    return n;
}

static bool args_complete(const struct collect_call *k)
{
    json_t *j = k->args.n ? json_loadb(k->args.p, k->args.n, 0, NULL) : NULL;
    bool whole = json_is_object(j);
    json_decref(j);
    return whole;
}

/* Which call a piece belongs to, or NULL: a new one begins. */
static struct collect_call *find(struct collect *c, struct span id, int64_t index, struct span name)
{
    struct collect_call *last = c->ncalls ? &c->calls[c->ncalls - 1] : NULL;
    if (id.n) {
        struct collect_call *same = NULL;
        for (size_t i = c->ncalls; i-- > 0;)
            if (span_eqs(id, c->calls[i].id)) {
                if (index < 0 || c->calls[i].index < 0 || c->calls[i].index == index)
                    return name.n && c->calls[i].args.n && !span_eqs(name, c->calls[i].name) && args_complete(&c->calls[i]) ? NULL : &c->calls[i];
                same = &c->calls[i];
            }
        if (same) /* one id for all calls: a name begins the next */
            return name.n ? NULL : same;
        for (size_t i = c->ncalls; i-- > 0;) /* its id comes late */
            if (!c->calls[i].id[0] && index >= 0 && c->calls[i].index == index && !args_complete(&c->calls[i]))
                return &c->calls[i];
        return NULL;
    }
    if (!last)
        return NULL;
    struct collect_call *at = NULL;
    if (index < 0)
        at = last;
    for (size_t i = c->ncalls; !at && i-- > 0;)
        if (c->calls[i].index == index)
            at = &c->calls[i];
    if (!at)
        return NULL;
    /* A name behind whole arguments, and no id: another call whose index was left out or is always 0. */
    if (name.n && at->name[0] && (at->args.n ? args_complete(at) : !span_eqs(name, at->name)))
        return NULL;
    return at;
}

struct collect_call *collect_call(struct collect *c, struct span id, int64_t index, struct span name, struct span args)
{
    first(c);
    struct collect_call *k = find(c, id, index, name);
    if (!k) {
        if (c->ncalls >= CHAT_MAX_CALLS || !array_grow((void **)&c->calls, &c->cap, c->ncalls, 1, sizeof *c->calls))
            return NULL;
        k = &c->calls[c->ncalls++];
        memset(k, 0, sizeof *k);
        k->index = index;
        buf_init(&k->args, ARGS_LIMIT_BYTES);
    }
    if (id.n && !k->id[0]) {
        k->odd |= id.n >= sizeof k->id;
        snprintf(k->id, sizeof k->id, "%.*s", (int)id.n, id.p);
    }
    if (name.n && !span_eqs(name, k->name) && !k->args.n) {
        bool fresh = !k->name[0];
        size_t have = strlen(k->name);
        k->odd |= have + name.n >= sizeof k->name || memchr(name.p, 0, name.n) != NULL;
        snprintf(k->name + have, sizeof k->name - have, "%.*s", (int)name.n, name.p);
        if (fresh && c->sink->call)
            c->sink->call(c->sink->ctx, k->name);
    }
    if (args.n && span_eq(args, buf_span(&k->args)) && args_complete(k))
        return k; /* whole arguments, sent once more with the end of the call */
    buf_add_span(&k->args, args);
    return k;
}

struct span json_span(const json_t *v)
{
    return json_is_string(v) ? (struct span){ json_string_value(v), json_string_length(v) } : (struct span){ "", 0 };
}

int64_t json_count(const json_t *object, const char *name, int64_t or)
{
    const json_t *v = json_object_get(object, name);
    if (json_is_integer(v) && json_integer_value(v) >= 0)
        return json_integer_value(v);
    if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < 1e15)
        return (int64_t)json_real_value(v);
    return or;
}

void collect_error(struct collect *c, const json_t *error)
{
    c->failed = true;
    if (json_is_string(error)) {
        buf_add_span(&c->error, json_span(error));
        return;
    }
    const json_t *inner = json_object_get(error, "error");
    if (json_is_object(inner) || json_is_string(inner)) {
        if (!json_is_string(json_object_get(error, "message")) || json_is_object(inner)) {
            collect_error(c, inner);
            return;
        }
    }
    struct span text = json_span(json_object_get(error, "message"));
    if (!text.n)
        text = json_span(json_object_get(error, "detail"));
    if (text.n) {
        buf_add_span(&c->error, text);
    } else {
        char *all = json_dumps(error, JSON_COMPACT | JSON_ENCODE_ANY);
        buf_adds(&c->error, all ? all : "(no text)");
        free(all);
    }
    struct span type = json_span(json_object_get(error, "type"));
    if (!type.n)
        type = json_span(json_object_get(error, "code"));
    snprintf(c->error_type, sizeof c->error_type, "%.*s", (int)type.n, type.p);
    int64_t status = json_count(error, "code", 0);
    c->error_status = status >= 400 && status < 600 ? (int)status : 0;
    c->error_n_prompt = json_count(error, "n_prompt_tokens", -1);
    c->error_n_ctx = json_count(error, "n_ctx", -1);
}

int collect_check(const struct collect *c, struct err *e)
{
    if (c->text.failed || c->reasoning.failed)
        return err_set(e, ERR_LIMIT, "the reply is longer than %u bytes", CHAT_MAX_REPLY_BYTES);
    for (size_t i = 0; i < c->ncalls; i++)
        if (c->calls[i].args.failed)
            return err_set(e, ERR_LIMIT, "the arguments of a tool call are longer than %u bytes", ARGS_LIMIT_BYTES);
    return 0;
}
