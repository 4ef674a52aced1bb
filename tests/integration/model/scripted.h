/*
 * scripted - the scripted model server, started for one test and stopped after it.
 */
#ifndef STEAD_TESTS_MODEL_SCRIPTED_H
#define STEAD_TESTS_MODEL_SCRIPTED_H

#include <jansson.h>

#include "base/loop.h"
#include "base/proc.h"

struct scripted {
    struct proc *proc;
    char dir[64], record[128];
    char url[160];
};

/* Start it with this script; the test fails when it does not come up. unix_socket: instead of a port. */
void scripted_start(struct scripted *s, struct loop *loop, const json_t *script, bool unix_socket);
/*
 * The requests so far, in order of arrival: an array of the record's objects; only those to chat routes
 * when `chats`. The server records a request after it answered: waits (2 s) until there are `least`.
 */
json_t *scripted_requests(const struct scripted *s, bool chats, size_t least);
void scripted_stop(struct scripted *s);

#endif
