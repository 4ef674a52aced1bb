#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t frozen_mono = -1, frozen_unix = -1;

static int64_t now_us(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return frozen_mono >= 0 ? frozen_mono : now_us(CLOCK_MONOTONIC) / 1000;
}

int64_t clock_us(void)
{
    return frozen_mono >= 0 ? frozen_mono * 1000 : now_us(CLOCK_MONOTONIC);
}

int64_t clock_unix_ms(void)
{
    return frozen_unix >= 0 ? frozen_unix : now_us(CLOCK_REALTIME) / 1000;
}

void clock_freeze(int64_t mono_ms, int64_t unix_ms)
{
    frozen_mono = mono_ms;
    frozen_unix = unix_ms;
}

const char *clock_format(int64_t unix_ms, char out[24])
{
    time_t t = (time_t)(unix_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", &tm))
        (void)snprintf(out, 24, "?");
    return out;
}
