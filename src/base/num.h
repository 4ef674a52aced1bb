/*
 * num - numbers, durations and sizes from text, whole string, with range and a message.
 *
 *     int64_t n;
 *     if (parse_i64(span_of(arg), 1, 65535, &n, e) < 0) return err_wrap(e, "port");
 *
 * No locale, no leading white space, no trailing rubbish. Durations: 500ms, 15s, 10m, 2h (a bare
 * number is refused). Sizes: bytes, or K, M, G, T in powers of 1024.
 */
#ifndef STEAD_BASE_NUM_H
#define STEAD_BASE_NUM_H

#include <stdint.h>

#include "base/buf.h"

int parse_i64(struct span s, int64_t min, int64_t max, int64_t *out, struct err *e) WARN_UNUSED;
int parse_f64(struct span s, double min, double max, double *out, struct err *e) WARN_UNUSED;
int parse_duration_ms(struct span s, int64_t *out_ms, struct err *e) WARN_UNUSED;
int parse_size_bytes(struct span s, int64_t *out_bytes, struct err *e) WARN_UNUSED;

/* "1.2 s", "350 ms", "4 m 10 s"; "12.3 MiB". `out` holds at least 24 bytes and is returned. */
const char *format_duration(int64_t ms, char out[24]);
const char *format_size(int64_t bytes, char out[24]);

#endif
