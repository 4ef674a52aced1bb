/*
 * endpoint - something that serves a model over an API, and how to find one.
 *
 *     struct discover_options o = { .chosen = opt_endpoint, .model = opt_model, .configured = specs, .nconfigured = n };
 *     struct endpoints *all;
 *     if (endpoints_discover(loop, &o, cancel, &all, e) < 0) ...     // ERR_NOT_FOUND, hint: how to get one
 *     struct endpoint *ep = endpoints_first(all);                    // ready first, then in order of preference
 *     endpoints_destroy(all);
 *
 * Where endpoints come from, first wins: an explicit option (a configured name or a URL), STEAD_ENDPOINT,
 * configuration, then the well-known local ports, asked in parallel with a short limit: llama-server
 * 8080, Ollama 11434, LM Studio 1234, vLLM 8000, Docker Model Runner 12434, Jan 1337, on
 * 127.0.0.1 and in a container on host.docker.internal.
 *
 * URLs: http://, https://, unix:///path.sock and http+unix://%2Fpath.sock. A path such as /v1 may be
 * part of it. A URL never holds a key: keys come from the environment, a file or a command.
 *
 * The real context size, the model list, server kind and version are read from the server, not
 * believed from configuration. The loop's thread. endpoints_discover and endpoint_look wait.
 */
#ifndef STEAD_MODEL_ENDPOINT_H
#define STEAD_MODEL_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bind.h"
#include "base/buf.h"
#include "base/loop.h"

enum server_kind {
    SERVER_UNKNOWN,
    SERVER_LLAMA,     /* llama-server, and stead's own engine */
    SERVER_OLLAMA,
    SERVER_LMSTUDIO,
    SERVER_VLLM,
    SERVER_DMR,       /* Docker Model Runner */
    SERVER_JAN,
    SERVER_MLX,
    SERVER_SGLANG,
    SERVER_OPENAI,    /* api.openai.com */
    SERVER_ANTHROPIC, /* api.anthropic.com */
    SERVER_KINDS
};
const char *server_kind_name(enum server_kind k);  /* "llama-server": in rows, JSON */
const char *server_kind_title(enum server_kind k); /* "llama.cpp server": for people */

struct dialect; /* dialect.h: how requests and replies look; "openai-chat", "anthropic-messages" */
struct profile; /* profile.h: how it really behaves */
struct secret;  /* a key (config/secret.h): not printable, wiped when finished */

/* What configuration or an option says of an endpoint; borrowed strings, NULL or 0 where it says nothing. */
struct endpoint_spec {
    const char *name;
    const char *url;
    const char *dialect; /* NULL: found out */
    const char *model;   /* NULL: the one that is loaded, or the first listed */
    const char *key_env, *key_file, *key_command;
    const char *locality; /* "local", "hosted", NULL: by address (loopback, unix, private networks are local) */
    int64_t context_tokens;               /* an upper bound that the user sets */
    int64_t price_in_micro_usd, price_out_micro_usd; /* per million tokens */
};

enum endpoint_state {
    ENDPOINT_UNKNOWN,  /* not asked yet */
    ENDPOINT_READY,
    ENDPOINT_LOADING,  /* answers, its model is not loaded yet */
    ENDPOINT_NO_MODEL, /* answers, but serves no model */
    ENDPOINT_REFUSED,  /* wants a key, or refuses ours */
    ENDPOINT_DOWN,     /* nobody answers */
};
const char *endpoint_state_name(enum endpoint_state s);

/* Sampling; NAN or -1 means: leave to the server (only where it refuses the parameter). */
struct sampling {
    double temperature, top_p, min_p;
    int64_t top_k;
    double repeat_penalty, presence_penalty;
    int64_t seed; /* -1: none is sent */
};

struct endpoint;
/*
 * What may leave this machine: asked with the whole body before each request to the endpoint. 0: send what was put into
 * `out`, or the body as it is when `out` stays empty; -ERR_DENIED with a reason: nothing is sent (MODEL_ERR_GUARD).
 */
typedef int (*endpoint_guard_fn)(void *ctx, const struct endpoint *ep, struct span body, struct buf *out, struct err *e);

/* Arguments of a tool call as they came from it: what is to be run, appended to `out`; 0, or negative without memory. */
typedef int (*endpoint_restore_fn)(void *ctx, struct span args, struct buf *out, struct err *e);

/* The server was lost: see that it answers again at the same address. Waits. */
typedef int (*endpoint_revive_fn)(void *ctx, struct cancel *cancel, struct err *e);

struct endpoint {
    const char *name;   /* configured, or made from what was found: "llama-server", "ollama-2" */
    const char *url;    /* as given, without a trailing slash, never with a key */
    const char *source; /* "option", "STEAD_ENDPOINT", "configuration", "found on port 8080" */
    const struct dialect *dialect;
    bool local;
    enum endpoint_state state;
    enum server_kind server;
    const char *version;     /* "" unknown */
    const char *model;       /* to be sent; "" until known */
    struct strings models;   /* what it lists */
    const char *chat_template;  /* where the server shows it, else "" */
    int64_t context_tokens;  /* of one conversation, as the server runs it; 0 unknown */
    int64_t slots;           /* conversations served at once; 0 unknown */
    bool vision;             /* the server says that the model takes images */
    struct profile *profile; /* never NULL after discovery; measured when profile->probed_unix_ms > 0 */
    struct secret *key;      /* NULL: none, or not read yet */
    const char *key_command; /* run when the key is first needed */
    const char *want_model;  /* as chosen by the user; NULL: the server's */
    int64_t max_context_tokens; /* as limited by the user; 0 none */
    int64_t price_in_micro_usd, price_out_micro_usd;
    char problem[240];       /* why it is not ready, for a person; "" */
    char remedy[240];
    endpoint_guard_fn guard; /* set by who routes to a hosted endpoint; NULL: none */
    endpoint_restore_fn restore; /* with guard: undoes what it put in the place of what may not leave; NULL: nothing */
    void *guard_ctx;
    int (*turn_begin)(void *ctx, struct cancel *cancel, struct err *e); /* before each request: may wait; NULL: none */
    void (*turn_end)(void *ctx);                                         /* after it, however it ended */
    void *turn_ctx;
    int place;               /* of this conversation in the server's cache, from 1; 0: the server chooses */
    endpoint_revive_fn revive; /* set by who runs the server; NULL: somebody else does */
    void *revive_ctx;
    struct http *http;       /* kept connection; private to model/ */
    struct url *address;     /* url taken apart */
    struct arena *arena;     /* owns the strings */
};

struct endpoints {
    struct endpoint **items;
    size_t len, cap;
};

struct discover_options {
    const char *chosen;      /* --endpoint NAME|URL */
    const char *model;       /* --model, else STEAD_MODEL; NULL: the server's */
    const struct endpoint_spec *configured;
    size_t nconfigured;
    const char *engine_url;  /* the embedded engine's socket, offered last; NULL */
    const char *profile_dir; /* where probe results are kept; NULL: none are read */
    bool all;                /* look at every source, not only the first that yields one (endpoint list) */
    bool local_only;         /* leave hosted endpoints out */
    bool no_ports;           /* do not ask well-known ports */
    const char *const *env;  /* environment to read, NULL: ours */
    int64_t loading_ms;      /* wait so long for one that is loading its model when none is ready; 0: not at all */
    void (*on_loading)(void *ctx, const struct endpoint *ep); /* once, when such a wait begins; may be NULL */
    void *ctx;
};

#define DISCOVER_PORT_MS 150 /* a local server that is up answers in a few; also with all ports dead */

/* Find endpoints and ask each who it is. 0 with at least one that answers, else -ERR_NOT_FOUND or -ERR_UNAVAILABLE with a remedy. *out is also set when only unready ones were found. */
int endpoints_discover(struct loop *loop, const struct discover_options *o, struct cancel *cancel,
                       struct endpoints **out, struct err *e) WARN_UNUSED;
struct endpoint *endpoints_first(const struct endpoints *all); /* the best that is ready, or NULL */
struct endpoint *endpoints_find(const struct endpoints *all, const char *name_or_url);
void endpoints_destroy(struct endpoints *all);
static inline void endpoints_auto(struct endpoints **a)
{
    endpoints_destroy(*a);
}

/* What configuration says of an endpoint, in this module's words (borrowed). */
struct config_endpoint;
void endpoint_spec_of(const struct config_endpoint *c, struct endpoint_spec *out);

/* One endpoint from a spec: parsed, not asked. The caller owns *out. */
int endpoint_create(const struct endpoint_spec *spec, struct endpoint **out, struct err *e) WARN_UNUSED;
/* Ask the server who it is (kind, version, models, context, slots); fills state, problem, remedy. Waits at most timeout_ms. */
int endpoint_look(struct loop *loop, struct endpoint *ep, int64_t timeout_ms, struct cancel *cancel, struct err *e) WARN_UNUSED;
/* Give it a key that is not in configuration. */
int endpoint_set_key(struct endpoint *ep, struct span key, struct err *e) WARN_UNUSED;
/* Read the key if it comes from a command; open the connection's state. Called by the two users of the endpoint. */
int endpoint_prepare(struct loop *loop, struct endpoint *ep, struct err *e) WARN_UNUSED;
void endpoint_destroy(struct endpoint *ep);
static inline void endpoint_auto(struct endpoint **ep)
{
    endpoint_destroy(*ep);
}

#endif
