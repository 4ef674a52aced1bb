/*
 * placeholder - what stands in a request for what was redacted, and the way back.
 *
 *     placeholder_write(&p, "email", SPAN("jo@corp.io"), &out);      // "[redacted:email:1]"
 *     placeholder_restore(&p, reply, &restored);                     // "[redacted:email:1]" -> "jo@corp.io"
 *
 * The same text has the same mark in every request, so the server's cache holds and an answer that quotes a mark is
 * understood. What reads otherwise inside a string (quotes, backslashes, line ends) has a mark without a number and no way
 * back. The table never leaves this process. All-zero is empty.
 */
#ifndef STEAD_ROUTE_PLACEHOLDER_H
#define STEAD_ROUTE_PLACEHOLDER_H

#include "base/buf.h"

struct placeholders {
    struct placeholder_row *rows;
    size_t len, cap;
};

void placeholders_finish(struct placeholders *p);

/* Appends the mark; without memory, or beyond PLACEHOLDERS_MOST, one without a number. */
#define PLACEHOLDERS_MOST 10000
bool placeholder_write(struct placeholders *p, const char *detector, struct span value, struct buf *out);

/* Appends `text` with every known mark undone; how many there were. */
size_t placeholder_restore(const struct placeholders *p, struct span text, struct buf *out);

#endif
