/* fit-list.c - see fit-list.h. */
#include "cli/fit-list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/path.h"
#include "inference/catalogue.h"
#include "inference/locate.h"
#include "inference/speeds.h"
#include "inference/models.h"

#define PILOT_NAME "stead pilot" /* in its header */
#define WORK_TOKENS 10.0 /* tokens a second: about as quick as one reads along */
#define WAIT_TOKENS 2.5

const char *fit_pace_words(enum fit_pace p)
{
    switch (p) {
    case FIT_PACE_WORK: return "quick enough to work with";
    case FIT_PACE_WAIT: return "slow: for tasks one waits for";
    case FIT_PACE_NIGHT: return "very slow: for tasks that run overnight";
    default: return "speed unknown";
    }
}

const char *fit_item_words(const struct fit_item *i)
{
    return i->demo ? "for demonstrations only" : fit_pace_words(i->pace);
}

static void set_pace(struct fit_item *i)
{
    double t = i->speed.expected;
    i->pace = t <= 0 ? FIT_PACE_UNKNOWN : t >= WORK_TOKENS ? FIT_PACE_WORK : t >= WAIT_TOKENS ? FIT_PACE_WAIT : FIT_PACE_NIGHT;
}

/* At the wanted context, or the largest one that fits. */
static bool place(const struct fit_list *l, struct fit_item *i, int64_t budget)
{
    int64_t wanted = l->ctx_tokens, least = FIT_CTX_LEAST;
    if (!l->ctx_exact && i->shape.ctx_train > 0 && i->shape.ctx_train < wanted)
        wanted = i->shape.ctx_train;
    i->ctx_most = fit_context(&i->shape, &i->how, budget, 0);
    i->ctx_tokens = wanted;
    if (l->ctx_exact) {
        fit_memory(&i->shape, wanted, &i->how, &i->memory);
        i->fits = i->memory.total <= budget;
        return i->fits;
    }
    if (i->ctx_most < wanted && i->ctx_most >= least)
        i->ctx_tokens = i->ctx_most;
    fit_memory(&i->shape, i->ctx_tokens, &i->how, &i->memory);
    i->fits = i->memory.total <= budget;
    return i->fits;
}

/* On a GPU that holds all of it, else in memory, with the CPU's copies of the weights or, if need be, without. */
static void choose_place(const struct fit_list *l, struct fit_item *i)
{
    i->gpu = hardware_best_gpu(&l->hardware);
    i->how = l->how;
    if (i->gpu >= 0) {
        i->how.repack = false;
        if (place(l, i, hardware_gpu_budget(&l->hardware, i->gpu)))
            return;
    }
    i->gpu = -1;
    i->how.repack = l->how.repack;
    if (place(l, i, l->budget_bytes) || !i->shape.repack_bytes)
        return;
    i->how.repack = false;
    (void)place(l, i, l->budget_bytes);
}

static void set_speed(const struct fit_list *l, struct fit_item *i)
{
    struct fit_machine machine;
    struct speed s;
    hardware_machine(&l->hardware, i->gpu, &machine);
    fit_speed(&i->shape, i->ctx_tokens, &i->how, &machine, &i->speed);
    if (i->path[0] && l->cache_dir && speeds_find(l->cache_dir, i->path, &s) > 0) {
        i->speed.low = i->speed.expected = i->speed.high = s.decode;
        if (s.prompt > 0)
            i->speed.prompt_low = i->speed.prompt_expected = i->speed.prompt_high = s.prompt;
        i->speed.measured = true;
    }
    set_pace(i);
}

static struct fit_item *add(struct fit_list *l, struct err *e)
{
    if (!array_grow((void **)&l->items, &l->cap, l->len, 1, sizeof *l->items)) {
        (void)err_set(e, ERR_NOMEM, "out of memory");
        return NULL;
    }
    struct fit_item *i = &l->items[l->len++];
    *i = (struct fit_item){ .gpu = -1 };
    return i;
}

static int add_file(struct fit_list *l, const char *path, const char *name, struct err *e)
{
    struct shape s;
    if (shape_read(path, l->hardware.isa, &s, e) < 0)
        return -e->kind;
    struct fit_item *i = add(l, e);
    if (!i) {
        shape_finish(&s);
        return -e->kind;
    }
    i->shape = s;
    (void)snprintf(i->name, sizeof i->name, "%s", name ? name : s.name);
    (void)snprintf(i->path, sizeof i->path, "%s", path);
    i->demo = strcmp(s.name, PILOT_NAME) == 0;
    choose_place(l, i);
    if (i->gpu < 0) {
        struct err why = ERR_INIT;
        int rc = fit_measure(l->loop, path, i->ctx_tokens, &i->how, l->cancel, &i->memory, &why);
        if (rc == -ERR_UNSUPPORTED) {
            i->refused = true;
            i->fits = false;
            (void)snprintf(i->note, sizeof i->note, "llama.cpp cannot load this file: %.150s", why.text);
        } else if (rc < 0)
            (void)snprintf(i->note, sizeof i->note, "compute buffers are estimated: %.140s", why.text);
        else if (i->memory.total > l->budget_bytes)
            i->fits = false;
    }
    if (s.unsure_kv && !i->memory.measured && !i->refused)
        (void)snprintf(i->note, sizeof i->note, "'%s' keeps more than these formulas know", s.arch);
    set_speed(l, i);
    return 0;
}

static int on_stored(void *ctx, const struct models_item *m)
{
    struct fit_list *l = ctx;
    struct err e = ERR_INIT;
    if (add_file(l, m->path, m->name, &e) < 0) {
        if (e.kind == ERR_NOMEM || e.kind == ERR_CANCELLED) {
            l->failure = e;
            return -e.kind;
        }
        struct fit_item *i = add(l, &e); /* a broken file is shown as such */
        if (i) {
            (void)snprintf(i->name, sizeof i->name, "%s", m->name);
            (void)snprintf(i->note, sizeof i->note, "%.190s", e.text);
        }
    }
    return 0;
}

static int on_row(void *ctx, const struct catalogue_model *m)
{
    struct fit_list *l = ctx;
    if (l->need && !strcasestr(m->name, l->need))
        return 0;
    struct fit_item *i = add(l, &l->failure);
    if (!i || shape_copy(&m->shape, &i->shape, &l->failure) < 0)
        return -l->failure.kind;
    (void)snprintf(i->name, sizeof i->name, "%s", m->name);
    (void)snprintf(i->note, sizeof i->note, "%.190s", m->kv_known ? m->notes : "the size of its cache is not known");
    /* of a Q4_K_M file about six tenths are Q4_K, which AVX2 builds copy (measured: 445 of 770 MB) */
    if (strncmp(m->shape.quant, "Q4_", 3) == 0)
        i->shape.repack_bytes = i->shape.weight_bytes / 10 * 6;
    choose_place(l, i);
    set_speed(l, i);
    if (!m->kv_known)
        i->pace = FIT_PACE_UNKNOWN; /* it may fit, or not: behind those of which we know */
    return 0;
}

static int by_rank(const void *a, const void *b)
{
    const struct fit_item *x = a, *y = b;
    if (x->fits != y->fits)
        return x->fits ? -1 : 1;
    if (x->demo != y->demo)
        return x->demo ? 1 : -1;
    if (!x->fits)
        return x->memory.total < y->memory.total ? -1 : x->memory.total > y->memory.total;
    if (x->pace != y->pace)
        return x->pace < y->pace ? -1 : 1;
    /* a larger model of a kind answers better; between two quantisations of one, more bits do */
    double qx = (double)x->shape.params * (double)(x->shape.active_params > 0 ? x->shape.active_params : x->shape.params);
    double qy = (double)y->shape.params * (double)(y->shape.active_params > 0 ? y->shape.active_params : y->shape.params);
    if (qx > qy || qx < qy)
        return qx > qy ? -1 : 1;
    if (x->shape.weight_bytes != y->shape.weight_bytes)
        return x->shape.weight_bytes > y->shape.weight_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int fill_all(struct fit_list *l, struct err *e)
{
    AUTO(ptr) char *dir = l->cache_dir ? path_join(l->cache_dir, "models") : NULL;
    AUTO(models) struct models *s = NULL;
    struct err ignored = ERR_INIT;
    if (dir && models_open(dir, &s, &ignored) == 0 && models_each(s, on_stored, l, e) < 0) {
        if (l->failure.kind)
            *e = l->failure;
        return -e->kind;
    }
    AUTO(ptr) char *pilot = engine_pilot(&ignored);
    if (pilot && add_file(l, pilot, "pilot (bundled)", e) < 0)
        return err_wrap(e, "the bundled model");
    l->failure = (struct err)ERR_INIT;
    if (catalogue_each(on_row, l, e) < 0) {
        if (l->failure.kind)
            *e = l->failure;
        return -e->kind;
    }
    return 0;
}

int fit_list_fill(struct fit_list *l, struct err *e)
{
    hardware_read(&l->hardware);
    if (hardware_bandwidth(l->cache_dir, &l->hardware, e) < 0)
        return -e->kind;
    if (l->reserve_bytes < 0)
        l->reserve_bytes = hardware_reserve(&l->hardware);
    l->budget_bytes = l->hardware.memory_usable - l->reserve_bytes;
    if (l->budget_bytes < 0)
        l->budget_bytes = 0;
    int rc = 0;
    if (l->file)
        rc = add_file(l, l->file, NULL, e);
    else if (l->need)
        rc = catalogue_each(on_row, l, e);
    else
        rc = fill_all(l, e);
    if (rc < 0)
        return rc;
    if (l->len > 1)
        qsort(l->items, l->len, sizeof *l->items, by_rank);
    return 0;
}

void fit_list_finish(struct fit_list *l)
{
    for (size_t i = 0; i < l->len; i++)
        shape_finish(&l->items[i].shape);
    free(l->items);
    l->items = NULL;
    l->len = l->cap = 0;
}
