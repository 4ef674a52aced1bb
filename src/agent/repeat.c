#include "agent/repeat.h"

/* FNV-1a, 64 bits: a collision would need to be made on purpose, and would only stop its own run. */
static uint64_t mix(uint64_t h, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 1099511628211u;
    return (h ^ 0xff) * 1099511628211u; /* a boundary, so that "ab","c" is not "a","bc" */
}

enum repeat_verdict repeat_add(struct repeat *r, const char *name, struct span args, struct span result, bool ok)
{
    uint64_t h = mix(14695981039346656037u, name, strlen(name));
    h = mix(h, args.p, args.n);
    h = mix(h, result.p, result.n);
    r->pairs[r->next] = h;
    r->failed[r->next] = !ok;
    r->next = (r->next + 1) % REPEAT_WINDOW;
    if (r->len < REPEAT_WINDOW)
        r->len++;
    unsigned weight = 0;
    r->count = 0;
    for (unsigned i = 0; i < r->len; i++) {
        if (r->pairs[i] != h)
            continue;
        r->count++;
        weight += r->failed[i] ? 2 : 1;
    }
    unsigned before = weight - (ok ? 1 : 2);
    if (weight >= REPEAT_STOP_AT)
        return REPEAT_STOP;
    return weight >= REPEAT_WARN_AT && before < REPEAT_WARN_AT ? REPEAT_WARN : REPEAT_OK;
}

void repeat_reset(struct repeat *r)
{
    *r = (struct repeat){ 0 };
}
