/*
 * test - what every cmocka test includes; a scratch directory that is removed again.
 */
#ifndef STEAD_TESTS_SUPPORT_TEST_H
#define STEAD_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <fcntl.h>

#include "base/err.h"
#include "base/path.h"

#define assert_contains(text, part)                                          \
    do {                                                                     \
        if (!strstr((text), (part)))                                         \
            fail_msg("\"%s\" does not contain \"%s\"", (text), (part));      \
    } while (0)

/* Result must be 0 or more; on failure the error's text is shown. */
#define assert_ok(call, e)                                      \
    do {                                                        \
        if ((call) < 0)                                         \
            fail_msg("%s: %s", #call, (e)->text);               \
    } while (0)

static inline char *scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    char *dir = NULL;
    if (asprintf(&dir, "%s/stead-test-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(dir))
        fail_msg("no scratch directory");
    return dir;
}

static inline void scratch_remove(char *dir)
{
    struct err e = ERR_INIT;
    (void)path_remove_tree(AT_FDCWD, dir, &e);
    free(dir);
}

#endif
