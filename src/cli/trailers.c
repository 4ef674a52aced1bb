#include "cli/trailers.h"

int trailers_make(const struct change *c, const struct verdict *v, struct arena *a, struct strings *out, struct err *e)
{
    size_t n = v ? v->ngates : 0;
    const char **lines = arena_array(a, n + 4, sizeof *lines);
    if (!lines)
        return err_set(e, ERR_NOMEM, "cannot apply: out of memory");
    *out = (struct strings){ lines, 0 };
    lines[out->len++] = "Assisted-by: stead";
    for (size_t i = 0; i < n; i++)
        lines[out->len++] = arena_printf(a, "Gate: %s: %s", v->gates[i].gate->name, gate_verdict_name(v->gates[i].verdict));
    lines[out->len++] = arena_printf(a, "Stead-change: %s", c->id);
    if (*c->session)
        lines[out->len++] = arena_printf(a, "Stead-session: %s", c->session);
    for (size_t i = 0; i < out->len; i++)
        if (!lines[i])
            return err_set(e, ERR_NOMEM, "cannot apply: out of memory");
    return 0;
}
