/* worker.c - see worker.h. */
#include "inference/engine/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "engine"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "inference/engine/load.h"
#include "inference/engine/worker-internal.h"

#define TELL_US 8000 /* text goes out at most this often: 125 times a second reads as smoothly as one can see */

/* --- to the loop's thread ------------------------------------------------------------------- */

static void private_destroy(struct job_private *p)
{
    if (!p)
        return;
    free(p->tokens);
    buf_finish(&p->text);
    free(p);
}

static void deliver(void *arg)
{
    struct job_private *p = arg;
    struct worker *w = p->w;
    struct job *job = p->job;

    (void)pthread_mutex_lock(&w->lock);
    struct buf text = p->text;
    buf_init(&p->text, TEXT_LIMIT);
    struct job_progress progress = p->progress;
    bool has_progress = p->has_progress, done = p->done;
    int32_t predicted_n = p->predicted_n;
    p->has_progress = p->posted = false;
    (void)pthread_mutex_unlock(&w->lock);

    if (has_progress && job->on_progress)
        job->on_progress(job->ctx, &progress);
    if (text.n && job->on_text)
        job->on_text(job->ctx, buf_span(&text), predicted_n);
    buf_finish(&text);
    if (!done)
        return;
    struct job_result result = p->result;
    w->active--;
    job->private = NULL;
    private_destroy(p);
    job->on_done(job->ctx, &result);
}

/* With w->lock held. A post that fails for want of memory is tried again with the next event. */
static void post_locked(struct job_private *p)
{
    if (!p->posted)
        p->posted = loop_post(p->w->loop, deliver, p) == 0;
}

void job_send_done(struct job_private *p, const struct job_result *r)
{
    (void)pthread_mutex_lock(&p->w->lock);
    p->result = *r;
    p->done = true;
    post_locked(p);
    (void)pthread_mutex_unlock(&p->w->lock);
}

/*
 * Waking the loop's thread takes a core from the threads that compute: not for every token of a quick model, and not at
 * all where nobody reads along.
 */
void job_send_text(struct job_private *p, const char *text, size_t n, int32_t predicted_n)
{
    int64_t now = clock_us();
    (void)pthread_mutex_lock(&p->w->lock);
    buf_add(&p->text, text, n);
    p->predicted_n = predicted_n;
    if (!p->job->whole && now - p->told_us >= TELL_US) {
        p->told_us = now;
        post_locked(p);
    }
    (void)pthread_mutex_unlock(&p->w->lock);
}

void job_flush(struct job_private *p)
{
    (void)pthread_mutex_lock(&p->w->lock);
    if (p->text.n && !p->job->whole)
        post_locked(p);
    (void)pthread_mutex_unlock(&p->w->lock);
}

void job_send_progress(struct job_private *p, const struct job_progress *progress)
{
    (void)pthread_mutex_lock(&p->w->lock);
    p->progress = *progress;
    p->has_progress = true;
    post_locked(p);
    (void)pthread_mutex_unlock(&p->w->lock);
}

/* --- loading -------------------------------------------------------------------------------- */

static void deliver_loading(void *arg)
{
    struct worker *w = arg;
    (void)pthread_mutex_lock(&w->lock);
    double done = w->loaded;
    w->loading_posted = false;
    (void)pthread_mutex_unlock(&w->lock);
    if (w->events.on_loading)
        w->events.on_loading(w->events.ctx, done);
}

static void deliver_ready(void *arg)
{
    struct worker *w = arg;
    if (w->events.on_ready)
        w->events.on_ready(w->events.ctx);
}

static void deliver_failed(void *arg)
{
    struct worker *w = arg;
    if (w->events.on_failed)
        w->events.on_failed(w->events.ctx, &w->failure);
}

static bool on_load_progress(float done, void *arg)
{
    struct worker *w = arg;
    (void)pthread_mutex_lock(&w->lock);
    w->loaded = (double)done;
    if (!w->loading_posted)
        w->loading_posted = loop_post(w->loop, deliver_loading, w) == 0;
    (void)pthread_mutex_unlock(&w->lock);
    return !atomic_load(&w->stop);
}

#define TEMPLATE_MAX (1u << 20) /* the largest of models in use: 30 KB */

static int load_templates(struct worker *w, struct err *e)
{
    const struct worker_options *o = &w->options;
    AUTO(buf) struct buf text = BUF_INIT(TEMPLATE_MAX);
    if (!o->template_file)
        return chat_templates_create(w->model, NULL, &w->templates, e) < 0 ? err_wrap(e, "model '%s'", o->model) : 0;
    if (file_read(o->template_file, TEMPLATE_MAX, &text, e) < 0)
        return err_wrap(e, "--chat-template");
    if (!span_trim(buf_span(&text)).n) /* llama.cpp would take the model's, silently */
        return err_set(e, ERR_INPUT, "--chat-template: '%s' is empty", o->template_file);
    return chat_templates_create(w->model, buf_str(&text), &w->templates, e) < 0 ? err_wrap(e, "'%s'", o->template_file) : 0;
}

static int load(struct worker *w, struct err *e)
{
    const struct worker_options *o = &w->options;
    int64_t began = clock_ms();
    struct load_params p = { .progress = on_load_progress, .ctx = w };
    if (load_model(o, &p, &w->model, e) < 0)
        return -e->kind;
    const struct llama_vocab *vocab = llama_model_get_vocab(w->model);
    (void)llama_model_desc(w->model, w->info.description, sizeof w->info.description);
    w->info.ctx_train = llama_model_n_ctx_train(w->model);
    w->info.vocab = llama_vocab_n_tokens(vocab);
    w->info.layers = llama_model_n_layer(w->model);
    w->info.embd = llama_model_n_embd(w->model);
    w->info.params = llama_model_n_params(w->model);
    w->info.weight_bytes = llama_model_size(w->model);
    w->window = llama_model_n_swa(w->model);
    w->rolls_back = w->window == 0 && !llama_model_is_recurrent(w->model) && !llama_model_is_hybrid(w->model);
    w->seqs.can_copy = w->rolls_back;
    if (load_context(w->model, o, evaluate_abort, w, &w->ctx, e) < 0)
        return -e->kind;
    w->info.ctx_tokens = (int32_t)llama_n_ctx_seq(w->ctx);
    w->batch = llama_batch_init(o->batch, 0, 1);
    if (!w->batch.token)
        return err_set(e, ERR_NOMEM, "cannot make a batch of %d tokens: out of memory", o->batch);
    if (load_templates(w, e) < 0)
        return -e->kind;
    evaluate_threads(w, o->threads);

    /* The first decode touches every weight and allocates: not on a person's time. */
    llama_token bos = llama_vocab_bos(vocab);
    if (bos < 0)
        bos = 0;
    (void)llama_decode(w->ctx, llama_batch_get_one(&bos, 1));
    llama_memory_clear(llama_get_memory(w->ctx), true);
    llama_synchronize(w->ctx);
    w->info.load_ms = clock_ms() - began;
    return 0;
}
static bool any_running(const struct worker *w)
{
    for (int32_t i = 0; i < w->info.slots; i++)
        if (w->runs[i].p)
            return true;
    return false;
}

/* Begin what waits, in order, as long as a sequence is free. */
static void begin_waiting(struct worker *w)
{
    for (;;) {
        (void)pthread_mutex_lock(&w->lock);
        struct job_private *p = w->queue;
        if (p)
            w->queue = p->next;
        (void)pthread_mutex_unlock(&w->lock);
        if (!p)
            return;
        if (!run_begin(w, p)) {
            (void)pthread_mutex_lock(&w->lock);
            p->next = w->queue;
            w->queue = p;
            (void)pthread_mutex_unlock(&w->lock);
            return;
        }
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    int rc = load(w, &w->failure);
    (void)pthread_mutex_lock(&w->lock);
    (void)loop_post(w->loop, rc < 0 ? deliver_failed : deliver_ready, w);
    while (rc == 0) {
        while (!w->stopping && !w->queue && !any_running(w))
            (void)pthread_cond_wait(&w->wake, &w->lock);
        if (w->stopping)
            break;
        int32_t threads = w->threads;
        (void)pthread_mutex_unlock(&w->lock);
        begin_waiting(w);
        evaluate_step(w, threads);
        (void)pthread_mutex_lock(&w->lock);
    }
    while (!w->stopping)
        (void)pthread_cond_wait(&w->wake, &w->lock);
    struct job_private *waiting = w->queue;
    w->queue = NULL;
    (void)pthread_mutex_unlock(&w->lock);
    for (int32_t i = 0; i < w->info.slots; i++)
        if (w->runs[i].p)
            run_end(w, i, JOB_CANCELLED, NULL);
    while (waiting) {
        struct job_private *next = waiting->next;
        run_refuse(waiting, JOB_CANCELLED, NULL);
        waiting = next;
    }
    return NULL;
}

/* --- the loop's side -------------------------------------------------------------------------- */

int worker_create(struct loop *loop, const struct worker_options *options, const struct worker_events *events,
                  struct worker **out, struct err *e)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(e, ERR_NOMEM, "cannot start the inference thread: out of memory");
    w->loop = loop;
    w->options = *options;
    w->events = *events;
    w->threads = options->threads;
    w->info.slots = options->slots;
    w->spare = (struct spare)SPARE_INIT;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->wake, NULL);
    w->runs = calloc((size_t)options->slots, sizeof *w->runs);
    w->seqs.items = calloc((size_t)options->slots, sizeof *w->seqs.items);
    w->seqs.len = (size_t)options->slots;
    int rc = w->runs && w->seqs.items ? pthread_create(&w->thread, NULL, worker_main, w) : ENOMEM;
    if (rc) {
        worker_destroy(w);
        return err_set(e, ERR_NOMEM, "cannot start the inference thread: %s", strerror(rc)); /* NOLINT(concurrency-mt-unsafe): glibc's is safe */
    }
    w->started = true;
    *out = w;
    return 0;
}

void worker_destroy(struct worker *w)
{
    if (!w)
        return;
    if (w->started) {
        atomic_store(&w->stop, true);
        (void)pthread_mutex_lock(&w->lock);
        w->stopping = true;
        (void)pthread_cond_signal(&w->wake);
        (void)pthread_mutex_unlock(&w->lock);
        (void)pthread_join(w->thread, NULL);
        loop_poll(w->loop); /* what it still posted */
    }
    for (size_t i = 0; w->seqs.items && i < w->seqs.len; i++)
        free(w->seqs.items[i].tokens);
    for (size_t i = 0; w->runs && i < w->seqs.len; i++)
        for (size_t k = 0; k < w->runs[i].ncheckpoints; k++)
            free(w->runs[i].checkpoints[k].data);
    free(w->seqs.items);
    free(w->runs);
    chat_templates_destroy(w->templates);
    if (w->batch.token)
        llama_batch_free(w->batch);
    if (w->ctx) {
        llama_detach_threadpool(w->ctx);
        llama_free(w->ctx);
    }
    spare_finish(&w->spare);
    for (size_t i = 0; i < COUNT_OF(w->pools); i++)
        if (w->pools[i])
            w->pool_free(w->pools[i]);
    if (w->model)
        llama_model_free(w->model);
    (void)pthread_mutex_destroy(&w->lock);
    (void)pthread_cond_destroy(&w->wake);
    free(w);
}

const struct worker_info *worker_info(const struct worker *w)
{
    return &w->info;
}

struct llama_model *worker_model(const struct worker *w)
{
    return w->model;
}

struct chat_templates *worker_templates(const struct worker *w)
{
    return w->templates;
}

void worker_set_threads(struct worker *w, int32_t threads)
{
    (void)pthread_mutex_lock(&w->lock);
    w->threads = threads;
    (void)pthread_mutex_unlock(&w->lock);
}

int32_t worker_threads(const struct worker *w)
{
    return w->threads;
}

int64_t worker_stalled_ms(const struct worker *w)
{
    int64_t beat = atomic_load(&w->beat_us);
    return w->active && beat ? (clock_us() - beat) / 1000 : 0;
}

size_t worker_active(const struct worker *w)
{
    return w->active;
}

int worker_submit(struct worker *w, struct job *job, struct err *e)
{
    struct job_private *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, ERR_NOMEM, "cannot queue the request: out of memory");
    p->job = job;
    p->w = w;
    buf_init(&p->text, TEXT_LIMIT);
    job->private = p;
    if (!w->active++)
        atomic_store(&w->beat_us, clock_us());
    (void)pthread_mutex_lock(&w->lock);
    struct job_private **end = &w->queue;
    while (*end)
        end = &(*end)->next;
    *end = p;
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    return 0;
}

void worker_cancel(struct worker *w, struct job *job)
{
    if (!job->private)
        return;
    atomic_store(&job->private->cancelled, true);
    (void)pthread_mutex_lock(&w->lock);
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}
