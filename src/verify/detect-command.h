/*
 * detect-command - which check a command line is, by its words: "npm run lint" is a lint gate, "npm start" none.
 *
 * For commands that people wrote down: in AGENTS.md, in CI, in Makefiles. Only commands that are known
 * to check, to end, and to need nothing filled in are taken: a wrong gate is worse than none.
 */
#ifndef STEAD_VERIFY_DETECT_COMMAND_H
#define STEAD_VERIFY_DETECT_COMMAND_H

#include "verify/gate.h"

/*
 * True when `line` is such a command, with its kind, the program that it needs (static, may be NULL), and
 * what of the line to run: "npm ci && npm test" without its download.
 */
bool command_is_check(struct span line, enum gate_kind *kind, const char **needs, struct span *run);

#endif
