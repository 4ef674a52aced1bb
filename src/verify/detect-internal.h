/*
 * detect-internal - between detect.c and its sources, one file each. A source looks at one directory
 * of the workspace and offers gates; detect.c keeps the first of a kind.
 */
#ifndef STEAD_VERIFY_DETECT_INTERNAL_H
#define STEAD_VERIFY_DETECT_INTERNAL_H

#include "base/mem.h"
#include "verify/detect-command.h"
#include "verify/gate.h"

#define DETECT_FILE_BYTES (512u << 10) /* of a file read for detection */

struct detection {
    const struct detect_input *in;
    struct arena *arena;
    struct gates *out;
    const char *dir;       /* looked at now, "" is the root */
    struct strings names;  /* of the files in it */
    unsigned taken;        /* kinds (1 << kind) that an earlier source gave for this directory */
    unsigned given;        /* kinds that the present source gives */
    bool nomem;
};

struct detect_source {
    const char *name;
    int (*look)(struct detection *d, struct err *e);
};

extern const struct detect_source detect_agents, detect_ci, detect_make, detect_package, detect_table;

/* "dir/name" for the directory looked at, in the arena. */
const char *detect_path(struct detection *d, const char *name);
/* Read that file; 1 or 0. */
int detect_read(struct detection *d, const char *name, struct buf *out);

/*
 * Offer a gate (name, kind, command, needs, reader ... filled; the rest completed). Dropped when an
 * earlier source has its kind here, or the same command is there already. Strings are kept: arena's or static.
 */
void detect_offer(struct detection *d, struct gate g);

#endif
