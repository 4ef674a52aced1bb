/*
 * stats - rates with Wilson intervals, medians, Kaplan-Meier. Pure.
 */
#ifndef STEAD_REPORT_STATS_H
#define STEAD_REPORT_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rate {
    int64_t k, n;
    double value, low, high; /* 0..1, 95 % Wilson; NAN when n is 0 */
};
struct rate rate_of(int64_t k, int64_t n);

/* Quantile q of v (sorted in place), linear between neighbours; NAN when n is 0. */
double quantile(double *v, size_t n, double q);

struct survival_point {
    double time;
    bool event; /* false: censored, it had not happened by then */
};

struct survival {
    int64_t n, events;
    double median;    /* first time at which the estimate is at most one half; NAN when it never is */
    double low, high; /* 95 % (log-log, Brookmeyer-Crowley); NAN where open */
    double open_share; /* estimate at the last event: the share that does not recover within what was seen */
};
/* Kaplan-Meier of the points (sorted in place). */
struct survival survival_of(struct survival_point *p, size_t n);

#endif
