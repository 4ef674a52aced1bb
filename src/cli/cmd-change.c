/*
 * change list, show, diff, apply, discard: what tasks have proposed, and carrying it in.
 */
#include "base/clean.h"
#include "base/clock.h"
#define LOG_MODULE "cli"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "cli/trailers.h"
#include "base/bind.h"
#include "config/config.h"
#include "journal/journal.h"
#include "workspace/apply.h"
#include "workspace/change.h"
#include "workspace/diff.h"

#define JSON_LIMIT_BYTES ((size_t)64 << 20)
#define DIFF_LIMIT_BYTES ((size_t)256 << 20)
#define ARENA_LIMIT_BYTES ((size_t)256 << 20)
#define SHOWN_TASK_BYTES 60

/* The state directory, after what an earlier stead left half done there was finished. NULL: *e says why. */
static const char *state_of(struct cli *cli, struct err *e)
{
    struct apply_resumed resumed;
    struct config *c = cli_config(cli, e);
    if (!c)
        return NULL;
    const char *state = config_state_dir(c);
    if (apply_resume(state, NULL, &resumed, e) < 0)
        return NULL;
    if (!cli->quiet && (resumed.completed || resumed.reverted || resumed.unresolved)) {
        char note[400];
        (void)fprintf(stderr, "stead: interrupted applies: %zu finished, %zu taken back, %zu unresolved%s%s\n",
                      resumed.completed, resumed.reverted, resumed.unresolved, *resumed.note ? ": " : "",
                      clean_into(note, sizeof note, span_of(resumed.note), CLEAN_LINE));
    }
    return state;
}

static int config_or_failed(struct cli *cli, const struct err *e)
{
    return cli_fail(cli, cli->config ? cli_exit_of(e) : EXIT_USAGE, e);
}

/* A change belongs here when its workspace is this directory, above or below it. */
static bool is_here(const char *cwd, const char *workspace)
{
    size_t a = strlen(cwd), b = strlen(workspace), n = a < b ? a : b;
    return strncmp(cwd, workspace, n) == 0 && (a == b || (a < b ? workspace : cwd)[n] == '/' || n == 1);
}

/* The change named by the operand, else the newest of this directory. */
static int open_change(struct cli *cli, const char *state, const char *id, struct change **out, struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    struct change_info *infos;
    size_t n;
    (void)cli;
    if (id)
        return change_load(state, id, out, e);
    if (!cwd)
        return err_sys(e, "cannot find the current directory");
    if (change_list(state, NULL, &a, &infos, &n, e) < 0)
        return err_code(e);
    for (size_t i = 0; i < n; i++)
        if (is_here(cwd, infos[i].workspace))
            return change_load(state, infos[i].id, out, e);
    err_set(e, ERR_NOT_FOUND, "no task has left a change for this directory");
    err_hint(e, "`stead change list --all` shows those of other directories");
    return -ERR_NOT_FOUND;
}

static int print_buf(struct cli *cli, struct buf *b)
{
    struct err e = ERR_INIT;
    int code = EXIT_DONE;
    if (buf_check(b, &e) < 0)
        code = cli_fail(cli, EXIT_FAILED, &e);
    else
        cli_out(cli, buf_span(b));
    buf_finish(b);
    return code;
}

/* --- list --- */

static const struct option list_options[] = {
    { "all", 'a', OPT_FLAG, NULL, "changes of every directory" },
    { 0 },
};

static const char *age(int64_t created_ms, char out[24])
{
    int64_t ms = clock_unix_ms() - created_ms;
    if (ms < 0)
        ms = 0;
    if (ms < 60000)
        (void)snprintf(out, 24, "now");
    else if (ms < 3600000)
        (void)snprintf(out, 24, "%d min", (int)(ms / 60000));
    else if (ms < 48 * 3600000LL)
        (void)snprintf(out, 24, "%d h", (int)(ms / 3600000));
    else
        (void)snprintf(out, 24, "%d days", (int)(ms / 86400000));
    return out;
}

static const char *status_style(const struct cli *cli, enum change_status s)
{
    static const char *const colors[CHANGE_STATUSES] = { "yellow", "green", "red", "yellow", "dim", "dim" };
    return cli_style(cli, colors[s]);
}

static int list_json(struct cli *cli, const char *state, const struct change_info *infos, size_t n, const char *cwd)
{
    struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
    size_t shown = 0;
    buf_adds(&b, "{\"v\":1,\"changes\":[");
    for (size_t i = 0; i < n; i++) {
        struct err ignored = ERR_INIT; /* one that was discarded meanwhile */
        AUTO(change) struct change *c = NULL;
        if ((cwd && !is_here(cwd, infos[i].workspace)) || change_load(state, infos[i].id, &c, &ignored) < 0)
            continue;
        if (shown++)
            buf_addc(&b, ',');
        if (change_count(c, &ignored) < 0)
            log_debug("%s: lines not counted: %s", c->id, ignored.text);
        change_json(c, &b);
    }
    buf_adds(&b, "]}\n");
    return print_buf(cli, &b);
}

static int list_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    AUTO(ptr) char *cwd = cli_flag(cli, "all") ? NULL : getcwd(NULL, 0);
    const char *state = state_of(cli, &e);
    struct change_info *infos;
    size_t n, shown = 0;
    if (!state || change_list(state, NULL, &a, &infos, &n, &e) < 0)
        return config_or_failed(cli, &e);
    if (cli->json)
        return list_json(cli, state, infos, n, cwd);
    for (size_t i = 0; i < n; i++) {
        char when[24], task[SHOWN_TASK_BYTES * 4], where[200];
        if (cwd && !is_here(cwd, infos[i].workspace))
            continue;
        shown++;
        (void)clean_into(task, SHOWN_TASK_BYTES, span_of(infos[i].task), CLEAN_LINE);
        cli_outf(cli, "%s%s%s  %s%-8s%s  %4zu file%s  %-8s  %s", cli_style(cli, "bold"), infos[i].id,
                 cli_style(cli, "reset"), status_style(cli, infos[i].status), change_status_name(infos[i].status),
                 cli_style(cli, "reset"), infos[i].nfiles, infos[i].nfiles == 1 ? " " : "s",
                 age(infos[i].created_unix_ms, when), task);
        if (!cwd)
            cli_outf(cli, "  %s%s%s", cli_style(cli, "dim"),
                     clean_into(where, sizeof where, span_of(infos[i].workspace), CLEAN_LINE), cli_style(cli, "reset"));
        cli_outf(cli, "\n");
    }
    if (!shown && !cli->quiet)
        cli_outf(cli, "no changes%s\n", cwd ? " for this directory (--all shows those of others)" : "");
    return EXIT_DONE;
}

const struct command cmd_change_list = {
    "change list", "show the changes that tasks have proposed", "[options]", list_options, 0, 0, list_main,
    .about = "Newest first: those of this directory, or of all with --all.",
};

/* --- show --- */

static void show_file(struct cli *cli, const struct change_file *f)
{
    static const char marks[CHANGE_KINDS] = { 'A', 'M', 'D', 'R', 'X' };
    static const char *const colors[CHANGE_KINDS] = { "green", "yellow", "red", "cyan", "yellow" };
    AUTO(buf) struct buf name = BUF_INIT(65536), old = BUF_INIT(65536);
    clean_add(&name, span_of(f->path), CLEAN_QUOTE);
    clean_add(&old, span_of(f->old_path), CLEAN_QUOTE);
    cli_outf(cli, "  %s%c%s  ", cli_style(cli, colors[f->kind]), marks[f->kind], cli_style(cli, "reset"));
    if (f->kind == CHANGE_RENAMED)
        cli_outf(cli, "%s -> ", buf_str(&old));
    cli_outf(cli, "%s", buf_str(&name));
    if (f->added > 0 || f->removed > 0)
        cli_outf(cli, "  %s+%lld%s %s-%lld%s", cli_style(cli, "green"), (long long)f->added, cli_style(cli, "reset"),
                 cli_style(cli, "red"), (long long)f->removed, cli_style(cli, "reset"));
    else if (f->now.symlink)
        cli_outf(cli, "  symbolic link");
    else if (f->now.binary || f->base.binary)
        cli_outf(cli, "  binary");
    if (f->now.exists && f->base.exists && f->now.mode != f->base.mode)
        cli_outf(cli, "  mode %03o -> %03o", f->base.mode, f->now.mode);
    cli_outf(cli, "\n");
    if (f->guard)
        cli_outf(cli, "     %sneeds its own approval: %s%s\n", cli_style(cli, "magenta"), f->guard_why,
                 cli_style(cli, "reset"));
    if (f->base_moved)
        cli_outf(cli, "     %schanged in the workspace after the task began%s\n", cli_style(cli, "yellow"),
                 cli_style(cli, "reset"));
}

static void show_text(struct cli *cli, const struct change *c)
{
    char when[24], text[400];
    cli_outf(cli, "%schange %s%s  %s%s%s  %s\n", cli_style(cli, "bold"), c->id, cli_style(cli, "reset"),
             status_style(cli, c->status), change_status_name(c->status), cli_style(cli, "reset"),
             age(c->created_unix_ms, when));
    if (*c->task)
        cli_outf(cli, "task       %s\n", clean_into(text, sizeof text, span_of(c->task), CLEAN_LINE));
    cli_outf(cli, "workspace  %s\n", clean_into(text, sizeof text, span_of(c->workspace), CLEAN_LINE));
    if (*c->session)
        cli_outf(cli, "session    %s\n", c->session);
    if (*c->apply_id)
        cli_outf(cli, "apply      %s\n", c->apply_id);
    cli_outf(cli, "\n");
    for (size_t i = 0; i < c->nfiles; i++)
        show_file(cli, &c->files[i]);
    if (!c->nfiles)
        cli_outf(cli, "  nothing changes\n");
    for (size_t i = 0; i < c->nnotes; i++) {
        char path[400];
        if (c->notes[i].kind == NOTE_EXCLUDED && !cli->verbose)
            continue;
        cli_outf(cli, "  %s%s: %s: %s%s\n", cli_style(cli, "dim"), change_note_name(c->notes[i].kind),
                 clean_into(path, sizeof path, span_of(c->notes[i].path), CLEAN_QUOTE),
                 clean_into(text, sizeof text, span_of(c->notes[i].text), CLEAN_LINE), cli_style(cli, "reset"));
    }
    if (c->nexcluded && !cli->verbose)
        cli_outf(cli, "  %s%lld ignored file%s or director%s left out (-v names them)%s\n", cli_style(cli, "dim"),
                 (long long)c->nexcluded, c->nexcluded == 1 ? "" : "s", c->nexcluded == 1 ? "y" : "ies",
                 cli_style(cli, "reset"));
}

static int show_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(change) struct change *c = NULL;
    const char *state = state_of(cli, &e);
    if (!state || open_change(cli, state, cli->argc ? cli->argv[0] : NULL, &c, &e) < 0 || change_count(c, &e) < 0)
        return config_or_failed(cli, &e);
    if (cli->json) {
        struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
        change_json(c, &b);
        buf_addc(&b, '\n');
        return print_buf(cli, &b);
    }
    show_text(cli, c);
    return EXIT_DONE;
}

const struct command cmd_change_show = {
    "change show", "show one change: its files, and what needs attention", "[CHANGE]", NULL, 0, 1, show_main,
    .about = "CHANGE is an identifier, or enough of its beginning; without it, the newest of this directory.\n"
             "A added, M modified, D deleted, R renamed, X mode.",
};

/* --- diff --- */

static const char *line_style(const struct cli *cli, struct span line)
{
    if (span_starts(line, "diff ") || span_starts(line, "--- ") || span_starts(line, "+++ ") ||
        span_starts(line, "rename ") || span_starts(line, "new ") || span_starts(line, "old ") ||
        span_starts(line, "deleted ") || span_starts(line, "similarity "))
        return cli_style(cli, "bold");
    if (span_starts(line, "@@"))
        return cli_style(cli, "cyan");
    if (span_starts(line, "+"))
        return cli_style(cli, "green");
    if (span_starts(line, "-"))
        return cli_style(cli, "red");
    return "";
}

/* For eyes: cleaned and coloured. For programs, as it is: `git apply` takes it. */
static void print_diff(struct cli *cli, struct span text)
{
    struct span line;
    if (!cli->tty && !cli->color) {
        cli_out(cli, text);
        return;
    }
    while (span_line(&text, &line)) {
        const char *style = line_style(cli, line);
        cli_outf(cli, "%s", style);
        cli_out_clean(cli, line, CLEAN_TEXT | CLEAN_SHOW); /* what a person approves must be what there is */
        cli_outf(cli, "%s\n", *style ? cli_style(cli, "reset") : "");
    }
}

static int diff_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(change) struct change *c = NULL;
    AUTO(buf) struct buf text = BUF_INIT(DIFF_LIMIT_BYTES);
    const char *state = state_of(cli, &e);
    if (!state || open_change(cli, state, cli->argc ? cli->argv[0] : NULL, &c, &e) < 0)
        return config_or_failed(cli, &e);
    for (int i = 1; i < cli->argc || i == 1; i++)
        if (change_diff(c, i < cli->argc ? cli->argv[i] : NULL, &text, &e) < 0)
            return cli_fail(cli, cli_exit_of(&e), &e);
    if (cli->json) {
        struct buf b = BUF_INIT(DIFF_LIMIT_BYTES * 2);
        buf_addf(&b, "{\"v\":1,\"id\":\"%s\",\"diff\":", c->id);
        buf_add_json(&b, buf_span(&text));
        buf_adds(&b, "}\n");
        return print_buf(cli, &b);
    }
    print_diff(cli, buf_span(&text));
    return EXIT_DONE;
}

const struct command cmd_change_diff = {
    "change diff", "show a change as a unified diff", "[CHANGE [PATH...]]", NULL, 0, -1, diff_main,
    .about = "At a terminal coloured and made safe to print; otherwise byte for byte, for git apply and patch.",
    .examples = "stead change diff | git apply --check\tsee whether it would apply with git\n",
};

/* --- apply --- */

static const struct option apply_options[] = {
    { "branch", 'b', OPT_STRING, "NAME", "make a commit on a new branch, leave the working tree alone" },
    { "message", 'm', OPT_STRING, "TEXT", "message of that commit" },
    { "guard-ok", 0, OPT_STRINGS, "PATH", "approve this guarded file too (repeatable; '*' for all)" },
    { "hash", 0, OPT_STRING, "HASH", "only if the change's hash (change show --json) is this" },
    { "dry-run", 'n', OPT_FLAG, NULL, "say what would happen, write nothing" },
    { "force", 0, OPT_FLAG, NULL, "apply although gates are red" },
    { "revert", 0, OPT_STRING, "ID", "take an applied change back" },
    { 0 },
};

/* The journal learns what a person did with a session's change. Without a session or a journal there is nothing to tell. */
static void record(struct cli *cli, const struct change *c, const char *status, const struct apply_result *r)
{
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    char members[200];
    const struct journal_change put = { .id = c->id, .session = c->session, .workspace = c->workspace, .status = status };
    if (!*c->session || journal_open(config_journal_path(cli->config), JOURNAL_WRITE, &j, &e) < 0)
        return;
    (void)snprintf(members, sizeof members, "{\"change\":\"%s\",\"files\":%zu,\"conflicts\":%zu}", c->id,
                   r ? r->nfiles : 0, r ? r->nconflicts : 0);
    if (journal_change_put(j, &put, &e) < 0 ||
        (r && strcmp(status, "applied") == 0 && journal_append(j, c->session, "apply", span_of(members), NULL, &e) < 0))
        (void)fprintf(stderr, "stead: the journal was not told: %s\n", e.text);
}

/* Trailers of a commit, with the verdict that the change was kept with. */
static int make_trailers(const struct change *c, struct arena *a, struct strings *out, struct err *e)
{
    AUTO(json) json_t *results = NULL;
    struct verdict v = { 0 };
    struct err unreadable = ERR_INIT;
    bool have = json_parse(span_of(c->results_json), BIND_TOLERANT, &results, &unreadable) >= 0 && verdict_load(results, a, &v, &unreadable) >= 0;
    return trailers_make(c, have ? &v : NULL, a, out, e);
}

static void result_json(struct buf *b, const char *change, const struct apply_result *r, const struct err *e)
{
    buf_adds(b, "{\"v\":1,\"change\":");
    buf_add_json(b, span_of(change));
    buf_addf(b, ",\"apply\":\"%s\",\"commit\":\"%s\",\"files\":[", r->id, r->commit);
    for (size_t i = 0; i < r->nfiles; i++) {
        buf_adds(b, i ? ",{\"path\":" : "{\"path\":");
        buf_add_json(b, span_of(r->files[i].path));
        buf_addf(b, ",\"outcome\":\"%s\",\"why\":", apply_outcome_name(r->files[i].outcome));
        buf_add_json(b, span_of(r->files[i].why));
        buf_addc(b, '}');
    }
    buf_addf(b, "],\"conflicts\":%zu,\"guarded\":%zu,\"error\":", r->nconflicts, r->nguarded);
    if (e->kind)
        buf_add_json(b, span_of(e->text));
    else
        buf_adds(b, "null");
    buf_adds(b, "}\n");
}

/* `done` is what APPLY_DONE means here: a revert restores. */
static void result_text(struct cli *cli, const char *done, const struct apply_result *r)
{
    for (size_t i = 0; i < r->nfiles; i++) {
        const struct apply_file *f = &r->files[i];
        char path[600], why[400];
        const char *color = f->outcome == APPLY_CONFLICT  ? "red"
                            : f->outcome == APPLY_GUARDED ? "magenta"
                            : f->outcome == APPLY_MERGED  ? "yellow"
                                                          : "green";
        if (cli->quiet && f->outcome < APPLY_CONFLICT)
            continue;
        cli_outf(cli, "  %s%-8s%s  %s%s%s\n", cli_style(cli, color),
                 f->outcome == APPLY_DONE ? done : apply_outcome_name(f->outcome), cli_style(cli, "reset"), clean_into(path, sizeof path, span_of(f->path), CLEAN_QUOTE),
                 *f->why ? ": " : "", clean_into(why, sizeof why, span_of(f->why), CLEAN_LINE));
    }
    if (*r->commit)
        cli_outf(cli, "commit %s\n", r->commit);
}

/* Print what happened; the exit code for it. */
static int finish(struct cli *cli, const char *change, const char *done, const struct apply_result *r, int rc, const struct err *e)
{
    int code = rc == 0                                          ? EXIT_DONE
               : rc == -ERR_CONFLICT || (r->nguarded && rc < 0) ? EXIT_PENDING
                                                                : cli_exit_of(e);
    if (cli->json) {
        struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
        result_json(&b, change, r, e);
        int printed = print_buf(cli, &b);
        return printed ? printed : code;
    }
    result_text(cli, done, r);
    return rc == 0 ? EXIT_DONE : cli_fail(cli, code, e);
}

static int revert(struct cli *cli, const char *state, const char *id)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    AUTO(change) struct change *c = NULL;
    struct apply_result r = { 0 };
    const char *apply_id = id;
    if (id[0] == 'c') {
        if (change_load(state, id, &c, &e) < 0)
            return cli_fail(cli, cli_exit_of(&e), &e);
        if (!*c->apply_id || c->status != CHANGE_APPLIED) {
            err_set(&e, ERR_INPUT, "change %s is not applied: it is %s", c->id, change_status_name(c->status));
            return cli_fail(cli, EXIT_FAILED, &e);
        }
        apply_id = c->apply_id;
    }
    int rc = apply_revert(state, apply_id, &a, &r, &e);
    if (rc == 0 && c)
        record(cli, c, "reverted", &r);
    return finish(cli, c ? c->id : id, "restored", &r, rc, &e);
}

static int apply_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    AUTO(change) struct change *c = NULL;
    struct apply_result r = { 0 };
    const char *state = state_of(cli, &e), *hash = cli_string(cli, "hash"), *branch = cli_string(cli, "branch");
    if (!state)
        return config_or_failed(cli, &e);
    if (cli_string(cli, "revert"))
        return revert(cli, state, cli_string(cli, "revert"));
    if (open_change(cli, state, cli->argc ? cli->argv[0] : NULL, &c, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (c->status == CHANGE_RED && !cli_flag(cli, "force")) {
        err_set(&e, ERR_DENIED, "change %s was not applied: its gates are red", c->id);
        err_hint(&e, "`stead change show %s` says why; --force applies it all the same", c->id);
        return cli_fail(cli, EXIT_RED, &e);
    }
    const char *const *ok;
    size_t nok = cli_strings(cli, "guard-ok", &ok);
    const char **guard_ok = arena_array(&a, nok + 1, sizeof *guard_ok);
    struct strings trailers = { 0 };
    if (make_trailers(c, &a, &trailers, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    if (!guard_ok) {
        err_set(&e, ERR_NOMEM, "cannot apply: out of memory");
        return cli_fail(cli, EXIT_FAILED, &e);
    }
    for (size_t i = 0; i < nok; i++)
        guard_ok[i] = ok[i];
    struct apply_options opt = { .state_dir = state, .change = c, .approved = hash ? hash : c->hash.s,
                                 .guard_ok = { guard_ok, nok }, .mode = branch ? APPLY_BRANCH : APPLY_TREE,
                                 .branch = branch, .message = cli_string(cli, "message"),
                                 .trailers = trailers, .dry_run = cli_flag(cli, "dry-run") };
    int rc = apply_change(&opt, &a, &r, &e);
    if (rc == 0 && !opt.dry_run && !branch && *r.id)
        record(cli, c, "applied", &r);
    return finish(cli, c->id, "applied", &r, rc, &e);
}

const struct command cmd_change_apply = {
    "change apply", "carry a change into the workspace, or take it back", "[CHANGE]", apply_options, 0, 1, apply_main,
    .about = "All of it or nothing. Where you edited a file meanwhile, both edits are merged when they touch different\n"
             "lines; otherwise nothing is written and the conflicts are named (exit 6). A kill or power cut in the middle is\n"
             "finished or taken back at the next start.\n"
             "\n"
             "Files that a tool would run or obey unasked (git hooks, editor, agent and CI configuration, .envrc) need\n"
             "their own --guard-ok PATH.",
    .examples = "stead change apply\tthe newest change of this directory\n"
                "stead change apply --branch try\tas a commit on a new branch\n"
                "stead change apply --revert c1jd5\ttake it back\n",
};

/* --- discard --- */

static int discard_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    const char *state = state_of(cli, &e);
    if (!state)
        return config_or_failed(cli, &e);
    for (int i = 0; i < cli->argc; i++) {
        AUTO(change) struct change *c = NULL;
        if (change_load(state, cli->argv[i], &c, &e) < 0 || change_discard(state, c->id, &e) < 0)
            return cli_fail(cli, cli_exit_of(&e), &e);
        record(cli, c, "discarded", NULL);
        if (cli->json)
            cli_outf(cli, "{\"v\":1,\"id\":\"%s\",\"status\":\"discarded\"}\n", c->id);
        else if (!cli->quiet)
            cli_outf(cli, "discarded %s\n", c->id);
    }
    return EXIT_DONE;
}

const struct command cmd_change_discard = {
    "change discard", "throw changes away", "CHANGE...", NULL, 1, -1, discard_main,
    .about = "The proposal is deleted; the workspace is not touched, and an applied change stays applied.",
};
