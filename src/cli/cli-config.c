/*
 * The configuration, loaded when a command first asks for it.
 */
#include "cli/cli-internal.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/config.h"

void cli_config_finish(struct cli *cli)
{
    config_destroy(cli->config);
    cli->config = NULL;
}

struct config *cli_config(struct cli *cli, struct err *e)
{
    if (cli->config)
        return cli->config;
    AUTO(ptr) char *workspace = getcwd(NULL, 0);
    const struct config_options o = { .workspace = workspace, .file = cli->config_file };
    struct config *c = NULL;
    if (config_load(&o, &c, e) < 0)
        return NULL;
    cli->config = c;
    return c;
}
