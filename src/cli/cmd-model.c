/*
 * model list, import, remove, catalogue: the models on this machine, and those one could get.
 */
#include <stdio.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "inference/catalogue.h"
#include "inference/fit.h"
#include "inference/locate.h"
#include "inference/shape.h"
#include "inference/models.h"

#define OUT_LIMIT (16u << 20)

struct listing {
    struct cli *cli;
    struct buf json;
    size_t shown;
};

static int print_json(struct cli *cli, struct buf *b)
{
    struct err e = ERR_INIT;
    if (buf_check(b, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    cli_out(cli, buf_span(b));
    return EXIT_DONE;
}

/* The store of this configuration; NULL with *e set. */
static struct models *open_store(struct cli *cli, struct err *e)
{
    const struct config *cfg = cli_config(cli, e);
    AUTO(ptr) char *dir = cfg ? path_join(config_cache_dir(cfg), "models") : NULL;
    struct models *s = NULL;
    if (!cfg)
        return NULL;
    if (!dir)
        (void)err_set(e, ERR_NOMEM, "out of memory");
    else
        (void)!models_open(dir, &s, e);
    return s;
}

/* --- list -------------------------------------------------------------------------------------- */

static void list_one(struct listing *l, const struct models_item *m)
{
    struct err why = ERR_INIT;
    AUTO(shape) struct shape s = { .layers = 0 };
    bool sound = shape_read(m->path, 0, &s, &why) == 0;
    char name[160], arch[64], size[24], text[300], added[24];
    l->shown++;
    if (l->cli->json) {
        buf_adds(&l->json, l->shown > 1 ? ",{\"name\":" : "{\"name\":");
        buf_add_json(&l->json, span_of(m->name));
        buf_adds(&l->json, ",\"path\":");
        buf_add_json(&l->json, span_of(m->path));
        buf_addf(&l->json, ",\"bytes\":%lld,\"sha256\":", (long long)m->bytes);
        buf_add_json(&l->json, span_of(m->sha256));
        buf_adds(&l->json, ",\"origin\":");
        buf_add_json(&l->json, span_of(m->origin));
        buf_adds(&l->json, ",\"arch\":");
        buf_add_json(&l->json, span_of(s.arch));
        buf_adds(&l->json, ",\"quant\":");
        buf_add_json(&l->json, span_of(s.quant));
        buf_addf(&l->json, ",\"params\":%lld,\"context_tokens\":%lld,\"problem\":", (long long)s.params, (long long)s.ctx_train);
        buf_add_json(&l->json, span_of(sound ? "" : why.text));
        buf_addc(&l->json, '}');
        return;
    }
    clean_into(name, sizeof name, span_of(m->name), CLEAN_LINE);
    clean_into(arch, sizeof arch, span_of(s.arch), CLEAN_LINE);
    if (!sound)
        cli_outf(l->cli, "%-40s %10s  %sunreadable: %s%s\n", name, format_size(m->bytes, size), cli_style(l->cli, "red"),
                 clean_into(text, sizeof text, span_of(why.text), CLEAN_LINE), cli_style(l->cli, "reset"));
    else
        cli_outf(l->cli, "%-40s %10s  %-8s %-10s %5.1fB  %7lld tokens  %.10s\n", name, format_size(m->bytes, size), s.quant, arch,
                 (double)s.params / 1e9, (long long)s.ctx_train, m->added_unix_ms ? clock_format(m->added_unix_ms, added) : "");
}

static int on_model(void *ctx, const struct models_item *m)
{
    list_one(ctx, m);
    return 0;
}

static int list_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(models) struct models *s = open_store(cli, &e);
    if (!s)
        return cli_fail(cli, cli_exit_of(&e), &e);
    struct listing l = { cli, BUF_INIT(OUT_LIMIT), 0 };
    struct err ignored = ERR_INIT;
    AUTO(ptr) char *pilot = engine_pilot(&ignored);
    buf_adds(&l.json, "{\"v\":1,\"models\":[");
    if (pilot) {
        struct err why = ERR_INIT;
        AUTO(shape) struct shape shape = { .layers = 0 };
        (void)!shape_read(pilot, 0, &shape, &why);
        struct models_item m = { MODELS_PILOT, pilot, shape.file_bytes, "", "bundled", 0 };
        list_one(&l, &m);
    }
    int code = EXIT_DONE;
    if (models_each(s, on_model, &l, &e) < 0)
        code = cli_fail(cli, EXIT_FAILED, &e);
    buf_adds(&l.json, "]}\n");
    if (code == EXIT_DONE && cli->json)
        code = print_json(cli, &l.json);
    else if (code == EXIT_DONE && !l.shown)
        cli_outf(cli, "No model is here. `stead fit` shows what this machine can run, `stead model import FILE.gguf` adds one.\n");
    buf_finish(&l.json);
    return code;
}

const struct command cmd_model_list = { "model list", "models on this machine", "", NULL, 0, 0, list_main };

/* --- import and remove ----------------------------------------------------------------------------- */

static int import_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(models) struct models *s = open_store(cli, &e);
    AUTO(ptr) char *name = NULL;
    if (!s)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (models_import(s, cli->argv[0], cli_string(cli, "name"), &name, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (cli->json) {
        AUTO(buf) struct buf b = BUF_INIT(64 << 10);
        buf_adds(&b, "{\"v\":1,\"name\":");
        buf_add_json(&b, span_of(name));
        buf_adds(&b, "}\n");
        return print_json(cli, &b);
    }
    if (!cli->quiet)
        cli_outf(cli, "%s is here. `stead fit` says whether it fits; set inference.model to use it.\n", name);
    return EXIT_DONE;
}

static const struct option import_options[] = {
    { "name", 0, OPT_STRING, "NAME", "call it so (default: the file's name)" },
    { 0 },
};
const struct command cmd_model_import = {
    "model import", "take a GGUF file into the store", "[options] FILE.gguf", import_options, 1, 1, import_main,
    .about = "The file is checked, then linked where it lies on the same file system, else copied; its SHA-256 is noted.\n"
             "Of a model in several files name the first, NAME-00001-of-00003.gguf: the others come along.",
};

static int remove_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    AUTO(models) struct models *s = open_store(cli, &e);
    if (!s)
        return cli_fail(cli, cli_exit_of(&e), &e);
    int code = EXIT_DONE;
    for (int i = 0; i < cli->argc; i++) {
        err_reset(&e);
        if (models_remove(s, cli->argv[i], &e) < 0)
            code = cli_fail(cli, cli_exit_of(&e), &e);
    }
    return code;
}

const struct command cmd_model_remove = { "model remove", "remove models from the store", "NAME...", NULL, 1, -1, remove_main };

/* --- catalogue ----------------------------------------------------------------------------------------- */

static int on_row(void *ctx, const struct catalogue_model *m)
{
    struct listing *l = ctx;
    char name[160], size[24], licence[40], sources[80], notes[200];
    if (l->cli->argc && !strcasestr(m->name, l->cli->argv[0]))
        return 0;
    l->shown++;
    struct fit_how how = FIT_HOW;
    struct fit_memory kv;
    fit_memory(&m->shape, 32768, &how, &kv);
    if (l->cli->json) {
        buf_adds(&l->json, l->shown > 1 ? ",{\"name\":" : "{\"name\":");
        buf_add_json(&l->json, span_of(m->name));
        buf_adds(&l->json, ",\"quant\":");
        buf_add_json(&l->json, span_of(m->shape.quant));
        buf_adds(&l->json, ",\"arch\":");
        buf_add_json(&l->json, span_of(m->arch));
        buf_addf(&l->json, ",\"params\":%lld,\"active_params\":%lld,\"bytes\":%lld,\"context_tokens\":%lld,\"kv_bytes_at_32768\":",
                 (long long)m->shape.params, (long long)m->shape.active_params, (long long)m->shape.file_bytes, (long long)m->shape.ctx_train);
        buf_addf(&l->json, m->kv_known ? "%lld" : "null", (long long)kv.kv);
        buf_adds(&l->json, ",\"licence\":");
        buf_add_json(&l->json, span_of(m->licence));
        buf_adds(&l->json, ",\"size_basis\":");
        buf_add_json(&l->json, span_of(m->basis));
        buf_adds(&l->json, ",\"sources\":");
        buf_add_json(&l->json, span_of(m->sources));
        buf_adds(&l->json, ",\"notes\":");
        buf_add_json(&l->json, span_of(m->notes));
        buf_addc(&l->json, '}');
        return 0;
    }
    cli_outf(l->cli, "%-42.42s %-7s %10s %6.1fB %7lld  %-14.14s %s[%s]%s %s\n", clean_into(name, sizeof name, span_of(m->name), CLEAN_LINE),
             m->shape.quant, format_size(m->shape.file_bytes, size), (double)m->shape.params / 1e9, (long long)m->shape.ctx_train,
             clean_into(licence, sizeof licence, span_of(m->licence), CLEAN_LINE), cli_style(l->cli, "dim"),
             clean_into(sources, sizeof sources, span_of(m->sources), CLEAN_LINE), cli_style(l->cli, "reset"),
             l->cli->verbose ? clean_into(notes, sizeof notes, span_of(m->notes), CLEAN_LINE) : "");
    return 0;
}

static int catalogue_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct listing l = { cli, BUF_INIT(OUT_LIMIT), 0 };
    buf_adds(&l.json, "{\"v\":1,\"models\":[");
    int code = EXIT_DONE;
    if (catalogue_each(on_row, &l, &e) < 0)
        code = cli_fail(cli, cli_exit_of(&e), &e);
    buf_adds(&l.json, "]}\n");
    if (code == EXIT_DONE && cli->json)
        code = print_json(cli, &l.json);
    buf_finish(&l.json);
    return code;
}

const struct command cmd_model_catalogue = {
    "model catalogue", "models one could run, with the sources of their figures", "[NAME]", NULL, 0, 1, catalogue_main,
    .about = "Rows of your own: a CSV file of the same columns in $XDG_CONFIG_HOME/stead/data/catalogue/.\n"
             "The letters are explained in the head of data/catalogue/models.csv; -v adds the notes.",
};
