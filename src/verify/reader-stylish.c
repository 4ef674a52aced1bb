/*
 * eslint's default output (stylish): a file's name at the margin, below it
 *     "  1:24  error  'undefinedVar' is not defined  no-undef"
 * with the rule after the last run of blanks. stylelint's and standard's text is near enough to be read.
 */
#include "verify/reader-internal.h"

static bool stylish_line(struct span line, int64_t *row, int64_t *col, enum result_severity *sev, struct span *message, struct span *rule)
{
    struct span s = span_trim(line);
    if (!line.n || line.p[0] != ' ')
        return false;
    *row = take_number(&s);
    if (*row < 0 || !take_prefix(&s, ":") || (*col = take_number(&s)) < 0 || !s.n || s.p[0] != ' ')
        return false;
    s = span_trim(s);
    *sev = RESULT_ERROR;
    if (take_prefix(&s, "warning  ") || take_prefix(&s, "⚠  "))
        *sev = RESULT_WARNING;
    else if (!take_prefix(&s, "error  ") && !take_prefix(&s, "✖  "))
        return false;
    s = span_trim(s);
    ptrdiff_t gap = span_rfind(s, "  ");
    *rule = gap > 0 ? span_trim(span_sub(s, (size_t)gap, s.n)) : SPAN("");
    *message = gap > 0 ? span_trim(span_sub(s, 0, (size_t)gap)) : s;
    return true;
}

static int stylish_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, file = SPAN(""), message, rule;
    enum result_severity sev;
    int64_t row, col;
    while (span_line(&text, &line)) {
        if (stylish_line(line, &row, &col, &sev, &message, &rule))
            results_add_finding(out, SPAN("eslint"), rule, sev, file, row, col, message);
        else if (line.n && line.p[0] != ' ' && span_has(line, "."))
            file = span_trim(line);
    }
    return 0;
}

static int stylish_sniff(struct span text)
{
    struct span line, message, rule;
    enum result_severity sev;
    int64_t row, col;
    while (span_line(&text, &line))
        if (stylish_line(line, &row, &col, &sev, &message, &rule))
            return 70;
    return 0;
}

const struct reader reader_stylish = {
    .name = "stylish",
    .summary = "eslint's default text",
    .lines = true,
    .sniff = stylish_sniff,
    .read = stylish_read,
};
