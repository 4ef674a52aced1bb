/*
 * Conversations as data: tests/golden/model/NAME.json says what the server does and what must come of
 * it. Besides its own expectations every case is held to the promises of the layer: a request begins
 * with the bytes of the one before, is valid JSON, and holds nothing of a reply that could not be used.
 *
 * {"what": "quirk 9 ...", "server": SCRIPT of tests/servers/model-server.py, "unix": bool,
 *  "options": {"dialect", "max_tokens", "max_repairs", "max_retries", "stall_ms", "first_byte_ms", "wait_ms", "no_tools"},
 *  "user": "text",
 *  "turns": [{"text", "calls": [{"name", "args", "source"}], "finish", "repairs", "retries", "fail", "error_has", "shown", "reasoning"}],
 *  "sent": [{"n": 1, "has": [...], "lacks": [...]}], "requests": N, "rebuilt": true}
 * After a turn with calls each is answered "done: NAME"; then the next turn is waited for. A turn
 * without calls is followed by the user message "next".
 */
#include <dirent.h>
#include <jansson.h>

#include "scripted.h"
#include "support/test.h"

#include "base/mem.h"
#include "model/chat.h"
#include "model/dialect.h"

static const struct tool_schema tools[] = {
    { "read", "Read a file.", SPAN("{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\",\"pattern\":\"^\\\\d?\"},\"from\":{\"type\":\"integer\",\"minimum\":1},"
                                   "\"to\":{\"type\":\"integer\"},\"numbers\":{\"type\":\"boolean\"}},\"required\":[\"path\"],\"additionalProperties\":false}") },
    { "list", "List files.", SPAN("{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"additionalProperties\":false}") },
    { "write", "Write a file.", SPAN("{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"content\":{\"type\":\"string\"}},"
                                     "\"required\":[\"path\",\"content\"],\"additionalProperties\":false}") },
    { "shell", "Run a command.", SPAN("{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\"},\"timeout_s\":{\"type\":\"integer\",\"minimum\":1}},"
                                      "\"required\":[\"command\"],\"additionalProperties\":false}") },
};

static const char *const sources[] = { "native", "leaked", "constrained" };
static const char *const finishes[] = { "stop", "calls", "length", "refused" };

static const char *name_of_case;

#define expect(ok, ...)                                            \
    do {                                                           \
        if (!(ok)) {                                               \
            char said[1200];                                       \
            snprintf(said, sizeof said, __VA_ARGS__);              \
            fail_msg("%s: %s", name_of_case, said);                \
        }                                                          \
    } while (0)

struct shown {
    struct buf text, reasoning, why;
};

static void on_text(void *ctx, struct span s)
{
    buf_add_span(&((struct shown *)ctx)->text, s);
}

static void on_reasoning(void *ctx, struct span s)
{
    buf_add_span(&((struct shown *)ctx)->reasoning, s);
}

static void on_retry(void *ctx, const char *why)
{
    buf_addf(&((struct shown *)ctx)->why, "%s; ", why);
}

static void check_span(const json_t *turn, const char *member, struct span got)
{
    const char *want = json_string_value(json_object_get(turn, member));
    if (want)
        expect(span_eqs(got, want), "%s: expected \"%s\", got \"%.*s\"", member, want, (int)got.n, got.p);
}

static void check_number(const json_t *turn, const char *member, int64_t got)
{
    const json_t *want = json_object_get(turn, member);
    if (want)
        expect(json_integer_value(want) == got, "%s: expected %lld, got %lld", member, (long long)json_integer_value(want), (long long)got);
}

static void check_turn(const json_t *turn, int rc, const struct reply *r, const struct shown *shown, const struct err *e)
{
    const char *fail = json_string_value(json_object_get(turn, "fail")), *has = json_string_value(json_object_get(turn, "error_has"));
    if (fail) {
        expect(rc < 0, "expected the failure '%s', got text \"%.*s\" and %zu calls", fail, (int)r->text.n, r->text.p, r->ncalls);
        expect(!strcmp(fail, model_error_name(r->failure)), "expected the failure '%s', got '%s': %s", fail, model_error_name(r->failure), e->text);
        expect(!has || strstr(e->text, has), "the message \"%s\" does not contain \"%s\"", e->text, has);
        expect(r->ncalls == 0, "a failed reply has calls");
        return;
    }
    expect(rc >= 0, "failed: %s (%s) after %s", e->text, model_error_name(r->failure), buf_str(&shown->why));
    const json_t *calls = json_object_get(turn, "calls");
    expect(r->ncalls == json_array_size(calls), "expected %zu calls, got %zu; text \"%.*s\"", json_array_size(calls), r->ncalls, (int)r->text.n, r->text.p);
    for (size_t i = 0; i < r->ncalls; i++) {
        const json_t *want = json_array_get(calls, i);
        const char *name = json_string_value(json_object_get(want, "name")), *source = json_string_value(json_object_get(want, "source"));
        AUTO(json) json_t *args = json_loadb(r->calls[i].args.p, r->calls[i].args.n, 0, NULL);
        expect(!strcmp(name, r->calls[i].name), "call %zu: expected %s, got %s", i, name, r->calls[i].name);
        expect(json_equal(json_object_get(want, "args"), args), "call %zu: arguments are %.*s", i, (int)r->calls[i].args.n, r->calls[i].args.p);
        expect(!source || !strcmp(source, sources[r->calls[i].source]), "call %zu: source is %s", i, sources[r->calls[i].source]);
    }
    const char *finish = json_string_value(json_object_get(turn, "finish"));
    expect(!finish || !strcmp(finish, finishes[r->finish]), "finish is %s", finishes[r->finish]);
    check_span(turn, "text", r->text);
    check_span(turn, "reasoning", r->reasoning);
    check_span(turn, "shown", buf_span(&shown->text));
    check_number(turn, "repairs", r->repairs);
    check_number(turn, "retries", r->retries);
    check_number(turn, "prompt_tokens", r->usage.prompt_tokens);
    check_number(turn, "cached_tokens", r->usage.cached_tokens);
}

/* Bytes that two requests share from the start; the closing bytes of the first are all that may differ. */
static void check_prefix(const json_t *requests, const char *closing)
{
    for (size_t i = 0; i + 1 < json_array_size(requests); i++) {
        const char *a = json_string_value(json_object_get(json_array_get(requests, i), "body"));
        const char *b = json_string_value(json_object_get(json_array_get(requests, i + 1), "body"));
        size_t n = 0;
        while (a[n] && a[n] == b[n])
            n++;
        const char *end = strstr(a + (n > 64 ? n - 64 : 0), closing);
        expect(end && strlen(a + n) <= strlen(end) + 48, "request %zu departs from the one before at byte %zu of %zu: ...%.60s", i + 2, n, strlen(a), a + n);
    }
}

static void check_sent(const json_t *requests, const json_t *sent)
{
    size_t i, k;
    json_t *row, *text;
    json_array_foreach(sent, i, row) {
        int64_t n = json_integer_value(json_object_get(row, "n"));
        const json_t *request = json_array_get(requests, (size_t)(n > 0 ? n - 1 : (int64_t)json_array_size(requests) + n));
        const char *body = json_string_value(json_object_get(request, "body"));
        expect(body, "request %lld was not sent", (long long)n);
        json_array_foreach(json_object_get(row, "has"), k, text)
            expect(strstr(body, json_string_value(text)), "request %lld does not contain '%s': ...%s", (long long)n, json_string_value(text),
                   strlen(body) > 700 ? body + strlen(body) - 700 : body);
        json_array_foreach(json_object_get(row, "lacks"), k, text)
            expect(!strstr(body, json_string_value(text)), "request %lld contains '%s'", (long long)n, json_string_value(text));
    }
}

static int64_t option(const json_t *c, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(c, "options"), name));
}

static void run_case(struct loop *loop, const json_t *c)
{
    struct err e = ERR_INIT;
    struct scripted s;
    scripted_start(&s, loop, json_object_get(c, "server"), json_is_true(json_object_get(c, "unix")));
    const char *dialect = json_string_value(json_object_get(json_object_get(c, "options"), "dialect"));
    struct endpoint_spec spec = { .name = "scripted", .url = s.url, .dialect = dialect };
    struct endpoint *ep;
    assert_ok(endpoint_create(&spec, &ep, &e), &e);
    assert_ok(endpoint_look(loop, ep, 5000, NULL, &e), &e);
    bool no_tools = option(c, "no_tools");
    struct chat_options o = { .instructions = SPAN("You are a coding agent."), .tools = tools, .ntools = no_tools ? 0 : COUNT_OF(tools), .max_tokens = option(c, "max_tokens"),
                              .max_repairs = (int)option(c, "max_repairs"), .max_retries = (int)option(c, "max_retries"), .stall_ms = option(c, "stall_ms"),
                              .first_byte_ms = option(c, "first_byte_ms"), .wait_ms = option(c, "wait_ms") };
    struct chat *chat;
    assert_ok(chat_create(loop, ep, &o, &chat, &e), &e);
    const char *user = json_string_value(json_object_get(c, "user"));
    assert_ok(chat_add_user(chat, span_of(user ? user : "Do it."), &e), &e);
    size_t i;
    json_t *turn;
    json_array_foreach(json_object_get(c, "turns"), i, turn) {
        AUTO(arena) struct arena a = ARENA_INIT(64u << 20);
        struct shown shown = { BUF_INIT(1 << 20), BUF_INIT(1 << 20), BUF_INIT(1 << 16) };
        struct chat_events ev = { .ctx = &shown, .on_text = on_text, .on_reasoning = on_reasoning, .on_retry = on_retry };
        struct reply r;
        int rc = chat_reply(chat, &ev, NULL, &a, &r, &e);
        check_turn(turn, rc, &r, &shown, &e);
        for (size_t k = 0; k < r.ncalls; k++) {
            char done[80];
            snprintf(done, sizeof done, "done: %s", r.calls[k].name);
            assert_ok(chat_add_tool_result(chat, r.calls[k].id, span_of(done), true, &e), &e);
        }
        if (rc >= 0 && !r.ncalls)
            assert_ok(chat_add_user(chat, SPAN("next"), &e), &e);
        buf_finish(&shown.text);
        buf_finish(&shown.reasoning);
        buf_finish(&shown.why);
    }
    struct chat_stats stats = chat_stats(chat);
    expect(stats.prefix_breaks == 0, "%lld requests broke the prefix", (long long)stats.prefix_breaks);
    chat_destroy(chat);
    endpoint_destroy(ep);
    int64_t least = json_integer_value(json_object_get(c, "requests")); /* libcurl may have sent one again by itself */
    AUTO(json) json_t *requests = scripted_requests(&s, true, (size_t)(least > stats.requests ? least : stats.requests));
    size_t n = json_array_size(requests);
    check_number(c, "requests", (int64_t)n);
    for (i = 0; i < n; i++) {
        AUTO(json) json_t *body = json_loads(json_string_value(json_object_get(json_array_get(requests, i), "body")), 0, NULL);
        expect(json_is_object(body), "request %zu is not valid JSON", i + 1);
    }
    if (!json_is_true(json_object_get(c, "rebuilt")))
        check_prefix(requests, "],\"max_");
    check_sent(requests, json_object_get(c, "sent"));
    scripted_stop(&s);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void one_case(void **state)
{
    struct err e = ERR_INIT;
    char path[512];
    name_of_case = *state;
    snprintf(path, sizeof path, "%s/%s", MODEL_CASES, name_of_case);
    json_error_t why;
    AUTO(json) json_t *c = json_load_file(path, 0, &why);
    if (!c)
        fail_msg("%s:%d: %s", name_of_case, why.line, why.text);
    struct loop *loop;
    assert_ok(loop_create(&loop, &e), &e);
    run_case(loop, c);
    loop_destroy(loop);
}

int main(void)
{
    struct dirent **names;
    int n = scandir(MODEL_CASES, &names, NULL, by_name);
    const char *only = getenv("CASE");
    struct CMUnitTest *tests = calloc((size_t)(n > 0 ? n : 1), sizeof *tests);
    size_t count = 0;
    for (int i = 0; tests && i < n; i++)
        if (span_ends(span_of(names[i]->d_name), ".json") && (!only || strstr(names[i]->d_name, only)))
            tests[count++] = (struct CMUnitTest){ names[i]->d_name, one_case, NULL, NULL, names[i]->d_name };
    int rc = count ? _cmocka_run_group_tests("model cases", tests, count, NULL, NULL) : 1;
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    free(tests);
    return rc;
}
