/* OpenAI chat completions, as llama-server, Ollama, LM Studio, vLLM and the rest speak it. */
#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "model/dialect.h"

enum { OPEN_NONE, OPEN_USER_TEXT, OPEN_USER_PARTS, OPEN_RESULT_TEXT };

static void add_member_span(struct buf *b, const char *before, struct span value)
{
    buf_adds(b, before);
    buf_add_json(b, value);
}

/* The string stays open: its closing quote is not written. */
static void add_open_string(struct buf *b, struct span s)
{
    buf_add_json(b, s);
    if (!b->failed)
        buf_truncate(b, b->n - 1);
}

/* More of a string that is open. */
static void add_more_string(struct buf *b, struct span s)
{
    size_t at = b->n;
    add_open_string(b, s);
    if (!b->failed)
        buf_erase(b, at, 1);
}

/* A number as JSON, independent of locale: thousandths are finer than any sampler's parameter needs. */
static void add_number(struct buf *b, const char *before, double v)
{
    if (isnan(v) || v < -1000 || v > 1000)
        return;
    int64_t milli = llround(v * 1000);
    const char *sign = milli < 0 ? "-" : "";
    if (milli < 0)
        milli = -milli;
    buf_adds(b, before);
    buf_addf(b, "%s%lld", sign, (long long)(milli / 1000));
    if (milli % 1000) {
        char frac[8];
        int n = snprintf(frac, sizeof frac, "%03lld", (long long)(milli % 1000));
        while (n > 1 && frac[n - 1] == '0')
            frac[--n] = '\0';
        buf_addf(b, ".%s", frac);
    }
}

static bool openai_head(struct wire *w, const struct head *h)
{
    struct buf *b = &w->bytes;
    const struct behaviour *how = h->behaviour;
    const struct sampling *s = h->sampling;
    add_member_span(b, "{\"model\":", span_of(h->model));
    buf_adds(b, ",\"stream\":true");
    if (how->stream_usage)
        buf_adds(b, ",\"stream_options\":{\"include_usage\":true}");
    if (!how->sampling_refused) {
        add_number(b, ",\"temperature\":", s->temperature);
        add_number(b, ",\"top_p\":", s->top_p);
        if (s->presence_penalty > 0)
            add_number(b, ",\"presence_penalty\":", s->presence_penalty);
    }
    if (how->sampling_extended) {
        if (s->top_k >= 0)
            buf_addf(b, ",\"top_k\":%lld", (long long)s->top_k);
        add_number(b, ",\"min_p\":", s->min_p);
        if (s->repeat_penalty > 0)
            add_number(b, ",\"repeat_penalty\":", s->repeat_penalty);
    }
    if (s->seed >= 0)
        buf_addf(b, ",\"seed\":%lld", (long long)s->seed);
    if (how->cache_prompt)
        buf_adds(b, ",\"cache_prompt\":true,\"return_progress\":true");
    if (!how->tools) /* calls go as text: the model must not write its own results */
        buf_adds(b, ",\"stop\":[\"<tool_response>\"]");
    if (h->ntools && how->one_call)
        buf_adds(b, ",\"parallel_tool_calls\":false");
    for (size_t i = 0; i < h->ntools; i++) {
        add_member_span(b, i ? ",{\"type\":\"function\",\"function\":{\"name\":" : ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":",
                        span_of(h->tools[i].name));
        add_member_span(b, ",\"description\":", span_of(h->tools[i].doc));
        buf_adds(b, ",\"parameters\":");
        buf_add_span(b, h->tools[i].schema);
        buf_adds(b, "}}");
    }
    buf_adds(b, h->ntools ? "],\"messages\":[" : ",\"messages\":[");
    if (h->instructions.n && how->system_place != SYSTEM_IN_USER) {
        add_member_span(b, how->system_place == SYSTEM_DEVELOPER ? "{\"role\":\"developer\",\"content\":" : "{\"role\":\"system\",\"content\":", h->instructions);
        buf_addc(b, '}');
    }
    return !b->failed;
}

static void close_last(struct wire *w, struct buf *b)
{
    static const char *const ends[] = { "", "\"}", "]}", "\"}" };
    buf_adds(b, ends[w->open]);
}

static void begin(struct wire *w)
{
    close_last(w, &w->bytes);
    w->open = OPEN_NONE;
    if (w->bytes.n && w->bytes.p[w->bytes.n - 1] != '[')
        buf_addc(&w->bytes, ',');
    w->messages++;
}

static void add_user(struct wire *w, struct span text)
{
    struct buf *b = &w->bytes;
    if (w->open == OPEN_USER_TEXT || (w->open == OPEN_RESULT_TEXT && w->behaviour->merge_user_after_tool)) {
        buf_adds(b, "\\n\\n");
        add_more_string(b, text);
    } else if (w->open == OPEN_USER_PARTS) {
        add_member_span(b, ",{\"type\":\"text\",\"text\":", text);
        buf_addc(b, '}');
    } else {
        begin(w);
        buf_adds(b, "{\"role\":\"user\",\"content\":");
        add_open_string(b, text);
        w->open = OPEN_USER_TEXT;
    }
}

static void add_image(struct wire *w, struct span mime, struct span base64)
{
    struct buf *b = &w->bytes;
    if (w->open == OPEN_USER_PARTS) {
        buf_addc(b, ',');
    } else {
        begin(w);
        buf_adds(b, "{\"role\":\"user\",\"content\":[");
        w->open = OPEN_USER_PARTS;
    }
    buf_adds(b, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:");
    buf_add_span(b, mime);
    buf_adds(b, ";base64,");
    buf_add_span(b, base64);
    buf_adds(b, "\"}}");
}

static void add_assistant(struct wire *w, const struct message *m)
{
    struct buf *b = &w->bytes;
    begin(w);
    buf_adds(b, "{\"role\":\"assistant\",\"content\":");
    bool tags = m->reasoning.n && w->behaviour->reasoning == REPLAY_TAGS;
    if (tags) {
        add_open_string(b, SPAN("<think>\n"));
        add_more_string(b, span_trim(m->reasoning));
        add_more_string(b, SPAN("\n</think>\n\n"));
        add_more_string(b, m->text);
        buf_addc(b, '"');
    } else {
        buf_add_json(b, m->text);
    }
    if (m->reasoning.n && w->behaviour->reasoning == REPLAY_FIELD)
        add_member_span(b, ",\"reasoning_content\":", m->reasoning);
    for (size_t i = 0; i < m->ncalls; i++) {
        add_member_span(b, i ? ",{\"id\":" : ",\"tool_calls\":[{\"id\":", m->calls[i].id);
        add_member_span(b, ",\"type\":\"function\",\"function\":{\"name\":", m->calls[i].name);
        buf_adds(b, ",\"arguments\":");
        if (w->behaviour->object_args)
            buf_add_span(b, m->calls[i].args);
        else
            buf_add_json(b, m->calls[i].args);
        buf_adds(b, "}}");
    }
    buf_adds(b, m->ncalls ? "]}" : "}");
}

static void add_result(struct wire *w, const struct message *m)
{
    struct buf *b = &w->bytes;
    begin(w);
    add_member_span(b, "{\"role\":\"tool\",\"tool_call_id\":", m->call_id);
    if (m->tool.n && w->behaviour->name_results)
        add_member_span(b, ",\"name\":", m->tool);
    buf_adds(b, ",\"content\":");
    add_open_string(b, m->text);
    w->open = OPEN_RESULT_TEXT;
}

static bool openai_add(struct wire *w, const struct message *m)
{
    switch (m->role) {
    case MESSAGE_USER:
        add_user(w, m->text);
        break;
    case MESSAGE_IMAGE:
        add_image(w, m->tool, m->text);
        break;
    case MESSAGE_ASSISTANT:
        add_assistant(w, m);
        break;
    case MESSAGE_RESULT:
        add_result(w, m);
        break;
    }
    return !w->bytes.failed;
}

static bool openai_close(const struct wire *w, const struct closing *c, struct buf *tail)
{
    struct wire copy = *w;
    close_last(&copy, tail);
    buf_addf(tail, "],\"%s\":%lld", w->behaviour->max_completion_tokens ? "max_completion_tokens" : "max_tokens", (long long)c->max_tokens);
    if (w->behaviour->cache_prompt && c->place > 0)
        buf_addf(tail, ",\"id_slot\":%d", c->place - 1);
    if (c->constrain == CONSTRAIN_REQUIRED)
        buf_adds(tail, ",\"tool_choice\":\"required\"");
    if (c->constrain == CONSTRAIN_SCHEMA) {
        buf_adds(tail, ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"call\",\"strict\":true,\"schema\":");
        buf_add_span(tail, c->constrain_schema);
        buf_adds(tail, "}}");
    }
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

static struct span keep_json(struct arena *a, const json_t *v)
{
    if (json_is_string(v))
        return keep(a, v);
    char *text = json_dumps(v, JSON_COMPACT);
    char *p = text ? arena_strdup(a, text) : NULL;
    free(text);
    return span_of(p);
}

static json_t *parse_closed(struct span bytes, int *open, struct err *e)
{
    static const struct { int open; const char *end; } ways[] = {
        { OPEN_NONE, "]}" }, { OPEN_USER_TEXT, "\"}]}" }, { OPEN_USER_PARTS, "]}]}" } };
    struct buf b = BUF_INIT(CHAT_MAX_BYTES + 16);
    json_t *doc = NULL;
    buf_add_span(&b, bytes);
    for (size_t i = 0; i < 3 && !doc && !b.failed; i++) {
        buf_truncate(&b, bytes.n);
        buf_adds(&b, ways[i].end);
        doc = json_loadb(b.p, b.n, 0, NULL);
        *open = ways[i].open;
    }
    buf_finish(&b);
    if (!doc)
        err_set(e, ERR_INPUT, "the saved conversation of %zu bytes is not one of this dialect, or is cut", bytes.n);
    return doc;
}

/* One element of "messages" gives one message, or several for a user's parts. */
static int read_message(const json_t *j, struct arena *a, struct message *out, size_t room)
{
    struct span role = json_span(json_object_get(j, "role"));
    const json_t *content = json_object_get(j, "content");
    if (!room)
        return -1;
    memset(out, 0, sizeof *out);
    if (span_eqs(role, "system") || span_eqs(role, "developer"))
        return 0;
    if (span_eqs(role, "tool")) {
        out->role = MESSAGE_RESULT;
        out->text = keep(a, content);
        out->call_id = keep(a, json_object_get(j, "tool_call_id"));
        out->ok = !span_starts(out->text, "error: ");
        return 1;
    }
    if (span_eqs(role, "assistant")) {
        const json_t *calls = json_object_get(j, "tool_calls");
        out->role = MESSAGE_ASSISTANT;
        out->text = keep(a, content);
        out->reasoning = keep(a, json_object_get(j, "reasoning_content"));
        size_t n = json_array_size(calls);
        struct said_call *c = n ? arena_array(a, n, sizeof *c) : NULL;
        for (size_t i = 0; c && i < n; i++) {
            const json_t *f = json_object_get(json_array_get(calls, i), "function");
            c[i] = (struct said_call){ keep(a, json_object_get(json_array_get(calls, i), "id")), keep(a, json_object_get(f, "name")),
                                       keep_json(a, json_object_get(f, "arguments")) };
        }
        out->calls = c;
        out->ncalls = c ? n : 0;
        return 1;
    }
    if (!json_is_array(content)) {
        out->role = MESSAGE_USER;
        out->text = keep(a, content);
        return 1;
    }
    size_t n = json_array_size(content);
    if (n > room)
        return -1;
    for (size_t i = 0; i < n; i++) {
        const json_t *part = json_array_get(content, i);
        struct span url = json_span(json_object_get(json_object_get(part, "image_url"), "url"));
        ptrdiff_t comma = span_findc(url, ',');
        memset(&out[i], 0, sizeof out[i]);
        if (span_starts(url, "data:") && comma > 12) {
            out[i].role = MESSAGE_IMAGE;
            out[i].tool = span_of(arena_span(a, span_sub(url, 5, (size_t)comma - 5 - 7)));
            out[i].text = span_of(arena_span(a, span_sub(url, (size_t)comma + 1, url.n)));
        } else {
            out[i].role = MESSAGE_USER;
            out[i].text = keep(a, json_object_get(part, "text"));
        }
    }
    return (int)n;
}

static int openai_read(struct span bytes, struct arena *arena, struct message **out, size_t *count, int *open, struct err *e)
{
    AUTO(json) json_t *doc = parse_closed(bytes, open, e);
    if (!doc)
        return -(int)e->kind;
    const json_t *list = json_object_get(doc, "messages");
    size_t n = json_array_size(list), room = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *content = json_object_get(json_array_get(list, i), "content");
        room += 1 + json_array_size(content);
    }
    struct message *m = arena_array(arena, room + 1, sizeof *m);
    size_t have = 0;
    for (size_t i = 0; m && i < n; i++) {
        int got = read_message(json_array_get(list, i), arena, m + have, room - have);
        if (got < 0)
            return err_set(e, ERR_INPUT, "the saved conversation's message %zu is not one of this dialect", i);
        have += (size_t)got;
    }
    if (!m || arena->used > arena->limit)
        return err_set(e, ERR_NOMEM, "cannot read the saved conversation: out of memory");
    if (*open == OPEN_USER_TEXT && have && m[have - 1].role == MESSAGE_RESULT)
        *open = OPEN_RESULT_TEXT;
    *out = m;
    *count = have;
    return 0;
}

/* ---- replies ---- */

static void read_usage(struct collect *c, const json_t *answer)
{
    const json_t *u = json_object_get(answer, "usage");
    if (json_is_object(u)) {
        c->usage.prompt_tokens = json_count(u, "prompt_tokens", c->usage.prompt_tokens);
        c->usage.completion_tokens = json_count(u, "completion_tokens", c->usage.completion_tokens);
        c->usage.cached_tokens = json_count(json_object_get(u, "prompt_tokens_details"), "cached_tokens", c->usage.cached_tokens);
    }
    const json_t *t = json_object_get(answer, "timings");
    if (json_is_object(t)) { /* llama-server */
        int64_t fresh = json_count(t, "prompt_n", -1), cached = json_count(t, "cache_n", -1);
        if (cached >= 0)
            c->usage.cached_tokens = cached;
        if (cached >= 0 && fresh >= 0)
            c->usage.prompt_tokens = cached + fresh;
        c->usage.completion_tokens = json_count(t, "predicted_n", c->usage.completion_tokens);
        c->prefill_tokens_per_s = json_number_value(json_object_get(t, "prompt_per_second"));
        c->decode_tokens_per_s = json_number_value(json_object_get(t, "predicted_per_second"));
    }
    const json_t *p = json_object_get(answer, "prompt_progress");
    if (json_is_object(p) && c->sink->progress)
        c->sink->progress(c->sink->ctx, json_count(p, "total", 0), json_count(p, "cache", 0), json_count(p, "processed", 0));
}

static void read_finish(struct collect *c, struct span why)
{
    if (!why.n)
        return;
    c->finished = true;
    if (span_eqs(why, "length") || span_eqs(why, "max_tokens"))
        c->finish = FINISH_LENGTH;
    else if (span_eqs(why, "content_filter"))
        c->finish = FINISH_REFUSED;
    else
        c->finish = FINISH_STOP;
}

/* Text, or a list of typed parts (Mistral's own servers). */
static void read_content(struct collect *c, const json_t *v)
{
    collect_text(c, json_span(v));
    size_t i;
    json_t *part;
    json_array_foreach(v, i, part) {
        const json_t *thinking = json_object_get(part, "thinking");
        collect_text(c, json_span(json_object_get(part, "text")));
        collect_reasoning(c, json_span(thinking));
        size_t k;
        json_t *inner;
        json_array_foreach(thinking, k, inner)
            collect_reasoning(c, json_span(json_object_get(inner, "text")));
    }
}

static int read_call(struct collect *c, const json_t *call, bool legacy, struct err *e)
{
    const json_t *f = legacy ? call : json_object_get(call, "function");
    const json_t *args = json_object_get(f, "arguments"), *index = json_object_get(call, "index");
    char *text = NULL;
    struct span a = json_span(args);
    if (json_is_object(args)) { /* quirk 1 */
        text = json_dumps(args, JSON_COMPACT);
        a = span_of(text);
    }
    struct collect_call *k = collect_call(c, json_span(json_object_get(call, "id")), json_is_integer(index) ? json_integer_value(index) : -1,
                                          json_span(json_object_get(f, "name")), a);
    free(text);
    return k ? 0 : err_set(e, ERR_LIMIT, "the reply holds more than %d tool calls", CHAT_MAX_CALLS);
}

static int read_delta(struct collect *c, const json_t *d, struct err *e)
{
    static const char *const thinking[] = { "reasoning_content", "reasoning", "thinking" }; /* quirk 17 */
    for (size_t i = 0; i < 3; i++) {
        struct span s = json_span(json_object_get(d, thinking[i]));
        if (s.n) {
            collect_reasoning(c, s);
            break; /* some send the same under two names */
        }
    }
    read_content(c, json_object_get(d, "content"));
    collect_text(c, json_span(json_object_get(d, "refusal")));
    const json_t *calls = json_object_get(d, "tool_calls");
    int rc = 0;
    size_t i;
    json_t *call;
    json_array_foreach(calls, i, call) {
        rc = read_call(c, call, false, e);
        if (rc < 0)
            return rc;
    }
    if (json_is_object(json_object_get(d, "function_call")))
        rc = read_call(c, json_object_get(d, "function_call"), true, e);
    return rc;
}

static int openai_body(struct collect *c, const json_t *answer, struct err *e)
{
    const json_t *error = json_object_get(answer, "error");
    if (error && !json_is_null(error)) {
        collect_error(c, error);
        return 0;
    }
    if (span_eqs(json_span(json_object_get(answer, "object")), "error")) {
        collect_error(c, answer);
        return 0;
    }
    const json_t *choices = json_object_get(answer, "choices"); /* null in what some send before or behind the words */
    if (!choices && !json_object_get(answer, "usage") && !json_object_get(answer, "prompt_progress"))
        return err_set(e, ERR_PROTOCOL, "the answer is not a chat completion");
    const json_t *choice = json_array_get(choices, 0);
    if (json_count(choice, "index", 0) != 0)
        choice = NULL; /* another alternative, which nobody asked for */
    const json_t *delta = json_object_get(choice, "delta");
    if (!json_is_object(delta))
        delta = json_object_get(choice, "message");
    int rc = read_delta(c, delta, e);
    if (!delta)
        collect_text(c, json_span(json_object_get(choice, "text")));
    read_finish(c, json_span(json_object_get(choice, "finish_reason")));
    read_usage(c, answer);
    return rc < 0 ? rc : collect_check(c, e);
}

static int openai_event(struct collect *c, struct span name, struct span data, struct err *e)
{
    data = span_trim(data);
    if (span_eqs(data, "[DONE]")) {
        c->ended = true;
        return 0;
    }
    if (!data.n)
        return 0;
    AUTO(json) json_t *j = collect_parse(data);
    if (!json_is_object(j)) {
        if (!span_eqs(name, "error"))
            return err_set(e, ERR_PROTOCOL, "an event of the stream is not a JSON object");
        c->failed = true;
        buf_add_span(&c->error, data);
        return 0;
    }
    if (span_eqs(name, "error")) {
        collect_error(c, j);
        return 0;
    }
    if (!json_object_get(j, "choices") && (name.n || span_eqs(json_span(json_object_get(j, "type")), "ping")))
        return json_object_get(j, "error") ? openai_body(c, j, e) : 0; /* a sign of life, or another event of a proxy's own */
    return openai_body(c, j, e);
}

const struct dialect dialect_openai_chat = {
    .name = "openai-chat",
    .title = "OpenAI chat completions",
    .path = "/chat/completions",
    .key_header = "Authorization: Bearer %s",
    .head = openai_head,
    .add = openai_add,
    .close = openai_close,
    .read = openai_read,
    .event = openai_event,
    .body = openai_body,
};
