/*
 * width - how many columns text takes on a terminal, and cutting and wrapping by columns.
 *
 * Widths are libc's (wcwidth in C.UTF-8): wide East Asian characters 2, combining ones 0. Text is expected clean
 * (base/clean.h); CSI sequences of our own styles count 0 columns.
 */
#ifndef STEAD_TERM_WIDTH_H
#define STEAD_TERM_WIDTH_H

#include "base/buf.h"

int width_char(uint32_t c);    /* 0, 1 or 2; a control character 0 */
size_t width_of(struct span s); /* columns */
/* Longest prefix of at most `columns`: its bytes. Never cuts a character or one of our style sequences. */
size_t width_cut(struct span s, size_t columns);
/* The next line of at most `columns` of *rest, broken at a space where there is one; false at the end. */
bool width_wrap(struct span *rest, size_t columns, struct span *line);

#endif
