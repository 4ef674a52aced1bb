/*
 * bench-decode MODEL ENGINE THREADS ROUNDS: tokens a second of the engine against the bare loop that llama-bench runs
 * (same libraries, file, threads, cache type), in turns, each beginning every other round, so that a busy machine is busy
 * for both.
 *
 * Prints one JSON object: medians, and the best of each, which says most on a machine that others use too. The engine's
 * figure is its own `timings` of a streamed reply over HTTP: sampling, detokenizing, parsing and the stream are in it.
 */
#include <dlfcn.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bind.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/proc.h"
#include "model/http.h"
#include "model/url.h"

#define TOKENS 96
#define WARM 24 /* just before: caches and threads are what they are in the midst of a reply */
#define ROUNDS_MAX 32
#define SETTLE_MS 700

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void quiet(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)level;
    (void)text;
    (void)ctx;
}

struct bare {
    struct llama_model *model;
    struct llama_context *ctx;
    ggml_threadpool_t pool;
};

static int bare_open(struct bare *b, const char *path, int threads)
{
    Dl_info info;
    char dir[4096];
    llama_log_set(quiet, NULL);
    if (!dladdr((const void *)(uintptr_t)ggml_backend_load_all_from_path, &info))
        return -1;
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(info.dli_fname, '/') - info.dli_fname), info.dli_fname);
    ggml_backend_load_all_from_path(dir);
    struct llama_model_params mp = llama_model_default_params();
    mp.n_gpu_layers = 0;
    b->model = llama_model_load_from_file(path, mp);
    if (!b->model)
        return -1;
    struct llama_context_params cp = llama_context_default_params();
    cp.n_ctx = 1024;
    cp.n_batch = cp.n_ubatch = 512;
    cp.n_threads = cp.n_threads_batch = threads;
    b->ctx = llama_init_from_model(b->model, cp);
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    ggml_threadpool_t (*create)(struct ggml_threadpool_params *);
    *(void **)&create = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
    struct ggml_threadpool_params tp = ggml_threadpool_params_default(threads);
    if (create && b->ctx && (b->pool = create(&tp)))
        llama_attach_threadpool(b->ctx, b->pool, NULL);
    return b->ctx ? 0 : -1;
}

/* llama-bench's test_gen: random tokens, one at a time. */
static double bare_run(struct bare *b)
{
    int vocab = llama_vocab_n_tokens(llama_model_get_vocab(b->model));
    llama_memory_clear(llama_get_memory(b->ctx), false);
    llama_token token = 1;
    for (int i = 0; i < WARM; i++) { /* about as long as the engine's prompt */
        if (llama_decode(b->ctx, llama_batch_get_one(&token, 1)) != 0)
            return 0;
    }
    llama_synchronize(b->ctx);
    int64_t began = clock_us();
    for (int i = 0; i < TOKENS; i++) {
        if (llama_decode(b->ctx, llama_batch_get_one(&token, 1)) != 0)
            return 0;
        llama_synchronize(b->ctx);
        token = (i * 7919) % vocab;
    }
    return TOKENS / ((double)(clock_us() - began) / 1e6);
}

struct answer {
    struct timings {
        int64_t predicted_n;
        double predicted_per_second;
    } timings;
};
static const struct field timing_fields[] = {
    { "predicted_n", FIELD_I64, FIELD(timings, predicted_n), FIELD_REQUIRED, 0, INT64_MAX, "" },
    { "predicted_per_second", FIELD_F64, FIELD(timings, predicted_per_second), FIELD_REQUIRED, 0, 0, "" },
    { 0 },
};
static const struct field answer_fields[] = {
    { "timings", FIELD_OBJECT, FIELD(answer, timings), FIELD_REQUIRED, 0, 0, "", .fields = timing_fields },
    { 0 },
};

/* The last event with timings of a stream. */
static struct span last_timings(struct span stream)
{
    struct span rest = stream, line, found = { "", 0 };
    while (span_split(&rest, '\n', &line))
        if (span_starts(line, "data: {") && span_find(line, SPAN("\"timings\":")) >= 0)
            found = (struct span){ line.p + 6, line.n - 6 };
    return found;
}

static double engine_reply(struct loop *loop, const char *sock, int tokens)
{
    struct err e = ERR_INIT;
    struct url u;
    struct http *h;
    char url[160];
    AUTO(buf) struct buf out = BUF_INIT(4u << 20);
    AUTO(json) json_t *json = NULL;
    AUTO(arena) struct arena mem = ARENA_INIT(1 << 20);
    struct answer answer = { { 0, 0 } };
    char text[200];
    int n = snprintf(text, sizeof text,
                     "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":%d,\"ignore_eos\":true,"
                     "\"cache_prompt\":false,\"stream\":true}", tokens + 1); /* the first is the prompt's */
    struct span body = { text, (size_t)n };
    (void)snprintf(url, sizeof url, "unix://%s", sock);
    if (url_parse(url, &u, &e) < 0 || http_create(loop, &u, &h, &e) < 0)
        return 0;
    struct http_request q = { .path = "/v1/chat/completions", .body = &body, .nbody = 1 };
    int status = http_fetch(h, &q, 2u << 20, clock_ms() + 600000, NULL, &out, &e);
    http_destroy(h);
    if (status != 200 || json_parse(last_timings(buf_span(&out)), BIND_TOLERANT, &json, &e) < 0 ||
        bind_load(json, answer_fields, &answer, BIND_TOLERANT, &mem, &e) < 0)
        return 0;
    return answer.timings.predicted_per_second;
}

static double engine_run(struct loop *loop, const char *sock)
{
    return engine_reply(loop, sock, WARM) > 0 ? engine_reply(loop, sock, TOKENS) : 0;
}

/* llama.cpp's idle threads spin for a third of a second before they sleep: the other's must not take our core. */
static void settle(struct loop *loop)
{
    struct err e = ERR_INIT;
    bool never = false;
    (void)!loop_wait(loop, &never, clock_ms() + SETTLE_MS, NULL, &e);
}

static int wait_for(struct loop *loop, const char *sock)
{
    int64_t end = clock_ms() + 60000;
    while (clock_ms() < end) {
        if (engine_run(loop, sock) > 0)
            return 0;
        struct err e = ERR_INIT;
        bool never = false;
        (void)!loop_wait(loop, &never, clock_ms() + 100, NULL, &e);
    }
    return -1;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    AUTO(loop) struct loop *loop = NULL;
    AUTO(proc) struct proc *p = NULL;
    int64_t threads, rounds;
    if (argc != 5 || parse_i64(span_of(argv[3]), 1, 256, &threads, &e) < 0 || parse_i64(span_of(argv[4]), 1, ROUNDS_MAX, &rounds, &e) < 0) {
        (void)fprintf(stderr, "usage: bench-decode MODEL ENGINE THREADS ROUNDS\n");
        return 2;
    }
    char dir[] = "/tmp/stead-bench-XXXXXX", sock[64];
    struct bare bare = { NULL, NULL, NULL };
    if (!mkdtemp(dir) || loop_create(&loop, &e) < 0)
        return 1;
    (void)snprintf(sock, sizeof sock, "%s/s", dir);
    const char *args[] = { argv[2], "--model", argv[1], "--socket", sock, "--ctx", "1024", "--slots", "1", "--threads", argv[3], NULL };
    static const char *const env[] = { "LC_ALL=C.UTF-8", NULL };
    struct proc_spec spec = { .argv = args, .env = env, .die_with_parent = true };
    if (proc_start(loop, &spec, &p, &e) < 0 || wait_for(loop, sock) < 0 || bare_open(&bare, argv[1], (int)threads) < 0) {
        (void)fprintf(stderr, "bench-decode: cannot start: %s\n", e.text);
        return 1;
    }
    double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        for (int turn = 0; turn < 2; turn++) {
            settle(loop);
            if ((turn + i) % 2 == 0)
                ours[i] = engine_run(loop, sock);
            else
                theirs[i] = bare_run(&bare);
        }
        ratio[i] = theirs[i] > 0 ? ours[i] / theirs[i] : 0;
    }
    double r = median(ratio, (int)rounds), us = median(ours, (int)rounds), them = median(theirs, (int)rounds);
    double best = theirs[rounds - 1] > 0 ? ours[rounds - 1] / theirs[rounds - 1] : 0; /* they are sorted now */
    (void)printf("{\"bench\":\"engine-decode\",\"threads\":%lld,\"rounds\":%lld,\"engine_tokens_per_second\":%.2f,"
                 "\"llama_loop_tokens_per_second\":%.2f,\"ratio\":%.3f,\"ratio_of_best\":%.3f,\"goal\":0.97}\n",
                 (long long)threads, (long long)rounds, us, them, r, best);
    proc_kill(p, SIGTERM);
    (void)remove(sock);
    (void)remove(dir);
    return 0;
}
