#include "verify/lang.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/path.h"

#define JS_ASSERT "\\b(?:expect|assert(?:\\.\\w+)*|t\\.(?:is|deepEqual|true|false|equal|ok|same|throws|like|regex|not)|should\\.\\w+|chai\\.expect)\\s*\\(|\\.should\\b"

static const struct lang rows[] = {
    { "python", " .py .pyi ", "#",
      "^\\s*(?:async\\s+)?def\\s+(test\\w*)\\s*\\(", NULL,
      "^\\s*assert\\b|\\bself\\.(?:assert|fail)\\w*\\s*\\(|\\bassert_\\w+\\s*\\(|\\bpytest\\.(?:raises|fail|warns)\\b(?!\\(Dep|\\(Pending)|^>>> |\\.assert_\\w+\\(",
      "^\\s*assert\\s*\\([^()]*(?:\\([^()]*\\)[^()]*)*,\\s*f?[\"'].*\\)\\s*$|^\\s*assert\\s+(?:True|1|not False|1\\s*==\\s*1|\"[^\"]*\"|'[^']*')\\s*(?:,.*)?$|\\bassertTrue\\(\\s*True\\s*[,)]|\\bassertFalse\\(\\s*False\\s*[,)]|\\bassertEqual\\(\\s*(\\S+?)\\s*,\\s*\\1\\s*\\)|\\bor\\s+True\\b|^\\s*assert\\s+(\\w+)\\s*==\\s*\\2\\s*$",
      "==|\\bassert(?:(?:Equal|ListEqual|DictEqual|Count|Sequence|Tuple|Set|AlmostEqual|Raises)\\w*|Is)\\s*\\(|\\bassert_(?:equal|array_equal|allclose)\\b",
      "\\bassert(?:True|IsNotNone|IsNone|NotEqual|In|IsInstance|Greater|Less)\\w*\\s*\\(|^\\s*assert\\s+(?:\\w|\\.|\\(|\\)|\\[|\\]|\"|')+\\s*(?:is not None|is None|,|$)|!=|\\bisinstance\\(|>=|<=|\\bin\\b|\\bhasattr\\(|\\bcallable\\(" },
    { "javascript", " .js .jsx .mjs .cjs .ts .tsx .mts .cts .vue .svelte ", "//",
      "^\\s*(?:x?it|x?test|Deno\\.test|specify|fit)(?:\\.(?:skip|only|each|todo|failing|concurrent|fails)(?:\\((?:[^()]|\\([^()]*\\))*\\))?)*\\s*\\(\\s*[\"'`]((?:[^\"'`\\\\]|\\\\.)*)[\"'`]", NULL,
      JS_ASSERT,
      "\\bexpect\\(\\s*(true|false|1|null)\\s*\\)\\s*\\.to(?:Be|Equal|StrictEqual)\\(\\s*\\1\\s*\\)|\\bassert(?:\\.ok|\\.isTrue)?\\(\\s*(?:true|1)\\s*[,)]|\\bassert\\.(?:strict)?[eE]qual\\(\\s*(\\w+)\\s*,\\s*\\2\\s*[,)]|\\bexpect\\(true\\)\\.to\\.be\\.true|\\.to(?:Be|Equal|StrictEqual)\\(\\s*expect\\.any|\\|\\|\\s*true\\b",
      "(?<!\\.not)\\.(?:toBe|toEqual|toStrictEqual|toHaveLength|toThrow|toMatchObject|toMatchInlineSnapshot|toHaveBeenCalledWith|toBeCloseTo)\\(|\\.(?:strictEqual|deepEqual|deepStrictEqual|equal|is|same|throws|rejects)\\(|\\.to\\.(?:equal|eql|deep)",
      "\\.(?:toBeDefined|toBeTruthy|toBeFalsy|toBeInstanceOf|not\\.toBeNull|not\\.toBeUndefined|not\\.toThrow|toHaveBeenCalled|toContain|toBeGreaterThan\\w*|toBeLessThan\\w*|toMatch)\\(|\\bexpect\\.any|expect\\.anything|\\bassert(?:\\.ok|\\.notEqual|\\.notStrictEqual|\\.doesNotThrow)?\\(|\\.to\\.(?:exist|be\\.ok)|typeof" },
    { "c", " .c .h .cc .cpp .cxx .hpp .hh .ino ", "//",
      "^\\s*(?:static\\s+)?(?:void|int|bool)\\s+(test_?\\w*|\\w+_tests?|\\w+__\\w+)\\s*\\([^;]*$|^\\s*(?:START_TEST|Test|TEST|TEST_F|TEST_P|TEST_CASE|SCENARIO|BOOST_AUTO_TEST_CASE|BOOST_FIXTURE_TEST_CASE|CTEST|TEST_METHOD|TEST_IMPL|MU_TEST|UTEST)\\s*\\(\\s*([^)]+)\\)", NULL,
      "\\b(?:g_)?(?:assert|ASSERT|EXPECT|CHECK|REQUIRE|ck_assert|fail_unless|fail_if|BOOST_(?:CHECK|REQUIRE|TEST)|TEST_ASSERT|CU_ASSERT|mu_assert|mu_check|tt_\\w+_op|assert_\\w+|munit_assert|cr_assert|cr_expect|TEST_CHECK|ok|is|cmp_ok|plan_|t_assert|EXPECT_\\w+|ASSERT_\\w+)\\w*\\s*\\(",
      "\\b(?:assert|ASSERT_TRUE|EXPECT_TRUE|CHECK|REQUIRE|assert_true|ck_assert|TEST_ASSERT|TEST_ASSERT_TRUE|g_assert|g_assert_true|mu_check|cr_assert|ok|\\w*(?:EXPECT|ASSERT|CHECK|VERIFY|expect|check)\\w*)\\s*\\(\\s*(?:1|true|TRUE|!0|1\\s*==\\s*1)\\s*[,)]|\\|\\|\\s*(?:1|true)\\s*\\)",
      "==|\\b\\w*(?:_EQ|_STREQ|_EQUAL|_eq|_equal|EQUAL|cmpint|cmpstr|_string_equal|_int_equal)\\w*\\s*\\(|\\bstrcmp\\(|\\bmemcmp\\(",
      "\\b\\w*(?:_NE|_TRUE|_NOT_NULL|_GT|_GE|_LE|_LT|_not_equal|_non_null|assert_true|_in_range|_NULL)\\w*\\s*\\(|!=\\s*NULL|>=|<=|\\bassert\\s*\\(\\s*\\w+\\s*\\)" },
    { "rust", " .rs ", "//",
      "^\\s*(?:pub\\s+)?(?:async\\s+)?fn\\s+(\\w+)\\s*\\(", "#\\[(?:\\w+::)*test\\b|#\\[rstest|#\\[test_case|#\\[wasm_bindgen_test",
      "\\b(?:debug_)?assert(?:_eq|_ne|_matches)?!\\s*\\(|\\bpanic!|#\\[should_panic|\\.unwrap_err\\(|\\bassert_\\w+!|\\bprop_assert",
      "\\bassert!\\(\\s*(?:true|1\\s*==\\s*1)\\s*[,)]|\\bassert_eq!\\(\\s*(\\w+)\\s*,\\s*\\1\\s*[,)]|\\|\\|\\s*true\\b",
      "\\bassert_eq!|==",
      "\\bassert_ne!|\\bassert!\\(|is_ok\\(\\)|is_some\\(\\)|>=|<=" },
    { "go", " .go ", "//",
      "^func\\s+((?:Test|Benchmark|Example|Fuzz)\\w*)\\s*\\(", NULL,
      "\\bt\\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\\s*\\(|\\b(?:assert|require)\\.\\w+\\s*\\(|\\bg\\.Expect\\(|\\bExpect\\(",
      "\\b(?:assert|require)\\.True\\(\\s*t\\s*,\\s*true\\s*[,)]|\\b(?:assert|require)\\.Equal\\(\\s*t\\s*,\\s*(\\w+)\\s*,\\s*\\1\\s*[,)]",
      "\\b(?:assert|require)\\.(?:Equal|Exactly|JSONEq|EqualValues|ElementsMatch|ErrorIs)\\w*\\(|\\bEqual\\(|!=\\s*(?!nil\\b)|\\berrors\\.(?:Is|As)\\(|\\bDeepEqual\\(|\\bcmp\\.Diff\\(",
      "\\b(?:assert|require)\\.(?:True|NotNil|NoError|NotEmpty|NotEqual|Contains|Greater\\w*|Less\\w*|IsType)\\w*\\(|==\\s*(?:nil|\"\"|0)\\b|== nil|== \"\"|\\blen\\(|> 0|< 0" },
    { "java", " .java .kt .kts .scala .groovy ", "//",
      "^\\s*(?:(?:public|private|protected|internal|static|final|suspend|override)\\s+)*(?:void|fun|def|Unit)\\s+`?([\\w ]+?)`?\\s*\\(", "@(?:Test|ParameterizedTest|RepeatedTest|TestFactory|Property)\\b|^\\s*public\\s+void\\s+test[A-Z_]\\w*\\s*\\(",
      "\\b(?:Assert\\w*\\.)?(?:assert\\w*|fail|verify|expectThat|assertThat|expect)\\s*\\(|\\bshould(?:Be|Throw|Equal)\\b|@Test\\(expected",
      "\\bassertTrue\\(\\s*true\\s*[,)]|\\bassertFalse\\(\\s*false\\s*[,)]|\\bassertEquals\\(\\s*(\\w+)\\s*,\\s*\\1\\s*[,)]|\\|\\|\\s*true\\b",
      "\\bassert(?:Equals|Same|ArrayEquals|IterableEquals|Throws)\\w*\\(|\\.isEqualTo\\(|\\.isSameAs\\(|\\.containsExactly",
      "\\bassert(?:True|NotNull|NotEquals|NotSame|DoesNotThrow)\\w*\\(|\\.isNotNull\\(|\\.isNotEmpty\\(|\\.isTrue\\(|\\.contains\\(" },
    { "csharp", " .cs .fs .vb ", "//",
      "^\\s*(?:(?:public|private|internal|async|static|override)\\s+)*(?:void|Task)\\s+(\\w+)\\s*\\(", "\\[(?:Fact|Theory|Test|TestMethod|TestCase)\\b",
      "\\b(?:Assert|CollectionAssert|StringAssert)\\.\\w+\\s*[(<]|\\.Should\\(\\)|\\bVerify\\(",
      "\\bAssert\\.(?:True|IsTrue)\\(\\s*true\\s*[,)]|\\bAssert\\.(?:Equal|AreEqual)\\(\\s*(\\w+)\\s*,\\s*\\1\\s*[,)]",
      "\\bAssert\\.(?:Equal|AreEqual|Same|AreSame|Throws)\\w*\\s*[(<]|\\.Be\\(|\\.BeEquivalentTo\\(",
      "\\bAssert\\.(?:True|IsTrue|NotNull|IsNotNull|NotEqual|AreNotEqual|Contains)\\w*\\(|\\.NotBeNull\\(" },
    { "ruby", " .rb .rake ", "#",
      "^\\s*(?:def\\s+(test_\\w+)|(?:x|f)?(?:it|specify|test|scenario)\\s+[\"']([^\"']+)[\"'])", NULL,
      "\\bexpect\\s*[({]|\\bassert\\w*\\b|\\brefute\\w*\\b|\\.should\\b|\\bmust_\\w+|\\bflunk\\b",
      "\\bassert(?:\\(| )\\s*true\\b|\\bexpect\\(true\\)\\.to (?:be true|eq\\(?true)|\\bassert_equal\\(?\\s*(\\w+)\\s*,\\s*\\1\\s*\\)?\\s*$",
      "\\bassert_(?:equal|same|raises)\\b|\\beq\\b|\\beql\\b|\\bmatch_array\\b|\\braise_error\\b|==",
      "\\bassert(?:_not_nil|_nothing_raised|_includes|_kind_of)?\\b|\\bbe_truthy\\b|\\bbe_present\\b|not_to be_nil|\\binclude\\b|\\brefute_nil\\b" },
    { "php", " .php ", "//",
      "^\\s*(?:public\\s+)?function\\s+(test\\w*)\\s*\\(|^\\s*(?:it|test)\\(\\s*['\"]([^'\"]+)['\"]", NULL,
      "\\$this->(?:assert|expect)\\w*\\s*\\(|\\bself::assert\\w*\\(|\\bexpect\\(|\\bassert\\w*\\(",
      "->assertTrue\\(\\s*true\\s*[,)]|->assertSame\\(\\s*(\\S+)\\s*,\\s*\\1\\s*\\)",
      "->assert(?:Same|Equals|Count|StringEquals)\\w*\\(|->toBe\\(|expectException",
      "->assert(?:True|NotNull|NotEmpty|NotEquals|NotSame|InstanceOf|Contains)\\w*\\(|->toBeTruthy\\(" },
    { "shell", " .sh .bash .bats .zsh ", "#",
      "^\\s*@test\\s+[\"']([^\"']+)[\"']|^\\s*(?:function\\s+)?(test_?\\w*)\\s*\\(\\)", NULL,
      "\\[\\[? .*\\]\\]?|\\bassert\\w*\\b|^\\s*(?:test|diff|cmp|grep)\\s|\\brefute\\w*\\b|\\bfail\\b",
      "\\[ (?:1 = 1|1 -eq 1|true)|^\\s*(?:true|:)\\s*$|\\|\\|\\s*(?:true|:)\\s*$",
      "\\[\\[? .*(?: = | == | -eq ).*\\]\\]?|\\bassert_(?:equal|output)\\b|\\bdiff\\b|\\bcmp\\b",
      "\\[\\[? (?:-n|-z|-f|-e|-s|-d) |\\bassert_success\\b| -ne | != |\\bgrep\\b|\\bassert_not" },
    { "perl", " .pl .pm .t ", "#",
      "^\\s*subtest\\s+[\"']([^\"']+)[\"']", NULL,
      "\\b(?:ok|is|isnt|like|unlike|is_deeply|cmp_ok|can_ok|isa_ok|pass|fail|throws_ok|dies_ok|lives_ok)\\b\\s*[( ]",
      "\\bok\\s*\\(?\\s*1\\s*[,)]|\\bpass\\b",
      "\\b(?:is|is_deeply|cmp_ok|throws_ok)\\b\\s*[( ]",
      "\\b(?:ok|isnt|like|lives_ok|can_ok)\\b\\s*[( ]" },
    { "elixir", " .ex .exs ", "#",
      "^\\s*test\\s+\"([^\"]+)\"", NULL,
      "\\b(?:assert|refute)\\w*\\b", "\\bassert\\s*\\(?true\\b", "==", "\\bassert\\s+is_\\w+|!=|\\brefute\\b" },
    { "swift", " .swift ", "//",
      "^\\s*func\\s+(test\\w*)\\s*\\(", NULL,
      "\\bXCT\\w+\\s*\\(|#expect\\(|#require\\(", "\\bXCTAssert(?:True)?\\(\\s*true\\s*[,)]", "\\bXCTAssertEqual\\w*\\(|==", "\\bXCTAssert(?:True|NotNil|NotEqual)?\\(" },
    { "lua", " .lua ", "--",
      "^\\s*(?:it|pending)\\s*\\(\\s*[\"']([^\"']+)[\"']|^\\s*function\\s+(?:\\w+[.:])?(test\\w*)\\s*\\(", NULL,
      "\\bassert\\b|\\blu\\.assert\\w*\\(", "\\bassert\\(\\s*true\\s*[,)]|assert\\.is_true\\(true\\)", "assert\\.(?:are\\.)?(?:equal|same)|==|assertEquals", "assert\\.(?:truthy|is_not_nil|has_no)|~=" },
};

const struct lang *lang_of(const char *path)
{
    char ext[16];
    const char *dot = path_ext(path);
    if (!*dot || (size_t)snprintf(ext, sizeof ext, " %s ", dot) >= sizeof ext)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strstr(rows[i].extensions, ext))
            return &rows[i];
    return NULL;
}

const struct regex *lang_regex(const char *pattern)
{
    static struct {
        const char *pattern; /* by address: they are the table's literals and the rules' texts, kept for good */
        struct regex *r;
    } *cache;
    static size_t n, cap;
    if (!pattern)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (cache[i].pattern == pattern)
            return cache[i].r;
    struct err e = ERR_INIT;
    struct regex *r = NULL;
    if (regex_compile(pattern, &r, &e) < 0 || !array_grow((void **)&cache, &cap, n, 1, sizeof *cache)) {
        regex_destroy(r);
        return NULL; /* the unit test compiles every row */
    }
    cache[n].pattern = pattern;
    cache[n++].r = r;
    return r;
}
