/*
 * Stream parser and dialects on any bytes. First byte: dialect; second: how the stream is split. Read in
 * pieces, the stream must give what it gives in one.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/bind.h"
#include "model/dialect.h"
#include "model/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reader {
    const struct dialect *d;
    struct collect got;
};

static int on_event(void *ctx, struct span name, struct span text, struct err *e)
{
    struct reader *r = ctx;
    return r->d->event(&r->got, name, text, e);
}

static int read_all(struct reader *r, const struct dialect *d, struct span in, size_t step)
{
    struct err e = ERR_INIT;
    struct sse s;
    r->d = d;
    collect_init(&r->got, NULL);
    sse_init(&s, 1 << 16, on_event, r);
    int rc = 0;
    for (size_t at = 0; at < in.n && rc >= 0; at += step)
        rc = sse_feed(&s, span_sub(in, at, step), &e);
    if (rc >= 0)
        rc = sse_end(&s, &e);
    sse_finish(&s);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct dialect *d = data[0] & 1 ? &dialect_anthropic_messages : &dialect_openai_chat;
    size_t step = 1 + data[1] % 64;
    struct span in = { (const char *)data + 2, size - 2 };
    struct reader a, b;
    int ra = read_all(&a, d, in, step), rb = read_all(&b, d, in, in.n ? in.n : 1);
    if (ra != rb || a.got.ncalls != b.got.ncalls || a.got.finished != b.got.finished || a.got.failed != b.got.failed ||
        !span_eq(buf_span(&a.got.text), buf_span(&b.got.text)) || !span_eq(buf_span(&a.got.reasoning), buf_span(&b.got.reasoning)))
        abort();
    for (size_t i = 0; i < a.got.ncalls; i++)
        if (!span_eq(buf_span(&a.got.calls[i].args), buf_span(&b.got.calls[i].args)))
            abort();
    collect_finish(&a.got);
    collect_finish(&b.got);
    /* the same bytes as a whole answer */
    struct err e = ERR_INIT;
    struct collect whole;
    json_t *j = json_loadb(in.p, in.n, 0, NULL);
    collect_init(&whole, NULL);
    if (json_is_object(j))
        (void)(d->body(&whole, j, &e) < 0);
    collect_finish(&whole);
    json_decref(j);
    return 0;
}
