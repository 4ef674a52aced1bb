/*
 * Checkstyle XML: <checkstyle><file name><error line column severity message source/></file>.
 * Written by checkstyle, phpcs, ktlint, eslint, shellcheck, stylelint, cppcheck's converters.
 */
#include "verify/reader-internal.h"
#include "verify/xml.h"

struct checkstyle {
    struct results *out;
    struct buf file;
};

static void on_open(void *ctx, int depth, const char *name, const char *const *attrs)
{
    struct checkstyle *c = ctx;
    (void)depth;
    if (!strcmp(name, "file")) {
        buf_reset(&c->file);
        buf_adds(&c->file, xml_attr(attrs, "name"));
    } else if (!strcmp(name, "error")) {
        struct span line = span_of(xml_attr(attrs, "line")), col = span_of(xml_attr(attrs, "column"));
        const char *sev = xml_attr(attrs, "severity");
        const char *source = xml_attr(attrs, "source");
        /* "ShellCheck.SC2086", "com.puppycrawl...FooCheck": the rule is the last part. */
        const char *dot = strrchr(source, '.');
        results_add_finding(c->out, SPAN("checkstyle"), span_of(dot ? dot + 1 : source),
                            !strcmp(sev, "error")     ? RESULT_ERROR
                            : !strcmp(sev, "warning") ? RESULT_WARNING
                                                      : RESULT_NOTE,
                            buf_span(&c->file), take_number(&line), take_number(&col),
                            span_of(xml_attr(attrs, "message")));
    }
}

static int checkstyle_read(struct span text, struct results *out, struct err *e)
{
    struct checkstyle c = { out, BUF_INIT(1u << 16) };
    struct xml_handler h = { .open = on_open, .ctx = &c };
    struct span doc = xml_within(text, "<checkstyle");
    int r = xml_read(doc.n ? doc : text, &h, e);
    buf_finish(&c.file);
    return r;
}

static int checkstyle_sniff(struct span text)
{
    return span_has(xml_within(text, "<checkstyle"), "<checkstyle") ? 98 : 0;
}

const struct reader reader_checkstyle = {
    .name = "checkstyle",
    .summary = "Checkstyle XML: checkstyle, phpcs, ktlint, shellcheck -f checkstyle",
    .sniff = checkstyle_sniff,
    .read = checkstyle_read,
};
