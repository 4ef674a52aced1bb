/*
 * url - an endpoint's address taken apart.
 *
 *     struct url u;
 *     if (url_parse("unix:///run/user/1000/stead/e.sock", &u, e) < 0) ...
 *     u.origin "http://localhost", u.socket "/run/...", u.root "", u.api "/v1"
 *
 * http://HOST[:PORT][/PATH], https://..., HOST:PORT (http is meant), unix:///PATH.sock[:/API/PATH],
 * http+unix://%2FPATH.sock[/API/PATH]. A URL with a user name or key in it is refused: it would end
 * up in logs and journals.
 */
#ifndef STEAD_MODEL_URL_H
#define STEAD_MODEL_URL_H

#include <stdbool.h>

#include "base/buf.h"

#define URL_MAX 512 /* longer ones are not addresses of model servers */

struct url {
    char text[URL_MAX];   /* normalised: for people, names of files, comparison */
    char origin[URL_MAX]; /* scheme://host[:port], as libcurl wants it */
    char socket[URL_MAX]; /* path of a unix socket, or "" */
    char host[256];       /* without port and brackets; "" for a socket */
    int port;             /* 0: the scheme's */
    bool tls;
    char root[URL_MAX];   /* path above the API: "" or "/engines"; here live /props, /health, /api/show */
    char api[URL_MAX];    /* path of the API: "/v1", "/engines/v1" */
};

int url_parse(const char *text, struct url *out, struct err *e) WARN_UNUSED;

/* Loopback, a socket, this container's host, a private or link-local address, *.local, *.internal: the user's own machines. */
bool url_is_local(const struct url *u);

#endif
