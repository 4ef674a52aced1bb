/*
 * ui - the screen of the interactive session: what happened scrolls up and stays in the terminal's own history; the last
 * rows are the prompt area, drawn anew under it: a live line (what the model or a gate is doing), the input, a status line.
 *
 *     ui_say(ui, text);      // erases the area, writes above it, draws it again: one write, no flicker
 *     ui_redraw(ui);         // the area alone
 *
 * Without `tty` (--plain) nothing is drawn twice: lines go to standard output. The session itself is cmd-interactive.c.
 */
#ifndef STEAD_CLI_UI_H
#define STEAD_CLI_UI_H

#include "base/loop.h"
#include "cli/command.h"
#include "term/edit.h"
#include "term/markdown.h"
#include "term/tty.h"

struct journal;
struct task;

#define OUT_BYTES (16u << 20)
#define AREA_ROWS_MOST 200 /* a window with more is unusual: its area is left where it was */
#define TASK_TEXT_BYTES (1u << 16)
#define OUTPUT_BYTES (1u << 16)

struct ui {
    struct cli *cli;
    struct loop *loop;
    struct tty *tty; /* NULL: plain */
    struct edit *edit;
    struct task *task;
    struct journal *journal;
    struct cancel cancel;
    struct markdown md;
    struct buf edits;     /* diffs of what the running tool wrote */
    struct buf pending;   /* messages typed while nobody listened: the next turn */
    bool working, quit, line_ready, unfold;
    bool listening;       /* the agent works: a message reaches it with its next request */
    bool asking, answered; /* a question is put to the person */
    char answer;
    bool asked_why;       /* the next key says why the last turn was interrupted */
    bool asked_to_leave;  /* Ctrl-C was pressed on an empty line: once more leaves */
    size_t area_rows, area_cursor; /* rows of the prompt area as drawn, and the row the cursor is in */
    size_t area_columns;           /* it was drawn for */
    size_t area_column;            /* the cursor is in */
    size_t area_widths[AREA_ROWS_MOST];
    char live[160];
    char context[48], speed[32];
    int64_t began_ms;
    int64_t step_ms, step_tokens;
    int spin;
    struct loop_source *ticker;
    char line[TASK_TEXT_BYTES];
    char last_output[OUTPUT_BYTES];
    char history[4096];
};

size_t ui_columns(const struct ui *ui);
void ui_redraw(struct ui *ui);
/* The sequence that removes the area, for the end. */
void ui_erase(const struct ui *ui, struct buf *b);
/* Text that stays: complete lines, each ends with \n. Clean already. */
void ui_say(struct ui *ui, struct span text);
void ui_sayf(struct ui *ui, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ui_say_error(struct ui *ui, const struct err *e);

#endif
