#include "model/profile.h"

#include <stdio.h>

#include "base/mem.h"

static const char *const system_places[] = { "role", "developer", "user", NULL };
static const char *const replays[] = { "none", "field", "tags", NULL };
static const char *const constraints[] = { "none", "required", "schema", NULL };

#define SWITCH(member, text) { #member, FIELD_BOOL, FIELD(behaviour, member), 0, 0, 0, text }
#define CHOICE(member, list, text) { .name = #member, .type = FIELD_ENUM, FIELD(behaviour, member), .doc = (text), .names = (list) }

const struct field behaviour_fields[] = {
    SWITCH(nine_char_ids, "call ids are made by us: nine letters or digits"),
    SWITCH(object_args, "replayed arguments are sent as an object, not as text"),
    SWITCH(merge_user_after_tool, "a user message behind a tool result is put inside it"),
    CHOICE(system_place, system_places, "where the system prompt goes"),
    CHOICE(reasoning, replays, "how the model's thinking is sent back"),
    CHOICE(constrain, constraints, "how the server can be made to write a call"),
    SWITCH(stream_usage, "token counts are asked for in streams"),
    SWITCH(cache_prompt, "cache_prompt and return_progress are sent"),
    SWITCH(max_completion_tokens, "the limit is called max_completion_tokens"),
    SWITCH(sampling_extended, "top_k, min_p and repeat_penalty are understood"),
    SWITCH(sampling_refused, "temperature and top_p are refused"),
    SWITCH(plain_schemas, "schemas are sent without keywords that break grammars"),
    SWITCH(one_call, "one call at a time is asked for"),
    SWITCH(tools, "tools can be offered through the API"),
    SWITCH(vision, "images are understood"),
    SWITCH(name_results, "tool results carry the name of their tool"),
    SWITCH(escape_control, "control tokens in content are broken up"),
    SWITCH(count_prompt, "the prompt's token count is compared with ours"),
    { 0 },
};

const char *check_verdict_name(enum verdict_kind v)
{
    static const char *const names[] = { [CHECK_OK] = "ok", [CHECK_ADAPTED] = "adapted", [CHECK_BAD] = "bad", [CHECK_UNKNOWN] = "unknown" };
    return v < COUNT_OF(names) ? names[v] : "unknown";
}

static void defaults(const struct endpoint *ep, struct behaviour *b)
{
    *b = (struct behaviour){ .stream_usage = true, .plain_schemas = true, .tools = true, .sampling_extended = true, .vision = ep->vision };
    switch (ep->server) {
    case SERVER_LLAMA:
        b->cache_prompt = true;
        b->constrain = CONSTRAIN_REQUIRED;
        break;
    case SERVER_OLLAMA:
        b->sampling_extended = false; /* /v1 ignores them */
        b->count_prompt = true;
        break;
    case SERVER_VLLM:
    case SERVER_SGLANG:
        b->constrain = CONSTRAIN_REQUIRED;
        break;
    case SERVER_OPENAI:
        b->sampling_extended = false;
        b->max_completion_tokens = true;
        b->constrain = CONSTRAIN_REQUIRED;
        break;
    case SERVER_ANTHROPIC:
        b->sampling_extended = false;
        break;
    default:
        if (!ep->local)
            b->sampling_extended = false;
        break;
    }
}

int profile_for(const struct endpoint *ep, const char *profile_dir, struct profile **out, struct err *e)
{
    (void)profile_dir;
    struct profile *p = calloc(1, sizeof *p);
    if (!p || !(p->arena = calloc(1, sizeof *p->arena))) {
        free(p);
        return err_set(e, ERR_NOMEM, "cannot keep a profile: out of memory");
    }
    arena_init(p->arena, 4u << 20);
    p->server = server_kind_name(ep->server);
    p->version = ep->version;
    p->model = ep->model;
    p->context_tokens = ep->context_tokens;
    defaults(ep, &p->behaviour);
    *out = p;
    return 0;
}

void profile_destroy(struct profile *p)
{
    if (!p)
        return;
    arena_finish(p->arena);
    free(p->arena);
    free(p);
}
