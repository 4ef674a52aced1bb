/* The rules on any two texts: the first byte names the path, a 0xff byte separates old from new. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "verify/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = { "tests/test_a.py", "src/a.test.ts", "tests/test_a.c", "src/lib.rs",   "a_test.go",   "src/a.py",
                                         "conftest.py",     "Makefile",      "package.json",   "ATest.java",   "spec/a_spec.rb", ".github/workflows/ci.yml",
                                         "t/a.t",           "test.sh",       "a.snap",         "Cargo.lock" };
    if (size < 1)
        return 0;
    const uint8_t *cut = memchr(data + 1, 0xff, size - 1);
    struct span old = { (const char *)data + 1, cut ? (size_t)(cut - data - 1) : size - 1 };
    struct span new = { cut ? (const char *)cut + 1 : "", cut ? size - (size_t)(cut - data) - 1 : 0 };
    struct rule_file f = { .path = paths[data[0] % COUNT_OF(paths)], .kind = RULE_FILE_MODIFIED, .old_text = old, .new_text = new };
    struct rule_input in = { .files = &f, .nfiles = 1, .tests = &old, .ntests = 1 };
    AUTO(arena) struct arena a = ARENA_INIT(64u << 20);
    struct findings found = { 0 };
    struct err e = ERR_INIT;
    if (rules_run(&in, &a, &found, &e) < 0)
        abort();
    for (size_t i = 0; i < found.len; i++)
        assert(found.items[i].line >= 0 && found.items[i].message[0]);
    free(found.items);
    return 0;
}
