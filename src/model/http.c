#include "model/http.h"

#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "model/http-internal.h"

int http_create(struct loop *loop, const struct url *url, struct http **out, struct err *e)
{
    const struct http_way *way = http_plain_suits(url) ? &http_plain : &http_curl;
    struct http *h = NULL;
    int r = way->create(loop, url, &h, e);
    if (r < 0)
        return r;
    h->way = way;
    h->loop = loop;
    h->url = *url;
    *out = h;
    return 0;
}

void http_destroy(struct http *h)
{
    if (!h)
        return;
    while (h->transfers)
        http_finish(h->transfers);
    h->way->destroy(h);
}

int http_start(struct http *h, const struct http_request *q, struct http_transfer **out, struct err *e)
{
    struct http_transfer *t = calloc(1, h->way->transfer_size);
    if (!t)
        return err_set(e, ERR_NOMEM, "cannot ask %s: out of memory", h->url.text);
    t->http = h;
    t->next = h->transfers;
    h->transfers = t;
    t->retry_after_ms = -1;
    t->on_data = q->on_data;
    t->ctx = q->ctx;
    t->last_byte_ms = clock_ms();
    int r = 0;
    if (q->nbody > HTTP_PIECES)
        r = err_set(e, ERR_INTERNAL, "cannot ask %s%s: its body has too many pieces", h->url.text, q->path);
    for (size_t i = 0; i < q->nbody && r == 0; i++)
        if (q->body[i].n) {
            t->pieces[t->npieces++] = q->body[i];
            t->total += q->body[i].n;
        }
    if (r == 0)
        r = h->way->start(t, q, e);
    if (r < 0) {
        http_finish(t);
        return r;
    }
    *out = t;
    return 0;
}

const bool *http_done(const struct http_transfer *t)
{
    return &t->done;
}

enum http_how http_how(const struct http_transfer *t)
{
    return t->stopped ? HTTP_STOPPED : t->how;
}

const char *http_error(const struct http_transfer *t)
{
    return t->error;
}

int http_status(const struct http_transfer *t)
{
    if (t->done && !t->status && t->how == HTTP_OK && t->http->way->look)
        t->http->way->look((struct http_transfer *)(uintptr_t)t); /* an answer without a body: the head was not looked at */
    return t->status;
}

struct span http_content_type(const struct http_transfer *t)
{
    return span_of(t->type);
}

const char *http_location(const struct http_transfer *t)
{
    return t->location;
}

int64_t http_retry_after_ms(const struct http_transfer *t)
{
    return t->retry_after_ms;
}

int64_t http_sent_us(const struct http_transfer *t)
{
    return t->sent_us;
}

int64_t http_last_byte_ms(const struct http_transfer *t)
{
    return t->last_byte_ms;
}

bool http_body_sent(const struct http_transfer *t)
{
    return t->body_sent || !t->npieces;
}

void http_finish(struct http_transfer *t)
{
    if (!t)
        return;
    for (struct http_transfer **p = &t->http->transfers; *p; p = &(*p)->next)
        if (*p == t) {
            *p = t->next;
            break;
        }
    t->http->way->drop(t);
    free(t);
}

struct fetch {
    struct buf *out;
    size_t limit;
};

static bool fetch_data(void *ctx, struct span piece)
{
    struct fetch *f = ctx;
    if (piece.n > f->limit)
        return false;
    f->limit -= piece.n;
    return buf_add_span(f->out, piece);
}

int http_fetch(struct http *h, const struct http_request *q, size_t limit, int64_t deadline_ms, struct cancel *cancel,
               struct buf *out, struct err *e)
{
    struct fetch f = { out, limit };
    struct http_request own = *q;
    own.on_data = fetch_data;
    own.ctx = &f;
    struct http_transfer *t;
    int rc = http_start(h, &own, &t, e);
    if (rc < 0)
        return rc;
    rc = loop_wait(h->loop, http_done(t), deadline_ms, cancel, e);
    if (rc < 0) {
        (void)err_wrap(e, "asking %s%s", h->url.text, q->path);
    } else if (http_how(t) == HTTP_STOPPED) {
        rc = err_set(e, ERR_LIMIT, "the answer of %s%s is longer than %zu bytes", h->url.text, q->path, limit);
    } else if (http_how(t) != HTTP_OK) {
        char why[HTTP_ERROR_BYTES];
        clean_into(why, sizeof why, span_of(http_error(t)), CLEAN_LINE);
        rc = err_set(e, http_how(t) == HTTP_NO_CONNECT ? ERR_UNAVAILABLE : ERR_PROTOCOL, "cannot ask %s%s: %s", h->url.text, q->path, why);
    } else {
        rc = http_status(t);
    }
    http_finish(t);
    return rc;
}
