#!/bin/sh
# sandbox.sh BUILD - the sandbox beside bubblewrap and podman, where they are installed. Medians of 20, milliseconds.
build=$(cd "$1" && pwd) || exit 2
stead=$build/src/cli/stead
"$build/tests/bench/bench-sandbox" --files "${FILES:-2000}" || exit $?
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
median() { # NAME COMMAND... ; the median wall time of 20 runs
    name=$1; shift
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        a=$(date +%s%N); "$@" >/dev/null 2>&1 || { printf '%-34s %10s\n' "$name" "fails here"; return; }
        b=$(date +%s%N); echo $((b - a))
    done | sort -n | awk -v name="$name" '/fails/ { print; exit } { v[NR] = $1 } END { if (NR > 10) printf "%-34s %10.1f ms\n", name, v[10] / 1e6 }'
}
median "true, no sandbox" true
median "stead sandbox run -- true" "$stead" sandbox run -- true
if command -v bwrap >/dev/null; then
    median "bubblewrap: the same view" bwrap --unshare-all --die-with-parent --new-session --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
        --symlink usr/lib64 /lib64 --symlink usr/sbin /sbin --proc /proc --dev /dev --tmpfs /tmp --dir "$HOME" --bind "$dir" "$dir" --chdir "$dir" true
fi
if command -v podman >/dev/null && podman image exists localhost/stead-bench 2>/dev/null; then
    median "podman run" podman run --rm --network none localhost/stead-bench true
fi
if command -v unshare >/dev/null; then
    median "unshare -Urmpfn --mount-proc" unshare -Urmpfn --mount-proc true
fi
