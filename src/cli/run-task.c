#include "cli/run-task.h"

#include <stdlib.h>
#include <unistd.h>

#include "agent/session.h"
#include "base/mem.h"
#include "cli/ask-why.h"
#include "cli/cli-internal.h"
#include "cli/show.h"
#include "config/config.h"
#include "journal/journal.h"

const char *const run_approve_names[] = { "ask", "auto", "never", NULL };

struct task_spec run_spec(const struct cli *cli)
{
    const char *const *gates;
    size_t n = cli_strings(cli, "gate", &gates);
    return (struct task_spec){
        .kind = "run",
        .endpoint = cli_string(cli, "endpoint"),
        .model = cli_string(cli, "model"),
        .task_class = cli_string(cli, "class"),
        .local_only = cli_flag(cli, "local-only"),
        .gates = { (const char **)(uintptr_t)gates, n },
        .no_gates = cli_flag(cli, "no-gates"),
        .apply = cli_flag(cli, "apply"),
        .max_steps = cli_int(cli, "max-steps", 0),
        .max_tokens = cli_int(cli, "max-tokens", 0),
        .timeout_ms = cli_int(cli, "timeout", 0),
    };
}

struct stream {
    struct cli *cli;
    int64_t seq; /* of the last event */
};

static int json_event(void *ctx, const struct journal_event *ev)
{
    struct stream *s = ctx;
    struct cli *cli = s->cli;
    s->seq = ev->seq;
    if (session_internal(ev->type))
        return 0;
    struct buf line = BUF_INIT(JOURNAL_EVENT_LIMIT + 4096);
    journal_event_line(&line, ev);
    buf_addc(&line, '\n');
    cli_out(cli, buf_span(&line));
    cli_out_now();
    buf_finish(&line);
    return 0;
}

enum task_approve run_approval(const struct cli *cli, const struct config_values *v, const char **approver)
{
    int chosen = cli_has(cli, "approve") ? cli_choice(cli, "approve", -1) : -1;
    *approver = "--approve auto";
    if (chosen >= 0)
        return chosen == 0 ? TASK_ASK : chosen == 1 ? TASK_AUTO : TASK_NEVER;
    *approver = "policy.approve";
    switch (v->policy.approve) {
    case CONFIG_APPROVE_ASK:
        return TASK_ASK;
    case CONFIG_APPROVE_AUTO:
        return TASK_AUTO;
    case CONFIG_APPROVE_NEVER:
        return TASK_NEVER;
    case CONFIG_APPROVE_UNSET:
        break;
    }
    return cli->tty && !cli->json && isatty(STDIN_FILENO) ? TASK_ASK : TASK_NEVER;
}

static int run_warm(struct cli *cli, struct config *cfg, struct task_spec *spec, struct span text, struct err *e)
{
    AUTO(ptr) char *workspace = getcwd(NULL, 0);
    AUTO(journal) struct journal *j = NULL;
    AUTO(task) struct task *t = NULL;
    struct show show;
    struct stream stream = { cli, 0 };
    struct task_result r = { 0 };
    spec->loop = cli_loop(cli, e);
    if (!spec->loop)
        return cli_fail(cli, EXIT_FAILED, e);
    if (!workspace) {
        err_sys(e, "cannot name the current directory");
        err_hint(e, "it was removed or cannot be read: go to an existing directory, or name one with -C");
        return cli_fail(cli, EXIT_FAILED, e);
    }
    if (journal_open(config_journal_path(cfg), JOURNAL_CREATE, &j, e) < 0)
        return cli_fail(cli, cli_exit_of(e), e);
    show_init(&show, cli);
    spec->config = cfg;
    spec->journal = j;
    spec->workspace = workspace;
    spec->approve = run_approval(cli, config_values(cfg), &spec->approver);
    if (!cli->json) {
        spec->live = show_live(&show);
        spec->events = show_events(&show);
    }
    if (journal_subscribe(j, cli->json ? json_event : show_event, cli->json ? (void *)&stream : (void *)&show, e) < 0 ||
        task_open(spec, &t, e) < 0)
        return cli_fail(cli, cli_exit_of(e), e);
    if (task_turn(t, text, &r, cli_cancel(cli), e) < 0) {
        if (cli->json && !r.recorded && stream.seq > 0) {
            AUTO(buf) struct buf lines = BUF_INIT(1 << 18);
            task_unrecorded(t, e, &r, stream.seq, &lines);
            cli_out(cli, buf_span(&lines));
        }
        cli->json &= stream.seq == 0; /* else the error and the result are in the stream already */
        return cli_fail(cli, r.exit, e);
    }
    if (!cli->json)
        show_result(&show, &r);
    if (show.rejected || r.exit == EXIT_INTERRUPTED)
        ask_why(cli, spec->loop, j, r.session, show.rejected ? "review" : "interrupted");
    return r.exit;
}

int run_task(struct cli *cli, struct task_spec *spec, struct span text, struct err *e)
{
    struct config *cfg = cli_config(cli, e);
    if (!cfg)
        return cli_fail(cli, EXIT_USAGE, e);
    task_warm();
    int code = run_warm(cli, cfg, spec, text, e);
    task_warm_end();
    return code;
}
