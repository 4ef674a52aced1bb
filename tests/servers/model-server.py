#!/usr/bin/env python3
"""A model server that does what a script says: the good, and every misbehaviour that is known.

usage: model-server.py SCRIPT.json [--port N | --unix PATH] [--record FILE] [--ready FILE]

Prints "listening URL" on standard output when it is ready (and writes the URL to --ready). Every
request is appended to --record as one JSON object a line: n (of the replies, 0 for other requests),
method, path, headers, body (text), first_us and last_us (monotonic time of its first and last byte),
reply_end_us (of the last byte of the answer). A row is written behind the answer: GET /__settled answers when no row is outstanding.

SCRIPT.json:
  "kind"     llama-server (default), ollama, lm-studio, vllm, openai, bare: which informational routes answer
  "model"    name of the one model (default "test-model")
  "context"  its context (default 32768); "slots" conversations at once (default 1)
  "template" shown by /props
  "routes"   {"GET /path": {"status": 200, "json": ... | "text": ...}}: more routes, or others
  "refuse"   [{"has": "text in the request", "lacks": "...", "path": "...", "times": N, "status": 400, "json": ... | "text": ...}]: before any reply is used up;
             other requests than chats only by a row with "path"
  "replies"  one for each request to a chat route, in order; the last is repeated when "repeat" is true,
             else requests behind the last get status 599.
A reply:
  "text", "reasoning", "calls": [{"id", "name", "args": object or text}], "finish", "usage": {...} or null
  "pieces"   bytes of text or arguments in one delta (default: 12)
  "split"    bytes in one write (1 splits every character); default: one write an event
  "reasoning_field"  "reasoning_content" (default), "reasoning", "thinking"
  "args_object": true     arguments as an object
  "index": "zero" | "none" every call has index 0, or none
  "late_id": true         the id comes in the second piece
  "names_each": true      the name is repeated in each piece
  "no_done": true, "no_finish": true
  "comments": N           keep-alive comments before the reply
  "progress": [[total, cache, processed], ...]  llama-server's prompt_progress before the reply
  "delay_ms", "piece_delay_ms", "hang": true (answers nothing more)
  "cut_after": N          the connection breaks after N bytes of the answer
  "stream": false         a whole JSON answer although a stream was asked for
  "status", "json" | "text" | "raw" | "raw_hex", "type", "headers"   an answer as it stands
  "error_in_stream": {...}  an error object as an event, after the text
  "close": true           the connection is closed without an answer
"""
import argparse
import json
import os
import select
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

CHAT = ("/chat/completions", "/messages", "/responses")


def now_us():
    return time.monotonic_ns() // 1000


class Cut(Exception):
    pass


def usage_of(reply, body):
    if "usage" in reply:
        return reply["usage"]
    n = len(body) // 4
    return {"prompt_tokens": n, "completion_tokens": max(1, len(reply.get("text") or "") // 4 + 8 * len(reply.get("calls", []))),
            "total_tokens": n, "prompt_tokens_details": {"cached_tokens": 0}}


def pieces(text, n):
    return [text[i:i + n] for i in range(0, len(text), n)] if text else []


def args_text(call):
    a = call.get("args", {})
    return a if isinstance(a, str) else json.dumps(a)


def openai_whole(reply, model, usage):
    message = {"role": "assistant", "content": reply.get("text", "")}
    if reply.get("reasoning"):
        message[reply.get("reasoning_field", "reasoning_content")] = reply["reasoning"]
    if reply.get("calls"):
        message["tool_calls"] = [
            {"id": c.get("id", "call_%d" % i), "type": "function",
             "function": {"name": c["name"], "arguments": c["args"] if reply.get("args_object") else args_text(c)}}
            for i, c in enumerate(reply["calls"])]
    out = {"id": "x", "object": "chat.completion", "model": model,
           "choices": [{"index": 0, "message": message, "finish_reason": finish_of(reply)}]}
    if usage is not None:
        out["usage"] = usage
    return out


def finish_of(reply):
    return reply.get("finish", "tool_calls" if reply.get("calls") else "stop")


def openai_events(reply, model, usage):
    """The data of each event of an OpenAI stream."""
    n = reply.get("pieces", 12)

    def chunk(delta, finish=None, **more):
        return dict({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": model,
                     "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}, **more)

    for total, cache, done in reply.get("progress", []):
        yield json.dumps(chunk({"role": "assistant", "content": None}, prompt_progress={"total": total, "cache": cache, "processed": done, "time_ms": 1}))
    yield json.dumps(chunk({"role": "assistant", "content": None}))
    for p in pieces(reply.get("reasoning", ""), n):
        yield json.dumps(chunk({reply.get("reasoning_field", "reasoning_content"): p}))
    for p in pieces(reply.get("text", ""), n):
        yield json.dumps(chunk({"content": p}))
    for i, c in enumerate(reply.get("calls", [])):
        ident = c.get("id", "call_%d" % i)
        index = {"zero": 0, "none": None}.get(reply.get("index"), i)
        args = args_text(c)

        def call(function, with_id, index=index):
            d = {"type": "function", "function": function}
            if index is not None:
                d["index"] = index
            if with_id:
                d["id"] = ident
            return chunk({"tool_calls": [d]})

        if reply.get("args_object"):
            yield json.dumps(call({"name": c["name"], "arguments": c["args"]}, ident is not None))
            continue
        if reply.get("index") == "none" and ident is None:
            yield json.dumps(call({"name": c["name"], "arguments": args}, False))
            continue
        late = reply.get("late_id")
        yield json.dumps(call({"name": c["name"], "arguments": ""}, ident is not None and not late))
        for k, p in enumerate(pieces(args, n)):
            f = {"arguments": p}
            if reply.get("names_each"):
                f["name"] = c["name"]
            yield json.dumps(call(f, ident is not None and ((late and k == 0) or reply.get("index") == "zero")))
    if "error_in_stream" in reply:
        yield json.dumps(reply["error_in_stream"])
        return
    if not reply.get("no_finish"):
        yield json.dumps(chunk({}, finish_of(reply)))
    if usage is not None:
        yield json.dumps({"id": "x", "object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage})
    if not reply.get("no_done"):
        yield "[DONE]"


def responses_events(reply, model, usage):
    """The events of an OpenAI responses stream: for other agents that are measured against this server."""
    items = []
    if reply.get("text"):
        items.append({"type": "message", "id": "m", "role": "assistant", "status": "completed",
                      "content": [{"type": "output_text", "text": reply["text"], "annotations": []}]})
    for i, c in enumerate(reply.get("calls", [])):
        items.append({"type": "function_call", "id": "f%d" % i, "call_id": c.get("id", "call_%d" % i), "name": c["name"], "arguments": args_text(c),
                      "status": "completed"})
    usage = usage or {}
    whole = {"id": "r", "object": "response", "model": model, "status": "in_progress", "output": []}
    yield "response.created", {"type": "response.created", "response": whole}
    for i, item in enumerate(items):
        yield "response.output_item.added", {"type": "response.output_item.added", "output_index": i, "item": item}
        yield "response.output_item.done", {"type": "response.output_item.done", "output_index": i, "item": item}
    n, k = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    counts = {"input_tokens": n, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": k,
              "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": n + k}
    yield "response.completed", {"type": "response.completed", "response": dict(whole, status="completed", output=items, usage=counts)}


STOPS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


def anthropic_whole(reply, model, usage):
    content = []
    if reply.get("reasoning"):
        content.append({"type": "thinking", "thinking": reply["reasoning"], "signature": "sig"})
    if reply.get("text"):
        content.append({"type": "text", "text": reply["text"]})
    for i, c in enumerate(reply.get("calls", [])):
        content.append({"type": "tool_use", "id": c.get("id", "toolu_%d" % i), "name": c["name"], "input": c.get("args", {})})
    return {"id": "m", "type": "message", "role": "assistant", "model": model, "content": content,
            "stop_reason": STOPS.get(finish_of(reply), finish_of(reply)), "stop_sequence": None, "usage": anthropic_usage(usage)}


def anthropic_usage(usage):
    usage = usage or {}
    return {"input_tokens": usage.get("prompt_tokens", 0), "output_tokens": usage.get("completion_tokens", 0),
            "cache_read_input_tokens": usage.get("prompt_tokens_details", {}).get("cached_tokens", 0), "cache_creation_input_tokens": 0}


def anthropic_events(reply, model, usage):
    n = reply.get("pieces", 12)
    whole = anthropic_whole(reply, model, usage)
    start = dict(whole, content=[], stop_reason=None, usage=dict(anthropic_usage(usage), output_tokens=1))
    yield "message_start", {"type": "message_start", "message": start}
    yield "ping", {"type": "ping"}
    for i, block in enumerate(whole["content"]):
        kind = block["type"]
        empty = {"text": {"type": "text", "text": ""}, "thinking": {"type": "thinking", "thinking": "", "signature": ""},
                 "tool_use": dict(block, input={})}[kind]
        yield "content_block_start", {"type": "content_block_start", "index": i, "content_block": empty}
        if kind == "text":
            deltas = [{"type": "text_delta", "text": p} for p in pieces(block["text"], n)]
        elif kind == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces(block["thinking"], n)] + [{"type": "signature_delta", "signature": "sig"}]
        else:
            raw = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in [""] + pieces(raw, n)]
        for d in deltas:
            yield "content_block_delta", {"type": "content_block_delta", "index": i, "delta": d}
        yield "content_block_stop", {"type": "content_block_stop", "index": i}
    if "error_in_stream" in reply:
        yield "error", reply["error_in_stream"]
        return
    if not reply.get("no_finish"):
        yield "message_delta", {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}, "usage": {"output_tokens": whole["usage"]["output_tokens"]}}
    if not reply.get("no_done"):
        yield "message_stop", {"type": "message_stop"}


class State:
    def __init__(self, script, record):
        self.script = script
        self.record = open(record, "a", buffering=1) if record else None
        self.lock = threading.Lock()
        self.n = 0
        self.used = {}
        self.busy = 0
        self.settled = threading.Condition(self.lock)

    def note(self, row):
        if self.record:
            with self.lock:
                self.record.write(json.dumps(row) + "\n")

    def refusal(self, path, body, chat):
        for i, r in enumerate(self.script.get("refuse", [])):
            if not chat and "path" not in r:
                continue
            with self.lock:
                if r.get("times") is not None and self.used.get(i, 0) >= r["times"]:
                    continue
                if ("has" in r and r["has"] not in body) or ("lacks" in r and r["lacks"] in body) or ("path" in r and r["path"] not in path):
                    continue
                self.used[i] = self.used.get(i, 0) + 1
            return r
        return None

    def reply(self):
        with self.lock:
            replies = self.script.get("replies", [])
            self.n += 1
            if self.n <= len(replies):
                return self.n, replies[self.n - 1]
            if self.script.get("repeat") and replies:
                return self.n, replies[-1]
            return self.n, {"status": 599, "json": {"error": {"message": "the script has no more replies", "type": "script"}}}


def info_routes(script):
    model, context, kind = script.get("model", "test-model"), script.get("context", 32768), script.get("kind", "llama-server")
    owner = {"llama-server": "llamacpp", "ollama": "library", "lm-studio": "organization_owner", "vllm": "vllm", "openai": "openai", "bare": "me"}[kind]
    entry = {"id": model, "object": "model", "owned_by": owner}
    routes = {"GET /v1/models": {"object": "list", "data": [entry]}}
    if kind == "llama-server":
        entry["meta"] = {"n_ctx_train": 131072, "n_params": 1000000}
        routes["GET /props"] = {"default_generation_settings": {"n_ctx": context, "params": {}}, "total_slots": script.get("slots", 1), "model_path": model,
                                "chat_template": script.get("template", ""), "modalities": {"vision": False}, "build_info": "b9999-test"}
        routes["GET /health"] = {"status": "ok"}
    elif kind == "ollama":
        routes["GET /api/version"] = {"version": "0.20.1"}
        routes["GET /api/ps"] = {"models": [{"name": model, "context_length": context}]}
        routes["POST /api/show"] = {"parameters": "", "template": "", "capabilities": ["completion", "tools"], "model_info": {"llama.context_length": 131072}}
    elif kind == "lm-studio":
        routes["GET /api/v0/models"] = {"data": [{"id": model, "type": "llm", "state": "loaded", "max_context_length": 131072, "loaded_context_length": context}]}
    elif kind == "vllm":
        entry["max_model_len"] = context
        routes["GET /version"] = {"version": "0.21.0"}
    return routes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def log_message(self, *args):
        pass

    def address_string(self):
        return "client"

    # ---- writing ----

    def put(self, data):
        reply = self.current
        limit = reply.get("cut_after")
        if limit is not None and self.sent + len(data) >= limit:
            self.wfile.write(data[:limit - self.sent])
            raise Cut()
        self.sent += len(data)
        self.wfile.write(data)

    def chunk(self, text):
        data = text.encode("utf-8", "surrogatepass")
        step = self.current.get("split") or len(data)
        for i in range(0, len(data), step):
            part = data[i:i + step]
            self.put(b"%x\r\n%s\r\n" % (len(part), part))
        if self.current.get("piece_delay_ms"):
            time.sleep(self.current["piece_delay_ms"] / 1000)

    def head(self, status, kind, length=None, more=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(length))
        for k, v in (more or {}).items():
            self.send_header(k, v)
        self.end_headers()

    def answer(self, r):
        """An answer as it stands."""
        if "raw_hex" in r:
            data, kind = bytes.fromhex(r["raw_hex"]), r.get("type", "text/event-stream")
        elif "raw" in r:
            data, kind = r["raw"].encode("utf-8", "surrogateescape"), r.get("type", "text/event-stream")
        elif "text" in r:
            data, kind = r["text"].encode(), r.get("type", "text/plain")
        else:
            data, kind = json.dumps(r.get("json", {})).encode(), r.get("type", "application/json")
        self.head(r.get("status", 200), kind, len(data), r.get("headers"))
        step = r.get("split") or len(data) or 1
        for i in range(0, len(data), step):
            self.put(data[i:i + step])

    # ---- reading ----

    def do_GET(self):
        self.handle_one("GET", "")

    def do_POST(self):
        self.first = now_us()
        length = int(self.headers.get("Content-Length") or 0)
        self.handle_one("POST", self.rfile.read(length).decode("utf-8", "replace"))

    def do_DELETE(self):
        self.handle_one("DELETE", "")

    def handle_one(self, method, body):
        state = self.server.state
        path = self.path.split("?")[0]
        chat = method == "POST" and path.endswith(CHAT)
        row = {"n": 0, "method": method, "path": path, "headers": dict(self.headers), "body": body,
               "first_us": getattr(self, "first", now_us()), "last_us": now_us()}
        self.current, self.sent = {}, 0
        if path == "/__settled":
            with state.lock:
                state.settled.wait_for(lambda: not state.busy, 10)
            self.answer({"json": {}})
            return
        with state.lock:
            state.busy += 1
        try:
            refusal = state.refusal(path, body, chat)
            if refusal:
                self.current = refusal
                self.answer(dict(refusal, text=refusal["text"]) if "text" in refusal else refusal)
            elif chat:
                row["n"], reply = state.reply()
                self.current = reply
                self.chat(path, body, reply)
            else:
                self.inform(method, path)
        except Cut:
            self.drop()
        except (BrokenPipeError, ConnectionResetError):
            row["broken"] = True
            self.close_connection = True
        row["reply_end_us"] = now_us()
        state.note(row)
        with state.lock:
            state.busy -= 1
            state.settled.notify_all()

    def drop(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def inform(self, method, path):
        routes = self.server.state.script.get("routes", {})
        key = method + " " + path
        if key in routes:
            self.current = routes[key]
            self.answer(routes[key])
            return
        found = info_routes(self.server.state.script).get(key)
        self.answer({"json": found} if found is not None else {"status": 404, "json": {"error": {"message": "not found", "type": "not_found_error"}}})

    def chat(self, path, body, reply):
        state = self.server.state
        model = state.script.get("model", "test-model")
        if reply.get("delay_ms") and select.select([self.connection], [], [], reply["delay_ms"] / 1000)[0]:
            raise BrokenPipeError()  # whoever asked has gone
        if reply.get("close"):
            self.drop()
            return
        if "status" in reply or "raw" in reply or "raw_hex" in reply or "json" in reply:
            self.answer(reply)
            return
        usage = usage_of(reply, body)
        anthropic = path.endswith("/messages")
        try:
            streamed = json.loads(body).get("stream")
        except ValueError:
            self.answer({"status": 400, "json": {"error": {"message": "invalid JSON in the request", "type": "invalid_request_error"}}})
            return
        if not streamed or reply.get("stream") is False:
            self.answer({"json": (anthropic_whole if anthropic else openai_whole)(reply, model, usage), "split": reply.get("split")})
            return
        self.head(200, reply.get("type", "text/event-stream"), None, reply.get("headers"))
        for _ in range(reply.get("comments", 0)):
            self.chunk(": ping\n\n")
        if anthropic or path.endswith("/responses"):
            for name, data in (anthropic_events if anthropic else responses_events)(reply, model, usage):
                self.chunk("event: %s\ndata: %s\n\n" % (name, json.dumps(data)))
        else:
            for data in openai_events(reply, model, usage):
                self.chunk("data: %s\n\n" % data)
        if reply.get("hang"):
            while self.connection.recv(1):
                pass
            raise BrokenPipeError()
        self.put(b"0\r\n\r\n")


class TcpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        return request, address

    def handle_error(self, request, client_address):
        pass


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("script")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--unix")
    parser.add_argument("--record")
    parser.add_argument("--ready")
    args = parser.parse_args()
    with open(args.script) as f:
        script = json.load(f)
    if args.unix:
        server = UnixServer(args.unix, Handler)
        url = "unix://" + os.path.abspath(args.unix)
    else:
        server = TcpServer(("127.0.0.1", args.port), Handler)
        url = "http://127.0.0.1:%d" % server.server_address[1]
    server.state = State(script, args.record)
    if args.ready:
        with open(args.ready + ".tmp", "w") as f:
            f.write(url)
        os.rename(args.ready + ".tmp", args.ready)
    print("listening", url, flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    sys.exit(main())
