/*
 * node --test, "spec" reporter (the default since node 20):
 *     ▶ suite
 *       ✔ passes (0.4ms)
 *       ✖ fails (0.9ms)
 *     ▶ suite (2.1ms)            (or "✖ suite (2.1ms)" when a child failed, node 22)
 *     ﹣ skipped (0.1ms) # SKIP
 *     ℹ tests 3
 * "✖ failing tests:" repeats the failures: reading stops there. Node 18 writes TAP (reader-tap.c).
 */
#include "verify/reader-internal.h"

#define NODE_DEPTH 16

/* "name (0.4ms) # TODO why": the name, and what stands after the time; a " # " before it is the name's. */
static struct span bare(struct span s, struct span *directive)
{
    ptrdiff_t end = span_rfind(s, "ms) # ");
    *directive = end > 0 ? span_sub(s, (size_t)end + strlen("ms) # "), s.n) : SPAN("");
    if (end > 0)
        s = span_sub(s, 0, (size_t)end + strlen("ms)"));
    ptrdiff_t open = span_rfind(s, " (");
    if (open > 0 && span_ends(s, "ms)"))
        s = span_sub(s, 0, (size_t)open);
    return span_trim(s);
}

static int node_read(struct span text, struct results *out, struct err *e)
{
    (void)e;
    struct span line, suites[NODE_DEPTH];
    int depth_open = 0;
    AUTO(buf) struct buf suite = BUF_INIT(1u << 16);
    while (span_line(&text, &line)) {
        size_t indent = 0;
        while (indent < line.n && line.p[indent] == ' ')
            indent++;
        int depth = (int)(indent / 2);
        struct span s = span_sub(line, indent, line.n);
        if (span_starts(s, "✖ failing tests"))
            break;
        if (depth >= NODE_DEPTH)
            continue;
        enum test_status st;
        if (take_prefix(&s, "▶ ")) {
            s = span_trim(s);
            if (span_ends(s, "ms)")) { /* the suite's end */
                depth_open = depth;
            } else {
                suites[depth] = s;
                depth_open = depth + 1;
            }
            continue;
        }
        if (take_prefix(&s, "✔ "))
            st = TEST_PASS;
        else if (take_prefix(&s, "✖ "))
            st = TEST_FAIL;
        else if (take_prefix(&s, "﹣ "))
            st = TEST_SKIP;
        else
            continue;
        struct span directive;
        s = bare(s, &directive);
        if (span_starts(directive, "SKIP") || span_starts(directive, "TODO"))
            st = TEST_SKIP; /* what is to be done may fail */
        if (depth < depth_open && span_eq(suites[depth], s)) {
            depth_open = depth; /* node 22 ends a suite with its verdict; its children spoke */
            continue;
        }
        buf_reset(&suite);
        for (int d = 0; d < depth && d < depth_open; d++) {
            if (d)
                buf_adds(&suite, " > ");
            buf_add_span(&suite, suites[d]);
        }
        results_add_test(out, buf_span(&suite), s, st, SPAN(""), 0, SPAN(""));
    }
    return 0;
}

static int node_sniff(struct span text)
{
    return span_has(text, "ℹ tests ") && span_has(text, "ℹ fail ") ? 95 : 0;
}

const struct reader reader_node = {
    .name = "node",
    .summary = "node --test with the spec reporter",
    .repeats = true,
    .lines = true,
    .sniff = node_sniff,
    .read = node_read,
};
