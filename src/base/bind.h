/*
 * bind - JSON tied to structs by tables (jansson underneath).
 *
 *     struct shell_args { const char *command; int64_t timeout_ms; };
 *     static const struct field shell_fields[] = {
 *         { "command", FIELD_STRING, FIELD(shell_args, command), FIELD_REQUIRED, 1, 65536,
 *           "shell command, run in the workspace root" },
 *         { "timeout_ms", FIELD_I64, FIELD(shell_args, timeout_ms), 0, 1, 600000, "wall-clock limit" },
 *         { 0 },
 *     };
 *     if (bind_load(json, shell_fields, &args, BIND_STRICT, &arena, e) < 0) ...
 *         // "timeout_ms: expected 1..600000, got "soon""
 *
 * Strings and arrays are allocated from the arena. Members that are absent keep what the struct held
 * (set defaults before loading). For a string, min/max bound its bytes; for I64 and F64 the value; for
 * arrays the count. Limits: depth BIND_MAX_DEPTH.
 */
#ifndef STEAD_BASE_BIND_H
#define STEAD_BASE_BIND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"

enum field_type {
    FIELD_NONE,
    FIELD_STRING,  /* const char * */
    FIELD_BOOL,    /* bool */
    FIELD_I64,     /* int64_t; a number with zero fraction, or (unless BIND_STRICT) a decimal string */
    FIELD_F64,     /* double */
    FIELD_ENUM,    /* int; `names` is a NULL-terminated array of const char * */
    FIELD_STRINGS, /* struct strings */
    FIELD_OBJECT,  /* nested struct; `fields` */
    FIELD_OBJECTS, /* struct bind_array of nested structs; `fields` and `elem_size` */
    FIELD_JSON,    /* json_t *, borrowed from the document: for shapes that really vary */
};

enum field_flags {
    FIELD_REQUIRED = 1 << 0, /* absent or null is an error */
    FIELD_OMIT = 1 << 1,     /* bind_dump leaves it out when zero, NULL or empty */
    FIELD_SECRET = 1 << 2,   /* bind_dump writes "***" */
};

struct strings {
    const char **items;
    size_t len;
};

struct bind_array {
    void *items;
    size_t len;
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    size_t size; /* of the member, checked against the type */
    unsigned flags;
    int64_t min, max; /* both 0: no bound */
    const char *doc;  /* one sentence, shown to models and people */
    const struct field *fields;
    size_t elem_size;
    const char *const *names;
};

#define FIELD(type, member) offsetof(struct type, member), sizeof(((struct type *)0)->member) /* NOLINT(bugprone-sizeof-expression): the pointer is meant */

enum bind_mode {
    BIND_TOLERANT = 0, /* unknown members ignored: replies of servers */
    BIND_STRICT = 1,   /* unknown members are errors: files that we own, tool arguments */
};

#define BIND_MAX_DEPTH 16

int bind_load(const json_t *json, const struct field *fields, void *out, enum bind_mode mode, struct arena *arena,
              struct err *e) WARN_UNUSED;
/* New reference, or NULL out of memory. Members in table order. */
json_t *bind_dump(const struct field *fields, const void *in);
/* JSON Schema (2020-12 subset: type, properties, required, minimum, maximum, enum, items, description), compact, in table order. */
bool bind_schema(const struct field *fields, struct buf *out);

/* Parse text with limits; the error names line and column. Duplicate members are refused in BIND_STRICT. */
int json_parse(struct span text, enum bind_mode mode, json_t **out, struct err *e) WARN_UNUSED;
/* Compact text in insertion order; false when b failed. */
bool buf_add_json_value(struct buf *b, const json_t *json);

static inline void json_auto(json_t **j)
{
    json_decref(*j);
}

#endif
