#include "term/markdown.h"

#include "term/style.h"
#include "term/width.h"

/* Length of a run of c at s. */
static size_t run_of(struct span s, char c)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == c)
        n++;
    return n;
}

/* `code`, **strong**, *emphasis*; anything that does not close stays as it is. */
static void inlines(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        size_t n = c == '`' || c == '*' ? run_of(span_sub(s, i, s.n), c) : 0;
        bool code = c == '`' && n > 0, strong = c == '*' && n == 2, em = c == '*' && n == 1;
        size_t end = s.n;
        if (code || strong || em)
            for (size_t k = i + n; k + n <= s.n; k++)
                if (s.p[k] == c && run_of(span_sub(s, k, s.n), c) == n) {
                    end = k;
                    break;
                }
        if (end == s.n || end == i + n || ((strong || em) && (s.p[i + n] == ' ' || s.p[end - 1] == ' '))) {
            buf_add(out, s.p + i, n ? n : 1);
            i += n ? n : 1;
            continue;
        }
        buf_adds(out, style(code ? STYLE_CODE : strong ? STYLE_BOLD : STYLE_ITALIC));
        struct span inner = span_sub(s, i + n, end - i - n);
        if (code)
            buf_add_span(out, inner);
        else
            inlines(inner, out);
        buf_adds(out, style(STYLE_RESET));
        i = end + n;
    }
}

static void wrapped(struct span text, size_t indent, size_t columns, struct buf *out)
{
    struct span line;
    bool first = true;
    if (!text.n)
        buf_addc(out, '\n');
    while (width_wrap(&text, columns > indent + 8 ? columns - indent : 8, &line)) {
        for (size_t i = 0; !first && i < indent; i++)
            buf_addc(out, ' ');
        buf_add_span(out, line);
        buf_addc(out, '\n');
        first = false;
    }
}

/* Bytes of a list marker ("- ", "3. ") with its indentation, or 0. */
static size_t list_marker(struct span s)
{
    size_t i = run_of(s, ' ');
    size_t digits = 0;
    while (i + digits < s.n && digits < 3 && s.p[i + digits] >= '0' && s.p[i + digits] <= '9')
        digits++;
    size_t m = i + digits;
    if (m + 1 >= s.n || s.p[m + 1] != ' ')
        return 0;
    if (digits ? s.p[m] == '.' || s.p[m] == ')' : s.p[m] == '-' || s.p[m] == '*' || s.p[m] == '+')
        return m + 2;
    return 0;
}

static void one_line(struct markdown *md, struct span s, size_t columns, struct buf *out)
{
    size_t indent = run_of(s, ' ');
    struct span body = span_sub(s, indent, s.n);
    size_t ticks = body.n && (body.p[0] == '`' || body.p[0] == '~') ? run_of(body, body.p[0]) : 0;
    if (!style_on()) {
        wrapped(s, indent, columns, out);
        return;
    }
    if (md->fence) {
        if (ticks >= md->fence_len && body.p[0] == md->fence_char && !span_trim(span_sub(body, ticks, body.n)).n) {
            md->fence = false;
            return;
        }
        buf_addf(out, "  %s", style(STYLE_CODE));
        buf_add_span(out, s);
        buf_addf(out, "%s\n", style(STYLE_RESET));
        return;
    }
    if (ticks >= 3) {
        md->fence = true;
        md->fence_char = body.p[0];
        md->fence_len = ticks;
        return;
    }
    struct buf styled = BUF_INIT(4 * MARKDOWN_LINE_BYTES);
    size_t hashes = run_of(s, '#'), marker = list_marker(s);
    size_t hang = 0;
    if (hashes && hashes <= 6 && hashes < s.n && s.p[hashes] == ' ') {
        buf_adds(&styled, style(STYLE_BOLD));
        inlines(span_trim(span_sub(s, hashes, s.n)), &styled);
        buf_adds(&styled, style(STYLE_RESET));
    } else if (marker) {
        struct span mark = span_sub(s, 0, marker);
        bool bullet = span_find(mark, SPAN("- ")) >= 0 || span_find(mark, SPAN("* ")) >= 0 || span_find(mark, SPAN("+ ")) >= 0;
        hang = width_of(mark);
        if (bullet)
            buf_addf(&styled, "%*s\xe2\x80\xa2 ", (int)indent, "");
        else
            buf_add_span(&styled, mark);
        inlines(span_sub(s, marker, s.n), &styled);
    } else if (body.n && body.p[0] == '>') {
        buf_addf(&styled, "%s\xe2\x94\x82 ", style(STYLE_DIM));
        buf_add_span(&styled, span_trim(span_sub(body, 1, body.n)));
        buf_adds(&styled, style(STYLE_RESET));
        hang = 2;
    } else {
        inlines(s, &styled);
        hang = indent;
    }
    wrapped(buf_span(&styled), hang, columns, out);
    buf_finish(&styled);
}

void markdown_feed(struct markdown *md, struct span piece, size_t columns, struct buf *out)
{
    struct buf clean = BUF_INIT(piece.n * 12 + 64);
    cleaner_add(&md->cleaner, &clean, piece, CLEAN_TEXT);
    struct span rest = buf_span(&clean);
    while (rest.n) {
        ptrdiff_t nl = span_findc(rest, '\n');
        size_t n = nl < 0 ? rest.n : (size_t)nl;
        if (!buf_add(&md->line, rest.p, n)) { /* an endless line: show what there is */
            one_line(md, buf_span(&md->line), columns, out);
            buf_reset(&md->line);
        }
        rest = span_sub(rest, n + (nl >= 0), rest.n);
        if (nl >= 0) {
            one_line(md, buf_span(&md->line), columns, out);
            buf_reset(&md->line);
        }
    }
    buf_finish(&clean);
}

void markdown_end(struct markdown *md, size_t columns, struct buf *out)
{
    if (md->line.n)
        one_line(md, buf_span(&md->line), columns, out);
    buf_reset(&md->line);
    md->cleaner = (struct cleaner)CLEANER_INIT;
    md->fence = false;
}

void markdown_finish(struct markdown *md)
{
    buf_finish(&md->line);
}
