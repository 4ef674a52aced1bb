#include "support/test.h"

#include "base/hash.h"

static void hash_bytes__matches_fips_180_4(void **state)
{
    (void)state;
    assert_string_equal(hash_bytes("abc", 3).s, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(hash_bytes("", 0).s, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hash_pieces__equal_the_whole(void **state)
{
    struct hash_state st;
    char data[1000];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7);
    hash_begin(&st);
    for (size_t i = 0; i < sizeof data; i += 125)
        hash_add(&st, data + i, 125);
    assert_string_equal(hash_end(&st).s, hash_bytes(data, sizeof data).s);
}

static void id_make__is_unique_and_sorts_by_time(void **state)
{
    char last[ID_SIZE] = "", id[ID_SIZE];
    (void)state;
    for (int i = 0; i < 2000; i++) {
        id_make("s", id);
        assert_int_equal(strlen(id), 15);
        assert_string_not_equal(id, last);
        assert_true(strncmp(id, last, 9) >= 0);
        memcpy(last, id, sizeof id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_bytes__matches_fips_180_4),
        cmocka_unit_test(hash_pieces__equal_the_whole),
        cmocka_unit_test(id_make__is_unique_and_sorts_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
