#!/usr/bin/env python3
"""The cost of the harness itself: the same scripted task on stead and on other coding agents.

usage: agent.py [--build DIR] [--peers DIR | --no-peers] [--runs N] [--turns N] [--json FILE]

A scripted model server on loopback (tests/servers/model-server.py) answers at once: two reads, two edits,
four `true`, one git command, a final text. What is left is the agent: its start, the gap between the last byte of
a reply and the first byte of the next request, memory of all its processes, the bytes of its first request, and how
much of each request begins with the bytes of the one before. Runs take turns, best of N is shown with the median.

Peers are npm packages (@earendil-works/pi-coding-agent, @openai/codex), installed into --peers (default:
.deps/peers) by their ordinary client when npm is there; each is skipped with its reason when it cannot run.
"""
import argparse
import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SERVER = os.path.join(TOP, "tests/servers/model-server.py")
TASK = "Make a() and b() return 2."
GOALS = {"wall_s": 0.10, "start_ms": 20, "gap_ms": 3, "rss_mib": 15, "first_bytes": 5000, "reuse": 1.0}
CELLS = (("wall_s", "%.3f", 9), ("start_ms", "%.1f", 10), ("gap_ms", "%.2f", 9), ("rss_mib", "%.1f", 9), ("first_bytes", "%d", 11), ("reuse", "%.3f", 9))


def call(name, **args):
    return {"name": name, "args": args}


# The same work in each agent's own tools.
WORK = {
    "stead": [call("read", path="a.c"), call("read", path="b.c"),
              call("edit", path="a.c", old="return 1", new="return 2"), call("edit", path="b.c", old="return 1", new="return 2")]
             + [call("shell", command="true")] * 4 + [call("shell", command="git status --short")],
    "pi": [call("read", path="a.c"), call("read", path="b.c"),
           call("edit", path="a.c", edits=[{"oldText": "return 1", "newText": "return 2"}], oldText="return 1", newText="return 2"),
           call("edit", path="b.c", edits=[{"oldText": "return 1", "newText": "return 2"}], oldText="return 1", newText="return 2")]
          + [call("bash", command="true")] * 4 + [call("bash", command="git status --short")],
    "codex": [call("exec_command", cmd=c) for c in ("cat a.c", "cat b.c", "sed -i s/1/2/ a.c", "sed -i s/1/2/ b.c", "true", "true", "true", "true",
                                                    "git status --short")],
}


def repository(where):
    os.makedirs(where)
    for f in "ab":
        with open(os.path.join(where, f + ".c"), "w") as out:
            out.write("int %s(void)\n{\n    return 1;\n}\n" % f)
    for cmd in (["init", "-q", "."], ["add", "-A"], ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-qm", "first"]):
        subprocess.run(["git"] + cmd, cwd=where, check=True)
    return where


class Server:
    def __init__(self, dir_, script):
        self.record, ready = os.path.join(dir_, "record"), os.path.join(dir_, "ready")
        path = os.path.join(dir_, "script.json")
        for old in (self.record, ready):
            if os.path.exists(old):
                os.remove(old)
        with open(path, "w") as f:
            json.dump(script, f)
        self.proc = subprocess.Popen([sys.executable, SERVER, path, "--record", self.record, "--ready", ready], stdout=subprocess.DEVNULL)
        for _ in range(1000):
            if os.path.exists(ready):
                break
            time.sleep(0.01)
        with open(ready) as f:
            self.url = f.read().strip()

    def requests(self):
        with open(self.record) as f:
            rows = [json.loads(line) for line in f]
        return [r for r in rows if re.search(r"/(chat/completions|messages|responses)$", r["path"])]

    def stop(self):
        self.proc.kill()
        self.proc.wait()


def family(pid):
    out = [pid]
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            with open(path) as f:
                for child in f.read().split():
                    out += family(int(child))
        except OSError:
            pass
    return out


def rss_kib(pid):
    try:
        with open("/proc/%d/status" % pid) as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    except (OSError, AttributeError):
        return 0


def run(argv, cwd, env, watch):
    """One run: wall, and (only when watched: looking costs time) the largest sum of resident memory."""
    peak = 0
    begun = time.monotonic_ns() // 1000
    p = subprocess.Popen(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = []
    reader = threading.Thread(target=lambda: said.append(p.stdout.read()))
    reader.start()
    deadline = time.monotonic() + 120
    while watch and p.poll() is None and time.monotonic() < deadline:
        peak = max(peak, sum(rss_kib(q) for q in family(p.pid)))
        time.sleep(0.002)
    try:
        p.wait(max(1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        p.kill()
    reader.join()
    return begun, time.monotonic_ns() // 1000, peak / 1024, p.returncode, said[0].decode("utf-8", "replace")


def shared(a, b):
    """Bytes with which both begin."""
    lo, hi = 0, min(len(a), len(b))
    while lo < hi:
        mid = (lo + hi + 1) // 2
        if a[:mid] == b[:mid]:
            lo = mid
        else:
            hi = mid - 1
    return lo


def prompt(body):
    """What a server renders for the model, in its order: instructions, tools, messages. Members behind them do not count."""
    r = json.loads(body)
    return "".join(json.dumps(r.get(k), ensure_ascii=False) for k in ("system", "instructions", "tools")) + "".join(
        json.dumps(m, ensure_ascii=False) for m in r.get("messages", r.get("input", [])))


def reuse(bodies):
    """Of each prompt: the least part with which the next one begins."""
    prompts = [prompt(b) for b in bodies]
    return min(shared(a, b) / len(a) for a, b in zip(prompts, prompts[1:])) if len(prompts) > 1 else None


def measure(agent, dir_, runs, replies, watch_last=True):
    rows, note = [], ""
    for i in range(runs + (1 if watch_last else 0)):
        work = os.path.join(dir_, "run%d" % i)
        os.makedirs(work)
        repo = repository(os.path.join(work, "repo"))
        resumed = getattr(agent, "resumed", None)
        more = [{"text": "You are welcome."}] if resumed else []
        server = Server(work, {"replies": replies + more, "context": 4000000 if len(replies) > 100 else 32768})
        env, argv = agent.command(work, repo, server.url)
        begun, ended, peak, code, said = run(argv, repo, env, i == runs)
        if resumed:
            run(resumed(), repo, env, False)
        time.sleep(0.05)
        try:
            got = server.requests()
        except OSError:
            got = []
        server.stop()
        if len(got) < len(replies):
            return None, "%d of %d requests came, exit %s: %s" % (len(got), len(replies), code, said.strip()[-300:].replace("\n", " "))
        after = got[len(replies):]
        got = got[:len(replies)]
        gaps = [(b["first_us"] - a["reply_end_us"]) / 1000 for a, b in zip(got, got[1:])]
        bodies = [g["body"] for g in got]
        rows.append({"wall_s": (ended - begun) / 1e6, "start_ms": (got[0]["first_us"] - begun) / 1000, "gap_ms": statistics.median(gaps),
                     "gaps": gaps, "rss_mib": peak, "first_bytes": len(bodies[0].encode()), "reuse": reuse(bodies), "exit": code,
                     "reuse_resume": reuse([bodies[-1], after[0]["body"]]) if after else None})
        shutil.rmtree(work, ignore_errors=True)
    timed = rows[:runs]
    out = {k: min(r[k] for r in timed) for k in ("wall_s", "start_ms", "gap_ms")}
    out.update({k + "_median": statistics.median(r[k] for r in timed) for k in ("wall_s", "start_ms", "gap_ms")})
    out.update({"rss_mib": rows[-1]["rss_mib"], "first_bytes": rows[0]["first_bytes"], "reuse": min(r["reuse"] for r in rows), "exit": rows[0]["exit"],
                "reuse_resume": rows[0]["reuse_resume"],
                "gaps": min(timed, key=lambda r: r["gap_ms"])["gaps"], "runs": runs})
    return out, note


class Stead:
    name = "stead"

    def __init__(self, build):
        self.program = os.path.join(build, "src/cli/stead")
        self.version = subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.split("\n")[0]

    def command(self, work, repo, url):
        env = dict(os.environ, STEAD_STATE_DIR=os.path.join(work, "state"), STEAD_CACHE_DIR=os.path.join(work, "cache"),
                   STEAD_CONFIG="/dev/null")
        for name in ("STEAD_ENDPOINT", "STEAD_MODEL"):
            env.pop(name, None)
        return env, [self.program, "run", "--json", "--no-gates", "--approve", "never", "--max-steps", "100000", "--endpoint", url, TASK]

    def resumed(self):
        return [self.program, "resume", "--json", "--no-gates", "--approve", "never", "Thank you."]


class Pi:
    name = "pi"
    package = "@earendil-works/pi-coding-agent"

    def __init__(self, peers):
        self.program = os.path.join(peers, "node_modules/.bin/pi")

    def command(self, work, repo, url):
        home = os.path.join(work, "home")
        os.makedirs(os.path.join(home, ".pi/agent"))
        with open(os.path.join(home, ".pi/agent/models.json"), "w") as f:
            json.dump({"providers": {"bench": {"baseUrl": url + "/v1", "api": "openai-completions", "apiKey": "none", "models": [
                {"id": "test-model", "name": "test-model", "reasoning": False, "input": ["text"], "contextWindow": 32768, "maxTokens": 4096,
                 "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}}]}}}, f)
        env = dict(os.environ, HOME=home, PI_OFFLINE="1", PI_SKIP_VERSION_CHECK="1")
        return env, [self.program, "--provider", "bench", "--model", "test-model", "-p", TASK]


class Codex:
    name = "codex"
    package = "@openai/codex"

    def __init__(self, peers):
        self.program = os.path.join(peers, "node_modules/.bin/codex")

    def command(self, work, repo, url):
        home = os.path.join(work, "home")
        os.makedirs(home)
        with open(os.path.join(home, "config.toml"), "w") as f:
            f.write('model = "test-model"\nmodel_provider = "bench"\n[model_providers.bench]\nname = "bench"\nbase_url = "%s/v1"\nwire_api = "responses"\n' % url)
        env = dict(os.environ, CODEX_HOME=home, HOME=home)
        return env, [self.program, "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK]


def install(peers, package):
    if not shutil.which("npm"):
        return "npm is not installed"
    os.makedirs(peers, exist_ok=True)
    r = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", peers, package], capture_output=True, text=True)
    return "" if r.returncode == 0 else "npm install %s: %s" % (package, r.stderr.strip()[-200:])


def version_of(peers, package):
    try:
        with open(os.path.join(peers, "node_modules", package, "package.json")) as f:
            return json.load(f)["version"]
    except OSError:
        return "?"


def script(name, turns):
    work = WORK[name]
    if turns > len(work) + 1:
        # Many turns of small work, whose results differ: the same call with the same result would be a loop.
        work = work + [call("shell", command="echo %d" % i) for i in range(turns - len(work) - 1)]
    return [{"calls": [c]} for c in work] + [{"text": "Both return 2."}]


def good(key, value):
    return value >= GOALS[key] if key == "reuse" else value <= GOALS[key]


def show(name, m):
    cells = [(fmt % m[key] + ("*" if m is not GOALS and good(key, m[key]) else " ")).rjust(width) if key in m else " " * width for key, fmt, width in CELLS]
    print("%-16s %s" % (name, " ".join(cells)))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", type=os.path.abspath, default=os.path.join(TOP, "build"))
    a.add_argument("--peers", default=os.path.join(TOP, ".deps/peers"))
    a.add_argument("--no-peers", action="store_true")
    a.add_argument("--runs", type=int, default=5)
    a.add_argument("--turns", type=int, default=1000)
    a.add_argument("--json")
    o = a.parse_args()
    dir_ = tempfile.mkdtemp(prefix="stead-bench-")
    os.chmod(dir_, 0o755)
    results = {"cpus": os.cpu_count(), "load": os.getloadavg()[0], "goals": GOALS}
    print("scripted run of 10 turns, best of %d (load average now %.1f on %d processors); * meets the goal" % (o.runs, results["load"], results["cpus"]))
    print("%-16s %9s %10s %9s %9s %11s %9s" % ("", "wall s", "start ms", "gap ms", "RSS MiB", "first bytes", "reuse"))
    show("goal", GOALS)
    failed = False
    try:
        agents = [(Stead(o.build), "")]
        for kind in () if o.no_peers else (Pi, Codex):
            why = "" if os.path.exists(kind(o.peers).program) else install(o.peers, kind.package)
            agents.append((kind(o.peers), why))
        for agent, why in agents:
            m = None
            if not why:
                m, why = measure(agent, os.path.join(dir_, agent.name), o.runs if agent.name == "stead" else min(o.runs, 3), script(agent.name, 10))
            if not m:
                print("%-16s not measured: %s" % (agent.name, why))
                failed |= agent.name == "stead"
                continue
            m["version"] = agent.version if agent.name == "stead" else version_of(o.peers, agent.package)
            show(agent.name if agent.name == "stead" else "%s %s" % (agent.name, m["version"]), m)
            if agent.name == "stead":
                show("  median", {k: m[k + "_median"] for k in ("wall_s", "start_ms", "gap_ms")})
                print("                 reuse of the last prompt after `stead resume`: %.3f (goal 1.000)" % m["reuse_resume"])
            results[agent.name] = m
        if o.turns > 10:
            m, why = measure(agents[0][0], os.path.join(dir_, "many"), 1, script("stead", o.turns), watch_last=False)
            if m:
                tenth = len(m["gaps"]) // 10
                deciles = [statistics.median(m["gaps"][i * tenth:(i + 1) * tenth]) for i in range(10)]
                print("%d turns: %.1f s; median gap by tenths of the run: %s ms; reuse %.3f" % (o.turns, m["wall_s"], " ".join("%.2f" % d for d in deciles), m["reuse"]))
                results["many"] = {"turns": o.turns, "wall_s": m["wall_s"], "deciles_ms": deciles, "reuse": m["reuse"]}
            else:
                print("%d turns: not measured: %s" % (o.turns, why))
    finally:
        shutil.rmtree(dir_, ignore_errors=True)
    if o.json:
        with open(o.json, "w") as f:
            json.dump(results, f, indent=1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
