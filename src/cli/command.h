/*
 * command - one row a command: help, usage errors, completion and man pages come from the rows.
 *
 *     static const struct option run_options[] = {
 *         { "endpoint", 0, OPT_STRING, "NAME|URL", "use this endpoint" },
 *         { "gate", 0, OPT_STRINGS, "CMD", "run this gate in place of the detected ones (repeatable)" },
 *         { "max-steps", 0, OPT_INT, "N", "stop after N steps", .min = 1, .max = 10000 },
 *         { "approve", 0, OPT_CHOICE, "WHEN", "who approves", .choices = (const char *const[]){ "ask", "auto", "never", NULL } },
 *         { 0 },
 *     };
 *     static int run_main(struct cli *cli) {
 *         const char *url = cli_string(cli, "endpoint");        // NULL when not given
 *         int64_t n = cli_int(cli, "max-steps", 50);
 *         ... cli->argc / cli->argv: the operands ...
 *         return EXIT_DONE;                                      // or return cli_fail(cli, EXIT_FAILED, &e);
 *     }
 *     const struct command cmd_run = { "run", "one task, start to end", "[options] \"TASK\"", run_options, 1, 1, run_main };
 *
 * A command with actions (`stead change list`) has one row an action, named "change list"; its first word
 * groups them. The common options (-C, --config, --json, -q, -v, --color, -h, --version) are parsed for every
 * command and stand in struct cli. Options may stand before and after operands; "--" ends them.
 */
#ifndef STEAD_CLI_COMMAND_H
#define STEAD_CLI_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Exit codes: the contract with scripts. */
enum exit_code {
    EXIT_DONE = 0,         /* done */
    EXIT_FAILED = 1,       /* stead itself failed: message on standard error */
    EXIT_USAGE = 2,        /* the command line or a configuration is wrong */
    EXIT_RED = 3,          /* finished, but gates are red */
    EXIT_STOPPED = 4,      /* the agent stopped without finishing */
    EXIT_UNSERVED = 5,     /* no endpoint could serve the task */
    EXIT_PENDING = 6,      /* a person must decide */
    EXIT_NO_SANDBOX = 7,   /* the sandbox could not be set up */
    EXIT_INTERRUPTED = 130
};

enum option_type { OPT_FLAG, OPT_STRING, OPT_STRINGS, OPT_INT, OPT_DURATION, OPT_SIZE, OPT_FLOAT, OPT_CHOICE };

struct option {
    const char *name; /* long name without dashes */
    char letter;      /* or 0 */
    enum option_type type;
    const char *arg;  /* what help calls its value: "FILE"; NULL for flags */
    const char *doc;  /* one line */
    int64_t min, max; /* OPT_INT; both 0: any from 0 */
    const char *const *choices;
};

struct cli;

struct command {
    const char *name;     /* "run", "change list" */
    const char *summary;  /* one line, lower case */
    const char *usage;    /* operands: "[options] \"TASK\"" */
    const struct option *options; /* ends with a NULL name; may be NULL */
    int min_args, max_args;       /* operands; max -1: any number */
    int (*run)(struct cli *cli);
    const char *about;    /* paragraphs for the man page and --help, or NULL */
    const char *examples; /* lines "command\tmeaning\n...", or NULL */
    bool stop_at_operand; /* options end at the first operand: for commands that run a command */
};

struct config;
struct loop;

struct cli {
    const struct command *command;
    int argc;
    char **argv; /* operands */
    const char *dir;    /* -C, already entered with chdir; the workspace is the current directory */
    const char *config_file;
    bool json, quiet, color, tty; /* color: decided for standard output; tty: standard output is a terminal */
    int verbose;
    struct option_value *values; /* internal */
    struct config *config;       /* internal: see cli_config */
    struct loop *loop;           /* internal: see cli_loop */
};

/* Values by long name. Asking for a name that the row lacks is a programming error (assert). */
bool cli_flag(const struct cli *cli, const char *name);
bool cli_has(const struct cli *cli, const char *name); /* does this command know the option at all? */
const char *cli_string(const struct cli *cli, const char *name);
size_t cli_strings(const struct cli *cli, const char *name, const char *const **items); /* count */
int64_t cli_int(const struct cli *cli, const char *name, int64_t absent); /* also DURATION (ms) and SIZE (bytes) */
double cli_float(const struct cli *cli, const char *name, double absent);
int cli_choice(const struct cli *cli, const char *name, int absent); /* index in choices */

/* Loaded when first asked for; NULL with *e set (exit EXIT_USAGE). Owned by cli. */
struct config *cli_config(struct cli *cli, struct err *e);
/* Made when first asked for; SIGINT and SIGTERM raise cli_cancel's token. Owned by cli. */
struct loop *cli_loop(struct cli *cli, struct err *e);
struct cancel *cli_cancel(struct cli *cli);
/* A command that has its own way of stopping: fn in place of the token; a second signal does not end the program then. */
void cli_on_stop(void (*fn)(void *ctx, int signo), void *ctx);

/* Print "stead: TEXT" and "try: HINT" to standard error, cleaned; returns code. With --json an error event goes to standard output. */
int cli_fail(struct cli *cli, int code, const struct err *e);
/* The exit code that fits an error's kind. */
int cli_exit_of(const struct err *e);

/*
 * Standard output. Nothing else writes there. A closed pipe ends the program quietly with the code of
 * the contract; any other write failure (full disk) is reported and becomes EXIT_FAILED by cli_out_end.
 */
void cli_out(struct cli *cli, struct span text);
void cli_outf(struct cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_out_clean(struct cli *cli, struct span text, unsigned clean_flags); /* text from outside */
/* Colour: "" when colour is off. Names: bold, dim, red, green, yellow, blue, magenta, cyan, reset. */
const char *cli_style(const struct cli *cli, const char *name);

extern const struct command *const commands[]; /* NULL-terminated, in the order of `stead help` */

#endif
