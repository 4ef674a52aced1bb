/*
 * review - read a change, approve or reject hunks, apply; at the terminal, or by options for programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "cli/ask-why.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "cli/run-task.h"
#include "cli/trailers.h"
#include "config/config.h"
#include "journal/journal.h"
#include "review/review.h"
#include "term/style.h"
#include "verify/verify.h"
#include "workspace/apply.h"

#define REVIEW_COMMAND_BYTES ((size_t)1 << 30)
#define REVIEW_SAVED_BYTES ((size_t)16 << 20)

static const struct option review_options[] = {
    { "approve", 0, OPT_STRINGS, "HUNK|PATH|all", "approve these hunks (repeatable)" },
    { "reject", 0, OPT_STRINGS, "HUNK|PATH|all", "reject these hunks (repeatable)" },
    { "comment", 0, OPT_STRING, "TEXT", "why, for the agent" },
    { "apply", 0, OPT_FLAG, NULL, "carry in what is approved" },
    { "branch", 0, OPT_STRING, "NAME", "carry it in as a commit on a new branch" },
    { "no-resume", 0, OPT_FLAG, NULL, "do not send rejected hunks back to the agent" },
    { 0 },
};

struct job {
    struct cli *cli;
    struct config *cfg;
    struct loop *loop;
    struct arena arena;
    char *workspace;
    const char *state_dir;
    struct journal *journal;
    struct change *change;
    struct verdict verdict;
    bool has_verdict;
    struct review *review;
};

static void job_auto(struct job *j)
{
    review_destroy(j->review);
    change_destroy(j->change);
    journal_destroy(j->journal);
    arena_finish(&j->arena);
    free(j->workspace);
}

static bool reviewable(enum change_status s)
{
    return s != CHANGE_APPLIED && s != CHANGE_REVERTED;
}

static int load(struct job *j, struct err *e)
{
    const char *id = j->cli->argc ? j->cli->argv[0] : NULL;
    struct change_info *list = NULL;
    size_t n = 0;
    int r = change_list(j->state_dir, j->workspace, &j->arena, &list, &n, e);
    for (size_t i = 0; r == 0 && !id && i < n; i++)
        if (reviewable(list[i].status))
            id = list[i].id;
    if (r == 0 && !id) {
        err_set(e, ERR_USAGE, "nothing to review in '%s'", j->workspace);
        err_hint(e, "`stead change list` shows all changes; `stead run \"TASK\"` makes one");
        return -ERR_USAGE;
    }
    if (r == 0)
        r = change_load(j->state_dir, id, &j->change, e);
    if (r < 0)
        return r;
    if (!reviewable(j->change->status))
        return err_set(e, ERR_USAGE, "change %s is %s", j->change->id, change_status_name(j->change->status));
    json_t *json = NULL;
    struct err ignored = ERR_INIT;
    if (json_parse(span_of(j->change->results_json), BIND_TOLERANT, &json, &ignored) == 0) {
        j->has_verdict = verdict_load(json, &j->arena, &j->verdict, &ignored) == 0;
        json_decref(json);
    }
    return review_create(j->change, j->has_verdict ? &j->verdict : NULL, &j->review, e);
}

static int record(struct job *j, const char *decision, const char *by, struct err *e)
{
    struct buf b = BUF_INIT(1 << 16);
    buf_addf(&b, "{\"what\":\"%s\",\"decision\":\"%s\",\"by\":\"%s\",\"change\":\"%s\",\"hunks\":%zu,\"approved\":%zu,\"rejected\":%zu,\"active_ms\":%lld}",
             j->change->hash.s, decision, by, j->change->id, review_count(j->review, REVIEW_OPEN) + review_count(j->review, REVIEW_APPROVE) + review_count(j->review, REVIEW_REJECT),
             review_count(j->review, REVIEW_APPROVE), review_count(j->review, REVIEW_REJECT), (long long)review_active_ms(j->review));
    int r = buf_check(&b, e);
    if (r == 0 && j->change->session[0])
        r = journal_append(j->journal, j->change->session, "approval", buf_span(&b), NULL, e);
    buf_finish(&b);
    return r;
}

/* Where decisions wait that a person has left: beside the record, under the change's name. */
static const char *saved_key(const struct job *j, char key[ID_SIZE + 8])
{
    (void)snprintf(key, ID_SIZE + 8, "review/%s", j->change->id);
    return key;
}

/* What was decided before the screen was left: it goes on from there. What cannot be read is begun anew. */
static int take_up(struct job *j, struct err *e)
{
    struct buf saved = BUF_INIT(REVIEW_SAVED_BYTES);
    char key[ID_SIZE + 8];
    struct err why = ERR_INIT;
    int r = journal_state_get(j->journal, saved_key(j, key), &saved, e);
    if (r == 1 && saved.n && review_restore(j->review, buf_span(&saved), &why) < 0)
        log_warn("review of %s: what was decided before cannot be read: %s", j->change->id, why.text);
    buf_finish(&saved);
    return r < 0 ? r : 0;
}

/* `done`: nothing waits any more. */
static int put_by(struct job *j, bool done, struct err *e)
{
    struct buf saved = BUF_INIT(REVIEW_SAVED_BYTES);
    char key[ID_SIZE + 8];
    if (!done)
        review_save(j->review, &saved);
    int r = buf_check(&saved, e);
    if (r == 0)
        r = journal_state_put(j->journal, saved_key(j, key), buf_span(&saved), e);
    buf_finish(&saved);
    return r;
}

static int print_json(struct job *j)
{
    struct cli *cli = j->cli;
    const struct review_item *items;
    size_t n = review_items(j->review, &items);
    struct buf b = BUF_INIT(256u << 20);
    buf_addf(&b, "{\"v\":1,\"change\":\"%s\",\"hash\":\"%s\",\"hunks\":[", j->change->id, j->change->hash.s);
    for (size_t i = 0; i < n; i++) {
        const struct hunk *h = items[i].hunk;
        buf_addf(&b, "%s{\"id\":\"%s\",\"path\":", i ? "," : "", h->id);
        buf_add_json(&b, span_of(items[i].file->path));
        buf_addf(&b, ",\"rank\":%d,\"why\":", items[i].rank);
        buf_add_json(&b, span_of(items[i].why));
        buf_addf(&b, ",\"state\":\"%s\",\"findings\":%zu,\"old_start\":%d,\"new_start\":%d,\"lines\":[", review_state_name(items[i].state),
                 items[i].nfindings, h->old_start, h->new_start);
        for (size_t k = 0; k < h->nlines; k++) {
            buf_addf(&b, "%s{\"origin\":\"%c\",\"text\":", k ? "," : "", h->lines[k].origin);
            buf_add_json(&b, h->lines[k].text);
            buf_addc(&b, '}');
        }
        buf_adds(&b, "]}");
    }
    buf_adds(&b, "]}\n");
    struct err e = ERR_INIT;
    int r = buf_check(&b, &e);
    if (r == 0)
        cli_out(cli, buf_span(&b));
    buf_finish(&b);
    return r < 0 ? cli_fail(cli, EXIT_FAILED, &e) : EXIT_DONE;
}

static int named(struct job *j, const char *option, enum review_state state, struct err *e)
{
    const char *const *names;
    size_t n = cli_strings(j->cli, option, &names);
    for (size_t i = 0; i < n; i++)
        if (!review_decide_named(j->review, names[i], state, cli_string(j->cli, "comment"), e)) {
            char safe[100];
            err_set(e, ERR_USAGE, "--%s %s: no such hunk or file in change %s", option,
                    clean_into(safe, sizeof safe, span_of(names[i]), CLEAN_LINE), j->change->id);
            err_hint(e, "`stead review --json %s` lists the hunks", j->change->id);
            return -ERR_USAGE;
        }
    return (int)n;
}

/* What is approved as a change of its own, checked again; the whole change keeps its verdict. */
static int approved_part(struct job *j, struct change **part, struct verdict *v, bool *checked, struct err *e)
{
    struct strings ids;
    int r = review_approved(j->review, &j->arena, &ids, e);
    if (r == 0)
        r = change_select(j->change, &ids, part, e);
    if (r == 0)
        r = change_set_task(*part, j->change->task, e);
    if (r == 0)
        r = change_save(*part, j->state_dir, e);
    if (r < 0)
        return r;
    if (!j->cli->json)
        cli_outf(j->cli, "checking what is approved\n");
    struct task_spec spec = { .loop = j->loop, .config = j->cfg, .journal = j->journal, .workspace = j->workspace };
    r = task_check(&spec, *part, &j->arena, v, cli_cancel(j->cli), e);
    *checked = r == 0;
    return r;
}

static int carry_in(struct job *j, const struct change *c, const struct verdict *v, struct err *e)
{
    struct cli *cli = j->cli;
    struct apply_options opt = { .state_dir = j->state_dir, .change = c, .approved = c->hash.s };
    struct apply_result a = { 0 };
    opt.branch = cli_string(cli, "branch");
    opt.mode = opt.branch ? APPLY_BRANCH : APPLY_TREE;
    bool green = v && v->state == VERIFY_VERIFIED;
    int r = trailers_make(c, v, &j->arena, &opt.trailers, e);
    if (r == 0)
        r = review_guard_ok(j->review, &j->arena, &opt.guard_ok, e);
    if (r == 0)
        r = apply_change(&opt, &j->arena, &a, e);
    char path[512], why[256];
    for (size_t i = 0; i < a.nfiles && !cli->json; i++)
        cli_outf(cli, "  %-10s %s%s%s\n", apply_outcome_name(a.files[i].outcome),
                 clean_into(path, sizeof path, span_of(a.files[i].path), CLEAN_QUOTE), a.files[i].why[0] ? ": " : "",
                 clean_into(why, sizeof why, span_of(a.files[i].why), CLEAN_LINE));
    if (r == -ERR_CONFLICT || r == -ERR_DENIED)
        return cli_fail(cli, EXIT_PENDING, e);
    if (r < 0)
        return cli_fail(cli, EXIT_FAILED, e);
    if (change_set_status(j->state_dir, c->id, CHANGE_APPLIED, a.id, e) < 0)
        return cli_fail(cli, EXIT_FAILED, e);
    const struct journal_change put = { .id = c->id, .session = c->session, .workspace = j->workspace, .status = "applied" };
    if (c->session[0] && journal_change_put(j->journal, &put, e) < 0) /* NOLINT(clang-analyzer-core.NullDereference): approved_part set it */
        return cli_fail(cli, EXIT_FAILED, e);
    if (cli->json)
        cli_outf(cli, "{\"v\":1,\"change\":\"%s\",\"applied\":true,\"apply\":\"%s\",\"commit\":\"%s\",\"verified\":%s}\n", c->id, a.id, a.commit,
                 green ? "true" : "false");
    else
        cli_outf(cli, "applied%s%s; `stead change apply --revert %s` takes it back\n", a.commit[0] ? " as commit " : "", a.commit, c->id);
    return EXIT_DONE;
}

static int send_back(struct job *j, struct err *e)
{
    struct buf text = BUF_INIT(1 << 20);
    if (!review_comments(j->review, &text) || !j->change->session[0] || cli_flag(j->cli, "no-resume")) {
        buf_finish(&text);
        return EXIT_PENDING;
    }
    if (!j->cli->json)
        cli_outf(j->cli, "sending what was rejected back to the agent\n");
    char session[ID_SIZE];
    (void)snprintf(session, sizeof session, "%s", j->change->session);
    journal_destroy(TAKE(j->journal));
    struct task_spec spec = { .kind = "run", .resume = session };
    int code = run_task(j->cli, &spec, buf_span(&text), e);
    buf_finish(&text);
    return code;
}

static int finish(struct job *j, bool apply, const char *by, struct err *e)
{
    size_t yes = review_count(j->review, REVIEW_APPROVE), no = review_count(j->review, REVIEW_REJECT), open = review_count(j->review, REVIEW_OPEN);
    if (record(j, !yes ? "rejected" : no || open ? "partial" : "approved", by, e) < 0)
        return cli_fail(j->cli, EXIT_FAILED, e);
    if (yes && apply) {
        struct change *part = NULL;
        const struct change *c = j->change;
        const struct verdict *said = j->has_verdict ? &j->verdict : NULL;
        struct verdict v = { 0 };
        if (no || open) {
            bool checked = false;
            int r = approved_part(j, &part, &v, &checked, e);
            if (r < 0) {
                change_destroy(part);
                return cli_fail(j->cli, cli_exit_of(e), e);
            }
            said = checked ? &v : NULL;
            if (checked && v.state == VERIFY_RED) {
                err_set(e, ERR_CONFLICT, "the approved part alone fails its gates: %s; it is kept as draft %s", v.reason, part->id);
                err_hint(e, "approve the rest too, or reject all and say why");
                change_destroy(part);
                return cli_fail(j->cli, EXIT_RED, e);
            }
            c = part;
        }
        int code = carry_in(j, c, said, e);
        change_destroy(part);
        if (code != EXIT_DONE || !no)
            return code;
    }
    if ((no || !yes) && strcmp(by, "person") == 0 && j->change->session[0])
        ask_why(j->cli, j->loop, j->journal, j->change->session, "review");
    if (no)
        return send_back(j, e);
    if (!j->cli->json)
        cli_outf(j->cli, "%zu approved, %zu open; nothing was carried in\n", yes, open);
    return yes ? EXIT_DONE : EXIT_PENDING;
}

static int review_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(job) struct job j = { .cli = cli, .arena = ARENA_INIT(REVIEW_COMMAND_BYTES) };
    j.cfg = cli_config(cli, &e);
    if (!j.cfg)
        return cli_fail(cli, EXIT_USAGE, &e);
    j.loop = cli_loop(cli, &e);
    j.workspace = getcwd(NULL, 0);
    j.state_dir = config_state_dir(j.cfg);
    if (!j.loop || !j.workspace || journal_open(config_journal_path(j.cfg), JOURNAL_CREATE, &j.journal, &e) < 0 || load(&j, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    int yes = named(&j, "approve", REVIEW_APPROVE, &e), no = yes < 0 ? yes : named(&j, "reject", REVIEW_REJECT, &e);
    if (yes < 0 || no < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    if (yes || no)
        return finish(&j, cli_flag(cli, "apply") || cli_string(cli, "branch"), "options", &e);
    if (cli->json)
        return print_json(&j);
    enum review_outcome outcome = REVIEW_LATER;
    style_set(cli->color);
    int r = take_up(&j, &e);
    if (r == 0)
        r = review_screen(j.review, j.loop, cli_cancel(cli), &outcome, &e);
    struct err unsaved = ERR_INIT;
    if (r != -ERR_UNSUPPORTED && put_by(&j, r == 0 && outcome == REVIEW_DONE, &unsaved) < 0 && r == 0) {
        r = -(int)unsaved.kind;
        e = unsaved;
    }
    if (r == -ERR_UNSUPPORTED) {
        err_hint(&e, "decide by options: `stead review --json` lists hunks; --approve HUNK, --reject HUNK, --apply");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    if (r < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (outcome == REVIEW_LATER) {
        cli_outf(cli, "left for later with %zu approved, %zu rejected: `stead review %s`\n", review_count(j.review, REVIEW_APPROVE),
                 review_count(j.review, REVIEW_REJECT), j.change->id);
        return EXIT_PENDING;
    }
    return finish(&j, true, "person", &e);
}

const struct command cmd_review = {
    "review", "read a change, approve or reject hunks, apply", "[options] [CHANGE]", review_options, 0, 1, review_main,
    .about = "Shows the latest open change of this directory (or CHANGE) hunk by hunk, the riskiest first, with gates and findings\n"
             "beside them. What is approved is checked again when it is only a part, then carried in; what is rejected goes back\n"
             "to the agent with the comment.",
    .examples = "stead review\tat the terminal\n"
                "stead review --json\tthe hunks, for programs\n"
                "stead review --approve all --apply\tcarry in the latest change\n",
};
