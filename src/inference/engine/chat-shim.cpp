/* chat-shim.cpp - see chat-shim.h. */
#include "inference/engine/chat-shim.h"

#include <chat.h>
#include <common.h>
#include <llama.h>
#include <sampling.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <stdexcept>
#include <string>

struct chat_templates {
    common_chat_templates_ptr templates;
    std::string source;
    bool parallel_calls;
};

struct chat_prompt {
    common_chat_params params;
    common_reasoning_format reasoning;
    bool has_tools;
    common_grammar grammar;
};

struct chat_sampler {
    common_sampler_ptr sampler; /* NULL: the likeliest token is taken as it is */
    const llama_vocab *vocab;
    std::set<llama_token> preserved;
    std::vector<llama_token> never; /* then: tokens that are not to be chosen */
};

struct chat_parse {
    common_chat_parser_params params;
    std::string text;
    common_chat_msg message;
    std::vector<std::string> ids;
    std::vector<std::string> thinking_ends; /* what closes a thought */
};

/* Run `f`; an exception becomes an error that begins with `what`. */
template <typename F> static int guarded(struct err *e, const char *what, F f)
{
    try {
        f();
        return 0;
    } catch (const std::bad_alloc &) {
        return err_set(e, ERR_NOMEM, "%s: out of memory", what);
    } catch (const std::exception &x) {
        return err_set(e, ERR_INPUT, "%s: %.300s", what, x.what());
    } catch (...) {
        return err_set(e, ERR_INTERNAL, "%s: unknown exception in llama.cpp", what);
    }
}

static std::string call_id()
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    static std::mt19937_64 random{ std::random_device{}() };
    std::string id = "call_";
    for (int i = 0; i < 24; i++)
        id += digits[random() % (sizeof digits - 1)];
    return id;
}

int chat_templates_create(const struct llama_model *model, const char *override, struct chat_templates **out,
                          struct err *e)
{
    return guarded(e, "chat template", [&] {
        auto t = std::make_unique<chat_templates>();
        t->templates = common_chat_templates_init(model, override ? override : "");
        t->source = common_chat_templates_source(t->templates.get());
        auto caps = common_chat_templates_get_caps(t->templates.get());
        auto it = caps.find("supports_parallel_tool_calls");
        t->parallel_calls = it != caps.end() && it->second;
        *out = t.release();
    });
}

void chat_templates_destroy(struct chat_templates *t)
{
    delete t;
}

const char *chat_templates_source(const struct chat_templates *t)
{
    return t->source.c_str();
}

/* llama.cpp aborts the process on this prefix: it was built without that library. */
static void refuse_llguidance(const std::string &grammar)
{
    if (grammar.compare(0, 11, "%llguidance") == 0)
        throw std::invalid_argument("llguidance grammars are not supported, use GBNF");
}

int chat_prompt_create(struct chat_templates *t, const struct chat_request *r, struct chat_prompt **out,
                       struct err *e)
{
    return guarded(e, "chat request", [&] {
        common_chat_templates_inputs in;
        in.messages = common_chat_msgs_parse_oaicompat(common_json::parse(r->messages));
        if (in.messages.empty())
            throw std::invalid_argument("'messages' is empty");
        if (r->tools)
            in.tools = common_chat_tools_parse_oaicompat(common_json::parse(r->tools));
        in.tool_choice = r->tool_choice == CHAT_TOOL_REQUIRED ? COMMON_CHAT_TOOL_CHOICE_REQUIRED
                         : r->tool_choice == CHAT_TOOL_NONE   ? COMMON_CHAT_TOOL_CHOICE_NONE
                                                              : COMMON_CHAT_TOOL_CHOICE_AUTO;
        /* Where no grammar holds the model to one call, several are read as such, whatever the template can write down. */
        in.parallel_tool_calls = r->parallel_calls < 0 ? t->parallel_calls || r->tool_choice != CHAT_TOOL_REQUIRED : r->parallel_calls != 0;
        in.json_schema = r->json_schema ? r->json_schema : "";
        in.grammar = r->grammar ? r->grammar : "";
        refuse_llguidance(in.grammar);
        in.use_jinja = true;
        in.reasoning_format = common_reasoning_format_from_name(r->reasoning ? r->reasoning : "auto");
        in.enable_thinking = r->thinking == CHAT_THINKING_DEFAULT
                                 ? common_chat_templates_support_enable_thinking(t->templates.get())
                                 : r->thinking == CHAT_THINKING_ON;
        if (r->template_args) {
            common_json args = common_json::parse(r->template_args);
            for (const auto &item : args.items())
                in.chat_template_kwargs[item.key()] = item.value().dump();
        }
        bool tools = !in.tools.empty() && in.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
        if (tools && !in.grammar.empty())
            throw std::invalid_argument("a grammar and tools cannot both constrain the reply");
        if (!in.grammar.empty() && !in.json_schema.empty())
            throw std::invalid_argument("a grammar and a JSON schema cannot both constrain the reply");

        auto p = std::make_unique<chat_prompt>();
        p->params = common_chat_templates_apply(t->templates.get(), in);
        p->reasoning = in.reasoning_format;
        p->has_tools = tools;
        if (!in.grammar.empty()) { /* not every template's path hands it on */
            p->grammar = { COMMON_GRAMMAR_TYPE_USER, in.grammar };
            p->params.grammar_lazy = false;
            p->params.grammar_triggers.clear();
        } else if (p->params.grammar_lazy) {
            /* Calls that the model may make are not constrained: a grammar that sets in at their first token throws when
             * the model calls what is not there, where the harness can explain and ask again. On request (required) it is. */
            p->params.grammar.clear();
            p->params.grammar_lazy = false;
            p->params.grammar_triggers.clear();
        } else if (!p->params.grammar.empty()) {
            p->grammar = { tools ? COMMON_GRAMMAR_TYPE_TOOL_CALLS : COMMON_GRAMMAR_TYPE_OUTPUT_FORMAT,
                           p->params.grammar };
        }
        *out = p.release();
    });
}

void chat_prompt_destroy(struct chat_prompt *p)
{
    delete p;
}

const char *chat_prompt_text(const struct chat_prompt *p, size_t *n)
{
    *n = p->params.prompt.size();
    return p->params.prompt.c_str();
}

const char *chat_prompt_format(const struct chat_prompt *p)
{
    return common_chat_format_name(p->params.format);
}

size_t chat_prompt_stops(const struct chat_prompt *p)
{
    return p->params.additional_stops.size();
}

const char *chat_prompt_stop(const struct chat_prompt *p, size_t i)
{
    return p->params.additional_stops[i].c_str();
}

/* As llama-server binds a template's result to the sampler (server-schema.cpp: preserved_tokens, grammar_triggers). */
static void bind_grammar(const llama_vocab *vocab, const chat_prompt *p, common_params_sampling &s)
{
    for (const auto &text : p->params.preserved_tokens) {
        auto ids = common_tokenize(vocab, text, false, true);
        if (ids.size() == 1)
            s.preserved_tokens.insert(ids[0]);
    }
    if (p->grammar.empty())
        return;
    s.grammar = p->grammar;
    s.grammar_lazy = p->params.grammar_lazy;
    for (const auto &t : p->params.grammar_triggers) {
        if (t.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {
            auto ids = common_tokenize(vocab, t.value, false, true);
            if (ids.size() == 1 && s.preserved_tokens.count(ids[0])) {
                s.grammar_triggers.push_back({ COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN, t.value, ids[0] });
                continue;
            }
        }
        s.grammar_triggers.push_back(t);
    }
    if (s.grammar_lazy && s.grammar_triggers.empty())
        throw std::runtime_error("the template names no trigger for its grammar");
}

/* Nothing but the logits decides: no temperature, no penalty, no grammar. */
static bool is_plain_greedy(const common_params_sampling &q)
{
    return q.temp <= 0 && q.penalty_repeat == 1.0f && q.penalty_present == 0.0f && q.penalty_freq == 0.0f && q.grammar.empty();
}

int chat_sampler_create(const struct llama_model *model, const struct chat_prompt *p,
                        const struct chat_sampling *how, struct chat_sampler **out, struct err *e)
{
    return guarded(e, "sampling", [&] {
        auto s = std::make_unique<chat_sampler>();
        s->vocab = llama_model_get_vocab(model);
        common_params_sampling q;
        q.seed = how->seed;
        q.temp = how->temperature;
        q.top_k = how->top_k;
        q.top_p = how->top_p;
        q.min_p = how->min_p;
        q.penalty_repeat = how->repeat_penalty;
        q.penalty_present = how->presence_penalty;
        q.penalty_freq = how->frequency_penalty;
        q.penalty_last_n = how->repeat_last_n;
        q.no_perf = true;
        q.ignore_eos = how->ignore_eos;
        if (how->ignore_eos)
            for (llama_token i = 0; i < llama_vocab_n_tokens(s->vocab); i++)
                if (llama_vocab_is_eog(s->vocab, i))
                    q.logit_bias.push_back({ i, -INFINITY });
        q.generation_prompt = p->params.generation_prompt;
        bind_grammar(s->vocab, p, q);
        if (!p->params.thinking_start_tag.empty() && !p->params.thinking_end_tags.empty()) {
            /* a lazy grammar must not fire on a call that is only being thought about */
            q.reasoning_budget_start = common_tokenize(s->vocab, p->params.thinking_start_tag, false, true);
            for (const auto &tag : p->params.thinking_end_tags)
                q.reasoning_budget_end.push_back(common_tokenize(s->vocab, tag, false, true));
            q.reasoning_budget_forced = q.reasoning_budget_end.front();
        }
        s->preserved = q.preserved_tokens;
        if (is_plain_greedy(q)) {
            for (const auto &bias : q.logit_bias)
                s->never.push_back(bias.token);
            *out = s.release();
            return;
        }
        s->sampler.reset(common_sampler_init(model, q));
        if (!s->sampler)
            throw std::runtime_error("llama.cpp refused the sampler");
        *out = s.release();
    });
}

void chat_sampler_destroy(struct chat_sampler *s)
{
    delete s;
}

/* The first of the largest. llama.cpp's sampler would copy the whole vocabulary into a list of candidates for it. */
static int32_t likeliest(float *logits, int32_t n, const std::vector<llama_token> &never)
{
    static const int32_t block = 512;
    float best = -INFINITY;
    int32_t from = 0;
    for (llama_token t : never)
        logits[t] = -INFINITY; /* they are this step's own */
    for (int32_t i = 0; i < n; i += block) {
        const float *v = logits + i;
        int32_t len = n - i < block ? n - i : block, k = 0;
        float m[8] = { best, best, best, best, best, best, best, best };
        for (; k + 8 <= len; k += 8)
            for (int j = 0; j < 8; j++)
                m[j] = v[k + j] > m[j] ? v[k + j] : m[j];
        for (; k < len; k++)
            m[0] = v[k] > m[0] ? v[k] : m[0];
        float most = *std::max_element(m, m + 8);
        if (most > best) {
            best = most;
            from = i;
        }
    }
    while (from < n - 1 && logits[from] != best)
        from++;
    return from;
}

int32_t chat_sampler_next(struct chat_sampler *s, struct llama_context *ctx, int32_t row, struct err *e)
{
    int32_t token = -1;
    int rc = guarded(e, "sampling", [&] {
        if (!s->sampler) {
            float *logits = llama_get_logits_ith(ctx, row);
            if (!logits)
                throw std::runtime_error("llama.cpp has no logits for the last token");
            token = likeliest(logits, llama_vocab_n_tokens(s->vocab), s->never);
            return;
        }
        token = common_sampler_sample(s->sampler.get(), ctx, row);
        common_sampler_accept(s->sampler.get(), token, true);
    });
    return rc < 0 ? -1 : token;
}

int chat_sampler_piece(const struct chat_sampler *s, int32_t token, char *out, int cap)
{
    return llama_token_to_piece(s->vocab, token, out, cap, 0, s->preserved.count(token) != 0);
}

int chat_parse_create(const struct chat_prompt *p, struct chat_parse **out, struct err *e)
{
    return guarded(e, "reply parser", [&] {
        auto r = std::make_unique<chat_parse>();
        r->params = common_chat_parser_params(p->params);
        r->params.reasoning_format = p->reasoning;
        r->params.parse_tool_calls = p->has_tools;
        if (!p->params.parser.empty())
            r->params.parser.load(p->params.parser);
        r->message.role = "assistant";
        r->thinking_ends = p->params.thinking_end_tags;
        *out = r.release();
    });
}

void chat_parse_destroy(struct chat_parse *r)
{
    delete r;
}

static common_json delta_json(const common_chat_msg_diff &d)
{
    common_json delta = common_json::object();
    if (!d.reasoning_content_delta.empty())
        delta["reasoning_content"] = d.reasoning_content_delta;
    if (!d.content_delta.empty())
        delta["content"] = d.content_delta;
    if (d.tool_call_index != std::string::npos) {
        common_json call = common_json::object();
        call["index"] = d.tool_call_index;
        if (!d.tool_call_delta.id.empty()) {
            call["id"] = d.tool_call_delta.id;
            call["type"] = "function";
        }
        common_json function = common_json::object();
        if (!d.tool_call_delta.name.empty())
            function["name"] = d.tool_call_delta.name;
        if (!d.tool_call_delta.arguments.empty())
            function["arguments"] = d.tool_call_delta.arguments;
        if (!function.empty())
            call["function"] = function;
        delta["tool_calls"] = common_json::array({ call });
    }
    return delta;
}

int chat_parse_add(struct chat_parse *r, const char *text, size_t n, bool final, chat_delta_fn fn, void *ctx,
                   struct err *e)
{
    return guarded(e, "reading the model's reply", [&] {
        r->text.append(text, n);
        common_chat_msg now = common_chat_parse(r->text, !final, r->params);
        if (now.empty())
            return;
        if (now.role.empty())
            now.role = "assistant";
        now.set_tool_call_ids(r->ids, call_id);
        auto diffs = common_chat_msg_diff::compute_diffs(r->message, now);
        r->message = now;
        if (fn)
            for (const auto &d : diffs) {
                std::string json = delta_json(d).dump();
                if (json != "{}")
                    fn(ctx, json.data(), json.size());
            }
    });
}

/* Move `at` behind `what`, where it is still to come. */
static bool skip(const std::string &text, const std::string &what, size_t &at)
{
    size_t found = what.empty() ? std::string::npos : text.find(what, at);
    if (found == std::string::npos)
        return false;
    at = found + what.size();
    return true;
}

static size_t skip_space(const std::string &text, size_t at)
{
    size_t to = text.find_first_not_of(" \t\r\n", at);
    return to == std::string::npos ? text.size() : to;
}

const char *chat_parse_rest(const struct chat_parse *r, size_t *n)
{
    size_t at = 0;
    if (skip(r->text, r->message.reasoning_content, at))
        for (const auto &tag : r->thinking_ends)
            if (!tag.empty() && r->text.compare(skip_space(r->text, at), tag.size(), tag) == 0)
                at = skip_space(r->text, at) + tag.size();
    (void)skip(r->text, r->message.content, at);
    for (const auto &call : r->message.tool_calls)
        if (skip(r->text, call.name, at))
            (void)skip(r->text, call.arguments, at);
    *n = r->text.size() - at;
    return r->text.data() + at;
}

bool chat_parse_has_calls(const struct chat_parse *r)
{
    return !r->message.tool_calls.empty();
}

char *chat_parse_message(const struct chat_parse *r)
{
    char *out = nullptr;
    struct err ignored = ERR_INIT;
    (void)guarded(&ignored, "reply", [&] { out = strdup(r->message.to_json_oaicompat().dump().c_str()); });
    return out;
}

int chat_tokenize(const struct llama_model *model, const char *text, size_t n, bool add_special, int32_t **out,
                  struct err *e)
{
    int count = 0;
    int rc = guarded(e, "tokenizing", [&] {
        auto ids = common_tokenize(llama_model_get_vocab(model), std::string(text, n), add_special, true);
        int32_t *p = static_cast<int32_t *>(malloc((ids.size() + 1) * sizeof *p));
        if (!p)
            throw std::bad_alloc();
        if (!ids.empty())
            memcpy(p, ids.data(), ids.size() * sizeof *p);
        *out = p;
        count = static_cast<int>(ids.size());
    });
    return rc < 0 ? rc : count;
}

/* llama.cpp's src/llama-ext.h, which is not installed: exported, and weak here in case a build lacks it. */
struct llama_memory_breakdown_data {
    size_t model, context, compute;
};
__attribute__((weak)) std::map<ggml_backend_buffer_type_t, llama_memory_breakdown_data>
llama_get_memory_breakdown(const struct llama_context *ctx);

int chat_memory_read(const struct llama_context *ctx, struct chat_memory *out, struct err *e)
{
    if (!llama_get_memory_breakdown)
        return err_set(e, ERR_UNSUPPORTED, "this llama.cpp does not say what it allocates");
    return guarded(e, "memory", [&] {
        *out = {};
        for (const auto &[type, m] : llama_get_memory_breakdown(ctx)) {
            bool host = ggml_backend_buft_is_host(type);
            bool repack = std::string(ggml_backend_buft_name(type)).find("REPACK") != std::string::npos;
            (repack ? out->repacked : host ? out->weights : out->device_weights) += m.model;
            (host || repack ? out->context : out->device_context) += m.context;
            (host || repack ? out->compute : out->device_compute) += m.compute;
        }
    });
}
