/*
 * learn - what an endpoint refuses is left out from then on: rows of words in its answer and the change of
 * behaviour that follows. Each is applied once for a conversation; the profile keeps it for the next.
 */
#include <assert.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/chat-internal.h"

static bool set_bool(bool *b, bool v)
{
    bool changed = *b != v;
    *b = v;
    return changed;
}

static bool no_stream_usage(struct behaviour *b) { return set_bool(&b->stream_usage, false); }
static bool no_extended(struct behaviour *b)
{
    bool a = set_bool(&b->sampling_extended, false);
    return set_bool(&b->cache_prompt, false) || a;
}
static bool no_sampling(struct behaviour *b) { return set_bool(&b->sampling_refused, true); }
static bool newer_limit(struct behaviour *b) { return set_bool(&b->max_completion_tokens, true); }
static bool older_limit(struct behaviour *b) { return set_bool(&b->max_completion_tokens, false); }
static bool tools_as_text(struct behaviour *b) { return set_bool(&b->tools, false); }
static bool nine_ids(struct behaviour *b) { return set_bool(&b->nine_char_ids, true); }
static bool object_args(struct behaviour *b) { return set_bool(&b->object_args, true); }
static bool string_args(struct behaviour *b) { return set_bool(&b->object_args, false); }
static bool merge_user(struct behaviour *b) { return set_bool(&b->merge_user_after_tool, true); }
static bool no_parallel_member(struct behaviour *b) { return set_bool(&b->one_call, false); }
static bool no_constrain(struct behaviour *b)
{
    bool changed = b->constrain != CONSTRAIN_NONE;
    b->constrain = CONSTRAIN_NONE;
    return changed;
}
static bool no_replay(struct behaviour *b)
{
    bool changed = b->reasoning != REPLAY_NONE;
    b->reasoning = REPLAY_NONE;
    return changed;
}
static bool system_role(struct behaviour *b)
{
    bool changed = b->system_place == SYSTEM_DEVELOPER;
    b->system_place = SYSTEM_ROLE;
    return changed;
}
static bool system_in_user(struct behaviour *b)
{
    bool changed = b->system_place != SYSTEM_IN_USER;
    b->system_place = SYSTEM_IN_USER;
    return changed;
}

static const struct {
    const char *words, *also; /* both must be there, without regard to case; NULL: one is enough */
    bool (*apply)(struct behaviour *b);
    const char *what;
} rows[] = {
    { "does not support tools", NULL, tools_as_text, "the model's template knows no tools: they are described in the prompt" },
    { "unable to generate parser for this template", NULL, tools_as_text, "the model's template knows no tools: they are described in the prompt" },
    { "tool use is not supported", NULL, tools_as_text, "the server knows no tools: they are described in the prompt" },
    { "tools param requires --jinja", NULL, tools_as_text, "the server was started without templates: tools are described in the prompt" },
    { "tool-call-parser", NULL, tools_as_text, "the server was started without tools: they are described in the prompt" },
    { "stream_options", NULL, no_stream_usage, "the server refuses stream_options: left out" },
    { "max_completion_tokens", "max_tokens", newer_limit, "the server wants max_completion_tokens" },
    { "max_completion_tokens", NULL, older_limit, "the server wants max_tokens" },
    { "cache_prompt", NULL, no_extended, "the server refuses further parameters: left out" },
    { "return_progress", NULL, no_extended, "the server refuses further parameters: left out" },
    { "top_k", NULL, no_extended, "the server refuses top_k: left out" },
    { "min_p", NULL, no_extended, "the server refuses min_p: left out" },
    { "repeat_penalty", NULL, no_extended, "the server refuses repeat_penalty: left out" },
    { "extra inputs are not permitted", NULL, no_extended, "the server refuses further parameters: left out" },
    { "unrecognized request argument", NULL, no_extended, "the server refuses further parameters: left out" },
    { "temperature", NULL, no_sampling, "the server refuses temperature: left out" },
    { "top_p", NULL, no_sampling, "the server refuses top_p: left out" },
    { "parallel_tool_calls", NULL, no_parallel_member, "the server refuses parallel_tool_calls: left out" },
    { "tool_choice", NULL, no_constrain, "the server refuses tool_choice: left out" },
    { "response_format", NULL, no_constrain, "the server refuses response_format: left out" },
    { "reasoning_content", NULL, no_replay, "the server refuses replayed thinking: left out" },
    { "tool call id", "9", nine_ids, "the server wants call ids of nine letters and digits" },
    { "tool_call_id", "length of 9", nine_ids, "the server wants call ids of nine letters and digits" },
    { "a-z, a-z, 0-9", "length of 9", nine_ids, "the server wants call ids of nine letters and digits" },
    { "alphanumeric", "length 9", nine_ids, "the server wants call ids of nine letters and digits" },
    { "arguments", "must be a string", string_args, "the server wants arguments as text" },
    { "arguments", "expected a string", string_args, "the server wants arguments as text" },
    { "arguments", "object", object_args, "the server wants arguments as an object" },
    { "arguments", "dict", object_args, "the server wants arguments as an object" },
    { "developer", NULL, system_role, "the server does not know the role developer" },
    { "system role not supported", NULL, system_in_user, "the model's template has no system role: put into the first message" },
    { "system message", "not supported", system_in_user, "the model's template has no system role: put into the first message" },
    { "system role", NULL, system_in_user, "the model's template has no system role: put into the first message" },
    { "only user and assistant roles", NULL, system_in_user, "the model's template has no system role: put into the first message" },
    { "roles must alternate", NULL, merge_user, "the model's template wants roles to alternate: messages are joined" },
    { "user role after tool", NULL, merge_user, "the model's template wants roles to alternate: messages are joined" },
    { "unexpected role 'user' after role 'tool'", NULL, merge_user, "the model's template wants roles to alternate: messages are joined" },
};

static_assert(COUNT_OF(rows) <= 64, "one bit each");

static bool has(struct span s, const char *words)
{
    size_t n = strlen(words);
    for (size_t i = 0; i + n <= s.n; i++)
        if (!strncasecmp(s.p + i, words, n))
            return true;
    return false;
}

bool learn_from(struct chat *c, int status, struct span text, const char **what)
{
    (void)status;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if ((c->learnt >> i) & 1 || !has(text, rows[i].words) || (rows[i].also && !has(text, rows[i].also)))
            continue;
        c->learnt |= (uint64_t)1 << i;
        if (!rows[i].apply(&c->behaviour))
            continue;
        (void)rows[i].apply(&c->ep->profile->behaviour);
        *what = rows[i].what;
        return true;
    }
    return false;
}
