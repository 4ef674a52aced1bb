#include "world.h"

/* The change of files a (many lines), b (no newline at its end), run (mode), moved. */
static void fill(struct world *w)
{
    AUTO(buf) struct buf base = BUF_INIT(1 << 20), now = BUF_INIT(1 << 20);
    for (int i = 1; i <= 60; i++) {
        buf_addf(&base, "line %d\n", i);
        if (i == 5)
            buf_adds(&now, "line five\n");
        else if (i == 30)
            buf_adds(&now, "line 30\ninserted\n");
        else if (i != 55)
            buf_addf(&now, "line %d\n", i);
    }
    world_init(w);
    put(w->ws, "a", buf_str(&base));
    put(w->ws, "b", "x\ny");
    put(w->ws, "run", "#!/bin/sh\n");
    put(w->ws, "old", "1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    world_layer(w);
    put(w->upper, "a", buf_str(&now));
    put(w->upper, "b", "x\nz");
    put_bytes(w->upper, "run", "#!/bin/sh\ntrue\n", 15, 0755);
    whiteout(w->upper, "old");
    put(w->upper, "new", "1\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    put_bytes(w->upper, "bin", "a\0b", 3, 0644);
}

static void a_diff__is_what_git_writes(void **state)
{
    (void)state;
    struct world w;
    fill(&w);
    AUTO(change) struct change *c = world_change(&w);
    AUTO(buf) struct buf b = BUF_INIT(1 << 20);
    assert_ok(change_diff(c, "b", &b, &w.e), &w.e);
    assert_string_equal(buf_str(&b), "diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1,2 +1,2 @@\n x\n-y\n"
                                     "\\ No newline at end of file\n+z\n\\ No newline at end of file\n");
    buf_reset(&b);
    assert_ok(change_diff(c, "run", &b, &w.e), &w.e);
    assert_string_equal(buf_str(&b), "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n--- a/run\n+++ b/run\n"
                                     "@@ -1 +1,2 @@\n #!/bin/sh\n+true\n");
    buf_reset(&b);
    assert_ok(change_diff(c, "new", &b, &w.e), &w.e);
    assert_contains(buf_str(&b), "diff --git a/old b/new\nsimilarity index 76%\nrename from old\nrename to new\n");
    buf_reset(&b);
    assert_ok(change_diff(c, "bin", &b, &w.e), &w.e);
    assert_string_equal(buf_str(&b), "diff --git a/bin b/bin\nnew file mode 100644\nBinary files /dev/null and b/bin differ\n");
    assert_true(change_diff(c, "nosuch", &b, &w.e) == -ERR_NOT_FOUND);
    assert_ok(change_count(c, &w.e), &w.e);
    assert_int_equal(change_find(c, "a")->added, 2);
    assert_int_equal(change_find(c, "a")->removed, 2);
    assert_int_equal(change_find(c, "bin")->added, -1);
    world_finish(&w);
}

static struct span now_of(struct change *c, const char *path, struct err *e)
{
    struct span s = SPAN("");
    const struct change_file *f = change_find(c, path);
    assert_non_null(f);
    assert_ok(change_data(c, &f->now, &s, e), e);
    return s;
}

static void a_selection__has_only_what_was_picked(void **state)
{
    (void)state;
    struct world w;
    fill(&w);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    AUTO(change) struct change *c = world_change(&w);
    struct diff_file d;
    assert_ok(diff_file(c, change_find(c, "a"), &a, &d, &w.e), &w.e);
    assert_int_equal(d.nhunks, 3);
    const char *second[] = { d.hunks[1].id };
    {
        AUTO(change) struct change *part = NULL;
        assert_ok(change_select(c, &(struct strings){ second, 1 }, &part, &w.e), &w.e);
        assert_listing(part, "modified a\n");
        assert_string_not_equal(part->hash.s, c->hash.s);
        assert_string_equal(part->parent, c->id);
        AUTO(ptr) char *text = span_dup(now_of(part, "a", &w.e));
        assert_contains(text, "line 5\n");
        assert_contains(text, "line 30\ninserted\nline 31\n");
        assert_contains(text, "line 55\n");
    }
    {
        const char *two[] = { d.hunks[0].id, d.hunks[2].id };
        AUTO(change) struct change *part = NULL;
        assert_ok(change_select(c, &(struct strings){ two, 2 }, &part, &w.e), &w.e);
        AUTO(ptr) char *text = span_dup(now_of(part, "a", &w.e));
        assert_contains(text, "line 4\nline five\nline 6\n");
        assert_null(strstr(text, "inserted"));
        assert_contains(text, "line 54\nline 56\n");
    }
    struct diff_file r;
    assert_ok(diff_file(c, change_find(c, "run"), &a, &r, &w.e), &w.e);
    assert_int_equal(r.nhunks, 2);
    assert_int_equal(r.hunks[0].kind, HUNK_MODE);
    {
        const char *mode[] = { r.hunks[0].id };
        AUTO(change) struct change *part = NULL;
        assert_ok(change_select(c, &(struct strings){ mode, 1 }, &part, &w.e), &w.e);
        assert_listing(part, "mode run\n");
        assert_true(span_eqs(now_of(part, "run", &w.e), "#!/bin/sh\n"));
        assert_int_equal(change_find(part, "run")->now.mode, 0755);
    }
    struct diff_file m;
    assert_ok(diff_file(c, change_find(c, "new"), &a, &m, &w.e), &w.e);
    assert_int_equal(m.hunks[0].kind, HUNK_RENAME);
    {
        const char *text[] = { m.hunks[1].id };
        AUTO(change) struct change *part = NULL;
        assert_ok(change_select(c, &(struct strings){ text, 1 }, &part, &w.e), &w.e);
        assert_listing(part, "modified old\n");
        const char *name[] = { m.hunks[0].id };
        AUTO(change) struct change *only = NULL;
        assert_ok(change_select(c, &(struct strings){ name, 1 }, &only, &w.e), &w.e);
        assert_listing(only, "renamed new <- old 76%\n");
        assert_true(span_eqs(now_of(only, "new", &w.e), "1\n2\n3\n4\n5\n6\n7\n8\n9\n"));
    }
    const char *unknown[] = { "0123456789abcdef" };
    AUTO(change) struct change *none = NULL;
    assert_int_equal(change_select(c, &(struct strings){ unknown, 1 }, &none, &w.e), -ERR_INPUT);
    world_finish(&w);
}

static void every_subset__composes_to_a_text_that_the_rest_completes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(w.ws, "f", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt");
    world_layer(&w);
    put(w.upper, "f", "0\na\nb\nc\nd\ne\nf\ng\nH\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nend\n");
    AUTO(change) struct change *c = world_change(&w);
    AUTO(arena) struct arena a = ARENA_INIT(1 << 24);
    struct diff_file d;
    assert_ok(diff_file(c, &c->files[0], &a, &d, &w.e), &w.e);
    assert_int_equal(d.nhunks, 3);
    static const char *const expect[8] = {
        NULL,
        "0\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt",
        "a\nb\nc\nd\ne\nf\ng\nH\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt",
        "0\na\nb\nc\nd\ne\nf\ng\nH\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt",
        "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nend\n",
        "0\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nend\n",
        "a\nb\nc\nd\ne\nf\ng\nH\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nend\n",
        "0\na\nb\nc\nd\ne\nf\ng\nH\ni\nj\nk\nl\nm\nn\no\np\nq\nr\ns\nt\nend\n",
    };
    for (unsigned set = 1; set < 8; set++) {
        const char *ids[3];
        size_t n = 0;
        for (unsigned i = 0; i < 3; i++)
            if (set & 1u << i)
                ids[n++] = d.hunks[i].id;
        AUTO(change) struct change *part = NULL;
        assert_ok(change_select(c, &(struct strings){ ids, n }, &part, &w.e), &w.e);
        if (!span_eqs(now_of(part, "f", &w.e), expect[set]))
            fail_msg("subset %u", set);
    }
    world_finish(&w);
}

static void merges__are_clean_or_name_both_sides(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    AUTO(buf) struct buf out = BUF_INIT(1 << 16);
    struct span base = SPAN("1\n2\n3\n4\n5\n6\n7\n8\n9\n");
    assert_int_equal(merge_text(base, SPAN("one\n2\n3\n4\n5\n6\n7\n8\n9\n"), SPAN("1\n2\n3\n4\n5\n6\n7\n8\nnine\n"),
                                "yours", "stead's", &out, &e), 1);
    assert_string_equal(buf_str(&out), "one\n2\n3\n4\n5\n6\n7\n8\nnine\n");
    buf_reset(&out);
    assert_int_equal(merge_text(base, SPAN("1\n2\n3\n4\nfive\n6\n7\n8\n9\n"), SPAN("1\n2\n3\n4\nFIVE\n6\n7\n8\n9\n"),
                                "yours", "stead's", &out, &e), 0);
    assert_contains(buf_str(&out), "<<<<<<< yours\nfive\n");
    assert_contains(buf_str(&out), ">>>>>>> stead's\n");
}

static void odd_names__are_quoted(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_layer(&w);
    put(w.upper, "a\nb\t\"\x1b\xc3\xa9", "x\n");
    AUTO(change) struct change *c = world_change(&w);
    AUTO(buf) struct buf b = BUF_INIT(1 << 16);
    assert_ok(change_diff(c, NULL, &b, &w.e), &w.e);
    assert_contains(buf_str(&b), "+++ \"b/a\\nb\\t\\\"\\033\\303\\251\"\n");
    world_finish(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diff__is_what_git_writes),
        cmocka_unit_test(a_selection__has_only_what_was_picked),
        cmocka_unit_test(every_subset__composes_to_a_text_that_the_rest_completes),
        cmocka_unit_test(merges__are_clean_or_name_both_sides),
        cmocka_unit_test(odd_names__are_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
