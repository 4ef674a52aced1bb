#!/usr/bin/env python3
"""ansi2svg.py COLUMNS ROWS < screen > picture.svg: a terminal's screen (tmux capture-pane -e -p) as a picture, for the guide."""
import html
import re
import sys

COLOURS = ["#1c1f24", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"]
TEXT, GROUND, WIDE, HIGH, EDGE = "#d7dae0", "#1c1f24", 8.4, 18, 12


def runs(line, state):
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            for code in (int(c or 0) for c in part[2:-1].split(";")):
                if code == 0:
                    state.update(fill=TEXT, bold=False, dim=False)
                elif code == 1:
                    state["bold"] = True
                elif code == 2:
                    state["dim"] = True
                elif 30 <= code <= 37:
                    state["fill"] = COLOURS[code - 30]
                elif code == 39:
                    state["fill"] = TEXT
        elif part:
            yield part, dict(state)


def main():
    columns, rows = int(sys.argv[1]), int(sys.argv[2])
    width, height = columns * WIDE + 2 * EDGE, rows * HIGH + 2 * EDGE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
          'font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>')
    state = {"fill": TEXT, "bold": False, "dim": False}
    for y, line in enumerate(sys.stdin.read().split("\n")[:rows]):
        x = 0
        for text, s in runs(line, state):
            more = (' font-weight="bold"' if s["bold"] else "") + (' opacity="0.6"' if s["dim"] else "")
            for word in re.finditer(r"\S+", text):  # spaces are places, not characters: renderers fold them
                print(f'<text x="{EDGE + (x + word.start()) * WIDE:g}" y="{EDGE + y * HIGH + 14:g}" textLength="{len(word[0]) * WIDE:g}" '
                      f'fill="{s["fill"]}"{more}>{html.escape(word[0])}</text>')
            x += len(text)
    print("</svg>")


main()
