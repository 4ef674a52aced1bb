/*
 * config-keys - every key of a configuration: who may set it, its unit and range, its default, a sentence.
 *
 * The shape (names, types, which struct member) is the libcyaml schema; what libcyaml cannot say is
 * the row. The unit test walks both and fails where one has a key that the other lacks. `stead config`,
 * the man page and the checks of config.c read the rows.
 */
#ifndef STEAD_CONFIG_CONFIG_KEYS_H
#define STEAD_CONFIG_CONFIG_KEYS_H

#include <cyaml/cyaml.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_kind {
    KEY_TEXT,     /* any text */
    KEY_NAME,     /* letters, digits, . _ - */
    KEY_URL,      /* http://, https://, unix: */
    KEY_CHOICE,   /* one of row.choices */
    KEY_BOOL,
    KEY_INT,
    KEY_FLOAT,
    KEY_DURATION, /* 500ms, 15s, 10m, 2h: bound as milliseconds */
    KEY_SIZE,     /* 64M, 2G: bound as bytes */
    KEY_USD,      /* 0.25: bound as micro-dollars */
    KEY_LIST,     /* of texts */
    KEY_ITEMS,    /* a list of mappings, described by the rows "key[].name" */
};

enum config_trust {
    TRUST_USER,    /* site, user, environment, options */
    TRUST_SITE,    /* the site's file only */
    TRUST_PROJECT, /* a project's file too: it runs inside the sandbox or is text */
    TRUST_TIGHTEN, /* a project's file too, where that makes policy stricter */
};

struct config_key {
    const char *path;     /* "policy.chains[].stops" */
    enum config_kind kind;
    enum config_trust trust;
    bool adds;            /* a list: sources add to one another; else the strongest replaces */
    bool zero_unlimited;  /* 0 is the loosest value, not the strictest */
    int64_t min, max;     /* after conversion; both 0: no bound */
    const char *fallback; /* default as one would write it, or NULL */
    const char *choices;  /* "ask|auto|never" */
    const char *doc;
};

extern const cyaml_schema_value_t config_schema;
extern const struct config_key config_keys[]; /* ends with a NULL path */

/* The row of a path, where "[3]" matches "[]"; NULL when there is none. */
const struct config_key *config_key_find(const char *path);

#endif
