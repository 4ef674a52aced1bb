#!/usr/bin/env python3
"""vocab: learn the pilot model's byte-level BPE.

    vocab.py corpus.txt out.json [size]

Tokens: the control tokens, the scaffold of tool calls (each one token, "user defined" in GGUF), the 256 bytes, then merges
up to `size` (a multiple of 32). Merges never join a quote, a backslash, a tab or a newline with anything, so that a line
of code is cut the same way in a numbered listing and inside a JSON string.
"""
import collections, json, sys
import gen

def main():
    text, out, size = open(sys.argv[1]).read(), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 640
    names = gen.byte_names()
    special = gen.Tokenizer.__new__(gen.Tokenizer)
    import re
    cut = re.compile("|".join(re.escape(s) for s in sorted(gen.SCAFFOLD, key=len, reverse=True)))
    words = collections.Counter()
    for piece in cut.split(text):
        for part in re.findall(r"[0-9]|[^0-9]+", piece):
            words.update(gen.PRE.findall(part))
    tokens = gen.CONTROL + gen.SCAFFOLD + [names[b] for b in range(256)]
    never = {names[ord(c)] for c in "\"\\\t\n\r"}
    split = {w: [names[b] for b in w.encode()] for w in words}
    merges = []
    while len(tokens) < size:
        pairs = collections.Counter()
        for w, s in split.items():
            for a, b in zip(s, s[1:]):
                if a not in never and b not in never:
                    pairs[a, b] += words[w]
        (a, b), n = max(pairs.items(), key=lambda kv: (kv[1], kv[0]))
        merges.append([a, b])
        tokens.append(a + b)
        for w, s in split.items():
            if len(s) > 1:
                i = 0
                while i < len(s) - 1:
                    if s[i] == a and s[i + 1] == b:
                        s[i:i + 2] = [a + b]
                    i += 1
    assert len(tokens) == len(set(tokens)), "a token twice"
    json.dump(dict(tokens=tokens, merges=merges, control=len(gen.CONTROL), scaffold=len(gen.SCAFFOLD)), open(out, "w"), ensure_ascii=False)
    print(len(tokens), "tokens; last:", " ".join(tokens[-30:]))

main()
