/*
 * data - the text files of data/ (prompts, quirks, ecosystems, classes, rules, catalogue), built in.
 *
 *     struct span text = data_find("ecosystems/cargo.yaml");      // p is NULL when there is none
 *     data_each("quirks/", on_row, ctx);                           // in order of path
 *
 * A user may override a file, or add one, under a directory given to data_set_override
 * ($XDG_CONFIG_HOME/stead/data): read when first asked for, kept until the end of the program.
 * Text is NUL-terminated behind its n bytes. Files over 1 MiB there are ignored, with a log line.
 */
#ifndef STEAD_BASE_DATA_H
#define STEAD_BASE_DATA_H

#include "base/buf.h"

struct span data_find(const char *path);

/* Stops and returns what fn returned when that is not 0. */
typedef int (*data_fn)(void *ctx, const char *path, struct span text);
int data_each(const char *prefix, data_fn fn, void *ctx);

/* Borrowed for the whole run; NULL: none (the default). */
void data_set_override(const char *dir);

#endif
