/*
 * gate-run - runs gates in a throw-away sandbox over a tree.
 *
 *     struct bench *b;                               // one tree, one sandbox, several gates
 *     if (bench_create(&setup, &tree, &b, e) < 0) ...
 *     struct outcome o;
 *     int r = gate_run(b, &gate, gate.command, &arena, &o, cancel, e);
 *     // 0 ran; 1 cannot run here, e->text says why (`skipped`); negative: could not be run (`error`)
 *     bench_destroy(b);                              // everything in it is gone
 *
 * The sandbox starts with the first gate. What one gate writes is there for the next (a build for its
 * tests); what it left running is killed before. Output that is not understood is kept as evidence only.
 */
#ifndef STEAD_VERIFY_GATE_RUN_H
#define STEAD_VERIFY_GATE_RUN_H

#include "base/loop.h"
#include "verify/gate.h"
#include "verify/outcome.h"

struct sandbox_spec;
struct bench;

struct bench_setup {
    struct loop *loop;
    const struct sandbox_spec *template;
    const char *scratch_dir; /* NULL: upper in memory */
};

/* `tree` and `setup` are kept by reference; tree->ndirs 0: the workspace alone. */
int bench_create(const struct bench_setup *setup, const struct tree *tree, struct bench **out, struct err *e) WARN_UNUSED;
void bench_destroy(struct bench *b);
static inline void bench_auto(struct bench **b)
{
    bench_destroy(*b);
}

int gate_run(struct bench *b, const struct gate *g, const char *command, struct arena *arena, struct outcome *out,
             struct cancel *cancel, struct err *e) WARN_UNUSED;

/* The environment that gates get on top of the sandbox's own: part of a baseline's key. */
extern const char *const gate_env[];

#endif
