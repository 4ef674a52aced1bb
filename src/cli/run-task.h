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

/* `spec`: what the command's options say; loop, config, journal, workspace, approval and events are filled in. */
int run_task(struct cli *cli, struct task_spec *spec, struct span text, struct err *e);
/* --approve where the command has it, else policy, else: ask at a terminal, never elsewhere. */
enum task_approve run_approval(const struct cli *cli, const struct config_values *v, const char **approver);

#endif
