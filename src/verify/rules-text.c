#include "verify/rules-internal.h"

#include <stdlib.h>

#include "base/hash.h"

bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

size_t indent_width(struct span line)
{
    size_t w = 0;
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] == ' ')
            w++;
        else if (line.p[i] == '\t')
            w += 8 - w % 8;
        else
            break;
    }
    return w;
}

size_t words_of(struct span s, struct span *out, size_t max)
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

bool has_word(struct span line, struct span word)
{
    for (ptrdiff_t at; word.n && (at = span_find(line, word)) >= 0;) {
        struct span rest = span_sub(line, (size_t)at + word.n, line.n);
        if (!(at > 0 && word_char(line.p[at - 1])) && !(rest.n && word_char(rest.p[0])))
            return true;
        line = span_sub(line, (size_t)at + 1, line.n);
    }
    return false;
}

bool is_comment(const struct lang *lang, struct span line)
{
    line = span_trim(line);
    if (span_starts(line, "//go:") || span_starts(line, "// +build"))
        return false; /* an instruction */
    if (lang && span_starts(line, lang->comment))
        return true;
    return span_starts(line, "/*") || span_starts(line, "* ") || span_starts(line, "<!--");
}

static bool split(struct span text, struct text_lines *out, struct arena *arena)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    n = n + 1 < RULE_LINES ? n + 1 : RULE_LINES;
    out->items = arena_array(arena, n, sizeof *out->items);
    out->n = 0;
    if (!out->items)
        return false;
    struct span line;
    while (out->n < n && span_line(&text, &line))
        out->items[out->n++].text = line;
    return true;
}

/* Where a block comment begins in a line: not within quotes, and not as a part of a word or glob. -1: nowhere. */
static ptrdiff_t comment_start(struct span s)
{
    char quote = 0;
    for (size_t i = 0; i + 1 < s.n; i++) {
        char c = s.p[i];
        if (quote) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (c == '"' || c == '\'' || c == '`') {
            quote = c;
        } else if (c == '/' && s.p[i + 1] == '/') {
            return -1;
        } else if (c == '/' && s.p[i + 1] == '*' && (i == 0 || strchr(" \t;{}(),", s.p[i - 1]))) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

/* A string that stands for itself, over lines: Python's comment. */
static void mark_docstrings(struct text_lines *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct span s = span_trim(l->items[i].text);
        s = span_sub(s, s.n && strchr("rRuUbB", s.p[0]), s.n);
        const char *quotes = span_starts(s, "\"\"\"") ? "\"\"\"" : span_starts(s, "'''") ? "'''" : NULL;
        if (!quotes || span_find(span_sub(s, 3, s.n), span_of(quotes)) >= 0)
            continue;
        size_t end = i + 1;
        while (end < l->n && span_find(l->items[end].text, span_of(quotes)) < 0)
            end++;
        if (end == l->n)
            return;
        for (size_t k = i + 1; k <= end; k++)
            l->items[k].comment = true;
        i = end;
    }
}

/* Lines that begin within a block comment, in languages that have them. One that never ends is none. */
static void mark_comments(const struct lang *lang, struct text_lines *l)
{
    if (lang && !strcmp(lang->name, "python"))
        mark_docstrings(l);
    if (!lang || strcmp(lang->comment, "//") != 0)
        return;
    for (size_t i = 0; i < l->n; i++) {
        struct span s = l->items[i].text;
        ptrdiff_t at = comment_start(s);
        if (at < 0 || span_find(span_sub(s, (size_t)at + 2, s.n), SPAN("*/")) >= 0)
            continue;
        size_t end = i + 1;
        while (end < l->n && span_find(l->items[end].text, SPAN("*/")) < 0)
            end++;
        if (end == l->n)
            return;
        for (size_t k = i + 1; k <= end; k++)
            l->items[k].comment = true;
        i = end;
    }
}

/* Where the bracket at `at` closes, or n. Quotes are respected. */
static size_t closing(struct span s, size_t at)
{
    int depth = 0;
    char quote = 0;
    for (size_t i = at; i < s.n; i++) {
        char c = s.p[i];
        if (quote) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '(' || c == '[' || c == '{') {
            depth++;
        } else if (c == ')' || c == ']' || c == '}') {
            if (--depth == 0)
                return i;
        }
    }
    return s.n;
}

/* Are the first two arguments of the list in s (what stands between the brackets) the same? */
static bool same_arguments(struct span s)
{
    struct span arg[2] = { { "", 0 }, { "", 0 } };
    size_t n = 0, from = 0;
    char quote = 0;
    int depth = 0;
    for (size_t i = 0; i <= s.n && n < 2; i++) {
        char c = i < s.n ? s.p[i] : ',';
        if (quote) {
            if (c == '\\')
                i++;
            else if (c == quote)
                quote = 0;
            continue;
        }
        if (c == '"' || c == '\'')
            quote = c;
        depth += (c == '(' || c == '[' || c == '{') - (c == ')' || c == ']' || c == '}');
        if (c == ',' && depth == 0) {
            arg[n++] = span_trim(span_sub(s, from, i - from));
            from = i + 1;
        }
    }
    return n == 2 && arg[0].n && span_eq(arg[0], arg[1]);
}

bool is_tautology(struct span line)
{
    struct span s = span_trim(line);
    ptrdiff_t eq = span_find(s, SPAN("=="));
    if (eq > 0) {
        size_t skip = span_starts(span_sub(s, (size_t)eq, s.n), "===") ? 3 : 2;
        struct span l = span_trim(span_sub(s, 0, (size_t)eq)), r = span_trim(span_sub(s, (size_t)eq + skip, s.n));
        if (span_starts(l, "assert "))
            l = span_trim(span_sub(l, 7, l.n));
        while (r.n && (r.p[r.n - 1] == ';' || r.p[r.n - 1] == ':'))
            r.n--;
        if (l.n && span_eq(l, r))
            return true;
    }
    ptrdiff_t open = span_findc(s, '(');
    if (open <= 0)
        return false;
    size_t close = closing(s, (size_t)open);
    struct span inner = span_sub(s, (size_t)open + 1, close - (size_t)open - 1), name = span_sub(s, 0, (size_t)open);
    bool equality = span_find(name, SPAN("qual")) >= 0 || span_ends(name, "_eq!") || span_ends(name, "_EQ") || span_ends(name, "is") || span_ends(name, "eq");
    if (equality && same_arguments(inner))
        return true;
    eq = span_find(inner, SPAN("=="));
    if (eq > 0 && !span_findc(inner, ',')) {
        struct span l = span_trim(span_sub(inner, 0, (size_t)eq)), r = span_trim(span_sub(inner, (size_t)eq + 2, inner.n));
        if (l.n && span_eq(l, r))
            return true;
    }
    /* expect(X).toBe(X) */
    if (span_ends(name, "expect") && close < s.n) {
        struct span rest = span_sub(s, close, s.n);
        ptrdiff_t o2 = span_findc(rest, '(');
        if (o2 > 0) {
            size_t c2 = closing(rest, (size_t)o2);
            struct span want = span_trim(span_sub(rest, (size_t)o2 + 1, c2 - (size_t)o2 - 1));
            return inner.n && span_eq(span_trim(inner), want);
        }
    }
    return false;
}

/* --- which lines changed: by counting equal lines, so that moved code is not "changed" --- */

struct tally {
    struct span text;
    size_t old_all, new_all;   /* occurrences */
    size_t old_left, new_left; /* of these, surplus to be marked */
};

struct tallies {
    struct tally *slots;
    size_t mask;
};

static uint64_t text_hash(struct span s)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a; a collision only costs a comparison */
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h;
}

static struct tally *tally_of(struct tallies *t, struct span text)
{
    for (size_t i = text_hash(text) & t->mask;; i = (i + 1) & t->mask) {
        struct tally *s = &t->slots[i];
        if (!s->text.p) {
            s->text = text;
            return s;
        }
        if (span_eq(s->text, text))
            return s;
    }
}

/*
 * Which of several equal lines is the surplus one: lines that the other side lacks altogether first, then neighbours
 * of what is marked already (a new test brings its own "#[test]"), then whichever comes.
 */
static void mark_side(struct tallies *t, struct text_lines *l, size_t head, size_t tail, bool old)
{
    size_t end = l->n - tail;
    for (int pass = 0; pass < 4; pass++)
        for (size_t n = head; n < end; n++) {
            size_t i = pass == 2 ? head + end - 1 - n : n; /* backwards once: what stands above */
            struct tally *s = tally_of(t, span_trim(l->items[i].text));
            size_t *left = old ? &s->old_left : &s->new_left;
            bool alone = (old ? s->new_all : s->old_all) == 0;
            bool beside = (i > head && l->items[i - 1].changed) || (i + 1 < end && l->items[i + 1].changed);
            if (*left && !l->items[i].changed && (pass == 0 ? alone : pass == 3 || beside)) {
                l->items[i].changed = true;
                (*left)--;
            }
        }
}

static bool mark_changes(struct text_lines *a, struct text_lines *b)
{
    size_t slots = 16;
    while (slots < 2 * (a->n + b->n) + 2)
        slots *= 2;
    struct tallies t = { calloc(slots, sizeof *t.slots), slots - 1 };
    if (!t.slots)
        return false;
    for (size_t i = 0; i < a->n; i++)
        tally_of(&t, span_trim(a->items[i].text))->old_all++;
    for (size_t i = 0; i < b->n; i++)
        tally_of(&t, span_trim(b->items[i].text))->new_all++;
    for (size_t i = 0; i < slots; i++) { /* keep only the surplus of each side */
        struct tally *s = &t.slots[i];
        size_t common = s->old_all < s->new_all ? s->old_all : s->new_all;
        s->old_left = s->old_all - common;
        s->new_left = s->new_all - common;
    }
    /* Equal lines at both ends are where nobody edited: surplus is looked for in the middle first. */
    size_t head = 0, tail = 0, least = a->n < b->n ? a->n : b->n;
    while (head < least && span_eq(a->items[head].text, b->items[head].text))
        head++;
    while (tail < least - head && span_eq(a->items[a->n - 1 - tail].text, b->items[b->n - 1 - tail].text))
        tail++;
    mark_side(&t, a, head, tail, true);
    mark_side(&t, b, head, tail, false);
    free(t.slots);
    return true;
}

/* --- tests --- */

static bool is_blank(struct span s)
{
    return span_trim(s).n == 0;
}

/* The brace that closes the definition at `at`, where text at the margin (of a long string) stands before it. 0: none. */
static size_t closing_brace(const struct lang *lang, const struct text_lines *l, size_t at)
{
    size_t own = indent_width(l->items[at].text);
    if (strcmp(lang->comment, "//") != 0 || !span_ends(span_trim(l->items[at].text), "{"))
        return 0;
    for (size_t i = at + 1; i < l->n; i++) {
        struct span s = l->items[i].text;
        if (is_blank(s) || indent_width(s) > own)
            continue;
        if (indent_width(s) == own && span_trim(s).p[0] == '}')
            return i + 1;
        if (regex_match(lang_regex(lang->test), s, 0, NULL))
            return 0;
    }
    return 0;
}

static size_t count_of(struct span s, const char *what)
{
    size_t n = 0;
    for (ptrdiff_t at; (at = span_find(s, span_of(what))) >= 0; n++)
        s = span_sub(s, (size_t)at + strlen(what), s.n);
    return n;
}

/* Where the body of the definition at `at` ends, by indentation. */
static size_t body_end(const struct lang *lang, const struct text_lines *l, size_t at)
{
    size_t own = indent_width(l->items[at].text);
    size_t i = at + 1, last = at + 1, brace = closing_brace(lang, l, at);
    bool in_string = false, strings = !strcmp(lang->name, "python");
    if (brace)
        return brace;
    for (; i < l->n; i++) {
        struct span s = l->items[i].text;
        bool within = in_string;
        if (strings && (count_of(s, "\"\"\"") + count_of(s, "'''")) % 2)
            in_string = !in_string;
        if (within) {
            last = i + 1;
            continue;
        }
        if (is_blank(s))
            continue;
        size_t w = indent_width(s);
        struct span t = span_trim(s);
        if (w < own)
            break;
        if (w == own) {
            if (span_eqs(t, "{") && last == at + 1) { /* the brace on its own line */
                last = i + 1;
                continue;
            }
            /* continuation of the signature: ") -> None:", "):" */
            if ((last == at + 1 && t.p[0] == '{') || (t.p[0] == ')' && (span_ends(t, ":") || span_ends(t, "{")))) {
                last = i + 1;
                continue;
            }
            if (t.p[0] == '#' || (span_ends(t, ":") && span_findc(t, ' ') < 0 && span_findc(t, '(') < 0))
                continue; /* preprocessor and labels stand at the margin */
            if (t.p[0] == '}' || span_starts(t, "end") || t.p[0] == ')')
                last = i + 1;
            break;
        }
        last = i + 1;
    }
    return last < l->n ? last : l->n;
}

static bool preceded_by_marker(const struct lang *lang, const struct text_lines *l, size_t at)
{
    const struct regex *m = lang_regex(lang->marker);
    if (!m)
        return true;
    if (regex_match(m, l->items[at].text, 0, NULL))
        return true;
    for (size_t i = at; i-- > 0 && at - i <= 8;) {
        struct span t = span_trim(l->items[i].text);
        if (regex_match(m, t, 0, NULL))
            return true;
        if (!t.n || (t.p[0] != '#' && t.p[0] != '@' && t.p[0] != '[' && t.p[0] != '/' && t.p[0] != '*'))
            return false;
    }
    return false;
}

/* How a hand-written check says that it failed. */
#define FAILING "\\breturn\\s+(?:-?[1-9]|false|EXIT_FAILURE)|\\bexit\\s*\\(?\\s*(?:[1-9]|EXIT_FAILURE)|\\babort\\s*\\(|\\b\\w*(?:fail|err|bad)\\w*\\s*(?:\\+\\+|\\+?=|\\()|\\+\\+\\s*\\w*(?:fail|err)|" \
    "\\bgoto\\s+\\w*(?:fail|err)|\\braise\\b|\\bthrow\\b|\\bpanic\\b|\\bdie\\b|\\bt\\.(?:Error|Fatal|Fail)\\w*\\s*\\("

bool is_failing(struct span line)
{
    static const char failing[] = FAILING;
    return regex_match(lang_regex(failing), line, 0, NULL);
}

bool may_check(struct span line)
{
    static const char call[] = "(?i)\\b\\w*(?:assert|expect|check|verify|should|ensure|equal|contains|raises|throws|validate|matches)\\w*!?\\s*[(]|\\b_?test[A-Z_]\\w*\\s*\\(|\\bt\\.plan\\b|\\bshould(?:_\\w+)?\\b|\\bmust_\\w+";
    return regex_match(lang_regex(call), line, 0, NULL);
}

bool is_check(const struct lang *lang, const struct text_lines *l, size_t at)
{
    struct span s = span_trim(l->items[at].text);
    if (!s.n || (l->items[at].comment && !span_starts(s, ">>> ")) || is_comment(lang, s)) /* doctests stand in strings */
        return false;
    if (regex_match(lang_regex(lang->assertion), s, 0, NULL))
        return true;
    if (!span_starts(s, "if ") && !span_starts(s, "if(") && !span_starts(s, "} else if"))
        return false;
    for (size_t i = at; i < l->n && i <= at + 3; i++) {
        if (i > at && indent_width(l->items[i].text) <= indent_width(l->items[at].text) && !span_eqs(span_trim(l->items[i].text), "{"))
            return false;
        if (span_find(l->items[i].text, SPAN("skip")) >= 0 || span_find(l->items[i].text, SPAN("Skip")) >= 0)
            return false; /* it says that the test cannot run here */
        struct span body = l->items[i].text; /* of the line of the condition only what stands behind it */
        if (i == at) {
            ptrdiff_t open = span_findc(body, '(');
            size_t close = open >= 0 ? closing(body, (size_t)open) : body.n;
            body = open >= 0 ? span_sub(body, close, body.n) : body;
        }
        if (is_failing(body))
            return true;
    }
    return false;
}

void statement_at(const struct text_lines *l, size_t at, struct buf *out)
{
    int depth = 0;
    for (size_t i = at; i < l->n && i < at + 12; i++) {
        struct span s = span_trim(l->items[i].text);
        if (i > at && depth <= 0 && !(s.n && s.p[0] == '.'))
            break;
        if (i > at)
            buf_addc(out, ' ');
        buf_add_span(out, s);
        for (size_t k = 0; k < s.n; k++)
            depth += (s.p[k] == '(' || s.p[k] == '[' || s.p[k] == '{') - (s.p[k] == ')' || s.p[k] == ']' || s.p[k] == '}');
        if (span_ends(s, "{"))
            break; /* a block, not an argument */
    }
}

void tests_find(struct file_view *v, const struct text_lines *lines, struct test_cases *out, struct arena *arena)
{
    const struct lang *lang = v->lang;
    if (!lang || !v->testing)
        return;
    const struct regex *def = lang_regex(lang->test), *assertion = lang_regex(lang->assertion), *trivial = lang_regex(lang->trivial);
    if (!def || !assertion || !trivial)
        return;
    size_t cap = 0;
    struct test_case *items = NULL;
    for (size_t i = 0; i < lines->n; i++) {
        struct span name, line = lines->items[i].text;
        if (!regex_match(def, line, 1, &name))
            continue;
        if (!name.n)
            (void)regex_match(def, line, 2, &name);
        if (!name.n || lines->items[i].comment || is_comment(lang, line) || !preceded_by_marker(lang, lines, i))
            continue;
        struct test_case t = { .name = span_trim(name), .first = i, .end = body_end(lang, lines, i) };
        if (regex_match(assertion, line, 0, NULL) && t.end == i + 1) /* a test on one line */
            t.asserts++;
        for (size_t k = i + 1; k < t.end; k++) {
            struct span s = lines->items[k].text;
            if (is_blank(s) || lines->items[k].comment || is_comment(lang, s))
                continue;
            if (is_check(lang, lines, k)) {
                AUTO(buf) struct buf whole = BUF_INIT(16384);
                statement_at(lines, k, &whole);
                t.asserts++;
                t.trivial += regex_match(trivial, s, 0, NULL) || is_tautology(whole.failed ? s : buf_span(&whole));
            } else {
                struct span c = span_trim(s);
                t.code += !(c.n <= 3 && !word_char(c.p[0])) && !span_eqs(c, "pass") && !span_eqs(c, "return") && !span_eqs(c, "return;") && !span_eqs(c, "end");
            }
        }
        if (!array_grow((void **)&items, &cap, out->n, 1, sizeof *items))
            break;
        items[out->n++] = t;
    }
    out->items = arena_array(arena, out->n ? out->n : 1, sizeof *items);
    if (out->items && items && out->n)
        memcpy(out->items, items, out->n * sizeof *items);
    else
        out->n = 0;
    free(items);
}

const struct test_case *tests_by_name(const struct test_cases *t, struct span name)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->items[i].name, name))
            return &t->items[i];
    return NULL;
}

/* Lines [from, end) as formatters leave them alike: no blanks, one sort of quote, no comma before a closing bracket. */
static void squeeze(const struct text_lines *l, size_t from, size_t end, struct buf *out)
{
    for (size_t i = from; i < end; i++) {
        struct span s = l->items[i].text;
        for (size_t k = 0; k < s.n; k++) {
            char c = s.p[k];
            if (c == ' ' || c == '\t' || c == '\r')
                continue;
            if ((c == ')' || c == ']' || c == '}') && out->n && out->p[out->n - 1] == ',')
                buf_truncate(out, out->n - 1);
            buf_addc(out, c == '\'' ? '"' : c);
        }
    }
}

static bool same_tokens(const struct text_lines *a, size_t from, size_t end, const struct text_lines *b, size_t bfrom, size_t bend)
{
    AUTO(buf) struct buf x = BUF_INIT(2 * RULE_TEXT_BYTES), y = BUF_INIT(2 * RULE_TEXT_BYTES);
    squeeze(a, from, end, &x);
    squeeze(b, bfrom, bend, &y);
    return !x.failed && !y.failed && span_eq(buf_span(&x), buf_span(&y));
}

static void unmark(struct text_lines *l, size_t from, size_t end)
{
    for (size_t i = from; i < end; i++)
        l->items[i].changed = false;
}

/* What a formatter did is no change: to a whole file, or to a test. */
static void forgive_layout(struct file_view *v)
{
    if (v->new.n && v->old.n && same_tokens(&v->old, 0, v->old.n, &v->new, 0, v->new.n)) {
        unmark(&v->old, 0, v->old.n);
        unmark(&v->new, 0, v->new.n);
        return;
    }
    for (size_t i = 0; i < v->old_tests.n; i++) {
        const struct test_case *o = &v->old_tests.items[i], *n = tests_by_name(&v->new_tests, o->name);
        if (n && same_tokens(&v->old, o->first, o->end, &v->new, n->first, n->end)) {
            unmark(&v->old, o->first, o->end);
            unmark(&v->new, n->first, n->end);
        }
    }
}

int view_open(struct file_view *v, const struct rule_file *f, struct arena *arena)
{
    *v = (struct file_view){ .file = f, .class = path_classify(f->path), .lang = lang_of(f->path) };
    if (f->old_path && v->class == PATH_SOURCE && path_classify(f->old_path) == PATH_TEST)
        v->class = PATH_TEST; /* renamed out of sight of the tests */
    v->testing = v->lang && (v->class == PATH_TEST || v->class == PATH_CONFTEST || v->lang->marker);
    if (f->binary || f->symlink || f->old_text.n > RULE_TEXT_BYTES || f->new_text.n > RULE_TEXT_BYTES)
        return 0;
    if (!split(f->old_text, &v->old, arena) || !split(f->new_text, &v->new, arena) || !mark_changes(&v->old, &v->new))
        return -ERR_NOMEM;
    mark_comments(v->lang, &v->old);
    mark_comments(v->lang, &v->new);
    tests_find(v, &v->old, &v->old_tests, arena);
    tests_find(v, &v->new, &v->new_tests, arena);
    forgive_layout(v);
    return 0;
}
