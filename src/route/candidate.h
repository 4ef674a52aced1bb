/*
 * candidate - endpoints as route_decide sees them, from what discovery found and configuration says.
 *
 * Pure: the endpoint was looked at before. Strings are borrowed from the endpoint and the configuration.
 */
#ifndef STEAD_ROUTE_CANDIDATE_H
#define STEAD_ROUTE_CANDIDATE_H

#include "model/endpoint.h"
#include "route/route.h"

/* `configured` is its entry in the configuration, or NULL. prompt_tokens (0: unknown) gives expected_ttft_ms. */
void candidate_of_endpoint(const struct endpoint *ep, const struct config_endpoint *configured, int64_t prompt_tokens,
                           struct route_candidate *out);
/* A configured endpoint that was not asked (a hosted one, for an explanation): taken as ready. */
void candidate_of_config(const struct config_endpoint *c, struct route_candidate *out);

/* Billions of parameters as the model's name says ("qwen3-30b-a3b": 30), 0 when it does not. */
double candidate_model_size(const char *model);
#define CANDIDATE_LARGE_B 20 /* from here on a local model serves local-large */

/* Does this address stay on this machine? */
bool candidate_is_local_url(const char *url);

#endif
