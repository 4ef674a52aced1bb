/*
 * clean - text from outside made safe for a terminal, a log or a message.
 *
 * Everything that a model, a server, a repository or a configuration file says goes through here
 * before it reaches a terminal: escape sequences (CSI, OSC, DCS, APC, PM, SOS, 7- and 8-bit forms,
 * ECMA-48) are dropped, other C0/C1 control characters become visible (^X), invalid UTF-8 becomes
 * U+FFFD, and characters that reorder or hide text (bidirectional controls U+202A-E, U+2066-9,
 * zero-width U+200B-F, U+FEFF, tag characters) become <U+XXXX>.
 */
#ifndef STEAD_BASE_CLEAN_H
#define STEAD_BASE_CLEAN_H

#include "base/buf.h"

enum clean_flags {
    CLEAN_LINE = 0,       /* newlines and tabs become a space: for one-line messages, names */
    CLEAN_TEXT = 1 << 0,  /* keep \n and \t (\r\n becomes \n; a bare \r becomes \n) */
    CLEAN_QUOTE = 1 << 1, /* for file names: nothing is dropped; ' and \ escaped, control and invalid UTF-8 shown as \n \t \xNN.
                             Not for the streaming form */
    CLEAN_SHOW = 1 << 2,  /* for the content of files: nothing is dropped; control characters are shown, ^[ and ^M too */
};

/* Append the cleaned form of `s`. A sequence cut off by the end of `s` is dropped. */
bool clean_add(struct buf *out, struct span s, unsigned flags);

/* The same into a fixed array, cut at a character boundary; returns out. */
const char *clean_into(char *out, size_t size, struct span s, unsigned flags);

/*
 * Streaming form: state survives between pieces, so that a sequence split over two pieces is still
 * dropped, and a split UTF-8 character is joined.
 */
struct cleaner {
    int state;           /* 0: text; others are positions inside a control sequence */
    unsigned char pend[4];
    int npend;
    int cr;
};
#define CLEANER_INIT { 0, { 0 }, 0, 0 }
bool cleaner_add(struct cleaner *c, struct buf *out, struct span s, unsigned flags);

#endif
