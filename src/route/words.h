/*
 * words - what the words of a task text say of its class, as examples have shown.
 *
 *     struct words *w;
 *     words_create(names, nnames, &w, e);                 // data/classes/learned.tsv
 *     words_features(w, text, on_feature, ctx);           // "w:deadlock", "b:in prod", "f:why", ...
 *     const float *v = words_weights(w, "w:deadlock");    // one number a name, or NULL: never seen
 *
 * The rules of data/classes know how a thing is asked for; this knows what it is called. A feature is a word, its
 * first letters, two words in a row, or how the text begins; numbers count as one word, characters of scripts without
 * blanks as words; words of other languages count as their English ones (lexicon.h), and names of services, technologies and
 * tools also as one of their sort: "w:@service" (data/classes/concepts.tsv). Weights are log odds, learned by
 * tools/classes/learn.c from the texts of tests/unit/route/tasks.tsv together with the rules' signs, so that a sign which
 * many kinds of tasks share counts little.
 *
 * One thread.
 */
#ifndef STEAD_ROUTE_WORDS_H
#define STEAD_ROUTE_WORDS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define WORDS_FIRST 60 /* words looked at: what is asked stands at the beginning ... */
#define WORDS_LAST 20  /* ... or after the log that it is about */
#define WORDS_FEATURE 200 /* bytes of a feature, and its end */

struct words;

/* Kept: the names, as long as the words. Rows of the file that speak of no class among them are passed over. */
int words_create(const char *const *names, size_t n, struct words **out, struct err *e) WARN_UNUSED;
void words_destroy(struct words *w);
static inline void words_auto(struct words **w)
{
    words_destroy(*w);
}

/* Valid until the next call. */
const float *words_weights(const struct words *w, const char *feature);

/* Each feature once, in an order that depends on the text alone. */
typedef void (*feature_fn)(void *ctx, const char *feature);
void words_features(const struct words *w, struct span text, feature_fn fn, void *ctx);

/* The text as the lexicon puts it into English, for rules that know no other language; false when nothing was translated. */
bool words_english(const struct words *w, struct span text, struct buf *out);

#endif
