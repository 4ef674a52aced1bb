/*
 * world - a workspace, a journal, a layer, a sandbox and a scripted model server: what an attempt needs.
 */
#ifndef STEAD_TESTS_AGENT_WORLD_H
#define STEAD_TESTS_AGENT_WORLD_H

#include <jansson.h>

#include "../model/scripted.h"
#include "agent/attempt.h"
#include "base/loop.h"
#include "journal/journal.h"
#include "model/endpoint.h"
#include "sandbox/sandbox.h"
#include "workspace/layer.h"

struct world {
    char *dir; /* scratch: workspace in app/, state in state/ */
    char *workspace, *state;
    struct loop *loop;
    struct journal *journal;
    struct journal_session session;
    struct scripted server;
    struct endpoint *endpoint;
    struct layer *layer;
    struct sandbox *sandbox;
    json_t *events; /* of the journal, in order: {"type":..., members} */
    const char *name; /* of the case, for failures */
};

/* files: {"path": "content"}; script: of the model server. Skips the test where no sandbox can be had. */
void world_open(struct world *w, const char *name, const json_t *files, const json_t *script);
/* A new server with this script behind the same world: for what comes after a resume. */
void world_serve(struct world *w, const json_t *script);
/* Start the sandbox anew over the layer, as another process would. */
void world_restart(struct world *w);
void world_close(struct world *w);
struct attempt_spec world_spec(struct world *w);

/* Bodies of chat requests: each begins with the bytes of the one before, but for its closing bytes. */
void world_check_prefix(const struct world *w, const json_t *requests);
/* The workspace on the host is as it was. */
void world_check_untouched(const struct world *w, const json_t *files);

#endif
