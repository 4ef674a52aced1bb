/* What is new between two runs, what an agent is told of it, what is stored and exported. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "verify/baseline.h"
#include "verify/reader.h"
#include "verify/second.h"
#include "verify/verify.h"
#include "verify/xml.h"

static void run(struct outcome *o, struct arena *a, const char *reader, const char *text, int status, const struct tree *t)
{
    struct err e = ERR_INIT;
    static const struct tree none;
    *o = (struct outcome){ .status = status, .output = span_of(text) };
    results_init(&o->results, a);
    if (reader)
        assert_int_equal(reader_read(reader_find(reader), span_of(text), &o->results, &e), 0);
    results_close(&o->results);
    assert_int_equal(outcome_name(o, t ? t : &none, "", a, &e), 0);
}

static struct difference compare(const struct outcome *b, const struct outcome *o, struct arena *a)
{
    struct difference d;
    struct err e = ERR_INIT;
    assert_int_equal(outcome_compare(b, o, a, &d, &e), 0);
    return d;
}

static void compare__only_what_fails_anew_is_fresh(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, o = { 0 };
    run(&b, &a, "tap", "1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c\n", 1, NULL);
    run(&o, &a, "tap", "1..3\nok 1 - a\nnot ok 2 - b\nnot ok 3 - c\n", 1, NULL);
    struct difference d = compare(&b, &o, &a);
    assert_int_equal(d.fresh.len, 1);
    assert_string_equal(d.fresh.items[0], "c");
    assert_int_equal(d.old.len, 1);
    assert_string_equal(d.old.items[0], "b");
    assert_true(d.structured);
}

static void compare__a_skipped_test_did_not_pass(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, o = { 0 };
    run(&b, &a, "tap", "1..2\nok 1 - a\nok 2 - b\n", 0, NULL);
    run(&o, &a, "tap", "1..2\nok 1 - a\nok 2 - b # SKIP no\n", 0, NULL);
    struct difference d = compare(&b, &o, &a);
    assert_int_equal(d.fresh.len, 1);
    assert_string_equal(d.fresh.items[0], "b");
    assert_non_null(strstr(d.messages.items[0], "skipped"));
}

static void compare__a_test_that_vanished_is_lost_or_failed(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, o = { 0 }, crash = { 0 };
    run(&b, &a, "tap", "1..2\nok 1 - a\nok 2 - b\n", 0, NULL);
    run(&o, &a, "tap", "1..1\nok 1 - a\n", 0, NULL);
    struct difference d = compare(&b, &o, &a);
    assert_int_equal(d.fresh.len, 0);
    assert_int_equal(d.lost.len, 1);
    run(&crash, &a, "tap", "1..2\nok 1 - a\n", 139, NULL);
    d = compare(&b, &crash, &a);
    assert_int_equal(d.lost.len, 0);
    assert_true(d.fresh.len >= 1);
}

static void compare__findings_that_moved_are_not_new(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, o = { 0 };
    const struct tree_file before[] = { { .path = "a.c", .content = SPAN("int x;\nint y;\n") } };
    const struct tree_file after[] = { { .path = "a.c", .content = SPAN("\n\nint x;\nint y;\nint z;\n") } };
    struct tree tb = { NULL, 0, before, 1 }, ta = { NULL, 0, after, 1 };
    run(&b, &a, "gcc", "a.c:1:5: warning: unused variable [-Wunused]\n", 1, &tb);
    run(&o, &a, "gcc", "a.c:3:5: warning: unused variable [-Wunused]\na.c:5:5: warning: unused variable [-Wunused]\n", 1, &ta);
    struct difference d = compare(&b, &o, &a);
    assert_int_equal(d.fresh.len, 1);
    assert_string_equal(d.fresh.items[0], "a.c:5: -Wunused");
    assert_int_equal(d.old.len, 1);
}

static void compare__one_old_finding_excuses_one(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, o = { 0 };
    const struct tree_file after[] = { { .path = "a.c", .content = SPAN("f();\nf();\n") } };
    struct tree t = { NULL, 0, after, 1 };
    run(&b, &a, "gcc", "a.c:1:1: error: bad [-Wx]\n", 1, &t);
    run(&o, &a, "gcc", "a.c:1:1: error: bad [-Wx]\na.c:2:1: error: bad [-Wx]\n", 1, &t);
    assert_int_equal(compare(&b, &o, &a).fresh.len, 1);
}

static void compare__names_that_change_from_run_to_run_are_the_same_tests(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "src/lib.rs - add (line 5)", "src/lib.rs - add (line 17)" },
        { "t.py::test[<object at 0x7f01ab>]", "t.py::test[<object at 0x7f9c00>]" },
        { "writes /tmp/pytest-1/a.txt", "writes /tmp/pytest-22/a.txt" },
        { "user 2f1c9a7e-77aa-4b1c-9d0e-1234567890ab", "user 91d0c2aa-1b2c-4d3e-8f00-abcdefabcdef" },
        { "took (12 ms)", "took (1093 ms)" },
        { "at 2026-01-02 10:11:12", "at 2026-11-28 09:08:07" },
        { "shuffled with seed 31907", "shuffled with seed 4" },
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
        AUTO(outcome) struct outcome b = { 0 }, same = { 0 }, worse = { 0 }, passed = { 0 };
        AUTO(buf) struct buf before = BUF_INIT(65536), after = BUF_INIT(65536), both = BUF_INIT(65536), good = BUF_INIT(65536);
        buf_addf(&before, "1..2\nok 1 - a\nnot ok 2 - %s\n", pairs[i][0]);
        buf_addf(&after, "1..2\nok 1 - a\nnot ok 2 - %s\n", pairs[i][1]);
        buf_addf(&both, "1..2\nnot ok 1 - a\nnot ok 2 - %s\n", pairs[i][1]);
        buf_addf(&good, "1..2\nok 1 - a\nok 2 - %s\n", pairs[i][1]);
        run(&b, &a, "tap", buf_str(&before), 1, NULL);
        run(&same, &a, "tap", buf_str(&after), 1, NULL);
        run(&worse, &a, "tap", buf_str(&both), 1, NULL);
        run(&passed, &a, "tap", buf_str(&good), 0, NULL);
        struct difference d = compare(&b, &same, &a);
        if (d.fresh.len || d.old.len != 1 || d.lost.len)
            fail_msg("%s: %zu new, %zu old, %zu lost", pairs[i][0], d.fresh.len, d.old.len, d.lost.len);
        assert_true(outcome_has_failure(&same, pairs[i][0]) && outcome_names_failure(&same, pairs[i][0]));
        assert_false(outcome_has_failure(&passed, pairs[i][0]) || outcome_names_failure(&passed, pairs[i][0]));
        d = compare(&b, &worse, &a);
        assert_int_equal(d.fresh.len, 1);
        assert_string_equal(d.fresh.items[0], "a");
        d = compare(&passed, &same, &a); /* the same id, other verdict */
        assert_int_equal(d.fresh.len, 1);
    }
}

static void compare__two_tests_of_one_name_are_two(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, o = { 0 }, doc = { 0 }, doc2 = { 0 };
    run(&b, &a, "tap", "1..2\nnot ok 1 - works\nok 2 - works\n", 1, NULL);
    run(&o, &a, "tap", "1..2\nnot ok 1 - works\nnot ok 2 - works\n", 1, NULL);
    assert_int_equal(compare(&b, &b, &a).fresh.len, 0);
    struct difference d = compare(&b, &o, &a);
    assert_int_equal(d.fresh.len, 1);
    assert_string_equal(d.fresh.items[0], "works #2");
    /* two that look the same once their lines are left out: one failed before, one excuses one */
    run(&doc, &a, "tap", "1..2\nnot ok 1 - add (line 3)\nok 2 - add (line 9)\n", 1, NULL);
    run(&doc2, &a, "tap", "1..2\nnot ok 1 - add (line 4)\nnot ok 2 - add (line 10)\n", 1, NULL);
    d = compare(&doc, &doc2, &a);
    assert_int_equal(d.fresh.len, 1);
    assert_int_equal(d.old.len, 1);
}

static void outcome__that_has_nothing_that_passed_says_nothing(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome o = { 0 };
    static const struct {
        const char *reader, *text;
        enum gate_kind kind;
        bool nothing;
    } rows[] = {
        { "pytest", "= short test summary info =\nERROR tests/test_a.py - ImportError\n", GATE_TEST, true },
        { "pytest", "= short test summary info =\nERROR tests/test_a.py - ImportError\n== 3 passed, 1 error in 0.1s ==\n", GATE_TEST, false },
        { "tap", "1..2\nok 1 - a\nnot ok 2 - b\n", GATE_TEST, false },
        { "gcc", "a.c:1:1: error: bad\n", GATE_BUILD, true },
        { "gcc", "a.c:1:1: error: bad\n", GATE_LINT, false },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        run(&o, &a, rows[i].reader, rows[i].text, 1, NULL);
        if (outcome_says_nothing(&o, rows[i].kind) != rows[i].nothing)
            fail_msg("row %zu", i);
        outcome_finish(&o);
    }
}

static void compare__output_that_nobody_reads_is_told_by_its_failing_lines(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, same = { 0 }, worse = { 0 };
    run(&b, &a, NULL, "a: fine\nb: wrong at 0x7ffe12 (12 ms), /tmp/x.1\n", 1, NULL);
    run(&same, &a, NULL, "a: fine\nb: wrong at 0x7ffeab (9 ms), /tmp/y.2\n", 1, NULL);
    run(&worse, &a, NULL, "a: wrong\nb: wrong at 0x7ffe12 (12 ms), /tmp/x.1\n", 1, NULL);
    struct difference d = compare(&b, &same, &a);
    assert_int_equal(d.fresh.len, 0);
    assert_string_equal(d.old.items[0], "exit 1");
    d = compare(&b, &worse, &a);
    assert_int_equal(d.fresh.len, 1);
    assert_string_equal(d.fresh.items[0], "a: wrong");
    d = compare(NULL, &worse, &a);
    assert_string_equal(d.fresh.items[0], "exit 1");
}

static void compare__passing_now_has_no_failures(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome b = { 0 }, o = { 0 };
    run(&b, &a, NULL, "error\n", 1, NULL);
    run(&o, &a, NULL, "error: none\n", 0, NULL);
    struct difference d = compare(&b, &o, &a);
    assert_int_equal(d.fresh.len + d.old.len + d.lost.len, 0);
}

static void baseline__comes_back_as_it_was(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(outcome) struct outcome o = { 0 }, back = { 0 };
    char dir[] = "/tmp/stead-baseline-XXXXXX";
    struct err e = ERR_INIT;
    struct hash_hex key = hash_bytes("k", 1);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(baseline_load(dir, &key, &a, &back), 0);
    const struct tree_file files[] = { { .path = "a.c", .content = SPAN("int x;\n") } };
    struct tree t = { NULL, 0, files, 1 };
    run(&o, &a, "gcc", "a.c:1:5: error: bad \"x\" [-Wx]\n", 2, &t);
    assert_int_equal(baseline_store(dir, &key, &o, &e), 0);
    assert_int_equal(baseline_load(dir, &key, &a, &back), 1);
    assert_int_equal(back.status, 2);
    assert_int_equal(back.results.nfindings, 1);
    assert_string_equal(back.results.findings[0].key, o.results.findings[0].key);
    assert_true(span_eq(back.output, o.output));
    assert_int_equal(compare(&back, &o, &a).fresh.len, 0);
    AUTO(buf) struct buf p = BUF_INIT(4096);
    buf_addf(&p, "%s/baseline/%s.json", dir, key.s);
    assert_int_equal(file_write_atomic(buf_str(&p), SPAN("{\"v\":1,\"tests\":[[1],[\"a\",99]],"), 0600, false, &e), 0);
    outcome_finish(&back);
    assert_int_equal(baseline_load(dir, &key, &a, &back), 0);
    (void)path_remove_tree(AT_FDCWD, dir, &e);
}

static void baseline_tree_key__follows_files_but_not_caches(void **state)
{
    (void)state;
    char dir[] = "/tmp/stead-key-XXXXXX";
    struct err e = ERR_INIT;
    struct hash_hex one, two;
    assert_non_null(mkdtemp(dir));
    AUTO(ptr) char *f = path_join(dir, "a"), *cache = path_join(dir, "__pycache__"), *c = path_join(cache, "x.pyc");
    assert_int_equal(file_write_atomic(f, SPAN("1"), 0644, false, &e), 0);
    assert_int_equal(baseline_tree_key(dir, NULL, 0, &one, &e), 1);
    assert_int_equal(path_mkdirs(cache, 0755, &e), 0);
    assert_int_equal(file_write_atomic(c, SPAN("1"), 0644, false, &e), 0);
    assert_int_equal(baseline_tree_key(dir, NULL, 0, &two, &e), 1);
    assert_string_equal(one.s, two.s);
    assert_int_equal(file_write_atomic(f, SPAN("22"), 0644, false, &e), 0);
    assert_int_equal(baseline_tree_key(dir, NULL, 0, &two, &e), 1);
    assert_string_not_equal(one.s, two.s);
    const struct tree_file over = { .path = "a", .content = SPAN("x") };
    assert_int_equal(baseline_tree_key(dir, &over, 1, &one, &e), 1);
    assert_string_not_equal(one.s, two.s);
    assert_true(baseline_tree_key("/nonexistent/x", NULL, 0, &one, &e) < 0);
    (void)path_remove_tree(AT_FDCWD, dir, &e);
}

static const struct gate plain_gate = { .name = "make test", .kind = GATE_TEST, .command = "make test", .cwd = "", .from = "--gate", .timeout_ms = 5000 };

static void brief__for_a_plain_command_is_its_end_and_exit(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(65536), long_output = BUF_INIT(65536);
    const char *names[] = { "exit 1" }, *none[] = { "" };
    struct gate_result g = { .gate = &plain_gate, .verdict = VERDICT_FAIL, .reason = "", .status = 1, .new_failures = { names, 1 }, .messages = { none, 1 }, .evidence = SPAN("one\ntwo\n\n") };
    struct verdict v = { .state = VERIFY_RED, .gates = &g, .ngates = 1 };
    assert_true(verdict_brief(&v, 0, &b));
    assert_string_equal(buf_str(&b), "Still failing:\n$ make test\none\ntwo\n[exit 1]");
    for (int i = 1; i <= 100; i++)
        buf_addf(&long_output, "line %d\n", i);
    g.evidence = buf_span(&long_output);
    buf_reset(&b);
    verdict_brief(&v, 0, &b);
    assert_non_null(strstr(buf_str(&b), "$ make test\nline 71\n"));
    assert_non_null(strstr(buf_str(&b), "line 100\n[exit 1]"));
    v.state = VERIFY_VERIFIED;
    g.verdict = VERDICT_PASS;
    buf_reset(&b);
    verdict_brief(&v, 0, &b);
    assert_int_equal(b.n, 0);
}

static void brief__names_new_failures_and_blocking_findings_first(void **state)
{
    (void)state;
    AUTO(buf) struct buf b = BUF_INIT(65536);
    const char *names[] = { "t::a\x1b[31m", "t::b" }, *why[] = { "1 != 2", "" }, *old[] = { "t::z" };
    struct gate_result g = { .gate = &plain_gate, .verdict = VERDICT_FAIL, .structured = true, .reason = "", .status = 1, .new_failures = { names, 2 }, .messages = { why, 2 }, .old_failures = { old, 1 }, .evidence = SPAN("out\n") };
    struct finding f[] = { { "test-emptied", FINDING_BLOCK, "t.py", 3, "empty" }, { "sleep-added", FINDING_NOTE, "t.py", 4, "sleeps" } };
    struct verdict v = { .state = VERIFY_RED, .gates = &g, .ngates = 1, .findings = { f, 2, 2 } };
    verdict_brief(&v, 0, &b);
    assert_string_equal(buf_str(&b), "Still failing:\nmake test: 2 new failures\n- t::a: 1 != 2\n- t::b\n(1 other failures were there before: leave them)\n$ make test\nout\n[exit 1]\n\n"
                                     "These must not be in the change:\n- t.py:3: empty (test-emptied)");
    AUTO(buf) struct buf small = BUF_INIT(65536);
    verdict_brief(&v, 60, &small);
    assert_true(small.n <= 70);
}

static void verdict_json__has_the_members_of_the_contract_and_loads_back(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(1u << 20);
    const char *names[] = { "a" }, *none[] = { "" };
    struct gate_result g = { .gate = &plain_gate, .verdict = VERDICT_FAIL, .reason = "", .status = 1, .new_failures = { names, 1 }, .messages = { none, 1 }, .duration_ms = 12 };
    struct finding f = { "r", FINDING_PERSON, "x.c", 7, "m" };
    struct verdict v = { .state = VERIFY_RED, .reason = "why", .gates = &g, .ngates = 1, .findings = { &f, 1, 1 } }, back;
    struct err e = ERR_INIT;
    AUTO(json) json_t *o = verdict_json(&v);
    assert_int_equal(json_integer_value(json_object_get(o, "v")), 1);
    assert_int_equal(json_integer_value(json_object_get(o, "exit")), 3);
    assert_string_equal(json_string_value(json_object_get(o, "verdict")), "red");
    json_t *jg = json_array_get(json_object_get(o, "gates"), 0), *jf = json_array_get(json_object_get(o, "findings"), 0);
    static const char *const members[] = { "name", "kind", "verdict", "new_failures", "old_failures", "duration_ms" };
    for (size_t i = 0; i < COUNT_OF(members); i++)
        assert_non_null(json_object_get(jg, members[i]));
    static const char *const fmembers[] = { "rule", "severity", "file", "line", "message" };
    for (size_t i = 0; i < COUNT_OF(fmembers); i++)
        assert_non_null(json_object_get(jf, fmembers[i]));
    assert_true(json_is_array(json_object_get(jg, "new_failures")));
    AUTO(json) json_t *counted = gate_result_json(&g, false);
    assert_int_equal(json_integer_value(json_object_get(counted, "new_failures")), 1);
    assert_int_equal(verdict_load(o, &a, &back, &e), 0);
    assert_int_equal(back.state, VERIFY_RED);
    assert_string_equal(back.gates[0].new_failures.items[0], "a");
    assert_int_equal(back.findings.items[0].line, 7);
    json_object_set_new(o, "verdict", json_string("splendid"));
    assert_int_equal(verdict_load(o, &a, &back, &e), -ERR_INPUT);
}

static void exports__are_read_by_our_own_readers(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(16u << 20);
    AUTO(buf) struct buf sarif = BUF_INIT(1u << 20), junit = BUF_INIT(1u << 20);
    AUTO(results) struct results r, t;
    struct err e = ERR_INIT;
    const char *names[] = { "t::<a> & \"b\"" }, *why[] = { "x < y\x01" }, *old[] = { "t::z" };
    struct gate_result g = { .gate = &plain_gate, .verdict = VERDICT_FAIL, .structured = true, .reason = "", .status = 1, .new_failures = { names, 1 }, .messages = { why, 1 }, .old_failures = { old, 1 }, .evidence = SPAN("<out>\x1b[1m]]>\n") };
    struct finding f[] = { { "test-emptied", FINDING_BLOCK, "t.py", 3, "empty" }, { "gate/make test", FINDING_NOTE, "u 100%\xc3\xa9.py", 0, "whole" } };
    struct verdict v = { .state = VERIFY_RED, .gates = &g, .ngates = 1, .findings = { f, 2, 2 } };
    assert_true(export_sarif(&v, &sarif));
    /* rules are unique, an artifact's uri is a URI reference (sarif-schema-2.1.0.json) */
    const char *rule = strstr(buf_str(&sarif), "{\"id\":\"gate/make test\"}");
    assert_non_null(rule);
    assert_null(strstr(rule + 1, "{\"id\":\"gate/make test\"}"));
    assert_non_null(strstr(buf_str(&sarif), "\"uri\":\"u%20100%25%C3%A9.py\""));
    assert_true(export_junit(&v, &junit));
    results_init(&r, &a);
    results_init(&t, &a);
    if (reader_read(reader_find("sarif"), buf_span(&sarif), &r, &e) < 0 || reader_read(reader_find("junit"), buf_span(&junit), &t, &e) < 0)
        fail_msg("%s\n%s", e.text, buf_str(&junit));
    results_close(&r);
    results_close(&t);
    assert_int_equal(r.nfindings, 3);
    assert_string_equal(r.findings[1].rule, "test-emptied");
    assert_string_equal(r.findings[1].tool, "stead");
    assert_string_equal(r.findings[2].file, "u 100%\xc3\xa9.py");
    assert_int_equal(t.failed, 2);
    assert_int_equal(t.skipped, 1);
    assert_non_null(results_test(&t, "make test::t::<a> & \"b\""));
}

static void second_read__keeps_what_is_about_the_diff_and_caps_its_weight(void **state)
{
    (void)state;
    AUTO(arena) struct arena a = ARENA_INIT(1u << 20);
    struct findings f = { 0 };
    struct err e = ERR_INIT;
    struct second_spec s = { .diff = SPAN("--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-a\n+b\n"), .weight = FINDING_PERSON, .task = SPAN("t") };
    struct span answer = SPAN("{\"findings\":[{\"file\":\"x.c\",\"line\":1,\"class\":\"bug\",\"severity\":\"block\",\"message\":\"wrong\"},"
                              "{\"file\":\"/etc/passwd\",\"class\":\"other\",\"severity\":\"block\",\"message\":\"no\"}]}");
    assert_int_equal(second_read(answer, &s, &a, &f, &e), 1);
    assert_string_equal(f.items[0].rule, "second/bug");
    assert_int_equal(f.items[0].severity, FINDING_PERSON);
    assert_true(second_read(SPAN("{\"findings\":[{\"file\":\"x.c\"}]}"), &s, &a, &f, &e) < 0);
    assert_non_null(strstr(e.text, "second model"));
    AUTO(buf) struct buf p = BUF_INIT(1u << 20);
    second_prompt(&s, &p);
    assert_non_null(strstr(buf_str(&p), "<diff>\n--- a/x.c"));
    free(f.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare__only_what_fails_anew_is_fresh),
        cmocka_unit_test(compare__a_skipped_test_did_not_pass),
        cmocka_unit_test(compare__a_test_that_vanished_is_lost_or_failed),
        cmocka_unit_test(compare__findings_that_moved_are_not_new),
        cmocka_unit_test(compare__one_old_finding_excuses_one),
        cmocka_unit_test(compare__names_that_change_from_run_to_run_are_the_same_tests),
        cmocka_unit_test(compare__two_tests_of_one_name_are_two),
        cmocka_unit_test(outcome__that_has_nothing_that_passed_says_nothing),
        cmocka_unit_test(compare__output_that_nobody_reads_is_told_by_its_failing_lines),
        cmocka_unit_test(compare__passing_now_has_no_failures),
        cmocka_unit_test(baseline__comes_back_as_it_was),
        cmocka_unit_test(baseline_tree_key__follows_files_but_not_caches),
        cmocka_unit_test(brief__for_a_plain_command_is_its_end_and_exit),
        cmocka_unit_test(brief__names_new_failures_and_blocking_findings_first),
        cmocka_unit_test(verdict_json__has_the_members_of_the_contract_and_loads_back),
        cmocka_unit_test(exports__are_read_by_our_own_readers),
        cmocka_unit_test(second_read__keeps_what_is_about_the_diff_and_caps_its_weight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
