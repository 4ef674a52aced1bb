/*
 * TAP 13 and 14 (testanything.org): "ok N - name # SKIP why", "not ok ... # TODO", "Bail out!",
 * subtests indented by four spaces whose result line follows at the outer level (node 18, TAP 14).
 * A subtest's id is "parent::name"; the parent is known only when its own line comes, so children
 * wait in a list. Buffered ones (node-tap, vitest) stand in braces after their parent: "ok 1 - parent {" ... "}".
 * A parent that failed with a child of its is told by the child. A plan "1..N" with fewer results is a failure of the
 * run itself: "plan". `prove -v` strings many files together, each after a line "t/name.t .. ": their plans are apart,
 * their names are not.
 */
#include "verify/reader-internal.h"

#define TAP_DEPTH 16

struct tap_case {
    struct span name;
    enum test_status status;
    struct span message;
    int depth;
};

struct tap {
    struct tap_case *cases;
    size_t n, cap;
    struct span open[TAP_DEPTH]; /* the parents whose braces are open */
    bool failed[TAP_DEPTH];      /* ... that failed, */
    bool told[TAP_DEPTH];        /* ... of whose children one did */
    int nopen;
};

/* The name without TAP's escapes, "\#" and "\\". */
static struct span plain_name(struct span s, struct arena *arena)
{
    if (span_findc(s, '\\') < 0)
        return s;
    char *copy = arena_alloc(arena, s.n + 1);
    size_t n = 0;
    if (!copy)
        return s;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == '#' || s.p[i + 1] == '\\'))
            i++;
        copy[n++] = s.p[i];
    }
    return (struct span){ copy, n };
}

static void plan_end(int64_t planned, int64_t seen, struct results *out)
{
    if (planned >= 0 && seen < planned && seen > 0)
        results_add_test(out, SPAN(""), SPAN("plan"), TEST_FAIL, SPAN(""), 0,
                         SPAN("fewer results than planned: the test program ended early"));
}

/* "t/name.t .. " of prove -v, before the file's own TAP. */
static bool prove_head(struct span line)
{
    return span_ends(line, " .. ") && span_has(line, ".t .");
}

static bool directive(struct span rest, const char *word, struct span *name, struct span *why)
{
    /* The last unescaped " # WORD" ends the description; the word is case-blind. */
    for (size_t i = rest.n; i-- > 0;) {
        if (rest.p[i] != '#' || (i && rest.p[i - 1] == '\\'))
            continue;
        struct span w = span_trim(span_sub(rest, i + 1, rest.n));
        size_t n = strlen(word);
        if (w.n >= n && !strncasecmp(w.p, word, n) && (w.n == n || !isalpha((unsigned char)w.p[n]) || n == 4)) {
            *name = span_trim(span_sub(rest, 0, i));
            *why = span_trim(span_sub(w, n, w.n));
            return true;
        }
        return false;
    }
    return false;
}

static bool is_plan(struct span s, int64_t *count, bool *skip_all)
{
    if (!take_prefix(&s, "1.."))
        return false;
    *count = take_number(&s);
    s = span_trim(s);
    *skip_all = *count == 0 && s.n && s.p[0] == '#';
    return *count >= 0 && (!s.n || s.p[0] == '#');
}

static int tap_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line;
    struct tap t = { 0 };
    int64_t planned = -1, seen = 0;
    bool bailed = false, yaml = false, waits = false; /* waits: the last result is the last of t.cases */
    while (span_line(&text, &line)) {
        size_t indent = 0;
        while (indent < line.n && line.p[indent] == ' ')
            indent++;
        int depth = (int)(indent / 4);
        struct span s = span_sub(line, indent, line.n);
        if (depth >= TAP_DEPTH)
            continue;
        if (prove_head(line)) {
            plan_end(planned, seen, out);
            planned = -1;
            seen = 0;
            yaml = false;
            continue;
        }
        if (t.nopen && span_eqs(span_trim(s), "}")) {
            int k = --t.nopen;
            if (t.failed[k] && !t.told[k])
                results_add_test(out, k ? t.open[k - 1] : SPAN(""), t.open[k], TEST_FAIL, SPAN(""), 0, SPAN(""));
            if (k && t.failed[k])
                t.told[k - 1] = true;
            continue;
        }
        if (yaml) { /* a diagnostic block; its "error:" or "message:" is what a person wants to read */
            if (span_eqs(span_trim(s), "...")) {
                yaml = false;
            } else if (waits && !t.cases[t.n - 1].message.n &&
                       (take_prefix(&s, "error:") || take_prefix(&s, "message:"))) {
                s = span_trim(s);
                if (s.n > 1 && s.p[0] != '|' && s.p[0] != '>')
                    t.cases[t.n - 1].message = s;
            }
            continue;
        }
        if (span_eqs(span_trim(s), "---")) {
            yaml = true;
            continue;
        }
        int64_t count;
        bool skip_all;
        if (is_plan(s, &count, &skip_all)) {
            if (!depth)
                planned = count;
            if (skip_all && !depth)
                results_add_test(out, SPAN(""), SPAN("plan"), TEST_SKIP, SPAN(""), 0, span_trim(s));
            continue;
        }
        if (span_starts(s, "Bail out!")) {
            results_add_test(out, SPAN(""), SPAN("bail out"), TEST_FAIL, SPAN(""), 0, s);
            bailed = true;
            continue;
        }
        bool ok = span_starts(s, "ok"), bad = span_starts(s, "not ok");
        if (!ok && !bad)
            continue;
        s = span_sub(s, ok ? 2 : 6, s.n);
        if (s.n && s.p[0] != ' ')
            continue; /* "okay" */
        s = span_trim(s);
        struct span before_number = s;
        int64_t number = take_number(&s);
        struct span number_text = span_sub(before_number, 0, before_number.n - s.n);
        if (number >= 0 && s.n && s.p[0] != ' ' && s.p[0] != '-')
            s = before_number; /* "ok 3rd try" */
        s = span_trim(s);
        if (take_prefix(&s, "- "))
            s = span_trim(s);
        waits = false;
        struct tap_case c = { .name = s, .status = ok ? TEST_PASS : TEST_FAIL, .depth = depth };
        struct span name, why;
        /* todo is expected to fail: either way not a pass that counts */
        if (directive(s, "skip", &name, &why) || directive(s, "todo", &name, &why))
            c.status = TEST_SKIP, c.name = name, c.message = why;
        else if (directive(s, "time", &name, &why))
            c.name = name;
        bool brace = span_ends(c.name, " {") || span_eqs(c.name, "{") || span_ends(line, " {");
        take_suffix(&c.name, " {");
        c.name = plain_name(c.name, out->arena);
        if (!c.name.n) /* unnamed: by number, as the harness shows it */
            c.name = number >= 0 ? number_text : SPAN("unnamed");
        if (!depth)
            seen++;
        if (brace && t.nopen < TAP_DEPTH) {
            t.open[t.nopen] = c.name;
            t.failed[t.nopen] = c.status == TEST_FAIL;
            t.told[t.nopen++] = false;
            continue;
        }
        if (t.nopen) { /* its parent's line came before */
            results_add_test(out, t.open[t.nopen - 1], c.name, c.status, SPAN(""), 0, c.message);
            t.told[t.nopen - 1] |= c.status == TEST_FAIL;
            continue;
        }
        /* Deeper ones that waited are this one's children. */
        size_t i = t.n;
        while (i > 0 && t.cases[i - 1].depth > depth)
            i--;
        bool parent = i < t.n, told = false;
        for (size_t k = i; k < t.n; k++) {
            if (t.cases[k].name.n)
                results_add_test(out, c.name, t.cases[k].name, t.cases[k].status, SPAN(""), 0, t.cases[k].message);
            told |= t.cases[k].status == TEST_FAIL;
        }
        t.n = i;
        if (parent && (told || c.status != TEST_FAIL)) { /* its children speak for it; to its own parent it has failed */
            if (!told || !depth)
                continue;
            c.name = SPAN("");
        }
        if (!array_grow((void **)&t.cases, &t.cap, t.n, 1, sizeof *t.cases)) {
            out->nomem = true;
            break;
        }
        t.cases[t.n++] = c;
        waits = true;
    }
    for (size_t k = 0; k < t.n; k++)
        if (t.cases[k].name.n)
            results_add_test(out, SPAN(""), t.cases[k].name, t.cases[k].status, SPAN(""), 0, t.cases[k].message);
    free(t.cases);
    if (!bailed)
        plan_end(planned, seen, out);
    return 0;
}

static int tap_sniff(struct span text)
{
    struct span line;
    bool plan = false;
    int results = 0;
    while (span_line(&text, &line)) {
        int64_t count;
        bool skip_all;
        if (span_starts(line, "TAP version 1"))
            return 95;
        plan |= is_plan(line, &count, &skip_all);
        struct span s = line;
        results += (take_prefix(&s, "ok ") || take_prefix(&s, "not ok ")) && s.n && (isdigit((unsigned char)s.p[0]) || s.p[0] == '-');
        if (plan && results)
            return 85;
    }
    return results > 1 ? 60 : 0; /* ended before its plan, or has none */
}

const struct reader reader_tap = {
    .name = "tap",
    .summary = "TAP 13 and 14: prove, bats, node 18, many test programs in C",
    .repeats = true,
    .lines = true,
    .sniff = tap_sniff,
    .read = tap_read,
};
