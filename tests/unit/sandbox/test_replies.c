/* Hostile answers of the helper: the corpus, and bytes of a fixed generator. See tests/fuzz/sandbox/fuzz_replies.c. */
#include "support/test.h"

#include <dirent.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replies__of_the_corpus(void **state)
{
    (void)state;
    DIR *d = opendir(FUZZ_DIR "/corpus-replies");
    struct dirent *de;
    int n = 0;
    assert_non_null(d);
    while ((de = readdir(d))) {
        struct err e = ERR_INIT;
        AUTO(buf) struct buf b = BUF_INIT(1 << 20);
        char path[600];
        if (de->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, FUZZ_DIR "/corpus-replies/%s", de->d_name);
        assert_ok(file_read(path, 1 << 20, &b, &e), &e);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)b.p, b.n);
        /* cut anywhere, and with each byte changed */
        for (size_t k = 0; k < b.n; k++) {
            (void)LLVMFuzzerTestOneInput((const uint8_t *)b.p, k);
            b.p[k] = (char)(b.p[k] ^ (1 << k % 8));
            (void)LLVMFuzzerTestOneInput((const uint8_t *)b.p, b.n);
        }
        n++;
    }
    (void)closedir(d);
    assert_true(n >= 6);
}

static void replies__of_random_bytes(void **state)
{
    uint64_t x = 88172645463325252u;
    uint8_t data[400];
    (void)state;
    for (int round = 0; round < 3000; round++) {
        for (size_t i = 0; i < sizeof data; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            data[i] = (uint8_t)x;
        }
        (void)LLVMFuzzerTestOneInput(data, (size_t)(x >> 32) % sizeof data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(replies__of_the_corpus), cmocka_unit_test(replies__of_random_bytes) };
    return cmocka_run_group_tests_name("sandbox/replies", tests, NULL, NULL);
}
