/*
 * profile - how an endpoint really behaves: what the dialect adapts to, and what a probe measured.
 *
 * A profile is made of three layers, later over earlier: the defaults of the server kind, the quirk
 * rows whose condition holds (data/quirks/), and the findings of `stead endpoint probe`, kept as a
 * file per endpoint and model. Without a probe the first two serve and chat learns from what happens.
 *
 *     profile_for(ep, profile_dir, &ep->profile, e);
 *     if (ep->profile->behaviour.nine_char_ids) ...
 */
#ifndef STEAD_MODEL_PROFILE_H
#define STEAD_MODEL_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bind.h"
#include "model/endpoint.h"

enum reasoning_replay { REPLAY_NONE, REPLAY_FIELD, REPLAY_TAGS }; /* not sent; reasoning_content; <think> in content */
enum constrain_how { CONSTRAIN_NONE, CONSTRAIN_REQUIRED, CONSTRAIN_SCHEMA };
enum system_place { SYSTEM_ROLE, SYSTEM_DEVELOPER, SYSTEM_IN_USER };

/* Switches that requests and replies follow. Every member is a member of a quirk's "then". */
struct behaviour {
    bool nine_char_ids;      /* call ids are made by us: nine letters or digits */
    bool object_args;        /* replayed arguments as an object */
    bool merge_user_after_tool; /* a user message may not follow a tool result: it is put inside it */
    int system_place;        /* enum system_place */
    int reasoning;           /* enum reasoning_replay */
    int constrain;           /* enum constrain_how, the ladder's last rung */
    bool stream_usage;       /* send stream_options.include_usage */
    bool cache_prompt;       /* send cache_prompt and return_progress (llama-server) */
    bool max_completion_tokens; /* the newer name of max_tokens */
    bool sampling_extended;  /* top_k, min_p, repeat_penalty are understood */
    bool sampling_refused;   /* temperature and top_p are refused */
    bool plain_schemas;      /* drop keywords that crash grammars: pattern, format, ... */
    bool one_call;           /* ask for no parallel calls */
    bool tools;              /* offered through the API at all */
    bool vision;
    bool name_results;       /* tool results carry the name of their tool */
    bool escape_control;     /* break control tokens of the model's template in content that we send */
    bool count_prompt;       /* compare prompt_tokens with our estimate: the server truncates silently */
};

enum verdict_kind { CHECK_OK, CHECK_ADAPTED, CHECK_BAD, CHECK_UNKNOWN }; /* works; works with our remedy; does not work; could not tell */
const char *check_verdict_name(enum verdict_kind v); /* "ok", "adapted", "bad", "unknown" */

struct profile_check {
    const char *name;   /* "tool-calls-streaming" */
    int verdict;        /* enum verdict_kind */
    const char *detail; /* what was seen, in words */
    const char *remedy; /* what the user can change, or "" */
};

struct profile {
    int64_t probed_unix_ms; /* 0: never probed */
    const char *server, *version, *model;
    int64_t context_tokens; /* measured or reported; 0 unknown */
    struct behaviour behaviour;
    struct bind_array checks; /* struct profile_check */
    double prefill_tokens_per_s, decode_tokens_per_s; /* 0 unknown; learnt from every reply */
    struct strings quirks;    /* names of the rows that hold */
    struct arena *arena;
};

/* Build the profile of an endpoint that was looked at. profile_dir may be NULL. */
int profile_for(const struct endpoint *ep, const char *profile_dir, struct profile **out, struct err *e) WARN_UNUSED;
int profile_save(const struct endpoint *ep, const struct profile *p, const char *profile_dir, struct err *e) WARN_UNUSED;
void profile_destroy(struct profile *p);

extern const struct field behaviour_fields[]; /* for quirk rows and profile files */

#endif
