/*
 * verify - gates and rules on a working tree or a range of commits, without any agent: for CI and git hooks.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "sandbox/sandbox.h"
#include "verify/commits.h"
#include "verify/verify.h"

#define NAMES_SHOWN 10u

static const struct option verify_options[] = {
    { "base", 0, OPT_STRING, "REF", "compare with this commit (default: HEAD)" },
    { "staged", 0, OPT_FLAG, NULL, "what `git commit` would record, not the working tree: for a pre-commit hook" },
    { "gate", 0, OPT_STRINGS, "CMD", "run this gate in place of the detected ones (repeatable)" },
    { "no-baseline", 0, OPT_FLAG, NULL, "every failure counts, whether it was there before or not" },
    { "no-rules", 0, OPT_FLAG, NULL, "do not look at what the change does to its checks" },
    { "rules-only", 0, OPT_FLAG, NULL, "run no gate: only look at what the change does to its checks (needs no sandbox)" },
    { "quick", 0, OPT_FLAG, NULL, "of the tests run only what the change concerns, where that is known" },
    { "list", 0, OPT_FLAG, NULL, "show the gates that would run, and where they come from" },
    { "sarif", 0, OPT_STRING, "FILE", "write findings as SARIF 2.1.0 (- is standard output)" },
    { "junit", 0, OPT_STRING, "FILE", "write results as JUnit XML" },
    { 0 },
};

struct job {
    struct cli *cli;
    const struct config_values *values;
    const char *state_dir;
    struct arena arena;
    struct commits commits;
    bool repository;
    char *workspace;
    struct gates gates;
    struct sandbox_spec sandbox;
    struct verdict verdict;
};

static void job_finish(struct job *j)
{
    commits_close(&j->commits);
    arena_finish(&j->arena);
    free(j->gates.items);
    free(j->workspace);
}

/* --- what to verify --- */

/* "A..B" names both ends; one operand alone is a commit compared with its parent. */
static int open_change(struct job *j, struct err *e)
{
    const char *from = cli_string(j->cli, "base"), *to = NULL;
    if (cli_flag(j->cli, "staged")) {
        if (j->cli->argc)
            return err_set(e, ERR_USAGE, "give either --staged or a range, not both");
        to = COMMITS_STAGED;
    }
    if (j->cli->argc) {
        const char *range = j->cli->argv[0], *dots = strstr(range, "..");
        if (from)
            return err_set(e, ERR_USAGE, "give either --base or a range, not both");
        if (dots) {
            size_t skip = dots[2] == '.' ? 3 : 2;
            from = dots == range ? "HEAD" : arena_span(&j->arena, (struct span){ range, (size_t)(dots - range) });
            to = dots[skip] ? arena_strdup(&j->arena, dots + skip) : "HEAD";
        } else {
            from = arena_printf(&j->arena, "%s^", range);
            to = range;
        }
        if (!from || !to)
            return err_set(e, ERR_NOMEM, "out of memory");
    }
    int r = commits_open(j->workspace, from ? from : "HEAD", to, &j->commits, e);
    bool outside = r == 0;
    if (r == -ERR_NOT_FOUND && !from) {
        err_reset(e); /* a repository without commits: everything is new, nothing to compare with */
        r = 0;
    }
    if (r == -ERR_NOT_FOUND) {
        e->kind = ERR_USAGE; /* the command line named it */
        return -ERR_USAGE;
    }
    if (outside && to)
        return err_set(e, ERR_USAGE, "'%s' is not in a git repository: there is nothing of it to verify", j->workspace);
    if (r == 0 && from)
        return err_set(e, ERR_USAGE, "'%s' is not in a git repository, so that '%s' means nothing", j->workspace, from);
    if (r > 0) {
        free(j->workspace);
        j->workspace = strdup(j->commits.top);
        if (!j->workspace)
            return err_set(e, ERR_NOMEM, "out of memory");
    }
    j->repository = r > 0;
    return r;
}

static const struct gate *given_gates(struct job *j, size_t *n, struct err *e)
{
    const char *const *given;
    size_t ngiven = cli_strings(j->cli, "gate", &given);
    *n = ngiven ? ngiven : j->values->ngates;
    struct gate *g = arena_array(&j->arena, *n + 1, sizeof *g);
    for (size_t i = 0; g && i < *n; i++) {
        if (ngiven) {
            g[i] = (struct gate){ .command = given[i], .kind = GATE_CUSTOM, .from = "--gate" };
        } else {
            const struct config_gate *c = &j->values->gates[i];
            g[i] = (struct gate){ .name = c->name, .command = c->command, .kind = GATE_CUSTOM, .cwd = c->cwd, .timeout_ms = c->timeout_ms, .from = "stead.yaml" };
            if (c->kind && !gate_kind_parse(span_of(c->kind), &g[i].kind))
                g[i].kind = GATE_CUSTOM;
        }
    }
    if (!g)
        err_set(e, ERR_NOMEM, "out of memory");
    return g;
}

static int find_gates(struct job *j, struct err *e)
{
    size_t n;
    const char *const dirs[] = { j->workspace };
    const char **paths = arena_array(&j->arena, j->commits.nfiles + 1, sizeof *paths);
    struct detect_input in = { .base = { dirs, 1, j->commits.base, j->commits.nbase }, .explicit_gates = given_gates(j, &n, e) };
    if (!in.explicit_gates || !paths)
        return e->kind ? -(int)e->kind : err_set(e, ERR_NOMEM, "out of memory");
    in.nexplicit = n;
    for (size_t i = 0; i < j->commits.nfiles; i++)
        paths[i] = j->commits.files[i].path;
    in.changed = (struct strings){ paths, j->commits.nfiles };
    return gate_detect(&in, &j->arena, &j->gates, e);
}

static int fill_sandbox(struct job *j, struct err *e)
{
    const struct config_sandbox *c = &j->values->sandbox;
    const char **keep = arena_array(&j->arena, c->nenv + 1, sizeof *keep);
    if (!keep)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < c->nenv; i++)
        keep[i] = c->env[i];
    struct sandbox_mount *mounts = arena_array(&j->arena, c->nmounts + 1, sizeof *mounts);
    if (!mounts)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < c->nmounts; i++)
        if (sandbox_parse_mount(c->mounts[i], &j->arena, &mounts[i], e) < 0)
            return err_wrap(e, "sandbox.mounts");
    j->sandbox = (struct sandbox_spec){
        .workspace = j->workspace,
        .state_dir = j->state_dir,
        .mounts = mounts,
        .nmounts = c->nmounts,
        .limits = { .memory_bytes = c->memory_bytes, .disk_bytes = c->disk_bytes, .inodes = c->inodes, .pids = (int)c->pids, .cpus = c->cpus },
        .env_keep = keep,
        .backend = c->backend && strcmp(c->backend, "auto") != 0 ? c->backend : NULL,
    };
    return 0;
}

/* What the base is: a commit says it all; files that git ignores do not count. */
static const char *base_key(struct job *j)
{
    struct hash_hex h;
    AUTO(buf) struct buf b = BUF_INIT(8192);
    if (!j->repository)
        return NULL;
    buf_addf(&b, "commit %s in %s", j->commits.base_id, j->workspace);
    h = hash_bytes(b.p, b.n);
    return arena_strdup(&j->arena, h.s);
}

/* --- showing --- */

static bool talks(const struct cli *cli)
{
    const char *s = cli_string(cli, "sarif"), *x = cli_string(cli, "junit");
    return !cli->json && !(s && !strcmp(s, "-")) && !(x && !strcmp(x, "-"));
}

static void show_gate(void *ctx, const struct gate_result *r)
{
    struct cli *cli = ctx;
    static const char *const colors[] = { [VERDICT_PASS] = "green", [VERDICT_FAIL] = "red", [VERDICT_FLAKY] = "yellow", [VERDICT_ERROR] = "yellow", [VERDICT_SKIPPED] = "dim" };
    char took[24];
    if (!talks(cli) || cli->quiet)
        return;
    cli_outf(cli, "%s%-8s%s", cli_style(cli, colors[r->verdict]), gate_verdict_name(r->verdict), cli_style(cli, "reset"));
    cli_out_clean(cli, span_of(r->gate->name), CLEAN_LINE);
    cli_outf(cli, "  %s(%s", cli_style(cli, "dim"), format_duration(r->duration_ms, took));
    if (r->tests_passed + r->tests_failed + r->tests_skipped)
        cli_outf(cli, ", %zu of %zu tests pass", r->tests_passed, r->tests_passed + r->tests_failed + r->tests_skipped);
    if (r->old_failures.len)
        cli_outf(cli, ", %zu failed before too", r->old_failures.len);
    cli_outf(cli, ")%s\n", cli_style(cli, "reset"));
    if (*r->reason) {
        cli_outf(cli, "        ");
        cli_out_clean(cli, span_of(r->reason), CLEAN_LINE);
        cli_outf(cli, "\n");
    }
    for (size_t i = 0; i < r->new_failures.len && i < NAMES_SHOWN; i++) {
        cli_outf(cli, "        %snew%s ", cli_style(cli, "red"), cli_style(cli, "reset"));
        cli_out_clean(cli, span_of(r->new_failures.items[i]), CLEAN_LINE);
        if (i < r->messages.len && *r->messages.items[i]) {
            cli_outf(cli, ": ");
            cli_out_clean(cli, span_sub(span_of(r->messages.items[i]), 0, 200), CLEAN_LINE);
        }
        cli_outf(cli, "\n");
    }
    if (r->new_failures.len > NAMES_SHOWN)
        cli_outf(cli, "        and %zu more\n", r->new_failures.len - NAMES_SHOWN);
    for (size_t i = 0; i < r->flaky.len && i < NAMES_SHOWN; i++) {
        cli_outf(cli, "        %sflaky%s ", cli_style(cli, "yellow"), cli_style(cli, "reset"));
        cli_out_clean(cli, span_of(r->flaky.items[i]), CLEAN_LINE);
        cli_outf(cli, "\n");
    }
    if (r->verdict == VERDICT_FAIL && !r->structured) {
        AUTO(buf) struct buf b = BUF_INIT(64u << 10);
        brief_command(&b, r->gate->command, r->evidence, r->status);
        struct span rest = buf_span(&b), line;
        while (span_line(&rest, &line)) {
            cli_outf(cli, "        ");
            cli_out_clean(cli, line, CLEAN_LINE);
            cli_outf(cli, "\n");
        }
    }
}

static void show_findings(struct cli *cli, const struct verdict *v)
{
    static const char *const colors[] = { [FINDING_NOTE] = "dim", [FINDING_PERSON] = "yellow", [FINDING_BLOCK] = "red" };
    for (size_t i = 0; i < v->findings.len; i++) {
        const struct finding *f = &v->findings.items[i];
        if (!strncmp(f->rule, "gate/", 5))
            continue; /* shown with its gate */
        cli_outf(cli, "%s%-8s%s", cli_style(cli, colors[f->severity]), finding_severity_name(f->severity), cli_style(cli, "reset"));
        cli_out_clean(cli, span_of(f->file), CLEAN_LINE);
        if (f->line)
            cli_outf(cli, ":%lld", (long long)f->line);
        cli_outf(cli, "%s", *f->file ? ": " : "");
        cli_out_clean(cli, span_of(f->message), CLEAN_LINE);
        cli_outf(cli, " %s[%s]%s\n", cli_style(cli, "dim"), f->rule, cli_style(cli, "reset"));
    }
}

static void show(struct cli *cli, const struct verdict *v)
{
    static const char *const colors[] = { [VERIFY_VERIFIED] = "green", [VERIFY_RED] = "red", [VERIFY_UNVERIFIED] = "yellow", [VERIFY_CLEAN] = "green" };
    if (!cli->quiet)
        show_findings(cli, v);
    cli_outf(cli, "%s%s%s", cli_style(cli, colors[v->state]), verify_state_name(v->state), cli_style(cli, "reset"));
    if (*v->reason) {
        cli_outf(cli, ": ");
        cli_out_clean(cli, span_of(v->reason), CLEAN_LINE);
    }
    cli_outf(cli, "\n");
}

static int list_gates(struct job *j)
{
    if (j->cli->json) {
        AUTO(json) json_t *a = json_array();
        for (size_t i = 0; i < j->gates.len; i++) {
            const struct gate *g = &j->gates.items[i];
            json_array_append_new(a, json_pack("{ssssssssss}", "name", g->name, "kind", gate_kind_name(g->kind), "command", g->command, "cwd", g->cwd, "from", g->from));
        }
        AUTO(json) json_t *o = json_pack("{sisO}", "v", 1, "gates", a);
        AUTO(buf) struct buf b = BUF_INIT(4u << 20);
        buf_add_json_value(&b, o);
        buf_addc(&b, '\n');
        cli_out(j->cli, buf_span(&b));
        return EXIT_DONE;
    }
    for (size_t i = 0; i < j->gates.len; i++) {
        const struct gate *g = &j->gates.items[i];
        cli_outf(j->cli, "%-7s ", gate_kind_name(g->kind));
        cli_out_clean(j->cli, span_of(g->name), CLEAN_LINE);
        cli_outf(j->cli, "  %s(", cli_style(j->cli, "dim"));
        cli_out_clean(j->cli, span_of(g->from), CLEAN_LINE);
        cli_outf(j->cli, ")%s\n", cli_style(j->cli, "reset"));
    }
    if (!j->gates.len)
        cli_outf(j->cli, "no gate was found; name one with --gate CMD or in stead.yaml\n");
    return EXIT_DONE;
}

static int export(struct cli *cli, const char *file, bool (*write)(const struct verdict *, struct buf *), const struct verdict *v, struct err *e)
{
    AUTO(buf) struct buf b = BUF_INIT(64u << 20);
    if (!file)
        return 0;
    if (!write(v, &b) || buf_check(&b, e) < 0)
        return err_set(e, ERR_LIMIT, "'%s': the report is too large", file);
    if (!strcmp(file, "-")) {
        cli_out(cli, buf_span(&b));
        return 0;
    }
    return file_write_atomic(file, buf_span(&b), 0644, false, e);
}

static int verify_job(struct job *j, struct err *e)
{
    struct cli *cli = j->cli;
    struct config *cfg = cli_config(cli, e);
    if (!cfg)
        return -(int)e->kind;
    j->values = config_values(cfg);
    j->state_dir = config_state_dir(cfg);
    arena_init(&j->arena, 1u << 30);
    AUTO(ptr) char *start = getcwd(NULL, 0);
    if (!start)
        return err_sys(e, "cannot tell the current directory");
    j->workspace = TAKE(start);
    AUTO(ptr) char *sarif = cli_string(cli, "sarif") && strcmp(cli_string(cli, "sarif"), "-") != 0 ? path_join(j->workspace, cli_string(cli, "sarif")) : NULL;
    AUTO(ptr) char *junit = cli_string(cli, "junit") && strcmp(cli_string(cli, "junit"), "-") != 0 ? path_join(j->workspace, cli_string(cli, "junit")) : NULL;
    if (cli_flag(cli, "rules-only") && cli_flag(cli, "no-rules"))
        return err_set(e, ERR_USAGE, "--rules-only and --no-rules leave nothing to do");
    if (open_change(j, e) < 0 || find_gates(j, e) < 0 || fill_sandbox(j, e) < 0)
        return -(int)e->kind;
    if (cli_flag(cli, "rules-only"))
        j->gates.len = 0;
    if (cli_flag(cli, "list"))
        return list_gates(j);
    struct loop *loop = cli_loop(cli, e);
    if (!loop)
        return -(int)e->kind;
    const char *const dirs[] = { j->workspace };
    struct verify_spec spec = {
        .loop = loop,
        .sandbox = &j->sandbox,
        .after = { dirs, 1, j->commits.after, j->commits.nafter },
        .base = { dirs, 1, j->commits.base, j->commits.nbase },
        .gates = j->gates.items,
        .ngates = j->gates.len,
        .change = j->commits.files,
        .nchange = j->commits.nfiles,
        .cache_dir = config_cache_dir(cfg),
        .base_key = base_key(j),
        .depth = cli_flag(cli, "quick") ? VERIFY_AFFECTED : VERIFY_FULL,
        .no_rules = cli_flag(cli, "no-rules"),
        .rules_only = cli_flag(cli, "rules-only"),
        /* without a change there is nothing to excuse a failure with */
        .no_baseline = cli_flag(cli, "no-baseline") || !j->commits.nfiles,
        .on_gate = show_gate,
        .ctx = cli,
    };
    if (verify_run(&spec, &j->arena, &j->verdict, cli_cancel(cli), e) < 0)
        return -(int)e->kind;
    if (cli->json) {
        AUTO(json) json_t *o = verdict_json(&j->verdict);
        AUTO(buf) struct buf b = BUF_INIT(64u << 20);
        json_object_set_new(o, "base", j->repository ? json_string(j->commits.base_id) : json_null());
        json_object_set_new(o, "files", json_integer((json_int_t)j->commits.nfiles));
        buf_add_json_value(&b, o);
        buf_addc(&b, '\n');
        cli_out(cli, buf_span(&b));
    } else if (talks(cli)) {
        show(cli, &j->verdict);
    }
    const char *s = cli_string(cli, "sarif"), *x = cli_string(cli, "junit");
    if (export(cli, sarif ? sarif : s, export_sarif, &j->verdict, e) < 0 || export(cli, junit ? junit : x, export_junit, &j->verdict, e) < 0)
        return -(int)e->kind;
    return verdict_exit(&j->verdict);
}

static int verify_main(struct cli *cli)
{
    struct job j = { .cli = cli };
    struct err e = ERR_INIT;
    int r = verify_job(&j, &e);
    job_finish(&j);
    return r < 0 ? cli_fail(cli, cli_exit_of(&e), &e) : r;
}

const struct command cmd_verify = {
    "verify",
    "gates on the working tree, against a baseline",
    "[options] [COMMIT | FROM..TO]",
    verify_options,
    0,
    1,
    verify_main,
    "Runs the project's gates (tests, linters, formatters, type checkers) in a throw-away sandbox over the working tree as it is, "
    "and compares what fails with what failed at the base commit: only what is new makes the result red. What is new is run again, "
    "three times; mixed results are flaky. Rules look at what the change does to its own checks: deleted, skipped and weakened "
    "tests, suppressions, loosened configuration, secrets, conflict markers.\n\n"
    "Gates come from --gate, else `gates:` in stead.yaml, else commands in AGENTS.md, the CI workflow, Makefile and package.json "
    "targets, else a table of ecosystems; --list shows them. A gate whose tool is not installed is skipped, and a skipped gate "
    "never counts as passed.\n\n"
    "With FROM..TO the two commits are compared; the working tree is not touched. Exit status: 0 verified, 3 red, 6 a person must "
    "look or nothing has checked the change.",
    "stead verify\tuncommitted work against HEAD\n"
    "stead verify --base origin/main\tthis branch and what is uncommitted\n"
    "stead verify HEAD~3..HEAD --sarif out.sarif\tthe last three commits\n"
    "stead verify --staged\twhat is about to be committed\n"
    "stead verify --gate 'make test'\tone gate of your own\n",
};
