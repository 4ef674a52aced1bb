/*
 * version - what this program is made of, for `stead --version` and `stead doctor`.
 */
#ifndef STEAD_CLI_VERSION_H
#define STEAD_CLI_VERSION_H

#include "cli/command.h"

/* Prints versions (JSON with --json); the exit code. */
int version_print(struct cli *cli);

#endif
