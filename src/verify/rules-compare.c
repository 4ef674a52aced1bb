/* Checks written by hand: comparisons that accept more than before, and functions of a test program that nobody calls any more. */
#include <stdlib.h>

#include "base/hash.h"
#include "verify/rules-internal.h"

enum comparison { CMP_EQUAL = 1, CMP_UNEQUAL, CMP_LESS, CMP_LESS_EQUAL, CMP_MORE, CMP_MORE_EQUAL, CMP_AND, CMP_OR };

/* The longest first. Words stand between blanks. */
static const struct {
    const char *text;
    enum comparison is;
} operators[] = {
    { "===", CMP_EQUAL },       { "!==", CMP_UNEQUAL }, { "==", CMP_EQUAL },      { "!=", CMP_UNEQUAL },       { "~=", CMP_UNEQUAL },
    { "<=", CMP_LESS_EQUAL },   { ">=", CMP_MORE_EQUAL }, { "&&", CMP_AND },      { "||", CMP_OR },            { " -eq ", CMP_EQUAL },
    { " -ne ", CMP_UNEQUAL },   { " -lt ", CMP_LESS },  { " -le ", CMP_LESS_EQUAL }, { " -gt ", CMP_MORE },    { " -ge ", CMP_MORE_EQUAL },
    { " is not ", CMP_UNEQUAL }, { " is ", CMP_EQUAL }, { " and ", CMP_AND },     { " or ", CMP_OR },          { " = ", CMP_EQUAL },
    { " < ", CMP_LESS },        { " > ", CMP_MORE },
};
#define COMPARISONS_MAX 8

/* The comparisons of a line, and what stands between them without its literals. -1: too many. */
static int comparisons(struct span s, enum comparison *out, struct buf *rest)
{
    int n = 0;
    AUTO(buf) struct buf text = BUF_INIT(8192);
    char quote = 0;
    for (size_t i = 0; i < s.n;) {
        size_t k = 0;
        if (quote) {
            quote = s.p[i] == quote ? 0 : quote;
        } else if (s.p[i] == '"' || s.p[i] == '\'' || s.p[i] == '`') {
            quote = s.p[i];
        } else {
            while (k < COUNT_OF(operators) && !span_starts(span_sub(s, i, s.n), operators[k].text))
                k++;
            if (k < COUNT_OF(operators)) {
                if (n == COMPARISONS_MAX)
                    return -1;
                out[n++] = operators[k].is;
                buf_adds(&text, "\x01");
                i += strlen(operators[k].text);
                continue;
            }
        }
        buf_addc(&text, s.p[i++]);
    }
    without_literals(buf_span(&text), rest);
    return n;
}

static bool is_order(enum comparison c)
{
    return c == CMP_LESS || c == CMP_LESS_EQUAL || c == CMP_MORE || c == CMP_MORE_EQUAL;
}

/*
 * 0 says as much or more; 1 accepts a little more ("<" became "<="); 2 accepts other things than before. `fails`: the
 * condition says when the test fails, so that the wider one is the stricter.
 */
static int loosened(enum comparison was, enum comparison is, bool fails)
{
    if (was == is || (fails && was == CMP_AND && is == CMP_OR) || (!fails && was == CMP_OR && is == CMP_AND))
        return 0;
    if (fails && was == CMP_EQUAL && (is == CMP_LESS_EQUAL || is == CMP_MORE_EQUAL))
        return 0; /* it fails on more */
    if (is_order(was) && is == (fails ? CMP_UNEQUAL : CMP_EQUAL))
        return 0;
    if ((was == CMP_LESS && is == CMP_LESS_EQUAL) || (was == CMP_MORE && is == CMP_MORE_EQUAL) || (was == CMP_LESS_EQUAL && is == CMP_LESS) ||
        (was == CMP_MORE_EQUAL && is == CMP_MORE))
        return 1;
    if ((was == CMP_EQUAL && is == CMP_UNEQUAL) || (was == CMP_UNEQUAL && is == CMP_EQUAL))
        return 1; /* the contrary is another expectation, not a weaker one */
    return 2;
}

/* A line as the comparisons in it and a digest of all else. */
struct compared {
    int n; /* comparisons; 0: none, not looked at */
    enum comparison is[COMPARISONS_MAX];
    struct hash_hex rest;
};

static void compared_of(struct span line, struct compared *out)
{
    AUTO(buf) struct buf rest = BUF_INIT(16384);
    int n = comparisons(line, out->is, &rest);
    out->n = n > 0 && !rest.failed ? n : 0;
    if (out->n)
        out->rest = hash_bytes(rest.p, rest.n);
}

static int compare_lines(const struct compared *a, const struct compared *b, bool fails)
{
    int most = 0;
    if (!a->n || a->n != b->n || strcmp(a->rest.s, b->rest.s) != 0)
        return 0;
    for (int i = 0; i < a->n; i++) {
        int l = loosened(a->is[i], b->is[i], fails);
        most = l > most ? l : most;
    }
    return most;
}

/* Bounds of loops and plain assignments compare nothing that a test says. */
static bool is_condition(const struct file_view *v, struct span s)
{
    return !is_comment(v->lang, s) && !span_starts(s, "for") && !span_starts(s, "while") && !span_starts(s, "let ") && !span_starts(s, "const ") &&
           !span_starts(s, "import") && !span_starts(s, "#") && !span_starts(s, "return ") &&
           span_find(s, SPAN("argc")) < 0 && span_find(s, SPAN("argv")) < 0;
}

static void compare_part(struct rules_state *st, const struct file_view *v, size_t from, size_t end, size_t nfrom, size_t nend)
{
    AUTO(ptr) struct compared *lines = calloc(nend > nfrom ? nend - nfrom : 1, sizeof *lines);
    if (!lines) {
        st->nomem = true;
        return;
    }
    for (size_t y = nfrom; y < nend; y++)
        if (v->new.items[y].changed)
            compared_of(span_trim(v->new.items[y].text), &lines[y - nfrom]);
    for (size_t x = from, next = nfrom; x < end; x++) {
        struct span old = span_trim(v->old.items[x].text);
        struct compared was = { 0 };
        if (!v->old.items[x].changed || old.n < 5 || !is_condition(v, old))
            continue;
        compared_of(old, &was);
        for (size_t y = next; was.n && y < nend; y++) {
            /* A macro that no library knows, with words of failure: it is told when the test fails, not when it passes. */
            bool told = (span_find(old, SPAN("fail")) >= 0 || span_find(old, SPAN("FAIL")) >= 0) && !regex_match(lang_regex(v->lang->assertion), old, 0, NULL);
            int l = compare_lines(&was, &lines[y - nfrom], told || span_starts(old, "if") || span_starts(old, "} else if"));
            if (!l)
                continue;
            enum finding_severity severity = st->severity;
            st->severity = l == 1 ? FINDING_NOTE : severity;
            rule_fire(st, v, NULL, y + 1, "a comparison accepts something else than before; it was: %.*s", (int)(old.n < 160 ? old.n : 160), old.p);
            st->severity = severity;
            next = y + 1;
            break;
        }
    }
}

void check_comparison_loosened(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v) || !v->lang || v->file->kind == RULE_FILE_ADDED)
            continue;
        if (v->class == PATH_TEST) {
            compare_part(st, v, 0, v->old.n, 0, v->new.n);
            continue;
        }
        for (size_t k = 0; k < v->old_tests.n; k++) { /* tests that stand among the code */
            const struct test_case *o = &v->old_tests.items[k], *n = tests_by_name(&v->new_tests, o->name);
            if (n)
                compare_part(st, v, o->first, o->end, n->first, n->end);
        }
    }
}

/* --- functions that nobody calls any more --- */

static size_t mentions(const struct lang *lang, const struct text_lines *l, struct span name, bool only_changed)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct span s = l->items[i].text;
        if ((only_changed && !l->items[i].changed) || is_comment(lang, s))
            continue;
        for (ptrdiff_t at; (at = span_find(s, name)) >= 0; s = span_sub(s, (size_t)at + name.n, s.n)) {
            struct span rest = span_sub(s, (size_t)at + name.n, s.n);
            if ((at > 0 && word_char(s.p[at - 1])) || (rest.n && word_char(rest.p[0])))
                continue;
            n++;
        }
    }
    return n;
}

/* Is this line the head of a function whose body makes a check? Then its name. */
static bool checking_function(const struct file_view *v, const struct text_lines *l, size_t at, struct span *name)
{
    static const char head[] = "^(?:static\\s+|inline\\s+|async\\s+|function\\s+|def\\s+|sub\\s+|local\\s+function\\s+)*(?:(?:void|int|bool|unsigned|char|const)\\s+\\**)*(\\w+)\\s*\\([^;]*$";
    struct span line = l->items[at].text;
    if (!line.n || !word_char(line.p[0]) || !regex_match(lang_regex(head), line, 1, name) || !name->n || span_eqs(*name, "main") || span_eqs(*name, "if"))
        return false;
    for (size_t k = at + 1; k < l->n && k < at + 200; k++) {
        struct span s = l->items[k].text;
        if (span_trim(s).n && indent_width(s) == 0 && s.p[0] != '{')
            return false;
        if (is_check(v->lang, l, k))
            return true;
    }
    return false;
}

bool calls_a_checker(const struct file_view *v, size_t from, size_t end)
{
    for (size_t k = 0; k < v->new.n; k++) {
        struct span name;
        if ((k >= from && k < end) || !checking_function(v, &v->new, k, &name))
            continue;
        for (size_t y = from + 1; y < end; y++)
            if (v->new.items[y].changed && span_eq(span_sub(span_trim(v->new.items[y].text), 0, name.n), name))
                return true;
    }
    return false;
}

void check_uncalled(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v) || !v->lang || v->class != PATH_TEST || v->file->kind != RULE_FILE_MODIFIED)
            continue;
        for (size_t k = 0; k < v->new.n; k++) {
            struct span name;
            if (!checking_function(v, &v->new, k, &name) || !mentions(v->lang, &v->old, name, true))
                continue;
            if (mentions(v->lang, &v->new, name, false) == 1 && mentions(v->lang, &v->old, name, false) > 1)
                rule_fire(st, v, NULL, k + 1, "'%.*s' makes checks and is no longer called", (int)name.n, name.p);
        }
    }
}

/* --- helpers that no longer fail --- */

/* The head of a function or macro whose name says that it checks; its name, and the end of its body. */
static bool helper_at(const struct text_lines *l, size_t at, struct span *name, size_t *end)
{
    static const char head[] = "(?i)^(?:#\\s*define\\s+|static\\s+|inline\\s+|async\\s+|export\\s+|function\\s+|def\\s+|sub\\s+|(?:void|int|bool)\\s+|func\\s+|fn\\s+|const\\s+)+"
                               "(\\w*(?:assert|expect|check|verify|ensure|must|require|equal|same)\\w*)|^(\\w*(?:assert|expect|check|verify|ensure|must|require|equal|same)\\w*)\\s*\\(\\)";
    struct span line = l->items[at].text;
    if (!line.n || !regex_match(lang_regex(head), line, 1, name))
        return false;
    if (!name->n)
        (void)regex_match(lang_regex(head), line, 2, name);
    bool macro = line.p[0] == '#';
    size_t k = at + 1;
    if (macro)
        for (; k < l->n && span_ends(span_trim(l->items[k - 1].text), "\\"); k++) {
        }
    else
        while (k < l->n && (!span_trim(l->items[k].text).n || indent_width(l->items[k].text) > 0 || l->items[k].text.p[0] == '{'))
            k++;
    *end = k;
    return name->n > 0;
}

static bool fails_in(const struct file_view *v, const struct text_lines *l, size_t from, size_t end)
{
    bool asserts = strcmp(v->lang->name, "shell") != 0; /* there "[ ... ]" alone asserts nothing */
    for (size_t k = from + (end > from + 1); k < end; k++) {
        struct span s = l->items[k].text;
        if (k == from) /* on one line: what stands behind the name and its parameters */
            s = span_sub(s, (size_t)(span_findc(s, ')') + 1), s.n);
        if (!is_comment(v->lang, s) && (is_failing(s) || (asserts && regex_match(lang_regex(v->lang->assertion), s, 0, NULL))))
            return true;
    }
    return false;
}

/* Is there another helper of this name that fails (an overload), or does the body hand on to one that does? */
static bool fails_through(const struct file_view *v, size_t from, size_t end, struct span name)
{
    for (size_t y = 0; y < v->new.n; y++) {
        static const char head[] = "^#?\\s*(?:define|static|inline|async|export|function|def|sub|void|int|bool|func|fn|const)\\s+(?:\\w+\\s+)*(\\w+)\\s*\\(|^(\\w+)\\s*\\(\\)";
        struct span other;
        size_t to;
        if (helper_at(&v->new, y, &other, &to) && span_eq(other, name) && fails_in(v, &v->new, y, to))
            return true;
        if (y >= from && y < end)
            continue;
        if (!regex_match(lang_regex(head), span_trim(v->new.items[y].text), 1, &other))
            continue;
        if (!other.n)
            (void)regex_match(lang_regex(head), span_trim(v->new.items[y].text), 2, &other);
        bool called = false;
        for (size_t k = from; k < end && other.n && !called; k++)
            called = has_word(v->new.items[k].text, other);
        for (size_t k = y; called && k < v->new.n && k < y + 12; k++)
            if (is_failing(v->new.items[k].text))
                return true;
    }
    return false;
}

void check_helper_muted(struct rules_state *st)
{
    for (size_t i = 0; i < st->nviews; i++) {
        const struct file_view *v = &st->views[i];
        if (!rule_applies(st->rule, v) || !v->lang || v->file->kind != RULE_FILE_MODIFIED)
            continue;
        for (size_t k = 0; k < v->old.n; k++) {
            struct span name, other;
            size_t end, to;
            if (!helper_at(&v->old, k, &name, &end) || !fails_in(v, &v->old, k, end) || tests_by_name(&v->old_tests, name))
                continue; /* of tests test-emptied says it */
            for (size_t y = 0; y < v->new.n; y++)
                if (helper_at(&v->new, y, &other, &to) && span_eq(name, other) && !fails_in(v, &v->new, y, to) && !fails_through(v, y, to, name)) {
                    rule_fire(st, v, NULL, y + 1, "'%.*s' can no longer fail", (int)name.n, name.p);
                    break;
                }
        }
    }
}
