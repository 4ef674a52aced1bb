/*
 * server - a llama-server of the user's as our child: its flags, its log, why it ended.
 *
 *     struct server_spec spec = { .program = "llama-server", .model = path, .socket = sock, .log = log, ... };
 *     server_start(loop, &spec, &s, e);     // one that served this socket before is ended first
 *     while (!answers(sock) && server_running(s)) ...
 *     if (server_retries(s)) ...            // it refused a flag that it can do without: start again, it is left out
 *     server_words(s)                       // why it ended, as far as it said
 *     server_stop(sock);
 *
 * Servers belong to this module, at most SERVERS_MAX, and end with this process. Versions differ in what they understand:
 * flags that one does not know are left out from its next start on. What it prints goes to server-log.h.
 * The loop's thread.
 */
#ifndef STEAD_INFERENCE_SERVER_H
#define STEAD_INFERENCE_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

#define SERVERS_MAX 8

struct server;

struct server_spec {
    const char *program, *model, *socket, *log;
    const char *kv_type;     /* of keys and values */
    int64_t ctx_tokens;      /* of each slot; 0: its own default */
    int slots;
    int threads;             /* 0: its own default */
    int gpu_layers;          /* negative: its own default */
    int64_t cache_mib;       /* for conversations that lost their slot; 0: its own default */
    int64_t idle_ms;         /* gives its memory back after */
};

int server_start(struct loop *loop, const struct server_spec *spec, struct server **out, struct err *e) WARN_UNUSED;
bool server_running(const struct server *s);
/* Ended by a signal: it may do better the next time. */
bool server_killed(const struct server *s);
/* It ended because of a flag that is not needed: the next start does without it. */
bool server_retries(struct server *s);
/* "ended with code 1: its words", for a message. */
const char *server_words(const struct server *s, char *out, size_t size);
/* The child of ours that serves this socket, or NULL. */
struct server *server_at(const char *socket);
/* End it: false when it is none of ours. */
bool server_stop(const char *socket);

#endif
