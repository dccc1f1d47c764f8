#!/bin/sh
# plugin_symbols.sh: what the built plugin shows to others and needs of them, and whether the functions that it looks for by name
# exist in the toolkit's libraries. (That their types are right the compiler has checked: cuda_api.h takes them from the headers.)
#
#   plugin_symbols.sh PLUGIN SOURCE TOOLKIT   TOOLKIT: the folder with bin/nvcc
#
# Without the plugin: 77 (skipped). A library that the toolkit lacks is told. HPT_TEST_REQUIRE=nvcc makes both a failure, but
# for the driver's: the set of PyPI has no stub of it, and its names and types are then the header's alone.
set -u
plugin=$1 source=$2 toolkit=$3
failures=0
fail() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}
missing() {
    case ",${HPT_TEST_REQUIRE:-}," in
    *,nvcc,*) fail "$* (HPT_TEST_REQUIRE has nvcc)" ;;
    *) echo "not checked: $*" ;;
    esac
}

if [ ! -f "$plugin" ]; then
    missing "there is no $plugin: this build found no nvcc"
    [ $failures -eq 0 ] && exit 77
    exit 1
fi

# ---- what it shows
exported=$(nm -D --defined-only "$plugin" | awk '{ print $NF }')
[ "$exported" = hpt_backend_plugin ] || fail "it exports not hpt_backend_plugin alone but: $exported"

# ---- what it needs: libraries of the C library, and symbols of theirs (glibc's have its version), none of CUDA or of ours
for needed in $(readelf -d "$plugin" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $needed in
    libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | ld-linux*) ;;
    *) fail "it is linked with $needed" ;;
    esac
done
for symbol in $(nm -D --undefined-only "$plugin" | awk '$1 == "U" { print $2 }'); do
    case $symbol in
    *@GLIBC_*) ;;
    *) fail "it needs $symbol, which is not the C library's" ;;
    esac
done

# ---- its size, with the kernels of all architectures
bytes=$(wc -c <"$plugin")
[ "$bytes" -lt 8388608 ] || fail "it has $bytes bytes; 8 MiB are the most"
echo "plugin: $bytes bytes, exports $exported, $(nm -D --undefined-only "$plugin" | wc -l) symbols of the C library"

# ---- every function of cuda_api.h is in the toolkit's library of its name
functions=$(sed -n 's/.*X(\(driver\|blas\|solver\), \([A-Za-z0-9_]*\)).*/\1 \2/p' "$source/src/cuda/cuda_api.h")
[ "$(echo "$functions" | wc -l)" -gt 20 ] || fail "cuda_api.h was not understood"
find_library() {
    for folder in "$toolkit/lib64" "$toolkit/lib" "$toolkit"/targets/*/lib; do
        for file in "$folder/$1.so" "$folder/stubs/$1.so" "$folder/$1".so.*; do
            [ -f "$file" ] && echo "$file" && return
        done
    done
}
for library in driver:libcuda blas:libcublas solver:libcusolver; do
    file=$(find_library "${library#*:}")
    names=$(echo "$functions" | awk -v l="${library%%:*}" '$1 == l { print $2 }')
    if [ -z "$file" ]; then
        what="$(echo "$names" | wc -l) functions of ${library#*:}: the toolkit in $toolkit has no such library"
        if [ "$library" = driver:libcuda ]; then echo "not checked: $what"; else missing "$what"; fi
        continue
    fi
    has=$(nm -D --defined-only "$file" | awk '{ sub(/@.*/, "", $NF); print $NF }')
    for name in $names; do
        echo "$has" | grep -qx "$name" || fail "$name is not in $file"
    done
    echo "${library#*:}: $(echo "$names" | wc -l) functions found in $(basename "$file")"
done
echo "$failures failures"
[ $failures -eq 0 ]
