/*
 * cgroup - the limits that control groups put on this process: memory and processor time.
 *
 * Both hierarchies are read (v2 at /sys/fs/cgroup, v1 at /sys/fs/cgroup/memory and /cpu), from the process's
 * own group up to the root, as a limit anywhere above holds too. In a container the own group is often
 * mounted as the root and its path in /proc/self/cgroup does not exist below: then the root itself is read.
 * Files in the page cache count as used in a group, a model's among them, and give way: they are counted as left.
 */
#ifndef STEAD_INFERENCE_CGROUP_H
#define STEAD_INFERENCE_CGROUP_H

#include <stdint.h>

struct cgroup_limits {
    int64_t memory_bytes; /* the smallest limit above us; -1: none */
    int64_t memory_left;  /* the least that a group above us has left of its limit; -1: no limit */
    double cores;         /* the smallest quota above us; 0: none */
};

/* `root` is "" on a real system; `self` is the text of /proc/self/cgroup. */
void cgroup_read_at(const char *root, const char *self, struct cgroup_limits *out);
void cgroup_read(struct cgroup_limits *out);

#endif
