#!/bin/sh
# count.sh: instructions of fixed pieces of work, counted by callgrind, against tests/count/instructions.txt.
#
#   count.sh <folder of count and plain_blas> <source folder> [--update]
#
# A count and no time, so that a loaded machine does not matter. More than 10 % above the stored one fails (if it is worth
# it, say why in the commit that stores it); more than 10 % below asks for --update, so that the gain is kept. 10 %: compilers of neighbouring versions differ by a few per cent,
# a pass over the data that nobody needs by more. Stored for optimised builds by gcc (CMakeLists.txt runs it in no
# other). Without valgrind the test is skipped (77), unless HPT_TEST_REQUIRE names valgrind.
set -eu
build=$1
source=$2
stored=$source/tests/count/instructions.txt
if ! command -v valgrind >/dev/null 2>&1; then
    echo "valgrind is not installed (Debian: apt-get install valgrind): instructions are not counted"
    case ",${HPT_TEST_REQUIRE:-}," in *,valgrind,*) exit 1 ;; esac
    exit 77
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
HPT_BLAS_LIBRARY=$build/libplain_blas.so valgrind --tool=callgrind --callgrind-out-file="$place/out" \
    --toggle-collect='count_*' "$build/count" >"$place/log" 2>&1 || {
    cat "$place/log"
    exit 1
}
callgrind_annotate --inclusive=yes --threshold=100 "$place/out" | tr -d , |
    sed -n 's/^ *\([0-9][0-9]*\) .*:count_\([a-z_]*\) .*/\2 \1/p' | sort >"$place/counts"
if [ "${3:-}" = --update ]; then
    cp "$place/counts" "$stored"
    cat "$stored"
    exit 0
fi
awk '
    NR == FNR { stored[$1] = $2; n++; next }
    !($1 in stored) { printf "%s is new: run count.sh with --update\n", $1; bad = 1; next }
    {
        seen++
        ratio = $2 / stored[$1]
        note = ratio > 1.1 ? "MORE THAN 10 % ABOVE" : ratio < 0.9 ? "more than 10 % below: run count.sh with --update" : ""
        if (ratio > 1.1) bad = 1
        printf "%-12s %12d stored %12d ratio %.3f %s\n", $1, $2, stored[$1], ratio, note
    }
    END { if (seen != n) { print "a stored count was not measured"; bad = 1 } exit bad }
' "$stored" "$place/counts"
