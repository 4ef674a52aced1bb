#!/bin/sh
# check.sh BUILD_DIR [meson test options]: run the tests, end with "N passed, N failed[, N skipped]".
set -eu
dir=$1
shift
cd "$(dirname "$0")/../.."
meson test -C "$dir" --no-rebuild --print-errorlogs "$@" && status=0 || status=$?
exec python3 tools/check/count.py "$dir/meson-logs/testlog.json" "$status"
