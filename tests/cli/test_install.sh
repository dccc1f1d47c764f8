#!/bin/sh
# test_install.sh: the installed library as its user sees it: pkg-config, CMake, headers alone, exported names.
. "$(dirname "$0")/cli_lib.sh"
sanitized=$(grep -c '^HPT_SANITIZE:STRING=.' "$build/CMakeCache.txt")

fact "install lays down library, headers, packages, man pages and completion"
cmake --install "$build" --prefix "$place/prefix" >install.log 2>&1 || fail "$(cat install.log)"
for f in bin/hpt bin/hpt-bench include/hpt.h include/hpt/client.h share/man/man1/hpt.1 share/man/man3/libhpt_gpu.3 \
    share/bash-completion/completions/hpt share/zsh/site-functions/_hpt share/hpt_gpu/wandb_shim/wandb/__init__.py; do
    [ -f "prefix/$f" ] || fail "  $f is missing"
done

fact "every header compiles alone as C17 and as C++"
for h in prefix/include/hpt.h prefix/include/hpt/*.h; do
    printf '#include <%s>\nint hpt_header_test(void);\nint hpt_header_test(void) { return 0; }\n' "${h#prefix/include/}" >h.c
    cc -std=c17 -pedantic -Wall -Wextra -Werror -Iprefix/include -c h.c -o h.o 2>err.txt || fail "  $h as C17: $(head -n 3 err.txt)"
    c++ -std=c++17 -pedantic -Wall -Wextra -Werror -Iprefix/include -x c++ -c h.c -o h.o 2>err.txt || fail "  $h as C++: $(head -n 3 err.txt)"
done
printf '#include <hpt/client.h>\nint main(void) { return hpt_client_enabled(); }\n' >client.c
cc -std=c99 -pedantic -Wall -Wextra -Werror -Iprefix/include client.c -o client || fail "  client.h as C99"
./client || fail "  the client believes to be inside a trial"

fact "only hpt_* names are exported"
lib=$(find prefix -name 'libhpt_gpu.so')
foreign=$(nm -D --defined-only "$lib" | awk '{print $3}' | sed 's/@.*//' | grep -vE '^(hpt_[a-z][a-z0-9_]*|HPT_GPU_0)$' | head)
[ "$sanitized" -gt 0 ] || same "$foreign" ""

if [ "$sanitized" -eq 0 ]; then
    pc=$(dirname "$(find "$place/prefix" -name hpt_gpu.pc)")
    libdir=$(dirname "$lib")
    fact "a C program builds by pkg-config and runs"
    # shellcheck disable=SC2046
    cc "$source/examples/c_api/minimize.c" $(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs hpt_gpu) -lm -o minimize ||
        fail "  cc failed"
    expect 0 "best" env LD_LIBRARY_PATH="$libdir" ./minimize

    fact "the prefix can be moved"
    mv prefix moved
    # shellcheck disable=SC2046
    cc "$source/examples/c_api/minimize.c" $(PKG_CONFIG_PATH=$(printf %s "$pc" | sed "s,/prefix/,/moved/,") pkg-config --cflags --libs hpt_gpu) -lm -o minimize2 ||
        fail "  cc failed"
    expect 0 "hpt 0" moved/bin/hpt version

    fact "C and Fortran programs build by CMake's find_package and run"
    for example in c_api fortran; do
        cmake -G Ninja -S "$source/examples/$example" -B "b_$example" -DCMAKE_PREFIX_PATH="$place/moved" >cmake.log 2>&1 &&
            cmake --build "b_$example" >>cmake.log 2>&1 || fail "  $example: $(tail -n 5 cmake.log)"
    done
    expect 0 "best" b_c_api/minimize
    expect 0 "best" b_fortran/minimize_f

    fact "a Fortran program builds by pkg-config and runs"
    # shellcheck disable=SC2046
    gfortran "$source/examples/fortran/hpt_fortran.f90" "$source/examples/fortran/minimize.f90" \
        $(PKG_CONFIG_PATH=$(printf %s "$pc" | sed "s,/prefix/,/moved/,") pkg-config --cflags --libs hpt_gpu) -o minimize_f ||
        fail "  gfortran failed"
    expect 0 "best" env LD_LIBRARY_PATH="$(printf %s "$libdir" | sed "s,^prefix,$place/moved,")" ./minimize_f
fi
finish
