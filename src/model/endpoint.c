#include "model/endpoint.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/secret.h"
#include "model/dialect.h"
#include "model/http.h"
#include "model/look.h"

#define ARENA_BYTES (8u << 20) /* names of models and a template */

static const struct {
    const char *name, *title;
} kinds[SERVER_KINDS] = {
    [SERVER_UNKNOWN] = { "server", "model server" },
    [SERVER_LLAMA] = { "llama-server", "llama.cpp server" },
    [SERVER_OLLAMA] = { "ollama", "Ollama" },
    [SERVER_LMSTUDIO] = { "lm-studio", "LM Studio" },
    [SERVER_VLLM] = { "vllm", "vLLM" },
    [SERVER_DMR] = { "docker-model-runner", "Docker Model Runner" },
    [SERVER_JAN] = { "jan", "Jan" },
    [SERVER_MLX] = { "mlx", "MLX server" },
    [SERVER_SGLANG] = { "sglang", "SGLang" },
    [SERVER_OPENAI] = { "openai", "OpenAI" },
    [SERVER_ANTHROPIC] = { "anthropic", "Anthropic" },
};

const char *server_kind_name(enum server_kind k)
{
    return k < SERVER_KINDS ? kinds[k].name : "server";
}

const char *server_kind_title(enum server_kind k)
{
    return k < SERVER_KINDS ? kinds[k].title : "model server";
}

const char *endpoint_state_name(enum endpoint_state s)
{
    static const char *const names[] = {
        [ENDPOINT_UNKNOWN] = "unknown",   [ENDPOINT_READY] = "ready",     [ENDPOINT_LOADING] = "loading",
        [ENDPOINT_NO_MODEL] = "no-model", [ENDPOINT_REFUSED] = "refused", [ENDPOINT_DOWN] = "down",
    };
    return s < COUNT_OF(names) ? names[s] : "unknown";
}

void endpoint_spec_of(const struct config_endpoint *c, struct endpoint_spec *out)
{
    *out = (struct endpoint_spec){
        .name = c->name,
        .url = c->url,
        .dialect = c->dialect && strcmp(c->dialect, "auto") != 0 ? c->dialect : NULL,
        .model = c->model,
        .key_env = c->key_env,
        .key_file = c->key_file,
        .key_command = c->key_command,
        .locality = c->local == CONFIG_YES ? "local" : c->local == CONFIG_NO ? "hosted" : NULL,
        .context_tokens = c->context_tokens,
        .price_in_micro_usd = c->price_in_micro_usd,
        .price_out_micro_usd = c->price_out_micro_usd,
    };
}

static int nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "cannot keep the endpoint: out of memory");
}

static int read_key(const struct endpoint_spec *spec, struct endpoint *ep, struct err *e)
{
    struct config_endpoint c = { .name = *ep->name ? ep->name : NULL, .url = ep->url, .key_env = spec->key_env, .key_file = spec->key_file };
    if (!c.key_env && !c.key_file)
        return 0;
    ep->key = calloc(1, sizeof *ep->key);
    return ep->key ? secret_load(NULL, &c, ep->key, NULL, e) : nomem(e);
}

int endpoint_create(const struct endpoint_spec *spec, struct endpoint **out, struct err *e)
{
    struct url u;
    int rc = url_parse(spec->url, &u, e);
    if (rc < 0)
        return rc;
    AUTO(endpoint) struct endpoint *ep = calloc(1, sizeof *ep);
    if (!ep || !(ep->arena = calloc(1, sizeof *ep->arena)))
        return nomem(e);
    arena_init(ep->arena, ARENA_BYTES);
    struct url *kept = arena_alloc(ep->arena, sizeof *kept);
    if (!kept)
        return nomem(e);
    *kept = u;
    ep->address = kept;
    ep->url = kept->text;
    ep->name = arena_strdup(ep->arena, spec->name ? spec->name : "");
    ep->source = "configuration";
    ep->version = ep->model = ep->chat_template = "";
    ep->want_model = spec->model && *spec->model ? arena_strdup(ep->arena, spec->model) : NULL;
    ep->key_command = spec->key_command && *spec->key_command ? arena_strdup(ep->arena, spec->key_command) : NULL;
    ep->max_context_tokens = spec->context_tokens;
    ep->price_in_micro_usd = spec->price_in_micro_usd;
    ep->price_out_micro_usd = spec->price_out_micro_usd;
    ep->local = spec->locality ? !strcmp(spec->locality, "local") : url_is_local(kept);
    ep->dialect = spec->dialect ? dialect_find(spec->dialect) : NULL;
    if (spec->dialect && !ep->dialect) {
        err_set(e, ERR_INPUT, "endpoint '%s': there is no dialect '%s'", ep->name, spec->dialect);
        err_hint(e, "dialects: openai-chat, anthropic-messages");
        return -ERR_INPUT;
    }
    if (!ep->dialect)
        ep->dialect = !strcmp(kept->host, "api.anthropic.com") ? &dialect_anthropic_messages : &dialect_openai_chat;
    if (ep->want_model)
        ep->model = ep->want_model;
    if (!ep->name || (spec->model && *spec->model && !ep->want_model))
        return nomem(e);
    rc = read_key(spec, ep, e);
    if (rc < 0)
        return rc;
    if (!kept->tls && !kept->socket[0] && (ep->key || ep->key_command) && !url_is_local(kept)) {
        err_set(e, ERR_DENIED, "endpoint '%s': its key would travel unencrypted to %s", ep->name, ep->url);
        err_hint(e, "use https://");
        return -ERR_DENIED;
    }
    *out = TAKE(ep);
    return 0;
}

int endpoint_set_key(struct endpoint *ep, struct span key, struct err *e)
{
    if (!ep->key && !(ep->key = calloc(1, sizeof *ep->key)))
        return nomem(e);
    return secret_set(ep->key, key, e);
}

static int run_key_command(struct loop *loop, struct endpoint *ep, struct err *e)
{
    struct config_endpoint c = { .url = ep->url, .key_command = ep->key_command };
    AUTO(secret) struct secret key = SECRET_INIT;
    int rc = secret_load(loop, &c, &key, NULL, e);
    return rc < 0 ? rc : endpoint_set_key(ep, secret_span(&key), e);
}

int endpoint_prepare(struct loop *loop, struct endpoint *ep, struct err *e)
{
    int rc = 0;
    if (!ep->key && ep->key_command)
        rc = run_key_command(loop, ep, e);
    if (rc >= 0 && !ep->http)
        rc = http_create(loop, ep->address, &ep->http, e);
    return rc < 0 ? err_wrap(e, "endpoint '%s'", *ep->name ? ep->name : ep->url) : 0;
}

int endpoint_look(struct loop *loop, struct endpoint *ep, int64_t timeout_ms, struct cancel *cancel, struct err *e)
{
    int rc = look_all(loop, &ep, 1, timeout_ms, timeout_ms, cancel, e);
    if (rc >= 0 && !ep->profile)
        rc = profile_for(ep, NULL, &ep->profile, e);
    return rc;
}

void endpoint_destroy(struct endpoint *ep)
{
    if (!ep)
        return;
    http_destroy(ep->http);
    profile_destroy(ep->profile);
    if (ep->key)
        secret_finish(ep->key);
    free(ep->key);
    if (ep->arena)
        arena_finish(ep->arena);
    free(ep->arena);
    free(ep);
}
