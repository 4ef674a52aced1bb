/* server.c - see server.h. Flags: tools/server/README.md of llama.cpp. */
#include "inference/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MODULE "inference"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "inference/server-log.h"

#define NUMBER_BYTES 24
#define LAST_WORDS_MS 500

enum flag { F_MODEL, F_HOST, F_SLOTS, F_SIMILARITY, F_NO_UI, F_JINJA, F_KV_K, F_KV_V, F_CTX, F_THREADS, F_GPU_LAYERS, F_IDLE, FLAGS };

static const struct flag_row {
    const char *name;
    bool alone;  /* takes no value */
    bool needed; /* without it there is no point in starting */
} flags[FLAGS] = {
    [F_MODEL] = { "-m", false, true },
    [F_HOST] = { "--host", false, true },
    [F_SLOTS] = { "-np", false, false },          /* its own default is several, and cuts the context in as many pieces */
    [F_SIMILARITY] = { "-sps", false, false },    /* else two agents with one system prompt evict each other */
    [F_NO_UI] = { "--no-webui", true, false },
    [F_JINJA] = { "--jinja", true, false },
    [F_KV_K] = { "-ctk", false, false },
    [F_KV_V] = { "-ctv", false, false },
    [F_CTX] = { "-c", false, false },
    [F_THREADS] = { "-t", false, false },
    [F_GPU_LAYERS] = { "-ngl", false, false },
    [F_IDLE] = { "--sleep-idle-seconds", false, false },
};

struct server {
    char *socket, *program;
    struct proc *proc;
    struct server_log *log;
    unsigned refused; /* bits of enum flag */
};

static struct server *servers[SERVERS_MAX];

static void destroy(struct server *s)
{
    if (!s)
        return;
    proc_destroy(s->proc);
    server_log_destroy(s->log);
    free(s->socket);
    free(s->program);
    free(s);
}

struct server *server_at(const char *socket)
{
    for (size_t i = 0; i < COUNT_OF(servers); i++)
        if (servers[i] && strcmp(servers[i]->socket, socket) == 0)
            return servers[i];
    return NULL;
}

/* Its place: the one it had, or a free one, or that of one that has ended. */
static struct server **place_for(const char *socket)
{
    struct server **free_one = NULL;
    for (size_t i = 0; i < COUNT_OF(servers); i++) {
        if (servers[i] && strcmp(servers[i]->socket, socket) == 0)
            return &servers[i];
        if (!servers[i] || !server_running(servers[i]))
            free_one = &servers[i];
    }
    return free_one;
}

static void on_output(void *ctx, int stream, struct span data)
{
    struct server *s = ctx;
    (void)stream;
    server_log_add(s->log, data);
}

/* The environment: what it may need of ours, and settings that older ones would refuse as arguments. */
static size_t fill_env(const struct server_spec *spec, struct arena *mem, const char **env)
{
    static const char *const pass[] = { "PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "XDG_CONFIG_HOME", "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
                                        "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES", "GGML_BACKEND_PATH" };
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(pass); i++) {
        const char *v = getenv(pass[i]); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
        if (v && (env[n] = arena_printf(mem, "%s=%s", pass[i], v)))
            n++;
    }
    /* the store of conversations that lost their slot is 8 GiB by default, beside everything else */
    if (spec->cache_mib > 0 && (env[n] = arena_printf(mem, "LLAMA_ARG_CACHE_RAM=%lld", (long long)spec->cache_mib)))
        n++;
    env[n++] = "LC_ALL=C.UTF-8";
    env[n] = NULL;
    return n;
}

struct values {
    const char *of[FLAGS]; /* NULL: this flag is not given */
    char numbers[FLAGS][NUMBER_BYTES];
};

static void set_number(struct values *v, enum flag f, int64_t n)
{
    (void)snprintf(v->numbers[f], NUMBER_BYTES, "%lld", (long long)n);
    v->of[f] = v->numbers[f];
}

static void fill_values(const struct server_spec *spec, struct values *v)
{
    *v = (struct values){ .of = { [F_MODEL] = spec->model, [F_HOST] = spec->socket, [F_SIMILARITY] = "0.9", [F_NO_UI] = "", [F_JINJA] = "",
                                  [F_KV_K] = spec->kv_type, [F_KV_V] = spec->kv_type } };
    set_number(v, F_SLOTS, spec->slots);
    if (spec->ctx_tokens > 0)
        set_number(v, F_CTX, spec->ctx_tokens * spec->slots); /* it divides its context among the slots */
    if (spec->threads > 0)
        set_number(v, F_THREADS, spec->threads);
    if (spec->gpu_layers >= 0)
        set_number(v, F_GPU_LAYERS, spec->gpu_layers);
    if (spec->idle_ms > 0)
        set_number(v, F_IDLE, (spec->idle_ms + 999) / 1000);
}

static int launch(struct loop *loop, const struct server_spec *spec, struct server *s, struct err *e)
{
    AUTO(arena) struct arena mem = ARENA_INIT(256 << 10);
    const char *argv[2 * FLAGS + 2], *env[24];
    struct values v;
    size_t k = 0;
    fill_values(spec, &v);
    argv[k++] = spec->program;
    for (int f = 0; f < FLAGS; f++) {
        if (!v.of[f] || (s->refused & 1u << f))
            continue;
        argv[k++] = flags[f].name;
        if (!flags[f].alone)
            argv[k++] = v.of[f];
    }
    argv[k] = NULL;
    (void)fill_env(spec, &mem, env);
    (void)unlink(spec->socket); /* it does not remove a stale one, and cannot bind over it */
    server_log_forget(s->log);
    struct proc_spec proc = { .argv = argv, .env = env, .out = PROC_PIPE, .err = PROC_PIPE, .on_output = on_output, .ctx = s, .die_with_parent = true };
    int rc = proc_start(loop, &proc, &s->proc, e);
    if (rc == -ERR_NOT_FOUND || rc == -ERR_DENIED)
        err_hint(e, "inference.server names this program (`stead config path` says where); without it stead's own engine serves");
    return rc;
}

int server_start(struct loop *loop, const struct server_spec *spec, struct server **out, struct err *e)
{
    struct server **place = place_for(spec->socket);
    if (!place)
        return err_set(e, ERR_LIMIT, "%d servers run already", SERVERS_MAX);
    struct server *s = *place;
    /* of the one before, what it refused is remembered */
    unsigned refused = s && strcmp(s->socket, spec->socket) == 0 && strcmp(s->program, spec->program) == 0 ? s->refused : 0;
    destroy(s);
    *place = NULL;
    s = calloc(1, sizeof *s);
    if (!s || !(s->socket = strdup(spec->socket)) || !(s->program = strdup(spec->program)) || !(s->log = server_log_create(spec->log))) {
        destroy(s);
        return err_set(e, ERR_NOMEM, "out of memory");
    }
    s->refused = refused;
    if (launch(loop, spec, s, e) < 0) {
        destroy(s);
        return -e->kind;
    }
    *place = *out = s;
    return 0;
}

bool server_running(const struct server *s)
{
    return proc_running(s->proc);
}

/* Its exit status once it has ended and all it said was read; negative: not yet. */
static int status_of(const struct server *s)
{
    struct err ignored = ERR_INIT;
    int status = -1;
    if (!proc_running(s->proc))
        (void)!proc_wait(s->proc, clock_ms() + LAST_WORDS_MS, NULL, &status, &ignored); /* a child of its own may hold the pipe */
    return status;
}

bool server_killed(const struct server *s)
{
    return status_of(s) >= 128;
}

bool server_retries(struct server *s)
{
    char flag[64];
    if (status_of(s) < 0 || !server_log_refused(s->log, flag, sizeof flag))
        return false;
    for (int f = 0; f < FLAGS; f++)
        if (!flags[f].needed && !(s->refused & 1u << f) && strcmp(flags[f].name, flag) == 0) {
            log_info("%s refuses %s: started again without it", s->program, flag);
            s->refused |= 1u << f;
            return true;
        }
    return false;
}

const char *server_words(const struct server *s, char *out, size_t size)
{
    int status = status_of(s);
    const char *words = server_log_words(s->log);
    if (status >= 128)
        (void)snprintf(out, size, "was ended by signal %d%s%s", status - 128, words[0] ? ": " : "", words);
    else if (status >= 0)
        (void)snprintf(out, size, "ended with code %d%s%s", status, words[0] ? ": " : "", words);
    else
        (void)snprintf(out, size, "does not answer%s%s", words[0] ? "; it said: " : "", words);
    return out;
}

bool server_stop(const char *socket)
{
    for (size_t i = 0; i < COUNT_OF(servers); i++)
        if (servers[i] && strcmp(servers[i]->socket, socket) == 0) {
            bool ran = server_running(servers[i]);
            destroy(servers[i]);
            servers[i] = NULL;
            (void)unlink(socket);
            return ran;
        }
    return false;
}
