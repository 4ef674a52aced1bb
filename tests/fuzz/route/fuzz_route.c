/* Any bytes as a task and as a request: classed, and let pass only without findings that block. */
#include <stdint.h>
#include <stdlib.h>

#include "route/class.h"
#include "route/privacy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct classes *classes;
    static struct privacy *privacy;
    static const struct config_values values = { .guard = { .on_secret = CONFIG_GUARD_REDACT, .on_personal = CONFIG_GUARD_REDACT } };
    struct err e = ERR_INIT;
    if (!classes && (classes_create(&classes, &e) < 0 || privacy_create(&values, &privacy, &e) < 0))
        abort();
    struct arena a = ARENA_INIT((size_t)64 << 20);
    struct buf out = BUF_INIT((size_t)64 << 20);
    struct class_input task = { .text = { (const char *)data, size } };
    struct classification c;
    if (class_decide(classes, &task, &a, &c, &e) < 0 || !c.row)
        abort();
    struct privacy_input in = { .bytes = task.text };
    struct privacy_result r;
    if (privacy_check(privacy, &in, &a, &out, &r, &e) < 0)
        abort();
    if (r.action >= PRIVACY_ASK ? out.n != 0 : r.action == PRIVACY_SEND && out.n != size)
        abort();
    for (size_t i = 0; i < r.nfindings; i++)
        if (r.findings[i].from > r.findings[i].to || r.findings[i].to > size)
            abort();
    buf_finish(&out);
    arena_finish(&a);
    return 0;
}
