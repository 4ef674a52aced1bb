#include "verify/reader.h"

#include "base/bind.h"
#include "base/clean.h"
#include "verify/reader-internal.h"

const struct reader *const readers[] = {
    &reader_automake, &reader_cargo,    &reader_cargo_json, &reader_checkstyle, &reader_ctest,  &reader_diff,
    &reader_eslint,   &reader_files,    &reader_gcc,        &reader_gcc_json,   &reader_go,     &reader_jest,
    &reader_jest_json, &reader_junit,   &reader_meson,      &reader_mocha,      &reader_node,   &reader_phpunit,
    &reader_prove,    &reader_pytest,   &reader_rdjson,     &reader_ruby,       &reader_ruff,   &reader_sarif,
    &reader_shellcheck, &reader_stylish, &reader_tap,       &reader_unittest,   &reader_vitest, NULL,
};

const struct reader *reader_find(const char *name)
{
    for (const struct reader *const *r = readers; *r; r++)
        if (!strcmp((*r)->name, name))
            return *r;
    return NULL;
}

/* What a sniffer sees: formats say who they are at the start or, the summaries, at the end. */
#define SNIFF_BYTES (128u << 10)

static bool is_plain(struct span text)
{
    return !memchr(text.p, 0x1b, text.n) && !memchr(text.p, '\r', text.n);
}

const struct reader *reader_sniff(struct span text)
{
    const struct reader *best = NULL;
    int sure = 49; /* less than even is a guess */
    AUTO(buf) struct buf ends = BUF_INIT(2 * SNIFF_BYTES + 1), cleaned = BUF_INIT(8 * SNIFF_BYTES);
    if (!text.n)
        return NULL;
    if (text.n > 2 * SNIFF_BYTES) {
        buf_add_span(&ends, span_sub(text, 0, SNIFF_BYTES));
        buf_addc(&ends, '\n');
        buf_add_span(&ends, span_sub(text, text.n - SNIFF_BYTES, text.n));
        text = buf_span(&ends);
    }
    if (!is_plain(text)) { /* colours in the middle of what a sniffer knows */
        clean_add(&cleaned, text, CLEAN_TEXT);
        text = buf_span(&cleaned);
    }
    for (const struct reader *const *r = readers; *r; r++) {
        int s = (*r)->sniff ? (*r)->sniff(text) : 0;
        if (s > sure) {
            sure = s;
            best = *r;
        }
    }
    return best;
}

int reader_read(const struct reader *rd, struct span text, struct results *out, struct err *e)
{
    if (text.n > READER_MAX_BYTES)
        return err_set(e, ERR_LIMIT, "%s report of %zu bytes exceeds %u", rd->name, text.n, READER_MAX_BYTES);
    size_t before = out->ntests + out->nfindings;
    AUTO(buf) struct buf cleaned = BUF_INIT((size_t)READER_MAX_BYTES * 4);
    out->repeats |= rd->repeats;
    if (rd->lines && text.n && !is_plain(text)) {
        clean_add(&cleaned, text, CLEAN_TEXT);
        if (buf_check(&cleaned, e) < 0)
            return err_wrap(e, "cleaning the output for the %s reader", rd->name);
        text = buf_span(&cleaned);
    }
    int r = rd->read(text, out, e);
    if (out->ntests + out->nfindings > before)
        out->reader = rd->name;
    if (r < 0)
        return err_wrap(e, "%s report", rd->name);
    if (out->nomem)
        return err_set(e, ERR_NOMEM, "%s report: out of memory after %zu tests and findings", rd->name,
                       out->ntests + out->nfindings);
    return 0;
}

int json_lines(struct span text, json_line_fn fn, void *ctx)
{
    struct span line;
    while (span_line(&text, &line)) {
        line = span_trim(line);
        if (!line.n || line.p[0] != '{')
            continue;
        struct err ignored = ERR_INIT;
        AUTO(json) json_t *v = NULL;
        if (json_parse(line, BIND_TOLERANT, &v, &ignored) < 0)
            continue;
        int r = fn(ctx, v);
        if (r)
            return r;
    }
    return 0;
}

int json_within(struct span text, char open, json_t **out, struct err *e)
{
    char close = open == '[' ? ']' : '}';
    ptrdiff_t end = -1;
    for (size_t i = text.n; i-- > 0;)
        if (text.p[i] == close) {
            end = (ptrdiff_t)i;
            break;
        }
    /* A value that starts a line; some tools print a banner before it. */
    bool at_start = true;
    int tries = 0;
    for (size_t i = 0; end >= 0 && i < (size_t)end && tries < 8; i++) {
        if (at_start && text.p[i] == open) {
            tries++;
            struct span s = span_sub(text, i, (size_t)end - i + 1);
            if (json_parse(s, BIND_TOLERANT, out, e) >= 0)
                return 1;
        }
        at_start = text.p[i] == '\n' || (at_start && (text.p[i] == ' ' || text.p[i] == '\t'));
    }
    if (!tries)
        return 0;
    return -(int)e->kind;
}

struct span xml_within(struct span text, const char *root)
{
    struct span rest = text, line;
    while (span_line(&rest, &line)) {
        line = span_trim(line);
        if (span_starts(line, "<?xml") || span_starts(line, root))
            return (struct span){ line.p, (size_t)(text.p + text.n - line.p) };
    }
    return SPAN("");
}
