#define LOG_MODULE "model"
#include "model/quirk.h"

#include <strings.h>

#include "base/data.h"
#include "base/log.h"
#include "base/mem.h"

static const struct field when_fields[] = {
    { "server", FIELD_STRINGS, FIELD(quirk_when, server), 0, 0, 16, "kinds of server" },
    { "model", FIELD_STRINGS, FIELD(quirk_when, model), 0, 0, 32, "parts of the model's name" },
    { "template", FIELD_STRINGS, FIELD(quirk_when, template), 0, 0, 16, "texts in the chat template" },
    { "template_lacks", FIELD_STRINGS, FIELD(quirk_when, template_lacks), 0, 0, 16, "texts of which the chat template has none" },
    { "version_before", FIELD_STRING, FIELD(quirk_when, version_before), 0, 1, 64, "the first version without it" },
    { "version_from", FIELD_STRING, FIELD(quirk_when, version_from), 0, 1, 64, "the first version with it" },
    { 0 },
};

static const struct field quirk_fields[] = {
    { "name", FIELD_STRING, FIELD(quirk, name), FIELD_REQUIRED, 1, 64, "as the file" },
    { "row", FIELD_I64, FIELD(quirk, row), 0, 1, 999, "in the table of behaviours" },
    { "says", FIELD_STRING, FIELD(quirk, says), FIELD_REQUIRED, 1, 300, "for a person" },
    { "evidence", FIELD_STRINGS, FIELD(quirk, evidence), FIELD_REQUIRED, 1, 16, "where it was seen" },
    { "when", FIELD_OBJECT, FIELD(quirk, when), FIELD_REQUIRED, 0, 0, "the condition", .fields = when_fields },
    { "then", FIELD_JSON, FIELD(quirk, then), FIELD_REQUIRED, 0, 0, "the change of behaviour" },
    { 0 },
};

static struct quirk *quirks;
static size_t nquirks, capquirks;
static struct arena memory = ARENA_INIT(1 << 20);

static int load(void *ctx, const char *path, struct span text)
{
    (void)ctx;
    struct err e = ERR_INIT;
    json_t *j = NULL;
    struct quirk q = { 0 };
    struct behaviour unused = { 0 };
    if (!span_ends(span_of(path), ".json"))
        return 0;
    if (json_parse(text, BIND_STRICT, &j, &e) < 0 || bind_load(j, quirk_fields, &q, BIND_STRICT, &memory, &e) < 0 ||
        bind_load(q.then, behaviour_fields, &unused, BIND_STRICT, &memory, &e) < 0) {
        log_error("data/%s: %s: the row is left out", path, e.text);
    } else if (array_grow((void **)&quirks, &capquirks, nquirks, 1, sizeof *quirks)) {
        json_incref(q.then);
        quirks[nquirks++] = q;
    }
    json_decref(j);
    return 0;
}

const struct quirk *quirks_all(size_t *n)
{
    static bool loaded;
    if (!loaded) {
        loaded = true;
        (void)data_each("quirks/", load, NULL);
    }
    *n = nquirks;
    return quirks;
}

int version_compare(const char *a, const char *b)
{
    for (;;) {
        int64_t n[2] = { -1, -1 };
        const char *s[2] = { a, b };
        for (int i = 0; i < 2; i++) {
            while (*s[i] && (*s[i] < '0' || *s[i] > '9'))
                s[i]++;
            while (*s[i] >= '0' && *s[i] <= '9' && n[i] < 1000000000) {
                n[i] = (n[i] < 0 ? 0 : n[i]) * 10 + (*s[i] - '0');
                s[i]++;
            }
            while (*s[i] >= '0' && *s[i] <= '9')
                s[i]++;
        }
        if (n[0] < 0 && n[1] < 0)
            return 0;
        if (n[0] != n[1])
            return (n[0] < 0 ? 0 : n[0]) < (n[1] < 0 ? 0 : n[1]) ? -1 : (n[0] < 0 ? 0 : n[0]) > (n[1] < 0 ? 0 : n[1]) ? 1 : 0;
        a = s[0];
        b = s[1];
    }
}

static bool part_of(const struct strings *parts, const char *whole)
{
    for (size_t i = 0; i < parts->len; i++)
        if (strcasestr(whole, parts->items[i]))
            return true;
    return false;
}

bool quirk_holds(const struct quirk *q, const struct endpoint *ep)
{
    const struct quirk_when *w = &q->when;
    bool kind = !w->server.len;
    for (size_t i = 0; i < w->server.len; i++)
        kind |= !strcmp(w->server.items[i], server_kind_name(ep->server));
    if (!kind || (w->model.len && !part_of(&w->model, ep->model)) || (w->template.len && !part_of(&w->template, ep->chat_template)))
        return false;
    if (w->template_lacks.len && (!*ep->chat_template || part_of(&w->template_lacks, ep->chat_template)))
        return false;
    if ((w->version_before || w->version_from) && !*ep->version)
        return false; /* unknown is not old */
    return !(w->version_before && version_compare(ep->version, w->version_before) >= 0) &&
           !(w->version_from && version_compare(ep->version, w->version_from) < 0);
}

int quirk_apply(const struct quirk *q, struct behaviour *b, struct err *e)
{
    struct arena none = ARENA_INIT(4096);
    int rc = bind_load(q->then, behaviour_fields, b, BIND_STRICT, &none, e);
    arena_finish(&none);
    return rc;
}
