#include "support/test.h"

#include "agent/candidate.h"
#include "base/mem.h"

static const char *const paths[] = {
    "Makefile", "src/agent/tool.c", "src/agent/tool.h", "src/model/chat.c", "src/util/strings.c", "tests/tool.c", "docs/README.md",
};

static void candidates__same_name_elsewhere_first(void **state)
{
    static const struct {
        const char *wanted, *first;
        size_t n;
    } rows[] = {
        { "tool.c", "src/agent/tool.c", 3 },       { "tests/x/tool.c", "tests/tool.c", 3 }, { "src/readme.md", "docs/README.md", 1 },
        { "src/util/string.c", "src/util/strings.c", 1 }, { "/home/x/src/model/chat.c", "src/model/chat.c", 1 }, { "nothing.py", NULL, 0 },
        { "", NULL, 0 },                           { "x", NULL, 0 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *best[CANDIDATES_MAX];
        size_t n = candidates_find(paths, COUNT_OF(paths), rows[i].wanted, best);
        if (n != rows[i].n || (n && strcmp(best[0], rows[i].first) != 0))
            fail_msg("'%s': %zu candidates, first '%s'", rows[i].wanted, n, n ? best[0] : "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(candidates__same_name_elsewhere_first) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
