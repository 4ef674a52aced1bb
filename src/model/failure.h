/*
 * failure - what a server's error really means: rows of status and words, because servers use 400,
 * 500 and 503 for the same thing and the same number for different ones (quirk 29).
 *
 *     enum model_error k = failure_classify(status, span_of(type), text);
 *     if (failure_row(k)->retry) ...
 */
#ifndef STEAD_MODEL_FAILURE_H
#define STEAD_MODEL_FAILURE_H

#include "model/chat.h"

struct failure_row {
    enum model_error kind;
    const char *name;
    bool retry;           /* waiting may help */
    enum err_kind err;
    const char *what;     /* "%s" is the endpoint: the sentence before the server's own words */
    const char *hint;
};

const struct failure_row *failure_row(enum model_error k);

/* status 0: inside a stream. `type` and `text` as the server gave them. */
enum model_error failure_classify(int status, struct span type, struct span text);

/* The text of an error answer: its JSON message, the words of an HTML page, or the first line. Appended to out. */
void failure_text(struct span body, struct buf *out, struct buf *type, int64_t *n_prompt, int64_t *n_ctx);

/* Numbers in texts such as "maximum context length is 8192 tokens ... requested 9000". */
void failure_context_numbers(struct span text, int64_t *n_prompt, int64_t *n_ctx);

/* "ollama is overloaded" */
void failure_sentence(enum model_error k, const char *endpoint, char *out, size_t size);

/* Fill e and the reply's failure. */
int failure_set(struct reply *r, enum model_error k, const char *endpoint, struct span said, struct err *e);

#endif
