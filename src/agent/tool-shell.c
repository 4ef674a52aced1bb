/* shell: a command, streamed, with a time limit; background jobs end with the attempt. */
#include "agent/tool.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "sandbox/sandbox.h"

struct shell_args {
    const char *command;
    int64_t timeout_s;
    bool background;
};

static const struct field fields[] = {
    { "command", FIELD_STRING, FIELD(shell_args, command), FIELD_REQUIRED, 1, 1 << 20, NULL },
    { "timeout_s", FIELD_I64, FIELD(shell_args, timeout_s), 0, 1, 36000, NULL },
    { "background", FIELD_BOOL, FIELD(shell_args, background), 0, 0, 0, "return at once" },
    { 0 },
};

static void on_output(void *ctx, int stream, struct span data)
{
    (void)stream;
    struct tool_run *run = ctx;
    if (run->env->on_output)
        run->env->on_output(run->env->ctx, run->id, data);
}

#define BACKGROUND_NICE 10 /* it runs beside the model's own work */

static int start_background(struct tool_run *run, struct sandbox_exec *x, struct buf *out, struct err *e)
{
    struct tool_env *env = run->env;
    if (env->njobs == TOOL_JOBS_MAX)
        return err_set(e, ERR_LIMIT, "%d background jobs were started already", TOOL_JOBS_MAX);
    struct sandbox_result r = { 0 };
    x->background = true;
    x->nice = BACKGROUND_NICE;
    x->timeout_ms = 0;
    x->on_output = NULL;
    int err = sandbox_exec(env->sandbox, x, NULL, &r, env->cancel, e);
    if (err < 0)
        return err;
    env->jobs[env->njobs++] = r.job;
    buf_addf(out, "[job %zu runs in the background; its output: %s]", env->njobs, r.spill_path);
    return 0;
}

static int run_shell(struct tool_run *run, const void *data, struct buf *out, struct err *e)
{
    const struct shell_args *a = data;
    struct tool_env *env = run->env;
    struct sandbox_exec x = {
        .argv = (const char *const[]){ "bash", "-c", a->command, NULL },
        .timeout_ms = a->timeout_s ? a->timeout_s * 1000 : env->command_ms,
        .out_cap_bytes = env->output_bytes,
        .merge = true,
        .on_output = on_output,
        .ctx = run,
    };
    if (a->background)
        return start_background(run, &x, out, e);
    AUTO(buf) struct buf raw = BUF_INIT((size_t)64 << 20);
    struct sandbox_result r = { 0 };
    int err = sandbox_exec(env->sandbox, &x, &raw, &r, env->cancel, e);
    if (err < 0 && e->kind == ERR_NOT_FOUND) {
        x.argv = (const char *const[]){ "sh", "-c", a->command, NULL };
        err = sandbox_exec(env->sandbox, &x, &raw, &r, env->cancel, e);
    }
    if (err < 0)
        return err;
    utf8_add_valid(out, buf_span(&raw));
    if (out->n > 0 && out->p[out->n - 1] != '\n')
        buf_addc(out, '\n');
    run->truncated = r.truncated;
    run->ok = !r.timed_out; /* a command that failed is an answer, not an error of the tool */
    if (r.out_of_memory)
        buf_adds(out, "[a process was ended: the sandbox's memory limit]\n");
    if (r.out_of_disk)
        buf_adds(out, "[ended: the sandbox's disk limit]\n");
    if (r.timed_out)
        buf_addf(out, "[ended after %lld s, the time limit; timeout_s sets another]\n", (long long)(x.timeout_ms / 1000));
    const char *hint = r.status ? sandbox_hint(env->sandbox, buf_span(&raw)) : NULL;
    if (hint)
        buf_addf(out, "[%s]\n", hint);
    buf_addf(out, "[exit %d]", r.status);
    return 0;
}

const struct tool tool_shell = {
    .name = "shell",
    .summary = "Run a command with bash.",
    .args = fields,
    .args_size = sizeof(struct shell_args),
    .needs = TOOL_READS | TOOL_WRITES | TOOL_SPAWNS,
    .run = run_shell,
};
