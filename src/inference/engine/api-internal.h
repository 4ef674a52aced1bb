/* api-internal - what api.c and chat.c share. */
#ifndef STEAD_INFERENCE_ENGINE_API_INTERNAL_H
#define STEAD_INFERENCE_ENGINE_API_INTERNAL_H

#include <jansson.h>

#include "base/bind.h"
#include "inference/engine/api.h"

struct evhttp;
struct evhttp_bound_socket;
struct evhttp_request;

struct api {
    struct loop *loop;
    struct api_options options;
    struct evhttp *http;
    struct evhttp_bound_socket *listener;
    struct worker *worker; /* NULL while the model loads */
    double loaded;
    size_t active;
    unsigned long long served;
    int64_t used_ms;
};

void api_send(struct evhttp_request *req, int code, const struct buf *body);
void api_send_error(struct evhttp_request *req, int code, const char *message);
/* `{"error":{...` without the two closing braces; type NULL: by the code. */
bool api_add_error(struct buf *b, int code, const char *type, const char *message);
int api_body(struct evhttp_request *req, json_t **out, struct err *e) WARN_UNUSED;
bool api_not_ready(struct api *a, struct evhttp_request *req);

void chat_route(struct api *a, struct evhttp_request *req);
void chat_template_route(struct api *a, struct evhttp_request *req);

#endif
