#include "support/test.h"

#include "agent/patch.h"
#include "base/mem.h"

static const char begin[] = "*** Begin Patch\n";

static void patch__updates_adds_moves_and_deletes(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    struct err e = ERR_INIT;
    struct patch p;
    const char *text = "*** Begin Patch\n*** Update File: a.c\n*** Move to: b.c\n@@ int f(void)\n {\n-    return 1;\n+    return 2;\n }\n"
                       "*** Add File: n.txt\n+one\n+\n+three\n*** Delete File: old.c\n*** End Patch\n";
    assert_int_equal(patch_parse(span_of(text), &a, &p, &e), 0);
    assert_int_equal(p.nfiles, 3);
    assert_int_equal(p.files[0].op, PATCH_UPDATE);
    assert_string_equal(p.files[0].move_to, "b.c");
    assert_int_equal(p.files[1].op, PATCH_ADD);
    assert_true(span_eqs(p.files[1].content, "one\n\nthree\n"));
    assert_int_equal(p.files[2].op, PATCH_DELETE);
    assert_string_equal(p.files[2].path, "old.c");
    /* Two functions alike: the @@ line says which. */
    const char *was = "int e(void)\n{\n    return 1;\n}\nint f(void)\n{\n    return 1;\n}\n";
    AUTO(buf) struct buf out = BUF_INIT(4096);
    struct match miss;
    assert_int_equal(patch_update(&p.files[0], span_of(was), &out, &miss, &e), 0);
    assert_string_equal(buf_str(&out), "int e(void)\n{\n    return 1;\n}\nint f(void)\n{\n    return 2;\n}\n");
    assert_int_equal(p.files[0].line, 6);
    assert_int_equal(p.files[0].to, 8);
}

static int update(const char *hunks, const char *was, struct buf *out, struct match *miss, struct err *e)
{
    AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
    AUTO(buf) struct buf text = BUF_INIT(1 << 16);
    struct patch p;
    buf_addf(&text, "%s*** Update File: a.c\n%s*** End Patch", begin, hunks);
    int r = patch_parse(buf_span(&text), &a, &p, e);
    return r < 0 ? r : patch_update(&p.files[0], span_of(was), out, miss, e);
}

static void patch_update__refuses_what_has_no_single_place(void **state)
{
    (void)state;
    struct match miss;
    {
        struct err e = ERR_INIT;
        AUTO(buf) struct buf out = BUF_INIT(4096);
        assert_int_equal(update("@@\n-x = 1\n+x = 2\n", "x = 1\ny\nx = 1\n", &out, &miss, &e), -ERR_CONFLICT);
        assert_non_null(strstr(e.text, "several places"));
    }
    {
        struct err e = ERR_INIT;
        AUTO(buf) struct buf out = BUF_INIT(4096);
        assert_int_equal(update("@@\n-    value = 10\n+    value = 11\n", "def f():\n    value = 100\n", &out, &miss, &e), -ERR_NOT_FOUND);
        assert_int_equal(miss.kind, MATCH_NEAR);
        assert_int_equal(miss.line, 2);
    }
}

static void patch_update__hunks_follow_each_other(void **state)
{
    (void)state;
    struct match miss;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf out = BUF_INIT(4096);
    assert_int_equal(update("@@\n a\n-b\n+B\n@@\n-d\n+D\n+DD\n", "a\nb\nc\nd", &out, &miss, &e), 0);
    assert_string_equal(buf_str(&out), "a\nB\nc\nD\nDD\n");
    buf_reset(&out);
    assert_int_equal(update("@@\n+end\n", "a\nb", &out, &miss, &e), 0);
    assert_string_equal(buf_str(&out), "a\nb\nend\n");
}

static void patch_parse__a_cut_patch_is_refused(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "", "expected '*** Begin Patch'" },
        { "*** Begin Patch\n*** Add File: a\n+x\n", "'*** End Patch' is missing" },
        { "*** Begin Patch\n*** End Patch", "names no file" },
        { "*** Begin Patch\n*** Update File: a\n*** End Patch", "has no hunk" },
        { "*** Begin Patch\n*** Update File:\n*** End Patch", "a path is missing" },
        { "*** Begin Patch\n*** Add File: a\nx\n*** End Patch", "line 3: in *** Add File" },
        { "*** Begin Patch\nrm -rf\n*** End Patch", "line 2: expected '*** Add File:'" },
        { "*** Begin Patch\n*** Update File: a\n@@\n?x\n*** End Patch", "line 4" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(arena) struct arena a = ARENA_INIT(1 << 20);
        struct err e = ERR_INIT;
        struct patch p;
        assert_int_equal(patch_parse(span_of(rows[i].text), &a, &p, &e), -ERR_INPUT);
        if (!strstr(e.text, rows[i].says))
            fail_msg("row %zu: \"%s\", expected \"%s\"", i, e.text, rows[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patch__updates_adds_moves_and_deletes),
        cmocka_unit_test(patch_update__refuses_what_has_no_single_place),
        cmocka_unit_test(patch_update__hunks_follow_each_other),
        cmocka_unit_test(patch_parse__a_cut_patch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
