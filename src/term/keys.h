/*
 * keys - what a person typed, from the bytes of a terminal: characters, named keys, pasted text.
 *
 * The decoder takes any split of the input. Escape alone is a key only when nothing follows: the caller
 * says so with keys_flush after a short wait. Bracketed paste (DEC 2004) arrives as KEY_PASTE with its
 * text, so that a pasted newline is not Enter; what is longer than KEYS_PASTE_BYTES is cut there. Sequences: xterm's ctlseqs.
 */
#ifndef STEAD_TERM_KEYS_H
#define STEAD_TERM_KEYS_H

#include "base/buf.h"

enum key_code {
    KEY_CHAR, /* `c` */
    KEY_ENTER,
    KEY_NEWLINE, /* Alt-Enter, Ctrl-J: a line break in the input */
    KEY_TAB,
    KEY_BACKTAB,
    KEY_BACKSPACE,
    KEY_DELETE,
    KEY_LEFT,
    KEY_RIGHT,
    KEY_UP,
    KEY_DOWN,
    KEY_HOME,
    KEY_END,
    KEY_PAGE_UP,
    KEY_PAGE_DOWN,
    KEY_WORD_LEFT,
    KEY_WORD_RIGHT,
    KEY_ESCAPE,
    KEY_PASTE, /* `text` */
    KEY_CTRL,  /* `c` is the letter, lower case */
    KEY_ALT,   /* `c` */
};

struct key {
    enum key_code code;
    uint32_t c;
    struct span text; /* valid during the callback */
};

struct keys {
    struct buf pending; /* an incomplete sequence or character */
    struct buf paste;
    bool pasting;
    size_t ending; /* bytes of the paste's end that have come */
};

#define KEYS_PASTE_BYTES (1u << 20)
#define KEYS_INIT { BUF_INIT(256), BUF_INIT(KEYS_PASTE_BYTES), false, 0 }

typedef void (*key_fn)(void *ctx, const struct key *k);
void keys_feed(struct keys *ks, struct span bytes, key_fn fn, void *ctx);
/* Nothing more came for a while: a pending Escape is the Escape key. */
void keys_flush(struct keys *ks, key_fn fn, void *ctx);
bool keys_pending(const struct keys *ks);
void keys_finish(struct keys *ks);

#endif
