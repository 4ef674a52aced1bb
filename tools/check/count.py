#!/usr/bin/env python3
"""count.py TESTLOG STATUS: one line of totals from meson's log, then exit with STATUS.

A cmocka executable reports its own cases ("[  PASSED  ] 12 test(s)."); those are counted. A test
that prints no such line counts as one.
"""
import json
import re
import sys


def main():
    passed = failed = skipped = 0
    with open(sys.argv[1]) as log:
        for line in log:
            t = json.loads(line)
            text = (t.get("stdout") or "") + (t.get("stderr") or "")
            ok = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", text))
            bad = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", text))
            skip = sum(int(n) for n in re.findall(r"\[  SKIPPED \] (\d+) test", text))
            own = re.search(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.M)
            if own:
                ok, bad, skip = int(own[1]), int(own[2]), int(own[3] or 0)
            result = t["result"]
            if result in ("OK", "EXPECTEDFAIL"):
                passed += ok or (0 if skip else 1)
                skipped += skip
            elif result == "SKIP":
                skipped += 1
                print(f"skipped: {t['name']}: {text.strip().splitlines()[-1] if text.strip() else 'no reason given'}")
            else:
                passed += ok
                failed += bad or 1
                skipped += skip
                print(f"failed: {t['name']} ({result})")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    status = int(sys.argv[2])
    sys.exit(status if status else 1 if failed else 0)


main()
