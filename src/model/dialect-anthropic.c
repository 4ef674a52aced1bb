/*
 * Anthropic Messages: content is blocks; results are blocks of a user message, so that neighbours join
 * one message; the last block is left open, and the closing bytes mark it for the prompt cache.
 */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "model/dialect.h"

enum { OPEN_NONE, OPEN_USER }; /* OPEN_USER: inside the last block of a user message, before its brace */

static void add_json(struct buf *b, const char *before, struct span value)
{
    buf_adds(b, before);
    buf_add_json(b, value);
}

static void add_milli(struct buf *b, const char *before, double v)
{
    if (isnan(v) || v < 0 || v > 100)
        return;
    int64_t milli = llround(v * 1000);
    buf_addf(b, "%s%lld.%03lld", before, (long long)(milli / 1000), (long long)(milli % 1000));
}

static bool anthropic_head(struct wire *w, const struct head *h)
{
    struct buf *b = &w->bytes;
    const struct behaviour *how = h->behaviour;
    add_json(b, "{\"model\":", span_of(h->model));
    buf_adds(b, ",\"stream\":true");
    if (!how->sampling_refused) /* newer models refuse two of them at once: temperature alone */
        add_milli(b, ",\"temperature\":", h->sampling->temperature > 1 ? 1 : h->sampling->temperature);
    if (how->sampling_extended && h->sampling->top_k >= 0)
        buf_addf(b, ",\"top_k\":%lld", (long long)h->sampling->top_k);
    for (size_t i = 0; i < h->ntools; i++) {
        add_json(b, i ? ",{\"name\":" : ",\"tools\":[{\"name\":", span_of(h->tools[i].name));
        add_json(b, ",\"description\":", span_of(h->tools[i].doc));
        buf_adds(b, ",\"input_schema\":");
        buf_add_span(b, h->tools[i].schema);
        buf_addc(b, '}');
    }
    if (h->ntools)
        buf_addc(b, ']');
    if (h->instructions.n && how->system_place != SYSTEM_IN_USER) {
        add_json(b, ",\"system\":[{\"type\":\"text\",\"text\":", h->instructions);
        buf_adds(b, ",\"cache_control\":{\"type\":\"ephemeral\"}}]");
    }
    buf_adds(b, ",\"messages\":[");
    return !b->failed;
}

static void begin(struct wire *w, const char *role)
{
    struct buf *b = &w->bytes;
    if (w->open == OPEN_USER)
        buf_adds(b, "}]}");
    w->open = OPEN_NONE;
    if (b->n && b->p[b->n - 1] != '[')
        buf_addc(b, ',');
    buf_addf(b, "{\"role\":\"%s\",\"content\":[", role);
    w->messages++;
}

static void user_block(struct wire *w)
{
    if (w->open == OPEN_USER)
        buf_adds(&w->bytes, "},");
    else
        begin(w, "user");
    w->open = OPEN_USER;
}

static bool anthropic_add(struct wire *w, const struct message *m)
{
    struct buf *b = &w->bytes;
    switch (m->role) {
    case MESSAGE_USER:
        user_block(w);
        add_json(b, "{\"type\":\"text\",\"text\":", m->text.n ? m->text : SPAN(" ")); /* empty text is refused */
        break;
    case MESSAGE_IMAGE:
        user_block(w);
        add_json(b, "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":", m->tool);
        add_json(b, ",\"data\":", m->text);
        buf_addc(b, '}');
        break;
    case MESSAGE_RESULT:
        user_block(w);
        add_json(b, "{\"type\":\"tool_result\",\"tool_use_id\":", m->call_id);
        add_json(b, ",\"content\":", m->text);
        if (!m->ok)
            buf_adds(b, ",\"is_error\":true");
        break;
    case MESSAGE_ASSISTANT: {
        const char *comma = "";
        begin(w, "assistant");
        if (m->reasoning.n && m->signature.n && w->behaviour->reasoning == REPLAY_FIELD) {
            add_json(b, "{\"type\":\"thinking\",\"thinking\":", m->reasoning);
            add_json(b, ",\"signature\":", m->signature);
            buf_addc(b, '}');
            comma = ",";
        }
        if (span_trim(m->text).n || !m->ncalls) {
            buf_adds(b, comma);
            /* white space at the end of an assistant's turn is refused */
            struct span text = m->text;
            while (text.n && (unsigned char)text.p[text.n - 1] <= ' ')
                text.n--;
            add_json(b, "{\"type\":\"text\",\"text\":", text.n ? text : SPAN("(nothing)"));
            buf_addc(b, '}');
            comma = ",";
        }
        for (size_t i = 0; i < m->ncalls; i++) {
            buf_adds(b, comma);
            add_json(b, "{\"type\":\"tool_use\",\"id\":", m->calls[i].id);
            add_json(b, ",\"name\":", m->calls[i].name);
            buf_adds(b, ",\"input\":");
            buf_add_span(b, m->calls[i].args);
            buf_addc(b, '}');
            comma = ",";
        }
        buf_adds(b, "]}");
        break;
    }
    }
    return !b->failed;
}

static bool anthropic_close(const struct wire *w, const struct closing *c, struct buf *tail)
{
    if (w->open == OPEN_USER)
        buf_adds(tail, ",\"cache_control\":{\"type\":\"ephemeral\"}}]}");
    buf_addf(tail, "],\"max_tokens\":%lld", (long long)c->max_tokens);
    if (c->constrain != CONSTRAIN_NONE)
        buf_adds(tail, ",\"tool_choice\":{\"type\":\"any\"}");
    buf_addc(tail, '}');
    return !tail->failed;
}

/* ---- reading what was written ---- */

static struct span keep(struct arena *a, const json_t *v)
{
    struct span s = json_span(v);
    char *p = s.n ? arena_alloc(a, s.n + 1) : NULL;
    if (!p)
        return (struct span){ "", 0 };
    memcpy(p, s.p, s.n);
    return (struct span){ p, s.n };
}

static json_t *parse_closed(struct span bytes, int *open, struct err *e)
{
    static const char *const ends[] = { [OPEN_NONE] = "]}", [OPEN_USER] = "}]}]}" };
    struct buf b = BUF_INIT(CHAT_MAX_BYTES + 16);
    json_t *doc = NULL;
    buf_add_span(&b, bytes);
    for (int i = 0; i < 2 && !doc && !b.failed; i++) {
        buf_truncate(&b, bytes.n);
        buf_adds(&b, ends[i]);
        doc = json_loadb(b.p, b.n, 0, NULL);
        *open = i;
    }
    buf_finish(&b);
    if (!doc)
        err_set(e, ERR_INPUT, "the saved conversation of %zu bytes is not one of this dialect, or is cut", bytes.n);
    return doc;
}

static void read_assistant(const json_t *content, struct arena *a, struct message *m)
{
    size_t n = json_array_size(content), k = 0;
    struct said_call *calls = arena_array(a, n + 1, sizeof *calls);
    *m = (struct message){ .role = MESSAGE_ASSISTANT, .text = { "", 0 }, .calls = calls };
    for (size_t i = 0; calls && i < n; i++) {
        const json_t *b = json_array_get(content, i);
        struct span type = json_span(json_object_get(b, "type"));
        if (span_eqs(type, "text")) {
            m->text = keep(a, json_object_get(b, "text"));
        } else if (span_eqs(type, "thinking")) {
            m->reasoning = keep(a, json_object_get(b, "thinking"));
            m->signature = keep(a, json_object_get(b, "signature"));
        } else if (span_eqs(type, "tool_use")) {
            char *args = json_dumps(json_object_get(b, "input"), JSON_COMPACT);
            calls[k++] = (struct said_call){ keep(a, json_object_get(b, "id")), keep(a, json_object_get(b, "name")), span_of(arena_strdup(a, args ? args : "{}")) };
            free(args);
        }
    }
    m->ncalls = k;
}

static void read_block(const json_t *b, struct arena *a, struct message *m)
{
    struct span type = json_span(json_object_get(b, "type"));
    memset(m, 0, sizeof *m);
    if (span_eqs(type, "tool_result")) {
        m->role = MESSAGE_RESULT;
        m->text = keep(a, json_object_get(b, "content"));
        m->call_id = keep(a, json_object_get(b, "tool_use_id"));
        m->ok = !json_is_true(json_object_get(b, "is_error"));
    } else if (span_eqs(type, "image")) {
        const json_t *s = json_object_get(b, "source");
        m->role = MESSAGE_IMAGE;
        m->text = keep(a, json_object_get(s, "data"));
        m->tool = keep(a, json_object_get(s, "media_type"));
    } else {
        m->role = MESSAGE_USER;
        m->text = keep(a, json_object_get(b, "text"));
    }
}

static int anthropic_read(struct span bytes, struct arena *arena, struct message **out, size_t *count, int *open, struct err *e)
{
    AUTO(json) json_t *doc = parse_closed(bytes, open, e);
    if (!doc)
        return -(int)e->kind;
    const json_t *list = json_object_get(doc, "messages");
    size_t room = 0, have = 0, i;
    json_t *j;
    json_array_foreach(list, i, j)
        room += 1 + json_array_size(json_object_get(j, "content"));
    struct message *m = arena_array(arena, room + 1, sizeof *m);
    json_array_foreach(list, i, j) {
        const json_t *content = json_object_get(j, "content");
        if (!m)
            break;
        if (span_eqs(json_span(json_object_get(j, "role")), "assistant")) {
            read_assistant(content, arena, &m[have++]);
            continue;
        }
        size_t k;
        json_t *b;
        json_array_foreach(content, k, b)
            read_block(b, arena, &m[have++]);
    }
    if (!m)
        return err_set(e, ERR_NOMEM, "cannot read the saved conversation: out of memory");
    *out = m;
    *count = have;
    return 0;
}

/* ---- replies ---- */

static void read_usage(struct collect *c, const json_t *u)
{
    if (!json_is_object(u))
        return;
    int64_t in = json_count(u, "input_tokens", -1), read = json_count(u, "cache_read_input_tokens", -1), made = json_count(u, "cache_creation_input_tokens", -1);
    if (in >= 0 && (in > 0 || c->usage.prompt_tokens < 0)) {
        c->usage.prompt_tokens = in + (read > 0 ? read : 0) + (made > 0 ? made : 0);
        c->usage.cached_tokens = read;
    }
    c->usage.completion_tokens = json_count(u, "output_tokens", c->usage.completion_tokens);
}

static void read_stop(struct collect *c, struct span why)
{
    if (!why.n)
        return;
    c->finished = true;
    if (span_eqs(why, "max_tokens") || span_eqs(why, "model_context_window_exceeded"))
        c->finish = FINISH_LENGTH;
    else if (span_eqs(why, "refusal"))
        c->finish = FINISH_REFUSED;
    else
        c->finish = FINISH_STOP;
}

/* A block as a whole, or as it begins in a stream (then it is empty, or not, as servers like). */
static int read_content_block(struct collect *c, const json_t *block, int64_t index, bool begun, struct err *e)
{
    struct span type = json_span(json_object_get(block, "type"));
    if (span_eqs(type, "text")) {
        collect_text(c, json_span(json_object_get(block, "text")));
    } else if (span_eqs(type, "thinking")) {
        collect_reasoning(c, json_span(json_object_get(block, "thinking")));
        buf_add_span(&c->signature, json_span(json_object_get(block, "signature")));
    } else if (span_eqs(type, "tool_use")) {
        const json_t *input = json_object_get(block, "input");
        char *text = json_is_object(input) && (json_object_size(input) || !begun) ? json_dumps(input, JSON_COMPACT) : NULL;
        struct collect_call *k = collect_call(c, json_span(json_object_get(block, "id")), index, json_span(json_object_get(block, "name")), span_of(text));
        free(text);
        if (!k)
            return err_set(e, ERR_LIMIT, "the reply holds more than %d tool calls", CHAT_MAX_CALLS);
    }
    return 0;
}

static int anthropic_body(struct collect *c, const json_t *answer, struct err *e)
{
    struct span type = json_span(json_object_get(answer, "type"));
    if (json_object_get(answer, "error")) {
        collect_error(c, json_object_get(answer, "error"));
        return 0;
    }
    if (!span_eqs(type, "message"))
        return err_set(e, ERR_PROTOCOL, "the answer is not a message");
    size_t i;
    json_t *b;
    json_array_foreach(json_object_get(answer, "content"), i, b) {
        int rc = read_content_block(c, b, (int64_t)i, false, e);
        if (rc < 0)
            return rc;
    }
    read_usage(c, json_object_get(answer, "usage"));
    read_stop(c, json_span(json_object_get(answer, "stop_reason")));
    return collect_check(c, e);
}

static int read_delta(struct collect *c, const json_t *j, struct err *e)
{
    const json_t *d = json_object_get(j, "delta");
    struct span type = json_span(json_object_get(d, "type"));
    if (span_eqs(type, "text_delta")) {
        collect_text(c, json_span(json_object_get(d, "text")));
    } else if (span_eqs(type, "thinking_delta")) {
        collect_reasoning(c, json_span(json_object_get(d, "thinking")));
    } else if (span_eqs(type, "signature_delta")) {
        buf_add_span(&c->signature, json_span(json_object_get(d, "signature")));
    } else if (span_eqs(type, "input_json_delta")) {
        struct span none = { "", 0 };
        if (!collect_call(c, none, json_count(j, "index", -1), none, json_span(json_object_get(d, "partial_json"))))
            return err_set(e, ERR_LIMIT, "the reply holds more than %d tool calls", CHAT_MAX_CALLS);
    }
    return collect_check(c, e);
}

static int anthropic_event(struct collect *c, struct span name, struct span data, struct err *e)
{
    data = span_trim(data);
    if (!data.n || span_eqs(data, "[DONE]"))
        return 0;
    AUTO(json) json_t *j = collect_parse(data);
    if (!json_is_object(j))
        return err_set(e, ERR_PROTOCOL, "an event of the stream is not a JSON object");
    struct span type = json_span(json_object_get(j, "type"));
    if (span_eqs(type, "content_block_delta"))
        return read_delta(c, j, e);
    if (span_eqs(type, "content_block_start"))
        return read_content_block(c, json_object_get(j, "content_block"), json_count(j, "index", -1), true, e);
    if (span_eqs(type, "message_start")) {
        const json_t *m = json_object_get(j, "message");
        read_usage(c, json_object_get(m, "usage"));
    } else if (span_eqs(type, "message_delta")) {
        read_usage(c, json_object_get(j, "usage"));
        read_stop(c, json_span(json_object_get(json_object_get(j, "delta"), "stop_reason")));
    } else if (span_eqs(type, "message_stop")) {
        c->ended = true;
    } else if (span_eqs(type, "error") || span_eqs(name, "error") || json_object_get(j, "error")) { /* llama-server names only the event */
        collect_error(c, json_object_get(j, "error") ? json_object_get(j, "error") : j);
    } else if (!type.n) {
        return err_set(e, ERR_PROTOCOL, "an event of the stream has no type");
    }
    return 0;
}

static const char *const headers[] = { "anthropic-version: 2023-06-01", NULL };

const struct dialect dialect_anthropic_messages = {
    .name = "anthropic-messages",
    .title = "Anthropic Messages",
    .path = "/messages",
    .key_header = "x-api-key: %s",
    .headers = headers,
    .head = anthropic_head,
    .add = anthropic_add,
    .close = anthropic_close,
    .read = anthropic_read,
    .event = anthropic_event,
    .body = anthropic_body,
};
