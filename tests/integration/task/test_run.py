#!/usr/bin/env python3
"""test_run.py STEAD MODEL_SERVER: `stead run` from the command line against a scripted model server, with the real
sandbox, gates, journal and apply. Each case makes its own repository, state directory and server."""
import json
import os
import random
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

STEAD, SERVER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
ONLY = sys.argv[3:] or None
CASES = []

MAKEFILE = "test: t\n\t./t\n\nt: sum.c test.c\n\tcc -o $@ $^\n"
SUM = "int sum(const int *v, int n)\n{\n    int total = 0;\n    for (int i = 1; i < n; i++)\n        total += v[i];\n    return total;\n}\n"
TEST = ('#include <stdio.h>\nint sum(const int *v, int n);\nint main(void)\n{\n    int v[] = { 4, 2, 7 };\n    if (sum(v, 3) != 13) {\n'
        '        printf("test.c:6: sum = %d, expected 13\\n", sum(v, 3));\n        return 1;\n    }\n    return 0;\n}\n')
RIGHT = {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 4, "new": "    for (int i = 0; i < n; i++)"}}]}
WRONG = {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 3, "new": "    int total = 1;"}}]}
DONE = {"text": "Done."}


def case(fn):
    CASES.append(fn)
    return fn


class World:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="stead-task-")
        self.repo = os.path.join(self.dir, "repo")
        self.state = os.path.join(self.dir, "state")
        self.servers = []
        os.mkdir(self.repo)
        self.configure("")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir, "STEAD_STATE_DIR": self.state, "LANG": "C.UTF-8",
                    "STEAD_CACHE_DIR": os.path.join(self.dir, "cache")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TMPDIR"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def configure(self, text):
        """The user's configuration; the embedded engine stays out of these tests."""
        os.makedirs(os.path.join(self.dir, ".config/stead"), exist_ok=True)
        with open(os.path.join(self.dir, ".config/stead/config.yaml"), "w") as f:
            f.write("inference:\n  embedded: false\n" + text)

    def write(self, path, text):
        full = os.path.join(self.repo, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)

    def read(self, path):
        with open(os.path.join(self.repo, path)) as f:
            return f.read()

    def c_repo(self):
        self.write("Makefile", MAKEFILE)
        self.write("sum.c", SUM)
        self.write("test.c", TEST)
        self.write(".gitignore", "t\n")
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
        for args in (["init", "-q", "."], ["add", "-A"], ["commit", "-q", "-m", "x"]):
            subprocess.run(git + args, cwd=self.repo, check=True, env=self.env)

    def serve(self, *replies, **more):
        n = len(self.servers)
        script = os.path.join(self.dir, f"script{n}.json")
        with open(script, "w") as f:
            json.dump(dict(replies=list(replies), **more), f)
        record = os.path.join(self.dir, f"record{n}.jsonl")
        p = subprocess.Popen([sys.executable, SERVER, script, "--record", record], stdout=subprocess.PIPE, text=True)
        line = p.stdout.readline().split()
        self.servers.append((p, record, line[1] if len(line) > 1 else ""))
        assert line and line[0] == "listening", line
        return line[1]

    def bodies(self, n=0):
        """Requests in the order in which they came; the server may still be writing down the last one."""
        settle(self.servers[n][2])
        with open(self.servers[n][1]) as f:
            return sorted((json.loads(l) for l in f if json.loads(l)["n"]), key=lambda r: r["first_us"])

    def run(self, *args, task="make the failing test pass", timeout=120, json_out=True, command="run"):
        argv = [STEAD, command] + (["--json"] if json_out else []) + list(args) + ([task] if task is not None else [])
        p = subprocess.run(argv, cwd=self.repo, env=self.env, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        events = [json.loads(l) for l in p.stdout.splitlines()] if json_out else []
        return p.returncode, events, p

    def start(self, *args, task="make the failing test pass"):
        return subprocess.Popen([STEAD, "run", "--json", *args, task], cwd=self.repo, env=self.env, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def stead(self, *args, check=None):
        p = subprocess.run([STEAD, *args], cwd=self.repo, env=self.env, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        if check is not None:
            equal(p.returncode, check, p.stderr)
        return p

    def engines(self):
        """Sockets of engines that this world started: gone when they have ended."""
        return [f for d, _, files in os.walk(self.state) for f in files if f.endswith(".sock")]

    def close(self):
        for p, _, _ in self.servers:
            p.kill()
            p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


def settle(url):
    try:
        with urllib.request.urlopen(url + "/__settled", timeout=30):
            pass
    except OSError:
        pass  # it was killed: nothing is outstanding


def equal(a, b, why=""):
    assert a == b, f"{a!r} is not {b!r}: {why}"


def types(events):
    return [e["type"] for e in events]


def result(events):
    assert events, "no event"
    equal(events[-1]["type"], "result", events[-1])
    return events[-1]


@case
def verified_and_applied(w):
    w.c_repo()
    url = w.serve(RIGHT, DONE)
    code, events, p = w.run("--endpoint", url, "--approve", "auto", "--apply")
    equal(code, 0, p.stderr)
    r = result(events)
    equal((r["status"], r["exit"], r["files"], r["escalations"]), ("verified", 0, 1, 0), r)
    assert "int i = 0" in w.read("sum.c")
    equal([e["seq"] for e in events], sorted({e["seq"] for e in events}), "sequence")
    for e in events:
        equal(e["v"], 1)
        assert e["session"] and e["time_ms"] > 0
    order = [t for t in types(events) if t in ("task", "route", "step", "tool_call", "tool_result", "checkpoint", "gate", "approval", "apply", "result")]
    equal(order[:2], ["task", "route"])
    for a, b in (("tool_call", "tool_result"), ("tool_result", "checkpoint"), ("checkpoint", "gate"), ("gate", "approval"), ("approval", "apply")):
        assert order.index(a) < order.index(b), order
    gate = next(e for e in events if e["type"] == "gate")
    equal((gate["name"], gate["verdict"]), ("make test", "pass"), gate)
    for member in ("kind", "new_failures", "old_failures", "duration_ms"):
        assert member in gate, gate
    step = next(e for e in events if e["type"] == "step")
    for member in ("n", "prompt_tokens", "cached_tokens", "completion_tokens", "ttft_ms", "duration_ms"):
        assert member in step, step
    # what failed before was told with the task
    assert "Failing now:\\n$ make test" in w.bodies()[0]["body"], w.bodies()[0]["body"]
    exported = w.stead("session", "export", r["session"], check=0).stdout.splitlines()
    kinds = [json.loads(l)["type"] for l in exported]
    assert "result" in kinds and "tool_call" in kinds, kinds
    equal(os.listdir(os.path.join(w.state, "layers")), [], "an applied task leaves no layer")


@case
def verified_draft_is_kept_and_applied_later(w):
    w.c_repo()
    url = w.serve(RIGHT, DONE)
    code, events, _ = w.run("--endpoint", url, "--approve", "never")
    r = result(events)
    equal((code, r["status"]), (0, "verified"), r)
    assert "int i = 1" in w.read("sum.c"), "nothing is written unasked"
    w.stead("change", "apply", r["change"], check=0)
    assert "int i = 0" in w.read("sum.c")
    w.stead("change", "apply", "--revert", r["change"], check=0)
    assert "int i = 1" in w.read("sum.c")


@case
def red_goes_back_to_the_agent_then_stays_a_draft(w):
    w.c_repo()
    url = w.serve(WRONG, DONE, DONE, DONE, DONE, DONE, DONE, repeat=True)
    code, events, _ = w.run("--endpoint", url, "--approve", "auto", "--apply")
    r = result(events)
    equal((code, r["status"], r["exit"]), (3, "red", 3), r)
    equal(w.read("sum.c"), SUM, "a red change is never applied")
    assert any("Still failing:" in b["body"] for b in w.bodies()), "the agent was told"
    assert r["change"]
    gates = [e["verdict"] for e in events if e["type"] == "gate"]
    assert gates and set(gates) == {"fail"}, gates
    assert "escalate" in types(events)
    equal([e["to"] for e in events if e["type"] == "escalate"][-1], "person")


@case
def a_red_gate_is_repaired_in_the_second_round(w):
    w.c_repo()
    url = w.serve(WRONG, DONE, {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 3, "to": 4,
                  "new": "    int total = 0;\n    for (int i = 0; i < n; i++)"}}]}, DONE)
    code, events, _ = w.run("--endpoint", url, "--approve", "auto", "--apply")
    equal((code, result(events)["status"]), (0, "verified"))
    equal([e["verdict"] for e in events if e["type"] == "gate"], ["fail", "pass"])
    assert "int i = 0" in w.read("sum.c")


@case
def a_question_is_answered_and_changes_nothing(w):
    w.c_repo()
    url = w.serve({"text": "It adds the numbers."})
    code, events, _ = w.run("--endpoint", url, task="explain what sum.c does")
    r = result(events)
    equal((code, r["status"], r["change"], r["files"]), (0, "unchanged", None, 0), r)
    assert any(e["type"] == "text" and "adds" in e["text"] for e in events), events


@case
def no_gate_means_a_person(w):
    w.write("notes.txt", "a\n")
    reply = {"calls": [{"name": "write", "args": {"path": "notes.txt", "content": "b\n"}}]}
    url = w.serve(reply, DONE, reply, DONE, reply, DONE)
    code, events, _ = w.run("--endpoint", url, "--approve", "auto", "--apply", task="change notes.txt to say b")
    equal((code, result(events)["status"]), (6, "pending"), result(events))
    equal(w.read("notes.txt"), "a\n")
    code, events, _ = w.run("--endpoint", url, "--no-gates", "--approve", "never", task="change notes.txt to say b")
    equal((code, result(events)["status"]), (6, "pending"))
    code, events, _ = w.run("--endpoint", url, "--no-gates", "--approve", "auto", "--apply", task="change notes.txt to say b")
    equal(code, 0, result(events))
    equal(w.read("notes.txt"), "b\n")
    assert [e for e in events if e["type"] == "approval" and e["by"] == "--approve auto"], "recorded as that person's word"


@case
def gate_option_replaces_detection(w):
    w.c_repo()
    url = w.serve(RIGHT, DONE)
    code, events, _ = w.run("--endpoint", url, "--gate", "grep -q 'i = 0' sum.c", "--gate", "true")
    equal(code, 0)
    equal(sorted(e["name"] for e in events if e["type"] == "gate"), sorted(["grep -q 'i = 0' sum.c", "true"]))


@case
def nobody_serves(w):
    w.c_repo()
    code, events, p = w.run("--endpoint", "http://127.0.0.1:9/v1")
    r = result(events)
    equal((code, r["status"], r["exit"]), (5, "unserved", 5), r)
    assert "error" in types(events)


@case
def an_endpoint_that_has_moved(w):
    w.c_repo()
    url = w.serve(DONE, routes={"GET /v1/models": {"status": 301, "text": "", "headers": {"Location": "https://models.example.org/v1/models"}}})
    code, events, p = w.run("--endpoint", url)
    equal(code, 5, p.stderr)
    assert "has moved to https://models.example.org/v1/models" in result(events)["reason"], result(events)


@case
def a_certificate_of_ones_own(w):
    """Not trusted: said with the cause; trusted by SSL_CERT_FILE: served."""
    w.c_repo()
    key, cert = os.path.join(w.dir, "key.pem"), os.path.join(w.dir, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    plain = w.serve(RIGHT, DONE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept():
        while True:
            try:
                client = context.wrap_socket(listener.accept()[0], server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            host, port = plain.split("/")[2].split(":")
            server = socket.create_connection((host, int(port)))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    code, events, p = w.run("--endpoint", url)
    equal(code, 5, p.stderr)
    assert "certificate" in result(events)["reason"], result(events)
    w.env["SSL_CERT_FILE"] = cert
    code, events, p = w.run("--endpoint", url)
    equal((code, result(events)["status"]), (0, "verified"), p.stdout[-600:])
    listener.close()


@case
def a_loop_is_stopped(w):
    w.c_repo()
    url = w.serve({"calls": [{"name": "read", "args": {"path": "nope.c"}}]}, repeat=True)
    code, events, _ = w.run("--endpoint", url, "--no-gates")
    equal((code, result(events)["status"]), (4, "stopped"), result(events))


@case
def step_budget_ends_it(w):
    w.c_repo()
    url = w.serve(*[{"calls": [{"name": "read", "args": {"path": "sum.c", "from": i + 1, "to": i + 1}}]} for i in range(6)])
    code, events, _ = w.run("--endpoint", url, "--no-gates", "--max-steps", "3")
    r = result(events)
    equal((code, r["steps"]), (4, 3), r)


@case
def mistakes_on_the_command_line(w):
    w.c_repo()
    for args, words in ((["run", "--bogus", "x"], "unknown option"), (["run"], "needs"), (["run", ""], "empty"), (["run", "--max-steps", "0", "x"], "--max-steps"),
                        (["run", "--timeout", "5", "x"], "500ms"), (["run", "a", "b"], "quotes"), (["frobnicate"], "unknown command"),
                        (["run", "--approve", "maybe", "x"], "ask, auto, never"), (["-C", "/no/such/dir", "run", "x"], "/no/such/dir")):
        p = w.stead(*args, check=2)
        assert words in p.stderr, (args, p.stderr)
        assert p.stderr.startswith("stead: "), p.stderr


@case
def json_is_never_mixed_with_text(w):
    """Each command with --json: one object on standard output, whatever is asked and whatever goes wrong."""
    w.write("x", "")
    for args in (["help"], ["help", "run"], ["help", "change"], ["help", "nosuch"], ["help", "--man"], ["--help"], ["run", "--help"], ["change", "--help"],
                 ["change"], ["session"], ["completion", "bash"], ["completion", "tcsh"], ["--version"], ["--color", "maybe", "session", "list"],
                 ["run", "--nosuch"], ["nosuch"], [], ["change", "list"], ["session", "list"], ["config", "path"], ["sandbox", "run", "--nosuch", "--", "x"]):
        for argv in (["--json", *args], [*args, "--json"]):
            if argv[-1] == "--json" and "--" in argv:
                continue
            p = w.stead(*argv)
            lines = p.stdout.splitlines()
            equal(len(lines), 1, (argv, p.stdout[:300]))
            got = json.loads(lines[0])
            equal(got["v"], 1, argv)
            equal(got.get("type") == "error", p.returncode != 0, (argv, got))
            equal(p.returncode in (0, 2), True, (argv, p.returncode))
    assert json.loads(w.stead("--json", "help", "run").stdout)["text"].startswith("usage: stead run"), "text"


@case
def a_broken_configuration_is_named_with_its_line(w):
    w.c_repo()
    w.write("stead.yaml", "gates:\n  - name: x\n    command: [1\n")
    p = w.stead("run", "x", check=2)
    assert "stead.yaml:" in p.stderr, p.stderr
    w.write("stead.yaml", "endpoints:\n  - name: evil\n    url: http://evil\n")
    p = w.stead("run", "x", check=2)
    assert "stead.yaml:1" in p.stderr or "stead.yaml:2" in p.stderr, p.stderr


def messages(body):
    return [(m["role"], m.get("content")) for m in json.loads(body["body"])["messages"]]


@case
def resumed_with_a_lone_message(w):
    """`stead resume "TEXT"`: the latest session of this directory is told it; a word that is an ID names a session."""
    w.c_repo()
    url = w.serve(RIGHT, DONE, {"text": "More."}, {"text": "Again."}, repeat=True)
    code, events, p = w.run("--endpoint", url, "--approve", "never")
    equal(code, 0, p.stderr)
    session = events[0]["session"]
    for args in (["and thank me"], [session, "and thank me"], [session[:12], "and thank me"]):
        q = w.stead("resume", "--json", "--no-gates", *args)
        equal(json.loads(q.stdout.splitlines()[0])["session"], session, q.stderr)
        equal(messages(w.bodies()[-1])[-1], ("user", "and thank me"))
    for args, said in ((["and", "thank me"], "neither a session's ID"), ([session, "a", "b"], "does not take 'b'"), (["sd24n0there"], "there is no session"),
                       ([" "], "message is empty")):
        q = w.stead("resume", *args)
        assert q.returncode in (1, 2) and said in q.stderr, (args, q.returncode, q.stderr)
    q = w.stead("fork", "--json", "1")
    equal(json.loads(q.stdout)["step"], 1, q.stderr)
    q = w.stead("fork", "--json", "--no-gates", session, "1", "another way")
    equal(messages(w.bodies()[-1])[-1], ("user", "another way"))


@case
def a_session_in_use_is_left_alone(w):
    """Resumed, undone or forked while it runs: said so, and nothing gets into the running one's events."""
    w.c_repo()
    url = w.serve(RIGHT, {"calls": [{"name": "shell", "args": {"command": "sleep 3"}}]}, DONE, repeat=True)
    p = w.start("--endpoint", url, "--no-gates", "--approve", "never")
    lines = [p.stdout.readline()]
    while json.loads(lines[-1])["type"] != "checkpoint":
        lines.append(p.stdout.readline())
    session = json.loads(lines[0])["session"]
    for args in (["resume", "--json", "--no-gates", session], ["undo", session], ["fork", "--json", session]):
        q = w.stead(*args)
        equal(q.returncode, 1, args)
        assert "in use by another stead" in q.stderr, q.stderr
        if "--json" in args:
            equal(json.loads(q.stdout.splitlines()[-1])["type"], "error", q.stdout)
    out, err = p.communicate(timeout=60)
    equal(p.returncode, 6, err)
    recorded = [json.loads(l)["type"] for l in w.stead("session", "export", session).stdout.splitlines()]
    equal(recorded.count("result"), 1, recorded)
    equal(recorded.count("error"), 0, recorded)


@case
def undone_to_the_beginning_and_resumed(w):
    """After `undo 0` the task begins anew: the first request again, byte for byte, over the files as they were."""
    w.c_repo()
    url = w.serve(RIGHT, DONE, RIGHT, DONE)
    code, events, p = w.run("--endpoint", url, "--approve", "never", "--gate", "make test")
    equal(code, 0, p.stderr)
    w.stead("undo", "0", check=0)
    q = w.stead("resume", "--json", "--gate", "make test")
    equal(q.returncode, 0, q.stderr)
    r = result([json.loads(l) for l in q.stdout.splitlines()])
    equal((r["status"], r["files"]), ("verified", 1), r)
    bodies = [b["body"] for b in w.bodies()]
    equal(bodies[2], bodies[0])
    assert "int i = 0" in w.stead("change", "diff", r["change"], check=0).stdout


@case
def the_embedded_engine_keeps_its_name(w):
    """A session of the embedded engine goes on there, whatever its address is by then, and is shown under the same name."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    pilot = os.path.join(os.path.dirname(top), "data/pilot/stead-pilot.gguf")
    if not os.path.exists(os.path.join(os.path.dirname(STEAD), "../inference/engine/stead-engine")) or not os.path.exists(pilot):
        print("# no engine in this build")
        return
    w.c_repo()
    with open(os.path.join(w.dir, ".config/stead/config.yaml"), "w") as f:
        f.write("inference:\n  idle: 1s\n")
    code, events, p = w.run("--endpoint", "embedded", "--approve", "never", "--no-gates", "--max-steps", "1")
    names = {e["type"]: e["endpoint"] for e in events if e["type"] in ("route", "attempt", "result")}
    equal(names, {"route": "embedded", "attempt": "embedded", "result": "embedded"}, p.stderr)
    deadline = time.time() + 60
    while time.time() < deadline and w.engines():
        time.sleep(0.2)
    q = w.stead("resume", "--json", "--no-gates", "--max-steps", "1")
    events = [json.loads(l) for l in q.stdout.splitlines()]
    names = {e["type"]: e["endpoint"] for e in events if e["type"] in ("route", "attempt", "result")}
    equal(names, {"route": "embedded", "attempt": "embedded", "result": "embedded"}, q.stderr + q.stdout)
    while time.time() < deadline and w.engines():
        time.sleep(0.2)


@case
def interrupted_and_resumed(w):
    w.c_repo()
    url = w.serve({"calls": [{"name": "read", "args": {"path": "sum.c"}}]}, dict(RIGHT, delay_ms=8000), RIGHT, DONE)
    p = w.start("--endpoint", url)
    for line in p.stdout:
        if json.loads(line)["type"] == "tool_result":
            break
    time.sleep(0.3)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    equal(p.returncode, 130, err)
    session = result([json.loads(l) for l in out.splitlines()])["session"]
    q = w.stead("resume", "--json", session)
    events = [json.loads(l) for l in q.stdout.splitlines()]
    equal((q.returncode, result(events)["status"]), (0, "verified"), q.stderr + q.stdout[-600:])
    bodies = [b["body"] for b in w.bodies()]
    before, after = bodies[1], bodies[2]
    cut = before.rindex("]")  # the closing bytes differ, what stands before them is the same bytes
    same = os.path.commonprefix([before, after])
    assert len(same) >= before.rfind('"role":"tool"') > 0, (len(same), cut)


@case
def killed_before_the_first_word_and_resumed(w):
    """The task is recorded, the conversation not yet begun: going on begins it, with all of the task."""
    w.c_repo()
    with socket.socket() as mute:  # takes the connection and says nothing: stead waits for who is there
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        p = w.start("--endpoint", f"http://127.0.0.1:{mute.getsockname()[1]}", task="make the failing test of sum pass")
        while json.loads(p.stdout.readline())["type"] != "task":
            pass
        p.kill()
        p.communicate()
    url = w.serve(RIGHT, DONE)
    fork = w.stead("fork")
    equal(fork.returncode, 1, fork.stdout)
    assert "holds no conversation" in fork.stderr, fork.stderr
    q = w.stead("resume", "--json", "--endpoint", url)
    events = [json.loads(l) for l in q.stdout.splitlines()]
    equal((q.returncode, result(events)["status"]), (0, "verified"), q.stderr + q.stdout[-600:])
    assert "make the failing test of sum pass" in w.bodies()[0]["body"], w.bodies()[0]["body"][-600:]


@case
def the_journal_cannot_grow(w):
    """The stream of events ends with its result although nothing more can be recorded."""
    w.c_repo()
    w.stead("session", "list")
    url = w.serve({"calls": [{"name": "read", "args": {"path": "sum.c"}}]}, {"text": "x" * 400000}, repeat=True)

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300000, 300000))

    p = subprocess.run([STEAD, "run", "--json", "--no-gates", "--endpoint", url, "x"], cwd=w.repo, env=w.env, capture_output=True, text=True,
                       timeout=120, stdin=subprocess.DEVNULL, preexec_fn=small_files)
    events = [json.loads(l) for l in p.stdout.splitlines()]
    equal(p.returncode, 1, p.stderr)
    equal(types(events)[-2:], ["error", "result"], p.stdout[-600:])
    equal((result(events)["status"], result(events)["exit"]), ("failed", 1))
    equal([e["seq"] for e in events if e["type"] != "prompt"], sorted({e["seq"] for e in events}), "in order")
    equal(len({e["session"] for e in events}), 1)
    assert "journal" in events[-2]["message"] and "journal" in p.stderr, p.stderr


@case
def interrupted_while_nobody_reads(w):
    """A full pipe must not keep the program from being stopped; what the caller ignores stays ignored."""
    w.c_repo()
    url = w.serve({"text": "z" * 200000, "pieces": 500, "usage": {"prompt_tokens": 10, "completion_tokens": 100}}, repeat=True)
    for mode in (["--json"], []):
        p = subprocess.Popen([STEAD, "run", *mode, "--endpoint", url, "explain sum.c"], cwd=w.repo, env=w.env, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        time.sleep(1)
        equal(p.poll(), None, "it waits for its reader")
        p.send_signal(signal.SIGINT)
        equal(p.wait(timeout=20), 130)
        p.stdout.close()
        p.stderr.close()
    url = w.serve({"calls": [{"name": "read", "args": {"path": "sum.c"}}]}, dict(RIGHT, delay_ms=1500), DONE)
    p = subprocess.Popen(["nohup", STEAD, "run", "--json", "--endpoint", url, "--approve", "never", "fix it"], cwd=w.repo, env=w.env,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    for line in p.stdout:
        if json.loads(line)["type"] == "tool_result":
            break
    p.send_signal(signal.SIGHUP)
    out, err = p.communicate(timeout=60)
    equal((p.returncode, json.loads(out.splitlines()[-1])["status"]), (0, "verified"), err)


def as_text(name, args):
    """One call in the markups that models leave in their text."""
    plain = json.dumps({"name": name, "arguments": args})
    tags = "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in args.items())
    invoke = "".join(f'<parameter name="{k}">{v}</parameter>\n' for k, v in args.items())
    return {
        "hermes": f"Let me.\n<tool_call>\n{plain}\n</tool_call>",
        "qwen xml": f"<tool_call>\n<function={name}>\n{tags}</function>\n</tool_call>",
        "bare": plain,
        "fenced": f"```json\n{plain}\n```",
        "mistral": f"[TOOL_CALLS][{plain}]",
        "llama": "<|python_tag|>" + json.dumps({"name": name, "parameters": args}),
        "harmony": f"<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{json.dumps(args)}<|call|>",
        "invoke": f'<function_calls>\n<invoke name="{name}">\n{invoke}</invoke>\n</function_calls>',
    }


# What a model or server does wrong, and what must come of it: (what, replies, exit, status, change has, result has, more of the script).
WRITES = {"path": "new.txt", "content": "right"}
BIG = {"calls": [{"name": "shell", "args": {"command": "yes line | head -n 3000"}}]}
TOO_LONG = {"status": 400, "json": {"error": {"code": 400, "message": "the request exceeds the available context size", "type": "exceed_context_size_error",
                                              "n_prompt_tokens": 40000, "n_ctx": 32768}}}
MISBEHAVIOURS = [("as text: " + k, [{"text": t}, DONE], 0, "verified", "+right", "wrote new.txt", {}) for k, t in as_text("write", WRITES).items()] + [
    ("arguments cut", [{"calls": [{"name": "write", "args": '{"path":"new.txt","content":"ri'}]}, {"calls": [{"name": "write", "args": WRITES}]}, DONE],
     0, "verified", "+right", "wrote new.txt", {}),
    ("arguments cut at the limit", [{"calls": [{"name": "write", "args": '{"path":"new.txt","content":"ri'}], "finish": "length"},
                                    {"calls": [{"name": "write", "args": WRITES}]}, DONE], 0, "verified", "+right", "wrote new.txt", {}),
    ("arguments always cut", [{"calls": [{"name": "write", "args": '{"path":"new.txt","content":"ri'}]}], 4, "stopped", None, None, {"repeat": True}),
    ("context exceeded", [BIG, TOO_LONG, {"calls": [{"name": "write", "args": WRITES}]}, DONE], 0, "verified", "+right", "wrote new.txt", {}),
    ("context always exceeded", [BIG, TOO_LONG], 4, "stopped", None, None, {"repeat": True}),
    ("sixty times the same", [{"calls": [{"name": "shell", "args": {"command": "true"}}]}], 4, "stopped", None, "[exit 0]", {"repeat": True}),
    ("empty reply", [{"text": ""}], 4, "stopped", None, None, {"repeat": True}),
    ("empty reply with zero usage", [{"text": "", "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}], 4, "stopped", None, None,
     {"repeat": True}),
    ("wrong indentation", [{"calls": [{"name": "edit", "args": {"path": "sum.c", "old": "        int total = 0;\n        for (int i = 1; i < n; i++)",
                                                                "new": "        int total = 0;\n        for (int i = 0; i < n; i++)"}}]}, DONE, DONE],
     4, "stopped", None, "4\t    for (int i = 1", {}),
    ("invented path", [{"calls": [{"name": "read", "args": {"path": "/home/user/project/sum.c"}}]}, DONE, DONE], 4, "stopped", None, "sum.c", {}),
    ("unknown tool", [{"calls": [{"name": "make_coffee", "args": {}}]}, {"calls": [{"name": "write", "args": WRITES}]}, DONE], 0, "verified", "+right",
     "wrote new.txt", {}),
    ("nothing done", [DONE, DONE], 4, "stopped", None, None, {}),
    ("server gone", [{"calls": [{"name": "read", "args": {"path": "sum.c"}}]}, {"close": True}], 5, "unserved", None, None, {"repeat": True}),
    ("no key", [{"status": 401, "json": {"error": {"message": "no"}}}], 5, "unserved", None, None, {"repeat": True}),
    ("parse failure as 500", [{"status": 500, "json": {"error": {"code": 500, "message": "Failed to parse tool call arguments as JSON"}}},
                              {"calls": [{"name": "write", "args": WRITES}]}, DONE], 0, "verified", "+right", "wrote new.txt", {}),
]


@case
def each_misbehaviour_has_its_exit_code(w):
    w.c_repo()
    for what, replies, code, status, change, said, more in MISBEHAVIOURS:
        url = w.serve(*replies, **more)
        got, events, p = w.run("--endpoint", url, "--approve", "never", "--gate", "true", task="Put it right.")
        r = result(events)
        equal((got, r["status"], r["exit"]), (code, status, code), f"{what}: {p.stderr} {r.get('reason')}")
        assert r["steps"] <= 10, (what, r["steps"])
        if change:
            assert change in w.stead("change", "diff", r["change"], check=0).stdout, what
        else:
            equal(r["files"], 0, what)
        outputs = "\n".join(e["output"] for e in events if e["type"] == "tool_result")
        assert not said or said in outputs, (what, outputs)


@case
def nothing_lives_on_in_the_background(w):
    w.c_repo()
    marker = str(60000 + random.randrange(9000)) + ".5"
    url = w.serve({"calls": [{"name": "shell", "args": {"command": f"sleep {marker}", "background": True}}]},
                  {"calls": [{"name": "shell", "args": {"command": f"nohup setsid sleep {marker} >/dev/null 2>&1 & echo started"}}]}, RIGHT, DONE)
    code, events, p = w.run("--endpoint", url, "--approve", "never", "--gate", "true")
    equal(code, 0, p.stderr)
    equal(sandbox_processes(marker), [], "it ended with the session")


@case
def the_users_own_edit_meanwhile(w):
    w.c_repo()
    url = w.serve(RIGHT, dict(DONE, delay_ms=2500))
    p = w.start("--endpoint", url, "--approve", "auto", "--apply")
    for line in p.stdout:
        if json.loads(line)["type"] == "checkpoint":
            break
    w.write("sum.c", SUM.replace("int i = 1; i < n; i++", "int i = 2; i <= n; i++"))
    out, err = p.communicate(timeout=60)
    r = result([json.loads(l) for l in out.splitlines()])
    assert r["exit"] in (3, 6), r
    assert "int i = 2" in w.read("sum.c"), "the user's edit stays"
    assert "<<<<" not in w.read("sum.c")


@case
def escalates_to_the_next_endpoint(w):
    w.c_repo()
    bad = w.serve({"status": 500, "text": "broken"}, repeat=True)
    good = w.serve(RIGHT, DONE)
    w.configure(f"endpoints:\n  - name: first\n    url: {bad}\n  - name: second\n    url: {good}\npolicy:\n  max_escalations: 2\n"
                "  chains:\n    - class: default\n      stops: [first, second, person]\n")
    code, events, p = w.run("--approve", "auto", "--apply", timeout=200)
    r = result(events)
    equal((code, r["status"], r["escalations"], r["endpoint"]), (0, "verified", 1, "second"), p.stderr + json.dumps(r))
    e = next(e for e in events if e["type"] == "escalate")
    equal((e["from"], e["to"]), ("first", "second"), e)
    assert e["reason"]


@case
def secrets_do_not_leave_for_a_hosted_endpoint(w):
    w.c_repo()
    secret = "ghp_" + "".join(random.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") for _ in range(36))
    w.write("deploy.sh", f"export GITHUB_TOKEN={secret}\n")
    url = w.serve({"calls": [{"name": "read", "args": {"path": "deploy.sh"}}]}, RIGHT, DONE, DONE)
    w.configure(f"endpoints:\n  - name: cloud\n    url: {url}\n    local: false\npolicy:\n  hosted_classes: [all]\n"
                "  chains:\n    - class: default\n      stops: [cloud, person]\n")
    code, events, p = w.run("--no-gates")
    for b in w.bodies():
        assert secret not in b["body"], "the secret left"
    assert w.bodies(), p.stderr + p.stdout[-800:]
    sent = w.stead("session", "export", result(events)["session"]).stdout
    assert secret in w.read("deploy.sh") and '"sent"' in sent, sent[-500:]


def cloud_world(w, guard, *answers):
    """A hosted endpoint alone may serve; returns (exit, events, bodies that it got)."""
    url = w.serve(*answers, repeat=True)
    w.configure(f"endpoints:\n  - name: cloud\n    url: {url}\n    local: false\npolicy:\n  hosted_classes: [all]\n"
                f"  chains:\n    - class: default\n      stops: [cloud, person]\n{guard}")
    code, events, p = w.run("--no-gates")
    return code, events, [b["body"] for b in w.bodies(len(w.servers) - 1)]


@case
def what_may_not_leave_by_path_does_not_leave_by_another_way(w):
    """By a search, a shell command, a link, a mark in a directory: the words of the file never reach the hosted endpoint."""
    words = "the merger with Nordlys is off"
    for call, guard in (({"name": "search", "args": {"pattern": "merger"}}, "guard: {never_send: ['plans/**']}\n"),
                        ({"name": "shell", "args": {"command": "cd . && cat plans/board.txt | head -3"}}, "guard: {never_send: ['plans/**']}\n"),
                        ({"name": "read", "args": {"path": "notes.txt"}}, "guard: {never_send: ['plans/**']}\n"),
                        ({"name": "read", "args": {"path": "marked/board.txt"}}, ""),
                        ({"name": "search", "args": {"pattern": "merger", "path": "marked"}}, "")):
        w.c_repo()
        keep = "plans" if guard else "marked"
        w.write(f"{keep}/board.txt", f"secret plan: {words}\n")
        if not guard:
            w.write("marked/.stead-local", "")
        os.symlink("plans/board.txt", os.path.join(w.repo, "notes.txt"))
        code, events, bodies = cloud_world(w, guard, {"calls": [call]}, DONE)
        assert bodies and not any(words in b for b in bodies), (call, bodies[-1][-600:])
        equal(code, 5, events[-1])
        assert any(e["type"] == "tool_result" and words in e["output"] for e in events), (call, events)  # the agent had read it
        shutil.rmtree(w.repo)
        os.mkdir(w.repo)


@case
def what_was_redacted_comes_back_in_the_models_edits(w):
    """A hosted model rewrites a file with an address that it was not shown: the file keeps the address, and its server never sees it."""
    w.c_repo()
    mail = "anna.lindqvist@nordlys-regnskab.dk"
    w.write("AUTHORS", f"Anna <{mail}>\nBo <bo.holm@nordlys-regnskab.dk>\nAnna again: {mail}\n")
    mark = "[redacted:email:1]"
    code, events, bodies = cloud_world(w, "", {"calls": [{"name": "read", "args": {"path": "AUTHORS"}}]},
                                       {"calls": [{"name": "write", "args": {"path": "AUTHORS", "content": f"Anna <{mark}>, Bo <[redacted:email:2]>, [redacted:email:99]\n"}}]},
                                       {"calls": [{"name": "edit", "args": {"path": "AUTHORS", "old": mark, "new": f"mailto:{mark}"}}]}, DONE)
    assert len(bodies) >= 3 and not any("lindqvist" in b for b in bodies), bodies[-1][-800:]
    assert bodies[1].count(mark) >= 2 and bodies[-1].startswith(bodies[1][:bodies[1].rindex(mark)]), bodies[-1][-1500:]
    diff = w.stead("change", "diff", result(events)["change"]).stdout
    assert f"+Anna <mailto:{mail}>, Bo <bo.holm@nordlys-regnskab.dk>, [redacted:email:99]" in diff, diff


def second_world(w, row, *answers, local="true", policy="", more_edits=()):
    """The agent's server, and one whose model reads what the agent did: policy.second_model with this row."""
    w.c_repo()
    agent = w.serve(RIGHT, *more_edits, DONE, repeat=True)
    reader = w.serve(*answers)
    w.configure(f"endpoints:\n  - {{name: agent, url: '{agent}', local: true}}\n  - {{name: reader, url: '{reader}', local: {local}}}\n"
                f"policy:\n  second_model:\n    - {{{row}, endpoint: reader}}\n{policy}")


def report(*findings):
    return {"calls": [{"name": "report", "args": {"findings": list(findings)}}]}


DOUBT = {"file": "sum.c", "line": 4, "class": "bug", "severity": "block", "message": "an int overflows for large sums"}


@case
def a_second_model_informs(w):
    second_world(w, "class: default", report(DOUBT, dict(DOUBT, file="../elsewhere.c")))
    code, events, p = w.run("--endpoint", "agent")
    equal((code, result(events)["status"]), (0, "verified"), p.stderr)  # it said "block"; the policy lets it inform
    found = [e for e in events if e["type"] == "finding"]
    equal([(e["rule"], e["severity"], e["file"], e["line"]) for e in found], [("second/bug", "note", "sum.c", 4)], found)
    second = [e for e in events if e["type"] == "second"]
    equal([(e["endpoint"], e["weight"], e["findings"]) for e in second], [("reader", "note", 1)], second)
    body = w.bodies(1)[0]["body"]
    assert "make the failing test pass" in body and "+    for (int i = 0; i < n; i++)" in body and "make test: pass" in body, body[:3000]
    shown = json.loads(w.stead("change", "show", "--json", result(events)["change"]).stdout)
    assert any(f["rule"] == "second/bug" for f in shown["findings"]), shown


@case
def a_second_model_blocks_where_policy_says_so(w):
    second_world(w, "class: default, weight: block", report(DOUBT), report(), more_edits=[
        DONE, {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 3, "new": "    int total = 0; /* small sums */"}}]}])
    code, events, p = w.run("--endpoint", "agent")
    equal((code, result(events)["status"]), (0, "verified"), p.stderr)
    assert any("an int overflows for large sums" in b["body"] for b in w.bodies(0)), "the finding did not go back to the agent"
    equal([e["findings"] for e in events if e["type"] == "second"], [1, 0])


@case
def a_second_model_that_is_not_there(w):
    second_world(w, "class: default, weight: person", {"status": 500, "text": "no"}, {"status": 500, "text": "no"}, {"status": 500, "text": "no"},
                 {"status": 500, "text": "no"}, {"status": 500, "text": "no"}, {"status": 500, "text": "no"})
    code, events, p = w.run("--endpoint", "agent")
    equal((code, result(events)["status"]), (6, "pending"), p.stderr)
    equal([e["rule"] for e in events if e["type"] == "finding"], ["second/unavailable"])
    assert [e["problem"] for e in events if e["type"] == "second"], events


@case
def a_second_model_only_where_the_row_fits(w):
    second_world(w, "class: default, cost: high", report(DOUBT))
    code, events, p = w.run("--endpoint", "agent")
    equal((code, "second" in types(events), len(w.bodies(1))), (0, False, 0), p.stderr)


@case
def a_hosted_second_model_is_behind_the_guard(w):
    mail = {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 3, "new": "    int total = 0; /* ask anna.lindqvist@nordlys-regnskab.dk */"}}]}
    second_world(w, "class: default", report(), local="false", policy="  hosted_classes: [all]\n", more_edits=[mail])
    code, events, p = w.run("--endpoint", "agent")
    equal((code, result(events)["status"]), (0, "verified"), p.stderr)
    body = w.bodies(1)[0]["body"]
    assert "lindqvist" not in body and "int i = 0" in body, body[-1500:]
    sent = [e for e in map(json.loads, w.stead("session", "export", result(events)["session"]).stdout.splitlines()) if e["type"] == "sent"]
    equal([e["endpoint"] for e in sent], ["reader"])
    shutil.rmtree(w.repo)
    os.mkdir(w.repo)
    second_world(w, "class: default, weight: person", report(), local="false", policy="  hosted_classes: [all]\nguard:\n  never_send: [sum.c]\n")
    code, events, p = w.run("--endpoint", "agent")
    equal((code, result(events)["status"], w.bodies(3)), (6, "pending", []), p.stderr)
    assert "privacy guard" in [e["problem"] for e in events if e["type"] == "second"][0], events


@case
def a_hosted_second_model_is_not_asked_where_nothing_may_leave(w):
    for policy, option, words in (("", [], "hosted_classes"), ("  hosted_classes: [all]\n", ["--local-only"], "nothing may leave"),
                                  ("  hosted_classes: [all]\n  local_only: true\n", [], "nothing may leave")):
        second_world(w, "class: default", report(DOUBT), local="false", policy=policy)
        code, events, p = w.run("--endpoint", "agent", *option)
        equal((code, result(events)["status"]), (0, "verified"), p.stderr)
        equal(w.bodies(len(w.servers) - 1), [])
        assert words in [e["problem"] for e in events if e["type"] == "second"][0], events
        shutil.rmtree(w.repo)
        os.mkdir(w.repo)


@case
def a_formatter_repairs_by_itself(w):
    w.c_repo()
    w.write("fmt.sh", "#!/bin/sh\n# no blanks at the end of a line\nif [ \"$1\" = --check ]; then ! grep -n ' $' *.c; else sed -i 's/ *$//' *.c; fi\n")
    w.write("stead.yaml", "gates:\n- {name: fmt, kind: format, command: sh fmt.sh --check, fix: sh fmt.sh}\n- {command: make test, kind: test}\n")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    w.write("other.c", "int other;\n")
    for args in (["add", "-A"], ["commit", "-q", "-m", "formatter"]):
        subprocess.run(git + args, cwd=w.repo, check=True, env=w.env)
    w.write("fmt.sh", w.read("fmt.sh").replace("else ", "else echo 'int extra;' >> other.c; touch left.c; "))
    untidy = {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 4, "new": "    for (int i = 0; i < n; i++)   "}}]}
    url = w.serve(untidy, DONE)
    code, events, p = w.run("--endpoint", url, "--approve", "auto", "--apply")
    r = result(events)
    equal((code, r["status"], r["files"], r["steps"]), (0, "verified", 1, 2), p.stderr + json.dumps(r))
    fixes = [e for e in events if e["type"] == "fix"]
    equal([(e["gate"], e["status"], e["changed"], e["others_put_back"]) for e in fixes], [("fmt", 0, True, 2)], fixes)
    equal([(e["name"], e["verdict"]) for e in events if e["type"] == "gate"],
          [("fmt", "fail"), ("make test", "pass"), ("fmt", "pass"), ("make test", "pass")])
    assert "i++)\n" in w.read("sum.c") and "extra" not in w.read("other.c") and not os.path.exists(os.path.join(w.repo, "left.c"))


@case
def a_fix_that_does_not_help_leaves_it_to_the_agent(w):
    w.c_repo()
    w.write("stead.yaml", "gates:\n- {name: fmt, kind: format, command: '! grep -n \" $\" sum.c', fix: 'exit 3'}\n")
    untidy = {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 4, "new": "    for (int i = 0; i < n; i++)   "}}]}
    url = w.serve(untidy, DONE, RIGHT, DONE)
    code, events, p = w.run("--endpoint", url)
    equal((code, result(events)["status"]), (0, "verified"), p.stderr)
    equal([(e["status"], e["changed"]) for e in events if e["type"] == "fix"], [(3, False)])


@case
def a_guarded_file_waits_for_a_person(w):
    w.c_repo()
    hook = {"calls": [{"name": "write", "args": {"path": ".vscode/tasks.json", "content": "{}\n"}}]}
    url = w.serve(RIGHT, hook, DONE)
    code, events, _ = w.run("--endpoint", url, "--approve", "auto", "--apply")
    equal((code, result(events)["status"]), (6, "pending"), result(events))
    assert not os.path.exists(os.path.join(w.repo, ".vscode"))


@case
def full_disk_and_closed_output(w):
    w.c_repo()
    p = subprocess.run(f"{STEAD} help > /dev/full", shell=True, env=w.env, capture_output=True, text=True)
    equal(p.returncode, 1)
    assert "No space left" in p.stderr and "try:" in p.stderr, p.stderr
    p = subprocess.run(f"{STEAD} help >&-", shell=True, env=w.env, capture_output=True, text=True)
    assert p.returncode in (0, 1), p.returncode
    p = subprocess.run(f"{STEAD} help | true", shell=True, env=w.env, capture_output=True, text=True)
    equal(p.stderr, "")
    w.env["STEAD_STATE_DIR"] = "/proc/nope"
    p = w.stead("run", "x")
    equal(p.returncode, 1)
    assert "/proc/nope" in p.stderr, p.stderr


def sandbox_processes(marker):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f, open(f"/proc/{pid}/cmdline", "rb") as g:
                if marker.encode() in f.read() + g.read():
                    found.append(pid)
        except OSError:
            pass
    return found


@case
def killed_at_random_moments(w):
    w.c_repo()
    rng = random.Random(7)
    for i in range(25):
        w.write("sum.c", SUM)
        url = w.serve(RIGHT, {"calls": [{"name": "shell", "args": {"command": "sleep 0.05; true"}}]}, DONE)
        p = w.start("--endpoint", url, "--approve", "auto", "--apply", "--gate", f"grep -q 'i = 0' sum.c # {w.dir}")
        time.sleep(rng.uniform(0.01, 0.6))
        p.kill()
        p.communicate()
        w.servers[-1][0].kill()
        text = w.read("sum.c")
        assert text in (SUM, SUM.replace("i = 1", "i = 0")), f"half an apply: {text}"
        patience = time.time() + 20
        while sandbox_processes(w.dir) and time.time() < patience:
            time.sleep(0.02)
        equal(sandbox_processes(w.dir), [], "processes of the sandbox live on")
        w.stead("change", "list")  # an apply that was killed half way is finished or taken back at the next start
        text = w.read("sum.c")
        assert text in (SUM, SUM.replace("i = 1", "i = 0")), f"half an apply: {text}"
        equal([n for n in os.listdir(w.repo) if n not in (".git", ".gitignore", "Makefile", "sum.c", "test.c", "t")], [], "left behind")
    url = w.serve(RIGHT, DONE)
    w.write("sum.c", SUM)
    code, events, p = w.run("--endpoint", url, "--approve", "auto", "--apply")
    equal(code, 0, p.stderr)


@case
def nobody_is_named_unless_report_person_is_on(w):
    w.c_repo()
    url = w.serve({"text": "It adds the numbers."}, repeat=True)
    w.configure("")
    _, events, _ = w.run("--endpoint", url, task="explain what sum.c does")
    assert "person" not in events[0] and events[0]["type"] == "task", events[0]
    w.configure("report: {person: true}\n")
    _, events, _ = w.run("--endpoint", url, task="explain what sum.c does")
    me = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    equal(events[0]["person"], me)
    groups = json.loads(w.stead("report", "--json").stdout)["groups"]
    equal(sorted((g["name"], g["tasks"]) for g in groups if g["by"] == "person"), sorted([(me, 1), ("unknown", 1)]))


@case
def a_question_that_ends_in_a_change_waits_for_a_person(w):
    """What is classed as a question is cheap because nothing comes of it: a change that comes of it all the same never goes in by itself."""
    w.c_repo()
    url = w.serve(RIGHT, DONE, DONE)
    code, events, _ = w.run("--endpoint", url, "--approve", "auto", "--apply", task="explain what sum.c does")
    equal((code, result(events)["status"]), (6, "pending"), result(events))
    assert "question" in result(events)["reason"], result(events)
    equal(w.read("sum.c"), SUM)


@case
def a_hand_edit_after_the_apply_is_noticed(w):
    w.c_repo()
    url = w.serve(RIGHT, DONE, {"text": "It adds."}, repeat=True)
    w.configure(f"endpoints:\n- {{name: a, url: '{url}'}}\n")
    code, events, p = w.run("--approve", "auto", "--apply")
    equal((code, result(events)["applied"]), (0, True), p.stderr)
    first = result(events)["session"]
    completion = lambda: json.loads(w.stead("report", "--json").stdout)["groups"][0]["metrics"]["task_completion"]  # noqa: E731
    equal((completion()["value"], completion()["n"]), (1, 1))
    time.sleep(2.2)  # an apply may still be writing two seconds after its event
    w.write("sum.c", w.read("sum.c") + "/* by hand */\n")
    code, events, p = w.run(task="explain what sum.c does")
    equal((code, {e["session"] for e in events}), (0, {events[0]["session"]}), "only its own events are in a stream")
    assert '"type":"edited"' in w.stead("session", "export", first).stdout
    equal((completion()["value"], completion()["n"]), (0.5, 2), "the first no longer counts")


def main():
    passed = failed = 0
    for fn in CASES:
        if ONLY and fn.__name__ not in ONLY:
            continue
        w = World()
        began = time.time()
        try:
            fn(w)
            passed += 1
            print(f"ok {fn.__name__} ({time.time() - began:.1f} s)", flush=True)
        except Exception as e:  # noqa: BLE001 - any failure is this case's
            failed += 1
            line = e.__traceback__.tb_next.tb_lineno if e.__traceback__.tb_next else 0
            print(f"not ok {fn.__name__} (line {line}): {type(e).__name__}: {str(e)[:1500]}", flush=True)
        finally:
            w.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
