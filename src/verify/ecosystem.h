/*
 * ecosystem - the rows of data/ecosystems: how to know a kind of project and which checks it has.
 *
 *     const struct ecosystem *rows; size_t n;
 *     if (ecosystems_load(&rows, &n, e) < 0) ...     // once; kept until the end of the program
 *
 * Keys are documented in data/ecosystems/README.md.
 */
#ifndef STEAD_VERIFY_ECOSYSTEM_H
#define STEAD_VERIFY_ECOSYSTEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "verify/gate.h"

struct ecosystem_gate {
    const char *name, *kind, *command, *needs, *reader, *report, *affected, *fix; /* NULL: not given */
    const char **when;
    unsigned nwhen;
};

struct ecosystem {
    const char *name; /* of its file */
    const char *title, *contains;
    const char **markers, **unless;
    unsigned nmarkers, nunless;
    bool root_only;
    struct ecosystem_gate *gates;
    unsigned ngates;
};

int ecosystems_load(const struct ecosystem **out, size_t *n, struct err *e) WARN_UNUSED;

/* fnmatch without '/' special: "*.sln" against a name of the directory. */
bool ecosystem_has(const struct tree *t, const char *dir, struct strings names, const char *pattern,
                   const char *contains);

#endif
