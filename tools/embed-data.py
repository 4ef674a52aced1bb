#!/usr/bin/env python3
"""Put the text files of data/ into the program: an assembler table that src/base/data.c reads.

usage: embed-data.py DATA_DIR OUT.S DEPFILE

Rows are sorted by path, so that data_find can search by halves. Binary files (models) are not
embedded. The output is rewritten only when it changes, so that a build with nothing new does nothing.
"""
import os
import sys

TEXT = {".yaml", ".yml", ".json", ".txt", ".md", ".csv", ".tsv", ".jinja", ".gbnf", ".html", ".css", ".js", ".sh", ".fish", ".bash", ".zsh"}


def quoted(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main():
    root, out, depfile = sys.argv[1:4]
    rows = []
    for folder, dirs, names in os.walk(root):
        dirs.sort()
        for name in names:
            if os.path.splitext(name)[1] in TEXT and name != "README.md":
                path = os.path.join(folder, name)
                rows.append((os.path.relpath(path, root), path))
    rows.sort(key=lambda r: r[0].encode())
    lines = ["/* made by tools/embed-data.py */", '.section .rodata', ".balign 8"]
    for i, (rel, path) in enumerate(rows):
        lines += [f".Lname{i}: .asciz {quoted(rel)}", f".Ldata{i}: .incbin {quoted(os.path.abspath(path))}", f".Lend{i}: .byte 0"]
    lines += ['.section .data.rel.ro.local,"aw"', ".balign 8", ".globl data_rows", "data_rows:"]
    for i in range(len(rows)):
        lines.append(f".quad .Lname{i}, .Ldata{i}, .Lend{i} - .Ldata{i}")
    lines += [".quad 0, 0, 0", ".section .rodata", ".balign 8", ".globl data_row_count", f"data_row_count: .quad {len(rows)}",
              '.section .note.GNU-stack,"",%progbits', ""]
    text = "\n".join(lines)
    try:
        with open(out) as f:
            same = f.read() == text
        newest = max((os.stat(p).st_mtime for _, p in rows), default=0)
        same = same and newest <= os.stat(out).st_mtime
    except OSError:
        same = False
    if not same:
        with open(out, "w") as f:
            f.write(text)
    with open(depfile, "w") as f:
        f.write(out + ": " + " ".join(p.replace(" ", "\\ ") for _, p in rows) + "\n")


main()
