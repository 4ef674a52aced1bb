#!/usr/bin/env python3
"""Writes small git repositories, each with a test that fails from the start, a flaky one and some that pass.

    repositories.py DIR [NAME...]      make them (all, or these); prints one name a line
    repositories.py --variant DIR/NAME innocent|regression|fix|broken
                                       put an uncommitted edit into the working tree

The base commit is the same in each: test "old" fails, "flaky" fails every fifth time or so, the others
pass. `innocent` changes the source without changing what it does, `regression` breaks `sub`, `fix` repairs
what "old" tests, `broken` no longer compiles (or parses).
"""
import os
import shutil
import subprocess
import sys

PY_SOURCE = {
    "calc.py": "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\ndef old(a):\n    return a + 1\n",
}
PY_EDITS = {
    "innocent": ("calc.py", "return a + b", "return b + a"),
    "regression": ("calc.py", "return a - b", "return a + b"),
    "fix": ("calc.py", "return a + 1", "return a"),
    "broken": ("calc.py", "return a - b", "return a -"),
}
C_SOURCE = (
    "int add(int a, int b)\n{\n    return a + b;\n}\n\nint sub(int a, int b)\n{\n    return a - b;\n}\n\n"
    "int old(int a)\n{\n    return a + 1;\n}\n"
)
C_EDITS = {
    "innocent": ("calc.c", "return a + b;", "return b + a;"),
    "regression": ("calc.c", "return a - b;", "return a + b;"),
    "fix": ("calc.c", "return a + 1;", "return a;"),
    "broken": ("calc.c", "return a - b;", "return a - c;"),
}
C_MAIN = """#include <stdio.h>
#include <string.h>
#include <time.h>

int add(int a, int b);
int sub(int a, int b);
int old(int a);

static int flaky(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_nsec / 1000 % 5 != 0;
}

int main(int argc, char **argv)
{
    const char *t = argc > 1 ? argv[1] : "";
    if (!strcmp(t, "add"))
        return add(1, 2) == 3 ? 0 : 1;
    if (!strcmp(t, "sub"))
        return sub(3, 1) == 2 ? 0 : 1;
    if (!strcmp(t, "old"))
        return old(1) == 1 ? 0 : 1;
    return flaky() ? 0 : 1;
}
"""
JS_TEST = """import test from 'node:test';
import assert from 'node:assert';
import { add, sub, old } from '../calc.mjs';

test('add', () => assert.equal(add(1, 2), 3));
test('sub', () => assert.equal(sub(3, 1), 2));
test('old', () => assert.equal(old(1), 1));
test('flaky', () => assert.notEqual(process.hrtime.bigint() / 1000n % 5n, 0n));
"""

REPOSITORIES = {
    "make": {
        "files": {
            "calc.c": C_SOURCE,
            "test.c": C_MAIN,
            "Makefile": "CC ?= cc\nall: runner\nrunner: calc.c test.c\n\t$(CC) -o $@ calc.c test.c\n"
            "test: runner\n\t@bad=0; for t in add sub old flaky; do if ./runner $$t; then echo \"PASS: $$t\"; "
            "else echo \"FAIL: $$t\"; bad=1; fi; done; exit $$bad\nclean:\n\trm -f runner\n",
            ".gitignore": "runner\n",
        },
        "edits": C_EDITS, "names": {"old": "old", "sub": "sub", "flaky": "flaky"}, "needs": ["make", "cc"],
    },
    "cmake": {
        "files": {
            "calc.c": C_SOURCE,
            "test.c": C_MAIN,
            "CMakeLists.txt": "cmake_minimum_required(VERSION 3.13)\nproject(calc C)\nenable_testing()\nadd_executable(runner calc.c test.c)\n"
            + "".join("add_test(NAME %s COMMAND runner %s)\n" % (t, t) for t in ("add", "sub", "old", "flaky")),
        },
        "edits": C_EDITS, "names": {"old": "old", "sub": "sub", "flaky": "flaky"}, "needs": ["cmake", "ctest", "cc"],
    },
    "meson": {
        "files": {
            "calc.c": C_SOURCE,
            "test.c": C_MAIN,
            "meson.build": "project('calc', 'c')\nrunner = executable('runner', 'calc.c', 'test.c')\n"
            + "".join("test('%s', runner, args: ['%s'])\n" % (t, t) for t in ("add", "sub", "old", "flaky")),
        },
        "edits": C_EDITS, "names": {"old": "old", "sub": "sub", "flaky": "flaky"}, "needs": ["meson", "ninja", "cc"],
    },
    "unittest": {
        "files": dict(PY_SOURCE, **{
            "test_calc.py": "import time\nimport unittest\n\nimport calc\n\n\nclass Calc(unittest.TestCase):\n"
            "    def test_add(self):\n        self.assertEqual(calc.add(1, 2), 3)\n\n"
            "    def test_sub(self):\n        self.assertEqual(calc.sub(3, 1), 2)\n\n"
            "    def test_old(self):\n        self.assertEqual(calc.old(1), 1)\n\n"
            "    def test_flaky(self):\n        self.assertNotEqual(time.monotonic_ns() // 1000 % 5, 0)\n",
            "AGENTS.md": "# Working here\n\nRun the tests with `python3 -m unittest -v`.\n",
        }),
        "edits": PY_EDITS, "names": {"old": "test_calc.Calc.test_old", "sub": "test_calc.Calc.test_sub", "flaky": "test_calc.Calc.test_flaky"},
        "needs": ["python3"],
    },
    "pytest": {
        "files": dict(PY_SOURCE, **{
            "tests/test_calc.py": "import time\n\nimport calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n\n\n"
            "def test_sub():\n    assert calc.sub(3, 1) == 2\n\n\ndef test_old():\n    assert calc.old(1) == 1\n\n\n"
            "def test_flaky():\n    assert time.monotonic_ns() // 1000 % 5 != 0\n",
            "pyproject.toml": "[project]\nname = \"calc\"\nversion = \"1\"\n\n[tool.pytest.ini_options]\npythonpath = [\".\"]\n",
        }),
        "edits": PY_EDITS,
        "names": {"old": "tests/test_calc.py::test_old", "sub": "tests/test_calc.py::test_sub", "flaky": "tests/test_calc.py::test_flaky"},
        "needs": ["python3", "python3:pytest"],
    },
    "node": {
        "files": {
            "calc.mjs": "export function add(a, b) {\n  return a + b;\n}\n\nexport function sub(a, b) {\n  return a - b;\n}\n\n"
            "export function old(a) {\n  return a + 1;\n}\n",
            "test/calc.test.mjs": JS_TEST,
            "package.json": "{\n  \"name\": \"calc\",\n  \"version\": \"1.0.0\",\n  \"scripts\": {\n    \"test\": \"node --test\"\n  }\n}\n",
        },
        "edits": {
            "innocent": ("calc.mjs", "return a + b;", "return b + a;"), "regression": ("calc.mjs", "return a - b;", "return a + b;"),
            "fix": ("calc.mjs", "return a + 1;", "return a;"), "broken": ("calc.mjs", "return a - b;", "return a - ;"),
        },
        "names": {"old": "old", "sub": "sub", "flaky": "flaky"}, "needs": ["node", "npm"],
    },
    "cargo": {
        "files": {
            "Cargo.toml": "[package]\nname = \"calc\"\nversion = \"0.1.0\"\nedition = \"2021\"\n",
            "Cargo.lock": "version = 3\n\n[[package]]\nname = \"calc\"\nversion = \"0.1.0\"\n",
            "src/lib.rs": "pub fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n\npub fn sub(a: i32, b: i32) -> i32 {\n    a - b\n}\n\n"
            "pub fn old(a: i32) -> i32 {\n    a + 1\n}\n",
            "tests/calc.rs": "use calc::*;\n\n#[test]\nfn adds() {\n    assert_eq!(add(1, 2), 3);\n}\n\n#[test]\nfn subs() {\n"
            "    assert_eq!(sub(3, 1), 2);\n}\n\n#[test]\nfn olds() {\n    assert_eq!(old(1), 1);\n}\n\n#[test]\nfn flaky() {\n"
            "    let t = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();\n"
            "    assert_ne!(t.subsec_micros() % 5, 0);\n}\n",
            ".gitignore": "target\n",
        },
        "edits": {
            "innocent": ("src/lib.rs", "    a + b", "    b + a"), "regression": ("src/lib.rs", "    a - b", "    a + b"),
            "fix": ("src/lib.rs", "    a + 1", "    a"), "broken": ("src/lib.rs", "    a - b", "    a - c"),
        },
        "names": {"old": "tests/calc.rs::olds", "sub": "tests/calc.rs::subs", "flaky": "tests/calc.rs::flaky"}, "needs": ["cargo"],
    },
    "go": {
        "files": {
            "go.mod": "module example.org/calc\n\ngo 1.19\n",
            "calc.go": "package calc\n\nfunc Add(a, b int) int {\n\treturn a + b\n}\n\nfunc Sub(a, b int) int {\n\treturn a - b\n}\n\n"
            "func Old(a int) int {\n\treturn a + 1\n}\n",
            "calc_test.go": "package calc\n\nimport (\n\t\"testing\"\n\t\"time\"\n)\n\n"
            "func TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Error(\"add\")\n\t}\n}\n\n"
            "func TestSub(t *testing.T) {\n\tif Sub(3, 1) != 2 {\n\t\tt.Error(\"sub\")\n\t}\n}\n\n"
            "func TestOld(t *testing.T) {\n\tif Old(1) != 1 {\n\t\tt.Error(\"old\")\n\t}\n}\n\n"
            "func TestFlaky(t *testing.T) {\n\tif time.Now().UnixMicro()%5 == 0 {\n\t\tt.Error(\"flaky\")\n\t}\n}\n",
        },
        "edits": {
            "innocent": ("calc.go", "return a + b", "return b + a"), "regression": ("calc.go", "return a - b", "return a + b"),
            "fix": ("calc.go", "return a + 1", "return a"), "broken": ("calc.go", "return a - b", "return a - c"),
        },
        "names": {"old": "example.org/calc::TestOld", "sub": "example.org/calc::TestSub", "flaky": "example.org/calc::TestFlaky"},
        "needs": ["go"],
    },
    "shell": {
        # a runner of its own, whose output no reader knows
        "files": {
            "calc.sh": "add() { echo $(($1 + $2)); }\nsub() { echo $(($1 - $2)); }\nold() { echo $(($1 + 1)); }\n",
            "test.sh": "#!/bin/sh\n. ./calc.sh\nbad=0\nexpect() {\n    if [ \"$2\" = \"$3\" ]; then echo \"$1: fine\"; else echo \"$1: wrong, $2 is not $3\"; bad=1; fi\n}\n"
            "expect add \"$(add 1 2)\" 3\nexpect sub \"$(sub 3 1)\" 2\nexpect old \"$(old 1)\" 1\n"
            "expect flaky \"$(($(date +%N | sed 's/^0*//;s/...$//;s/^$/1/') % 5 != 0))\" 1\nexit $bad\n",
        },
        "edits": {
            "innocent": ("calc.sh", "$1 + $2", "$2 + $1"), "regression": ("calc.sh", "$1 - $2", "$1 + $2"),
            "fix": ("calc.sh", "$1 + 1", "$1 + 0"), "broken": ("calc.sh", "sub() {", "sub() ("),
        },
        "names": {"old": "old", "sub": "sub: wrong, 4 is not 2", "flaky": "flaky"}, "needs": ["sh"], "unstructured": True,
    },
    "bats": {
        "files": {
            "calc.sh": "add() { echo $(($1 + $2)); }\nsub() { echo $(($1 - $2)); }\nold() { echo $(($1 + 1)); }\n",
            "test/calc.bats": "setup() {\n  . \"$BATS_TEST_DIRNAME/../calc.sh\"\n}\n\n@test \"add\" {\n  [ \"$(add 1 2)\" = 3 ]\n}\n\n"
            "@test \"sub\" {\n  [ \"$(sub 3 1)\" = 2 ]\n}\n\n@test \"old\" {\n  [ \"$(old 1)\" = 1 ]\n}\n\n"
            "@test \"flaky\" {\n  n=$(date +%s%N)\n  [ $((n / 1000 % 5)) != 0 ]\n}\n",
        },
        "edits": {
            "innocent": ("calc.sh", "$1 + $2", "$2 + $1"), "regression": ("calc.sh", "$1 - $2", "$1 + $2"),
            "fix": ("calc.sh", "$1 + 1", "$1 + 0"), "broken": ("calc.sh", "sub() {", "sub() ("),
        },
        "names": {"old": "old", "sub": "sub", "flaky": "flaky"}, "needs": ["bats"],
    },
}


def git(where, *args):
    env = dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_SYSTEM="/dev/null", GIT_AUTHOR_DATE="2026-01-01T00:00:00Z",
               GIT_COMMITTER_DATE="2026-01-01T00:00:00Z")
    subprocess.run(["git", "-c", "user.name=Seed", "-c", "user.email=seed@example.org", *args], cwd=where, check=True, env=env,
                   stdout=subprocess.DEVNULL)


def write(where, files):
    for name, text in files.items():
        path = os.path.join(where, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        if name.endswith(".sh"):
            os.chmod(path, 0o755)


def available(spec):
    for need in spec["needs"]:
        program, _, module = need.partition(":")
        if module:
            if subprocess.run(["/usr/bin/" + program, "-c", "import " + module], stderr=subprocess.DEVNULL).returncode:
                return "no python module " + module
        elif not shutil.which(program, path="/usr/local/bin:/usr/bin:/bin"):
            return program + " is not installed"
    return ""


def make(root, name):
    where = os.path.join(root, name)
    shutil.rmtree(where, ignore_errors=True)
    os.makedirs(where)
    write(where, REPOSITORIES[name]["files"])
    git(where, "init", "-q", "-b", "main")
    git(where, "add", "-A")
    git(where, "commit", "-q", "-m", "first")
    return where


def variant(where, kind):
    git(where, "checkout", "-q", "--", ".")
    git(where, "clean", "-qfd")
    file, old, new = REPOSITORIES[os.path.basename(where)]["edits"][kind]
    path = os.path.join(where, file)
    with open(path) as f:
        text = f.read()
    assert text.count(old) >= 1, (where, kind)
    with open(path, "w") as f:
        f.write(text.replace(old, new, 1))


def main(argv):
    if argv[:1] == ["--variant"]:
        variant(argv[1].rstrip("/"), argv[2])
        return
    for name in argv[1:] or REPOSITORIES:
        make(argv[0], name)
        print(name)


if __name__ == "__main__":
    main(sys.argv[1:])
