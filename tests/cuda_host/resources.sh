#!/bin/sh
# resources.sh: what each kernel takes of a GPU, by ptxas, as a table; fails where a kernel spills registers or takes more
# than its bound in resources.txt, and where one has no bound or a bound no kernel.
#
#   resources.sh PTXAS SOURCE   PTXAS: what the build kept of ptxas -v
#
# occupancy: warps that fit on a multiprocessor at once, of those it can hold, with blocks as large as the kernel allows: by
# registers (given out to a warp in units of 256, to warps in fours), shared memory (of a block: in units of 128 bytes, and
# 1 KiB of the system's from compute capability 8.0 on), blocks and warps. Limits: CUDA C++ Programming Guide, "Compute
# Capabilities". Without the file: 77 (skipped), a failure where HPT_TEST_REQUIRE has nvcc.
set -u
ptxas=$1 source=$2
if [ ! -s "$ptxas" ]; then
    case ",${HPT_TEST_REQUIRE:-}," in *,nvcc,*) echo "FAILED: no $ptxas, and HPT_TEST_REQUIRE has nvcc" && exit 1 ;; esac
    echo "not checked: this build found no nvcc"
    exit 77
fi
awk '
function value(text,   part) { # a name, a number, or a quotient of two
    if (split(text, part, / *\/ */) == 2) return value(part[1]) / value(part[2])
    return text in defined_as ? defined_as[text] : text + 0
}
function least(a, b) { return a < b ? a : b }
function number_before(text, what,   part) { # the number before the words
    if (!match(text, "[0-9]+ " what)) return 0
    split(substr(text, RSTART), part, " ")
    return part[1] + 0
}
function occupancy(arch, threads, regs, shared,   warps, unit, blocks) {
    if (!(arch in max_warps)) return -1
    warps = int((threads + 31) / 32)
    blocks = least(max_blocks[arch], int(max_warps[arch] / warps))
    unit = int((regs * 32 + 255) / 256) * 256
    blocks = least(blocks, int(int(65536 / unit / 4) * 4 / warps))
    if (arch >= 80) shared += 1024
    if (shared > 0) blocks = least(blocks, int(kib[arch] * 1024 / (int((shared + 127) / 128) * 128)))
    return blocks * warps / max_warps[arch]
}
BEGIN {
    n = split("75 32 16 64  80 64 32 164  86 48 16 100  89 48 24 100  90 64 32 228  100 64 32 228  110 48 24 228  120 48 24 100", l, " +")
    for (i = 1; i <= n; i += 4) { max_warps[l[i]] = l[i + 1]; max_blocks[l[i]] = l[i + 2]; kib[l[i]] = l[i + 3] }
    printf "%-18s %6s %4s %9s %6s %6s %9s\n", "kernel", "arch", "thr", "registers", "shared", "spills", "occupancy"
}
FILENAME ~ /cuda_kernels\.h$/ {
    if ($1 == "#define" && NF >= 3) defined_as[$2] = $3 + 0
    if (match($0, /X\(cuda_[a-z_0-9]+, *cuda__[a-z_0-9]+, *[^)]+\)/)) {
        split(substr($0, RSTART + 2, RLENGTH - 3), part, /, */)
        threads[part[1]] = value(part[3])
    }
    next
}
FILENAME ~ /resources\.txt$/ {
    if ($1 !~ /^#/ && NF == 3) { bound_regs[$1] = $2; bound_shared[$1] = $3 }
    next
}
/Compiling entry function/ { split($0, q, "\047"); kernel = q[2]; arch = q[4]; sub(/^sm_/, "", arch); spills = 0; next }
/bytes spill stores/ { spills = number_before($0, "bytes spill stores") + number_before($0, "bytes spill loads"); next }
/Used [0-9]+ registers/ {
    regs = number_before($0, "registers")
    shared = number_before($0, "bytes smem")
    seen[kernel] = 1
    rows++
    printf "%-18s %6s %4d %9d %6d %6d %8.0f%%\n", kernel, "sm_" arch, threads[kernel], regs, shared, spills, 100 * occupancy(arch, threads[kernel], regs, shared)
    if (threads[kernel] < 32) bad[++n_bad] = kernel " has no number of threads in CUDA__KERNELS"
    if (spills > 0) bad[++n_bad] = kernel " on sm_" arch " spills " spills " bytes"
    if (!(kernel in bound_regs)) bad[++n_bad] = kernel " has no bound in resources.txt"
    else if (regs > bound_regs[kernel]) bad[++n_bad] = kernel " on sm_" arch " takes " regs " registers, bound " bound_regs[kernel]
    if (kernel in bound_regs && shared > bound_shared[kernel]) bad[++n_bad] = kernel " on sm_" arch " takes " shared " bytes of shared memory, bound " bound_shared[kernel]
}
END {
    for (k in bound_regs) if (!(k in seen)) bad[++n_bad] = "resources.txt has " k ", which is no kernel"
    for (k in threads) if (!(k in seen)) bad[++n_bad] = k " of CUDA__KERNELS was not compiled"
    if (rows == 0) bad[++n_bad] = "nothing of ptxas was understood"
    for (i = 1; i <= n_bad; i++) print "FAILED: " bad[i]
    print rows " rows, " n_bad + 0 " failures"
    exit n_bad > 0
}' "$source/src/cuda/cuda_kernels.h" "$source/tests/cuda_host/resources.txt" "$ptxas"
