/* What is shown of a reply does not depend on how it was split. First byte: the split. */
#include <stdint.h>
#include <stdlib.h>

#include "model/veil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(void *ctx, struct span s)
{
    buf_add_span(ctx, s);
}

static void none(void *ctx, struct span s)
{
    (void)ctx;
    (void)s;
}

static void run(struct span in, size_t step, struct buf *out)
{
    struct veil v;
    veil_init(&v, true, add, none, out);
    for (size_t at = 0; at < in.n; at += step)
        veil_feed(&v, span_sub(in, at, step));
    veil_end(&v);
    veil_finish(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct span in = { (const char *)data + 1, size - 1 };
    struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    run(in, 1 + data[0] % 32, &a);
    run(in, in.n ? in.n : 1, &b);
    if (!span_eq(buf_span(&a), buf_span(&b)) || a.n > in.n)
        abort();
    buf_finish(&a);
    buf_finish(&b);
    return 0;
}
