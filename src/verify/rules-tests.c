/* Checks on tests: deleted, emptied, weakened, commented out, made unreachable. */
#include "base/path.h"
#include "verify/rules-internal.h"

#define SHRINKS_LINES 10u  /* of source code fewer than before: a part of it was taken out */
#define COVER_LINES 50000u /* of a change in which the lines of deleted tests are looked for */

/* Words and numbers of a line, at most max. */
static size_t words_of(struct span s, struct span *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max;) {
        size_t k = i;
        while (k < s.n && word_char(s.p[k]))
            k++;
        if (k > i)
            out[n++] = span_sub(s, i, k - i);
        i = k + 1;
    }
    return n;
}

/* Is a test of this name among the new tests of any file, more often than among the old? */
static bool came_elsewhere(const struct rules_state *st, struct span name)
{
    size_t old = 0, new = 0;
    for (size_t i = 0; i < st->nviews; i++) {
        old += tests_by_name(&st->views[i].old_tests, name) != NULL;
        new += tests_by_name(&st->views[i].new_tests, name) != NULL;
    }
    return new >= old && new > 0;
}

/* Assertions in the files of the change that hold tests, before and after. */
static void count_assertions(const struct rules_state *st, size_t *before, size_t *after)
{
    *before = *after = 0;
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; k < v->old_tests.n; k++)
            *before += v->old_tests.items[k].asserts - v->old_tests.items[k].trivial;
        for (size_t k = 0; k < v->new_tests.n; k++)
            *after += v->new_tests.items[k].asserts - v->new_tests.items[k].trivial;
    }
}

/* Is the word defined or used on a line that source code of this change lost, and nowhere in what it is now? */
static bool left_the_source(const struct rules_state *st, struct span word)
{
    bool lost = false;
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (v->class != PATH_SOURCE)
            continue;
        for (size_t k = 0; k < v->new.n; k++)
            if (span_find(v->new.items[k].text, word) >= 0)
                return false;
        for (size_t k = 0; k < v->old.n && !lost; k++)
            lost = v->old.items[k].changed && span_find(v->old.items[k].text, word) >= 0;
    }
    return lost;
}

/* Names something that source code of this change lost. */
static bool names_the_gone(const struct rules_state *st, struct span line)
{
    struct span words[64];
    size_t n = words_of(line, words, COUNT_OF(words));
    for (size_t k = 0; k < n; k++)
        if (words[k].n >= 5 && !(words[k].p[0] >= '0' && words[k].p[0] <= '9') && left_the_source(st, words[k]))
            return true;
    return false;
}

/* A test of something that the change takes out of the source goes with it. */
static bool subject_removed(const struct rules_state *st, const struct file_view *v, const struct test_case *t)
{
    for (size_t i = t->first + 1; i < t->end; i++)
        if (names_the_gone(st, v->old.items[i].text))
            return true;
    return false;
}

/* How much of the old body still stands somewhere in the new file: a renamed test keeps its lines. */
static bool body_survives(const struct file_view *v, const struct test_case *t)
{
    size_t all = 0, kept = 0;
    for (size_t i = t->first + 1; i < t->end; i++) {
        if (span_trim(v->old.items[i].text).n < 4)
            continue;
        all++;
        kept += !v->old.items[i].changed;
    }
    return all && kept * 2 > all;
}

static bool stands_in(const struct text_lines *l, size_t from, size_t end, struct span text)
{
    for (size_t i = from; i < end; i++)
        if (span_eq(span_trim(l->items[i].text), text))
            return true;
    return false;
}

/* Do the old test's lines, each of its checks among them, stand in other tests of the change as it is now? Then nothing is lost. */
static bool covered_elsewhere(const struct rules_state *st, const struct file_view *v, const struct test_case *t)
{
    size_t all = 0, kept = 0, lines = 0;
    for (size_t i = 0; i < st->nviews; i++)
        lines += st->views[i].new.n;
    if (lines > COVER_LINES || !t->asserts)
        return false;
    for (size_t x = t->first + 1; x < t->end; x++) {
        struct span s = span_trim(v->old.items[x].text);
        if (s.n < 4 || is_comment(v->lang, s))
            continue;
        bool found = false;
        for (size_t i = 0; i < st->nviews && !found; i++) {
            const struct file_view *o = &st->views[i];
            for (size_t k = 0; k < o->new_tests.n && !found; k++)
                found = stands_in(&o->new, o->new_tests.items[k].first, o->new_tests.items[k].end, s);
        }
        if (!found && is_check(v->lang, &v->old, x))
            return false;
        all++;
        kept += found;
    }
    return all && kept * 10 >= all * 9;
}

/* Source code that went without other code in its place: what its tests tested is not there any more. */
static bool source_shrinks(const struct rules_state *st)
{
    size_t gone = 0, came = 0;
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (v->class != PATH_SOURCE || !v->lang)
            continue;
        for (size_t k = 0; k < v->old.n; k++)
            gone += v->old.items[k].changed && span_trim(v->old.items[k].text).n > 1;
        for (size_t k = 0; k < v->new.n; k++)
            came += v->new.items[k].changed && span_trim(v->new.items[k].text).n > 1;
    }
    return gone >= came + SHRINKS_LINES;
}

static bool makes_checks(const struct file_view *v, const struct text_lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_check(v->lang, l, i))
            return true;
    return false;
}

/* Do most checks of a deleted file stand in one that the change adds? Then it moved. */
static bool came_back(const struct rules_state *st, const struct file_view *gone)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        size_t all = 0, found = 0;
        if (v->file->kind != RULE_FILE_ADDED || v->class != PATH_TEST || v->new.n + gone->old.n > COVER_LINES / 5)
            continue;
        for (size_t k = 0; k < gone->old.n; k++)
            if (is_check(gone->lang, &gone->old, k)) {
                all++;
                found += stands_in(&v->new, 0, v->new.n, span_trim(gone->old.items[k].text));
            }
        if (found * 2 > all)
            return true;
    }
    return false;
}

void check_test_deleted(struct rules_state *st)
{
    size_t before = 0, after = 0, asserts_before, asserts_after;
    enum finding_severity severity = st->severity;
    bool shrinks = source_shrinks(st);
    count_assertions(st, &asserts_before, &asserts_after);
    for (size_t i = 0; i < st->nviews; i++) {
        before += st->views[i].old_tests.n;
        after += st->views[i].new_tests.n;
    }
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        const struct rule_file *f = v->file;
        if (f->kind == RULE_FILE_DELETED && v->class == PATH_TEST && !v->old_tests.n && v->lang && makes_checks(v, &v->old)) {
            st->severity = shrinks || came_back(st, v) ? FINDING_NOTE : severity;
            rule_fire(st, v, NULL, 0, "a test file was deleted");
            st->severity = severity;
            continue;
        }
        if (f->kind == RULE_FILE_RENAMED && f->old_path &&
            ((path_classify(f->old_path) == PATH_TEST && path_classify(f->path) != PATH_TEST) ||
             (path_classify(path_base(f->old_path)) == PATH_TEST && path_classify(path_base(f->path)) != PATH_TEST)))
            rule_fire(st, v, NULL, 0, "a test file was renamed from %s so that test runners no longer find it", f->old_path);
        for (size_t k = 0; k < v->old_tests.n; k++) {
            const struct test_case *t = &v->old_tests.items[k];
            if (tests_by_name(&v->new_tests, t->name) || came_elsewhere(st, t->name))
                continue;
            if (body_survives(v, t) && v->new_tests.n >= v->old_tests.n)
                continue; /* renamed */
            if (covered_elsewhere(st, v, t))
                continue; /* moved under another name, or it was there twice */
            /* Tests written anew, that check as much, in place of others are a rewrite, not a deletion. */
            if (after >= before && (asserts_after >= asserts_before || (after > before && asserts_after * 10 >= asserts_before * 9)) && (f->kind != RULE_FILE_DELETED || after > before))
                continue;
            st->severity = shrinks || subject_removed(st, v, t) ? FINDING_NOTE : severity;
            rule_fire(st, v, NULL, t->first < v->new.n ? t->first + 1 : 0, "test '%.*s' was deleted", (int)t->name.n, t->name.p);
            st->severity = severity;
        }
    }
}

static bool checks_something(const struct lang *l, const struct text_lines *lines, size_t at)
{
    struct span s = lines->items[at].text;
    return is_check(l, lines, at) && !regex_match(lang_regex(l->trivial), s, 0, NULL) && !is_tautology(s);
}

/* Tests of this name, and their assertions together: names repeat in different groups. */
static size_t sum_of(const struct test_cases *t, struct span name, size_t *asserts)
{
    size_t n = 0;
    *asserts = 0;
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->items[i].name, name)) {
            n++;
            *asserts += t->items[i].asserts - t->items[i].trivial;
        }
    return n;
}

/* Assertions outside of named tests: in helpers, fixtures, classes that others inherit. */
static size_t outside(const struct file_view *v, const struct text_lines *l, const struct test_cases *t)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        bool in = false;
        for (size_t k = 0; k < t->n && !in; k++)
            in = i >= t->items[k].first && i < t->items[k].end;
        struct span s = span_trim(l->items[i].text);
        n += !in && s.n && !span_starts(s, "import") && !span_starts(s, "from ") && !span_starts(s, "use ") && is_check(v->lang, l, i);
    }
    return n;
}

static bool tests_were_lost(const struct rules_state *st)
{
    size_t before, after;
    count_assertions(st, &before, &after);
    return after < before;
}

void check_test_emptied(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; k < v->old_tests.n; k++) {
            const struct test_case *o = &v->old_tests.items[k], *n = tests_by_name(&v->new_tests, o->name);
            if (!n)
                continue;
            size_t had, has; /* of all of this name: one for each platform, under an #ifdef */
            (void)sum_of(&v->old_tests, o->name, &had);
            (void)sum_of(&v->new_tests, o->name, &has);
            if (tests_by_name(&v->old_tests, o->name) != o)
                continue;
            if (had && !has && calls_a_checker(v, n->first, n->end))
                continue; /* a helper of its own makes them */
            if (had && !has) {
                enum finding_severity severity = st->severity;
                if (v->lang && outside(v, &v->new, &v->new_tests) > outside(v, &v->old, &v->old_tests))
                    st->severity = FINDING_NOTE; /* a helper checks now */
                rule_fire(st, v, NULL, n->first + 1, "test '%.*s' no longer checks anything", (int)n->name.n, n->name.p);
                st->severity = severity;
            }
            else if (!had && o->code && !n->code && !n->asserts)
                rule_fire(st, v, NULL, n->first + 1, "test '%.*s' was emptied", (int)n->name.n, n->name.p);
        }
        /* a new test that checks nothing, in a change that took checks away or brought the only tests */
        for (size_t k = 0; k < v->new_tests.n; k++) {
            const struct test_case *n = &v->new_tests.items[k];
            if (!tests_by_name(&v->old_tests, n->name) && n->asserts && n->asserts == n->trivial) {
                enum finding_severity severity = st->severity;
                if (v->file->kind == RULE_FILE_ADDED && !tests_were_lost(st))
                    st->severity = FINDING_NOTE; /* a stand-in for tests to come, in place of nothing */
                rule_fire(st, v, NULL, n->first + 1, "test '%.*s' only checks what is always true", (int)n->name.n, n->name.p);
                st->severity = severity;
            }
        }
        if (v->file->kind == RULE_FILE_MODIFIED && v->class == PATH_TEST && v->old_tests.n && v->new.n <= 1 && v->file->new_text.n < 4)
            rule_fire(st, v, NULL, 0, "a test file was emptied");
    }
}

/* What an edit did to a test: checks that went, checks and other code that came. */
struct edit {
    size_t checks_gone, checks_came, code_came;
    bool loop_came;    /* one check for many */
    bool subject_gone; /* all that was checked by what went is gone from the source too */
};

static struct edit edit_of(const struct rules_state *st, const struct file_view *v, size_t from, size_t end, size_t nfrom, size_t nend)
{
    struct edit d = { .subject_gone = true };
    for (size_t x = from; x < end; x++) {
        struct span s = span_trim(v->old.items[x].text);
        if (!v->old.items[x].changed || !checks_something(v->lang, &v->old, x) || stands_in(&v->new, nfrom, nend, s))
            continue; /* what stood there twice and still does checks as much */
        d.checks_gone++;
        d.subject_gone &= names_the_gone(st, s);
    }
    for (size_t y = nfrom; y < nend; y++) {
        struct span s = span_trim(v->new.items[y].text);
        if (!v->new.items[y].changed || s.n < 4 || is_comment(v->lang, s))
            continue;
        if (checks_something(v->lang, &v->new, y))
            d.checks_came++;
        else
            d.code_came += !is_check(v->lang, &v->new, y);
        static const char loop[] = "^for\\b|^while\\b|\\bforEach\\b|\\.each\\b|parametrize|subTest|\\bfor \\w+ in\\b|^@ValueSource|ParameterizedTest";
        d.loop_came |= regex_match(lang_regex(loop), s, 0, NULL);
    }
    return d;
}

/*
 * Checks that went with nothing in their place are asked about; where the lines around them were rewritten (a helper,
 * a loop, one comparison of the whole) or their subject went too, it is said and no more.
 */
static void fewer(struct rules_state *st, const struct file_view *v, const struct edit *d, size_t line, const char *what, size_t has, size_t had)
{
    enum finding_severity severity = st->severity;
    if (!d->checks_gone)
        return;
    if (d->subject_gone || d->loop_came || d->checks_came * 3 + d->code_came >= d->checks_gone || (d->checks_came && (had - has) * 10 <= had))
        st->severity = FINDING_NOTE;
    rule_fire(st, v, NULL, line, "%s %zu check%s where there were %zu", what, has, has == 1 ? "" : "s", had);
    st->severity = severity;
}

void check_asserts_fall(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; k < v->old_tests.n; k++) {
            const struct test_case *o = &v->old_tests.items[k], *n = tests_by_name(&v->new_tests, o->name);
            if (!n || n->asserts - n->trivial == 0)
                continue;
            size_t had, has, ho, hn;
            bool first = tests_by_name(&v->old_tests, o->name) == o;
            ho = sum_of(&v->old_tests, o->name, &had);
            hn = sum_of(&v->new_tests, o->name, &has);
            if (!first || ho != hn)
                continue; /* several of one name, of which some went: test-deleted's affair */
            /* A loop or a table in place of repeated lines adds code; then fewer assertions may check as much. */
            if (has < had && n->code <= o->code + 2) {
                struct edit d = edit_of(st, v, o->first, o->end, n->first, n->end);
                AUTO(buf) struct buf what = BUF_INIT(2000);
                buf_addf(&what, "test '%.*s' has", (int)n->name.n, n->name.p);
                fewer(st, v, &d, n->first + 1, buf_str(&what), has, had);
            }
        }
        /* helpers: assertions of a test file that stand outside its tests */
        if (v->class == PATH_TEST && v->old_tests.n && v->new_tests.n && v->file->kind == RULE_FILE_MODIFIED) {
            size_t o = outside(v, &v->old, &v->old_tests), n = outside(v, &v->new, &v->new_tests);
            enum finding_severity severity = st->severity;
            st->severity = n ? FINDING_NOTE : severity;
            if (n < o)
                rule_fire(st, v, NULL, 0, "helpers of these tests make %zu checks where they made %zu", n, o);
            st->severity = severity;
        }
        /* scripts and suites without named tests: the file's assertions altogether */
        if (v->class != PATH_TEST || !v->lang || v->old_tests.n || v->new_tests.n || v->file->kind != RULE_FILE_MODIFIED)
            continue;
        size_t had = 0, has = 0;
        for (size_t k = 0; k < v->old.n; k++)
            had += checks_something(v->lang, &v->old, k);
        for (size_t k = 0; k < v->new.n; k++)
            has += checks_something(v->lang, &v->new, k);
        if (has < had) {
            struct edit d = edit_of(st, v, 0, v->old.n, 0, v->new.n);
            fewer(st, v, &d, 0, "the file has", has, had);
        }
    }
}

static int strength(const struct lang *l, struct span s)
{
    if (regex_match(lang_regex(l->trivial), s, 0, NULL) || is_tautology(s))
        return 0;
    if (regex_match(lang_regex(l->strong), s, 0, NULL))
        return 2;
    return 1;
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
    ptrdiff_t open = span_findc(want, '(');
    static const char builtin[] = "^(?:str|repr|list|dict|set|tuple|sorted|len|sum|int|float|bytes|format|String|Number|vec)\\b";
    if (open < 2 || !word_char(want.p[0]) || !word_char(want.p[open - 1]) || !span_ends(want, ")") || regex_match(lang_regex(builtin), want, 0, NULL))
        return;
    for (size_t y = n->first + 1; y < n->end; y++)
        if (y != at && span_find(v->new.items[y].text, want) >= 0) {
            rule_fire(st, v, NULL, at + 1, "test '%.*s' expects what the code under test returns: %.*s", (int)n->name.n, n->name.p, (int)(new.n < 160 ? new.n : 160), new.p);
            return;
        }
}

static void weakened(struct rules_state *st, const struct file_view *v, const struct test_case *n, struct span old, struct span new, size_t at)
{
    static const char null_value[] = "\\b(?:null|nil|None|NULL|nullptr|undefined)\\b";
    static const char null_check[] = "(?i)\\bis_?null|is_?none|be_?null|assert_?null|is_?nil|be_?nil|==\\s*(?:null|nil|none)|\\bis none\\b|tobeundefined|_null\\b";
    if (regex_match(lang_regex(null_value), old, 0, NULL) && regex_match(lang_regex(null_check), new, 0, NULL) && span_find(new, SPAN("ot")) < 0)
        return; /* "is null" says as much as "equals null" */
    /* A size in place of the thing, any error in place of one, a pattern that takes all. */
    static const char vague[] = "\\blen\\(|toHaveLength|\\.length\\b|\\.size\\(\\)|\\.len\\(\\)|hasSize\\(|\\btype\\(|\\btypeof\\b|\\b(?:Base)?Exception\\b|\\bThrowable\\b|\\bRuntimeException\\b|\\(_\\)|\\(\\.\\.\\)|\\bStandardError\\b";
    const struct regex *vaguely = lang_regex(vague);
    if (regex_match(vaguely, new, 0, NULL) && !regex_match(vaguely, old, 0, NULL) && new.n <= old.n) {
        rule_fire(st, v, NULL, at + 1, "test '%.*s': a vaguer check in place of: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
        return;
    }
    int was = strength(v->lang, old), is = strength(v->lang, new);
    if (is < was && (is == 0 || new.n < old.n || regex_match(lang_regex(v->lang->weak), new, 0, NULL)))
        rule_fire(st, v, NULL, at + 1, "test '%.*s': a weaker check in place of: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
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

static void changed_expectation(struct rules_state *st, const struct file_view *v, const struct test_case *n, struct span old, struct span new, size_t at)
{
    AUTO(buf) struct buf a = BUF_INIT(8192), b = BUF_INIT(8192);
    without_literals(old, &a);
    without_literals(new, &b);
    if (!a.failed && !b.failed && span_eq(buf_span(&a), buf_span(&b)) && span_findc(buf_span(&a), '#') >= 0)
        rule_fire(st, v, NULL, at + 1, "test '%.*s' expects something else than before; it was: %.*s", (int)n->name.n, n->name.p, (int)(old.n < 160 ? old.n : 160), old.p);
}

void check_expectation_changed(struct rules_state *st)
{
    each_pair(st, changed_expectation);
}

/* The line without comment signs, if it is a comment. */
static bool uncomment(const struct lang *l, struct span line, struct span *code)
{
    struct span s = span_trim(line);
    static const char *const more[] = { "/*", "--", "%", "<!--" };
    if (span_starts(s, l->comment)) {
        while (span_starts(s, l->comment))
            s = span_sub(s, strlen(l->comment), s.n);
    } else {
        size_t i = 0;
        while (i < COUNT_OF(more) && !span_starts(s, more[i]))
            i++;
        if (i == COUNT_OF(more))
            return false;
        s = span_sub(s, strlen(more[i]), s.n);
    }
    s = span_trim(s);
    if (span_ends(s, "*/"))
        s = span_trim(span_sub(s, 0, s.n - 2));
    *code = s;
    return s.n >= 4;
}

/* Does an added opening line stand directly before checks that were there, up to an added closing one? */
static bool encloses_checks(const struct file_view *v, const struct regex *assertion, size_t open)
{
    size_t inside = 0;
    if (open + 1 >= v->new.n || v->new.items[open + 1].changed)
        return false;
    for (size_t k = open + 1; k < v->new.n && k < open + 200; k++) {
        struct span s = span_trim(v->new.items[k].text);
        bool check = !is_comment(v->lang, s) && regex_match(assertion, s, 0, NULL);
        if (v->new.items[k].changed && (span_eq(s, span_trim(v->new.items[open].text)) || span_eqs(s, "*/") || span_eqs(s, "}") || span_eqs(s, "fi")))
            return inside > 0;
        if (span_starts(s, "\"\"\"") || span_starts(s, "'''"))
            return false; /* a doc string's own end */
        inside += check && !v->new.items[k].changed;
        /* "if False:" has no end: what is indented below it is in it */
        if (span_ends(span_trim(v->new.items[open].text), ":") && s.n && indent_width(v->new.items[k].text) <= indent_width(v->new.items[open].text))
            return inside > 0;
    }
    return false;
}

void check_commented_out(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!v->testing || !v->lang)
            continue;
        const struct regex *a = lang_regex(v->lang->assertion), *t = lang_regex(v->lang->test);
        for (size_t k = 0; k < v->new.n; k++) {
            struct span code;
            if (!v->new.items[k].changed || !uncomment(v->lang, v->new.items[k].text, &code))
                continue;
            if (!regex_match(a, code, 0, NULL) && !regex_match(t, code, 0, NULL))
                continue;
            for (size_t x = 0; x < v->old.n; x++)
                if (v->old.items[x].changed && span_eq(span_trim(v->old.items[x].text), code)) {
                    rule_fire(st, v, NULL, k + 1, "commented out: %.*s", (int)(code.n < 160 ? code.n : 160), code.p);
                    break;
                }
        }
        /* #if 0, and multi-line comments or strings, around what was there */
        for (size_t k = 0; k < v->new.n; k++) {
            struct span s = span_trim(v->new.items[k].text);
            if (v->new.items[k].changed && (span_eqs(s, "#if 0") || span_eqs(s, "=begin") || span_eqs(s, "#if false") || span_starts(s, "#[cfg(any())]") || span_starts(s, "#[cfg(FALSE)]") || span_starts(s, "=pod")))
                rule_fire(st, v, NULL, k + 1, "taken out of the build: %.*s", (int)s.n, s.p);
            if (v->class == PATH_TEST && v->new.items[k].changed && v->file->kind == RULE_FILE_MODIFIED && encloses_checks(v, a, k) &&
                (span_eqs(s, "/*") || span_eqs(s, "\"\"\"") || span_eqs(s, "'''") || span_eqs(s, "if False:") || span_eqs(s, "if (false) {") || span_eqs(s, "if false; then") || span_eqs(s, "if false {")))
                rule_fire(st, v, NULL, k + 1, "existing lines of the test are no longer run, from: %.*s", (int)s.n, s.p);
        }
    }
}

/* Is the line followed, in its own block, by code that was there before? */
static bool goes_on(const struct file_view *v, size_t at, size_t end)
{
    size_t y = at + 1;
    while (y < end && !span_trim(v->new.items[y].text).n)
        y++;
    if (y >= end || v->new.items[y].changed || indent_width(v->new.items[y].text) != indent_width(v->new.items[at].text))
        return false;
    struct span s = span_trim(v->new.items[y].text);
    return word_char(s.p[0]) || s.p[0] == '[' || s.p[0] == '"';
}

/* Checks of a test that now stand in a function within it which it does not call. */
static void inner_functions(struct rules_state *st, const struct file_view *v)
{
    static const char head[] = "^\\s+(?:async\\s+)?(?:def|function|fn)\\s+(\\w+)\\s*\\(|^\\s+(?:const|let)\\s+(\\w+)\\s*=\\s*(?:async\\s*)?\\(\\w*\\)\\s*=>";
    for (size_t k = 0; k < v->new_tests.n; k++) {
        const struct test_case *t = &v->new_tests.items[k];
        for (size_t x = t->first + 1; x < t->end && tests_by_name(&v->old_tests, t->name); x++) {
            struct span name;
            if (!v->new.items[x].changed || !regex_match(lang_regex(head), v->new.items[x].text, 1, &name))
                continue;
            if (!name.n)
                (void)regex_match(lang_regex(head), v->new.items[x].text, 2, &name);
            bool called = false;
            for (size_t y = t->first + 1; y < t->end && name.n; y++)
                called |= y != x && span_find(v->new.items[y].text, name) >= 0;
            if (name.n && !called && x + 1 < t->end && !v->new.items[x + 1].changed)
                rule_fire(st, v, NULL, x + 1, "test '%.*s' does not call what makes its checks now: '%.*s'", (int)t->name.n, t->name.p, (int)name.n, name.p);
        }
    }
}

void check_unreachable(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!v->testing)
            continue;
        for (size_t k = 0; k < v->new_tests.n; k++) {
            const struct test_case *t = &v->new_tests.items[k];
            if (!tests_by_name(&v->old_tests, t->name))
                continue;
            for (size_t x = t->first + 1; x < t->end; x++) {
                struct span s = span_trim(v->new.items[x].text);
                if (!v->new.items[x].changed || !rule_matches(st->rule, v, s))
                    continue;
                if (goes_on(v, x, t->end))
                    rule_fire(st, v, NULL, x + 1, "test '%.*s' ends before its checks: %.*s", (int)t->name.n, t->name.p, (int)(s.n < 80 ? s.n : 80), s.p);
            }
        }
        inner_functions(st, v);
        if (v->class == PATH_TEST && !v->new_tests.n && v->file->kind == RULE_FILE_MODIFIED)
            for (size_t x = 0; x + 1 < v->new.n; x++)
                if (v->new.items[x].changed && indent_width(v->new.items[x].text) > 0 && rule_matches(st->rule, v, span_trim(v->new.items[x].text)) && goes_on(v, x, v->new.n))
                    rule_fire(st, v, NULL, x + 1, "the test program ends before its checks");
        /* scripts without functions: an exit before what was there */
        if (v->class != PATH_TEST || v->new_tests.n || v->file->kind != RULE_FILE_MODIFIED)
            continue;
        for (size_t x = 0; x + 1 < v->new.n; x++) {
            struct span s = v->new.items[x].text;
            if (v->new.items[x].changed && indent_width(s) == 0 && rule_matches(st->rule, v, span_trim(s))) {
                bool more = false;
                for (size_t y = x + 1; y < v->new.n; y++)
                    more |= !v->new.items[y].changed && span_trim(v->new.items[y].text).n > 2;
                if (more)
                    rule_fire(st, v, NULL, x + 1, "the test program ends before its checks");
            }
        }
    }
}

void check_swallowed(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v))
            continue;
        for (size_t k = 0; k < v->new.n; k++) {
            struct span s = span_trim(v->new.items[k].text);
            if (!v->new.items[k].changed || !rule_matches(st->rule, v, s))
                continue;
            /* with nothing done in the handler: pass, continue, return, a comment, or its end */
            struct span next = k + 1 < v->new.n ? span_trim(v->new.items[k + 1].text) : SPAN("");
            static const char *const nothing[] = { "pass", "continue", "return", "return;", "}", "end", "...", "return true;", "return True", "});", "return true" };
            bool empty = span_find(s, SPAN("suppress(")) >= 0 || span_ends(s, "}") || span_ends(s, "pass") || is_comment(v->lang, next);
            for (size_t x = 0; x < COUNT_OF(nothing); x++)
                empty |= span_eqs(next, nothing[x]);
            if (empty)
                rule_fire(st, v, NULL, k + 1, "a failing check would be swallowed: %.*s", (int)(s.n < 120 ? s.n : 120), s.p);
        }
    }
}

/* Do both begin alike, as a line that was shortened does? */
static bool words_shared(struct span a, struct span b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n >= 5;
}

/* A row of a table: starts with a bracket, quote or digit and ends with a comma or bracket. */
static bool is_row(struct span s)
{
    s = span_trim(s);
    if (s.n < 3)
        return false;
    bool opens = strchr("([{\"'-0123456789", s.p[0]) != NULL || span_starts(s, "pytest.param(");
    return opens && strchr(",])}", s.p[s.n - 1]) != NULL && (span_findc(s, ',') >= 0);
}

/* One of at least three rows that stand together, alike in indentation and first character. */
static bool in_table(const struct text_lines *l, size_t at)
{
    struct span s = span_trim(l->items[at].text);
    size_t run = 1, w = indent_width(l->items[at].text);
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

void check_test_data_removed(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!v->testing || v->file->kind != RULE_FILE_MODIFIED || v->class != PATH_TEST || v->new_tests.n < v->old_tests.n)
            continue;
        size_t gone = 0, came = 0, first = 0;
        for (size_t k = 0; k < v->old.n; k++)
            if (v->old.items[k].changed && in_table(&v->old, k)) {
                first = gone ? first : k + 1;
                gone++;
            }
        for (size_t k = 0; k < v->new.n; k++)
            came += v->new.items[k].changed && is_row(v->new.items[k].text);
        if (v->new_tests.n > v->old_tests.n)
            continue; /* cases that became tests of their own */
        if (gone > came) {
            enum finding_severity severity = st->severity;
            if (!cases_at(v, first - 1))
                st->severity = FINDING_NOTE; /* a table outside of tests that no name calls one of cases */
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
