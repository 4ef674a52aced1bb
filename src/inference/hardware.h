/*
 * hardware - what this machine has to run a model with.
 *
 *     struct hardware h;
 *     hardware_read(&h);                                  // a few milliseconds, nothing is measured
 *     hardware_bandwidth(cache_dir, &h, e);               // measured once (a quarter of a second), then remembered;
 *                                                     // again, if other work took part of it then and none does now
 *     hardware_machine(&h, -1, &machine);                 // for fit_speed: the CPU, or GPU number i
 *
 * Memory is the smaller of what the machine and every cgroup above us (v1 and v2) have left. GPUs: NVIDIA by NVML, loaded at
 * run time; AMD and Intel by sysfs. A GPU that shares the system's memory is marked so and adds none.
 */
#ifndef STEAD_INFERENCE_HARDWARE_H
#define STEAD_INFERENCE_HARDWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "inference/cores.h"
#include "inference/fit.h"

#define HARDWARE_GPUS_MAX 16

struct hardware_gpu {
    char name[96];
    char vendor[16];       /* "nvidia", "amd", "intel" */
    int64_t memory_bytes;  /* its own; 0 where it shares the system's */
    int64_t free_bytes;
    bool unified;
    double bandwidth;      /* bytes a second; 0: unknown */
};

struct hardware {
    char cpu[96];
    struct cores cores;
    unsigned isa;                /* isa.h */
    int64_t memory_bytes;        /* of the machine */
    int64_t memory_available;    /* now, without swapping */
    int64_t memory_limit;        /* by cgroups; -1: none */
    int64_t memory_usable;       /* what we may plan with: the smallest of these, now */
    struct hardware_gpu gpus[HARDWARE_GPUS_MAX];
    int ngpus;
    int nvidia_cards;            /* in the machine, whether NVML is there or not */
    double bandwidth;            /* of memory, reading with all usable cores; bytes a second; 0: not measured */
    bool bandwidth_shared;       /* something else ran while it was measured: it is more */
};

void hardware_read(struct hardware *out);
/* The same with another root than "/" and without NVML: for tests. */
void hardware_read_at(const char *root, struct hardware *out);

/* Fill `bandwidth`: from `dir`/hardware.json, or measured and written there. dir NULL: measured. */
int hardware_bandwidth(const char *dir, struct hardware *h, struct err *e) WARN_UNUSED;

/* gpu -1: the CPU. */
void hardware_machine(const struct hardware *h, int gpu, struct fit_machine *out);
/* The GPU with the most free memory of its own, or -1. */
int hardware_best_gpu(const struct hardware *h);
/* What models leave for the builds and tests that an agent runs: a seventh of the memory that we may have, at most 16 GiB. */
int64_t hardware_reserve(const struct hardware *h);
/* What GPU i has for a model: what is free, less something for the display and the driver; 0 for i < 0. */
int64_t hardware_gpu_budget(const struct hardware *h, int i);

#endif
