/*
 * The report as one page: style and charts are in it, nothing is loaded from anywhere, no script runs. The Content
 * Security Policy says so to the browser as well. Everything that came from outside is escaped in esc().
 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/data.h"
#include "base/num.h"
#include "base/utf8.h"
#include "report/report.h"

#define LABEL 190 /* SVG units */
#define CHART 560
#define ROW 26
#define ROWS_MOST 40

static void esc(struct buf *b, const char *s)
{
    for (; *s; s++) {
        const char *to = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '"' ? "&quot;" : *s == '\'' ? "&#39;" : NULL;
        if (to)
            buf_adds(b, to);
        else if ((unsigned char)*s >= 0x20)
            buf_addc(b, *s);
    }
}

struct row {
    const char *label;
    double value, low, high; /* of full; low NAN: no interval */
    char text[64];           /* at its end */
};

struct axis {
    double full;      /* the value at the right edge; made round */
    double shown;     /* what a value of 1 reads as: 100 for shares */
    const char *unit; /* after each number: " %" */
    const char *of;   /* what is counted, at the axis' end */
};

/* Three to eight steps of 1, 2, 2.5 or 5 times a power of ten. */
static double round_step(double full)
{
    double power = pow(10, floor(log10(full / 4))), f = full / 4 / power;
    return (f <= 1 ? 1 : f <= 2 ? 2 : f <= 2.5 && power >= 10 ? 2.5 : f <= 5 ? 5 : 10) * power; /* 25, but no 2.5 tasks */
}

/* Lines with their numbers below the `n` rows. */
static void draw_axis(struct buf *b, const struct axis *a, double step, size_t n)
{
    for (int i = 0; i * step <= a->full * 1.0001; i++) {
        double x = LABEL + i * step / a->full * CHART;
        buf_addf(b, "<path class=\"grid\" d=\"M%.1f 0V%zu\"/>", x, n * ROW + 4);
        buf_addf(b, "<text class=\"dim\" text-anchor=\"middle\" x=\"%.1f\" y=\"%zu\">%g%s</text>", x, n * ROW + 20, i * step * a->shown, a->unit);
    }
    buf_addf(b, "<text class=\"dim\" x=\"%d\" y=\"%zu\">%s</text>\n", LABEL + CHART + 30, n * ROW + 20, a->of);
}

/* Bars with intervals over an axis. */
static void chart(struct buf *b, const char *title, const struct row *rows, size_t n, struct axis axis)
{
    double step = round_step(axis.full * axis.shown) / axis.shown;
    if (axis.shown * step < 1)
        step = 1 / axis.shown; /* whole tasks, whole percents */
    const double full = axis.full = ceil(axis.full / step - 1e-9) * step;
    buf_addf(b, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"", LABEL + CHART + 230, n * ROW + 26);
    esc(b, title);
    buf_adds(b, "\">\n");
    draw_axis(b, &axis, step, n);
    for (size_t i = 0; i < n; i++) {
        size_t y = i * ROW;
        double w = isnan(rows[i].value) || full <= 0 ? 0 : fmin(1, rows[i].value / full) * CHART;
        buf_addf(b, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", LABEL - 10, y + 17);
        esc(b, rows[i].label);
        buf_addf(b, "</text><rect class=\"back\" x=\"%d\" y=\"%zu\" width=\"%d\" height=\"16\" rx=\"3\"/>", LABEL, y + 5, CHART);
        if (w > 0)
            buf_addf(b, "<rect class=\"bar\" x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"16\" rx=\"3\"/>", LABEL, y + 5, w);
        if (!isnan(rows[i].low) && full > 0) {
            double x0 = LABEL + fmin(1, rows[i].low / full) * CHART, x1 = LABEL + fmin(1, rows[i].high / full) * CHART;
            buf_addf(b, "<path class=\"band\" d=\"M%.1f %zuH%.1fM%.1f %zuv8M%.1f %zuv8\"/>", x0, y + 13, x1, x0, y + 9, x1, y + 9);
        }
        buf_addf(b, "<text class=\"dim\" x=\"%d\" y=\"%zu\">", LABEL + CHART + 10, y + 17);
        esc(b, rows[i].text);
        buf_adds(b, "</text>\n");
    }
    buf_adds(b, "</svg>\n");
}

static void rate_row(struct row *r, const char *label, const struct rate *v)
{
    *r = (struct row){ .label = label, .value = v->value, .low = v->low, .high = v->high };
    if (v->n)
        (void)snprintf(r->text, sizeof r->text, "%.0f %% (%lld of %lld; %.0f-%.0f %%)", v->value * 100, (long long)v->k, (long long)v->n,
                       v->low * 100, v->high * 100);
    else
        (void)snprintf(r->text, sizeof r->text, "no data");
}

static void section(struct buf *b, const char *title, const char *what)
{
    buf_addf(b, "<section><h2>%s</h2><p>%s</p>\n", title, what);
}

static void completion_by(const struct report *r, struct buf *b, enum report_by by, const char *title, const char *what)
{
    struct row rows[ROWS_MOST];
    size_t n = 0, total = 0;
    for (size_t i = 0; i < r->ngroups; i++)
        total += r->groups[i].by == by;
    size_t skip = total > ROWS_MOST ? total - ROWS_MOST : 0;
    for (size_t i = 0; i < r->ngroups && n < ROWS_MOST; i++)
        if (r->groups[i].by == by && (!skip || !skip--))
            rate_row(&rows[n++], r->groups[i].name, &r->groups[i].completion);
    if (!n)
        return;
    section(b, title, what);
    chart(b, title, rows, n, (struct axis){ 1, 100, " %", "of tasks" });
    buf_adds(b, "</section>\n");
}

static void waits(const struct report_group *g, struct buf *b)
{
    struct row rows[REPORT_WAITS];
    double full = 0.05;
    for (int w = 0; w < REPORT_WAITS; w++) {
        rate_row(&rows[w], report_wait_names[w], &g->waits[w]);
        if (g->waits[w].n && g->waits[w].high > full)
            full = g->waits[w].high;
    }
    section(b, "Latency tolerance", "Of the waits for a model that lasted at least so long, the share in which a person interrupted then.");
    chart(b, "Latency tolerance", rows, REPORT_WAITS, (struct axis){ full, 100, " %", "of waits" });
    if (g->said_wrong + g->said_slow)
        buf_addf(b, "<p>Asked why, people said: %lld wrong, %lld too slow.</p>\n", (long long)g->said_wrong, (long long)g->said_slow);
    buf_adds(b, "</section>\n");
}

static void causes(const struct report_group *g, struct buf *b)
{
    struct row rows[REPORT_CAUSES];
    double full = 1;
    for (int c = 0; c < REPORT_CAUSES; c++) {
        rows[c] = (struct row){ .label = report_cause_names[c], .value = (double)g->causes[c], .low = NAN, .high = NAN };
        (void)snprintf(rows[c].text, sizeof rows[c].text, "%lld", (long long)g->causes[c]);
        full = fmax(full, (double)g->causes[c]);
    }
    section(b, "Escalations by cause", "Tasks with a hosted attempt, or handed to a person.");
    chart(b, "Escalations by cause", rows, REPORT_CAUSES, (struct axis){ full, 1, "", "tasks" });
    buf_adds(b, "</section>\n");
}

static void card(struct buf *b, const char *name, const char *value, const char *about)
{
    buf_addf(b, "<div class=\"card\"><small>%s</small><b>", name);
    esc(b, value);
    buf_adds(b, "</b><small>");
    esc(b, about);
    buf_adds(b, "</small></div>\n");
}

static void rate_card(struct buf *b, const char *name, const struct rate *r)
{
    char value[32], about[80];
    if (r->n == 0) {
        card(b, name, "-", "no data");
        return;
    }
    (void)snprintf(value, sizeof value, "%.0f %%", r->value * 100);
    (void)snprintf(about, sizeof about, "%lld of %lld, %.0f to %.0f %%", (long long)r->k, (long long)r->n, r->low * 100, r->high * 100);
    card(b, name, value, about);
}

static const char *time_text(double ms, char out[24])
{
    return isnan(ms) ? "-" : format_duration((int64_t)ms, out);
}

static void cards(const struct report_group *g, struct buf *b)
{
    char t[24], low[24], high[24], about[120], value[40];
    buf_adds(b, "<div class=\"cards\">\n");
    rate_card(b, "Task completion", &g->completion);
    (void)snprintf(about, sizeof about, "%lld went wrong, %lld became green; %s to %s", (long long)g->recovery_ms.n, (long long)g->recovery_ms.events,
                   time_text(g->recovery_ms.low, low), time_text(g->recovery_ms.high, high));
    card(b, "Recovery, active time", time_text(g->recovery_ms.median, t), about);
    (void)snprintf(about, sizeof about, "median wait of %lld interruptions; %s to %s", (long long)g->interrupted_ms.n,
                   time_text(g->interrupted_ms.low, low), time_text(g->interrupted_ms.high, high));
    card(b, "Latency tolerance", time_text(g->interrupted_ms.value, t), about);
    rate_card(b, "Escalation rate", &g->escalation);
    const struct estimate *l = &g->review_per_line;
    (void)snprintf(about, sizeof about, "active, a changed line; %lld changes reviewed", (long long)l->n);
    if (!isnan(l->low))
        (void)snprintf(about, sizeof about, "active, a changed line; %lld changes, %.2f to %.2f", (long long)l->n, l->low, l->high);
    if (isnan(l->value))
        (void)snprintf(value, sizeof value, "-");
    else
        (void)snprintf(value, sizeof value, "%.2f s", l->value);
    card(b, "Review burden", value, about);
    buf_adds(b, "</div>\n");
}

static void rate_cell(struct buf *b, const struct rate *r)
{
    if (r->n)
        buf_addf(b, "<td>%.0f %% (%.0f-%.0f)</td>", r->value * 100, r->low * 100, r->high * 100);
    else
        buf_adds(b, "<td>-</td>");
}

/* All five figures of every group. */
static void all_groups(const struct report *r, struct buf *b)
{
    char t[24];
    section(b, "Every figure by group", "With 95 % intervals, and in brackets the number of tasks, interruptions or reviewed changes that a figure rests on.");
    buf_adds(b, "<table><tr><th>group</th><th>tasks</th><th>completion</th><th>escalation</th><th>recovery</th><th>interrupted after</th><th>review a line</th></tr>\n");
    for (size_t i = 0; i < r->ngroups; i++) {
        const struct report_group *g = &r->groups[i];
        buf_addf(b, "<tr><td>%s%s", g->by == REPORT_ALL ? "" : report_by_name(g->by), g->by == REPORT_ALL ? "" : " ");
        esc(b, g->name);
        buf_addf(b, "</td><td>%lld</td>", (long long)g->started);
        rate_cell(b, &g->completion);
        rate_cell(b, &g->escalation);
        buf_addf(b, "<td>%s (%lld)</td>", time_text(g->recovery_ms.median, t), (long long)g->recovery_ms.n);
        buf_addf(b, "<td>%s (%lld)</td>", time_text(g->interrupted_ms.value, t), (long long)g->interrupted_ms.n);
        if (isnan(g->review_per_line.value))
            buf_adds(b, "<td>-</td></tr>\n");
        else
            buf_addf(b, "<td>%.2f s (%lld)</td></tr>\n", g->review_per_line.value, (long long)g->review_per_line.n);
    }
    buf_adds(b, "</table></section>\n");
}

static void steps(const struct report *r, struct buf *b)
{
    section(b, "Steps by model", "Tokens computed anew and reused, time to first token, generation, our own time between two requests, tools.");
    buf_adds(b, "<table><tr><th>model</th><th>steps</th><th>new tokens</th><th>reused</th><th>first token p50</th><th>p95</th>"
                "<th>tokens/s</th><th>harness p50</th><th>tool errors</th><th>edit misses</th></tr>\n");
    for (size_t i = 0; i < r->nsteps; i++) {
        const struct report_steps *s = &r->steps[i];
        char t50[24], t95[24], own[24];
        buf_adds(b, "<tr><td>");
        esc(b, s->model);
        buf_addf(b, "</td><td>%lld</td><td>%lld</td><td>%lld</td><td>%s</td><td>%s</td><td>%.1f</td><td>%s</td><td>%.1f %%</td><td>%.1f %%</td></tr>\n",
                 (long long)s->n, (long long)s->prompt_new, (long long)s->prompt_reused, time_text(s->ttft_p50_ms, t50),
                 time_text(s->ttft_p95_ms, t95), isnan(s->tokens_per_s) ? 0 : s->tokens_per_s, time_text(s->harness_p50_ms, own),
                 s->tool_calls ? 100.0 * (double)s->tool_errors / (double)s->tool_calls : 0,
                 s->edits ? 100.0 * (double)s->edit_misses / (double)s->edits : 0);
    }
    buf_adds(b, "</table></section>\n");
}

bool report_html(const struct report *r, struct buf *b)
{
    const struct report_group *all = &r->groups[0];
    struct span css = data_find("report/page.css");
    char from[24], to[24], made[24];
    buf_adds(b, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"referrer\" content=\"no-referrer\">\n"
                "<link rel=\"icon\" href=\"data:,\"><title>stead report</title>\n<style>\n");
    buf_add_span(b, css);
    buf_addf(b, "</style></head><body>\n<h1>stead report</h1><p>%.10s to %.10s, %lld tasks%s</p>\n", clock_format(r->first_ms, from),
             clock_format(r->last_ms, to), (long long)all->started, r->facts ? "" : ": nothing is in the journal for this time");
    cards(all, b);
    completion_by(r, b, REPORT_CLASS, "Task completion by class", "Changes that passed their gates and were carried in, and questions answered, of the tasks started. The line is the 95 % interval.");
    completion_by(r, b, REPORT_WEEK, "Task completion by week", "The same by the week in which the task began.");
    completion_by(r, b, REPORT_MODEL, "Task completion by model", "The same by the model that got the task first.");
    completion_by(r, b, REPORT_PERSON, "Task completion by person", "The same by who gave the task (report.person is on).");
    waits(all, b);
    causes(all, b);
    all_groups(r, b);
    steps(r, b);
    buf_addf(b, "<footer>Made %s from the journal of this machine. Rules and formulas: docs/design/metrics.md.</footer>\n</body></html>\n",
             clock_format(clock_unix_ms(), made));
    return !b->failed;
}
