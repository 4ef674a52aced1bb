/*
 * ask-why - one key after a result that a person did not take: was it wrong, or too slow?
 *
 *     ask_why(cli, loop, journal, session, "interrupted");      // at a terminal: waits for a key, ASK_WHY_MS at most
 *     why_record(journal, session, "review", WHY_WRONG, e);      // for a screen that reads keys by itself
 *
 * The answer is a `decision` event, which `stead report` reads (docs/design/metrics.md): someone who interrupts because it was
 * wrong has not lost patience, and a change that is turned down for having come too late was not wrong. No answer, no event.
 */
#ifndef STEAD_CLI_ASK_WHY_H
#define STEAD_CLI_ASK_WHY_H

#include "base/loop.h"
#include "cli/command.h"
#include "journal/journal.h"
#include "term/keys.h"

#define ASK_WHY_MS 20000
#define ASK_WHY_TEXT "was it [w]rong or too [s]low? any other key: neither"

enum why { WHY_NONE, WHY_WRONG, WHY_SLOW };

enum why why_of_key(const struct key *k);
const char *why_name(enum why w); /* "wrong", "slow" */
/* what: "interrupted", "review". WHY_NONE records nothing. */
int why_record(struct journal *j, const char *session, const char *what, enum why w, struct err *e) WARN_UNUSED;
/* Nothing happens where nobody can be asked: no terminal, --json, --quiet. */
void ask_why(struct cli *cli, struct loop *loop, struct journal *j, const char *session, const char *what);

#endif
