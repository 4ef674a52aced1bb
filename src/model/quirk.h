/*
 * quirk - one known deviation and its remedy: a row in data/quirks/, a condition and a change of behaviour.
 *
 * {"name", "row" (of docs/design/quirks.md), "says" (for a person), "evidence": [...],
 *  "when": {"server": [kinds], "model": [parts of names], "template": [texts], "template_lacks": [texts], "version_before", "version_from"},
 *  "then": {members of struct behaviour}}
 *
 * Every condition that is given must hold; of a list one item is enough (template_lacks: none of them
 * in a template that the server shows). A row is applied before what a
 * probe measured: measurement wins.
 */
#ifndef STEAD_MODEL_QUIRK_H
#define STEAD_MODEL_QUIRK_H

#include "model/profile.h"

struct quirk_when {
    struct strings server, model, template, template_lacks;
    const char *version_before, *version_from;
};

struct quirk {
    const char *name;
    int64_t row;
    const char *says;
    struct strings evidence;
    struct quirk_when when;
    json_t *then; /* checked against behaviour_fields when loaded */
};

/* All rows, loaded once. */
const struct quirk *quirks_all(size_t *n);
bool quirk_holds(const struct quirk *q, const struct endpoint *ep);
int quirk_apply(const struct quirk *q, struct behaviour *b, struct err *e) WARN_UNUSED;

/* -1, 0, 1 by the numbers in them: "0.10.2" is after "0.9", "b4500" after "b999". */
int version_compare(const char *a, const char *b);

#endif
