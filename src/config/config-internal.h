/* What config.c (sources, merging) and config-check.c (meaning of values) share. Private to this folder. */
#ifndef STEAD_CONFIG_CONFIG_INTERNAL_H
#define STEAD_CONFIG_CONFIG_INTERNAL_H

#include "config/config-keys.h"
#include "config/config.h"
#include "config/yaml.h"

#define CONFIG_PATH_LIMIT 1024 /* of a key's path: YAML_DEPTH names */

/* Units to numbers, ranges, names, URLs, in one source's tree; nodes get `bound`. */
int config_convert(struct yaml_node *root, struct arena *a, struct err *e) WARN_UNUSED;
/* May a project's file set this, where `now` (NULL: unset) holds so far? */
int config_project_may(const struct config_key *k, const struct yaml_node *n, const struct yaml_node *now, const char *path,
                       struct err *e) WARN_UNUSED;
/* What no single value tells: chains that name unknown stops, two sources of one key, ... */
int config_check_whole(const struct yaml_node *root, struct err *e) WARN_UNUSED;

#endif
