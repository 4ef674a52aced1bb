/*
 * lexicon - English for the words of tasks in other languages: data/classes/lexicon.tsv.
 *
 *     struct lexicon *l;
 *     lexicon_create(&l, e);
 *     struct word *w; size_t n;
 *     lexicon_words(l, text, &w, &n);          // "Prüfe den Login" -> "check" "den" "login"; free(w)
 *
 * Word by word and without grammar: enough to tell what kind of thing is asked for. Words are in lower case and without
 * accents; each character of scripts without blanks is a word. What the lexicon does not know stays as it is.
 */
#ifndef STEAD_ROUTE_LEXICON_H
#define STEAD_ROUTE_LEXICON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define WORD_BYTES 64 /* a longer word is cut: what follows tells nothing more */
#define WORD_STEM 4   /* characters that inflected forms of a word share */
#define WORD_ROOT 6   /* the same of long words */

struct word {
    char text[WORD_BYTES];
    size_t n, chars, stem, root; /* bytes; characters; bytes of the first WORD_STEM and WORD_ROOT characters */
    bool number;
    bool translated;
};

struct lexicon;

int lexicon_create(struct lexicon **out, struct err *e) WARN_UNUSED;
void lexicon_destroy(struct lexicon *l);
static inline void lexicon_auto(struct lexicon **l)
{
    lexicon_destroy(*l);
}

/* The words of the text, translated; false without memory. The caller frees *out. */
bool lexicon_words(const struct lexicon *l, struct span text, struct word **out, size_t *n);

#endif
