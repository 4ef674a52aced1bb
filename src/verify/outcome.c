#include "verify/outcome.h"

#include <stdlib.h>

#include "base/clean.h"
#include "base/hash.h"
#include "base/mem.h"
#include "verify/regex.h"

#define LINES_MAX 400u      /* failing lines kept of an output that nobody understands */
#define SOURCE_BYTES (4u << 20)

struct list {
    const char **items;
    size_t len, cap;
};

static bool push(struct list *l, const char *s)
{
    if (!s || !array_grow((void **)&l->items, &l->cap, l->len, 1, sizeof *l->items))
        return false;
    l->items[l->len++] = s;
    return true;
}

static struct strings settle(struct list *l, struct arena *arena)
{
    struct strings s = { arena_array(arena, l->len ? l->len : 1, sizeof(char *)), l->len };
    if (s.items && l->len)
        memcpy(s.items, l->items, l->len * sizeof(char *));
    else
        s.len = 0;
    free(l->items);
    *l = (struct list){ 0 };
    return s;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* --- names --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/*
 * How long is what stands at `i` and is drawn anew in each run: a UUID, a hash, a date, a number too long for a count?
 * 0: it is no such thing.
 */
static size_t drawn(struct span s, size_t i)
{
    size_t k = i, digits = 0, dashes = 0;
    if (i && is_word(s.p[i - 1]))
        return 0;
    while (k < s.n && (is_hex(s.p[k]) || (s.p[k] == '-' && k > i && k + 1 < s.n && is_hex(s.p[k + 1])))) {
        digits += is_digit(s.p[k]);
        dashes += s.p[k++] == '-';
    }
    size_t n = k - i - dashes;
    if ((k < s.n && is_word(s.p[k])) || digits == 0)
        return 0;
    bool date = dashes == 2 && n == 8 && digits == 8;
    bool uuid = dashes == 4 && n == 32;
    bool word = dashes == 0 && ((n >= 8 && digits < n && digits > 1) || digits >= 10);
    return date || uuid || word ? k - i : 0;
}

/* Times, addresses, temporary names, line numbers, seeds and drawn names differ from run to run: they become '#'. */
static void normalise(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        bool digit = is_digit(c);
        size_t n = is_hex(c) ? drawn(s, i) : 0;
        if (n) {
            buf_addc(out, '#');
            i += n;
        } else if (digit && (i == 0 || !(s.p[i - 1] >= '0' && s.p[i - 1] <= '9'))) {
            size_t k = i;
            while (k < s.n && ((s.p[k] >= '0' && s.p[k] <= '9') || s.p[k] == '.'))
                k++;
            struct span rest = span_sub(s, k, s.n);
            struct span before = span_sub(s, 0, i);
            bool hex = c == '0' && k - i == 1 && span_starts(rest, "x");
            bool time = span_starts(rest, "ms") || span_starts(rest, "us") || span_starts(rest, " ms") || span_starts(rest, " sec") ||
                        (span_starts(rest, "s") && (rest.n == 1 || strchr(" )],;:", rest.p[1])));
            bool line = span_ends(before, ":") || span_ends(before, "line ") || span_ends(before, "pid ") || span_ends(before, "==") ||
                        span_ends(before, "seed ") || span_ends(before, "seed=") || span_ends(before, "seed: ");
            bool clock = span_starts(rest, ":") && rest.n > 2 && rest.p[1] >= '0' && rest.p[1] <= '9';
            if (hex) {
                k++;
                while (k < s.n && ((s.p[k] >= '0' && s.p[k] <= '9') || (s.p[k] >= 'a' && s.p[k] <= 'f')))
                    k++;
            }
            if (hex || time || line || clock)
                buf_addc(out, '#');
            else
                buf_add_span(out, span_sub(s, i, k - i));
            i = k;
        } else if (span_starts(span_sub(s, i, s.n), "/tmp/")) {
            while (i < s.n && !strchr(" '\")],;:", s.p[i]))
                i++;
            buf_adds(out, "/tmp/#");
        } else {
            buf_addc(out, c);
            i++;
        }
    }
}

static int failing_lines(struct outcome *o, struct arena *arena, struct err *e)
{
    static struct regex *words;
    if (!words && regex_compile("(?i)(?:\\bfail|\\berror\\b|\\bnot ok\\b|assert|panic|exception|traceback|undefined|cannot |mismatch|expected|✗|✖|×|\\bsegmentation|\\bkilled\\b|\\bwrong\\b|\\bbad\\b)", &words, e) < 0)
        return -(int)e->kind;
    AUTO(buf) struct buf text = BUF_INIT(8u << 20), both = BUF_INIT(1u << 20);
    clean_add(&text, o->output, CLEAN_TEXT);
    struct span rest = buf_span(&text), line;
    struct list pairs = { 0 };
    while (span_line(&rest, &line) && pairs.len < LINES_MAX) {
        line = span_trim(line);
        if (!line.n || line.n > 2000 || !regex_match(words, line, 0, NULL))
            continue;
        buf_reset(&both);
        normalise(line, &both);
        buf_addc(&both, '\1'); /* sorts each line beside what it looked like; cleaned text has no \1 */
        buf_add_span(&both, line);
        if (both.failed || !push(&pairs, arena_span(arena, buf_span(&both))))
            break;
    }
    if (pairs.len)
        qsort(pairs.items, pairs.len, sizeof *pairs.items, by_text);
    struct list lines = { 0 }, shown = { 0 };
    for (size_t i = 0; i < pairs.len; i++) {
        const char *cut = strchr(pairs.items[i], '\1');
        const char *n = arena_span(arena, span_sub(span_of(pairs.items[i]), 0, (size_t)(cut - pairs.items[i])));
        if (n && lines.len && !strcmp(lines.items[lines.len - 1], n))
            continue;
        push(&lines, n);
        push(&shown, cut + 1);
    }
    free(pairs.items);
    o->lines = settle(&lines, arena);
    o->shown = settle(&shown, arena);
    return 0;
}

/* The text of line `row`, trimmed. */
static struct span line_at(struct span text, int64_t row)
{
    struct span line;
    for (int64_t i = 1; span_line(&text, &line); i++)
        if (i == row)
            return span_trim(line);
    return (struct span){ "", 0 };
}

int outcome_name(struct outcome *o, const struct tree *tree, const char *cwd, struct arena *arena, struct err *e)
{
    struct results *r = &o->results;
    AUTO(buf) struct buf text = BUF_INIT(SOURCE_BYTES + 1), path = BUF_INIT(8192), key = BUF_INIT(65536);
    const char *open = NULL;
    for (size_t i = 0; i < r->nfindings; i++) { /* sorted by file */
        struct result_finding *f = &r->findings[i];
        if (!open || strcmp(open, f->file) != 0) {
            open = f->file;
            buf_reset(&text);
            buf_reset(&path);
            buf_addf(&path, "%s%s%s", *f->file == '/' ? "" : cwd, *cwd && *f->file != '/' ? "/" : "", f->file);
            if (*f->file && *f->file != '/' && !path.failed)
                (void)tree_read(tree, buf_str(&path), SOURCE_BYTES, &text);
        }
        struct span line = line_at(buf_span(&text), f->line);
        buf_reset(&key);
        buf_addf(&key, "%s\t%s\t%s\t", f->tool, f->rule, f->file);
        if (line.n)
            buf_add_span(&key, line);
        else
            buf_adds(&key, f->message);
        f->key = key.failed ? f->message : arena_span(arena, buf_span(&key));
        if (!f->key)
            return err_set(e, ERR_NOMEM, "naming findings: out of memory");
    }
    if (!r->ntests && !r->nfindings && (o->status || o->timed_out))
        return failing_lines(o, arena, e);
    return 0;
}

/* --- comparing --- */

/* A test whose id the other run does not have, by what its id looks like without what changes from run to run. */
struct odd {
    const char *norm;
    size_t at; /* index of the test */
    enum test_status status;
};

static int by_norm(const void *a, const void *b)
{
    const struct odd *x = a, *y = b;
    int c = strcmp(x->norm, y->norm);
    if (!c)
        c = (int)y->status - (int)x->status; /* the failed meet the failed */
    return c ? c : x->at < y->at ? -1 : 1;
}

static const char *norm_id(const char *id, struct arena *arena)
{
    AUTO(buf) struct buf b = BUF_INIT(RESULTS_ID_BYTES * 2);
    normalise(span_of(id), &b);
    return b.failed ? id : arena_span(arena, buf_span(&b));
}

static size_t odd_ones(const struct results *of, const struct results *other, struct odd *out, struct arena *arena)
{
    size_t n = 0;
    for (size_t i = 0; i < of->ntests; i++)
        if (!results_test(other, of->tests[i].id)) {
            out[n] = (struct odd){ norm_id(of->tests[i].id, arena), i, of->tests[i].status };
            if (!out[n++].norm)
                return 0;
        }
    if (n)
        qsort(out, n, sizeof *out, by_norm);
    return n;
}

/*
 * Which test of `b` is the i-th of `a`: was[i], or NULL; kept[k]: the k-th of `b` is in `a`. By id; of the rest by
 * what the id looks like, one for one: "add (line 7)" was "add (line 5)", "test[0x7f01]" was "test[0x7f9c]".
 */
static bool pair_tests(const struct results *a, const struct results *b, const struct result_test **was, bool *kept, struct arena *arena)
{
    size_t exact = 0;
    for (size_t i = 0; i < a->ntests; i++)
        if ((was[i] = results_test(b, a->tests[i].id)) != NULL) {
            kept[was[i] - b->tests] = true;
            exact++;
        }
    if (exact == a->ntests || exact == b->ntests)
        return true;
    AUTO(ptr) struct odd *x = calloc(a->ntests, sizeof *x);
    AUTO(ptr) struct odd *y = calloc(b->ntests, sizeof *y);
    if (!x || !y)
        return false;
    size_t nx = odd_ones(a, b, x, arena), ny = odd_ones(b, a, y, arena);
    for (size_t i = 0, k = 0; i < nx && k < ny;) {
        int c = strcmp(x[i].norm, y[k].norm);
        if (!c) {
            was[x[i].at] = &b->tests[y[k].at];
            kept[y[k].at] = true;
        }
        i += c <= 0;
        k += c >= 0;
    }
    return true;
}

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const struct result_finding *const *)a)->key, (*(const struct result_finding *const *)b)->key);
}

static const struct result_finding **sorted_findings(const struct results *r)
{
    const struct result_finding **s = malloc((r->nfindings + 1) * sizeof *s); /* NOLINT(bugprone-sizeof-expression): an array of pointers on purpose */
    for (size_t i = 0; s && i < r->nfindings; i++)
        s[i] = &r->findings[i];
    if (s && r->nfindings)
        qsort(s, r->nfindings, sizeof *s, by_key); /* NOLINT(bugprone-sizeof-expression): pointers are sorted */
    return s;
}

static const char *finding_name(const struct result_finding *f, struct arena *arena)
{
    AUTO(buf) struct buf b = BUF_INIT(8192);
    buf_adds(&b, f->file);
    if (f->line)
        buf_addf(&b, ":%lld", (long long)f->line);
    if (*f->rule)
        buf_addf(&b, ": %s", f->rule);
    return arena_span(arena, buf_span(&b));
}

static bool failed(const struct outcome *o)
{
    return o->status != 0 || o->timed_out;
}

static bool is_line(const struct strings *s, const char *line)
{
    return s->len && bsearch(&line, s->items, s->len, sizeof *s->items, by_text);
}

static const char *exit_name(const struct outcome *o, struct arena *arena)
{
    return o->timed_out ? "timed out" : arena_printf(arena, "exit %d", o->status);
}

static void add(struct list *names, struct list *messages, const char *name, const char *message)
{
    if (push(names, name) && messages)
        push(messages, message ? message : "");
}

int outcome_compare(const struct outcome *before, const struct outcome *after, struct arena *arena, struct difference *out,
                    struct err *e)
{
    struct list fresh = { 0 }, messages = { 0 }, old = { 0 }, lost = { 0 };
    const struct results *a = &after->results, *b = before ? &before->results : NULL;
    bool bad = failed(after);
    *out = (struct difference){ .structured = a->ntests || a->nfindings };

    size_t nb = b ? b->ntests : 0;
    AUTO(ptr) const struct result_test **pairs = calloc(a->ntests + 1, sizeof *pairs); /* NOLINT(bugprone-sizeof-expression): an array of pointers on purpose */
    AUTO(ptr) bool *kept = calloc(nb + 1, sizeof *kept);
    if (!pairs || !kept || (nb && !pair_tests(a, b, pairs, kept, arena)))
        return err_set(e, ERR_NOMEM, "comparing results: out of memory");
    for (size_t i = 0; i < a->ntests; i++) {
        const struct result_test *t = &a->tests[i], *was = pairs[i];
        if (t->status == TEST_FAIL && bad) {
            if (was && was->status == TEST_FAIL)
                push(&old, t->id);
            else
                add(&fresh, &messages, t->id, t->message);
        } else if (t->status == TEST_SKIP && was && was->status == TEST_PASS) {
            add(&fresh, &messages, t->id, "passed before, is skipped now");
        }
    }
    size_t gone = 0;
    for (size_t i = 0; i < nb; i++)
        gone += b->tests[i].status == TEST_PASS && !kept[i];
    for (size_t i = 0; gone && a->ntests && !after->timed_out && i < nb; i++)
        if (b->tests[i].status == TEST_PASS && !kept[i])
            push(&lost, b->tests[i].id);

    if (bad && a->nfindings) {
        const struct result_finding **now = sorted_findings(a), **was = b ? sorted_findings(b) : NULL;
        if (!now || (b && !was)) {
            free(now);
            free(was);
            return err_set(e, ERR_NOMEM, "comparing findings: out of memory");
        }
        for (size_t i = 0, k = 0; i < a->nfindings; i++) {
            if (a->ntests && now[i]->severity != RESULT_ERROR)
                continue; /* a test run's warnings are not why it fails */
            while (b && k < b->nfindings && strcmp(was[k]->key, now[i]->key) < 0)
                k++;
            if (b && k < b->nfindings && !strcmp(was[k]->key, now[i]->key)) {
                k++; /* one old finding excuses one new */
                push(&old, finding_name(now[i], arena));
            } else {
                add(&fresh, &messages, finding_name(now[i], arena), now[i]->message);
            }
        }
        free(now);
        free(was);
    }

    if (bad && !out->structured) {
        bool known = before && failed(before) && !before->results.ntests;
        for (size_t i = 0; known && i < after->lines.len; i++)
            if (!is_line(&before->lines, after->lines.items[i]))
                add(&fresh, &messages, after->shown.items[i], "");
        if (known && !fresh.len && after->timed_out == before->timed_out)
            push(&old, exit_name(after, arena));
        else if (!fresh.len)
            add(&fresh, &messages, exit_name(after, arena), gone ? "no test was run" : "");
    } else if (bad && !fresh.len && !(before && failed(before))) {
        /* fails now, passed before, and no name says why */
        add(&fresh, &messages, exit_name(after, arena), "");
    } else if (bad && !fresh.len && !old.len) {
        if (before && failed(before) && before->status == after->status)
            push(&old, exit_name(after, arena));
        else
            add(&fresh, &messages, exit_name(after, arena), "");
    }
    /* A failing run that lost tests crashed or was cut short: they are failures, named after the rest. */
    if (bad && lost.len && before) {
        for (size_t i = 0; i < lost.len; i++)
            add(&fresh, &messages, lost.items[i], "passed before, was not run now");
        lost.len = 0;
    }
    out->fresh = settle(&fresh, arena);
    out->messages = settle(&messages, arena);
    out->old = settle(&old, arena);
    out->lost = settle(&lost, arena);
    if (!out->fresh.items || !out->messages.items || !out->old.items || out->fresh.len != out->messages.len)
        return err_set(e, ERR_NOMEM, "comparing results: out of memory");
    return 0;
}

static bool looks_like(const char *text, struct span norm)
{
    AUTO(buf) struct buf b = BUF_INIT(1u << 16);
    normalise(span_of(text), &b);
    return span_eq(buf_span(&b), norm);
}

/* The test of that id, else one whose id looks the same, a failed one first. */
static const struct result_test *test_like(const struct results *r, const char *name)
{
    const struct result_test *t = results_test(r, name), *passed = NULL;
    if (t || !r->ntests)
        return t;
    AUTO(buf) struct buf norm = BUF_INIT(1u << 16);
    normalise(span_of(name), &norm);
    if (span_eqs(buf_span(&norm), name) || norm.failed)
        return NULL; /* nothing in it changes from run to run */
    for (size_t i = 0; i < r->ntests; i++)
        if (looks_like(r->tests[i].id, buf_span(&norm))) {
            if (r->tests[i].status == TEST_FAIL)
                return &r->tests[i];
            passed = &r->tests[i];
        }
    return passed;
}

bool outcome_names_failure(const struct outcome *o, const char *name)
{
    const struct result_test *t = test_like(&o->results, name);
    if (t)
        return t->status == TEST_FAIL && failed(o);
    if (!failed(o))
        return false;
    char by_exit[24];
    (void)snprintf(by_exit, sizeof by_exit, "exit %d", o->status);
    if (!strcmp(name, by_exit))
        return true;
    AUTO(buf) struct buf norm = BUF_INIT(1u << 16);
    normalise(span_of(name), &norm);
    return is_line(&o->lines, buf_str(&norm));
}

bool outcome_says_nothing(const struct outcome *o, enum gate_kind kind)
{
    const struct results *r = &o->results;
    if (!failed(o) || o->timed_out)
        return false;
    if (r->ntests)
        return !r->passed;
    return r->nfindings && (kind == GATE_TEST || kind == GATE_BUILD);
}

bool outcome_has_failure(const struct outcome *o, const char *name)
{
    const struct result_test *t = test_like(&o->results, name);
    if (t)
        return t->status != TEST_PASS;
    if (!failed(o))
        return false;
    if (!strncmp(name, "exit ", 5) || !strcmp(name, "timed out"))
        return true;
    AUTO(arena) struct arena a = ARENA_INIT(8u << 20);
    for (size_t i = 0; i < o->results.nfindings; i++) {
        const char *n = finding_name(&o->results.findings[i], &a);
        if (n && !strcmp(n, name))
            return true;
    }
    if (o->results.ntests)
        return true; /* was not run */
    AUTO(buf) struct buf norm = BUF_INIT(1u << 16);
    normalise(span_of(name), &norm);
    if (is_line(&o->lines, buf_str(&norm)))
        return true;
    return o->results.nfindings == 0 && o->shown.len == 0;
}
