#!/usr/bin/env python3
"""test_engine_kill.py STEAD: kill -9 of the embedded engine, and of a llama-server in its place, while it loads, in mid-reply, and
again: the run goes on with the engine started anew, without a step lost or doubled. The real program, engine, pilot model, sandbox and
gates; what a run without kills does is the measure."""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

STEAD = os.path.abspath(sys.argv[1])
MAKEFILE = "test: t\n\t./t\n\nt: src/sum.c tests/test.c\n\tcc -o $@ $^\n"
SUM = "int sum(const int *v, int n)\n{\n    int total = 0;\n    for (int i = 1; i < n; i++)\n        total += v[i];\n    return total;\n}\n"
TEST = ('#include <stdio.h>\nint sum(const int *v, int n);\nint main(void)\n{\n    int v[] = { 4, 2, 7 };\n    if (sum(v, 3) != 13) {\n'
        '        printf("tests/test.c:6: sum = %d, expected 13\\n", sum(v, 3));\n        return 1;\n    }\n    return 0;\n}\n')


# What a user has as llama-server: here the engine, which speaks the same dialect, behind llama-server's options.
SERVER = """#!/usr/bin/env python3
import os, sys
a = sys.argv[1:]
def of(name): return a[a.index(name) + 1]
os.execv({engine!r}, [{engine!r}, "--model", of("-m"), "--socket", of("--host"), "--slots", of("-np"), "--ctx", str(int(of("-c")) // int(of("-np")))])
"""


def make_repo(at):
    for path, text in {"Makefile": MAKEFILE, "src/sum.c": SUM, "tests/test.c": TEST, ".gitignore": "t\n"}.items():
        os.makedirs(os.path.dirname(os.path.join(at, path)), exist_ok=True)
        with open(os.path.join(at, path), "w") as f:
            f.write(text)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    for args in (["init", "-q", "."], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run(git + args, cwd=at, check=True)


def engines(state):
    """Processes of engines with their socket in this state directory."""
    found = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if b"stead-engine" in words[0] and any(w.startswith(state.encode()) and w.endswith(b".sock") for w in words):
            found.append((int(p), next(w for w in words if w.endswith(b".sock")).decode()))
    return found


def is_replying(sock):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(2)
    try:
        s.connect(sock)
        s.sendall(b"GET /stead/status HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n")
        data = b""
        while part := s.recv(65536):
            data += part
        return json.loads(data.split(b"\r\n\r\n", 1)[1])["active"] > 0
    except (OSError, ValueError, IndexError, KeyError):
        return False
    finally:
        s.close()


def kill(pid):
    """False: it has ended meanwhile, as the process does whose child is the engine in the background."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def run(when, server=False):
    """One run; `when`: for each kill in turn, "loading" or "replying". What it did, and how many kills there were."""
    with tempfile.TemporaryDirectory(prefix="stead-kill-", ignore_cleanup_errors=True) as top:
        repo, state = os.path.join(top, "repo"), os.path.join(top, "state")
        make_repo(repo)
        os.makedirs(os.path.join(top, ".config/stead"))
        with open(os.path.join(top, ".config/stead/config.yaml"), "w") as f:
            f.write("inference:\n  idle: 5s\n" + (f"  server: {top}/llama-server\n" if server else ""))
        if server:
            engine = os.path.join(os.path.dirname(STEAD), "../inference/engine/stead-engine")
            with open(os.path.join(top, "llama-server"), "w") as f:
                f.write(SERVER.format(engine=os.path.realpath(engine)))
            os.chmod(os.path.join(top, "llama-server"), 0o755)
        env = {"PATH": os.environ["PATH"], "HOME": top, "STEAD_STATE_DIR": state, "STEAD_CACHE_DIR": os.path.join(top, "cache"), "LANG": "C.UTF-8"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "TMPDIR"):
            if name in os.environ:
                env[name] = os.environ[name]
        p = subprocess.Popen([STEAD, "run", "--json", "--approve", "never", "--endpoint", "embedded", "make the failing test pass"], cwd=repo, env=env,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        killed = []

        def kill_them():
            for what in when:
                while p.poll() is None:
                    hit = [pid for pid, sock in engines(state) if pid not in killed and (what == "loading" or is_replying(sock))]
                    if hit and kill(hit[0]):
                        killed.append(hit[0])
                        break
                    time.sleep(0.002)

        killer = threading.Thread(target=kill_them)
        killer.start()
        out, err = p.communicate(timeout=240)
        killer.join()
        for pid, _ in engines(state):
            kill(pid)
        events = [json.loads(line) for line in out.splitlines()]
        assert [e["seq"] for e in events] == sorted({e["seq"] for e in events}), "events out of order"
        assert events and events[-1]["type"] == "result", err
        calls, results = ([e["id"] for e in events if e["type"] == t] for t in ("tool_call", "tool_result"))
        assert calls == results and len(set(calls)) == len(calls), (calls, results)
        did = [(e["type"], e.get("n"), e.get("tool"), json.dumps(e.get("args")), e.get("verdict")) for e in events
               if e["type"] in ("step", "tool_call", "tool_result", "gate", "user", "finding")]
        return (p.returncode, events[-1]["status"], did), killed, err


def main():
    want, _, err = run([])
    if want[0] == 5 and "not installed" in err:
        print("skipped:", err)
        return 77
    if want[0] == 7:
        print("skipped: no sandbox here:", err)
        return 77
    assert [n for kind, n, *_ in want[2] if kind == "step"] == list(range(1, sum(k == "step" for k, *_ in want[2]) + 1)), want
    failed = 0
    for server, when in ((False, ["loading"]), (False, ["replying"]), (False, ["replying", "replying"]),
                         (False, ["loading", "replying", "loading"]), (True, ["loading", "replying"])):
        for _ in range(3):
            got, killed, err = run(when, server)
            if killed or got != want:
                break
            print("       the run ended before the engine was seen: again")
        ok = got == want and len(killed) >= 1
        print(f"{'ok  ' if ok else 'FAIL'} killed {'llama-server' if server else 'engine'} {len(killed)} times while {', '.join(when)}: exit {got[0]}, {got[1]}")
        if not ok:
            print("  without kills:", want, "\n  with:", got, err)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
