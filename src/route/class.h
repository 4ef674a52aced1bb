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
 * Rules only: each class is a file of data/classes with patterns and weights; the highest sum wins. A *poor*
 * class is one that a model does badly or whose mistakes are dear: whatever comes of it, a person decides.
 * `unsure` says that the rules found little, or two classes alike: a local model may then be asked, and
 * class_choose takes its answer, but never from a poor class to another one.
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

#define CLASS_TEXT 8192 /* what is asked stands at the beginning; logs may follow */

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
    int score, second_score; /* of row, of the next class */
    const struct class_row *second;
    const struct class_row *poor_hint; /* a poor class that scored nearly as high, or NULL */
    enum failure_cost cost;
    int cost_points;
    struct strings signals; /* "test: asks for tests (+9)", "cost: touches money (+3)" */
};

int class_decide(struct classes *c, const struct class_input *in, struct arena *a, struct classification *out,
                 struct err *e) WARN_UNUSED;
/* A model's word for an unsure classification; false where it is not taken (unknown, or leads away from a poor class). */
bool class_choose(const struct classes *c, struct classification *io, const char *name);

/* Glob with *, ?, [..] and ** over directories; without a slash it is matched against the last name. Case-insensitive. */
bool path_glob(const char *pattern, struct span path);

#endif
