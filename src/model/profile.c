#define LOG_MODULE "model"
#include "model/profile.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "model/quirk.h"
#include "model/row.h"

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

/* What a kind of server can be relied upon for; rows of data/quirks refine it. */
static void defaults(const struct endpoint *ep, struct behaviour *b)
{
    *b = (struct behaviour){ .stream_usage = true, .plain_schemas = true, .tools = true, .sampling_extended = ep->local, .vision = ep->vision };
    b->reasoning = model_row_for(ep->model)->reasoning;
    switch (ep->server) {
    case SERVER_LLAMA:
        b->cache_prompt = true;
        b->constrain = CONSTRAIN_SCHEMA; /* its tool_choice lets free text pass (llama.cpp#27217); a schema does not */
        break;
    case SERVER_VLLM:
    case SERVER_SGLANG:
        b->constrain = CONSTRAIN_REQUIRED;
        break;
    case SERVER_OPENAI:
        b->max_completion_tokens = true;
        b->constrain = CONSTRAIN_REQUIRED;
        b->reasoning = REPLAY_NONE; /* its API does not take it back */
        break;
    case SERVER_ANTHROPIC:
        b->constrain = CONSTRAIN_REQUIRED;
        b->vision = true;
        break;
    default:
        break;
    }
}

static int apply_quirks(const struct endpoint *ep, struct profile *p, struct err *e)
{
    size_t n;
    const struct quirk *all = quirks_all(&n);
    p->quirks.items = arena_array(p->arena, n + 1, sizeof *p->quirks.items);
    for (size_t i = 0; p->quirks.items && i < n; i++) {
        if (!quirk_holds(&all[i], ep))
            continue;
        int rc = quirk_apply(&all[i], &p->behaviour, e);
        if (rc < 0)
            return err_wrap(e, "quirk '%s'", all[i].name);
        p->quirks.items[p->quirks.len++] = all[i].name;
    }
    return 0;
}

/* ---- the file of a probe ---- */

struct stored {
    int64_t v, probed_unix_ms, context_tokens;
    const char *url, *model, *server, *version;
    struct behaviour behaviour;
    struct bind_array checks;
    double prefill, decode;
};

static const char *const verdicts[] = { "ok", "adapted", "bad", "unknown", NULL };

static const struct field check_fields[] = {
    { "name", FIELD_STRING, FIELD(profile_check, name), FIELD_REQUIRED, 1, 64, "of the check" },
    { .name = "verdict", .type = FIELD_ENUM, FIELD(profile_check, verdict), .flags = FIELD_REQUIRED, .doc = "what came of it", .names = verdicts },
    { "detail", FIELD_STRING, FIELD(profile_check, detail), 0, 0, 1000, "what was seen" },
    { "remedy", FIELD_STRING, FIELD(profile_check, remedy), 0, 0, 1000, "what the user can change" },
    { 0 },
};

static const struct field stored_fields[] = {
    { "v", FIELD_I64, FIELD(stored, v), FIELD_REQUIRED, 1, 1, "version of this file" },
    { "url", FIELD_STRING, FIELD(stored, url), FIELD_REQUIRED, 1, 600, "of the endpoint" },
    { "model", FIELD_STRING, FIELD(stored, model), FIELD_REQUIRED, 0, 300, "that was probed" },
    { "server", FIELD_STRING, FIELD(stored, server), FIELD_REQUIRED, 1, 64, "kind" },
    { "version", FIELD_STRING, FIELD(stored, version), FIELD_REQUIRED, 0, 200, "of the server" },
    { "probed_unix_ms", FIELD_I64, FIELD(stored, probed_unix_ms), FIELD_REQUIRED, 1, INT64_MAX, "when" },
    { "context_tokens", FIELD_I64, FIELD(stored, context_tokens), 0, 0, 1000000000, "measured or reported" },
    { "prefill_tokens_per_s", FIELD_F64, FIELD(stored, prefill), 0, 0, 100000000, "speed of reading" },
    { "decode_tokens_per_s", FIELD_F64, FIELD(stored, decode), 0, 0, 100000000, "speed of writing" },
    { "behaviour", FIELD_OBJECT, FIELD(stored, behaviour), FIELD_REQUIRED, 0, 0, "as adapted", .fields = behaviour_fields },
    { "checks", FIELD_OBJECTS, FIELD(stored, checks), 0, 0, 100, "of the probe", .fields = check_fields, .elem_size = sizeof(struct profile_check) },
    { 0 },
};

/* One file for an endpoint and model. */
static char *file_of(const struct endpoint *ep, const char *dir)
{
    AUTO(buf) struct buf key = BUF_INIT(4096);
    char name[48];
    buf_addf(&key, "%s\n%s", ep->url, ep->model);
    struct hash_hex h = hash_bytes(buf_str(&key), key.n);
    snprintf(name, sizeof name, "%.24s.json", h.s);
    return path_join(dir, name);
}

static void load_stored(const struct endpoint *ep, struct profile *p, const char *dir)
{
    AUTO(ptr) char *path = file_of(ep, dir);
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    AUTO(json) json_t *j = NULL;
    struct err e = ERR_INIT;
    struct stored s = { .behaviour = p->behaviour };
    if (!path || file_read(path, 1 << 20, &text, &e) < 0)
        return;
    if (json_parse(buf_span(&text), BIND_TOLERANT, &j, &e) < 0 || bind_load(j, stored_fields, &s, BIND_TOLERANT, p->arena, &e) < 0) {
        log_warn("the profile '%s' is left out: %s", path, e.text);
        return;
    }
    if (strcmp(s.url, ep->url) != 0 || strcmp(s.model, ep->model) != 0 || strcmp(s.version, ep->version) != 0) {
        log_info("the profile of '%s' was made with version %s: probe it again", ep->url, s.version);
        return;
    }
    bool vision = p->behaviour.vision;
    p->behaviour = s.behaviour;
    p->behaviour.vision |= vision;
    p->checks = s.checks;
    p->probed_unix_ms = s.probed_unix_ms;
    p->prefill_tokens_per_s = s.prefill;
    p->decode_tokens_per_s = s.decode;
    if (s.context_tokens && (!p->context_tokens || s.context_tokens < p->context_tokens))
        p->context_tokens = s.context_tokens;
}

int profile_for(const struct endpoint *ep, const char *profile_dir, struct profile **out, struct err *e)
{
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
    int rc = apply_quirks(ep, p, e);
    if (rc < 0) {
        profile_destroy(p);
        return rc;
    }
    if (profile_dir)
        load_stored(ep, p, profile_dir);
    *out = p;
    return 0;
}

int profile_save(const struct endpoint *ep, const struct profile *p, const char *profile_dir, struct err *e)
{
    struct stored s = { 1, p->probed_unix_ms, p->context_tokens, ep->url, p->model, p->server, p->version, p->behaviour, p->checks,
                        p->prefill_tokens_per_s, p->decode_tokens_per_s };
    AUTO(ptr) char *path = file_of(ep, profile_dir);
    AUTO(json) json_t *j = bind_dump(stored_fields, &s);
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    if (!path || !j || !buf_add_json_value(&text, j))
        return err_set(e, ERR_NOMEM, "cannot save the profile of '%s': out of memory", ep->url);
    buf_addc(&text, '\n');
    int rc = path_mkdirs(profile_dir, 0700, e);
    if (rc >= 0)
        rc = file_write_atomic(path, buf_span(&text), 0600, true, e);
    return rc < 0 ? err_wrap(e, "cannot save the profile of '%s'", ep->url) : 0;
}

void profile_destroy(struct profile *p)
{
    if (!p)
        return;
    arena_finish(p->arena);
    free(p->arena);
    free(p);
}
