/*
 * reader-internal - what several readers need: numbers at the front of a span, words, JSON members.
 */
#ifndef STEAD_VERIFY_READER_INTERNAL_H
#define STEAD_VERIFY_READER_INTERNAL_H

#include <ctype.h>
#include <jansson.h>

#include "base/mem.h"
#include "verify/reader.h"

/* Take decimal digits off the front: the number, or -1 when there is none or it is absurd. */
static inline int64_t take_number(struct span *s)
{
    int64_t v = 0;
    size_t i = 0;
    while (i < s->n && i < 12 && s->p[i] >= '0' && s->p[i] <= '9')
        v = v * 10 + (s->p[i++] - '0');
    if (!i || i == 12)
        return -1;
    *s = span_sub(*s, i, s->n);
    return v;
}

/* Take `prefix` off the front if it is there. */
static inline bool take_prefix(struct span *s, const char *prefix)
{
    if (!span_starts(*s, prefix))
        return false;
    *s = span_sub(*s, strlen(prefix), s->n);
    return true;
}

/* Take `suffix` off the end if it is there. */
static inline bool take_suffix(struct span *s, const char *suffix)
{
    if (!span_ends(*s, suffix))
        return false;
    s->n -= strlen(suffix);
    return true;
}

/* What stands before the first `c`, which is taken off too; false (nothing taken) without one. */
static inline bool take_until(struct span *s, char c, struct span *before)
{
    ptrdiff_t i = span_findc(*s, c);
    if (i < 0)
        return false;
    *before = span_sub(*s, 0, (size_t)i);
    *s = span_sub(*s, (size_t)i + 1, s->n);
    return true;
}

static inline bool span_has(struct span s, const char *what)
{
    return span_find(s, span_of(what)) >= 0;
}

/* Where `what` stands last, or -1. */
static inline ptrdiff_t span_rfind(struct span s, const char *what)
{
    size_t n = strlen(what);
    for (ptrdiff_t i = (ptrdiff_t)s.n - (ptrdiff_t)n; i >= 0; i--)
        if (!memcmp(s.p + i, what, n))
            return i;
    return -1;
}

/* The number in front of the last `word` of a line: 10 of "3 failed, 10 passed in 0.1s" for " passed"; 0 without. */
static inline size_t count_before(struct span line, const char *word)
{
    ptrdiff_t at = span_rfind(line, word);
    size_t n = 0, scale = 1;
    for (ptrdiff_t i = at - 1; i >= 0 && line.p[i] >= '0' && line.p[i] <= '9' && scale < 1000000000; i--, scale *= 10)
        n += (size_t)(line.p[i] - '0') * scale;
    return n;
}

/* A string member, or an empty span. */
static inline struct span json_text(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? (struct span){ json_string_value(v), json_string_length(v) } : (struct span){ "", 0 };
}

static inline int64_t json_number_of(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_integer(v) ? json_integer_value(v) : 0;
}

/* Does the text, past white space, start with `c`? For sniffing JSON and XML. */
static inline bool starts_with_char(struct span s, char c)
{
    s = span_trim(s);
    return s.n && s.p[0] == c;
}

/*
 * Each JSON value of a text that holds one value a line (json lines); a line that is not JSON is
 * skipped: build tools mix their words in. Stops when fn returns non-zero.
 */
typedef int (*json_line_fn)(void *ctx, const json_t *value);
int json_lines(struct span text, json_line_fn fn, void *ctx);

/*
 * The outermost JSON value inside a text that may have other lines around it (npm's banner before
 * eslint's array). 1 found, 0 none.
 */
int json_within(struct span text, char open, json_t **out, struct err *e) WARN_UNUSED;

/* An XML document inside such a text: from the first line that starts with its declaration or its root; empty: none. */
struct span xml_within(struct span text, const char *root);

/*
 * The tree of results that mocha and jest draw by indentation (reader-mocha.c): reads to the line that `ends` it, which
 * is taken off as well. `mocha`: "1) name" and "- name" are results too. outline_line: one line of it, trimmed.
 */
void outline_read(struct span *text, bool mocha, bool (*ends)(struct span line), struct results *out);
bool outline_line(struct span line, bool mocha, struct span *name, enum test_status *status);

extern const struct reader reader_automake, reader_cargo, reader_cargo_json, reader_checkstyle, reader_ctest,
    reader_diff, reader_eslint, reader_files, reader_gcc, reader_gcc_json, reader_go, reader_jest, reader_jest_json,
    reader_junit, reader_meson, reader_mocha, reader_node, reader_phpunit, reader_prove, reader_pytest, reader_rdjson,
    reader_ruby, reader_ruff, reader_sarif, reader_shellcheck, reader_stylish, reader_tap, reader_unittest, reader_vitest;

#endif
