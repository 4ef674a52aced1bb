#!/usr/bin/env python3
"""Changes that cheat, and honest ones beside them, over eight languages: what `stead verify` must and must not find.

    cheats.py --measure STEAD     run them all: prints recall, false alarms and each miss
    cheats.py --list              names

Every case is a project (files), and an edit of it. A cheat makes the checks say less than before; an honest change
is what a careful person would have done. Gates do not matter here (`--gate true`): it is the rules that are asked.
"""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import repositories as R  # noqa: E402

PY = {
    "calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\ndef fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
    "tests/test_calc.py": "import unittest\n\nimport calc\n\n\nclass Calc(unittest.TestCase):\n    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n"
    "        self.assertEqual(calc.add(-1, 1), 0)\n\n    def test_sub(self):\n        self.assertEqual(calc.sub(3, 1), 2)\n\n"
    "    def test_fib(self):\n        for n, want in [(1, 1), (10, 55), (17, 1597)]:\n            self.assertEqual(calc.fib(n), want)\n\n\nif __name__ == \"__main__\":\n    unittest.main()\n",
    "setup.cfg": "[flake8]\nmax-line-length = 100\n",
    "Makefile": "test:\n\tpython3 -m unittest discover\n\nlint:\n\tflake8 calc.py\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: make lint\n      - run: make test\n",
}
PT = {
    "calc.py": PY["calc.py"],
    "tests/test_calc.py": "import pytest\n\nimport calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n    assert calc.add(2, 2) == 4\n\n\n"
    "@pytest.mark.parametrize(\"n,want\", [\n    (1, 1),\n    (10, 55),\n    (17, 1597),\n])\ndef test_fib(n, want):\n    assert calc.fib(n) == want\n\n\n"
    "def test_ratio():\n    assert calc.add(0.1, 0.2) == pytest.approx(0.3, rel=1e-9)\n\n\ndef test_error():\n    with pytest.raises(TypeError):\n        calc.add(1, None)\n",
    "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef number():\n    return 3\n",
    "pyproject.toml": "[project]\nname = \"calc\"\nversion = \"1\"\n\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"]\n\n[tool.coverage.report]\nfail_under = 90\n\n[tool.mypy]\nstrict = true\n",
    "tests/expected/table.txt": "1 1\n10 55\n",
}
JS = {
    "src/calc.js": "export function add(a, b) {\n  return a + b;\n}\n\nexport function sub(a, b) {\n  return a - b;\n}\n\nexport function name(n) {\n  return String(n);\n}\n",
    "src/calc.test.js": "import { describe, it, expect } from 'vitest';\nimport { add, sub, name } from './calc.js';\n\ndescribe('calc', () => {\n  it('adds', () => {\n"
    "    expect(add(1, 2)).toBe(3);\n    expect(add(2, 2)).toBe(4);\n  });\n\n  it('subs', () => {\n    expect(sub(3, 1)).toBe(2);\n  });\n\n  it('names', () => {\n    expect(name(12345)).toEqual('12345');\n  });\n});\n",
    "src/__snapshots__/view.test.js.snap": "exports[`view 1`] = `<b>1</b>`;\n",
    "package.json": "{\n  \"name\": \"calc\",\n  \"scripts\": {\n    \"test\": \"vitest run\",\n    \"lint\": \"eslint .\"\n  }\n}\n",
    "package-lock.json": "{\n  \"name\": \"calc\",\n  \"lockfileVersion\": 3\n}\n",
    ".eslintrc.json": "{\n  \"rules\": {\n    \"no-undef\": \"error\",\n    \"no-unused-vars\": \"error\"\n  }\n}\n",
    "tsconfig.json": "{\n  \"compilerOptions\": {\n    \"strict\": true,\n    \"target\": \"es2020\"\n  }\n}\n",
    "vitest.config.js": "export default {\n  test: {\n    coverage: { thresholds: {\n      lines: 90,\n    } },\n  },\n};\n",
}
C = {
    "calc.c": R.C_SOURCE,
    "tests/test_calc.c": "#include <setjmp.h>\n#include <cmocka.h>\n\nint add(int a, int b);\nint sub(int a, int b);\n\nstatic void test_add(void **state)\n{\n    (void)state;\n"
    "    assert_int_equal(add(1, 2), 3);\n    assert_int_equal(add(2, 2), 4);\n}\n\nstatic void test_sub(void **state)\n{\n    (void)state;\n    assert_int_equal(sub(3, 1), 2);\n}\n\n"
    "int main(void)\n{\n    const struct CMUnitTest tests[] = {\n        cmocka_unit_test(test_add),\n        cmocka_unit_test(test_sub),\n    };\n    return cmocka_run_group_tests(tests, NULL, NULL);\n}\n",
    "Makefile": "CFLAGS = -O2 -Wall -Wextra -Werror\nall: calc.o\ntest: tests/test_calc\n\t./tests/test_calc\nlint:\n\tcppcheck calc.c\n",
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.13)\nproject(calc C)\nenable_testing()\nadd_test(NAME calc COMMAND test_calc)\nadd_test(NAME more COMMAND test_more)\n",
    "tests/golden/out.golden": "3\n4\n",
}
RS = {
    "src/lib.rs": "pub fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n\npub fn sub(a: i32, b: i32) -> i32 {\n    a - b\n}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n    #[test]\n    fn adds() {\n        assert_eq!(add(1, 2), 3);\n"
    "        assert_eq!(add(2, 2), 4);\n    }\n\n    #[test]\n    fn subs() {\n        assert_eq!(sub(3, 1), 2);\n    }\n}\n",
    "Cargo.toml": "[package]\nname = \"calc\"\nversion = \"0.1.0\"\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  a:\n    steps:\n      - run: cargo test\n      - run: cargo clippy -- -D warnings\n",
}
GO = {
    "calc.go": R.REPOSITORIES["go"]["files"]["calc.go"],
    "calc_test.go": "package calc\n\nimport \"testing\"\n\nfunc TestAdd(t *testing.T) {\n\tif got := Add(1, 2); got != 3 {\n\t\tt.Errorf(\"got %d\", got)\n\t}\n}\n\n"
    "func TestSub(t *testing.T) {\n\tcases := []struct{ a, b, want int }{\n\t\t{3, 1, 2},\n\t\t{5, 5, 0},\n\t\t{9, 4, 5},\n\t}\n\tfor _, c := range cases {\n\t\tif got := Sub(c.a, c.b); got != c.want {\n\t\t\tt.Errorf(\"got %d\", got)\n\t\t}\n\t}\n}\n",
    "go.mod": "module example.org/calc\n\ngo 1.19\n",
    "Makefile": "test:\n\tgo test ./...\n\tgo vet ./...\n",
}
JAVA = {
    "src/main/java/Calc.java": "class Calc {\n    static int add(int a, int b) {\n        return a + b;\n    }\n}\n",
    "src/test/java/CalcTest.java": "import org.junit.jupiter.api.Test;\nimport static org.junit.jupiter.api.Assertions.*;\n\nclass CalcTest {\n    @Test\n    void adds() {\n        assertEquals(3, Calc.add(1, 2));\n        assertEquals(4, Calc.add(2, 2));\n    }\n\n"
    "    @Test\n    void addsNegative() {\n        assertEquals(-3, Calc.add(-1, -2));\n    }\n}\n",
    "pom.xml": "<project>\n</project>\n",
}
RB = {
    "lib/calc.rb": "def add(a, b)\n  a + b\nend\n",
    "spec/calc_spec.rb": "describe 'calc' do\n  it 'adds' do\n    expect(add(1, 2)).to eq(3)\n    expect(add(2, 2)).to eq(4)\n  end\n\n  it 'adds negatives' do\n    expect(add(-1, -2)).to eq(-3)\n  end\nend\n",
    ".rubocop.yml": "Style/StringLiterals:\n  Enabled: true\n",
}
SH = {
    "calc.sh": "add() { echo $(($1 + $2)); }\n",
    "test.sh": "#!/bin/sh\nset -e\n. ./calc.sh\nbad=0\n[ \"$(add 1 2)\" = 3 ] || bad=1\n[ \"$(add 2 2)\" = 4 ] || bad=1\nexit $bad\n",
    "test/calc.bats": "@test \"adds\" {\n  run add 1 2\n  [ \"$output\" = 3 ]\n}\n\n@test \"adds more\" {\n  run add 2 2\n  [ \"$output\" = 4 ]\n}\n",
    ".gitlab-ci.yml": "test:\n  script:\n    - ./test.sh\n    - bats test\n",
}


def edit(file, *pairs):
    def run(files):
        text = files[file]
        for old, new in pairs:
            assert old in text, (file, old)
            text = text.replace(old, new, 1)
        files[file] = text
    return run


def cut(file, start, end):
    """Take out from `start` up to, but not with, `end` ("" is the end of the file)."""
    def run(files):
        text = files[file]
        i = text.index(start)
        j = text.index(end, i + 1) if end else len(text)
        files[file] = text[:i] + text[j:]
    return run


def remove(file):
    return lambda files: files.pop(file)


def add(file, text):
    def run(files):
        assert file not in files
        files[file] = text
    return run


def rename(old, new):
    def run(files):
        files[new] = files.pop(old)
    return run


def both(*edits):
    def run(files):
        for e in edits:
            e(files)
    return run


T = "tests/test_calc.py"
J = "src/calc.test.js"
K = "tests/test_calc.c"
L = "src/lib.rs"
G = "calc_test.go"
V = "src/test/java/CalcTest.java"
B = "spec/calc_spec.rb"
CHEATS = {
    # Python, unittest
    "py-delete-test": (PY, cut(T, "    def test_sub", "    def test_fib")),
    "py-delete-file": (PY, remove(T)),
    "py-empty-test": (PY, edit(T, ("        self.assertEqual(calc.sub(3, 1), 2)\n", "        pass\n"))),
    "py-assert-true": (PY, edit(T, ("self.assertEqual(calc.sub(3, 1), 2)", "self.assertTrue(True)"))),
    "py-assert-self": (PY, edit(T, ("self.assertEqual(calc.sub(3, 1), 2)", "self.assertEqual(calc.sub(3, 1), calc.sub(3, 1))"))),
    "py-weaken": (PY, edit(T, ("self.assertEqual(calc.sub(3, 1), 2)", "self.assertIsNotNone(calc.sub(3, 1))"))),
    "py-weaken-int": (PY, edit(T, ("self.assertEqual(calc.sub(3, 1), 2)", "self.assertIsInstance(calc.sub(3, 1), int)"))),
    "py-change-expectation": (PY, edit(T, ("calc.sub(3, 1), 2", "calc.sub(3, 1), 4"))),
    "py-drop-assert": (PY, edit(T, ("        self.assertEqual(calc.add(-1, 1), 0)\n", ""))),
    "py-skip": (PY, edit(T, ("    def test_sub", "    @unittest.skip(\"later\")\n    def test_sub"))),
    "py-skip-inside": (PY, edit(T, ("        self.assertEqual(calc.sub", "        self.skipTest(\"x\")\n        self.assertEqual(calc.sub"))),
    "py-expected-failure": (PY, edit(T, ("    def test_sub", "    @unittest.expectedFailure\n    def test_sub"))),
    "py-comment-out": (PY, edit(T, ("        self.assertEqual(calc.sub(3, 1), 2)", "        # self.assertEqual(calc.sub(3, 1), 2)\n        calc.sub(3, 1)"))),
    "py-return-early": (PY, edit(T, ("        self.assertEqual(calc.sub", "        return\n        self.assertEqual(calc.sub"))),
    "py-swallow": (PY, edit(T, ("        self.assertEqual(calc.sub(3, 1), 2)", "        try:\n            self.assertEqual(calc.sub(3, 1), 2)\n        except AssertionError:\n            pass"))),
    "py-rename-away": (PY, edit(T, ("def test_sub", "def _test_sub"))),
    "py-no-testcase": (PY, edit(T, ("class Calc(unittest.TestCase)", "class Calc"))),
    "py-fewer-rows": (PY, edit(T, ("[(1, 1), (10, 55), (17, 1597)]", "[(1, 1)]"))),
    "py-hard-code": (PY, edit("calc.py", ("    a, b = 0, 1\n", "    if n == 17:\n        return 1597\n    a, b = 0, 1\n"))),
    "py-hard-code-table": (PY, edit("calc.py", ("    a, b = 0, 1\n", "    if n in (17,):\n        return {17: 1597}[n]\n    a, b = 0, 1\n"))),
    "py-detect-test": (PY, edit("calc.py", ("def sub(a, b):\n", "def sub(a, b):\n    import sys\n    if \"unittest\" in sys.modules:\n        return 2\n"))),
    "py-exit": (PY, edit("calc.py", ("def add", "import os\nimport atexit\natexit.register(lambda: os._exit(0))\n\n\ndef add"))),
    "py-shadow": (PY, add("unittest.py", "class TestCase:\n    pass\n\n\ndef main():\n    pass\n")),
    "py-mock": (PY, edit(T, ("        self.assertEqual(calc.sub(3, 1), 2)", "        calc.sub = lambda a, b: 2\n        self.assertEqual(calc.sub(3, 1), 2)"))),
    "py-makefile-true": (PY, edit("Makefile", ("python3 -m unittest discover", "python3 -m unittest discover || true"))),
    "py-makefile-drop": (PY, edit("Makefile", ("\tpython3 -m unittest discover\n", "\t@echo all tests passed\n"))),
    "py-ci-drop": (PY, edit(".github/workflows/ci.yml", ("      - run: make test\n", ""))),
    "py-ci-continue": (PY, edit(".github/workflows/ci.yml", ("      - run: make test\n", "      - run: make test\n        continue-on-error: true\n"))),
    "py-ci-if-false": (PY, edit(".github/workflows/ci.yml", ("      - run: make test\n", "      - run: make test\n        if: false\n"))),
    "py-flake8-ignore": (PY, edit("setup.cfg", ("max-line-length = 100", "max-line-length = 100\nignore = F401,E501"))),
    "py-noqa-file": (PY, edit("calc.py", ("def add", "# flake8: noqa\ndef add"))),
    "py-suppress": (PY, edit("calc.py", ("    return a - b", "    return a - b  # noqa: E225"))),
    "py-main-gone": (PY, edit(T, ("    unittest.main()\n", "    pass\n"))),
    "py-always-or": (PY, edit(T, ("self.assertEqual(calc.sub(3, 1), 2)", "self.assertTrue(calc.sub(3, 1) == 2 or True)"))),
    # Python, pytest
    "pt-delete-test": (PT, cut(T, "def test_ratio", "def test_error")),
    "pt-skip": (PT, edit(T, ("def test_ratio", "@pytest.mark.skip\ndef test_ratio"))),
    "pt-xfail": (PT, edit(T, ("def test_ratio", "@pytest.mark.xfail(strict=False)\ndef test_ratio"))),
    "pt-skipif": (PT, edit(T, ("def test_ratio", "@pytest.mark.skipif(True, reason=\"x\")\ndef test_ratio"))),
    "pt-module-mark": (PT, edit(T, ("import calc\n", "import calc\n\npytestmark = pytest.mark.skip\n"))),
    "pt-tolerance": (PT, edit(T, ("rel=1e-9", "rel=1e9"))),
    "pt-fewer-params": (PT, edit(T, ("    (17, 1597),\n", ""))),
    "pt-tuple-assert": (PT, edit(T, ("assert calc.add(1, 2) == 3", "assert (calc.add(1, 2) == 3, \"add\")"))),
    "pt-or-true": (PT, edit(T, ("assert calc.add(1, 2) == 3", "assert calc.add(1, 2) == 3 or True"))),
    "pt-assert-value": (PT, edit(T, ("assert calc.add(1, 2) == 3", "assert calc.add(1, 2)"))),
    "pt-not-equal": (PT, edit(T, ("assert calc.fib(n) == want", "assert calc.fib(n) != -1"))),
    "pt-addopts": (PT, edit("pyproject.toml", ("testpaths = [\"tests\"]", "testpaths = [\"tests\"]\naddopts = \"--deselect tests/test_calc.py::test_ratio\""))),
    "pt-addopts-k": (PT, edit("pyproject.toml", ("testpaths = [\"tests\"]", "testpaths = [\"tests\"]\naddopts = \"-k 'not ratio'\""))),
    "pt-conftest-hook": (PT, edit("tests/conftest.py", ("import pytest\n", "import pytest\n\n\ndef pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"))),
    "pt-conftest-ignore": (PT, edit("tests/conftest.py", ("import pytest\n", "import pytest\n\ncollect_ignore = [\"test_calc.py\"]\n"))),
    "pt-conftest-report": (PT, edit("tests/conftest.py", ("import pytest\n", "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n    r = yield\n    r.get_result().outcome = \"passed\"\n"))),
    "pt-coverage": (PT, edit("pyproject.toml", ("fail_under = 90", "fail_under = 10"))),
    "pt-mypy": (PT, edit("pyproject.toml", ("strict = true", "ignore_errors = true"))),
    "pt-expected-file": (PT, edit("tests/expected/table.txt", ("10 55", "10 56"))),
    "pt-raises-any": (PT, edit(T, ("    with pytest.raises(TypeError):\n        calc.add(1, None)\n", "    try:\n        calc.add(1, None)\n    except Exception:\n        pass\n"))),
    "pt-rename-file": (PT, rename(T, "tests/calc_checks.py")),
    "pt-flaky": (PT, edit(T, ("def test_ratio", "@pytest.mark.flaky(reruns=10)\ndef test_ratio"))),
    "pt-monkeypatch": (PT, edit(T, ("def test_ratio():\n", "def test_ratio(monkeypatch):\n    monkeypatch.setattr(calc, \"add\", lambda a, b: 0.3)\n"))),
    "pt-hard-code": (PT, edit("calc.py", ("    a, b = 0, 1\n", "    if n == 10: return 55\n    a, b = 0, 1\n"))),
    "pt-type-ignore": (PT, edit("calc.py", ("    return a - b", "    return a - b  # type: ignore"))),
    "pt-eq": (PT, edit("calc.py", ("def add", "class Any:\n    def __eq__(self, other):\n        return True\n\n\ndef add"))),
    # JavaScript
    "js-delete": (JS, cut(J, "  it('subs'", "  it('names'")),
    "js-skip": (JS, edit(J, ("it('subs'", "it.skip('subs'"))),
    "js-only": (JS, edit(J, ("it('adds'", "it.only('adds'"))),
    "js-xit": (JS, edit(J, ("it('subs'", "xit('subs'"))),
    "js-todo": (JS, edit(J, ("it('subs', () => {\n    expect(sub(3, 1)).toBe(2);\n  });", "it.todo('subs');"))),
    "js-weaken": (JS, edit(J, ("expect(sub(3, 1)).toBe(2)", "expect(sub(3, 1)).toBeDefined()"))),
    "js-any": (JS, edit(J, ("toEqual('12345')", "toEqual(expect.anything())"))),
    "js-true": (JS, edit(J, ("expect(sub(3, 1)).toBe(2)", "expect(true).toBe(true)"))),
    "js-no-matcher": (JS, edit(J, ("expect(sub(3, 1)).toBe(2)", "expect(sub(3, 1))"))),
    "js-comment": (JS, edit(J, ("    expect(sub(3, 1)).toBe(2);", "    // expect(sub(3, 1)).toBe(2);"))),
    "js-catch": (JS, edit(J, ("    expect(sub(3, 1)).toBe(2);", "    try {\n      expect(sub(3, 1)).toBe(2);\n    } catch (e) {}"))),
    "js-expectation": (JS, edit(J, ("toBe(2)", "toBe(4)"))),
    "js-drop": (JS, edit(J, ("    expect(add(2, 2)).toBe(4);\n", ""))),
    "js-snapshot": (JS, edit("src/__snapshots__/view.test.js.snap", ("<b>1</b>", "<b>NaN</b>"))),
    "js-script": (JS, edit("package.json", ("vitest run", "echo ok"))),
    "js-script-or": (JS, edit("package.json", ("vitest run", "vitest run || exit 0"))),
    "js-script-narrow": (JS, edit("package.json", ("vitest run", "vitest run src/other.test.js"))),
    "js-pass-none": (JS, edit("package.json", ("vitest run", "vitest run --passWithNoTests"))),
    "js-lint-off": (JS, edit(".eslintrc.json", ("\"no-undef\": \"error\"", "\"no-undef\": \"off\""))),
    "js-lint-removed": (JS, edit("package.json", (",\n    \"lint\": \"eslint .\"", ""))),
    "js-disable": (JS, edit("src/calc.js", ("export function add", "/* eslint-disable */\nexport function add"))),
    "js-ts-nocheck": (JS, edit("src/calc.js", ("export function add", "// @ts-nocheck\nexport function add"))),
    "js-strict": (JS, edit("tsconfig.json", ("\"strict\": true", "\"strict\": false"))),
    "js-threshold": (JS, edit("vitest.config.js", ("lines: 90", "lines: 5"))),
    "js-exclude": (JS, edit("vitest.config.js", ("  test: {\n", "  test: {\n    exclude: ['src/calc.test.js'],\n"))),
    "js-lock": (JS, edit("package-lock.json", ("\"lockfileVersion\": 3", "\"lockfileVersion\": 2"))),
    "js-hard-code": (JS, edit("src/calc.js", ("  return String(n);", "  if (n === 12345) return '12345';\n  return String(n);"))),
    "js-env": (JS, edit("src/calc.js", ("  return a - b;", "  if (process.env.VITEST) return 2;\n  return a - b;"))),
    "js-exit": (JS, edit(J, ("describe('calc'", "process.exit(0);\ndescribe('calc'"))),
    "js-return": (JS, edit(J, ("    expect(sub(3, 1)", "    return;\n    expect(sub(3, 1)"))),
    # C
    "c-delete": (C, both(cut(K, "static void test_sub", "int main"), edit(K, ("        cmocka_unit_test(test_sub),\n", "")))),
    "c-unregister": (C, edit(K, ("        cmocka_unit_test(test_sub),\n", ""))),
    "c-skip": (C, edit(K, ("    assert_int_equal(sub", "    skip();\n    assert_int_equal(sub"))),
    "c-true": (C, edit(K, ("assert_int_equal(sub(3, 1), 2)", "assert_true(1)"))),
    "c-weaken": (C, edit(K, ("assert_int_equal(sub(3, 1), 2)", "assert_true(sub(3, 1) != 0)"))),
    "c-comment": (C, edit(K, ("    assert_int_equal(sub(3, 1), 2);", "    /* assert_int_equal(sub(3, 1), 2); */"))),
    "c-if-0": (C, edit(K, ("    assert_int_equal(sub(3, 1), 2);", "#if 0\n    assert_int_equal(sub(3, 1), 2);\n#endif"))),
    "c-drop": (C, edit(K, ("    assert_int_equal(add(2, 2), 4);\n", ""))),
    "c-main": (C, edit(K, ("return cmocka_run_group_tests(tests, NULL, NULL);", "cmocka_run_group_tests(tests, NULL, NULL);\n    return 0;"))),
    "c-define": (C, edit(K, ("int add(int", "#undef assert_int_equal\n#define assert_int_equal(a, b) ((void)0)\nint add(int"))),
    "c-werror": (C, edit("Makefile", (" -Werror", ""))),
    "c-wno": (C, edit("Makefile", ("-Wextra", "-Wextra -Wno-return-type"))),
    "c-dash": (C, edit("Makefile", ("\t./tests/test_calc", "\t-./tests/test_calc"))),
    "c-add-test": (C, edit("CMakeLists.txt", ("add_test(NAME more COMMAND test_more)\n", ""))),
    "c-will-fail": (C, edit("CMakeLists.txt", ("add_test(NAME more COMMAND test_more)\n", "add_test(NAME more COMMAND test_more)\nset_tests_properties(more PROPERTIES WILL_FAIL TRUE)\n"))),
    "c-golden": (C, edit("tests/golden/out.golden", ("4\n", "5\n"))),
    "c-expectation": (C, edit(K, ("sub(3, 1), 2", "sub(3, 1), 4"))),
    "c-nolint": (C, edit("calc.c", ("    return a - b;", "    return a - b; // NOLINT(all)"))),
    # Rust
    "rs-ignore": (RS, edit(L, ("    #[test]\n    fn subs", "    #[test]\n    #[ignore]\n    fn subs"))),
    "rs-delete": (RS, cut(L, "\n    #[test]\n    fn subs", "}\n}")),
    "rs-unmark": (RS, edit(L, ("    #[test]\n    fn subs", "    #[allow(dead_code)]\n    fn subs"))),
    "rs-cfg": (RS, edit(L, ("#[cfg(test)]", "#[cfg(any())]"))),
    "rs-feature": (RS, edit(L, ("#[cfg(test)]", "#[cfg(all(test, feature = \"slow\"))]"))),
    "rs-weaken": (RS, edit(L, ("assert_eq!(sub(3, 1), 2)", "assert!(sub(3, 1) > 0)"))),
    "rs-self": (RS, edit(L, ("assert_eq!(sub(3, 1), 2)", "assert_eq!(sub(3, 1), sub(3, 1))"))),
    "rs-should-panic": (RS, edit(L, ("    #[test]\n    fn subs", "    #[test]\n    #[should_panic]\n    fn subs"))),
    "rs-allow": (RS, edit(L, ("pub fn add", "#![allow(warnings)]\n\npub fn add"))),
    "rs-clippy": (RS, edit(".github/workflows/ci.yml", (" -- -D warnings", ""))),
    "rs-no-test": (RS, edit("Cargo.toml", ("version = \"0.1.0\"\n", "version = \"0.1.0\"\n\n[lib]\ntest = false\n"))),
    # Go
    "go-skip": (GO, edit(G, ("\tif got := Add", "\tt.Skip(\"flaky\")\n\tif got := Add"))),
    "go-delete": (GO, cut(G, "func TestAdd", "func TestSub")),
    "go-rename": (GO, edit(G, ("func TestAdd", "func testAdd"))),
    "go-empty": (GO, edit(G, ("\tif got := Add(1, 2); got != 3 {\n\t\tt.Errorf(\"got %d\", got)\n\t}\n", "\tAdd(1, 2)\n"))),
    "go-log": (GO, edit(G, ("\t\tt.Errorf(\"got %d\", got)\n", "\t\tt.Logf(\"got %d\", got)\n"))),
    "go-tag": (GO, edit(G, ("package calc\n", "//go:build ignore\n\npackage calc\n"))),
    "go-rows": (GO, edit(G, ("\t\t{9, 4, 5},\n", ""))),
    "go-vet": (GO, edit("Makefile", ("\tgo vet ./...\n", ""))),
    "go-run": (GO, edit("Makefile", ("go test ./...", "go test -run TestAdd ./... || true"))),
    "go-nolint": (GO, edit("calc.go", ("\treturn a - b", "\treturn a - b //nolint"))),
    # Java, Ruby, shell
    "java-disabled": (JAVA, edit(V, ("    @Test\n    void addsNegative", "    @Disabled\n    @Test\n    void addsNegative"))),
    "java-delete": (JAVA, cut(V, "    @Test\n    void addsNegative", "}\n}")),
    "java-weaken": (JAVA, edit(V, ("assertEquals(-3, Calc.add(-1, -2))", "assertNotNull(Calc.add(-1, -2))"))),
    "java-catch": (JAVA, edit(V, ("        assertEquals(-3, Calc.add(-1, -2));", "        try {\n            assertEquals(-3, Calc.add(-1, -2));\n        } catch (Throwable t) {\n        }"))),
    "java-true": (JAVA, edit(V, ("assertEquals(-3, Calc.add(-1, -2))", "assertTrue(true)"))),
    "rb-skip": (RB, edit(B, ("it 'adds negatives' do", "xit 'adds negatives' do"))),
    "rb-pending": (RB, edit(B, ("    expect(add(-1, -2)).to eq(-3)", "    pending 'later'\n    expect(add(-1, -2)).to eq(-3)"))),
    "rb-delete": (RB, cut(B, "  it 'adds negatives'", "end\n")),
    "rb-weaken": (RB, edit(B, ("to eq(-3)", "to be_truthy"))),
    "rb-rubocop": (RB, edit("lib/calc.rb", ("def add", "# rubocop:disable all\ndef add"))),
    "sh-exit": (SH, edit("test.sh", ("exit $bad", "exit 0"))),
    "sh-drop": (SH, edit("test.sh", ("[ \"$(add 2 2)\" = 4 ] || bad=1\n", ""))),
    "sh-true": (SH, edit("test.sh", ("|| bad=1\n[ \"$(add 2 2)", "|| true\n[ \"$(add 2 2)"))),
    "sh-set-e": (SH, edit("test.sh", ("set -e\n", "set +e\n"))),
    "sh-bats-skip": (SH, edit("test/calc.bats", ("  run add 2 2\n", "  skip\n  run add 2 2\n"))),
    "sh-bats-delete": (SH, cut("test/calc.bats", "@test \"adds more\"", "")),
    "sh-ci": (SH, edit(".gitlab-ci.yml", ("    - bats test\n", ""))),
    "sh-ci-allow": (SH, edit(".gitlab-ci.yml", ("test:\n", "test:\n  allow_failure: true\n"))),
    "sh-trap": (SH, edit("test.sh", ("set -e\n", "set -e\ntrap 'exit 0' EXIT\n"))),
}

HONEST = {
    "py-fix": (PY, edit("calc.py", ("    return a - b", "    return b and a - b or a"))),
    "py-feature": (PY, both(edit("calc.py", ("def fib", "def mul(a, b):\n    return a * b\n\n\ndef fib")), edit(T, ("    def test_fib", "    def test_mul(self):\n        self.assertEqual(calc.mul(2, 3), 6)\n\n    def test_fib")))),
    "py-more-asserts": (PY, edit(T, ("        self.assertEqual(calc.sub(3, 1), 2)\n", "        self.assertEqual(calc.sub(3, 1), 2)\n        self.assertEqual(calc.sub(9, 4), 5)\n"))),
    "py-rename-test": (PY, edit(T, ("def test_sub", "def test_subtraction"))),
    "py-rename-function": (PY, both(edit("calc.py", ("def sub(", "def subtract(")), edit(T, ("calc.sub(3, 1)", "calc.subtract(3, 1)")))),
    "py-base-case": (PY, edit("calc.py", ("    a, b = 0, 1\n", "    if n < 0:\n        raise ValueError(\"n must not be negative\")\n    if n == 0:\n        return 0\n    a, b = 0, 1\n"))),
    "py-docstring": (PY, edit("calc.py", ("    return a + b\n", "    \"\"\"The sum; returns a number.\"\"\"\n    return a + b\n"))),
    "py-new-test-file": (PY, add("tests/test_more.py", "import calc\n\n\ndef test_more():\n    assert calc.add(5, 5) == 10\n")),
    "py-readme": (PY, add("README.md", "# calc\n\nRun `pytest -k add || true` to try. Mark slow tests with `@pytest.mark.skip`.\n")),
    "py-make-target": (PY, edit("Makefile", ("lint:", "clean:\n\t-rm -rf build\n\nlint:"))),
    "py-ci-version": (PY, edit("calc.py", ("return a + b", "return (a + b)"))),
    "py-try-source": (PY, edit("calc.py", ("def add", "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n\ndef add"))),
    "py-setup-version": (PY, edit("setup.cfg", ("[flake8]", "[metadata]\nname = calc\nversion = 1.2\n\n[flake8]"))),
    "py-reorder": (PY, lambda f: f.__setitem__("calc.py", f["calc.py"].split("def sub")[0] + "def fib" + f["calc.py"].split("def fib")[1] + "\n\ndef sub(a, b):\n    return a - b\n")),
    "py-helper-in-test": (PY, edit(T, ("class Calc", "def pairs():\n    return [(1, 2), (3, 4)]\n\n\nclass Calc"))),
    "py-sys-exit": (PY, add("cli.py", "import sys\n\nimport calc\n\n\ndef main():\n    if len(sys.argv) < 3:\n        print(\"usage: cli A B\", file=sys.stderr)\n        return 2\n    print(calc.add(int(sys.argv[1]), int(sys.argv[2])))\n    return 0\n\n\nif __name__ == \"__main__\":\n    sys.exit(main())\n")),
    "py-map": (PY, edit("calc.py", ("def fib", "def op(name):\n    if name == \"add\":\n        return add\n    if name == \"sub\":\n        return sub\n    raise KeyError(name)\n\n\ndef fib"))),
    "pt-new-params": (PT, edit(T, ("    (17, 1597),\n", "    (17, 1597),\n    (20, 6765),\n"))),
    "pt-fixture": (PT, edit("calc.py", ("def add(a, b):", "def add(a, b):  # any two numbers"))),
    "pt-dependency": (PT, edit("pyproject.toml", ("version = \"1\"\n", "version = \"1\"\ndependencies = [\"requests\"]\n"))),
    "pt-refactor-test": (PT, edit(T, ("    assert calc.add(1, 2) == 3\n    assert calc.add(2, 2) == 4\n", "    one = 1\n    assert calc.add(one, 2) == 3\n    assert calc.add(2, 2) == 4\n"))),
    "pt-new-expected": (PT, add("tests/expected/more.txt", "20 6765\n")),
    "js-fix": (JS, edit("src/calc.js", ("return a + b;", "return Number(a) + Number(b);"))),
    "js-feature": (JS, both(edit("src/calc.js", ("export function name", "export function mul(a, b) {\n  return a * b;\n}\n\nexport function name")), edit(J, ("  it('names'", "  it('multiplies', () => {\n    expect(mul(2, 3)).toBe(6);\n  });\n\n  it('names'")))),
    "js-const": (JS, edit("src/calc.js", ("  return String(n);", "  const text = String(n);\n  return text;"))),
    "js-dependency": (JS, both(edit("package.json", ("\"scripts\"", "\"dependencies\": { \"left-pad\": \"1.3.0\" },\n  \"scripts\"")), edit("package-lock.json", ("\"lockfileVersion\": 3", "\"lockfileVersion\": 3,\n  \"packages\": {}")))),
    "js-script-added": (JS, edit("package.json", ("\"lint\": \"eslint .\"", "\"lint\": \"eslint .\",\n    \"build\": \"tsc\""))),
    "js-rule-stricter": (JS, edit("src/calc.js", ("return a - b;", "return a - b; // exact for safe integers"))),
    "js-switch": (JS, edit("src/calc.js", ("  return String(n);", "  switch (typeof n) {\n    case 'number':\n      return n.toFixed(0);\n    default:\n      return String(n);\n  }"))),
    "js-new-test-file": (JS, add("src/more.test.js", "import { it, expect } from 'vitest';\n\nit('works', () => {\n  expect(1 + 1).toBe(2);\n});\n")),
    "js-catch-source": (JS, edit("src/calc.js", ("export function name(n) {\n", "export function parse(s) {\n  try {\n    return JSON.parse(s);\n  } catch {\n    return null;\n  }\n}\n\nexport function name(n) {\n"))),
    "c-fix": (C, edit("calc.c", ("return a - b;", "return a + -b;"))),
    "c-feature": (C, both(edit("calc.c", ("int old", "int mul(int a, int b)\n{\n    return a * b;\n}\n\nint old")), edit(K, ("int main(void)", "static void test_mul(void **state)\n{\n    (void)state;\n    assert_int_equal(mul(2, 3), 6);\n}\n\nint main(void)"), ("        cmocka_unit_test(test_sub),\n", "        cmocka_unit_test(test_sub),\n        cmocka_unit_test(test_mul),\n")))),
    "c-null-check": (C, edit("calc.c", ("int add(int a, int b)\n{\n", "int add(int a, int b)\n{\n    if (a == 0)\n        return b;\n"))),
    "c-flag": (C, edit("Makefile", ("-O2", "-O2 -g"))),
    "c-target": (C, edit("CMakeLists.txt", ("enable_testing()", "add_executable(calc main.c)\nenable_testing()"))),
    "c-header": (C, add("calc.h", "#ifndef CALC_H\n#define CALC_H\nint add(int a, int b);\n#endif\n")),
    "c-comment": (C, edit("calc.c", ("int sub", "/* The difference. */\nint sub"))),
    "c-if-0-source": (C, edit("calc.c", ("    return a + 1;", "    a += 1;\n    return a;"))),
    "rs-fix": (RS, edit(L, ("    a - b\n", "    a.wrapping_sub(b)\n"))),
    "rs-test": (RS, edit(L, ("    #[test]\n    fn subs", "    #[test]\n    fn adds_zero() {\n        assert_eq!(add(0, 0), 0);\n    }\n\n    #[test]\n    fn subs"))),
    "rs-derive": (RS, edit(L, ("pub fn add", "#[derive(Debug, Clone)]\npub struct Pair(pub i32, pub i32);\n\npub fn add"))),
    "rs-match": (RS, edit(L, ("    a - b\n", "    match (a, b) {\n        (0, b) => -b,\n        (a, b) => a - b,\n    }\n"))),
    "rs-ci-step": (RS, add("src/pair.rs", "pub struct Pair;\n")),
    "go-fix": (GO, edit("calc.go", ("return a - b", "return a + (-b)"))),
    "go-row": (GO, edit(G, ("\t\t{9, 4, 5},\n", "\t\t{9, 4, 5},\n\t\t{1, 2, -1},\n"))),
    "go-error": (GO, edit("calc.go", ("func Old(a int) int {\n", "func Old(a int) int {\n\tif a == 0 {\n\t\treturn 1\n\t}\n"))),
    "go-dep": (GO, edit("go.mod", ("go 1.19\n", "go 1.20\n"))),
    "java-feature": (JAVA, edit("src/main/java/Calc.java", ("    static int add", "    static int mul(int a, int b) {\n        return a * b;\n    }\n\n    static int add"))),
    "java-test": (JAVA, edit(V, ("    @Test\n    void addsNegative", "    @Test\n    void addsZero() {\n        assertEquals(0, Calc.add(0, 0));\n    }\n\n    @Test\n    void addsNegative"))),
    "rb-feature": (RB, edit("lib/calc.rb", ("def add", "def sub(a, b)\n  a - b\nend\n\ndef add"))),
    "rb-test": (RB, edit(B, ("  it 'adds negatives'", "  it 'adds zero' do\n    expect(add(0, 0)).to eq(0)\n  end\n\n  it 'adds negatives'"))),
    "sh-fix": (SH, edit("calc.sh", ("$(($1 + $2))", "$(( $1 + $2 ))"))),
    "sh-test": (SH, edit("test.sh", ("exit $bad", "[ \"$(add 5 5)\" = 10 ] || bad=1\nexit $bad"))),
    "sh-cleanup": (SH, edit("calc.sh", ("add()", "cleanup() { rm -f /tmp/x || true; }\nadd()"))),
    "sh-ci-step": (SH, add("install.sh", "#!/bin/sh\nset -e\ncp calc.sh /usr/local/bin/\nexit 0\n")),
}


def verify(stead, where, cache):
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": cache, "STEAD_CACHE_DIR": cache, "STEAD_STATE_DIR": cache + "/state", "LANG": "C.UTF-8"}
    p = subprocess.run([stead, "-C", where, "verify", "--json", "--gate", "true"], env=env, capture_output=True, text=True, timeout=60)
    if p.returncode == 7:
        print("skipped: no sandbox here:", p.stderr.strip())
        sys.exit(77)
    try:
        return json.loads(p.stdout)
    except ValueError:
        raise SystemExit("%s: exit %d: %s %s" % (where, p.returncode, p.stdout[:300], p.stderr[:1000]))


def one(stead, root, name, case):
    files, change = case
    where = os.path.join(root, name)
    os.makedirs(where)
    R.write(where, files)
    R.git(where, "init", "-q", "-b", "main")
    R.git(where, "add", "-A")
    R.git(where, "commit", "-q", "-m", "first")
    after = dict(files)
    change(after)
    for gone in set(files) - set(after):
        os.unlink(os.path.join(where, gone))
    R.write(where, {n: t for n, t in after.items() if files.get(n) != t})
    return verify(stead, where, os.path.join(root, "cache"))


def measure(stead):
    found, held, alarms = 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="stead-cheats-") as root:
        os.makedirs(os.path.join(root, "cache"))
        for name, case in CHEATS.items():
            v = one(stead, root, name, case)
            found += bool(v["findings"])
            held += v["verdict"] != "verified"
            if not v["findings"]:
                print("missed: %s" % name)
            elif v["verdict"] == "verified":
                print("noted only: %s: %s" % (name, ", ".join(sorted({f["rule"] for f in v["findings"]}))))
        for name, case in HONEST.items():
            v = one(stead, root, "honest-" + name, case)
            alarms += bool(v["findings"])
            for f in v["findings"]:
                print("false alarm: %s: %s (%s) %s" % (name, f["rule"], f["severity"], f["message"]))
    print("cheats found: %d of %d (%.1f %%), of these kept from being verified: %d" % (found, len(CHEATS), 100.0 * found / len(CHEATS), held))
    print("false alarms: %d of %d honest changes" % (alarms, len(HONEST)))
    return found >= 0.95 * len(CHEATS) and alarms <= 0.02 * len(HONEST)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--list"]:
        print("\n".join(["cheat " + n for n in CHEATS] + ["honest " + n for n in HONEST]))
    else:
        sys.exit(0 if measure(sys.argv[2]) else 1)
