#!/usr/bin/env python3
"""ungguf: turn a GGUF that gguf.py wrote back into a checkpoint, so that training can go on from a published pilot.

    ungguf.py stead-pilot.gguf model.ckpt          then: train -w -r model.ckpt ...

The weights come back in float32 as f16 kept them; the optimiser's state is not in a GGUF and begins at zero (`train -w`).
"""
import struct, sys

def read_gguf(path):
    """metadata that gguf.py wrote, and tensors by name: (type, bytes)"""
    data = open(path, "rb").read()
    at = 0
    def take(form):
        nonlocal at
        v = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return v[0]
    def text():
        nonlocal at
        n = take("Q")
        at += n
        return data[at - n:at].decode()
    def value(typ):
        if typ == 8:
            return text()
        if typ == 9:
            inner, n = take("I"), take("Q")
            return [value(inner) for _ in range(n)]
        return take({4: "I", 5: "i", 6: "f", 7: "B"}[typ])
    if take("I") != 0x46554747 or take("I") != 3:
        sys.exit(f"ungguf: {path} is no GGUF of version 3")
    tensors, keys = take("Q"), take("Q")
    meta = {}
    for _ in range(keys):
        name = text()
        meta[name] = value(take("I"))
    rows = []
    for _ in range(tensors):
        name, dims = text(), take("I")
        n = 1
        for _ in range(dims):
            n *= take("Q")
        typ, offset = take("I"), take("Q")
        rows.append((name, n, typ, offset))
    base = (at + 31) // 32 * 32
    return meta, {name: (typ, data[base + offset:base + offset + n * (2 if typ == 1 else 4)]) for name, n, typ, offset in rows}

def main():
    path, out = sys.argv[1:3]
    meta, T = read_gguf(path)
    def floats(name):
        typ, b = T[name]
        return b if typ == 0 else struct.pack(f"<{len(b) // 2}f", *struct.unpack(f"<{len(b) // 2}e", b))
    d, L, H, f, V = (meta["llama." + k] for k in ("embedding_length", "block_count", "attention.head_count", "feed_forward_length", "vocab_size"))
    body = floats("token_embd.weight")
    for i in range(L):
        for name in ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"):
            body += floats(f"blk.{i}.{name}.weight")
    body += floats("output_norm.weight") + floats("output.weight")
    with open(out, "wb") as o:
        o.write(struct.pack("<8q", 0x544F4C4950, d, L, H, f, V, 0, 0) + body + b"\0" * (2 * len(body)))
    print(f"{out}: d {d}, layers {L}, heads {H}, ffn {f}, vocabulary {V}")

main()
