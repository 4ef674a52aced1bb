/*
 * Two versions of a file, made of the input: their hunks must compose, all of them to the new version and none to the
 * old one, and the unified diff must be made without a fault. The first byte chooses the subset.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "workspace/change-internal.h"
#include "workspace/content.h"
#include "workspace/diff.h"

int fuzz_diff(const uint8_t *data, size_t size);

static void expect(bool ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "fuzz_diff: %s\n", what);
        abort();
    }
}

int fuzz_diff(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    AUTO(change) struct change *c = NULL;
    AUTO(arena) struct arena a = ARENA_INIT((size_t)64 << 20);
    struct diff_file d;
    if (size < 2)
        return 0;
    const uint8_t *cut = memchr(data + 1, 0xff, size - 1);
    struct span base = { (const char *)data + 1, cut ? (size_t)(cut - data) - 1 : (size - 1) / 2 };
    struct span now = { base.p + base.n + (cut != NULL), size - 1 - base.n - (cut != NULL) };
    expect(change_create("/w", &c, &e) == 0 && content_create("/tmp", &c->content, &e) == 0, e.text);
    struct change_file *f = c->files = arena_array(&c->arena, 1, sizeof *f);
    expect(f != NULL, "memory");
    *f = (struct change_file){ .path = "f", .old_path = "f", .kind = CHANGE_MODIFIED, .guard_why = "", .added = -1, .removed = -1 };
    f->base = f->now = (struct change_side){ .exists = true, .mode = 0644 };
    expect(content_add(c->content, base, &f->base, &e) == 0 && content_add(c->content, now, &f->now, &e) == 0, e.text);
    if (span_eq(base, now))
        return 0;
    c->nfiles = 1;
    change_seal(c);
    expect(diff_file(c, f, &a, &d, &e) == 0 && d.nhunks > 0, e.text);
    const char **ids = arena_array(&a, d.nhunks, sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < d.nhunks; i++)
        if (data[0] == 0 || data[0] >> (i % 8) & 1)
            ids[n++] = d.hunks[i].id;
    AUTO(change) struct change *part = NULL;
    expect(change_select(c, &(struct strings){ ids, n }, &part, &e) == 0, e.text);
    expect((n == 0) == (part->nfiles == 0), "a selection of nothing is nothing");
    if (n == d.nhunks) {
        struct span got;
        expect(change_data(part, &part->files[0].now, &got, &e) == 0 && span_eq(got, now), "all hunks make the new version");
        expect(strcmp(part->hash.s, c->hash.s) == 0, "all hunks are the change");
    }
    AUTO(buf) struct buf text = BUF_INIT((size_t)64 << 20);
    expect(change_diff(c, NULL, &text, &e) == 0, e.text);
    return 0;
}

#ifdef FUZZ
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_diff(data, size);
}
#endif
