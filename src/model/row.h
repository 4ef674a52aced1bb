/*
 * row - what is known of a model: sampling, reasoning, edit format, the markup that it leaks.
 *
 * Files data/models/NAME.json, matched against the model's name without regard to case; the longest
 * match wins. A user adds or overrides one in their own data directory.
 */
#ifndef STEAD_MODEL_ROW_H
#define STEAD_MODEL_ROW_H

#include "base/bind.h"
#include "model/endpoint.h"

struct model_row {
    const char *name;
    struct strings match;    /* parts of names: "qwen3-coder", "gpt-oss" */
    struct sampling sampling;
    int64_t max_tokens;      /* of one reply; 0: the default */
    int reasoning;           /* enum reasoning_replay */
    struct strings leaks;    /* names of leak parsers to try first */
    const char *edit;        /* "replace", "lines", "patch" (apply_patch): what it was trained on; for the agent */
    const char *note;        /* for a person */
};

/* Never NULL: the row "default" when none matches. Kept for the whole run. */
const struct model_row *model_row_for(const char *model);

#endif
