#include "route/lexicon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/utf8.h"

#define TABLE "classes/lexicon.tsv"
#define PHRASE_WORDS 5 /* of the longest form */
#define LEAST_PREFIX 2 /* characters before a '*' */

struct form {
    char *key;           /* words joined by '_', '*' at the end of a prefix */
    struct span english; /* in the data */
};

struct lexicon {
    struct form *items; /* sorted by key */
    size_t len, cap;
};

/* --- words --- */

/* Lower case, without accents. */
static uint32_t fold(uint32_t c)
{
    static const char latin[] = "aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo/ouuuuyty"; /* from U+00C0 */
    if (c >= 'A' && c <= 'Z')
        return c + 32;
    if (c >= 0xC0 && c <= 0xFF && c != 0xD7 && c != 0xF7)
        return (unsigned char)latin[c - 0xC0];
    if ((c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F))
        return c + 32;
    if (c == 0x401 || c == 0x451) /* Cyrillic io is written as ie */
        return 0x435;
    return c >= 0x400 && c <= 0x40F ? c + 80 : c == 0x2019 ? '\'' : c;
}

/* A character that is a word by itself: Han, kana, hangul. */
static bool is_whole(uint32_t c)
{
    return (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7AF) || (c >= 0x20000 && c <= 0x2FA1F);
}

static bool is_letter(uint32_t c)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    return c >= 0xC0 && c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c <= 0x2BFF) && !(c >= 0x3000 && c <= 0x303F) &&
           !(c >= 0xFF00 && c <= 0xFFEF) && c != 0xFFFD;
}

static void add_char(struct word *w, uint32_t c)
{
    char bytes[4];
    int n = utf8_encode(c, bytes);
    if (w->n + (size_t)n >= sizeof w->text)
        return;
    w->number = (w->n == 0 || w->number) && c >= '0' && c <= '9';
    memcpy(w->text + w->n, bytes, (size_t)n);
    w->n += (size_t)n;
    w->chars++;
    if (w->chars <= WORD_STEM)
        w->stem = w->n;
    if (w->chars <= WORD_ROOT)
        w->root = w->n;
    w->text[w->n] = '\0';
}

static void set_word(struct word *w, struct span text)
{
    *w = (struct word){ .n = 0 };
    while (text.n) {
        uint32_t c;
        int n = utf8_decode(text, &c);
        if (n <= 0)
            break;
        add_char(w, c);
        text = span_sub(text, (size_t)n, text.n);
    }
}

/* The next word of *rest; false at its end. An apostrophe inside a word belongs to it ("doesn't"). */
static bool next_word(struct span *rest, struct word *out)
{
    *out = (struct word){ .n = 0 };
    while (rest->n) {
        uint32_t c;
        int n = utf8_decode(*rest, &c);
        if (n <= 0) {
            n = 1;
            c = ' ';
        }
        bool sharp = c == 0xDF; /* German sz is two letters */
        c = fold(c);
        if (out->n && (is_whole(c) || (!is_letter(c) && c != '\'')))
            return true;
        *rest = span_sub(*rest, (size_t)n, rest->n);
        if (is_whole(c)) {
            add_char(out, c);
            return true;
        }
        if (is_letter(c) || (c == '\'' && out->n && rest->n && is_letter(fold((unsigned char)rest->p[0]))))
            add_char(out, c);
        else if (out->n)
            return true;
        if (sharp)
            add_char(out, 's');
    }
    return out->n > 0;
}

static bool all_words(struct span text, struct word **out, size_t *n)
{
    size_t cap = 0;
    struct word w;
    *out = NULL;
    *n = 0;
    while (next_word(&text, &w)) {
        if (!array_grow((void **)out, &cap, *n, 1, sizeof **out))
            return false;
        (*out)[(*n)++] = w;
    }
    return true;
}

/* --- the table --- */

void lexicon_destroy(struct lexicon *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->len; i++)
        free(l->items[i].key);
    free(l->items);
    free(l);
}

/* Words joined by '_' into key; 0 when it grows too long. */
static size_t join(const struct word *w, size_t n, char key[PHRASE_WORDS * WORD_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(key + len, PHRASE_WORDS * WORD_BYTES - len, "%s%s", i ? "_" : "", w[i].text);
    return len;
}

static int add_form(struct lexicon *l, struct span form, struct span english, struct err *e)
{
    AUTO(ptr) struct word *w = NULL;
    size_t n;
    char key[PHRASE_WORDS * WORD_BYTES];
    bool grown = all_words(form, &w, &n) && array_grow((void **)&l->items, &l->cap, l->len, 1, sizeof *l->items);
    if (grown && n >= 1 && n <= PHRASE_WORDS) {
        size_t len = join(w, n, key);
        if (span_ends(form, "*") && len + 1 < sizeof key)
            memcpy(key + len, "*", 2);
        char *copy = strdup(key);
        grown = copy != NULL;
        if (copy)
            l->items[l->len++] = (struct form){ copy, english };
    }
    return grown ? 0 : err_set(e, ERR_NOMEM, "reading %s: out of memory", TABLE);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct form *)a)->key, ((const struct form *)b)->key);
}

int lexicon_create(struct lexicon **out, struct err *e)
{
    AUTO(lexicon) struct lexicon *l = calloc(1, sizeof *l);
    struct span rest = data_find(TABLE), line;
    if (!l)
        return err_set(e, ERR_NOMEM, "reading %s: out of memory", TABLE);
    if (!rest.p)
        return err_set(e, ERR_INTERNAL, "%s is missing from the program's data", TABLE);
    while (span_line(&rest, &line)) {
        ptrdiff_t tab = span_findc(line, '\t');
        if (tab < 0 || line.p[0] == '#')
            continue;
        struct span forms = span_sub(line, (size_t)tab + 1, line.n), form;
        while (span_split(&forms, ' ', &form))
            if (form.n && add_form(l, form, span_sub(line, 0, (size_t)tab), e) < 0)
                return -(int)e->kind;
    }
    if (l->len)
        qsort(l->items, l->len, sizeof *l->items, by_key);
    *out = TAKE(l);
    return 0;
}

/* --- translating --- */

static const struct form *find_form(const struct lexicon *l, const char *key)
{
    size_t lo = 0, hi = l->len;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(l->items[mid].key, key);
        if (c == 0)
            return &l->items[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* The form that these n words are: as they stand, or by the beginning of the last one. */
static const struct form *form_of(const struct lexicon *l, const struct word *w, size_t n)
{
    char key[PHRASE_WORDS * WORD_BYTES];
    size_t len = join(w, n, key);
    const struct form *f = find_form(l, key);
    for (size_t cut = len; !f && cut >= len - w[n - 1].n + LEAST_PREFIX && cut + 1 < sizeof key; cut--) {
        key[cut] = '*';
        key[cut + 1] = '\0';
        f = find_form(l, key);
    }
    return f;
}

static bool add_english(struct span english, struct word **out, size_t *n, size_t *cap)
{
    struct span part;
    while (span_split(&english, '_', &part)) {
        if (!array_grow((void **)out, cap, *n, 1, sizeof **out))
            return false;
        set_word(&(*out)[*n], part);
        (*out)[(*n)++].translated = true;
    }
    return true;
}

bool lexicon_words(const struct lexicon *l, struct span text, struct word **out, size_t *n)
{
    AUTO(ptr) struct word *w = NULL;
    size_t nw, cap = 0;
    *out = NULL;
    *n = 0;
    bool good = all_words(text, &w, &nw);
    for (size_t i = 0; good && i < nw;) {
        size_t most = nw - i < PHRASE_WORDS ? nw - i : PHRASE_WORDS;
        const struct form *f = NULL;
        while (most && !(f = form_of(l, w + i, most)))
            most--;
        if (f) {
            good = add_english(f->english, out, n, &cap);
            i += most;
        } else if ((good = array_grow((void **)out, &cap, *n, 1, sizeof **out))) {
            (*out)[(*n)++] = w[i++];
        }
    }
    return good;
}
