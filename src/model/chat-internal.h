/* What chat.c (the conversation), turn.c (one reply) and judge.c (the ladder) share. */
#ifndef STEAD_MODEL_CHAT_INTERNAL_H
#define STEAD_MODEL_CHAT_INTERNAL_H

#include <jansson.h>

#include "model/chat.h"
#include "model/dialect.h"

struct chat_tool {
    struct tool_schema sent; /* as offered: plain schema where the behaviour says so */
    struct span schema;      /* as given */
    json_t *check;           /* the same parsed: calls must satisfy it */
};

/* A call of the last reply that waits for its result. */
struct chat_pending {
    char *id, *name;
    struct buf result;
    bool answered, ok;
};

struct chat {
    struct loop *loop;
    struct endpoint *ep;
    const struct dialect *dialect;
    struct arena arena; /* copies of the options */
    struct span given;        /* the system prompt as the caller gave it */
    struct span instructions; /* as it is sent: with the tools behind it where they go as text */
    struct chat_tool *tools;
    size_t ntools;
    struct sampling sampling;
    struct behaviour behaviour; /* the profile's, plus what was learnt */
    uint64_t learnt;            /* rows of learn.c that were applied */
    int64_t max_tokens, wait_ms, stall_ms, first_byte_ms;
    bool max_tokens_given;      /* by the caller: not fitted to the window */
    int max_repairs, max_retries;

    struct wire wire;
    struct chat_pending *pending;
    size_t npending, pending_cap;
    bool tried_call;     /* in this chat_reply the model tried to call a tool */
    bool constrained;    /* this request makes the server write a call */
    struct buf note;     /* said with the last result: calls that could not be kept */
    int64_t next_id;
    bool system_in_user; /* the system prompt still waits for the first user message */

    size_t sent_bytes;   /* of the last request, without its closing bytes */
    uint64_t sent_hash;
    int64_t counted_tokens; /* the server's count of the last prompt and reply; 0 none */
    int64_t prompt_tokens;  /* of it the prompt */
    size_t reasoning_bytes; /* thinking sent back, which a template may drop again */
    size_t counted_bytes;   /* the wire's length it stands for */
    struct chat_stats stats;
    int64_t gap_us;      /* our own work since the last byte of the last reply */

    char *key_line;
    const char *headers[12];
};

uint64_t chat_hash(struct span s);
/* A reply may take a quarter of the window; true when it had more. */
bool chat_fit_reply(struct chat *c, int64_t window);
int chat_write(struct chat *c, const struct message *m, struct err *e);
int chat_flush(struct chat *c, struct err *e);
/* Write the head anew and all messages behind it, after the behaviour changed. */
int chat_rebuild(struct chat *c, struct err *e);
/* The schema of a reply that is one call of one of the tools: {"name": ..., "arguments": {...}}. */
bool chat_call_schema(const struct chat *c, struct buf *out);
int chat_pend(struct chat *c, struct span id, struct span name, struct err *e); /* index, or negative */
const struct chat_tool *chat_tool_find(const struct chat *c, struct span name);
void chat_make_id(struct chat *c, char out[16]);

/* judge.c: what a whole reply is worth. */
enum judgement {
    JUDGE_USABLE,   /* out is filled, the conversation holds the reply */
    JUDGE_REASK,    /* an explanation was added to the conversation */
    JUDGE_CONTEXT,  /* the server cut the prompt without saying so */
};
int judge(struct chat *c, struct collect *r, bool last, struct arena *arena, struct reply *out, const char **why, struct err *e);
/* Tell the model that the server could not read what it wrote. */
int judge_server_parse(struct chat *c, struct err *e);

/* learn.c: a refused parameter is left out from now on. True when something changed. */
bool learn_from(struct chat *c, int status, struct span text, const char **what);

#endif
