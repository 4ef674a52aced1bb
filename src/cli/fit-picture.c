/* fit-picture.c - see fit-picture.h. */
#include "cli/fit-picture.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"

#define BAR_COLUMNS 44
#define DRAWN_MAX 6   /* models drawn in a page */
#define POINTS 64

static int64_t context_end(const struct fit_item *i)
{
    int64_t end = i->shape.ctx_train > 0 ? i->shape.ctx_train : 131072;
    return end < 4096 ? 4096 : end;
}

/* The total at another context: what was measured at one is kept as a correction of the formulas. */
static void at_context(const struct fit_item *i, int64_t ctx_tokens, struct fit_memory *out)
{
    struct fit_memory here;
    fit_memory(&i->shape, ctx_tokens, &i->how, out);
    fit_memory(&i->shape, i->ctx_tokens, &i->how, &here);
    out->total += i->memory.total - here.total;
}

static const char *tokens(int64_t n, char out[24])
{
    if (n % 1024 == 0)
        (void)snprintf(out, 24, "%lldk", (long long)(n / 1024));
    else if (n > 10240)
        (void)snprintf(out, 24, "%lld.%lldk", (long long)(n / 1024), (long long)(n % 1024 * 10 / 1024));
    else
        (void)snprintf(out, 24, "%lld", (long long)n);
    return out;
}

static void bar(struct buf *b, double share)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    int parts = (int)(share * BAR_COLUMNS * 8 + 0.5);
    if (parts > BAR_COLUMNS * 8)
        parts = BAR_COLUMNS * 8;
    for (int k = 0; k < parts / 8; k++)
        buf_adds(b, "█");
    buf_adds(b, eighths[parts % 8]);
    for (int k = (parts + 7) / 8; k < BAR_COLUMNS; k++)
        buf_addc(b, ' ');
}

void fit_picture_terminal(struct cli *cli, const struct fit_list *l, const struct fit_item *i)
{
    struct fit_memory last;
    int64_t end = context_end(i);
    int64_t budget = i->gpu >= 0 ? hardware_gpu_budget(&l->hardware, i->gpu) : l->budget_bytes;
    char ctx[24], kv[24], total[24];
    at_context(i, end, &last);
    double most = (double)(last.kv + last.recurrent);
    cli_outf(cli, "\nHow the cache grows with the conversation (%s):\n", fit_kv_name(i->how.type_k));
    bool crossed = false;
    for (int64_t c = 2048;; c = c * 2 < end ? c * 2 : end) {
        struct fit_memory m;
        AUTO(buf) struct buf line = BUF_INIT(4096);
        if (c > end)
            c = end;
        at_context(i, c, &m);
        bool fits = m.total <= budget;
        bar(&line, most > 0 ? (double)(m.kv + m.recurrent) / most : 0);
        cli_outf(cli, "  %6s  %s%s%s %10s  with the weights %10s%s%s%s\n", tokens(c, ctx), cli_style(cli, fits ? "green" : "red"),
                 buf_str(&line), cli_style(cli, "reset"), format_size(m.kv + m.recurrent, kv), format_size(m.total, total),
                 cli_style(cli, "red"), fits ? "" : crossed ? "  no" : "  does not fit any more", cli_style(cli, "reset"));
        crossed |= !fits;
        if (c == end)
            break;
    }
    if (i->memory.kv_window > 0)
        cli_outf(cli, "  Layers with a sliding window stop growing after %d tokens: %s.\n", i->shape.window,
                 format_size(i->memory.kv_window, kv));
}

/* --- the page -------------------------------------------------------------------------------------- */

static void add_text(struct buf *b, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '<': buf_adds(b, "&lt;"); break;
        case '>': buf_adds(b, "&gt;"); break;
        case '&': buf_adds(b, "&amp;"); break;
        case '"': buf_adds(b, "&quot;"); break;
        default:
            if ((unsigned char)*s >= 0x20)
                buf_addc(b, *s);
        }
}

/* Numbers of a drawing: integers, so that no locale matters. */
static void draw(struct buf *b, const struct fit_list *l, const struct fit_item *i)
{
    enum { W = 680, H = 260, LEFT = 70, BOTTOM = 30, TOP = 14 };
    int64_t end = context_end(i);
    int64_t budget = i->gpu >= 0 ? hardware_gpu_budget(&l->hardware, i->gpu) : l->budget_bytes;
    struct fit_memory last, m;
    char text[24];
    at_context(i, end, &last);
    const bool beyond = budget > 3 * last.total; /* the model would be a line at the bottom */
    double top = (double)(beyond || last.total > budget ? last.total : budget) * (beyond ? 1.3 : 1.08);
    if (top <= 0)
        return;
#define X(c) (LEFT + (int)((double)(c) / (double)end * (W - LEFT - 10)))
#define Y(v) (TOP + (int)((1.0 - (double)(v) / top) * (H - TOP - BOTTOM)))
    buf_addf(b, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"memory over context\">\n<title>Memory of ", W, H);
    add_text(b, i->name);
    buf_addf(b, " over the length of the conversation</title>\n<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" class=\"plot\"/>\n", LEFT, TOP,
             W - LEFT - 10, H - TOP - BOTTOM);
    buf_addf(b, "<polygon class=\"weights\" points=\"%d,%d %d,%d %d,%d %d,%d\"/>\n", X(0), Y(0), X(0), Y(i->memory.weights + i->memory.repack),
             X(end), Y(i->memory.weights + i->memory.repack), X(end), Y(0));
    buf_addf(b, "<polygon class=\"cache\" points=\"%d,%d", X(0), Y(i->memory.weights + i->memory.repack));
    for (int k = 0; k <= POINTS; k++) {
        int64_t c = end / POINTS * k;
        at_context(i, c < 256 ? 256 : c, &m);
        buf_addf(b, " %d,%d", X(c), Y(m.total));
    }
    buf_addf(b, " %d,%d\"/>\n", X(end), Y(i->memory.weights + i->memory.repack));
    if (beyond)
        buf_addf(b, "<text x=\"%d\" y=\"%d\">free for models: %s, far above this picture</text>\n", LEFT + 6, TOP + 14, format_size(budget, text));
    else
        buf_addf(b, "<line class=\"budget\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/><text x=\"%d\" y=\"%d\">free for models: %s</text>\n", LEFT, Y(budget),
             W - 10, Y(budget), LEFT + 6, Y(budget) - 5, format_size(budget, text));
    if (i->fits) {
        buf_addf(b, "<circle cx=\"%d\" cy=\"%d\" r=\"4\"/>", X(i->ctx_tokens), Y(i->memory.total));
        bool right = X(i->ctx_tokens) > W - 90; /* no room for words on that side */
        buf_addf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", X(i->ctx_tokens) + (right ? -7 : 7), Y(i->memory.total) - 8,
                 right ? "end" : "start", format_size(i->memory.total, text));
    }
    for (int k = 0; k <= 4; k++) {
        int64_t at = end / 4 * k;
        buf_addf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">%s</text>\n", X(at), H - 10, k == 4 ? "end" : "middle",
                 tokens(at, text));
    }
    for (int k = 1; k <= 3; k++)
        buf_addf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 6, Y(top / 3.24 * k) + 4,
                 format_size((int64_t)(top / 3.24 * k), text));
    buf_adds(b, "</svg>\n");
#undef X
#undef Y
}

/* Below ten with a tenth: 0.2 and 0.9 are not the same speed. */
static void add_range(struct buf *b, double low, double high)
{
    if (high >= 10)
        buf_addf(b, "%d–%d", (int)low, (int)ceil(high));
    else
        buf_addf(b, "%d.%d–%d.%d", (int)low, (int)(low * 10) % 10, (int)high, (int)(high * 10) % 10);
}

static void add_row(struct buf *b, const struct fit_item *i)
{
    char size[24], total[24], ctx[24];
    buf_adds(b, "<tr><td>");
    add_text(b, i->name);
    buf_addf(b, "</td><td>%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">", i->shape.quant,
             format_size(i->shape.file_bytes, size), i->fits ? tokens(i->ctx_tokens, ctx) : "–", format_size(i->memory.total, total));
    if (i->speed.expected <= 0)
        buf_adds(b, "?");
    else if (i->speed.measured)
        buf_addf(b, "%d.%d measured", (int)i->speed.expected, (int)(i->speed.expected * 10) % 10);
    else
        add_range(b, i->speed.low, i->speed.high);
    buf_addf(b, "</td><td>%s</td></tr>\n", i->fits ? fit_item_words(i) : i->refused ? "cannot be loaded" : "does not fit");
}

bool fit_picture_html(struct buf *out, const struct fit_list *l)
{
    char a[24], c[24];
    buf_adds(out, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n"
                  "<title>What this machine can run</title>\n<style>\n"
                  "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c2430;background:#fff}\n"
                  "table{border-collapse:collapse;width:100%}td,th{padding:.25rem .6rem;border-bottom:1px solid #d8dde5;text-align:left}\n"
                  ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}svg{width:100%;max-width:680px;display:block;margin:.5rem 0 1.5rem}\n"
                  "svg text{font:11px system-ui,sans-serif;fill:#1c2430}.plot{fill:#f4f6f9}.weights{fill:#8fa3bf}.cache{fill:#3f7fbf;opacity:.75}\n"
                  ".budget{stroke:#b3261e;stroke-width:2;stroke-dasharray:6 4}circle{fill:#1c2430}\n"
                  "@media(prefers-color-scheme:dark){body{background:#12161c;color:#e6eaf0}td,th{border-color:#333b47}.plot{fill:#1b212a}"
                  "svg text{fill:#e6eaf0}circle{fill:#e6eaf0}}\n</style>\n<h1>What this machine can run</h1>\n<p>");
    add_text(out, l->hardware.cpu);
    buf_addf(out, ", %d cores, %s of memory; %s kept for builds and tests, %s for models.</p>\n", l->hardware.cores.usable,
             format_size(l->hardware.memory_bytes, a), format_size(l->reserve_bytes, c), "the rest");
    buf_adds(out, "<table><thead><tr><th>Model</th><th>Kind</th><th class=\"n\">File</th><th class=\"n\">Context</th><th class=\"n\">Needs</th>"
                  "<th class=\"n\">Tokens/s</th><th></th></tr></thead><tbody>\n");
    for (size_t i = 0; i < l->len; i++)
        add_row(out, &l->items[i]);
    buf_adds(out, "</tbody></table>\n<h2>How memory grows with the conversation</h2>\n"
                  "<p>Grey: the weights. Blue: the cache and working memory. Dashed: what is free for models.</p>\n");
    for (size_t i = 0; i < l->len && i < DRAWN_MAX; i++) {
        if (!l->items[i].shape.layers)
            continue;
        buf_adds(out, "<h3>");
        add_text(out, l->items[i].name);
        buf_addf(out, " (%s)</h3>\n", l->items[i].shape.quant);
        draw(out, l, &l->items[i]);
    }
    return buf_adds(out, "</html>\n");
}
