/* cores.c - see cores.h. */
#include "inference/cores.h"

#include <sched.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "inference/cgroup.h"

/* "0-7,16": the processors of such a list; false when it is none. */
static bool parse_list(struct span text, cpu_set_t *out)
{
    struct span part, first;
    struct err ignored = ERR_INIT;
    CPU_ZERO(out);
    text = span_trim(text);
    while (span_split(&text, ',', &part)) {
        int64_t from, to;
        if (!span_split(&part, '-', &first) || parse_i64(first, 0, CPU_SETSIZE - 1, &from, &ignored) < 0)
            return false;
        to = from;
        if (part.n && parse_i64(part, from, CPU_SETSIZE - 1, &to, &ignored) < 0)
            return false;
        for (int64_t i = from; i <= to; i++)
            CPU_SET((int)i, out);
    }
    return CPU_COUNT(out) > 0;
}

/* Of a hybrid processor, the performance cores of the mask, where it has any of them. */
static void keep_fast(const char *root, cpu_set_t *mask)
{
    char path[512];
    cpu_set_t fast, both;
    struct err ignored = ERR_INIT;
    AUTO(buf) struct buf list = BUF_INIT(4096);
    (void)snprintf(path, sizeof path, "%s/sys/devices/cpu_core/cpus", root);
    if (file_read(path, list.limit, &list, &ignored) < 0 || !parse_list(buf_span(&list), &fast))
        return;
    CPU_AND(&both, mask, &fast);
    if (CPU_COUNT(&both) > 0)
        *mask = both;
}

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
    keep_fast(root, &mask);
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
