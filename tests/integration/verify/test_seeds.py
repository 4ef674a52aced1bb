#!/usr/bin/env python3
"""`stead verify` on seeded repositories: only the regression blocks.

    test_seeds.py STEAD SEEDS_DIR [NAME...]

Each repository of repositories.py that can run here, with each of its edits. A missing tool is a visible skip.
Exit 77 when the sandbox cannot be set up.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

stead, seeds = sys.argv[1], sys.argv[2]
sys.path.insert(0, seeds)
import repositories as R  # noqa: E402  (found only after the path is set)


def own_toolchain():
    """A Rust of rustup's: outside of what a sandbox shows, so it is mounted and put into PATH."""
    for home in (os.environ.get("RUSTUP_HOME"), os.path.expanduser("~/.rustup")):
        for path in sorted(glob.glob(os.path.join(home or "/nonexistent", "toolchains", "*", "bin", "cargo"))):
            return os.path.dirname(os.path.dirname(path))
    return None


RUST = own_toolchain()
PATH = "/usr/local/bin:/usr/bin:/bin"


def verify(where, cache, *args):
    path = PATH
    if RUST and os.path.exists(os.path.join(where, "Cargo.toml")):
        path = RUST + "/bin:" + PATH
        with open(cache + "/config.yaml", "w") as f:
            f.write("sandbox:\n  mounts: [%s]\n  env: [PATH]\n" % json.dumps(RUST))
        args = ("--config", cache + "/config.yaml") + args
    env = {"PATH": path, "HOME": cache, "STEAD_CACHE_DIR": cache, "STEAD_STATE_DIR": cache + "/state", "LANG": "C.UTF-8"}
    p = subprocess.run([stead, "-C", where, "verify", "--json", *args], env=env, capture_output=True, text=True, timeout=600)
    if p.returncode == 7:
        print("skipped: no sandbox here:", p.stderr.strip())
        sys.exit(77)
    try:
        return p.returncode, json.loads(p.stdout)
    except ValueError:
        raise SystemExit("%s: exit %d, not JSON: %r %r" % (where, p.returncode, p.stdout[:400], p.stderr[:2000]))


def fail(where, what, v):
    print("FAIL: %s: %s" % (where, what))
    print(json.dumps(v, indent=1)[:3000])
    return 1


def one(root, name, cache):
    spec = R.REPOSITORIES[name]
    missing = "" if name == "cargo" and RUST else R.available(spec)
    if missing:
        print("skip: %s: %s" % (name, missing))
        return 0
    where = R.make(root, name)
    sub, old, bad, overhead = spec["names"]["sub"], spec["names"]["old"], 0, []
    for kind in ("innocent", "regression", "fix", "broken"):
        R.variant(where, kind)
        code, v = verify(where, cache)
        tests = [g for g in v["gates"] if g["kind"] == "test"]
        if len(tests) != 1:
            bad += fail(where, kind + ": expected one test gate", v)
            continue
        g = tests[0]
        overhead.append(g["overhead_ms"])
        if g["verdict"] == "skipped":
            print("skip: %s: %s" % (name, g.get("reason")))
            return 0
        stable = [n for n in g["new_failures"] if "flaky" not in n.lower()]
        if len(stable) != len(g["new_failures"]) and kind != "broken":
            print("note: %s/%s: the flaky test failed four times in a row" % (name, kind))
        if kind in ("innocent", "fix"):
            if stable or v["verdict"] == "red" and stable == g["new_failures"]:
                bad += fail(where, kind + " must not be red", v)
            elif not g["new_failures"] and code not in ((0, 6) if spec.get("unstructured") else (0,)):
                bad += fail(where, "%s: exit %d" % (kind, code), v)
            if kind == "innocent" and not spec.get("unstructured") and old not in g["old_failures"]:
                bad += fail(where, "the old failure is not named as old", v)
        elif kind == "regression":
            if v["verdict"] != "red" or code != 3 or stable != [sub]:
                bad += fail(where, "exactly the regression must block", v)
        elif v["verdict"] != "red" or code != 3:
            bad += fail(where, "broken source must be red", v)
        elif any("old" == n.split(":")[-1] or n == old for n in g["new_failures"]) and not spec.get("unstructured"):
            bad += fail(where, "the old failure is not new", v)
    if not bad:
        print("ok: %s (our own time per gate, sandbox start included: %s ms)" % (name, ", ".join(map(str, overhead))))
    return bad


def main():
    bad = 0
    with tempfile.TemporaryDirectory(prefix="stead-seeds-") as root:
        cache = os.path.join(root, "cache")
        os.makedirs(cache)
        for name in sys.argv[3:] or R.REPOSITORIES:
            bad += one(root, name, cache)
    sys.exit(1 if bad else 0)


main()
