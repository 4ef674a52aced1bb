#include "model/text-tools.h"

#include <stdio.h>

#include "model/leak.h"

#define RESULT_BEGIN "<tool_response>\n"
#define RESULT_END "\n</tool_response>"

bool text_tools_head(struct span instructions, const struct tool_schema *tools, size_t n, struct buf *out)
{
    buf_add_span(out, instructions);
    buf_adds(out, "\n\nYou have these tools:\n");
    for (size_t i = 0; i < n; i++) {
        buf_adds(out, "{\"name\":");
        buf_add_json(out, span_of(tools[i].name));
        buf_adds(out, ",\"description\":");
        buf_add_json(out, span_of(tools[i].doc));
        buf_adds(out, ",\"parameters\":");
        buf_add_span(out, tools[i].schema);
        buf_adds(out, "}\n");
    }
    return buf_adds(out, "To call one, write this and stop:\n<tool_call>\n{\"name\": \"NAME\", \"arguments\": {...}}\n</tool_call>\n"
                         "The result comes in the next message between <tool_response> marks.");
}

bool text_tools_message(const struct message *m, struct buf *text, struct message *out)
{
    *out = *m;
    if (m->role == MESSAGE_RESULT) {
        buf_adds(text, RESULT_BEGIN);
        buf_add_span(text, m->text);
        buf_adds(text, RESULT_END);
        out->role = MESSAGE_USER;
    } else if (m->role == MESSAGE_ASSISTANT && m->ncalls) {
        buf_add_span(text, m->text);
        for (size_t i = 0; i < m->ncalls; i++) {
            buf_adds(text, text->n ? "\n<tool_call>\n{\"name\": " : "<tool_call>\n{\"name\": ");
            buf_add_json(text, m->calls[i].name);
            buf_adds(text, ", \"arguments\": ");
            buf_add_span(text, m->calls[i].args);
            buf_adds(text, "}\n</tool_call>");
        }
        out->ncalls = 0;
    } else {
        return false;
    }
    out->text = buf_span(text);
    return true;
}

struct back {
    struct arena *a;
    struct message *out;
    size_t n, room;
    int64_t next_id, answered; /* ids of calls so far, of results so far */
};

static struct span make_id(struct back *b, int64_t n)
{
    const char *id = arena_printf(b->a, "call%05lld", (long long)n);
    return span_of(id);
}

static void put(struct back *b, struct message m)
{
    if (b->n < b->room)
        b->out[b->n++] = m;
}

static bool everything(void *ctx, struct span name)
{
    (void)ctx;
    return name.n > 0;
}

static void read_assistant(struct back *b, struct message m)
{
    ptrdiff_t at = span_find(m.text, SPAN("<tool_call>\n{\"name\": "));
    struct leak_found *f = at < 0 || m.ncalls ? NULL : arena_alloc(b->a, sizeof *f);
    struct leak_in in = { m.text, everything, NULL, b->a };
    if (f) {
        *f = (struct leak_found){ .text = m.text };
        if (leak_hermes.parse(&in, f) > 0 && f->ncalls && !f->cut && !f->unreadable) {
            struct said_call *calls = arena_array(b->a, f->ncalls, sizeof *calls);
            for (size_t i = 0; calls && i < f->ncalls; i++)
                calls[i] = (struct said_call){ make_id(b, b->next_id++), f->calls[i].name, f->calls[i].args };
            m.calls = calls;
            m.ncalls = calls ? f->ncalls : 0;
            m.text = f->text;
            b->answered = b->next_id - (int64_t)m.ncalls;
        }
    }
    put(b, m);
}

static void read_user(struct back *b, struct message m)
{
    struct span rest = m.text;
    while (b->answered < b->next_id && span_starts(rest, RESULT_BEGIN)) {
        struct span inner = span_sub(rest, sizeof RESULT_BEGIN - 1, rest.n);
        ptrdiff_t end = -1;
        for (size_t from = 0; end < 0;) { /* the mark may occur in the result: its end is followed by a joint */
            ptrdiff_t at = span_find(span_sub(inner, from, inner.n), SPAN(RESULT_END));
            if (at < 0)
                break;
            struct span after = span_sub(inner, from + (size_t)at + sizeof RESULT_END - 1, inner.n);
            if (!after.n || span_starts(after, "\n\n"))
                end = (ptrdiff_t)from + at;
            from += (size_t)at + 1;
        }
        if (end < 0)
            break;
        struct span text = span_sub(inner, 0, (size_t)end);
        put(b, (struct message){ .role = MESSAGE_RESULT, .text = text, .call_id = make_id(b, b->answered++), .ok = !span_starts(text, "error: ") });
        rest = span_sub(inner, (size_t)end + sizeof RESULT_END - 1, inner.n);
        if (span_starts(rest, "\n\n"))
            rest = span_sub(rest, 2, rest.n);
        if (!rest.n)
            return;
    }
    m.text = rest;
    put(b, m);
}

int text_tools_read(struct arena *a, struct message **m, size_t *n, struct err *e)
{
    size_t marks = 0;
    for (size_t i = 0; i < *n; i++) {
        struct span rest = (*m)[i].text;
        for (ptrdiff_t at; (*m)[i].role == MESSAGE_USER && (at = span_find(rest, SPAN(RESULT_BEGIN))) >= 0; marks++)
            rest = span_sub(rest, (size_t)at + 1, rest.n);
        marks += (*m)[i].role == MESSAGE_ASSISTANT && span_find((*m)[i].text, SPAN("<tool_call>\n{\"name\": ")) >= 0;
    }
    if (!marks)
        return 0;
    struct back b = { .a = a, .room = *n + marks + 1 };
    b.out = arena_array(a, b.room, sizeof *b.out);
    if (!b.out)
        return err_set(e, ERR_NOMEM, "cannot read the saved conversation: out of memory");
    for (size_t i = 0; i < *n; i++) {
        if ((*m)[i].role == MESSAGE_ASSISTANT)
            read_assistant(&b, (*m)[i]);
        else if ((*m)[i].role == MESSAGE_USER)
            read_user(&b, (*m)[i]);
        else
            put(&b, (*m)[i]);
    }
    *m = b.out;
    *n = b.n;
    return 0;
}
