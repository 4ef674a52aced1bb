/* api.c - see api.h: routes, and the small answers. The chat route is chat.c. */
#include "inference/engine/api.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <jansson.h>
#include <llama.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "engine"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "inference/engine/api-internal.h"
#include "inference/engine/chat-shim.h"

#define HEADERS_MAX (64 << 10)
#define BODY_MAX (64 << 20)      /* a context of a million tokens is about 5 MB of text */
#define CONNECTION_TIMEOUT_S 3600 /* of an idle connection; prefill may be silent for long */

static const char *error_type(int code)
{
    switch (code) {
    case 404: return "not_found_error";
    case 405:
    case 501: return "not_supported_error";
    case 500: return "server_error";
    case 503: return "unavailable_error";
    default: return "invalid_request_error";
    }
}

bool api_add_error(struct buf *b, int code, const char *type, const char *message)
{
    buf_addf(b, "{\"error\":{\"code\":%d,\"message\":", code);
    buf_add_json(b, span_of(message));
    return buf_addf(b, ",\"type\":\"%s\"", type ? type : error_type(code));
}

static const char *reason(int code)
{
    switch (code) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

void api_send(struct evhttp_request *req, int code, const struct buf *body)
{
    (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "application/json; charset=utf-8");
    struct evbuffer *out = evhttp_request_get_output_buffer(req);
    (void)evbuffer_add(out, buf_str(body), body->n);
    evhttp_send_reply(req, code, reason(code), NULL);
}

void api_send_error(struct evhttp_request *req, int code, const char *message)
{
    AUTO(buf) struct buf b = BUF_INIT(64 << 10);
    api_add_error(&b, code, NULL, message);
    buf_adds(&b, "}}");
    api_send(req, code, &b);
}

int api_body(struct evhttp_request *req, json_t **out, struct err *e)
{
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t n = evbuffer_get_length(in);
    const char *p = n ? (const char *)evbuffer_pullup(in, -1) : "";
    if (!p)
        return err_set(e, ERR_NOMEM, "request body: out of memory");
    return json_parse((struct span){ p, n }, BIND_TOLERANT, out, e);
}

/* 503 while the model loads: true when that was the answer. */
bool api_not_ready(struct api *a, struct evhttp_request *req)
{
    if (a->worker)
        return false;
    AUTO(buf) struct buf b = BUF_INIT(1024);
    api_add_error(&b, 503, NULL, "Loading model");
    buf_addf(&b, ",\"loaded\":%d.%02d}}", (int)a->loaded, (int)(a->loaded * 100) % 100);
    api_send(req, 503, &b);
    return true;
}

static void on_health(struct api *a, struct evhttp_request *req)
{
    if (api_not_ready(a, req))
        return;
    AUTO(buf) struct buf b = BUF_INIT(64);
    buf_adds(&b, "{\"status\":\"ok\"}");
    api_send(req, 200, &b);
}

static void on_models(struct api *a, struct evhttp_request *req)
{
    AUTO(buf) struct buf b = BUF_INIT(16 << 10);
    buf_adds(&b, "{\"object\":\"list\",\"data\":[{\"id\":");
    buf_add_json(&b, span_of(a->options.alias));
    buf_addf(&b, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"llamacpp\",\"meta\":",
             (long long)(clock_unix_ms() / 1000));
    if (a->worker) {
        const struct worker_info *i = worker_info(a->worker);
        buf_addf(&b,
                 "{\"n_vocab\":%d,\"n_ctx_train\":%d,\"n_embd\":%d,\"n_params\":%llu,\"size\":%llu,\"n_ctx\":%d,\"desc\":",
                 i->vocab, i->ctx_train, i->embd, (unsigned long long)i->params, (unsigned long long)i->weight_bytes,
                 i->ctx_tokens);
        buf_add_json(&b, span_of(i->description));
        buf_addc(&b, '}');
    } else {
        buf_adds(&b, "null");
    }
    buf_adds(&b, "}]}");
    api_send(req, 200, &b);
}

static void on_props(struct api *a, struct evhttp_request *req)
{
    if (api_not_ready(a, req))
        return;
    const struct worker_info *i = worker_info(a->worker);
    AUTO(buf) struct buf b = BUF_INIT(4 << 20);
    buf_addf(&b,
             "{\"default_generation_settings\":{\"n_ctx\":%d,\"params\":{\"temperature\":0,\"top_k\":0,\"top_p\":1,"
             "\"min_p\":0,\"repeat_penalty\":1,\"presence_penalty\":0,\"frequency_penalty\":0}},\"total_slots\":%d",
             i->ctx_tokens, i->slots);
    buf_adds(&b, ",\"model_alias\":");
    buf_add_json(&b, span_of(a->options.alias));
    buf_adds(&b, ",\"model_path\":");
    buf_add_json(&b, span_of(a->options.model));
    buf_adds(&b, ",\"modalities\":{\"vision\":false,\"audio\":false},\"chat_template\":");
    buf_add_json(&b, span_of(chat_templates_source(worker_templates(a->worker))));
    buf_addf(&b, ",\"build_info\":\"stead-engine %s llama.cpp %s\",\"is_sleeping\":false}", STEAD_VERSION,
             llama_version());
    api_send(req, 200, &b);
}

static void on_status(struct api *a, struct evhttp_request *req)
{
    long long idle_ms = (long long)(a->active ? 0 : clock_ms() - a->used_ms);
    a->used_ms = clock_ms(); /* who asks is about to use it: it must not end of idleness now */
    AUTO(buf) struct buf b = BUF_INIT(16 << 10);
    buf_addf(&b, "{\"version\":\"%s\",\"pid\":%d,\"ready\":%s,\"loaded\":%d.%02d,\"active\":%zu,\"threads\":%d,\"threads_default\":%d,\"model\":",
             STEAD_VERSION, (int)getpid(), a->worker ? "true" : "false", (int)a->loaded, (int)(a->loaded * 100) % 100, a->active,
             a->worker ? worker_threads(a->worker) : a->options.threads, a->options.threads);
    buf_add_json(&b, span_of(a->options.model));
    buf_addf(&b, ",\"idle_ms\":%lld}", idle_ms);
    api_send(req, 200, &b);
}

struct threads_body {
    int64_t threads;
};
static const struct field threads_fields[] = {
    { "threads", FIELD_I64, FIELD(threads_body, threads), FIELD_REQUIRED, 0, WORKER_THREADS_MAX,
      "threads to compute with; 0: the default" },
    { 0 },
};

static void on_threads(struct api *a, struct evhttp_request *req)
{
    if (api_not_ready(a, req))
        return;
    struct err e = ERR_INIT;
    AUTO(json) json_t *body = NULL;
    AUTO(arena) struct arena mem = ARENA_INIT(64 << 10);
    struct threads_body in = { 0 };
    if (api_body(req, &body, &e) < 0 || bind_load(body, threads_fields, &in, BIND_STRICT, &mem, &e) < 0) {
        api_send_error(req, 400, e.text);
        return;
    }
    int32_t n = in.threads ? (int32_t)in.threads : a->options.threads;
    worker_set_threads(a->worker, n);
    AUTO(buf) struct buf b = BUF_INIT(64);
    buf_addf(&b, "{\"threads\":%d}", n);
    api_send(req, 200, &b);
}

/* 200 and the end, or 409 while somebody is being served. */
static void on_stop(struct api *a, struct evhttp_request *req)
{
    if (a->active) {
        api_send_error(req, 409, "requests are in progress");
        return;
    }
    AUTO(buf) struct buf b = BUF_INIT(64);
    buf_adds(&b, "{\"stopping\":true}");
    api_send(req, 200, &b);
    a->options.stop(a->options.ctx);
}

struct tokenize_body {
    const char *content;
    bool add_special;
};
static const struct field tokenize_fields[] = {
    { "content", FIELD_STRING, FIELD(tokenize_body, content), FIELD_REQUIRED, 0, BODY_MAX, "text" },
    { "add_special", FIELD_BOOL, FIELD(tokenize_body, add_special), 0, 0, 0, "with the beginning-of-text token" },
    { 0 },
};

static void on_tokenize(struct api *a, struct evhttp_request *req)
{
    if (api_not_ready(a, req))
        return;
    struct err e = ERR_INIT;
    AUTO(json) json_t *body = NULL;
    AUTO(arena) struct arena mem = ARENA_INIT(2 * BODY_MAX);
    struct tokenize_body in = { 0 };
    AUTO(ptr) int32_t *tokens = NULL;
    int n = -1;
    if (api_body(req, &body, &e) == 0 && bind_load(body, tokenize_fields, &in, BIND_TOLERANT, &mem, &e) == 0)
        n = chat_tokenize(worker_model(a->worker), in.content, strlen(in.content), in.add_special, &tokens, &e);
    if (n < 0) {
        api_send_error(req, 400, e.text);
        return;
    }
    AUTO(buf) struct buf b = BUF_INIT(1u << 30);
    buf_adds(&b, "{\"tokens\":[");
    for (int i = 0; i < n; i++)
        buf_addf(&b, i ? ",%d" : "%d", tokens[i]);
    buf_adds(&b, "]}");
    api_send(req, 200, &b);
}

static const struct route {
    const char *path;
    enum evhttp_cmd_type method;
    void (*fn)(struct api *a, struct evhttp_request *req);
} routes[] = {
    { "/v1/chat/completions", EVHTTP_REQ_POST, chat_route },
    { "/chat/completions", EVHTTP_REQ_POST, chat_route },
    { "/apply-template", EVHTTP_REQ_POST, chat_template_route },
    { "/tokenize", EVHTTP_REQ_POST, on_tokenize },
    { "/health", EVHTTP_REQ_GET, on_health },
    { "/v1/health", EVHTTP_REQ_GET, on_health },
    { "/v1/models", EVHTTP_REQ_GET, on_models },
    { "/models", EVHTTP_REQ_GET, on_models },
    { "/props", EVHTTP_REQ_GET, on_props },
    { "/stead/status", EVHTTP_REQ_GET, on_status },
    { "/stead/threads", EVHTTP_REQ_POST, on_threads },
    { "/stead/stop", EVHTTP_REQ_POST, on_stop },
};

static void on_request(struct evhttp_request *req, void *ctx)
{
    struct api *a = ctx;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const char *found = NULL;
    for (size_t i = 0; path && i < COUNT_OF(routes); i++) {
        if (strcmp(path, routes[i].path) != 0)
            continue;
        found = routes[i].path;
        if (routes[i].method != evhttp_request_get_command(req))
            continue;
        routes[i].fn(a, req);
        return;
    }
    if (found)
        api_send_error(req, 405, "this path does not take that method");
    else
        api_send_error(req, 404, "File Not Found");
}

int api_create(struct loop *loop, int fd, const struct api_options *options, struct api **out, struct err *e)
{
    struct api *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "cannot serve: out of memory");
    a->loop = loop;
    a->options = *options;
    a->used_ms = clock_ms();
    a->http = evhttp_new(loop_event_base(loop));
    if (!a->http) {
        api_destroy(a);
        return err_set(e, ERR_NOMEM, "cannot serve: out of memory");
    }
    evhttp_set_gencb(a->http, on_request, a);
    evhttp_set_allowed_methods(a->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_DELETE |
                                            EVHTTP_REQ_PUT | EVHTTP_REQ_OPTIONS);
    evhttp_set_max_headers_size(a->http, HEADERS_MAX);
    evhttp_set_max_body_size(a->http, BODY_MAX);
    evhttp_set_timeout(a->http, CONNECTION_TIMEOUT_S);
    a->listener = evhttp_accept_socket_with_handle(a->http, fd);
    if (!a->listener) {
        api_destroy(a);
        return err_set(e, ERR_IO, "cannot accept connections on the socket");
    }
    *out = a;
    return 0;
}

void api_destroy(struct api *a)
{
    if (!a)
        return;
    if (a->http)
        evhttp_free(a->http);
    free(a);
}

void api_close(struct api *a)
{
    if (a && a->listener)
        evhttp_del_accept_socket(a->http, a->listener);
    if (a)
        a->listener = NULL;
}

void api_loading(struct api *a, double done)
{
    a->loaded = done;
}

void api_ready(struct api *a, struct worker *w)
{
    a->worker = w;
    a->loaded = 1;
    a->used_ms = clock_ms();
}

size_t api_active(const struct api *a)
{
    return a->active;
}

int64_t api_last_used_ms(const struct api *a)
{
    return a->used_ms;
}
