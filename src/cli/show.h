/*
 * show - a task for a person at a terminal, or in a log: what it does, as it does it.
 *
 *     struct show s;
 *     show_init(&s, cli);
 *     spec.live = show_live(&s);  spec.events = show_events(&s);
 *     journal_subscribe(journal, show_event, &s, e);
 *     ... task_turn ...
 *     show_result(&s, &result);
 *
 * One of the readers of a task's events (the JSON stream is another). Everything that a model, a server or a
 * repository says is cleaned. Progress lines are rewritten in place on a terminal and left out elsewhere.
 */
#ifndef STEAD_CLI_SHOW_H
#define STEAD_CLI_SHOW_H

#include "agent/attempt.h"
#include "base/clean.h"
#include "cli/command.h"
#include "journal/journal.h"
#include "task/task.h"

struct show {
    struct cli *cli;
    bool live_line;     /* a progress line stands without a newline */
    bool in_text;       /* the model's words are being written */
    bool quiet;
    bool rejected;      /* a person turned the change down */
    struct cleaner cleaner;
    struct attempt_events live;
    struct task_events events;
    char stage[200];    /* the last one shown: progress comes often */
};

void show_init(struct show *s, struct cli *cli);
const struct attempt_events *show_live(struct show *s);
const struct task_events *show_events(struct show *s);
int show_event(void *ctx, const struct journal_event *ev); /* journal_event_fn */
void show_result(struct show *s, const struct task_result *r);

/* A unified diff in colour, cleaned. */
void show_diff(struct cli *cli, struct span diff);
void show_diff_text(struct span diff, struct buf *out); /* in the styles of term/style.h */

/* A tool call as one clean line: "$ make test", "edit src/a.c:7"; and what its result says at the end ("[exit 2]"), or "". */
void show_call(const char *tool, struct span args_json, char *out, size_t size);
void show_outcome(struct span output, char *out, size_t size);

#endif
