/*
 * chat - one conversation with one endpoint: bytes that only grow, and replies that can be trusted.
 *
 *     struct chat_options o = { .instructions = SPAN("..."), .tools = tools, .ntools = 6 };
 *     struct chat *c;
 *     if (chat_create(loop, endpoint, &o, &c, e) < 0) ...
 *     chat_add_user(c, task, e);
 *     for (;;) {
 *         struct reply r;
 *         if (chat_reply(c, &events, cancel, &arena, &r, e) < 0)
 *             ... r.failure says which sort: wait, compact, another endpoint, a person
 *         for (size_t i = 0; i < r.ncalls; i++)
 *             chat_add_tool_result(c, r.calls[i].id, output, ok, e);
 *         if (!r.ncalls) break;
 *     }
 *     chat_destroy(c);
 *
 * Append only. The request is kept serialised: what was sent stays byte for byte, new messages are
 * appended, and only the closing bytes differ from one request to the next. chat_stats() counts the
 * times that this did not hold (a defect). Model name, tools and sampling are fixed at creation.
 *
 * The ladder. A reply's tool calls come out of chat_reply only when they name a known tool and
 * satisfy its schema, and only when the reply was whole. Markup that leaked into the text is
 * recovered under the same condition. What cannot be used is explained to the model and asked again
 * (at most max_repairs times in one chat_reply); what did not parse never enters the history. Where
 * one reply holds usable and unusable calls, the usable ones are returned and the others are
 * answered with their error by this module.
 *
 * Every call returned must be answered by chat_add_tool_result before the next chat_reply or
 * chat_add_user; results may come in any order and are written in the order of the calls. A call
 * left unanswered is answered "error: not run".
 *
 * Server errors are classified; overload, loading and lost connections are retried here with
 * back-off while cancel and the deadline allow. Nothing was executed by a reply that failed.
 *
 * Not thread-safe; the loop's thread. chat_reply waits (loop_wait); nothing else here does.
 */
#ifndef STEAD_MODEL_CHAT_H
#define STEAD_MODEL_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/loop.h"
#include "model/endpoint.h"

#define CHAT_MAX_BYTES (64u << 20)       /* of one request: four times the largest window in use */
#define CHAT_MAX_REPLY_BYTES (16u << 20) /* of one reply's stream: a server that never stops */
#define CHAT_MAX_CALLS 64                /* tool calls in one reply */

/* A tool as the model sees it. `schema` is a JSON object, JSON Schema of the arguments. */
struct tool_schema {
    const char *name;
    const char *doc;
    struct span schema;
};

struct chat_options {
    struct span instructions; /* the system prompt */
    const struct tool_schema *tools; /* copied; ntools 0: no tools are offered and none accepted */
    size_t ntools;
    const struct sampling *sampling; /* NULL: the model's row */
    int64_t max_tokens;              /* of one reply; 0: the model's row, bounded by a quarter of the window */
    int max_repairs;                 /* re-asks for unusable replies in one chat_reply; 0: 3; -1: none */
    int max_retries;                 /* of overload, loading, lost connections; 0: 6; -1: none */
    int64_t wait_ms;                 /* most time spent on those retries; 0: 10 minutes */
    int64_t stall_ms;                /* no byte and no progress for so long is wedged; 0: by endpoint and size */
    int64_t first_byte_ms;           /* upper bound of prefill; 0: estimated from size and measured speed */
};

enum call_source {
    CALL_NATIVE,      /* the API's own field */
    CALL_LEAKED,      /* markup in the text, recovered */
    CALL_CONSTRAINED, /* the server was made to write it (grammar, schema) */
};

struct tool_call {
    const char *id;   /* unique in this conversation */
    const char *name; /* of one of the tools offered */
    struct span args; /* a JSON object that satisfies the tool's schema */
    enum call_source source;
};

enum finish {
    FINISH_STOP,    /* the model ended its turn */
    FINISH_CALLS,   /* it asks for tools */
    FINISH_LENGTH,  /* cut at the token limit: text only, never calls */
    FINISH_REFUSED, /* content filter or refusal */
};

/* What went wrong when chat_reply fails; rows in failure.c. */
enum model_error {
    MODEL_OK = 0,
    MODEL_ERR_MODEL,     /* the model kept writing what cannot be used, or nothing: another model, or a person */
    MODEL_ERR_CLIENT,    /* the server says that our request is wrong */
    MODEL_ERR_CONTEXT,   /* longer than the window: compact, then ask again */
    MODEL_ERR_OVERLOAD,  /* 429, 503, queue full, after the retries */
    MODEL_ERR_LOADING,   /* still loading its model after the wait */
    MODEL_ERR_AUTH,      /* 401, 403, no key */
    MODEL_ERR_NOT_FOUND, /* no such model or path */
    MODEL_ERR_CONNECT,   /* nobody answers, name unknown, TLS failed */
    MODEL_ERR_CUT,       /* the stream ended before its end, again and again */
    MODEL_ERR_STALLED,   /* wedged: no byte and no progress */
    MODEL_ERR_GARBAGE,   /* the answer is not of the dialect (a proxy's HTML, ...) */
    MODEL_ERR_SERVER,    /* the server failed inside (500) after the retries */
    MODEL_ERR_CANCELLED, /* by the caller */
    MODEL_ERR_LOCAL,     /* on our side: memory, missing library */
    MODEL_ERR_GUARD,     /* the privacy guard let nothing leave */
    MODEL_ERRS
};
const char *model_error_name(enum model_error k); /* "context", "overload", ... */

struct reply_usage {
    int64_t prompt_tokens;     /* -1 where the server does not say */
    int64_t cached_tokens;     /* of these taken from the server's cache; -1 unknown */
    int64_t completion_tokens; /* -1 unknown */
};

struct reply {
    struct span text;      /* the model's words; markup and reasoning taken out */
    struct span reasoning; /* its thinking, "" when none */
    struct tool_call *calls;
    size_t ncalls;
    enum finish finish;
    struct reply_usage usage;
    int64_t ttft_ms;     /* request sent to first token; -1 none came */
    int64_t duration_ms; /* whole chat_reply, with repairs and retries */
    int repairs;         /* re-asks that it took */
    int retries;         /* of the transport or the server */
    int requests;        /* HTTP requests made */

    enum model_error failure; /* when chat_reply fails */
    int http_status;          /* of the failing answer; 0 none */
    int64_t n_prompt, n_ctx;  /* MODEL_ERR_CONTEXT: as the server says; -1 unknown */
    int64_t retry_after_ms;   /* what the failing answer asked for; 0 nothing */
};

struct chat_progress {
    int64_t total_tokens, cached_tokens, processed_tokens;
    int64_t elapsed_ms;
    int64_t left_ms; /* estimate; -1 unknown */
    bool measured;   /* false: estimated from size, the server does not report it */
};

/* All optional. Text is as the model wrote it: clean it before it reaches a terminal. */
struct chat_events {
    void *ctx;
    void (*on_text)(void *ctx, struct span piece);      /* visible text; possible call markup is held back */
    void (*on_reasoning)(void *ctx, struct span piece);
    void (*on_call)(void *ctx, const char *name);       /* a call has begun (not yet checked) */
    void (*on_progress)(void *ctx, const struct chat_progress *p);
    void (*on_retry)(void *ctx, const char *why);       /* "the server is loading its model", "re-asking: ..." */
};

struct chat_stats {
    int64_t requests;
    int64_t bytes_sent;
    int64_t prefix_breaks; /* requests that did not begin with the bytes of the one before: 0 */
    int64_t compactions;   /* deliberate ones */
    int64_t repairs, leaked_calls, retries;
    int64_t last_gap_us;   /* last byte of a reply (or chat_add) to handing over the next request, our own work only */
};

struct chat;

/* The endpoint is kept: it must outlive the chat. Loads libcurl; connects nothing. */
int chat_create(struct loop *loop, struct endpoint *ep, const struct chat_options *o, struct chat **out,
                struct err *e) WARN_UNUSED;
void chat_destroy(struct chat *c);
static inline void chat_auto(struct chat **c)
{
    chat_destroy(*c);
}

/* A second user message in a row is joined to the first with an empty line (some templates insist on alternation). */
int chat_add_user(struct chat *c, struct span text, struct err *e) WARN_UNUSED;
/* mime: "image/png", "image/jpeg", ... ERR_UNSUPPORTED where the profile says that the model cannot see. */
int chat_add_image(struct chat *c, const char *mime, struct span data, struct err *e) WARN_UNUSED;
/* ERR_NOT_FOUND when no call of that id waits for its result. */
int chat_add_tool_result(struct chat *c, const char *id, struct span text, bool ok, struct err *e) WARN_UNUSED;

/*
 * Send what was added and wait for a usable reply. *out is always filled (zeroed, failure, timings),
 * strings from `arena`. On success the reply is part of the conversation; after a failure the
 * conversation is as it was, so that the call may be repeated. `ev` and `cancel` may be NULL.
 */
int chat_reply(struct chat *c, const struct chat_events *ev, struct cancel *cancel, struct arena *arena,
               struct reply *out, struct err *e) WARN_UNUSED;

/*
 * Resume. The bytes of the conversation so far: a prefix of every later chat_prefix() until a
 * compaction, so a journal may store only what is new each time. chat_restore() takes the
 * concatenation into a chat just created with the same options; ERR_CONFLICT when it began with
 * another model, system prompt or tools (the caller may then chat_adopt it).
 */
struct span chat_prefix(struct chat *c);
int chat_restore(struct chat *c, struct span bytes, struct err *e) WARN_UNUSED;
/* Take over the messages of a conversation held with another endpoint, dialect or prompt; system prompt and tools are this chat's own. */
int chat_adopt(struct chat *c, const char *dialect, struct span bytes, struct err *e) WARN_UNUSED;

/* Tokens of the next request: the server's count of the last one plus an estimate of what was added since. */
int64_t chat_estimate_tokens(const struct chat *c);
/* The window of this endpoint, less what is kept for the reply; 0 unknown. */
int64_t chat_room_tokens(const struct chat *c);

/*
 * Compaction, rare and deliberate: show every tool result, oldest first; `fn` returns true after
 * filling `replacement` to replace its text. `age` counts replies since (0: answered last).
 * Returns bytes freed, negative on failure. The next request re-fills the server's cache.
 */
typedef bool (*chat_compact_fn)(void *ctx, const char *tool, struct span args, struct span text, int age, struct buf *replacement);
int64_t chat_compact(struct chat *c, chat_compact_fn fn, void *ctx, struct err *e);
/* Forget all messages but the system prompt (then chat_add_user a summary). */
void chat_reset(struct chat *c);

size_t chat_message_count(const struct chat *c); /* without the system prompt */
struct chat_stats chat_stats(const struct chat *c);

#endif
