/*
 * text-tools - tools for models whose template or server knows none (Gemma 3, small models): described in the
 * system prompt, called by <tool_call> marks in the text, answered inside user messages.
 *
 * Used when behaviour.tools is off. The form is Hermes', which most models have seen; replies are read by the leak
 * parsers like any other call in the text. text_tools_read turns written messages back into calls and results, so
 * that resume, compaction and a change of endpoint work alike.
 */
#ifndef STEAD_MODEL_TEXT_TOOLS_H
#define STEAD_MODEL_TEXT_TOOLS_H

#include "model/dialect.h"

/* The system prompt with the tools behind it. */
bool text_tools_head(struct span instructions, const struct tool_schema *tools, size_t n, struct buf *out);

/* A call or a result as a plain message; `text` holds its new text. False when m is plain already. */
bool text_tools_message(const struct message *m, struct buf *text, struct message *out);

/* The way back. Ids are call00000, call00001, ... in order, as chat makes them. */
int text_tools_read(struct arena *a, struct message **m, size_t *n, struct err *e) WARN_UNUSED;

#endif
