/* HTTP by libcurl, loaded late: names, TLS, proxies, HTTP/2. */
#define LOG_MODULE "http"
#define CURL_DISABLE_TYPECHECK /* its macros stand in the way of calls through a table; mind the L in options */
#include "model/http-internal.h"

#include <curl/curl.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/lazy.h"
#include "base/log.h"
#include "base/num.h"

#define CURL_API(X)                                                                                                     \
    X(curl_global_init) X(curl_easy_init) X(curl_easy_cleanup) X(curl_easy_reset) X(curl_easy_setopt) X(curl_easy_getinfo) \
    X(curl_easy_strerror) X(curl_slist_append) X(curl_slist_free_all) X(curl_multi_init) X(curl_multi_cleanup)            \
    X(curl_multi_add_handle) X(curl_multi_remove_handle) X(curl_multi_setopt) X(curl_multi_socket_action)                 \
    X(curl_multi_info_read) X(curl_multi_assign)
LAZY_DEFINE(curl, CURL_API)

struct curl_http {
    struct http base;
    const struct curl_api *curl;
    CURLM *multi;
    struct loop_source *timer;
    CURL *spare; /* an easy handle kept for the next request */
    int inside;  /* depth of libcurl calls */
};

struct curl_transfer {
    struct http_transfer base;
    CURL *easy;
    struct curl_slist *headers;
    bool in_multi;
    char words[CURL_ERROR_SIZE];
};

static struct curl_http *owner(const struct curl_transfer *t)
{
    return (struct curl_http *)t->base.http;
}

static const struct curl_api *load(struct err *e)
{
    static bool initialised;
    const struct curl_api *c = curl_lazy("libcurl.so.4", "install libcurl4", e);
    if (c && !initialised) {
        if (c->curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
            err_set(e, ERR_UNAVAILABLE, "libcurl does not start");
            return NULL;
        }
        initialised = true;
    }
    return c;
}

static enum http_how how_of(const struct curl_transfer *t, CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return HTTP_OK;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return HTTP_NO_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return t->base.sent_us || t->base.status ? HTTP_CUT : HTTP_NO_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return HTTP_TLS;
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return HTTP_CUT;
    default:
        return HTTP_FAILED;
    }
}

/* Collect what libcurl says has ended. Handles leave the multi here, so that its connection is free again. */
static void reap(struct curl_http *h)
{
    int left;
    CURLMsg *m;
    while ((m = h->curl->curl_multi_info_read(h->multi, &left))) {
        if (m->msg != CURLMSG_DONE)
            continue;
        CURL *easy = m->easy_handle;
        CURLcode result = m->data.result; /* m is gone after the removal */
        struct curl_transfer *t = NULL;
        (void)h->curl->curl_easy_getinfo(easy, CURLINFO_PRIVATE, (void *)&t);
        h->curl->curl_multi_remove_handle(h->multi, easy);
        if (!t)
            continue;
        t->in_multi = false;
        t->base.how = how_of(t, result);
        if (result != CURLE_OK)
            (void)snprintf(t->base.error, sizeof t->base.error, "%s", t->words[0] ? t->words : h->curl->curl_easy_strerror(result));
        t->base.done = true;
    }
    loop_wake(h->base.loop);
}

static void act(struct curl_http *h, curl_socket_t fd, int mask)
{
    int running;
    h->inside++;
    h->curl->curl_multi_socket_action(h->multi, fd, mask, &running);
    h->inside--;
    reap(h);
}

static void on_fd(void *ctx, int fd, unsigned events)
{
    act(ctx, fd, ((events & LOOP_READ) ? CURL_CSELECT_IN : 0) | ((events & LOOP_WRITE) ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *ctx)
{
    struct curl_http *h = ctx;
    h->timer = NULL; /* fired once: the loop dropped it */
    act(h, CURL_SOCKET_TIMEOUT, 0);
}

static int want_timer(CURLM *multi, long ms, void *ctx)
{
    struct curl_http *h = ctx;
    (void)multi;
    loop_remove(h->timer);
    h->timer = NULL;
    if (ms >= 0)
        h->timer = loop_timer(h->base.loop, ms, false, on_timer, h);
    return ms >= 0 && !h->timer ? -1 : 0;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *source)
{
    struct curl_http *h = ctx;
    struct loop_source *s = source;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        loop_remove(s);
        h->curl->curl_multi_assign(h->multi, fd, NULL);
        return 0;
    }
    unsigned events = ((what & CURL_POLL_IN) ? LOOP_READ : 0u) | ((what & CURL_POLL_OUT) ? LOOP_WRITE : 0u);
    if (s) {
        loop_fd_events(s, events);
        return 0;
    }
    s = loop_fd(h->base.loop, fd, events, on_fd, h);
    if (!s)
        return -1;
    h->curl->curl_multi_assign(h->multi, fd, s);
    return 0;
}

static size_t give_body(char *out, size_t size, size_t count, void *ctx)
{
    struct http_transfer *t = ctx; /* base comes first */
    size_t room = size * count, n = 0;
    if (!t->sent_us)
        t->sent_us = clock_us();
    t->last_byte_ms = clock_ms();
    while (n < room && t->at_piece < t->npieces) {
        struct span s = span_sub(t->pieces[t->at_piece], t->at_byte, room - n);
        memcpy(out + n, s.p, s.n);
        n += s.n;
        t->at_byte += s.n;
        if (t->at_byte == t->pieces[t->at_piece].n) {
            t->at_piece++;
            t->at_byte = 0;
        }
    }
    t->body_sent = t->at_piece == t->npieces;
    return n;
}

/* libcurl sends again from the start when a kept connection turned out to be dead. */
static int rewind_body(void *ctx, curl_off_t offset, int origin)
{
    struct http_transfer *t = ctx; /* base comes first */
    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    t->at_piece = t->at_byte = 0;
    t->body_sent = false;
    return CURL_SEEKFUNC_OK;
}

static void look(struct http_transfer *base)
{
    struct curl_transfer *t = (struct curl_transfer *)base;
    if (base->status)
        return;
    const struct curl_api *c = owner(t)->curl;
    long status = 0;
    char *type = NULL;
    char *to = NULL;
    curl_off_t after = -1;
    c->curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    c->curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    c->curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after);
    c->curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
    base->status = (int)status;
    (void)snprintf(base->type, sizeof base->type, "%s", type ? type : "");
    (void)snprintf(base->location, sizeof base->location, "%s", to ? to : "");
    if (after > 0)
        base->retry_after_ms = (after > 86400 ? 86400 : (int64_t)after) * 1000;
}

static size_t take_data(char *data, size_t size, size_t count, void *ctx)
{
    struct http_transfer *t = ctx;
    size_t n = size * count;
    look(t);
    t->last_byte_ms = clock_ms();
    if (t->on_data && n && !t->on_data(t->ctx, (struct span){ data, n })) {
        t->stopped = true;
        return n + 1; /* not n: libcurl ends the transfer */
    }
    return n;
}

static int create(struct loop *loop, const struct url *url, struct http **out, struct err *e)
{
    (void)loop;
    const struct curl_api *c = load(e);
    if (!c)
        return -(int)e->kind;
    struct curl_http *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(e, ERR_NOMEM, "cannot talk to %s: out of memory", url->text);
    h->curl = c;
    h->multi = c->curl_multi_init();
    if (!h->multi) {
        free(h);
        return err_set(e, ERR_NOMEM, "cannot talk to %s: out of memory", url->text);
    }
    c->curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    c->curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    c->curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    c->curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    c->curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 4L);
    *out = &h->base;
    return 0;
}

static void destroy(struct http *base)
{
    struct curl_http *h = (struct curl_http *)base;
    if (h->spare)
        h->curl->curl_easy_cleanup(h->spare);
    h->curl->curl_multi_cleanup(h->multi);
    loop_remove(h->timer);
    free(h);
}

static bool add_header(struct curl_transfer *t, const char *line)
{
    struct curl_slist *l = owner(t)->curl->curl_slist_append(t->headers, line);
    if (!l)
        return false;
    t->headers = l;
    return true;
}

/* Options of one request. Each value's type is what libcurl documents: long, pointer or curl_off_t. */
static bool configure(struct curl_transfer *t, const struct http_request *q)
{
    struct http *h = t->base.http;
    const struct curl_api *c = owner(t)->curl;
    CURL *x = t->easy;
    char url[2 * URL_MAX];
    if ((size_t)snprintf(url, sizeof url, "%s%s", h->url.origin, q->path) >= sizeof url)
        return false;
    bool ok = c->curl_easy_setopt(x, CURLOPT_URL, url) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_PRIVATE, t) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_ERRORBUFFER, t->words) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_WRITEFUNCTION, take_data) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_WRITEDATA, t) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_CONNECTTIMEOUT_MS, (long)(q->connect_ms ? q->connect_ms : HTTP_CONNECT_MS)) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK; /* a redirect would carry the prompt elsewhere */
    ok &= c->curl_easy_setopt(x, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_BUFFERSIZE, 65536L) == CURLE_OK;
    ok &= c->curl_easy_setopt(x, CURLOPT_HTTP_VERSION, (long)(h->url.tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1)) == CURLE_OK;
    const char *trusted = getenv("SSL_CERT_FILE"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    if (h->url.tls && trusted && trusted[0])
        ok &= c->curl_easy_setopt(x, CURLOPT_CAINFO, trusted) == CURLE_OK;
    if (h->url.socket[0])
        ok &= c->curl_easy_setopt(x, CURLOPT_UNIX_SOCKET_PATH, h->url.socket) == CURLE_OK;
    if (url_is_local(&h->url))
        ok &= c->curl_easy_setopt(x, CURLOPT_NOPROXY, "*") == CURLE_OK; /* a company's proxy cannot reach this machine */
    if (q->body) {
        ok &= c->curl_easy_setopt(x, CURLOPT_POST, 1L) == CURLE_OK;
        ok &= c->curl_easy_setopt(x, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->base.total) == CURLE_OK;
        ok &= c->curl_easy_setopt(x, CURLOPT_READFUNCTION, give_body) == CURLE_OK;
        ok &= c->curl_easy_setopt(x, CURLOPT_READDATA, t) == CURLE_OK;
        ok &= c->curl_easy_setopt(x, CURLOPT_SEEKFUNCTION, rewind_body) == CURLE_OK;
        ok &= c->curl_easy_setopt(x, CURLOPT_SEEKDATA, t) == CURLE_OK;
        ok &= c->curl_easy_setopt(x, CURLOPT_UPLOAD_BUFFERSIZE, 262144L) == CURLE_OK;
        ok &= add_header(t, "Content-Type: application/json") && add_header(t, "Expect:");
    }
    if (q->method)
        ok &= c->curl_easy_setopt(x, CURLOPT_CUSTOMREQUEST, q->method) == CURLE_OK;
    for (size_t i = 0; q->headers && q->headers[i]; i++)
        ok &= add_header(t, q->headers[i]);
    ok &= add_header(t, "User-Agent: stead");
    ok &= c->curl_easy_setopt(x, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK;
    return ok;
}

static int start(struct http_transfer *base, const struct http_request *q, struct err *e)
{
    struct curl_transfer *t = (struct curl_transfer *)base;
    struct curl_http *h = owner(t);
    t->easy = h->spare ? TAKE(h->spare) : h->curl->curl_easy_init();
    if (!t->easy || !configure(t, q))
        return err_set(e, ERR_INTERNAL, "cannot ask %s%s: libcurl refuses the request", h->base.url.text, q->path);
    CURLMcode mc = h->curl->curl_multi_add_handle(h->multi, t->easy);
    if (mc != CURLM_OK)
        return err_set(e, ERR_INTERNAL, "cannot ask %s%s: libcurl refuses the request (%d)", h->base.url.text, q->path, (int)mc);
    t->in_multi = true;
    if (!h->inside)
        act(h, CURL_SOCKET_TIMEOUT, 0); /* at once: a turn of the loop is time the model waits */
    return 0;
}

static void drop(struct http_transfer *base)
{
    struct curl_transfer *t = (struct curl_transfer *)base;
    struct curl_http *h = owner(t);
    if (t->in_multi)
        h->curl->curl_multi_remove_handle(h->multi, t->easy); /* half an answer is left: libcurl closes the connection */
    if (t->easy) {
        h->curl->curl_easy_reset(t->easy);
        if (!h->spare)
            h->spare = t->easy;
        else
            h->curl->curl_easy_cleanup(t->easy);
    }
    h->curl->curl_slist_free_all(t->headers);
}

const struct http_way http_curl = {
    .create = create,
    .destroy = destroy,
    .transfer_size = sizeof(struct curl_transfer),
    .start = start,
    .drop = drop,
    .look = look,
};
