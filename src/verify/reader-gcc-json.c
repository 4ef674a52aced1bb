/*
 * gcc -fdiagnostics-format=json (gcc 9..14): an array a translation unit, on standard error, each item
 * {kind, message, option, locations: [{caret: {file, line, column}}], children}. A build prints many
 * arrays, one a line, between other lines.
 */
#include "base/bind.h"
#include "verify/reader-internal.h"

static void one(struct results *out, const json_t *d)
{
    struct span kind = json_text(d, "kind");
    if (span_eqs(kind, "note"))
        return;
    const json_t *caret = json_object_get(json_array_get(json_object_get(d, "locations"), 0), "caret");
    int64_t col = json_number_of(caret, "display-column");
    results_add_finding(out, SPAN("gcc"), json_text(d, "option"),
                        span_eqs(kind, "warning") ? RESULT_WARNING : RESULT_ERROR, json_text(caret, "file"),
                        json_number_of(caret, "line"), col ? col : json_number_of(caret, "column"),
                        json_text(d, "message"));
}

static int gcc_json_read(struct span text, struct results *out, struct err *e)
{
    struct span line;
    int result = 0;
    while (span_line(&text, &line)) {
        line = span_trim(line);
        if (!span_starts(line, "[{") && !span_starts(line, "[]"))
            continue;
        AUTO(json) json_t *doc = NULL;
        if (json_parse(line, BIND_TOLERANT, &doc, e) < 0) {
            result = -(int)ERR_INPUT;
            continue;
        }
        const json_t *d;
        size_t i;
        json_array_foreach(doc, i, d) one(out, d);
    }
    return out->nfindings ? 0 : result;
}

static int gcc_json_sniff(struct span text)
{
    return span_has(text, "\"caret\"") && span_has(text, "\"kind\"") ? 95 : 0;
}

const struct reader reader_gcc_json = {
    .name = "gcc-json",
    .summary = "gcc -fdiagnostics-format=json",
    .sniff = gcc_json_sniff,
    .read = gcc_json_read,
};
