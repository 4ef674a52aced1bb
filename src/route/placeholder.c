#include "route/placeholder.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

#define MARK "[redacted:"

struct placeholder_row {
    char *detector, *value;
};

void placeholders_finish(struct placeholders *p)
{
    for (size_t i = 0; i < p->len; i++) {
        explicit_bzero(p->rows[i].value, strlen(p->rows[i].value));
        free(p->rows[i].value);
        free(p->rows[i].detector);
    }
    free(p->rows);
    *p = (struct placeholders){ 0 };
}

/* Reads the same at every level of quoting. */
static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] > 0x7e || s.p[i] == '"' || s.p[i] == '\\')
            return false;
    return s.n > 0;
}

/* The number of this text, from 1; 0 where it has none. */
static size_t number_of(struct placeholders *p, const char *detector, struct span value)
{
    for (size_t i = 0; i < p->len; i++)
        if (span_eqs(value, p->rows[i].value) && strcmp(p->rows[i].detector, detector) == 0)
            return i + 1;
    if (!is_plain(value) || p->len >= PLACEHOLDERS_MOST)
        return 0;
    struct placeholder_row row = { strdup(detector), span_dup(value) };
    if (!row.detector || !row.value || !array_grow((void **)&p->rows, &p->cap, p->len, 1, sizeof *p->rows)) {
        free(row.detector);
        free(row.value);
        return 0;
    }
    p->rows[p->len] = row;
    return ++p->len;
}

bool placeholder_write(struct placeholders *p, const char *detector, struct span value, struct buf *out)
{
    AUTO(buf) struct buf whole = BUF_INIT(value.n * 64 + 4096);
    (void)placeholder_restore(p, value, &whole); /* a mark of before may be part of it */
    size_t n = number_of(p, detector, whole.failed ? value : buf_span(&whole));
    return n ? buf_addf(out, MARK "%s:%zu]", detector, n) : buf_addf(out, MARK "%s]", detector);
}

/* The row that a mark at the beginning of the text names, and the mark's length; NULL: none of ours. */
static const struct placeholder_row *row_at(const struct placeholders *p, struct span text, size_t *n)
{
    ptrdiff_t end = span_findc(text, ']'), colon = -1;
    for (ptrdiff_t i = 0; i < end; i++)
        colon = text.p[i] == ':' ? i : colon;
    size_t name = strlen(MARK);
    struct err ignored = ERR_INIT;
    int64_t number = 0;
    if (end < 0 || colon < (ptrdiff_t)name ||
        parse_i64(span_sub(text, (size_t)colon + 1, (size_t)(end - colon - 1)), 1, (int64_t)p->len, &number, &ignored) < 0)
        return NULL;
    const struct placeholder_row *row = &p->rows[number - 1];
    *n = (size_t)end + 1;
    return span_eqs(span_sub(text, name, (size_t)colon - name), row->detector) ? row : NULL;
}

size_t placeholder_restore(const struct placeholders *p, struct span text, struct buf *out)
{
    size_t restored = 0, n = 0;
    for (ptrdiff_t at; p->len && (at = span_find(text, SPAN(MARK))) >= 0;) {
        struct span mark = span_sub(text, (size_t)at, text.n);
        const struct placeholder_row *row = row_at(p, mark, &n);
        buf_add_span(out, span_sub(text, 0, (size_t)at));
        if (row)
            buf_adds(out, row->value);
        else
            buf_add_span(out, span_sub(mark, 0, n = strlen(MARK)));
        restored += row != NULL;
        text = span_sub(mark, n, mark.n);
    }
    buf_add_span(out, text);
    return restored;
}
