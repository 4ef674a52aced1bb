/*
 * config show, check, path: what is configured, where each value comes from, whether the files are sound.
 */
#include <string.h>

#include "base/clean.h"
#include "base/mem.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "config/config-keys.h"
#include "config/config.h"
#include "route/class.h"

#define JSON_LIMIT_BYTES (4u << 20)

static int print_json(struct cli *cli, struct buf *b)
{
    struct err e = ERR_INIT;
    if (buf_check(b, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    cli_out(cli, buf_span(b));
    return EXIT_DONE;
}

/* --- show --- */

struct show {
    struct cli *cli;
    const char *prefix; /* only keys that begin so */
    struct buf json;
    size_t shown;
};

static bool is_wanted(const struct show *s, const char *key)
{
    size_t n = s->prefix ? strlen(s->prefix) : 0;
    return n == 0 || (strncmp(key, s->prefix, n) == 0 && (key[n] == '\0' || key[n] == '.' || key[n] == '['));
}

static int show_json(void *ctx, const struct config_value *v)
{
    struct show *s = ctx;
    if (!is_wanted(s, v->key))
        return 0;
    buf_adds(&s->json, s->shown++ ? ",{\"key\":" : "{\"key\":");
    buf_add_json(&s->json, span_of(v->key));
    buf_adds(&s->json, ",\"value\":");
    buf_add_json(&s->json, span_of(v->text));
    buf_adds(&s->json, ",\"level\":");
    buf_add_json(&s->json, span_of(config_level_name(v->level)));
    buf_adds(&s->json, ",\"source\":");
    buf_add_json(&s->json, span_of(v->source));
    buf_addf(&s->json, ",\"locked\":%s}", v->locked ? "true" : "false");
    return 0;
}

static int show_text(void *ctx, const struct config_value *v)
{
    struct show *s = ctx;
    char key[160], text[400], source[300];
    if (!is_wanted(s, v->key))
        return 0;
    s->shown++;
    clean_into(key, sizeof key, span_of(v->key), CLEAN_LINE);
    clean_into(text, sizeof text, span_of(v->text), CLEAN_LINE);
    clean_into(source, sizeof source, span_of(v->source), CLEAN_LINE);
    bool set = v->level != CONFIG_DEFAULT;
    cli_outf(s->cli, "%s%-32s %s%s  %s# %s%s%s\n", set ? cli_style(s->cli, "bold") : "", key, text,
             set ? cli_style(s->cli, "reset") : "", cli_style(s->cli, "dim"), source, v->locked ? ", locked" : "",
             cli_style(s->cli, "reset"));
    return 0;
}

static int show_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    struct show s = { .cli = cli, .prefix = cli->argc ? cli->argv[0] : NULL, .json = BUF_INIT(JSON_LIMIT_BYTES) };
    int code = EXIT_DONE;
    if (cli->json) {
        buf_adds(&s.json, "{\"v\":1,\"values\":[");
        (void)config_each(c, show_json, &s);
        buf_adds(&s.json, "]}\n");
        code = print_json(cli, &s.json);
    } else {
        (void)config_each(c, show_text, &s);
    }
    buf_finish(&s.json);
    if (s.shown == 0 && s.prefix) {
        char safe[64];
        err_set(&e, ERR_NOT_FOUND, "nothing is set for '%s'", clean_into(safe, sizeof safe, span_of(s.prefix), CLEAN_LINE));
        err_hint(&e, "`stead config keys` lists every key");
        code = cli_fail(cli, EXIT_USAGE, &e);
    }
    return code;
}

const struct command cmd_config_show = {
    "config show", "show each value and where it comes from", "[KEY]", NULL, 0, 1, show_main,
    .about = "Values come from, weakest first: defaults, the site's file, your own file, the project's stead.yaml, the\n"
             "environment, options. With KEY only what begins with it: a section, or one value.",
    .examples = "stead config show policy\tthe rules that decide what may leave this machine\n",
};

/* --- check --- */

struct class_check {
    struct classes *all;
    struct err *e;
};

/* Keys whose value is the name of a task class; `other`: the word that is allowed beside. */
static bool names_class(const char *key, const char **other)
{
    static const struct {
        const char *from, *to, *other;
    } keys[] = { { "policy.hosted_classes[", "]", "all" }, { "policy.chains[", "].class", "default" },
                 { "policy.second_model[", "].class", "default" }, { "classes[", "].name", "" } };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (strncmp(key, keys[i].from, strlen(keys[i].from)) == 0 && span_ends(span_of(key), keys[i].to)) {
            *other = keys[i].other;
            return true;
        }
    return false;
}

static int check_class(void *ctx, const struct config_value *v)
{
    const struct class_check *x = ctx;
    const char *other = "";
    if (!names_class(v->key, &other) || strcmp(v->text, other) == 0 || classes_find(x->all, v->text))
        return 0;
    AUTO(buf) struct buf names = BUF_INIT(230);
    for (size_t i = 0; i < classes_count(x->all); i++)
        buf_addf(&names, "%s%s", i ? ", " : "", classes_at(x->all, i)->name);
    err_set(x->e, ERR_USAGE, "%s: %s: there is no task class '%.40s'", v->source, v->key, v->text);
    err_hint(x->e, "the classes are %s%s%s", buf_str(&names), *other ? "; or " : "", other);
    return -ERR_USAGE;
}

static int check_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    AUTO(classes) struct classes *all = NULL;
    if (classes_create(&all, &e) < 0) /* with files of the user's own */
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (config_each(c, check_class, &(struct class_check){ all, &e }) < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    const struct config_file *files;
    size_t n = config_files(c, &files), read = 0;
    for (size_t i = 0; i < n; i++)
        read += files[i].exists;
    if (cli->json)
        cli_outf(cli, "{\"v\":1,\"ok\":true,\"files\":%zu}\n", read);
    else if (!cli->quiet)
        cli_outf(cli, "configuration is sound: %zu file%s read\n", read, read == 1 ? "" : "s");
    return EXIT_DONE;
}

const struct command cmd_config_check = {
    "config check", "check the files; say where and what is wrong", "", NULL, 0, 0, check_main,
};

/* --- path --- */

static int path_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    const struct config_file *files;
    size_t n = config_files(c, &files);
    const char *const dirs[][2] = { { "state", config_state_dir(c) }, { "cache", config_cache_dir(c) }, { "journal", config_journal_path(c) } };
    struct buf json = BUF_INIT(JSON_LIMIT_BYTES);
    buf_adds(&json, "{\"v\":1,\"files\":[");
    for (size_t i = 0; i < n; i++) {
        char safe[500];
        const char *level = config_level_name(files[i].level);
        if (!cli->json)
            cli_outf(cli, "%-8s %s%s\n", level, clean_into(safe, sizeof safe, span_of(files[i].path), CLEAN_QUOTE),
                     files[i].exists ? "" : "  (none)");
        buf_addf(&json, "%s{\"level\":\"%s\",\"path\":", i ? "," : "", level);
        buf_add_json(&json, span_of(files[i].path));
        buf_addf(&json, ",\"exists\":%s}", files[i].exists ? "true" : "false");
    }
    buf_adds(&json, "]");
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        char safe[500];
        if (!cli->json)
            cli_outf(cli, "%-8s %s\n", dirs[i][0], clean_into(safe, sizeof safe, span_of(dirs[i][1]), CLEAN_QUOTE));
        buf_addf(&json, ",\"%s\":", dirs[i][0]);
        buf_add_json(&json, span_of(dirs[i][1]));
    }
    buf_adds(&json, "}\n");
    int code = cli->json ? print_json(cli, &json) : EXIT_DONE;
    buf_finish(&json);
    return code;
}

const struct command cmd_config_path = {
    "config path", "show which files and directories are used", "", NULL, 0, 0, path_main,
};

/* --- keys: every key there is, for people and as the man page stead-config(5) --- */

static const char *who_may(const struct config_key *k)
{
    switch (k->trust) {
    case TRUST_SITE: return "site only";
    case TRUST_PROJECT: return "project too";
    case TRUST_TIGHTEN: return "project too, to make it stricter";
    case TRUST_USER: break;
    }
    return "";
}

static const char *kind_name(const struct config_key *k)
{
    static const char *const names[] = {
        [KEY_TEXT] = "text", [KEY_NAME] = "name", [KEY_URL] = "URL", [KEY_CHOICE] = "one of", [KEY_BOOL] = "true or false",
        [KEY_INT] = "number", [KEY_FLOAT] = "number", [KEY_DURATION] = "duration", [KEY_SIZE] = "size", [KEY_USD] = "US dollars",
        [KEY_LIST] = "list", [KEY_ITEMS] = "list of sections",
    };
    return k->kind == KEY_CHOICE ? k->choices : names[k->kind];
}

static void roff(struct buf *b, const char *text)
{
    for (; *text; text++)
        if (*text == '-')
            buf_adds(b, "\\-");
        else if (*text == '\\')
            buf_adds(b, "\\e");
        else
            buf_addc(b, *text);
}

static void man_key(struct buf *b, const struct config_key *k)
{
    buf_adds(b, ".TP\n.B ");
    roff(b, k->path);
    buf_addc(b, '\n');
    roff(b, k->doc);
    buf_adds(b, " (");
    roff(b, kind_name(k));
    if (k->fallback) {
        buf_adds(b, "; default ");
        roff(b, k->fallback);
    }
    if (k->adds)
        buf_adds(b, "; files add to one another");
    if (*who_may(k)) {
        buf_adds(b, "; ");
        roff(b, who_may(k));
    }
    buf_adds(b, ").\n");
}

static const char man_head[] =
    ".TH STEAD\\-CONFIG 5 \"\" \"stead " STEAD_VERSION "\" \"File formats\"\n"
    ".SH NAME\nstead\\-config \\- configuration of stead\n"
    ".SH SYNOPSIS\n.nf\n/etc/stead/config.yaml\n$XDG_CONFIG_HOME/stead/config.yaml\nstead.yaml\n.fi\n"
    ".SH DESCRIPTION\nYAML, without anchors, aliases and tags. Values come from, weakest first: defaults, the site's file, the user's file\n"
    "(STEAD_CONFIG or \\-\\-config names another), the project's stead.yaml, the environment, options.\n"
    ".B stead config show\nprints each value with its source,\n.B stead config check\nsays where and what is wrong.\n"
    ".PP\nThe project's file comes with a repository and is not trusted: it may set what runs inside the sandbox and make policy stricter,\n"
    "and nothing else; it is looked for from the workspace up to the repository's top. The site's file may name keys or sections under\n"
    ".BR locked ,\nwhich nobody else may set then. Secrets are not values: an endpoint names where its key is kept.\n"
    ".PP\nDurations are 500ms, 15s, 10m, 2h; sizes 64M, 2G. In names below, [] stands for each item of a list.\n"
    ".SH KEYS\n";

static const char man_tail[] =
    ".SH ENVIRONMENT\n.TP\n.B STEAD_CONFIG\nin place of the user's file\n.TP\n.B STEAD_ENDPOINT\nendpoint\n.TP\n.B STEAD_MODEL\nmodel\n"
    ".TP\n.B STEAD_STATE_DIR\npaths.state\n.TP\n.B STEAD_CACHE_DIR\npaths.cache\n"
    ".TP\n.B STEAD_API_KEY\nthe key of an endpoint that names none\n"
    ".SH EXAMPLE\n.nf\nendpoints:\n\\- name: workstation\n  url: http://10.0.0.7:8080\n  local: true\n  size: large\n"
    "policy:\n  hosted_classes: [debugging]\n  protected_paths: [db/**]\n.fi\n"
    ".SH SEE ALSO\n.BR stead (1)\n";

static int keys_main(struct cli *cli)
{
    struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
    bool man = cli_flag(cli, "man");
    buf_adds(&b, man ? man_head : cli->json ? "{\"v\":1,\"keys\":[" : "");
    for (const struct config_key *k = config_keys; k->path; k++) {
        if (man) {
            man_key(&b, k);
        } else if (cli->json) {
            buf_adds(&b, k == config_keys ? "{\"key\":" : ",{\"key\":");
            buf_add_json(&b, span_of(k->path));
            buf_adds(&b, ",\"kind\":");
            buf_add_json(&b, span_of(kind_name(k)));
            buf_adds(&b, ",\"default\":");
            if (k->fallback)
                buf_add_json(&b, span_of(k->fallback));
            else
                buf_adds(&b, "null");
            buf_adds(&b, ",\"who\":");
            buf_add_json(&b, span_of(who_may(k)));
            buf_adds(&b, ",\"doc\":");
            buf_add_json(&b, span_of(k->doc));
            buf_addc(&b, '}');
        } else {
            buf_addf(&b, "%s%s%s  %s%s%s%s%s%s%s\n    %s\n", cli_style(cli, "bold"), k->path, cli_style(cli, "reset"), cli_style(cli, "dim"),
                     kind_name(k), k->fallback ? ", default " : "", k->fallback ? k->fallback : "", *who_may(k) ? "; " : "", who_may(k),
                     cli_style(cli, "reset"), k->doc);
        }
    }
    buf_adds(&b, man ? man_tail : cli->json ? "]}\n" : "");
    int code = print_json(cli, &b);
    buf_finish(&b);
    return code;
}

static const struct option keys_options[] = {
    { "man", 0, OPT_FLAG, NULL, "print the source of the man page stead-config(5)" },
    { 0 },
};

const struct command cmd_config_keys = {
    "config keys", "list every key: what it means, its default, who may set it", "[options]", keys_options, 0, 0, keys_main,
};
