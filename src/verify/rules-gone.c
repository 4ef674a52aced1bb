/* What became of a test that is gone: deleted, moved, written anew, or taken out with what it tested. */
#include <strings.h>

#include "base/path.h"
#include "verify/rules-internal.h"

#define SHRINKS_LINES 10u  /* of source code fewer than before: a part of it was taken out; half of it where next to none came */
#define COVERED 90u        /* percent of a test's lines that stand elsewhere: it moved */
#define COVERED_MOSTLY 60u /* moved, and somewhat rewritten */
#define COVER_LINES 50000u /* of a change in which the lines of deleted tests are looked for */

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
void count_assertions(const struct rules_state *st, size_t *before, size_t *after)
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

/* Does the line define the word: "def word(", "public T word(", "#define WORD"? */
static bool defines(struct span line, struct span word)
{
    ptrdiff_t at = has_word(line, word) ? span_find(line, word) : -1;
    if (at < 0)
        return false;
    static const char head[] = "(?:^|\\s)(?:def|fn|func|function|sub|void|int|bool|boolean|char|static|public|private|protected|class|struct|enum|interface|type|trait|const|#\\s*define)\\b[^=;.\"']*$";
    return regex_match(lang_regex(head), span_sub(line, 0, (size_t)at), 0, NULL);
}

typedef bool (*line_has_fn)(struct span line, struct span word);

/* Did source code of this change lose a line that has the word so, where none of what it is now has? `changed_only`: of its new lines only those of the change count. */
static bool left_the_source(const struct rules_state *st, struct span word, line_has_fn has, bool changed_only)
{
    bool lost = false;
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (v->class != PATH_SOURCE)
            continue;
        for (size_t k = 0; k < v->new.n; k++)
            if ((v->new.items[k].changed || !changed_only) && has(v->new.items[k].text, word))
                return false;
        for (size_t k = 0; k < v->old.n && !lost; k++)
            lost = v->old.items[k].changed && has(v->old.items[k].text, word);
    }
    return lost;
}

/* Used nowhere in what the source is now, or defined on no line that came. */
static bool is_gone(const struct rules_state *st, struct span word)
{
    return left_the_source(st, word, has_word, false) || left_the_source(st, word, defines, true);
}

/* Is the word used as a name of the code under test: called, a member, a text, an option, a constant? Not as a local variable. */
static bool is_used(struct span line, struct span word)
{
    size_t at = (size_t)(word.p - line.p), end = at + word.n;
    if ((at > 0 && strchr(".:\"'`-@$#", line.p[at - 1])) || (end < line.n && strchr("(!\"'`=<{.:", line.p[end])))
        return true;
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] == '_' || (word.p[i] >= 'A' && word.p[i] <= 'Z'))
            return true;
    return false;
}

/* Names something that source code of this change lost. */
bool names_the_gone(const struct rules_state *st, struct span line)
{
    struct span words[64];
    size_t n = words_of(line, words, COUNT_OF(words));
    for (size_t k = 0; k < n; k++)
        if (words[k].n >= 4 && !(words[k].p[0] >= '0' && words[k].p[0] <= '9') && is_used(line, words[k]) && is_gone(st, words[k]))
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

bool stands_in(const struct text_lines *l, size_t from, size_t end, struct span text)
{
    for (size_t i = from; i < end; i++)
        if (span_eq(span_trim(l->items[i].text), text))
            return true;
    return false;
}

/* Is the test new to the change, and does it check something? */
bool is_new_test(const struct rules_state *st, const struct test_case *t)
{
    for (size_t i = 0; i < st->nviews; i++)
        if (tests_by_name(&st->views[i].old_tests, t->name))
            return false;
    return t->asserts > t->trivial;
}

/* How many in a hundred of the old test's lines (and of its checks) stand in tests of the change as it is now. */
static unsigned covered_elsewhere(const struct rules_state *st, const struct file_view *v, const struct test_case *t, bool only_new)
{
    size_t all = 0, kept = 0, lines = 0, checks = 0, checks_kept = 0;
    for (size_t i = 0; i < st->nviews; i++)
        lines += st->views[i].new.n;
    if (lines > COVER_LINES || !(t->asserts || t->code))
        return 0;
    for (size_t x = t->first + 1; x < t->end; x++) {
        struct span s = span_trim(v->old.items[x].text);
        if (s.n < 4 || is_comment(v->lang, s))
            continue;
        bool found = false;
        for (size_t i = 0; i < st->nviews && !found; i++) {
            const struct file_view *o = &st->views[i];
            for (size_t k = 0; k < o->new_tests.n && !found; k++) {
                const struct test_case *n = &o->new_tests.items[k];
                found = stands_in(&o->new, n->first, n->end, s) && (!only_new || is_new_test(st, n));
            }
        }
        bool check = is_check(v->lang, &v->old, x);
        checks += check;
        checks_kept += check && found;
        all++;
        kept += found;
    }
    if (!all)
        return 0;
    size_t share = kept * 100 / all, share_checks = checks ? checks_kept * 100 / checks : share;
    return (unsigned)(share < share_checks || (share_checks == 100 && share >= COVERED) ? share : share_checks);
}

/* Is the word on a line of the file that stays as it was, or only on those of the test itself? */
static bool is_common_word(const struct file_view *v, const struct test_case *t, struct span word)
{
    for (size_t k = 0; k < v->old.n; k++)
        if (!v->old.items[k].changed && (k < t->first || k >= t->end) && has_word(v->old.items[k].text, word))
            return true;
    return false;
}

/* Did the test get cases, one after the other, on changed lines [from, its end)? */
static bool became_table(const struct file_view *v, const struct test_case *t, size_t from)
{
    static const char loop[] = LOOP;
    for (size_t y = from; y < t->end; y++)
        if (v->new.items[y].changed && regex_match(lang_regex(loop), span_trim(v->new.items[y].text), 0, NULL))
            return true;
    return false;
}

/* Is the word on a changed line of a test that the change brings, or gives cases to? */
static bool in_new_tests(const struct rules_state *st, struct span word)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        for (size_t k = 0; k < v->new_tests.n; k++) {
            const struct test_case *t = &v->new_tests.items[k];
            size_t from = t->first > 12 ? t->first - 12 : 0; /* rows of its decorator stand above it */
            for (size_t x = from; x < t->end; x++)
                if (v->new.items[x].changed && has_word(v->new.items[x].text, word) && (is_new_test(st, t) || became_table(v, t, from)))
                    return true;
        }
    }
    return false;
}

/* The words of a name or title: "testAddsOne", "adds_one" and "adds one" have the same ones. */
static size_t name_words(struct span s, struct span *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < max;) {
        if (!word_char(s.p[i]) || s.p[i] == '_') {
            i++;
            continue;
        }
        size_t k = i + 1;
        while (k < s.n && word_char(s.p[k]) && s.p[k] != '_' && !(s.p[k] >= 'A' && s.p[k] <= 'Z' && !(s.p[k - 1] >= 'A' && s.p[k - 1] <= 'Z')))
            k++;
        out[n++] = span_sub(s, i, k - i);
        i = k;
    }
    return n;
}

#define NAME_ALIKE 60u /* percent of the words of the longer name */

static bool names_alike(struct span a, struct span b)
{
    struct span x[32], y[32];
    size_t nx = name_words(a, x, COUNT_OF(x)), ny = name_words(b, y, COUNT_OF(y)), common = 0, most = nx > ny ? nx : ny;
    for (size_t i = 0; i < nx; i++)
        for (size_t k = 0; k < ny; k++)
            if (y[k].n && x[i].n == y[k].n && !strncasecmp(x[i].p, y[k].p, x[i].n)) {
                y[k].n = 0;
                common++;
                break;
            }
    return common >= 3 && common * 100 >= most * NAME_ALIKE;
}

/* Is a new test named after this one: TestSubset is in TestSubsetNotSubset? */
bool name_lives_on(const struct rules_state *st, struct span name)
{
    for (size_t i = 0; i < st->nviews; i++)
        for (size_t k = 0; k < st->views[i].new_tests.n; k++) {
            const struct test_case *t = &st->views[i].new_tests.items[k];
            if (names_alike(name, t->name) && is_new_test(st, t))
                return true;
        }
    static const char *const prefixes[] = { "test_", "Test", "test" };
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (span_starts(name, prefixes[i]))
            name = span_sub(name, strlen(prefixes[i]), name.n);
    for (size_t i = 0; name.n >= 4 && i < st->nviews; i++)
        for (size_t k = 0; k < st->views[i].new_tests.n; k++) {
            const struct test_case *t = &st->views[i].new_tests.items[k];
            if (span_find(t->name, name) >= 0 && is_new_test(st, t))
                return true;
        }
    return false;
}

#define WORDS_MOST 200u /* of a test; the first ones tell it */

/*
 * Were lines [from, end) of an old test written anew in tests that the change brings? Told by the words that no line has
 * which stays: names of what is tested, inputs and expected values. `named`: a new test is named after it, so that fewer do.
 */
bool words_live_on(const struct rules_state *st, const struct file_view *v, const struct test_case *t, bool only_checks, bool named)
{
    struct span seen[WORDS_MOST];
    size_t n = 0, found = 0;
    for (size_t x = t->first + 1; x < t->end && n < WORDS_MOST; x++) {
        struct span words[64];
        if (is_comment(v->lang, v->old.items[x].text) || (only_checks && !(v->old.items[x].changed && is_check(v->lang, &v->old, x))))
            continue;
        size_t nw = words_of(v->old.items[x].text, words, COUNT_OF(words));
        for (size_t i = 0; i < nw && n < WORDS_MOST; i++) {
            bool known = words[i].n < 3 && !(words[i].p[0] >= '0' && words[i].p[0] <= '9');
            for (size_t k = 0; k < n && !known; k++)
                known = span_eq(seen[k], words[i]);
            if (known || is_common_word(v, t, words[i]))
                continue;
            seen[n++] = words[i];
            found += in_new_tests(st, words[i]) || left_the_source(st, words[i], has_word, false);
        }
    }
    return n ? found * 10 >= n * (named ? 3 : 6) : named && !only_checks;
}

/* Does a test that the change brings compare with a value? */
static bool compares_still(const struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++)
        for (size_t k = 0; k < st->views[i].new_tests.n; k++) {
            const struct test_case *t = &st->views[i].new_tests.items[k];
            if ((is_new_test(st, t) || became_table(&st->views[i], t, t->first > 12 ? t->first - 12 : 0)) && strong_checks(&st->views[i], &st->views[i].new, t))
                return true;
        }
    return false;
}

static bool is_replaced(const struct rules_state *st, const struct file_view *v, const struct test_case *t)
{
    if (strong_checks(v, &v->old, t) && !compares_still(st))
        return false;
    return (v->old.n <= COVER_LINES / 2 && words_live_on(st, v, t, false, name_lives_on(st, t->name))) ||
           covered_elsewhere(st, v, t, true) >= COVERED_MOSTLY;
}

/* Versions and platforms that a project may no longer support. */
#define OLD_CONDITION "(?i)\\bif\\b.*(?:version|java_\\d|\\bpy[23]|six\\.|platform|_win32|\\bis_java|jruby|msvc)|(?:skip|only|require|enabled|disabled|since|until).*(?:version|\\bpy_?\\d|platform|\\bjre|java_\\d)"

/* Does the old line stand under a condition on a version or platform that the change took away? */
bool condition_gone(const struct file_view *v, size_t at)
{
    static const char condition[] = OLD_CONDITION;
    size_t own = indent_width(v->old.items[at].text);
    for (size_t k = at; k-- > 0;) {
        struct span s = v->old.items[k].text;
        if (!span_trim(s).n || indent_width(s) >= own)
            continue;
        return v->old.items[k].changed && regex_match(lang_regex(condition), s, 0, NULL);
    }
    return false;
}

/* A test that ran only there. */
static bool was_conditional(const struct file_view *v, const struct test_case *t)
{
    static const char condition[] = OLD_CONDITION;
    for (size_t k = t->first; k-- > 0 && span_trim(v->old.items[k].text).n && t->first - k <= 6;)
        if (v->old.items[k].changed && regex_match(lang_regex(condition), v->old.items[k].text, 0, NULL))
            return true;
    return false;
}

/* A file that left the places where test runners look. */
static bool left_the_tests(const struct rule_file *f)
{
    if (f->kind != RULE_FILE_RENAMED || !f->old_path)
        return false;
    return (path_classify(f->old_path) == PATH_TEST && path_classify(f->path) != PATH_TEST) ||
           (path_classify(path_base(f->old_path)) == PATH_TEST && path_classify(path_base(f->path)) != PATH_TEST);
}

#define MOVED_TOGETHER 3u /* test files that a change moves while it edits what runs them */

/* Did the whole layout change, with what runs the tests? */
static bool is_reorganised(const struct rules_state *st)
{
    size_t moved = 0;
    bool runner = false;
    for (size_t i = 0; i < st->nviews; i++) {
        const struct rule_file *f = st->views[i].file;
        moved += left_the_tests(f) && !strcmp(path_base(f->path), path_base(f->old_path));
        runner |= f->kind == RULE_FILE_MODIFIED && (st->views[i].class == PATH_CONFIG || st->views[i].class == PATH_CI || st->views[i].class == PATH_DATA || !st->views[i].lang);
    }
    return moved >= MOVED_TOGETHER && runner;
}

/* Were the checks of a deleted test program written anew as tests that the change brings? */
static bool program_replaced(const struct rules_state *st, const struct file_view *v)
{
    const struct test_case whole = { .name = SPAN(""), .end = v->old.n };
    size_t had = 0, came = 0;
    for (size_t k = 0; k < v->old.n; k++)
        had += is_check(v->lang, &v->old, k);
    for (size_t i = 0; i < st->nviews; i++)
        for (size_t k = 0; k < st->views[i].new_tests.n; k++)
            if (is_new_test(st, &st->views[i].new_tests.items[k]))
                came += st->views[i].new_tests.items[k].asserts;
    return v->old.n <= COVER_LINES / 10 && came >= had && words_live_on(st, v, &whole, false, true);
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
    return gone >= came + SHRINKS_LINES || (gone >= came * 3 && gone >= came + SHRINKS_LINES / 2);
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

/* Was code deleted from the directory of this deleted file too: an example, a package? */
static bool went_with_directory(const struct rules_state *st, const struct file_view *v)
{
    const char *slash = strrchr(v->file->path, '/');
    size_t n = slash ? (size_t)(slash - v->file->path) + 1 : 0;
    for (size_t i = 0; i < st->nviews && n && v->file->kind == RULE_FILE_DELETED; i++) {
        const struct file_view *o = &st->views[i];
        static const char manifest[] = "^(?:package\\.json|Cargo\\.toml|go\\.mod|pyproject\\.toml|pom\\.xml)$";
        bool code = (o->class == PATH_SOURCE && o->lang) || regex_match(lang_regex(manifest), span_of(path_base(o->file->path)), 0, NULL);
        if (o != v && o->file->kind == RULE_FILE_DELETED && code && !strncmp(o->file->path, v->file->path, n))
            return true;
    }
    return false;
}

/* Tests that are what other tests work on. */
static bool is_fixture(const char *path)
{
    return strstr(path, "fixtures/") || strstr(path, "testdata/");
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
            st->severity = shrinks || came_back(st, v) || program_replaced(st, v) ? FINDING_NOTE : severity;
            rule_fire(st, v, NULL, 0, "a test file was deleted");
            st->severity = severity;
            continue;
        }
        if (left_the_tests(f)) {
            st->severity = is_reorganised(st) || (v->lang && !v->new_tests.n && !makes_checks(v, &v->new)) ? FINDING_NOTE : severity;
            rule_fire(st, v, NULL, 0, "a test file was renamed from %s so that test runners no longer find it", f->old_path);
            st->severity = severity;
        }
        for (size_t k = 0; k < v->old_tests.n; k++) {
            const struct test_case *t = &v->old_tests.items[k];
            if (tests_by_name(&v->new_tests, t->name) || came_elsewhere(st, t->name))
                continue;
            if (body_survives(v, t) && v->new_tests.n >= v->old_tests.n)
                continue; /* renamed */
            if (covered_elsewhere(st, v, t, false) >= COVERED)
                continue; /* moved under another name, or it was there twice */
            bool replaced = is_replaced(st, v, t);
            /* Tests written anew, that check as much, in place of others are a rewrite, not a deletion. */
            if (replaced && after >= before && (asserts_after >= asserts_before || (after > before && asserts_after * 10 >= asserts_before * 9)) && (f->kind != RULE_FILE_DELETED || after > before))
                continue;
            st->severity = is_fixture(f->path) || went_with_directory(st, v) || replaced || shrinks || subject_removed(st, v, t) || was_conditional(v, t) ? FINDING_NOTE : severity;
            rule_fire(st, v, NULL, t->first < v->new.n ? t->first + 1 : 0, "test '%.*s' was deleted", (int)t->name.n, t->name.p);
            st->severity = severity;
        }
    }
}
