/* sequences.c - see sequences.h. */
#include "inference/engine/sequences.h"

#include <string.h>

#include "base/mem.h"

size_t sequence_common(const struct sequence *s, const int32_t *prompt, size_t n)
{
    size_t most = s->n < n ? s->n : n;
    size_t i = 0;
    while (i < most && s->tokens[i] == prompt[i])
        i++;
    return i;
}

int sequence_push(struct sequence *s, const int32_t *tokens, size_t n, struct err *e)
{
    if (!array_grow((void **)&s->tokens, &s->cap, s->n, n, sizeof *s->tokens))
        return err_set(e, ERR_NOMEM, "cannot note %zu tokens: out of memory", n);
    memcpy(s->tokens + s->n, tokens, n * sizeof *tokens);
    s->n += n;
    return 0;
}

bool sequences_choose(const struct sequences *all, const int32_t *prompt, size_t n, int wanted,
                      struct sequence_choice *out)
{
    int oldest = -1; /* idle, unused for longest; an empty one before all others */
    int best = -1;   /* idle, shares most */
    int source = -1; /* shares most, busy or not */
    size_t best_keep = 0, source_keep = 0;

    for (size_t i = 0; i < all->len; i++) {
        const struct sequence *s = &all->items[i];
        size_t keep = sequence_common(s, prompt, n);
        if (keep > source_keep) {
            source = (int)i;
            source_keep = keep;
        }
        if (s->busy)
            continue;
        if (keep > best_keep) {
            best = (int)i;
            best_keep = keep;
        }
        if (oldest < 0 || (s->n == 0 && all->items[oldest].n > 0) ||
            ((s->n == 0) == (all->items[oldest].n == 0) && s->used_ms < all->items[oldest].used_ms))
            oldest = (int)i;
    }
    if (oldest < 0)
        return false;

    struct sequence_choice c = { .seq = oldest, .copy_from = -1 };
    if (wanted >= 0 && (size_t)wanted < all->len) {
        if (all->items[wanted].busy)
            return false;
        c.seq = wanted;
    } else if (best >= 0 && best_keep >= all->items[best].prompt_n) { /* NOLINT(bugprone-branch-clone): two reasons */
        c.seq = best; /* everything that its last request sent is there again: the same conversation, grown */
    } else if (best >= 0 && !all->can_copy && best_keep >= SEQUENCES_COPY_MIN && all->items[oldest].n > 0) {
        c.seq = best; /* no copying, and nothing is free: rather lose one reply than two conversations */
    }
    c.keep = sequence_common(&all->items[c.seq], prompt, n);
    if (all->can_copy && source >= 0 && source != c.seq && source_keep >= c.keep + SEQUENCES_COPY_MIN) {
        c.copy_from = source;
        c.keep = source_keep;
    }
    if (c.keep >= n)
        c.keep = n ? n - 1 : 0; /* at least one token must be evaluated: its logits choose the next */
    *out = c;
    return true;
}
