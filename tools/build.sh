#!/bin/sh
# build.sh BUILD_DIR [MESON_OPTIONS...]: configure once, then build.
set -eu
dir=$1
shift
cd "$(dirname "$0")/.."
if [ ! -f "$dir/build.ninja" ]; then
    meson setup "$dir" "$@" > "${TMPDIR:-/tmp}/stead-meson.$$" 2>&1 || {
        cat "${TMPDIR:-/tmp}/stead-meson.$$" >&2
        rm -rf "$dir" "${TMPDIR:-/tmp}/stead-meson.$$"
        exit 1
    }
    rm -f "${TMPDIR:-/tmp}/stead-meson.$$"
fi
exec ninja -C "$dir" --quiet
