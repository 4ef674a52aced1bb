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

static const char *const approve_names[] = { "ask", "auto", "never", NULL };
static const char *const backend_names[] = { "native", "oci", "nested", NULL };

static const struct option run_options[] = {
    { "endpoint", 0, OPT_STRING, "NAME|URL", "use this endpoint" },
    { "model", 0, OPT_STRING, "NAME", "ask for this model" },
    { "class", 0, OPT_STRING, "CLASS", "treat the task as of this class (see `stead route explain`)" },
    { "local-only", 0, OPT_FLAG, NULL, "use no hosted endpoint, whatever the policy says" },
    { "harness", 0, OPT_STRING, "NAME|\"CMD\"", "let another harness make the attempt, inside the same walls" },
    { "gate", 0, OPT_STRINGS, "CMD", "run this gate in place of the detected ones (repeatable)" },
    { "no-gates", 0, OPT_FLAG, NULL, "run no gates: the change needs a person's approval" },
    { "approve", 0, OPT_CHOICE, "ask|auto|never", "who approves (default: ask at a terminal, else never)", .choices = approve_names },
    { "apply", 0, OPT_FLAG, NULL, "carry the change into the workspace when it is verified and approved" },
    { "max-steps", 0, OPT_INT, "N", "stop after N steps", .min = 1, .max = 100000 },
    { "max-tokens", 0, OPT_INT, "N", "stop after N tokens computed or written", .min = 1, .max = 1000000000 },
    { "timeout", 0, OPT_DURATION, "DURATION", "stop after this time (500ms, 15s, 10m, 2h)" },
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
    struct task_spec spec = {
        .kind = "run",
        .endpoint = cli_string(cli, "endpoint"),
        .model = cli_string(cli, "model"),
        .task_class = cli_string(cli, "class"),
        .harness = cli_string(cli, "harness"),
        .local_only = cli_flag(cli, "local-only"),
        .no_gates = cli_flag(cli, "no-gates"),
        .apply = cli_flag(cli, "apply"),
        .backend = cli_string(cli, "backend"),
        .max_steps = cli_int(cli, "max-steps", 0),
        .max_tokens = cli_int(cli, "max-tokens", 0),
        .timeout_ms = cli_int(cli, "timeout", 0),
    };
    const char *const *gates;
    size_t n = cli_strings(cli, "gate", &gates);
    spec.gates = (struct strings){ (const char **)(uintptr_t)gates, n };
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
