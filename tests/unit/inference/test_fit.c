#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "inference/catalogue.h"
#include "inference/fit.h"

static struct shape_layer layers[64];

static struct shape dense(int n)
{
    struct shape s = { .layers = n, .embd = 4096, .heads = 32, .ff = 14336, .vocab = 128000, .ctx_train = 131072,
                       .weight_bytes = (int64_t)4700 << 20, .active_bytes = (int64_t)4400 << 20, .mapped_bytes = (int64_t)4700 << 20,
                       .params = 8000000000, .active_params = 8000000000, .layer = layers };
    for (int i = 0; i < n; i++)
        layers[i] = (struct shape_layer){ .kv_heads = 8, .attention = true, .head_k = 128, .head_v = 128 };
    return s;
}

static void fit_memory__counts_keys_and_values(void **state)
{
    (void)state;
    struct shape s = dense(32);
    struct fit_how how = FIT_HOW;
    struct fit_memory m;
    fit_memory(&s, 8192, &how, &m);
    assert_int_equal(m.kv, (int64_t)8192 * 32 * 8 * 256 * 2); /* 1 GiB: 128 KiB a token */
    fit_memory(&s, 8000, &how, &m);
    assert_int_equal(m.kv, (int64_t)8192 * 32 * 8 * 256 * 2); /* cells come in 256s */
    how.slots = 3;
    fit_memory(&s, 8192, &how, &m);
    assert_int_equal(m.kv, (int64_t)3 * 8192 * 32 * 8 * 256 * 2);
    how.slots = 1, how.type_k = FIT_Q8_0, how.type_v = FIT_Q4_0;
    fit_memory(&s, 8192, &how, &m);
    assert_int_equal(m.kv, (int64_t)8192 * 32 * (1024 / 32 * 34 + 1024 / 32 * 18));
    assert_int_equal(m.total, m.weights + m.repack + m.kv + m.recurrent + m.compute + m.output + m.projector);
}

static void fit_memory__stops_growing_in_a_window(void **state)
{
    (void)state;
    struct shape s = dense(12);
    s.window = 1024;
    for (int i = 0; i < 12; i++)
        layers[i].window = i % 6 != 5;
    struct fit_how how = FIT_HOW;
    struct fit_memory small, large;
    fit_memory(&s, 16384, &how, &small);
    fit_memory(&s, 32768, &how, &large);
    int64_t row = 8 * 256 * 2;
    assert_int_equal(small.kv_window, (int64_t)10 * 1536 * row); /* window and batch, rounded */
    assert_int_equal(large.kv_window, small.kv_window);
    assert_int_equal(large.kv - small.kv, (int64_t)2 * 16384 * row);
    how.window_full = true;
    fit_memory(&s, 32768, &how, &large);
    assert_int_equal(large.kv, (int64_t)12 * 32768 * row);
}

static void fit_context__is_the_largest_that_fits(void **state)
{
    (void)state;
    struct shape s = dense(32);
    struct fit_how how = FIT_HOW;
    for (int64_t budget = (int64_t)5 << 30; budget < (int64_t)20 << 30; budget += (int64_t)3 << 30) {
        int64_t c = fit_context(&s, &how, budget, 0);
        struct fit_memory at, beyond;
        fit_memory(&s, c, &how, &at);
        fit_memory(&s, c + 256, &how, &beyond);
        assert_true(c > 0 && at.total <= budget && beyond.total > budget);
    }
    assert_int_equal(fit_context(&s, &how, (int64_t)1 << 30, 0), 0);
    assert_int_equal(fit_context(&s, &how, (int64_t)1 << 40, 0), 131072);
    assert_int_equal(fit_context(&s, &how, (int64_t)1 << 40, 4096), 4096);
}

static void fit_speed__is_bound_by_bytes_read(void **state)
{
    (void)state;
    struct shape s = dense(32);
    struct fit_how how = FIT_HOW;
    struct fit_machine m = { .bandwidth = 50e9 };
    struct fit_speed slow, fast, later;
    fit_speed(&s, 4096, &how, &m, &slow);
    m.bandwidth = 100e9;
    fit_speed(&s, 4096, &how, &m, &fast);
    fit_speed(&s, 131072, &how, &m, &later);
    assert_true(slow.low < slow.expected && slow.expected < slow.high);
    assert_true(fast.expected > 1.9 * slow.expected && fast.expected < 2.1 * slow.expected);
    assert_true(later.expected < fast.expected);
    assert_true(slow.high < 50e9 / (double)s.active_bytes);
}

struct seen {
    int n;
    bool found;
};

static int on_row(void *ctx, const struct catalogue_model *m)
{
    struct seen *seen = ctx;
    struct fit_how how = FIT_HOW;
    struct fit_memory kv;
    seen->n++;
    assert_true(m->shape.layers > 0 && m->shape.weight_bytes > 0 && m->shape.ctx_train > 0);
    assert_true(m->sources[0] != 0); /* every figure has a source */
    fit_memory(&m->shape, 32768, &how, &kv);
    if (strcmp(m->name, "Qwen3-Coder-30B-A3B-Instruct") == 0 && strcmp(m->shape.quant, "Q4_K_M") == 0) {
        seen->found = true;
        assert_int_equal(kv.kv, (int64_t)32768 * 96 * 1024);
    }
    if (strcmp(m->name, "GLM-4.7-Flash") == 0)
        assert_int_equal(kv.kv, (int64_t)32768 * 47 * 576 * 2);
    return 0;
}

static void catalogue__rows_are_whole(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct seen seen = { 0 };
    if (catalogue_each(on_row, &seen, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(seen.n > 50);
    assert_true(seen.found);
}

static void catalogue_parse__names_the_line(void **state)
{
    (void)state;
    static const char head[] = "# mine\nname,arch,kind,params_b,active_b,layers,full_layers,kv_heads,head_dim,window,window_layers,"
                               "window_kv_heads,window_head_dim,context,licence,q4_name,q4_gb,q4_basis,q8_gb,q8_basis,sources,notes\n";
    static const struct {
        const char *row, *says;
    } rows[] = {
        { "x,llama,full,7,7,32,32,8,128,,,,,4096,mit,,4.1,me,,,me,\n", NULL },
        { "\"x, y\",llama,full,7,7,32,32,8,128,,,,,4096,mit,,4.1,\"a \"\"quote\"\"\",,,me,\n", NULL },
        { "x,llama,round,7,7,32,32,8,128,,,,,4096,mit,,4.1,me,,,me,\n", "rows.csv:3: expected a name" },
        { "x,llama,full,7,7,32,33,8,128,,,,,4096,mit,,4.1,me,,,me,\n", "rows.csv:3: the numbers of layers" },
        { "x,llama,full,seven,7,32,32,8,128,,,,,4096,mit,,4.1,me,,,me,\n", "rows.csv:3: params_b is 'seven', expected a number" },
        { "x,llama,full,7,7,32,32,8,128,,,,,4096,mit,,-4,me,,,me,\n", "rows.csv:3: q4_gb is '-4', expected a number" },
        { "x,llama,full,7,7,32,32,8,128,,,,,,mit,,4,me,,,me,\n", "rows.csv:3: context is '', expected a number" },
        { "x,llama,full,7,7,32,32,8,128,,,,,4096,mit,,,,,,me,\n", "rows.csv:3: neither q4_gb nor q8_gb" },
        { "x,llama,full,7\n", "rows.csv:3: there are fewer columns" },
        { "x,llama,full,7,7,32,32,8,128,,,,,4096,mit,,4.1,me,,,me,note,more\n", "rows.csv:3: there are more columns" },
        { "\"x,llama\n", "rows.csv:3: the quotes" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err e = ERR_INIT;
        struct seen seen = { 0 };
        AUTO(buf) struct buf text = BUF_INIT(8192);
        buf_adds(&text, head);
        buf_adds(&text, rows[i].row);
        int rc = catalogue_parse("rows.csv", buf_span(&text), on_row, &seen, &e);
        if (rows[i].says ? rc >= 0 || strncmp(e.text, rows[i].says, strlen(rows[i].says)) != 0 : rc != 0 || seen.n != 1)
            fail_msg("row %zu: %d '%s'", i, rc, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_memory__counts_keys_and_values),   cmocka_unit_test(fit_memory__stops_growing_in_a_window),
        cmocka_unit_test(fit_context__is_the_largest_that_fits), cmocka_unit_test(fit_speed__is_bound_by_bytes_read),
        cmocka_unit_test(catalogue__rows_are_whole),            cmocka_unit_test(catalogue_parse__names_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
