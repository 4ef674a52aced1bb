/*
 * control - the control tokens of chat templates inside text: broken up on the way to a model, made whole on the way back.
 *
 * Servers put a conversation together as one text and tokenise it with its control tokens, so that `<|im_end|>` in a file's
 * content ends the turn there, and what follows can speak in another's name (quirk 41). A zero-width space behind the first
 * character keeps the letters and takes the token away. A model that copies what it read writes the broken form: it is made
 * whole again in what runs and in what a person reads.
 */
#ifndef STEAD_MODEL_CONTROL_H
#define STEAD_MODEL_CONTROL_H

#include "base/buf.h"

/* False: nothing to change, and nothing in out; else out has all of `s` as changed (out->failed tells of a limit). */
bool control_break(struct buf *out, struct span s);
/* Also where the zero-width space is written as JSON writes it. */
bool control_join(struct buf *out, struct span s);

#endif
