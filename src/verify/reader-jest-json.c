/*
 * jest --json, vitest --reporter json: {testResults: [{name, status, message, assertionResults: [{ancestorTitles, title,
 * status, failureMessages}]}]}. A file without results that failed could not be loaded.
 */
#include "base/bind.h"
#include "verify/reader-internal.h"

static void one_case(const json_t *file, const json_t *c, struct results *out)
{
    AUTO(buf) struct buf suite = BUF_INIT(1u << 16);
    const json_t *title;
    size_t i;
    buf_add_span(&suite, json_text(file, "name"));
    json_array_foreach(json_object_get(c, "ancestorTitles"), i, title) if (json_is_string(title) && json_string_length(title))
    {
        buf_adds(&suite, " > ");
        buf_adds(&suite, json_string_value(title));
    }
    struct span status = json_text(c, "status");
    const json_t *why = json_array_get(json_object_get(c, "failureMessages"), 0);
    results_add_test(out, buf_span(&suite), json_text(c, "title"),
                     span_eqs(status, "passed")   ? TEST_PASS
                     : span_eqs(status, "failed") ? TEST_FAIL
                                                  : TEST_SKIP,
                     json_text(file, "name"), json_number_of(json_object_get(c, "location"), "line"),
                     json_is_string(why) ? span_of(json_string_value(why)) : SPAN(""));
}

static int jest_json_read(struct span text, struct results *out, struct err *e)
{
    AUTO(json) json_t *doc = NULL;
    int found = json_within(text, '{', &doc, e);
    if (found <= 0)
        return found < 0 ? found : err_set(e, ERR_INPUT, "no JSON object in it");
    const json_t *file, *c;
    size_t i, k;
    json_array_foreach(json_object_get(doc, "testResults"), i, file)
    {
        const json_t *cases = json_object_get(file, "assertionResults");
        json_array_foreach(cases, k, c) one_case(file, c, out);
        if (!json_array_size(cases) && span_eqs(json_text(file, "status"), "failed"))
            results_add_broken(out, json_text(file, "name"), json_text(file, "message"));
    }
    return 0;
}

static int jest_json_sniff(struct span text)
{
    return span_has(text, "\"testResults\"") && span_has(text, "\"assertionResults\"") ? 96 : 0;
}

const struct reader reader_jest_json = {
    .name = "jest-json",
    .summary = "jest --json, vitest --reporter json",
    .repeats = true,
    .sniff = jest_json_sniff,
    .read = jest_json_read,
};
