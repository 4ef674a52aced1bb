/*
 * regex - PCRE2 patterns over single lines, with limits: input is hostile.
 *
 *     struct regex *r;
 *     if (regex_compile("\\bassert\\b", &r, e) < 0) ...
 *     struct span name;
 *     if (regex_match(r, line, 1, &name)) ...       // name: what group 1 matched
 *     regex_destroy(r);
 *
 * Matching gives up (no match) beyond a fixed number of steps, and looks at the first 4000 bytes of a line.
 */
#ifndef STEAD_VERIFY_REGEX_H
#define STEAD_VERIFY_REGEX_H

#include "base/buf.h"
#include "base/err.h"

struct regex;

int regex_compile(const char *pattern, struct regex **out, struct err *e) WARN_UNUSED;
void regex_destroy(struct regex *r);
/* Does it match anywhere in `line`? group (NULL: not wanted) gets group n's text, "" where it took no part. */
bool regex_match(const struct regex *r, struct span line, int n, struct span *group);

#endif
