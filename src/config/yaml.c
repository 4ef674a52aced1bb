#include "config/yaml.h"

#include <stdlib.h>
#include <strings.h>
#include <yaml.h>

#include "base/clean.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

#define PATH_LIMIT 512 /* of a key's path, for messages: YAML_DEPTH names of some length */
#define NAMES_LIMIT 230 /* of a list of names in a hint */

/* --- messages --- */

static void place(char *out, size_t size, const struct yaml_node *n)
{
    if (n->line > 0)
        (void)snprintf(out, size, "%s:%d", n->file, n->line);
    else
        (void)snprintf(out, size, "%s", n->file);
}

int yaml_fail(struct err *e, const struct yaml_node *n, const char *path, const char *fmt, ...)
{
    char where[300], raw[400], said[400];
    place(where, sizeof where, n);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    clean_into(said, sizeof said, span_of(raw), CLEAN_LINE);
    if (path && *path) {
        char key[200];
        clean_into(key, sizeof key, span_of(path), CLEAN_LINE);
        return err_set(e, ERR_USAGE, "%s: %s: %s", where, key, said);
    }
    return err_set(e, ERR_USAGE, "%s: %s", where, said);
}

/* --- reading --- */

struct reader {
    yaml_parser_t parser;
    const char *name;
    struct arena *arena;
    int nodes;
    struct err *e;
};

static int fail_at(struct reader *r, yaml_mark_t mark, const char *what, const char *hint)
{
    err_set(r->e, ERR_USAGE, "%s:%zu: %s", r->name, mark.line + 1, what);
    if (hint)
        err_hint(r->e, "%s", hint);
    return -ERR_USAGE;
}

static int fail_parse(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->e, ERR_NOMEM, "%s: out of memory", r->name);
    char said[200];
    clean_into(said, sizeof said, span_of(p->problem ? p->problem : "not YAML"), CLEAN_LINE);
    bool tab = p->error == YAML_SCANNER_ERROR && strstr(said, "cannot start any token");
    return fail_at(r, p->error == YAML_READER_ERROR ? p->mark : p->problem_mark, said,
                   tab ? "indent with spaces, not tabs, and quote values that begin with a special character"
                       : "check the indentation and the quotes on this line and the one before");
}

/* What libyaml itself would refuse to read back, and what no setting of ours needs. */
static bool printable(struct span s)
{
    uint32_t c;
    while (s.n) {
        int n = utf8_decode(s, &c);
        if (n <= 0)
            return false;
        bool ok = c == '\n' || c == '\t' || (c >= 0x20 && c <= 0x7e) || (c >= 0xa0 && c <= 0xd7ff) ||
                  (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) || c >= 0x10000;
        if (!ok)
            return false;
        s = span_sub(s, (size_t)n, s.n);
    }
    return true;
}

static int next_event(struct reader *r, yaml_event_t *ev)
{
    if (!yaml_parser_parse(&r->parser, ev))
        return fail_parse(r);
    const unsigned char *anchor = NULL, *tag = NULL;
    if (ev->type == YAML_ALIAS_EVENT)
        anchor = ev->data.alias.anchor;
    else if (ev->type == YAML_SCALAR_EVENT)
        anchor = ev->data.scalar.anchor, tag = ev->data.scalar.tag;
    else if (ev->type == YAML_SEQUENCE_START_EVENT)
        anchor = ev->data.sequence_start.anchor, tag = ev->data.sequence_start.tag;
    else if (ev->type == YAML_MAPPING_START_EVENT)
        anchor = ev->data.mapping_start.anchor, tag = ev->data.mapping_start.tag;
    int ret = 0;
    if (anchor)
        ret = fail_at(r, ev->start_mark, "anchors and aliases (& and *) are not used here",
                      "write the value out, or put it in quotes if it is meant to begin so");
    else if (tag)
        ret = fail_at(r, ev->start_mark, "tags (!) are not used here", "put the value in quotes if it is meant to begin so");
    else if (++r->nodes > YAML_NODES)
        ret = fail_at(r, ev->start_mark, "the file has too many values", "keep only what differs from the defaults");
    if (ret < 0)
        yaml_event_delete(ev);
    return ret;
}

static struct yaml_node *node_create(struct reader *r, enum yaml_kind kind, yaml_mark_t mark)
{
    struct yaml_node *n = arena_alloc(r->arena, sizeof *n);
    if (!n) {
        err_set(r->e, ERR_NOMEM, "%s: out of memory", r->name);
        return NULL;
    }
    n->kind = kind;
    n->file = r->name;
    n->line = (int)mark.line + 1;
    return n;
}

static char *scalar_text(struct reader *r, const yaml_event_t *ev)
{
    struct span s = { (const char *)ev->data.scalar.value, ev->data.scalar.length };
    if (!printable(s)) {
        fail_at(r, ev->start_mark, "a value holds a control character", "remove it");
        return NULL;
    }
    char *text = arena_span(r->arena, s);
    if (!text)
        err_set(r->e, ERR_NOMEM, "%s: out of memory", r->name);
    return text;
}

static int read_node(struct reader *r, yaml_event_t *ev, int depth, struct yaml_node **out);

/* The key that `ev` starts, then its value, as one node. */
static int read_member(struct reader *r, yaml_event_t *ev, const struct yaml_node *first, int depth, struct yaml_node **out)
{
    if (ev->type != YAML_SCALAR_EVENT)
        return fail_at(r, ev->start_mark, "a key must be a word", "write `key: value`");
    char *key = scalar_text(r, ev);
    if (!key)
        return err_code(r->e);
    int line = (int)ev->start_mark.line + 1, count = 0;
    for (const struct yaml_node *n = first; n; n = n->next) {
        if (strcmp(n->key, key) == 0) {
            char said[200], clean[100];
            (void)snprintf(said, sizeof said, "'%s' stands here twice (first in line %d)",
                           clean_into(clean, sizeof clean, span_of(key), CLEAN_LINE), n->line);
            return fail_at(r, ev->start_mark, said, "remove one of the two");
        }
        if (++count >= YAML_KEYS)
            return fail_at(r, ev->start_mark, "a mapping has too many keys", NULL);
    }
    yaml_event_t value;
    if (next_event(r, &value) < 0)
        return err_code(r->e);
    int ret = read_node(r, &value, depth, out);
    yaml_event_delete(&value);
    if (ret == 0) {
        (*out)->key = key;
        (*out)->line = line;
    }
    return ret;
}

static int read_children(struct reader *r, struct yaml_node *parent, int depth)
{
    struct yaml_node **tail = &parent->child;
    for (;;) {
        yaml_event_t ev;
        struct yaml_node *n = NULL;
        if (next_event(r, &ev) < 0)
            return err_code(r->e);
        bool end = ev.type == YAML_MAPPING_END_EVENT || ev.type == YAML_SEQUENCE_END_EVENT;
        int ret = end                            ? 0
                  : parent->kind == YAML_MAPPING ? read_member(r, &ev, parent->child, depth + 1, &n)
                                                 : read_node(r, &ev, depth + 1, &n);
        yaml_event_delete(&ev);
        if (ret < 0 || end)
            return ret;
        *tail = n;
        tail = &n->next;
    }
}

static int read_node(struct reader *r, yaml_event_t *ev, int depth, struct yaml_node **out)
{
    if (depth > YAML_DEPTH)
        return fail_at(r, ev->start_mark, "values are nested too deep", NULL);
    enum yaml_kind kind = ev->type == YAML_MAPPING_START_EVENT    ? YAML_MAPPING
                          : ev->type == YAML_SEQUENCE_START_EVENT ? YAML_SEQUENCE
                                                                  : YAML_SCALAR;
    struct yaml_node *n = node_create(r, kind, ev->start_mark);
    if (!n)
        return err_code(r->e);
    *out = n;
    if (kind != YAML_SCALAR)
        return read_children(r, n, depth);
    n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    n->text = scalar_text(r, ev);
    return n->text ? 0 : err_code(r->e);
}

/* The one document between the start and the end of the stream; none is an empty mapping. */
static int read_stream(struct reader *r, struct yaml_node **out)
{
    struct yaml_node *root = NULL;
    yaml_event_t ev;
    for (;;) {
        if (next_event(r, &ev) < 0)
            return err_code(r->e);
        int ret = 0;
        yaml_event_type_t type = ev.type;
        if (type == YAML_DOCUMENT_START_EVENT && root)
            ret = fail_at(r, ev.start_mark, "a second document begins here", "remove the line `---`");
        else if (type == YAML_SCALAR_EVENT || type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT)
            ret = read_node(r, &ev, 0, &root);
        yaml_mark_t mark = ev.start_mark;
        yaml_event_delete(&ev);
        if (ret < 0)
            return ret;
        if (type != YAML_STREAM_END_EVENT)
            continue;
        if (!root || yaml_is_null(root))
            root = node_create(r, YAML_MAPPING, mark);
        *out = root;
        return root ? 0 : err_code(r->e);
    }
}

int yaml_parse(const char *name, struct span text, struct arena *a, struct yaml_node **out, struct err *e)
{
    if (text.n > YAML_LIMIT) {
        err_set(e, ERR_LIMIT, "%s: the file has %zu bytes; at most %zu are read", name, text.n, YAML_LIMIT);
        return -ERR_LIMIT;
    }
    if (!utf8_valid(text)) {
        err_set(e, ERR_USAGE, "%s: the file is not UTF-8 text", name);
        err_hint(e, "convert it with iconv");
        return -ERR_USAGE;
    }
    struct reader r = { .name = arena_strdup(a, name), .arena = a, .e = e };
    if (!r.name || !yaml_parser_initialize(&r.parser))
        return err_set(e, ERR_NOMEM, "%s: out of memory", name);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    int ret = read_stream(&r, out);
    yaml_parser_delete(&r.parser);
    return ret;
}

bool yaml_is_null(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && !n->quoted &&
           (!*n->text || strcmp(n->text, "~") == 0 || strcasecmp(n->text, "null") == 0);
}

int yaml_bool(const char *text)
{
    static const char *const words[2][3] = { { "false", "no", "off" }, { "true", "yes", "on" } };
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 3; i++)
            if (strcasecmp(text, words[v][i]) == 0)
                return v;
    return -1;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
    if (mapping->kind != YAML_MAPPING)
        return NULL;
    for (const struct yaml_node *n = mapping->child; n; n = n->next)
        if (strcmp(n->key, key) == 0)
            return yaml_is_null(n) ? NULL : n;
    return NULL;
}

/* --- checking against a libcyaml schema --- */

static const char *value_of(const struct yaml_node *n)
{
    return n->bound ? n->bound : n->text;
}

/* Edit distance, for "did you mean"; words of keys are short. */
static size_t distance(const char *a, const char *b)
{
    enum { MOST = 40 };
    size_t row[MOST + 1], na = strlen(a), nb = strlen(b);
    if (na > MOST || nb > MOST)
        return MOST;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t up = row[j], best = corner + (a[i - 1] != b[j - 1]);
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            corner = up;
            row[j] = best;
        }
    }
    return row[nb];
}

static int fail_unknown(struct err *e, const struct yaml_node *n, const char *path, const cyaml_schema_field_t *fields)
{
    AUTO(buf) struct buf names = BUF_INIT(NAMES_LIMIT);
    const char *near = NULL;
    size_t best = 3;
    for (const cyaml_schema_field_t *f = fields; f->key; f++) {
        size_t d = distance(n->key, f->key);
        if (d < best) {
            best = d;
            near = f->key;
        }
        buf_addf(&names, "%s%s", names.n ? ", " : "", f->key);
    }
    yaml_fail(e, n, path, "there is no such key");
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else
        err_hint(e, "known here: %s", buf_str(&names));
    return err_code(e);
}

static int check_node(const struct yaml_node *n, const cyaml_schema_value_t *schema, struct buf *path, struct err *e);

static int check_mapping(const struct yaml_node *n, const cyaml_schema_field_t *fields, struct buf *path, struct err *e)
{
    if (n->kind != YAML_MAPPING) {
        yaml_fail(e, n, buf_str(path), "expected `key: value` lines below it");
        return err_code(e);
    }
    size_t before = path->n;
    for (const struct yaml_node *c = n->child; c; c = c->next) {
        const cyaml_schema_field_t *f = fields;
        while (f->key && strcmp(f->key, c->key) != 0)
            f++;
        buf_addf(path, "%s%s", before ? "." : "", c->key);
        if (!f->key)
            return fail_unknown(e, c, buf_str(path), fields);
        if (!yaml_is_null(c) && check_node(c, &f->value, path, e) < 0)
            return err_code(e);
        buf_truncate(path, before);
    }
    for (const cyaml_schema_field_t *f = fields; f->key; f++)
        if (!(f->value.flags & CYAML_FLAG_OPTIONAL) && !yaml_get(n, f->key)) {
            yaml_fail(e, n, buf_str(path), "'%s' is missing", f->key);
            err_hint(e, "add a line `%s: ...`", f->key);
            return err_code(e);
        }
    return 0;
}

static int check_sequence(const struct yaml_node *n, const cyaml_schema_value_t *schema, struct buf *path, struct err *e)
{
    if (n->kind != YAML_SEQUENCE) {
        yaml_fail(e, n, buf_str(path), "expected a list");
        err_hint(e, "write `[a, b]`, or one `- item` a line");
        return err_code(e);
    }
    size_t before = path->n, count = 0;
    for (const struct yaml_node *c = n->child; c; c = c->next) {
        buf_addf(path, "[%zu]", count++);
        if (check_node(c, schema->sequence.entry, path, e) < 0)
            return err_code(e);
        buf_truncate(path, before);
    }
    if (count < schema->sequence.min || count > schema->sequence.max)
        return yaml_fail(e, n, buf_str(path), "expected %u to %u items, got %zu", schema->sequence.min,
                         schema->sequence.max, count);
    return 0;
}

static int check_enum(const struct yaml_node *n, const cyaml_schema_value_t *schema, const char *path, struct err *e)
{
    AUTO(buf) struct buf names = BUF_INIT(NAMES_LIMIT);
    for (uint32_t i = 0; i < schema->enumeration.count; i++) {
        const char *s = schema->enumeration.strings[i].str;
        if (strcmp(s, value_of(n)) == 0)
            return 0;
        buf_addf(&names, "%s%s", names.n ? ", " : "", s);
    }
    return yaml_fail(e, n, path, "expected one of %s, got '%s'", buf_str(&names), value_of(n));
}

static int check_integer(const struct yaml_node *n, const cyaml_schema_value_t *schema, const char *path, struct err *e)
{
    struct err why = ERR_INIT;
    int64_t v, max = INT64_MAX, min = schema->type == CYAML_UINT ? 0 : INT64_MIN;
    if (schema->data_size < sizeof v) {
        max = (INT64_C(1) << (schema->data_size * 8 - (schema->type == CYAML_INT))) - 1;
        min = schema->type == CYAML_INT ? -max - 1 : 0;
    }
    if (parse_i64(span_of(value_of(n)), min, max, &v, &why) < 0)
        return yaml_fail(e, n, path, "expected a whole number, got '%s'", value_of(n));
    return 0;
}

static int check_node(const struct yaml_node *n, const cyaml_schema_value_t *schema, struct buf *path, struct err *e)
{
    const char *at = buf_str(path);
    if (schema->type == CYAML_MAPPING)
        return check_mapping(n, schema->mapping.fields, path, e);
    if (schema->type == CYAML_SEQUENCE)
        return check_sequence(n, schema, path, e);
    if (n->kind != YAML_SCALAR) {
        yaml_fail(e, n, at, "expected one value, got a %s", n->kind == YAML_MAPPING ? "mapping" : "list");
        return err_code(e);
    }
    struct err why = ERR_INIT;
    double f;
    size_t len = strlen(value_of(n));
    switch (schema->type) {
    case CYAML_INT:
    case CYAML_UINT: return check_integer(n, schema, at, e);
    case CYAML_FLOAT:
        if (parse_f64(span_of(value_of(n)), -1e300, 1e300, &f, &why) < 0)
            return yaml_fail(e, n, at, "expected a number, got '%s'", value_of(n));
        return 0;
    case CYAML_BOOL:
        if (yaml_bool(value_of(n)) < 0)
            return yaml_fail(e, n, at, "expected true or false, got '%s'", value_of(n));
        return 0;
    case CYAML_ENUM: return check_enum(n, schema, at, e);
    case CYAML_STRING:
        if (len < schema->string.min || len > schema->string.max)
            return len ? yaml_fail(e, n, at, "expected %u to %u characters, got %zu", schema->string.min, schema->string.max, len)
                       : yaml_fail(e, n, at, "must not be empty");
        return 0;
    default: return err_set(e, ERR_INTERNAL, "%s: the schema of '%s' has a type that is not handled", n->file, at);
    }
}

int yaml_check(const struct yaml_node *n, const cyaml_schema_value_t *schema, struct err *e)
{
    AUTO(buf) struct buf path = BUF_INIT(PATH_LIMIT);
    return check_node(n, schema, &path, e);
}

/* --- binding: the checked tree, written out in the plainest YAML there is, through libcyaml --- */

static void write_node(struct buf *b, const struct yaml_node *n, const cyaml_schema_value_t *schema)
{
    if (schema->type == CYAML_MAPPING) {
        buf_addc(b, '{');
        for (const struct yaml_node *c = n->child; c; c = c->next) {
            const cyaml_schema_field_t *f = schema->mapping.fields;
            while (f->key && strcmp(f->key, c->key) != 0)
                f++;
            if (!f->key || yaml_is_null(c))
                continue;
            buf_addf(b, "%s: ", c->key);
            write_node(b, c, &f->value);
            buf_adds(b, ", ");
        }
        buf_addc(b, '}');
    } else if (schema->type == CYAML_SEQUENCE) {
        buf_addc(b, '[');
        for (const struct yaml_node *c = n->child; c; c = c->next) {
            write_node(b, c, schema->sequence.entry);
            buf_adds(b, ", ");
        }
        buf_addc(b, ']');
    } else if (schema->type == CYAML_BOOL) {
        buf_adds(b, yaml_bool(value_of(n)) == 1 ? "true" : "false");
    } else if (schema->type == CYAML_INT || schema->type == CYAML_UINT) {
        struct err ignored = ERR_INIT;
        int64_t v = 0;
        if (parse_i64(span_of(value_of(n)), INT64_MIN, INT64_MAX, &v, &ignored) == 0)
            buf_addf(b, "%lld", (long long)v); /* libcyaml would read 010 as octal */
    } else {
        buf_add_json(b, span_of(value_of(n))); /* a JSON string is a YAML string */
    }
}

int yaml_bind(const struct yaml_node *n, const cyaml_schema_value_t *schema, void **out, struct err *e)
{
    static const cyaml_config_t how = { .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS };
    AUTO(buf) struct buf b = BUF_INIT(YAML_LIMIT * 8);
    write_node(&b, n, schema);
    if (buf_check(&b, e) < 0)
        return err_wrap(e, "%s", n->file);
    cyaml_data_t *data = NULL;
    cyaml_err_t rc = cyaml_load_data((const uint8_t *)buf_str(&b), b.n, &how, schema, &data, NULL);
    if (rc != CYAML_OK) /* the check lets nothing through that this refuses */
        return err_set(e, ERR_INTERNAL, "%s: libcyaml: %s", n->file, cyaml_strerror(rc));
    *out = data;
    return 0;
}

int yaml_load(const char *name, struct span text, const cyaml_schema_value_t *schema, void **out, struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT((size_t)64 << 20);
    struct yaml_node *root;
    if (yaml_parse(name, text, &a, &root, e) < 0 || yaml_check(root, schema, e) < 0)
        return err_code(e);
    return yaml_bind(root, schema, out, e);
}

void yaml_destroy(const cyaml_schema_value_t *schema, void *data)
{
    static const cyaml_config_t how = { .mem_fn = cyaml_mem };
    if (data)
        (void)cyaml_free(&how, schema, data, 0);
}
