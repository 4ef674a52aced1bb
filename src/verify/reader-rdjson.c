/*
 * Reviewdog Diagnostic Format: rdjson {source, severity, diagnostics: []} and rdjsonl, one diagnostic
 * a line: {message, location: {path, range: {start: {line, column}}}, severity, code: {value}, source}.
 */
#include "base/bind.h"
#include "verify/reader-internal.h"

struct rd {
    struct results *out;
    struct span tool, severity; /* of the whole report */
};

static int one(void *ctx, const json_t *d)
{
    struct rd *rd = ctx;
    const json_t *loc = json_object_get(d, "location");
    const json_t *start = json_object_get(json_object_get(loc, "range"), "start");
    struct span tool = json_text(json_object_get(d, "source"), "name");
    struct span sev = json_text(d, "severity");
    if (!loc)
        return 0;
    if (!sev.n)
        sev = rd->severity;
    results_add_finding(rd->out, tool.n ? tool : rd->tool, json_text(json_object_get(d, "code"), "value"),
                        span_eqs(sev, "WARNING") ? RESULT_WARNING
                        : span_eqs(sev, "INFO")  ? RESULT_NOTE
                                                 : RESULT_ERROR,
                        json_text(loc, "path"), json_number_of(start, "line"), json_number_of(start, "column"),
                        json_text(d, "message"));
    return 0;
}

static int rdjson_read(struct span text, struct results *out, struct err *e)
{
    struct rd rd = { .out = out, .tool = SPAN(""), .severity = SPAN("") };
    if (!span_has(text, "\"diagnostics\"")) {
        json_lines(text, one, &rd);
        return 0;
    }
    AUTO(json) json_t *doc = NULL;
    int found = json_within(text, '{', &doc, e);
    if (found <= 0)
        return found < 0 ? found : err_set(e, ERR_INPUT, "no JSON object in it");
    rd.tool = json_text(json_object_get(doc, "source"), "name");
    rd.severity = json_text(doc, "severity");
    const json_t *list = json_object_get(doc, "diagnostics"), *d;
    size_t i;
    json_array_foreach(list, i, d) one(&rd, d);
    return 0;
}

static int rdjson_sniff(struct span text)
{
    return span_has(text, "\"diagnostics\"") && span_has(text, "\"location\"")                                   ? 85
           : span_has(text, "\"location\"") && span_has(text, "\"path\"") && span_has(text, "\"message\"") ? 60
                                                                                                                 : 0;
}

const struct reader reader_rdjson = {
    .name = "rdjson",
    .summary = "Reviewdog Diagnostic Format, rdjson and rdjsonl",
    .sniff = rdjson_sniff,
    .read = rdjson_read,
};
