#!/usr/bin/env python3
"""test_explain.py STEAD: what keeps a directory's tasks here is what `route explain` says, too."""
import json
import os
import subprocess
import sys
import tempfile

STEAD = os.path.abspath(sys.argv[1])
CONFIG = """inference: {embedded: false}
endpoints:
- {name: cloud, url: "https://model.invalid/v1", model: big, local: false}
policy:
  hosted_classes: [all]
  local_only_paths: [~/clients, ~/kept/]
  chains:
  - {class: default, stops: [hosted, person]}
"""


def cloud(home, where):
    env = {"PATH": os.environ["PATH"], "HOME": home, "STEAD_STATE_DIR": os.path.join(home, "state")}
    p = subprocess.run([STEAD, "-C", where, "route", "explain", "--json", "fix the typo in the help text"], env=env, capture_output=True, text=True, timeout=60)
    assert p.returncode == 0, p.stderr
    return next(c for c in json.loads(p.stdout)["candidates"] if c["endpoint"] == "cloud")


def main():
    with tempfile.TemporaryDirectory(prefix="stead-explain-") as home:
        for d in (".config/stead", "open", "clients/app", "marked/sub/deep", "elsewhere/repo"):
            os.makedirs(os.path.join(home, d))
        with open(os.path.join(home, ".config/stead/config.yaml"), "w") as f:
            f.write(CONFIG)
        open(os.path.join(home, "marked/.stead-local"), "w").close()
        assert cloud(home, os.path.join(home, "open"))["accepted"] is True
        os.symlink("clients", os.path.join(home, "customers"))
        os.symlink("elsewhere", os.path.join(home, "kept"))
        for where, why in (("clients/app", "local_only_paths"), ("customers/app", "local_only_paths"),
                           ("elsewhere/repo", "local_only_paths"), ("marked", ".stead-local"), ("marked/sub/deep", ".stead-local")):
            c = cloud(home, os.path.join(home, where))
            assert c["accepted"] is False and why in c["reason"], c
        config = os.path.join(home, ".config/stead/config.yaml")
        for wrong, right in (("hosted_classes: [fx]", "hosted_classes: [fix]"), ("chains: [{class: dflt, stops: [local]}]", "chains: [{class: default, stops: [local]}]")):
            for policy, code in ((wrong, 2), (right, 0)):
                with open(config, "w") as f:
                    f.write(f"policy:\n  {policy}\n")
                p = subprocess.run([STEAD, "config", "check"], env={"PATH": os.environ["PATH"], "HOME": home}, capture_output=True, text=True, timeout=60, cwd=home)
                assert p.returncode == code and (not code or "config.yaml:2" in p.stderr and "no task class" in p.stderr and "debugging" in p.stderr), p.stderr


main()
