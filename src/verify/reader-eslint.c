/*
 * eslint -f json: [{filePath, messages: [{ruleId, severity: 1|2, message, line, column, fatal}]}].
 * Stylelint and oxlint's older form are near: [{source, warnings: [{rule, severity, text, line, column}]}].
 */
#include "base/bind.h"
#include "verify/reader-internal.h"

static int eslint_read(struct span text, struct results *out, struct err *e)
{
    AUTO(json) json_t *doc = NULL;
    int found = json_within(text, '[', &doc, e);
    if (found <= 0)
        return found < 0 ? found : err_set(e, ERR_INPUT, "no JSON array in it");
    const json_t *f, *m;
    size_t i, k;
    json_array_foreach(doc, i, f)
    {
        const json_t *list = json_object_get(f, "messages");
        json_array_foreach(list, k, m) results_add_finding(
            out, SPAN("eslint"), json_text(m, "ruleId"), json_number_of(m, "severity") == 1 ? RESULT_WARNING : RESULT_ERROR,
            json_text(f, "filePath"), json_number_of(m, "line"), json_number_of(m, "column"), json_text(m, "message"));
        list = json_object_get(f, "warnings");
        json_array_foreach(list, k, m) results_add_finding(
            out, SPAN("stylelint"), json_text(m, "rule"),
            span_eqs(json_text(m, "severity"), "warning") ? RESULT_WARNING : RESULT_ERROR, json_text(f, "source"),
            json_number_of(m, "line"), json_number_of(m, "column"), json_text(m, "text"));
    }
    return 0;
}

static int eslint_sniff(struct span text)
{
    return (span_has(text, "\"filePath\"") && span_has(text, "\"messages\"")) ||
                   (span_has(text, "\"source\"") && span_has(text, "\"warnings\""))
               ? 90
               : 0;
}

const struct reader reader_eslint = {
    .name = "eslint",
    .summary = "eslint -f json, stylelint -f json",
    .sniff = eslint_sniff,
    .read = eslint_read,
};
