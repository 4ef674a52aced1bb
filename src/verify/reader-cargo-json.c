/*
 * cargo --message-format=json (check, build, clippy): objects with reason "compiler-message" whose
 * message has level, code, text and spans; the primary span is the place.
 */
#include "verify/reader-internal.h"

static int on_line(void *ctx, const json_t *v)
{
    struct results *out = ctx;
    if (!span_eqs(json_text(v, "reason"), "compiler-message"))
        return 0;
    const json_t *m = json_object_get(v, "message");
    struct span level = json_text(m, "level");
    enum result_severity sev = span_starts(level, "error")     ? RESULT_ERROR
                               : span_eqs(level, "warning")    ? RESULT_WARNING
                                                               : RESULT_NOTE;
    const json_t *spans = json_object_get(m, "spans"), *primary = NULL, *s;
    size_t i;
    json_array_foreach(spans, i, s) if (json_is_true(json_object_get(s, "is_primary")) && !primary) primary = s;
    if (!primary)
        return 0; /* "aborting due to 2 previous errors", "3 warnings emitted" */
    results_add_finding(out, SPAN("rustc"), json_text(json_object_get(m, "code"), "code"), sev,
                        json_text(primary, "file_name"), json_number_of(primary, "line_start"),
                        json_number_of(primary, "column_start"), json_text(m, "message"));
    return 0;
}

static int cargo_json_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    json_lines(text, on_line, out);
    return 0;
}

static int cargo_json_sniff(struct span text)
{
    return span_has(text, "\"reason\":\"compiler-message\"") || span_has(text, "\"reason\":\"build-finished\"") ? 97 : 0;
}

const struct reader reader_cargo_json = {
    .name = "cargo-json",
    .summary = "cargo check, build or clippy with --message-format=json",
    .sniff = cargo_json_sniff,
    .read = cargo_json_read,
};
