/*
 * line-help - what helps a person to type a line: completion of /commands and @paths, and the lines of earlier sessions.
 *
 *     complete_word(edit, names, &several);   // Tab; `several` is a line of candidates where nothing could be added
 *     history_load(edit, path);               // at the start; a missing file is no failure
 *     history_save(edit, path);               // at the end: the last 200
 */
#ifndef STEAD_CLI_LINE_HELP_H
#define STEAD_CLI_LINE_HELP_H

#include "base/buf.h"
#include "term/edit.h"

/* `commands` ends with NULL. Names come from the file system: they are cleaned for the terminal. */
void complete_word(struct edit *ed, const char *const *commands, struct buf *several);

void history_load(struct edit *ed, const char *path);
void history_save(const struct edit *ed, const char *path);

#endif
