/*
 * look - ask servers who they are: several at once, in two rounds of small requests.
 *
 * Round one asks each for its models; who answers, and in which words, says what it is. Round two asks
 * the server's own interface for the context as it runs it, version, slots and template.
 */
#ifndef STEAD_MODEL_LOOK_H
#define STEAD_MODEL_LOOK_H

#include "model/endpoint.h"

/* Fills each endpoint's state. Negative only for cancel and memory. connect_ms bounds the first round's connects. */
int look_all(struct loop *loop, struct endpoint *const *eps, size_t n, int64_t connect_ms, int64_t timeout_ms,
             struct cancel *cancel, struct err *e) WARN_UNUSED;

#endif
