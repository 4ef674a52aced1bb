/*
 * learn-classes - the weights of data/classes/learned.tsv from examples: learn-classes EXAMPLES.tsv > learned.tsv
 *
 * An example is a line "class<TAB>text", "\n" in the text a line's end. Multinomial logistic regression over the features of
 * class_features, with an L2 penalty, by AdaGrad in a fixed order: the same input gives the same output.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "route/class.h"

#define EXAMPLES_BYTES ((size_t)8 << 20)
#define EPOCHS 120
#define RATE 0.5
#define PENALTY 0.12      /* of a feature's squared weights */
#define LEAST_WEIGHT 0.1 /* smaller ones are left out */

struct feature {
    char *name;
    double *w, *squares; /* one a class: the weight, the sum of its squared gradients */
    int seen;            /* in how many examples */
};

struct example {
    size_t class;
    int *features;
    size_t n, cap;
};

struct learning {
    struct classes *classes;
    size_t nclasses;
    struct feature *features;
    size_t nfeatures, features_cap;
    int *table; /* open hash of features: index + 1 */
    size_t table_size;
    struct example *examples;
    size_t nexamples, examples_cap;
};

static void *must(void *p)
{
    if (!p) {
        fprintf(stderr, "learn-classes: out of memory\n");
        exit(1);
    }
    return p;
}

static void must_grow(bool grown)
{
    (void)must(grown ? &grown : NULL);
}

static size_t slot_of(const struct learning *l, const char *name)
{
    uint64_t h = 1469598103934665603u;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    size_t at = h & (l->table_size - 1);
    while (l->table[at] && strcmp(l->features[l->table[at] - 1].name, name) != 0)
        at = (at + 1) & (l->table_size - 1);
    return at;
}

static void on_feature(void *ctx, const char *name)
{
    struct learning *l = ctx;
    struct example *x = &l->examples[l->nexamples];
    size_t at = slot_of(l, name);
    if (!l->table[at]) {
        must_grow(array_grow((void **)&l->features, &l->features_cap, l->nfeatures, 1, sizeof *l->features));
        l->features[l->nfeatures] = (struct feature){ must(strdup(name)), must(calloc(l->nclasses, sizeof(double))),
                                                      must(calloc(l->nclasses, sizeof(double))), 0 };
        l->table[at] = (int)++l->nfeatures;
    }
    must_grow(array_grow((void **)&x->features, &x->cap, x->n, 1, sizeof *x->features));
    x->features[x->n++] = l->table[at] - 1;
    l->features[l->table[at] - 1].seen++;
}

/* "\n" as two characters becomes a line's end, in place. */
static void unescape(char *s)
{
    char *out = s;
    for (; *s; s++) {
        bool line = s[0] == '\\' && s[1] == 'n';
        *out++ = line ? '\n' : *s;
        s += line;
    }
    *out = '\0';
}

static int read_example(struct learning *l, struct span line, struct err *e)
{
    ptrdiff_t tab = span_findc(line, '\t');
    if (!line.n || line.p[0] == '#' || tab < 0)
        return 0;
    AUTO(ptr) char *text = must(span_dup(span_sub(line, (size_t)tab + 1, line.n)));
    size_t class = 0;
    while (class < l->nclasses && !span_eqs(span_sub(line, 0, (size_t)tab), classes_at(l->classes, class)->name))
        class++;
    if (class == l->nclasses)
        return err_set(e, ERR_INPUT, "no such class: %.40s", line.p);
    unescape(text);
    must_grow(array_grow((void **)&l->examples, &l->examples_cap, l->nexamples, 1, sizeof *l->examples));
    l->examples[l->nexamples] = (struct example){ .class = class };
    int r = class_features(l->classes, span_of(text), on_feature, l, e);
    l->nexamples++;
    return r;
}

static void learn_from(struct learning *l, const struct example *x, double *p)
{
    double most = -INFINITY, sum = 0;
    for (size_t c = 0; c < l->nclasses; c++) {
        p[c] = 0;
        for (size_t i = 0; i < x->n; i++)
            p[c] += l->features[x->features[i]].w[c];
        most = fmax(most, p[c]);
    }
    for (size_t c = 0; c < l->nclasses; c++)
        sum += p[c] = exp(p[c] - most);
    for (size_t i = 0; i < x->n; i++) {
        struct feature *f = &l->features[x->features[i]];
        for (size_t c = 0; c < l->nclasses; c++) {
            double g = p[c] / sum - (c == x->class) + PENALTY * f->w[c] / f->seen;
            f->squares[c] += g * g;
            f->w[c] -= RATE * g / sqrt(f->squares[c] + 1e-8);
        }
    }
}

static void learn(struct learning *l)
{
    uint64_t random = 88172645463325252u;
    size_t *order = must(calloc(l->nexamples, sizeof *order));
    double *p = must(calloc(l->nclasses, sizeof *p));
    for (size_t i = 0; i < l->nexamples; i++)
        order[i] = i;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        for (size_t i = l->nexamples; i > 1; i--) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t j = (size_t)((random >> 33) % i), swap = order[i - 1];
            order[i - 1] = order[j];
            order[j] = swap;
        }
        for (size_t i = 0; i < l->nexamples; i++)
            learn_from(l, &l->examples[order[i]], p);
    }
    free(order);
    free(p);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct feature *)a)->name, ((const struct feature *)b)->name);
}

static void write_table(struct learning *l)
{
    printf("# What words and signs say of a task's class, in hundredths of log odds: made by tools/classes/learn.c from %zu examples.\n",
           l->nexamples);
    qsort(l->features, l->nfeatures, sizeof *l->features, by_name);
    for (size_t i = 0; i < l->nfeatures; i++) {
        const struct feature *f = &l->features[i];
        char before = '\t';
        for (size_t c = 0; c < l->nclasses; c++) {
            if (fabs(f->w[c]) < LEAST_WEIGHT)
                continue;
            if (before == '\t')
                printf("%s", f->name);
            printf("%c%s:%ld", before, classes_at(l->classes, c)->name, lround(f->w[c] * 100));
            before = ' ';
        }
        if (before == ' ')
            putchar('\n');
    }
}

static void finish(struct learning *l)
{
    for (size_t i = 0; i < l->nfeatures; i++) {
        free(l->features[i].name);
        free(l->features[i].w);
        free(l->features[i].squares);
    }
    for (size_t i = 0; i < l->nexamples; i++)
        free(l->examples[i].features);
    free(l->features);
    free(l->examples);
    free(l->table);
    classes_destroy(l->classes);
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    struct learning l = { .table_size = (size_t)1 << 20 };
    int r = argc > 1 ? 0 : err_set(&e, ERR_USAGE, "usage: learn-classes EXAMPLES.tsv... > learned.tsv");
    l.table = must(calloc(l.table_size, sizeof *l.table));
    if (r == 0)
        r = classes_create(&l.classes, &e);
    l.nclasses = r == 0 ? classes_count(l.classes) : 0;
    for (int i = 1; r == 0 && i < argc; i++) {
        AUTO(buf) struct buf b = BUF_INIT(EXAMPLES_BYTES);
        r = file_read(argv[i], EXAMPLES_BYTES, &b, &e);
        struct span rest = buf_span(&b), line;
        while (r == 0 && span_line(&rest, &line))
            r = read_example(&l, line, &e);
    }
    if (r == 0) {
        learn(&l);
        write_table(&l);
    } else {
        fprintf(stderr, "learn-classes: %s\n", e.text);
    }
    finish(&l);
    return r == 0 ? 0 : 1;
}
