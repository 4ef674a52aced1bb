/*
 * xml - reading XML by events, with expat: elements with their attributes, and their text.
 *
 *     struct xml_handler h = { .open = on_open, .close = on_close, .ctx = &state };
 *     if (xml_read(text, &h, e) < 0) ...        // not well-formed: names the line
 *
 * Document types are refused (no entities, hence no expansion attacks), depth is limited. expat is
 * loaded when first needed.
 */
#ifndef STEAD_VERIFY_XML_H
#define STEAD_VERIFY_XML_H

#include "base/buf.h"
#include "base/err.h"

#define XML_MAX_DEPTH 64 /* JUnit nests suites; nothing known passes ten */

struct xml_handler {
    /* attrs: name, value, ..., NULL; valid during the call. depth: 0 is the root element. */
    void (*open)(void *ctx, int depth, const char *name, const char *const *attrs);
    /* text: what stood directly in the element (not in its children), at most 64 KiB of it. */
    void (*close)(void *ctx, int depth, const char *name, struct span text);
    void *ctx;
};

int xml_read(struct span text, const struct xml_handler *h, struct err *e) WARN_UNUSED;
const char *xml_attr(const char *const *attrs, const char *name); /* "" when absent */

#endif
