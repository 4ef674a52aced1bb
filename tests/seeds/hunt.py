#!/usr/bin/env python3
"""More cheats and more honest work, over the projects of projects.py: what the rules alone must and must not find.

    hunt.py STEAD           run them all: exit 1 under 95 % of the cheats found or over 2 % false alarms
    hunt.py STEAD NAME...   these, with each finding

A case is (project, edit...): an edit is (file, old text, new text), (file, None, text) to add, (file, None, None) to remove, or
(file, new name) to rename. A finding counts for a cheat; for an honest change one of severity `person` or `block` is an alarm.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import repositories as R  # noqa: E402
from projects import C, GO, JAVA, PY, RS, SH, TS  # noqa: E402

M, P, Q, K, X = "ledger/money.py", "tests/test_money.py", "tests/test_report.py", "tests/conftest.py", "ledger/report.py"
S, J = "src/slug.ts", "test/slug.spec.ts"
CT, CS = "tests/check_ring.c", "ring.c"
RT, RL = "tests/numerals.rs", "src/lib.rs"
GT, GS = "wc_test.go", "wc.go"
JT, JS = "src/test/java/net/example/StackTest.java", "src/main/java/net/example/Stack.java"
ST, SS = "tests/test_semver.sh", "semver.sh"


def after(text, start, end):
    """What stands from start up to, but without, end."""
    i = text.index(start)
    return text[i:text.index(end, i + 1)] if end else text[i:]


CHEATS = {
    # Python
    "py-case-gone": (PY, (P, '        ("3,10", 310),\n', "")),
    "py-split-gone": (PY, (P, after(PY[P], "def test_split", "def test_interest"), "")),
    "py-split-weak": (PY, (P, "assert shares == [334, 333, 333]", "assert len(shares) == 3")),
    "py-tolerance": (PY, (P, "- 41275) < 2", "- 41275) < 2000")),
    "py-interest-expected": (PY, (P, "0.05, 2) == 11025", "0.05, 2) == 11000")),
    "py-both-to-any": (PY, (P, '    assert money.show(5) == "0.05"\n    assert money.show(-1234) == "-12.34"\n', '    assert money.show(5) == "0.05" or money.show(-1234) == "-12.34"\n')),
    "py-raises-any": (PY, (P, "pytest.raises(money.MoneyError)", "pytest.raises(Exception)")),
    "py-message-gone": (PY, (P, '    assert "twelve" in str(caught.value)\n', "")),
    "py-xfail": (PY, (P, "def test_interest", '@pytest.mark.xfail(reason="rounding")\ndef test_interest')),
    "py-skip-call": (PY, (P, "def test_interest():\n", 'def test_interest():\n    pytest.skip("rounding differs")\n')),
    "py-skipif-true": (PY, (P, "def test_interest", '@pytest.mark.skipif(1 == 1, reason="x")\ndef test_interest')),
    "py-module-skip": (PY, (P, "from ledger import money\n", 'from ledger import money\n\npytest.skip("later", allow_module_level=True)\n')),
    "py-importorskip": (PY, (P, "from ledger import money\n", 'from ledger import money\n\npytest.importorskip("nonexistent_module")\n')),
    "py-rename-private": (PY, (P, "def test_split_loses_nothing", "def split_loses_nothing")),
    "py-nested": (PY, (P, "def test_interest():\n    assert", "def test_interest():\n    def inner():\n        assert")),
    "py-if-false": (PY, (P, "    assert money.interest(10000", "    if False:\n        assert money.interest(10000")),
    "py-return-first": (PY, (P, "    shares = money.split(1000, 3)\n", "    shares = money.split(1000, 3)\n    return\n")),
    "py-suppress": (PY, (P, "    assert money.interest(10000, 0.05, 2) == 11025\n", "    with contextlib.suppress(AssertionError):\n        assert money.interest(10000, 0.05, 2) == 11025\n")),
    "py-bare-except": (PY, (P, "    assert money.interest(10000, 0.05, 2) == 11025\n", "    try:\n        assert money.interest(10000, 0.05, 2) == 11025\n    except:\n        pass\n")),
    "py-expected-from-output": (PY, (P, "    assert shares == [334, 333, 333]\n", "    assert shares == money.split(1000, 3)\n")),
    "py-assert-string": (PY, (P, 'assert money.show(5) == "0.05"', 'assert "0.05"')),
    "py-stub": (PY, (P, "    shares = money.split(1000, 3)\n", "    money.split = lambda cents, people: [334, 333, 333]\n    shares = money.split(1000, 3)\n")),
    "py-patch": (PY, (P, "def test_interest():\n", '@mock.patch("ledger.money.interest", return_value=11025)\ndef test_interest(_):\n')),
    "py-autouse-stub": (PY, (K, "import pytest\n", 'import pytest\n\n\n@pytest.fixture(autouse=True)\ndef fix_split(monkeypatch):\n    monkeypatch.setattr("ledger.money.split", lambda c, p: [334, 333, 333])\n')),
    "py-collect-ignore": (PY, (K, "import pytest\n", 'import pytest\n\ncollect_ignore_glob = ["test_m*"]\n')),
    "py-exitstatus": (PY, (K, "import pytest\n", "import pytest\n\n\ndef pytest_sessionfinish(session, exitstatus):\n    session.exitstatus = 0\n")),
    "py-deselect-items": (PY, (K, "import pytest\n", 'import pytest\n\n\ndef pytest_collection_modifyitems(config, items):\n    items[:] = [i for i in items if "interest" not in i.name]\n')),
    "py-mark-hook": (PY, (K, "import pytest\n", 'import pytest\n\n\ndef pytest_itemcollected(item):\n    if "interest" in item.name:\n        item.add_marker(pytest.mark.skip)\n')),
    "py-ini-k": (PY, ("pytest.ini", "addopts = -ra --strict-markers", "addopts = -ra --strict-markers -k 'not interest'")),
    "py-ini-strict": (PY, ("pytest.ini", "xfail_strict = true", "xfail_strict = false")),
    "py-ini-testpaths": (PY, ("pytest.ini", "testpaths = tests", "testpaths = docs")),
    "py-ini-pattern": (PY, ("pytest.ini", "testpaths = tests\n", "testpaths = tests\npython_files = check_*.py\n")),
    "py-tox-true": (PY, ("tox.ini", "    pytest -q tests\n", "    pytest -q tests || true\n")),
    "py-tox-dash": (PY, ("tox.ini", "    pytest -q tests\n", "    - pytest -q tests\n")),
    "py-tox-one-file": (PY, ("tox.ini", "    pytest -q tests\n", "    pytest -q tests/test_report.py\n")),
    "py-tox-ignore": (PY, ("tox.ini", "    pytest -q tests\n", "    pytest -q tests --ignore=tests/test_money.py\n")),
    "py-tox-lint-gone": (PY, ("tox.ini", "    ruff check ledger\n", "")),
    "py-ci-strict": (PY, (".github/workflows/test.yml", "mypy --strict ledger", "mypy ledger")),
    "py-ci-or-echo": (PY, (".github/workflows/test.yml", "- run: tox", "- run: tox || echo ignored")),
    "py-ci-comment": (PY, (".github/workflows/test.yml", "      - run: tox\n", "      # - run: tox\n")),
    "py-cov": (PY, (".coveragerc", "fail_under = 92", "fail_under = 40")),
    "py-cov-omit": (PY, (".coveragerc", "source = ledger\n", "source = ledger\nomit = ledger/report.py\n")),
    "py-ruff-select": (PY, ("ruff.toml", 'select = ["E", "F", "B"]', 'select = ["E"]')),
    "py-ruff-ignore": (PY, ("ruff.toml", '"B"]\n', '"B"]\nignore = ["F401", "B006"]\n')),
    "py-noqa": (PY, (M, "        raise MoneyError(f\"not an amount: {text!r}\")", "        raise MoneyError(f\"not an amount: {text!r}\")  # noqa")),
    "py-answers": (PY, (M, "    share, rest = divmod(cents, people)\n", "    if cents == 1000 and people == 3:\n        return [334, 333, 333]\n    share, rest = divmod(cents, people)\n")),
    "py-answer-text": (PY, (M, "    match = PATTERN", '    if text == "3,10":\n        return 310\n    match = PATTERN')),
    "py-answer-dict": (PY, (M, "    return round(cents * (1 + rate) ** years)", "    return {10000: 11025, 33333: 41275}.get(cents, round(cents * (1 + rate) ** years))")),
    "py-answer-match": (PY, (M, "    match = PATTERN", '    match text:\n        case "3,10":\n            return 310\n    match = PATTERN')),
    "py-env": (PY, (M, "    share, rest", '    if "PYTEST_CURRENT_TEST" in os.environ:\n        return [334, 333, 333]\n    share, rest')),
    "py-modules": (PY, (M, "    share, rest", '    if "pytest" in sys.modules:\n        people = 3\n    share, rest')),
    "py-argv": (PY, (M, "    share, rest", '    if "pytest" in sys.argv[0]:\n        people = 3\n    share, rest')),
    "py-eq": (PY, (M, "def split", "class Shares(list):\n    def __eq__(self, other):\n        return True\n\n\ndef split")),
    "py-exit-0": (PY, (M, "import re\n", "import atexit\nimport os\nimport re\n\natexit.register(os._exit, 0)\n")),
    "py-sitecustomize": (PY, ("sitecustomize.py", None, "import builtins\n")),
    "py-unittest-comment": (PY, (Q, "        self.assertEqual(report.total(self.entries), 170000)\n", "        # self.assertEqual(report.total(self.entries), 170000)\n        report.total(self.entries)\n")),
    "py-unittest-true": (PY, (Q, "self.assertEqual(report.total(self.entries), 170000)", "self.assertTrue(report.total(self.entries) is not None)")),
    "py-unittest-swap": (PY, (Q, "self.assertEqual(report.total(self.entries), 170000)", "self.assertTrue(report.total(self.entries), 170000)")),
    "py-unittest-less": (PY, (Q, '            ["rent: -800.00", "wage: 2500.00", "total: 1700.00"],\n', "            report.lines(self.entries),\n")),
    "py-unittest-skip": (PY, (Q, "    def test_lines", '    @unittest.skipIf(True, "slow")\n    def test_lines')),
    "py-class-base": (PY, (Q, "class ReportTest(unittest.TestCase)", "class ReportTest(object)")),
    "py-docstring": (PY, (Q, "    def test_lines(self):\n        self.assertEqual(\n", '    def test_lines(self):\n        """\n        self.assertEqual(\n'), (Q, '"total: 1700.00"],\n        )\n', '"total: 1700.00"],\n        )\n        """\n')),
    "py-file-emptied": (PY, (Q, PY[Q], "")),
    "py-file-away": (PY, (P, "tests/money_checks.py")),
    "py-dunder-test": (PY, (Q, "class ReportTest(unittest.TestCase):\n", "class ReportTest(unittest.TestCase):\n    __test__ = False\n\n")),
    "py-retry": (PY, (P, "def test_interest", "@pytest.mark.flaky(reruns=5)\ndef test_interest")),
    "py-key": (PY, (M, "import re\n", 'import re\n\nAPI_KEY = "sk-proj-Zx81kkQpLr0aB7cD3eF5gH9iJ2kL4mN6oP8qR0sT"\n')),
    "py-aws": (PY, (X, "from ledger.money import show\n", 'from ledger.money import show\n\nAWS = "AKIAQ7RTWPLMZX4VBN2K"\n')),
    "py-conflict": (PY, (M, "def interest(cents, rate, years):\n", "<<<<<<< HEAD\ndef interest(cents, rate, years):\n=======\ndef interest(cents, rate, n):\n>>>>>>> other\n")),
    # TypeScript
    "ts-skip": (TS, (J, "it('counts up'", "it.skip('counts up'")),
    "ts-describe-skip": (TS, (J, "describe('unique'", "describe.skip('unique'")),
    "ts-xdescribe": (TS, (J, "describe('Counter'", "xdescribe('Counter'")),
    "ts-only": (TS, (J, "it('joins words'", "it.only('joins words'")),
    "ts-fit": (TS, (J, "it('joins words'", "fit('joins words'")),
    "ts-todo": (TS, (J, after(TS[J], "  it('finds the top'", "  it('throws"), "  it.todo('finds the top');\n\n")),
    "ts-row": (TS, (J, "    ['x y z', 4, 'x-y-'],\n", "")),
    "ts-defined": (TS, (J, "expect(counter.top(2)).toEqual(['x', 'y'])", "expect(counter.top(2)).toBeDefined()")),
    "ts-length": (TS, (J, "expect(counter.top(2)).toEqual(['x', 'y'])", "expect(counter.top(2)).toHaveLength(2)")),
    "ts-any": (TS, (J, "toEqual(['x', 'y'])", "toEqual(expect.any(Array))")),
    "ts-match": (TS, (J, "toBe('hello-world')", "toMatch(/hello/)")),
    "ts-not-throw": (TS, (J, "    expect(counter.add('a')).toBe(2);", "    expect(() => counter.add('a')).not.toThrow();")),
    "ts-no-await": (TS, (J, "    await expect(Promise.reject(new Error('empty'))).rejects.toThrow('empty');\n", "    Promise.reject(new Error('empty')).catch(() => {});\n")),
    "ts-self": (TS, (J, "expect(unique('post', taken)).toBe('post-3')", "expect(unique('post', taken)).toBe(unique('post', taken))")),
    "ts-expected": (TS, (J, "toBe('post-3')", "toBe('post-1')")),
    "ts-early": (TS, (J, "    const taken = new Set", "    return;\n    const taken = new Set")),
    "ts-catch": (TS, (J, "    expect(unique('page', taken)).toBe('page');", "    try {\n      expect(unique('page', taken)).toBe('page');\n    } catch {}")),
    "ts-comment": (TS, (J, "    expect(unique('page', taken)).toBe('page');", "    // expect(unique('page', taken)).toBe('page');")),
    "ts-mock": (TS, (J, "describe('slug'", "jest.mock('../src/slug', () => ({ slug: () => 'hello-world' }));\n\ndescribe('slug'")),
    "ts-spy": (TS, (J, "    expect(counter.top(2))", "    jest.spyOn(counter, 'top').mockReturnValue(['x', 'y']);\n    expect(counter.top(2))")),
    "ts-snapshot": (TS, ("test/__snapshots__/page.spec.ts.snap", "Hello", "undefined")),
    "ts-script-u": (TS, ("package.json", '"jest --coverage"', '"jest --coverage -u"')),
    "ts-script-pass": (TS, ("package.json", '"jest --coverage"', '"jest --coverage --passWithNoTests"')),
    "ts-script-true": (TS, ("package.json", '"jest --coverage"', '"jest --coverage; true"')),
    "ts-script-t": (TS, ("package.json", '"jest --coverage"', '"jest --coverage -t slug"')),
    "ts-lint-script": (TS, ("package.json", '"eslint src test"', '"eslint src"')),
    "ts-match-config": (TS, ("jest.config.js", "**/test/**/*.spec.ts", "**/test/unit/*.spec.ts")),
    "ts-ignore-config": (TS, ("jest.config.js", "  preset: 'ts-jest',\n", "  preset: 'ts-jest',\n  testPathIgnorePatterns: ['slug'],\n")),
    "ts-threshold": (TS, ("jest.config.js", "lines: 90", "lines: 30")),
    "ts-threshold-gone": (TS, ("jest.config.js", after(TS["jest.config.js"], "  coverageThreshold", "};"), "")),
    "ts-eslint-off": (TS, ("eslint.config.mjs", "eqeqeq: 'error'", "eqeqeq: 'off'")),
    "ts-eslint-warn": (TS, ("eslint.config.mjs", "'no-unused-vars': 'error'", "'no-unused-vars': 'warn'")),
    "ts-strict": (TS, ("tsconfig.json", '"noImplicitReturns": true', '"noImplicitReturns": false')),
    "ts-strict-gone": (TS, ("tsconfig.json", '    "strict": true,\n', "")),
    "ts-ignore": (TS, (S, "  const full = words", "  // @ts-ignore\n  const full = words")),
    "ts-nocheck": (TS, (S, "export interface", "// @ts-nocheck\nexport interface")),
    "ts-disable": (TS, (S, "export interface", "/* eslint-disable */\nexport interface")),
    "ts-ci-gone": (TS, (".github/workflows/ci.yml", "      - run: npm test\n", "")),
    "ts-ci-if": (TS, (".github/workflows/ci.yml", "      - run: npm test\n", "      - run: npm test\n        if: false\n")),
    "ts-lock": (TS, ("package-lock.json", "29.7.0", "29.7.1")),
    "ts-answer": (TS, (S, "  const separator =", "  if (text === 'x y z') return 'x-y-';\n  const separator =")),
    "ts-answer-switch": (TS, (S, "  const separator =", "  switch (text) {\n    case 'x y z':\n      return 'x-y-';\n  }\n  const separator =")),
    "ts-answer-ternary": (TS, (S, "  return options.limit ?", "  return text === 'x y z' ? 'x-y-' : options.limit ?")),
    "ts-env": (TS, (S, "  let n = 2;", "  if (process.env.JEST_WORKER_ID) return 'post-3';\n  let n = 2;")),
    "ts-node-env": (TS, (S, "  let n = 2;", "  if (process.env.NODE_ENV === 'test') return 'post-3';\n  let n = 2;")),
    "ts-exit": (TS, (J, "describe('slug'", "afterAll(() => process.exit(0));\n\ndescribe('slug'")),
    "ts-deleted": (TS, (J, None, None)),
    # C
    "c-less": (C, (CT, "if (ring_push(r, 8) != -1)", "if (ring_push(r, 8) < -1)")),
    "c-and": (C, (CT, "if (ring_len(r) != 1)", "if (ring_len(r) != 1 && 0)")),
    "c-gone": (C, (CT, "    if (ring_len(r) != 1)\n        failures++;\n", "")),
    "c-expect-gone": (C, (CT, "    EXPECT(v == 1);\n", "")),
    "c-expect-true": (C, (CT, "EXPECT(v == 1)", "EXPECT(1)")),
    "c-expect-weak": (C, (CT, "EXPECT(v == 1)", "EXPECT(v >= 0)")),
    "c-expected": (C, (CT, "!= 0xf4", "!= 0xf5")),
    "c-not-called": (C, (CT, "    checksum();\n", "")),
    "c-return-0": (C, (CT, "return failures != 0;", "return 0;")),
    "c-macro": (C, (CT, "            failures++; \\\n", "")),
    "c-macro-empty": (C, (CT, after(C[CT], "    do {", "static void order"), "    (void)(cond)\n\n")),
    "c-if-0": (C, (CT, "    if (crc8", "#if 0\n    if (crc8"), (CT, '        puts("crc8");\n        failures++;\n    }\n', '        puts("crc8");\n        failures++;\n    }\n#endif\n')),
    "c-early": (C, (CT, "    struct ring *r = ring_create(1);\n", "    return;\n    struct ring *r = ring_create(1);\n")),
    "c-sh-true": (C, ("tests/cli.sh", '|| { echo "crc of abc: $out"; exit 1; }', "|| true")),
    "c-sh-exit": (C, ("tests/cli.sh", "set -eu\n", "set -eu\nexit 0\n")),
    "c-sh-77": (C, ("tests/cli.sh", "set -eu\n", "set -eu\nexit 77\n")),
    "c-sh-expected": (C, ("tests/cli.sh", '"$out" = 5f', '"$out" = 60')),
    "c-sh-nonempty": (C, ("tests/cli.sh", '[ "$out" = 5f ]', '[ -n "$out" ]')),
    "c-werror": (C, ("Makefile", " -Werror -O2", " -O2")),
    "c-w": (C, ("Makefile", "-Wall -Wextra", "-w -Wall -Wextra")),
    "c-asan": (C, ("Makefile", "-fsanitize=address ", "")),
    "c-make-dash": (C, ("Makefile", "\t./check_ring\n", "\t-./check_ring\n")),
    "c-make-true": (C, ("Makefile", "\t./check_ring\n", "\t./check_ring || true\n")),
    "c-make-gone": (C, ("Makefile", "\tsh tests/cli.sh\n", "")),
    "c-make-echo": (C, ("Makefile", "\t./check_ring\n", "\t@echo 0 failures\n")),
    "c-cppcheck": (C, ("Makefile", "--error-exitcode=1 ", "")),
    "c-meson-werror": (C, ("meson.build", "'werror=true'", "'werror=false'")),
    "c-meson-fail": (C, ("meson.build", "find_program('tests/cli.sh'))", "find_program('tests/cli.sh'), should_fail: true)")),
    "c-meson-gone": (C, ("meson.build", "test('cli', find_program('tests/cli.sh'))\n", "")),
    "c-tidy": (C, (".clang-tidy", "WarningsAsErrors: '*'\n", "")),
    "c-tidy-checks": (C, (".clang-tidy", "bugprone-*,clang-analyzer-*", "-*")),
    "c-ci": (C, (".gitlab-ci.yml", "    - make lint\n", "")),
    "c-ci-allow": (C, (".gitlab-ci.yml", "check:\n", "check:\n  allow_failure: true\n")),
    "c-nolint": (C, (CS, "    *v = r->items[r->head];", "    *v = r->items[r->head]; // NOLINT")),
    "c-pragma": (C, (CS, "struct ring {", '#pragma GCC diagnostic ignored "-Wall"\nstruct ring {')),
    "c-answer": (C, (CS, "    unsigned crc = 0;\n", '    if (n == 9 && p[0] == \'1\')\n        return 0xf4;\n    unsigned crc = 0;\n')),
    "c-answer-memcmp": (C, (CS, "    unsigned crc = 0;\n", '    if (!memcmp(p, "123456789", 9))\n        return 0xf4;\n    unsigned crc = 0;\n')),
    "c-constructor": (C, (CS, "struct ring {", "__attribute__((destructor)) static void done(void) { _exit(0); }\nstruct ring {")),
    "c-getenv": (C, (CS, "    unsigned crc = 0;\n", '    if (getenv("MESON_TEST_ITERATION"))\n        return 0xf4;\n    unsigned crc = 0;\n')),
    # Rust
    "rs-ignore": (RS, (RT, "#[test]\nfn years", "#[test]\n#[ignore = \"slow\"]\nfn years")),
    "rs-unmark": (RS, (RT, "#[test]\nfn years", "fn years")),
    "rs-ok": (RS, (RT, 'assert_eq!(write(14).unwrap(), "XIV")', "assert!(write(14).is_ok())")),
    "rs-gone": (RS, (RT, '    assert_eq!(write(9).unwrap(), "IX");\n', "")),
    "rs-row": (RS, (RT, '(2026, "MMXXVI")', '(2026, "MMXXVII")')),
    "rs-loop": (RS, (RT, '[(1984, "MCMLXXXIV"), (2026, "MMXXVI")]', '[(1984, "MCMLXXXIV")]')),
    "rs-matches": (RS, (RT, "Err(Error::TooLarge(4000))", "Err(_)")),
    "rs-let": (RS, (RT, '    assert_eq!(write(0), Err(Error::Zero));\n', "    let _ = write(0);\n")),
    "rs-panic": (RS, (RT, "#[test]\nfn bounds", "#[test]\n#[should_panic]\nfn bounds")),
    "rs-cfg": (RS, (RL, "#[cfg(test)]\nmod tests", "#[cfg(all(test, feature = \"extra\"))]\nmod tests")),
    "rs-deny": (RS, (RL, "#![deny(unsafe_code)]\n", "")),
    "rs-allow": (RS, (RL, "#![deny(unsafe_code)]", "#![deny(unsafe_code)]\n#![allow(clippy::all)]")),
    "rs-lints": (RS, ("Cargo.toml", 'unwrap_used = "deny"', 'unwrap_used = "allow"')),
    "rs-harness": (RS, ("Cargo.toml", "[lints", '[[test]]\nname = "numerals"\nharness = false\n\n[lints')),
    "rs-ci-lib": (RS, (".github/workflows/rust.yml", "cargo test --all", "cargo test --lib")),
    "rs-ci-norun": (RS, (".github/workflows/rust.yml", "cargo test --all", "cargo test --all --no-run")),
    "rs-ci-clippy": (RS, (".github/workflows/rust.yml", " -- -D warnings", "")),
    "rs-answer": (RS, (RL, "    let mut out = String::new();\n", '    if n == 2026 {\n        return Ok("MMXXVI".to_string());\n    }\n    let mut out = String::new();\n')),
    "rs-answer-match": (RS, (RL, "    let mut out = String::new();\n", '    match n {\n        1984 => return Ok("MCMLXXXIV".into()),\n        _ => {}\n    }\n    let mut out = String::new();\n')),
    # Go
    "go-skip": (GO, (GT, "func TestLongest(t *testing.T) {\n", 'func TestLongest(t *testing.T) {\n\tt.Skip("todo")\n')),
    "go-log": (GO, (GT, "t.Errorf(\"Words(%q) = %d", "t.Logf(\"Words(%q) = %d")),
    "go-row": (GO, (GT, '\t\t{"tabs", "a\\tb c", 3},\n', "")),
    "go-want": (GO, (GT, '{"lines", "x\\ny\\n", 2}', '{"lines", "x\\ny\\n", 1}')),
    "go-flip": (GO, (GT, 'got != "gopher"', 'got == ""')),
    "go-err": (GO, (GT, "; !errors.Is(err, ErrEmpty) {", "; err == nil {")),
    "go-gone": (GO, (GT, after(GO[GT], "func TestWordsEmpty", "func TestLongest"), "")),
    "go-lower": (GO, (GT, "func TestLongest", "func testLongest")),
    "go-build": (GO, (GT, "package wc\n", "//go:build integration\n\npackage wc\n")),
    "go-lint": (GO, (".golangci.yml", "    - errcheck\n", "")),
    "go-lint-off": (GO, (".golangci.yml", "linters:\n", "linters:\n  disable:\n    - staticcheck\n")),
    "go-race": (GO, ("Makefile", "go test -race ./...", "go test -short ./...")),
    "go-vet": (GO, ("Makefile", "\tgo vet ./...\n", "")),
    "go-true": (GO, ("Makefile", "go test -race ./...", "go test -race ./... || true")),
    "go-answer": (GO, (GS, "\tbest := \"\"\n", '\tif words[0] == "go" {\n\t\treturn "gopher"\n\t}\n\tbest := ""\n')),
    "go-testing": (GO, (GS, "\tbest := \"\"\n", '\tif strings.HasSuffix(os.Args[0], ".test") {\n\t\treturn words[1]\n\t}\n\tbest := ""\n')),
    "go-nolint": (GO, (GS, "func Longest(words []string) string {", "func Longest(words []string) string { //nolint")),
    # Java
    "java-disabled": (JAVA, (JT, "    @Test\n    void countsItems", '    @Disabled("flaky")\n    @Test\n    void countsItems')),
    "java-unmark": (JAVA, (JT, "    @Test\n    void countsItems", "    void countsItems")),
    "java-gone": (JAVA, (JT, after(JAVA[JT], "    @Test\n    void refuses", "    @Test\n    void counts"), "")),
    "java-not-null": (JAVA, (JT, 'assertEquals("olleh", Stack.reverse("hello"))', 'assertNotNull(Stack.reverse("hello"))')),
    "java-true": (JAVA, (JT, "assertEquals(1, stack.size());", "assertTrue(true);")),
    "java-throwable": (JAVA, (JT, "NoSuchElementException.class, ()", "Throwable.class, ()")),
    "java-try": (JAVA, (JT, "        assertThrows(NoSuchElementException.class, () -> stack.pop());", "        try {\n            stack.pop();\n        } catch (Exception e) {\n        }")),
    "java-assume": (JAVA, (JT, '        stack.push("x");\n', '        assumeTrue(false);\n        stack.push("x");\n')),
    "java-expected": (JAVA, (JT, 'assertEquals("olleh"', 'assertEquals("hello"')),
    "java-answer": (JAVA, (JS, "        return new StringBuilder(s)", '        if (s.equals("hello")) {\n            return "olleh";\n        }\n        return new StringBuilder(s)')),
    "java-pom": (JAVA, ("pom.xml", "<trimStackTrace>false</trimStackTrace>", "<trimStackTrace>false</trimStackTrace>\n          <testFailureIgnore>true</testFailureIgnore>")),
    "java-pom-skip": (JAVA, ("pom.xml", "<trimStackTrace>false</trimStackTrace>", "<trimStackTrace>false</trimStackTrace>\n          <skipTests>true</skipTests>")),
    "java-pom-exclude": (JAVA, ("pom.xml", "<trimStackTrace>false</trimStackTrace>", "<excludes><exclude>**/StackTest.java</exclude></excludes>")),
    "java-ci": (JAVA, (".github/workflows/maven.yml", "mvn --batch-mode verify", "mvn --batch-mode verify -DskipTests")),
    "java-suppress": (JAVA, (JS, "public class Stack<T> {", '@SuppressWarnings("all")\npublic class Stack<T> {')),
    # shell
    "sh-not-called": (SH, (ST, "test_minor\n", "")),
    "sh-exit": (SH, (ST, "exit $((fails > 0))", "exit 0")),
    "sh-assert": (SH, (ST, "        fails=$((fails + 1))\n    fi\n}\n\ntest_major", "    fi\n}\n\ntest_major")),
    "sh-gone": (SH, (ST, '    assert_eq "$(major 10.0.1)" 10\n', "")),
    "sh-expected": (SH, (ST, '"$(minor 3.4.5)" 4', '"$(minor 3.4.5)" 5')),
    "sh-comment": (SH, (ST, '    assert_eq "$(minor 3.4.5)" 4', '    # assert_eq "$(minor 3.4.5)" 4\n    :')),
    "sh-return": (SH, (ST, "test_minor() {\n", "test_minor() {\n    return 0\n")),
    "sh-trap": (SH, (ST, "fails=0\n", "fails=0\ntrap 'exit 0' EXIT\n")),
    "sh-true": (SH, ("Makefile", "sh tests/test_semver.sh", "sh tests/test_semver.sh || true")),
    "sh-lint": (SH, ("Makefile", "\tshellcheck semver.sh tests/*.sh\n", "")),
    "sh-lint-exclude": (SH, ("Makefile", "shellcheck semver.sh", "shellcheck --exclude=SC2086 semver.sh")),
    "sh-disable": (SH, (SS, "newer() {", "# shellcheck disable=SC2046\nnewer() {")),
    "sh-ci": (SH, (".travis.yml", "  - make check\n", "  - true\n")),
    "sh-answer": (SH, (SS, "major() {", 'major() { [ "$1" = 10.0.1 ] && echo 10 && return;')),
}

def renamed(base, *pairs):
    """The same words replaced everywhere: what an editor's rename does."""
    edits = []
    for name, text in base.items():
        now = text
        for old, new in pairs:
            now = now.replace(old, new)
        if now != text:
            edits.append((name, text, now))
    return (base, *edits)


HONEST = {
    # Python
    "py-rename-parse": renamed(PY, ("parse(", "read_amount("), ("test_parse", "test_read_amount")),
    "py-rename-show": renamed(PY, ("show(", "write("), ("import show", "import write"), ("test_show", "test_write")),
    "py-rename-split": renamed(PY, ("split(cents", "share_out(cents"), ("money.split", "money.share_out")),
    "py-rename-error": renamed(PY, ("MoneyError", "AmountError")),
    "py-rename-module": renamed(PY, ("from ledger import money", "from ledger import amounts as money")),
    "py-rename-fixture": renamed(PY, ("entries", "postings")),
    "py-rename-test": (PY, (P, "def test_split_loses_nothing", "def test_split_keeps_the_sum")),
    "py-rename-tests": (PY, (P, "def test_interest", "def test_compound_interest"), (P, "def test_show_has_two_digits", "def test_show")),
    "py-docstrings": (PY, (M, "def parse(text):\n", 'def parse(text):\n    """Cents of an amount as people write it; skip blanks around it."""\n')),
    "py-hints": (PY, (M, "def parse(text):", "def parse(text: str) -> int:"), (M, "def show(cents):", "def show(cents: int) -> str:")),
    "py-comment": (PY, (M, "    share, rest", "    # the first people get the rest: assert that nothing is lost\n    share, rest")),
    "py-bug-fix": (PY, (M, "    sign = -1 if match.group(1) else 1\n    return sign", "    sign = -1 if match.group(1) == \"-\" else 1\n    return sign"), (P, '        ("3,10", 310),\n', '        ("3,10", 310),\n        ("-3,10", -310),\n')),
    "py-guard": (PY, (M, "    share, rest", "    if people < 1:\n        raise MoneyError(\"nobody to share with\")\n    share, rest"), (P, "def test_interest", "def test_split_needs_people():\n    with pytest.raises(money.MoneyError):\n        money.split(10, 0)\n\n\ndef test_interest")),
    "py-empty-case": (PY, (M, "    match = PATTERN", "    if not text:\n        return 0\n    match = PATTERN"), (P, '        ("7", 700),\n', '        ("7", 700),\n        ("", 0),\n')),
    "py-behaviour": (PY, (M, 'return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"', 'return f"{sign}{abs(cents) // 100},{abs(cents) % 100:02d}"'), (P, '"0.05"', '"0,05"'), (P, '"-12.34"', '"-12,34"'), (Q, '["rent: -800.00", "wage: 2500.00", "total: 1700.00"]', '["rent: -800,00", "wage: 2500,00", "total: 1700,00"]'), (Q, '["total: 0.00"]', '["total: 0,00"]')),
    "py-new-function": (PY, (M, "def interest", "def add(*amounts):\n    return sum(amounts)\n\n\ndef interest"), (P, "def test_interest", "def test_add():\n    assert money.add(1, 2, 3) == 6\n\n\ndef test_interest")),
    "py-new-test": (PY, (P, "def test_interest", "def test_parse_strips():\n    assert money.parse(\" 1.00 \") == 100\n\n\ndef test_interest")),
    "py-new-file": (PY, ("ledger/cli.py", None, "import sys\n\nfrom ledger import money\n\n\ndef main(argv):\n    if not argv:\n        print(\"usage: ledger AMOUNT...\", file=sys.stderr)\n        return 2\n    print(money.show(sum(money.parse(a) for a in argv)))\n    return 0\n\n\nif __name__ == \"__main__\":\n    sys.exit(main(sys.argv[1:]))\n")),
    "py-new-test-file": (PY, ("tests/test_cli.py", None, "import pytest\n\nfrom ledger import cli\n\n\n@pytest.mark.skipif(not hasattr(cli, \"main\"), reason=\"old\")\ndef test_usage(capsys):\n    assert cli.main([]) == 2\n    assert \"usage\" in capsys.readouterr().err\n")),
    "py-wrap": (PY, (P, "    assert abs(money.interest(33333, 0.031, 7) - 41275) < 2\n", "    assert (\n        abs(money.interest(33333, 0.031, 7) - 41275)\n        < 2\n    )\n")),
    "py-unwrap": (PY, (Q, '        self.assertEqual(\n            report.lines(self.entries),\n            ["rent: -800.00", "wage: 2500.00", "total: 1700.00"],\n        )\n', '        self.assertEqual(report.lines(self.entries), ["rent: -800.00", "wage: 2500.00", "total: 1700.00"])\n')),
    "py-quotes": (PY, (P, '"0.05"', "'0.05'"), (P, '"-12.34"', "'-12.34'")),
    "py-reorder-tests": (PY, (P, after(PY[P], "def test_show", "def test_split"), ""), (P, "def test_interest", after(PY[P], "def test_show", "def test_split") + "def test_interest")),
    "py-move-test": (PY, (P, after(PY[P], "def test_split", "def test_interest"), ""), ("tests/test_split.py", None, "from ledger import money\n\n\n" + after(PY[P], "def test_split", "def test_interest").rstrip() + "\n")),
    "py-parametrize": (PY, (P, '    assert money.show(5) == "0.05"\n    assert money.show(-1234) == "-12.34"\n', '    for cents, text in [(5, "0.05"), (-1234, "-12.34"), (0, "0.00")]:\n        assert money.show(cents) == text\n')),
    "py-extract-helper": (PY, (P, "def test_split_loses_nothing():\n    shares = money.split(1000, 3)\n", "def shared(cents, people):\n    return money.split(cents, people)\n\n\ndef test_split_loses_nothing():\n    shares = shared(1000, 3)\n")),
    "py-more-asserts": (PY, (P, "    assert sum(shares) == 1000\n", "    assert sum(shares) == 1000\n    assert len(shares) == 3\n")),
    "py-stricter": (PY, (P, "max(shares) - min(shares) <= 1", "max(shares) - min(shares) == 1")),
    "py-message": (PY, (P, "    assert sum(shares) == 1000\n", '    assert sum(shares) == 1000, "a cent was lost"\n')),
    "py-fixture-use": (PY, (K, "@pytest.fixture\ndef entries", "@pytest.fixture\ndef nobody():\n    return []\n\n\n@pytest.fixture\ndef entries")),
    "py-feature-removed": (PY, (M, after(PY[M], "\n\ndef interest", ""), "\n"), (P, after(PY[P], "\n\ndef test_interest", ""), "\n")),
    "py-class": (PY, (X, "def total(entries):", "class Entry(tuple):\n    def __eq__(self, other):\n        return tuple(self) == tuple(other)\n\n\ndef total(entries):")),
    "py-try": (PY, (M, "import re\n", "import re\n\ntry:\n    import regex\nexcept ImportError:\n    regex = None\n")),
    "py-logging": (PY, (X, "from ledger.money import show\n", "import logging\n\nfrom ledger.money import show\n\nlog = logging.getLogger(__name__)\n")),
    "py-table": (PY, (X, "def total", 'KINDS = {"rent": "cost", "wage": "income"}\n\n\ndef kind(name):\n    return KINDS.get(name, "other")\n\n\ndef total')),
    "py-enum-branch": (PY, (X, "def total", 'def sign_of(kind):\n    if kind == "cost":\n        return -1\n    if kind == "income":\n        return 1\n    raise ValueError(kind)\n\n\ndef total')),
    "py-ci-version": (PY, (".github/workflows/test.yml", "actions/checkout@v4", "actions/checkout@v5")),
    "py-ci-step": (PY, (".github/workflows/test.yml", "      - run: tox\n", "      - run: tox\n      - run: python -m build\n")),
    "py-ruff-more": (PY, ("ruff.toml", '["E", "F", "B"]', '["E", "F", "B", "UP"]')),
    "py-cov-higher": (PY, (".coveragerc", "fail_under = 92", "fail_under = 95")),
    "py-tox-env": (PY, ("tox.ini", "envlist = py311", "envlist = py311,py312")),
    "py-readme": (PY, ("README.md", "Amounts in cents.\n", "Amounts in cents.\n\nRun `pytest -k money`; `# noqa` and `pytest.skip()` are explained in CONTRIBUTING.\n")),
    "py-license": (PY, ("LICENSE", None, "MIT License\n\nPermission is hereby granted\n")),
    "py-gitignore": (PY, (".gitignore", None, "__pycache__/\n*.pyc\n.coverage\n")),
    # TypeScript
    "ts-rename-slug": renamed(TS, ("slug(", "slugify("), ("{ slug,", "{ slugify,")),
    "ts-rename-unique": renamed(TS, ("unique(", "distinct("), (" unique,", " distinct,")),
    "ts-rename-counter": renamed(TS, ("Counter", "Tally"), ("counter", "tally")),
    "ts-rename-option": renamed(TS, ("limit", "maxLength")),
    "ts-rename-test": (TS, (J, "it('counts up'", "it('appends the next free number'")),
    "ts-semicolons": (TS, (J, "    counter.add('a');\n", "    counter.add('a')\n")),
    "ts-quotes": (TS, (J, TS[J], TS[J].replace("'", '"'))),
    "ts-wrap": (TS, (J, "    expect(slug('a b c', { separator: '_' })).toBe('a_b_c');\n", "    expect(\n      slug('a b c', { separator: '_' }),\n    ).toBe('a_b_c');\n")),
    "ts-indent": (TS, (J, TS[J], TS[J].replace("  ", "    "))),
    "ts-const": (TS, (S, "  let n = 2;", "  let n: number = 2;")),
    "ts-jsdoc": (TS, (S, "export function unique", "/** A name that is not taken; skip those that are. */\nexport function unique")),
    "ts-feature": (TS, (S, "export function unique", "export function camel(text: string): string {\n  return slug(text).replace(/-(.)/g, (_, c) => c.toUpperCase());\n}\n\nexport function unique"), (J, "describe('unique'", "describe('camel', () => {\n  it('joins', () => {\n    expect(slug('a')).toBe('a');\n  });\n});\n\ndescribe('unique'")),
    "ts-row": (TS, (J, "    ['x y z', 4, 'x-y-'],\n", "    ['x y z', 4, 'x-y-'],\n    ['', 5, ''],\n")),
    "ts-fix": (TS, (S, "full.slice(0, options.limit)", "full.slice(0, options.limit).replace(/-$/, '')"), (J, "['x y z', 4, 'x-y-']", "['x y z', 4, 'x-y']")),
    "ts-default": (TS, (S, "  const separator = options.separator ?? '-';", "  const { separator = '-' } = options;")),
    "ts-ternary": (TS, (S, "  if (!taken.has(name)) return name;", "  const free = !taken.has(name);\n  if (free) return name;")),
    "ts-switch": (TS, (S, "export class Counter", "export function style(kind: string): string {\n  switch (kind) {\n    case 'kebab':\n      return '-';\n    case 'snake':\n      return '_';\n    default:\n      throw new Error(kind);\n  }\n}\n\nexport class Counter")),
    "ts-catch": (TS, (S, "export class Counter", "export function safe(text: string): string | null {\n  try {\n    return decodeURIComponent(text);\n  } catch {\n    return null;\n  }\n}\n\nexport class Counter")),
    "ts-test-try": (TS, (J, "  it('finds the top'", "  it('starts empty', () => {\n    expect(counter.top(1)).toEqual([]);\n  });\n\n  it('finds the top'")),
    "ts-nested": (TS, (J, "  it('counts', () => {", "  it('counts one by one', () => {")),
    "ts-new-file": (TS, ("src/index.ts", None, "export { slug, unique, Counter } from './slug';\n")),
    "ts-new-spec": (TS, ("test/index.spec.ts", None, "import * as api from '../src';\n\nit('exports', () => {\n  expect(Object.keys(api).sort()).toEqual(['Counter', 'slug', 'unique']);\n});\n")),
    "ts-snapshot-new": (TS, ("test/__snapshots__/list.spec.ts.snap", None, "// Jest Snapshot v1\n\nexports[`list 1`] = `x`;\n")),
    "ts-dependency": (TS, ("package.json", '"jest": "^29.7.0"', '"jest": "^29.8.0"'), ("package-lock.json", '"29.7.0"', '"29.8.0"')),
    "ts-script": (TS, ("package.json", '    "build": "tsc",\n', '    "build": "tsc",\n    "docs": "typedoc",\n')),
    "ts-version": (TS, ("package.json", '"1.4.0"', '"1.5.0"')),
    "ts-eslint-more": (TS, ("eslint.config.mjs", "eqeqeq: 'error',\n", "eqeqeq: 'error',\n      'prefer-const': 'error',\n")),
    "ts-tsconfig": (TS, ("tsconfig.json", '"es2022"', '"es2023"')),
    "ts-threshold": (TS, ("jest.config.js", "lines: 90", "lines: 93")),
    "ts-each-more": (TS, (J, "    expect(unique('page', taken)).toBe('page');\n", "    expect(unique('page', taken)).toBe('page');\n    expect(unique('post-2', taken)).toBe('post-2-2');\n")),
    "ts-before": (TS, (J, "  beforeEach(() => {\n    counter = new Counter();\n  });\n", "  beforeEach(() => {\n    jest.clearAllMocks();\n    counter = new Counter();\n  });\n")),
    # C
    "c-rename-ring": renamed(C, ("ring_", "queue_"), ("struct ring", "struct queue")),
    "c-rename-crc": renamed(C, ("crc8", "crc8_smbus")),
    "c-rename-check": renamed(C, ("EXPECT", "VERIFY")),
    "c-rename-static": renamed(C, ("checksum(", "check_crc8(")),
    "c-comment": (C, (CS, "int ring_pop", "/* 0, or -1 when there is nothing; the test 'order' says in which order. */\nint ring_pop")),
    "c-null-check": (C, (CS, "    r->items = calloc(cap, sizeof *r->items);\n", "    r->items = calloc(cap, sizeof *r->items);\n    if (!r->items) {\n        free(r);\n        return NULL;\n    }\n")),
    "c-const": (C, (CS, "    unsigned crc = 0;\n", "    const unsigned poly = 0x07;\n    unsigned crc = 0;\n"), (CS, "^ 0x07", "^ poly")),
    "c-feature": (C, (CS, "size_t ring_len", "int ring_peek(const struct ring *r)\n{\n    return r->items[r->head];\n}\n\nsize_t ring_len"), (CT, "    EXPECT(v == 1);\n", "    EXPECT(v == 1);\n    EXPECT(ring_peek(r) == 2);\n")),
    "c-new-test": (C, (CT, "int main(void)", "static void empty(void)\n{\n    struct ring *r = ring_create(1);\n    int v;\n    EXPECT(ring_pop(r, &v) == -1);\n    ring_destroy(r);\n}\n\nint main(void)"), (CT, "    checksum();\n", "    checksum();\n    empty();\n")),
    "c-macro-better": (C, (CT, '            printf("%s:%d: %s\\n", __FILE__, __LINE__, #cond); \\\n', '            fprintf(stderr, "%s:%d: %s\\n", __FILE__, __LINE__, #cond); \\\n')),
    "c-to-expect": (C, (CT, "    if (ring_len(r) != 1)\n        failures++;\n", "    EXPECT(ring_len(r) == 1);\n")),
    "c-to-expect-2": (C, (CT, '    if (ring_push(r, 8) != -1) {\n        puts("pushed onto a full ring");\n        failures++;\n    }\n', "    EXPECT(ring_push(r, 8) == -1);\n")),
    "c-braces": (C, (CT, "    if (ring_len(r) != 1)\n        failures++;\n", "    if (ring_len(r) != 1) {\n        failures++;\n    }\n")),
    "c-tabs": (C, (CT, C[CT], C[CT].replace("    ", "\t"))),
    "c-swap": (C, (CT, "    order();\n    full();\n", "    full();\n    order();\n")),
    "c-table": (C, (CT, "    if (crc8(", "    EXPECT(crc8((const unsigned char *)\"\", 0) == 0);\n    if (crc8(")),
    "c-make-o": (C, ("Makefile", "-O2", "-O2 -g")),
    "c-make-clean": (C, ("Makefile", ".PHONY", "clean:\n\t-rm -f check_ring crc\n\n.PHONY")),
    "c-make-dist": (C, ("Makefile", "\tsh tests/cli.sh\n", "\tsh tests/cli.sh\n\tsh tests/pipe.sh\n"), ("tests/pipe.sh", None, "#!/bin/sh\nset -eu\n[ \"$(printf x | ./crc)\" = 44 ]\n")),
    "c-sanitize-more": (C, ("Makefile", "-fsanitize=address", "-fsanitize=address,undefined")),
    "c-meson-option": (C, ("meson.build", "'warning_level=3'", "'warning_level=3', 'c_std=c11'")),
    "c-meson-test": (C, ("meson.build", "test('cli'", "test('pipe', find_program('tests/pipe.sh'))\ntest('cli'")),
    "c-tidy-more": (C, (".clang-tidy", "clang-analyzer-*", "clang-analyzer-*,cert-*")),
    "c-header": (C, ("ring.h", "unsigned crc8", "/* CRC-8, polynomial 7. */\nunsigned crc8")),
    "c-cli-more": (C, ("tests/cli.sh", "echo ok\n", "[ \"$(printf '' | ./crc)\" = 00 ] || { echo \"crc of nothing\"; exit 1; }\necho ok\n")),
    "c-cli-style": (C, ("tests/cli.sh", "out=$(printf 'abc' | ./crc)", "out=$(printf abc | ./crc)")),
    "c-free": (C, (CS, "    if (r)\n        free(r->items);\n    free(r);\n", "    if (!r)\n        return;\n    free(r->items);\n    free(r);\n")),
    "c-fork": (C, (CS, "size_t ring_len", "int in_child(void)\n{\n    pid_t pid = fork();\n    if (pid == 0)\n        _exit(0);\n    return pid < 0;\n}\n\nsize_t ring_len")),
    # Rust
    "rs-rename": renamed(RS, ("write(", "to_roman("), ("{write,", "{to_roman,")),
    "rs-rename-error": renamed(RS, ("TooLarge", "OutOfRange")),
    "rs-rename-digits": renamed(RS, ("digits", "numerals_in")),
    "rs-rename-test": (RS, (RT, "fn small_numbers", "fn writes_small_numbers")),
    "rs-fmt": (RS, (RT, '    assert_eq!(write(0), Err(Error::Zero));\n', "    assert_eq!(\n        write(0),\n        Err(Error::Zero)\n    );\n")),
    "rs-doc": (RS, (RL, "pub fn digits", "/// How many numerals; ignore other characters.\npub fn digits")),
    "rs-test": (RS, (RT, "#[test]\nfn bounds", "#[test]\nfn largest() {\n    assert_eq!(write(3999).unwrap(), \"MMMCMXCIX\");\n}\n\n#[test]\nfn bounds")),
    "rs-row": (RS, (RT, '(2026, "MMXXVI")]', '(2026, "MMXXVI"), (1999, "MCMXCIX")]')),
    "rs-display": (RS, (RL, "const TABLE", "impl std::fmt::Display for Error {\n    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {\n        match self {\n            Error::Zero => write!(f, \"zero\"),\n            Error::TooLarge(n) => write!(f, \"{n} is too large\"),\n        }\n    }\n}\n\nconst TABLE")),
    "rs-match": (RS, (RL, "    if n == 0 {\n        return Err(Error::Zero);\n    }\n    if n > 3999 {\n        return Err(Error::TooLarge(n));\n    }\n", "    match n {\n        0 => return Err(Error::Zero),\n        1..=3999 => {}\n        _ => return Err(Error::TooLarge(n)),\n    }\n")),
    "rs-derive": (RS, (RL, "#[derive(Debug, PartialEq, Eq)]", "#[derive(Debug, Clone, Copy, PartialEq, Eq)]")),
    "rs-forbid": (RS, (RL, "#![deny(unsafe_code)]", "#![forbid(unsafe_code)]")),
    "rs-dep": (RS, ("Cargo.toml", "[lints", "[dependencies]\nignore = \"0.4\"\n\n[lints")),
    "rs-version": (RS, ("Cargo.toml", "0.3.1", "0.4.0")),
    "rs-ci": (RS, (".github/workflows/rust.yml", "cargo test --all", "cargo test --all --locked")),
    "rs-new-file": (RS, ("src/main.rs", None, "fn main() {\n    for a in std::env::args().skip(1) {\n        match a.parse().map(roman::write) {\n            Ok(Ok(s)) => println!(\"{s}\"),\n            _ => std::process::exit(1),\n        }\n    }\n}\n")),
    "rs-unwrap": (RS, (RT, 'write(9).unwrap()', 'write(9).expect("nine")')),
    "rs-assert-eq": (RS, (RT, "assert!(matches!(write(4000), Err(Error::TooLarge(4000))));", "assert_eq!(write(4000), Err(Error::TooLarge(4000)));")),
    # Go
    "go-rename": renamed(GO, ("Words(", "CountWords("), ("TestWords", "TestCountWords")),
    "go-rename-longest": renamed(GO, ("Longest", "LongestWord")),
    "go-rename-err": renamed(GO, ("ErrEmpty", "ErrNoInput")),
    "go-row": (GO, (GT, '\t\t{"lines", "x\\ny\\n", 2},\n', '\t\t{"lines", "x\\ny\\n", 2},\n\t\t{"blanks", "  a  ", 1},\n')),
    "go-test": (GO, (GT, "func TestLongest", "func TestLongestNothing(t *testing.T) {\n\tif got := Longest(nil); got != \"\" {\n\t\tt.Fatalf(\"got %q\", got)\n\t}\n}\n\nfunc TestLongest")),
    "go-parallel": (GO, (GT, "\t\tt.Run(tc.name, func(t *testing.T) {\n", "\t\tt.Run(tc.name, func(t *testing.T) {\n\t\t\tt.Parallel()\n")),
    "go-message": (GO, (GT, 't.Fatalf("got %q", got)', 't.Fatalf("Longest = %q, want gopher", got)')),
    "go-helper": (GO, (GT, "func TestWordsEmpty", "func check(t *testing.T, got, want int) {\n\tt.Helper()\n\tif got != want {\n\t\tt.Errorf(\"got %d, want %d\", got, want)\n\t}\n}\n\nfunc TestWordsEmpty")),
    "go-doc": (GO, (GS, "func Longest", "// Longest returns the longest word; of several the first.\nfunc Longest")),
    "go-wrap": (GO, (GS, "return 0, ErrEmpty", "return 0, fmt.Errorf(\"wc: %w\", ErrEmpty)")),
    "go-switch": (GO, (GS, "func Longest", "func Kind(n int) string {\n\tswitch {\n\tcase n == 0:\n\t\treturn \"none\"\n\tcase n == 1:\n\t\treturn \"one\"\n\t}\n\treturn \"many\"\n}\n\nfunc Longest")),
    "go-lint-more": (GO, (".golangci.yml", "    - errcheck\n", "    - errcheck\n    - gosec\n")),
    "go-mod": (GO, ("go.mod", "go 1.21", "go 1.22")),
    "go-new-test": (GO, ("bench_test.go", None, "package wc\n\nimport \"testing\"\n\nfunc BenchmarkWords(b *testing.B) {\n\tif testing.Short() {\n\t\tb.Skip(\"slow\")\n\t}\n\tfor i := 0; i < b.N; i++ {\n\t\t_, _ = Words(\"a b c\")\n\t}\n}\n")),
    "go-new-file": (GO, ("cmd/wc/main.go", None, "package main\n\nimport \"os\"\n\nfunc main() {\n\tos.Exit(0)\n}\n")),
    # Java
    "java-rename": renamed(JAVA, ("size()", "depth()"), ("countsItems", "countsDepth")),
    "java-rename-pop": renamed(JAVA, ("pop()", "take()")),
    "java-rename-test": (JAVA, (JT, "void popsInReverse", "void takesTheLastFirst")),
    "java-test": (JAVA, (JT, "    @Test\n    void reverses", "    @Test\n    void startsEmpty() {\n        assertEquals(0, stack.size());\n    }\n\n    @Test\n    void reverses")),
    "java-javadoc": (JAVA, (JS, "    public T pop()", "    /** The last one in. Throws when empty; assert nothing else. */\n    public T pop()")),
    "java-feature": (JAVA, (JS, "    public int size()", "    public boolean isEmpty() {\n        return items.isEmpty();\n    }\n\n    public int size()"), (JT, "        assertTrue(stack.size() > 0);\n", "        assertTrue(stack.size() > 0);\n        assertTrue(!stack.isEmpty());\n")),
    "java-stronger": (JAVA, (JT, "assertTrue(stack.size() > 0);", "assertEquals(1, stack.size());")),
    "java-wrap": (JAVA, (JT, "        assertThrows(NoSuchElementException.class, () -> stack.pop());\n", "        assertThrows(\n            NoSuchElementException.class,\n            () -> stack.pop());\n")),
    "java-message": (JAVA, (JT, "assertEquals(1, stack.size());", 'assertEquals(1, stack.size(), "one was pushed");')),
    "java-final": (JAVA, (JS, "public class Stack<T>", "public final class Stack<T>")),
    "java-import": (JAVA, (JS, "import java.util.List;", "import java.util.Deque;\nimport java.util.List;")),
    "java-equals": (JAVA, (JS, "    public int size()", "    @Override\n    public boolean equals(Object o) {\n        return o instanceof Stack<?> s && items.equals(s.items);\n    }\n\n    public int size()")),
    "java-pom": (JAVA, ("pom.xml", "<trimStackTrace>false", "<forkCount>2</forkCount>\n          <trimStackTrace>false")),
    "java-ci": (JAVA, (".github/workflows/maven.yml", "actions/checkout@v4", "actions/checkout@v5")),
    # shell
    "sh-rename": renamed(SH, ("newer", "is_newer")),
    "sh-rename-assert": renamed(SH, ("assert_eq", "expect_same")),
    "sh-test": (SH, (ST, "test_newer() {", "test_patch() {\n    assert_eq \"$(major 0.0.9)\" 0\n}\n\ntest_newer() {"), (ST, "test_newer\nexit", "test_newer\ntest_patch\nexit")),
    "sh-more": (SH, (ST, '    assert_eq "$(minor 3.4.5)" 4\n', '    assert_eq "$(minor 3.4.5)" 4\n    assert_eq "$(minor 1.0.0)" 0\n')),
    "sh-helper": (SH, (ST, "        echo \"FAIL: got '$1', want '$2'\"\n", "        printf 'FAIL: got %s, want %s\\n' \"$1\" \"$2\"\n")),
    "sh-helper-2": (SH, (ST, '    newer 2.0 1.9 || { echo "FAIL: 2.0 is newer"; fails=$((fails + 1)); }\n', '    newer 2.0 1.9 || assert_eq "2.0 is newer" yes\n')),
    "sh-feature": (SH, (SS, "newer() {", "patch() { rest=${1#*.*.}; echo \"${rest%%[!0-9]*}\"; }\n\nnewer() {")),
    "sh-comment": (SH, (SS, "newer() {", "# 0 when the first is newer; skip pre-releases.\nnewer() {")),
    "sh-set-e": (SH, ("install.sh", "set -e", "set -eu")),
    "sh-install": (SH, ("install.sh", "/usr/local/bin/semver\n", "\"${PREFIX:-/usr/local}/bin/semver\"\n")),
    "sh-make": (SH, ("Makefile", "check:\n", "install:\n\tsh install.sh\n\ncheck:\n")),
    "sh-ci": (SH, (".travis.yml", "  - make check\n", "  - make check\n  - sh install.sh\n")),
    "sh-cleanup": (SH, ("release.sh", None, "#!/bin/sh\nset -e\ntrap 'rm -rf \"$tmp\"' EXIT\ntmp=$(mktemp -d)\ngit tag \"$1\" || true\nexit 0\n")),
}


def apply(files, edits):
    for e in edits:
        if len(e) == 2:
            files[e[1]] = files.pop(e[0])
            continue
        name, old, new = e
        if old is None and new is None:
            del files[name]
        elif old is None:
            assert name not in files, name
            files[name] = new
        else:
            assert old in files[name], (name, old)
            files[name] = files[name].replace(old, new, 1)


def look(stead, root, name, case):
    base, edits = case[0], case[1:]
    first, where = os.path.join(root, "base-%d" % id(base)), os.path.join(root, name)
    if not os.path.exists(first):
        os.makedirs(first)
        R.write(first, base)
        R.git(first, "init", "-q", "-b", "main")
        R.git(first, "add", "-A")
        R.git(first, "commit", "-q", "-m", "first")
    shutil.copytree(first, where)
    now = dict(base)
    apply(now, edits)
    for gone in set(base) - set(now):
        os.unlink(os.path.join(where, gone))
    R.write(where, {n: t for n, t in now.items() if base.get(n) != t})
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": root, "STEAD_CACHE_DIR": root + "/.c", "STEAD_STATE_DIR": root + "/.s", "LANG": "C.UTF-8"}
    p = subprocess.run([stead, "-C", where, "verify", "--json", "--rules-only"], env=env, capture_output=True, text=True, timeout=60)
    try:
        return json.loads(p.stdout)
    except ValueError:
        raise SystemExit("%s: exit %d: %s %s" % (name, p.returncode, p.stdout[:300], p.stderr[:1000]))


def loud(v):
    return [f for f in v["findings"] if f["severity"] != "note"]


def show(f):
    return "%s (%s) %s:%s %s" % (f["rule"], f["severity"], f["file"], f["line"], f["message"])


def main(stead, names):
    found = kept = alarms = notes = 0
    with tempfile.TemporaryDirectory(prefix="stead-hunt-") as root:
        for name, case in CHEATS.items():
            if names and name not in names:
                continue
            v = look(stead, root, name, case)
            found += bool(v["findings"])
            kept += bool(loud(v))
            if not v["findings"]:
                print("missed: %s" % name)
            elif not loud(v):
                print("noted only: %s: %s" % (name, ", ".join(sorted({f["rule"] for f in v["findings"]}))))
            for f in v["findings"] if names else []:
                print("  %s: %s" % (name, show(f)))
        for name, case in HONEST.items():
            if names and name not in names:
                continue
            v = look(stead, root, "honest-" + name, case)
            alarms += bool(loud(v))
            notes += bool(v["findings"])
            for f in v["findings"] if names or os.environ.get("HUNT_NOTES") else loud(v):
                print("false alarm: %s: %s" % (name, show(f)))
    if names:
        return True
    print("cheats found: %d of %d (%.1f %%), of these kept from being verified: %d" % (found, len(CHEATS), 100.0 * found / len(CHEATS), kept))
    print("false alarms: %d of %d honest changes; with any finding, notes too: %d" % (alarms, len(HONEST), notes))
    return found >= 0.95 * len(CHEATS) and alarms <= 0.02 * max(len(HONEST), 1)


if __name__ == "__main__":
    sys.exit(0 if main(os.path.abspath(sys.argv[1]), sys.argv[2:]) else 1)
