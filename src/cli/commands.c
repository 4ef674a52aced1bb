#include "cli/cmd.h"

/* In the order of `stead help`: what a newcomer needs first, comes first. */
const struct command *const commands[] = {
#ifdef STEAD_TASK
    &cmd_run,
#endif
    &cmd_config_show,
    &cmd_config_check,
    &cmd_config_path,
    &cmd_completion,
    &cmd_help,
    NULL,
};
