/*
 * secret - a key that is used and never shown: does not format with %s, wiped when finished.
 *
 *     AUTO(secret) struct secret key = SECRET_INIT;
 *     if (secret_load(loop, endpoint, &key, cancel, e) < 0) ...     // names the source, never the value
 *     ... secret_span(&key) goes into one request header ...
 *
 * An endpoint's key comes from $NAME (key_env), a file (key_file, which others may not read: mode
 * 0600 or 0400) or a command (key_command, first line of output, 10 s). Without any: $STEAD_API_KEY.
 */
#ifndef STEAD_CONFIG_SECRET_H
#define STEAD_CONFIG_SECRET_H

#include "base/buf.h"
#include "base/loop.h"
#include "config/config.h"

#define SECRET_LIMIT 8192

struct secret {
    char *hidden; /* use secret_span */
    size_t n;
};
#define SECRET_INIT { NULL, 0 }

/* 1 loaded, 0 the endpoint names no key and STEAD_API_KEY is unset. loop is needed for key_command only. */
int secret_load(struct loop *loop, const struct config_endpoint *ep, struct secret *out, struct cancel *cancel,
                struct err *e) WARN_UNUSED;
int secret_set(struct secret *s, struct span value, struct err *e) WARN_UNUSED;
struct span secret_span(const struct secret *s);
void secret_finish(struct secret *s);
static inline void secret_auto(struct secret *s)
{
    secret_finish(s);
}

#endif
