/* verdict_brief and brief_command: what an agent is told, in as few words as it needs. */
#include "base/clean.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "verify/verify.h"

#define BRIEF_BYTES 6000u
#define TAIL_BYTES 4000u /* of a command's output */
#define NAMES 12u        /* failures named for one gate */
#define MESSAGE 300u

/* The last BRIEF_LINES lines of the output, cleaned, without white space at the end. */
static void add_tail(struct buf *out, struct span output)
{
    AUTO(buf) struct buf text = BUF_INIT(4u << 20);
    clean_add(&text, output, CLEAN_TEXT);
    struct span s = buf_span(&text);
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == ' '))
        s.n--;
    size_t lines = 0, from = s.n;
    while (from > 0 && s.n - from < TAIL_BYTES) {
        if (s.p[from - 1] == '\n' && ++lines == BRIEF_LINES)
            break;
        from--;
    }
    while (from < s.n && from > 0 && ((unsigned char)s.p[from] & 0xc0) == 0x80)
        from++;
    s = span_sub(s, from, s.n);
    if (s.n) {
        buf_add_span(out, s);
        buf_addc(out, '\n');
    }
}

bool brief_command(struct buf *out, const char *command, struct span output, int status)
{
    buf_addf(out, "$ %s\n", command);
    add_tail(out, output);
    return buf_addf(out, "[exit %d]", status);
}

static void one_line(struct buf *out, const char *text, size_t limit)
{
    AUTO(buf) struct buf b = BUF_INIT(65536);
    clean_add(&b, span_of(text), CLEAN_LINE);
    buf_add(out, buf_str(&b), utf8_cut(buf_span(&b), b.n < limit ? b.n : limit));
}

static void add_gate(struct buf *out, const struct gate_result *g, bool last)
{
    if (g->structured) {
        buf_addf(out, "%s: %zu new failure%s\n", g->gate->name, g->new_failures.len, g->new_failures.len == 1 ? "" : "s");
        for (size_t i = 0; i < g->new_failures.len && i < NAMES; i++) {
            buf_adds(out, "- ");
            one_line(out, g->new_failures.items[i], MESSAGE);
            if (i < g->messages.len && *g->messages.items[i]) {
                buf_adds(out, ": ");
                one_line(out, g->messages.items[i], MESSAGE);
            }
            buf_addc(out, '\n');
        }
        if (g->new_failures.len > NAMES)
            buf_addf(out, "- and %zu more\n", g->new_failures.len - NAMES);
        if (g->old_failures.len)
            buf_addf(out, "(%zu other failures were there before: leave them)\n", g->old_failures.len);
    }
    brief_command(out, g->gate->command, g->evidence, g->timed_out ? 124 : g->status);
    if (g->timed_out)
        buf_addf(out, "\n(it did not end within %lld s and was killed)", (long long)(g->gate->timeout_ms / 1000));
    if (!last)
        buf_adds(out, "\n\n");
}

bool verdict_brief(const struct verdict *v, size_t cap_bytes, struct buf *out)
{
    size_t cap = cap_bytes ? cap_bytes : BRIEF_BYTES, gates = 0, blocks = 0;
    for (size_t i = 0; i < v->ngates; i++)
        gates += v->gates[i].verdict == VERDICT_FAIL;
    for (size_t i = 0; i < v->findings.len; i++)
        blocks += v->findings.items[i].severity == FINDING_BLOCK && strncmp(v->findings.items[i].rule, "gate/", 5) != 0;
    if (!gates && !blocks)
        return true;
    AUTO(buf) struct buf b = BUF_INIT(1u << 20);
    if (gates)
        buf_adds(&b, "Still failing:\n");
    for (size_t i = 0, k = 0; i < v->ngates; i++)
        if (v->gates[i].verdict == VERDICT_FAIL)
            add_gate(&b, &v->gates[i], ++k == gates);
    if (blocks) {
        buf_addf(&b, "%sThese must not be in the change:\n", gates ? "\n\n" : "");
        for (size_t i = 0, k = 0; i < v->findings.len && k < NAMES; i++) {
            const struct finding *f = &v->findings.items[i];
            if (f->severity != FINDING_BLOCK || !strncmp(f->rule, "gate/", 5))
                continue;
            k++;
            buf_adds(&b, "- ");
            one_line(&b, f->file, MESSAGE);
            if (f->line)
                buf_addf(&b, ":%lld", (long long)f->line);
            buf_adds(&b, ": ");
            one_line(&b, f->message, MESSAGE);
            buf_addf(&b, " (%s)\n", f->rule);
        }
        if (b.n && b.p[b.n - 1] == '\n')
            buf_truncate(&b, b.n - 1);
    }
    struct span s = buf_span(&b);
    if (s.n > cap) { /* the end of a command's output says most: cut in the middle */
        size_t head = utf8_cut(s, cap / 3), tail = cap - head - 8;
        buf_add(out, s.p, head);
        buf_adds(out, "\n[...]\n");
        size_t from = s.n - tail;
        while (from < s.n && ((unsigned char)s.p[from] & 0xc0) == 0x80)
            from++;
        return buf_add_span(out, span_sub(s, from, s.n));
    }
    return buf_add_span(out, s);
}
