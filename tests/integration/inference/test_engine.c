/*
 * The real engine with made models: what it answers, what it keeps in its cache, how it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bind.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/path.h"
#include "gguf-make.h"
#include "inference/locate.h"
#include "inference/supervisor.h"
#include "model/http.h"
#include "model/url.h"

#define WAIT_MS 30000

static char dir[] = "/tmp/stead-eng-XXXXXX";
static struct loop *loop;
static struct engine_address at;

/* --- helpers ---------------------------------------------------------------------------------- */

static const char *model_path(const char *name)
{
    static char path[96];
    (void)snprintf(path, sizeof path, "%s/%s.gguf", dir, name);
    return path;
}

static void start_with(const char *name, int slots, int64_t ctx)
{
    struct err e = ERR_INIT;
    char run[96];
    (void)snprintf(run, sizeof run, "%s/run", dir);
    struct engine_options o = { .dir = run, .model = model_path(name), .slots = slots, .ctx_tokens = ctx, .threads = 1, .idle_ms = 60000 };
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &at, &e) < 0)
        fail_msg("%s", e.text);
}

static void stop_it(void)
{
    struct err e = ERR_INIT;
    assert_int_equal(engine_stop(loop, &at, &e), 1);
}

static int ask(const char *path, const char *body, struct buf *out)
{
    struct err e = ERR_INIT;
    struct url u;
    struct http *h;
    assert_int_equal(url_parse(at.url, &u, &e), 0);
    assert_int_equal(http_create(loop, &u, &h, &e), 0);
    struct span piece = span_of(body);
    struct http_request q = { .path = path, .body = body ? &piece : NULL, .nbody = body ? 1 : 0 };
    buf_reset(out);
    int status = http_fetch(h, &q, 16u << 20, clock_ms() + WAIT_MS, NULL, out, &e);
    if (status < 0)
        fail_msg("%s: %s", path, e.text);
    http_destroy(h);
    return status;
}

static json_t *ask_json(const char *path, const char *body, int want)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf out = BUF_INIT(20u << 20);
    json_t *j = NULL;
    int status = ask(path, body, &out);
    if (status != want)
        fail_msg("%s: %d %s", path, status, buf_str(&out));
    assert_int_equal(json_parse(buf_span(&out), BIND_TOLERANT, &j, &e), 0);
    return j;
}

/* "a.b.0.c" below j; NULL when absent. */
static const json_t *dig(const json_t *j, const char *path)
{
    struct span rest = span_of(path), part;
    while (j && span_split(&rest, '.', &part)) {
        struct err ignored = ERR_INIT;
        char name[64];
        int64_t i;
        (void)snprintf(name, sizeof name, "%.*s", (int)part.n, part.p);
        j = json_is_array(j) && parse_i64(part, 0, 1000, &i, &ignored) == 0 ? json_array_get(j, (size_t)i) : json_object_get(j, name);
    }
    return j;
}

static int64_t number(const json_t *j, const char *path)
{
    const json_t *v = dig(j, path);
    assert_true(json_is_number(v));
    return (int64_t)json_number_value(v);
}

static const char *text(const json_t *j, const char *path)
{
    const char *s = json_string_value(dig(j, path));
    return s ? s : "";
}

static const char tools[] = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"read\",\"description\":\"read a file\",\"parameters\":"
                            "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\",\"maxLength\":12},\"from\":{\"type\":\"integer\"}},"
                            "\"required\":[\"path\"],\"additionalProperties\":false}}}]";

/* As LFM2's: calls are not written down at all, so that llama.cpp takes it for one that knows no parallel calls. */
static const char lfm2_template[] =
    "{%- if tools %}{{- '<|im_start|>system\n<|tool_list_start|>[' }}{%- for t in tools %}{{- t | tojson }}{%- endfor %}"
    "{{- ']<|tool_list_end|><|im_end|>\n' }}{%- endif %}{%- for m in messages %}{{- '<|im_start|>' + m.role + '\n' + m.content + "
    "'<|im_end|>\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}";

static int set_up(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    if (!mkdtemp(dir) || loop_create(&loop, &e) < 0)
        return -1;
    static const char *const says[] = { "Let me look.", "\n<tool_call>\n", "{\"name\": \"read\", \"arguments\": {\"path\": \"a.c\"", ", \"from\": 3}}",
                                        "\n</tool_call>" };
    struct gguf_make chain = GGUF_MAKE_LLAMA;
    chain.embd = chain.vocab = 320, chain.head_dim = 80, chain.chain = says, chain.nchain = COUNT_OF(says);
    static const char *const breaks[] = { "<tool_call>\n{\"na", "ughty\": \"read\", \"arguments\"", ", and so on" };
    struct gguf_make broken = chain, two = chain;
    broken.chain = breaks, broken.nchain = COUNT_OF(breaks);
    static const char *const both[] = { "<|tool_call_start|>[read(path=\"a.c\"), read(path=\"b.c\")]<|tool_call_end|>" };
    two.chain = both, two.nchain = COUNT_OF(both), two.chat_template = lfm2_template;
    if (gguf_make(&broken, model_path("broken"), &e) < 0 || gguf_make(&two, model_path("two"), &e) < 0)
        return -1;
    struct gguf_make dense = GGUF_MAKE_LLAMA, window = GGUF_MAKE_LLAMA, hybrid = GGUF_MAKE_LLAMA, slow = GGUF_MAKE_LLAMA;
    window.arch = "gemma3", window.layers = 6, window.window = 64;
    hybrid.arch = "qwen35", hybrid.layers = 4;
    slow.layers = 8, slow.embd = 512, slow.heads = 8, slow.head_dim = 64, slow.ff = 2048, slow.ctx = 16384;
    return gguf_make(&chain, model_path("chain"), &e) < 0 || gguf_make(&dense, model_path("dense"), &e) < 0 ||
                   gguf_make(&window, model_path("window"), &e) < 0 || gguf_make(&hybrid, model_path("hybrid"), &e) < 0 ||
                   gguf_make(&slow, model_path("slow"), &e) < 0
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    struct err e = ERR_INIT;
    (void)state;
    loop_destroy(loop);
    return path_remove_tree(AT_FDCWD, dir, &e);
}

/* --- answers ------------------------------------------------------------------------------------- */

static void engine__says_what_it_is(void **state)
{
    (void)state;
    start_with("chain", 2, 4096);
    AUTO(json) json_t *health = ask_json("/health", NULL, 200);
    assert_string_equal(text(health, "status"), "ok");
    AUTO(json) json_t *models = ask_json("/v1/models", NULL, 200);
    assert_string_equal(text(models, "data.0.id"), "chain.gguf");
    assert_int_equal(number(models, "data.0.meta.n_ctx"), 4096);
    AUTO(json) json_t *props = ask_json("/props", NULL, 200);
    assert_int_equal(number(props, "default_generation_settings.n_ctx"), 4096);
    assert_int_equal(number(props, "total_slots"), 2);
    assert_string_equal(text(props, "chat_template"), gguf_make_template);
    AUTO(json) json_t *tokens = ask_json("/tokenize", "{\"content\":\"a<tool_call>\"}", 200);
    assert_int_equal(json_array_size(dig(tokens, "tokens")), 2);
    AUTO(json) json_t *applied = ask_json("/apply-template", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 200);
    assert_string_equal(text(applied, "prompt"), "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n");
    AUTO(json) json_t *none = ask_json("/nothing", NULL, 404);
    assert_string_equal(text(none, "error.type"), "not_found_error");
    stop_it();
}

static void engine__parses_tool_calls(void **state)
{
    (void)state;
    start_with("chain", 2, 4096);
    AUTO(buf) struct buf body = BUF_INIT(8192);
    buf_addf(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"fix it\"}],%s}", tools);
    AUTO(json) json_t *j = ask_json("/v1/chat/completions", buf_str(&body), 200);
    assert_string_equal(text(j, "choices.0.finish_reason"), "tool_calls");
    assert_string_equal(text(j, "choices.0.message.tool_calls.0.function.name"), "read");
    assert_string_equal(text(j, "choices.0.message.tool_calls.0.function.arguments"), "{\"path\": \"a.c\", \"from\": 3}");
    assert_true(strncmp(text(j, "choices.0.message.content"), "Let me look.", 12) == 0);
    assert_int_equal(number(j, "usage.completion_tokens"), 6);
    assert_int_equal(number(j, "usage.prompt_tokens"), number(j, "timings.cache_n") + number(j, "timings.prompt_n"));

    /* without tools the same words are only words */
    AUTO(json) json_t *plain = ask_json("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"fix it\"}]}", 200);
    assert_string_equal(text(plain, "choices.0.finish_reason"), "stop");
    assert_non_null(strstr(text(plain, "choices.0.message.content"), "<tool_call>"));
    stop_it();
}

struct stream {
    struct buf content, args;
    char name[32], finish[32];
    int chunks, progress, done;
    int64_t total, cached, usage_prompt, usage_cached;
};

static void read_stream(struct span body, struct stream *s)
{
    struct span line;
    *s = (struct stream){ .content = BUF_INIT(1 << 20), .args = BUF_INIT(1 << 20) };
    while (span_line(&body, &line)) {
        struct err e = ERR_INIT;
        AUTO(json) json_t *j = NULL;
        if (!line.n)
            continue;
        assert_true(span_starts(line, "data: "));
        struct span data = span_sub(line, 6, line.n);
        assert_false(s->done);
        if (span_eqs(data, "[DONE]")) {
            s->done = 1;
            continue;
        }
        assert_int_equal(json_parse(data, BIND_TOLERANT, &j, &e), 0);
        s->chunks++;
        buf_adds(&s->content, text(j, "choices.0.delta.content"));
        buf_adds(&s->args, text(j, "choices.0.delta.tool_calls.0.function.arguments"));
        if (text(j, "choices.0.delta.tool_calls.0.function.name")[0])
            (void)snprintf(s->name, sizeof s->name, "%s", text(j, "choices.0.delta.tool_calls.0.function.name"));
        if (text(j, "choices.0.finish_reason")[0])
            (void)snprintf(s->finish, sizeof s->finish, "%s", text(j, "choices.0.finish_reason"));
        if (dig(j, "prompt_progress")) {
            s->progress++;
            s->total = number(j, "prompt_progress.total");
            s->cached = number(j, "prompt_progress.cache");
            assert_true(number(j, "prompt_progress.processed") >= s->cached && number(j, "prompt_progress.processed") <= s->total);
        }
        if (dig(j, "usage")) {
            s->usage_prompt = number(j, "usage.prompt_tokens");
            s->usage_cached = number(j, "usage.prompt_tokens_details.cached_tokens");
        }
    }
}

static void stream_finish(struct stream *s)
{
    buf_finish(&s->content);
    buf_finish(&s->args);
}

static void engine__streams_deltas_progress_and_usage(void **state)
{
    (void)state;
    start_with("chain", 2, 4096);
    AUTO(buf) struct buf body = BUF_INIT(8192);
    AUTO(buf) struct buf out = BUF_INIT(20u << 20);
    buf_addf(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"fix it\"}],\"stream\":true,\"return_progress\":true,"
                    "\"stream_options\":{\"include_usage\":true},%s}", tools);
    assert_int_equal(ask("/v1/chat/completions", buf_str(&body), &out), 200);
    struct stream s;
    read_stream(buf_span(&out), &s);
    assert_true(s.done);
    assert_string_equal(s.name, "read");
    assert_string_equal(buf_str(&s.args), "{\"path\": \"a.c\", \"from\": 3}");
    assert_true(span_starts(buf_span(&s.content), "Let me look."));
    assert_string_equal(s.finish, "tool_calls");
    assert_true(s.progress >= 2);
    assert_int_equal(s.total, s.usage_prompt);
    stream_finish(&s);
    stop_it();
}

/* Nothing of a reply is lost when what looked like a call turns out to be none: who reads along gets it as it is. */
static void engine__streams_what_it_held_back_for_a_call(void **state)
{
    (void)state;
    start_with("broken", 1, 4096);
    AUTO(buf) struct buf body = BUF_INIT(8192);
    AUTO(buf) struct buf out = BUF_INIT(20u << 20);
    buf_addf(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"fix it\"}],\"stream\":true,%s}", tools);
    assert_int_equal(ask("/v1/chat/completions", buf_str(&body), &out), 200);
    struct stream s;
    read_stream(buf_span(&out), &s);
    assert_string_equal(buf_str(&s.content), "<tool_call>\n{\"naughty\": \"read\", \"arguments\", and so on");
    stream_finish(&s);
    stop_it();
}

/* Templates that write down one call only do not keep a model from making two. */
static void engine__reads_several_calls_where_none_forbids_them(void **state)
{
    (void)state;
    start_with("two", 1, 4096);
    AUTO(buf) struct buf body = BUF_INIT(8192);
    buf_addf(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"fix it\"}],%s}", tools);
    AUTO(json) json_t *j = ask_json("/v1/chat/completions", buf_str(&body), 200);
    assert_string_equal(text(j, "choices.0.message.tool_calls.0.function.arguments"), "{\"path\":\"a.c\"}");
    assert_string_equal(text(j, "choices.0.message.tool_calls.1.function.arguments"), "{\"path\":\"b.c\"}");
    assert_string_equal(text(j, "choices.0.finish_reason"), "tool_calls");
    stop_it();
}

static void engine__constrains_on_request(void **state)
{
    (void)state;
    start_with("dense", 1, 4096); /* random weights: without the grammar it babbles */
    AUTO(json) json_t *word = ask_json("/v1/chat/completions",
                                       "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":20,\"grammar\":\"root ::= \\\"yes\\\" | \\\"no\\\"\"}", 200);
    assert_true(strcmp(text(word, "choices.0.message.content"), "yes") == 0 || strcmp(text(word, "choices.0.message.content"), "no") == 0);
    AUTO(json) json_t *object =
        ask_json("/v1/chat/completions",
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":200,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":"
                 "{\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,2]}},\"required\":[\"a\"],\"additionalProperties\":false}}}}", 200);
    struct err e = ERR_INIT;
    AUTO(json) json_t *value = NULL;
    assert_int_equal(json_parse(span_of(text(object, "choices.0.message.content")), BIND_STRICT, &value, &e), 0);
    assert_true(number(value, "a") == 1 || number(value, "a") == 2);
    AUTO(json) json_t *bad = ask_json("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"grammar\":\"root ::= (\"}", 400);
    assert_string_equal(text(bad, "error.type"), "invalid_request_error");
    stop_it();
}

static void engine__refuses_what_it_cannot_do(void **state)
{
    (void)state;
    start_with("dense", 1, 512);
    static const struct {
        const char *body;
        int status;
        const char *says;
    } rows[] = {
        { "{\"messages\":3}", 400, "'messages'" },
        { "{}", 400, "messages" },
        { "not json", 400, "" },
        { "{\"messages\":[]}", 400, "empty" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"n\":2}", 501, "n: only one" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"logprobs\":true}", 501, "logprobs" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"temperature\":-1}", 400, "temperature" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tool_choice\":\"required\"}", 400, "without tools" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tools\":{\"a\":1}}", 400, "tools: expected an array" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"chat_template_kwargs\":[1]}", 400, "expected an object" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"grammar\":\"%llguidance {}\"}", 400, "llguidance" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}", 400, "image_url" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(json) json_t *j = ask_json("/v1/chat/completions", rows[i].body, rows[i].status);
        if (!strstr(text(j, "error.message"), rows[i].says))
            fail_msg("row %zu: '%s'", i, text(j, "error.message"));
    }
    AUTO(buf) struct buf body = BUF_INIT(1 << 20);
    for (int stream = 0; stream < 2; stream++) { /* an error before the first word has a status of its own, streamed or not */
        buf_reset(&body);
        buf_adds(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
        for (int i = 0; i < 600; i++)
            buf_adds(&body, "word ");
        buf_addf(&body, "\"}],\"stream\":%s}", stream ? "true" : "false");
        AUTO(json) json_t *j = ask_json("/v1/chat/completions", buf_str(&body), 400);
        assert_string_equal(text(j, "error.type"), "exceed_context_size_error");
        assert_true(number(j, "error.n_prompt_tokens") > 3000);
        assert_int_equal(number(j, "error.n_ctx"), 512);
    }
    /* one that cannot fit whatever its tokens are is refused without counting them */
    AUTO(buf) struct buf long_body = BUF_INIT(8u << 20);
    buf_adds(&long_body, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
    for (int i = 0; i < 1 << 20; i++)
        buf_adds(&long_body, "word ");
    buf_adds(&long_body, "\"}]}");
    AUTO(json) json_t *j = ask_json("/v1/chat/completions", buf_str(&long_body), 400);
    assert_string_equal(text(j, "error.type"), "exceed_context_size_error");
    assert_true(number(j, "error.n_prompt_tokens") > 1000000);
    stop_it();
}

/* The penalties' memory is the context's at most, whatever a client asks for. */
static void engine__looks_back_no_further_than_the_context(void **state)
{
    (void)state;
    start_with("dense", 1, 512);
    AUTO(json) json_t *j = ask_json("/v1/chat/completions",
                                    "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":2,\"repeat_penalty\":1.1,"
                                    "\"repeat_last_n\":2147483647}", 200);
    assert_true(number(j, "usage.completion_tokens") >= 1);
    AUTO(json) json_t *status = ask_json("/stead/status", NULL, 200);
    AUTO(buf) struct buf proc = BUF_INIT(1 << 16);
    char path[64];
    struct err e = ERR_INIT;
    (void)snprintf(path, sizeof path, "/proc/%lld/status", (long long)number(status, "pid"));
    assert_int_equal(file_read(path, 1 << 16, &proc, &e), 0);
    struct span rest = buf_span(&proc), line;
    int64_t peak_kb = 0;
    while (!peak_kb && span_line(&rest, &line))
        if (span_starts(line, "VmHWM:"))
            assert_int_equal(parse_i64(span_trim(span_sub(line, 6, line.n - 6 - 3)), 1, INT64_MAX, &peak_kb, &e), 0);
    assert_true(peak_kb > 0 && peak_kb < 4 << 20);
    stop_it();
}

/* As many at once as want to: each waits for its turn, none is turned away at the door. */
static void engine__takes_hundreds_of_connections(void **state)
{
    (void)state;
    start_with("dense", 1, 512);
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const char *path = at.url + strlen("unix://");
    assert_true(strlen(path) < sizeof to.sun_path);
    memcpy(to.sun_path, path, strlen(path));
    int fds[300];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (connect(fds[i], (const struct sockaddr *)&to, sizeof to) != 0)
            fail_msg("connection %zu: %s", i, strerror(errno));
        assert_int_equal(write(fds[i], "POST /v1", 8), 8);
    }
    AUTO(json) json_t *j = ask_json("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":2}", 200);
    assert_true(number(j, "usage.completion_tokens") >= 1);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        (void)close(fds[i]);
    stop_it();
}

/* --- the cache ------------------------------------------------------------------------------------- */

static void add_turns(struct buf *b, const char *first, int turns, const char *reply)
{
    buf_addf(b, "{\"messages\":[{\"role\":\"system\",\"content\":\"%s\"}", first);
    for (int i = 0; i < turns; i++) {
        if (i)
            buf_addf(b, ",{\"role\":\"assistant\",\"content\":\"%s\"}", reply);
        buf_addf(b, ",{\"role\":\"user\",\"content\":\"turn %d: please go on with the work that was begun\"}", i);
    }
}

/* Conversation that grows by a turn at a time: only what was appended is evaluated, and the words are the same as without a cache. */
static void check_growth(const char *model, int slack, bool same_words)
{
    start_with(model, 2, 2048);
    AUTO(buf) struct buf body = BUF_INIT(1 << 20);
    int64_t before = 0;
    for (int turns = 1; turns <= 4; turns++) {
        buf_reset(&body);
        add_turns(&body, "a system prompt of some length, which stays the same for the whole of the session", turns, "ok");
        buf_adds(&body, "],\"max_tokens\":6,\"ignore_eos\":true}");
        AUTO(json) json_t *warm = ask_json("/v1/chat/completions", buf_str(&body), 200);
        int64_t prompt = number(warm, "usage.prompt_tokens"), cached = number(warm, "usage.prompt_tokens_details.cached_tokens");
        if (turns > 1 && cached < before - slack)
            fail_msg("%s, turn %d: %lld of %lld tokens cached, the prompt before had %lld", model, turns, (long long)cached, (long long)prompt,
                     (long long)before);
        before = prompt;
        if (!same_words)
            continue;
        buf_truncate(&body, body.n - 1);
        buf_adds(&body, ",\"cache_prompt\":false,\"id_slot\":1}");
        AUTO(json) json_t *cold = ask_json("/v1/chat/completions", buf_str(&body), 200);
        assert_int_equal(number(cold, "usage.prompt_tokens_details.cached_tokens"), 0);
        if (strcmp(text(warm, "choices.0.message.content"), text(cold, "choices.0.message.content")) != 0)
            fail_msg("%s, turn %d: '%s' with the cache, '%s' without", model, turns, text(warm, "choices.0.message.content"),
                     text(cold, "choices.0.message.content"));
    }
    stop_it();
}

static void cache__evaluates_only_what_was_appended(void **state)
{
    (void)state;
    check_growth("dense", 0, true);
}

static void cache__of_a_sliding_window_too(void **state)
{
    (void)state;
    /* words are not compared: once the window turns over, cells lie elsewhere and half-precision sums come out in another order,
     * enough to change what random weights would say next (seen between two evaluations without any cache, too) */
    check_growth("window", 8, false);
}

static void cache__of_a_hybrid_model_too(void **state)
{
    (void)state;
    check_growth("hybrid", 8, true);
}

/* No tokens wanted: the prompt is evaluated all the same, so that the next request finds it. */
static void cache__is_filled_without_a_reply(void **state)
{
    (void)state;
    start_with("dense", 1, 512);
    static const char *const bodies[] = { "{\"messages\":[{\"role\":\"user\",\"content\":\"get ready\"}],\"max_tokens\":0}",
                                          "{\"messages\":[{\"role\":\"user\",\"content\":\"get ready\"}],\"max_tokens\":1}" };
    AUTO(json) json_t *none = ask_json("/v1/chat/completions", bodies[0], 200);
    assert_int_equal(number(none, "usage.completion_tokens"), 0);
    assert_string_equal(text(none, "choices.0.finish_reason"), "length");
    AUTO(json) json_t *one = ask_json("/v1/chat/completions", bodies[1], 200);
    assert_int_equal(number(one, "usage.completion_tokens"), 1);
    assert_int_equal(number(one, "timings.prompt_n"), 1);
    stop_it();
}

/* Many steps later a conversation is taken up where its first prompt ended, as where thoughts are no longer shown. */
static void cache__of_a_hybrid_model_remembers_its_beginning(void **state)
{
    (void)state;
    start_with("hybrid", 1, 2048);
    AUTO(buf) struct buf body = BUF_INIT(1 << 20);
    int64_t first = 0;
    for (int turns = 1; turns <= 9; turns++) {
        bool back = turns == 9;
        buf_reset(&body);
        add_turns(&body, "a system prompt of some length, which stays the same for the whole of the session", back ? 2 : turns,
                  back ? "another reply" : "ok");
        buf_adds(&body, "],\"max_tokens\":6,\"ignore_eos\":true}");
        AUTO(json) json_t *j = ask_json("/v1/chat/completions", buf_str(&body), 200);
        int64_t cached = number(j, "usage.prompt_tokens_details.cached_tokens");
        if (turns == 1)
            first = number(j, "usage.prompt_tokens");
        if (back && cached < first - 8)
            fail_msg("%lld tokens cached, the first prompt had %lld", (long long)cached, (long long)first);
    }
    stop_it();
}

static void cache__keeps_two_sessions_apart(void **state)
{
    (void)state;
    start_with("dense", 2, 2048);
    static const char *const who[] = { "agent one", "agent two" };
    for (int turns = 1; turns <= 3; turns++)
        for (int k = 0; k < 2; k++) {
            AUTO(buf) struct buf body = BUF_INIT(1 << 20);
            AUTO(buf) struct buf first = BUF_INIT(4096);
            buf_addf(&first, "the same long beginning of both system prompts, tools and all the rest of it; you are %s", who[k]);
            add_turns(&body, buf_str(&first), turns, "ok");
            buf_adds(&body, "],\"max_tokens\":2}");
            AUTO(json) json_t *j = ask_json("/v1/chat/completions", buf_str(&body), 200);
            int64_t cached = number(j, "usage.prompt_tokens_details.cached_tokens"), fresh = number(j, "timings.prompt_n");
            if (turns == 1 && k == 1)
                assert_true(cached > 60); /* the shared beginning was copied, not evaluated */
            if (turns > 1 && fresh > 100)
                fail_msg("%s, turn %d: %lld tokens evaluated anew", who[k], turns, (long long)fresh);
        }
    stop_it();
}

/* --- leaving, threads, dying ------------------------------------------------------------------------ */

static int64_t active(void)
{
    AUTO(json) json_t *j = ask_json("/stead/status", NULL, 200);
    return number(j, "active");
}

static void on_pause(void *ctx)
{
    *(bool *)ctx = true;
}

static void pause_ms(int64_t ms)
{
    struct err e = ERR_INIT;
    bool over = false;
    assert_non_null(loop_timer(loop, ms, false, on_pause, &over));
    assert_int_equal(loop_wait(loop, &over, 0, NULL, &e), 0);
}

static bool count_bytes(void *ctx, struct span piece)
{
    *(size_t *)ctx += piece.n;
    return true;
}

static struct http_transfer *begin_long_reply(struct http **h, size_t *bytes)
{
    static struct span piece;
    struct err e = ERR_INIT;
    struct url u;
    struct http_transfer *t;
    assert_int_equal(url_parse(at.url, &u, &e), 0);
    assert_int_equal(http_create(loop, &u, h, &e), 0);
    piece = SPAN("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":10000,\"ignore_eos\":true,\"stream\":true}");
    struct http_request q = { .path = "/v1/chat/completions", .body = &piece, .nbody = 1, .on_data = count_bytes, .ctx = bytes };
    assert_int_equal(http_start(*h, &q, &t, &e), 0);
    int64_t end = clock_ms() + WAIT_MS;
    while (*bytes < 2000 && clock_ms() < end)
        pause_ms(5);
    assert_true(*bytes >= 2000);
    return t;
}

static void engine__stops_when_the_client_goes(void **state)
{
    (void)state;
    start_with("slow", 1, 16384);
    struct http *h;
    size_t bytes = 0;
    struct http_transfer *t = begin_long_reply(&h, &bytes);
    assert_int_equal(active(), 1);
    struct err e = ERR_INIT;
    assert_int_equal(engine_stop(loop, &at, &e), 0); /* busy: not now */
    http_finish(t);
    http_destroy(h);
    int64_t left = clock_ms(), end = left + WAIT_MS;
    while (active() && clock_ms() < end)
        pause_ms(2);
    assert_int_equal(active(), 0);
    AUTO(json) json_t *j = ask_json("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":2}", 200);
    assert_int_equal(number(j, "usage.completion_tokens"), 2); /* its only slot is free again */
    stop_it();
}

static void engine__changes_its_threads(void **state)
{
    (void)state;
    start_with("dense", 1, 1024);
    struct err e = ERR_INIT;
    assert_int_equal(engine_set_threads(loop, &at, 3, &e), 0);
    AUTO(json) json_t *status = ask_json("/stead/status", NULL, 200);
    assert_int_equal(number(status, "threads"), 3);
    AUTO(json) json_t *j = ask_json("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":3,\"ignore_eos\":true}", 200);
    assert_int_equal(number(j, "usage.completion_tokens"), 3);
    assert_int_equal(engine_set_threads(loop, &at, 0, &e), 0);
    AUTO(json) json_t *back = ask_json("/stead/status", NULL, 200);
    assert_int_equal(number(back, "threads"), 1);
    stop_it();
}

static pid_t engine_pid(void)
{
    AUTO(json) json_t *j = ask_json("/stead/status", NULL, 200);
    return (pid_t)number(j, "pid");
}

static void supervisor__adopts_and_restarts_after_a_kill(void **state)
{
    (void)state;
    start_with("slow", 1, 16384);
    assert_false(at.adopted);
    pid_t first = engine_pid();
    start_with("slow", 1, 16384);
    assert_true(at.adopted);
    assert_int_equal(engine_pid(), first);

    struct http *h;
    size_t bytes = 0;
    struct http_transfer *t = begin_long_reply(&h, &bytes);
    assert_int_equal(kill(first, SIGKILL), 0);
    struct err e = ERR_INIT;
    assert_int_equal(loop_wait(loop, http_done(t), clock_ms() + WAIT_MS, NULL, &e), 0); /* the reply breaks off, noticed at once */
    assert_int_not_equal(http_how(t), HTTP_OK);
    http_finish(t);
    http_destroy(h);

    start_with("slow", 1, 16384); /* what a caller does: once more, then the request again */
    assert_int_not_equal(engine_pid(), first);
    AUTO(json) json_t *j = ask_json("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":2}", 200);
    assert_int_equal(number(j, "usage.completion_tokens"), 2);
    stop_it();
}

static void supervisor__says_why_a_model_does_not_load(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char run[96];
    (void)snprintf(run, sizeof run, "%s/run", dir);
    assert_int_equal(file_write_atomic(model_path("broken"), SPAN("this is no model"), 0644, false, &e), 0);
    struct engine_options o = { .dir = run, .model = model_path("broken"), .threads = 1 };
    struct engine_address a;
    assert_true(engine_ensure_with(loop, &o, NULL, NULL, NULL, &a, &e) < 0);
    assert_non_null(strstr(e.text, "broken.gguf"));
    assert_non_null(strstr(e.text, "magic"));
    assert_true(e.hint[0] != 0);
    struct stat st;
    assert_int_equal(stat(run, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void supervisor__stops_an_idle_engine(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char run[96];
    (void)snprintf(run, sizeof run, "%s/idle", dir);
    struct engine_options o = { .dir = run, .model = model_path("dense"), .threads = 1, .idle_ms = 300 };
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &at, &e) < 0)
        fail_msg("%s", e.text);
    int64_t end = clock_ms() + WAIT_MS;
    while (access(at.socket, F_OK) == 0 && clock_ms() < end)
        pause_ms(20);
    assert_int_not_equal(access(at.socket, F_OK), 0);
}

/* Did it say that it waits because the engine keeps dying? */
static void on_progress(void *ctx, const char *what, double done)
{
    (void)done;
    if (strstr(what, "keeps ending"))
        *(bool *)ctx = true;
}

/* No memory for two: the second waits until the first has nothing to do, then takes its place. */
static void supervisor__swaps_models_by_queueing(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char run[96], other[128];
    (void)snprintf(run, sizeof run, "%s/swap", dir);
    struct engine_options o = { .dir = run, .model = model_path("slow"), .threads = 1, .slots = 1, .ctx_tokens = 16384, .idle_ms = 60000 };
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &at, &e) < 0)
        fail_msg("%s", e.text);
    (void)snprintf(other, sizeof other, "%s", at.socket);
    struct http *h;
    size_t bytes = 0;
    struct http_transfer *t = begin_long_reply(&h, &bytes);

    struct engine_options next = { .dir = run, .model = model_path("dense"), .threads = 1, .slots = 1, .ctx_tokens = 512, .idle_ms = 60000,
                                   .memory_bytes = 1, .start_ms = 700 };
    struct engine_address a;
    assert_int_equal(engine_ensure_with(loop, &next, NULL, NULL, NULL, &a, &e), -ERR_UNAVAILABLE); /* busy for longer than we wait */
    assert_non_null(strstr(e.text, "another model is in use"));
    assert_int_equal(active(), 1);

    http_finish(t);
    http_destroy(h);
    next.start_ms = WAIT_MS;
    if (engine_ensure_with(loop, &next, NULL, NULL, NULL, &a, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_not_equal(access(other, F_OK), 0);
    at = a;
    AUTO(json) json_t *models = ask_json("/v1/models", NULL, 200);
    assert_string_equal(text(models, "data.0.id"), "dense.gguf");

    /* back and forth, and no start of one that was ended counts as its dying */
    bool waited = false;
    o.memory_bytes = 1;
    for (int i = 0; i < 8; i++) {
        if (engine_ensure_with(loop, i % 2 ? &next : &o, on_progress, &waited, NULL, &at, &e) < 0)
            fail_msg("%s", e.text);
        assert_false(waited);
    }
    stop_it();
}

/* Flags from fit: what the memory allows, unless somebody says otherwise. */
static void supervisor__chooses_a_context_that_fits(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    char run[96];
    (void)snprintf(run, sizeof run, "%s/flags", dir);
    struct engine_options o = { .dir = run, .model = model_path("slow"), .threads = 1, .idle_ms = 60000 };
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &at, &e) < 0)
        fail_msg("%s", e.text);
    AUTO(json) json_t *roomy = ask_json("/props", NULL, 200);
    assert_int_equal(number(roomy, "default_generation_settings.n_ctx"), 16384); /* as trained */
    assert_int_equal(number(roomy, "total_slots"), 2);
    stop_it();
    o.memory_bytes = (int64_t)170 << 20;
    if (engine_ensure_with(loop, &o, NULL, NULL, NULL, &at, &e) < 0)
        fail_msg("%s", e.text);
    AUTO(json) json_t *tight = ask_json("/props", NULL, 200);
    assert_int_equal(number(tight, "total_slots"), 1);
    assert_true(number(tight, "default_generation_settings.n_ctx") >= 4096);
    stop_it();
}

static int skip_without_engine(void)
{
    struct err e = ERR_INIT;
    AUTO(ptr) char *program = engine_program(&e);
    if (program)
        return 0;
    print_message("skipped: %s\n", e.text);
    return 77;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engine__says_what_it_is),
        cmocka_unit_test(engine__parses_tool_calls),
        cmocka_unit_test(engine__streams_deltas_progress_and_usage),
        cmocka_unit_test(engine__streams_what_it_held_back_for_a_call),
        cmocka_unit_test(engine__reads_several_calls_where_none_forbids_them),
        cmocka_unit_test(engine__constrains_on_request),
        cmocka_unit_test(engine__refuses_what_it_cannot_do),
        cmocka_unit_test(engine__looks_back_no_further_than_the_context),
        cmocka_unit_test(engine__takes_hundreds_of_connections),
        cmocka_unit_test(cache__is_filled_without_a_reply),
        cmocka_unit_test(cache__evaluates_only_what_was_appended),
        cmocka_unit_test(cache__of_a_sliding_window_too),
        cmocka_unit_test(cache__of_a_hybrid_model_too),
        cmocka_unit_test(cache__of_a_hybrid_model_remembers_its_beginning),
        cmocka_unit_test(cache__keeps_two_sessions_apart),
        cmocka_unit_test(engine__stops_when_the_client_goes),
        cmocka_unit_test(engine__changes_its_threads),
        cmocka_unit_test(supervisor__adopts_and_restarts_after_a_kill),
        cmocka_unit_test(supervisor__says_why_a_model_does_not_load),
        cmocka_unit_test(supervisor__stops_an_idle_engine),
        cmocka_unit_test(supervisor__swaps_models_by_queueing),
        cmocka_unit_test(supervisor__chooses_a_context_that_fits),
    };
    int skipped = skip_without_engine();
    return skipped ? skipped : cmocka_run_group_tests(tests, set_up, tear_down);
}
