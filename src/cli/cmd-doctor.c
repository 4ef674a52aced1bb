/*
 * doctor - what is here and what is missing, in words, each with its remedy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "inference/hardware.h"
#include "inference/locate.h"
#include "journal/journal.h"
#include "model/endpoint.h"
#include "sandbox/sandbox.h"

#define MEMORY_LEAST ((int64_t)4 << 30)

enum state { GOOD, WEAK, BAD };

struct doctor {
    struct cli *cli;
    struct buf json;
    size_t bad, weak;
};

__attribute__((format(printf, 5, 6))) static void report(struct doctor *d, enum state st, const char *name, const char *remedy, const char *fmt, ...)
{
    static const char *const marks[] = { "ok", "weak", "missing" }, *const colors[] = { "green", "yellow", "red" };
    char text[400], safe[500], hint[500];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)clean_into(safe, sizeof safe, span_of(text), CLEAN_LINE);
    (void)clean_into(hint, sizeof hint, span_of(remedy ? remedy : ""), CLEAN_LINE);
    d->bad += st == BAD;
    d->weak += st == WEAK;
    if (d->cli->json) {
        buf_addf(&d->json, "%s{\"name\":\"%s\",\"verdict\":\"%s\",\"detail\":", d->json.n ? "," : "", name, marks[st]);
        buf_add_json(&d->json, span_of(safe));
        buf_adds(&d->json, ",\"remedy\":");
        buf_add_json(&d->json, span_of(hint));
        buf_addc(&d->json, '}');
        return;
    }
    cli_outf(d->cli, "%s%-8s%s %-18s %s\n", cli_style(d->cli, colors[st]), marks[st], cli_style(d->cli, "reset"), name, safe);
    if (hint[0] && st != GOOD)
        cli_outf(d->cli, "%28stry: %s\n", "", hint);
}

static void look_sandbox(struct doctor *d, struct loop *loop)
{
    struct sandbox_report r = { 0 };
    struct err e = ERR_INIT;
    if (sandbox_check(loop, &r, &e) < 0) {
        report(d, BAD, "sandbox", e.hint, "%s", e.text);
        return;
    }
    size_t have = 0;
    for (size_t i = 0; i < r.nwalls; i++)
        have += r.walls[i].available;
    report(d, r.usable ? GOOD : BAD, "sandbox", "`stead sandbox check` shows each wall and how to get it", "%zu of %zu walls stand", have, r.nwalls);
    for (size_t i = 0; i < r.nwalls; i++)
        if (!r.walls[i].available)
            report(d, r.walls[i].required ? BAD : WEAK, "  wall", r.walls[i].remedy, "%s: %s", r.walls[i].name, r.walls[i].detail);
}

static void look_endpoints(struct doctor *d, struct loop *loop, struct config *cfg)
{
    const struct config_values *v = config_values(cfg);
    const struct discover_options o = { .chosen = v->endpoint, .model = v->model, .all = true };
    AUTO(endpoints) struct endpoints *all = NULL;
    struct err e = ERR_INIT;
    if (endpoints_discover(loop, &o, cli_cancel(d->cli), &all, &e) < 0 && !all) {
        report(d, WEAK, "endpoint", "start llama-server, Ollama or LM Studio; until then the embedded engine serves", "no server answers on this machine");
        return;
    }
    for (size_t i = 0; i < all->len; i++) {
        const struct endpoint *ep = all->items[i];
        report(d, ep->state == ENDPOINT_READY ? GOOD : WEAK, "endpoint", ep->remedy, "%s at %s: %s, model %s%s%s", ep->name, ep->url,
               server_kind_title(ep->server), ep->model[0] ? ep->model : "none", ep->problem[0] ? ": " : "", ep->problem);
    }
}

static void look_engine(struct doctor *d)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *program = engine_program(&e);
    if (program)
        report(d, GOOD, "embedded engine", NULL, "%s", program);
    else
        report(d, WEAK, "embedded engine", e.hint, "%s", e.text);
    AUTO(ptr) char *pilot = engine_pilot(&e);
    if (pilot)
        report(d, GOOD, "pilot model", NULL, "%s: for demonstrations; `stead fit` shows what to use for work", pilot);
    else
        report(d, WEAK, "pilot model", e.hint, "%s", e.text);
}

/* What a model could use of this machine; `stead fit` says which. */
static void look_hardware(struct doctor *d)
{
    struct hardware h;
    char a[24], b[24], c[24];
    bool nvidia = false;
    hardware_read(&h);
    report(d, GOOD, "processor", NULL, "%s, %d core%s to compute with", h.cpu, h.cores.usable, h.cores.usable == 1 ? "" : "s");
    report(d, h.memory_usable < MEMORY_LEAST ? WEAK : GOOD, "memory", "close other programs, or raise the limit; a useful model and its tests want 4 GiB and more",
           "%s free of %s%s%s", format_size(h.memory_usable, a), format_size(h.memory_bytes, b), h.memory_limit >= 0 ? ", limited by a control group to " : "",
           h.memory_limit >= 0 ? format_size(h.memory_limit, c) : "");
    for (int i = 0; i < h.ngpus; i++) {
        const struct hardware_gpu *g = &h.gpus[i];
        nvidia |= strcmp(g->vendor, "nvidia") == 0;
        if (g->unified)
            report(d, GOOD, "gpu", NULL, "%s: shares the machine's memory", g->name);
        else
            report(d, GOOD, "gpu", NULL, "%s: %s free of %s", g->name, format_size(g->free_bytes, a), format_size(g->memory_bytes, b));
    }
    if (h.nvidia_cards && !nvidia)
        report(d, WEAK, "gpu", "install NVIDIA's driver; in a container pass the card through (--gpus all)",
               "an NVIDIA card is here, its driver's library (libnvidia-ml.so.1) is not");
}

static void look_program(struct doctor *d, const char *name, const char *what)
{
    const char *path = getenv("PATH"); /* NOLINT(concurrency-mt-unsafe): nothing here calls setenv */
    struct span rest = span_of(path ? path : "/usr/bin:/bin"), dir;
    while (span_split(&rest, ':', &dir)) {
        AUTO(ptr) char *folder = span_dup(dir);
        AUTO(ptr) char *file = folder ? path_join(folder, name) : NULL;
        if (file && access(file, X_OK) == 0) {
            report(d, GOOD, name, NULL, "%s", file);
            return;
        }
    }
    char remedy[120];
    (void)snprintf(remedy, sizeof remedy, "install %s", strcmp(name, "rg") == 0 ? "ripgrep" : strcmp(name, "ctags") == 0 ? "universal-ctags" : name);
    report(d, WEAK, name, remedy, "not found: %s", what);
}

static int doctor_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct doctor d = { .cli = cli, .json = BUF_INIT(1 << 20) };
    struct config *cfg = cli_config(cli, &e);
    if (!cfg)
        return cli_fail(cli, EXIT_USAGE, &e);
    struct loop *loop = cli_loop(cli, &e);
    if (!loop)
        return cli_fail(cli, EXIT_FAILED, &e);
    AUTO(journal) struct journal *j = NULL;
    struct journal_check jc = { 0 };
    if (journal_open(config_journal_path(cfg), JOURNAL_CREATE, &j, &e) < 0 || journal_check(j, &jc, &e) < 0 || jc.problem[0])
        report(&d, BAD, "journal", e.hint[0] ? e.hint : "move the file away; a new one is made", "%s", jc.problem[0] ? jc.problem : e.text);
    else
        report(&d, GOOD, "journal", NULL, "%s: %lld events of %lld sessions", config_journal_path(cfg), (long long)jc.events, (long long)jc.sessions);
    look_sandbox(&d, loop);
    look_endpoints(&d, loop, cfg);
    look_engine(&d);
    look_hardware(&d);
    look_program(&d, "rg", "search is slower without it");
    look_program(&d, "ctags", "no map of the repository for the model");
    int code = d.bad ? EXIT_FAILED : EXIT_DONE;
    if (cli->json)
        cli_outf(cli, "{\"v\":1,\"exit\":%d,\"checks\":[%s]}\n", code, buf_str(&d.json));
    else
        cli_outf(cli, "%zu missing, %zu weak\n", d.bad, d.weak);
    buf_finish(&d.json);
    return code;
}

const struct command cmd_doctor = { "doctor", "what is here, what is missing, and how to get it", "", NULL, 0, 0, doctor_main };
