/*
 * What mocha (spec), jest (--verbose) and vitest (--reporter verbose) print alike: groups by
 * indentation, "✓ name" or "✔ name" for a pass, "N) name" (mocha) or "✕ name" / "× name" for a
 * failure, "- name" / "○ skipped name" for a skip. Reading ends at the summary, which repeats.
 */
#include "verify/reader-internal.h"

#define MOCHA_DEPTH 24

struct group {
    size_t indent;
    struct span name;
};

static struct span without_time(struct span s)
{
    ptrdiff_t open = span_rfind(s, " (");
    if (open > 0 && span_ends(s, "s)") && isdigit((unsigned char)s.p[open + 2]))
        s = span_sub(s, 0, (size_t)open);
    else if (open < 0 && span_ends(s, "ms")) { /* vitest: "name 3ms" */
        ptrdiff_t sp = span_rfind(s, " ");
        if (sp > 0 && isdigit((unsigned char)s.p[sp + 1]))
            s = span_sub(s, 0, (size_t)sp);
    }
    return span_trim(s);
}

static bool result_line(struct span s, struct span *name, enum test_status *st)
{
    static const struct {
        const char *mark;
        enum test_status status;
    } marks[] = {
        { "✓ ", TEST_PASS }, { "✔ ", TEST_PASS }, { "√ ", TEST_PASS }, { "✕ ", TEST_FAIL }, { "× ", TEST_FAIL },
        { "✗ ", TEST_FAIL }, { "○ skipped ", TEST_SKIP }, { "✎ todo ", TEST_SKIP }, { "↓ ", TEST_SKIP },
    };
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (take_prefix(&s, marks[i].mark)) {
            *st = marks[i].status;
            *name = without_time(span_trim(s));
            return name->n > 0;
        }
    struct span t = s;
    if (take_number(&t) > 0 && take_prefix(&t, ") ")) {
        *st = TEST_FAIL;
        *name = without_time(span_trim(t));
        return name->n > 0;
    }
    if (take_prefix(&s, "- ")) {
        *st = TEST_SKIP;
        *name = span_trim(s);
        return name->n > 0;
    }
    return false;
}

static bool is_summary(struct span s)
{
    struct span t = span_trim(s);
    if (take_number(&t) >= 0 && (span_starts(t, " passing") || span_starts(t, " failing") || span_starts(t, " pending")))
        return true;
    return span_starts(s, "Tests:  ") || span_starts(s, "Test Suites: ") || span_has(s, "Failed Tests ") ||
           span_starts(s, "Summary of all failing tests");
}

static int mocha_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, name;
    struct group groups[MOCHA_DEPTH];
    int ngroups = 0;
    enum test_status st;
    AUTO(buf) struct buf suite = BUF_INIT(1u << 16);
    while (span_line(&text, &line)) {
        if (is_summary(line))
            break;
        size_t indent = 0;
        while (indent < line.n && line.p[indent] == ' ')
            indent++;
        struct span s = span_trim(line);
        if (!s.n || span_starts(s, "> ")) /* npm's banner */
            continue;
        while (ngroups && groups[ngroups - 1].indent >= indent)
            ngroups--;
        if (result_line(s, &name, &st)) {
            if (!indent && span_starts(s, "- "))
                continue; /* a list in prose */
            buf_reset(&suite);
            for (int i = 0; i < ngroups; i++) {
                if (i)
                    buf_adds(&suite, " > ");
                buf_add_span(&suite, groups[i].name);
            }
            results_add_test(out, buf_span(&suite), name, st, SPAN(""), 0, SPAN(""));
        } else if (ngroups < MOCHA_DEPTH) {
            /* jest's "FAIL path" / "PASS path" heads a file: the verdict is no part of the name. */
            if (!indent && (take_prefix(&s, "PASS ") || take_prefix(&s, "FAIL ")))
                s = span_trim(s);
            groups[ngroups++] = (struct group){ indent, s };
        }
    }
    return 0;
}

static int mocha_sniff(struct span text)
{
    struct span all = text, line, name;
    enum test_status st;
    bool summary = false, result = false;
    while (span_line(&all, &line)) {
        summary |= is_summary(line);
        struct span s = span_trim(line);
        result |= (span_starts(s, "✓") || span_starts(s, "✔") || span_starts(s, "✕") || span_starts(s, "×") ||
                   (s.n && isdigit((unsigned char)s.p[0]))) &&
                  result_line(s, &name, &st);
    }
    return summary && result ? 80 : 0;
}

const struct reader reader_mocha = {
    .name = "mocha",
    .summary = "mocha's spec output, jest --verbose, vitest --reporter verbose",
    .lines = true,
    .sniff = mocha_sniff,
    .read = mocha_read,
};
