/* evaluate.c - see worker.h: requests in sequences, their tokens in batches, what comes out of them. */
#include <ggml-backend.h>
#include <stdlib.h>
#include <string.h>

#define LOG_MODULE "engine"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "inference/engine/load.h"
#include "inference/engine/worker-internal.h"

#define PIECE_MAX 512           /* bytes of one token's text; llama.cpp's longest are below 300 */
/* A text longer than this many bytes a token cannot fit: counting its tokens would hold up everybody else for seconds. */
#define TOKEN_BYTES_MOST 256
#define TOKEN_BYTES_USUAL 4     /* then said in place of the number */
#define CHECKPOINT_BACK 4       /* tokens before the prompt's end: what a template puts there varies with the reply */
#define PROBE_TOKENS 64
#define SMALL_MODEL (64u << 20) /* bytes of weights */
#define BEAT_EVERY 16           /* operations: a small model's takes little longer than reading the clock */
#define POLL_ALONE 50           /* llama.cpp's default: waiting threads spin a little */
#define POLL_SHARED 0           /* when others need the cores, they sleep */

bool evaluate_abort(void *arg)
{
    struct worker *w = arg;
    bool any = atomic_load(&w->stop);
    if (w->asked++ % BEAT_EVERY == 0)
        atomic_store_explicit(&w->beat_us, clock_us(), memory_order_relaxed);
    for (int32_t i = 0; i < w->info.slots; i++) {
        const struct run *r = &w->runs[i];
        if (!r->in_batch)
            continue;
        if (!atomic_load(&w->stop) && !atomic_load(&r->p->cancelled))
            return false;
        any = true;
    }
    if (any)
        load_expect_abort(true);
    return any;
}

/*
 * A pool that stays: without one llama.cpp starts and joins its threads for every token. And one for each number of
 * threads, kept to the end: the backend remembers the pool of its last graph and pauses it when it is given another, so
 * that one must not be freed in between.
 */
void evaluate_threads(struct worker *w, int32_t n)
{
    if (n == w->threads_now)
        return;
    ggml_backend_dev_t dev = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_reg_t reg = dev ? ggml_backend_dev_backend_reg(dev) : NULL;
    ggml_threadpool_t (*create)(struct ggml_threadpool_params *) = NULL;
    if (reg) {
        *(void **)&create = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
        *(void **)&w->pool_free = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free");
    }
    if (!w->pools[n] && create && w->pool_free) {
        struct ggml_threadpool_params params = ggml_threadpool_params_default(n);
        params.poll = n < w->options.threads ? POLL_SHARED : POLL_ALONE;
        w->pools[n] = create(&params);
    }
    if (w->pools[n])
        llama_attach_threadpool(w->ctx, w->pools[n], NULL);
    else
        llama_detach_threadpool(w->ctx);
    llama_set_n_threads(w->ctx, n, n);
    w->threads_now = n;
}

static void checkpoints_drop(struct run *r, size_t from_n)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->ncheckpoints; i++) {
        if (r->checkpoints[i].n <= from_n)
            r->checkpoints[kept++] = r->checkpoints[i];
        else
            free(r->checkpoints[i].data);
    }
    r->ncheckpoints = kept;
}

/*
 * One fewer: not the first, where a conversation comes back to when a person speaks again and the template drops what was
 * thought on the way; not the last; of the others the one whose absence leaves the smallest gap.
 */
static void checkpoints_thin(struct run *r)
{
    size_t drop = 1, least = SIZE_MAX;
    for (size_t i = 1; i + 1 < r->ncheckpoints; i++) {
        size_t gap = r->checkpoints[i + 1].n - r->checkpoints[i - 1].n;
        if (gap < least) {
            least = gap;
            drop = i;
        }
    }
    free(r->checkpoints[drop].data);
    r->ncheckpoints--;
    memmove(r->checkpoints + drop, r->checkpoints + drop + 1, (r->ncheckpoints - drop) * sizeof *r->checkpoints);
}

static void checkpoint_take(struct worker *w, int seq)
{
    struct run *r = &w->runs[seq];
    size_t n = w->seqs.items[seq].n;
    size_t size = llama_state_seq_get_size_ext(w->ctx, seq, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY);
    uint8_t *data = size ? malloc(size) : NULL;
    if (!data)
        return; /* a later rewind then evaluates more: slower, not wrong */
    if (llama_state_seq_get_data_ext(w->ctx, data, size, seq, LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY) != size) {
        free(data);
        return;
    }
    if (r->ncheckpoints == CHECKPOINTS)
        checkpoints_thin(r);
    r->checkpoints[r->ncheckpoints++] = (struct checkpoint){ .n = n, .data = data, .size = size };
}

/* Cut the sequence back to its first `keep` tokens, or to fewer where the cache cannot: how many remain. */
static size_t cut(struct worker *w, int seq, size_t keep)
{
    llama_memory_t mem = llama_get_memory(w->ctx);
    struct sequence *s = &w->seqs.items[seq];
    if (keep == s->n)
        return keep;
    if (keep > 0 && !w->rolls_back) {
        llama_pos min = llama_memory_seq_pos_min(mem, seq);
        llama_pos need = (llama_pos)keep > w->window ? (llama_pos)keep - w->window : 0;
        if (min > 0 && min >= need) {
            const struct run *r = &w->runs[seq];
            size_t restored = 0;
            for (size_t i = r->ncheckpoints; i-- > 0 && !restored;)
                if (r->checkpoints[i].n <= keep &&
                    llama_state_seq_set_data_ext(w->ctx, r->checkpoints[i].data, r->checkpoints[i].size, seq,
                                                 LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY) == r->checkpoints[i].size)
                    restored = r->checkpoints[i].n;
            keep = restored;
        }
    }
    if (keep == 0 || !llama_memory_seq_rm(mem, seq, (llama_pos)keep, -1)) {
        (void)llama_memory_seq_rm(mem, seq, -1, -1);
        keep = 0;
    }
    s->n = keep;
    checkpoints_drop(&w->runs[seq], keep);
    return keep;
}

void run_end(struct worker *w, int seq, enum job_finish finish, const struct err *why)
{
    struct run *r = &w->runs[seq];
    struct job_private *p = r->p;
    struct job_result result = { .finish = finish, .slot = seq, .prompt_n = p->ntokens, .cached_n = r->cached,
                                 .evaluated_n = r->evaluated - r->cached, .predicted_n = r->predicted, .why = ERR_INIT };
    int64_t now = clock_us();
    int64_t first = r->first_us ? r->first_us : now;
    result.prompt_ms = (double)(first - r->started_us) / 1000.0;
    if (r->first_us)
        result.predicted_ms = (double)(r->last_us - r->first_us) / 1000.0;
    if (why)
        result.why = *why;
    if (r->tail.n && finish != JOB_CANCELLED)
        job_send_text(p, r->tail.p, r->tail.n, r->predicted);
    buf_finish(&r->tail);
    chat_sampler_destroy(r->sampler);
    r->sampler = NULL;
    r->p = NULL;
    r->in_batch = 0;
    w->seqs.items[seq].busy = false;
    w->seqs.items[seq].used_ms = clock_ms();
    job_send_done(p, &result);
}

void run_refuse(struct job_private *p, enum job_finish finish, const struct err *why)
{
    struct job_result result = { .finish = finish, .slot = -1, .prompt_n = p->ntokens, .why = ERR_INIT };
    if (why)
        result.why = *why;
    job_send_done(p, &result);
}

/* Put a waiting request to work: true, also when it failed at once; false: every sequence is busy. */
bool run_begin(struct worker *w, struct job_private *p)
{
    struct err e = ERR_INIT;
    if (atomic_load(&p->cancelled)) {
        run_refuse(p, JOB_CANCELLED, NULL);
        return true;
    }
    if (!p->tokens) {
        size_t n;
        const char *text = chat_prompt_text(p->job->prompt, &n);
        if (n / TOKEN_BYTES_MOST >= (size_t)w->info.ctx_tokens) {
            p->ntokens = (int32_t)(n / TOKEN_BYTES_USUAL);
            run_refuse(p, JOB_CONTEXT, NULL);
            return true;
        }
        p->ntokens = chat_tokenize(w->model, text, n, true, &p->tokens, &e);
        if (p->ntokens <= 0) {
            if (p->ntokens == 0)
                (void)err_set(&e, ERR_INPUT, "the prompt is empty");
            p->ntokens = 0;
            run_refuse(p, JOB_FAILED, &e);
            return true;
        }
    }
    if (p->ntokens >= w->info.ctx_tokens) {
        run_refuse(p, JOB_CONTEXT, NULL);
        return true;
    }

    struct sequence_choice c;
    if (!sequences_choose(&w->seqs, p->tokens, (size_t)p->ntokens, p->job->wanted_slot, &c))
        return false;
    struct run *r = &w->runs[c.seq];
    struct sequence *s = &w->seqs.items[c.seq];
    llama_memory_t mem = llama_get_memory(w->ctx);
    if (p->job->no_cache) {
        c.keep = 0;
        c.copy_from = -1;
    }
    if (chat_sampler_create(w->model, p->job->prompt, &p->job->sampling, &r->sampler, &e) < 0) {
        run_refuse(p, JOB_FAILED, &e);
        return true;
    }
    if (c.copy_from >= 0) {
        const struct sequence *from = &w->seqs.items[c.copy_from];
        (void)cut(w, c.seq, 0);
        if (sequence_push(s, from->tokens, from->n, &e) < 0)
            c.keep = 0;
        else
            llama_memory_seq_cp(mem, c.copy_from, c.seq, -1, -1);
    }
    size_t keep = cut(w, c.seq, c.keep);

    s->busy = true;
    s->prompt_n = (size_t)p->ntokens;
    r->p = p;
    r->evaluated = r->cached = (int32_t)keep;
    r->next = -1;
    r->predicted = 0;
    r->limit = w->info.ctx_tokens - p->ntokens;
    if (p->job->max_tokens >= 0 && p->job->max_tokens < r->limit)
        r->limit = p->job->max_tokens;
    r->started_us = clock_us();
    r->first_us = r->last_us = 0;
    buf_init(&r->tail, TEXT_LIMIT);
    log_debug("request in slot %d: %d tokens, %d cached", c.seq, p->ntokens, r->cached);
    if (p->job->want_progress) {
        struct job_progress g = { p->ntokens, r->cached, r->cached, 0 };
        job_send_progress(p, &g);
    }
    return true;
}

static void batch_push(struct worker *w, int seq, llama_token token, size_t pos, bool logits)
{
    struct llama_batch *b = &w->batch;
    int32_t i = b->n_tokens++;
    b->token[i] = token;
    b->pos[i] = (llama_pos)pos;
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = seq;
    b->logits[i] = logits;
    w->runs[seq].in_batch++;
    if (logits)
        w->runs[seq].row = i;
}

/* Replies first, one token each: they must not wait for somebody's long prompt. */
static void batch_fill(struct worker *w)
{
    w->batch.n_tokens = 0;
    for (int32_t i = 0; i < w->info.slots; i++) {
        struct run *r = &w->runs[i];
        r->in_batch = 0;
        r->row = -1;
        if (r->p && r->next >= 0)
            batch_push(w, i, r->next, w->seqs.items[i].n, true);
    }
    /* while the number of threads for prompts is being found out, in small pieces: a bad one must not cost a whole batch */
    int32_t limit = w->options.batch;
    if (w->reading.levels > 1 && (w->reading.best <= 0 || w->reading.from >= 0) && limit > PROBE_TOKENS)
        limit = PROBE_TOKENS;
    for (int32_t i = 0; i < w->info.slots; i++) {
        struct run *r = &w->runs[i];
        if (!r->p || r->next >= 0)
            continue;
        int32_t end = r->p->ntokens;
        if (!w->rolls_back && r->evaluated < end - CHECKPOINT_BACK)
            end -= CHECKPOINT_BACK; /* the checkpoint is taken there */
        for (int32_t k = r->evaluated; k < end && w->batch.n_tokens < limit; k++)
            batch_push(w, i, r->p->tokens[k], (size_t)k, k == r->p->ntokens - 1);
    }
}

/* How much of `text` may go out: not half a character, and nothing that may be a stop's beginning. */
static size_t safe_length(const struct job *job, struct span text)
{
    size_t n = utf8_cut(text, text.n);
    for (size_t i = 0; i < job->nstops; i++) {
        size_t len = strlen(job->stops[i]);
        for (size_t k = len - 1; k > 0; k--)
            if (k <= text.n && memcmp(text.p + text.n - k, job->stops[i], k) == 0) {
                if (text.n - k < n)
                    n = text.n - k;
                break;
            }
    }
    return n;
}

/* Where the first stop begins in `text`, or -1. */
static ptrdiff_t find_stop(const struct job *job, struct span text)
{
    ptrdiff_t first = -1;
    for (size_t i = 0; i < job->nstops; i++) {
        ptrdiff_t at = span_find(text, span_of(job->stops[i]));
        if (at >= 0 && (first < 0 || at < first))
            first = at;
    }
    return first;
}

/* A token was chosen: send its text; false when the reply is complete. */
static bool take_token(struct worker *w, int seq, int32_t token)
{
    struct run *r = &w->runs[seq];
    struct job *job = r->p->job;
    r->predicted++;
    r->last_us = clock_us();
    if (!r->first_us)
        r->first_us = r->last_us;
    if (llama_vocab_is_eog(llama_model_get_vocab(w->model), token)) {
        run_end(w, seq, JOB_STOP, NULL);
        return false;
    }
    char piece[PIECE_MAX];
    int n = chat_sampler_piece(r->sampler, token, piece, sizeof piece);
    if (n > 0)
        buf_add(&r->tail, piece, (size_t)n);
    ptrdiff_t stop = find_stop(job, buf_span(&r->tail));
    if (stop >= 0) {
        buf_truncate(&r->tail, (size_t)stop);
        run_end(w, seq, JOB_STOP, NULL);
        return false;
    }
    size_t out = safe_length(job, buf_span(&r->tail));
    if (out) {
        job_send_text(r->p, r->tail.p, out, r->predicted);
        buf_erase(&r->tail, 0, out);
    }
    if (r->predicted >= r->limit) {
        run_end(w, seq, JOB_LENGTH, NULL);
        return false;
    }
    r->next = token;
    return true;
}

/* The batch is evaluated: note it, report progress, choose tokens. */
static void batch_done(struct worker *w)
{
    for (int32_t i = 0; i < w->info.slots; i++) {
        struct run *r = &w->runs[i];
        struct err e = ERR_INIT;
        if (!r->in_batch)
            continue;
        const int32_t *tokens = r->next >= 0 ? &r->next : r->p->tokens + r->evaluated;
        if (sequence_push(&w->seqs.items[i], tokens, (size_t)r->in_batch, &e) < 0) {
            (void)cut(w, i, 0);
            run_end(w, i, JOB_FAILED, &e);
            continue;
        }
        if (r->next < 0) {
            r->evaluated += r->in_batch;
            if (r->p->job->want_progress) {
                struct job_progress g = { r->p->ntokens, r->cached, r->evaluated,
                                          (clock_us() - r->started_us) / 1000 };
                job_send_progress(r->p, &g);
            }
            if (!w->rolls_back && r->evaluated == r->p->ntokens - CHECKPOINT_BACK)
                checkpoint_take(w, i);
        }
        if (r->row < 0)
            continue;
        if (r->limit == 0) {
            run_end(w, i, JOB_LENGTH, NULL);
            continue;
        }
        int32_t token = chat_sampler_next(r->sampler, w->ctx, r->row, &e);
        if (token < 0)
            run_end(w, i, JOB_FAILED, &e);
        else
            (void)take_token(w, i, token);
    }
}

/* The batch did not go through: the cache may hold part of it. */
static void batch_failed(struct worker *w, int rc)
{
    for (int32_t i = 0; i < w->info.slots; i++) {
        struct run *r = &w->runs[i];
        if (!r->in_batch)
            continue;
        r->in_batch = 0;
        struct sequence *s = &w->seqs.items[i];
        size_t n = s->n;
        if (n == 0 || !llama_memory_seq_rm(llama_get_memory(w->ctx), i, (llama_pos)n, -1)) {
            s->n = n + 1; /* unknown: cut() must not take it for clean */
            (void)cut(w, i, 0);
        }
        if (rc == 2)
            continue; /* aborted: whoever was cancelled is ended by the next step */
        struct err e;
        (void)err_set(&e, ERR_INTERNAL, "llama.cpp could not evaluate a batch of %d tokens (llama_decode: %d)",
                      w->batch.n_tokens, rc);
        run_end(w, i, JOB_FAILED, &e);
    }
}

/* Threads for this batch: what was asked for is the most, contention may make fewer quicker. */
static struct pace *pace_of(struct worker *w, int32_t threads)
{
    if (threads != w->threads_paced) {
        bool idle = spare_cores(&w->spare) >= threads - 1;
        bool small = w->info.weight_bytes < SMALL_MODEL && !idle;
        pace_init(&w->writing, threads, idle ? 0 : 6, small);
        pace_init(&w->reading, threads, idle ? 0 : 1, small);
        w->threads_paced = threads;
    }
    return w->batch.n_tokens > w->info.slots ? &w->reading : &w->writing;
}

void evaluate_step(struct worker *w, int32_t threads)
{
    for (int32_t i = 0; i < w->info.slots; i++)
        if (w->runs[i].p && atomic_load(&w->runs[i].p->cancelled))
            run_end(w, i, JOB_CANCELLED, NULL);
    batch_fill(w);
    if (!w->batch.n_tokens)
        return;
    struct pace *pace = pace_of(w, threads);
    for (int32_t i = 0; pace == &w->reading && i < w->info.slots; i++)
        if (w->runs[i].p)
            job_flush(w->runs[i].p); /* a piece of a prompt may take seconds */
    int64_t began = clock_us();
    atomic_store_explicit(&w->beat_us, began, memory_order_relaxed);
    if (pace_asks(pace, began))
        pace_hint(pace, spare_cores(&w->spare) >= pace_wants(pace) - 1, began);
    evaluate_threads(w, pace_threads(pace, began));
    load_expect_abort(false);
    int rc = llama_decode(w->ctx, w->batch);
    if (rc == 0) {
        int64_t now = clock_us();
        /* several rows of one batch cost little more than one: the weights are read once */
        pace_note(pace, w->threads_now, pace == &w->reading ? w->batch.n_tokens : 1, now - began, now);
        batch_done(w);
    } else {
        batch_failed(w, rc);
    }
}
