/* Checks on what tests expect: assertions made weaker, values, inputs and cases that changed. */
#include "verify/rules-internal.h"

static int strength(const struct lang *l, struct span s)
{
    if (regex_match(lang_regex(l->trivial), s, 0, NULL) || is_tautology(s))
        return 0;
    if (regex_match(lang_regex(l->strong), s, 0, NULL))
        return 2;
    return 1;
}

/* Checks of a test that compare with a value. */
size_t strong_checks(const struct file_view *v, const struct text_lines *l, const struct test_case *t)
{
    size_t n = 0;
    for (size_t k = t->first; k < t->end; k++)
        n += is_check(v->lang, l, k) && strength(v->lang, span_trim(l->items[k].text)) == 2;
    return n;
}

/* Words that both have, over the larger number of words, in percent. */
static int likeness(struct span a, struct span b)
{
    struct span x[64], y[64];
    size_t nx = words_of(a, x, COUNT_OF(x)), ny = words_of(b, y, COUNT_OF(y)), common = 0, most = nx > ny ? nx : ny;
    for (size_t i = 0; i < nx; i++)
        for (size_t k = 0; k < ny; k++)
            if (y[k].n && span_eq(x[i], y[k])) {
                y[k].n = 0;
                common++;
                break;
            }
    return most ? (int)(common * 100 / most) : 0;
}

#define ALIKE 40 /* percent: the same call with another assertion and another value is at 50 or more */

/* Words of the shorter one that the longer one has, in percent. */
static int contained(struct span old, struct span new)
{
    struct span x[64], y[64];
    size_t nx = words_of(old, x, COUNT_OF(x)), ny = words_of(new, y, COUNT_OF(y)), common = 0;
    for (size_t k = 0; k < ny; k++)
        for (size_t i = 0; i < nx; i++)
            if (span_eq(x[i], y[k])) {
                common++;
                break;
            }
    return ny ? (int)(common * 100 / ny) : 0;
}

#define CONTAINED 60 /* percent: all but the assertion itself */

/*
 * For each assertion that an existing test lost, the added assertion that resembles it most, in file order:
 * fn decides on the pair.
 */
typedef void (*pair_fn)(struct rules_state *st, const struct file_view *v, const struct test_case *n, struct span old, struct span new, size_t at);

static void each_pair(struct rules_state *st, pair_fn fn)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!v->lang || !v->testing)
            continue;
        /* a test program without named tests is one test */
        const struct test_case whole = { .name = SPAN("the program"), .end = v->old.n }, now = { .name = SPAN("the program"), .end = v->new.n };
        bool unnamed = v->class == PATH_TEST && !v->old_tests.n && !v->new_tests.n;
        for (size_t k = 0; k < v->old_tests.n + unnamed; k++) {
            const struct test_case *o = unnamed ? &whole : &v->old_tests.items[k], *n = unnamed ? &now : tests_by_name(&v->new_tests, o->name);
            size_t next = n ? n->first : 0;
            for (size_t x = o->first; n && x < o->end; x++) {
                struct span old = span_trim(v->old.items[x].text);
                if (!v->old.items[x].changed || !is_check(v->lang, &v->old, x))
                    continue;
                int best = ALIKE - 1;
                size_t at = 0;
                for (size_t y = next; y < n->end; y++) {
                    struct span new = span_trim(v->new.items[y].text);
                    if (!v->new.items[y].changed || !is_check(v->lang, &v->new, y))
                        continue;
                    int l = likeness(old, new);
                    if (l < ALIKE && new.n < old.n && contained(old, new) >= CONTAINED)
                        l = ALIKE; /* the same thing, of which less is said */
                    if (l > best)
                        best = l, at = y;
                }
                if (best >= ALIKE) {
                    AUTO(buf) struct buf was = BUF_INIT(16384), is = BUF_INIT(16384);
                    statement_at(&v->old, x, &was);
                    statement_at(&v->new, at, &is);
                    if (!was.failed && !is.failed)
                        fn(st, v, n, buf_span(&was), buf_span(&is), at);
                    next = at + 1;
                }
            }
        }
    }
}

/* What a test expects is now what it got: the same call stands on another line of the test. */
static void recomputed(struct rules_state *st, const struct file_view *v, const struct test_case *n, struct span new, size_t at)
{
    ptrdiff_t eq = span_find(new, SPAN("=="));
    struct span want = eq > 0 ? span_trim(span_sub(new, (size_t)eq + 2, new.n)) : SPAN("");
    static const char literal[] = "^\\s*assert\\s+(?:[\\d\"'\\[{(]|True|False|None|b[\"'])";
    if (regex_match(lang_regex(literal), new, 0, NULL))
        return; /* what is expected stands on the left */
    ptrdiff_t open = span_findc(want, '(');
    static const char builtin[] = "^(?:(?:\\w+\\.)*[A-Z]\\w*|str|repr|list|dict|set|tuple|sorted|len|sum|int|float|bytes|format|String|Number|vec)\\b";
    if (open < 2 || !word_char(want.p[0]) || !word_char(want.p[open - 1]) || !span_ends(want, ")") || regex_match(lang_regex(builtin), want, 0, NULL))
        return;
    for (size_t y = n->first + 1; y < n->end; y++)
        if (y != at && span_find(v->new.items[y].text, want) >= 0) {
            rule_fire(st, v, NULL, at + 1, "test '%.*s' expects what the code under test returns: %.*s", (int)n->name.n, n->name.p, (int)(new.n < 160 ? new.n : 160), new.p);
            return;
        }
}

/* Is all that the new line says in the old one, but for the name of the assertion? "equal(true, f(x))" became "true(f(x))". */
static bool says_the_same(const struct lang *l, struct span old, struct span new)
{
    struct span had[64], has[64];
    size_t n = words_of(old, had, COUNT_OF(had)), all = words_of(new, has, COUNT_OF(has));
    static const char boolean[] = "^\\w*(?:[Tt]rue|[Ff]alse|assert|ASSERT|TRUE|FALSE|Assert|assertions)$";
    if (strcmp(l->name, "java") != 0 && strcmp(l->name, "csharp") != 0 && strcmp(l->name, "rust") != 0)
        return false; /* elsewhere much is "true" that is no boolean */
    for (size_t i = 0; i < all; i++) {
        bool found = regex_match(lang_regex(boolean), has[i], 0, NULL);
        for (size_t k = 0; k < n && !found; k++)
            found = span_eq(has[i], had[k]);
        if (!found)
            return false;
    }
    static const char compares[] = "[<>]=?|[!=]=|&&|\\|\\||\\binstanceof\\b";
    AUTO(buf) struct buf said = BUF_INIT(8192);
    without_literals(new, &said);
    return all > 1 && !said.failed && !regex_match(lang_regex(compares), buf_span(&said), 0, NULL);
}

/* An assertion of the project's own that has each value of the old one: "assert_equal 3, body" became "assert_body 3". */
static bool has_values_of(const struct lang *l, struct span old, struct span new)
{
    struct span all[16];
    size_t n = literals(old, all, COUNT_OF(all));
    if (!n || n == COUNT_OF(all) || regex_match(lang_regex(l->weak), new, 0, NULL))
        return false;
    static const char compares[] = "[<>]|!=";
    for (size_t i = 0; i < n; i++)
        if (span_find(new, all[i]) < 0)
            return false;
    return !regex_match(lang_regex(compares), new, 0, NULL);
}

static void weakened(struct rules_state *st, const struct file_view *v, const struct test_case *n, struct span old, struct span new, size_t at)
{
    static const char null_value[] = "\\b(?:null|nil|None|NULL|nullptr|undefined)\\b";
    static const char null_check[] = "(?i)\\bis_?null|is_?none|be_?null|assert_?null|is_?nil|be_?nil|==\\s*(?:null|nil|none)|\\bis none\\b|tobeundefined|_null\\b|assert_?nil";
    if (regex_match(lang_regex(null_value), old, 0, NULL) && regex_match(lang_regex(null_check), new, 0, NULL) && span_find(new, SPAN("ot")) < 0)
        return; /* "is null" says as much as "equals null" */
    static const char place[] = "(?:[iI]ndex(?:Of|Any|Byte)?|find)\\s*\\(.*-\\s*1", member[] = "[cC]ontains|includes|HasPrefix|starts[wW]ith|\\bin\\b";
    if (regex_match(lang_regex(place), old, 0, NULL) && regex_match(lang_regex(member), new, 0, NULL))
        return; /* "its place is not -1" says that it is there */
    /* Any error in place of one. */
    static const char one[] = "(?:toThrow\\w*|[rR]aises?\\w*|[tT]hrows\\w*|rejects|raise_error|expectException\\w*)\\s*\\(\\s*[\\w\"'/:]", any[] = "(?:toThrow\\w*|[rR]aises?\\w*|[tT]hrows\\w*|rejects|raise_error)\\s*(?:\\(\\s*\\)|$|;)";
    if (regex_match(lang_regex(one), old, 0, NULL) && regex_match(lang_regex(any), new, 0, NULL)) {
        rule_fire(st, v, NULL, at + 1, "test '%.*s': any error will do in place of: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
        return;
    }
    /* A size in place of the thing, any error in place of one, a pattern that takes all. */
    static const char vague[] = "\\blen\\(|toHaveLength|\\.length\\b|\\.size\\(\\)|\\.len\\(\\)|hasSize\\(|\\btype\\(|\\btypeof\\b|\\b(?:Base)?Exception\\b|\\bThrowable\\b|\\bRuntimeException\\b|\\(_\\)|\\(\\.\\.\\)|\\bStandardError\\b";
    const struct regex *vaguely = lang_regex(vague);
    if (regex_match(vaguely, new, 0, NULL) && !regex_match(vaguely, old, 0, NULL) && new.n <= old.n) {
        rule_fire(st, v, NULL, at + 1, "test '%.*s': a vaguer check in place of: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
        return;
    }
    int was = strength(v->lang, old), is = strength(v->lang, new);
    if (is < was && is > 0 && (says_the_same(v->lang, old, new) || has_values_of(v->lang, old, new)))
        return;
    const struct test_case *o = tests_by_name(&v->old_tests, n->name);
    enum finding_severity severity = st->severity;
    if (is > 0 && o && strong_checks(v, &v->new, n) >= strong_checks(v, &v->old, o))
        st->severity = FINDING_NOTE; /* it became one of several */
    if (is < was && (is == 0 || new.n < old.n || regex_match(lang_regex(v->lang->weak), new, 0, NULL)))
        rule_fire(st, v, NULL, at + 1, "test '%.*s': a weaker check in place of: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
    st->severity = severity;
}

void check_assert_weakened(struct rules_state *st)
{
    each_pair(st, weakened);
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; v->testing && k < v->new_tests.n; k++) {
            const struct test_case *t = &v->new_tests.items[k];
            for (size_t y = t->first + 1; y < t->end && tests_by_name(&v->old_tests, t->name); y++)
                if (v->new.items[y].changed && is_check(v->lang, &v->new, y))
                    recomputed(st, v, t, span_trim(v->new.items[y].text), y);
        }
    }
}

void without_literals(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        bool in_word = i && word_char(s.p[i - 1]);
        if (c == '"' || c == '\'' || c == '`') {
            size_t k = i + 1;
            while (k < s.n && s.p[k] != c)
                k += s.p[k] == '\\' ? 2 : 1;
            buf_addc(out, '#');
            i = k + 1;
        } else if ((c >= '0' && c <= '9') && !in_word) {
            while (i < s.n && (word_char(s.p[i]) || s.p[i] == '.' || ((s.p[i] == '-' || s.p[i] == '+') && (s.p[i - 1] == 'e' || s.p[i - 1] == 'E'))))
                i++;
            if (out->n && out->p[out->n - 1] == '-')
                buf_truncate(out, out->n - 1);
            buf_addc(out, '#');
        } else if (!in_word && word_char(c)) {
            size_t k = i;
            while (k < s.n && word_char(s.p[k]))
                k++;
            struct span w = span_sub(s, i, k - i);
            static const char *const words[] = { "true", "false", "True", "False", "None", "null", "nil", "NULL", "undefined" };
            bool literal = false;
            for (size_t x = 0; x < COUNT_OF(words); x++)
                literal |= span_eqs(w, words[x]);
            if (literal)
                buf_addc(out, '#');
            else
                buf_add_span(out, w);
            i = k;
        } else {
            if (c != ' ')
                buf_addc(out, c);
            i++;
        }
    }
}

/* Is each word of the old line, but for numbers, in the new one? */
static bool names_kept(struct span old, struct span new)
{
    struct span words[64];
    size_t n = words_of(old, words, COUNT_OF(words));
    for (size_t i = 0; i < n; i++)
        if (!(words[i].p[0] >= '0' && words[i].p[0] <= '9') && !has_word(new, words[i]))
            return false;
    return n > 0;
}

static void changed_expectation(struct rules_state *st, const struct file_view *v, const struct test_case *n, struct span old, struct span new, size_t at)
{
    AUTO(buf) struct buf a = BUF_INIT(8192), b = BUF_INIT(8192);
    without_literals(old, &a);
    without_literals(new, &b);
    if (a.failed || b.failed)
        return;
    bool same = span_eq(buf_span(&a), buf_span(&b)) && span_findc(buf_span(&a), '#') >= 0;
    if (!same && new.n > old.n && names_kept(old, new)) { /* all that it said, wrapped, and not the same values */
        struct span had[16], has[16];
        size_t n_had = literals(old, had, COUNT_OF(had)), n_has = literals(new, has, COUNT_OF(has));
        bool gone = false, came = false;
        for (size_t i = 0; i < n_had; i++)
            gone |= span_find(new, had[i]) < 0;
        for (size_t i = 0; i < n_has; i++)
            came |= span_find(old, has[i]) < 0;
        same = gone && came;
    }
    if (same)
        rule_fire(st, v, NULL, at + 1, "test '%.*s' expects something else than before; it was: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
}

void check_expectation_changed(struct rules_state *st)
{
    each_pair(st, changed_expectation);
}

/* Do both begin alike, as a line that was shortened does? */
static bool words_shared(struct span a, struct span b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n >= 5;
}

#define CASE_ATTRIBUTE "^(?:\\[(?:InlineData|TestCase|DataRow)\\(|#\\[(?:test_)?case\\(|@(?:CsvSource|ValueSource)\\()" /* a case by itself */

/* A row of a table: starts with a bracket, quote or digit and ends with a comma or bracket. */
static bool is_row(struct span s)
{
    s = span_trim(s);
    static const char given[] = CASE_ATTRIBUTE, member[] = "^[\"'][\\w.-]+[\"']\\s*:\\s*(?:\\w+|[\"'][^\"']*[\"'])\\s*,$";
    if (regex_match(lang_regex(given), s, 0, NULL))
        return true;
    if (s.n < 3 || regex_match(lang_regex(member), s, 0, NULL))
        return false; /* a member of a record, not a row */
    bool opens = strchr("([{\"'-0123456789", s.p[0]) != NULL || span_starts(s, "pytest.param(");
    return opens && strchr(",])}", s.p[s.n - 1]) != NULL && (span_findc(s, ',') >= 0);
}

/* One of at least three rows that stand together, alike in indentation and first character. */
static bool in_table(const struct text_lines *l, size_t at)
{
    struct span s = span_trim(l->items[at].text);
    size_t run = 1, w = indent_width(l->items[at].text);
    static const char given[] = CASE_ATTRIBUTE;
    if (regex_match(lang_regex(given), s, 0, NULL))
        return true;
    if (!is_row(s))
        return false;
    for (int step = -1; step <= 1; step += 2)
        for (size_t k = at + (size_t)step; k < l->n; k += (size_t)step) {
            struct span t = span_trim(l->items[k].text);
            if (!is_row(t) || t.p[0] != s.p[0] || indent_width(l->items[k].text) != w)
                break;
            run++;
        }
    return run >= 3;
}

static size_t count_literals(struct span s)
{
    AUTO(buf) struct buf b = BUF_INIT(8192);
    size_t n = 0;
    without_literals(s, &b);
    for (size_t i = 0; i < b.n; i++)
        n += b.p[i] == '#';
    return n;
}

/* Does the old line stand in a test, or in a table whose head (the nearest line with less indentation) calls it one of cases? */
static bool cases_at(const struct file_view *v, size_t at)
{
    for (size_t k = 0; k < v->old_tests.n; k++)
        if (at >= v->old_tests.items[k].first && at < v->old_tests.items[k].end)
            return true;
    static const char head[] = "(?i)parametri|case|test|want|expect|table|data|vector|sample|example|input|\\.each|provider|struct";
    size_t own = indent_width(v->old.items[at].text);
    for (size_t k = at; k-- > 0;)
        if (span_trim(v->old.items[k].text).n && indent_width(v->old.items[k].text) < own) {
            static const char words[] = "\\w";
            if (regex_match(lang_regex(words), v->old.items[k].text, 0, NULL))
                return regex_match(lang_regex(head), v->old.items[k].text, 0, NULL);
            own = indent_width(v->old.items[k].text); /* a bracket alone */
        }
    return false;
}

static bool values_on(const struct text_lines *l, struct span row)
{
    struct span all[16];
    size_t n = literals(row, all, COUNT_OF(all));
    for (size_t k = 0; n && k < l->n; k++) {
        size_t kept = 0;
        for (size_t i = 0; l->items[k].changed && i < n; i++)
            kept += span_find(l->items[k].text, all[i]) >= 0;
        if (kept == n)
            return true;
    }
    return false;
}

/* Do all values of a row stand on one line that came: written otherwise? */
static bool row_lives_on(const struct file_view *v, struct span row)
{
    return values_on(&v->new, row);
}

static bool row_had_lived(const struct file_view *v, struct span row)
{
    return values_on(&v->old, row);
}

void check_test_data_removed(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!v->testing || v->file->kind != RULE_FILE_MODIFIED || v->class != PATH_TEST || v->new_tests.n < v->old_tests.n)
            continue;
        size_t gone = 0, came = 0, first = 0, without_subject = 0;
        for (size_t k = 0; k < v->old.n; k++)
            if (v->old.items[k].changed && in_table(&v->old, k) && !row_lives_on(v, v->old.items[k].text)) {
                first = gone ? first : k + 1;
                gone++;
                without_subject += names_the_gone(st, v->old.items[k].text);
            }
        for (size_t k = 0; k < v->new.n; k++)
            came += v->new.items[k].changed && is_row(v->new.items[k].text) && !row_had_lived(v, v->new.items[k].text);
        if (v->new_tests.n > v->old_tests.n)
            continue; /* cases that became tests of their own */
        if (gone > came) {
            enum finding_severity severity = st->severity;
            if (!cases_at(v, first - 1) || without_subject >= gone - came)
                st->severity = FINDING_NOTE; /* a table outside of tests that no name calls one of cases; or what the cases were of is gone */
            rule_fire(st, v, NULL, first <= v->new.n ? first : 0, "%zu row%s of test data fewer", gone - came, gone - came == 1 ? "" : "s");
            st->severity = severity;
            continue;
        }
        /* a list on one line that became shorter, in a test or its decorator */
        for (size_t k = 0; k < v->old_tests.n; k++) {
            const struct test_case *o = &v->old_tests.items[k], *n = tests_by_name(&v->new_tests, o->name);
            size_t from = o->first ? o->first - 1 : 0;
            for (size_t x = from; n && x < o->end; x++) {
                struct span old = span_trim(v->old.items[x].text);
                if (!v->old.items[x].changed || is_comment(v->lang, old) || count_literals(old) < 2)
                    continue;
                size_t nfrom = n->first ? n->first - 1 : 0;
                for (size_t y = nfrom; y < n->end; y++) {
                    struct span new = span_trim(v->new.items[y].text);
                    if (v->new.items[y].changed && likeness(old, new) >= ALIKE && count_literals(new) < count_literals(old) && span_findc(old, '[') >= 0 && words_shared(old, new) &&
                        ((span_find(old, SPAN("for ")) >= 0 && span_find(old, SPAN("for ")) < span_findc(old, '[')) || span_find(old, SPAN("parametri")) >= 0 || span_find(old, SPAN("each")) >= 0)) {
                        rule_fire(st, v, NULL, y + 1, "test '%.*s' has fewer cases; it had: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
                        break;
                    }
                }
            }
        }
    }
}

void check_test_input_changed(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        const struct regex *a = v->lang ? lang_regex(v->lang->assertion) : NULL;
        if (!v->testing || !a)
            continue;
        for (size_t k = 0; k < v->old_tests.n; k++) {
            const struct test_case *o = &v->old_tests.items[k], *n = tests_by_name(&v->new_tests, o->name);
            size_t from = o->first ? o->first - 1 : 0, gone = 0, came = 0;
            for (size_t x = o->first; n && x < o->end; x++)
                gone += v->old.items[x].changed;
            for (size_t y = n ? n->first : 0; n && y < n->end; y++)
                came += v->new.items[y].changed;
            if (gone != came || gone > 2)
                continue; /* the test was written anew: nothing can be said of one line */
            for (size_t x = from; n && x < o->end; x++) {
                struct span old = span_trim(v->old.items[x].text);
                if (!v->old.items[x].changed || x == o->first || !count_literals(old) || is_comment(v->lang, old) || regex_match(a, old, 0, NULL))
                    continue;
                for (size_t y = n->first ? n->first - 1 : 0; y < n->end; y++) {
                    struct span new = span_trim(v->new.items[y].text);
                    AUTO(buf) struct buf p = BUF_INIT(8192), q = BUF_INIT(8192);
                    if (!v->new.items[y].changed || y == n->first)
                        continue;
                    without_literals(old, &p);
                    without_literals(new, &q);
                    if (!p.failed && !q.failed && span_eq(buf_span(&p), buf_span(&q))) {
                        rule_fire(st, v, NULL, y + 1, "test '%.*s' is given something else; it was: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
                        break;
                    }
                }
            }
        }
    }
}
