#!/usr/bin/env python3
"""The report's figures, computed again from the events by another program in another language, must agree.

usage: test_report.py STEAD MAKE_JOURNAL [--big]
"""
import csv
import fcntl
import io
import json
import math
import os
import re
import sqlite3
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
from datetime import datetime, timezone

STEAD, MAKE = sys.argv[1:3]
IDLE, RUNNING = 300_000, 3_600_000
KINDS = {"gates-red": "quality", "loop": "quality", "no-effect": "quality", "gave-up": "quality", "context": "context", "down": "outage",
         "overload": "outage", "slow": "latency", "budget": "policy", "privacy": "policy"}
checks = 0


def close(a, b, what):
    global checks
    checks += 1
    if a is None and b is None:
        return
    if a is None or b is None or abs(a - b) > 1e-5 * max(1, abs(a), abs(b)):
        sys.exit(f"not ok: {what}: the report says {a}, computed again it is {b}")


def wilson(k, n):
    if n == 0:
        return None, None, None
    z = 1.959963984540054
    p = k / n
    d = 1 + z * z / n
    mid = (p + z * z / (2 * n)) / d
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / d
    return p, 0 if k == 0 else max(0, mid - half), 1 if k == n else min(1, mid + half)


def median(v, q=0.5):
    if not v:
        return None
    v = sorted(v)
    at = q * (len(v) - 1)
    i = int(at)
    return v[i] + (at - i) * (v[i + 1] - v[i]) if i + 1 < len(v) else v[-1]


def median_interval(v):
    """Ranks of a binomial's normal approximation: n/2 -+ z/2 sqrt(n)."""
    n, half = len(v), 1.959963984540054 / 2 * math.sqrt(len(v))
    low, high = math.floor(n / 2 - half), math.ceil(n / 2 + 1 + half)
    if n < 6 or low < 1 or high > n:
        return None, None
    return sorted(v)[low - 1], sorted(v)[high - 1]


def ratio(pairs):
    """Sum of x over sum of y, with the delta method's interval."""
    x, y, n = sum(a for a, _ in pairs), sum(b for _, b in pairs), len(pairs)
    if not y:
        return None, None, None
    r = x / y
    if n < 2:
        return r, None, None
    half = 1.959963984540054 * math.sqrt(n / (n - 1) * sum((a - r * b) ** 2 for a, b in pairs)) / y
    return r, max(0, r - half), r + half


def kaplan_meier(points):
    """Median survival: the first time at which the product of (1 - d/n) is one half or less."""
    left = 1.0
    for t in sorted({t for t, event in points if event}):
        risk = sum(1 for u, _ in points if u >= t)
        dead = sum(1 for u, event in points if u == t and event)
        left *= 1 - dead / risk
        if left <= 0.5:
            return t
    return None


def load(path):
    """Tasks with everything that happened in them, from the events table (not from the facts that the report reads)."""
    db = sqlite3.connect(path)
    sessions = {}
    for n, kind, t, members in db.execute("SELECT session, type, time_ms, members FROM events ORDER BY id"):
        sessions.setdefault(n, []).append((kind, t, json.loads(members)))
    tasks, waits, steps = [], [], {}
    for events in sessions.values():
        task, model, prev, prev_ok = None, None, None, None
        for kind, t, m in events:
            if task:
                task["active"] += min(max(t - task["last"], 0), IDLE)
                task["last"] = t
            if kind == "task":
                task = {"class": m["class"], "model": "", "start": t, "last": t, "active": 0, "wrong": None, "green": None, "prompts": 0,
                        "cause": None, "hosted": False, "status": None, "applied": False, "edited": False, "reverted": False,
                        "lines": 0, "review": [], "stepped": False, "waits": [], "person": m.get("person", ""), "before": (None, None), "said": []}
                tasks.append(task)
            elif kind == "route":
                model = m["model"]
                task["model"] = task["model"] or model
                task["hosted"] |= not m["local"]
            elif kind == "step":
                task["stepped"] = True
                task["waits"].append([m["duration_ms"], False])
                s = steps.setdefault(model, {"n": 0, "new": 0, "reused": 0, "ttft": [], "own": [], "tools": 0, "errors": 0, "misses": 0})
                s["n"] += 1
                s["new"] += m["prompt_tokens"] - (m["cached_tokens"] or 0)
                s["reused"] += m["cached_tokens"] or 0
                s["ttft"].append(m["ttft_ms"])
            elif kind == "tool_result":
                steps[model]["tools"] += 1
                steps[model]["errors"] += not m["ok"]
                steps[model]["misses"] += m["tool"] == "edit" and not m["ok"]
            elif kind == "gate" and m["verdict"] == "fail" and m["new_failures"] and task["stepped"]:
                task["wrong"] = task["active"] if task["wrong"] is None else task["wrong"]
                task["green"] = None
            elif kind == "user" and task["wrong"] is not None and task["status"] is None and not m["text"].startswith("Still failing:"):
                task["prompts"] += 1
            elif kind == "escalate" and task["cause"] is None:
                task["cause"] = KINDS.get(m["cause"], "other")
            elif kind == "approval":
                task["review"].append(m["active_ms"])
                if m["decision"].startswith("reject"):
                    task["before"] = task["wrong"], task["green"]
                    task["wrong"] = task["active"] if task["wrong"] is None else task["wrong"]
                    task["green"] = None
            elif kind == "apply" and m["files"]:
                task["applied"] = True
            elif kind == "change":
                task["reverted"] |= m["status"] == "reverted"
            elif kind == "edited":
                task["edited"] = True
            elif kind == "decision":
                task["said"].append(m["choice"])
                if m["what"] == "interrupted" and m["choice"] == "wrong":
                    task["waits"][-1][1] = False
                    task["wrong"] = task["active"] if task["wrong"] is None else task["wrong"]
                    task["green"] = None
                elif m["what"] == "review" and m["choice"] == "slow":
                    task["wrong"], task["green"] = task["before"]
            elif kind == "result":
                task["status"], task["lines"] = m["status"], m["lines"]
                task["applied"] |= m["applied"]
                if m["status"] == "verified" and task["wrong"] is not None:
                    task["green"] = task["active"]
                if m["status"] in ("red", "stopped"):
                    task["wrong"] = task["active"] if task["wrong"] is None else task["wrong"]
                    task["green"] = None
                if task["cause"] is None and 3 <= m["exit"] <= 5:
                    task["cause"] = "outage" if m["exit"] == 5 else "quality"
                if m["exit"] == 130:
                    task["waits"].append([t - prev_ok, True])
            if kind not in ("text", "tool_call"):  # no facts: they carry no time for the report
                prev = t
                prev_ok = t if kind != "error" else prev_ok
    now = time.time() * 1000
    return [t for t in tasks if t["status"] is not None or now - t["last"] >= RUNNING], steps


def completed(t):
    if t["edited"] or t["reverted"]:
        return False
    if t["class"] in ("explain", "qa"):
        return t["status"] in ("unchanged", "verified")
    return t["status"] == "verified" and t["applied"]


def week(t):
    y, w, _ = datetime.fromtimestamp(t["start"] / 1000, timezone.utc).isocalendar()
    return f"{y:04d}-W{w:02d}"


def check_group(g, tasks):
    name, m, n = f"{g['by']} {g['name']}", g["metrics"], len(tasks)
    close(g["tasks"], n, f"{name}: tasks")

    def rate(metric, k, of):
        for key, v in zip(("value", "low", "high"), wilson(k, of)):
            close(m[metric][key], v, f"{name}: {metric} {key}")
        close(m[metric]["n"], of, f"{name}: {metric} n")

    rate("task_completion", sum(map(completed, tasks)), n)
    rate("hosted", sum(t["hosted"] for t in tasks), n)
    rate("escalation", sum(t["hosted"] or t["cause"] is not None for t in tasks), n)
    for cause in ("quality", "latency", "context", "policy", "outage", "other"):
        k = sum((t["cause"] or ("policy" if t["hosted"] else None)) == cause for t in tasks)
        close(m[f"escalated_{cause}"]["value"], k, f"{name}: escalated_{cause}")
    wrong = [t for t in tasks if t["wrong"] is not None]
    points = [((t["active"] if t["green"] is None else t["green"]) - t["wrong"], t["green"] is not None) for t in wrong]
    close(m["recovery_ms"]["value"], kaplan_meier(points), f"{name}: recovery_ms")
    close(m["recovery_ms"]["n"], len(wrong), f"{name}: recovery n")
    close(m["recovery_prompts"]["value"], median([t["prompts"] for t in wrong]), f"{name}: prompts")
    waits = [w for t in tasks for w in t["waits"]]
    edges = (0, 10_000, 30_000, 60_000, 120_000, math.inf)
    for i, metric in enumerate(("under_10s", "10_to_30s", "30_to_60s", "60_to_120s", "over_120s")):
        rate(f"interruption_{metric}", sum(edges[i] <= ms < edges[i + 1] and cut for ms, cut in waits), sum(ms >= edges[i] for ms, _ in waits))
    cuts = [ms for ms, cut in waits if cut]
    close(m["interruption_median_ms"]["value"], median(cuts), f"{name}: interruption median")
    for key, v in zip(("low", "high"), median_interval(cuts)):
        close(m["interruption_median_ms"][key], v, f"{name}: interruption {key}")
    said = [w for t in tasks for w in t["said"]]
    for word in ("wrong", "slow"):
        close(m[f"said_{word}"]["value"], said.count(word), f"{name}: said {word}")
        close(m[f"said_{word}"]["n"], len(said), f"{name}: answers")
    reviewed = [t for t in tasks if t["review"]]
    for metric, pairs in (("review_seconds_per_line", [(sum(t["review"]) / 1000, t["lines"]) for t in reviewed]),
                          ("review_rounds_per_change", [(len(t["review"]), 1) for t in reviewed])):
        for key, v in zip(("value", "low", "high"), ratio(pairs)):
            close(m[metric][key], v, f"{name}: {metric} {key}")
        close(m[metric]["n"], len(reviewed), f"{name}: {metric} n")


def run(*args):
    return subprocess.run([STEAD, "report", *args], check=True, capture_output=True, text=True, timeout=120).stdout


def by_person(path):
    """Off by default; with report.person the same rules hold for each person's tasks."""
    assert not any(g["by"] == "person" for g in json.loads(run("--json", "--journal", path))["groups"])
    config = os.path.join(os.path.dirname(path), "person.yaml")
    with open(config, "w") as f:
        f.write("report: {person: true}\n")
    os.environ["STEAD_CONFIG"] = config
    report = agree(path)
    assert sorted(g["name"] for g in report["groups"] if g["by"] == "person") == ["ada", "grace", "linus", "unknown"]
    assert "by person" in run("--journal", path)
    del os.environ["STEAD_CONFIG"]


def agree(path):
    report = json.loads(run("--json", "--journal", path))
    tasks, steps = load(path)
    seen = set()
    for g in report["groups"]:
        key = {"all": lambda t: "all", "class": lambda t: t["class"], "model": lambda t: t["model"] or "unknown", "week": week,
               "person": lambda t: t["person"] or "unknown"}[g["by"]]
        check_group(g, [t for t in tasks if key(t) == g["name"]])
        seen.add((g["by"], g["name"]))
    for by, key in (("class", lambda t: t["class"]), ("week", week)):
        for t in tasks:
            assert (by, key(t)) in seen, f"{by} {key(t)} is not in the report"
    for s in report["steps"]:
        want = steps[s["model"]]
        close(s["steps"], want["n"], "steps")
        close(s["prompt_tokens_new"], want["new"], "new tokens")
        close(s["prompt_tokens_reused"], want["reused"], "reused tokens")
        close(s["ttft_p50_ms"], median(want["ttft"]), "ttft p50")
        close(s["ttft_p95_ms"], median(want["ttft"], 0.95), "ttft p95")
        close(s["tool_calls"], want["tools"], "tool calls")
        close(s["tool_errors"], want["errors"], "tool errors")
        close(s["edit_misses"], want["misses"], "edit misses")
    assert len(report["steps"]) == len(steps)
    return report


def formats(path, report):
    rows = list(csv.DictReader(io.StringIO(run("--csv", "--journal", path))))
    all_rows = {r["metric"]: r for r in rows if r["by"] == "all"}
    for metric, f in report["groups"][0]["metrics"].items():
        close(float(all_rows[metric]["value"]) if all_rows[metric]["value"] else None, f["value"], f"csv {metric}")
    text = run("--journal", path, "--color", "never")
    assert "\x1b" not in text and "Task completion" in text and "Steps" in text, text
    page = os.path.join(os.path.dirname(path), "report.html")
    run("--html", page, "--journal", path)
    html = open(page, encoding="utf-8").read()
    assert not re.search(r"<script|<iframe|src=|@import|url\(|https?://", html), "the page would load something"
    assert "prefers-color-scheme: dark" in html and html.count("<svg") >= 4
    assert "default-src 'none'" in html
    assert all(f">{v} %<" in html for v in (0, 25, 50, 75, 100)) and ">of tasks<" in html and ">of waits<" in html, "axes"


def terminals(path):
    """60 columns wide; without UTF-8; and what is no file is written to and stays what it is."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 60, 0, 0))
    p = subprocess.Popen([STEAD, "report", "--journal", path, "--color", "never"], stdout=theirs, stderr=subprocess.DEVNULL)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    assert p.wait(60) == 0
    lines = seen.decode().replace("\r", "").splitlines()
    assert len(lines) > 20 and max(map(len, lines)) <= 60, max(lines, key=len)
    assert any("first token after" in l for l in lines), lines[-8:]
    plain = subprocess.run([STEAD, "report", "--journal", path, "--color", "never"], check=True, capture_output=True,
                           env=dict(os.environ, LC_ALL="C")).stdout
    assert plain.isascii() and b"####" in plain, plain[:400]
    pipe = os.path.join(os.path.dirname(path), "page")
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    run("-q", "--html", pipe, "--journal", path)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode), "the pipe was replaced"
    assert reader.communicate(timeout=60)[0].startswith(b"<!DOCTYPE html>")


def hostile(directory):
    """Names from a journal are other people's text."""
    path = os.path.join(directory, "hostile.db")
    subprocess.run([MAKE, path, "50", "7"], check=True, capture_output=True)
    db = sqlite3.connect(path)
    for table in ("events", "facts"):
        db.execute(f"UPDATE {table} SET members=replace(members,'\"pilot\"','\"<script>alert(1)</script>\"')")
        db.execute(f"UPDATE {table} SET members=replace(members,'\"qwen3-30b-a3b\"','\"=cmd|x\"')")
        db.execute(f"UPDATE {table} SET members=replace(members,'\"claude-x\"','\"a\u202eb\"')")
    db.commit()
    page = os.path.join(directory, "hostile.html")
    run("--html", page, "--journal", path)
    assert "<script" not in open(page, encoding="utf-8").read()
    assert "\u202e" not in run("--journal", path)
    assert not re.search(r',"[=+@-]', run("--csv", "--journal", path))


def big(directory):
    path = os.path.join(directory, "big.db")
    said = subprocess.run([MAKE, path, "1000000", "5"], check=True, capture_output=True, text=True).stdout
    best = min(timed(path) for _ in range(3))
    print(f"{said.strip()}: report in {best:.2f} s")
    return best


def timed(path):
    start = time.perf_counter()
    run("--json", "--journal", path)
    return time.perf_counter() - start


with tempfile.TemporaryDirectory() as d:
    os.environ.update(HOME=d, XDG_STATE_HOME=d, XDG_CONFIG_HOME=d)
    if "--big" in sys.argv:
        sys.exit(0 if big(d) <= 1.0 else "not ok: a million events take longer than a second")
    for seed in ("1", "2", "3"):
        db = os.path.join(d, f"j{seed}.db")
        subprocess.run([MAKE, db, "12000", seed], check=True, capture_output=True)
        made = agree(db)
        formats(db, made)
    terminals(db)
    by_person(db)
    hostile(d)
print(f"ok: {checks} figures agree")
