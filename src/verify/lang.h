/*
 * lang - what the rules need to know of a programming language: how tests, assertions and skips look.
 *
 * A row per language, chosen by file extension. Patterns are for single lines; the body of a test is found by
 * indentation, which holds for code that anybody formats.
 */
#ifndef STEAD_VERIFY_LANG_H
#define STEAD_VERIFY_LANG_H

#include <stdbool.h>

#include "base/buf.h"
#include "verify/regex.h"

struct lang {
    const char *name;
    const char *extensions;   /* " .py .pyi " */
    const char *comment;      /* prefix of a line comment */
    const char *test;         /* group 1: the test's name */
    const char *marker;       /* a line before the definition that makes it a test (#[test]), or NULL: the name suffices */
    const char *assertion;    /* a line that checks something */
    const char *trivial;      /* an assertion that is always true */
    const char *strong;       /* an assertion of an exact value */
    const char *weak;         /* one that only asks for "something" */
};

/* NULL: a language that the rules do not know. */
const struct lang *lang_of(const char *path);
/* Compiled once; NULL for a NULL pattern. */
const struct regex *lang_regex(const char *pattern);

#endif
