/*
 * shellcheck -f json1: {comments: [{file, line, column, level, code, message}]} (-f json: the bare
 * array). rubocop -f json is read here as well: {files: [{path, offenses: [...]}]}.
 */
#include "base/bind.h"
#include "verify/reader-internal.h"

static enum result_severity level_of(struct span l)
{
    return span_eqs(l, "error") || span_eqs(l, "fatal") ? RESULT_ERROR
           : span_eqs(l, "warning")                     ? RESULT_WARNING
                                                        : RESULT_NOTE;
}

static int shellcheck_read(struct span text, struct results *out, struct err *e)
{
    AUTO(json) json_t *doc = NULL;
    int found = json_within(text, starts_with_char(text, '[') ? '[' : '{', &doc, e);
    if (found <= 0)
        return found < 0 ? found : err_set(e, ERR_INPUT, "no JSON in it");
    const json_t *list = json_is_array(doc) ? doc : json_object_get(doc, "comments"), *c, *f;
    size_t i, k;
    char rule[32];
    json_array_foreach(list, i, c)
    {
        snprintf(rule, sizeof rule, "SC%lld", (long long)json_number_of(c, "code"));
        results_add_finding(out, SPAN("shellcheck"), span_of(rule), level_of(json_text(c, "level")), json_text(c, "file"),
                            json_number_of(c, "line"), json_number_of(c, "column"), json_text(c, "message"));
    }
    list = json_object_get(doc, "files");
    json_array_foreach(list, i, f)
    {
        const json_t *offenses = json_object_get(f, "offenses");
        json_array_foreach(offenses, k, c)
        {
            const json_t *loc = json_object_get(c, "location");
            results_add_finding(out, SPAN("rubocop"), json_text(c, "cop_name"), level_of(json_text(c, "severity")),
                                json_text(f, "path"), json_number_of(loc, "line"), json_number_of(loc, "column"),
                                json_text(c, "message"));
        }
    }
    return 0;
}

static int shellcheck_sniff(struct span text)
{
    return (span_has(text, "\"comments\"") && span_has(text, "\"code\"")) ||
                   (span_has(text, "\"offenses\"") && span_has(text, "\"files\""))
               ? 90
           : span_has(text, "\"endColumn\"") && span_has(text, "\"level\"") && span_has(text, "\"code\"") ? 70
                                                                                                         : 0;
}

const struct reader reader_shellcheck = {
    .name = "shellcheck",
    .summary = "shellcheck -f json1 or json, rubocop -f json",
    .sniff = shellcheck_sniff,
    .read = shellcheck_read,
};
