#!/bin/sh
# sandbox.sh BUILD - what the sandbox costs, beside bubblewrap and podman where they are installed. Medians of 20.
# FILES: how many files the generated tree has (default 80000).
build=$(cd "$1" && pwd) || exit 2
stead=$build/src/cli/stead
"$build/tests/bench/bench-sandbox" --files "${FILES:-80000}" || exit $?
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
median() { # NAME COMMAND... ; the median wall time of 20 runs, or why there is none
    name=$1; shift
    "$@" >/dev/null 2>"$dir/why" || { printf '%-44s cannot run here: %s\n' "$name" "$(tail -n 1 "$dir/why" | cut -c 1-90)"; return 1; }
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        a=$(date +%s%N); "$@" >/dev/null 2>&1; b=$(date +%s%N); echo $((b - a))
    done | sort -n | awk -v name="$name" '{ v[NR] = $1 } END { printf "%-44s %10.1f ms\n", name, v[10] / 1e6 }'
}
echo "-- cold run of true, with the start of the program that runs it"
median "no sandbox" true
median "stead sandbox run" "$stead" sandbox run -- true
if command -v bwrap >/dev/null; then
    median "bubblewrap, the same view" bwrap --unshare-all --die-with-parent --new-session --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib \
        --symlink usr/lib64 /lib64 --symlink usr/sbin /sbin --proc /proc --dev /dev --tmpfs /tmp --dir "$HOME" --bind "$dir" "$dir" --chdir "$dir" true
else
    echo "bubblewrap: not installed"
fi
if command -v podman >/dev/null; then
    # The host's own programs, read-only, as root file system: needs no image. Limits named, since some machines refuse its own.
    set -- --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --rootfs /:O
    if median "podman run" podman run --rm "$@" true; then
        id=$(podman run -d "$@" sleep 600) && median "podman exec (beside true in a running session)" podman exec "$id" true
        podman rm -f "$id" >/dev/null 2>&1
    fi
else
    echo "podman: not installed"
fi
if command -v unshare >/dev/null; then
    median "unshare -Urmpfn --mount-proc" unshare -Urmpfn --mount-proc true
fi
exit 0
