#!/bin/sh
# demo.sh BUILD_DIR [REPOSITORY]: let stead repair a small repository with a failing test, for real: a model decides, the
# sandbox runs, the gate judges. An endpoint found on this machine is used, else the embedded engine with its
# pilot model. Ends with the exit code of the run.
set -eu
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
stead=$build/src/cli/stead
unset MAKEFLAGS MFLAGS MAKELEVEL # its own makes are not part of ours
work=$(mktemp -d "${TMPDIR:-/tmp}/stead-demo.XXXXXX")
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi

if [ $# -gt 1 ]; then
    cp -a "$2" "$work/repo"
else
    "$here/make-repo.sh" "$work/repo"
fi
export STEAD_STATE_DIR="$work/state"
# the embedded engine stays warm between runs; after a demonstration it need not
mkdir -p "$work/config/stead"
user=${STEAD_CONFIG:-${XDG_CONFIG_HOME:-$HOME/.config}/stead/config.yaml}
if [ ! -f "$user" ]; then
    printf 'inference:\n  idle: 5s\n' > "$work/config/stead/config.yaml"
    export STEAD_CONFIG="$work/config/stead/config.yaml"
fi
cd "$work/repo"

echo "${bold}a repository with a failing test${plain}: $work/repo"
echo "  \$ make test"
make test 2>&1 | sed 's/^/    /' || true
make clean > /dev/null 2>&1 || git clean -qfdx

echo
echo "${bold}stead run --approve auto --apply \"make the failing test pass\"${plain}"
status=0
"$stead" run --approve auto --apply "make the failing test pass" || status=$?

echo
if [ "$status" -eq 0 ]; then
    echo "${bold}the working tree now${plain}"
    git --no-pager diff --stat | sed 's/^/  /'
    echo "  \$ make test"
    make test 2>&1 | sed 's/^/    /'
    echo
    echo "The model above is a tiny one, made for exactly this. \`stead fit\` shows what this machine can run; with an"
    echo "endpoint such as llama-server, Ollama, LM Studio or vLLM running, stead finds and uses it by itself."
    rm -rf "$work"
else
    echo "The run ended with status $status; everything is kept in $work" >&2
fi
exit "$status"
