/*
 * dialect - how requests are written and replies are read; one file and one row each.
 *
 * A request is head + messages + closing. The head (model, sampling, tools, system prompt) is written once;
 * messages are appended; the closing bytes are made anew for each request and are all that differs.
 * The last message may stay open, so that a neighbour joins it (two user messages, two results in one
 * message): `open` says which closing it needs.
 *
 * `read` is the way back: the messages of written bytes, in a form that every dialect can write.
 */
#ifndef STEAD_MODEL_DIALECT_H
#define STEAD_MODEL_DIALECT_H

#include "model/collect.h"
#include "model/profile.h"

struct wire {
    struct buf bytes;
    size_t head; /* bytes of the head */
    int open;    /* dialect's own; 0: the last message is closed */
    size_t messages;
    const struct behaviour *behaviour;
};

struct head {
    const char *model;
    struct span instructions; /* the system prompt */
    const struct tool_schema *tools; /* schemas as they are to be sent */
    size_t ntools;
    const struct sampling *sampling;
    const struct behaviour *behaviour;
    int64_t max_tokens;
};

struct said_call {
    struct span id, name, args;
};

enum message_role { MESSAGE_USER, MESSAGE_ASSISTANT, MESSAGE_RESULT, MESSAGE_IMAGE };

struct message {
    enum message_role role;
    struct span text;      /* user's, assistant's, result's; base64 of an image */
    struct span reasoning, signature;
    const struct said_call *calls;
    size_t ncalls;
    struct span call_id;   /* of a result */
    struct span tool;      /* of a result: name of the tool; of an image: its media type */
    bool ok;               /* of a result */
};

struct closing {
    int64_t max_tokens;
    int constrain;              /* enum constrain_how for this request */
    struct span constrain_schema; /* CONSTRAIN_SCHEMA: the schema of the whole reply */
    int place;                 /* endpoint.place */
};

struct dialect {
    const char *name;  /* "openai-chat" */
    const char *title; /* "OpenAI chat completions" */
    const char *path;  /* below the API's path */
    const char *key_header; /* printf format of the line that carries the key */
    const char *const *headers; /* further fixed lines, NULL-terminated */

    bool (*head)(struct wire *w, const struct head *h);
    /* Append one message; joins or closes the one before. */
    bool (*add)(struct wire *w, const struct message *m);
    bool (*close)(const struct wire *w, const struct closing *c, struct buf *tail);
    /* Messages behind the head of `bytes`; *open as it was left; 0 or negative. Spans point into arena. */
    int (*read)(struct span bytes, struct arena *arena, struct message **out, size_t *n, int *open, struct err *e);

    /* One event of the stream. ERR_PROTOCOL: not of this dialect. */
    int (*event)(struct collect *c, struct span name, struct span data, struct err *e);
    /* A whole answer that was not streamed. */
    int (*body)(struct collect *c, const json_t *answer, struct err *e);
};

extern const struct dialect dialect_openai_chat, dialect_anthropic_messages;
extern const struct dialect *const dialects[]; /* NULL-terminated */
const struct dialect *dialect_find(const char *name);

#endif
