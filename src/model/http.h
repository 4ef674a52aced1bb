/*
 * http - requests to one server over kept connections, driven by the loop (libcurl, loaded late).
 *
 *     struct http *h;
 *     if (http_create(loop, &url, &h, e) < 0) ...
 *     struct http_request q = { .path = "/v1/chat/completions", .headers = hdrs, .body = pieces, .nbody = 2,
 *                               .on_data = feed, .ctx = x };
 *     struct http_transfer *t;
 *     if (http_start(h, &q, &t, e) < 0) ...
 *     loop_wait(loop, http_done(t), deadline, cancel, e);
 *     http_finish(t);          // before its end: closes the connection at once
 *
 * The body is sent from the caller's memory, which must stay until the transfer is finished. The
 * connection is kept for the next request unless a transfer was abandoned. on_data runs inside
 * libcurl: it may not start or finish transfers; returning false abandons.
 */
#ifndef STEAD_MODEL_HTTP_H
#define STEAD_MODEL_HTTP_H

#include "base/loop.h"
#include "model/url.h"

#define HTTP_CONNECT_MS 5000 /* to reach a server; it may have to be resolved */

struct http;
struct http_transfer;

struct http_request {
    const char *path;                 /* from the root of the server */
    const char *const *headers;       /* "Name: value", NULL-terminated; NULL none */
    const struct span *body;          /* pieces in order; NULL: GET */
    size_t nbody;
    const char *method;               /* NULL: POST with a body, else GET */
    int64_t connect_ms;               /* 0: HTTP_CONNECT_MS */
    bool (*on_data)(void *ctx, struct span piece);
    void *ctx;
};

enum http_how {
    HTTP_OK,         /* an answer came, whole as far as HTTP can tell */
    HTTP_NO_CONNECT, /* refused, unreachable, name unknown, no such socket */
    HTTP_TLS,        /* certificate, handshake */
    HTTP_CUT,        /* the connection broke after the request was sent */
    HTTP_STOPPED,    /* on_data said so */
    HTTP_FAILED,     /* anything else: error() says what */
};

int http_create(struct loop *loop, const struct url *url, struct http **out, struct err *e) WARN_UNUSED;
void http_destroy(struct http *h); /* finishes its transfers */

int http_start(struct http *h, const struct http_request *q, struct http_transfer **out, struct err *e) WARN_UNUSED;
const bool *http_done(const struct http_transfer *t);
enum http_how http_how(const struct http_transfer *t);
const char *http_error(const struct http_transfer *t);  /* libcurl's words */
int http_status(const struct http_transfer *t);         /* 0 until the head came */
struct span http_content_type(const struct http_transfer *t);
const char *http_location(const struct http_transfer *t);   /* where a redirection points, or ""; none is followed: the key would go along */
int64_t http_retry_after_ms(const struct http_transfer *t); /* -1: the server does not say */
int64_t http_sent_us(const struct http_transfer *t);    /* clock_us when the first body byte was handed over; 0 not yet */
int64_t http_last_byte_ms(const struct http_transfer *t); /* clock_ms of the last byte either way */
bool http_body_sent(const struct http_transfer *t);
void http_finish(struct http_transfer *t);              /* NULL is allowed */

/* A whole small exchange: body of the answer (at most limit bytes) appended to out; returns the status. */
int http_fetch(struct http *h, const struct http_request *q, size_t limit, int64_t deadline_ms, struct cancel *cancel,
               struct buf *out, struct err *e) WARN_UNUSED;

#endif
