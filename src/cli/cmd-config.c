/*
 * config show, check, path: what is configured, where each value comes from, whether the files are sound.
 */
#include "base/clean.h"
#include "cli/cli-internal.h"
#include "cli/cmd.h"
#include "config/config.h"

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
        err_hint(&e, "`stead config show` lists every value; stead-config(5) every key");
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

static int check_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct config *c = cli_config(cli, &e);
    if (!c)
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
