/*
 * fit - what this machine can run, at which context and how fast; or what one would need to run a certain model.
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "cli/cmd.h"
#include "cli/fit-list.h"
#include "cli/fit-picture.h"
#include "config/config.h"
#include "inference/isa.h"
#include "inference/models.h"

#define SHOWN 12
#define OUT_LIMIT (16u << 20)
#define TTFT_PROMPT 2000.0 /* tokens of a first message with a file in it */

static const char *clean_name(const char *s, char out[160])
{
    return clean_into(out, 160, span_of(s), CLEAN_LINE);
}

/* --- JSON --------------------------------------------------------------------------------------------- */

static void add_double(struct buf *b, const char *name, double v)
{
    /* two decimals, without a locale */
    int64_t hundredths = (int64_t)(v * 100 + 0.5);
    buf_addf(b, "\"%s\":%lld.%02lld", name, (long long)(hundredths / 100), (long long)(hundredths % 100));
}

struct names {
    struct buf *b;
    bool any;
};

static int add_isa(void *ctx, const char *name)
{
    struct names *n = ctx;
    buf_addf(n->b, n->any ? ",\"%s\"" : "\"%s\"", name);
    n->any = true;
    return 0;
}

static void json_hardware(struct buf *b, const struct fit_list *l)
{
    const struct hardware *h = &l->hardware;
    struct names n = { b, false };
    buf_adds(b, "\"hardware\":{\"cpu\":");
    buf_add_json(b, span_of(h->cpu));
    buf_addf(b, ",\"cores\":%d,\"cores_logical\":%d,\"isa\":[", h->cores.usable, h->cores.logical);
    (void)isa_each(h->isa, add_isa, &n);
    buf_addf(b, "],\"memory_bytes\":%lld,\"memory_available_bytes\":%lld,\"memory_limit_bytes\":", (long long)h->memory_bytes,
             (long long)h->memory_available);
    buf_addf(b, h->memory_limit >= 0 ? "%lld" : "null", (long long)h->memory_limit);
    buf_addf(b, ",\"reserved_bytes\":%lld,\"budget_bytes\":%lld,\"bandwidth_bytes_per_second\":%.0f,\"gpus\":[",
             (long long)l->reserve_bytes, (long long)l->budget_bytes, h->bandwidth);
    for (int i = 0; i < h->ngpus; i++) {
        buf_adds(b, i ? ",{\"name\":" : "{\"name\":");
        buf_add_json(b, span_of(h->gpus[i].name));
        buf_addf(b, ",\"vendor\":\"%s\",\"memory_bytes\":%lld,\"free_bytes\":%lld,\"unified\":%s}", h->gpus[i].vendor,
                 (long long)h->gpus[i].memory_bytes, (long long)h->gpus[i].free_bytes, h->gpus[i].unified ? "true" : "false");
    }
    buf_adds(b, "]}");
}

static void json_speed(struct buf *b, const struct fit_speed *v)
{
    buf_adds(b, ",\"tokens_per_second\":");
    if (v->expected <= 0) {
        buf_adds(b, "null,\"prompt_tokens_per_second\":null");
        return;
    }
    buf_addc(b, '{');
    if (v->measured) {
        add_double(b, "measured", v->expected);
    } else {
        add_double(b, "low", v->low);
        buf_addc(b, ',');
        add_double(b, "expected", v->expected);
        buf_addc(b, ',');
        add_double(b, "high", v->high);
    }
    buf_adds(b, "},\"prompt_tokens_per_second\":{");
    add_double(b, "low", v->prompt_low);
    buf_addc(b, ',');
    add_double(b, "expected", v->prompt_expected);
    buf_addc(b, ',');
    add_double(b, "high", v->prompt_high);
    buf_addc(b, '}');
}

static void json_item(struct buf *b, const struct fit_item *i)
{
    const struct fit_memory *m = &i->memory;
    buf_adds(b, "{\"name\":");
    buf_add_json(b, span_of(i->name));
    buf_adds(b, ",\"quant\":");
    buf_add_json(b, span_of(i->shape.quant));
    buf_adds(b, ",\"file\":");
    if (i->path[0])
        buf_add_json(b, span_of(i->path));
    else
        buf_adds(b, "null");
    buf_addf(b, ",\"file_bytes\":%lld,\"context_tokens\":%lld,\"context_most_tokens\":%lld,\"context_trained_tokens\":%lld,"
                "\"slots\":%d,\"ubatch\":%d,\"kv_type\":\"%s\"",
             (long long)i->shape.file_bytes, (long long)i->ctx_tokens, (long long)i->ctx_most, (long long)i->shape.ctx_train,
             i->how.slots, i->how.ubatch, fit_kv_name(i->how.type_k));
    buf_addf(b, ",\"kv_type_v\":\"%s\",\"memory_bytes\":{\"weights\":%lld,\"repack\":%lld,\"kv\":%lld,\"recurrent\":%lld,\"compute\":%lld,"
                "\"output\":%lld,\"projector\":%lld,\"total\":%lld},\"compute_measured\":%s,\"loads\":%s,\"fits\":%s,\"on\":",
             fit_kv_name(i->how.type_v), (long long)m->weights, (long long)m->repack, (long long)m->kv, (long long)m->recurrent,
             (long long)m->compute, (long long)m->output, (long long)m->projector, (long long)m->total,
             m->measured ? "true" : "false", i->refused ? "false" : m->measured ? "true" : "null", i->fits ? "true" : "false");
    buf_addf(b, i->gpu >= 0 ? "\"gpu%d\"" : "\"cpu\"", i->gpu);
    json_speed(b, &i->speed);
    buf_adds(b, ",\"note\":");
    buf_add_json(b, span_of(i->note));
    buf_addc(b, '}');
}

static int print_json(struct cli *cli, const struct fit_list *l)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(OUT_LIMIT);
    buf_adds(&b, "{\"v\":1,");
    json_hardware(&b, l);
    buf_adds(&b, ",\"models\":[");
    for (size_t i = 0; i < l->len; i++) {
        if (i)
            buf_addc(&b, ',');
        json_item(&b, &l->items[i]);
    }
    buf_adds(&b, "]}\n");
    if (buf_check(&b, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    cli_out(cli, buf_span(&b));
    return EXIT_DONE;
}

/* --- words ----------------------------------------------------------------------------------------------- */

static void show_hardware(struct cli *cli, const struct fit_list *l)
{
    const struct hardware *h = &l->hardware;
    char a[24], b[24], c[24], name[160];
    cli_outf(cli, "%sThis machine%s  %s, %d core%s", cli_style(cli, "bold"), cli_style(cli, "reset"), clean_name(h->cpu, name),
             h->cores.usable, h->cores.usable == 1 ? "" : "s");
    cli_outf(cli, "; memory %s, %s free", format_size(h->memory_bytes, a), format_size(h->memory_usable, b));
    if (h->memory_limit >= 0)
        cli_outf(cli, " (limited to %s by its control group)", format_size(h->memory_limit, c));
    cli_outf(cli, ", read at %.0f GB/s\n", h->bandwidth / 1e9);
    if (h->bandwidth_shared)
        cli_outf(cli, "              %sOther work ran while that was measured: alone, models answer faster than it says below.%s\n", cli_style(cli, "yellow"),
                 cli_style(cli, "reset"));
    for (int i = 0; i < h->ngpus; i++) {
        cli_outf(cli, "              %s", clean_name(h->gpus[i].name, name));
        if (h->gpus[i].unified)
            cli_outf(cli, ": shares the machine's memory\n");
        else
            cli_outf(cli, ": %s, %s free\n", format_size(h->gpus[i].memory_bytes, a), format_size(h->gpus[i].free_bytes, b));
    }
    cli_outf(cli, "              %s kept for builds and tests; %s for models\n\n", format_size(l->reserve_bytes, a),
             format_size(l->budget_bytes, b));
}

static void speed_text(const struct fit_speed *v, char out[48])
{
    if (v->expected <= 0)
        (void)snprintf(out, 48, "?");
    else if (v->measured)
        (void)snprintf(out, 48, "%.1f measured", v->expected);
    else
        (void)snprintf(out, 48, "%.*f (%.*f-%.*f)", v->expected < 10, v->expected, v->low < 10, v->low, v->high < 10, v->high);
}

static void ttft_text(const struct fit_speed *v, char out[48])
{
    char a[24];
    if (v->prompt_expected <= 0)
        (void)snprintf(out, 48, "?");
    else
        (void)snprintf(out, 48, "%s", format_duration((int64_t)(TTFT_PROMPT / v->prompt_expected * 1000), a));
}

static void show_table(struct cli *cli, const struct fit_list *l, bool all)
{
    cli_outf(cli, "%s%-42s %-7s %10s %8s %10s  %-16s %s%s\n", cli_style(cli, "dim"), "model", "kind", "file", "context", "needs",
             "tokens/s", "first token", cli_style(cli, "reset"));
    size_t shown = 0, hidden = 0;
    for (size_t k = 0; k < l->len; k++) {
        const struct fit_item *i = &l->items[k];
        char name[160], size[24], total[24], speed[48], first[48], ctx[24];
        if (!all && (!i->fits || (shown >= SHOWN && !i->path[0]))) { /* what is here is always shown */
            hidden++;
            continue;
        }
        shown++;
        speed_text(&i->speed, speed);
        ttft_text(&i->speed, first);
        (void)snprintf(ctx, sizeof ctx, "%lld", (long long)i->ctx_tokens);
        cli_outf(cli, "%s%-42.42s%s %-7.7s %10s %8s %10s  %-16s %s%s\n", cli_style(cli, i->fits ? "green" : "dim"), clean_name(i->name, name),
                 cli_style(cli, "reset"), i->shape.quant, format_size(i->shape.file_bytes, size), i->fits ? ctx : "no",
                 format_size(i->memory.total, total), speed, first, i->demo ? "  (here, for demonstrations)" : i->path[0] ? "  (here)" : "");
    }
    if (hidden)
        cli_outf(cli, "%s%zu more, among them those that do not fit: --all%s\n", cli_style(cli, "dim"), hidden, cli_style(cli, "reset"));
}

/* The embedded engine computes on the processor: whoever wants the GPU's speed needs a server that uses it. */
static void show_where(struct cli *cli, const struct fit_list *l, const struct fit_item *i)
{
    char name[160];
    if (i && i->gpu >= 0)
        cli_outf(cli, "That is on %s, by a llama-server built for it: `inference.server` names one, or start it yourself. stead's own engine\n"
                      "computes on the processor.\n", clean_name(l->hardware.gpus[i->gpu].name, name));
}

/* For somebody who decides and does not read tables. */
static void show_advice(struct cli *cli, const struct fit_list *l)
{
    const struct fit_item *work = NULL, *wait = NULL;
    char name[160], total[24];
    for (size_t k = 0; k < l->len; k++) {
        const struct fit_item *i = &l->items[k];
        if (!i->fits || i->demo)
            continue;
        if (i->pace == FIT_PACE_WORK && !work)
            work = i;
        if (i->pace == FIT_PACE_WAIT && !wait)
            wait = i;
    }
    cli_outf(cli, "\n");
    if (work)
        cli_outf(cli, "%sTo work with%s: %s (%s). It takes %s and is expected to write about %.0f tokens a second: %s.\n",
                 cli_style(cli, "bold"), cli_style(cli, "reset"), clean_name(work->name, name), work->shape.quant,
                 format_size(work->memory.total, total), work->speed.expected, fit_pace_words(work->pace));
    else
        cli_outf(cli, "No model of the catalogue is expected to be quick enough to work with on this machine.\n");
    if (wait)
        cli_outf(cli, "%sWhere quality matters more than waiting%s: %s (%s), about %.1f tokens a second.\n", cli_style(cli, "bold"),
                 cli_style(cli, "reset"), clean_name(wait->name, name), wait->shape.quant, wait->speed.expected);
    show_where(cli, l, work ? work : wait);
    cli_outf(cli, "Quality is judged by size alone: try a model on your own tasks. Speeds are predicted with their\n"
                  "range until measured here (`stead fit --measure FILE.gguf`); while builds run beside a model they drop by much.\n");
}

static void show_part(struct cli *cli, const char *what, int64_t bytes, const char *why)
{
    char a[24];
    if (bytes > 0)
        cli_outf(cli, "  %-22s %12s  %s%s%s\n", what, format_size(bytes, a), cli_style(cli, "dim"), why, cli_style(cli, "reset"));
}

static void show_one(struct cli *cli, const struct fit_list *l, const struct fit_item *i)
{
    const struct shape *s = &i->shape;
    const struct fit_memory *m = &i->memory;
    char name[160], a[24], speed[48], first[48];
    cli_outf(cli, "%s%s%s  %s, %s, %.1f billion parameters%s, trained for %lld tokens\n", cli_style(cli, "bold"), clean_name(i->name, name),
             cli_style(cli, "reset"), s->arch, s->quant, (double)s->params / 1e9, s->experts > 1 ? " in experts" : "", (long long)s->ctx_train);
    if (i->refused)
        cli_outf(cli, "%s%s.%s\n", cli_style(cli, "red"), clean_name(i->note, name), cli_style(cli, "reset"));
    if (!s->has_template)
        cli_outf(cli, "%sThe file has no chat template: an agent cannot talk to it.%s\n", cli_style(cli, "yellow"), cli_style(cli, "reset"));
    if (i->ctx_tokens > s->ctx_train && s->ctx_train > 0)
        cli_outf(cli, "%sThat is more context than it was trained for: beyond %lld tokens it may lose the thread.%s\n",
                 cli_style(cli, "yellow"), (long long)s->ctx_train, cli_style(cli, "reset"));
    if (i->fits && i->ctx_tokens < l->ctx_tokens && i->ctx_tokens < s->ctx_train)
        cli_outf(cli, "%sIt fits with at most %lld tokens of context.%s\n", cli_style(cli, "yellow"), (long long)i->ctx_tokens,
                 cli_style(cli, "reset"));
    cli_outf(cli, "\nAt %lld tokens of context, %d conversation%s, cache in %s:\n", (long long)i->ctx_tokens, i->how.slots,
             i->how.slots == 1 ? "" : "s", fit_kv_name(i->how.type_k));
    show_part(cli, "weights", m->weights, "mapped from the file: can leave memory under pressure, then it gets slow");
    show_part(cli, "weights, second layout", m->repack, "copies that suit this processor; --no-repack does without");
    show_part(cli, "cache of the context", m->kv, s->latent ? "one compressed key per token and layer" : "keys and values");
    show_part(cli, "state of the layers", m->recurrent, "of fixed size, per conversation");
    show_part(cli, "working memory", m->compute, m->measured ? "as llama.cpp plans it" : "estimated, about 15 % off");
    show_part(cli, "output", m->output, "");
    show_part(cli, "image projector", m->projector, "");
    cli_outf(cli, "  %s%-22s %12s%s  %s%s%s\n", cli_style(cli, "bold"), "together", format_size(m->total, a), cli_style(cli, "reset"),
             cli_style(cli, i->fits ? "green" : "red"),
             i->fits ? "fits" : i->refused ? "as far as the header tells" : "does not fit", cli_style(cli, "reset"));
    if (i->ctx_most > 0)
        cli_outf(cli, "  The largest context that fits: %lld tokens.\n", (long long)i->ctx_most);
    fit_picture_terminal(cli, l, i);
    speed_text(&i->speed, speed);
    ttft_text(&i->speed, first);
    cli_outf(cli, "\nSpeed: %s tokens a second: %s. First token of a message of %.0f tokens after about %s.\n", speed,
             fit_item_words(i), TTFT_PROMPT, first);
    show_where(cli, l, i);
    if (i->note[0] && !i->refused)
        cli_outf(cli, "Note: %s.\n", clean_name(i->note, name));
}

/* --- what would I need ------------------------------------------------------------------------------------- */

static void show_need(struct cli *cli, const struct fit_list *l)
{
    char name[160], total[24], have[24], less[24];
    for (size_t k = 0; k < l->len; k++) {
        const struct fit_item *i = &l->items[k];
        struct fit_how how = i->how;
        struct fit_memory m;
        how.repack = false;
        int64_t ctx = i->shape.ctx_train > 0 && i->shape.ctx_train < l->ctx_tokens ? i->shape.ctx_train : l->ctx_tokens;
        fit_memory(&i->shape, ctx, &how, &m);
        double bytes = (double)i->shape.active_bytes + (double)m.kv / 2;
        cli_outf(cli, "%s%s%s (%s, %lld tokens of context)\n", cli_style(cli, "bold"), clean_name(i->name, name), cli_style(cli, "reset"),
                 i->shape.quant, (long long)ctx);
        cli_outf(cli, "  Memory: %s, on a GPU or in the machine.", format_size(m.total, total));
        if (i->fits)
            cli_outf(cli, " This machine has it.\n");
        else
            cli_outf(cli, " This machine has %s for models: %s more are needed.\n", format_size(l->budget_bytes, have),
                     format_size(m.total - l->budget_bytes, less));
        cli_outf(cli, "  To write 10 tokens a second, memory must be read at about %.0f GB/s (this machine: %.0f); for 30, at %.0f GB/s.\n",
                 bytes * 10 / 0.6 / 1e9, l->hardware.bandwidth / 1e9, bytes * 30 / 0.6 / 1e9);
        cli_outf(cli, "  For scale: two channels of DDR5 read 60 to 90 GB/s, a desktop with unified memory 250 to 800, a 24 GB GPU about 1000.\n");
        if (i->note[0])
            cli_outf(cli, "  %s%s%s\n", cli_style(cli, "dim"), clean_name(i->note, name), cli_style(cli, "reset"));
    }
}

/* --- the command ------------------------------------------------------------------------------------------ */

static int read_how(struct cli *cli, struct fit_list *l, struct err *e)
{
    l->how = (struct fit_how)FIT_HOW;
    l->how.slots = (int32_t)cli_int(cli, "slots", 1);
    l->how.ubatch = (int32_t)cli_int(cli, "ubatch", 512);
    l->how.unified = cli_flag(cli, "unified");
    l->how.repack = !cli_flag(cli, "no-repack");
    l->how.all_outputs = cli_flag(cli, "all-logits");
    l->how.projector_bytes = cli_int(cli, "projector", 0);
    const char *kv = cli_string(cli, "kv-type");
    if (kv) { /* "q8_0" or "q8_0,f16": keys, values */
        struct span rest = span_of(kv), k, v;
        char text[16];
        if (!span_split(&rest, ',', &k) || !span_split(&rest, ',', &v))
            v = k;
        int tk = fit_kv_parse(clean_into(text, sizeof text, k, CLEAN_LINE));
        int tv = fit_kv_parse(clean_into(text, sizeof text, v, CLEAN_LINE));
        if (tk < 0 || tv < 0 || rest.n) {
            (void)err_set(e, ERR_USAGE, "--kv-type: '%.40s' is not a type of the cache", kv);
            err_hint(e, "f16, bf16, f32, q8_0, q5_1, q4_0 or iq4_nl; two with a comma: keys, values");
            return -e->kind;
        }
        l->how.type_k = (enum fit_kv)tk;
        l->how.type_v = (enum fit_kv)tv;
    }
    l->ctx_tokens = cli_int(cli, "ctx", 0);
    l->ctx_exact = l->file && l->ctx_tokens > 0;
    if (l->ctx_tokens <= 0)
        l->ctx_tokens = FIT_CTX_DEFAULT;
    l->reserve_bytes = cli_int(cli, "reserve", -1);
    return 0;
}

static int write_page(struct cli *cli, const struct fit_list *l, const char *path)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(OUT_LIMIT);
    (void)fit_picture_html(&b, l);
    if (buf_check(&b, &e) < 0 || file_write_atomic(path, buf_span(&b), 0644, false, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    if (!cli->json && !cli->quiet)
        cli_outf(cli, "\nWritten to %s\n", path);
    return EXIT_DONE;
}

int fit_measure_speed(struct cli *cli, const char *path, struct err *e);

/* The operand: a file, or the name of a model in the store; malloc'd, or NULL with *e set. */
static char *find_file(const struct config *cfg, const char *operand, struct err *e)
{
    AUTO(ptr) char *dir = path_join(config_cache_dir(cfg), "models");
    AUTO(models) struct models *m = NULL;
    struct err ignored = ERR_INIT;
    char *path = NULL;
    if (dir && access(operand, F_OK) < 0 && !strchr(operand, '/') && models_open(dir, &m, &ignored) == 0)
        path = models_path(m, operand, &ignored);
    if (!path)
        path = strdup(operand); /* whoever opens it says what is wrong */
    if (!path)
        (void)err_set(e, ERR_NOMEM, "out of memory");
    return path;
}

static int fit_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    const struct config *cfg = cli_config(cli, &e);
    if (!cfg)
        return cli_fail(cli, EXIT_USAGE, &e);
    AUTO(ptr) char *file = cli->argc ? find_file(cfg, cli->argv[0], &e) : NULL;
    if (cli->argc && !file)
        return cli_fail(cli, EXIT_FAILED, &e);
    struct fit_list l = { .file = file, .need = cli_string(cli, "need"), .cache_dir = config_cache_dir(cfg),
                          .cancel = cli_cancel(cli) };
    l.loop = cli_loop(cli, &e);
    if (!l.loop)
        return cli_fail(cli, EXIT_FAILED, &e);
    if (read_how(cli, &l, &e) < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    if (cli_flag(cli, "measure")) {
        if (!l.file) {
            (void)err_set(&e, ERR_USAGE, "--measure needs a FILE.gguf");
            return cli_fail(cli, EXIT_USAGE, &e);
        }
        if (fit_measure_speed(cli, l.file, &e) < 0)
            return cli_fail(cli, cli_exit_of(&e), &e);
    }
    int code = EXIT_DONE;
    if (fit_list_fill(&l, &e) < 0) {
        fit_list_finish(&l);
        return cli_fail(cli, cli_exit_of(&e), &e);
    }
    if (l.need && !l.len) {
        char name[160];
        (void)err_set(&e, ERR_NOT_FOUND, "no model of the catalogue has '%s' in its name", clean_name(l.need, name));
        err_hint(&e, "`stead model catalogue` lists them");
        fit_list_finish(&l);
        return cli_fail(cli, EXIT_FAILED, &e);
    }
    if (cli->json) {
        code = print_json(cli, &l);
    } else {
        show_hardware(cli, &l);
        if (l.need)
            show_need(cli, &l);
        else if (l.file && l.len)
            show_one(cli, &l, &l.items[0]);
        else {
            show_table(cli, &l, cli_flag(cli, "all"));
            show_advice(cli, &l);
        }
    }
    const char *page = cli_string(cli, "html");
    if (page && code == EXIT_DONE)
        code = write_page(cli, &l, page);
    fit_list_finish(&l);
    return code;
}

static const struct option fit_options[] = {
    { "ctx", 0, OPT_INT, "TOKENS", "context wanted (default 32768, or what the model was trained for); with FILE exactly this one", .min = 256, .max = 1 << 24 },
    { "slots", 0, OPT_INT, "N", "conversations side by side, each with the whole context (default 1)", .min = 1, .max = 64 },
    { "kv-type", 0, OPT_STRING, "TYPE[,TYPE]", "of the cache: f16, bf16, f32, q8_0, q5_1, q4_0, iq4_nl; keys, values" },
    { "ubatch", 0, OPT_INT, "TOKENS", "evaluated at once (default 512)", .min = 32, .max = 8192 },
    { "unified", 0, OPT_FLAG, NULL, "one cache that all conversations share" },
    { "no-repack", 0, OPT_FLAG, NULL, "without the copies of the weights that suit the processor" },
    { "all-logits", 0, OPT_FLAG, NULL, "with room for the logits of a whole batch, as programs that ask for all of them" },
    { "projector", 0, OPT_SIZE, "SIZE", "of an image projector loaded beside the model" },
    { "reserve", 0, OPT_SIZE, "SIZE", "memory kept for builds and tests (default a seventh of what there is, at most 16G)" },
    { "need", 0, OPT_STRING, "NAME", "what one would need to run this model" },
    { "measure", 0, OPT_FLAG, NULL, "run FILE for a moment and remember how fast it is" },
    { "all", 0, OPT_FLAG, NULL, "also what does not fit" },
    { "html", 0, OPT_STRING, "FILE", "write a page with drawings there too" },
    { 0 },
};

const struct command cmd_fit = {
    "fit", "what this machine can run, at which context and speed", "[options] [FILE.gguf|NAME]", fit_options, 0, 1, fit_main,
    .about = "Without a file: the models of the catalogue and those at hand, ranked by whether they fit, how long one waits for\n"
             "them, and quality, of which size is the only stand-in. With a file: what it needs, part by part, and how its cache\n"
             "grows with the conversation. The memory is what the embedded engine and llama-server take; the cache is exact, the\n"
             "working memory is what llama.cpp plans for this machine.",
    .examples = "stead fit\twhat can I run\nstead fit model.gguf --ctx 65536\tdoes it fit, and what does it take\n"
                "stead fit --need Qwen3-Coder\twhat would I need to run it\nstead fit --html fit.html\ta page for others\n",
};
