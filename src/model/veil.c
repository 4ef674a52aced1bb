#include "model/veil.h"

#include "base/mem.h"

#define HELD_BYTES 4096

static const char *const think_begin[] = { "<think>", "<thinking>", "<|channel|>analysis<|message|>" };
static const char *const think_end[] = { "</think>", "</thinking>", "<|end|>" };
static const char *const call_marks[] = { "<tool_call>", "<tool_call ", "<function=", "<function_call>", "<tool_use>", "[TOOL_CALLS]", "[TOOL_CALL]", "<|channel|>", "<|start|>",
                                          "<|python_tag|>", "<|tool_call", "```tool_code", "```tool_call", "```json", "<invoke ", "<tools>", "<start_function_call>",
                                          "<functioncall>", "<|message|>" };

void veil_init(struct veil *v, bool calls, void (*text)(void *ctx, struct span s), void (*reasoning)(void *ctx, struct span s), void *ctx)
{
    memset(v, 0, sizeof *v);
    buf_init(&v->held, HELD_BYTES);
    v->calls = calls;
    v->text = text;
    v->reasoning = reasoning;
    v->ctx = ctx;
}

void veil_finish(struct veil *v)
{
    buf_finish(&v->held);
}

/* 1: s begins with mark; -1: s is shorter and could become it; 0: neither. */
static int begins(struct span s, const char *mark)
{
    size_t n = strlen(mark);
    size_t m = s.n < n ? s.n : n;
    if (memcmp(s.p, mark, m) != 0)
        return 0;
    return s.n >= n ? 1 : -1;
}

static int begins_any(struct span s, const char *const *marks, size_t n, size_t *len)
{
    int best = 0;
    for (size_t i = 0; i < n; i++) {
        int b = begins(s, marks[i]);
        if (b > 0) {
            *len = strlen(marks[i]);
            return 1;
        }
        if (b < 0)
            best = -1;
    }
    return best;
}

static void show(struct veil *v, struct span s)
{
    if (!s.n)
        return;
    if (v->thinking)
        v->reasoning(v->ctx, s);
    else
        v->text(v->ctx, s);
}

static void work(struct veil *v, bool end)
{
    struct span s = buf_span(&v->held);
    size_t shown = 0, i = 0;
    while (i < s.n && !v->drawn) {
        struct span rest = span_sub(s, i, s.n);
        size_t len = 0;
        int hit;
        if (v->thinking) {
            hit = begins_any(rest, think_end, COUNT_OF(think_end), &len);
        } else {
            hit = begins_any(rest, think_begin, COUNT_OF(think_begin), &len);
            size_t unused;
            int call = v->calls && (hit == 0 || (hit < 0 && end)) ? begins_any(rest, call_marks, COUNT_OF(call_marks), &unused) : 0;
            bool blank = !v->began;
            if (blank && v->calls && (rest.p[0] == '{' || rest.p[0] == '[')) /* a reply that is one JSON value */
                call = 1;
            if (call > 0) {
                show(v, span_sub(s, shown, i - shown));
                v->drawn = true;
                break;
            }
            if (hit == 0)
                hit = call;
        }
        if (hit < 0 && !end) /* wait for more */
            break;
        if (hit > 0) {
            show(v, span_sub(s, shown, i - shown));
            i += len;
            shown = i;
            v->thinking = !v->thinking;
            continue;
        }
        if (!v->thinking && (unsigned char)s.p[i] > ' ')
            v->began = true;
        i++;
    }
    if (v->drawn) {
        buf_reset(&v->held);
        return;
    }
    show(v, span_sub(s, shown, i - shown));
    buf_erase(&v->held, 0, i);
}

void veil_feed(struct veil *v, struct span s)
{
    while (s.n && !v->drawn) {
        struct span some = span_sub(s, 0, HELD_BYTES / 2);
        buf_add_span(&v->held, some);
        work(v, false);
        s = span_sub(s, some.n, s.n);
    }
}

void veil_end(struct veil *v)
{
    if (!v->drawn)
        work(v, true);
}
