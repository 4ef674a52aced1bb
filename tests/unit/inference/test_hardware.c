#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/path.h"
#include "inference/cgroup.h"
#include "inference/hardware.h"

static char root[] = "/tmp/stead-hw-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    return path_remove_tree(AT_FDCWD, root, &e);
}

static void put(const char *path, const char *text)
{
    char full[512], dir[512];
    struct err e = ERR_INIT;
    (void)snprintf(full, sizeof full, "%s%s", root, path);
    (void)snprintf(dir, sizeof dir, "%.*s", (int)path_dir(full).n, full);
    assert_int_equal(path_mkdirs(dir, 0755, &e), 0);
    assert_int_equal(file_write_atomic(full, span_of(text), 0644, false, &e), 0);
}

static void fresh(void)
{
    struct err e = ERR_INIT;
    assert_int_equal(path_remove_tree(AT_FDCWD, root, &e), 0);
    assert_int_equal(path_mkdirs(root, 0755, &e), 0);
}

static void cgroup__v2_takes_the_smallest_limit_above(void **state)
{
    (void)state;
    fresh();
    put("/sys/fs/cgroup/memory.max", "max\n");
    put("/sys/fs/cgroup/a/memory.max", "2147483648\n");
    put("/sys/fs/cgroup/a/memory.current", "1048576\n");
    put("/sys/fs/cgroup/a/b/memory.max", "8589934592\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "150000 100000\n");
    put("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
    struct cgroup_limits l;
    cgroup_read_at(root, "0::/a/b\n", &l);
    assert_int_equal(l.memory_bytes, 2147483648);
    assert_int_equal(l.memory_left, 2147483648 - 1048576);
    assert_true(l.cores > 1.49 && l.cores < 1.51);
}

static void cgroup__what_is_left_is_the_least_of_any_level(void **state)
{
    (void)state;
    struct cgroup_limits l;
    fresh();
    put("/sys/fs/cgroup/a/memory.max", "8000000000\n"); /* the larger limit, nearly used up by others */
    put("/sys/fs/cgroup/a/memory.current", "7900000000\n");
    put("/sys/fs/cgroup/a/b/memory.max", "4000000000\n");
    put("/sys/fs/cgroup/a/b/memory.current", "3500000000\n");
    put("/sys/fs/cgroup/a/b/memory.stat", "anon 500000000\nfile 3000000000\ninactive_file 2000000000\nactive_file 1000000000\n");
    cgroup_read_at(root, "0::/a/b\n", &l);
    assert_int_equal(l.memory_bytes, 4000000000);
    assert_int_equal(l.memory_left, 100000000);
    put("/sys/fs/cgroup/a/memory.stat", "inactive_file 5000000000\n"); /* a model's pages: they give way */
    cgroup_read_at(root, "0::/a/b\n", &l);
    assert_int_equal(l.memory_left, 3500000000);
    put("/sys/fs/cgroup/a/b/memory.high", "1000000000\n");
    cgroup_read_at(root, "0::/a/b\n", &l);
    assert_int_equal(l.memory_bytes, 1000000000);
    assert_int_equal(l.memory_left, 500000000);
    put("/sys/fs/cgroup/a/b/memory.stat", "inactive_file 99999999999999999999\nactive_file -3\n\nrubbish\n");
    put("/sys/fs/cgroup/a/b/memory.current", "lots\n");
    cgroup_read_at(root, "0::/a/b\n", &l);
    assert_int_equal(l.memory_left, 1000000000);

    fresh(); /* v1: a limit further up that is not to be seen from here */
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1500000000\n");
    put("/sys/fs/cgroup/memory/memory.stat", "hierarchical_memory_limit 2000000000\ntotal_inactive_file 1000000000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    cgroup_read_at(root, "4:memory:/\n3:cpu,cpuacct:/\n", &l);
    assert_int_equal(l.memory_bytes, 2000000000);
    assert_int_equal(l.memory_left, 1500000000);
    assert_true(l.cores > 2.9 && l.cores < 3.1);
}

/* Of fast and slow cores the fast ones; a list that is none of ours, or rubbish, changes nothing. */
static void cores__of_a_hybrid_processor_are_the_fast_ones(void **state)
{
    (void)state;
    struct cores all, fast;
    char list[32];
    cpu_set_t mask;
    int first = 0;
    fresh();
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    while (!CPU_ISSET(first, &mask))
        first++;
    cores_read_at(root, "", &all);
    (void)snprintf(list, sizeof list, "%d-%d,1023\n", first, first);
    put("/sys/devices/cpu_core/cpus", list);
    cores_read_at(root, "", &fast);
    assert_int_equal(fast.physical, 1);
    assert_int_equal(fast.logical, all.logical);
    static const char *const rubbish[] = { "1023\n", "", "x-y\n", "5-2\n", "0-99999999\n" };
    for (size_t i = 0; i < COUNT_OF(rubbish); i++) {
        put("/sys/devices/cpu_core/cpus", rubbish[i]);
        cores_read_at(root, "", &fast);
        assert_int_equal(fast.physical, all.physical);
    }
}

static void cgroup__v1_and_containers(void **state)
{
    (void)state;
    fresh();
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"); /* the container's own group, mounted as the root */
    put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "4096\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    struct cgroup_limits l;
    cgroup_read_at(root, "4:memory:/docker/0123\n3:cpu,cpuacct:/docker/0123\n1:name=systemd:/x\n", &l);
    assert_int_equal(l.memory_bytes, 1073741824);
    assert_true(l.cores > 0.49 && l.cores < 0.51);
    fresh();
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* v1's "none" */
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    cgroup_read_at(root, "4:memory:/\n3:cpu,cpuacct:/\n", &l);
    assert_int_equal(l.memory_bytes, -1);
    assert_true(l.cores <= 0);
    cgroup_read_at(root, "rubbish\n:::\n0::/../../..\n", &l);
    assert_int_equal(l.memory_bytes, -1);
}

static void hardware__reads_memory_within_its_limits(void **state)
{
    (void)state;
    fresh();
    put("/proc/meminfo", "MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:   12000000 kB\n");
    put("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some \033[31mCPU\033[0m 9000\n");
    put("/proc/self/cgroup", "0::/x\n");
    struct hardware h;
    hardware_read_at(root, &h);
    assert_int_equal(h.memory_bytes, 16384000000);
    assert_int_equal(h.memory_usable, 12288000000);
    assert_string_equal(h.cpu, "Some CPU 9000"); /* nothing of it reaches a terminal raw */
    put("/sys/fs/cgroup/x/memory.max", "4000000000\n");
    put("/sys/fs/cgroup/x/memory.current", "1000000000\n");
    hardware_read_at(root, &h);
    assert_int_equal(h.memory_limit, 4000000000);
    assert_int_equal(h.memory_usable, 3000000000);
    assert_int_equal(hardware_reserve(&h), 4000000000 / 7); /* of what we may have, not of the machine's */
    put("/proc/meminfo", "MemTotal: 16000000 kB\nMemFree: 1000000 kB\nBuffers: 100000 kB\nCached: 500000 kB\n"); /* before 3.14 */
    hardware_read_at(root, &h);
    assert_int_equal(h.memory_available, 1638400000);
    put("/proc/meminfo", "");
    hardware_read_at(root, &h);
    assert_int_equal(h.memory_usable, 0);
}

static void hardware__reads_gpus_from_sysfs(void **state)
{
    (void)state;
    fresh();
    put("/sys/class/drm/card0/device/vendor", "0x1002\n"); /* an AMD card */
    put("/sys/class/drm/card0/device/mem_info_vram_total", "25753026560\n");
    put("/sys/class/drm/card0/device/mem_info_vram_used", "1073741824\n");
    put("/sys/class/drm/card0/device/mem_info_gtt_total", "16777216000\n");
    put("/sys/class/drm/card1/device/vendor", "0x1002\n"); /* an AMD APU */
    put("/sys/class/drm/card1/device/mem_info_vram_total", "536870912\n");
    put("/sys/class/drm/card1/device/mem_info_gtt_total", "16777216000\n");
    put("/sys/class/drm/card2/device/vendor", "0x8086\n"); /* integrated Intel */
    put("/sys/class/drm/card3/device/vendor", "0x8086\n"); /* an Intel card */
    put("/sys/class/drm/card3/lmem_total_bytes", "17179869184\n");
    put("/sys/class/drm/card4/device/vendor", "0x1a03\n"); /* a board's console */
    put("/sys/class/drm/card0-DP-1/status", "connected\n");
    put("/sys/class/drm/card5/device/vendor", "0x10de\n"); /* NVIDIA's, whose driver tells the rest */
    put("/sys/class/drm/card6/device/vendor", "0x1002\n"); /* one that says nonsense */
    put("/sys/class/drm/card6/device/mem_info_vram_total", "8589934592\n");
    put("/sys/class/drm/card6/device/mem_info_vram_used", "9589934592\n");
    struct hardware h;
    hardware_read_at(root, &h);
    assert_int_equal(h.ngpus, 5);
    assert_int_equal(h.nvidia_cards, 1);
    assert_int_equal(h.gpus[4].free_bytes, 0);
    assert_false(h.gpus[0].unified);
    assert_int_equal(h.gpus[0].free_bytes, 25753026560 - 1073741824);
    assert_true(h.gpus[1].unified);
    assert_int_equal(h.gpus[1].memory_bytes, 0);
    assert_true(h.gpus[2].unified);
    assert_int_equal(h.gpus[3].memory_bytes, 17179869184);
    assert_int_equal(hardware_best_gpu(&h), 0);
}

static void bandwidth__is_measured_once(void **state)
{
    (void)state;
    fresh();
    struct err e = ERR_INIT;
    struct hardware h = { .cpu = "test", .cores = { .usable = 1 }, .memory_usable = (int64_t)1 << 30 };
    assert_int_equal(hardware_bandwidth(root, &h, &e), 0);
    assert_true(h.bandwidth > 1e8);
    put("/hardware.json", "{\"cpu\":\"test\",\"cores\":1,\"bandwidth\":123456789.0}");
    assert_int_equal(hardware_bandwidth(root, &h, &e), 0);
    assert_true(h.bandwidth > 123456788 && h.bandwidth < 123456790);
    h.cores.usable = 2; /* another machine, or other limits: measured anew */
    assert_int_equal(hardware_bandwidth(root, &h, &e), 0);
    assert_true(h.bandwidth > 1.3e8);
    h.cores.usable = 1; /* a measurement beside other work counts until one without is possible: with one core, at once */
    put("/hardware.json", "{\"cpu\":\"test\",\"cores\":1,\"bandwidth\":123456789.0,\"busy\":true}");
    assert_int_equal(hardware_bandwidth(root, &h, &e), 0);
    assert_true(h.bandwidth > 1.3e8);
    h.cores.usable = 60000; /* more cores than can be free: what was measured beside other work is kept, and marked */
    put("/hardware.json", "{\"cpu\":\"test\",\"cores\":60000,\"bandwidth\":123456789.0,\"busy\":true}");
    assert_int_equal(hardware_bandwidth(root, &h, &e), 0);
    assert_true(h.bandwidth > 123456788 && h.bandwidth < 123456790);
    assert_true(h.bandwidth_shared);
    h.cores.usable = 1;
    put("/hardware.json", "{ broken");
    assert_int_equal(hardware_bandwidth(root, &h, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cgroup__v2_takes_the_smallest_limit_above), cmocka_unit_test(cgroup__v1_and_containers),
        cmocka_unit_test(cgroup__what_is_left_is_the_least_of_any_level), cmocka_unit_test(cores__of_a_hybrid_processor_are_the_fast_ones),
        cmocka_unit_test(hardware__reads_memory_within_its_limits),  cmocka_unit_test(hardware__reads_gpus_from_sysfs),
        cmocka_unit_test(bandwidth__is_measured_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
