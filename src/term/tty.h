/*
 * tty - the terminal itself: raw mode and back, its size, what is typed, and writing that never blocks the loop.
 *
 *     struct tty *t;
 *     if (tty_open(loop, on_key, on_resize, ctx, &t, e) < 0) ...   // ERR_UNSUPPORTED: not a terminal
 *     tty_write(t, text);                                          // queued, written as the terminal takes it
 *     tty_close(t);                                                // modes restored, also on fatal signals
 *
 * Output is queued up to TTY_QUEUE_BYTES; beyond that the oldest unwritten bytes of a flood are dropped with a mark,
 * since a person cannot read them anyway. termios(3), xterm ctlseqs (bracketed paste).
 */
#ifndef STEAD_TERM_TTY_H
#define STEAD_TERM_TTY_H

#include "base/buf.h"
#include "base/loop.h"
#include "term/keys.h"

#define TTY_QUEUE_BYTES (8u << 20)

struct tty;

int tty_open(struct loop *loop, key_fn on_key, loop_fn on_resize, void *ctx, struct tty **out, struct err *e) WARN_UNUSED;
void tty_close(struct tty *t);
static inline void tty_auto(struct tty **t)
{
    tty_close(*t);
}
void tty_look(struct tty *t); /* at its size, which may have changed before the signal came */
void tty_size(const struct tty *t, size_t *rows, size_t *columns);
void tty_write(struct tty *t, struct span text);
void tty_flush(struct tty *t); /* waits, at most a second */
/* Columns of standard output, 80 when it is not a terminal. */
size_t term_columns(void);
/* Does this terminal wrap anew what stands on it when its window gets narrower? Others cut it. */
bool term_reflows(void);

#endif
