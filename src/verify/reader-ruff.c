/*
 * ruff --output-format json: [{code, message, filename, location: {row, column}}]; a syntax error has
 * code null. Biome, pylint ([{message-id, path, line, symbol}]) and hlint have the same outer shape and
 * are told apart by their members.
 */
#include "base/bind.h"
#include "verify/reader-internal.h"

static int ruff_read(struct span text, struct results *out, struct err *e)
{
    AUTO(json) json_t *doc = NULL;
    int found = json_within(text, '[', &doc, e);
    if (found <= 0)
        return found < 0 ? found : err_set(e, ERR_INPUT, "no JSON array in it");
    const json_t *d;
    size_t i;
    json_array_foreach(doc, i, d)
    {
        if (json_object_get(d, "filename")) {
            const json_t *loc = json_object_get(d, "location");
            results_add_finding(out, SPAN("ruff"), json_text(d, "code"), RESULT_ERROR, json_text(d, "filename"),
                                json_number_of(loc, "row"), json_number_of(loc, "column"), json_text(d, "message"));
        } else if (json_object_get(d, "symbol")) {
            struct span type = json_text(d, "type");
            results_add_finding(out, SPAN("pylint"), json_text(d, "symbol"),
                                span_eqs(type, "error") || span_eqs(type, "fatal") ? RESULT_ERROR : RESULT_WARNING,
                                json_text(d, "path"), json_number_of(d, "line"), json_number_of(d, "column"),
                                json_text(d, "message"));
        } else if (json_object_get(d, "hint")) {
            results_add_finding(out, SPAN("hlint"), json_text(d, "hint"),
                                span_eqs(json_text(d, "severity"), "Error") ? RESULT_ERROR : RESULT_WARNING,
                                json_text(d, "file"), json_number_of(d, "startLine"), json_number_of(d, "startColumn"),
                                json_text(d, "hint"));
        }
    }
    return 0;
}

static int ruff_sniff(struct span text)
{
    return (span_has(text, "\"filename\"") && span_has(text, "\"location\"") && span_has(text, "\"row\"")) ||
                   (span_has(text, "\"message-id\"") && span_has(text, "\"symbol\"")) ||
                   (span_has(text, "\"hint\"") && span_has(text, "\"startLine\""))
               ? 90
               : 0;
}

const struct reader reader_ruff = {
    .name = "ruff",
    .summary = "ruff --output-format json, pylint -f json, hlint --json",
    .sniff = ruff_sniff,
    .read = ruff_read,
};
