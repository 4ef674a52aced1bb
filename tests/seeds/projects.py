"""Seven small projects as people write them, for tests/seeds/hunt.py: file name -> text."""

PY = {
    "ledger/__init__.py": "",
    "ledger/money.py": '''"""Amounts in cents, and how people write them."""
import re

PATTERN = re.compile(r"^(-?)(\\d+)(?:[.,](\\d{2}))?$")


class MoneyError(ValueError):
    """The text is no amount."""


def parse(text):
    match = PATTERN.match(text.strip())
    if not match:
        raise MoneyError(f"not an amount: {text!r}")
    sign = -1 if match.group(1) else 1
    return sign * (int(match.group(2)) * 100 + int(match.group(3) or 0))


def show(cents):
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def split(cents, people):
    share, rest = divmod(cents, people)
    return [share + (1 if i < rest else 0) for i in range(people)]


def interest(cents, rate, years):
    return round(cents * (1 + rate) ** years)
''',
    "ledger/report.py": '''from ledger.money import show


def total(entries):
    return sum(amount for _, amount in entries)


def lines(entries):
    out = [f"{name}: {show(amount)}" for name, amount in entries]
    out.append(f"total: {show(total(entries))}")
    return out
''',
    "tests/conftest.py": '''import pytest


@pytest.fixture
def entries():
    return [("rent", -80000), ("wage", 250000)]
''',
    "tests/test_money.py": '''import pytest

from ledger import money


@pytest.mark.parametrize(
    "text, cents",
    [
        ("12.34", 1234),
        ("-0.50", -50),
        ("7", 700),
        ("3,10", 310),
    ],
)
def test_parse(text, cents):
    assert money.parse(text) == cents


def test_parse_refuses_words():
    with pytest.raises(money.MoneyError) as caught:
        money.parse("twelve")
    assert "twelve" in str(caught.value)


def test_show_has_two_digits():
    assert money.show(5) == "0.05"
    assert money.show(-1234) == "-12.34"


def test_split_loses_nothing():
    shares = money.split(1000, 3)
    assert shares == [334, 333, 333]
    assert sum(shares) == 1000
    assert max(shares) - min(shares) <= 1


def test_interest():
    assert money.interest(10000, 0.05, 2) == 11025
    assert abs(money.interest(33333, 0.031, 7) - 41275) < 2
''',
    "tests/test_report.py": '''import unittest

from ledger import report


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.entries = [("rent", -80000), ("wage", 250000)]

    def test_total(self):
        self.assertEqual(report.total(self.entries), 170000)

    def test_lines(self):
        self.assertEqual(
            report.lines(self.entries),
            ["rent: -800.00", "wage: 2500.00", "total: 1700.00"],
        )

    def test_empty(self):
        self.assertEqual(report.lines([]), ["total: 0.00"])
        self.assertFalse(report.total([]))
''',
    "tox.ini": "[tox]\nenvlist = py311\n\n[testenv]\ndeps = pytest\ncommands =\n    pytest -q tests\n    ruff check ledger\n",
    "pytest.ini": "[pytest]\naddopts = -ra --strict-markers\ntestpaths = tests\nxfail_strict = true\n",
    "ruff.toml": "line-length = 100\n\n[lint]\nselect = [\"E\", \"F\", \"B\"]\n",
    ".coveragerc": "[run]\nbranch = True\nsource = ledger\n\n[report]\nfail_under = 92\n",
    ".github/workflows/test.yml": "name: test\non: [push]\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: pip install tox\n      - run: tox\n      - run: mypy --strict ledger\n",
    "README.md": "# ledger\n\nAmounts in cents.\n",
}

TS = {
    "src/slug.ts": '''export interface Options {
  separator?: string;
  limit?: number;
}

export function slug(text: string, options: Options = {}): string {
  const separator = options.separator ?? '-';
  const words = text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, ' ')
    .trim()
    .split(' ');
  const full = words.join(separator);
  return options.limit ? full.slice(0, options.limit) : full;
}

export function unique(name: string, taken: Set<string>): string {
  if (!taken.has(name)) return name;
  let n = 2;
  while (taken.has(`${name}-${n}`)) n++;
  return `${name}-${n}`;
}

export class Counter {
  private counts = new Map<string, number>();

  add(word: string): number {
    const next = (this.counts.get(word) ?? 0) + 1;
    this.counts.set(word, next);
    return next;
  }

  top(n: number): string[] {
    return [...this.counts.entries()].sort((a, b) => b[1] - a[1]).slice(0, n).map(([w]) => w);
  }
}
''',
    "test/slug.spec.ts": '''import { slug, unique, Counter } from '../src/slug';

describe('slug', () => {
  it('joins words', () => {
    expect(slug('Hello, World!')).toBe('hello-world');
    expect(slug('  Crème brûlée  ')).toBe('cre-me-bru-le-e');
  });

  it('takes a separator', () => {
    expect(slug('a b c', { separator: '_' })).toBe('a_b_c');
  });

  it.each([
    ['one two', 3, 'one'],
    ['alpha', 10, 'alpha'],
    ['x y z', 4, 'x-y-'],
  ])('cuts %s at %i', (text, limit, want) => {
    expect(slug(text, { limit })).toEqual(want);
  });
});

describe('unique', () => {
  it('counts up', () => {
    const taken = new Set(['post', 'post-2']);
    expect(unique('post', taken)).toBe('post-3');
    expect(unique('page', taken)).toBe('page');
  });
});

describe('Counter', () => {
  let counter: Counter;

  beforeEach(() => {
    counter = new Counter();
  });

  it('counts', () => {
    counter.add('a');
    expect(counter.add('a')).toBe(2);
  });

  it('finds the top', () => {
    ['x', 'y', 'x', 'z', 'x', 'y'].forEach((w) => counter.add(w));
    expect(counter.top(2)).toEqual(['x', 'y']);
  });

  it('throws on nothing', async () => {
    await expect(Promise.reject(new Error('empty'))).rejects.toThrow('empty');
  });
});
''',
    "test/__snapshots__/page.spec.ts.snap": "// Jest Snapshot v1\n\nexports[`page renders 1`] = `\n<h1>\n  Hello\n</h1>\n`;\n",
    "package.json": '''{
  "name": "slug",
  "version": "1.4.0",
  "scripts": {
    "build": "tsc",
    "test": "jest --coverage",
    "lint": "eslint src test",
    "typecheck": "tsc --noEmit"
  },
  "devDependencies": {
    "jest": "^29.7.0",
    "typescript": "^5.4.0"
  }
}
''',
    "package-lock.json": '{\n  "name": "slug",\n  "lockfileVersion": 3,\n  "packages": {\n    "node_modules/jest": {\n      "version": "29.7.0"\n    }\n  }\n}\n',
    "jest.config.js": '''module.exports = {
  preset: 'ts-jest',
  testMatch: ['**/test/**/*.spec.ts'],
  coverageThreshold: {
    global: {
      branches: 85,
      lines: 90,
    },
  },
};
''',
    "eslint.config.mjs": "export default [\n  {\n    rules: {\n      'no-unused-vars': 'error',\n      eqeqeq: 'error',\n    },\n  },\n];\n",
    "tsconfig.json": '{\n  "compilerOptions": {\n    "strict": true,\n    "noImplicitReturns": true,\n    "target": "es2022"\n  }\n}\n',
    ".github/workflows/ci.yml": "on: push\njobs:\n  check:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: npm ci\n      - run: npm run lint\n      - run: npm run typecheck\n      - run: npm test\n",
}

C = {
    "ring.h": "#ifndef RING_H\n#define RING_H\n#include <stddef.h>\n\nstruct ring;\nstruct ring *ring_create(size_t cap);\nvoid ring_destroy(struct ring *r);\nint ring_push(struct ring *r, int v);\nint ring_pop(struct ring *r, int *v);\nsize_t ring_len(const struct ring *r);\nunsigned crc8(const unsigned char *p, size_t n);\n\n#endif\n",
    "ring.c": '''#include "ring.h"

#include <stdlib.h>

struct ring {
    int *items;
    size_t cap, head, len;
};

struct ring *ring_create(size_t cap)
{
    struct ring *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->items = calloc(cap, sizeof *r->items);
    r->cap = cap;
    return r;
}

void ring_destroy(struct ring *r)
{
    if (r)
        free(r->items);
    free(r);
}

int ring_push(struct ring *r, int v)
{
    if (r->len == r->cap)
        return -1;
    r->items[(r->head + r->len++) % r->cap] = v;
    return 0;
}

int ring_pop(struct ring *r, int *v)
{
    if (!r->len)
        return -1;
    *v = r->items[r->head];
    r->head = (r->head + 1) % r->cap;
    r->len--;
    return 0;
}

size_t ring_len(const struct ring *r)
{
    return r->len;
}

unsigned crc8(const unsigned char *p, size_t n)
{
    unsigned crc = 0;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc & 0x80 ? (crc << 1 ^ 0x07) & 0xff : crc << 1;
    }
    return crc;
}
''',
    "tests/check_ring.c": '''#include "../ring.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define EXPECT(cond) \\
    do { \\
        if (!(cond)) { \\
            printf("%s:%d: %s\\n", __FILE__, __LINE__, #cond); \\
            failures++; \\
        } \\
    } while (0)

static void order(void)
{
    struct ring *r = ring_create(2);
    int v = 0;
    EXPECT(ring_push(r, 1) == 0);
    EXPECT(ring_push(r, 2) == 0);
    EXPECT(ring_pop(r, &v) == 0);
    EXPECT(v == 1);
    ring_destroy(r);
}

static void full(void)
{
    struct ring *r = ring_create(1);
    ring_push(r, 7);
    if (ring_push(r, 8) != -1) {
        puts("pushed onto a full ring");
        failures++;
    }
    if (ring_len(r) != 1)
        failures++;
    ring_destroy(r);
}

static void checksum(void)
{
    if (crc8((const unsigned char *)"123456789", 9) != 0xf4) {
        puts("crc8");
        failures++;
    }
}

int main(void)
{
    order();
    full();
    checksum();
    printf("%d failures\\n", failures);
    return failures != 0;
}
''',
    "tests/cli.sh": '''#!/bin/sh
# the command line
set -eu
out=$(printf 'abc' | ./crc)
[ "$out" = 5f ] || { echo "crc of abc: $out"; exit 1; }
if ./crc /nonexistent 2>/dev/null; then
    echo "a missing file passed"
    exit 1
fi
echo ok
''',
    "Makefile": '''CC = cc
CFLAGS = -std=c11 -Wall -Wextra -Werror -O2

check: check_ring crc
	./check_ring
	sh tests/cli.sh

check_ring: tests/check_ring.c ring.c ring.h
	$(CC) $(CFLAGS) -fsanitize=address -o $@ tests/check_ring.c ring.c

lint:
	cppcheck --error-exitcode=1 ring.c
	clang-format -n -Werror ring.c ring.h

.PHONY: check lint
''',
    "meson.build": "project('ring', 'c', default_options: ['werror=true', 'warning_level=3'])\nlib = static_library('ring', 'ring.c')\ntest('ring', executable('check_ring', 'tests/check_ring.c', link_with: lib))\ntest('cli', find_program('tests/cli.sh'))\n",
    ".clang-tidy": "Checks: 'bugprone-*,clang-analyzer-*'\nWarningsAsErrors: '*'\n",
    ".gitlab-ci.yml": "check:\n  script:\n    - make check\n    - make lint\n",
}

RS = {
    "Cargo.toml": "[package]\nname = \"roman\"\nversion = \"0.3.1\"\nedition = \"2021\"\n\n[lints.clippy]\nunwrap_used = \"deny\"\n",
    "src/lib.rs": '''#![deny(unsafe_code)]
//! Roman numerals.

#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    Zero,
    TooLarge(u32),
}

const TABLE: [(u32, &str); 13] = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"),
    (5, "V"), (4, "IV"), (1, "I"),
];

pub fn write(mut n: u32) -> Result<String, Error> {
    if n == 0 {
        return Err(Error::Zero);
    }
    if n > 3999 {
        return Err(Error::TooLarge(n));
    }
    let mut out = String::new();
    for (value, text) in TABLE {
        while n >= value {
            out.push_str(text);
            n -= value;
        }
    }
    Ok(out)
}

pub fn digits(s: &str) -> usize {
    s.chars().filter(|c| "IVXLCDM".contains(*c)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_digits() {
        assert_eq!(digits("XIV"), 3);
        assert_eq!(digits("abc"), 0);
    }
}
''',
    "tests/numerals.rs": '''use roman::{write, Error};

#[test]
fn small_numbers() {
    assert_eq!(write(4).unwrap(), "IV");
    assert_eq!(write(9).unwrap(), "IX");
    assert_eq!(write(14).unwrap(), "XIV");
}

#[test]
fn years() {
    for (n, want) in [(1984, "MCMLXXXIV"), (2026, "MMXXVI")] {
        assert_eq!(write(n).unwrap(), want, "{n}");
    }
}

#[test]
fn bounds() {
    assert_eq!(write(0), Err(Error::Zero));
    assert!(matches!(write(4000), Err(Error::TooLarge(4000))));
}
''',
    ".github/workflows/rust.yml": "on: push\njobs:\n  t:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: cargo fmt --check\n      - run: cargo clippy --all-targets -- -D warnings\n      - run: cargo test --all\n",
}

GO = {
    "go.mod": "module example.net/wc\n\ngo 1.21\n",
    "wc.go": '''package wc

import (
	"errors"
	"strings"
)

var ErrEmpty = errors.New("empty")

func Words(s string) (int, error) {
	if s == "" {
		return 0, ErrEmpty
	}
	return len(strings.Fields(s)), nil
}

func Longest(words []string) string {
	best := ""
	for _, w := range words {
		if len(w) > len(best) {
			best = w
		}
	}
	return best
}
''',
    "wc_test.go": '''package wc

import (
	"errors"
	"testing"
)

func TestWords(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want int
	}{
		{"one", "one", 1},
		{"tabs", "a\\tb c", 3},
		{"lines", "x\\ny\\n", 2},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Words(tc.in)
			if err != nil {
				t.Fatalf("Words(%q): %v", tc.in, err)
			}
			if got != tc.want {
				t.Errorf("Words(%q) = %d, want %d", tc.in, got, tc.want)
			}
		})
	}
}

func TestWordsEmpty(t *testing.T) {
	if _, err := Words(""); !errors.Is(err, ErrEmpty) {
		t.Fatal("no error for nothing")
	}
}

func TestLongest(t *testing.T) {
	if got := Longest([]string{"go", "gopher", "gone"}); got != "gopher" {
		t.Fatalf("got %q", got)
	}
}
''',
    ".golangci.yml": "linters:\n  enable:\n    - errcheck\n    - staticcheck\n",
    "Makefile": "check:\n\tgo vet ./...\n\tgo test -race ./...\n\tgolangci-lint run\n",
}

JAVA = {
    "pom.xml": "<project>\n  <build>\n    <plugins>\n      <plugin>\n        <artifactId>maven-surefire-plugin</artifactId>\n        <configuration>\n          <trimStackTrace>false</trimStackTrace>\n        </configuration>\n      </plugin>\n    </plugins>\n  </build>\n</project>\n",
    "src/main/java/net/example/Stack.java": '''package net.example;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;

public class Stack<T> {
    private final List<T> items = new ArrayList<>();

    public void push(T item) {
        items.add(item);
    }

    public T pop() {
        if (items.isEmpty()) {
            throw new NoSuchElementException("empty");
        }
        return items.remove(items.size() - 1);
    }

    public int size() {
        return items.size();
    }

    static String reverse(String s) {
        return new StringBuilder(s).reverse().toString();
    }
}
''',
    "src/test/java/net/example/StackTest.java": '''package net.example;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.NoSuchElementException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class StackTest {
    private Stack<String> stack;

    @BeforeEach
    void prepare() {
        stack = new Stack<>();
    }

    @Test
    void popsInReverse() {
        stack.push("a");
        stack.push("b");
        assertEquals("b", stack.pop());
        assertEquals("a", stack.pop());
    }

    @Test
    void refusesToPopNothing() {
        assertThrows(NoSuchElementException.class, () -> stack.pop());
    }

    @Test
    void countsItems() {
        stack.push("x");
        assertEquals(1, stack.size());
        assertTrue(stack.size() > 0);
    }

    @Test
    void reverses() {
        assertEquals("olleh", Stack.reverse("hello"));
    }
}
''',
    ".github/workflows/maven.yml": "on: push\njobs:\n  b:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n      - run: mvn --batch-mode verify\n",
}

SH = {
    "semver.sh": '''#!/bin/sh
# semver.sh: compares versions.

major() { echo "${1%%.*}"; }
minor() { rest=${1#*.}; echo "${rest%%.*}"; }

newer() {
    a=$(major "$1") b=$(major "$2")
    [ "$a" -gt "$b" ] && return 0
    [ "$a" -lt "$b" ] && return 1
    [ "$(minor "$1")" -gt "$(minor "$2")" ]
}
''',
    "tests/test_semver.sh": '''#!/bin/sh
. ./semver.sh
fails=0

assert_eq() {
    if [ "$1" != "$2" ]; then
        echo "FAIL: got '$1', want '$2'"
        fails=$((fails + 1))
    fi
}

test_major() {
    assert_eq "$(major 3.4.5)" 3
    assert_eq "$(major 10.0.1)" 10
}

test_minor() {
    assert_eq "$(minor 3.4.5)" 4
}

test_newer() {
    newer 2.0 1.9 || { echo "FAIL: 2.0 is newer"; fails=$((fails + 1)); }
    if newer 1.2 1.10; then
        echo "FAIL: 1.10 is newer"
        fails=$((fails + 1))
    fi
}

test_major
test_minor
test_newer
exit $((fails > 0))
''',
    "Makefile": "check:\n\tsh tests/test_semver.sh\n\tshellcheck semver.sh tests/*.sh\n",
    ".travis.yml": "language: generic\nscript:\n  - make check\n",
    "install.sh": "#!/bin/sh\nset -e\ninstall -m 755 semver.sh /usr/local/bin/semver\n",
}
