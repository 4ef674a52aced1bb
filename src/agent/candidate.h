/*
 * candidate - which existing paths may be meant by one that does not exist.
 *
 * Same name elsewhere first, then the same name but for case or extension, then names a few edits
 * away; among equals, the one that shares more of its directories.
 */
#ifndef STEAD_AGENT_CANDIDATE_H
#define STEAD_AGENT_CANDIDATE_H

#include <stddef.h>

#define CANDIDATES_MAX 4

/* Best first, borrowed from paths; returns how many. */
size_t candidates_find(const char *const *paths, size_t n, const char *wanted, const char *best[CANDIDATES_MAX]);

#endif
