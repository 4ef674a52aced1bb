/*
 * HTTP/1.1 spoken here, for servers on this machine and in private networks: a socket, the request's bytes,
 * an answer with a length, in chunks, or up to the end of the connection (RFC 9112, sections 6 and 7).
 *
 *   HEAD -> LENGTH | SIZE -> CHUNK -> CHUNK_END -> SIZE ... -> TRAILER | TO_END -> done
 *
 * One idle connection is kept. A kept connection that turns out to be dead before a byte of the answer came is
 * made anew, once: nothing was lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "model/http-internal.h"

enum {
    HEAD_BYTES = 64 << 10,    /* of an answer's head, and of a request's: cookies of a proxy, a long key */
    LINE_BYTES = 4096,        /* of a chunk's size line, with extensions */
    READ_BYTES = 64 << 10,
    ADDRESSES = 2,            /* localhost: 127.0.0.1, then ::1 */
};

enum state { HEAD, LENGTH, SIZE, CHUNK, CHUNK_END, TRAILER, TO_END };

struct plain_http {
    struct http base;
    int idle; /* kept connection, or -1 */
};

struct plain_transfer {
    struct http_transfer base;
    int fd;
    struct loop_source *source, *timer;
    struct buf head;    /* of the request */
    size_t head_at;
    struct buf in;      /* of the answer, not yet understood: head, or a line */
    enum state state;
    int64_t left;       /* of the body or the chunk */
    int address;        /* which one is tried */
    int connections;    /* made or taken so far: tells that the one in hand is another */
    int64_t connect_ms;
    bool kept;          /* the connection was used before */
    bool connected, answered, close_after;
};

static void on_ready(void *ctx, int fd, unsigned events);

/* --- addresses --- */

static bool literal(const char *host, int port, struct sockaddr_storage *ss, socklen_t *n)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
    memset(ss, 0, sizeof *ss);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(ss, &v4, sizeof v4);
        *n = sizeof v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(ss, &v6, sizeof v6);
        *n = sizeof v6;
        return true;
    }
    return false;
}

static bool address_of(const struct url *u, int which, struct sockaddr_storage *ss, socklen_t *n)
{
    int port = u->port ? u->port : 80;
    if (u->socket[0]) {
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        size_t len = strlen(u->socket);
        if (which > 0 || len >= sizeof un.sun_path)
            return false;
        memcpy(un.sun_path, u->socket, len + 1);
        memset(ss, 0, sizeof *ss);
        memcpy(ss, &un, sizeof un);
        *n = sizeof un;
        return true;
    }
    if (strcasecmp(u->host, "localhost") == 0)
        return which < ADDRESSES && literal(which ? "::1" : "127.0.0.1", port, ss, n);
    return which == 0 && literal(u->host, port, ss, n);
}

bool http_plain_suits(const struct url *url)
{
    struct sockaddr_storage ss;
    socklen_t n;
    /* A public address may lie behind a proxy, which is libcurl's matter. */
    return !url->tls && (url->socket[0] || url_is_local(url)) && address_of(url, 0, &ss, &n);
}

/* --- ending --- */

static void let_go(struct plain_transfer *t)
{
    loop_remove(t->source);
    loop_remove(t->timer);
    t->source = t->timer = NULL;
}

static void end(struct plain_transfer *t, enum http_how how, const char *why, int sys)
{
    struct plain_http *h = (struct plain_http *)t->base.http;
    let_go(t);
    if (how == HTTP_OK && !t->close_after && t->base.at_piece == t->base.npieces && h->idle < 0)
        h->idle = take_fd(&t->fd);
    fd_close(&t->fd);
    char text[64] = "";
    if (sys)
        (void)snprintf(text, sizeof text, ": %s", strerrordesc_np(sys));
    (void)snprintf(t->base.error, sizeof t->base.error, "%s%s", why, text);
    t->base.how = how;
    t->base.done = true;
    loop_wake(h->base.loop);
}

/* --- the answer --- */

static bool header_is(struct span line, const char *name, struct span *value)
{
    size_t n = strlen(name);
    if (line.n <= n || line.p[n] != ':' || strncasecmp(line.p, name, n) != 0)
        return false;
    *value = span_trim(span_sub(line, n + 1, line.n));
    return true;
}

static bool has_token(struct span value, const char *token)
{
    struct span part;
    while (span_split(&value, ',', &part)) {
        part = span_trim(part);
        if (part.n == strlen(token) && strncasecmp(part.p, token, part.n) == 0)
            return true;
    }
    return false;
}

/* The head is whole: false when it is no answer of HTTP. `packed`: the body is compressed. */
static bool understand_head(struct plain_transfer *t, struct span head, bool *packed)
{
    struct span line, v, rest = head;
    struct err ignored = ERR_INIT;
    int64_t status, length = -1, after;
    bool chunked = false;
    if (!span_line(&rest, &line) || !span_starts(line, "HTTP/1.") || line.n < 12 ||
        parse_i64(span_sub(line, 9, 3), 100, 999, &status, &ignored) < 0)
        return false;
    t->close_after = line.p[7] == '0';
    while (span_line(&rest, &line)) {
        if (header_is(line, "Content-Type", &v))
            (void)snprintf(t->base.type, sizeof t->base.type, "%.*s", (int)v.n, v.p);
        else if (header_is(line, "Location", &v))
            (void)snprintf(t->base.location, sizeof t->base.location, "%.*s", (int)v.n, v.p);
        else if (header_is(line, "Content-Encoding", &v))
            *packed = !has_token(v, "identity");
        else if (header_is(line, "Content-Length", &v)) {
            if (parse_i64(v, 0, INT64_MAX, &length, &ignored) < 0)
                return false;
        } else if (header_is(line, "Transfer-Encoding", &v))
            chunked = has_token(v, "chunked");
        else if (header_is(line, "Connection", &v)) {
            t->close_after = t->close_after || has_token(v, "close");
        } else if (header_is(line, "Retry-After", &v) && parse_i64(v, 0, INT32_MAX, &after, &ignored) >= 0)
            t->base.retry_after_ms = (after > 86400 ? 86400 : after) * 1000;
    }
    if (status < 200)
        return true; /* 100 Continue: the answer follows */
    t->base.status = (int)status;
    if (status == 204 || status == 304)
        length = 0;
    t->left = length;
    t->state = chunked ? SIZE : length >= 0 ? LENGTH : TO_END;
    if (t->state == TO_END)
        t->close_after = true;
    return true;
}

/* Bytes of the body; false when the receiver wants no more. */
static bool give(struct plain_transfer *t, struct span piece)
{
    if (piece.n == 0 || !t->base.on_data || t->base.on_data(t->base.ctx, piece))
        return true;
    t->base.stopped = true;
    end(t, HTTP_STOPPED, "stopped", 0);
    return false;
}

/* Move bytes up to and with a line's end into t->in: true when the line is whole (without its end, in *line). */
static bool gather_line(struct plain_transfer *t, struct span *data, struct span *line)
{
    const char *nl = memchr(data->p, '\n', data->n);
    size_t n = nl ? (size_t)(nl - data->p) + 1 : data->n;
    buf_add(&t->in, data->p, n);
    *data = span_sub(*data, n, data->n);
    if (!nl)
        return false;
    *line = buf_span(&t->in);
    line->n -= line->n > 1 && line->p[line->n - 2] == '\r' ? 2 : 1;
    return true;
}

static bool chunk_size(struct span line, int64_t *size)
{
    size_t n = 0;
    int64_t v = 0;
    for (; n < line.n; n++) {
        char c = line.p[n];
        int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0)
            break;
        if (v > INT64_MAX >> 5)
            return false;
        v = v * 16 + d;
    }
    *size = v;
    return n > 0 && (n == line.n || line.p[n] == ';' || line.p[n] == ' ' || line.p[n] == '\t');
}

static void take_head(struct plain_transfer *t, struct span *data)
{
    while (data->n > 0 && t->state == HEAD) {
        const char *nl = memchr(data->p, '\n', data->n);
        size_t n = nl ? (size_t)(nl - data->p) + 1 : data->n;
        buf_add(&t->in, data->p, n);
        *data = span_sub(*data, n, data->n);
        if (t->in.failed) {
            end(t, HTTP_FAILED, "the head of the answer is too long", 0);
            return;
        }
        if (!nl)
            return;
        /* The line may have come in several pieces. */
        const char *before = t->in.n > 1 ? memrchr(t->in.p, '\n', t->in.n - 1) : NULL;
        size_t at = before ? (size_t)(before - t->in.p) + 1 : 0;
        if (span_trim(span_sub(buf_span(&t->in), at, t->in.n)).n > 0)
            continue;
        bool packed = false;
        if (at > 0 && !understand_head(t, span_sub(buf_span(&t->in), 0, at), &packed)) {
            end(t, HTTP_FAILED, "the answer is not HTTP", 0);
            return;
        }
        if (packed) {
            end(t, HTTP_FAILED, "the answer is compressed, which was not asked for", 0);
            return;
        }
        buf_reset(&t->in);
    }
}

static void take_line(struct plain_transfer *t, struct span *data)
{
    struct span line;
    if (!gather_line(t, data, &line)) {
        if (t->in.n > LINE_BYTES)
            end(t, HTTP_FAILED, "the answer's chunks are malformed", 0);
        return;
    }
    if (t->state == SIZE) {
        if (!chunk_size(line, &t->left)) {
            end(t, HTTP_FAILED, "the answer's chunks are malformed", 0);
            return;
        }
        t->state = t->left > 0 ? CHUNK : TRAILER;
    } else if (t->state == CHUNK_END) {
        if (line.n > 0) {
            end(t, HTTP_FAILED, "the answer's chunks are malformed", 0);
            return;
        }
        t->state = SIZE;
    } else if (line.n == 0) { /* TRAILER */
        buf_reset(&t->in);
        end(t, HTTP_OK, "", 0);
        return;
    }
    buf_reset(&t->in);
}

static void take(struct plain_transfer *t, struct span data)
{
    t->answered = true;
    do {
        size_t n;
        switch (t->state) {
        case HEAD: take_head(t, &data); break;
        case LENGTH:
        case CHUNK:
            n = (int64_t)data.n > t->left ? (size_t)t->left : data.n;
            if (!give(t, span_sub(data, 0, n)))
                return;
            t->left -= (int64_t)n;
            data = span_sub(data, n, data.n);
            if (t->left == 0 && t->state == LENGTH) {
                if (data.n > 0)
                    t->close_after = true; /* more than it said: not a connection to trust */
                end(t, HTTP_OK, "", 0);
                return;
            }
            if (t->left == 0)
                t->state = CHUNK_END;
            break;
        case SIZE:
        case CHUNK_END:
        case TRAILER: take_line(t, &data); break;
        case TO_END:
            if (!give(t, data))
                return;
            data.n = 0;
            break;
        }
        /* A body of no bytes is whole with its head. */
        if (!t->base.done && t->state == LENGTH && t->left == 0)
            end(t, HTTP_OK, "", 0);
    } while (data.n > 0 && !t->base.done);
}

/* --- connecting, sending, receiving --- */

static void begin(struct plain_transfer *t);

/* The connection broke. A kept one that had not answered is made anew. */
static void broken(struct plain_transfer *t, int sys)
{
    let_go(t);
    fd_close(&t->fd);
    if (t->kept && !t->answered) {
        t->kept = false;
        t->head_at = t->base.at_piece = t->base.at_byte = 0;
        t->base.body_sent = false;
        begin(t);
        return;
    }
    if (!t->connected) {
        t->address++;
        struct sockaddr_storage ss;
        socklen_t n;
        if (address_of(&t->base.http->url, t->address, &ss, &n))
            begin(t);
        else
            end(t, HTTP_NO_CONNECT, "cannot connect", sys);
        return;
    }
    if (t->state == TO_END && sys == 0)
        end(t, HTTP_OK, "", 0);
    else
        end(t, HTTP_CUT, t->answered ? "the connection broke in the midst of the answer" : "the server closed the connection without an answer", sys);
}

static void connect_timed_out(void *ctx)
{
    struct plain_transfer *t = ctx;
    t->timer = NULL; /* fired once: the loop dropped it */
    if (!t->connected)
        end(t, HTTP_NO_CONNECT, "cannot connect", ETIMEDOUT);
}

static void receive(struct plain_transfer *t)
{
    char data[READ_BYTES];
    for (int turns = 0; turns < 16 && !t->base.done; turns++) {
        ssize_t n = recv(t->fd, data, sizeof data, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            broken(t, n < 0 ? errno : 0);
            return;
        }
        t->base.last_byte_ms = clock_ms();
        take(t, (struct span){ data, (size_t)n });
        if ((size_t)n < sizeof data)
            return;
    }
}

static size_t gather(const struct plain_transfer *t, struct iovec v[1 + HTTP_PIECES])
{
    size_t n = 0;
    if (t->head_at < t->head.n)
        v[n++] = (struct iovec){ t->head.p + t->head_at, t->head.n - t->head_at };
    for (size_t i = t->base.at_piece; i < t->base.npieces; i++) {
        size_t at = i == t->base.at_piece ? t->base.at_byte : 0;
        v[n++] = (struct iovec){ (void *)(uintptr_t)(t->base.pieces[i].p + at), t->base.pieces[i].n - at };
    }
    return n;
}

static void advance(struct plain_transfer *t, size_t sent)
{
    size_t n = t->head.n - t->head_at < sent ? t->head.n - t->head_at : sent;
    t->head_at += n;
    sent -= n;
    while (sent > 0) {
        size_t left = t->base.pieces[t->base.at_piece].n - t->base.at_byte;
        n = left < sent ? left : sent;
        t->base.at_byte += n;
        sent -= n;
        if (n == left) {
            t->base.at_piece++;
            t->base.at_byte = 0;
        }
    }
    t->base.body_sent = t->base.at_piece == t->base.npieces;
}

/* True when all is sent; false while it waits, or when the connection broke. */
static bool send_all(struct plain_transfer *t)
{
    for (;;) {
        struct iovec v[1 + HTTP_PIECES];
        struct msghdr m = { .msg_iov = v, .msg_iovlen = gather(t, v) };
        if (m.msg_iovlen == 0)
            return true;
        ssize_t n = sendmsg(t->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN || errno == EINPROGRESS))
            return false;
        if (n < 0) {
            int sys = errno;
            /* An answer may be there already: "too large", and closed. */
            if (t->connected && (sys == EPIPE || sys == ECONNRESET))
                receive(t);
            if (!t->base.done && t->fd >= 0)
                broken(t, sys);
            return false;
        }
        t->connected = true;
        loop_remove(t->timer);
        t->timer = NULL;
        if (!t->base.sent_us)
            t->base.sent_us = clock_us();
        t->base.last_byte_ms = clock_ms();
        advance(t, (size_t)n);
    }
}

static void on_ready(void *ctx, int fd, unsigned events)
{
    struct plain_transfer *t = ctx;
    (void)fd;
    if (!t->connected) {
        int sys = 0;
        socklen_t n = sizeof sys;
        if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &sys, &n) < 0 || sys) {
            broken(t, sys ? sys : errno);
            return;
        }
        t->connected = true;
        loop_remove(t->timer);
        t->timer = NULL;
    }
    if (t->head_at < t->head.n || t->base.at_piece < t->base.npieces) {
        int used = t->connections;
        if (send_all(t))
            loop_fd_events(t->source, LOOP_READ);
        if (t->base.done || t->connections != used)
            return;
    }
    if (events & LOOP_READ)
        receive(t);
}

/* A kept connection that the server has not closed meanwhile; -1. */
static int take_idle(struct plain_http *h)
{
    char byte;
    if (h->idle < 0)
        return -1;
    ssize_t n = recv(h->idle, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return take_fd(&h->idle);
    fd_close(&h->idle);
    return -1;
}

static void begin(struct plain_transfer *t)
{
    struct plain_http *h = (struct plain_http *)t->base.http;
    struct sockaddr_storage ss = { .ss_family = AF_UNSPEC }; /* no address: socket() refuses it */
    socklen_t n = 0;
    t->fd = t->connections++ ? -1 : take_idle(h);
    t->kept = t->connected = t->fd >= 0;
    if (t->fd < 0) {
        (void)address_of(&h->base.url, t->address, &ss, &n);
        t->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (t->fd < 0) {
            end(t, HTTP_FAILED, "cannot make a socket", errno);
            return;
        }
        int one = 1;
        if (ss.ss_family != AF_UNIX) {
            (void)setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            (void)setsockopt(t->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
        }
        if (connect(t->fd, (struct sockaddr *)&ss, n) == 0)
            t->connected = true;
        else if (errno != EINPROGRESS && errno != EAGAIN) {
            broken(t, errno);
            return;
        }
    }
    int used = t->connections;
    bool sent = send_all(t);
    if (t->base.done || t->connections != used)
        return;
    t->source = loop_fd(h->base.loop, t->fd, sent ? LOOP_READ : LOOP_READ | LOOP_WRITE, on_ready, t);
    if (!t->connected && !t->timer)
        t->timer = loop_timer(h->base.loop, t->connect_ms, false, connect_timed_out, t);
    if (!t->source || (!t->connected && !t->timer))
        end(t, HTTP_FAILED, "out of memory", 0);
}

static int start(struct http_transfer *base, const struct http_request *q, struct err *e)
{
    struct plain_transfer *t = (struct plain_transfer *)base;
    const struct url *u = &base->http->url;
    const char *host = strstr(u->origin, "://");
    buf_init(&t->head, HEAD_BYTES);
    buf_init(&t->in, HEAD_BYTES);
    t->fd = -1;
    t->connect_ms = q->connect_ms ? q->connect_ms : HTTP_CONNECT_MS;
    buf_addf(&t->head, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: stead\r\nAccept: */*\r\n", q->method ? q->method : q->body ? "POST" : "GET", q->path,
             u->socket[0] ? "localhost" : host ? host + 3 : u->host);
    if (q->body)
        buf_addf(&t->head, "Content-Type: application/json\r\nContent-Length: %zu\r\n", base->total);
    for (size_t i = 0; q->headers && q->headers[i]; i++)
        if (strpbrk(q->headers[i], "\r\n"))
            return err_set(e, ERR_INPUT, "cannot ask %s: a header holds a line break", u->text);
        else
            buf_addf(&t->head, "%s\r\n", q->headers[i]);
    buf_adds(&t->head, "\r\n");
    if (strpbrk(q->path, "\r\n "))
        return err_set(e, ERR_INPUT, "cannot ask %s: the path holds a blank", u->text);
    if (buf_check(&t->head, e) < 0)
        return err_wrap(e, "asking %s", u->text);
    begin(t);
    return 0;
}

static void drop(struct http_transfer *base)
{
    struct plain_transfer *t = (struct plain_transfer *)base;
    if (!t->head.limit)
        return; /* it was never started */
    let_go(t);
    fd_close(&t->fd); /* before the end of an answer: the server sees that nobody listens */
    mem_wipe(t->head.p, t->head.p ? t->head.n : 0); /* it may hold a key */
    buf_finish(&t->head);
    buf_finish(&t->in);
}

static int create(struct loop *loop, const struct url *url, struct http **out, struct err *e)
{
    (void)loop;
    struct plain_http *h = calloc(1, sizeof *h);
    if (!h)
        return err_set(e, ERR_NOMEM, "cannot talk to %s: out of memory", url->text);
    h->idle = -1;
    *out = &h->base;
    return 0;
}

static void destroy(struct http *base)
{
    struct plain_http *h = (struct plain_http *)base;
    fd_close(&h->idle);
    free(h);
}

const struct http_way http_plain = {
    .create = create,
    .destroy = destroy,
    .transfer_size = sizeof(struct plain_transfer),
    .start = start,
    .drop = drop,
};
