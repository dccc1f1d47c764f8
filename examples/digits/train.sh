#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# train.sh - run the digits trainer, compiling it on the first call.
#
# usage: train.sh [--name=value]...        (the arguments of digits_mlp; --help lists them)
#
# Environment:
#   DIGITS_BIN    a built digits_mlp to run instead of compiling one
#   HPT_RUN_DIR   folder that receives bin/digits_mlp; default: a private folder in TMPDIR or /tmp
#   CC            the C compiler; default: cc

set -eu

fail() {
    printf 'train.sh: %s\n' "$1" >&2
    exit 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
source=$here/digits_mlp.c

# Compiles to $1. -O2 with vectorised loops: gcc's -O3 unrolls the matrix product before it looks for
# vectors and is several times slower. -ffp-contract=off makes the results independent of the
# processor's instructions.
compile() {
    # CC may hold options or a launcher ("ccache gcc"), so it is split into words.
    # shellcheck disable=SC2086
    $compiler -std=c17 -O2 -ftree-vectorize -fno-math-errno -ffp-contract=off $2 \
        -o "$1" "$source" -lm
}

if [ -n "${DIGITS_BIN:-}" ]; then
    program=$DIGITS_BIN
    [ -x "$program" ] || fail "DIGITS_BIN is not an executable file: $program"
else
    [ -f "$source" ] || fail "no digits_mlp.c in $here"
    if [ -n "${HPT_RUN_DIR:-}" ]; then
        folder=$HPT_RUN_DIR
        mkdir -p -- "$folder/bin"
    else
        folder=${TMPDIR:-/tmp}/hpt-digits-$(id -u)
        (umask 077 && mkdir -p -- "$folder/bin") || fail "cannot create $folder/bin"
        # The name is predictable and its parent is shared: run nothing from another user's folder.
        [ -n "$(find "$folder" -prune -type d -user "$(id -u)")" ] ||
            fail "$folder is not a folder of yours; set HPT_RUN_DIR"
    fi
    program=$folder/bin/digits_mlp

    # Compile if there is no program yet or the source is newer. The new program gets its name in one
    # step, so trials that start together do not see half of it.
    if [ ! -x "$program" ] || [ -n "$(find "$source" -newer "$program")" ]; then
        compiler=${CC:-cc}
        command -v "${compiler%% *}" >/dev/null 2>&1 ||
            fail "no C compiler '$compiler'; install gcc or clang (Debian, Ubuntu: apt install gcc libc6-dev) or set CC"
        part=$program.$$
        trap 'rm -f -- "$part"' EXIT
        trap 'exit 1' HUP INT TERM
        compile "$part" -march=native 2>/dev/null || compile "$part" '' ||
            fail "cannot compile $source"
        mv -f -- "$part" "$program"
        trap - EXIT HUP INT TERM
    fi
fi

exec "$program" "--data=$here/digits.csv" "$@"
