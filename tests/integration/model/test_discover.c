/* Finding endpoints: order of sources, what servers of each kind say of themselves, what is wrong with those that are not ready. */
#include <jansson.h>

#include "scripted.h"
#include "support/test.h"

#include "base/clock.h"
#include "base/mem.h"
#include "model/endpoint.h"
#include "model/probe.h"

static const char *const empty_env[] = { NULL };

static void start(struct scripted *s, struct loop **loop, const char *script)
{
    struct err e = ERR_INIT;
    AUTO(json) json_t *j = json_loads(script, 0, NULL);
    assert_non_null(j);
    if (!*loop)
        assert_ok(loop_create(loop, &e), &e);
    scripted_start(s, *loop, j, false);
}

static void kinds__say_what_they_are(void **state)
{
    static const struct {
        const char *script;
        enum server_kind kind;
        const char *version;
    } rows[] = {
        { "{\"kind\":\"llama-server\",\"context\":16384}", SERVER_LLAMA, "b9999-test" },
        { "{\"kind\":\"ollama\",\"context\":16384}", SERVER_OLLAMA, "0.20.1" },
        { "{\"kind\":\"lm-studio\",\"context\":16384}", SERVER_LMSTUDIO, "" },
        { "{\"kind\":\"vllm\",\"context\":16384}", SERVER_VLLM, "0.21.0" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scripted s;
        struct loop *loop = NULL;
        struct err e = ERR_INIT;
        start(&s, &loop, rows[i].script);
        struct discover_options o = { .chosen = s.url, .env = empty_env, .no_ports = true };
        struct endpoints *all;
        assert_ok(endpoints_discover(loop, &o, NULL, &all, &e), &e);
        struct endpoint *ep = endpoints_first(all);
        assert_int_equal(ep->server, rows[i].kind);
        assert_string_equal(ep->version, rows[i].version);
        assert_string_equal(ep->model, "test-model");
        assert_int_equal(ep->context_tokens, 16384);
        assert_true(ep->local);
        assert_string_equal(ep->source, "option");
        assert_string_equal(ep->name, server_kind_name(rows[i].kind));
        endpoints_destroy(all);
        scripted_stop(&s);
        loop_destroy(loop);
    }
}

static void order__option_then_environment_then_configuration(void **state)
{
    (void)state;
    struct scripted a, b;
    struct loop *loop = NULL;
    struct err e = ERR_INIT;
    start(&a, &loop, "{}");
    start(&b, &loop, "{}");
    char env[200];
    snprintf(env, sizeof env, "STEAD_ENDPOINT=%s", b.url);
    const char *const with[] = { env, NULL };
    struct endpoint_spec conf = { .name = "desk", .url = a.url };
    struct endpoints *all;
    struct discover_options o = { .chosen = "desk", .configured = &conf, .nconfigured = 1, .env = with, .no_ports = true };
    assert_ok(endpoints_discover(loop, &o, NULL, &all, &e), &e);
    assert_string_equal(endpoints_first(all)->name, "desk");
    assert_int_equal(all->len, 1);
    endpoints_destroy(all);
    o.chosen = NULL;
    assert_ok(endpoints_discover(loop, &o, NULL, &all, &e), &e);
    assert_string_equal(endpoints_first(all)->url, b.url);
    assert_string_equal(endpoints_first(all)->source, "STEAD_ENDPOINT");
    endpoints_destroy(all);
    o.env = empty_env;
    assert_ok(endpoints_discover(loop, &o, NULL, &all, &e), &e);
    assert_string_equal(endpoints_first(all)->source, "configuration");
    endpoints_destroy(all);
    o.chosen = "laptop";
    assert_int_equal(endpoints_discover(loop, &o, NULL, &all, &e), -ERR_NOT_FOUND);
    assert_contains(e.hint, "desk");
    scripted_stop(&a);
    scripted_stop(&b);
    loop_destroy(loop);
}

static void trouble__is_named_with_its_remedy(void **state)
{
    static const struct {
        const char *script, *model;
        enum endpoint_state is;
        const char *problem, *remedy;
    } rows[] = {
        { "{\"routes\":{\"GET /v1/models\":{\"status\":401,\"json\":{\"error\":{\"message\":\"no\"}}}}}", NULL, ENDPOINT_REFUSED, "wants a key", "STEAD_API_KEY" },
        { "{\"routes\":{\"GET /v1/models\":{\"status\":503,\"json\":{\"error\":{\"message\":\"Loading model\"}}}}}", NULL, ENDPOINT_LOADING, "loading", "wait" },
        { "{\"routes\":{\"GET /v1/models\":{\"json\":{\"data\":[]}}}}", NULL, ENDPOINT_NO_MODEL, "has no model", "load a model" },
        { "{\"routes\":{\"GET /v1/models\":{\"text\":\"<html>hello\",\"type\":\"text/html\"}}}", NULL, ENDPOINT_DOWN, "not a model server", "check the address" },
        { "{}", "gpt-9", ENDPOINT_NO_MODEL, "does not have 'gpt-9'", "name one" },
        { "{\"routes\":{\"GET /v1/models\":{\"json\":{\"data\":[{\"id\":\"nomic-embed-text\"}]}}}}", NULL, ENDPOINT_NO_MODEL, "embedding", "load a chat model" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scripted s;
        struct loop *loop = NULL;
        struct err e = ERR_INIT;
        start(&s, &loop, rows[i].script);
        struct endpoint_spec spec = { .url = s.url, .model = rows[i].model };
        struct endpoint *ep;
        assert_ok(endpoint_create(&spec, &ep, &e), &e);
        assert_ok(endpoint_look(loop, ep, 3000, NULL, &e), &e);
        if (ep->state != rows[i].is)
            fail_msg("row %zu: state %s (%s)", i, endpoint_state_name(ep->state), ep->problem);
        assert_contains(ep->problem, rows[i].problem);
        assert_contains(ep->remedy, rows[i].remedy);
        endpoint_destroy(ep);
        scripted_stop(&s);
        loop_destroy(loop);
    }
}

static void saw_loading(void *ctx, const struct endpoint *ep)
{
    (void)ep;
    ++*(int *)ctx;
}

/* llama-server answers /v1/models while /props says 503: what it is shows only when it has loaded. */
static void loading__is_waited_for_until_it_knows_itself(void **state)
{
    (void)state;
    struct scripted s;
    struct loop *loop = NULL;
    struct err e = ERR_INIT;
    struct endpoints *all = NULL;
    int said = 0;
    start(&s, &loop, "{\"template\":\"<tool_call> of its own\",\"context\":4242,\"refuse\":[{\"path\":\"/props\",\"times\":3,\"status\":503,"
                     "\"json\":{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}}]}");
    static const char *const env[] = { NULL };
    struct discover_options o = { .chosen = s.url, .no_ports = true, .env = env };
    assert_int_equal(endpoints_discover(loop, &o, NULL, &all, &e), -ERR_UNAVAILABLE); /* nobody asked to wait */
    assert_contains(e.text, "loading its model");
    assert_int_equal(all->items[0]->state, ENDPOINT_LOADING);
    endpoints_destroy(all);
    o.loading_ms = 20000;
    o.on_loading = saw_loading;
    o.ctx = &said;
    assert_ok(endpoints_discover(loop, &o, NULL, &all, &e), &e);
    assert_int_equal(said, 1);
    assert_int_equal(all->items[0]->state, ENDPOINT_READY);
    assert_int_equal(all->items[0]->context_tokens, 4242);
    assert_string_equal(all->items[0]->chat_template, "<tool_call> of its own");
    assert_non_null(all->items[0]->profile);
    endpoints_destroy(all);
    scripted_stop(&s);
    loop_destroy(loop);
}

static void hosted__wants_a_model_to_be_named(void **state)
{
    (void)state;
    struct scripted s;
    struct loop *loop = NULL;
    struct err e = ERR_INIT;
    start(&s, &loop, "{\"routes\":{\"GET /v1/models\":{\"json\":{\"data\":[{\"id\":\"dear\"},{\"id\":\"cheap\"}]}}}}");
    struct endpoint_spec spec = { .url = s.url, .locality = "hosted" };
    struct endpoint *ep;
    assert_ok(endpoint_create(&spec, &ep, &e), &e);
    assert_ok(endpoint_look(loop, ep, 3000, NULL, &e), &e);
    assert_int_equal(ep->state, ENDPOINT_NO_MODEL);
    assert_contains(ep->problem, "none is chosen");
    endpoint_destroy(ep);
    spec.model = "cheap";
    assert_ok(endpoint_create(&spec, &ep, &e), &e);
    assert_ok(endpoint_look(loop, ep, 3000, NULL, &e), &e);
    assert_int_equal(ep->state, ENDPOINT_READY);
    assert_string_equal(ep->model, "cheap");
    assert_false(ep->local);
    endpoint_destroy(ep);
    scripted_stop(&s);
    loop_destroy(loop);
}

static void dead_ports__cost_little(void **state)
{
    (void)state;
    struct loop *loop;
    struct err e = ERR_INIT;
    assert_ok(loop_create(&loop, &e), &e);
    struct endpoint_spec dead[3] = { { .name = "a", .url = "http://127.0.0.1:1" }, { .name = "b", .url = "unix:///nonexistent.sock" }, { .name = "c", .url = "http://[::1]:2" } };
    struct discover_options o = { .configured = dead, .nconfigured = 3, .env = empty_env, .no_ports = true };
    struct endpoints *all = NULL;
    int64_t begun = clock_ms();
    assert_int_equal(endpoints_discover(loop, &o, NULL, &all, &e), -ERR_UNAVAILABLE);
    assert_true(clock_ms() - begun < 4000); /* none of them waits as long as a connection may take */
    assert_int_equal(all->len, 3);
    assert_contains(e.text, "nobody answers");
    endpoints_destroy(all);
    loop_destroy(loop);
}

static void ollama__context_of_the_loaded_model_counts(void **state)
{
    (void)state;
    struct scripted s;
    struct loop *loop = NULL;
    struct err e = ERR_INIT;
    start(&s, &loop, "{\"kind\":\"ollama\",\"context\":4096,\"repeat\":true,\"replies\":[{\"text\":\"OK.\"}]}");
    struct endpoint_spec spec = { .url = s.url };
    struct endpoint *ep;
    assert_ok(endpoint_create(&spec, &ep, &e), &e);
    assert_ok(probe_run(loop, ep, &(struct probe_options){ .quick = true }, NULL, NULL, &e), &e);
    AUTO(buf) struct buf report = BUF_INIT(1 << 16);
    assert_true(probe_report(ep, &report));
    assert_contains(buf_str(&report), "4096 tokens");
    assert_contains(buf_str(&report), "OLLAMA_CONTEXT_LENGTH");
    endpoint_destroy(ep);
    scripted_stop(&s);
    loop_destroy(loop);
}

static void probe__finds_a_server_that_cuts_prompts(void **state)
{
    (void)state;
    struct scripted s;
    struct loop *loop = NULL;
    struct err e = ERR_INIT;
    start(&s, &loop, "{\"kind\":\"ollama\",\"context\":32768,\"repeat\":true,\"replies\":[{\"text\":\"OK.\",\"usage\":{\"prompt_tokens\":900,\"completion_tokens\":2}}]}");
    struct endpoint_spec spec = { .url = s.url };
    struct endpoint *ep;
    assert_ok(endpoint_create(&spec, &ep, &e), &e);
    assert_ok(probe_run(loop, ep, &(struct probe_options){ .quick = true }, NULL, NULL, &e), &e);
    AUTO(buf) struct buf report = BUF_INIT(1 << 16);
    assert_true(probe_report(ep, &report));
    assert_contains(buf_str(&report), "without saying so");
    assert_int_equal(ep->profile->context_tokens, 900);
    endpoint_destroy(ep);
    scripted_stop(&s);
    loop_destroy(loop);
}

static void probe__is_kept_and_read_again(void **state)
{
    (void)state;
    struct scripted s;
    struct loop *loop = NULL;
    struct err e = ERR_INIT;
    char *dir = scratch_make();
    start(&s, &loop, "{\"repeat\":true,\"replies\":[{\"text\":\"OK.\"}],\"refuse\":[{\"has\":\"stream_options\",\"status\":400,\"json\":{\"error\":{\"message\":\"unknown field stream_options\"}}}]}");
    struct endpoint_spec spec = { .url = s.url };
    struct endpoint *ep, *again;
    assert_ok(endpoint_create(&spec, &ep, &e), &e);
    assert_ok(probe_run(loop, ep, NULL, NULL, NULL, &e), &e);
    assert_false(ep->profile->behaviour.stream_usage);
    assert_ok(profile_save(ep, ep->profile, dir, &e), &e);
    struct discover_options o = { .chosen = s.url, .env = empty_env, .no_ports = true, .profile_dir = dir };
    struct endpoints *all;
    assert_ok(endpoints_discover(loop, &o, NULL, &all, &e), &e);
    again = endpoints_first(all);
    assert_int_equal(again->profile->probed_unix_ms, ep->profile->probed_unix_ms);
    assert_false(again->profile->behaviour.stream_usage);
    assert_int_equal(again->profile->checks.len, ep->profile->checks.len);
    endpoints_destroy(all);
    endpoint_destroy(ep);
    scripted_stop(&s);
    loop_destroy(loop);
    scratch_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds__say_what_they_are),
        cmocka_unit_test(order__option_then_environment_then_configuration),
        cmocka_unit_test(trouble__is_named_with_its_remedy),
        cmocka_unit_test(loading__is_waited_for_until_it_knows_itself),
        cmocka_unit_test(hosted__wants_a_model_to_be_named),
        cmocka_unit_test(dead_ports__cost_little),
        cmocka_unit_test(ollama__context_of_the_loaded_model_counts),
        cmocka_unit_test(probe__finds_a_server_that_cuts_prompts),
        cmocka_unit_test(probe__is_kept_and_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
