/*
 * filter - the system calls that are refused inside, as rows with a reason each.
 *
 * Two filters: one for everything inside (the helper too), one on top of it for commands. Compiled here, by
 * libseccomp, and handed to the helper as instructions, so that the helper needs no library.
 */
#ifndef STEAD_SANDBOX_FILTER_H
#define STEAD_SANDBOX_FILTER_H

#include <stdbool.h>

#include "base/buf.h"

enum seccomp_scope { SECCOMP_EVERYONE, SECCOMP_COMMANDS };

struct seccomp_row {
    const char *name; /* of the system call; one that this architecture lacks is skipped */
    enum seccomp_scope scope;
    int error;         /* what the caller sees; 0: success, without anything done */
    unsigned unless;   /* enum sandbox_exception: not refused then */
    int arg;           /* -1, or the argument that is looked at */
    unsigned long mask, value; /* refused when (arg & mask) == value; mask 0: when arg > value */
    int also;          /* 0, or a second argument, for which the same must hold */
    unsigned long also_mask, also_value;
    const char *reason;
};

extern const struct seccomp_row seccomp_rows[];
extern const unsigned seccomp_row_count;

/* Of a call by its name; negative: this architecture lacks it; -1: nobody knows it. */
int seccomp_call_number(const char *name);

/* Append the instructions (struct sock_filter) for `scope`. With `notify`, renames ask the helper first. */
int seccomp_compile(enum seccomp_scope scope, unsigned exceptions, bool notify, struct buf *out, struct err *e) WARN_UNUSED;

#endif
