/* Any bytes as a configuration: refused with a message, or bound; never more. */
#include <stdint.h>
#include <stdlib.h>

#include "config/config-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct arena a = ARENA_INIT((size_t)64 << 20);
    struct yaml_node *root;
    void *values = NULL;
    if (yaml_parse("fuzz.yaml", (struct span){ (const char *)data, size }, &a, &root, &e) == 0 && config_convert(root, &a, &e) == 0 &&
        yaml_check(root, &config_schema, &e) == 0 && config_check_whole(root, &e) == 0) {
        if (yaml_bind(root, &config_schema, &values, &e) < 0)
            abort(); /* what was checked must bind */
        yaml_destroy(&config_schema, values);
    } else if (!e.text[0] || !e.kind) {
        abort();
    }
    arena_finish(&a);
    return 0;
}
