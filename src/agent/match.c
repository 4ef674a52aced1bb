#include "agent/match.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

enum {
    NEAR_OLD_LINES = 60,     /* of `old` compared: more says nothing new */
    NEAR_FILE_LINES = 20000, /* of the file searched */
    NEAR_LINE_BYTES = 200,   /* of a line compared */
    NEAR_MIN_PERCENT = 45,   /* below, the "nearest" text misleads */
    SHOW_LINES = 24,         /* of real text shown */
    SHOW_BYTES = 240,        /* of one of its lines */
    BIGRAMS = 4096,
};

/* --- lines --- */

size_t lines_count(struct span text)
{
    size_t n = 0;
    const char *p = text.p, *end = text.p + text.n;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        n++;
        if (!nl)
            break;
        p = nl + 1;
    }
    return n;
}

size_t lines_of_offset(struct span text, size_t at)
{
    size_t line = 1;
    if (at > text.n)
        at = text.n;
    for (size_t i = 0; i < at; i++)
        line += text.p[i] == '\n';
    return line;
}

struct span lines_slice(struct span text, size_t from, size_t to)
{
    size_t line = 1, i = 0;
    if (from == 0)
        from = 1;
    while (i < text.n && line < from) {
        const char *nl = memchr(text.p + i, '\n', text.n - i);
        if (!nl)
            return (struct span){ text.p + text.n, 0 };
        i = (size_t)(nl - text.p) + 1;
        line++;
    }
    size_t start = i;
    while (i < text.n && line <= to) {
        const char *nl = memchr(text.p + i, '\n', text.n - i);
        i = nl ? (size_t)(nl - text.p) + 1 : text.n;
        line++;
    }
    return (struct span){ text.p + start, i - start };
}

bool lines_number(struct buf *out, struct span text, size_t from, size_t to, size_t max_lines, size_t max_bytes)
{
    if (from == 0)
        from = 1;
    struct span rest = lines_slice(text, from, to), line;
    size_t total = lines_count(rest);
    size_t head = total, tail = 0;
    if (max_lines > 0 && total > max_lines) {
        head = max_lines - max_lines / 3;
        tail = max_lines - head;
    }
    bool first = true;
    for (size_t i = 0; span_line(&rest, &line); i++) {
        if (i >= head && i < total - tail) {
            if (i == head)
                buf_addf(out, "\n... %zu lines ...", total - tail - head);
            continue;
        }
        if (!first)
            buf_addc(out, '\n');
        first = false;
        bool cut = max_bytes > 0 && line.n > max_bytes;
        buf_addf(out, "%zu\t", from + i);
        buf_add(out, line.p, cut ? utf8_cut(line, max_bytes) : line.n);
        if (cut)
            buf_adds(out, "...");
    }
    return out->failed == 0;
}

bool match_is_crlf(struct span text)
{
    size_t lf = 0, crlf = 0;
    for (size_t i = 0; i < text.n && lf < 2000; i++) {
        if (text.p[i] != '\n')
            continue;
        lf++;
        crlf += i > 0 && text.p[i - 1] == '\r';
    }
    return lf > 0 && crlf * 10 >= lf * 9;
}

bool match_crlf(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
            buf_addc(out, '\r');
        buf_addc(out, s.p[i]);
    }
    return out->failed == 0;
}

/* --- the nearest text --- */

/* How alike two trimmed lines are, 0..100: Dice's coefficient over pairs of bytes. */
struct line_grams {
    struct span text;
    uint16_t *counts; /* BIGRAMS */
    size_t pairs;
};

static size_t gram(const char *p)
{
    return ((unsigned char)p[0] * 31u + (unsigned char)p[1] * 7u) % BIGRAMS;
}

static struct span short_line(struct span line)
{
    line = span_trim(line);
    return span_sub(line, 0, NEAR_LINE_BYTES);
}

static int line_like(struct line_grams *g, struct span line)
{
    if (span_eq(g->text, line))
        return 100;
    size_t pairs = line.n > 1 ? line.n - 1 : 0;
    if (!pairs || !g->pairs || pairs > g->pairs * 4 || g->pairs > pairs * 4)
        return 0;
    size_t common = 0;
    size_t taken[NEAR_LINE_BYTES];
    for (size_t i = 0; i < pairs; i++) {
        size_t k = gram(line.p + i);
        if (g->counts[k]) {
            g->counts[k]--;
            taken[common++] = k;
        }
    }
    for (size_t i = 0; i < common; i++)
        g->counts[taken[i]]++;
    return (int)(200 * common / (pairs + g->pairs));
}

/* Lines of white space only, in front of or behind what matters. */
static struct span without_blank_ends(struct span s)
{
    struct span t = span_trim(s);
    while (t.p > s.p && t.p[-1] != '\n') {
        t.p--;
        t.n++;
    }
    return t;
}

static int find_near(struct span text, struct span old, struct match *out, struct err *e)
{
    old = without_blank_ends(old);
    size_t no = lines_count(old), nf = lines_count(text);
    if (no == 0 || nf == 0)
        return 0;
    if (no > NEAR_OLD_LINES)
        no = NEAR_OLD_LINES;
    if (nf > NEAR_FILE_LINES)
        nf = NEAR_FILE_LINES;
    /* One score per file line at which a window may start; each old line adds its likeness to the
     * window in which it would have its place. */
    AUTO(ptr) unsigned *score = calloc(nf, sizeof *score);
    AUTO(ptr) unsigned *same = calloc(nf, sizeof *same);
    AUTO(ptr) struct span *lines = calloc(nf, sizeof *lines);
    AUTO(ptr) uint16_t *counts = calloc(BIGRAMS, sizeof *counts);
    if (!score || !same || !lines || !counts)
        return err_set(e, ERR_NOMEM, "comparing lines: out of memory");
    struct span rest = text, line;
    for (size_t i = 0; i < nf && span_line(&rest, &line); i++)
        lines[i] = short_line(line);
    rest = old;
    unsigned weight = 0;
    for (size_t k = 0; k < no && span_line(&rest, &line); k++) {
        struct line_grams g = { short_line(line), counts, 0 };
        g.pairs = g.text.n > 1 ? g.text.n - 1 : 0;
        for (size_t i = 0; i < g.pairs; i++)
            counts[gram(g.text.p + i)]++;
        /* Braces and blank lines are everywhere: they count little. */
        unsigned w = g.text.n == 0 ? 0 : g.text.n < 4 ? 1 : 4;
        weight += w;
        for (size_t i = k; i < nf && w; i++) {
            int like = line_like(&g, lines[i]);
            score[i - k] += w * (unsigned)like;
            same[i - k] += like == 100;
        }
        for (size_t i = 0; i < nf && !w; i++)
            if (i >= k && lines[i].n == 0)
                same[i - k]++;
        for (size_t i = 0; i < g.pairs; i++)
            counts[gram(g.text.p + i)]--;
    }
    if (!weight)
        return 0;
    size_t best = 0;
    for (size_t i = 1; i < nf; i++)
        if (score[i] > score[best])
            best = i;
    int percent = (int)(score[best] / weight);
    if (percent < NEAR_MIN_PERCENT)
        return 0;
    out->percent = percent;
    out->line = best + 1;
    out->to = best + no > nf ? nf : best + no;
    out->kind = same[best] == no && best + no <= nf ? MATCH_INDENT : MATCH_NEAR;
    return 0;
}

/* Text that begins with blanks, in the midst of a line's own: it has less indentation than what is there. */
static bool inside_indentation(struct span text, size_t at)
{
    if (text.p[at] != ' ' && text.p[at] != '\t')
        return false;
    size_t i = at;
    while (i > 0 && (text.p[i - 1] == ' ' || text.p[i - 1] == '\t'))
        i--;
    return i < at && (i == 0 || text.p[i - 1] == '\n');
}

int match_find(struct span text, struct span old, struct match *out, struct err *e)
{
    *out = (struct match){ .kind = MATCH_NONE, .len = old.n };
    if (old.n == 0)
        return 0;
    size_t from = 0, line = 1, counted = 0;
    while (from + old.n <= text.n) {
        ptrdiff_t at = span_find(span_sub(text, from, text.n), old);
        if (at < 0)
            break;
        size_t pos = from + (size_t)at;
        for (; counted < pos; counted++)
            line += text.p[counted] == '\n';
        if (out->count < MATCH_LINES)
            out->lines[out->count] = line;
        if (out->count++ == 0) {
            out->at = pos;
            out->line = line;
        }
        from = pos + 1;
    }
    if (out->count == 1) {
        struct span last = { text.p + out->at, old.n - 1 };
        out->kind = inside_indentation(text, out->at) ? MATCH_INDENT : MATCH_ONE;
        out->to = out->line + lines_of_offset(last, last.n) - 1;
        return 0;
    }
    if (out->count > 1) {
        out->kind = MATCH_MANY;
        return 0;
    }
    return find_near(text, old, out, e);
}

bool match_explain(const struct match *m, const char *path, struct span text, struct buf *out)
{
    switch (m->kind) {
    case MATCH_MANY:
        buf_addf(out, "error: `old` is in %s %zu times, at lines ", path, m->count);
        for (size_t i = 0; i < m->count && i < MATCH_LINES; i++)
            buf_addf(out, "%s%zu", i ? ", " : "", m->lines[i]);
        buf_addf(out, "%s: add lines around it, or use `line` and `to`", m->count > MATCH_LINES ? ", ..." : "");
        break;
    case MATCH_INDENT:
        buf_addf(out, "error: `old` is in %s but for white space (indentation, ends of lines), nothing was changed; the real text:\n", path);
        lines_number(out, text, m->line, m->to, SHOW_LINES, SHOW_BYTES);
        break;
    case MATCH_NEAR:
        buf_addf(out, "error: `old` is not in %s, nothing was changed; the nearest text:\n", path);
        lines_number(out, text, m->line, m->to, SHOW_LINES, SHOW_BYTES);
        break;
    case MATCH_NONE:
        buf_addf(out, "error: `old` is not in %s (%zu lines) and nothing there resembles it: read the file", path, lines_count(text));
        break;
    case MATCH_ONE:
        break;
    }
    return out->failed == 0;
}
