/* What a model or a repository writes and agent/ takes apart: patches, replaced text, commands, mentions, front matter, tags. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/candidate.h"
#include "agent/context.h"
#include "agent/match.h"
#include "agent/patch.h"
#include "agent/permit.h"
#include "agent/repomap.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_patch(struct span a, struct span b)
{
    AUTO(arena) struct arena arena = ARENA_INIT(16 << 20);
    struct err e = ERR_INIT;
    struct patch p;
    if (patch_parse(a, &arena, &p, &e) < 0)
        return;
    for (size_t i = 0; i < p.nfiles; i++) {
        AUTO(buf) struct buf out = BUF_INIT(1 << 20);
        struct match miss;
        if (p.files[i].op == PATCH_UPDATE && patch_update(&p.files[i], b, &out, &miss, &e) < 0 && miss.kind == MATCH_NEAR)
            lines_number(&out, b, miss.line, miss.to, 24, 240);
    }
}

static void try_match(struct span text, struct span old)
{
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct match m;
    if (match_find(text, old, &m, &e) < 0)
        return;
    match_explain(&m, "f", text, &out);
    if (m.kind == MATCH_ONE && (m.at + m.len > text.n || memcmp(text.p + m.at, old.p, m.len) != 0))
        abort();
    (void)match_is_crlf(text);
    match_crlf(&out, old);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Two texts, at the first NUL. */
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    struct span a = { (const char *)data, n }, b = { (const char *)data + n + (nul ? 1 : 0), size - n - (nul ? 1 : 0) };
    AUTO(arena) struct arena arena = ARENA_INIT(16 << 20);
    AUTO(buf) struct buf out = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct strings argv;
    struct span name, description, rest = a, path;
    try_patch(a, b);
    try_match(b, a);
    if (permit_parse_command(a, &arena, &argv, NULL)) {
        AUTO(ptr) char *pattern = span_dup(b);
        if (pattern)
            (void)permit_match(pattern, argv.items);
    }
    while (context_mention(&rest, &path))
        if (path.p < a.p || path.p + path.n > a.p + a.n || path.n == 0)
            abort();
    (void)context_skill(a, &name, &description);
    (void)!repomap_rank(a, b, 2000, &out, &e);
    AUTO(ptr) char *wanted = span_dup(a);
    AUTO(ptr) char *have = span_dup(b);
    const char *best[CANDIDATES_MAX], *paths[] = { have };
    if (wanted && have)
        (void)candidates_find(paths, 1, wanted, best);
    return 0;
}
