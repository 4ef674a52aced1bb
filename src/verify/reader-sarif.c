/*
 * SARIF 2.1.0 (OASIS): runs[].results[] with ruleId (or ruleIndex into the driver's rules), level,
 * message and the first physical location.
 */
#include "base/bind.h"
#include "verify/reader-internal.h"

/* "src/we%20ird.c" is a URI: the file is "src/we ird.c". */
static void add_path(struct buf *out, struct span uri)
{
    for (size_t i = 0; i < uri.n; i++) {
        char hex[3] = "";
        if (uri.p[i] == '%' && i + 2 < uri.n && isxdigit((unsigned char)uri.p[i + 1]) && isxdigit((unsigned char)uri.p[i + 2])) {
            memcpy(hex, uri.p + i + 1, 2);
            buf_addc(out, (char)strtoul(hex, NULL, 16));
            i += 2;
        } else {
            buf_addc(out, uri.p[i]);
        }
    }
}

static void one(struct results *out, const json_t *driver, const json_t *r)
{
    struct span rule = json_text(r, "ruleId");
    const json_t *rules = json_object_get(driver, "rules");
    const json_t *index = json_object_get(r, "ruleIndex");
    const json_t *def = json_is_integer(index) && json_integer_value(index) >= 0
                            ? json_array_get(rules, (size_t)json_integer_value(index))
                            : NULL;
    if (!rule.n)
        rule = json_text(def, "id");
    if (span_eqs(json_text(r, "kind"), "pass") || span_eqs(json_text(r, "kind"), "notApplicable") ||
        json_array_size(json_object_get(r, "suppressions")) > 0)
        return;
    struct span level = json_text(r, "level");
    if (!level.n)
        level = json_text(json_object_get(def, "defaultConfiguration"), "level");
    const json_t *place = json_object_get(json_array_get(json_object_get(r, "locations"), 0), "physicalLocation");
    struct span message = json_text(json_object_get(r, "message"), "text"), id = json_text(json_object_get(r, "message"), "id");
    if (!message.n && id.n) { /* by the rule's table */
        AUTO(ptr) char *name = span_dup(id);
        message = json_text(json_object_get(json_object_get(def, "messageStrings"), name ? name : ""), "text");
    }
    AUTO(buf) struct buf path = BUF_INIT(1u << 16);
    add_path(&path, json_text(json_object_get(place, "artifactLocation"), "uri"));
    const json_t *region = json_object_get(place, "region");
    results_add_finding(out, json_text(driver, "name"), rule,
                        span_eqs(level, "error")                            ? RESULT_ERROR
                        : span_eqs(level, "note") || span_eqs(level, "none") ? RESULT_NOTE
                                                                            : RESULT_WARNING,
                        buf_span(&path), json_number_of(region, "startLine"), json_number_of(region, "startColumn"), message);
}

static int sarif_read(struct span text, struct results *out, struct err *e)
{
    AUTO(json) json_t *doc = NULL;
    int found = json_within(text, '{', &doc, e);
    if (found <= 0)
        return found < 0 ? found : err_set(e, ERR_INPUT, "no JSON object in it");
    const json_t *runs = json_object_get(doc, "runs"), *run, *r;
    size_t i, k;
    json_array_foreach(runs, i, run)
    {
        const json_t *driver = json_object_get(json_object_get(run, "tool"), "driver");
        const json_t *list = json_object_get(run, "results");
        json_array_foreach(list, k, r) one(out, driver, r);
    }
    return 0;
}

static int sarif_sniff(struct span text)
{
    return span_has(text, "\"runs\"") && (span_has(text, "sarif") || span_has(text, "\"results\"")) ? 96 : 0;
}

const struct reader reader_sarif = {
    .name = "sarif",
    .summary = "SARIF 2.1.0",
    .sniff = sarif_sniff,
    .read = sarif_read,
};
