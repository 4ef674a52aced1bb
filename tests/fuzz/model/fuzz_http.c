/*
 * The plain HTTP client on any bytes as an answer: whole, and one byte at a time. Both must come to the same body,
 * state and outcome.
 */
#include "../../../src/model/http-plain.c"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct got {
    struct buf body;
    enum http_how how;
    int status;
    bool done;
};

static bool keep_body(void *ctx, struct span piece)
{
    return buf_add_span(ctx, piece);
}

static void answer(const uint8_t *data, size_t size, size_t step, struct got *got)
{
    static struct loop *loop;
    struct err e = ERR_INIT;
    if (!loop && loop_create(&loop, &e) < 0)
        abort();
    struct plain_http h = { .base = { .way = &http_plain, .loop = loop }, .idle = -1 };
    struct plain_transfer t = { .base = { .http = &h.base, .on_data = keep_body, .ctx = &got->body, .retry_after_ms = -1 }, .fd = -1, .connected = true };
    buf_init(&t.head, HEAD_BYTES);
    buf_init(&t.in, HEAD_BYTES);
    buf_init(&got->body, 1 << 20);
    for (size_t at = 0; at < size && !t.base.done; at += step) {
        /* An own copy of the piece, so that a read beyond it is seen. */
        size_t n = size - at < step ? size - at : step;
        char *piece = malloc(n);
        if (!piece)
            abort();
        memcpy(piece, data + at, n);
        take(&t, (struct span){ piece, n });
        free(piece);
    }
    if (!t.base.done)
        broken(&t, 0);
    got->how = t.base.how;
    got->status = t.base.status;
    got->done = t.base.done;
    drop(&t.base);
    fd_close(&h.idle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct got whole, split;
    answer(data, size, size ? size : 1, &whole);
    answer(data, size, 1, &split);
    if (whole.done != split.done || whole.how != split.how || whole.status != split.status || !span_eq(buf_span(&whole.body), buf_span(&split.body)))
        abort();
    buf_finish(&whole.body);
    buf_finish(&split.body);
    return 0;
}
