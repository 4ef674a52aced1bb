/* cgroup.c - see cgroup.h. */
#include "inference/cgroup.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"

#define CGROUP_FILE_MAX 4096
#define CGROUP_PATH_MAX 4096
#define CGROUP_STAT_MAX (64 << 10)

/* The file's first line: false when there is no such file. */
static bool first_line(const char *path, char *out, size_t size)
{
    struct err ignored = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(CGROUP_FILE_MAX);
    if (file_read(path, CGROUP_FILE_MAX, &b, &ignored) < 0)
        return false;
    struct span rest = buf_span(&b), line;
    if (!span_line(&rest, &line) || line.n >= size)
        return false;
    memcpy(out, line.p, line.n);
    out[line.n] = 0;
    return true;
}

static bool read_number(const char *dir, const char *name, int64_t *out)
{
    char path[CGROUP_PATH_MAX], text[64];
    struct err ignored = ERR_INIT;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return false;
    return first_line(path, text, sizeof text) && parse_i64(span_of(text), 0, INT64_MAX, out, &ignored) == 0;
}

/* The number behind `key` in a group's memory.stat. */
static int64_t stat_number(struct span text, const char *key)
{
    struct span line, name;
    struct err ignored = ERR_INIT;
    int64_t v;
    while (span_line(&text, &line))
        if (span_split(&line, ' ', &name) && span_eqs(name, key) && parse_i64(span_trim(line), 0, INT64_MAX, &v, &ignored) == 0)
            return v;
    return -1;
}

/* A limit and what is used of it; of that, files in the page cache. */
static void memory_limit(struct cgroup_limits *out, int64_t limit, int64_t used, int64_t files)
{
    int64_t left = limit - (used > 0 ? used : 0) + (files > 0 ? files : 0);
    if (limit < 0 || limit >= INT64_MAX / 2) /* v1 says "no limit" as a number near 2^63 */
        return;
    left = left < 0 ? 0 : left > limit ? limit : left;
    if (out->memory_bytes < 0 || limit < out->memory_bytes)
        out->memory_bytes = limit;
    if (out->memory_left < 0 || left < out->memory_left)
        out->memory_left = left;
}

static void read_stat(const char *dir, struct buf *out)
{
    char path[CGROUP_PATH_MAX];
    struct err ignored = ERR_INIT;
    buf_reset(out);
    if ((size_t)snprintf(path, sizeof path, "%s/memory.stat", dir) >= sizeof path || file_read(path, out->limit, out, &ignored) < 0)
        buf_reset(out);
}

static void cores_limit(struct cgroup_limits *out, int64_t quota, int64_t period)
{
    if (quota <= 0 || period <= 0)
        return;
    double cores = (double)quota / (double)period;
    if (out->cores <= 0 || cores < out->cores)
        out->cores = cores;
}

static void cpu_v2_at(const char *dir, struct cgroup_limits *out)
{
    char path[CGROUP_PATH_MAX], text[128];
    struct err ignored = ERR_INIT;
    int64_t quota, period;
    if ((size_t)snprintf(path, sizeof path, "%s/cpu.max", dir) >= sizeof path || !first_line(path, text, sizeof text))
        return;
    struct span rest = span_of(text), first;
    if (!span_split(&rest, ' ', &first) || span_eqs(first, "max"))
        return;
    if (parse_i64(first, 1, INT64_MAX, &quota, &ignored) == 0 && parse_i64(rest, 1, INT64_MAX, &period, &ignored) == 0)
        cores_limit(out, quota, period);
}

static void cpu_v1_at(const char *dir, struct cgroup_limits *out)
{
    int64_t quota, period;
    if (read_number(dir, "cpu.cfs_quota_us", &quota) && read_number(dir, "cpu.cfs_period_us", &period))
        cores_limit(out, quota, period);
}

typedef void (*level_fn)(const char *dir, struct cgroup_limits *out);

static void memory_v2(const char *dir, struct cgroup_limits *out)
{
    static const char *const limits[] = { "memory.max", "memory.high" }; /* above the second one is slowed down until it is of no use */
    AUTO(buf) struct buf stat = BUF_INIT(CGROUP_STAT_MAX);
    int64_t limit, used = -1;
    (void)read_number(dir, "memory.current", &used);
    read_stat(dir, &stat);
    int64_t idle = stat_number(buf_span(&stat), "inactive_file"), busy = stat_number(buf_span(&stat), "active_file");
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        if (read_number(dir, limits[i], &limit))
            memory_limit(out, limit, used, (idle > 0 ? idle : 0) + (busy > 0 ? busy : 0));
}

static void memory_v1(const char *dir, struct cgroup_limits *out)
{
    AUTO(buf) struct buf stat = BUF_INIT(CGROUP_STAT_MAX);
    int64_t limit, used = -1;
    (void)read_number(dir, "memory.usage_in_bytes", &used);
    read_stat(dir, &stat);
    int64_t idle = stat_number(buf_span(&stat), "total_inactive_file"), busy = stat_number(buf_span(&stat), "total_active_file");
    int64_t files = (idle > 0 ? idle : 0) + (busy > 0 ? busy : 0);
    if (read_number(dir, "memory.limit_in_bytes", &limit))
        memory_limit(out, limit, used, files);
    /* of groups above that are not to be seen from here */
    memory_limit(out, stat_number(buf_span(&stat), "hierarchical_memory_limit"), used, files);
}

/* Call fn for base + path, and for every directory above it down to base itself. */
static void walk_up(const char *base, struct span path, level_fn fn, struct cgroup_limits *out)
{
    char dir[CGROUP_PATH_MAX];
    for (;;) {
        while (path.n && path.p[path.n - 1] == '/')
            path.n--;
        if ((size_t)snprintf(dir, sizeof dir, "%s%.*s", base, (int)path.n, path.p) < sizeof dir)
            fn(dir, out);
        if (!path.n)
            return;
        while (path.n && path.p[path.n - 1] != '/')
            path.n--;
    }
}

static bool has_controller(struct span list, const char *name)
{
    struct span one;
    while (span_split(&list, ',', &one))
        if (span_eqs(one, name))
            return true;
    return false;
}

void cgroup_read_at(const char *root, const char *self, struct cgroup_limits *out)
{
    *out = (struct cgroup_limits){ .memory_bytes = -1, .memory_left = -1 };
    char v2[512], v2_hybrid[512], v1_memory[512], v1_cpu[512], v1_cpuacct[512];
    (void)snprintf(v2, sizeof v2, "%s/sys/fs/cgroup", root);
    (void)snprintf(v2_hybrid, sizeof v2_hybrid, "%s/sys/fs/cgroup/unified", root);
    (void)snprintf(v1_memory, sizeof v1_memory, "%s/sys/fs/cgroup/memory", root);
    (void)snprintf(v1_cpu, sizeof v1_cpu, "%s/sys/fs/cgroup/cpu", root);
    (void)snprintf(v1_cpuacct, sizeof v1_cpuacct, "%s/sys/fs/cgroup/cpu,cpuacct", root);

    struct span rest = span_of(self), line;
    while (span_line(&rest, &line)) { /* "0::/path" or "4:memory:/path" */
        struct span id, controllers;
        if (!span_split(&line, ':', &id) || !span_split(&line, ':', &controllers))
            continue;
        if (!controllers.n) {
            walk_up(v2, line, memory_v2, out);
            walk_up(v2, line, cpu_v2_at, out);
            walk_up(v2_hybrid, line, memory_v2, out);
            walk_up(v2_hybrid, line, cpu_v2_at, out);
        }
        if (has_controller(controllers, "memory"))
            walk_up(v1_memory, line, memory_v1, out);
        if (has_controller(controllers, "cpu")) {
            walk_up(v1_cpu, line, cpu_v1_at, out);
            walk_up(v1_cpuacct, line, cpu_v1_at, out);
        }
    }
}

void cgroup_read(struct cgroup_limits *out)
{
    struct err ignored = ERR_INIT;
    AUTO(buf) struct buf self = BUF_INIT(64 << 10);
    if (file_read("/proc/self/cgroup", self.limit, &self, &ignored) < 0)
        buf_reset(&self); /* no /proc: no limits known */
    cgroup_read_at("", buf_str(&self), out);
}
