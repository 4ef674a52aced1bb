#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "config/config-internal.h"

/* --- one value --- */

static const char *written_range(const struct config_key *k, char out[80])
{
    char low[24], high[24];
    if (k->kind == KEY_DURATION)
        (void)snprintf(out, 80, "%s to %s", format_duration(k->min, low), format_duration(k->max, high));
    else if (k->kind == KEY_SIZE)
        (void)snprintf(out, 80, "%s to %s", format_size(k->min, low), format_size(k->max, high));
    else if (k->kind == KEY_USD)
        (void)snprintf(out, 80, "%g to %g", (double)k->min / 1e6, (double)k->max / 1e6);
    else
        (void)snprintf(out, 80, "%lld to %lld", (long long)k->min, (long long)k->max);
    return out;
}

static int in_range(const struct yaml_node *n, const struct config_key *k, const char *path, double v, struct err *e)
{
    char range[80];
    if ((k->min == 0 && k->max == 0) || (v >= (double)k->min && v <= (double)k->max))
        return 0;
    return yaml_fail(e, n, path, "expected %s, got '%s'", written_range(k, range), n->text);
}

static int bind_number(struct yaml_node *n, int64_t v, struct arena *a, struct err *e)
{
    n->bound = arena_printf(a, "%lld", (long long)v);
    return n->bound ? 0 : err_set(e, ERR_NOMEM, "%s: out of memory", n->file);
}

static int convert_number(struct yaml_node *n, const struct config_key *k, const char *path, struct arena *a, struct err *e)
{
    struct err why = ERR_INIT;
    struct span s = span_of(n->text);
    int64_t v = 0;
    double f = 0;
    switch (k->kind) {
    case KEY_INT:
        if (parse_i64(s, INT64_MIN, INT64_MAX, &v, &why) < 0)
            return yaml_fail(e, n, path, "expected a whole number, got '%s'", n->text);
        return in_range(n, k, path, (double)v, e);
    case KEY_FLOAT:
        if (parse_f64(s, -1e15, 1e15, &f, &why) < 0)
            return yaml_fail(e, n, path, "expected a number, got '%s'", n->text);
        return in_range(n, k, path, f, e);
    case KEY_USD:
        if (parse_f64(s, -1e9, 1e9, &f, &why) < 0)
            return yaml_fail(e, n, path, "expected an amount in US dollars such as 0.25, got '%s'", n->text);
        v = llround(f * 1e6);
        if (v == 0 && f > 0) /* 0 would be no limit */
            return yaml_fail(e, n, path, "expected an amount of at least a millionth of a dollar, got '%s'", n->text);
        break;
    case KEY_DURATION:
        if (parse_duration_ms(s, &v, &why) < 0) {
            yaml_fail(e, n, path, "expected a duration, got '%s'", n->text);
            err_hint(e, "write 500ms, 15s, 10m or 2h");
            return -(int)e->kind;
        }
        break;
    case KEY_SIZE:
        if (parse_size_bytes(s, &v, &why) < 0) {
            yaml_fail(e, n, path, "expected a size, got '%s'", n->text);
            err_hint(e, "write 64M or 2G");
            return -(int)e->kind;
        }
        break;
    default: return 0;
    }
    if (in_range(n, k, path, (double)v, e) < 0)
        return -(int)e->kind;
    return bind_number(n, v, a, e);
}

static bool is_choice(const char *choices, const char *text)
{
    struct span rest = span_of(choices), one;
    while (span_split(&rest, '|', &one))
        if (span_eqs(one, text))
            return true;
    return false;
}

static int check_url(const struct yaml_node *n, const char *path, struct err *e)
{
    struct span url = span_of(n->text);
    bool unix_socket = span_starts(url, "unix:/");
    if (!unix_socket && !span_starts(url, "http://") && !span_starts(url, "https://")) {
        yaml_fail(e, n, path, "expected a URL, got '%s'", n->text);
        err_hint(e, "write http://127.0.0.1:8080, https://HOST/v1 or unix:/PATH");
        return -(int)e->kind;
    }
    if (strpbrk(n->text, " \t\n"))
        return yaml_fail(e, n, path, "a URL has no spaces");
    const char *host = strstr(n->text, "://");
    if (!unix_socket && host && memchr(host + 3, '@', strcspn(host + 3, "/?#"))) {
        yaml_fail(e, n, path, "a key or password may not stand in a URL");
        err_hint(e, "name where it is kept with key_env, key_file or key_command");
        return -(int)e->kind;
    }
    return 0;
}

static int check_text(const struct yaml_node *n, const struct config_key *k, const char *path, struct err *e)
{
    static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (k->kind == KEY_CHOICE && !is_choice(k->choices, n->text)) {
        yaml_fail(e, n, path, "expected %s, got '%s'", k->choices, n->text);
        return -(int)e->kind;
    }
    if (k->kind == KEY_NAME && n->text[strspn(n->text, name_chars)])
        return yaml_fail(e, n, path, "expected letters, digits, '.', '_' and '-' only, got '%s'", n->text);
    if (k->kind == KEY_URL)
        return check_url(n, path, e);
    return 0;
}

/* A key for a secret's value is a mistake that the message should help out of. */
static int refuse_secret(const struct yaml_node *n, const char *path, struct err *e)
{
    static const char *const names[] = { "key", "api_key", "apikey", "token", "secret", "password" };
    if (!n->key || strncmp(path, "endpoints[", 10) != 0)
        return 0;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(n->key, names[i]) == 0) {
            yaml_fail(e, n, path, "secrets are not kept in configuration");
            err_hint(e, "name where it is kept: key_env: VARIABLE, key_file: PATH or key_command: COMMAND");
            return -(int)e->kind;
        }
    return 0;
}

static int convert_node(struct yaml_node *n, struct buf *path, struct arena *a, struct err *e)
{
    size_t before = path->n, i = 0;
    if (refuse_secret(n, buf_str(path), e) < 0)
        return -(int)e->kind;
    for (struct yaml_node *c = n->child; c; c = c->next) {
        if (n->kind == YAML_MAPPING)
            buf_addf(path, "%s%s", before ? "." : "", c->key);
        else
            buf_addf(path, "[%zu]", i++);
        if (convert_node(c, path, a, e) < 0)
            return -(int)e->kind;
        buf_truncate(path, before);
    }
    const struct config_key *k = config_key_find(buf_str(path));
    if (n->kind != YAML_SCALAR || !k || yaml_is_null(n))
        return 0; /* the check against the schema says what is wrong with others */
    if (convert_number(n, k, buf_str(path), a, e) < 0)
        return -(int)e->kind;
    return check_text(n, k, buf_str(path), e);
}

int config_convert(struct yaml_node *root, struct arena *a, struct err *e)
{
    AUTO(buf) struct buf path = BUF_INIT(CONFIG_PATH_LIMIT);
    return convert_node(root, &path, a, e);
}

/* --- what a project's file may do --- */

static double number_of(const struct config_key *k, const struct yaml_node *n)
{
    struct err why = ERR_INIT;
    const char *text = n ? (n->bound ? n->bound : n->text) : k->fallback;
    int64_t v = 0;
    double f = 0;
    if (!text)
        return 0;
    if (!n && k->kind == KEY_DURATION)
        return parse_duration_ms(span_of(text), &v, &why) < 0 ? 0 : (double)v;
    if (!n && k->kind == KEY_SIZE)
        return parse_size_bytes(span_of(text), &v, &why) < 0 ? 0 : (double)v;
    if (parse_f64(span_of(text), -1e18, 1e18, &f, &why) < 0)
        return 0;
    return !n && k->kind == KEY_USD ? f * 1e6 : f;
}

static int strictness(const char *approve)
{
    return !approve || strcmp(approve, "ask") == 0 ? 1 : strcmp(approve, "never") == 0 ? 2 : 0;
}

static bool is_stricter(const struct config_key *k, const struct yaml_node *n, const struct yaml_node *now)
{
    if (k->adds)
        return true;
    if (k->kind == KEY_BOOL)
        return yaml_bool(n->text) == 1 || (!now && yaml_bool(k->fallback) == 0) || (now && yaml_bool(now->text) == 0);
    if (k->kind == KEY_CHOICE)
        return strictness(n->text) >= strictness(now ? now->text : NULL);
    double was = number_of(k, now), is = number_of(k, n);
    if (k->zero_unlimited && was == 0)
        return true;
    if (k->zero_unlimited && is == 0)
        return false;
    return is <= was;
}

int config_project_may(const struct config_key *k, const struct yaml_node *n, const struct yaml_node *now, const char *path,
                       struct err *e)
{
    if (k->trust == TRUST_PROJECT || (k->trust == TRUST_TIGHTEN && is_stricter(k, n, now)))
        return 0;
    if (k->trust == TRUST_TIGHTEN) {
        if (now && now->line > 0)
            yaml_fail(e, n, path, "a project's file may make this stricter, not weaker; %s:%d says '%s'", now->file,
                      now->line, now->text ? now->text : "");
        else
            yaml_fail(e, n, path, "a project's file may make this stricter, not weaker; it is '%s'",
                      now && now->text ? now->text : k->fallback ? k->fallback : "ask");
    } else {
        yaml_fail(e, n, path, "a project's file may not set this: it comes with the repository and is not trusted");
    }
    err_hint(e, "put it into your own configuration: `stead config path` shows where");
    return -(int)e->kind;
}

/* --- the whole --- */

static bool is_endpoint(const struct yaml_node *root, const char *name)
{
    const struct yaml_node *endpoints = yaml_get(root, "endpoints");
    for (const struct yaml_node *n = endpoints ? endpoints->child : NULL; n; n = n->next) {
        const struct yaml_node *own = yaml_get(n, "name");
        if (own && strcmp(own->text, name) == 0)
            return true;
    }
    return false;
}

static bool is_stop(const struct yaml_node *root, const char *name)
{
    static const char *const built_in[] = { "local-small", "local-large", "local", "hosted", "person" };
    for (size_t i = 0; i < COUNT_OF(built_in); i++)
        if (strcmp(name, built_in[i]) == 0)
            return true;
    return is_endpoint(root, name);
}

static int check_chains(const struct yaml_node *root, const struct yaml_node *policy, struct err *e)
{
    const struct yaml_node *chains = yaml_get(policy, "chains");
    for (const struct yaml_node *c = chains ? chains->child : NULL; c; c = c->next) {
        const struct yaml_node *stops = yaml_get(c, "stops");
        for (const struct yaml_node *s = stops ? stops->child : NULL; s; s = s->next)
            if (!is_stop(root, s->text)) {
                yaml_fail(e, s, "policy.chains", "there is no endpoint '%s'", s->text);
                err_hint(e, "name one under `endpoints`, or use local-small, local-large, local, hosted, person");
                return -(int)e->kind;
            } else if (strcmp(s->text, "person") == 0 && s->next) {
                yaml_fail(e, s->next, "policy.chains", "'%s' stands after person, where a chain ends", s->next->text);
                err_hint(e, "put person last");
                return -(int)e->kind;
            }
    }
    return 0;
}

static int check_second(const struct yaml_node *root, const struct yaml_node *policy, struct err *e)
{
    const struct yaml_node *rows = yaml_get(policy, "second_model");
    for (const struct yaml_node *r = rows ? rows->child : NULL; r; r = r->next) {
        const struct yaml_node *name = yaml_get(r, "endpoint");
        if (name && name->text && !is_endpoint(root, name->text)) {
            yaml_fail(e, name, "policy.second_model", "there is no endpoint '%s'", name->text);
            err_hint(e, "name one under `endpoints`");
            return -(int)e->kind;
        }
    }
    return 0;
}

static bool is_time(const char *t)
{
    return strlen(t) == 5 && t[2] == ':' && t[0] >= '0' && t[0] <= '2' && t[1] >= '0' && t[1] <= '9' && t[3] >= '0' &&
           t[3] <= '5' && t[4] >= '0' && t[4] <= '9' && (t[0] < '2' || t[1] <= '4');
}

static bool is_days(const char *t)
{
    static const char names[] = "mon tue wed thu fri sat sun ";
    struct span rest = span_of(t), part;
    while (span_split(&rest, ',', &part)) {
        struct span day;
        part = span_trim(part);
        int n = 0;
        while (span_split(&part, '-', &day)) {
            char key[5] = { 0 };
            day = span_trim(day);
            if (day.n != 3 || ++n > 2)
                return false;
            memcpy(key, day.p, 3);
            key[3] = ' ';
            if (!strstr(names, key))
                return false;
        }
    }
    return true;
}

static int check_hours(const struct yaml_node *policy, struct err *e)
{
    const struct yaml_node *hours = yaml_get(policy, "hours");
    for (const struct yaml_node *h = hours ? hours->child : NULL; h; h = h->next) {
        const struct yaml_node *days = yaml_get(h, "days"), *ends[2] = { yaml_get(h, "from"), yaml_get(h, "to") };
        for (int i = 0; i < 2; i++)
            if (ends[i] && !is_time(ends[i]->text))
                return yaml_fail(e, ends[i], "policy.hours", "expected a time such as 08:30, got '%s'", ends[i]->text);
        if (ends[0] && ends[1] && strcmp(ends[0]->text, ends[1]->text) == 0) {
            yaml_fail(e, ends[1], "policy.hours", "from and to are both %s: that is no time at all", ends[0]->text);
            err_hint(e, "for the whole day write from 00:00 to 24:00");
            return -(int)e->kind;
        }
        if (days && !is_days(days->text))
            return yaml_fail(e, days, "policy.hours", "expected days such as mon-fri or sat,sun, got '%s'", days->text);
    }
    return 0;
}

static int check_endpoints(const struct yaml_node *root, struct err *e)
{
    static const char *const keys[] = { "key_env", "key_file", "key_command" };
    const struct yaml_node *endpoints = yaml_get(root, "endpoints");
    for (const struct yaml_node *n = endpoints ? endpoints->child : NULL; n; n = n->next) {
        int count = 0;
        for (size_t i = 0; i < COUNT_OF(keys); i++)
            count += yaml_get(n, keys[i]) != NULL;
        if (count > 1) {
            yaml_fail(e, n, "endpoints", "'%s' has more than one source of its key", yaml_get(n, "name")->text);
            err_hint(e, "keep one of key_env, key_file and key_command");
            return -(int)e->kind;
        }
    }
    return 0;
}

static int check_locked(const struct yaml_node *root, struct err *e)
{
    const struct yaml_node *locked = yaml_get(root, "locked");
    for (const struct yaml_node *n = locked ? locked->child : NULL; n; n = n->next) {
        bool known = false;
        size_t len = strlen(n->text);
        for (const struct config_key *k = config_keys; k->path && !known; k++)
            known = strncmp(k->path, n->text, len) == 0 && strchr(".[", k->path[len]); /* strchr finds the NUL too */
        if (!known)
            return yaml_fail(e, n, "locked", "there is no key or section '%s'", n->text);
    }
    return 0;
}

int config_check_whole(const struct yaml_node *root, struct err *e)
{
    const struct yaml_node *policy = yaml_get(root, "policy");
    if (policy && (check_chains(root, policy, e) < 0 || check_second(root, policy, e) < 0 || check_hours(policy, e) < 0))
        return -(int)e->kind;
    if (check_endpoints(root, e) < 0)
        return -(int)e->kind;
    return check_locked(root, e);
}
