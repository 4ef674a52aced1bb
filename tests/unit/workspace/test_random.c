/* The fuzz targets without a fuzzer: their corpora, and inputs made of pieces in a fixed random order. */
#include "world.h"

int fuzz_diff(const uint8_t *data, size_t size);
int fuzz_ignore(const uint8_t *data, size_t size);

static void replay(const char *dir, int (*one)(const uint8_t *, size_t))
{
    DIR *d = opendir(dir);
    struct dirent *de;
    unsigned n = 0;
    if (!d)
        fail_msg("no corpus at %s", dir);
    while ((de = readdir(d))) {
        struct err e = ERR_INIT;
        AUTO(buf) struct buf b = BUF_INIT(1 << 20);
        AUTO(ptr) char *path = in(dir, de->d_name);
        if (de->d_name[0] == '.')
            continue;
        assert_ok(file_read(path, 1 << 20, &b, &e), &e);
        (void)one((const uint8_t *)buf_str(&b), b.n);
        n++;
    }
    (void)closedir(d);
    assert_true(n > 0);
}

static void made_up(int (*one)(const uint8_t *, size_t), const char *const *pieces, size_t npieces, unsigned rounds)
{
    unsigned seed = 12345;
    for (unsigned r = 0; r < rounds; r++) {
        AUTO(buf) struct buf b = BUF_INIT(1 << 16);
        buf_addc(&b, (char)(r % 256));
        seed = seed * 1103515245u + 12345u;
        for (unsigned i = seed >> 16 & 63; i; i--) {
            seed = seed * 1103515245u + 12345u;
            buf_adds(&b, pieces[(seed >> 16) % npieces]);
        }
        (void)one((const uint8_t *)buf_str(&b), b.n);
    }
}

static void hunks__compose(void **state)
{
    (void)state;
    static const char *const pieces[] = { "a\n", "b\n", "c\n", "a", "\n", "\r\n", "\xff", "a\nb\nc\nd\ne\nf\ng\nh\ni\n", "x\ny\n", "\xc3\xa9\n" };
    replay(FUZZ_DIR "/corpus-diff", fuzz_diff);
    made_up(fuzz_diff, pieces, COUNT_OF(pieces), 1500);
}

static void patterns__do_no_harm(void **state)
{
    (void)state;
    static const char *const pieces[] = { "*", "**", "/", "?", "[", "]", "!", "\\", "a", "b", "\n", "\n", "[a-z]", "[[:alpha:]]", ".", " " };
    replay(FUZZ_DIR "/corpus-ignore", fuzz_ignore);
    made_up(fuzz_ignore, pieces, COUNT_OF(pieces), 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hunks__compose),
        cmocka_unit_test(patterns__do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
