#include "task/task-internal.h"

#include <stdio.h>
#include <string.h>

#include "inference/supervisor.h"

static struct endpoint_spec spec_of(const struct config_endpoint *c)
{
    return (struct endpoint_spec){
        .name = c->name,
        .url = c->url,
        .dialect = c->dialect,
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

static void on_engine(void *ctx, const char *what, double done)
{
    if (done >= 0)
        task_stage(ctx, "%s, %d %%", what, (int)(done * 100));
    else
        task_stage(ctx, "%s", what);
}

/* Nothing else serves here: the embedded engine with its model, started or found running. */
static int start_engine(struct task *t, struct discover_options *o, struct cancel *cancel, struct err *e)
{
    struct engine_address a;
    int r = engine_ensure(t->spec.loop, t->spec.config, NULL, on_engine, t, cancel, &a, e);
    if (r < 0)
        return err_wrap(e, "the embedded engine");
    t->engine_url = strdup(a.url);
    if (!t->engine_url)
        return err_set(e, ERR_NOMEM, "out of memory");
    o->chosen = NULL;
    o->engine_url = t->engine_url;
    o->no_ports = true;
    return endpoints_discover(t->spec.loop, o, cancel, &t->endpoints, e);
}

int route_endpoints(struct task *t, struct span text, struct cancel *cancel, struct err *e)
{
    size_t n = t->values->nendpoints;
    struct endpoint_spec *specs = arena_array(&t->arena, n + 1, sizeof *specs);
    (void)text;
    if (!specs)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        specs[i] = spec_of(&t->values->endpoints[i]);
    struct discover_options o = {
        .chosen = t->spec.endpoint ? t->spec.endpoint : t->values->endpoint,
        .model = t->spec.model ? t->spec.model : t->values->model,
        .configured = specs,
        .nconfigured = n,
        .local_only = t->spec.local_only || t->values->policy.local_only,
    };
    bool embedded = o.chosen && strcmp(o.chosen, "embedded") == 0;
    int r = embedded ? -ERR_NOT_FOUND : endpoints_discover(t->spec.loop, &o, cancel, &t->endpoints, e);
    if (r == -ERR_NOT_FOUND && (embedded || (!o.chosen && t->values->inference.embedded)))
        r = start_engine(t, &o, cancel, e);
    if (r < 0)
        return r;
    t->endpoint = endpoints_first(t->endpoints);
    if (!t->endpoint) {
        const struct endpoint *first = t->endpoints->len ? t->endpoints->items[0] : NULL;
        err_set(e, ERR_UNAVAILABLE, "endpoint '%s' is not ready: %s", first ? first->name : "?", first ? first->problem : "");
        if (first && first->remedy[0])
            err_hint(e, "%s", first->remedy);
        return -ERR_UNAVAILABLE;
    }
    return 0;
}

struct endpoint *route_next(struct task *t, const char *reason)
{
    (void)t;
    (void)reason;
    return NULL;
}
