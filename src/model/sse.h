/*
 * sse - server-sent events out of bytes that come in any split (WHATWG HTML, "Server-sent events").
 *
 *     struct sse s;
 *     sse_init(&s, LIMIT_BYTES, on_event, ctx);
 *     while (...) if (sse_feed(&s, piece, e) < 0) ...     // LIMIT, or what on_event returned
 *     sse_end(&s, e);                                      // an event whose last line was not ended
 *     sse_finish(&s);
 *
 * Taken as servers are: \n, \r\n and \r end lines; comments (keep-alives) are counted and skipped; a
 * line that begins with `{` is data although "data:" is missing (errors inside a stream, NDJSON); a whole
 * object behind a whole object is the next event although no empty line stands between.
 */
#ifndef STEAD_MODEL_SSE_H
#define STEAD_MODEL_SSE_H

#include "base/buf.h"

/* Negative stops the feed and is returned by it. `name` is "" when the server names none. */
typedef int (*sse_fn)(void *ctx, struct span name, struct span data, struct err *e);

struct sse {
    struct buf line, data;
    char name[64];
    bool after_cr, begun, has_data;
    uint64_t comments, events;
    sse_fn fn;
    void *ctx;
};

void sse_init(struct sse *s, size_t limit_bytes, sse_fn fn, void *ctx);
void sse_finish(struct sse *s);
int sse_feed(struct sse *s, struct span piece, struct err *e) WARN_UNUSED;
int sse_end(struct sse *s, struct err *e) WARN_UNUSED;

#endif
