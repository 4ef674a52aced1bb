#include "model/sse.h"

#include <stdio.h>

void sse_init(struct sse *s, size_t limit_bytes, sse_fn fn, void *ctx)
{
    memset(s, 0, sizeof *s);
    buf_init(&s->line, limit_bytes);
    buf_init(&s->data, limit_bytes);
    s->fn = fn;
    s->ctx = ctx;
}

void sse_finish(struct sse *s)
{
    buf_finish(&s->line);
    buf_finish(&s->data);
}

static int dispatch(struct sse *s, struct err *e)
{
    int rc = 0;
    if (s->has_data) {
        s->events++;
        rc = s->fn(s->ctx, span_of(s->name), buf_span(&s->data), e);
    }
    buf_reset(&s->data);
    s->has_data = false;
    s->name[0] = '\0';
    return rc < 0 ? rc : 0;
}

static int too_long(const struct sse *s, struct err *e)
{
    return err_set(e, ERR_LIMIT, "an event of the server's stream is longer than %zu bytes", s->data.limit);
}

static int add_data(struct sse *s, struct span value, struct err *e)
{
    if (s->has_data)
        buf_addc(&s->data, '\n');
    buf_add_span(&s->data, value);
    s->has_data = true;
    return s->data.failed ? too_long(s, e) : 0;
}

/* Some leave the empty line between events out. No JSON text goes on with these behind a `}` at a line's end. */
static bool begins_anew(const struct sse *s, struct span value)
{
    return s->has_data && s->data.n && s->data.p[s->data.n - 1] == '}' && (span_starts(value, "{") || span_eqs(value, "[DONE]"));
}

static int take_line(struct sse *s, struct span line, struct err *e)
{
    if (!s->begun) {
        s->begun = true;
        if (span_starts(line, "\xef\xbb\xbf")) /* a byte order mark */
            line = span_sub(line, 3, line.n);
    }
    if (!line.n)
        return dispatch(s, e);
    if (line.p[0] == ':') {
        s->comments++;
        return 0;
    }
    if (line.p[0] == '{') {
        /* A whole message in one line: what came before it is a message of its own. */
        int rc = dispatch(s, e);
        if (rc >= 0)
            rc = add_data(s, line, e);
        return rc < 0 ? rc : dispatch(s, e);
    }
    ptrdiff_t c = span_findc(line, ':');
    struct span field = c < 0 ? line : span_sub(line, 0, (size_t)c);
    struct span value = c < 0 ? (struct span){ "", 0 } : span_sub(line, (size_t)c + 1, line.n);
    if (value.n && value.p[0] == ' ')
        value = span_sub(value, 1, value.n);
    if (span_eqs(field, "data")) {
        if (begins_anew(s, value)) {
            int rc = dispatch(s, e);
            if (rc < 0)
                return rc;
        }
        return add_data(s, value, e);
    }
    if (span_eqs(field, "event"))
        snprintf(s->name, sizeof s->name, "%.*s", (int)value.n, value.p);
    return 0; /* id, retry, and what we do not know */
}

static int end_line(struct sse *s, struct span rest, struct err *e)
{
    if (!s->line.n)
        return take_line(s, rest, e); /* the usual case: a whole line inside one piece, not copied */
    if (!buf_add_span(&s->line, rest))
        return too_long(s, e);
    int rc = take_line(s, buf_span(&s->line), e);
    buf_reset(&s->line);
    return rc;
}

int sse_feed(struct sse *s, struct span piece, struct err *e)
{
    size_t from = 0;
    for (size_t i = 0; i < piece.n; i++) {
        char c = piece.p[i];
        if (c != '\n' && c != '\r') {
            s->after_cr = false;
            continue;
        }
        struct span rest = span_sub(piece, from, i - from);
        from = i + 1;
        if (c == '\n' && s->after_cr) { /* the second half of \r\n */
            s->after_cr = false;
            continue;
        }
        s->after_cr = c == '\r';
        int rc = end_line(s, rest, e);
        if (rc < 0)
            return rc;
    }
    if (from < piece.n && !buf_add_span(&s->line, span_sub(piece, from, piece.n)))
        return too_long(s, e);
    return 0;
}

int sse_end(struct sse *s, struct err *e)
{
    int rc = 0;
    if (s->line.n) {
        struct span last = buf_span(&s->line);
        rc = take_line(s, last, e);
        buf_reset(&s->line);
    }
    return rc < 0 ? rc : dispatch(s, e);
}
