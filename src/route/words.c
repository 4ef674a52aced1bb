#include "route/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/num.h"
#include "route/lexicon.h"

#define TABLE "classes/learned.tsv"

/* --- the table --- */

struct entry {
    char *feature;
    float *weights;
};

struct words {
    struct lexicon *lexicon;
    size_t nnames;
    struct entry *items; /* sorted by feature, as the file is */
    size_t len, cap;
};

void words_destroy(struct words *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->len; i++) {
        free(w->items[i].feature);
        free(w->items[i].weights);
    }
    free(w->items);
    lexicon_destroy(w->lexicon);
    free(w);
}

static bool add_weights(const char *const *names, size_t n, struct span rest, float *weights)
{
    struct span part;
    bool any = false;
    while (span_split(&rest, ' ', &part)) {
        ptrdiff_t colon = span_findc(part, ':');
        struct err ignored = ERR_INIT; /* a name or a number that is none counts for nothing */
        int64_t hundredths = 0;
        if (colon < 0 || parse_i64(span_sub(part, (size_t)colon + 1, part.n), -100000, 100000, &hundredths, &ignored) < 0)
            continue;
        for (size_t i = 0; i < n; i++)
            if (span_eqs(span_sub(part, 0, (size_t)colon), names[i])) {
                weights[i] = (float)hundredths / 100;
                any = true;
            }
    }
    return any;
}

static int by_feature(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->feature, ((const struct entry *)b)->feature);
}

int words_create(const char *const *names, size_t n, struct words **out, struct err *e)
{
    AUTO(words) struct words *w = calloc(1, sizeof *w);
    struct span rest = data_find(TABLE), line;
    if (!w)
        return err_set(e, ERR_NOMEM, "reading %s: out of memory", TABLE);
    if (!rest.p)
        return err_set(e, ERR_INTERNAL, "%s is missing from the program's data", TABLE);
    w->nnames = n;
    if (lexicon_create(&w->lexicon, e) < 0)
        return -(int)e->kind;
    while (span_line(&rest, &line)) {
        ptrdiff_t tab = span_findc(line, '\t');
        if (tab < 0 || line.p[0] == '#')
            continue;
        struct entry item = { span_dup(span_sub(line, 0, (size_t)tab)), calloc(n ? n : 1, sizeof *item.weights) };
        if (!item.feature || !item.weights || !array_grow((void **)&w->items, &w->cap, w->len, 1, sizeof *w->items)) {
            free(item.feature);
            free(item.weights);
            return err_set(e, ERR_NOMEM, "reading %s: out of memory", TABLE);
        }
        w->items[w->len++] = item;
        (void)add_weights(names, n, span_sub(line, (size_t)tab + 1, line.n), item.weights);
    }
    qsort(w->items, w->len, sizeof *w->items, by_feature);
    *out = TAKE(w);
    return 0;
}

const float *words_weights(const struct words *w, const char *feature)
{
    size_t lo = 0, hi = w->len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(w->items[mid].feature, feature);
        if (c == 0)
            return w->items[mid].weights;
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

static void add_word(struct list *l, const struct word *w, const struct word *next)
{
    add(l, "w", w->text, w->n, "");
    if (w->chars > WORD_STEM)
        add(l, "p", w->text, w->stem, "");
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
        if (i < WORDS_FIRST || i + WORDS_LAST >= n)
            add_word(&l, &words[i], i + 1 < n ? &words[i + 1] : &none);
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
