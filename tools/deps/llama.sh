#!/bin/sh
# llama.sh - put the pinned llama.cpp libraries, their headers and chat templates into .deps/llama of this tree.
#
#     tools/deps/llama.sh            # nothing to do when pkg-config knows llama, or when they are there already
#     tools/deps/llama.sh --force    # fetch anyway
#
# The libraries come from the npm package @node-llama-cpp/linux-<arch> (one CPU variant per
# microarchitecture), the headers of exactly that llama.cpp, and the chat templates that it ships (for
# the tests), from the git bundle inside node-llama-cpp of the same version. Both are pinned by version and SHA-512; `npm pack` fetches them, so an own registry
# or cache that npm is configured for is used. To move the pin: change the version and the three hashes
# (`npm view PACKAGE@VERSION dist.integrity`), run this, build, run the engine's tests.
set -eu

version=3.22.1   # of both npm packages
llama=v0.5.0     # the llama.cpp release inside
sri_headers=sha512-bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/LiWoPkGDpcL4FviDpgw7qfTiDw==
sri_x64=sha512-5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/eUHQCFbfRBJuOg==
sri_arm64=sha512-W+7naKCXX9/eEjjFmRS8vvx91QyLXDbeFxexZc3bh/PtQABZgmRL3C0AtYYXn4YGTj/3Qor4lWZn2tpjZFPLdQ==

top=$(cd "$(dirname "$0")/../.." && pwd)
dest=$top/.deps/llama
stamp="$version $llama $(uname -m)"

say() { echo "llama: $*"; }
die() { echo "llama: $*" >&2; exit 1; }

if [ "${1:-}" != --force ]; then
    if pkg-config --exists llama 2>/dev/null; then
        say "pkg-config knows llama $(pkg-config --modversion llama): nothing to fetch"
        exit 0
    fi
    if [ "$(cat "$dest/stamp" 2>/dev/null || true)" = "$stamp" ] && [ -d "$dest/templates" ]; then
        say "$dest is up to date ($stamp)"
        exit 0
    fi
fi

case $(uname -m) in
x86_64)  arch=x64;   sri_libs=$sri_x64 ;;
aarch64) arch=arm64; sri_libs=$sri_arm64 ;;
*) die "no prebuilt llama.cpp for $(uname -m); install one that pkg-config finds as 'llama'" ;;
esac
for tool in npm git openssl tar; do
    command -v $tool >/dev/null 2>&1 || die "'$tool' is needed to fetch the libraries; install it and run this again"
done

tmp=$(mktemp -d "${TMPDIR:-/tmp}/stead-llama.XXXXXX")
trap 'rm -rf "$tmp"' EXIT INT TERM

# fetch PACKAGE SRI: the verified tarball's path on standard output
fetch() {
    mkdir "$tmp/pack" 2>/dev/null || true
    name=$(cd "$tmp/pack" && npm pack --silent --ignore-scripts "$1@$version" 2>"$tmp/npm.log" | tail -n 1) ||
        { cat "$tmp/npm.log" >&2; die "npm could not fetch $1@$version"; }
    [ -f "$tmp/pack/$name" ] || { cat "$tmp/npm.log" >&2; die "npm could not fetch $1@$version"; }
    got=sha512-$(openssl dgst -sha512 -binary "$tmp/pack/$name" | openssl base64 -A)
    [ "$got" = "$2" ] || die "$1@$version: checksum $got, expected $2: refused"
    echo "$tmp/pack/$name"
}

say "fetching llama.cpp $llama for $arch (about 46 MB)"
libs=$(fetch "@node-llama-cpp/linux-$arch" "$sri_libs")
headers=$(fetch node-llama-cpp "$sri_headers")

mkdir "$tmp/new" "$tmp/new/lib" "$tmp/new/include" "$tmp/new/templates" "$tmp/src"
tar xzf "$libs" -C "$tmp/src" "package/bins/linux-$arch" package/LICENSE
find "$tmp/src/package/bins/linux-$arch" -name 'lib*.so*' -exec mv {} "$tmp/new/lib/" \;
mv "$tmp/src/package/LICENSE" "$tmp/new/LICENSE.node-llama-cpp"
tar xzf "$headers" -C "$tmp/src" package/llama/gitRelease.bundle
git clone -q --bare "$tmp/src/package/llama/gitRelease.bundle" "$tmp/src/llama.git" 2>"$tmp/git.log" ||
    { cat "$tmp/git.log" >&2; die "cannot read the git bundle in node-llama-cpp@$version"; }
git -C "$tmp/src/llama.git" archive HEAD LICENSE include ggml/include common models/templates | tar x -C "$tmp/src"
mv "$tmp/src/LICENSE" "$tmp/new/LICENSE.llama.cpp"
cp "$tmp/src/include/"*.h "$tmp/src/ggml/include/"*.h "$tmp/src/common/"*.h "$tmp/new/include/"
mkdir "$tmp/new/include/jinja"
cp "$tmp/src/common/jinja/"*.h "$tmp/new/include/jinja/"
cp "$tmp/src/models/templates/"*.jinja "$tmp/new/templates/"
# one name for the linker whatever the release calls its files
ln -s "$(cd "$tmp/new/lib" && ls libllama.v*.so)" "$tmp/new/lib/libllama.so"
ln -s "$(cd "$tmp/new/lib" && ls libggml.v*.so)" "$tmp/new/lib/libggml.so"
echo "$stamp" >"$tmp/new/stamp"

mkdir -p "$top/.deps"
rm -rf "$dest.old"
[ ! -e "$dest" ] || mv "$dest" "$dest.old"
mv "$tmp/new" "$dest"
rm -rf "$dest.old"
say "ready in $dest; run 'meson setup --reconfigure build' if the build directory exists already"
