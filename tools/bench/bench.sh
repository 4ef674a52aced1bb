#!/bin/sh
# bench: every measurement of tools/bench, one after another, against named peers.
# usage: bench.sh [BUILD]
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$top" && cd "${1:-build}" && pwd) || exit 1
failed=0
for part in "$top"/tools/bench/*.py; do
    [ -e "$part" ] || continue
    echo "== $(basename "$part" .py)"
    python3 "$part" --build "$build" || failed=1
done
for part in "$top"/tools/bench/*.sh; do
    case $part in */bench.sh | *'*.sh') continue ;; esac
    echo "== $(basename "$part" .sh)"
    sh "$part" "$build" || failed=1
done
exit $failed
