/*
 * edit - a line editor as a value: text, cursor, history; keys go in, lines to draw come out. No terminal here.
 *
 *     struct edit *ed;
 *     edit_create(&ed, e);
 *     switch (edit_key(ed, &key)) { case EDIT_SUBMIT: use(edit_text(ed)); edit_remember(ed); edit_reset(ed); ... }
 *     edit_layout(ed, columns, &layout);     // rows of text and where the cursor stands
 *
 * Multi-line: Alt-Enter, Ctrl-J, a trailing backslash before Enter, or a paste put a line break. Up and down move
 * between lines, at the first and last between history entries. Emacs keys (Ctrl-A E B F K U W Y), word motion.
 */
#ifndef STEAD_TERM_EDIT_H
#define STEAD_TERM_EDIT_H

#include "base/buf.h"
#include "term/keys.h"

#define EDIT_TEXT_BYTES (1u << 20)
#define EDIT_HISTORY 500

enum edit_result {
    EDIT_NONE,
    EDIT_CHANGED,
    EDIT_SUBMIT,
    EDIT_COMPLETE,  /* Tab: edit_word, then edit_replace_word */
    EDIT_INTERRUPT, /* Ctrl-C */
    EDIT_EOF,       /* Ctrl-D on an empty line */
    EDIT_REDRAW,    /* Ctrl-L */
    EDIT_OTHER,     /* a key that is not the editor's (Escape, page up, ...) */
};

struct edit;

int edit_create(struct edit **out, struct err *e) WARN_UNUSED;
void edit_destroy(struct edit *ed);
enum edit_result edit_key(struct edit *ed, const struct key *k);
struct span edit_text(const struct edit *ed);
size_t edit_cursor(const struct edit *ed); /* byte offset */
void edit_set(struct edit *ed, struct span text); /* cursor at its end */
void edit_reset(struct edit *ed);

/* The word before the cursor (for completion), and its replacement. */
struct span edit_word(const struct edit *ed);
void edit_replace_word(struct edit *ed, struct span word);

void edit_remember(struct edit *ed, struct span line); /* not when equal to the last one */
size_t edit_history(const struct edit *ed, const char *const **items); /* oldest first */

/* Rows as drawn in `columns`, wrapped; the cursor's row and column. `prefix` columns are kept free on each row. */
struct edit_layout {
    struct buf text; /* rows, separated by \n */
    size_t rows, cursor_row, cursor_column;
};
bool edit_layout(const struct edit *ed, size_t columns, size_t prefix, struct edit_layout *out);

#endif
