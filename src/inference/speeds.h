/*
 * speeds - how fast a model really was on this machine: remembered, and used in place of predictions.
 *
 *     speeds_note(dir, path, &(struct speed){ .decode = 12.5, .prompt = 80 }, e);
 *     if (speeds_find(dir, path, &s) > 0) ...
 *
 * Kept in `dir`/speeds.json by the file's identity (path, size, time). A new figure moves the old one by a quarter:
 * one run beside a build does not spoil it. Figures of fewer than SPEEDS_TOKENS_MIN tokens say little and are not noted.
 */
#ifndef STEAD_INFERENCE_SPEEDS_H
#define STEAD_INFERENCE_SPEEDS_H

#include <stdint.h>

#include "base/err.h"

#define SPEEDS_TOKENS_MIN 16
#define SPEEDS_MAX 256 /* models remembered; the oldest go */

struct speed {
    double decode; /* tokens a second */
    double prompt; /* prompt tokens a second; 0: unknown */
    int64_t at_unix_ms;
};

int speeds_note(const char *dir, const char *model, const struct speed *s, struct err *e) WARN_UNUSED;
int speeds_find(const char *dir, const char *model, struct speed *out); /* 1 found, 0 not */

#endif
