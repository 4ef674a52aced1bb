/* The report in a terminal: figures with n and interval, and bars a character high. */
#include <math.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "report/report.h"
#include "term/width.h"

#define BAR_MOST 20
#define BAR_LEAST 6
#define BESIDE_BAR 54 /* columns of a rate's name and numbers */
#define TABLE 112     /* columns of the table of steps */

static int bar_width(const struct report_style *st)
{
    size_t room = st->width > BESIDE_BAR ? st->width - BESIDE_BAR : 0;
    return st->width == 0 || room > BAR_MOST ? BAR_MOST : room < BAR_LEAST ? BAR_LEAST : (int)room;
}

/* `share` of the bar's cells, in eighths. */
static void add_bar(struct buf *b, const struct report_style *st, double share)
{
    static const char *const eighths[] = { "", "\u258f", "\u258e", "\u258d", "\u258c", "\u258b", "\u258a", "\u2589" };
    const int width = bar_width(st);
    int cells = (int)lround((isnan(share) ? 0 : share < 0 ? 0 : share > 1 ? 1 : share) * width * 8);
    if (st->ascii)
        cells = (cells + 4) / 8 * 8;
    for (int i = 0; i < cells / 8; i++)
        buf_adds(b, st->ascii ? "#" : "\u2588");
    buf_adds(b, eighths[cells % 8]);
    for (int i = (cells + 7) / 8; i < width; i++)
        buf_addc(b, ' ');
}

static void add_rate(struct buf *b, const struct report_style *st, const char *name, const struct rate *r)
{
    char safe[64];
    clean_into(safe, sizeof safe, span_of(name), CLEAN_LINE);
    if (r->n == 0) {
        buf_addf(b, "  %-16s %sno data%s\n", safe, st->dim, st->reset);
        return;
    }
    buf_addf(b, "  %-16s %s", safe, st->colour);
    add_bar(b, st, r->value);
    buf_addf(b, "%s %3.0f %%  %s%lld of %lld, %.0f to %.0f %%%s\n", st->reset, r->value * 100, st->dim, (long long)r->k, (long long)r->n,
             r->low * 100, r->high * 100, st->reset);
}

static void add_minutes(struct buf *b, double ms)
{
    char t[24];
    if (isnan(ms))
        buf_adds(b, "not reached");
    else
        buf_adds(b, format_duration((int64_t)ms, t));
}

static void head(struct buf *b, const struct report_style *st, const char *name, const char *what)
{
    buf_addf(b, "\n%s%s%s  %s%s%s\n", st->bold, name, st->reset, st->dim, what, st->reset);
}

/* The other four figures of a group, on a line of its own. */
static void add_others(const struct report_group *g, const struct report_style *st, struct buf *b)
{
    char t[24];
    buf_addf(b, "%19s%s", "", st->dim);
    if (g->escalation.n)
        buf_addf(b, "escalated %.0f %% (%.0f to %.0f)", g->escalation.value * 100, g->escalation.low * 100, g->escalation.high * 100);
    if (g->recovery_ms.n)
        buf_addf(b, ", recovery %s (n %lld)", isnan(g->recovery_ms.median) ? "not reached" : format_duration((int64_t)g->recovery_ms.median, t),
                 (long long)g->recovery_ms.n);
    if (g->interrupted_ms.n)
        buf_addf(b, ", interrupted after %s (n %lld)", format_duration((int64_t)g->interrupted_ms.value, t), (long long)g->interrupted_ms.n);
    if (!isnan(g->review_per_line.value))
        buf_addf(b, ", review %.2f s a line (n %lld)", g->review_per_line.value, (long long)g->review_per_line.n);
    buf_addf(b, "%s\n", st->reset);
}

static void add_groups(const struct report *r, const struct report_style *st, struct buf *b, enum report_by by)
{
    size_t n = 0;
    for (size_t i = 0; i < r->ngroups; i++)
        n += r->groups[i].by == by;
    if (n < (by == REPORT_PERSON ? 1 : 2))
        return;
    buf_addf(b, "  %sby %s%s\n", st->dim, report_by_name(by), st->reset);
    for (size_t i = 0, skip = n > 12 ? n - 12 : 0; i < r->ngroups; i++) /* the newest weeks */
        if (r->groups[i].by == by && (by != REPORT_WEEK || !skip || !skip--)) {
            add_rate(b, st, r->groups[i].name, &r->groups[i].completion);
            add_others(&r->groups[i], st, b);
        }
}

static void add_recovery(const struct report_group *g, struct buf *b)
{
    const struct survival *s = &g->recovery_ms;
    if (s->n == 0) {
        buf_adds(b, "  nothing went wrong\n");
        return;
    }
    buf_adds(b, "  median ");
    add_minutes(b, s->median);
    buf_adds(b, " of activity (95 %: ");
    add_minutes(b, s->low);
    buf_adds(b, " to ");
    add_minutes(b, s->high);
    buf_addf(b, "), %lld tasks went wrong, %lld became green", (long long)s->n, (long long)s->events);
    if (g->prompts.n)
        buf_addf(b, ", median %g corrective prompts", g->prompts.value);
    buf_addc(b, '\n');
}

static void add_review(const struct report_group *g, struct buf *b)
{
    if (g->review_rounds.n == 0) {
        buf_adds(b, "  no review was recorded\n");
        return;
    }
    const struct estimate *l = &g->review_per_line;
    buf_addf(b, "  %.1f s of active review a change", (double)g->review_ms / 1000 / (double)g->review_rounds.n);
    if (!isnan(l->value))
        buf_addf(b, ", %.2f s a changed line", l->value);
    if (!isnan(l->low))
        buf_addf(b, " (95 %%: %.2f to %.2f)", l->low, l->high);
    buf_addf(b, ", %.2f rounds a change (n %lld)\n", g->review_rounds.value, (long long)g->review_rounds.n);
}

/* One line a figure, where the table is too wide. */
static void add_steps_narrow(const struct report *r, const struct report_style *st, struct buf *b)
{
    for (size_t i = 0; i < r->nsteps; i++) {
        const struct report_steps *s = &r->steps[i];
        char name[64], t50[24], t95[24], own[24];
        clean_into(name, sizeof name, span_of(s->model), CLEAN_LINE);
        buf_addf(b, "  %s%s%s %lld steps, %lld new and %lld reused tokens", st->bold, name, st->reset, (long long)s->n, (long long)s->prompt_new,
                 (long long)s->prompt_reused);
        if (!isnan(s->ttft_p50_ms))
            buf_addf(b, ", first token after %s (95 %%: %s)", format_duration((int64_t)s->ttft_p50_ms, t50), format_duration((int64_t)s->ttft_p95_ms, t95));
        if (!isnan(s->tokens_per_s))
            buf_addf(b, ", %.1f tokens/s", s->tokens_per_s);
        if (!isnan(s->harness_p50_ms))
            buf_addf(b, ", harness %s", format_duration((int64_t)s->harness_p50_ms, own));
        buf_addf(b, ", %.1f %% tool errors, %.1f %% edit misses\n", s->tool_calls ? 100.0 * (double)s->tool_errors / (double)s->tool_calls : 0,
                 s->edits ? 100.0 * (double)s->edit_misses / (double)s->edits : 0);
    }
}

static void add_steps(const struct report *r, const struct report_style *st, struct buf *b)
{
    head(b, st, "Steps", "by model");
    if (st->width && st->width < TABLE) {
        add_steps_narrow(r, st, b);
        return;
    }
    buf_addf(b, "  %s%-24s %7s %9s %9s %8s %8s %7s %8s %7s %7s%s\n", st->dim, "model", "steps", "new tok", "reused", "ttft50", "ttft95", "tok/s",
             "harness", "errors", "misses", st->reset);
    for (size_t i = 0; i < r->nsteps; i++) {
        const struct report_steps *s = &r->steps[i];
        char name[64], t50[24], t95[24], own[24];
        clean_into(name, 25, span_of(s->model), CLEAN_LINE);
        buf_addf(b, "  %-24s %7lld %9lld %9lld %8s %8s %7.1f %8s %6.1f%% %6.1f%%\n", name, (long long)s->n, (long long)s->prompt_new,
                 (long long)s->prompt_reused, isnan(s->ttft_p50_ms) ? "-" : format_duration((int64_t)s->ttft_p50_ms, t50),
                 isnan(s->ttft_p95_ms) ? "-" : format_duration((int64_t)s->ttft_p95_ms, t95), isnan(s->tokens_per_s) ? 0 : s->tokens_per_s,
                 isnan(s->harness_p50_ms) ? "-" : format_duration((int64_t)s->harness_p50_ms, own),
                 s->tool_calls ? 100.0 * (double)s->tool_errors / (double)s->tool_calls : 0,
                 s->edits ? 100.0 * (double)s->edit_misses / (double)s->edits : 0);
    }
}

/* Lines longer than `width` go on in the next, under the beginning of their words. */
static void fold(struct span text, size_t width, struct buf *out)
{
    struct span line, part;
    while (span_line(&text, &line)) {
        size_t indent = 0;
        while (indent < line.n && line.p[indent] == ' ')
            indent++;
        if (!width || width_of(line) <= width || indent + 20 > width) {
            buf_addf(out, "%.*s\n", (int)line.n, line.p);
            continue;
        }
        struct span rest = span_sub(line, indent, line.n);
        for (bool first = true; width_wrap(&rest, width - indent - (first ? 0 : 2), &part); first = false)
            buf_addf(out, "%*s%.*s\n", (int)indent + (first ? 0 : 2), "", (int)part.n, part.p);
    }
}

static bool write_text(const struct report *r, const struct report_style *st, struct buf *b)
{
    const struct report_group *all = &r->groups[0];
    char from[24], to[24];
    if (r->facts == 0)
        return buf_adds(b, "nothing is in the journal for this time\n");
    buf_addf(b, "%sstead report%s  %.10s to %.10s, %lld tasks%s", st->bold, st->reset, clock_format(r->first_ms, from),
             clock_format(r->last_ms, to), (long long)all->started, all->running ? "" : "\n");
    if (all->running)
        buf_addf(b, ", %lld running\n", (long long)all->running);
    head(b, st, "Task completion", "gates green and carried in, or a question answered");
    add_rate(b, st, "all", &all->completion);
    for (int by = REPORT_CLASS; by < REPORT_BYS; by++)
        add_groups(r, st, b, (enum report_by)by);
    head(b, st, "Recovery cost", "from the first wrong result to green");
    add_recovery(all, b);
    head(b, st, "Latency tolerance", "interrupted, of the waits that lasted so long");
    for (int w = 0; w < REPORT_WAITS; w++)
        add_rate(b, st, report_wait_names[w], &all->waits[w]);
    if (all->interrupted_ms.n) {
        buf_adds(b, "  median wait at an interruption ");
        add_minutes(b, all->interrupted_ms.value);
        if (!isnan(all->interrupted_ms.low)) {
            buf_adds(b, " (95 %: ");
            add_minutes(b, all->interrupted_ms.low);
            buf_adds(b, " to ");
            add_minutes(b, all->interrupted_ms.high);
            buf_addc(b, ')');
        }
        buf_addc(b, '\n');
    }
    if (all->said_wrong + all->said_slow)
        buf_addf(b, "  asked why, people said: %lld wrong, %lld too slow\n", (long long)all->said_wrong, (long long)all->said_slow);
    head(b, st, "Escalation", "hosted attempt, or handed to a person");
    add_rate(b, st, "all", &all->escalation);
    for (int c = 0; c < REPORT_CAUSES; c++)
        if (all->causes[c])
            buf_addf(b, "  %-16s %lld\n", report_cause_names[c], (long long)all->causes[c]);
    head(b, st, "Review burden", "");
    add_review(all, b);
    add_steps(r, st, b);
    return !b->failed;
}

bool report_text(const struct report *r, const struct report_style *st, struct buf *b)
{
    AUTO(buf) struct buf whole = BUF_INIT(b->limit);
    b->failed |= !write_text(r, st, &whole);
    fold(buf_span(&whole), st->width, b);
    return !b->failed;
}
