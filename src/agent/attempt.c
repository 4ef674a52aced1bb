#include "agent/attempt.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

static const char *const status_names[] = {
    [ATTEMPT_FINISHED] = "finished", [ATTEMPT_NO_EFFECT] = "no-effect",     [ATTEMPT_BUDGET] = "budget",
    [ATTEMPT_LOOP] = "loop",         [ATTEMPT_GAVE_UP] = "gave-up",         [ATTEMPT_CONTEXT] = "context",
    [ATTEMPT_ENDPOINT] = "endpoint", [ATTEMPT_INTERRUPTED] = "interrupted", [ATTEMPT_FAILED] = "failed",
};
static_assert(COUNT_OF(status_names) == ATTEMPT_STATUSES, "a name for each status");

const char *attempt_status_name(enum attempt_status s)
{
    return s < ATTEMPT_STATUSES ? status_names[s] : "?";
}

const struct attempt_maker *const attempt_makers[] = { &attempt_maker_stead, NULL };

const struct attempt_maker *attempt_maker_find(const char *name)
{
    for (size_t i = 0; attempt_makers[i]; i++)
        if (strcmp(attempt_makers[i]->name, name) == 0)
            return attempt_makers[i];
    return NULL;
}

struct attempt {
    const struct attempt_maker *maker;
    void *state;
};

int attempt_start(const struct attempt_spec *spec, struct attempt **out, struct err *e)
{
    struct attempt *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "starting an attempt: out of memory");
    a->maker = spec->maker ? spec->maker : &attempt_maker_stead;
    int r = a->maker->start(spec, &a->state, e);
    if (r < 0) {
        free(a);
        return r;
    }
    *out = a;
    return 0;
}

int attempt_run(struct attempt *a, struct cancel *cancel, struct attempt_result *result, struct err *e)
{
    *result = (struct attempt_result){ .status = ATTEMPT_FAILED };
    return a->maker->run(a->state, cancel, result, e);
}

int attempt_tell(struct attempt *a, struct span text, struct err *e)
{
    return a->maker->tell(a->state, text, e);
}

size_t attempt_queued(const struct attempt *a)
{
    return a->maker->queued ? a->maker->queued(a->state) : 0;
}

int64_t attempt_compact(struct attempt *a, struct err *e)
{
    if (!a->maker->compact)
        return err_set(e, ERR_UNSUPPORTED, "'%s' cannot free context on request", a->maker->name);
    return a->maker->compact(a->state, e);
}

void attempt_context(const struct attempt *a, int64_t *used, int64_t *window)
{
    *used = *window = 0;
    if (a->maker->context)
        a->maker->context(a->state, used, window);
}

int attempt_undone(struct attempt *a, int64_t step, struct err *e)
{
    if (a->maker->undone)
        return a->maker->undone(a->state, step, e);
    char text[160];
    (void)snprintf(text, sizeof text, "The files were taken back to what they were after step %lld.", (long long)step);
    return a->maker->tell(a->state, span_of(text), e);
}

void attempt_destroy(struct attempt *a)
{
    if (!a)
        return;
    a->maker->destroy(a->state);
    free(a);
}
