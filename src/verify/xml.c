#include "verify/xml.h"

#include <expat.h>

#include "base/lazy.h"

#define EXPAT_API(X)                                                                                      \
    X(XML_ParserCreate) X(XML_ParserFree) X(XML_SetUserData) X(XML_SetElementHandler)                     \
    X(XML_SetCharacterDataHandler) X(XML_SetStartDoctypeDeclHandler) X(XML_StopParser) X(XML_Parse)       \
    X(XML_GetErrorCode) X(XML_ErrorString) X(XML_GetCurrentLineNumber)
LAZY_DEFINE(expat, EXPAT_API)

#define XML_TEXT_BYTES (64u << 10)

struct xml_state {
    const struct expat_api *x;
    const struct xml_handler *h;
    XML_Parser parser;
    const char *refused;
    int depth;
    struct buf text[XML_MAX_DEPTH];
};

static void refuse(struct xml_state *st, const char *why)
{
    st->refused = why;
    st->x->XML_StopParser(st->parser, XML_FALSE);
}

static void on_open(void *ctx, const char *name, const char **attrs)
{
    struct xml_state *st = ctx;
    if (st->depth >= XML_MAX_DEPTH) {
        refuse(st, "elements nested too deep");
        return;
    }
    buf_reset(&st->text[st->depth]);
    if (st->h->open)
        st->h->open(st->h->ctx, st->depth, name, (const char *const *)attrs);
    st->depth++;
}

static void on_close(void *ctx, const char *name)
{
    struct xml_state *st = ctx;
    st->depth--;
    if (st->h->close)
        st->h->close(st->h->ctx, st->depth, name, buf_span(&st->text[st->depth]));
}

static void on_text(void *ctx, const char *s, int n)
{
    struct xml_state *st = ctx;
    if (st->depth > 0 && !st->text[st->depth - 1].failed)
        buf_add(&st->text[st->depth - 1], s, (size_t)n); /* beyond the limit: the first part stays */
}

static void on_doctype(void *ctx, const char *name, const char *sysid, const char *pubid, int internal)
{
    (void)name;
    (void)sysid;
    (void)pubid;
    if (internal)
        refuse(ctx, "a document type with its own declarations is not allowed");
}

int xml_read(struct span text, const struct xml_handler *h, struct err *e)
{
    const struct expat_api *x = expat_lazy("libexpat.so.1", "install libexpat1", e);
    if (!x)
        return -(int)e->kind;
    struct xml_state st = { .x = x, .h = h };
    st.parser = x->XML_ParserCreate(NULL);
    if (!st.parser)
        return err_set(e, ERR_NOMEM, "reading XML: out of memory");
    for (int i = 0; i < XML_MAX_DEPTH; i++)
        buf_init(&st.text[i], XML_TEXT_BYTES);
    x->XML_SetUserData(st.parser, &st);
    x->XML_SetElementHandler(st.parser, on_open, on_close);
    x->XML_SetCharacterDataHandler(st.parser, on_text);
    x->XML_SetStartDoctypeDeclHandler(st.parser, on_doctype);
    int result = 0;
    if (text.n > INT32_MAX)
        result = err_set(e, ERR_LIMIT, "XML of %zu bytes is too large", text.n);
    else if (x->XML_Parse(st.parser, text.p, (int)text.n, 1) != XML_STATUS_OK)
        result = err_set(e, ERR_INPUT, "line %lu: %s", (unsigned long)x->XML_GetCurrentLineNumber(st.parser),
                         st.refused ? st.refused : x->XML_ErrorString(x->XML_GetErrorCode(st.parser)));
    for (int i = 0; i < XML_MAX_DEPTH; i++)
        buf_finish(&st.text[i]);
    x->XML_ParserFree(st.parser);
    return result;
}

const char *xml_attr(const char *const *attrs, const char *name)
{
    for (; attrs[0]; attrs += 2)
        if (!strcmp(attrs[0], name))
            return attrs[1];
    return "";
}
