#!/bin/sh
# docs.sh STEAD DEST: manual pages and shell completion, written by the program itself from its tables, below DEST/share.
# As an install script of meson, DEST is where the installation goes.
set -eu
stead=$1
dest=${2:-${MESON_INSTALL_DESTDIR_PREFIX:-}}
[ -n "$dest" ] || { echo "docs.sh: no destination" >&2; exit 2; }
man1=$dest/share/man/man1 man5=$dest/share/man/man5
mkdir -p "$man1" "$man5" "$dest/share/bash-completion/completions" "$dest/share/zsh/site-functions" "$dest/share/fish/vendor_completions.d"
"$stead" help --man > "$man1/stead.1"
"$stead" help | sed -n 's/^  \([a-z]\{1,\}\( [a-z]\{1,\}\)\{0,1\}\)   *[a-z].*/\1/p' | while read -r name; do
    page=$man1/stead-$(printf %s "$name" | tr ' ' '-').1
    # shellcheck disable=SC2086 # a command of two words
    "$stead" help --man $name > "$page"
done
"$stead" config keys --man > "$man5/stead-config.5"
"$stead" completion bash > "$dest/share/bash-completion/completions/stead"
"$stead" completion zsh > "$dest/share/zsh/site-functions/_stead"
"$stead" completion fish > "$dest/share/fish/vendor_completions.d/stead.fish"
