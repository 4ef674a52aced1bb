#include "model/schema.h"

#include <math.h>
#include <stdio.h>

#include "base/bind.h"
#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

#define MAX_DEPTH 16 /* of a tool's arguments; ours have two levels */

static const char *type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_STRING: return "string";
    case JSON_INTEGER: return "integer";
    case JSON_REAL: return "number";
    case JSON_TRUE:
    case JSON_FALSE: return "boolean";
    case JSON_NULL: return "null";
    }
    return "?";
}

static bool has_type(const json_t *v, struct span want)
{
    const char *is = type_of(v);
    if (span_eqs(want, is))
        return true;
    if (span_eqs(want, "number"))
        return json_is_number(v);
    if (span_eqs(want, "integer"))
        return json_is_real(v) && floor(json_real_value(v)) == json_real_value(v);
    return false;
}

static struct span text_of(const json_t *v)
{
    return (struct span){ json_string_value(v), json_string_length(v) };
}

/* "path: expected X, got Y" */
static int complain(struct err *e, const char *path, const char *want, const json_t *got)
{
    char shown[80];
    char *text = got ? json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    clean_into(shown, sizeof shown, span_of(text), CLEAN_LINE);
    free(text);
    return err_set(e, ERR_INPUT, "%s%sexpected %s, got %s%s%s", path, *path ? ": " : "", want, got ? type_of(got) : "nothing", got ? " " : "", shown);
}

static int check(const json_t *schema, const json_t *v, const char *path, int depth, struct err *e);

static int check_type(const json_t *type, const json_t *v, const char *path, struct err *e)
{
    if (json_is_string(type)) {
        if (has_type(v, text_of(type)))
            return 0;
        char want[32];
        snprintf(want, sizeof want, "%s %.20s", strchr("aio", json_string_value(type)[0]) ? "an" : "a", json_string_value(type));
        return complain(e, path, want, v);
    }
    size_t i;
    json_t *t;
    json_array_foreach(type, i, t)
        if (json_is_string(t) && has_type(v, text_of(t)))
            return 0;
    return json_array_size(type) ? complain(e, path, "another type", v) : 0;
}

static int check_enum(const json_t *list, const json_t *v, const char *path, struct err *e)
{
    char want[160] = "one of";
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (json_equal(item, v))
            return 0;
        size_t n = strlen(want);
        char *text = json_dumps(item, JSON_COMPACT | JSON_ENCODE_ANY);
        snprintf(want + n, sizeof want - n, "%s %s", i ? "," : "", text ? text : "?");
        free(text);
    }
    return complain(e, path, want, v);
}

static int check_bound(const json_t *schema, const char *low, const char *high, double value, const char *what, const char *path,
                       const json_t *v, struct err *e)
{
    const json_t *lo = json_object_get(schema, low), *hi = json_object_get(schema, high);
    char want[96];
    if (json_is_number(lo) && value < json_number_value(lo)) {
        snprintf(want, sizeof want, "%s of at least %lld", what, (long long)json_number_value(lo));
        return complain(e, path, want, v);
    }
    if (json_is_number(hi) && value > json_number_value(hi)) {
        snprintf(want, sizeof want, "%s of at most %lld", what, (long long)json_number_value(hi));
        return complain(e, path, want, v);
    }
    return 0;
}

static int check_object(const json_t *schema, const json_t *v, const char *path, int depth, struct err *e)
{
    const json_t *props = json_object_get(schema, "properties");
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(schema, "required"), i, name)
        if (json_is_string(name) && !json_object_get(v, json_string_value(name)))
            return err_set(e, ERR_INPUT, "%s%s'%s' is missing", path, *path ? ": " : "", json_string_value(name));
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)v, key, item) {
        char at[200], shown[80];
        clean_into(shown, sizeof shown, span_of(key), CLEAN_LINE);
        snprintf(at, sizeof at, "%.110s%s%s", path, *path ? "." : "", shown);
        const json_t *sub = json_object_get(props, key);
        if (sub) {
            int rc = check(sub, item, at, depth + 1, e);
            if (rc < 0)
                return rc;
        } else if (json_is_false(json_object_get(schema, "additionalProperties"))) {
            char known[160] = "";
            const char *k;
            json_t *unused;
            json_object_foreach((json_t *)(uintptr_t)props, k, unused) {
                size_t n = strlen(known);
                snprintf(known + n, sizeof known - n, "%s%s", n ? ", " : "", k);
            }
            return err_set(e, ERR_INPUT, "there is no '%s'; known: %s", at, known);
        }
    }
    return 0;
}

static int check_any(const json_t *list, const json_t *v, const char *path, int depth, struct err *e)
{
    size_t i;
    json_t *s;
    int rc = 0;
    json_array_foreach(list, i, s) {
        rc = check(s, v, path, depth + 1, e);
        if (rc >= 0)
            return 0;
    }
    return rc;
}

static size_t characters(const json_t *v)
{
    size_t n = 0;
    struct span s = text_of(v);
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static int check(const json_t *schema, const json_t *v, const char *path, int depth, struct err *e)
{
    if (depth > MAX_DEPTH)
        return err_set(e, ERR_LIMIT, "%s: deeper than %d levels", path, MAX_DEPTH);
    if (!json_is_object(schema))
        return 0; /* true, or nothing said */
    int rc = check_type(json_object_get(schema, "type"), v, path, e);
    const json_t *sub = json_object_get(schema, "enum");
    if (rc >= 0 && json_is_array(sub))
        rc = check_enum(sub, v, path, e);
    sub = json_object_get(schema, "const");
    if (rc >= 0 && sub && !json_equal(sub, v))
        rc = complain(e, path, "the constant that the schema names", v);
    sub = json_object_get(schema, "anyOf");
    if (rc >= 0 && json_array_size(sub))
        rc = check_any(sub, v, path, depth, e);
    sub = json_object_get(schema, "oneOf");
    if (rc >= 0 && json_array_size(sub))
        rc = check_any(sub, v, path, depth, e);
    if (rc >= 0 && json_is_number(v))
        rc = check_bound(schema, "minimum", "maximum", json_number_value(v), "a value", path, v, e);
    if (rc >= 0 && json_is_string(v))
        rc = check_bound(schema, "minLength", "maxLength", (double)characters(v), "a length", path, v, e);
    if (rc >= 0 && json_is_object(v))
        rc = check_object(schema, v, path, depth, e);
    if (rc >= 0 && json_is_array(v)) {
        rc = check_bound(schema, "minItems", "maxItems", (double)json_array_size(v), "a count", path, v, e);
        size_t i;
        json_t *item;
        json_array_foreach(v, i, item) {
            char at[200];
            snprintf(at, sizeof at, "%.150s[%zu]", path, i);
            if (rc >= 0)
                rc = check(json_object_get(schema, "items"), item, at, depth + 1, e);
        }
    }
    return rc;
}

int schema_check(const json_t *schema, const json_t *value, struct err *e)
{
    return check(schema, value, "", 0, e);
}

static bool wants(const json_t *schema, const char *type)
{
    return span_eqs(text_of(json_object_get(schema, "type")), type);
}

int schema_coerce(const json_t *schema, json_t *value)
{
    if (!json_is_object(value))
        return 0;
    int done = 0;
    const json_t *props = json_object_get(schema, "properties"), *required = json_object_get(schema, "required");
    const char *key;
    json_t *v;
    void *tmp;
    json_object_foreach_safe(value, tmp, key, v) {
        const json_t *want = json_object_get(props, key);
        json_t *better = NULL;
        struct err unused = ERR_INIT;
        if (!want)
            continue;
        if (json_is_null(v)) {
            bool needed = false;
            size_t i;
            json_t *name;
            json_array_foreach(required, i, name)
                needed |= json_is_string(name) && !strcmp(json_string_value(name), key);
            if (!needed && json_is_string(json_object_get(want, "type")) && !wants(want, "null")) {
                json_object_del(value, key);
                done++;
            }
            continue;
        }
        if (!json_is_string(v)) {
            if (wants(want, "integer") && json_is_real(v) && fabs(json_real_value(v)) < 1e15 && floor(json_real_value(v)) == json_real_value(v))
                better = json_integer((json_int_t)json_real_value(v));
        } else if (wants(want, "integer") || wants(want, "number")) {
            int64_t n;
            double d;
            if (parse_i64(text_of(v), INT64_MIN, INT64_MAX, &n, &unused) >= 0)
                better = json_integer(n);
            else if (wants(want, "number") && parse_f64(text_of(v), -1e300, 1e300, &d, &unused) >= 0)
                better = json_real(d);
        } else if (wants(want, "boolean")) {
            if (!strcmp(json_string_value(v), "true") || !strcmp(json_string_value(v), "True"))
                better = json_true();
            else if (!strcmp(json_string_value(v), "false") || !strcmp(json_string_value(v), "False"))
                better = json_false();
        }
        if (better) {
            json_object_set_new(value, key, better);
            done++;
        }
    }
    return done;
}

static void plain(json_t *s, bool is_properties, int depth)
{
    static const char *const drop[] = { "pattern", "format", "$schema", "$id", "$comment", "default", "examples", "title",
                                        "minLength", "maxLength", "patternProperties", "propertyNames", "dependentRequired",
                                        "if", "then", "else", "not", "contentEncoding", "uniqueItems", "multipleOf" };
    if (depth > 2 * MAX_DEPTH)
        return;
    if (json_is_array(s)) {
        size_t i;
        json_t *item;
        json_array_foreach(s, i, item)
            plain(item, false, depth + 1);
    }
    if (!json_is_object(s))
        return;
    for (size_t i = 0; !is_properties && i < COUNT_OF(drop); i++)
        json_object_del(s, drop[i]);
    const char *key;
    json_t *v;
    json_object_foreach(s, key, v)
        if (is_properties || (strcmp(key, "enum") != 0 && strcmp(key, "const") != 0))
            plain(v, !is_properties && !strcmp(key, "properties"), depth + 1);
}

bool schema_plain(struct span schema, struct buf *out)
{
    AUTO(json) json_t *j = json_loadb(schema.p, schema.n, 0, NULL);
    if (!json_is_object(j))
        return buf_add_span(out, schema);
    plain(j, false, 0);
    return buf_add_json_value(out, j);
}
