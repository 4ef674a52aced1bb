#define LOG_MODULE "probe"
#include "model/probe.h"

#include <stdio.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "model/chat.h"
#include "model/collect.h"
#include "model/dialect.h"
#include "model/failure.h"
#include "model/http.h"
#include "model/quirk.h"

#define BUDGET_MS 60000
#define ENOUGH_CONTEXT 16384  /* an agent's task with a few files in view */
#define ANSWER_TOKENS 384     /* room for a model that thinks before it calls */
#define FILLER_TOKENS 2400    /* of the prompt that measures reading */

struct probe {
    struct loop *loop;
    struct endpoint *ep;
    struct cancel *asked;     /* the caller's */
    struct cancel cancel;     /* ours: also raised when the time is up */
    int64_t deadline_ms;
    struct arena *arena;      /* the profile's */
    bool reachable;
    int64_t short_ttft_ms;    /* of a short prompt, nothing else running */
    enum call_source call_source;
    bool called, thinks;
    struct behaviour before;
};

struct probe_row {
    const char *name, *title;
    bool quick;
    void (*run)(struct probe *p, struct profile_check *out);
};

static void __attribute__((format(printf, 4, 5))) say(struct probe *p, struct profile_check *c, enum verdict_kind v, const char *fmt, ...)
{
    va_list ap;
    AUTO(buf) struct buf raw = BUF_INIT(1000), clean = BUF_INIT(4000);
    va_start(ap, fmt);
    buf_addv(&raw, fmt, ap);
    va_end(ap);
    clean_add(&clean, buf_span(&raw), CLEAN_LINE);
    const char *kept = arena_span(p->arena, buf_span(&clean));
    c->verdict = (int)v;
    c->detail = kept ? kept : "";
}

static void remedy(struct probe *p, struct profile_check *c, const char *text)
{
    const char *kept = arena_strdup(p->arena, text);
    c->remedy = kept ? kept : "";
}

static const struct tool_schema echo_tools[] = {
    { "echo", "Print a text.", SPAN("{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}") },
    { "add", "Add two numbers.", SPAN("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\"}},\"required\":[\"a\",\"b\"]}") },
};

static struct chat *open_chat(struct probe *p, bool tools, int64_t max_tokens)
{
    struct err e = ERR_INIT;
    struct chat *c = NULL;
    struct sampling calm = { .temperature = 0, .top_p = 1, .min_p = 0, .top_k = 1, .repeat_penalty = 1, .presence_penalty = 0, .seed = 1 };
    struct chat_options o = { .instructions = SPAN("You are a careful assistant. Be brief."), .tools = echo_tools, .ntools = tools ? COUNT_OF(echo_tools) : 0,
                              .sampling = &calm, .max_tokens = max_tokens, .max_repairs = -1, .max_retries = 2, .wait_ms = 20000 };
    return chat_create(p->loop, p->ep, &o, &c, &e) < 0 ? NULL : c;
}

/* One question; negative with e as chat_reply. */
static int ask(struct probe *p, struct chat *c, const char *text, struct arena *a, struct reply *r, struct err *e)
{
    if (!c)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (text) {
        int rc = chat_add_user(c, span_of(text), e);
        if (rc < 0)
            return rc;
    }
    return chat_reply(c, NULL, &p->cancel, a, r, e);
}

static bool out_of_time(struct probe *p, struct profile_check *out)
{
    if (!p->cancel.raised)
        return false;
    say(p, out, CHECK_UNKNOWN, "not tried: the time for probing was used up");
    return true;
}

/* Empty text is a model's weakness, not the server's: the checks of the server go on. */
static bool server_failed(const struct reply *r, int rc)
{
    return rc < 0 && r->failure != MODEL_ERR_MODEL;
}

static void check_answer(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 };
    struct chat *c = open_chat(p, false, 64);
    int rc = ask(p, c, "Say OK.", &a, &r, &e);
    chat_destroy(c);
    if (out_of_time(p, out))
        return;
    p->reachable = !server_failed(&r, rc);
    p->short_ttft_ms = r.ttft_ms;
    char t[24];
    if (!p->reachable) {
        say(p, out, CHECK_BAD, "%s", e.text);
        remedy(p, out, e.hint);
    } else if (rc < 0) {
        say(p, out, CHECK_BAD, "the server answers, but the model wrote nothing");
        remedy(p, out, "look whether the right model is loaded, and try another");
    } else if (span_find(r.text, SPAN("<|im_end|>")) >= 0 || span_find(r.text, SPAN("<|eot_id|>")) >= 0 || span_find(r.text, SPAN("</s>")) >= 0 ||
               span_find(r.text, SPAN("<end_of_turn>")) >= 0) {
        say(p, out, CHECK_BAD, "the reply holds marks that should end it: the server does not know the model's stop tokens");
        remedy(p, out, "use a newer conversion of the model file, or let the server use the template inside it");
    } else {
        p->thinks = r.reasoning.n > 0;
        say(p, out, CHECK_OK, "it answers; the first word came after %s%s", format_duration(r.ttft_ms, t), p->thinks ? ", after thinking" : "");
    }
}

static void check_usage(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 };
    struct chat *c = open_chat(p, false, 8);
    int rc = ask(p, c, "Count from one to one hundred in words.", &a, &r, &e);
    chat_destroy(c);
    if (out_of_time(p, out))
        return;
    if (server_failed(&r, rc))
        say(p, out, CHECK_UNKNOWN, "%s", e.text);
    else if (r.usage.prompt_tokens <= 0)
        say(p, out, CHECK_ADAPTED, "the server does not say how many tokens were used: stead estimates them from the text");
    else if (r.usage.completion_tokens > 12)
        say(p, out, CHECK_BAD, "the limit of 8 tokens was not kept: %lld were written", (long long)r.usage.completion_tokens);
    else if (rc >= 0 && r.finish != FINISH_LENGTH)
        say(p, out, CHECK_ADAPTED, "a reply that was cut is not always reported as cut: stead compares the token counts");
    else
        say(p, out, CHECK_OK, "token counts are reported and the limit of a reply is kept");
}

static void check_tools(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 };
    struct chat *c = open_chat(p, true, ANSWER_TOKENS);
    int rc = ask(p, c, "Call the tool echo with the text \"ping\". Do not answer in words.", &a, &r, &e);
    if (out_of_time(p, out)) {
        chat_destroy(c);
        return;
    }
    if (server_failed(&r, rc)) {
        say(p, out, CHECK_BAD, "a request that offers tools fails: %s", e.text);
        remedy(p, out, p->ep->server == SERVER_LLAMA  ? "start llama-server with --jinja"
                       : p->ep->server == SERVER_VLLM ? "start vLLM with --enable-auto-tool-choice and the --tool-call-parser of this model"
                                                      : "choose a model that the server lists as able to use tools");
    } else if (rc >= 0 && r.ncalls) {
        p->called = true;
        p->call_source = r.calls[0].source;
        if (!p->ep->profile->behaviour.tools)
            say(p, out, CHECK_ADAPTED, "the server or the model's template knows no tools: stead describes them in the prompt, and the model uses them");
        else if (r.calls[0].source == CALL_NATIVE)
            say(p, out, CHECK_OK, "the model calls tools and the server reports the calls properly");
        else
            say(p, out, CHECK_ADAPTED, "the model calls tools, but the server leaves the calls in the text: stead reads them there");
    } else {
        say(p, out, CHECK_BAD, "asked to call a tool, the model %s", rc < 0 ? "wrote a call that could not be used" : "answered in words");
        remedy(p, out, "use a model made for tools, for example Qwen3-Coder, gpt-oss, Devstral or Gemma 4");
    }
    /* The second turn: ids, roles and replayed arguments are what servers refuse. */
    if (p->called) {
        struct reply r2 = { 0 };
        for (size_t i = 0; i < r.ncalls; i++)
            (void)(chat_add_tool_result(c, r.calls[i].id, SPAN("ping"), true, &e) < 0);
        rc = ask(p, c, NULL, &a, &r2, &e);
        if (server_failed(&r2, rc) && !p->cancel.raised) {
            say(p, out, CHECK_BAD, "the model calls tools, but the server refuses the conversation with a result in it: %s", e.text);
            remedy(p, out, "update the server; report the message to its makers");
        }
    }
    chat_destroy(c);
}

/* One request without streaming, its answer in *got, which the caller ends: the status, -1 for an answer that cannot be read. */
static int ask_whole(struct probe *p, const struct buf *body, struct collect *got)
{
    AUTO(buf) struct buf answer = BUF_INIT(1 << 22);
    struct err e = ERR_INIT;
    char path[2 * URL_MAX];
    snprintf(path, sizeof path, "%s%s", p->ep->address->api, p->ep->dialect->path);
    struct span piece = buf_span(body);
    struct http_request q = { .path = path, .body = &piece, .nbody = 1 };
    collect_init(got, NULL);
    int status = http_fetch(p->ep->http, &q, 1 << 22, p->deadline_ms, &p->cancel, &answer, &e);
    AUTO(json) json_t *j = json_loadb(buf_str(&answer), answer.n, 0, NULL);
    return status == 200 && (!j || p->ep->dialect->body(got, j, &e) < 0) ? -1 : status;
}

/* The same without streaming: the two ways differ with several servers (quirk 7). */
static void check_tools_whole(struct probe *p, struct profile_check *out)
{
    AUTO(buf) struct buf body = BUF_INIT(1 << 16);
    if (p->ep->dialect != &dialect_openai_chat || !p->called) {
        say(p, out, CHECK_UNKNOWN, "not tried: %s", p->called ? "this API is used with streaming only" : "the model does not call tools");
        return;
    }
    buf_adds(&body, "{\"model\":");
    buf_add_json(&body, span_of(p->ep->model));
    buf_addf(&body, ",\"stream\":false,\"temperature\":0,\"max_tokens\":%d,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"echo\",\"description\":\"Print a text.\","
                    "\"parameters\":%s}}],\"messages\":[{\"role\":\"user\",\"content\":\"Call the tool echo with the text \\\"ping\\\". Do not answer in words.\"}]}",
             ANSWER_TOKENS, echo_tools[0].schema.p);
    struct collect got;
    int status = ask_whole(p, &body, &got);
    if (out_of_time(p, out)) {
        collect_finish(&got);
        return;
    }
    if (status != 200)
        say(p, out, CHECK_UNKNOWN, "without streaming the request fails (status %d); stead always streams", status);
    else if ((got.ncalls > 0) == (p->call_source == CALL_NATIVE))
        say(p, out, CHECK_OK, "calls come the same with and without streaming");
    else
        say(p, out, CHECK_ADAPTED, "calls come properly only %s streaming; stead reads both", got.ncalls ? "without" : "with");
    collect_finish(&got);
}

static void check_parallel(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 };
    if (!p->called) {
        say(p, out, CHECK_UNKNOWN, "not tried: the model does not call tools");
        return;
    }
    struct chat *c = open_chat(p, true, ANSWER_TOKENS);
    int rc = ask(p, c, "In one reply call two tools: echo with the text \"ping\", and add with a=1 and b=2.", &a, &r, &e);
    chat_destroy(c);
    if (out_of_time(p, out))
        return;
    if (rc < 0)
        say(p, out, CHECK_UNKNOWN, "%s", e.text);
    else
        say(p, out, CHECK_OK, r.ncalls > 1 ? "several tools can be called in one reply" : "one tool is called at a time; that costs a few more steps");
}

static void check_forced(struct probe *p, struct profile_check *out)
{
    AUTO(buf) struct buf body = BUF_INIT(1 << 16);
    if (p->ep->dialect != &dialect_openai_chat) {
        say(p, out, CHECK_UNKNOWN, "not tried with this API");
        return;
    }
    buf_adds(&body, "{\"model\":");
    buf_add_json(&body, span_of(p->ep->model));
    bool by_schema = p->before.constrain == CONSTRAIN_SCHEMA;
    static const char required[] = "\"tool_choice\":\"required\"";
    static const char schema[] = "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"call\",\"strict\":true,\"schema\":{\"anyOf\":[{\"type\":\"object\",\"properties\":"
                                 "{\"name\":{\"const\":\"echo\"},\"arguments\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\",\"maxLength\":12}},\"required\":[\"text\"],"
                                 "\"additionalProperties\":false}},\"required\":[\"name\",\"arguments\"],\"additionalProperties\":false}]}}}";
    buf_addf(&body, ",\"stream\":false,\"temperature\":0,\"max_tokens\":256,%s,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"echo\","
                    "\"description\":\"Print a text.\",\"parameters\":%s}}],\"messages\":[{\"role\":\"user\",\"content\":\"Hello.\"}]}",
             by_schema ? schema : required, echo_tools[0].schema.p);
    struct collect got;
    int status = ask_whole(p, &body, &got);
    if (out_of_time(p, out)) {
        collect_finish(&got);
        return;
    }
    bool ok = status == 200;
    struct span begun = span_trim(buf_span(&got.text));
    /* a weak model may not come to the object's end: that it writes the object at all shows the force */
    ok = ok && (got.ncalls > 0 || (by_schema && begun.n && begun.p[0] == '{' && span_find(begun, SPAN("\"name\"")) > 0));
    struct behaviour *b = &p->ep->profile->behaviour;
    b->constrain = !ok ? CONSTRAIN_NONE : by_schema ? CONSTRAIN_SCHEMA : CONSTRAIN_REQUIRED;
    if (ok)
        say(p, out, CHECK_OK, "the server can force a tool call when the model keeps failing");
    else
        say(p, out, CHECK_ADAPTED, "the server cannot force a tool call (%s): stead explains the mistake to the model and asks again",
            status == 200 ? "the model wrote text all the same" : "the request is refused");
    collect_finish(&got);
}

static void check_name(struct probe *p, struct profile_check *out)
{
    AUTO(buf) struct buf answer = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    if (p->ep->dialect != &dialect_openai_chat) {
        say(p, out, CHECK_UNKNOWN, "not tried with this API");
        return;
    }
    char path[2 * URL_MAX];
    snprintf(path, sizeof path, "%s%s", p->ep->address->api, p->ep->dialect->path);
    struct span piece = SPAN("{\"model\":\"stead-no-such-model\",\"stream\":false,\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}");
    struct http_request q = { .path = path, .body = &piece, .nbody = 1 };
    int status = http_fetch(p->ep->http, &q, 1 << 20, p->deadline_ms, &p->cancel, &answer, &e);
    if (out_of_time(p, out))
        return;
    if (status == 200)
        say(p, out, CHECK_ADAPTED, "the server takes any model name and answers with the one that it has: stead checks the name against its list");
    else
        say(p, out, CHECK_OK, "a wrong model name is refused");
}

/* Words that are one token each in most vocabularies, none like its neighbour. */
static void filler(struct buf *b, size_t words)
{
    static const char *const w[] = { "river", "stone", "apple", "cloud", "table", "green", "north", "seven", "paper", "light", "music", "ocean", "bread", "metal", "horse", "glass" };
    for (size_t i = 0; i < words; i++)
        buf_addf(b, " %s", w[(i * 7 + i / 16) % COUNT_OF(w)]);
}

static const char *how_to_raise(enum server_kind k)
{
    switch (k) {
    case SERVER_OLLAMA:
        return "set OLLAMA_CONTEXT_LENGTH=32768 for the Ollama service and restart it, or make a model with `PARAMETER num_ctx 32768` in its Modelfile";
    case SERVER_LLAMA:
        return "start llama-server with -c 32768 -np 1 (the context is divided among the slots)";
    case SERVER_LMSTUDIO:
        return "load the model with a larger context: lms load MODEL --context-length 32768";
    case SERVER_VLLM:
        return "start vLLM with --max-model-len 32768";
    case SERVER_DMR:
        return "docker model configure --context-size 32768 MODEL";
    case SERVER_SGLANG:
        return "start SGLang with --context-length 32768";
    default:
        return "raise the context length in the server's settings";
    }
}

static void check_context(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 };
    struct profile *f = p->ep->profile;
    int64_t reported = p->ep->context_tokens, words = FILLER_TOKENS;
    if (reported && words > reported * 6 / 10)
        words = reported * 6 / 10;
    buf_adds(&text, "The code word is heron.");
    filler(&text, (size_t)words);
    buf_adds(&text, ". What is the code word?");
    struct chat *c = open_chat(p, false, 32);
    int64_t begun = clock_ms();
    int rc = ask(p, c, buf_str(&text), &a, &r, &e);
    int64_t took = clock_ms() - begun;
    int64_t counted = r.usage.prompt_tokens;
    /* A second turn behind it shows what of the first is read again. */
    struct reply r2 = { 0 };
    struct err e2 = ERR_INIT;
    int rc2 = rc < 0 || p->cancel.raised ? -1 : ask(p, c, "Thank you. Say OK.", &a, &r2, &e2);
    chat_destroy(c);
    if (out_of_time(p, out))
        return;
    if (rc < 0 && r.failure == MODEL_ERR_CONTEXT) {
        f->context_tokens = r.n_ctx > 0 ? r.n_ctx : words / 2;
        say(p, out, CHECK_BAD, "one conversation may be %lld tokens long: too short for most tasks (%d and more is good)", (long long)f->context_tokens, ENOUGH_CONTEXT);
        remedy(p, out, how_to_raise(p->ep->server));
        return;
    }
    if (server_failed(&r, rc)) {
        say(p, out, CHECK_UNKNOWN, "%s", e.text);
        return;
    }
    if (counted > 0 && counted * 2 < words) {
        f->context_tokens = counted;
        f->behaviour.count_prompt = true;
        say(p, out, CHECK_BAD, "of a prompt of %lld words only %lld tokens were read: the server cuts what does not fit without saying so", (long long)words, (long long)counted);
        remedy(p, out, how_to_raise(p->ep->server));
        return;
    }
    f->context_tokens = reported ? reported : f->context_tokens;
    if (r2.ttft_ms >= 0 && rc2 >= 0 && r.ttft_ms > 0 && counted > 0 && f->prefill_tokens_per_s <= 0)
        f->prefill_tokens_per_s = (double)counted * 1000 / (double)(r.ttft_ms ? r.ttft_ms : took);
    if (!reported)
        say(p, out, CHECK_UNKNOWN, "the server does not say how long its context is; %lld tokens were read in full", (long long)(counted > 0 ? counted : words));
    else if (reported < ENOUGH_CONTEXT)
        say(p, out, CHECK_BAD, "one conversation may be %lld tokens long: too short for most tasks (%d and more is good)", (long long)reported, ENOUGH_CONTEXT);
    else
        say(p, out, CHECK_OK, "one conversation may be %lld tokens long", (long long)reported);
    if (out->verdict != CHECK_OK)
        remedy(p, out, how_to_raise(p->ep->server));
    (void)rc2;
}

static void check_cache(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    AUTO(buf) struct buf text = BUF_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 }, r2 = { 0 };
    filler(&text, p->ep->context_tokens && p->ep->context_tokens < 3000 ? 200 : 900);
    buf_adds(&text, ". Say OK.");
    struct chat *c = open_chat(p, false, 16);
    int rc = ask(p, c, buf_str(&text), &a, &r, &e), rc2 = -1;
    if (!server_failed(&r, rc)) {
        rc2 = ask(p, c, "Say OK again.", &a, &r2, &e);
        if (server_failed(&r2, rc2))
            rc = rc2;
    }
    chat_destroy(c);
    if (out_of_time(p, out))
        return;
    int64_t total = r2.usage.prompt_tokens, cached = r2.usage.cached_tokens;
    char one[24], two[24];
    if (server_failed(&r, rc) || rc2 < 0)
        say(p, out, CHECK_UNKNOWN, "%s", e.text[0] ? e.text : "the model did not answer");
    else if (cached >= 0 && total > 0)
        say(p, out, cached * 2 > total ? CHECK_OK : CHECK_BAD, "after a new message %lld of %lld tokens had to be read again", (long long)(total - cached), (long long)total);
    else if (r.ttft_ms > 150 && r2.ttft_ms * 2 < r.ttft_ms)
        say(p, out, CHECK_OK, "the conversation so far is kept in memory: first word after %s, then after %s", format_duration(r.ttft_ms, one), format_duration(r2.ttft_ms, two));
    else if (r.ttft_ms > 1500)
        say(p, out, CHECK_BAD, "each step reads the whole conversation again: first word after %s, then after %s", format_duration(r.ttft_ms, one), format_duration(r2.ttft_ms, two));
    else
        say(p, out, CHECK_UNKNOWN, "too quick to tell, which is good");
    if (out->verdict == CHECK_BAD)
        remedy(p, out, p->ep->server == SERVER_LLAMA ? "start llama-server with prompt caching on (the default), and with one slot for each conversation: -np"
                       : p->ep->server == SERVER_VLLM ? "start vLLM with --enable-prefix-caching" : "look for prompt or prefix caching in the server's settings");
}

static void check_speed(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 };
    struct chat *c = open_chat(p, false, 48);
    int rc = ask(p, c, "Write the numbers from one to thirty in words.", &a, &r, &e);
    chat_destroy(c);
    if (out_of_time(p, out))
        return;
    const struct profile *f = p->ep->profile;
    if (server_failed(&r, rc) || f->decode_tokens_per_s <= 0) {
        say(p, out, CHECK_UNKNOWN, "%s", server_failed(&r, rc) ? e.text : "not measured");
        return;
    }
    bool slow = f->decode_tokens_per_s < 5 || (f->prefill_tokens_per_s > 0 && f->prefill_tokens_per_s < 50);
    char wait[24];
    if (f->prefill_tokens_per_s > 0)
        say(p, out, slow ? CHECK_BAD : CHECK_OK, "reads %.0f and writes %.1f tokens a second; a file of 500 lines (5000 tokens) takes %s to read", f->prefill_tokens_per_s,
            f->decode_tokens_per_s, format_duration((int64_t)(5000.0 * 1000 / f->prefill_tokens_per_s), wait));
    else
        say(p, out, slow ? CHECK_BAD : CHECK_OK, "writes %.1f tokens a second", f->decode_tokens_per_s);
    if (slow)
        remedy(p, out, "use a smaller or a mixture-of-experts model, or a machine with a GPU; `stead fit` shows what to expect here");
}

struct stop_at_first {
    struct cancel cancel;
    struct loop *loop;
    int64_t at_ms;
};

static void stop_now(void *ctx, struct span piece)
{
    struct stop_at_first *s = ctx;
    (void)piece;
    if (s->cancel.raised)
        return;
    s->at_ms = clock_ms();
    cancel_raise(&s->cancel, "probe");
    loop_wake(s->loop);
}

static void check_cancel(struct probe *p, struct profile_check *out)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 }, r2 = { 0 };
    struct stop_at_first stop = { .loop = p->loop };
    struct chat_events ev = { .ctx = &stop, .on_text = stop_now, .on_reasoning = stop_now };
    struct chat *c = open_chat(p, false, 512);
    if (c && chat_add_user(c, SPAN("Count from one to two hundred in words."), &e) >= 0)
        (void)(chat_reply(c, &ev, &stop.cancel, &a, &r, &e) < 0);
    chat_destroy(c);
    if (!stop.at_ms) {
        say(p, out, CHECK_UNKNOWN, "the reply was over before it could be stopped");
        return;
    }
    c = open_chat(p, false, 4);
    int rc = ask(p, c, "Say OK.", &a, &r2, &e);
    chat_destroy(c);
    if (out_of_time(p, out))
        return;
    char t[24];
    int64_t limit = (p->short_ttft_ms > 0 ? p->short_ttft_ms : 200) * 4 + 1500;
    if (server_failed(&r2, rc) || r2.ttft_ms < 0) {
        say(p, out, CHECK_UNKNOWN, "%s", e.text);
    } else if (r2.ttft_ms > limit) {
        say(p, out, CHECK_BAD, "after a request was stopped the next one waited %s: the server goes on writing for nobody", format_duration(r2.ttft_ms, t));
        remedy(p, out, "update the server; interrupting a long answer will not free it at once");
    } else {
        say(p, out, CHECK_OK, "stopping a reply frees the server at once");
    }
}

static void check_image(struct probe *p, struct profile_check *out)
{
    /* One red pixel, PNG. */
    static const unsigned char png[] = { 0x89, 'P', 'N', 'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 'I', 'H', 'D', 'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0, 0x90, 0x77,
                                         0x53, 0xde, 0, 0, 0, 0x0c, 'I', 'D', 'A', 'T', 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0,
                                         'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82 };
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct reply r = { 0 };
    struct behaviour *b = &p->ep->profile->behaviour;
    bool was = b->vision;
    b->vision = true;
    struct chat *c = open_chat(p, false, 16);
    int rc = c ? chat_add_image(c, "image/png", (struct span){ (const char *)png, sizeof png }, &e) : -1;
    if (rc >= 0)
        rc = ask(p, c, "Which colour is this?", &a, &r, &e);
    chat_destroy(c);
    b->vision = was;
    if (out_of_time(p, out))
        return;
    bool taken = !server_failed(&r, rc);
    b->vision = taken && was; /* many servers take an image and drop it: only what they announce is believed */
    say(p, out, CHECK_OK, b->vision ? "images are understood" : taken ? "an image is accepted, but the server does not announce that the model sees: not used" : "text only");
}

static const struct probe_row rows[] = {
    { "answer", "does it answer", true, check_answer },
    { "usage", "are tokens counted and limits kept", false, check_usage },
    { "tool-calls-streaming", "can the model use tools", true, check_tools },
    { "tool-calls-whole", "are calls the same without streaming", false, check_tools_whole },
    { "parallel-calls", "several tools at once", false, check_parallel },
    { "forced-call", "can a call be forced", false, check_forced },
    { "model-name", "are wrong model names refused", false, check_name },
    { "context", "how long may a conversation be", true, check_context },
    { "prefix-cache", "is the conversation kept in memory", false, check_cache },
    { "speed", "how quick is it", false, check_speed },
    { "cancel", "does stopping stop", false, check_cancel },
    { "images", "are images understood", false, check_image },
};

static void on_tick(void *ctx)
{
    struct probe *p = ctx;
    if ((p->asked && p->asked->raised) || clock_ms() >= p->deadline_ms) {
        if (!p->cancel.raised)
            cancel_raise(&p->cancel, "time for probing is up");
        loop_wake(p->loop);
    }
}

/* What the server made us leave out while the checks ran is a finding as well. */
static void note_adaptions(struct probe *p, struct profile_check *out)
{
    const struct behaviour *b = &p->before, *n = &p->ep->profile->behaviour;
    AUTO(buf) struct buf list = BUF_INIT(800);
    static const struct { size_t at; const char *what; } left[] = {
        { offsetof(struct behaviour, stream_usage), "token counts in streams" },
        { offsetof(struct behaviour, sampling_extended), "further sampling parameters" },
        { offsetof(struct behaviour, sampling_refused), "temperature" },
        { offsetof(struct behaviour, cache_prompt), "prompt caching by request" },
        { offsetof(struct behaviour, max_completion_tokens), "the name of the token limit" },
        { offsetof(struct behaviour, nine_char_ids), "call ids of nine characters" },
        { offsetof(struct behaviour, object_args), "arguments as objects" },
        { offsetof(struct behaviour, merge_user_after_tool), "alternating roles" },
    };
    for (size_t i = 0; i < COUNT_OF(left); i++)
        if (*((const bool *)((const char *)b + left[i].at)) != *((const bool *)((const char *)n + left[i].at)))
            buf_addf(&list, "%s%s", list.n ? ", " : "", left[i].what);
    if (b->system_place != n->system_place)
        buf_addf(&list, "%splace of the system prompt", list.n ? ", " : "");
    if (list.n)
        say(p, out, CHECK_ADAPTED, "the server refused something that stead then left out or changed: %s", buf_str(&list));
    else
        say(p, out, CHECK_OK, "every parameter that stead sends is accepted");
}

int probe_run(struct loop *loop, struct endpoint *ep, const struct probe_options *o, const struct probe_events *ev, struct cancel *cancel, struct err *e)
{
    static const struct probe_options none;
    static const struct probe_events silent;
    o = o ? o : &none;
    ev = ev ? ev : &silent;
    int rc = endpoint_look(loop, ep, 10000, cancel, e);
    if (rc < 0)
        return rc;
    if (ep->state == ENDPOINT_DOWN || ep->state == ENDPOINT_REFUSED || ep->state == ENDPOINT_NO_MODEL) {
        err_set(e, ERR_UNAVAILABLE, "cannot probe: %s", ep->problem);
        err_hint(e, "%s", ep->remedy);
        return -ERR_UNAVAILABLE;
    }
    struct profile *f = NULL;
    rc = profile_for(ep, NULL, &f, e); /* measured anew: an old profile is not believed */
    if (rc < 0)
        return rc;
    profile_destroy(ep->profile);
    ep->profile = f;
    struct probe p = { .loop = loop, .ep = ep, .asked = cancel, .arena = f->arena, .before = f->behaviour, .reachable = true, .short_ttft_ms = -1 };
    p.deadline_ms = clock_ms() + (o->budget_ms ? o->budget_ms : BUDGET_MS);
    struct profile_check *checks = arena_array(f->arena, COUNT_OF(rows) + 2, sizeof *checks);
    struct loop_source *tick = loop_timer(loop, 100, true, on_tick, &p);
    if (!checks || !tick) {
        loop_remove(tick);
        return err_set(e, ERR_NOMEM, "cannot probe: out of memory");
    }
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (o->quick && !rows[i].quick)
            continue;
        struct profile_check *c = &checks[n];
        *c = (struct profile_check){ rows[i].name, CHECK_UNKNOWN, "", "" };
        if (ev->on_start)
            ev->on_start(ev->ctx, rows[i].name, rows[i].title, (int)i + 1, (int)COUNT_OF(rows) + 1);
        if (!out_of_time(&p, c)) {
            if (!p.reachable && i > 0)
                say(&p, c, CHECK_UNKNOWN, "not tried: the server does not answer requests");
            else
                rows[i].run(&p, c);
        }
        if (ev->on_check)
            ev->on_check(ev->ctx, c);
        n++;
        if (cancel && cancel->raised)
            break;
    }
    checks[n] = (struct profile_check){ "parameters", CHECK_UNKNOWN, "", "" };
    if (p.reachable)
        note_adaptions(&p, &checks[n]);
    if (ev->on_check)
        ev->on_check(ev->ctx, &checks[n]);
    n++;
    loop_remove(tick);
    f->checks = (struct bind_array){ checks, n };
    f->probed_unix_ms = clock_unix_ms();
    if (cancel && cancel->raised)
        return err_set(e, ERR_CANCELLED, "probing %s was interrupted", ep->url);
    return 0;
}

static void add_section(const struct profile *f, enum verdict_kind v, const char *title, struct buf *out)
{
    const struct profile_check *c = f->checks.items;
    bool any = false;
    for (size_t i = 0; i < f->checks.len; i++) {
        if (c[i].verdict != (int)v)
            continue;
        if (!any)
            buf_addf(out, "\n%s\n", title);
        any = true;
        buf_addf(out, "  - %s\n", c[i].detail);
        if (c[i].remedy[0])
            buf_addf(out, "    to change it: %s\n", c[i].remedy);
    }
}

bool probe_report(const struct endpoint *ep, struct buf *out)
{
    const struct profile *f = ep->profile;
    char version[80], model[120];
    clean_into(version, sizeof version, span_of(ep->version), CLEAN_LINE);
    clean_into(model, sizeof model, span_of(ep->model), CLEAN_LINE);
    buf_addf(out, "%s%s%s at %s, model %s\n", server_kind_title(ep->server), *version ? " " : "", version, ep->url, model);
    const struct profile_check *c = f->checks.items;
    bool answers = true, tools = false;
    for (size_t i = 0; i < f->checks.len; i++) {
        if (!strcmp(c[i].name, "answer"))
            answers = c[i].verdict == CHECK_OK;
        if (!strcmp(c[i].name, "tool-calls-streaming"))
            tools = c[i].verdict == CHECK_OK || c[i].verdict == CHECK_ADAPTED;
    }
    buf_adds(out, !answers ? "It cannot be used for work: it does not answer properly.\n"
                  : tools  ? "It can be used for work: it answers and uses tools.\n"
                           : "It answers questions, but it cannot do work: its model does not use tools.\n");
    add_section(f, CHECK_OK, "What works", out);
    add_section(f, CHECK_ADAPTED, "What stead works around", out);
    add_section(f, CHECK_BAD, "What does not work well", out);
    add_section(f, CHECK_UNKNOWN, "What could not be told", out);
    if (f->quirks.len) {
        buf_adds(out, "\nKnown behaviour of this server or model that is taken care of\n");
        size_t n;
        const struct quirk *all = quirks_all(&n);
        for (size_t i = 0; i < f->quirks.len; i++)
            for (size_t k = 0; k < n; k++)
                if (!strcmp(all[k].name, f->quirks.items[i]))
                    buf_addf(out, "  - %s\n", all[k].says);
    }
    return !out->failed;
}
