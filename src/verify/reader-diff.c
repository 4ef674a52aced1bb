/*
 * The unified diff of a formatter (black --diff, gofmt -d, shfmt -d, rustfmt --check, clang-format's
 * wrapper): each hunk is a finding "format" at its first changed line. rustfmt prints
 * "Diff in FILE:LINE:" (older: "Diff in FILE at line N:") in place of headers.
 */
#include "verify/reader-internal.h"

static struct span header_file(struct span s)
{
    struct span rest = s, f = s;
    if (take_until(&rest, '\t', &f)) /* time stamps follow a tab */
        s = f;
    s = span_trim(s);
    take_suffix(&s, ".orig");
    return s;
}

static int diff_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, old_file = SPAN(""), file = SPAN("");
    int64_t row = 0;
    bool waiting = false; /* a hunk whose first change has not come yet */
    while (span_line(&text, &line)) {
        struct span s = line;
        if (take_prefix(&s, "Diff in ")) {
            int64_t n = -1;
            ptrdiff_t at = span_rfind(s, " at line ");
            if (at > 0) {
                struct span num = span_sub(s, (size_t)at + 9, s.n);
                n = take_number(&num);
                s = span_sub(s, 0, (size_t)at);
            } else {
                take_suffix(&s, ":");
                ptrdiff_t colon = span_rfind(s, ":");
                if (colon > 0) {
                    struct span num = span_sub(s, (size_t)colon + 1, s.n);
                    n = take_number(&num);
                    s = span_sub(s, 0, (size_t)colon);
                }
            }
            if (n > 0)
                results_add_finding(out, SPAN("format"), SPAN("format"), RESULT_ERROR, s, n, 0, SPAN("not formatted"));
            continue;
        }
        if (take_prefix(&s, "--- ")) {
            old_file = header_file(s);
            continue;
        }
        if (take_prefix(&s, "+++ ")) {
            file = header_file(s);
            if (span_starts(old_file, "a/") && span_starts(file, "b/")) { /* git's prefixes, not directories */
                old_file = span_sub(old_file, 2, old_file.n);
                file = span_sub(file, 2, file.n);
            }
            if (span_eqs(file, "/dev/null") || !file.n)
                file = old_file;
            /* the original is what is in the tree: "diff a.sh.orig a.sh", "-:formatted" */
            if (old_file.n && !span_eqs(old_file, "/dev/null"))
                file = old_file;
            continue;
        }
        if (take_prefix(&s, "@@ -")) {
            row = take_number(&s);
            waiting = row >= 0 && file.n;
            if (row == 0)
                row = 1;
            continue;
        }
        if (!waiting || !line.n)
            continue;
        if (line.p[0] == '-' || line.p[0] == '+') {
            results_add_finding(out, SPAN("format"), SPAN("format"), RESULT_ERROR, file, row, 0, SPAN("not formatted"));
            waiting = false;
        } else if (line.p[0] == ' ') {
            row++;
        }
    }
    return 0;
}

static int diff_sniff(struct span text)
{
    if (span_has(text, "\n@@ -") && span_has(text, "+++ "))
        return 75;
    return span_starts(text, "Diff in ") || span_has(text, "\nDiff in ") ? 75 : 0;
}

const struct reader reader_diff = {
    .name = "diff",
    .summary = "unified diff of a formatter, rustfmt --check",
    .lines = true,
    .sniff = diff_sniff,
    .read = diff_read,
};
