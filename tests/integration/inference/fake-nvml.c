/* NVML of a driver that says one sensible thing and several that make no sense; struct and order of nvml.h. */
#include <stdio.h>
#include <string.h>

struct memory {
    unsigned long long total, free, used;
};
int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *n);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device);
int nvmlDeviceGetName(void *device, char *out, unsigned size);
int nvmlDeviceGetMemoryInfo(void *device, struct memory *out);
int nvmlDeviceGetMemoryBusWidth(void *device, unsigned *bits);
int nvmlDeviceGetMaxClockInfo(void *device, int which, unsigned *mhz);

static char cards[3]; /* addresses of these are the handles */

int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }

int nvmlDeviceGetCount_v2(unsigned *n)
{
    *n = 4000000000u;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device)
{
    if (i >= sizeof cards)
        return 6; /* not found */
    *device = &cards[i];
    return 0;
}

int nvmlDeviceGetName(void *device, char *out, unsigned size)
{
    if (device == &cards[0])
        memset(out, 'A', size); /* without an end */
    else
        (void)snprintf(out, size, "%s", device == &cards[1] ? "NVIDIA \033[31mRTX 4090" : "GB10");
    return 0;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *out)
{
    if (device == &cards[2])
        return 3; /* not supported: it has none of its own */
    *out = device == &cards[0] ? (struct memory){ ~0ull, ~0ull, 0 } : (struct memory){ 24ull << 30, 23ull << 30, 1ull << 30 };
    return 0;
}

int nvmlDeviceGetMemoryBusWidth(void *device, unsigned *bits)
{
    (void)device;
    *bits = 384;
    return 0;
}

int nvmlDeviceGetMaxClockInfo(void *device, int which, unsigned *mhz)
{
    (void)device, (void)which;
    *mhz = 10501;
    return 0;
}
