#include "route/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/num.h"
#include "route/lexicon.h"

#define TABLE "classes/learned.tsv"
#define CONCEPTS "classes/concepts.tsv"

/* --- the table --- */

/* A name and the sort of thing it is one of: "slack", "service". Both in the data. */
struct concept {
    struct span name, sort;
};

struct words {
    struct lexicon *lexicon;
    struct concept *concepts; /* sorted by name */
    size_t nconcepts, concepts_cap;
    const char *const *names;
    size_t nnames;
    struct span *lines; /* of the file, sorted by feature; weights are read when they are asked for */
    size_t len, cap;
    float *weights;     /* of the feature asked for last */
};

void words_destroy(struct words *w)
{
    if (!w)
        return;
    free(w->concepts);
    free(w->lines);
    free(w->weights);
    lexicon_destroy(w->lexicon);
    free(w);
}

/* A line begins with its feature and a tab. */
static int compare(struct span line, const char *feature, size_t n)
{
    size_t len = 0;
    while (len < line.n && line.p[len] != '\t')
        len++;
    int c = memcmp(line.p, feature, len < n ? len : n);
    return c ? c : (len > n) - (len < n);
}

static int by_feature(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    size_t n = 0;
    while (n < y->n && y->p[n] != '\t')
        n++;
    return compare(*x, y->p, n);
}

static int compare_names(struct span a, struct span b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int by_concept(const void *a, const void *b)
{
    return compare_names(((const struct concept *)a)->name, ((const struct concept *)b)->name);
}

static int read_concepts(struct words *w, struct err *e)
{
    struct span rest = data_find(CONCEPTS), line, name;
    if (!rest.p)
        return err_set(e, ERR_INTERNAL, "%s is missing from the program's data", CONCEPTS);
    while (span_line(&rest, &line)) {
        ptrdiff_t tab = span_findc(line, '\t');
        struct span names = tab < 0 || line.p[0] == '#' ? (struct span){ NULL, 0 } : span_sub(line, (size_t)tab + 1, line.n);
        while (names.p && span_split(&names, ' ', &name)) {
            if (!array_grow((void **)&w->concepts, &w->concepts_cap, w->nconcepts, 1, sizeof *w->concepts))
                return err_set(e, ERR_NOMEM, "reading %s: out of memory", CONCEPTS);
            w->concepts[w->nconcepts++] = (struct concept){ name, span_sub(line, 0, (size_t)tab) };
        }
    }
    if (w->nconcepts)
        qsort(w->concepts, w->nconcepts, sizeof *w->concepts, by_concept);
    return 0;
}

/* "@service" for a name of one; false where the word is no such name. */
static bool concept_of(const struct words *w, const struct word *word, struct word *out)
{
    size_t lo = 0, hi = w->nconcepts;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = compare_names(w->concepts[mid].name, (struct span){ word->text, word->n });
        if (c == 0) {
            *out = (struct word){ .n = 0 };
            out->n = (size_t)snprintf(out->text, sizeof out->text, "@%.*s", (int)w->concepts[mid].sort.n, w->concepts[mid].sort.p);
            return true;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

int words_create(const char *const *names, size_t n, struct words **out, struct err *e)
{
    AUTO(words) struct words *w = calloc(1, sizeof *w);
    struct span rest = data_find(TABLE), line;
    if (!w || !(w->weights = calloc(n + 1, sizeof *w->weights)))
        return err_set(e, ERR_NOMEM, "reading %s: out of memory", TABLE);
    if (!rest.p)
        return err_set(e, ERR_INTERNAL, "%s is missing from the program's data", TABLE);
    w->names = names;
    w->nnames = n;
    if (lexicon_create(&w->lexicon, e) < 0 || read_concepts(w, e) < 0)
        return -(int)e->kind;
    bool sorted = true;
    while (span_line(&rest, &line)) {
        if (!line.n || line.p[0] == '#' || !memchr(line.p, '\t', line.n))
            continue;
        if (!array_grow((void **)&w->lines, &w->cap, w->len, 1, sizeof *w->lines))
            return err_set(e, ERR_NOMEM, "reading %s: out of memory", TABLE);
        sorted = sorted && (!w->len || by_feature(&w->lines[w->len - 1], &line) < 0);
        w->lines[w->len++] = line;
    }
    if (w->len && !sorted) /* a file of the user's own */
        qsort(w->lines, w->len, sizeof *w->lines, by_feature);
    *out = TAKE(w);
    return 0;
}

/* A name or a number that is none counts for nothing. */
static void read_weights(const struct words *w, struct span rest)
{
    struct span part;
    memset(w->weights, 0, w->nnames * sizeof *w->weights);
    while (span_split(&rest, ' ', &part)) {
        ptrdiff_t colon = span_findc(part, ':');
        struct err ignored = ERR_INIT;
        int64_t hundredths = 0;
        if (colon < 0 || parse_i64(span_sub(part, (size_t)colon + 1, part.n), -100000, 100000, &hundredths, &ignored) < 0)
            continue;
        for (size_t i = 0; i < w->nnames; i++)
            if (span_eqs(span_sub(part, 0, (size_t)colon), w->names[i]))
                w->weights[i] = (float)hundredths / 100;
    }
}

const float *words_weights(const struct words *w, const char *feature)
{
    size_t lo = 0, hi = w->len, n = strlen(feature);
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = compare(w->lines[mid], feature, n);
        if (c == 0) {
            read_weights(w, span_sub(w->lines[mid], n + 1, w->lines[mid].n));
            return w->weights;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* --- features --- */

struct list {
    char (*items)[WORDS_FEATURE];
    size_t len, cap;
};

static void add(struct list *l, const char *kind, const char *a, size_t na, const char *b)
{
    char text[WORDS_FEATURE];
    (void)snprintf(text, sizeof text, "%s:%.*s%s%s", kind, (int)na, a, *b ? " " : "", b);
    for (size_t i = 0; i < l->len; i++)
        if (strcmp(l->items[i], text) == 0)
            return;
    if (array_grow((void **)&l->items, &l->cap, l->len, 1, sizeof *l->items))
        memcpy(l->items[l->len++], text, sizeof text);
}

/* A name counts as itself, and as one of its sort, alone and with its neighbours. */
static void add_concept(const struct words *all, struct list *l, const struct word *before, const struct word *w, const struct word *next)
{
    struct word sort, other;
    if (!concept_of(all, w, &sort))
        return;
    add(l, "w", sort.text, sort.n, "");
    if (before->n)
        add(l, "b", before->text, before->n, sort.text);
    if (next->n)
        add(l, "b", sort.text, sort.n, concept_of(all, next, &other) ? other.text : next->text);
}

static void add_word(struct list *l, const struct word *w, const struct word *next)
{
    add(l, "w", w->text, w->n, "");
    if (w->chars > WORD_STEM)
        add(l, "p", w->text, w->stem, "");
    if (w->chars > WORD_ROOT)
        add(l, "q", w->text, w->root, "");
    if (next->n)
        add(l, "b", w->text, w->n, next->text);
}

void words_features(const struct words *w, struct span text, feature_fn fn, void *ctx)
{
    AUTO(ptr) struct word *words = NULL;
    size_t n;
    struct list l = { 0 };
    bool asks = span_ends(span_trim(text), "?") || span_ends(span_trim(text), "\xef\xbc\x9f");
    (void)lexicon_words(w->lexicon, text, &words, &n);
    static const struct word none, number = { .text = "#", .n = 1, .chars = 1, .stem = 1 };
    for (size_t i = 0; i < n; i++)
        words[i] = words[i].number ? number : words[i];
    for (size_t i = 0; i < n; i++)
        if (i < WORDS_FIRST || i + WORDS_LAST >= n) {
            add_word(&l, &words[i], i + 1 < n ? &words[i + 1] : &none);
            add_concept(w, &l, i ? &words[i - 1] : &none, &words[i], i + 1 < n ? &words[i + 1] : &none);
        }
    if (n) {
        add(&l, "f", words[0].text, words[0].n, "");
        add(&l, "g", words[0].text, words[0].stem, "");
    }
    if (n > 1)
        add(&l, "f", words[0].text, words[0].n, words[1].text);
    if (asks)
        add(&l, "?", "", 0, "");
    for (size_t i = 0; i < l.len; i++)
        fn(ctx, l.items[i]);
    free(l.items);
}

bool words_english(const struct words *w, struct span text, struct buf *out)
{
    AUTO(ptr) struct word *words = NULL;
    size_t n;
    bool any = false;
    (void)lexicon_words(w->lexicon, text, &words, &n);
    for (size_t i = 0; i < n; i++) {
        any |= words[i].translated;
        buf_addf(out, "%s%s", i ? " " : "", words[i].text);
    }
    return any && !out->failed;
}
