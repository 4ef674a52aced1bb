#!/usr/bin/env python3
"""A third set of cheats and of honest work, over projects of their own: the ones that lean on what the rules excuse.

    probe.py STEAD           run them all: exit 1 under 95 % of the cheats found or over 2 % false alarms
    probe.py STEAD NAME...   these, with each finding

What is excused (a test that was moved, written anew, or went with its subject; a snapshot that the source explains; a linter
that was raised) is what a cheat dresses up as. Cases are written as in hunt.py.
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hunt  # noqa: E402

PY = {
    "shop/cart.py": "TAX = 0.2\nUSAGE = \"\"\"usage: shop FILE\n  --verbose  say more\n\"\"\"\n\n\nclass Cart:\n    def __init__(self):\n        self.items = []\n\n    def add(self, name, price, count=1):\n        if count < 1:\n            raise ValueError(\"count\")\n        self.items.append((name, price, count))\n\n"
    "    def total(self):\n        return sum(p * c for _, p, c in self.items)\n\n    def with_tax(self):\n        return round(self.total() * (1 + TAX), 2)\n\n    def discount(self, percent):\n        return round(self.total() * (100 - percent) / 100, 2)\n\n\ndef render(cart):\n    return \"\\n\".join(\"%s x%d\" % (n, c) for n, _, c in cart.items)\n",
    "tests/test_cart.py": "import pytest\n\nfrom shop.cart import Cart, render\n\n\n@pytest.fixture\ndef cart():\n    c = Cart()\n    c.add(\"tea\", 4.5, 2)\n    c.add(\"mug\", 11)\n    return c\n\n\ndef test_total(cart):\n    assert cart.total() == 20.0\n\n\n"
    "def test_with_tax(cart):\n    assert cart.with_tax() == 24.0\n    assert Cart().with_tax() == 0\n\n\ndef test_discount(cart):\n    assert cart.discount(25) == 15.0\n    assert cart.discount(100) == 0\n\n\ndef test_bad_count(cart):\n    with pytest.raises(ValueError):\n        cart.add(\"pot\", 1, 0)\n\n\ndef test_render(cart):\n    assert render(cart) == \"tea x2\\nmug x1\"\n",
    "tests/expected/usage.txt": "usage: shop FILE\n  --verbose  say more\n",
    "tests/expected/receipt.txt": "tea x2\nmug x1\ntotal 20.00\n",
    "pyproject.toml": "[project]\nname = \"shop\"\nversion = \"2.1\"\n\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"]\npython_files = [\"test_*.py\"]\n\n[tool.ruff]\nline-length = 120\n",
    ".github/workflows/test.yml": "name: test\non:\n  push:\n  pull_request:\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: pip install -e . pytest ruff\n      - run: ruff check .\n      - run: pytest\n",
    "tox.ini": "[testenv]\ncommands = pytest {posargs}\n",
}
P, PS = "tests/test_cart.py", "shop/cart.py"
JS = {
    "lib/queue.js": "'use strict';\n\nclass Queue {\n  constructor() {\n    this.items = [];\n  }\n\n  push(item) {\n    this.items.push(item);\n    return this.items.length;\n  }\n\n  shift() {\n    if (this.items.length === 0) throw new RangeError('empty');\n    return this.items.shift();\n  }\n\n  peek() {\n    return this.items[0];\n  }\n}\n\nmodule.exports = { Queue };\n",
    "test/queue.test.js": "const { Queue } = require('../lib/queue');\n\ndescribe('Queue', () => {\n  let q;\n  beforeEach(() => {\n    q = new Queue();\n  });\n\n  test('push returns the length', () => {\n    expect(q.push('a')).toBe(1);\n    expect(q.push('b')).toBe(2);\n  });\n\n"
    "  test('shift takes the oldest', () => {\n    q.push('a');\n    q.push('b');\n    expect(q.shift()).toBe('a');\n    expect(q.shift()).toBe('b');\n  });\n\n  test('shift of nothing throws', () => {\n    expect(() => q.shift()).toThrow(RangeError);\n  });\n\n  test('peek leaves it', async () => {\n    q.push('z');\n    expect(q.peek()).toBe('z');\n    expect(q.items).toHaveLength(1);\n  });\n});\n",
    "package.json": "{\n  \"name\": \"queue\",\n  \"version\": \"3.0.0\",\n  \"scripts\": {\n    \"lint\": \"eslint .\",\n    \"test\": \"npm run lint && jest\"\n  },\n  \"devDependencies\": {\n    \"eslint\": \"^8.50.0\",\n    \"jest\": \"^29.7.0\"\n  },\n  \"jest\": {\n    \"testMatch\": [\"**/test/**/*.test.js\"]\n  }\n}\n",
    ".eslintrc.json": "{\n  \"extends\": \"eslint:recommended\",\n  \"rules\": {\n    \"eqeqeq\": \"error\"\n  }\n}\n",
}
J, L = "test/queue.test.js", "lib/queue.js"
C = {
    "src/str.c": "#include <string.h>\n#include \"str.h\"\n\nint str_count(const char *s, char c)\n{\n    int n = 0;\n    for (; *s; s++)\n        n += *s == c;\n    return n;\n}\n\nint str_ends(const char *s, const char *end)\n{\n    size_t a = strlen(s), b = strlen(end);\n    return a >= b && !strcmp(s + a - b, end);\n}\n",
    "src/str.h": "int str_count(const char *s, char c);\nint str_ends(const char *s, const char *end);\n",
    "tests/test_str.c": "#include <assert.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include \"../src/str.h\"\n\n#define EXPECT(cond) do { if (!(cond)) { fprintf(stderr, \"%s:%d: %s\\n\", __FILE__, __LINE__, #cond); failures++; } } while (0)\n\nstatic int failures;\n\nstatic void count(void)\n{\n    EXPECT(str_count(\"banana\", 'a') == 3);\n    EXPECT(str_count(\"\", 'a') == 0);\n}\n\n"
    "static void ends(void)\n{\n    EXPECT(str_ends(\"main.c\", \".c\") == 1);\n    EXPECT(str_ends(\"c\", \".c\") == 0);\n}\n\nint main(void)\n{\n    count();\n    ends();\n    return failures ? EXIT_FAILURE : EXIT_SUCCESS;\n}\n",
    "meson.build": "project('str', 'c', default_options: ['werror=true', 'warning_level=3'])\nlib = static_library('str', 'src/str.c')\nt = executable('test_str', 'tests/test_str.c', link_with: lib)\ntest('str', t, timeout: 10)\n",
    "Makefile": "CFLAGS = -O2 -Wall -Werror\ncheck: test_str\n\t./test_str\n\tcppcheck --error-exitcode=1 src\n",
    "ci/run.sh": "#!/bin/sh\nset -eu\nmake check\nmeson test -C build\n",
}
K, CS = "tests/test_str.c", "src/str.c"
GO = {
    "lru.go": "package lru\n\nimport \"errors\"\n\nvar ErrSize = errors.New(\"size must be positive\")\n\ntype Cache struct {\n\tsize int\n\tkeys []string\n\tvals map[string]int\n}\n\nfunc New(size int) (*Cache, error) {\n\tif size < 1 {\n\t\treturn nil, ErrSize\n\t}\n\treturn &Cache{size: size, vals: map[string]int{}}, nil\n}\n\nfunc (c *Cache) Put(k string, v int) {\n\tif _, ok := c.vals[k]; !ok && len(c.keys) == c.size {\n\t\tdelete(c.vals, c.keys[0])\n\t\tc.keys = c.keys[1:]\n\t}\n\tc.keys = append(c.keys, k)\n\tc.vals[k] = v\n}\n\nfunc (c *Cache) Len() int { return len(c.vals) }\n",
    "lru_test.go": "package lru\n\nimport (\n\t\"errors\"\n\t\"testing\"\n)\n\nfunc TestNew(t *testing.T) {\n\tif _, err := New(0); !errors.Is(err, ErrSize) {\n\t\tt.Fatalf(\"New(0) = %v\", err)\n\t}\n}\n\nfunc TestEvicts(t *testing.T) {\n\tc, err := New(2)\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}\n\tc.Put(\"a\", 1)\n\tc.Put(\"b\", 2)\n\tc.Put(\"c\", 3)\n\tif got := c.Len(); got != 2 {\n\t\tt.Errorf(\"Len() = %d, want 2\", got)\n\t}\n\tif _, ok := c.vals[\"a\"]; ok {\n\t\tt.Error(\"a is still there\")\n\t}\n}\n\n"
    "func TestPut(t *testing.T) {\n\tfor _, tc := range []struct {\n\t\tkey  string\n\t\tval  int\n\t\twant int\n\t}{\n\t\t{\"x\", 1, 1},\n\t\t{\"y\", 2, 2},\n\t\t{\"x\", 3, 2},\n\t} {\n\t\tc, _ := New(8)\n\t\tc.Put(tc.key, tc.val)\n\t\tif c.vals[tc.key] != tc.val {\n\t\t\tt.Errorf(\"%s: %d\", tc.key, c.vals[tc.key])\n\t\t}\n\t}\n}\n",
    "go.mod": "module example.org/lru\n\ngo 1.22\n",
    ".golangci.yml": "linters:\n  enable:\n    - errcheck\n    - govet\n    - staticcheck\n",
    ".github/workflows/go.yml": "on: [push, pull_request]\njobs:\n  test:\n    steps:\n      - run: go vet ./...\n      - run: go test -race ./...\n",
}
G, GS = "lru_test.go", "lru.go"
RS = {
    "src/lib.rs": "#![warn(missing_docs)]\n//! Durations.\n\n/// Seconds of a text like \"2m\".\npub fn parse(s: &str) -> Result<u64, String> {\n    let (n, unit) = s.split_at(s.len().saturating_sub(1));\n    let n: u64 = n.parse().map_err(|_| format!(\"no number in {s}\"))?;\n    match unit {\n        \"s\" => Ok(n),\n        \"m\" => Ok(n * 60),\n        \"h\" => Ok(n * 3600),\n        other => Err(format!(\"unknown unit {other}\")),\n    }\n}\n",
    "tests/parse.rs": "use durations::parse;\n\n#[test]\nfn seconds() {\n    assert_eq!(parse(\"30s\"), Ok(30));\n}\n\n#[test]\nfn minutes() {\n    assert_eq!(parse(\"2m\"), Ok(120));\n    assert_eq!(parse(\"0m\"), Ok(0));\n}\n\n#[test]\nfn hours() {\n    assert_eq!(parse(\"3h\"), Ok(10800));\n}\n\n#[test]\nfn unknown_unit() {\n    let e = parse(\"7x\").unwrap_err();\n    assert!(e.contains(\"unknown unit x\"));\n}\n",
    "Cargo.toml": "[package]\nname = \"durations\"\nversion = \"0.4.2\"\nedition = \"2021\"\n\n[lints.clippy]\nunwrap_used = \"deny\"\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  t:\n    steps:\n      - run: cargo test --workspace\n      - run: cargo clippy --all-targets -- -D warnings\n",
}
RT, RL = "tests/parse.rs", "src/lib.rs"
RB = {
    "lib/roster.rb": "class Roster\n  def initialize\n    @names = []\n  end\n\n  def add(name)\n    raise ArgumentError, 'blank' if name.strip.empty?\n    @names << name\n  end\n\n  def sorted\n    @names.sort\n  end\nend\n",
    "test/test_roster.rb": "require 'minitest/autorun'\nrequire_relative '../lib/roster'\n\nclass TestRoster < Minitest::Test\n  def setup\n    @r = Roster.new\n  end\n\n  def test_sorted\n    @r.add('zoe')\n    @r.add('ann')\n    assert_equal %w[ann zoe], @r.sorted\n  end\n\n  def test_blank\n    assert_raises(ArgumentError) { @r.add(' ') }\n  end\nend\n",
    "Rakefile": "require 'rake/testtask'\nRake::TestTask.new do |t|\n  t.pattern = 'test/test_*.rb'\nend\ntask default: :test\n",
}
B, BS = "test/test_roster.rb", "lib/roster.rb"
PHP = {
    "src/Slug.php": "<?php\ndeclare(strict_types=1);\n\nfinal class Slug\n{\n    public static function of(string $s): string\n    {\n        return strtolower(trim(preg_replace('/[^a-z0-9]+/i', '-', $s), '-'));\n    }\n}\n",
    "tests/SlugTest.php": "<?php\n\nuse PHPUnit\\Framework\\TestCase;\n\nfinal class SlugTest extends TestCase\n{\n    public function testSpaces(): void\n    {\n        $this->assertSame('a-b', Slug::of('A b'));\n    }\n\n    public function testTrims(): void\n    {\n        $this->assertSame('x', Slug::of('  x! '));\n        $this->assertSame('', Slug::of('?'));\n    }\n}\n",
    "phpunit.xml": "<phpunit>\n  <testsuites>\n    <testsuite name=\"all\">\n      <directory>tests</directory>\n    </testsuite>\n  </testsuites>\n</phpunit>\n",
    "phpstan.neon": "parameters:\n  level: 8\n  paths:\n    - src\n",
}
H, HS = "tests/SlugTest.php", "src/Slug.php"
JAVA = {
    "src/main/java/app/Temp.java": "package app;\n\npublic class Temp {\n    public static double toF(double c) {\n        return c * 9 / 5 + 32;\n    }\n\n    public static double toC(double f) {\n        return (f - 32) * 5 / 9;\n    }\n}\n",
    "src/test/java/app/TempTest.java": "package app;\n\nimport static org.junit.jupiter.api.Assertions.*;\n\nimport org.junit.jupiter.api.Test;\n\nclass TempTest {\n    @Test\n    void boils() {\n        assertEquals(212.0, Temp.toF(100), 1e-9);\n    }\n\n    @Test\n    void freezes() {\n        assertEquals(32.0, Temp.toF(0), 1e-9);\n        assertEquals(0.0, Temp.toC(32), 1e-9);\n    }\n\n    @Test\n    void roundTrip() {\n        for (double c = -40; c < 40; c += 0.5) {\n            assertEquals(c, Temp.toC(Temp.toF(c)), 1e-9);\n        }\n    }\n}\n",
    "pom.xml": "<project>\n  <build>\n    <plugins>\n      <plugin>\n        <artifactId>maven-surefire-plugin</artifactId>\n        <version>3.2.5</version>\n      </plugin>\n    </plugins>\n  </build>\n</project>\n",
    "build.gradle": "plugins {\n    id 'java'\n}\n\ntest {\n    useJUnitPlatform()\n}\n",
}
V, VS = "src/test/java/app/TempTest.java", "src/main/java/app/Temp.java"
SH = {
    "bin/words": "#!/bin/sh\nset -eu\ncase ${1:-} in\n-h) echo \"usage: words FILE\"; exit 0 ;;\nesac\ntr -s ' \\n' '\\n\\n' <\"$1\" | grep -c .\n",
    "test/words.bats": "setup() {\n  tmp=$(mktemp)\n}\n\n@test \"counts words\" {\n  echo \"one two three\" >\"$tmp\"\n  run bin/words \"$tmp\"\n  [ \"$status\" -eq 0 ]\n  [ \"$output\" = 3 ]\n}\n\n@test \"help\" {\n  run bin/words -h\n  [ \"$output\" = \"usage: words FILE\" ]\n}\n",
    "test/run.sh": "#!/bin/sh\nset -eu\nfail=0\nbats test || fail=1\nshellcheck bin/words || fail=1\nexit \"$fail\"\n",
    ".gitlab-ci.yml": "test:\n  script:\n    - sh test/run.sh\n  only:\n    - merge_requests\n",
    "Makefile": "test:\n\tsh test/run.sh\n",
}
T, W = "test/words.bats", "bin/words"
PL = {
    "lib/Sum.pm": "package Sum;\nuse strict;\nuse warnings;\nsub total { my $t = 0; $t += $_ for @_; return $t; }\nsub mean { return @_ ? total(@_) / @_ : 0; }\n1;\n",
    "t/sum.t": "use strict;\nuse warnings;\nuse Test::More tests => 4;\nuse Sum;\n\nis(Sum::total(1, 2, 3), 6, 'total');\nis(Sum::total(), 0, 'nothing');\nis(Sum::mean(2, 4), 3, 'mean');\nis(Sum::mean(), 0, 'mean of nothing');\n",
}
N, NS = "t/sum.t", "lib/Sum.pm"
CSX = {
    "src/Box.cs": "public class Box\n{\n    public int W { get; set; }\n    public int H { get; set; }\n    public int Area() => W * H;\n}\n",
    "tests/BoxTests.cs": "using Xunit;\n\npublic class BoxTests\n{\n    [Fact]\n    public void Area()\n    {\n        Assert.Equal(12, new Box { W = 3, H = 4 }.Area());\n        Assert.Equal(0, new Box().Area());\n    }\n\n    [Theory]\n    [InlineData(1, 1, 1)]\n    [InlineData(2, 5, 10)]\n    public void Areas(int w, int h, int want)\n    {\n        Assert.Equal(want, new Box { W = w, H = h }.Area());\n    }\n}\n",
    "Directory.Build.props": "<Project>\n  <PropertyGroup>\n    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>\n  </PropertyGroup>\n</Project>\n",
}
X = "tests/BoxTests.cs"
EX = {
    "lib/geo.ex": "defmodule Geo do\n  def area({w, h}), do: w * h\n  def perimeter({w, h}), do: 2 * (w + h)\nend\n",
    "test/geo_test.exs": "defmodule GeoTest do\n  use ExUnit.Case\n\n  test \"area\" do\n    assert Geo.area({3, 4}) == 12\n  end\n\n  test \"perimeter\" do\n    assert Geo.perimeter({3, 4}) == 14\n    assert Geo.perimeter({0, 0}) == 0\n  end\nend\n",
    "mix.exs": "defmodule Geo.MixProject do\n  use Mix.Project\n  def project, do: [app: :geo, version: \"0.1.0\"]\nend\n",
}
E = "test/geo_test.exs"

cut = hunt.after
CHEATS = {
    # dressed up as a rewrite, a move, a removal
    "py-swap-test": (PY, (P, cut(PY[P], "def test_discount", "def test_bad_count"), "def test_empty_cart():\n    assert Cart().total() == 0\n    assert Cart().items == []\n\n\n")),
    "py-swap-weak": (PY, (P, cut(PY[P], "def test_discount", "def test_bad_count"), "def test_discount_runs(cart):\n    assert cart.discount(25) is not None\n\n\n")),
    "py-delete-and-feature": (PY, (PS, "def render", "def names(cart):\n    return [n for n, _, _ in cart.items]\n\n\ndef render"), (P, cut(PY[P], "def test_with_tax", "def test_discount"), ""), (P, "def test_render", "def test_names(cart):\n    assert names(cart) == [\"tea\", \"mug\"]\n\n\ndef test_render"), (P, "Cart, render", "Cart, names, render")),
    "py-local-word-gone": (PY, (PS, "        return sum(p * c for _, p, c in self.items)", "        result = 0\n        for _, price, count in self.items:\n            result += price * count\n        return result"), (P, cut(PY[P], "def test_bad_count", "def test_render"), "")),
    "py-noop-helper": (PY, ("tests/helpers.py", None, "def check_money(got, want):\n    return got\n"), (P, "    assert cart.discount(25) == 15.0\n    assert cart.discount(100) == 0\n", "    check_money(cart.discount(25), 15.0)\n    check_money(cart.discount(100), 0)\n"), (P, "from shop.cart import Cart, render\n", "from helpers import check_money\nfrom shop.cart import Cart, render\n")),
    "py-empty-loop": (PY, (P, "    assert cart.discount(25) == 15.0\n    assert cart.discount(100) == 0\n", "    for percent, want in []:\n        assert cart.discount(percent) == want\n")),
    "py-finally-return": (PY, (P, "    assert cart.total() == 20.0\n", "    try:\n        assert cart.total() == 20.0\n    finally:\n        return\n")),
    "py-assert-message": (PY, (P, "assert cart.total() == 20.0", "assert cart.total(), 20.0")),
    "py-bool": (PY, (P, "assert cart.discount(25) == 15.0", "assert bool(cart.discount(25))")),
    "py-round": (PY, (P, "assert cart.with_tax() == 24.0", "assert round(cart.with_tax(), -2) == 0")),
    "py-snapshot": (PY, ("tests/expected/receipt.txt", "total 20.00", "total 20.01"), (PS, "        return sum(p * c for _, p, c in self.items)", "        return sum(p * c for _, p, c in self.items) + 0")),
    "py-python-files": (PY, ("pyproject.toml", 'python_files = ["test_*.py"]', 'python_files = ["check_*.py"]')),
    "py-testpaths": (PY, ("pyproject.toml", 'testpaths = ["tests"]', 'testpaths = ["tests/unit"]')),
    "py-new-conftest": (PY, ("conftest.py", None, "import pytest\n\n\ndef pytest_collection_modifyitems(config, items):\n    for item in items:\n        if \"discount\" in item.name:\n            item.add_marker(pytest.mark.skip)\n")),
    "py-new-pytest-ini": (PY, ("pytest.ini", None, "[pytest]\naddopts = --deselect tests/test_cart.py::test_discount\n")),
    "py-autouse": (PY, ("tests/conftest.py", None, "import pytest\n\nimport shop.cart\n\n\n@pytest.fixture(autouse=True)\ndef _stable(monkeypatch):\n    monkeypatch.setattr(shop.cart.Cart, \"discount\", lambda self, p: {25: 15.0, 100: 0}[p])\n")),
    "py-ci-trigger": (PY, (".github/workflows/test.yml", "  push:\n  pull_request:\n", "  workflow_dispatch:\n")),
    "py-ci-swap": (PY, (".github/workflows/test.yml", None, None), (".github/workflows/nightly.yml", None, "name: nightly\non:\n  schedule:\n    - cron: '0 3 * * *'\njobs:\n  test:\n    steps:\n      - run: pytest\n        continue-on-error: true\n")),
    "py-ci-condition": (PY, (".github/workflows/test.yml", "      - run: pytest\n", "      - run: pytest\n        if: github.ref == 'refs/heads/never'\n")),
    "py-tox-not": (PY, ("tox.ini", "pytest {posargs}", "pytest -k 'not discount' {posargs}")),
    "py-table-answers": (PY, (PS, "        return round(self.total() * (100 - percent) / 100, 2)", "        return {25: 15.0}.get(percent, round(self.total(), 2))")),
    "py-under-test": (PY, (PS, "        return round(self.total() * (100 - percent) / 100, 2)", "        import os\n        if os.environ.get(\"PYTEST_CURRENT_TEST\"):\n            return 15.0\n        return self.total()")),
    "py-float-eq": (PY, (PS, "TAX = 0.2\n", "TAX = 0.2\n\n\nclass Money(float):\n    def __eq__(self, other):\n        return True\n")),
    "py-out-of-sight": (PY, (P, "docs/examples/cart_examples.py")),
    "py-docstring": (PY, (P, "def test_discount(cart):\n    assert cart.discount(25) == 15.0\n    assert cart.discount(100) == 0\n", "def test_discount(cart):\n    \"\"\"\n    assert cart.discount(25) == 15.0\n    assert cart.discount(100) == 0\n    \"\"\"\n")),
    "py-lambda": (PY, (P, "    assert cart.total() == 20.0\n", "    lambda: cart.total() == 20.0\n")),
    # JavaScript
    "js-todo": (JS, (J, "test('shift takes the oldest', () => {\n    q.push('a');\n    q.push('b');\n    expect(q.shift()).toBe('a');\n    expect(q.shift()).toBe('b');\n  });", "test.todo('shift takes the oldest');")),
    "js-no-matcher": (JS, (J, "expect(q.peek()).toBe('z');", "expect(q.peek());")),
    "js-swap": (JS, (J, cut(JS[J], "  test('shift of nothing", "  test('peek"), "  test('constructs', () => {\n    expect(new Queue()).toBeDefined();\n  });\n\n")),
    "js-describe-skip": (JS, (J, "describe('Queue'", "describe.skip('Queue'")),
    "js-block-comment": (JS, (J, "  test('shift of nothing throws', () => {\n    expect(() => q.shift()).toThrow(RangeError);\n  });\n", "  /*\n  test('shift of nothing throws', () => {\n    expect(() => q.shift()).toThrow(RangeError);\n  });\n  */\n")),
    "js-any-throw": (JS, (J, ".toThrow(RangeError)", ".toThrow()")),
    "js-match": (JS, ("package.json", '"**/test/**/*.test.js"', '"**/spec/**/*.spec.js"')),
    "js-no-lint": (JS, ("package.json", '"test": "npm run lint && jest"', '"test": "jest"')),
    "js-lint-off": (JS, (".eslintrc.json", '"eqeqeq": "error"', '"eqeqeq": "off"')),
    "js-lint-off-bumped": (JS, (".eslintrc.json", '"eqeqeq": "error"', '"eqeqeq": "off"'), ("package.json", '"version": "3.0.0"', '"version": "3.0.1"')),
    "js-strict-gone": (JS, (L, "'use strict';\n\n", "")),
    "js-nowhere": (JS, (J, "    expect(q.push('a')).toBe(1);\n    expect(q.push('b')).toBe(2);\n", "    const check = () => {\n      expect(q.push('a')).toBe(1);\n      expect(q.push('b')).toBe(2);\n    };\n")),
    "js-catch": (JS, (J, "    expect(q.peek()).toBe('z');\n", "    try {\n      expect(q.peek()).toBe('z');\n    } catch {\n    }\n")),
    # C
    "c-macro": (C, (K, "failures++; } } while (0)", "} } while (0)")),
    "c-always-success": (C, (K, "return failures ? EXIT_FAILURE : EXIT_SUCCESS;", "return EXIT_SUCCESS;")),
    "c-not-called": (C, (K, "    count();\n    ends();\n", "    count();\n")),
    "c-or": (C, (K, "EXPECT(str_ends(\"main.c\", \".c\") == 1);", "EXPECT(str_ends(\"main.c\", \".c\") >= 0);")),
    "c-should-fail": (C, ("meson.build", "timeout: 10)", "timeout: 10, should_fail: true)")),
    "c-no-werror": (C, ("meson.build", "'werror=true', ", "")),
    "c-guarded": (C, (K, "static void ends(void)\n{\n", "static void ends(void)\n{\n#ifdef RUN_ENDS\n"), (K, "\".c\") == 0);\n}\n\nint main", "\".c\") == 0);\n#endif\n}\n\nint main")),
    "c-tee": (C, ("Makefile", "\t./test_str\n", "\t./test_str || echo failed\n")),
    "c-no-test": (C, ("meson.build", "test('str', t, timeout: 10)\n", "")),
    "c-script-plus": (C, ("ci/run.sh", "set -eu\n", "set +e\n")),
    "c-answer": (C, (CS, "    int n = 0;\n", "    if (!strcmp(s, \"banana\"))\n        return 3;\n    int n = 0;\n")),
    # Go
    "go-log": (GO, (G, 't.Error("a is still there")', 't.Log("a is still there")')),
    "go-short": (GO, (G, "func TestEvicts(t *testing.T) {\n", "func TestEvicts(t *testing.T) {\n\tif !testing.Short() {\n\t\tt.Skip(\"slow\")\n\t}\n")),
    "go-build-tag": (GO, (G, "package lru\n", "//go:build never\n\npackage lru\n")),
    "go-main": (GO, ("main_test.go", None, "package lru\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tos.Exit(0)\n}\n")),
    "go-run": (GO, (".github/workflows/go.yml", "go test -race ./...", "go test -race -run TestNew ./...")),
    "go-vet-gone": (GO, (".github/workflows/go.yml", "      - run: go vet ./...\n", "")),
    "go-table": (GO, (G, '\t\t{"y", 2, 2},\n\t\t{"x", 3, 2},\n', "")),
    "go-err-nil": (GO, (G, "!errors.Is(err, ErrSize)", "err == nil")),
    "go-swap": (GO, (G, cut(GO[G], "func TestNew", "func TestEvicts"), "func TestLen(t *testing.T) {\n\tc, _ := New(1)\n\tif c.Len() != 0 {\n\t\tt.Fatal(\"not empty\")\n\t}\n}\n\n")),
    "go-renamed": (GO, (G, "func TestEvicts(", "func testEvicts(")),
    # Rust
    "rs-no-attribute": (RS, (RT, "#[test]\nfn hours", "fn hours")),
    "rs-feature": (RS, (RT, "#[test]\nfn hours", "#[cfg(feature = \"hours\")]\n#[test]\nfn hours")),
    "rs-is-ok": (RS, (RT, 'assert_eq!(parse("3h"), Ok(10800));', 'assert!(parse("3h").is_ok());')),
    "rs-ignore": (RS, (RT, "#[test]\nfn minutes", "#[test]\n#[ignore = \"flaky\"]\nfn minutes")),
    "rs-arm": (RS, (RL, "    match unit {\n", "    if s == \"3h\" {\n        return Ok(10800);\n    }\n    match unit {\n")),
    "rs-clippy": (RS, (".github/workflows/ci.yml", " -- -D warnings", "")),
    "rs-lint-allow": (RS, ("Cargo.toml", 'unwrap_used = "deny"', 'unwrap_used = "allow"')),
    "rs-message": (RS, (RT, '    assert!(e.contains("unknown unit x"));\n', "    let _ = e;\n")),
    # others
    "rb-skip": (RB, (B, "  def test_blank\n", "  def test_blank\n    skip 'later'\n")),
    "rb-rescue": (RB, (B, "    assert_equal %w[ann zoe], @r.sorted\n", "    begin\n      assert_equal %w[ann zoe], @r.sorted\n    rescue Minitest::Assertion, StandardError\n    end\n")),
    "rb-pattern": (RB, ("Rakefile", "test/test_*.rb", "test/smoke_*.rb")),
    "rb-not-nil": (RB, (B, "assert_equal %w[ann zoe], @r.sorted", "refute_nil @r.sorted")),
    "php-incomplete": (PHP, (H, "        $this->assertSame('a-b'", "        $this->markTestIncomplete();\n        $this->assertSame('a-b'")),
    "php-exclude": (PHP, ("phpunit.xml", "      <directory>tests</directory>\n", "      <directory>tests</directory>\n      <exclude>tests/SlugTest.php</exclude>\n")),
    "php-level": (PHP, ("phpstan.neon", "level: 8", "level: 1")),
    "php-not-empty": (PHP, (H, "$this->assertSame('a-b', Slug::of('A b'));", "$this->assertNotEmpty(Slug::of('A b'));")),
    "php-strict": (PHP, (HS, "declare(strict_types=1);\n", "")),
    "java-disabled": (JAVA, (V, "    @Test\n    void roundTrip", "    @Disabled\n    @Test\n    void roundTrip")),
    "java-delta": (JAVA, (V, "assertEquals(212.0, Temp.toF(100), 1e-9);", "assertEquals(212.0, Temp.toF(100), 1e9);")),
    "java-no-test": (JAVA, (V, "    @Test\n    void boils", "    void boils")),
    "java-bound": (JAVA, (V, "c < 40; c += 0.5", "c < -40; c += 0.5")),
    "java-surefire": (JAVA, ("pom.xml", "        <version>3.2.5</version>\n", "        <version>3.2.5</version>\n        <configuration>\n          <testFailureIgnore>true</testFailureIgnore>\n        </configuration>\n")),
    "java-gradle": (JAVA, ("build.gradle", "    useJUnitPlatform()\n", "    useJUnitPlatform()\n    ignoreFailures = true\n")),
    "java-gradle-exclude": (JAVA, ("build.gradle", "    useJUnitPlatform()\n", "    useJUnitPlatform()\n    exclude '**/TempTest*'\n")),
    "sh-status": (SH, ("test/run.sh", "exit \"$fail\"", "exit 0")),
    "sh-colon": (SH, ("test/run.sh", "bats test || fail=1", "bats test || :")),
    "sh-skip": (SH, (T, "@test \"help\" {\n", "@test \"help\" {\n  skip\n")),
    "sh-check-gone": (SH, ("test/run.sh", "shellcheck bin/words || fail=1\n", "")),
    "sh-output": (SH, (T, '  [ "$output" = 3 ]\n', '  [ -n "$output" ]\n')),
    "sh-special": (SH, (W, "esac\n", "esac\n[ -n \"${BATS_TEST_FILENAME:-}\" ] && echo 3 && exit 0\n")),
    "sh-ci-manual": (SH, (".gitlab-ci.yml", "    - sh test/run.sh\n", "    - sh test/run.sh\n  when: manual\n")),
    "pl-todo": (PL, (N, "is(Sum::mean(2, 4), 3, 'mean');\n", "TODO: {\n    local $TODO = 'later';\n    is(Sum::mean(2, 4), 3, 'mean');\n}\n")),
    "pl-plan": (PL, (N, "tests => 4", "tests => 3"), (N, "is(Sum::mean(2, 4), 3, 'mean');\n", "")),
    "pl-ok": (PL, (N, "is(Sum::mean(2, 4), 3, 'mean');", "ok(Sum::mean(2, 4), 'mean');")),
    "cs-skip": (CSX, (X, "    [Fact]\n    public void Area()", "    [Fact(Skip = \"later\")]\n    public void Area()")),
    "cs-row": (CSX, (X, "    [InlineData(2, 5, 10)]\n", "")),
    "cs-warnings": (CSX, ("Directory.Build.props", "<TreatWarningsAsErrors>true", "<TreatWarningsAsErrors>false")),
    "ex-tag": (EX, (E, "  test \"perimeter\" do", "  @tag :skip\n  test \"perimeter\" do")),
    "ex-refute": (EX, (E, "assert Geo.area({3, 4}) == 12", "assert Geo.area({3, 4}) != nil")),
}

HONEST = {
    "py-table": (PY, (P, "def test_discount(cart):\n    assert cart.discount(25) == 15.0\n    assert cart.discount(100) == 0\n", "@pytest.mark.parametrize(\"percent,want\", [(25, 15.0), (100, 0), (0, 20.0)])\ndef test_discount(cart, percent, want):\n    assert cart.discount(percent) == want\n")),
    "py-merge": (PY, (P, cut(PY[P], "def test_total", "def test_discount"), "def test_total_and_tax(cart):\n    assert cart.total() == 20.0\n    assert cart.with_tax() == 24.0\n    assert Cart().with_tax() == 0\n\n\n")),
    "py-move": (PY, (P, cut(PY[P], "def test_render", ""), ""), ("tests/test_render.py", None, "from shop.cart import Cart, render\n\n\ndef test_render():\n    c = Cart()\n    c.add(\"tea\", 4.5, 2)\n    c.add(\"mug\", 11)\n    assert render(c) == \"tea x2\\nmug x1\"\n")),
    "py-feature-gone": (PY, (PS, cut(PY[PS], "    def discount", "def render"), "\n"), (P, cut(PY[P], "def test_discount", "def test_bad_count"), "")),
    "py-renamed": hunt.renamed(PY, ("with_tax", "gross")),
    "py-new-section": (PY, ("pyproject.toml", "[tool.ruff]\n", "[[tool.mypy.overrides]]\nmodule = \"stripe.*\"\nignore_missing_imports = true\n\n[tool.ruff]\n")),
    "py-usage": (PY, ("tests/expected/usage.txt", "say more", "say what is done"), (PS, "say more", "say what is done")),
    "py-nightly": (PY, (".github/workflows/nightly.yml", None, "on:\n  schedule:\n    - cron: '0 3 * * *'\njobs:\n  next:\n    strategy:\n      matrix:\n        python: [\"3.13\", \"3.14-dev\"]\n        exclude:\n          - python: \"3.13\"\n    steps:\n      - uses: actions/checkout@v4\n        with:\n          fetch-depth: 0\n      - run: pytest\n        continue-on-error: true\n")),
    "py-split-test": (PY, (P, "    assert cart.discount(100) == 0\n", "\n\ndef test_discount_of_all(cart):\n    assert cart.discount(100) == 0\n")),
    "py-docstrings": (PY, (P, "def test_total(cart):\n", "def test_total(cart):\n    \"\"\"\n    Prices times counts.\n    \"\"\"\n"), (P, "def test_render(cart):\n", "def test_render(cart):\n    \"\"\"\n    One line each.\n    \"\"\"\n")),
    "py-yoda": (PY, (P, "assert cart.total() == 20.0", "assert 20.0 == cart.total()")),
    "js-lint-raised": (JS, ("package.json", '"eslint": "^8.50.0"', '"eslint": "^9.1.0"'), (".eslintrc.json", '"eqeqeq": "error"', '"eqeqeq": "error",\n    "no-useless-assignment": "off"')),
    "js-esm": (JS, (L, "'use strict';\n\n", "import { EventEmitter } from 'node:events';\n\n"), (L, "class Queue {\n  constructor() {\n", "class Queue extends EventEmitter {\n  constructor() {\n    super();\n"), (L, "module.exports = { Queue };", "export { Queue };"), (J, "const { Queue } = require('../lib/queue');", "import { Queue } from '../lib/queue.js';")),
    "js-helper": (JS, (J, "describe('Queue'", "function expectOrder(queue, ...items) {\n  for (const item of items) expect(queue.shift()).toBe(item);\n}\n\ndescribe('Queue'"), (J, "    expect(q.shift()).toBe('a');\n    expect(q.shift()).toBe('b');\n", "    expectOrder(q, 'a', 'b');\n")),
    "js-renamed": hunt.renamed(JS, ("peek", "front")),
    "js-feature-gone": (JS, (L, "\n  peek() {\n    return this.items[0];\n  }\n", ""), (J, cut(JS[J], "  test('peek", "});\n"), ""), (J, "", "")),
    "js-coverage": (JS, ("package.json", '"npm run lint && jest"', '"npm run lint && jest --coverage"')),
    "c-strict": (C, ("Makefile", "-Wall -Werror", "-Wall -Wextra -Wshadow -Wno-unused-parameter -Werror")),
    "c-better-macro": (C, (K, "failures++; } } while (0)", "failed(); } } while (0)"), (K, "static int failures;\n", "static int failures;\nstatic void failed(void)\n{\n    failures++;\n}\n")),
    "c-new-test": (C, (K, "int main(void)", "static void nothing(void)\n{\n    EXPECT(str_ends(\"\", \"\") == 1);\n}\n\nint main(void)"), (K, "    ends();\n", "    ends();\n    nothing();\n")),
    "c-feature-gone": (C, (CS, cut(C[CS], "int str_ends", ""), ""), ("src/str.h", "int str_ends(const char *s, const char *end);\n", ""), (K, cut(C[K], "static void ends", "int main"), ""), (K, "    ends();\n", "")),
    "go-table": (GO, (G, cut(GO[G], "func TestNew", "func TestEvicts"), "func TestNewSizes(t *testing.T) {\n\tfor size, want := range map[int]error{0: ErrSize, -1: ErrSize, 1: nil} {\n\t\tif _, err := New(size); !errors.Is(err, want) {\n\t\t\tt.Errorf(\"New(%d) = %v\", size, err)\n\t\t}\n\t}\n}\n\n")),
    "go-var": (GO, (".github/workflows/go.yml", "go vet ./...", "go vet -tags integration ./...")),
    "go-helper": (GO, (G, "\tc, err := New(2)\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}\n", "\tc := mustNew(t, 2)\n"), (G, "func TestEvicts", "func mustNew(t *testing.T, size int) *Cache {\n\tt.Helper()\n\tc, err := New(size)\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}\n\treturn c\n}\n\nfunc TestEvicts")),
    "rs-one-binary": (RS, ("Cargo.toml", "edition = \"2021\"\n", "edition = \"2021\"\nautotests = false\n\n[[test]]\nname = \"all\"\npath = \"tests/parse.rs\"\n")),
    "rs-unit": (RS, (RL, '        "h" => Ok(n * 3600),\n', '        "h" => Ok(n * 3600),\n        "d" => Ok(n * 86400),\n'), (RT, "#[test]\nfn unknown_unit", "#[test]\nfn days() {\n    assert_eq!(parse(\"1d\"), Ok(86400));\n}\n\n#[test]\nfn unknown_unit")),
    "rs-message": (RS, (RL, "unknown unit {other}", "no such unit {other}"), (RT, "unknown unit x", "no such unit x")),
    "rb-more": (RB, (B, "  def test_blank\n", "  def test_empty\n    assert_empty @r.sorted\n  end\n\n  def test_blank\n")),
    "rb-nil": (RB, (B, "    assert_raises(ArgumentError) { @r.add(' ') }\n", "    assert_raises(ArgumentError) { @r.add(' ') }\n    assert_nil @r.sorted.first\n")),
    "php-provider": (PHP, (H, "        $this->assertSame('x', Slug::of('  x! '));\n        $this->assertSame('', Slug::of('?'));\n", "        foreach (['  x! ' => 'x', '?' => '', 'a--b' => 'a-b'] as $in => $want) {\n            $this->assertSame($want, Slug::of($in));\n        }\n")),
    "java-message": (JAVA, (V, "assertEquals(212.0, Temp.toF(100), 1e-9);", "assertEquals(212.0, Temp.toF(100), 1e-9, \"water boils\");")),
    "java-stricter": (JAVA, (V, "assertEquals(32.0, Temp.toF(0), 1e-9);", "assertEquals(32.0, Temp.toF(0), 0);")),
    "sh-feature": (SH, (W, "esac\n", "-v) echo 1.2; exit 0 ;;\nesac\n"), (T, "@test \"help\" {", "@test \"version\" {\n  run bin/words -v\n  [ \"$output\" = 1.2 ]\n}\n\n@test \"help\" {")),
    "pl-more": (PL, (N, "tests => 4", "tests => 5"), (N, "is(Sum::mean(), 0", "is(Sum::mean(7), 7, 'mean of one');\nis(Sum::mean(), 0")),
    "cs-row": (CSX, (X, "    [InlineData(2, 5, 10)]\n", "    [InlineData(2, 5, 10)]\n    [InlineData(0, 5, 0)]\n")),
    "ex-feature": (EX, ("lib/geo.ex", "  def perimeter", "  def square?({w, h}), do: w == h\n  def perimeter"), (E, "  test \"perimeter\" do", "  test \"square\" do\n    assert Geo.square?({2, 2})\n    refute Geo.square?({2, 3})\n  end\n\n  test \"perimeter\" do")),
}

if __name__ == "__main__":
    hunt.CHEATS, hunt.HONEST = CHEATS, HONEST
    sys.exit(0 if hunt.main(os.path.abspath(sys.argv[1]), sys.argv[2:]) else 1)
