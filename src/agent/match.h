/*
 * match - where in a file is the text that a model wants replaced, and if nowhere, what came closest.
 *
 *     struct match m;
 *     if (match_find(file, old, &m, e) < 0) ...            // out of memory
 *     if (m.kind == MATCH_ONE) ... replace m.len bytes at m.at ...
 *     else match_explain(&m, path, file, &out);            // for the model, with numbered lines
 *
 * Only an exact, single occurrence is a match. Text that is there but for its indentation or trailing
 * blanks is reported, never replaced: guessing indentation breaks Python quietly. A file whose lines
 * end in \r\n matches text written with \n (match_crlf converts the replacement too). Pure: no I/O.
 */
#ifndef STEAD_AGENT_MATCH_H
#define STEAD_AGENT_MATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum match_kind {
    MATCH_ONE,    /* at, len */
    MATCH_MANY,   /* count, and the lines of the first ones */
    MATCH_INDENT, /* the same but for white space at the ends of lines: line..to */
    MATCH_NEAR,   /* similar: line..to */
    MATCH_NONE,   /* nothing that resembles it */
};

#define MATCH_LINES 8 /* occurrences named to the model */

struct match {
    enum match_kind kind;
    size_t at, len;            /* bytes */
    size_t line, to;           /* lines from 1, inclusive */
    size_t count;
    size_t lines[MATCH_LINES]; /* where the occurrences begin */
    int percent;               /* MATCH_NEAR: similarity */
};

int match_find(struct span text, struct span old, struct match *out, struct err *e) WARN_UNUSED;
/* Says why `old` was not replaced, with the real text numbered; ends without a newline. */
bool match_explain(const struct match *m, const char *path, struct span text, struct buf *out);

/* Do (nearly) all lines of the text end in \r\n? */
bool match_is_crlf(struct span text);
/* Append s with every bare \n as \r\n. */
bool match_crlf(struct buf *out, struct span s);

/* --- lines --- */

size_t lines_count(struct span text);                     /* a last line without \n counts; "" has none */
size_t lines_of_offset(struct span text, size_t at);      /* the line, from 1, of a byte */
/* Bytes of lines from..to (from 1, inclusive, with their newlines); clamped; empty behind the end. */
struct span lines_slice(struct span text, size_t from, size_t to);
/* Append "N\tline\n" for each; cuts lines at max_bytes (0: never), and the middle when more than max_lines (0: all). No newline at the end. */
bool lines_number(struct buf *out, struct span text, size_t from, size_t to, size_t max_lines, size_t max_bytes);

#endif
