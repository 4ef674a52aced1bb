#!/usr/bin/env python3
"""Gates that hang, flood, fork, crash, lie, or leave things behind: each ends as described, nothing stays.

    test_hostile_gates.py STEAD
"""
import json
import os
import subprocess
import sys
import tempfile
import time

stead = sys.argv[1]
bad = 0


def run(where, cache, *args, timeout=120):
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": cache, "STEAD_CACHE_DIR": cache, "STEAD_STATE_DIR": cache + "/state", "LANG": "C.UTF-8"}
    began = time.monotonic()
    p = subprocess.run([stead, "-C", where, "verify", "--json", *args], env=env, capture_output=True, text=True, timeout=timeout)
    if p.returncode == 7:
        print("skipped: no sandbox here:", p.stderr.strip())
        sys.exit(77)
    try:
        return p.returncode, json.loads(p.stdout), time.monotonic() - began
    except ValueError:
        raise SystemExit("exit %d, not JSON: %r %r" % (p.returncode, p.stdout[:400], p.stderr[:2000]))


def check(what, ok, v):
    global bad
    print(("ok: " if ok else "FAIL: ") + what)
    if not ok:
        bad += 1
        print(json.dumps(v, indent=1)[:2000])


def processes(mark):
    n = 0
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    n += mark.encode() in f.read()
            except OSError:
                pass
    return n


def config(where, timeout):
    with open(os.path.join(where, "stead.yaml"), "w") as f:
        f.write("gates:\n  - command: ./gate.sh\n    kind: test\n    timeout: %s\n" % timeout)


def gate(where, text):
    path = os.path.join(where, "gate.sh")
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


with tempfile.TemporaryDirectory(prefix="stead-hostile-") as root:
    where, cache = os.path.join(root, "w"), os.path.join(root, "c")
    os.makedirs(where)
    os.makedirs(cache)
    config(where, "2s")

    gate(where, "echo begin; sleep 1234567; echo end\n")
    code, v, took = run(where, cache)
    g = v["gates"][0]
    check("a gate that hangs is killed at its limit and is red", code == 3 and g["new_failures"] == ["timed out"] and took < 20, v)
    check("nothing of it is left", processes("1234567") == 0, v)

    gate(where, "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; sleep 2345678' & sleep 2345678\n")
    code, v, took = run(where, cache)
    check("one that ignores signals and leaves its session too", code == 3 and took < 20 and processes("2345678") == 0, v)

    gate(where, "while :; do head -c 1000000 /dev/zero | tr '\\0' x; echo; done\n")
    code, v, took = run(where, cache)
    check("a gate that floods is ended, and its output capped", code == 3 and took < 30 and len(json.dumps(v)) < 200000, v)

    gate(where, "head -c 100000000 /dev/urandom; exit 1\n")
    code, v, took = run(where, cache)
    check("100 MB of noise are red, not a crash", code == 3 and v["gates"][0]["verdict"] == "fail", v)

    gate(where, "bomb() { bomb | bomb & }; bomb; sleep 3456789\n")
    code, v, took = run(where, cache)
    check("a gate that forks without end is ended", code == 3 and took < 60 and processes("3456789") == 0, v)

    gate(where, "kill -9 $$\n")
    code, v, took = run(where, cache)
    check("a gate killed by a signal is red", code == 3 and v["gates"][0]["status"] == 137, v)

    gate(where, "sleep 4567890 & echo fine; exit 0\n")
    code, v, took = run(where, cache)
    check("a passing gate that leaves a process passes, and nothing stays", code == 0 and processes("4567890") == 0, v)

    gate(where, "echo x > written; echo y >> gate.sh; rm -f stead.yaml; rm -rf .git; exit 0\n")
    code, v, took = run(where, cache)
    check("a gate writes to a throw-away copy only", code == 0 and os.path.exists(where + "/stead.yaml") and not os.path.exists(where + "/written"), v)

    gate(where, "printf '\\033]0;x\\007\\033[2J1..1\\nnot ok 1 - \\033[31mred\\n'; exit 1\n")
    code, v, took = run(where, cache)
    check("escape sequences do not reach a name", code == 3 and "\x1b" not in json.dumps(v, ensure_ascii=False), v)

    os.unlink(where + "/gate.sh")
    code, v, took = run(where, cache)
    check("a gate whose program is missing is red when a person named it", code == 3, v)

    code, v, took = run(where, cache, "--gate", "true")
    check("a gate that passes is verified", code == 0 and v["verdict"] == "verified", v)

    os.unlink(where + "/stead.yaml")
    code, v, took = run(where, cache)
    check("no gate at all is unverified in words", code == 6 and v["verdict"] == "unverified" and "no gate" in v["reason"], v)

    with open(where + "/mix.exs", "w") as f:
        f.write("\n")
    code, v, took = run(where, cache)
    check("a tool that is not installed is skipped, with the reason, and nothing is verified",
          code == 6 and v["gates"][0]["verdict"] == "skipped" and "not installed" in v["gates"][0]["reason"], v)

sys.exit(1 if bad else 0)
