#!/bin/sh
# engine-decode.sh BUILD [MODEL.gguf]: decode speed of the embedded engine over the bare llama.cpp loop, as JSON lines.
# Without a model: files of random weights in the shape of a 0.1B model, F16 and Q8_0 and Q4_K. Goal: ratio 0.97 or more.
# Where there is a llama-bench of the same libraries (in PATH, or $LLAMA_BENCH), its own line for the file follows.
set -eu
build=${1:-build}
model=${2:-}
bench=$build/tests/integration/inference/bench-decode
engine=$build/src/inference/engine/stead-engine
make=$build/tests/unit/inference/gguf-make
[ -x "$bench" ] && [ -x "$engine" ] || { echo "engine-decode: build first, with llama.cpp's libraries (make deps)" >&2; exit 1; }
cores=$(nproc)
peer=${LLAMA_BENCH:-$(command -v llama-bench || true)}
peer() { [ -z "$peer" ] || "$peer" -m "$1" -t "$2" -p 0 -n 96 -d 24 -r 7 -o jsonl 2>/dev/null; }
if [ -n "$model" ]; then
    "$bench" "$model" "$engine" "$cores" 7
    peer "$model" "$cores"
    exit
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT INT TERM
for type in f16 q8_0 q4_k; do
    "$make" "$tmp/$type.gguf" arch=llama layers=12 embd=768 heads=12 kv_heads=4 head_dim=64 ff=2048 vocab=16000 type=$type ctx=4096
    for threads in 1 $cores; do
        printf '{"type":"%s",' "$type"
        "$bench" "$tmp/$type.gguf" "$engine" "$threads" 7 | cut -c2-
        peer "$tmp/$type.gguf" "$threads"
    done
done
