#include "route/candidate.h"

#include <string.h>

#include "base/mem.h"
#include "model/profile.h"

double candidate_model_size(const char *model)
{
    double most = 0;
    for (const char *p = model ? model : ""; *p; p++) {
        bool starts = p == model || strchr("-_:/ x", p[-1]);
        if (!starts || *p < '0' || *p > '9')
            continue;
        double v = 0, unit = 1;
        const char *q = p;
        for (; *q >= '0' && *q <= '9'; q++)
            v = v * 10 + (*q - '0');
        if (*q == '.' && q[1] >= '0' && q[1] <= '9')
            for (q++; *q >= '0' && *q <= '9'; q++)
                v += (unit /= 10) * (*q - '0');
        bool ends = (*q | 32) == 'b' && !((q[1] | 32) >= 'a' && (q[1] | 32) <= 'z');
        if (ends && v > most && v < 10000)
            most = v;
    }
    return most;
}

bool candidate_is_local_url(const char *url)
{
    static const char *const hosts[] = { "localhost", "127.", "[::1]", "host.docker.internal" };
    if (strncmp(url, "unix:", 5) == 0 || strncmp(url, "http+unix:", 10) == 0)
        return true;
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        size_t n = strlen(hosts[i]);
        bool dotted = hosts[i][n - 1] == '.';
        if (strncasecmp(host, hosts[i], n) != 0)
            continue;
        if (!dotted)
            return host[n] == '\0' || strchr(":/?#", host[n]);
        return strspn(host, "0123456789.") == strcspn(host, ":/?#"); /* 127.0.0.1.example.com is not */
    }
    return false;
}

static bool is_large(const struct config_endpoint *c, const char *model)
{
    if (c && c->size)
        return strcmp(c->size, "large") == 0;
    return candidate_model_size(model) >= CANDIDATE_LARGE_B;
}

void candidate_of_endpoint(const struct endpoint *ep, const struct config_endpoint *configured, int64_t prompt_tokens,
                           struct route_candidate *out)
{
    const char *model = ep->model ? ep->model : "";
    *out = (struct route_candidate){
        .name = ep->name, .url = ep->url, .model = model, .local = ep->local, .large = is_large(configured, model),
        .ready = ep->state == ENDPOINT_READY, .problem = ep->problem, .context_tokens = ep->context_tokens,
        .slots = ep->slots, .price_in_micro_usd = ep->price_in_micro_usd, .price_out_micro_usd = ep->price_out_micro_usd,
    };
    double speed = ep->profile ? ep->profile->prefill_tokens_per_s : 0;
    if (prompt_tokens > 0 && speed > 0)
        out->expected_ttft_ms = (int64_t)((double)prompt_tokens * 1000 / speed);
}

void candidate_of_config(const struct config_endpoint *c, struct route_candidate *out)
{
    *out = (struct route_candidate){
        .name = c->name, .url = c->url, .model = c->model ? c->model : "",
        .local = c->local == CONFIG_AUTO ? candidate_is_local_url(c->url) : c->local == CONFIG_YES,
        .large = is_large(c, c->model), .ready = true, .context_tokens = c->context_tokens,
        .price_in_micro_usd = c->price_in_micro_usd, .price_out_micro_usd = c->price_out_micro_usd,
    };
}
