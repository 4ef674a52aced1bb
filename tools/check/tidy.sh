#!/bin/sh
# tidy.sh BUILD_DIR [FILE...]: clang-tidy with the checks of .clang-tidy on these files, or on each file of src/ that
# BUILD_DIR compiles; any finding fails. Ends with the count.
set -eu
dir=$1
shift
cd "$(dirname "$0")/../.."
test -f "$dir/compile_commands.json" || { echo "tidy: $dir is no build directory; make one with \`meson setup $dir\`" >&2; exit 2; }
command -v clang-tidy > /dev/null || { echo "tidy: there is no clang-tidy; install the package clang-tidy" >&2; exit 2; }
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
{ if [ $# -gt 0 ]; then printf '%s\n' "$@"; else git ls-files 'src/*.c'; fi; } | while read -r f; do
    ! grep -qF "/$f\"" "$dir/compile_commands.json" || echo "$f"
done > "$log/files"
# A file a process, the largest first, so that no core waits for another's.
xargs ls -S < "$log/files" | xargs -P "$(nproc)" -n 1 clang-tidy -p "$dir" --quiet > "$log/out" 2> /dev/null || true
grep -E ': (warning|error):' "$log/out" | sort -u > "$log/found" || true
cat "$log/found"
echo "tidy: $(wc -l < "$log/found") findings in $(wc -l < "$log/files") files"
test ! -s "$log/found"
