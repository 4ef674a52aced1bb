#!/bin/sh
# deps.sh [GROUP...]: install the Debian packages of packages.txt that are missing (default: build, test)
# and the pinned llama.cpp libraries. Asks before sudo; says what it installs; quick when nothing is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
groups=${*:-build test}
missing=
have=$(dpkg-query -W -f='${Package} ${db:Status-Abbrev}\n' 2>/dev/null | awk '$2 ~ /^ii/ { print $1 }' || true)
while read -r group package; do
    case " $groups " in
    *" $group "*) ;;
    *) continue ;;
    esac
    # a compiler or tool that is there by other means is as good
    case $package in
    gcc | g++ | clang | cmake | git | npm | make | python3) command -v "$package" > /dev/null 2>&1 && continue ;;
    esac
    printf '%s\n' "$have" | grep -qx "$package" || missing="$missing $package"
done << EOF
$(grep -v '^#' "$here/packages.txt")
EOF
if [ -n "$missing" ]; then
    if ! command -v apt-get > /dev/null 2>&1; then
        echo "deps: this system has no apt-get; install the equivalents of:$missing" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" -ne 0 ]; then
        if [ -t 0 ] && command -v sudo > /dev/null 2>&1; then
            printf 'deps: missing packages:%s\ninstall them with sudo apt-get? [y/N] ' "$missing"
            read -r answer
            case $answer in
            y | Y | yes) sudo=sudo ;;
            *)
                echo "deps: not installed. By hand: sudo apt-get install --no-install-recommends$missing" >&2
                exit 1
                ;;
            esac
        else
            echo "deps: missing packages, and no permission to install them. By hand:" >&2
            echo "      sudo apt-get install --no-install-recommends$missing" >&2
            exit 1
        fi
    fi
    echo "deps: installing Debian packages:$missing"
    $sudo apt-get -o DPkg::Lock::Timeout=300 update -qq || true
    # shellcheck disable=SC2086 # a list of words on purpose
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends $missing > "${TMPDIR:-/tmp}/stead-apt.$$" 2>&1 || {
        tail -n 20 "${TMPDIR:-/tmp}/stead-apt.$$" >&2
        exit 1
    }
    rm -f "${TMPDIR:-/tmp}/stead-apt.$$"
fi
if [ -x "$here/llama.sh" ]; then
    exec "$here/llama.sh"
fi
