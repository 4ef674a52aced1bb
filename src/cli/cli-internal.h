/*
 * cli-internal - what main.c, cli.c and help.c share; not for commands.
 */
#ifndef STEAD_CLI_CLI_INTERNAL_H
#define STEAD_CLI_CLI_INTERNAL_H

#include "cli/command.h"

extern const struct option common_options[];

/* Read options into cli->values; operands are moved to the front of argv, and set as cli->argc, argv. */
int cli_parse(struct cli *cli, int argc, char **argv, struct err *e) WARN_UNUSED;
/* Options that stood before the command's name must be its own or common ones. */
int cli_check_known(const struct cli *cli, struct err *e) WARN_UNUSED;
int cli_check_operands(const struct cli *cli, struct err *e) WARN_UNUSED;
int cli_count(const struct cli *cli, const char *name);
/* Flush; report a failed write; the exit code to leave with. */
int cli_out_end(struct cli *cli, int code);
void cli_out_now(void);
/* What is printed between the two is text for people: with --json, one object that holds it. */
void cli_text_begin(struct cli *cli);
void cli_text_end(struct cli *cli);
int write_out(int fd, const char *p, size_t n);
void cli_finish(struct cli *cli);
void cli_config_finish(struct cli *cli);
const struct command *cli_nearest_command(const char *word);

/* help.c: everything made from the rows. */
void help_overview(struct cli *cli);
void help_command(struct cli *cli, const struct command *cmd);
void help_group(struct cli *cli, const char *group);
bool help_man(const char *name, struct buf *out);            /* roff; "" is stead(1) */
bool help_completion(const char *shell, struct buf *out);    /* bash, zsh, fish; false: unknown shell */

#endif
