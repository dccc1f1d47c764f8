#!/bin/sh
# train.sh --lr=X --batch_size=N: stands for a training program that uses a part of a GPU.
set -eu
for arg in "$@"; do
    case $arg in
        --lr=*) lr=${arg#--lr=} ;;
        --batch_size=*) batch=${arg#--batch_size=} ;;
        *) echo "train.sh: unknown argument $arg" >&2; exit 2 ;;
    esac
done
echo "device ${CUDA_VISIBLE_DEVICES:-none}, share $HPT_GPU_SHARE, memory $HPT_GPU_MEM_BYTES bytes"
for step in 1 2 3 4 5; do
    sleep 0.2
    awk -v lr="$lr" -v b="$batch" -v s="$step" 'BEGIN {
        x = log(lr) / log(10) + 2.7
        print "step=" s " loss=" x * x + 0.01 * b / 16 + 1 / s }'
done
