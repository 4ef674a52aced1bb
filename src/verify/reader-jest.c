/*
 * jest: "PASS path" or "FAIL path" heads a file; with --verbose, or with one file, the tree of its tests follows
 * ("✓ name", "✕ name", "○ skipped name"). Failures are told in full below, in every mode:
 *     "  ● group › inner › name", "  ● Test suite failed to run".
 * Passing tests have no names without --verbose: their number is in the summary, "Tests:  1 failed, 3 passed, 4 total".
 */
#include "verify/reader-internal.h"

static bool ends_tree(struct span line)
{
    return span_starts(line, "  ● ") || span_starts(line, "Test Suites: ") || span_starts(line, "Summary of all failing tests");
}

static bool file_head(struct span line, struct span *file)
{
    if (!take_prefix(&line, "PASS ") && !take_prefix(&line, "FAIL "))
        return false;
    ptrdiff_t time = span_find(line, SPAN(" ("));
    *file = span_trim(time > 0 ? span_sub(line, 0, (size_t)time) : line);
    return file->n > 0;
}

/* "group › inner › name" of a file: the suite is "file > group > inner". */
static void add_failure(struct span file, struct span path, struct results *out)
{
    AUTO(buf) struct buf suite = BUF_INIT(1u << 16);
    ptrdiff_t last = span_rfind(path, " › ");
    struct span name = last > 0 ? span_sub(path, (size_t)last + strlen(" › "), path.n) : path;
    struct span groups = last > 0 ? span_sub(path, 0, (size_t)last) : SPAN("");
    buf_add_span(&suite, file);
    while (groups.n) {
        ptrdiff_t at = span_find(groups, SPAN(" › "));
        struct span one = at >= 0 ? span_sub(groups, 0, (size_t)at) : groups;
        groups = at >= 0 ? span_sub(groups, (size_t)at + strlen(" › "), groups.n) : SPAN("");
        buf_adds(&suite, " > ");
        buf_add_span(&suite, one);
    }
    results_add_test(out, buf_span(&suite), name, TEST_FAIL, SPAN(""), 0, SPAN(""));
}

static int jest_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, file = SPAN(""), rest = text;
    while (span_line(&rest, &line)) {
        struct span s = line;
        if (file_head(line, &file)) { /* its tree, up to its failures or to the next file */
            struct span tree = { line.p, (size_t)(text.p + text.n - line.p) }, ahead = rest, next, other;
            while (span_line(&ahead, &next))
                if (ends_tree(next) || file_head(next, &other)) {
                    tree.n = (size_t)(next.p - line.p);
                    break;
                }
            outline_read(&tree, false, ends_tree, out);
        } else if (take_prefix(&s, "  ● ")) {
            s = span_trim(s);
            if (span_eqs(s, "Test suite failed to run"))
                results_add_broken(out, file, s);
            else if (!span_eqs(s, "Console") && !span_starts(s, "Cannot log after tests are done"))
                add_failure(file, s, out);
        } else if (take_prefix(&s, "Tests: ")) {
            out->said_passed += count_before(s, " passed");
        }
    }
    return 0;
}

static int jest_sniff(struct span text)
{
    return span_has(text, "\nTest Suites: ") && span_has(text, "\nTests: ") ? 90 : 0;
}

const struct reader reader_jest = {
    .name = "jest",
    .summary = "jest's console output, with --verbose or without",
    .lines = true,
    .sniff = jest_sniff,
    .read = jest_read,
};
