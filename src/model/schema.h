/*
 * schema - do a call's arguments satisfy its tool's JSON Schema; and a plainer schema for servers.
 *
 * The subset that tools use: type (one or several), properties, required, additionalProperties false,
 * enum, const, items, minimum, maximum, minLength, maxLength, minItems, maxItems, anyOf, oneOf. Other
 * keywords are ignored. The complaint is one sentence that a model can act upon.
 */
#ifndef STEAD_MODEL_SCHEMA_H
#define STEAD_MODEL_SCHEMA_H

#include <jansson.h>

#include "base/buf.h"

/* 0, or -ERR_INPUT: "timeout_s: expected an integer, got a string". */
int schema_check(const json_t *schema, const json_t *value, struct err *e) WARN_UNUSED;

/*
 * Small repairs that cannot change what was meant: a number or boolean written as a string where
 * the schema wants a number or boolean, null for an optional member. Returns how many.
 */
int schema_coerce(const json_t *schema, json_t *value);

/* The schema without the keywords that crash grammar builders (quirks 31, 32): pattern, format, $schema, default, ... */
bool schema_plain(struct span schema, struct buf *out);

#endif
