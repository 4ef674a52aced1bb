/*
 * mocha: groups by indentation, "✓ name" or "✔ name" for a pass, "N) name" for a failure, "- name" for a skip, then a
 * summary ("3 passing (4ms)", "2 failing") and a list of the failures, which alone names them with the dot reporter:
 *     1) group
 *          inner
 *            name:
 *        Error: ...
 * jest --verbose draws the same tree with marks of its own (reader-jest.c).
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

bool outline_line(struct span s, bool mocha, struct span *name, enum test_status *st)
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
    if (mocha && take_number(&t) > 0 && take_prefix(&t, ") ")) {
        *st = TEST_FAIL;
        *name = without_time(span_trim(t));
        return name->n > 0;
    }
    if (mocha && take_prefix(&s, "- ")) {
        *st = TEST_SKIP;
        *name = span_trim(s);
        return name->n > 0;
    }
    return false;
}

static bool is_summary(struct span s)
{
    s = span_trim(s);
    return take_number(&s) >= 0 && (span_starts(s, " passing") || span_starts(s, " failing") || span_starts(s, " pending"));
}

void outline_read(struct span *text, bool mocha, bool (*ends)(struct span line), struct results *out)
{
    struct span line, name;
    struct group groups[MOCHA_DEPTH];
    int ngroups = 0;
    enum test_status st;
    AUTO(buf) struct buf suite = BUF_INIT(1u << 16);
    while (span_line(text, &line)) {
        if (ends(line))
            return;
        size_t indent = 0;
        while (indent < line.n && line.p[indent] == ' ')
            indent++;
        struct span s = span_trim(line);
        if (!s.n || span_starts(s, "> ")) /* npm's banner */
            continue;
        while (ngroups && groups[ngroups - 1].indent >= indent)
            ngroups--;
        if (outline_line(s, mocha, &name, &st)) {
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
                s = without_time(s);
            groups[ngroups++] = (struct group){ indent, s };
        }
    }
}

/* The list after "2 failing": its entries end in a colon, their groups stand above. */
static void read_failing(struct span text, struct results *out)
{
    struct span line;
    AUTO(buf) struct buf suite = BUF_INIT(1u << 16);
    bool open = false;
    while (span_line(&text, &line)) {
        struct span s = span_trim(line), t = s;
        if (take_number(&t) > 0 && take_prefix(&t, ") ")) {
            open = true;
            buf_reset(&suite);
            s = t;
        }
        if (!open || !s.n)
            continue;
        if (take_suffix(&s, ":")) {
            results_add_test(out, buf_span(&suite), s, TEST_FAIL, SPAN(""), 0, SPAN(""));
            open = false;
            continue;
        }
        if (suite.n)
            buf_adds(&suite, " > ");
        buf_add_span(&suite, s);
    }
}

static int mocha_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span all = text, line;
    size_t before = out->ntests;
    while (span_line(&all, &line)) {
        if (is_summary(line))
            out->said_passed += count_before(line, " passing");
        if (is_summary(line) && span_find(line, SPAN(" failing")) >= 0)
            break;
    }
    outline_read(&text, true, is_summary, out);
    bool named = false;
    for (size_t i = before; i < out->ntests; i++)
        named |= out->tests[i].status == TEST_FAIL;
    if (!named)
        read_failing(all, out);
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
                  outline_line(s, true, &name, &st);
    }
    return summary ? (result ? 80 : 70) : 0;
}

const struct reader reader_mocha = {
    .name = "mocha",
    .summary = "mocha's spec output; with other reporters the failures of its summary",
    .repeats = true,
    .lines = true,
    .sniff = mocha_sniff,
    .read = mocha_read,
};
