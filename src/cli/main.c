/*
 * main - find the command's row, read its options, run it, leave with the contract's exit code.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>

#include "base/clean.h"
#include "base/data.h"
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "cli/version.h"
#define LOG_MODULE "cli"
#include "base/log.h"

/* The interactive session: `stead` without a command. */
static const struct command *find_command(int argc, char **argv, int *used, const char **group)
{
    const char *word = argv[0];
    size_t n = strlen(word);
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, word) == 0) {
            *used = 1;
            return *c;
        }
    for (const struct command *const *c = commands; *c; c++) {
        const char *name = (*c)->name;
        if (strncmp(name, word, n) != 0 || name[n] != ' ')
            continue;
        *group = word;
        if (argc > 1 && strcmp(name + n + 1, argv[1]) == 0) {
            *used = 2;
            return *c;
        }
    }
    return NULL;
}

static void settle_output(struct cli *cli)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    cli->tty = isatty(STDOUT_FILENO) == 1;
    int color = cli_choice(cli, "color", 0);
    cli->color = color == 1 || (color == 0 && cli->tty && !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0);
    cli->json = cli_flag(cli, "json");
    if (cli->json)
        cli->color = false;
    cli->quiet = cli_flag(cli, "quiet");
    cli->verbose = cli_count(cli, "verbose");
    log_set_level(cli->verbose > 1 ? LOG_DEBUG : cli->verbose ? LOG_INFO : LOG_WARN);
    cli->config_file = cli_string(cli, "config");
}

/* Also where the command line cannot be read: whoever asked for JSON reads no other. */
static bool asks_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

/* A user's own rows and files in place of the built-in ones: $XDG_CONFIG_HOME/stead/data (base/data.h). */
static void use_own_data(void)
{
    static char dir[4096];
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    int n = config && config[0] == '/' ? snprintf(dir, sizeof dir, "%s/stead/data", config)
            : home && home[0] == '/'   ? snprintf(dir, sizeof dir, "%s/.config/stead/data", home)
                                       : -1;
    if (n > 0 && (size_t)n < sizeof dir)
        data_set_override(dir);
}

static int enter_dir(struct cli *cli, struct err *e)
{
    cli->dir = cli_string(cli, "dir");
    if (cli->dir && chdir(cli->dir) < 0) {
        err_sys(e, "cannot work in '%s'", cli->dir);
        e->kind = ERR_USAGE;
        err_hint(e, "name an existing directory with -C");
        return -ERR_USAGE;
    }
    return 0;
}

/* Options before a command: `stead -C DIR run` is as good as `stead run -C DIR`. */
static int leading_options(struct cli *cli, int argc, char **argv, struct err *e)
{
    static struct command root = { "", "", "", NULL, 0, -1, NULL, .stop_at_operand = true };
    root.options = cmd_interactive.options; /* `stead --endpoint URL` is the interactive session */
    cli->command = &root;
    return cli_parse(cli, argc, argv, e);
}

static int run(struct cli *cli, int argc, char **argv)
{
    struct err e = ERR_INIT;
    const char *group = NULL;
    int used = 0;
    use_own_data();
    bool json = asks_json(argc, argv); /* now: reading moves the operands to the front */
    if (leading_options(cli, argc, argv, &e) < 0) {
        cli->json = json;
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    argc = cli->argc;
    argv = cli->argv;
    settle_output(cli);
    if (argc == 0 && cli_flag(cli, "help")) {
        help_overview(cli);
        return EXIT_DONE;
    }
    if (cli_flag(cli, "version"))
        return version_print(cli);
    static char interactive_name[] = "interactive";
    static char *interactive_argv[] = { interactive_name, NULL };
    const struct command *cmd = argc ? find_command(argc, argv, &used, &group)
                                     : find_command(1, interactive_argv, &used, &group);
    if (!argc) {
        used = 0;
        if (!cmd) {
            help_overview(cli);
            return EXIT_USAGE;
        }
    }
    if (!cmd && group) {
        bool asks_help = argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
        bool no_action = argc == 1 || (argc == 2 && strcmp(argv[1], "--json") == 0);
        cli->json |= json;
        if (no_action && cli->json) {
            err_set(&e, ERR_USAGE, "'stead %s' needs an action", group);
            err_hint(&e, "`stead %s --help` lists its actions", group);
            return cli_fail(cli, EXIT_USAGE, &e);
        }
        if (asks_help || no_action) {
            help_group(cli, group);
            return asks_help ? EXIT_DONE : EXIT_USAGE;
        }
        char what[64];
        (void)clean_into(what, sizeof what, span_of(argv[1]), CLEAN_LINE);
        err_set(&e, ERR_USAGE, "'stead %s' has no action '%s'", group, what);
        err_hint(&e, "`stead %s --help` lists its actions", group);
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    if (!cmd) {
        char what[64];
        (void)clean_into(what, sizeof what, span_of(argv[0]), CLEAN_LINE);
        const struct command *near = cli_nearest_command(argv[0]);
        cli->json |= json;
        err_set(&e, ERR_USAGE, "unknown command '%s'", what);
        if (near)
            err_hint(&e, "did you mean `stead %s`?", near->name);
        else
            err_hint(&e, "`stead help` lists the commands; to give a task: stead run \"TASK\"");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    cli->command = cmd;
    if (cli_check_known(cli, &e) < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    if (cli_parse(cli, argc - used, argv + used, &e) < 0) {
        cli->json = cmd->stop_at_operand ? cli_count(cli, "json") > 0 : json;
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    settle_output(cli);
    if (cli_flag(cli, "help")) {
        help_command(cli, cmd);
        return EXIT_DONE;
    }
    if (cli_flag(cli, "version"))
        return version_print(cli);
    if (cli_check_operands(cli, &e) < 0 || enter_dir(cli, &e) < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    return cmd->run(cli);
}

/* A program started with 0, 1 or 2 closed would write its output into whatever file it opens next. */
static void open_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    fd_close(&fd);
}

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    open_standard_streams();
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of one write, not our death */
    int code = run(&cli, argc > 0 ? argc - 1 : 0, argv + (argc > 0));
    code = cli_out_end(&cli, code);
    cli_finish(&cli);
    return code;
}
