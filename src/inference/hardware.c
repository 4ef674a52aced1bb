/* hardware.c - see hardware.h. */
#include "inference/hardware.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#define LOG_MODULE "inference"
#include "base/bind.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "inference/cgroup.h"
#include "inference/isa.h"
#include "inference/spare.h"

#define MEASURE_BYTES (64u << 20) /* a thread: beyond every last-level cache share */
#define MEASURE_US 200000
#define PATH_BYTES 512
#define RESERVE_MOST ((int64_t)16 << 30)
#define GPU_SPARE ((int64_t)512 << 20) /* of a GPU's memory: its display, its driver */

/* --- memory and processor ----------------------------------------------------------------------- */

static int64_t meminfo(struct span text, const char *key)
{
    struct span line, name;
    while (span_line(&text, &line)) {
        int64_t kib;
        struct err ignored = ERR_INIT;
        if (!span_split(&line, ':', &name) || !span_eqs(name, key))
            continue;
        line = span_trim(line);
        if (span_ends(line, " kB"))
            line.n -= 3;
        if (parse_i64(line, 0, INT64_MAX >> 10, &kib, &ignored) == 0)
            return kib << 10;
    }
    return 0;
}

static bool read_text(const char *root, const char *path, struct buf *out)
{
    char full[PATH_BYTES];
    struct err ignored = ERR_INIT;
    buf_reset(out);
    return (size_t)snprintf(full, sizeof full, "%s%s", root, path) < sizeof full &&
           file_read(full, out->limit, out, &ignored) == 0;
}

static void read_memory(const char *root, struct hardware *h)
{
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    AUTO(buf) struct buf self = BUF_INIT(64 << 10);
    if (read_text(root, "/proc/meminfo", &text)) {
        h->memory_bytes = meminfo(buf_span(&text), "MemTotal");
        h->memory_available = meminfo(buf_span(&text), "MemAvailable");
        if (h->memory_available <= 0) /* before Linux 3.14 */
            h->memory_available = meminfo(buf_span(&text), "MemFree") + meminfo(buf_span(&text), "Buffers") + meminfo(buf_span(&text), "Cached");
    }
    struct sysinfo si;
    if (h->memory_bytes <= 0 && !root[0] && sysinfo(&si) == 0) { /* /proc is hidden: at least what no file uses */
        h->memory_bytes = (int64_t)si.totalram * (int64_t)si.mem_unit;
        h->memory_available = (int64_t)(si.freeram + si.bufferram) * (int64_t)si.mem_unit;
    }
    struct cgroup_limits limits;
    (void)read_text(root, "/proc/self/cgroup", &self);
    cgroup_read_at(root, buf_str(&self), &limits);
    h->memory_limit = limits.memory_bytes;
    h->memory_usable = h->memory_available;
    if (limits.memory_left >= 0 && limits.memory_left < h->memory_usable)
        h->memory_usable = limits.memory_left;
    cores_read_at(root, buf_str(&self), &h->cores);
}

static void read_cpu(const char *root, struct hardware *h)
{
    AUTO(buf) struct buf text = BUF_INIT(16u << 20);
    (void)snprintf(h->cpu, sizeof h->cpu, "unknown processor");
    if (!read_text(root, "/proc/cpuinfo", &text))
        return;
    struct span rest = buf_span(&text), line, name;
    while (span_line(&rest, &line)) {
        if (!span_split(&line, ':', &name))
            continue;
        name = span_trim(name);
        if (span_eqs(name, "model name") || span_eqs(name, "Model")) {
            clean_into(h->cpu, sizeof h->cpu, span_trim(line), CLEAN_LINE);
            return;
        }
    }
}

/* --- GPUs ------------------------------------------------------------------------------------------ */

/* NVML, declared here as its header is not everywhere: nvml.h of the CUDA toolkit, stable since CUDA 8. */
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml {
    int (*init)(void);
    int (*shutdown)(void);
    int (*count)(unsigned *n);
    int (*handle)(unsigned i, void **device);
    int (*name)(void *device, char *out, unsigned size);
    int (*memory)(void *device, struct nvml_memory *out);
    int (*bus_width)(void *device, unsigned *bits);
    int (*max_clock)(void *device, int which, unsigned *mhz);
};
enum { NVML_CLOCK_MEM = 2, NVML_DEVICES_MAX = 4 * HARDWARE_GPUS_MAX /* asked for, whatever it counts */ };

static bool nvml_load(struct nvml *n)
{
    static const char *const names[] = { "nvmlInit_v2", "nvmlShutdown", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
                                         "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryBusWidth",
                                         "nvmlDeviceGetMaxClockInfo" };
    void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    void *found[COUNT_OF(names)];
    _Static_assert(sizeof found == sizeof *n, "one name a member");
    if (!lib)
        return false;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        found[i] = dlsym(lib, names[i]);
        if (!found[i])
            return false;
    }
    memcpy(n, found, sizeof found);
    return n->init() == 0;
}

/* Whatever a driver says, within the total and what a number holds. */
static void set_memory(struct hardware_gpu *g, int64_t total, int64_t left)
{
    g->memory_bytes = total > 0 ? total : 0;
    g->free_bytes = left < 0 ? 0 : left > g->memory_bytes ? g->memory_bytes : left;
}

static void read_nvidia(struct hardware *h)
{
    struct nvml n;
    unsigned count = 0;
    if (!nvml_load(&n))
        return;
    if (n.count(&count) != 0)
        count = 0;
    if (count > NVML_DEVICES_MAX)
        count = NVML_DEVICES_MAX;
    for (unsigned i = 0; i < count && h->ngpus < HARDWARE_GPUS_MAX; i++) {
        void *device;
        char name[96] = "";
        struct nvml_memory memory = { 0, 0, 0 };
        unsigned bits = 0, mhz = 0;
        struct hardware_gpu *g = &h->gpus[h->ngpus];
        if (n.handle(i, &device) != 0 || n.name(device, name, sizeof name - 1) != 0)
            continue;
        *g = (struct hardware_gpu){ .vendor = "nvidia" };
        clean_into(g->name, sizeof g->name, span_of(name), CLEAN_LINE);
        if (n.memory(device, &memory) == 0) {
            set_memory(g, (int64_t)memory.total, (int64_t)memory.free);
        } else {
            g->unified = true; /* Jetson, GB10: NVML has no memory of its own to report */
        }
        if (n.bus_width(device, &bits) == 0 && n.max_clock(device, NVML_CLOCK_MEM, &mhz) == 0)
            g->bandwidth = 2.0 * (double)mhz * 1e6 * (double)bits / 8.0; /* double data rate */
        h->ngpus++;
    }
    (void)n.shutdown();
}

static int64_t read_number(const char *root, const char *card, const char *file)
{
    char path[PATH_BYTES];
    AUTO(buf) struct buf text = BUF_INIT(256);
    struct err ignored = ERR_INIT;
    int64_t v;
    (void)snprintf(path, sizeof path, "/sys/class/drm/%s/%s", card, file);
    if (!read_text(root, path, &text) || parse_i64(span_trim(buf_span(&text)), 0, INT64_MAX, &v, &ignored) < 0)
        return -1;
    return v;
}

/* AMD and Intel tell their memory in sysfs; an APU's or an integrated GPU's is the system's. */
static void read_card(const char *root, const char *card, struct hardware *h)
{
    char path[PATH_BYTES];
    AUTO(buf) struct buf vendor = BUF_INIT(256);
    (void)snprintf(path, sizeof path, "/sys/class/drm/%s/device/vendor", card);
    if (h->ngpus == HARDWARE_GPUS_MAX || !read_text(root, path, &vendor))
        return;
    struct hardware_gpu g = { .name = "" };
    struct span id = span_trim(buf_span(&vendor));
    if (span_eqs(id, "0x1002")) {
        int64_t total = read_number(root, card, "device/mem_info_vram_total"), used = read_number(root, card, "device/mem_info_vram_used");
        int64_t shared = read_number(root, card, "device/mem_info_gtt_total");
        (void)snprintf(g.vendor, sizeof g.vendor, "amd");
        (void)snprintf(g.name, sizeof g.name, "AMD GPU %s", card);
        /* an APU's own part is a carve-out, much smaller than what it may use of the system's */
        g.unified = total >= 0 && shared > 0 && total < (int64_t)4 << 30 && shared > 2 * total;
        if (total > 0 && !g.unified) {
            set_memory(&g, total, used >= 0 ? total - used : total);
        }
    } else if (span_eqs(id, "0x8086")) {
        int64_t total = read_number(root, card, "lmem_total_bytes"), avail = read_number(root, card, "lmem_avail_bytes");
        (void)snprintf(g.vendor, sizeof g.vendor, "intel");
        (void)snprintf(g.name, sizeof g.name, "Intel GPU %s", card);
        g.unified = total <= 0;
        if (total > 0) {
            set_memory(&g, total, avail >= 0 ? avail : total);
        }
    } else {
        h->nvidia_cards += span_eqs(id, "0x10de"); /* NVML tells about it, where its driver is there */
        return;
    }
    h->gpus[h->ngpus++] = g;
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

static void read_cards(const char *root, struct hardware *h)
{
    char path[PATH_BYTES];
    char *names[HARDWARE_GPUS_MAX];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/sys/class/drm", root);
    DIR *d = opendir(path);
    const struct dirent *entry;
    while (d && n < COUNT_OF(names) && (entry = readdir(d))) /* "card0", not "card0-DP-1" or "renderD128" */ /* NOLINT(concurrency-mt-unsafe): own stream */
        if (strncmp(entry->d_name, "card", 4) == 0 && !strchr(entry->d_name, '-') && (names[n] = strdup(entry->d_name)))
            n++;
    if (d)
        (void)closedir(d);
    if (n)
        qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        read_card(root, names[i], h);
        free(names[i]);
    }
}

void hardware_read_at(const char *root, struct hardware *out)
{
    *out = (struct hardware){ .memory_limit = -1 };
    read_memory(root, out);
    read_cpu(root, out);
    read_cards(root, out);
}

void hardware_read(struct hardware *out)
{
    hardware_read_at("", out);
    out->isa = isa_read();
    read_nvidia(out);
}

/* --- bandwidth --------------------------------------------------------------------------------------- */

struct measuring {
    const uint64_t *data;
    size_t n;
    uint64_t sum;
    double rate;
};

static void *measure_thread(void *arg)
{
    struct measuring *m = arg;
    int64_t began = clock_us(), now = began;
    double bytes = 0;
    while (now - began < MEASURE_US) {
        uint64_t a = 0, b = 0, c = 0, d = 0;
        for (size_t i = 0; i + 4 <= m->n; i += 4) {
            a += m->data[i];
            b += m->data[i + 1];
            c += m->data[i + 2];
            d += m->data[i + 3];
        }
        m->sum += a + b + c + d;
        bytes += (double)m->n * sizeof *m->data;
        now = clock_us();
    }
    m->rate = bytes / ((double)(now - began) / 1e6);
    return NULL;
}

/* `memory_bytes`: what may be used, of which a quarter is. */
static int measure(int threads, int64_t memory_bytes, double *out, struct err *e)
{
    const int64_t most = memory_bytes / 4 / MEASURE_BYTES;
    if (threads > 64)
        threads = 64; /* more do not read faster than a socket's memory delivers */
    if (threads > most)
        threads = most > 1 ? (int)most : 1;
    AUTO(ptr) struct measuring *all = calloc((size_t)threads, sizeof *all);
    AUTO(ptr) pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    AUTO(ptr) unsigned char *data = malloc((size_t)threads * MEASURE_BYTES);
    if (!all || !ids || !data)
        return err_set(e, ERR_NOMEM, "cannot measure the memory's bandwidth: out of memory");
    memset(data, 1, (size_t)threads * MEASURE_BYTES);
    int started = 0;
    for (; started < threads; started++) {
        all[started].data = (const uint64_t *)(const void *)(data + (size_t)started * MEASURE_BYTES);
        all[started].n = MEASURE_BYTES / sizeof(uint64_t);
        if (pthread_create(&ids[started], NULL, measure_thread, &all[started]) != 0)
            break;
    }
    double sum = 0;
    uint64_t used = 0;
    for (int i = 0; i < started; i++) {
        (void)pthread_join(ids[i], NULL);
        sum += all[i].rate;
        used += all[i].sum; /* so that the reading cannot be optimised away */
    }
    if (!started || !used)
        return err_set(e, ERR_UNAVAILABLE, "cannot measure the memory's bandwidth: no thread could be started");
    *out = sum;
    return 0;
}

struct remembered {
    const char *cpu;
    int64_t cores;
    double bandwidth;
    bool busy;
};
static const struct field remembered_fields[] = {
    { "cpu", FIELD_STRING, FIELD(remembered, cpu), FIELD_REQUIRED, 0, 256, "processor that was measured" },
    { "cores", FIELD_I64, FIELD(remembered, cores), FIELD_REQUIRED, 1, 65536, "threads that read" },
    { "bandwidth", FIELD_F64, FIELD(remembered, bandwidth), FIELD_REQUIRED, 1, INT64_MAX, "bytes a second" },
    { "busy", FIELD_BOOL, FIELD(remembered, busy), 0, 0, 0, "something else ran meanwhile: measured again when nothing does" },
    { 0 },
};

/* Whether something else wants the cores that a measurement would use. */
static bool is_busy(const struct hardware *h)
{
    struct spare s = SPARE_INIT;
    int spare = spare_cores(&s);
    spare_finish(&s);
    return spare >= 0 && spare < h->cores.usable - 1;
}

int hardware_bandwidth(const char *dir, struct hardware *h, struct err *e)
{
    bool busy = is_busy(h);
    struct err ignored = ERR_INIT;
    AUTO(ptr) char *path = dir ? path_join(dir, "hardware.json") : NULL;
    AUTO(buf) struct buf text = BUF_INIT(64 << 10);
    AUTO(arena) struct arena mem = ARENA_INIT(64 << 10);
    struct remembered r = { 0 };
    if (path && file_read(path, text.limit, &text, &ignored) == 0) {
        AUTO(json) json_t *json = NULL;
        if (json_parse(buf_span(&text), BIND_TOLERANT, &json, &ignored) == 0 &&
            bind_load(json, remembered_fields, &r, BIND_TOLERANT, &mem, &ignored) == 0 && strcmp(r.cpu, h->cpu) == 0 &&
            r.cores == h->cores.usable && r.bandwidth > 0 && (!r.busy || busy)) {
            h->bandwidth = r.bandwidth;
            h->bandwidth_shared = r.busy;
            return 0;
        }
    }
    if (measure(h->cores.usable, h->memory_usable, &h->bandwidth, e) < 0)
        return -e->kind;
    h->bandwidth_shared = busy;
    if (!path || path_mkdirs(dir, 0700, &ignored) < 0)
        return 0;
    r = (struct remembered){ h->cpu, h->cores.usable, h->bandwidth, busy };
    AUTO(json) json_t *json = bind_dump(remembered_fields, &r);
    buf_reset(&text);
    if (json && buf_add_json_value(&text, json) && file_write_atomic(path, buf_span(&text), 0600, false, &ignored) < 0)
        log_info("%s", ignored.text); /* measured again next time */
    return 0;
}

void hardware_machine(const struct hardware *h, int gpu, struct fit_machine *out)
{
    *out = (struct fit_machine){ .bandwidth = h->bandwidth };
    if (gpu < 0 || gpu >= h->ngpus)
        return;
    out->gpu = true;
    if (h->gpus[gpu].bandwidth > 0)
        out->bandwidth = h->gpus[gpu].bandwidth;
}

int hardware_best_gpu(const struct hardware *h)
{
    int best = -1;
    for (int i = 0; i < h->ngpus; i++)
        if (!h->gpus[i].unified && h->gpus[i].free_bytes > 0 && (best < 0 || h->gpus[i].free_bytes > h->gpus[best].free_bytes))
            best = i;
    return best;
}

int64_t hardware_reserve(const struct hardware *h)
{
    int64_t ours = h->memory_limit >= 0 && h->memory_limit < h->memory_bytes ? h->memory_limit : h->memory_bytes;
    return ours / 7 < RESERVE_MOST ? ours / 7 : RESERVE_MOST;
}

int64_t hardware_gpu_budget(const struct hardware *h, int i)
{
    int64_t budget = i >= 0 && i < h->ngpus ? h->gpus[i].free_bytes - GPU_SPARE : 0;
    return budget > 0 ? budget : 0;
}
