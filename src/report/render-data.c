/* The report for programs: JSON and CSV, of the same rows. Names map to Prometheus and OpenTelemetry (docs/design/metrics.md). */
#include <math.h>

#include "report/report.h"

static void number(struct buf *b, double v)
{
    if (isnan(v) || isinf(v))
        buf_adds(b, "null");
    else if (v == floor(v) && fabs(v) < 1e15)
        buf_addf(b, "%lld", (long long)v);
    else
        buf_addf(b, "%.6g", v);
}

/* One figure of a group: what both formats list. */
struct figure {
    const char *metric;
    double value, low, high;
    int64_t n;
};

typedef void (*figure_fn)(void *ctx, const struct report_group *g, const struct figure *f);

static struct figure of_rate(const char *name, const struct rate *r)
{
    return (struct figure){ name, r->value, r->low, r->high, r->n };
}

static struct figure of_estimate(const char *name, const struct estimate *e)
{
    return (struct figure){ name, e->value, e->low, e->high, e->n };
}

static void each_figure(const struct report_group *g, figure_fn fn, void *ctx)
{
    static const char *const wait_metrics[REPORT_WAITS] = { "interruption_under_10s", "interruption_10_to_30s", "interruption_30_to_60s",
                                                            "interruption_60_to_120s", "interruption_over_120s" };
    const struct survival *s = &g->recovery_ms;
    const struct figure figures[] = {
        of_rate("task_completion", &g->completion),
        of_rate("escalation", &g->escalation),
        of_rate("hosted", &g->hosted),
        { "recovery_ms", s->median, s->low, s->high, s->n },
        of_estimate("recovery_prompts", &g->prompts),
        of_estimate("interruption_median_ms", &g->interrupted_ms),
        { "said_wrong", (double)g->said_wrong, NAN, NAN, g->said_wrong + g->said_slow },
        { "said_slow", (double)g->said_slow, NAN, NAN, g->said_wrong + g->said_slow },
        of_estimate("review_seconds_per_line", &g->review_per_line),
        of_estimate("review_rounds_per_change", &g->review_rounds),
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++)
        fn(ctx, g, &figures[i]);
    for (int w = 0; w < REPORT_WAITS; w++) {
        struct figure f = of_rate(wait_metrics[w], &g->waits[w]);
        fn(ctx, g, &f);
    }
    for (int c = 0; c < REPORT_CAUSES; c++) {
        char name[40];
        (void)snprintf(name, sizeof name, "escalated_%s", report_cause_names[c]);
        struct figure f = { name, (double)g->causes[c], NAN, NAN, g->started };
        fn(ctx, g, &f);
    }
}

static void json_figure(void *ctx, const struct report_group *g, const struct figure *f)
{
    struct buf *b = ctx;
    (void)g;
    if (b->p[b->n - 1] != '{')
        buf_addc(b, ',');
    buf_addf(b, "\"%s\":{\"value\":", f->metric);
    number(b, f->value);
    buf_adds(b, ",\"low\":");
    number(b, f->low);
    buf_adds(b, ",\"high\":");
    number(b, f->high);
    buf_addf(b, ",\"n\":%lld}", (long long)f->n);
}

static void json_steps(const struct report_steps *s, struct buf *b)
{
    buf_adds(b, "{\"model\":");
    buf_add_json(b, span_of(s->model));
    buf_addf(b, ",\"steps\":%lld,\"prompt_tokens_new\":%lld,\"prompt_tokens_reused\":%lld,\"completion_tokens\":%lld", (long long)s->n,
             (long long)s->prompt_new, (long long)s->prompt_reused, (long long)s->completion);
    const struct {
        const char *name;
        double v;
    } rows[] = { { "ttft_p50_ms", s->ttft_p50_ms }, { "ttft_p95_ms", s->ttft_p95_ms }, { "tokens_per_s", s->tokens_per_s },
                 { "harness_p50_ms", s->harness_p50_ms }, { "harness_p95_ms", s->harness_p95_ms } };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_addf(b, ",\"%s\":", rows[i].name);
        number(b, rows[i].v);
    }
    buf_addf(b, ",\"tool_calls\":%lld,\"tool_errors\":%lld,\"tool_ms\":%lld,\"edits\":%lld,\"edit_misses\":%lld}", (long long)s->tool_calls,
             (long long)s->tool_errors, (long long)s->tool_ms, (long long)s->edits, (long long)s->edit_misses);
}

bool report_json(const struct report *r, struct buf *b)
{
    buf_addf(b, "{\"v\":1,\"since_ms\":%lld,\"until_ms\":%lld,\"events\":%lld,\"groups\":[", (long long)r->first_ms, (long long)r->last_ms,
             (long long)r->facts);
    for (size_t i = 0; i < r->ngroups; i++) {
        const struct report_group *g = &r->groups[i];
        buf_addf(b, "%s{\"by\":\"%s\",\"name\":", i ? "," : "", report_by_name(g->by));
        buf_add_json(b, span_of(g->name));
        buf_addf(b, ",\"tasks\":%lld,\"running\":%lld,\"metrics\":{", (long long)g->started, (long long)g->running);
        each_figure(g, json_figure, b);
        buf_adds(b, "}}");
    }
    buf_adds(b, "],\"steps\":[");
    for (size_t i = 0; i < r->nsteps; i++) {
        buf_adds(b, i ? "," : "");
        json_steps(&r->steps[i], b);
    }
    return buf_adds(b, "]}\n");
}

/* RFC 4180; a cell that a spreadsheet would take for a formula is made text. */
static void csv_text(struct buf *b, const char *s)
{
    buf_addc(b, '"');
    if (*s && (*s == '=' || *s == '+' || *s == '-' || *s == '@'))
        buf_addc(b, '\'');
    for (; *s; s++) {
        if (*s == '"')
            buf_addc(b, '"');
        buf_addc(b, *s == '\n' || *s == '\r' ? ' ' : *s);
    }
    buf_addc(b, '"');
}

static void csv_cell(struct buf *b, double v)
{
    buf_addc(b, ',');
    if (!isnan(v))
        number(b, v);
}

static void csv_figure(void *ctx, const struct report_group *g, const struct figure *f)
{
    struct buf *b = ctx;
    buf_addf(b, "%s,", report_by_name(g->by));
    csv_text(b, g->name);
    buf_addf(b, ",%s", f->metric);
    csv_cell(b, f->value);
    csv_cell(b, f->low);
    csv_cell(b, f->high);
    buf_addf(b, ",%lld\r\n", (long long)f->n);
}

bool report_csv(const struct report *r, struct buf *b)
{
    buf_adds(b, "by,name,metric,value,low,high,n\r\n");
    for (size_t i = 0; i < r->ngroups; i++)
        each_figure(&r->groups[i], csv_figure, b);
    for (size_t i = 0; i < r->nsteps; i++) {
        const struct report_steps *s = &r->steps[i];
        const struct {
            const char *name;
            double v;
        } rows[] = { { "steps", (double)s->n }, { "prompt_tokens_new", (double)s->prompt_new }, { "prompt_tokens_reused", (double)s->prompt_reused },
                     { "completion_tokens", (double)s->completion }, { "ttft_p50_ms", s->ttft_p50_ms }, { "ttft_p95_ms", s->ttft_p95_ms },
                     { "tokens_per_s", s->tokens_per_s }, { "harness_p50_ms", s->harness_p50_ms }, { "harness_p95_ms", s->harness_p95_ms },
                     { "tool_errors", (double)s->tool_errors }, { "edit_misses", (double)s->edit_misses } };
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
            buf_adds(b, "model,");
            csv_text(b, s->model);
            buf_addf(b, ",step_%s", rows[k].name);
            csv_cell(b, rows[k].v);
            buf_addf(b, ",,,%lld\r\n", (long long)s->n);
        }
    }
    return !b->failed;
}
