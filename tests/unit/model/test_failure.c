#include "support/test.h"

#include "base/mem.h"
#include "model/failure.h"

static void classify__goes_by_words_before_numbers(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum model_error want;
        int64_t prompt, ctx;
    } rows[] = {
        { 400, "{\"error\":{\"code\":400,\"message\":\"request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it\",\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":9000,\"n_ctx\":8192}}", MODEL_ERR_CONTEXT, 9000, 8192 },
        { 400, "{\"object\":\"error\",\"message\":\"This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (7000 in the messages, 2000 in the completion)\",\"type\":\"BadRequestError\",\"code\":400}", MODEL_ERR_CONTEXT, 7000, 8192 },
        { 400, "{\"object\":\"error\",\"message\":\"'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 4096 tokens and your request has 785 input tokens (4096 > 4096 - 785). (parameter=max_tokens, value=4096)\",\"code\":400}", MODEL_ERR_CONTEXT, 785, 4096 },
        { 400, "{\"error\":{\"message\":\"This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.\",\"code\":\"context_length_exceeded\"}}", MODEL_ERR_CONTEXT, 130000, 128000 },
        { 400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 210000 tokens > 200000 maximum\"}}", MODEL_ERR_CONTEXT, 210000, 200000 },
        { 400, "{\"error\":\"Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens\"}", MODEL_ERR_CONTEXT, -1, 4096 },
        { 400, "{\"object\":\"error\",\"message\":\"The input (61709 tokens) is longer than the model's context length (40960 tokens).\",\"code\":400}", MODEL_ERR_CONTEXT, 61709, 40960 },
        { 400, "{\"object\":\"error\",\"message\":\"Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5000 tokens\"}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 400, "{\"error\":{\"message\":\"The decoder prompt (length 163840) is longer than the maximum model length of 131072. Make sure that `max_model_len` is no smaller\"}}", MODEL_ERR_CONTEXT, 163840, 131072 },
        { 400, "{\"error\":{\"message\":\"Input length (5000) exceeds model's maximum context length (4096).\"}}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 422, "{\"error\":\"Input validation error: `inputs` must have less than 4096 tokens. Given: 5000\",\"error_type\":\"validation\"}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`\"}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 400, "{\"detail\":\"Prompt length 5000 is greater than max_seq_len 4096\"}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 400, "{\"error\":\"Prompt length (5000) exceeds maximum input length (4096).\"}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 400, "{\"error\":\"Number of prompt tokens: 5000 exceeds model max length: 4096\"}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000\"}}", MODEL_ERR_CONTEXT, 188240, 200000 },
        { 400, "{\"error\":{\"code\":400,\"message\":\"The input token count (5000) exceeds the maximum number of tokens allowed (4096).\"}}", MODEL_ERR_CONTEXT, 5000, 4096 },
        { 400, "{\"error\":\"This model's maximum prompt length is 131072 but the request contains 537812 tokens\"}", MODEL_ERR_CONTEXT, 537812, 131072 },
        { 503, "{\"error\":{\"message\":\"Loading model\",\"type\":\"unavailable_error\",\"code\":503}}", MODEL_ERR_LOADING, -1, -1 },
        { 404, "{\"error\":\"No models loaded. Please load a model\"}", MODEL_ERR_LOADING, -1, -1 },
        { 429, "slow down", MODEL_ERR_OVERLOAD, -1, -1 },
        { 529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", MODEL_ERR_OVERLOAD, -1, -1 },
        { 502, "<html><head><title>502 Bad Gateway</title></head></html>", MODEL_ERR_OVERLOAD, -1, -1 },
        { 401, "{\"error\":{\"message\":\"Incorrect API key\"}}", MODEL_ERR_AUTH, -1, -1 },
        { 404, "{\"error\":{\"message\":\"model 'x' not found\"}}", MODEL_ERR_NOT_FOUND, -1, -1 },
        { 500, "{\"error\":{\"message\":\"Failed to parse tool call arguments as JSON\"}}", MODEL_ERR_MODEL, -1, -1 },
        { 500, "{\"error\":{\"message\":\"got exception: Unexpected empty grammar stack after accepting piece: x\"}}", MODEL_ERR_MODEL, -1, -1 },
        { 500, "{\"error\":{\"message\":\"Jinja Exception: roles must alternate\"}}", MODEL_ERR_CLIENT, -1, -1 },
        { 500, "{\"error\":{\"message\":\"CUDA error\"}}", MODEL_ERR_SERVER, -1, -1 },
        { 400, "{\"detail\":\"bad request\"}", MODEL_ERR_CLIENT, -1, -1 },
        { 302, "", MODEL_ERR_GARBAGE, -1, -1 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(buf) struct buf words = BUF_INIT(4096), type = BUF_INIT(256);
        int64_t prompt = -1, ctx = -1;
        failure_text(span_of(rows[i].body), &words, &type, &prompt, &ctx);
        enum model_error k = failure_classify(rows[i].status, buf_span(&type), buf_span(&words));
        if (k != rows[i].want)
            fail_msg("row %zu: %s (\"%s\")", i, model_error_name(k), buf_str(&words));
        if (rows[i].want == MODEL_ERR_CONTEXT && (prompt != rows[i].prompt || ctx != rows[i].ctx))
            fail_msg("row %zu: %lld of %lld", i, (long long)prompt, (long long)ctx);
    }
}

static void rows__are_complete(void **state)
{
    (void)state;
    for (int i = 1; i < MODEL_ERRS; i++) {
        const struct failure_row *row = failure_row((enum model_error)i);
        assert_int_equal(row->kind, i);
        assert_true(row->name && *row->name && strstr(row->what, "%s"));
        struct reply r;
        struct err e = ERR_INIT;
        assert_int_equal(failure_set(&r, row->kind, "desk", SPAN("\x1b[31mred\nline"), &e), -(int)row->err);
        assert_contains(e.text, "desk");
        assert_null(strchr(e.text, '\x1b'));
        assert_null(strchr(e.text, '\n'));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(classify__goes_by_words_before_numbers), cmocka_unit_test(rows__are_complete) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
