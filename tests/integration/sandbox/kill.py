#!/usr/bin/env python3
"""kill.py STEAD [--uid N] [ROUNDS]: SIGKILL `stead sandbox run` at random moments; started as root, as identity N.

Then no process of the sandbox lives on; after the next run nothing of it is on disk, and no cgroup is left; the
workspace is what it was.
"""
import os
import random
import subprocess
import sys
import tempfile
import time
import shutil


def alive(mark):
    n = 0
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    n += mark in f.read()
            except OSError:
                pass
    return n


def cgroups(pid):
    found = []
    for root, dirs, _ in os.walk("/sys/fs/cgroup"):
        found += [d for d in dirs if d.startswith("stead-%d-" % pid)]
    return found


def main():
    stead = os.path.abspath(sys.argv[1])
    args = sys.argv[2:]
    become = {}
    if args[:1] == ["--uid"]:
        if os.geteuid() != 0:
            print("needs root, to become somebody else")
            return 77
        become = {"user": int(args[1]), "group": int(args[1]), "extra_groups": []}
        args = args[2:]
    rounds = int(args[0]) if args else 40
    base = tempfile.mkdtemp(prefix="stead-kill-")
    os.chmod(base, 0o755)
    ws, state = base + "/ws", base + "/state"
    os.mkdir(ws)
    os.mkdir(state)
    with open(ws + "/a.txt", "w") as f:
        f.write("alpha\n")
    env = dict(os.environ, STEAD_STATE_DIR=state)
    if become:
        for path in (base, ws, ws + "/a.txt", state):
            os.chown(path, become["user"], become["group"])
        env["HOME"] = base
        build = os.path.dirname(stead)
        stead = shutil.copy(stead, base)
        shutil.copy(build + "/../sandbox/helper/stead-helper", base)
    if subprocess.run([stead, "sandbox", "run", "--", "true"], cwd=ws, env=env, capture_output=True, **become).returncode == 7:
        print("no sandbox can be set up here")
        return 77
    rng = random.Random(int.from_bytes(os.urandom(4), "big"))
    pids = []
    try:
        for i in range(rounds):
            mark = b"6%d.%d" % (os.getpid(), i)
            script = "echo x > new; echo y > a.txt; setsid sleep %s & sleep %s & sleep 0.03; exec sleep %s" % ((mark.decode(),) * 3)
            options = rng.choice([[], ["--keep"], ["--ro"]])
            p = subprocess.Popen([stead, "sandbox", "run", *options, "--", "sh", "-c", script], cwd=ws, env=env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **become)
            pids.append(p.pid)
            time.sleep(rng.random() * 0.15)
            p.kill()
            p.wait()
            end = time.monotonic() + 10
            while alive(mark) and time.monotonic() < end:
                time.sleep(0.005)
            if alive(mark):
                print("round %d: a process outlived stead" % i)
                return 1
            if os.listdir(ws) != ["a.txt"] or open(ws + "/a.txt").read() != "alpha\n":
                print("round %d: the workspace was written" % i)
                return 1
        time.sleep(2.2)  # a layer without a description is given that long to get one
        subprocess.run([stead, "sandbox", "run", "--", "true"], cwd=ws, env=env, check=True, **become)
        left = os.listdir(state + "/layers") if os.path.isdir(state + "/layers") else []
        groups = [g for pid in pids for g in cgroups(pid)] if os.geteuid() == 0 else []
        if left or groups:
            print("left behind:", left, groups)
            return 1
        print("%d kills: nothing lived on, nothing was left" % rounds)
        return 0
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
