/* The table data/ecosystems: for kinds of check that nothing more particular gave. */
#include "verify/detect-internal.h"
#include "verify/ecosystem.h"

static bool any(struct detection *d, const char **patterns, unsigned n, const char *contains)
{
    for (unsigned i = 0; i < n; i++)
        if (ecosystem_has(&d->in->base, d->dir, d->names, patterns[i], contains))
            return true;
    return false;
}

static int look(struct detection *d, struct err *e)
{
    const struct ecosystem *rows;
    size_t n;
    if (ecosystems_load(&rows, &n, e) < 0)
        return -(int)e->kind;
    unsigned taken = d->taken;
    for (size_t i = 0; i < n; i++) {
        const struct ecosystem *r = &rows[i];
        if ((r->root_only && *d->dir) || !any(d, r->markers, r->nmarkers, r->contains) || any(d, r->unless, r->nunless, NULL))
            continue;
        for (unsigned k = 0; k < r->ngates; k++) {
            const struct ecosystem_gate *g = &r->gates[k];
            enum gate_kind kind;
            if (!gate_kind_parse(span_of(g->kind), &kind))
                return err_set(e, ERR_INPUT, "ecosystems/%s.yaml: gate '%s': unknown kind '%s'", r->name, g->name, g->kind);
            if (g->nwhen && !any(d, g->when, g->nwhen, NULL))
                continue;
            detect_offer(d, (struct gate){ .name = g->name, .kind = kind, .command = g->command, .needs = g->needs,
                                           .reader = g->reader, .report = g->report, .affected = g->affected, .fix = g->fix,
                                           .from = arena_printf(d->arena, "table: %s", r->name) });
        }
    }
    d->taken = taken;
    return 0;
}

const struct detect_source detect_table = { "the table of ecosystems", look };
