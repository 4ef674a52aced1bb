#!/usr/bin/env python3
"""test_turns.py STEAD MODEL_SERVER: several runs on one machine, and a run's own gates and tools, beside a model server: who waits
for whom, whose place in the cache is whose, who gives way; and what runs remember of a server's health for one another."""
import json
import os
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "task"))
sys.dont_write_bytecode = True
import test_run as t  # noqa: E402 - its World: a repository, a state directory, scripted servers
from test_faults import chain  # noqa: E402

CASES = []


def case(fn):
    CASES.append(fn)
    return fn


def together(w, n, *args, apart_s=0.0):
    """n runs at once: (exit code, events) of each."""
    runs = []
    for _ in range(n):
        runs.append(w.start("--approve", "never", *args))
        time.sleep(apart_s)
    out = []
    for p in runs:
        text, err = p.communicate(timeout=110)
        out.append((p.returncode, [json.loads(l) for l in text.splitlines()], err))
    return out


def at_once(bodies):
    """The most requests that were under way at one time. The server notes a reply's end after it is sent, when the next may have come
    already: that much is no overlap, and next to replies of half a second and more it is little."""
    slack_us = 200_000
    marks = sorted([(b["last_us"], 1) for b in bodies] + [(b["reply_end_us"] - slack_us, -1) for b in bodies], key=lambda m: (m[0], m[1]))
    most = now = 0
    for _, d in marks:
        now += d
        most = max(most, now)
    return most


@case
def one_place_is_used_by_one_request_at_a_time(w):
    url = w.serve(dict(t.DONE, delay_ms=500), repeat=True, slots=1)
    for code, events, err in together(w, 3, "--endpoint", url, "--no-gates"):
        assert events and events[-1]["type"] == "result", err
    bodies = w.bodies()
    assert len(bodies) >= 3, bodies
    t.equal(at_once(bodies), 1)
    assert not any("id_slot" in json.loads(b["body"]) for b in bodies), "with one place there is nothing to choose"


@case
def each_run_keeps_to_its_own_place(w):
    url = w.serve(dict(t.DONE, delay_ms=700), repeat=True, slots=2)
    runs = together(w, 2, "--endpoint", url, "--no-gates", apart_s=0.3)
    places = {}
    for b in w.bodies():
        body = json.loads(b["body"])
        places.setdefault(body["id_slot"], []).append(b)
    t.equal(sorted(places), [0, 1])
    assert all(len(p) >= 2 for p in places.values()), "the same place in each request of a run"
    t.equal(at_once(w.bodies()), 2)
    assert all(events[-1]["type"] == "result" for _, events, _ in runs)


@case
def a_request_waits_for_the_gates_of_another_run(w):
    """On a machine that computes on its CPU. The gate takes 3 s; the other run's request arrives when it is over."""
    w.write("Makefile", t.MAKEFILE.replace("\t./t\n", "\t./t\n\tsleep 3\n") if "\t./t\n" in t.MAKEFILE else t.MAKEFILE + "\tsleep 3\n")
    url = w.serve(t.RIGHT, t.DONE, repeat=True, slots=2)
    other = w.serve(t.DONE, repeat=True, slots=2)
    p = w.start("--approve", "never", "--endpoint", url, "--gate", "sleep 3")
    lines, gate_at = [], None
    for line in p.stdout:
        lines.append(json.loads(line))
        if lines[-1]["type"] == "step" and len([e for e in lines if e["type"] == "step"]) == 2:
            gate_at = time.time()
            break
    time.sleep(0.7)  # the gate runs now
    offset = time.time() - time.monotonic()
    q = w.start("--approve", "never", "--endpoint", other, "--no-gates")
    rest = [json.loads(line) for line in p.stdout]
    p.wait(timeout=60)
    q.communicate(timeout=60)
    gates = [e for e in lines + rest if e["type"] == "gate"]
    assert gate_at and gates, lines + rest
    over = max(e["time_ms"] for e in gates) / 1000
    first = min(b["first_us"] for b in w.bodies(1)) / 1e6 + offset
    assert first >= over - 0.1, f"a request {over - first:.2f} s before the gate was over"


@case
def what_runs_beside_the_model_gives_way(w):
    url = w.serve({"calls": [{"name": "shell", "args": {"command": "nice > back.txt; sleep 30", "background": True}}]},
                  {"calls": [{"name": "shell", "args": {"command": "sleep 0.5; cat back.txt; nice"}}]}, t.DONE, t.DONE)
    code, events, p = w.run("--approve", "never", "--endpoint", url, "--no-gates", timeout=55)
    outputs = [e["output"] for e in events if e["type"] == "tool_result"]
    assert len(outputs) == 2 and outputs[1].split()[:2] == ["10", "0"], outputs


@case
def a_large_file_that_the_task_names_does_not_go_to_a_small_window(w):
    w.write("big.c", "int x;\n" * 3000)
    small, large = w.serve(t.DONE, repeat=True, context=8192), w.serve(t.RIGHT, t.DONE, t.DONE, context=65536)
    chain(w, (small, ""), (large, ""))
    code, events, p = w.run("--approve", "never", task="rename x to y in big.c", timeout=55)
    route = next(e for e in events if e["type"] == "route")
    t.equal(route["endpoint"], "second", p.stderr)
    assert any(r["endpoint"] == "first" and "too small" in r["reason"] for r in route["rejected"]), route
    t.equal(w.bodies(), [])
    shown = json.loads(w.stead("route", "explain", "--json", "rename x to y in big.c").stdout)
    assert shown["need_tokens"] > 6000 and shown["choice"]["endpoint"] == "second", shown


@case
def retry_after_is_remembered_for_the_next_run(w):
    bad = w.serve({"status": 429, "text": "slow down", "headers": {"Retry-After": "1800"}}, repeat=True)
    good = w.serve(t.RIGHT, t.DONE, t.RIGHT, t.DONE)
    chain(w, (bad, ""), (good, ""))
    code, events, p = w.run("--approve", "never", timeout=55)
    t.equal(t.result(events)["endpoint"], "second", p.stderr)
    asked = len(w.bodies())
    code, events, p = w.run("--approve", "never", timeout=55)
    route = next(e for e in events if e["type"] == "route")
    t.equal((route["endpoint"], len(w.bodies())), ("second", asked), "the first was not asked again")
    why = next(r["reason"] for r in route["rejected"] if r["endpoint"] == "first")
    assert "asked again in 29 m" in why or "asked again in 30 m" in why, why


@case
def one_run_probes_what_failed_and_others_wait_for_its_word(w):
    slow = w.serve(dict(t.RIGHT, delay_ms=3000), t.DONE, t.RIGHT, t.DONE)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (slow, ""), (good, ""))
    code, events, p = w.run("--approve", "never", "--endpoint", good, timeout=55)
    journal = next(os.path.join(d, f) for d, _, fs in os.walk(w.dir) for f in fs if f.endswith(".db") or f.startswith("journal"))
    db = sqlite3.connect(journal, timeout=20)
    db.execute("insert or replace into state (key, value, time_ms) values (?, ?, 1)", ("breaker/" + slow, b"1 3 15000 1000 0"))
    db.commit()
    db.close()
    first = w.start("--approve", "never")
    time.sleep(1.5)
    shown = json.loads(w.stead("route", "explain", "--json", "make the failing test pass").stdout)
    out, err = first.communicate(timeout=55)
    r = json.loads(out.splitlines()[-1])
    t.equal(r["endpoint"], "first", err)
    one = next(c for c in shown["candidates"] if c["endpoint"] == "first")
    assert not one["accepted"] and "probe" in one["reason"], one
    shown = json.loads(w.stead("route", "explain", "--json", "make the failing test pass").stdout)
    assert next(c for c in shown["candidates"] if c["endpoint"] == "first")["accepted"], "closed again after a good reply"


def main():
    passed = failed = 0
    for fn in CASES:
        if t.ONLY and fn.__name__ not in t.ONLY:
            continue
        w = t.World()
        began = time.time()
        try:
            w.c_repo()
            fn(w)
            passed += 1
            print(f"ok {fn.__name__} ({time.time() - began:.1f} s)", flush=True)
        except Exception as e:  # noqa: BLE001 - any failure is this case's
            failed += 1
            print(f"not ok {fn.__name__} ({time.time() - began:.1f} s): {type(e).__name__}: {str(e)[:1500]}", flush=True)
        finally:
            w.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
