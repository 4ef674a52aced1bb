/*
 * clock - one time base inside the program, wall clock only at the edges.
 *
 * clock_ms(): monotonic milliseconds; clock_unix_ms(): wall clock. Tests may freeze both.
 */
#ifndef STEAD_BASE_CLOCK_H
#define STEAD_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);
int64_t clock_us(void);
int64_t clock_unix_ms(void);

/* Tests only: freeze (>= 0) or thaw (-1) the clocks. */
void clock_freeze(int64_t mono_ms, int64_t unix_ms);

/* RFC 3339, UTC, "2026-11-23T20:24:56Z". `out` holds 24 bytes and is returned. */
const char *clock_format(int64_t unix_ms, char out[24]);

#endif
