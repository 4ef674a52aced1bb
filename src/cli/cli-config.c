/*
 * The configuration, loaded when a command first asks for it.
 */
#include "cli/cli-internal.h"

#include <stdlib.h>

void cli_config_finish(struct cli *cli)
{
    (void)cli;
}

struct config *cli_config(struct cli *cli, struct err *e)
{
    (void)cli;
    err_set(e, ERR_UNSUPPORTED, "no configuration");
    return NULL;
}
