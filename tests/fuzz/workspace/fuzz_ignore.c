/* Patterns (lines up to the first empty one) and paths (the lines behind it): no fault, and no pattern is slow. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "workspace/ignore.h"

int fuzz_ignore(const uint8_t *data, size_t size);

int fuzz_ignore(const uint8_t *data, size_t size)
{
    struct span rest = { (const char *)data, size }, line;
    const char *patterns[64];
    char *owned[64];
    size_t n = 0;
    while (n < COUNT_OF(patterns) && span_line(&rest, &line) && line.n)
        if ((owned[n] = span_dup(line)))
            patterns[n] = owned[n], n++;
    while (span_line(&rest, &line)) {
        AUTO(ptr) char *path = span_dup(line);
        if (path && *path) {
            (void)ignore_match_patterns(patterns, n, path, false);
            (void)ignore_match_patterns(patterns, n, path, true);
        }
    }
    while (n > 0)
        free(owned[--n]);
    return 0;
}

#ifdef FUZZ
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_ignore(data, size);
}
#endif
