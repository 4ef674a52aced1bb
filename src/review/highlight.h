/*
 * highlight - colour for one line of code, good enough to read a diff by: strings, comments, numbers, keywords.
 *
 * No grammar of any language: a line alone cannot tell more, and a wrong colour is better than none.
 */
#ifndef STEAD_REVIEW_HIGHLIGHT_H
#define STEAD_REVIEW_HIGHLIGHT_H

#include "base/buf.h"

/* Append `line` (clean) with styles; `path` picks the comment marker; `base` is set again after each piece. */
void highlight_line(const char *path, struct span s, const char *base, struct buf *out);

#endif
