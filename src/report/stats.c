#include "report/stats.h"

#include <math.h>
#include <stdlib.h>

#define Z95 1.959963984540054

struct rate rate_of(int64_t k, int64_t n)
{
    struct rate r = { k, n, NAN, NAN, NAN };
    if (n <= 0)
        return r;
    double p = (double)k / (double)n, z2 = Z95 * Z95, d = 1 + z2 / (double)n;
    double mid = (p + z2 / (2 * (double)n)) / d;
    double half = Z95 * sqrt(p * (1 - p) / (double)n + z2 / (4 * (double)n * (double)n)) / d;
    r.value = p;
    r.low = k == 0 ? 0 : fmax(0, mid - half);
    r.high = k == n ? 1 : fmin(1, mid + half);
    return r;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(double *v, size_t n, double q)
{
    if (n == 0)
        return NAN;
    qsort(v, n, sizeof *v, by_value);
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? v[i] + (at - (double)i) * (v[i + 1] - v[i]) : v[n - 1];
}

struct estimate median_of(double *v, size_t n)
{
    struct estimate e = { quantile(v, n, 0.5), NAN, NAN, (int64_t)n };
    double half = Z95 / 2 * sqrt((double)n);
    double low = floor((double)n / 2 - half), high = ceil((double)n / 2 + 1 + half); /* ranks from 1 */
    if (n >= 6 && low >= 1 && high <= (double)n) {
        e.low = v[(size_t)low - 1];
        e.high = v[(size_t)high - 1];
    }
    return e;
}

struct estimate ratio_of(const struct pair *p, size_t n)
{
    struct estimate e = { NAN, NAN, NAN, (int64_t)n };
    double x = 0, y = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        x += p[i].x;
        y += p[i].y;
    }
    if (y <= 0)
        return e;
    e.value = x / y;
    for (size_t i = 0; i < n; i++)
        squares += (p[i].x - e.value * p[i].y) * (p[i].x - e.value * p[i].y);
    if (n >= 2) {
        double half = Z95 * sqrt((double)n / (double)(n - 1) * squares) / y;
        e.low = fmax(0, e.value - half);
        e.high = e.value + half;
    }
    return e;
}

static int by_time(const void *a, const void *b)
{
    const struct survival_point *x = a, *y = b;
    if (x->time != y->time)
        return (x->time > y->time) - (x->time < y->time);
    return (int)y->event - (int)x->event; /* at the same time events come before censorings */
}

struct survival survival_of(struct survival_point *p, size_t n)
{
    struct survival s = { (int64_t)n, 0, NAN, NAN, NAN, n ? 1 : NAN };
    double left = 1, green = 0; /* Greenwood's sum */
    if (n == 0)
        return s;
    qsort(p, n, sizeof *p, by_time);
    for (size_t i = 0; i < n;) {
        size_t at = i, events = 0;
        for (; i < n && p[i].time == p[at].time; i++)
            events += p[i].event;
        if (!events)
            continue;
        double risk = (double)(n - at), d = (double)events;
        left *= 1 - d / risk;
        s.events += (int64_t)events;
        s.open_share = left;
        if (risk > d)
            green += d / (risk * (risk - d));
        if (isnan(s.median) && left <= 0.5)
            s.median = p[at].time;
        double low = left <= 0 ? 0 : left, high = low;
        if (left > 0 && left < 1) { /* log-log interval of the estimate */
            double half = Z95 * sqrt(green) / fabs(log(left));
            low = pow(left, exp(half));
            high = pow(left, exp(-half));
        }
        if (isnan(s.low) && low <= 0.5)
            s.low = p[at].time;
        if (isnan(s.high) && high <= 0.5)
            s.high = p[at].time;
    }
    return s;
}
