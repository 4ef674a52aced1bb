/*
 * help, completion: text made from the rows, for people, for man and for shells.
 */
#include <stdio.h>

#include "base/clean.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"

#define TEXT_LIMIT_BYTES (1u << 20)

static int print_text(struct cli *cli, struct buf *text)
{
    struct err e = ERR_INIT;
    int code = EXIT_DONE;
    if (buf_check(text, &e) < 0)
        code = cli_fail(cli, EXIT_FAILED, &e);
    else {
        cli_text_begin(cli);
        cli_out(cli, buf_span(text));
        cli_text_end(cli);
    }
    buf_finish(text);
    return code;
}

static int help_main(struct cli *cli)
{
    char name[64] = "";
    for (int i = 0; i < cli->argc; i++) {
        size_t n = strlen(name);
        (void)snprintf(name + n, sizeof name - n, "%s%s", i ? " " : "", cli->argv[i]);
    }
    if (cli_flag(cli, "man")) {
        struct buf text = BUF_INIT(TEXT_LIMIT_BYTES);
        if (help_man(name, &text))
            return print_text(cli, &text);
    } else if (!name[0]) {
        help_overview(cli);
        return EXIT_DONE;
    }
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0) {
            help_command(cli, *c);
            return EXIT_DONE;
        }
    for (const struct command *const *c = commands; *c; c++)
        if (strncmp((*c)->name, name, strlen(name)) == 0 && (*c)->name[strlen(name)] == ' ') {
            help_group(cli, name);
            return EXIT_DONE;
        }
    struct err e = ERR_INIT;
    char safe[64];
    (void)clean_into(safe, sizeof safe, span_of(name), CLEAN_LINE);
    err_set(&e, ERR_USAGE, "no help for '%s': there is no such command", safe);
    err_hint(&e, "`stead help` lists the commands");
    return cli_fail(cli, EXIT_USAGE, &e);
}

static const struct option help_options[] = {
    { "man", 0, OPT_FLAG, NULL, "print the man page's source (roff)" },
    { 0 },
};

const struct command cmd_help = { "help", "show help of stead or of a command", "[COMMAND]", help_options, 0, 2, help_main };

static int completion_main(struct cli *cli)
{
    struct buf text = BUF_INIT(TEXT_LIMIT_BYTES);
    if (help_completion(cli->argv[0], &text))
        return print_text(cli, &text);
    struct err e = ERR_INIT;
    char safe[64];
    (void)clean_into(safe, sizeof safe, span_of(cli->argv[0]), CLEAN_LINE);
    err_set(&e, ERR_USAGE, "no completion for '%s'", safe);
    err_hint(&e, "known shells: bash, zsh, fish");
    return cli_fail(cli, EXIT_USAGE, &e);
}

const struct command cmd_completion = {
    "completion", "print completion for a shell", "bash|zsh|fish", NULL, 1, 1, completion_main,
    .examples = "stead completion bash > ~/.local/share/bash-completion/completions/stead\tcomplete commands and options in bash\n",
};
