#!/bin/sh
# make-pilot.sh FOLDER: makes the pilot model from nothing, in FOLDER. Takes some hours on two cores.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: make-pilot.sh FOLDER}
mkdir -p "$out"
cd "$out"
gen="python3 $here/gen.py"

python3 "$here/mutate.py" "$here/kinds.txt" bugs.json
$gen verify bugs.json --n 150 --seed 19
cp "$here/vocab.json" . # or: gen.py corpus bugs.json corpus.txt --n 4000 --seed 77 && vocab.py corpus.txt vocab.json 640

$gen tokens bugs.json vocab.json find.tok --n 220000 --seed 9502 --find
$gen tokens bugs.json vocab.json short.tok --n 360000 --seed 9501 --short
$gen drill bugs.json vocab.json drill.tok --n 60000 --seed 44
$gen tokens bugs.json vocab.json held.tok --n 150 --seed 6 --held --short --plain
$gen tasks bugs.json tasks.jsonl --n 230 --seed 70001 --held --plain

gcc -O3 -march=native -mprefer-vector-width=512 -ffast-math -o train "$here/train.c" -lm -lpthread
./train -g held.tok
# The control file may be edited while it runs: mixture, rate, when to decay. Stopped, it goes on with -r model.ckpt.
test -f ctl || cat > ctl <<'CTL'
lr 0.7
decay 5000 11000
data find.tok 0.4
data short.tok 1
data drill.tok 0.1
CTL
./train -c ctl -o model.ckpt -t "$(nproc)" -k 200 -v held.tok | tee train.log
python3 "$here/gguf.py" model.ckpt vocab.json "$here/chat-template.jinja" stead-pilot.gguf
sha256sum stead-pilot.gguf
