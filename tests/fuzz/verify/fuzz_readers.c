/* Every reader on any bytes: the first byte says which. Results are valid whatever came. */
#include <assert.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "verify/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = 0;
    if (size < 1)
        return 0;
    while (readers[n])
        n++;
    struct span text = { (const char *)data + 1, size - 1 };
    AUTO(arena) struct arena a = ARENA_INIT(RESULTS_MEMORY);
    AUTO(results) struct results r;
    struct err e = ERR_INIT;
    results_init(&r, &a);
    r.strip = "/src/demo";
    const struct reader *rd = data[0] == 255 ? reader_sniff(text) : readers[data[0] % n];
    if (rd && reader_read(rd, text, &r, &e) < 0)
        assert(e.text[0]);
    results_close(&r);
    for (size_t i = 0; i < r.ntests; i++) {
        assert(results_test(&r, r.tests[i].id) == &r.tests[i]);
        assert(utf8_valid(span_of(r.tests[i].id)) && utf8_valid(span_of(r.tests[i].message)));
    }
    for (size_t i = 0; i < r.nfindings; i++)
        assert(utf8_valid(span_of(r.findings[i].file)) && utf8_valid(span_of(r.findings[i].message)));
    return 0;
}
