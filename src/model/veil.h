/*
 * veil - shows a reply as it streams, but not what may turn out to be thinking or a leaked call.
 *
 * Text between <think> and </think> goes to the reasoning side. From the first mark of call markup on
 * (`<tool_call>`, `[TOOL_CALLS]`, `<|channel|>`, a fenced JSON object, ...) nothing more is shown until
 * the reply was judged; whoever shows the reply then has its final text. Works for any split.
 */
#ifndef STEAD_MODEL_VEIL_H
#define STEAD_MODEL_VEIL_H

#include <stdbool.h>

#include "base/buf.h"

struct veil {
    struct buf held;  /* not yet shown: could be the beginning of a mark */
    bool calls;       /* call markup is looked for */
    bool thinking, drawn, began;
    void (*text)(void *ctx, struct span s);
    void (*reasoning)(void *ctx, struct span s);
    void *ctx;
};

void veil_init(struct veil *v, bool calls, void (*text)(void *ctx, struct span s), void (*reasoning)(void *ctx, struct span s), void *ctx);
void veil_feed(struct veil *v, struct span s);
void veil_end(struct veil *v); /* shows what was only held for a possible mark */
void veil_finish(struct veil *v);

#endif
