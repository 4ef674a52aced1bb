#include "route/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "route/candidate.h"
#include "route/escalate.h"

static const struct class_row plain = { .name = "fix", .title = "small fix" };
static const struct class_row poor = { .name = "security", .title = "security review", .cost = COST_HIGH, .poor = true };
static const struct class_row words = { .name = "explain", .title = "explain", .answer = true };

static struct route_candidate small_one, large_one, hosted_one, list[3];
static struct config_values values;
static struct classification class;
static struct route_input in;
static const char *hosted_fix[] = { "fix" };

static int setup(void **state)
{
    (void)state;
    small_one = (struct route_candidate){ .name = "small", .url = "http://127.0.0.1:1", .model = "m-7b", .local = true, .ready = true, .context_tokens = 32768 };
    large_one = (struct route_candidate){ .name = "large", .url = "http://127.0.0.1:2", .model = "m-70b", .local = true, .large = true, .ready = true };
    hosted_one = (struct route_candidate){ .name = "cloud", .url = "https://x", .model = "big", .ready = true, .price_in_micro_usd = 3000000 };
    list[0] = hosted_one, list[1] = large_one, list[2] = small_one;
    values = (struct config_values){ .policy = { .max_escalations = 2 } };
    class = (struct classification){ .row = &plain, .score = 9 };
    in = (struct route_input){ .class = &class, .candidates = list, .ncandidates = 3, .values = &values };
    return 0;
}

static struct route decide(struct arena *a)
{
    struct err e = ERR_INIT;
    struct route r;
    if (route_decide(&in, a, &r, &e) < 0)
        fail_msg("%s", e.text);
    return r;
}

static const char *chosen(const struct route *r)
{
    return r->choice < 0 ? "-" : list[r->choice].name;
}

static const char *reason(const struct route *r, const char *name)
{
    for (size_t i = 0; i < r->nstops; i++)
        if (r->stops[i].candidate >= 0 && strcmp(list[r->stops[i].candidate].name, name) == 0)
            return r->stops[i].reason;
    return "(not listed)";
}

#define ARENA AUTO(arena) struct arena a = ARENA_INIT(1 << 20)

static void decide__keeps_everything_local_where_nothing_is_configured(void **state)
{
    (void)state;
    ARENA;
    struct route r = decide(&a);
    assert_string_equal(chosen(&r), "small");
    assert_false(r.person);
    assert_string_equal(reason(&r, "cloud"), "policy.hosted_classes does not name 'fix'");
    class.cost = COST_MEDIUM;
    r = decide(&a);
    assert_string_equal(chosen(&r), "large");
    class.row = &poor;
    r = decide(&a);
    assert_string_equal(chosen(&r), "large"); /* hosted comes first for these, and may not */
    assert_true(r.person);
    in.ncandidates = 1;
    r = decide(&a);
    assert_int_equal(r.choice, -1);
    assert_true(r.person);
}

static void decide__asks_a_person_where_it_should(void **state)
{
    (void)state;
    ARENA;
    class.unsure = true;
    class.cost = COST_LOW;
    assert_false(decide(&a).person); /* a cheap failure is caught by the gates */
    class.cost = COST_MEDIUM;
    assert_true(decide(&a).person);
    class = (struct classification){ .row = &plain, .cost = COST_HIGH };
    assert_true(decide(&a).person);
    class = (struct classification){ .row = &plain, .poor_hint = &poor };
    assert_true(decide(&a).person);
    class = (struct classification){ .row = &words, .unsure = true, .poor_hint = &poor };
    assert_false(decide(&a).person); /* words change nothing */
}

static void decide__sends_out_only_what_every_rule_allows(void **state)
{
    (void)state;
    ARENA;
    list[1].ready = list[2].ready = false;
    list[2].problem = "Connection refused";
    values.policy.hosted_classes = hosted_fix;
    values.policy.nhosted_classes = 1;
    struct route r = decide(&a);
    assert_string_equal(chosen(&r), "cloud");
    assert_string_equal(reason(&r, "small"), "Connection refused");

    in.local_only = true;
    in.local_only_why = "the repository is marked";
    r = decide(&a);
    assert_string_equal(reason(&r, "cloud"), "the repository is marked");
    in.local_only = false;
    values.policy.local_only = true;
    r = decide(&a);
    assert_int_equal(r.choice, -1);
    values.policy.local_only = false;

    struct config_hours hours[] = { { "mon-fri", "08:00", "18:00" }, { "sat", "22:00", "02:00" } };
    values.policy.hours = hours;
    values.policy.nhours = 2;
    static const struct {
        int weekday, minute;
        bool open;
    } times[] = { { 1, 8 * 60, true }, { 1, 8 * 60 - 1, false }, { 5, 18 * 60, false }, { 6, 12 * 60, false }, { 6, 23 * 60, true }, { 0, 60, true }, { 0, 120, false } };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        in.now.weekday = times[i].weekday;
        in.now.minute = times[i].minute;
        r = decide(&a);
        if ((r.choice == 0) != times[i].open)
            fail_msg("day %d minute %d: %s", times[i].weekday, times[i].minute, reason(&r, "cloud"));
    }
    values.policy.nhours = 0;

    values.policy.budgets.task.micro_usd = 1000000;
    in.spent.task.micro_usd = 999000;
    in.need_tokens = 300; /* 900 micro-dollars: fits */
    assert_string_equal(chosen(&(struct route){ .choice = decide(&a).choice }), "cloud");
    in.need_tokens = 400; /* 1200: does not */
    r = decide(&a);
    assert_string_equal(reason(&r, "cloud"), "policy.budgets.task.usd is used up");
    in.spent = (struct route_spent){ .day = { .tokens = 5 } };
    values.policy.budgets.day.tokens = 5;
    r = decide(&a);
    assert_string_equal(reason(&r, "cloud"), "policy.budgets.day.tokens is used up");
    values.policy.budgets.day.tokens = 0;
    values.policy.budgets.user.time_ms = 10;
    in.spent.user.time_ms = 10;
    r = decide(&a);
    assert_string_equal(reason(&r, "cloud"), "policy.budgets.user.time is used up");
}

static void decide__passes_over_what_cannot_serve(void **state)
{
    (void)state;
    ARENA;
    in.need_tokens = 31000;
    struct route r = decide(&a);
    assert_string_equal(chosen(&r), "large");
    assert_string_equal(reason(&r, "small"), "its context of 32768 tokens is too small: about 33048 are needed");
    in.need_tokens = 0;
    values.policy.max_ttft_ms = 5000;
    list[2].expected_ttft_ms = 60000;
    r = decide(&a);
    assert_string_equal(chosen(&r), "large");
    assert_string_equal(reason(&r, "small"), "its first token is expected after 1 m 0 s, policy.max_ttft is 5.0 s");
    struct breaker open = { .state = BREAKER_OPEN, .failures = 3, .until_ms = 2000 };
    list[1].breaker = &open;
    in.now.unix_ms = 1000;
    r = decide(&a);
    assert_int_equal(r.choice, -1);
    assert_non_null(strstr(reason(&r, "large"), "failed 3 times"));
    in.now.unix_ms = 2000;
    r = decide(&a);
    assert_string_equal(chosen(&r), "large");
    list[1].slots = list[1].busy = 1;
    assert_int_equal(decide(&a).choice, -1);
}

static void decide__follows_configured_chains_and_a_chosen_endpoint(void **state)
{
    (void)state;
    ARENA;
    const char *stops[] = { "large", "person" }, *all[] = { "local", "person" };
    struct config_chain chains[] = { { "default", all, 2 }, { "fix", stops, 2 } };
    values.policy.chains = chains;
    values.policy.nchains = 2;
    struct route r = decide(&a);
    assert_string_equal(chosen(&r), "large");
    assert_string_equal(reason(&r, "small"), "not in the chain of its class");
    class.row = &words;
    r = decide(&a);
    assert_string_equal(chosen(&r), "large"); /* the first local one as listed */
    in.wanted = "http://127.0.0.1:1";
    r = decide(&a);
    assert_string_equal(chosen(&r), "small");
    in.wanted = "cloud";
    r = decide(&a);
    assert_int_equal(r.choice, -1); /* asking for it does not allow it */
}

static void breaker__opens_cools_probes_and_closes(void **state)
{
    (void)state;
    struct breaker b = { 0 };
    int64_t t = 1000;
    breaker_failure(&b, 0, t);
    breaker_failure(&b, 0, t);
    assert_true(breaker_allow(&b, t));
    breaker_failure(&b, 0, t);
    assert_false(breaker_allow(&b, t + BREAKER_COOL_MS - 1));
    t += BREAKER_COOL_MS;
    assert_true(breaker_allow(&b, t));
    assert_false(breaker_allow(&b, t)); /* one probe only */
    assert_true(breaker_would_allow(&b, t + BREAKER_PROBE_MS)); /* a lost probe does not lock it */
    breaker_failure(&b, 0, t);
    assert_false(breaker_allow(&b, t + 2 * BREAKER_COOL_MS - 1));
    t += 2 * BREAKER_COOL_MS;
    assert_true(breaker_allow(&b, t));
    breaker_success(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
    for (int i = 0; i < 20; i++, t += BREAKER_MOST_MS) { /* never longer than the longest */
        breaker_failure(&b, 0, t);
        if (b.state == BREAKER_OPEN)
            assert_true(b.until_ms - t <= BREAKER_MOST_MS);
        (void)breaker_allow(&b, t + BREAKER_MOST_MS);
    }
    struct breaker polite = { 0 };
    breaker_failure(&polite, 7000, 0);
    assert_false(breaker_allow(&polite, 6999));
    assert_true(breaker_allow(&polite, 7000));
    breaker_failure(&polite, INT64_MAX, 0);
    assert_true(polite.until_ms <= BREAKER_RETRY_MOST_MS);

    AUTO(buf) struct buf text = BUF_INIT(200);
    struct err e = ERR_INIT;
    struct breaker back;
    assert_true(breaker_write(&polite, &text));
    assert_int_equal(breaker_read(buf_span(&text), &back, &e), 0);
    assert_memory_equal(&back, &polite, sizeof back);
    assert_true(breaker_read(SPAN("1 2 3"), &back, &e) < 0);
    assert_true(breaker_read(SPAN("9 1 1 1 1"), &back, &e) < 0);
}

static struct escalation escalate(enum escalate_cause cause, int done, struct arena *a)
{
    struct err e = ERR_INIT;
    struct escalation x;
    struct escalate_input x_in = { .cause = cause, .from = 2, .escalations = done, .token_seen = true, .has_draft = true, .route = &in };
    if (escalate_decide(&x_in, a, &x, &e) < 0)
        fail_msg("%s", e.text);
    return x;
}

static void escalate__always_ends_at_a_person(void **state)
{
    (void)state;
    ARENA;
    for (int cause = 0; cause < ESCALATE_CAUSES; cause++) {
        struct escalation x = escalate((enum escalate_cause)cause, 0, &a);
        assert_int_equal(x.action, ESCALATE_TO);
        assert_int_equal(x.to, 1);
        x = escalate((enum escalate_cause)cause, 2, &a);
        assert_int_equal(x.action, ESCALATE_PERSON);
        assert_in_range(x.exit, 3, 6);
        assert_non_null(strstr(x.reason, "policy.max_escalations"));
        list[1].tried = true;
        x = escalate((enum escalate_cause)cause, 0, &a);
        assert_int_equal(x.action, ESCALATE_PERSON);
        list[1].tried = false;
        assert_string_not_equal(escalate_cause_name((enum escalate_cause)cause), "?");
    }
    assert_int_equal(escalate(ESCALATE_GATES_RED, 2, &a).exit, 3);
    assert_int_equal(escalate(ESCALATE_LOOP, 2, &a).exit, 4);
}

static void escalate__repeats_only_before_the_first_token_and_not_for_ever(void **state)
{
    (void)state;
    ARENA;
    struct err e = ERR_INIT;
    struct escalation x;
    struct escalate_input i = { .cause = ESCALATE_OVERLOAD, .from = 2, .route = &in };
    assert_int_equal(escalate_decide(&i, &a, &x, &e), 0);
    assert_int_equal(x.action, ESCALATE_AGAIN);
    assert_int_equal(x.wait_ms, RETRY_WAIT_MS);
    i.retry_after_ms = 5000;
    assert_int_equal(escalate_decide(&i, &a, &x, &e), 0);
    assert_int_equal(x.wait_ms, 5000);
    i.retry_after_ms = 600000;
    assert_int_equal(escalate_decide(&i, &a, &x, &e), 0);
    assert_int_equal(x.action, ESCALATE_TO);
    i.retry_after_ms = 0;
    i.retries = RETRY_MOST;
    assert_int_equal(escalate_decide(&i, &a, &x, &e), 0);
    assert_int_equal(x.action, ESCALATE_TO);
    i.retries = 0;
    i.token_seen = true;
    assert_int_equal(escalate_decide(&i, &a, &x, &e), 0);
    assert_int_equal(x.action, ESCALATE_TO);
    i = (struct escalate_input){ .cause = ESCALATE_DOWN, .from = 2, .escalations = 2, .retries = 9, .route = &in };
    assert_int_equal(escalate_decide(&i, &a, &x, &e), 0);
    assert_int_equal(x.exit, 5);
}

static void handoff__tells_what_was_tried_and_fits(void **state)
{
    (void)state;
    AUTO(buf) struct buf out = BUF_INIT(1 << 20), diff = BUF_INIT(1 << 20);
    for (int i = 0; i < 5000; i++)
        buf_addf(&diff, "+line %d \xc3\xa9\n", i);
    struct handoff_attempt tried = { "small", "m-7b", "gates red", "2 tests fail", 12 };
    struct handoff h = { .task = SPAN("fix it\n"), .attempts = &tried, .nattempts = 1, .diff = buf_span(&diff),
                         .evidence = SPAN("$ make test\nFAIL\n[exit 2]"), .limit_bytes = 4000 };
    assert_true(handoff_write(&h, &out));
    assert_true(out.n <= 4000);
    assert_true(span_starts(buf_span(&out), "fix it\n\nThis was tried before:\n- small, m-7b: 12 steps, gates red: 2 tests fail\n"));
    assert_non_null(strstr(buf_str(&out), "Its change, which is in the files now:\n+line 0"));
    assert_non_null(strstr(buf_str(&out), "[... shortened ...]"));
    assert_non_null(strstr(buf_str(&out), "+line 4999"));
    assert_non_null(strstr(buf_str(&out), "Still failing:\n$ make test\nFAIL\n[exit 2]\n"));
}

static void local_only__knows_the_workspaces_below_a_path(void **state)
{
    (void)state;
    const char *paths[] = { "~/clients/", "/srv/secret", "papers" };
    struct config_policy p = { .local_only_paths = paths, .nlocal_only_paths = 3 };
    assert_string_equal(route_local_only(&p, "/home/ada/clients/acme", "/home/ada"), "~/clients/");
    assert_string_equal(route_local_only(&p, "/srv/secret", "/home/ada"), "/srv/secret");
    assert_null(route_local_only(&p, "/srv/secrets", "/home/ada"));
    assert_null(route_local_only(&p, "/home/bob/clients/x", "/home/ada"));
    assert_null(route_local_only(&p, "/home/ada/papers", "/home/ada"));
}

static void candidate__knows_sizes_and_addresses(void **state)
{
    (void)state;
    assert_true(candidate_model_size("qwen3-30b-a3b") == 30);
    assert_true(candidate_model_size("llama3.2:3B-instruct") == 3);
    assert_true(candidate_model_size("Qwen2.5-Coder-1.5B-Q4") == 1.5);
    assert_true(candidate_model_size("gpt-4o") == 0);
    assert_true(candidate_model_size("mixtral-8x7b") == 7);
    assert_true(candidate_model_size("4bit-model") == 0);
    assert_true(candidate_is_local_url("http://127.0.0.1:8080/v1"));
    assert_true(candidate_is_local_url("unix:/run/x.sock"));
    assert_true(candidate_is_local_url("http://LOCALHOST"));
    assert_false(candidate_is_local_url("http://127.0.0.1.evil.example/"));
    assert_false(candidate_is_local_url("http://localhost.evil.example/"));
    assert_false(candidate_is_local_url("https://api.example.com"));
}

#define T(f) cmocka_unit_test_setup(f, setup)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(decide__keeps_everything_local_where_nothing_is_configured),
        T(decide__asks_a_person_where_it_should),
        T(decide__sends_out_only_what_every_rule_allows),
        T(decide__passes_over_what_cannot_serve),
        T(decide__follows_configured_chains_and_a_chosen_endpoint),
        T(breaker__opens_cools_probes_and_closes),
        T(escalate__always_ends_at_a_person),
        T(escalate__repeats_only_before_the_first_token_and_not_for_ever),
        T(handoff__tells_what_was_tried_and_fits),
        T(local_only__knows_the_workspaces_below_a_path),
        T(candidate__knows_sizes_and_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
