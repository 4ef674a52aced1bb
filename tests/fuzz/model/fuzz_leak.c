/* The leak parsers on any text: what they return lies in memory, and calls stay within the limit. */
#include <stdint.h>
#include <stdlib.h>

#include "model/leak.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool known(void *ctx, struct span name)
{
    (void)ctx;
    return span_eqs(name, "read") || span_eqs(name, "write");
}

static size_t touch(struct span s)
{
    size_t sum = 0;
    for (size_t i = 0; i < s.n; i++)
        sum += (unsigned char)s.p[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t sink = 0;
    struct arena a = ARENA_INIT(4 << 20);
    struct leak_found f;
    struct leak_in in = { { (const char *)data, size }, known, NULL, &a };
    for (size_t i = 0; leaks[i]; i++) {
        f = (struct leak_found){ .format = leaks[i]->name, .text = in.text };
        if (leaks[i]->parse(&in, &f) <= 0)
            continue;
        if (f.ncalls > LEAK_MAX_CALLS)
            abort();
        sink += touch(f.text);
        for (size_t k = 0; k < f.ncalls; k++) {
            sink += touch(f.calls[k].name) + touch(f.calls[k].args);
            json_t *j = leak_object(f.calls[k].args);
            json_decref(j);
        }
    }
    (void)leak_find(&in, NULL, &f);
    arena_finish(&a);
    return sink == SIZE_MAX ? 1 : 0; /* so that the reads are not left out */
}
