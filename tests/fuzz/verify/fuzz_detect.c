/* Detection and file classification on any bytes as AGENTS.md, CI, Makefile and package.json. */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "verify/gate.h"
#include "verify/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = { (const char *)data, size };
    const struct tree_file files[] = {
        { .path = ".github/workflows/ci.yml", .content = text }, { .path = ".gitlab-ci.yml", .content = text },
        { .path = "AGENTS.md", .content = text },                { .path = "Makefile", .content = text },
        { .path = "package.json", .content = text },             { .path = "pyproject.toml", .content = text },
    };
    AUTO(arena) struct arena a = ARENA_INIT(64u << 20);
    struct gates g = { 0 };
    struct err e = ERR_INIT;
    AUTO(ptr) char *path = span_dup(text);
    const char *changed[] = { path };
    struct detect_input in = { .base = { .files = files, .nfiles = COUNT_OF(files) }, .changed = { changed, path != NULL } };
    if (gate_detect(&in, &a, &g, &e) < 0)
        abort();
    if (path)
        (void)path_classify(path);
    free(g.items);
    return 0;
}
