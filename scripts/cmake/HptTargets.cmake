# HptTargets.cmake: flags that every target of ours gets.
#
#   hpt_target_defaults(<target>)   warnings, sanitizers, _GNU_SOURCE

function(hpt_target_defaults target)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wpedantic -Wshadow -Wpointer-arith -Wcast-qual -Wconversion
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
    # One rounding per operation on every compiler and architecture: results depend on the seed alone.
    -ffp-contract=off)
  if(HPT_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(HPT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${HPT_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${HPT_SANITIZE})
  endif()
endfunction()
