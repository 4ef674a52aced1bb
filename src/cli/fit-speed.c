/* fit-speed.c - run a model for a moment in the embedded engine, and remember its speed. */
#include <stdio.h>

#include "base/bind.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/command.h"
#include "config/config.h"
#include "inference/speeds.h"
#include "inference/supervisor.h"
#include "model/http.h"
#include "model/url.h"

#define TOKENS 48
#define LIMIT_MS (15 * 60000)

struct timings {
    int64_t prompt_n, predicted_n;
    double prompt_per_second, predicted_per_second;
};
static const struct field timing_fields[] = {
    { "prompt_n", FIELD_I64, FIELD(timings, prompt_n), FIELD_REQUIRED, 0, INT64_MAX, "tokens evaluated" },
    { "predicted_n", FIELD_I64, FIELD(timings, predicted_n), FIELD_REQUIRED, 0, INT64_MAX, "tokens written" },
    { "prompt_per_second", FIELD_F64, FIELD(timings, prompt_per_second), FIELD_REQUIRED, 0, 0, "" },
    { "predicted_per_second", FIELD_F64, FIELD(timings, predicted_per_second), FIELD_REQUIRED, 0, 0, "" },
    { 0 },
};
struct answer {
    struct timings timings;
};
static const struct field answer_fields[] = {
    { "timings", FIELD_OBJECT, FIELD(answer, timings), FIELD_REQUIRED, 0, 0, "", .fields = timing_fields },
    { 0 },
};

/* About 500 tokens of ordinary text to evaluate, then TOKENS to write whatever the model would say. */
static void add_request(struct buf *b)
{
    buf_adds(b, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 40; i++)
        buf_addf(b, "Line %d of a file that is read: if (count > limit) return count - %d; ", i, i * 7);
    buf_addf(b, "\"}],\"max_tokens\":%d,\"ignore_eos\":true,\"cache_prompt\":false,\"temperature\":0}", TOKENS);
}

int fit_measure_speed(struct cli *cli, const char *path, struct err *e);

int fit_measure_speed(struct cli *cli, const char *path, struct err *e)
{
    const struct config *cfg = cli_config(cli, e);
    struct loop *loop = cli_loop(cli, e);
    struct engine_address a;
    struct url u;
    struct http *h;
    if (!cfg || !loop || engine_ensure(loop, cfg, path, NULL, NULL, cli_cancel(cli), &a, e) < 0)
        return -e->kind;
    if (url_parse(a.url, &u, e) < 0 || http_create(loop, &u, &h, e) < 0)
        return -e->kind;
    AUTO(buf) struct buf body = BUF_INIT(64 << 10);
    AUTO(buf) struct buf out = BUF_INIT(4 << 20);
    AUTO(json) json_t *json = NULL;
    AUTO(arena) struct arena mem = ARENA_INIT(1 << 20);
    struct answer answer = { { 0, 0, 0, 0 } };
    add_request(&body);
    struct span piece = buf_span(&body);
    struct http_request q = { .path = "/v1/chat/completions", .body = &piece, .nbody = 1 };
    int status = http_fetch(h, &q, out.limit, clock_ms() + LIMIT_MS, cli_cancel(cli), &out, e);
    http_destroy(h);
    if (status < 0)
        return err_wrap(e, "measuring '%s'", path);
    if (status != 200)
        return err_set(e, ERR_UNAVAILABLE, "measuring '%s': the engine answers %d", path, status);
    if (json_parse(buf_span(&out), BIND_TOLERANT, &json, e) < 0 || bind_load(json, answer_fields, &answer, BIND_TOLERANT, &mem, e) < 0)
        return err_wrap(e, "measuring '%s'", path);
    struct speed s = { answer.timings.predicted_per_second, answer.timings.prompt_per_second, 0 };
    if (answer.timings.predicted_n < SPEEDS_TOKENS_MIN)
        return err_set(e, ERR_UNAVAILABLE, "measuring '%s': it wrote only %lld tokens", path, (long long)answer.timings.predicted_n);
    return speeds_note(config_cache_dir(cfg), path, &s, e);
}
