#!/bin/sh
# tidy.sh BUILD_DIR: clang-tidy on src/ with the checks of .clang-tidy; any warning fails.
set -eu
dir=$1
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
git ls-files 'src/*.c' | xargs -P "$(nproc)" -n 4 clang-tidy -p "$dir" --quiet > "$log" 2> /dev/null || true
if grep -E ': (warning|error):' "$log" | sort -u > "$log.found"; test -s "$log.found"; then
    cat "$log.found"
    echo "tidy: $(wc -l < "$log.found") findings"
    rm -f "$log.found"
    exit 1
fi
rm -f "$log.found"
echo "tidy: nothing found"
