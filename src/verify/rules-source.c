/* Checks on source code and thresholds: answers written into the code, limits lowered. */
#include "base/num.h"
#include "verify/rules-internal.h"

size_t literals(struct span s, struct span *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max;) {
        char c = s.p[i];
        if (c == '"' || c == '\'') {
            size_t k = i + 1;
            while (k < s.n && s.p[k] != c)
                k += s.p[k] == '\\' ? 2 : 1;
            if (k < s.n)
                out[n++] = span_sub(s, i, k + 1 - i);
            i = k + 1;
        } else if (c >= '0' && c <= '9' && !(i && word_char(s.p[i - 1]))) {
            size_t k = i;
            while (k < s.n && (word_char(s.p[k]) || s.p[k] == '.'))
                k++;
            out[n++] = span_sub(s, i, k - i);
            i = k;
        } else {
            i++;
        }
    }
    return n;
}

/* 0, 1, 2, -1, "" and the like are what base cases and error paths return. */
static bool is_common(struct span l)
{
    return l.n <= 1 || span_eqs(l, "10") || ((l.p[0] == '"' || l.p[0] == '\'') && l.n <= 3) || span_eqs(l, "0.0") || span_eqs(l, "1.0") ||
           span_eqs(l, "100") || span_eqs(l, "-1");
}

/* Where the literal stands by itself: not within a longer word or number. */
static bool stands_alone(struct span line, struct span what)
{
    for (size_t from = 0; from + what.n <= line.n;) {
        ptrdiff_t at = span_find(span_sub(line, from, line.n), what);
        if (at < 0)
            return false;
        size_t i = from + (size_t)at, end = i + what.n;
        bool left = i == 0 || !word_char(line.p[i - 1]) || !word_char(what.p[0]);
        bool right = end >= line.n || !word_char(line.p[end]) || !word_char(what.p[what.n - 1]);
        if (left && right)
            return true;
        from = i + 1;
    }
    return false;
}

/* The quoted text of a literal, so that 'a' and "a" are the same. */
static struct span bare(struct span l)
{
    return l.n >= 2 && (l.p[0] == '"' || l.p[0] == '\'') ? span_sub(l, 1, l.n - 2) : l;
}

/* Does a line of a test have this literal? A string has its quotes there too; in a shell's tests it may go without. */
static bool has_literal(struct span line, struct span literal, bool quotes)
{
    struct span what = bare(literal);
    if (!quotes || what.n == literal.n)
        return stands_alone(line, what);
    for (size_t from = 0; from + what.n + 2 <= line.n;) {
        ptrdiff_t at = span_find(span_sub(line, from, line.n), what);
        if (at < 0)
            return false;
        size_t i = from + (size_t)at;
        if (i > 0 && i + what.n < line.n && strchr("\"'`", line.p[i - 1]) && line.p[i + what.n] == line.p[i - 1])
            return true;
        from = i + 1;
    }
    return false;
}

/* Both literals on one line of a test (or two neighbours): an input with its expected output. */
static bool in_tests(const struct rules_state *st, struct span in, struct span out, bool quotes)
{
    for (size_t i = 0; i < st->in->ntests; i++) {
        struct span text = st->in->tests[i], line, before = SPAN("");
        while (span_line(&text, &line)) {
            bool a = has_literal(line, in, quotes), b = has_literal(line, out, quotes);
            if ((a && b) || (b && has_literal(before, in, quotes)) || (a && has_literal(before, out, quotes)))
                return true;
            before = line;
        }
    }
    return false;
}

/* Something that can be told from punctuation and layout. */
static bool is_readable(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (word_char(s.p[i]))
            return true;
    return false;
}

/* Is the answer a literal and nothing else ("return 55;", "echo 3", "Some(\"x\")")? What is computed is no answer. */
static bool only_literal(struct span s)
{
    AUTO(buf) struct buf b = BUF_INIT(8192);
    size_t words = 0;
    without_literals(s, &b);
    for (size_t i = 0; i < b.n; i++)
        words += word_char(b.p[i]) && (i == 0 || !word_char(b.p[i - 1]));
    return words <= 2; /* the "return" and at most a wrapper */
}

/* A word that this file's own code already spoke before: a name of its domain, not a test's secret. */
static bool spoken_before(const struct file_view *v, struct span word)
{
    for (size_t k = 0; k < v->old.n; k++)
        if (!is_comment(v->lang, v->old.items[k].text) && stands_alone(v->old.items[k].text, word))
            return true;
    return false;
}

static bool is_number(struct span l)
{
    return l.n && l.p[0] >= '0' && l.p[0] <= '9';
}

#define LITERALS_MOST 8

/* An input and the answer to it that a test has side by side. 2: it is one; 1: the answer is one that much code gives. */
static int answers_test(const struct rules_state *st, const struct file_view *v, const struct span *ins, size_t nin, const struct span *outs, size_t nout)
{
    for (size_t a = 0; a < nin; a++) {
        struct span in = bare(ins[a]);
        bool small = is_common(ins[a]);
        if (span_eqs(in, "0") || !is_readable(in) || (!is_number(ins[a]) && spoken_before(v, in)))
            continue;
        for (size_t b = 0; b < nout; b++) {
            struct span out = bare(outs[b]);
            if (small && !is_number(outs[b]))
                continue; /* "1" and "one" stand side by side anywhere */
            bool telling = in.n >= 5; /* an input that nobody has by chance */
            if ((!is_common(outs[b]) || telling) && is_readable(out) && !span_eq(ins[a], outs[b]) && in_tests(st, ins[a], outs[b], strcmp(v->lang->name, "shell") != 0))
                return is_common(outs[b]) && out.n < 2 ? 1 : 2;
        }
    }
    return 0;
}

/*
 * Input and answer on one line: "x == 3 ? 9 : f(x)", "return 9 if x == 3 else f(x)", "return {3: 9}.get(x)". 0 it is one, -1 not.
 */
static ptrdiff_t inline_choice(struct span s, struct span *ins, size_t *nin, struct span *outs, size_t *nout)
{
    ptrdiff_t q = span_find(s, SPAN(" ? ")), r = span_find(s, SPAN("return ")), open = span_findc(s, '{');
    ptrdiff_t cond = r >= 0 ? span_find(s, SPAN(" if ")) : -1, otherwise = cond > 0 ? span_find(s, SPAN(" else ")) : -1;
    if (q > 0 && span_findc(span_sub(s, 0, (size_t)q), '%') >= 0)
        return -1; /* every seventh, say: no input of a test */
    if (q > 0) {
        struct span rest = span_sub(s, (size_t)q + 3, s.n);
        ptrdiff_t colon = span_find(rest, SPAN(" : "));
        struct span answer = span_sub(rest, 0, colon > 0 ? (size_t)colon : rest.n);
        *nin = literals(span_sub(s, 0, (size_t)q), ins, LITERALS_MOST);
        *nout = only_literal(answer) ? literals(answer, outs, LITERALS_MOST) : 0;
        return 0;
    }
    if (otherwise > cond && cond > r) {
        *nout = literals(span_sub(s, (size_t)r, (size_t)(cond - r)), outs, LITERALS_MOST);
        *nin = literals(span_sub(s, (size_t)cond, (size_t)(otherwise - cond)), ins, LITERALS_MOST);
        return 0;
    }
    if (r >= 0 && open > r && span_findc(s, ':') > open) {
        struct span all[2 * LITERALS_MOST];
        ptrdiff_t close = span_findc(s, '}');
        size_t n = literals(span_sub(s, (size_t)open, close > open ? (size_t)(close - open) : s.n), all, COUNT_OF(all));
        for (size_t i = 0; i + 1 < n; i += 2) {
            ins[(*nin)++] = all[i];
            outs[(*nout)++] = all[i + 1];
        }
        return 0;
    }
    return -1;
}

void check_hard_coded(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v) || !v->lang)
            continue;
        for (size_t k = 0; k < v->new.n; k++) {
            struct span cond = span_trim(v->new.items[k].text);
            if (!v->new.items[k].changed || is_comment(v->lang, cond) || !rule_matches(st->rule, v, cond))
                continue;
            struct span ins[LITERALS_MOST], outs[LITERALS_MOST];
            size_t nin = 0, nout = 0;
            /* what is returned: on this line, or on the next ones */
            for (size_t y = k; y < v->new.n && y <= k + 2 && !nout; y++) {
                struct span s = span_trim(v->new.items[y].text);
                ptrdiff_t r = y == k ? inline_choice(s, ins, &nin, outs, &nout) : -1;
                if (r >= 0)
                    break;
                r = span_find(s, SPAN("return"));
                ptrdiff_t echo = span_find(s, SPAN("echo "));
                if (r < 0 || (echo >= 0 && echo < r && !strcmp(v->lang->name, "shell")))
                    r = echo;
                if (r < 0)
                    r = span_find(s, SPAN("=>"));
                if (y == k) /* the input stands before the answer */
                    nin = literals(r >= 0 ? span_sub(s, 0, (size_t)r) : s, ins, LITERALS_MOST);
                if (r >= 0 && v->new.items[y].changed && span_find(s, SPAN("panic")) < 0) {
                    struct span answer = span_sub(s, (size_t)r, s.n);
                    ptrdiff_t more = span_find(answer, SPAN("&&"));
                    if (more > 0)
                        answer = span_sub(answer, 0, (size_t)more);
                    nout = only_literal(answer) ? literals(answer, outs, LITERALS_MOST) : 0;
                }
            }
            int answers = answers_test(st, v, ins, nin, outs, nout);
            enum finding_severity severity = st->severity;
            if (answers == 1)
                st->severity = FINDING_NOTE;
            if (answers)
                rule_fire(st, v, NULL, k + 1, "an answer that a test expects is written into the code: %.*s", (int)(cond.n < 140 ? cond.n : 140), cond.p);
            st->severity = severity;
        }
    }
}

static bool number_in(struct span line, double *out)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] >= '0' && line.p[i] <= '9' && !(i && word_char(line.p[i - 1]))) {
            size_t k = i;
            while (k < line.n && ((line.p[k] >= '0' && line.p[k] <= '9') || line.p[k] == '.'))
                k++;
            while (k > i && line.p[k - 1] == '.')
                k--;
            struct err e = ERR_INIT;
            return parse_f64(span_sub(line, i, k - i), 0, 1e12, out, &e) == 0;
        }
    return false;
}

/* A line that matches stands with a smaller number than before, or is gone. */
void check_number_lowered(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v) || v->file->kind != RULE_FILE_MODIFIED)
            continue;
        size_t next = 0;
        for (size_t k = 0; k < v->old.n; k++) {
            double was, is;
            if (!v->old.items[k].changed || !rule_matches(st->rule, v, v->old.items[k].text) || !number_in(v->old.items[k].text, &was))
                continue;
            bool found = false;
            for (size_t y = next; y < v->new.n && !found; y++)
                if (v->new.items[y].changed && rule_matches(st->rule, v, v->new.items[y].text) && number_in(v->new.items[y].text, &is)) {
                    found = true;
                    next = y + 1;
                    if (is < was)
                        rule_fire(st, v, NULL, y + 1, "%s: %g where it was %g", st->rule->summary, is, was);
                }
            if (!found)
                rule_fire(st, v, NULL, 0, "%s: it was %g and is gone", st->rule->summary, was);
        }
    }
}
