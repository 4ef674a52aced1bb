#!/usr/bin/env python3
"""gguf: turn a checkpoint of train.c into a GGUF file that stock llama.cpp loads.

    gguf.py model.ckpt vocab.json chat-template.jinja out.gguf [--name NAME]

Matrices are stored as f16, norms and rotary factors as f32. The tokenizer is byte-level BPE ("gpt2" model, "starcoder"
cutting: digits one by one); the scaffold of tool calls is user-defined tokens.
"""
import struct, sys, json

HD = 32
ROPE = [1.6, 0.7, 0.3, 0.12, 0.045, 0.015]
BASE = 10000.0

def s(t):
    b = t.encode()
    return struct.pack("<Q", len(b)) + b

def kv(key, typ, val):
    h = s(key)
    if typ == "str":
        return h + struct.pack("<I", 8) + s(val)
    if typ == "u32":
        return h + struct.pack("<II", 4, val)
    if typ == "f32":
        return h + struct.pack("<If", 6, val)
    if typ == "bool":
        return h + struct.pack("<IB", 7, val)
    if typ == "strs":
        return h + struct.pack("<IIQ", 9, 8, len(val)) + b"".join(s(v) for v in val)
    if typ == "i32s":
        return h + struct.pack("<IIQ", 9, 5, len(val)) + struct.pack(f"<{len(val)}i", *val)
    raise ValueError(typ)

def floats(data, kind):
    n = len(data) // 4
    return data if kind == 0 else struct.pack(f"<{n}e", *struct.unpack(f"<{n}f", data))

def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    ckpt, vocab, template, out = args[:4]
    v = json.load(open(vocab))
    f = open(ckpt, "rb")
    magic, d, L, H, ff, V, step, tokens = struct.unpack("<8q", f.read(64))
    if magic != 0x544F4C4950:
        sys.exit(f"gguf: {ckpt} is no checkpoint")
    A = H * HD
    T = []  # name, shape (ggml order), type, bytes
    def mat(name, rows, cols):
        T.append((name, [cols, rows], 1, floats(f.read(rows * cols * 4), 1)))
    def vec(name, n):
        T.append((name, [n], 0, f.read(n * 4)))
    mat("token_embd.weight", V, d)
    for i in range(L):
        b = f"blk.{i}."
        vec(b + "attn_norm.weight", d)
        for q in "qkv":
            mat(f"{b}attn_{q}.weight", A, d)
        mat(b + "attn_output.weight", d, A)
        vec(b + "ffn_norm.weight", d)
        mat(b + "ffn_gate.weight", ff, d)
        mat(b + "ffn_up.weight", ff, d)
        mat(b + "ffn_down.weight", d, ff)
    vec("output_norm.weight", d)
    mat("output.weight", V, d)
    fac = [BASE ** (-2 * i / HD) / ROPE[i] if i < len(ROPE) else 1e20 for i in range(HD // 2)]
    T.append(("rope_freqs.weight", [HD // 2], 0, struct.pack(f"<{HD // 2}f", *fac)))

    ctl, sc = v["control"], v["scaffold"]
    toks = v["tokens"]
    kinds = [3] * ctl + [4] * sc + [1] * (len(toks) - ctl - sc)
    K = [kv("general.architecture", "str", "llama"), kv("general.name", "str", "stead pilot"), kv("general.description", "str", "repairs one-line bugs in small C projects with a failing test; for demonstrations and tests of stead"),
         kv("general.license", "str", "apache-2.0"), kv("general.file_type", "u32", 1), kv("general.alignment", "u32", 32),
         kv("llama.block_count", "u32", L), kv("llama.context_length", "u32", 4096), kv("llama.embedding_length", "u32", d), kv("llama.feed_forward_length", "u32", ff),
         kv("llama.attention.head_count", "u32", H), kv("llama.attention.head_count_kv", "u32", H), kv("llama.attention.key_length", "u32", HD), kv("llama.attention.value_length", "u32", HD),
         kv("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5), kv("llama.rope.dimension_count", "u32", HD), kv("llama.rope.freq_base", "f32", BASE), kv("llama.vocab_size", "u32", V),
         kv("tokenizer.ggml.model", "str", "gpt2"), kv("tokenizer.ggml.pre", "str", "starcoder"), kv("tokenizer.ggml.tokens", "strs", toks), kv("tokenizer.ggml.token_type", "i32s", kinds),
         kv("tokenizer.ggml.merges", "strs", [" ".join(m) for m in v["merges"]]), kv("tokenizer.ggml.bos_token_id", "u32", 4), kv("tokenizer.ggml.eos_token_id", "u32", 4),
         kv("tokenizer.ggml.padding_token_id", "u32", 0), kv("tokenizer.ggml.add_bos_token", "bool", 0), kv("tokenizer.ggml.add_eos_token", "bool", 0),
         kv("tokenizer.chat_template", "str", open(template).read().rstrip("\n"))]
    head = struct.pack("<IIQQ", 0x46554747, 3, len(T), len(K)) + b"".join(K)
    at = 0
    for name, shape, typ, data in T:
        head += s(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape) + struct.pack("<IQ", typ, at)
        at += (len(data) + 31) // 32 * 32
    with open(out, "wb") as o:
        o.write(head + b"\0" * (-len(head) % 32))
        for _, _, _, data in T:
            o.write(data + b"\0" * (-len(data) % 32))
    print(f"{out}: {len(T)} tensors, step {step}, {tokens} training tokens")

main()
