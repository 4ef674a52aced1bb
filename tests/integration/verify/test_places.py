#!/usr/bin/env python3
"""`stead verify` where a change lies: packages of a workspace, what is staged, a hook of git; and gates that say nothing.

    test_places.py STEAD

A missing tool is a visible skip; exit 77 when the sandbox cannot be set up.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

stead = os.path.abspath(sys.argv[1])
PATH = "/usr/local/bin:/usr/bin:/bin"
bad = 0


def environment(cache):
    return {"PATH": PATH, "HOME": cache, "STEAD_CACHE_DIR": cache, "STEAD_STATE_DIR": cache + "/state", "LANG": "C.UTF-8",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org"}


def verify(where, cache, *args):
    p = subprocess.run([stead, "-C", where, "verify", "--json", *args], env=environment(cache), capture_output=True, text=True, timeout=300)
    if p.returncode == 7:
        print("skipped: no sandbox here:", p.stderr.strip())
        sys.exit(77)
    try:
        return p.returncode, json.loads(p.stdout)
    except ValueError:
        raise SystemExit("exit %d, not JSON: %r %r" % (p.returncode, p.stdout[:400], p.stderr[:2000]))


def git(where, cache, *args):
    return subprocess.run(["git", *args], cwd=where, env=environment(cache), capture_output=True, text=True, timeout=300)


def write(where, files):
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(where, name)), exist_ok=True)
        with open(os.path.join(where, name), "w") as f:
            f.write(text)


def repository(root, name, cache, files):
    where = os.path.join(root, name)
    write(where, files)
    for args in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "first")):
        git(where, cache, *args)
    return where


def check(what, ok, v=None):
    global bad
    print(("ok: " if ok else "FAIL: ") + what)
    if not ok:
        bad += 1
        print(json.dumps(v, indent=1)[:3000])


def gates(v):
    return {g["name"]: g for g in v["gates"]}


def npm_workspaces(root, cache):
    if not shutil.which("npm", path=PATH):
        print("skip: npm is not installed")
        return
    files = {"package.json": '{"name": "all", "private": true, "workspaces": ["packages/*"]}\n', "package-lock.json": "{}\n", ".gitignore": "node_modules\n"}
    for p in ("a", "b"):
        files["packages/%s/package.json" % p] = '{"name": "%s", "scripts": {"test": "node --test"}, "dependencies": {"left": "1"}}\n' % p
        files["packages/%s/i.mjs" % p] = "export const f = () => 1;\n"
        files["packages/%s/test/i.test.mjs" % p] = ("import test from 'node:test';\nimport assert from 'node:assert';\nimport { f } from '../i.mjs';\n"
                                                     "test('%s works', () => assert.equal(f(), 1));\n" % p)
    where = repository(root, "npm", cache, files)
    write(where, {"packages/a/i.mjs": "export const f = () => 2;\n"})
    code, v = verify(where, cache)
    check("dependencies that are not installed anywhere above: skipped, not passed",
          code == 6 and [g["verdict"] for g in v["gates"]] == ["skipped"] and "node_modules" in v["gates"][0]["reason"], v)
    os.makedirs(where + "/node_modules/left")
    code, v = verify(where, cache)
    check("npm workspaces: the touched package runs, with the dependencies of the root",
          code == 3 and list(gates(v)) == ["packages/a: npm test"] and v["gates"][0]["new_failures"] == ["a works"], v)
    write(where, {"pnpm-lock.yaml": ""})
    git(where, cache, "add", "pnpm-lock.yaml")
    git(where, cache, "commit", "-q", "-m", "pnpm")
    code, v = verify(where, cache)
    if not shutil.which("pnpm", path=PATH):
        check("the manager is the one whose lock file the root has, and it is not installed",
              code == 6 and v["gates"][0]["verdict"] == "skipped" and "pnpm" in v["gates"][0]["reason"], v)


def go_work(root, cache):
    if not shutil.which("go", path=PATH):
        print("skip: go is not installed")
        return
    files = {"go.work": "go 1.19\n\nuse (\n\t./one\n\t./two\n)\n"}
    for m in ("one", "two"):
        files[m + "/go.mod"] = "module example.org/%s\n\ngo 1.19\n" % m
        files[m + "/m.go"] = "package m\n\nfunc F() int { return 1 }\n"
        files[m + "/m_test.go"] = "package m\n\nimport \"testing\"\n\nfunc TestF(t *testing.T) {\n\tif F() != 1 {\n\t\tt.Fatal()\n\t}\n}\n"
    where = repository(root, "go", cache, files)
    write(where, {"one/m.go": "package m\n\nfunc F() int { return 2 }\n"})
    code, v = verify(where, cache)
    test = gates(v).get("one: go test", {})
    check("go.work: the touched module runs, and its failure is named", code == 3 and test.get("new_failures") == ["example.org/one::TestF"], v)
    check("go.work: the other module does not run", not any(g.startswith("two:") for g in gates(v)), v)


PYTHON = {
    "m.py": "def f():\n    return 1\n\n\ndef g():\n    return 1\n",
    "test_m.py": "import unittest\n\nimport m\n\n\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(m.f(), 1)\n\n"
                 "    def test_g(self):\n        self.assertEqual(m.g(), 1)\n",
}
BROKEN_F = PYTHON["m.py"].replace("return 1", "return 2", 1)
UNITTEST = ("--gate", "python3 -m unittest -v")


def staged(root, cache):
    where = repository(root, "staged", cache, PYTHON)
    write(where, {"m.py": BROKEN_F})
    git(where, cache, "add", "m.py")
    write(where, {"m.py": PYTHON["m.py"], "new.txt": "not staged\n"})
    code, v = verify(where, cache, "--staged", *UNITTEST)
    check("--staged looks at the index where the working tree is already better",
          code == 3 and v["gates"][0]["new_failures"] == ["test_m.T.test_f"] and v["files"] == 1, v)
    code, v = verify(where, cache, *UNITTEST)
    check("without it the working tree is looked at", code == 0, v)
    hook = "#!/bin/sh\nexec %s verify --quiet --staged --gate 'python3 -m unittest -v'\n" % stead
    write(where, {".git/hooks/pre-commit": hook})
    os.chmod(where + "/.git/hooks/pre-commit", 0o755)
    p = git(where, cache, "commit", "-m", "bad in the index")
    check("as a hook: what is staged is not committed", p.returncode != 0 and "test" in p.stdout + p.stderr, p.stderr)
    git(where, cache, "reset", "-q", "--hard")
    write(where, {"m.py": PYTHON["m.py"] + "\n\nX = 1\n"})
    git(where, cache, "add", "m.py")
    write(where, {"m.py": BROKEN_F})
    p = git(where, cache, "commit", "-m", "good in the index")
    check("as a hook: what is staged is committed, whatever the working tree has", p.returncode == 0, p.stderr)
    p = git(where, cache, "commit", "-a", "-m", "all of it")
    check("as a hook of `commit -a`: the index that git is about to take", p.returncode != 0, p.stderr)
    p = git(where, cache, "commit", "-m", "one file", "m.py")
    check("as a hook of `commit FILE` as well", p.returncode != 0, p.stderr)


def first_commit(root, cache):
    where = os.path.join(root, "first")
    write(where, {"m.py": "X = 1\n"})
    p = subprocess.run([stead, "-C", where, "verify", "--staged"], env=environment(cache), capture_output=True, text=True, timeout=60)
    check("--staged outside a repository is a mistake", p.returncode == 2 and "git repository" in p.stderr, p.stderr)
    git(where, cache, "init", "-q")
    git(where, cache, "add", "-A")
    code, v = verify(where, cache, "--staged", "--gate", "true")
    check("--staged before the first commit", code == 0, v)


def rules_alone(root, cache):
    where = repository(root, "rules", cache, PYTHON)
    write(where, {"m.py": PYTHON["m.py"] + "\n\nX = 1\n"})
    code, v = verify(where, cache, "--rules-only")
    check("--rules-only: clean, in words that are not `verified`", code == 0 and v["verdict"] == "clean" and not v["gates"], v)
    write(where, {"test_m.py": PYTHON["test_m.py"].replace("    def test_f", "    @unittest.skip('later')\n    def test_f")})
    code, v = verify(where, cache, "--rules-only")
    check("--rules-only: a skipped test asks for a person", code == 6 and v["findings"][0]["file"] == "test_m.py", v)


def gates_that_say_nothing(root, cache):
    where = repository(root, "mute", cache, dict(PYTHON, **{
        "Makefile": "test:\n\tno-such-program-here --test\n", "bad.c": "int f(void) { return x; }\n"}))
    write(where, {"m.py": BROKEN_F})
    rows = (("exit 3", "nothing said"), ("no-such-program-here", "a program that is missing"), ("make test", "one that is missing behind make"),
            ("cc -c bad.c -o /dev/null && python3 -m unittest", "a build that was broken before"),
            ("python3 -m unittest -v no_such_module", "tests that could never be loaded"))
    for command, what in rows:
        code, v = verify(where, cache, "--gate", command)
        check("a gate that failed as before vouches for nothing: " + what,
              code == 6 and v["gates"][0]["verdict"] == "error" and v["verdict"] == "unverified", v)
    write(where, {"tests/test_old.py": "import no_such_module\n", "tests/test_m.py": "import m\n\n\ndef test_f():\n    assert m.f() == 1\n\n\ndef test_g():\n    assert m.g() == 1\n",
                  "pytest.ini": "[pytest]\npythonpath = .\n"})
    os.remove(where + "/test_m.py")
    write(where, {"m.py": PYTHON["m.py"]})
    os.remove(where + "/Makefile")
    git(where, cache, "add", "-A")
    git(where, cache, "commit", "-q", "-m", "a test that cannot be loaded")
    write(where, {"m.py": BROKEN_F})
    if subprocess.run(["/usr/bin/python3", "-c", "import pytest"], stderr=subprocess.DEVNULL).returncode:
        print("skip: pytest is not installed")
        return
    code, v = verify(where, cache)
    check("a file that cannot be loaded, as before, does not keep the others from being run",
          code == 3 and v["gates"][0]["new_failures"] == ["tests/test_m.py::test_f"], v)


with tempfile.TemporaryDirectory(prefix="stead-places-") as root:
    cache = os.path.join(root, "cache")
    os.makedirs(cache)
    for part in (npm_workspaces, go_work, staged, first_commit, rules_alone, gates_that_say_nothing):
        part(root, cache)
sys.exit(1 if bad else 0)
