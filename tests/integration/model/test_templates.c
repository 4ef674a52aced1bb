/*
 * Our bytes through the chat templates of the models that our users run, rendered by llama.cpp's own code:
 * no template refuses a conversation, shows the model less than was sent, or breaks the prefix within a task.
 *
 *     test-model-templates ENGINE TEMPLATES
 *
 * stead-engine renders, the templates are llama.cpp's models/templates as tools/deps/llama.sh unpacks them.
 * STEAD_TEST_LLAMA_SERVER takes a llama-server instead, STEAD_TEST_TEMPLATES other templates. The model's
 * weights do not matter here: the pilot's are taken.
 */
#include <jansson.h>

#include "support/test.h"

#include "base/bind.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/proc.h"
#include "model/chat-internal.h"
#include "model/http.h"

static const struct tool_schema tools[] = {
    { "read", "Read a file.", SPAN("{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]}") },
};

struct template {
    const char *file, *model;
    bool native; /* knows tools */
};

static const struct template templates[] = {
    { "mistralai-Mistral-Nemo-Instruct-2407", "mistral-nemo", true },
    { "Mistral-Small-3.2-24B-Instruct-2506", "mistral-small", true },
    { "unsloth-mistral-Devstral-Small-2507", "devstral", true },
    { "google-gemma-2-2b-it", "gemma-3-12b-it", false }, /* as Gemma 3's: no tools, no system role, roles alternate */
    { "google-gemma-4-31B-it", "gemma-4-12b-it", true },
    { "google-gemma-4-31B-it-interleaved", "gemma-4-26b-a4b-it", true },
    { "openai-gpt-oss-120b", "gpt-oss-20b", true },
    { "Qwen3-Coder", "qwen3-coder-30b-a3b", true },
    { "Qwen-Qwen3-0.6B", "qwen3-30b-a3b", true },
    { "Qwen-Qwen2.5-7B-Instruct", "qwen2.5-coder-7b", true },
    { "meta-llama-Llama-3.1-8B-Instruct", "llama-3.1-8b", true },
};

static struct {
    const char *server, *dir;
    bool llama_server; /* else stead-engine */
} with;

static void render(struct chat *c, struct buf *out)
{
    struct err e = ERR_INIT;
    AUTO(buf) struct buf tail = BUF_INIT(4096), answer = BUF_INIT(1 << 20);
    struct closing closing = { .max_tokens = 100 };
    assert_true(c->dialect->close(&c->wire, &closing, &tail));
    struct span body[2] = { buf_span(&c->wire.bytes), buf_span(&tail) };
    struct http_request q = { .path = "/apply-template", .body = body, .nbody = 2 };
    int status = http_fetch(c->ep->http, &q, 1 << 20, clock_ms() + 10000, NULL, &answer, &e);
    if (status != 200)
        fail_msg("%s: %d %s%s: %.*s", c->ep->model, status, e.text, buf_str(&answer), (int)(body[0].n > 1500 ? 1500 : body[0].n), body[0].p);
    AUTO(json) json_t *j = json_loads(buf_str(&answer), 0, NULL);
    buf_reset(out);
    buf_add_span(out, json_span(json_object_get(j, "prompt")));
}

/* One reply with a call, as chat records it, and its result. */
static void step(struct chat *c, int n)
{
    struct err e = ERR_INIT;
    char id[16], args[40], result[40], thought[60];
    chat_make_id(c, id);
    snprintf(args, sizeof args, "{\"path\":\"file%d.c\"}", n);
    snprintf(result, sizeof result, "int result%d;", n);
    snprintf(thought, sizeof thought, "I think of %d.", n);
    struct said_call call = { span_of(id), SPAN("read"), span_of(args) };
    struct message m = { .role = MESSAGE_ASSISTANT, .text = { "", 0 }, .reasoning = span_of(thought), .calls = &call, .ncalls = 1 };
    assert_ok(chat_write(c, &m, &e), &e);
    assert_ok(chat_pend(c, call.id, call.name, &e), &e);
    assert_ok(chat_add_tool_result(c, id, span_of(result), true, &e), &e);
    assert_ok(chat_flush(c, &e), &e);
}

static void templates__show_all_and_keep_the_prefix(void **state)
{
    const struct template *t = *state;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf file = BUF_INIT(4096), url = BUF_INIT(200), was = BUF_INIT(1 << 20), now = BUF_INIT(1 << 20);
    char *scratch = scratch_make();
    buf_addf(&file, "%s/%s.jinja", with.dir, t->file);
    if (access(buf_str(&file), R_OK) != 0)
        fail_msg("no template '%s'; `tools/deps/llama.sh --force` unpacks them again", buf_str(&file));
    buf_addf(&url, "unix://%s/l.sock", scratch);
    const char *const ours[] = { with.server, "--model", PILOT_GGUF, "--socket", buf_str(&url) + 7, "--threads", "1", "--slots", "1", "--with-parent", "--alias", t->model, "--chat-template", buf_str(&file), NULL };
    const char *const llama[] = { with.server, "-m", PILOT_GGUF, "--host", buf_str(&url) + 7, "-t", "1", "-np", "1", "--jinja", "--alias", t->model, "--chat-template-file", buf_str(&file), NULL };
    AUTO(ptr) char *cwd = span_dup(path_dir(with.server));
    struct proc_spec spec = { .argv = with.llama_server ? llama : ours, .env = (const char *const *)environ, .cwd = cwd, .out = PROC_NULL, .err = with.llama_server ? PROC_NULL : PROC_INHERIT, .die_with_parent = true };
    struct loop *loop;
    assert_ok(loop_create(&loop, &e), &e);
    struct proc *p;
    assert_ok(proc_start(loop, &spec, &p, &e), &e);
    struct endpoint_spec es = { .url = buf_str(&url) };
    struct endpoint *ep;
    assert_ok(endpoint_create(&es, &ep, &e), &e);
    /* both servers list their model while they still load it: only with the template is it known what it wants */
    for (int64_t end = clock_ms() + 60000; (ep->state != ENDPOINT_READY || !*ep->chat_template) && clock_ms() < end;) {
        assert_ok(endpoint_look(loop, ep, 1000, NULL, &e), &e);
        const struct timespec nap = { 0, 50000000 };
        (void)nanosleep(&nap, NULL);
        profile_destroy(ep->profile);
        ep->profile = NULL;
    }
    assert_int_equal(ep->state, ENDPOINT_READY);
    AUTO(buf) struct buf source = BUF_INIT(1 << 20);
    assert_ok(file_read(buf_str(&file), 1 << 20, &source, &e), &e);
    if (source.n < 100 || strncmp(buf_str(&source), ep->chat_template, 100) != 0) /* llama.cpp rewrites a few further on */
        fail_msg("%s: the server shows another template: %.200s", t->file, ep->chat_template);
    assert_ok(profile_for(ep, NULL, &ep->profile, &e), &e);
    assert_int_equal(ep->profile->behaviour.tools, t->native);
    struct chat_options o = { .instructions = SPAN("You are a coding agent."), .tools = tools, .ntools = 1 };
    struct chat *c;
    assert_ok(chat_create(loop, ep, &o, &c, &e), &e);
    assert_ok(chat_add_user(c, SPAN("Fix the bug."), &e), &e);
    render(c, &was);
    for (int n = 0; n < 3; n++) {
        step(c, n);
        if (n == 2) /* an explanation behind a result, as the ladder writes it */
            assert_ok(chat_add_user(c, SPAN("Your reply was empty."), &e), &e);
        render(c, &now);
        size_t same = 0;
        while (same < was.n && same < now.n && was.p[same] == now.p[same])
            same++;
        /* the generation prompt may be followed by something else than it announced */
        if (n < 2 && same + 64 < was.n)
            fail_msg("%s: of %zu rendered bytes only the first %zu are kept", t->file, was.n, same);
        printf("%s: step %d keeps %zu of %zu\n", t->file, n + 1, same, was.n);
        buf_reset(&was);
        buf_add_span(&was, buf_span(&now));
    }
    for (int n = 0; n < 3; n++) {
        char text[40];
        snprintf(text, sizeof text, "int result%d;", n);
        assert_contains(buf_str(&was), text);
        snprintf(text, sizeof text, "file%d.c", n);
        assert_contains(buf_str(&was), text);
    }
    static const char *const shown[] = { "You are a coding agent.", "Fix the bug.", "Your reply was empty.", "Read a file." };
    for (size_t k = 0; k < COUNT_OF(shown); k++)
        assert_contains(buf_str(&was), shown[k]);
    chat_destroy(c);
    endpoint_destroy(ep);
    proc_destroy(p);
    loop_destroy(loop);
    scratch_remove(scratch);
}

int main(int argc, char **argv)
{
    const char *server = getenv("STEAD_TEST_LLAMA_SERVER"), *dir = getenv("STEAD_TEST_TEMPLATES");
    with.llama_server = server;
    with.server = server ? server : argc > 1 ? argv[1] : "";
    with.dir = dir ? dir : argc > 2 ? argv[2] : "";
    if (!*with.server || access(with.dir, R_OK) != 0) {
        (void)printf("SKIP: %s\n", !*with.server ? "stead-engine is not built: " ENGINE_WHY : "no chat templates of llama.cpp: `tools/deps/llama.sh --force` unpacks them, or set STEAD_TEST_TEMPLATES");
        return 77;
    }
    struct CMUnitTest tests[COUNT_OF(templates)];
    for (size_t i = 0; i < COUNT_OF(templates); i++) {
        union { const struct template *of; void *state; } u = { &templates[i] };
        tests[i] = (struct CMUnitTest){ templates[i].file, templates__show_all_and_keep_the_prefix, NULL, NULL, u.state };
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
