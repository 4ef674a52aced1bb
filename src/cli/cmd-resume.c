/*
 * resume and fork: going on with a session, or with a copy of it from an earlier step.
 */
#include <unistd.h>

#include "agent/session.h"
#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "cli/run-task.h"
#include "config/config.h"
#include "journal/journal.h"
#include "workspace/layer.h"

#define ARENA_LIMIT_BYTES ((size_t)1 << 30)

static const struct option resume_options[] = {
    { "endpoint", 0, OPT_STRING, "NAME|URL", "go on with this endpoint" },
    RUN_OPTIONS,
    { 0 },
};

static int run_session(struct cli *cli, const char *session, const char *message)
{
    struct err e = ERR_INIT;
    struct task_spec spec = run_spec(cli);
    spec.resume = session;
    return run_task(cli, &spec, message ? span_of(message) : SPAN(""), &e);
}

/* Each may be left out: what is no beginning of a session's ID (see id_make), and no number, is the message. */
struct operands {
    const char *session, *step, *message;
};

static int read_operands(const struct cli *cli, bool step, struct operands *o, struct err *e)
{
    int n = cli->argc, at = 0;
    char *const *words = cli->argv;
    *o = (struct operands){ 0 };
    if (at < n && words[at][0] == 's' && strspn(words[at], "0123456789abcdefghjkmnpqrstvwxyz") == strlen(words[at]))
        o->session = words[at++];
    if (step && at < n && words[at][0] && strspn(words[at], "0123456789") == strlen(words[at]))
        o->step = words[at++];
    if (at < n)
        o->message = words[at++];
    if (at < n) {
        char what[64];
        (void)clean_into(what, sizeof what, span_of(o->session ? words[at] : words[0]), CLEAN_LINE);
        err_set(e, ERR_USAGE, "'%s' is neither a session's ID nor part of one message", what);
        err_hint(e, "quote the message; `stead session list` shows the sessions");
        return -ERR_USAGE;
    }
    if (o->message && !span_trim(span_of(o->message)).n) {
        err_set(e, ERR_USAGE, "the message is empty");
        err_hint(e, "leave it out to go on where the session was");
        return -ERR_USAGE;
    }
    return 0;
}

/* The state of the session that is named, or of the latest of this directory; closes the journal again. */
static int load(struct cli *cli, const char *id, struct arena *a, struct session_state *s, struct err *e)
{
    AUTO(journal) struct journal *j = NULL;
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    struct config *c = cli_config(cli, e);
    if (!c)
        return -ERR_USAGE;
    int r = journal_open(config_journal_path(c), JOURNAL_READ, &j, e);
    if (r >= 0)
        r = session_load(j, id, cwd, a, s, e);
    if (r < 0 && e->kind == ERR_NOT_FOUND && !e->hint[0])
        err_hint(e, "`stead session list` shows what there is");
    if (r < 0)
        return r;
    if (cwd && strcmp(cwd, s->workspace) != 0) {
        err_set(e, ERR_USAGE, "session %s belongs to '%s'", s->id, s->workspace);
        err_hint(e, "stead resume -C '%s' %s", s->workspace, s->id);
        return -ERR_USAGE;
    }
    return 0;
}

/* A copy has to be of something: a session that was killed before its first words is gone on with, not copied. */
static int has_words(const struct session_state *s, struct err *e)
{
    if (s->prefix.n == 0) {
        err_set(e, ERR_NOT_FOUND, "session %s holds no conversation to go on with", s->id);
        return -ERR_NOT_FOUND;
    }
    return 0;
}

static int resume_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    struct session_state s;
    struct operands o;
    if (read_operands(cli, false, &o, &e) < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    if (load(cli, o.session, &a, &s, &e) < 0 || (!s.unsaid[0] && !s.npending && has_words(&s, &e) < 0))
        return cli_fail(cli, cli_exit_of(&e), &e);
    return run_session(cli, s.id, o.message);
}

const struct command cmd_resume = {
    "resume", "go on with a session", "[options] [SESSION] [\"MESSAGE\"]", resume_options, 0, 2, resume_main,
    .about = "Without SESSION: the latest of this directory. The conversation goes on from its recorded bytes, so that a local\n"
             "server finds what it computed before; the files go on as they were after the last whole step.",
    .examples = "stead resume\tgo on where the last session was interrupted\n"
                "stead resume s1jd5 \"now the same for the other parser\"\ta further task in the same conversation\n",
};

/* --- fork --- */

static int fork_session(struct cli *cli, const struct session_state *s, int64_t step, char id[ID_SIZE], struct err *e)
{
    AUTO(journal) struct journal *j = NULL;
    struct config *c = cli_config(cli, e);
    int r = journal_open(config_journal_path(c), JOURNAL_WRITE, &j, e);
    if (r >= 0)
        r = session_fork(j, s, step, id, e);
    if (r < 0 || !s->layer[0])
        return r;
    AUTO(layer) struct layer *copy = NULL;
    r = layer_fork(config_state_dir(c), s->layer, (int)step, id, &copy, e);
    if (r == -ERR_NOT_FOUND)
        return 0; /* the layer was applied or dropped: the fork begins with the workspace as it is */
    if (r < 0)
        return err_wrap(e, "copying the files of session %s", s->id);
    char members[80];
    int n = snprintf(members, sizeof members, "{\"layer\":\"%s\"}", layer_id(copy));
    return journal_append(j, id, "layer", (struct span){ members, (size_t)n }, NULL, e);
}

static int fork_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    struct session_state s;
    char id[ID_SIZE];
    struct operands o;
    if (read_operands(cli, true, &o, &e) < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    if (load(cli, o.session, &a, &s, &e) < 0 || has_words(&s, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    int64_t step = s.step;
    if (o.step && parse_i64(span_of(o.step), 1, s.step, &step, &e) < 0) {
        err_wrap(&e, "STEP");
        err_hint(&e, "session %s has the steps 1 to %lld", s.id, (long long)s.step);
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    if (fork_session(cli, &s, step, id, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (o.message)
        return run_session(cli, id, o.message);
    if (cli->json)
        cli_outf(cli, "{\"v\":1,\"id\":\"%s\",\"parent\":\"%s\",\"step\":%lld}\n", id, s.id, (long long)step);
    else {
        cli_outf(cli, "%s\n", id);
        if (!cli->quiet)
            (void)fprintf(stderr, "stead: forked from %s after step %lld; `stead resume %s \"MESSAGE\"` goes on\n", s.id, (long long)step, id);
    }
    return EXIT_DONE;
}

const struct command cmd_fork = {
    "fork", "make a copy of a session, from any of its steps", "[options] [SESSION] [STEP] [\"MESSAGE\"]", resume_options, 0, 3, fork_main,
    .about = "The copy shares the conversation up to STEP (default: the last) and has files of its own; the session it was made\n"
             "from is not touched. With MESSAGE it goes on at once.",
    .examples = "stead fork s1jd5 7 \"try it without the new dependency\"\tanother way from step 7\n",
};
