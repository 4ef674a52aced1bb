#include "support/test.h"

#include "agent/repomap.h"
#include "base/mem.h"

static const char tags[] = "!_TAG_FILE_FORMAT\t2\t/x/\n"
                           "list_add\tsrc/list.c\t12;\"\tfunction\tline:12\tsignature:(struct list * l,void * p)\n"
                           "list_len\tsrc/list.c\t4;\"\tfunction\tline:4\tsignature:(const struct list * l)\n"
                           "main\tsrc/main.c\t3;\"\tfunction\tline:3\tsignature:(void)\n"
                           "lonely\t./src/lonely.c\t1;\"\tfunction\tline:1\n"
                           "count\tsrc/list.c\t2;\"\tmember\tline:2\n"
                           "broken\n\t\t\n";
static const char uses[] = "list_add 9\nlist_len 7\nmain 2\nnonsense\n";

static void rank__most_used_first_within_the_budget(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(10000);
    assert_int_equal(repomap_rank(span_of(tags), span_of(uses), 10000, &b, &e), 0);
    assert_string_equal(buf_str(&b), "src/list.c\n 4 list_len(const struct list * l)\n 12 list_add(struct list * l,void * p)\n"
                                     "src/lonely.c\n 1 lonely\nsrc/main.c\n 3 main(void)\n");
    buf_reset(&b);
    assert_int_equal(repomap_rank(span_of(tags), span_of(uses), 100, &b, &e), 0);
    assert_true(b.n <= 100);
    assert_non_null(strstr(buf_str(&b), "src/list.c"));
    assert_null(strstr(buf_str(&b), "lonely"));
}

static void rank__empty_and_hostile_input_is_nothing(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf b = BUF_INIT(10000);
    assert_int_equal(repomap_rank(SPAN(""), SPAN(""), 100, &b, &e), 0);
    assert_int_equal(b.n, 0);
    assert_int_equal(repomap_rank(SPAN("a\tb\tc\tline:99999999999999\nx\ty"), SPAN("a -3\n"), 100, &b, &e), 0);
    assert_int_equal(b.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rank__most_used_first_within_the_budget),
        cmocka_unit_test(rank__empty_and_hostile_input_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
