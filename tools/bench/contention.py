#!/usr/bin/env python3
"""What it gains that gates, tools and requests are scheduled against each other where the model is computed on the CPU.

usage: contention.py [--build DIR] [--runs N] [--json FILE]

The embedded engine decodes with a model of random weights (0.1B, Q8_0) while a build keeps every core busy:
  beside      both at the same priority, as without stead
  giving way  the build at the niceness that stead gives to what runs beside a request
  in turn     the build begins when the reply is there (inference/turns.h), as stead does it for the gates of other runs
Shown: tokens a second of the reply, and seconds until the reply, and until both, are done. Medians.
"""
import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHAPE = "arch=llama layers=12 embd=768 heads=12 kv_heads=4 head_dim=64 ff=2048 vocab=16000 type=q8_0 ctx=4096".split()
TOKENS = 48
GIVE_WAY = 10  # src/task/task-turns.c


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=300)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(300)
        self.sock.connect(self.path)


def ask(path, tokens):
    c = Unix(path)
    body = {"messages": [{"role": "user", "content": "count " * 20}], "max_tokens": tokens, "ignore_eos": True, "temperature": 0, "cache_prompt": True}
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = json.loads(c.getresponse().read())
    return answer["timings"]["predicted_per_second"]


def start_build(loops, nice):
    """As many busy processes as there are cores, a fixed amount of work each."""
    code = f"for i in range({loops}): pass"
    return [subprocess.Popen([sys.executable, "-c", code], preexec_fn=lambda: os.nice(nice)) for _ in range(os.cpu_count())]


def join(build):
    for p in build:
        p.wait()


def once(path, loops, how):
    began = time.monotonic()
    build = start_build(loops, GIVE_WAY if how == "giving way" else 0) if how != "in turn" else []
    speed = ask(path, TOKENS)
    reply_s = time.monotonic() - began
    if how == "in turn":
        build = start_build(loops, 0)
    join(build)
    return speed, reply_s, time.monotonic() - began


def engine(build, folder):
    model, path = os.path.join(folder, "m.gguf"), os.path.join(folder, "e.sock")
    subprocess.run([os.path.join(build, "tests/unit/inference/gguf-make"), model, *SHAPE], check=True)
    p = subprocess.Popen([os.path.join(build, "src/inference/engine/stead-engine"), "--model", model, "--socket", path, "--with-parent"],
                         stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            c = Unix(path)
            c.request("GET", "/health")
            if c.getresponse().status == 200:
                return p, path
        except OSError:
            pass
        time.sleep(0.1)
    p.kill()
    raise SystemExit("contention: the engine does not start")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--build", type=os.path.abspath, default=os.path.join(TOP, "build"))
    a.add_argument("--runs", type=int, default=3)
    a.add_argument("--json")
    o = a.parse_args()
    if not all(os.access(os.path.join(o.build, f), os.X_OK) for f in ("tests/unit/inference/gguf-make", "src/inference/engine/stead-engine")):
        raise SystemExit("contention: build first, with llama.cpp's libraries (make deps)")
    results = {}
    with tempfile.TemporaryDirectory(prefix="stead-bench-") as folder:
        p, path = engine(o.build, folder)
        try:
            ask(path, 8)
            began = time.monotonic()
            alone = statistics.median(ask(path, TOKENS) for _ in range(3))
            reply_s = (time.monotonic() - began) / 3
            began = time.monotonic()
            join(start_build(10_000_000, 0))
            loops = int(10_000_000 * 2 * reply_s / max(0.05, time.monotonic() - began))  # a build twice as long as a reply alone
            for how in ("beside", "giving way", "in turn"):
                runs = [once(path, loops, how) for _ in range(o.runs)]
                results[how] = [statistics.median(r[i] for r in runs) for i in range(3)]
        finally:
            p.kill()
            p.wait()
    print(f"{os.cpu_count()} cores; alone {alone:.0f} tokens/s")
    print(f"{'':12} {'tokens/s':>9} {'reply s':>9} {'both s':>9}")
    for how, (speed, reply, both) in results.items():
        print(f"{how:12} {speed:9.1f} {reply:9.2f} {both:9.2f}")
    gain = {how.replace(" ", "_"): results[how][0] / results["beside"][0] for how in ("giving way", "in turn")}
    print(f"gain over beside: giving way {gain['giving_way']:.1f}x, in turn {gain['in_turn']:.1f}x")
    if o.json:
        with open(o.json, "w") as f:
            json.dump({"alone": alone, "results": results, "gain": gain}, f)


main()
