/* chat.c - one chat request: read it, run it, write its reply as it comes. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <llama.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "engine"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "inference/engine/api-internal.h"
#include "inference/engine/chat-shim.h"

#define STOPS_MAX 16
#define STOP_BYTES_MAX 256
#define REPLY_MAX (64u << 20)
#define REQUEST_MEMORY (128u << 20)
/* Parsing a reply for tool calls costs more the longer it is, and takes a core from the threads that compute: it gets one
 * part in this many of the time, as far as nobody has to wait longer than PARSE_WAIT_US for what is written. */
#define PARSE_SHARE 40
#define PARSE_WAIT_US 500000

struct chat_body { /* of POST /v1/chat/completions */
    json_t *messages, *tools, *tool_choice, *response_format, *json_schema, *stop, *template_args;
    struct chat_stream_options {
        bool include_usage;
    } stream_options;
    const char *model, *grammar, *reasoning_format, *reasoning_effort;
    bool stream, return_progress, cache_prompt, logprobs, ignore_eos;
    json_t *parallel_tool_calls;
    int64_t max_tokens, max_completion_tokens, n_predict, n, seed, top_k, id_slot, repeat_last_n;
    double temperature, top_p, min_p, repeat_penalty, presence_penalty, frequency_penalty;
};

static const struct field stream_fields[] = {
    { "include_usage", FIELD_BOOL, FIELD(chat_stream_options, include_usage), 0, 0, 0, "send a last chunk with usage" },
    { 0 },
};

#define I64(name, lo, hi, doc) { #name, FIELD_I64, FIELD(chat_body, name), 0, lo, hi, doc }
#define F64(name, lo, hi, doc) { #name, FIELD_F64, FIELD(chat_body, name), 0, lo, hi, doc }
#define FLAG(name, doc) { #name, FIELD_BOOL, FIELD(chat_body, name), 0, 0, 0, doc }
#define JSON(name, doc) { #name, FIELD_JSON, FIELD(chat_body, name), 0, 0, 0, doc }
#define TEXT(name, max, doc) { #name, FIELD_STRING, FIELD(chat_body, name), 0, 0, max, doc }
static const struct field chat_fields[] = {
    { "messages", FIELD_JSON, FIELD(chat_body, messages), FIELD_REQUIRED, 0, 0, "the conversation" },
    JSON(tools, "functions that the model may call"),
    JSON(tool_choice, "auto, required, none, or a function by name"),
    JSON(parallel_tool_calls, "whether one reply may hold several calls"),
    JSON(response_format, "text, json_object or json_schema"),
    JSON(json_schema, "the reply must fit this schema"),
    JSON(stop, "a string or an array of them"),
    { "chat_template_kwargs", FIELD_JSON, FIELD(chat_body, template_args), 0, 0, 0, "handed to the template" },
    { "stream_options", FIELD_OBJECT, FIELD(chat_body, stream_options), 0, 0, 0, "", .fields = stream_fields },
    TEXT(model, 4096, "ignored: one engine, one model"),
    TEXT(grammar, 1 << 20, "GBNF that the reply must fit"),
    TEXT(reasoning_format, 64, "none, auto, deepseek"),
    TEXT(reasoning_effort, 64, "none turns thinking off; others go to the template"),
    FLAG(stream, "server-sent events"),
    FLAG(return_progress, "chunks with prompt_progress while the prompt is evaluated"),
    FLAG(cache_prompt, "reuse what is evaluated already"),
    FLAG(logprobs, "not supported"),
    FLAG(ignore_eos, "go on to the limit"),
    I64(max_tokens, -1, INT32_MAX, "of the reply"),
    I64(max_completion_tokens, -1, INT32_MAX, "of the reply"),
    I64(n_predict, -1, INT32_MAX, "of the reply"),
    I64(n, 1, 128, "replies: only 1"),
    I64(seed, -1, UINT32_MAX, "of sampling"),
    I64(top_k, -1, INT32_MAX, "0: off"),
    I64(id_slot, -1, WORKER_SLOTS_MAX - 1, "sequence of the cache; -1: by prefix"),
    I64(repeat_last_n, 0, INT32_MAX, "tokens that the penalties look at"),
    F64(temperature, 0, 100, "0: greedy"),
    F64(top_p, 0, 1, "1: off"),
    F64(min_p, 0, 1, "0: off"),
    F64(repeat_penalty, 0, 100, "1: off"),
    F64(presence_penalty, -100, 100, "0: off"),
    F64(frequency_penalty, -100, 100, "0: off"),
    { 0 },
};
#undef I64
#undef F64
#undef FLAG
#undef JSON
#undef TEXT

struct exchange { /* one request, until its job is done */
    struct api *a;
    struct evhttp_request *req; /* NULL when the client has gone */
    struct event *gone;         /* the peer closed its side */
    bool freeing;               /* we are freeing the connection, and with it the request */
    struct arena mem;
    json_t *json;
    struct chat_body body;
    struct chat_prompt *prompt;
    struct chat_parse *parse;
    struct job job;
    const char *stops[STOPS_MAX];
    char id[48];
    int64_t created;
    bool started;           /* the stream's headers are out */
    bool role_sent;
    struct buf text;        /* not parsed yet */
    struct loop_source *parse_timer;
    int64_t parsed_us, parse_cost_us;
    struct buf out;
    bool unreadable;        /* the parser gave up: from there on the text is sent as it is */
    struct buf raw;         /* that text, for a reply in one piece */
};

static void exchange_destroy(struct exchange *x)
{
    if (!x)
        return;
    if (x->gone)
        event_free(x->gone);
    loop_remove(x->parse_timer);
    chat_parse_destroy(x->parse);
    chat_prompt_destroy(x->prompt);
    json_decref(x->json);
    buf_finish(&x->text);
    buf_finish(&x->out);
    buf_finish(&x->raw);
    arena_finish(&x->mem);
    free(x);
}

/* --- reading the request ---------------------------------------------------------------------- */

static char *dump(struct arena *mem, const json_t *j)
{
    AUTO(ptr) char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    return text ? arena_strdup(mem, text) : NULL;
}

static int read_stops(struct exchange *x, struct err *e)
{
    const json_t *stop = x->body.stop;
    size_t n = 0;
    if (json_is_string(stop)) {
        x->stops[n++] = json_string_value(stop);
    } else if (json_is_array(stop)) {
        size_t i;
        const json_t *one;
        json_array_foreach(stop, i, one) {
            if (!json_is_string(one))
                return err_set(e, ERR_INPUT, "stop: expected strings");
            if (n == STOPS_MAX)
                return err_set(e, ERR_LIMIT, "stop: more than %d strings", STOPS_MAX);
            x->stops[n++] = json_string_value(one);
        }
    } else if (stop && !json_is_null(stop)) {
        return err_set(e, ERR_INPUT, "stop: expected a string or an array of strings");
    }
    for (size_t i = 0; i < n; i++)
        if (strlen(x->stops[i]) > STOP_BYTES_MAX)
            return err_set(e, ERR_LIMIT, "stop: a string is longer than %d bytes", STOP_BYTES_MAX);
    for (size_t i = 0; i < chat_prompt_stops(x->prompt) && n < STOPS_MAX; i++)
        x->stops[n++] = chat_prompt_stop(x->prompt, i);
    x->job.stops = x->stops;
    for (size_t i = 0; i < n; i++) /* an empty one would end every reply at once */
        if (x->stops[i][0])
            x->stops[x->job.nstops++] = x->stops[i];
    return 0;
}

/* tool_choice: "auto", "required", "none", or {"type":"function","function":{"name":N}}: then only N is offered. */
static int read_tools(struct exchange *x, struct chat_request *r, struct err *e)
{
    const struct chat_body *b = &x->body;
    if (b->tools && !json_is_null(b->tools) && !json_is_array(b->tools))
        return err_set(e, ERR_INPUT, "tools: expected an array");
    json_t *tools = json_is_array(b->tools) && json_array_size(b->tools) ? b->tools : NULL;
    const char *choice = b->tool_choice ? json_string_value(b->tool_choice) : NULL;
    if (choice) {
        if (strcmp(choice, "required") == 0)
            r->tool_choice = CHAT_TOOL_REQUIRED;
        else if (strcmp(choice, "none") == 0)
            r->tool_choice = CHAT_TOOL_NONE;
        else if (strcmp(choice, "auto") != 0)
            return err_set(e, ERR_INPUT, "tool_choice: expected auto, required, none or a function, got '%.40s'", choice);
    } else if (json_is_object(b->tool_choice)) {
        const char *name = json_string_value(json_object_get(json_object_get(b->tool_choice, "function"), "name"));
        json_t *found = NULL;
        size_t i;
        json_t *tool;
        json_array_foreach(tools, i, tool) {
            const char *has = json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
            if (name && has && strcmp(name, has) == 0)
                found = tool;
        }
        if (!found)
            return err_set(e, ERR_INPUT, "tool_choice: no tool is named '%.60s'", name ? name : "");
        AUTO(json) json_t *only = json_pack("[O]", found);
        r->tool_choice = CHAT_TOOL_REQUIRED;
        r->tools = only ? dump(&x->mem, only) : NULL;
        return r->tools ? 0 : err_set(e, ERR_NOMEM, "tools: out of memory");
    }
    if (!tools && r->tool_choice == CHAT_TOOL_REQUIRED)
        return err_set(e, ERR_INPUT, "tool_choice: 'required' without tools");
    if (tools) {
        r->tools = dump(&x->mem, tools);
        if (!r->tools)
            return err_set(e, ERR_NOMEM, "tools: out of memory");
    }
    return 0;
}

static int read_format(struct exchange *x, struct chat_request *r, struct err *e)
{
    const struct chat_body *b = &x->body;
    const json_t *schema = b->json_schema && !json_is_null(b->json_schema) ? b->json_schema : NULL;
    const json_t *format = b->response_format;
    if (format && !json_is_null(format)) {
        const char *type = json_string_value(json_object_get(format, "type"));
        if (type && strcmp(type, "json_object") == 0) {
            const json_t *own = json_object_get(format, "schema");
            if (own || !schema)
                schema = own;
            if (!schema || json_object_size(schema) == 0) {
                r->json_schema = "{\"type\":\"object\"}";
                return 0;
            }
        } else if (type && strcmp(type, "json_schema") == 0) {
            schema = json_object_get(json_object_get(format, "json_schema"), "schema");
            if (!schema)
                return err_set(e, ERR_INPUT, "response_format: json_schema.schema is missing");
        } else if (type && strcmp(type, "text") != 0) {
            return err_set(e, ERR_INPUT,
                           "response_format type must be one of \"text\", \"json_object\" or \"json_schema\", but got: %.40s",
                           type);
        }
    }
    if (schema) {
        r->json_schema = dump(&x->mem, schema);
        if (!r->json_schema)
            return err_set(e, ERR_NOMEM, "json_schema: out of memory");
    }
    return 0;
}

static int read_template_args(struct exchange *x, struct chat_request *r, struct err *e)
{
    const struct chat_body *b = &x->body;
    if (b->template_args && !json_is_null(b->template_args) && !json_is_object(b->template_args))
        return err_set(e, ERR_INPUT, "chat_template_kwargs: expected an object");
    AUTO(json) json_t *args = json_is_object(b->template_args) ? json_copy(b->template_args)
                                                                                  : json_object();
    const json_t *thinking = json_object_get(args, "enable_thinking");
    if (json_is_boolean(thinking))
        r->thinking = json_is_true(thinking) ? CHAT_THINKING_ON : CHAT_THINKING_OFF;
    if (b->reasoning_effort && strcmp(b->reasoning_effort, "none") == 0)
        r->thinking = CHAT_THINKING_OFF;
    else if (b->reasoning_effort && b->reasoning_effort[0])
        (void)json_object_set_new(args, "reasoning_effort", json_string(b->reasoning_effort));
    r->reasoning = b->reasoning_format;
    r->template_args = dump(&x->mem, args);
    return r->template_args ? 0 : err_set(e, ERR_NOMEM, "chat_template_kwargs: out of memory");
}

/* Body to prompt. */
static int read_prompt(struct exchange *x, struct err *e)
{
    struct chat_request r = { .parallel_calls = -1 };
    if (!json_is_array(x->body.messages))
        return err_set(e, ERR_INPUT, "Expected 'messages' to be an array");
    if (x->body.parallel_tool_calls && json_is_boolean(x->body.parallel_tool_calls))
        r.parallel_calls = json_is_true(x->body.parallel_tool_calls);
    r.messages = dump(&x->mem, x->body.messages);
    r.grammar = x->body.grammar && x->body.grammar[0] ? x->body.grammar : NULL;
    if (!r.messages)
        return err_set(e, ERR_NOMEM, "messages: out of memory");
    if (read_tools(x, &r, e) < 0 || read_format(x, &r, e) < 0 || read_template_args(x, &r, e) < 0)
        return -e->kind;
    return chat_prompt_create(worker_templates(x->a->worker), &r, &x->prompt, e);
}

/* The same request gives the same reply. But a template may show only part of a conversation (the pilot's begins every round
 * afresh), and what was answered once would be answered for ever: a longer conversation is another draw. */
static uint32_t sampling_seed(const struct chat_body *b)
{
    return b->seed < 0 ? LLAMA_DEFAULT_SEED : (uint32_t)b->seed + (uint32_t)json_array_size(b->messages) * 2654435761U;
}

static int read_request(struct exchange *x, struct err *e)
{
    struct chat_body *b = &x->body;
    *b = (struct chat_body){ .cache_prompt = true, .n = 1, .seed = -1, .id_slot = -1, .max_tokens = -1,
                             .max_completion_tokens = -1, .n_predict = -1, .top_p = 1, .repeat_penalty = 1,
                             .repeat_last_n = 64 };
    if (api_body(x->req, &x->json, e) < 0)
        return -e->kind;
    if (bind_load(x->json, chat_fields, b, BIND_TOLERANT, &x->mem, e) < 0)
        return -e->kind;
    if (b->n != 1)
        return err_set(e, ERR_UNSUPPORTED, "n: only one reply a request is supported");
    if (b->logprobs)
        return err_set(e, ERR_UNSUPPORTED, "logprobs: not supported");
    if (read_prompt(x, e) < 0 || read_stops(x, e) < 0)
        return -e->kind;

    int64_t most = b->max_completion_tokens >= 0 ? b->max_completion_tokens : b->max_tokens >= 0 ? b->max_tokens : b->n_predict;
    x->job.max_tokens = (int32_t)most;
    int32_t ctx_tokens = worker_info(x->a->worker)->ctx_tokens;
    x->job.wanted_slot = b->id_slot >= worker_info(x->a->worker)->slots ? -1 : (int32_t)b->id_slot;
    x->job.no_cache = !b->cache_prompt;
    x->job.want_progress = b->stream && b->return_progress;
    x->job.whole = !b->stream;
    x->job.prompt = x->prompt;
    x->job.sampling = (struct chat_sampling){
        .temperature = (float)b->temperature,
        .top_k = b->top_k > 0 ? (int32_t)b->top_k : 0,
        .top_p = (float)b->top_p,
        .min_p = (float)b->min_p,
        .repeat_penalty = (float)(b->repeat_penalty > 0 ? b->repeat_penalty : 1),
        .presence_penalty = (float)b->presence_penalty,
        .frequency_penalty = (float)b->frequency_penalty,
        .repeat_last_n = (int32_t)(b->repeat_last_n < ctx_tokens ? b->repeat_last_n : ctx_tokens), /* memory is taken for them */
        .seed = sampling_seed(b),
        .ignore_eos = b->ignore_eos,
    };
    return chat_parse_create(x->prompt, &x->parse, e);
}

/* --- writing the reply ------------------------------------------------------------------------- */

static void add_tail(struct exchange *x, struct buf *b, const char *object)
{
    buf_addf(b, ",\"created\":%lld,\"id\":\"%s\",\"model\":", (long long)x->created, x->id);
    buf_add_json(b, span_of(x->a->options.alias));
    buf_addf(b, ",\"system_fingerprint\":\"stead-engine %s llama.cpp %s\",\"object\":\"%s\"", STEAD_VERSION,
             llama_version(), object);
}

static void add_usage(struct buf *b, const struct job_result *r)
{
    buf_addf(b,
             ",\"usage\":{\"completion_tokens\":%d,\"prompt_tokens\":%d,\"total_tokens\":%d,"
             "\"prompt_tokens_details\":{\"cached_tokens\":%d}}",
             r->predicted_n, r->prompt_n, r->predicted_n + r->prompt_n, r->cached_n);
}

static double rate(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void add_timings(struct buf *b, const struct job_result *r)
{
    /* the first token is chosen from the prompt's own evaluation: n - 1 decodes lie between first and last */
    int decodes = r->predicted_n > 1 ? r->predicted_n - 1 : 0;
    buf_addf(b,
             ",\"timings\":{\"cache_n\":%d,\"prompt_n\":%d,\"prompt_ms\":%.3f,\"prompt_per_token_ms\":%.5f,"
             "\"prompt_per_second\":%.3f,\"predicted_n\":%d,\"predicted_ms\":%.3f,\"predicted_per_token_ms\":%.5f,"
             "\"predicted_per_second\":%.3f}",
             r->cached_n, r->evaluated_n, r->prompt_ms, rate(r->prompt_ms, r->evaluated_n),
             rate(1000.0 * r->evaluated_n, r->prompt_ms), r->predicted_n, r->predicted_ms,
             rate(r->predicted_ms, decodes), rate(1000.0 * decodes, r->predicted_ms));
}

static void stream_send(struct exchange *x)
{
    if (!x->req || !x->out.n) {
        buf_reset(&x->out);
        return;
    }
    if (!x->started) {
        struct evkeyvalq *h = evhttp_request_get_output_headers(x->req);
        (void)evhttp_add_header(h, "Content-Type", "text/event-stream");
        (void)evhttp_add_header(h, "Cache-Control", "no-cache");
        evhttp_send_reply_start(x->req, 200, "OK");
        x->started = true;
    }
    struct evbuffer *b = evbuffer_new();
    if (b) {
        (void)evbuffer_add(b, x->out.p, x->out.n);
        evhttp_send_reply_chunk(x->req, b);
        evbuffer_free(b);
    }
    buf_reset(&x->out);
}

static void add_chunk_open(struct exchange *x, const char *delta, size_t n, const char *finish)
{
    struct buf *b = &x->out;
    buf_adds(b, "data: {\"choices\":[{\"finish_reason\":");
    buf_addf(b, finish ? "\"%s\"" : "%s", finish ? finish : "null");
    buf_adds(b, ",\"index\":0,\"delta\":");
    buf_add(b, delta, n);
    buf_adds(b, "}]");
    add_tail(x, b, "chat.completion.chunk");
}

static void add_chunk(struct exchange *x, const char *delta, size_t n, const char *finish)
{
    add_chunk_open(x, delta, n, finish);
    buf_adds(&x->out, "}\n\n");
}

static void add_role(struct exchange *x)
{
    static const char role[] = "{\"role\":\"assistant\",\"content\":null}";
    if (!x->role_sent)
        add_chunk(x, role, sizeof role - 1, NULL);
    x->role_sent = true;
}

static void on_delta(void *ctx, const char *json, size_t n)
{
    struct exchange *x = ctx;
    if (!x->body.stream)
        return;
    add_role(x);
    add_chunk(x, json, n, NULL);
}

/* The parser cannot read the reply: what it has not read goes out as content. */
static void send_raw(struct exchange *x, struct span text)
{
    if (!text.n)
        return;
    buf_add_span(&x->raw, text);
    if (!x->body.stream)
        return;
    AUTO(buf) struct buf delta = BUF_INIT(REPLY_MAX);
    buf_adds(&delta, "{\"content\":");
    buf_add_json(&delta, text);
    buf_addc(&delta, '}');
    add_role(x);
    add_chunk(x, buf_str(&delta), delta.n, NULL);
}

/* Parse what has come; `final`: the model ended its reply there. */
static void parse_text(struct exchange *x, bool final)
{
    int64_t began = clock_us();
    struct err e = ERR_INIT;
    if (x->unreadable) {
        send_raw(x, buf_span(&x->text));
    } else if (chat_parse_add(x->parse, buf_str(&x->text), x->text.n, final, on_delta, x, &e) < 0) {
        log_info("%s", e.text);
        x->unreadable = true;
        struct span rest; /* also what it held back from earlier pieces, as it might have become a call */
        rest.p = chat_parse_rest(x->parse, &rest.n);
        send_raw(x, rest);
    }
    buf_reset(&x->text);
    x->parsed_us = clock_us();
    x->parse_cost_us = x->parsed_us - began;
    stream_send(x);
}

static void on_parse_timer(void *ctx)
{
    struct exchange *x = ctx;
    x->parse_timer = NULL; /* it fired: the loop frees it */
    parse_text(x, false);
}

static void on_text(void *ctx, struct span text, int32_t predicted_n)
{
    struct exchange *x = ctx;
    (void)predicted_n;
    utf8_add_valid(&x->text, text); /* tokens may be any bytes; JSON may not */
    if (!x->body.stream || !x->req || x->parse_timer)
        return;
    int64_t share_us = PARSE_SHARE * x->parse_cost_us;
    int64_t wait_us = x->parsed_us + (share_us < PARSE_WAIT_US ? share_us : PARSE_WAIT_US) - clock_us();
    if (wait_us > 1000)
        x->parse_timer = loop_timer(x->a->loop, wait_us / 1000, false, on_parse_timer, x);
    if (!x->parse_timer)
        parse_text(x, false);
}

static void on_progress(void *ctx, const struct job_progress *p)
{
    struct exchange *x = ctx;
    static const char role[] = "{\"role\":\"assistant\",\"content\":null}";
    add_chunk_open(x, role, sizeof role - 1, NULL);
    x->role_sent = true;
    buf_addf(&x->out, ",\"prompt_progress\":{\"total\":%d,\"cache\":%d,\"processed\":%d,\"time_ms\":%lld}}\n\n", p->total,
             p->cached, p->processed, (long long)p->time_ms);
    stream_send(x);
}

/* The error object of a request that could not be run, or NULL when r is a reply. */
static int failure_body(struct exchange *x, const struct job_result *r, struct buf *b)
{
    if (r->finish == JOB_CONTEXT) {
        int32_t ctx = worker_info(x->a->worker)->ctx_tokens;
        char text[160];
        (void)snprintf(text, sizeof text,
                       "request (%d tokens) exceeds the available context size (%d tokens), try increasing it", r->prompt_n,
                       ctx);
        api_add_error(b, 400, "exceed_context_size_error", text);
        buf_addf(b, ",\"n_prompt_tokens\":%d,\"n_ctx\":%d}}", r->prompt_n, ctx);
        return 400;
    }
    if (r->finish == JOB_FAILED) {
        int code = r->why.kind == ERR_INPUT ? 400 : 500;
        api_add_error(b, code, NULL, r->why.text);
        buf_adds(b, "}}");
        return code;
    }
    return 0;
}

static const char *finish_reason(const struct exchange *x, const struct job_result *r)
{
    if (r->finish == JOB_LENGTH)
        return "length";
    return chat_parse_has_calls(x->parse) ? "tool_calls" : "stop";
}

static void finish_stream(struct exchange *x, const struct job_result *r)
{
    add_role(x);
    bool usage = x->body.stream_options.include_usage;
    add_chunk_open(x, "{}", 2, finish_reason(x, r));
    if (usage) {
        buf_adds(&x->out, "}\n\ndata: {\"choices\":[]");
        add_tail(x, &x->out, "chat.completion.chunk");
        add_usage(&x->out, r);
    }
    add_timings(&x->out, r);
    buf_adds(&x->out, "}\n\ndata: [DONE]\n\n");
    stream_send(x);
    evhttp_send_reply_end(x->req);
}

static void finish_whole(struct exchange *x, const struct job_result *r)
{
    AUTO(ptr) char *message = chat_parse_message(x->parse);
    if (!message) {
        api_send_error(x->req, 500, "out of memory");
        return;
    }
    buf_addf(&x->out, "{\"choices\":[{\"finish_reason\":\"%s\",\"index\":0,\"message\":", finish_reason(x, r));
    if (x->raw.n) { /* everything since the parser gave up; what it had read before is in its message */
        AUTO(json) json_t *m = json_loads(message, 0, NULL);
        const char *read = json_string_value(json_object_get(m, "content"));
        AUTO(buf) struct buf whole = BUF_INIT(REPLY_MAX);
        buf_adds(&whole, read ? read : "");
        buf_add_span(&whole, buf_span(&x->raw));
        (void)json_object_set_new(m, "content", json_stringn(buf_str(&whole), whole.n));
        buf_add_json_value(&x->out, m);
    } else {
        buf_adds(&x->out, message);
    }
    buf_adds(&x->out, "}]");
    add_tail(x, &x->out, "chat.completion");
    add_usage(&x->out, r);
    add_timings(&x->out, r);
    buf_addc(&x->out, '}');
    api_send(x->req, 200, &x->out);
}

static void release_connection(struct exchange *x)
{
    if (x->gone)
        event_free(x->gone);
    x->gone = NULL;
    evhttp_connection_set_closecb(evhttp_request_get_connection(x->req), NULL, NULL);
}

static void on_done(void *ctx, const struct job_result *r)
{
    struct exchange *x = ctx;
    struct api *a = x->a;
    a->active--;
    a->used_ms = clock_ms();
    if (x->req) {
        AUTO(buf) struct buf failure = BUF_INIT(64 << 10);
        int code = failure_body(x, r, &failure);
        release_connection(x);
        if (code && x->started) {
            buf_adds(&x->out, "data: ");
            buf_add_span(&x->out, buf_span(&failure));
            buf_adds(&x->out, "\n\n");
            stream_send(x);
            evhttp_send_reply_end(x->req);
        } else if (code) {
            api_send(x->req, code, &failure);
        } else if (r->finish == JOB_CANCELLED) {
            evhttp_connection_free(evhttp_request_get_connection(x->req)); /* the engine stops: no half reply */
        } else {
            parse_text(x, r->finish == JOB_STOP); /* a reply cut off may end inside a call */
            if (x->body.stream)
                finish_stream(x, r);
            else
                finish_whole(x, r);
        }
    }
    exchange_destroy(x);
}

static void on_closed(struct evhttp_connection *c, void *ctx)
{
    struct exchange *x = ctx;
    (void)c;
    /* Where a write fails, libevent takes the request off its connection first, and then it is ours to free. */
    if (x->req && !x->freeing && !evhttp_request_get_connection(x->req))
        evhttp_request_free(x->req);
    x->req = NULL;
    if (x->gone)
        event_free(x->gone);
    x->gone = NULL;
    worker_cancel(x->a->worker, &x->job);
}

/* evhttp does not read while it writes, so it would notice only when a write fails: long after. */
static void on_gone(evutil_socket_t fd, short what, void *ctx)
{
    struct exchange *x = ctx;
    (void)fd;
    (void)what;
    x->freeing = true;
    if (x->req)
        evhttp_connection_free(evhttp_request_get_connection(x->req)); /* calls on_closed */
}

static void watch_connection(struct exchange *x)
{
    struct evhttp_connection *c = evhttp_request_get_connection(x->req);
    evhttp_connection_set_closecb(c, on_closed, x);
    evutil_socket_t fd = bufferevent_getfd(evhttp_connection_get_bufferevent(c));
    x->gone = event_new(loop_event_base(x->a->loop), fd, EV_CLOSED, on_gone, x);
    if (x->gone)
        (void)event_add(x->gone, NULL);
}

static struct exchange *exchange_create(struct api *a, struct evhttp_request *req)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->a = a;
    x->req = req;
    x->created = clock_unix_ms() / 1000;
    (void)snprintf(x->id, sizeof x->id, "chatcmpl-%llx%04llx", (unsigned long long)clock_unix_ms(), a->served++ & 0xffffULL);
    arena_init(&x->mem, REQUEST_MEMORY);
    buf_init(&x->text, REPLY_MAX);
    buf_init(&x->out, REPLY_MAX);
    buf_init(&x->raw, REPLY_MAX);
    return x;
}

void chat_route(struct api *a, struct evhttp_request *req)
{
    if (api_not_ready(a, req))
        return;
    struct err e = ERR_INIT;
    struct exchange *x = exchange_create(a, req);
    if (!x) {
        api_send_error(req, 500, "out of memory");
        return;
    }
    if (read_request(x, &e) < 0) {
        api_send_error(req, e.kind == ERR_NOMEM ? 500 : e.kind == ERR_UNSUPPORTED ? 501 : 400, e.text);
        exchange_destroy(x);
        return;
    }
    x->job.on_progress = on_progress;
    x->job.on_text = on_text;
    x->job.on_done = on_done;
    x->job.ctx = x;
    if (worker_submit(a->worker, &x->job, &e) < 0) {
        api_send_error(req, 500, e.text);
        exchange_destroy(x);
        return;
    }
    a->active++;
    a->used_ms = clock_ms();
    watch_connection(x);
}

void chat_template_route(struct api *a, struct evhttp_request *req)
{
    if (api_not_ready(a, req))
        return;
    struct err e = ERR_INIT;
    struct exchange *x = exchange_create(a, req);
    if (!x) {
        api_send_error(req, 500, "out of memory");
        return;
    }
    if (read_request(x, &e) < 0) {
        api_send_error(req, 400, e.text);
    } else {
        size_t n;
        const char *text = chat_prompt_text(x->prompt, &n);
        buf_adds(&x->out, "{\"prompt\":");
        buf_add_json(&x->out, (struct span){ text, n });
        buf_addc(&x->out, '}');
        api_send(req, 200, &x->out);
    }
    exchange_destroy(x);
}
