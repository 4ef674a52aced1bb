#!/usr/bin/env python3
"""layers.py: a folder of src/ may include only what stands above it in src/meson.build; print any include that
runs the wrong way, and any include of another folder's -internal.h."""
import os
import re
import sys

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def main():
    with open(os.path.join(root, "src/meson.build")) as f:
        layers = re.findall(r"^  '([a-z]+)',$", f.read(), re.M)
    rank = {name: i for i, name in enumerate(layers)}
    bad = files = includes = 0
    for folder, _, names in os.walk(os.path.join(root, "src")):
        layer = os.path.relpath(folder, os.path.join(root, "src")).split(os.sep)[0]
        if layer == ".":
            continue
        if layer not in rank:
            print(f"src/{layer}: not listed in src/meson.build")
            bad += 1
            continue
        for name in sorted(names):
            if not name.endswith((".c", ".h", ".cpp")):
                continue
            files += 1
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as f:
                for number, line in enumerate(f, 1):
                    m = re.match(r'\s*#\s*include\s+"([a-z]+)/([^"]+)"', line)
                    if not m or m[1] not in rank:
                        continue
                    includes += 1
                    where = f"{os.path.relpath(path, root)}:{number}: {line.strip()}"
                    if rank[m[1]] > rank[layer]:
                        print(f"{where}\n    {layer} stands above {m[1]}: it may include only {', '.join(layers[:rank[layer] + 1])}")
                        bad += 1
                    if m[2].endswith("-internal.h") and m[1] != layer:
                        print(f"{where}\n    private to {m[1]}/")
                        bad += 1
    if not includes:
        print("no include was read: the check is broken")
        bad += 1
    print(f"{files} files, {includes} includes, {bad} the wrong way")
    sys.exit(1 if bad else 0)


main()
