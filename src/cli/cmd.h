/*
 * cmd - the rows of all commands; each is defined in the cmd-*.c file of its name.
 */
#ifndef STEAD_CLI_CMD_H
#define STEAD_CLI_CMD_H

#include "cli/command.h"

extern const struct command cmd_change_apply;
extern const struct command cmd_change_diff;
extern const struct command cmd_change_discard;
extern const struct command cmd_change_list;
extern const struct command cmd_change_show;
extern const struct command cmd_completion;
extern const struct command cmd_config_check;
extern const struct command cmd_config_keys;
extern const struct command cmd_config_path;
extern const struct command cmd_config_show;
extern const struct command cmd_doctor;
extern const struct command cmd_endpoint_add;
extern const struct command cmd_endpoint_list;
extern const struct command cmd_endpoint_probe;
extern const struct command cmd_endpoint_remove;
extern const struct command cmd_fit;
extern const struct command cmd_fork;
extern const struct command cmd_help;
extern const struct command cmd_init;
extern const struct command cmd_interactive;
extern const struct command cmd_model_catalogue;
extern const struct command cmd_model_import;
extern const struct command cmd_model_list;
extern const struct command cmd_model_remove;
extern const struct command cmd_resume;
extern const struct command cmd_review;
extern const struct command cmd_report;
extern const struct command cmd_route_explain;
extern const struct command cmd_run;
extern const struct command cmd_sandbox_check;
extern const struct command cmd_sandbox_run;
extern const struct command cmd_session_export;
extern const struct command cmd_session_list;
extern const struct command cmd_session_show;
extern const struct command cmd_undo;
extern const struct command cmd_verify;

#endif
