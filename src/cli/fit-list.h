/*
 * fit-list - what this machine can run: every model at hand and of the catalogue, placed, measured, ranked.
 *
 *     struct fit_list l = { .loop = loop, .cache_dir = dir, .ctx_tokens = 32768, ... };
 *     fit_list_fill(&l, e);            // hardware, models, ranking: the best first
 *     l.items[0].name, .memory, .speed, .fits ...
 *     fit_list_finish(&l);
 *
 * Ranked by: fits; how long one waits (work with it, wait for it, overnight); quality, of which size is the only
 * stand-in we have. The model in `file` is read from its header and measured by the engine where it is there.
 */
#ifndef STEAD_CLI_FIT_LIST_H
#define STEAD_CLI_FIT_LIST_H

#include "base/loop.h"
#include "inference/fit.h"
#include "inference/hardware.h"
#include "inference/shape.h"

enum fit_pace { FIT_PACE_WORK, FIT_PACE_WAIT, FIT_PACE_NIGHT, FIT_PACE_UNKNOWN };

struct fit_item {
    char name[160];
    char path[4096];     /* "" for a row of the catalogue */
    char note[200];      /* what is not sure */
    struct shape shape;
    struct fit_how how;
    int64_t ctx_tokens;  /* the one that the figures are for */
    int64_t ctx_most;    /* the largest that fits; 0: none */
    struct fit_memory memory;
    struct fit_speed speed;
    enum fit_pace pace;
    int gpu;             /* it runs on this one, -1: on the CPU */
    bool fits;
    bool demo;           /* the bundled pilot: behind all that is for work */
    bool refused;        /* llama.cpp does not load the file; why is in `note` */
};

struct fit_list {
    struct loop *loop;
    struct cancel *cancel;
    const char *cache_dir;   /* models, measurements */
    const char *file;        /* only this one; NULL: all */
    const char *need;        /* rows of the catalogue whose name contains this; NULL: all */
    int64_t ctx_tokens;      /* wanted */
    bool ctx_exact;          /* this one, also where it does not fit or is more than the model was trained for */
    int64_t reserve_bytes;   /* kept for builds and tests; negative: by the machine's size */
    struct fit_how how;
    struct hardware hardware; /* filled */
    int64_t budget_bytes;     /* filled: of the CPU's memory */
    struct fit_item *items;
    size_t len, cap;
    struct err failure;       /* inside callbacks */
};

#define FIT_CTX_DEFAULT 32768 /* an agent's conversation: instructions, files read, results of tools */
#define FIT_CTX_LEAST 4096    /* below, no task fits: the model is said not to fit */

int fit_list_fill(struct fit_list *l, struct err *e) WARN_UNUSED;
void fit_list_finish(struct fit_list *l);

const char *fit_pace_words(enum fit_pace p);
/* The same of one model; the pilot is for demonstrations, however fast. */
const char *fit_item_words(const struct fit_item *i);

#endif
