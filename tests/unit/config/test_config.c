#include "config/config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/config-keys.h"

static char dir[64], home_env[100], site[100], user[100], repo[100], project[120];
static char *env[8];

static void put(const char *path, const char *text)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *parent = span_dup(path_dir(path));
    if (path_mkdirs(parent, 0700, &e) < 0 || file_write_atomic(path, span_of(text), 0600, false, &e) < 0)
        fail_msg("%s", e.text);
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/stead-config-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(home_env, sizeof home_env, "HOME=%s/home", dir);
    (void)snprintf(site, sizeof site, "%s/site.yaml", dir);
    (void)snprintf(user, sizeof user, "%s/home/.config/stead/config.yaml", dir);
    (void)snprintf(repo, sizeof repo, "%s/repo", dir);
    (void)snprintf(project, sizeof project, "%s/stead.yaml", repo);
    env[0] = home_env;
    env[1] = NULL;
    return mkdir(repo, 0700);
}

static int teardown(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    return path_remove_tree(AT_FDCWD, dir, &e);
}

static struct config_options options(void)
{
    return (struct config_options){ .workspace = repo, .site_file = site, .env = env };
}

static struct config *load(const struct config_options *o)
{
    struct err e = ERR_INIT;
    struct config *c = NULL;
    if (config_load(o, &c, &e) < 0)
        fail_msg("%s (%s)", e.text, e.hint);
    return c;
}

static void fails(const struct config_options *o, const char *message, const char *hint)
{
    struct err e = ERR_INIT;
    struct config *c = NULL;
    int ret = config_load(o, &c, &e);
    AUTO(buf) struct buf want = BUF_INIT(2000); /* @ stands for the test's directory */
    for (const char *p = message; *p; p++)
        *p == '@' ? buf_adds(&want, dir) : buf_addc(&want, *p);
    if (ret != -ERR_USAGE || strcmp(e.text, buf_str(&want)) != 0 || (hint && !strstr(e.hint, hint)))
        fail_msg("got %d '%s' (hint: %s), expected '%s'", ret, e.text, e.hint, buf_str(&want));
}

/* --- the rows and the schema agree --- */

static void walk(const cyaml_schema_field_t *fields, struct buf *path, int *leaves)
{
    size_t before = path->n;
    for (const cyaml_schema_field_t *f = fields; f->key; f++) {
        buf_addf(path, "%s%s", before ? "." : "", f->key);
        if (f->value.type == CYAML_MAPPING) {
            walk(f->value.mapping.fields, path, leaves);
        } else {
            const struct config_key *k = config_key_find(buf_str(path));
            if (!k)
                fail_msg("%s is in the schema and has no row", buf_str(path));
            bool items = f->value.type == CYAML_SEQUENCE && f->value.sequence.entry->type == CYAML_MAPPING;
            bool list = f->value.type == CYAML_SEQUENCE && !items;
            if (items != (k->kind == KEY_ITEMS) || list != (k->kind == KEY_LIST))
                fail_msg("%s: the row's kind does not fit the schema", k->path);
            bool number = k->kind == KEY_INT || k->kind == KEY_DURATION || k->kind == KEY_SIZE || k->kind == KEY_USD;
            if (number != (f->value.type == CYAML_INT))
                fail_msg("%s: the row's unit does not fit the schema", k->path);
            ++*leaves;
            if (items) {
                buf_adds(path, "[]");
                walk(f->value.sequence.entry->mapping.fields, path, leaves);
            }
        }
        buf_truncate(path, before);
    }
}

static void keys__agree_with_the_schema_and_are_explained(void **state)
{
    (void)state;
    AUTO(buf) struct buf path = BUF_INIT(1000);
    int leaves = 0, rows = 0;
    walk(config_schema.mapping.fields, &path, &leaves);
    for (const struct config_key *k = config_keys; k->path; k++, rows++) {
        if (!k->doc || !*k->doc)
            fail_msg("%s is not explained", k->path);
        if ((k->kind == KEY_CHOICE) != (k->choices != NULL))
            fail_msg("%s: choices", k->path);
        for (const struct config_key *other = k + 1; other->path; other++)
            assert_string_not_equal(k->path, other->path);
    }
    assert_int_equal(leaves, rows);
}

/* --- defaults --- */

static void load__has_defaults_where_no_file_is(void **state)
{
    (void)state;
    struct config_options o = options();
    AUTO(config) struct config *c = load(&o);
    const struct config_values *v = config_values(c);
    assert_int_equal(v->limits.max_steps, 60);
    assert_int_equal(v->limits.timeout_ms, 30 * 60000);
    assert_int_equal(v->sandbox.memory_bytes, INT64_C(4) << 30);
    assert_int_equal(v->policy.budgets.task.micro_usd, 1000000);
    assert_int_equal(v->policy.approve, CONFIG_APPROVE_UNSET);
    assert_int_equal(v->guard.on_personal, CONFIG_GUARD_REDACT);
    assert_false(v->policy.local_only);
    assert_int_equal(v->policy.nhosted_classes, 0);
    assert_true(v->inference.embedded);
    AUTO(buf) struct buf b = BUF_INIT(500);
    buf_addf(&b, "%s/home/.local/state/stead/journal.db", dir);
    assert_string_equal(config_journal_path(c), buf_str(&b));
    assert_string_equal(config_source(c, "limits.max_steps"), "default");
}

/* --- sources --- */

static void load__lets_the_stronger_source_win_and_knows_which(void **state)
{
    (void)state;
    put(site, "limits: {max_steps: 10}\nsandbox: {pids: 100, memory: 2G}\nmodel: from-site\nendpoint: a\n"
              "endpoints:\n- {name: a, url: 'http://site:1'}\n- {name: b, url: 'http://site:2', price_in: 0.25}\n");
    put(user, "limits:\n  max_steps: 20\nmodel: from-user\nendpoints:\n- name: a\n  url: http://user:1\n"
              "policy: {protected_paths: [a/**], budgets: {task: {usd: 0.5}}}\n");
    put(project, "policy:\n  protected_paths: [b/**]\nlimits: {max_steps: 15}\ngates:\n- name: make test\n  command: make test\n  timeout: 10m\n");
    static char model[] = "STEAD_MODEL=from-env";
    env[1] = model;
    env[2] = NULL;
    struct config_option set[] = { { "limits.timeout", "90s", "--timeout" }, { "sandbox.net", "a.example:443, b.example", "--net" } };
    struct config_options o = options();
    o.set = set;
    o.nset = 2;
    AUTO(config) struct config *c = load(&o);
    const struct config_values *v = config_values(c);
    assert_int_equal(v->limits.max_steps, 15);
    assert_int_equal(v->sandbox.pids, 100);
    assert_int_equal(v->limits.timeout_ms, 90000);
    assert_string_equal(v->model, "from-env");
    assert_int_equal(v->nendpoints, 2);
    assert_string_equal(v->endpoints[0].name, "b");
    assert_int_equal(v->endpoints[0].price_in_micro_usd, 250000);
    assert_string_equal(v->endpoints[1].url, "http://user:1");
    assert_int_equal(v->policy.budgets.task.micro_usd, 500000);
    assert_int_equal(v->policy.nprotected_paths, 2);
    assert_string_equal(v->policy.protected_paths[1], "b/**");
    assert_int_equal(v->ngates, 1);
    assert_string_equal(v->gates[0].name, "make test"); /* as `stead init` writes it */
    assert_int_equal(v->gates[0].timeout_ms, 600000);
    assert_int_equal(v->sandbox.nnet, 2);
    assert_string_equal(v->sandbox.net[1], "b.example");
    assert_string_equal(config_source(c, "model"), "environment STEAD_MODEL");
    assert_string_equal(config_source(c, "limits.timeout"), "--timeout");
    AUTO(buf) struct buf b = BUF_INIT(500);
    buf_addf(&b, "%s:3", project);
    assert_string_equal(config_source(c, "limits.max_steps"), buf_str(&b));
    buf_reset(&b);
    buf_addf(&b, "%s:6", user);
    assert_string_equal(config_source(c, "endpoints[1].url"), buf_str(&b));
}

static int show(void *ctx, const struct config_value *v)
{
    if (v->level != CONFIG_DEFAULT)
        buf_addf(ctx, "%s=%s %s%s\n", v->key, v->text, config_level_name(v->level), v->locked ? " locked" : "");
    return 0;
}

static void each__gives_every_value_with_its_source(void **state)
{
    (void)state;
    put(site, "locked: [policy]\npolicy: {local_only: true}\nsandbox: {env: [A, B]}\n");
    struct config_options o = options();
    AUTO(config) struct config *c = load(&o);
    AUTO(buf) struct buf b = BUF_INIT(5000);
    assert_int_equal(config_each(c, show, &b), 0);
    assert_string_equal(buf_str(&b), "policy.local_only=true site locked\nsandbox.env[0]=A site\nsandbox.env[1]=B site\n"
                                     "locked[0]=policy site\n");
}

static void load__finds_the_project_file_above_but_not_above_the_repository(void **state)
{
    (void)state;
    char sub[200], outside[200], git[200];
    (void)snprintf(sub, sizeof sub, "%s/a/b", repo);
    (void)snprintf(git, sizeof git, "%s/.git/HEAD", repo);
    (void)snprintf(outside, sizeof outside, "%s/stead.yaml", dir);
    put(project, "limits: {max_steps: 7}\n");
    put(git, "");
    put(outside, "limits: {max_steps: 3}\n");
    struct err e = ERR_INIT;
    assert_int_equal(path_mkdirs(sub, 0700, &e), 0);
    struct config_options o = options();
    o.workspace = sub;
    AUTO(config) struct config *c = load(&o);
    assert_int_equal(config_values(c)->limits.max_steps, 7);
    assert_string_equal(config_project_dir(c), repo);
    assert_int_equal(unlink(project), 0);
    AUTO(config) struct config *d = load(&o);
    assert_int_equal(config_values(d)->limits.max_steps, 60);
    assert_string_equal(config_project_dir(d), repo);
}

/* --- trust --- */

static const struct {
    const char *text, *message, *hint;
} untrusted[] = {
    { "endpoints:\n- {name: a, url: 'http://evil'}\n", "@/repo/stead.yaml:1: endpoints: a project's file may not set this: it comes with the repository and is not trusted", "config path" },
    { "\nendpoint: http://evil\n", "@/repo/stead.yaml:2: endpoint: a project's file may not set this: it comes with the repository and is not trusted", NULL },
    { "sandbox:\n  mounts: [/etc]\n", "@/repo/stead.yaml:2: sandbox.mounts: a project's file may not set this: it comes with the repository and is not trusted", NULL },
    { "sandbox:\n  env: [AWS_SECRET_ACCESS_KEY]\n", "@/repo/stead.yaml:2: sandbox.env: a project's file may not set this: it comes with the repository and is not trusted", NULL },
    { "sandbox: {net: [evil.example]}\n", "@/repo/stead.yaml:1: sandbox.net: a project's file may not set this: it comes with the repository and is not trusted", NULL },
    { "policy:\n  approve: auto\n", "@/repo/stead.yaml:2: policy.approve: a project's file may make this stricter, not weaker; it is 'ask'", NULL },
    { "policy:\n  hosted_classes: [all]\n", "@/repo/stead.yaml:2: policy.hosted_classes: a project's file may not set this: it comes with the repository and is not trusted", NULL },
    { "policy:\n  budgets: {task: {usd: 99}}\n", "@/repo/stead.yaml:2: policy.budgets.task.usd: a project's file may make this stricter, not weaker; it is '1.00'", NULL },
    { "policy:\n  budgets: {task: {usd: 0}}\n", "@/repo/stead.yaml:2: policy.budgets.task.usd: a project's file may make this stricter, not weaker; it is '1.00'", NULL },
    { "limits: {max_steps: 61}\n", "@/repo/stead.yaml:1: limits.max_steps: a project's file may make this stricter, not weaker; it is '60'", NULL },
    { "guard: {allow: [AKIA]}\n", "@/repo/stead.yaml:1: guard.allow: a project's file may not set this: it comes with the repository and is not trusted", NULL },
    { "paths: {state: /tmp}\n", "@/repo/stead.yaml:1: paths.state: a project's file may not set this: it comes with the repository and is not trusted", NULL },
    { "locked: [policy]\n", "@/repo/stead.yaml:1: locked: only the site's file (/etc/stead/config.yaml) may set this", NULL },
};

static void load__does_not_trust_a_project(void **state)
{
    (void)state;
    struct config_options o = options();
    for (size_t i = 0; i < COUNT_OF(untrusted); i++) {
        put(project, untrusted[i].text);
        fails(&o, untrusted[i].message, untrusted[i].hint);
    }
    put(user, "policy: {local_only: true}\n");
    put(project, "policy: {local_only: false}\n");
    fails(&o, "@/repo/stead.yaml:1: policy.local_only: a project's file may make this stricter, not weaker; "
              "@/home/.config/stead/config.yaml:1 says 'true'", NULL);
    assert_int_equal(unlink(project), 0);
    assert_int_equal(symlink("/etc/passwd", project), 0);
    fails(&o, "cannot read the configuration '@/repo/stead.yaml': Too many levels of symbolic links", "symbolic link");
}

static void load__lets_a_project_tighten(void **state)
{
    (void)state;
    put(project, "policy:\n  approve: never\n  local_only: true\n  budgets: {task: {usd: 0.1, tokens: 5}, day: {tokens: 9}}\n"
                 "limits: {max_tokens: 100}\nguard: {never_send: [secret/**]}\nsandbox: {cpus: 1.5, memory: 1G}\n");
    struct config_options o = options();
    AUTO(config) struct config *c = load(&o);
    const struct config_values *v = config_values(c);
    assert_int_equal(v->policy.approve, CONFIG_APPROVE_NEVER);
    assert_true(v->policy.local_only);
    assert_int_equal(v->policy.budgets.task.tokens, 5);
    assert_int_equal(v->limits.max_tokens, 100);
    assert_true(v->sandbox.cpus == 1.5);
}

static void load__keeps_what_the_site_has_locked(void **state)
{
    (void)state;
    put(site, "locked: [policy.local_only, endpoints]\npolicy: {local_only: true}\n");
    put(user, "\npolicy:\n  local_only: true\n");
    struct config_options o = options();
    fails(&o, "@/home/.config/stead/config.yaml:3: policy.local_only: locked by @/site.yaml:1", "ask whoever");
    put(user, "endpoints:\n- {name: a, url: 'http://x'}\n");
    fails(&o, "@/home/.config/stead/config.yaml:1: endpoints: locked by @/site.yaml:1", NULL);
    put(user, "");
    struct config_option set[] = { { "policy.local_only", "false", "--no-local-only" } };
    o.set = set;
    o.nset = 1;
    fails(&o, "--no-local-only: policy.local_only: locked by @/site.yaml:1", NULL);
    put(site, "locked: [polisy]\n");
    fails(&o, "@/site.yaml:1: locked: there is no key or section 'polisy'", NULL);
}

/* --- values --- */

static const struct {
    const char *text, *message, *hint;
} wrong[] = {
    { "limits:\n  max_steps: 0\n", "@/home/.config/stead/config.yaml:2: limits.max_steps: expected 1 to 10000, got '0'", NULL },
    { "limits: {timeout: 10}\n", "@/home/.config/stead/config.yaml:1: limits.timeout: expected a duration, got '10'", "15s" },
    { "sandbox: {memory: lots}\n", "@/home/.config/stead/config.yaml:1: sandbox.memory: expected a size, got 'lots'", "2G" },
    { "sandbox: {backend: magic}\n", "@/home/.config/stead/config.yaml:1: sandbox.backend: expected auto|native|oci|nested, got 'magic'", NULL },
    { "sandboxes: {}\n", "@/home/.config/stead/config.yaml:1: sandboxes: there is no such key", "did you mean 'sandbox'?" },
    { "endpoints:\n- name: a\n", "@/home/.config/stead/config.yaml:2: endpoints[0]: 'url' is missing", NULL },
    { "endpoints:\n- {name: a, url: ftp://x}\n", "@/home/.config/stead/config.yaml:2: endpoints[0].url: expected a URL, got 'ftp://x'", "unix:" },
    { "endpoints:\n- {name: a, url: 'https://u:p@x/'}\n", "@/home/.config/stead/config.yaml:2: endpoints[0].url: a key or password may not stand in a URL", "key_env" },
    { "endpoints:\n- name: a\n  url: http://x\n  api_key: sk-1\n", "@/home/.config/stead/config.yaml:4: endpoints[0].api_key: secrets are not kept in configuration", "key_env" },
    { "endpoints:\n- {name: a, url: http://x, key_env: A, key_file: b}\n", "@/home/.config/stead/config.yaml:2: endpoints: 'a' has more than one source of its key", NULL },
    { "policy:\n  chains:\n  - {class: docs, stops: [person, local]}\n", "@/home/.config/stead/config.yaml:3: policy.chains: 'local' stands after person, where a chain ends", "last" },
    { "policy:\n  hours:\n  - {from: \"08:00\", to: \"08:00\"}\n", "@/home/.config/stead/config.yaml:3: policy.hours: from and to are both 08:00: that is no time at all", "24:00" },
    { "policy:\n  budgets:\n    task: {usd: 0.0000001}\n", "@/home/.config/stead/config.yaml:3: policy.budgets.task.usd: expected an amount of at least a millionth of a dollar, got '0.0000001'", NULL },
    { "policy:\n  chains:\n  - {class: docs, stops: [locl, person]}\n", "@/home/.config/stead/config.yaml:3: policy.chains: there is no endpoint 'locl'", "person" },
    { "policy:\n  hours:\n  - {from: '8', to: '18:00'}\n", "@/home/.config/stead/config.yaml:3: policy.hours: expected a time such as 08:30, got '8'", NULL },
    { "policy:\n  hours:\n  - {days: mon-sunday, from: '08:00', to: '18:00'}\n", "@/home/.config/stead/config.yaml:3: policy.hours: expected days such as mon-fri or sat,sun, got 'mon-sunday'", NULL },
    { "limits: 5\n", "@/home/.config/stead/config.yaml:1: limits: expected `key: value` lines below it", NULL },
};

static void load__says_where_and_what_is_wrong(void **state)
{
    (void)state;
    struct config_options o = options();
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        put(user, wrong[i].text);
        fails(&o, wrong[i].message, wrong[i].hint);
    }
}

static void load__names_files_that_cannot_be_used(void **state)
{
    (void)state;
    struct config_options o = options();
    o.file = "/nonexistent/stead.yaml";
    fails(&o, "cannot read the configuration '/nonexistent/stead.yaml': No such file or directory", NULL);
    o.file = dir;
    fails(&o, "cannot read the configuration '@': not a file", NULL);
    o.file = NULL;
    put(user, "model: a\n");
    assert_int_equal(chmod(user, 0666), 0);
    fails(&o, "the configuration '@/home/.config/stead/config.yaml' may be written by everybody", "chmod o-w");
    assert_int_equal(unlink(user), 0);
    assert_int_equal(mkfifo(user, 0600), 0); /* would wait for ever */
    fails(&o, "cannot read the configuration '@/home/.config/stead/config.yaml': not a file", NULL);
    struct config_option set[] = { { "limits.max_stepz", "3", "--max-steps" } };
    o.set = set;
    o.nset = 1;
    assert_int_equal(unlink(user), 0);
    fails(&o, "--max-steps: there is no key 'limits.max_stepz' that takes one value", "config show");
    set[0] = (struct config_option){ "limits.max_steps", "many", "--max-steps" };
    fails(&o, "--max-steps: limits.max_steps: expected a whole number, got 'many'", NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(keys__agree_with_the_schema_and_are_explained),
        T(load__has_defaults_where_no_file_is),
        T(load__lets_the_stronger_source_win_and_knows_which),
        T(each__gives_every_value_with_its_source),
        T(load__finds_the_project_file_above_but_not_above_the_repository),
        T(load__does_not_trust_a_project),
        T(load__lets_a_project_tighten),
        T(load__keeps_what_the_site_has_locked),
        T(load__says_where_and_what_is_wrong),
        T(load__names_files_that_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
