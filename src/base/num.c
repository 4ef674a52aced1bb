#include "base/num.h"

#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

static int bad(struct err *e, struct span s, const char *want)
{
    return err_set(e, ERR_INPUT, "expected %s, got \"%.*s\"", want, (int)(s.n > 60 ? 60 : s.n), s.p);
}

int parse_i64(struct span s, int64_t min, int64_t max, int64_t *out, struct err *e)
{
    size_t i = 0;
    bool neg = s.n > 0 && s.p[0] == '-';
    int64_t v = 0;
    if (neg)
        i = 1;
    bool ok = i < s.n;
    for (; ok && i < s.n; i++) {
        int digit = s.p[i] - '0';
        ok = digit >= 0 && digit <= 9 && !__builtin_mul_overflow(v, 10, &v) &&
             !(neg ? __builtin_sub_overflow(v, digit, &v) : __builtin_add_overflow(v, digit, &v));
    }
    if (!ok || v < min || v > max) {
        char want[64];
        (void)snprintf(want, sizeof want, "%" PRId64 "..%" PRId64, min, max);
        return bad(e, s, want);
    }
    *out = v;
    return 0;
}

int parse_f64(struct span s, double min, double max, double *out, struct err *e)
{
    char text[64];
    if (!s.n || s.n >= sizeof text)
        return bad(e, s, "a number");
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789+-.eE", s.p[i]) || !s.p[i])
            return bad(e, s, "a number");
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    static locale_t c_locale;
    if (!c_locale)
        c_locale = newlocale(LC_ALL_MASK, "C", NULL);
    char *end;
    double v = strtod_l(text, &end, c_locale);
    if (*end || !(v >= min && v <= max)) {
        char want[80];
        (void)snprintf(want, sizeof want, "%g..%g", min, max);
        return bad(e, s, want);
    }
    *out = v;
    return 0;
}

struct unit {
    const char *name;
    int64_t factor;
};

static int parse_unit(struct span s, const struct unit *units, const char *want, int64_t *out, struct err *e)
{
    size_t digits = 0;
    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    struct err ignored;
    int64_t v;
    if (!digits || parse_i64(span_sub(s, 0, digits), 0, INT64_MAX, &v, &ignored) < 0)
        return bad(e, s, want);
    for (const struct unit *u = units; u->name; u++)
        if (span_eqs(span_sub(s, digits, s.n), u->name) && !__builtin_mul_overflow(v, u->factor, &v)) {
            *out = v;
            return 0;
        }
    return bad(e, s, want);
}

int parse_duration_ms(struct span s, int64_t *out_ms, struct err *e)
{
    static const struct unit units[] = { { "ms", 1 },       { "s", 1000 },      { "m", 60000 },
                                         { "h", 3600000 }, { "d", 86400000 }, { 0 } };
    return parse_unit(s, units, "a duration such as 500ms, 15s, 10m, 2h", out_ms, e);
}

int parse_size_bytes(struct span s, int64_t *out_bytes, struct err *e)
{
    static const struct unit units[] = { { "", 1 },           { "K", 1LL << 10 }, { "M", 1LL << 20 },
                                         { "G", 1LL << 30 }, { "T", 1LL << 40 }, { 0 } };
    return parse_unit(s, units, "a size such as 64M, 2G, or bytes", out_bytes, e);
}

const char *format_duration(int64_t ms, char out[24])
{
    if (ms < 1000)
        (void)snprintf(out, 24, "%d ms", (int)ms);
    else if (ms < 60000)
        (void)snprintf(out, 24, "%d.%d s", (int)(ms / 1000), (int)(ms % 1000 / 100));
    else if (ms < 3600000)
        (void)snprintf(out, 24, "%d m %d s", (int)(ms / 60000), (int)(ms / 1000 % 60));
    else
        (void)snprintf(out, 24, "%" PRId64 " h %d m", ms / 3600000, (int)(ms / 60000 % 60));
    return out;
}

const char *format_size(int64_t bytes, char out[24])
{
    static const char *const names[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
    if (bytes < 1024) {
        (void)snprintf(out, 24, "%d B", (int)bytes);
        return out;
    }
    double v = (double)bytes / 1024;
    size_t i = 0;
    for (; v >= 1024 && i + 1 < sizeof names / sizeof names[0]; i++)
        v /= 1024;
    (void)snprintf(out, 24, v < 10 ? "%.1f %s" : "%.0f %s", v, names[i]);
    return out;
}
