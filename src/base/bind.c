#include "base/bind.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/num.h"

struct bind_path {
    const struct bind_path *up;
    const char *name; /* member, or NULL for an index */
    size_t index;
};

struct bind_ctx {
    enum bind_mode mode;
    struct arena *arena;
    struct err *e;
};

static void path_text(const struct bind_path *p, struct buf *out)
{
    if (!p)
        return;
    path_text(p->up, out);
    if (p->name) {
        if (out->n)
            buf_addc(out, '.');
        clean_add(out, span_of(p->name), CLEAN_LINE);
    } else {
        buf_addf(out, "[%zu]", p->index);
    }
}

__attribute__((format(printf, 3, 4))) static int bad(const struct bind_ctx *c, const struct bind_path *p,
                                                     const char *fmt, ...)
{
    char where[128], what[320];
    struct buf b = BUF_INIT(100);
    va_list ap;
    path_text(p, &b);
    (void)snprintf(where, sizeof where, "%s", buf_str(&b));
    buf_finish(&b);
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return where[0] ? err_set(c->e, ERR_INPUT, "%s: %s", where, what) : err_set(c->e, ERR_INPUT, "%s", what);
}

/* A short picture of what was found, safe to print. */
static const char *seen(const json_t *j, char out[64])
{
    switch (json_typeof(j)) {
    case JSON_STRING: {
        char text[48];
        (void)clean_into(text, sizeof text, (struct span){ json_string_value(j), json_string_length(j) }, CLEAN_LINE);
        (void)snprintf(out, 64, "\"%s\"", text);
        break;
    }
    case JSON_INTEGER:
        (void)snprintf(out, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
        break;
    case JSON_REAL:
        (void)snprintf(out, 64, "%g", json_real_value(j));
        break;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        return "null";
    case JSON_ARRAY:
        return "an array";
    case JSON_OBJECT:
        return "an object";
    }
    return out;
}

static int load_object(const struct bind_ctx *c, const json_t *json, const struct field *fields, char *out,
                       const struct bind_path *path, int depth);

static int nomem(const struct bind_ctx *c)
{
    return err_set(c->e, ERR_LIMIT, "value too large: the %zu bytes set aside for it are used up", c->arena->limit);
}

static int load_string(const struct bind_ctx *c, const json_t *j, const struct field *f, const char **out,
                       const struct bind_path *path)
{
    char what[64];
    if (!json_is_string(j))
        return bad(c, path, "expected a string, got %s", seen(j, what));
    size_t n = json_string_length(j);
    const char *s = json_string_value(j);
    if (memchr(s, '\0', n))
        return bad(c, path, "contains a NUL character");
    if ((f->min || f->max) && ((int64_t)n < f->min || (int64_t)n > f->max)) {
        if (n == 0)
            return bad(c, path, "is empty");
        return bad(c, path, "expected %" PRId64 "..%" PRId64 " bytes, got %zu", f->min, f->max, n);
    }
    *out = arena_span(c->arena, (struct span){ s, n });
    return *out ? 0 : nomem(c);
}

static int load_i64(const struct bind_ctx *c, const json_t *j, const struct field *f, int64_t *out,
                    const struct bind_path *path)
{
    char what[64];
    int64_t min = f->min || f->max ? f->min : INT64_MIN, max = f->min || f->max ? f->max : INT64_MAX;
    struct err ignored;
    bool ok = false;
    int64_t v = 0;
    if (json_is_integer(j)) {
        v = json_integer_value(j);
        ok = true;
    } else if (json_is_real(j) && rint(json_real_value(j)) == json_real_value(j) && fabs(json_real_value(j)) < 9e15) {
        v = (int64_t)json_real_value(j);
        ok = true;
    } else if (c->mode == BIND_TOLERANT && json_is_string(j)) {
        ok = parse_i64((struct span){ json_string_value(j), json_string_length(j) }, min, max, &v, &ignored) == 0;
    }
    if (!ok || v < min || v > max) {
        if (f->min || f->max)
            return bad(c, path, "expected %" PRId64 "..%" PRId64 ", got %s", min, max, seen(j, what));
        return bad(c, path, "expected a whole number, got %s", seen(j, what));
    }
    *out = v;
    return 0;
}

static int load_enum(const struct bind_ctx *c, const json_t *j, const struct field *f, int *out,
                     const struct bind_path *path)
{
    char what[64];
    if (json_is_string(j))
        for (int i = 0; f->names[i]; i++)
            if (strcmp(f->names[i], json_string_value(j)) == 0) {
                *out = i;
                return 0;
            }
    struct buf list = BUF_INIT(240);
    for (int i = 0; f->names[i]; i++)
        buf_addf(&list, "%s%s", i ? ", " : "", f->names[i]);
    int r = bad(c, path, "expected one of %s, got %s", buf_str(&list), seen(j, what));
    buf_finish(&list);
    return r;
}

static int load_array_len(const struct bind_ctx *c, const json_t *j, const struct field *f, const struct bind_path *path)
{
    char what[64];
    if (!json_is_array(j))
        return bad(c, path, "expected an array, got %s", seen(j, what));
    if ((f->min || f->max) && ((int64_t)json_array_size(j) < f->min || (int64_t)json_array_size(j) > f->max))
        return bad(c, path, "expected %" PRId64 "..%" PRId64 " items, got %zu", f->min, f->max, json_array_size(j));
    return 0;
}

static int load_strings(const struct bind_ctx *c, const json_t *j, const struct field *f, struct strings *out,
                        const struct bind_path *path)
{
    int r = load_array_len(c, j, f, path);
    if (r < 0)
        return r;
    size_t n = json_array_size(j);
    const char **items = arena_array(c->arena, n ? n : 1, sizeof *items);
    if (!items)
        return nomem(c);
    const struct field item = { .name = "", .type = FIELD_STRING };
    for (size_t i = 0; i < n; i++) {
        const struct bind_path at = { path, NULL, i };
        r = load_string(c, json_array_get(j, i), &item, &items[i], &at);
        if (r < 0)
            return r;
    }
    *out = (struct strings){ items, n };
    return 0;
}

static int load_objects(const struct bind_ctx *c, const json_t *j, const struct field *f, struct bind_array *out,
                        const struct bind_path *path, int depth)
{
    int r = load_array_len(c, j, f, path);
    if (r < 0)
        return r;
    size_t n = json_array_size(j);
    char *items = arena_array(c->arena, n ? n : 1, f->elem_size);
    if (!items)
        return nomem(c);
    for (size_t i = 0; i < n; i++) {
        const struct bind_path at = { path, NULL, i };
        r = load_object(c, json_array_get(j, i), f->fields, items + i * f->elem_size, &at, depth + 1);
        if (r < 0)
            return r;
    }
    *out = (struct bind_array){ items, n };
    return 0;
}

static int load_field(const struct bind_ctx *c, json_t *j, const struct field *f, char *base,
                      const struct bind_path *path, int depth)
{
    char what[64];
    void *at = base + f->offset;
    switch (f->type) {
    case FIELD_NONE:
        return 0;
    case FIELD_STRING:
        return load_string(c, j, f, at, path);
    case FIELD_BOOL:
        if (!json_is_boolean(j))
            return bad(c, path, "expected true or false, got %s", seen(j, what));
        *(bool *)at = json_is_true(j);
        return 0;
    case FIELD_I64:
        return load_i64(c, j, f, at, path);
    case FIELD_F64:
        if (!json_is_number(j))
            return bad(c, path, "expected a number, got %s", seen(j, what));
        if ((f->min || f->max) && (json_number_value(j) < (double)f->min || json_number_value(j) > (double)f->max))
            return bad(c, path, "expected %" PRId64 "..%" PRId64 ", got %s", f->min, f->max, seen(j, what));
        *(double *)at = json_number_value(j);
        return 0;
    case FIELD_ENUM:
        return load_enum(c, j, f, at, path);
    case FIELD_STRINGS:
        return load_strings(c, j, f, at, path);
    case FIELD_OBJECT:
        return load_object(c, j, f->fields, at, path, depth + 1);
    case FIELD_OBJECTS:
        return load_objects(c, j, f, at, path, depth);
    case FIELD_JSON:
        *(json_t **)at = j;
        return 0;
    }
    return err_set(c->e, ERR_INTERNAL, "field '%s' has an unknown type", f->name);
}

static int load_object(const struct bind_ctx *c, const json_t *json, const struct field *fields, char *out,
                       const struct bind_path *path, int depth)
{
    char what[64];
    if (depth > BIND_MAX_DEPTH)
        return bad(c, path, "nested deeper than %d", BIND_MAX_DEPTH);
    if (!json_is_object(json))
        return bad(c, path, "expected an object, got %s", json ? seen(json, what) : "nothing");
    for (const struct field *f = fields; f->name; f++) {
        const struct bind_path at = { path, f->name, 0 };
        json_t *j = json_object_get(json, f->name);
        if (!j || (json_is_null(j) && f->type != FIELD_JSON)) {
            if (f->flags & FIELD_REQUIRED)
                return bad(c, &at, "is missing");
            continue;
        }
        int r = load_field(c, j, f, out, &at, depth);
        if (r < 0)
            return r;
    }
    if (c->mode != BIND_STRICT)
        return 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value) {
        const struct field *f = fields;
        while (f->name && strcmp(f->name, key) != 0)
            f++;
        if (!f->name) {
            const struct bind_path at = { path, key, 0 };
            struct buf list = BUF_INIT(200);
            for (f = fields; f->name; f++)
                buf_addf(&list, "%s%s", f == fields ? "" : ", ", f->name);
            int r = bad(c, &at, "is not known here; known: %s", buf_str(&list));
            buf_finish(&list);
            return r;
        }
    }
    return 0;
}

int bind_load(const json_t *json, const struct field *fields, void *out, enum bind_mode mode, struct arena *arena,
              struct err *e)
{
    const struct bind_ctx c = { mode, arena, e };
    return load_object(&c, json, fields, out, NULL, 0);
}

static json_t *dump_value(const struct field *f, const char *base);

static json_t *dump_array(const struct field *f, const struct bind_array *a)
{
    json_t *arr = json_array();
    for (size_t i = 0; arr && i < a->len; i++)
        (void)json_array_append_new(arr, bind_dump(f->fields, (const char *)a->items + i * f->elem_size));
    return arr;
}

static json_t *dump_value(const struct field *f, const char *base)
{
    const void *at = base + f->offset;
    switch (f->type) {
    case FIELD_STRING: {
        const char *s = *(const char *const *)at;
        if (s && (f->flags & FIELD_SECRET))
            return json_string("***");
        return s ? json_string(s) : json_null();
    }
    case FIELD_BOOL:
        return json_boolean(*(const bool *)at);
    case FIELD_I64:
        return json_integer(*(const int64_t *)at);
    case FIELD_F64:
        return isfinite(*(const double *)at) ? json_real(*(const double *)at) : json_null();
    case FIELD_ENUM:
        return json_string(f->names[*(const int *)at]);
    case FIELD_STRINGS: {
        const struct strings *s = at;
        json_t *arr = json_array();
        for (size_t i = 0; arr && i < s->len; i++)
            (void)json_array_append_new(arr, json_string(s->items[i]));
        return arr;
    }
    case FIELD_OBJECT:
        return bind_dump(f->fields, at);
    case FIELD_OBJECTS:
        return dump_array(f, at);
    case FIELD_JSON: {
        json_t *j = *(json_t *const *)at;
        return j ? json_incref(j) : json_null();
    }
    case FIELD_NONE:
        break;
    }
    return json_null();
}

static bool is_empty(const json_t *j)
{
    return !j || json_is_null(j) || json_is_false(j) || (json_is_integer(j) && json_integer_value(j) == 0) ||
           (json_is_real(j) && fpclassify(json_real_value(j)) == FP_ZERO) ||
           (json_is_string(j) && json_string_length(j) == 0) || (json_is_array(j) && json_array_size(j) == 0) ||
           (json_is_object(j) && json_object_size(j) == 0);
}

json_t *bind_dump(const struct field *fields, const void *in)
{
    json_t *obj = json_object();
    for (const struct field *f = fields; obj && f->name; f++) {
        json_t *v = dump_value(f, in);
        if ((f->flags & FIELD_OMIT) && is_empty(v))
            json_decref(v);
        else
            (void)json_object_set_new(obj, f->name, v);
    }
    return obj;
}

static void schema_of(const struct field *f, struct buf *out);

static void schema_range(const struct field *f, const char *min, const char *max, struct buf *out)
{
    if (!f->min && !f->max)
        return;
    if (f->min)
        buf_addf(out, ",\"%s\":%" PRId64, min, f->min);
    buf_addf(out, ",\"%s\":%" PRId64, max, f->max);
}

static void schema_of(const struct field *f, struct buf *out)
{
    buf_addc(out, '{');
    switch (f->type) {
    case FIELD_STRING: /* byte bounds stay ours: servers' grammars choke on maxLength (llama.cpp#27580) */
        buf_adds(out, "\"type\":\"string\"");
        break;
    case FIELD_BOOL:
        buf_adds(out, "\"type\":\"boolean\"");
        break;
    case FIELD_I64:
        buf_adds(out, "\"type\":\"integer\"");
        schema_range(f, "minimum", "maximum", out);
        break;
    case FIELD_F64:
        buf_adds(out, "\"type\":\"number\"");
        schema_range(f, "minimum", "maximum", out);
        break;
    case FIELD_ENUM:
        buf_adds(out, "\"enum\":[");
        for (int i = 0; f->names[i]; i++) {
            if (i)
                buf_addc(out, ',');
            buf_add_json(out, span_of(f->names[i]));
        }
        buf_addc(out, ']');
        break;
    case FIELD_STRINGS:
        buf_adds(out, "\"type\":\"array\",\"items\":{\"type\":\"string\"}");
        break;
    case FIELD_OBJECT:
    case FIELD_OBJECTS: {
        struct buf inner = BUF_INIT(1 << 20);
        bind_schema(f->fields, &inner);
        if (f->type == FIELD_OBJECTS)
            buf_adds(out, "\"type\":\"array\",\"items\":");
        /* an object's schema is {"type":...}: splice its members, so that doc can follow */
        if (f->type == FIELD_OBJECT && inner.n > 2)
            buf_add(out, inner.p + 1, inner.n - 2);
        else
            buf_add_span(out, buf_span(&inner));
        buf_finish(&inner);
        break;
    }
    case FIELD_JSON:
    case FIELD_NONE:
        break;
    }
    if (f->doc && f->doc[0]) {
        if (out->p && out->p[out->n - 1] != '{')
            buf_addc(out, ',');
        buf_adds(out, "\"description\":");
        buf_add_json(out, span_of(f->doc));
    }
    buf_addc(out, '}');
}

bool bind_schema(const struct field *fields, struct buf *out)
{
    buf_adds(out, "{\"type\":\"object\",\"properties\":{");
    for (const struct field *f = fields; f->name; f++) {
        if (f != fields)
            buf_addc(out, ',');
        buf_add_json(out, span_of(f->name));
        buf_addc(out, ':');
        schema_of(f, out);
    }
    buf_addc(out, '}');
    bool any = false;
    for (const struct field *f = fields; f->name; f++)
        if (f->flags & FIELD_REQUIRED) {
            buf_adds(out, any ? "," : ",\"required\":[");
            buf_add_json(out, span_of(f->name));
            any = true;
        }
    if (any)
        buf_addc(out, ']');
    return buf_addc(out, '}');
}

int json_parse(struct span text, enum bind_mode mode, json_t **out, struct err *e)
{
    json_error_t je;
    json_t *j = json_loadb(text.p, text.n, JSON_DECODE_ANY | (mode == BIND_STRICT ? JSON_REJECT_DUPLICATES : 0u), &je);
    if (!j) {
        char safe[120];
        (void)clean_into(safe, sizeof safe, span_of(je.text), CLEAN_LINE);
        return err_set(e, ERR_INPUT, "not valid JSON at line %d, column %d: %s", je.line, je.column, safe);
    }
    *out = j;
    return 0;
}

static int add_chunk(const char *data, size_t n, void *ctx)
{
    return buf_add(ctx, data, n) ? 0 : -1;
}

bool buf_add_json_value(struct buf *b, const json_t *json)
{
    if (json_dump_callback(json, add_chunk, b, JSON_COMPACT | JSON_ENCODE_ANY) < 0 && !b->failed)
        b->failed = ERR_NOMEM;
    return !b->failed;
}
