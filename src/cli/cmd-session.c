/*
 * session list, show, export: what was done, read back from the journal.
 */
#include <unistd.h>

#include "agent/session.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "journal/journal.h"

#define JSON_LIMIT_BYTES ((size_t)16 << 20)
#define ARENA_LIMIT_BYTES ((size_t)1 << 30)
#define SHOWN_TASK_BYTES 72
#define SHOWN_SESSIONS 30

static int open_journal(struct cli *cli, struct journal **j, struct err *e)
{
    struct config *c = cli_config(cli, e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, e);
    if (journal_open(config_journal_path(c), JOURNAL_READ, j, e) < 0) {
        if (e->kind == ERR_NOT_FOUND) {
            err_set(e, ERR_NOT_FOUND, "there is no session yet");
            err_hint(e, "stead run \"TASK\" makes one");
        }
        return cli_fail(cli, EXIT_FAILED, e);
    }
    return EXIT_DONE;
}

/* --- list --- */

static const struct option list_options[] = {
    { "all", 'a', OPT_FLAG, NULL, "of all directories, not only of this one" },
    { "limit", 'n', OPT_INT, "N", "show the newest N (default 30; 0: all)", .min = 0, .max = 1000000 },
    { 0 },
};

struct list {
    struct cli *cli;
    struct buf json;
    size_t n;
    bool all;
};

static void add_str(struct buf *b, const char *key, const char *value)
{
    buf_addf(b, ",\"%s\":", key);
    buf_add_json(b, span_of(value));
}

static int list_json(void *ctx, const struct journal_session *s)
{
    struct list *l = ctx;
    buf_addf(&l->json, "%s{\"id\":\"%s\"", l->n++ ? "," : "", s->id);
    add_str(&l->json, "status", s->status);
    add_str(&l->json, "kind", s->kind);
    add_str(&l->json, "workspace", s->workspace);
    add_str(&l->json, "task", s->task);
    buf_addf(&l->json, ",\"created_ms\":%lld,\"updated_ms\":%lld,\"events\":%lld}", (long long)s->created_ms, (long long)s->updated_ms,
             (long long)s->events);
    return 0;
}

static int list_text(void *ctx, const struct journal_session *s)
{
    struct list *l = ctx;
    char when[24], task[SHOWN_TASK_BYTES + 8], where[200], status[24];
    clock_format(s->created_ms, when);
    when[16] = '\0';
    when[10] = ' ';
    l->n++;
    struct span t = span_of(s->task);
    clean_into(task, sizeof task, span_sub(t, 0, utf8_cut(t, SHOWN_TASK_BYTES)), CLEAN_LINE);
    clean_into(status, sizeof status, span_of(s->status), CLEAN_LINE);
    cli_outf(l->cli, "%s%s%s  %s  %-10s %s\n", cli_style(l->cli, "bold"), s->id, cli_style(l->cli, "reset"), when, status, task);
    if (l->all)
        cli_outf(l->cli, "    %s\n", clean_into(where, sizeof where, span_of(s->workspace), CLEAN_LINE));
    return 0;
}

static int list_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    struct list l = { .cli = cli, .json = BUF_INIT(JSON_LIMIT_BYTES), .all = cli_flag(cli, "all") };
    int64_t limit = cli_int(cli, "limit", SHOWN_SESSIONS);
    int code = EXIT_DONE;
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    if (journal_open(config_journal_path(c), JOURNAL_READ, &j, &e) < 0 && e.kind != ERR_NOT_FOUND) /* none yet: an empty list */
        return cli_fail(cli, EXIT_FAILED, &e);
    if (cli->json)
        buf_adds(&l.json, "{\"v\":1,\"sessions\":[");
    if (j && journal_sessions(j, l.all ? NULL : cwd, (size_t)limit, cli->json ? list_json : list_text, &l, &e) < 0)
        code = cli_fail(cli, cli_exit_of(&e), &e);
    else if (cli->json) {
        buf_adds(&l.json, "]}\n");
        if (buf_check(&l.json, &e) < 0)
            code = cli_fail(cli, EXIT_FAILED, &e);
        else
            cli_out(cli, buf_span(&l.json));
    } else if (l.n == 0 && !cli->quiet)
        cli_outf(cli, "no session of this directory%s\n", l.all ? "" : "; --all shows those of others");
    buf_finish(&l.json);
    return code;
}

const struct command cmd_session_list = {
    "session list", "show the sessions of this directory", "[options]", list_options, 0, 0, list_main,
};

/* --- show --- */

static void show_json(struct cli *cli, const struct session_state *s)
{
    AUTO(buf) struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
    buf_addf(&b, "{\"v\":1,\"id\":\"%s\",\"parent\":", s->id);
    if (s->parent[0])
        buf_add_json(&b, span_of(s->parent));
    else
        buf_adds(&b, "null");
    add_str(&b, "workspace", s->workspace);
    add_str(&b, "status", s->status);
    add_str(&b, "task", s->task);
    add_str(&b, "endpoint", s->endpoint);
    add_str(&b, "model", s->model);
    add_str(&b, "layer", s->layer);
    add_str(&b, "change", s->change);
    buf_addf(&b, ",\"step\":%lld,\"checkpoint\":%lld,\"torn\":%s,\"context_bytes\":%zu,\"prompt_tokens\":%lld,\"completion_tokens\":%lld",
             (long long)s->step, (long long)s->checkpoint, s->torn ? "true" : "false", s->prefix.n, (long long)s->prompt_tokens,
             (long long)s->completion_tokens);
    buf_addf(&b, ",\"created_ms\":%lld,\"updated_ms\":%lld}\n", (long long)s->created_ms, (long long)s->updated_ms);
    cli_out(cli, buf_span(&b));
}

static void row(struct cli *cli, const char *name, const char *value)
{
    if (!value[0])
        return;
    cli_outf(cli, "%-12s", name);
    cli_out_clean(cli, span_of(value), CLEAN_LINE);
    cli_outf(cli, "\n");
}

static void show_text(struct cli *cli, const struct session_state *s)
{
    char when[24], spent[24];
    cli_outf(cli, "%s%s%s\n", cli_style(cli, "bold"), s->id, cli_style(cli, "reset"));
    row(cli, "task", s->task);
    row(cli, "status", s->status);
    row(cli, "directory", s->workspace);
    row(cli, "forked from", s->parent);
    row(cli, "endpoint", s->endpoint);
    row(cli, "model", s->model);
    row(cli, "change", s->change);
    cli_outf(cli, "%-12s%s, %s\n", "begun", clock_format(s->created_ms, when), format_duration(s->updated_ms - s->created_ms, spent));
    cli_outf(cli, "%-12s%lld%s\n", "steps", (long long)s->step, s->torn ? ", and one that was cut off" : "");
    cli_outf(cli, "%-12s%lld sent, %lld written\n", "tokens", (long long)s->prompt_tokens, (long long)s->completion_tokens);
    if (!cli->quiet)
        cli_outf(cli, "\n`stead resume %s \"MESSAGE\"` goes on, `stead session export %s` shows all of it\n", s->id, s->id);
}

static int show_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    struct session_state s;
    int code = open_journal(cli, &j, &e);
    if (code != EXIT_DONE)
        return code;
    if (session_load(j, cli->argc ? cli->argv[0] : NULL, cwd, &a, &s, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (cli->json)
        show_json(cli, &s);
    else
        show_text(cli, &s);
    return EXIT_DONE;
}

const struct command cmd_session_show = {
    "session show", "show one session: its task, state and cost", "[SESSION]", NULL, 0, 1, show_main,
};

/* --- export --- */

static const char *const format_names[] = { "jsonl", "markdown", NULL };
static const struct option export_options[] = {
    { "format", 'f', OPT_CHOICE, "jsonl|markdown", "JSON lines (default; what `stead run --json` prints), or a page to read", .choices = format_names },
    { 0 },
};

static int write_piece(void *ctx, struct span piece)
{
    cli_out(ctx, piece);
    return 0;
}

static int last_id(void *ctx, const struct journal_session *s)
{
    memcpy(ctx, s->id, ID_SIZE);
    return 0;
}

static int export_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    char id[ID_SIZE] = "";
    int code = open_journal(cli, &j, &e);
    if (code != EXIT_DONE)
        return code;
    enum session_format format = cli->json ? SESSION_JSONL : (enum session_format)cli_choice(cli, "format", SESSION_JSONL);
    if (journal_session_find(j, cli->argc ? cli->argv[0] : NULL, cwd, last_id, id, &e) < 0 ||
        session_export(j, id, format, write_piece, cli, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    return EXIT_DONE;
}

const struct command cmd_session_export = {
    "session export", "print a whole session", "[options] [SESSION]", export_options, 0, 1, export_main,
    .about = "Without SESSION: the latest of this directory. A forked session begins with its parents' events.",
    .examples = "stead session export > s.jsonl\tevery event, one a line\n"
                "stead session export -f markdown s1jd5 > s.md\ta page to read or to attach\n",
};
