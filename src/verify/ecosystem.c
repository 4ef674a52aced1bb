#include "verify/ecosystem.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "base/data.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/yaml.h"

#define MARKER_BYTES (256u << 10) /* of a marker file that is searched for text */

static const cyaml_schema_value_t text_schema = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 4096) };

static const cyaml_schema_field_t gate_fields[] = {
    CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct ecosystem_gate, name, 1, 80),
    CYAML_FIELD_STRING_PTR("kind", CYAML_FLAG_POINTER, struct ecosystem_gate, kind, 1, 16),
    CYAML_FIELD_STRING_PTR("command", CYAML_FLAG_POINTER, struct ecosystem_gate, command, 1, 4096),
    CYAML_FIELD_STRING_PTR("needs", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem_gate, needs, 1, 200),
    CYAML_FIELD_STRING_PTR("reader", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem_gate, reader, 1, 32),
    CYAML_FIELD_STRING_PTR("report", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem_gate, report, 1, 200),
    CYAML_FIELD_STRING_PTR("affected", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem_gate, affected, 1, 4096),
    CYAML_FIELD_STRING_PTR("fix", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem_gate, fix, 1, 400),
    CYAML_FIELD_SEQUENCE_COUNT("when", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem_gate, when, nwhen,
                               &text_schema, 0, 40),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t gate_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct ecosystem_gate, gate_fields) };

static const cyaml_schema_field_t row_fields[] = {
    CYAML_FIELD_STRING_PTR("title", CYAML_FLAG_POINTER, struct ecosystem, title, 1, 80),
    CYAML_FIELD_SEQUENCE_COUNT("markers", CYAML_FLAG_POINTER, struct ecosystem, markers, nmarkers, &text_schema, 1, 40),
    CYAML_FIELD_SEQUENCE_COUNT("unless", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem, unless, nunless,
                               &text_schema, 0, 40),
    CYAML_FIELD_STRING_PTR("contains", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct ecosystem, contains, 1, 80),
    CYAML_FIELD_BOOL("root_only", CYAML_FLAG_OPTIONAL, struct ecosystem, root_only),
    CYAML_FIELD_SEQUENCE_COUNT("gates", CYAML_FLAG_POINTER, struct ecosystem, gates, ngates, &gate_schema, 1, 20),
    CYAML_FIELD_END
};
static const cyaml_schema_value_t row_schema = { CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct ecosystem, row_fields) };

static struct {
    struct ecosystem *rows;
    size_t n, cap;
    bool loaded;
    struct err *e;
} table;

static int on_file(void *ctx, const char *path, struct span text)
{
    (void)ctx;
    if (strcmp(path_ext(path), ".yaml") != 0)
        return 0;
    struct ecosystem *row = NULL;
    AUTO(ptr) char *name = NULL;
    if (yaml_load(path, text, &row_schema, (void **)&row, table.e) < 0)
        return -(int)table.e->kind;
    const char *base = path_base(path);
    name = span_dup(span_sub(span_of(base), 0, strlen(base) - 5));
    if (!name || !array_grow((void **)&table.rows, &table.cap, table.n, 1, sizeof *table.rows)) {
        yaml_destroy(&row_schema, row);
        return err_set(table.e, ERR_NOMEM, "reading '%s': out of memory", path);
    }
    table.rows[table.n] = *row; /* its members live as long as the program */
    table.rows[table.n++].name = TAKE(name);
    free(row);
    return 0;
}

int ecosystems_load(const struct ecosystem **out, size_t *n, struct err *e)
{
    if (!table.loaded) {
        table.e = e;
        table.n = 0;
        int r = data_each("ecosystems/", on_file, NULL);
        if (r)
            return err_wrap(e, "the table of ecosystems");
        table.loaded = true;
    }
    *out = table.rows;
    *n = table.n;
    return 0;
}

static bool holds(const struct tree *t, const char *path, const char *text)
{
    AUTO(buf) struct buf b = BUF_INIT(MARKER_BYTES + 1);
    return tree_read(t, path, MARKER_BYTES, &b) == 1 && span_find(buf_span(&b), span_of(text)) >= 0;
}

bool ecosystem_has(const struct tree *t, const char *dir, struct strings names, const char *pattern, const char *contains)
{
    AUTO(buf) struct buf pat = BUF_INIT(4096), path = BUF_INIT(8192);
    AUTO(arena) struct arena a = ARENA_INIT(8u << 20);
    const char *tilde = strchr(pattern, '~'); /* "pyproject.toml~[tool.ruff" */
    buf_add(&pat, pattern, tilde ? (size_t)(tilde - pattern) : strlen(pattern));
    if (tilde)
        contains = tilde + 1;
    const char *slash = strrchr(buf_str(&pat), '/'); /* "tests/test_*.py": look in that directory */
    buf_addf(&path, "%s", dir);
    if (slash) {
        buf_addf(&path, "%s%.*s", *dir ? "/" : "", (int)(slash - buf_str(&pat)), buf_str(&pat));
        names = tree_list(t, buf_str(&path), &a);
    }
    const char *leaf = slash ? slash + 1 : buf_str(&pat);
    size_t stem = path.n;
    for (size_t i = 0; i < names.len; i++) {
        if (fnmatch(leaf, names.items[i], 0) != 0)
            continue;
        if (!contains)
            return true;
        buf_truncate(&path, stem);
        buf_addf(&path, "%s%s", stem ? "/" : "", names.items[i]);
        if (holds(t, buf_str(&path), contains))
            return true;
    }
    return false;
}
