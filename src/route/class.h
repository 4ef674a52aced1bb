/*
 * class - what kind of task a text asks for, what a failure would cost, and by which signs.
 *
 *     struct classes *all;
 *     if (classes_create(&all, e) < 0) ...                    // data/classes, data/policy/cost.yaml
 *     struct class_input in = { .text = text, .extra = values->classes, .nextra = values->nclasses };
 *     struct classification c;
 *     if (class_decide(all, &in, &arena, &c, e) < 0) ...      // ERR_USAGE: no such class as `chosen`
 *     ... c.row->name, c.row->poor, c.unsure, c.cost, c.signals ...
 *     classes_destroy(all);
 *
 * Rules and words: each class is a file of data/classes with signs to look for, and words.h knows what examples have
 * shown; every sign found speaks for and against each class, and the most likely one wins. A *poor* class is one that a
 * model does badly or whose mistakes are dear: whatever comes of it, a person decides, and so where a poor class is not
 * unlikely (POOR_PERCENT). `unsure` says that no class is likelier than all others together: a local model may then be
 * asked, and class_choose takes its answer, but never from a poor class to another one.
 *
 * Texts are hostile: at most CLASS_TEXT bytes are looked at, matching is bounded. One thread.
 */
#ifndef STEAD_ROUTE_CLASS_H
#define STEAD_ROUTE_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bind.h"
#include "base/buf.h"
#include "config/config.h"
#include "route/words.h"

#define CLASS_TEXT 8192 /* what is asked stands at the beginning; logs may follow */
#define POOR_PERCENT 15 /* a poor class that is so likely is worth a person's look */

enum failure_cost { COST_LOW, COST_MEDIUM, COST_HIGH };
const char *failure_cost_name(enum failure_cost c);

struct class_row {
    const char *name;       /* "test-repair": --class, JSON, policy */
    const char *title;      /* "repair failing tests" */
    enum failure_cost cost; /* base */
    bool poor;
    bool answer;            /* ends in words, not in a change */
};

struct classes;

int classes_create(struct classes **out, struct err *e) WARN_UNUSED;
void classes_destroy(struct classes *c);
static inline void classes_auto(struct classes **c)
{
    classes_destroy(*c);
}
size_t classes_count(const struct classes *c);
const struct class_row *classes_at(const struct classes *c, size_t i);
const struct class_row *classes_find(const struct classes *c, const char *name);

struct class_input {
    struct span text;
    const char *chosen;              /* --class, or NULL */
    const struct config_class *extra; /* words of this user and repository */
    size_t nextra;
    struct strings protected_paths;  /* globs: naming one raises the cost */
};

struct classification {
    const struct class_row *row;
    bool chosen;            /* by the user, not by rules */
    bool unsure;
    int score, second_score; /* how likely row is, and the next class: percent */
    const struct class_row *second;
    int poor_score;         /* how likely it is that any poor class is meant: percent */
    const struct class_row *poor_hint; /* row is not poor, but this poor class may be meant; or NULL */
    enum failure_cost cost;
    int cost_points;
    struct strings signals; /* "test: asks for tests (+9)", "cost: touches money (+3)" */
};

int class_decide(struct classes *c, const struct class_input *in, struct arena *a, struct classification *out,
                 struct err *e) WARN_UNUSED;
/* Every sign of the text, words and rules, by the names under which weights were learned: for tools/classes/learn.c. */
int class_features(struct classes *c, struct span text, feature_fn fn, void *ctx, struct err *e) WARN_UNUSED;
/* A model's word for an unsure classification; false where it is not taken (unknown, or leads away from a poor class). */
bool class_choose(const struct classes *c, struct classification *io, const char *name);

/* Glob with *, ?, [..] and ** over directories; without a slash it is matched against the last name. Case-insensitive. */
bool path_glob(const char *pattern, struct span path);

#endif
