/* supervisor.c - see supervisor.h. */
#include "inference/supervisor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOG_MODULE "inference"
#include "base/bind.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "base/proc.h"
#include "config/config.h"
#include "inference/fit.h"
#include "inference/hardware.h"
#include "inference/isa.h"
#include "inference/locate.h"
#include "inference/models.h"
#include "inference/server.h"
#include "model/http.h"
#include "model/url.h"

#define SOCKET_PATH_MAX 107           /* sun_path without its NUL */
#define SOCKET_NAME_MAX 24            /* "/e-0123456789ab.sock" */
#define ANSWER_MAX (4u << 20)
#define ASK_MS 2000                   /* a live engine answers in a few */
#define DETACH_MS 60000               /* until it is in the background: some milliseconds, but for a machine that is out of breath */
#define POLL_FIRST_MS 20
#define POLL_MOST_MS 250
#define IDLE_DEFAULT_MS (10 * 60000)
#define START_DEFAULT_MS (10 * 60000)
#define LOG_MAX (1 << 20)
#define STARTS_WINDOW_MS 60000
#define STARTS_FREE 2                 /* in the window, without waiting */
#define BACKOFF_MOST_MS 30000
#define CTX_LEAST 4096
#define CACHE_SPARE_MIB 64            /* what it keeps beside keys and values */
#define STRANGE_MS 3000               /* so long it may answer what is none of ours, while it starts */
#define ATTEMPTS 4                    /* of one call, where the server ended without a word: killed, or short of memory */

struct flags { /* chosen when a server is started */
    int64_t ctx;
    int slots;
    enum fit_kv kv;
    int64_t one_mib; /* what a conversation of the whole context keeps; 0: not known */
    int gpu_layers;  /* of a llama-server; -1: as it does by itself */
};

struct start { /* one call of engine_ensure_with */
    struct loop *loop;
    const struct engine_options *o;
    struct cancel *cancel;
    engine_progress_fn progress;
    void *progress_ctx;
    char dir[SOCKET_PATH_MAX - SOCKET_NAME_MAX + 1]; /* where sockets fit */
    char log[SOCKET_PATH_MAX + 32];
    char failed[SOCKET_PATH_MAX + 32];
    char *program; /* owned by engine_ensure_with */
    struct engine_address a;
    int64_t began_ms, deadline_ms;
    struct server *child; /* the llama-server of this process on this socket; its module owns it */
    bool vanished; /* it ended and did not say why: once more may help */
};

/* --- where it runs ---------------------------------------------------------------------------- */

static int make_private_dir(const char *path, struct err *e)
{
    struct stat st;
    if (path_mkdirs(path, 0700, e) < 0)
        return -e->kind;
    if (lstat(path, &st) < 0)
        return err_sys(e, "cannot look at '%s'", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_set(e, ERR_DENIED, "'%s' is not a directory of ours", path);
    if ((st.st_mode & 077) && chmod(path, 0700) < 0)
        return err_sys(e, "cannot make '%s' private", path);
    return 0;
}

/* The directory that was asked for, or, where a socket's path in it would be too long, one in /tmp that stands for it. */
static int choose_dir(struct start *s, struct err *e)
{
    if (strlen(s->o->dir) + SOCKET_NAME_MAX <= SOCKET_PATH_MAX) {
        (void)snprintf(s->dir, sizeof s->dir, "%s", s->o->dir);
    } else {
        struct hash_hex h = hash_bytes(s->o->dir, strlen(s->o->dir));
        (void)snprintf(s->dir, sizeof s->dir, "/tmp/stead-%u-%.12s", (unsigned)geteuid(), h.s);
    }
    return make_private_dir(s->dir, e);
}

/* The server's program: found once, as its identity is part of the socket's name. */
static int find_program(struct start *s, struct err *e)
{
    if (s->o->program || s->o->server) {
        s->program = strdup(s->o->program ? s->o->program : "llama-server");
        return s->program ? 0 : err_set(e, ERR_NOMEM, "out of memory");
    }
    s->program = engine_program(e);
    return s->program ? 0 : -e->kind;
}

/* Same file, same settings, same program: same socket. After an update nobody adopts the old one; it ends when idle. */
static int name_socket(struct start *s, struct err *e)
{
    struct stat st, prog = { .st_size = 0 };
    AUTO(ptr) char *real = realpath(s->o->model, NULL);
    if (!real || stat(real, &st) < 0 || strlen(real) >= sizeof s->a.model) {
        (void)err_sys(e, "cannot open the model '%s'", s->o->model);
        err_hint(e, "`stead model list` shows what is here");
        return -e->kind;
    }
    memcpy(s->a.model, real, strlen(real) + 1);
    if (stat(s->program, &prog) < 0)
        prog.st_size = 0; /* to be searched in PATH */
    AUTO(buf) struct buf id = BUF_INIT(16 << 10);
    buf_addf(&id, "%s|%lld|%lld|%lld|%d|%d|%s|%lld|%lld", real, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
             (long long)s->o->ctx_tokens, s->o->slots, s->o->threads, s->program, (long long)prog.st_size,
             (long long)prog.st_mtim.tv_sec);
    struct hash_hex h = hash_bytes(buf_str(&id), id.n);
    (void)snprintf(s->a.socket, sizeof s->a.socket, "%s/e-%.12s.sock", s->dir, h.s);
    (void)snprintf(s->a.url, sizeof s->a.url, "unix://%s", s->a.socket);
    (void)snprintf(s->log, sizeof s->log, "%s/engine.log", s->dir);
    (void)snprintf(s->failed, sizeof s->failed, "%s.failed", s->a.socket);
    return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool socket_answers(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || strlen(path) >= sizeof addr.sun_path)
        return false;
    memcpy(addr.sun_path, path, strlen(path) + 1);
    return connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 || errno == EAGAIN;
}

/* One small request: the status, the body in `out`; negative when nobody answers. */
static int ask(struct loop *loop, const char *sock, const char *path, const char *body, struct cancel *cancel,
               struct buf *out, struct err *e)
{
    struct url u;
    struct http *h;
    char text[128];
    (void)snprintf(text, sizeof text, "unix://%s", sock);
    if (url_parse(text, &u, e) < 0 || http_create(loop, &u, &h, e) < 0)
        return -e->kind;
    struct span piece = span_of(body);
    struct http_request q = { .path = path, .body = body ? &piece : NULL, .nbody = body ? 1 : 0, .connect_ms = ASK_MS };
    int status = http_fetch(h, &q, ANSWER_MAX, clock_ms() + ASK_MS, cancel, out, e);
    http_destroy(h);
    return status;
}

struct status {
    bool ready;
    int64_t active;
    double loaded;
    const char *model;
};
static const struct field status_fields[] = {
    { "ready", FIELD_BOOL, FIELD(status, ready), 0, 0, 0, "" },
    { "active", FIELD_I64, FIELD(status, active), 0, 0, INT64_MAX, "" },
    { "loaded", FIELD_F64, FIELD(status, loaded), 0, 0, 1, "" },
    { "model", FIELD_STRING, FIELD(status, model), 0, 0, 4096, "" },
    { 0 },
};

static int read_status(struct start *s, const char *sock, struct status *out, struct arena *mem, struct err *e)
{
    AUTO(buf) struct buf body = BUF_INIT(ANSWER_MAX);
    AUTO(json) json_t *json = NULL;
    *out = (struct status){ 0 };
    if (s->o->server) { /* llama-server: only its health */
        int code = ask(s->loop, sock, "/health", NULL, s->cancel, &body, e);
        out->ready = code == 200;
        return code < 0 ? code : code == 200 || code == 503 ? 0 : err_set(e, ERR_PROTOCOL, "it answers /health with %d", code);
    }
    int code = ask(s->loop, sock, "/stead/status", NULL, s->cancel, &body, e);
    if (code < 0)
        return code;
    if (code != 200)
        return err_set(e, ERR_PROTOCOL, "the engine answers its status with %d", code);
    if (json_parse(buf_span(&body), BIND_TOLERANT, &json, e) < 0)
        return -e->kind;
    return bind_load(json, status_fields, out, BIND_TOLERANT, mem, e);
}

/* --- starting --------------------------------------------------------------------------------- */

static void say(const struct start *s, const char *what, double done)
{
    if (s->progress)
        s->progress(s->progress_ctx, what, done);
}

static void on_pause(void *ctx)
{
    *(bool *)ctx = true;
}

static int pause_ms(struct start *s, int64_t ms, struct err *e)
{
    bool over = false;
    struct loop_source *t = loop_timer(s->loop, ms, false, on_pause, &over);
    if (!t)
        return err_set(e, ERR_NOMEM, "out of memory");
    int rc = loop_wait(s->loop, &over, 0, s->cancel, e);
    if (!over)
        loop_remove(t);
    return rc;
}

/* One of us starts at a time: the others wait here and then find what the first has started. */
static int lock_dir(struct start *s, int *out, struct err *e)
{
    char path[SOCKET_PATH_MAX + 32];
    (void)snprintf(path, sizeof path, "%s/lock", s->dir);
    AUTO(fd) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_sys(e, "cannot open '%s'", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_sys(e, "cannot lock '%s'", path);
        if (clock_ms() > s->deadline_ms)
            return err_set(e, ERR_TIMEOUT, "another stead has been starting an engine for too long");
        say(s, "waiting for another stead that is starting an engine", -1);
        if (pause_ms(s, POLL_MOST_MS, e) < 0)
            return -e->kind;
    }
    *out = take_fd(&fd);
    return 0;
}

/*
 * Note this start; how long to wait before it, because it keeps dying. One that ended as it should is not counted: the engine takes its
 * socket with it then; a llama-server ends with the stead that started it, so the starts of others say nothing.
 */
static int64_t note_start(struct start *s)
{
    char path[SOCKET_PATH_MAX + 32];
    struct err ignored = ERR_INIT;
    (void)snprintf(path, sizeof path, "%s.starts", s->a.socket);
    AUTO(buf) struct buf old = BUF_INIT(64 << 10);
    AUTO(buf) struct buf fresh = BUF_INIT(64 << 10);
    if (access(s->a.socket, F_OK) < 0 || file_read(path, old.limit, &old, &ignored) < 0)
        buf_reset(&old);
    int64_t now = clock_unix_ms(), self = s->o->server ? (int64_t)getpid() : 0;
    int recent = 0;
    struct span rest = buf_span(&old), line, time;
    while (span_line(&rest, &line)) { /* "TIME STARTER" */
        int64_t at, who;
        if (!span_split(&line, ' ', &time) || parse_i64(time, 0, INT64_MAX, &at, &ignored) < 0 || at > now || now - at > STARTS_WINDOW_MS ||
            parse_i64(line, 0, INT64_MAX, &who, &ignored) < 0 || who != self)
            continue;
        buf_addf(&fresh, "%lld %lld\n", (long long)at, (long long)who);
        recent++;
    }
    buf_addf(&fresh, "%lld %lld\n", (long long)now, (long long)self);
    if (file_write_atomic(path, buf_span(&fresh), 0600, false, &ignored) < 0)
        log_info("%s", ignored.text);
    if (recent < STARTS_FREE)
        return 0;
    int64_t wait = 1000;
    for (int i = STARTS_FREE; i < recent && wait < BACKOFF_MOST_MS; i++)
        wait *= 2;
    return wait < BACKOFF_MOST_MS ? wait : BACKOFF_MOST_MS;
}

static void rotate_log(const struct start *s)
{
    struct stat st;
    char old[SOCKET_PATH_MAX + 40];
    (void)snprintf(old, sizeof old, "%s.1", s->log);
    if (stat(s->log, &st) == 0 && st.st_size > LOG_MAX && rename(s->log, old) < 0)
        log_info("cannot rename %s: %s", s->log, strerror(errno)); /* NOLINT(concurrency-mt-unsafe): glibc's is safe */
}

/* What models may take now: what is free, less something for the builds and tests that an agent runs. */
static int64_t memory_budget(const struct start *s)
{
    struct hardware h;
    if (s->o->memory_bytes > 0)
        return s->o->memory_bytes;
    hardware_read_at("", &h);
    int64_t budget = h.memory_usable - hardware_reserve(&h);
    return budget > 0 ? budget : 0;
}

/* What the best GPU has for a model; the embedded engine computes on the CPU. */
static int64_t gpu_budget(const struct start *s)
{
    struct hardware h;
    if (!s->o->server)
        return 0;
    hardware_read(&h);
    return hardware_gpu_budget(&h, hardware_best_gpu(&h));
}

/* As many layers as the GPU has room for, with their part of the cache; -1: no GPU, or one that shares the machine's memory. */
static int layers_on_gpu(const struct shape *shape, const struct fit_memory *m, int64_t gpu_bytes)
{
    if (gpu_bytes <= 0)
        return -1;
    int64_t a_layer = (shape->weight_bytes + m->kv + m->recurrent) / shape->layers + 1, n = (gpu_bytes - m->compute - m->output) / a_layer;
    return n < 0 ? 0 : n >= shape->layers ? shape->layers + 1 /* the output too */ : (int)n;
}

/*
 * Flags by fit: two conversations (an agent and a second opinion) with the wanted context; where memory is short first one,
 * then a smaller cache type, then a smaller context. A file that cannot be read is left to the server to complain about.
 */
static void choose_flags(const struct start *s, struct flags *f)
{
    struct err ignored = ERR_INIT;
    AUTO(shape) struct shape shape = { .layers = 0 };
    const bool given = s->o->ctx_tokens > 0;
    const int slots = s->o->slots > 0 ? s->o->slots : 2;
    *f = (struct flags){ .ctx = s->o->ctx_tokens, .slots = slots, .kv = FIT_F16, .gpu_layers = -1 };
    if (shape_read(s->a.model, isa_read(), &shape, &ignored) < 0)
        return;
    const int64_t gpu = gpu_budget(s), budget = memory_budget(s) + gpu;
    const int64_t wanted = given ? s->o->ctx_tokens : shape.ctx_train > 0 && shape.ctx_train < SUPERVISOR_CTX ? shape.ctx_train : SUPERVISOR_CTX;
    const struct {
        int slots;
        enum fit_kv kv;
    } tries[] = { { slots, FIT_F16 }, { 1, FIT_F16 }, { 1, FIT_Q8_0 } };
    struct fit_how how = FIT_HOW;
    struct fit_memory m = { 0 };
    bool fits = false;
    for (size_t i = 0; !fits && i < COUNT_OF(tries); i++) {
        how.slots = f->slots = tries[i].slots;
        how.type_k = how.type_v = f->kv = tries[i].kv;
        how.repack = gpu <= 0;
        fit_memory(&shape, wanted, &how, &m);
        fits = given || m.total <= budget;
    }
    f->ctx = fits ? wanted : fit_context(&shape, &how, budget, wanted);
    if (f->ctx < CTX_LEAST && !given)
        f->ctx = CTX_LEAST; /* it does not fit: let it try, the weights are mapped and may be paged */
    fit_memory(&shape, f->ctx, &how, &m);
    f->one_mib = (m.kv + m.recurrent) / how.slots / 1048576;
    f->gpu_layers = layers_on_gpu(&shape, &m, gpu);
}

/* Another model's engine has the memory that ours needs: wait until it has nothing to do, then stop it. */
static int stop_other(struct start *s, const char *sock, struct err *e)
{
    if (server_stop(sock)) /* a llama-server of ours: whatever we wanted of it is over while we are here */
        return 0;
    for (;;) {
        struct engine_address other = { .url = "" };
        memcpy(other.socket, sock, strlen(sock) + 1); /* name_socket made it: it fits */
        int rc = engine_stop(s->loop, &other, e);
        if (rc != 0 || !socket_answers(sock))
            return rc < 0 ? rc : 0;
        if (clock_ms() > s->deadline_ms) {
            (void)err_set(e, ERR_UNAVAILABLE, "another model is in use, and there is no memory for '%s' beside it", s->a.model);
            err_hint(e, "wait for the other task, or use the same model for both");
            return -e->kind;
        }
        say(s, "waiting for another model's engine to become idle", -1);
        if (pause_ms(s, POLL_MOST_MS, e) < 0)
            return -e->kind;
    }
}

static int make_room(struct start *s, struct err *e)
{
    struct stat st;
    if (stat(s->a.model, &st) < 0 || memory_budget(s) > st.st_size + st.st_size / 4)
        return 0;
    DIR *d = opendir(s->dir);
    if (!d)
        return err_sys(e, "cannot read '%s'", s->dir);
    int rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(d))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        char sock[SOCKET_PATH_MAX + 300];
        (void)snprintf(sock, sizeof sock, "%s/%s", s->dir, entry->d_name);
        if (strlen(entry->d_name) < SOCKET_NAME_MAX && span_starts(span_of(entry->d_name), "e-") &&
            span_ends(span_of(entry->d_name), ".sock") &&
            strcmp(sock, s->a.socket) != 0 && socket_answers(sock))
            rc = stop_other(s, sock, e);
    }
    (void)closedir(d);
    return rc;
}

static const char *const *engine_env(void)
{
    static const char *env[8];
    static char path[4096], home[4096], tmp[4096], lib[4096];
    size_t n = 0;
    const struct {
        const char *name;
        char *store;
        size_t size;
    } pass[] = { { "PATH", path, sizeof path }, { "HOME", home, sizeof home }, { "TMPDIR", tmp, sizeof tmp },
                 { "LD_LIBRARY_PATH", lib, sizeof lib } };
    for (size_t i = 0; i < COUNT_OF(pass); i++) {
        const char *v = getenv(pass[i].name); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
        if (v && (size_t)snprintf(pass[i].store, pass[i].size, "%s=%s", pass[i].name, v) < pass[i].size)
            env[n++] = pass[i].store;
    }
    env[n++] = "LC_ALL=C.UTF-8";
    env[n] = NULL;
    return env;
}

struct numbers { /* of the command line, as text */
    char ctx[24], slots[24], threads[24], idle[32];
};

static void format_numbers(const struct start *s, const struct flags *f, struct numbers *n)
{
    const struct engine_options *o = s->o;
    (void)snprintf(n->slots, sizeof n->slots, "%d", f->slots);
    (void)snprintf(n->ctx, sizeof n->ctx, "%lld", (long long)f->ctx);
    (void)snprintf(n->threads, sizeof n->threads, "%d", o->threads);
    (void)snprintf(n->idle, sizeof n->idle, "%lldms", (long long)(o->idle_ms > 0 ? o->idle_ms : IDLE_DEFAULT_MS));
}

/*
 * A llama-server, until it listens: whoever waits for the lock then finds it. Versions that load the model first listen late.
 */
static int start_server(struct start *s, const struct flags *f, struct err *e)
{
    struct cores cores = { .usable = 0 };
    if (s->o->threads <= 0)
        cores_read(&cores); /* it would count cores, whatever a control group lets it have of them */
    const struct server_spec spec = {
        .program = s->program, .model = s->a.model, .socket = s->a.socket, .log = s->log, .kv_type = fit_kv_name(f->kv), .ctx_tokens = f->ctx,
        .slots = f->slots, .threads = s->o->threads > 0 ? s->o->threads : cores.usable, .gpu_layers = f->gpu_layers, .cache_mib = f->one_mib > 0 ? f->one_mib + CACHE_SPARE_MIB : 0,
        .idle_ms = s->o->idle_ms > 0 ? s->o->idle_ms : IDLE_DEFAULT_MS,
    };
    for (;;) {
        if (server_start(s->loop, &spec, &s->child, e) < 0)
            return -e->kind;
        while (server_running(s->child) && !socket_answers(s->a.socket) && clock_ms() < s->deadline_ms)
            if (pause_ms(s, POLL_FIRST_MS, e) < 0)
                return -e->kind;
        if (server_running(s->child) || !server_retries(s->child))
            return 0; /* if it ended, wait_ready says why */
    }
}

static int start_engine(struct start *s, const char *program, const struct flags *f, struct err *e)
{
    struct numbers n;
    format_numbers(s, f, &n);
    const char *argv[32];
    size_t k = 0;
    argv[k++] = program;
    argv[k++] = "--model", argv[k++] = s->a.model;
    argv[k++] = "--socket", argv[k++] = s->a.socket;
    argv[k++] = "--slots", argv[k++] = n.slots;
    argv[k++] = "--idle-timeout", argv[k++] = n.idle;
    argv[k++] = "--log", argv[k++] = s->log;
    argv[k++] = "--failure", argv[k++] = s->failed;
    argv[k++] = "--kv-k", argv[k++] = fit_kv_name(f->kv);
    argv[k++] = "--kv-v", argv[k++] = fit_kv_name(f->kv);
    if (f->ctx > 0)
        argv[k++] = "--ctx", argv[k++] = n.ctx;
    if (s->o->threads > 0)
        argv[k++] = "--threads", argv[k++] = n.threads;
    argv[k++] = "--detach";
    argv[k] = NULL;
    (void)unlink(s->failed);
    AUTO(buf) struct buf out = BUF_INIT(64 << 10);
    return proc_capture(s->loop, argv, engine_env(), out.limit, DETACH_MS, &out, e);
}

/* Why it died: its own words where it left some. */
static int died(struct start *s, struct err *e)
{
    struct err ignored = ERR_INIT;
    AUTO(buf) struct buf words = BUF_INIT(64 << 10);
    char said[360];
    if (!s->o->server && file_read(s->failed, words.limit, &words, &ignored) == 0 && words.n) {
        char text[400], hint[240];
        struct span rest = buf_span(&words), line;
        clean_into(text, sizeof text, span_line(&rest, &line) ? line : SPAN(""), CLEAN_LINE);
        clean_into(hint, sizeof hint, span_line(&rest, &line) ? line : SPAN(""), CLEAN_LINE);
        (void)err_set(e, ERR_UNAVAILABLE, "the engine stopped: %s", text);
        if (hint[0])
            err_hint(e, "%s", hint);
        return -e->kind;
    }
    s->vanished = !s->child || server_killed(s->child); /* one that ended by itself does so again */
    if (s->child)
        (void)err_set(e, ERR_UNAVAILABLE, "%s %s", path_base(s->program), server_words(s->child, said, sizeof said));
    else
        (void)err_set(e, ERR_UNAVAILABLE, "the inference server ended while it was loading '%s'", s->a.model);
    err_hint(e, "its log is %s", s->log);
    return -e->kind;
}

/* It had all the time, or is something else. Ours is ended: nobody waits for it any more. */
static int give_up(struct start *s, const struct err *why, bool strange, struct err *e)
{
    if (strange)
        (void)err_set(e, ERR_UNAVAILABLE, "what %s answers is not an inference server's: %.200s", path_base(s->program), why->text);
    else
        (void)err_set(e, ERR_TIMEOUT, "%s did not load '%s' in time%s%.200s", path_base(s->program), s->a.model, why->kind ? ": " : "", why->text);
    err_hint(e, "its log is %s", s->log);
    if (s->child && server_stop(s->a.socket))
        s->child = NULL;
    return -e->kind;
}

/* Is there nobody to wait for any more? `there`: something listens. */
static bool is_gone(const struct start *s, bool there, int64_t grace_ms)
{
    if (there)
        return false;
    if (s->child)
        return !server_running(s->child);
    return access(s->failed, F_OK) == 0 || clock_ms() > grace_ms;
}

/* Until the model answers. */
static int wait_ready(struct start *s, struct err *e)
{
    int64_t grace = clock_ms() + 1000; /* until the socket of one that others started must be there */
    int64_t poll = POLL_FIRST_MS, strange_since = 0;
    for (;;) {
        AUTO(arena) struct arena mem = ARENA_INIT(64 << 10);
        struct status st = { 0 };
        struct err why = ERR_INIT;
        bool there = socket_answers(s->a.socket);
        if (there && read_status(s, s->a.socket, &st, &mem, &why) == 0) {
            if (st.ready)
                return 0;
            say(s, "loading the model", s->o->server ? -1 : st.loaded);
        } else if (why.kind == ERR_CANCELLED) {
            *e = why;
            return -e->kind;
        }
        if (is_gone(s, there, grace))
            return died(s, e);
        strange_since = !there || !why.kind || why.kind == ERR_TIMEOUT ? 0 : strange_since ? strange_since : clock_ms();
        bool strange = strange_since && clock_ms() - strange_since > STRANGE_MS;
        if (strange || clock_ms() > s->deadline_ms)
            return give_up(s, &why, strange, e);
        if (pause_ms(s, poll, e) < 0)
            return -e->kind;
        poll = poll * 2 < POLL_MOST_MS ? poll * 2 : POLL_MOST_MS;
    }
}

static int start_locked(struct start *s, struct err *e)
{
    const char *program = s->program;
    if (make_room(s, e) < 0)
        return -e->kind;
    int64_t wait = note_start(s);
    if (wait) {
        say(s, "the engine keeps ending; waiting before it is started again", -1);
        if (pause_ms(s, wait, e) < 0)
            return -e->kind;
    }
    struct flags f;
    choose_flags(s, &f);
    rotate_log(s);
    say(s, "starting the engine", 0);
    log_info("starting %s for %s on %s", program, s->a.model, s->a.socket);
    int rc = s->o->server ? start_server(s, &f, e) : start_engine(s, program, &f, e);
    if (rc < 0) {
        s->vanished = !s->o->server && rc == -ERR_IO && access(s->failed, F_OK) < 0; /* killed before it was in the background */
        return err_wrap(e, "starting %s", path_base(program));
    }
    return 0;
}

/* Adopt or start it, and wait until it is ready. */
static int ensure_once(struct start *s, struct err *e)
{
    s->vanished = false;
    s->child = s->o->server ? server_at(s->a.socket) : NULL;
    if (s->child && !server_running(s->child))
        s->child = NULL;
    s->a.adopted = socket_answers(s->a.socket);
    int rc = s->a.adopted ? wait_ready(s, e) : -ERR_UNAVAILABLE;
    if (rc != -ERR_UNAVAILABLE)
        return rc;
    /* nobody there, or it died just now: its socket accepts until the kernel is done with it */
    AUTO(fd) int lock = -1;
    if (lock_dir(s, &lock, e) < 0)
        return -e->kind;
    s->a.adopted = (s->child && server_running(s->child)) || socket_answers(s->a.socket); /* somebody may have started it, while we waited for the lock */
    if (!s->a.adopted && start_locked(s, e) < 0)
        return -e->kind;
    fd_close(&lock);
    return wait_ready(s, e);
}

int engine_ensure_with(struct loop *loop, const struct engine_options *o, engine_progress_fn progress, void *ctx,
                       struct cancel *cancel, struct engine_address *out, struct err *e)
{
    struct start s = { .loop = loop, .o = o, .cancel = cancel, .progress = progress, .progress_ctx = ctx,
                       .began_ms = clock_ms() };
    s.deadline_ms = s.began_ms + (o->start_ms > 0 ? o->start_ms : START_DEFAULT_MS);
    int found = find_program(&s, e);
    AUTO(ptr) char *program = s.program;
    (void)program; /* freed at the end */
    if (found < 0 || choose_dir(&s, e) < 0 || name_socket(&s, e) < 0)
        return -e->kind;

    int rc = ensure_once(&s, e);
    for (int i = 1; rc < 0 && s.vanished && i < ATTEMPTS; i++) {
        err_reset(e);
        rc = ensure_once(&s, e);
    }
    if (rc < 0)
        return rc;
    s.a.waited_ms = clock_ms() - s.began_ms;
    *out = s.a;
    return 0;
}

/* The file of a model that is named without a path. */
static char *stored_model(const struct config *cfg, const char *name, struct err *e)
{
    AUTO(ptr) char *dir = path_join(config_cache_dir(cfg), "models");
    AUTO(models) struct models *m = NULL;
    if (!dir) {
        (void)err_set(e, ERR_NOMEM, "out of memory");
        return NULL;
    }
    if (models_open(dir, &m, e) < 0)
        return NULL;
    return models_path(m, name, e);
}

int engine_ensure(struct loop *loop, const struct config *cfg, const char *model, engine_progress_fn progress, void *ctx,
                  struct cancel *cancel, struct engine_address *out, struct err *e)
{
    const struct config_inference *v = &config_values(cfg)->inference;
    AUTO(ptr) char *own = NULL;
    if (!model)
        model = v->model;
    bool stored = model && !strchr(model, '/') && access(model, F_OK) < 0;
    if (!model || stored) {
        own = stored ? stored_model(cfg, model, e) : engine_pilot(e);
        model = own;
    }
    if (!model)
        return -e->kind;
    AUTO(ptr) char *dir = path_join(config_state_dir(cfg), "engine");
    if (!dir)
        return err_set(e, ERR_NOMEM, "out of memory");
    struct engine_options o = { .dir = dir, .model = model, .ctx_tokens = v->context_tokens, .threads = (int)v->threads,
                                .idle_ms = v->idle_ms, .program = v->server, .server = v->server != NULL };
    return engine_ensure_with(loop, &o, progress, ctx, cancel, out, e);
}

int engine_set_threads(struct loop *loop, const struct engine_address *a, int threads, struct err *e)
{
    char body[48];
    AUTO(buf) struct buf answer = BUF_INIT(64 << 10);
    (void)snprintf(body, sizeof body, "{\"threads\":%d}", threads);
    int code = ask(loop, a->socket, "/stead/threads", body, NULL, &answer, e);
    if (code < 0)
        return code;
    return code == 200 ? 0 : err_set(e, ERR_PROTOCOL, "the engine refuses %d threads (%d)", threads, code);
}

int engine_stop(struct loop *loop, const struct engine_address *a, struct err *e)
{
    AUTO(buf) struct buf answer = BUF_INIT(64 << 10);
    int code = ask(loop, a->socket, "/stead/stop", "{}", NULL, &answer, e);
    if (code < 0)
        return socket_answers(a->socket) ? code : 0;
    return code == 200;
}
