/*
 * run-task - one turn of a task for a command: run, resume, review's way back to the agent.
 *
 * Opens the journal, shows what happens (a terminal's lines, or the JSON stream), runs the turn, prints its
 * result; the exit code of the contract.
 */
#ifndef STEAD_CLI_RUN_TASK_H
#define STEAD_CLI_RUN_TASK_H

#include "cli/command.h"
#include "task/task.h"

struct config_values;

/* What run and resume have in common: rows of an option table, read by run_spec. */
#define RUN_OPTIONS                                                                                                                              \
    { "model", 0, OPT_STRING, "NAME", "ask for this model" },                                                                                    \
        { "class", 0, OPT_STRING, "CLASS", "treat the task as of this class (see `stead route explain`)" },                                      \
        { "local-only", 0, OPT_FLAG, NULL, "use no hosted endpoint, whatever the policy says" },                                                 \
        { "gate", 0, OPT_STRINGS, "CMD", "run this gate in place of the detected ones (repeatable)" },                                           \
        { "no-gates", 0, OPT_FLAG, NULL, "run no gates: the change needs a person's approval" },                                                 \
        { "approve", 0, OPT_CHOICE, "ask|auto|never", "who approves (default: ask at a terminal, else never)", .choices = run_approve_names },   \
        { "apply", 0, OPT_FLAG, NULL, "carry the change into the workspace when it is verified and approved" },                                  \
        { "max-steps", 0, OPT_INT, "N", "stop after N steps", .min = 1, .max = 100000 },                                                         \
        { "max-tokens", 0, OPT_INT, "N", "stop after N tokens computed or written", .min = 1, .max = 1000000000 },                               \
        { "timeout", 0, OPT_DURATION, "DURATION", "stop after this time (500ms, 15s, 10m, 2h)" }

extern const char *const run_approve_names[];

/* The turn that these options ask for; its strings are the command line's. */
struct task_spec run_spec(const struct cli *cli);
/* `spec`: what the command's options say; loop, config, journal, workspace, approval and events are filled in. */
int run_task(struct cli *cli, struct task_spec *spec, struct span text, struct err *e);
/* --approve where the command has it, else policy, else: ask at a terminal, never elsewhere. */
enum task_approve run_approval(const struct cli *cli, const struct config_values *v, const char **approver);

#endif
