#!/bin/sh
# blas_variants.sh BACKEND NAME FILE...: the tests of backend `cpu` with another BLAS, named in HPT_BLAS_LIBRARY: the first
# FILE that can be loaded. Without one the test is skipped (status 77), and says which library was looked for; where
# HPT_TEST_REQUIRE names blas, it fails. Libraries that Debian has not, by hand:
#
#   HPT_TEST_BLAS_FOLDER=.../lib tests/backend/blas_variants.sh build/dev/bin/backend mkl libmkl_rt.so.3 libmkl_rt.so.2
#
# HPT_TEST_BLAS_FOLDER: one more folder to look in, with the libraries that those in it need.
set -u
backend=$1
name=$2
shift 2
PATH=$PATH:/sbin:/usr/sbin
if [ -n "${HPT_TEST_BLAS_FOLDER:-}" ]; then
    LD_LIBRARY_PATH=$HPT_TEST_BLAS_FOLDER${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
fi
for file in "$@"; do
    case $file in
    /*) found=$file ;;
    *) # a soname: where the loader looks, then the extra folder
        found=$(ldconfig -p 2>/dev/null | sed -n "s|^[[:space:]]*$file .* => ||p" | head -n 1)
        [ -n "$found" ] || found=${HPT_TEST_BLAS_FOLDER:-/nowhere}/$file
        ;;
    esac
    [ -e "$found" ] || continue
    echo "$name: $found"
    HPT_BLAS_LIBRARY=$found HPT_TEST_REQUIRE=cpu "$backend" --jobs 2 --filter 'cpu_*/*'
    exit
done
echo "no $name here; looked for: $*"
case ",${HPT_TEST_REQUIRE:-}," in *,blas,*) exit 1 ;; esac
exit 77
