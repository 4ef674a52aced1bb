/*
 * server-log - what a server prints, kept in a file of bounded size, and the line of it that says most.
 *
 *     struct server_log *l = server_log_create(path);      // NULL: out of memory; a file that cannot be written is done without
 *     server_log_add(l, output);                            // any pieces
 *     server_log_refused(l, flag, sizeof flag)              // it does not know this one of its flags
 *     server_log_words(l)                                   // why it ended, as far as it said
 *     server_log_forget(l);                                 // before it is started again
 *     server_log_destroy(l);
 *
 * The file and its predecessor (PATH.1) have SERVER_LOG_MAX bytes each at most, however many write to it; of a flood
 * SERVER_LOG_SECOND bytes a second are kept, and how many were left out is said.
 */
#ifndef STEAD_INFERENCE_SERVER_LOG_H
#define STEAD_INFERENCE_SERVER_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define SERVER_LOG_MAX (1 << 20)
#define SERVER_LOG_SECOND (256 << 10)

struct server_log;

struct server_log *server_log_create(const char *path);
void server_log_destroy(struct server_log *l);
static inline void server_log_auto(struct server_log **l)
{
    server_log_destroy(*l);
}

void server_log_add(struct server_log *l, struct span output);
void server_log_forget(struct server_log *l);
/* "" where it said nothing. Printable; belongs to l. */
const char *server_log_words(const struct server_log *l);
/* The flag that it says it does not know, or whose value it refuses. */
bool server_log_refused(const struct server_log *l, char *flag, size_t size);

#endif
