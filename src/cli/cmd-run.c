/*
 * run - one task, start to end.
 */
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "cli/run-task.h"

#define TASK_LIMIT_BYTES (1u << 20)

static const char *const backend_names[] = { "native", "oci", "nested", NULL };

static const struct option run_options[] = {
    { "endpoint", 0, OPT_STRING, "NAME|URL", "use this endpoint" },
    RUN_OPTIONS,
    { "harness", 0, OPT_STRING, "NAME|\"CMD\"", "let another harness make the attempt, inside the same walls" },
    { "net", 0, OPT_STRING, "none|HOST,...", "hosts that the sandbox may reach (none is the default)" },
    { "backend", 0, OPT_CHOICE, "native|oci|nested", "sandbox backend", .choices = backend_names },
    { 0 },
};

static int read_task(const struct cli *cli, struct buf *text, struct err *e)
{
    if (strcmp(cli->argv[0], "-") == 0) {
        if (file_read_fd(STDIN_FILENO, "standard input", TASK_LIMIT_BYTES, text, e) < 0) {
            err_hint(e, "a task is at most 1 MiB of text; mention large files in it as @path");
            return -(int)e->kind;
        }
    } else {
        buf_adds(text, cli->argv[0]);
    }
    if (!span_trim(buf_span(text)).n) {
        err_set(e, ERR_USAGE, "the task is empty");
        err_hint(e, "say what to do: stead run \"make the failing test pass\"");
        return -ERR_USAGE;
    }
    return buf_check(text, e);
}

static bool check_net(const struct cli *cli, struct err *e)
{
    const char *net = cli_string(cli, "net"), *backend = cli_string(cli, "backend");
    if (net && strcmp(net, "none") != 0) {
        err_set(e, ERR_USAGE, "--net %s: this version has no egress: the sandbox reaches no host", net);
        err_hint(e, "leave --net out; fetch what the task needs before (dependencies in the workspace are visible inside)");
        return false;
    }
    if (backend && strcmp(backend, "native") != 0) {
        err_set(e, ERR_USAGE, "--backend %s is not in this version", backend);
        err_hint(e, "the native backend is the default");
        return false;
    }
    return true;
}

static int run_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf text = BUF_INIT(TASK_LIMIT_BYTES);
    if (read_task(cli, &text, &e) < 0 || !check_net(cli, &e))
        return cli_fail(cli, EXIT_USAGE, &e);
    struct task_spec spec = run_spec(cli);
    spec.harness = cli_string(cli, "harness");
    spec.backend = cli_string(cli, "backend");
    return run_task(cli, &spec, buf_span(&text), &e);
}

const struct command cmd_run = {
    "run", "one task, start to end", "[options] \"TASK\"", run_options, 1, 1, run_main,
    .about = "Chooses an endpoint, lets an agent work in a sandbox over a private layer of this directory, reads the change,\n"
             "runs the gates over it, sends what fails back to the agent, and keeps the change as a draft. Only what is\n"
             "approved is carried in. TASK - reads standard input.",
    .examples = "stead run \"make the failing test pass\"\twork here, ask before anything is carried in\n"
                "stead run --approve auto --apply \"fix the lint warnings in src/\"\tcarry in what passes the gates\n"
                "stead run --json --approve never - < task.txt\tfor programs: events, a draft\n",
};
