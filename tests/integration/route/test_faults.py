#!/usr/bin/env python3
"""test_faults.py STEAD MODEL_SERVER: what happens when servers break, with real processes. Each drill has a defined outcome within a
time limit: the contract's exit code, a result as the last event, reasons in the journal, and a workspace that nobody touched."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "task"))
sys.dont_write_bytecode = True
import test_run as t  # noqa: E402 - its World: a repository, a state directory, scripted servers

DRILLS = []


def drill(limit_s):
    def add(fn):
        DRILLS.append((fn, limit_s))
        return fn
    return add


def chain(w, *stops, more=""):
    """Endpoints first, second, ... and a chain over them."""
    names = ["first", "second", "third"][:len(stops)]
    w.configure("endpoints:\n" + "".join(f"- {{name: {n}, url: '{u}'{extra}}}\n" for n, (u, extra) in zip(names, stops)) +
                f"policy:\n  hosted_classes: [all]\n  chains:\n  - {{class: default, stops: [{', '.join(names)}, person]}}\n" + more)


def went_on(w, code, events, p, cause=None):
    """The second endpoint finished what the first could not."""
    r = t.result(events)
    t.equal((code, r["status"], r["endpoint"]), (0, "verified", "second"), p.stderr + str(r))
    moves = [e for e in events if e["type"] == "escalate"]
    if cause:
        assert moves and moves[0]["cause"] == cause and moves[0]["reason"], moves
    t.equal(w.read("sum.c"), t.SUM, "a draft only")


@drill(120)
def killed_in_mid_stream(w):
    slow = w.serve({"text": "thinking " * 400, "piece_delay_ms": 20}, repeat=True)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (slow, ""), (good, ""))
    threading.Timer(4, w.servers[0][0].kill).start()
    went_on(w, *w.run("--approve", "never", timeout=110))


@drill(120)
def connection_breaks_in_every_reply(w):
    bad = w.serve({"text": "x" * 2000, "cut_after": 700}, repeat=True)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (bad, ""), (good, ""))
    went_on(w, *w.run("--approve", "never", timeout=110))


@drill(60)
def stalled_ends_at_the_time_limit(w):
    chain(w, (w.serve({"text": "hm", "hang": True}, repeat=True), ""))
    code, events, p = w.run("--approve", "never", "--timeout", "8s", timeout=55)
    r = t.result(events)
    t.equal((code, r["status"]), (4, "stopped"), p.stderr + str(r))


@drill(120)
def answers_500(w):
    bad = w.serve({"status": 500, "text": "broken"}, repeat=True)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (bad, ""), (good, ""))
    went_on(w, *w.run("--approve", "never", timeout=110))


@drill(60)
def answers_429_once_and_is_asked_again(w):
    url = w.serve({"status": 429, "text": "slow down", "headers": {"Retry-After": "1"}}, t.RIGHT, t.DONE)
    chain(w, (url, ""))
    code, events, p = w.run("--approve", "never", timeout=55)
    r = t.result(events)
    t.equal((code, r["status"], r["escalations"]), (0, "verified", 0), p.stderr + str(r))


@drill(120)
def answers_429_for_ever(w):
    bad = w.serve({"status": 429, "text": "slow down", "headers": {"Retry-After": "3600"}}, repeat=True)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (bad, ""), (good, ""))
    went_on(w, *w.run("--approve", "never", timeout=110))


@drill(120)
def answers_garbage(w):
    bad = w.serve({"status": 200, "type": "text/event-stream", "raw": "data: {\"choices\": [\x00\x01 oops\n\n" * 3}, repeat=True)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (bad, ""), (good, ""))
    went_on(w, *w.run("--approve", "never", timeout=110))


@drill(120)
def context_exceeded(w):
    bad = w.serve({"status": 400, "json": {"error": {"code": 400, "type": "exceed_context_size_error", "n_ctx": 4096, "n_prompt_tokens": 9000,
                                                     "message": "the request exceeds the available context size"}}}, repeat=True, context=4096)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (bad, ""), (good, ""))
    went_on(w, *w.run("--approve", "never", timeout=110))


@drill(120)
def the_third_knows_what_both_before_it_tried(w):
    idle = w.serve({"text": "There is nothing to do."}, repeat=True)
    broken = w.serve({"status": 500, "text": "broken"}, repeat=True)
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, (idle, ""), (broken, ""), (good, ""), more="  max_escalations: 3\n")
    code, events, p = w.run("--approve", "never", timeout=110)
    r = t.result(events)
    t.equal((code, r["status"], r["endpoint"], r["escalations"]), (0, "verified", "third", 2), p.stderr + str(r))
    told = w.bodies(2)[0]["body"].split("tried before")[1]
    assert told.index("- first") < told.index("- second"), told[:600]


@drill(60)
def hosted_is_down(w):
    good = w.serve(t.RIGHT, t.DONE)
    chain(w, ("http://127.0.0.1:9/v1", ", local: false"), (good, ""))
    went_on(w, *w.run("--approve", "never", timeout=55))


@drill(60)
def everything_is_down(w):
    chain(w, ("http://127.0.0.1:9/v1", ""), ("http://127.0.0.1:11/v1", ", local: false"))
    code, events, p = w.run("--approve", "never", timeout=55)
    r = t.result(events)
    t.equal((code, r["status"]), (5, "unserved"), p.stderr + str(r))
    assert any(e["type"] == "error" and e["message"] for e in events), events


@drill(120)
def budget_of_the_day_keeps_hosted_out(w):
    """The second task of the day may not spend what the first has used up; it goes to the next stop instead."""
    cloud = w.serve(t.RIGHT, dict(t.DONE, usage={"prompt_tokens": 50000, "completion_tokens": 10, "total_tokens": 50010}), t.RIGHT, t.DONE)
    here = w.serve(t.RIGHT, t.DONE)
    chain(w, (cloud, ", local: false, price_in: 10"), (here, ""), more="  budgets: {day: {usd: 0.2}, task: {usd: 5}}\n")
    code, events, p = w.run("--approve", "never", timeout=55)
    t.equal(t.result(events)["endpoint"], "first", p.stderr)
    code, events, p = w.run("--approve", "never", timeout=55)
    t.equal(t.result(events)["endpoint"], "second", p.stderr)
    route = next(e for e in events if e["type"] == "route")
    assert any(r["endpoint"] == "first" and "policy.budgets.day.usd" in r["reason"] for r in route["rejected"]), route
    told = t.json.loads(w.stead("route", "explain", "--json", "fix the failing test in test.c").stdout)["candidates"]
    assert any(c["endpoint"] == "first" and "policy.budgets.day.usd" in c["reason"] for c in told), told


@drill(120)
def a_budget_that_runs_out_in_the_middle_stops_the_sending(w):
    """Budgets hold for each request, not only when an endpoint is chosen: the third request is not sent, the next stop goes on."""
    dear = {"prompt_tokens": 60000, "completion_tokens": 10, "total_tokens": 60010}
    look = {"calls": [{"name": "read", "args": {"path": "sum.c"}}], "usage": dear}
    cloud = w.serve(look, look, t.RIGHT, t.DONE)
    here = w.serve(t.RIGHT, t.DONE)
    chain(w, (cloud, ", local: false, price_in: 10"), (here, ""), more="  budgets: {day: {usd: 1}, task: {usd: 5}}\n")
    code, events, p = w.run("--approve", "never", timeout=55)
    went_on(w, code, events, p, "budget")
    t.equal(len(w.bodies(0)), 2, "requests sent to the dear one")


@drill(60)
def the_bound_of_steps_is_handed_to_a_person_with_its_reason(w):
    chain(w, (w.serve({"calls": [{"name": "read", "args": {"path": "sum.c"}}]}, {"calls": [{"name": "read", "args": {"path": "test.c"}}]}, t.DONE), ""))
    code, events, p = w.run("--approve", "never", "--max-steps", "2", timeout=55)
    t.equal((code, t.result(events)["status"]), (4, "stopped"), p.stderr)
    move = next(e for e in events if e["type"] == "escalate")
    t.equal((move["to"], move["cause"]), ("person", "budget"), move)
    assert "steps" in move["reason"], move


@drill(60)
def a_local_model_says_the_class_where_rules_do_not_know(w):
    url = w.serve({"text": "The fitting name is docs."}, {"calls": [{"name": "write", "args": {"path": "README", "content": "x\n"}}]}, t.DONE, t.DONE)
    chain(w, (url, ""), more="  classify_by_model: true\n")
    code, events, p = w.run("--approve", "never", task="zzz qqq", timeout=55)
    task = next(e for e in events if e["type"] == "task")
    t.equal(task["class"], "docs", p.stderr)
    assert any(e["type"] == "decision" and e["choice"] == "docs" for e in events), events


def main():
    passed = failed = 0
    for fn, limit_s in DRILLS:
        if t.ONLY and fn.__name__ not in t.ONLY:
            continue
        w = t.World()
        began = time.time()
        try:
            w.c_repo()
            fn(w)
            took = time.time() - began
            assert took < limit_s, f"took {took:.0f} s of {limit_s} s"
            t.equal(w.read("sum.c"), t.SUM, "the workspace")
            passed += 1
            print(f"ok {fn.__name__} ({took:.1f} s)", flush=True)
        except Exception as e:  # noqa: BLE001 - any failure is this drill's
            failed += 1
            print(f"not ok {fn.__name__} ({time.time() - began:.1f} s): {type(e).__name__}: {str(e)[:1500]}", flush=True)
        finally:
            w.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
