#include "cli/cmd.h"

/* In the order of `stead help`: what a newcomer needs first, comes first. */
const struct command *const commands[] = {
#ifdef STEAD_TASK
    &cmd_run,
#endif
    &cmd_change_list,
    &cmd_change_show,
    &cmd_change_diff,
    &cmd_change_apply,
    &cmd_change_discard,
#ifdef STEAD_SANDBOX
    &cmd_undo,
    &cmd_sandbox_run,
    &cmd_sandbox_check,
#endif
#ifdef STEAD_VERIFY
    &cmd_verify,
#endif
    &cmd_fit,
    &cmd_model_list,
    &cmd_model_import,
    &cmd_model_remove,
    &cmd_model_catalogue,
    &cmd_config_show,
    &cmd_config_check,
    &cmd_config_path,
    &cmd_completion,
    &cmd_help,
    NULL,
};
