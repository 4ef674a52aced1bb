/*
 * markdown - a model's words for a terminal, as they stream: headings, lists, emphasis, code; wrapped.
 *
 *     struct markdown md = MARKDOWN_INIT;
 *     markdown_feed(&md, piece, columns, &out);       // complete lines come out, styled and wrapped
 *     markdown_end(&md, columns, &out);
 *
 * A subset on purpose (CommonMark's blocks by line; inline `code`, **strong**, *emphasis*): what is not
 * recognised is shown as it is. Input is cleaned here (base/clean.h). Without styles the text is the source, wrapped.
 */
#ifndef STEAD_TERM_MARKDOWN_H
#define STEAD_TERM_MARKDOWN_H

#include "base/buf.h"
#include "base/clean.h"

#define MARKDOWN_LINE_BYTES (64u << 10)

struct markdown {
    struct cleaner cleaner;
    struct buf line; /* the line that is still arriving */
    bool fence;
    char fence_char;
    size_t fence_len;
};
#define MARKDOWN_INIT { CLEANER_INIT, BUF_INIT(MARKDOWN_LINE_BYTES), false, 0, 0 }

void markdown_feed(struct markdown *md, struct span piece, size_t columns, struct buf *out);
void markdown_end(struct markdown *md, size_t columns, struct buf *out); /* the rest; md is empty again */
void markdown_finish(struct markdown *md);

#endif
