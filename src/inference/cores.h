/*
 * cores - how many processor cores this process may really use.
 *
 * The smallest of: the affinity mask, the cgroup's quota (v1 and v2, every level up to the root), and, for
 * computing, physical cores: two hardware threads of one core evaluate a model no faster than one. Of a processor with fast and
 * slow cores the fast ones: each step waits for the slowest.
 * Any thread.
 */
#ifndef STEAD_INFERENCE_CORES_H
#define STEAD_INFERENCE_CORES_H

struct cores {
    int logical;  /* in the affinity mask */
    int physical; /* of those, distinct cores */
    double quota; /* cgroup limit in cores; 0: none */
    int usable;   /* what to compute with: at least 1 */
};

void cores_read(struct cores *out);

/* The same below another root than "/": for tests. `pid_cgroup` is the text of /proc/self/cgroup. */
void cores_read_at(const char *root, const char *pid_cgroup, struct cores *out);

#endif
