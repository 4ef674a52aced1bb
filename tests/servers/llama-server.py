#!/usr/bin/env python3
"""llama-server.py MODE NOTES ...: what supervision has to cope with, in place of llama-server. Every start appends its arguments, as one line of
JSON, to the file NOTES. Modes, joined by '+':

    slow        503 for a while before it is ready
    late        loads before it listens, as old versions do
    hang        listens and never answers
    never       503 for ever
    garbage     answers every request with bytes that are no HTTP
    other       answers every request with 404
    dies        says why and exits with 1 before it listens
    flood       prints without end
    killed      the first two starts end by SIGKILL while they load
    refuse=FLAG exits with 1 where FLAG is given, as versions do that do not know it
"""
import json
import os
import signal
import socket
import sys
import threading
import time


def flood():
    line = b"\x1b[31mggml: something\x00 went on " + b"x" * 200 + b"\n"
    while True:
        os.write(1, line * 200)
        os.write(2, line * 200)


def answer(conn, mode, began):
    try:
        conn.settimeout(10)
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                part = conn.recv(65536)
                if not part:
                    return
                head += part
            if "hang" in mode:
                time.sleep(3600)
            if "garbage" in mode:
                conn.sendall(b"\x00\xff\xfe what do you want?\n" * 20)
                return
            ready = "never" not in mode and ("slow" not in mode or time.monotonic() - began > 0.5)
            status = "404 Not Found" if "other" in mode else "200 OK" if ready else "503 Service Unavailable"
            body = json.dumps({"status": "ok"} if ready else {"error": {"message": "Loading model", "code": 503}}).encode()
            conn.sendall(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    except OSError:
        pass
    finally:
        conn.close()


def main():
    mode, notes, args = sys.argv[1].split("+"), sys.argv[2], sys.argv[3:]
    with open(notes, "a+") as f:
        f.seek(0)
        starts = len(f.readlines())
        f.write(json.dumps(args) + "\n")
    for m in mode:
        if m.startswith("refuse=") and m[7:] in args:
            print(f"error: invalid argument: {m[7:]}", file=sys.stderr)
            return 1
    if "killed" in mode and starts < 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if "dies" in mode:
        print("build: 1 with cc", file=sys.stderr)
        print("llama_model_load: error loading model: unknown model architecture: 'xyz'", file=sys.stderr)
        print("main: exiting due to model loading error", file=sys.stderr)
        return 1
    if "flood" in mode:
        for _ in range(2):
            threading.Thread(target=flood, daemon=True).start()
    if "late" in mode:
        time.sleep(0.7)
    s = socket.socket(socket.AF_UNIX)
    s.bind(args[args.index("--host") + 1])
    s.listen(16)
    began = time.monotonic()
    while True:
        conn, _ = s.accept()
        threading.Thread(target=answer, args=(conn, mode, began), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
