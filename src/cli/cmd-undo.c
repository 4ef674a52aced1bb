/*
 * undo: take a session's layer back to an earlier step. The workspace itself is not concerned.
 */
#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "journal/journal.h"
#include "workspace/change.h"
#include "workspace/layer.h"

#define ARENA_LIMIT_BYTES ((size_t)16 << 20)

/* The newest layer of the session, or of this directory. */
static int find_layer(const char *state, const char *session, struct arena *a, const struct layer_info **out, struct err *e)
{
    AUTO(ptr) char *cwd = getcwd(NULL, 0);
    struct layer_info *infos;
    size_t n;
    if (layer_list(state, a, &infos, &n, e) < 0)
        return -(int)e->kind;
    while (n-- > 0)
        if (session ? strncmp(infos[n].session, session, strlen(session)) == 0 : cwd && strcmp(infos[n].workspace, cwd) == 0) {
            *out = &infos[n];
            return 0;
        }
    err_set(e, ERR_NOT_FOUND, session ? "session '%s' has no layer to undo in" : "no session of this directory has a layer to undo in%s",
            session ? session : "");
    err_hint(e, "an applied change is taken back with `stead change apply --revert CHANGE`");
    return -ERR_NOT_FOUND;
}

/* The step before the last one, when none is named. */
static int default_step(const struct layer *l)
{
    const int *steps;
    size_t n = layer_steps(l, &steps);
    return n > 1 ? steps[n - 2] : 0;
}

/* So that `stead resume` and `stead session show` know. A session without a journal is no failure. */
static void record(const struct config *c, const struct layer *l, int step)
{
    struct err ignored = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    char members[64];
    if (!*layer_session(l) || journal_open(config_journal_path(c), JOURNAL_WRITE, &j, &ignored) < 0)
        return;
    (void)snprintf(members, sizeof members, "{\"step\":%d,\"by\":\"person\"}", step);
    if (journal_append(j, layer_session(l), "undo", span_of(members), NULL, &ignored) < 0)
        (void)fprintf(stderr, "stead: the journal was not told of the undo: %s\n", ignored.text);
}

static int undo_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(arena) struct arena a = ARENA_INIT(ARENA_LIMIT_BYTES);
    AUTO(layer) struct layer *l = NULL;
    AUTO(change) struct change *change = NULL;
    const struct layer_info *info = NULL;
    const char *session = NULL;
    int64_t step = -1;
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    for (int i = 0; i < cli->argc; i++) {
        if (cli->argv[i][0] == 's' && i == 0)
            session = cli->argv[i];
        else if (parse_i64(span_of(cli->argv[i]), 0, INT32_MAX, &step, &e) < 0) {
            (void)err_wrap(&e, "step");
            return cli_fail(cli, EXIT_USAGE, &e);
        }
    }
    const char *state = config_state_dir(c);
    if (find_layer(state, session, &a, &info, &e) < 0 || layer_open(state, info->id, &l, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (step < 0)
        step = default_step(l);
    if (layer_undo(l, NULL, (int)step, &e) < 0 || change_read(l, NULL, &change, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    record(c, l, (int)step);
    if (change->nfiles && change_save(change, state, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (cli->json)
        cli_outf(cli, "{\"v\":1,\"session\":\"%s\",\"step\":%lld,\"files\":%zu,\"change\":%s%s%s}\n", layer_session(l),
                 (long long)step, change->nfiles, change->nfiles ? "\"" : "", change->nfiles ? change->id : "null",
                 change->nfiles ? "\"" : "");
    else if (!cli->quiet && change->nfiles)
        cli_outf(cli, "back at step %lld: %zu changed file%s, now change %s\n", (long long)step, change->nfiles,
                 change->nfiles == 1 ? "" : "s", change->id);
    else if (!cli->quiet)
        cli_outf(cli, "back at step %lld: nothing is changed\n", (long long)step);
    return EXIT_DONE;
}

const struct command cmd_undo = {
    "undo", "take a session back to an earlier step", "[SESSION] [STEP]", NULL, 0, 2, undo_main,
    .about = "Drops what the session wrote after STEP (default: what its last step wrote; 0: everything). Only the\n"
             "session's layer is concerned; an applied change is taken back with `stead change apply --revert`.",
    .examples = "stead undo\tthe last step of this directory's newest session\nstead undo s1jd5 3\tback to step 3\n",
};
