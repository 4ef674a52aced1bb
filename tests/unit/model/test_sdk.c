/*
 * What the official client packages send and understand: tests/golden/model-sdk holds requests captured
 * from them, the streams that they read, and what they made of those streams. Our requests hold the same
 * tools and messages; our readers come to the same reply, at every split.
 */
#include <dirent.h>
#include <jansson.h>

#include "support/test.h"

#include "base/bind.h"
#include "base/mem.h"
#include "model/dialect.h"
#include "model/sse.h"

static int on_event(void *ctx, struct span name, struct span data, struct err *e)
{
    const struct dialect *d = ((void **)ctx)[0];
    return d->event(((void **)ctx)[1], name, data, e);
}

static void read_response(const char *file, const struct dialect *d, const json_t *c, size_t step)
{
    struct err e = ERR_INIT;
    struct collect got;
    void *ctx[2] = { (void *)(uintptr_t)d, &got };
    struct sse s;
    struct span in = json_span(json_object_get(c, "response"));
    const json_t *want = json_object_get(c, "understood");
    collect_init(&got, NULL);
    sse_init(&s, 1 << 20, on_event, ctx);
    for (size_t at = 0; at < in.n; at += step)
        assert_ok(sse_feed(&s, span_sub(in, at, step), &e), &e);
    assert_ok(sse_end(&s, &e), &e);
    assert_true(got.finished && got.ended && !got.failed);
    const json_t *text = json_object_get(want, "text");
    if (!span_eq(buf_span(&got.text), json_span(text)))
        fail_msg("%s: text '%s'", file, buf_str(&got.text));
    if (json_object_get(want, "reasoning"))
        assert_true(span_eq(buf_span(&got.reasoning), json_span(json_object_get(want, "reasoning"))));
    const json_t *calls = json_object_get(want, "calls");
    assert_int_equal(got.ncalls, json_array_size(calls));
    for (size_t i = 0; i < got.ncalls; i++) {
        const json_t *k = json_array_get(calls, i);
        AUTO(json) json_t *ours = json_loads(buf_str(&got.calls[i].args), 0, NULL);
        AUTO(json) json_t *theirs = json_loads(json_string_value(json_object_get(k, "args")), 0, NULL);
        assert_string_equal(got.calls[i].id, json_string_value(json_object_get(k, "id")));
        assert_string_equal(got.calls[i].name, json_string_value(json_object_get(k, "name")));
        assert_true(ours && json_equal(ours, theirs));
    }
    const json_t *usage = json_object_get(want, "usage");
    int64_t prompt = json_count(usage, "prompt_tokens", json_count(usage, "input_tokens", -1));
    assert_int_equal(got.usage.prompt_tokens, prompt);
    sse_finish(&s);
    collect_finish(&got);
}

/* The members that both requests must agree upon, without what only marks the cache. */
static void drop_cache_marks(json_t *j)
{
    size_t i;
    json_t *v;
    const char *key;
    json_object_del(j, "cache_control");
    json_array_foreach(j, i, v)
        drop_cache_marks(v);
    json_object_foreach(j, key, v)
        drop_cache_marks(v);
}

static void write_request(const char *file, const struct dialect *d, const json_t *c)
{
    static const struct tool_schema tool = { "read", "Read a file.",
                                             SPAN("{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"from\":{\"type\":\"integer\"}},\"required\":[\"path\"]}") };
    static const struct said_call call = { SPAN("call_1"), SPAN("read"), SPAN("{\"path\":\"x.c\"}") };
    const struct message messages[] = {
        { .role = MESSAGE_USER, .text = SPAN("Fix \"it\"\n.") },
        { .role = MESSAGE_ASSISTANT, .text = SPAN("Reading."), .calls = &call, .ncalls = 1 },
        { .role = MESSAGE_RESULT, .text = SPAN("int x;\n"), .call_id = SPAN("call_1"), .ok = true },
    };
    struct behaviour how = { .stream_usage = true, .tools = true };
    struct sampling calm = { .temperature = 0, .seed = -1, .top_k = -1 };
    struct wire w = { .bytes = BUF_INIT(1 << 16), .behaviour = &how };
    struct head h = { .model = "test-model", .instructions = SPAN("You are a coding agent."), .tools = &tool, .ntools = 1, .sampling = &calm, .behaviour = &how };
    assert_true(d->head(&w, &h));
    for (size_t i = 0; i < COUNT_OF(messages); i++)
        assert_true(d->add(&w, &messages[i]));
    AUTO(buf) struct buf whole = BUF_INIT(1 << 16);
    buf_add_span(&whole, buf_span(&w.bytes));
    struct closing closing = { .max_tokens = 4096 };
    assert_true(d->close(&w, &closing, &whole));
    AUTO(json) json_t *ours = json_loads(buf_str(&whole), 0, NULL);
    AUTO(json) json_t *theirs = json_loads(json_string_value(json_object_get(c, "request")), 0, NULL);
    drop_cache_marks(ours);
    static const char *const same[] = { "model", "tools", "messages", "system", "max_tokens", "stream", "stream_options" };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        const json_t *a = json_object_get(ours, same[i]), *b = json_object_get(theirs, same[i]);
        if ((a || b) && !json_equal(a, b))
            fail_msg("%s: %s differs: %s", file, same[i], buf_str(&whole));
    }
    /* and back */
    AUTO(arena) struct arena arena = ARENA_INIT(1 << 20);
    struct message *m;
    struct err e = ERR_INIT;
    size_t n;
    int open;
    assert_ok(d->read(buf_span(&w.bytes), &arena, &m, &n, &open, &e), &e);
    assert_int_equal(n, 3);
    assert_int_equal(open, w.open);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(m[i].role, messages[i].role);
        assert_true(span_eq(m[i].text, messages[i].text));
    }
    assert_true(span_eq(m[1].calls[0].args, call.args));
    buf_finish(&w.bytes);
}

static void captures__mean_the_same_to_us(void **state)
{
    (void)state;
    struct dirent *entry;
    DIR *dir = opendir(SDK_CAPTURES);
    size_t n = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        if (!span_ends(span_of(entry->d_name), ".json"))
            continue;
        char path[512];
        snprintf(path, sizeof path, "%s/%s", SDK_CAPTURES, entry->d_name);
        AUTO(json) json_t *c = json_load_file(path, 0, NULL);
        assert_non_null(c);
        const struct dialect *d = dialect_find(json_string_value(json_object_get(c, "dialect")));
        static const size_t steps[] = { 1, 2, 3, 7, 64, 1 << 20 };
        for (size_t i = 0; i < COUNT_OF(steps); i++)
            read_response(entry->d_name, d, c, steps[i]);
        write_request(entry->d_name, d, c);
        n++;
    }
    closedir(dir);
    assert_int_equal(n, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(captures__mean_the_same_to_us) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
