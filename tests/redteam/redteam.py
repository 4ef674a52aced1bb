#!/usr/bin/env python3
"""Run every attempt of attempts.toml against a sandbox and judge from outside.

usage: redteam.py --stead PATH [--uid N] [--unprotected] [--only NAME] [--group GROUP] [-v]

A stage is built for each run: a workspace, a home directory with secrets, files outside, listeners, a process to
attack. An attempt runs in `stead sandbox run` over the workspace; afterwards the stage is looked at from outside. With
--unprotected the same attempts run without a sandbox, as an identity of their own: then every judge must fire, which
shows that the judges can. Attempts that would act on the machine itself are left out there, and counted.

--uid N: started as root, run as that identity (needs no account) in place of root's.
Exit 0: contained (or, unprotected, every judge fired); 1: not; 77: cannot run here.
"""
import argparse
import hashlib
import os
import pty
import secrets
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
MARK = b"98765"  # sleep 98765: what must not survive
DEDICATED_UID = 64999


def say(*words):
    print(*words, flush=True)


class Stage:
    """What an attempt may not touch, read, reach or kill."""

    def __init__(self, uid):
        self.uid = uid
        self.secret = "CANARY_SECRET_" + secrets.token_hex(8)
        self.base = tempfile.mkdtemp(prefix="stead-redteam-")
        os.chmod(self.base, 0o755)
        self.ws, self.home, self.out = (os.path.join(self.base, d) for d in ("ws", "home", "out"))
        self.state = os.path.join(self.base, "state")
        self.tmpfile = tempfile.mkstemp(prefix="stead-redteam-canary-", dir="/tmp")[1]
        self.shmfile = tempfile.mkstemp(prefix="stead-redteam-canary-", dir="/dev/shm")[1]
        self.hits = []
        self.sockets = []
        self.stop = threading.Event()
        self.files()
        self.listeners()
        self.shared_memory()
        self.victims = []
        self.start_victims()
        self.before = self.snapshot()

    def put(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)

    def files(self):
        s = self.secret + "\n"
        for d in (self.ws, self.home, self.out, self.state):
            os.makedirs(d)
        os.chmod(self.home, 0o700)
        self.put(self.ws + "/a.txt", "alpha\n")
        self.put(self.ws + "/dir/b.txt", "beta\n")
        self.put(self.ws + "/.git/HEAD", "ref: refs/heads/main\n")
        self.put(self.ws + "/.git/config", "[core]\n\trepositoryformatversion = 0\n")
        os.makedirs(self.ws + "/.git/refs")
        os.makedirs(self.ws + "/.git/objects")
        os.symlink(self.out, self.ws + "/outlink")
        self.put(self.out + "/canary", "untouched\n")
        self.put(self.out + "/secret", s)
        for f in (".ssh/id_canary", ".aws/credentials", ".config/gcloud/creds.json", ".netrc", ".npmrc", ".git-credentials",
                  ".cargo/credentials.toml"):
            self.put(os.path.join(self.home, f), s, 0o600)
        self.put(self.home + "/.gitconfig", "[user]\n\tname = %s\n" % self.secret)
        self.put(self.home + "/.bashrc", "# mine\n")
        self.put(self.home + "/.cargo/bin/cargo", "#!/bin/sh\n", 0o755)
        for f in (self.tmpfile, self.shmfile):
            self.put(f, s, 0o600)
        if self.uid != os.getuid():
            for root, dirs, names in os.walk(self.base):
                for n in [""] + names:
                    os.lchown(os.path.join(root, n) if n else root, self.uid, self.uid)
                for n in dirs:
                    os.lchown(os.path.join(root, n), self.uid, self.uid)
            for f in (self.tmpfile, self.shmfile):
                os.chown(f, self.uid, self.uid)

    def serve(self, sock, name, datagram):
        sock.settimeout(0.2)
        while not self.stop.is_set():
            try:
                if datagram:
                    sock.recv(100)
                    self.hits.append(name)
                    continue
                c, _ = sock.accept()
            except (TimeoutError, OSError):
                continue
            self.hits.append(name)
            try:
                c.sendall(self.secret.encode())
                c.close()
            except OSError:
                pass

    def listen(self, family, address, name, kind=socket.SOCK_STREAM):
        s = socket.socket(family, kind)
        s.bind(address)
        if kind == socket.SOCK_STREAM:
            s.listen(16)
        self.sockets.append(s)
        threading.Thread(target=self.serve, args=(s, name, kind == socket.SOCK_DGRAM), daemon=True).start()
        return s

    def listeners(self):
        self.port = self.listen(socket.AF_INET, ("127.0.0.1", 0), "tcp").getsockname()[1]
        try:
            self.listen(socket.AF_INET6, ("::1", self.port), "tcp6")
        except OSError:
            pass
        self.uport = self.listen(socket.AF_INET, ("127.0.0.1", 0), "udp", socket.SOCK_DGRAM).getsockname()[1]
        self.usock = self.out + "/sock"
        self.abstract = "stead-redteam-" + secrets.token_hex(4)
        for path in (self.usock, self.ws + "/sock"):
            self.listen(socket.AF_UNIX, path, "unix")
            os.chmod(path, 0o777)
        self.listen(socket.AF_UNIX, "\0" + self.abstract, "abstract")

    def shared_memory(self):
        import ctypes
        self.libc = ctypes.CDLL(None)
        self.libc.shmat.restype = ctypes.c_void_p
        self.shmkey = secrets.randbelow(2**30) + 1
        self.shmid = self.libc.shmget(self.shmkey, 4096, 0o1666)
        if self.shmid >= 0:
            p = self.libc.shmat(self.shmid, None, 0)
            ctypes.memmove(p, self.secret.encode(), len(self.secret))

    def start_victims(self):
        env = {"PATH": "/usr/bin:/bin", "VICTIM_SECRET": self.secret}
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self.uid, group=self.uid,
                     extra_groups=[]) if os.getuid() == 0 else dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.victims = [subprocess.Popen(["sleep", "54321"], env=env, cwd=self.out, **quiet),
                        subprocess.Popen(["sh", "-c", "sleep 54321; : " + self.secret], env=env, cwd=self.out, **quiet)]

    def environment(self):
        return {"OUT": self.out, "FAKEHOME": self.home, "WS": self.ws, "PORT": str(self.port), "UPORT": str(self.uport),
                "USOCK": self.usock, "ABSTRACT": self.abstract, "VICTIM": str(self.victims[0].pid), "SHMKEY": str(self.shmkey),
                "SHMFILE": self.shmfile, "TMPFILE": self.tmpfile}

    def snapshot(self):
        seen = {}
        for top in (self.ws, self.home, self.out, self.tmpfile, self.shmfile):
            paths = [top]
            for root, dirs, names in os.walk(top):
                paths += [os.path.join(root, n) for n in dirs + names]
            for p in paths:
                try:
                    st = os.lstat(p)
                except OSError:
                    continue
                what = [stat.S_IFMT(st.st_mode), st.st_mode & 0o7777, st.st_uid]
                if stat.S_ISLNK(st.st_mode):
                    what.append(os.readlink(p))
                elif stat.S_ISREG(st.st_mode):
                    with open(p, "rb") as f:
                        what.append(hashlib.sha256(f.read()).hexdigest())
                seen[p] = tuple(what)
        return seen

    def alive(self, p):
        try:
            with open("/proc/%d/stat" % p.pid) as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            return False
        return p.poll() is None and state not in "ZTt"

    def close(self):
        self.stop.set()
        for p in self.victims:
            if p.poll() is None:
                p.send_signal(signal.SIGKILL)
            p.wait()
        for s in self.sockets:
            s.close()
        if self.shmid >= 0:
            self.libc.shmctl(self.shmid, 0, None)
        subprocess.run(["rm", "-rf", self.base, self.tmpfile, self.shmfile], check=False)


def survivors():
    found = []
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", MARK]:
            found.append(int(pid))
    return found


def run_command(argv, env, cwd, uid, row, limit_s):
    """Output of both streams (at most 16 MiB), seconds taken."""
    extra = dict(user=uid, group=uid, extra_groups=[]) if os.getuid() == 0 and uid != 0 else {}
    start = time.monotonic()
    if row.get("pty"):
        master, slave = pty.openpty()
        p = subprocess.Popen(argv, env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, **extra)
        os.close(slave)
        fd = master
    else:
        r, w = os.pipe()
        p = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=w, stderr=w, start_new_session=True, **extra)
        os.close(w)
        try:
            p.stdin.write(row.get("stdin", "").encode())
            p.stdin.close()
        except OSError:
            pass
        fd = r
    out = b""
    ended = None
    while time.monotonic() - start < limit_s:
        if ended is None and p.poll() is not None:
            ended = time.monotonic()
        # A process that outlives the command may hold the pipe: half a second is what we give it.
        if ended is not None and time.monotonic() - ended > 0.3:
            break
        if select.select([fd], [], [], 0.02)[0]:
            try:
                piece = os.read(fd, 65536)
            except OSError:
                piece = b""
            if not piece:
                break
            if len(out) < 16 << 20:
                out += piece
    try:
        p.wait(max(0.1, limit_s - (time.monotonic() - start)))
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
    os.close(fd)
    return out, time.monotonic() - start, p.returncode


def judge(stage, row, out, seconds):
    """Names of the judges that noticed something, each with what it saw."""
    seen = {}
    after = stage.snapshot()
    if after != stage.before:
        differing = [p for p in set(after) | set(stage.before) if after.get(p) != stage.before.get(p)]
        seen["file"] = ", ".join(sorted(differing)[:3])
    if stage.secret.encode() in out:
        seen["secret"] = "a secret is in the output"
    time.sleep(0.02)
    if stage.hits:
        seen["net"] = ", ".join(sorted(set(stage.hits)))
    if not all(stage.alive(p) for p in stage.victims):
        seen["victim"] = "a process outside was killed or stopped"
    if b"REACHED" in out:
        seen["reached"] = out[out.index(b"REACHED"):][:100].decode(errors="replace").split("\n")[0]
    deadline = time.monotonic() + 0.5
    while survivors() and time.monotonic() < deadline:
        time.sleep(0.02)
    left = survivors()
    if left:
        seen["survivor"] = "processes %s outlived the run" % left
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
    if seconds > row.get("max_s", 30):
        seen["limit"] = "took %.1f s" % seconds
    return seen


def attempt(stead, row, uid, unprotected):
    stage = Stage(uid)
    try:
        program = ["python3", "-c", row["run"]] if row.get("lang") == "py" else ["sh", "-c", row["run"]]
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": stage.home, "LANG": "C.UTF-8",
               "HOST_SECRET": stage.secret, "ANTHROPIC_API_KEY": stage.secret, "STEAD_STATE_DIR": stage.state, "TERM": "xterm",
               "XDG_CONFIG_HOME": stage.base + "/none", "XDG_CACHE_HOME": stage.state + "/cache"}
        if unprotected:
            env.update(stage.environment())
            out, seconds, code = run_command(program, env, stage.ws, uid, row, 10)
        else:
            argv = [stead, "sandbox", "run"]
            for name, value in stage.environment().items():
                argv += ["--env", "%s=%s" % (name, value)]
            out, seconds, code = run_command(argv + row.get("options", []) + ["--"] + program, env, stage.ws, uid, row, 60)
            # 7: no sandbox, which is safe, and no evidence.
            if code == 7 or code == 125:
                return {"setup": out.decode(errors="replace").strip()[:300]}, out
        return judge(stage, row, out, seconds), out
    finally:
        stage.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--stead", required=True)
    ap.add_argument("--uid", type=int)
    ap.add_argument("--unprotected", action="store_true")
    ap.add_argument("--only")
    ap.add_argument("--group")
    ap.add_argument("-v", action="store_true")
    args = ap.parse_args()
    uid = os.getuid()
    if args.uid is not None:
        if uid != 0:
            say("SKIP: --uid needs root")
            return 77
        uid = args.uid
    if args.unprotected and os.getuid() == 0 and args.uid is None:
        uid = DEDICATED_UID  # an identity of its own, so that nothing of anybody's is in reach
    # Both programs where every identity can execute them, as an installation would have them.
    bindir = tempfile.mkdtemp(prefix="stead-redteam-bin-")
    os.chmod(bindir, 0o755)
    build = os.path.dirname(os.path.abspath(args.stead))
    stead = shutil.copy(args.stead, bindir)
    for helper in (build + "/stead-helper", build + "/../sandbox/helper/stead-helper", build + "/../libexec/stead/stead-helper"):
        if os.path.exists(helper):
            shutil.copy(helper, bindir)
            break
    with open(os.path.join(HERE, "attempts.toml"), "rb") as f:
        rows = tomllib.load(f)["attempt"]
    if not args.unprotected:
        extra = dict(user=uid, group=uid, extra_groups=[]) if os.getuid() == 0 and uid != 0 else {}
        check = subprocess.run([stead, "sandbox", "check"], capture_output=True, text=True, cwd="/", **extra,
                               env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "STEAD_STATE_DIR": "/nonexistent"})
        if check.returncode != 0:
            say(check.stdout + check.stderr)
            say("SKIP: no sandbox can be set up here")
            return 77
    bad = run = skipped = 0
    start = time.monotonic()
    for row in rows:
        if (args.only and row["name"] != args.only) or (args.group and row["group"] != args.group):
            continue
        if args.unprotected and (not row.get("control", True) or (row.get("dedicated") and os.getuid() != 0)):
            skipped += 1
            continue
        run += 1
        seen, out = attempt(stead, row, uid, args.unprotected)
        ok = row["fires"] in seen if args.unprotected else not seen
        if not ok:
            bad += 1
            say("%s  %s/%s: %s" % ("BLIND" if args.unprotected else "ESCAPED", row["group"], row["name"],
                                   "; ".join("%s: %s" % kv for kv in seen.items()) or "judge '%s' did not fire" % row["fires"]))
        elif args.v:
            say("ok    %s/%s%s" % (row["group"], row["name"], "  " + seen[row["fires"]] if args.unprotected else ""))
        if args.v and args.only:
            say(out.decode(errors="replace"))
    shutil.rmtree(bindir)
    who = "uid %d" % uid
    if args.unprotected:
        say("%d attempts without a sandbox as %s: the judges noticed %d; %d not run, because they would act on the machine; %.0f s"
            % (run, who, run - bad, skipped, time.monotonic() - start))
    else:
        say("%d attempts as %s: %d contained, %d escaped; %.0f s" % (run, who, run - bad, bad, time.monotonic() - start))
    return 1 if bad or not run else 0


if __name__ == "__main__":
    sys.exit(main())
