/*
 * sandbox run, check: any command in isolation over this directory; what isolation rests on here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "sandbox/sandbox.h"
#include "workspace/change.h"
#include "workspace/layer.h"

#define THROW_AWAY_BYTES (INT64_C(2) << 30) /* up to here a discarded layer is a tmpfs, above it lies on disk */
#define NOT_RUN 125 /* as env(1) and docker: 125 ourselves, 126 not executable, 127 not found */

static const char *const backends[] = { "native", "oci", "nested", NULL };

static const struct option run_options[] = {
    { "ro", 0, OPT_FLAG, NULL, "the directory can only be read" },
    { "keep", 0, OPT_FLAG, NULL, "keep what it wrote as a change, and say its ID on standard error" },
    { "tty", 't', OPT_FLAG, NULL, "give the command a terminal of its own" },
    { "net", 0, OPT_STRING, "none", "hosts that it may reach (none)" },
    { "memory", 0, OPT_SIZE, "SIZE", "memory of everything inside together" },
    { "pids", 0, OPT_INT, "N", "processes and threads at once", .min = 2, .max = 1000000 },
    { "cpus", 0, OPT_FLOAT, "N", "processors' worth of time" },
    { "disk", 0, OPT_SIZE, "SIZE", "bytes that it may write" },
    { "timeout", 0, OPT_DURATION, "DURATION", "kill it after this time" },
    { "env", 0, OPT_STRINGS, "NAME[=VALUE]", "pass or set an environment variable (repeatable)" },
    { "mount", 0, OPT_STRINGS, "SRC[:DST][:ro|rw]", "a further file or directory to see inside (repeatable)" },
    { "allow", 0, OPT_STRINGS, "userns|ptrace", "open a named hole: browsers, debuggers (repeatable)" },
    { "backend", 0, OPT_CHOICE, "native|oci|nested", "sandbox backend", .choices = backends },
    { 0 },
};

/* One run: the terminal or streams of ours tied to those of the command. */
struct relay {
    struct cli *cli;
    struct loop *loop;
    struct sandbox_job *job;
    struct loop_source *in, *winch;
    struct termios saved;
    bool raw, done, regular, in_end;
    bool closed;           /* nobody reads our standard output any more */
    bool clean[2];         /* standard output, standard error are a terminal of ours, and the command has none */
    struct cleaner cleaner[2];
    char last[1024];       /* of what was said */
    size_t nlast;
};

static void winsize(unsigned short *rows, unsigned short *cols)
{
    struct winsize ws = { 0 };
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) < 0)
        (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws);
    *rows = ws.ws_row;
    *cols = ws.ws_col;
}

static void on_winch(void *ctx, int signo)
{
    struct relay *r = ctx;
    struct err ignored;
    unsigned short rows, cols;
    (void)signo;
    winsize(&rows, &cols);
    (void)sandbox_job_resize(r->job, rows, cols, &ignored);
}

static bool write_stream(int fd, struct span data)
{
    while (data.n) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = { fd, POLLOUT, 0 };
            (void)poll(&p, 1, -1);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data.p += n;
        data.n -= (size_t)n;
    }
    return true;
}

/* The last of what was said, for sandbox_hint. */
static void remember(struct relay *r, struct span data)
{
    size_t size = sizeof r->last, n = data.n < size ? data.n : size;
    size_t keep = r->nlast < size - n ? r->nlast : size - n;
    memmove(r->last, r->last + r->nlast - keep, keep);
    memcpy(r->last + keep, data.p + data.n - n, n);
    r->nlast = keep + n;
}

static void on_output(void *ctx, int stream, struct span data)
{
    struct relay *r = ctx;
    struct err ignored;
    AUTO(buf) struct buf clean = BUF_INIT((size_t)1 << 20);
    int fd = stream == 2 ? STDERR_FILENO : STDOUT_FILENO;
    remember(r, data);
    if (r->clean[fd - 1]) {
        (void)cleaner_add(&r->cleaner[fd - 1], &clean, data, CLEAN_TEXT);
        data = buf_span(&clean);
    }
    if (r->closed || write_stream(fd, data))
        return;
    r->closed = true;
    (void)sandbox_job_signal(r->job, SIGKILL, &ignored);
}

static void end_input(struct relay *r)
{
    struct err ignored;
    r->in_end = true;
    loop_remove(r->in);
    r->in = NULL;
    (void)!sandbox_job_input(r->job, (struct span){ "", 0 }, &ignored);
}

static void pump(struct relay *r)
{
    char chunk[16384];
    struct err ignored;
    if (r->in_end)
        return;
    ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0 || sandbox_job_input(r->job, (struct span){ chunk, (size_t)n }, &ignored) < 0)
        return end_input(r);
    if (r->in && !sandbox_job_input_ready(r->job))
        loop_fd_events(r->in, 0);
}

static void on_stdin(void *ctx, int fd, unsigned events)
{
    (void)fd;
    (void)events;
    pump(ctx);
}

static void on_taken(void *ctx)
{
    struct relay *r = ctx;
    if (r->in)
        loop_fd_events(r->in, LOOP_READ);
    else if (r->regular)
        pump(r);
}

/* Pipes and terminals wake the loop; files and devices are always ready and are read as fast as they are taken. */
static void start_input(struct relay *r)
{
    struct stat st;
    sandbox_job_on_taken(r->job, on_taken, r);
    if (fstat(STDIN_FILENO, &st) < 0)
        return end_input(r);
    r->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(STDIN_FILENO));
    if (!r->regular && (r->in = loop_fd(r->loop, STDIN_FILENO, LOOP_READ, on_stdin, r)))
        return;
    r->regular = true;
    pump(r);
}

static void terminal_raw(struct relay *r)
{
    struct termios t;
    if (tcgetattr(STDIN_FILENO, &r->saved) < 0)
        return;
    t = r->saved;
    cfmakeraw(&t);
    r->raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static void on_done(void *ctx, struct sandbox_job *job)
{
    struct relay *r = ctx;
    (void)job;
    r->done = true;
    loop_wake(r->loop);
}

static int relay_command(struct cli *cli, struct loop *loop, struct sandbox *sb, int *status, struct err *e)
{
    struct relay r = { .cli = cli, .loop = loop };
    AUTO(ptr) const char **argv = calloc((size_t)cli->argc + 1, sizeof *argv); /* the operands are not NULL-terminated */
    if (!argv)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (int i = 0; i < cli->argc; i++)
        argv[i] = cli->argv[i];
    struct sandbox_exec x = { .argv = argv, .timeout_ms = cli_int(cli, "timeout", 0), .on_output = on_output,
                              .ctx = &r, .stdin_open = true, .tty = cli_flag(cli, "tty") };
    winsize(&x.rows, &x.cols);
    for (int i = 0; i < 2; i++)
        r.clean[i] = !x.tty && isatty(i + 1);
    int rc = sandbox_job_start(sb, &x, on_done, &r, &r.job, e);
    if (rc < 0)
        return rc;
    if (x.tty) {
        terminal_raw(&r);
        r.winch = loop_signal(loop, SIGWINCH, on_winch, &r);
    }
    start_input(&r);
    rc = loop_wait(loop, &r.done, 0, cli_cancel(cli), e);
    struct sandbox_result result;
    if (rc >= 0)
        rc = sandbox_job_result(r.job, &result, e);
    if (r.raw)
        (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &r.saved); /* answers of the terminal to what was asked inside are nobody's input */
    loop_remove(r.in);
    loop_remove(r.winch);
    sandbox_job_destroy(r.job);
    if (rc < 0)
        return rc;
    *status = r.closed ? 128 + SIGPIPE : result.status;
    char text[24];
    if (result.timed_out)
        (void)fprintf(stderr, "stead: the command was killed: it ran longer than %s\n", format_duration(x.timeout_ms, text));
    else if (result.out_of_memory)
        (void)fprintf(stderr, "stead: the command was killed: everything inside together needed more memory than allowed (--memory)\n");
    else if (result.out_of_disk)
        (void)fprintf(stderr, "stead: the command was killed: it wrote more than allowed (--disk)\n");
    const char *hint = result.status ? sandbox_hint(sb, (struct span){ r.last, r.nlast }) : NULL;
    if (hint)
        (void)fprintf(stderr, "stead: %s\n", hint);
    return 0;
}

static int check_net(const char *net, struct err *e)
{
    if (!net || strcmp(net, "none") == 0)
        return 0;
    err_set(e, ERR_USAGE, "--net %s: this version has no egress: the sandbox reaches no host", net);
    err_hint(e, "leave --net out; fetch what is needed before, outside");
    return -ERR_USAGE;
}

static int fill_spec(struct cli *cli, const struct config_sandbox *c, struct arena *a, struct sandbox_spec *spec, struct err *e)
{
    const char *const *items;
    size_t n = cli_strings(cli, "env", &items), nenv = 0, nkeep = 0;
    const char **env = arena_array(a, n + 1, sizeof *env), **keep = arena_array(a, n + c->nenv + 1, sizeof *keep);
    if (!env || !keep)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < c->nenv; i++)
        keep[nkeep++] = c->env[i];
    for (size_t i = 0; i < n; i++) {
        if (!items[i][0] || items[i][0] == '=')
            return err_set(e, ERR_USAGE, "--env '%s': expected NAME or NAME=VALUE", items[i]);
        if (strchr(items[i], '='))
            env[nenv++] = items[i];
        else
            keep[nkeep++] = items[i];
    }
    n = cli_strings(cli, "mount", &items);
    struct sandbox_mount *mounts = arena_array(a, n + c->nmounts + 1, sizeof *mounts);
    if (!mounts)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < n + c->nmounts; i++)
        if (sandbox_parse_mount(i < c->nmounts ? c->mounts[i] : items[i - c->nmounts], a, &mounts[i], e) < 0)
            return -(int)e->kind;
    spec->mounts = mounts;
    spec->nmounts = n + c->nmounts;
    n = cli_strings(cli, "allow", &items);
    for (size_t i = 0; i < n + c->nallow; i++)
        if (sandbox_parse_exception(i < c->nallow ? c->allow[i] : items[i - c->nallow], &spec->exceptions, e) < 0)
            return -(int)e->kind;
    spec->env = env;
    spec->env_keep = keep;
    spec->limits = (struct sandbox_limits){
        .memory_bytes = cli_int(cli, "memory", c->memory_bytes), .disk_bytes = cli_int(cli, "disk", c->disk_bytes), .inodes = c->inodes,
        .pids = (int)cli_int(cli, "pids", c->pids), .cpus = cli_float(cli, "cpus", c->cpus),
    };
    int backend = cli_choice(cli, "backend", -1);
    spec->backend = backend >= 0 ? backends[backend] : c->backend && strcmp(c->backend, "auto") != 0 ? c->backend : NULL;
    return check_net(cli_string(cli, "net"), e);
}

/* What the layer holds becomes a change that can be shown and applied like any other. */
static int keep_change(struct cli *cli, const char *state, struct layer *layer, struct err *e)
{
    AUTO(change) struct change *c = NULL;
    AUTO(buf) struct buf task = BUF_INIT(4096);
    int r = change_read(layer, NULL, &c, e);
    if (r < 0)
        return r;
    if (!c->nfiles) {
        if (!cli->quiet)
            (void)fprintf(stderr, "stead: nothing was written: no change to keep\n");
        return 0;
    }
    for (int i = 0; i < cli->argc && task.n < 1000; i++)
        buf_addf(&task, "%s%.500s", i ? " " : "", cli->argv[i]);
    r = change_set_task(c, buf_str(&task), e);
    if (r >= 0)
        r = change_save(c, state, e);
    if (r >= 0)
        r = change_set_status(state, c->id, CHANGE_PENDING, NULL, e);
    if (r >= 0)
        (void)fprintf(stderr, "stead: change %s (%zu file%s): stead change show %s\n", c->id, c->nfiles, c->nfiles == 1 ? "" : "s", c->id);
    return r;
}

/* The code of a failure before, or in place of, the command's own. */
static int code_of(const struct err *e, bool started)
{
    if (e->kind == ERR_USAGE)
        return EXIT_USAGE;
    if (e->kind == ERR_CANCELLED)
        return EXIT_INTERRUPTED;
    if (!started)
        return EXIT_NO_SANDBOX;
    return e->kind == ERR_NOT_FOUND ? 127 : e->kind == ERR_DENIED ? 126 : NOT_RUN;
}

/* The workspace's file system cannot carry an overlay: over a copy of it, then, said once. `e` says why, and stays where that does not help. */
static int start_on_copy(struct cli *cli, struct sandbox_spec *spec, struct layer **layer, const char *state, struct loop *loop, struct sandbox **sb,
                         struct err *e)
{
    struct err why = *e;
    if (spec->backend && strcmp(spec->backend, "native") != 0)
        return -(int)e->kind;
    struct layer_options opt = { .kind = LAYER_AUTO };
    if ((!*layer && layer_create(spec->workspace, state, &opt, layer, e) < 0) || layer_copy_base(*layer, e) < 0) {
        if (e->kind == ERR_UNSUPPORTED)
            *e = why;
        return -(int)e->kind;
    }
    spec->base = layer_base(*layer);
    if (!cli_flag(cli, "ro"))
        layer_overlay(*layer, &spec->overlay);
    if (!cli->quiet)
        (void)fprintf(stderr, "stead: %s\n", layer_note(*layer));
    return sandbox_start(loop, spec, sb, e);
}

static int run_in(struct cli *cli, struct sandbox_spec *spec, struct layer **own, const char *state, struct err *e)
{
    AUTO(sandbox) struct sandbox *sb = NULL;
    struct loop *loop = cli_loop(cli, e);
    int status = 0;
    if (!loop)
        return cli_fail(cli, NOT_RUN, e);
    int r = sandbox_begin(loop, spec, &sb, e);
    struct err ignored; /* what earlier runs left goes while the helper builds the walls */
    (void)sandbox_sweep(state, &ignored);
    (void)layer_sweep(state, &ignored);
    if (r >= 0 && (r = sandbox_ready(sb, e)) < 0)
        sandbox_destroy(TAKE(sb));
    if (r == -ERR_UNSUPPORTED)
        r = start_on_copy(cli, spec, own, state, loop, &sb, e);
    if (r < 0)
        return cli_fail(cli, code_of(e, false), e);
    struct layer *layer = *own;
    if (cli->verbose && sandbox_note(sb)[0])
        (void)fprintf(stderr, "stead: %s", sandbox_note(sb));
    int fd = layer && layer_kind(layer) == LAYER_TMPFS ? sandbox_tmpfs(sb) : -1;
    if (fd >= 0 && layer_adopt(layer, fd, e) < 0)
        return cli_fail(cli, NOT_RUN, e);
    r = relay_command(cli, loop, sb, &status, e);
    sandbox_destroy(TAKE(sb)); /* dead before what it wrote is read */
    if (r < 0)
        return cli_fail(cli, code_of(e, true), e);
    if (layer && cli_flag(cli, "keep") && keep_change(cli, state, layer, e) < 0)
        return cli_fail(cli, NOT_RUN, e);
    return status;
}

static int run_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(4 << 20);
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    AUTO(layer) struct layer *layer = NULL;
    struct config *config = cli_config(cli, &e);
    if (!config)
        return cli_fail(cli, EXIT_USAGE, &e);
    const char *state = config_state_dir(config);
    struct sandbox_spec spec = { .workspace = cwd, .state_dir = state };
    if (!cwd)
        return cli_fail(cli, NOT_RUN, &e);
    if (fill_spec(cli, &config_values(config)->sandbox, &a, &spec, &e) < 0)
        return cli_fail(cli, code_of(&e, true), &e);
    bool keep = cli_flag(cli, "keep"), ro = cli_flag(cli, "ro");
    if (keep && ro) {
        err_set(&e, ERR_USAGE, "--keep and --ro exclude each other");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    const char *lowers[] = { cwd };
    if (!keep && !ro && cli_int(cli, "disk", 0) <= THROW_AWAY_BYTES) {
        if (!cli_int(cli, "disk", 0))
            spec.limits.disk_bytes = THROW_AWAY_BYTES;
        spec.overlay = (struct sandbox_overlay){ .lowers = lowers, .nlowers = 1, .upper = "tmpfs" };
    } else if (!ro) {
        struct layer_options opt = { .kind = LAYER_AUTO };
        if (layer_create(cwd, state, &opt, &layer, &e) < 0)
            return cli_fail(cli, code_of(&e, false), &e);
        layer_overlay(layer, &spec.overlay);
        if (layer_note(layer)[0] && !cli->quiet)
            (void)fprintf(stderr, "stead: %s\n", layer_note(layer));
    }
    int code = run_in(cli, &spec, &layer, state, &e);
    struct err ignored;
    if (layer && layer_discard(layer, &ignored) < 0 && !cli->quiet)
        (void)fprintf(stderr, "stead: %s\n", ignored.text);
    return code;
}

const struct command cmd_sandbox_run = {
    "sandbox run", "run a command in isolation over this directory", "[options] -- CMD [ARG...]", run_options, 1, -1, run_main,
    .about = "The command sees this directory at its own path and the host's programs, and nothing else: no home directory, no network, no\n"
             "other process. What it writes goes to a private layer and is discarded, or kept as a change (--keep).\n"
             "The exit code is the command's own; 127 when it was not found, 126 when it is not executable, 125 when stead failed, 7\n"
             "when no sandbox can be set up.",
    .examples = "stead sandbox run -- make test\trun the tests\n"
                "stead sandbox run --keep -- npm install\tsee what an installation writes, before it does\n"
                "stead sandbox run -t -- bash\ta shell to look around in\n",
    .stop_at_operand = true,
};

/* --- check --- */

static void check_json(struct cli *cli, const struct sandbox_report *r)
{
    struct buf b = BUF_INIT(64 << 10);
    buf_addf(&b, "{\"v\":1,\"usable\":%s,\"backend\":\"%s\",\"identity\":%u,\"walls\":[", r->usable ? "true" : "false", r->backend,
             (unsigned)r->maps_to);
    for (size_t i = 0; i < r->nwalls; i++) {
        const struct sandbox_wall *w = &r->walls[i];
        buf_adds(&b, i ? ",{\"name\":" : "{\"name\":");
        buf_add_json(&b, span_of(w->name));
        buf_addf(&b, ",\"available\":%s,\"required\":%s,\"rests_on\":", w->available ? "true" : "false", w->required ? "true" : "false");
        buf_add_json(&b, span_of(w->rests_on));
        buf_adds(&b, ",\"detail\":");
        buf_add_json(&b, span_of(w->detail));
        buf_adds(&b, ",\"remedy\":");
        buf_add_json(&b, span_of(w->remedy));
        buf_addc(&b, '}');
    }
    buf_addf(&b, "],\"exit\":%d}\n", r->usable ? EXIT_DONE : EXIT_NO_SANDBOX);
    cli_out(cli, buf_span(&b));
    buf_finish(&b);
}

static void check_text(struct cli *cli, const struct sandbox_report *r)
{
    for (size_t i = 0; i < r->nwalls; i++) {
        const struct sandbox_wall *w = &r->walls[i];
        char text[200];
        const char *mark = w->available ? "yes" : w->required ? "NO" : "no";
        cli_outf(cli, "%s%-4s%s%-20s %s\n", cli_style(cli, w->available ? "green" : w->required ? "red" : "yellow"), mark,
                 cli_style(cli, "reset"), w->name, clean_into(text, sizeof text, span_of(w->detail), CLEAN_LINE));
        cli_outf(cli, "    %s%-20s rests on: %s%s\n", cli_style(cli, "dim"), "", w->rests_on, cli_style(cli, "reset"));
        if (w->remedy[0])
            cli_outf(cli, "    %-20s try: %s\n", "", clean_into(text, sizeof text, span_of(w->remedy), CLEAN_LINE));
    }
    cli_outf(cli, "%s\n", r->usable ? "the sandbox works here" : "the sandbox cannot be set up here: stead runs nothing without it");
}

static int check_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct sandbox_report report;
    struct loop *loop = cli_loop(cli, &e);
    if (!loop || sandbox_check(loop, &report, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    if (cli->json)
        check_json(cli, &report);
    else
        check_text(cli, &report);
    return report.usable ? EXIT_DONE : EXIT_NO_SANDBOX;
}

const struct command cmd_sandbox_check = {
    "sandbox check", "what isolation is available here, what it rests on, how to get the rest", "", NULL, 0, 0, check_main,
    .about = "Starts a sandbox over an empty directory and looks at each wall. Exit 7 when one that is required is missing.",
};
