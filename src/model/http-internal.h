/*
 * What http.c (the interface) shares with its two ways: http-plain.c, which speaks HTTP/1.1 itself to servers
 * on this machine and in private networks, and http-curl.c for names, TLS and proxies. Loading libcurl and its thirty
 * libraries costs 8 ms and 8 MiB: more than all the rest of a short run against a local server.
 */
#ifndef STEAD_MODEL_HTTP_INTERNAL_H
#define STEAD_MODEL_HTTP_INTERNAL_H

#include "model/http.h"

enum { HTTP_PIECES = 4, HTTP_ERROR_BYTES = 256 };

struct http_way {
    int (*create)(struct loop *loop, const struct url *url, struct http **out, struct err *e);
    void (*destroy)(struct http *h);
    size_t transfer_size;
    /* t is filled as far as http.c knows; on failure http.c calls drop. */
    int (*start)(struct http_transfer *t, const struct http_request *q, struct err *e);
    void (*drop)(struct http_transfer *t); /* not freed */
    void (*look)(struct http_transfer *t); /* NULL, or: fill status and type if not yet known */
};
extern const struct http_way http_curl, http_plain;
/* Can it be reached without libcurl: a socket, or plain HTTP to an address, or to localhost? */
bool http_plain_suits(const struct url *url);

/* First member of each way's own. */
struct http {
    const struct http_way *way;
    struct loop *loop;
    struct url url;
    struct http_transfer *transfers; /* list */
};

struct http_transfer {
    struct http *http;
    struct http_transfer *next;
    struct span pieces[HTTP_PIECES]; /* of the body */
    size_t npieces, at_piece, at_byte, total;
    bool (*on_data)(void *ctx, struct span piece);
    void *ctx;
    bool done, stopped, body_sent;
    enum http_how how; /* when done */
    int status;
    char type[96];
    char location[160]; /* where a redirection points */
    int64_t retry_after_ms, sent_us, last_byte_ms;
    char error[HTTP_ERROR_BYTES];
};

#endif
