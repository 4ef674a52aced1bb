/*
 * route explain: where a task would go, and why. Endpoints on this machine are asked who they are; the task goes nowhere.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "journal/journal.h"
#include "model/endpoint.h"
#include "route/candidate.h"
#include "route/class.h"
#include "route/route.h"
#include "task/task.h"

#define TEXT_LIMIT_BYTES (1u << 20)
#define JSON_LIMIT_BYTES (4u << 20)

static const struct option explain_options[] = {
    { "class", 0, OPT_STRING, "CLASS", "treat it as of this class" },
    { "endpoint", 0, OPT_STRING, "NAME|URL", "as if this endpoint had been asked for" },
    { "local-only", 0, OPT_FLAG, NULL, "as if nothing might leave this machine" },
    { "tokens", 0, OPT_INT, "N", "context that the task will need (estimated from the files it names where not given)", .min = 0, .max = 100000000 },
    { 0 },
};

struct explain {
    struct cli *cli;
    const struct config_values *values;
    struct arena *arena;
    struct endpoints *found;
    struct route_candidate *candidates;
    size_t n;
    struct breaker *breakers;
    const struct config *cfg;
    int64_t need_tokens;
};

/* --- candidates: what answers here, and what is configured elsewhere --- */

static const struct config_endpoint *configured(const struct explain *x, const char *name)
{
    for (size_t i = 0; i < x->values->nendpoints; i++)
        if (strcmp(x->values->endpoints[i].name, name) == 0)
            return &x->values->endpoints[i];
    return NULL;
}

static int find_candidates(struct explain *x, struct err *e)
{
    const struct config_values *v = x->values;
    size_t most = v->nendpoints + 64;
    struct endpoint_spec *specs = arena_array(x->arena, v->nendpoints + 1, sizeof *specs);
    x->candidates = arena_array(x->arena, most, sizeof *x->candidates);
    if (!specs || !x->candidates)
        return err_set(e, ERR_NOMEM, "explaining a route: out of memory");
    size_t nlocal = 0;
    for (size_t i = 0; i < v->nendpoints; i++) {
        struct route_candidate c;
        candidate_of_config(&v->endpoints[i], &c);
        if (c.local)
            endpoint_spec_of(&v->endpoints[i], &specs[nlocal++]);
    }
    struct loop *loop = cli_loop(x->cli, e);
    if (!loop)
        return -(int)e->kind;
    AUTO(ptr) char *profiles = path_join(config_state_dir(x->cfg), "profiles");
    struct discover_options o = { .configured = specs, .nconfigured = nlocal, .all = true, .local_only = true, .model = v->model,
                                  .profile_dir = profiles };
    struct err ignored = ERR_INIT; /* none here is an answer, not a failure */
    int ret = endpoints_discover(loop, &o, cli_cancel(x->cli), &x->found, &ignored);
    if (ret == -ERR_CANCELLED) {
        *e = ignored;
        return ret;
    }
    for (size_t i = 0; x->found && i < x->found->len && x->n < most; i++)
        candidate_of_endpoint(x->found->items[i], configured(x, x->found->items[i]->name), x->need_tokens, &x->candidates[x->n++]);
    for (size_t i = 0; i < v->nendpoints && x->n < most; i++) {
        struct route_candidate c;
        candidate_of_config(&v->endpoints[i], &c);
        if (!c.local)
            x->candidates[x->n++] = c;
    }
    if (v->inference.embedded && x->n < most) /* it is started when a task needs it */
        x->candidates[x->n++] = (struct route_candidate){ .name = "embedded", .url = "embedded", .local = true, .ready = true,
                                                          .model = v->inference.model ? v->inference.model : "pilot" };
    return 0;
}

/* Health and spending as earlier runs left them in the journal; no journal, no memory. */
static void read_past(struct explain *x, const struct config *cfg, struct route_spent *spent)
{
    AUTO(journal) struct journal *j = NULL;
    struct err e = ERR_INIT;
    x->breakers = arena_array(x->arena, x->n + 1, sizeof *x->breakers);
    if (!x->breakers || journal_open(config_journal_path(cfg), JOURNAL_READ, &j, &e) < 0)
        return;
    for (size_t i = 0; i < x->n; i++) {
        AUTO(buf) struct buf key = BUF_INIT(1024), text = BUF_INIT(1024);
        buf_addf(&key, "breaker/%s", x->candidates[i].url);
        if (journal_state_get(j, buf_str(&key), &text, &e) == 1 && breaker_read(buf_span(&text), &x->breakers[i], &e) == 0)
            x->candidates[i].breaker = &x->breakers[i];
    }
    if (task_spent_of(j, x->values, "", task_user(x->arena), spent, &e) < 0)
        *spent = (struct route_spent){ 0 };
}

/* --- output --- */

static void json_candidate(struct buf *b, const struct route_candidate *c)
{
    buf_adds(b, "\"endpoint\":");
    buf_add_json(b, span_of(c->name));
    buf_adds(b, ",\"model\":");
    buf_add_json(b, span_of(c->model));
    buf_addf(b, ",\"local\":%s", c->local ? "true" : "false");
}

static void json_strings(struct buf *b, const char *name, struct strings s)
{
    buf_addf(b, ",\"%s\":[", name);
    for (size_t i = 0; i < s.len; i++) {
        buf_adds(b, i ? "," : "");
        buf_add_json(b, span_of(s.items[i]));
    }
    buf_addc(b, ']');
}

static int print_json(struct explain *x, const struct classification *c, const struct route *r)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
    buf_adds(&b, "{\"v\":1,\"class\":");
    buf_add_json(&b, span_of(c->row->name));
    buf_addf(&b, ",\"poor\":%s,\"unsure\":%s,\"score\":%d,\"poor_score\":%d,\"failure_cost\":\"%s\",\"need_tokens\":%lld", c->row->poor ? "true" : "false",
             c->unsure ? "true" : "false", c->score, c->poor_score, failure_cost_name(c->cost), (long long)x->need_tokens);
    json_strings(&b, "signals", c->signals);
    buf_adds(&b, ",\"candidates\":[");
    for (size_t i = 0, n = 0; i < r->nstops; i++) {
        if (r->stops[i].candidate < 0)
            continue;
        buf_adds(&b, n++ ? ",{" : "{");
        json_candidate(&b, &x->candidates[r->stops[i].candidate]);
        buf_addf(&b, ",\"accepted\":%s,\"stop\":", r->stops[i].accepted ? "true" : "false");
        buf_add_json(&b, span_of(r->stops[i].stop));
        buf_adds(&b, ",\"reason\":");
        buf_add_json(&b, span_of(r->stops[i].reason));
        buf_addc(&b, '}');
    }
    buf_adds(&b, "],\"choice\":");
    if (r->choice < 0) {
        buf_adds(&b, "null");
    } else {
        buf_addc(&b, '{');
        json_candidate(&b, &x->candidates[r->choice]);
        buf_addc(&b, '}');
    }
    buf_addf(&b, ",\"person\":%s,\"person_reason\":", r->person ? "true" : "false");
    if (r->person_reason)
        buf_add_json(&b, span_of(r->person_reason));
    else
        buf_adds(&b, "null");
    json_strings(&b, "reasons", r->reasons);
    buf_adds(&b, "}\n");
    if (buf_check(&b, &e) < 0)
        return cli_fail(x->cli, EXIT_FAILED, &e);
    cli_out(x->cli, buf_span(&b));
    return EXIT_DONE;
}

static void print_text(struct explain *x, const struct classification *c, const struct route *r)
{
    struct cli *cli = x->cli;
    const char *dim = cli_style(cli, "dim"), *bold = cli_style(cli, "bold"), *off = cli_style(cli, "reset");
    char safe[300];
    cli_outf(cli, "%sclass%s    %s: %s, ", bold, off, c->row->name, c->row->title);
    if (c->chosen)
        cli_outf(cli, "as asked for\n");
    else
        cli_outf(cli, "%d %%%s%s\n", c->score, c->unsure && c->second ? "; or perhaps " : "", c->unsure && c->second ? c->second->name : "");
    for (size_t i = 0; i < c->signals.len; i++) {
        size_t n = strlen(c->row->name);
        bool own = strncmp(c->signals.items[i], c->row->name, n) == 0 || strncmp(c->signals.items[i], "cost", 4) == 0;
        if (own || cli->verbose)
            cli_outf(cli, "         %s%s%s\n", dim, clean_into(safe, sizeof safe, span_of(c->signals.items[i]), CLEAN_LINE), off);
    }
    cli_outf(cli, "%scost%s     %s; needs about %lld tokens of context\n", bold, off, failure_cost_name(c->cost), (long long)x->need_tokens);
    for (size_t i = 0; i < r->nstops; i++) {
        const struct route_stop *s = &r->stops[i];
        if (s->candidate < 0)
            continue;
        const struct route_candidate *k = &x->candidates[s->candidate];
        const char *colour = s->accepted ? cli_style(cli, "green") : dim;
        char name[100], model[100];
        clean_into(name, sizeof name, span_of(k->name), CLEAN_LINE);
        clean_into(model, sizeof model, span_of(k->model), CLEAN_LINE);
        cli_outf(cli, "%s%-8s%s %s%s%s %s%s%s: %s%s\n", bold, i ? "" : "chain", off, colour, s->accepted ? "+ " : "- ", name, model,
                 *model ? ", " : "", k->local ? "local" : "hosted", clean_into(safe, sizeof safe, span_of(s->reason), CLEAN_LINE), off);
    }
    if (r->choice >= 0)
        cli_outf(cli, "%sgoes to%s  %s\n", bold, off, clean_into(safe, sizeof safe, span_of(x->candidates[r->choice].name), CLEAN_LINE));
    else
        cli_outf(cli, "%sgoes to%s  a person\n", bold, off);
    if (r->person)
        cli_outf(cli, "%sperson%s   %s\n", bold, off, clean_into(safe, sizeof safe, span_of(r->person_reason), CLEAN_LINE));
}

static struct route_now now_of(int64_t unix_ms)
{
    struct tm local = { 0 };
    time_t t = (time_t)(unix_ms / 1000);
    (void)localtime_r(&t, &local);
    return (struct route_now){ unix_ms, local.tm_wday, local.tm_hour * 60 + local.tm_min };
}

/* What keeps every task of this directory here, as `stead run` sees it. */
static void stay_local(const struct config_values *v, struct route_input *in)
{
    AUTO(ptr) char *dir = getcwd(NULL, 0);
    const char *why = dir ? task_stays_local(&v->policy, dir) : NULL;
    if (why) {
        in->local_only = true;
        in->local_only_why = why;
    }
}

static int explain(struct explain *x, struct span text, struct err *e)
{
    struct cli *cli = x->cli;
    AUTO(classes) struct classes *all = NULL;
    struct config *cfg = cli_config(cli, e);
    if (!cfg)
        return cli_fail(cli, EXIT_USAGE, e);
    x->values = config_values(cfg);
    x->cfg = cfg;
    AUTO(ptr) char *dir = getcwd(NULL, 0);
    x->need_tokens = cli_int(cli, "tokens", 0);
    if (!x->need_tokens && dir)
        x->need_tokens = task_need_tokens(dir, text);
    const struct config_policy *p = &x->values->policy;
    struct class_input ci = { .text = text, .chosen = cli_string(cli, "class"), .extra = x->values->classes,
                              .nextra = x->values->nclasses, .protected_paths = { p->protected_paths, p->nprotected_paths } };
    struct classification c;
    struct route r;
    if (classes_create(&all, e) < 0 || class_decide(all, &ci, x->arena, &c, e) < 0)
        return cli_fail(cli, cli_exit_of(e), e);
    if (find_candidates(x, e) < 0)
        return cli_fail(cli, cli_exit_of(e), e);
    const char *wanted = cli_string(cli, "endpoint");
    struct route_input in = { .class = &c, .candidates = x->candidates, .ncandidates = x->n, .values = x->values,
                              .now = now_of(clock_unix_ms()), .wanted = wanted ? wanted : x->values->endpoint,
                              .local_only = cli_flag(cli, "local-only"), .need_tokens = x->need_tokens };
    stay_local(x->values, &in);
    read_past(x, cfg, &in.spent);
    if (route_decide(&in, x->arena, &r, e) < 0)
        return cli_fail(cli, cli_exit_of(e), e);
    if (cli->json)
        return print_json(x, &c, &r);
    print_text(x, &c, &r);
    return EXIT_DONE;
}

static int explain_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf text = BUF_INIT(TEXT_LIMIT_BYTES);
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    struct explain x = { .cli = cli, .arena = &a };
    if (strcmp(cli->argv[0], "-") == 0) {
        if (file_read_fd(STDIN_FILENO, "standard input", TEXT_LIMIT_BYTES, &text, &e) < 0)
            return cli_fail(cli, EXIT_FAILED, &e);
    } else {
        buf_adds(&text, cli->argv[0]);
    }
    if (!span_trim(buf_span(&text)).n) {
        err_set(&e, ERR_USAGE, "the task is empty");
        err_hint(&e, "say what to do: stead route explain \"make the failing test pass\"");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    int code = explain(&x, buf_span(&text), &e);
    endpoints_destroy(x.found);
    return code;
}

const struct command cmd_route_explain = {
    "route explain", "show where a task would go, and why; nothing is sent", "[options] \"TASK\"", explain_options, 1, 1, explain_main,
    .about = "Shows the class of the task with the signs it was known by, what a failure would cost, every endpoint of\n"
             "the chain with the reason why it is taken or not, and whether a person must decide. TASK - reads standard input.",
    .examples = "stead route explain \"bump dependency\"\twhere it would go\n"
                "stead route explain --json --class security \"check the upload handler\"\tfor programs\n",
};
