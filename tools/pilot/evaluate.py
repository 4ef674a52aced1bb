#!/usr/bin/env python3
"""evaluate: let a model repair held-out projects in the real loop, and count.

    evaluate.py tasks.jsonl --chat ./chat --model model.gguf [--n 200] [--rounds 4] [--show 3] [--json out.json]
    evaluate.py tasks.jsonl --stead "stead run --yes"    the same tasks through stead itself (gates on)
    evaluate.py --same bugs.json vocab.json --chat ./chat --model model.gguf    do trainer and llama.cpp see the same tokens?

Every project is written to a directory of its own, its gate is really run (it must be red), the model's calls are really
carried out there, and after its last word the gate is run again; while it is red the output goes back to the model, for at most
--rounds rounds. Only the gate's verdict counts. The rate is given with its 95 % Wilson interval.
"""
import argparse, difflib, json, math, os, random, shlex, subprocess, sys, tempfile, time
import gen

TOOLS = [dict(type="function", function=dict(name=n, description=d, parameters=dict(type="object", properties=p))) for n, d, p in [
    ("list", "list files", dict(path=dict(type="string"))), ("read", "read a file", dict(path=dict(type="string"), numbers=dict(type="boolean"))),
    ("edit", "replace lines", dict(path=dict(type="string"), line=dict(type="integer"), new=dict(type="string"))), ("shell", "run a command", dict(command=dict(type="string")))]]

def wilson(k, n, z=1.96):
    if not n:
        return 0, 1
    p = k / n
    c, h = (p + z * z / (2 * n)) / (1 + z * z / n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return c - h, c + h

def inside(root, path):
    full = os.path.realpath(os.path.join(root, path))
    if not full.startswith(os.path.realpath(root) + "/"):
        raise ValueError(f"{path} is outside")
    return full

def tool(root, name, a):
    try:
        if name == "list":
            out = []
            for d, _, fs in os.walk(root):
                out += [os.path.relpath(os.path.join(d, f), root) for f in fs]
            return "\n".join(sorted(out))
        if name == "read" and not os.path.isfile(inside(root, a["path"])): # as stead says it
            near = difflib.get_close_matches(a["path"], tool(root, "list", {}).split("\n"), 3)
            return f"error: no such file: {a['path']}" + ("; similar: " + ", ".join(near) if near else "")
        if name == "read":
            return gen.numbered(open(inside(root, a["path"])).read().rstrip("\n").split("\n"))
        if name == "edit":
            path = inside(root, a["path"])
            lines = open(path).read().split("\n")
            first, last = int(a["line"]), int(a.get("to", a["line"]))
            if not 1 <= first <= last <= len(lines) - 1:
                raise ValueError(f"{a['path']} has {len(lines) - 1} lines")
            new = a["new"].rstrip("\n").split("\n")
            if lines[first - 1:last] == new:
                raise ValueError(f"{a['path']}: `new` is what is there already, nothing was changed")
            lines[first - 1:last] = new
            open(path, "w").write("\n".join(lines))
            where = f"line {first}" if len(new) == 1 else f"lines {first}-{first + len(new) - 1}"
            return f"edited {a['path']}: {where}\n" + gen.numbered(new, first)
        return f"error: no tool {name}"
    except (OSError, ValueError, KeyError, UnicodeError) as e:
        return f"error: {e}"

def gate(task, root):
    env = dict(os.environ, LC_ALL="C")
    for k in ("MAKEFLAGS", "MAKELEVEL"):
        env.pop(k, None)
    try:
        r = subprocess.run(["timeout", "-k", "1", "5"] + task["cmd"].split(), cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, timeout=20)
        text, code = r.stdout.decode("utf-8", "replace"), r.returncode
    except subprocess.TimeoutExpired:
        text, code = "", 124
    rows = text.rstrip("\n").split("\n")[-30:]
    return code, "\n".join([f"$ {task['cmd']}"] + rows + [f"[exit {code}]"])

class Chat:
    def __init__(self, program, model, threads, temp):
        self.p = subprocess.Popen([program, model, str(threads), str(temp)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    def ask(self, **req):
        self.p.stdin.write(json.dumps(req) + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        if not line:
            raise SystemExit("evaluate: the chat program ended")
        return json.loads(line)

def run_task(chat, task, rounds, log):
    with tempfile.TemporaryDirectory() as root:
        gen.write_files(task["files"], root)
        def check():
            with tempfile.TemporaryDirectory() as fresh: # a gate runs over a copy, so that nothing stale vouches for a change
                for d, _, fs in os.walk(root):
                    for f in fs:
                        rel = os.path.relpath(os.path.join(d, f), root)
                        gen.write_files({rel: open(os.path.join(d, f)).read()}, fresh)
                return gate(task, fresh)
        code, text = check()
        if code == 0:
            return None
        msgs = [dict(role="system", content="You are stead."), dict(role="user", content=f"{task['ask']}\n\nFailing now:\n{text}")]
        used = dict(ms=0, reply=0, prompt=0, calls=0)
        for rnd in range(1, rounds + 1):
            for step in range(12):
                r = chat.ask(messages=msgs, tools=TOOLS)
                if "error" in r:
                    log(f"error: {r['error']}")
                    return dict(ok=False, rounds=rnd, why="unreadable reply", **used)
                m = r["message"]
                used["ms"] += r["ms"]; used["reply"] += r["reply_tokens"]; used["prompt"] = r["prompt_tokens"]
                msgs.append(m)
                log(f"[{rnd}] {r['raw']}")
                calls = m.get("tool_calls") or []
                if not calls:
                    break
                for c in calls:
                    used["calls"] += 1
                    try:
                        res = tool(root, c["function"]["name"], json.loads(c["function"]["arguments"]))
                    except (ValueError, AttributeError) as e:
                        res = f"error: {e}"
                    msgs.append(dict(role="tool", tool_call_id=c.get("id") or "0", content=res))
            code, text = check()
            log(f"gate: {code}")
            if code == 0:
                return dict(ok=True, rounds=rnd, **used)
            msgs.append(dict(role="user", content=f"Still failing:\n{text}"))
            if used["prompt"] > 3300:
                break
        return dict(ok=False, rounds=rnd, why="still red", **used)

def run_stead(command, task):
    with tempfile.TemporaryDirectory() as root:
        gen.write_files(task["files"], root)
        subprocess.run("git init -q . && git add -A && git -c user.name=e -c user.email=e@e commit -qm start", shell=True, cwd=root, check=True)
        t = time.monotonic()
        r = subprocess.run(shlex.split(command) + [task["ask"]], cwd=root, capture_output=True, text=True, timeout=300)
        return dict(ok=r.returncode == 0, rounds=0, ms=int((time.monotonic() - t) * 1000), reply=0, prompt=0, calls=0)

def same(chat, bugs, vocab, n, seed):
    tok, kinds, bad = gen.Tokenizer(vocab), gen.load(bugs), 0
    for held in (False, True):
        for rng, p in gen.projects(kinds, n, seed, held):
            conv = gen.conversation(rng, p)
            msgs = []
            for role, text, _ in conv:
                if role == "assistant" and text.startswith("<tool_call>"):
                    call = json.loads(text[len("<tool_call>\n"):-len("\n</tool_call>")])
                    msgs.append(dict(role="assistant", content="", tool_calls=[dict(id="1", type="function", function=dict(name=call["name"], arguments=json.dumps(call["arguments"], ensure_ascii=False)))]))
                else:
                    msgs.append(dict(role=role, content=text, **({"tool_call_id": "1"} if role == "tool" else {})))
            r = chat.ask(messages=[dict(role="system", content="You are an agent.")] + msgs, tools=TOOLS, render=True)
            if "error" in r:
                sys.exit(r["error"])
            theirs = list(map(int, r["tokens"].split()))
            last = max(i for i, (role, text, _) in enumerate(conv) if text.startswith(gen.READ[0]))
            ours, _ = gen.to_tokens(tok, conv[last:]) # the template shows what follows the last file read
            # generation prompt: the template ends with <|assistant|>
            if theirs[:len(ours)] != ours:
                bad += 1
                if bad < 4:
                    k = next((i for i in range(min(len(ours), len(theirs))) if ours[i] != theirs[i]), min(len(ours), len(theirs)))
                    names = {i: t for t, i in tok.ids.items()}
                    print("differ at", k, "\n ours  ", [names[i] for i in ours[max(0, k - 6):k + 10]], "\n theirs", [names[i] for i in theirs[max(0, k - 6):k + 10]])
    print(f"tokens differ in {bad} of {2 * n} conversations")
    return bad == 0

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("tasks", nargs="?")
    ap.add_argument("--chat")
    ap.add_argument("--model")
    ap.add_argument("--stead")
    ap.add_argument("--same", nargs=2)
    ap.add_argument("--n", type=int, default=200)
    ap.add_argument("--rounds", type=int, default=4)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--temp", type=float, default=0)
    ap.add_argument("--show", type=int, default=0)
    ap.add_argument("--json")
    o = ap.parse_args()
    chat = Chat(o.chat, o.model, o.threads, o.temp) if o.chat else None
    if o.same:
        sys.exit(0 if same(chat, *o.same, o.n, 4242) else 1)
    res, fails = [], []
    for i, line in enumerate(open(o.tasks)):
        if len(res) >= o.n:
            break
        task, said = json.loads(line), []
        t = time.monotonic()
        r = run_stead(o.stead, task) if o.stead else run_task(chat, task, o.rounds, said.append)
        if r is None:
            continue
        r.update(kind=task["kind"], cls=task["cls"], wall=time.monotonic() - t)
        res.append(r)
        print(f"{len(res)} {'green' if r['ok'] else 'red'} {task['kind']} round {r['rounds']} {r['wall']:.1f} s", file=sys.stderr, flush=True)
        if not r["ok"]:
            fails.append((task, said))
            if len(fails) <= o.show:
                print(f"--- {task['kind']} ({task['cls']}), {task['src']}:{task['line']}: {task['bad'].strip()}  ->  {task['good'].strip()}\n" + "\n".join(said))
    k, n = sum(r["ok"] for r in res), len(res)
    if not n:
        sys.exit("evaluate: no task was red to begin with")
    lo, hi = wilson(k, n)
    by = {}
    for r in res:
        by.setdefault(r["rounds"] if r["ok"] else "red", []).append(1)
    walls = sorted(r["wall"] for r in res)
    print(f"green {k}/{n} = {100 * k / n:.1f} % (95 % interval {100 * lo:.1f} to {100 * hi:.1f}); by round: {({x: len(v) for x, v in sorted(by.items(), key=str)})}; "
          f"seconds a task: median {walls[n // 2]:.2f}, longest {walls[-1]:.2f}")
    bad = {}
    for r in res:
        if not r["ok"]:
            bad[r["kind"]] = bad.get(r["kind"], 0) + 1
    print("red:", " ".join(f"{a}:{b}" for a, b in sorted(bad.items(), key=lambda x: -x[1])))
    if o.json:
        json.dump(dict(green=k, n=n, low=lo, high=hi, tasks=res), open(o.json, "w"), indent=1)

main()
