#include "agent/compact.h"

#include "agent/match.h"
#include "agent/tool.h"
#include "base/utf8.h"
#include "model/chat.h"

enum {
    BYTES_PER_TOKEN = 3,
    USEFUL_PERCENT = 90, /* more than this of the room in use afterwards: it freed nothing of use */
};

struct choice {
    int keep_age;
};

static bool replace_result(void *ctx, const char *tool, struct span args, struct span text, int age, struct buf *replacement)
{
    const struct choice *c = ctx;
    if (age < c->keep_age || text.n <= COMPACT_SMALL_BYTES)
        return false;
    (void)args; /* the call itself stays in the conversation */
    buf_addf(replacement, "[%zu lines of an earlier result left out to make room; call %s again if you need them]", lines_count(text), tool);
    return replacement->failed == 0;
}

/* The end of a text, at a line's start. */
static struct span tail_of(struct span s, size_t limit)
{
    if (s.n <= limit)
        return s;
    struct span t = span_sub(s, s.n - limit, limit);
    const char *nl = memchr(t.p, '\n', t.n);
    if (nl)
        t = span_sub(t, (size_t)(nl - t.p) + 1, t.n);
    while (t.n > 0 && ((unsigned char)t.p[0] & 0xc0) == 0x80)
        t = span_sub(t, 1, t.n);
    return t;
}

static void part(struct buf *out, const char *title, struct span text, size_t limit)
{
    struct span t = span_trim(tail_of(text, limit));
    if (t.n == 0)
        return;
    buf_addf(out, "\n\n%s\n", title);
    buf_add_span(out, t);
}

bool compact_summary(const struct compact_notes *notes, size_t limit, struct buf *out)
{
    bool cut;
    tool_cut(notes->task, limit / 2, NULL, out, &cut);
    buf_adds(out, "\n\n(The conversation so far was left out to make room. The files are as you changed them; read again what you need.)");
    part(out, "Said by the user since:", notes->told, limit / 6);
    part(out, "Files changed so far:", notes->files, limit / 12);
    part(out, "What you said last:", notes->said, limit / 8);
    part(out, "The last results:", notes->last, limit / 8);
    return out->failed == 0;
}

int compact_chat(struct chat *c, const struct compact_notes *notes, int64_t room_tokens, int64_t *after, const char **how, struct err *e)
{
    int64_t target = room_tokens * COMPACT_TARGET_PERCENT / 100;
    struct choice choice = { COMPACT_KEEP_AGE };
    *how = "results";
    int64_t freed = chat_compact(c, replace_result, &choice, e);
    if (freed < 0)
        return (int)freed;
    *after = chat_estimate_tokens(c);
    if (*after <= target)
        return 0;
    *how = "anew";
    size_t limit = (size_t)(room_tokens > 0 ? room_tokens : 4096) * BYTES_PER_TOKEN / 4;
    struct buf text = BUF_INIT(limit * 2 + 4096);
    compact_summary(notes, limit, &text);
    int r = buf_check(&text, e);
    if (r >= 0) {
        chat_reset(c);
        r = chat_add_user(c, buf_span(&text), e);
    }
    buf_finish(&text);
    if (r < 0)
        return r;
    *after = chat_estimate_tokens(c);
    return *after > room_tokens * USEFUL_PERCENT / 100;
}
