#define PCRE2_CODE_UNIT_WIDTH 8
#include "route/class.h"

#include <math.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/utf8.h"
#include "config/yaml.h"

#define MATCH_STEPS 200000 /* pcre2 match limit: a text that needs more matches nothing */
#define SURE_PERCENT 50    /* likelier than all others together */
#define COST_MEDIUM_POINTS 3
#define COST_HIGH_POINTS 6
#define EXTRA_WEIGHT 4     /* log odds of a word that the user or the repository gave */
#define POLITE_ROUNDS 8
#define HAND_SHARE 4.0F    /* a sign that no example has shown: its hand-set weight, divided by this */
#define SHOWN_WEIGHT 0.3F  /* a weaker sign is not worth showing */
#define SHOWN_MOST 12

/* --- data files --- */

struct signal {
    char *match;
    int64_t weight;
    char *name;
};

struct class_file {
    char *name, *title;
    enum failure_cost cost;
    bool poor, answer;
    struct signal *signals;
    size_t nsignals;
};

struct cost_file {
    struct signal *signals;
    size_t nsignals;
};

struct words_file {
    char **polite;
    size_t npolite;
};

static const cyaml_schema_value_t text_value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 1, 4000) };
static const cyaml_strval_t cost_names[] = { { "low", COST_LOW }, { "medium", COST_MEDIUM }, { "high", COST_HIGH } };
static const cyaml_schema_field_t signal_fields[] = {
    CYAML_FIELD_STRING_PTR("match", CYAML_FLAG_POINTER, struct signal, match, 1, 4000),
    CYAML_FIELD_INT("weight", CYAML_FLAG_DEFAULT, struct signal, weight),
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct signal, name, 1, 80),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t signal_value = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct signal, signal_fields) };
static const cyaml_schema_field_t class_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct class_file, name, 1, 40),
    CYAML_FIELD_STRING_PTR("title", CYAML_FLAG_POINTER, struct class_file, title, 1, 100),
    CYAML_FIELD_ENUM("cost", CYAML_FLAG_STRICT, struct class_file, cost, cost_names, CYAML_ARRAY_LEN(cost_names)),
    CYAML_FIELD_BOOL("poor", CYAML_FLAG_OPTIONAL, struct class_file, poor),
    CYAML_FIELD_BOOL("answer", CYAML_FLAG_OPTIONAL, struct class_file, answer),
    CYAML_FIELD_SEQUENCE_COUNT("signals", CYAML_FLAG_POINTER, struct class_file, signals, nsignals, &signal_value, 1, 200),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t class_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct class_file, class_fields) };
static const cyaml_schema_field_t cost_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("signals", CYAML_FLAG_POINTER, struct cost_file, signals, nsignals, &signal_value, 1, 200),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t cost_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct cost_file, cost_fields) };
static const cyaml_schema_field_t words_fields[] = {
    CYAML_FIELD_SEQUENCE_COUNT("polite", CYAML_FLAG_POINTER, struct words_file, polite, npolite, &text_value, 1, 100),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t words_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct words_file, words_fields) };

struct one_class {
    struct class_row row;
    struct class_file *file;
    const char *path;
    pcre2_code **codes; /* of its signals, compiled when first used */
};

struct classes {
    struct one_class *items;
    size_t len, cap;
    struct cost_file *cost;
    pcre2_code **cost_codes;
    struct words_file *before;
    pcre2_code **polite;
    const char **names; /* of the items, for words */
    struct words *words;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    struct err *loading;
};

static int load_file(void *ctx, const char *path, struct span text)
{
    struct classes *c = ctx;
    if (!span_ends(span_of(path), ".yaml"))
        return 0;
    if (strcmp(path_base(path), "00-words.yaml") == 0)
        return yaml_load(path, text, &words_schema, (void **)&c->before, c->loading);
    struct class_file *f = NULL;
    if (yaml_load(path, text, &class_schema, (void **)&f, c->loading) < 0)
        return -(int)c->loading->kind;
    if (!array_grow((void **)&c->items, &c->cap, c->len, 1, sizeof *c->items)) {
        yaml_destroy(&class_schema, f);
        return err_set(c->loading, ERR_NOMEM, "loading the task classes: out of memory");
    }
    struct class_row row = { .name = f->name, .title = f->title, .cost = f->cost, .poor = f->poor, .answer = f->answer };
    pcre2_code **codes = calloc(f->nsignals, sizeof(pcre2_code *));
    if (!codes) {
        yaml_destroy(&class_schema, f);
        return err_set(c->loading, ERR_NOMEM, "loading the task classes: out of memory");
    }
    c->items[c->len++] = (struct one_class){ row, f, path, codes };
    return 0;
}

int classes_create(struct classes **out, struct err *e)
{
    AUTO(classes) struct classes *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(e, ERR_NOMEM, "loading the task classes: out of memory");
    c->loading = e;
    if (data_each("classes/", load_file, c) < 0)
        return err_wrap(e, "loading the task classes");
    struct span cost = data_find("policy/cost.yaml");
    if (!c->len || !c->before || !cost.p)
        return err_set(e, ERR_INTERNAL, "the task classes are missing from the program's data");
    if (yaml_load("policy/cost.yaml", cost, &cost_schema, (void **)&c->cost, e) < 0)
        return err_wrap(e, "loading the task classes");
    c->cost_codes = calloc(c->cost->nsignals, sizeof(pcre2_code *));
    c->polite = calloc(c->before->npolite, sizeof(pcre2_code *));
    c->limits = pcre2_match_context_create(NULL);
    c->match = pcre2_match_data_create(4, NULL);
    c->names = calloc(c->len, sizeof *c->names);
    if (!c->cost_codes || !c->polite || !c->limits || !c->match || !c->names)
        return err_set(e, ERR_NOMEM, "loading the task classes: out of memory");
    for (size_t i = 0; i < c->len; i++)
        c->names[i] = c->items[i].row.name;
    if (words_create(c->names, c->len, &c->words, e) < 0)
        return err_wrap(e, "loading the task classes");
    pcre2_set_match_limit(c->limits, MATCH_STEPS);
    pcre2_set_heap_limit(c->limits, 20000); /* KiB */
    *out = TAKE(c);
    return 0;
}

static void free_codes(pcre2_code **codes, size_t n)
{
    for (size_t i = 0; codes && i < n; i++)
        pcre2_code_free(codes[i]);
    free(codes);
}

void classes_destroy(struct classes *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->len; i++) {
        free_codes(c->items[i].codes, c->items[i].file->nsignals);
        yaml_destroy(&class_schema, c->items[i].file);
    }
    free(c->items);
    free_codes(c->cost_codes, c->cost ? c->cost->nsignals : 0);
    yaml_destroy(&cost_schema, c->cost);
    free_codes(c->polite, c->before ? c->before->npolite : 0);
    yaml_destroy(&words_schema, c->before);
    words_destroy(c->words);
    free(c->names);
    pcre2_match_data_free(c->match);
    pcre2_match_context_free(c->limits);
    free(c);
}

size_t classes_count(const struct classes *c)
{
    return c->len;
}

const struct class_row *classes_at(const struct classes *c, size_t i)
{
    return &c->items[i].row;
}

const struct class_row *classes_find(const struct classes *c, const char *name)
{
    for (size_t i = 0; i < c->len; i++)
        if (strcmp(c->items[i].row.name, name) == 0)
            return &c->items[i].row;
    return NULL;
}

const char *failure_cost_name(enum failure_cost c)
{
    return c == COST_LOW ? "low" : c == COST_MEDIUM ? "medium" : "high";
}

/* --- matching --- */

/* 1 and where, 0, or negative for a pattern that does not compile. */
static int match(struct classes *c, pcre2_code **code, const char *pattern, const char *where, struct span text,
                 size_t *from, size_t *to, struct err *e)
{
    if (!*code) {
        int why;
        PCRE2_SIZE at;
        *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_CASELESS | PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL,
                              &why, &at, NULL);
        if (!*code) {
            PCRE2_UCHAR said[120];
            (void)pcre2_get_error_message(why, said, sizeof said);
            return err_set(e, ERR_USAGE, "%s: the pattern '%.80s' is wrong at character %zu: %s", where, pattern, at, (char *)said);
        }
    }
    if (pcre2_match(*code, (PCRE2_SPTR)text.p, text.n, 0, PCRE2_NO_UTF_CHECK, c->match, c->limits) < 0)
        return 0; /* no match, or one that would cost too much */
    const PCRE2_SIZE *v = pcre2_get_ovector_pointer(c->match);
    *from = v[0];
    *to = v[1];
    return 1;
}

/* White space in runs made one blank, markup and list marks at the front dropped, valid UTF-8, cut to CLASS_TEXT. */
static void normalise(struct span text, struct buf *out)
{
    text = span_sub(text, 0, utf8_cut(text, text.n < CLASS_TEXT ? text.n : CLASS_TEXT));
    AUTO(buf) struct buf valid = BUF_INIT(CLASS_TEXT * 4);
    utf8_add_valid(&valid, text);
    struct span in = span_trim(buf_span(&valid));
    while (in.n && strchr("#*->`\"' \t", in.p[0]))
        in = span_sub(in, 1, in.n);
    bool blank = false;
    for (size_t i = 0; i < in.n; i++) {
        bool space = in.p[i] == ' ' || in.p[i] == '\t' || in.p[i] == '\n' || in.p[i] == '\r';
        if (in.p[i] == '`')
            continue; /* `name` reads as name */
        if (!space || !blank)
            buf_addc(out, space ? ' ' : in.p[i]);
        blank = space;
    }
}

/* What is asked, without greetings, ticket numbers, "could you please". */
static int cut_polite(struct classes *c, struct span *text, struct err *e)
{
    for (int round = 0; round < POLITE_ROUNDS; round++) {
        bool cut = false;
        for (size_t i = 0; i < c->before->npolite; i++) {
            size_t from, to;
            AUTO(buf) struct buf pattern = BUF_INIT(8192);
            buf_addf(&pattern, "\\A(?:%s)", c->before->polite[i]);
            int found = match(c, &c->polite[i], buf_str(&pattern), "classes/00-words.yaml", *text, &from, &to, e);
            if (found < 0)
                return found;
            if (found && to > 0 && to < text->n) {
                *text = span_trim(span_sub(*text, to, text->n));
                cut = true;
            }
        }
        if (!cut)
            break;
    }
    return 0;
}

/* --- deciding --- */

struct notes {
    struct arena *arena;
    const char *items[64];
    size_t len;
};

static void note(struct notes *n, const char *what, const char *sign, int weight)
{
    if (n->len >= COUNT_OF(n->items))
        return;
    char *s = arena_printf(n->arena, "%s: %s (%+d)", what, sign, weight);
    if (s)
        n->items[n->len++] = s;
}

static bool has_word(struct span text, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= text.n; i++)
        if (strncasecmp(text.p + i, word, n) == 0 && (i == 0 || !strchr("abcdefghijklmnopqrstuvwxyz", text.p[i - 1] | 32)))
            return true;
    return false;
}

/* A sign that the text shows, and what it says of each class: log odds. */
struct sign {
    const char *name;      /* for people; NULL: not shown */
    const float *weights;  /* learned; NULL: by hand, for the class `of` */
    size_t of;
    float by_hand;
};

/* Borrowed weights, kept. Without memory the sign counts for nothing. */
static bool keep_weights(struct arena *a, const float *w, size_t n, const float **out)
{
    float *copy = w ? arena_array(a, n + 1, sizeof *copy) : NULL;
    if (copy)
        memcpy(copy, w, n * sizeof *copy);
    *out = copy;
    return !w || copy;
}

struct signs {
    struct classes *c;
    struct arena *arena;
    struct sign *items;
    size_t len, cap;
};

static float sign_weight(const struct sign *s, size_t class)
{
    return s->weights ? s->weights[class] : class == s->of ? s->by_hand : 0;
}

static void add_sign(struct signs *x, struct sign s)
{
    if (array_grow((void **)&x->items, &x->cap, x->len, 1, sizeof *x->items))
        x->items[x->len++] = s;
}

/* "w:deadlock" as a person reads it; NULL for what only repeats it: beginnings of words. */
static const char *shown(struct arena *a, const char *feature)
{
    const char *text = strchr(feature, ':') + 1;
    switch (feature[0]) {
    case 'w':
    case 'b':
        return arena_printf(a, "says '%s'", text);
    case 'f':
        return arena_printf(a, "begins with '%s'", text);
    case '?':
        return "is a question";
    default:
        return NULL;
    }
}

static void on_word(void *ctx, const char *feature)
{
    struct signs *x = ctx;
    const float *w;
    if (keep_weights(x->arena, words_weights(x->c->words, feature), x->c->len, &w) && w)
        add_sign(x, (struct sign){ shown(x->arena, feature), w, 0, 0 });
}

static void rule_feature(const struct one_class *k, const struct signal *s, char out[WORDS_FEATURE])
{
    (void)snprintf(out, WORDS_FEATURE, "r:%s: %s", k->row.name, s->name);
}

/* Calls fn for each signal of each class that the text shows; a name that several share once. */
typedef void (*rule_fn)(void *ctx, size_t class, const struct signal *s, const char *feature);
static int each_rule(struct classes *c, struct span text, rule_fn fn, void *ctx, struct err *e)
{
    AUTO(buf) struct buf english = BUF_INIT(CLASS_TEXT * 4);
    bool foreign = words_english(c->words, text, &english);
    char feature[WORDS_FEATURE], other[WORDS_FEATURE];
    for (size_t i = 0; i < c->len; i++) {
        const struct one_class *k = &c->items[i];
        AUTO(ptr) bool *seen = calloc(k->file->nsignals, sizeof *seen);
        if (!seen)
            return err_set(e, ERR_NOMEM, "classing a task: out of memory");
        for (size_t s = 0; s < k->file->nsignals; s++) {
            size_t from, to;
            int found = match(c, &k->codes[s], k->file->signals[s].match, k->path, text, &from, &to, e);
            if (found == 0 && foreign)
                found = match(c, &k->codes[s], k->file->signals[s].match, k->path, buf_span(&english), &from, &to, e);
            if (found < 0)
                return found;
            seen[s] = found;
            rule_feature(k, &k->file->signals[s], feature);
            for (size_t p = 0; found && p < s; p++) {
                rule_feature(k, &k->file->signals[p], other);
                found = !(seen[p] && strcmp(other, feature) == 0);
            }
            if (found)
                fn(ctx, i, &k->file->signals[s], feature);
        }
    }
    return 0;
}

static void on_rule(void *ctx, size_t class, const struct signal *s, const char *feature)
{
    struct signs *x = ctx;
    const float *w;
    if (keep_weights(x->arena, words_weights(x->c->words, feature), x->c->len, &w))
        add_sign(x, (struct sign){ s->name, w, class, (float)s->weight / HAND_SHARE });
}

#define BIAS "all:" /* what every text shows */

static int find_signs(struct signs *x, struct span text, struct err *e)
{
    on_word(x, BIAS);
    words_features(x->c->words, text, on_word, x);
    return each_rule(x->c, text, on_rule, x, e);
}

/* Words of the repository may strengthen a class; a poor class that the signs show is not outvoted by them. */
static bool names_configured(const struct class_input *in, const char *name, struct span text)
{
    for (size_t i = 0; i < in->nextra; i++)
        for (size_t w = 0; strcmp(in->extra[i].name, name) == 0 && w < in->extra[i].nwords; w++)
            if (has_word(text, in->extra[i].words[w]))
                return true;
    return false;
}

/* Log odds into probabilities, in place. */
static void softmax(float *v, size_t n)
{
    float most = v[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        most = v[i] > most ? v[i] : most;
    for (size_t i = 0; i < n; i++)
        sum += v[i] = expf(v[i] - most);
    for (size_t i = 0; i < n; i++)
        v[i] /= sum;
}

static int percent(float p)
{
    return (int)lroundf(p * 100);
}

static int poor_percent(const struct classes *c, const float *p, const struct class_row **likeliest)
{
    float sum = 0, most = -1;
    for (size_t i = 0; i < c->len; i++)
        if (c->items[i].row.poor) {
            sum += p[i];
            *likeliest = p[i] > most ? &c->items[i].row : *likeliest;
            most = p[i] > most ? p[i] : most;
        }
    return percent(sum);
}

static void take_likeliest(struct classes *c, const float *p, struct classification *out)
{
    size_t first = 0, second = c->len;
    for (size_t i = 1; i < c->len; i++)
        if (p[i] > p[first]) {
            second = first;
            first = i;
        } else if (second == c->len || p[i] > p[second]) {
            second = i;
        }
    out->row = &c->items[first].row;
    out->score = percent(p[first]);
    out->second = second < c->len ? &c->items[second].row : NULL;
    out->second_score = second < c->len ? percent(p[second]) : 0;
    out->unsure = out->score < SURE_PERCENT;
}

/* The strongest signs for the class that won, and against the next one, as far as they say so. */
static void note_signs(const struct signs *x, const struct classification *out, struct notes *notes)
{
    size_t row = 0;
    AUTO(ptr) bool *told = calloc(x->len + 1, sizeof *told);
    while (row < x->c->len && &x->c->items[row].row != out->row)
        row++;
    for (size_t k = 0; told && k < SHOWN_MOST; k++) {
        size_t best = x->len;
        for (size_t i = 0; i < x->len; i++)
            if (!told[i] && x->items[i].name && sign_weight(&x->items[i], row) >= SHOWN_WEIGHT &&
                (best == x->len || sign_weight(&x->items[i], row) > sign_weight(&x->items[best], row)))
                best = i;
        if (best == x->len)
            break;
        told[best] = true;
        note(notes, out->row->name, x->items[best].name, (int)lroundf(sign_weight(&x->items[best], row) * 10));
    }
}

static int by_signs(struct classes *c, const struct class_input *in, struct span text, struct classification *out,
                    struct notes *notes, struct err *e)
{
    struct signs x = { .c = c, .arena = notes->arena };
    AUTO(ptr) float *p = calloc(c->len, sizeof *p);
    AUTO(ptr) float *extra = calloc(c->len, sizeof *extra);
    *out = (struct classification){ .row = NULL };
    if (!p || !extra)
        return err_set(e, ERR_NOMEM, "classing a task: out of memory");
    int r = find_signs(&x, text, e);
    for (size_t i = 0; r == 0 && i < c->len; i++) {
        for (size_t s = 0; s < x.len; s++)
            p[i] += sign_weight(&x.items[s], i);
        extra[i] = p[i] + (names_configured(in, c->names[i], text) ? EXTRA_WEIGHT : 0);
        if (extra[i] > p[i])
            note(notes, c->names[i], "names a configured word", EXTRA_WEIGHT * 10);
    }
    if (r == 0) {
        const struct class_row *poor = NULL;
        softmax(p, c->len);
        softmax(extra, c->len);
        take_likeliest(c, extra, out);
        out->poor_score = poor_percent(c, p, &poor);
        if (poor && !out->row->poor && out->poor_score >= POOR_PERCENT)
            out->poor_hint = poor;
        note_signs(&x, out, notes);
    }
    free(x.items);
    return r;
}

static int add_cost_signs(struct classes *c, struct span text, struct notes *notes, int *score, struct err *e)
{
    size_t from, to;
    for (size_t i = 0; i < c->cost->nsignals; i++) {
        const struct signal *s = &c->cost->signals[i];
        int found = match(c, &c->cost_codes[i], s->match, "policy/cost.yaml", text, &from, &to, e);
        if (found < 0)
            return found;
        if (found) {
            *score += (int)s->weight;
            note(notes, "cost", s->name, (int)s->weight);
        }
    }
    return 0;
}

static int add_cost(struct classes *c, const struct class_input *in, struct span text, struct classification *out,
                    struct notes *notes, struct err *e)
{
    int points = out->row->cost == COST_HIGH ? COST_HIGH_POINTS : out->row->cost == COST_MEDIUM ? COST_MEDIUM_POINTS : 0;
    int more = 0;
    if (add_cost_signs(c, text, notes, &more, e) < 0)
        return -(int)e->kind;
    struct span rest = text, word;
    while (span_split(&rest, ' ', &word)) {
        while (word.n && strchr(".,;:!?)('\"", word.p[word.n - 1]))
            word.n--;
        for (size_t i = 0; i < in->protected_paths.len; i++)
            if (word.n && (memchr(word.p, '/', word.n) || memchr(word.p, '.', word.n)) &&
                path_glob(in->protected_paths.items[i], word)) {
                more += COST_HIGH_POINTS;
                note(notes, "cost", "names a protected path", COST_HIGH_POINTS);
                rest.p = NULL;
                break;
            }
        if (!rest.p)
            break;
    }
    if (out->row->answer)
        more = 0; /* words cannot break anything */
    points += more;
    if (out->row->cost == COST_HIGH && points < COST_HIGH_POINTS)
        points = COST_HIGH_POINTS; /* a small remark does not make a dear class cheap */
    out->cost_points = points;
    out->cost = points >= COST_HIGH_POINTS ? COST_HIGH : points >= COST_MEDIUM_POINTS ? COST_MEDIUM : COST_LOW;
    return 0;
}

struct telling {
    feature_fn fn;
    void *ctx;
};

static void tell_rule(void *ctx, size_t class, const struct signal *s, const char *feature)
{
    const struct telling *t = ctx;
    (void)class;
    (void)s;
    t->fn(t->ctx, feature);
}

int class_features(struct classes *c, struct span text, feature_fn fn, void *ctx, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(CLASS_TEXT * 4);
    struct telling t = { fn, ctx };
    normalise(text, &b);
    struct span asked = buf_span(&b);
    if (cut_polite(c, &asked, e) < 0)
        return -(int)e->kind;
    fn(ctx, BIAS);
    words_features(c->words, asked, fn, ctx);
    return each_rule(c, asked, tell_rule, &t, e);
}

int class_decide(struct classes *c, const struct class_input *in, struct arena *a, struct classification *out, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(CLASS_TEXT * 4);
    struct notes notes = { .arena = a };
    normalise(in->text, &b);
    struct span text = buf_span(&b);
    if (cut_polite(c, &text, e) < 0 || by_signs(c, in, text, out, &notes, e) < 0)
        return -(int)e->kind;
    if (in->chosen) {
        const struct class_row *row = classes_find(c, in->chosen);
        if (!row) {
            AUTO(buf) struct buf names = BUF_INIT(230);
            for (size_t i = 0; i < c->len; i++)
                buf_addf(&names, "%s%s", i ? ", " : "", c->items[i].row.name);
            err_set(e, ERR_USAGE, "there is no task class '%.40s'", in->chosen);
            err_hint(e, "the classes are %s", buf_str(&names));
            return -ERR_USAGE;
        }
        out->row = row;
        out->chosen = true;
        out->unsure = false;
    }
    if (add_cost(c, in, text, out, &notes, e) < 0)
        return -(int)e->kind;
    const char **signals = arena_array(a, notes.len + 1, sizeof *signals);
    if (!signals)
        return err_set(e, ERR_NOMEM, "classing a task: out of memory");
    memcpy(signals, notes.items, notes.len * sizeof *signals);
    out->signals = (struct strings){ signals, notes.len };
    return 0;
}

bool class_choose(const struct classes *c, struct classification *io, const char *name)
{
    const struct class_row *row = classes_find(c, name);
    if (!row || io->chosen || !io->unsure || (io->row->poor && !row->poor))
        return false;
    if (io->row->poor != row->poor)
        io->cost = row->cost > io->cost ? row->cost : io->cost;
    io->row = row;
    return true;
}

/* --- globs --- */

static bool glob_at(const char *p, const char *s, const char *end)
{
    for (; *p; p++, s++) {
        if (p[0] == '*' && p[1] == '*') {
            p += 2;
            if (*p == '/')
                p++;
            for (const char *at = s;; at++) {
                if ((at == s || at[-1] == '/' || !*p) && glob_at(p, at, end))
                    return true;
                if (at >= end)
                    return !*p;
            }
        }
        if (*p == '*') {
            for (const char *at = s;; at++) {
                if (glob_at(p + 1, at, end))
                    return true;
                if (at >= end || *at == '/')
                    return false;
            }
        }
        if (s >= end)
            return false;
        if (*p == '[') {
            bool in = false;
            const char *q = p + 1;
            for (; *q && *q != ']'; q++) {
                if (q[1] == '-' && q[2] && q[2] != ']') {
                    in |= *s >= q[0] && *s <= q[2];
                    q += 2;
                } else {
                    in |= *s == *q;
                }
            }
            if (!in || !*q)
                return false;
            p = q;
            continue;
        }
        char a = *p, b = *s;
        a = a >= 'A' && a <= 'Z' ? (char)(a | 32) : a;
        b = b >= 'A' && b <= 'Z' ? (char)(b | 32) : b;
        if (*p == '?' ? b == '/' : a != b)
            return false;
    }
    return s == end;
}

bool path_glob(const char *pattern, struct span path)
{
    if (span_starts(path, "./"))
        path = span_sub(path, 2, path.n);
    size_t n = strlen(pattern);
    AUTO(buf) struct buf p = BUF_INIT(n + 8);
    if (n && pattern[n - 1] == '/') { /* "secrets/" is all below it */
        buf_addf(&p, "%s**", pattern);
        pattern = buf_str(&p);
    }
    const char *end = path.p + path.n;
    if (pattern[0] == '/')
        return glob_at(pattern + 1, path.p, end) || glob_at(pattern, path.p, end);
    if (glob_at(pattern, path.p, end))
        return true;
    if (strchr(pattern, '/') == NULL || n > 2) { /* at any depth */
        for (const char *at = path.p; at < end; at++)
            if (*at == '/' && glob_at(pattern, at + 1, end))
                return true;
    }
    return false;
}
