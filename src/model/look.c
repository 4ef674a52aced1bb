#define LOG_MODULE "look"
#include "model/look.h"

#include <jansson.h>
#include <stdio.h>
#include <strings.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/secret.h"
#include "model/collect.h"
#include "model/dialect.h"
#include "model/failure.h"
#include "model/http.h"

#define ANSWER_MAX_BYTES (4u << 20) /* a list of models, a template */
#define MODELS_MAX 500              /* hosted routers list some hundreds */

/* One request of a round. */
struct ask {
    struct endpoint *ep;
    char path[2 * URL_MAX];
    struct span body; /* empty: GET */
    struct buf answer;
    struct http_transfer *transfer;
    int status; /* 0: no answer */
    enum http_how how;
    char why[160]; /* no secure connection; or where a redirection points */
    json_t *json;
};

static bool ask_data(void *ctx, struct span piece)
{
    struct ask *a = ctx;
    return buf_add_span(&a->answer, piece);
}

static void ask_init(struct ask *a, struct endpoint *ep, const char *base, const char *path)
{
    memset(a, 0, sizeof *a);
    a->ep = ep;
    snprintf(a->path, sizeof a->path, "%s%s", base, path);
    buf_init(&a->answer, ANSWER_MAX_BYTES);
}

static void ask_finish(struct ask *a)
{
    json_decref(a->json);
    buf_finish(&a->answer);
}

static int ask_start(struct ask *a, int64_t connect_ms, struct err *e)
{
    AUTO(buf) struct buf key = BUF_INIT(16 << 10);
    const char *headers[8] = { 0 };
    size_t n = 0;
    struct span secret = a->ep->key ? secret_span(a->ep->key) : (struct span){ "", 0 };
    if (secret.n) {
        bool anthropic = a->ep->dialect == &dialect_anthropic_messages;
        buf_adds(&key, anthropic ? "x-api-key: " : "Authorization: Bearer ");
        buf_add_span(&key, secret);
        headers[n++] = buf_str(&key);
    }
    for (size_t i = 0; a->ep->dialect->headers && a->ep->dialect->headers[i] && n < 6; i++)
        headers[n++] = a->ep->dialect->headers[i];
    struct http_request q = { .path = a->path, .headers = headers, .connect_ms = connect_ms, .on_data = ask_data, .ctx = a };
    if (a->body.n) {
        q.body = &a->body;
        q.nbody = 1;
    }
    int rc = http_start(a->ep->http, &q, &a->transfer, e);
    if (key.p)
        mem_wipe(key.p, key.cap);
    return rc;
}

/* Send all, wait for all or for the deadline; those without an answer keep status 0. */
static int ask_all(struct loop *loop, struct ask *asks, size_t n, int64_t connect_ms, int64_t deadline_ms, struct cancel *cancel, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++)
        rc = ask_start(&asks[i], connect_ms, e);
    for (size_t i = 0; i < n && rc >= 0; i++)
        if (asks[i].transfer)
            rc = loop_wait(loop, http_done(asks[i].transfer), deadline_ms, cancel, e);
    if (rc == -ERR_TIMEOUT) {
        loop_poll(loop);
        rc = 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct ask *a = &asks[i];
        if (a->transfer && *http_done(a->transfer)) {
            a->how = http_how(a->transfer);
            a->status = a->how == HTTP_OK ? http_status(a->transfer) : 0;
            clean_into(a->why, sizeof a->why, span_of(a->how == HTTP_TLS ? http_error(a->transfer) : http_location(a->transfer)), CLEAN_LINE);
        } else if (a->transfer) {
            a->how = HTTP_CUT;
        }
        http_finish(a->transfer);
        a->transfer = NULL;
        if (a->status == 200)
            a->json = json_loadb(buf_str(&a->answer), a->answer.n, 0, NULL);
    }
    return rc;
}

static const char *keep(struct endpoint *ep, struct span s)
{
    const char *p = arena_span(ep->arena, s);
    return p ? p : "";
}

static void __attribute__((format(printf, 4, 5))) trouble(struct endpoint *ep, enum endpoint_state state, const char *remedy, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ep->problem, sizeof ep->problem, fmt, ap);
    va_end(ap);
    snprintf(ep->remedy, sizeof ep->remedy, "%s", remedy);
    ep->state = state;
}

static void is_loading(struct endpoint *ep)
{
    trouble(ep, ENDPOINT_LOADING, "wait until it has loaded", "%s is loading its model", ep->url);
}

static bool is_embedding(struct span id)
{
    struct span s = id;
    for (size_t i = 0; i + 5 <= s.n; i++)
        if (!strncasecmp(s.p + i, "embed", 5) || !strncasecmp(s.p + i, "rerank", 6))
            return true;
    return false;
}

/* "qwen3" means "qwen3:latest"; a path's last part or a name without ".gguf" means the whole. */
static bool same_model(const char *want, const char *have)
{
    size_t n = strlen(want);
    const char *slash = strrchr(have, '/');
    if (!strcmp(want, have) || (!strncmp(want, have, n) && !strcmp(have + n, ":latest")))
        return true;
    if (slash && same_model(want, slash + 1))
        return true;
    return !strncmp(want, have, n) && !strcasecmp(have + n, ".gguf");
}

static const struct {
    const char *owner;
    enum server_kind kind;
} owners[] = {
    { "llamacpp", SERVER_LLAMA }, { "stead", SERVER_LLAMA }, { "library", SERVER_OLLAMA }, { "organization_owner", SERVER_LMSTUDIO },
    { "organization-owner", SERVER_LMSTUDIO }, { "vllm", SERVER_VLLM }, { "sglang", SERVER_SGLANG }, { "docker", SERVER_DMR }, { "mlx", SERVER_MLX },
};

/* A port says what is likely there when its owner does not. */
static enum server_kind kind_by_address(const struct url *u)
{
    if (!strcmp(u->host, "api.openai.com"))
        return SERVER_OPENAI;
    if (!strcmp(u->host, "api.anthropic.com"))
        return SERVER_ANTHROPIC;
    if (!url_is_local(u))
        return SERVER_UNKNOWN;
    switch (u->port) {
    case 11434: return SERVER_OLLAMA;
    case 1234: return SERVER_LMSTUDIO;
    case 12434: return SERVER_DMR;
    case 1337: return SERVER_JAN;
    default: return SERVER_UNKNOWN;
    }
}

static void read_models(struct ask *a)
{
    struct endpoint *ep = a->ep;
    const json_t *list = json_object_get(a->json, "data");
    if (!json_is_array(list)) {
        trouble(ep, ENDPOINT_DOWN, "check the address and the port", "what listens at %s is not a model server", ep->url);
        return;
    }
    ep->server = kind_by_address(ep->address);
    size_t n = json_array_size(list), have = 0;
    if (n > MODELS_MAX)
        n = MODELS_MAX;
    ep->models.items = arena_array(ep->arena, n + 1, sizeof *ep->models.items);
    for (size_t i = 0; ep->models.items && i < n; i++) {
        const json_t *m = json_array_get(list, i);
        struct span id = json_span(json_object_get(m, "id")), owner = json_span(json_object_get(m, "owned_by"));
        if (!id.n || memchr(id.p, 0, id.n) || id.n > 256)
            continue;
        for (size_t k = 0; k < COUNT_OF(owners); k++)
            if (span_eqs(owner, owners[k].owner) && url_is_local(ep->address))
                ep->server = owners[k].kind;
        ep->models.items[have++] = keep(ep, id);
    }
    ep->models.len = have;
    ep->state = ENDPOINT_READY;
    const char *chosen = NULL;
    for (size_t i = 0; i < have; i++)
        if (ep->want_model ? same_model(ep->want_model, ep->models.items[i]) : !is_embedding(span_of(ep->models.items[i]))) {
            chosen = ep->models.items[i];
            break;
        }
    if (chosen && !ep->want_model && !ep->local && have > 1) { /* the first of a hosted list is nobody's choice, and costs money */
        trouble(ep, ENDPOINT_NO_MODEL, "set `model:` of this endpoint, or name one with --model", "%s has %zu models and none is chosen", ep->url, have);
    } else if (chosen) {
        ep->model = chosen;
    } else if (!have) {
        trouble(ep, ENDPOINT_NO_MODEL, ep->server == SERVER_OLLAMA ? "pull one, for example: ollama pull qwen3-coder:30b" : "load a model in the server",
                "the server at %s has no model", ep->url);
    } else if (ep->want_model) { /* servers accept any name and answer with another model (quirk 35) */
        char shown[80], names[120] = "";
        clean_into(shown, sizeof shown, span_of(ep->want_model), CLEAN_LINE);
        for (size_t i = 0; i < have && strlen(names) < sizeof names - 48; i++) {
            size_t at = strlen(names);
            char one[48];
            clean_into(one, sizeof one, span_of(ep->models.items[i]), CLEAN_LINE);
            snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", one);
        }
        trouble(ep, ENDPOINT_NO_MODEL, "name one of the models that it has", "the server at %.80s does not have '%s'; it has %s", ep->url, shown, names);
        ep->model = ep->want_model;
    } else {
        trouble(ep, ENDPOINT_NO_MODEL, "load a chat model in the server", "the server at %s has only embedding models", ep->url);
    }
    for (size_t i = 0; i < n; i++) { /* what the list itself says of the context */
        const json_t *m = json_array_get(list, i);
        if (!chosen || !span_eqs(json_span(json_object_get(m, "id")), chosen))
            continue;
        int64_t len = json_count(m, "max_model_len", 0); /* vLLM, SGLang */
        if (!len)
            len = json_count(json_object_get(m, "meta"), "n_ctx", 0); /* llama-server */
        if (!len)
            len = json_count(m, "context_length", 0); /* hosted routers */
        if (!len)
            len = json_count(m, "max_input_tokens", 0);
        ep->context_tokens = len;
    }
}

static void read_first(struct ask *a)
{
    struct endpoint *ep = a->ep;
    struct buf words = BUF_INIT(512), type = BUF_INIT(128);
    int64_t unused = -1;
    switch (a->status) {
    case 200:
        if (a->json)
            read_models(a);
        else
            trouble(ep, ENDPOINT_DOWN, "check the address and the port", "what listens at %s is not a model server", ep->url);
        return;
    case 0:
        if (a->how == HTTP_TLS)
            trouble(ep, ENDPOINT_DOWN, "check the server's certificate; SSL_CERT_FILE names a file of those to trust", "no secure connection to %s: %s",
                    ep->url, a->why);
        else
            trouble(ep, ENDPOINT_DOWN, "start the server, or check the address", "nobody answers at %s", ep->url);
        return;
    case 401:
    case 403:
        trouble(ep, ENDPOINT_REFUSED, "set key_env, key_file or key_command of this endpoint, or STEAD_API_KEY", ep->key ? "%s refuses our key" : "%s wants a key", ep->url);
        return;
    case 503:
        failure_text(buf_span(&a->answer), &words, &type, &unused, &unused);
        is_loading(ep);
        ep->server = ep->server ? ep->server : kind_by_address(ep->address);
        break;
    case 404:
    case 405:
        ep->server = kind_by_address(ep->address);
        if (ep->want_model) { /* gateways without a list */
            ep->model = ep->want_model;
            ep->state = ENDPOINT_READY;
        } else {
            trouble(ep, ENDPOINT_NO_MODEL, "name the model with --model", "%s does not list its models", ep->url);
        }
        break;
    default:
        if (a->status < 400 && a->why[0])
            trouble(ep, ENDPOINT_DOWN, "give the address that it points to", "%s has moved to %s", ep->url, a->why);
        else
            trouble(ep, ENDPOINT_DOWN, "look at the server's log", "%s answers with status %d", ep->url, a->status);
    }
    buf_finish(&words);
    buf_finish(&type);
}

/* ---- round two: the server's own interface ---- */

static void read_llama_props(struct ask *a)
{
    struct endpoint *ep = a->ep;
    if (!a->json)
        return;
    const json_t *gen = json_object_get(a->json, "default_generation_settings");
    if (!json_is_object(gen))
        return;
    ep->server = SERVER_LLAMA;
    int64_t n = json_count(gen, "n_ctx", 0);
    if (!n)
        n = json_count(json_object_get(gen, "params"), "n_ctx", 0);
    if (n)
        ep->context_tokens = n;
    ep->slots = json_count(a->json, "total_slots", 0);
    ep->version = keep(ep, json_span(json_object_get(a->json, "build_info")));
    ep->chat_template = keep(ep, json_span(json_object_get(a->json, "chat_template")));
    ep->vision = json_is_true(json_object_get(json_object_get(a->json, "modalities"), "vision"));
}

static void read_version(struct ask *a)
{
    struct span v = json_span(json_object_get(a->json, "version"));
    if (v.n)
        a->ep->version = keep(a->ep, v);
}

static void read_ollama_version(struct ask *a)
{
    if (a->json && json_span(json_object_get(a->json, "version")).n) {
        a->ep->server = SERVER_OLLAMA;
        read_version(a);
    }
}

static void read_ollama_ps(struct ask *a)
{
    struct endpoint *ep = a->ep;
    size_t i;
    json_t *m;
    json_array_foreach(json_object_get(a->json, "models"), i, m) {
        struct span name = json_span(json_object_get(m, "name"));
        int64_t ctx = json_count(m, "context_length", 0);
        if (!ep->want_model && i == 0 && name.n && !is_embedding(name))
            ep->model = keep(ep, name); /* the one in memory answers first */
        if (ctx && span_eqs(name, ep->model))
            ep->context_tokens = ctx;
    }
}

static void read_ollama_show(struct ask *a)
{
    struct endpoint *ep = a->ep;
    struct span params = json_span(json_object_get(a->json, "parameters")), line;
    while (!ep->context_tokens && span_line(&params, &line)) {
        if (!span_starts(line, "num_ctx"))
            continue;
        for (size_t i = 7; i < line.n; i++)
            if (line.p[i] >= '0' && line.p[i] <= '9' && ep->context_tokens < 100000000)
                ep->context_tokens = ep->context_tokens * 10 + (line.p[i] - '0');
    }
    struct span t = json_span(json_object_get(a->json, "template"));
    if (t.n)
        ep->chat_template = keep(ep, t);
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(a->json, "capabilities"), i, c)
        ep->vision |= span_eqs(json_span(c), "vision");
}

static void read_lmstudio(struct ask *a)
{
    struct endpoint *ep = a->ep;
    size_t i;
    json_t *m;
    const json_t *loaded = NULL, *same = NULL;
    json_array_foreach(json_object_get(a->json, "data"), i, m) {
        struct span id = json_span(json_object_get(m, "id")), type = json_span(json_object_get(m, "type"));
        bool up = span_eqs(json_span(json_object_get(m, "state")), "loaded");
        if (span_eqs(type, "embeddings"))
            continue;
        ep->server = SERVER_LMSTUDIO;
        if (up && !loaded)
            loaded = m;
        if (span_eqs(id, ep->model))
            same = m;
    }
    if (!ep->want_model && loaded) {
        ep->model = keep(ep, json_span(json_object_get(loaded, "id")));
        same = loaded;
    }
    if (same) {
        ep->context_tokens = json_count(same, "loaded_context_length", 0); /* the maximum is a promise, this is the fact */
        ep->vision = span_eqs(json_span(json_object_get(same, "type")), "vlm");
    }
}

/* llama-server lists its model before it has loaded it; what it will be (context, template) it says only then. */
static void check_loading(struct ask *a)
{
    AUTO(buf) struct buf words = BUF_INIT(512);
    AUTO(buf) struct buf type = BUF_INIT(128);
    int64_t unused = -1;
    if (a->status != 503)
        return;
    failure_text(buf_span(&a->answer), &words, &type, &unused, &unused);
    if (failure_classify(a->status, buf_span(&type), buf_span(&words)) == MODEL_ERR_LOADING)
        is_loading(a->ep);
}

struct question {
    enum server_kind kind; /* whom it is for; SERVER_UNKNOWN: also those not recognised */
    const char *path;      /* below the root */
    bool shows_model;      /* POST {"model": ...} */
    void (*read)(struct ask *a);
};

static const struct question questions[] = {
    { SERVER_LLAMA, "/props", false, read_llama_props },
    { SERVER_JAN, "/props", false, read_llama_props },
    { SERVER_UNKNOWN, "/props", false, read_llama_props },
    { SERVER_OLLAMA, "/api/version", false, read_ollama_version },
    { SERVER_UNKNOWN, "/api/version", false, read_ollama_version },
    { SERVER_OLLAMA, "/api/ps", false, read_ollama_ps },
    { SERVER_OLLAMA, "/api/show", true, read_ollama_show },
    { SERVER_LMSTUDIO, "/api/v0/models", false, read_lmstudio },
    { SERVER_VLLM, "/version", false, read_version },
    { SERVER_SGLANG, "/version", false, read_version },
};

int look_all(struct loop *loop, struct endpoint *const *eps, size_t n, int64_t connect_ms, int64_t timeout_ms, struct cancel *cancel, struct err *e)
{
    int64_t deadline = clock_ms() + timeout_ms;
    struct ask *first = calloc(n ? n : 1, sizeof *first), *second = calloc(n * 4 + 1, sizeof *second);
    struct buf *bodies = calloc(n ? n : 1, sizeof *bodies);
    const struct question **which = calloc(n * 4 + 1, sizeof(void *));
    size_t n1 = 0, n2 = 0;
    int rc = first && second && which && bodies ? 0 : err_set(e, ERR_NOMEM, "cannot look for endpoints: out of memory");

    for (size_t i = 0; rc >= 0 && i < n; i++) {
        struct err one = ERR_INIT;
        eps[i]->problem[0] = eps[i]->remedy[0] = '\0';
        if (endpoint_prepare(loop, eps[i], &one) < 0)
            trouble(eps[i], ENDPOINT_REFUSED, one.hint, "%s", one.text);
        else
            ask_init(&first[n1++], eps[i], eps[i]->address->api, "/models");
    }
    if (rc >= 0)
        rc = ask_all(loop, first, n1, connect_ms, deadline, cancel, e);
    for (size_t i = 0; rc >= 0 && i < n1; i++)
        read_first(&first[i]);

    for (size_t i = 0; rc >= 0 && i < n1; i++) {
        struct endpoint *ep = first[i].ep;
        if ((ep->state != ENDPOINT_READY && ep->state != ENDPOINT_NO_MODEL) || !url_is_local(ep->address))
            continue;
        size_t asked = 0;
        for (size_t k = 0; k < COUNT_OF(questions) && asked < 4; k++) {
            if (questions[k].kind != ep->server)
                continue;
            ask_init(&second[n2], ep, ep->address->root, questions[k].path);
            if (questions[k].shows_model) {
                buf_init(&bodies[i], 1024);
                buf_adds(&bodies[i], "{\"model\":");
                buf_add_json(&bodies[i], span_of(ep->model));
                buf_adds(&bodies[i], "}");
                second[n2].body = buf_span(&bodies[i]);
            }
            which[n2++] = &questions[k];
            asked++;
        }
    }
    if (rc >= 0)
        rc = ask_all(loop, second, n2, connect_ms, deadline, cancel, e);
    for (size_t i = 0; rc >= 0 && i < n2; i++) {
        if (second[i].json)
            which[i]->read(&second[i]);
        else
            check_loading(&second[i]);
    }

    for (size_t i = 0; rc >= 0 && i < n; i++) {
        struct endpoint *ep = eps[i];
        if (ep->max_context_tokens && (!ep->context_tokens || ep->context_tokens > ep->max_context_tokens))
            ep->context_tokens = ep->max_context_tokens;
        if (ep->server == SERVER_ANTHROPIC)
            ep->dialect = &dialect_anthropic_messages;
        log_debug("%s: %s, %s, model '%s', context %lld", ep->url, endpoint_state_name(ep->state), server_kind_name(ep->server), ep->model,
                  (long long)ep->context_tokens);
    }
    for (size_t i = 0; first && i < n1; i++)
        ask_finish(&first[i]);
    for (size_t i = 0; second && i < n2; i++)
        ask_finish(&second[i]);
    for (size_t i = 0; bodies && i < n; i++)
        buf_finish(&bodies[i]);
    free(first);
    free(second);
    free(bodies);
    free(which);
    return rc < 0 ? rc : 0;
}
