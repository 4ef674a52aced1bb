/*
 * spare - how many cores nobody uses at this moment.
 *
 *     struct spare s = SPARE_INIT;
 *     int n = spare_cores(&s);        // besides the one that asks; -1: cannot be told
 *     spare_finish(&s);
 *
 * From the number of runnable threads in /proc/loadavg: a few microseconds. It is the whole machine's, whatever
 * part of it we may use: a hint, not a promise.
 */
#ifndef STEAD_INFERENCE_SPARE_H
#define STEAD_INFERENCE_SPARE_H

#include "base/buf.h"

struct spare {
    int fd;     /* -1: not open, -2: there is none */
    int online;
};
#define SPARE_INIT { -1, 0 }

int spare_cores(struct spare *s);
void spare_finish(struct spare *s);

/* Runnable threads as /proc/loadavg says, the reader among them; -1: not such a line. */
int spare_runnable(struct span line);

#endif
