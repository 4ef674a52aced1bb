/*
 * job - one command: what was asked, what has come, how it ended.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "sandbox/sandbox-internal.h"

#define OUTPUT_MAX (256u << 20) /* kept without a cap of the caller's: more is an error of the caller's */
#define INPUT_CHUNK 32768

struct sandbox_job {
    struct sandbox *sb;
    struct waiter w;
    sandbox_done_fn done_fn;
    void *done_ctx;
    void (*taken_fn)(void *ctx);
    void *taken_ctx;
    void (*on_output)(void *ctx, int stream, struct span data);
    void *output_ctx;
    struct buf out, tail;
    size_t cap;
    char *input;      /* stdin_data still to send */
    size_t input_n, input_at;
    bool input_busy, input_close, stdin_open;
    bool done, background;
    int64_t started_ms;
    struct sandbox_result r;
    struct err err;
    char program[128];
};

const bool *job_done(const struct sandbox_job *job)
{
    return &job->done;
}

bool sandbox_job_done(const struct sandbox_job *job)
{
    return job->done;
}

struct span sandbox_job_output(const struct sandbox_job *job)
{
    return buf_span(&job->out);
}

int sandbox_job_result(const struct sandbox_job *job, struct sandbox_result *r, struct err *e)
{
    if (job->err.kind) {
        *e = job->err;
        return -(int)e->kind;
    }
    *r = job->r;
    return 0;
}

static void finish(struct sandbox_job *j)
{
    j->done = true;
    client_remove(j->sb, &j->w);
    if (j->done_fn)
        j->done_fn(j->done_ctx, j);
    loop_wake(j->sb->loop);
}

static void send_input(struct sandbox_job *j)
{
    struct err ignored;
    if (j->input_busy || j->done)
        return;
    if (j->input_at < j->input_n) {
        size_t n = j->input_n - j->input_at < INPUT_CHUNK ? j->input_n - j->input_at : INPUT_CHUNK;
        j->input_busy = client_send(j->sb, &(struct wire){ .type = WIRE_INPUT, .id = j->w.id }, j->input + j->input_at, n, NULL, 0, &ignored) >= 0;
        j->input_at += n;
    } else if (j->input_close) {
        j->input_close = false;
        (void)!client_send(j->sb, &(struct wire){ .type = WIRE_INPUT, .id = j->w.id }, NULL, 0, NULL, 0, &ignored);
    }
}

/* Head and tail of what exceeded the cap, with a line between that says so. */
static void join_tail(struct sandbox_job *j)
{
    size_t head = j->cap / 2;
    if (j->out.n > head)
        buf_truncate(&j->out, head);
    uint64_t shown = j->out.n + j->tail.n;
    uint64_t left_out = j->r.out_bytes > shown ? j->r.out_bytes - shown : 0;
    buf_addf(&j->out, "\n[%llu bytes left out; the whole output is in %s]\n", (unsigned long long)left_out, j->r.spill_path);
    buf_add_span(&j->out, buf_span(&j->tail));
}

static void start_failed(struct sandbox_job *j, const struct wire *w, const char *payload, size_t n)
{
    (void)client_fail(w, payload, n, &j->err);
    if (w->b != 1)
        return;
    j->err.kind = w->a == ENOENT || w->a == ENOTDIR ? ERR_NOT_FOUND : w->a == EACCES || w->a == ENOEXEC || w->a == EISDIR ? ERR_DENIED : ERR_IO;
    (void)err_wrap(&j->err, "command '%s'", j->program);
}

static void on_job(void *ctx, const struct wire *w, const char *payload, size_t n, int fd)
{
    struct sandbox_job *j = ctx;
    if (fd >= 0)
        (void)close(fd);
    switch (w->type) {
    case WIRE_DATA:
        if (!j->on_output || j->cap)
            buf_add(&j->out, payload, n);
        if (j->on_output)
            j->on_output(j->output_ctx, w->a == 2 ? 2 : 1, (struct span){ payload, n });
        return;
    case WIRE_TAIL: buf_add(&j->tail, payload, n); return;
    case WIRE_TAKEN:
        j->input_busy = false;
        send_input(j);
        if (j->taken_fn && sandbox_job_input_ready(j))
            j->taken_fn(j->taken_ctx);
        loop_wake(j->sb->loop);
        return;
    case WIRE_OK: /* a background job runs */
        if (!j->background)
            return;
        j->r.job = w->id;
        (void)snprintf(j->r.spill_path, sizeof j->r.spill_path, WIRE_SPILL_DIR "/%u.out", w->id);
        break;
    case WIRE_FAIL: start_failed(j, w, payload, n); break;
    case WIRE_EXIT:
        j->r.status = (int)w->a;
        j->r.timed_out = w->b & WIRE_EXIT_TIMEOUT;
        j->r.truncated = w->b & WIRE_EXIT_TRUNCATED;
        j->r.out_of_disk = w->b & WIRE_EXIT_DISK;
        j->r.out_bytes = w->c > 0 ? (uint64_t)w->c : 0;
        if (n < sizeof j->r.spill_path)
            clean_into(j->r.spill_path, sizeof j->r.spill_path, (struct span){ payload, n }, CLEAN_LINE);
        if (j->r.truncated)
            join_tail(j);
        /* 137 is what the kernel's out-of-memory killer leaves; look only then. */
        if (j->r.status == 128 + SIGKILL && !j->r.timed_out)
            j->r.out_of_memory = w->b & WIRE_EXIT_MEMORY || cgroup_oom_news(&j->sb->cgroup);
        break;
    default: return;
    }
    j->r.duration_ms = clock_ms() - j->started_ms;
    finish(j);
}

static size_t count(const char *const *v)
{
    size_t n = 0;
    while (v && v[n])
        n++;
    return n;
}

static bool replaced(const char *row, const char *const *by)
{
    const char *eq = strchr(row, '=');
    for (; eq && by && *by; by++)
        if (strncmp(*by, row, (size_t)(eq - row) + 1) == 0)
            return true;
    return false;
}

static int pack(struct sandbox *sb, const struct sandbox_exec *x, struct buf *b, struct err *e)
{
    char cwd[PATHS_INSIDE_MAX];
    uint32_t argc = (uint32_t)count(x->argv), envc = 0;
    if (!argc)
        return err_set(e, ERR_INTERNAL, "no command given");
    int r = client_path(sb, x->cwd ? x->cwd : sb->target, cwd, e);
    if (r < 0)
        return r;
    buf_add(b, &argc, sizeof argc);
    size_t envc_at = b->n;
    buf_add(b, &envc, sizeof envc);
    buf_add(b, cwd, strlen(cwd) + 1);
    for (uint32_t i = 0; i < argc; i++)
        buf_add(b, x->argv[i], strlen(x->argv[i]) + 1);
    for (const char *const *s = sb->env; *s; s++)
        if (!replaced(*s, x->env)) {
            buf_add(b, *s, strlen(*s) + 1);
            envc++;
        }
    for (const char *const *s = x->env; s && *s; s++) {
        buf_add(b, *s, strlen(*s) + 1);
        envc++;
    }
    if (buf_check(b, e) < 0)
        return err_set(e, ERR_LIMIT, "the command's arguments are too long");
    memcpy(b->p + envc_at, &envc, sizeof envc);
    return 0;
}

int sandbox_job_start(struct sandbox *sb, const struct sandbox_exec *x, sandbox_done_fn done, void *ctx, struct sandbox_job **out,
                      struct err *e)
{
    AUTO(buf) struct buf request = BUF_INIT(4 << 20);
    int r = pack(sb, x, &request, e);
    if (r < 0)
        return r;
    struct sandbox_job *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(e, ERR_NOMEM, "out of memory");
    j->sb = sb;
    j->done_fn = done;
    j->done_ctx = ctx;
    j->on_output = x->on_output;
    j->output_ctx = x->ctx;
    j->cap = x->out_cap_bytes;
    j->background = x->background;
    j->started_ms = clock_ms();
    clean_into(j->program, sizeof j->program, span_of(x->argv[0]), CLEAN_LINE);
    buf_init(&j->out, j->cap ? j->cap * 2 + 4096 : OUTPUT_MAX);
    buf_init(&j->tail, j->cap + 1);
    bool input = x->stdin_open || x->stdin_data.n;
    j->stdin_open = x->stdin_open;
    if (x->stdin_data.n) {
        j->input = malloc(x->stdin_data.n);
        if (!j->input) {
            sandbox_job_destroy(j);
            return err_set(e, ERR_NOMEM, "out of memory");
        }
        memcpy(j->input, x->stdin_data.p, x->stdin_data.n);
        j->input_n = x->stdin_data.n;
    }
    j->input_close = input && !x->stdin_open;
    int64_t flags = (x->merge || x->tty ? WIRE_EXEC_MERGE : 0) | (x->tty ? WIRE_EXEC_TTY : 0) | (input ? WIRE_EXEC_STDIN : 0) |
                    (x->background ? WIRE_EXEC_BACKGROUND : 0);
    int nice = x->nice ? x->nice : sb->nice;
    nice = nice < 0 ? 0 : nice > 19 ? 19 : nice;
    client_add(sb, &j->w, on_job, j);
    struct wire w = { .type = WIRE_EXEC, .id = j->w.id, .a = x->timeout_ms, .b = (int64_t)x->out_cap_bytes,
                      .c = flags | (int64_t)nice << 8 | (int64_t)x->rows << 16 | (int64_t)x->cols << 32 };
    r = client_send(sb, &w, request.p, request.n, NULL, 0, e);
    if (r < 0) {
        sandbox_job_destroy(j);
        return r;
    }
    if (input)
        send_input(j);
    *out = j;
    return 0;
}

void sandbox_job_on_taken(struct sandbox_job *job, void (*fn)(void *ctx), void *ctx)
{
    job->taken_fn = fn;
    job->taken_ctx = ctx;
}

bool sandbox_job_input_ready(const struct sandbox_job *job)
{
    return !job->input_busy && job->input_at == job->input_n;
}

int sandbox_job_input(struct sandbox_job *job, struct span data, struct err *e)
{
    if (job->done || !job->stdin_open)
        return err_set(e, ERR_UNAVAILABLE, "the command reads no more input");
    if (!data.n) {
        job->stdin_open = false;
        job->input_close = true;
    } else {
        size_t left = job->input_n - job->input_at;
        char *p = malloc(left + data.n);
        if (!p)
            return err_set(e, ERR_NOMEM, "out of memory");
        if (left)
            memcpy(p, job->input + job->input_at, left);
        memcpy(p + left, data.p, data.n);
        free(job->input);
        job->input = p;
        job->input_n = left + data.n;
        job->input_at = 0;
    }
    send_input(job);
    return 0;
}

int sandbox_job_resize(struct sandbox_job *job, unsigned short rows, unsigned short cols, struct err *e)
{
    return client_send(job->sb, &(struct wire){ .type = WIRE_RESIZE, .id = job->w.id, .a = rows, .b = cols }, NULL, 0, NULL, 0, e);
}

static int signal_request(struct sandbox *sb, int64_t id, int signo, struct err *e)
{
    struct answer r = { 0 };
    return client_ask(sb, &(struct wire){ .type = WIRE_SIGNAL, .a = signo, .b = id }, NULL, 0, NULL, 0, &r, NULL, e);
}

int sandbox_job_signal(struct sandbox_job *job, int signo, struct err *e)
{
    /* No answer is awaited, so that it can be sent from a callback; the id 0 belongs to nobody. */
    return client_send(job->sb, &(struct wire){ .type = WIRE_SIGNAL, .a = signo, .b = job->w.id }, NULL, 0, NULL, 0, e);
}

int sandbox_kill(struct sandbox *sb, int64_t job, struct err *e)
{
    int r = signal_request(sb, job, SIGKILL, e);
    return r < 0 ? err_wrap(e, "job %lld", (long long)job) : 0;
}

int sandbox_background(struct sandbox *sb, int64_t job, struct sandbox_result *out, struct err *e)
{
    struct answer r = { 0 };
    int rc = client_ask(sb, &(struct wire){ .type = WIRE_BACKGROUND, .a = job }, NULL, 0, NULL, 0, &r, NULL, e);
    if (rc < 0)
        return err_wrap(e, "job %lld", (long long)job);
    *out = (struct sandbox_result){ .status = (int)(r.ok.b & 0xff), .out_bytes = (uint64_t)r.ok.c, .job = job,
                                    .timed_out = r.ok.b >> 32 & WIRE_EXIT_TIMEOUT, .out_of_disk = r.ok.b >> 32 & WIRE_EXIT_DISK,
                                    .out_of_memory = r.ok.b >> 32 & WIRE_EXIT_MEMORY };
    (void)snprintf(out->spill_path, sizeof out->spill_path, WIRE_SPILL_DIR "/%lld.out", (long long)job);
    return r.ok.a ? 1 : 0;
}

void sandbox_job_destroy(struct sandbox_job *j)
{
    struct err ignored;
    if (!j)
        return;
    if (!j->done && j->w.id) {
        (void)sandbox_job_signal(j, SIGKILL, &ignored);
        client_remove(j->sb, &j->w);
    }
    buf_finish(&j->out);
    buf_finish(&j->tail);
    free(j->input);
    free(j);
}

int sandbox_exec(struct sandbox *sb, const struct sandbox_exec *x, struct buf *output, struct sandbox_result *r, struct cancel *cancel,
                 struct err *e)
{
    AUTO(sandbox_job) struct sandbox_job *job = NULL;
    int rc = sandbox_job_start(sb, x, NULL, NULL, &job, e);
    if (rc < 0)
        return rc;
    rc = loop_wait(sb->loop, &job->done, 0, cancel, e);
    if (output)
        buf_add_span(output, sandbox_job_output(job));
    return rc < 0 ? rc : sandbox_job_result(job, r, e);
}
