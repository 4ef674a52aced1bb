/* The GGUF header reader, and the geometry made of it, on any bytes. */
#include <stddef.h>
#include <stdint.h>

#include "inference/fit.h"
#include "inference/gguf.h"
#include "inference/shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct gguf *g;
    /* a file far longer than its header, so that tensors may lie inside */
    if (gguf_parse((struct span){ (const char *)data, size }, 1ull << 40, &g, &e) < 0)
        return 0;
    struct shape s;
    if (shape_of(g, 0xffff, &s, &e) == 0) {
        struct fit_how how = FIT_HOW;
        struct fit_memory m;
        fit_memory(&s, 32768, &how, &m);
        (void)fit_context(&s, &how, (int64_t)8 << 30, 0);
        shape_finish(&s);
    }
    gguf_destroy(g);
    return 0;
}
