/* Checks on tests that stay: emptied, with fewer assertions, commented out, made unreachable, swallowed. */
#include "verify/rules-internal.h"

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

#define HELPER_LINES 15u /* of a helper's body that are looked at */

/* Did the test get a call of what, by its name, checks, and stands in another file? */
static bool calls_elsewhere(const struct rules_state *st, const struct file_view *v, const struct test_case *n)
{
    static const char callee[] = "(\\w+)!?\\s*\\(";
    for (size_t y = n->first + 1; y < n->end; y++) {
        struct span s = v->new.items[y].text, name;
        if (!v->new.items[y].changed || v->new.items[y].comment || is_comment(v->lang, s) || is_check(v->lang, &v->new, y) || !may_check(s) || !regex_match(lang_regex(callee), s, 1, &name))
            continue;
        static const char head[] = "^\\s*(?:(?:static|async|export|pub|public|private|local|const|let|var)\\s+)*(?:def|function|func|fn|sub|void|bool|int|const|let|var)\\b";
        bool defined = false, fails = false; /* by a file of the change: then it has to be seen to fail */
        for (size_t i = 0; i < st->nviews; i++) {
            const struct text_lines *l = &st->views[i].new;
            for (size_t k = 0; k < l->n; k++) {
                if (!has_word(l->items[k].text, name) || !regex_match(lang_regex(head), l->items[k].text, 0, NULL))
                    continue;
                defined = true;
                for (size_t x = k; x < l->n && x <= k + HELPER_LINES; x++)
                    fails |= is_failing(l->items[x].text) || (x > k && st->views[i].lang && is_check(st->views[i].lang, l, x));
            }
        }
        if (!defined || fails)
            return true;
    }
    return false;
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
                if (v->lang && (outside(v, &v->new, &v->new_tests) > outside(v, &v->old, &v->old_tests) || calls_elsewhere(st, v, n)))
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
                if ((v->file->kind == RULE_FILE_ADDED || n->code >= 2) && !tests_were_lost(st))
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
    bool condition_gone; /* or it was checked only on a version or platform that is no longer named */
};

static struct edit edit_of(const struct rules_state *st, const struct file_view *v, size_t from, size_t end, size_t nfrom, size_t nend)
{
    struct edit d = { .subject_gone = true, .condition_gone = true };
    for (size_t x = from; x < end; x++) {
        struct span s = span_trim(v->old.items[x].text);
        if (!v->old.items[x].changed || !checks_something(v->lang, &v->old, x) || stands_in(&v->new, nfrom, nend, s))
            continue; /* what stood there twice and still does checks as much */
        d.checks_gone++;
        d.subject_gone &= names_the_gone(st, s);
        d.condition_gone &= condition_gone(v, x);
    }
    for (size_t y = nfrom; y < nend; y++) {
        struct span s = span_trim(v->new.items[y].text);
        if (!v->new.items[y].changed || s.n < 4 || is_comment(v->lang, s))
            continue;
        if (checks_something(v->lang, &v->new, y) || (!is_check(v->lang, &v->new, y) && may_check(s)))
            d.checks_came++;
        else
            d.code_came += !is_check(v->lang, &v->new, y);
        static const char loop[] = LOOP;
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
    if (d->subject_gone || d->condition_gone || d->loop_came || d->checks_came * 3 + d->code_came >= d->checks_gone || (d->checks_came && (had - has) * 10 <= had))
        st->severity = FINDING_NOTE;
    rule_fire(st, v, NULL, line, "%s %zu check%s where there were %zu", what, has, has == 1 ? "" : "s", had);
    st->severity = severity;
}

/* Does a line of the old test that had no like, and still stands, belong to a test that the change brings? */
static bool was_split(const struct rules_state *st, const struct file_view *v, const struct test_case *o)
{
    for (size_t k = 0; k < v->new_tests.n; k++) {
        const struct test_case *n = &v->new_tests.items[k];
        for (size_t y = n->first + 1; y < n->end && is_new_test(st, n); y++) {
            struct span s = span_trim(v->new.items[y].text);
            if (!v->new.items[y].changed && s.n >= 12 && stands_in(&v->old, o->first, o->end, s) && !stands_in(&v->old, 0, o->first, s) &&
                !stands_in(&v->old, o->end, v->old.n, s))
                return true;
        }
    }
    return false;
}

static size_t inside(const struct test_cases *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += t->items[i].asserts - t->items[i].trivial;
    return n;
}

/* Is a function that lost a check, outside of the tests, still spoken of? */
static bool helper_stays(const struct file_view *v)
{
    static const char head[] = "^\\s*(?:(?:static|async|export|pub|public|private|protected|local|final|inline)\\s+)*(?:def|function|func|fn|sub|void|bool|int|boolean|const|let|var)\\s+(\\w+)|^(\\w+)\\s*\\(\\)";
    for (size_t k = 0; k < v->old.n; k++) {
        struct span name = SPAN("");
        bool in_test = false;
        for (size_t i = 0; i < v->old_tests.n && !in_test; i++)
            in_test = k >= v->old_tests.items[i].first && k < v->old_tests.items[i].end;
        if (in_test || !v->old.items[k].changed || !is_check(v->lang, &v->old, k))
            continue;
        size_t own = indent_width(v->old.items[k].text), at = k;
        while (at > 0 && !(span_trim(v->old.items[at].text).n && indent_width(v->old.items[at].text) < own && regex_match(lang_regex(head), v->old.items[at].text, 1, &name)))
            at--;
        if (!name.n && at < k)
            (void)regex_match(lang_regex(head), v->old.items[at].text, 2, &name);
        if (!name.n)
            return true; /* it stood in no function */
        for (size_t y = 0; y < v->new.n; y++)
            if (has_word(v->new.items[y].text, name))
                return true;
    }
    return false;
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
                if (outside(v, &v->new, &v->new_tests) >= outside(v, &v->old, &v->old_tests) + d.checks_gone || was_split(st, v, o) || words_live_on(st, v, o, true, name_lives_on(st, o->name)))
                    d.loop_came = true; /* what went stands in tests of its own now */
                AUTO(buf) struct buf what = BUF_INIT(2000);
                buf_addf(&what, "test '%.*s' has", (int)n->name.n, n->name.p);
                fewer(st, v, &d, n->first + 1, buf_str(&what), has, had);
            }
        }
        /* helpers: assertions of a test file that stand outside its tests */
        if (v->class == PATH_TEST && v->old_tests.n && v->new_tests.n && v->file->kind == RULE_FILE_MODIFIED) {
            size_t o = outside(v, &v->old, &v->old_tests), n = outside(v, &v->new, &v->new_tests);
            enum finding_severity severity = st->severity;
            st->severity = n || inside(&v->new_tests) + n >= inside(&v->old_tests) + o || !helper_stays(v) ? FINDING_NOTE : severity;
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

static bool in_old_test(const struct file_view *v, size_t at)
{
    for (size_t k = 0; k < v->old_tests.n; k++)
        if (at >= v->old_tests.items[k].first && at < v->old_tests.items[k].end)
            return true;
    return false;
}

/* Lines of this text that a block comment or a string encloses, or does not. */
static size_t lines_like(const struct text_lines *l, struct span text, bool comment)
{
    size_t n = 0;
    for (size_t k = 0; k < l->n; k++)
        n += l->items[k].comment == comment && span_eq(span_trim(l->items[k].text), text);
    return n;
}

/* Does an added opening line stand directly before checks that were there, up to an added closing one? */
static bool encloses_checks(const struct file_view *v, const struct regex *assertion, size_t open)
{
    size_t inside = 0;
    if (open + 1 >= v->new.n || v->new.items[open + 1].changed)
        return false;
    for (size_t k = open + 1; k < v->new.n && k < open + 200; k++) {
        struct span s = span_trim(v->new.items[k].text);
        bool quoted = span_eqs(span_trim(v->new.items[open].text), "/*") || strchr("\"'", span_trim(v->new.items[open].text).p[0]);
        bool check = !is_comment(v->lang, s) && regex_match(assertion, s, 0, NULL) && (!quoted || lines_like(&v->new, s, false) < lines_like(&v->old, s, false));
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

/* Among code: does a test or a module of tests begin on one of the next lines? */
static bool tests_follow(const struct file_view *v, size_t at)
{
    for (size_t k = at; k < v->new.n && k <= at + 4; k++)
        if (has_word(v->new.items[k].text, SPAN("test")) || has_word(v->new.items[k].text, SPAN("tests")))
            return true;
    for (size_t k = 0; k < v->new_tests.n; k++)
        if (at >= v->new_tests.items[k].first && at < v->new_tests.items[k].end)
            return true;
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
                if (v->old.items[x].changed && (v->class == PATH_TEST || in_old_test(v, x)) && span_eq(span_trim(v->old.items[x].text), code)) {
                    rule_fire(st, v, NULL, k + 1, "commented out: %.*s", (int)(code.n < 160 ? code.n : 160), code.p);
                    break;
                }
        }
        /* #if 0, and multi-line comments or strings, around what was there */
        for (size_t k = 0; k < v->new.n; k++) {
            struct span s = span_trim(v->new.items[k].text);
            if (v->new.items[k].changed && (v->class == PATH_TEST || tests_follow(v, k)) && (span_eqs(s, "#if 0") || span_eqs(s, "=begin") || span_eqs(s, "#if false") || span_starts(s, "#[cfg(any())]") || span_starts(s, "#[cfg(FALSE)]") || span_starts(s, "=pod")))
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
            bool called = x > 0 && span_starts(span_trim(v->new.items[x - 1].text), "@"); /* by what decorates it */
            for (size_t y = 0; y < v->old.n && name.n && !called; y++)
                called = has_word(v->old.items[y].text, name) && regex_match(lang_regex(head), v->old.items[y].text, 0, NULL); /* it was there */
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
            if (!v->new.items[k].changed || v->new.items[k].comment || is_comment(v->lang, s) || !rule_matches(st->rule, v, s))
                continue;
            /* with nothing done in the handler: pass, continue, return, a comment, or its end */
            struct span next = k + 1 < v->new.n ? span_trim(v->new.items[k + 1].text) : SPAN("");
            static const char *const nothing[] = { "pass", "continue", "return", "return;", "}", "end", "...", "return true;", "return True", "});", "return true" };
            for (size_t y = k + 2; y < v->new.n && y < k + 6 && is_comment(v->lang, next); y++)
                next = span_trim(v->new.items[y].text); /* what stands behind the words of excuse */
            bool empty = span_find(s, SPAN("suppress(")) >= 0 || span_ends(s, "}") || span_ends(s, "pass") || is_comment(v->lang, next);
            for (size_t x = 0; x < COUNT_OF(nothing); x++)
                empty |= span_eqs(next, nothing[x]);
            if (span_find(s, SPAN("finally")) >= 0) /* what is returned there takes the place of what was thrown */
                empty = span_starts(next, "return") || span_starts(next, "break") || span_starts(next, "continue");
            enum finding_severity severity = st->severity;
            if (in_new_test(v, k))
                st->severity = FINDING_NOTE; /* it checked nothing before either */
            if (empty)
                rule_fire(st, v, NULL, k + 1, "a failing check would be swallowed: %.*s", (int)(s.n < 120 ? s.n : 120), s.p);
            st->severity = severity;
        }
    }
}
