#!/usr/bin/env python3
"""verify.py --build DIR: what `stead verify` costs around a gate: milliseconds of its own, beside the command's time.

Two repositories, ten files and ten thousand, each with three gates (a command that passes, one that fails before and after, one
with a TAP report) over a one-line change; medians of ROUNDS runs, with the baseline in the cache. Target: 50 ms a gate.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

ROUNDS = 7
TARGET_MS = 50
GATES = ["true", "echo 'old.c:1:1: error: old'; exit 1", "printf '1..2\\nok 1 - a\\nok 2 - b\\n'"]


def repository(where, files):
    os.makedirs(where)
    for i in range(files):
        path = os.path.join(where, "src%d" % (i // 100))
        os.makedirs(path, exist_ok=True)
        with open(os.path.join(path, "f%d.c" % i), "w") as f:
            f.write("int f%d(void)\n{\n    return %d;\n}\n" % (i, i))
    for args in (["init", "-q"], ["add", "-A"], ["-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", where] + args, check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(where, "src0", "f0.c"), "a") as f:
        f.write("int g;\n")


def measure(stead, where, root):
    env = dict(os.environ, STEAD_CACHE_DIR=root + "/cache", STEAD_STATE_DIR=root + "/state", HOME=root)
    args = [stead, "-C", where, "verify", "--json"]
    for g in GATES:
        args += ["--gate", g]
    own, rules = [], []
    for i in range(ROUNDS + 1):
        v = json.loads(subprocess.run(args, env=env, capture_output=True, text=True).stdout)
        if i:  # the first pays for the baseline
            own.append([g["overhead_ms"] for g in v["gates"]])
            rules.append(v["duration_ms"] - sum(g["overhead_ms"] + g["duration_ms"] for g in v["gates"]))
    return [statistics.median(x) for x in zip(*own)], statistics.median(rules)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    stead = os.path.abspath(os.path.join(parser.parse_args().build, "src/cli/stead"))
    worst = 0
    with tempfile.TemporaryDirectory(prefix="stead-bench-") as root:
        for files in (10, 10000):
            where = os.path.join(root, "r%d" % files)
            repository(where, files)
            own, rest = measure(stead, where, root)
            worst = max([worst] + own)
            print("%6d files: first gate (starts the sandbox) %d ms, then %s ms; rules and the rest %d ms"
                  % (files, own[0], ", ".join("%d" % x for x in own[1:]), rest))
    print("overhead a gate: at most %d ms (target %d)" % (worst, TARGET_MS))


main()
