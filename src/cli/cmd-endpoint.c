/*
 * endpoint list, add, remove, probe: which model servers there are, and how they really behave.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "model/endpoint.h"
#include "model/probe.h"
#include "model/url.h"

#define CONFIG_LIMIT_BYTES (1u << 20)
#define JSON_LIMIT_BYTES (4u << 20)

static const char *safe(const char *s, char *out, size_t size)
{
    return clean_into(out, size, span_of(s), CLEAN_LINE);
}

static char *profile_dir(const struct config *c)
{
    return path_join(config_state_dir(c), "profiles");
}

/* The endpoints of the configuration, as model/ takes them. */
static struct endpoint_spec *specs_of(const struct config *c, size_t *n)
{
    const struct config_values *v = config_values(c);
    struct endpoint_spec *s = calloc(v->nendpoints ? v->nendpoints : 1, sizeof *s);
    for (size_t i = 0; s && i < v->nendpoints; i++)
        endpoint_spec_of(&v->endpoints[i], &s[i]);
    *n = v->nendpoints;
    return s;
}

/* --- list --- */

static void list_json(struct cli *cli, const struct endpoints *all)
{
    AUTO(buf) struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
    buf_adds(&b, "{\"v\":1,\"endpoints\":[");
    for (size_t i = 0; all && i < all->len; i++) {
        const struct endpoint *ep = all->items[i];
        buf_adds(&b, i ? ",{\"name\":" : "{\"name\":");
        buf_add_json(&b, span_of(ep->name));
        buf_adds(&b, ",\"url\":");
        buf_add_json(&b, span_of(ep->url));
        buf_addf(&b, ",\"local\":%s,\"state\":\"%s\",\"server\":\"%s\",\"version\":", ep->local ? "true" : "false", endpoint_state_name(ep->state), server_kind_name(ep->server));
        buf_add_json(&b, span_of(ep->version));
        buf_adds(&b, ",\"model\":");
        buf_add_json(&b, span_of(ep->model));
        buf_adds(&b, ",\"models\":[");
        for (size_t k = 0; k < ep->models.len; k++) {
            buf_adds(&b, k ? "," : "");
            buf_add_json(&b, span_of(ep->models.items[k]));
        }
        buf_addf(&b, "],\"context_tokens\":%lld,\"source\":", (long long)ep->context_tokens);
        buf_add_json(&b, span_of(ep->source));
        buf_addf(&b, ",\"probed\":%s,\"problem\":", ep->profile && ep->profile->probed_unix_ms ? "true" : "false");
        buf_add_json(&b, span_of(ep->problem));
        buf_adds(&b, ",\"remedy\":");
        buf_add_json(&b, span_of(ep->remedy));
        buf_addc(&b, '}');
    }
    buf_adds(&b, "]}\n");
    cli_out(cli, buf_span(&b));
}

static void list_text(struct cli *cli, const struct endpoints *all)
{
    for (size_t i = 0; i < all->len; i++) {
        const struct endpoint *ep = all->items[i];
        char name[80], url[200], model[120], problem[240], remedy[240];
        bool ready = ep->state == ENDPOINT_READY;
        cli_outf(cli, "%s%-16s%s %s%-9s%s %-7s %s\n", cli_style(cli, "bold"), safe(ep->name, name, sizeof name), cli_style(cli, "reset"),
                 cli_style(cli, ready ? "green" : "yellow"), endpoint_state_name(ep->state), cli_style(cli, "reset"), ep->local ? "local" : "hosted", safe(ep->url, url, sizeof url));
        if (*ep->model && ready) {
            char context[64] = "context unknown";
            if (ep->context_tokens)
                snprintf(context, sizeof context, "context %lld", (long long)ep->context_tokens);
            cli_outf(cli, "                 %s, %s%s, %s\n", safe(ep->model, model, sizeof model), context,
                     ep->profile && ep->profile->probed_unix_ms ? ", probed" : ", not probed yet", ep->source);
        }
        if (ep->problem[0])
            cli_outf(cli, "                 %s\n                 try: %s\n", safe(ep->problem, problem, sizeof problem), safe(ep->remedy, remedy, sizeof remedy));
    }
}

static int list_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    struct loop *loop = cli_loop(cli, &e);
    if (!loop)
        return cli_fail(cli, EXIT_FAILED, &e);
    size_t n;
    AUTO(ptr) struct endpoint_spec *specs = specs_of(c, &n);
    AUTO(ptr) char *dir = profile_dir(c);
    AUTO(endpoints) struct endpoints *all = NULL;
    struct discover_options o = { .configured = specs, .nconfigured = specs ? n : 0, .profile_dir = dir, .all = true };
    int rc = endpoints_discover(loop, &o, cli_cancel(cli), &all, &e);
    if (rc == -ERR_CANCELLED)
        return cli_fail(cli, EXIT_INTERRUPTED, &e);
    if (rc < 0 && rc != -ERR_NOT_FOUND && rc != -ERR_UNAVAILABLE)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (cli->json)
        list_json(cli, all);
    else if (all && all->len)
        list_text(cli, all);
    else
        return cli_fail(cli, EXIT_UNSERVED, &e);
    return all && all->len ? EXIT_DONE : EXIT_UNSERVED;
}

const struct command cmd_endpoint_list = {
    "endpoint list", "show the model servers that are configured or running", "", NULL, 0, 0, list_main,
    .about = "Configured endpoints come first, then what answers on the well-known ports: llama-server 8080, Ollama 11434,\n"
             "LM Studio 1234, vLLM 8000, Docker Model Runner 12434, Jan 1337. Context sizes are those that the servers run with.",
};

/* --- add, remove: the user's configuration file --- */

static const char *user_file(const struct config *c)
{
    const struct config_file *files;
    size_t n = config_files(c, &files);
    for (size_t i = 0; i < n; i++)
        if (files[i].level == CONFIG_USER)
            return files[i].path;
    return NULL;
}

static bool is_plain_name(const char *s)
{
    size_t n = strlen(s);
    if (!n || n > 64)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-' || s[i] == '_' || s[i] == '.'))
            return false;
    return true;
}

/* Comments at the margin and blank lines belong to nobody: they stay when an item goes. */
static bool is_content(struct span line)
{
    return span_trim(line).n && line.p[0] != '#';
}

/* Lines of the top-level block "endpoints:": [begin, end) of its items; false when there is none. */
static bool find_block(struct span text, size_t *begin, size_t *end)
{
    bool inside = false;
    struct span rest = text, line;
    while (span_line(&rest, &line)) {
        size_t next = rest.n ? (size_t)(rest.p - text.p) : text.n;
        bool top = line.n && line.p[0] != ' ' && line.p[0] != '#' && line.p[0] != '-' && line.p[0] != '\t';
        if (inside && top)
            return true;
        if (!inside && span_starts(line, "endpoints:")) {
            inside = true;
            *begin = *end = next;
        } else if (inside && is_content(line)) {
            *end = next;
        }
    }
    return inside;
}

/* [from, to) of the item that is named so, inside the block. */
static bool find_item(struct span text, size_t begin, size_t end, const char *name, size_t *from, size_t *to)
{
    struct span rest = span_sub(text, begin, end - begin), line;
    size_t at = begin, start = begin, used = begin;
    bool found = false, open = false;
    while (span_line(&rest, &line)) {
        size_t next = rest.n ? (size_t)(rest.p - text.p) : end;
        struct span s = span_trim(line);
        if (span_starts(s, "- ") || span_eqs(s, "-")) {
            if (found)
                break;
            start = at;
            open = true;
            s = span_trim(span_sub(s, 1, s.n));
        }
        if (open && span_starts(s, "name:")) {
            struct span v = span_trim(span_sub(s, 5, s.n));
            ptrdiff_t note = span_find(v, SPAN(" #"));
            if (note >= 0)
                v = span_trim(span_sub(v, 0, (size_t)note));
            if (v.n >= 2 && (v.p[0] == '"' || v.p[0] == '\'') && v.p[v.n - 1] == v.p[0])
                v = span_sub(v, 1, v.n - 2);
            found |= span_eqs(v, name);
        }
        if (is_content(line))
            used = next;
        at = next;
    }
    *from = start;
    *to = used;
    return found;
}

/* Write the file, and put the old one back when the new one does not load. */
static int replace_file(const char *path, struct span before, struct span after, bool existed, struct err *e)
{
    AUTO(ptr) char *dir = span_dup(path_dir(path));
    int rc = dir ? path_mkdirs(dir, 0700, e) : err_set(e, ERR_NOMEM, "out of memory");
    if (rc >= 0)
        rc = file_write_atomic(path, after, 0600, true, e);
    if (rc < 0)
        return rc;
    struct config_options o = { .workspace = NULL };
    struct config *check = NULL;
    rc = config_load(&o, &check, e);
    config_destroy(check);
    if (rc < 0) {
        struct err unused = ERR_INIT;
        if (existed)
            (void)(file_write_atomic(path, before, 0600, true, &unused) < 0);
        else
            (void)unlink(path);
        return err_wrap(e, "'%s' was left as it is", path);
    }
    return 0;
}

static const struct option add_options[] = {
    { "model", 0, OPT_STRING, "NAME", "the model to ask for (default: the one that the server has loaded)" },
    { "dialect", 0, OPT_CHOICE, "API", "the API that it speaks", .choices = (const char *const[]){ "auto", "openai", "anthropic", NULL } },
    { "key-env", 0, OPT_STRING, "VARIABLE", "the environment variable that holds its key" },
    { "key-file", 0, OPT_STRING, "FILE", "the file that holds its key" },
    { "key-command", 0, OPT_STRING, "CMD", "the command that prints its key" },
    { 0 },
};

static int add_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    char shown[120];
    const char *name = cli->argv[0], *url = cli->argv[1];
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    struct url u;
    if (!is_plain_name(name)) {
        err_set(&e, ERR_USAGE, "'%s' cannot be the name of an endpoint", safe(name, shown, sizeof shown));
        err_hint(&e, "use letters, digits, '-', '_' and '.'");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    if (url_parse(url, &u, &e) < 0)
        return cli_fail(cli, EXIT_USAGE, &e);
    const char *path = user_file(c);
    if (!path) {
        err_set(&e, ERR_NOT_FOUND, "there is no place for a user configuration: HOME is not set");
        return cli_fail(cli, EXIT_FAILED, &e);
    }
    AUTO(buf) struct buf old = BUF_INIT(CONFIG_LIMIT_BYTES), text = BUF_INIT(2 * CONFIG_LIMIT_BYTES), item = BUF_INIT(8192);
    bool existed = access(path, F_OK) == 0;
    if (existed && file_read(path, CONFIG_LIMIT_BYTES, &old, &e) < 0)
        return cli_fail(cli, EXIT_FAILED, &e);
    size_t begin = 0, end = 0, from, to;
    bool block = find_block(buf_span(&old), &begin, &end);
    if (block && find_item(buf_span(&old), begin, end, name, &from, &to)) {
        err_set(&e, ERR_EXISTS, "there is an endpoint '%s' in '%s' already", name, path);
        err_hint(&e, "`stead endpoint remove %s` first, or choose another name", name);
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    static const char *const keys[][2] = { { "model", "model" }, { "key-env", "key_env" }, { "key-file", "key_file" }, { "key-command", "key_command" } };
    static const char *const dialects[] = { "auto", "openai", "anthropic" };
    buf_addf(&item, "  - name: %s\n    url: ", name);
    buf_add_json(&item, span_of(u.text)); /* a JSON string is a YAML string */
    buf_addc(&item, '\n');
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const char *v = cli_string(cli, keys[i][0]);
        if (!v)
            continue;
        buf_addf(&item, "    %s: ", keys[i][1]);
        buf_add_json(&item, span_of(v));
        buf_addc(&item, '\n');
    }
    int dialect = cli_choice(cli, "dialect", 0);
    if (dialect > 0)
        buf_addf(&item, "    dialect: %s\n", dialects[dialect]);
    struct span o = buf_span(&old);
    if (block) {
        buf_add_span(&text, span_sub(o, 0, end));
        if (end && o.p[end - 1] != '\n')
            buf_addc(&text, '\n');
        buf_add_span(&text, buf_span(&item));
        buf_add_span(&text, span_sub(o, end, o.n));
    } else {
        buf_add_span(&text, o);
        if (o.n && o.p[o.n - 1] != '\n')
            buf_addc(&text, '\n');
        buf_adds(&text, "endpoints:\n");
        buf_add_span(&text, buf_span(&item));
    }
    if (buf_check(&text, &e) < 0 || buf_check(&item, &e) < 0 || replace_file(path, o, buf_span(&text), existed, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (cli->json) {
        AUTO(buf) struct buf b = BUF_INIT(8192);
        buf_adds(&b, "{\"v\":1,\"added\":");
        buf_add_json(&b, span_of(name));
        buf_adds(&b, ",\"file\":");
        buf_add_json(&b, span_of(path));
        buf_adds(&b, "}\n");
        cli_out(cli, buf_span(&b));
    } else if (!cli->quiet) {
        cli_outf(cli, "added %s to %s\nnext: stead endpoint probe %s\n", name, path, name);
    }
    return EXIT_DONE;
}

const struct command cmd_endpoint_add = {
    "endpoint add", "name a model server in your configuration", "[options] NAME URL", add_options, 2, 2, add_main,
    .about = "Writes to your own configuration file. A key is never written there: name where it is.",
    .examples = "stead endpoint add desk http://192.168.1.20:8080\ta llama-server on another machine\n"
                "stead endpoint add hosted https://api.anthropic.com --dialect anthropic --key-env ANTHROPIC_API_KEY --model claude-sonnet-4-5\ta hosted model\n",
};

static int remove_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    char shown[120];
    const char *name = cli->argv[0];
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    const char *path = user_file(c);
    AUTO(buf) struct buf old = BUF_INIT(CONFIG_LIMIT_BYTES), text = BUF_INIT(CONFIG_LIMIT_BYTES);
    size_t begin, end, from = 0, to = 0;
    bool found = path && file_read(path, CONFIG_LIMIT_BYTES, &old, &e) >= 0 && find_block(buf_span(&old), &begin, &end) &&
                 find_item(buf_span(&old), begin, end, name, &from, &to);
    if (!found) {
        err_set(&e, ERR_NOT_FOUND, "there is no endpoint '%s' in your configuration", safe(name, shown, sizeof shown));
        err_hint(&e, "`stead endpoint list` shows all; those found on ports or set by the site cannot be removed");
        return cli_fail(cli, EXIT_USAGE, &e);
    }
    struct span o = buf_span(&old);
    bool last = from == begin && to == end; /* no item is left: the key goes as well */
    size_t head = from;
    if (last)
        while (head > 0 && !span_starts(span_sub(o, head, o.n), "endpoints:"))
            head--;
    buf_add_span(&text, span_sub(o, 0, head));
    buf_add_span(&text, span_sub(o, to, o.n));
    if (buf_check(&text, &e) < 0 || replace_file(path, o, buf_span(&text), true, &e) < 0)
        return cli_fail(cli, cli_exit_of(&e), &e);
    if (cli->json)
        cli_outf(cli, "{\"v\":1,\"removed\":\"%s\"}\n", name);
    else if (!cli->quiet)
        cli_outf(cli, "removed %s from %s\n", name, path);
    return EXIT_DONE;
}

const struct command cmd_endpoint_remove = { "endpoint remove", "take a model server out of your configuration", "NAME", NULL, 1, 1, remove_main };

/* --- probe --- */

static void on_start(void *ctx, const char *name, const char *title, int n, int of)
{
    struct cli *cli = ctx;
    (void)name;
    if (!cli->quiet && !cli->json)
        fprintf(stderr, "[%d/%d] %s ...\n", n, of, title);
}

static void probe_json(struct cli *cli, const struct endpoint *ep)
{
    const struct profile *f = ep->profile;
    const struct profile_check *k = f->checks.items;
    AUTO(buf) struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
    buf_adds(&b, "{\"v\":1,\"endpoint\":");
    buf_add_json(&b, span_of(*ep->name ? ep->name : ep->url));
    buf_adds(&b, ",\"url\":");
    buf_add_json(&b, span_of(ep->url));
    buf_addf(&b, ",\"server\":\"%s\",\"version\":", server_kind_name(ep->server));
    buf_add_json(&b, span_of(ep->version));
    buf_adds(&b, ",\"model\":");
    buf_add_json(&b, span_of(ep->model));
    if (f->context_tokens)
        buf_addf(&b, ",\"context_tokens\":%lld", (long long)f->context_tokens);
    else
        buf_adds(&b, ",\"context_tokens\":null");
    buf_addf(&b, ",\"prefill_tokens_per_s\":%lld,\"decode_tokens_per_s\":%lld,\"checks\":[", (long long)f->prefill_tokens_per_s, (long long)f->decode_tokens_per_s);
    for (size_t i = 0; i < f->checks.len; i++) {
        buf_addf(&b, "%s{\"name\":\"%s\",\"verdict\":\"%s\",\"detail\":", i ? "," : "", k[i].name, check_verdict_name((enum verdict_kind)k[i].verdict));
        buf_add_json(&b, span_of(k[i].detail));
        buf_adds(&b, ",\"remedy\":");
        buf_add_json(&b, span_of(k[i].remedy));
        buf_addc(&b, '}');
    }
    buf_adds(&b, "],\"quirks\":[");
    for (size_t i = 0; i < f->quirks.len; i++) {
        buf_adds(&b, i ? "," : "");
        buf_add_json(&b, span_of(f->quirks.items[i]));
    }
    buf_adds(&b, "]}\n");
    cli_out(cli, buf_span(&b));
}

static const struct option probe_options[] = {
    { "model", 0, OPT_STRING, "NAME", "probe this model of the server" },
    { "budget", 0, OPT_DURATION, "DURATION", "take at most this long (default 60s)" },
    { "quick", 0, OPT_FLAG, NULL, "only what decides whether it can do work" },
    { 0 },
};

static int probe_main(struct cli *cli)
{
    struct err e = ERR_INIT;
    struct config *c = cli_config(cli, &e);
    if (!c)
        return cli_fail(cli, EXIT_USAGE, &e);
    struct loop *loop = cli_loop(cli, &e);
    if (!loop)
        return cli_fail(cli, EXIT_FAILED, &e);
    size_t n;
    AUTO(ptr) struct endpoint_spec *specs = specs_of(c, &n);
    AUTO(ptr) char *dir = profile_dir(c);
    AUTO(endpoints) struct endpoints *all = NULL;
    const char *model = cli_string(cli, "model");
    struct discover_options o = { .chosen = cli->argc ? cli->argv[0] : config_values(c)->endpoint, .model = model ? model : config_values(c)->model, .configured = specs,
                                  .nconfigured = specs ? n : 0 };
    int rc = endpoints_discover(loop, &o, cli_cancel(cli), &all, &e);
    if (rc < 0)
        return cli_fail(cli, rc == -ERR_CANCELLED ? EXIT_INTERRUPTED : rc == -ERR_UNAVAILABLE || (rc == -ERR_NOT_FOUND && !cli->argc) ? EXIT_UNSERVED : cli_exit_of(&e), &e);
    struct endpoint *ep = endpoints_first(all);
    struct probe_options po = { .budget_ms = cli_int(cli, "budget", 0), .quick = cli_flag(cli, "quick") };
    struct probe_events ev = { .ctx = cli, .on_start = on_start };
    rc = probe_run(loop, ep, &po, &ev, cli_cancel(cli), &e);
    if (rc < 0)
        return cli_fail(cli, rc == -ERR_CANCELLED ? EXIT_INTERRUPTED : rc == -ERR_UNAVAILABLE ? EXIT_UNSERVED : cli_exit_of(&e), &e);
    struct err saved = ERR_INIT;
    bool kept = dir && !po.quick && profile_save(ep, ep->profile, dir, &saved) >= 0;
    if (cli->json) {
        probe_json(cli, ep);
    } else {
        AUTO(buf) struct buf b = BUF_INIT(JSON_LIMIT_BYTES);
        probe_report(ep, &b);
        cli_out(cli, buf_span(&b));
        if (kept && !cli->quiet)
            cli_outf(cli, "\nstead remembers this and adapts to it.\n");
    }
    if (!kept && !po.quick)
        return cli_fail(cli, EXIT_FAILED, &saved);
    return EXIT_DONE;
}

const struct command cmd_endpoint_probe = {
    "endpoint probe", "find out how a model server really behaves", "[options] [NAME|URL]", probe_options, 0, 1, probe_main,
    .about = "Sends some small requests: does it answer, use tools, keep to limits, remember the conversation; how long may a\n"
             "conversation be, how quick is it. Says what works, what stead works around, and what you can change.",
    .examples = "stead endpoint probe\tthe first endpoint that is found\nstead endpoint probe http://127.0.0.1:11434 --model qwen3-coder:30b\ta model of Ollama\n",
};
