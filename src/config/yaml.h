/*
 * yaml - one hostile YAML document, bound to a struct by a libcyaml schema, with errors at file:line.
 *
 *     static const cyaml_schema_field_t rule_fields[] = {
 *         CYAML_FIELD_STRING_PTR("name", CYAML_FLAG_POINTER, struct rule, name, 1, 64),
 *         CYAML_FIELD_INT("score", CYAML_FLAG_OPTIONAL, struct rule, score),
 *         CYAML_FIELD_END
 *     };
 *     struct rules *r;
 *     if (yaml_load("data/rules.yaml", text, &rules_schema, (void **)&r, e) < 0) ...
 *         // "data/rules.yaml:7: score: expected a whole number, got 'high'"
 *     yaml_destroy(&rules_schema, r);
 *
 * libyaml's events are read first into a tree with positions; the tree is checked against the libcyaml
 * schema (unknown, missing, repeated keys; types; lengths; enumerations), because libcyaml itself
 * reports neither file nor remedy; then libcyaml binds. Refused: anchors, aliases, tags, more than
 * one document, more than YAML_LIMIT bytes, YAML_DEPTH levels, YAML_NODES nodes, bytes that are not UTF-8.
 *
 * The top of a schema is CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct x, fields). An empty document
 * is an empty mapping. Any thread. (yaml_destroy, because libyaml itself exports yaml_free.)
 */
#ifndef STEAD_CONFIG_YAML_H
#define STEAD_CONFIG_YAML_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define YAML_LIMIT ((size_t)1 << 20) /* a configuration of a megabyte is a mistake or an attack */
#define YAML_DEPTH 16
#define YAML_NODES 50000
#define YAML_KEYS 1000 /* of one mapping */

int yaml_load(const char *name, struct span text, const cyaml_schema_value_t *schema, void **out, struct err *e) WARN_UNUSED;
void yaml_destroy(const cyaml_schema_value_t *schema, void *data); /* NULL is allowed */

/* --- the tree, for who needs positions (config.c); nodes live in the arena --- */

enum yaml_kind { YAML_SCALAR, YAML_MAPPING, YAML_SEQUENCE };

struct yaml_node {
    enum yaml_kind kind;
    const char *key;         /* in a mapping: its name, else NULL */
    const char *text;        /* of a scalar, as written */
    const char *bound;       /* what is checked and bound in its place (a unit converted), or NULL */
    bool quoted;             /* "x", 'x', |, >: a string whatever it looks like */
    const char *file;        /* where it stands; or "--option", "environment NAME" with line 0 */
    int line;
    int tag;                 /* the caller's own */
    struct yaml_node *child; /* first of a mapping or sequence */
    struct yaml_node *next;
};

int yaml_parse(const char *name, struct span text, struct arena *a, struct yaml_node **out, struct err *e) WARN_UNUSED;
int yaml_check(const struct yaml_node *n, const cyaml_schema_value_t *schema, struct err *e) WARN_UNUSED;
/* Bind a checked tree (written out again as YAML, so that trees may come from several files). */
int yaml_bind(const struct yaml_node *n, const cyaml_schema_value_t *schema, void **out, struct err *e) WARN_UNUSED;
int yaml_bool(const char *text); /* 1: true, yes, on; 0: false, no, off; else -1 */
bool yaml_is_null(const struct yaml_node *n); /* "key:" with nothing, ~ or null: as if it were not there */
const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key); /* NULL when absent */
/* "file:line: path" failures for checks of the caller's own. */
int yaml_fail(struct err *e, const struct yaml_node *n, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
