/*
 * Names of files, one a line: gofmt -l, shfmt -l, prettier --list-different, black --check
 * ("would reformat FILE"), prettier --check ("[warn] FILE"), ruff format --check ("Would reformat: FILE").
 * Never chosen by looking.
 */
#include "verify/reader-internal.h"

static int files_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    while (span_line(&text, &line)) {
        struct span s = span_trim(line);
        if (take_prefix(&s, "would reformat ") || take_prefix(&s, "Would reformat: ") || take_prefix(&s, "[warn] ") ||
            take_prefix(&s, "[error] "))
            s = span_trim(s);
        bool blank = false, mark = false;
        for (size_t i = 0; i < s.n; i++) {
            blank |= s.p[i] == ' ' || (unsigned char)s.p[i] < 0x20;
            mark |= s.p[i] == '.' || s.p[i] == '/';
        }
        if (!s.n || blank || !mark || s.n > 400 || s.p[s.n - 1] == ':' || s.p[s.n - 1] == '.')
            continue; /* prose */
        results_add_finding(out, SPAN("format"), SPAN("format"), RESULT_ERROR, s, 0, 0, SPAN("not formatted"));
    }
    return 0;
}

const struct reader reader_files = {
    .name = "files",
    .summary = "file names one a line: gofmt -l, shfmt -l, prettier --check, black --check",
    .lines = true,
    .read = files_read,
};
