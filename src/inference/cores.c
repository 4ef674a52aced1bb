/* cores.c - see cores.h. */
#include "inference/cores.h"

#include <sched.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "inference/cgroup.h"

/* Siblings that share a core name the same first CPU: count each core once. */
static int count_physical(const char *root, const cpu_set_t *mask)
{
    int count = 0;
    cpu_set_t seen;
    CPU_ZERO(&seen);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, mask))
            continue;
        char path[512];
        struct err ignored = ERR_INIT;
        AUTO(buf) struct buf list = BUF_INIT(256);
        (void)snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", root, cpu);
        int first = cpu;
        if (file_read(path, 256, &list, &ignored) == 0 && list.n && list.p[0] >= '0' && list.p[0] <= '9') {
            first = 0;
            for (size_t i = 0; i < list.n && list.p[i] >= '0' && list.p[i] <= '9' && first < CPU_SETSIZE; i++)
                first = first * 10 + (list.p[i] - '0');
        }
        if (first < CPU_SETSIZE && CPU_ISSET(first, &seen))
            continue;
        if (first < CPU_SETSIZE)
            CPU_SET(first, &seen);
        count++;
    }
    return count;
}

static void read_all(const char *root, const struct cgroup_limits *limits, struct cores *out)
{
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask) < 0)
        CPU_SET(0, &mask);
    out->logical = CPU_COUNT(&mask) > 0 ? CPU_COUNT(&mask) : 1;
    out->physical = count_physical(root, &mask);
    if (out->physical < 1)
        out->physical = 1;
    out->quota = limits->cores;
    out->usable = out->physical;
    if (out->quota > 0 && out->quota < out->usable)
        out->usable = out->quota < 1 ? 1 : (int)out->quota;
}

void cores_read_at(const char *root, const char *pid_cgroup, struct cores *out)
{
    struct cgroup_limits limits;
    cgroup_read_at(root, pid_cgroup, &limits);
    read_all(root, &limits, out);
}

void cores_read(struct cores *out)
{
    struct cgroup_limits limits;
    cgroup_read(&limits);
    read_all("", &limits, out);
}
