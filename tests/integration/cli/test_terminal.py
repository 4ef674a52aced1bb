#!/usr/bin/env python3
"""test_terminal.py STEAD MODEL_SERVER: a person at a terminal, played by tmux: the interactive session and the review."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

STEAD, SERVER = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
ONLY = sys.argv[3:] or None
CASES = []
SUM = "int sum(const int *v, int n)\n{\n    int total = 0;\n    for (int i = 1; i < n; i++)\n        total += v[i];\n    return total;\n}\n"
FIX = {"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 4, "new": "    for (int i = 0; i < n; i++)"}}]}


def case(fn):
    CASES.append(fn)
    return fn


class Terminal:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="stead-term-")
        self.repo = os.path.join(self.dir, "repo")
        os.makedirs(os.path.join(self.repo, "src/deep"))
        os.makedirs(os.path.join(self.dir, ".config/stead"))
        with open(os.path.join(self.dir, ".config/stead/config.yaml"), "w") as f:
            f.write("inference:\n  embedded: false\n")
        self.write("sum.c", SUM)
        self.write("other.c", "int other;\n")
        self.write("src/deep/file.c", "x\n")
        self.write("Makefile", "test:\n\tgrep -q 'i = 0' sum.c\n")
        self.server = None
        self.env = {"PATH": os.environ["PATH"], "HOME": self.dir, "STEAD_STATE_DIR": os.path.join(self.dir, "state"), "LANG": "C.UTF-8",
                    "SHELL": "/bin/sh", "STEAD_CACHE_DIR": os.path.join(self.dir, "cache")}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def write(self, path, text):
        with open(os.path.join(self.repo, path), "w") as f:
            f.write(text)

    def read(self, path):
        with open(os.path.join(self.repo, path)) as f:
            return f.read()

    def serve(self, *replies, **more):
        script, self.record = os.path.join(self.dir, "script.json"), os.path.join(self.dir, "record.jsonl")
        with open(script, "w") as f:
            json.dump(dict(replies=list(replies), **more), f)
        self.server = subprocess.Popen([sys.executable, SERVER, script, "--record", self.record], stdout=subprocess.PIPE, text=True)
        self.url = self.server.stdout.readline().split()[1]
        return self.url

    def bodies(self):
        """Requests in the order in which they came; the server may still be writing down the last one."""
        with urllib.request.urlopen(self.url + "/__settled", timeout=30), open(self.record) as f:
            return [r["body"] for r in sorted((json.loads(l) for l in f if json.loads(l)["n"]), key=lambda r: r["first_us"])]

    def events(self):
        p = subprocess.run([STEAD, "session", "export"], cwd=self.repo, env=self.env, capture_output=True, text=True, timeout=60)
        return [json.loads(l) for l in p.stdout.splitlines()]

    def tmux(self, *args):
        p = subprocess.run(["tmux", "-S", os.path.join(self.dir, "tmux"), "-f", "/dev/null", *args], env=self.env, capture_output=True, text=True)
        return p.stdout

    def open(self, command, columns=100, rows=30):
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", self.repo, f"{command}; echo exit=$?; sleep 1000")
        time.sleep(0.2)

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def screen(self):
        return self.tmux("capture-pane", "-p", "-S", "-200")

    def styled(self):
        return self.tmux("capture-pane", "-p", "-e")

    def wait(self, *words, timeout=25, gone=()):
        end = time.time() + timeout
        while time.time() < end:
            text = self.screen()
            if all(w in text for w in words) and not any(g in text for g in gone):
                return text
            time.sleep(0.05)
        raise AssertionError(f"{words} did not appear:\n{self.screen()}")

    def resize(self, columns):
        """And wait until the prompt, which is longer than a row of 80 columns, was laid out anew: tmux tells of it a little later."""
        self.tmux("resize-window", "-x", str(columns), "-y", "24")
        end = time.time() + 25
        while time.time() < end:
            rows = [r for r in self.tmux("capture-pane", "-p").split("\n") if r[:2] in ("> ", ". ")]
            if len(rows) > 1 and columns - 12 < max(len(r) for r in rows) <= columns or (len(rows) == 1 and columns > 80):
                return
            time.sleep(0.05)

    def close(self):
        self.tmux("kill-server")
        if self.server:
            self.server.kill()
            self.server.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


@case
def a_task_is_typed_checked_and_applied(t):
    t.serve(FIX, {"text": "I changed **line 4**.\n\n- it starts at `0` now"})
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">", "/help")
    t.type("make the failing test pass")
    t.keys("Enter")
    text = t.wait("make test", "pass", "/apply carries it in")
    assert "edit sum.c:4" in text, text
    assert text.count("no endpoint yet") <= 1, "the prompt area was drawn over itself:\n" + text
    assert "\u2022 it starts at 0 now" in text, text
    t.type("/diff")
    t.keys("Enter")
    t.wait("+    for (int i = 0; i < n; i++)")
    assert "i = 1" in t.read("sum.c")
    t.type("/apply")
    t.keys("Enter")
    t.wait("applied, change")
    assert "i = 0" in t.read("sum.c")
    t.type("/quit")
    t.keys("Enter")
    t.wait("exit=0")


@case
def completion_of_commands_and_paths(t):
    t.serve({"text": "completed answer"}, repeat=True)
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("/he")
    t.keys("Tab")
    t.wait("> /help")
    t.keys("C-u")
    t.type("look at @src/de")
    t.keys("Tab")
    t.wait("@src/deep/")
    t.keys("Tab")
    t.wait("@src/deep/file.c")
    t.keys("Enter")
    t.wait("completed answer")
    assert any("file.c" in b for b in t.bodies())


@case
def multi_line_input_and_history(t):
    t.serve({"text": "first answer"}, {"text": "second answer"})
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("one\\")
    t.keys("Enter")
    t.type("two")
    t.wait("> one", ". two")
    t.keys("Enter")
    t.wait("first answer")
    assert any("one\\ntwo" in b for b in t.bodies()), t.bodies()[-1][-400:]
    t.keys("Up")
    t.wait("> one", ". two")


@case
def ctrl_c_interrupts_once_and_leaves_twice(t):
    t.serve({"text": "never", "delay_ms": 20000}, {"text": "alive again"})
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("explain this")
    t.keys("Enter")
    t.wait("waiting for the model")
    began = time.time()
    t.keys("C-c")
    t.wait("failed", "too [s]low", gone=["waiting for the model"])
    assert time.time() - began < 5
    t.type("w")
    t.wait("noted: wrong")
    t.type("are you there?")
    t.keys("Enter")
    t.wait("alive again")
    t.keys("C-c")
    t.wait("once more leaves")
    t.keys("C-c")
    t.wait("exit=0")


@case
def a_message_is_queued_while_it_works(t):
    t.serve(dict(FIX, delay_ms=1500), {"text": "both done"}, {"text": "later"}, repeat=True)
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("fix the sum")
    t.keys("Enter")
    t.wait("waiting for the model")
    t.type("and say when you are done")
    t.keys("Enter")
    t.wait("queued: and say when you are done")
    t.wait("both done")
    assert any("and say when you are done" in b for b in t.bodies()[:3]), "the agent saw it"


@case
def an_edit_is_shown_as_a_diff_and_undone(t):
    second = {"calls": [{"name": "write", "args": {"path": "new.c", "content": "int fresh;\n"}}]}
    t.serve(FIX, second, {"text": "both written"})
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("make the failing test pass")
    t.keys("Enter")
    t.wait("both written", "/apply carries it in")
    styled = t.tmux("capture-pane", "-p", "-e", "-S", "-200")
    for color, line in (("31", "-    for (int i = 1; i < n; i++)"), ("32", "+    for (int i = 0; i < n; i++)"), ("32", "+int fresh;")):
        row = next((r for r in styled.splitlines() if line in r), "")
        assert f"\033[{color}m" in row, (line, row)
    t.type("/undo")
    t.keys("Enter")
    t.wait("after step 1")
    t.type("/diff")
    t.keys("Enter")
    text = t.wait("diff --git a/sum.c b/sum.c")
    assert "fresh" not in text[text.index("diff --git"):], text
    t.type("/apply")
    t.keys("Enter")
    t.wait("applied, change")
    assert "i = 0" in t.read("sum.c") and not os.path.exists(os.path.join(t.repo, "new.c")), "what was undone is not applied"


@case
def commands_work_while_it_works(t):
    t.serve({"calls": [{"name": "shell", "args": {"command": "echo hidden; echo lines"}}]}, {"text": "slow", "delay_ms": 4000}, {"text": "never"}, repeat=True)
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("explain")
    t.keys("Enter")
    t.wait("$ echo hidden", "step 2: waiting")
    t.type("/output")
    t.keys("Enter")
    t.wait("hidden\nlines\n")
    t.type("/apply")
    t.keys("Enter")
    t.wait("waits until the agent has ended")
    t.type("/quit")
    t.keys("Enter")
    t.wait("exit=0", timeout=10)
    assert not any("/output" in b or "/apply" in b or "/quit" in b for b in t.bodies()), "a command is no message"


@case
def a_message_typed_during_the_gates_is_the_next_turn(t):
    t.write("Makefile", "test:\n\tsleep 2; grep -q 'i = 0' sum.c\n")
    t.serve(FIX, {"text": "fixed it"}, {"text": "answer to the second"}, repeat=True)
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("make the failing test pass")
    t.keys("Enter")
    t.wait("fixed it", "gate make test (")
    t.type("now thank me")
    t.keys("Enter")
    t.wait("queued: now thank me")
    t.wait("> now thank me", "answer to the second")
    assert "now thank me" in t.bodies()[-1]


@case
def leaving_the_sandbox_asks_once(t):
    secret = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3gH6"
    t.write("deploy.sh", f"export GITHUB_TOKEN={secret}\n")
    read = {"calls": [{"name": "read", "args": {"path": "deploy.sh"}}]}
    t.serve(read, {"text": "seen it"}, repeat=True)
    with open(os.path.join(t.dir, ".config/stead/config.yaml"), "w") as f:
        f.write(f"inference:\n  embedded: false\nendpoints:\n  - name: cloud\n    url: {t.url}\n    local: false\n    model: test-model\n"
                "policy:\n  hosted_classes: [all]\n  chains:\n    - class: default\n      stops: [cloud, person]\nguard:\n  on_secret: ask\n")
    t.open(STEAD)
    t.wait(">")
    t.type("explain deploy.sh")
    t.keys("Enter")
    t.wait("leaving the sandbox: hosted cloud", "would be remembered as: hosted cloud", "ne[v]er")
    assert not any(secret in b for b in t.bodies()), "it was sent before it was allowed"
    t.type("xq")  # no answer
    time.sleep(0.3)
    assert not any(secret in b for b in t.bodies())
    t.type("a")
    t.wait("yes, always here", "seen it")
    assert any(secret in b for b in t.bodies())
    t.type("explain it again")
    t.keys("Enter")
    text = t.wait("> explain it again")
    end = time.time() + 10
    while text.count("seen it") < 2 and time.time() < end:
        time.sleep(0.1)
        text = t.screen()
    assert text.count("ne[v]er") == 1 and text.count("seen it") == 2, text
    t.type("/quit")
    t.keys("Enter")
    t.wait("exit=0")
    events = subprocess.run([STEAD, "session", "export"], cwd=t.repo, env=t.env, capture_output=True, text=True).stdout
    by = [json.loads(l)["by"] for l in events.splitlines() if json.loads(l)["type"] == "approval"]
    assert by[0] == "person" and by[1].startswith("rule"), by


@case
def words_stream_before_their_line_is_whole(t):
    t.serve({"text": "these are the words of one long paragraph that has no end for quite a while and goes on and on\nlast", "pieces": 6, "piece_delay_ms": 150})
    t.open(f"{STEAD} --endpoint {t.url}", columns=60)
    t.wait(">")
    t.type("explain")
    t.keys("Enter")
    t.wait("the words of one", "writing (", timeout=10)
    t.wait("last", gone=["writing ("])
    text = t.screen()
    assert text.count("these are the words") == 1, text


@case
def tab_lists_what_it_could_be(t):
    t.serve({"text": "x"}, repeat=True)
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("/un")
    t.keys("Tab")
    t.wait("/undo  /unfold")
    t.keys("C-u")
    t.type("@")
    t.keys("Tab")
    t.wait("@sum.c", "@other.c", "@src/")


@case
def signals_leave_a_sane_terminal(t):
    t.serve({"text": "slow", "delay_ms": 20000}, repeat=True)
    t.open(f"{STEAD} --endpoint {t.url}; stty -a | grep -o ' icanon'")
    t.wait(">")
    t.type("explain")
    t.keys("Enter")
    t.wait("waiting for the model")
    pane = t.tmux("list-panes", "-F", "#{pane_pid}").split()[0]
    with open(f"/proc/{pane}/task/{pane}/children") as f:
        os.kill(int(f.read().split()[0]), signal.SIGTERM)
    t.wait("icanon", "exit=0", timeout=10)


@case
def ctrl_c_in_plain_mode(t):
    t.serve({"text": "never", "delay_ms": 20000}, {"text": "alive again"})
    t.open(f"trap : INT; {STEAD} --plain --endpoint {t.url}")
    t.wait(">")
    t.type("explain")
    t.keys("Enter")
    time.sleep(1)
    t.keys("C-c")
    t.wait("interrupted")
    t.type("are you there?")
    t.keys("Enter")
    t.wait("alive again")
    t.keys("C-c")
    t.wait("once more leaves")
    t.keys("C-c")
    t.wait("exit=0")


@case
def narrow_window_resize_and_no_colour(t):
    t.env["NO_COLOR"] = "1"
    long = "a rather long sentence that has to be wrapped somewhere because the window is narrow, twice even"
    t.serve({"text": long}, {"text": "after the resize"})
    t.open(f"{STEAD} --endpoint {t.url}", columns=60)
    t.wait(">")
    t.type("explain")
    t.keys("Enter")
    text = t.wait("twice even")
    assert all(len(line) <= 60 for line in text.splitlines())
    assert "\033[3" not in t.styled(), "no colour was asked for"
    t.tmux("resize-window", "-x", "44", "-y", "20")
    time.sleep(0.3)
    t.type("again")
    t.keys("Enter")
    t.wait("after the resize")


@case
def the_prompt_moves_with_the_window(t):
    """Narrower and wide again: the prompt is drawn in its place, nothing of the old one stays above; messages break between words."""
    t.serve({"text": "done"}, FIX, {"text": "done"})
    t.open(f"{STEAD} --endpoint {t.url}", columns=90)
    t.wait(">")
    t.type("how many words are longer than a window of forty columns is wide, and why")
    t.wait("and why")
    for columns in (40, 64, 33, 90):
        t.resize(columns)
    text = t.tmux("capture-pane", "-p")  # what tmux pushed into its history while it wrapped is its own
    assert text.count("how many words") == 1 and text.count("no endpoint yet") == 1, text
    t.resize(30)
    t.keys("C-u")
    t.type("/nosuch")
    t.keys("Enter")
    t.wait("no such command; /help lists\nthem")


@case
def what_is_pasted_is_never_typed(t):
    """More than a paste may hold: no line of it is sent; and a message that is too long is refused, not cut."""
    t.serve({"text": "answered"}, repeat=True)
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    big = os.path.join(t.dir, "big")
    with open(big, "w") as f:
        f.write("a line that is pasted\n" * 60000)
    t.tmux("load-buffer", big)
    t.tmux("paste-buffer", "-p", "-d")
    t.wait(". a line that is pasted", timeout=60)
    t.keys("Enter")
    t.wait("a message holds at most 64 KiB", timeout=60)
    t.keys("C-c")
    t.wait("no endpoint yet", gone=(". a line",))
    t.type("a question")
    t.keys("Enter")
    t.wait("answered")
    assert len(t.bodies()) == 1, t.bodies()


@case
def plain_mode_draws_nothing_twice(t):
    t.serve({"text": "plain words"})
    t.open(f"{STEAD} --plain --endpoint {t.url}")
    t.wait(">")
    t.type("explain")
    t.keys("Enter")
    t.wait("plain words")
    t.keys("C-d")
    t.wait("exit=0")


@case
def hostile_text_cannot_drive_the_terminal(t):
    t.serve({"text": "safe\033]0;owned\007 \033[2Jstill here\033[31m"})
    t.open(f"{STEAD} --endpoint {t.url}")
    t.wait(">")
    t.type("explain")
    t.keys("Enter")
    t.wait("safe", "still here")
    assert "owned" not in t.tmux("display-message", "-p", "#{pane_title}")


def draft(t):
    t.serve({"calls": [{"name": "edit", "args": {"path": "sum.c", "line": 4, "new": "    for (int i = 0; i < n; i++)"}},
                       {"name": "edit", "args": {"path": "other.c", "line": 1, "new": "int other = 1;"}}]}, {"text": "done"},
            {"calls": [{"name": "edit", "args": {"path": "other.c", "line": 1, "new": "int other = 2;"}}]}, {"text": "as you wish"}, {"text": "end"}, repeat=True)
    p = subprocess.run([STEAD, "run", "--endpoint", t.url, "--approve", "never", "fix the failing test"], cwd=t.repo, env=t.env, capture_output=True, text=True,
                       stdin=subprocess.DEVNULL)
    assert p.returncode == 0, p.stdout + p.stderr


@case
def review_approves_and_rejects_by_hunk(t):
    draft(t)
    t.open(f"{STEAD} review", columns=110)
    text = t.wait("hunk 1 of 2", "make test", "pass")
    assert "other.c" in text
    t.keys("r")
    t.wait("why (for the agent")
    t.type("not asked for")
    t.keys("Enter")
    t.wait("hunk 2 of 2", "1 rejected", "+     for (int i = 0")
    t.keys("s")
    t.wait(" | ")
    t.keys("e")
    t.wait("$ make test")
    t.keys("e", "c")
    t.wait("comment (for the agent)")
    t.type("well seen")
    t.keys("Enter")
    t.wait("comment: well seen", "0 approved")
    t.keys("a")
    t.wait("1 approved", "every hunk is decided")
    t.keys("f")
    t.wait("applied; ", "too [s]low", timeout=40)
    t.keys("s")
    t.wait("as you wish", "[l]ater:", timeout=40) # what was rejected went back, and came again
    t.type("n")
    t.keys("Enter")
    end = time.time() + 25
    while t.screen().count("too [s]low") < 2 and time.time() < end:
        time.sleep(0.05)
    t.keys("x") # neither
    t.wait("exit=6")
    assert "i = 0" in t.read("sum.c"), "the approved hunk was carried in"
    assert t.read("other.c") == "int other;\n", "the rejected one was not"
    assert any("not asked for" in b for b in t.bodies()), "the agent was told why"
    assert any("Said of the rest:" in b and "well seen" in b for b in t.bodies()), "and what was said of the other hunk"
    said = [e for e in t.events() if e["type"] == "decision" and e["what"] in ("review", "interrupted")]
    assert [(e["what"], e["choice"]) for e in said] == [("review", "slow")], said


def kept(t, script):
    t.write("Makefile", "all:\n")
    p = subprocess.run([STEAD, "sandbox", "run", "--keep", "--", "sh", "-c", script], cwd=t.repo, env=t.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert p.returncode == 0, p.stdout + p.stderr


@case
def review_shows_every_byte_of_a_change(t):
    t.write("other.c", "int one;\nint two;\nint three;\n")
    kept(t, "printf 'int one;\\nint other; /* %s THE_END */\\n// \\342\\200\\256 turned\\n// \\033]0;payload\\007 \\033[8mhidden\\n// a\\rb\\n' \"$(seq -s, 1 60)\" > other.c; "
            "ln -s /etc/passwd zlink; seq 1 30000 > huge.txt")
    t.open(f"{STEAD} review", columns=60, rows=30)
    t.wait("hunk 1 of 3", "symbolic link", "-> /etc/passwd")
    t.wait("a approve", "c comment", "s side by side", "/ search", "e gates", "f finish", "q later") # each key, also where it is narrow
    t.keys("/")
    t.type("other.c")
    t.keys("Enter")
    t.wait("no test has run over it", "THE_END", "<U+202E> turned", "^[]0;payload^G", "^[[8mhidden", "a^Mb")
    t.keys("s")
    text = t.wait(" | ", "int two;")
    assert text.count("int two;") == 1 and text.count("int other;") == 1, text
    t.keys("e")
    t.wait("no gate has looked at this change", gone=("int two;",))
    t.keys("e", "/")
    t.type("huge.txt")
    t.keys("Enter")
    t.wait("rows 1 to ", "of 30000")
    t.keys("Space", "Space")
    t.wait("rows 21 to ")
    t.keys("q")
    t.wait("left for later", "exit=6")


@case
def review_without_colour_on_a_pipe_and_by_options(t):
    kept(t, "echo 'int other; /* x */' > other.c")
    t.open(f"NO_COLOR=1 {STEAD} review", columns=80)
    t.wait("hunk 1 of 1", "+ int other")
    assert not re.search(r"\x1b\[[0-9;]*[1-9]m", t.styled()), t.styled()
    t.keys("q")
    t.wait("exit=6")
    p = subprocess.run([STEAD, "review"], cwd=t.repo, env=t.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert p.returncode == 2 and "stead review --json" in p.stderr, (p.returncode, p.stderr)
    p = subprocess.run([STEAD, "review", "--json"], cwd=t.repo, env=t.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    hunk = json.loads(p.stdout)["hunks"][0]
    assert hunk["path"] == "other.c" and hunk["why"] == "no test has run over it", hunk


@case
def review_as_a_commit_names_gates_and_session(t):
    env = dict(t.env, GIT_CONFIG_GLOBAL="/dev/null", GIT_AUTHOR_NAME="A", GIT_AUTHOR_EMAIL="a@example.org", GIT_COMMITTER_NAME="A", GIT_COMMITTER_EMAIL="a@example.org")
    for args in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "first"), ("config", "user.name", "A"), ("config", "user.email", "a@example.org")):
        subprocess.run(["git", *args], cwd=t.repo, env=env, check=True)
    draft(t)
    p = subprocess.run([STEAD, "review", "--approve", "sum.c", "--branch", "try"], cwd=t.repo, env=t.env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert p.returncode == 0, p.stdout + p.stderr
    message = subprocess.run(["git", "log", "-1", "--format=%B", "try"], cwd=t.repo, env=env, capture_output=True, text=True).stdout
    assert all(w in message for w in ("Assisted-by: stead", "Gate: make test: pass", "Stead-change: ", "Stead-session: ")), message


@case
def review_undo_search_and_later(t):
    draft(t)
    t.open(f"{STEAD} review", columns=110)
    t.wait("hunk 1 of 2")
    t.keys("a")
    t.wait("1 approved")
    t.keys("u")
    t.wait("0 approved")
    t.keys("/")
    t.type("sum")
    t.keys("Enter")
    t.wait("sum.c")
    t.keys("a")
    t.wait("1 approved")
    t.keys("q")
    t.wait("left for later with 1 approved, 0 rejected", "exit=6")
    assert "i = 1" in t.read("sum.c")
    t.open(f"{STEAD} review", columns=110)
    t.wait("1 approved")  # it goes on from there
    t.keys("u")
    t.wait("0 approved")
    t.keys("q")
    t.wait("left for later with 0 approved", "exit=6")


def main():
    passed = failed = 0
    for fn in CASES:
        if ONLY and fn.__name__ not in ONLY:
            continue
        t = Terminal()
        began = time.time()
        try:
            fn(t)
            passed += 1
            print(f"ok {fn.__name__} ({time.time() - began:.1f} s)", flush=True)
        except Exception as e:  # noqa: BLE001 - any failure is this case's
            failed += 1
            print(f"not ok {fn.__name__}: {type(e).__name__}: {str(e)[:4000]}", flush=True)
        finally:
            t.close()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
