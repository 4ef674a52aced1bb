#include "support/test.h"

#include "base/arena.h"

static void arena_alloc__is_zeroed_aligned_and_counted(void **state)
{
    struct arena a = ARENA_INIT(1 << 20);
    (void)state;
    for (size_t n = 0; n < 5000; n += 37) {
        unsigned char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    arena_finish(&a);
    assert_int_equal(a.used, 0);
}

static void arena_alloc__refuses_beyond_its_limit_and_on_overflow(void **state)
{
    struct arena a = ARENA_INIT(100);
    (void)state;
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_non_null(arena_alloc(&a, 16));
    arena_finish(&a);
}

static void arena_strings__survive_many_blocks(void **state)
{
    struct arena a = ARENA_INIT(10 << 20);
    const char *kept[2000];
    (void)state;
    for (int i = 0; i < 2000; i++)
        kept[i] = arena_printf(&a, "number %d", i);
    for (int i = 0; i < 2000; i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "number %d", i);
        assert_string_equal(kept[i], want);
    }
    assert_string_equal(arena_span(&a, SPAN("abc")), "abc");
    arena_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_alloc__is_zeroed_aligned_and_counted),
        cmocka_unit_test(arena_alloc__refuses_beyond_its_limit_and_on_overflow),
        cmocka_unit_test(arena_strings__survive_many_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
