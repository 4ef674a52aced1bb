/*
 * Attempts as data: tests/golden/agent/NAME.json says what is in the workspace, what the model server
 * does, and what must come of it. The sandbox, the layer and the journal are the real ones. Besides its own
 * expectations every case is held to: the workspace is untouched, requests only grow, every tool call
 * has one result, and no process is left.
 *
 * {"what": "...", "files": {PATH: CONTENT}, "task", "evidence", "goal": "change"|"answer"|"either",
 *  "limits": {"max_steps", "max_tokens", "timeout_ms", "command_ms"}, "server": SCRIPT,
 *  "interrupt_at": N   the Nth tool call raises cancel as it starts
 *  "tell_at": [N, TEXT] a message is told as the Nth tool call starts
 *  "then": [TEXT, ...] told after the run, one further run each
 *  "expect": {"status", "reason", "text", "model_error", "steps", "wrote", "requests",
 *             "results": [PART or null, ...] of the tool results in order, "oks": [bool, ...],
 *             "first_has", "first_lacks", "first_bytes": at most, "last_has", "last_lacks": of request bodies,
 *             "files": {PATH: CONTENT or null (absent)}, "events": {TYPE: count}, "command": [COMMAND, OUTPUT]},
 *  "compacts": true    requests may begin anew}
 */
#include <dirent.h>

#include "support/test.h"
#include "world.h"

#include "base/mem.h"
#include "model/chat.h"

#define expect(ok, ...)                                            \
    do {                                                           \
        if (!(ok)) {                                               \
            char said[1600];                                       \
            (void)snprintf(said, sizeof said, __VA_ARGS__);        \
            fail_msg("%s: %s", w->name, said);                     \
        }                                                          \
    } while (0)

struct live {
    struct world *w;
    struct attempt *attempt;
    const json_t *c;
    struct cancel cancel;
    int tools;
};

static void on_tool(void *ctx, const char *id, const char *tool, struct span args)
{
    struct live *l = ctx;
    struct err e = ERR_INIT;
    (void)id;
    (void)tool;
    (void)args;
    l->tools++;
    if (json_integer_value(json_object_get(l->c, "interrupt_at")) == l->tools)
        cancel_raise(&l->cancel, "interrupted");
    const json_t *tell = json_object_get(l->c, "tell_at");
    if (tell && json_integer_value(json_array_get(tell, 0)) == l->tools)
        assert_ok(attempt_tell(l->attempt, span_of(json_string_value(json_array_get(tell, 1))), &e), &e);
}

static const char *str(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void check_result(struct world *w, const json_t *x, const struct attempt_result *r)
{
    const char *status = str(x, "status"), *reason = str(x, "reason"), *text = str(x, "text"), *failure = str(x, "model_error");
    expect(!status || strcmp(status, attempt_status_name(r->status)) == 0, "status '%s', expected '%s': %s", attempt_status_name(r->status),
           status, r->reason);
    expect(!reason || strstr(r->reason, reason), "reason '%s', expected '%s'", r->reason, reason);
    expect(!text || span_find(r->text, span_of(text)) >= 0, "text '%.*s', expected '%s'", (int)r->text.n, r->text.p, text);
    expect(!failure || strcmp(failure, model_error_name((enum model_error)r->model_error)) == 0, "model error '%s'",
           model_error_name((enum model_error)r->model_error));
    const json_t *v = json_object_get(x, "steps");
    expect(!v || json_integer_value(v) == r->steps, "%lld steps", (long long)r->steps);
    v = json_object_get(x, "wrote");
    expect(!v || json_is_true(v) == r->wrote, "wrote: %d", r->wrote);
}

static void check_events(struct world *w, const json_t *x)
{
    size_t i, calls = 0, results = 0;
    json_t *ev;
    json_array_foreach(w->events, i, ev) {
        const char *type = str(ev, "type");
        calls += strcmp(type, "tool_call") == 0;
        if (strcmp(type, "tool_result") != 0)
            continue;
        const char *output = str(ev, "output"), *want = json_string_value(json_array_get(json_object_get(x, "results"), results));
        expect(!want || strstr(output, want), "result %zu is '%s', expected '%s'", results + 1, output, want);
        const json_t *ok = json_array_get(json_object_get(x, "oks"), results);
        expect(!ok || json_is_true(ok) == json_is_true(json_object_get(ev, "ok")), "result %zu: ok", results + 1);
        results++;
    }
    expect(calls == results, "%zu calls, %zu results", calls, results);
    const json_t *wanted = json_object_get(x, "results");
    expect(!wanted || json_array_size(wanted) == results, "%zu results, expected %zu", results, json_array_size(wanted));
    const char *type;
    const json_t *count;
    json_t *counts = json_incref(json_object_get(x, "events"));
    json_object_foreach(counts, type, count) {
        json_int_t n = 0;
        json_array_foreach(w->events, i, ev)
            n += strcmp(str(ev, "type"), type) == 0;
        expect(n == json_integer_value(count), "%lld events '%s', expected %lld", (long long)n, type, (long long)json_integer_value(count));
    }
    json_decref(counts);
}

static void check_requests(struct world *w, const json_t *c, const json_t *x, size_t steps)
{
    size_t least = (size_t)json_integer_value(json_object_get(x, "requests"));
    AUTO(json) json_t *requests = scripted_requests(&w->server, true, least ? least : steps);
    size_t n = json_array_size(requests);
    const json_t *v = json_object_get(x, "requests");
    expect(!v || json_integer_value(v) == (json_int_t)n, "%zu requests", n);
    expect(n > 0, "no request was recorded");
    const char *first = str(json_array_get(requests, 0), "body"), *last = str(json_array_get(requests, n - 1), "body");
    const char *part = str(x, "first_has");
    expect(!part || strstr(first, part), "the first request lacks '%s': %s", part, first);
    part = str(x, "first_lacks");
    expect(!part || !strstr(first, part), "the first request has '%s'", part);
    part = str(x, "last_has");
    expect(!part || strstr(last, part), "the last request lacks '%s': ...%s", part, strlen(last) > 900 ? last + strlen(last) - 900 : last);
    part = str(x, "last_lacks");
    expect(!part || !strstr(last, part), "the last request has '%s'", part);
    v = json_object_get(x, "first_bytes");
    expect(!v || (json_int_t)strlen(first) <= json_integer_value(v), "the first request has %zu bytes", strlen(first));
    if (!json_is_true(json_object_get(c, "compacts")))
        world_check_prefix(w, requests);
}

static void check_inside(struct world *w, const json_t *x)
{
    struct err e = ERR_INIT;
    const char *path;
    const json_t *content;
    json_t *files = json_incref(json_object_get(x, "files"));
    json_object_foreach(files, path, content) {
        AUTO(buf) struct buf b = BUF_INIT(1 << 20);
        int r = sandbox_read(w->sandbox, path, 0, 1 << 20, &b, NULL, &e);
        if (json_is_null(content)) {
            expect(r == -ERR_NOT_FOUND, "%s is there", path);
            continue;
        }
        expect(r >= 0, "%s: %s", path, e.text);
        expect(span_eqs(buf_span(&b), json_string_value(content)), "%s is '%s'", path, buf_str(&b));
    }
    json_decref(files);
    const json_t *command = json_object_get(x, "command");
    if (!command)
        return;
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);
    struct sandbox_exec sx = { .argv = (const char *const[]){ "sh", "-c", json_string_value(json_array_get(command, 0)), NULL }, .timeout_ms = 10000, .merge = true };
    struct sandbox_result sr;
    assert_ok(sandbox_exec(w->sandbox, &sx, &out, &sr, NULL, &e), &e);
    expect(span_eqs(span_trim(buf_span(&out)), json_string_value(json_array_get(command, 1))), "the command printed '%s'", buf_str(&out));
}

static int64_t limit(const json_t *c, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(c, "limits"), name));
}

static void run_case(const char *name, const json_t *c)
{
    struct world world, *w = &world;
    struct err e = ERR_INIT;
    world_open(w, name, json_object_get(c, "files"), json_object_get(c, "server"));
    struct live live = { .w = w, .c = c };
    struct attempt_events events = { .ctx = &live, .on_tool = on_tool };
    struct attempt_spec spec = world_spec(w);
    const char *goal = str(c, "goal"), *task = str(c, "task");
    spec.task = span_of(task ? task : "Do it.");
    spec.evidence = span_of(str(c, "evidence"));
    spec.goal = !goal ? ATTEMPT_EITHER : strcmp(goal, "change") == 0 ? ATTEMPT_CHANGE : strcmp(goal, "answer") == 0 ? ATTEMPT_ANSWER : ATTEMPT_EITHER;
    spec.limits = (struct attempt_limits){ .max_steps = limit(c, "max_steps"), .max_tokens = limit(c, "max_tokens"),
                                           .timeout_ms = limit(c, "timeout_ms"), .command_ms = limit(c, "command_ms") };
    spec.events = &events;
    spec.repo_map = json_is_true(json_object_get(c, "repo_map"));
    struct attempt *a;
    assert_ok(attempt_start(&spec, &a, &e), &e);
    live.attempt = a;
    struct attempt_result r;
    int rc = attempt_run(a, &live.cancel, &r, &e);
    size_t i;
    json_t *text;
    json_array_foreach(json_object_get(c, "then"), i, text) {
        expect(rc >= 0, "run %zu: %s", i + 1, e.text);
        live.cancel.raised = 0;
        assert_ok(attempt_tell(a, span_of(json_string_value(text)), &e), &e);
        rc = attempt_run(a, &live.cancel, &r, &e);
    }
    expect(rc >= 0, "the run failed: %s", e.text);
    const json_t *x = json_object_get(c, "expect");
    if (getenv("DUMP"))
        (void)json_dumpf(w->events, stderr, JSON_INDENT(1));
    check_result(w, x, &r);
    attempt_destroy(a);
    check_events(w, x);
    check_requests(w, c, x, r.steps > 0 ? (size_t)r.steps : 1);
    check_inside(w, x);
    world_check_untouched(w, json_object_get(c, "files"));
    world_close(w);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void cases__each_holds(void **state)
{
    (void)state;
    struct dirent **names;
    int n = scandir(AGENT_CASES, &names, NULL, by_name);
    const char *only = getenv("CASE");
    size_t ran = 0;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char path[512];
        if (span_ends(span_of(names[i]->d_name), ".json") && (!only || strstr(names[i]->d_name, only))) {
            (void)snprintf(path, sizeof path, "%s/%s", AGENT_CASES, names[i]->d_name);
            json_error_t why;
            AUTO(json) json_t *c = json_load_file(path, 0, &why);
            if (!c)
                fail_msg("%s:%d: %s", names[i]->d_name, why.line, why.text);
            if (getenv("VERBOSE"))
                (void)fprintf(stderr, "%s: %s\n", names[i]->d_name, str(c, "what"));
            run_case(names[i]->d_name, c);
            ran++;
        }
        free(names[i]);
    }
    free(names);
    assert_true(ran > 0);
}

int main(void)
{
    struct err e = ERR_INIT;
    struct loop *loop;
    struct sandbox_report report;
    if (loop_create(&loop, &e) < 0 || sandbox_check(loop, &report, &e) < 0 || !report.usable) {
        (void)printf("SKIP: no sandbox can be had here: %s\n", e.text);
        return 77;
    }
    loop_destroy(loop);
    const struct CMUnitTest tests[] = { cmocka_unit_test(cases__each_holds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
