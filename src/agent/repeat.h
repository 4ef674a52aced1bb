/*
 * repeat - notices a model that goes round in circles: the same call with the same result.
 *
 *     struct repeat r = { 0 };
 *     switch (repeat_add(&r, name, args, result, ok)) {
 *     case REPEAT_WARN: ... tell the model, once ...
 *     case REPEAT_STOP: ... end the attempt ...
 *     }
 *
 * A call alone is no sign: `make test` after each edit is good work, and its result differs. The pair
 * is. Pairs are counted over the last REPEAT_WINDOW calls, so that a circle of several calls is seen as
 * well; a failure counts double, since repeating what just failed cannot help.
 */
#ifndef STEAD_AGENT_REPEAT_H
#define STEAD_AGENT_REPEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    REPEAT_WINDOW = 40,
    REPEAT_WARN_AT = 5, /* weight of a pair: the fifth success, the third failure */
    REPEAT_STOP_AT = 8, /* the eighth success, the fourth failure */
};

enum repeat_verdict { REPEAT_OK, REPEAT_WARN, REPEAT_STOP };

struct repeat {
    uint64_t pairs[REPEAT_WINDOW];
    bool failed[REPEAT_WINDOW];
    unsigned next, len;
    unsigned count; /* times that the last pair was seen */
};

enum repeat_verdict repeat_add(struct repeat *r, const char *name, struct span args, struct span result, bool ok);
void repeat_reset(struct repeat *r);

#endif
