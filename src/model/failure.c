#include "model/failure.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/clean.h"
#include "base/mem.h"
#include "model/collect.h"

static const struct failure_row rows[MODEL_ERRS] = {
    [MODEL_OK] = { MODEL_OK, "ok", false, ERR_NONE, "", "" },
    [MODEL_ERR_MODEL] = { MODEL_ERR_MODEL, "model", false, ERR_PROTOCOL, "the model at %s gave nothing usable",
                          "try another model; `stead endpoint probe` shows what this one can do" },
    [MODEL_ERR_CLIENT] = { MODEL_ERR_CLIENT, "client", false, ERR_INPUT, "%s refuses the request",
                           "`stead endpoint probe` finds what this server does not accept" },
    [MODEL_ERR_CONTEXT] = { MODEL_ERR_CONTEXT, "context", false, ERR_LIMIT, "the conversation is longer than the context of %s",
                            "serve the model with a larger context, or give it a smaller task" },
    [MODEL_ERR_OVERLOAD] = { MODEL_ERR_OVERLOAD, "overload", true, ERR_UNAVAILABLE, "%s is overloaded", "try again later, or use another endpoint" },
    [MODEL_ERR_LOADING] = { MODEL_ERR_LOADING, "loading", true, ERR_UNAVAILABLE, "%s is still loading its model", "wait until it has loaded, then try again" },
    [MODEL_ERR_AUTH] = { MODEL_ERR_AUTH, "auth", false, ERR_DENIED, "%s refuses our key", "set key_env, key_file or key_command of this endpoint" },
    [MODEL_ERR_NOT_FOUND] = { MODEL_ERR_NOT_FOUND, "not-found", false, ERR_NOT_FOUND, "%s does not have this model or path",
                              "`stead endpoint list` shows the models that it serves" },
    [MODEL_ERR_CONNECT] = { MODEL_ERR_CONNECT, "connect", true, ERR_UNAVAILABLE, "%s does not answer", "start the server, or name another with --endpoint" },
    [MODEL_ERR_CUT] = { MODEL_ERR_CUT, "cut", true, ERR_PROTOCOL, "%s broke its reply off", "look at the server's log: it may have run out of memory" },
    [MODEL_ERR_STALLED] = { MODEL_ERR_STALLED, "stalled", true, ERR_TIMEOUT, "%s has stopped answering",
                            "look at the server's log and load; a restart may be needed" },
    [MODEL_ERR_GARBAGE] = { MODEL_ERR_GARBAGE, "garbage", false, ERR_PROTOCOL, "%s does not answer as a model server does",
                            "check the address: something else may be listening there" },
    [MODEL_ERR_SERVER] = { MODEL_ERR_SERVER, "server", true, ERR_PROTOCOL, "%s failed inside", "look at the server's log" },
    [MODEL_ERR_CANCELLED] = { MODEL_ERR_CANCELLED, "cancelled", false, ERR_CANCELLED, "the request to %s was stopped", "" },
    [MODEL_ERR_LOCAL] = { MODEL_ERR_LOCAL, "local", false, ERR_INTERNAL, "cannot ask %s", "" },
    [MODEL_ERR_GUARD] = { MODEL_ERR_GUARD, "guard", false, ERR_DENIED, "nothing was sent to %s", "guard.* in the configuration says what may leave; `--local-only` keeps it here" },
};

const struct failure_row *failure_row(enum model_error k)
{
    return &rows[k < MODEL_ERRS ? k : MODEL_ERR_LOCAL];
}

const char *model_error_name(enum model_error k)
{
    return failure_row(k)->name;
}

/* First match wins. Words are looked for without regard to case, in type and text. */
static const struct {
    int from, to; /* status; 0..999: any */
    const char *words;
    enum model_error kind;
} words[] = {
    { 0, 999, "exceed_context_size", MODEL_ERR_CONTEXT },
    { 0, 999, "context_length_exceeded", MODEL_ERR_CONTEXT },
    { 0, 999, "exceeds the available context", MODEL_ERR_CONTEXT },
    { 0, 999, "maximum context length", MODEL_ERR_CONTEXT },
    { 0, 999, "context length of only", MODEL_ERR_CONTEXT },
    { 0, 999, "context size has been exceeded", MODEL_ERR_CONTEXT },
    { 0, 999, "context window", MODEL_ERR_CONTEXT },
    { 0, 999, "greater than the context length", MODEL_ERR_CONTEXT },
    { 0, 999, "exceeds the context length", MODEL_ERR_CONTEXT },
    { 0, 999, "exceeds context", MODEL_ERR_CONTEXT },
    { 0, 999, "prompt is too long", MODEL_ERR_CONTEXT },
    { 0, 999, "prompt too long", MODEL_ERR_CONTEXT },
    { 0, 999, "input is too long", MODEL_ERR_CONTEXT },
    { 0, 999, "too many tokens", MODEL_ERR_CONTEXT },
    { 0, 999, "longer than the model's context length", MODEL_ERR_CONTEXT }, /* SGLang */
    { 0, 999, "longer than the maximum model length", MODEL_ERR_CONTEXT },   /* vLLM */
    { 0, 999, "exceeds model max length", MODEL_ERR_CONTEXT },               /* OpenVINO model server */
    { 0, 999, "exceeds maximum input length", MODEL_ERR_CONTEXT },           /* TensorRT-LLM, DeepInfra */
    { 0, 999, "greater than max_seq_len", MODEL_ERR_CONTEXT },               /* TabbyAPI */
    { 0, 999, "`inputs` must have less than", MODEL_ERR_CONTEXT },           /* text-generation-inference */
    { 0, 999, "`inputs` tokens + `max_new_tokens`", MODEL_ERR_CONTEXT },
    { 0, 999, "exceed context limit", MODEL_ERR_CONTEXT },                   /* Anthropic */
    { 0, 999, "exceeds the maximum number of tokens", MODEL_ERR_CONTEXT },   /* Gemini */
    { 0, 999, "maximum prompt length", MODEL_ERR_CONTEXT },                  /* xAI */
    { 0, 999, "reduce the length of the messages", MODEL_ERR_CONTEXT },      /* Groq */
    { 413, 413, "", MODEL_ERR_CONTEXT },
    { 0, 999, "loading model", MODEL_ERR_LOADING },
    { 0, 999, "model is loading", MODEL_ERR_LOADING },
    { 0, 999, "currently loading", MODEL_ERR_LOADING },
    { 0, 999, "no models loaded", MODEL_ERR_LOADING },
    { 0, 999, "no model loaded", MODEL_ERR_LOADING },
    { 0, 999, "model is not loaded", MODEL_ERR_LOADING },
    { 0, 999, "model has unloaded", MODEL_ERR_LOADING },
    { 0, 999, "model unloaded", MODEL_ERR_LOADING },
    { 401, 401, "", MODEL_ERR_AUTH },
    { 403, 403, "", MODEL_ERR_AUTH },
    { 402, 402, "", MODEL_ERR_AUTH },
    { 0, 0, "authentication_error", MODEL_ERR_AUTH },
    { 0, 999, "invalid api key", MODEL_ERR_AUTH },
    { 0, 999, "insufficient_quota", MODEL_ERR_AUTH },
    { 0, 999, "rate_limit", MODEL_ERR_OVERLOAD },
    { 0, 999, "overloaded", MODEL_ERR_OVERLOAD },
    { 0, 999, "queue is full", MODEL_ERR_OVERLOAD },
    { 0, 999, "too many requests", MODEL_ERR_OVERLOAD },
    { 0, 999, "server busy", MODEL_ERR_OVERLOAD },
    { 429, 429, "", MODEL_ERR_OVERLOAD },
    { 503, 503, "", MODEL_ERR_OVERLOAD },
    { 529, 529, "", MODEL_ERR_OVERLOAD },
    /* The model wrote what the server could not read as a call: re-ask (llama.cpp#24644, #20198). */
    { 0, 999, "failed to parse tool call", MODEL_ERR_MODEL },
    { 0, 999, "failed to parse input at pos", MODEL_ERR_MODEL },
    { 0, 999, "failed to parse messages", MODEL_ERR_CLIENT },
    { 500, 599, "parse error", MODEL_ERR_MODEL },
    { 0, 0, "parse error", MODEL_ERR_MODEL },
    { 0, 999, "error parsing tool call", MODEL_ERR_MODEL },
    { 0, 999, "invalid tool call", MODEL_ERR_MODEL },
    { 0, 999, "tool call parsing failed", MODEL_ERR_MODEL },
    { 0, 999, "unexpected end of tool call", MODEL_ERR_MODEL },
    { 0, 999, "does not match the expected", MODEL_ERR_MODEL },
    { 0, 999, "unexpected empty grammar stack", MODEL_ERR_MODEL }, /* llama-server, seen 2026-11-23 */
    { 0, 999, "harmony", MODEL_ERR_MODEL },
    { 0, 999, "model_not_found", MODEL_ERR_NOT_FOUND },
    { 404, 404, "", MODEL_ERR_NOT_FOUND },
    { 405, 405, "", MODEL_ERR_NOT_FOUND },
    /* Our mistakes that servers report as their own (quirk 29). */
    { 500, 599, "jinja", MODEL_ERR_CLIENT },
    { 500, 599, "template", MODEL_ERR_CLIENT },
    { 500, 599, "roles must alternate", MODEL_ERR_CLIENT },
    { 500, 599, "system message must be at the beginning", MODEL_ERR_CLIENT },
    { 500, 599, "unsupported tool type", MODEL_ERR_CLIENT },
    { 500, 599, "tool type", MODEL_ERR_CLIENT },
    { 500, 599, "invalid json", MODEL_ERR_CLIENT },
    { 500, 599, "failed to parse grammar", MODEL_ERR_CLIENT },
    { 500, 599, "failed to initialize samplers", MODEL_ERR_CLIENT },
    { 500, 599, "image input is not supported", MODEL_ERR_CLIENT },
    { 408, 408, "", MODEL_ERR_OVERLOAD },
    { 409, 409, "", MODEL_ERR_OVERLOAD },
    { 425, 425, "", MODEL_ERR_OVERLOAD },
    { 400, 499, "", MODEL_ERR_CLIENT },
    { 502, 504, "", MODEL_ERR_OVERLOAD },
    { 300, 399, "", MODEL_ERR_GARBAGE },
    { 0, 0, "invalid_request", MODEL_ERR_CLIENT },
    { 0, 999, "", MODEL_ERR_SERVER },
};

static bool has_words(struct span hay, const char *needle)
{
    size_t n = strlen(needle);
    for (size_t i = 0; i + n <= hay.n; i++)
        if (!strncasecmp(hay.p + i, needle, n))
            return true;
    return n == 0;
}

enum model_error failure_classify(int status, struct span type, struct span text)
{
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (status >= words[i].from && status <= words[i].to &&
            (has_words(type, words[i].words) || has_words(text, words[i].words)))
            return words[i].kind;
    return MODEL_ERR_SERVER;
}

/* The words of an HTML page: its title, or the text outside tags. */
static void html_text(struct span s, struct buf *out)
{
    bool tag = false, space = false;
    size_t start = out->n;
    for (size_t i = 0; i < s.n && out->n - start < 200; i++) {
        char c = s.p[i];
        if (c == '<') {
            tag = true;
        } else if (c == '>') {
            tag = false;
            space = true;
        } else if (!tag) {
            if ((unsigned char)c <= ' ') {
                space = true;
            } else {
                if (space && out->n > start)
                    buf_addc(out, ' ');
                space = false;
                buf_addc(out, c);
            }
        }
    }
}

void failure_text(struct span body, struct buf *out, struct buf *type, int64_t *n_prompt, int64_t *n_ctx)
{
    body = span_trim(body);
    AUTO(json) json_t *j = json_loadb(body.p, body.n, JSON_DECODE_ANY, NULL);
    if (json_is_object(j) || json_is_string(j)) {
        struct collect c;
        collect_init(&c, NULL);
        const json_t *inner = json_object_get(j, "error");
        collect_error(&c, inner ? inner : j);
        buf_add_span(out, buf_span(&c.error));
        buf_adds(type, c.error_type);
        if (c.error_n_prompt >= 0)
            *n_prompt = c.error_n_prompt;
        if (c.error_n_ctx >= 0)
            *n_ctx = c.error_n_ctx;
        collect_finish(&c);
    } else if (span_starts(body, "<")) {
        html_text(body, out);
    } else {
        struct span rest = body, line = { "", 0 };
        (void)span_line(&rest, &line);
        buf_add_span(out, span_sub(line, 0, 300));
    }
    failure_context_numbers(buf_span(out), n_prompt, n_ctx);
}

static int64_t number_after(struct span s, const char *phrase)
{
    size_t n = strlen(phrase);
    for (size_t i = 0; i + n < s.n; i++) {
        if (strncasecmp(s.p + i, phrase, n) != 0)
            continue;
        int64_t v = -1;
        for (size_t k = i + n; k < s.n && k < i + n + 24; k++) {
            char c = s.p[k];
            if (isdigit((unsigned char)c))
                v = (v < 0 ? 0 : v) * 10 + (c - '0');
            else if (v >= 0 && c != ',')
                break;
            if (v > 1000000000)
                break;
        }
        if (v > 0)
            return v;
    }
    return -1;
}

void failure_context_numbers(struct span text, int64_t *n_prompt, int64_t *n_ctx)
{
    static const char *const ctx[] = { "context length is", "context size (", "n_ctx\":", "context length of", "context window of", "> ", "context length (",
                                      "maximum model length of", "max length:", "maximum input length", "max_seq_len", "must have less than", "must be <=",
                                      "tokens allowed (", "prompt length is" };
    static const char *const prompt[] = { "request has", "tokens (", "you requested", "request (", "has at least", "resulted in", "n_prompt_tokens\":", "is too long:", "the input (",
                                         "(length", "prompt tokens:", "request contains", "prompt length", "input length (", "given:", "context limit:", "token count (" };
    for (size_t i = 0; *n_ctx < 0 && i < COUNT_OF(ctx); i++)
        *n_ctx = number_after(text, ctx[i]);
    for (size_t i = 0; *n_prompt < 0 && i < COUNT_OF(prompt); i++)
        *n_prompt = number_after(text, prompt[i]);
}

void failure_sentence(enum model_error k, const char *endpoint, char *out, size_t size)
{
    const char *what = failure_row(k)->what, *mark = strstr(what, "%s");
    snprintf(out, size, "%.*s%s%s", (int)(mark ? mark - what : 0), what, mark ? endpoint : "", mark ? mark + 2 : what);
}

int failure_set(struct reply *r, enum model_error k, const char *endpoint, struct span said, struct err *e)
{
    const struct failure_row *row = failure_row(k);
    char what[160], quoted[300];
    r->failure = k;
    failure_sentence(k, endpoint, what, sizeof what);
    clean_into(quoted, sizeof quoted, said, CLEAN_LINE);
    err_set(e, row->err, "%s%s%s", what, quoted[0] ? ": " : "", quoted);
    if (row->hint[0])
        err_hint(e, "%s", row->hint);
    return -(int)row->err;
}
