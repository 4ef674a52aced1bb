/* chat_reply: send, wait, classify, wait again or judge. */
#define LOG_MODULE "chat"
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/chat-internal.h"
#include "model/failure.h"
#include "model/http.h"
#include "model/sse.h"
#include "model/veil.h"

#define ERROR_BODY_BYTES (256u << 10) /* of an error answer: the words are at its start */
#define PREFILL_SLOWEST 20.0          /* tokens/s: a large model on two busy cores */
#define PREFILL_GRACE_MS 120000       /* for a model that is loaded on demand before it answers */
#define STALL_LOCAL_MS 300000         /* servers that hold a call back until it is whole send nothing meanwhile */
#define STALL_HOSTED_MS 120000
#define TICK_MS 1000
#define OVERRUN_BYTES_PER_TOKEN 24 /* long tokens are runs of spaces; code has 3 to 5 bytes */
#define OVERRUN_BYTES 65536

/* One HTTP request and what came of it. */
struct exchange {
    struct chat *c;
    const struct chat_events *ev;
    struct collect got;
    struct collect_sink sink;
    struct sse sse;
    struct veil veil;
    struct http_transfer *t;
    enum { BODY_UNDECIDED, BODY_STREAM, BODY_WHOLE } form;
    struct buf body;
    struct err parse; /* why reading stopped */
    bool bad;
    bool overrun; /* the server does not keep to max_tokens: stopped by us */
    int64_t begun_ms, life_ms; /* life: last sign that work goes on */
    int64_t total, cached, processed;
    bool progress_measured;
    size_t shown; /* bytes of text shown */

    enum model_error error;
    int status;
    struct buf words;
    int64_t n_prompt, n_ctx, retry_after_ms;
};

static void shown_text(void *ctx, struct span s)
{
    struct exchange *x = ctx;
    x->shown += s.n;
    if (x->ev->on_text)
        x->ev->on_text(x->ev->ctx, s);
}

static void shown_reasoning(void *ctx, struct span s)
{
    struct exchange *x = ctx;
    if (x->ev->on_reasoning)
        x->ev->on_reasoning(x->ev->ctx, s);
}

static void on_text(void *ctx, struct span s)
{
    struct exchange *x = ctx;
    veil_feed(&x->veil, s);
}

static void on_call(void *ctx, const char *name)
{
    struct exchange *x = ctx;
    if (x->ev->on_call)
        x->ev->on_call(x->ev->ctx, name);
}

static void tell_progress(struct exchange *x, bool measured)
{
    if (!x->ev->on_progress)
        return;
    struct chat_progress p = { x->total, x->cached, x->processed, clock_ms() - x->begun_ms, -1, measured };
    int64_t fresh = x->total - x->cached, done = x->processed - x->cached;
    if (measured && done > 0 && p.elapsed_ms > 0)
        p.left_ms = (fresh - done) * p.elapsed_ms / done;
    else if (!measured && x->c->ep->profile->prefill_tokens_per_s > 0)
        p.left_ms = (int64_t)((double)fresh * 1000 / x->c->ep->profile->prefill_tokens_per_s) - p.elapsed_ms;
    if (p.left_ms < -1)
        p.left_ms = 0;
    x->ev->on_progress(x->ev->ctx, &p);
}

static void on_progress(void *ctx, int64_t total, int64_t cached, int64_t processed)
{
    struct exchange *x = ctx;
    if (processed > x->processed || !x->progress_measured)
        x->life_ms = clock_ms(); /* only an advance is life */
    x->progress_measured = true;
    x->total = total;
    x->cached = cached;
    x->processed = processed;
    tell_progress(x, true);
}

static int on_event(void *ctx, struct span name, struct span data, struct err *e)
{
    struct exchange *x = ctx;
    return x->c->dialect->event(&x->got, name, data, e);
}

/* Many servers name the wrong type: the first bytes tell. */
static void decide(struct exchange *x)
{
    struct span s = buf_span(&x->body), type = http_content_type(x->t);
    while (s.n && ((unsigned char)s.p[0] <= ' ' || (unsigned char)s.p[0] >= 0xef))
        s = span_sub(s, 1, s.n);
    if (http_status(x->t) != 200)
        x->form = BODY_WHOLE; /* NOLINT(bugprone-branch-clone): asked in this order */
    else if (span_find(type, SPAN("event-stream")) >= 0 || span_find(type, SPAN("ndjson")) >= 0 ||
             span_starts(s, "data:") || span_starts(s, "event:") || span_starts(s, ":"))
        x->form = BODY_STREAM;
    else if (s.n >= 6)
        x->form = BODY_WHOLE;
}

static bool on_data(void *ctx, struct span piece)
{
    struct exchange *x = ctx;
    if (x->form == BODY_STREAM) {
        size_t before = collect_bytes(&x->got);
        if (sse_feed(&x->sse, piece, &x->parse) < 0)
            x->bad = true;
        if (collect_bytes(&x->got) != before)
            x->life_ms = clock_ms(); /* keep-alive comments are no life */
        x->overrun = collect_bytes(&x->got) > (size_t)x->c->max_tokens * OVERRUN_BYTES_PER_TOKEN + OVERRUN_BYTES;
        return !x->bad && !x->got.failed && !x->overrun;
    }
    buf_add_span(&x->body, piece);
    x->life_ms = clock_ms();
    if (x->form == BODY_UNDECIDED) {
        decide(x);
        if (x->form == BODY_STREAM) {
            if (sse_feed(&x->sse, buf_span(&x->body), &x->parse) < 0)
                x->bad = true;
            buf_reset(&x->body);
            return !x->bad && !x->got.failed;
        }
    }
    return x->body.failed == 0 && !(http_status(x->t) != 200 && x->body.n > ERROR_BODY_BYTES);
}

static void fail(struct exchange *x, enum model_error k, const char *text)
{
    x->error = k;
    if (!x->words.n)
        buf_adds(&x->words, text);
}

/* How long a silence may last now. */
static int64_t patience_ms(const struct exchange *x)
{
    const struct chat *c = x->c;
    const struct profile *p = c->ep->profile;
    if (x->got.any || x->progress_measured) {
        if (c->stall_ms)
            return c->stall_ms;
        int64_t base = c->ep->local ? STALL_LOCAL_MS : STALL_HOSTED_MS;
        int64_t whole = p->decode_tokens_per_s > 0 ? (int64_t)((double)c->max_tokens * 1500 / p->decode_tokens_per_s) : 0;
        return whole > base ? whole : base;
    }
    if (c->first_byte_ms)
        return c->first_byte_ms;
    double speed = p->prefill_tokens_per_s > 0 ? p->prefill_tokens_per_s / 4 : c->ep->local ? PREFILL_SLOWEST : 200.0;
    int64_t fresh = chat_estimate_tokens(c);
    return PREFILL_GRACE_MS + (int64_t)((double)fresh * 1000 / speed) + (c->ep->local ? STALL_LOCAL_MS : 0);
}

static int wait_for_it(struct exchange *x, struct cancel *cancel, struct err *e)
{
    struct chat *c = x->c;
    for (;;) {
        int64_t now = clock_ms(), end = x->life_ms + patience_ms(x), tick = now + TICK_MS;
        int rc = loop_wait(c->loop, http_done(x->t), end < tick ? end : tick, cancel, e);
        if (rc != -ERR_TIMEOUT)
            return rc;
        if (*http_done(x->t))
            return 0;
        if (clock_ms() >= x->life_ms + patience_ms(x)) {
            if (x->got.finished)
                return 0; /* all was said, only the end of the stream is missing */
            char text[96];
            snprintf(text, sizeof text, "no byte and no progress for %lld s", (long long)((clock_ms() - x->life_ms) / 1000));
            fail(x, MODEL_ERR_STALLED, text);
            return 0;
        }
        if (!x->got.any && !x->progress_measured) {
            double speed = c->ep->profile->prefill_tokens_per_s;
            x->total = chat_estimate_tokens(c);
            x->cached = c->counted_tokens;
            x->processed = x->cached + (speed > 0 ? (int64_t)((double)(clock_ms() - x->begun_ms) * speed / 1000) : 0);
            if (x->processed > x->total)
                x->processed = x->total;
            tell_progress(x, false);
        }
    }
}

/* What the answer amounts to, once it has ended. */
static void conclude(struct exchange *x)
{
    enum http_how how = http_how(x->t);
    x->status = http_status(x->t);
    x->retry_after_ms = http_retry_after_ms(x->t);
    if (x->form == BODY_STREAM && !x->bad && !x->got.failed && sse_end(&x->sse, &x->parse) < 0)
        x->bad = how == HTTP_OK; /* the last event of a broken stream may be half: that is a cut, not garbage */
    if (x->status && x->status != 200 && (how == HTTP_OK || how == HTTP_STOPPED || x->body.n)) {
        AUTO(buf) struct buf type = BUF_INIT(256);
        failure_text(buf_span(&x->body), &x->words, &type, &x->n_prompt, &x->n_ctx);
        x->error = failure_classify(x->status, buf_span(&type), buf_span(&x->words));
        if (x->status < 400 && http_location(x->t)[0]) {
            buf_reset(&x->words);
            buf_addf(&x->words, "status %d: it moved to %s", x->status, http_location(x->t));
        }
        if (!x->words.n)
            buf_addf(&x->words, "status %d", x->status);
        return;
    }
    if (x->status == 200 && x->form != BODY_STREAM && how == HTTP_OK) {
        AUTO(json) json_t *j = collect_parse(buf_span(&x->body));
        if (!json_is_object(j)) {
            struct span s = span_trim(buf_span(&x->body));
            if (s.n && s.p[0] == '{') {
                fail(x, MODEL_ERR_CUT, "the answer's JSON is not whole");
            } else if (!s.n) {
                fail(x, MODEL_ERR_CUT, "the answer is empty");
            } else {
                AUTO(buf) struct buf type = BUF_INIT(256);
                failure_text(s, &x->words, &type, &x->n_prompt, &x->n_ctx);
                fail(x, MODEL_ERR_GARBAGE, "not JSON");
            }
            return;
        }
        if (x->c->dialect->body(&x->got, j, &x->parse) < 0)
            x->bad = true;
    }
    if (x->got.failed) {
        x->error = failure_classify(x->got.error_status, span_of(x->got.error_type), buf_span(&x->got.error));
        buf_add_span(&x->words, buf_span(&x->got.error));
        x->n_prompt = x->got.error_n_prompt;
        x->n_ctx = x->got.error_n_ctx;
        failure_context_numbers(buf_span(&x->words), &x->n_prompt, &x->n_ctx);
    } else if (x->bad) {
        fail(x, x->parse.kind == ERR_LIMIT ? MODEL_ERR_MODEL : MODEL_ERR_GARBAGE, x->parse.text);
    } else if (how == HTTP_NO_CONNECT || how == HTTP_TLS) {
        fail(x, MODEL_ERR_CONNECT, http_error(x->t));
    } else if (x->overrun) {
        x->got.finish = FINISH_LENGTH;
        x->got.finished = true;
    } else if (how == HTTP_STOPPED) {
        fail(x, MODEL_ERR_MODEL, "the reply is too long");
    } else if (!x->got.finished && !x->got.ended) {
        fail(x, how == HTTP_OK || how == HTTP_CUT ? MODEL_ERR_CUT : MODEL_ERR_GARBAGE, how == HTTP_OK ? "the stream ended before the reply did" : http_error(x->t));
    }
}

static void exchange_init(struct exchange *x, struct chat *c, const struct chat_events *ev)
{
    memset(x, 0, sizeof *x);
    x->c = c;
    x->ev = ev;
    x->n_prompt = x->n_ctx = x->retry_after_ms = -1;
    x->sink = (struct collect_sink){ x, on_text, shown_reasoning, on_call, on_progress };
    collect_init(&x->got, &x->sink);
    sse_init(&x->sse, CHAT_MAX_REPLY_BYTES, on_event, x);
    veil_init(&x->veil, c->ntools > 0, shown_text, shown_reasoning, x);
    buf_init(&x->body, CHAT_MAX_REPLY_BYTES);
    buf_init(&x->words, ERROR_BODY_BYTES);
}

static void exchange_finish(struct exchange *x)
{
    http_finish(x->t);
    collect_finish(&x->got);
    sse_finish(&x->sse);
    veil_finish(&x->veil);
    buf_finish(&x->body);
    buf_finish(&x->words);
}

/* The promise, checked on the bytes themselves: this request begins with the last one. */
static void prove_prefix(struct chat *c)
{
    struct span all = buf_span(&c->wire.bytes);
    if (c->sent_bytes && (all.n < c->sent_bytes || chat_hash(span_sub(all, 0, c->sent_bytes)) != c->sent_hash)) {
        c->stats.prefix_breaks++;
        log_warn("request %lld does not begin with the one before", (long long)c->stats.requests);
    }
    c->sent_bytes = all.n;
    c->sent_hash = chat_hash(all);
}

/* The bytes that would be sent, as the guard lets them: all of them in `out`. */
static int guard(const struct endpoint *ep, const struct span body[2], struct buf *out, struct err *e)
{
    AUTO(buf) struct buf whole = BUF_INIT(CHAT_MAX_BYTES);
    buf_add_span(&whole, body[0]);
    buf_add_span(&whole, body[1]);
    int rc = buf_check(&whole, e);
    if (rc == 0)
        rc = ep->guard(ep->guard_ctx, ep, buf_span(&whole), out, e);
    if (rc == 0 && !out->n)
        buf_add_span(out, buf_span(&whole));
    return rc < 0 ? rc : buf_check(out, e);
}

/* Send these bytes and wait for the reply. */
static int exchange_send(struct exchange *x, const char *path, const struct span *body, size_t nbody, int64_t entered_us, struct cancel *cancel,
                         struct err *e)
{
    struct chat *c = x->c;
    struct http_request q = { .path = path, .headers = c->headers, .body = body, .nbody = nbody, .on_data = on_data, .ctx = x };
    x->begun_ms = x->life_ms = clock_ms();
    int rc = http_start(c->ep->http, &q, &x->t, e);
    if (rc < 0)
        return rc;
    prove_prefix(c); /* while the kernel already carries the first bytes */
    c->stats.requests++;
    c->stats.bytes_sent += (int64_t)(body[0].n + (nbody > 1 ? body[1].n : 0));
    rc = wait_for_it(x, cancel, e);
    if (http_sent_us(x->t))
        c->stats.last_gap_us = c->gap_us + (http_sent_us(x->t) > entered_us ? http_sent_us(x->t) - entered_us : 0);
    c->gap_us = 0;
    if (rc < 0)
        return rc;
    if (!x->error)
        conclude(x);
    return 0;
}

/* Send the conversation and wait: 0 with x->error set or MODEL_OK; negative: cancelled, memory. */
static int exchange_run(struct exchange *x, int constrain, int64_t entered_us, struct cancel *cancel, struct err *e)
{
    struct chat *c = x->c;
    AUTO(buf) struct buf tail = BUF_INIT(256 << 10), schema = BUF_INIT(128 << 10);
    char path[2 * URL_MAX];
    if (constrain == CONSTRAIN_SCHEMA && !chat_call_schema(c, &schema))
        constrain = CONSTRAIN_NONE;
    c->constrained = constrain != CONSTRAIN_NONE;
    struct closing closing = { .max_tokens = c->max_tokens, .constrain = constrain, .constrain_schema = buf_span(&schema), .place = c->ep->place };
    if (!c->dialect->close(&c->wire, &closing, &tail))
        return buf_check(&tail, e);
    snprintf(path, sizeof path, "%s%s", c->ep->address->api, c->dialect->path);
    struct span body[2] = { buf_span(&c->wire.bytes), buf_span(&tail) };
    size_t nbody = 2;
    AUTO(buf) struct buf guarded = BUF_INIT(CHAT_MAX_BYTES);
    if (c->ep->guard) {
        int allowed = guard(c->ep, body, &guarded, e);
        if (allowed == -ERR_DENIED) {
            fail(x, MODEL_ERR_GUARD, e->text);
            return 0;
        }
        if (allowed < 0)
            return allowed;
        body[0] = buf_span(&guarded);
        nbody = 1;
    }
    if (c->ep->turn_begin) {
        int turn = c->ep->turn_begin(c->ep->turn_ctx, cancel, e);
        if (turn < 0)
            return turn;
    }
    int rc = exchange_send(x, path, body, nbody, entered_us, cancel, e);
    if (c->ep->turn_end)
        c->ep->turn_end(c->ep->turn_ctx);
    return rc;
}

/* What the guard had taken out is put back into the calls: they run here. */
static int restore_calls(const struct endpoint *ep, struct collect *got, struct err *e)
{
    for (size_t i = 0; ep->restore && i < got->ncalls; i++) {
        struct buf args = BUF_INIT(CHAT_MAX_BYTES);
        int rc = ep->restore(ep->guard_ctx, buf_span(&got->calls[i].args), &args, e);
        if (rc == 0)
            rc = buf_check(&args, e);
        if (rc < 0) {
            buf_finish(&args);
            return rc;
        }
        buf_finish(&got->calls[i].args);
        got->calls[i].args = args;
    }
    return 0;
}

/* ---- waiting before another try ---- */

static int back_off(struct chat *c, const struct exchange *x, int n, int64_t give_up_ms, struct cancel *cancel, struct err *e)
{
    int64_t ms = x->error == MODEL_ERR_LOADING ? 1000 : 250;
    for (int i = 1; i < n && ms < 15000; i++)
        ms *= 2;
    if (ms > 15000)
        ms = 15000;
    if (x->error == MODEL_ERR_LOADING && ms > 3000)
        ms = 3000;
    if (x->retry_after_ms > 0)
        ms = x->retry_after_ms;
    if (clock_ms() + ms > give_up_ms)
        return -ERR_TIMEOUT;
    bool never = false;
    int rc = loop_wait(c->loop, &never, clock_ms() + ms, cancel, e);
    return rc == -ERR_TIMEOUT ? 0 : rc;
}

static void learn_speed(struct chat *c, const struct exchange *x)
{
    struct profile *p = c->ep->profile;
    if (x->got.prefill_tokens_per_s > 1)
        p->prefill_tokens_per_s = x->got.prefill_tokens_per_s;
    if (x->got.decode_tokens_per_s > 0)
        p->decode_tokens_per_s = x->got.decode_tokens_per_s;
    int64_t ms = x->got.first_ms ? clock_ms() - x->got.first_ms : 0;
    if (x->got.decode_tokens_per_s <= 0 && x->got.usage.completion_tokens > 8 && ms > 100)
        p->decode_tokens_per_s = (double)x->got.usage.completion_tokens * 1000 / (double)ms;
    int64_t wait = x->got.first_ms ? x->got.first_ms - x->begun_ms : 0;
    int64_t fresh = x->got.usage.prompt_tokens - (x->got.usage.cached_tokens > 0 ? x->got.usage.cached_tokens : 0);
    if (x->got.prefill_tokens_per_s <= 1 && fresh > 200 && wait > 50)
        p->prefill_tokens_per_s = (double)fresh * 1000 / (double)wait;
}

static int cancelled(struct chat *c, struct reply *out, struct err *e)
{
    struct err why = *e;
    (void)failure_set(out, MODEL_ERR_CANCELLED, c->ep->name, span_of(why.text), e);
    return -ERR_CANCELLED;
}

static void tell(const struct chat_events *ev, const char *why)
{
    if (ev->on_retry)
        ev->on_retry(ev->ctx, why);
}

/* A server that limits its window told us its size: remember it. */
static void learn_window(struct chat *c, const struct exchange *x)
{
    if (x->n_ctx > 0 && (!c->ep->context_tokens || x->n_ctx < c->ep->context_tokens)) {
        c->ep->context_tokens = x->n_ctx;
        c->ep->profile->context_tokens = x->n_ctx;
    }
    if (x->n_prompt > 0) {
        c->counted_tokens = x->n_prompt;
        c->counted_bytes = c->wire.bytes.n;
    }
}

static bool is_lost(enum model_error k)
{
    return k == MODEL_ERR_CONNECT || k == MODEL_ERR_CUT;
}

/* Before it is asked again: a server of ours is started again, others are given time. */
static int before_retry(struct chat *c, struct exchange *x, int retry, int64_t give_up_ms, struct cancel *cancel, struct err *e)
{
    if (c->ep->revive && is_lost(x->error))
        return c->ep->revive(c->ep->revive_ctx, cancel, e);
    return back_off(c, x, retry, give_up_ms, cancel, e);
}

/* After a failed exchange: 1 try again, 0 give up with out and e set, negative cancelled. */
static int after_failure(struct chat *c, struct exchange *x, const struct chat_events *ev, int64_t give_up_ms, struct cancel *cancel,
                         struct reply *out, struct err *e)
{
    const char *what = NULL;
    out->http_status = x->status;
    out->n_prompt = x->n_prompt;
    out->n_ctx = x->n_ctx;
    out->retry_after_ms = x->retry_after_ms > 0 ? x->retry_after_ms : 0;
    if (x->error == MODEL_ERR_CONTEXT) {
        learn_window(c, x);
        /* Some refuse a prompt that fits for the room that a reply is given behind it. */
        if (chat_fit_reply(c, x->n_ctx) && chat_estimate_tokens(c) + c->max_tokens <= x->n_ctx) {
            tell(ev, "its window is smaller than was known: replies get less room");
            return 1;
        }
    }
    if ((x->error == MODEL_ERR_CLIENT || x->error == MODEL_ERR_SERVER) && learn_from(c, x->status, buf_span(&x->words), &what)) {
        int rc = chat_rebuild(c, e);
        if (rc < 0)
            return failure_set(out, MODEL_ERR_LOCAL, c->ep->name, span_of(e->text), e);
        tell(ev, what);
        return 1;
    }
    const struct failure_row *row = failure_row(x->error);
    /* Words that a person has begun to read are not taken back more often than they must. */
    bool again = row->retry && out->retries < (x->error == MODEL_ERR_LOADING ? 1000 : c->max_retries);
    bool ours = c->ep->revive && is_lost(x->error);
    if ((x->error == MODEL_ERR_CUT || x->error == MODEL_ERR_STALLED || x->error == MODEL_ERR_SERVER) && out->retries >= 2 && !ours)
        again = false;
    if (again) {
        char why[200];
        failure_sentence(x->error, c->ep->name, why, sizeof why);
        tell(ev, why);
        int rc = before_retry(c, x, ++out->retries, give_up_ms, cancel, e);
        c->stats.retries++;
        if (rc == 0)
            return 1;
        if (rc == -ERR_CANCELLED)
            return cancelled(c, out, e);
        if (ours) { /* it does not come back, and why says more than that it is gone */
            struct err lost = *e;
            return failure_set(out, x->error, c->ep->name, span_of(lost.text), e);
        }
    }
    return failure_set(out, x->error, c->ep->name, buf_span(&x->words), e);
}

int chat_reply(struct chat *c, const struct chat_events *ev, struct cancel *cancel, struct arena *arena, struct reply *out, struct err *e)
{
    static const struct chat_events silent;
    int64_t begun = clock_ms(), entered = clock_us(), first_ms = 0;
    if (!ev)
        ev = &silent;
    *out = (struct reply){ .usage = { -1, -1, -1 }, .ttft_ms = -1, .n_prompt = -1, .n_ctx = -1, .text = { "", 0 }, .reasoning = { "", 0 } };
    int rc = chat_flush(c, e);
    c->tried_call = false;
    if (rc < 0)
        return failure_set(out, rc == -ERR_LIMIT ? MODEL_ERR_CONTEXT : MODEL_ERR_LOCAL, c->ep->name, span_of(e->text), e);

    for (bool going = true; going;) {
        struct exchange x;
        bool last = c->max_repairs > 0 && out->repairs >= c->max_repairs;
        exchange_init(&x, c, ev);
        /* A model that tried to call and failed is made to call; one that was silent is not made to do anything. */
        bool force = last && c->tried_call && c->ntools && (c->behaviour.tools || c->behaviour.constrain == CONSTRAIN_SCHEMA);
        rc = exchange_run(&x, force ? c->behaviour.constrain : CONSTRAIN_NONE, entered, cancel, e);
        out->requests++;
        if (x.got.first_ms && !first_ms)
            first_ms = x.got.first_ms;
        if (rc == -ERR_CANCELLED) {
            rc = cancelled(c, out, e);
            going = false;
        } else if (rc < 0) {
            rc = failure_set(out, MODEL_ERR_LOCAL, c->ep->name, span_of(e->text), e);
            going = false;
        } else if (x.error && x.error != MODEL_ERR_MODEL) {
            rc = after_failure(c, &x, ev, begun + c->wait_ms, cancel, out, e);
            going = rc > 0;
        } else {
            const char *why = "";
            int64_t end_us = clock_us();
            learn_speed(c, &x);
            veil_end(&x.veil);
            if (x.error) {
                out->http_status = x.status;
                why = "the server could not read what the model wrote";
                c->tried_call = true;
                rc = last || c->max_repairs < 0 ? JUDGE_REASK : judge_server_parse(c, e);
            } else {
                rc = restore_calls(c->ep, &x.got, e);
                if (rc == 0)
                    rc = judge(c, &x.got, last || c->max_repairs < 0, arena, out, &why, e);
            }
            going = false;
            if (rc == JUDGE_USABLE && out->text.n > x.shown)
                shown_text(&x, span_sub(out->text, x.shown, out->text.n)); /* what the veil kept back for nothing */
            if (rc == JUDGE_REASK && (last || c->max_repairs < 0)) {
                rc = failure_set(out, MODEL_ERR_MODEL, c->ep->name, x.words.n ? buf_span(&x.words) : span_of(why), e);
            } else if (rc == JUDGE_REASK) {
                out->repairs++;
                c->stats.repairs++;
                tell(ev, why);
                going = true;
            } else if (rc == JUDGE_CONTEXT) {
                rc = failure_set(out, MODEL_ERR_CONTEXT, c->ep->name, SPAN("it cut the prompt without saying so"), e);
            } else if (rc < 0) {
                rc = failure_set(out, MODEL_ERR_LOCAL, c->ep->name, span_of(e->text), e);
            }
            c->gap_us = clock_us() - end_us;
        }
        exchange_finish(&x);
        entered = clock_us();
    }
    out->duration_ms = clock_ms() - begun;
    out->ttft_ms = first_ms ? first_ms - begun : -1;
    return rc < 0 ? rc : 0;
}
