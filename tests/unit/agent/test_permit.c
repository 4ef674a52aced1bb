#include "support/test.h"

#include "agent/permit.h"
#include "base/mem.h"
#include "journal/journal.h"

static void parse_command__only_plain_commands_have_a_vector(void **state)
{
    static const struct {
        const char *command;
        int ok;
        size_t n;
        const char *last;
    } rows[] = {
        { "npm publish", 1, 2, "publish" },
        { "  git   push  origin 'main branch' ", 1, 4, "main branch" },
        { "echo \"a \\\" b\"", 1, 2, "a \" b" },
        { "echo a\\ b", 1, 2, "a b" },
        { "echo ''", 1, 2, "" },
        { "npm publish; rm -rf /", 0, 0, NULL },
        { "npm publish && x", 0, 0, NULL },
        { "npm publish | tee", 0, 0, NULL },
        { "npm publish > f", 0, 0, NULL },
        { "npm `x`", 0, 0, NULL },
        { "npm $(x)", 0, 0, NULL },
        { "npm \"$X\"", 0, 0, NULL },
        { "npm *", 0, 0, NULL },
        { "npm\npublish", 0, 0, NULL },
        { "PATH=/x npm publish", 0, 0, NULL },
        { "npm 'publish", 0, 0, NULL },
        { "npm publish &", 0, 0, NULL },
        { "{ npm; }", 0, 0, NULL },
        { "! npm", 0, 0, NULL },
        { "", 0, 0, NULL },
        { "npm publish # x", 0, 0, NULL },
        { "npm \\\npublish", 0, 0, NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
        struct strings argv = { 0 };
        const char *why = NULL;
        int ok = permit_parse_command(span_of(rows[i].command), &a, &argv, &why);
        if (ok != rows[i].ok || (ok ? argv.len != rows[i].n || strcmp(argv.items[argv.len - 1], rows[i].last) != 0 : !why))
            fail_msg("'%s': %d, %zu words", rows[i].command, ok, argv.len);
    }
}

static void match__word_by_word(void **state)
{
    const char *const argv[] = { "npm", "publish", "--tag", "x", NULL };
    (void)state;
    assert_true(permit_match("npm publish", argv));
    assert_true(permit_match("npm * --tag", argv));
    assert_false(permit_match("npm pub", argv));
    assert_false(permit_match("np", argv));
    assert_false(permit_match("npm publish --tag x y", argv));
    assert_false(permit_match("", argv));
}

struct person {
    enum permit_answer answer;
    int asked;
    char rule[100];
};

static enum permit_answer ask(void *ctx, const struct permit_request *r, const char *rule)
{
    struct person *p = ctx;
    (void)r;
    p->asked++;
    (void)snprintf(p->rule, sizeof p->rule, "%s", rule ? rule : "");
    return p->answer;
}

struct seen {
    int n;
    char last[400];
};

static int see(void *ctx, const struct journal_event *ev)
{
    struct seen *s = ctx;
    if (strcmp(ev->type, "approval") == 0) {
        s->n++;
        (void)snprintf(s->last, sizeof s->last, "%.*s", (int)ev->members.n, ev->members.p);
    }
    return 0;
}

static void permit__asks_once_remembers_and_records_who(void **state)
{
    (void)state;
    char dir[] = "/tmp/stead-permit-XXXXXX", path[80];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/j.db", dir);
    struct err e = ERR_INIT;
    AUTO(journal) struct journal *j = NULL;
    assert_int_equal(journal_open(path, JOURNAL_CREATE, &j, &e), 0);
    struct journal_session s = { .workspace = "/w", .kind = "run" };
    assert_int_equal(journal_session_start(j, &s, &e), 0);
    struct seen seen = { 0 };
    assert_int_equal(journal_subscribe(j, see, &seen, &e), 0);
    struct person person = { .answer = PERMIT_ALWAYS };
    struct permit_options o = { .journal = j, .session = s.id, .workspace = "/w", .ask = ask, .ctx = &person };
    const char *const argv[] = { "npm", "publish", "--tag", "beta", NULL };
    struct permit_request r = { .kind = PERMIT_PUBLISH, .argv = argv };
    {
        AUTO(permit) struct permit *p = NULL;
        assert_int_equal(permit_create(&o, &p, &e), 0);
        assert_int_equal(permit_ask(p, &r, &e), 1);
        assert_string_equal(person.rule, "publish npm publish");
        assert_non_null(strstr(seen.last, "\"by\":\"person\""));
        assert_int_equal(permit_ask(p, &r, &e), 1);
        assert_int_equal(person.asked, 1);
        assert_non_null(strstr(seen.last, "\"by\":\"rule: allow publish npm publish\""));
    }
    /* Remembered for the workspace by a later process, and for no other workspace. */
    AUTO(permit) struct permit *p = NULL;
    assert_int_equal(permit_create(&o, &p, &e), 0);
    assert_int_equal(permit_ask(p, &r, &e), 1);
    const char *const other[] = { "npm", "unpublish", NULL };
    r.argv = other;
    person.answer = PERMIT_NO;
    assert_int_equal(permit_ask(p, &r, &e), 0);
    assert_int_equal(person.asked, 2);
    r = (struct permit_request){ .kind = PERMIT_NET, .what = "pypi.org" };
    person.answer = PERMIT_NEVER;
    assert_int_equal(permit_ask(p, &r, &e), 0);
    assert_int_equal(permit_ask(p, &r, &e), 0);
    assert_int_equal(person.asked, 3);
    assert_int_equal(seen.n, 6);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 16);
    struct strings rules;
    assert_int_equal(permit_rules(p, &a, &rules, &e), 0);
    assert_int_equal(rules.len, 2);
    assert_int_equal(permit_forget(p, "refuse net pypi.org", &e), 0);
    assert_int_equal(permit_forget(p, "refuse net pypi.org", &e), -ERR_NOT_FOUND);
    person.answer = PERMIT_ONCE;
    assert_int_equal(permit_ask(p, &r, &e), 1);
    assert_int_equal(person.asked, 4);
    AUTO(permit) struct permit *elsewhere = NULL;
    o.workspace = "/x";
    o.ask = NULL;
    assert_int_equal(permit_create(&o, &elsewhere, &e), 0);
    r = (struct permit_request){ .kind = PERMIT_PUBLISH, .argv = argv };
    assert_int_equal(permit_ask(elsewhere, &r, &e), 0);
    assert_non_null(strstr(seen.last, "nobody to ask"));
    journal_destroy(TAKE(j));
    assert_int_equal(path_remove_tree(AT_FDCWD, dir, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_command__only_plain_commands_have_a_vector),
        cmocka_unit_test(match__word_by_word),
        cmocka_unit_test(permit__asks_once_remembers_and_records_who),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
