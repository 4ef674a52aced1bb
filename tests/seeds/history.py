#!/usr/bin/env python3
"""How often the rules speak on commits that people made and kept: for a person to run, not part of any test suite.

    history.py STEAD REPOSITORY [COUNT]    the last COUNT commits (300) that are not merges
    history.py STEAD --quilt DIR           the patches of an unpacked Debian source package, one commit each

Prints each finding and, at the end, the share of commits with one of severity `person` or `block` (an alarm),
and with a note only.
"""
import json
import os
import subprocess
import sys
import tempfile


def git(where, *args):
    return subprocess.run(["git", "-C", where, *args], check=True, capture_output=True, text=True, errors="replace").stdout


def quilt(src, root):
    """A repository of the package's upstream tree with one commit a patch."""
    where = os.path.join(root, os.path.basename(src.rstrip("/")))
    subprocess.run(["cp", "-r", src, where], check=True)
    patches = [line.split()[0] for line in open(os.path.join(src, "debian/patches/series")) if line.strip() and not line.startswith("#")]
    for p in reversed(patches):
        subprocess.run(["patch", "-R", "-p1", "-s", "-f", "-i", os.path.join(src, "debian/patches", p)], cwd=where, stdout=subprocess.DEVNULL, check=False)
    subprocess.run("rm -rf .pc debian; find . -name '*.rej' -o -name '*.orig' | xargs -r rm -f; find . -name .gitignore -delete", shell=True, cwd=where, check=True)
    git(where, "init", "-q")
    git(where, "add", "-A")
    git(where, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "upstream")
    for p in patches:
        r = subprocess.run(["patch", "-p1", "-s", "-f", "-i", os.path.join(src, "debian/patches", p)], cwd=where, stdout=subprocess.DEVNULL)
        subprocess.run("find . -name '*.rej' -o -name '*.orig' | xargs -r rm -f", shell=True, cwd=where, check=True)
        git(where, "add", "-A")
        if r.returncode == 0 and git(where, "status", "--porcelain"):
            git(where, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", p)
    return where


def measure(stead, where, count):
    commits = git(where, "log", "--no-merges", "--format=%H", "-n", str(count)).split()
    seen = alarms = notes = 0
    for c in commits:
        p = subprocess.run([stead, "-C", where, "verify", "--rules-only", "--json", c], capture_output=True, text=True)
        v = json.loads(p.stdout)
        if "findings" not in v:
            if "names no commit" not in p.stdout + p.stderr:  # the first commit has no parent
                print("%s: exit %d: %s" % (c, p.returncode, p.stdout.strip()[:200]))
            continue
        seen += 1
        hard = [f for f in v["findings"] if f["severity"] != "note"]
        alarms += bool(hard)
        notes += bool(v["findings"]) and not hard
        for f in v["findings"]:
            print("%s %s %-6s %s:%s %s" % (c[:10], f["rule"], f["severity"], f["file"], f["line"], f["message"][:150]))
    print("%s: %d commits, %d with an alarm (%.1f %%), %d with notes only (%.1f %%)"
          % (os.path.basename(where), seen, alarms, 100.0 * alarms / max(seen, 1), notes, 100.0 * notes / max(seen, 1)))
    return seen, alarms, notes


def main(argv):
    if argv[1] == "--quilt":
        with tempfile.TemporaryDirectory(prefix="stead-history-") as root:
            measure(argv[0], quilt(os.path.abspath(argv[2]), root), 100000)
    else:
        measure(argv[0], argv[1], int(argv[2]) if len(argv) > 2 else 300)


main(sys.argv[1:])
