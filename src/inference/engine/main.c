/*
 * stead-engine - one model behind one unix socket. Started by stead; a person may start it too:
 *
 *     stead-engine --model FILE.gguf --socket /private/dir/engine.sock
 *     curl --unix-socket /private/dir/engine.sock http://engine/v1/models
 *
 * Its own process, so that a crash of inference never takes the harness along. Exit status: 0 stopped (by a
 * signal, or idle for --idle-timeout), 1 failed (the reason on standard error), 2 wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_MODULE "engine"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "inference/cores.h"
#include "inference/engine/api.h"
#include "inference/engine/measure.h"
#include "inference/locate.h"
#include "inference/engine/worker.h"

#define IDLE_CHECK_MS 1000
#define LOG_CHECK_MS 60000
#define STALL_CHECK_MS 5000
#define STALL_MS 60000 /* between two operations of a graph: the longest take a second */
#define LOG_MAX (1 << 20)

struct engine {
    struct worker_options worker_options;
    struct api_options api_options;
    const char *socket, *log, *failed, *measure;
    bool detach, bound;
    int64_t idle_ms; /* 0: for ever */
    bool with_parent;
    struct loop *loop;
    struct api *api;
    struct worker *worker;
    struct cancel cancel;
    struct err failure;
    bool done;
    int64_t started_ms;
};

static const char usage[] =
    "usage: stead-engine --model FILE --socket PATH [options]\n"
    "  --ctx TOKENS          context of each slot (default: the model's, at most 16384)\n"
    "  --slots N             conversations kept side by side (default 2)\n"
    "  --threads N           to compute with (default: this machine's cores, within cgroup limits)\n"
    "  --batch TOKENS        evaluated at once (default 512)\n"
    "  --gpu-layers N        layers on the GPU, -1: all (default 0)\n"
    "  --kv-k TYPE, --kv-v TYPE   of the cache: f16, bf16, f32, q8_0, q5_1, q4_0, iq4_nl (default f16)\n"
    "  --unified, --split    one cache that all slots share, or one each (default)\n"
    "  --no-repack           no copy of the weights in a layout that suits the processor\n"
    "  --mlock               keep the weights in memory\n"
    "  --chat-template FILE  Jinja, in place of the model's own\n"
    "  --alias NAME          the model's name in replies (default: the file's name)\n"
    "  --idle-timeout DUR    stop after so long without a request (default: never)\n"
    "  --with-parent         stop when the parent process ends\n"
    "  --detach              go on in the background once the socket is bound\n"
    "  --failure FILE        where a failure is written: a line why, a line what to do\n"
    "  --measure TOKENS[,...] print the memory that these contexts would need, and end\n"
    "  --log FILE            append messages there instead of standard error\n"
    "  -v                    say more; -vv: llama.cpp's own messages too\n";

enum { OPT_MODEL = 256, OPT_SOCKET, OPT_CTX, OPT_SLOTS, OPT_THREADS, OPT_BATCH, OPT_GPU, OPT_KV_K, OPT_KV_V, OPT_NO_REPACK,
       OPT_MLOCK, OPT_ALIAS, OPT_IDLE, OPT_PARENT, OPT_LOG, OPT_DETACH, OPT_FAILURE, OPT_MEASURE, OPT_UNIFIED, OPT_SPLIT, OPT_TEMPLATE, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
    { "model", required_argument, NULL, OPT_MODEL },       { "socket", required_argument, NULL, OPT_SOCKET },
    { "ctx", required_argument, NULL, OPT_CTX },           { "slots", required_argument, NULL, OPT_SLOTS },
    { "threads", required_argument, NULL, OPT_THREADS },   { "batch", required_argument, NULL, OPT_BATCH },
    { "gpu-layers", required_argument, NULL, OPT_GPU },    { "kv-k", required_argument, NULL, OPT_KV_K },
    { "kv-v", required_argument, NULL, OPT_KV_V },         { "no-repack", no_argument, NULL, OPT_NO_REPACK },
    { "mlock", no_argument, NULL, OPT_MLOCK },             { "alias", required_argument, NULL, OPT_ALIAS },
    { "idle-timeout", required_argument, NULL, OPT_IDLE }, { "with-parent", no_argument, NULL, OPT_PARENT },
    { "log", required_argument, NULL, OPT_LOG },           { "version", no_argument, NULL, OPT_VERSION },
    { "detach", no_argument, NULL, OPT_DETACH },           { "failure", required_argument, NULL, OPT_FAILURE },
    { "measure", required_argument, NULL, OPT_MEASURE },   { "unified", no_argument, NULL, OPT_UNIFIED },
    { "split", no_argument, NULL, OPT_SPLIT },             { "chat-template", required_argument, NULL, OPT_TEMPLATE },
    { "help", no_argument, NULL, OPT_HELP },               { 0 },
};

static int read_i32(const char *name, const char *text, int64_t min, int64_t max, int32_t *out, struct err *e)
{
    int64_t v;
    if (parse_i64(span_of(text), min, max, &v, e) < 0)
        return err_wrap(e, "--%s", name);
    *out = (int32_t)v;
    return 0;
}

static int read_kv(const char *name, const char *text, enum worker_kv *out, struct err *e)
{
    int type = worker_kv_parse(span_of(text));
    if (type < 0)
        return err_set(e, ERR_USAGE, "--%s: expected f16, bf16, f32, q8_0, q5_1, q4_0 or iq4_nl, got '%s'", name, text);
    *out = (enum worker_kv)type;
    return 0;
}

/* 0: go on; 1: nothing more to do; negative: wrong. */
static int read_options(struct engine *g, int argc, char **argv, struct err *e)
{
    struct worker_options *w = &g->worker_options;
    int verbose = 0, c, rc = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, "v", options, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe): before any thread */
        switch (c) {
        case 'v': log_set_level(++verbose > 1 ? LOG_DEBUG : LOG_INFO); break;
        case OPT_MODEL: w->model = optarg; break;
        case OPT_SOCKET: g->socket = optarg; break;
        case OPT_CTX: rc = read_i32("ctx", optarg, 0, 1 << 24, &w->ctx_tokens, e); break;
        case OPT_SLOTS: rc = read_i32("slots", optarg, 1, WORKER_SLOTS_MAX, &w->slots, e); break;
        case OPT_THREADS: rc = read_i32("threads", optarg, 1, WORKER_THREADS_MAX, &w->threads, e); break;
        case OPT_BATCH: rc = read_i32("batch", optarg, 32, 8192, &w->batch, e); break;
        case OPT_GPU: rc = read_i32("gpu-layers", optarg, -1, 100000, &w->gpu_layers, e); break;
        case OPT_KV_K: rc = read_kv("kv-k", optarg, &w->type_k, e); break;
        case OPT_KV_V: rc = read_kv("kv-v", optarg, &w->type_v, e); break;
        case OPT_NO_REPACK: w->repack = false; break;
        case OPT_MLOCK: w->mlock = true; break;
        case OPT_TEMPLATE: w->template_file = optarg; break;
        case OPT_ALIAS: g->api_options.alias = optarg; break;
        case OPT_IDLE:
            if (parse_duration_ms(span_of(optarg), &g->idle_ms, e) < 0)
                rc = err_wrap(e, "--idle-timeout");
            break;
        case OPT_PARENT: g->with_parent = true; break;
        case OPT_DETACH: g->detach = true; break;
        case OPT_UNIFIED: w->unified = true; break;
        case OPT_SPLIT: w->unified = false; break;
        case OPT_MEASURE: g->measure = optarg; break;
        case OPT_FAILURE: g->failed = optarg; break;
        case OPT_LOG: g->log = optarg; break;
        case OPT_VERSION: (void)printf("stead-engine %s\n", STEAD_VERSION); return 1;
        case OPT_HELP: (void)fputs(usage, stdout); return 1;
        default: return err_set(e, ERR_USAGE, "wrong option; --help lists them");
        }
    }
    if (rc < 0)
        return rc;
    if (optind < argc)
        return err_set(e, ERR_USAGE, "unexpected argument '%s'", argv[optind]);
    if (!w->model || !(g->socket || g->measure))
        return err_set(e, ERR_USAGE, "--model and --socket are needed; --help lists the options");
    return 0;
}

static int bind_socket(const char *path, int *out, struct err *e)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof addr.sun_path)
        return err_set(e, ERR_LIMIT, "cannot listen on '%s': a socket's path has at most %zu bytes", path,
                       sizeof addr.sun_path - 1);
    memcpy(addr.sun_path, path, strlen(path) + 1);
    AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, "cannot make a socket");
    /* the file survives its owner and blocks binding; a live one is refused */
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
        return err_set(e, ERR_EXISTS, "cannot listen on '%s': somebody does already", path);
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
    fd_close(&fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old = umask(0177); /* from its first moment for the owner only */
    int rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&addr, sizeof addr);
    (void)umask(old);
    if (rc < 0 || listen(fd, SOMAXCONN) < 0)
        return err_sys(e, "cannot listen on '%s'", path);
    *out = take_fd(&fd);
    return 0;
}

static void report_failure(const struct engine *g, const struct err *why)
{
    struct err ignored = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(4096);
    if (!g->failed)
        return;
    buf_addf(&b, "%s\n%s\n", why->text, why->hint);
    if (file_write_atomic(g->failed, buf_span(&b), 0600, false, &ignored) < 0)
        log_error("%s", ignored.text);
}

/* First the name goes, then the listener: nobody finds an engine that is ending. */
static void begin_end(struct engine *g)
{
    if (!g->done && g->bound)
        (void)unlink(g->socket);
    g->bound = false;
    api_close(g->api);
    g->done = true;
    loop_wake(g->loop);
}

static void on_loading(void *ctx, double done)
{
    struct engine *g = ctx;
    api_loading(g->api, done);
}

static void on_ready(void *ctx)
{
    struct engine *g = ctx;
    const struct worker_info *i = worker_info(g->worker);
    log_info("ready in %lld ms: %s, %d slots of %d tokens, %d threads", (long long)(clock_ms() - g->started_ms),
             i->description, i->slots, i->ctx_tokens, worker_threads(g->worker));
    api_ready(g->api, g->worker);
}

static void on_failed(void *ctx, const struct err *why)
{
    struct engine *g = ctx;
    g->failure = *why;
    report_failure(g, why);
    begin_end(g);
}

static void on_signal(void *ctx, int signo)
{
    struct engine *g = ctx;
    if (signo == SIGHUP && !g->with_parent)
        return; /* the terminal of whoever started us is not ours */
    begin_end(g);
}

static void on_idle_check(void *ctx)
{
    struct engine *g = ctx;
    if (api_active(g->api) || clock_ms() - api_last_used_ms(g->api) < g->idle_ms)
        return;
    log_info("idle: stopping");
    begin_end(g);
}

static void on_stop(void *ctx)
{
    begin_end(ctx);
}

/*
 * Evaluation that stands still will not go on: better to end, and be started again by whoever needs an answer, than
 * to be adopted by the next one. No clean-up: the thread that hangs holds what would be cleaned up.
 */
static void on_stall_check(void *ctx)
{
    struct engine *g = ctx;
    if (!g->worker || worker_stalled_ms(g->worker) < STALL_MS)
        return;
    log_error("evaluation has stood still for %lld s: ending", (long long)(worker_stalled_ms(g->worker) / 1000));
    if (g->bound)
        (void)unlink(g->socket);
    _exit(1);
}

/* Twice LOG_MAX bytes at most: the file and its predecessor. */
static void on_log_check(void *ctx)
{
    const struct engine *g = ctx;
    struct stat st;
    char old[4096];
    if (stat(g->log, &st) == 0 && st.st_size > LOG_MAX && (size_t)snprintf(old, sizeof old, "%s.1", g->log) < sizeof old)
        (void)rename(g->log, old);
    (void)log_open_file(g->log); /* another engine that writes there may have renamed it, too */
}

/* The parent returns to whoever started us: the socket is bound, so connecting works from here on. */
static int detach(struct err *e)
{
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, "cannot go to the background");
    if (pid > 0)
        _exit(0);
    (void)setsid();
    AUTO(fd) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        (void)dup2(null, fd);
    return 0;
}

static int serve(struct engine *g, int fd, struct err *e)
{
    if (loop_create(&g->loop, e) < 0)
        return -e->kind;
    if (!loop_signal(g->loop, SIGTERM, on_signal, g) || !loop_signal(g->loop, SIGINT, on_signal, g) ||
        !loop_signal(g->loop, SIGHUP, on_signal, g))
        return err_set(e, ERR_NOMEM, "cannot watch signals: out of memory");
    if (api_create(g->loop, fd, &g->api_options, &g->api, e) < 0)
        return -e->kind;
    struct worker_events events = { on_loading, on_ready, on_failed, g };
    if (worker_create(g->loop, &g->worker_options, &events, &g->worker, e) < 0)
        return -e->kind;
    if (g->idle_ms && !loop_timer(g->loop, IDLE_CHECK_MS < g->idle_ms ? IDLE_CHECK_MS : g->idle_ms, true, on_idle_check, g))
        return err_set(e, ERR_NOMEM, "cannot watch for idleness: out of memory");
    if (g->log && !loop_timer(g->loop, LOG_CHECK_MS, true, on_log_check, g))
        return err_set(e, ERR_NOMEM, "cannot watch the log: out of memory");
    if (!loop_timer(g->loop, STALL_CHECK_MS, true, on_stall_check, g))
        return err_set(e, ERR_NOMEM, "cannot watch the evaluation: out of memory");
    if (loop_wait(g->loop, &g->done, 0, &g->cancel, e) < 0)
        return -e->kind;
    if (g->failure.kind) {
        *e = g->failure;
        return -e->kind;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct cores cores;
    cores_read(&cores);
    struct engine g = { .worker_options = { .slots = 2, .threads = cores.usable, .batch = 512, .repack = true },
                        .started_ms = clock_ms() };
    int rc = read_options(&g, argc, argv, &e);
    if (rc > 0)
        return 0;
    if (rc < 0) {
        (void)fprintf(stderr, "stead-engine: %s\n", e.text);
        return 2;
    }
    g.api_options.model = g.worker_options.model;
    g.api_options.stop = on_stop;
    g.api_options.ctx = &g;
    g.api_options.threads = g.worker_options.threads;
    if (!g.api_options.alias)
        g.api_options.alias = path_base(g.worker_options.model);
    (void)signal(SIGPIPE, SIG_IGN);
    if (g.with_parent) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == 1)
            return 0; /* it ended before we could say so */
    }
    if (g.log && log_open_file(g.log) < 0) {
        (void)fprintf(stderr, "stead-engine: cannot open the log '%s': %s\n", g.log, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): glibc's is safe */
        return 1;
    }

    AUTO(fd) int fd = -1;
    if (g.measure) {
        rc = measure(&g.worker_options, g.measure, &e);
        if (rc < 0)
            (void)fprintf(stderr, "stead-engine: %s\n", e.text);
        return rc < 0 ? (e.kind == ERR_INPUT ? ENGINE_REFUSED : 1) : 0;
    }
    rc = bind_socket(g.socket, &fd, &e);
    g.bound = rc == 0;
    if (rc == 0 && g.detach)
        rc = detach(&e);
    if (rc == 0)
        rc = serve(&g, take_fd(&fd), &e);
    worker_destroy(g.worker);
    api_destroy(g.api);
    loop_destroy(g.loop);
    if (g.bound)
        (void)unlink(g.socket);
    if (rc < 0) {
        (void)fprintf(stderr, "stead-engine: %s\n", e.text);
        if (e.hint[0])
            (void)fprintf(stderr, "       try: %s\n", e.hint);
        log_error("%s", e.text);
        if (!g.failure.kind)
            report_failure(&g, &e);
        return 1;
    }
    return 0;
}
