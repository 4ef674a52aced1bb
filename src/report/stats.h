/*
 * stats - rates with Wilson intervals, medians, ratios, Kaplan-Meier. Pure.
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

struct estimate {
    double value, low, high; /* 95 %; NAN where it cannot be told */
    int64_t n;
};
/* Median of v (sorted in place), its interval by order statistics: from six values on. */
struct estimate median_of(double *v, size_t n);

/* Sum of x over sum of y, its interval by the residuals x - ratio * y: from two pairs on. */
struct pair {
    double x, y;
};
struct estimate ratio_of(const struct pair *p, size_t n);

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
