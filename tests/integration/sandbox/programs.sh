#!/bin/sh
# programs.sh STEAD [UID] - programs that people use work inside. One line each; a program that is not installed is skipped.
# With UID, and started as root: the same as that user, who needs no account, with a copy of the programs where anybody can run them.
stead=$(realpath "$1") || exit 2
dir=$(mktemp -d) || exit 1
chmod 755 "$dir"
trap 'rm -rf "$dir"' EXIT
if [ -n "${2:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo "needs root, to become somebody else"; exit 77; }
    mkdir "$dir/home" && cp "$stead" "$0" "$dir" && chown "$2" "$dir/home" || exit 1
    for helper in stead-helper ../sandbox/helper/stead-helper ../libexec/stead/stead-helper; do
        [ ! -f "$(dirname "$stead")/$helper" ] || cp "$(dirname "$stead")/$helper" "$dir/stead-helper"
    done
    PATH=/usr/local/bin:/usr/bin:/bin HOME=$dir/home setpriv --reuid "$2" --regid "$2" --clear-groups sh "$dir/programs.sh" "$dir/stead"
    exit
fi
STEAD_STATE_DIR=$dir/state
export STEAD_STATE_DIR
ws=$dir/ws
mkdir "$ws" && cd "$ws" || exit 1
failed=0
passed=0
skipped=0

case $("$stead" sandbox check 2>&1) in
*"the sandbox works here"*) ;;
*) echo "no sandbox can be set up here"; exit 77 ;;
esac

# try NAME PROGRAM: the script on standard input, with sh -e, in the sandbox over $ws. $options goes to stead.
try() {
    name=$1
    script=$(cat)
    if ! command -v "$2" >/dev/null 2>&1; then
        echo "skip  $name: no $2 here"
        skipped=$((skipped + 1))
        return
    fi
    # shellcheck disable=SC2086
    if out=$("$stead" sandbox run --timeout 90s $options -- sh -ec "$script" 2>&1 </dev/null); then
        echo "ok    $name"
        passed=$((passed + 1))
    else
        echo "FAIL  $name ($?)"
        echo "$out" | tail -15 | sed 's/^/      /'
        failed=$((failed + 1))
    fi
}
options=

mkdir -p src/sub node pkg proj cm/src rust/src
echo 'int main(void) { return 0; }' >main.c
printf 'one\n' >src/a.txt
printf 'two\n' >src/sub/b.txt
echo '{"name":"app","version":"1.0.0","dependencies":{"local-dep":"file:../pkg"}}' >node/package.json
echo '{"name":"local-dep","version":"1.0.0","main":"index.js"}' >pkg/package.json
echo 'module.exports = 42' >pkg/index.js
printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "demo"\nversion = "1"\n[tool.setuptools]\npy-modules = ["demo"]\n' >proj/pyproject.toml
echo 'def f(): return 42' >proj/demo.py
printf 'from demo import f\ndef test_f(): assert f() == 42\n' >proj/test_demo.py
printf 'import unittest\nfrom demo import f\nclass T(unittest.TestCase):\n    def test_f(self): self.assertEqual(f(), 42)\n' >proj/test_unit.py
printf 'cmake_minimum_required(VERSION 3.10)\nproject(x C)\nadd_executable(x ../main.c)\nenable_testing()\nadd_test(x x)\n' >cm/CMakeLists.txt
printf "project('x', 'c')\ntest('x', executable('x', 'main.c'))\n" >meson.build
printf '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n' >rust/Cargo.toml
printf 'fn main() { println!("hi"); }\n#[test]\nfn t() { assert_eq!(1 + 1, 2); }\n' >rust/src/main.rs
if command -v git >/dev/null; then
    git -c init.defaultBranch=main init -q . && git add -A && git -c user.name=t -c user.email=t@t commit -qm first
fi
before=$(find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum)

try "git status, commit, log" git <<'S'
git status --porcelain
echo x >>src/a.txt
git commit -qam second
[ "$(git log --oneline | wc -l)" = 2 ]
S
try "git mv of directories" git <<'S'
git mv src moved
git commit -qm moved
[ -f moved/sub/b.txt ] && ! [ -e src ]
S
try "git rebase and stash" git <<'S'
git checkout -qb topic
echo t >t && git add t && git commit -qm t
git checkout -q main && echo m >m && git add m && git commit -qm m
echo dirty >>src/a.txt && git stash -q && git stash pop -q && git checkout -q src/a.txt
git rebase -q main topic && [ -f m ] && [ -f t ]
S
try "git worktree, gc, clone" git <<'S'
git worktree add -q /tmp/wt -b w && git -C /tmp/wt status --porcelain
git gc -q && git fsck --strict
git clone -q . /tmp/clone
S
try "make" make <<'S'
printf 'all: x\nx: main.c\n\tcc -o x main.c\n' >Makefile
make -s && ./x
S
try "cmake and ctest" cmake <<'S'
cmake -S cm -B cm/build >/dev/null && cmake --build cm/build >/dev/null && cd cm/build && ctest >/dev/null
S
try "meson and ninja" meson <<'S'
meson setup build >/dev/null && ninja -C build >/dev/null && meson test -C build >/dev/null
S
try "npm install of a local package" npm <<'S'
cd node && npm install --offline --no-audit --no-fund --loglevel=error && [ "$(node -p 'require("local-dep")')" = 42 ]
S
try "npm ci, npm run" npm <<'S'
cd node && npm install --offline --no-audit --no-fund --loglevel=error --package-lock-only && npm ci --offline --no-audit --no-fund --loglevel=error
npm pkg set scripts.go='node -e 1' && npm run -s go
S
try "node: renameSync of a directory, test runner" node <<'S'
node -e 'fs.renameSync("src", "moved"); if (!fs.existsSync("moved/sub/b.txt")) process.exit(1)'
echo 'require("node:test")("t", () => {})' >t.test.js && node --test t.test.js >/dev/null
S
try "python: venv, os.rename of a directory" python3 <<'S'
python3 -c 'import os, shutil; os.rename("src", "moved"); shutil.move("moved", "again"); open("again/sub/b.txt")'
python3 -m venv --without-pip /tmp/v && /tmp/v/bin/python -c 'import sys; assert sys.prefix == "/tmp/v"'
S
try "python: multiprocessing, threads, semaphores" python3 <<'S'
python3 -c 'import multiprocessing as m
with m.Pool(3) as p: assert p.map(abs, [-1, -2]) == [1, 2]'
S
try "unittest" python3 <<'S'
cd proj && python3 -m unittest -q test_unit
S
# with_python MODULES: in $python, one that has them: the first in PATH may not be the system's, which has its packages
with_python() {
    for python in python3 /usr/bin/python3; do
        ! $python -c "import $1" 2>/dev/null || return 0
    done
    python=no-python-with-${1##* }
}
with_python pytest
try "pytest" "$python" <<S
cd proj && $python -m pytest -q test_demo.py
S
with_python "setuptools, wheel"
try "pip install of a local package" "$python" <<S
$python -m pip install -q --no-index --no-build-isolation --no-deps --target /tmp/site --disable-pip-version-check ./proj && PYTHONPATH=/tmp/site $python -c 'import demo'
S
try "cargo build and test" cargo <<'S'
cd rust && cargo build -q --offline && ./target/debug/x && cargo test -q --offline >/dev/null
S
try "go" go <<'S'
mkdir g && cd g && printf 'package main\nfunc main() {}\n' >main.go && go mod init x 2>/dev/null && go build -o x . && ./x
S
try "sqlite" sqlite3 <<'S'
sqlite3 t.db 'pragma journal_mode=wal; create table t(x); insert into t values (1); select * from t' | grep -q 1
S
try "python sqlite with locks" python3 <<'S'
python3 -c 'import sqlite3
c = sqlite3.connect("t.db"); c.execute("create table t(x)"); c.commit()
d = sqlite3.connect("t.db"); d.execute("insert into t values (1)"); d.commit()'
S
try "loopback server and client" python3 <<'S'
python3 -m http.server 8000 --bind 127.0.0.1 >/dev/null 2>&1 &
for i in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.2
    python3 -c 'import urllib.request; urllib.request.urlopen("http://127.0.0.1:8000/main.c").read()' 2>/dev/null && exit 0
done
exit 1
S
try "tar, mv and cp of directories" tar <<'S'
tar cf /tmp/x.tar src && rm -r src && tar xf /tmp/x.tar && mv src b && cp -a b src && [ -f src/sub/b.txt ]
S
try "ripgrep" rg <<'S'
rg -q two src
S
# refused NAME EXCEPTION COMMAND...: it fails, and stead says which exception would allow it
refused() {
    if ! command -v "$3" >/dev/null 2>&1; then
        echo "skip  $1 is refused: no $3 here"
        skipped=$((skipped + 1))
        return
    fi
    name=$1 exception=$2
    shift 2
    if out=$("$stead" sandbox run --timeout 90s -- "$@" 2>&1 </dev/null); then
        echo "FAIL  $name is not refused"
        failed=$((failed + 1))
    elif echo "$out" | grep -q "^stead: .*--allow $exception"; then
        echo "ok    $name is refused with a message"
        passed=$((passed + 1))
    else
        echo "FAIL  $name is refused without a message: $out"
        failed=$((failed + 1))
    fi
}
refused gdb ptrace gdb -batch -return-child-result -ex run /bin/true
refused strace ptrace strace true
refused unshare userns unshare -Ur true
refused chromium userns chromium --headless --disable-gpu --dump-dom 'data:text/html,<p>hello'
try "address sanitizer" gcc <<'S'
gcc -fsanitize=address -o /tmp/checked main.c && /tmp/checked
S
options="--allow ptrace"
try "leak sanitizer where policy allows it" gcc <<'S'
echo '#include <stdlib.h>
int main(void) { void *volatile p = malloc(7); p = 0; return p != 0; }' >/tmp/leak.c
gcc -fsanitize=address -o /tmp/leak /tmp/leak.c && ! /tmp/leak 2>/tmp/said && grep -q 'detected memory leaks' /tmp/said
S
try "gdb where policy allows it" gdb <<'S'
gdb -batch -ex run /bin/true 2>&1 | grep -q 'exited normally'
S
try "strace where policy allows it" strace <<'S'
strace -o /tmp/t true && grep -q exit_group /tmp/t
S
options="--allow userns"
try "nested user namespaces where policy allows them" unshare <<'S'
unshare -Urmpf true
S
for chromium in chromium chromium-browser google-chrome headless_shell; do
    if command -v $chromium >/dev/null 2>&1; then
        try "$chromium, headless, with its own sandbox" $chromium <<S
$chromium --headless --disable-gpu --dump-dom 'data:text/html,<p>hello' 2>/dev/null | grep -q hello
S
    fi
done
options=

after=$(find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum)
if [ "$before" != "$after" ]; then
    echo "FAIL  the workspace changed"
    failed=$((failed + 1))
fi
echo "$passed work, $failed fail, $skipped not installed"
[ $failed = 0 ]
