/* endpoints_discover: from which sources, in which order, under which names. */
#include <stdio.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/dialect.h"
#include "model/endpoint.h"
#include "model/http.h"
#include "model/look.h"

#define LOADING_POLL_MS 500
#define NAMED_MS 5000 /* an endpoint that the user named may be far away */

static const struct {
    int port;
    const char *path;
    const char *source;
} known[] = {
    { 8080, "", "found on port 8080" },   { 11434, "", "found on port 11434" },          { 1234, "", "found on port 1234" },
    { 8000, "", "found on port 8000" },   { 12434, "/engines/v1", "found on port 12434" }, { 1337, "", "found on port 1337" },
};

static const char *env_get(const struct discover_options *o, const char *name)
{
    if (!o->env)
        return getenv(name); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    size_t n = strlen(name);
    for (size_t i = 0; o->env[i]; i++)
        if (!strncmp(o->env[i], name, n) && o->env[i][n] == '=')
            return o->env[i] + n + 1;
    return NULL;
}

static bool in_container(void)
{
    return access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0;
}

static int add(struct endpoints *all, struct endpoint *ep, struct err *e)
{
    for (size_t i = 0; i < all->len; i++)
        if (!strcmp(all->items[i]->url, ep->url)) { /* found before under a better name */
            endpoint_destroy(ep);
            return 0;
        }
    if (!array_grow((void **)&all->items, &all->cap, all->len, 1, sizeof(void *))) {
        endpoint_destroy(ep);
        return err_set(e, ERR_NOMEM, "cannot look for endpoints: out of memory");
    }
    all->items[all->len++] = ep;
    return 0;
}

static int add_spec(struct endpoints *all, const struct discover_options *o, const struct endpoint_spec *spec, const char *source, bool own_key, struct err *e)
{
    struct endpoint_spec s = *spec;
    struct endpoint *ep;
    const char *model = o->model ? o->model : env_get(o, "STEAD_MODEL");
    if (model && *model && (own_key || !s.model))
        s.model = model;
    int rc = endpoint_create(&s, &ep, e);
    if (rc < 0)
        return rc;
    ep->source = source;
    const char *key = env_get(o, "STEAD_API_KEY");
    if (own_key && !ep->key && !ep->key_command && key && *key && (ep->address->tls || url_is_local(ep->address)))
        rc = endpoint_set_key(ep, span_of(key), e);
    if (rc < 0) {
        endpoint_destroy(ep);
        return rc;
    }
    return add(all, ep, e);
}

/* An option or STEAD_ENDPOINT: the name of a configured endpoint, or an address. */
static int add_chosen(struct endpoints *all, const struct discover_options *o, const char *chosen, const char *source, struct err *e)
{
    for (size_t i = 0; i < o->nconfigured; i++)
        if (o->configured[i].name && !strcmp(o->configured[i].name, chosen))
            return add_spec(all, o, &o->configured[i], source, true, e);
    bool address = strchr(chosen, '/') || strchr(chosen, ':') || strchr(chosen, '.');
    if (!address) {
        char shown[80], names[160] = "";
        clean_into(shown, sizeof shown, span_of(chosen), CLEAN_LINE);
        for (size_t i = 0; i < o->nconfigured; i++) {
            size_t n = strlen(names);
            snprintf(names + n, sizeof names - n, "%s%s", n ? ", " : "", o->configured[i].name ? o->configured[i].name : "");
        }
        err_set(e, ERR_NOT_FOUND, "there is no endpoint '%s'", shown);
        if (names[0])
            err_hint(e, "configured are: %s; or give an address such as http://127.0.0.1:8080", names);
        else
            err_hint(e, "none is configured; give an address such as http://127.0.0.1:8080, or `stead endpoint add NAME URL`");
        return -ERR_NOT_FOUND;
    }
    struct endpoint_spec s = { .url = chosen };
    return add_spec(all, o, &s, source, true, e);
}

static int add_ports(struct endpoints *all, const struct discover_options *o, struct err *e)
{
    static const char *const hosts[] = { "127.0.0.1", "host.docker.internal" };
    size_t nhosts = in_container() ? 2 : 1;
    int rc = 0;
    for (size_t h = 0; h < nhosts; h++)
        for (size_t i = 0; rc >= 0 && i < COUNT_OF(known); i++) {
            char url[96];
            snprintf(url, sizeof url, "http://%s:%d%s", hosts[h], known[i].port, known[i].path);
            struct endpoint_spec s = { .url = url };
            rc = add_spec(all, o, &s, known[i].source, false, e);
        }
    return rc;
}

/* llama-server, llama-server-2, ... for those that the user did not name. */
static int give_names(struct endpoints *all, struct err *e)
{
    for (size_t i = 0; i < all->len; i++) {
        struct endpoint *ep = all->items[i];
        if (*ep->name)
            continue;
        const char *base = server_kind_name(ep->server);
        for (int n = 1; n < 100; n++) {
            char name[64];
            snprintf(name, sizeof name, n > 1 ? "%s-%d" : "%s", base, n);
            if (!endpoints_find(all, name)) {
                ep->name = arena_strdup(ep->arena, name);
                break;
            }
        }
        if (!ep->name)
            return err_set(e, ERR_NOMEM, "cannot look for endpoints: out of memory");
    }
    return 0;
}

static void drop_dead(struct endpoints *all, size_t from)
{
    size_t n = from;
    for (size_t i = from; i < all->len; i++) {
        if (all->items[i]->state == ENDPOINT_DOWN || all->items[i]->state == ENDPOINT_UNKNOWN)
            endpoint_destroy(all->items[i]);
        else
            all->items[n++] = all->items[i];
    }
    all->len = n;
}

static void drop_hosted(struct endpoints *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->len; i++) {
        if (all->items[i]->local)
            all->items[n++] = all->items[i];
        else
            endpoint_destroy(all->items[i]);
    }
    all->len = n;
}

static bool any_ready(const struct endpoints *all)
{
    return endpoints_first(all) != NULL;
}

static int look(struct loop *loop, struct endpoints *all, size_t from, int64_t ms, const struct discover_options *o, struct cancel *cancel, struct err *e)
{
    int rc = all->len > from ? look_all(loop, all->items + from, all->len - from, ms, ms, cancel, e) : 0;
    for (size_t i = from; rc >= 0 && i < all->len; i++)
        if (!all->items[i]->profile && all->items[i]->state != ENDPOINT_DOWN)
            rc = profile_for(all->items[i], o->profile_dir, &all->items[i]->profile, e);
    return rc;
}

static struct endpoint *first_loading(const struct endpoints *all)
{
    for (size_t i = 0; i < all->len; i++)
        if (all->items[i]->state == ENDPOINT_LOADING)
            return all->items[i];
    return NULL;
}

/* A server that was just started: it is asked again until it can say what it is, for that decides how it is talked to. */
static int wait_loading(struct loop *loop, struct endpoints *all, const struct discover_options *o, struct cancel *cancel, struct err *e)
{
    int64_t until = clock_ms() + o->loading_ms;
    const struct endpoint *said = NULL;
    struct endpoint *ep;
    bool never = false;
    while (!any_ready(all) && (ep = first_loading(all)) && clock_ms() < until) {
        if (!said && o->on_loading)
            o->on_loading(o->ctx, ep);
        said = ep;
        int rc = loop_wait(loop, &never, clock_ms() + LOADING_POLL_MS, cancel, e);
        if (rc < 0 && rc != -ERR_TIMEOUT)
            return rc;
        err_reset(e);
        rc = look_all(loop, &ep, 1, NAMED_MS, NAMED_MS, cancel, e);
        if (rc >= 0 && ep->state != ENDPOINT_LOADING) { /* what it was before it knew itself does not hold */
            profile_destroy(TAKE(ep->profile));
            if (ep->state != ENDPOINT_DOWN)
                rc = profile_for(ep, o->profile_dir, &ep->profile, e);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int nothing(const struct endpoints *all, struct err *e)
{
    for (size_t i = 0; i < all->len; i++)
        if (all->items[i]->problem[0]) {
            err_set(e, ERR_UNAVAILABLE, "no endpoint is ready: %s", all->items[i]->problem);
            err_hint(e, "%s", all->items[i]->remedy);
            return -ERR_UNAVAILABLE;
        }
    err_set(e, ERR_NOT_FOUND, "no model server was found");
    err_hint(e, "start llama-server, Ollama, LM Studio or vLLM, name one with --endpoint URL, or import a GGUF file for the embedded engine with `stead model import`");
    return -ERR_NOT_FOUND;
}

int endpoints_discover(struct loop *loop, const struct discover_options *o, struct cancel *cancel, struct endpoints **out, struct err *e)
{
    AUTO(endpoints) struct endpoints *all = calloc(1, sizeof *all);
    if (!all)
        return err_set(e, ERR_NOMEM, "cannot look for endpoints: out of memory");
    const char *from_env = env_get(o, "STEAD_ENDPOINT");
    int rc = 0;
    if (o->chosen && *o->chosen)
        rc = add_chosen(all, o, o->chosen, "option", e);
    else if (from_env && *from_env)
        rc = add_chosen(all, o, from_env, "STEAD_ENDPOINT", e);
    bool chosen = all->len > 0;
    if (rc >= 0 && (!chosen || o->all))
        for (size_t i = 0; i < o->nconfigured; i++) {
            struct err one = ERR_INIT;
            if (add_spec(all, o, &o->configured[i], "configuration", false, &one) >= 0)
                continue;
            /* One bad entry must not hide the others: it stays in the list with its problem. */
            struct endpoint_spec bare = { .name = o->configured[i].name, .url = o->configured[i].url, .model = o->configured[i].model,
                                          .locality = o->configured[i].locality };
            struct endpoint *ep;
            struct err two = ERR_INIT;
            if (endpoint_create(&bare, &ep, &two) < 0) {
                *e = one;
                rc = -(int)one.kind;
                break;
            }
            rc = add(all, ep, e);
        }
    if (rc < 0)
        return rc;
    if (o->local_only)
        drop_hosted(all);
    rc = look(loop, all, 0, NAMED_MS, o, cancel, e);
    if (rc < 0)
        return rc;
    if (o->all || (!chosen && !any_ready(all))) {
        size_t before = all->len;
        if (!o->no_ports) {
            rc = add_ports(all, o, e);
            if (rc >= 0)
                rc = look(loop, all, before, DISCOVER_PORT_MS, o, cancel, e);
            drop_dead(all, before);
        }
        if (rc >= 0 && o->engine_url) {
            before = all->len;
            struct endpoint_spec s = { .name = "embedded", .url = o->engine_url };
            rc = add_spec(all, o, &s, "embedded engine", false, e);
            if (rc >= 0)
                rc = look(loop, all, before, NAMED_MS, o, cancel, e);
        }
        if (rc < 0)
            return rc;
    }
    rc = wait_loading(loop, all, o, cancel, e);
    if (rc >= 0)
        rc = give_names(all, e);
    if (rc < 0)
        return rc;
    rc = any_ready(all) ? 0 : nothing(all, e);
    if (all->len)
        *out = TAKE(all);
    return rc;
}

struct endpoint *endpoints_first(const struct endpoints *all)
{
    for (size_t i = 0; all && i < all->len; i++)
        if (all->items[i]->state == ENDPOINT_READY)
            return all->items[i];
    return NULL;
}

struct endpoint *endpoints_find(const struct endpoints *all, const char *name_or_url)
{
    for (size_t i = 0; all && i < all->len; i++)
        if (!strcmp(all->items[i]->name, name_or_url) || !strcmp(all->items[i]->url, name_or_url))
            return all->items[i];
    return NULL;
}

void endpoints_destroy(struct endpoints *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->len; i++)
        endpoint_destroy(all->items[i]);
    free(all->items);
    free(all);
}
